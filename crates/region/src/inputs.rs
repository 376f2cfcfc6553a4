//! The way into the driver: one queue for all that connections, links and people have to say.
//!
//! The queue itself has no bound, so that news which must not get lost ("this connection is gone")
//! can always be sent, also from a destructor. What costs memory is bounded: a frame is read only
//! with a permit for its bytes, which comes back when the driver has worked on it.

use crate::limits;
use crate::outbox::{Outbox, Outgoing};
use landfall_model::id::RegionId;
use landfall_sync::region::node::{LinkId, SessionId};
use landfall_sync::wire;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// What the driver hears.
#[derive(Debug)]
pub enum Input {
    Device(SessionId, Event<wire::DeviceFrame, wire::RegionFrame>),
    /// A link that a peer opened.
    Peer(LinkId, Event<wire::PeerFrame, wire::PeerFrame>),
    /// A link that we opened to a peer. Its further events are [`Input::Peer`].
    Dialled(LinkId, RegionId, Outbox<wire::PeerFrame>),
    /// Look at the clock.
    Tick,
    /// Tell devices to move to another region within this time.
    Drain(Duration),
    /// Close all connections and the store, cleanly, and answer.
    Stop(oneshot::Sender<bool>),
    /// End at once, as in a crash.
    Kill,
}

/// What happens to one connection.
#[derive(Debug)]
pub enum Event<I, O> {
    Up(Outbox<O>),
    Frame(I, Permit),
    /// What was read is no protocol, or too much of it.
    Failed(wire::Error),
    /// The other side has nothing more to say, and is owed the answers.
    Ended,
    Gone,
}

/// The right to have some bytes in the queue, or to decode a frame.
#[derive(Debug)]
pub struct Permit(#[allow(dead_code, reason = "held to be dropped")] OwnedSemaphorePermit);

/// One kind of connection: what is read from it, what is written, and how the driver calls it.
pub trait Role: Copy + Send + Sync + std::fmt::Debug + 'static {
    type In: wire::Frame + Send + 'static;
    type Out: Outgoing;
    /// The largest first frame, in bytes.
    const HELLO_BYTES_MAX: usize;
    fn input(self, event: Event<Self::In, Self::Out>) -> Input;
}

impl Role for SessionId {
    type In = wire::DeviceFrame;
    type Out = wire::RegionFrame;
    const HELLO_BYTES_MAX: usize = limits::HELLO_BYTES_MAX;
    fn input(self, event: Event<Self::In, Self::Out>) -> Input {
        Input::Device(self, event)
    }
}

impl Role for LinkId {
    type In = wire::PeerFrame;
    type Out = wire::PeerFrame;
    const HELLO_BYTES_MAX: usize = limits::PEER_HELLO_BYTES_MAX;
    fn input(self, event: Event<Self::In, Self::Out>) -> Input {
        Input::Peer(self, event)
    }
}

/// The sending end of the driver's queue.
#[derive(Clone, Debug)]
pub struct Inputs {
    queue: mpsc::UnboundedSender<Input>,
    bytes: Arc<Semaphore>,
    decoding: Arc<Semaphore>,
}

impl Inputs {
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Input>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        let units = limits::QUEUED_BYTES_MAX / limits::QUEUED_BYTES_UNIT;
        let decoding = Arc::new(Semaphore::new(limits::DECODING_MAX));
        (Self { queue, bytes: Arc::new(Semaphore::new(units)), decoding }, receiver)
    }

    /// A driver that has ended hears nothing, and nobody needs to be told.
    pub fn send(&self, input: Input) {
        let _ = self.queue.send(input);
    }

    /// Wait until a frame may be decoded. It is held until the frame has its permit: few are in memory
    /// that are not counted.
    pub async fn decode(&self) -> Permit {
        let permit = Arc::clone(&self.decoding).acquire_owned().await;
        Permit(permit.expect("the semaphore is never closed"))
    }

    /// Wait until that many bytes more may be queued.
    pub async fn permit(&self, bytes: usize) -> Permit {
        let most = limits::QUEUED_BYTES_MAX / limits::QUEUED_BYTES_UNIT;
        let units = bytes.div_ceil(limits::QUEUED_BYTES_UNIT).clamp(1, most);
        let permit = Arc::clone(&self.bytes).acquire_many_owned(units as u32).await;
        Permit(permit.expect("the semaphore is never closed"))
    }
}

/// Tells the driver, however the connection ends.
#[derive(Debug)]
pub struct GoneOnDrop<R: Role> {
    pub role: R,
    pub inputs: Inputs,
}

impl<R: Role> Drop for GoneOnDrop<R> {
    fn drop(&mut self) {
        self.inputs.send(self.role.input(Event::Gone));
    }
}

/// A typed error, as it goes over the wire.
pub fn wire_error(code: &str, message: &str, retry_after_ms: u64) -> wire::Error {
    wire::Error { code: code.to_owned(), message: message.to_owned(), retry_after_ms }
}
