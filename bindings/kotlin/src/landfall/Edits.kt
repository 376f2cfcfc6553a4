package landfall

import kotlin.properties.ReadWriteProperty
import kotlin.reflect.KProperty

/** Builders nest, and an inner one does not reach into the outer one by accident. */
@DslMarker
public annotation class LandfallDsl

/** Writes that are made together: all of them or none. */
@LandfallDsl
public class Batch internal constructor() {
    internal val edits = ArrayList<Edit>()

    /** For generated code: one entity's edit. */
    public fun add(kind: String, id: String, action: Action, home: String?, edit: EntityEdit?) {
        edits.add(Edit(kind, id, action, home, edit?._changes?.toList().orEmpty()))
    }
}

/** What an edit changes of one entity; generated code has a subclass for each type. */
@LandfallDsl
public abstract class EntityEdit {
    internal val _changes = ArrayList<Change>()

    /** A register that may be empty. It can be read back only once it was set here. */
    protected fun <T : Any> optional(name: String, codec: Codec<T>): ReadWriteProperty<EntityEdit, T?> =
        Register(name) { it?.let(codec::toValue) ?: Value.Null }

    /** A register that always has a value. */
    protected fun <T : Any> required(name: String, codec: Codec<T>): ReadWriteProperty<EntityEdit, T> =
        Register(name, codec::toValue)

    /** A counter. */
    protected fun counter(name: String): CounterEdit = CounterEdit(this, name)

    /** A set. */
    protected fun <T : Any> set(name: String, element: Codec<T>): SetEdit<T> = SetEdit(this, name, element)

    /** A shared text. */
    protected fun text(name: String): TextEdit = TextEdit(this, name)
}

private class Register<T>(
    private val name: String,
    private val value: (T) -> Value,
) : ReadWriteProperty<EntityEdit, T> {
    /** What this edit set, if anything: it does not know the row. */
    private var given: List<T> = emptyList()

    override fun getValue(thisRef: EntityEdit, property: KProperty<*>): T {
        check(given.isNotEmpty()) { "$name was not set in this edit; an edit does not know the row" }
        return given[0]
    }

    override fun setValue(thisRef: EntityEdit, property: KProperty<*>, value: T) {
        given = listOf(value)
        thisRef._changes.add(Change.Put(name, this.value(value)))
    }
}

/** Adds to a counter. Each addition counts exactly once, wherever it was made. */
public class CounterEdit internal constructor(private val edit: EntityEdit, private val name: String) {
    /** A negative number takes away. */
    public fun add(by: Long) {
        edit._changes.add(Change.Increment(name, by))
    }
}

/** Changes a set by element. */
public class SetEdit<T : Any> internal constructor(
    private val edit: EntityEdit,
    private val name: String,
    private val element: Codec<T>,
) {
    public fun add(element: T) {
        edit._changes.add(Change.AddToSet(name, this.element.toValue(element)))
    }

    /** One that is added elsewhere at the same time stays. */
    public fun remove(element: T) {
        edit._changes.add(Change.RemoveFromSet(name, this.element.toValue(element)))
    }
}

/** Changes a shared text in place. For an editor on screen see [Landfall.text]. */
public class TextEdit internal constructor(private val edit: EntityEdit, private val name: String) {
    /** Replace [delete] code points from [at] on by [insert]. */
    public fun splice(at: Int, delete: Int, insert: String) {
        edit._changes.add(Change.Splice(name, at.toUInt(), delete.toUInt(), insert))
    }
}
