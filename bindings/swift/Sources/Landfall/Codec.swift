import Foundation

/// How a field's type in Swift meets its column, its value in a write, and its place in JSON.
///
/// Generated code picks one for each field. That nothing is there is not a codec's business: columns
/// and members that hold nothing are told apart before. Writing never fails here; what a field cannot
/// hold is refused by the device, typed. Reading fails with a `CodecError`.
public struct Codec<Whole: Sendable>: Sendable {
    /// As a write carries it.
    public let toValue: @Sendable (Whole) -> Value
    /// As its column holds it, for conditions.
    public let toColumn: @Sendable (Whole) -> SqlValue
    /// From its column.
    public let fromColumn: @Sendable (SqlValue) throws -> Whole
    /// As a member of a value object or a list.
    public let toJson: @Sendable (Whole) -> Json
    /// From a member of a value object or a list.
    public let fromJson: @Sendable (Json) throws -> Whole

    public init(
        toValue: @escaping @Sendable (Whole) -> Value,
        toColumn: @escaping @Sendable (Whole) -> SqlValue,
        fromColumn: @escaping @Sendable (SqlValue) throws -> Whole,
        toJson: @escaping @Sendable (Whole) -> Json,
        fromJson: @escaping @Sendable (Json) throws -> Whole
    ) {
        self.toValue = toValue
        self.toColumn = toColumn
        self.fromColumn = fromColumn
        self.toJson = toJson
        self.fromJson = fromJson
    }

    /// A member of a value object that may hold nothing.
    public func member(_ name: String, _ value: Whole?) -> Json.Member {
        Json.Member(name, value.map { toJson($0) } ?? .null)
    }
}

/// A column or a member holds what this version of the app has no value for.
public struct CodecError: Error, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// The codecs of the schema's scalars, and what is made of them.
public enum Codecs {
    /// `ID`, `String`, `Blob` and references.
    public static let string: Codec<String> = text({ $0 }, { $0 })

    /// `Date`.
    public static let date: Codec<LocalDate> = text({ $0.description }, { LocalDate($0) })

    /// `LocalTime`.
    public static let localTime: Codec<LocalTime> = text({ $0.description }, { LocalTime($0) })

    /// `ZonedDateTime`.
    public static let zonedDateTime: Codec<ZonedDateTime> = text({ $0.text }, { ZonedDateTime($0) })

    /// `JSON`, which stays text. In a value object it is read back as it was written, spaces apart.
    public static let json: Codec<String> = Codec(
        toValue: string.toValue,
        toColumn: string.toColumn,
        fromColumn: string.fromColumn,
        toJson: string.toJson,
        fromJson: { json in
            if case let .string(text) = json { return text }
            return json.text
        })

    /// `Int`.
    public static let int: Codec<Int> = integer({ Int64($0) }, { Int($0) })

    /// `Int64` and counters.
    public static let int64: Codec<Int64> = integer({ $0 }, { $0 })

    /// `Instant`, to the microsecond. A date that is too far away, or none, is refused when written.
    public static let instant: Codec<Date> = Codec(
        toValue: { date in Micros.of(date).map { .int(value: $0) } ?? .text(value: "\(date.timeIntervalSince1970)") },
        toColumn: { date in
            Micros.of(date).map { .integer(value: $0) } ?? .real(value: date.timeIntervalSince1970 * 1e6)
        },
        fromColumn: { Micros.date(try whole($0)) },
        toJson: { date in Micros.of(date).map { .integer($0) } ?? .string("\(date.timeIntervalSince1970)") },
        fromJson: { Micros.date(try whole($0)) })

    /// `Boolean`.
    public static let bool: Codec<Bool> = Codec(
        toValue: { .bool(value: $0) },
        toColumn: { .integer(value: $0 ? 1 : 0) },
        fromColumn: { try whole($0) != 0 },
        toJson: { .bool($0) },
        fromJson: { json in
            guard case let .bool(value) = json else { throw CodecError("this is no boolean") }
            return value
        })

    /// `Float`.
    public static let double: Codec<Double> = Codec(
        toValue: { .float(value: $0) },
        toColumn: { .real(value: $0) },
        fromColumn: { column in
            guard case let .real(value) = column else { throw CodecError("the column holds no number") }
            return value
        },
        toJson: { .number($0) },
        fromJson: { json in
            switch json {
            case let .number(value): return value
            case let .integer(value): return Double(value)
            default: throw CodecError("this is no number")
            }
        })

    /// `Bytes`.
    public static let bytes: Codec<Data> = Codec(
        toValue: { .bytes(value: $0) },
        toColumn: { .blob(value: $0) },
        fromColumn: { column in
            guard case let .blob(value) = column else { throw CodecError("the column holds no bytes") }
            return value
        },
        toJson: { .string($0.base64EncodedString()) },
        fromJson: { json in
            guard let data = Data(base64Encoded: try characters(json)) else {
                throw CodecError("this is no base64")
            }
            return data
        })

    /// `Decimal` with so many places after the point. Columns hold units of the last place. A number
    /// with more places, or digits, than the field has is refused when it is written.
    public static func decimal(_ scale: Int) -> Codec<Decimal> {
        Codec(
            toValue: { .text(value: Decimals.text($0, places: 0)) },
            toColumn: { Decimals.column($0, scale) },
            fromColumn: { Decimals.decimal(try whole($0), scale) },
            toJson: { .string(Decimals.text($0, places: scale)) },
            fromJson: { try Decimals.decimal(try characters($0)) })
    }

    /// What is text in a column and in a write; an enum, for one. Text of which `read` makes nothing
    /// cannot be read.
    public static func text<Whole: Sendable>(
        _ write: @escaping @Sendable (Whole) -> String,
        _ read: @escaping @Sendable (String) -> Whole?
    ) -> Codec<Whole> {
        let made: @Sendable (String) throws -> Whole = { text in
            guard let value = read(text) else { throw CodecError("the text has another form") }
            return value
        }
        return Codec(
            toValue: { .text(value: write($0)) },
            toColumn: { .text(value: write($0)) },
            fromColumn: { try made(try characters($0)) },
            toJson: { .string(write($0)) },
            fromJson: { try made(try characters($0)) })
    }

    /// A value object, by its members.
    public static func object<Whole: Sendable>(
        write: @escaping @Sendable (Whole) -> [Json.Member],
        read: @escaping @Sendable (Members) throws -> Whole
    ) -> Codec<Whole> {
        tree(
            { .object(write($0)) },
            { json in
                guard case let .object(members) = json else { throw CodecError("this is no object") }
                return try read(Members(members))
            })
    }

    /// A list as one register.
    public static func list<Element: Sendable>(_ element: Codec<Element>) -> Codec<[Element]> {
        tree({ .array($0.map(element.toJson)) }, { try items($0, element) })
    }

    /// A set, which is read as a whole and written by element.
    public static func set<Element: Sendable & Hashable>(_ element: Codec<Element>) -> Codec<Set<Element>> {
        tree({ .array($0.map(element.toJson)) }, { Set(try items($0, element)) })
    }

    private static func integer<Whole: Sendable>(
        _ write: @escaping @Sendable (Whole) -> Int64,
        _ read: @escaping @Sendable (Int64) -> Whole
    ) -> Codec<Whole> {
        Codec(
            toValue: { .int(value: write($0)) },
            toColumn: { .integer(value: write($0)) },
            fromColumn: { read(try whole($0)) },
            toJson: { .integer(write($0)) },
            fromJson: { read(try whole($0)) })
    }

    private static func tree<Whole: Sendable>(
        _ write: @escaping @Sendable (Whole) -> Json,
        _ read: @escaping @Sendable (Json) throws -> Whole
    ) -> Codec<Whole> {
        Codec(
            toValue: { .text(value: write($0).text) },
            toColumn: { .text(value: write($0).text) },
            fromColumn: { try read(Json(reading: try characters($0))) },
            toJson: write,
            fromJson: read)
    }

    private static func items<Element>(_ json: Json, _ element: Codec<Element>) throws -> [Element] {
        guard case let .array(items) = json else { throw CodecError("this is no list") }
        return try items.filter { $0 != .null }.map(element.fromJson)
    }

    private static func whole(_ column: SqlValue) throws -> Int64 {
        guard case let .integer(value) = column else { throw CodecError("the column holds no whole number") }
        return value
    }

    private static func whole(_ json: Json) throws -> Int64 {
        guard case let .integer(value) = json else { throw CodecError("this is no whole number") }
        return value
    }

    private static func characters(_ column: SqlValue) throws -> String {
        guard case let .text(value) = column else { throw CodecError("the column holds no text") }
        return value
    }

    private static func characters(_ json: Json) throws -> String {
        guard case let .string(value) = json else { throw CodecError("this is no text") }
        return value
    }
}

/// The members of a value object.
public struct Members: Sendable {
    private let members: [Json.Member]

    init(_ members: [Json.Member]) {
        self.members = members
    }

    /// A member that may be absent.
    public func optional<Whole>(_ name: String, _ codec: Codec<Whole>) throws -> Whole? {
        guard let member = members.last(where: { $0.name == name }), member.value != .null else { return nil }
        return try codec.fromJson(member.value)
    }

    /// A member that is there.
    public func required<Whole>(_ name: String, _ codec: Codec<Whole>) throws -> Whole {
        guard let value = try optional(name, codec) else { throw CodecError("the object has no \(name)") }
        return value
    }
}

/// Decimals as columns and JSON have them. Foundation's own text of a decimal has no exponent.
private enum Decimals {
    /// With at least so many places.
    static func text(_ number: Decimal, places: Int) -> String {
        let text = number.description
        if places == 0 || number.isNaN { return text }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let fraction = parts.count > 1 ? String(parts[1]) : ""
        return "\(parts[0]).\(fraction)" + String(repeating: "0", count: max(0, places - fraction.count))
    }

    /// A number between two that the column can hold is no whole number of units, and compares rightly
    /// all the same.
    static func column(_ number: Decimal, _ scale: Int) -> SqlValue {
        let parts = text(number, places: scale).split(separator: ".", omittingEmptySubsequences: false)
        let fraction = parts.count > 1 ? parts[1] : ""
        if fraction.count <= scale, let units = Int64(parts[0] + fraction) { return .integer(value: units) }
        let units = number * decimal(1, -scale)
        return .real(value: NSDecimalNumber(decimal: units).doubleValue)
    }

    static func decimal(_ units: Int64, _ scale: Int) -> Decimal {
        Decimal(sign: units < 0 ? .minus : .plus, exponent: -scale, significand: Decimal(units.magnitude))
    }

    static func decimal(_ text: String) throws -> Decimal {
        guard let number = Decimal(string: text, locale: Locale(identifier: "en_US_POSIX")) else {
            throw CodecError("this is no decimal")
        }
        return number
    }
}
