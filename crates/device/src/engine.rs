//! The sync engine: work in the background that keeps a session with one region, whichever answers.
//!
//! It owns nothing durable. What comes in goes to the state machine in transactions of several
//! frames; what the app wrote meanwhile is pushed in one go, after one fsync. Of all processes
//! that open the file only the holder of the lease has a session; the others look after the file
//! and wait. A kill at any point leaves a file that the next engine goes on from.
//!
//! Regions are tried in the order in which they were given, beginning with the one that worked
//! last. One that does not greet in time, hangs up, or asks to be left is followed by the next at
//! once; only after a round in vain is there a wait, jittered, so that devices do not come back
//! all at the same moment.

mod backoff;

use crate::error::{Error, code};
use crate::event;
use crate::inner::{Health, Inner, LEASE_MS};
use crate::options::TokenReason;
use crate::runtime::{Running, Ticks, timeout};
use crate::transport::{Connection, TransportError};
use backoff::Backoff;
use landfall_sync::wire::RegionFrame;
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
    /// Begin anew with the same region, at once.
    Again,
    /// Go on with the next region.
    Next { code: Option<String>, retry_ms: u64 },
}

async fn run(inner: Arc<Inner>) {
    let _ended = Ended(inner.clone());
    let mut engine = Engine {
        region: 0,
        leased: false,
        reason: TokenReason::Connect,
        backoff: Backoff::new(&inner.options.network),
        inner: inner.clone(),
    };
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

struct Engine {
    inner: Arc<Inner>,
    /// The region to use, as an index.
    region: usize,
    leased: bool,
    /// Why the next token is asked for.
    reason: TokenReason,
    backoff: Backoff,
}

impl Engine {
    async fn serve(&mut self) {
        while !self.inner.goal.borrow().closing {
            if !self.inner.goal.borrow().online || self.inner.options.regions.is_empty() {
                self.inner.set_connection(event::ConnectionState::Offline);
                self.pause(Duration::from_secs(3600)).await;
            } else if !self.renew() {
                self.inner.set_connection(event::ConnectionState::Standby);
                self.pause(POLL).await;
            } else {
                self.attempt().await;
            }
        }
        self.inner.set_connection(event::ConnectionState::Offline);
    }

    /// One session from its beginning to its end, and the wait behind it if there has to be one.
    async fn attempt(&mut self) {
        let began = self.inner.options.runtime.now();
        let name = self.inner.options.regions[self.region].name.clone();
        self.inner.set_connection(event::ConnectionState::Connecting { region: name.clone() });
        let end = self.session().await;
        self.inner.end_session();
        tracing::debug!(region = name, ?end, "session ended");
        if self.inner.options.runtime.now().saturating_sub(began) >= GOOD_SESSION {
            self.backoff.reset();
        }
        let (code, retry_ms) = match end {
            End::Unwanted | End::Again => return,
            End::Next { code, retry_ms } => (code, retry_ms),
        };
        let refused_token = code.as_deref().is_some_and(|c| TOKEN_CODES.contains(&c));
        self.reason = if refused_token { TokenReason::Refused } else { TokenReason::Connect };
        if !refused_token {
            self.region = (self.region + 1) % self.inner.options.regions.len();
        }
        let random = self.inner.options.random.next();
        let wait = self.backoff.after_failure(self.inner.options.regions.len(), random);
        let wait = wait.max(Duration::from_millis(self.backoff.capped(retry_ms)));
        if !wait.is_zero() {
            let retry_ms = wait.as_millis() as u64;
            self.inner.set_connection(event::ConnectionState::Waiting { retry_ms, code });
            self.pause(wait).await;
        }
    }

    async fn session(&mut self) -> End {
        let ready = self.inner.options.network.ready();
        let opened = tokio::select! {
            opened = timeout(&*self.inner.options.runtime, ready, self.greet()) => opened,
            () = self.unwanted() => return End::Unwanted,
        };
        let mut connection = match opened {
            Some(Ok(connection)) => connection,
            Some(Err(end)) => return end,
            None => return next("the region did not greet in time"),
        };
        let region = self.inner.options.regions[self.region].name.clone();
        self.inner.set_connection(event::ConnectionState::Online { region });
        self.reason = TokenReason::Connect;
        self.pump(&mut connection).await
    }

    /// Connect, and wait until the region has greeted back: only then is it worth anything.
    async fn greet(&self) -> Result<Connection, End> {
        let options = &self.inner.options;
        let region = options.regions[self.region].clone();
        let connecting = options.transport.connect(region, self.inner.traffic.clone());
        let (connection, token) = tokio::join!(connecting, options.tokens.token(self.reason));
        let mut connection = connection.map_err(|e| next(&e.message))?;
        let token = token.map_err(|e| next(&e.message))?;
        let begun = self.inner.begin_session(connection.outgoing.clone(), &token);
        begun.map_err(|e| next(e.message()))?;
        while self.inner.health() == Some(Health::Greeting) {
            let frame = connection.incoming.recv().await;
            let frame = received(frame)?;
            self.inner.frames(vec![frame]).map_err(|e| next(e.message()))?;
        }
        match self.verdict() {
            None => Ok(connection),
            Some(end) => Err(end),
        }
    }

    /// Carry frames until the session ends.
    async fn pump(&mut self, connection: &mut Connection) -> End {
        let most = self.inner.options.network.frames_per_transaction.max(1);
        let mut frames = Vec::with_capacity(most);
        let runtime = &self.inner.options.runtime;
        let mut polls = Ticks::new(runtime.clone(), POLL);
        let mut renewals = Ticks::new(runtime.clone(), RENEW);
        let mut tidying = Ticks::new(runtime.clone(), TIDY);
        loop {
            let done = tokio::select! {
                count = connection.incoming.recv_many(&mut frames, most) => {
                    if count == 0 {
                        return next("the connection ended");
                    }
                    self.take_in(&mut frames)
                }
                () = self.inner.wake.notified() => {
                    if self.is_unwanted() {
                        return End::Unwanted;
                    }
                    self.inner.poll().map_err(|e| next(e.message()))
                }
                () = polls.tick() => self.inner.poll().map_err(|e| next(e.message())),
                () = tidying.tick() => self.inner.tidy().map_err(|e| next(e.message())),
                () = renewals.tick() => match self.renew() {
                    true => Ok(()),
                    false => Err(End::Unwanted),
                },
            };
            if let Err(end) = done {
                return end;
            }
            if let Some(end) = self.verdict() {
                return end;
            }
        }
    }

    /// What arrived together is one transaction. What arrived before a failure counts.
    fn take_in(&self, frames: &mut Vec<Result<RegionFrame, TransportError>>) -> Result<(), End> {
        let mut whole = Vec::with_capacity(frames.len());
        let mut end = Ok(());
        for frame in frames.drain(..) {
            match received(Some(frame)) {
                Ok(frame) => whole.push(frame),
                Err(e) => end = Err(e),
            }
        }
        if !whole.is_empty() {
            let taken = self.inner.frames(whole).and_then(|()| self.inner.keep_within());
            taken.map_err(|e| next(e.message()))?;
        }
        end
    }

    /// Whether the session is at its end, as far as the file's side knows.
    fn verdict(&self) -> Option<End> {
        match self.inner.health() {
            None => Some(next("the file failed")),
            Some(Health::Greeting | Health::Ready) => None,
            Some(Health::Move { elsewhere: false }) => Some(End::Again),
            Some(Health::Move { elsewhere: true }) => {
                Some(End::Next { code: Some("drain".to_owned()), retry_ms: 0 })
            }
            Some(Health::Over(close)) if close.code == "lease_lost" => Some(End::Unwanted),
            Some(Health::Over(close)) => {
                tracing::info!(code = close.code, message = close.message, "session refused");
                Some(End::Next { code: Some(close.code), retry_ms: close.retry_after_ms })
            }
        }
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
        goal.closing || !goal.online
    }

    /// Until the app wants no session.
    async fn unwanted(&self) {
        let mut goal = self.inner.goal.subscribe();
        // An error: nobody can change it any more.
        let _ = goal.wait_for(|g| g.closing || !g.online).await;
    }

    /// Wait, or until the app wants something else.
    async fn pause(&self, most: Duration) {
        let mut goal = self.inner.goal.subscribe();
        let now = *goal.borrow_and_update();
        if now.closing {
            return;
        }
        let runtime = &self.inner.options.runtime;
        let _ = tokio::select! {
            changed = goal.wait_for(|g| *g != now) => changed.map(drop),
            () = runtime.sleep(most) => Ok(()),
        };
        // Lets a cancelled connection end before the next begins.
        runtime.sleep(Duration::ZERO).await;
    }
}

fn received(frame: Option<Result<RegionFrame, TransportError>>) -> Result<RegionFrame, End> {
    match frame {
        Some(Ok(frame)) => Ok(frame),
        Some(Err(error)) => Err(next(&error.message)),
        None => Err(next("the connection ended")),
    }
}

/// The next region, for a reason that goes to the log.
fn next(reason: &str) -> End {
    tracing::debug!(reason, "region given up");
    End::Next { code: None, retry_ms: 0 }
}
