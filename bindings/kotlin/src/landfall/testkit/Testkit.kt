package landfall.testkit

import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Runnable
import landfall.Batch
import landfall.Columns
import landfall.Dot
import landfall.Landfall
import landfall.RowView
import landfall.TestDevice
import landfall.TestReason
import landfall.TestRefusal
import landfall.TestWaiting
import landfall.TestWorld
import landfall.TestWrites
import landfall.calling
import java.util.concurrent.locks.ReentrantLock
import kotlin.concurrent.withLock
import kotlin.coroutines.CoroutineContext
import kotlin.time.Duration

/**
 * A world for the tests of an app: devices and a region in memory, in a time that the test moves.
 *
 * The devices are those of production on SQLite, and the region decides by the rules of production.
 * There is no socket, no server and no waiting: time stands still until [settle] or [advance]. Calls
 * of a device's client run on the caller's thread, one at a time, and after each the world does all
 * that it can do without time passing: a live query has its update when the write that caused it
 * returns. Same test, same seed, same course of events.
 *
 * ```
 * Testkit(Shop.SCHEMA).use { kit ->
 *     val phone = kit.device("ann")
 *     val shop = Shop(phone.app)
 *     phone.offline()
 *     …
 * }
 * ```
 *
 * `Landfall.settle` waits in real time, which here nobody does: call [settle] instead.
 */
public class Testkit(schema: String, seed: Long = 0) : AutoCloseable {
    private val native: TestWorld = calling { TestWorld.open(schema, seed.toULong()) }
    private val turn = Turn(native)

    /** The one region. */
    public val region: TestRegion = TestRegion(native, turn)

    /** Time of the world, in milliseconds since 1970. */
    public val nowMs: Long get() = turn.take { native.nowMs() }

    /**
     * A device of an account, online; made if there is none. It reads and writes everything unless
     * [allow] says otherwise.
     */
    public fun device(account: String, name: String = "phone"): Device =
        Device(turn.take { native.device(account, name) }, turn)

    /**
     * Run until every outbox is empty and every subscription heard to its end, or waits for something
     * that the test took away: those are the answer. Fails with `LF8001` if something is still under
     * way after two minutes of the world's time.
     */
    public fun settle(): List<TestWaiting> = turn.take { native.settle() }

    /** Let so much time pass, and everything happen that it brings. */
    public fun advance(time: Duration): Unit = turn.take { native.advance(time.inWholeMilliseconds.toULong()) }

    /** From now on an account may do this and nothing else. What it may not see leaves its devices. */
    public fun allow(
        account: String,
        scopes: List<String> = emptyList(),
        audiences: List<String> = emptyList(),
    ): Unit = turn.take { native.allow(account, scopes, audiences) }

    /** An account may also read and write this home scope. */
    public fun grant(account: String, scope: String): Unit = turn.take { native.grant(account, scope) }

    /** An account may no longer see this scope. `LF8004` if it has the right under a wider name. */
    public fun revoke(account: String, scope: String): Unit = turn.take { native.revoke(account, scope) }

    /**
     * Another device, far away, writes, and the region has it when this returns, unless it is down.
     * To write with the app's own classes, take a device of another account.
     */
    public fun writeAsOthers(batch: (Batch) -> Unit) {
        val edits = Batch().also(batch).edits
        turn.take { native.writeAsOthers(edits) }
    }

    /** The world ends, and its devices with it; their clients are closed. */
    override fun close(): Unit = turn.end()
}

/** A device of a world. */
public class Device internal constructor(private val native: TestDevice, private val turn: Turn) {
    /** The account and the device's own name: `ann/phone`. */
    public val name: String = native.name()

    /** The app's client; another one after [restart]. */
    public var app: Landfall = Landfall(native.client(), turn)
        private set

    /** The network goes, and with it what is on its way. The app is not told. */
    public fun offline(): Unit = turn.take { native.offline() }

    /** The network is back. The client finds it at its next attempt, which [Testkit.settle] waits for. */
    public fun online(): Unit = turn.take { native.online() }

    /**
     * The app's process is killed and started again: nothing is closed, and the file stays as it is.
     * The dead process has the lease on syncing for five seconds more. Clients of before are closed.
     */
    public fun restart(): Landfall {
        app = Landfall(turn.take { native.restart() }, turn)
        return app
    }

    /** The account's token has expired, and the app cannot get another one: the user is signed out. */
    public fun expireToken(): Unit = turn.take { native.expireToken() }

    /** The app gets a good token again. */
    public fun renewToken(): Unit = turn.take { native.renewToken() }
}

/** The region of a world. */
public class TestRegion internal constructor(private val native: TestWorld, private val turn: Turn) {
    /**
     * Refuse the next write to an entity of this type (and this id), with its whole transaction.
     * [reason] is the region's word for it: one that regions give (`not_allowed`), or one of the app's
     * own backend, which arrives as the code LF4000.
     */
    public fun rejectNext(
        kind: String,
        id: String? = null,
        reason: String,
        field: String? = null,
        detail: String = "",
    ) {
        val which = if (id == null) TestWrites.OfType(kind) else TestWrites.OfEntity(kind, id)
        turn.take { native.rejectNext(which, TestRefusal(reason, field, detail)) }
    }

    /** Refuse this write, with its whole transaction. */
    public fun reject(dot: Dot, reason: String, field: String? = null, detail: String = ""): Unit =
        turn.take { native.rejectNext(TestWrites.One(dot), TestRefusal(reason, field, detail)) }

    /** From now on a frame takes so long, one way. Two seconds and more are as good as no network. */
    public fun delay(oneWay: Duration): Unit = turn.take { native.delayRegion(oneWay.inWholeMilliseconds.toULong()) }

    /** The region's process dies; its store stays. */
    public fun stop(): Unit = turn.take { native.stopRegion() }

    /** The region is there again. */
    public fun start(): Unit = turn.take { native.startRegion() }

    /** What the region holds of a type, with the columns of a device's table: `Order.read` reads it. */
    public fun rows(kind: String): List<RowView> {
        val rows = turn.take { native.rows(kind) }
        val columns = Columns(rows.columns)
        return rows.rows.map { RowView(columns, it) }
    }
}

/** What [Testkit.settle] answers, in short. */
public val List<TestWaiting>.reasons: Set<TestReason> get() = mapTo(LinkedHashSet()) { it.reason }

/**
 * Calls into the world, one at a time, each followed by what it set going. As a dispatcher it runs
 * what it is given at once, on the thread that gives it.
 */
internal class Turn(private val native: TestWorld) : CoroutineDispatcher() {
    private val lock = ReentrantLock()
    private var ended = false

    fun <T> take(work: () -> T): T = lock.withLock {
        calling {
            native.runReady()
            work().also { native.runReady() }
        }
    }

    /** A world that never comes to rest is told by the calls that drive it. */
    override fun dispatch(context: CoroutineContext, block: Runnable): Unit = lock.withLock {
        if (!ended) runCatching { native.runReady() }
        block.run()
        if (!ended) runCatching { native.runReady() }
    }

    fun end(): Unit = lock.withLock {
        if (!ended) {
            native.end()
            ended = true
            native.close()
        }
    }
}
