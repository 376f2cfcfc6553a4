package landfall.test

import com.example.shop.Shop
import landfall.Region
import java.io.File
import java.security.KeyStore
import java.util.Base64
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
        val place = File(dir, "guide")
        place.mkdirs()
        val (list, key, signed) = listOf("regions.json", "directory.key", "regions.jws").map { File(place, it) }
        list.writeText("""{"version":1,"regions":[{"name":"${regions[1].name}","urls":["${regions[1].url}"]}]}""")
        signed.writeText(said("directory", "sign", list.path, "--key", key.path))
        val (process, region) = alone(place, "guide", "directory = \"regions.jws\"")
        return Guide(process, region, said("directory", "key", "--key", key.path))
    }

    /** A region that serves TLS with a certificate that it signed itself: nobody trusts it unless told. */
    fun secured(): Secured {
        val place = File(dir, "secured")
        place.mkdirs()
        val (store, password) = File(place, "keys.p12") to "of-a-test"
        val keytool = File(System.getProperty("java.home"), "bin/keytool").path
        val words = listOf("-genkeypair", "-alias", "a", "-keyalg", "RSA", "-dname", "CN=secured") +
            listOf("-ext", "san=ip:127.0.0.1", "-validity", "3650", "-storetype", "PKCS12") +
            listOf("-keystore", store.path, "-storepass", password)
        val made = ProcessBuilder(listOf(keytool) + words).redirectError(File(place, "keytool.log")).start()
        check(made.waitFor() == 0) { "no certificate; see $place/keytool.log" }
        val keys = KeyStore.getInstance(store, password.toCharArray())
        val roots = pem("CERTIFICATE", keys.getCertificate("a").encoded)
        File(place, "cert.pem").writeText(roots)
        File(place, "key.pem").writeText(pem("PRIVATE KEY", keys.getKey("a", password.toCharArray()).encoded))
        val (process, region) = alone(place, "secured", "tls = { cert = \"cert.pem\", key = \"key.pem\" }")
        return Secured(process, region, roots)
    }

    /** A region without peers, and with this in its configuration, that takes the tokens of the others. */
    private fun alone(place: File, name: String, more: String): Pair<Process, Region> {
        File(place, "schema.graphql").writeText(Shop.SCHEMA)
        val config = File(place, "region.toml")
        config.writeText(
            """
            region = 9
            name = "$name"
            schema = "schema.graphql"
            data_dir = "data"
            listen = "127.0.0.1:0"
            copies = 1
            peer_key = "peer.key"
            dev_key = "${File(dir, "dev.key").absolutePath}"
            $more
            """.trimIndent(),
        )
        val process = ProcessBuilder(landfall, "region", "--config", config.path, "--with-parent")
            .redirectError(File(place, "log"))
            .start()
        val line = checkNotNull(process.inputStream.bufferedReader().readLine()) { "no region; see $place/log" }
        return process to Region(name, line.substring(line.indexOf("http")))
    }

    private fun pem(kind: String, bytes: ByteArray): String {
        val text = Base64.getMimeEncoder(64, "\n".toByteArray()).encodeToString(bytes)
        return "-----BEGIN $kind-----\n$text\n-----END $kind-----\n"
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

    /** It ends with this program, too. Who trusts [roots] believes it. */
    class Secured(private val process: Process, val region: Region, val roots: String) : AutoCloseable {
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
