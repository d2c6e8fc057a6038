//! The scalars. Most take any string: whether it is a country or an e-mail address is for the domain to say, which
//! names the field and tells all faults of an input at once.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{SecondsFormat, Utc};

use crate::domain::duration::parse_moment;

/// Whether a value can be one of the scalar of that name; the error says what it must be.
pub(super) fn check(name: &str, value: &Value) -> Result<(), String> {
    match (name, value) {
        ("DateTime", Value::String(text)) => parse_moment(text).map(drop),
        ("JSON", _) | (_, Value::String(_)) => Ok(()),
        _ => Err("must be a string".to_owned()),
    }
}

macro_rules! text_scalars {
    ($($(#[doc = $doc:literal])* $name:ident $(as $graphql:literal)? by $url:literal;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub String);

        $(#[doc = $doc])*
        #[Scalar($(name = $graphql,)? specified_by_url = $url)]
        impl ScalarType for $name {
            fn parse(value: Value) -> InputValueResult<Self> {
                match value {
                    Value::String(text) => Ok(Self(text)),
                    other => Err(InputValueError::expected_type(other)),
                }
            }

            fn to_value(&self) -> Value {
                Value::String(self.0.clone())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<$name> for String {
            fn from(scalar: $name) -> Self {
                scalar.0
            }
        }
    )*};
}

text_scalars! {
    /// A day of the calendar, ISO 8601: `2026-11-21`.
    Date by "https://www.rfc-editor.org/rfc/rfc3339#section-5.6";
    /// A decimal number as a string, never a float: `"1250.50"`.
    Decimal by "https://www.w3.org/TR/xmlschema-2/#decimal";
    /// A length of time, ISO 8601: `P7D`, `PT36H`, `P1M`.
    Duration by "https://www.iso.org/iso-8601-date-and-time-format.html";
    /// A currency, ISO 4217: `EUR`.
    CurrencyCode by "https://www.iso.org/iso-4217-currency-codes.html";
    /// A country, ISO 3166-1 alpha-2: `DE`; `XK` is Kosovo.
    CountryCode by "https://www.iso.org/iso-3166-country-codes.html";
    /// An e-mail address: `name@example.com`.
    EmailAddress by "https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address";
    /// A phone number. Given as people type it, in international form or in that of the address's country; returned as
    /// E.164: `+14155552671`.
    PhoneNumber by "https://www.itu.int/rec/T-REC-E.164";
    /// An absolute web address, http or https.
    Url as "URL" by "https://url.spec.whatwg.org/";
}

/// A moment, RFC 3339 in UTC with milliseconds: `2026-11-21T22:10:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime(pub chrono::DateTime<Utc>);

/// A moment, RFC 3339 in UTC with milliseconds: `2026-11-21T22:10:00.000Z`.
#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => {
                let moment = parse_moment(&text).map_err(|message| format!("a DateTime {message}"))?;
                Ok(Self(moment))
            }
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl From<chrono::DateTime<Utc>> for DateTime {
    fn from(moment: chrono::DateTime<Utc>) -> Self {
        Self(moment)
    }
}

/// Any JSON value; for the fields of an action's form, an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub serde_json::Value);

/// Any JSON value; for the fields of an action's form, an object.
#[Scalar(name = "JSON", specified_by_url = "https://www.rfc-editor.org/rfc/rfc8259")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or_default()
    }
}
