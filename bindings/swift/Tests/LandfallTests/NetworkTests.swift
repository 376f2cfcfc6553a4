import Foundation
import Landfall
import XCTest

/// What syncing may cost, and with whom: conditions, policies, directories, priorities.
final class NetworkTests: XCTestCase {
    func testAMeteredNetworkCarriesWhatTheAppLetsIt() async throws {
        let world = try World.shared.get()
        let other = try await world.phone("jem")
        try await other.product.upsert("metered-row") { $0.description = "it costs" }
        try await other.sdk.settle(.seconds(20))
        try await other.close()

        let phone = try await world.phone("kay", NetworkOptions(onMetered: .writes))
        try await phone.sdk.setConditions(Conditions(metered: true))
        try await phone.sdk.subscribe("catalog")
        try await phone.sdk.goOnline()
        try await phone.stock.upsert("metered-write")
        try await phone.sdk.drain(.seconds(20))
        var row = try await phone.product.get("metered-row")
        XCTAssertNil(row)
        let progress = try await phone.sdk.progress("catalog")
        XCTAssertEqual(progress?.coverage, .loading)
        await fails("LF2106") { try await phone.sdk.settle(.milliseconds(100)) }
        try await phone.sdk.setConditions(Conditions())
        try await phone.sdk.settle(.seconds(20))
        row = try await phone.product.get("metered-row")
        XCTAssertEqual(row?.description, "it costs")
        try await phone.close()
    }

    func testWhereNothingMayBeCarriedThereIsNoSessionAndADaysBytesEnd() async throws {
        let world = try World.shared.get()
        let phone = try await world.phone("lou", NetworkOptions(onMetered: .nothing))
        try await phone.sdk.setConditions(Conditions(metered: true))
        try await phone.sdk.goOnline()
        let waiting = try await phone.sdk.state { if case .waiting = $0 { return true } else { return false } }
        guard case let .waiting(_, code) = waiting else { return XCTFail("\(waiting)") }
        XCTAssertEqual(code, "metered")
        try await phone.close()

        let other = try await world.phone("lou", NetworkOptions(meteredBytesADay: 1))
        try await other.sdk.setConditions(Conditions(metered: true))
        try await other.sdk.goOnline()
        try await other.stock.upsert("within the day")
        try await other.sdk.drain(.seconds(20))
        // The first session cost more than that: from the next one on only writes leave.
        try await other.sdk.goOffline()
        try await other.sdk.subscribe("region/fr")
        try await other.sdk.goOnline()
        try await other.stock.upsert("beyond the day")
        try await other.sdk.drain(.seconds(20))
        let progress = try await other.sdk.progress("region/fr")
        XCTAssertEqual(progress?.coverage, .loading)
        try await other.close()
    }

    func testAnotherNetworkEndsEveryWait() async throws {
        let world = try World.shared.get()
        // Nobody listens there: clients wait longer and longer between their attempts.
        let nobody = [Region(name: "nobody", url: "http://127.0.0.1:9")]
        let told = try await Shop.open(path: world.file("mae"), subject: "mae", regions: nobody) { _ in "" }.sdk
        let untold = try await Shop.open(path: world.file("mae"), subject: "mae", regions: nobody) { _ in "" }.sdk
        for phone in [told, untold] {
            _ = try await phone.state { state in
                if case let .waiting(retryMs, _) = state { return retryMs > 2_000 }
                return false
            }
        }
        let others = Counter()
        let counting = Task { for await _ in untold.attempts() { others.next() } }
        for _ in 0..<8 {
            // It listens from here on.
            var attempts = told.attempts().makeAsyncIterator()
            try await told.networkChanged()
            let tried = await attempts.next()
            XCTAssertNotNil(tried)
            _ = try await told.state { if case .waiting = $0 { return true } else { return false } }
        }
        XCTAssertLessThan(others.value, 4, "attempts of who was told nothing")
        counting.cancel()
        await counting.value
        try await told.close()
        try await untold.close()
    }

    func testASignedDirectoryIsFollowedAndAKeyThatIsNoneIsTold() async throws {
        let world = try World.shared.get()
        let guide = try world.guide()
        let trusting = NetworkOptions(directoryKeys: [guide.key])
        let phone = try await Shop.open(
            path: world.file("nel"), subject: "nel", regions: [guide.region], network: trusting
        ) { _ in try world.token("nel") }
        try await phone.stock.upsert("guided")
        let listed = world.regions[1].name
        _ = try await phone.sdk.state { $0 == .online(region: listed) }
        try await phone.sdk.drain(.seconds(20))
        try await phone.close()

        let careful = try await Shop.open(path: world.file("ona"), subject: "ona", regions: [guide.region]) { _ in
            try world.token("ona")
        }
        try await careful.stock.upsert("not guided")
        try await careful.sdk.settle(.seconds(20))
        let connection = try await careful.sdk.connection()
        XCTAssertEqual(connection, .online(region: guide.region.name))
        try await careful.close()
        do {
            _ = try await Shop.open(
                path: world.file("ona"), subject: "ona", regions: [], network: NetworkOptions(directoryKeys: ["none"])
            ) { _ in "" }
            XCTFail("it was opened")
        } catch let LandfallError.faultyOption(code, _) {
            XCTAssertEqual(code, "LF2310")
        }
    }

    func testRootsThatAreNoneAreTold() async throws {
        let world = try World.shared.get()
        for none in [NetworkOptions(roots: "none"), NetworkOptions(rootsOnly: true)] {
            do {
                _ = try await Shop.open(path: world.file("pam"), subject: "pam", regions: [], network: none) { _ in "" }
                XCTFail("it was opened")
            } catch let LandfallError.faultyOption(code, _) {
                XCTAssertEqual(code, "LF2140")
            }
        }
    }

    func testASlotSendsWritesFirstAndAsksForNothingOfLowerPrioritiesThanItIsFor() async throws {
        let world = try World.shared.get()
        let other = try await world.phone("pia")
        try await other.product.upsert("urgent-row")
        let placed = Date(timeIntervalSince1970: 0)
        try await other.order.upsert("slot-row", market: "it", placedAt: placed, status: .placed)
        try await other.sdk.settle(.seconds(20))
        try await other.close()

        let phone = try await world.phone("ren", offline: true)
        try await phone.sdk.subscribe("region/it")
        try await phone.sdk.subscribe("catalog", Terms(priority: 5))
        try await phone.stock.upsert("slot-write")
        let report = try await phone.sdk.syncOnce(.seconds(20), priorityMin: 5)
        XCTAssertEqual(report.done, true)
        XCTAssertEqual(report.unsent, 0)
        let urgent = try await phone.product.get("urgent-row")
        XCTAssertNotNil(urgent, "it is urgent")
        var order = try await phone.order.get("slot-row")
        XCTAssertNil(order)
        let progress = try await phone.sdk.progress("region/it")
        XCTAssertEqual(progress?.coverage, .loading)
        let rest = try await phone.sdk.syncOnce(.seconds(20))
        XCTAssertEqual(rest.done, true)
        order = try await phone.order.get("slot-row")
        XCTAssertNotNil(order, "all the rest")
        try await phone.close()
    }
}

extension World {
    /// A phone that is offline until told, and careful with the network.
    fileprivate func phone(_ user: String, _ network: NetworkOptions) async throws -> Shop {
        try await Shop.open(
            path: file(user), subject: user, regions: regions, startOffline: true, network: network
        ) { _ in try self.token(user) }
    }
}

extension LandfallClient {
    /// The first such state of the connection, from now on.
    fileprivate func state(_ such: (ConnectionState) -> Bool) async throws -> ConnectionState {
        while true {
            let now = try await connection()
            if such(now) { return now }
            try await Task.sleep(nanoseconds: 2_000_000)
        }
    }

    fileprivate func attempts() -> AsyncFilterSequence<Events> {
        events().filter { event in
            if case .connectionChanged(state: .connecting) = event { return true }
            return false
        }
    }
}
