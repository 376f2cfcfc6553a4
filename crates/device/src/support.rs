//! A bundle for support: what a client and its file look like, without the user's data.
//!
//! Made when a user reports a fault, sent by whatever way the app has, and read by people who must
//! not see what the user wrote. So it has no value of any field, no id, no subject, no tenant, no
//! path and no token. Names of scopes, of which ids are a part, and of the account are hashed
//! with a salt that is drawn for the bundle and not in it: within one bundle the same name has the
//! same hash, and nobody can try names. What a region or a file says in words of its own is not
//! passed on, but for words of a form that only codes have.
//!
//! In it are: names of the schema, counts, sizes, codes, versions, stamps, numbers, cursors.

use crate::client::Client;
use crate::error::Error;
use crate::event::ConnectionState;
use crate::fates::public_code;
use crate::inner::Inner;
use crate::store::inspect::{Inspection, Outcomes, Writes};
use landfall_model::hash::hash128;
use landfall_model::hex;
use landfall_model::id::Scope;
use landfall_model::schema::{EntityType, Home, Schema, ScopeTemplate};
use landfall_model::vector::Vector;
use landfall_sync::device::store::{Held, Subscription};
use landfall_sync::limits;
use serde_json::{Value as Json, json};

/// The form of the document.
const FORMAT: u64 = 1;

/// Bytes of a hash that stand for a name: few enough to read, many enough to tell them apart.
const HASH_BYTES: usize = 6;

impl Client {
    /// A JSON document for support, without the user's data: names of the schema, counts, sizes,
    /// codes, versions, stamps and cursors; scopes and the account as hashes that mean nothing
    /// outside of it. It reads the whole file.
    pub fn support_bundle(&self) -> Result<String, Error> {
        let inner = &self.inner;
        let random = &inner.options.random;
        let salt = [random.next().to_be_bytes(), random.next().to_be_bytes()].concat();
        let inspection = inner.inspect()?;
        let bundle = Bundle { inner, names: Names { salt }, schema: self.schema() };
        Ok(bundle.json(&inspection).to_string())
    }
}

/// Hashes names.
struct Names {
    salt: Vec<u8>,
}

impl Names {
    fn hash(&self, name: &str) -> String {
        let bytes = hash128(&[&self.salt[..], name.as_bytes()].concat());
        hex::encode(&bytes[..HASH_BYTES])
    }
}

struct Bundle<'a> {
    inner: &'a Inner,
    names: Names,
    schema: &'a Schema,
}

impl Bundle<'_> {
    fn json(&self, found: &Inspection) -> Json {
        let options = &self.inner.options;
        let account = &options.account;
        let list = |all: Vec<Json>| Json::Array(all);
        json!({
            "landfall_support": FORMAT,
            "sdk": env!("CARGO_PKG_VERSION"), "wire": limits::WIRE_VERSIONS,
            "at_ms": options.clock.now_ms(),
            "account": self.names.hash(&format!("{}\0{}", account.tenant, account.subject)),
            "types": list(self.schema.types.values().map(|t| type_json(t)).collect()),
            "connection": self.connection(),
            "numbers": numbers(found),
            "outbox": list(found.writes.iter().map(|w| self.writes(w)).collect()),
            "outcomes": list(found.outcomes.iter().map(outcomes).collect()),
            "subscriptions": list(found.subscriptions.iter().map(|s| self.subscription(s)).collect()),
            "lease": found.lease.as_ref().map(|lease| json!({
                "ours": lease.holder == self.inner.holder(), "expires_ms": lease.expires_ms,
                "beat": lease.beat,
            })),
            "file": self.file(found),
        })
    }

    fn connection(&self) -> Json {
        let options = &self.inner.options;
        let history = self.inner.history();
        let states = history.connections().map(|(at_ms, state)| state_json(*at_ms, state));
        let errors = history.errors().map(|(at, code)| json!({ "at_ms": at, "code": code }));
        let network = &options.network;
        let state = self.inner.connection.borrow().clone();
        json!({
            "state": state_word(&state), "regions": options.regions.len(),
            "history": states.collect::<Vec<Json>>(), "errors": errors.collect::<Vec<Json>>(),
            "bytes_up": self.inner.traffic.up(), "bytes_down": self.inner.traffic.down(),
            "ready_ms_max": network.ready_ms_max, "backoff_ms_max": network.backoff_ms_max,
        })
    }

    fn writes(&self, writes: &Writes) -> Json {
        let Writes { kind, state, count, bytes, oldest_ms, newest_ms, damaged } = writes;
        let name = self.schema.entity(*kind).map(|t| t.name.clone());
        let aged = count > damaged;
        json!({
            "type": name, "state": state, "count": count, "bytes": bytes, "damaged": damaged,
            "oldest_ms": aged.then_some(oldest_ms), "newest_ms": aged.then_some(newest_ms),
        })
    }

    fn subscription(&self, (scope, sub, held): &(Scope, Subscription, Held)) -> Json {
        let terms = &sub.terms;
        let pass = sub.pass.as_ref().map(|p| json!({ "start": vector(&p.start) }));
        let provisional = sub.provisional.as_ref().map(|(r, v)| json!([r.0, vector(v)]));
        json!({
            "scope": self.names.hash(scope), "form": self.form(scope),
            "loading": sub.loading, "rows": sub.rows_taken, "rows_total": sub.rows_total,
            "held_rows": held.rows, "held_bytes": held.bytes, "short": sub.short,
            "denied": sub.denied.as_deref().map(word), "cursor": vector(&sub.cursor),
            "pass": pass, "provisional": provisional, "as_of_ms": sub.synced_ms,
            "keep_ms": terms.keep_ms, "rows_max": terms.rows_max, "bytes_max": terms.bytes_max,
            "ttl_ms": terms.ttl_ms, "priority": terms.priority, "asked_ms": sub.asked_ms,
        })
    }

    /// The template that the scope is of, as the schema writes it.
    fn form(&self, scope: &str) -> Option<String> {
        let templates = self.schema.types.values().flat_map(|t| templates(t));
        let mut known = templates.filter(|t| t.could_render(scope));
        known.next().map(|t| t.source.clone())
    }

    fn file(&self, found: &Inspection) -> Json {
        // Tables that the app made for itself may be called anything.
        let ours =
            |name: &str| name.starts_with("_lf_") || self.schema.entity_named(name).is_some();
        let tables = found.tables.iter().filter(|(name, _)| ours(name));
        let tables = tables.map(|(name, rows)| json!({ "table": name, "rows": rows }));
        let others = found.tables.iter().filter(|(name, _)| !ours(name)).count();
        json!({
            "format": found.format, "page_bytes": found.page_bytes, "pages": found.pages,
            "pages_free": found.pages_free, "faults": found.faults.len(),
            "tables": tables.collect::<Vec<Json>>(), "other_tables": others,
            "disk_bytes_max": self.inner.options.disk_bytes_max,
        })
    }
}

fn type_json(kind: &EntityType) -> Json {
    let templates: Vec<&str> = templates(kind).map(|t| &*t.source).collect();
    let fields: Vec<Json> = kind
        .fields
        .iter()
        .map(|f| json!({ "field": f.name, "merge": format!("{:?}", f.merge) }))
        .collect();
    json!({
        "type": kind.name, "strategy": format!("{:?}", kind.strategy), "local": kind.local,
        "scopes": templates, "fields": fields,
    })
}

fn templates(kind: &EntityType) -> impl Iterator<Item = &ScopeTemplate> {
    let home = match &kind.home {
        Home::Scope(template) => Some(template),
        Home::Parent { .. } => None,
    };
    home.into_iter().chain(kind.audiences.iter().map(|a| &a.scope))
}

fn numbers(found: &Inspection) -> Json {
    let Some(meta) = &found.meta else { return Json::Null };
    json!({
        "device": meta.device.to_string(), "last": meta.last_seq, "sent": meta.sent_seq,
        "former_ids": meta.former.len(), "clock_ms": meta.clock.millis(),
        "read_ms": meta.read.millis(), "offset_ms": meta.offset_ms, "order": meta.last_order,
    })
}

fn outcomes(outcomes: &Outcomes) -> Json {
    let Outcomes { what, code, count } = outcomes;
    json!({ "outcome": what, "code": code.as_deref().map(public_code), "count": count })
}

fn vector(vector: &Vector) -> Json {
    let position = |(origin, seq): (landfall_model::vector::Origin, u64)| {
        json!([origin.region.0, origin.incarnation, origin.stream.0, seq])
    };
    Json::Array(vector.iter().map(position).collect())
}

fn state_word(state: &ConnectionState) -> &'static str {
    match state {
        ConnectionState::Offline => "offline",
        ConnectionState::Standby => "standby",
        ConnectionState::Connecting { .. } => "connecting",
        ConnectionState::Online { .. } => "online",
        ConnectionState::Waiting { .. } => "waiting",
    }
}

fn state_json(at_ms: i64, state: &ConnectionState) -> Json {
    let code = match state {
        ConnectionState::Waiting { code, .. } => code.as_deref().map(word),
        _ => None,
    };
    json!({ "at_ms": at_ms, "state": state_word(state), "code": code })
}

/// A region's word, if it has the form of one: it may say anything.
fn word(word: &str) -> &str {
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    let code = |w: &str| w.starts_with("LF") && w[2..].chars().all(|c| c.is_ascii_digit());
    if word.len() <= 40 && (word.chars().all(plain) || code(word)) { word } else { "other" }
}
