package landfall.test

import com.example.shop.Shop
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.withTimeoutOrNull
import landfall.Account
import landfall.Accounts
import landfall.AccountsOptions
import landfall.Action
import landfall.Codec
import landfall.Codecs
import landfall.ConnectionState
import landfall.Coverage
import landfall.EntityEdit
import landfall.Fate
import landfall.KnownAccount
import landfall.Landfall
import landfall.LandfallException
import landfall.OpenOptions
import landfall.OrderBy
import landfall.Query
import landfall.RowChange
import landfall.RowReader
import landfall.SignOut
import landfall.SqlValue
import landfall.Terms
import java.io.File
import java.math.BigDecimal
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

private data class Offer(val price: BigDecimal, val seal: List<Byte>)

private val offer: Codec<Offer> = Codecs.obj(
    write = {
        mapOf(
            "price" to Codecs.decimal(3).toJson(it.price),
            "seal" to Codecs.bytes.toJson(it.seal.toByteArray()),
        )
    },
    read = { Offer(it.required("price", Codecs.decimal(3)), it.required("seal", Codecs.bytes).asList()) },
)

private class ThingEdit : EntityEdit() {
    var offer: Offer? by optional("offer", landfall.test.offer)
}

private const val THINGS = """
    type Thing @entity(strategy: LAST_WRITE_WINS, scope: "all") { id: ID! offer: Offer }
    type Offer @value { price: Decimal! @decimal(precision: 12, scale: 3) seal: Bytes }
"""

val partTests = listOf(
    Test("what a transaction creates and deletes leaves nothing") { world ->
        val phone = world.phone("uma")
        phone.sdk.subscribe("catalog")
        val receipt = phone.write {
            stock.upsert("brief") { sold.add(3) }
            stock.delete("brief")
        }
        equal(phone.stock.get("brief"), null)
        phone.sdk.settle(20.seconds)
        equal(receipt.dots.map { phone.sdk.fate(it) is Fate.Accepted }, listOf(true, true))
        equal(phone.sdk.outcomes(), emptyList())
        phone.stock.upsert("brief") { sold.add(1) }
        equal(phone.stock.get("brief")?.sold, 1L)
        phone.close()
    },

    Test("a value object read from its column can be written again") { world ->
        val phone = Landfall.open(OpenOptions(world.file("val"), THINGS, "", "val", emptyList(), true)) { "" }
        val given = Offer(BigDecimal("12.5"), listOf(0, -1, 7))
        phone.write { it.add("Thing", "t-1", Action.UPSERT, null, ThingEdit().apply { offer = given }) }
        val column = checkNotNull(phone.get("Thing", "t-1"))["offer"]
        equal(column, SqlValue.Text("""{"price":"12.500","seal":"AP8H"}"""))
        val read = checkNotNull(phone.get("Thing", "t-1")).required("offer", offer)
        equal(read, given.copy(price = BigDecimal("12.500")))
        phone.write { it.add("Thing", "t-2", Action.UPSERT, null, ThingEdit().apply { offer = read }) }
        equal(phone.get("Thing", "t-2")?.get("offer"), column)
        phone.close()
    },

    Test("accounts sign out, return, and take over what an anonymous one did") { world ->
        val folder = File(world.file("accounts")).path
        val accounts = Accounts.open(AccountsOptions(folder, Shop.SCHEMA, world.regions))
        val nobody = accounts.anonymous()
        val before = Shop(accounts.signIn(nobody) { "" })
        before.sdk.goOffline()
        before.stock.upsert("mine") { sold.add(2) }
        equal(accounts.signOut(before.sdk, SignOut.Keep), 1L)
        equal(accounts.list(), listOf(KnownAccount(nobody, 1uL)))

        val wes = Account("", "wes")
        equal(accounts.claim(nobody, wes), 1L)
        equal(accounts.list(), listOf(KnownAccount(wes, 1uL)))
        equal(fails<LandfallException.AccountFile> { accounts.claim(nobody, wes) }.code, "LF2110")
        val shop = Shop(accounts.signIn(wes) { world.token("wes") })
        equal(shop.sdk.account, wes)
        equal(shop.stock.get("mine")?.sold, 2L)
        shop.sdk.settle(20.seconds)
        equal(accounts.signOut(shop.sdk, SignOut.Wait(20.seconds)), 0L)
        equal(accounts.list(), emptyList())

        val again = Shop(accounts.signIn(wes) { world.token("wes") })
        again.sdk.goOffline()
        again.stock.upsert("unsent")
        equal(fails<LandfallException.Unsent> { accounts.signOut(again.sdk, SignOut.Wait(20.milliseconds)) }.code, "LF2109")
        check(again.stock.get("unsent") != null) { "it is open as before" }
        equal(accounts.signOut(again.sdk, SignOut.Discard), 1L)
        equal(accounts.list(), emptyList())
        val other = Shop(accounts.signIn(Account("", "xia")) { "" })
        accounts.signOut(other.sdk, SignOut.Keep)
        accounts.wipe(Account("", "xia"))
        equal(accounts.list(), emptyList())
    },

    Test("a slot in the background syncs, and ends when it is cancelled") { world ->
        val phone = world.phone("yan", offline = true)
        phone.stock.upsert("in a slot")
        val report = phone.sdk.syncOnce(20.seconds)
        equal(listOf(report.done, report.unsent), listOf(true, 0uL))
        check(report.bytesUp > 0u && report.bytesDown > 0u) { "$report" }
        // The session is closed beside the call that ends.
        withTimeout(20.seconds) { while (phone.sdk.connection() != ConnectionState.Offline) delay(5.milliseconds) }
        phone.close()

        val alone = Shop.open(world.file("zoe"), "zoe", emptyList()) { "" }
        alone.stock.upsert("waits")
        val started = System.nanoTime()
        equal(withTimeoutOrNull(200.milliseconds) { alone.sdk.syncOnce(1.hours) }, null)
        check(System.nanoTime() - started < 20_000_000_000) { "it went on" }
        alone.close()
    },

    Test("what may be subscribed is told, and a subscription can hold a part") { world ->
        val full = world.phone("abe")
        full.write { for (n in 1..20) product.upsert("part-$n") { description = "d$n" } }
        full.sdk.settle(20.seconds)
        full.close()

        val phone = world.phone("bea", scopes = "catalog")
        equal(phone.sdk.granted(), null)
        phone.sdk.subscribe("catalog", Terms(rowsMax = 5uL))
        phone.sdk.settle(20.seconds)
        equal(phone.sdk.granted()?.scopes, listOf("catalog"))
        val progress = checkNotNull(phone.sdk.progress("catalog"))
        equal(listOf(progress.coverage, progress.missing.forRoom), listOf(Coverage.PARTIAL, true))
        phone.sdk.subscribe("catalog")
        phone.sdk.settle(20.seconds)
        equal(phone.sdk.progress("catalog")?.coverage, Coverage.COMPLETE)
        phone.sdk.pin("Product", "catalog", "part-1")
        phone.sdk.unpin("Product", "catalog", "part-1")
        phone.sdk.refill("catalog")
        phone.close()
    },

    Test("a row that this version of the app cannot read takes no list down") { world ->
        val phone = world.phone("cal", offline = true)
        phone.write {
            for (n in 1..4) product.upsert("p-$n") { description = if (n == 2) null else "d$n" }
        }
        // As the class of a version in which the description is required.
        val reader = RowReader { row -> row.required("description", Codecs.string) }
        val window = Query("Product", null, emptyList(), listOf(OrderBy("id", descending = false)), null)
        coroutineScope {
            val seen = async { phone.sdk.observe(window, reader).first { it.rows.size == 4 } }
            val first = phone.sdk.observe(window, reader).first()
            equal(first.rows, listOf("d1", "d3", "d4"))
            equal(first.unreadable.single().row["id"], SqlValue.Text("p-2"))
            equal(first.changes.map { (it as RowChange.Insert).new }, listOf(0u, 1u, 2u))
            phone.product.update("p-2") { description = "d2" }
            val mended = seen.await()
            equal(mended.rows, listOf("d1", "d2", "d3", "d4"))
            equal(mended.unreadable, emptyList())
            // What is no exception is not to be gone on from: both kinds of flows fail with it.
            val broken = RowReader<Nothing> { throw NotImplementedError("no") }
            fails<NotImplementedError> { phone.sdk.observe(window, broken).first() }
            fails<NotImplementedError> { phone.sdk.observeRows(window, broken).first() }
        }
        phone.close()
    },
)
