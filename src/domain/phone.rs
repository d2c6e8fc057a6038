//! Phone numbers: kept as E.164, with what was typed beside it.

use phonenumber::{Mode, PhoneNumber, country};

use super::{
    country::Country,
    text::{self, Rules},
};

/// A phone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone {
    /// The number as ITU-T E.164 writes it, `+14155552671`, without an extension.
    pub e164: String,
    /// What was typed, trimmed and without unseen signs.
    pub typed: String,
}

/// The longest text that is looked at.
const MAX: usize = 50;
/// The most digits of an extension.
const EXTENSION_MAX: usize = 7;

impl Phone {
    /// The number of that text, or none where it is blank. A number without `+` or `00` and its country's code is one of
    /// `country`'s and of no other's.
    ///
    /// # Errors
    /// A predicate for the caller.
    pub fn parse(typed: &str, country: Option<Country>) -> Result<Option<Self>, String> {
        let Some(typed) = Rules::line(MAX).clean(&text::without_format(typed))? else {
            return Ok(None);
        };
        if let Some((one, other)) = after_a_slash(&typed, country) {
            return Err(two(one, other));
        }
        let read = Read::of(&typed);
        match read.as_ref().and_then(|read| read.e164(country)) {
            Some(e164) => Ok(Some(Self { e164, typed })),
            None => Err(fault(&typed, read.as_ref(), country)),
        }
    }

    /// The number read again as one of another country, where it was typed without a country's code and can be one.
    /// A corrected address corrects it so.
    pub fn read_in(&self, country: Country) -> Option<Self> {
        let read = Read::of(&self.typed).filter(|read| !read.is_international())?;
        Some(Self { e164: read.e164(Some(country))?, typed: self.typed.clone() })
    }
}

fn two(one: &str, other: &str) -> String {
    format!("must be one phone number; it has \"{one}\" and \"{other}\"")
}

fn fault(typed: &str, read: Option<&Read>, country: Option<Country>) -> String {
    if let Some((one, other)) = two_numbers(typed) {
        return two(one, other);
    }
    let international = "an international one with + and the country's code, such as \"+14155552671\"";
    let right = match country {
        Some(country) => format!("must be a phone number of {country}, or {international}"),
        None => format!("must be {international}, as there is no country in the address"),
    };
    match read {
        Some(read) => format!("{right}; it was read as {}", read.0),
        None => format!("{right}; it is \"{}\"", text::excerpt(typed)),
    }
}

/// The digits of a text, behind `+` where it has one.
struct Read(String);

impl Read {
    /// None where there is anything but digits, the signs people put between them, and an extension, so that the parser
    /// never sees what it was not made for.
    fn of(typed: &str) -> Option<Self> {
        let lower = text::plain(typed).to_lowercase();
        let lower = lower.strip_prefix("tel:").unwrap_or(&lower).trim();
        let mut plain = String::with_capacity(lower.len());
        for c in without_extension(lower)?.chars() {
            match c {
                '0'..='9' | '(' | ')' => plain.push(c),
                '-' | '.' | '/' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' => {}
                '+' if plain.is_empty() || plain == "(" => plain.insert(0, '+'),
                c if c.is_whitespace() => {}
                _ => return None,
            }
        }
        // "+49 (0)30 …": the bracketed trunk zero is for callers at home.
        if plain.starts_with('+') {
            plain = plain.replacen("(0)", "", 1);
        }
        plain.retain(|c| c == '+' || c.is_ascii_digit());
        plain.contains(|c: char| c.is_ascii_digit()).then_some(Self(plain))
    }

    /// Whether it says its country itself.
    fn is_international(&self) -> bool {
        self.0.starts_with('+') || self.0.starts_with("00")
    }

    fn e164(&self, country: Option<Country>) -> Option<String> {
        // Handed a country, the parser strips that country's trunk prefix even off another country's number.
        let international = match self.0.strip_prefix("00") {
            Some(rest) => Some(format!("+{rest}")),
            None => self.0.starts_with('+').then(|| self.0.clone()),
        };
        if let Some(number) = international.and_then(|plain| valid(None, &plain)) {
            return written(&number);
        }
        if self.0.starts_with('+') {
            return None;
        }
        let region: country::Id = country?.code().parse().ok()?;
        written(&valid(Some(region), &self.0)?)
    }
}

fn valid(region: Option<country::Id>, plain: &str) -> Option<PhoneNumber> {
    phonenumber::parse(region, plain).ok().filter(PhoneNumber::is_valid)
}

fn written(number: &PhoneNumber) -> Option<String> {
    let e164 = number.format().mode(Mode::E164).to_string();
    let digits = e164.strip_prefix('+')?;
    (digits.len() <= 15 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(e164)
}

/// The words for an extension, in lower case; those before shorter ones that they begin with.
const EXTENSIONS: [&str; 18] = [
    "extension",
    "extn",
    "ext",
    "durchwahl",
    "dw",
    "poste",
    "interno",
    "int.",
    "anexo",
    "ramal",
    "wew",
    "mellék",
    "доб",
    "toestel",
    "ankn",
    "x",
    "#",
    ";ext=",
];

/// What stands before the extension, which is not part of E.164 and stays in what was typed. None where something else
/// than an extension's digits follows its word.
fn without_extension(lower: &str) -> Option<&str> {
    let found = EXTENSIONS
        .iter()
        .filter_map(|word| Some((lower.find(word)?, word.len())))
        .min_by_key(|(at, length)| (*at, std::cmp::Reverse(*length)));
    let Some((at, length)) = found else { return Some(lower) };
    let digits = lower[at + length..].trim_start_matches(|c: char| c.is_whitespace() || ".:=-#".contains(c));
    let is_extension =
        digits.len() <= EXTENSION_MAX && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ');
    (is_extension && !digits.is_empty())
        .then(|| lower[..at].trim_end_matches(|c: char| c.is_whitespace() || "-/,;(".contains(c)))
}

/// The two halves of a text that has more than one number in it: each has enough digits to be one.
fn two_numbers(typed: &str) -> Option<(&str, &str)> {
    const BETWEEN: [&str; 11] = [",", ";", "|", "&", "/", " or ", " oder ", " und ", " and ", " ou ", "+"];
    let numbers = |text: &str| text.chars().filter(char::is_ascii_digit).count() >= 6;
    BETWEEN.iter().find_map(|between| {
        typed.match_indices(between).find_map(|(at, _)| {
            let (one, other) = (&typed[..at], &typed[at..]);
            let other = if *between == "+" { other } else { &other[between.len()..] };
            let two = numbers(one) && numbers(other) && Read::of(one).is_some();
            two.then(|| (one.trim(), other.trim()))
        })
    })
}

/// Two numbers, or a number with two extensions: what stands before a slash is a whole number by itself, or what stands
/// behind it begins as one. A slash behind an area code is neither.
fn after_a_slash(typed: &str, country: Option<Country>) -> Option<(&str, &str)> {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    let two = |one: &str, other: &str| {
        let Some(read) = Read::of(one).filter(|_| digits(other) > 0) else { return false };
        let code_alone = read.is_international() && digits(one) <= 5;
        (digits(one) >= 7 && read.e164(country).is_some())
            || (!code_alone && digits(one) >= 4 && other.trim_start().starts_with(['0', '+']))
    };
    let parts = typed.match_indices('/').map(|(at, _)| (&typed[..at], &typed[at + 1..]));
    parts.filter(|(one, other)| two(one, other)).map(|(one, other)| (one.trim(), other.trim())).next()
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
            ("02-25474189", "TW", "+886225474189"),
            ("+49 30 123456", "US", "+4930123456"),
            ("+49 (0)30 123456", "US", "+4930123456"),
            ("(+49) 30 / 123456", "", "+4930123456"),
            ("030 123456", "DE", "+4930123456"),
            ("0049 30 123456", "DE", "+4930123456"),
            ("0049 30 123456", "", "+4930123456"),
            ("0049 30 123456", "US", "+4930123456"),
            ("011 49 30 123456", "US", "+4930123456"),
            ("(416) 967-1111", "US", "+14169671111"),
            ("+49 30 123456-DW 12", "", "+4930123456"),
            ("030 123456 Durchwahl 12", "DE", "+4930123456"),
            ("(850) 644-4200 x12", "US", "+18506444200"),
            ("(850) 644-4200, ext: 12", "US", "+18506444200"),
            ("(850) 644-4200 extn. 12", "US", "+18506444200"),
            ("(850) 644-4200 #12", "US", "+18506444200"),
            ("tel:+44-20-7946-0958;ext=12", "", "+442079460958"),
            ("\u{202A}+44 20 7946 0958\u{202C}", "", "+442079460958"),
            ("\u{200E}(850)\u{200B} 644-4200\u{FE0D}", "US", "+18506444200"),
            ("\u{2066}+44 20 7946 0958\u{2069}", "", "+442079460958"),
            ("＋４４　２０　７９４６　０９５８", "", "+442079460958"),
            ("850\u{2212}644\u{FF0D}4200", "US", "+18506444200"),
            ("850\u{FE63}644\u{2043}4200", "US", "+18506444200"),
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
    fn a_number_without_plus_is_the_address_s_country_s_or_none() {
        for (typed, country, read) in [
            ("(456) 123-4567", "US", "4561234567"),
            ("886-2-25474189", "US", "886225474189"),
            ("45 61 23 45 67", "US", "4561234567"),
            ("(850) 644-4200", "DK", "8506444200"),
            ("(850) 644-4200", "", "8506444200"),
        ] {
            let fault = parse(typed, country).unwrap_err();
            assert!(fault.contains(&format!("read as {read}")) && fault.contains("+14155552671"), "{typed}: {fault}");
            assert_eq!(fault.contains(&format!("of {country},")), !country.is_empty(), "{fault}");
        }
    }

    #[test]
    fn two_numbers_in_one_field_are_told_as_two() {
        for (typed, one, other) in [
            ("030 1234567 / 0151 23456789", "030 1234567", "0151 23456789"),
            ("+49 30 123456, +49 30 123457", "+49 30 123456", "+49 30 123457"),
            ("+49 30 123456 +49 30 123457", "+49 30 123456", "+49 30 123457"),
            ("030 1234567 oder 0151 23456789", "030 1234567", "0151 23456789"),
            ("030/1234567; 0151/23456789", "030/1234567", "0151/23456789"),
        ] {
            let fault = parse(typed, "DE").unwrap_err();
            assert!(fault.contains(&format!("it has \"{one}\" and \"{other}\"")), "{typed}: {fault}");
        }
        for typed in
            ["030 1234567-89/90", "+49 (30) 1234567 / -68", "030 1234567/68", "+49 30 1234567-0/-12", "030 1 / 030 2"]
        {
            assert!(parse(typed, "DE").unwrap_err().contains("one phone number"), "{typed}");
        }
        for typed in ["030/123456", "+49/30/123456", "+49/030123456", "(030)/123456", "0049/30/123456"] {
            assert_eq!(parse(typed, "DE"), Ok(Some("+4930123456".to_owned())), "{typed}");
        }
        assert_eq!(parse("030 / 123456", "DE"), Ok(Some("+4930123456".to_owned())), "a slash is no second number");
    }

    #[test]
    fn a_national_number_is_read_again_in_another_country() {
        let country = |code| Country::parse(code).unwrap();
        let phone = |typed: &str, code| Phone::parse(typed, Some(country(code))).unwrap().unwrap();
        let read = |phone: Phone, code| phone.read_in(country(code)).map(|phone| phone.e164);
        assert_eq!(read(phone("05121 23456", "DE"), "AT"), Some("+43512123456".to_owned()));
        assert_eq!(read(phone("+49 30 123456", "DE"), "AT"), None, "it says its country itself");
        assert_eq!(read(phone("0049 30 123456", "DE"), "AT"), None);
        assert_eq!(read(phone("(850) 644-4200", "US"), "DK"), None, "it is none of Denmark's");
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
            ("(850) 644-4200 ext. 12 or 13", "US"),
            ("(850) 644-4200 ext. abc", "US"),
            ("n/a", "US"),
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
