//! Phone numbers: kept as E.164, with what was typed beside it.

use phonenumber::{Mode, country};

use super::{country::Country, text::Rules};

/// A phone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone {
    /// The number as ITU-T E.164 writes it, `+14155552671`, without an extension.
    pub e164: String,
    /// What was typed, trimmed.
    pub typed: String,
}

/// The longest text that is looked at.
const MAX: usize = 50;

impl Phone {
    /// The number of that text, or none where it is blank. A number without `+` and its country's code is one of
    /// `country`'s.
    ///
    /// # Errors
    /// A predicate for the caller.
    pub fn parse(typed: &str, country: Option<Country>) -> Result<Option<Self>, String> {
        let Some(typed) = Rules::line(MAX).clean(typed)? else {
            return Ok(None);
        };
        let fault = || {
            Err(match country {
                Some(country) => format!(
                    "must be a phone number of {country}, or an international one with + and the country's code, such \
                     as \"+14155552671\""
                ),
                None => "must be an international phone number with + and the country's code, such as \
                         \"+14155552671\""
                    .to_owned(),
            })
        };
        let Some(plain) = plain(&typed) else {
            return fault();
        };
        // Handed a country, the parser strips that country's trunk prefix even off another country's number.
        let region =
            if plain.starts_with('+') { None } else { country.and_then(|country| country.code().parse().ok()) };
        match e164(region, &plain) {
            Some(e164) => Ok(Some(Self { e164, typed })),
            None => fault(),
        }
    }
}

fn e164(region: Option<country::Id>, plain: &str) -> Option<String> {
    if region.is_none() && !plain.starts_with('+') {
        return None;
    }
    let number = phonenumber::parse(region, plain).ok()?;
    let number = if number.is_valid() {
        number
    } else {
        // "886-2-25474189" is the international form with the + forgotten.
        let again = phonenumber::parse(None, format!("+{}", plain.strip_prefix("00").unwrap_or(plain))).ok()?;
        if plain.starts_with('+') || !again.is_valid() {
            return None;
        }
        again
    };
    let e164 = number.format().mode(Mode::E164).to_string();
    let digits = e164.strip_prefix('+')?;
    (digits.len() <= 15 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(e164)
}

/// The text as the parser reads it best: ASCII digits and the signs people put between them. None where there is
/// anything else, so that the parser never sees what it was not made for.
fn plain(typed: &str) -> Option<String> {
    let lower = typed.to_lowercase();
    let lower = lower.strip_prefix("tel:").unwrap_or(&lower).trim();
    // An extension is not part of E.164; it stays in what was typed.
    let lower = ["extension", "ext.", "ext", "x", "#", ";"]
        .into_iter()
        .filter_map(|mark| lower.find(mark))
        .min()
        .map_or(lower, |at| &lower[..at]);
    let mut plain = String::with_capacity(lower.len());
    for c in lower.chars() {
        match c {
            '0'..='9' | '(' | ')' | '-' | '.' | '/' => plain.push(c),
            '+' if plain.is_empty() || plain == "(" => plain.insert(0, '+'),
            '\u{2010}'..='\u{2015}' => plain.push('-'),
            c if c.is_whitespace() => plain.push(' '),
            _ => return None,
        }
    }
    // "+49 (0)30 …": the bracketed trunk zero is for callers at home.
    if plain.starts_with('+') {
        plain = plain.replacen("(0)", " ", 1);
    }
    let plain: String = if plain.starts_with('+') {
        std::iter::once('+').chain(plain.chars().filter(char::is_ascii_digit)).collect()
    } else {
        plain.chars().filter(char::is_ascii_digit).collect()
    };
    plain.chars().any(|c| c.is_ascii_digit()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(typed: &str, country: &str) -> Result<Option<String>, String> {
        Phone::parse(typed, Country::parse(country).ok()).map(|phone| phone.map(|phone| phone.e164))
    }

    #[test]
    fn numbers_as_people_type_them_become_e164() {
        for (typed, country, e164) in [
            ("+14155552671", "", "+14155552671"),
            ("(850) 644-4200", "US", "+18506444200"),
            ("850.644.4200", "US", "+18506444200"),
            ("1 850 644 4200", "US", "+18506444200"),
            ("(850) 644-4200 ext. 12", "US", "+18506444200"),
            ("(850) 644-4200x12", "US", "+18506444200"),
            ("886-2-25474189", "TW", "+886225474189"),
            ("886-2-25474189", "US", "+886225474189"),
            ("02-25474189", "TW", "+886225474189"),
            ("+49 30 123456", "US", "+4930123456"),
            ("+49 (0)30 123456", "US", "+4930123456"),
            ("(+49) 30 / 123456", "", "+4930123456"),
            ("030 123456", "DE", "+4930123456"),
            ("0049 30 123456", "DE", "+4930123456"),
            ("+49 151 23456789", "US", "+4915123456789"),
            ("+39 06 6982", "", "+39066982"),
            ("06 6982 1234", "IT", "+390669821234"),
            ("+44 20 7946 0958", "DE", "+442079460958"),
            ("tel:+44-20-7946-0958", "", "+442079460958"),
            ("+44\u{A0}20\u{2011}7946\u{2013}0958", "", "+442079460958"),
        ] {
            assert_eq!(parse(typed, country), Ok(Some(e164.to_owned())), "{typed} {country}");
        }
        let phone = Phone::parse(" (850) 644-4200 ext. 12 ", Country::parse("US").ok()).unwrap().unwrap();
        assert_eq!(phone.typed, "(850) 644-4200 ext. 12");
    }

    #[test]
    fn what_is_no_number_is_refused_with_the_expected_form() {
        for (typed, country) in [
            ("call me", "US"),
            ("644-4200", "US"),
            ("(850) 644-4200", ""),
            ("123", "DE"),
            ("+", ""),
            ("+999 123 456", ""),
            ("+1 850 644 4200 850 644 4200", ""),
            ("٠٣٠ ١٢٣٤٥٦", "DE"),
            ("1-800-FLOWERS", "US"),
            ("ext", "US"),
            ("+49", "DE"),
        ] {
            assert!(parse(typed, country).unwrap_err().contains("+14155552671"), "{typed}");
        }
        assert!(parse(&"1".repeat(51), "US").is_err());
        assert_eq!(parse("  ", "US"), Ok(None));
    }

    proptest! {
        #[test]
        fn every_kept_number_is_e164_and_means_itself(
            typed in "[+]?[0-9 ()./x-]{0,24}",
            country in prop::sample::select(vec!["", "US", "DE", "IT", "TW", "GB", "AR", "MX", "KZ", "GG", "CI"]),
        ) {
            if let Ok(Some(e164)) = parse(&typed, country) {
                prop_assert!(e164.starts_with('+') && e164.len() <= 16 && e164[1..].bytes().all(|b| b.is_ascii_digit()));
            }
        }

        #[test]
        fn no_text_panics(typed in any::<String>(), digits in "[+]?\\PC{0,20}") {
            let _ = parse(&typed, "US");
            let _ = parse(&digits, "DE");
        }
    }
}
