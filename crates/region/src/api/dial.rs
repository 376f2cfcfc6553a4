//! The calling side of a conversation with a peer: HTTP/2, one request per connection.

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
use landfall_tls::{Connector, Endpoint};
use std::convert::Infallible;

/// Why a peer was not reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Connect(#[from] landfall_tls::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("the peer answered {0}")]
    Status(StatusCode),
    #[error("the request cannot be built: {0}")]
    Request(#[from] http::Error),
}

impl Error {
    /// Whoever answered did not show that it is the peer.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Connect(error) if error.is_refusal())
    }
}

/// Where a peer listens.
#[derive(Debug, Clone)]
pub struct Target {
    endpoint: Endpoint,
    uri: Uri,
}

impl Target {
    /// From `https://host:port` or `http://host:port`.
    pub fn parse(url: &str) -> Result<Self, String> {
        let base: Uri = url.parse().map_err(|_| format!("{url} is not a URL"))?;
        let scheme = base.scheme_str().unwrap_or_default();
        let authority = base.authority().ok_or_else(|| format!("{url} names no host"))?;
        let endpoint = Endpoint::new(scheme, authority.host(), authority.port_u16());
        let endpoint = endpoint.map_err(|error| format!("{url}: {error}"))?;
        let uri = format!("{scheme}://{authority}/v1/peer").parse().map_err(|_| url.to_owned())?;
        Ok(Self { endpoint, uri })
    }
}

/// An open conversation: what the peer sends, as long as `connection` is kept.
#[derive(Debug)]
pub struct Dialled {
    pub incoming: BodyDataStream<Incoming>,
    pub connection: AbortOnDrop,
}

/// Connect, and begin to send `outgoing`. Returns when the peer's headers are here.
pub async fn dial<S>(connector: &Connector, target: &Target, outgoing: S) -> Result<Dialled, Error>
where
    S: Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
{
    let socket = connector.connect(&target.endpoint).await?;
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(limits::KEEPALIVE_EVERY)
        .keep_alive_timeout(limits::KEEPALIVE_WITHIN)
        .handshake(TokioIo::new(socket))
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
    fn only_http_with_a_host_is_a_target() {
        let check = |url: &str, address: &str, uri: &str| {
            let target = Target::parse(url).unwrap();
            assert_eq!(
                (target.endpoint.address().as_str(), &*target.uri.to_string()),
                (address, uri)
            );
        };
        check("http://127.0.0.1:7001", "127.0.0.1:7001", "http://127.0.0.1:7001/v1/peer");
        check("http://peer", "peer:80", "http://peer/v1/peer");
        check("https://peer", "peer:443", "https://peer/v1/peer");
        for bad in ["", "peer:80", "ws://peer", "http://", "https://", "/v1"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }
}
