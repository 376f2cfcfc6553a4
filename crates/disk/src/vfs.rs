//! SQLite's file system with the disk in between.
//!
//! It is SQLite's own for this machine, of which the opening and the removal of files are replaced. A
//! file on a [`Disk`](crate::Disk) is opened by the one below, into the memory that SQLite gives for
//! it; then its table of functions is replaced by a copy of it, in which writing, shortening, syncing
//! and closing come here first. The copy, and what the disk knows of the file, stand behind the part
//! that the file system below uses. All else, locks and shared memory among it, is that one's alone.

#![allow(unsafe_code, reason = "SQLite's file systems are tables of C functions")]

use crate::{Handle, of, opened, removed};
use rusqlite::ffi;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

type Open = unsafe extern "C" fn(
    *mut ffi::sqlite3_vfs,
    *const c_char,
    *mut ffi::sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int;
type Delete = unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *const c_char, c_int) -> c_int;

const NAME: &CStr = c"landfall-disk";

/// Files that are on the disk; SQLite's temporary ones need not survive anything.
const KINDS: c_int =
    ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL;

/// Tables of this version have no functions that map a file into memory, past its writes.
const WITHOUT_MAPPING: c_int = 2;

/// The file system below.
#[derive(Debug)]
struct Below {
    vfs: *mut ffi::sqlite3_vfs,
    open: Open,
    delete: Delete,
    /// Where in a file's memory the part begins that the file system below does not use.
    ours_at: usize,
}

// SAFETY: it is written once and then only read; what it points to lives as long as the process, and
// SQLite itself calls it from all threads.
unsafe impl Send for Below {}
// SAFETY: as above.
unsafe impl Sync for Below {}

/// What stands behind the part of the file system below.
struct Ours {
    /// The file's table of functions.
    methods: ffi::sqlite3_io_methods,
    /// The one that the file system below has for it.
    below: *const ffi::sqlite3_io_methods,
    handle: Handle,
}

static BELOW: OnceLock<Below> = OnceLock::new();

/// Become the default file system of the process, once.
pub fn install() {
    BELOW.get_or_init(|| {
        // SAFETY: a null name asks for the default one, which is never freed.
        let below = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!below.is_null(), "SQLite has a file system");
        // SAFETY: it was just found, and nobody changes it after it was registered.
        let mut vfs = unsafe { std::ptr::read(below) };
        let (open, delete) = (vfs.xOpen.expect("it opens"), vfs.xDelete.expect("it removes"));
        let ours_at = (vfs.szOsFile as usize).next_multiple_of(align_of::<Ours>());
        vfs.szOsFile = (ours_at + size_of::<Ours>()) as c_int;
        vfs.zName = NAME.as_ptr();
        vfs.pNext = std::ptr::null_mut();
        vfs.xOpen = Some(x_open);
        vfs.xDelete = Some(x_delete);
        // SAFETY: it is given away for as long as the process lives, as SQLite asks.
        let registered = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1) };
        assert_eq!(registered, ffi::SQLITE_OK, "SQLite takes another file system");
        Below { vfs: below, open, delete, ours_at }
    });
}

fn below() -> &'static Below {
    BELOW.get().expect("only SQLite calls, and it knows of this after it was set")
}

/// # Safety
///
/// The name is null or a C string that is not changed meanwhile.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    // SAFETY: as the caller says.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })?;
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

/// # Safety
///
/// The file was opened by [`x_open`] on a disk, and is not closed.
unsafe fn ours<'a>(file: *mut ffi::sqlite3_file) -> &'a Ours {
    // SAFETY: `x_open` wrote it there, and it is moved out only when the file is closed.
    unsafe { &*file.byte_add(below().ours_at).cast::<Ours>() }
}

unsafe extern "C" fn x_open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let below = below();
    // SAFETY: SQLite gives a name that lives as long as the file, or null for a temporary one.
    let path = unsafe { path(name) }.filter(|_| flags & KINDS != 0);
    let disk = path.and_then(|path| Some((path, of(path)?)));
    if disk.as_ref().is_some_and(|(_, state)| crate::lock(state).off) {
        // SAFETY: the memory is that of a file; without a table it counts as not open.
        unsafe { (*file).pMethods = std::ptr::null() };
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: SQLite's own arguments, and memory that is larger than the one below asks for.
    let answer = unsafe { (below.open)(below.vfs, name, file, flags, out) };
    let Some((path, state)) = disk.filter(|_| answer == ffi::SQLITE_OK) else { return answer };
    // SAFETY: an opened file has a table that lives as long as the process. What follows the part of
    // the file system below is ours, large and aligned enough as `install` has set it up, and not
    // yet in use.
    unsafe {
        let table = (*file).pMethods;
        let mut methods = std::ptr::read(table);
        methods.iVersion = methods.iVersion.min(WITHOUT_MAPPING);
        methods.xClose = Some(x_close);
        methods.xWrite = Some(x_write);
        methods.xTruncate = Some(x_truncate);
        methods.xSync = Some(x_sync);
        let at = file.byte_add(below.ours_at).cast::<Ours>();
        at.write(Ours { methods, below: table, handle: opened(path, state) });
        (*file).pMethods = &raw const (*at).methods;
    }
    answer
}

unsafe extern "C" fn x_delete(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_names: c_int,
) -> c_int {
    let below = below();
    // SAFETY: SQLite gives a C string.
    let disk = unsafe { path(name) }.and_then(|path| Some((path, of(path)?)));
    if disk.is_some_and(|(path, state)| removed(path, &state, sync_names != 0).is_err()) {
        return ffi::SQLITE_IOERR_DELETE;
    }
    // SAFETY: SQLite's own arguments. The folder need not be synced really.
    unsafe { (below.delete)(below.vfs, name, 0) }
}

unsafe extern "C" fn x_close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once, so ours is moved out once; then the file is the one below's
    // again, with its own table.
    unsafe {
        let ours = file.byte_add(below().ours_at).cast::<Ours>().read();
        (*file).pMethods = ours.below;
        (*ours.below).xClose.map_or(ffi::SQLITE_OK, |close| close(file))
    }
}

unsafe extern "C" fn x_write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls it on open files of a disk, with as many bytes as it says.
    let (ours, written) =
        unsafe { (ours(file), std::slice::from_raw_parts(bytes.cast::<u8>(), count as usize)) };
    if ours.handle.write(offset as u64, written).is_err() {
        return ffi::SQLITE_IOERR_WRITE;
    }
    // SAFETY: SQLite's own arguments; the table below is for this file.
    unsafe { (*ours.below).xWrite.map_or(ffi::SQLITE_IOERR, |x| x(file, bytes, count, offset)) }
}

unsafe extern "C" fn x_truncate(file: *mut ffi::sqlite3_file, len: ffi::sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls it on open files of a disk.
    let ours = unsafe { ours(file) };
    if ours.handle.truncate(len as u64).is_err() {
        return ffi::SQLITE_IOERR_TRUNCATE;
    }
    // SAFETY: SQLite's own arguments; the table below is for this file.
    unsafe { (*ours.below).xTruncate.map_or(ffi::SQLITE_IOERR, |x| x(file, len)) }
}

/// The real file need not be synced: the test's loss of power is not the machine's.
unsafe extern "C" fn x_sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: SQLite calls it on open files of a disk.
    let ours = unsafe { ours(file) };
    match ours.handle.sync() {
        Ok(()) => ffi::SQLITE_OK,
        Err(_) => ffi::SQLITE_IOERR_FSYNC,
    }
}
