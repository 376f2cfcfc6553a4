// The generated half has a file of this name, too.
@file:JvmName("LandfallCalls")

package landfall

import com.sun.jna.Native
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.flow.conflate
import kotlinx.coroutines.flow.emitAll
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.withContext
import kotlin.time.Duration

/** Gives bearer tokens (JWT) when a session begins; see [TokenReason]. What it throws is "not now". */
public typealias Tokens = suspend (TokenReason) -> String

/**
 * An open file of one account: the app's database, and what keeps it in step with the regions.
 *
 * Calls suspend on [Dispatchers.IO] and wait for no network, [settle], [drain] and [syncOnce]
 * apart, which a cancellation ends. They fail with a
 * [LandfallException]. A coroutine that is cancelled during a write does not learn its receipt;
 * the write stands, as it is in the file at once. Flows start when they are collected and stop
 * with the collector; all of them complete when the client is closed.
 */
public class Landfall internal constructor(
    private val native: Client,
    private val io: CoroutineDispatcher,
) {
    // ---- writing ----

    /** Write a batch in one transaction: all of it or nothing. */
    public suspend fun write(batch: (Batch) -> Unit): Receipt {
        val edits = Batch().also(batch).edits
        return call { it.write(edits) }
    }

    // ---- reading ----

    /** Run one SQL statement that reads. */
    public suspend fun query(sql: String, vararg params: SqlValue): List<RowView> {
        val rows = call { it.query(sql, params.asList()) }
        val columns = Columns(rows.columns)
        return rows.rows.map { RowView(columns, it) }
    }

    /** An entity's row; null if this device has none, which does not mean that there is none. */
    public suspend fun get(kind: String, id: String): RowView? =
        call { it.get(kind, id) }?.let { RowView(Columns(it.columns), it.values) }

    /** Watch a window of one table, update by update. A slow collector is told each one in turn. */
    public fun <T> observe(query: Query, reader: RowReader<T>): Flow<Update<T>> =
        windows(reader) { client, listener -> client.observe(query, listener) }

    /** The rows alone; a slow collector is told the newest only. */
    internal fun <T> observeRows(query: Query, reader: RowReader<T>): Flow<List<T>> =
        rows(reader) { client, listener -> client.observe(query, listener) }

    /** Watch any SQL that reads; a slow collector is told the newest rows only. */
    public fun watch(sql: String, vararg params: SqlValue): Flow<List<RowView>> =
        rows({ it }) { client, listener -> client.watch(sql, params.asList(), listener) }

    /**
     * Rows of a type that hold these words, the best first; they have the type's columns, `_rank` and
     * `_snippet`. It finds what is on this device. Fails with [LandfallException.FaultyQuery] if the
     * type is not searched.
     */
    public suspend fun search(search: Search): List<RowView> {
        val rows = call { it.search(search) }
        val columns = Columns(rows.columns)
        return rows.rows.map { RowView(columns, it) }
    }

    /** The same, now and whenever it changes; it is run anew when rows of its type change. */
    public fun <T> observeSearch(search: Search, reader: RowReader<T>): Flow<Update<T>> =
        windows(reader) { client, listener -> client.observeSearch(search, listener) }

    /** The rows alone; a slow collector is told the newest only. */
    internal fun <T> observeFound(search: Search, reader: RowReader<T>): Flow<List<T>> =
        rows(reader) { client, listener -> client.observeSearch(search, listener) }

    /** An editor on a text field of an entity that is there. Close it after use. */
    public suspend fun text(kind: String, id: String, field: String): SharedText =
        SharedText(call { it.text(kind, id, field) }, io)

    // ---- what becomes of writes ----

    /** Where a write of this device stands. */
    public suspend fun fate(dot: Dot): Fate = call { it.fate(dot) }

    /** Everything that happens from the time of collecting on. */
    public fun events(): Flow<Event> = stream { it.events() }

    /** Every step of every own write. */
    public fun fates(): Flow<Event> = stream { it.fates() }

    /** Own writes that came to something to deal with, as they do; see [outcomes]. */
    public fun outcomeEvents(): Flow<Event.OutcomeReached> = events().filterIsInstance()

    /** The outbox in numbers; empty once every write is as safe as was asked for. */
    public suspend fun outboxStatus(): OutboxStatus = call { it.outboxStatus() }

    /** Refused, overwritten and otherwise unlucky writes, oldest first, until they are dismissed. */
    public suspend fun outcomes(): List<WriteOutcome> = call { it.outcomes() }

    /** The app has dealt with the outcomes of a write: forget them. */
    public suspend fun dismiss(dot: Dot): Unit = call { it.dismiss(dot) }

    /** Make a refused transaction anew, as seen from now. */
    public suspend fun resubmit(dot: Dot): Receipt = call { it.resubmit(dot) }

    /**
     * Take back a write that never left this device, with its transaction and with all that stands on
     * it. Refused with [LandfallException.RefusedWrite]: `LF2021` if one of them may have left,
     * `LF2022` if there is no such write, `LF2023` if a later edit of the same text has it in it.
     */
    public suspend fun cancel(dot: Dot): Cancelled = call { it.cancel(dot) }

    /**
     * Bring a deleted entity back as this device knew it last, with all that fell with it. [home] is
     * its home scope. The receipt is empty if it is there. `LF2024`: this device does not know its
     * values any more; `LF2012`: its parent is gone, and is what is to be restored.
     */
    public suspend fun restore(kind: String, home: String, id: String): Receipt =
        call { it.restore(kind, home, id) }

    // ---- what a device knows of itself ----

    /**
     * Why an entity shows on this device, or does not, as far as the device knows. Without its home
     * scope it fails with `LF2013` if the id stands for several.
     */
    public suspend fun explain(kind: String, id: String, home: String? = null): Explanation =
        call { it.explain(kind, id, home) }

    /** A JSON document for support, without the user's data. It reads the whole file. */
    public suspend fun supportBundle(): String = call { it.supportBundle() }

    /**
     * Take in the writes of a damaged file of this account, each once. To take the same rescue in
     * again does no harm. Fails with [LandfallException.OtherAccount], and takes nothing, if a write
     * in it was made by another account.
     */
    public suspend fun takeIn(rescue: Rescue): TakenIn = call { it.takeIn(rescue.native) }

    // ---- subscriptions ----

    /** Hold a scope's rows on this device from now on, across restarts. */
    public suspend fun subscribe(scope: String): Unit = call { it.subscribe(scope) }

    /** Hold a part of a scope's rows on this device from now on, across restarts. */
    public suspend fun subscribe(scope: String, terms: Terms): Unit =
        call { it.subscribeWith(scope, terms) }

    /** Ask anew for all that a subscription may hold, after rows were left out or evicted. */
    public suspend fun refill(scope: String): Unit = call { it.refill(scope) }

    /** Keep a row whatever its age and however little room there is, and fetch it if need be. */
    public suspend fun pin(kind: String, home: String, id: String): Unit =
        call { it.pin(kind, home, id) }

    /** Keep a row no longer than others. */
    public suspend fun unpin(kind: String, home: String, id: String): Unit =
        call { it.unpin(kind, home, id) }

    /** Let go of a scope's rows. Writes on them that were not sent yet are still sent. */
    public suspend fun unsubscribe(scope: String): Unit = call { it.unsubscribe(scope) }

    /** How far a subscription is; null if the scope is not subscribed. */
    public suspend fun progress(scope: String): Progress? = call { it.progress(scope) }

    /** All subscriptions, by scope. */
    public suspend fun subscriptions(): List<Progress> = call { it.subscriptions() }

    // ---- the network ----

    /** Use no network until [goOnline]. An open session is closed. */
    public suspend fun goOffline(): Unit = call { it.goOffline() }

    /** Sync from now on. */
    public suspend fun goOnline(): Unit = call { it.goOnline() }

    /**
     * What the user's network and battery are like now, as the operating system says. What it means
     * is in [OpenOptions.network].
     */
    public suspend fun setConditions(conditions: Conditions): Unit =
        call { it.setConditions(conditions) }

    /**
     * The operating system says that the device's network is another one, or is back: look at once
     * whether the region still answers, and end every wait.
     */
    public suspend fun networkChanged(): Unit = call { it.networkChanged() }

    /** Where the connection stands. */
    public suspend fun connection(): ConnectionState = call { it.connection() }

    /**
     * Wait until the outbox is empty and every subscription was heard to its end. Fails with
     * [LandfallException.NotSettled] if that takes longer, as it does offline.
     */
    public suspend fun settle(timeout: Duration): Unit = wait { it.settle(timeout.inMillis()) }

    /**
     * Wait until every write is as safe as was asked for. Fails with [LandfallException.Unsent] if
     * that takes longer, as it does offline.
     */
    public suspend fun drain(timeout: Duration): Unit = wait { it.drain(timeout.inMillis()) }

    /**
     * Sync for a while, in a slot that the system gives to an app in the background: until all is
     * done, [deadline] is over, or about [maxBytes] went either way. Writes go first, then
     * subscriptions by their priority, those below [priorityMin] not at all. To cancel ends the slot;
     * the next one goes on where it stopped. The client is offline again afterwards, if it was before.
     */
    public suspend fun syncOnce(
        deadline: Duration,
        maxBytes: Long? = null,
        priorityMin: UByte = 0u,
    ): SyncReport = wait { it.syncOnce(SyncLimits(deadline.inMillis(), maxBytes?.toULong(), priorityMin)) }

    /** What the account may subscribe, as the last region said; null before one has. */
    public suspend fun granted(): Granted? = call { it.granted() }

    /** Whose file it is. */
    public val account: Account get() = native.account()

    /**
     * Stop syncing, make all that was written survive a loss of power, and let go of the file. Not
     * cancelled half-way. Other calls fail with [LandfallException.Closed] from here on; to close
     * twice is to close once.
     */
    public suspend fun close(): Unit = withContext(NonCancellable) { call { it.shut() } }

    // ---- within ----

    private suspend fun <T> call(work: (Client) -> T): T =
        withContext(io) { calling { work(native) } }

    /** What waits for regions ends when its coroutine is cancelled. */
    private suspend fun <T> wait(work: suspend (Client) -> T): T =
        withContext(io) { calling { work(native) } }

    internal suspend fun signOut(files: AccountFiles, unsent: Unsent): ULong =
        withContext(NonCancellable) { call { files.signOut(it, unsent) } }

    /** Updates are differences, so none is dropped between the native thread and [Window]. */
    private fun <T> windows(
        reader: RowReader<T>,
        start: (Client, WatchListener) -> Watch,
    ): Flow<Update<T>> = flow {
        val running = Running(io)
        val window = Window(reader, running::explain)
        val updates = updates(running, start) { it }.buffer(Channel.UNLIMITED).flowOn(io)
        updates.collect { emit(window.apply(it)) }
    }.flowOn(Dispatchers.Default)

    /**
     * The window is kept up on the thread of live queries, so what it shows passes from there to the
     * collector at once, and updates that a slow one misses are not kept.
     */
    private fun <T> rows(
        reader: RowReader<T>,
        start: (Client, WatchListener) -> Watch,
    ): Flow<List<T>> = flow {
        val running = Running(io)
        val window = Window(reader, running::explain)
        emitAll(updates(running, start) { window.apply(it).rows }.conflate().flowOn(io))
    }

    /** What [told] makes of each update, on the thread that it comes on. */
    private fun <R> updates(
        running: Running,
        start: (Client, WatchListener) -> Watch,
        told: (WatchUpdate) -> R,
    ): Flow<R> = callbackFlow {
        val listener = object : WatchListener {
            override fun updated(update: WatchUpdate) {
                // The thread calls again and again: to make it a Java thread anew each time costs
                // more than the update.
                Native.detach(false)
                try {
                    trySend(told(update))
                } catch (e: Throwable) {
                    // Nobody above this is the app's; updates are differences, so none can be left out.
                    close(e)
                }
            }

            override fun failed(error: CallException) {
                close(typed(error))
            }

            override fun ended() {
                close()
            }
        }
        // Between the start and `awaitClose` nothing suspends, so a watch that runs is stopped.
        val watch = calling { start(native, listener) }
        running.watch.complete(watch)
        awaitClose {
            watch.stop()
            watch.close()
        }
    }

    private fun stream(open: (Client) -> EventStream): Flow<Event> = flow {
        calling { open(native) }.use { events ->
            while (true) emit(events.next() ?: break)
        }
    }

    public companion object {
        /**
         * Open an account's file, or make it, and begin to sync unless told to start offline.
         * Fails if the file cannot be opened, is not this account's, or does not fit the schema;
         * it is then as it was.
         */
        public suspend fun open(
            options: OpenOptions,
            io: CoroutineDispatcher = Dispatchers.IO,
            tokens: Tokens,
        ): Landfall {
            // Were it cancelled, nobody would have the client to close it.
            val native = withContext(NonCancellable + io) {
                calling { Client.open(options, Provider(tokens)) }
            }
            return Landfall(native, io)
        }

        /**
         * Read what can be read of a damaged file; nothing in it changes. Close the rescue after use.
         * The file must not be open in this process.
         */
        public suspend fun rescue(path: String, io: CoroutineDispatcher = Dispatchers.IO): Rescue =
            withContext(io) { calling { Rescue(RescuedWrites.ofFile(path), io) } }

        internal suspend fun signIn(
            files: AccountFiles,
            account: Account,
            io: CoroutineDispatcher,
            tokens: Tokens,
        ): Landfall {
            val native = withContext(NonCancellable + io) {
                calling { files.signIn(account, Provider(tokens)) }
            }
            return Landfall(native, io)
        }
    }
}

/** The native side of a live query that is collected. */
private class Running(private val io: CoroutineDispatcher) {
    /** There once the query runs. */
    val watch = CompletableDeferred<Watch>()

    suspend fun explain(): LiveExplain {
        val watch = watch.await()
        return withContext(io) {
            try {
                calling { watch.explain() }
            } catch (e: IllegalStateException) {
                // The collector has left, and the query is gone.
                throw LandfallException.Closed("LF2104", "The live query has ended.")
            }
        }
    }
}

/** An editor's copy of a shared text; see the device SDK's `TextEditor`. */
public class SharedText internal constructor(
    private val native: TextEditor,
    private val io: CoroutineDispatcher,
) : AutoCloseable {
    /** The text as this editor shows it. */
    public val value: String get() = native.value()

    /** Replace [delete] code points at [at] by [insert], in this editor. */
    public fun splice(at: Int, delete: Int, insert: String): Unit =
        calling { native.splice(at.toUInt(), delete.toUInt(), insert) }

    /** Write what was spliced since the last commit. Null if nothing was. */
    public suspend fun commit(): Receipt? = withContext(io) { calling { native.commit() } }

    /** Take in everything that the device has. */
    public suspend fun pull(): Unit = withContext(io) { calling { native.pull() } }

    override fun close(): Unit = native.close()
}

private class Provider(private val tokens: Tokens) : TokenProvider {
    override suspend fun token(reason: TokenReason): String = try {
        tokens(reason)
    } catch (e: kotlinx.coroutines.CancellationException) {
        throw e
    } catch (e: Exception) {
        throw TokenException.Unavailable(e.message ?: e.javaClass.simpleName)
    }
}

internal fun Duration.inMillis(): ULong = inWholeMilliseconds.coerceAtLeast(0).toULong()

/** Failures leave typed. */
internal inline fun <T> calling(work: () -> T): T = try {
    work()
} catch (e: CallException) {
    throw typed(e)
}
