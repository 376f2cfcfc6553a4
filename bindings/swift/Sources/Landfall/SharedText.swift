/// An editor's copy of a shared text: what others write does not move the text under the cursor until
/// `pull`, and what is typed here merges with it all the same. When the last reference goes, what was
/// spliced and not committed goes with it.
public final class SharedText: Sendable {
    private let native: TextEditor
    private let calls: any Calls

    init(_ native: TextEditor, _ calls: any Calls) {
        self.native = native
        self.calls = calls
    }

    /// The text as this editor shows it.
    public var value: String { native.value() }

    /// Replace `delete` code points at `at` by `insert`, in this editor. A `Character` may be several
    /// code points: count `unicodeScalars`.
    public func splice(at: UInt32, delete: UInt32, insert: String) throws {
        try calling { try native.splice(at: at, delete: delete, insert: insert) }
    }

    /// Write what was spliced since the last commit. Nothing if nothing was.
    @discardableResult
    public func commit() async throws -> Receipt? {
        try await calls.make { [native] in try native.commit() }
    }

    /// Take in everything that the device has.
    public func pull() async throws {
        try await calls.make { [native] in try native.pull() }
    }
}
