//! How much memory an input takes: an allocator that counts what a thread has at a time.
#![expect(unsafe_code, reason = "an allocator is unsafe to write; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// What this thread has, and the most that it has had. Bytes that one thread allocates and
    /// another frees would move both; targets use one thread.
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counted.
pub struct Counting;

fn count(bytes: isize) {
    // A thread that ends may have no counts any more.
    let _ = NOW.try_with(|now| {
        now.set(now.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now.get())));
    });
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(at, layout) }
    }
}

/// What this thread has now, from where on its peak is measured.
pub fn begin() -> isize {
    let now = NOW.get();
    PEAK.set(now);
    now
}

/// The most that this thread has had beyond what it had at the beginning.
pub fn peak_since(begin: isize) -> usize {
    usize::try_from(PEAK.get() - begin).unwrap_or(0)
}
