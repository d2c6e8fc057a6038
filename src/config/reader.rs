//! Reads one setting at a time from the environment, the file or the table of defaults, and collects the faults.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::{Table, Value};

use super::jwt;
use super::settings::{self, SETTINGS, Setting};

/// The largest file that a secret is read from.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// Where values are looked for, and what was wrong with them.
pub(super) struct Reader {
    env: BTreeMap<String, String>,
    /// Of a variable whose value was read from a file: how a fault names it.
    origins: BTreeMap<String, String>,
    file: Option<(String, Table)>,
    pub(super) faults: Vec<String>,
}

/// A setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its dotted key.
    pub key: &'static str,
    /// Its value as a TOML file would hold it, without secrets; nothing: unset.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: String,
}

impl Effective {
    /// Whether nobody has set it.
    pub fn is_default(&self) -> bool {
        self.origin == DEFAULT
    }
}

const DEFAULT: &str = "default";

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
        let mut reader = Self { env, origins: BTreeMap::new(), file, faults };
        reader.read_secret_files();
        reader.check_keys();
        reader
    }

    /// Puts the content of the files that hold secrets in the place of their variables.
    fn read_secret_files(&mut self) {
        for setting in SETTINGS {
            let Some((name, path)) = setting.file_env().and_then(|name| self.env.remove_entry(&name)) else { continue };
            if self.env.contains_key(setting.env) {
                self.faults.push(format!("{}, {name}: only one of the two may be set", setting.env));
                continue;
            }
            let path = path.trim();
            match secret_of(path) {
                Ok(text) => {
                    self.origins.insert(setting.env.to_owned(), format!("{name} ({path})"));
                    self.env.insert(setting.env.to_owned(), text);
                }
                Err(fault) => self.faults.push(format!("{name}: {path} {fault}")),
            }
        }
    }

    /// Every setting as it is in force, without secrets.
    pub(super) fn effective(&self) -> Vec<Effective> {
        let of_file = self.file.as_ref().and_then(|(file, table)| {
            let value = jwt::without_secrets(lookup(table, jwt::ISSUERS)?);
            Some(Effective { key: jwt::ISSUERS, value: Some(value), origin: format!("{file}: {}", jwt::ISSUERS) })
        });
        SETTINGS.iter().map(|setting| self.effect_of(setting)).chain(of_file).collect()
    }

    fn effect_of(&self, setting: &Setting) -> Effective {
        let (value, origin) = if let Some(text) = self.env.get(setting.env) {
            (Some(plain(setting, text)), self.origin(setting))
        } else if let Some((file, value)) =
            self.file.as_ref().and_then(|(file, table)| Some((file, lookup(table, setting.key)?)))
        {
            let value = value.as_str().map_or_else(|| value.to_string(), |text| plain(setting, text));
            (Some(value), format!("{file}: {}", setting.key))
        } else {
            (setting.default.map(|text| plain(setting, text)), DEFAULT.to_owned())
        };
        Effective { key: setting.key, value, origin }
    }

    fn origin(&self, setting: &Setting) -> String {
        self.origins.get(setting.env).cloned().unwrap_or_else(|| setting.env.to_owned())
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
                    _ if settings::find(&key).is_some() || key == jwt::ISSUERS => {}
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
            (self.origin(setting), Raw::Text(text))
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

    /// Names that `parse` makes something of, written as one string or, in the file, as a list.
    pub(super) fn parsed_list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Found<T>> {
        self.found(key, |raw| match raw {
            Raw::Text(text) => parse(text.trim()),
            Raw::Value(value) => parse(&names(value)?),
        })
    }

    /// The tables of a list that only the file can hold, each with its place.
    pub(super) fn tables(&mut self, key: &str) -> Vec<(String, Table)> {
        let Some((file, table)) = &self.file else { return Vec::new() };
        let Some(value) = lookup(table, key) else { return Vec::new() };
        let of = |value: &Value| value.as_array()?.iter().map(|it| it.as_table().cloned()).collect::<Option<Vec<_>>>();
        if let Some(tables) = of(value) {
            let placed = |(at, table)| (format!("{file}: {key}[{at}]"), table);
            return tables.into_iter().enumerate().map(placed).collect();
        }
        let fault = format!("{file}: {key}: must be a list of tables, each written as [[{key}]]");
        self.faults.push(fault);
        Vec::new()
    }

    /// A number that `parse` makes something of, written as text or as a number.
    pub(super) fn parsed_number<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Found<T>> {
        self.found(key, |raw| match raw {
            Raw::Value(Value::Integer(number)) => parse(&number.to_string()),
            Raw::Value(Value::Float(number)) => parse(&number.to_string()),
            raw => parse(&text(raw)?),
        })
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

/// What a file that holds a secret says.
fn secret_of(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_SECRET_FILE + 1).read_to_string(&mut text));
    let read = read.map_err(|fault| format!("can't be read: {fault}"))?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_SECRET_FILE {
        return Err("is too large for a secret".to_owned());
    }
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(text.trim().to_owned())
}

/// A value as TOML writes it, without what is secret in it.
fn plain(setting: &Setting, text: &str) -> String {
    let text = text.trim();
    let shown = match setting.key {
        "database.url" => super::DatabaseUrl::parse(text).map(|url| url.to_string()),
        "bus.url" => super::Bus::parse(text).map(|bus| bus.to_string()),
        // Its query may hold a key.
        "jwt.jwks_url" => url::Url::parse(text).map(|url| super::shown(&url)).map_err(|_| String::new()),
        _ if setting.is_secret() => Err(String::new()),
        _ => Ok(without_password(text)),
    };
    let shown = shown.unwrap_or_else(|_| "***".to_owned());
    // Numbers and flags stand bare in TOML.
    let bare = shown.parse::<i64>().is_ok() || shown.parse::<bool>().is_ok();
    if bare { shown } else { Value::String(shown).to_string() }
}

/// An address may hold a password wherever one is taken.
fn without_password(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut url) if url.password().is_some() => {
            // A URL with a password has a host, and so takes another password.
            let _ = url.set_password(Some("***"));
            url.to_string()
        }
        _ => text.to_owned(),
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

/// A string, or the strings of a list parted by commas.
pub(super) fn names(value: &Value) -> Result<String, String> {
    let names = match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Array(many) => many.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(|many| many.join(",")),
        _ => None,
    };
    names.ok_or_else(|| "must be a string, or a list of strings".to_owned())
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
