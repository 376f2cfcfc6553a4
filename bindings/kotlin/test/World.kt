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

    /** Three regions with another schema, in which these rows of a type, as NDJSON, are published. */
    fun publishing(schema: String, kind: String, rows: String): World {
        val place = File(file("world")).apply { mkdirs() }
        val (sdl, file) = listOf("app.graphql", "rows.ndjson").map { File(place, it) }
        sdl.writeText(schema)
        file.writeText(rows)
        val world = start(landfall, File(place, "regions"), listOf("--schema", sdl.path))
        world.said("import", kind, file.path, "--dir", world.dir.path)
        return world
    }

    private fun said(vararg words: String): String {
        val made = ProcessBuilder(listOf(landfall) + words).redirectError(ProcessBuilder.Redirect.INHERIT).start()
        val text = made.inputStream.reader().readText().trim()
        check(made.waitFor() == 0) { "landfall ${words.first()} failed" }
        return text
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
        fun start(landfall: String, dir: File, more: List<String> = emptyList()): World {
            dir.mkdirs()
            val words = listOf("dev", "--json", "--port", "0", "--no-phones", "--wan", "none", "--seconds", "900")
            val process = ProcessBuilder(listOf(landfall) + words + listOf("--dir", dir.path) + more)
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
