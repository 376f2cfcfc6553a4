//! A session over HTTP/2: one POST whose request and response bodies stay open and carry frames.
//!
//! A URL that begins with `https` is reached over TLS, and nothing of a session leaves before the
//! region has shown that it is who it should be. One with `http` is cleartext with prior knowledge,
//! token and all: for a region on this machine, or behind a network that is trusted. The
//! request body is fed from the queue of outgoing frames, many frames to one data frame where
//! they wait; the response body is cut into frames again. HTTP/2's flow control bounds what lies
//! in between, and its pings tell a quiet connection from a dead one.

use super::{Connecting, Connection, INCOMING_FRAMES_MAX, Traffic, Transport, TransportError};
use crate::error::{Error, OpenError, code};
use crate::options::RegionUrl;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use landfall_sync::wire::{self, DeviceFrame, FrameReader, RegionFrame, region_frame::Kind};
use landfall_tls::{Connector, Endpoint, Trust};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;

/// The media type of a session's bodies.
const CONTENT_TYPE: &str = "application/x-landfall";

/// Where below a region's URL sessions are opened.
const SESSION_PATH: &str = "/v1/session";

/// Bytes of waiting frames that are joined into one data frame.
const JOIN_BYTES: usize = 64 << 10;

/// A connection that has said nothing for so long is asked whether it lives.
const PING_AFTER: Duration = Duration::from_secs(20);

/// ... and is closed when it does not answer within this time.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// What a connection's state says of a region whose certificate is refused.
const CERTIFICATE_REFUSED: &str = "certificate_refused";

/// The bytes of a refusal that are read for the log.
const REFUSAL_BYTES_MAX: usize = 512;

/// HTTP/2, a connection per session. Clones share what sessions of TLS are resumed with.
#[derive(Debug, Clone, Default)]
pub struct Http {
    connector: Connector,
}

impl Http {
    /// The transport with its regular settings: with `https`, a region is believed that an authority
    /// certified which browsers trust.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, trusting these authorities. Fails with `LF2140` if they cannot be read.
    pub fn trusting(trust: &Trust) -> Result<Self, OpenError> {
        let failed = |e| Error::new(code::ROOTS, format!("The roots are not taken: {e}."));
        Ok(Self { connector: Connector::new(trust).map_err(failed)? })
    }
}

impl Transport for Http {
    fn connect(&self, region: RegionUrl, traffic: Arc<Traffic>) -> Connecting {
        Box::pin(connect(self.connector.clone(), region, traffic))
    }
}

impl From<landfall_tls::Error> for TransportError {
    fn from(error: landfall_tls::Error) -> Self {
        let code = error.is_refusal().then_some(CERTIFICATE_REFUSED);
        Self { message: error.to_string(), code }
    }
}

/// What makes a connection fail, in words.
fn failed(what: &str, error: impl std::fmt::Display) -> TransportError {
    TransportError::new(format!("{what}: {error}"))
}

async fn connect(
    connector: Connector,
    region: RegionUrl,
    traffic: Arc<Traffic>,
) -> Result<Connection, TransportError> {
    let (uri, endpoint) = target(&region.url)?;
    let socket = connector.connect(&endpoint).await?;
    let (mut requests, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PONG_WITHIN)
        .handshake(TokioIo::new(socket))
        .await
        .map_err(|e| failed("HTTP/2 handshake", e))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection ended");
        }
    });
    let (outgoing, queue) = mpsc::unbounded_channel();
    let compress = Arc::new(AtomicBool::new(false));
    let body = Outgoing { queue, compress: compress.clone(), traffic: traffic.clone() };
    let request = Request::post(uri)
        .header("content-type", CONTENT_TYPE)
        .body(body)
        .map_err(|e| failed("request", e))?;
    let (sender, incoming) = mpsc::channel(INCOMING_FRAMES_MAX);
    // The region may answer only when it has read Hello, so the caller gets its queues at once.
    tokio::spawn(async move {
        let answered = tokio::select! {
            answered = requests.send_request(request) => answered,
            // Given up: a region that is alive and never answers would hold the connection.
            () = sender.closed() => return,
        };
        let end = match answered {
            Ok(response) => read(response, &sender, &compress, &traffic).await,
            Err(error) => Err(failed("request", error)),
        };
        if let Err(error) = end {
            // Nobody may be listening any more.
            let _ = sender.send(Err(error)).await;
        }
    });
    Ok(Connection { outgoing, incoming })
}

/// The URL of a region's sessions, and where to connect.
fn target(url: &str) -> Result<(Uri, Endpoint), TransportError> {
    let uri: Uri = format!("{}{SESSION_PATH}", url.trim_end_matches('/'))
        .parse()
        .map_err(|e| failed("region URL", e))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.host().ok_or_else(|| TransportError::new("region URL: no host"))?;
    let endpoint = Endpoint::new(scheme, host, uri.port_u16());
    let endpoint = endpoint.map_err(|e| failed("region URL", e))?;
    Ok((uri, endpoint))
}

/// Cut the response into frames until it ends or nobody listens.
async fn read(
    response: Response<Incoming>,
    sender: &mpsc::Sender<Result<RegionFrame, TransportError>>,
    compress: &AtomicBool,
    traffic: &Traffic,
) -> Result<(), TransportError> {
    if response.status() != StatusCode::OK {
        return tokio::select! {
            refused = refusal(response) => Err(refused),
            () = sender.closed() => Ok(()),
        };
    }
    let mut body = response.into_body();
    let mut reader = FrameReader::default();
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = sender.closed() => return Ok(()),
        };
        let Some(frame) = frame else { return Err(TransportError::new("the region hung up")) };
        let Ok(data) = frame.map_err(|e| failed("response", e))?.into_data() else { continue };
        traffic.add_down(data.len());
        reader.push(&data);
        while let Some(frame) = reader.read::<RegionFrame>().map_err(|e| failed("frame", e))? {
            if let Some(Kind::Welcome(welcome)) = &frame.kind {
                compress.store(welcome.codec == 1, Ordering::Relaxed);
            }
            if sender.send(Ok(frame)).await.is_err() {
                return Ok(());
            }
        }
    }
}

async fn refusal(response: Response<Incoming>) -> TransportError {
    let status = response.status();
    let mut body = response.into_body();
    let mut text = Vec::new();
    // Whoever answers here need not be a region: what it sends may have no end.
    while text.len() < REFUSAL_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        text.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    text.truncate(REFUSAL_BYTES_MAX);
    let text = String::from_utf8_lossy(&text);
    TransportError::new(format!("the region answered {status}: {text}"))
}

/// The request's body: frames as they are queued. It ends when the queue is closed.
struct Outgoing {
    queue: mpsc::UnboundedReceiver<DeviceFrame>,
    compress: Arc<AtomicBool>,
    traffic: Arc<Traffic>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(first) = ready!(self.queue.poll_recv(cx)) else { return Poll::Ready(None) };
        let compress = self.compress.load(Ordering::Relaxed);
        let mut bytes = BytesMut::new();
        wire::encode_frame(&first, compress, &mut bytes);
        while bytes.len() < JOIN_BYTES {
            let Ok(frame) = self.queue.try_recv() else { break };
            wire::encode_frame(&frame, compress, &mut bytes);
        }
        self.traffic.add_up(bytes.len());
        Poll::Ready(Some(Ok(Frame::data(bytes.freeze()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_found_by_its_url() {
        let check = |url: &str, uri: &str, address: &str| {
            let (found, to) = target(url).expect("a URL");
            assert_eq!((found.to_string().as_str(), to.address().as_str()), (uri, address));
        };
        check("http://a.example", "http://a.example/v1/session", "a.example:80");
        check("http://127.0.0.1:8080/", "http://127.0.0.1:8080/v1/session", "127.0.0.1:8080");
        check("http://h:1/eu", "http://h:1/eu/v1/session", "h:1");
        check("https://a.example", "https://a.example/v1/session", "a.example:443");
        check(
            "https://a.example:8443/eu/",
            "https://a.example:8443/eu/v1/session",
            "a.example:8443",
        );
        for bad in ["not a url", "https://", "a.example:80", "ws://a.example"] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }
}
