//! Virtual time, and the work that waits for it: a runtime of one thread whose clock stands still.
//!
//! Work is polled in the order in which it was woken, timers fire in the order of their times, and
//! of those with one time in the order in which they were set. Nothing else decides who is next, so
//! the same test runs the same way every time. Work belongs to an owner (a process of a device, or
//! the world); a killed owner's work is dropped where it stands and never polled again.

use crate::limits;
use landfall_device::runtime::{Running, Runtime, Sleep, Task};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Whose work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner(pub u64);

/// Work that no device owns.
pub(crate) const WORLD: Owner = Owner(0);

/// The clock, the timers, and all work.
#[derive(Default)]
pub(crate) struct Time {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Duration,
    /// Numbers of work, timers and owners; none is used twice.
    last_id: u64,
    work: BTreeMap<u64, Work>,
    /// Work to be polled, each once.
    ready: VecDeque<u64>,
    timers: BTreeMap<(Duration, u64), Waker>,
}

struct Work {
    owner: Owner,
    waker: Waker,
    /// None while it is being polled.
    task: Option<Task>,
    is_ready: bool,
}

impl Time {
    pub fn now(&self) -> Duration {
        self.lock().now
    }

    pub fn new_owner(&self) -> Owner {
        let mut state = self.lock();
        state.last_id += 1;
        Owner(state.last_id)
    }

    pub fn spawn(self: &Arc<Self>, owner: Owner, task: Task) {
        let mut state = self.lock();
        state.last_id += 1;
        let id = state.last_id;
        let waker = Waker::from(Arc::new(Waking { time: Arc::downgrade(self), id }));
        let work = Work { owner, waker: waker.clone(), task: Some(task), is_ready: false };
        state.work.insert(id, work);
        drop(state);
        waker.wake();
    }

    /// Drop the work of an owner, as the end of its process does.
    pub fn kill(&self, owner: Owner) {
        self.drop_work(|work| work.owner == owner);
    }

    /// Drop everything: the world is at its end.
    pub fn kill_all(&self) {
        self.drop_work(|_| true);
        let mut state = self.lock();
        let timers = std::mem::take(&mut state.timers);
        drop(state);
        drop(timers);
    }

    /// Futures do things when they are dropped: not under the lock.
    fn drop_work(&self, which: impl Fn(&Work) -> bool) {
        let mut state = self.lock();
        let ids: Vec<u64> =
            state.work.iter().filter(|(_, w)| which(w)).map(|(id, _)| *id).collect();
        let dropped: Vec<Work> = ids.iter().filter_map(|id| state.work.remove(id)).collect();
        drop(state);
        drop(dropped);
    }

    /// Poll all work that is ready, and what it makes ready, without time going on. False if there
    /// is no end to it.
    pub fn run_ready(&self) -> bool {
        for _ in 0..limits::POLLS_PER_INSTANT_MAX {
            match self.take_ready() {
                Some((id, task, waker)) => self.poll(id, task, &waker),
                None if self.fire() => {}
                None => return true,
            }
        }
        false
    }

    fn take_ready(&self) -> Option<(u64, Task, Waker)> {
        let mut state = self.lock();
        while let Some(id) = state.ready.pop_front() {
            // Killed since it was woken, or being polled by a caller further up.
            let Some(work) = state.work.get_mut(&id) else { continue };
            work.is_ready = false;
            let Some(task) = work.task.take() else { continue };
            return Some((id, task, work.waker.clone()));
        }
        None
    }

    fn poll(&self, id: u64, mut task: Task, waker: &Waker) {
        let polled = task.as_mut().poll(&mut Context::from_waker(waker));
        let mut state = self.lock();
        let over = match (polled, state.work.get_mut(&id)) {
            (Poll::Pending, Some(work)) => {
                work.task = Some(task);
                return;
            }
            // Done, or killed while it ran.
            (_, _) => state.work.remove(&id),
        };
        drop(state);
        drop((over, task));
    }

    /// Fire the timers whose time has come. False if there was none.
    fn fire(&self) -> bool {
        let mut state = self.lock();
        let now = state.now;
        let later = state.timers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.timers, later);
        drop(state);
        let any = !due.is_empty();
        due.into_values().for_each(Waker::wake);
        any
    }

    /// The time of the next timer.
    pub fn next_timer(&self) -> Option<Duration> {
        self.lock().timers.keys().next().map(|(at, _)| *at)
    }

    /// It is this late now. Timers up to then fire when work is run.
    pub fn jump(&self, to: Duration) {
        let mut state = self.lock();
        state.now = state.now.max(to);
    }

    /// Done once it is this late.
    pub fn until(self: &Arc<Self>, at: Duration) -> Timer {
        Timer { time: self.clone(), at, set: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes work ready.
struct Waking {
    time: Weak<Time>,
    id: u64,
}

impl Wake for Waking {
    fn wake(self: Arc<Self>) {
        let Some(time) = self.time.upgrade() else { return };
        let mut state = time.lock();
        let Some(work) = state.work.get_mut(&self.id).filter(|w| !w.is_ready) else { return };
        work.is_ready = true;
        state.ready.push_back(self.id);
    }
}

/// A timer under way. It lets all other work of its moment run first, also if its time is now.
pub(crate) struct Timer {
    time: Arc<Time>,
    at: Duration,
    /// Its number among the timers, once it was polled.
    set: Option<u64>,
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let time = self.time.clone();
        let mut state = time.lock();
        let at = self.at;
        match self.set {
            Some(id) => match state.timers.get_mut(&(at, id)) {
                Some(waker) => waker.clone_from(context.waker()),
                None => return Poll::Ready(()),
            },
            None => {
                state.last_id += 1;
                self.set = Some(state.last_id);
                let key = (at, state.last_id);
                state.timers.insert(key, context.waker().clone());
            }
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(id) = self.set {
            let waker = self.time.lock().timers.remove(&(self.at, id));
            drop(waker);
        }
    }
}

/// What one process runs on.
pub(crate) struct Process {
    pub time: Arc<Time>,
    pub owner: Owner,
}

impl Runtime for Process {
    fn now(&self) -> Duration {
        self.time.now()
    }

    fn sleep(&self, time: Duration) -> Sleep {
        Box::pin(self.time.until(self.time.now().saturating_add(time)))
    }

    fn spawn(&self, _: &str, task: Task) -> io::Result<Running> {
        self.time.spawn(self.owner, task);
        Ok(Running::detached())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work that notes its name when its time has come.
    fn noting(time: &Arc<Time>, after_ms: u64, name: &'static str, seen: &Seen) -> Task {
        let (seen, timer) = (seen.clone(), time.until(Duration::from_millis(after_ms)));
        Box::pin(async move {
            timer.await;
            seen.lock().unwrap().push(name);
        })
    }

    type Seen = Arc<Mutex<Vec<&'static str>>>;

    #[test]
    fn timers_fire_in_the_order_of_their_times_and_never_early() {
        let (time, seen) = (Arc::new(Time::default()), Seen::default());
        for (after_ms, name) in [(20, "c"), (10, "a"), (10, "b")] {
            time.spawn(WORLD, noting(&time, after_ms, name, &seen));
        }
        assert!(time.run_ready());
        assert!(seen.lock().unwrap().is_empty());
        time.jump(Duration::from_millis(9));
        assert!(time.run_ready());
        assert!(seen.lock().unwrap().is_empty());
        time.jump(Duration::from_millis(25));
        assert!(time.run_ready());
        assert_eq!(*seen.lock().unwrap(), ["a", "b", "c"]);
        assert_eq!(time.next_timer(), None);
    }

    #[test]
    fn the_work_of_a_killed_process_is_never_polled_again() {
        let (time, seen) = (Arc::new(Time::default()), Seen::default());
        let (killed, other) = (time.new_owner(), time.new_owner());
        time.spawn(killed, noting(&time, 0, "killed", &seen));
        time.spawn(other, noting(&time, 0, "other", &seen));
        time.kill(killed);
        assert!(time.run_ready());
        assert_eq!(*seen.lock().unwrap(), ["other"]);
    }

    #[test]
    fn work_without_an_end_is_told() {
        let time = Arc::new(Time::default());
        let forever = time.clone();
        time.spawn(
            WORLD,
            Box::pin(async move {
                loop {
                    forever.until(Duration::ZERO).await;
                }
            }),
        );
        assert!(!time.run_ready());
        time.kill_all();
    }
}
