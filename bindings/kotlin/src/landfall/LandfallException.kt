package landfall

/**
 * A call that failed; nothing of it was kept.
 *
 * Look at the class for what to do and at [code], which is stable, for what it was. `docs/errors`
 * has every code. A message names no value, account or path.
 */
public sealed class LandfallException(
    /** `LF` and four digits. */
    public val code: String,
    /** For people: what happened and what to do. */
    public val detail: String,
) : Exception("$code: $detail") {

    /** `LF20xx`: a batch that cannot be written. [edit] counts from 0. */
    public class RefusedWrite(code: String, detail: String, public val edit: Int?, public val field: String?) :
        LandfallException(code, detail)

    /** `LF2101`: the schema has faults. */
    public class FaultySchema(code: String, detail: String) : LandfallException(code, detail)

    /**
     * `LF2102`, `LF2103`, `LF2120`: SQL, a live query or a search that names what is not there, or is
     * not understood.
     */
    public class FaultyQuery(code: String, detail: String) : LandfallException(code, detail)

    /** `LF2104`: the client was closed. */
    public class Closed(code: String, detail: String) : LandfallException(code, detail)

    /** `LF2106`: writes wait, or subscriptions are not complete. */
    public class NotSettled(code: String, detail: String) : LandfallException(code, detail)

    /** `LF2109`: writes are still unsent. */
    public class Unsent(code: String, detail: String) : LandfallException(code, detail)

    /** `LF2110`: a file of an account cannot be made, moved or removed, or is not there. */
    public class AccountFile(code: String, detail: String) : LandfallException(code, detail)

    /** `LF2112`: the row is there, and this version of the app cannot make a value of it. */
    public class Unreadable(public val unreadable: UnreadableRow) :
        LandfallException("LF2112", "The row does not fit the classes of this version of the app.") {
        init {
            initCause(unreadable.cause)
        }
    }

    /** `LF2113`: a rescue document cannot be written, or is none. */
    public class RescueDocument(code: String, detail: String) : LandfallException(code, detail)

    /** `LF2114`: the tenant or the subject of an account holds a NUL character. */
    public class AccountName(code: String, detail: String) : LandfallException(code, detail)

    /** `LF23xx`, `LF2140`: something that the app says at opening is not of its form. */
    public class FaultyOption(code: String, detail: String) : LandfallException(code, detail)

    /** `LF2107`: the file belongs to another account. */
    public class OtherAccount(code: String, detail: String) : LandfallException(code, detail)

    /** `LF22xx`: the file cannot be opened, read or written. */
    public class File(code: String, detail: String) : LandfallException(code, detail)

    /** A code that this version has no class for. */
    public class Other(code: String, detail: String) : LandfallException(code, detail)
}

internal fun typed(error: CallException): LandfallException {
    val failed = error as CallException.Failed
    val (code, detail) = failed.code to failed.detail
    return when {
        code.startsWith("LF20") || code == "LF2121" ->
            LandfallException.RefusedWrite(code, detail, failed.edit?.toInt(), failed.field)
        code == "LF2101" -> LandfallException.FaultySchema(code, detail)
        code in setOf("LF2102", "LF2103", "LF2120") -> LandfallException.FaultyQuery(code, detail)
        code == "LF2104" -> LandfallException.Closed(code, detail)
        code == "LF2106" -> LandfallException.NotSettled(code, detail)
        code == "LF2109" -> LandfallException.Unsent(code, detail)
        code == "LF2110" -> LandfallException.AccountFile(code, detail)
        code == "LF2113" -> LandfallException.RescueDocument(code, detail)
        code == "LF2114" -> LandfallException.AccountName(code, detail)
        code.startsWith("LF23") || code == "LF2140" -> LandfallException.FaultyOption(code, detail)
        code == "LF2107" -> LandfallException.OtherAccount(code, detail)
        code.startsWith("LF22") -> LandfallException.File(code, detail)
        else -> LandfallException.Other(code, detail)
    }
}
