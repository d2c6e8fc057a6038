//! JSON, record by record: an array of them, or an object with `records`, or with `result` and `records` below it.

use std::{
    fmt,
    io::{BufReader, Read},
};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{
    Unreadable,
    file::{Guard, Pump},
    reading::At,
};
use crate::domain::text;

/// What a file says of its own extent, wherever it says it.
#[derive(Debug, Default)]
pub(super) struct Extent {
    /// How many records there are in all.
    pub(super) total: Option<usize>,
    /// Whether no more follow.
    pub(super) done: Option<bool>,
    found: bool,
}

const LIST: &str = "a list of records, {\"records\": [...]} or [...]";

/// Hands on each record as soon as it is read.
pub(super) fn read(reader: impl Read, pump: &mut Pump<'_>) -> Result<Extent, Unreadable> {
    let allowance = pump.allowance.clone();
    // The library asks for a byte at a time.
    let buffered = BufReader::with_capacity(1 << 16, Guard::new(reader, allowance));
    let mut from = serde_json::Deserializer::from_reader(buffered);
    let mut extent = Extent::default();
    let root = Root { pump, extent: &mut extent, prefix: String::new() };
    root.deserialize(&mut from).and_then(|()| from.end()).map_err(|fault| unreadable(&fault))?;
    Ok(extent)
}

/// A whole value, and the pointers of the keys that stand twice in their objects.
pub(super) fn value(text: &str) -> Result<(Value, Vec<String>), Unreadable> {
    let mut from = serde_json::Deserializer::from_str(text);
    let mut notes = Notes::default();
    let value = Strict(&mut notes).deserialize(&mut from);
    let value = value.and_then(|value| from.end().map(|()| value)).map_err(|fault| unreadable(&fault))?;
    Ok((value, notes.twice))
}

fn unreadable(fault: &serde_json::Error) -> Unreadable {
    let (line, column) = (fault.line(), fault.column());
    let text = fault.to_string();
    let text = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    let message = match fault.classify() {
        serde_json::error::Category::Syntax => format!("this is no JSON: {text}"),
        serde_json::error::Category::Eof => format!("this is no JSON, or it is cut off: {text}"),
        serde_json::error::Category::Io | serde_json::error::Category::Data => text.to_owned(),
    };
    Unreadable { message, place: (line > 0).then_some((line, column)) }
}

struct Root<'p, 'm> {
    pump: &'p mut Pump<'m>,
    extent: &'p mut Extent,
    prefix: String,
}

impl<'de> DeserializeSeed<'de> for Root<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Root<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LIST)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        List { pump: self.pump, extent: self.extent, prefix: &self.prefix }.visit_seq(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { pump, extent, prefix } = self;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "records" => {
                    let prefix = format!("{prefix}/records");
                    map.next_value_seed(List { pump: &mut *pump, extent: &mut *extent, prefix: &prefix })?;
                }
                "result" if prefix.is_empty() => {
                    let prefix = "/result".to_owned();
                    map.next_value_seed(Root { pump: &mut *pump, extent: &mut *extent, prefix })?;
                }
                "totalSize" => extent.total = number(&map.next_value_seed(Scalar)?).or(extent.total),
                "done" => extent.done = truth(&map.next_value_seed(Scalar)?).or(extent.done),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if prefix.is_empty() && !extent.found {
            return Err(A::Error::custom(format!("there is no list of records: {LIST} is expected")));
        }
        Ok(())
    }
}

fn number(value: &Value) -> Option<usize> {
    match value {
        Value::Number(number) => usize::try_from(number.as_u64()?).ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

struct List<'p, 'm, 'x> {
    pump: &'p mut Pump<'m>,
    extent: &'p mut Extent,
    prefix: &'x str,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LIST)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { pump, extent, prefix } = self;
        if std::mem::replace(&mut extent.found, true) {
            return Err(A::Error::custom("there is a second list of records"));
        }
        for index in 0_usize.. {
            pump.allowance.refill();
            let mut notes = Notes::default();
            let Some(value) = list.next_element_seed(Strict(&mut notes))? else { break };
            let at = At::Pointer(format!("{prefix}/{index}"));
            if !pump.record(at, &value, &notes.twice) {
                return Err(A::Error::custom("nobody reads on"));
            }
        }
        pump.allowance.lift();
        Ok(())
    }
}

/// Any value but one of several: what is not a scalar is passed over.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a text")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }
}

/// What was seen while a value was read.
#[derive(Default)]
struct Notes {
    path: Vec<String>,
    /// The pointers of keys that stand twice in their objects; a few of them.
    twice: Vec<String>,
}

/// Reads a value, and notes the keys that stand twice, of which the library would keep the last without a word.
struct Strict<'n>(&'n mut Notes);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        self.0.path.push(String::new());
        loop {
            if let Some(place) = self.0.path.last_mut() {
                *place = values.len().to_string();
            }
            match list.next_element_seed(Strict(&mut *self.0))? {
                Some(value) => values.push(value),
                None => break,
            }
        }
        self.0.path.pop();
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        const MOST: usize = 10;
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            self.0.path.push(text::excerpt(&key).replace('~', "~0").replace('/', "~1"));
            let value = map.next_value_seed(Strict(&mut *self.0))?;
            if fields.insert(key, value).is_some() && self.0.twice.len() < MOST {
                self.0.twice.push(format!("/{}", self.0.path.join("/")));
            }
            self.0.path.pop();
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_stand_twice_are_noted_with_their_places() {
        let (read, twice) =
            value(r#"{"a": 1, "b": [{"c": 1, "c": 2}], "a": 3, "d/e": {"f": null, "f": null}}"#).unwrap();
        assert_eq!(read, serde_json::json!({"a": 3, "b": [{"c": 2}], "d/e": {"f": null}}));
        assert_eq!(twice, ["/b/0/c", "/a", "/d~1e/f"]);
        assert!(value("{} x").is_err());
    }
}
