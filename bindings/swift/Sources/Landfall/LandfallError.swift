import Foundation

/// A call that failed; nothing of it was kept.
///
/// Look at the case for what to do and at `code`, which is stable, for what it was. `docs/errors` has
/// every code. A message names no value, account or path.
public enum LandfallError: Error, Sendable {
    /// `LF20xx`, `LF2121`: a write that cannot be made. `edit` counts from 0.
    case refusedWrite(code: String, detail: String, edit: Int?, field: String?)
    /// `LF2101`: the schema has faults.
    case faultySchema(code: String, detail: String)
    /// `LF2102`, `LF2103`, `LF2120`: SQL, a live query or a search that names what is not there, or is not
    /// understood.
    case faultyQuery(code: String, detail: String)
    /// `LF2104`: the client was closed.
    case closed(code: String, detail: String)
    /// `LF2106`: writes wait, or subscriptions are not complete.
    case notSettled(code: String, detail: String)
    /// `LF2107`: the file belongs to another account.
    case otherAccount(code: String, detail: String)
    /// `LF2109`: writes are still unsent.
    case unsent(code: String, detail: String)
    /// `LF2110`: a file of an account cannot be made, moved or removed, or is not there.
    case accountFile(code: String, detail: String)
    /// `LF2112`: the row is there, and this version of the app cannot make a value of it.
    case unreadable(UnreadableRow)
    /// `LF2113`: a rescue document cannot be written, or is none.
    case rescueDocument(code: String, detail: String)
    /// `LF2114`: the tenant or the subject of an account holds a NUL character.
    case accountName(code: String, detail: String)
    /// `LF23xx`, `LF2140`: something that the app says at opening is not of its form.
    case faultyOption(code: String, detail: String)
    /// `LF22xx`: the file cannot be opened, read or written.
    case file(code: String, detail: String)
    /// A code that this version has no case for.
    case other(code: String, detail: String)

    /// `LF` and four digits.
    public var code: String { said.code }

    /// For people: what happened and what to do.
    public var detail: String { said.detail }

    private var said: (code: String, detail: String) {
        switch self {
        case let .refusedWrite(code, detail, _, _): return (code, detail)
        case let .faultySchema(code, detail), let .faultyQuery(code, detail), let .closed(code, detail),
            let .notSettled(code, detail), let .otherAccount(code, detail), let .unsent(code, detail),
            let .accountFile(code, detail), let .rescueDocument(code, detail), let .accountName(code, detail),
            let .faultyOption(code, detail), let .file(code, detail), let .other(code, detail):
            return (code, detail)
        case .unreadable:
            return ("LF2112", "The row does not fit the types of this version of the app.")
        }
    }

    init(_ error: CallError) {
        let code: String, detail: String, edit: UInt32?, field: String?
        switch error {
        case let .Failed(its, said, at, of): (code, detail, edit, field) = (its, said, at, of)
        }
        switch code {
        case "LF2101": self = .faultySchema(code: code, detail: detail)
        case "LF2102", "LF2103", "LF2120": self = .faultyQuery(code: code, detail: detail)
        case "LF2104": self = .closed(code: code, detail: detail)
        case "LF2106": self = .notSettled(code: code, detail: detail)
        case "LF2107": self = .otherAccount(code: code, detail: detail)
        case "LF2109": self = .unsent(code: code, detail: detail)
        case "LF2110": self = .accountFile(code: code, detail: detail)
        case "LF2113": self = .rescueDocument(code: code, detail: detail)
        case "LF2114": self = .accountName(code: code, detail: detail)
        case _ where code.hasPrefix("LF20") || code == "LF2121":
            self = .refusedWrite(code: code, detail: detail, edit: edit.map { Int($0) }, field: field)
        case _ where code.hasPrefix("LF23") || code == "LF2140": self = .faultyOption(code: code, detail: detail)
        case _ where code.hasPrefix("LF22"): self = .file(code: code, detail: detail)
        default: self = .other(code: code, detail: detail)
        }
    }
}

extension LandfallError: LocalizedError, CustomStringConvertible {
    public var description: String { "\(code): \(detail)" }

    public var errorDescription: String? { description }
}
