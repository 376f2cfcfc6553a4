//! Parts of scopes: windows, budgets, pins, and rows that are evicted.

use super::*;
use crate::device::node::Output;

const DAY_MS: i64 = 86_400_000;

fn subscribed(terms: Terms) -> Device {
    let mut d = Device::new(1);
    d.now = 100 * DAY_MS;
    d.node.subscribe_with(&mut d.store, "team/a", terms, d.now).unwrap();
    d.connect(0, &[]);
    d
}

fn holding(terms: Terms, ids: &[&str]) -> Device {
    let mut d = subscribed(terms);
    let rows = ids.iter().map(|id| theirs(id, [])).collect();
    d.pass(1, rows, &[], &vector(9, 0));
    d
}

/// A task that another device made, as of position 1 of region 0.
fn theirs(id: &str, fields: impl IntoIterator<Item = (FieldId, FieldEdit)>) -> wire::Row {
    theirs_at(id, 1, fields)
}

fn theirs_at(
    id: &str,
    seq: u64,
    fields: impl IntoIterator<Item = (FieldId, FieldEdit)>,
) -> wire::Row {
    let seed = id.bytes().fold(7, |n, b| n * 31 + u64::from(b));
    let mut other = Device::new(seed);
    let made = other.write(&[task(id, fields)]);
    row(&key(id), &vector(seq, 0), &ops_of(&mut other, &made))
}

fn their_step(id: &str, parent: &str) -> wire::Row {
    let mut other = Device::new(99);
    other.write(&[task(parent, [])]);
    let made = other.write(&[step_of(id, parent, "theirs")]);
    row(&step(id), &vector(1, 0), &ops_of(&mut other, &made))
}

fn due(days: i64) -> (FieldId, FieldEdit) {
    put(DUE, Value::Int(days * DAY_MS * 1_000))
}

fn outside(id: &str, seq: u64) -> wire::Row {
    wire::Row { left: false, outside: true, ..left(&key(id), &vector(seq, 0)) }
}

fn shown(d: &Device) -> Vec<String> {
    d.store.visible().keys().map(|k| k.id.to_string()).collect()
}

pub(super) fn subscribe_frames(out: &Output) -> Vec<&wire::Subscribe> {
    let frame = |f: &'_ wire::DeviceFrame| matches!(&f.kind, Some(ToRegion::Subscribe(_)));
    let frames = out.frames.iter().filter(|f| frame(f));
    frames
        .map(|f| match &f.kind {
            Some(ToRegion::Subscribe(s)) => s,
            _ => unreachable!(),
        })
        .collect()
}

fn tidy(d: &mut Device) {
    assert!(d.node.tidy(&mut d.store, d.now).unwrap().0);
}

fn make_room(d: &mut Device, rows: usize) -> usize {
    d.node.make_room(&mut d.store, rows, d.now).unwrap().0
}

const THREE_ROWS: Terms =
    Terms { keep_ms: None, priority: 0, rows_max: Some(3), bytes_max: None, ttl_ms: None };
const TEN_DAYS: Terms = Terms {
    keep_ms: Some(10 * DAY_MS as u64),
    priority: 0,
    rows_max: None,
    bytes_max: None,
    ttl_ms: None,
};

#[test]
fn a_first_pass_ends_when_the_budget_is_full_and_what_is_here_stays_fresh() {
    let mut d = subscribed(THREE_ROWS);
    let rows = ["1", "2", "3", "4"].map(|id| theirs(id, [])).into();
    let out = d.delta(1, rows, &[], chunk(&vector(9, 0), false, Some(&key("4")), true));
    let sub = d.subscription("team/a");
    assert_eq!((sub.cursor, sub.pass, sub.loading, sub.short), (vector(9, 0), None, false, true));
    assert_eq!(shown(&d), ["1", "2", "3"]);
    assert!(out.events.iter().any(|e| matches!(e, Event::Progress { complete: true, .. })));
    // What is left of the pass is not asked for any more; what changes from here on is.
    let asked = subscribe_frames(&out);
    assert_eq!(asked.len(), 1);
    assert_eq!(convert::vector(asked[0].cursor.as_ref()).unwrap(), vector(9, 0));
    assert!(!asked[0].fresh && asked[0].pass.is_none());

    let number = asked[0].sub;
    d.pass(number, vec![], &[], &vector(9, 0));
    let rows = vec![theirs_at("2", 10, [put(TITLE, "new")]), theirs_at("7", 10, [])];
    d.live(number, rows, &[], &vector(10, 0));
    assert_eq!(shown(&d), ["1", "2", "3"]);
    assert_eq!(d.title(&key("2")).as_deref(), Some("new"));
}

#[test]
fn a_deletion_makes_room_and_is_no_absence() {
    let mut d = holding(THREE_ROWS, &["1", "2", "3"]);
    d.live(1, vec![left(&key("1"), &vector(10, 0))], &[], &vector(10, 0));
    assert_eq!(shown(&d), ["2", "3"]);
    d.live(1, vec![theirs_at("4", 11, [])], &[], &vector(11, 0));
    assert_eq!(shown(&d), ["2", "3", "4"]);
    assert!(!d.subscription("team/a").short);
}

#[test]
fn an_evicted_row_comes_back_with_the_whole_of_its_text() {
    let mut d = holding(Terms::default(), &["1", "2"]);
    assert_eq!(make_room(&mut d, 1), 1);
    assert_eq!(shown(&d), ["2"]);
    assert!(d.subscription("team/a").short);
    // What was missed of the document is not in a change: the row is asked for by name.
    d.live(1, vec![theirs_at("1", 10, [splice(0, 0, "end")])], &[], &vector(10, 0));
    assert_eq!(shown(&d), ["1", "2"]);
    assert_eq!(d.refetches("team/a"), [key("1")]);
}

#[test]
fn own_writes_keep_their_row_until_they_are_safe_and_in_it() {
    let mut d = holding(Terms::default(), &["1", "2"]);
    let mine = d.write(&[update("1", [put(TITLE, "mine")])]);
    assert_eq!(make_room(&mut d, 9), 1);
    assert_eq!(shown(&d), ["1"]);
    d.poll();
    d.accept(mine.dots[0], at(0, 10), true);
    assert_eq!(make_room(&mut d, 9), 0, "not in the base row yet");
    let sealed = {
        let mut other = Device::new(7 * 31 + u64::from(b'1'));
        let made = other.write(&[task("1", [])]);
        let mut ops = ops_of(&mut other, &made);
        ops.push(d.own(mine.dots[0]).unwrap().sealed);
        ops
    };
    let first = mine.dots[0].seq;
    d.live(1, vec![row(&key("1"), &vector(10, 0), &sealed)], &[only(first)], &vector(10, 0));
    assert_eq!(d.title(&key("1")).as_deref(), Some("mine"));
    assert_eq!(make_room(&mut d, 9), 1);
    assert_eq!(shown(&d), [""; 0]);
}

#[test]
fn a_family_goes_together_or_stays_together() {
    let mut d = holding(Terms::default(), &["1", "2"]);
    d.live(1, vec![their_step("s", "2")], &[], &vector(10, 0));
    d.node.pin(&mut d.store, &step("s"), true).unwrap();
    assert_eq!(make_room(&mut d, 9), 1);
    assert_eq!(shown(&d), ["2", "s"]);
    d.node.pin(&mut d.store, &step("s"), false).unwrap();
    make_room(&mut d, 1);
    assert_eq!(shown(&d), [""; 0]);
    // By itself a child is not taken in.
    d.live(1, vec![their_step("s", "2")], &[], &vector(11, 0));
    assert_eq!(shown(&d), [""; 0]);
}

#[test]
fn rows_that_grow_too_old_leave_and_come_back_when_they_are_young_again() {
    let mut d = subscribed(TEN_DAYS);
    let rows = vec![theirs("1", [due(91)]), theirs("2", [due(95)]), theirs("3", [])];
    d.pass(1, rows, &[], &vector(9, 0));
    assert_eq!(shown(&d), ["1", "2", "3"]);
    d.now += 2 * DAY_MS;
    tidy(&mut d);
    assert_eq!(shown(&d), ["2", "3"], "what has no age is never too old");
    // A change of what is too old is not taken in; one that makes it young is.
    d.live(1, vec![theirs_at("1", 10, [due(91), put(TITLE, "x")])], &[], &vector(10, 0));
    assert_eq!(shown(&d), ["2", "3"]);
    d.live(1, vec![theirs_at("1", 11, [due(101)])], &[], &vector(11, 0));
    assert_eq!(shown(&d), ["1", "2", "3"]);
}

#[test]
fn a_clock_that_no_region_has_set_right_makes_no_row_go() {
    let mut d = subscribed(TEN_DAYS);
    d.pass(1, vec![theirs("1", [due(95)])], &[], &vector(9, 0));
    d.node.disconnected();
    d.now += 3_650 * DAY_MS;
    tidy(&mut d);
    assert_eq!(shown(&d), ["1"]);
    let time = 100 * DAY_MS;
    d.connect_with(0, &[], |w| (w.received_ms, w.sent_ms) = (time, time));
    tidy(&mut d);
    assert_eq!(shown(&d), ["1"]);
}

#[test]
fn tidying_comes_to_its_end_however_many_old_rows_have_to_stay() {
    let mut d = subscribed(TEN_DAYS);
    let ids: Vec<String> = (0..1_200).map(|n| format!("{n:04}")).collect();
    d.pass(1, ids.iter().map(|id| theirs(id, [due(91)])).collect(), &[], &vector(9, 0));
    ids[..1_100].iter().for_each(|id| {
        d.node.pin(&mut d.store, &key(id), true).unwrap();
    });
    d.now += 2 * DAY_MS;
    tidy(&mut d);
    assert_eq!(shown(&d).len(), 1_100);
}

#[test]
fn what_the_region_calls_too_old_goes_unless_it_must_stay() {
    let mut d = subscribed(TEN_DAYS);
    d.pass(1, vec![theirs("1", []), theirs("2", []), theirs("3", [])], &[], &vector(9, 0));
    d.write(&[update("2", [put(TITLE, "mine")])]);
    d.node.pin(&mut d.store, &key("3"), true).unwrap();
    d.connect(0, &[]);
    let rows = ["1", "2", "3", "4"].map(|id| outside(id, 10)).into();
    d.pass(1, rows, &[], &vector(10, 0));
    assert_eq!(shown(&d), ["2", "3"]);
    assert_eq!(d.refetches("team/a"), [key("2"), key("3")]);
}

#[test]
fn wider_terms_start_over_and_narrower_ones_do_not() {
    let mut d = subscribed(TEN_DAYS);
    d.pass(1, vec![theirs("1", [due(95)])], &[], &vector(9, 0));
    let ask = |d: &mut Device, terms| {
        let out = d.node.subscribe_with(&mut d.store, "team/a", terms, d.now).unwrap();
        let asked = subscribe_frames(&out);
        asked.first().map(|s| (convert::vector(s.cursor.as_ref()).unwrap(), s.keep_ms))
    };
    assert_eq!(ask(&mut d, TEN_DAYS), None);
    let one_day = Terms { keep_ms: Some(DAY_MS as u64), ..TEN_DAYS };
    assert_eq!(ask(&mut d, one_day), Some((vector(9, 0), DAY_MS as u64)));
    tidy(&mut d);
    assert_eq!(shown(&d), [""; 0]);
    assert_eq!(ask(&mut d, Terms::default()), Some((Vector::new(), 0)));
    assert!(d.subscription("team/a").loading);
}

#[test]
fn a_subscription_ends_some_time_after_it_was_last_asked_for() {
    let terms = Terms { ttl_ms: Some(DAY_MS as u64), ..Terms::default() };
    let mut d = holding(terms, &["1"]);
    d.now += DAY_MS - 1;
    d.node.subscribe_with(&mut d.store, "team/a", terms, d.now).unwrap();
    d.now += DAY_MS;
    tidy(&mut d);
    assert_eq!(shown(&d), ["1"]);
    d.now += 1;
    tidy(&mut d);
    assert_eq!((shown(&d), d.store.subscription("team/a").unwrap()), (vec![], None));
}

#[test]
fn a_region_that_is_behind_brings_no_evicted_row_back() {
    let mut d = holding(Terms::default(), &["1", "2"]);
    make_room(&mut d, 1);
    d.connect(1, &[]);
    let place = chunk(&vector(3, 0), true, None, false);
    d.delta(1, vec![theirs("1", []), theirs("2", [])], &[], place);
    assert_eq!(shown(&d), ["2"]);
    assert_eq!(d.refetches("team/a"), [key("1"), key("2")]);
}

#[test]
fn a_pinned_row_is_fetched_and_leaves_with_access_to_it() {
    let mut d = holding(THREE_ROWS, &["1", "2", "3"]);
    let out = d.node.pin(&mut d.store, &key("7"), true).unwrap();
    let asked = |f: &wire::DeviceFrame| matches!(&f.kind, Some(ToRegion::Refetch(_)));
    assert!(out.frames.iter().any(asked));
    let at = Some(convert::wire_vector(&vector(9, 0)));
    let place = wire::delta::Place::Refetched(wire::Refetched { absent: vec![], at });
    d.delta(1, vec![theirs("7", [])], &[], place);
    assert_eq!(
        (shown(&d), d.refetches("team/a")),
        (["1", "2", "3", "7"].map(String::from).into(), vec![])
    );
    assert_eq!(make_room(&mut d, 9), 3);
    assert_eq!(shown(&d), ["7"]);
    d.live(1, vec![left(&key("7"), &vector(10, 0))], &[], &vector(10, 0));
    assert_eq!(shown(&d), [""; 0]);
}

#[test]
fn room_is_made_where_priority_is_low_and_a_first_pass_ends_there() {
    let mut d = holding(Terms { priority: 5, ..Terms::default() }, &["1"]);
    d.node.subscribe(&mut d.store, "team/b").unwrap();
    let theirs = |id: &str| {
        let mut other = Device::new(50);
        let fields = vec![put(TEAM, "b")];
        let made = other.write(&[Edit::Upsert { kind: TASK, id: id.into(), fields }]);
        let key = EntityKey::new("team/b", TASK, id);
        row(&key, &vector(1, 0), &ops_of(&mut other, &made))
    };
    let last = EntityKey::new("team/b", TASK, "9");
    let place = chunk(&vector(9, 0), false, Some(&last), true);
    d.delta(2, vec![theirs("8"), theirs("9")], &[], place);
    assert_eq!(make_room(&mut d, 1), 1);
    assert_eq!(shown(&d), ["1", "9"]);
    let sub = d.subscription("team/b");
    assert_eq!((sub.loading, sub.short, sub.cursor), (false, true, vector(9, 0)));
    assert!(!d.subscription("team/a").short);
    d.node.refill(&mut d.store, "team/b").unwrap();
    let sub = d.subscription("team/b");
    assert_eq!((sub.loading, sub.short, sub.cursor), (true, false, Vector::new()));
}
