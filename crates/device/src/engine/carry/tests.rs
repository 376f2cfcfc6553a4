//! What one event does to a session, with nothing on the other end of its connection.

use super::super::greet::Failure;
use super::super::tests::World;
use super::*;
use crate::inner::{Inner, filled};
use landfall_sync::wire;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A session with the first region.
fn session(inner: &Arc<Inner>) -> Carry {
    let (outgoing, _) = mpsc::unbounded_channel();
    let (_, incoming) = mpsc::channel(1);
    let connection = Connection { outgoing, incoming };
    let (extent, goal) = (Extent::Whole, *inner.goal.borrow());
    let (side, push_at, chores) = (Side::None, None, Chores::NONE);
    let asks = Asks::default();
    Carry { region: 0, connection, side, extent, goal, push_at, chores, asks }
}

#[test]
fn a_region_that_refuses_the_token_of_a_probe_is_no_place_to_go_on() {
    let check = |code: Option<&str>, own: bool, fit: bool| {
        let world = World::new(2, false);
        let mut engine = Engine::new(world.inner.clone());
        engine.choice.ready(0, Duration::ZERO, Duration::ZERO);
        let mut carry = session(&world.inner);
        let failure = Failure { code: code.map(str::to_owned), retry_ms: 0, own, lasts: false };
        let told = Aside::Probed(1, Err(failure));
        assert!(engine.aside(&mut carry, told, &mut Vec::new()).is_ok(), "{code:?}");
        assert_eq!(engine.choice.second(), fit.then_some(1), "{code:?}");
    };
    check(Some("token_expired"), false, false);
    check(Some("unauthenticated"), false, false);
    // It does not answer, or wants nobody.
    check(None, false, false);
    check(Some("overloaded"), false, false);
    // The app has no token to show: that says nothing about the region.
    check(Some("no_token"), true, true);
}

#[tokio::test]
async fn room_for_what_came_is_made_before_more_of_it_is_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    // More than one step lets go of.
    let inner = filled(&dir, 2_507);
    let mut engine = Engine::new(inner.clone());
    assert!(engine.renew(), "nobody else syncs the file");
    let mut carry = session(&inner);
    engine.take_in(&mut carry, &mut vec![Ok(RegionFrame::default())]).await.unwrap();
    assert_eq!(carry.chores, Chores::NONE, "nothing is left to do");
    assert!(inner.keep_within().unwrap());
}

#[test]
fn a_transaction_takes_in_so_many_bytes_of_rows_and_any_number_of_answers() {
    let rows = |bytes: usize| {
        let delta = wire::Delta { body: vec![0; bytes].into(), ..Default::default() };
        RegionFrame { kind: Some(Kind::Delta(delta)) }
    };
    let large = TRANSACTION_BYTES / 2 + 1;
    let mut left = [rows(large), RegionFrame::default(), rows(large), rows(1)]
        .into_iter()
        .chain((0..500).map(|_| RegionFrame::default()))
        .chain([rows(10 * TRANSACTION_BYTES)]);
    assert_eq!(one_transaction(&mut left).len(), 3);
    assert_eq!(one_transaction(&mut left).len(), 502, "and the last, whatever its size");
    assert!(one_transaction(&mut left).is_empty());
}
