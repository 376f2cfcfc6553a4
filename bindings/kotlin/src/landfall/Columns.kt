package landfall

/** One column of a table, for conditions and orders. */
public class Column<T : Any>(internal val name: String, internal val codec: Codec<T>) {
    public infix fun eq(value: T): Condition = compared("=", value)
    public infix fun neq(value: T): Condition = compared("<>", value)
    public infix fun lt(value: T): Condition = compared("<", value)
    public infix fun lte(value: T): Condition = compared("<=", value)
    public infix fun gt(value: T): Condition = compared(">", value)
    public infix fun gte(value: T): Condition = compared(">=", value)

    /** The column holds nothing. */
    public fun isNull(): Condition = Condition("${quoted()} IS NULL", emptyList())

    /** The column holds something. */
    public fun isNotNull(): Condition = Condition("${quoted()} IS NOT NULL", emptyList())

    /** The column holds one of these. */
    public infix fun within(values: Collection<T>): Condition =
        Condition("${quoted()} IN (${values.joinToString { "?" }})", values.map(codec::toColumn))

    private fun compared(operator: String, value: T) =
        Condition("${quoted()} $operator ?", listOf(codec.toColumn(value)))

    private fun quoted() = "\"" + name.replace("\"", "\"\"") + "\""
}

/** What rows must fulfil: an SQL expression with its parameters. */
public class Condition(internal val sql: String, internal val params: List<SqlValue>) {
    public infix fun and(other: Condition): Condition =
        Condition("($sql) AND (${other.sql})", params + other.params)

    public infix fun or(other: Condition): Condition =
        Condition("($sql) OR (${other.sql})", params + other.params)

    public operator fun not(): Condition = Condition("NOT ($sql)", params)
}

/** The window of a table that a live query shows: which rows, in which order, how many. */
@LandfallDsl
public class WindowBuilder internal constructor(private val table: String) {
    private var condition: Condition? = null
    private val order = ArrayList<OrderBy>()
    private var limit: ULong? = null
    private val includes = ArrayList<Include>()

    /** Only rows that fulfil this; a second call asks for both. */
    public fun where(condition: Condition) {
        this.condition = this.condition?.and(condition) ?: condition
    }

    /** Smallest first; further calls order what is equal so far. */
    public fun ascending(column: Column<*>) {
        order.add(OrderBy(column.name, descending = false))
    }

    /** Largest first; further calls order what is equal so far. */
    public fun descending(column: Column<*>) {
        order.add(OrderBy(column.name, descending = true))
    }

    /** At most so many rows. */
    public fun limit(rows: Int) {
        require(rows >= 0) { "a window has no negative number of rows" }
        limit = rows.toULong()
    }

    /**
     * Show columns of the row that a reference leads to, such as a parent's. [Table.observeIncluding]
     * has them; a change of that row updates the rows that show it.
     */
    public fun include(reference: Column<*>, vararg columns: Column<*>) {
        includes.add(Include(reference.name, columns.map { it.name }))
    }

    internal fun build() =
        Query(table, condition?.sql, condition?.params.orEmpty(), order.toList(), limit, includes.toList())
}

/** A row with columns of the rows that it refers to. */
public class Including<T>(public val row: T, private val view: RowView) {
    /** A column of the row that a reference leads to; null where it leads to no row of this device. */
    public operator fun <V : Any> get(reference: Column<*>, column: Column<V>): V? =
        view.optional("${reference.name}.${column.name}", column.codec)
}
