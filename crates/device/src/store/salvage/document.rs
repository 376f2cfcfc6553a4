//! What was salvaged, as a document that can be carried to another file: lines of JSON.
//!
//! The first line says what the document is and what was not read, each of the others is a write,
//! a number to be filled, or an outcome, and the last one says how many there were: a document that
//! was cut off is not taken for a whole one. It has the user's data in it, as the file had.

use super::{Damage, Place, Salvaged, own_op, records::Column};
use crate::store::{ops, outcomes, rows};
use landfall_model::hex;
use landfall_model::id::{DeviceId, Dot, EntityKey, TypeId};
use landfall_sync::device::store::{Outcome, OwnOp};
use serde_json::{Value as Json, json};
use std::io::{BufRead, Write};

/// The form of the lines; a reader refuses one that it does not know.
const FORMAT: u64 = 1;

/// Why something is no rescue document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("it cannot be read")]
    Io(#[from] std::io::Error),
    #[error("it is no rescue document")]
    Foreign,
    #[error("it was written by a later version")]
    Newer,
    #[error("line {0} is not as it was written")]
    Line(usize),
    #[error("its end is missing")]
    CutOff,
}

/// Write a document.
pub fn write(salvaged: &Salvaged, out: &mut dyn Write) -> std::io::Result<()> {
    let account = salvaged.account.as_ref();
    let device =
        salvaged.device.map(|(device, sent)| json!({ "id": hex::encode(&device.0), "sent": sent }));
    let head = json!({
        "landfall_rescue": FORMAT, "device": device,
        "account": account.map(|(tenant, subject)| json!({ "tenant": tenant, "subject": subject })),
        "damage": damage_json(&salvaged.damage),
    });
    writeln!(out, "{head}")?;
    for (name, all) in [("write", &salvaged.ops), ("void", &salvaged.voids)] {
        for own in all {
            writeln!(out, "{}", json!({ name: own_json(own) }))?;
        }
    }
    for outcome in &salvaged.outcomes {
        writeln!(out, "{}", json!({ "outcome": outcome_json(outcome) }))?;
    }
    let count = salvaged.ops.len() + salvaged.voids.len() + salvaged.outcomes.len();
    writeln!(out, "{}", json!({ "end": count }))
}

/// Read a document.
pub fn read(from: &mut dyn BufRead) -> Result<Salvaged, DocumentError> {
    let mut lines = from.lines().enumerate();
    let Some((_, first)) = lines.next() else { return Err(DocumentError::Foreign) };
    let head: Json = serde_json::from_str(&first?).map_err(|_| DocumentError::Foreign)?;
    match head["landfall_rescue"].as_u64() {
        Some(FORMAT) => {}
        Some(_) => return Err(DocumentError::Newer),
        None => return Err(DocumentError::Foreign),
    }
    let text = |json: &Json| json.as_str().map(str::to_owned);
    let account = text(&head["account"]["tenant"]).zip(text(&head["account"]["subject"]));
    let device = device_of(&head["device"]["id"]).zip(head["device"]["sent"].as_u64());
    let damage = damage_of(&head["damage"]).ok_or(DocumentError::Line(1))?;
    let mut salvaged = Salvaged { account, device, damage, ..Salvaged::default() };
    for (at, line) in lines {
        let wrong = || DocumentError::Line(at + 1);
        let line: Json = serde_json::from_str(&line?).map_err(|_| wrong())?;
        if let Some(told) = line["end"].as_u64() {
            // The first line counts for none.
            let count = at as u64 - 1;
            return if told == count { Ok(salvaged) } else { Err(DocumentError::CutOff) };
        }
        if let Some(write) = line.get("write") {
            salvaged.ops.push(own_of(write).ok_or_else(wrong)?);
        } else if let Some(void) = line.get("void") {
            salvaged.voids.push(own_of(void).ok_or_else(wrong)?);
        } else {
            salvaged.outcomes.push(outcome_of(&line["outcome"]).ok_or_else(wrong)?);
        }
    }
    Err(DocumentError::CutOff)
}

fn own_json(own: &OwnOp) -> Json {
    let (state, about) = ops::state_columns(&own.state);
    let dot = own.sealed.op.dot;
    json!({
        "device": hex::encode(&dot.device.0), "seq": dot.seq, "order": own.order, "state": state,
        "about": about.map(|about| hex::encode(&about)), "shows": own.overlay,
        "payload": hex::encode(&own.sealed.payload), "print": hex::encode(&own.sealed.fingerprint.0),
    })
}

fn own_of(json: &Json) -> Option<OwnOp> {
    let about = match &json["about"] {
        Json::Null => Column::Null,
        about => Column::Blob(bytes(about)?),
    };
    let (order, state) = (rows::bits(json["order"].as_u64()?), json["state"].as_i64()?);
    let shows = i64::from(json["shows"].as_bool()?);
    let place: Place<'_> = (dot_of(json)?, order, state, &about, shows);
    let payload = bytes(&json["payload"])?;
    let own = own_op(place, None, &payload, Some(&Column::Blob(bytes(&json["print"])?)))?;
    Some(own)
}

fn outcome_json((dot, key, outcome): &(Dot, EntityKey, Outcome)) -> Json {
    let (what, _, about) = outcomes::columns(outcome);
    json!({
        "device": hex::encode(&dot.device.0), "seq": dot.seq, "home": &*key.home, "kind": key.kind.0,
        "id": &*key.id, "what": what, "about": about.map(|about| hex::encode(&about)),
    })
}

fn outcome_of(json: &Json) -> Option<(Dot, EntityKey, Outcome)> {
    let about = match &json["about"] {
        Json::Null => None,
        about => Some(bytes(about)?),
    };
    let outcome = outcomes::outcome_of(json["what"].as_i64()?, about.as_deref()).ok()?;
    let kind = TypeId(json["kind"].as_u64()?.try_into().ok()?);
    let key = EntityKey::new(json["home"].as_str()?, kind, json["id"].as_str()?);
    Some((dot_of(json)?, key, outcome))
}

fn damage_json(damage: &Damage) -> Json {
    let lost = damage.lost.iter();
    let lost = lost.map(|d| json!({ "device": hex::encode(&d.device.0), "seq": d.seq }));
    json!({
        "lost": lost.collect::<Vec<Json>>(), "rows": damage.rows,
        "pages_missing": damage.pages_missing, "pages_unread": damage.pages_unread,
        "frames_unread": damage.frames_unread, "header": damage.header,
    })
}

fn damage_of(json: &Json) -> Option<Damage> {
    Some(Damage {
        lost: json["lost"].as_array()?.iter().map(dot_of).collect::<Option<_>>()?,
        rows: json["rows"].as_u64()?,
        pages_missing: json["pages_missing"].as_u64()?,
        pages_unread: json["pages_unread"].as_u64()?,
        frames_unread: json["frames_unread"].as_u64()?,
        header: json["header"].as_bool()?,
    })
}

fn dot_of(json: &Json) -> Option<Dot> {
    Some(Dot::new(device_of(&json["device"])?, json["seq"].as_u64()?))
}

fn device_of(json: &Json) -> Option<DeviceId> {
    Some(DeviceId(bytes(json)?.try_into().ok()?))
}

fn bytes(json: &Json) -> Option<Vec<u8>> {
    hex::decode(json.as_str()?)
}
