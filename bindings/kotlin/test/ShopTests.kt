package landfall.test

import com.example.shop.Address
import com.example.shop.Order
import com.example.shop.OrderStatus
import com.example.shop.Shop
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import landfall.Event
import landfall.Fate
import java.math.BigDecimal
import java.time.Instant
import kotlin.time.Duration.Companion.seconds

private val NOON: Instant = Instant.parse("2026-11-27T12:00:00.123456Z")

val shopTests = listOf(
    Test("two phones exchange an order, one of them offline in between") { world ->
        val ann = world.phone("ann")
        val bob = world.phone("bob")
        bob.sdk.subscribe("region/fr")
        val seen = coroutineScope {
            val seen = async { bob.order.observe { where(it.id eq "o-1") }.first { it.isNotEmpty() } }
            ann.order.upsert("o-1", "fr", NOON, OrderStatus.PLACED) {
                customer = "c-1"
                shipTo = Address(street = "1, rue \"de\" Lyon\n", city = "Paris")
                tags.add("gift")
            }
            seen.await().single()
        }
        equal(seen.copy(isPending = false), anOrder())

        bob.sdk.goOffline()
        bob.order.update("o-1") {
            status = OrderStatus.SENT
            tags.add("fragile")
        }
        check(bob.sdk.outboxStatus().pending > 0u) { "it waits in the outbox" }
        equal(ann.sdk.subscribe("region/fr"), Unit)
        ann.sdk.settle(10.seconds)
        equal(ann.order.get("o-1")?.status, OrderStatus.PLACED)
        bob.sdk.goOnline()
        val sent = ann.order.observe().first { it.singleOrNull()?.status == OrderStatus.SENT }
        equal(sent.single().tags, setOf("gift", "fragile"))
        ann.close()
        bob.close()
    },

    Test("values of every kind come back as they were written") { world ->
        val phone = world.phone("cyd", offline = true)
        phone.write {
            product.upsert("p-1") {
                description = "tea, 50% off; \$5 \"now\""
                price = BigDecimal("12.345")
            }
            order.upsert("o-2", "fr", NOON, OrderStatus.of("TELEPORTED")) {
                marginCents = Long.MIN_VALUE
                cancelled = true
            }
            orderLine.upsert("l-1", "o-2", "p-1", 3) { unitPrice = BigDecimal("0.100") }
        }
        equal(phone.product.get("p-1")?.price, BigDecimal("12.345"))
        equal(phone.product.get("p-1")?.description, "tea, 50% off; \$5 \"now\"")
        val order = checkNotNull(phone.order.get("o-2"))
        equal(order.status, OrderStatus.Unknown("TELEPORTED"))
        equal(order.marginCents, Long.MIN_VALUE)
        equal(order.cancelled, true)
        equal(order.placedAt, NOON)
        equal(phone.orderLine.get("l-1")?.unitPrice, BigDecimal("0.100"))
        equal(phone.product.get("nothing"), null)
        val cheap = phone.product.observe { where((it.price lt BigDecimal("12.346")) and it.description.isNotNull()) }
        equal(cheap.first().map { it.id }, listOf("p-1"))
        equal(phone.product.observe { where(it.price gt BigDecimal("12.345")) }.first(), emptyList())
        val rows = phone.sdk.query("SELECT count(*) AS n FROM OrderLine WHERE quantity = ?", landfall.SqlValue.Integer(3))
        equal(rows.single()["n"], landfall.SqlValue.Integer(1))
        phone.order.delete("o-2")
        equal(phone.orderLine.get("l-1"), null)
        phone.close()
    },

    Test("many calls at once count once each") { world ->
        val phone = world.phone("dan")
        phone.sdk.subscribe("catalog")
        phone.stock.upsert("many")
        withContext(Dispatchers.Default) {
            (1..200).map { async { phone.stock.update("many") { sold.add(1) } } }.awaitAll()
        }
        equal(phone.stock.get("many")?.sold, 200L)
        phone.sdk.settle(20.seconds)
        val other = world.phone("eve")
        other.sdk.subscribe("catalog")
        other.sdk.settle(20.seconds)
        equal(other.stock.get("many")?.sold, 200L)
        phone.close()
        other.close()
    },

    Test("a write is told when regions hold it") { world ->
        val phone = world.phone("fay", offline = true)
        coroutineScope {
            val held = async {
                phone.sdk.fates().filterIsInstance<Event.FateReached>()
                    .first { it.fate == Fate.Accepted(durable = true) }
            }
            val receipt = phone.stock.upsert("told")
            equal(phone.sdk.fate(receipt.dots.single()), Fate.Pending(sent = false))
            phone.sdk.goOnline()
            equal(held.await().dot, receipt.dots.single())
            equal(held.await().entity.kind, "Stock")
            equal(phone.sdk.fate(receipt.dots.single()), Fate.Accepted(durable = true))
        }
        phone.close()
    },

    Test("two editors of one note keep both their words") { world ->
        val phone = world.phone("gus", offline = true)
        phone.order.upsert("o-3", "fr", NOON, OrderStatus.PLACED)
        val one = phone.sdk.text("Order", "o-3", "note")
        val two = phone.sdk.text("Order", "o-3", "note")
        one.splice(0, 0, "ring twice")
        two.splice(0, 0, "please ")
        one.commit()
        two.commit()
        one.pull()
        val text = one.value
        check("ring twice" in text && "please " in text) { text }
        equal(phone.order.get("o-3")?.note, text)
        equal(one.commit(), null)
        one.close()
        two.close()
        phone.close()
    },
)

private fun anOrder() = Order(
    id = "o-1",
    market = "fr",
    customer = "c-1",
    placedAt = NOON,
    status = OrderStatus.PLACED,
    shipTo = Address(street = "1, rue \"de\" Lyon\n", city = "Paris"),
    note = "",
    tags = setOf("gift"),
)
