import Foundation
import LandfallTestkit
import XCTest

private let noon = Date(timeIntervalSince1970: 1_767_268_800)

/// These need no region: they run in worlds of their own.
final class TestkitTests: XCTestCase {
    func testTheExampleOfTheDocumentation() async throws {
        let kit = try Testkit(Shop.schema)
        let ann = try kit.device("ann")
        let (shop, other) = (Shop(ann.app), Shop(try kit.device("bob").app))
        try await other.sdk.subscribe("region/fr")

        try ann.offline()
        let placed = try await shop.place("o-1")
        let shown = try await shop.order.observe().first { !$0.isEmpty }
        XCTAssertEqual(shown?.map(\.status), [.placed])

        try kit.region.rejectNext("Order", reason: "over_limit", field: "status", detail: "not on Sundays")
        try ann.online()
        XCTAssertEqual(try kit.settle(), [])
        let gone = try await shop.order.get("o-1")
        XCTAssertNil(gone)
        let fate = try await shop.sdk.fate(placed)
        XCTAssertEqual(
            fate, .rejected(code: "LF4000", reason: "over_limit", field: "status", detail: "not on Sundays"))
        let outcomes = try await shop.sdk.outcomes()
        XCTAssertEqual(outcomes.map(\.dot), [placed])

        try await shop.sdk.resubmit(placed)
        try await shop.sdk.dismiss(placed)
        try kit.settle()
        let seen = try await other.order.get("o-1")
        XCTAssertEqual(seen?.placedAt, noon)
        XCTAssertEqual(try kit.region.rows("Order").map { try Order.read($0).status }, [.placed])
        kit.close()
    }

    func testAnExpiredTokenPausesAndLosesNothing() async throws {
        let kit = try Testkit(Shop.schema)
        let ann = try kit.device("ann")
        let shop = Shop(ann.app)
        try kit.settle()
        try ann.expireToken()
        let placed = try await shop.place("o-1")
        XCTAssertEqual(try kit.settle().map(\.reason), [.tokenExpired])
        try kit.advance(.seconds(1))
        guard case .waiting = try await shop.sdk.connection() else { return XCTFail("it does not wait") }
        let before = try await shop.sdk.fate(placed)
        XCTAssertEqual(before, .pending(sent: false))
        try ann.renewToken()
        XCTAssertEqual(try kit.settle(), [])
        let after = try await shop.sdk.fate(placed)
        XCTAssertEqual(after, .accepted(durable: true))
    }

    func testAKilledProcessLeavesItsOutbox() async throws {
        let kit = try Testkit(Shop.schema)
        let ann = try kit.device("ann")
        let before = Shop(ann.app)
        try ann.offline()
        let placed = try await before.place("o-1")
        let shop = Shop(try ann.restart())
        await fails("LF2104") { try await before.order.get("o-1") }
        let kept = try await shop.order.get("o-1")
        XCTAssertEqual(kept?.status, .placed)
        try ann.online()
        XCTAssertEqual(try kit.settle(), [])
        let fate = try await shop.sdk.fate(placed)
        XCTAssertEqual(fate, .accepted(durable: true))
    }

    func testWhatIsRevokedLeavesThePhoneAndOthersWriteMeanwhile() async throws {
        let kit = try Testkit(Shop.schema)
        try kit.allow("ann", scopes: ["region/fr"])
        let shop = Shop(try kit.device("ann").app)
        try await shop.sdk.subscribe("region/fr")
        let office = Shop(try kit.device("office", "desk").app)
        try await office.sdk.subscribe("region/fr")
        _ = try await office.place("o-1")
        try kit.region.delay(.milliseconds(40))
        try await office.order.update("o-1") { $0.status = .sent }
        try kit.advance(.milliseconds(79))
        var seen = try await shop.order.get("o-1")
        XCTAssertEqual(seen?.status, .placed)
        try kit.advance(.milliseconds(1))
        seen = try await shop.order.get("o-1")
        XCTAssertEqual(seen?.status, .sent)
        try kit.revoke("ann", "region/fr")
        try kit.settle()
        seen = try await shop.order.get("o-1")
        XCTAssertNil(seen)
        await fails("LF8004") { try kit.revoke("office", "region/fr") }
    }

    func testARegionThatIsDownIsToldAndWhatItCannotDoIsAnError() async throws {
        let kit = try Testkit(Shop.schema)
        let shop = Shop(try kit.device("ann").app)
        try kit.region.stop()
        _ = try await shop.place("o-1")
        let waiting = try kit.settle()
        XCTAssertEqual(waiting.map(\.device), ["ann/phone"])
        XCTAssertEqual(waiting.map(\.reason), [.regionStopped])
        XCTAssertEqual(waiting.map(\.unsent), [1])
        try kit.region.start()
        XCTAssertEqual(try kit.settle(), [])
        try kit.writeAsOthers { $0.add(kind: "Order", id: "o-1", action: .delete, home: nil, changes: []) }
        try await shop.sdk.subscribe("region/fr")
        try kit.settle()
        let gone = try await shop.order.get("o-1")
        XCTAssertNil(gone)
        await fails("LF8002") { try kit.region.rejectNext("Ordre", reason: "x") }
        await fails("LF2101") { _ = try Testkit("type A { id: ID! }") }
    }
}

extension Shop {
    fileprivate func place(_ id: String) async throws -> Dot {
        try await order.upsert(id, market: "fr", placedAt: noon, status: .placed).dots[0]
    }
}
