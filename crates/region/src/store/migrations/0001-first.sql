-- The first layout of a region's store.
--
-- Columns of type ANY hold unsigned 64-bit numbers: an INTEGER up to 2^63 - 1, above that eight
-- bytes big-endian, which SQLite sorts behind every INTEGER.

CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    region INTEGER,
    incarnation ANY,
    -- One more with every commit that changed something.
    commits INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, NULL, NULL, 0);

-- ---- names: long ones are written once and are numbers elsewhere ----

CREATE TABLE origin (
    id INTEGER PRIMARY KEY,
    region INTEGER NOT NULL,
    incarnation ANY NOT NULL,
    stream INTEGER NOT NULL,
    UNIQUE (region, incarnation, stream)
) STRICT;

CREATE TABLE scope (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- Entities that have an entry in it.
    entries INTEGER NOT NULL
) STRICT;

-- An entity that others refer to has a row before it arrives; it has arrived when `state` is there.
CREATE TABLE entity (
    id INTEGER PRIMARY KEY,
    -- Home scope, type and id, encoded so that bytes sort as they do.
    key BLOB NOT NULL UNIQUE,
    scopes BLOB,
    touch BLOB,
    state BLOB,
    -- What the entry of its home scope in the change index covers, per log; empty if that is what
    -- `touch` says, as it mostly is. An entity without it has no such entry.
    heard BLOB
) STRICT;

CREATE TABLE child (
    parent INTEGER NOT NULL,
    child INTEGER NOT NULL,
    PRIMARY KEY (parent, child)
) WITHOUT ROWID, STRICT;

-- ---- documents ----

CREATE TABLE text_part (
    id INTEGER PRIMARY KEY,
    entity INTEGER NOT NULL,
    field INTEGER NOT NULL,
    births BLOB NOT NULL,
    -- The touch vector that the snapshot covers.
    folded BLOB NOT NULL,
    snapshot BLOB,
    UNIQUE (entity, field, births)
) STRICT;

CREATE TABLE text_blob (
    part INTEGER NOT NULL,
    device BLOB NOT NULL,
    seq ANY NOT NULL,
    -- Per log, the highest position under which it came.
    positions BLOB NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (part, device, seq)
) WITHOUT ROWID, STRICT;

-- ---- the change index ----
--
-- An entity's entry in its home scope is in its own row. Those of audiences have rows here.

-- The entities of an audience in key order.
CREATE TABLE entry (
    scope INTEGER NOT NULL,
    key BLOB NOT NULL,
    entity INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID, STRICT;

-- What the entry of an entity covers, per log.
CREATE TABLE touch (
    scope INTEGER NOT NULL,
    entity INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    seq ANY NOT NULL,
    PRIMARY KEY (scope, entity, origin)
) WITHOUT ROWID, STRICT;

-- The same of all entries, those of home scopes too, in the order of the logs.
CREATE TABLE change (
    scope INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    seq ANY NOT NULL,
    entity INTEGER NOT NULL,
    PRIMARY KEY (scope, origin, seq, entity)
) WITHOUT ROWID, STRICT;

-- ---- devices and their ops ----

CREATE TABLE device (
    device BLOB PRIMARY KEY,
    received BLOB NOT NULL,
    confirmed BLOB NOT NULL,
    closed INTEGER NOT NULL,
    principal TEXT
) WITHOUT ROWID, STRICT;

-- Ops of one device that came one behind the other. Either each is a transaction of its own, and
-- numbers, positions and transactions go up by one together, or all are of one transaction and at
-- one position.
CREATE TABLE dot (
    device BLOB NOT NULL,
    first ANY NOT NULL,
    -- Order of arrival among the ops under one dot. Rows of 0 do not overlap; above 0, a row has
    -- one op.
    n INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    position ANY NOT NULL,
    tx_first ANY NOT NULL,
    tx_count INTEGER NOT NULL,
    -- Of each op, 16 bytes.
    fingerprints BLOB NOT NULL,
    PRIMARY KEY (device, first, n)
) WITHOUT ROWID, STRICT;

CREATE TABLE refusal (
    device BLOB NOT NULL,
    seq ANY NOT NULL,
    fingerprint BLOB NOT NULL,
    code TEXT NOT NULL,
    cause ANY NOT NULL,
    field INTEGER,
    detail TEXT NOT NULL,
    PRIMARY KEY (device, seq, fingerprint)
) WITHOUT ROWID, STRICT;

-- ---- logs ----

CREATE TABLE log (
    -- origin << 40 | seq: one integer key is the fastest that SQLite has.
    place INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    entry BLOB NOT NULL
) STRICT;

CREATE TABLE head (
    origin INTEGER PRIMARY KEY,
    seq ANY NOT NULL,
    hash BLOB NOT NULL
) STRICT;

CREATE TABLE cut (
    origin INTEGER PRIMARY KEY,
    last ANY NOT NULL
) STRICT;
