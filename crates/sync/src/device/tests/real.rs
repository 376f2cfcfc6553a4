//! Devices against real regions, frame by frame, on seeds: whatever order things happen in, all
//! that was written arrives once, and everybody ends up seeing the same.

use super::*;
use crate::region::Config;
use crate::region::access::{Authenticator, Author, Denial};
use crate::region::memory::MemoryStore as RegionStore;
use crate::region::node::{LinkId, Node as RegionNode, SessionId};
use crate::region::store::Store as _;
use landfall_model::entity::Living;
use std::collections::{BTreeSet, VecDeque};

const REGIONS: u16 = 2;
const DRIVERS: [&str; 2] = ["7", "8"];

/// Lets everybody do everything.
struct Anybody;

impl Authenticator for Anybody {
    fn device(&self, _: &str, _: i64) -> Result<Author, Denial> {
        let all = || vec!["*".into()];
        let (subject, publishes) = ("ann".into(), Vec::new());
        let (scopes, audiences) = (all(), all());
        Ok(Author { subject, scopes, audiences, publishes, expires_ms: i64::MAX })
    }

    fn peer(&self, _: &str, _: i64) -> Result<(), Denial> {
        Ok(())
    }
}

struct Region {
    node: RegionNode,
    store: RegionStore,
}

/// A device with its connection: frames under way in both directions.
struct Client {
    device: Device,
    region: Option<u16>,
    session: u64,
    up: VecDeque<wire::DeviceFrame>,
    down: VecDeque<wire::RegionFrame>,
    /// Votes that it gave.
    votes: Vec<(Dot, EntityKey, i64)>,
    whole: bool,
}

struct World {
    regions: Vec<Region>,
    clients: Vec<Client>,
    peers: VecDeque<(usize, LinkId, wire::PeerFrame)>,
    linked: bool,
    sessions: u64,
    now: i64,
    state: u64,
    deletes: bool,
    /// No file was put back, so every vote counts once.
    exact: bool,
    backup: Option<(usize, MemoryStore)>,
}

impl World {
    fn new(seed: u64, deletes: bool) -> Self {
        let region = |r: u16| {
            let regions = (0..REGIONS).map(RegionId).collect();
            let config = Config {
                region: RegionId(r),
                placement: 0,
                regions,
                lost: BTreeSet::new(),
                copies: 2,
            };
            let mut store = RegionStore::new();
            let auth = Box::new(Anybody);
            let node =
                RegionNode::open(&mut store, config, schema(), auth, "peer".into(), false, 1_000)
                    .unwrap();
            Region { node, store }
        };
        let client = |n: u64| {
            let mut device = Device::new(seed * 100 + n);
            let whole = n < 3;
            if whole {
                device.subscribe("team/a");
            }
            if n != 1 {
                device.subscribe("driver/7");
            }
            Client {
                device,
                region: None,
                session: 0,
                up: VecDeque::new(),
                down: VecDeque::new(),
                votes: Vec::new(),
                whole,
            }
        };
        Self {
            regions: (0..REGIONS).map(region).collect(),
            clients: (0..4).map(client).collect(),
            peers: VecDeque::new(),
            linked: false,
            sessions: 0,
            now: 2_000_000,
            state: seed,
            deletes,
            exact: true,
            backup: None,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) % below
    }

    fn work(&mut self, r: usize) {
        let region = &mut self.regions[r];
        region.store.begin();
        let out = region.node.work(&mut region.store, self.now).unwrap();
        region.store.commit();
        for (session, frame) in out.device {
            let of = |c: &&mut Client| c.session == session.0 && c.region == Some(r as u16);
            if let Some(client) = self.clients.iter_mut().find(of) {
                client.down.push_back(frame);
            }
        }
        if self.linked {
            let others = out.peer.into_iter().map(|(link, frame)| (1 - r, link, frame));
            self.peers.extend(others);
        }
        assert!(out.close.is_empty(), "no session is refused: {:?}", out.reports);
    }

    fn link(&mut self, up: bool) {
        self.linked = up;
        self.peers.clear();
        for r in 0..2 {
            for link in 0..2 {
                self.regions[r].node.link_down(LinkId(link));
                if up {
                    self.regions[r].node.link_up(LinkId(link), link as usize == r);
                }
            }
        }
        (0..2).for_each(|r| self.work(r));
    }

    fn connect(&mut self, c: usize, region: u16) {
        self.disconnect(c);
        self.sessions += 1;
        let client = &mut self.clients[c];
        client.region = Some(region);
        client.session = self.sessions;
        client.device.now = self.now;
        let device = &mut client.device;
        let out = device.node.hello(&mut device.store, "token", device.now).unwrap();
        device.store.commit();
        client.up.extend(out.frames);
    }

    fn disconnect(&mut self, c: usize) {
        let client = &mut self.clients[c];
        if let Some(region) = client.region.take() {
            self.regions[usize::from(region)].node.device_gone(SessionId(client.session));
        }
        client.up.clear();
        client.down.clear();
        client.device.node.disconnected();
    }

    fn poll(&mut self, c: usize) {
        let client = &mut self.clients[c];
        if client.region.is_some() {
            client.device.now = self.now;
            let out = client.device.poll();
            client.device.store.commit_durable();
            client.up.extend(out.frames);
        }
    }

    /// Carry one frame of a client, up or down. False if there is none.
    fn carry(&mut self, c: usize) -> bool {
        let client = &mut self.clients[c];
        let Some(region) = client.region else { return false };
        if let Some(frame) = client.up.pop_front() {
            let session = SessionId(client.session);
            self.regions[usize::from(region)].node.device_frame(session, frame);
            self.work(usize::from(region));
            return true;
        }
        let Some(frame) = client.down.pop_front() else { return false };
        client.device.now = self.now;
        let out = client.device.frame(frame.kind.unwrap());
        client.up.extend(out.frames);
        if let Some(close) = out.close {
            assert_eq!(close.code, "device_renewed");
            self.disconnect(c);
        }
        self.check_own(c);
        true
    }

    fn carry_peer(&mut self) -> bool {
        let Some((to, link, frame)) = self.peers.pop_front() else { return false };
        self.regions[to].node.peer_frame(link, frame);
        self.work(to);
        true
    }

    /// A device never loses sight of its own writes.
    fn check_own(&mut self, c: usize) {
        let client = &mut self.clients[c];
        // What hangs on a refused create does not show until its entity's row comes.
        let refused = |own: &OwnOp| matches!(own.state, OpState::Rejected { .. });
        if self.deletes || !client.whole || client.device.store.own_ops().any(refused) {
            return;
        }
        for (key, voted) in sum(&client.votes) {
            let seen = client.device.votes(&key);
            assert!(seen >= voted, "{c} voted {voted} on {key:?} and sees {seen}");
        }
    }

    fn write(&mut self, c: usize) {
        let id = self.random(3).to_string();
        let n = self.random(1_000) as i64;
        let what = self.random(if self.deletes { 10 } else { 9 });
        let driver = DRIVERS[self.random(2) as usize];
        let client = &mut self.clients[c];
        client.device.now = self.now;
        let there = client.device.view(&key(&id)).is_some();
        let label = ["x", "y", "z"][n as usize % 3];
        let len = client.device.body(&key(&id)).chars().count();
        let fields = match what {
            0 | 1 => vec![put(TITLE, n.to_string().as_str())],
            2 => vec![put(DRIVER, driver)],
            3 => vec![vote(1 + n % 5)],
            4 => vec![(LABELS, FieldEdit::Add(label.into()))],
            5 => vec![(LABELS, FieldEdit::Remove(label.into()))],
            6 | 7 => vec![splice(n as usize % (len + 1), 0, &format!("<{c}.{n}>"))],
            8 => vec![vote(1), put(SECRET, n), (POINTS, FieldEdit::Increment(1))],
            _ => vec![],
        };
        // Those who see the whole team create; a driver changes what is there.
        let edits = match (there, what) {
            (true, 9) if n % 3 == 0 => vec![Edit::Delete { key: key(&id) }],
            (true, 9) => vec![step_of(&format!("{id}.{}", n % 2), &id, "step")],
            (true, _) => vec![update(&id, fields)],
            (false, _) if client.whole => vec![task(&id, fields)],
            (false, _) => return,
        };
        let votes: i64 = edits
            .iter()
            .flat_map(|e| match e {
                Edit::Upsert { fields, .. } | Edit::Update { fields, .. } => fields.as_slice(),
                _ => &[],
            })
            .map(|(f, e)| match e {
                FieldEdit::Increment(n) if *f == VOTES => *n,
                _ => 0,
            })
            .sum();
        let receipt = client.device.write(&edits);
        client.votes.extend(receipt.dots.last().map(|d| (*d, key(&id), votes)));
        self.check_own(c);
        self.poll(c);
    }

    /// The power goes: what was not durable is lost, and was not sent.
    fn lose_power(&mut self, c: usize) {
        self.disconnect(c);
        let seed = 1_000 + self.random(1 << 20);
        let client = &mut self.clients[c];
        let mut store = client.device.store.clone();
        store.lose_power();
        let meta = store.meta().unwrap().unwrap();
        client.device = Device::on(store, seed);
        client.votes.retain(|(dot, ..)| {
            let kept = dot.device == meta.device && dot.seq <= meta.last_seq;
            kept || meta.former.contains(&dot.device)
        });
        self.check_own(c);
    }

    /// Keep a copy of a file, and later put it back in its place.
    fn back_up_or_restore(&mut self, c: usize) {
        let Some((c, store)) = self.backup.take() else {
            self.backup = Some((c, self.clients[c].device.store.clone()));
            return;
        };
        self.disconnect(c);
        let seed = 1_000 + self.random(1 << 20);
        self.clients[c].device = Device::on(store, seed);
        self.clients[c].votes.clear();
        self.exact = false;
    }

    fn resubscribe(&mut self, c: usize) {
        let device = &mut self.clients[c].device;
        let out = match device.store.subscription("driver/8").unwrap() {
            None => device.subscribe("driver/8"),
            Some(_) => device.node.unsubscribe(&mut device.store, "driver/8").unwrap(),
        };
        device.store.commit_durable();
        self.clients[c].up.extend(out.frames);
        self.check_own(c);
    }

    fn step(&mut self, faults: bool) {
        self.now += self.random(50) as i64;
        let c = self.random(4) as usize;
        match self.random(40) {
            0..8 => self.write(c),
            8 => {
                let region = self.random(2) as u16;
                self.connect(c, region);
            }
            9 => self.disconnect(c),
            10 => {
                let up = !self.linked;
                self.link(up);
            }
            11 => self.poll(c),
            12 if faults => match self.random(4) {
                0 => self.lose_power(c),
                1 => self.back_up_or_restore(c),
                _ => self.resubscribe(c),
            },
            12..24 => {
                self.carry_peer();
            }
            _ => {
                self.carry(c);
            }
        }
    }

    /// Let everything arrive.
    fn settle(&mut self) {
        self.link(true);
        for round in 0..12 {
            for c in 0..self.clients.len() {
                if self.clients[c].region.is_none() {
                    self.connect(c, (round % 2) as u16);
                }
            }
            self.now += 40_000;
            (0..self.clients.len()).for_each(|c| self.poll(c));
            loop {
                let mut moved = self.carry_peer();
                for c in 0..self.clients.len() {
                    moved |= self.carry(c);
                }
                if !moved {
                    break;
                }
            }
        }
    }

    fn check(&mut self) {
        let states = |r: &Region| -> Vec<(EntityKey, Entity, Vec<Scope>)> {
            let entities = r.store.iter_entities();
            entities
                .map(|(k, e)| (k.clone(), e.entity.clone(), e.scopes.iter().cloned().collect()))
                .collect()
        };
        let state = states(&self.regions[0]);
        assert_eq!(state, states(&self.regions[1]), "regions agree");
        let mut voted: BTreeMap<EntityKey, i64> = BTreeMap::new();
        for client in &self.clients {
            for (key, n) in sum(&client.votes) {
                *voted.entry(key).or_default() += n;
            }
        }
        for (key, entity, scopes) in &state {
            if !self.deletes && self.exact && key.kind == TASK {
                let total = voted.get(key).copied().unwrap_or(0);
                assert_eq!(entity.counter(VOTES, &Living), total, "{key:?}");
            }
            for c in 0..self.clients.len() {
                self.check_client(c, key, entity, scopes);
            }
        }
        for c in 0..self.clients.len() {
            let store = &mut self.clients[c].device.store;
            let waiting: Vec<_> = store
                .own_ops()
                .filter(|o| !matches!(o.state, OpState::Rejected { .. }))
                .map(|o| (o.sealed.op.dot, o.state.clone(), o.overlay, o.sealed.op.key.clone()))
                .collect();
            assert!(waiting.is_empty(), "client {c}: {waiting:?}");
            assert_eq!(store.voids().unwrap(), []);
            assert_eq!(store.unconfirmed().unwrap(), []);
            for name in ["team/a", "driver/7", "driver/8"] {
                assert_eq!(store.refetches(name, None, 9).unwrap(), [], "client {c}");
            }
        }
    }

    fn check_client(&mut self, c: usize, key: &EntityKey, entity: &Entity, scopes: &[Scope]) {
        let mut fallen = BTreeSet::new();
        if let Some(p) = entity.parent() {
            let parent = EntityKey::new(key.home.clone(), p.kind, p.id.clone());
            let record = self.regions[0].store.entity(&parent).unwrap();
            fallen = record.map(|r| r.entity.fallen(&Living)).unwrap_or_default();
        }
        let under = landfall_model::entity::UnderParent { fallen };
        let text = self.regions[0].store.text(key, BODY).unwrap();
        let births = entity.standing(&under);
        let text = text.open(|b| births.contains(&b)).unwrap().value();
        let client = &mut self.clients[c];
        let subscribed = client.device.store.subscriptions().unwrap();
        let holds: Vec<&Scope> =
            scopes.iter().filter(|s| subscribed.iter().any(|(n, _)| n == *s)).collect();
        let whole = holds.iter().any(|s| **s == key.home);
        let view = client.device.view(key);
        if holds.is_empty() || !entity.exists(&under) {
            assert_eq!(view, None, "client {c} sees {key:?}");
            return;
        }
        let view = view.unwrap_or_else(|| panic!("client {c} does not see {key:?}"));
        assert!(!view.pending, "client {c} {key:?}");
        let shown = |f: &FieldId| whole || DRIVER_SEES.contains(f);
        for field in [TITLE, DRIVER, SECRET, TEAM, OF].iter().filter(|f| shown(f)) {
            let here = view.registers.get(field);
            let there = entity.register(*field, &under).map(|w| &w.value);
            assert_eq!(here, there.filter(|v| !v.is_null()), "client {c} {key:?} {field:?}");
        }
        assert!(whole || !view.registers.contains_key(&SECRET), "client {c} {key:?}");
        if key.kind == TASK {
            let labels: Vec<Value> = entity.set(LABELS, &under).into_keys().cloned().collect();
            let here = view.sets.get(&LABELS).cloned().unwrap_or_default();
            assert_eq!(here, labels, "client {c} {key:?}");
            assert_eq!(view.counters[&VOTES], entity.counter(VOTES, &under), "client {c} {key:?}");
            let points = if whole { entity.counter(POINTS, &under) } else { 0 };
            assert_eq!(view.counters[&POINTS], points, "client {c} {key:?}");
            let body = view.texts.get(&BODY).cloned().unwrap_or_default();
            assert_eq!(body, text, "client {c} {key:?}");
        }
    }
}

fn sum(votes: &[(Dot, EntityKey, i64)]) -> BTreeMap<EntityKey, i64> {
    let mut sums = BTreeMap::new();
    for (_, key, n) in votes {
        *sums.entry(key.clone()).or_default() += n;
    }
    sums
}

fn run(seeds: std::ops::Range<u64>, deletes: bool, faults: bool) {
    for seed in seeds {
        let caught = std::panic::catch_unwind(|| {
            let mut world = World::new(seed, deletes);
            (0..600).for_each(|_| world.step(faults));
            world.settle();
            world.check();
        });
        if let Err(panic) = caught {
            eprintln!("seed {seed}, deletes {deletes}, faults {faults}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn every_write_arrives_once_and_all_see_the_same() {
    run(0..5, false, false);
}

#[test]
fn so_it_is_with_deletes() {
    run(0..5, true, false);
}

#[test]
fn so_it_is_with_power_losses_backups_and_changing_subscriptions() {
    run(0..5, false, true);
    run(5..10, true, true);
}
