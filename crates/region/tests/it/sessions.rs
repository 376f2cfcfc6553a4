//! What a well-behaved device finds.

use crate::client::{Client, get, request};
use crate::world::*;
use landfall_region::server::{Server, StartError};
use landfall_sync::wire;
use std::net::SocketAddr;
use std::time::Duration;
use wire::delta::Place;
use wire::device_frame::Kind as ToRegion;
use wire::region_frame::Kind as FromRegion;

#[tokio::test]
async fn health_readiness_and_status_are_pages_of_both_versions_of_http() {
    let (region, _directory) = region().await;
    for http2 in [false, true] {
        assert_eq!(get(region.address(), "/healthz", http2).await, (200, "ok\n".to_owned()));
        let (code, page) = get(region.address(), "/readyz", http2).await;
        let page: serde_json::Value = serde_json::from_str(&page).unwrap();
        assert_eq!((code, &page["ready"], &page["region"]), (200, &true.into(), &1.into()));
        let (code, page) = get(region.address(), "/v1/status", http2).await;
        let page: serde_json::Value = serde_json::from_str(&page).unwrap();
        assert_eq!((code, &page["name"]), (200, &"region-1".into()));
        assert!(page["incarnation"].as_u64().unwrap() > 0);
        assert_eq!(page["reports"]["life_began"], 1);
        assert_eq!(get(region.address(), "/v1/session", http2).await.0, 405);
        let (code, text) = get(region.address(), "/", http2).await;
        assert!(code == 200 && text.contains("/v1/status"), "{code} {text}");
        let (code, text) = get(region.address(), "/elsewhere", http2).await;
        assert!(code == 404 && text.contains("/ lists what there is"), "{code} {text}");
    }
    region.stop().await;
}

#[tokio::test]
async fn a_push_is_accepted_and_reaches_another_session() {
    let (region, _directory) = region().await;
    let (mut writer, reader) = (Device::new(1), Device::new(2));
    let mut reading = reader.join(region.address()).await;
    assert_eq!(catch_up(&mut reading).await, []);
    let mut writing = writer.join(region.address()).await;
    writing.send(push(vec![writer.create("a", "first")]));
    assert_accepted(&writing.fates().await, 1);
    let delta = reading.delta().await;
    assert!(matches!(delta.place, Some(Place::Live(_))), "{delta:?}");
    let keys: Vec<String> = rows_of(&delta).into_iter().map(|r| r.key.unwrap().id).collect();
    assert_eq!(keys, ["a"]);
    let status = region.status();
    assert_eq!((status.sessions, status.pushes, status.transactions, status.ops), (2, 1, 1, 1));
    assert_eq!(status.vector.len(), 1);
    region.stop().await;
}

#[tokio::test]
async fn a_large_catch_up_is_compressed_and_arrives_whole() {
    let (region, _directory) = region().await;
    let (mut writer, reader) = (Device::new(1), Device::new(2));
    let mut writing = writer.join(region.address()).await;
    let title = "the same words again ".repeat(50);
    for n in 0..10 {
        let items = (0..200).map(|i| writer.create(&format!("{n}-{i}"), &title)).collect();
        writing.send(push(items));
        writing.fates().await;
    }
    let mut reading = reader.join(region.address()).await;
    assert_eq!(catch_up(&mut reading).await.len(), 2_000);
    region.stop().await;
}

#[tokio::test]
async fn what_was_sent_before_the_request_ended_is_answered_before_the_response_ends() {
    let (region, _directory) = region().await;
    let mut device = Device::new(1);
    let mut client = Client::connect(region.address(), "/v1/session").await;
    client.send(ToRegion::Hello(device.hello()));
    client.send(push(vec![device.create("a", "once")]));
    client.finish();
    assert_accepted(&client.fates().await, 1);
    assert_eq!(client.next().await, None);
    eventually("the session is forgotten", || region.status().sessions == 0).await;
    region.stop().await;
}

#[tokio::test]
async fn a_device_that_hangs_up_is_forgotten() {
    let (region, _directory) = region().await;
    let client = Device::new(1).join(region.address()).await;
    assert_eq!(region.status().sessions, 1);
    drop(client);
    eventually("the session is forgotten", || region.status().sessions == 0).await;
    region.stop().await;
}

#[tokio::test]
async fn draining_lets_nobody_in_and_tells_those_who_are_there() {
    let (region, _directory) = region().await;
    let mut client = Device::new(1).join(region.address()).await;
    region.drain();
    let within = client.find(|k| if let FromRegion::Drain(d) = k { Some(d) } else { None }).await;
    assert_eq!(within.within_ms, 200);
    assert_eq!(get(region.address(), "/readyz", true).await.0, 503);
    assert_eq!(get(region.address(), "/healthz", true).await.0, 200);
    let (_, refused) = request(region.address(), "/v1/session").await;
    assert_eq!(refused.status(), 503);
    // Those who stay are still served, until the end.
    client.send(ToRegion::Ping(wire::Ping { sent_ms: 1 }));
    client.find(|k| matches!(k, FromRegion::Pong(_)).then_some(())).await;
    let address = region.address();
    region.stop().await;
    assert_eq!(client.error().await.code, "closing");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn stopping_does_not_wait_for_the_grace_when_everybody_has_left() {
    let (region, _directory) = region_with(|c| c.grace = Duration::from_secs(60)).await;
    let client = Device::new(1).join(region.address()).await;
    drop(client);
    tokio::time::timeout(Duration::from_secs(5), region.stop()).await.expect("no waiting");
}

#[tokio::test]
async fn listening_beyond_this_machine_must_be_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(1, directory.path());
    config.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Server::start(config.clone(), schema()).await;
    assert!(matches!(refused, Err(StartError::NotLoopback(_))));
    config.listen_beyond_loopback = true;
    start(config).await.stop().await;
}

#[tokio::test]
async fn a_store_is_used_by_one_server_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = start(config(1, directory.path())).await;
    let second = Server::start(config(1, directory.path()), schema()).await;
    assert!(matches!(second, Err(StartError::Store(_))), "{second:?}");
    first.stop().await;
    start(config(1, directory.path())).await.stop().await;
}
