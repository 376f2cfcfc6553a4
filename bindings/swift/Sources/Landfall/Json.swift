import Foundation

/// The JSON in which columns hold value objects, lists and sets.
///
/// What the device writes is always well-formed, so a fault here is a bug and no input error. Members
/// keep their order, and whole numbers all their digits, which Foundation's own JSON does not promise.
public indirect enum Json: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([Json])
    case object([Member])

    /// A member of an object.
    public struct Member: Sendable, Equatable {
        public let name: String
        public let value: Json

        public init(_ name: String, _ value: Json) {
            self.name = name
            self.value = value
        }
    }

    /// What is in a column.
    public init(reading text: String) throws {
        var reader = JsonReader(bytes: Array(text.utf8))
        self = try reader.whole()
    }

    /// As a column has it, without spaces.
    public var text: String {
        var out = ""
        write(into: &out)
        return out
    }

    private func write(into out: inout String) {
        switch self {
        case .null: out += "null"
        case let .bool(value): out += value ? "true" : "false"
        case let .integer(value): out += String(value)
        case let .number(value): out += value.isFinite ? "\(value)" : "null"
        case let .string(value): Json.quote(value, into: &out)
        case let .array(items):
            out += "["
            for (at, item) in items.enumerated() {
                if at > 0 { out += "," }
                item.write(into: &out)
            }
            out += "]"
        case let .object(members):
            out += "{"
            for (at, member) in members.enumerated() {
                if at > 0 { out += "," }
                Json.quote(member.name, into: &out)
                out += ":"
                member.value.write(into: &out)
            }
            out += "}"
        }
    }

    private static func quote(_ text: String, into out: inout String) {
        out += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\":
                out += "\\"
                out.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default:
                out.unicodeScalars.append(scalar)
            }
        }
        out += "\""
    }
}

private struct JsonReader {
    let bytes: [UInt8]
    var at = 0

    mutating func whole() throws -> Json {
        let tree = try value()
        skip()
        guard at == bytes.count else { throw CodecError("something follows the JSON") }
        return tree
    }

    private mutating func value() throws -> Json {
        skip()
        switch try peek() {
        case UInt8(ascii: "{"): return .object(try members())
        case UInt8(ascii: "["): return .array(try items())
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func members() throws -> [Json.Member] {
        var members: [Json.Member] = []
        at += 1
        while try !closes(UInt8(ascii: "}"), first: members.isEmpty) {
            skip()
            let name = try string()
            skip()
            try expect(UInt8(ascii: ":"))
            members.append(Json.Member(name, try value()))
        }
        return members
    }

    private mutating func items() throws -> [Json] {
        var items: [Json] = []
        at += 1
        while try !closes(UInt8(ascii: "]"), first: items.isEmpty) {
            items.append(try value())
        }
        return items
    }

    /// Goes past the end, or past the comma before another one.
    private mutating func closes(_ end: UInt8, first: Bool) throws -> Bool {
        skip()
        if try peek() == end {
            at += 1
            return true
        }
        if !first { try expect(UInt8(ascii: ",")) }
        return false
    }

    private mutating func string() throws -> String {
        try expect(UInt8(ascii: "\""))
        var units: [UInt8] = []
        while true {
            let byte = try peek()
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: units, as: UTF8.self)
            case UInt8(ascii: "\\"): units.append(contentsOf: try escaped().utf8)
            default: units.append(byte)
            }
        }
    }

    private mutating func escaped() throws -> String {
        let byte = try peek()
        at += 1
        switch byte {
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "u"): return try codePoint()
        default: return String(UnicodeScalar(byte))
        }
    }

    /// A code point beyond the first 65,536 is two escapes in a row.
    private mutating func codePoint() throws -> String {
        var units = [try unit()]
        if UTF16.isLeadSurrogate(units[0]), at + 1 < bytes.count,
            bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u")
        {
            at += 2
            units.append(try unit())
        }
        return String(decoding: units, as: UTF16.self)
    }

    private mutating func unit() throws -> UInt16 {
        guard at + 4 <= bytes.count,
            let unit = UInt16(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
        else { throw CodecError("JSON has no such character") }
        at += 4
        return unit
    }

    private mutating func number() throws -> Json {
        let start = at
        while at < bytes.count, "+-.0123456789eE".utf8.contains(bytes[at]) { at += 1 }
        let digits = String(decoding: bytes[start..<at], as: UTF8.self)
        if let whole = Int64(digits) { return .integer(whole) }
        guard let number = Double(digits) else { throw CodecError("JSON has no such word") }
        return .number(number)
    }

    private mutating func word(_ word: String, _ value: Json) throws -> Json {
        for byte in word.utf8 { try expect(byte) }
        return value
    }

    private mutating func expect(_ byte: UInt8) throws {
        guard try peek() == byte else { throw CodecError("JSON lacks a \(UnicodeScalar(byte))") }
        at += 1
    }

    private func peek() throws -> UInt8 {
        guard at < bytes.count else { throw CodecError("JSON is cut short") }
        return bytes[at]
    }

    private mutating func skip() {
        while at < bytes.count, " \n\r\t".utf8.contains(bytes[at]) { at += 1 }
    }
}
