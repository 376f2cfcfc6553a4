package landfall.test

import com.example.shop.OrderStatus
import com.example.shop.Shop
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeoutOrNull
import landfall.Action
import landfall.Change
import landfall.ConnectionState
import landfall.Landfall
import landfall.LandfallException
import landfall.OpenOptions
import landfall.Outcome
import landfall.TokenReason
import landfall.Value
import java.time.Instant
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

val errorTests = listOf(
    Test("failures are typed and arrive where the call was made") { world ->
        val phone = world.phone("mia", offline = true)
        val refused = fails<LandfallException.RefusedWrite> {
            phone.write {
                stock.upsert("fine")
                orderLine.upsert("l", "no such order", "sku", 1)
            }
        }
        equal(listOf(refused.code, refused.edit), listOf("LF2012", 1))
        equal(phone.stock.get("fine"), null)
        val field = fails<LandfallException.RefusedWrite> {
            phone.sdk.write { it.add("Stock", "x", Action.UPSERT, null, null) ; it.add("Stock", "y", Action.UPDATE, null, null) }
        }
        equal(field.code, "LF2014")
        equal(fails<LandfallException.RefusedWrite> { phone.product.update("absent") { description = "?" } }.code, "LF2014")
        equal(fails<LandfallException.FaultyQuery> { phone.sdk.query("SELECT nothing") }.code, "LF2102")
        equal(fails<LandfallException.FaultyQuery> { phone.sdk.watch("DELETE FROM Stock").first() }.code, "LF2102")
        equal(fails<LandfallException.NotSettled> {
            phone.stock.upsert("waits")
            phone.sdk.settle(600.milliseconds)
        }.code, "LF2106")
        val faulty = fails<LandfallException.FaultySchema> {
            Landfall.open(OpenOptions(world.file("mia"), "type A { id: ID! }", "", "mia", emptyList(), true)) { "" }
        }
        equal(faulty.code, "LF2101")
        val nul = fails<LandfallException.AccountName> { Shop.open(world.file("mi"), "mi\u0000a", emptyList()) { "" } }
        equal(nul.code, "LF2114")
        equal(fails<LandfallException.File> {
            Shop.open("/proc/no/such/folder", "mia", emptyList()) { "" }
        }.code.take(4), "LF22")
        phone.close()
    },

    Test("a file opens for its own account only") { world ->
        val path = world.file("nia")
        Shop.open(path, "nia", emptyList()) { "" }.close()
        equal(fails<LandfallException.OtherAccount> { Shop.open(path, "ola", emptyList()) { "" } }.code, "LF2107")
        Shop.open(path, "nia", emptyList()) { "" }.close()
    },

    Test("close is idempotent, completes streams, and later calls say so") { world ->
        val phone = world.phone("pat")
        coroutineScope {
            val rows = async { phone.stock.observe().toList() }
            val events = async { phone.sdk.events().toList() }
            delay(200)
            listOf(async { phone.close() }, async(Dispatchers.Default) { phone.close() }).awaitAll()
            rows.await()
            events.await()
        }
        phone.close()
        val calls = listOf<suspend () -> Any?>(
            { phone.stock.get("x") }, { phone.stock.upsert("x") }, { phone.stock.observe().first() },
            { phone.sdk.subscribe("catalog") }, { phone.sdk.outcomes() }, { phone.sdk.settle(1.seconds) },
        )
        for (call in calls) equal(fails<LandfallException.Closed> { call() }.code, "LF2104")
    },

    Test("a settle that waits can be cancelled") { world ->
        val phone = world.phone("quy", offline = true)
        phone.stock.upsert("waits")
        val started = System.nanoTime()
        equal(withTimeoutOrNull(200.milliseconds) { phone.sdk.settle(1.hours) }, null)
        check(System.nanoTime() - started < 2_000_000_000) { "it waited on" }
        phone.close()
    },

    Test("a token that is refused is asked for again, and one that cannot be had is no fault") { world ->
        val reasons = ArrayList<TokenReason>()
        val phone = Shop.open(world.file("ray"), "ray", world.regions) { reason ->
            synchronized(reasons) { reasons.add(reason) }
            when (synchronized(reasons) { reasons.size }) {
                1 -> throw IllegalStateException("not signed in yet")
                2 -> "expired, surely"
                else -> world.token("ray")
            }
        }
        phone.stock.upsert("with a token")
        phone.sdk.settle(20.seconds)
        val connection = phone.sdk.connection()
        check(connection is ConnectionState.Online) { "$connection" }
        equal(reasons[0], TokenReason.CONNECT)
        check(TokenReason.REFUSED in reasons) { "$reasons" }
        phone.close()
    },

    Test("closing gives up a token that never comes") { world ->
        val asked = CompletableDeferred<Unit>()
        val cancelled = CompletableDeferred<Unit>()
        val phone = Shop.open(world.file("sue"), "sue", world.regions) {
            asked.complete(Unit)
            try {
                delay(1.hours)
                ""
            } finally {
                cancelled.complete(Unit)
            }
        }
        asked.await()
        phone.close()
        cancelled.await()
    },

    Test("a refused write has an outcome, which can be resubmitted and dismissed") { world ->
        val phone = world.phone("tom", scopes = "region/fr")
        val receipt = phone.order.upsert("o-9", "de", Instant.EPOCH, OrderStatus.PLACED)
        val outcome = coroutineScope {
            while (phone.sdk.outcomes().isEmpty()) delay(10)
            phone.sdk.outcomes().single()
        }
        equal(outcome.dot, receipt.dots.single())
        equal(outcome.entity.kind, "Order")
        equal((outcome.outcome as Outcome.Rejected).code, "LF4007")
        phone.sdk.goOffline()
        phone.sdk.resubmit(outcome.dot)
        equal(phone.order.get("o-9")?.market, "de")
        val none = landfall.Dot("", 1uL)
        equal(fails<LandfallException.RefusedWrite> { phone.sdk.resubmit(none) }.code, "LF2020")
        equal(phone.sdk.fate(none), landfall.Fate.Unknown)
        phone.sdk.dismiss(none)
        phone.close()
    },
)
