//! Reads one setting at a time from the environment, the file or the table of defaults, and collects the faults.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::{Table, Value};

use super::settings::{self, SETTINGS, Setting};

/// Where values are looked for, and what was wrong with them.
pub(super) struct Reader {
    env: BTreeMap<String, String>,
    file: Option<(String, Table)>,
    pub(super) faults: Vec<String>,
}

/// A value and where it came from, as a fault names it.
pub(super) struct Found<T> {
    pub(super) origin: String,
    pub(super) value: T,
}

#[derive(Clone, Copy)]
enum Raw<'a> {
    Text(&'a str),
    Value(&'a Value),
}

impl Reader {
    pub(super) fn new(env: BTreeMap<String, String>, file: Option<(String, Table)>, faults: Vec<String>) -> Self {
        let mut reader = Self { env, file, faults };
        reader.check_keys();
        reader
    }

    /// Names each key of the file that is no setting, and each section that is no table.
    fn check_keys(&mut self) {
        fn walk(prefix: &str, table: &Table, file: &str, faults: &mut Vec<String>) {
            for (name, value) in table {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                let section = format!("{key}.");
                let is_section = SETTINGS.iter().any(|setting| setting.key.starts_with(&section));
                match value {
                    Value::Table(inner) if is_section => walk(&key, inner, file, faults),
                    _ if is_section => faults.push(format!("{file}: {key}: must be a table, written as [{key}]")),
                    _ if settings::find(&key).is_some() => {}
                    _ => faults.push(format!("{file}: {key}: there is no such setting")),
                }
            }
        }
        if let Some((file, table)) = &self.file {
            walk("", table, file, &mut self.faults);
        }
    }

    fn raw<T>(
        &self,
        setting: &Setting,
        parse: impl FnOnce(Raw<'_>) -> Result<T, String>,
    ) -> Option<Result<Found<T>, String>> {
        let (origin, raw) = if let Some(text) = self.env.get(setting.env) {
            (setting.env.to_owned(), Raw::Text(text))
        } else if let Some((file, value)) =
            self.file.as_ref().and_then(|(file, table)| Some((file, lookup(table, setting.key)?)))
        {
            (format!("{file}: {}", setting.key), Raw::Value(value))
        } else {
            (setting.key.to_owned(), Raw::Text(setting.default?))
        };
        Some(match parse(raw) {
            Ok(value) => Ok(Found { origin, value }),
            Err(fault) => Err(format!("{origin}: {fault}")),
        })
    }

    /// The value and its origin; nothing when it is unset or faulty (then the fault is noted).
    fn found<T>(&mut self, key: &str, parse: impl FnOnce(Raw<'_>) -> Result<T, String>) -> Option<Found<T>> {
        let setting = settings::find(key).expect("every key that is read is in the table: a test loads the defaults");
        match self.raw(setting, parse)? {
            Ok(found) => Some(found),
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    /// A string that may be unset.
    pub(super) fn optional(&mut self, key: &str) -> Option<Found<String>> {
        self.found(key, text)
    }

    /// A string that `parse` makes something of.
    pub(super) fn parsed<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Found<T>> {
        self.found(key, |raw| parse(&text(raw)?))
    }

    /// A whole number within `range`.
    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let wanted = format!("must be a whole number from {} to {}", range.start(), range.end());
        let number = self.found(key, |raw| {
            let number = match raw {
                Raw::Text(text) => text.trim().parse().ok(),
                Raw::Value(Value::Integer(number)) => u64::try_from(*number).ok(),
                Raw::Value(_) => None,
            };
            number.filter(|number| range.contains(number)).ok_or(wanted)
        })?;
        Some(number.value)
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let flag = self.found(key, |raw| match raw {
            Raw::Value(Value::Boolean(flag)) => Ok(*flag),
            Raw::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "on" | "yes" | "1" => Ok(true),
                "false" | "off" | "no" | "0" => Ok(false),
                _ => Err("must be true or false".to_owned()),
            },
            Raw::Value(_) => Err("must be true or false".to_owned()),
        })?;
        Some(flag.value)
    }

    /// A duration within `range`.
    pub(super) fn duration(&mut self, key: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let duration = self.found(key, |raw| {
            let duration = match raw {
                Raw::Text(text) => duration(text),
                Raw::Value(Value::String(text)) => duration(text),
                Raw::Value(Value::Integer(seconds)) => u64::try_from(*seconds).ok().map(Duration::from_secs),
                Raw::Value(Value::Float(seconds)) => Duration::try_from_secs_f64(*seconds).ok(),
                Raw::Value(_) => None,
            };
            match duration {
                None => Err("must be a duration such as 500ms, 30s, 10m or PT30S".to_owned()),
                Some(it) if !range.contains(&it) => {
                    Err(format!("must be from {:?} to {:?}", range.start(), range.end()))
                }
                Some(it) => Ok(it),
            }
        })?;
        Some(duration.value)
    }
}

fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let mut value = table.get(parts.next()?)?;
    for part in parts {
        value = value.as_table()?.get(part)?;
    }
    Some(value)
}

fn text(raw: Raw<'_>) -> Result<String, String> {
    match raw {
        Raw::Text(text) => Ok(text.trim().to_owned()),
        Raw::Value(Value::String(text)) => Ok(text.trim().to_owned()),
        Raw::Value(_) => Err("must be a string".to_owned()),
    }
}

/// `500ms`, `30s`, `10m`, `1h`, `2d`, a bare number of seconds, or ISO 8601 without years and months.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.starts_with('P') {
        return match iso8601::duration(text).ok()? {
            // Their length depends on where they start.
            iso8601::Duration::YMDHMS { year: 1.., .. } | iso8601::Duration::YMDHMS { month: 1.., .. } => None,
            duration => Some(duration.into()),
        };
    }
    let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let unit = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit).ok()
}
