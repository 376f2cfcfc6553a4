//! I2: what was acknowledged survives the end of the process, clean or not.

use crate::world::*;
use landfall_region::server::{Server, ServerConfig, StartError, StoreError};

#[tokio::test]
async fn what_was_accepted_survives_a_crash_and_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let mut device = Device::new(1);
    let mut life = None;
    for round in 0..4_u64 {
        let region = start(config(1, directory.path())).await;
        let incarnation = region.status().incarnation;
        // The marker shows that the store is the one that was last written.
        assert_eq!(*life.get_or_insert(incarnation), incarnation);
        let (mut client, welcome) = device.join_and_hear(region.address()).await;
        let known = welcome.known[0].received.as_ref().unwrap();
        assert_eq!(known.upto, round * 50);
        for i in 0..50 {
            client.send(push(vec![device.create(&format!("{round}-{i}"), "kept")]));
        }
        for i in 0..50 {
            assert_accepted(&client.fates().await, round * 50 + i + 1);
        }
        let mut reading = Device::new(2).join(region.address()).await;
        assert_eq!(catch_up(&mut reading).await.len() as u64, (round + 1) * 50);
        if round % 2 == 0 {
            region.kill().await;
            assert_eq!(client.next().await, None, "the connection is gone");
        } else {
            region.stop().await;
        }
    }
}

#[tokio::test]
async fn a_store_whose_marker_is_gone_begins_a_new_life() {
    let directory = tempfile::tempdir().unwrap();
    let region = start(config(1, directory.path())).await;
    let first = region.status().incarnation;
    region.stop().await;
    std::fs::remove_dir_all(directory.path().join("markers")).unwrap();
    let region = start(config(1, directory.path())).await;
    assert!(region.status().incarnation > first);
    region.stop().await;
}

#[tokio::test]
async fn a_store_opens_under_its_own_number_only() {
    let directory = tempfile::tempdir().unwrap();
    let region = start(config(1, directory.path())).await;
    let life = region.status().incarnation;
    region.stop().await;
    let data_dir = config(1, directory.path()).data_dir;
    let other = ServerConfig { data_dir, ..config(2, directory.path()) };
    let refused = Server::start(other, schema()).await.unwrap_err();
    let StartError::Store(StoreError::Open(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.code(), "LF5009");
    let region = start(config(1, directory.path())).await;
    assert_eq!(region.status().incarnation, life, "it is as it was");
    region.stop().await;
}

#[tokio::test]
async fn a_server_that_is_dropped_lets_go_of_its_store() {
    let directory = tempfile::tempdir().unwrap();
    drop(start(config(1, directory.path())).await);
    for _ in 0..200 {
        let again = landfall_region::server::Server::start(config(1, directory.path()), schema());
        if let Ok(region) = again.await {
            assert!(region.stop().await, "its store is closed in order");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the store is still in use");
}
