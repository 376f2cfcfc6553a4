//! One conversation over a pair of byte streams: frames in, frames out, at the same time.
//!
//! The two directions are two tasks. One reads the body that comes in, cuts it into frames and
//! queues them for the driver; the other is the outgoing body itself, which HTTP pulls as flow
//! control allows, and which holds everything that belongs to the connection. When the outgoing
//! body ends or is dropped, reading stops and the driver is told.

use super::pace::Pace;
use crate::inputs::{Event, GoneOnDrop, Inputs, Role, wire_error};
use crate::outbox::{self, Outbox};
use crate::server::Shared;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use landfall_sync::limits::FRAME_BYTES_MAX;
use landfall_sync::wire::{self, FrameReader};
use prost::Message;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

/// A task that ends with its owner.
#[derive(Debug)]
pub struct AbortOnDrop(pub JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begin a conversation that the other side opened with a request. The body returned is ours.
pub(super) fn answer<R: Role>(
    shared: &Shared,
    role: R,
    request: Body,
    pace: Option<Pace>,
    seat: OwnedSemaphorePermit,
) -> Body {
    let (outbox, frames): (Outbox<R::Out>, _) = outbox::outbox(&shared.waiting);
    let inputs = shared.inputs.clone();
    inputs.send(role.input(Event::Up(outbox)));
    let reading =
        Reading { role, inputs: inputs.clone(), pace, within: shared.config.limits.hello_within };
    let chunks = request.into_data_stream().map_err(|_| Break::Lost);
    let reader = AbortOnDrop(tokio::spawn(reading.read(chunks)));
    let guard = (reader, GoneOnDrop { role, inputs }, seat);
    Body::from_stream(frames.encode(guard))
}

/// The incoming half of a conversation.
#[derive(Debug)]
pub struct Reading<R: Role> {
    pub role: R,
    pub inputs: Inputs,
    pub pace: Option<Pace>,
    /// The first frame must come within this.
    pub within: Duration,
}

/// Why no more bytes come, before the other side has said that it is done.
#[derive(Debug)]
pub enum Break {
    /// The connection broke.
    Lost,
    /// What came cannot be part of a conversation.
    Refused(wire::Error),
}

/// How reading came to its end.
enum End {
    /// The other side has said all that it had to say.
    Finished,
    /// The connection broke; HTTP drops the outgoing half as well.
    Broken,
}

impl<R: Role> Reading<R> {
    /// Read until the stream ends, and tell the driver how it did.
    pub async fn read<S>(mut self, stream: S)
    where
        S: Stream<Item = Result<Bytes, Break>> + Send + Unpin,
    {
        let event = match self.read_frames(stream).await {
            Ok(End::Finished) => Event::Ended,
            Ok(End::Broken) => Event::Gone,
            Err(error) => Event::Failed(error),
        };
        self.inputs.send(self.role.input(event));
    }

    async fn read_frames<S>(&mut self, mut stream: S) -> Result<End, wire::Error>
    where
        S: Stream<Item = Result<Bytes, Break>> + Send + Unpin,
    {
        let deadline = Instant::now() + self.within;
        let mut reader = FrameReader::default();
        reader.limit(R::HELLO_BYTES_MAX);
        // The first frame has not come yet.
        let mut greeting = true;
        loop {
            let chunk = match greeting {
                true => timeout_at(deadline, stream.next()).await.map_err(|_| {
                    wire_error("hello_timeout", "the first frame did not come in time", 0)
                })?,
                false => stream.next().await,
            };
            let Some(chunk) = chunk else {
                return finished(&reader);
            };
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(Break::Lost) => return Ok(End::Broken),
                Err(Break::Refused(error)) => return Err(error),
            };
            reader.push(&chunk);
            loop {
                let decoding = self.inputs.decode().await;
                let read = reader.read_sized::<R::In>().map_err(|e| unreadable(&e))?;
                let Some((frame, memory)) = read else { break };
                if std::mem::take(&mut greeting) {
                    reader.limit(FRAME_BYTES_MAX);
                }
                let owed = self.forward(frame, memory).await?;
                drop(decoding);
                if !owed.is_zero() {
                    sleep(owed).await;
                }
            }
        }
    }

    /// Queue a frame that takes so much memory. What is returned is how long to wait before the next.
    async fn forward(&mut self, frame: R::In, memory: usize) -> Result<Duration, wire::Error> {
        let owed = match &mut self.pace {
            Some(pace) => pace.take(frame.encoded_len(), Instant::now())?,
            None => Duration::ZERO,
        };
        let permit = self.inputs.permit(memory).await;
        self.inputs.send(self.role.input(Event::Frame(frame, permit)));
        Ok(owed)
    }
}

fn finished(reader: &FrameReader) -> Result<End, wire::Error> {
    if reader.is_empty() {
        return Ok(End::Finished);
    }
    Err(wire_error("malformed", "the stream ended within a frame", 0))
}

fn unreadable(error: &wire::FrameError) -> wire::Error {
    wire_error(error.code(), &error.to_string(), 0)
}
