//! The way between a device and the region: whole frames, in order, each taking the delay that was
//! set when it left. A device that is cut off loses what is on its way in both directions, so a write
//! may have arrived whose answer never does.

use crate::time::{Time, Timer, WORLD};
use crate::world::World;
use landfall_device::RegionUrl;
use landfall_device::transport::{
    Connecting, Connection, INCOMING_FRAMES_MAX, Traffic, Transport, TransportError,
};
use landfall_sync::wire::{DeviceFrame, RegionFrame};
use prost::Message;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// What the region's end of a connection says to the way down.
pub(crate) enum Down {
    Frame(Box<RegionFrame>),
    /// The device was cut off: nothing more arrives, also of what is on its way.
    Cut,
}

/// One device's transport.
pub(crate) struct Wire {
    pub world: Arc<World>,
    pub device: String,
    pub account: String,
}

impl Transport for Wire {
    fn connect(&self, _: RegionUrl, traffic: Arc<Traffic>) -> Connecting {
        let (world, device) = (self.world.clone(), self.device.clone());
        let account = self.account.clone();
        Box::pin(async move {
            if let Some(error) = world.obstacle(&device) {
                return Err(error);
            }
            let round_trip = world.delay().saturating_mul(2);
            if !round_trip.is_zero() {
                world.time.until(world.time.now().saturating_add(round_trip)).await;
            }
            let (to_device, from_region) = mpsc::unbounded_channel();
            let session = world.connect(&device, &account, to_device)?;
            let (outgoing, from_device) = mpsc::unbounded_channel();
            let (to_client, incoming) = mpsc::channel(INCOMING_FRAMES_MAX);
            let time = world.time.clone();
            let up = up(world.clone(), session, from_device, traffic.clone());
            time.spawn(WORLD, Box::pin(up));
            time.spawn(WORLD, Box::pin(down(world, from_region, to_client, traffic)));
            Ok(Connection { outgoing, incoming })
        })
    }
}

impl World {
    fn delay(&self) -> Duration {
        crate::accounts::lock(&self.here).delay
    }
}

/// Carry frames to the region until the device has hung up and all have arrived.
async fn up(
    world: Arc<World>,
    session: u64,
    mut frames: mpsc::UnboundedReceiver<DeviceFrame>,
    traffic: Arc<Traffic>,
) {
    let mut way = Way::new(&world);
    let mut open = true;
    while open || !way.is_empty() {
        tokio::select! {
            biased;
            frame = frames.recv(), if open => match frame {
                Some(frame) => {
                    traffic.add_up(frame.encoded_len());
                    way.put(frame, world.delay());
                }
                None => open = false,
            },
            () = way.arrival(), if !way.is_empty() => {
                if let Some(frame) = way.take() {
                    world.frame(session, frame);
                }
            }
        }
    }
    world.hung_up(session);
}

/// Carry frames to the device until the region has hung up and all have arrived, or nothing arrives
/// any more.
async fn down(
    world: Arc<World>,
    mut frames: mpsc::UnboundedReceiver<Down>,
    to_client: mpsc::Sender<Result<RegionFrame, TransportError>>,
    traffic: Arc<Traffic>,
) {
    let mut way = Way::new(&world);
    let mut open = true;
    while open || !way.is_empty() {
        tokio::select! {
            biased;
            frame = frames.recv(), if open => match frame {
                Some(Down::Frame(frame)) => way.put(*frame, world.delay()),
                Some(Down::Cut) => return,
                None => open = false,
            },
            () = way.arrival(), if !way.is_empty() => {
                if let Some(frame) = way.take() {
                    traffic.add_down(frame.encoded_len());
                    if to_client.send(Ok(frame)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Frames on their way, with the time at which each arrives.
struct Way<F> {
    time: Arc<Time>,
    in_flight: Arc<AtomicUsize>,
    frames: VecDeque<(Duration, F)>,
    /// Frames do not overtake each other, also where the delay falls.
    last: Duration,
}

impl<F> Way<F> {
    fn new(world: &World) -> Self {
        let (time, in_flight) = (world.time.clone(), world.in_flight.clone());
        Self { time, in_flight, frames: VecDeque::new(), last: Duration::ZERO }
    }

    fn put(&mut self, frame: F, delay: Duration) {
        self.last = self.last.max(self.time.now().saturating_add(delay));
        self.frames.push_back((self.last, frame));
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Until the first one arrives.
    fn arrival(&self) -> Timer {
        self.time.until(self.frames.front().map_or(Duration::ZERO, |(at, _)| *at))
    }

    fn take(&mut self) -> Option<F> {
        let (_, frame) = self.frames.pop_front()?;
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        Some(frame)
    }

    fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

impl<F> Drop for Way<F> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(self.frames.len(), Ordering::Relaxed);
    }
}
