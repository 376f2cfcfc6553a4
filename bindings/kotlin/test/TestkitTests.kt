package landfall.test

import com.example.shop.Order
import com.example.shop.OrderStatus
import com.example.shop.Shop
import kotlinx.coroutines.flow.first
import landfall.ConnectionState
import landfall.Dot
import landfall.Fate
import landfall.LandfallException
import landfall.TestReason
import landfall.testkit.Device
import landfall.testkit.Testkit
import landfall.testkit.reasons
import java.time.Instant
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

private val NOON: Instant = Instant.parse("2026-01-01T12:00:00Z")

/** Rounds of the story: the first ones pay for the JVM's warming up. */
private const val ROUNDS = 30

/** These need no region: they run in worlds of their own. */
val testkitTests = listOf(
    Test("testkit: an order placed offline is refused, mended, and seen by another phone") {
        val cpu = java.lang.management.ManagementFactory.getThreadMXBean()
        val times = (1..ROUNDS).map {
            val (began, worked) = System.nanoTime() to cpu.currentThreadCpuTime
            story()
            (System.nanoTime() - began) / 1e6 to (cpu.currentThreadCpuTime - worked) / 1e6
        }
        val (wall, worked) = times.map { it.first }.sorted() to times.map { it.second }.sorted()
        println("        the story: %.1f ms at first, %.1f ms at best, %.1f ms in the middle"
            .format(times.first().first, wall.first(), wall[ROUNDS / 2]))
        println("        of that at work on its thread: %.1f ms at best, %.1f ms in the middle"
            .format(worked.first(), worked[ROUNDS / 2]))
    },

    Test("testkit: the example of docs/testing.md") {
        Testkit(Shop.SCHEMA).use { kit ->
            val ann = kit.device("ann")
            val (shop, other) = Shop(ann.app) to Shop(kit.device("bob").app)
            other.sdk.subscribe("region/fr")

            ann.offline()
            val placed = shop.order.upsert("o-1", "fr", NOON, OrderStatus.PLACED).dots.single()
            equal(shop.order.observe().first { it.isNotEmpty() }.single().status, OrderStatus.PLACED)

            kit.region.rejectNext("Order", reason = "over_limit", field = "status")
            ann.online()
            kit.settle()
            equal(shop.order.get("o-1"), null)
            equal(shop.sdk.outcomes().single().dot, placed)

            shop.sdk.resubmit(placed)
            kit.settle()
            equal(other.order.get("o-1")?.placedAt, NOON)
        }
    },

    Test("testkit: an expired token pauses and loses nothing") {
        world { kit ->
            val ann = kit.device("ann")
            val shop = Shop(ann.app)
            kit.settle()
            ann.expireToken()
            val placed = shop.place("o-1")
            equal(kit.settle().reasons, setOf(TestReason.TOKEN_EXPIRED))
            kit.advance(1.seconds)
            val connection = shop.sdk.connection()
            check(connection is ConnectionState.Waiting) { "$connection" }
            equal(shop.sdk.fate(placed), Fate.Pending(sent = false))
            ann.renewToken()
            equal(kit.settle(), emptyList())
            equal(shop.sdk.fate(placed), Fate.Accepted(durable = true))
        }
    },

    Test("testkit: a killed process leaves its outbox") {
        world { kit ->
            val ann = kit.device("ann")
            val before = Shop(ann.app)
            ann.offline()
            val placed = before.place("o-1")
            val shop = Shop(ann.restart())
            fails<LandfallException.Closed> { before.order.get("o-1") }
            equal(shop.order.get("o-1")?.status, OrderStatus.PLACED)
            ann.online()
            val beganMs = kit.nowMs
            equal(kit.settle(), emptyList())
            check(kit.nowMs - beganMs >= 3_000) { "the lease of the dead process was not waited for" }
            equal(shop.sdk.fate(placed), Fate.Accepted(durable = true))
            equal(kit.region.rows("Order").map(Order::read).map { it.id }, listOf("o-1"))
        }
    },

    Test("testkit: what is revoked leaves the phone, and others write meanwhile") {
        world { kit ->
            kit.allow("ann", scopes = listOf("region/fr"))
            val shop = Shop(kit.device("ann").app)
            shop.sdk.subscribe("region/fr")
            val office = Shop(kit.device("office", "desk").app)
            office.sdk.subscribe("region/fr")
            office.place("o-1")
            kit.region.delay(40.milliseconds)
            office.order.update("o-1") { status = OrderStatus.SENT }
            kit.advance(79.milliseconds)
            equal(shop.order.get("o-1")?.status, OrderStatus.PLACED)
            kit.advance(1.milliseconds)
            equal(shop.order.get("o-1")?.status, OrderStatus.SENT)
            kit.revoke("ann", "region/fr")
            kit.settle()
            equal(shop.order.get("o-1"), null)
            val error = fails<LandfallException.Other> { kit.revoke("office", "region/fr") }
            equal(error.code, "LF8004")
        }
    },

    Test("testkit: a region that is down is told, and what it cannot do is an error") {
        world { kit ->
            val shop = Shop(kit.device("ann").app)
            kit.region.stop()
            shop.place("o-1")
            val waiting = kit.settle().single()
            equal(waiting.device, "ann/phone")
            equal(waiting.reason, TestReason.REGION_STOPPED)
            equal(waiting.unsent, 1uL)
            kit.region.start()
            equal(kit.settle(), emptyList())
            kit.writeAsOthers { it.add("Order", "o-1", landfall.Action.DELETE, null, null) }
            shop.sdk.subscribe("region/fr")
            kit.settle()
            equal(shop.order.get("o-1"), null)
            equal(fails<LandfallException.Other> { kit.region.rejectNext("Ordre", reason = "x") }.code, "LF8002")
            fails<LandfallException.FaultySchema> { Testkit("type A { id: ID! }") }
        }
    },
)

private suspend fun world(test: suspend (Testkit) -> Unit): Unit = Testkit(Shop.SCHEMA).use { test(it) }

private suspend fun Shop.place(id: String): Dot =
    order.upsert(id, "fr", NOON, OrderStatus.PLACED).dots.single()

private suspend fun story(): Unit = world { kit ->
    val ann: Device = kit.device("ann")
    val (shop, other) = Shop(ann.app) to Shop(kit.device("bob").app)
    other.sdk.subscribe("region/fr")
    kit.settle()
    ann.offline()
    val placed = shop.place("o-1")
    // It shows at once, also in a live query.
    equal(shop.order.observe().first { it.isNotEmpty() }.single().status, OrderStatus.PLACED)
    equal(kit.settle().reasons, setOf(TestReason.OFFLINE))
    equal(other.order.get("o-1"), null)

    kit.region.rejectNext("Order", reason = "over_limit", field = "status", detail = "not on Sundays")
    ann.online()
    equal(kit.settle(), emptyList())
    equal(shop.sdk.fate(placed), Fate.Rejected("LF4000", "over_limit", "status", "not on Sundays"))
    equal(shop.order.get("o-1"), null)
    equal(shop.sdk.outcomes().single().dot, placed)

    shop.sdk.resubmit(placed)
    shop.sdk.dismiss(placed)
    equal(kit.settle(), emptyList())
    equal(other.order.get("o-1")?.placedAt, NOON)
    equal(kit.region.rows("Order").map(Order::read).single().status, OrderStatus.PLACED)
}
