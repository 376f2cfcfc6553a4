//! What the status page shows and does: the world, the phones of this process, those of terminals
//! by their files, and one phone of the page's own.
//!
//! The page's phone is opened when somebody looks for the first time. It holds every scope that any
//! phone here is seen to use, so that the page can show rows of a schema that it knows nothing of.
//! Phones of terminals are read through files that are theirs: they are opened without a network,
//! which leaves syncing to their own process.

use super::explain::{self, Names};
use super::feed::Feed;
use super::store;
use crate::device::show;
use crate::fault::{self, code};
use crate::world::{WallClock, World};
use landfall_device::{Account, Client, ConnectionState, Coverage, FixedToken, Options};
use landfall_model::schema::{EntityType, Home, Schema};
use landfall_region::world::Clock;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The page's own phone.
pub(super) const PAGE_PHONE: &str = "page";

/// Phones of terminals that are shown, and the scopes that the page's phone holds.
const TERMINALS_MAX: usize = 12;
const SCOPES_MAX: usize = 100;

/// A file younger than this may still be in the making by its own process.
const FILE_AGE_MIN: Duration = Duration::from_secs(1);

/// Whose a phone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// At work in this process.
    Fleet,
    Page,
    /// Another process's, such as `landfall device`.
    Terminal,
}

#[derive(Debug, Clone)]
struct Phone {
    name: String,
    client: Client,
    owner: Owner,
}

#[derive(Debug)]
pub(super) struct Board {
    pub world: Arc<tokio::sync::Mutex<World>>,
    pub feed: Feed,
    schema: Arc<Schema>,
    dir: PathBuf,
    phones: Mutex<Vec<Phone>>,
}

impl Board {
    pub fn new(
        world: Arc<tokio::sync::Mutex<World>>,
        schema: Arc<Schema>,
        dir: &Path,
        fleet: &[(String, Client)],
    ) -> Self {
        let feed = Feed::default();
        let phone = |(name, client): &(String, Client)| {
            feed.follow(name.clone(), client, false);
            Phone { name: name.clone(), client: client.clone(), owner: Owner::Fleet }
        };
        let phones = Mutex::new(fleet.iter().map(phone).collect());
        Self { world, feed, schema, dir: dir.to_owned(), phones }
    }

    fn phones(&self) -> Vec<Phone> {
        self.phones.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, phone: Phone) {
        self.phones.lock().unwrap_or_else(PoisonError::into_inner).push(phone);
    }

    /// Open the phones that are not here yet, and have the page's hold what the others use.
    pub async fn look_around(&self) {
        if !self.phones().iter().any(|p| p.owner == Owner::Page) {
            match self.world.lock().await.device(PAGE_PHONE, 0) {
                Ok(client) => {
                    self.feed.follow(PAGE_PHONE.to_owned(), &client, true);
                    let name = PAGE_PHONE.to_owned();
                    self.add(Phone { name, client, owner: Owner::Page });
                }
                Err(error) => tracing::warn!(%error, "the page's phone cannot be opened"),
            }
        }
        if let Err(error) = tokio::task::block_in_place(|| self.find_terminals()) {
            tracing::debug!(%error, "phones of terminals cannot be read");
        }
        if let Err(error) = tokio::task::block_in_place(|| self.hold_scopes()) {
            tracing::debug!(%error, "the page's phone cannot subscribe");
        }
    }

    fn find_terminals(&self) -> anyhow::Result<()> {
        let known: BTreeSet<String> = self.phones().into_iter().map(|p| p.name).collect();
        let mut room = TERMINALS_MAX
            .saturating_sub(self.phones().iter().filter(|p| p.owner == Owner::Terminal).count());
        for entry in std::fs::read_dir(self.dir.join("devices"))?.flatten() {
            let path = entry.path();
            let is_file = path.extension().is_some_and(|e| e == "db");
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            // Phones at work have left their files behind, when they were more.
            let ours = name == PAGE_PHONE || name.starts_with("phone-");
            let age = entry.metadata()?.created().ok().and_then(|at| at.elapsed().ok());
            let young = age.is_some_and(|age| age < FILE_AGE_MIN);
            if !is_file || ours || young || known.contains(&name) || room == 0 {
                continue;
            }
            let account = Account { tenant: String::new(), subject: name.clone() };
            let mut options = Options::new(&path, self.schema.clone(), account);
            options.tokens = Arc::new(FixedToken::default());
            options.network.start_offline = true;
            if let Ok(client) = Client::open(options) {
                self.add(Phone { name, client, owner: Owner::Terminal });
                room -= 1;
            }
        }
        Ok(())
    }

    fn hold_scopes(&self) -> anyhow::Result<()> {
        let phones = self.phones();
        let Some(page) = phones.iter().find(|p| p.owner == Owner::Page) else { return Ok(()) };
        let held: BTreeSet<String> =
            page.client.subscriptions()?.iter().map(|s| s.scope.to_string()).collect();
        let mut wanted = BTreeSet::new();
        for kind in self.schema.types.values().filter(|t| !t.local) {
            if let Home::Scope(template) = &kind.home
                && template.fields().next().is_none()
            {
                wanted.insert(template.source.clone());
            }
            for phone in &phones {
                wanted.extend(store::homes(&phone.client, &kind.name).unwrap_or_default());
            }
        }
        let room = SCOPES_MAX.saturating_sub(held.len());
        for scope in wanted.difference(&held).filter(|s| !s.starts_with("lf_")).take(room) {
            page.client.subscribe(scope)?;
        }
        Ok(())
    }

    /// Let go of the files of phones that are not the fleet's. False if one could not be closed in
    /// order.
    pub fn close(&self) -> bool {
        let mut clean = true;
        for phone in self.phones().iter().filter(|p| p.owner != Owner::Fleet) {
            if let Err(error) = phone.client.close() {
                tracing::warn!(phone = phone.name, %error, "a phone did not close cleanly");
                clean = false;
            }
        }
        clean
    }

    fn phone(&self, name: &str) -> anyhow::Result<Phone> {
        let unknown = || fault::new(code::UNKNOWN_NAME, format!("there is no phone `{name}`"));
        self.phones().into_iter().find(|p| p.name == name).ok_or_else(unknown)
    }

    fn kind(&self, name: &str) -> anyhow::Result<Arc<EntityType>> {
        let unknown = || fault::new(code::UNKNOWN_NAME, format!("there is no type `{name}`"));
        self.schema.entity_named(name).cloned().ok_or_else(unknown)
    }

    /// All that changes, for a page that asks again and again.
    pub async fn figures(&self) -> Json {
        self.look_around().await;
        let world = self.world.lock().await;
        let (mut regions, mut links) = (Vec::new(), Vec::new());
        for i in 0..world.len() {
            let status = world.status(i).await;
            for j in (0..world.len()).filter(|j| *j != i) {
                let peer =
                    status.as_ref().and_then(|s| s.peers.iter().find(|p| p.name == world.name(j)));
                links.push(json!({
                    "from": i, "to": j, "cut": world.link_cut(i, j),
                    "delay_ms": world.one_way(i, j).as_millis() as u64,
                    "connected": peer.is_some_and(|p| p.connected),
                    "behind_entries": peer.map(|p| p.behind_entries),
                }));
            }
            regions.push(json!({ "name": world.name(i), "url": world.url(i), "status": status,
                "running": world.is_running(i), "front_cut": world.front_cut(i) }));
        }
        let lag = world.lag().await;
        let bytes = (world.link_bytes(), world.front_bytes());
        drop(world);
        let phones = tokio::task::block_in_place(|| {
            self.phones().iter().map(|p| self.phone_figures(p)).collect::<Vec<_>>()
        });
        json!({ "regions": regions, "links": links, "lag": lag, "bytes_between_regions": bytes.0,
            "bytes_with_devices": bytes.1, "phones": phones, "feed": self.feed.lines() })
    }

    fn phone_figures(&self, phone: &Phone) -> Json {
        let Phone { name, client, owner } = phone;
        let state = client.connection();
        let online = matches!(state, ConnectionState::Online { .. });
        let (word, connection) = match owner {
            Owner::Terminal => {
                let until = store::synced_until_ms(client).unwrap_or(0);
                match until > WallClock.now_ms() {
                    true => ("online", "synced by its own process".to_owned()),
                    false => ("offline", "its process has ended; its file stays".to_owned()),
                }
            }
            _ => {
                let word = match state {
                    ConnectionState::Online { .. } => "online",
                    ConnectionState::Offline => "offline",
                    _ => "looking",
                };
                (word, crate::device::command::connection(&state))
            }
        };
        let outbox = client.outbox_status().unwrap_or_default();
        let outcomes = client.outcomes().unwrap_or_default();
        let told =
            |o: &landfall_device::WriteOutcome| show::outcome(&self.schema, &o.key, &o.outcome);
        let scopes = client.subscriptions().unwrap_or_default();
        let complete = scopes.iter().filter(|s| s.coverage == Coverage::Complete).count();
        let types = self.schema.types.values();
        let rows: i64 = types.filter_map(|t| store::count(client, &t.name).ok()).sum();
        let owner = match owner {
            Owner::Fleet => "at work here",
            Owner::Page => "this page's own",
            Owner::Terminal => "in a terminal",
        };
        json!({ "name": name, "owner": owner, "connection": connection, "state": word,
            "online": online, "switchable": phone.owner != Owner::Terminal,
            "pending": outbox.pending, "accepted": outbox.accepted,
            "scopes": scopes.len(), "complete": complete, "rows": rows,
            "outcomes": outcomes.len(),
            "outcomes_last": outcomes.iter().rev().take(8).map(told).collect::<Vec<_>>() })
    }

    /// What does not change: types, fields, scopes.
    pub fn schema(&self) -> Json {
        let types = self.schema.types.values().filter(|t| !t.local);
        let told = |kind: &Arc<EntityType>| {
            let scope = match &kind.home {
                Home::Scope(template) => template.source.clone(),
                Home::Parent { kind, .. } => {
                    let parent = self.schema.entity(*kind).map_or("parent", |k| &k.name);
                    format!("with its {parent}")
                }
            };
            let fields: Vec<Json> = kind
                .fields
                .iter()
                .map(|f| {
                    json!({ "name": f.name, "type": show::kind(&f.kind),
                    "required": f.required, "merge": format!("{:?}", f.merge) })
                })
                .collect();
            json!({ "name": kind.name, "scope": scope, "fields": fields,
                "example": super::next::words(&self.schema, kind) })
        };
        json!({ "types": types.map(told).collect::<Vec<_>>() })
    }

    pub fn rows(&self, asked: &BTreeMap<String, String>) -> anyhow::Result<Json> {
        let of = |name: &str| asked.get(name).map_or("", String::as_str);
        let (phone, kind) = (self.phone(of("phone"))?, self.kind(of("type"))?);
        let mut rows = store::rows(&phone.client, &kind.name, of("id"), of("after"))?;
        let more = rows.len() as i64 > store::ROWS_MAX;
        rows.truncate(store::ROWS_MAX as usize);
        let cells = |row: &landfall_device::Row| {
            let cell = |f: &landfall_model::schema::Field| {
                let value = row.get(&f.name).filter(|v| !v.is_null());
                value.map(|v| show::cut(&show::typed(&kind, &f.name, v)))
            };
            json!({ "id": row.text("id"), "home": row.text("_home"),
                "pending": row.integer("_pending").unwrap_or(0) != 0,
                "cells": kind.fields.iter().map(cell).collect::<Vec<_>>() })
        };
        let columns: Vec<&str> = kind.fields.iter().map(|f| &*f.name).collect();
        let count = store::count(&phone.client, &kind.name)?;
        Ok(json!({ "columns": columns, "rows": rows.iter().map(cells).collect::<Vec<_>>(),
            "more": more, "count": count }))
    }

    pub fn row(&self, asked: &BTreeMap<String, String>) -> anyhow::Result<Option<Json>> {
        let of = |name: &str| asked.get(name).map_or("", String::as_str);
        let (phone, kind) = (self.phone(of("phone"))?, self.kind(of("type"))?);
        let mut names = Names::new();
        let mut on = Vec::new();
        for p in self.phones() {
            names.insert(store::device(&p.client)?, p.name.clone());
            if store::row(&p.client, &kind.name, of("id"), of("home"))?.is_some() {
                on.push(p.name);
            }
        }
        let told = explain::row(&phone.client, &kind, of("id"), of("home"), &names)?;
        Ok(told.map(|mut told| {
            told["on_phones"] = json!(on);
            told
        }))
    }

    pub fn switch(&self, name: &str, online: bool) -> anyhow::Result<String> {
        let phone = self.phone(name)?;
        if phone.owner == Owner::Terminal {
            let message = format!("`{name}` belongs to a terminal: type `offline` at its prompt");
            return Err(fault::new(code::ARGUMENTS, message));
        }
        if online {
            phone.client.go_online()
        } else {
            phone.client.go_offline()
        }
        Ok(format!("{name} is taken {}", if online { "online" } else { "offline" }))
    }

    pub fn write(&self, name: &str, line: &str) -> anyhow::Result<String> {
        let phone = self.phone(name)?;
        if phone.owner == Owner::Terminal {
            let message = format!("`{name}` belongs to a terminal: write there");
            return Err(fault::new(code::ARGUMENTS, message));
        }
        let words = shlex::split(line)
            .ok_or_else(|| fault::new(code::ARGUMENTS, "a quotation mark is missing"))?;
        let [kind, id, fields @ ..] = words.as_slice() else {
            return Err(fault::new(code::ARGUMENTS, "name a type and an id"));
        };
        let wrote = crate::device::put(&phone.client, kind, id, fields)?;
        let subscribed = phone.client.subscriptions()?;
        for key in &wrote.keys {
            if !subscribed.iter().any(|s| s.scope == key.home) {
                phone.client.subscribe(&key.home)?;
            }
        }
        Ok(format!("{name} wrote {kind} {id}"))
    }
}
