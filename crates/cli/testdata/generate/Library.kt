// Written by `landfall generate kotlin`. To change it, change the schema and write it anew.

@file:Suppress("RedundantVisibilityModifier", "unused")

package com.example.library

/** The app's database: a table for each entity type, and the client under it. */
public class Library(public val sdk: landfall.Landfall) {
    public val author: Author.Table = Author.Table(sdk)
    public val book: Book.Table = Book.Table(sdk)
    public val copy: Copy.Table = Copy.Table(sdk)
    public val draft: Draft.Table = Draft.Table(sdk)
    public val list: List.Table = List.Table(sdk)
    public val pseudonym: Pseudonym.Table = Pseudonym.Table(sdk)

    /** Writes to several tables in one transaction: all of them or none. */
    public suspend fun write(batch: Writes.() -> Unit): landfall.Receipt =
        sdk.write { Writes(it).batch() }

    /** See [landfall.Landfall.close]. */
    public suspend fun close(): Unit = sdk.close()

    /** What a transaction can write to. */
    @landfall.LandfallDsl
    public class Writes internal constructor(batch: landfall.Batch) {
        public val book: Book.Writes = Book.Writes(batch)
        public val copy: Copy.Writes = Copy.Writes(batch)
        public val draft: Draft.Writes = Draft.Writes(batch)
        public val list: List.Writes = List.Writes(batch)
    }

    public companion object {
        /** The schema, as regions have it. */
        public val SCHEMA: kotlin.String = listOf(
            "# Every kind of field that generated code meets, and names that are awkward there.",
            "",
            "\"\"\"",
            "A book of one branch.",
            "Comment ends */ and \"\$quotes\" stay text.",
            "\"\"\"",
            "type Book @entity(strategy: LAST_WRITE_WINS, scope: \"branch/{branch}/{shelf}\")",
            "  @audience(scope: \"reader/{reader}\", hide: [price, notes], write: [state]) {",
            "  id: ID!",
            "  branch: ID!",
            "  shelf: Int!",
            "  reader: ID",
            "  \"In euros.\"",
            "  price: Decimal! @decimal(precision: 8, scale: 2)",
            "  pages: Int",
            "  bytes: Int64",
            "  weight: Float",
            "  lent: Boolean! @default(value: false)",
            "  due: Date",
            "  opens: LocalTime",
            "  meets: ZonedDateTime",
            "  bought: Instant",
            "  cover: Blob",
            "  scan: Bytes",
            "  extra: JSON",
            "  state: State!",
            "  place: Place",
            "  authors: [String!]",
            "  notes: [State!] @set",
            "  string: String",
            "  object: String",
            "}",
            "",
            "type Copy @entity(strategy: CRDT, parent: \"book\") {",
            "  id: ID!",
            "  book: Book! @ref(onDelete: CASCADE)",
            "  tags: [String!] @set",
            "  read: Counter",
            "  remarks: Text",
            "  edit: String!",
            "  isPending: Boolean",
            "}",
            "",
            "\"Not synced, and written like others.\"",
            "type Draft @local {",
            "  id: ID!",
            "  text: String @search",
            "}",
            "",
            "\"The same for every account, which all read and none writes.\"",
            "type Author @entity(strategy: LAST_WRITE_WINS, scope: \"authors\") @shared {",
            "  id: ID!",
            "  name: String! @search",
            "  born: Date",
            "}",
            "",
            "\"Below a shared type, and so shared, too.\"",
            "type Pseudonym @entity(strategy: LAST_WRITE_WINS, parent: \"author\") {",
            "  id: ID!",
            "  author: Author! @ref(onDelete: CASCADE)",
            "  name: String",
            "}",
            "",
            "\"Takes the name of Kotlin's own.\"",
            "type List @entity(strategy: LAST_WRITE_WINS, scope: \"lists\") {",
            "  id: ID!",
            "  items: [String!]",
            "}",
            "",
            "enum State {",
            "  ON_SHELF",
            "  LENT",
            "  Unknown",
            "}",
            "",
            "\"One register.\"",
            "type Place @value {",
            "  room: String!",
            "  at: Geo",
            "  since: Date",
            "  fee: Decimal @decimal(precision: 6, scale: 2)",
            "}",
            "",
            "type Geo @value {",
            "  lat: Float!",
            "  lon: Float!",
            "}",
        ).joinToString("\n", postfix = "\n")

        /** Open an account's file, or make it; see [landfall.Landfall.open]. */
        public suspend fun open(
            path: kotlin.String,
            subject: kotlin.String,
            regions: kotlin.collections.List<landfall.Region>,
            tenant: kotlin.String = "",
            startOffline: kotlin.Boolean = false,
            diskBytesMax: kotlin.Long? = null,
            network: landfall.NetworkOptions? = null,
            tokens: landfall.Tokens,
        ): Library = Library(
            landfall.Landfall.open(
                landfall.OpenOptions(
                    path, SCHEMA, tenant, subject, regions, startOffline,
                    diskBytesMax?.toULong(), network,
                ),
                tokens = tokens,
            ),
        )
    }
}

/** The same for every account, which all read and none writes. */
public data class Author(
    public val id: String,
    public val name: String,
    public val born: java.time.LocalDate? = null,
    /** Some of it is not yet held by enough regions. */
    public val isPending: kotlin.Boolean = false,
) {
    /** What changes of a row; what is not set stays as it is. */
    public class Edit : landfall.EntityEdit() {
        public var name: String by required("name", landfall.Codecs.string)
        public var born: java.time.LocalDate? by optional("born", landfall.Codecs.date)
    }

    /** Writes of this type by who publishes it, as a test of the app may. Those of a device are refused with `LF2121`. */
    public class Writes(batch: landfall.Batch) :
        landfall.Writes<Edit>(batch, "Author", ::Edit) {
        /** Create it, or change it where this device knows it. */
        public fun upsert(id: kotlin.String, name: String, edit: Edit.() -> kotlin.Unit = {}) {
            put(
                id,
                listOf(
                    given("name", landfall.Codecs.string, name),
                ),
                edit,
            )
        }
    }

    /** The table: rows and live queries. Devices do not write this type. */
    public class Table(client: landfall.Landfall) :
        landfall.SearchedReadTable<Author, Columns>(client, "Author", Columns, { read(it) })

    /** Columns, for conditions and orders. */
    public object Columns {
        public val id: landfall.Column<String> = landfall.Column("id", landfall.Codecs.string)
        public val name: landfall.Column<String> = landfall.Column("name", landfall.Codecs.string)
        public val born: landfall.Column<java.time.LocalDate> = landfall.Column("born", landfall.Codecs.date)
    }

    public companion object {
        /** A row of this type, from any query that has all its columns. */
        public fun read(row: landfall.RowView): Author = Author(
            id = row.required("id", landfall.Codecs.string),
            name = row.required("name", landfall.Codecs.string),
            born = row.optional("born", landfall.Codecs.date),
            isPending = row.required("_pending", landfall.Codecs.boolean),
        )
    }
}

/**
 * A book of one branch.
 * Comment ends *&#47; and "$quotes" stay text.
 */
public data class Book(
    public val id: String,
    public val branch: String,
    public val shelf: Int,
    public val reader: String? = null,
    /**
     * In euros.
     *
     * Not everybody who sees the row sees this.
     */
    public val price: java.math.BigDecimal? = null,
    public val pages: Int? = null,
    public val bytes: Long? = null,
    public val weight: Double? = null,
    public val lent: Boolean,
    public val due: java.time.LocalDate? = null,
    public val opens: java.time.LocalTime? = null,
    public val meets: java.time.ZonedDateTime? = null,
    public val bought: java.time.Instant? = null,
    public val cover: String? = null,
    public val scan: ByteArray? = null,
    public val extra: String? = null,
    public val state: State,
    public val place: Place? = null,
    public val authors: kotlin.collections.List<String>? = null,
    /** Not everybody who sees the row sees this. */
    public val notes: kotlin.collections.Set<State>? = null,
    public val string: String? = null,
    public val `object`: String? = null,
    /** Some of it is not yet held by enough regions. */
    public val isPending: kotlin.Boolean = false,
) {
    /** What changes of a row; what is not set stays as it is. */
    public class Edit : landfall.EntityEdit() {
        public var reader: String? by optional("reader", landfall.Codecs.string)
        /** In euros. */
        public var price: java.math.BigDecimal by required("price", landfall.Codecs.decimal(2))
        public var pages: Int? by optional("pages", landfall.Codecs.int)
        public var bytes: Long? by optional("bytes", landfall.Codecs.long)
        public var weight: Double? by optional("weight", landfall.Codecs.double)
        public var lent: Boolean by required("lent", landfall.Codecs.boolean)
        public var due: java.time.LocalDate? by optional("due", landfall.Codecs.date)
        public var opens: java.time.LocalTime? by optional("opens", landfall.Codecs.localTime)
        public var meets: java.time.ZonedDateTime? by optional("meets", landfall.Codecs.zonedDateTime)
        public var bought: java.time.Instant? by optional("bought", landfall.Codecs.instant)
        public var cover: String? by optional("cover", landfall.Codecs.string)
        public var scan: ByteArray? by optional("scan", landfall.Codecs.bytes)
        public var extra: String? by optional("extra", landfall.Codecs.json)
        public var state: State by required("state", State.codec)
        public var place: Place? by optional("place", Place.codec)
        public var authors: kotlin.collections.List<String>? by optional("authors", landfall.Codecs.list(landfall.Codecs.string))
        public val notes: landfall.SetEdit<State> = set("notes", State.codec)
        public var string: String? by optional("string", landfall.Codecs.string)
        public var `object`: String? by optional("object", landfall.Codecs.string)
    }

    /** Writes of this type within a transaction. */
    public class Writes(batch: landfall.Batch) :
        landfall.Writes<Edit>(batch, "Book", ::Edit) {
        /** Create it, or change it where this device knows it. */
        public fun upsert(id: kotlin.String, branch: String, shelf: Int, price: java.math.BigDecimal, state: State, edit: Edit.() -> kotlin.Unit = {}) {
            put(
                id,
                listOf(
                    given("branch", landfall.Codecs.string, branch),
                    given("shelf", landfall.Codecs.int, shelf),
                    given("price", landfall.Codecs.decimal(2), price),
                    given("state", State.codec, state),
                ),
                edit,
            )
        }
    }

    /** The table: rows, writes and live queries. */
    public class Table(client: landfall.Landfall) :
        landfall.Table<Book, Edit, Columns, Writes>(client, "Book", Columns, { read(it) }, ::Writes) {
        /** Create it, or change it where this device knows it. */
        public suspend fun upsert(id: kotlin.String, branch: String, shelf: Int, price: java.math.BigDecimal, state: State, edit: Edit.() -> kotlin.Unit = {}): landfall.Receipt =
            write { upsert(id, branch, shelf, price, state, edit) }
    }

    /** Columns, for conditions and orders. */
    public object Columns {
        public val id: landfall.Column<String> = landfall.Column("id", landfall.Codecs.string)
        public val branch: landfall.Column<String> = landfall.Column("branch", landfall.Codecs.string)
        public val shelf: landfall.Column<Int> = landfall.Column("shelf", landfall.Codecs.int)
        public val reader: landfall.Column<String> = landfall.Column("reader", landfall.Codecs.string)
        public val price: landfall.Column<java.math.BigDecimal> = landfall.Column("price", landfall.Codecs.decimal(2))
        public val pages: landfall.Column<Int> = landfall.Column("pages", landfall.Codecs.int)
        public val bytes: landfall.Column<Long> = landfall.Column("bytes", landfall.Codecs.long)
        public val weight: landfall.Column<Double> = landfall.Column("weight", landfall.Codecs.double)
        public val lent: landfall.Column<Boolean> = landfall.Column("lent", landfall.Codecs.boolean)
        public val due: landfall.Column<java.time.LocalDate> = landfall.Column("due", landfall.Codecs.date)
        public val opens: landfall.Column<java.time.LocalTime> = landfall.Column("opens", landfall.Codecs.localTime)
        public val meets: landfall.Column<java.time.ZonedDateTime> = landfall.Column("meets", landfall.Codecs.zonedDateTime)
        public val bought: landfall.Column<java.time.Instant> = landfall.Column("bought", landfall.Codecs.instant)
        public val cover: landfall.Column<String> = landfall.Column("cover", landfall.Codecs.string)
        public val scan: landfall.Column<ByteArray> = landfall.Column("scan", landfall.Codecs.bytes)
        public val extra: landfall.Column<String> = landfall.Column("extra", landfall.Codecs.json)
        public val state: landfall.Column<State> = landfall.Column("state", State.codec)
        public val string: landfall.Column<String> = landfall.Column("string", landfall.Codecs.string)
        public val `object`: landfall.Column<String> = landfall.Column("object", landfall.Codecs.string)
    }

    public companion object {
        /** A row of this type, from any query that has all its columns. */
        public fun read(row: landfall.RowView): Book = Book(
            id = row.required("id", landfall.Codecs.string),
            branch = row.required("branch", landfall.Codecs.string),
            shelf = row.required("shelf", landfall.Codecs.int),
            reader = row.optional("reader", landfall.Codecs.string),
            price = row.optional("price", landfall.Codecs.decimal(2)),
            pages = row.optional("pages", landfall.Codecs.int),
            bytes = row.optional("bytes", landfall.Codecs.long),
            weight = row.optional("weight", landfall.Codecs.double),
            lent = row.required("lent", landfall.Codecs.boolean),
            due = row.optional("due", landfall.Codecs.date),
            opens = row.optional("opens", landfall.Codecs.localTime),
            meets = row.optional("meets", landfall.Codecs.zonedDateTime),
            bought = row.optional("bought", landfall.Codecs.instant),
            cover = row.optional("cover", landfall.Codecs.string),
            scan = row.optional("scan", landfall.Codecs.bytes),
            extra = row.optional("extra", landfall.Codecs.json),
            state = row.required("state", State.codec),
            place = row.optional("place", Place.codec),
            authors = row.optional("authors", landfall.Codecs.list(landfall.Codecs.string)),
            notes = row.optional("notes", landfall.Codecs.set(State.codec)),
            string = row.optional("string", landfall.Codecs.string),
            `object` = row.optional("object", landfall.Codecs.string),
            isPending = row.required("_pending", landfall.Codecs.boolean),
        )
    }
}

public data class Copy(
    public val id: String,
    public val book: String,
    public val tags: kotlin.collections.Set<String>,
    public val read: Long,
    public val remarks: String,
    public val edit: String,
    public val isPending: Boolean? = null,
) {
    /** What changes of a row; what is not set stays as it is. */
    public class Edit : landfall.EntityEdit() {
        public val tags: landfall.SetEdit<String> = set("tags", landfall.Codecs.string)
        public val read: landfall.CounterEdit = counter("read")
        public val remarks: landfall.TextEdit = text("remarks")
        public var edit: String by required("edit", landfall.Codecs.string)
        public var isPending: Boolean? by optional("isPending", landfall.Codecs.boolean)
    }

    /** Writes of this type within a transaction. */
    public class Writes(batch: landfall.Batch) :
        landfall.Writes<Edit>(batch, "Copy", ::Edit) {
        /** Create it, or change it where this device knows it. */
        public fun upsert(id: kotlin.String, book: String, edit: String, edit_: Edit.() -> kotlin.Unit = {}) {
            put(
                id,
                listOf(
                    given("book", landfall.Codecs.string, book),
                    given("edit", landfall.Codecs.string, edit),
                ),
                edit_,
            )
        }
    }

    /** The table: rows, writes and live queries. */
    public class Table(client: landfall.Landfall) :
        landfall.Table<Copy, Edit, Columns, Writes>(client, "Copy", Columns, { read(it) }, ::Writes) {
        /** Create it, or change it where this device knows it. */
        public suspend fun upsert(id: kotlin.String, book: String, edit: String, edit_: Edit.() -> kotlin.Unit = {}): landfall.Receipt =
            write { upsert(id, book, edit, edit_) }
    }

    /** Columns, for conditions and orders. */
    public object Columns {
        public val id: landfall.Column<String> = landfall.Column("id", landfall.Codecs.string)
        public val book: landfall.Column<String> = landfall.Column("book", landfall.Codecs.string)
        public val read: landfall.Column<Long> = landfall.Column("read", landfall.Codecs.long)
        public val remarks: landfall.Column<String> = landfall.Column("remarks", landfall.Codecs.string)
        public val edit: landfall.Column<String> = landfall.Column("edit", landfall.Codecs.string)
        public val isPending: landfall.Column<Boolean> = landfall.Column("isPending", landfall.Codecs.boolean)
    }

    public companion object {
        /** A row of this type, from any query that has all its columns. */
        public fun read(row: landfall.RowView): Copy = Copy(
            id = row.required("id", landfall.Codecs.string),
            book = row.required("book", landfall.Codecs.string),
            tags = row.optional("tags", landfall.Codecs.set(landfall.Codecs.string)).orEmpty(),
            read = row.optional("read", landfall.Codecs.long) ?: 0L,
            remarks = row.optional("remarks", landfall.Codecs.string).orEmpty(),
            edit = row.required("edit", landfall.Codecs.string),
            isPending = row.optional("isPending", landfall.Codecs.boolean),
        )
    }
}

/** Not synced, and written like others. */
public data class Draft(
    public val id: String,
    public val text: String? = null,
    /** Some of it is not yet held by enough regions. */
    public val isPending: kotlin.Boolean = false,
) {
    /** What changes of a row; what is not set stays as it is. */
    public class Edit : landfall.EntityEdit() {
        public var text: String? by optional("text", landfall.Codecs.string)
    }

    /** Writes of this type within a transaction. */
    public class Writes(batch: landfall.Batch) :
        landfall.Writes<Edit>(batch, "Draft", ::Edit) {
        /** Create it, or change it where this device knows it. */
        public fun upsert(id: kotlin.String, edit: Edit.() -> kotlin.Unit = {}) {
            put(
                id,
                listOf(
                ),
                edit,
            )
        }
    }

    /** The table: rows, writes and live queries. */
    public class Table(client: landfall.Landfall) :
        landfall.SearchedTable<Draft, Edit, Columns, Writes>(client, "Draft", Columns, { read(it) }, ::Writes) {
        /** Create it, or change it where this device knows it. */
        public suspend fun upsert(id: kotlin.String, edit: Edit.() -> kotlin.Unit = {}): landfall.Receipt =
            write { upsert(id, edit) }
    }

    /** Columns, for conditions and orders. */
    public object Columns {
        public val id: landfall.Column<String> = landfall.Column("id", landfall.Codecs.string)
        public val text: landfall.Column<String> = landfall.Column("text", landfall.Codecs.string)
    }

    public companion object {
        /** A row of this type, from any query that has all its columns. */
        public fun read(row: landfall.RowView): Draft = Draft(
            id = row.required("id", landfall.Codecs.string),
            text = row.optional("text", landfall.Codecs.string),
            isPending = row.required("_pending", landfall.Codecs.boolean),
        )
    }
}

/** Takes the name of Kotlin's own. */
public data class List(
    public val id: String,
    public val items: kotlin.collections.List<String>? = null,
    /** Some of it is not yet held by enough regions. */
    public val isPending: kotlin.Boolean = false,
) {
    /** What changes of a row; what is not set stays as it is. */
    public class Edit : landfall.EntityEdit() {
        public var items: kotlin.collections.List<String>? by optional("items", landfall.Codecs.list(landfall.Codecs.string))
    }

    /** Writes of this type within a transaction. */
    public class Writes(batch: landfall.Batch) :
        landfall.Writes<Edit>(batch, "List", ::Edit) {
        /** Create it, or change it where this device knows it. */
        public fun upsert(id: kotlin.String, edit: Edit.() -> kotlin.Unit = {}) {
            put(
                id,
                listOf(
                ),
                edit,
            )
        }
    }

    /** The table: rows, writes and live queries. */
    public class Table(client: landfall.Landfall) :
        landfall.Table<List, Edit, Columns, Writes>(client, "List", Columns, { read(it) }, ::Writes) {
        /** Create it, or change it where this device knows it. */
        public suspend fun upsert(id: kotlin.String, edit: Edit.() -> kotlin.Unit = {}): landfall.Receipt =
            write { upsert(id, edit) }
    }

    /** Columns, for conditions and orders. */
    public object Columns {
        public val id: landfall.Column<String> = landfall.Column("id", landfall.Codecs.string)
    }

    public companion object {
        /** A row of this type, from any query that has all its columns. */
        public fun read(row: landfall.RowView): List = List(
            id = row.required("id", landfall.Codecs.string),
            items = row.optional("items", landfall.Codecs.list(landfall.Codecs.string)),
            isPending = row.required("_pending", landfall.Codecs.boolean),
        )
    }
}

/** Below a shared type, and so shared, too. */
public data class Pseudonym(
    public val id: String,
    public val author: String,
    public val name: String? = null,
    /** Some of it is not yet held by enough regions. */
    public val isPending: kotlin.Boolean = false,
) {
    /** What changes of a row; what is not set stays as it is. */
    public class Edit : landfall.EntityEdit() {
        public var name: String? by optional("name", landfall.Codecs.string)
    }

    /** Writes of this type by who publishes it, as a test of the app may. Those of a device are refused with `LF2121`. */
    public class Writes(batch: landfall.Batch) :
        landfall.Writes<Edit>(batch, "Pseudonym", ::Edit) {
        /** Create it, or change it where this device knows it. */
        public fun upsert(id: kotlin.String, author: String, edit: Edit.() -> kotlin.Unit = {}) {
            put(
                id,
                listOf(
                    given("author", landfall.Codecs.string, author),
                ),
                edit,
            )
        }
    }

    /** The table: rows and live queries. Devices do not write this type. */
    public class Table(client: landfall.Landfall) :
        landfall.ReadTable<Pseudonym, Columns>(client, "Pseudonym", Columns, { read(it) })

    /** Columns, for conditions and orders. */
    public object Columns {
        public val id: landfall.Column<String> = landfall.Column("id", landfall.Codecs.string)
        public val author: landfall.Column<String> = landfall.Column("author", landfall.Codecs.string)
        public val name: landfall.Column<String> = landfall.Column("name", landfall.Codecs.string)
    }

    public companion object {
        /** A row of this type, from any query that has all its columns. */
        public fun read(row: landfall.RowView): Pseudonym = Pseudonym(
            id = row.required("id", landfall.Codecs.string),
            author = row.required("author", landfall.Codecs.string),
            name = row.optional("name", landfall.Codecs.string),
            isPending = row.required("_pending", landfall.Codecs.boolean),
        )
    }
}

public data class Geo(
    public val lat: Double,
    public val lon: Double,
) {
    public companion object {
        public val codec: landfall.Codec<Geo> = landfall.Codecs.obj(
            write = {
                mapOf(
                    "lat" to it.lat.let(landfall.Codecs.double::toJson),
                    "lon" to it.lon.let(landfall.Codecs.double::toJson),
                )
            },
            read = {
                Geo(
                    lat = it.required("lat", landfall.Codecs.double),
                    lon = it.required("lon", landfall.Codecs.double),
                )
            },
        )
    }
}

/** One register. */
public data class Place(
    public val room: String,
    public val at: Geo? = null,
    public val since: java.time.LocalDate? = null,
    public val fee: java.math.BigDecimal? = null,
) {
    public companion object {
        public val codec: landfall.Codec<Place> = landfall.Codecs.obj(
            write = {
                mapOf(
                    "room" to it.room.let(landfall.Codecs.string::toJson),
                    "at" to it.at?.let(Geo.codec::toJson),
                    "since" to it.since?.let(landfall.Codecs.date::toJson),
                    "fee" to it.fee?.let(landfall.Codecs.decimal(2)::toJson),
                )
            },
            read = {
                Place(
                    room = it.required("room", landfall.Codecs.string),
                    at = it.optional("at", Geo.codec),
                    since = it.optional("since", landfall.Codecs.date),
                    fee = it.optional("fee", landfall.Codecs.decimal(2)),
                )
            },
        )
    }
}

public sealed class State(public val name: kotlin.String) {
    public data object ON_SHELF : State("ON_SHELF")
    public data object LENT : State("LENT")
    public data object Unknown : State("Unknown")

    /** A member that this version of the app does not know. It is written back as it is. */
    public data class Unknown_(public val member: kotlin.String) : State(member)

    public companion object {
        /** The member of this name. */
        public fun of(name: kotlin.String): State = when (name) {
            "ON_SHELF" -> ON_SHELF
            "LENT" -> LENT
            "Unknown" -> Unknown
            else -> Unknown_(name)
        }

        public val codec: landfall.Codec<State> = landfall.Codecs.text({ it.name }, { of(it) })
    }
}
