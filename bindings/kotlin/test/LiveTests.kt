package landfall.test

import com.example.shop.Product
import com.example.shop.Shop
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import landfall.CallException
import landfall.Client
import landfall.FfiConverterTypeWatchListener
import landfall.OpenOptions
import landfall.OrderBy
import landfall.Query
import landfall.RowChange
import landfall.TokenProvider
import landfall.TokenReason
import landfall.WatchListener
import landfall.WatchUpdate
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlin.random.Random

val liveTests = listOf(
    Test("a window tells the rows and the fewest changes") { world ->
        val phone = world.phone("hal", offline = true)
        phone.write { for (n in 1..5) product.upsert("p-$n") { description = "d$n" } }
        coroutineScope {
            val updates = async {
                phone.product.observeChanges {
                    descending(it.description)
                    limit(3)
                }.take(2).toList()
            }
            // Only the second update may contain this.
            while (FfiConverterTypeWatchListener.handleMap.size == 0) delay(1)
            delay(200)
            phone.product.update("p-1") { description = "d9" }
            val (first, second) = updates.await()
            equal(first.rows.map { it.id }, listOf("p-5", "p-4", "p-3"))
            equal(second.rows.map { it.id }, listOf("p-1", "p-5", "p-4"))
            equal(second.changes.map { it::class }, listOf(RowChange.Remove::class, RowChange.Insert::class))
            check(second.rows[1] === first.rows[0]) { "a row that stays is the same object" }
        }
        phone.close()
    },

    Test("rows kept up by changes are the rows of the table, whatever happens") { world ->
        val phone = world.phone("ida", offline = true)
        val random = Random(7)
        coroutineScope {
            var seen = emptyList<Product>()
            val watching = launch {
                phone.product.observeChanges {
                    ascending(it.description)
                    limit(20)
                }.collect { seen = it.rows }
            }
            repeat(60) {
                phone.write { repeat(5) { product.upsert(anId(random)) { description = "d${random.nextInt(1000)}" } } }
                val gone = anId(random)
                if (phone.product.get(gone) != null) phone.product.delete(gone)
            }
            val sql = "SELECT * FROM Product ORDER BY description, id LIMIT 20"
            val expected = phone.sdk.query(sql).map(Product::read)
            while (seen != expected) delay(5)
            watching.cancelAndJoin()
        }
        phone.close()
    },

    Test("a reader that leaves stops its live query") { world ->
        val phone = world.phone("jon", offline = true)
        val listeners = FfiConverterTypeWatchListener.handleMap.size
        coroutineScope {
            val watching = List(20) { launch(Dispatchers.Default) { phone.product.observe().collect() } }
            while (FfiConverterTypeWatchListener.handleMap.size < listeners + 20) delay(1)
            watching.forEach { it.cancelAndJoin() }
        }
        while (FfiConverterTypeWatchListener.handleMap.size > listeners) delay(1)
        phone.product.upsert("p-1")
        phone.close()
    },

    Test("a slow reader sees the newest rows, not each one") { world ->
        val phone = world.phone("kim", offline = true)
        coroutineScope {
            val seen = ArrayList<Int>()
            val watching = launch {
                phone.product.observe().collect {
                    seen.add(it.size)
                    delay(100)
                }
            }
            repeat(100) {
                phone.product.upsert("p-$it")
                delay(2)
            }
            while (seen.lastOrNull() != 100) delay(5)
            check(seen.size < 50) { "${seen.size} emissions" }
            watching.cancelAndJoin()
        }
        phone.close()
    },

    Test("listeners may call the client, and hurt nobody when they throw") { world ->
        val heard = LinkedBlockingQueue<Pair<Thread, Int>>()
        val ended = CompletableDeferred<Thread>()
        val client = Client.open(
            OpenOptions(world.file("lea"), Shop.SCHEMA, "", "lea", emptyList(), true),
            object : TokenProvider {
                override suspend fun token(reason: TokenReason) = ""
            },
        )
        val watch = client.observe(
            Query("Product", null, emptyList(), listOf(OrderBy("price", false)), null),
            object : WatchListener {
                override fun updated(update: WatchUpdate) {
                    val products = client.query("SELECT id FROM Product", emptyList()).rows.size
                    client.outboxStatus()
                    heard.add(Thread.currentThread() to products)
                    error("a listener that throws hurts nobody")
                }

                override fun failed(error: CallException) = throw error

                override fun ended() {
                    ended.complete(Thread.currentThread())
                }
            },
        )
        for (expected in 0..1) {
            val (thread, products) = checkNotNull(heard.poll(5, TimeUnit.SECONDS)) { "not called" }
            check(thread !== Thread.currentThread()) { "on the caller's thread" }
            equal(products, expected)
            client.write(listOf(landfall.Edit("Product", "p", landfall.Action.UPSERT, null, emptyList())))
        }
        watch.stop()
        watch.stop()
        watch.close()
        ended.await()
        client.shut()
        client.close()
    },
)

private fun anId(random: Random) = "p-${random.nextInt(40)}"
