//! SQLite and memory give the same answer to every call, whatever was called before.

use super::super::Database;
use super::{dot, log_row, open, origin, temporary};
use landfall_model::entity::Entity;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, TypeId};
use landfall_model::op::{Action, Change, FieldChange, Fingerprint, Op, Tx};
use landfall_model::stamp::Hlc;
use landfall_model::text::{Blob, Part, Text};
use landfall_model::value::Value;
use landfall_model::vector::{Origin, Position, SeqSet, Vector};
use landfall_sync::region::memory::MemoryStore;
use landfall_sync::region::store::{
    DeviceRecord, DotRecord, Identity, LogRow, Record, Refusal, Store,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt::Debug;

const CALLS: usize = 4_000;

const SCOPES: [&str; 3] = ["a", "b", "driver/1"];

#[test]
fn every_call_is_answered_as_memory_answers_it() {
    for seed in 0..4 {
        run(seed);
    }
}

fn run(seed: u64) {
    let (_directory, path) = temporary();
    let mut database = open(&path);
    let mut memory = MemoryStore::new();
    let mut world = World(ChaCha8Rng::seed_from_u64(seed));
    begin(&mut database, &mut memory);
    for n in 0..CALLS {
        // The same random choices for both.
        let choices = world.0.clone();
        let expected = world.call(&mut memory);
        let got = World(choices).call(&mut database);
        assert_eq!(got, expected, "seed {seed}, call {n}");
        match world.0.random_range(0..100) {
            0 => {
                database.commit().unwrap();
                memory.commit();
                begin(&mut database, &mut memory);
            }
            1 => {
                database.rollback();
                memory.rollback();
                begin(&mut database, &mut memory);
            }
            2 if world.0.random_bool(0.1) => {
                database.commit().unwrap();
                memory.commit();
                database.close().unwrap();
                database = open(&path);
                begin(&mut database, &mut memory);
            }
            _ => {}
        }
    }
}

fn begin(database: &mut Database, memory: &mut MemoryStore) {
    database.begin().unwrap();
    memory.begin();
}

/// Few names, so that calls meet.
pub(super) struct World<R>(pub(super) R);

impl<R: Rng> World<R> {
    fn below(&mut self, n: u64) -> u64 {
        self.0.random_range(0..n)
    }

    fn key(&mut self) -> EntityKey {
        let home = ["a", "a\0", "b"][self.below(3) as usize];
        let kind = TypeId(self.below(2) as u32 * 300);
        EntityKey::new(home, kind, format!("{}", self.below(12)))
    }

    /// Documents are on few entities: a document's calls must meet more often than an entity's.
    fn page(&mut self) -> EntityKey {
        EntityKey::new("a", TypeId(0), format!("{}", self.below(2)))
    }

    fn scope(&mut self) -> &'static str {
        SCOPES[self.below(3) as usize]
    }

    fn origin(&mut self) -> Origin {
        let (region, stream) = (self.below(3) as u16, self.below(2) as u16);
        Origin { incarnation: 1_000 + self.below(2), ..origin(region, stream) }
    }

    fn dot(&mut self) -> Dot {
        let seq = if self.below(20) == 0 { u64::MAX } else { self.below(15) };
        dot(self.below(3), seq)
    }

    fn field(&mut self) -> FieldId {
        FieldId(self.below(2) as u32)
    }

    fn vector(&mut self, most: u64) -> Vector {
        (0..self.below(6)).map(|_| (self.origin(), self.below(most))).collect()
    }

    fn position(&mut self) -> Position {
        Position { origin: self.origin(), seq: 1 + self.below(40) }
    }

    fn births(&mut self) -> Vec<Dot> {
        vec![dot(9, 1 + self.below(3))]
    }

    fn after(&mut self) -> Option<EntityKey> {
        if self.below(2) == 0 { None } else { Some(self.key()) }
    }

    fn limit(&mut self) -> usize {
        [0, 1, 3, 10, usize::MAX][self.below(5) as usize]
    }

    fn record(&mut self) -> Record {
        let mut op = Op::void(self.dot(), self.key(), "user".into());
        op.hlc = Hlc(self.below(100));
        op.births = vec![op.dot];
        let value = Value::Int(self.below(1_000) as i64);
        let change = Change::Register { value, replaced: None };
        let changes = vec![FieldChange { field: self.field(), change }];
        op.action = Action::Create { parent: None, changes };
        let mut entity = Entity::default();
        entity.apply(&op);
        let [scopes, past] =
            [(); 2].map(|()| (0..self.below(3)).map(|_| self.scope().into()).collect());
        Record { entity, touch: self.vector(40), scopes, past }
    }

    fn text(&mut self) -> Text {
        let mut text = Text::default();
        for _ in 0..self.below(3) {
            let snapshot = (self.below(3) > 0).then(|| vec![self.below(9) as u8]);
            let updates = (0..self.below(3)).map(|_| (self.dot(), Blob(vec![1]))).collect();
            text.insert_part(self.births(), Part { snapshot, updates });
        }
        text
    }

    fn dot_record(&mut self) -> DotRecord {
        let fingerprint = Fingerprint([self.below(3) as u8; 16]);
        let tx = Tx { first: self.below(9), count: self.below(9) as u32 };
        DotRecord { fingerprint, position: self.position(), tx }
    }

    fn device_record(&mut self) -> DeviceRecord {
        let ranges = (0..self.below(3)).map(|_| {
            let first = self.below(50);
            (first, first + 3)
        });
        let received = SeqSet::from_parts(5, ranges.collect::<Vec<_>>());
        let principal = (self.below(2) > 0).then(|| "user".into());
        let confirmed = SeqSet::up_to(self.below(9));
        DeviceRecord { received, confirmed, closed: self.below(2) > 0, principal }
    }

    /// One call, and what it answered.
    pub(super) fn call<S: Store>(&mut self, s: &mut S) -> String {
        match self.below(100) {
            0..40 => self.write_entities(s),
            40..52 => self.write_texts(s),
            52..68 => self.write_devices(s),
            68..80 => self.write_logs(s),
            _ => self.read(s),
        }
    }

    fn write_entities<S: Store>(&mut self, s: &mut S) -> String {
        match self.below(10) {
            0..3 => told(s.put_entity(&self.key(), self.record())),
            3..5 => told(s.put_child(&self.key(), &self.key())),
            5 => {
                // As an op does it, so that home has heard what touched the entity.
                let (key, position) = (self.key(), self.position());
                let mut record = s.entity(&key).unwrap_or_default().unwrap_or_default();
                record.touch.advance_to(position);
                let put = told(s.put_entity(&key, record));
                put + &told(s.touch(&key.home, &key, position.origin, position.seq))
            }
            _ => {
                let (scope, key) = (self.scope(), self.key());
                told(s.touch(scope, &key, self.origin(), self.below(40)))
            }
        }
    }

    fn write_texts<S: Store>(&mut self, s: &mut S) -> String {
        let (key, field) = (self.page(), self.field());
        if self.below(3) == 0 {
            return told(s.put_text(&key, field, &self.text(), &self.vector(40)));
        }
        let (births, dot) = (self.births(), self.dot());
        let blob = [self.below(9) as u8];
        told(s.add_text(&key, field, &births, dot, &blob, self.position()))
    }

    fn write_devices<S: Store>(&mut self, s: &mut S) -> String {
        let dot = self.dot();
        match self.below(10) {
            8 => self.add_run(s),
            9 => {
                let first = self.below(400);
                told(s.remove_dots(DeviceId::from_number(3), first, first + self.below(200)))
            }
            0 => told(s.put_device(dot.device, &self.device_record())),
            1 => {
                let last = dot.seq.saturating_add(self.below(3));
                told(s.remove_dots(dot.device, dot.seq, last))
            }
            2 => {
                let field = (self.below(2) > 0).then(|| self.field());
                let refusal =
                    Refusal { code: "c".into(), seq: self.below(9), field, detail: "d".into() };
                let of = Fingerprint([self.below(3) as u8; 16]);
                told(s.put_refusal(dot, of, &refusal))
            }
            3 => told(s.remove_refusal(dot, Fingerprint([self.below(3) as u8; 16]))),
            _ => told(s.add_dot(dot, self.dot_record())),
        }
    }

    /// Ops that come one behind the other: of one transaction, or each of its own.
    fn add_run<S: Store>(&mut self, s: &mut S) -> String {
        let (first, count) = (self.below(400), self.below(150));
        let (record, one) = (self.dot_record(), self.below(2) == 0);
        let mut answers = String::new();
        for by in 0..count {
            let mut record = record;
            if one {
                record.tx = Tx { first, count: count as u32 };
            } else {
                record.position.seq += by;
                record.tx = Tx { first: first + by, count: 1 };
            }
            answers += &told(s.add_dot(dot(3, first + by), record));
        }
        answers
    }

    fn write_logs<S: Store>(&mut self, s: &mut S) -> String {
        let origin = self.origin();
        match self.below(20) {
            0 => told(s.truncate(origin, self.below(12))),
            3 => told(s.clip_index(origin, 1 + self.below(40))),
            1 => told(s.put_cut(origin, self.below(9))),
            2 => {
                let region = RegionId(self.below(9) as u16);
                told(s.set_identity(Identity { region, incarnation: self.below(9) }))
            }
            _ => {
                let next = s.head(origin).unwrap().seq + 1;
                // Sometimes a wrong one.
                let seq = if self.below(5) == 0 { self.below(12) } else { next };
                let entry = vec![7; self.below(50) as usize];
                told(s.append(origin, &LogRow { entry, ..log_row(seq) }))
            }
        }
    }

    fn read<S: Store>(&mut self, s: &mut S) -> String {
        let device = DeviceId::from_number(self.below(3));
        match self.below(21) {
            18 => {
                let of_run = dot(3, self.below(550));
                told(s.dots(of_run))
            }
            19 => told(s.dot_records(DeviceId::from_number(3), self.below(550), self.limit())),
            20 => told(s.entries(self.scope(), self.after().as_ref(), self.limit())),
            0 => told(s.identity()),
            1 => told(s.entity(&self.key())),
            2 => told(s.children(&self.key())),
            3 => told(s.entities(self.after().as_ref(), self.limit())),
            4 => told(s.text(&self.page(), self.field())),
            5..7 => told(s.texts_since(&self.page(), &self.vector(40))),
            7..11 => {
                let (scope, cursor, after) = (self.scope(), self.vector(40), self.after());
                told(s.changed(scope, &cursor, after.as_ref(), self.limit()))
            }
            11 => told(s.scope_size(self.scope())),
            12 => told(s.device(device)),
            13 => told(s.dots(self.dot())),
            14 => told(s.dot_records(device, self.below(9), self.limit())),
            15 => told(s.refusals(self.dot())),
            16 => told(s.heads()) + &told(s.cuts()) + &told(s.head(self.origin())),
            _ => told(s.log(self.origin(), self.below(12), self.below(99) as usize)),
        }
    }
}

/// All that a store tells of the names that calls are about.
pub(super) fn all<S: Store>(s: &mut S) -> Vec<String> {
    let entities = s.entities(None, usize::MAX).unwrap_or_default();
    let mut all = vec![told(s.identity()), told(s.heads()), told(s.cuts())];
    for home in ["a", "a\0", "b"] {
        for (kind, id) in (0..24).map(|n| (TypeId(n % 2 * 300), n / 2)) {
            let key = EntityKey::new(home, kind, format!("{id}"));
            all.push(told(s.children(&key)));
            all.extend([0, 1].map(|field| told(s.text(&key, FieldId(field)))));
            all.push(told(s.texts_since(&key, &Vector::new())));
        }
    }
    all.push(format!("{entities:?}"));
    for scope in SCOPES {
        all.push(told(s.entries(scope, None, usize::MAX)));
        all.push(told(s.changed(scope, &Vector::new(), None, usize::MAX)));
        all.push(told(s.scope_size(scope)));
    }
    for device in 0..4 {
        let id = DeviceId::from_number(device);
        all.push(told(s.device(id)));
        all.push(told(s.dot_records(id, 0, usize::MAX)));
        all.extend((0..16).map(|seq| told(s.refusals(dot(device, seq)))));
    }
    for (origin, _) in s.heads().unwrap_or_default() {
        all.push(told(s.log(origin, 0, usize::MAX)));
    }
    all
}

/// Errors differ between stores; that there is one does not.
fn told<T: Debug, E>(answer: Result<T, E>) -> String {
    answer.map_or("refused".to_owned(), |value| format!("{value:?}"))
}
