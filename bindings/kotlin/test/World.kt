package landfall.test

import com.example.shop.Shop
import landfall.Region
import java.io.File
import java.util.concurrent.atomic.AtomicInteger

/** Three regions on loopback, from `landfall dev`, and phones for them. */
class World private constructor(
    private val landfall: String,
    private val dir: File,
    private val process: Process,
    val regions: List<Region>,
) : AutoCloseable {
    private val phones = AtomicInteger()

    /** A phone of this user, with a file of its own. Reads and writes everything unless told. */
    suspend fun phone(user: String, offline: Boolean = false, scopes: String = "*"): Shop =
        Shop.open(file(user), user, regions, startOffline = offline) { token(user, scopes) }

    /** A path that no other phone has. */
    fun file(user: String): String = File(dir, "$user-${phones.incrementAndGet()}.landfall").path

    fun token(user: String, scopes: String = "*"): String {
        val words = listOf("token", "--dir", dir.path, "--subject", user, "--scope", scopes, "--audience", "*")
        val made = ProcessBuilder(listOf(landfall) + words).redirectError(ProcessBuilder.Redirect.INHERIT).start()
        return made.inputStream.reader().readText().trim()
    }

    /** The regions end, too, by their own time limit, if this program is killed. */
    override fun close() {
        process.destroy()
        process.waitFor()
    }

    companion object {
        fun start(landfall: String, dir: File): World {
            dir.mkdirs()
            val words = listOf("dev", "--json", "--port", "0", "--no-phones", "--wan", "none", "--seconds", "900")
            val process = ProcessBuilder(listOf(landfall) + words + listOf("--dir", dir.path))
                .redirectError(File(dir, "regions.log"))
                .start()
            val line = checkNotNull(process.inputStream.bufferedReader().readLine()) { "no regions; see $dir/regions.log" }
            val region = Regex("""\{"name":"([^"]+)","url":"([^"]+)"\}""")
            val regions = region.findAll(line).map { Region(it.groupValues[1], it.groupValues[2]) }.toList()
            check(regions.size == 3) { "three regions, not $line" }
            return World(landfall, dir, process, regions)
        }
    }
}
