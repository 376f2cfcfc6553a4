package landfall.test

import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import java.io.File
import kotlin.system.exitProcess
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/** What one test may take. Tests wait for conditions, so it is only reached when one fails. */
private val LONGEST: Duration = 120.seconds

class Test(val name: String, val body: suspend (World) -> Unit)

/**
 * `Runner LANDFALL DIR [measure SECONDS]`: the tests, or the measurement, against the regions of a
 * `landfall dev` that runs from the given binary and ends with this program.
 */
fun main(args: Array<String>) {
    val (landfall, dir) = args
    val failed = World.start(landfall, File(dir)).use { world ->
        if (args.getOrNull(2) == "measure") {
            runBlocking { measure(File(dir), args[3].toInt()) }
            0
        } else {
            val tests = shopTests + liveTests + errorTests + partTests + fieldTests + networkTests + deskTests + testkitTests + leavesTests
            val failed = tests.count { !passes(it, world) }
            println("${tests.size - failed} passed, $failed failed")
            failed
        }
    }
    exitProcess(if (failed == 0) 0 else 1)
}

private fun passes(test: Test, world: World): Boolean {
    val started = System.nanoTime()
    val fault = try {
        runBlocking { withTimeout(LONGEST) { test.body(world) } }
        null
    } catch (e: Throwable) {
        e
    }
    val took = (System.nanoTime() - started) / 1_000_000
    println("${if (fault == null) "ok    " else "FAILED"}  ${test.name}  (${took} ms)")
    fault?.printStackTrace(System.out)
    return fault == null
}

fun check(condition: Boolean, message: () -> String) {
    if (!condition) throw AssertionError(message())
}

fun <T> equal(found: T, expected: T) {
    if (found != expected) throw AssertionError("found $found, expected $expected")
}

inline fun <reified E : Throwable> fails(work: () -> Unit): E {
    try {
        work()
    } catch (e: Throwable) {
        return e as? E ?: throw AssertionError("another exception: $e", e)
    }
    throw AssertionError("no ${E::class.simpleName}")
}
