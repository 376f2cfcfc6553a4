//! An entity's merged state: what all ops on it that a replica has received add up to.
//!
//! The state is a function of the *set* of ops: order, path and repetition of everything except
//! counters do not matter, and counters are safe because each replica applies a dot once. Two
//! states of one entity join ([`Entity::join`]) into the state of the union, again except for
//! counters, which are sums and cannot be told apart; a reader replaces a counter only by a state
//! whose touch vector covers its own ([`Entity::install_counters`]).
//!
//! **Births.** A create adds a birth (its dot). A delete kills the births that it names, for good,
//! and remembers them so that a late birth stays dead. A register write or set op stands while one
//! of the births that it names stands; a counter increment names one, the first. A write naming
//! births that have not arrived waits for them, kept and not shown.
//!
//! **Counts that are carried.** What was counted on a birth goes with it. Who brings a deleted entity
//! back carries the counts along, each under the birth that it was counted on. Two who do so at
//! the same time carry the same counts, and a counter shows each once: what is counted on births
//! that stand, and of every other birth the count that births that stand carry of it. Where they
//! carry different counts of one birth, one of them had not heard all of it; the one that is
//! further from zero shows.
//!
//! Text lives beside this state, not in it ([`crate::text`]): documents are large and append-only.

use crate::id::{DeviceId, Dot, FieldId};
use crate::op::{Action, Change, Op, Parent};
use crate::stamp::{Hlc, Stamp};
use crate::value::Value;
use minicbor::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};

/// Merged state of one entity. Its canonical bytes are [`crate::codec::to_bytes`] of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Entity {
    /// Births that are not dead, with the parent births they hang on.
    #[n(0)]
    births: BTreeMap<Dot, Birth>,
    /// Births that a delete named, arrived or not.
    #[n(1)]
    dead: BTreeSet<Dot>,
    /// Per field the writes that no other write dominates; nearly always one.
    #[n(2)]
    registers: BTreeMap<FieldId, Vec<Write>>,
    #[n(3)]
    sets: BTreeMap<FieldId, SetState>,
    /// Per field the sum per birth.
    #[n(4)]
    counters: BTreeMap<FieldId, BTreeMap<Dot, i64>>,
    /// Per field and birth the counts that came with it, by the births that they were counted on.
    #[n(5)]
    #[cbor(skip_if = "BTreeMap::is_empty")]
    carried: BTreeMap<FieldId, BTreeMap<Dot, Counts>>,
}

/// What was counted, by the birth that it was counted on.
pub type Counts = BTreeMap<Dot, i64>;

#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
struct Birth {
    #[n(0)]
    parent: Option<Parent>,
}

/// A register write that may show.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Write {
    #[n(0)]
    pub stamp: Stamp,
    /// The op's number; with the stamp's device it is the op's dot.
    #[n(1)]
    pub seq: u64,
    #[n(2)]
    pub value: Value,
    /// Births that it hangs on, dead ones left out.
    #[n(3)]
    births: BTreeSet<Dot>,
    /// The stamp that its author saw in its place.
    #[n(4)]
    pub replaced: Option<Stamp>,
}

impl Write {
    /// Births that it hangs on: it shows where one of them stands.
    pub fn births(&self) -> &BTreeSet<Dot> {
        &self.births
    }

    /// Stamps are unique but where a device file was cloned; the rest settles it there.
    fn rank(&self) -> (Stamp, u64, &Value, Option<Stamp>) {
        (self.stamp, self.seq, &self.value, self.replaced)
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
struct SetState {
    /// Element -> the additions that hold it in, each with the births that it hangs on.
    #[n(0)]
    adds: BTreeMap<Value, BTreeMap<Dot, BTreeSet<Dot>>>,
    /// Element -> additions taken out, arrived or not.
    #[n(1)]
    removed: BTreeMap<Value, BTreeSet<Dot>>,
}

/// Tells which births of an entity stand. A root's births stand while they live; a child's also
/// need a standing parent birth, which only the holder of the parent's state can answer.
pub trait Standing {
    fn stands(&self, birth: Dot, parent: Option<&Parent>) -> bool;
}

/// Every living birth stands: for roots, and wherever the parent does not matter.
#[derive(Debug, Clone, Copy)]
pub struct Living;

impl Standing for Living {
    fn stands(&self, _: Dot, _: Option<&Parent>) -> bool {
        true
    }
}

/// The parent's fallen births decide.
#[derive(Debug, Clone, Default)]
pub struct UnderParent {
    /// Births of the parent that are dead or whose own parents have fallen.
    pub fallen: BTreeSet<Dot>,
}

impl Standing for UnderParent {
    /// A parent birth that has not arrived does not count against the child.
    fn stands(&self, _: Dot, parent: Option<&Parent>) -> bool {
        parent.is_none_or(|p| p.births.iter().any(|b| !self.fallen.contains(b)))
    }
}

/// What applying an op did, for the one who asks for outcomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    Done,
    /// All births that it names are dead: nothing shows of it.
    Dead,
}

impl Entity {
    /// Merge one op. The caller sees to it that a counter op comes once (received dots).
    pub fn apply(&mut self, op: &Op) -> Applied {
        match &op.action {
            Action::Void => return Applied::Done,
            Action::Delete => {
                self.kill(op.births.iter().copied());
                return Applied::Done;
            }
            Action::Create { parent, .. } => {
                self.add_birth(op.dot, parent);
            }
            Action::Update(_) => {}
        }
        let births: BTreeSet<Dot> =
            op.births.iter().copied().filter(|b| !self.dead.contains(b)).collect();
        if births.is_empty() {
            // Removals are remembered all the same: whether the births were dead when the removal
            // arrived must not show in the state.
            op.changes().iter().for_each(|c| self.note_removals(c.field, &c.change));
            return Applied::Dead;
        }
        for change in op.changes() {
            self.apply_change(op, change.field, &change.change, &births);
        }
        Applied::Done
    }

    fn apply_change(&mut self, op: &Op, field: FieldId, change: &Change, births: &BTreeSet<Dot>) {
        match change {
            Change::Register { value, replaced } => {
                let write = Write {
                    stamp: op.stamp(),
                    seq: op.dot.seq,
                    value: value.clone(),
                    births: births.clone(),
                    replaced: *replaced,
                };
                add_write(self.registers.entry(field).or_default(), write);
            }
            Change::Set { add, .. } => {
                self.note_removals(field, change);
                let set = self.sets.entry(field).or_default();
                for value in add {
                    set.add(value, op.dot, births.clone());
                }
                if set.is_empty() {
                    self.sets.remove(&field);
                }
            }
            Change::Counter(delta) => {
                // The birth it names is the first of all that the op lists, dead or not: replicas
                // must not choose differently by what had died where the op arrived.
                if let Some(birth) = op.births.first().filter(|b| !self.dead.contains(b)) {
                    let sum = self.counters.entry(field).or_default().entry(*birth).or_default();
                    *sum = sum.wrapping_add(*delta);
                }
            }
            Change::Carried(counts) => {
                if let Some(birth) = op.births.first().filter(|b| !self.dead.contains(b))
                    && !counts.is_empty()
                {
                    let by_birth = self.carried.entry(field).or_default();
                    let carried = by_birth.entry(*birth).or_default();
                    counts.iter().for_each(|(of, n)| carry(carried, *of, *n));
                }
            }
            Change::Text(_) => {}
        }
    }

    /// Two creates share a dot only where a device file was cloned; the lesser parent counts then,
    /// so that the order of arrival does not.
    fn add_birth(&mut self, dot: Dot, parent: &Option<Parent>) {
        if self.dead.contains(&dot) {
            return;
        }
        let birth = self.births.entry(dot).or_insert_with(|| Birth { parent: parent.clone() });
        if *parent < birth.parent {
            birth.parent.clone_from(parent);
        }
    }

    fn note_removals(&mut self, field: FieldId, change: &Change) {
        if let Change::Set { remove, .. } = change {
            for removal in remove.iter().filter(|r| !r.dots.is_empty()) {
                let set = self.sets.entry(field).or_default();
                set.remove(&removal.value, removal.dots.iter().copied());
            }
        }
    }

    /// Kill births: what hangs on them alone goes with them.
    fn kill(&mut self, births: impl Iterator<Item = Dot>) {
        let new: BTreeSet<Dot> = births.filter(|b| self.dead.insert(*b)).collect();
        if new.is_empty() {
            return;
        }
        self.births.retain(|b, _| !new.contains(b));
        self.registers.retain(|_, writes| {
            for w in writes.iter_mut() {
                w.births.retain(|b| !new.contains(b));
            }
            writes.retain(|w| !w.births.is_empty());
            let narrowed = std::mem::take(writes);
            narrowed.into_iter().for_each(|w| add_write(writes, w));
            !writes.is_empty()
        });
        self.sets.retain(|_, set| {
            set.drop_births(&new);
            !set.is_empty()
        });
        self.counters.retain(|_, sums| {
            sums.retain(|b, _| !new.contains(b));
            !sums.is_empty()
        });
        self.carried.retain(|_, counts| {
            counts.retain(|b, _| !new.contains(b));
            !counts.is_empty()
        });
    }

    /// Join all but the counters.
    pub fn join(&mut self, other: &Self) {
        self.kill(other.dead.iter().copied());
        for (dot, birth) in &other.births {
            self.add_birth(*dot, &birth.parent);
        }
        for (field, writes) in &other.registers {
            for write in writes {
                let mut write = write.clone();
                write.births.retain(|b| !self.dead.contains(b));
                if !write.births.is_empty() {
                    add_write(self.registers.entry(*field).or_default(), write);
                }
            }
        }
        for (field, theirs) in &other.sets {
            let set = self.sets.entry(*field).or_default();
            for (value, dots) in &theirs.removed {
                set.remove(value, dots.iter().copied());
            }
            for (value, adds) in &theirs.adds {
                for (dot, births) in adds {
                    let births = births.iter().copied().filter(|b| !self.dead.contains(b));
                    set.add(value, *dot, births.collect());
                }
            }
            if set.is_empty() {
                self.sets.remove(field);
            }
        }
    }

    /// Take over the other state's counters, those of births that died here left out. Only for a
    /// state whose touch vector covers this one's. `visible` says which fields the other shows.
    pub fn install_counters(&mut self, other: &Self, visible: impl Fn(FieldId) -> bool) {
        let dead = &self.dead;
        install(&mut self.counters, &other.counters, dead, &visible);
        install(&mut self.carried, &other.carried, dead, &visible);
    }

    /// Take over columns of another state of the same entity, counters included; births and deaths
    /// stay as they are here.
    pub fn adopt(&mut self, other: &Self, columns: impl Fn(FieldId) -> bool) {
        let mut other = other.clone().only(&columns);
        other.births.clone_from(&self.births);
        other.dead.clone_from(&self.dead);
        self.join(&other);
        self.install_counters(&other, columns);
    }

    /// Leave only the fields that a reader may see.
    pub fn only(mut self, shown: impl Fn(FieldId) -> bool) -> Self {
        self.registers.retain(|f, _| shown(*f));
        self.sets.retain(|f, _| shown(*f));
        self.counters.retain(|f, _| shown(*f));
        self.carried.retain(|f, _| shown(*f));
        self
    }

    /// Births that live, ascending.
    pub fn living(&self) -> impl Iterator<Item = Dot> + '_ {
        self.births.keys().copied()
    }

    /// Births that live and stand.
    pub fn standing(&self, standing: &impl Standing) -> Vec<Dot> {
        let stands = |(d, b): &(&Dot, &Birth)| standing.stands(**d, b.parent.as_ref());
        self.births.iter().filter(stands).map(|(d, _)| *d).collect()
    }

    /// True if the entity is there for a reader.
    pub fn exists(&self, standing: &impl Standing) -> bool {
        self.births.iter().any(|(d, b)| standing.stands(*d, b.parent.as_ref()))
    }

    /// Births that count against children: dead, or living under a fallen parent.
    pub fn fallen(&self, standing: &impl Standing) -> BTreeSet<Dot> {
        let under_fallen =
            self.births.iter().filter(|(d, b)| !standing.stands(**d, b.parent.as_ref()));
        self.dead.iter().copied().chain(under_fallen.map(|(d, _)| *d)).collect()
    }

    /// True if a delete has killed all births that arrived; false for an entity of which nothing
    /// arrived, and for a child that fell with its parent.
    pub fn is_deleted(&self) -> bool {
        self.births.is_empty() && !self.dead.is_empty()
    }

    /// True if the birth has arrived, whatever became of it.
    pub fn knows(&self, birth: Dot) -> bool {
        self.births.contains_key(&birth) || self.dead.contains(&birth)
    }

    pub fn is_dead(&self, birth: Dot) -> bool {
        self.dead.contains(&birth)
    }

    /// The parent of the least living birth; the same for all births in a sane app.
    pub fn parent(&self) -> Option<&Parent> {
        self.births.values().find_map(|b| b.parent.as_ref())
    }

    /// The write that shows in a register.
    pub fn register(&self, field: FieldId, standing: &impl Standing) -> Option<&Write> {
        let writes = self.registers.get(&field)?;
        writes
            .iter()
            .filter(|w| w.births.iter().any(|b| self.birth_stands(b, standing)))
            .max_by(|a, b| a.rank().cmp(&b.rank()))
    }

    /// Writes of a register that show once a birth comes which they hang on.
    pub fn unborn(&self, field: FieldId) -> impl Iterator<Item = &Write> {
        let writes = self.registers.get(&field).into_iter().flatten();
        writes.filter(|w| !w.births.iter().any(|b| self.births.contains_key(b)))
    }

    /// All register fields that hold a write.
    pub fn register_fields(&self) -> impl Iterator<Item = FieldId> + '_ {
        self.registers.keys().copied()
    }

    /// The elements that show in a set, ascending, each with the additions that hold it in.
    pub fn set(&self, field: FieldId, standing: &impl Standing) -> BTreeMap<&Value, Vec<Dot>> {
        let mut out = BTreeMap::new();
        for (value, adds) in self.sets.get(&field).into_iter().flat_map(|s| &s.adds) {
            let stands =
                |births: &BTreeSet<Dot>| births.iter().any(|b| self.birth_stands(b, standing));
            let dots: Vec<Dot> =
                adds.iter().filter(|(_, births)| stands(births)).map(|(d, _)| *d).collect();
            if !dots.is_empty() {
                out.insert(value, dots);
            }
        }
        out
    }

    /// The sum that shows in a counter.
    pub fn counter(&self, field: FieldId, standing: &impl Standing) -> i64 {
        self.counts(field, standing).values().fold(0, |total, n| total.wrapping_add(*n))
    }

    /// What a counter's sum is made of: what was counted on births that stand, and what they carry
    /// of births that do not.
    pub fn counts(&self, field: FieldId, standing: &impl Standing) -> Counts {
        let stands = |b: &Dot| self.birth_stands(b, standing);
        let mut counts = Counts::new();
        for (_, carried) in
            self.carried.get(&field).into_iter().flatten().filter(|(b, _)| stands(b))
        {
            let fallen = carried.iter().filter(|(of, _)| !stands(of));
            fallen.for_each(|(of, n)| carry(&mut counts, *of, *n));
        }
        let sums = self.counters.get(&field).into_iter().flatten();
        counts.extend(sums.filter(|(b, _)| stands(b)).map(|(b, n)| (*b, *n)));
        counts
    }

    /// What another state has of these fields and this one has not: births, register writes and
    /// additions to sets that nothing here has killed, outdone or taken out. Counters are sums, which
    /// do not tell. A state of all the same ops and more is without nothing.
    pub fn without(&self, other: &Self, shown: impl Fn(FieldId) -> bool) -> BTreeSet<Dot> {
        let alive = |births: &BTreeSet<Dot>| births.iter().any(|b| !self.dead.contains(b));
        let births = other.births.keys().copied().filter(|b| !self.knows(*b));
        let mut lost: BTreeSet<Dot> = births.collect();
        for (field, writes) in other.registers.iter().filter(|(f, _)| shown(**f)) {
            let here = self.registers.get(field).map(Vec::as_slice).unwrap_or_default();
            for write in writes.iter().filter(|w| alive(&w.births)) {
                // One whose birth is unknown here takes nothing's place yet.
                let born = |w: &Write| w.births.iter().any(|b| self.births.contains_key(b));
                let keeps = |w: &Write| w.rank() > write.rank() && born(w);
                if !here.iter().any(|w| w.rank() == write.rank() || keeps(w)) {
                    lost.insert(Dot::new(write.stamp.device, write.seq));
                }
            }
        }
        for (field, set) in other.sets.iter().filter(|(f, _)| shown(**f)) {
            let here = self.sets.get(field);
            for (value, adds) in &set.adds {
                let has = |dot: &Dot| {
                    here.is_some_and(|s| {
                        s.adds.get(value).is_some_and(|adds| adds.contains_key(dot))
                            || s.removed.get(value).is_some_and(|gone| gone.contains(dot))
                    })
                };
                let adds = adds.iter().filter(|(_, births)| alive(births)).map(|(dot, _)| *dot);
                lost.extend(adds.filter(|dot| !has(dot)));
            }
        }
        lost
    }

    /// The highest clock reading of any write that is kept.
    pub fn highest_hlc(&self) -> Hlc {
        self.registers.values().flatten().map(|w| w.stamp.hlc).max().unwrap_or_default()
    }

    /// The highest number of a device's that the state names anywhere.
    pub fn highest_seq(&self, device: DeviceId) -> u64 {
        let births = self.births.keys().chain(&self.dead);
        let writes = self.registers.values().flatten();
        let writes = writes.filter(|w| w.stamp.device == device).map(|w| w.seq);
        let sets = self.sets.values();
        let adds = sets.clone().flat_map(|s| s.adds.values()).flat_map(BTreeMap::keys);
        let removed = sets.flat_map(|s| s.removed.values()).flatten();
        let dots = births.chain(adds).chain(removed).filter(|d| d.device == device);
        dots.map(|d| d.seq).chain(writes).max().unwrap_or(0)
    }

    fn birth_stands(&self, birth: &Dot, standing: &impl Standing) -> bool {
        self.births.get(birth).is_some_and(|b| standing.stands(*birth, b.parent.as_ref()))
    }
}

/// Keep the writes that none dominates: a higher stamp on at least the same births hides a write
/// for ever, whatever dies. They ascend by rank, then births, so that arrival does not show.
fn add_write(writes: &mut Vec<Write>, new: Write) {
    let dominates = |a: &Write, b: &Write| a.rank() >= b.rank() && a.births.is_superset(&b.births);
    if writes.iter().any(|w| dominates(w, &new)) {
        return;
    }
    writes.retain(|w| !dominates(&new, w));
    let at = writes.partition_point(|w| (w.rank(), &w.births) < (new.rank(), &new.births));
    writes.insert(at, new);
}

/// Of two counts of one birth, the one further from zero; of two as far, the positive one.
fn carry(counts: &mut Counts, of: Dot, n: i64) {
    let known = counts.entry(of).or_insert(n);
    if (known.unsigned_abs(), *known) < (n.unsigned_abs(), n) {
        *known = n;
    }
}

/// Put fields of one state's counters in place of another's, dead births left out.
fn install<T: Clone>(
    here: &mut BTreeMap<FieldId, BTreeMap<Dot, T>>,
    there: &BTreeMap<FieldId, BTreeMap<Dot, T>>,
    dead: &BTreeSet<Dot>,
    visible: impl Fn(FieldId) -> bool,
) {
    here.retain(|f, _| !visible(*f));
    for (field, by_birth) in there.iter().filter(|(f, _)| visible(**f)) {
        let living = by_birth.iter().filter(|(b, _)| !dead.contains(b));
        let living: BTreeMap<Dot, T> = living.map(|(b, n)| (*b, n.clone())).collect();
        if !living.is_empty() {
            here.insert(*field, living);
        }
    }
}

impl SetState {
    fn add(&mut self, value: &Value, dot: Dot, births: BTreeSet<Dot>) {
        let gone = self.removed.get(value).is_some_and(|dots| dots.contains(&dot));
        if !gone && !births.is_empty() {
            self.adds.entry(value.clone()).or_default().entry(dot).or_default().extend(births);
        }
    }

    fn remove(&mut self, value: &Value, dots: impl Iterator<Item = Dot>) {
        for dot in dots {
            if let Some(adds) = self.adds.get_mut(value) {
                adds.remove(&dot);
            }
            self.removed.entry(value.clone()).or_default().insert(dot);
        }
        self.adds.retain(|_, adds| !adds.is_empty());
    }

    fn drop_births(&mut self, dead: &BTreeSet<Dot>) {
        self.adds.retain(|_, adds| {
            adds.retain(|_, births| {
                births.retain(|b| !dead.contains(b));
                !births.is_empty()
            });
            !adds.is_empty()
        });
    }

    fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.removed.is_empty()
    }
}
