//! The accept loop, and the handshake of TLS where the region serves it.

use super::router;
use crate::limits;
use crate::server::Shared;
use axum::Router;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use landfall_tls::{Acceptor, Socket};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long connections may take to say goodbye when the server closes.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// The pause after an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serve until `closing` says so. Connections end with this future, also when it is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut closing: watch::Receiver<bool>,
) {
    let seats = shared.config.limits.sessions_max + limits::LINKS_MAX + limits::CONNECTIONS_SPARE;
    let seats = Arc::new(Semaphore::new(seats));
    let app = router(Arc::clone(&shared));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = closing.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Beyond the limit a connection is dropped unheard.
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
            continue;
        };
        let (app, closing) = (app.clone(), closing.clone());
        let (tls, within) = (shared.config.tls.clone(), shared.config.limits.hello_within);
        connections.spawn(async move {
            let mut hanging_up = closing.clone();
            let secured = tokio::select! {
                secured = secured(stream, tls, within) => secured,
                _ = hanging_up.changed() => None,
            };
            if let Some(socket) = secured {
                connection(socket, app, within, closing).await;
            }
            drop(seat);
        });
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(CLOSE_WITHIN, all).await;
}

/// The connection with TLS, where the region serves it; `None` if that came to nothing in time.
async fn secured(
    stream: TcpStream,
    tls: Option<Acceptor>,
    within: Duration,
) -> Option<Box<dyn Socket>> {
    // Frames are small and awaited: never hold one back for the next.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return Some(Box::new(stream)) };
    match timeout(within, tls.accept(stream)).await {
        Ok(Ok(socket)) => return Some(socket),
        Ok(Err(error)) => tracing::debug!(%error, "no TLS with who connected"),
        Err(_) => tracing::debug!("who connected said too little for TLS"),
    }
    None
}

/// One connection, of either version of HTTP.
async fn connection(
    socket: Box<dyn Socket>,
    app: Router,
    within: Duration,
    mut closing: watch::Receiver<bool>,
) {
    let app = TowerToHyperService::new(app);
    let used = AtomicBool::new(false);
    let service = service_fn(|request| {
        used.store(true, Ordering::Relaxed);
        app.call(request)
    });
    let builder = builder();
    let mut connection =
        pin!(builder.serve_connection_with_upgrades(TokioIo::new(socket), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = unused_for(within, &used) => return,
        _ = closing.changed() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection ended early");
    }
}

/// Resolves for connections on which nothing was ever asked.
async fn unused_for(within: Duration, used: &AtomicBool) {
    sleep(within).await;
    if used.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits::HELLO_WITHIN);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits::CONNECTION_STREAMS_MAX)
        .keep_alive_interval(limits::KEEPALIVE_EVERY)
        .keep_alive_timeout(limits::KEEPALIVE_WITHIN);
    builder
}
