import Foundation
import Landfall
import XCTest

private struct Offer: Sendable, Equatable {
    var price: Decimal
    var seal: Data

    static let codec: Codec<Offer> = Codecs.object(
        write: { [Codecs.decimal(3).member("price", $0.price), Codecs.bytes.member("seal", $0.seal)] },
        read: { members in
            Offer(
                price: try members.required("price", Codecs.decimal(3)),
                seal: try members.required("seal", Codecs.bytes))
        })
}

private let things = """
    type Thing @entity(strategy: LAST_WRITE_WINS, scope: "all") { id: ID! offer: Offer }
    type Offer @value { price: Decimal! @decimal(precision: 12, scale: 3) seal: Bytes }
    """

final class PartTests: XCTestCase {
    func testWhatATransactionCreatesAndDeletesLeavesNothing() async throws {
        let phone = try await World.shared.get().phone("uma")
        try await phone.sdk.subscribe("catalog")
        let receipt = try await phone.write { tx in
            tx.stock.upsert("brief") { $0.sold.add(3) }
            tx.stock.delete("brief")
        }
        let none = try await phone.stock.get("brief")
        XCTAssertNil(none)
        try await phone.sdk.settle(.seconds(20))
        for dot in receipt.dots {
            guard case .accepted = try await phone.sdk.fate(dot) else { return XCTFail("it was not accepted") }
        }
        let outcomes = try await phone.sdk.outcomes()
        XCTAssertEqual(outcomes, [])
        try await phone.stock.upsert("brief") { $0.sold.add(1) }
        let sold = try await phone.stock.get("brief")?.sold
        XCTAssertEqual(sold, 1)
        try await phone.close()
    }

    func testAValueObjectReadFromItsColumnCanBeWrittenAgain() async throws {
        let path = try World.shared.get().file("val")
        let options = OpenOptions(
            path: path, schema: things, tenant: "", subject: "val", regions: [], startOffline: true)
        let phone = try await LandfallClient.open(options) { _ in "" }
        let given = Offer(price: Decimal(string: "12.5")!, seal: Data([0, 255, 7]))
        try await phone.write { batch in
            let change = Change.put(field: "offer", value: Offer.codec.toValue(given))
            batch.add(kind: "Thing", id: "t-1", action: .upsert, home: nil, changes: [change])
        }
        let row = try await phone.get("Thing", "t-1")
        XCTAssertEqual(try row?.value("offer"), .text(value: #"{"price":"12.500","seal":"AP8H"}"#))
        XCTAssertEqual(try row?.required("offer", Offer.codec), given)
        try await phone.close()
    }

    func testAccountsSignOutReturnAndTakeOverWhatAnAnonymousOneDid() async throws {
        let world = try World.shared.get()
        let accounts = try await Accounts.open(
            AccountsOptions(folder: world.file("accounts"), schema: Shop.schema, regions: world.regions))
        let nobody = accounts.anonymous()
        let before = Shop(try await accounts.signIn(nobody) { _ in "" })
        try await before.sdk.goOffline()
        try await before.stock.upsert("mine") { $0.sold.add(2) }
        var count = try await accounts.signOut(before.sdk, .keep)
        XCTAssertEqual(count, 1)
        var known = try await accounts.list()
        XCTAssertEqual(known, [KnownAccount(account: nobody, unsent: 1)])

        let wes = Account(tenant: "", subject: "wes")
        count = try await accounts.claim(nobody, wes)
        XCTAssertEqual(count, 1)
        known = try await accounts.list()
        XCTAssertEqual(known, [KnownAccount(account: wes, unsent: 1)])
        await fails("LF2110") { try await accounts.claim(nobody, wes) }
        let shop = Shop(try await accounts.signIn(wes) { _ in try world.token("wes") })
        XCTAssertEqual(shop.sdk.account, wes)
        let sold = try await shop.stock.get("mine")?.sold
        XCTAssertEqual(sold, 2)
        try await shop.sdk.settle(.seconds(20))
        count = try await accounts.signOut(shop.sdk, .wait(.seconds(20)))
        XCTAssertEqual(count, 0)

        let again = Shop(try await accounts.signIn(wes) { _ in try world.token("wes") })
        try await again.sdk.goOffline()
        try await again.stock.upsert("unsent")
        await fails("LF2109") { try await accounts.signOut(again.sdk, .wait(.milliseconds(20))) }
        let open = try await again.stock.get("unsent")
        XCTAssertNotNil(open)
        count = try await accounts.signOut(again.sdk, .discard)
        XCTAssertEqual(count, 1)
        let other = Shop(try await accounts.signIn(Account(tenant: "", subject: "xia")) { _ in "" })
        try await accounts.signOut(other.sdk, .keep)
        try await accounts.wipe(Account(tenant: "", subject: "xia"))
        known = try await accounts.list()
        XCTAssertEqual(known, [])
    }

    func testASlotInTheBackgroundSyncsAndEndsWhenItIsCancelled() async throws {
        let world = try World.shared.get()
        let phone = try await world.phone("yan", offline: true)
        try await phone.stock.upsert("in a slot")
        let report = try await phone.sdk.syncOnce(.seconds(20))
        XCTAssertEqual(report.done, true)
        XCTAssertEqual(report.unsent, 0)
        XCTAssertTrue(report.bytesUp > 0 && report.bytesDown > 0, "\(report)")
        // The session is closed beside the call that ends.
        try await until { try await phone.sdk.connection() == .offline }
        try await phone.close()

        let alone = try await Shop.open(path: world.file("zoe"), subject: "zoe", regions: []) { _ in "" }
        try await alone.stock.upsert("waits")
        let slot = Task { try await alone.sdk.syncOnce(.seconds(3_600)) }
        try await Task.sleep(nanoseconds: 200_000_000)
        slot.cancel()
        do {
            _ = try await slot.value
            XCTFail("it ended by itself")
        } catch is CancellationError {}
        try await alone.close()
    }

    func testWhatMayBeSubscribedIsToldAndASubscriptionCanHoldAPart() async throws {
        let world = try World.shared.get()
        let full = try await world.phone("abe")
        try await full.write { tx in for n in 1...20 { tx.product.upsert("part-\(n)") } }
        try await full.sdk.settle(.seconds(20))
        try await full.close()

        let phone = try await world.phone("bea", scopes: "catalog")
        try await phone.sdk.subscribe("catalog", Terms(rowsMax: 5))
        try await phone.sdk.settle(.seconds(20))
        let granted = try await phone.sdk.granted()
        XCTAssertEqual(granted?.scopes, ["catalog"])
        var progress = try await phone.sdk.progress("catalog")
        XCTAssertEqual(progress?.coverage, .partial)
        XCTAssertEqual(progress?.missing.forRoom, true)
        try await phone.sdk.subscribe("catalog")
        try await phone.sdk.settle(.seconds(20))
        progress = try await phone.sdk.progress("catalog")
        XCTAssertEqual(progress?.coverage, .complete)
        try await phone.sdk.pin("Product", home: "catalog", id: "part-1")
        try await phone.sdk.unpin("Product", home: "catalog", id: "part-1")
        try await phone.sdk.refill("catalog")
        try await phone.sdk.unsubscribe("catalog")
        let all = try await phone.sdk.subscriptions()
        XCTAssertEqual(all, [])
        try await phone.close()
    }

    func testARowThatThisVersionOfTheAppCannotReadTakesNoListDown() async throws {
        let phone = try await World.shared.get().phone("cal", offline: true)
        try await phone.write { tx in
            for n in 1...4 { tx.product.upsert("p-\(n)") { $0.description = n == 2 ? nil : "d\(n)" } }
        }
        let window = Query(
            table: "Product", filter: nil, params: [], order: [OrderBy(column: "id", descending: false)], limit: nil)
        // As the type of a version in which the description is required.
        var updates = phone.sdk.observe(window) { try $0.required("description", Codecs.string) }.makeAsyncIterator()
        let first = try await updates.next()
        XCTAssertEqual(first?.rows, ["d1", "d3", "d4"])
        XCTAssertEqual(try first?.unreadable.map { try $0.row.value("id") }, [.text(value: "p-2")])
        let places = first?.changes.map { change -> UInt32? in
            if case let .insert(new, _) = change { return new }
            return nil
        }
        XCTAssertEqual(places, [0, 1, 2])
        try await phone.product.update("p-2") { $0.description = "d2" }
        let mended = try await updates.next()
        XCTAssertEqual(mended?.rows, ["d1", "d2", "d3", "d4"])
        XCTAssertEqual(mended?.unreadable.count, 0)
        try await phone.close()
    }
}
