//! Two regions and what passes between them.

use crate::world::*;
use landfall_sync::wire::region_frame::Kind as FromRegion;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_write_in_one_region_is_held_by_both_and_its_device_is_told() {
    let (first, second, _directory) = pair(0).await;
    let mut device = Device::new(1);
    let mut writing = device.join(first.address()).await;
    let mut reading = Device::new(2).join(second.address()).await;
    assert_eq!(catch_up(&mut reading).await, []);
    writing.send(push(vec![device.create("a", "far")]));
    assert_accepted(&writing.fates().await, 1);
    assert_eq!(rows_of(&reading.delta().await).len(), 1);
    let durable = |k| {
        if let FromRegion::Durable(d) = k { Some(d) } else { None }
    };
    assert_eq!(writing.find(durable).await.seqs.unwrap().upto, 1);
    eventually("equal vectors", || first.status().vector == second.status().vector).await;
    eventually("no lag", || {
        let peers = [first.status().peers, second.status().peers].concat();
        peers.iter().all(|p| p.connected && p.lag_entries == 0 && p.behind_entries == 0)
    })
    .await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn both_regions_take_writes_and_end_up_with_the_same() {
    let (first, second, _directory) = pair(0).await;
    let mut rows = Vec::new();
    for (n, region) in [&first, &second].into_iter().enumerate() {
        let mut device = Device::new(n as u64 + 1);
        let mut client = device.join(region.address()).await;
        for i in 0..20 {
            client.send(push(vec![device.create(&format!("{n}-{i}"), "x")]));
        }
        for i in 0..20 {
            assert_accepted(&client.fates().await, i + 1);
        }
    }
    let vectors = || (first.status().vector, second.status().vector);
    eventually("equal vectors", || vectors().0 == vectors().1 && vectors().0.len() == 2).await;
    for region in [&first, &second] {
        let mut client = Device::new(9).join(region.address()).await;
        rows.push(catch_up(&mut client).await);
    }
    assert_eq!(rows[0].len(), 40);
    assert_eq!(rows[0], rows[1]);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_peer_that_was_away_catches_up_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let (second, _directory) = {
        let (first, second, directory) = pair(0).await;
        eventually("the links are up", || second.status().peers[0].connected).await;
        first.kill().await;
        (second, directory)
    };
    drop(directory);
    let mut device = Device::new(1);
    let mut client = device.join(second.address()).await;
    client.send(push(vec![device.create("a", "meanwhile")]));
    assert_accepted(&client.fates().await, 1);
    eventually("the link is down", || !second.status().peers[0].connected).await;
    assert_eq!(second.status().peers[0].lag_entries, 1);
    let mut config = config(1, _directory.path());
    config.peers.push(landfall_region::server::PeerConfig {
        region: second.region(),
        name: "region-2".to_owned(),
        url: format!("http://{}", second.address()),
        delay_ms: 0,
    });
    let first = start(config).await;
    eventually("it has caught up", || first.status().vector == second.status().vector).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn an_injected_delay_is_felt_on_the_way() {
    let delay = Duration::from_millis(150);
    let (first, second, _directory) = pair(delay.as_millis() as u64).await;
    eventually("the links are up", || {
        first.status().peers[0].connected && second.status().peers[0].connected
    })
    .await;
    let mut device = Device::new(1);
    let mut client = device.join(first.address()).await;
    // Let the greetings pass.
    tokio::time::sleep(delay * 5).await;
    client.send(push(vec![device.create("a", "slow")]));
    assert_accepted(&client.fates().await, 1);
    let began = Instant::now();
    eventually("it arrives", || second.status().vector.len() == 1).await;
    let took = began.elapsed();
    assert!(took + Duration::from_millis(20) >= delay, "{took:?}");
    first.stop().await;
    second.stop().await;
}
