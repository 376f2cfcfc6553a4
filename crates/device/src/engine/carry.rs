//! One session with a region that is ready: frames both ways until it ends or moves.
//!
//! A region that is late is not waited for alone. After twice the usual time a second region is
//! greeted and offered what the first has not answered (a hedge; within a budget, because it costs
//! bytes and both regions their work). If the first answers after all, the hedge is dropped. If it
//! stays silent for four times the usual time, hangs up, or asks to be left, the hedge becomes the
//! session, with what the device holds as its cursor: only what is missing is downloaded. Sending
//! one op to two regions is nothing new to them: dots tell.
//!
//! The way back is slow on purpose. `choice` says when a region that failed, or may be nearer, is to
//! be probed: greeted, and left again. After several such greetings the last one becomes the
//! session.

mod asks;

use super::answers::{Answers, Deadlines};
use super::greet::{self, Failure, Greeted, Greets};
use super::{End, Engine, POLL, RENEW, TIDY};
use crate::event;
use crate::inner::{Goal, Health, LEASE_LOST};
use crate::options::TokenReason;
use crate::runtime::{Ticks, give_way};
use crate::transport::{Connection, TransportError};
use asks::Asks;
use landfall_sync::device::node::Extent;
use landfall_sync::wire::RegionFrame;
use landfall_sync::wire::region_frame::Kind;
use std::convert::Infallible;
use std::time::Duration;

/// Frames of one connection, as they were taken from it.
type Frames = Vec<Result<RegionFrame, TransportError>>;

/// The second region, if there is one.
#[derive(Default)]
enum Side {
    #[default]
    None,
    /// Greeted, to see how it is.
    Probing(Greets),
    /// Greeted, because the first is late. `leave`: it is to become the session as soon as it is ready.
    Hedging { greets: Greets, leave: bool },
    /// Greeted, because it owes an answer (`asks`).
    Asking(Greets),
    /// Ready, and offered what the first has not answered; or, until then, what it refuses.
    Hedge { region: usize, connection: Connection, greeting: Duration, until: Option<Duration> },
}

/// What the second region did.
enum Aside {
    Probed(usize, Result<Greeted, Failure>),
    Greeted(usize, Result<Greeted, Failure>),
    Asked(usize, Result<Greeted, Failure>),
    /// So many frames came; none: the connection ended.
    Frames(usize),
}

/// The session at hand.
struct Carry {
    region: usize,
    connection: Connection,
    side: Side,
    extent: Extent,
    /// The app's wishes when it began, or as they were followed since.
    goal: Goal,
    /// A gathered push is due at this time.
    push_at: Option<Duration>,
    chores: Chores,
    asks: Asks,
}

/// Bytes of rows, as they came, at which a transaction takes in no more frames: an app that writes
/// meanwhile waits for one.
const TRANSACTION_BYTES: usize = 256 << 10;

/// Steps of making room behind frames that were taken in.
const STEPS_BEHIND_FRAMES: usize = 16;

/// What keeps the file small. It is done a step at a time, with everything else in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chores {
    /// Rows may have grown too old.
    tidy: bool,
    /// The file may be larger than it is allowed to be.
    make_room: bool,
}

impl Chores {
    const NONE: Self = Self { tidy: false, make_room: false };
    const ALL: Self = Self { tidy: true, make_room: true };
}

impl Engine {
    /// A session from the region's greeting on.
    pub(super) async fn session(&mut self, greeted: Greeted, extent: Extent) -> End {
        self.choice.learn(greeted.region, greeted.id);
        let Greeted { region, connection, greeting, welcome, round_trip, .. } = greeted;
        let answers = Answers::after(round_trip);
        let begun = self.inner.begin_session(greeting, connection.outgoing.clone(), answers);
        let taken = begun.and_then(|()| self.inner.frames(vec![welcome]));
        if let Err(error) = taken {
            return error.into();
        }
        let (goal, side, push_at) = (*self.inner.goal.borrow(), Side::None, None);
        // The session before may have ended in the midst of it.
        let chores = Chores { make_room: true, ..Chores::NONE };
        let asks = Asks::default();
        let mut carry = Carry { region, connection, side, extent, goal, push_at, chores, asks };
        let mut round_trip = round_trip;
        loop {
            let over = match self.verdict() {
                Some(over) => over,
                None => {
                    self.is_online(&carry, round_trip);
                    let Err(over) = self.carry(&mut carry).await;
                    over
                }
            };
            match &over {
                End::Failed(failure) if failure.blames_region() => self.fail(carry.region),
                _ => return over,
            }
            let side = std::mem::take(&mut carry.side);
            let Side::Hedge { region, connection, greeting, .. } = side else {
                return over;
            };
            (carry.region, carry.connection, round_trip) = (region, connection, greeting);
            let outgoing = carry.connection.outgoing.clone();
            match self.inner.promote(outgoing, Answers::after(greeting)) {
                Ok(true) => {}
                Ok(false) => return over,
                Err(error) => return error.into(),
            }
        }
    }

    /// The session is with this region now.
    fn is_online(&mut self, carry: &Carry, round_trip: Duration) {
        self.choice.ready(carry.region, self.inner.options.runtime.now(), round_trip);
        let region = self.choice.regions[carry.region].name.clone();
        self.inner.set_connection(event::ConnectionState::Online { region });
        self.reason = TokenReason::Connect;
    }

    /// Carry frames, and do what is due, until something ends the session.
    async fn carry(&mut self, carry: &mut Carry) -> Result<Infallible, End> {
        let inner = self.inner.clone();
        let runtime = &inner.options.runtime;
        let most = inner.options.network.frames_per_transaction.max(1);
        let (mut frames, mut aside) = (Vec::with_capacity(most), Vec::new());
        let mut polls = Ticks::new(runtime.clone(), POLL);
        let mut renewals = Ticks::new(runtime.clone(), RENEW);
        let mut tidying = Ticks::new(runtime.clone(), TIDY);
        loop {
            let percent = inner.options.network.hedge_percent;
            self.hedges.pushed(inner.take_pushes(), percent);
            let due = self.due(carry);
            let wait = due.map(|at| at.saturating_sub(runtime.now()));
            tokio::select! {
                count = carry.connection.incoming.recv_many(&mut frames, most) => {
                    if count == 0 {
                        return Err(End::Failed(Failure::new("the connection ended")));
                    }
                    self.take_in(carry, &mut frames).await?;
                }
                () = inner.wake.notified() => self.woken(carry)?,
                () = polls.tick() => {
                    self.within_extent(carry)?;
                    inner.poll()?;
                    self.end_asking(carry);
                    self.ask_owed(carry)?;
                }
                () = tidying.tick() => carry.chores = Chores::ALL,
                () = runtime.sleep(Duration::ZERO), if carry.chores != Chores::NONE => {
                    self.chore(carry)?;
                }
                () = renewals.tick() => if !self.renew() {
                    return Err(End::Unwanted);
                },
                told = carry.side.next(&mut aside, most) => {
                    self.aside(carry, told, &mut aside)?;
                }
                () = runtime.sleep(wait.unwrap_or_default()), if wait.is_some() => {
                    self.overdue(carry)?;
                }
            }
            if let Some(end) = self.verdict() {
                return Err(end);
            }
        }
    }

    /// When there is something to do even if nothing happens.
    fn due(&self, carry: &Carry) -> Option<Duration> {
        let late = self.inner.deadlines().and_then(|d| match &carry.side {
            Side::Hedging { leave: true, .. } => None,
            Side::None | Side::Probing(_) if self.may_hedge(carry) => Some(d.hedge.min(d.give_up)),
            _ => Some(d.give_up),
        });
        let idle = matches!(carry.side, Side::None);
        let probe = self.next_probe(carry).filter(|_| idle).map(|(at, _)| at);
        [late, probe, carry.push_at].into_iter().flatten().min()
    }

    fn next_probe(&self, carry: &Carry) -> Option<(Duration, usize)> {
        let conditions = carry.goal.conditions;
        let survey = !conditions.metered && !conditions.low_power;
        self.choice.next_probe(&self.inner.options.network, survey)
    }

    fn may_hedge(&self, carry: &Carry) -> bool {
        self.hedges.may()
            && !carry.goal.conditions.low_power
            && self.choice.second().is_some()
            && self.inner.unanswered() > 0
    }

    /// Do what `due` was waited for.
    fn overdue(&mut self, carry: &mut Carry) -> Result<(), End> {
        let now = self.inner.options.runtime.now();
        if carry.push_at.is_some_and(|at| at <= now) {
            self.push(carry)?;
        }
        let Some(Deadlines { hedge, give_up }) = self.inner.deadlines() else {
            self.probe_due(carry, now);
            return Ok(());
        };
        if give_up <= now {
            return match &mut carry.side {
                Side::Hedging { leave, .. } => {
                    *leave = true;
                    Ok(())
                }
                _ => Err(End::Failed(Failure::new("the region fell silent"))),
            };
        }
        let free = matches!(carry.side, Side::None | Side::Probing(_));
        match self.choice.second() {
            Some(second) if free && hedge <= now && self.may_hedge(carry) => {
                self.hedges.spend();
                let greets = self.greets(second, carry.extent);
                carry.side = Side::Hedging { greets, leave: false };
            }
            _ => self.probe_due(carry, now),
        }
        Ok(())
    }

    fn probe_due(&mut self, carry: &mut Carry, now: Duration) {
        let due = self.next_probe(carry).filter(|(at, _)| *at <= now);
        if let (Some((_, region)), Side::None) = (due, &carry.side) {
            carry.side = Side::Probing(self.greets(region, carry.extent));
        }
    }

    /// A greeting of another region.
    fn greets(&self, region: usize, extent: Extent) -> Greets {
        let url = self.choice.regions[region].clone();
        greet::greet_alone(self.inner.clone(), region, url, extent)
    }

    fn probed(&mut self, region: usize, answer: Result<(Duration, u32), ()>) -> bool {
        let options = &self.inner.options;
        let (now, random) = (options.runtime.now(), options.random.next());
        self.choice.probed(region, now, answer, &options.network, random)
    }

    /// What the second region did.
    fn aside(&mut self, carry: &mut Carry, told: Aside, frames: &mut Frames) -> Result<(), End> {
        match told {
            Aside::Probed(region, done) => {
                carry.side = Side::None;
                if done.as_ref().is_err_and(Failure::lost_lease) {
                    return Err(End::Unwanted);
                }
                let moves = match &done {
                    Ok(greeted) => self.probed(region, Ok((greeted.round_trip, greeted.accepts))),
                    // Who refuses the token has answered, and is no region to go on with.
                    Err(failure) if failure.blames_region() || failure.refused_token() => {
                        self.probed(region, Err(()))
                    }
                    Err(_) => {
                        let options = &self.inner.options;
                        self.choice.not_probed(region, options.runtime.now(), &options.network);
                        false
                    }
                };
                if let Ok(greeted) = &done {
                    self.choice.learn(region, greeted.id);
                }
                if let (true, Ok(greeted)) = (moves, done) {
                    return Err(End::Moved(Box::new(greeted)));
                }
            }
            Aside::Greeted(region, done) => {
                let side = std::mem::take(&mut carry.side);
                let leave = matches!(side, Side::Hedging { leave: true, .. });
                match done {
                    Ok(greeted) if leave => {
                        self.fail(carry.region);
                        return Err(End::Moved(Box::new(greeted)));
                    }
                    Ok(greeted) => carry.side = self.hedge(greeted, None)?,
                    Err(_) if leave => {
                        return Err(End::Failed(Failure::new("the region fell silent")));
                    }
                    Err(failure) if failure.blames_region() => self.fail(region),
                    Err(_) => {}
                }
            }
            Aside::Asked(region, done) => {
                carry.side = Side::None;
                carry.side = self.asked(region, done)?;
            }
            Aside::Frames(count) => {
                let frames: Vec<RegionFrame> = frames.drain(..).filter_map(Result::ok).collect();
                let goes_on = count > 0 && frames.len() == count;
                if !self.inner.hedge_frames(frames)? || !goes_on {
                    self.inner.end_hedge();
                    carry.side = Side::None;
                }
                self.end_asking(carry);
            }
        }
        Ok(())
    }

    /// Offer a region that is ready what the first has not answered; or what it refuses, `until` then.
    fn hedge(&mut self, greeted: Greeted, until: Option<Duration>) -> Result<Side, End> {
        let Greeted { region, connection, greeting, welcome, round_trip, .. } = greeted;
        let outgoing = connection.outgoing.clone();
        let begins = self.inner.begin_hedge(greeting, outgoing, until.is_some())?;
        if !begins || !self.inner.hedge_frames(vec![welcome])? {
            return Ok(Side::None);
        }
        Ok(Side::Hedge { region, connection, greeting: round_trip, until })
    }

    /// The first region said something. Once it has answered everything, a hedge is over.
    fn heard(&mut self, carry: &mut Carry) {
        match &mut carry.side {
            Side::Hedge { until: None, .. } if self.inner.unanswered() == 0 => {
                self.inner.end_hedge();
                carry.side = Side::None;
            }
            // It was slow, and is not silent: nobody moves because of that.
            Side::Hedging { leave, .. } if *leave && self.inner.unanswered() == 0 => *leave = false,
            _ => {}
        }
    }

    /// The app wrote, or wants something else.
    fn woken(&mut self, carry: &mut Carry) -> Result<(), End> {
        if self.is_unwanted() {
            return Err(End::Unwanted);
        }
        if self.inner.take_directory()? {
            self.choice.replace(self.inner.regions());
            return Err(End::Again);
        }
        let goal = *self.inner.goal.borrow();
        if goal.network != carry.goal.network {
            self.inner.ping()?;
        }
        carry.goal = goal;
        self.within_extent(carry)?;
        let gather_ms = self.inner.options.network.policy.low_power_gather_ms;
        if goal.conditions.low_power && gather_ms > 0 {
            let now = self.inner.options.runtime.now();
            carry.push_at.get_or_insert(now + Duration::from_millis(gather_ms));
            return Ok(());
        }
        self.push(carry)
    }

    fn push(&mut self, carry: &mut Carry) -> Result<(), End> {
        carry.push_at = None;
        Ok(self.inner.poll()?)
    }

    /// A session that may carry more or less by now begins anew.
    fn within_extent(&mut self, carry: &Carry) -> Result<(), End> {
        if self.extent() == Some(carry.extent) { Ok(()) } else { Err(End::Again) }
    }

    /// One step of what keeps the file small.
    fn chore(&self, carry: &mut Carry) -> Result<(), End> {
        let chores = &mut carry.chores;
        if chores.tidy {
            chores.tidy = !self.inner.tidy()?;
        } else {
            chores.make_room = !self.inner.keep_within()?;
        }
        Ok(())
    }

    /// What arrived together is one transaction, or several where it is much. What arrived before a
    /// failure counts.
    async fn take_in(&mut self, carry: &mut Carry, frames: &mut Frames) -> Result<(), End> {
        let mut whole = Vec::with_capacity(frames.len());
        let mut end = Ok(());
        for frame in frames.drain(..) {
            match frame {
                Ok(frame) => whole.push(frame),
                Err(error) => end = Err(End::Failed(error.into())),
            }
        }
        let mut left = whole.into_iter().peekable();
        while left.peek().is_some() {
            let taken = self.take_in_once(carry, one_transaction(&mut left));
            self.heard(carry);
            taken?;
            if left.peek().is_some() {
                // Credit for more leaves, and is answered while the next ones are taken in.
                give_way().await;
                self.verdict().map_or(Ok(()), Err)?;
            }
        }
        end
    }

    fn take_in_once(&self, carry: &mut Carry, frames: Vec<RegionFrame>) -> Result<(), End> {
        // As much goes as may have come, even while more comes without a pause.
        let mut done = self.inner.take_in(frames)?;
        for _ in 0..STEPS_BEHIND_FRAMES {
            if done {
                break;
            }
            done = self.inner.keep_within()?;
        }
        carry.chores.make_room |= !done;
        Ok(())
    }

    /// Whether the session is at its end, as far as the file's side knows.
    fn verdict(&self) -> Option<End> {
        let failed = |code: &str, retry_ms: u64, own: bool| {
            Some(End::Failed(Failure { code: Some(code.to_owned()), retry_ms, own, lasts: false }))
        };
        match self.inner.health() {
            // The app went offline, if only for a moment; or the file failed, as the next call tells.
            None => Some(if self.is_unwanted() { End::Unwanted } else { End::Again }),
            Some(Health::Greeting | Health::Ready) => None,
            Some(Health::Move { elsewhere: false }) => Some(End::Again),
            Some(Health::Move { elsewhere: true }) => failed("drain", 0, false),
            Some(Health::Over(close)) if close.code == LEASE_LOST => Some(End::Unwanted),
            Some(Health::Over(close)) => {
                tracing::info!(code = close.code, message = close.message, "session ended");
                failed(&close.code, close.retry_after_ms, close.is_own())
            }
        }
    }
}

/// The next frames, as many as one transaction takes in.
fn one_transaction(left: &mut impl Iterator<Item = RegionFrame>) -> Vec<RegionFrame> {
    let (mut frames, mut bytes) = (Vec::new(), 0);
    while bytes < TRANSACTION_BYTES
        && let Some(frame) = left.next()
    {
        if let Some(Kind::Delta(delta)) = &frame.kind {
            bytes += delta.body.len();
        }
        frames.push(frame);
    }
    frames
}

impl Side {
    /// What comes next; never, where there is no second region.
    async fn next(&mut self, frames: &mut Frames, most: usize) -> Aside {
        match self {
            Self::None => std::future::pending().await,
            Self::Probing(greets) => {
                let (region, done) = greets.await;
                Aside::Probed(region, done)
            }
            Self::Hedging { greets, .. } => {
                let (region, done) = greets.await;
                Aside::Greeted(region, done)
            }
            Self::Asking(greets) => {
                let (region, done) = greets.await;
                Aside::Asked(region, done)
            }
            Self::Hedge { connection, .. } => {
                Aside::Frames(connection.incoming.recv_many(frames, most).await)
            }
        }
    }
}

#[cfg(test)]
mod tests;
