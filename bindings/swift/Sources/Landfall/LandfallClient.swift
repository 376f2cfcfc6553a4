/// Gives bearer tokens (JWT) when a session begins; see `TokenReason`. What it throws is "not now". Its
/// task is cancelled when the client closes.
public typealias Tokens = @Sendable (TokenReason) async throws -> String

/// An open file of one account: the app's database, and what keeps it in step with the regions.
///
/// Calls are made off the caller's thread and wait for no network, `settle`, `drain` and `syncOnce`
/// apart, which end with `CancellationError` when their task is cancelled. They fail with a
/// `LandfallError`. A write is in the file when its call returns. Sequences start with their loop and
/// stop with it; all of them end when the client is closed.
public final class LandfallClient: Sendable {
    let native: Client
    private let calls: any Calls

    package init(_ native: Client, _ calls: any Calls) {
        self.native = native
        self.calls = calls
    }

    /// Open an account's file, or make it, and begin to sync unless told to start offline. Fails if the
    /// file cannot be opened, is not this account's, or does not fit the schema; it is then as it was.
    public static func open(_ options: OpenOptions, tokens: @escaping Tokens) async throws -> LandfallClient {
        let (calls, provider) = (Background(), Provider(tokens))
        return LandfallClient(try await calls.make { try Client.open(options: options, tokens: provider) }, calls)
    }

    /// Read what can be read of a damaged file; nothing in it changes. The file must not be open in this
    /// process.
    public static func rescue(_ path: String) async throws -> Rescue {
        let calls = Background()
        return Rescue(try await calls.make { try RescuedWrites.ofFile(path: path) }, calls)
    }

    // MARK: - Writing

    /// Write a batch in one transaction: all of it or nothing.
    @discardableResult
    public func write(_ batch: @Sendable (Batch) throws -> Void) async throws -> Receipt {
        let written = Batch()
        try batch(written)
        let edits = written.edits
        return try await call { try $0.write(edits: edits) }
    }

    // MARK: - Reading

    /// Run one SQL statement that reads.
    public func query(_ sql: String, _ params: [SqlValue] = []) async throws -> [RowView] {
        let rows = try await call { try $0.query(sql: sql, params: params) }
        let columns = ColumnNames(rows.columns)
        return rows.rows.map { RowView(columns, $0) }
    }

    /// An entity's row; nothing if this device has none, which does not mean that there is none.
    public func get(_ kind: String, _ id: String) async throws -> RowView? {
        let row = try await call { try $0.get(kind: kind, id: id) }
        return row.map { RowView(ColumnNames($0.columns), $0.values) }
    }

    /// Watch a window of one table, update by update. A slow reader is told each one in turn.
    public func observe<Shown>(_ query: Query, _ reader: @escaping RowReader<Shown>) -> LiveUpdates<Shown> {
        LiveUpdates(calls, reader) { [native] in try native.observe(query: query, listener: $0) }
    }

    /// Watch any SQL that reads; a slow reader is told the newest rows only.
    public func watch(_ sql: String, _ params: [SqlValue] = []) -> LiveRows<RowView> {
        LiveRows(
            LiveUpdates(calls, { $0 }) { [native] in try native.watch(sql: sql, params: params, listener: $0) })
    }

    /// Rows of a type that hold these words, the best first; they have the type's columns, `_rank` and
    /// `_snippet`. It finds what is on this device. Fails with `LandfallError.faultyQuery` if the type is
    /// not searched.
    public func search(_ search: Search) async throws -> [RowView] {
        let rows = try await call { try $0.search(search: search) }
        let columns = ColumnNames(rows.columns)
        return rows.rows.map { RowView(columns, $0) }
    }

    /// The same, now and whenever it changes; it is run anew when rows of its type change.
    public func observeSearch<Shown>(
        _ search: Search, _ reader: @escaping RowReader<Shown>
    ) -> LiveUpdates<Shown> {
        LiveUpdates(calls, reader) { [native] in try native.observeSearch(search: search, listener: $0) }
    }

    /// An editor on a text field of an entity that is there.
    public func text(_ kind: String, _ id: String, _ field: String) async throws -> SharedText {
        SharedText(try await call { try $0.text(kind: kind, id: id, field: field) }, calls)
    }

    // MARK: - What becomes of writes

    /// Where a write of this device stands.
    public func fate(_ dot: Dot) async throws -> Fate { try await call { try $0.fate(dot: dot) } }

    /// Everything that happens from the beginning of the loop on.
    public func events() -> Events { Events { [native] in native.events() } }

    /// Every step of every own write.
    public func fates() -> Events { Events { [native] in native.fates() } }

    /// Own writes that came to something to deal with, as they do; see `outcomes`.
    public func outcomeEvents() -> AsyncFilterSequence<Events> {
        events().filter { event in
            if case .outcomeReached = event { return true }
            return false
        }
    }

    /// The outbox in numbers; empty once every write is as safe as was asked for.
    public func outboxStatus() async throws -> OutboxStatus { try await call { try $0.outboxStatus() } }

    /// Refused, overwritten and otherwise unlucky writes, oldest first, until they are dismissed.
    public func outcomes() async throws -> [WriteOutcome] { try await call { try $0.outcomes() } }

    /// The app has dealt with the outcomes of a write: forget them.
    public func dismiss(_ dot: Dot) async throws { try await call { try $0.dismiss(dot: dot) } }

    /// Make a refused transaction anew, as seen from now.
    @discardableResult
    public func resubmit(_ dot: Dot) async throws -> Receipt { try await call { try $0.resubmit(dot: dot) } }

    /// Take back a write that never left this device, with its transaction and with all that stands on
    /// it. Refused with `LandfallError.refusedWrite`: `LF2021` if one of them may have left, `LF2022` if
    /// there is no such write, `LF2023` if a later edit of the same text has it in it.
    @discardableResult
    public func cancel(_ dot: Dot) async throws -> Cancelled { try await call { try $0.cancel(dot: dot) } }

    /// Bring a deleted entity back as this device knew it last, with all that fell with it. `home` is its
    /// home scope. The receipt is empty if it is there. `LF2024`: this device does not know its values any
    /// more; `LF2012`: its parent is gone, and is what is to be restored.
    @discardableResult
    public func restore(_ kind: String, home: String, id: String) async throws -> Receipt {
        try await call { try $0.restore(kind: kind, home: home, id: id) }
    }

    // MARK: - What a device knows of itself

    /// Why an entity shows on this device, or does not, as far as the device knows. Without its home scope
    /// it fails with `LF2013` if the id stands for several.
    public func explain(_ kind: String, _ id: String, home: String? = nil) async throws -> Explanation {
        try await call { try $0.explain(kind: kind, id: id, home: home) }
    }

    /// A JSON document for support, without the user's data. It reads the whole file.
    public func supportBundle() async throws -> String { try await call { try $0.supportBundle() } }

    /// Take in the writes of a damaged file of this account, each once. To take the same rescue in again
    /// does no harm. Fails with `LandfallError.otherAccount`, and takes nothing, if a write in it was made
    /// by another account.
    @discardableResult
    public func takeIn(_ rescue: Rescue) async throws -> TakenIn {
        try await call { try $0.takeIn(rescue: rescue.native) }
    }

    // MARK: - Subscriptions

    /// Hold a scope's rows on this device from now on, across restarts.
    public func subscribe(_ scope: String) async throws { try await call { try $0.subscribe(scope: scope) } }

    /// Hold a part of a scope's rows on this device from now on, across restarts.
    public func subscribe(_ scope: String, _ terms: Terms) async throws {
        try await call { try $0.subscribeWith(scope: scope, terms: terms) }
    }

    /// Ask anew for all that a subscription may hold, after rows were left out or evicted.
    public func refill(_ scope: String) async throws { try await call { try $0.refill(scope: scope) } }

    /// Keep a row whatever its age and however little room there is, and fetch it if need be.
    public func pin(_ kind: String, home: String, id: String) async throws {
        try await call { try $0.pin(kind: kind, home: home, id: id) }
    }

    /// Keep a row no longer than others.
    public func unpin(_ kind: String, home: String, id: String) async throws {
        try await call { try $0.unpin(kind: kind, home: home, id: id) }
    }

    /// Let go of a scope's rows. Writes on them that were not sent yet are still sent.
    public func unsubscribe(_ scope: String) async throws { try await call { try $0.unsubscribe(scope: scope) } }

    /// How far a subscription is; nothing if the scope is not subscribed.
    public func progress(_ scope: String) async throws -> LandfallFFI.Progress? {
        try await call { try $0.progress(scope: scope) }
    }

    /// All subscriptions, by scope.
    public func subscriptions() async throws -> [LandfallFFI.Progress] {
        try await call { try $0.subscriptions() }
    }

    // MARK: - The network

    /// Use no network until `goOnline`. An open session is closed.
    public func goOffline() async throws { try await call { $0.goOffline() } }

    /// Sync from now on.
    public func goOnline() async throws { try await call { $0.goOnline() } }

    /// What the user's network and battery are like now, as the operating system says. What it means is
    /// in `OpenOptions.network`.
    public func setConditions(_ conditions: Conditions) async throws {
        try await call { $0.setConditions(conditions: conditions) }
    }

    /// The operating system says that the device's network is another one, or is back: look at once
    /// whether the region still answers, and end every wait.
    public func networkChanged() async throws { try await call { $0.networkChanged() } }

    /// Where the connection stands.
    public func connection() async throws -> ConnectionState { try await call { $0.connection() } }

    /// Wait until the outbox is empty and every subscription was heard to its end. Fails with
    /// `LandfallError.notSettled` if that takes longer, as it does offline.
    public func settle(_ timeout: Duration) async throws {
        let _: Bool = try await waiting { try await $0.settle(client: $1, timeoutMs: timeout.inMillis) ? true : nil }
    }

    /// Wait until every write is as safe as was asked for. Fails with `LandfallError.unsent` if that takes
    /// longer, as it does offline.
    public func drain(_ timeout: Duration) async throws {
        let _: Bool = try await waiting { try await $0.drain(client: $1, timeoutMs: timeout.inMillis) ? true : nil }
    }

    /// Sync for a while, in a slot that the system gives to an app in the background: until all is done,
    /// `deadline` is over, or about `maxBytes` went either way. Writes go first, then subscriptions by
    /// their priority, those below `priorityMin` not at all. To cancel ends the slot; the next one goes on
    /// where it stopped. The client is offline again afterwards, if it was before.
    public func syncOnce(
        _ deadline: Duration, maxBytes: UInt64? = nil, priorityMin: UInt8 = 0
    ) async throws -> SyncReport {
        let limits = SyncLimits(deadlineMs: deadline.inMillis, bytesMax: maxBytes, priorityMin: priorityMin)
        return try await waiting { try await $0.syncOnce(client: $1, limits: limits) }
    }

    /// What the account may subscribe, as the last region said; nothing before one has.
    public func granted() async throws -> Granted? { try await call { $0.granted() } }

    /// Whose file it is.
    public var account: Account { native.account() }

    /// Stop syncing, make all that was written survive a loss of power, and let go of the file. Other
    /// calls fail with `LandfallError.closed` from here on; to close twice is to close once.
    public func close() async throws { try await call { try $0.shut() } }

    // MARK: - Within

    private func call<Answer: Sendable>(
        _ work: @escaping @Sendable (Client) throws -> Answer
    ) async throws -> Answer {
        try await calls.make { [native] in try work(native) }
    }

    /// What waits for regions says nothing when it was given up, which only a cancelled task does.
    private func waiting<Answer>(_ work: (Waiter, Client) async throws -> Answer?) async throws -> Answer {
        do {
            guard let answer = try await givingUp({ try await work($0, native) }) else { throw CancellationError() }
            return answer
        } catch let error as CallError {
            throw LandfallError(error)
        }
    }
}

/// The app's tokens, as the native library asks for them.
final class Provider: TokenProvider {
    private let tokens: Tokens

    init(_ tokens: @escaping Tokens) {
        self.tokens = tokens
    }

    func token(reason: TokenReason) async throws -> String {
        do {
            return try await tokens(reason)
        } catch {
            throw TokenError.Unavailable(detail: "\(error)")
        }
    }
}
