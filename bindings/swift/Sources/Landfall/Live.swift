import Foundation

/// The rows of a live query, now and whenever they change. A slow reader sees the newest rows, and not
/// each step on the way there.
///
/// Nothing runs before a loop asks for the first rows; leaving the loop, or cancelling its task, stops
/// the query. Closing the client ends the sequence. Each loop has a live query of its own.
public struct LiveRows<Shown: Sendable>: AsyncSequence, Sendable {
    public typealias Element = [Shown]
    private let updates: LiveUpdates<Shown>

    init(_ updates: LiveUpdates<Shown>) {
        self.updates = updates
    }

    public func makeAsyncIterator() -> Iterator { Iterator(updates.makeAsyncIterator()) }

    public struct Iterator: AsyncIteratorProtocol {
        private var updates: LiveUpdates<Shown>.Iterator

        fileprivate init(_ updates: LiveUpdates<Shown>.Iterator) {
            self.updates = updates
        }

        public mutating func next() async throws -> [Shown]? { try await updates.newest()?.rows }
    }
}

/// The updates of a live query, each in turn; otherwise like `LiveRows`.
public struct LiveUpdates<Shown: Sendable>: AsyncSequence, Sendable {
    public typealias Element = Update<Shown>
    private let calls: any Calls
    private let start: @Sendable (any WatchListener) throws -> Watch
    private let reader: RowReader<Shown>

    init(
        _ calls: any Calls, _ reader: @escaping RowReader<Shown>,
        _ start: @escaping @Sendable (any WatchListener) throws -> Watch
    ) {
        self.calls = calls
        self.start = start
        self.reader = reader
    }

    public func makeAsyncIterator() -> Iterator {
        let watching = Watching(calls, start)
        // An update that somebody keeps does not keep its query.
        let rows = RowList(reader) { [weak watching] in
            guard let watching else {
                throw LandfallError.closed(code: "LF2104", detail: "The live query has ended.")
            }
            return try await watching.explain()
        }
        return Iterator(watching, rows)
    }

    public struct Iterator: AsyncIteratorProtocol {
        private let watching: Watching
        private var rows: RowList<Shown>
        /// Told, and not yet asked for.
        private var told: ArraySlice<WatchUpdate> = []

        fileprivate init(_ watching: Watching, _ rows: RowList<Shown>) {
            self.watching = watching
            self.rows = rows
        }

        public mutating func next() async throws -> Update<Shown>? {
            if told.isEmpty { told = try await watching.takeAll()[...] }
            return told.popFirst().map { rows.apply($0) }
        }

        fileprivate mutating func newest() async throws -> Update<Shown>? {
            var newest = try await next()
            while let update = told.popFirst() { newest = rows.apply(update) }
            return newest
        }
    }
}

/// One live query for one loop, which asks from one place at a time; with the loop the query goes.
private final class Watching: @unchecked Sendable {
    private let calls: any Calls
    private let start: @Sendable (any WatchListener) throws -> Watch
    private let mailbox = Mailbox<WatchUpdate>()
    private var watch: Watch?

    init(_ calls: any Calls, _ start: @escaping @Sendable (any WatchListener) throws -> Watch) {
        self.calls = calls
        self.start = start
    }

    /// The updates since the last time, at least one; none at the end.
    func takeAll() async throws -> [WatchUpdate] {
        if watch == nil {
            let listener = Listener(mailbox)
            let start = start
            watch = try await calls.make { try start(listener) }
        }
        return try await mailbox.takeAll()
    }

    /// Called by who has an update: since the first of them there is a watch, and always the same.
    func explain() async throws -> LiveExplain {
        guard let watch else { throw LandfallError.closed(code: "LF2104", detail: "The live query has ended.") }
        return try await calls.make { try watch.explain() }
    }

    deinit {
        // The native side lets go of the listener with the query.
        if let watch { calls.launch { watch.stop() } }
    }
}

/// Called on the thread of the live queries, so it only puts down what it hears.
private final class Listener: WatchListener {
    private let mailbox: Mailbox<WatchUpdate>

    init(_ mailbox: Mailbox<WatchUpdate>) {
        self.mailbox = mailbox
    }

    func updated(update: WatchUpdate) throws { mailbox.put(update) }

    func failed(error: CallError) throws { mailbox.end(LandfallError(error)) }

    func ended() throws { mailbox.end(nil) }
}

/// What is on its way from a thread of the native library to the one reader. Updates are differences,
/// so none is dropped.
final class Mailbox<Element: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var waiting: [Element] = []
    private var hasEnded = false
    private var failure: (any Error)?
    private var reader: CheckedContinuation<Void, Never>?

    func put(_ element: Element) {
        change { waiting.append(element) }
    }

    /// Nothing more comes. What was put before is still read; a failure is thrown after it, once.
    func end(_ failure: (any Error)?) {
        change {
            if !hasEnded { self.failure = failure }
            hasEnded = true
        }
    }

    /// Waits for something; nothing at the end, or when the reader's task is cancelled.
    func takeAll() async throws -> [Element] {
        await withTaskCancellationHandler {
            await withCheckedContinuation { wait($0) }
        } onCancel: {
            end(nil)
        }
        return try lock.withLock {
            let all = waiting
            waiting = []
            if all.isEmpty, let failure {
                self.failure = nil
                throw failure
            }
            return all
        }
    }

    private func wait(_ reader: CheckedContinuation<Void, Never>) {
        let isNow = lock.withLock {
            if !waiting.isEmpty || hasEnded { return true }
            self.reader = reader
            return false
        }
        if isNow { reader.resume() }
    }

    private func change(_ work: () -> Void) {
        let reader = lock.withLock {
            work()
            defer { self.reader = nil }
            return self.reader
        }
        reader?.resume()
    }
}
