//! The calling side of a conversation with a peer: HTTP/2 without TLS, one request per connection.

use super::MEDIA_TYPE;
use super::duplex::AbortOnDrop;
use crate::limits;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyDataStream, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use tokio::net::TcpStream;

/// Why a peer was not reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("the peer answered {0}")]
    Status(StatusCode),
    #[error("the request cannot be built: {0}")]
    Request(#[from] http::Error),
}

/// Where a peer listens.
#[derive(Debug, Clone)]
pub struct Target {
    authority: String,
    uri: Uri,
}

impl Target {
    /// From `http://host:port`.
    pub fn parse(url: &str) -> Result<Self, String> {
        let base: Uri = url.parse().map_err(|_| format!("{url} is not a URL"))?;
        if base.scheme_str() != Some("http") {
            return Err(format!("{url} does not begin with http://"));
        }
        let authority = base.authority().ok_or_else(|| format!("{url} names no host"))?;
        let uri = format!("http://{authority}/v1/peer").parse().map_err(|_| url.to_owned())?;
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self { authority: format!("{}:{port}", authority.host()), uri })
    }
}

/// An open conversation: what the peer sends, as long as `connection` is kept.
#[derive(Debug)]
pub struct Dialled {
    pub incoming: BodyDataStream<Incoming>,
    pub connection: AbortOnDrop,
}

/// Connect, and begin to send `outgoing`. Returns when the peer's headers are here.
pub async fn dial<S>(target: &Target, outgoing: S) -> Result<Dialled, Error>
where
    S: Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
{
    let stream = TcpStream::connect(&target.authority).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(limits::KEEPALIVE_EVERY)
        .keep_alive_timeout(limits::KEEPALIVE_WITHIN)
        .handshake(TokioIo::new(stream))
        .await?;
    let connection = AbortOnDrop(tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a peer ended");
        }
    }));
    let body = StreamBody::new(Box::pin(outgoing.map(|bytes| bytes.map(Frame::data))));
    let request = Request::builder()
        .method(Method::POST)
        .uri(target.uri.clone())
        .header(CONTENT_TYPE, MEDIA_TYPE)
        .body(body)?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(Error::Status(response.status()));
    }
    Ok(Dialled { incoming: BodyDataStream::new(response.into_body()), connection })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_with_a_host_is_a_target() {
        assert!(Target::parse("http://127.0.0.1:7001").is_ok());
        assert_eq!(Target::parse("http://peer").unwrap().authority, "peer:80");
        for bad in ["", "peer:80", "https://peer", "http://", "/v1"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }
}
