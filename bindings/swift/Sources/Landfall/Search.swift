/// What generated code has for each entity type of which fields have `@search`.
public protocol SearchedRow: EntityRow {}

/// A row that was found.
public struct Found<TableRow: Sendable>: Sendable {
    public let row: TableRow
    /// Lower for better.
    public let rank: Double
    /// A piece of the field in which the most was found, with marks around what was.
    public let snippet: String
    /// Searched fields as a whole, marked, by their names; see `SearchBuilder.highlight`.
    public let marked: [String: String]
}

/// What a search asks besides its words.
public struct SearchBuilder {
    private var syntax = SearchSyntax.words
    private var fields: [String] = []
    private var condition: Condition?
    private var rowsMax: UInt32?
    private var around: Marks?
    private var words: UInt8?
    private var isHighlighted = false

    init() {}

    /// The text is still being typed: its last word may go on, unless a space follows it.
    public mutating func asTyped() { syntax = .asTyped }

    /// The text is an expression of FTS5. For the app's own words, not for those of its users.
    public mutating func raw() { syntax = .raw }

    /// Look only in these fields.
    public mutating func within(_ fields: any NamedColumn...) { self.fields = fields.map { $0.name } }

    /// Only rows that fulfil this, too; a second call asks for both.
    public mutating func filter(_ condition: Condition) {
        self.condition = self.condition.map { $0 && condition } ?? condition
    }

    /// At most so many rows, the best ones; 50 unless said otherwise.
    public mutating func limit(_ rows: Int) {
        precondition(rows >= 0, "a search finds no negative number of rows")
        rowsMax = UInt32(clamping: rows)
    }

    /// What stands around a word that was found; `[` and `]` unless said otherwise.
    public mutating func marks(_ before: String, _ behind: String) {
        around = Marks(before: before, behind: behind)
    }

    /// Length of the snippet, in words, 1 to 64; 16 unless said otherwise.
    public mutating func snippetWords(_ words: Int) { self.words = UInt8(min(max(words, 1), 64)) }

    /// Also each searched field as a whole, marked.
    public mutating func highlight() { isHighlighted = true }

    func search(_ kind: String, _ text: String) -> Search {
        Search(
            kind: kind, text: text, syntax: syntax, fields: fields, filter: condition?.sql,
            params: condition?.params ?? [], limit: rowsMax, marks: around, snippetWords: words,
            highlight: isHighlighted)
    }
}

extension Table where TableRow: SearchedRow {
    /// Rows that hold all words of `text`, in any of the searched fields and any order, the best first.
    /// `bread*` finds what begins with it; words in quotes stand one behind the other. No text is refused.
    /// Rows that this version of the app cannot read are left out.
    public func search(
        _ text: String, _ how: (inout SearchBuilder, TableRow.Columns) -> Void = { _, _ in }
    ) async throws -> [Found<TableRow>] {
        let rows = try await client.search(asked(text, how))
        return rows.compactMap { try? Self.found($0) }
    }

    /// The same, now and whenever it changes. A slow reader sees the newest.
    public func observeSearch(
        _ text: String, _ how: (inout SearchBuilder, TableRow.Columns) -> Void = { _, _ in }
    ) -> LiveRows<Found<TableRow>> {
        LiveRows(client.observeSearch(asked(text, how)) { try Self.found($0) })
    }

    private func asked(_ text: String, _ how: (inout SearchBuilder, TableRow.Columns) -> Void) -> Search {
        var builder = SearchBuilder()
        how(&builder, TableRow._columns)
        return builder.search(TableRow._kind, text)
    }

    private static func found(_ row: RowView) throws -> Found<TableRow> {
        let prefix = "_marked_"
        var marked: [String: String] = [:]
        for name in row.columns.names where name.hasPrefix(prefix) {
            marked[String(name.dropFirst(prefix.count))] = try row.optional(name, Codecs.string) ?? ""
        }
        return Found(
            row: try TableRow.read(row), rank: try row.required("_rank", Codecs.double),
            snippet: try row.optional("_snippet", Codecs.string) ?? "", marked: marked)
    }
}
