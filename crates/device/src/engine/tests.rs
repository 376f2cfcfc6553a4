//! The engine's waits, in a time that stands still: what ends one is never that it is over.

use super::*;
use crate::options::{Account, Conditions, Options, RegionUrl};
use crate::runtime::{Runtime, Sleep, Task};
use crate::transport::{Connecting, Traffic, Transport, TransportError};
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Waker};

const SDL: &str = "type Note @entity(strategy: CRDT, scope: \"team/{team}\") { id: ID! team: ID! }";

/// Only a wait for nothing ends.
struct StandsStill;

impl Runtime for StandsStill {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, time: Duration) -> Sleep {
        if time.is_zero() { Box::pin(async {}) } else { Box::pin(std::future::pending()) }
    }

    fn spawn(&self, _: &str, _: Task) -> std::io::Result<Running> {
        Ok(Running::detached())
    }
}

/// What the app does, once, while the engine is at work.
type Act = Box<dyn FnOnce(&Inner) + Send>;

/// Reaches no region. The app acts while the engine is busy to find that out.
#[derive(Default)]
struct NoWay {
    client: OnceLock<Weak<Inner>>,
    act: Mutex<Option<Act>>,
    tried: Mutex<u32>,
}

impl Transport for NoWay {
    fn connect(&self, _: RegionUrl, _: Arc<Traffic>) -> Connecting {
        *self.tried.lock().unwrap() += 1;
        let client = self.client.get().and_then(Weak::upgrade).expect("it is open");
        if let Some(act) = self.act.lock().unwrap().take() {
            act(&client);
        }
        Box::pin(async { Err(TransportError::new("there is no way")) })
    }
}

pub(super) struct World {
    pub inner: Arc<Inner>,
    way: Arc<NoWay>,
    _dir: tempfile::TempDir,
}

impl World {
    /// A client of so many regions, whose engine is yet to be run.
    pub fn new(regions: usize, offline: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let account = Account { tenant: String::new(), subject: "u".into() };
        let mut options = Options::from_sdl(dir.path().join("a.db"), SDL, account).unwrap();
        let way = Arc::new(NoWay::default());
        options.runtime = Arc::new(StandsStill);
        options.transport = way.clone();
        let region = |n| RegionUrl::new(format!("r{n}"), "http://nowhere");
        options.regions = (0..regions).map(region).collect();
        options.network.start_offline = offline;
        let inner = Inner::open(options, false).unwrap();
        way.client.set(Arc::downgrade(&inner)).unwrap();
        Self { inner, way, _dir: dir }
    }
}

/// As far as it comes while no time passes; true if that is to its end.
fn comes_to_its_end(work: impl Future<Output = ()>) -> bool {
    pin!(work).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

#[test]
fn a_wish_that_came_between_the_look_and_the_wait_is_not_slept_through() {
    let check = |wish: &str, offline: bool, act: fn(&Inner), hears: bool| {
        let World { inner, _dir, .. } = World::new(1, offline);
        let engine = Engine::new(inner.clone());
        let seen = *inner.goal.borrow();
        act(&inner);
        assert_eq!(comes_to_its_end(engine.pause(LONG, seen)), hears, "{wish}");
    };
    check("a slot", true, |inner| _ = inner.open_slot(0), true);
    check("to go online", true, |inner| inner.set_online(true), true);
    check("to go offline", false, |inner| inner.set_online(false), true);
    check("to close", true, Inner::stop, true);
    let metered = |inner: &Inner| {
        inner.change_goal(|goal| goal.conditions = Conditions { metered: true, low_power: false });
    };
    check("another policy", false, metered, true);
    // All is as it was: there is nothing to wake up for.
    let and_over = |inner: &Inner| inner.close_slot(inner.open_slot(0));
    check("a slot that is over again", false, and_over, false);
    check("nothing", true, |_| {}, false);
}

#[test]
fn a_wish_that_comes_while_regions_are_tried_is_not_slept_through() {
    let check = |wish: &str, act: fn(&Inner), tried: u32, waits: bool| {
        let World { inner, way, _dir } = World::new(1, false);
        *way.act.lock().unwrap() = Some(Box::new(act));
        let mut engine = Engine::new(inner.clone());
        assert!(!comes_to_its_end(engine.serve()), "it waits");
        let at_last = inner.connection.borrow().clone();
        let found = matches!(at_last, event::ConnectionState::Waiting { .. });
        assert_eq!((*way.tried.lock().unwrap(), found), (tried, waits), "{wish}: {at_last:?}");
    };
    check("nothing", |_| {}, 1, true);
    check("another network", |inner| inner.change_goal(|goal| goal.network += 1), 2, true);
    check("to go offline", |inner| inner.set_online(false), 1, false);
}

#[test]
fn of_a_hundred_pushes_so_many_may_be_hedged() {
    let mut hedges = Hedges::default();
    let mut spent = 0;
    for _ in 0..1_000 {
        hedges.pushed(1, 5);
        if hedges.may() {
            hedges.spend();
            spent += 1;
        }
    }
    assert_eq!(spent, 51, "one at the beginning, and 5 of 100 from then on");
    // What was saved while all was well is two hedges and no storm of them.
    hedges.pushed(1_000, 5);
    let at_once = (0..10).take_while(|_| {
        let may = hedges.may();
        hedges.spend();
        may
    });
    assert_eq!(at_once.count(), 2);
}
