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

    /** A region that hands out a signed list, which names one of the others and not itself. */
    fun guide(): Guide {
        val place = File(dir, "guide").apply { mkdirs() }
        val (list, key, signed) = listOf("regions.json", "directory.key", "regions.jws").map { File(place, it) }
        list.writeText("""{"version":1,"regions":[{"name":"${regions[1].name}","urls":["${regions[1].url}"]}]}""")
        signed.writeText(said("directory", "sign", list.path, "--key", key.path))
        File(place, "schema.graphql").writeText(Shop.SCHEMA)
        val config = File(place, "region.toml")
        config.writeText(
            """
            region = 9
            name = "guide"
            schema = "schema.graphql"
            data_dir = "data"
            listen = "127.0.0.1:0"
            copies = 1
            peer_key = "peer.key"
            dev_key = "${File(dir, "dev.key").absolutePath}"
            directory = "regions.jws"
            """.trimIndent(),
        )
        val process = ProcessBuilder(landfall, "region", "--config", config.path, "--with-parent")
            .redirectError(File(place, "log"))
            .start()
        val line = checkNotNull(process.inputStream.bufferedReader().readLine()) { "no region; see $place/log" }
        return Guide(process, Region("guide", line.substring(line.indexOf("http://"))), said("directory", "key", "--key", key.path))
    }

    private fun said(vararg words: String): String {
        val made = ProcessBuilder(listOf(landfall) + words).redirectError(ProcessBuilder.Redirect.INHERIT).start()
        return made.inputStream.reader().readText().trim()
    }

    fun token(user: String, scopes: String = "*"): String {
        return said("token", "--dir", dir.path, "--subject", user, "--scope", scopes, "--audience", "*")
    }

    /** The regions end, too, by their own time limit, if this program is killed. */
    override fun close() {
        process.destroy()
        process.waitFor()
    }

    /** It ends with this program, too. */
    class Guide(private val process: Process, val region: Region, val key: String) : AutoCloseable {
        override fun close() {
            process.destroy()
            process.waitFor()
        }
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
