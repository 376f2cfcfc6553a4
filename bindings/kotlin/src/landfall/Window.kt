package landfall

/** Names of columns and where each stands. */
public class Columns internal constructor(public val names: List<String>) {
    private val places = names.withIndex().associate { (at, name) -> name to at }

    internal fun place(name: String): Int =
        checkNotNull(places[name]) { "the row has no column $name" }
}

/** One row, read by the names of its columns. */
public class RowView internal constructor(
    public val columns: Columns,
    public val values: List<SqlValue>,
) {
    /** A column's value as SQLite has it. */
    public operator fun get(name: String): SqlValue = values[columns.place(name)]

    /** A column that may hold nothing. */
    public fun <T : Any> optional(name: String, codec: Codec<T>): T? {
        val value = get(name)
        return if (value is SqlValue.Null) null else codec.fromColumn(value)
    }

    /** A column that holds something; reading a row without it fails. */
    public fun <T : Any> required(name: String, codec: Codec<T>): T =
        checkNotNull(optional(name, codec)) { "the row has no $name" }
}

/** Makes a value of a row. */
public fun interface RowReader<T> {
    public fun read(row: RowView): T
}

/** One update of a live query: the rows as they are now, and what changed since the last. */
public class Update<T>(
    public val rows: List<T>,
    /** The fewest changes that lead here; places count from 0. The first update inserts all. */
    public val changes: List<RowChange>,
    /** What is on this device of the scopes that the query reads. */
    public val coverage: Coverage,
    /** False if the whole statement is run anew for each update. */
    public val incremental: Boolean,
)

/** A live query's rows, kept up by changes. Rows that stay are the same objects as before. */
internal class Window<T>(private val reader: RowReader<T>) {
    private var rows: List<T> = emptyList()
    private var columns = Columns(emptyList())

    fun apply(update: WatchUpdate): Update<T> {
        if (update.columns.isNotEmpty() && update.columns != columns.names) {
            columns = Columns(update.columns)
        }
        if (update.changes.isNotEmpty()) rows = changed(update.changes)
        return Update(rows, update.changes, update.coverage, update.incremental)
    }

    /** Rows that a change names go to their new places; those that none names fill up in order. */
    private fun changed(changes: List<RowChange>): List<T> {
        val gone = BooleanArray(rows.size)
        val placed = HashMap<Int, T>()
        var size = rows.size
        for (change in changes) {
            when (change) {
                is RowChange.Remove -> {
                    gone[change.old.toInt()] = true
                    size--
                }
                is RowChange.Insert -> {
                    placed[change.new.toInt()] = read(change.values)
                    size++
                }
                is RowChange.Move -> {
                    gone[change.old.toInt()] = true
                    placed[change.new.toInt()] = rows[change.old.toInt()]
                }
                is RowChange.Update -> {
                    gone[change.old.toInt()] = true
                    placed[change.new.toInt()] = read(change.values)
                }
            }
        }
        var next = 0
        return List(size) { at ->
            placed[at] ?: run {
                while (gone[next]) next++
                rows[next++]
            }
        }
    }

    private fun read(values: List<SqlValue>): T = reader.read(RowView(columns, values))
}
