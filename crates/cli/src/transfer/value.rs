//! Values as files spell them: what a person would write, exact, and the same both ways.
//!
//! | field | in JSON | in a cell of CSV |
//! |---|---|---|
//! | ID, String, Text, enums, Blob, Date, LocalTime, ZonedDateTime, references | a string | the text |
//! | Int, Int64, Counter, Float, Boolean | a number, `true`, `false` | the same |
//! | Decimal | a string: `"12.50"` | `12.50` |
//! | Instant | a string: `"2026-01-31T10:30:00Z"` | the text |
//! | Bytes | a string of hexadecimal digits | the digits |
//! | JSON | a string with the JSON text, so that it stays as it was written | the JSON text |
//! | value objects, lists, sets | objects and arrays of the above | the JSON text |
//!
//! A float that is not finite is a string, `"Infinity"` or `"-Infinity"`.

use landfall_device::{Schema, SqlValue, Value};
use landfall_model::hex;
use landfall_model::schema::{Field, FieldKind, Merge};
use serde_json::{Map, Value as Json};

/// What a field holds as a whole: of a set the schema names the element.
pub(crate) fn whole(field: &Field) -> FieldKind {
    match (field.merge, &field.kind) {
        (Merge::Set, FieldKind::List(_)) => field.kind.clone(),
        (Merge::Set, element) => FieldKind::List(Box::new(element.clone())),
        (_, kind) => kind.clone(),
    }
}

/// The model's value; the error says what to write instead.
pub(super) fn read(schema: &Schema, kind: &FieldKind, json: &Json) -> Result<Value, String> {
    match (kind, json) {
        (_, Json::Null) => Ok(Value::Null),
        (FieldKind::Object(name), Json::Object(members)) => object(schema, name, members),
        (FieldKind::List(element), Json::Array(items)) => {
            let items = items.iter().map(|item| match read(schema, element, item)? {
                Value::Null => Err("an element is null; leave it out".to_owned()),
                value => Ok(value),
            });
            Ok(Value::List(items.collect::<Result<_, _>>()?))
        }
        (FieldKind::Json, Json::String(text)) => {
            match serde_json::from_str::<serde::de::IgnoredAny>(text) {
                Ok(_) => Ok(Value::text(text)),
                Err(_) => {
                    Err("is a text that is no JSON; a string in JSON is \"\\\"like this\\\"\""
                        .into())
                }
            }
        }
        (FieldKind::Json, other) => Ok(Value::text(other.to_string())),
        (FieldKind::Int | FieldKind::Int64 | FieldKind::Counter, Json::Number(n)) => {
            n.as_i64().map(Value::Int).ok_or_else(|| "is a whole number of at most 64 bits".into())
        }
        (FieldKind::Float, Json::Number(n)) => {
            n.as_f64().map(Value::from).ok_or_else(|| "is a number".into())
        }
        (FieldKind::Decimal { scale, .. }, Json::Number(n)) => decimal(&n.to_string(), *scale),
        (FieldKind::Boolean, Json::Bool(b)) => Ok(Value::Bool(*b)),
        (kind, Json::String(text)) => read_text(kind, text),
        (kind, _) => Err(wanted(kind)),
    }
}

fn read_text(kind: &FieldKind, text: &str) -> Result<Value, String> {
    let wrong = || wanted(kind);
    match kind {
        FieldKind::Id
        | FieldKind::String
        | FieldKind::Text
        | FieldKind::Enum(_)
        | FieldKind::Blob
        | FieldKind::ZonedDateTime
        | FieldKind::Ref(_) => Ok(Value::text(text)),
        FieldKind::Date => {
            text.parse::<jiff::civil::Date>().map(|_| Value::text(text)).map_err(|_| wrong())
        }
        FieldKind::LocalTime => {
            text.parse::<jiff::civil::Time>().map(|_| Value::text(text)).map_err(|_| wrong())
        }
        FieldKind::Instant => {
            let at: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
            Ok(Value::Int(at.as_microsecond()))
        }
        FieldKind::Decimal { scale, .. } => decimal(text, *scale),
        FieldKind::Bytes => hex::decode(text).map(Value::Bytes).ok_or_else(wrong),
        FieldKind::Float => match text {
            "Infinity" => Ok(Value::from(f64::INFINITY)),
            "-Infinity" => Ok(Value::from(f64::NEG_INFINITY)),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

fn object(schema: &Schema, name: &str, members: &Map<String, Json>) -> Result<Value, String> {
    let declared = schema.values.get(name).ok_or("is of a type that is not there")?;
    let member = |(name, json): (&String, &Json)| {
        let field = declared.fields.iter().find(|f| f.name == *name).ok_or_else(|| {
            let known: Vec<&str> = declared.fields.iter().map(|f| &*f.name).collect();
            format!("has no member `{name}`; it has {}", known.join(", "))
        })?;
        let value = read(schema, &field.kind, json).map_err(|e| format!("member `{name}` {e}"))?;
        Ok((field.id, value))
    };
    let members: Vec<_> = members.iter().map(member).collect::<Result<_, String>>()?;
    Ok(Value::object(members))
}

/// What a value of a kind looks like.
pub(crate) fn wanted(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Int | FieldKind::Int64 | FieldKind::Counter => "is a whole number, like 12",
        FieldKind::Float => "is a number, like 1.5",
        FieldKind::Boolean => "is true or false",
        FieldKind::Decimal { .. } => "is an exact number, like \"12.50\"",
        FieldKind::Instant => "is a moment, like \"2026-01-31T10:30:00Z\"",
        FieldKind::Date => "is a day, like \"2026-01-31\"",
        FieldKind::LocalTime => "is a time of day, like \"10:30:00\"",
        FieldKind::Bytes => "is bytes: pairs of hexadecimal digits, like \"0aff\"",
        FieldKind::Object(_) => "is an object, like {\"name\":\"value\"}",
        FieldKind::List(_) => "is a list, like [\"a\",\"b\"]",
        FieldKind::ZonedDateTime => {
            "is a time with its zone, like \"2026-01-31T10:30:00+01:00[Europe/Paris]\""
        }
        FieldKind::Json => "is JSON, like {\"a\":1}; a text is \"in quotation marks\"",
        _ => "is a text, like \"words\"",
    }
    .to_owned()
}

/// `12.5` at scale 2 is 1250.
fn decimal(text: &str, scale: u8) -> Result<Value, String> {
    let scale = usize::from(scale);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || digits.ends_with('.') {
        return Err("is an exact number, like \"12.50\"".to_owned());
    }
    if fraction.len() > scale {
        return Err(format!("has at most {scale} digits after the point"));
    }
    let unscaled: Result<i64, _> = format!("{whole}{fraction:0<scale$}").parse();
    let unscaled = unscaled.map_err(|_| "has too many digits".to_owned())?;
    Ok(Value::Int(if text.starts_with('-') { -unscaled } else { unscaled }))
}

/// A column of the device's table, as a file has it.
pub(super) fn show(schema: &Schema, field: &Field, column: &SqlValue) -> Json {
    let kind = whole(field);
    let composite = matches!(kind, FieldKind::List(_) | FieldKind::Object(_));
    match column {
        SqlValue::Null => Json::Null,
        SqlValue::Text(text) if composite => {
            let json = serde_json::from_str(text).unwrap_or(Json::Null);
            inner(schema, &kind, json)
        }
        SqlValue::Text(text) => Json::String(text.clone()),
        SqlValue::Integer(i) if field.merge != Merge::Register => Json::from(*i),
        SqlValue::Integer(i) => integer(&field.kind, *i),
        SqlValue::Real(x) => float(*x),
        SqlValue::Blob(bytes) => Json::String(hex::encode(bytes)),
    }
}

/// A value within a composite, in the form of files: the device's tables have their own.
fn inner(schema: &Schema, kind: &FieldKind, json: Json) -> Json {
    match (kind, json) {
        (FieldKind::List(element), Json::Array(items)) => {
            items.into_iter().map(|item| inner(schema, element, item)).collect()
        }
        (FieldKind::Object(name), Json::Object(members)) => {
            let declared = schema.values.get(name);
            let member = |(name, json): (String, Json)| {
                let field = declared.and_then(|d| d.fields.iter().find(|f| f.name == name));
                let json = field.map_or(Json::Null, |f| inner(schema, &f.kind, json));
                (name, json)
            };
            Json::Object(members.into_iter().map(member).collect())
        }
        (_, Json::Null) => Json::Null,
        (FieldKind::Json, json) => Json::String(json.to_string()),
        (FieldKind::Bytes, Json::String(text)) => {
            let bytes = landfall_device::bytes_from_text(&text);
            Json::String(bytes.map_or(text, |bytes| hex::encode(&bytes)))
        }
        (kind, Json::Number(n)) => match n.as_i64() {
            Some(i) => integer(kind, i),
            None => Json::Number(n),
        },
        (_, json) => json,
    }
}

fn integer(kind: &FieldKind, i: i64) -> Json {
    match kind {
        FieldKind::Boolean => Json::Bool(i != 0),
        FieldKind::Decimal { scale, .. } => Json::String(unscaled(i, *scale)),
        FieldKind::Instant => match jiff::Timestamp::from_microsecond(i) {
            Ok(at) => Json::String(at.to_string()),
            Err(_) => Json::from(i),
        },
        FieldKind::Float => float(i as f64),
        _ => Json::from(i),
    }
}

fn float(x: f64) -> Json {
    match serde_json::Number::from_f64(x) {
        Some(n) => Json::Number(n),
        None if x > 0.0 => Json::from("Infinity"),
        None if x < 0.0 => Json::from("-Infinity"),
        None => Json::Null,
    }
}

/// 1250 at scale 2 is `12.50`.
fn unscaled(i: i64, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", i.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{}{whole}{point}{fraction}", if i < 0 { "-" } else { "" })
}

/// A cell of CSV as JSON has it: `None` is an empty cell without quotes.
pub(super) fn of_cell(kind: &FieldKind, cell: Option<&str>) -> Result<Json, String> {
    let Some(text) = cell else { return Ok(Json::Null) };
    match kind {
        FieldKind::Int
        | FieldKind::Int64
        | FieldKind::Counter
        | FieldKind::Boolean
        | FieldKind::Object(_)
        | FieldKind::List(_) => serde_json::from_str(text.trim()).map_err(|_| wanted(kind)),
        FieldKind::Float if !text.ends_with("Infinity") => {
            serde_json::from_str(text.trim()).map_err(|_| wanted(kind))
        }
        _ => Ok(Json::String(text.to_owned())),
    }
}

/// The text of a cell; `None` is null.
pub(super) fn to_cell(json: &Json) -> Option<String> {
    match json {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDL: &str = r#"
        type Thing @entity(strategy: CRDT, scope: "all") {
          id: ID! price: Decimal @decimal(precision: 8, scale: 2) whole: Decimal @decimal(precision: 8, scale: 0)
          at: Instant day: Date time: LocalTime raw: Bytes any: JSON sure: Boolean size: Int64
          share: Float place: Place names: [String!] @set sums: [Decimal!] @decimal(precision: 8, scale: 2) }
        type Place @value { street: String! since: Instant fee: Decimal @decimal(precision: 6, scale: 3) }"#;

    fn field(schema: &Schema, name: &str) -> Field {
        schema.entity_named("Thing").unwrap().field_named(name).unwrap().clone()
    }

    #[test]
    fn what_is_read_is_what_a_column_shows() {
        let schema = landfall_model::schema::compile(SDL).expect("the test's schema");
        let check = |name: &str, written: &str, column: SqlValue| {
            let field = field(&schema, name);
            let json: Json = serde_json::from_str(written).unwrap();
            assert_eq!(show(&schema, &field, &column), json, "{name}");
            read(&schema, &whole(&field), &json).unwrap_or_else(|e| panic!("{name} {e}"));
        };
        check("price", "\"-0.07\"", SqlValue::Integer(-7));
        check("whole", "\"12\"", SqlValue::Integer(12));
        check("at", "\"1970-01-01T00:00:01Z\"", SqlValue::Integer(1_000_000));
        check("raw", "\"0aff\"", SqlValue::Blob(vec![10, 255]));
        check("any", "\"{ \\\"a\\\": 1.0}\"", SqlValue::from("{ \"a\": 1.0}"));
        check("sure", "true", SqlValue::Integer(1));
        check("size", "9223372036854775807", SqlValue::Integer(i64::MAX));
        check("share", "0.1", SqlValue::Real(0.1));
        check("share", "\"-Infinity\"", SqlValue::Real(f64::NEG_INFINITY));
        check("names", "[\"a\",\"b\"]", SqlValue::from("[\"a\",\"b\"]"));
        check("sums", "[\"1.50\"]", SqlValue::from("[150]"));
        let place = r#"{"street":"x","since":"1970-01-01T00:00:01Z","fee":"0.500"}"#;
        check("place", place, SqlValue::from(r#"{"street":"x","since":1000000,"fee":500}"#));
    }

    #[test]
    fn a_value_that_does_not_fit_says_what_does() {
        let schema = landfall_model::schema::compile(SDL).expect("the test's schema");
        let check = |name: &str, written: &str, part: &str| {
            let json: Json = serde_json::from_str(written).unwrap();
            let told = read(&schema, &whole(&field(&schema, name)), &json).expect_err(name);
            assert!(told.contains(part), "{name}: {told}");
        };
        check("price", "\"0.005\"", "at most 2 digits");
        check("price", "true", "like \"12.50\"");
        check("at", "\"yesterday\"", "2026-01-31T10:30:00Z");
        check("day", "\"2026-02-30\"", "2026-01-31");
        check("raw", "\"0af\"", "hexadecimal");
        check("size", "1.5", "whole number");
        check("place", "{\"road\":\"x\"}", "no member `road`; it has street");
        check("place", "{\"street\":1}", "member `street` is a text");
        check("names", "[null]", "null");
        check("any", "\"{\"", "no JSON");
    }
}
