//! The world of a round: regions and devices, each a process, and a proxy of its own on every way
//! between two of them. Here faults begin and end.

use super::phone::{Config, Status};
use super::plan::{Fault, Names, Node, Place, Size, Trouble, Wire};
use super::process::{Device, Pause, terminate};
use crate::world::{Wan, World, WorldOptions};
use anyhow::Context;
use landfall_chaos::{Profile, Proxy, Way};
use landfall_sim::app::{App, SOURCE};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Stage {
    pub world: World,
    pub devices: Vec<Player>,
    /// What device `.0` uses to reach region `.1`.
    wires: BTreeMap<(usize, usize), Proxy>,
    pauses: BTreeMap<Node, Pause>,
    regions: Vec<String>,
    names: Vec<String>,
    size: Size,
    /// Processes that did not do what was asked, in words.
    misbehaved: Vec<String>,
}

/// A device: its place, and its process while it runs.
#[derive(Debug)]
pub(crate) struct Player {
    pub config: Config,
    dir: PathBuf,
    /// Its lives differ in what they do.
    seed: u64,
    process: Option<Device>,
}

impl Player {
    fn start(&mut self) -> anyhow::Result<()> {
        let path = self.dir.join("device.json");
        self.process = Some(Device::start(&self.config, &path, &self.dir.join("log"))?);
        Ok(())
    }

    /// Start the next life.
    fn restart(&mut self) -> anyhow::Result<()> {
        self.config.life += 1;
        self.config.seed = self.seed ^ (self.config.life << 32);
        self.start()
    }
}

/// Of all that a drill makes of a round.
pub(crate) const HISTORY: &str = "history.ndjson";

impl Stage {
    pub(crate) async fn start(
        seed: u64,
        size: Size,
        pause_ms: u64,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        let app = App::new();
        let world = World::start(WorldOptions {
            schema: app.schema.clone(),
            regions: size.regions,
            dir: dir.to_owned(),
            wan: Wan::None,
            port: 0,
            processes: Some(SOURCE.to_owned()),
            logs: true,
        })
        .await?;
        let regions: Vec<String> = (0..size.regions).map(|i| world.name(i).to_owned()).collect();
        let mut stage = Self {
            world,
            devices: Vec::new(),
            wires: BTreeMap::new(),
            pauses: BTreeMap::new(),
            regions,
            names: Vec::new(),
            size,
            misbehaved: Vec::new(),
        };
        let subjects = cast(&app, size.devices);
        for (device, subject) in subjects.iter().enumerate() {
            stage.names.push(format!("{subject}/{device}"));
            let wires = stage.wire(device).await?;
            let player = stage.player(&app, seed, device, subject, wires, pause_ms, dir)?;
            stage.devices.push(player);
        }
        for player in &mut stage.devices {
            player.start()?;
        }
        Ok(stage)
    }

    pub(crate) fn names(&self) -> Names<'_> {
        Names { regions: &self.regions, devices: &self.names }
    }

    /// Proxies between a device and all regions; where they are, the nearest region first.
    async fn wire(&mut self, device: usize) -> anyhow::Result<Vec<(String, String)>> {
        let mut urls = Vec::new();
        for nth in 0..self.size.regions {
            let region = (device + nth) % self.size.regions;
            let target = self.address(region);
            let proxy = Proxy::start(0, target, Profile::PERFECT).await?;
            urls.push((self.regions[region].clone(), format!("http://{}", proxy.address())));
            self.wires.insert((device, region), proxy);
        }
        Ok(urls)
    }

    fn address(&self, region: usize) -> SocketAddr {
        // Of a region that is down nobody asks; the port of a discard service stands for nowhere.
        self.world.straight_address(region).unwrap_or_else(|| ([127, 0, 0, 1], 9).into())
    }

    #[expect(clippy::too_many_arguments, reason = "all that a device begins with, once")]
    fn player(
        &self,
        app: &App,
        seed: u64,
        device: usize,
        subject: &str,
        regions: Vec<(String, String)>,
        pause_ms: u64,
        dir: &Path,
    ) -> anyhow::Result<Player> {
        let dir = dir.join(format!("device-{device}"));
        std::fs::create_dir_all(&dir)?;
        let dir = std::path::absolute(dir)?;
        let account = app.accounts.get(subject).context("an account of the app")?;
        let names = |all: &[landfall_device::Scope]| {
            all.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let (scopes, audiences) = (names(&account.author.scopes), names(&account.author.audiences));
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let audiences: Vec<&str> = audiences.iter().map(String::as_str).collect();
        let seed = landfall_model::hash::hash64(format!("{seed} device {device}").as_bytes());
        let config = Config {
            subject: subject.to_owned(),
            file: dir.join("device.db"),
            history: dir.join(HISTORY),
            token: self.world.token(subject, &scopes, &audiences)?,
            regions,
            wants: names(&account.wants),
            seed,
            life: 0,
            pause_ms,
            quiet: false,
        };
        Ok(Player { config, dir, seed, process: None })
    }

    // ---- faults ----

    pub(crate) async fn begin(&mut self, fault: Fault) -> anyhow::Result<()> {
        if let Fault::Kill(node) | Fault::End(node) = fault {
            // Before it is hidden by an end that was asked for.
            self.note_ended(node);
        }
        match fault {
            Fault::Kill(Node::Region(region)) => self.world.kill_region(region).await,
            Fault::Kill(Node::Device(device)) => drop(self.devices[device].process.take()),
            Fault::Pause(node) => {
                if let Some(process) = self.process(node) {
                    self.pauses.insert(node, Pause::begin(process)?);
                }
            }
            Fault::End(Node::Region(region)) => {
                self.world.process_id(region).map(terminate).transpose()?;
            }
            Fault::End(Node::Device(device)) => {
                if let Some(process) = &mut self.devices[device].process {
                    process.ask_to_end();
                }
            }
            Fault::Network(place, trouble) => self.trouble(place, trouble),
        }
        Ok(())
    }

    pub(crate) async fn end(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Kill(Node::Region(region)) => self.start_region(region).await?,
            Fault::Kill(Node::Device(device)) => self.devices[device].restart()?,
            Fault::Pause(node) => drop(self.pauses.remove(&node)),
            Fault::End(Node::Region(region)) => {
                if !self.world.stop_region(region).await {
                    self.misbehaved.push(format!("{} did not end in order", self.regions[region]));
                }
                self.start_region(region).await?;
            }
            Fault::End(Node::Device(device)) => {
                if let Some(process) = self.devices[device].process.take()
                    && !process.end().await
                {
                    self.misbehaved.push(format!("{} did not end in order", self.names[device]));
                }
                self.devices[device].restart()?;
            }
            Fault::Network(place, trouble) => self.mend(place, trouble),
        }
        Ok(())
    }

    async fn start_region(&mut self, region: usize) -> anyhow::Result<()> {
        self.world.start_region(region).await?;
        let address = self.address(region);
        for ((_, to), proxy) in &self.wires {
            if *to == region {
                proxy.set_target(address);
            }
        }
        Ok(())
    }

    fn process(&self, node: Node) -> Option<u32> {
        match node {
            Node::Region(region) => self.world.process_id(region),
            Node::Device(device) => self.devices[device].process.as_ref().map(Device::id),
        }
    }

    fn proxies(&self, place: Place) -> impl Iterator<Item = &Proxy> {
        place.wires(self.size).into_iter().map(|wire| match wire {
            Wire::Peers(from, to) => self.world.link(from, to),
            Wire::Phone(device, region) => &self.wires[&(device, region)],
        })
    }

    fn trouble(&self, place: Place, trouble: Trouble) {
        for proxy in self.proxies(place) {
            match trouble {
                Trouble::Cut => proxy.set_way(Way::Cut),
                Trouble::BlackHole { .. } => proxy.set_way(Way::Swallowing),
                Trouble::OneWay { up: true, .. } => proxy.set_way(Way::SwallowingUp),
                Trouble::OneWay { up: false, .. } => proxy.set_way(Way::SwallowingDown),
                Trouble::Slow { delay, jitter } => {
                    proxy.set_profile(Profile { jitter, ..Profile::delayed(delay) });
                }
                Trouble::Narrow { bytes_per_second } => {
                    let width = Some(bytes_per_second);
                    proxy.set_profile(Profile { up: width, down: width, ..Profile::PERFECT });
                }
                Trouble::Reset => proxy.reset(),
            }
        }
    }

    fn mend(&self, place: Place, trouble: Trouble) {
        for proxy in self.proxies(place) {
            if let Trouble::BlackHole { resets: true } | Trouble::OneWay { resets: true, .. } =
                trouble
            {
                proxy.reset();
            }
            proxy.set_profile(Profile::PERFECT);
            proxy.set_way(Way::Open);
        }
    }

    // ---- afterwards ----

    /// Devices write no more.
    pub(crate) fn be_quiet(&mut self) {
        for player in &mut self.devices {
            player.config.quiet = true;
            player.process.as_mut().map(Device::be_quiet).unwrap_or_default();
        }
    }

    fn note_ended(&mut self, node: Node) {
        let how = match node {
            Node::Region(region) => self.world.process_ended(region),
            Node::Device(device) => self.devices[device].process.as_mut().and_then(Device::ended),
        };
        if let Some(how) = how {
            self.misbehaved.push(format!("{} ended by itself: {how}", self.names().node(node)));
        }
    }

    /// Processes that did not do what they were asked to, or ended though nobody asked them to.
    pub(crate) fn misbehaved(&mut self) -> Vec<String> {
        (0..self.size.devices).for_each(|device| self.note_ended(Node::Device(device)));
        (0..self.size.regions).for_each(|region| self.note_ended(Node::Region(region)));
        std::mem::take(&mut self.misbehaved)
    }

    /// How far each device is; `None` of one that does not answer.
    pub(crate) async fn status(&mut self) -> Vec<(String, Option<Status>)> {
        let mut all = Vec::new();
        for (player, name) in self.devices.iter_mut().zip(&self.names) {
            let status = match &mut player.process {
                Some(process) => process.status().await,
                None => None,
            };
            all.push((name.clone(), status));
        }
        all
    }

    /// End everything in order, devices first. Those that did not, in words.
    pub(crate) async fn stop(&mut self) -> Vec<String> {
        let mut wrong = self.misbehaved();
        self.pauses.clear();
        self.devices.iter_mut().filter_map(|p| p.process.as_mut()).for_each(Device::ask_to_end);
        for (player, name) in self.devices.iter_mut().zip(&self.names) {
            if let Some(process) = player.process.take()
                && !process.end().await
            {
                wrong.push(format!("{name} did not end in order"));
            }
        }
        if !self.world.stop().await {
            wrong.push("a region did not end in order".to_owned());
        }
        wrong
    }
}

/// Accounts of so many devices: somebody has to create orders, and all are played in turn.
fn cast(app: &App, devices: usize) -> Vec<String> {
    let mut subjects: Vec<String> = app.accounts.keys().map(|name| name.to_string()).collect();
    subjects.sort_by_key(|name| !name.starts_with("office"));
    subjects.iter().cycle().take(devices).cloned().collect()
}
