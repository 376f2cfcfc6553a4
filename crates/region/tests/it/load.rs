//! Many sessions at once.

use crate::world::*;
use bytes::BytesMut;
use landfall_sync::wire::device_frame::Kind as ToRegion;
use landfall_sync::wire::{DeviceFrame, Ping, encode_frame};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_push_at_once_share_commits() {
    const SESSIONS: u64 = 50;
    const PUSHES: u64 = 20;
    let (region, _directory) = region().await;
    let address = region.address();
    let mut sessions = JoinSet::new();
    for n in 1..=SESSIONS {
        sessions.spawn(async move {
            let mut device = Device::new(n);
            let mut client = device.join(address).await;
            for i in 0..PUSHES {
                client.send(push(vec![device.create(&format!("{n}-{i}"), "x")]));
                assert_accepted(&client.fates().await, i + 1);
            }
        });
    }
    while let Some(session) = sessions.join_next().await {
        session.unwrap();
    }
    let status = region.status();
    assert_eq!(status.pushes, SESSIONS * PUSHES);
    assert_eq!(status.transactions, SESSIONS * PUSHES);
    assert!(status.commits < status.pushes / 2, "{} commits", status.commits);
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_does_not_read_is_closed_and_harms_nobody() {
    // More answers than flow control and the session's queue hold together.
    const PINGS: i64 = 400_000;
    let (region, _directory) = region_with(|c| {
        c.limits.frames_per_second = u32::MAX;
        c.limits.frames_burst = u32::MAX;
    })
    .await;
    let stuck = Device::new(1).join(region.address()).await;
    let mut other = Device::new(2).join(region.address()).await;
    let mut pings = BytesMut::new();
    for sent_ms in 0..PINGS {
        let kind = Some(ToRegion::Ping(Ping { sent_ms }));
        encode_frame(&DeviceFrame { kind }, false, &mut pings);
    }
    stuck.send_bytes(pings);
    eventually("the session is closed", || region.status().closed_slow == 1).await;
    other.send(ToRegion::Ping(Ping { sent_ms: 1 }));
    other.next().await.expect("an answer");
    assert_eq!(region.status().sessions, 1);
    region.stop().await;
}
