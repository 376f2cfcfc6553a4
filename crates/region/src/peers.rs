//! Links to the other regions: one outgoing link per peer, kept up for as long as the server runs.
//!
//! On the link that we open we ask and the peer answers; the peer asks on the one that it opens.
//! A link that breaks is dialled again after a growing, jittered wait. The driver is told of a
//! link when it is up, and that it is gone; all its frames pass through the driver's queue.
//!
//! A link may be made slower than it is, to make a world of several continents on one machine: a
//! delay line in each direction holds every byte back for the same time and keeps the order.

mod delay;

use crate::api::dial::{self, Target, dial};
use crate::api::duplex::{Break, Reading};
use crate::inputs::{GoneOnDrop, Input};
use crate::limits::{DIAL_WITHIN, HELLO_WITHIN, RETRY_MAX, RETRY_MIN};
use crate::outbox;
use crate::server::{PeerConfig, Shared, StartError};
use crate::world::Entropy;
use delay::delayed;
use futures_util::TryStreamExt;
use landfall_model::id::RegionId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// After we have closed our half of a link, how long the peer may take with its own.
const LINGER: Duration = Duration::from_secs(1);

/// A peer whose address has been understood.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    region: RegionId,
    name: String,
    target: Target,
    delay: Duration,
}

/// Check the addresses of all peers.
pub(crate) fn targets(peers: &[PeerConfig]) -> Result<Vec<Peer>, StartError> {
    let check = |peer: &PeerConfig| {
        let name = peer.name.clone();
        match Target::parse(&peer.url) {
            Ok(target) => {
                let delay = Duration::from_millis(peer.delay_ms);
                Ok(Peer { region: peer.region, name, target, delay })
            }
            Err(reason) => Err(StartError::Peer { name, reason }),
        }
    };
    peers.iter().map(check).collect()
}

/// Keep a link to the peer, for ever.
pub(crate) async fn keep(shared: Arc<Shared>, peer: Peer) {
    let mut backoff = Backoff::default();
    let mut refused = false;
    loop {
        let began = Instant::now();
        let ended = link(&shared, &peer).await;
        // To wait long for nothing is no link.
        if ended.is_ok() && began.elapsed() > RETRY_MAX {
            backoff = Backoff::default();
        }
        let wait = backoff.next(shared.config.entropy.as_ref());
        match ended {
            Ok(()) => {
                refused = false;
                tracing::info!(peer = peer.name, ?wait, "the link ended");
            }
            // Until somebody does something about it: told once.
            Err(error) if error.is_refusal() && !refused => {
                refused = true;
                tracing::warn!(peer = peer.name, %error, "no link");
            }
            Err(error) => tracing::debug!(peer = peer.name, ?wait, %error, "no link"),
        }
        sleep(wait).await;
    }
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Dial(#[from] dial::Error),
    #[error("the peer did not answer in time")]
    Timeout,
}

impl Error {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Dial(error) if error.is_refusal())
    }
}

/// One link, from dialling to its end.
async fn link(shared: &Shared, peer: &Peer) -> Result<(), Error> {
    let (outbox, frames) = outbox::outbox(&shared.waiting);
    // Dropped with the outgoing half, whichever way it ends.
    let (sending, sent) = oneshot::channel::<()>();
    let outgoing = delayed(frames.encode(sending), peer.delay);
    let dialling = dial(&shared.config.connector, &peer.target, outgoing);
    let dialling = timeout(DIAL_WITHIN, dialling);
    let dialled = dialling.await.map_err(|_| Error::Timeout)??;
    let role = shared.next_link();
    let inputs = shared.inputs.clone();
    inputs.send(Input::Dialled(role, peer.region, outbox));
    let gone = GoneOnDrop { role, inputs: inputs.clone() };
    tracing::info!(peer = peer.name, "the link is up");
    let reading = Reading { role, inputs, pace: None, within: HELLO_WITHIN + 2 * peer.delay };
    let incoming = Box::pin(delayed(dialled.incoming, peer.delay));
    let mut reader = std::pin::pin!(reading.read(incoming.map_err(|_| Break::Lost)));
    tokio::select! {
        () = reader.as_mut() => {}
        _ = sent => {
            let _ = timeout(LINGER, reader).await;
        }
    }
    drop(gone);
    drop(dialled.connection);
    Ok(())
}

/// Waits that double, each between half of its nominal length and all of it.
#[derive(Debug)]
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(RETRY_MIN)
    }
}

impl Backoff {
    fn next(&mut self, entropy: &dyn Entropy) -> Duration {
        let nominal = self.0;
        self.0 = (nominal * 2).min(RETRY_MAX);
        let half = nominal / 2;
        half + Duration::from_micros(entropy.below(half.as_micros() as u64 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Most;

    impl Entropy for Most {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0xff);
        }
    }

    #[test]
    fn waits_grow_up_to_the_limit() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..10).map(|_| backoff.next(&Most)).collect();
        assert!(waits.iter().all(|w| *w >= RETRY_MIN / 2 && *w <= RETRY_MAX), "{waits:?}");
        assert!(waits[9] >= RETRY_MAX / 2);
    }
}
