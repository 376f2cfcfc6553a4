//! The targets under libFuzzer: `LANDFALL_FUZZ_TARGET` names one, the rest are libFuzzer's own
//! arguments. Started by `fuzz/run`, which builds it so that libFuzzer sees which code was reached.
#![no_main]

use landfall_fuzz::Target;
use std::sync::OnceLock;

static TARGET: OnceLock<&Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(init: {
    let name = std::env::var("LANDFALL_FUZZ_TARGET").unwrap_or_default();
    let target = Target::named(&name);
    let target = target.unwrap_or_else(|| panic!("LANDFALL_FUZZ_TARGET names no target: {name:?}"));
    TARGET.get_or_init(|| target);
    // libFuzzer's hook ends the process at every panic. Some are caught by the code under test, as
    // those of the library of texts, and are no fault; the others end it behind the target.
    std::panic::set_hook(Box::new(landfall_fuzz::note_panic));
}, |bytes: &[u8]| {
    let target = TARGET.get().expect("set before the first input");
    landfall_fuzz::guarded(target, bytes);
});
