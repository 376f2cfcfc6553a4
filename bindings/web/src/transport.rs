//! A session over the browser's WebSocket: the frames of the protocol in binary messages.
//!
//! The socket stays in a task of its own; the engine has the two queues. A browser reads a socket
//! as fast as it can, so what waits here is bounded by the credit that the session gives.

use bytes::BytesMut;
use js_sys::{ArrayBuffer, Uint8Array};
use landfall_device::RegionUrl;
use landfall_device::transport::{
    Connecting, Connection, INCOMING_FRAMES_MAX, Traffic, Transport, TransportError, wire,
};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};
use wire::{DeviceFrame, FrameReader, RegionFrame, region_frame::Kind};

/// What both ends call the framing.
const SUBPROTOCOL: &str = "landfall.v1";

/// Where below a region's URL sessions are opened.
const SESSION_PATH: &str = "/v1/session";

/// Bytes of waiting frames that are joined into one message.
const JOIN_BYTES: usize = 64 << 10;

/// A WebSocket per session.
#[derive(Debug, Clone, Copy)]
pub struct OverWebSocket;

impl Transport for OverWebSocket {
    fn connect(&self, region: RegionUrl, traffic: Arc<Traffic>) -> Connecting {
        let (answer, opened) = oneshot::channel();
        spawn_local(carry(region, traffic, answer));
        Box::pin(async move {
            opened.await.unwrap_or_else(|_| Err(TransportError::new("the socket was given up")))
        })
    }
}

type Answer = oneshot::Sender<Result<Connection, TransportError>>;

async fn carry(region: RegionUrl, traffic: Arc<Traffic>, mut answer: Answer) {
    let socket = tokio::select! {
        socket = Socket::open(&region.url) => socket,
        () = answer.closed() => return,
    };
    let mut socket = match socket {
        Ok(socket) => socket,
        Err(error) => {
            // Given up a moment ago.
            let _ = answer.send(Err(error));
            return;
        }
    };
    let (outgoing, queue) = mpsc::unbounded_channel();
    let (sender, incoming) = mpsc::channel(INCOMING_FRAMES_MAX);
    if answer.send(Ok(Connection { outgoing, incoming })).is_err() {
        return;
    }
    if let Err(error) = pump(&mut socket, queue, &sender, &traffic).await {
        // Nobody may be listening any more.
        let _ = sender.send(Err(error)).await;
    }
}

/// Carry frames until either side is at its end.
async fn pump(
    socket: &mut Socket,
    mut queue: mpsc::UnboundedReceiver<DeviceFrame>,
    sender: &mpsc::Sender<Result<RegionFrame, TransportError>>,
    traffic: &Traffic,
) -> Result<(), TransportError> {
    let mut reader = FrameReader::default();
    let mut compress = false;
    loop {
        tokio::select! {
            () = sender.closed() => return Ok(()),
            frame = queue.recv() => {
                let Some(first) = frame else { return Ok(()) };
                let mut bytes = BytesMut::new();
                wire::encode_frame(&first, compress, &mut bytes);
                while bytes.len() < JOIN_BYTES {
                    let Ok(frame) = queue.try_recv() else { break };
                    wire::encode_frame(&frame, compress, &mut bytes);
                }
                traffic.add_up(bytes.len());
                socket.send(&bytes)?;
            }
            bytes = socket.receive() => {
                let bytes = bytes?;
                traffic.add_down(bytes.len());
                reader.push(&bytes);
                let unreadable = |e| TransportError::new(format!("frame: {e}"));
                while let Some(frame) = reader.read::<RegionFrame>().map_err(unreadable)? {
                    if let Some(Kind::Welcome(welcome)) = &frame.kind {
                        compress = welcome.codec == 1;
                    }
                    if sender.send(Ok(frame)).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// What a socket tells.
enum Told {
    Open,
    Bytes(Vec<u8>),
    Closed { code: u16 },
}

/// An open socket, closed when dropped.
struct Socket {
    socket: WebSocket,
    told: mpsc::UnboundedReceiver<Told>,
    _on_open: Closure<dyn FnMut()>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
}

impl Socket {
    async fn open(url: &str) -> Result<Self, TransportError> {
        let refused = |_| TransportError::new("region URL: no address of a WebSocket");
        let socket = WebSocket::new_with_str(&session_url(url), SUBPROTOCOL).map_err(refused)?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let (tell, told) = mpsc::unbounded_channel();
        let teller = tell.clone();
        let on_open = Closure::new(move || {
            let _ = teller.send(Told::Open);
        });
        let teller = tell.clone();
        let on_message = Closure::new(move |event: MessageEvent| {
            // A text message is none of the protocol's: it is left out, as an empty one.
            let bytes = event.data().dyn_into::<ArrayBuffer>();
            let bytes = bytes.map(|b| Uint8Array::new(&b).to_vec()).unwrap_or_default();
            let _ = teller.send(Told::Bytes(bytes));
        });
        let on_close = Closure::new(move |event: CloseEvent| {
            let _ = tell.send(Told::Closed { code: event.code() });
        });
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        let mut opening =
            Self { socket, told, _on_open: on_open, _on_message: on_message, _on_close: on_close };
        match opening.told.recv().await {
            Some(Told::Open) => Ok(opening),
            _ => Err(TransportError::new("the region could not be reached, or did not let us in")),
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), TransportError> {
        let closed = |_| TransportError::new("the socket is closed");
        self.socket.send_with_u8_array(bytes).map_err(closed)
    }

    async fn receive(&mut self) -> Result<Vec<u8>, TransportError> {
        match self.told.recv().await {
            Some(Told::Bytes(bytes)) => Ok(bytes),
            Some(Told::Open) => Ok(Vec::new()),
            Some(Told::Closed { code }) => {
                Err(TransportError::new(format!("the region hung up (code {code})")))
            }
            None => Err(TransportError::new("the region hung up")),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        // It may be closed already.
        let _ = self.socket.close();
    }
}

/// `http://host` is reached as `ws://host`, and `https` as `wss`.
fn session_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    match url.strip_prefix("http") {
        Some(rest) => format!("ws{rest}{SESSION_PATH}"),
        None => format!("{url}{SESSION_PATH}"),
    }
}
