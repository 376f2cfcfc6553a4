//! Regions behind TLS: who is believed, who is told nothing, and where a device goes instead.

use crate::authority::{Authority, Certified, FAR};
use crate::http::serve_with;
use crate::world::{SOON, World, count, eventually, order};
use landfall_device::transport::wire::DeviceFrame;
use landfall_device::transport::{Http, Traffic, Transport, Trust};
use landfall_device::{Client, ConnectionState, FixedToken, Network, Options, RegionUrl};
use landfall_tls::{Acceptor, Files};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// A year that is over.
const OVER: i32 = 2020;

/// What nobody but a region may see.
const TOKEN: &str = "as user-7 with-a-token-that-is-nobody-elses";

fn acceptor(certified: &Certified) -> (Acceptor, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let [cert, key] = certified.write(folder.path());
    (Acceptor::open(Files { cert, key }).unwrap(), folder)
}

/// Options of a device that trusts this authority and nobody else. It waits for a region for
/// longer than a test may take, so what comes to an end does so by itself; and for minutes when no
/// region was ready, so what is tried again at once shows.
fn options(world: &World, path: &Path, ours: &Authority, urls: &[String]) -> Options {
    let mut options = world.options(path, &[]);
    let trust = Trust::Only(ours.pem.clone().into());
    options.transport = Arc::new(Http::trusting(&trust).unwrap());
    options.tokens = Arc::new(FixedToken(TOKEN.to_owned()));
    options.regions = urls.iter().map(|url| RegionUrl::new(url, url)).collect();
    options.network = Network {
        ready_ms_max: 600_000,
        backoff_ms_min: 300_000,
        backoff_ms_max: 600_000,
        ..Network::default()
    };
    options
}

/// A port that notes every byte that it can read: with TLS what is inside of it.
struct Recorder {
    address: SocketAddr,
    runtime: Runtime,
    connections: Arc<AtomicUsize>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    fn start(tls: Option<Acceptor>) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, bytes) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::default()));
        let recorder = Self { address, runtime, connections, bytes };
        let (connections, bytes) = (recorder.connections.clone(), recorder.bytes.clone());
        recorder.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (tls, bytes) = (tls.clone(), bytes.clone());
                tokio::spawn(async move {
                    let mut read = vec![0; 64 << 10];
                    let read = match tls {
                        None => {
                            let mut stream = stream;
                            let n = stream.read(&mut read).await.unwrap_or(0);
                            let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
                            let _ = stream.write_all(answer).await;
                            let mut rest = Vec::new();
                            let _ = stream.read_to_end(&mut rest).await;
                            [&read[..n], &rest].concat()
                        }
                        Some(tls) => {
                            let Ok(mut socket) = tls.accept(stream).await else { return };
                            let n = socket.read(&mut read).await.unwrap_or(0);
                            read[..n].to_vec()
                        }
                    };
                    bytes.lock().unwrap().extend(read);
                });
            }
        });
        recorder
    }

    fn saw_no_token(&self) -> bool {
        let bytes = self.bytes.lock().unwrap();
        !bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes())
    }
}

fn waits_with(client: &Client, expected: Option<&str>) {
    eventually("the device waits", || match client.connection() {
        ConnectionState::Waiting { code, .. } => {
            assert_eq!(code.as_deref(), expected);
            true
        }
        _ => false,
    });
}

#[test]
fn a_device_syncs_over_tls() {
    let (world, dir, ours) = (World::new(1), tempfile::tempdir().unwrap(), Authority::new("ours"));
    let (tls, _folder) = acceptor(&ours.certify("127.0.0.1", FAR));
    let (_runtime, address) = serve_with(&world, Some(tls));
    let urls = [format!("https://{address}")];
    let client = |name: &str| {
        let client = Client::open(options(&world, &dir.path().join(name), &ours, &urls)).unwrap();
        client.subscribe("market/fr").unwrap();
        client
    };
    let (a, b) = (client("a.db"), client("b.db"));
    for n in 0..50 {
        order(&a, &format!("o{n}"), "PLACED");
    }
    a.settle(SOON).unwrap();
    eventually("the other has all", || count(&b) == 50);
    // Another connection of the same client, which resumes what the first one agreed on.
    a.go_offline();
    order(&a, "later", "PLACED");
    a.go_online();
    a.settle(SOON).unwrap();
    eventually("the other has that, too", || count(&b) == 51);
}

#[test]
fn who_is_not_believed_gets_no_token_and_the_device_goes_on_elsewhere() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let cases = [
        ("another name", ours.certify("region.example", FAR)),
        ("another authority", theirs.certify("127.0.0.1", FAR)),
        ("expired", ours.certify("127.0.0.1", OVER)),
    ];
    for (case, certified) in cases {
        let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
        let (bad, _folder) = acceptor(&certified);
        let recorder = Recorder::start(Some(bad));
        let bad = format!("https://{}", recorder.address);
        let (good, _folder) = acceptor(&ours.certify("127.0.0.1", FAR));
        let (_runtime, address) = serve_with(&world, Some(good));
        let good = format!("https://{address}");
        let open = |name: &str, urls: &[String]| {
            Client::open(options(&world, &dir.path().join(name), &ours, urls)).unwrap()
        };
        let client = open("a.db", &[bad.clone(), good.clone()]);
        client.subscribe("catalog").unwrap();
        client.settle(SOON).unwrap();
        assert_eq!(client.connection(), ConnectionState::Online { region: good }, "{case}");
        client.close().unwrap();
        let alone = open("b.db", &[bad]);
        waits_with(&alone, Some("certificate_refused"));
        assert!(recorder.bytes.lock().unwrap().is_empty(), "{case}");
        // One by each client, and no second one while the wait lasts.
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(recorder.connections.load(Ordering::SeqCst), 2, "{case}");
        alone.close().unwrap();
    }
}

#[test]
fn public_authorities_did_not_certify_this_one() {
    let (world, dir, ours) = (World::new(1), tempfile::tempdir().unwrap(), Authority::new("ours"));
    let (tls, _folder) = acceptor(&ours.certify("127.0.0.1", FAR));
    let recorder = Recorder::start(Some(tls));
    let urls = [format!("https://{}", recorder.address)];
    let mut by_default = options(&world, &dir.path().join("a.db"), &ours, &urls);
    by_default.transport = Arc::new(Http::new());
    let client = Client::open(by_default).unwrap();
    waits_with(&client, Some("certificate_refused"));
    assert!(recorder.bytes.lock().unwrap().is_empty());
    client.close().unwrap();
}

#[test]
fn a_port_of_the_other_kind_is_left_at_once() {
    let (world, dir, ours) = (World::new(1), tempfile::tempdir().unwrap(), Authority::new("ours"));
    let (good, _folder) = acceptor(&ours.certify("127.0.0.1", FAR));
    let (_runtime, address) = serve_with(&world, Some(good));
    let plain = Recorder::start(None);
    let check = |bad: String| {
        let path = dir.path().join("a.db");
        let alone =
            Client::open(options(&world, &path, &ours, std::slice::from_ref(&bad))).unwrap();
        waits_with(&alone, None);
        alone.close().unwrap();
        let good = format!("https://{address}");
        let urls = [bad, good.clone()];
        let client = Client::open(options(&world, &path, &ours, &urls)).unwrap();
        client.subscribe("catalog").unwrap();
        client.settle(SOON).unwrap();
        assert_eq!(client.connection(), ConnectionState::Online { region: good });
        client.close().unwrap();
    };
    check(format!("https://{}", plain.address));
    assert!(plain.saw_no_token());
    check(format!("http://{address}"));
}

#[test]
fn roots_that_are_none_are_told_before_a_client_is_opened() {
    let error = Http::trusting(&Trust::PublicAnd(b"no certificate".to_vec())).unwrap_err();
    assert_eq!(error.code(), "LF2140");
    assert!(error.message().contains("-----BEGIN CERTIFICATE-----"), "{error}");
}

/// A way to a port that tells, of each connection, the bytes that came back over it.
fn counted(runtime: &Runtime, to: SocketAddr) -> (SocketAddr, mpsc::UnboundedReceiver<usize>) {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (counts, counted) = mpsc::unbounded_channel();
    runtime.spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (mut far, mut to_far) = TcpStream::connect(to).await.unwrap().into_split();
            let (mut near, mut to_near) = near.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut near, &mut to_far).await });
            let counts = counts.clone();
            tokio::spawn(async move {
                let (mut buffer, mut count) = (vec![0; 64 << 10], 0);
                while let Ok(n @ 1..) = far.read(&mut buffer).await {
                    count += n;
                    let _ = to_near.write_all(&buffer[..n]).await;
                }
                let _ = counts.send(count);
            });
        }
    });
    (address, counted)
}

#[test]
fn another_session_of_a_client_resumes_what_tls_agreed_on() {
    let (world, ours) = (World::new(1), Authority::new("ours"));
    let certified = ours.certify("127.0.0.1", FAR);
    let (tls, _folder) = acceptor(&certified);
    let (runtime, address) = serve_with(&world, Some(tls));
    let (address, mut bytes) = counted(&runtime, address);
    let http = Http::trusting(&Trust::Only(ours.pem.into())).unwrap();
    let mut down = Vec::new();
    for _ in 0..2 {
        let region = RegionUrl::new("r", format!("https://{address}"));
        let connecting = http.connect(region, Arc::new(Traffic::default()));
        let count = async {
            let mut connection = connecting.await.unwrap();
            // No greeting: the region says so, and what it said before has been heard.
            connection.outgoing.send(DeviceFrame::default()).unwrap();
            connection.incoming.recv().await.expect("an answer").unwrap();
            drop(connection);
            bytes.recv().await.unwrap()
        };
        let count = async { tokio::time::timeout(SOON, count).await.expect("an end") };
        down.push(runtime.block_on(count));
    }
    // The certificate, which has more bytes than half its text has characters, is not sent again.
    assert!(down[1] + certified.cert.len() / 2 < down[0], "{down:?}");
}
