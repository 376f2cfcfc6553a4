//! The UCI Online Retail format: one order line per row.
//!
//! Columns: InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID,
//! Country. Read from a plain or a gzip file. Prices stay exact: thousandths as an integer.

use std::io::Read;
use std::path::Path;

/// One order line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub invoice: String,
    pub stock_code: String,
    pub description: String,
    pub quantity: i64,
    /// Microseconds since 1970, the file's local time read as UTC.
    pub placed_at_us: i64,
    pub price_milli: i64,
    pub customer: String,
    pub country: String,
}

/// What a file has wrong, and where.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{path}:{line}: {message}")]
    Row { path: String, line: u64, message: String },
}

/// All lines, in the order of the file.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>, Error> {
    let name = path.display().to_string();
    let bytes =
        read_maybe_gzip(path).map_err(|source| Error::Read { path: name.clone(), source })?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let mut lines = Vec::new();
    for record in reader.records() {
        let row = |line: u64, message: String| Error::Row { path: name.clone(), line, message };
        let record = record.map_err(|e| {
            let line = e.position().map_or(0, csv::Position::line);
            row(line, e.to_string())
        })?;
        let at = record.position().map_or(0, csv::Position::line);
        lines.push(line(&record).map_err(|message| row(at, message))?);
    }
    Ok(lines)
}

/// The content of a file, decompressed if it begins as gzip does.
pub(crate) fn read_maybe_gzip(path: &Path) -> std::io::Result<Vec<u8>> {
    let bytes = std::fs::read(path)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain)?;
    Ok(plain)
}

fn line(record: &csv::StringRecord) -> Result<Line, String> {
    if record.len() != 8 {
        return Err(format!("8 columns expected, {} found", record.len()));
    }
    let text = |i: usize| record[i].to_owned();
    Ok(Line {
        invoice: text(0),
        stock_code: text(1),
        description: text(2),
        quantity: record[3].parse().map_err(|_| format!("not a quantity: {:?}", &record[3]))?,
        placed_at_us: timestamp(&record[4])
            .ok_or_else(|| format!("not a time (YYYY-MM-DD HH:MM:SS): {:?}", &record[4]))?,
        price_milli: thousandths(&record[5])
            .ok_or_else(|| format!("not a price with at most 3 decimals: {:?}", &record[5]))?,
        customer: text(6),
        country: text(7),
    })
}

/// `2.55` is 2550.
pub(crate) fn thousandths(s: &str) -> Option<i64> {
    let (negative, digits) = s.strip_prefix('-').map_or((false, s), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 3 || !plain(whole) || !plain(fraction) {
        return None;
    }
    let padded = format!("{fraction:0<3}");
    let milli = whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(padded.parse().ok()?)?;
    Some(if negative { -milli } else { milli })
}

fn timestamp(s: &str) -> Option<i64> {
    let (date, time) = s.split_once(' ')?;
    let [y, m, d] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let in_range = (1..=9_999).contains(&y) && (1..=12).contains(&m) && (1..=31).contains(&d);
    let in_day = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    if !in_range || !in_day {
        return None;
    }
    let seconds = days_since_1970(y, m, d) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds * 1_000_000)
}

fn numbers(s: &str, separator: char) -> Option<[i64; 3]> {
    let parts: Vec<i64> = s.split(separator).map(|p| p.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// Days of the proleptic Gregorian calendar; years begin in March, so that the leap day is last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        let cases =
            [("2.55", Some(2550)), ("0.001", Some(1)), ("-3", Some(-3000)), ("1.2345", None)];
        for (text, milli) in cases {
            assert_eq!(thousandths(text), milli, "{text}");
        }
        assert_eq!(thousandths(""), None);
        assert_eq!(thousandths("1e3"), None);
        assert_eq!(thousandths("9223372036854775.808"), None);
    }

    #[test]
    fn times_are_seconds_since_1970() {
        assert_eq!(timestamp("1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(timestamp("2010-12-01 08:26:00"), Some(1_291_191_960_000_000));
        assert_eq!(timestamp("2011-13-01 00:00:00"), None);
        assert_eq!(timestamp("300000000000000000-01-01 00:00:00"), None);
    }
}
