//! What `landfall dev` leaves in its directory for the other commands: the schema that it runs and
//! where its regions are. It stays when the world stops: a phone works without regions, too.

use crate::fault::{self, code};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::Path;

const FILE: &str = "world.json";

/// A world of this machine, running or not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Description {
    /// The status page.
    pub page: String,
    pub regions: Vec<Region>,
    /// The text of the schema.
    pub schema: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Region {
    pub name: String,
    pub url: String,
}

impl Description {
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let path = dir.join(FILE);
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|_| {
            let path = path.display();
            let message =
                format!("{path} is not there; `landfall dev` makes it (--dir names another place)");
            fault::new(code::NO_WORLD, message)
        })?;
        serde_json::from_str(&text).map_err(|_| {
            let message = format!("{} is damaged; start `landfall dev` again", path.display());
            fault::new(code::NO_WORLD, message)
        })
    }
}
