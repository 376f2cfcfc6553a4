package landfall

import kotlinx.coroutines.flow.Flow

/** A row that was found. */
public class Found<T>(
    public val row: T,
    /** Lower for better. */
    public val rank: Double,
    /** A piece of the field in which the most was found, with marks around what was. */
    public val snippet: String,
    /** Searched fields as a whole, marked, by their names; see [SearchBuilder.highlight]. */
    public val marked: Map<String, String>,
)

/** What a search asks besides its words. */
@LandfallDsl
public class SearchBuilder internal constructor(private val table: String, private val text: String) {
    private var syntax = SearchSyntax.WORDS
    private var fields = emptyList<String>()
    private var condition: Condition? = null
    private var limit: UInt? = null
    private var marks: Marks? = null
    private var snippetWords: UByte? = null
    private var highlight = false

    /** The text is still being typed: its last word may go on, unless a space follows it. */
    public fun asTyped() {
        syntax = SearchSyntax.AS_TYPED
    }

    /** The text is an expression of FTS5. For the app's own words, not for those of its users. */
    public fun raw() {
        syntax = SearchSyntax.RAW
    }

    /** Look only in these fields. */
    public fun within(vararg fields: Column<*>) {
        this.fields = fields.map { it.name }
    }

    /** Only rows that fulfil this, too; a second call asks for both. */
    public fun where(condition: Condition) {
        this.condition = this.condition?.and(condition) ?: condition
    }

    /** At most so many rows, the best ones; 50 unless said otherwise. */
    public fun limit(rows: Int) {
        require(rows >= 0) { "a search finds no negative number of rows" }
        limit = rows.toUInt()
    }

    /** What stands around a word that was found; `[` and `]` unless said otherwise. */
    public fun marks(before: String, behind: String) {
        marks = Marks(before, behind)
    }

    /** Length of the snippet, in words, 1 to 64; 16 unless said otherwise. */
    public fun snippetWords(words: Int) {
        snippetWords = words.coerceIn(1, 64).toUByte()
    }

    /** Also each searched field as a whole, marked. */
    public fun highlight() {
        highlight = true
    }

    internal fun build() = Search(
        table, text, syntax, fields, condition?.sql, condition?.params.orEmpty(), limit, marks,
        snippetWords, highlight,
    )
}

/** What can be searched: a table of which fields have `@search`. */
public interface Searched<T : Any, C : Any> {
    /**
     * Rows that hold all words of [text], in any of the searched fields and any order, the best
     * first. `bread*` finds what begins with it; words in quotes stand one behind the other. No text
     * is refused. Rows that this version of the app cannot read are left out.
     */
    public suspend fun search(text: String, how: SearchBuilder.(C) -> Unit = {}): List<Found<T>>

    /** The same, now and whenever it changes. A slow collector sees the newest. */
    public fun observeSearch(text: String, how: SearchBuilder.(C) -> Unit = {}): Flow<List<Found<T>>>
}

/** A table that is searched, and that devices write. */
public abstract class SearchedTable<T : Any, E : EntityEdit, C : Any, W : Writes<E>>(
    client: Landfall,
    kind: String,
    columns: C,
    reader: RowReader<T>,
    writes: (Batch) -> W,
) : Table<T, E, C, W>(client, kind, columns, reader, writes),
    Searched<T, C> by Searching(client, kind, columns, reader)

/** A table that is searched, and that devices only read. */
public abstract class SearchedReadTable<T : Any, C : Any>(
    client: Landfall,
    kind: String,
    columns: C,
    reader: RowReader<T>,
) : ReadTable<T, C>(client, kind, columns, reader),
    Searched<T, C> by Searching(client, kind, columns, reader)

private class Searching<T : Any, C : Any>(
    private val client: Landfall,
    private val kind: String,
    private val columns: C,
    reader: RowReader<T>,
) : Searched<T, C> {
    private val found = RowReader { row ->
        val marked = row.columns.names.filter { it.startsWith(MARKED) }
        Found(
            reader.read(row),
            row.required("_rank", Codecs.double),
            row.optional("_snippet", Codecs.string).orEmpty(),
            marked.associate { it.removePrefix(MARKED) to row.optional(it, Codecs.string).orEmpty() },
        )
    }

    override suspend fun search(text: String, how: SearchBuilder.(C) -> Unit): List<Found<T>> =
        client.search(asked(text, how)).mapNotNull { row ->
            try {
                found.read(row)
            } catch (e: Exception) {
                null
            }
        }

    override fun observeSearch(text: String, how: SearchBuilder.(C) -> Unit): Flow<List<Found<T>>> =
        client.observeFound(asked(text, how), found)

    private fun asked(text: String, how: SearchBuilder.(C) -> Unit) =
        SearchBuilder(kind, text).apply { how(columns) }.build()

    private companion object {
        const val MARKED = "_marked_"
    }
}
