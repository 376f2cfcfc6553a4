/// Names of columns and where each stands.
public struct ColumnNames: Sendable {
    public let names: [String]
    private let places: [String: Int]

    package init(_ names: [String]) {
        self.names = names
        places = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }

    func place(_ name: String) throws -> Int {
        guard let place = places[name] else { throw CodecError("the row has no column \(name)") }
        return place
    }
}

/// One row, read by the names of its columns.
public struct RowView: Sendable {
    public let columns: ColumnNames
    public let values: [SqlValue]

    package init(_ columns: ColumnNames, _ values: [SqlValue]) {
        self.columns = columns
        self.values = values
    }

    /// A column's value as SQLite has it.
    public func value(_ name: String) throws -> SqlValue { values[try columns.place(name)] }

    /// A column that may hold nothing.
    public func optional<Held>(_ name: String, _ codec: Codec<Held>) throws -> Held? {
        let value = try value(name)
        return value == .null ? nil : try codec.fromColumn(value)
    }

    /// A column that holds something; a row without it cannot be read.
    public func required<Held>(_ name: String, _ codec: Codec<Held>) throws -> Held {
        guard let value = try optional(name, codec) else { throw CodecError("the row has no \(name)") }
        return value
    }
}

/// Makes a value of a row.
public typealias RowReader<Shown> = @Sendable (RowView) throws -> Shown

/// A row that cannot be made a value of: it lacks a field that this version of the app requires, or
/// holds another kind of value in it. Versions of an app that use one database meet such rows; none of
/// them may take a screen down.
public struct UnreadableRow: Sendable {
    /// The row as it is.
    public let row: RowView
    /// What the reader threw.
    public let cause: any Error
}

/// One update of a live query: the rows as they are now, and what changed since the last.
public struct Update<Shown: Sendable>: Sendable {
    /// Those that can be read.
    public let rows: [Shown]
    /// Those that cannot; they have no place among `rows`, and none in `changes`.
    public let unreadable: [UnreadableRow]
    /// The fewest changes that lead here; places count from 0. The first update inserts all.
    public let changes: [RowChange]
    /// What is on this device of the scopes that the query reads.
    public let coverage: Coverage
    /// False if the whole statement is run anew for each update.
    public let incremental: Bool
    let explained: @Sendable () async throws -> LiveExplain

    /// How the query works, why so, and what it has done until now. Fails with `LandfallError.closed` once
    /// nobody reads the sequence any more.
    public func explain() async throws -> LiveExplain { try await explained() }
}

/// A live query's rows, kept up by changes.
struct RowList<Shown: Sendable>: Sendable {
    private let reader: RowReader<Shown>
    private let explained: @Sendable () async throws -> LiveExplain
    private var slots: [Slot] = []
    private var columns = ColumnNames([])

    init(_ reader: @escaping RowReader<Shown>, _ explained: @escaping @Sendable () async throws -> LiveExplain) {
        self.reader = reader
        self.explained = explained
    }

    private enum Slot: Sendable {
        case shown(Shown)
        case unreadable(UnreadableRow)

        var isShown: Bool {
            if case .shown = self { return true }
            return false
        }
    }

    mutating func apply(_ update: WatchUpdate) -> Update<Shown> {
        if !update.columns.isEmpty, update.columns != columns.names {
            columns = ColumnNames(update.columns)
        }
        let before = slots
        if !update.changes.isEmpty { slots = changed(update.changes) }
        var rows: [Shown] = []
        var unreadable: [UnreadableRow] = []
        rows.reserveCapacity(slots.count)
        for slot in slots {
            switch slot {
            case let .shown(row): rows.append(row)
            case let .unreadable(row): unreadable.append(row)
            }
        }
        // Almost always every row is readable, and what was told is what is shown.
        let all = unreadable.isEmpty && before.allSatisfy { $0.isShown }
        return Update(
            rows: rows, unreadable: unreadable, changes: all ? update.changes : shown(update.changes, before),
            coverage: update.coverage, incremental: update.incremental, explained: explained)
    }

    /// Rows that a change names go to their new places; those that none names fill up in order.
    private func changed(_ changes: [RowChange]) -> [Slot] {
        var gone = [Bool](repeating: false, count: slots.count)
        var placed: [Int: Slot] = [:]
        var size = slots.count
        for change in changes {
            switch change {
            case let .remove(old):
                gone[Int(old)] = true
                size -= 1
            case let .insert(new, values):
                placed[Int(new)] = read(values)
                size += 1
            case let .move(old, new):
                gone[Int(old)] = true
                placed[Int(new)] = slots[Int(old)]
            case let .update(old, new, _, values):
                gone[Int(old)] = true
                placed[Int(new)] = read(values)
            }
        }
        var next = 0
        var all: [Slot] = []
        all.reserveCapacity(size)
        for at in 0..<size {
            if let slot = placed[at] {
                all.append(slot)
                continue
            }
            while gone[next] { next += 1 }
            all.append(slots[next])
            next += 1
        }
        return all
    }

    /// The changes of the rows that can be read, with their places among those.
    private func shown(_ changes: [RowChange], _ before: [Slot]) -> [RowChange] {
        let (old, new) = (places(before), places(slots))
        let was = { (at: UInt32) -> UInt32? in before[Int(at)].isShown ? old[Int(at)] : nil }
        let isNow = { (at: UInt32) -> UInt32? in slots[Int(at)].isShown ? new[Int(at)] : nil }
        var removed: [UInt32] = []
        var rest: [RowChange] = []
        for change in changes {
            switch change {
            case let .remove(at):
                if let from = was(at) { removed.append(from) }
            case let .insert(at, values):
                if let to = isNow(at) { rest.append(.insert(new: to, values: values)) }
            case let .move(from, to):
                guard let from = was(from) else { continue }
                if let to = isNow(to) { rest.append(.move(old: from, new: to)) } else { removed.append(from) }
            case let .update(from, to, changed, values):
                switch (was(from), isNow(to)) {
                case let (from?, to?):
                    rest.append(.update(old: from, new: to, changed: changed, values: values))
                case let (from?, nil): removed.append(from)
                case let (nil, to?): rest.append(.insert(new: to, values: values))
                case (nil, nil): continue
                }
            }
        }
        return removed.sorted(by: >).map { .remove(old: $0) } + rest
    }

    /// For each place, how many rows before it can be read.
    private func places(_ slots: [Slot]) -> [UInt32] {
        var count: UInt32 = 0
        return slots.map { slot in
            defer { if slot.isShown { count += 1 } }
            return count
        }
    }

    private func read(_ values: [SqlValue]) -> Slot {
        let row = RowView(columns, values)
        do {
            return .shown(try reader(row))
        } catch {
            return .unreadable(UnreadableRow(row: row, cause: error))
        }
    }
}
