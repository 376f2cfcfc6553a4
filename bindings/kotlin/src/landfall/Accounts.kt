package landfall

import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.withContext
import kotlin.time.Duration

/** What to do with what is unsent when somebody signs out. */
public sealed class SignOut {
    /** Keep the file with all that is in it, until the account returns. */
    public data object Keep : SignOut()

    /** Wait until every write is as safe as was asked for, at most this long; then remove the file. */
    public data class Wait(public val timeout: Duration) : SignOut()

    /** Remove the file with all that is in it, unsent writes too. */
    public data object Discard : SignOut()
}

/**
 * Several people on one device: a file for each account, and what becomes of it when somebody
 * leaves.
 *
 * Somebody who has no account yet works under an [anonymous] one. When an account is made or signed
 * in to, it takes the anonymous file over ([claim]): rows and all unsent writes.
 */
public class Accounts private constructor(
    private val native: AccountFiles,
    private val io: CoroutineDispatcher,
) {
    /**
     * An account for somebody who has none yet: a name that no other device draws. An app that
     * syncs it gives tokens for that subject; one that does not keeps it offline.
     */
    public fun anonymous(): Account = native.anonymous()

    /** Open an account's file, or make it, and begin to sync. */
    public suspend fun signIn(account: Account, tokens: Tokens): Landfall =
        Landfall.signIn(native, account, io, tokens)

    /**
     * Close an account's client, and do with its file as [how] says. Returns how many writes were
     * unsent: kept, or discarded. Fails with [LandfallException.Unsent] if waiting took too long;
     * the client is open then as before.
     */
    public suspend fun signOut(client: Landfall, how: SignOut): Long {
        if (how is SignOut.Wait) client.drain(how.timeout)
        val unsent = if (how == SignOut.Keep) Unsent.KEEP else Unsent.DISCARD
        return client.signOut(native, unsent).toLong()
    }

    /** Every account that has a file here, by tenant and subject. */
    public suspend fun list(): List<KnownAccount> = call { it.list() }

    /** Remove an account's file with all that is in it. Not while it is open. */
    public suspend fun wipe(account: Account): Unit = call { it.wipe(account) }

    /**
     * Let an account take over what an anonymous one did here. Neither is open meanwhile. Where the
     * account has a file already, the writes are made again in it, in their order, and the rows
     * come by sync. Returns how many writes were taken over. Fails with [LandfallException.Unsent]
     * if one is on its way: let it settle first.
     */
    public suspend fun claim(anonymous: Account, account: Account): Long =
        call { it.claim(anonymous, account) }.toLong()

    /** Files move in here: what has begun is not cancelled half-way. */
    private suspend fun <T> call(work: (AccountFiles) -> T): T =
        withContext(NonCancellable + io) { calling { work(native) } }

    public companion object {
        /** The accounts whose files are in a folder, which is made if it is not there. */
        public suspend fun open(
            options: AccountsOptions,
            io: CoroutineDispatcher = Dispatchers.IO,
        ): Accounts = withContext(io) { calling { Accounts(AccountFiles.open(options), io) } }
    }
}
