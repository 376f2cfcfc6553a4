import Foundation
@_exported import Landfall

/// A world for the tests of an app: devices and a region in memory, in a time that the test moves.
///
/// The devices are those of production on SQLite, and the region decides by the rules of production.
/// There is no socket, no server and no waiting: time stands still until `settle` or `advance`. Calls of
/// a device's client run one at a time, and after each the world does all that it can do without time
/// passing: a live query has its update when the write that caused it returns. Same test, same seed,
/// same course of events.
///
/// ```swift
/// let kit = try Testkit(Shop.schema)
/// let phone = try kit.device("ann")
/// let shop = Shop(phone.app)
/// phone.offline()
/// …
/// ```
///
/// `LandfallClient.settle` waits in real time, which here nobody does: call this one's instead. The world
/// ends with `close`, or with the last reference to it and to its clients.
public final class Testkit: Sendable {
    private let native: TestWorld
    private let turn: Turn

    /// The one region.
    public let region: TestRegion

    public init(_ schema: String, seed: UInt64 = 0) throws {
        native = try calling { try TestWorld.open(schema: schema, seed: seed) }
        turn = Turn(native)
        region = TestRegion(native, turn)
    }

    /// Time of the world, in milliseconds since 1970.
    public var nowMs: Int64 { native.nowMs() }

    /// A device of an account, online; made if there is none. It reads and writes everything unless
    /// `allow` says otherwise.
    public func device(_ account: String, _ name: String = "phone") throws -> Device {
        Device(try turn.take { try native.device(account: account, name: name) }, turn)
    }

    /// Run until every outbox is empty and every subscription heard to its end, or waits for something
    /// that the test took away: those are the answer. Fails with `LF8001` if something is still under way
    /// after two minutes of the world's time.
    @discardableResult
    public func settle() throws -> [TestWaiting] { try turn.take { try native.settle() } }

    /// Let so much time pass, and everything happen that it brings.
    public func advance(_ time: Duration) throws { try turn.take { try native.advance(ms: time.inMillis) } }

    /// From now on an account may do this and nothing else. What it may not see leaves its devices.
    public func allow(_ account: String, scopes: [String] = [], audiences: [String] = []) throws {
        try turn.take { native.allow(account: account, scopes: scopes, audiences: audiences) }
    }

    /// An account may also read and write this home scope.
    public func grant(_ account: String, _ scope: String) throws {
        try turn.take { native.grant(account: account, scope: scope) }
    }

    /// An account may no longer see this scope. `LF8004` if it has the right under a wider name.
    public func revoke(_ account: String, _ scope: String) throws {
        try turn.take { try native.revoke(account: account, scope: scope) }
    }

    /// Another device, far away, writes, and the region has it when this returns, unless it is down. To
    /// write with the app's own types, take a device of another account.
    public func writeAsOthers(_ batch: (Batch) throws -> Void) throws {
        let written = Batch()
        try batch(written)
        let edits = written.edits
        try turn.take { try native.writeAsOthers(edits: edits) }
    }

    /// The world ends, and its devices with it; their clients are closed.
    public func close() { turn.end() }
}

/// A device of a world.
public final class Device: @unchecked Sendable {
    private let native: TestDevice
    private let turn: Turn
    private let lock = NSLock()
    private var client: LandfallClient

    init(_ native: TestDevice, _ turn: Turn) {
        self.native = native
        self.turn = turn
        client = LandfallClient(native.client(), turn)
    }

    /// The account and the device's own name: `ann/phone`.
    public var name: String { native.name() }

    /// The app's client; another one after `restart`.
    public var app: LandfallClient { lock.withLock { client } }

    /// The network goes, and with it what is on its way. The app is not told.
    public func offline() throws { try turn.take { native.offline() } }

    /// The network is back. The client finds it at its next attempt, which `Testkit.settle` waits for.
    public func online() throws { try turn.take { native.online() } }

    /// The app's process is killed and started again: nothing is closed, and the file stays as it is. The
    /// dead process has the lease on syncing for five seconds more. Clients of before are closed.
    @discardableResult
    public func restart() throws -> LandfallClient {
        let restarted = LandfallClient(try turn.take { try native.restart() }, turn)
        return lock.withLock {
            client = restarted
            return restarted
        }
    }

    /// The account's token has expired, and the app cannot get another one: the user is signed out.
    public func expireToken() throws { try turn.take { native.expireToken() } }

    /// The app gets a good token again.
    public func renewToken() throws { try turn.take { native.renewToken() } }
}

/// The region of a world.
public final class TestRegion: Sendable {
    private let native: TestWorld
    private let turn: Turn

    init(_ native: TestWorld, _ turn: Turn) {
        self.native = native
        self.turn = turn
    }

    /// Refuse the next write to an entity of this type (and this id), with its whole transaction.
    /// `reason` is the region's word for it: one that regions give (`not_allowed`), or one of the app's own
    /// backend, which arrives as the code LF4000.
    public func rejectNext(
        _ kind: String, id: String? = nil, reason: String, field: String? = nil, detail: String = ""
    ) throws {
        let which: TestWrites = id.map { .ofEntity(kind: kind, id: $0) } ?? .ofType(kind: kind)
        try refuse(which, TestRefusal(word: reason, field: field, detail: detail))
    }

    /// Refuse this write, with its whole transaction.
    public func reject(_ dot: Dot, reason: String, field: String? = nil, detail: String = "") throws {
        try refuse(.one(dot: dot), TestRefusal(word: reason, field: field, detail: detail))
    }

    private func refuse(_ which: TestWrites, _ refusal: TestRefusal) throws {
        try turn.take { try native.rejectNext(which: which, refusal: refusal) }
    }

    /// From now on a frame takes so long, one way. Two seconds and more are as good as no network.
    public func delay(_ oneWay: Duration) throws {
        try turn.take { native.delayRegion(oneWayMs: oneWay.inMillis) }
    }

    /// The region's process dies; its store stays.
    public func stop() throws { try turn.take { native.stopRegion() } }

    /// The region is there again.
    public func start() throws { try turn.take { native.startRegion() } }

    /// What the region holds of a type, with the columns of a device's table: `Order.read` reads it.
    public func rows(_ kind: String) throws -> [RowView] {
        let rows = try turn.take { try native.rows(kind: kind) }
        let columns = ColumnNames(rows.columns)
        return rows.rows.map { RowView(columns, $0) }
    }
}

/// Calls into the world, one at a time, each followed by what it set going, on the thread that makes
/// them. A listener may call the client within one.
final class Turn: Calls, @unchecked Sendable {
    private let native: TestWorld
    private let lock = NSRecursiveLock()
    private var hasEnded = false

    init(_ native: TestWorld) {
        self.native = native
    }

    /// A world that never comes to rest is told by the calls that drive it.
    func take<T>(_ work: () throws -> T) throws -> T {
        try lock.withLock {
            try calling {
                try native.runReady()
                let answer = try work()
                try native.runReady()
                return answer
            }
        }
    }

    func make<T: Sendable>(_ call: @escaping @Sendable () throws -> T) async throws -> T { try within(call) }

    func launch(_ call: @escaping @Sendable () -> Void) { try? within(call) }

    private func within<T>(_ work: () throws -> T) throws -> T {
        try lock.withLock {
            if !hasEnded { try? native.runReady() }
            defer { if !hasEnded { try? native.runReady() } }
            return try calling(work)
        }
    }

    func end() {
        lock.withLock {
            if !hasEnded { native.end() }
            hasEnded = true
        }
    }
}
