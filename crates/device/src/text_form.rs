//! Values as text, in both directions: what columns of objects, lists and sets hold, and what a
//! write may give instead of the value itself.
//!
//! The two are one form: what a column holds can be written again, and is then the same value.
//! Decimals and bytes are text, so they are exact in languages whose JSON has doubles only.
//!
//! | field | in JSON |
//! |---|---|
//! | `Decimal` | text, with as many places as the scale says: `"12.50"` |
//! | `Bytes` | text, base64 with padding |
//! | `Int`, `Int64`, `Instant` | a number |
//! | `JSON` | itself |
//! | `Float` | a number; null for NaN and the infinities |
//! | other scalars, enums, references | text; booleans are `true` and `false` |
//! | a value object | an object with every member that the schema has, by name |
//!
//! Reading is more generous: a decimal may be a number or have fewer places, an `Int64` or an
//! `Instant` may be text, members may be left out. Columns of single decimals and bytes are not text; see [`crate::store`].

use crate::read::SqlValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use landfall_model::schema::{Field, FieldKind, Schema, ValueType};
use landfall_model::value::Value;
use landfall_sync::device::node::{Problem, is_json};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A schema's value objects by name.
pub(crate) type Values = BTreeMap<String, Arc<ValueType>>;

/// Rows that were shown by another number look otherwise than they would now.
pub(crate) const FORM: u8 = 2;

/// What a column of this field holds for a value.
pub(crate) fn column(value: &Value, field: &Field, values: &Values) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(i) => SqlValue::Integer(*i),
        Value::Float(x) => x.get().into(),
        Value::Text(s) => SqlValue::Text(s.clone()),
        Value::Bytes(b) => SqlValue::Blob(b.clone()),
        Value::Object(_) | Value::List(_) => SqlValue::Text(json(value, &field.kind, values)),
    }
}

/// The bytes that text stands for in the JSON of a column; `None` if it is none that a column
/// holds. Every sequence of bytes has one text, and only that is read.
pub fn bytes_from_text(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// The JSON of an object or a list.
pub(crate) fn json(value: &Value, kind: &FieldKind, values: &Values) -> String {
    let mut out = String::new();
    write_value(&mut out, value, kind, values);
    out
}

/// The JSON of a list's or a set's elements; `kind` is the field's.
pub(crate) fn list(items: &[Value], kind: &FieldKind, values: &Values) -> String {
    let mut out = String::new();
    write_list(&mut out, items, element(kind), values);
    out
}

/// What the elements of a list are, or a set's; for other kinds, the kind.
pub(crate) fn element(kind: &FieldKind) -> &FieldKind {
    match kind {
        FieldKind::List(element) => element,
        other => other,
    }
}

/// A field that was never written has its default. One that was cleared on purpose stays NULL,
/// unless the schema says that there is always a value.
pub(crate) fn or_default<'v>(field: &'v Field, value: Option<&'v Value>) -> Option<&'v Value> {
    match value {
        Some(Value::Null) if field.required => field.default.as_ref(),
        None => field.default.as_ref(),
        there => there,
    }
}

fn write_value(out: &mut String, value: &Value, kind: &FieldKind, values: &Values) {
    match (value, kind) {
        (Value::Null, _) => out.push_str("null"),
        (Value::Bool(b), _) => out.push_str(if *b { "true" } else { "false" }),
        (Value::Int(i), FieldKind::Decimal { scale, .. }) => write_text(out, &places(*i, *scale)),
        (Value::Int(i), _) => out.push_str(&i.to_string()),
        // JSON has no infinities, and NaN is NULL in columns too.
        (Value::Float(x), _) if !x.get().is_finite() => out.push_str("null"),
        (Value::Float(x), _) => out.push_str(&format!("{:?}", x.get())),
        (Value::Text(s), FieldKind::Json) if is_json(s) => out.push_str(s),
        (Value::Text(s), _) => write_text(out, s),
        (Value::Bytes(bytes), _) => write_text(out, &BASE64.encode(bytes)),
        (Value::Object(_), _) => write_object(out, value, kind, values),
        (Value::List(items), _) => write_list(out, items, element(kind), values),
    }
}

fn write_list(out: &mut String, items: &[Value], kind: &FieldKind, values: &Values) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_value(out, item, kind, values);
    }
    out.push(']');
}

/// Every declared member, in order of declaration.
fn write_object(out: &mut String, value: &Value, kind: &FieldKind, values: &Values) {
    let declared = match kind {
        FieldKind::Object(name) => values.get(name).map_or(&[][..], |v| v.fields.as_slice()),
        _ => &[],
    };
    let Value::Object(members) = value else { return };
    out.push('{');
    for (at, field) in declared.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(out, &field.name);
        out.push(':');
        let member = members.iter().find(|m| m.field == field.id).map(|m| &m.value);
        let member = or_default(field, member).unwrap_or(&Value::Null);
        write_value(out, member, &field.kind, values);
    }
    out.push('}');
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&Json::from(text).to_string());
}

/// 1250 at scale 2 is `12.50`.
fn places(unscaled: i64, scale: u8) -> String {
    let scale = usize::from(scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Why text is not read, and where in it: members of value objects with dots between them.
#[derive(Debug, PartialEq)]
pub(crate) struct Unread {
    pub path: Option<String>,
    pub problem: Problem,
}

impl From<Problem> for Unread {
    fn from(problem: Problem) -> Self {
        Self { path: None, problem }
    }
}

impl Unread {
    fn at(self, name: &str) -> Self {
        let below = self.path.map(|path| format!(".{path}")).unwrap_or_default();
        Self { path: Some(format!("{name}{below}")), ..self }
    }
}

/// The value as the field stores it. What is given in that form already goes through as it is.
pub(crate) fn read(schema: &Schema, kind: &FieldKind, value: Value) -> Result<Value, Unread> {
    let Value::Text(text) = &value else { return Ok(value) };
    match kind {
        FieldKind::Decimal { scale, .. } => Ok(decimal(text, *scale)?),
        FieldKind::Bytes => {
            Ok(bytes_from_text(text).map(Value::Bytes).ok_or(Problem::WrongValue)?)
        }
        FieldKind::Object(_) | FieldKind::List(_) => {
            let json = serde_json::from_str(text).map_err(|_| Problem::WrongValue)?;
            from_json(schema, kind, &json)
        }
        _ => Ok(value),
    }
}

/// `12.5` at scale 2 is 1250.
fn decimal(text: &str, scale: u8) -> Result<Value, Problem> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let scale = usize::from(scale);
    if whole.is_empty() || !plain(whole) || !plain(fraction) || digits.ends_with('.') {
        return Err(Problem::WrongValue);
    }
    if fraction.len() > scale {
        return Err(Problem::OutOfRange);
    }
    let unscaled: i64 =
        format!("{whole}{fraction:0<scale$}").parse().map_err(|_| Problem::OutOfRange)?;
    Ok(Value::Int(sign * unscaled))
}

fn from_json(schema: &Schema, kind: &FieldKind, json: &Json) -> Result<Value, Unread> {
    match (kind, json) {
        (_, Json::Null) => Ok(Value::Null),
        (FieldKind::Json, Json::String(s)) if is_json(s) => Ok(Value::text(s)),
        (FieldKind::Json, json) => Ok(Value::from(json.to_string())),
        (FieldKind::Object(name), Json::Object(members)) => {
            let object = schema.values.get(name).ok_or(Problem::WrongValue)?;
            let member = |(name, json): (&String, &Json)| {
                let field = object.fields.iter().find(|f| f.name == *name);
                let field = field.ok_or(Problem::UnknownField);
                let read = field
                    .map_err(Unread::from)
                    .and_then(|field| Ok((field.id, from_json(schema, &field.kind, json)?)));
                read.map_err(|e| e.at(name))
            };
            let members: Vec<_> = members.iter().map(member).collect::<Result<_, Unread>>()?;
            Ok(Value::object(members))
        }
        (FieldKind::List(element), Json::Array(items)) => {
            let items = items.iter().map(|item| from_json(schema, element, item));
            Ok(Value::List(items.collect::<Result<_, Unread>>()?))
        }
        (FieldKind::Float, Json::Number(n)) => {
            Ok(n.as_f64().map(Value::from).ok_or(Problem::WrongValue)?)
        }
        (FieldKind::Decimal { scale, .. }, Json::Number(n)) => Ok(decimal(&n.to_string(), *scale)?),
        (FieldKind::Int64 | FieldKind::Instant, Json::String(s)) => {
            Ok(s.parse().map(Value::Int).map_err(|_| Problem::WrongValue)?)
        }
        (_, Json::Number(n)) => Ok(n.as_i64().map(Value::Int).ok_or(Problem::WrongValue)?),
        (_, Json::Bool(b)) => Ok(Value::Bool(*b)),
        (_, Json::String(s)) => read(schema, kind, Value::text(s)),
        _ => Err(Problem::WrongValue.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        let check = |text: &str, expected: Result<i64, Problem>| {
            assert_eq!(decimal(text, 2), expected.map(Value::Int), "{text}");
        };
        check("12.50", Ok(1250));
        check("12.5", Ok(1250));
        check("-0.07", Ok(-7));
        check("3", Ok(300));
        check("0.005", Err(Problem::OutOfRange));
        check("99999999999999999999", Err(Problem::OutOfRange));
        check("1e3", Err(Problem::WrongValue));
        check("1.", Err(Problem::WrongValue));
        check("", Err(Problem::WrongValue));
    }

    #[test]
    fn what_a_column_holds_can_be_written_again() {
        let sdl = r#"
            type Thing @entity(strategy: LAST_WRITE_WINS, scope: "all") {
              id: ID! all: All many: [All!] prices: [Decimal!] @decimal(precision: 6, scale: 2) }
            type All @value {
              money: Decimal @decimal(precision: 18, scale: 3) whole: Decimal @decimal(precision: 4, scale: 0)
              raw: Bytes extra: JSON big: Int64 at: Instant share: Float yes: Boolean
              due: Date word: String inner: Inner list: [Int!] }
            type Inner @value { price: Decimal! @decimal(precision: 6, scale: 2) }"#;
        let schema = crate::options::compile(sdl).unwrap();
        let kind = schema.entity_named("Thing").unwrap();
        let check = |field: &str, text: &str| {
            let field = kind.field_named(field).unwrap();
            let value = read(&schema, &field.kind, Value::text(text)).unwrap();
            assert_eq!(json(&value, &field.kind, &schema.values), text);
        };
        let all = r#"{"money":"-0.007","whole":"-12","raw":"AP8H/w==","extra":{"pi":3.1,"s":["x"]},"big":9223372036854775807,"at":-1,"share":0.1,"yes":false,"due":"2026-01-31","word":"\"é\"","inner":{"price":"100.00"},"list":[1,-2]}"#;
        check("all", all);
        check("many", &format!("[{all},{all}]"));
        check("prices", r#"["0.05","12.50","-1.00"]"#);
        let kind_of = |field: &str| &kind.field_named(field).unwrap().kind;
        let generous =
            Value::text(r#"{"money":-0.007,"big":"9223372036854775807","extra":[1, 2]}"#);
        let value = read(&schema, kind_of("all"), generous).unwrap();
        let shown = json(&value, kind_of("all"), &schema.values);
        assert!(shown.starts_with(
            r#"{"money":"-0.007","whole":null,"raw":null,"extra":[1,2],"big":9223372036854775807"#
        ));
        let none = r#"{"money":null,"whole":null,"raw":"","extra":"words","big":null,"at":null,"share":null,"yes":null,"due":null,"word":"","inner":null,"list":[]}"#;
        check("all", none);
    }

    #[test]
    fn what_is_not_read_is_told_with_its_place() {
        let sdl = r#"
            type Thing @entity(strategy: LAST_WRITE_WINS, scope: "all") {
              id: ID! any: JSON to: To many: [To!] }
            type To @value { street: String at: At any: JSON }
            type At @value { due: Int64 }"#;
        let schema = crate::options::compile(sdl).unwrap();
        let kind = schema.entity_named("Thing").unwrap();
        let check = |field: &str, text: &str, expected: Result<(), (Option<&str>, Problem)>| {
            let field = kind.field_named(field).unwrap();
            let read = read(&schema, &field.kind, Value::text(text));
            let found = read.as_ref().map(|_| ()).map_err(|e| (e.path.as_deref(), e.problem));
            assert_eq!(found, expected, "{text}");
        };
        // Whether it is JSON is asked of every write, however it was given.
        check("any", "words", Ok(()));
        check("to", "{\"any\":{}}", Ok(()));
        check("to", "{\"street\"", Err((None, Problem::WrongValue)));
        check("to", "{\"zip\":\"1\"}", Err((Some("zip"), Problem::UnknownField)));
        check("to", "{\"at\":{\"on\":1}}", Err((Some("at.on"), Problem::UnknownField)));
        check("to", "{\"at\":{\"due\":\"x\"}}", Err((Some("at.due"), Problem::WrongValue)));
        check("many", "[{\"zip\":1}]", Err((Some("zip"), Problem::UnknownField)));
    }

    #[test]
    fn bytes_are_text_and_back() {
        let check = |bytes: &[u8], text: &str| {
            let shown = json(&Value::Bytes(bytes.to_vec()), &FieldKind::Bytes, &Values::new());
            assert_eq!(shown, format!("\"{text}\""));
            assert_eq!(bytes_from_text(text).as_deref(), Some(bytes), "{text}");
        };
        check(b"", "");
        check(b"f", "Zg==");
        check(b"fo", "Zm8=");
        check(b"foo", "Zm9v");
        check(b"foob", "Zm9vYg==");
        check(&[0, 255, 7, 255], "AP8H/w==");
        for wrong in ["Zg", "Zg=", "Zh==", "Z===", "Zm9v=", "Zm8=Zm8=", "Zm 9", "ab01-_", "é==="] {
            assert_eq!(bytes_from_text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_have_as_many_places_as_the_scale_says() {
        let check = |unscaled, scale, expected: &str| assert_eq!(places(unscaled, scale), expected);
        check(1250, 2, "12.50");
        check(-7, 2, "-0.07");
        check(0, 3, "0.000");
        check(7, 0, "7");
        check(i64::MIN, 18, "-9.223372036854775808");
    }
}
