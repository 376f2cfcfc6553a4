//! Greeting regions: one that answers is ready, whatever TCP says.
//!
//! A connection counts from the region's answer to Hello on: then it has read a token, opened its
//! store and taken the time. Several may be greeted at a time; only one of them becomes the
//! session, the others are dropped without a trace.

use super::TOKEN_CODES;
use crate::error::Error;
use crate::inner::{Inner, LEASE_LOST};
use crate::options::{RegionUrl, TokenError, TokenReason};
use crate::runtime::timeout;
use crate::transport::{Connection, TransportError};
use landfall_model::id::RegionId;
use landfall_sync::device::node::{Extent, Greeting};
use landfall_sync::wire::RegionFrame;
use landfall_sync::wire::region_frame::Kind;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// The app's provider gave no token.
const NO_TOKEN: &str = "no_token";

/// A region that is ready.
#[derive(Debug)]
pub(super) struct Greeted {
    pub region: usize,
    /// As regions name it.
    pub id: RegionId,
    pub connection: Connection,
    pub greeting: Greeting,
    /// Its answer, which the session takes in first.
    pub welcome: RegionFrame,
    pub round_trip: Duration,
    /// Of a hundred devices that failed over, it takes so many back.
    pub accepts: u32,
}

/// Why a region was not ready.
#[derive(Debug)]
pub(super) struct Failure {
    pub code: Option<String>,
    pub retry_ms: u64,
    /// It lies with this device: its token, its file, its lease.
    pub own: bool,
    /// Until somebody does something about it, such as a certificate that cannot be believed: to come
    /// back soon helps nobody.
    pub lasts: bool,
}

impl Failure {
    /// For a reason that goes to the log.
    pub fn new(reason: &str) -> Self {
        tracing::debug!(reason, "region given up");
        Self { code: None, retry_ms: 0, own: false, lasts: false }
    }

    /// Another process has the lease by now.
    fn no_lease() -> Self {
        Self { code: Some(LEASE_LOST.to_owned()), retry_ms: 0, own: true, lasts: false }
    }

    /// The region wants another token.
    pub fn refused_token(&self) -> bool {
        self.code.as_deref().is_some_and(|code| TOKEN_CODES.contains(&code))
    }

    /// Another process has the lease by now.
    pub fn lost_lease(&self) -> bool {
        self.code.as_deref() == Some(LEASE_LOST)
    }

    /// It says something about the region, and not about the app's token or the file.
    pub fn blames_region(&self) -> bool {
        !(self.own || self.refused_token())
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let code = error.code.map(str::to_owned);
        Self { lasts: code.is_some(), code, ..Self::new(&error.message) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: Some(error.code().to_owned()), own: true, ..Self::new(error.message()) }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self { code: Some(NO_TOKEN.to_owned()), own: true, ..Self::new(&error.message) }
    }
}

/// A greeting under way.
pub(super) type Greets = Pin<Box<dyn Future<Output = (usize, Result<Greeted, Failure>)> + Send>>;

/// A token of the app's, as long as a greeting may take.
pub(super) async fn token(inner: &Inner, reason: TokenReason) -> Result<String, Failure> {
    let most = inner.options.network.ready();
    let token = timeout(&*inner.options.runtime, most, inner.options.tokens.token(reason)).await;
    let late = || TokenError { message: "it did not come in time".to_owned() };
    Ok(token.ok_or_else(late)??)
}

/// Greet one region with a token of the app's that is asked for now.
pub(super) fn greet_alone(
    inner: Arc<Inner>,
    region: usize,
    url: RegionUrl,
    extent: Extent,
) -> Greets {
    Box::pin(async move {
        match token(&inner, TokenReason::Connect).await {
            Ok(token) => greet(inner, region, url, token, extent).await,
            Err(failure) => (region, Err(failure)),
        }
    })
}

/// Greet one region.
fn greet(
    inner: Arc<Inner>,
    region: usize,
    url: RegionUrl,
    token: String,
    extent: Extent,
) -> Greets {
    Box::pin(async move {
        let most = inner.options.network.ready();
        let greeted = until_ready(&inner, region, url, &token, extent);
        let done = timeout(&*inner.options.runtime, most, greeted).await;
        let late = || Err(Failure::new("the region did not greet in time"));
        (region, done.unwrap_or_else(late))
    })
}

async fn until_ready(
    inner: &Inner,
    region: usize,
    url: RegionUrl,
    token: &str,
    extent: Extent,
) -> Result<Greeted, Failure> {
    let options = &inner.options;
    let mut connection = options.transport.connect(url, inner.traffic.clone()).await?;
    let Some((greeting, hello)) = inner.greet(token, extent)? else {
        return Err(Failure::no_lease());
    };
    let sent = options.runtime.now();
    for frame in hello {
        // A connection that is gone shows below.
        let _ = connection.outgoing.send(frame);
    }
    let first = connection.incoming.recv().await;
    let welcome = first.ok_or_else(|| Failure::new("the connection ended"))??;
    let round_trip = options.runtime.now().saturating_sub(sent);
    let (id, accepts) = match &welcome.kind {
        Some(Kind::Error(e)) => {
            tracing::info!(code = e.code, message = e.message, "session refused");
            let (code, retry_ms) = (Some(e.code.clone()), e.retry_after_ms);
            return Err(Failure { code, retry_ms, own: false, lasts: false });
        }
        // A region that says nothing of it takes all.
        Some(Kind::Welcome(w)) => (
            w.region,
            match w.accepts_percent {
                0 => 100,
                percent => percent,
            },
        ),
        _ => return Err(Failure::new("the region did not greet")),
    };
    let Ok(id) = id.try_into().map(RegionId) else {
        return Err(Failure::new("the region has no number"));
    };
    Ok(Greeted { region, id, connection, greeting, welcome, round_trip, accepts })
}

/// Greet regions in this order, each next one a while after the one before or as soon as that has
/// failed, until one is ready; and how those failed that did. A refused token ends the race, unless
/// such refusals are doubted: then others are asked, too.
pub(super) async fn race(
    inner: &Arc<Inner>,
    order: Vec<(usize, RegionUrl)>,
    token: &str,
    extent: Extent,
    doubted: bool,
) -> (Option<Greeted>, Vec<(usize, Failure)>) {
    let stagger = Duration::from_millis(inner.options.network.race_ms);
    let mut waiting = order.into_iter();
    let mut racing: Vec<Greets> = Vec::new();
    let mut failed = Vec::new();
    loop {
        let started = waiting.next().map(|(region, url)| {
            racing.push(greet(inner.clone(), region, url, token.to_owned(), extent));
        });
        if racing.is_empty() {
            return (None, failed);
        }
        let pause = inner.options.runtime.sleep(stagger);
        tokio::select! {
            biased;
            (region, done) = first(&mut racing) => match done {
                Ok(greeted) => return (Some(greeted), failed),
                Err(failure) if failure.refused_token() && !doubted => {
                    return (None, vec![(region, failure)]);
                }
                Err(failure) => failed.push((region, failure)),
            },
            () = pause, if started.is_some() => {}
        }
    }
}

/// The first of several to be done, which leaves them.
async fn first<T>(all: &mut Vec<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    poll_fn(|cx| {
        for at in 0..all.len() {
            if let Poll::Ready(done) = all[at].as_mut().poll(cx) {
                drop(all.swap_remove(at));
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    })
    .await
}
