//! Does a value fit its field? What one edit asks of each field, checked and gathered.

use super::node::FieldEdit;
use super::refused::Problem;
use crate::limits;
use landfall_model::entity::Counts;
use landfall_model::id::FieldId;
use landfall_model::schema::{EntityType, Field, FieldKind, Merge, Schema, ValueType};
use landfall_model::text::{self, Version};
use landfall_model::value::{Member, Value};
use std::collections::{BTreeMap, BTreeSet};

/// All that one edit does to one field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    Put(Value),
    Set {
        add: BTreeSet<Value>,
        remove: BTreeSet<Value>,
    },
    Increment(i64),
    /// What a counter showed of births that are gone.
    Carried(Counts),
    Splices(Vec<Splice>),
    /// A text change that was made before: the blob of a refused op.
    Blob(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Splice {
    At {
        at: usize,
        delete: usize,
        insert: String,
    },
    /// What an editor changed in its own copy.
    Merged(Vec<u8>),
    /// What it did.
    Typed {
        author: u64,
        at: Version,
        splices: Vec<text::Splice>,
    },
}

pub(super) type WantedFields = BTreeMap<FieldId, Wanted>;

/// A field that is to blame, if one is known by name.
pub(super) type Fault = (Option<String>, Problem);

/// Check each field edit and gather them by field: of several puts the last counts, the others
/// add up.
pub(super) fn gather(
    schema: &Schema,
    kind: &EntityType,
    id: &str,
    edits: &[(FieldId, FieldEdit)],
) -> Result<WantedFields, Fault> {
    let mut wanted = WantedFields::new();
    for (field_id, edit) in edits {
        let field = kind.field(*field_id).ok_or((None, Problem::UnknownField))?;
        let fault = |problem| (Some(field.name.clone()), problem);
        if Some(field.id) == kind.id_field() {
            match edit {
                FieldEdit::Put(Value::Text(s)) if s == id => continue,
                _ => return Err(fault(Problem::FixedHome)),
            }
        }
        check_edit(schema, field, edit).map_err(|wrong| wrong.within(&field.name))?;
        add(wanted.entry(field.id), edit).map_err(fault)?;
    }
    Ok(wanted)
}

fn add(
    entry: std::collections::btree_map::Entry<'_, FieldId, Wanted>,
    edit: &FieldEdit,
) -> Result<(), Problem> {
    match edit {
        FieldEdit::Put(value) => {
            *entry.or_insert(Wanted::Put(Value::Null)) = Wanted::Put(value.clone());
        }
        FieldEdit::Add(value) => {
            let set = entry.or_insert_with(empty_set);
            let Wanted::Set { add, .. } = set else { return Err(Problem::WrongEdit) };
            add.insert(value.clone());
        }
        FieldEdit::Remove(value) => {
            let set = entry.or_insert_with(empty_set);
            let Wanted::Set { add, remove } = set else { return Err(Problem::WrongEdit) };
            add.remove(value);
            remove.insert(value.clone());
        }
        FieldEdit::Increment(by) => {
            let Wanted::Increment(sum) = entry.or_insert(Wanted::Increment(0)) else {
                return Err(Problem::WrongEdit);
            };
            *sum = sum.checked_add(*by).ok_or(Problem::Overflow)?;
        }
        FieldEdit::Splice { at, delete, insert } => {
            splices(entry)?.push(Splice::At { at: *at, delete: *delete, insert: insert.clone() });
        }
        FieldEdit::Merge(update) => splices(entry)?.push(Splice::Merged(update.clone())),
        FieldEdit::Replay { author, at, splices: typed } => {
            let (author, at, typed) = (*author, at.clone(), typed.clone());
            splices(entry)?.push(Splice::Typed { author, at, splices: typed });
        }
    }
    Ok(())
}

fn splices(
    entry: std::collections::btree_map::Entry<'_, FieldId, Wanted>,
) -> Result<&mut Vec<Splice>, Problem> {
    match entry.or_insert_with(|| Wanted::Splices(Vec::new())) {
        Wanted::Splices(splices) => Ok(splices),
        _ => Err(Problem::WrongEdit),
    }
}

fn empty_set() -> Wanted {
    Wanted::Set { add: BTreeSet::new(), remove: BTreeSet::new() }
}

/// A create gives every required field a value.
pub(super) fn check_required(kind: &EntityType, wanted: &WantedFields) -> Result<(), Fault> {
    let given = |f: &Field| matches!(wanted.get(&f.id), Some(Wanted::Put(v)) if !v.is_null());
    let missing = kind.fields.iter().find(|f| {
        f.required
            && f.merge == Merge::Register
            && f.default.is_none()
            && Some(f.id) != kind.id_field()
            && !given(f)
    });
    match missing {
        Some(f) => Err((Some(f.name.clone()), Problem::Required)),
        None => Ok(()),
    }
}

/// Names that go over the wire.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    if name.is_empty() || name.len() > limits::NAME_BYTES_MAX {
        return Err(Problem::BadName);
    }
    Ok(())
}

/// What is wrong with a value, and where in it: members of value objects, from the outermost, with
/// dots between them; empty where it is the value itself.
#[derive(Debug, PartialEq)]
struct Wrong {
    path: String,
    problem: Problem,
}

impl From<Problem> for Wrong {
    fn from(problem: Problem) -> Self {
        Self { path: String::new(), problem }
    }
}

impl Wrong {
    /// The same, seen from one level further out.
    fn at(self, name: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{name}{dot}{}", self.path), ..self }
    }

    fn within(self, field: &str) -> Fault {
        let Self { path, problem } = self.at(field);
        (Some(path), problem)
    }
}

fn check_edit(schema: &Schema, field: &Field, edit: &FieldEdit) -> Result<(), Wrong> {
    match (field.merge, edit) {
        (Merge::Register, FieldEdit::Put(Value::Null)) if field.required => {
            Err(Problem::Required.into())
        }
        (Merge::Register, FieldEdit::Put(Value::Null)) => Ok(()),
        (Merge::Register, FieldEdit::Put(value)) => check_value(schema, &field.kind, value),
        (Merge::Set, FieldEdit::Add(value) | FieldEdit::Remove(value)) => {
            let element = match &field.kind {
                FieldKind::List(element) => element,
                element => element,
            };
            match (element, value, edit) {
                // What is no JSON may be there since before this was looked at, and can leave.
                (FieldKind::Json, Value::Text(_), FieldEdit::Remove(_)) => Ok(()),
                _ => check_value(schema, element, value),
            }
        }
        (Merge::Counter, FieldEdit::Increment(_))
        | (
            Merge::Text,
            FieldEdit::Splice { .. } | FieldEdit::Merge(_) | FieldEdit::Replay { .. },
        ) => Ok(()),
        _ => Err(Problem::WrongEdit.into()),
    }
}

fn check_value(schema: &Schema, kind: &FieldKind, value: &Value) -> Result<(), Wrong> {
    let when = |ok: bool, problem: Problem| if ok { Ok(()) } else { Err(problem.into()) };
    match (kind, value) {
        (FieldKind::Id | FieldKind::Ref(_), Value::Text(s)) => Ok(check_name(s)?),
        (FieldKind::Int, Value::Int(i)) => when(i32::try_from(*i).is_ok(), Problem::OutOfRange),
        (FieldKind::Decimal { precision, .. }, Value::Int(unscaled)) => {
            let bound = 10_u64.checked_pow(u32::from(*precision)).unwrap_or(u64::MAX);
            when(unscaled.unsigned_abs() < bound, Problem::OutOfRange)
        }
        (FieldKind::Date, Value::Text(s)) => when(is_date(s), Problem::WrongValue),
        (FieldKind::LocalTime, Value::Text(s)) => when(is_time(s), Problem::WrongValue),
        (FieldKind::ZonedDateTime, Value::Text(s)) => when(is_zoned(s), Problem::WrongValue),
        // It is kept as it is written, so nobody after this would find that it is none.
        (FieldKind::Json, Value::Text(s)) => when(is_json(s), Problem::WrongValue),
        (FieldKind::Enum(name), Value::Text(s)) => {
            let Some(members) = schema.enums.get(name) else { return Ok(()) };
            let known = !members.closed || members.values.contains(s);
            check_name(s)?;
            when(known, Problem::UnknownMember)
        }
        (FieldKind::Object(name), Value::Object(members)) => match schema.values.get(name) {
            Some(object) => check_object(schema, object, members),
            None => Err(Problem::WrongValue.into()),
        },
        (FieldKind::List(element), Value::List(values)) => {
            values.iter().try_for_each(|v| check_value(schema, element, v))
        }
        (FieldKind::Int64 | FieldKind::Instant, Value::Int(_))
        | (FieldKind::Float, Value::Float(_))
        | (FieldKind::Boolean, Value::Bool(_))
        | (FieldKind::Bytes, Value::Bytes(_))
        | (FieldKind::String | FieldKind::Blob, Value::Text(_)) => Ok(()),
        _ => Err(Problem::WrongValue.into()),
    }
}

/// Members ascend, belong to the object, and none that is required is missing.
fn check_object(schema: &Schema, object: &ValueType, members: &[Member]) -> Result<(), Wrong> {
    if !members.windows(2).all(|w| w[0].field < w[1].field) {
        return Err(Problem::WrongValue.into());
    }
    for member in members {
        let field = object.fields.iter().find(|f| f.id == member.field);
        let field = field.ok_or(Problem::WrongValue)?;
        match &member.value {
            Value::Null if field.required => {
                return Err(Wrong::from(Problem::Required).at(&field.name));
            }
            Value::Null => {}
            value => check_value(schema, &field.kind, value).map_err(|e| e.at(&field.name))?,
        }
    }
    let given = |f: &Field| members.iter().any(|m| m.field == f.id);
    match object.fields.iter().find(|f| f.required && f.default.is_none() && !given(f)) {
        Some(missing) => Err(Wrong::from(Problem::Required).at(&missing.name)),
        None => Ok(()),
    }
}

/// Text that a JSON field may hold: one JSON value, nested no deeper than 128, with numbers in the
/// range of a double and no half of a surrogate pair.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

/// `2026-01-31`
fn is_date(s: &str) -> bool {
    let parts: Vec<&str> = s.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let (Some(y), Some(m), Some(d)) = (digits(year, 4), digits(month, 2), digits(day, 2)) else {
        return false;
    };
    let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    let days = match m {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&d)
}

/// `23:59`, `23:59:59`, `23:59:59.125`
fn is_time(s: &str) -> bool {
    let (clock, fraction) = match s.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (s, None),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let within = |part: &str, max: u32| digits(part, 2).is_some_and(|n| n <= max);
    let fraction_ok = fraction.is_none_or(|f| {
        parts.len() == 3 && (1..=9).contains(&f.len()) && f.bytes().all(|b| b.is_ascii_digit())
    });
    let clock_ok = match parts[..] {
        [h, m] => within(h, 23) && within(m, 59),
        [h, m, s] => within(h, 23) && within(m, 59) && within(s, 59),
        _ => false,
    };
    clock_ok && fraction_ok
}

/// A date, `T`, a time, and then an offset, a zone name in brackets, or both.
fn is_zoned(s: &str) -> bool {
    let Some((date, rest)) = s.split_once('T') else { return false };
    let Some(end) = rest.find(['Z', '+', '-', '[']) else { return false };
    is_date(date) && is_time(&rest[..end]) && s.len() <= limits::NAME_BYTES_MAX
}

fn digits(s: &str, count: usize) -> Option<u32> {
    let all = s.len() == count && s.bytes().all(|b| b.is_ascii_digit());
    all.then(|| s.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_told_from_text() {
        assert!(["2026-01-31", "2024-02-29", "0001-12-01"].into_iter().all(is_date));
        assert!(
            !["2026-02-29", "2026-13-01", "2026-1-31", "31.1.2026", ""].into_iter().any(is_date)
        );
        assert!(["23:59", "00:00:00", "12:30:15.125"].into_iter().all(is_time));
        assert!(!["24:00", "12:60", "12", "12:30.5", "12:30:15."].into_iter().any(is_time));
        assert!(is_zoned("2026-01-31T12:30:00+01:00[Europe/Paris]"));
        assert!(!is_zoned("2026-01-31T12:30:00"));
    }

    #[test]
    fn a_decimal_has_no_more_digits_than_its_precision() {
        let schema =
            Schema { types: BTreeMap::new(), values: BTreeMap::new(), enums: BTreeMap::new() };
        let kind = FieldKind::Decimal { precision: 3, scale: 2 };
        let check = |v| check_value(&schema, &kind, &Value::Int(v)).map_err(|e| e.problem);
        assert_eq!(check(-999), Ok(()));
        assert_eq!(check(1_000), Err(Problem::OutOfRange));
        assert_eq!(check(i64::MIN), Err(Problem::OutOfRange));
    }

    #[test]
    fn text_of_a_json_field_is_json_wherever_it_stands() {
        let sdl = r#"
            type More @value { any: JSON }
            type Thing @entity(strategy: LAST_WRITE_WINS, scope: "all") {
              id: ID! any: JSON more: More many: [JSON!] all: [More!] set: [JSON!] @set }"#;
        let schema = landfall_model::schema::compile(sdl).expect("the test's schema");
        let thing = schema.entity_named("Thing").expect("it is there");
        let member = schema.values["More"].fields[0].id;
        let more = |text: &str| Value::object([(member, Value::text(text))]);
        let put = |value: Value| FieldEdit::Put(value);
        let check = |name: &str, edit: FieldEdit, expected: Result<(), &str>| {
            let field = thing.field_named(name).expect("it is there");
            let found = gather(&schema, thing, "t", &[(field.id, edit.clone())]).map(|_| ());
            let expected = expected.map_err(|path| (Some(path.to_owned()), Problem::WrongValue));
            assert_eq!(found, expected, "{name} {edit:?}");
        };
        for (text, wrong) in [("{\"a\":[1]}", false), ("words", true), ("", true), ("1 2", true)] {
            let at = |path: &'static str| if wrong { Err(path) } else { Ok(()) };
            let list = |value: Value| put(Value::List(vec![Value::text("1"), value]));
            check("any", put(Value::text(text)), at("any"));
            check("more", put(more(text)), at("more.any"));
            check("many", list(Value::text(text)), at("many"));
            check("all", put(Value::List(vec![more("1"), more(text)])), at("all.any"));
            check("set", FieldEdit::Add(Value::text(text)), at("set"));
            check("set", FieldEdit::Remove(Value::text(text)), Ok(()));
        }
        check("any", put(Value::Null), Ok(()));
        check("any", put(Value::text("[".repeat(100_000))), Err("any"));
    }

    #[test]
    fn a_member_that_is_missing_is_named_with_its_way_down() {
        let sdl = r#"
            type Home @value { address: Address! }
            type Address @value { zip: String! built: Date }
            type Site @entity(strategy: LAST_WRITE_WINS, scope: "all") { id: ID! home: Home }"#;
        let schema = landfall_model::schema::compile(sdl).expect("the test's schema");
        let site = schema.entity_named("Site").expect("it is there");
        let home = site.field_named("home").expect("it is there");
        let id = |kind: &str, name: &str| {
            let fields = &schema.values[kind].fields;
            fields.iter().find(|f| f.name == name).expect("it is there").id
        };
        let check = |members: Vec<(FieldId, Value)>, path: &str, problem| {
            let address = Value::object(members);
            let value = Value::object(vec![(id("Home", "address"), address)]);
            let edits = [(home.id, FieldEdit::Put(value))];
            let fault = gather(&schema, site, "s", &edits).map(|_| ()).expect_err(path);
            assert_eq!(fault, (Some(path.to_owned()), problem));
        };
        let (zip, built) = (id("Address", "zip"), id("Address", "built"));
        check(vec![], "home.address.zip", Problem::Required);
        check(vec![(zip, Value::Null)], "home.address.zip", Problem::Required);
        let wrong = vec![(zip, Value::text("1")), (built, Value::text("x"))];
        check(wrong, "home.address.built", Problem::WrongValue);
    }
}
