//! The sync engine: work in the background that keeps a session with one region, whichever answers.
//!
//! It owns nothing durable but the count of metered bytes. What comes in goes to the state machine
//! in transactions of several frames; what the app wrote meanwhile is pushed in one go, after one
//! fsync. Of all processes that open the file only the holder of the lease has a session; the
//! others look after the file and wait. A kill at any point leaves a file that the next engine
//! goes on from.
//!
//! Regions are greeted in a race, the best one (`choice`) a little ahead of the others. A session
//! whose region hangs up, refuses, asks to be left or falls silent ends, and the race begins anew
//! at once; only after a race that nobody won is there a wait, jittered, so that devices do not
//! come back all at the same moment. How a session goes on while its region is late, and how a
//! device finds its way back to a region that had failed, is in `carry`.

mod allowance;
mod answers;
mod backoff;
mod carry;
mod choice;
mod greet;

pub(crate) use answers::{Answers, Deadlines};

use crate::error::{Error, code};
use crate::event;
use crate::inner::{Goal, Inner, LEASE_MS};
use crate::options::TokenReason;
use crate::runtime::{Running, Ticks};
use allowance::Allowance;
use backoff::Backoff;
use choice::Choice;
use greet::{Failure, Greeted};
use landfall_sync::device::node::Extent;
use std::sync::Arc;
use std::time::Duration;

/// How often a session is polled for what is overdue, and a standby tries for the lease.
const POLL: Duration = Duration::from_secs(1);

/// How often rows that have grown too old are let go of.
const TIDY: Duration = Duration::from_secs(60);

/// The holder renews its lease this often.
const RENEW: Duration = Duration::from_millis(LEASE_MS as u64 / 4);

/// A session that lasted this long was a good one: what comes after it is no repeated failure.
const GOOD_SESSION: Duration = Duration::from_secs(2);

/// The longest wait for something that wakes the engine anyway.
const LONG: Duration = Duration::from_secs(3600);

/// Codes with which a region says that it wants another token.
const TOKEN_CODES: &[&str] = &["token_expired", "unauthenticated"];

/// Start the engine in the background.
pub(crate) fn start(inner: Arc<Inner>) -> Result<Running, Error> {
    let failed = |e| Error::new(code::THREAD, "The sync thread could not be started.").because(e);
    let runtime = inner.options.runtime.clone();
    runtime.spawn("landfall-sync", Box::pin(run(inner))).map_err(failed)
}

/// How a session, or the attempt at one, ended.
#[derive(Debug)]
enum End {
    /// The app wants no session now, or another process has the lease.
    Unwanted,
    /// Begin anew, at once and with no wait counted against any region.
    Again,
    /// Go on with another region, which is ready.
    Moved(Box<Greeted>),
    /// Its region is to be left.
    Failed(Failure),
    /// No region was ready.
    Nobody(Failure),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

async fn run(inner: Arc<Inner>) {
    let _ended = Ended(inner.clone());
    let mut engine = Engine::new(inner.clone());
    tokio::select! {
        () = engine.serve() => {}
        () = watch_file(&inner) => {}
    }
}

/// Tells the end of the engine, also that by a panic.
struct Ended(Arc<Inner>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.engine_ended();
    }
}

/// Notice what other processes write, whatever the session is doing.
async fn watch_file(inner: &Inner) {
    let mut ticks = Ticks::new(inner.options.runtime.clone(), inner.options.network.poll());
    loop {
        ticks.tick().await;
        if let Err(error) = inner.look_elsewhere() {
            tracing::debug!(%error, "the file could not be looked at");
        }
    }
}

/// How many pushes may be offered to a second region, as those before allow it.
#[derive(Debug)]
struct Hedges {
    /// In hundredths of a hedge.
    saved: u64,
}

impl Default for Hedges {
    fn default() -> Self {
        Self { saved: Self::WHOLE }
    }
}

impl Hedges {
    const WHOLE: u64 = 100;
    const SAVED_MAX: u64 = 2 * Self::WHOLE;

    /// So many pushes left.
    fn pushed(&mut self, pushes: u64, percent: u32) {
        let more = pushes.saturating_mul(percent.into());
        self.saved = self.saved.saturating_add(more).min(Self::SAVED_MAX);
    }

    fn may(&self) -> bool {
        self.saved >= Self::WHOLE
    }

    fn spend(&mut self) {
        self.saved = self.saved.saturating_sub(Self::WHOLE);
    }
}

struct Engine {
    inner: Arc<Inner>,
    choice: Choice,
    allowance: Allowance,
    hedges: Hedges,
    leased: bool,
    /// Why the next token is asked for.
    reason: TokenReason,
    backoff: Backoff,
}

impl Engine {
    fn new(inner: Arc<Inner>) -> Self {
        let slot = u32::from(inner.device_byte());
        Self {
            choice: Choice::new(inner.regions(), slot),
            allowance: Allowance::kept(inner.metered_bytes()),
            hedges: Hedges::default(),
            leased: false,
            reason: TokenReason::Connect,
            backoff: Backoff::new(&inner.options.network),
            inner,
        }
    }

    async fn serve(&mut self) {
        loop {
            let goal = *self.inner.goal.borrow();
            if goal.closing {
                break;
            } else if !goal.online() || self.choice.regions.is_empty() {
                self.inner.set_connection(event::ConnectionState::Offline);
                self.pause(LONG, goal).await;
            } else if !self.renew() {
                self.inner.set_connection(event::ConnectionState::Standby);
                self.pause(POLL, goal).await;
            } else if let Some(extent) = self.extent() {
                self.attempt(extent, goal).await;
            } else {
                let (retry_ms, code) = (POLL.as_millis() as u64, Some("metered".to_owned()));
                self.inner.set_connection(event::ConnectionState::Waiting { retry_ms, code });
                self.pause(POLL, goal).await;
            }
        }
        self.inner.set_connection(event::ConnectionState::Offline);
    }

    /// What may be synced now. Counts what was carried until now.
    fn extent(&mut self) -> Option<Extent> {
        let goal = *self.inner.goal.borrow();
        let conditions = goal.conditions;
        let options = &self.inner.options;
        let traffic = self.inner.traffic.up() + self.inner.traffic.down();
        self.allowance.count(options.clock.now_ms(), traffic, conditions);
        let extent = self.allowance.extent(conditions, &options.network.policy)?;
        Some(match (extent, goal.slot()) {
            (Extent::Whole, Some(priority_min)) => Extent::InTurn { priority_min },
            (extent, _) => extent,
        })
    }

    /// One session from its beginning to its end, through all regions that it moves between, and
    /// the wait behind it if there has to be one.
    async fn attempt(&mut self, extent: Extent, goal: Goal) {
        let mut end = match self.race(extent).await {
            Ok(greeted) => End::Moved(Box::new(greeted)),
            Err(end) => end,
        };
        // A race that takes long and that nobody wins is no session.
        let began = self.inner.options.runtime.now();
        while let End::Moved(greeted) = end {
            end = self.session(*greeted, extent).await;
        }
        self.inner.end_session();
        if let Err(error) = self.inner.keep_metered_bytes(self.allowance.keep()) {
            tracing::debug!(%error, "the count of metered bytes was not kept");
        }
        tracing::debug!(?end, "session ended");
        if self.inner.options.runtime.now().saturating_sub(began) >= GOOD_SESSION {
            self.backoff.reset();
        }
        let random = self.inner.options.random.next();
        let regions = self.choice.regions.len();
        let (failure, wait) = match end {
            End::Unwanted | End::Again | End::Moved(_) => return,
            End::Failed(failure) => (failure, self.backoff.after_failure(regions, random)),
            End::Nobody(failure) => {
                let wait = match failure.lasts {
                    true => self.backoff.after_refusals(regions, random),
                    false => self.backoff.after_round(regions, random),
                };
                (failure, wait)
            }
        };
        let refused_token = failure.refused_token();
        self.reason = if refused_token { TokenReason::Refused } else { TokenReason::Connect };
        let wait = wait.max(Duration::from_millis(self.backoff.capped(failure.retry_ms)));
        if !wait.is_zero() {
            let (retry_ms, code) = (wait.as_millis() as u64, failure.code);
            self.inner.set_connection(event::ConnectionState::Waiting { retry_ms, code });
            self.pause(wait, goal).await;
        }
    }

    /// Greet the regions until one is ready.
    async fn race(&mut self, extent: Extent) -> Result<Greeted, End> {
        let order = self.choice.order();
        let order: Vec<_> =
            order.into_iter().map(|i| (i, self.choice.regions[i].clone())).collect();
        let name = order.first().map(|(_, url)| url.name.clone()).unwrap_or_default();
        self.inner.set_connection(event::ConnectionState::Connecting { region: name });
        let racing = async {
            let token = match greet::token(&self.inner, self.reason).await {
                Ok(token) => token,
                Err(failure) => return (None, vec![(0, failure)]),
            };
            // One region may refuse a token that others take: once a new one was refused, too, it
            // is the region's word alone.
            let doubted = matches!(self.reason, TokenReason::Refused);
            greet::race(&self.inner, order, &token, extent, doubted).await
        };
        let (ready, failed) = tokio::select! {
            raced = racing => raced,
            () = self.unwanted() => return Err(End::Unwanted),
        };
        if let Some(greeted) = ready {
            let to_blame = failed.iter().filter(|(_, failure)| failure.blames_region());
            to_blame.for_each(|(region, _)| self.fail(*region));
            return Ok(greeted);
        }
        if failed.iter().any(|(_, f)| f.lost_lease()) {
            return Err(End::Unwanted);
        }
        // All failed, or the token was refused: that says nothing about any one of them.
        let lasts = failed.iter().all(|(_, f)| f.lasts);
        let best = failed.into_iter().map(|(_, f)| f);
        // One that says why tells more than silence.
        let best = best.min_by_key(|f| (!f.refused_token(), f.code.is_none(), f.retry_ms));
        let best = best.unwrap_or_else(|| Failure::new("no region"));
        Err(End::Nobody(Failure { lasts: best.lasts && lasts, ..best }))
    }

    /// What is held against a region from now on.
    fn fail(&mut self, region: usize) {
        let options = &self.inner.options;
        let (now, random) = (options.runtime.now(), options.random.next());
        self.choice.failed(region, now, &options.network, random);
    }

    fn renew(&mut self) -> bool {
        self.leased = self.inner.take_lease(self.leased).unwrap_or_else(|error| {
            tracing::debug!(%error, "the lease could not be taken");
            false
        });
        self.leased
    }

    fn is_unwanted(&self) -> bool {
        let goal = *self.inner.goal.borrow();
        goal.closing || !goal.online()
    }

    /// Until the app wants no session.
    async fn unwanted(&self) {
        let mut goal = self.inner.goal.subscribe();
        // An error: nobody can change it any more.
        let _ = goal.wait_for(|g| g.closing || !g.online()).await;
    }

    /// Wait, or until the app wants something else than what was looked at before. What it has
    /// changed since then ends the wait, too.
    async fn pause(&self, most: Duration, seen: Goal) {
        let mut goal = self.inner.goal.subscribe();
        let runtime = &self.inner.options.runtime;
        let _ = tokio::select! {
            changed = goal.wait_for(|g| *g != seen) => changed.map(drop),
            () = runtime.sleep(most) => Ok(()),
        };
        // Lets a cancelled connection end before the next begins.
        runtime.sleep(Duration::ZERO).await;
    }
}

#[cfg(test)]
mod tests;
