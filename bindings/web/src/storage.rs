//! Where the file lies: in the origin's private file system, or in memory.

use crate::convert::failure;
use js_sys::Error;
use sqlite_wasm_rs::WasmOsCallback;
use sqlite_wasm_rs::vfs::VfsFilesManager;
use sqlite_wasm_rs::vfs::transfer::DbTransfer;
use sqlite_wasm_vfs::sahpool::{OpfsSAHPoolCfgBuilder, OpfsSAHPoolUtil, install};
use std::fmt::Display;
use std::path::PathBuf;

/// The name of the database in its folder.
const FILE: &str = "/landfall.db";

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
    /// Take the folder of this name; what is opened next lies there. Fails while another worker has
    /// it.
    pub async fn take(folder: &str) -> Result<Self, Error> {
        let pool = OpfsSAHPoolCfgBuilder::new()
            .vfs_name(&format!("landfall-{folder}"))
            .directory(&format!("landfall/{folder}"))
            .initial_capacity(FILES)
            .build();
        let pool = install::<WasmOsCallback>(&pool, true).await.map_err(unusable)?;
        // This worker may have had it before, and left it.
        pool.resume().await.map_err(unusable)?;
        Ok(Self { pool: Some(pool) })
    }

    /// Nothing is kept: for tests, and for browsers in a private mode.
    pub fn in_memory() -> Self {
        Self::default()
    }

    pub fn file(&self) -> PathBuf {
        PathBuf::from(FILE)
    }

    /// Whether there is a database.
    pub fn is_used(&self) -> Result<bool, Error> {
        match &self.pool {
            Some(pool) => pool.contains(FILE).map_err(unusable),
            None => Ok(false),
        }
    }

    /// The database's bytes, whatever state they are in.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        if !self.is_used()? {
            return Err(failure(NO_STORAGE, "There is no file of this name."));
        }
        let pool = self.pool.as_ref().expect("only what is in a folder is used");
        pool.export_db(FILE).map_err(unusable)
    }

    /// Copy a database that nobody has open to a place that has none. It is there whole or not at
    /// all.
    pub fn copy_to(&self, other: &Self) -> Result<(), Error> {
        let (Some(from), Some(to)) = (&self.pool, &other.pool) else { return Ok(()) };
        // Closed, the journal is empty; a copy is only taken without one.
        let journal = format!("{FILE}-journal");
        if from.contains(&journal).map_err(unusable)? {
            from.remove(&journal).map_err(unusable)?;
        }
        let bytes = from.export_db(FILE).map_err(unusable)?;
        to.import_db(FILE, &bytes).map_err(unusable)
    }

    /// Let go of the folder; the file is closed.
    pub fn leave(&self) {
        if let Some(pool) = &self.pool {
            // What fails here is let go of with the worker.
            let _ = pool.pause();
        }
    }
}

fn unusable(error: impl Display) -> Error {
    failure(NO_STORAGE, &format!("The browser's file system could not be used: {error}."))
}
