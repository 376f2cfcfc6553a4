//! `field=value`, as a person writes it, read by the field's type.

use crate::fault::{self, code};
use landfall_device::Dot;
use landfall_model::hex;
use landfall_model::schema::{EntityType, Field, FieldKind, Merge, Schema};
use landfall_model::value::Value;
use serde_json::Value as Json;

/// One word of a `put`.
#[derive(Debug, PartialEq)]
pub(crate) struct Set<'k> {
    pub field: &'k str,
    pub change: Change,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    Put(Value),
    Increment(i64),
    Add(Value),
    Remove(Value),
    Text { replace: bool, text: String },
}

/// How the value meets the field.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Is,
    Plus,
    Minus,
}

pub(crate) fn read<'k>(kind: &'k EntityType, word: &str) -> anyhow::Result<Set<'k>> {
    let Some((left, text)) = word.split_once('=') else {
        return wrong(format!("`{word}` sets nothing: write FIELD=VALUE"));
    };
    let (name, sign) = match (left.strip_suffix('+'), left.strip_suffix('-')) {
        (Some(name), _) => (name, Sign::Plus),
        (_, Some(name)) => (name, Sign::Minus),
        _ => (left, Sign::Is),
    };
    let Some(field) = kind.field_named(name) else {
        let known: Vec<&str> = kind.fields.iter().map(|f| &*f.name).collect();
        let known = known.join(", ");
        let message = format!("{} has no field `{name}`; it has {known}", kind.name);
        return Err(fault::new(code::UNKNOWN_NAME, message));
    };
    Ok(Set { field: &field.name, change: change(field, sign, text)? })
}

fn change(field: &Field, sign: Sign, text: &str) -> anyhow::Result<Change> {
    let name = &field.name;
    match (field.merge, sign) {
        (Merge::Register, Sign::Is) if text == "null" => Ok(Change::Put(Value::Null)),
        (Merge::Register, Sign::Is) => Ok(Change::Put(value(name, &field.kind, text)?)),
        (Merge::Register, _) => wrong(format!("`{name}` is set with {name}=VALUE")),
        (Merge::Counter, Sign::Is) => {
            wrong(format!("`{name}` is a counter: add with {name}+=1, take away with {name}-=1"))
        }
        (Merge::Counter, sign) => {
            let by: i64 = number(name, text)?;
            Ok(Change::Increment(if sign == Sign::Plus { by } else { -by }))
        }
        (Merge::Set, Sign::Is) => {
            wrong(format!("`{name}` is a set: add with {name}+=VALUE, remove with {name}-=VALUE"))
        }
        (Merge::Set, sign) => {
            let element = match &field.kind {
                FieldKind::List(element) => value(name, element, text)?,
                kind => value(name, kind, text)?,
            };
            Ok(if sign == Sign::Plus { Change::Add(element) } else { Change::Remove(element) })
        }
        (Merge::Text, Sign::Minus) => {
            wrong(format!("`{name}` is text: replace with {name}=TEXT, append with {name}+=TEXT"))
        }
        (Merge::Text, sign) => {
            Ok(Change::Text { replace: sign == Sign::Is, text: text.to_owned() })
        }
    }
}

/// The value of a field that is not text to its type; what the SDK reads from text goes there as it
/// is.
fn value(name: &str, kind: &FieldKind, text: &str) -> anyhow::Result<Value> {
    Ok(match kind {
        FieldKind::Int | FieldKind::Int64 => Value::Int(number(name, text)?),
        FieldKind::Float => Value::from(number::<f64>(name, text)?),
        FieldKind::Boolean => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return wrong(format!("`{name}` is true or false, not `{text}`")),
        },
        FieldKind::Instant => Value::Int(instant_us(name, text)?),
        FieldKind::Bytes => match hex::decode(text) {
            Some(bytes) => Value::Bytes(bytes),
            None => return wrong(format!("`{name}` holds bytes: pairs of digits like 0aff")),
        },
        _ => Value::text(text),
    })
}

/// A write's name: 32 digits for the device, `#`, and its number; or the last 8 of the digits, as
/// `explain` and `outcomes` print it, where they mean one device of those that `known` gives.
pub(crate) fn dot(
    text: &str,
    known: impl FnOnce(u64) -> Result<Vec<String>, landfall_device::Error>,
) -> anyhow::Result<Dot> {
    if let Ok(dot) = text.parse() {
        return Ok(dot);
    }
    let named = text.split_once('#').and_then(|(digits, seq)| Some((digits, seq.parse().ok()?)));
    let Some((digits, seq)) = named.filter(|(d, _)| d.len() >= SHORT_DIGITS) else {
        return wrong(format!(
            "a write is named like 9d55d6f9#4, as `explain` has it, not `{text}`"
        ));
    };
    let mut devices = known(seq)?;
    devices.retain(|device| device.ends_with(&digits.to_lowercase()));
    match &devices[..] {
        [device] => match format!("{device}#{seq}").parse() {
            Ok(dot) => Ok(dot),
            Err(_) => wrong(format!("`{text}` is no write's name")),
        },
        [] => {
            let message =
                format!("this phone has no write `{text}`; `explain` names those of a row");
            Err(fault::new(code::UNKNOWN_NAME, message))
        }
        _ => wrong(format!("`{text}` may be one of several; write all digits of the device")),
    }
}

/// So many digits of a device stand in a write's short name.
const SHORT_DIGITS: usize = 8;

/// The short name of a write.
pub(crate) fn short(dot: Dot) -> String {
    let name = dot.to_string();
    let (device, seq) = name.split_once('#').unwrap_or((&name, ""));
    format!("{}#{seq}", &device[device.len().saturating_sub(SHORT_DIGITS)..])
}

/// What of a put is no member of an open enum in this schema. It is kept all the same: a newer
/// version of the app may have it.
pub(crate) fn strangers(schema: &Schema, kind: &EntityType, sets: &[Set<'_>]) -> Vec<String> {
    let mut told = Vec::new();
    for set in sets {
        let field = kind.field_named(set.field);
        let (Change::Put(Value::Text(text)) | Change::Add(Value::Text(text))) = &set.change else {
            continue;
        };
        let of = match field.map(|f| &f.kind) {
            Some(FieldKind::List(element)) if matches!(set.change, Change::Add(_)) => &**element,
            Some(kind) => kind,
            None => continue,
        };
        let json = match of {
            // What is no JSON is refused, and says so itself.
            FieldKind::List(_) | FieldKind::Object(_) => {
                serde_json::from_str(text).unwrap_or_default()
            }
            _ => Json::from(text.as_str()),
        };
        add_strangers(schema, of, &json, &mut told);
    }
    told
}

/// The same, of all that is in a list or a value object.
fn add_strangers(schema: &Schema, kind: &FieldKind, json: &Json, told: &mut Vec<String>) {
    match (kind, json) {
        (FieldKind::Enum(name), Json::String(text)) => {
            let Some(members) = schema.enums.get(name).map(|e| &e.values) else { return };
            if !members.contains(text) {
                let members = members.join(", ");
                told.push(format!("`{text}` is no member of {name} in this schema: {members}"));
            }
        }
        (FieldKind::List(element), Json::Array(items)) => {
            items.iter().for_each(|item| add_strangers(schema, element, item, told));
        }
        (FieldKind::Object(name), Json::Object(members)) => {
            let fields = schema.values.get(name).map_or(&[][..], |object| &object.fields);
            for field in fields {
                if let Some(member) = members.get(&field.name) {
                    add_strangers(schema, &field.kind, member, told);
                }
            }
        }
        _ => {}
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> anyhow::Result<T> {
    text.parse().or_else(|_| wrong(format!("`{name}` is a number, not `{text}`")))
}

fn wrong<T>(message: String) -> anyhow::Result<T> {
    Err(fault::new(code::VALUE, message))
}

/// Microseconds since 1970.
fn instant_us(name: &str, text: &str) -> anyhow::Result<i64> {
    use landfall_region::world::Clock;
    if text == "now" {
        return Ok(crate::world::WallClock.now_ms() * 1_000);
    }
    let read: Result<jiff::Timestamp, _> = text.parse();
    match read {
        Ok(at) => Ok(at.as_microsecond()),
        Err(_) => {
            wrong(format!("`{name}` is a time: `now`, or like 2026-01-31T12:00:00Z; not `{text}`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDL: &str = r#"
        type Note @entity(strategy: CRDT, scope: "team/{team}") {
          id: ID! team: ID! size: Int price: Decimal @decimal(precision: 8, scale: 2) at: Instant
          done: Boolean seal: Bytes body: Text labels: [String!] @set votes: Counter
        }"#;

    #[test]
    fn words_are_read_by_the_field_they_set() {
        let schema = landfall_model::schema::compile(SDL).expect("the test's schema is right");
        let note = schema.entity_named("Note").expect("it is there");
        let check = |word: &str, expected: Result<Change, &str>| match (read(note, word), expected)
        {
            (Ok(set), Ok(expected)) => assert_eq!(set.change, expected, "{word}"),
            (Err(found), Err(part)) => {
                assert!(found.to_string().contains(part), "{word}: {found}");
            }
            (found, expected) => panic!("{word}: {found:?}, expected {expected:?}"),
        };
        check("size=-3", Ok(Change::Put(Value::Int(-3))));
        check("size=null", Ok(Change::Put(Value::Null)));
        check("size=many", Err("a number"));
        check("size+=3", Err("size=VALUE"));
        check("price=2.50", Ok(Change::Put(Value::text("2.50"))));
        check("at=1970-01-01T00:00:01Z", Ok(Change::Put(Value::Int(1_000_000))));
        check("at=noon", Err("a time"));
        check("done=true", Ok(Change::Put(Value::Bool(true))));
        check("done=1", Err("true or false"));
        check("seal=0aFF", Ok(Change::Put(Value::Bytes(vec![10, 255]))));
        check("seal=0af", Err("pairs of digits"));
        check("body=a=b", Ok(Change::Text { replace: true, text: "a=b".into() }));
        check("body+=x", Ok(Change::Text { replace: false, text: "x".into() }));
        check("labels+=red", Ok(Change::Add(Value::text("red"))));
        check("labels-=red", Ok(Change::Remove(Value::text("red"))));
        check("labels=red", Err("a set"));
        check("votes-=2", Ok(Change::Increment(-2)));
        check("votes=2", Err("a counter"));
        check("colour=red", Err("no field `colour`; it has id, team"));
        check("red", Err("FIELD=VALUE"));
    }

    #[test]
    fn a_write_has_a_short_name() {
        let device = |last: &str| format!("{}{last}", "0".repeat(24));
        let known = |devices: &[&str]| {
            let devices: Vec<String> = devices.iter().map(|d| device(d)).collect();
            move |_| Ok(devices)
        };
        let full = format!("{}#4", device("9d55d6f9"));
        let whole = dot(&full, known(&[])).expect("a name");
        assert_eq!(short(whole), "9d55d6f9#4");
        assert_eq!(dot("9D55d6f9#4", known(&["9d55d6f9", "aaaaaaaa"])).expect("one"), whole);
        let check = |text: &str, devices: &[&str], part: &str| {
            let told = dot(text, known(devices)).expect_err(text).to_string();
            assert!(told.contains(part), "{text}: {told}");
        };
        check("9d55d6f9#4", &["9d55d6f9", "9d55d6f9"], "one of several");
        check("9d55d6f9#4", &["aaaaaaaa"], "LF9005");
        check("d6f9#4", &["9d55d6f9"], "like 9d55d6f9#4");
        check("9d55d6f9", &["9d55d6f9"], "like 9d55d6f9#4");
    }

    #[test]
    fn what_is_no_member_of_an_enum_is_told() {
        let sdl = r#"enum Status { OPEN DONE }
            type Step @value { status: Status inner: Inner all: [Status!] title: String }
            type Inner @value { status: Status }
            type Job @entity(strategy: CRDT, scope: "all") {
              id: ID! status: Status was: [Status!] @set title: String
              next: [Status!] step: Step steps: [Step!] any: JSON }"#;
        let schema = landfall_model::schema::compile(sdl).expect("the test's schema");
        let job = schema.entity_named("Job").expect("it is there");
        let check = |words: &[&str], expected: &[&str]| {
            let sets: Vec<_> = words.iter().map(|w| read(job, w).expect("a word")).collect();
            assert_eq!(strangers(&schema, job, &sets), expected, "{words:?}");
        };
        check(&["status=OPEN", "was+=DONE", "title=opn", "status=null"], &[]);
        check(&["status=opn"], &["`opn` is no member of Status in this schema: OPEN, DONE"]);
        check(&["was+=don"], &["`don` is no member of Status in this schema: OPEN, DONE"]);
        check(&["was-=don"], &[]);
        let don = ["`don` is no member of Status in this schema: OPEN, DONE"];
        check(&[r#"next=["OPEN","don"]"#], &don);
        check(&[r#"step={"title":"opn","all":["OPEN"],"status":"don"}"#], &don);
        check(&[r#"step={"all":["OPEN","don"]}"#], &don);
        check(&[r#"step={"inner":{"status":"don"}}"#], &don);
        check(&[r#"steps=[{"status":"OPEN"},{"status":"don"}]"#], &don);
        check(&[r#"step={"status":null}"#, "next=don", r#"any={"status":"don"}"#], &[]);
    }
}
