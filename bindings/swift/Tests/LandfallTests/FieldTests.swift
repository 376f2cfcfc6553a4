import Foundation
import Landfall
import XCTest

private let noon = Date(timeIntervalSince1970: 1_795_780_800)

/// What is asked when something is wrong on somebody's device.
final class FieldTests: XCTestCase {
    func testAWriteThatWasNotSentIsTakenBackWithWhatStandsOnIt() async throws {
        let phone = try await World.shared.get().phone("dee", offline: true)
        let order = try await phone.order.upsert("o-20", market: "fr", placedAt: noon, status: .placed).dots[0]
        let line = try await phone.orderLine.upsert("l-20", order: "o-20", sku: "tea", quantity: 2).dots[0]
        let cancelled = try await phone.sdk.cancel(order)
        XCTAssertEqual(cancelled.dots, [order])
        XCTAssertEqual(cancelled.dependants, [line])
        XCTAssertEqual(Set(cancelled.entities.map { "\($0.kind) \($0.id)" }), ["Order o-20", "OrderLine l-20"])
        let (gone, goneToo) = (try await phone.order.get("o-20"), try await phone.orderLine.get("l-20"))
        XCTAssertNil(gone)
        XCTAssertNil(goneToo)
        let fate = try await phone.sdk.fate(order)
        XCTAssertEqual(fate, .unknown)
        let outbox = try await phone.sdk.outboxStatus()
        XCTAssertEqual(outbox.pending, 0)
        await refused("LF2022") { try await phone.sdk.cancel(order) }
        await refused("LF2022") { try await phone.sdk.cancel(Dot(device: "none", seq: 1)) }
        let sent = try await phone.stock.upsert("sent").dots[0]
        try await phone.sdk.goOnline()
        try await phone.sdk.settle(.seconds(20))
        await refused("LF2021") { try await phone.sdk.cancel(sent) }
        try await phone.close()
    }

    func testADeletedRowIsBroughtBackWithWhatFellWithIt() async throws {
        let phone = try await World.shared.get().phone("eli", offline: true)
        try await phone.sdk.subscribe("region/fr")
        try await phone.write { tx in
            tx.order.upsert("o-21", market: "fr", placedAt: noon, status: .packed) {
                $0.note.splice(at: 0, delete: 0, insert: "at the door")
            }
            tx.orderLine.upsert("l-21", order: "o-21", sku: "tea", quantity: 3)
        }
        try await phone.order.delete("o-21")
        let (gone, goneToo) = (try await phone.order.get("o-21"), try await phone.orderLine.get("l-21"))
        XCTAssertNil(gone)
        XCTAssertNil(goneToo)
        let restored = try await phone.order.restore(home: "region/fr", id: "o-21")
        XCTAssertEqual(Set(restored.entities.map(\.id)), ["o-21", "l-21"])
        let order = try await phone.order.get("o-21")
        XCTAssertEqual(order?.status, .packed)
        XCTAssertEqual(order?.note, "at the door")
        let line = try await phone.orderLine.get("l-21")
        XCTAssertEqual(line?.quantity, 3)
        let again = try await phone.order.restore(home: "region/fr", id: "o-21")
        XCTAssertEqual(again.dots, [])
        await refused("LF2024") { try await phone.sdk.restore("Order", home: "region/fr", id: "never") }
        try await phone.sdk.goOnline()
        try await phone.sdk.settle(.seconds(20))
        let kept = try await phone.order.get("o-21")
        XCTAssertNotNil(kept, "regions have it, too")
        let outcomes = try await phone.sdk.outcomes()
        XCTAssertEqual(outcomes, [])
        try await phone.close()
    }

    func testWhyARowShowsOrDoesNotIsTold() async throws {
        let phone = try await World.shared.get().phone("fin", offline: true)
        let unknown = try await phone.order.explain("o-22")
        XCTAssertEqual(unknown.answer, .notSubscribed)
        XCTAssertEqual(unknown.word, "not_subscribed")
        try await phone.sdk.subscribe("region/fr")
        let dot = try await phone.order.upsert("o-22", market: "fr", placedAt: noon, status: .placed).dots[0]
        let pending = try await phone.order.explain("o-22")
        XCTAssertEqual(pending.answer, .present(confirmed: false, ownWrites: 1))
        XCTAssertEqual(pending.entity.home, "region/fr")
        XCTAssertEqual(pending.writes.map(\.dot), [dot])
        XCTAssertEqual(pending.writes.map(\.what), [.create])
        XCTAssertEqual(pending.writes.map(\.fate), [.pending(sent: false)])
        XCTAssertEqual(pending.writes.map(\.waits), [[.session]])
        XCTAssertTrue(pending.text.contains("waits for a connection"), pending.text)
        XCTAssertEqual(pending.scopes.map(\.scope), ["region/fr"])
        XCTAssertEqual(pending.scopes.map(\.why), [.home])
        XCTAssertEqual(pending.scopes.first?.subscription?.loading, true)

        try await phone.sdk.goOnline()
        try await phone.sdk.settle(.seconds(20))
        try await until { try await phone.order.explain("o-22").answer == .present(confirmed: true, ownWrites: 0) }
        try await phone.sdk.goOffline()
        let present = try await phone.order.explain("o-22", home: "region/fr")
        XCTAssertEqual(present.word, "present")
        XCTAssertEqual(present.scopes.map(\.holds), [true])
        let status = present.fields.first { $0.field == "status" }
        XCTAssertEqual(status?.dot, dot)
        XCTAssertEqual(status?.own, true)
        XCTAssertEqual(status?.confirmed, true)
        let absent = try await phone.order.explain("o-23", home: "region/fr").answer
        guard case let .notThere(asOfMs) = absent, asOfMs > 0 else { return XCTFail("\(absent)") }
        let gone = try await phone.order.delete("o-22").dots[0]
        let deleted = try await phone.order.explain("o-22", home: "region/fr")
        XCTAssertEqual(deleted.answer, .deleted(by: gone))
        XCTAssertTrue(deleted.canRestore, deleted.sentence)
        await refused("LF2001") { try await phone.sdk.explain("Nothing", "x") }
        try await phone.close()
    }

    func testABundleForSupportHasNoneOfTheUsersData() async throws {
        let phone = try await World.shared.get().phone("gil-with-a-name", offline: true)
        try await phone.product.upsert("p-of-theirs") { $0.description = "what they wrote" }
        let bundle = try await phone.sdk.supportBundle()
        XCTAssertTrue(bundle.contains("\"landfall_support\"") && bundle.contains("\"Product\""), bundle)
        for secret in ["gil-with-a-name", "p-of-theirs", "what they wrote"] {
            XCTAssertFalse(bundle.contains(secret), "\(secret) in \(bundle)")
        }
        try await phone.close()
    }

    func testWritesOfADamagedFileAreTakenIntoAnotherOneEachOnce() async throws {
        let world = try World.shared.get()
        let path = world.file("hob")
        func open(_ path: String, _ subject: String = "hob") async throws -> Shop {
            try await Shop.open(path: path, subject: subject, regions: world.regions, startOffline: true) { _ in
                try world.token(subject)
            }
        }
        let broken = try await open(path)
        try await broken.sdk.subscribe("catalog")
        var sold: [Dot] = []
        for n in 1...3 { sold += try await broken.stock.upsert("rescued-\(n)") { $0.sold.add(Int64(n)) }.dots }
        try await broken.close()
        // The head of the file: SQLite does not know it any more.
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try file.write(contentsOf: Data(repeating: 0x55, count: 100))
        try file.close()
        await fails("LF2202") { try await open(path) }

        let rescue = try await LandfallClient.rescue(path)
        XCTAssertEqual(rescue.report.unsent, 3)
        XCTAssertEqual(rescue.report.lost, [])
        XCTAssertTrue(rescue.report.headerDestroyed && !rescue.report.whole, "\(rescue.report)")
        XCTAssertEqual(rescue.account, Account(tenant: "", subject: "hob"))
        let document = world.file("hob-rescued")
        try await rescue.save(document)
        await isNoDocument { try await rescue.save(document) }
        await isNoDocument { _ = try await Rescue.load(path) }
        await fails("LF2201") { try await LandfallClient.rescue(world.file("nobody")) }

        let other = try await open(world.file("ivy"), "ivy")
        let again = try await open(world.file("hob"))
        let loaded = try await Rescue.load(document)
        await fails("LF2107") { try await other.sdk.takeIn(loaded) }
        let taken = try await again.sdk.takeIn(loaded)
        XCTAssertEqual(Set(taken.waiting), Set(sold))
        let once = try await again.sdk.takeIn(loaded)
        XCTAssertEqual(once.known, 3)
        try await other.close()
        try await again.sdk.subscribe("catalog")
        try await again.sdk.goOnline()
        try await again.sdk.settle(.seconds(20))
        for n in 1...3 {
            let row = try await again.stock.get("rescued-\(n)")
            XCTAssertEqual(row?.sold, Int64(n))
        }
        try await again.close()
        XCTAssertTrue(FileManager.default.fileExists(atPath: path), "the damaged file stays")
    }
}

/// The write is refused with this code, and typed.
private func refused<T>(
    _ code: String, _ work: () async throws -> T, file: StaticString = #filePath, line: UInt = #line
) async {
    do {
        _ = try await work()
        XCTFail("nothing failed", file: file, line: line)
    } catch let LandfallError.refusedWrite(its, _, _, _) {
        XCTAssertEqual(its, code, file: file, line: line)
    } catch {
        XCTFail("another error: \(error)", file: file, line: line)
    }
}

private func isNoDocument(
    _ work: () async throws -> Void, file: StaticString = #filePath, line: UInt = #line
) async {
    do {
        try await work()
        XCTFail("nothing failed", file: file, line: line)
    } catch let LandfallError.rescueDocument(code, _) {
        XCTAssertEqual(code, "LF2113", file: file, line: line)
    } catch {
        XCTFail("another error: \(error)", file: file, line: line)
    }
}
