package landfall

import java.math.BigDecimal
import java.time.Instant
import java.time.LocalDate
import java.time.LocalTime
import java.time.ZonedDateTime
import java.time.format.DateTimeFormatter
import java.time.temporal.ChronoUnit
import java.util.Base64

/**
 * How a field's type in Kotlin meets its column, its value in a write, and its place in JSON.
 *
 * Generated code picks one for each field. Null is not a codec's business: columns and members
 * that hold nothing are told apart before.
 */
public abstract class Codec<T : Any> {
    /** As a write carries it. */
    public abstract fun toValue(value: T): Value

    /** As its column holds it, for conditions. */
    public abstract fun toColumn(value: T): SqlValue

    /** From its column. */
    public abstract fun fromColumn(column: SqlValue): T

    /** As a member of a value object or a list. */
    public abstract fun toJson(value: T): Any?

    /** From a member of a value object or a list. */
    public abstract fun fromJson(json: Any): T
}

/** The codecs of the schema's scalars, and what is made of them. */
public object Codecs {
    /** `ID`, `String`, `JSON`, `Blob` and references. */
    public val string: Codec<String> = TextCodec({ it }, { it })

    /** `Date`. */
    public val date: Codec<LocalDate> = TextCodec(LocalDate::toString, LocalDate::parse)

    /** `LocalTime`. */
    public val localTime: Codec<LocalTime> =
        TextCodec(DateTimeFormatter.ISO_LOCAL_TIME::format, LocalTime::parse)

    /** `ZonedDateTime`. */
    public val zonedDateTime: Codec<ZonedDateTime> =
        TextCodec(ZonedDateTime::toString, ZonedDateTime::parse)

    /** `JSON`, which stays text. In a value object it is read back as it was written, spaces apart. */
    public val json: Codec<String> = object : TextCodec<String>({ it }, { it }) {
        override fun fromJson(json: Any): String = json as? String ?: Json.write(json)
    }

    /** `Int`. */
    public val int: Codec<Int> = IntegerCodec(Int::toLong, Long::toInt)

    /** `Int64` and counters. */
    public val long: Codec<Long> = IntegerCodec({ it }, { it })

    /** `Instant`, to the microsecond. */
    public val instant: Codec<Instant> = IntegerCodec(
        { ChronoUnit.MICROS.between(Instant.EPOCH, it) },
        { Instant.EPOCH.plus(it, ChronoUnit.MICROS) },
    )

    /** `Boolean`. */
    public val boolean: Codec<Boolean> = object : Codec<Boolean>() {
        override fun toValue(value: Boolean) = Value.Bool(value)
        override fun toColumn(value: Boolean) = SqlValue.Integer(if (value) 1 else 0)
        override fun fromColumn(column: SqlValue) = (column as SqlValue.Integer).value != 0L
        override fun toJson(value: Boolean) = value
        override fun fromJson(json: Any) = json as Boolean
    }

    /** `Float`. */
    public val double: Codec<Double> = object : Codec<Double>() {
        override fun toValue(value: Double) = Value.Float(value)
        override fun toColumn(value: Double) = SqlValue.Real(value)
        override fun fromColumn(column: SqlValue) = (column as SqlValue.Real).value
        override fun toJson(value: Double) = value
        override fun fromJson(json: Any) = (json as Number).toDouble()
    }

    /** `Bytes`. */
    public val bytes: Codec<ByteArray> = object : Codec<ByteArray>() {
        override fun toValue(value: ByteArray) = Value.Bytes(value)
        override fun toColumn(value: ByteArray) = SqlValue.Blob(value)
        override fun fromColumn(column: SqlValue) = (column as SqlValue.Blob).value
        override fun toJson(value: ByteArray): String = Base64.getEncoder().encodeToString(value)
        override fun fromJson(json: Any): ByteArray = Base64.getDecoder().decode(json as String)
    }

    /** `Decimal` with so many places after the point. Columns hold units of the last place. */
    public fun decimal(scale: Int): Codec<BigDecimal> = object : Codec<BigDecimal>() {
        override fun toValue(value: BigDecimal) = Value.Text(value.toPlainString())
        override fun toColumn(value: BigDecimal) =
            SqlValue.Integer(value.setScale(scale).unscaledValue().longValueExact())
        override fun fromColumn(column: SqlValue): BigDecimal =
            BigDecimal.valueOf((column as SqlValue.Integer).value, scale)
        // With all its places, as the column has it; more than those are refused when written.
        override fun toJson(value: BigDecimal): String =
            (if (value.scale() < scale) value.setScale(scale) else value).toPlainString()
        override fun fromJson(json: Any): BigDecimal = BigDecimal(json as String)
    }

    /** What is text in a column and in a write; an enum, for one. */
    public fun <T : Any> text(write: (T) -> String, read: (String) -> T): Codec<T> =
        TextCodec(write, read)

    /** A value object, by its members. */
    public fun <T : Any> obj(write: (T) -> Map<String, Any?>, read: (Members) -> T): Codec<T> =
        TreeCodec(write) { read(Members(it as Map<*, *>)) }

    /** A list as one register. */
    public fun <T : Any> list(element: Codec<T>): Codec<List<T>> =
        TreeCodec({ list -> list.map(element::toJson) }, { items(it, element).toList() })

    /** A set, which is read as a whole and written by element. */
    public fun <T : Any> set(element: Codec<T>): Codec<Set<T>> =
        TreeCodec({ set -> set.map(element::toJson) }, { items(it, element).toSet() })

    private fun <T : Any> items(tree: Any, element: Codec<T>): Sequence<T> =
        (tree as List<*>).asSequence().filterNotNull().map(element::fromJson)
}

/** The members of a value object. */
public class Members internal constructor(private val members: Map<*, *>) {
    /** A member that may be absent. */
    public fun <T : Any> optional(name: String, codec: Codec<T>): T? =
        members[name]?.let(codec::fromJson)

    /** A member that is there. */
    public fun <T : Any> required(name: String, codec: Codec<T>): T =
        checkNotNull(optional(name, codec)) { "the object has no $name" }
}

private open class TextCodec<T : Any>(
    private val write: (T) -> String,
    private val read: (String) -> T,
) : Codec<T>() {
    override fun toValue(value: T) = Value.Text(write(value))
    override fun toColumn(value: T) = SqlValue.Text(write(value))
    override fun fromColumn(column: SqlValue): T = read((column as SqlValue.Text).value)
    override fun toJson(value: T): Any = write(value)
    override fun fromJson(json: Any): T = read(json as String)
}

private class IntegerCodec<T : Any>(
    private val write: (T) -> Long,
    private val read: (Long) -> T,
) : Codec<T>() {
    override fun toValue(value: T) = Value.Int(write(value))
    override fun toColumn(value: T) = SqlValue.Integer(write(value))
    override fun fromColumn(column: SqlValue): T = read((column as SqlValue.Integer).value)
    override fun toJson(value: T): Any = write(value)
    override fun fromJson(json: Any): T = read(json as Long)
}

private class TreeCodec<T : Any>(
    private val write: (T) -> Any,
    private val read: (Any) -> T,
) : Codec<T>() {
    override fun toValue(value: T) = Value.Text(Json.write(write(value)))
    override fun toColumn(value: T) = SqlValue.Text(Json.write(write(value)))
    override fun fromColumn(column: SqlValue): T =
        read(checkNotNull(Json.read((column as SqlValue.Text).value)))
    override fun toJson(value: T): Any = write(value)
    override fun fromJson(json: Any): T = read(json)
}
