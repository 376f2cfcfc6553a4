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

    /** A column that holds something; a row without it cannot be read. */
    public fun <T : Any> required(name: String, codec: Codec<T>): T =
        checkNotNull(optional(name, codec)) { "the row has no $name" }
}

/** Makes a value of a row. */
public fun interface RowReader<T> {
    public fun read(row: RowView): T
}

/**
 * A row that cannot be made a value of: it lacks a field that this version of the app requires, or
 * holds another kind of value in it. Versions of an app that use one database meet such rows; none
 * of them may take a screen down.
 */
public class UnreadableRow(
    /** The row as it is. */
    public val row: RowView,
    /** What the reader threw. */
    public val cause: Exception,
)

/** One update of a live query: the rows as they are now, and what changed since the last. */
public class Update<T> internal constructor(
    /** Those that can be read. */
    public val rows: List<T>,
    /** Those that cannot; they have no place among [rows], and none in [changes]. */
    public val unreadable: List<UnreadableRow>,
    /** The fewest changes that lead here; places count from 0. The first update inserts all. */
    public val changes: List<RowChange>,
    /** What is on this device of the scopes that the query reads. */
    public val coverage: Coverage,
    /** False if the whole statement is run anew for each update. */
    public val incremental: Boolean,
    private val explained: suspend () -> LiveExplain,
) {
    /**
     * How the query works, why so, and what it has done until now. Fails with
     * [LandfallException.Closed] once the flow is not collected any more.
     */
    public suspend fun explain(): LiveExplain = explained()
}

/** A live query's rows, kept up by changes. Rows that stay are the same objects as before. */
internal class Window<T>(
    private val reader: RowReader<T>,
    private val explained: suspend () -> LiveExplain,
) {
    private var slots: List<Slot<T>> = emptyList()
    private var columns = Columns(emptyList())

    /** A row of the query: readable, or why it is not. */
    private class Slot<T>(val value: T?, val unreadable: UnreadableRow?) {
        val isReadable get() = unreadable == null
    }

    fun apply(update: WatchUpdate): Update<T> {
        if (update.columns.isNotEmpty() && update.columns != columns.names) {
            columns = Columns(update.columns)
        }
        val before = slots
        if (update.changes.isNotEmpty()) slots = changed(update.changes)
        val unreadable = slots.mapNotNull { it.unreadable }
        // Almost always every row is readable, and what was told is what is shown.
        val all = unreadable.isEmpty() && before.all { it.isReadable }
        val changes = if (all) update.changes else shown(update.changes, before)
        @Suppress("UNCHECKED_CAST")
        val rows = slots.filter { it.isReadable }.map { it.value as T }
        return Update(rows, unreadable, changes, update.coverage, update.incremental, explained)
    }

    /** Rows that a change names go to their new places; those that none names fill up in order. */
    private fun changed(changes: List<RowChange>): List<Slot<T>> {
        val gone = BooleanArray(slots.size)
        val placed = HashMap<Int, Slot<T>>()
        var size = slots.size
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
                    placed[change.new.toInt()] = slots[change.old.toInt()]
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
                slots[next++]
            }
        }
    }

    /** The changes of the rows that can be read, with their places among those. */
    private fun shown(changes: List<RowChange>, before: List<Slot<T>>): List<RowChange> {
        val (old, new) = places(before) to places(slots)
        fun was(at: UInt) = old[at.toInt()].takeIf { before[at.toInt()].isReadable }
        fun isNow(at: UInt) = new[at.toInt()].takeIf { slots[at.toInt()].isReadable }
        val (removed, rest) = changes.mapNotNull { change ->
            when (change) {
                is RowChange.Remove -> was(change.old)?.let { RowChange.Remove(it) }
                is RowChange.Insert -> isNow(change.new)?.let { RowChange.Insert(it, change.values) }
                is RowChange.Move -> was(change.old)?.let { from ->
                    isNow(change.new)?.let { RowChange.Move(from, it) } ?: RowChange.Remove(from)
                }
                is RowChange.Update -> {
                    val (from, to) = was(change.old) to isNow(change.new)
                    when {
                        from != null && to != null -> RowChange.Update(from, to, change.changed, change.values)
                        from != null -> RowChange.Remove(from)
                        to != null -> RowChange.Insert(to, change.values)
                        else -> null
                    }
                }
            }
        }.partition { it is RowChange.Remove }
        return removed.sortedByDescending { (it as RowChange.Remove).old } + rest
    }

    /** For each place, how many rows before it can be read. */
    private fun places(slots: List<Slot<T>>): List<UInt> =
        slots.runningFold(0u) { count, slot -> if (slot.isReadable) count + 1u else count }

    private fun read(values: List<SqlValue>): Slot<T> {
        val row = RowView(columns, values)
        return try {
            Slot(reader.read(row), null)
        } catch (e: Exception) {
            Slot(null, UnreadableRow(row, e))
        }
    }
}
