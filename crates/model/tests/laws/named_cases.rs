//! Cases that once failed, each with the rule that it broke.

use super::history::merged;
use super::samples::{change, dot, op};
use landfall_model::codec::{from_bytes, to_bytes};
use landfall_model::entity::{Entity, Living};
use landfall_model::id::{Dot, FieldId, RegionId, StreamId};
use landfall_model::op::{Action, Change, Op, Removal, Sealed};
use landfall_model::stamp::Stamp;
use landfall_model::value::Value;
use landfall_model::vector::{Origin, SeqSet, Vector};
use std::collections::BTreeMap;

fn write(births: Vec<Dot>, replaced: Option<Stamp>) -> Op {
    let register = Change::Register { value: Value::Int(1), replaced };
    op(9, births, Action::Update(vec![change(1, register)]))
}

fn both_orders(a: &Op, b: &Op) -> [Entity; 2] {
    [merged([a, b]), merged([b, a])]
}

/// A clone repeats a write under one dot and stamp, with one value, on other births.
#[test]
fn equal_writes_of_clones_on_different_births_are_kept_in_one_order() {
    let [a, b] = both_orders(&write(vec![dot(1, 1)], None), &write(vec![dot(2, 1)], None));
    assert_eq!(to_bytes(&a), to_bytes(&b));
}

/// A clone repeats a write, having seen another stamp in its place.
#[test]
fn equal_writes_of_clones_that_replaced_different_stamps_are_settled() {
    let births = vec![dot(1, 1)];
    let other = write(births.clone(), Some(Stamp::default()));
    let [a, b] = both_orders(&write(births, None), &other);
    assert_eq!(to_bytes(&a), to_bytes(&b));
    assert_eq!(a.register(FieldId(1), &Living), None, "the birth has not arrived");
}

#[test]
fn numbers_at_the_end_of_the_range_are_received_like_any_other() {
    let mut set = SeqSet::from_parts(3, [(u64::MAX, u64::MAX), (9, 9)]);
    set.insert(u64::MAX - 1);
    assert_eq!(set.ranges(), [(9, 9), (u64::MAX - 1, u64::MAX)]);
    assert!(set.contains_range(u64::MAX - 1, u64::MAX) && !set.contains_range(9, u64::MAX));
    set.insert_range(1, u64::MAX);
    assert_eq!(set, SeqSet::up_to(u64::MAX));
    set.insert(7);
    assert!(set.contains_range(1, u64::MAX) && set.contains_range(u64::MAX, u64::MAX));
}

/// Touching, empty, crossing, unordered ranges; a range at zero.
#[test]
fn a_set_of_numbers_that_is_not_canonical_is_refused() {
    for (upto, ranges) in [
        (5, vec![(6u64, 8u64)]),
        (5, vec![(3, 9)]),
        (0, vec![(9, 8)]),
        (0, vec![(3, 5), (6, 7)]),
        (0, vec![(8, 9), (3, 5)]),
        (0, vec![(0, 5)]),
        (u64::MAX, vec![(1, 1)]),
    ] {
        let bytes = minicbor::to_vec((upto, &ranges)).unwrap();
        assert!(from_bytes::<SeqSet>(&bytes).is_err(), "{upto} {ranges:?}");
    }
}

/// An app's value objects may hold one another; what a device writes, a region must read.
#[test]
fn value_objects_thirteen_deep_are_read_wherever_an_op_holds_them() {
    let nested =
        |depth| (0..depth).fold(Value::Int(1), |inner, _| Value::object([(FieldId(1), inner)]));
    let removing = |value| {
        let remove = vec![Removal { value, dots: vec![dot(1, 1)] }];
        let set = Change::Set { add: vec![], remove };
        op(2, vec![dot(1, 1)], Action::Update(vec![change(1, set)])).seal()
    };
    let deep = removing(nested(13));
    assert_eq!(Sealed::decode(&deep.payload), Ok(deep));
    assert!(Sealed::decode(&removing(nested(14)).payload).is_err());
}

#[test]
fn a_vector_that_covers_an_origin_up_to_zero_is_refused() {
    let origin = Origin { region: RegionId(1), incarnation: 2, stream: StreamId(3) };
    let bytes = minicbor::to_vec(BTreeMap::from([(origin, 0u64)])).unwrap();
    assert!(from_bytes::<Vector>(&bytes).is_err());
}

#[test]
fn a_float_that_is_not_canonical_is_refused() {
    for bits in [(-0.0f64).to_bits(), 0xfff8_0000_0000_0000, 0x7ff8_0000_0000_0001] {
        let bytes = minicbor::to_vec((3u8, (bits,))).unwrap();
        assert!(from_bytes::<Value>(&bytes).is_err(), "{bits:x}");
    }
    let nan = minicbor::to_vec((3u8, (0x7ff8_0000_0000_0000u64,))).unwrap();
    assert_eq!(from_bytes::<Value>(&nan), Ok(Value::from(f64::NAN)));
}

/// A region that lost the birth of the one and all of the other shows neither, and lacks both.
#[test]
fn a_write_whose_birth_is_unknown_does_not_stand_for_the_one_that_it_outdid_elsewhere() {
    let create = |n| op(n, vec![dot(1, n)], Action::Create { parent: None, changes: vec![] });
    let set = |n, birth, value| {
        let register = Change::Register { value: Value::Int(value), replaced: None };
        op(n, vec![dot(1, birth)], Action::Update(vec![change(1, register)]))
    };
    let (first, low) = (create(1), set(3, 1, 3));
    let high = set(4, 2, 4);
    let before = merged([&first, &low, &high]);
    let dots = |ops: &[&Op]| ops.iter().map(|op| op.dot).collect();
    assert_eq!(merged([&first, &high]).without(&before, |_| true), dots(&[&low]));
    let second = create(2);
    assert_eq!(merged([&first, &second, &high]).without(&before, |_| true), dots(&[]));
    assert_eq!(merged([&first, &low]).without(&before, |_| true), dots(&[&high]));
}
