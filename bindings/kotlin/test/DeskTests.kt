package landfall.test

import com.example.desk.Board
import com.example.desk.Desk
import com.example.desk.Draft
import com.example.desk.Note
import com.example.desk.Tea
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import landfall.Account
import landfall.Accounts
import landfall.AccountsOptions
import landfall.Found
import landfall.LandfallException
import landfall.LiveExplain
import landfall.Search
import landfall.SearchSyntax
import landfall.SignOut
import landfall.Update
import landfall.testkit.Testkit
import kotlin.time.Duration.Companion.seconds

private suspend fun World.desk(user: String, synced: Boolean = false): Desk =
    Desk.open(file(user), user, if (synced) regions else emptyList()) { token(user) }

/** Search, references in live queries, what live queries say of themselves, and local types. */
val deskTests = listOf(
    Test("a search finds words, the best first, and tells what changes") { world ->
        val desk = world.desk("sam")
        desk.write {
            note.upsert("n-1") {
                title = "Green tea"
                body.splice(0, 0, "brew it for two minutes")
            }
            note.upsert("n-2") { title = "Coffee" }
            note.upsert("n-3") {
                title = "Shopping"
                body.splice(0, 0, "tea, bread")
            }
        }
        val found = desk.note.search("tea")
        equal(found.map { it.row.id }.toSet(), setOf("n-1", "n-3"))
        check(found[0].rank <= found[1].rank) { "the best first" }
        equal(found.map { it.snippet }.toSet(), setOf("Green [tea]", "[tea], bread"))
        equal(desk.note.search("tea") { within(it.title) }.map { it.row.id }, listOf("n-1"))
        equal(desk.note.search("bre").map { it.row.id }, emptyList())
        equal(desk.note.search("bre") { asTyped() }.map { it.row.id }.toSet(), setOf("n-1", "n-3"))
        equal(desk.note.search("tea NOT green") { raw() }.map { it.row.id }, listOf("n-3"))
        equal(desk.note.search("tea") { where(it.title eq "Shopping") }.map { it.row.id }, listOf("n-3"))
        equal(desk.note.search("tea") { limit(1) }.size, 1)
        val marked = desk.note.search("coffee") {
            marks("<b>", "</b>")
            highlight()
        }.single()
        equal(marked.marked["title"], "<b>Coffee</b>")
        // What people type is never a fault.
        equal(desk.note.search("\"tea AND ((").size, 0)
        equal(fails<LandfallException.FaultyQuery> { desk.note.search("AND") { raw() } }.code, "LF2102")
        val unsearched = Search("Board", "tea", SearchSyntax.WORDS)
        equal(fails<LandfallException.FaultyQuery> { desk.sdk.search(unsearched) }.code, "LF2120")

        coroutineScope {
            var seen: List<Found<Note>>? = null
            val watching = launch { desk.note.observeSearch("tea").collect { seen = it } }
            while (seen == null) delay(1)
            desk.note.upsert("n-4") { title = "Tea, tea and tea" }
            while (seen?.size != 3) delay(1)
            desk.note.delete("n-3")
            while (seen?.map { it.row.id }?.toSet() != setOf("n-1", "n-4")) delay(1)
            watching.cancelAndJoin()
        }
        desk.close()
    },

    Test("rows show columns of the rows that they refer to, and follow them") { world ->
        val desk = world.desk("tia")
        desk.write {
            board.upsert("b-1") { name = "Kitchen" }
            note.upsert("n-1") {
                title = "Tea"
                board = "b-1"
            }
            note.upsert("n-2") { title = "Nowhere" }
        }
        coroutineScope {
            var seen = emptyList<Pair<String?, String?>>()
            val watching = launch {
                desk.note.observeIncluding {
                    include(it.board, Board.Columns.name)
                    ascending(it.id)
                }.collect { rows ->
                    seen = rows.map { it.row.title to it[Note.Columns.board, Board.Columns.name] }
                }
            }
            while (seen != listOf("Tea" to "Kitchen", "Nowhere" to null)) delay(1)
            desk.board.update("b-1") { name = "Garden" }
            while (seen != listOf("Tea" to "Garden", "Nowhere" to null)) delay(1)
            watching.cancelAndJoin()
        }
        val wrong = fails<LandfallException.FaultyQuery> {
            desk.note.observeIncluding { include(it.title, Board.Columns.name) }.first()
        }
        equal(wrong.code, "LF2103")
        desk.close()
    },

    Test("a live query says how it works and what it has done") { world ->
        val desk = world.desk("una")
        desk.note.upsert("n-1") { title = "Tea" }
        coroutineScope {
            var last: Update<Note>? = null
            val watching = launch {
                desk.note.observeChanges {
                    descending(it.title)
                    limit(2)
                }.collect { last = it }
            }
            while (last?.rows?.size != 1) delay(1)
            val first = checkNotNull(last).explain()
            equal(listOf(first.incremental, first.tables, first.rows), listOf(true, listOf("Note"), 1uL))
            check(first.why.isNotEmpty() && first.steps.isNotEmpty()) { "$first" }
            desk.note.upsert("n-2") { title = "Water" }
            while (last?.rows?.size != 2) delay(1)
            val then = checkNotNull(last).explain()
            // Followed by the keys of the rows that changed: the statement was not run again.
            equal(listOf(then.runs, then.refreshes), listOf(first.runs, first.refreshes + 1u))
            check(then.lookups > first.lookups) { "$then" }
            watching.cancelAndJoin()
            equal(fails<LandfallException.Closed> { checkNotNull(last).explain() }.code, "LF2104")
        }
        val search = Search("Note", "tea", SearchSyntax.WORDS)
        var anew: LiveExplain? = null
        desk.sdk.observeSearch(search) { it }.first { update ->
            anew = update.explain()
            true
        }
        equal(anew?.incremental, false)
        desk.close()
    },

    Test("local rows are written, read and searched like others, and never sent") { world ->
        val desk = world.desk("vic", synced = true)
        val receipt = desk.draft.upsert("d-1", title = "To the editor") {
            words = 3
            labels.add("letter")
        }
        equal(receipt.dots, emptyList())
        equal(receipt.entities.single().kind, "Draft")
        desk.draft.update("d-1") { words = 4 }
        equal(desk.draft.get("d-1"), Draft("d-1", "To the editor", words = 4, labels = setOf("letter")))
        equal(desk.draft.observe { where(it.words gt 3) }.first().map { it.id }, listOf("d-1"))
        equal(desk.draft.search("editor").single().row.id, "d-1")
        desk.sdk.settle(20.seconds)
        equal(desk.sdk.outboxStatus().pending, 0uL)
        desk.draft.delete("d-1")
        equal(desk.draft.get("d-1"), null)
        desk.close()
    },

    Test("what is shared is read by every account, and written by none") { world ->
        val rows = """{"id":"t-1","name":"Sencha","minutes":2}""" + "\n" + """{"id":"t-2","name":"Gunpowder"}"""
        world.publishing(Desk.SCHEMA, "Tea", rows).use { regions ->
            val options = AccountsOptions(regions.file("accounts"), Desk.SCHEMA, regions.regions)
            val accounts = Accounts.open(options)
            val ann = Desk(accounts.signIn(Account("", "ann")) { regions.token("ann") })
            listOf("teas", "desk").forEach { ann.sdk.subscribe(it) }
            ann.sdk.settle(20.seconds)
            equal(ann.tea.get("t-1"), Tea("t-1", "Sencha", minutes = 2))
            equal(ann.tea.observe { ascending(it.name) }.first().map { it.id }, listOf("t-2", "t-1"))
            equal(ann.tea.search("sencha").single().row.id, "t-1")
            ann.note.upsert("n-1") { tea = "t-2" }
            val noted = ann.note.observeIncluding { include(it.tea, Tea.Columns.name) }.first().single()
            equal(noted[Note.Columns.tea, Tea.Columns.name], "Gunpowder")

            // Nothing that writes is offered, and what writes all the same is refused.
            val writing = setOf("upsert", "update", "delete", "restore", "getTea")
            val offered = listOf(Tea.Table::class.java, Desk.Writes::class.java).flatMap { it.methods.toList() }
            equal(offered.map { it.name }.filter { it in writing }, emptyList())
            val mine = fails<LandfallException.RefusedWrite> { ann.sdk.write { Tea.Writes(it).upsert("t-3", "Mine") } }
            equal(mine.code, "LF2121")

            // It was downloaded once: the next account has it, and never saw a region.
            accounts.signOut(ann.sdk, SignOut.Keep)
            val offline = Accounts.open(options.copy(startOffline = true))
            val bob = Desk(offline.signIn(Account("", "bob")) { error("never asked for") })
            equal(bob.tea.get("t-1")?.name, "Sencha")
            equal(bob.note.get("n-1"), null)
            bob.close()
        }
    },

    Test("testkit: what a test publishes is read by every account") {
        Testkit(Desk.SCHEMA).use { kit ->
            kit.writeAsOthers { Tea.Writes(it).upsert("t-1", "Sencha") { minutes = 2 } }
            val (ann, bob) = Desk(kit.device("ann").app) to Desk(kit.device("bob").app)
            ann.sdk.subscribe("teas")
            equal(kit.settle(), emptyList())
            equal(ann.tea.get("t-1")?.minutes, 2)
            // Each account has a file of its own here, and what it did not subscribe is not in it.
            equal(bob.tea.get("t-1"), null)
            equal(kit.region.rows("Tea").map(Tea::read).map { it.name }, listOf("Sencha"))
        }
    },
)
