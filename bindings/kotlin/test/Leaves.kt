package landfall.test

import com.example.shop.Shop
import java.io.File
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.DelicateCoroutinesApi
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.GlobalScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

/** A program of its own that watches a list, so that threads of the library call it, and leaves. */
object Leaves {
    @JvmStatic
    @OptIn(DelicateCoroutinesApi::class)
    fun main(args: Array<String>) = runBlocking {
        val shop = Shop.open(args[0], "leaves", emptyList(), startOffline = true) { "" }
        GlobalScope.launch(Dispatchers.Default) { shop.product.observe().collect {} }
        shop.product.upsert("p") { description = "seen" }
        shop.product.observe().first { rows -> rows.any { it.description == "seen" } }
        println("leaves")
    }
}

val leavesTests = listOf(
    Test("a program that does not close its client ends all the same") { world ->
        val java = File(System.getProperty("java.home"), "bin/java").path
        val library = "-Djna.library.path=${System.getProperty("jna.library.path")}"
        val command = listOf(java, "-cp", System.getProperty("java.class.path"), library)
        val said = File("${world.file("leaves")}.log")
        val program = ProcessBuilder(command + listOf("landfall.test.Leaves", world.file("leaves")))
            .redirectErrorStream(true).redirectOutput(said).start()
        try {
            check(program.waitFor(60, TimeUnit.SECONDS)) { "it goes on: ${said.readText()}" }
            equal(said.readText().trim(), "leaves")
            equal(program.exitValue(), 0)
        } finally {
            program.destroyForcibly()
        }
    },
)
