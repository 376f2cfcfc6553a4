//! The proxy between a client and a server that sends everything back.

use super::*;

/// A server that sends everything back.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn through(profile: Profile) -> (Proxy, TcpStream) {
    let proxy = Proxy::start(0, echo().await, profile).await.expect("a proxy");
    let stream = TcpStream::connect(proxy.address()).await.expect("it listens");
    (proxy, stream)
}

async fn say(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(bytes).await?;
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).await?;
    Ok(back)
}

#[tokio::test]
async fn bytes_come_later_and_in_order() {
    let delay = Duration::from_millis(30);
    let (proxy, mut stream) = through(Profile::delayed(delay)).await;
    let began = Instant::now();
    assert_eq!(say(&mut stream, b"ping").await.expect("an echo"), b"ping");
    assert!(began.elapsed() >= 2 * delay);
    assert_eq!((proxy.bytes_up(), proxy.bytes_down()), (4, 4));
}

#[tokio::test]
async fn a_narrow_stretch_takes_its_time() {
    let narrow = Profile { up: Some(100_000), ..Profile::PERFECT };
    let (_proxy, mut stream) = through(narrow).await;
    let bytes: Vec<u8> = (0..20_000).map(|i| i as u8).collect();
    let began = Instant::now();
    assert_eq!(say(&mut stream, &bytes).await.expect("an echo"), bytes);
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_lets_nothing_new_in() {
    let (proxy, mut stream) = through(Profile::PERFECT).await;
    say(&mut stream, b"a").await.expect("an echo");
    proxy.set_way(Way::Cut);
    let error = say(&mut stream, b"b").await.expect_err("it is cut");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut next = TcpStream::connect(proxy.address()).await.expect("it listens");
    say(&mut next, b"c").await.expect_err("it is cut");
    proxy.set_way(Way::Open);
    let mut after = TcpStream::connect(proxy.address()).await.expect("it listens");
    say(&mut after, b"d").await.expect("an echo");
    proxy.reset();
    say(&mut after, b"e").await.expect_err("it was reset");
}

#[tokio::test]
async fn what_is_swallowed_comes_once_the_way_is_open_again() {
    let (proxy, mut stream) = through(Profile::PERFECT).await;
    say(&mut stream, b"a").await.expect("an echo");
    proxy.set_way(Way::Swallowing);
    let silent = tokio::time::timeout(Duration::from_millis(100), say(&mut stream, b"b")).await;
    assert!(silent.is_err(), "{silent:?}");
    proxy.set_way(Way::Open);
    let mut back = [0];
    stream.read_exact(&mut back).await.expect("an echo");
    assert_eq!(&back, b"b");
}
