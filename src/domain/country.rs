//! Countries by ISO 3166-1.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::LazyLock,
};

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// A country of ISO 3166-1, by its alpha-2 code, or Kosovo.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country(&'static str);

/// The code that the European Union, banks and CRMs write; ISO 3166-1 leaves it to its users.
const KOSOVO: Country = Country("XK");

impl Country {
    /// The country of that alpha-2 code, which is upper case as the standard writes it; `XK` is Kosovo.
    ///
    /// # Errors
    /// A predicate for the caller.
    pub fn parse(code: &str) -> Result<Self, String> {
        if code == KOSOVO.0 {
            return Ok(KOSOVO);
        }
        rust_iso3166::from_alpha2(code)
            .map(|country| Self(country.alpha2))
            .ok_or_else(|| "must be an ISO 3166-1 alpha-2 country code in upper case, such as \"DE\"".to_owned())
    }

    /// The country that a person means: by its alpha-2 or alpha-3 code or by its name, whatever the case, the accents
    /// and the order of its parts ("Korea, Republic of"). Names are English ones, and those by which a few countries
    /// call themselves. For records from other systems; the API takes codes alone.
    pub fn find(text: &str) -> Option<Self> {
        let text = text.trim();
        // No name is longer, and what is looked at has a bound.
        if text.len() > 200 {
            return None;
        }
        let upper = text.to_ascii_uppercase();
        Self::parse(&upper)
            .ok()
            .or_else(|| rust_iso3166::from_alpha3(&upper).map(|country| Self(country.alpha2)))
            .or_else(|| (upper == "XKX").then_some(KOSOVO))
            .or_else(|| by_name(text))
    }

    /// The two letters.
    pub const fn code(self) -> &'static str {
        self.0
    }
}

/// The country of that name.
fn by_name(text: &str) -> Option<Country> {
    let words = words(text);
    let known = |words: &[String]| NAMES.get(&key(words)).copied();
    known(&words).unwrap_or_else(|| {
        // "Federal Republic of Germany", "Kingdom of Spain"
        let rest: Vec<_> = words.into_iter().filter(|word| !FORMS.contains(&word.as_str())).collect();
        known(&rest).flatten()
    })
}

/// What a name is found by: its words in an order that doesn't depend on theirs.
fn key(words: &[String]) -> String {
    let mut words: Vec<_> = words.iter().map(String::as_str).collect();
    words.sort_unstable();
    words.join(" ")
}

/// The words of a name in lower case, without accents and without those that are often left out.
fn words(name: &str) -> Vec<String> {
    let mut plain = String::with_capacity(name.len());
    for c in name.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        match c {
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            'đ' | 'ð' => plain.push('d'),
            'ı' => plain.push('i'),
            // "U.S.A.", "Cote d'Ivoire"
            '.' | '\'' | '\u{2018}' | '\u{2019}' | '\u{02BC}' | '`' | '\u{00B4}' => {}
            c if c.is_alphanumeric() => plain.push(c),
            _ => plain.push(' '),
        }
    }
    let small = |word: &&str| !matches!(*word, "the" | "of" | "and");
    let whole = |word: &str| if word == "st" { "saint".to_owned() } else { word.to_owned() };
    plain.split_whitespace().filter(small).map(whole).collect()
}

/// Words that say what kind of state it is.
const FORMS: [&str; 14] = [
    "co",
    "commonwealth",
    "duchy",
    "federal",
    "federative",
    "grand",
    "islamic",
    "kingdom",
    "operative",
    "principality",
    "republic",
    "socialist",
    "state",
    "sultanate",
];

/// The countries by their names' keys; none where a name means several.
static NAMES: LazyLock<HashMap<String, Option<Country>>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for country in rust_iso3166::ALL {
        names.insert(key(&words(country.name)), Some(Country(country.alpha2)));
    }
    for (code, others) in OTHERS {
        for other in *others {
            names.insert(key(&words(other)), Country::parse(code).ok());
        }
    }
    // "Bolivia (Plurinational State of)" is Bolivia; the two Koreas are told apart only by what stands in brackets.
    let mut short: HashMap<String, Option<Country>> = HashMap::new();
    for country in rust_iso3166::ALL {
        if let Some((name, _)) = country.name.split_once(" (") {
            match short.entry(key(&words(name))) {
                Entry::Vacant(place) => {
                    place.insert(Some(Country(country.alpha2)));
                }
                Entry::Occupied(mut place) => {
                    place.insert(None);
                }
            }
        }
    }
    for (name, country) in short {
        names.entry(name).or_insert(country);
    }
    names
});

/// Names in daily use that the standard's own list doesn't have.
const OTHERS: &[(&str, &[&str])] = &[
    ("AE", &["UAE", "Emirates"]),
    ("AT", &["Österreich", "Oesterreich"]),
    ("BA", &["Bosnia", "Bosnia-Hercegovina"]),
    ("BE", &["Belgique", "België", "Belgien"]),
    ("BL", &["Saint Barts"]),
    ("BN", &["Brunei"]),
    ("BQ", &["Bonaire", "Caribbean Netherlands"]),
    ("BR", &["Brasil", "Brasilien"]),
    ("CC", &["Cocos Islands", "Keeling Islands"]),
    (
        "CD",
        &[
            "Congo, the Democratic Republic of the",
            "DR Congo",
            "DRC",
            "D.R. Congo",
            "Congo-Kinshasa",
            "Congo DR",
            "Zaire",
        ],
    ),
    ("CG", &["Republic of the Congo", "Congo-Brazzaville", "Congo Republic"]),
    ("CH", &["Schweiz", "Suisse", "Svizzera"]),
    ("CI", &["Ivory Coast"]),
    ("CN", &["People's Republic of China", "PR China", "PRC", "Mainland China"]),
    ("CV", &["Cape Verde"]),
    ("CZ", &["Czech Republic", "Česko", "Česká republika", "Tschechien"]),
    ("DE", &["Deutschland", "Allemagne"]),
    ("DK", &["Danmark"]),
    ("ES", &["España", "Spanien"]),
    ("FI", &["Suomi"]),
    ("FK", &["Falklands", "Malvinas"]),
    ("FM", &["Federated States of Micronesia"]),
    ("FO", &["Faeroe Islands", "Faroes"]),
    ("FR", &["Frankreich"]),
    (
        "GB",
        &[
            "UK",
            "U.K.",
            "Great Britain",
            "Britain",
            "United Kingdom",
            "England",
            "Scotland",
            "Wales",
            "Northern Ireland",
            "United Kingdom of Great Britain",
        ],
    ),
    ("GR", &["Hellas", "Hellenic Republic"]),
    ("HK", &["Hong Kong SAR", "Hong Kong SAR China", "Hong Kong, China", "Hongkong"]),
    ("HR", &["Hrvatska"]),
    ("HU", &["Magyarország"]),
    ("IE", &["Éire", "Eire"]),
    ("IT", &["Italia", "Italien"]),
    ("KN", &["Saint Kitts", "Saint Christopher and Nevis"]),
    ("KP", &["North Korea", "DPRK"]),
    ("KR", &["South Korea", "Korea", "Korea (South)"]),
    ("LA", &["Laos", "Lao"]),
    ("LU", &["Luxemburg"]),
    ("LY", &["Libyan Arab Jamahiriya"]),
    ("MF", &["Saint Martin (French)"]),
    ("MK", &["Macedonia", "Macedonia, the former Yugoslav Republic of", "FYROM"]),
    ("MM", &["Burma"]),
    ("MO", &["Macau", "Macau SAR", "Macao SAR", "Macao SAR China", "Macao, China"]),
    ("MX", &["México"]),
    ("NL", &["Holland", "Nederland", "Niederlande"]),
    ("NO", &["Norge"]),
    ("PL", &["Polska", "Polen"]),
    ("PN", &["Pitcairn Islands"]),
    ("PS", &["Palestinian Territory, Occupied", "Palestinian Territories", "Palestinian Territory"]),
    ("RU", &["Russia"]),
    ("SE", &["Sverige", "Schweden"]),
    ("SH", &["Saint Helena"]),
    ("SJ", &["Svalbard"]),
    ("SK", &["Slovak Republic", "Slovensko"]),
    ("SX", &["Sint Maarten", "Saint Maarten"]),
    ("SY", &["Syria"]),
    ("SZ", &["Swaziland"]),
    ("TL", &["East Timor"]),
    ("TR", &["Turkey"]),
    ("TW", &["Republic of China", "Taiwan, China", "Taiwan R.O.C.", "Chinese Taipei"]),
    ("TZ", &["Tanzania"]),
    ("US", &["USA", "U.S.A.", "U.S.", "United States", "The States"]),
    ("VA", &["Vatican", "Vatican City", "Vatican City State", "Holy See (Vatican City State)"]),
    ("VG", &["British Virgin Islands", "BVI"]),
    ("VI", &["US Virgin Islands", "USVI", "United States Virgin Islands"]),
    ("VN", &["Vietnam"]),
    ("WF", &["Wallis"]),
    ("XK", &["Kosovo", "Kosova"]),
];

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
        for code in ["DE", "US", "GB", "TW", "AX", "XK"] {
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
            ("xk", "XK"),
            ("Kosovo", "XK"),
            ("Korea, Republic of", "KR"),
            ("Republic of Korea", "KR"),
            ("Korea, Democratic People's Republic of", "KP"),
            ("Democratic People\u{2019}s Republic of Korea", "KP"),
            ("Congo", "CG"),
            ("Congo, the Democratic Republic of the", "CD"),
            ("Democratic Republic of the Congo", "CD"),
            ("Republic of the Congo", "CG"),
            ("Cote d'Ivoire", "CI"),
            ("C\u{f4}te d\u{2019}Ivoire", "CI"),
            ("Curacao", "CW"),
            ("Reunion", "RE"),
            ("Aland Islands", "AX"),
            ("Laos", "LA"),
            ("Syria", "SY"),
            ("Iran, Islamic Republic of", "IR"),
            ("Iran", "IR"),
            ("Tanzania, United Republic of", "TZ"),
            ("Tanzania", "TZ"),
            ("Bolivia, Plurinational State of", "BO"),
            ("Venezuela, Bolivarian Republic of", "VE"),
            ("Moldova", "MD"),
            ("Micronesia, Federated States of", "FM"),
            ("Taiwan, Province of China", "TW"),
            ("Republic of China", "TW"),
            ("People's Republic of China", "CN"),
            ("Virgin Islands, British", "VG"),
            ("U.S. Virgin Islands", "VI"),
            ("Holy See (Vatican City State)", "VA"),
            ("Palestine", "PS"),
            ("Gambia, The", "GM"),
            ("St. Lucia", "LC"),
            ("St Kitts & Nevis", "KN"),
            ("Deutschland", "DE"),
            ("\u{d6}sterreich", "AT"),
            ("Federal Republic of Germany", "DE"),
            ("Kingdom of Spain", "ES"),
            ("Grand Duchy of Luxembourg", "LU"),
            ("Turkey", "TR"),
            ("Turkiye", "TR"),
            ("Czech Republic", "CZ"),
            ("Macedonia, the former Yugoslav Republic of", "MK"),
            ("Trinidad & Tobago", "TT"),
            ("Swaziland", "SZ"),
            ("Saint Vincent and the Grenadines", "VC"),
            ("Netherlands", "NL"),
            ("UAE", "AE"),
            ("Dominican Republic", "DO"),
            ("Dominica", "DM"),
            ("Guinea", "GN"),
            ("Republic of Guinea-Bissau", "GW"),
        ] {
            assert_eq!(Country::find(text).map(Country::code), Some(code), "{text}");
        }
        for unknown in ["", "Atlantis", "Virgin Islands", "n/a", "N.A.", "-", "Republic", "the"] {
            assert_eq!(Country::find(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn every_country_is_found_by_the_name_that_the_standard_gives_it() {
        for country in rust_iso3166::ALL {
            let name = country.name;
            let comma = name.replace(" (", ", ").replace(')', "");
            for written in [name.to_owned(), name.to_uppercase(), comma] {
                assert_eq!(Country::find(&written).map(Country::code), Some(country.alpha2), "{written}");
            }
        }
        for (code, names) in OTHERS {
            for name in *names {
                assert_eq!(Country::find(name).map(Country::code), Some(*code), "{name}");
            }
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
