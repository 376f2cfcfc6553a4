import Foundation
import Landfall
import XCTest

/// What needs no library: the text forms of values.
final class ValueTests: XCTestCase {
    func testJsonIsReadAndWrittenWithItsOrderAndAllItsDigits() throws {
        for text in [
            "null", "true", "[]", "{}", #"{"b":1,"a":[false,null,"x"]}"#, "9223372036854775807", "-9223372036854775808",
            "1.5", #"" \" \\ \u0001 é 日本 🙂""#,
        ] {
            XCTAssertEqual(try Json(reading: text).text, text)
        }
        XCTAssertEqual(try Json(reading: #" { "a" : [ 1 , 2 ] } "#).text, #"{"a":[1,2]}"#)
        XCTAssertEqual(try Json(reading: #""\ud83d\ude42\n\/""#), .string("🙂\n/"))
        for text in ["", "[1", "{\"a\"}", "[1]]", "nul", "\"", "[1 2]", #""\u00""#] {
            XCTAssertThrowsError(try Json(reading: text), text)
        }
    }

    func testDaysAndTimesHaveOneTextForm() throws {
        for text in ["2026-01-31", "0001-12-01"] { XCTAssertEqual(LocalDate(text)?.description, text) }
        for text in ["2026-1-31", "31.01.2026", "", "2026-01-31Z"] { XCTAssertNil(LocalDate(text), text) }
        for text in ["10:30:00", "23:59:59.125", "00:00:00.000000001"] {
            XCTAssertEqual(LocalTime(text)?.description, text)
        }
        XCTAssertEqual(LocalTime("10:30"), LocalTime(hour: 10, minute: 30))
        for text in ["10", "10:30:", "10:30:00.", "1:30", "10:30.5"] { XCTAssertNil(LocalTime(text), text) }
        XCTAssertLessThan(LocalDate(year: 2025, month: 12, day: 31), LocalDate(year: 2026, month: 1, day: 1))
        XCTAssertLessThan(LocalTime(hour: 9, minute: 59), LocalTime(hour: 10, minute: 0))
    }

    func testAMomentWithItsPlaceKeepsItsText() throws {
        let text = "2026-01-31T10:00:00+01:00[Europe/Paris]"
        let zoned = ZonedDateTime(text)
        XCTAssertEqual(zoned.zoneName, "Europe/Paris")
        XCTAssertEqual(zoned.moment, Date(timeIntervalSince1970: 1_769_850_000))
        let paris = try XCTUnwrap(TimeZone(identifier: "Europe/Paris"))
        XCTAssertEqual(ZonedDateTime(Date(timeIntervalSince1970: 1_769_850_000), in: paris).text, text)
        XCTAssertNotNil(ZonedDateTime("2026-01-31T10:00:00.5Z").moment)
        XCTAssertNil(ZonedDateTime("2026-01-31T10:00:00Z").zoneName)
    }

    func testInstantsAreExactToTheMicrosecond() throws {
        let edges: [Int64] = [-7_600_000_000_000_000, 0, 1, -1, 1_795_780_800_123_456, 9_500_000_000_000_000]
        for micros in edges + (0..<1_000).map({ 1_795_780_800_000_000 + $0 * 999_999_937 }) {
            let date = try Codecs.instant.fromColumn(.integer(value: micros))
            XCTAssertEqual(Codecs.instant.toColumn(date), .integer(value: micros))
        }
        for extreme in [Int64.min, Int64.max] {
            XCTAssertNoThrow(try Codecs.instant.fromColumn(.integer(value: extreme)))
        }
        XCTAssertEqual(Codecs.instant.toColumn(Date(timeIntervalSince1970: .infinity)), .real(value: .infinity))
        XCTAssertNoThrow(Codecs.instant.toValue(Date(timeIntervalSince1970: .nan)))
    }

    func testDecimalsAreUnitsInColumnsAndTextElsewhere() throws {
        let codec = Codecs.decimal(2)
        for (text, units, json) in [
            ("12.5", 1_250, "12.50"), ("-0.01", -1, "-0.01"), ("0", 0, "0.00"), ("100", 10_000, "100.00"),
            ("9999999999999999.99", 999_999_999_999_999_999, "9999999999999999.99"),
        ] as [(String, Int64, String)] {
            let number = Decimal(string: text)!
            XCTAssertEqual(codec.toColumn(number), .integer(value: units))
            XCTAssertEqual(try codec.fromColumn(.integer(value: units)), number)
            XCTAssertEqual(codec.toJson(number), .string(json))
            XCTAssertEqual(try codec.fromJson(.string(json)), number)
            XCTAssertEqual(codec.toValue(number), .text(value: text))
        }
        XCTAssertEqual(codec.toColumn(Decimal(string: "0.125")!), .real(value: 12.5))
        XCTAssertEqual(codec.toValue(Decimal(string: "0.125")!), .text(value: "0.125"))
        XCTAssertThrowsError(try codec.fromColumn(.text(value: "1")))
    }
}
