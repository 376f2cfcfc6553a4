// Written by `landfall generate swift`. To change it, change the schema and write it anew.

import Foundation
import Landfall

/// The app's database: a table for each entity type, and the client under it.
public final class Library: Swift.Sendable {
    public let sdk: Landfall.LandfallClient
    public let author: Landfall.Table<Author>
    public let book: Landfall.Table<Book>
    public let copy: Landfall.Table<Copy>
    public let draft: Landfall.Table<Draft>
    public let list: Landfall.Table<List>
    public let pseudonym: Landfall.Table<Pseudonym>

    public init(_ client: Landfall.LandfallClient) {
        self.sdk = client
        self.author = Landfall.Table<Author>(client)
        self.book = Landfall.Table<Book>(client)
        self.copy = Landfall.Table<Copy>(client)
        self.draft = Landfall.Table<Draft>(client)
        self.list = Landfall.Table<List>(client)
        self.pseudonym = Landfall.Table<Pseudonym>(client)
    }

    /// Writes to several tables in one transaction: all of them or none.
    @discardableResult
    public func write(_ batch: @Sendable (Writes) throws -> Swift.Void) async throws -> Landfall.Receipt {
        try await self.sdk.write { try batch(Writes($0)) }
    }

    /// See `LandfallClient.close`.
    public func close() async throws { try await self.sdk.close() }

    /// What a transaction can write to.
    public struct Writes {
        public let book: Landfall.Writes<Book>
        public let copy: Landfall.Writes<Copy>
        public let draft: Landfall.Writes<Draft>
        public let list: Landfall.Writes<List>

        init(_ batch: Landfall.Batch) {
            self.book = Landfall.Writes<Book>(batch)
            self.copy = Landfall.Writes<Copy>(batch)
            self.draft = Landfall.Writes<Draft>(batch)
            self.list = Landfall.Writes<List>(batch)
        }
    }

    /// The schema, as regions have it.
    public static let schema: Swift.String = _lines.joined(separator: "\n")

    private static let _lines: [Swift.String] = [
        "# Every kind of field that generated code meets, and names that are awkward there.",
        "",
        "\"\"\"",
        "A book of one branch.",
        "Comment ends */ and \"$quotes\" stay text.",
        "\"\"\"",
        "type Book @entity(strategy: LAST_WRITE_WINS, scope: \"branch/{branch}/{shelf}\")",
        "  @audience(scope: \"reader/{reader}\", hide: [price, notes], write: [state]) {",
        "  id: ID!",
        "  branch: ID!",
        "  shelf: Int!",
        "  reader: ID",
        "  \"In euros.\"",
        "  price: Decimal! @decimal(precision: 8, scale: 2)",
        "  pages: Int",
        "  bytes: Int64",
        "  weight: Float",
        "  lent: Boolean! @default(value: false)",
        "  due: Date",
        "  opens: LocalTime",
        "  meets: ZonedDateTime",
        "  bought: Instant",
        "  cover: Blob",
        "  scan: Bytes",
        "  extra: JSON",
        "  state: State!",
        "  place: Place",
        "  authors: [String!]",
        "  notes: [State!] @set",
        "  string: String",
        "  object: String",
        "}",
        "",
        "type Copy @entity(strategy: CRDT, parent: \"book\") {",
        "  id: ID!",
        "  book: Book! @ref(onDelete: CASCADE)",
        "  tags: [String!] @set",
        "  read: Counter",
        "  remarks: Text",
        "  edit: String!",
        "  isPending: Boolean",
        "}",
        "",
        "\"Not synced, and written like others.\"",
        "type Draft @local {",
        "  id: ID!",
        "  text: String @search",
        "}",
        "",
        "\"The same for every account, which all read and none writes.\"",
        "type Author @entity(strategy: LAST_WRITE_WINS, scope: \"authors\") @shared {",
        "  id: ID!",
        "  name: String! @search",
        "  born: Date",
        "}",
        "",
        "\"Below a shared type, and so shared, too.\"",
        "type Pseudonym @entity(strategy: LAST_WRITE_WINS, parent: \"author\") {",
        "  id: ID!",
        "  author: Author! @ref(onDelete: CASCADE)",
        "  name: String",
        "}",
        "",
        "\"Takes the name of Kotlin's own.\"",
        "type List @entity(strategy: LAST_WRITE_WINS, scope: \"lists\") {",
        "  id: ID!",
        "  items: [String!]",
        "}",
        "",
        "enum State {",
        "  ON_SHELF",
        "  LENT",
        "  Unknown",
        "}",
        "",
        "\"One register.\"",
        "type Place @value {",
        "  room: String!",
        "  at: Geo",
        "  since: Date",
        "  fee: Decimal @decimal(precision: 6, scale: 2)",
        "}",
        "",
        "type Geo @value {",
        "  lat: Float!",
        "  lon: Float!",
        "}",
        "",
    ]

    /// Open an account's file, or make it; see `LandfallClient.open`.
    public static func open(
        path: Swift.String,
        subject: Swift.String,
        regions: [Landfall.Region],
        tenant: Swift.String = "",
        startOffline: Swift.Bool = false,
        diskBytesMax: Swift.UInt64? = nil,
        network: Landfall.NetworkOptions? = nil,
        tokens: @escaping Landfall.Tokens
    ) async throws -> Library {
        let options = Landfall.OpenOptions(
            path: path, schema: schema, tenant: tenant, subject: subject, regions: regions,
            startOffline: startOffline, diskBytesMax: diskBytesMax, network: network)
        return Library(try await Landfall.LandfallClient.open(options, tokens: tokens))
    }
}

/// The same for every account, which all read and none writes.
public struct Author: Landfall.EntityRow, Landfall.SearchedRow, Swift.Hashable, Swift.Identifiable {
    public let id: String
    public let name: String
    public let born: Landfall.LocalDate?
    /// Some of it is not yet held by enough regions.
    public let isPending: Swift.Bool

    public init(
        id: String,
        name: String,
        born: Landfall.LocalDate? = nil,
        isPending: Swift.Bool = false
    ) {
        self.id = id
        self.name = name
        self.born = born
        self.isPending = isPending
    }

    /// What changes of a row; what is not set stays as it is.
    public struct Edit: Landfall.EntityEdit {
        public var _changes: [Landfall.Change] = []

        public init() {}

        public var name: String {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("name", Landfall.Codecs.string, newValue) }
        }

        public var born: Landfall.LocalDate? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("born", Landfall.Codecs.date, newValue) }
        }
    }

    /// Columns, for conditions and orders.
    public struct Columns: Swift.Sendable {
        public let id = Landfall.Column<String>("id", Landfall.Codecs.string)
        public let name = Landfall.Column<String>("name", Landfall.Codecs.string)
        public let born = Landfall.Column<Landfall.LocalDate>("born", Landfall.Codecs.date)
    }

    public static let _kind: Swift.String = "Author"
    public static let _columns: Columns = Columns()

    /// A row of this type, from any query that has all its columns.
    public static func read(_ row: Landfall.RowView) throws -> Author {
        Author(
            id: try row.required("id", Landfall.Codecs.string),
            name: try row.required("name", Landfall.Codecs.string),
            born: try row.optional("born", Landfall.Codecs.date),
            isPending: try row.required("_pending", Landfall.Codecs.bool)
        )
    }
}

extension Landfall.Writes where TableRow == Author {
    /// Create it, or change it: for who publishes the type, as a test of the app may. What a device writes of it is refused with `LF2121`.
    public func upsert(
        _ id: Swift.String, name: String, _ edit: (inout Author.Edit) -> Swift.Void = { _ in }
    ) {
        _put(
            id,
            [
                .put(field: "name", value: Landfall.Codecs.string.toValue(name)),
            ],
            edit)
    }
}

/// A book of one branch.
/// Comment ends */ and "$quotes" stay text.
public struct Book: Landfall.WrittenRow, Swift.Hashable, Swift.Identifiable {
    public let id: String
    public let branch: String
    public let shelf: Int
    public let reader: String?
    /// In euros.
    ///
    /// Not everybody who sees the row sees this.
    public let price: Foundation.Decimal?
    public let pages: Int?
    public let bytes: Int64?
    public let weight: Double?
    public let lent: Bool
    public let due: Landfall.LocalDate?
    public let opens: Landfall.LocalTime?
    public let meets: Landfall.ZonedDateTime?
    public let bought: Foundation.Date?
    public let cover: String?
    public let scan: Foundation.Data?
    public let extra: String?
    public let state: State
    public let place: Place?
    public let authors: [String]?
    /// Not everybody who sees the row sees this.
    public let notes: Set<State>?
    public let string: String?
    public let object: String?
    /// Some of it is not yet held by enough regions.
    public let isPending: Swift.Bool

    public init(
        id: String,
        branch: String,
        shelf: Int,
        reader: String? = nil,
        price: Foundation.Decimal? = nil,
        pages: Int? = nil,
        bytes: Int64? = nil,
        weight: Double? = nil,
        lent: Bool,
        due: Landfall.LocalDate? = nil,
        opens: Landfall.LocalTime? = nil,
        meets: Landfall.ZonedDateTime? = nil,
        bought: Foundation.Date? = nil,
        cover: String? = nil,
        scan: Foundation.Data? = nil,
        extra: String? = nil,
        state: State,
        place: Place? = nil,
        authors: [String]? = nil,
        notes: Set<State>? = nil,
        string: String? = nil,
        object: String? = nil,
        isPending: Swift.Bool = false
    ) {
        self.id = id
        self.branch = branch
        self.shelf = shelf
        self.reader = reader
        self.price = price
        self.pages = pages
        self.bytes = bytes
        self.weight = weight
        self.lent = lent
        self.due = due
        self.opens = opens
        self.meets = meets
        self.bought = bought
        self.cover = cover
        self.scan = scan
        self.extra = extra
        self.state = state
        self.place = place
        self.authors = authors
        self.notes = notes
        self.string = string
        self.object = object
        self.isPending = isPending
    }

    /// What changes of a row; what is not set stays as it is.
    public struct Edit: Landfall.EntityEdit {
        public var _changes: [Landfall.Change] = []

        public init() {}

        public var reader: String? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("reader", Landfall.Codecs.string, newValue) }
        }

        /// In euros.
        public var price: Foundation.Decimal {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("price", Landfall.Codecs.decimal(2), newValue) }
        }

        public var pages: Int? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("pages", Landfall.Codecs.int, newValue) }
        }

        public var bytes: Int64? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("bytes", Landfall.Codecs.int64, newValue) }
        }

        public var weight: Double? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("weight", Landfall.Codecs.double, newValue) }
        }

        public var lent: Bool {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("lent", Landfall.Codecs.bool, newValue) }
        }

        public var due: Landfall.LocalDate? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("due", Landfall.Codecs.date, newValue) }
        }

        public var opens: Landfall.LocalTime? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("opens", Landfall.Codecs.localTime, newValue) }
        }

        public var meets: Landfall.ZonedDateTime? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("meets", Landfall.Codecs.zonedDateTime, newValue) }
        }

        public var bought: Foundation.Date? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("bought", Landfall.Codecs.instant, newValue) }
        }

        public var cover: String? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("cover", Landfall.Codecs.string, newValue) }
        }

        public var scan: Foundation.Data? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("scan", Landfall.Codecs.bytes, newValue) }
        }

        public var extra: String? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("extra", Landfall.Codecs.json, newValue) }
        }

        public var state: State {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("state", State._codec, newValue) }
        }

        public var place: Place? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("place", Place._codec, newValue) }
        }

        public var authors: [String]? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("authors", Landfall.Codecs.list(Landfall.Codecs.string), newValue) }
        }

        public var notes: Landfall.SetEdit<State> {
            get { Landfall.SetEdit<State>("notes", State._codec) }
            set { _changes += newValue._changes }
        }

        public var string: String? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("string", Landfall.Codecs.string, newValue) }
        }

        public var object: String? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("object", Landfall.Codecs.string, newValue) }
        }
    }

    /// Columns, for conditions and orders.
    public struct Columns: Swift.Sendable {
        public let id = Landfall.Column<String>("id", Landfall.Codecs.string)
        public let branch = Landfall.Column<String>("branch", Landfall.Codecs.string)
        public let shelf = Landfall.Column<Int>("shelf", Landfall.Codecs.int)
        public let reader = Landfall.Column<String>("reader", Landfall.Codecs.string)
        public let price = Landfall.Column<Foundation.Decimal>("price", Landfall.Codecs.decimal(2))
        public let pages = Landfall.Column<Int>("pages", Landfall.Codecs.int)
        public let bytes = Landfall.Column<Int64>("bytes", Landfall.Codecs.int64)
        public let weight = Landfall.Column<Double>("weight", Landfall.Codecs.double)
        public let lent = Landfall.Column<Bool>("lent", Landfall.Codecs.bool)
        public let due = Landfall.Column<Landfall.LocalDate>("due", Landfall.Codecs.date)
        public let opens = Landfall.Column<Landfall.LocalTime>("opens", Landfall.Codecs.localTime)
        public let meets = Landfall.Column<Landfall.ZonedDateTime>("meets", Landfall.Codecs.zonedDateTime)
        public let bought = Landfall.Column<Foundation.Date>("bought", Landfall.Codecs.instant)
        public let cover = Landfall.Column<String>("cover", Landfall.Codecs.string)
        public let scan = Landfall.Column<Foundation.Data>("scan", Landfall.Codecs.bytes)
        public let extra = Landfall.Column<String>("extra", Landfall.Codecs.json)
        public let state = Landfall.Column<State>("state", State._codec)
        public let string = Landfall.Column<String>("string", Landfall.Codecs.string)
        public let object = Landfall.Column<String>("object", Landfall.Codecs.string)
    }

    public static let _kind: Swift.String = "Book"
    public static let _columns: Columns = Columns()

    /// A row of this type, from any query that has all its columns.
    public static func read(_ row: Landfall.RowView) throws -> Book {
        Book(
            id: try row.required("id", Landfall.Codecs.string),
            branch: try row.required("branch", Landfall.Codecs.string),
            shelf: try row.required("shelf", Landfall.Codecs.int),
            reader: try row.optional("reader", Landfall.Codecs.string),
            price: try row.optional("price", Landfall.Codecs.decimal(2)),
            pages: try row.optional("pages", Landfall.Codecs.int),
            bytes: try row.optional("bytes", Landfall.Codecs.int64),
            weight: try row.optional("weight", Landfall.Codecs.double),
            lent: try row.required("lent", Landfall.Codecs.bool),
            due: try row.optional("due", Landfall.Codecs.date),
            opens: try row.optional("opens", Landfall.Codecs.localTime),
            meets: try row.optional("meets", Landfall.Codecs.zonedDateTime),
            bought: try row.optional("bought", Landfall.Codecs.instant),
            cover: try row.optional("cover", Landfall.Codecs.string),
            scan: try row.optional("scan", Landfall.Codecs.bytes),
            extra: try row.optional("extra", Landfall.Codecs.json),
            state: try row.required("state", State._codec),
            place: try row.optional("place", Place._codec),
            authors: try row.optional("authors", Landfall.Codecs.list(Landfall.Codecs.string)),
            notes: try row.optional("notes", Landfall.Codecs.set(State._codec)),
            string: try row.optional("string", Landfall.Codecs.string),
            object: try row.optional("object", Landfall.Codecs.string),
            isPending: try row.required("_pending", Landfall.Codecs.bool)
        )
    }
}

extension Landfall.Writes where TableRow == Book {
    /// Create it, or change it where this device knows it.
    public func upsert(
        _ id: Swift.String, branch: String, shelf: Int, price: Foundation.Decimal, state: State, _ edit: (inout Book.Edit) -> Swift.Void = { _ in }
    ) {
        _put(
            id,
            [
                .put(field: "branch", value: Landfall.Codecs.string.toValue(branch)),
                .put(field: "shelf", value: Landfall.Codecs.int.toValue(shelf)),
                .put(field: "price", value: Landfall.Codecs.decimal(2).toValue(price)),
                .put(field: "state", value: State._codec.toValue(state)),
            ],
            edit)
    }
}

extension Landfall.Table where TableRow == Book {
    /// Create it, or change it where this device knows it.
    @discardableResult
    public func upsert(
        _ id: Swift.String, branch: String, shelf: Int, price: Foundation.Decimal, state: State, _ edit: @Sendable (inout Book.Edit) -> Swift.Void = { _ in }
    ) async throws -> Landfall.Receipt {
        try await _write { $0.upsert(id, branch: branch, shelf: shelf, price: price, state: state, edit) }
    }
}

public struct Copy: Landfall.WrittenRow, Swift.Hashable, Swift.Identifiable {
    public let id: String
    public let book: String
    public let tags: Set<String>
    public let read: Int64
    public let remarks: String
    public let edit: String
    public let isPending: Bool?

    public init(
        id: String,
        book: String,
        tags: Set<String>,
        read: Int64,
        remarks: String,
        edit: String,
        isPending: Bool? = nil
    ) {
        self.id = id
        self.book = book
        self.tags = tags
        self.read = read
        self.remarks = remarks
        self.edit = edit
        self.isPending = isPending
    }

    /// What changes of a row; what is not set stays as it is.
    public struct Edit: Landfall.EntityEdit {
        public var _changes: [Landfall.Change] = []

        public init() {}

        public var tags: Landfall.SetEdit<String> {
            get { Landfall.SetEdit<String>("tags", Landfall.Codecs.string) }
            set { _changes += newValue._changes }
        }

        public var read: Landfall.CounterEdit {
            get { Landfall.CounterEdit("read") }
            set { _changes += newValue._changes }
        }

        public var remarks: Landfall.TextEdit {
            get { Landfall.TextEdit("remarks") }
            set { _changes += newValue._changes }
        }

        public var edit: String {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("edit", Landfall.Codecs.string, newValue) }
        }

        public var isPending: Bool? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("isPending", Landfall.Codecs.bool, newValue) }
        }
    }

    /// Columns, for conditions and orders.
    public struct Columns: Swift.Sendable {
        public let id = Landfall.Column<String>("id", Landfall.Codecs.string)
        public let book = Landfall.Column<String>("book", Landfall.Codecs.string)
        public let read = Landfall.Column<Int64>("read", Landfall.Codecs.int64)
        public let remarks = Landfall.Column<String>("remarks", Landfall.Codecs.string)
        public let edit = Landfall.Column<String>("edit", Landfall.Codecs.string)
        public let isPending = Landfall.Column<Bool>("isPending", Landfall.Codecs.bool)
    }

    public static let _kind: Swift.String = "Copy"
    public static let _columns: Columns = Columns()

    /// A row of this type, from any query that has all its columns.
    public static func read(_ row: Landfall.RowView) throws -> Copy {
        Copy(
            id: try row.required("id", Landfall.Codecs.string),
            book: try row.required("book", Landfall.Codecs.string),
            tags: try row.optional("tags", Landfall.Codecs.set(Landfall.Codecs.string)) ?? [],
            read: try row.optional("read", Landfall.Codecs.int64) ?? 0,
            remarks: try row.optional("remarks", Landfall.Codecs.string) ?? "",
            edit: try row.required("edit", Landfall.Codecs.string),
            isPending: try row.optional("isPending", Landfall.Codecs.bool)
        )
    }
}

extension Landfall.Writes where TableRow == Copy {
    /// Create it, or change it where this device knows it.
    public func upsert(
        _ id: Swift.String, book: String, edit: String, _ edit_: (inout Copy.Edit) -> Swift.Void = { _ in }
    ) {
        _put(
            id,
            [
                .put(field: "book", value: Landfall.Codecs.string.toValue(book)),
                .put(field: "edit", value: Landfall.Codecs.string.toValue(edit)),
            ],
            edit_)
    }
}

extension Landfall.Table where TableRow == Copy {
    /// Create it, or change it where this device knows it.
    @discardableResult
    public func upsert(
        _ id: Swift.String, book: String, edit: String, _ edit_: @Sendable (inout Copy.Edit) -> Swift.Void = { _ in }
    ) async throws -> Landfall.Receipt {
        try await _write { $0.upsert(id, book: book, edit: edit, edit_) }
    }
}

/// Not synced, and written like others.
public struct Draft: Landfall.WrittenRow, Landfall.SearchedRow, Swift.Hashable, Swift.Identifiable {
    public let id: String
    public let text: String?
    /// Some of it is not yet held by enough regions.
    public let isPending: Swift.Bool

    public init(
        id: String,
        text: String? = nil,
        isPending: Swift.Bool = false
    ) {
        self.id = id
        self.text = text
        self.isPending = isPending
    }

    /// What changes of a row; what is not set stays as it is.
    public struct Edit: Landfall.EntityEdit {
        public var _changes: [Landfall.Change] = []

        public init() {}

        public var text: String? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("text", Landfall.Codecs.string, newValue) }
        }
    }

    /// Columns, for conditions and orders.
    public struct Columns: Swift.Sendable {
        public let id = Landfall.Column<String>("id", Landfall.Codecs.string)
        public let text = Landfall.Column<String>("text", Landfall.Codecs.string)
    }

    public static let _kind: Swift.String = "Draft"
    public static let _columns: Columns = Columns()

    /// A row of this type, from any query that has all its columns.
    public static func read(_ row: Landfall.RowView) throws -> Draft {
        Draft(
            id: try row.required("id", Landfall.Codecs.string),
            text: try row.optional("text", Landfall.Codecs.string),
            isPending: try row.required("_pending", Landfall.Codecs.bool)
        )
    }
}

extension Landfall.Writes where TableRow == Draft {
    /// Create it, or change it where this device knows it.
    public func upsert(
        _ id: Swift.String, _ edit: (inout Draft.Edit) -> Swift.Void = { _ in }
    ) {
        _put(
            id,
            [],
            edit)
    }
}

extension Landfall.Table where TableRow == Draft {
    /// Create it, or change it where this device knows it.
    @discardableResult
    public func upsert(
        _ id: Swift.String, _ edit: @Sendable (inout Draft.Edit) -> Swift.Void = { _ in }
    ) async throws -> Landfall.Receipt {
        try await _write { $0.upsert(id, edit) }
    }
}

/// Takes the name of Kotlin's own.
public struct List: Landfall.WrittenRow, Swift.Hashable, Swift.Identifiable {
    public let id: String
    public let items: [String]?
    /// Some of it is not yet held by enough regions.
    public let isPending: Swift.Bool

    public init(
        id: String,
        items: [String]? = nil,
        isPending: Swift.Bool = false
    ) {
        self.id = id
        self.items = items
        self.isPending = isPending
    }

    /// What changes of a row; what is not set stays as it is.
    public struct Edit: Landfall.EntityEdit {
        public var _changes: [Landfall.Change] = []

        public init() {}

        public var items: [String]? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("items", Landfall.Codecs.list(Landfall.Codecs.string), newValue) }
        }
    }

    /// Columns, for conditions and orders.
    public struct Columns: Swift.Sendable {
        public let id = Landfall.Column<String>("id", Landfall.Codecs.string)
    }

    public static let _kind: Swift.String = "List"
    public static let _columns: Columns = Columns()

    /// A row of this type, from any query that has all its columns.
    public static func read(_ row: Landfall.RowView) throws -> List {
        List(
            id: try row.required("id", Landfall.Codecs.string),
            items: try row.optional("items", Landfall.Codecs.list(Landfall.Codecs.string)),
            isPending: try row.required("_pending", Landfall.Codecs.bool)
        )
    }
}

extension Landfall.Writes where TableRow == List {
    /// Create it, or change it where this device knows it.
    public func upsert(
        _ id: Swift.String, _ edit: (inout List.Edit) -> Swift.Void = { _ in }
    ) {
        _put(
            id,
            [],
            edit)
    }
}

extension Landfall.Table where TableRow == List {
    /// Create it, or change it where this device knows it.
    @discardableResult
    public func upsert(
        _ id: Swift.String, _ edit: @Sendable (inout List.Edit) -> Swift.Void = { _ in }
    ) async throws -> Landfall.Receipt {
        try await _write { $0.upsert(id, edit) }
    }
}

/// Below a shared type, and so shared, too.
public struct Pseudonym: Landfall.EntityRow, Swift.Hashable, Swift.Identifiable {
    public let id: String
    public let author: String
    public let name: String?
    /// Some of it is not yet held by enough regions.
    public let isPending: Swift.Bool

    public init(
        id: String,
        author: String,
        name: String? = nil,
        isPending: Swift.Bool = false
    ) {
        self.id = id
        self.author = author
        self.name = name
        self.isPending = isPending
    }

    /// What changes of a row; what is not set stays as it is.
    public struct Edit: Landfall.EntityEdit {
        public var _changes: [Landfall.Change] = []

        public init() {}

        public var name: String? {
            @available(*, unavailable, message: "an edit does not know the row")
            get { Swift.fatalError() }
            set { _put("name", Landfall.Codecs.string, newValue) }
        }
    }

    /// Columns, for conditions and orders.
    public struct Columns: Swift.Sendable {
        public let id = Landfall.Column<String>("id", Landfall.Codecs.string)
        public let author = Landfall.Column<String>("author", Landfall.Codecs.string)
        public let name = Landfall.Column<String>("name", Landfall.Codecs.string)
    }

    public static let _kind: Swift.String = "Pseudonym"
    public static let _columns: Columns = Columns()

    /// A row of this type, from any query that has all its columns.
    public static func read(_ row: Landfall.RowView) throws -> Pseudonym {
        Pseudonym(
            id: try row.required("id", Landfall.Codecs.string),
            author: try row.required("author", Landfall.Codecs.string),
            name: try row.optional("name", Landfall.Codecs.string),
            isPending: try row.required("_pending", Landfall.Codecs.bool)
        )
    }
}

extension Landfall.Writes where TableRow == Pseudonym {
    /// Create it, or change it: for who publishes the type, as a test of the app may. What a device writes of it is refused with `LF2121`.
    public func upsert(
        _ id: Swift.String, author: String, _ edit: (inout Pseudonym.Edit) -> Swift.Void = { _ in }
    ) {
        _put(
            id,
            [
                .put(field: "author", value: Landfall.Codecs.string.toValue(author)),
            ],
            edit)
    }
}

public struct Geo: Swift.Sendable, Swift.Hashable {
    public var lat: Double
    public var lon: Double

    public init(lat: Double, lon: Double) {
        self.lat = lat
        self.lon = lon
    }

    public static let _codec: Landfall.Codec<Geo> = Landfall.Codecs.object(
        write: { (value: Geo) -> [Landfall.Json.Member] in
            [
                Landfall.Codecs.double.member("lat", value.lat),
                Landfall.Codecs.double.member("lon", value.lon),
            ]
        },
        read: { (members: Landfall.Members) throws -> Geo in
            Geo(
                lat: try members.required("lat", Landfall.Codecs.double),
                lon: try members.required("lon", Landfall.Codecs.double)
            )
        })
}

/// One register.
public struct Place: Swift.Sendable, Swift.Hashable {
    public var room: String
    public var at: Geo?
    public var since: Landfall.LocalDate?
    public var fee: Foundation.Decimal?

    public init(room: String, at: Geo? = nil, since: Landfall.LocalDate? = nil, fee: Foundation.Decimal? = nil) {
        self.room = room
        self.at = at
        self.since = since
        self.fee = fee
    }

    public static let _codec: Landfall.Codec<Place> = Landfall.Codecs.object(
        write: { (value: Place) -> [Landfall.Json.Member] in
            [
                Landfall.Codecs.string.member("room", value.room),
                Geo._codec.member("at", value.at),
                Landfall.Codecs.date.member("since", value.since),
                Landfall.Codecs.decimal(2).member("fee", value.fee),
            ]
        },
        read: { (members: Landfall.Members) throws -> Place in
            Place(
                room: try members.required("room", Landfall.Codecs.string),
                at: try members.optional("at", Geo._codec),
                since: try members.optional("since", Landfall.Codecs.date),
                fee: try members.optional("fee", Landfall.Codecs.decimal(2))
            )
        })
}

public enum State: Swift.Sendable, Swift.Hashable {
    case onShelf
    case lent
    case unknown
    /// A member that this version of the app does not know. It is written back as it is.
    case unknown_(Swift.String)

    /// The member of this name.
    public init(_ name: Swift.String) {
        switch name {
        case "ON_SHELF": self = .onShelf
        case "LENT": self = .lent
        case "Unknown": self = .unknown
        default: self = .unknown_(name)
        }
    }

    /// As the schema calls it.
    public var name: Swift.String {
        switch self {
        case .onShelf: return "ON_SHELF"
        case .lent: return "LENT"
        case .unknown: return "Unknown"
        case let .unknown_(name): return name
        }
    }

    public static let _codec: Landfall.Codec<State> = Landfall.Codecs.text({ $0.name }, { State($0) })
}
