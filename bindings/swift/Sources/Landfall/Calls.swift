import Dispatch
// What crosses to the native library is plain data of its own module; an app sees it as this one's.
@_exported import LandfallFFI

/// Where calls into the native library are made, and on which thread.
///
/// Most of them wait for the disk, so none is made on the thread of the caller: a task's threads are
/// few, and the main one draws.
package protocol Calls: Sendable {
    /// Make a call, and give what it returned. What was begun is finished, also when the task that
    /// waits for it is cancelled: a write stands, and its receipt arrives.
    func make<T: Sendable>(_ call: @escaping @Sendable () throws -> T) async throws -> T

    /// Make a call that nobody waits for.
    func launch(_ call: @escaping @Sendable () -> Void)
}

/// Calls on threads that may wait.
struct Background: Calls {
    private let queue = DispatchQueue(label: "landfall", qos: .userInitiated, attributes: .concurrent)

    func make<T: Sendable>(_ call: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { (answer: CheckedContinuation<T, any Error>) in
            queue.async { answer.resume(with: Result { try calling(call) }) }
        }
    }

    func launch(_ call: @escaping @Sendable () -> Void) {
        queue.async { call() }
    }
}

/// Failures leave typed.
package func calling<T>(_ call: () throws -> T) throws -> T {
    do {
        return try call()
    } catch let error as CallError {
        throw LandfallError(error)
    }
}

extension Duration {
    /// Whole milliseconds; nothing below 0.
    package var inMillis: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let whole = UInt64(seconds).multipliedReportingOverflow(by: 1_000)
        return whole.overflow ? UInt64.max : whole.partialValue + UInt64(attoseconds / 1_000_000_000_000_000)
    }
}
