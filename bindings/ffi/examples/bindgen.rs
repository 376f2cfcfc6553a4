//! Writes the foreign halves of this crate from its compiled library:
//! `bindgen generate LIBRARY --language kotlin --out-dir DIR`.
//!
//! The Kotlin is changed in two respects. Each call makes a status, a JNA structure with another
//! one within; a structure finds its fields by reflection and has memory of its own that a cleaner
//! frees. That cost most of what a call does, so here a thread keeps its status from call to call,
//! and structures over memory that is there already take none of their own. And the library's threads
//! are daemons to the JVM when they call back: otherwise a program that ends without closing its
//! client never would.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// What the generator writes, and what stands there instead.
const CHANGES: &[(&str, &str)] = &[
    (
        "        Native.register(UniffiLib::class.java, findLibraryName(componentName = \"landfall\"))\n",
        "        Native.register(UniffiLib::class.java, findLibraryName(componentName = \"landfall\"))
        val callbacks = listOf<Callback>(
            uniffiRustFutureContinuationCallbackImpl,
            uniffiCallbackInterfaceTokenProvider.token,
            uniffiCallbackInterfaceTokenProvider.uniffiFree,
            uniffiCallbackInterfaceTokenProvider.uniffiClone,
            uniffiCallbackInterfaceWatchListener.updated,
            uniffiCallbackInterfaceWatchListener.failed,
            uniffiCallbackInterfaceWatchListener.ended,
            uniffiCallbackInterfaceWatchListener.uniffiFree,
            uniffiCallbackInterfaceWatchListener.uniffiClone,
        )
        val daemon = com.sun.jna.CallbackThreadInitializer(true, false, \"landfall\")
        callbacks.forEach { Native.setCallbackThreadInitializer(it, daemon) }
",
    ),
    (
        "internal open class UniffiRustCallStatus : Structure() {\n",
        "internal open class UniffiRustCallStatus : Structure {
    constructor() : super()
    constructor(memory: Pointer?) : super(memory)

",
    ),
    // The structure makes it within its own memory.
    (
        "    @JvmField var error_buf: RustBuffer.ByValue = RustBuffer.ByValue()\n",
        "    lateinit var error_buf: RustBuffer.ByValue\n",
    ),
    (
        "    var status = UniffiRustCallStatus()
    val return_value = callback(status)
    uniffiCheckCallStatus(errorHandler, status)
    return return_value
}
",
        "    val status = KeptStatus.take()
    val return_value = callback(status)
    uniffiCheckCallStatus(errorHandler, status)
    KeptStatus.give(status)
    return return_value
}

/** Statuses of a thread's calls that succeeded, for its next ones. A call within a call has another. */
private object KeptStatus {
    private val kept = ThreadLocal.withInitial { ArrayDeque<UniffiRustCallStatus>() }

    fun take(): UniffiRustCallStatus = kept.get().removeLastOrNull() ?: UniffiRustCallStatus()

    fun give(status: UniffiRustCallStatus) = kept.get().addLast(status)
}
",
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    uniffi::uniffi_bindgen_main();
    let args: Vec<String> = std::env::args().collect();
    let after = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1));
    if let (Some("kotlin"), Some(dir)) =
        (after("--language").map(String::as_str), after("--out-dir"))
    {
        change(&Path::new(dir).join("landfall").join("landfall.kt"))?;
    }
    Ok(())
}

fn change(file: &PathBuf) -> Result<(), Box<dyn Error>> {
    let mut text = fs::read_to_string(file)?;
    for (from, to) in CHANGES {
        if text.matches(from).count() != 1 {
            return Err(format!("{}: once was expected: {from}", file.display()).into());
        }
        text = text.replacen(from, to, 1);
    }
    fs::write(file, text)?;
    Ok(())
}
