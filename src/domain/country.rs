//! Countries by ISO 3166-1.

use std::fmt;

/// A country of ISO 3166-1, by its alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country(&'static str);

impl Country {
    /// The country of that alpha-2 code, which is upper case as the standard writes it.
    ///
    /// # Errors
    /// A predicate for the caller.
    pub fn parse(code: &str) -> Result<Self, String> {
        rust_iso3166::from_alpha2(code)
            .map(|country| Self(country.alpha2))
            .ok_or_else(|| "must be an ISO 3166-1 alpha-2 country code in upper case, such as \"DE\"".to_owned())
    }

    /// The country that a person means: by its alpha-2 or alpha-3 code or its English name, whatever the case. For
    /// records from other systems ("USA", "Germany"); the API takes codes alone.
    pub fn find(text: &str) -> Option<Self> {
        let text = text.trim();
        let upper = text.to_ascii_uppercase();
        let listed = rust_iso3166::from_alpha2(&upper)
            .or_else(|| rust_iso3166::from_alpha3(&upper))
            .or_else(|| rust_iso3166::ALL.iter().copied().find(|country| says(country.name, text)));
        listed.map(|country| Self(country.alpha2)).or_else(|| {
            // Names in daily use that the standard's own list doesn't have.
            let code = match upper.replace('.', "").as_str() {
                "UK" | "GREAT BRITAIN" | "UNITED KINGDOM" | "ENGLAND" | "SCOTLAND" | "WALES" => "GB",
                "UNITED STATES" | "US" | "USA" => "US",
                "CZECH REPUBLIC" => "CZ",
                "HOLLAND" | "THE NETHERLANDS" | "NETHERLANDS" => "NL",
                "RUSSIA" => "RU",
                "SOUTH KOREA" | "KOREA" => "KR",
                "TAIWAN" => "TW",
                "TURKEY" => "TR",
                "UAE" | "UNITED ARAB EMIRATES" => "AE",
                "VIETNAM" => "VN",
                _ => return None,
            };
            Self::parse(code).ok()
        })
    }

    /// The two letters.
    pub const fn code(self) -> &'static str {
        self.0
    }
}

/// Whether the standard's name is that text, with or without what it adds in brackets: "Bolivia (Plurinational …)".
fn says(name: &str, text: &str) -> bool {
    let short = name.split(" (").next().unwrap_or(name);
    // "Korea (Republic of)" and its like are told apart only by the brackets.
    let told_apart = !matches!(short, "Korea" | "Virgin Islands" | "Saint Martin");
    name.eq_ignore_ascii_case(text) || (told_apart && short.eq_ignore_ascii_case(text))
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_are_those_of_the_standard_in_upper_case() {
        for code in ["DE", "US", "GB", "TW", "AX"] {
            assert_eq!(Country::parse(code).unwrap().code(), code);
        }
        for bad in ["de", "DEU", "XX", "UK", "", " DE", "ZZ", "D", "276"] {
            assert!(Country::parse(bad).unwrap_err().contains("ISO 3166-1"), "{bad}");
        }
    }

    #[test]
    fn people_s_names_for_countries_are_found() {
        for (text, code) in [
            ("USA", "US"),
            ("U.S.A.", "US"),
            ("us", "US"),
            ("United States", "US"),
            ("United States of America", "US"),
            ("Germany", "DE"),
            ("germany ", "DE"),
            ("Taiwan", "TW"),
            ("UK", "GB"),
            ("South Korea", "KR"),
            ("Bolivia", "BO"),
            ("CHE", "CH"),
        ] {
            assert_eq!(Country::find(text).map(Country::code), Some(code), "{text}");
        }
        for unknown in ["", "Atlantis", "Virgin Islands"] {
            assert_eq!(Country::find(unknown), None, "{unknown}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Country::parse(&text);
            let _ = Country::find(&text);
        }
    }
}
