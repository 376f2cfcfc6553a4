import Foundation
import Landfall
import XCTest

final class LiveTests: XCTestCase {
    func testAWindowTellsTheRowsAndTheFewestChanges() async throws {
        let phone = try await World.shared.get().phone("hal", offline: true)
        try await phone.write { tx in
            for n in 1...5 { tx.product.upsert("p-\(n)") { $0.description = "d\(n)" } }
        }
        var updates = phone.product.observeChanges { window, product in
            window.descending(product.description)
            window.limit(3)
        }.makeAsyncIterator()
        let first = try await updates.next()
        XCTAssertEqual(first?.rows.map(\.id), ["p-5", "p-4", "p-3"])
        XCTAssertEqual(first?.incremental, true)
        try await phone.product.update("p-1") { $0.description = "d9" }
        let second = try await updates.next()
        XCTAssertEqual(second?.rows.map(\.id), ["p-1", "p-5", "p-4"])
        XCTAssertEqual(second?.changes.count, 2)
        guard case .remove(old: 2)? = second?.changes.first, case .insert(new: 0, values: _)? = second?.changes.last
        else { return XCTFail("\(String(describing: second?.changes))") }
        try await phone.close()
    }

    func testRowsKeptUpByChangesAreTheRowsOfTheTableWhateverHappens() async throws {
        let phone = try await World.shared.get().phone("ida", offline: true)
        let seen = Latest<[Product]>()
        let watching = Task {
            for try await update in phone.product.observeChanges({ window, product in
                window.ascending(product.description)
                window.limit(20)
            }) { seen.set(update.rows) }
        }
        var random = Numbers(state: 7)
        for _ in 0..<60 {
            let made = (0..<5).map { _ in ("p-\(random.next(40))", "d\(random.next(1_000))") }
            try await phone.write { tx in
                for (id, description) in made { tx.product.upsert(id) { $0.description = description } }
            }
            let gone = "p-\(random.next(40))"
            if try await phone.product.get(gone) != nil { try await phone.product.delete(gone) }
        }
        let rows = try await phone.sdk.query("SELECT * FROM Product ORDER BY description, id LIMIT 20")
        let expected = try rows.map { try Product.read($0) }
        try await until { seen.get() == expected }
        watching.cancel()
        try await watching.value
        try await phone.close()
    }

    func testAReaderThatLeavesStopsItsLiveQuery() async throws {
        let phone = try await World.shared.get().phone("jon", offline: true)
        let begun = Counter()
        let watching = (0..<20).map { _ in
            Task { for try await _ in phone.product.observe() { begun.next() } }
        }
        try await until { begun.value == 20 }
        watching.forEach { $0.cancel() }
        for task in watching { try await task.value }
        for try await rows in phone.product.observe() {
            XCTAssertEqual(rows, [])
            break
        }
        try await phone.product.upsert("p-1")
        XCTAssertEqual(begun.value, 20, "a query that was left told of a write")
        try await phone.close()
    }

    func testASlowReaderSeesTheNewestRowsNotEachOne() async throws {
        let phone = try await World.shared.get().phone("kim", offline: true)
        let seen = Latest<[Int]>()
        seen.set([])
        let watching = Task {
            for try await rows in phone.product.observe() {
                seen.set((seen.get() ?? []) + [rows.count])
                try? await Task.sleep(nanoseconds: 100_000_000)
            }
        }
        for n in 0..<100 { try await phone.product.upsert("p-\(n)") }
        try await until { seen.get()?.last == 100 }
        XCTAssertLessThan(seen.get()?.count ?? 100, 50)
        watching.cancel()
        try await watching.value
        try await phone.close()
    }

    func testListenersMayCallTheClientAndHurtNobodyWhenTheyThrow() async throws {
        let world = try World.shared.get()
        let options = OpenOptions(
            path: world.file("lea"), schema: Shop.schema, tenant: "", subject: "lea", regions: [], startOffline: true)
        let client = try Client.open(options: options, tokens: NoTokens())
        let listener = Nosy(client)
        let query = Query(table: "Product", filter: nil, params: [], order: [], limit: nil)
        let watch = try client.observe(query: query, listener: listener)
        for expected in 0...1 {
            try await until { listener.heard.get() == expected }
            _ = try client.write(edits: [Edit(kind: "Product", id: "p", action: .upsert, home: nil, changes: [])])
        }
        watch.stop()
        watch.stop()
        try await until { listener.ends.value == 1 }
        try client.shut()
    }
}

private final class NoTokens: TokenProvider {
    func token(reason: TokenReason) async throws -> String { "" }
}

private final class Nosy: WatchListener {
    let heard = Latest<Int>()
    let ends = Counter()
    private let client: Client

    init(_ client: Client) {
        self.client = client
    }

    func updated(update: WatchUpdate) throws {
        let rows = try client.query(sql: "SELECT id FROM Product", params: [])
        _ = try client.outboxStatus()
        heard.set(rows.rows.count)
        throw CodecError("a listener that throws hurts nobody")
    }

    func failed(error: CallError) throws { throw error }

    func ended() throws { ends.next() }
}

/// What was heard last.
final class Latest<Heard: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var heard: Heard?

    func set(_ heard: Heard) { lock.withLock { self.heard = heard } }

    func get() -> Heard? { lock.withLock { heard } }
}

/// The same numbers every time.
private struct Numbers {
    var state: UInt64

    mutating func next(_ below: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % below
    }
}
