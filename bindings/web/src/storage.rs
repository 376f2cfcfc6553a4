//! Where the file lies: in the origin's private file system, or in memory.

use crate::convert::failure;
use js_sys::Error;
use sqlite_wasm_rs::WasmOsCallback;
use sqlite_wasm_vfs::sahpool::{OpfsSAHPoolCfgBuilder, OpfsSAHPoolUtil, install};
use std::path::PathBuf;

/// The name of the database in its folder.
const FILE: &str = "landfall.db";

/// Files that a database has at a time: itself, its journal, and some to spare.
const FILES: usize = 4;

/// The folder's lock is held by another worker, or the browser has no such files.
const NO_STORAGE: &str = "LF2201";

/// A place that this worker alone has, until it ends or [`Place::leave`].
#[derive(Default)]
pub struct Place {
    pool: Option<OpfsSAHPoolUtil>,
}

impl Place {
    /// Take the folder of this name. Fails while another worker has it.
    pub async fn take(folder: &str) -> Result<Self, Error> {
        let pool = OpfsSAHPoolCfgBuilder::new()
            .directory(&format!("landfall/{folder}"))
            .initial_capacity(FILES)
            .build();
        match install::<WasmOsCallback>(&pool, true).await {
            Ok(pool) => Ok(Self { pool: Some(pool) }),
            Err(error) => Err(failure(
                NO_STORAGE,
                &format!("The browser's file system could not be used: {error}."),
            )),
        }
    }

    /// Nothing is kept: for tests, and for browsers in a private mode.
    pub fn in_memory() -> Self {
        Self::default()
    }

    pub fn file(&self) -> PathBuf {
        PathBuf::from(format!("/{FILE}"))
    }

    /// Let go of the folder; the file is closed.
    pub fn leave(&self) {
        if let Some(pool) = &self.pool {
            // What fails here is let go of with the worker.
            let _ = pool.pause();
        }
    }
}
