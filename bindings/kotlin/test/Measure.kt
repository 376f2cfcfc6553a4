package landfall.test

import com.example.shop.Shop
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeout
import java.io.File
import java.util.concurrent.ConcurrentHashMap
import kotlin.time.Duration.Companion.seconds

private const val ROWS = 10_000
private const val WRITES_PER_SECOND = 100
private const val WINDOW = 100

/** The JVM compiles what runs often, beside it: told apart, because an app has it once. */
private const val WARM_UP_SECONDS = 15

/**
 * How long a write takes to show in a list of 100 out of 10,000 rows: from before the write to the
 * emission that has it. `bindings/ffi/examples/measure.rs` is the same in Rust.
 */
suspend fun measure(dir: File, seconds: Int) {
    val shop = Shop.open(File(dir, "measure.landfall").path, "measure", emptyList(), startOffline = true) { "" }
    for (block in (0 until ROWS).chunked(1_000)) {
        shop.write { for (n in block) product.upsert("p-$n") { description = "a%09d".format(n) } }
    }
    val warmUp = run(shop, "b", WRITES_PER_SECOND * WARM_UP_SECONDS)
    val taken = run(shop, "c", WRITES_PER_SECOND * seconds)
    shop.close()
    say("kotlin, its first $WARM_UP_SECONDS s", WRITES_PER_SECOND * WARM_UP_SECONDS, warmUp)
    say("kotlin", WRITES_PER_SECOND * seconds, taken)
}

private fun say(what: String, writes: Int, taken: List<Long>) {
    val sorted = taken.sorted()
    fun at(share: Double) = sorted[((sorted.size - 1) * share).toInt()] / 1_000_000.0
    println("$what  %d writes, %d shown: p50 %.2f ms, p99 %.2f ms".format(writes, taken.size, at(0.5), at(0.99)))
}

private suspend fun run(shop: Shop, word: String, writes: Int): List<Long> = withTimeout(60.seconds + (writes / WRITES_PER_SECOND).seconds) {
    val begun = ConcurrentHashMap<String, Long>()
    val taken = ArrayList<Long>()
    val all = CompletableDeferred<Unit>()
    coroutineScope {
        val watching = launch(Dispatchers.Default) {
            shop.product.observe {
                descending(it.description)
                limit(WINDOW)
            }.collect { rows ->
                val now = System.nanoTime()
                // The rest of the window was seen before, or is older.
                for (row in rows) begun.remove(row.description ?: "")?.let { taken.add(now - it) }
                if (rows.firstOrNull()?.description == "%s%09d".format(word, writes - 1)) all.complete(Unit)
            }
        }
        delay(300)
        write(shop, word, writes, begun)
        all.await()
        watching.cancelAndJoin()
    }
    taken
}

private suspend fun write(shop: Shop, word: String, writes: Int, begun: MutableMap<String, Long>) =
    withContext(Dispatchers.Default) {
        val start = System.nanoTime()
        for (n in 0 until writes) {
            val due = start + n * 1_000_000_000L / WRITES_PER_SECOND
            val wait = (due - System.nanoTime()) / 1_000_000
            if (wait > 0) delay(wait)
            val description = "%s%09d".format(word, n)
            begun[description] = System.nanoTime()
            shop.product.update("p-${n * 37 % ROWS}") { this.description = description }
        }
    }
