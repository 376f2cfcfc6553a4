/// What could be read of a damaged file; `LandfallClient.rescue` reads it. A new file of the account takes
/// the writes in, each once (`LandfallClient.takeIn`): directly, or by way of a document that was saved
/// meanwhile.
public final class Rescue: Sendable {
    let native: RescuedWrites
    private let calls: any Calls

    init(_ native: RescuedWrites, _ calls: any Calls) {
        self.native = native
        self.calls = calls
    }

    /// Read a document. Fails with `LandfallError.rescueDocument` if it is none, or not whole.
    public static func load(_ path: String) async throws -> Rescue {
        let calls = Background()
        return Rescue(try await calls.make { try RescuedWrites.load(path: path) }, calls)
    }

    /// What was read and what was not.
    public var report: RescueReport { native.report() }

    /// The account whose file it was, if that could be read.
    public var account: Account? { native.account() }

    /// Save it as a document, which has the user's data in it. Nothing stands at `path` yet.
    public func save(_ path: String) async throws {
        try await calls.make { [native] in try native.save(path: path) }
    }
}
