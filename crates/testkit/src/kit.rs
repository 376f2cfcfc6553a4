//! The world as a test holds it: its devices, its accounts, its time.

use crate::accounts::{self, Rights, lock};
use crate::device::{Device, Machine};
use crate::error::{Error, Reason, Settled, Waiting, code};
use crate::limits;
use crate::region::Region;
use crate::rows;
use crate::world::World;
use landfall_device::{Client, Schema, Value, compile};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// What a device is called unless the test says otherwise.
const PHONE: &str = "phone";

/// The account and the device by which the test itself writes.
const OTHERS: (&str, &str) = (accounts::OTHERS, "backend");

/// How a world is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The app's schema.
    pub schema: Arc<Schema>,
    /// Where device ids and the length of backoffs come from.
    pub seed: u64,
    /// The folder in which the devices' files are; `None`: in memory, which is faster.
    pub directory: Option<PathBuf>,
    /// The time at the beginning, in milliseconds since 1970.
    pub starts_ms: i64,
}

impl Options {
    /// Files in memory, and a world that begins on 2026-01-01 at midnight UTC.
    pub fn new(schema: Arc<Schema>) -> Self {
        Self { schema, seed: 0, directory: None, starts_ms: limits::STARTS_MS }
    }
}

/// A world. Clones are the same one; with the last of them its devices come to their end.
#[derive(Clone)]
pub struct Testkit(Arc<Kit>);

struct Kit {
    world: Arc<World>,
    options: Options,
    machines: Mutex<BTreeMap<String, Arc<Machine>>>,
}

impl Kit {
    fn end(&self) {
        self.world.time.kill_all();
        for machine in lock(&self.machines).values() {
            // It is gone either way.
            let _ = machine.client().abandon();
        }
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Testkit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a world of {} devices", lock(&self.0.machines).len())
    }
}

impl Testkit {
    /// A world with one region and no device yet, for the schema of an app. Fails with `LF2101` and
    /// the first fault if the schema has any.
    pub fn new(sdl: &str) -> Result<Self, Error> {
        Ok(Self::with(Options::new(Arc::new(compile(sdl)?))))
    }

    /// Like [`Testkit::new`], with everything said.
    pub fn with(options: Options) -> Self {
        let world = World::new(options.schema.clone(), options.starts_ms);
        Self(Arc::new(Kit { world, options, machines: Mutex::default() }))
    }

    /// The app's schema.
    pub fn schema(&self) -> Arc<Schema> {
        self.0.options.schema.clone()
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.0.world
    }

    /// The world ends, whoever still holds a handle to it or to one of its clients, which fail with
    /// `LF2104` from here on.
    pub fn end(&self) {
        self.0.end();
    }

    // ---- devices, the region, accounts ----

    /// The phone of an account, online; made if there is none. Reads and writes everything unless
    /// [`Testkit::allow`] says otherwise.
    pub fn device(&self, account: &str) -> Result<Device, Error> {
        self.device_of(account, PHONE)
    }

    /// A device of an account, by name; made if there is none.
    pub fn device_of(&self, account: &str, device: &str) -> Result<Device, Error> {
        let name = format!("{account}/{device}");
        let mut machines = lock(&self.0.machines);
        if let Some(machine) = machines.get(&name) {
            return Ok(Device { kit: self.clone(), machine: machine.clone() });
        }
        let Options { directory, seed, .. } = &self.0.options;
        let machine = Machine::new(self.world(), account, device, directory.as_ref(), *seed)?;
        let machine = Arc::new(machine);
        machines.insert(name, machine.clone());
        Ok(Device { kit: self.clone(), machine })
    }

    /// The region.
    pub fn region(&self) -> Region {
        Region { kit: self.clone() }
    }

    /// From now on an account may do this and nothing else. Its devices come back with a new token;
    /// what they may no longer see leaves their files.
    pub fn allow(&self, account: &str, rights: Rights) {
        lock(&self.world().accounts).set(account, rights);
        self.world().end_sessions(account);
    }

    /// An account may also read and write this home scope, or the scopes with this prefix (`team/*`).
    pub fn grant(&self, account: &str, scope: &str) {
        let mut rights = lock(&self.world().accounts).rights(account).clone();
        rights.scopes.push(scope.to_owned());
        self.allow(account, rights);
    }

    /// An account may no longer see this scope, neither as a home scope nor as an audience. Fails
    /// with `LF8004` if the account has the right under a wider name, such as `*`: say first what it
    /// may do, by [`Testkit::allow`].
    pub fn revoke(&self, account: &str, scope: &str) -> Result<(), Error> {
        let mut rights = lock(&self.world().accounts).rights(account).clone();
        rights.scopes.retain(|s| s != scope);
        rights.audiences.retain(|s| s != scope);
        let covers = |p: &String| p.strip_suffix('*').is_some_and(|p| scope.starts_with(p));
        if rights.scopes.iter().chain(&rights.audiences).any(covers) {
            let message = "The account may see this scope under a wider name. Say what it may see \
                           by `allow` first.";
            return Err(Error::new(code::WIDER_RIGHT, message));
        }
        self.allow(account, rights);
        Ok(())
    }

    // ---- what others write ----

    /// Another device, far away, creates this entity or changes it: see [`Testkit::as_others`].
    pub fn put<N: AsRef<str>>(
        &self,
        kind: &str,
        id: &str,
        fields: impl IntoIterator<Item = (N, Value)>,
    ) -> Result<(), Error> {
        self.as_others(|client| client.transaction().upsert(kind, id, fields).commit().map(drop))
    }

    /// Another device, far away, deletes this entity.
    pub fn delete(&self, kind: &str, id: &str) -> Result<(), Error> {
        self.as_others(|client| client.transaction().delete(kind, id).commit().map(drop))
    }

    /// Another device, far away, does this with its client. It sees all that the region has, so that
    /// what it writes is meant for what is there, and the region has that when this returns, unless
    /// it is down. The world runs meanwhile.
    pub fn as_others(
        &self,
        write: impl FnOnce(&Client) -> Result<(), landfall_device::Error>,
    ) -> Result<(), Error> {
        let (account, device) = OTHERS;
        let others = self.device_of(account, device)?;
        let client = others.client();
        // What a device has just written is on its way before what others write.
        self.run_ready()?;
        for home in rows::homes(&lock(&self.world().here).store) {
            client.subscribe(&home)?;
        }
        let others = [others.machine];
        self.settle_these(&others)?;
        write(&client)?;
        self.settle_these(&others).map(drop)
    }

    // ---- time ----

    /// The world's time, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.world().now_ms()
    }

    /// Let so much time pass, and everything happen that it brings.
    pub fn advance(&self, time: Duration) -> Result<(), Error> {
        let clock = &self.world().time;
        let until = clock.now().saturating_add(time);
        let step_min = time / limits::ADVANCE_STEPS_MAX;
        self.run_ready()?;
        while clock.now() < until {
            let step_end = clock.now().saturating_add(step_min);
            let next = clock.next_timer().unwrap_or(until).max(step_end);
            clock.jump(next.min(until));
            self.run_ready()?;
        }
        Ok(())
    }

    /// Run until every outbox is empty and every subscription heard to its end, or waits for
    /// something that the test took away, which the answer tells. Time passes as far as it must.
    ///
    /// Fails with `LF8001` if something is still under way after two minutes, and with `LF8005` if
    /// it never comes to an end.
    pub fn settle(&self) -> Result<Settled, Error> {
        let machines: Vec<_> = lock(&self.0.machines).values().cloned().collect();
        self.settle_these(&machines)
    }

    /// Run until this is done; for what the client gives as futures. Fails like [`Testkit::settle`].
    pub fn run<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        let mut future = pin!(future);
        let until = self.world().time.now() + limits::SETTLE_MAX;
        loop {
            self.run_ready()?;
            if woken.0.swap(false, Ordering::Relaxed) {
                if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return Ok(done);
                }
            } else if !self.next_moment(until) {
                return Err(Error::unsettled(self.unfinished()?));
            }
        }
    }

    /// Run what can run now, without time passing. [`Testkit::settle`] and [`Testkit::advance`] do
    /// that by themselves; it is for those who call it after each call of a client, so that live
    /// queries follow at once.
    pub fn run_ready(&self) -> Result<(), Error> {
        if self.world().time.run_ready() { Ok(()) } else { Err(Error::never_idle()) }
    }

    fn settle_these(&self, machines: &[Arc<Machine>]) -> Result<Settled, Error> {
        let until = self.world().time.now() + limits::SETTLE_MAX;
        loop {
            self.run_ready()?;
            let waiting = self.waiting(machines)?;
            let on_the_way = self.world().in_flight.load(Ordering::Relaxed) > 0;
            if !on_the_way && waiting.iter().all(|w| w.reason != Reason::Unfinished) {
                return Ok(Settled { waiting });
            }
            if !self.next_moment(until) {
                return Err(Error::unsettled(self.unfinished()?));
            }
        }
    }

    /// On to the next timer, at most until then. False if there is none.
    fn next_moment(&self, until: Duration) -> bool {
        let clock = &self.world().time;
        match clock.next_timer().filter(|at| *at <= until) {
            Some(at) => {
                clock.jump(at);
                true
            }
            None => false,
        }
    }

    fn waiting(&self, machines: &[Arc<Machine>]) -> Result<Vec<Waiting>, Error> {
        let mut all = Vec::new();
        for machine in machines {
            all.extend(machine.waiting(self.world())?);
        }
        Ok(all)
    }

    fn unfinished(&self) -> Result<Vec<Waiting>, Error> {
        let machines: Vec<_> = lock(&self.0.machines).values().cloned().collect();
        self.waiting(&machines)
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
