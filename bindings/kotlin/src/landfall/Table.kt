package landfall

import kotlinx.coroutines.flow.Flow

/** What can be written to one entity type within a batch; generated code adds `upsert`. */
@LandfallDsl
public abstract class Writes<E : EntityEdit>(
    protected val batch: Batch,
    private val kind: String,
    private val newEdit: () -> E,
) {
    /** Change an entity that is there. [home]: its home scope, where several have this id. */
    public fun update(id: String, home: String? = null, edit: E.() -> Unit) {
        batch.add(kind, id, Action.UPDATE, home, newEdit().apply(edit))
    }

    /** Delete an entity that is there. */
    public fun delete(id: String, home: String? = null) {
        batch.add(kind, id, Action.DELETE, home, null)
    }

    /** Create an entity or change it: [given] is what a new one needs. */
    protected fun put(id: String, given: List<Change>, edit: E.() -> Unit) {
        val all = newEdit()
        all._changes.addAll(given)
        batch.add(kind, id, Action.UPSERT, null, all.apply(edit))
    }

    /** A field and its value, for [put]. */
    protected fun <V : Any> given(name: String, codec: Codec<V>, value: V): Change =
        Change.Put(name, codec.toValue(value))
}

/**
 * One entity type's table as devices read it: its rows as [T], and its live queries. A `@shared` type
 * has no more: what devices may write is a [Table].
 *
 * A row that is absent here may exist all the same, unless [Update.coverage] says that everything
 * is on this device.
 */
public abstract class ReadTable<T : Any, C : Any>(
    protected val client: Landfall,
    internal val kind: String,
    internal val columns: C,
    internal val reader: RowReader<T>,
) {
    /**
     * The entity's row, if this device has it. Fails with [LandfallException.Unreadable] if this
     * version of the app cannot read it.
     */
    public suspend fun get(id: String): T? = client.get(kind, id)?.let { row ->
        try {
            reader.read(row)
        } catch (e: Exception) {
            throw LandfallException.Unreadable(UnreadableRow(row, e))
        }
    }

    /**
     * The rows of a window, now and whenever they change. A slow collector sees the newest. Rows
     * that this version of the app cannot read are left out; [observeChanges] has them.
     */
    public fun observe(window: WindowBuilder.(C) -> Unit = {}): Flow<List<T>> =
        client.observeRows(query(window), reader)

    /** The same with what changed and what is on this device. Each update comes, in turn. */
    public fun observeChanges(window: WindowBuilder.(C) -> Unit = {}): Flow<Update<T>> =
        client.observe(query(window), reader)

    /** The rows of a window, with the columns of other rows that it includes. */
    public fun observeIncluding(window: WindowBuilder.(C) -> Unit): Flow<List<Including<T>>> =
        client.observeRows(query(window)) { row -> Including(reader.read(row), row) }

    /** See [Landfall.explain]. */
    public suspend fun explain(id: String, home: String? = null): Explanation =
        client.explain(kind, id, home)

    private fun query(window: WindowBuilder.(C) -> Unit) =
        WindowBuilder(kind).apply { window(columns) }.build()
}

/** The table of an entity type that devices write, too. */
public abstract class Table<T : Any, E : EntityEdit, C : Any, W : Writes<E>>(
    client: Landfall,
    kind: String,
    columns: C,
    reader: RowReader<T>,
    private val writes: (Batch) -> W,
) : ReadTable<T, C>(client, kind, columns, reader) {
    /** Change an entity that is there. */
    public suspend fun update(id: String, home: String? = null, edit: E.() -> Unit): Receipt =
        write { update(id, home, edit) }

    /** Delete an entity that is there. */
    public suspend fun delete(id: String, home: String? = null): Receipt = write { delete(id, home) }

    /** See [Landfall.restore]. */
    public suspend fun restore(home: String, id: String): Receipt = client.restore(kind, home, id)

    /** Several writes of this type as one transaction. */
    protected suspend fun write(work: W.() -> Unit): Receipt = client.write { writes(it).work() }
}
