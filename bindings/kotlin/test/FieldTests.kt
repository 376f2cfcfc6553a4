package landfall.test

import com.example.shop.OrderStatus
import com.example.shop.Shop
import kotlinx.coroutines.delay
import landfall.Account
import landfall.Answer
import landfall.Dot
import landfall.Fate
import landfall.Landfall
import landfall.LandfallException
import landfall.Rescue
import landfall.Wait
import landfall.Why
import landfall.WriteKind
import java.io.File
import java.io.RandomAccessFile
import java.time.Instant
import kotlin.time.Duration.Companion.seconds

private val NOON: Instant = Instant.parse("2026-11-27T12:00:00Z")

/** What is asked when something is wrong on somebody's device. */
val fieldTests = listOf(
    Test("a write that was not sent is taken back with what stands on it") { world ->
        val phone = world.phone("dee", offline = true)
        val order = phone.order.upsert("o-20", "fr", NOON, OrderStatus.PLACED).dots.single()
        val line = phone.orderLine.upsert("l-20", "o-20", "tea", 2).dots.single()
        val cancelled = phone.sdk.cancel(order)
        equal(cancelled.dots, listOf(order))
        equal(cancelled.dependants, listOf(line))
        equal(cancelled.entities.map { it.kind to it.id }.toSet(), setOf("Order" to "o-20", "OrderLine" to "l-20"))
        equal(phone.order.get("o-20"), null)
        equal(phone.orderLine.get("l-20"), null)
        equal(phone.sdk.fate(order), Fate.Unknown)
        equal(phone.sdk.outboxStatus().pending, 0uL)
        equal(fails<LandfallException.RefusedWrite> { phone.sdk.cancel(order) }.code, "LF2022")
        equal(fails<LandfallException.RefusedWrite> { phone.sdk.cancel(Dot("none", 1uL)) }.code, "LF2022")
        val sent = phone.stock.upsert("sent").dots.single()
        phone.sdk.goOnline()
        phone.sdk.settle(20.seconds)
        equal(fails<LandfallException.RefusedWrite> { phone.sdk.cancel(sent) }.code, "LF2021")
        phone.close()
    },

    Test("a deleted row is brought back with what fell with it") { world ->
        val phone = world.phone("eli", offline = true)
        phone.sdk.subscribe("region/fr")
        phone.write {
            order.upsert("o-21", "fr", NOON, OrderStatus.PACKED) { note.splice(0, 0, "at the door") }
            orderLine.upsert("l-21", "o-21", "tea", 3)
        }
        phone.order.delete("o-21")
        equal(phone.order.get("o-21"), null)
        equal(phone.orderLine.get("l-21"), null)
        val restored = phone.order.restore("region/fr", "o-21")
        equal(restored.entities.map { it.id }.toSet(), setOf("o-21", "l-21"))
        val order = checkNotNull(phone.order.get("o-21"))
        equal(listOf(order.status, order.note), listOf(OrderStatus.PACKED, "at the door"))
        equal(phone.orderLine.get("l-21")?.quantity, 3)
        equal(phone.order.restore("region/fr", "o-21").dots, emptyList())
        equal(
            fails<LandfallException.RefusedWrite> { phone.sdk.restore("Order", "region/fr", "never") }.code,
            "LF2024",
        )
        phone.sdk.goOnline()
        phone.sdk.settle(20.seconds)
        check(phone.order.get("o-21") != null) { "regions have it, too" }
        equal(phone.sdk.outcomes(), emptyList())
        phone.close()
    },

    Test("why a row shows, or does not, is told") { world ->
        val phone = world.phone("fin", offline = true)
        val unknown = phone.order.explain("o-22")
        equal(unknown.answer, Answer.NotSubscribed)
        equal(unknown.word, "not_subscribed")
        phone.sdk.subscribe("region/fr")
        val dot = phone.order.upsert("o-22", "fr", NOON, OrderStatus.PLACED).dots.single()
        val pending = phone.order.explain("o-22")
        equal(pending.answer, Answer.Present(confirmed = false, ownWrites = 1uL))
        equal(pending.entity.home, "region/fr")
        val write = pending.writes.single()
        equal(listOf(write.dot, write.what, write.fate), listOf(dot, WriteKind.CREATE, Fate.Pending(sent = false)))
        equal(write.waits, listOf(Wait.Session))
        check(pending.text.contains("waits for a connection")) { pending.text }
        val scope = pending.scopes.single()
        equal(listOf(scope.scope, scope.why, scope.subscription?.loading), listOf("region/fr", Why.HOME, true))

        phone.sdk.goOnline()
        phone.sdk.settle(20.seconds)
        val confirmed = Answer.Present(confirmed = true, ownWrites = 0uL)
        while (phone.order.explain("o-22").answer != confirmed) delay(5)
        phone.sdk.goOffline()
        val present = phone.order.explain("o-22", home = "region/fr")
        equal(listOf(present.word, present.scopes.single().holds), listOf("present", true))
        val status = present.fields.single { it.field == "status" }
        equal(listOf(status.dot, status.own, status.confirmed), listOf(dot, true, true))
        val absent = phone.order.explain("o-23", home = "region/fr").answer
        check(absent is Answer.NotThere && absent.asOfMs > 0) { "$absent" }
        val gone = phone.order.delete("o-22").dots.single()
        val deleted = phone.order.explain("o-22", home = "region/fr")
        equal(deleted.answer, Answer.Deleted(by = gone))
        check(deleted.canRestore) { deleted.sentence }
        equal(fails<LandfallException.RefusedWrite> { phone.sdk.explain("Nothing", "x") }.code, "LF2001")
        phone.close()
    },

    Test("a bundle for support has none of the user's data") { world ->
        val phone = world.phone("gil-with-a-name", offline = true)
        phone.product.upsert("p-of-theirs") { description = "what they wrote" }
        val bundle = phone.sdk.supportBundle()
        check("\"landfall_support\"" in bundle && "\"Product\"" in bundle) { bundle }
        for (secret in listOf("gil-with-a-name", "p-of-theirs", "what they wrote")) {
            check(secret !in bundle) { "$secret in $bundle" }
        }
        phone.close()
    },

    Test("writes of a damaged file are taken into another one, each once") { world ->
        val path = world.file("hob")
        suspend fun open(path: String, subject: String = "hob") =
            Shop.open(path, subject, world.regions, startOffline = true) { world.token(subject) }
        val broken = open(path)
        broken.sdk.subscribe("catalog")
        val sold = (1..3).flatMap { n -> broken.stock.upsert("rescued-$n") { sold.add(n.toLong()) }.dots }
        broken.close()
        // The head of the file: SQLite does not know it any more.
        RandomAccessFile(path, "rw").use { it.write(ByteArray(100) { 0x55 }) }
        equal(fails<LandfallException.File> { open(path) }.code, "LF2202")

        val rescue = Landfall.rescue(path)
        equal(listOf(rescue.report.unsent, rescue.report.lost.size.toULong()), listOf(3uL, 0uL))
        check(rescue.report.headerDestroyed && !rescue.report.whole) { "${rescue.report}" }
        equal(rescue.account, Account("", "hob"))
        val document = world.file("hob-rescued")
        rescue.save(document)
        equal(fails<LandfallException.RescueDocument> { rescue.save(document) }.code, "LF2113")
        rescue.close()
        equal(fails<LandfallException.RescueDocument> { Rescue.load(path) }.code, "LF2113")
        equal(fails<LandfallException.File> { Landfall.rescue(world.file("nobody")) }.code, "LF2201")

        val other = open(world.file("ivy"), "ivy")
        val again = open(world.file("hob"))
        Rescue.load(document).use {
            equal(fails<LandfallException.OtherAccount> { other.sdk.takeIn(it) }.code, "LF2107")
            equal(again.sdk.takeIn(it).waiting.toSet(), sold.toSet())
            equal(again.sdk.takeIn(it).known, 3uL)
        }
        other.close()
        again.sdk.subscribe("catalog")
        again.sdk.goOnline()
        again.sdk.settle(20.seconds)
        equal((1..3).map { again.stock.get("rescued-$it")?.sold }, listOf(1L, 2L, 3L))
        again.close()
        check(File(path).exists()) { "the damaged file stays" }
    },
)
