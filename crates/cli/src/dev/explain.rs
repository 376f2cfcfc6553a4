//! A row explained: for each field what it holds, whose write that is, and its stamp; and who sees
//! the row, by what the schema says.
//!
//! It tells what one phone knows. What regions have confirmed is read from the merged state in the
//! phone's file; own writes that wait show in the values, and are counted.

use super::store;
use crate::device::show;
use landfall_device::{Client, Dot, EntityKey, Row, SqlValue, Value};
use landfall_model::codec;
use landfall_model::entity::{Entity, Living};
use landfall_model::schema::{Audience, EntityType, Field, Merge, Schema};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Names of phones, by what their devices call themselves.
pub(super) type Names = BTreeMap<String, String>;

/// `None` if the phone has no such row.
pub(super) fn row(
    client: &Client,
    kind: &EntityType,
    id: &str,
    home: &str,
    names: &Names,
) -> anyhow::Result<Option<Json>> {
    let Some(row) = store::row(client, &kind.name, id, home)? else { return Ok(None) };
    let key = (home, kind.id.0, id);
    let state = store::state(client, key)?;
    let entity: Option<Entity> = state.map(|bytes| codec::from_bytes(&bytes)).transpose()?;
    let told = Told { kind, row: &row, entity: entity.as_ref(), names };
    let fields: Vec<Json> = kind.fields.iter().map(|field| told.field(field)).collect();
    let births: Vec<String> = entity.iter().flat_map(Entity::living).map(|d| told.who(d)).collect();
    Ok(Some(json!({
        "type": kind.name, "id": id, "home": home, "fields": fields, "births": births,
        "confirmed": entity.is_some(),
        "waiting": store::waiting(client, key)?,
        "held_by": store::holds(client, key)?,
        "audiences": audiences(client.schema(), kind, id, home, entity.as_ref()),
    })))
}

struct Told<'a> {
    kind: &'a EntityType,
    row: &'a Row,
    entity: Option<&'a Entity>,
    names: &'a Names,
}

impl Told<'_> {
    fn who(&self, dot: Dot) -> String {
        self.name(&dot.device.to_string())
    }

    fn name(&self, device: &str) -> String {
        let short = &device[device.len().saturating_sub(8)..];
        self.names.get(device).cloned().unwrap_or_else(|| format!("device …{short}"))
    }

    fn field(&self, field: &Field) -> Json {
        let value = self.row.get(&field.name).map(|v| show::typed(self.kind, &field.name, v));
        let empty = self.row.get(&field.name).is_none_or(SqlValue::is_null);
        let mut told = json!({ "name": field.name, "type": show::kind(&field.kind),
            "value": value, "null": empty, "rule": rule(field), "by": null });
        let Some(entity) = self.entity else { return told };
        match field.merge {
            Merge::Register => {
                if let Some(write) = entity.register(field.id, &Living) {
                    told["by"] = json!(self.name(&write.stamp.device.to_string()));
                    told["at_ms"] = json!(write.stamp.hlc.millis());
                    told["stamp"] = json!(format!("{:?}", write.stamp.hlc));
                    told["replaced_ms"] = json!(write.replaced.map(|s| s.hlc.millis()));
                    told["confirmed"] = json!(plain(&write.value));
                }
            }
            Merge::Set => {
                let elements: Vec<Json> = entity
                    .set(field.id, &Living)
                    .into_iter()
                    .map(|(value, dots)| {
                        let by: Vec<String> = dots.into_iter().map(|d| self.who(d)).collect();
                        json!({ "value": plain(value), "by": by })
                    })
                    .collect();
                told["elements"] = json!(elements);
            }
            Merge::Counter => told["confirmed"] = json!(entity.counter(field.id, &Living)),
            Merge::Text => {}
        }
        told
    }
}

fn rule(field: &Field) -> &'static str {
    match field.merge {
        Merge::Register if field.name == "id" => "fixed: it names the row",
        Merge::Register => "the newest write wins",
        Merge::Set => "additions and removals meet",
        Merge::Counter => "increments add up",
        Merge::Text => "edits meet, letter by letter",
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// Every audience of the row's type, with the scope that it names now.
fn audiences(
    schema: &Schema,
    kind: &EntityType,
    id: &str,
    home: &str,
    entity: Option<&Entity>,
) -> Vec<Json> {
    let key = EntityKey::new(home, kind.id, id);
    let of = |field| Some(&entity?.register(field, &Living)?.value);
    let names = |list: &[(landfall_device::TypeId, landfall_device::FieldId)]| -> Vec<String> {
        let name = |(t, f): &(_, _)| Some(schema.entity(*t)?.field(*f)?.name.clone());
        list.iter().filter_map(name).collect()
    };
    let told = |(scope, a): (landfall_device::Scope, &Audience)| json!({ "scope": &*scope, "hidden": names(&a.hide), "may_write": names(&a.write) });
    kind.audience_scopes(&key, of).into_iter().map(told).collect()
}
