//! Money: an exact decimal amount with an ISO 4217 currency.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::text;
use crate::error::Fault;

/// A currency of ISO 4217 that amounts are given in: no precious metals, no codes for tests or for "no currency".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The currency of that code, which is upper case as the standard writes it.
    ///
    /// # Errors
    /// A predicate for the caller.
    pub fn parse(code: &str) -> Result<Self, String> {
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some() && !currency.is_special())
            .map(Self)
            .ok_or_else(|| "must be an ISO 4217 currency code in upper case, such as \"EUR\"".to_owned())
    }

    /// The three letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals its amounts have: 2 for EUR, 0 for JPY, 3 for KWD.
    pub fn decimals(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        Self::parse(&code)
    }
}

impl From<Currency> for &'static str {
    fn from(currency: Currency) -> Self {
        currency.code()
    }
}

/// How many of the stored units make one of the currency: no currency has more than four decimals.
const SCALE: u32 = 4;
/// The largest amount. In ten-thousandths it takes a thousandth of an `i64`.
const MAX: i64 = 999_999_999_999;

/// An amount of a currency: not negative, below a million millions, with no more decimals than the currency has.
///
/// As JSON it is `{"amount": "12.50", "currency": "EUR"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

#[derive(Serialize, Deserialize)]
struct Written {
    amount: String,
    currency: Currency,
}

impl Money {
    /// That amount of that currency.
    ///
    /// # Errors
    /// A predicate about the amount, for the caller.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, String> {
        check_size(amount)?;
        if amount.scale() > currency.decimals() {
            return Err(match currency.decimals() {
                0 => format!("must be a whole number: {currency} has no decimals"),
                1 => format!("has too many decimals: {currency} has 1 decimal"),
                n => format!("has too many decimals: {currency} has {n} decimals"),
            });
        }
        let mut amount = amount.abs();
        amount.rescale(currency.decimals());
        Ok(Self { amount, currency })
    }

    /// The money of an input whose path is `prefix`; its faults, which stand at `.amount` and `.currency`, go to
    /// `faults`.
    pub fn parse(amount: &str, currency: &str, prefix: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let amount_at = format!("{prefix}.amount");
        let amount = parse_decimal(amount).and_then(|amount| check_size(amount).map(|()| amount));
        let amount = text::keep(amount, &amount_at, faults);
        let currency = text::keep(Currency::parse(currency), &format!("{prefix}.currency"), faults);
        text::keep(Self::new(amount?, currency?), &amount_at, faults)
    }

    /// As JSON with amount and currency as strings, the form in which forms take it.
    pub fn to_json(self) -> String {
        serde_json::json!({ "amount": self.to_string(), "currency": self.currency().code() }).to_string()
    }

    /// The money of a database row: `scaled` is in ten-thousandths of the currency.
    ///
    /// # Errors
    /// The row doesn't hold what [`to_scaled`](Self::to_scaled) gave.
    pub fn from_scaled(scaled: i64, currency: &str) -> Result<Self, String> {
        let currency = Currency::parse(currency).map_err(|fault| format!("the stored currency {fault}"))?;
        Self::new(Decimal::new(scaled, SCALE).normalize(), currency)
            .map_err(|fault| format!("the stored amount {fault}"))
    }

    /// The amount in ten-thousandths of the currency, as the database keeps it.
    pub fn to_scaled(self) -> i64 {
        let mut amount = self.amount;
        amount.rescale(SCALE);
        // At most MAX with four digits more: far inside i64.
        i64::try_from(amount.mantissa()).unwrap_or(i64::MAX)
    }

    /// The amount, with as many decimals as the currency has.
    pub const fn amount(self) -> Decimal {
        self.amount
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }
}

/// The amount alone, with as many decimals as the currency has: `12.50`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.amount.fmt(f)
    }
}

impl From<Money> for Written {
    fn from(money: Money) -> Self {
        Self { amount: money.to_string(), currency: money.currency }
    }
}

impl TryFrom<Written> for Money {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Self::new(parse_decimal(&written.amount)?, written.currency)
    }
}

/// A plain decimal number, `-12.50`: an optional minus, digits, and a point with digits after it. No exponent, no
/// grouping, nothing rounded.
///
/// # Errors
/// A predicate for the caller.
pub fn parse_decimal(text: &str) -> Result<Decimal, String> {
    let fault = || "must be a plain decimal number, such as \"12.50\"".to_owned();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !fraction.is_none_or(digits) {
        return Err(fault());
    }
    Decimal::from_str_exact(text).map_err(|_| "must have at most 28 digits".to_owned())
}

/// What holds for an amount whatever the currency.
fn check_size(amount: Decimal) -> Result<(), String> {
    if amount.is_sign_negative() && !amount.is_zero() {
        return Err("must not be negative".to_owned());
    }
    if amount > Decimal::from(MAX) {
        return Err(format!("must be at most {MAX}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(amount: &str, currency: &str) -> Result<Money, Vec<(String, String)>> {
        let mut faults = Vec::new();
        Money::parse(amount, currency, "input.value", &mut faults)
            .ok_or_else(|| faults.into_iter().map(|fault| (fault.field.unwrap(), fault.message)).collect())
    }

    #[test]
    fn amounts_are_shown_with_the_decimals_of_their_currency() {
        for (amount, currency, shown, scaled) in [
            ("12.5", "EUR", "12.50", 125_000),
            ("12", "EUR", "12.00", 120_000),
            ("0", "USD", "0.00", 0),
            ("-0", "USD", "0.00", 0),
            ("0012.50", "USD", "12.50", 125_000),
            ("1200", "JPY", "1200", 12_000_000),
            ("1.234", "KWD", "1.234", 12_340),
            ("1.2345", "CLF", "1.2345", 12_345),
            ("999999999999", "EUR", "999999999999.00", 9_999_999_999_990_000),
        ] {
            let money = money(amount, currency).unwrap();
            assert_eq!((money.to_string().as_str(), money.to_scaled()), (shown, scaled), "{amount} {currency}");
            assert_eq!(Money::from_scaled(scaled, currency), Ok(money));
        }
    }

    #[test]
    fn what_is_no_money_is_refused_with_its_place() {
        for (amount, currency, place, says) in [
            ("-1", "EUR", "input.value.amount", "negative"),
            ("1.234", "EUR", "input.value.amount", "EUR has 2 decimals"),
            ("12.500", "EUR", "input.value.amount", "EUR has 2 decimals"),
            ("1.5", "JPY", "input.value.amount", "JPY has no decimals"),
            ("1000000000000", "EUR", "input.value.amount", "at most"),
            ("99999999999999999999999999999999", "EUR", "input.value.amount", "28 digits"),
            ("1e3", "EUR", "input.value.amount", "plain"),
            ("1_000", "EUR", "input.value.amount", "plain"),
            ("1,5", "EUR", "input.value.amount", "plain"),
            ("+1", "EUR", "input.value.amount", "plain"),
            (".5", "EUR", "input.value.amount", "plain"),
            ("5.", "EUR", "input.value.amount", "plain"),
            ("", "EUR", "input.value.amount", "plain"),
            ("NaN", "EUR", "input.value.amount", "plain"),
            ("1", "eur", "input.value.currency", "upper case"),
            ("1", "XYZ", "input.value.currency", "ISO 4217"),
            ("1", "XXX", "input.value.currency", "ISO 4217"),
            ("1", "XAU", "input.value.currency", "ISO 4217"),
        ] {
            let faults = money(amount, currency).unwrap_err();
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].0, place);
            assert!(faults[0].1.contains(says), "{}", faults[0].1);
        }
        for amount in ["x", "-1", "1000000000000"] {
            assert_eq!(money(amount, "x").unwrap_err().len(), 2, "both faults of {amount} come together");
        }
    }

    #[test]
    fn money_goes_through_json() {
        let money = money("12.5", "EUR").unwrap();
        let json = serde_json::to_value(money).unwrap();
        assert_eq!(json, serde_json::json!({"amount": "12.50", "currency": "EUR"}));
        assert_eq!(serde_json::from_value::<Money>(json).unwrap(), money);
        assert!(serde_json::from_str::<Money>(r#"{"amount": "1.001", "currency": "EUR"}"#).is_err());
    }

    #[test]
    fn a_broken_row_is_told_and_not_rounded() {
        assert!(Money::from_scaled(12_345, "EUR").is_err());
        assert!(Money::from_scaled(-10_000, "EUR").is_err());
        assert!(Money::from_scaled(10_000, "nix").is_err());
    }

    proptest! {
        #[test]
        fn money_survives_storing_and_writing(units in 0..=MAX, rest in 0i64..10_000, code in prop::sample::select(vec!["EUR", "USD", "JPY", "KWD", "CLF", "CHF"])) {
            let currency = Currency::parse(code).unwrap();
            let step = 10i64.pow(SCALE - currency.decimals());
            let scaled = (units.min(MAX - 1) * 10_000 + rest) / step * step;
            let money = Money::from_scaled(scaled, code).unwrap();
            prop_assert_eq!(money.to_scaled(), scaled);
            prop_assert_eq!(Money::new(parse_decimal(&money.to_string()).unwrap(), currency), Ok(money));
            prop_assert_eq!(serde_json::from_str::<Money>(&serde_json::to_string(&money).unwrap()).unwrap(), money);
        }

        #[test]
        fn no_text_panics(amount in any::<String>(), code in any::<String>()) {
            let _ = money(&amount, &code);
        }
    }
}
