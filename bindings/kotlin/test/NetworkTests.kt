package landfall.test

import com.example.shop.OrderStatus
import com.example.shop.Shop
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.filter
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import landfall.Conditions
import landfall.ConnectionState
import landfall.Coverage
import landfall.Event
import landfall.Landfall
import landfall.LandfallException
import landfall.NetworkOptions
import landfall.OnMetered
import landfall.Region
import landfall.Terms
import java.time.Instant
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

/** What syncing may cost, and with whom: conditions, policies, directories, priorities. */
val networkTests = listOf(
    Test("a metered network carries what the app lets it") { world ->
        val other = world.phone("jem")
        other.product.upsert("metered-row") { description = "it costs" }
        other.sdk.settle(20.seconds)
        other.close()

        val careful = NetworkOptions(onMetered = OnMetered.WRITES)
        val phone = Shop.open(world.file("kay"), "kay", world.regions, startOffline = true, network = careful) {
            world.token("kay")
        }
        phone.sdk.setConditions(Conditions(metered = true))
        phone.sdk.subscribe("catalog")
        phone.sdk.goOnline()
        phone.stock.upsert("metered-write")
        phone.sdk.drain(20.seconds)
        equal(phone.product.get("metered-row"), null)
        equal(phone.sdk.progress("catalog")?.coverage, Coverage.LOADING)
        equal(fails<LandfallException.NotSettled> { phone.sdk.settle(100.milliseconds) }.code, "LF2106")
        phone.sdk.setConditions(Conditions())
        phone.sdk.settle(20.seconds)
        equal(phone.product.get("metered-row")?.description, "it costs")
        phone.close()
    },

    Test("where nothing may be carried there is no session, and a day's bytes end") { world ->
        val nothing = NetworkOptions(onMetered = OnMetered.NOTHING)
        val phone = Shop.open(world.file("lou"), "lou", world.regions, startOffline = true, network = nothing) {
            world.token("lou")
        }
        phone.sdk.setConditions(Conditions(metered = true))
        coroutineScope {
            val waiting = async { phone.sdk.state { it is ConnectionState.Waiting } as ConnectionState.Waiting }
            phone.sdk.goOnline()
            equal(waiting.await().code, "metered")
        }
        phone.close()

        val sparing = NetworkOptions(meteredBytesADay = 1uL)
        val other = Shop.open(world.file("lou"), "lou", world.regions, startOffline = true, network = sparing) {
            world.token("lou")
        }
        other.sdk.setConditions(Conditions(metered = true))
        other.sdk.goOnline()
        other.stock.upsert("within the day")
        other.sdk.drain(20.seconds)
        // The first session cost more than that: from the next one on only writes leave.
        other.sdk.goOffline()
        other.sdk.subscribe("region/fr")
        other.sdk.goOnline()
        other.stock.upsert("beyond the day")
        other.sdk.drain(20.seconds)
        equal(other.sdk.progress("region/fr")?.coverage, Coverage.LOADING)
        other.close()
    },

    Test("another network ends every wait") { world ->
        // Nobody listens there: clients wait longer and longer between their attempts.
        val nobody = listOf(Region("nobody", "http://127.0.0.1:9"))
        val (told, untold) = List(2) { Shop.open(world.file("mae"), "mae", nobody) { "" }.sdk }
        for (phone in listOf(told, untold)) {
            phone.state { it is ConnectionState.Waiting && it.retryMs > 2_000u }
        }
        coroutineScope {
            var others = 0
            val counting = launch { untold.attempts().collect { others++ } }
            repeat(8) {
                val tried = async(start = CoroutineStart.UNDISPATCHED) { told.attempts().first() }
                told.networkChanged()
                tried.await()
                told.state { it is ConnectionState.Waiting }
            }
            check(others < 4) { "who was told nothing made $others attempts meanwhile" }
            counting.cancel()
        }
        told.close()
        untold.close()
    },

    Test("a signed directory is followed, and a key that is none is told") { world ->
        val guide = world.guide()
        val trusting = NetworkOptions(directoryKeys = listOf(guide.key))
        val phone = Shop.open(world.file("nel"), "nel", listOf(guide.region), network = trusting) { world.token("nel") }
        phone.stock.upsert("guided")
        phone.sdk.state { it is ConnectionState.Online && it.region == world.regions[1].name }
        phone.sdk.drain(20.seconds)
        phone.close()

        val careful = Shop.open(world.file("ona"), "ona", listOf(guide.region)) { world.token("ona") }
        careful.stock.upsert("not guided")
        careful.sdk.settle(20.seconds)
        equal(careful.sdk.connection(), ConnectionState.Online(guide.region.name))
        careful.close()
        guide.close()
        val wrong = fails<LandfallException.FaultyOption> {
            Shop.open(world.file("ona"), "ona", emptyList(), network = NetworkOptions(directoryKeys = listOf("none"))) { "" }
        }
        equal(wrong.code, "LF2310")
    },

    Test("a region that a company certified itself is believed by who is told so") { world ->
        val region = world.secured()
        val trusting = NetworkOptions(roots = region.roots, rootsOnly = true)
        val phone = Shop.open(world.file("pam"), "pam", listOf(region.region), network = trusting) { world.token("pam") }
        phone.stock.upsert("over TLS")
        phone.sdk.drain(20.seconds)
        phone.close()

        val careful = Shop.open(world.file("pam"), "pam", listOf(region.region)) { world.token("pam") }
        val waiting = careful.sdk.state { it is ConnectionState.Waiting } as ConnectionState.Waiting
        equal(waiting.code, "certificate_refused")
        careful.close()
        region.close()
        for (none in listOf(NetworkOptions(roots = "none"), NetworkOptions(rootsOnly = true))) {
            val wrong = fails<LandfallException.FaultyOption> {
                Shop.open(world.file("pam"), "pam", emptyList(), network = none) { "" }
            }
            equal(wrong.code, "LF2140")
        }
    },

    Test("a slot sends writes first, and asks for nothing of lower priorities than it is for") { world ->
        val other = world.phone("pia")
        other.product.upsert("urgent-row")
        other.order.upsert("slot-row", "it", Instant.EPOCH, OrderStatus.PLACED)
        other.sdk.settle(20.seconds)
        other.close()

        val phone = world.phone("ren", offline = true)
        phone.sdk.subscribe("region/it")
        phone.sdk.subscribe("catalog", Terms(priority = 5u))
        phone.stock.upsert("slot-write")
        val report = phone.sdk.syncOnce(20.seconds, priorityMin = 5u)
        equal(listOf(report.done, report.unsent), listOf(true, 0uL))
        check(phone.product.get("urgent-row") != null) { "it is urgent" }
        equal(phone.order.get("slot-row"), null)
        equal(phone.sdk.progress("region/it")?.coverage, Coverage.LOADING)
        equal(phone.sdk.syncOnce(20.seconds).done, true)
        check(phone.order.get("slot-row") != null) { "all the rest" }
        phone.close()
    },
)

/** The first such state of the connection, from now on. */
private suspend fun Landfall.state(such: (ConnectionState) -> Boolean): ConnectionState {
    while (true) {
        val now = connection()
        if (such(now)) return now
        delay(2)
    }
}

private fun Landfall.attempts(): Flow<Event> =
    events().filter { it is Event.ConnectionChanged && it.state is ConnectionState.Connecting }
