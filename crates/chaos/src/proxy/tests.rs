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

#[tokio::test]
async fn what_goes_one_way_is_swallowed_alone() {
    let (proxy, mut stream) = through(Profile::PERFECT).await;
    say(&mut stream, b"a").await.expect("an echo");
    proxy.set_way(Way::SwallowingDown);
    let silent = tokio::time::timeout(Duration::from_millis(100), say(&mut stream, b"b")).await;
    assert!(silent.is_err(), "{silent:?}");
    assert_eq!((proxy.bytes_up(), proxy.bytes_down()), (2, 1));
    proxy.set_way(Way::SwallowingUp);
    let mut back = [0];
    stream.read_exact(&mut back).await.expect("the echo of before");
    let silent = tokio::time::timeout(Duration::from_millis(100), say(&mut stream, b"c")).await;
    assert!(silent.is_err(), "{silent:?}");
    assert_eq!((proxy.bytes_up(), proxy.bytes_down()), (2, 2));
}

#[tokio::test]
async fn nobody_is_told_of_an_end_that_is_swallowed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let proxy = Proxy::start(0, address, Profile::PERFECT).await.expect("a proxy");
    let client = TcpStream::connect(proxy.address()).await.expect("it listens");
    let (mut server, _) = listener.accept().await.expect("a connection");
    proxy.set_way(Way::Swallowing);
    drop(client);
    let mut last = [0];
    let silent = tokio::time::timeout(Duration::from_millis(100), server.read(&mut last)).await;
    assert!(silent.is_err(), "{silent:?}");
    proxy.set_way(Way::Open);
    assert_eq!(server.read(&mut last).await.expect("a regular end"), 0);
}

#[tokio::test]
async fn uneven_delay_keeps_the_order() {
    let delay = Duration::from_millis(5);
    let uneven = Profile { jitter: Duration::from_millis(20), ..Profile::delayed(delay) };
    let (_proxy, mut stream) = through(uneven).await;
    let (began, mut back) = (Instant::now(), Vec::new());
    for n in 0..20_u8 {
        stream.write_all(&[n]).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stream.shutdown().await.expect("half closed");
    stream.read_to_end(&mut back).await.expect("a regular end");
    assert_eq!(back, (0..20).collect::<Vec<u8>>());
    assert!(began.elapsed() >= 2 * delay);
}

#[tokio::test]
async fn a_side_that_has_said_its_last_word_is_still_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    // It answers when it has heard all, and not before.
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.expect("a regular end");
        tokio::time::sleep(Duration::from_millis(50)).await;
        all.reverse();
        stream.write_all(&all).await.expect("somebody listens");
    });
    let proxy = Proxy::start(0, address, Profile::delayed(Duration::from_millis(10))).await;
    let proxy = proxy.expect("a proxy");
    let mut stream = TcpStream::connect(proxy.address()).await.expect("it listens");
    stream.write_all(b"word").await.expect("sent");
    stream.shutdown().await.expect("half closed");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("a regular end");
    assert_eq!(answer, b"drow");
}

#[tokio::test]
async fn where_one_side_breaks_off_the_other_hears_of_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let proxy = Proxy::start(0, address, Profile::PERFECT).await.expect("a proxy");
    let mut client = TcpStream::connect(proxy.address()).await.expect("it listens");
    let (mut server, _) = listener.accept().await.expect("a connection");
    client.write_all(b"a").await.expect("sent");
    server.read_exact(&mut [0]).await.expect("it is through");
    server.set_zero_linger().expect("it will be reset");
    drop(server);
    let error = client.read(&mut [0]).await.expect_err("no regular end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}
