//! What is done with bytes from strangers, one function per decoder, for machines to look for the
//! bytes that break it.
//!
//! A [`Target`] takes any bytes and returns; that it panics, does not return, or takes much memory
//! is a fault of the code that it calls. It knows nothing of who makes the bytes up. Two do: the
//! test `tests/it`, which is part of every `cargo test`, runs the inputs that are kept in
//! `corpus/` and a fixed number of changes to them; and the binary `fuzz` has libFuzzer look for
//! inputs that reach code which no other has reached (`fuzz/run`).
//!
//! Each target also writes valid inputs of its own ([`Target::seeds`]), with the encoders of the
//! crates that it tests, so the corpus can be made again when a format gains something.

mod codec;
mod device;
mod files;
mod forms;
mod frames;
mod ops;
mod region;
mod schema;
mod store;
mod text;
mod token;
mod world;

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::io::Write;
use std::panic::{PanicHookInfo, catch_unwind, resume_unwind};

/// One decoder, or one door that strangers' bytes come in by.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Also the name of its folder in `corpus/`.
    pub name: &'static str,
    /// Panics if what should hold does not.
    pub run: fn(&[u8]),
    /// Valid inputs, each with a name.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
    /// Longer inputs are not tried: they would say the same more slowly.
    pub bytes_max: usize,
    /// What one input may have allocated at a time, in bytes.
    pub memory_max: usize,
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// All of them.
pub const TARGETS: &[Target] = &[
    target("op", ops::op, ops::op_seeds, 2 * KIB),
    target("history", ops::history, ops::history_seeds, 4 * KIB),
    target("entity", codec::entity, codec::entity_seeds, 2 * KIB),
    target("codec", codec::any, codec::seeds, KIB),
    target("text", text::document, text::document_seeds, 4 * KIB),
    target("blob", text::blob, text::blob_seeds, 2 * KIB),
    Target {
        // A small frame may be a large message.
        memory_max: frames::MEMORY_MAX,
        ..target("frame", frames::run, frames::seeds, 4 * KIB)
    },
    target("region", region::run, region::seeds, 4 * KIB),
    target("device", device::run, device::seeds, 4 * KIB),
    target("schema", schema::run, schema::seeds, 2 * KIB),
    target("sql", store::sql, store::sql_seeds, 256),
    target("search", store::search, store::search_seeds, 128),
    target("token", token::run, token::seeds, KIB),
    target("forms", forms::run, forms::seeds, 256),
    target("rescue", files::run, files::seeds, 8 * KIB),
];

const fn target(
    name: &'static str,
    run: fn(&[u8]),
    seeds: fn() -> Vec<(String, Vec<u8>)>,
    bytes_max: usize,
) -> Target {
    Target { name, run, seeds, bytes_max, memory_max: 64 * MIB }
}

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}

thread_local! {
    /// What the last panic said, and where.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A panic hook that only takes note: what is caught and handled is nobody's business.
pub fn note_panic(panic: &PanicHookInfo<'_>) {
    let said = format!("{panic}\n{}", Backtrace::force_capture());
    LAST.with(|last| *last.borrow_mut() = said);
}

/// Run a target; a panic that comes out of it is told before it goes on.
pub fn guarded(target: &Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(|| (target.run)(input)) {
        LAST.with(|last| {
            let _ = writeln!(std::io::stderr(), "{}: {}", target.name, last.borrow());
        });
        resume_unwind(panic);
    }
}
