//! Where benchmarks of speed happen: regions as processes of their own, and devices of this
//! process that reach them without a proxy between.

use crate::replay::Place;
use crate::world::{Wan, World, WorldOptions};
use anyhow::Context;
use landfall_device::{Client, ConnectionState, RegionUrl, Value};
use landfall_model::hash::hash64;
use landfall_model::schema::Schema;
use landfall_region::status::Status;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long anything may take before a benchmark gives up.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(600);

/// How much lower the priority of devices is than that of regions, where many of them are busy.
const NICENESS: i32 = 10;

/// The list that all devices share.
pub(super) const LIST: &str = "shared";
pub(super) const SCOPE: &str = "list/shared";

const SDL: &str = include_str!("schema.graphql");

/// See the module's description.
pub(super) struct Stage {
    pub world: World,
    dir: PathBuf,
}

impl Stage {
    pub async fn new(place: &Place, regions: usize) -> anyhow::Result<Self> {
        let dir = place.path().join("world");
        std::fs::create_dir_all(&dir)?;
        let options = WorldOptions {
            schema: Arc::new(schema()?),
            regions,
            dir: dir.clone(),
            wan: Wan::None,
            port: 0,
            processes: Some(SDL.to_owned()),
            logs: false,
        };
        Ok(Self { world: World::start(options).await?, dir })
    }

    /// A device that knows one region.
    pub fn device(&self, name: &str, region: usize) -> anyhow::Result<Client> {
        let mut options = self.world.device_options(name, &["*"], &["*"])?;
        let url = RegionUrl::new(self.world.name(region), self.world.straight_url(region)?);
        options.regions = vec![url];
        Client::open(options).with_context(|| format!("device {name}"))
    }

    /// A device that reaches all regions, each through the proxy in front of it.
    pub fn fronted(&self, name: &str) -> anyhow::Result<Client> {
        self.world.device(name, 0)
    }

    /// One that is offline until it is told otherwise.
    pub fn offline(&self, name: &str, region: usize) -> anyhow::Result<Client> {
        let client = self.device(name, region)?;
        client.go_offline();
        wait_for("offline", || Ok(client.connection() == ConnectionState::Offline))?;
        Ok(client)
    }

    /// A device's file.
    pub fn device_path(&self, name: &str) -> PathBuf {
        self.dir.join("devices").join(format!("{name}.db"))
    }

    /// Where things are kept that are measured beside the world, on the same disk.
    pub fn beside(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.dir.join(name);
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    pub async fn status(&self, region: usize) -> anyhow::Result<Status> {
        self.world.status(region).await.context("the region does not answer")
    }

    /// Memory that a region's process has had at most since it was started, or since
    /// [`Self::forget_region_memory`], bytes.
    pub fn region_memory(&self, region: usize) -> Option<u64> {
        memory_of(self.world.process_id(region)?)
    }

    /// Have the system count from what the region's process has now. `None` where it cannot.
    pub fn forget_region_memory(&self, region: usize) -> Option<()> {
        let path = format!("/proc/{}/clear_refs", self.world.process_id(region)?);
        // Linux: 5 is for the peak alone.
        std::fs::write(path, "5").ok()
    }

    /// Memory that it has now, bytes.
    pub fn region_resident(&self, region: usize) -> Option<u64> {
        memory_line(self.world.process_id(region)?, "VmRSS:")
    }

    pub async fn end(mut self, devices: &[Client]) -> anyhow::Result<()> {
        for device in devices {
            device.close_async().await?;
        }
        self.world.stop().await;
        Ok(())
    }
}

pub(super) fn schema() -> anyhow::Result<Schema> {
    landfall_model::schema::compile(SDL)
        .map_err(|d| anyhow::anyhow!("the benchmark's schema: {}", d[0].message))
}

/// The most memory that a process has had, bytes.
pub(super) fn memory_of(process: u32) -> Option<u64> {
    memory_line(process, "VmHWM:")
}

fn memory_line(process: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// Until all of them have nothing left to push.
pub(super) async fn drained(devices: &[Client]) -> anyhow::Result<()> {
    for device in devices {
        device.drain_async(WAIT_MAX).await?;
    }
    Ok(())
}

/// Run on a thread of lower priority, which all threads that it starts have from it. Devices are
/// elsewhere in the field; here hundreds of their threads would starve the one that is measured.
pub(super) fn politely<T: Send>(
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let polite = || {
        #[cfg(unix)]
        rustix::process::nice(NICENESS)?;
        work()
    };
    std::thread::scope(|scope| scope.spawn(polite).join().expect("it does not panic"))
}

/// The fields of an item: about 200 bytes of a row, which say little to a compressor.
pub(super) fn item(n: u64) -> [(&'static str, Value); 4] {
    let word = |salt: u64| format!("{:016x}", hash64(&(n ^ (salt << 48)).to_be_bytes()));
    let title = format!("item {}", word(1));
    let note = format!("{} {} {} {}", word(2), word(3), word(4), word(5));
    [
        ("list", Value::text(LIST)),
        ("title", Value::text(title)),
        ("note", Value::text(note)),
        ("amount", Value::Int(n as i64 % 100_000)),
    ]
}

/// Items by number, `per_write` in a transaction.
pub(super) fn write_items(
    client: &Client,
    numbers: std::ops::Range<u64>,
    per_write: usize,
) -> anyhow::Result<()> {
    for first in numbers.clone().step_by(per_write) {
        let mut tx = client.transaction();
        for n in first..numbers.end.min(first + per_write as u64) {
            tx = tx.upsert("Item", &item_id(n), item(n));
        }
        tx.commit()?;
    }
    Ok(())
}

/// Items 0 to `count`, an even part of them by each device, all at once.
pub(super) fn write_in_parts(
    clients: &[Client],
    count: u64,
    per_write: usize,
) -> anyhow::Result<()> {
    let each = count.div_ceil(clients.len().max(1) as u64);
    std::thread::scope(|scope| {
        let write = |(i, client)| {
            let numbers = i * each..count.min((i + 1) * each);
            scope.spawn(move || write_items(client, numbers, per_write))
        };
        let threads: Vec<_> = (0_u64..).zip(clients).map(write).collect();
        threads.into_iter().try_for_each(|t| t.join().expect("a writer does not panic"))
    })
}

pub(super) fn item_id(n: u64) -> String {
    format!("item-{n:08}")
}

/// The number of an item with this id.
pub(super) fn item_number(id: &str) -> Option<u64> {
    id.strip_prefix("item-")?.parse().ok()
}

pub(super) fn wait_for(
    what: &str,
    mut holds: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let end = Instant::now() + WAIT_MAX;
    while !holds()? {
        anyhow::ensure!(Instant::now() < end, "not within {WAIT_MAX:?}: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}
