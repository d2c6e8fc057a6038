//! What a caller filled in, read by an action's fields.

use std::{borrow::Cow, fmt::Write as _};

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{
    definition::{Action, Field, FieldType, When},
    engine::Fields,
};
use crate::{
    domain::{
        duration::{parse_day, parse_moment},
        global_id::{self, NodeType},
        money::{Money, parse_decimal},
        text::{self, LINE, LONG, Rules},
    },
    error::Fault,
};

/// What a caller filled in. A field that is missing takes its default; one that is JSON `null` or blank is empty.
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
    /// `MEMBER`, `OPPORTUNITY`, `PARTNERSHIP` and `LEAD`: the id as the caller gave it; whether there is such a thing, and
    /// whether the caller may know of it, is not decided here.
    Id(String),
    /// `OPPORTUNITY_FORM`: as the caller gave it; its fields are not read here.
    Object(Map<String, Value>),
}

/// What was filled in and is acceptable, in the order of the action's fields; every fault goes to `faults`. A field that
/// is left out takes its default; one that is `null` is empty.
pub(super) fn read(
    action: &Action,
    form: &Form<'_>,
    fields: Fields<'_>,
    faults: &mut Vec<Fault>,
) -> Vec<(String, FieldValue)> {
    for key in form.values.keys() {
        if !action.fields.iter().any(|field| field.key == *key) {
            faults.push(unknown(action, form, key));
        }
    }
    let mut values = Vec::with_capacity(action.fields.len());
    for field in &action.fields {
        let at = || format!("{}.{}", form.prefix, field.key);
        let given = effective(form, field, fields);
        if field.read_only && present(form, field).is_some_and(|typed| !is_same(field, typed, given.as_deref())) {
            faults.push(text::invalid(&at(), "is filled in by itself and can't be changed"));
            continue;
        }
        match given {
            Some(value) => {
                if let Some(value) = read_value(field, &value, &at, faults) {
                    values.push((field.key.clone(), value));
                }
            }
            None if field.required
                || field.required_when.as_ref().is_some_and(|when| asks(action, when, form, fields)) =>
            {
                faults.push(text::missing(&at()));
            }
            None => {}
        }
    }
    for group in &action.exactly_one_of {
        exactly_one(action, group, form, faults);
    }
    values
}

/// The value of a field: what the caller filled in, else its default. What is `null` or blank is empty; what can't be
/// changed is its default in any case.
fn effective<'a>(form: &Form<'a>, field: &Field, fields: Fields<'_>) -> Option<Cow<'a, Value>> {
    let default = || default_text(field, fields).map(|text| Cow::Owned(default_value(field, text)));
    if field.read_only {
        return default();
    }
    match present(form, field) {
        Some(value) => Some(Cow::Borrowed(value)),
        None if form.values.contains_key(&field.key) => None,
        None => default(),
    }
}

/// Whether what a caller gave is the value that the field has anyway, be it written otherwise.
fn is_same(field: &Field, typed: &Value, value: Option<&Value>) -> bool {
    let read = |value| read_value(field, value, &String::new, &mut Vec::new());
    value.is_some_and(|value| typed == value || read(typed).is_some_and(|typed| Some(typed) == read(value)))
}

/// Whether a condition on the form holds.
fn asks(action: &Action, when: &When, form: &Form<'_>, fields: Fields<'_>) -> bool {
    let field = action.fields.iter().find(|field| field.key == when.field);
    let value = field.and_then(|field| effective(form, field, fields));
    value.is_some_and(|value| when.one_of.iter().any(|option| value.as_str() == Some(option)))
}

/// What a field is where the caller leaves it out, as text.
pub(super) fn default_text(field: &Field, fields: Fields<'_>) -> Option<String> {
    field.default_from.as_ref().and_then(|path| fields.read(path)).or_else(|| field.default.clone())
}

/// A default as a caller would give it.
pub(super) fn default_value(field: &Field, text: String) -> Value {
    match field.kind {
        FieldType::Integer | FieldType::Boolean | FieldType::Money | FieldType::OpportunityForm => {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        _ => Value::String(text),
    }
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

/// The value, read; its place is asked for only where something is wrong with it.
fn read_value(field: &Field, value: &Value, at: &dyn Fn() -> String, faults: &mut Vec<Fault>) -> Option<FieldValue> {
    let value = match field.kind {
        FieldType::Money => return read_money(value, &at(), faults).map(FieldValue::Money),
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
        FieldType::Member => return read_id(value, NodeType::Member, &at(), faults),
        FieldType::Opportunity => return read_id(value, NodeType::Opportunity, &at(), faults),
        FieldType::Partnership => return read_id(value, NodeType::Partnership, &at(), faults),
        FieldType::Lead => return read_id(value, NodeType::Lead, &at(), faults),
        FieldType::OpportunityForm => match value {
            Value::Object(form) => Ok(FieldValue::Object(form.clone())),
            _ => Err("must be an object with the new opportunity's fields".to_owned()),
        },
    };
    value.map_err(|message| faults.push(text::invalid(&at(), &message))).ok()
}

fn string(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "must be a string".to_owned())
}

fn clean(rules: Rules, typed: &str) -> Result<String, String> {
    rules.clean(typed)?.ok_or_else(|| "must not be blank".to_owned())
}

fn choose(field: &Field, typed: &str) -> Result<String, String> {
    let options = field.options.as_deref().unwrap_or_default();
    if options.iter().any(|option| option.value == typed) {
        return Ok(typed.to_owned());
    }
    Err(format!("must be one of {}", list(options.iter().map(|option| option.value.as_str()), "or")))
}

/// An id of that kind. Whether there is such a thing, and whether the caller may know of it, is not decided here.
fn read_id(value: &Value, kind: NodeType, at: &str, faults: &mut Vec<Fault>) -> Option<FieldValue> {
    let typed = text::keep(string(value).and_then(|typed| clean(LINE, typed)), at, faults)?;
    if let Err(message) = global_id::expect(&typed, kind) {
        faults.push(Fault::invalid(at, message));
        return None;
    }
    Some(FieldValue::Id(typed))
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
            field["options"] = json!([
                {"value": "RED", "label": "Red"}, {"value": "GREEN", "label": "Green"}, {"value": "BLUE", "label": "Blue"},
            ]);
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
        read_for(action, values, Fields::None)
    }

    fn read_for(action: &Action, values: &Value, fields: Fields<'_>) -> Result<Vec<(String, FieldValue)>, Vec<Fault>> {
        let mut faults = Vec::new();
        let form = Form { values: values.as_object().unwrap(), prefix: "input.fields" };
        let values = read(action, &form, fields, &mut faults);
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }

    /// The faults' paths in the form.
    fn places(result: Result<Vec<(String, FieldValue)>, Vec<Fault>>) -> Vec<String> {
        let faults = result.unwrap_err();
        faults.into_iter().map(|fault| fault.field.unwrap().replacen("input.fields.", "", 1)).collect()
    }

    fn text(values: &[(String, FieldValue)], key: &str) -> Option<String> {
        values.iter().find(|(found, _)| found == key).map(|(_, value)| match value {
            FieldValue::Text(text) => text.clone(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn each_type_reads_its_values_and_refuses_others() {
        let cases = [
            (
                "TEXT",
                json!(" a "),
                vec![json!(1), json!("a\nb"), json!("a\u{0}"), json!("x".repeat(256)), json!("\u{0}")],
            ),
            ("LONG_TEXT", json!("a\nb"), vec![json!(true), json!("\u{202E}a"), json!("x".repeat(32_001))]),
            ("INTEGER", json!(-3), vec![json!("3"), json!(3.5), json!(1e300), json!(u64::MAX)]),
            ("DECIMAL", json!("-3.25"), vec![json!(3.25), json!("1e3"), json!("x")]),
            ("DATE", json!("2026-11-21"), vec![json!("2026-02-30"), json!("21.11.2026"), json!(2026)]),
            ("DATE_TIME", json!("2026-11-21T09:30:00Z"), vec![json!("2026-11-21"), json!(1)]),
            ("BOOLEAN", json!(false), vec![json!("false"), json!(0)]),
            ("CHOICE", json!("GREEN"), vec![json!("green"), json!("BLACK"), json!(1)]),
            (
                "MEMBER",
                json!("AgGQLFwAAHAAgAAAAAAAAAE"),
                vec![json!(1), json!("x".repeat(256)), json!("a\nb"), json!("abc"), json!("AwGQLFwAAHAAgAAAAAAAAAE")],
            ),
            (
                "OPPORTUNITY",
                json!("BQGQLFwAAHAAgAAAAAAAAAE"),
                vec![json!({}), json!("abc"), json!("AgGQLFwAAHAAgAAAAAAAAAE")],
            ),
            (
                "PARTNERSHIP",
                json!("AwGQLFwAAHAAgAAAAAAAAAE"),
                vec![json!([, json!("abc"), json!("AgGQLFwAAHAAgAAAAAAAAAE")])],
            ),
            ("LEAD", json!("BAGQLFwAAHAAgAAAAAAAAAE"), vec![json!(1), json!("abc"), json!("AgGQLFwAAHAAgAAAAAAAAAE")]),
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

    fn with(mut field: Value, members: &Value) -> Value {
        let members = members.as_object().unwrap().clone();
        field.as_object_mut().unwrap().extend(members);
        field
    }

    #[test]
    fn a_default_is_taken_where_a_field_is_left_out_and_null_is_empty() {
        for (kind, default, value) in [
            ("TEXT", "a", FieldValue::Text("a".to_owned())),
            ("LONG_TEXT", "a\nb", FieldValue::Text("a\nb".to_owned())),
            ("INTEGER", "3", FieldValue::Integer(3)),
            ("DECIMAL", "3.50", FieldValue::Decimal("3.50".parse().unwrap())),
            ("BOOLEAN", "true", FieldValue::Boolean(true)),
            ("CHOICE", "GREEN", FieldValue::Text("GREEN".to_owned())),
            ("DATE", "2026-11-21", FieldValue::Date("2026-11-21".parse().unwrap())),
            ("DATE_TIME", "2026-11-21T09:30:00Z", FieldValue::DateTime("2026-11-21T09:30:00Z".parse().unwrap())),
        ] {
            for required in [true, false] {
                let action = action(&[with(field("f", kind, required), &json!({ "default": default }))], &json!([]));
                assert_eq!(read_json(&action, &json!({})), Ok(vec![("f".to_owned(), value.clone())]), "{kind}");
                for empty in [json!(null), json!(" ")] {
                    let read = read_json(&action, &json!({ "f": empty }));
                    if required {
                        assert_eq!(places(read), ["f"], "{kind}");
                    } else {
                        assert_eq!(read, Ok(Vec::new()), "{kind}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_default_comes_from_the_record_before_it_comes_from_the_definition() {
        use crate::domain::workflow::engine::tests::{bare_lead, whole_lead};
        let fields = [
            with(field("title", "TEXT", true), &json!({"defaultFrom": "title"})),
            with(field("city", "TEXT", true), &json!({"defaultFrom": "customer.address.city", "default": "Vienna"})),
            with(field("value", "MONEY", false), &json!({"defaultFrom": "estimatedValue"})),
            with(field("staff", "INTEGER", false), &json!({"defaultFrom": "customer.employees"})),
            with(field("owner", "MEMBER", true), &json!({"defaultFrom": "owner"})),
        ];
        let action = action(&fields, &json!([]));
        let whole = whole_lead();
        let values = read_for(&action, &json!({}), Fields::Lead(&whole)).unwrap();
        assert_eq!(text(&values, "title").as_deref(), Some("New line of presses"));
        assert_eq!(text(&values, "city").as_deref(), Some("Graz"));
        assert_eq!(values[2].1, FieldValue::Money(whole.value.unwrap()));
        assert_eq!(values[3].1, FieldValue::Integer(12));
        assert!(matches!(&values[4].1, FieldValue::Id(id) if !id.is_empty()));
        // What is filled in goes before.
        let values = read_for(&action, &json!({"title": "Presses", "city": "Linz"}), Fields::Lead(&whole)).unwrap();
        assert_eq!(text(&values, "title").as_deref(), Some("Presses"));
        assert_eq!(text(&values, "city").as_deref(), Some("Linz"));
        // Of an empty lead, what is required is to be filled in.
        let bare = bare_lead();
        assert_eq!(places(read_for(&action, &json!({}), Fields::Lead(&bare))), ["owner"]);
        let values = read_for(&action, &json!({"owner": "AgGQLFwAAHAAgAAAAAAAAAE"}), Fields::Lead(&bare)).unwrap();
        assert_eq!(text(&values, "city").as_deref(), Some("Vienna"));
        assert_eq!(values.len(), 3);
        assert_eq!(places(read_for(&action, &json!({"title": null}), Fields::Lead(&whole))), ["title"]);
    }

    #[test]
    fn what_is_read_only_is_what_it_is_filled_in_with() {
        use crate::domain::workflow::engine::tests::{bare_lead, whole_lead};
        let fields = [
            with(field("city", "TEXT", false), &json!({"defaultFrom": "customer.address.city", "readOnly": true})),
            with(field("value", "MONEY", false), &json!({"defaultFrom": "estimatedValue", "readOnly": true})),
        ];
        let action = action(&fields, &json!([]));
        let (whole, bare) = (whole_lead(), bare_lead());
        for given in [
            json!({}),
            json!({"city": null, "value": null}),
            json!({"city": "Graz", "value": {"amount": "12.50", "currency": "EUR"}}),
            json!({"city": " Graz ", "value": {"amount": "12.5", "currency": "EUR"}}),
        ] {
            let values = read_for(&action, &given, Fields::Lead(&whole)).unwrap();
            assert_eq!(text(&values, "city").as_deref(), Some("Graz"), "{given}");
            assert_eq!(values[1].1, FieldValue::Money(whole.value.unwrap()), "{given}");
        }
        for given in [json!({"city": "Linz"}), json!({"city": 1})] {
            let faults = read_for(&action, &given, Fields::Lead(&whole)).unwrap_err();
            assert_eq!(faults.len(), 1, "{given}");
            assert_eq!(faults[0].code, ErrorCode::InvalidInput);
            assert_eq!(faults[0].message, "city is filled in by itself and can't be changed.");
        }
        assert_eq!(read_for(&action, &json!({}), Fields::Lead(&bare)), Ok(Vec::new()));
        assert_eq!(places(read_for(&action, &json!({"city": "Graz"}), Fields::Lead(&bare))), ["city"]);
    }

    #[test]
    fn a_field_is_required_when_another_has_one_of_some_values() {
        let when = json!({"requiredWhen": {"field": "colour", "oneOf": ["RED", "BLUE"]}});
        let fields = |default: &Value| {
            [with(field("why", "TEXT", false), &when), with(field("colour", "CHOICE", false), default)]
        };
        let action_with = |default: Value| action(&fields(&default), &json!([]));
        let plain = action_with(json!({}));
        for (values, missing) in [
            (json!({}), false),
            (json!({"colour": "GREEN"}), false),
            (json!({"colour": "RED"}), true),
            (json!({"colour": "BLUE", "why": " "}), true),
            (json!({"colour": "BLUE", "why": "so"}), false),
            (json!({"colour": null}), false),
        ] {
            let read = read_json(&plain, &values);
            assert_eq!(read.is_err(), missing, "{values}");
            if missing {
                assert_eq!(places(read), ["why"]);
            }
        }
        // A default counts as if it had been filled in.
        let filled = action_with(json!({"default": "RED"}));
        assert_eq!(places(read_json(&filled, &json!({}))), ["why"]);
        assert!(read_json(&filled, &json!({"colour": null})).is_ok());
        assert!(read_json(&filled, &json!({"colour": "GREEN"})).is_ok());
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
                "OPPORTUNITY", "OPPORTUNITY_FORM", "PARTNERSHIP", "LEAD",
            ] {
                let action = action(&[field("a", kind, false)], &json!([]));
                let _ = read_json(&action, &json!({ "a": value }));
            }
        }
    }
}
