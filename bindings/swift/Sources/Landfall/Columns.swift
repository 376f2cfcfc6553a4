/// A column, whatever it holds.
public protocol NamedColumn: Sendable {
    /// As the schema calls it.
    var name: String { get }
}

/// One column of a table, for conditions and orders.
public struct Column<Held: Sendable>: NamedColumn {
    public let name: String
    let codec: Codec<Held>

    public init(_ name: String, _ codec: Codec<Held>) {
        self.name = name
        self.codec = codec
    }

    public static func == (column: Column<Held>, value: Held) -> Condition { column.compared("=", value) }
    public static func != (column: Column<Held>, value: Held) -> Condition { column.compared("<>", value) }
    public static func < (column: Column<Held>, value: Held) -> Condition { column.compared("<", value) }
    public static func <= (column: Column<Held>, value: Held) -> Condition { column.compared("<=", value) }
    public static func > (column: Column<Held>, value: Held) -> Condition { column.compared(">", value) }
    public static func >= (column: Column<Held>, value: Held) -> Condition { column.compared(">=", value) }

    /// The column holds nothing.
    public var isNull: Condition { Condition("\(quoted) IS NULL", []) }

    /// The column holds something.
    public var isNotNull: Condition { Condition("\(quoted) IS NOT NULL", []) }

    /// The column holds one of these.
    public func within(_ values: [Held]) -> Condition {
        let places = values.map { _ in "?" }.joined(separator: ", ")
        return Condition("\(quoted) IN (\(places))", values.map(codec.toColumn))
    }

    private func compared(_ comparison: String, _ value: Held) -> Condition {
        Condition("\(quoted) \(comparison) ?", [codec.toColumn(value)])
    }

    private var quoted: String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}

/// What rows must fulfil: an SQL expression with its parameters.
public struct Condition: Sendable {
    let sql: String
    let params: [SqlValue]

    init(_ sql: String, _ params: [SqlValue]) {
        self.sql = sql
        self.params = params
    }

    public static func && (one: Condition, other: Condition) -> Condition {
        Condition("(\(one.sql)) AND (\(other.sql))", one.params + other.params)
    }

    public static func || (one: Condition, other: Condition) -> Condition {
        Condition("(\(one.sql)) OR (\(other.sql))", one.params + other.params)
    }

    public static prefix func ! (condition: Condition) -> Condition {
        Condition("NOT (\(condition.sql))", condition.params)
    }
}

/// The window of a table that a live query shows: which rows, in which order, how many.
public struct WindowBuilder {
    private var condition: Condition?
    private var order: [OrderBy] = []
    private var rowsMax: UInt64?
    private var includes: [Include] = []

    init() {}

    /// Only rows that fulfil this; a second call asks for both.
    public mutating func filter(_ condition: Condition) {
        self.condition = self.condition.map { $0 && condition } ?? condition
    }

    /// Smallest first; further calls order what is equal so far.
    public mutating func ascending<Held>(_ column: Column<Held>) {
        order.append(OrderBy(column: column.name, descending: false))
    }

    /// Largest first; further calls order what is equal so far.
    public mutating func descending<Held>(_ column: Column<Held>) {
        order.append(OrderBy(column: column.name, descending: true))
    }

    /// At most so many rows.
    public mutating func limit(_ rows: Int) {
        precondition(rows >= 0, "a window has no negative number of rows")
        rowsMax = UInt64(rows)
    }

    /// Show columns of the row that a reference leads to, such as a parent's. `Table.observeIncluding` has
    /// them; a change of that row updates the rows that show it.
    public mutating func include(_ reference: any NamedColumn, _ columns: any NamedColumn...) {
        includes.append(Include(reference: reference.name, columns: columns.map { $0.name }))
    }

    func query(_ table: String) -> Query {
        Query(
            table: table, filter: condition?.sql, params: condition?.params ?? [], order: order, limit: rowsMax,
            includes: includes)
    }
}

/// A row with columns of the rows that it refers to.
public struct Including<TableRow: Sendable>: Sendable {
    public let row: TableRow
    let view: RowView

    /// A column of the row that a reference leads to; nothing where it leads to no row of this device.
    public subscript<Held>(_ reference: any NamedColumn, _ column: Column<Held>) -> Held? {
        get throws { try view.optional("\(reference.name).\(column.name)", column.codec) }
    }
}
