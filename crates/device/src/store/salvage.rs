//! Reads what can still be read of a damaged file, without SQLite.
//!
//! SQLite gives up where a page contradicts another. Own writes are worth more than that: each
//! stands in a row of its own, whose payload says by itself which write it is and whose fingerprint
//! says that it is whole. So the pages are read one by one, and rows are known by their form, however
//! broken the tree above them is. [`pages`] makes the image that SQLite would recover (the file
//! with the committed part of its log over it), [`records`] takes rows out of a page.
//!
//! What SQLite has let go of may still stand in free pages: writes that are settled since. Pages on
//! the free list are left out, but for writes that an index still has: the list may be what is
//! damaged. Where it is destroyed altogether, settled writes may come back, and do no harm: regions
//! know them by their numbers.
//!
//! What a file says of itself costs no more than its length: no page number, chain or row leads to
//! more reading than the file has pages, a few times over.
//!
//! The file is only read. It must not be open in this process: closing it here would drop the locks
//! that SQLite holds on it.

mod document;
mod pages;
mod records;

pub use document::{DocumentError, read, write};

use super::error::OpenError;
use super::{ops, outcomes, rows};
use landfall_model::id::{DeviceId, Dot, EntityKey, TypeId};
use landfall_model::op::Sealed;
use landfall_sync::device::store::{OpState, Outcome, OwnOp};
use pages::{PAGE_BYTES, Pages};
use records::{Column, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
#[cfg(not(target_family = "wasm"))]
use std::path::Path;
use std::sync::Arc;

/// Sizes of pages that SQLite may have chosen elsewhere, the likely ones first.
const OTHER_PAGE_BYTES: &[usize] = &[8_192, 16_384, 32_768, 65_536, 2_048, 1_024, 512];

/// What was read of a damaged file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Salvaged {
    /// Whose file it was, if that could be read: tenant and subject.
    pub account: Option<(String, String)>,
    /// The file's own device id, and the highest number under it that may have left the file.
    pub device: Option<(DeviceId, u64)>,
    /// Own writes that are kept, by their order.
    pub ops: Vec<OwnOp>,
    /// Numbers that are to be filled.
    pub voids: Vec<OwnOp>,
    /// Outcomes that the app has not dismissed.
    pub outcomes: Vec<(Dot, EntityKey, Outcome)>,
    /// What was not read.
    pub damage: Damage,
}

/// What could not be read, as far as that shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Damage {
    /// Own writes of which an index has the number, and that are nowhere.
    pub lost: BTreeSet<Dot>,
    /// Rows of own writes, outcomes and numbers that are not as they were written.
    pub rows: u64,
    /// Pages that are missing at the end of the file.
    pub pages_missing: u64,
    /// Pages that make no sense, or hold nothing but zeros.
    pub pages_unread: u64,
    /// Frames of the log behind the first one that is damaged.
    pub frames_unread: u64,
    /// The first page's header is destroyed.
    pub header: bool,
}

impl Salvaged {
    /// How much was read.
    fn found(&self) -> usize {
        let own = self.ops.len() + self.voids.len() + self.outcomes.len();
        own + usize::from(self.account.is_some()) + usize::from(self.device.is_some())
    }
}

impl Damage {
    /// True if nothing shows that anything is missing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Read what can be read. Fails only if the file cannot be read at all, or is plainly something
/// else.
#[cfg(not(target_family = "wasm"))]
pub fn salvage(path: &Path) -> Result<Salvaged, OpenError> {
    Ok(of_pages(Pages::open(path)?))
}

/// The same of a file without a log that is in memory. Browsers make pages of other sizes than disks:
/// where the head that tells is destroyed, it is the size by which the most can be read.
pub fn of_bytes(bytes: Vec<u8>) -> Result<Salvaged, OpenError> {
    let bytes: Arc<[u8]> = bytes.into();
    let read = |size: usize| -> Result<Salvaged, OpenError> {
        Ok(of_pages(Pages::of(Box::new(Cursor::new(bytes.clone())), None, size)?))
    };
    let mut best = read(PAGE_BYTES)?;
    if !best.damage.header {
        return Ok(best);
    }
    for size in OTHER_PAGE_BYTES {
        let other = read(*size)?;
        if other.found() > best.found() {
            best = other;
        }
    }
    Ok(best)
}

fn of_pages(mut pages: Pages) -> Salvaged {
    let mut scan = Scan::default();
    let (numbers, missing) = pages.numbers();
    scan.damage.pages_missing += missing;
    for number in numbers {
        if pages.is_free(number) {
            continue;
        }
        match pages.page(number) {
            Some(page) => scan.page(&mut pages, number, &page),
            None => scan.damage.pages_missing += 1,
        }
    }
    // Newer pages whose place in the log cannot be vouched for: rows speak for themselves.
    scan.loose = true;
    for nth in 0..pages.loose_count() {
        if let Some(page) = pages.loose(nth) {
            scan.page(&mut pages, 0, &page);
        }
    }
    // Of a write that an index has and no page in use: the list of free pages may be wrong.
    scan.only = Some(scan.lost()).filter(|lost| !lost.is_empty());
    for number in pages.free() {
        let page = pages.page(number).filter(|_| scan.only.is_some());
        scan.loose = true;
        page.into_iter().for_each(|page| scan.page(&mut pages, number, &page));
    }
    scan.damage.pages_missing += pages.missing;
    scan.damage.frames_unread = pages.frames_unread;
    scan.damage.header = pages.header_destroyed;
    scan.finish()
}

#[derive(Default)]
struct Scan {
    account: Option<(String, String)>,
    device: Option<(DeviceId, u64)>,
    ops: BTreeMap<Dot, OwnOp>,
    voids: BTreeMap<Dot, OwnOp>,
    outcomes: BTreeMap<Vec<u8>, (Dot, EntityKey, Outcome)>,
    /// Numbers that some index has.
    numbers: BTreeSet<Dot>,
    /// What is read now stands in no place of the image.
    loose: bool,
    /// Of that, these writes alone are taken.
    only: Option<BTreeSet<Dot>>,
    damage: Damage,
}

impl Scan {
    fn page(&mut self, pages: &mut Pages, number: u64, page: &[u8]) {
        let read = records::of_page(pages, number, page);
        if read.senseless && !self.loose {
            self.damage.pages_unread += 1;
        }
        if !self.loose {
            self.damage.rows += read.broken_cells;
        }
        for record in &read.table_rows {
            self.table_row(record);
        }
        for record in &read.index_rows {
            self.index_row(record);
        }
    }

    fn table_row(&mut self, record: &Record) {
        let columns = &record.columns[..];
        let whole = match columns.len() {
            10 | 11 => self.op_row(columns),
            7 => self.void_row(columns),
            8 if self.only.is_none() => self.outcome_row(columns),
            9 if self.only.is_none() => self.meta_row(columns),
            _ => None,
        };
        self.damage.rows += u64::from(whole == Some(false) && !self.loose);
    }

    /// A row of `_lf_op`, with the fingerprint that later files have. Whether it is whole; `None` if
    /// it is another table's.
    fn op_row(&mut self, columns: &[Column]) -> Option<bool> {
        let [device, seq, order, home, kind, id, state, about, overlay, payload, print @ ..] =
            columns
        else {
            return None;
        };
        let (dot, payload) = (dot(device.bytes()?, seq.int()?)?, payload.bytes()?);
        let place = (dot, order.int()?, state.int()?, about, overlay.int()?);
        let name = (home.text()?, kind.int()?, id.text()?);
        let own = own_op(place, Some(name), payload, print.first());
        let whole = own.is_some();
        own.into_iter().for_each(|own| self.found(own));
        Some(whole)
    }

    /// A row of `_lf_void`.
    fn void_row(&mut self, columns: &[Column]) -> Option<bool> {
        let [device, seq, order, state, about, overlay, payload] = columns else { return None };
        let (dot, payload) = (dot(device.bytes()?, seq.int()?)?, payload.bytes()?);
        let place = (dot, order.int()?, state.int()?, about, overlay.int()?);
        let void = own_op(place, None, payload, None).filter(|own| own.sealed.op.is_void());
        let whole = void.is_some();
        let void = void.filter(|void| self.is_asked_for(void.sealed.op.dot));
        self.voids.extend(void.map(|void| (void.sealed.op.dot, void)));
        Some(whole)
    }

    /// A row of `_lf_outcome`.
    fn outcome_row(&mut self, columns: &[Column]) -> Option<bool> {
        let [device, seq, what, field, home, kind, id, about] = columns else { return None };
        let (dot, what, field) = (dot(device.bytes()?, seq.int()?)?, what.int()?, field.int()?);
        let (home, kind, id) = (home.text()?, kind.int()?, id.text()?);
        let outcome = outcomes::outcome_of(what, about.bytes());
        let (Ok(outcome), Ok(kind)) = (outcome, u32::try_from(kind)) else { return Some(false) };
        let key = EntityKey::new(home, TypeId(kind), id);
        let name = rows::pack(&(dot, what, field));
        self.outcomes.entry(name).or_insert((dot, key, outcome));
        Some(true)
    }

    /// The row of `_lf_meta`. Its key is the number of the row, and NULL here.
    fn meta_row(&mut self, columns: &[Column]) -> Option<bool> {
        let [Column::Null, device, last, sent, _, _, _, former, order] = columns else {
            return None;
        };
        let (dot, sent) = (dot(device.bytes()?, last.int()?)?, sent.int()?);
        former.bytes().zip(order.int())?;
        self.device = Some((dot.device, rows::from_bits(sent)));
        Some(true)
    }

    fn index_row(&mut self, record: &Record) {
        match &record.columns[..] {
            // The two indexes by order, and the one by number.
            [Column::Int(_), Column::Blob(device), Column::Int(seq), Column::Int(_)]
            | [Column::Blob(device), Column::Int(seq), Column::Int(_)]
                if *seq > 0 && !self.loose =>
            {
                self.numbers.extend(dot(device, *seq));
            }
            [Column::Text(name), Column::Blob(value)]
                if name == "sdk/account" && self.only.is_none() =>
            {
                let text = String::from_utf8(value.clone()).unwrap_or_default();
                self.account = text.split_once('\0').map(|(t, s)| (t.to_owned(), s.to_owned()));
            }
            _ => {}
        }
    }

    /// Of two readings of one write the one that is further counts: a state never goes back. What
    /// stands in its place counts before what stands in none.
    fn found(&mut self, own: OwnOp) {
        let dot = own.sealed.op.dot;
        match self.ops.get(&dot) {
            _ if !self.is_asked_for(dot) => {}
            Some(known) if self.loose || rank(&known.state) >= rank(&own.state) => {}
            _ => _ = self.ops.insert(dot, own),
        }
    }

    fn is_asked_for(&self, dot: Dot) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&dot))
    }

    /// Writes that an index has, and that were not read.
    fn lost(&self) -> BTreeSet<Dot> {
        let known = |d: &Dot| self.ops.contains_key(d) || self.voids.contains_key(d);
        self.numbers.iter().filter(|d| !known(d)).copied().collect()
    }

    fn finish(mut self) -> Salvaged {
        self.damage.lost = self.lost();
        let by_order = |all: BTreeMap<Dot, OwnOp>| {
            let mut all: Vec<OwnOp> = all.into_values().collect();
            all.sort_by_key(|own| (own.order, own.sealed.op.dot));
            all
        };
        Salvaged {
            account: self.account,
            device: self.device,
            ops: by_order(self.ops),
            voids: by_order(self.voids),
            outcomes: self.outcomes.into_values().collect(),
            damage: self.damage,
        }
    }
}

/// A row's number, order, state, what else there is to that, and whether it shows.
type Place<'c> = (Dot, i64, i64, &'c Column, i64);

/// A write that is whole: its payload is an op of that number, on that entity, with that
/// fingerprint.
fn own_op(
    (dot, order, state, about, overlay): Place<'_>,
    name: Option<(&str, i64, &str)>,
    payload: &[u8],
    print: Option<&Column>,
) -> Option<OwnOp> {
    let sealed = Sealed::decode(payload).ok().filter(|s| s.op.dot == dot)?;
    let key = &sealed.op.key;
    let named = |(home, kind, id): (&str, i64, &str)| {
        *key.home == *home && i64::from(key.kind.0) == kind && *key.id == *id
    };
    let whole = match print {
        None | Some(Column::Null) => true,
        Some(Column::Blob(print)) => print[..] == sealed.fingerprint.0,
        Some(_) => false,
    };
    if !whole || !name.is_none_or(named) {
        return None;
    }
    // A state that cannot be read counts as sent: whoever asks the regions will know.
    let state = ops::state_of(state, about.bytes()).unwrap_or_else(|_| unknown_state());
    Some(OwnOp { order: rows::from_bits(order), sealed, state, overlay: overlay != 0 })
}

fn unknown_state() -> OpState {
    OpState::Sent { regions: BTreeSet::new(), refused_by: BTreeSet::new() }
}

fn rank(state: &OpState) -> u8 {
    match state {
        OpState::Unsent => 0,
        OpState::Sent { .. } => 1,
        OpState::Accepted { .. } => 2,
        OpState::Durable { .. } => 3,
        OpState::Rejected { .. } => 4,
    }
}

/// `None` if this is no device's id.
fn dot(device: &[u8], seq: i64) -> Option<Dot> {
    let device = DeviceId(device.try_into().ok()?);
    Some(Dot::new(device, rows::from_bits(seq)))
}
