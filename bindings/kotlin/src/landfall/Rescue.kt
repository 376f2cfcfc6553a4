package landfall

import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/**
 * What could be read of a damaged file; [Landfall.rescue] reads it. A new file of the account takes
 * the writes in, each once ([Landfall.takeIn]): directly, or by way of a document that was saved
 * meanwhile.
 */
public class Rescue internal constructor(
    internal val native: RescuedWrites,
    private val io: CoroutineDispatcher,
) : AutoCloseable {
    /** What was read and what was not. */
    public val report: RescueReport get() = native.report()

    /** The account whose file it was, if that could be read. */
    public val account: Account? get() = native.account()

    /** Save it as a document, which has the user's data in it. Nothing stands at [path] yet. */
    public suspend fun save(path: String): Unit = withContext(io) { calling { native.save(path) } }

    override fun close(): Unit = native.close()

    public companion object {
        /** Read a document. Fails with [LandfallException.RescueDocument] if it is none, or not whole. */
        public suspend fun load(path: String, io: CoroutineDispatcher = Dispatchers.IO): Rescue =
            withContext(io) { calling { Rescue(RescuedWrites.load(path), io) } }
    }
}
