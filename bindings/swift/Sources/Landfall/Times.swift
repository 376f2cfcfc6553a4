import Foundation

/// A day, wherever it is: `2026-01-31`.
public struct LocalDate: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let year: Int
    /// 1 to 12.
    public let month: Int
    /// 1 to 31.
    public let day: Int

    /// A day that no calendar has is refused when it is written.
    public init(year: Int, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// As a column has it; nothing if this is no day.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].count == 4, parts[1].count == 2, parts[2].count == 2,
            let year = digits(parts[0]), let month = digits(parts[1]), let day = digits(parts[2])
        else { return nil }
        self.init(year: year, month: month, day: day)
    }

    public var description: String { "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))" }

    public static func < (one: LocalDate, other: LocalDate) -> Bool {
        (one.year, one.month, one.day) < (other.year, other.month, other.day)
    }
}

/// A time of day, wherever it is, to the nanosecond: `10:30:00`.
public struct LocalTime: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let hour: Int
    public let minute: Int
    public let second: Int
    public let nanosecond: Int

    /// A time that no clock shows is refused when it is written.
    public init(hour: Int, minute: Int, second: Int = 0, nanosecond: Int = 0) {
        self.hour = hour
        self.minute = minute
        self.second = second
        self.nanosecond = nanosecond
    }

    /// As a column has it; nothing if this is no time.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3, parts[0].count == 2, parts[1].count == 2,
            let hour = digits(parts[0]), let minute = digits(parts[1])
        else { return nil }
        let last = parts.count == 3 ? parts[2] : "00"
        let seconds = last.split(separator: ".", omittingEmptySubsequences: false)
        guard seconds.count <= 2, seconds[0].count == 2, let second = digits(seconds[0]) else { return nil }
        let fraction = seconds.count == 2 ? seconds[1] : "0"
        guard (1...9).contains(fraction.count), let part = digits(fraction) else { return nil }
        let scale = (fraction.count..<9).reduce(1) { product, _ in product * 10 }
        self.init(hour: hour, minute: minute, second: second, nanosecond: part * scale)
    }

    public var description: String {
        let whole = "\(padded(hour, 2)):\(padded(minute, 2)):\(padded(second, 2))"
        if nanosecond == 0 { return whole }
        var fraction = padded(nanosecond, 9)
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(whole).\(fraction)"
    }

    public static func < (one: LocalTime, other: LocalTime) -> Bool {
        (one.hour, one.minute, one.second, one.nanosecond)
            < (other.hour, other.minute, other.second, other.nanosecond)
    }
}

/// A moment with its place: `2026-01-31T10:00:00+01:00[Europe/Paris]`. It is kept as it was written,
/// so a rule of summer time that changes later changes nothing.
public struct ZonedDateTime: Sendable, Hashable, CustomStringConvertible {
    /// As its column has it: a local time, its offset, and the zone's name in brackets if it has one.
    public let text: String

    /// What is no such text is refused when it is written.
    public init(_ text: String) {
        self.text = text
    }

    /// A moment as it is called at a place, to the second.
    public init(_ moment: Date, in zone: TimeZone) {
        let format = ISO8601DateFormatter()
        format.timeZone = zone
        format.formatOptions = [
            .withFullDate, .withFullTime, .withDashSeparatorInDate, .withColonSeparatorInTime,
            .withColonSeparatorInTimeZone,
        ]
        self.init("\(format.string(from: moment))[\(zone.identifier)]")
    }

    /// The zone's name, if it has one: `Europe/Paris`.
    public var zoneName: String? {
        guard text.hasSuffix("]"), let from = text.firstIndex(of: "[") else { return nil }
        return String(text[text.index(after: from)..<text.index(before: text.endIndex)])
    }

    /// The moment, by the offset that was written; nothing if the text is no such moment.
    public var moment: Date? {
        let local = text.prefix { $0 != "[" }
        let format = ISO8601DateFormatter()
        if let moment = format.date(from: String(local)) { return moment }
        format.formatOptions.insert(.withFractionalSeconds)
        return format.date(from: String(local))
    }

    public var description: String { text }
}

/// Microseconds since 1970, as columns hold instants. A `Date` has each one exactly from 1729 to 2273.
enum Micros {
    private static let perSecond: Int64 = 1_000_000
    /// From 1970 to 2001, from where a `Date` counts.
    private static let reference: Int64 = 978_307_200 * perSecond

    /// Nothing for a date that is farther than 64 bits of microseconds reach.
    static func of(_ date: Date) -> Int64? {
        let seconds = date.timeIntervalSinceReferenceDate
        guard seconds.magnitude < 9e12 else { return nil }
        let whole = seconds.rounded(.down)
        let rest = Int64(((seconds - whole) * 1e6).rounded())
        return Int64(whole) * perSecond + rest + reference
    }

    static func date(_ micros: Int64) -> Date {
        let (since, overflow) = micros.subtractingReportingOverflow(reference)
        if overflow { return Date(timeIntervalSince1970: Double(micros) / 1e6) }
        let rest = ((since % perSecond) + perSecond) % perSecond
        let whole = Double((since - rest) / perSecond)
        return Date(timeIntervalSinceReferenceDate: whole + Double(rest) / 1e6)
    }
}

private func digits(_ text: Substring) -> Int? {
    text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(text) : nil
}

private func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
