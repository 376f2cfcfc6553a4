//! The side tables, by version of the file's format.
//!
//! Each migration brings a file from the version before to its own; a file is brought up to date
//! in one transaction, so a crash leaves it at the version that it had. A migration that shipped
//! is never changed. The typed tables are not here: they follow the app's schema
//! ([`super::tables`]), not this crate's versions.
//!
//! Entity keys are the columns (home, kind, id), dots the columns (device, seq); the rest of a row
//! that is never searched is canonical bytes.

use super::error::Error;
use rusqlite::Connection;

/// "LaFa", in the header of every file that this crate makes.
pub(super) const APPLICATION_ID: i32 = 0x4c61_4661;

/// The format that this build writes, kept in the header as `user_version`.
pub(super) const VERSION: i32 = MIGRATIONS.len() as i32;

const MIGRATIONS: &[&str] = &[V1, V2, V3, V4, V5, V6, V7];

/// Bring a file from version `from` to [`VERSION`]. Within a transaction.
pub(super) fn upgrade(conn: &Connection, from: i32) -> Result<(), Error> {
    migrate(conn, usize::try_from(from).expect("the version was checked at opening"))?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}

/// Go through the migrations from a version on.
pub(super) fn migrate(conn: &Connection, from: usize) -> Result<(), Error> {
    Ok(MIGRATIONS[from..].iter().try_for_each(|sql| conn.execute_batch(sql))?)
}

const V1: &str = "
CREATE TABLE _lf_fact (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE _lf_meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  device BLOB NOT NULL, last_seq INTEGER NOT NULL, sent_seq INTEGER NOT NULL,
  clock INTEGER NOT NULL, read INTEGER NOT NULL, offset_ms INTEGER NOT NULL,
  former BLOB NOT NULL, last_order INTEGER NOT NULL);

-- Rows are too wide for a table that is its own index.
CREATE TABLE _lf_base (
  home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL,
  holds BLOB NOT NULL, touch BLOB NOT NULL, state BLOB NOT NULL,
  PRIMARY KEY (home, kind, id));
CREATE INDEX _lf_base_by_name ON _lf_base (kind, id, home);
CREATE TABLE _lf_hold (
  scope TEXT NOT NULL, home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (scope, home, kind, id)) WITHOUT ROWID;
CREATE TABLE _lf_text (
  home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL, field INTEGER NOT NULL,
  document BLOB NOT NULL,
  PRIMARY KEY (home, kind, id, field));
CREATE TABLE _lf_text_mark (
  home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL, field INTEGER NOT NULL,
  births BLOB NOT NULL, version BLOB NOT NULL,
  PRIMARY KEY (home, kind, id, field)) WITHOUT ROWID;
CREATE TABLE _lf_child (
  parent_home TEXT NOT NULL, parent_kind INTEGER NOT NULL, parent_id TEXT NOT NULL,
  home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (parent_home, parent_kind, parent_id, home, kind, id)) WITHOUT ROWID;

-- States: 0 unsent, 1 sent, 2 accepted, 3 durable, 4 rejected. Up to 2 an op is in the outbox.
CREATE TABLE _lf_op (
  device BLOB NOT NULL, seq INTEGER NOT NULL, place INTEGER NOT NULL,
  home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL,
  state INTEGER NOT NULL, about BLOB, overlay INTEGER NOT NULL, payload BLOB NOT NULL,
  PRIMARY KEY (device, seq));
CREATE INDEX _lf_op_by_name ON _lf_op (kind, id, home, place);
CREATE INDEX _lf_op_in_outbox ON _lf_op (place, device, seq) WHERE state <= 2;
CREATE INDEX _lf_op_settled ON _lf_op (place, device, seq) WHERE state > 2;
CREATE TABLE _lf_void (
  device BLOB NOT NULL, seq INTEGER NOT NULL, place INTEGER NOT NULL,
  state INTEGER NOT NULL, about BLOB, overlay INTEGER NOT NULL, payload BLOB NOT NULL,
  PRIMARY KEY (device, seq));
CREATE TABLE _lf_unconfirmed (
  device BLOB NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (device, seq)) WITHOUT ROWID;
CREATE TABLE _lf_birth (
  home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL,
  device BLOB NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (home, kind, id)) WITHOUT ROWID;

CREATE TABLE _lf_subscription (
  scope TEXT PRIMARY KEY, cursor BLOB NOT NULL, pass BLOB, provisional BLOB,
  loading INTEGER NOT NULL, rows_taken INTEGER NOT NULL, rows_total INTEGER NOT NULL,
  denied TEXT);
CREATE TABLE _lf_refetch (
  scope TEXT NOT NULL, home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (scope, home, kind, id)) WITHOUT ROWID;
CREATE TABLE _lf_removed (
  scope TEXT NOT NULL, home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL,
  touch BLOB NOT NULL,
  PRIMARY KEY (scope, home, kind, id)) WITHOUT ROWID;
CREATE TABLE _lf_cut (
  region INTEGER NOT NULL, incarnation INTEGER NOT NULL, stream INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (region, incarnation, stream)) WITHOUT ROWID;

-- `what` tells the outcomes of one op apart, `field` the overwritten fields of one op.
CREATE TABLE _lf_outcome (
  device BLOB NOT NULL, seq INTEGER NOT NULL, what INTEGER NOT NULL, field INTEGER NOT NULL,
  home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL, about BLOB,
  PRIMARY KEY (device, seq, what, field));

-- What the typed tables are called and hold now, by the numbers that renames keep.
CREATE TABLE _lf_table (
  kind INTEGER PRIMARY KEY, name TEXT NOT NULL, shape BLOB NOT NULL, stale INTEGER NOT NULL);
CREATE TABLE _lf_column (
  kind INTEGER NOT NULL, field INTEGER NOT NULL, name TEXT NOT NULL, storage TEXT NOT NULL,
  PRIMARY KEY (kind, field)) WITHOUT ROWID;

CREATE TABLE _lf_lease (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  holder TEXT NOT NULL, expires_ms INTEGER NOT NULL, beat INTEGER NOT NULL);
";

/// The print stands before the document: who wants to know it does not read the document. Those that
/// are there have 0 until they are written anew, which tells them apart from all that come after.
const V2: &str = "
CREATE TABLE _lf_text_new (
  home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL, field INTEGER NOT NULL,
  print INTEGER NOT NULL, document BLOB NOT NULL,
  PRIMARY KEY (home, kind, id, field));
INSERT INTO _lf_text_new (home, kind, id, field, print, document)
  SELECT home, kind, id, field, 0, document FROM _lf_text;
DROP TABLE _lf_text;
ALTER TABLE _lf_text_new RENAME TO _lf_text;
";

/// Subscriptions that hold a part of their scope. Those that are there hold all of it.
const V3: &str = "
ALTER TABLE _lf_subscription ADD COLUMN keep_ms INTEGER;
ALTER TABLE _lf_subscription ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE _lf_subscription ADD COLUMN rows_max INTEGER;
ALTER TABLE _lf_subscription ADD COLUMN bytes_max INTEGER;
ALTER TABLE _lf_subscription ADD COLUMN ttl_ms INTEGER;
ALTER TABLE _lf_subscription ADD COLUMN asked_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE _lf_subscription ADD COLUMN synced_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE _lf_subscription ADD COLUMN short INTEGER NOT NULL DEFAULT 0;
CREATE TABLE _lf_pin (
  home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (home, kind, id)) WITHOUT ROWID;
";

/// What rows were last shown with: a reference of theirs, and whether it showed NULL because the
/// entity was deleted.
const V4: &str = "
CREATE TABLE _lf_reference (
  kind INTEGER NOT NULL, id TEXT NOT NULL, gone INTEGER NOT NULL,
  of_home TEXT NOT NULL, of_kind INTEGER NOT NULL, of_id TEXT NOT NULL, field INTEGER NOT NULL,
  PRIMARY KEY (kind, id, gone, of_home, of_kind, of_id, field)) WITHOUT ROWID;
CREATE INDEX _lf_reference_by_row ON _lf_reference (of_home, of_kind, of_id);
";

/// The fingerprint of an op's payload, so that one that was damaged in place is known for what it
/// is; those that are there have none until they are written anew. And deletions that can be undone,
/// the latest with the highest rowid.
const V5: &str = "
ALTER TABLE _lf_op ADD COLUMN print BLOB;
CREATE TABLE _lf_deletion (
  at INTEGER PRIMARY KEY AUTOINCREMENT,
  home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL, about BLOB NOT NULL,
  UNIQUE (home, kind, id));
";

const V6: &str = "
CREATE TABLE _lf_typed (
  n INTEGER PRIMARY KEY,
  home TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL, field INTEGER NOT NULL,
  bytes BLOB NOT NULL);
";

/// From here on, rows that their home scope alone holds have nothing in `_lf_hold`, and an empty
/// `holds`. Those that are there stay as they are, which is read the same.
const V7: &str = "";
