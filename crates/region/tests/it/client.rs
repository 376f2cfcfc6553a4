//! A session as a device has it: one HTTP/2 request, frames both ways.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use http::{Method, Request, Response};
use http_body_util::{BodyDataStream, BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use landfall_region::tls::{Connector, Endpoint, Socket};
use landfall_sync::wire::{self, FrameReader, encode_frame};
use prost::Message;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::device_frame::Kind as ToRegion;
use wire::region_frame::Kind as FromRegion;

/// Longer than any test waits for what does come.
pub const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Client {
    outgoing: Option<mpsc::UnboundedSender<Bytes>>,
    incoming: BodyDataStream<Incoming>,
    reader: FrameReader,
}

impl Client {
    pub async fn connect(address: SocketAddr, path: &str) -> Self {
        Self::answered(path, request(address, path).await)
    }

    /// Over TLS, from a device that trusts as this connector does.
    pub async fn connect_over(connector: &Connector, address: SocketAddr, path: &str) -> Self {
        let host = address.ip().to_string();
        let endpoint = Endpoint::new("https", &host, Some(address.port())).expect("an address");
        let socket = timeout(PATIENCE, connector.connect(&endpoint)).await.expect("in time");
        let uri = format!("https://{address}{path}");
        Self::answered(path, request_on(socket.expect("TLS"), &uri).await)
    }

    fn answered(
        path: &str,
        (outgoing, response): (mpsc::UnboundedSender<Bytes>, Response<Incoming>),
    ) -> Self {
        assert_eq!(response.status(), 200, "{path}");
        let incoming = BodyDataStream::new(response.into_body());
        Self { outgoing: Some(outgoing), incoming, reader: FrameReader::default() }
    }

    pub fn send_bytes(&self, bytes: impl Into<Bytes>) {
        // A server that has closed does not take them; the test finds out when it reads.
        let _ = self.outgoing.as_ref().expect("not finished").send(bytes.into());
    }

    pub fn send_message(&self, message: &impl Message) {
        let mut out = BytesMut::new();
        encode_frame(message, true, &mut out);
        self.send_bytes(out);
    }

    pub fn send(&self, kind: ToRegion) {
        self.send_message(&wire::DeviceFrame { kind: Some(kind) });
    }

    /// Nothing more will be sent.
    pub fn finish(&mut self) {
        self.outgoing = None;
    }

    /// The next frame, or `None` at the end of the stream.
    pub async fn next_message<M: wire::Frame>(&mut self) -> Option<M> {
        loop {
            if let Some(message) = self.reader.read().expect("a frame") {
                return Some(message);
            }
            let chunk = timeout(PATIENCE, self.incoming.next()).await.expect("an answer in time");
            self.reader.push(&chunk?.ok()?);
        }
    }

    pub async fn next(&mut self) -> Option<FromRegion> {
        let frame: wire::RegionFrame = self.next_message().await?;
        Some(frame.kind.expect("a kind"))
    }

    /// Skip to the first frame that `pick` takes.
    pub async fn find<T>(&mut self, mut pick: impl FnMut(FromRegion) -> Option<T>) -> T {
        loop {
            let kind = self.next().await.expect("the frame, before the stream ends");
            if let Some(found) = pick(kind) {
                return found;
            }
        }
    }

    pub async fn fates(&mut self) -> wire::Fates {
        self.find(|k| if let FromRegion::Fates(f) = k { Some(f) } else { None }).await
    }

    pub async fn delta(&mut self) -> wire::Delta {
        self.find(|k| if let FromRegion::Delta(d) = k { Some(d) } else { None }).await
    }

    /// The typed error that ends the stream.
    pub async fn error(&mut self) -> wire::Error {
        let error = self.find(|k| if let FromRegion::Error(e) = k { Some(e) } else { None }).await;
        assert_eq!(self.next().await, None, "the stream ends after {error:?}");
        error
    }
}

/// Open a request whose body goes on; the response's headers must come all the same.
pub async fn request(
    address: SocketAddr,
    path: &str,
) -> (mpsc::UnboundedSender<Bytes>, Response<Incoming>) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    request_on(Box::new(stream), &format!("http://{address}{path}")).await
}

async fn request_on(
    socket: Box<dyn Socket>,
    uri: &str,
) -> (mpsc::UnboundedSender<Bytes>, Response<Incoming>) {
    let (outgoing, queue) = mpsc::unbounded_channel::<Bytes>();
    let body = unfold(queue, |mut queue| async {
        let bytes = queue.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(bytes)), queue))
    });
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await;
    let (mut sender, connection) = handshake.expect("HTTP/2");
    tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header("content-type", "application/x-landfall")
        .body(StreamBody::new(Box::pin(body)))
        .expect("a request");
    let response = timeout(PATIENCE, sender.send_request(request)).await;
    (outgoing, response.expect("headers before the body ends").expect("a response"))
}

/// A page, over HTTP/1 or HTTP/2.
pub async fn get(address: SocketAddr, path: &str, http2: bool) -> (u16, String) {
    let stream = TokioIo::new(TcpStream::connect(address).await.expect("a connection"));
    let uri = if http2 { format!("http://{address}{path}") } else { path.to_owned() };
    let request = Request::builder().uri(uri).header("host", address.to_string());
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    let response = if http2 {
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.expect("HTTP/1");
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    let response = response.expect("a response");
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (code, String::from_utf8(body.to_vec()).expect("text"))
}
