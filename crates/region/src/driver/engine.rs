//! Store and node, opened, used and closed together.

use crate::server::ServerConfig;
use crate::status::Counters;
use crate::store::marker::{MarkerFile, Verdict};
use crate::store::{self, Database, Options};
use landfall_model::schema::Schema;
use landfall_sync::region::Config;
use landfall_sync::region::node::{Node, Output};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

/// The store's file in the data directory.
const STORE_FILE: &str = "region.db";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the data directory cannot be used")]
    Directory(#[source] std::io::Error),
    #[error("the store cannot be opened")]
    Open(#[from] store::OpenError),
    #[error("the store failed")]
    Store(#[from] store::Error),
    #[error("the marker cannot be written")]
    Marker(#[source] std::io::Error),
    #[error("the region's code panicked")]
    Panicked,
}

#[derive(Debug)]
pub struct Engine {
    database: Database,
    marker: MarkerFile,
    /// The life that the marker names.
    marked_life: u64,
    pub node: Node,
}

impl Engine {
    pub fn open(config: &ServerConfig, schema: &Arc<Schema>) -> Result<Self, Error> {
        std::fs::create_dir_all(&config.data_dir).map_err(Error::Directory)?;
        std::fs::create_dir_all(&config.marker_dir).map_err(Error::Directory)?;
        let path = config.data_dir.join(STORE_FILE);
        let mut database = Database::open(&path, &Options::default())?;
        let marker = MarkerFile::new(&config.marker_dir, config.region);
        let facts = database.facts(&config.host)?;
        if let Some(known) = facts.identity.filter(|known| known.region != config.region) {
            // Under another number its logs would be those of that region, and end them.
            let (found, wanted) = (known.region.0, config.region.0);
            return Err(store::OpenError::OfAnother { found, wanted }.into());
        }
        let verdict = marker.judge(&facts);
        if let Verdict::Different { why } = &verdict {
            tracing::info!(%why, "a new life begins");
        }
        database.begin()?;
        let mut node = Node::open(
            &mut database,
            node_config(config),
            Arc::clone(schema),
            Box::new(config.keys.clone()),
            // The driver puts a fresh one into each greeting.
            String::new(),
            verdict == Verdict::Same,
            config.clock.now_ms(),
        )?;
        database.commit()?;
        node.set_directory(config.directory.clone());
        let mut engine = Self { database, marker, marked_life: 0, node };
        engine.mark(config)?;
        Ok(engine)
    }

    /// Everything that is queued, in one transaction, on disk when this returns.
    pub fn turn(&mut self, now_ms: i64, counters: &Counters) -> Result<Output, Error> {
        self.database.begin()?;
        let (node, database) = (&mut self.node, &mut self.database);
        // The caller drops node and store on any error, so what a panic left is never seen.
        let worked = catch_unwind(AssertUnwindSafe(|| node.work(database, now_ms)));
        let out = worked.map_err(|_| Error::Panicked)??;
        let began = Instant::now();
        // A transaction that changed nothing costs nothing to commit.
        self.database.commit()?;
        if out.wrote {
            counters.commits.add(1);
            counters.commit_us.add(began.elapsed().as_micros() as u64);
        }
        Ok(out)
    }

    /// True if the marker is old enough to be rewritten.
    pub fn mark_due(&self, now_ms: i64) -> bool {
        self.marker.due(now_ms)
    }

    /// True if the node began a new life since the marker was written.
    pub fn new_life(&self) -> bool {
        self.marked_life != self.node.incarnation()
    }

    /// Rewrite the marker. Between transactions only: it must not run ahead of the disk.
    pub fn mark(&mut self, config: &ServerConfig) -> Result<(), Error> {
        let facts = self.database.facts(&config.host)?;
        self.marker.write(&facts, config.clock.now_ms()).map_err(Error::Marker)?;
        self.marked_life = self.node.incarnation();
        Ok(())
    }

    pub fn close(mut self, config: &ServerConfig) -> Result<(), Error> {
        self.mark(config)?;
        Ok(self.database.close()?)
    }
}

fn node_config(config: &ServerConfig) -> Config {
    let peers = config.peers.iter().map(|p| p.region);
    Config {
        region: config.region,
        placement: config.placement,
        regions: peers.chain([config.region]).collect(),
        lost: config.lost.clone(),
        copies: config.copies,
    }
}
