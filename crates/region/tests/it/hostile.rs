//! I17: hostile input gets a typed error, costs little, and changes nothing.

use crate::client::{Client, request};
use crate::world::*;
use bytes::Bytes;
use landfall_region::server::ServerHandle;
use landfall_sync::limits::FRAME_BYTES_MAX;
use landfall_sync::wire;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::device_frame::Kind as ToRegion;

/// Send these bytes on a new session: the answer is this code, and nothing has changed.
async fn check_bytes(region: &ServerHandle, bytes: impl Into<Bytes>, end: bool, code: &str) {
    let before = region.status().vector;
    let mut client = Client::connect(region.address(), "/v1/session").await;
    client.send_bytes(bytes);
    if end {
        client.finish();
    }
    assert_eq!(client.error().await.code, code);
    assert_unharmed(region, before).await;
}

/// The same, with a greeting.
async fn check_hello(region: &ServerHandle, change: impl FnOnce(&mut wire::Hello), code: &str) {
    let before = region.status().vector;
    let mut client = Client::connect(region.address(), "/v1/session").await;
    let mut hello = Device::new(66).hello();
    change(&mut hello);
    client.send(ToRegion::Hello(hello));
    assert_eq!(client.error().await.code, code);
    assert_unharmed(region, before).await;
}

/// The same, with frames after a good greeting.
async fn check_frame(region: &ServerHandle, kind: ToRegion, code: &str) {
    let before = region.status().vector;
    let mut client = Device::new(66).join(region.address()).await;
    client.send(kind);
    assert_eq!(client.error().await.code, code);
    assert_unharmed(region, before).await;
}

async fn assert_unharmed(region: &ServerHandle, before: Vec<landfall_region::status::LogHead>) {
    assert_eq!(region.status().vector, before);
    assert_eq!(region.status().store_failures, 0);
    Device::new(1).join(region.address()).await;
}

fn framed(codec: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 1).to_be_bytes().to_vec();
    bytes.push(codec);
    bytes.extend_from_slice(body);
    bytes
}

/// A region that holds something already.
async fn region_in_use() -> (ServerHandle, tempfile::TempDir) {
    let (region, directory) = region().await;
    let mut device = Device::new(1);
    let mut client = device.join(region.address()).await;
    client.send(push(vec![device.create("a", "kept")]));
    assert_accepted(&client.fates().await, 1);
    (region, directory)
}

#[tokio::test]
async fn bytes_that_are_no_frames_are_refused() {
    let (region, _directory) = region_in_use().await;
    check_bytes(&region, framed(0, &[0xff; 40]), false, "malformed").await;
    check_bytes(&region, framed(9, b"other codec"), false, "malformed").await;
    check_bytes(&region, framed(1, b"not zstd"), false, "malformed").await;
    check_bytes(&region, framed(0, &[]), false, "malformed").await;
    check_bytes(&region, vec![0; 5], false, "too_large").await;
    check_bytes(&region, u32::MAX.to_be_bytes().to_vec(), false, "too_large").await;
    let over = (FRAME_BYTES_MAX as u32 + 1).to_be_bytes().to_vec();
    check_bytes(&region, over, false, "too_large").await;
    check_bytes(&region, "GET / HTTP/1.1\r\n\r\n", false, "too_large").await;
    region.stop().await;
}

#[tokio::test]
async fn a_frame_that_is_cut_off_is_refused() {
    let (region, _directory) = region_in_use().await;
    check_bytes(&region, vec![0; 2], true, "malformed").await;
    check_bytes(&region, framed(0, &[1; 100])[..50].to_vec(), true, "malformed").await;
    region.stop().await;
}

#[tokio::test]
async fn a_first_frame_is_small() {
    let (region, _directory) = region_in_use().await;
    // It is refused before it is whole.
    let mut endless = (FRAME_BYTES_MAX as u32).to_be_bytes().to_vec();
    endless.extend([0; 100_000]);
    check_bytes(&region, endless, false, "too_large").await;
    // A few bytes on the wire, many in memory.
    let large = |h: &mut wire::Hello| h.app = "x".repeat(1 << 20);
    check_hello(&region, large, "too_large").await;
    region.stop().await;
}

#[tokio::test]
async fn who_does_not_show_a_good_token_is_refused() {
    let (region, _directory) = region_in_use().await;
    check_hello(&region, |h| h.token.clear(), "unauthenticated").await;
    check_hello(&region, |h| h.token = "x.y.z".to_owned(), "unauthenticated").await;
    check_hello(&region, |h| h.token.push('x'), "unauthenticated").await;
    let expired = token("user-66", &[SHOP], now_ms() - 60_000);
    check_hello(&region, |h| h.token = expired, "token_expired").await;
    let peer = keys().peer_token(landfall_model::id::RegionId(2), now_ms()).unwrap();
    check_hello(&region, |h| h.token = peer, "unauthenticated").await;
    region.stop().await;
}

#[tokio::test]
async fn a_session_begins_with_a_greeting_that_the_region_understands() {
    let (region, _directory) = region_in_use().await;
    check_hello(&region, |h| h.versions = vec![77], "version").await;
    check_hello(&region, |h| h.placement = 5, "wrong_placement").await;
    check_hello(&region, |h| h.devices = vec![vec![1, 2].into()], "malformed").await;
    check_frame(&region, ToRegion::Hello(Device::new(66).hello()), "hello_twice").await;
    let mut hasty = Client::connect(region.address(), "/v1/session").await;
    hasty.send(ToRegion::Ping(wire::Ping { sent_ms: 1 }));
    assert_eq!(hasty.error().await.code, "hello_first");
    region.stop().await;
}

#[tokio::test]
async fn pushes_that_are_none_end_the_session() {
    let (region, _directory) = region_in_use().await;
    let garbage = wire::push::Transaction { ops: vec![vec![0xff; 30].into()] };
    check_frame(&region, push(vec![garbage]), "malformed").await;
    let of_another = Device::new(67).create("b", "not mine");
    check_frame(&region, push(vec![of_another]), "unknown_device").await;
    region.stop().await;
}

#[tokio::test]
async fn a_stamp_from_the_future_is_refused_and_the_session_goes_on() {
    let (region, _directory) = region_in_use().await;
    let before = region.status().vector;
    let mut device = Device::new(2);
    let mut client = device.join(region.address()).await;
    let future = now_ms() + 3_600_000;
    client.send(push(vec![device.create_at("b", "too early", future)]));
    let fates = client.fates().await.fates;
    let Some(wire::fate::Kind::Rejected(rejected)) = &fates[0].kind else { panic!("{fates:?}") };
    assert_eq!(rejected.code, "clock_ahead");
    assert_eq!(region.status().vector, before);
    client.send(push(vec![device.create("c", "in time")]));
    assert_accepted(&client.fates().await, 2);
    region.stop().await;
}

#[tokio::test]
async fn who_says_nothing_is_sent_away() {
    let soon = |c: &mut landfall_region::server::ServerConfig| {
        c.limits.hello_within = Duration::from_millis(100);
    };
    let (region, _directory) = region_with(soon).await;
    let mut silent = Client::connect(region.address(), "/v1/session").await;
    assert_eq!(silent.error().await.code, "hello_timeout");
    // A connection without any request.
    let mut idle = tokio::net::TcpStream::connect(region.address()).await.unwrap();
    idle.write_all(b"PRI").await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(5), idle.read(&mut [0; 64])).await;
    assert_eq!(read.expect("closed in time").unwrap_or(0), 0);
    region.stop().await;
}

#[tokio::test]
async fn too_many_frames_are_answered_overloaded() {
    let (region, _directory) = region_with(|c| {
        c.limits.frames_per_second = 1;
        c.limits.frames_burst = 5;
    })
    .await;
    let mut client = Device::new(1).join(region.address()).await;
    (0..10).for_each(|n| client.send(ToRegion::Ping(wire::Ping { sent_ms: n })));
    let error = client.error().await;
    assert_eq!(error.code, "overloaded");
    assert!(error.retry_after_ms > 0);
    region.stop().await;
}

#[tokio::test]
async fn sessions_beyond_the_limit_are_not_let_in() {
    let (region, _directory) = region_with(|c| c.limits.sessions_max = 1).await;
    let first = Device::new(1).join(region.address()).await;
    let (_, refused) = request(region.address(), "/v1/session").await;
    assert_eq!(refused.status(), 503);
    let body = http_body_util::BodyExt::collect(refused.into_body()).await.unwrap().to_bytes();
    let refusal: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(refusal["code"], "overloaded");
    assert!(refusal["retry_after_ms"].as_u64().unwrap() > 0);
    drop(first);
    eventually("the seat is free", || region.status().sessions == 0).await;
    Device::new(1).join(region.address()).await;
    region.stop().await;
}

#[tokio::test]
async fn peers_that_are_none_are_refused() {
    let (first, second, _directory) = pair(0).await;
    let refused = async |hello: wire::PeerHello| {
        let mut client = Client::connect(first.address(), "/v1/peer").await;
        let kind = Some(wire::peer_frame::Kind::Hello(hello));
        client.send_message(&wire::PeerFrame { kind });
        let frame: wire::PeerFrame = client.next_message().await.expect("an answer");
        match frame.kind {
            Some(wire::peer_frame::Kind::Error(error)) => error.code,
            other => panic!("{other:?}"),
        }
    };
    let good = |token: String, region| wire::PeerHello {
        versions: vec![1],
        token,
        region,
        ..wire::PeerHello::default()
    };
    let device = token("user-1", &[SHOP], now_ms() + 60_000);
    assert_eq!(refused(good(device, 2)).await, "unauthenticated");
    let peer = || keys().peer_token(second.region(), now_ms()).unwrap();
    assert_eq!(refused(good(peer(), 9)).await, "unknown_region");
    // The second region's number, but for the bits that a region's number does not have.
    assert_eq!(refused(good(peer(), (1 << 16) + 2)).await, "malformed");
    let later = wire::PeerHello { versions: vec![77], ..good(peer(), 2) };
    assert_eq!(refused(later).await, "version");
    first.stop().await;
    second.stop().await;
}
