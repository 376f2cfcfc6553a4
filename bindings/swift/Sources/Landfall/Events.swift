/// What happens in a client, one after the other, from the moment that a loop begins. It ends when the
/// client is closed, or the loop's task cancelled. Who reads slowly is told how much is missing
/// (`Event.missed`).
public struct Events: AsyncSequence, Sendable {
    public typealias Element = Event
    private let open: @Sendable () -> EventStream

    init(_ open: @escaping @Sendable () -> EventStream) {
        self.open = open
    }

    public func makeAsyncIterator() -> Iterator { Iterator(open()) }

    public struct Iterator: AsyncIteratorProtocol {
        private let stream: EventStream

        fileprivate init(_ stream: EventStream) {
            self.stream = stream
        }

        public mutating func next() async -> Event? {
            let stream = stream
            return await givingUp { await $0.next(events: stream) }
        }
    }
}

/// Waits in the native library do not hear of a cancelled task by themselves: they are told.
func givingUp<Answer>(_ work: (Waiter) async throws -> Answer) async rethrows -> Answer {
    let wait = Waiter()
    return try await withTaskCancellationHandler {
        try await work(wait)
    } onCancel: {
        wait.giveUp()
    }
}
