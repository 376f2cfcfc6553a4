//! The marker: a small file outside of the backup set that shows that a store is the one last
//! written.
//!
//! A region whose store goes back in time gives numbers a second time, and readers that have
//! consumed the first ones never see the second. So a region starts a new incarnation unless it can
//! show that its store continues where it stopped. The store alone cannot show that: an older copy
//! of it looks as sound as it did then. The marker says on which host, in which file, in which life
//! and behind how many commits the store was last seen. The driver reads it at each start, before
//! the first write ([`MarkerFile::judge`]), and rewrites it at the start, at each clean end, and
//! every [`MARKER_EVERY_MS`] in between ([`MarkerFile::due`]). It is written after the commits that
//! it counts are durable, so a crash never leaves a marker that is ahead of its store.
//!
//! **What it detects:** a store copied or moved to another host, disk or file; a backup restored
//! in the place of the store or over its bytes; a store that lost commits which it had reported as
//! durable (a disk that lied, a write-ahead log that was left behind); a store that lived another
//! life meanwhile; a marker that is missing or unreadable.
//!
//! **What it does not detect:** a rollback that takes the marker along, such as a snapshot of the
//! whole machine (therefore: keep it on another disk than the store); and a restore, over the
//! store's own bytes, of a copy that is younger than the marker, so at most [`MARKER_EVERY_MS`] old.
//! For both there is a second line of defence: a peer's position, or a device's cursor, above the
//! head of a log of ours shows that the head went back, and starts a new incarnation too.
//!
//! A wrong alarm costs an incarnation and no data. It follows from a move of the file, and from
//! numbers of disks that change with a restart.

use landfall_model::id::RegionId;
use landfall_sync::region::store::Identity;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// How old the marker's count may become, in milliseconds.
pub const MARKER_EVERY_MS: i64 = 10_000;

/// Which file a path led to when the store was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileIdentity {
    pub device: u64,
    pub inode: u64,
}

impl FileIdentity {
    #[cfg(unix)]
    pub fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }

    /// Files have no such number here: host, life and commits must do.
    #[cfg(not(unix))]
    pub fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|_| Self { device: 0, inode: 0 })
    }
}

/// The store as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// A name of the machine that no other machine has, and that survives a restart.
    pub host: String,
    pub file: FileIdentity,
    pub identity: Option<Identity>,
    /// Durable commits that changed something, since the store was made.
    pub commits: u64,
}

/// The store as it was when the marker was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Marker {
    pub host: String,
    pub file: FileIdentity,
    /// Region and incarnation, once the store belongs to somebody.
    pub life: Option<(u16, u64)>,
    pub commits: u64,
}

impl Marker {
    pub fn of(facts: &Facts) -> Self {
        let Facts { host, file, identity, commits } = facts;
        Self { host: host.clone(), file: *file, life: life(*identity), commits: *commits }
    }
}

fn life(identity: Option<Identity>) -> Option<(u16, u64)> {
    identity.map(|i| (i.region.0, i.incarnation))
}

/// May the region go on where its store stops?
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Same,
    /// It must start a new incarnation.
    Different {
        why: Why,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Why {
    #[error("there is no marker")]
    NoMarker,
    #[error("the marker cannot be read: {0}")]
    Unreadable(String),
    #[error("the store was last written on another host")]
    OtherHost,
    #[error("the store is another file than the one last written")]
    OtherFile,
    #[error("the store is in another life than the one last written")]
    OtherLife,
    #[error("the store has {store} commits; {marker} were durable")]
    Older { store: u64, marker: u64 },
}

/// Hold the store against its marker.
pub fn verdict(marker: Option<&Marker>, facts: &Facts) -> Verdict {
    let why = match marker {
        None => Why::NoMarker,
        Some(m) if m.host != facts.host => Why::OtherHost,
        Some(m) if m.file != facts.file => Why::OtherFile,
        Some(m) if m.life != life(facts.identity) => Why::OtherLife,
        Some(m) if facts.commits < m.commits => {
            Why::Older { store: facts.commits, marker: m.commits }
        }
        Some(_) => return Verdict::Same,
    };
    Verdict::Different { why }
}

/// Where the marker is kept, and when it was written last.
#[derive(Clone, Debug)]
pub struct MarkerFile {
    path: PathBuf,
    written_ms: Option<i64>,
}

impl MarkerFile {
    /// The marker of a region, in a directory that is on another disk than the store and in no
    /// backup.
    pub fn new(directory: &Path, region: RegionId) -> Self {
        let path = directory.join(format!("region-{}.marker.json", region.0));
        Self { path, written_ms: None }
    }

    /// To be called before the store is written to.
    pub fn judge(&self, facts: &Facts) -> Verdict {
        match self.read() {
            Ok(marker) => verdict(marker.as_ref(), facts),
            Err(error) => Verdict::Different { why: Why::Unreadable(error.to_string()) },
        }
    }

    fn read(&self) -> io::Result<Option<Marker>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// True if the marker is old enough to be written again. `now_ms` may go back.
    pub fn due(&self, now_ms: i64) -> bool {
        self.written_ms.is_none_or(|at| now_ms.abs_diff(at) >= MARKER_EVERY_MS as u64)
    }

    /// Replace the marker; durable when this returns, and whole whatever happens meanwhile.
    pub fn write(&mut self, facts: &Facts, now_ms: i64) -> io::Result<()> {
        let draft = self.path.with_extension("json.new");
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(&Marker::of(facts))?)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        self.written_ms = Some(now_ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            host: "a".into(),
            file: FileIdentity { device: 1, inode: 2 },
            identity: Some(Identity { region: RegionId(3), incarnation: 4 }),
            commits: 5,
        }
    }

    #[test]
    fn only_what_goes_on_is_the_same() {
        let marker = Marker::of(&facts());
        let check = |facts: Facts, expected: Option<Why>| {
            let expected = expected.map_or(Verdict::Same, |why| Verdict::Different { why });
            assert_eq!(verdict(Some(&marker), &facts), expected);
        };
        check(facts(), None);
        check(Facts { commits: 6, ..facts() }, None);
        check(Facts { commits: 4, ..facts() }, Some(Why::Older { store: 4, marker: 5 }));
        check(Facts { host: "b".into(), ..facts() }, Some(Why::OtherHost));
        let other_disk = FileIdentity { device: 9, inode: 2 };
        check(Facts { file: other_disk, ..facts() }, Some(Why::OtherFile));
        let other_file = FileIdentity { device: 1, inode: 9 };
        check(Facts { file: other_file, ..facts() }, Some(Why::OtherFile));
        let other_life = Identity { region: RegionId(3), incarnation: 9 };
        check(Facts { identity: Some(other_life), ..facts() }, Some(Why::OtherLife));
        check(Facts { identity: None, ..facts() }, Some(Why::OtherLife));
        assert_eq!(verdict(None, &facts()), Verdict::Different { why: Why::NoMarker });
    }

    #[test]
    fn what_is_written_is_read_and_what_is_torn_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = MarkerFile::new(directory.path(), RegionId(3));
        assert_eq!(file.judge(&facts()), Verdict::Different { why: Why::NoMarker });
        assert!(file.due(0));
        file.write(&facts(), 1_000).unwrap();
        assert_eq!(file.judge(&facts()), Verdict::Same);
        assert!(!file.due(1_000 + MARKER_EVERY_MS - 1));
        assert!(file.due(1_000 + MARKER_EVERY_MS));
        assert!(file.due(1_000 - MARKER_EVERY_MS), "a clock that went back");
        let path = directory.path().join("region-3.marker.json");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let torn = file.judge(&facts());
        assert!(matches!(torn, Verdict::Different { why: Why::Unreadable(_) }), "{torn:?}");
    }
}
