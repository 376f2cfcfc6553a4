//! Random histories of one parent entity and one child entity.
//!
//! A history is drawn as a list of steps, which shrinks well, and played by a few devices. Each
//! device knows the ops that it made or read, in any subset: it may know a write whose birth it
//! never met, or a removal without the addition. What a device writes is made from what it knows,
//! asked of the [oracle](super::oracle), and each op names any subset of the births known there.
//! Some devices are cloned: such a step uses the dot and the stamp of the op before it again.

use super::oracle::Oracle;
use landfall_model::entity::Entity;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, TypeId};
use landfall_model::op::{Action, Change, FieldChange, Op, Parent, Removal, Tx};
use landfall_model::stamp::{Clock, Hlc};
use landfall_model::value::Value;
use proptest::prelude::*;
use std::collections::BTreeSet;

pub const TITLE: FieldId = FieldId(1);
pub const ADDRESS: FieldId = FieldId(2);
pub const LABELS: FieldId = FieldId(3);
pub const VOTES: FieldId = FieldId(4);
pub const PARENT: TypeId = TypeId(1);
pub const CHILD: TypeId = TypeId(2);

const DEVICES: usize = 4;

#[derive(Clone, Debug)]
pub struct Step {
    device: usize,
    child: bool,
    now_ms: i64,
    /// Made by a clone: under the dot of the device's last op.
    forked: bool,
    /// Chooses among what the device knows: births, parent births.
    mask: u64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Create(Vec<Edit>),
    Update(Vec<Edit>),
    Delete,
    /// Read some of what another device knows.
    Read(usize),
}

#[derive(Clone, Debug)]
enum Edit {
    Title(i64),
    Address(i64),
    Add(i64),
    /// Take out one of the elements that the device sees.
    Remove(prop::sample::Index),
    Count(i64),
    /// Carry so much of each of some births, dead ones and others.
    Carry(i64),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => (0i64..3).prop_map(Edit::Title),
        1 => (0i64..3).prop_map(Edit::Address),
        2 => (0i64..3).prop_map(Edit::Add),
        3 => any::<prop::sample::Index>().prop_map(Edit::Remove),
        2 => (-3i64..5).prop_map(Edit::Count),
        1 => (-3i64..5).prop_map(Edit::Carry),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let edits = || prop::collection::vec(edit(), 0..4);
    let kind = prop_oneof![
        3 => edits().prop_map(Kind::Create),
        6 => edits().prop_map(Kind::Update),
        2 => Just(Kind::Delete),
        4 => (0..DEVICES).prop_map(Kind::Read),
    ];
    // Half of all masks choose everything: most devices name all that they know.
    let mask = prop_oneof![Just(u64::MAX), any::<u64>()];
    (0..DEVICES, any::<bool>(), 0i64..6, prop::bool::weighted(0.1), mask, kind).prop_map(
        |(device, child, now_ms, forked, mask, kind)| Step {
            device,
            child,
            now_ms,
            forked,
            mask,
            kind,
        },
    )
}

/// The ops that a list of steps made.
#[derive(Clone, Debug)]
pub struct History {
    pub ops: Vec<Op>,
}

pub fn histories(steps: usize) -> impl Strategy<Value = History> {
    prop::collection::vec(step(), 1..steps).prop_map(|steps| History::play(&steps))
}

impl History {
    /// The distinct ops on the parent entity, or on the child.
    pub fn of(&self, kind: TypeId) -> Vec<&Op> {
        self.ops.iter().filter(|op| op.key.kind == kind).collect()
    }

    fn play(steps: &[Step]) -> Self {
        let mut history = Self { ops: Vec::new() };
        let mut devices: Vec<Device> = (0..DEVICES).map(Device::new).collect();
        for step in steps {
            if let Kind::Read(from) = step.kind {
                let theirs: Vec<usize> = devices[from].known.iter().copied().collect();
                let reader = &mut devices[step.device];
                for at in choose(step.mask, theirs) {
                    reader.known.insert(at);
                    reader.clock.observe(history.ops[at].hlc);
                }
            } else if let Some(op) = devices[step.device].write(step, &history.ops)
                && !history.ops.contains(&op)
            {
                devices[step.device].known.insert(history.ops.len());
                history.ops.push(op);
            }
        }
        history
    }
}

struct Device {
    id: DeviceId,
    seq: u64,
    clock: Clock,
    /// Indices of ops, made here or read.
    known: BTreeSet<usize>,
}

impl Device {
    fn new(number: usize) -> Self {
        let id = DeviceId::from_number(number as u64 + 1);
        Self { id, seq: 0, clock: Clock::default(), known: BTreeSet::new() }
    }

    fn view<'a>(&self, ops: &'a [Op], kind: TypeId) -> Oracle<'a> {
        Oracle::new(self.known.iter().map(|&at| &ops[at]).filter(|op| op.key.kind == kind))
    }

    /// The op of a step; none where there is nothing to write on.
    fn write(&mut self, step: &Step, ops: &[Op]) -> Option<Op> {
        let view = self.view(ops, if step.child { CHILD } else { PARENT });
        let mut births: BTreeSet<Dot> = choose(step.mask, view.heard()).into_iter().collect();
        let creates = matches!(step.kind, Kind::Create(_));
        if births.is_empty() && !creates {
            return None;
        }
        if !step.forked || self.seq == 0 {
            self.seq += 1;
            self.clock.tick(step.now_ms);
        }
        let dot = Dot::new(self.id, self.seq);
        if creates {
            births.insert(dot);
        }
        let action = match &step.kind {
            Kind::Create(edits) => {
                let changes = changes(edits, step.mask, &view);
                Action::Create { parent: step.child.then(|| self.parent(step.mask, ops)), changes }
            }
            Kind::Update(edits) => Action::Update(changes(edits, step.mask, &view)),
            Kind::Delete => Action::Delete,
            Kind::Read(_) => return None,
        };
        Some(op(dot, self.clock.last, step.child, births, action))
    }

    fn parent(&self, mask: u64, ops: &[Op]) -> Parent {
        let mut births = choose(mask.rotate_left(16), self.view(ops, PARENT).heard());
        if births.is_empty() {
            // A birth of a device that takes no part: it never arrives and never dies.
            births.push(Dot::new(DeviceId::from_number(98), 1));
        }
        Parent { kind: PARENT, id: "p".into(), births }
    }
}

/// The items whose bits the mask has.
fn choose<T>(mask: u64, items: Vec<T>) -> Vec<T> {
    items
        .into_iter()
        .enumerate()
        .filter(|(i, _)| mask >> (i % 64) & 1 == 1)
        .map(|(_, t)| t)
        .collect()
}

fn changes(edits: &[Edit], mask: u64, view: &Oracle<'_>) -> Vec<FieldChange> {
    let living = view.living().into_keys().collect();
    let register = |field, value| {
        let replaced = view.register(field, &living).map(|shown| shown.stamp);
        FieldChange { field, change: Change::Register { value, replaced } }
    };
    let set = |add, remove| FieldChange { field: LABELS, change: Change::Set { add, remove } };
    let one = |edit: &Edit| match edit {
        Edit::Title(n) => register(TITLE, Value::Int(*n)),
        Edit::Address(n) => register(
            ADDRESS,
            Value::object([(FieldId(9), Value::Int(*n)), (FieldId(8), Value::text("Lyon"))]),
        ),
        Edit::Add(n) => set(vec![Value::Int(*n)], vec![]),
        Edit::Remove(which) => {
            let shown: Vec<Value> = view.set(LABELS, &living).into_keys().collect();
            let value = if shown.is_empty() { Value::Null } else { which.get(&shown).clone() };
            let dots = choose(mask.rotate_left(32), view.additions(LABELS, &value));
            set(vec![], vec![Removal { value, dots }])
        }
        Edit::Count(n) => FieldChange { field: VOTES, change: Change::Counter(*n) },
        Edit::Carry(n) => {
            let births = view.dead().into_iter().chain(view.heard()).collect();
            let births = choose(mask.rotate_left(48), births);
            let counts = births.into_iter().map(|birth| (birth, *n)).collect();
            FieldChange { field: VOTES, change: Change::Carried(counts) }
        }
    };
    edits.iter().map(one).collect()
}

pub fn op(dot: Dot, hlc: Hlc, child: bool, births: BTreeSet<Dot>, action: Action) -> Op {
    let (kind, id) = if child { (CHILD, "c") } else { (PARENT, "p") };
    Op {
        dot,
        hlc,
        key: EntityKey::new("team/red", kind, id),
        principal: "ana".into(),
        tx: Tx { first: dot.seq, count: 1 },
        births: births.into_iter().collect(),
        action,
        needs: vec![],
        expires_ms: None,
        preconditions: None,
        blobs: None,
    }
}

/// The state that ops add up to, applied in this order.
pub fn merged<'a>(ops: impl IntoIterator<Item = &'a Op>) -> Entity {
    let mut state = Entity::default();
    for op in ops {
        state.apply(op);
    }
    state
}

/// The items in an order that the seed decides.
pub fn shuffled<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
    let mut items = items.to_vec();
    let mut state = seed | 1;
    for i in (1..items.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        items.swap(i, (state % (i as u64 + 1)) as usize);
    }
    items
}
