//! Evidence that is damaged on purpose: each checker finds the damage that it is for, and nothing
//! where there is none.

use super::{CHECKS, Device, Evidence};
use crate::checkers::Accepted;
use crate::plan::{Plan, Weather};
use crate::rng::Rng;
use crate::world::{Event, World};
use crate::{Options, checkers};
use landfall_model::id::Dot;
use landfall_model::op::{Change, Sealed};
use landfall_model::value::Value;
use landfall_sync::device::store::{OpState, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a calm world leaves in which all kinds of things were written.
fn evidence() -> Evidence {
    let options = Options { weather: Weather::Calm, ..Options::default() };
    let rich = |e: &Evidence| {
        let counts =
            |s: &Sealed| s.op.changes().iter().any(|c| matches!(c.change, Change::Counter(_)));
        e.regions.len() > 1
            && e.accepted.ops.values().any(counts)
            && e.accepted.entries.iter().any(|(_, _, names)| names.len() > 1)
            && e.devices.iter().any(|d| !d.visible.is_empty())
    };
    let mut worlds = (0..200).map(|seed| {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng, options.weather);
        let mut world = World::new(seed, &options, plan, rng);
        world.add_regions();
        world.add_devices();
        world.after(50, Event::Act);
        world.live_through();
        world.settle();
        assert!(world.failure.is_none(), "{:?}", world.failure);
        Evidence::of(&world)
    });
    let mut evidence = worlds.find(rich).expect("a seed of many");
    for device in &mut evidence.devices {
        // As a process would have written it down.
        let own = evidence.accepted.ops.values().filter(|s| s.op.dot.device == device.meta.device);
        device.told.written = own.filter(|s| !s.op.is_void()).map(|s| s.op.dot).collect();
        device.told.acknowledged = device.told.written.iter().map(|dot| (*dot, true)).collect();
    }
    evidence
}

/// The name of the checker that finds something first.
fn found(evidence: &Evidence) -> Option<&'static str> {
    CHECKS.iter().find_map(|(_, check)| check(evidence)).map(|finding| finding.checker)
}

#[track_caller]
fn check(expected: &'static str, damage: impl FnOnce(&mut Evidence)) {
    let mut evidence = evidence();
    assert_eq!(CHECKS.iter().find_map(|(_, check)| check(&evidence)), None);
    damage(&mut evidence);
    assert_eq!(found(&evidence), Some(expected));
}

fn a_writer(evidence: &mut Evidence) -> &mut Device {
    let mut devices = evidence.devices.iter_mut();
    devices.find(|d| !d.told.written.is_empty()).expect("somebody wrote")
}

#[test]
fn an_entry_that_one_region_lacks_is_found() {
    check("logs", |e| drop(e.regions[1].logs.remove(0)));
    check("logs", |e| {
        let (origin, row) = e.regions[1].logs.pop().expect("a log");
        let mut heads = e.regions[1].heads.iter_mut();
        heads.find(|(of, _)| *of == origin).expect("its head").1.seq = row.seq - 1;
    });
    check("logs", |e| e.regions[1].logs[0].1.hash = e.regions[1].heads[0].1.hash);
}

#[test]
fn an_op_that_counts_as_received_and_is_logged_nowhere_is_found() {
    check("logs", |e| {
        let record = e.regions[0].devices.values_mut().next().expect("a device");
        record.received.insert(record.received.highest() + 1);
    });
}

#[test]
fn an_op_that_nobody_wrote_is_found() {
    check("unchanged", |e| {
        let name = *e.accepted.ops.iter().find(|(_, s)| !s.op.is_void()).expect("an op").0;
        e.sent.remove(&name);
    });
}

#[test]
fn a_counter_that_counts_twice_is_found() {
    check("exactly-once", |e| {
        let counts = |s: &&Sealed| {
            let op = &s.op;
            let standing = e.regions[0].entities.get(&op.key).is_some_and(|record| {
                op.births.first().is_some_and(|birth| record.entity.living().any(|b| b == *birth))
            });
            standing && op.changes().iter().any(|c| matches!(c.change, Change::Counter(_)))
        };
        let mut twice = e.accepted.ops.values().find(counts).expect("a count").op.clone();
        twice.dot = Dot::new(twice.dot.device, twice.dot.seq + 1_000_000);
        if let landfall_model::op::Action::Create { changes, .. } = twice.action {
            twice.action = landfall_model::op::Action::Update(changes);
        }
        e.regions[0].entities.get_mut(&twice.key).expect("it").entity.apply(&twice);
    });
}

#[test]
fn a_transaction_that_is_torn_is_found() {
    check("atomicity", |e| {
        let whole = |names: &Vec<_>| names.len() > 1;
        let mut entries = e.accepted.entries.iter_mut().map(|(_, _, names)| names);
        assert!(entries.find(|names| whole(names)).expect("a transaction").pop().is_some());
    });
}

#[test]
fn a_row_that_one_region_lost_or_made_up_is_found() {
    check("convergence", |e| drop(e.regions[1].entities.pop_first()));
    check("convergence", |e| {
        let (key, record) = e.regions[0].entities.first_key_value().expect("a row");
        let (mut key, record) = (key.clone(), record.clone());
        key.id = "nobody's".into();
        e.regions[1].entities.insert(key, record);
    });
}

#[test]
fn a_write_that_is_nowhere_is_found() {
    check("survival", |e| {
        let writer = a_writer(e);
        let next = writer.told.written.last().map(|dot| Dot::new(dot.device, dot.seq + 1));
        writer.told.written.extend(next);
    });
    check("survival", |e| {
        let writer = a_writer(e);
        let next = writer.told.written.last().map(|dot| Dot::new(dot.device, dot.seq + 1));
        writer.told.acknowledged.extend(next.map(|dot| (dot, false)));
    });
    check("survival", |e| a_writer(e).told.failed.push("LF2207: busy".to_owned()));
}

#[test]
fn an_acknowledged_op_that_left_all_logs_is_found() {
    let mut evidence = evidence();
    let dot = *a_writer(&mut evidence).told.acknowledged.last_key_value().expect("an ack").0;
    evidence.accepted.ops.retain(|(of, _), _| *of != dot);
    let finding = checkers::ends::check(&evidence).expect("it is lost");
    assert_eq!((finding.checker, finding.invariant), ("survival", "I2"));
}

#[test]
fn a_refusal_without_an_outcome_or_without_effect_is_found() {
    check("outcomes", |e| {
        let writer = a_writer(e);
        let dot = *writer.told.written.last().expect("a write");
        writer.told.refused.insert(Dot::new(dot.device, dot.seq + 1), "not_allowed".to_owned());
    });
    check("outcomes", |e| {
        let key = e.regions[0].entities.keys().next().expect("a row").clone();
        let writer = a_writer(e);
        let dot = *writer.told.written.last().expect("a write");
        let (code, detail) = ("not_allowed".to_owned(), String::new());
        writer.told.refused.insert(dot, code.clone());
        writer.outcomes.push((dot, key, Outcome::Rejected { code, field: None, detail }));
    });
}

#[test]
fn a_write_that_still_waits_is_found() {
    check("survival", |e| {
        let sealed = e.accepted.ops.values().next().expect("an op").clone();
        let (order, state) = (1, OpState::Unsent);
        let own = landfall_sync::device::store::OwnOp { order, sealed, state, overlay: false };
        a_writer(e).ops.push(own);
    });
}

#[test]
fn a_row_that_a_device_lacks_or_shows_otherwise_is_found() {
    let shows = |e: &Evidence| {
        let shows = |d: &Device| d.visible.keys().any(|key| d.bases.contains_key(key));
        e.devices.iter().position(shows).expect("a row shows")
    };
    check("devices", |e| {
        let device = shows(e);
        let device = &mut e.devices[device];
        let key = device.visible.keys().find(|k| device.bases.contains_key(*k)).cloned();
        device.bases.remove(&key.expect("a row"));
    });
    check("devices", |e| {
        let (device, field) = (shows(e), e.app.ids.name);
        let device = &mut e.devices[device];
        let mut rows = device.visible.iter_mut();
        let (_, view) = rows.find(|(key, _)| device.bases.contains_key(*key)).expect("a row");
        let mut other = (**view).clone();
        other.registers.insert(field, Value::text("as nobody wrote it"));
        *view = Arc::new(other);
    });
}

#[test]
fn a_number_that_is_given_twice_is_found() {
    check("identity", |e| a_writer(e).meta.sent_seq = 0);
}

#[test]
fn a_counter_that_went_back_is_found() {
    check("sessions", |e| {
        let shown = |n: i64| BTreeMap::from([("team/red t0".to_owned(), n)]);
        e.devices[0].told.shows = [shown(2), shown(3), shown(2)].into();
    });
    let mut evidence = evidence();
    let shown = |n: i64| BTreeMap::from([("team/red t0".to_owned(), n)]);
    // In between it was not followed.
    evidence.devices[0].told.shows = [shown(3), BTreeMap::new(), shown(2), shown(2)].into();
    assert_eq!(found(&evidence), None);
}

#[test]
fn what_was_received_is_read_from_the_logs() {
    let evidence = evidence();
    assert_eq!(Accepted::of(&evidence.regions[1]).ops.len(), evidence.accepted.ops.len());
}
