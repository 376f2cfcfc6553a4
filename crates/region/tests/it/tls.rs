//! A region that serves TLS: to devices, to browsers, to its peers; and to nobody else.

use crate::authority::{Authority, FAR};
use crate::client::PATIENCE;
use crate::world::*;
use futures_util::{SinkExt, StreamExt};
use landfall_region::server::{PeerConfig, Server, ServerHandle};
use landfall_region::tls::{Acceptor, Connector, Files, Trust};
use landfall_sync::wire::region_frame::Kind as FromRegion;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A year that is over.
const OVER: i32 = 2020;

/// What an authority certified for the address of this machine, in a folder of its own.
fn served(folder: &Path, authority: &Authority, year: i32) -> Acceptor {
    std::fs::create_dir_all(folder).unwrap();
    let [cert, key] = authority.certify("127.0.0.1", year).write(folder);
    Acceptor::looking_every(Duration::ZERO, Files { cert, key }).expect("a certificate")
}

fn trusting(authority: &Authority) -> Connector {
    Connector::new(&Trust::Only(authority.pem.clone().into())).expect("an authority")
}

/// A connection as a browser or a tool makes it: not for HTTP/2 alone.
async fn browse(authority: &Authority, address: SocketAddr, alpn: &[&str]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::IpAddress(address.ip().into());
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    timeout(PATIENCE, handshake).await.expect("in time").expect("TLS")
}

async fn page(mut stream: TlsStream<TcpStream>) -> String {
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    stream.flush().await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("in time").unwrap();
    answer
}

#[tokio::test]
async fn devices_browsers_and_tools_are_served_over_tls() {
    let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let tls = served(folder.path(), &ours, FAR);
    let (region, _directory) = region_with(|config| config.tls = Some(tls)).await;
    let mut device = Device::new(1);
    let mut client = device.join_over(&trusting(&ours), region.address()).await;
    client.send(push(vec![device.create("a", "over TLS")]));
    assert_accepted(&client.fates().await, 1);
    for alpn in [&["http/1.1"][..], &[]] {
        let answer = page(browse(&ours, region.address(), alpn).await).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{alpn:?}: {answer}");
    }
    let both = browse(&ours, region.address(), &["h2", "http/1.1"]).await;
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let stream = browse(&ours, region.address(), &["http/1.1"]).await;
    let mut request =
        format!("wss://{}/v1/session", region.address()).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "landfall.v1".parse().unwrap());
    let (mut socket, _) = client_async(request, stream).await.expect("a WebSocket");
    socket.send(Message::Binary(vec![0xff; 16].into())).await.unwrap();
    // Between the two the region may ask whether the browser lives.
    let answer = loop {
        match timeout(PATIENCE, socket.next()).await.expect("in time") {
            Some(Ok(Message::Ping(_))) => {}
            answer => break answer,
        }
    };
    assert!(matches!(answer, Some(Ok(Message::Binary(_)))), "an Error frame: {answer:?}");
    region.stop().await;
}

#[tokio::test]
async fn who_speaks_no_tls_to_a_region_that_does_is_answered_nothing() {
    let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let tls = served(folder.path(), &ours, FAR);
    let (region, _directory) = region_with(|config| config.tls = Some(tls)).await;
    let mut stream = TcpStream::connect(region.address()).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // It may be told by a reset.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    region.stop().await;
}

#[tokio::test]
async fn who_connects_and_says_nothing_keeps_nobody_waiting() {
    let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let start = async |within| {
        let tls = served(folder.path(), &ours, FAR);
        region_with(|config| {
            config.tls = Some(tls);
            config.limits.hello_within = within;
        })
        .await
    };
    // The silent ones could stay for longer than this test waits for anything.
    let (patient, _directory) = start(PATIENCE * 100).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(patient.address()).await.unwrap());
    }
    Device::new(1).join_over(&trusting(&ours), patient.address()).await;
    patient.stop().await;
    let (strict, _directory) = start(Duration::from_millis(100)).await;
    let mut silent = TcpStream::connect(strict.address()).await.unwrap();
    let left = timeout(PATIENCE, silent.read(&mut [0; 1])).await.expect("it is dropped");
    assert!(matches!(left, Ok(0) | Err(_)), "{left:?}");
    strict.stop().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_by_a_region_that_runs_on() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder = tempfile::tempdir().unwrap();
    let tls = served(folder.path(), &old, FAR);
    let (region, _directory) = region_with(|config| config.tls = Some(tls)).await;
    let mut device = Device::new(1);
    let mut client = device.join_over(&trusting(&old), region.address()).await;
    new.certify("127.0.0.1", FAR).write(folder.path());
    Device::new(2).join_over(&trusting(&new), region.address()).await;
    client.send(push(vec![device.create("a", "as before")]));
    assert_accepted(&client.fates().await, 1);
    region.stop().await;
}

/// Two regions that serve TLS and dial each other over it.
async fn pair_over_tls(
    tls: [Acceptor; 2],
    connectors: [Connector; 2],
) -> ([ServerHandle; 2], tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let listeners = [bind().await, bind().await];
    let addresses = listeners.each_ref().map(|l| l.local_addr().unwrap());
    let mut handles = Vec::new();
    for (i, ((listener, tls), connector)) in
        listeners.into_iter().zip(tls).zip(connectors).enumerate()
    {
        let mut config = config(i as u16 + 1, directory.path());
        (config.tls, config.connector) = (Some(tls), connector);
        let other = 1 - i;
        config.peers.push(PeerConfig {
            region: landfall_model::id::RegionId(other as u16 + 1),
            name: format!("region-{}", other + 1),
            url: format!("https://{}", addresses[other]),
            delay_ms: 0,
        });
        handles.push(Server::start_on(listener, config, schema()).await.expect("a region"));
    }
    (handles.try_into().expect("two"), directory)
}

#[tokio::test]
async fn two_regions_replicate_over_tls() {
    let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let tls = ["1", "2"].map(|name| served(&folder.path().join(name), &ours, FAR));
    let connectors = [trusting(&ours), trusting(&ours)];
    let ([first, second], _directory) = pair_over_tls(tls, connectors).await;
    let mut device = Device::new(1);
    let mut writing = device.join_over(&trusting(&ours), first.address()).await;
    let mut reading = Device::new(2).join_over(&trusting(&ours), second.address()).await;
    assert_eq!(catch_up(&mut reading).await, []);
    writing.send(push(vec![device.create("a", "far")]));
    assert_accepted(&writing.fates().await, 1);
    assert_eq!(rows_of(&reading.delta().await).len(), 1);
    let durable = |k| {
        if let FromRegion::Durable(d) = k { Some(d) } else { None }
    };
    assert_eq!(writing.find(durable).await.seqs.unwrap().upto, 1);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_peer_that_cannot_show_who_it_is_is_not_linked() {
    let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    // The second one's certificate has expired; what it dials itself is good.
    let tls =
        [("1", FAR), ("2", OVER)].map(|(n, year)| served(&folder.path().join(n), &ours, year));
    let connectors = [trusting(&ours), trusting(&ours)];
    let ([first, second], _directory) = pair_over_tls(tls, connectors).await;
    eventually("the link to the first", || second.status().peers[0].connected).await;
    let mut device = Device::new(1);
    let mut writing = device.join_over(&trusting(&ours), first.address()).await;
    writing.send(push(vec![device.create("a", "one way")]));
    assert_accepted(&writing.fates().await, 1);
    eventually("the second pulls it", || second.status().vector.len() == 1).await;
    assert!(!first.status().peers[0].connected, "{:?}", first.status().peers);
    first.stop().await;
    second.stop().await;
}
