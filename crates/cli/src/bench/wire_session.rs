//! A session without a store: what a device says on the wire and no more, so that many fit beside
//! the region that is measured.

use anyhow::{Context, bail};
use landfall_device::RegionUrl;
use landfall_device::transport::wire::device_frame::Kind as FromDevice;
use landfall_device::transport::wire::region_frame::Kind as FromRegion;
use landfall_device::transport::wire::{self, delta::Place};
use landfall_device::transport::{Connection, Traffic, Transport};
use landfall_sync::limits::WIRE_VERSIONS;
use std::sync::Arc;

/// Bytes of rows that the region may send ahead. More than a benchmark's session ever gets.
const CREDIT: u64 = 1 << 40;

/// See the module's description.
pub(super) struct WireSession {
    connection: Connection,
}

impl WireSession {
    /// Greet a region, as a device that the numbers name.
    pub async fn open(
        transport: &dyn Transport,
        url: RegionUrl,
        token: &str,
        device: u128,
    ) -> anyhow::Result<Self> {
        let connection = transport.connect(url, Arc::new(Traffic::default())).await?;
        let mut session = Self { connection };
        session.send(FromDevice::Hello(wire::Hello {
            versions: WIRE_VERSIONS.to_vec(),
            token: token.to_owned(),
            devices: vec![device.to_be_bytes().to_vec().into()],
            codecs: vec![1],
            credit: CREDIT,
            ..wire::Hello::default()
        }))?;
        match session.next().await? {
            FromRegion::Welcome(_) => Ok(session),
            other => bail!("no welcome but {other:?}"),
        }
    }

    pub fn send(&self, kind: FromDevice) -> anyhow::Result<()> {
        let frame = wire::DeviceFrame { kind: Some(kind) };
        self.connection.outgoing.send(frame).ok().context("the connection is gone")
    }

    /// The next frame of the region.
    pub async fn next(&mut self) -> anyhow::Result<FromRegion> {
        let frame = self.connection.incoming.recv().await.context("the connection is gone")??;
        match frame.kind.context("an empty frame")? {
            FromRegion::Error(error) => bail!("{}: {}", error.code, error.message),
            kind => Ok(kind),
        }
    }

    /// Subscribe to a scope, and wait until all of it has come.
    pub async fn subscribe(&mut self, scope: &str) -> anyhow::Result<()> {
        let scope = scope.to_owned();
        self.send(FromDevice::Subscribe(wire::Subscribe {
            sub: 1,
            scope,
            cursor: Some(wire::Vector::default()),
            fresh: true,
            ..wire::Subscribe::default()
        }))?;
        loop {
            if let FromRegion::Delta(wire::Delta { place: Some(Place::Chunk(chunk)), .. }) =
                self.next().await?
                && chunk.done
                && !chunk.more
            {
                return Ok(());
            }
        }
    }

    /// Wait for a change of what is subscribed.
    pub async fn changed(&mut self) -> anyhow::Result<()> {
        loop {
            if let FromRegion::Delta(wire::Delta { place: Some(Place::Live(_)), .. }) =
                self.next().await?
            {
                return Ok(());
            }
        }
    }
}
