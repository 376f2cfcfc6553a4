/// Writes that are made together: all of them or none. It lives within one call of `write`.
public final class Batch {
    package private(set) var edits: [Edit] = []

    package init() {}

    /// For generated code: one entity's edit.
    public func add(kind: String, id: String, action: Action, home: String?, changes: [Change]) {
        edits.append(Edit(kind: kind, id: id, action: action, home: home, changes: changes))
    }
}

/// What an edit changes of one entity; generated code has one for each type.
public protocol EntityEdit {
    init()

    /// In the order in which they were made.
    var _changes: [Change] { get set }
}

extension EntityEdit {
    /// For generated code: a register, which holds nothing from now on where there is no value.
    public mutating func _put<Held>(_ name: String, _ codec: Codec<Held>, _ value: Held?) {
        _changes.append(.put(field: name, value: value.map { codec.toValue($0) } ?? .null))
    }
}

/// Adds to a counter. Each addition counts exactly once, wherever it was made.
public struct CounterEdit {
    private let name: String
    public private(set) var _changes: [Change] = []

    /// For generated code.
    public init(_ name: String) {
        self.name = name
    }

    /// A negative number takes away.
    public mutating func add(_ by: Int64) {
        _changes.append(.increment(field: name, by: by))
    }
}

/// Changes a set by element.
public struct SetEdit<Element: Sendable> {
    private let name: String
    private let element: Codec<Element>
    public private(set) var _changes: [Change] = []

    /// For generated code.
    public init(_ name: String, _ element: Codec<Element>) {
        self.name = name
        self.element = element
    }

    public mutating func add(_ element: Element) {
        _changes.append(.addToSet(field: name, element: self.element.toValue(element)))
    }

    /// One that is added elsewhere at the same time stays.
    public mutating func remove(_ element: Element) {
        _changes.append(.removeFromSet(field: name, element: self.element.toValue(element)))
    }
}

/// Changes a shared text in place. For an editor on screen see `LandfallClient.text`.
public struct TextEdit {
    private let name: String
    public private(set) var _changes: [Change] = []

    /// For generated code.
    public init(_ name: String) {
        self.name = name
    }

    /// Replace `delete` code points from `at` on by `insert`.
    public mutating func splice(at: UInt32, delete: UInt32, insert: String) {
        _changes.append(.splice(field: name, at: at, delete: delete, insert: insert))
    }
}
