//! A stretch of slow network on loopback: bytes go through at a set pace, and are counted.
//!
//! With it a test can stop something in the middle, on a fast machine as on a slow one.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes go through in steps of this length.
const STEP: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct Throttle {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    to: u16,
    bytes_per_step: u64,
    up: AtomicU64,
    down: AtomicU64,
    closed: AtomicBool,
}

impl Throttle {
    /// A way to a port of this machine at so many bytes per second in each direction.
    pub(crate) fn new(to: u16, bytes_per_second: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let bytes_per_step = bytes_per_second * STEP.as_millis() as u64 / 1_000;
        let (up, down, closed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { to, bytes_per_step, up, down, closed });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for inbound in listener.incoming().map_while(Result::ok) {
                if accepting.closed.load(Ordering::Relaxed) {
                    return;
                }
                carry(inbound, &accepting);
            }
        });
        Self { port, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn up(&self) -> u64 {
        self.shared.up.load(Ordering::Relaxed)
    }

    pub(crate) fn down(&self) -> u64 {
        self.shared.down.load(Ordering::Relaxed)
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn carry(inbound: TcpStream, shared: &Arc<Shared>) {
    let Ok(outbound) = TcpStream::connect(("127.0.0.1", shared.to)) else { return };
    let (Ok(from_server), Ok(to_client)) = (outbound.try_clone(), inbound.try_clone()) else {
        return;
    };
    let (up, down) = (Arc::clone(shared), Arc::clone(shared));
    thread::spawn(move || pump(inbound, outbound, &up, &up.up));
    thread::spawn(move || pump(from_server, to_client, &down, &down.down));
}

fn pump(mut from: TcpStream, mut to: TcpStream, shared: &Shared, count: &AtomicU64) {
    let mut buffer = vec![0; shared.bytes_per_step.max(1) as usize];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if shared.closed.load(Ordering::Relaxed) || to.write_all(&buffer[..n]).is_err() {
            break;
        }
        count.fetch_add(n as u64, Ordering::Relaxed);
        thread::sleep(STEP);
    }
    for stream in [&from, &to] {
        // One that is closed already does not matter.
        let _ = stream.shutdown(Shutdown::Both);
    }
}
