import Foundation
import Landfall
import XCTest

/// 2026-11-27T12:00:00.123456Z
private let noon = Date(timeIntervalSinceReferenceDate: 817_473_600.123456)

final class ShopTests: XCTestCase {
    func testTwoPhonesExchangeAnOrderOneOfThemOfflineInBetween() async throws {
        let world = try World.shared.get()
        let ann = try await world.phone("ann")
        let bob = try await world.phone("bob")
        try await bob.sdk.subscribe("region/fr")
        async let arrived = bob.order.observe { window, order in window.filter(order.id == "o-1") }
            .first { !$0.isEmpty }
        try await ann.order.upsert("o-1", market: "fr", placedAt: noon, status: .placed) {
            $0.customer = "c-1"
            $0.shipTo = Address(street: "1, rue \"de\" Lyon\n", city: "Paris")
            $0.tags.add("gift")
        }
        let seen = try await arrived?[0]
        XCTAssertEqual(seen?.placedAt, noon)
        XCTAssertEqual(seen?.shipTo, Address(street: "1, rue \"de\" Lyon\n", city: "Paris"))
        XCTAssertEqual(seen?.tags, ["gift"])
        XCTAssertEqual(seen?.customer, "c-1")

        try await bob.sdk.goOffline()
        try await bob.order.update("o-1") {
            $0.status = .sent
            $0.tags.add("fragile")
        }
        let outbox = try await bob.sdk.outboxStatus()
        XCTAssertGreaterThan(outbox.pending, 0)
        try await ann.sdk.subscribe("region/fr")
        try await ann.sdk.settle(.seconds(10))
        let still = try await ann.order.get("o-1")
        XCTAssertEqual(still?.status, .placed)
        try await bob.sdk.goOnline()
        let sent = try await ann.order.observe().first { $0.first?.status == .sent }
        XCTAssertEqual(sent?[0].tags, ["gift", "fragile"])
        try await ann.close()
        try await bob.close()
    }

    func testValuesOfEveryKindComeBackAsTheyWereWritten() async throws {
        let phone = try await World.shared.get().phone("cyd", offline: true)
        let price = Decimal(string: "12.345")!
        try await phone.write { tx in
            tx.product.upsert("p-1") {
                $0.description = "tea, 50% off; $5 \"now\""
                $0.price = price
            }
            tx.order.upsert("o-2", market: "fr", placedAt: noon, status: OrderStatus("TELEPORTED")) {
                $0.marginCents = Int64.min
                $0.cancelled = true
            }
            tx.orderLine.upsert("l-1", order: "o-2", sku: "p-1", quantity: 3) {
                $0.unitPrice = Decimal(string: "-0.1")!
            }
        }
        let product = try await phone.product.get("p-1")
        XCTAssertEqual(product?.price, price)
        XCTAssertEqual(product?.description, "tea, 50% off; $5 \"now\"")
        let order = try await phone.order.get("o-2")
        XCTAssertEqual(order?.status, .unknown("TELEPORTED"))
        XCTAssertEqual(order?.marginCents, Int64.min)
        XCTAssertEqual(order?.cancelled, true)
        XCTAssertEqual(order?.placedAt, noon)
        let line = try await phone.orderLine.get("l-1")
        XCTAssertEqual(line?.unitPrice, Decimal(string: "-0.1"))
        let nothing = try await phone.product.get("nothing")
        XCTAssertNil(nothing)

        let cases: [(Decimal, [String])] = [
            (Decimal(string: "12.346")!, ["p-1"]), (price, []),
            // No price has so many places; it compares all the same.
            (Decimal(string: "12.3456")!, ["p-1"]), (Decimal(string: "12.3444")!, []),
        ]
        for (limit, expected) in cases {
            let cheap = phone.product.observe { window, product in
                window.filter(product.price < limit && product.description.isNotNull)
            }
            let rows = try await cheap.first { _ in true }
            XCTAssertEqual(rows?.map(\.id), expected, "\(limit)")
        }
        let rows = try await phone.sdk.query("SELECT count(*) AS n FROM OrderLine WHERE quantity = ?", [.integer(value: 3)])
        XCTAssertEqual(try rows.map { try $0.value("n") }, [.integer(value: 1)])
        try await phone.order.delete("o-2")
        let went = try await phone.orderLine.get("l-1")
        XCTAssertNil(went)
        await fails("LF2006") { try await phone.product.update("p-1") { $0.price = Decimal(string: "0.0001")! } }
        try await phone.close()
    }

    func testManyCallsAtOnceCountOnceEach() async throws {
        let world = try World.shared.get()
        let phone = try await world.phone("dan")
        try await phone.sdk.subscribe("catalog")
        try await phone.stock.upsert("many")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask { try await phone.stock.update("many") { $0.sold.add(1) } }
            }
            try await group.waitForAll()
        }
        let sold = try await phone.stock.get("many")?.sold
        XCTAssertEqual(sold, 200)
        try await phone.sdk.settle(.seconds(20))
        let other = try await world.phone("eve")
        try await other.sdk.subscribe("catalog")
        try await other.sdk.settle(.seconds(20))
        let seen = try await other.stock.get("many")?.sold
        XCTAssertEqual(seen, 200)
        try await phone.close()
        try await other.close()
    }

    func testAWriteIsToldWhenRegionsHoldIt() async throws {
        let phone = try await World.shared.get().phone("fay", offline: true)
        var fates = phone.sdk.fates().makeAsyncIterator()
        let receipt = try await phone.stock.upsert("told")
        let pending = try await phone.sdk.fate(receipt.dots[0])
        XCTAssertEqual(pending, .pending(sent: false))
        try await phone.sdk.goOnline()
        var held: Event?
        while let event = await fates.next() {
            guard case let .fateReached(_, _, fate) = event, fate == .accepted(durable: true) else { continue }
            held = event
            break
        }
        XCTAssertEqual(
            held,
            .fateReached(dot: receipt.dots[0], entity: receipt.entities[0], fate: .accepted(durable: true)))
        try await phone.close()
    }

    func testTwoEditorsOfOneNoteKeepBothTheirWords() async throws {
        let phone = try await World.shared.get().phone("gus", offline: true)
        try await phone.order.upsert("o-3", market: "fr", placedAt: noon, status: .placed)
        let one = try await phone.sdk.text("Order", "o-3", "note")
        let two = try await phone.sdk.text("Order", "o-3", "note")
        try one.splice(at: 0, delete: 0, insert: "ring twice")
        try two.splice(at: 0, delete: 0, insert: "please ")
        try await one.commit()
        try await two.commit()
        try await one.pull()
        XCTAssertTrue(one.value.contains("ring twice") && one.value.contains("please "), one.value)
        let note = try await phone.order.get("o-3")?.note
        XCTAssertEqual(note, one.value)
        let nothing = try await one.commit()
        XCTAssertNil(nothing)
        try await phone.close()
    }
}
