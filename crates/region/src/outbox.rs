//! The way out of the driver: a bounded queue of frames per connection.
//!
//! The driver never waits. A connection that does not take its frames fast enough fills its queue,
//! and is closed. Encoding and compression happen at the other end, in the connection's own task:
//! a change that goes to many sessions is one shared body until there.

use crate::limits::{OUTGOING_BYTES_MAX, OUTGOING_FRAMES_MAX, WRITE_BYTES};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::unfold;
use landfall_sync::wire;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use wire::region_frame::Kind as ToDevice;

/// A frame that is sent.
pub trait Outgoing: prost::Message + Send + 'static {
    /// Set in the frame that tells whether those after it may be compressed.
    fn compression(&self) -> Option<bool> {
        None
    }

    /// Its bytes are those of other connections' frames, too.
    fn is_shared(&self) -> bool {
        false
    }
}

/// zstd, as [`wire::Welcome::codec`] names it.
const CODEC_ZSTD: u32 = 1;

impl Outgoing for wire::RegionFrame {
    fn compression(&self) -> Option<bool> {
        match &self.kind {
            Some(ToDevice::Welcome(w)) => Some(w.codec == CODEC_ZSTD),
            _ => None,
        }
    }

    fn is_shared(&self) -> bool {
        let live = |d: &wire::Delta| matches!(d.place, Some(wire::delta::Place::Live(_)));
        matches!(&self.kind, Some(ToDevice::Delta(d)) if live(d))
    }
}

/// Peers' greetings name no codec, so their frames are plain.
impl Outgoing for wire::PeerFrame {}

/// The driver's end. Frames are boxed because the queue has room for a block of them from the start: of
/// the frames themselves it would be most of what a session that waits takes.
#[derive(Debug)]
pub struct Outbox<F> {
    queue: mpsc::Sender<Box<F>>,
    bytes: Arc<Queued>,
}

/// What waits in the queues of all connections.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// Bytes of frames that wait, without those that connections share.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes that wait in one queue. What is still there when both its ends are gone waits no more.
#[derive(Debug)]
struct Queued {
    all: AtomicUsize,
    own: AtomicUsize,
    waiting: Waiting,
}

impl Queued {
    fn add<F: Outgoing>(&self, frame: &F, bytes: usize) {
        self.all.fetch_add(bytes, Ordering::Relaxed);
        if !frame.is_shared() {
            self.own.fetch_add(bytes, Ordering::Relaxed);
            self.waiting.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn take<F: Outgoing>(&self, frame: &F) {
        let bytes = frame.encoded_len();
        self.all.fetch_sub(bytes, Ordering::Relaxed);
        if !frame.is_shared() {
            self.own.fetch_sub(bytes, Ordering::Relaxed);
            self.waiting.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.waiting.0.fetch_sub(*self.own.get_mut(), Ordering::Relaxed);
    }
}

/// The connection's end.
#[derive(Debug)]
pub struct Frames<F> {
    queue: mpsc::Receiver<Box<F>>,
    bytes: Arc<Queued>,
}

/// The queue is full, or nobody takes from it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTaken;

/// `waiting` counts what waits here, too.
pub fn outbox<F: Outgoing>(waiting: &Waiting) -> (Outbox<F>, Frames<F>) {
    let (sender, receiver) = mpsc::channel(OUTGOING_FRAMES_MAX);
    let (all, own) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let bytes = Arc::new(Queued { all, own, waiting: waiting.clone() });
    (Outbox { queue: sender, bytes: Arc::clone(&bytes) }, Frames { queue: receiver, bytes })
}

impl<F: Outgoing> Outbox<F> {
    pub fn send(&self, frame: F) -> Result<(), NotTaken> {
        let bytes = frame.encoded_len();
        let queued = self.bytes.all.load(Ordering::Relaxed);
        if queued > 0 && queued + bytes > OUTGOING_BYTES_MAX {
            return Err(NotTaken);
        }
        self.bytes.add(&frame, bytes);
        self.queue.try_send(Box::new(frame)).map_err(|_| NotTaken)
    }
}

impl<F: Outgoing> Frames<F> {
    /// The next frame, or `None` when the driver has closed the connection.
    pub async fn next(&mut self) -> Option<F> {
        let frame = self.queue.recv().await?;
        Some(self.taken(*frame))
    }

    fn next_now(&mut self) -> Option<F> {
        let frame = self.queue.try_recv().ok()?;
        Some(self.taken(*frame))
    }

    fn taken(&self, frame: F) -> F {
        self.bytes.take(&frame);
        frame
    }

    /// The frames as bytes on the wire, many small ones in one piece. `guard` is kept until the
    /// stream ends or is dropped.
    pub fn encode<G: Send>(self, guard: G) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        unfold((self, false, guard), |(mut frames, mut compress, guard)| async move {
            let mut next = Some(frames.next().await?);
            let mut out = BytesMut::new();
            while let Some(frame) = next {
                wire::encode_frame(&frame, compress, &mut out);
                compress = frame.compression().unwrap_or(compress);
                next = if out.len() < WRITE_BYTES { frames.next_now() } else { None };
            }
            Some((Ok(out.freeze()), (frames, compress, guard)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use prost::Message;

    fn pong(n: i64) -> wire::RegionFrame {
        let pong = wire::Pong { ping_ms: n, received_ms: n };
        wire::RegionFrame { kind: Some(ToDevice::Pong(pong)) }
    }

    #[tokio::test]
    async fn frames_that_wait_are_sent_in_one_piece() {
        let (outbox, frames) = outbox(&Waiting::default());
        (1..=3).for_each(|n| outbox.send(pong(n)).unwrap());
        drop(outbox);
        let pieces: Vec<_> = frames.encode(()).collect().await;
        let [Ok(piece)] = pieces.as_slice() else { panic!("{} pieces", pieces.len()) };
        let mut reader = wire::FrameReader::default();
        reader.push(piece);
        for n in 1..=3 {
            assert_eq!(reader.read().unwrap(), Some(pong(n)));
        }
        assert!(reader.is_empty());
    }

    #[tokio::test]
    async fn what_waits_is_counted_over_all_queues_until_it_is_taken_or_nobody_can() {
        let waiting = Waiting::default();
        let chunk = |place| {
            let body = vec![0; 1_000].into();
            let delta = wire::Delta { sub: 1, body, received: Vec::new(), place: Some(place) };
            wire::RegionFrame { kind: Some(ToDevice::Delta(delta)) }
        };
        let own = || chunk(wire::delta::Place::Refetched(wire::Refetched::default()));
        let shared = || chunk(wire::delta::Place::Live(wire::Live::default()));
        let bytes = own().encoded_len();
        let (one, mut frames) = outbox(&waiting);
        let (other, unread) = outbox(&waiting);
        [own(), shared()].into_iter().for_each(|frame| one.send(frame).unwrap());
        other.send(own()).unwrap();
        assert_eq!(waiting.bytes(), 2 * bytes, "what is shared is not counted");
        frames.next().await.unwrap();
        frames.next().await.unwrap();
        assert_eq!(waiting.bytes(), bytes);
        drop((other, unread));
        assert_eq!(waiting.bytes(), 0);
    }

    #[test]
    fn a_full_queue_refuses_instead_of_waiting() {
        let (outbox, frames) = outbox(&Waiting::default());
        (0..OUTGOING_FRAMES_MAX).for_each(|_| outbox.send(pong(1)).unwrap());
        assert_eq!(outbox.send(pong(1)), Err(NotTaken));
        drop(frames);
    }

    #[test]
    fn a_connection_may_owe_one_frame_of_any_size_and_then_no_more_bytes_than_the_limit() {
        let (outbox, _frames) = outbox(&Waiting::default());
        let big = || {
            let body = vec![0; OUTGOING_BYTES_MAX].into();
            let delta = wire::Delta { sub: 1, body, received: Vec::new(), place: None };
            wire::RegionFrame { kind: Some(ToDevice::Delta(delta)) }
        };
        assert_eq!(outbox.send(big()), Ok(()));
        assert_eq!(outbox.send(big()), Err(NotTaken));
    }
}
