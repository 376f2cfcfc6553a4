//! Who is believed, and what is told of who is not.

use crate::authority::{Authority, Certified, FAR};
use crate::server::{HELLO, SOON, Server, call, counted, trusting};
use landfall_tls::{Connector, Endpoint, EndpointError, Error, RootsError, Trust};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// A year that is over.
const OVER: i32 = 2020;

#[tokio::test]
async fn a_server_is_reached_that_a_trusted_authority_certified_for_its_name() {
    let ours = Authority::new("ours");
    let server = Server::start(&ours.certify("127.0.0.1", FAR)).await;
    let both = format!("{}\n{}", Authority::new("other").pem, ours.pem);
    for trust in [Trust::Only(both.clone().into()), Trust::PublicAnd(both.into())] {
        let mut socket =
            call(&Connector::new(&trust).unwrap(), &server.endpoint()).await.expect("reached");
        socket.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_second_connection_resumes_the_first_ones_session() {
    let ours = Authority::new("ours");
    let certified = ours.certify("127.0.0.1", FAR);
    let server = Server::start(&certified).await;
    let (endpoint, mut bytes) = counted(server.address).await;
    let connector = trusting(&ours.pem);
    let mut down = Vec::new();
    for _ in 0..2 {
        let mut socket = call(&connector.clone(), &endpoint).await.expect("reached");
        socket.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = timeout(SOON, socket.read_to_end(&mut rest)).await.expect("an end");
        down.push(timeout(SOON, bytes.recv()).await.expect("an end").unwrap());
    }
    // The certificate, which has more bytes than half its text has characters, is not sent again.
    assert!(down[1] + certified.cert.len() as u64 / 2 < down[0], "{down:?}");
}

#[tokio::test]
async fn whoever_cannot_show_who_it_is_hears_nothing() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let check = async |server: Server, connector: Connector, told: &str| {
        let Err(error) = call(&connector, &server.endpoint()).await else {
            panic!("it was believed, where {told}");
        };
        let text = error.to_string();
        assert!(error.is_refusal() && text.contains(told), "{told}: {text}");
        assert!(text.contains(&server.address.to_string()), "{text}");
        assert_eq!(server.heard.lock().unwrap().as_slice(), b"", "{told}");
    };
    let start = async |authority: &Authority, name, year| {
        Server::start(&authority.certify(name, year)).await
    };
    let trusted = || trusting(&ours.pem);
    check(start(&theirs, "127.0.0.1", FAR).await, trusted(), "no authority that is trusted").await;
    let public = Connector::default();
    check(start(&ours, "127.0.0.1", FAR).await, public, "no authority that is trusted").await;
    check(start(&ours, "region.example", FAR).await, trusted(), "it is for other names").await;
    check(start(&ours, "127.0.0.1", OVER).await, trusted(), "it has expired").await;
}

#[tokio::test]
async fn a_port_without_tls_is_told_from_one_with() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: [&[u8]; 2] = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\x12\x04\0\0\0\0\0"];
    let serving = async {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer).await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    };
    let calling = async {
        for _ in answers {
            let endpoint = Endpoint::new("https", "127.0.0.1", Some(port)).unwrap();
            let Err(error) = call(&Connector::default(), &endpoint).await else { panic!("TLS?") };
            assert!(matches!(error, Error::NotTls { .. }), "{error}");
        }
    };
    timeout(SOON, async { tokio::join!(serving, calling) }).await.expect("an end in time");
}

/// A server for one connection, of these versions of TLS, that offers these protocols.
async fn bare(
    certified: &Certified,
    versions: &[&'static SupportedProtocolVersion],
    offers: Vec<Vec<u8>>,
) -> Endpoint {
    let chain = vec![CertificateDer::from_pem_slice(certified.cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions);
    let mut config = config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = offers;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
        stream.write_all(HELLO).await?;
        stream.flush().await?;
        stream.read_to_end(&mut Vec::new()).await
    });
    Endpoint::new("https", "127.0.0.1", Some(port)).unwrap()
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let ours = Authority::new("ours");
    let certified = ours.certify("127.0.0.1", FAR);
    for version in [&TLS12, &TLS13] {
        let endpoint = bare(&certified, &[version], vec![b"h2".to_vec()]).await;
        let reached = call(&trusting(&ours.pem), &endpoint).await;
        reached.unwrap_or_else(|error| panic!("{:?}: {error}", version.version));
    }
}

#[tokio::test]
async fn a_server_that_offers_no_http2_is_told_from_one_that_is_not_believed() {
    let ours = Authority::new("ours");
    let certified = ours.certify("127.0.0.1", FAR);
    for offers in [vec![b"http/1.1".to_vec()], Vec::new()] {
        let endpoint = bare(&certified, &[&TLS12, &TLS13], offers).await;
        let Err(error) = call(&trusting(&ours.pem), &endpoint).await else { panic!("HTTP/2?") };
        assert!(matches!(error, Error::NotHttp2 { .. }), "{error}");
    }
}

#[tokio::test]
async fn without_tls_the_same_call_is_plain() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = Endpoint::new("http", "127.0.0.1", Some(port)).unwrap();
    let (socket, accepted) =
        tokio::join!(async { Connector::default().connect(&endpoint).await }, listener.accept());
    let (mut socket, (mut stream, _)) = (socket.expect("plain"), accepted.unwrap());
    socket.write_all(b"seen").await.unwrap();
    socket.flush().await.unwrap();
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"seen");
}

#[test]
fn a_url_says_where_and_how() {
    let address = |scheme, host, port| Endpoint::new(scheme, host, port).map(|e| e.address());
    assert_eq!(address("https", "eu.example", None).unwrap(), "eu.example:443");
    assert_eq!(address("http", "eu.example", None).unwrap(), "eu.example:80");
    assert_eq!(address("https", "[::1]", Some(7401)).unwrap(), "[::1]:7401");
    assert_eq!(address("ws", "eu.example", None), Err(EndpointError::Scheme));
    assert_eq!(address("https", "not a name", None), Err(EndpointError::Host));
    assert!(Endpoint::new("https", "[::1]", None).unwrap().is_secure());
}

#[test]
fn authorities_that_are_none_are_told() {
    let good = Authority::new("ours").pem;
    let check = |pem: String, expected: RootsError| {
        for trust in [Trust::Only(pem.clone().into()), Trust::PublicAnd(pem.into())] {
            assert_eq!(Connector::new(&trust).unwrap_err(), expected);
        }
    };
    check(String::new(), RootsError::Empty);
    check("eu.example".to_owned(), RootsError::Empty);
    let half = &good[..good.len() / 2];
    check(format!("{good}{half}"), RootsError::Unreadable(2));
    let other = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    check(format!("# ours\n{other}{good}"), RootsError::Unreadable(1));
}
