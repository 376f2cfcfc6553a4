//! What every implementation of [`Store`] does, as assertions.
//!
//! Each test of an implementation hands in a maker of fresh stores and calls [`run`]. The suite
//! asks only through the trait; what a store shows to the app is tested where it is shown.

mod bases;
mod ops;
mod scopes;

use super::store::{Base, Held, Meta, OpState, OwnOp, Store, Subscription, View};
use landfall_model::entity::Entity;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, StreamId, TypeId};
use landfall_model::op::{Action, Change, FieldChange, Op, Sealed, Tx};
use landfall_model::stamp::Hlc;
use landfall_model::text::Text;
use landfall_model::vector::{Origin, Vector};
use std::fmt::Debug;

/// Run every check, each on a store of its own. Panics where the store does not conform.
pub fn run<S: Store>(mut fresh: impl FnMut() -> S) {
    let checks: &[fn(&mut S)] = &[
        a_fresh_store_is_empty,
        meta_is_replaced,
        bases::bases_come_back_whole,
        bases::bases_are_walked_in_key_order,
        bases::what_is_known_of_a_range_of_names_is_told,
        bases::keys_order_by_home_then_kind_then_id,
        bases::holds_follow_the_base_row,
        bases::a_row_that_its_home_alone_holds_is_found_like_any_other,
        bases::base_texts_come_and_go,
        bases::prints_tell_base_texts_apart,
        bases::a_base_row_takes_its_texts_along,
        bases::text_marks_go_with_the_base_row,
        bases::children_are_noted_once,
        bases::names_are_found_in_any_home,
        bases::deletions_are_kept_until_newer_ones_need_their_place,
        ops::every_state_of_an_op_comes_back,
        ops::an_op_is_replaced_under_its_dot,
        ops::an_op_may_be_overlay_only,
        ops::ops_on_an_entity_are_in_order,
        ops::the_outbox_is_in_order_and_holds_only_what_waits,
        ops::all_ops_are_walked_in_order,
        ops::a_void_stands_beside_its_op,
        ops::unconfirmed_numbers_are_kept_per_device,
        ops::own_births_outlive_the_row,
        scopes::subscriptions_come_back_whole,
        scopes::refetches_are_per_scope,
        scopes::what_a_scope_holds_is_counted_and_listed,
        scopes::pins_stay_until_they_are_taken_off,
        scopes::removed_rows_keep_their_last_touch,
        scopes::cuts_are_replaced,
        showing_is_idempotent,
        bases::who_refers_to_an_id_is_found_by_how_it_shows,
        ops::outcomes_are_taken_once,
        awkward_names_are_kept_apart,
    ];
    for check in checks {
        check(&mut fresh());
    }
}

fn a_fresh_store_is_empty<S: Store>(s: &mut S) {
    let (dot, key) = (dot(1, 1), key("s/1", 1, "a"));
    assert_eq!(ok(s.meta()), None);
    assert_eq!(ok(s.base(&key)), None);
    assert_eq!(ok(s.bases(None, 10)), []);
    assert_eq!(ok(s.held_by("s/1", None, 10)), []);
    assert_eq!(ok(s.held("s/1")), Held::default());
    assert_eq!(ok(s.longest_held("s/1", 0, 10)), []);
    assert_eq!(ok(s.pins()), []);
    assert!(ok(s.base_text(&key, FieldId(1))).is_empty());
    assert_eq!(ok(s.text_mark(&key, FieldId(1))), None);
    assert_eq!(ok(s.children(&key)), []);
    assert_eq!(ok(s.find(key.kind, &key.id)), []);
    assert_eq!(ok(s.op(dot)), None);
    assert_eq!(ok(s.ops_on(&key)), []);
    assert_eq!(ok(s.outbox(0, 10)), []);
    assert_eq!(ok(s.ops(0, 10)), []);
    assert_eq!(ok(s.void(dot)), None);
    assert_eq!(ok(s.voids()), []);
    assert_eq!(ok(s.unconfirmed()), []);
    assert_eq!(ok(s.own_birth(&key)), None);
    assert_eq!(ok(s.subscriptions()), []);
    assert_eq!(ok(s.subscription("s/1")), None);
    assert_eq!(ok(s.refetches("s/1", None, 10)), []);
    assert_eq!(ok(s.removed()), []);
    assert!(ok(s.cuts()).is_empty());
}

fn meta_is_replaced<S: Store>(s: &mut S) {
    let mut meta = Meta {
        device: DeviceId([0xff; 16]),
        last_seq: 7,
        sent_seq: 6,
        clock: Hlc(u64::MAX),
        read: Hlc(u64::MAX - 1),
        offset_ms: -5,
        former: vec![DeviceId::from_number(2), DeviceId::from_number(1)],
        last_order: 9,
    };
    ok(s.put_meta(&Meta::default()));
    assert_eq!(ok(s.meta()), Some(Meta::default()));
    ok(s.put_meta(&meta));
    assert_eq!(ok(s.meta()), Some(meta.clone()));
    meta.last_seq += 1;
    meta.former.clear();
    ok(s.put_meta(&meta));
    assert_eq!(ok(s.meta()), Some(meta));
}

fn showing_is_idempotent<S: Store>(s: &mut S) {
    let (a, view) = (key("s/1", 1, "a"), View::default());
    for view in [None, Some(&view), Some(&view), None, None] {
        ok(s.show(&a, view));
    }
}

fn awkward_names_are_kept_apart<S: Store>(s: &mut S) {
    let ids = ["", "A", "a", "a ", "a\0", "a\0b", "a'", "a\"b", "é", "e\u{301}", "%", "0", "00"];
    for id in ids {
        let base = base(id, 1, &[id]);
        ok(s.put_base(&key(id, 1, id), &base));
        ok(s.put_subscription(id, &Subscription::default()));
    }
    for id in ids {
        assert_eq!(ok(s.base(&key(id, 1, id))), Some(base(id, 1, &[id])), "{id:?}");
        assert_eq!(ok(s.held_by(id, None, 10)), [key(id, 1, id)], "{id:?}");
    }
    let mut sorted = ids;
    sorted.sort_unstable();
    let scopes: Vec<_> = ok(s.subscriptions()).into_iter().map(|(scope, _)| scope).collect();
    assert_eq!(scopes, sorted.map(std::sync::Arc::from));
}

fn ok<T, E: Debug>(result: Result<T, E>) -> T {
    result.expect("a store of a test does not fail")
}

fn key(home: &str, kind: u32, id: &str) -> EntityKey {
    EntityKey::new(home, TypeId(kind), id)
}

fn dot(device: u64, seq: u64) -> Dot {
    Dot::new(DeviceId::from_number(device), seq)
}

fn origin(region: u16, incarnation: u64, stream: u16) -> Origin {
    Origin { region: RegionId(region), incarnation, stream: StreamId(stream) }
}

fn vector(n: u64) -> Vector {
    [(origin(1, n, 2), n), (origin(u16::MAX, u64::MAX, u16::MAX), u64::MAX)].into_iter().collect()
}

fn base(title: &str, seq: u64, holds: &[&str]) -> Base {
    let mut entity = Entity::default();
    entity.apply(&op(1, seq, title).op);
    let joined = vector(seq + 1);
    Base { entity, touch: vector(seq), joined, holds: holds.iter().map(|s| (*s).into()).collect() }
}

fn text(seq: u64) -> Text {
    let mut text = Text::default();
    text.apply(&[dot(1, 1)], dot(1, seq), b"only kept, never opened");
    text
}

/// A creation of `id` in `s/1`.
fn op(device: u64, seq: u64, id: &str) -> Sealed {
    let change = Change::Register { value: id.into(), replaced: None };
    let changes = vec![FieldChange { field: FieldId(1), change }];
    let op = Op {
        hlc: Hlc::from_millis(1_000),
        tx: Tx { first: seq, count: 1 },
        births: vec![dot(device, seq)],
        action: Action::Create { parent: None, changes },
        ..Op::void(dot(device, seq), key("s/1", 1, id), "me".into())
    };
    op.seal()
}

fn own(device: u64, seq: u64, order: u64, id: &str) -> OwnOp {
    OwnOp { order, sealed: op(device, seq, id), state: OpState::Unsent, overlay: true }
}
