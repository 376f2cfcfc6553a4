/// What generated code has for each entity type: a row of it.
public protocol EntityRow: Sendable {
    /// What an edit can change of it.
    associatedtype Edit: EntityEdit
    /// Its columns, for conditions and orders.
    associatedtype Columns: Sendable

    /// The entity type's name in the schema.
    static var _kind: String { get }
    static var _columns: Columns { get }

    /// A row of this type, from any query that has all its columns.
    static func read(_ row: RowView) throws -> Self
}

extension EntityRow {
    /// Its columns, for what another type's window includes and what it is read by.
    public static var columns: Columns { _columns }
}

/// A row of a type that devices write, too: of all but those that are `@shared`.
public protocol WrittenRow: EntityRow {}

/// What can be written to one entity type within a transaction; generated code adds `upsert`.
public struct Writes<TableRow: EntityRow> {
    private let batch: Batch

    public init(_ batch: Batch) {
        self.batch = batch
    }

    /// Change an entity that is there. `home`: its home scope, where several have this id.
    public func update(
        _ id: String, home: String? = nil, _ edit: (inout TableRow.Edit) -> Void
    ) {
        var changed = TableRow.Edit()
        edit(&changed)
        batch.add(kind: TableRow._kind, id: id, action: .update, home: home, changes: changed._changes)
    }

    /// Delete an entity that is there.
    public func delete(_ id: String, home: String? = nil) {
        batch.add(kind: TableRow._kind, id: id, action: .delete, home: home, changes: [])
    }

    /// For generated code: create an entity or change it. `given` is what a new one needs.
    public func _put(_ id: String, _ given: [Change], _ edit: (inout TableRow.Edit) -> Void) {
        var changed = TableRow.Edit()
        changed._changes = given
        edit(&changed)
        batch.add(kind: TableRow._kind, id: id, action: .upsert, home: nil, changes: changed._changes)
    }
}

/// One entity type's table: its rows, its live queries, and its writes where devices write it (`WrittenRow`).
///
/// A row that is absent here may exist all the same, unless `Update.coverage` says that everything is
/// on this device.
public struct Table<TableRow: EntityRow>: Sendable {
    let client: LandfallClient

    public init(_ client: LandfallClient) {
        self.client = client
    }

    /// The entity's row, if this device has it. Fails with `LandfallError.unreadable` if this version of
    /// the app cannot read it.
    public func get(_ id: String) async throws -> TableRow? {
        guard let row = try await client.get(TableRow._kind, id) else { return nil }
        do {
            return try TableRow.read(row)
        } catch {
            throw LandfallError.unreadable(UnreadableRow(row: row, cause: error))
        }
    }

    /// The rows of a window, now and whenever they change. A slow reader sees the newest. Rows that this
    /// version of the app cannot read are left out; `observeChanges` has them.
    public func observe(
        _ window: (inout WindowBuilder, TableRow.Columns) -> Void = { _, _ in }
    ) -> LiveRows<TableRow> {
        LiveRows(observeChanges(window))
    }

    /// The same with what changed and what is on this device. Each update comes, in turn.
    public func observeChanges(
        _ window: (inout WindowBuilder, TableRow.Columns) -> Void = { _, _ in }
    ) -> LiveUpdates<TableRow> {
        var asked = WindowBuilder()
        window(&asked, TableRow._columns)
        return client.observe(asked.query(TableRow._kind)) { try TableRow.read($0) }
    }

    /// The rows of a window, with the columns of other rows that it includes.
    public func observeIncluding(
        _ window: (inout WindowBuilder, TableRow.Columns) -> Void
    ) -> LiveRows<Including<TableRow>> {
        var asked = WindowBuilder()
        window(&asked, TableRow._columns)
        return LiveRows(
            client.observe(asked.query(TableRow._kind)) { row in Including(row: try TableRow.read(row), view: row) })
    }

    /// See `LandfallClient.explain`.
    public func explain(_ id: String, home: String? = nil) async throws -> Explanation {
        try await client.explain(TableRow._kind, id, home: home)
    }
}

extension Table where TableRow: WrittenRow {
    /// Change an entity that is there.
    @discardableResult
    public func update(
        _ id: String, home: String? = nil, _ edit: @Sendable (inout TableRow.Edit) -> Void
    ) async throws -> Receipt {
        try await _write { $0.update(id, home: home, edit) }
    }

    /// Delete an entity that is there.
    @discardableResult
    public func delete(_ id: String, home: String? = nil) async throws -> Receipt {
        try await _write { $0.delete(id, home: home) }
    }

    /// See `LandfallClient.restore`.
    @discardableResult
    public func restore(home: String, id: String) async throws -> Receipt {
        try await client.restore(TableRow._kind, home: home, id: id)
    }

    /// For generated code: several writes of this type as one transaction.
    public func _write(_ work: @Sendable (Writes<TableRow>) -> Void) async throws -> Receipt {
        try await client.write { work(Writes($0)) }
    }
}
