//! What a caller filled in, read by an action's fields.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::definition::{Action, Field, FieldType};
use crate::{
    domain::{
        duration::{parse_day, parse_moment},
        money::{Money, parse_decimal},
        text::{self, LINE, LONG, Rules},
    },
    error::Fault,
};

/// What a caller filled in. A missing field and one that is JSON `null` are the same.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// The values by field key.
    pub values: &'a Map<String, Value>,
    /// The input path that the values stand at: `input` for a mutation of its own, `input.fields` for any action.
    pub prefix: &'a str,
}

/// A value of a form, read.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// `TEXT`, `LONG_TEXT` and `CHOICE`: trimmed, never blank.
    Text(String),
    /// `INTEGER`
    Integer(i64),
    /// `DECIMAL`
    Decimal(Decimal),
    /// `MONEY`
    Money(Money),
    /// `DATE`
    Date(NaiveDate),
    /// `DATE_TIME`
    DateTime(DateTime<Utc>),
    /// `BOOLEAN`
    Boolean(bool),
    /// `MEMBER`, `OPPORTUNITY` and `PARTNERSHIP`: the id as the caller gave it; whether there is such a thing, and
    /// whether the caller may know of it, is not decided here.
    Id(String),
    /// `OPPORTUNITY_FORM`: as the caller gave it; its fields are not read here.
    Object(Map<String, Value>),
}

/// What was filled in and is acceptable, in the order of the action's fields; every fault goes to `faults`.
pub(super) fn read(action: &Action, form: &Form<'_>, faults: &mut Vec<Fault>) -> Vec<(String, FieldValue)> {
    for key in form.values.keys() {
        if !action.fields.iter().any(|field| field.key == *key) {
            faults.push(unknown(action, form, key));
        }
    }
    let mut values = Vec::with_capacity(action.fields.len());
    for field in &action.fields {
        let at = || format!("{}.{}", form.prefix, field.key);
        match present(form, field) {
            Some(value) => {
                if let Some(value) = read_value(field, value, &at(), faults) {
                    values.push((field.key.clone(), value));
                }
            }
            None if field.required => faults.push(text::missing(&at())),
            None => {}
        }
    }
    for group in &action.exactly_one_of {
        exactly_one(action, group, form, faults);
    }
    values
}

/// The value of a field where there is one: not null, and not a blank text.
fn present<'a>(form: &Form<'a>, field: &Field) -> Option<&'a Value> {
    form.values.get(&field.key).filter(|value| match value {
        Value::Null => false,
        // A NUL is not white space, so that a text with one is refused and not overlooked.
        Value::String(text) => !text::is_blank(text),
        _ => true,
    })
}

fn unknown(action: &Action, form: &Form<'_>, key: &str) -> Fault {
    let key = text::excerpt(key);
    let mut message = format!("{key} is not a field of {}", action.key);
    if action.fields.is_empty() {
        message.push_str(", which has none.");
    } else {
        let _ = write!(message, "; it has {}.", list(action.fields.iter().map(|field| field.key.as_str()), "and"));
    }
    Fault::invalid(format!("{}.{key}", form.prefix), message)
}

fn exactly_one(action: &Action, group: &[String], form: &Form<'_>, faults: &mut Vec<Fault>) {
    let given = |key: &&String| action.fields.iter().any(|field| field.key == **key && present(form, field).is_some());
    let names = || list(group.iter().map(String::as_str), "or");
    let mut chosen = group.iter().filter(given);
    match (chosen.next(), chosen.next(), group.first()) {
        (None, _, Some(first)) => {
            faults.push(Fault::required(format!("{}.{first}", form.prefix), format!("Give one of {}.", names())));
        }
        (Some(_), Some(second), _) => {
            faults.push(Fault::invalid(format!("{}.{second}", form.prefix), format!("Give only one of {}.", names())));
        }
        _ => {}
    }
}

fn read_value(field: &Field, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<FieldValue> {
    let value = match field.kind {
        FieldType::Money => return read_money(value, at, faults).map(FieldValue::Money),
        FieldType::Text => string(value).and_then(|typed| clean(LINE, typed)).map(FieldValue::Text),
        FieldType::LongText => string(value).and_then(|typed| clean(LONG, typed)).map(FieldValue::Text),
        FieldType::Choice => string(value).and_then(|typed| choose(field, typed)).map(FieldValue::Text),
        FieldType::Integer => {
            value.as_i64().map(FieldValue::Integer).ok_or_else(|| "must be a whole number".to_owned())
        }
        FieldType::Boolean => {
            value.as_bool().map(FieldValue::Boolean).ok_or_else(|| "must be true or false".to_owned())
        }
        FieldType::Decimal => string(value).and_then(parse_decimal).map(FieldValue::Decimal),
        FieldType::Date => string(value).and_then(parse_day).map(FieldValue::Date),
        FieldType::DateTime => string(value).and_then(parse_moment).map(FieldValue::DateTime),
        FieldType::Member | FieldType::Opportunity | FieldType::Partnership => {
            string(value).and_then(|typed| clean(LINE, typed)).map(FieldValue::Id)
        }
        FieldType::OpportunityForm => match value {
            Value::Object(form) => Ok(FieldValue::Object(form.clone())),
            _ => Err("must be an object with the new opportunity's fields".to_owned()),
        },
    };
    text::keep(value, at, faults)
}

fn string(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "must be a string".to_owned())
}

fn clean(rules: Rules, typed: &str) -> Result<String, String> {
    rules.clean(typed)?.ok_or_else(|| "must not be blank".to_owned())
}

fn choose(field: &Field, typed: &str) -> Result<String, String> {
    let options = field.options.as_deref().unwrap_or_default();
    if options.iter().any(|option| option == typed) {
        return Ok(typed.to_owned());
    }
    Err(format!("must be one of {}", list(options.iter().map(String::as_str), "or")))
}

fn read_money(value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<Money> {
    let shape =
        "must be an object with amount and currency as strings, such as {\"amount\": \"12.50\", \"currency\": \"EUR\"}";
    let Value::Object(money) = value else {
        faults.push(text::invalid(at, shape));
        return None;
    };
    let before = faults.len();
    for key in money.keys().filter(|key| !matches!(key.as_str(), "amount" | "currency")) {
        faults.push(text::invalid(&format!("{at}.{}", text::excerpt(key)), "is not a field of money"));
    }
    let mut part = |key: &str| {
        let at = format!("{at}.{key}");
        match money.get(key) {
            None | Some(Value::Null) => {
                faults.push(text::missing(&at));
                None
            }
            Some(Value::String(part)) => Some(part.as_str()),
            Some(_) => {
                faults.push(text::invalid(&at, "must be a string"));
                None
            }
        }
    };
    let (amount, currency) = (part("amount"), part("currency"));
    let money = Money::parse(amount?, currency?, at, faults)?;
    (faults.len() == before).then_some(money)
}

/// "a, b or c"
pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>, last: &str) -> String {
    let names: Vec<&str> = names.collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::error::ErrorCode;

    fn field(key: &str, kind: &str, required: bool) -> Value {
        let mut field = json!({"key": key, "label": key, "type": kind, "required": required});
        if kind == "CHOICE" {
            field["options"] = json!(["RED", "GREEN", "BLUE"]);
        }
        field
    }

    fn action(fields: &[Value], exactly_one_of: &Value) -> Action {
        serde_json::from_value(json!({
            "key": "act", "name": "Act", "from": [], "to": "x", "fields": fields, "exactlyOneOf": exactly_one_of,
        }))
        .unwrap()
    }

    fn read_json(action: &Action, values: &Value) -> Result<Vec<(String, FieldValue)>, Vec<Fault>> {
        let mut faults = Vec::new();
        let form = Form { values: values.as_object().unwrap(), prefix: "input.fields" };
        let values = read(action, &form, &mut faults);
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }

    #[test]
    fn each_type_reads_its_values_and_refuses_others() {
        let cases = [
            (
                "TEXT",
                json!(" a "),
                vec![json!(1), json!("a\nb"), json!("a\u{0}"), json!("x".repeat(201)), json!("\u{0}")],
            ),
            ("LONG_TEXT", json!("a\nb"), vec![json!(true), json!("\u{202E}a"), json!("x".repeat(2001))]),
            ("INTEGER", json!(-3), vec![json!("3"), json!(3.5), json!(1e300), json!(u64::MAX)]),
            ("DECIMAL", json!("-3.25"), vec![json!(3.25), json!("1e3"), json!("x")]),
            ("DATE", json!("2026-11-21"), vec![json!("2026-02-30"), json!("21.11.2026"), json!(2026)]),
            ("DATE_TIME", json!("2026-11-21T09:30:00Z"), vec![json!("2026-11-21"), json!(1)]),
            ("BOOLEAN", json!(false), vec![json!("false"), json!(0)]),
            ("CHOICE", json!("GREEN"), vec![json!("green"), json!("BLACK"), json!(1)]),
            ("MEMBER", json!("abc"), vec![json!(1), json!("x".repeat(201)), json!("a\nb")]),
            ("OPPORTUNITY", json!("abc"), vec![json!({})]),
            ("PARTNERSHIP", json!("abc"), vec![json!([])]),
            ("OPPORTUNITY_FORM", json!({"name": "x"}), vec![json!("x"), json!([])]),
            ("MONEY", json!({"amount": "12.50", "currency": "EUR"}), vec![json!("12.50 EUR"), json!(12)]),
        ];
        for (kind, good, bad) in cases {
            let action = action(&[field("f", kind, true)], &json!([]));
            let values = read_json(&action, &json!({ "f": good })).unwrap();
            assert_eq!(values.len(), 1, "{kind}");
            for bad in bad {
                let faults = read_json(&action, &json!({ "f": bad })).unwrap_err();
                assert_eq!(faults.len(), 1, "{kind} {bad}");
                assert_eq!(faults[0].code, ErrorCode::InvalidInput, "{kind} {bad}");
                assert_eq!(faults[0].field.as_deref(), Some("input.fields.f"));
            }
            for missing in [json!({}), json!({"f": null}), json!({"f": " \u{200B}"})] {
                let faults = read_json(&action, &missing).unwrap_err();
                assert_eq!(faults.len(), 1, "{kind} {missing}");
                assert_eq!(faults[0].code, ErrorCode::Required, "{kind} {missing}");
            }
        }
    }

    #[test]
    fn every_fault_of_a_form_comes_at_once() {
        let action = action(
            &[
                field("a", "TEXT", true),
                field("b", "INTEGER", false),
                field("m", "MONEY", true),
                field("n", "MONEY", true),
            ],
            &json!([]),
        );
        let faults = read_json(
            &action,
            &json!({"b": "x", "c": 1, "m": {"amount": "1.234", "currency": "EUR"}, "n": {"amount": 5, "tax": 1}}),
        )
        .unwrap_err();
        let found: Vec<_> = faults.iter().map(|fault| (fault.code, fault.field.as_deref().unwrap())).collect();
        assert_eq!(
            found,
            [
                (ErrorCode::InvalidInput, "input.fields.c"),
                (ErrorCode::Required, "input.fields.a"),
                (ErrorCode::InvalidInput, "input.fields.b"),
                (ErrorCode::InvalidInput, "input.fields.m.amount"),
                (ErrorCode::InvalidInput, "input.fields.n.tax"),
                (ErrorCode::InvalidInput, "input.fields.n.amount"),
                (ErrorCode::Required, "input.fields.n.currency"),
            ]
        );
        assert_eq!(faults[0].message, "c is not a field of act; it has a, b, m and n.");
    }

    #[test]
    fn of_a_group_exactly_one_has_to_be_given() {
        let action = action(&[field("a", "TEXT", false), field("b", "TEXT", false)], &json!([["a", "b"]]));
        assert!(read_json(&action, &json!({"a": "1"})).is_ok());
        assert!(read_json(&action, &json!({"a": null, "b": "1"})).is_ok());
        assert!(read_json(&action, &json!({"a": " ", "b": "1"})).is_ok());
        for (values, code, at) in [
            (json!({}), ErrorCode::Required, "input.fields.a"),
            (json!({"a": null, "b": ""}), ErrorCode::Required, "input.fields.a"),
            (json!({"a": "1", "b": "2"}), ErrorCode::InvalidInput, "input.fields.b"),
        ] {
            let faults = read_json(&action, &values).unwrap_err();
            assert_eq!(faults.len(), 1);
            assert_eq!((faults[0].code, faults[0].field.as_deref()), (code, Some(at)));
            assert!(faults[0].message.contains("a or b"), "{}", faults[0].message);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(json!("12.50")),
            Just(json!("EUR")),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("amount|currency|[a-c]|\\PC{0,5}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_value_panics(value in any_json()) {
            for kind in [
                "TEXT", "LONG_TEXT", "INTEGER", "DECIMAL", "MONEY", "DATE", "DATE_TIME", "BOOLEAN", "CHOICE", "MEMBER",
                "OPPORTUNITY", "OPPORTUNITY_FORM", "PARTNERSHIP",
            ] {
                let action = action(&[field("a", kind, false)], &json!([]));
                let _ = read_json(&action, &json!({ "a": value }));
            }
        }
    }
}
