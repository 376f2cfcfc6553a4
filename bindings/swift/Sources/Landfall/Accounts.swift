/// What to do with what is unsent when somebody signs out.
public enum SignOut: Sendable {
    /// Keep the file with all that is in it, until the account returns.
    case keep
    /// Wait until every write is as safe as was asked for, at most this long; then remove the file.
    case wait(Duration)
    /// Remove the file with all that is in it, unsent writes too.
    case discard
}

/// Several people on one device: a file for each account, and what becomes of it when somebody leaves.
///
/// Somebody who has no account yet works under an `anonymous` one. When an account is made or signed in
/// to, it takes the anonymous file over (`claim`): rows and all unsent writes.
public final class Accounts: Sendable {
    private let native: AccountFiles
    private let calls: any Calls

    private init(_ native: AccountFiles, _ calls: any Calls) {
        self.native = native
        self.calls = calls
    }

    /// The accounts whose files are in a folder, which is made if it is not there.
    public static func open(_ options: AccountsOptions) async throws -> Accounts {
        let calls = Background()
        return Accounts(try await calls.make { try AccountFiles.open(options: options) }, calls)
    }

    /// An account for somebody who has none yet: a name that no other device draws. An app that syncs it
    /// gives tokens for that subject; one that does not keeps it offline.
    public func anonymous() -> Account { native.anonymous() }

    /// Open an account's file, or make it, and begin to sync.
    public func signIn(_ account: Account, tokens: @escaping Tokens) async throws -> LandfallClient {
        let provider = Provider(tokens)
        let client = try await calls.make { [native] in try native.signIn(account: account, tokens: provider) }
        return LandfallClient(client, calls)
    }

    /// Close an account's client, and do with its file as `how` says. Returns how many writes were
    /// unsent: kept, or discarded. Fails with `LandfallError.unsent` if waiting took too long; the client
    /// is open then as before.
    @discardableResult
    public func signOut(_ client: LandfallClient, _ how: SignOut) async throws -> UInt64 {
        let unsent: Unsent
        switch how {
        case .keep: unsent = .keep
        case .discard: unsent = .discard
        case let .wait(timeout):
            try await client.drain(timeout)
            unsent = .discard
        }
        return try await calls.make { [native] in try native.signOut(client: client.native, unsent: unsent) }
    }

    /// Every account that has a file here, by tenant and subject.
    public func list() async throws -> [KnownAccount] {
        try await calls.make { [native] in try native.list() }
    }

    /// Remove an account's file with all that is in it. Not while it is open.
    public func wipe(_ account: Account) async throws {
        try await calls.make { [native] in try native.wipe(account: account) }
    }

    /// Let an account take over what an anonymous one did here. Neither is open meanwhile. Where the
    /// account has a file already, the writes are made again in it, in their order, and the rows come by
    /// sync. Returns how many writes were taken over. Fails with `LandfallError.unsent` if one is on its
    /// way: let it settle first.
    @discardableResult
    public func claim(_ anonymous: Account, _ account: Account) async throws -> UInt64 {
        try await calls.make { [native] in try native.claim(anonymous: anonymous, account: account) }
    }
}
