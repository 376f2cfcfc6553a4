import Foundation
import Landfall
import XCTest

final class ErrorTests: XCTestCase {
    func testFailuresAreTypedAndArriveWhereTheCallWasMade() async throws {
        let world = try World.shared.get()
        let phone = try await world.phone("mia", offline: true)
        do {
            try await phone.write { tx in
                tx.stock.upsert("fine")
                tx.orderLine.upsert("l", order: "no such order", sku: "sku", quantity: 1)
            }
            XCTFail("it was written")
        } catch let LandfallError.refusedWrite(code, _, edit, _) {
            XCTAssertEqual(code, "LF2012")
            XCTAssertEqual(edit, 1)
        }
        let none = try await phone.stock.get("fine")
        XCTAssertNil(none)
        await fails("LF2014") { try await phone.product.update("absent") { $0.description = "?" } }
        await fails("LF2102") { try await phone.sdk.query("SELECT nothing") }
        await fails("LF2102") { for try await _ in phone.sdk.watch("DELETE FROM Stock") {} }
        try await phone.stock.upsert("waits")
        await fails("LF2106") { try await phone.sdk.settle(.milliseconds(600)) }
        await fails("LF2101") {
            let options = OpenOptions(
                path: world.file("mia"), schema: "type A { id: ID! }", tenant: "", subject: "mia", regions: [],
                startOffline: true)
            _ = try await LandfallClient.open(options) { _ in "" }
        }
        do {
            _ = try await Shop.open(path: world.file("mi"), subject: "mi\0a", regions: []) { _ in "" }
            XCTFail("it was opened")
        } catch let LandfallError.accountName(code, _) {
            XCTAssertEqual(code, "LF2114")
        }
        do {
            _ = try await Shop.open(path: "/proc/no/such/folder", subject: "mia", regions: []) { _ in "" }
            XCTFail("it was opened")
        } catch let LandfallError.file(code, _) {
            XCTAssertTrue(code.hasPrefix("LF22"), code)
        }
        try await phone.close()
    }

    func testAFileOpensForItsOwnAccountOnly() async throws {
        let path = try World.shared.get().file("nia")
        try await Shop.open(path: path, subject: "nia", regions: []) { _ in "" }.close()
        await fails("LF2107") { try await Shop.open(path: path, subject: "ola", regions: []) { _ in "" } }
        try await Shop.open(path: path, subject: "nia", regions: []) { _ in "" }.close()
    }

    func testCloseIsIdempotentCompletesSequencesAndLaterCallsSaySo() async throws {
        let phone = try await World.shared.get().phone("pat")
        let begun = Counter()
        let rows = Task { for try await _ in phone.stock.observe() { begun.next() } }
        let events = Task { for await _ in phone.sdk.events() {} }
        try await until { begun.value > 0 }
        async let once: Void = phone.close()
        async let twice: Void = phone.close()
        _ = try await (once, twice)
        try await rows.value
        await events.value
        try await phone.close()
        await fails("LF2104") { try await phone.stock.get("x") }
        await fails("LF2104") { try await phone.stock.upsert("x") }
        await fails("LF2104") { for try await _ in phone.stock.observe() {} }
        await fails("LF2104") { try await phone.sdk.subscribe("catalog") }
        await fails("LF2104") { try await phone.sdk.outcomes() }
        await fails("LF2104") { try await phone.sdk.settle(.seconds(1)) }
    }

    func testASettleThatWaitsCanBeCancelled() async throws {
        let phone = try await World.shared.get().phone("quy", offline: true)
        try await phone.stock.upsert("waits")
        let waiting = Task { try await phone.sdk.settle(.seconds(3_600)) }
        let listening = Task { for await _ in phone.sdk.events() {} }
        try await Task.sleep(nanoseconds: 200_000_000)
        waiting.cancel()
        listening.cancel()
        await listening.value
        do {
            try await waiting.value
            XCTFail("it settled")
        } catch is CancellationError {}
        try await phone.close()
    }

    func testATokenThatIsRefusedIsAskedForAgainAndOneThatCannotBeHadIsNoFault() async throws {
        let world = try World.shared.get()
        let reasons = Latest<[TokenReason]>()
        let phone = try await Shop.open(path: world.file("ray"), subject: "ray", regions: world.regions) { reason in
            let all = (reasons.get() ?? []) + [reason]
            reasons.set(all)
            switch all.count {
            case 1: throw CodecError("not signed in yet")
            case 2: return "expired, surely"
            default: return try world.token("ray")
            }
        }
        try await phone.stock.upsert("with a token")
        try await phone.sdk.settle(.seconds(20))
        guard case .online = try await phone.sdk.connection() else { return XCTFail("it is not online") }
        XCTAssertEqual(reasons.get()?.first, .connect)
        XCTAssertEqual(reasons.get()?.contains(.refused), true)
        try await phone.close()
    }

    func testClosingGivesUpATokenThatNeverComes() async throws {
        let world = try World.shared.get()
        let (asked, cancelled) = (Counter(), Counter())
        let phone = try await Shop.open(path: world.file("sue"), subject: "sue", regions: world.regions) { _ in
            asked.next()
            do {
                try await Task.sleep(nanoseconds: 3_600_000_000_000)
            } catch {
                cancelled.next()
            }
            return ""
        }
        try await until { asked.value > 0 }
        try await phone.close()
        try await until { cancelled.value > 0 }
    }

    func testARefusedWriteHasAnOutcomeWhichCanBeResubmittedAndDismissed() async throws {
        let phone = try await World.shared.get().phone("tom", scopes: "region/fr")
        let placed = Date(timeIntervalSince1970: 0)
        let receipt = try await phone.order.upsert("o-9", market: "de", placedAt: placed, status: .placed)
        try await until { try await !phone.sdk.outcomes().isEmpty }
        let outcomes = try await phone.sdk.outcomes()
        XCTAssertEqual(outcomes.map(\.dot), receipt.dots)
        XCTAssertEqual(outcomes[0].entity.kind, "Order")
        guard case let .rejected(code, _, _, _) = outcomes[0].outcome else { return XCTFail("\(outcomes[0])") }
        XCTAssertEqual(code, "LF4007")
        try await phone.sdk.goOffline()
        try await phone.sdk.resubmit(outcomes[0].dot)
        let again = try await phone.order.get("o-9")
        XCTAssertEqual(again?.market, "de")
        let none = Dot(device: "", seq: 1)
        await fails("LF2020") { try await phone.sdk.resubmit(none) }
        let unknown = try await phone.sdk.fate(none)
        XCTAssertEqual(unknown, .unknown)
        try await phone.sdk.dismiss(none)
        try await phone.close()
    }
}
