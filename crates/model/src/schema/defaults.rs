//! Literals of `@default(value: …)`, read as a field's kind.
//!
//! A default is applied at reading, so it must be exactly the value that a write would have
//! stored: the same scale, the same form of a date.

use super::FieldKind;
use super::ast::{Literal, LiteralKind};
use super::names::{Named, Names};
use crate::value::Value;

/// False for kinds whose values have no literal.
pub(super) fn possible(kind: &FieldKind) -> bool {
    match kind {
        FieldKind::Id
        | FieldKind::String
        | FieldKind::Int
        | FieldKind::Int64
        | FieldKind::Float
        | FieldKind::Boolean
        | FieldKind::Decimal { .. }
        | FieldKind::Instant
        | FieldKind::Date
        | FieldKind::LocalTime
        | FieldKind::Enum(_) => true,
        FieldKind::List(element) => possible(element),
        FieldKind::ZonedDateTime
        | FieldKind::Bytes
        | FieldKind::Json
        | FieldKind::Blob
        | FieldKind::Object(_)
        | FieldKind::Ref(_)
        | FieldKind::Text
        | FieldKind::Counter => false,
    }
}

/// The literal as a value of `kind`, or what to write instead.
pub(super) fn value(names: &Names, kind: &FieldKind, literal: &Literal) -> Result<Value, String> {
    if let FieldKind::List(element) = kind {
        let LiteralKind::List(items) = &literal.kind else {
            return Err("a list in `[` and `]`".into());
        };
        let items: Result<Vec<Value>, String> =
            items.iter().map(|item| value(names, element, item)).collect();
        return items.map(Value::List).map_err(|wanted| format!("a list, each of it {wanted}"));
    }
    if matches!(literal.kind, LiteralKind::Null) {
        return Err("no @default at all: a field without one is null".into());
    }
    match (kind, &literal.kind) {
        (FieldKind::Id | FieldKind::String, LiteralKind::String { value, .. }) => {
            Some(Value::text(value))
        }
        (FieldKind::Int, LiteralKind::Number(n)) => {
            n.parse::<i32>().ok().map(|i| Value::Int(i.into()))
        }
        (FieldKind::Int64, LiteralKind::Number(n)) => n.parse::<i64>().ok().map(Value::Int),
        (FieldKind::Float, LiteralKind::Number(n)) => {
            n.parse::<f64>().ok().filter(|f| f.is_finite()).map(Value::from)
        }
        (FieldKind::Boolean, LiteralKind::Boolean(b)) => Some(Value::Bool(*b)),
        (
            FieldKind::Decimal { precision, scale },
            LiteralKind::Number(n) | LiteralKind::String { value: n, .. },
        ) => decimal(n, *precision, *scale).map(Value::Int),
        (FieldKind::Instant, LiteralKind::String { value, .. }) => {
            instant_micros(value).map(Value::Int)
        }
        (FieldKind::Date, LiteralKind::String { value, .. }) => {
            date(value).map(|_| Value::text(value))
        }
        (FieldKind::LocalTime, LiteralKind::String { value, .. }) => {
            time_micros(value).map(|_| Value::text(value))
        }
        (FieldKind::Enum(name), LiteralKind::Name(member)) => {
            members(names, name).contains(&member.as_str()).then(|| Value::text(member))
        }
        _ => None,
    }
    .ok_or_else(|| wanted(names, kind))
}

fn members<'a>(names: &Names<'a>, name: &str) -> Vec<&'a str> {
    match names.get(name) {
        Some(Named::Enum(i)) => {
            names.enums[i].decl.values.iter().map(|v| v.name.text.as_str()).collect()
        }
        _ => Vec::new(),
    }
}

/// Enum members that a help text lists.
const MEMBERS_SHOWN_MAX: usize = 12;

fn wanted(names: &Names, kind: &FieldKind) -> String {
    match kind {
        FieldKind::Id | FieldKind::String => "a string in double quotes".into(),
        FieldKind::Int => "a whole number between -2147483648 and 2147483647".into(),
        FieldKind::Int64 => "a whole number of at most 64 bits".into(),
        FieldKind::Float => "a number, for example `0.5`".into(),
        FieldKind::Boolean => "`true` or `false`".into(),
        FieldKind::Decimal { precision, scale } => format!(
            "a number with at most {} digits before the point and {scale} after it",
            precision - scale
        ),
        FieldKind::Instant => "an instant, for example `\"2026-01-31T10:30:00Z\"`".into(),
        FieldKind::Date => "a date, for example `\"2026-01-31\"`".into(),
        FieldKind::LocalTime => "a time of day, for example `\"10:30:00\"`".into(),
        FieldKind::Enum(name) => {
            let mut members = members(names, name);
            members.truncate(MEMBERS_SHOWN_MAX);
            format!("a value of `{name}`, without quotes: {}", members.join(", "))
        }
        _ => "nothing".into(),
    }
}

/// The unscaled digits of a number that fits: `12.5` at scale 2 is 1250.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || digits.ends_with('.') {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    if fraction.len() > usize::from(scale) || whole.len() > usize::from(precision - scale) {
        return None;
    }
    let padding = "0".repeat(usize::from(scale) - fraction.len());
    let all = format!("0{whole}{fraction}{padding}");
    all.parse::<i64>().ok().map(|n| sign * n)
}

/// Days since 1970-01-01 of a date `YYYY-MM-DD` that exists.
fn date(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    if b.len() != 10 || b[4] != b'-' || b[7] != b'-' {
        return None;
    }
    let (year, month, day) = (digits(&b[0..4])?, digits(&b[5..7])?, digits(&b[8..10])?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let month_days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=month_days).contains(&day) {
        return None;
    }
    // Days from the civil calendar, with years that begin in March, so that the leap day is last.
    let y = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(365 * y + y / 4 - y / 100 + y / 400 + day_of_year - 719_468)
}

/// `YYYY-MM-DD` of a day since 1970-01-01, held between the years 1 and 9999.
pub(super) fn date_of(days: i64) -> String {
    const FIRST: i64 = -719_162;
    const LAST: i64 = 2_932_896;
    let days = days.clamp(FIRST, LAST) + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Microseconds since midnight of `HH:MM:SS`, with up to six digits of a second after a point.
fn time_micros(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let b = clock.as_bytes();
    if b.len() != 8 || b[2] != b':' || b[5] != b':' || !(1..=6).contains(&fraction.len()) {
        return None;
    }
    let (hour, minute, second) = (digits(&b[0..2])?, digits(&b[3..5])?, digits(&b[6..8])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let missing = u32::try_from(6 - fraction.len()).ok()?;
    let micros = digits(fraction.as_bytes())? * 10_i64.pow(missing);
    Some((hour * 3600 + minute * 60 + second) * 1_000_000 + micros)
}

/// Microseconds since 1970 of `2026-01-31T10:30:00Z` or with an offset like `+02:00`.
fn instant_micros(text: &str) -> Option<i64> {
    let (day, rest) = text.split_once('T')?;
    let (clock, offset_minutes) = match rest.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let at = rest.rfind(['+', '-'])?;
            let (clock, offset) = rest.split_at(at);
            let (hours, minutes) = offset[1..].split_once(':')?;
            if hours.len() != 2 || minutes.len() != 2 {
                return None;
            }
            let (hours, minutes) = (digits(hours.as_bytes())?, digits(minutes.as_bytes())?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            (clock, sign * (hours * 60 + minutes))
        }
    };
    Some(date(day)? * 86_400_000_000 + time_micros(clock)? - offset_minutes * 60_000_000)
}

/// A short run of ASCII digits as a number.
fn digits(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() || bytes.len() > 9 || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(bytes.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_microseconds_since_1970_whatever_its_offset() {
        let check =
            |text: &str, micros: Option<i64>| assert_eq!(instant_micros(text), micros, "{text}");
        check("1970-01-01T00:00:00Z", Some(0));
        check("2026-01-31T10:30:00.5Z", Some(1_769_855_400_500_000));
        check("2026-01-31T12:30:00.500+02:00", Some(1_769_855_400_500_000));
        check("1969-12-31T23:59:59Z", Some(-1_000_000));
        check("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000));
        check("2023-02-29T00:00:00Z", None);
        check("2026-01-31", None);
        check("2026-01-31T25:00:00Z", None);
        check("2026-01-31T10:00:00é+", None);
    }

    #[test]
    fn every_day_has_one_date() {
        for days in (-719_162..=2_932_896).step_by(97).chain([-1, 0, 11_016, 20_454]) {
            assert_eq!(date(&date_of(days)), Some(days), "{}", date_of(days));
        }
        assert_eq!(date_of(i64::MIN), "0001-01-01");
        assert_eq!(date_of(i64::MAX), "9999-12-31");
    }

    #[test]
    fn a_decimal_fits_its_digits_or_is_refused() {
        let check = |text: &str, n: Option<i64>| assert_eq!(decimal(text, 5, 2), n, "{text}");
        check("12.5", Some(1250));
        check("-0.05", Some(-5));
        check("999.99", Some(99_999));
        check("007", Some(700));
        check("1000", None);
        check("1.234", None);
        check("1e2", None);
        check("1.", None);
        check("", None);
    }
}
