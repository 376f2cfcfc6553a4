//! Sessions over a WebSocket: the same frames, the same limits, the same greeting.

use crate::client::PATIENCE;
use crate::world::*;
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use landfall_region::server::ServerHandle;
use landfall_sync::limits::FRAME_BYTES_MAX;
use landfall_sync::wire::{self, FrameReader, encode_frame};
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wire::device_frame::Kind as ToRegion;
use wire::region_frame::Kind as FromRegion;

struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    reader: FrameReader,
}

async fn open(address: SocketAddr, protocol: Option<&str>) -> Result<Socket, Error> {
    let mut request = format!("ws://{address}/v1/session").into_client_request()?;
    // What a browser adds for a page of any other site.
    request.headers_mut().insert("origin", "https://elsewhere.example".parse().unwrap());
    if let Some(protocol) = protocol {
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
    }
    let (stream, _) = connect_async(request).await?;
    Ok(Socket { stream, reader: FrameReader::default() })
}

impl Socket {
    async fn send(&mut self, message: Message) {
        // A server that has closed does not take it; the test finds out when it reads.
        let _ = self.stream.send(message).await;
    }

    async fn send_frame(&mut self, kind: ToRegion) {
        self.send(Message::Binary(encoded(kind))).await;
    }

    /// The next frame, or `None` at the end.
    async fn next(&mut self) -> Option<FromRegion> {
        loop {
            let frame: Option<wire::RegionFrame> = self.reader.read().expect("a frame");
            if let Some(frame) = frame {
                return frame.kind;
            }
            let message = timeout(PATIENCE, self.stream.next()).await.expect("an answer in time");
            if let Message::Binary(bytes) = message?.ok()? {
                self.reader.push(&bytes);
            }
        }
    }

    async fn error(&mut self) -> String {
        loop {
            match self.next().await {
                Some(FromRegion::Error(error)) => return error.code,
                Some(_) => {}
                None => panic!("closed without an error"),
            }
        }
    }
}

fn encoded(kind: ToRegion) -> Bytes {
    let mut bytes = BytesMut::new();
    encode_frame(&wire::DeviceFrame { kind: Some(kind) }, true, &mut bytes);
    bytes.freeze()
}

/// The beginning of a masked binary message of so many bytes.
fn header_of(bytes: usize) -> Vec<u8> {
    [&[0x82, 0xff][..], &(bytes as u64).to_be_bytes(), &[1, 2, 3, 4]].concat()
}

async fn joined(region: &ServerHandle, device: &Device) -> Socket {
    let mut socket = open(region.address(), Some("landfall.v1")).await.expect("let in");
    socket.send_frame(ToRegion::Hello(device.hello())).await;
    assert!(matches!(socket.next().await, Some(FromRegion::Welcome(_))));
    socket
}

#[tokio::test]
async fn a_session_runs_over_a_websocket_however_its_frames_are_cut_into_messages() {
    let (region, _directory) = region().await;
    let mut device = Device::new(1);
    let mut socket = joined(&region, &device).await;
    let first = encoded(push(vec![device.create("a", "first")]));
    let second = encoded(push(vec![device.create("b", "second")]));
    let both = [first, second].concat();
    for piece in both.chunks(7) {
        socket.send(Message::Binary(piece.to_vec().into())).await;
    }
    let mut accepted = 0;
    while accepted < 2 {
        if let Some(FromRegion::Fates(fates)) = socket.next().await {
            accepted += fates.fates.len();
        }
    }
    socket.send(Message::Close(None)).await;
    while socket.next().await.is_some() {}
    region.stop().await;
}

#[tokio::test]
async fn what_is_no_session_is_not_let_in() {
    let (region, _directory) = region().await;
    for protocol in [None, Some("chat"), Some("landfall.v2, mqtt")] {
        match open(region.address(), protocol).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 400, "{protocol:?}"),
            Err(other) => panic!("{protocol:?}: {other}"),
            Ok(_) => panic!("{protocol:?} was let in"),
        }
    }
    assert!(open(region.address(), Some("mqtt, landfall.v1")).await.is_ok());
    region.stop().await;
}

#[tokio::test]
async fn hostile_messages_get_a_typed_error_and_change_nothing() {
    let (region, _directory) = region().await;
    let before = region.status().vector;
    let check = async |first: bool, message: Message, code: &str| {
        let mut socket = match first {
            true => open(region.address(), Some("landfall.v1")).await.expect("let in"),
            false => joined(&region, &Device::new(66)).await,
        };
        let what = format!("{:.40}", message.to_string());
        socket.send(message).await;
        assert_eq!(socket.error().await, code, "{what}");
        assert!(socket.next().await.is_none(), "{what}: it is closed");
    };
    check(true, Message::Text("{}".into()), "malformed").await;
    check(false, Message::Text("{}".into()), "malformed").await;
    check(true, Message::Binary(vec![0; 5].into()), "too_large").await;
    check(true, Message::Binary(vec![0xff; 5].into()), "too_large").await;
    check(false, Message::Binary(vec![0, 0, 0, 2, 9, 9].into()), "malformed").await;
    let mut large = (FRAME_BYTES_MAX as u32).to_be_bytes().to_vec();
    large.resize(100_000, 0);
    check(true, Message::Binary(large.into()), "too_large").await;
    let mut socket = joined(&region, &Device::new(66)).await;
    socket.stream.get_mut().write_all(&header_of(FRAME_BYTES_MAX + 5)).await.unwrap();
    assert_eq!(socket.error().await, "malformed", "refused before any of it is here");
    let mut forged = Device::new(66).hello();
    forged.token.push('x');
    check(true, Message::Binary(encoded(ToRegion::Hello(forged))), "unauthenticated").await;
    assert_eq!(region.status().vector, before);
    assert_eq!(region.status().store_failures, 0);
    joined(&region, &Device::new(1)).await;
    region.stop().await;
}
