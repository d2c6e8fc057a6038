//! When two leads look like the same customer (mission B6): what they are compared by, and how much a match says.
//!
//! A customer is known by up to a handful of [`MatchKey`]s. Two customers match where they share one; equality of keys
//! is all that is asked, so that a look-up is a search in an index.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use url::{Host, Url};

use super::{customer::Customer, id::LeadId};

/// What two customers have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// The company's name, however it is written.
    CompanyName,
    /// The domain of the website, or of the contact's e-mail address where it is the company's own.
    WebDomain,
    /// The contact's e-mail address.
    Email,
    /// The contact's phone number.
    Phone,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::CompanyName, Self::WebDomain, Self::Email, Self::Phone];

    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CompanyName => "NAME",
            Self::WebDomain => "DOMAIN",
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
        }
    }

    /// What a match by this reason alone says, from 0 to 100. A person has one mailbox; a domain belongs to one company
    /// or one group of companies; names repeat; a phone number may be a switchboard's.
    pub const fn weight(self) -> u8 {
        match self {
            Self::Email => 70,
            Self::WebDomain => 60,
            Self::CompanyName => 50,
            Self::Phone => 40,
        }
    }
}

/// How alike two customers are that match by these reasons: the sum of their weights, 100 at most.
pub fn score(reasons: &BTreeSet<Reason>) -> u8 {
    reasons.iter().fold(0_u8, |sum, reason| sum.saturating_add(reason.weight())).min(100)
}

/// One of the values that a customer is compared by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MatchKey {
    /// What it is.
    pub reason: Reason,
    /// Its normal form: 1 to 255 characters, compared as it stands.
    pub value: String,
}

/// Another lead of the same company that looks like the same customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The other lead.
    pub lead: LeadId,
    /// See [`score`].
    pub score: u8,
    /// What they have in common: at least one.
    pub reasons: BTreeSet<Reason>,
    /// Whether the other lead came to the company first.
    pub earlier: bool,
}

/// The longest key, in characters: it has to fit into an entry of an index.
const MAX: usize = 255;

/// What a customer is compared by. What says nothing about who the customer is gives no key: a name without a letter
/// or digit, a mailbox at a provider, a page on a site that many share.
pub fn match_keys(customer: &Customer) -> BTreeSet<MatchKey> {
    let contact = &customer.contact;
    let email = contact.email.as_deref().map(address);
    let of_email = email.as_deref().and_then(|email| domain(email.rsplit_once('@')?.1));
    let found = [
        (Reason::CompanyName, Some(name(&customer.company))),
        (Reason::WebDomain, customer.website.as_deref().and_then(of_website)),
        (Reason::WebDomain, of_email),
        (Reason::Email, email),
        (Reason::Phone, contact.phone.as_ref().map(|phone| phone.e164.clone())),
    ];
    found
        .into_iter()
        .filter_map(|(reason, value)| {
            let value: String = value?.chars().take(MAX).collect();
            (!value.is_empty()).then_some(MatchKey { reason, value })
        })
        .collect()
}

/// An e-mail address in lower case, its domain as the DNS has it.
fn address(email: &str) -> String {
    let lower = email.to_lowercase();
    match lower.rsplit_once('@') {
        Some((local, host)) => match Host::parse(host) {
            Ok(Host::Domain(host)) => format!("{local}@{host}"),
            _ => lower,
        },
        None => lower,
    }
}

/// The domain of a web address.
fn of_website(address: &str) -> Option<String> {
    domain(Url::parse(address).ok()?.host_str()?)
}

/// A host's name as the DNS has it, without `www.`; none where it is a number, or not one company's.
fn domain(host: &str) -> Option<String> {
    let Host::Domain(host) = Host::parse(host).ok()? else { return None };
    let host = host.trim_end_matches('.');
    let host = host.strip_prefix("www.").filter(|rest| rest.contains('.')).unwrap_or(host);
    (host.contains('.') && host.len() <= 253 && !is_shared(host)).then(|| host.to_owned())
}

/// Whether many companies and persons stand under this name: mail for everyone, pages for everyone.
fn is_shared(domain: &str) -> bool {
    SHARED.binary_search(&domain).is_ok()
        || domain.split_once('.').is_some_and(|(first, rest)| {
            // yahoo.com, yahoo.fr, yahoo.co.uk
            let mut labels = rest.split('.');
            FAMILIES.contains(&first)
                && labels.clone().count() <= 2
                && labels.all(|label| (2..=3).contains(&label.len()))
        })
}

/// Providers with the same name in many countries.
const FAMILIES: [&str; 10] =
    ["aol", "gmx", "googlemail", "hotmail", "icloud", "live", "msn", "outlook", "yahoo", "yandex"];

/// The others, in the order of the alphabet.
const SHARED: [&str; 88] = [
    "126.com",
    "163.com",
    "abv.bg",
    "alice.it",
    "att.net",
    "bellsouth.net",
    "bigpond.com",
    "bk.ru",
    "bluewin.ch",
    "bol.com.br",
    "btinternet.com",
    "centrum.cz",
    "chello.at",
    "citromail.hu",
    "comcast.net",
    "cox.net",
    "daum.net",
    "duck.com",
    "earthlink.net",
    "email.com",
    "email.cz",
    "facebook.com",
    "fastmail.com",
    "foxmail.com",
    "free.fr",
    "freemail.hu",
    "freenet.de",
    "github.com",
    "gmail.com",
    "hanmail.net",
    "hey.com",
    "hushmail.com",
    "iinet.net.au",
    "inbox.lv",
    "inbox.ru",
    "indiatimes.com",
    "instagram.com",
    "interia.pl",
    "laposte.net",
    "libero.it",
    "linkedin.com",
    "linktr.ee",
    "list.ru",
    "mac.com",
    "mail.com",
    "mail.ee",
    "mail.ru",
    "mailbox.org",
    "me.com",
    "naver.com",
    "neuf.fr",
    "o2.pl",
    "onet.pl",
    "optonline.net",
    "orange.fr",
    "pm.me",
    "poczta.onet.pl",
    "posteo.de",
    "proton.me",
    "protonmail.ch",
    "protonmail.com",
    "qq.com",
    "rambler.ru",
    "rediffmail.com",
    "rocketmail.com",
    "sapo.pt",
    "sbcglobal.net",
    "seznam.cz",
    "sfr.fr",
    "shaw.ca",
    "sina.com",
    "sites.google.com",
    "sky.com",
    "skynet.be",
    "t-online.de",
    "telenet.be",
    "terra.com.br",
    "tiscali.it",
    "tuta.com",
    "tutanota.com",
    "ukr.net",
    "uol.com.br",
    "verizon.net",
    "virgilio.it",
    "wanadoo.fr",
    "web.de",
    "wp.pl",
    "ymail.com",
];

/// A company's name without what people write in several ways: case, accents, punctuation, the word for "and", and the
/// legal form at its end. It is empty where the name has no letter or digit.
pub fn name(typed: &str) -> String {
    let mut plain = String::with_capacity(typed.len());
    for c in typed.nfkd().filter(|c| !is_accent(*c)).flat_map(char::to_lowercase).filter(|c| !is_accent(*c)) {
        match c {
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'þ' => plain.push_str("th"),
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            'đ' | 'ð' => plain.push('d'),
            'ı' => plain.push('i'),
            // Within a word, as in O'Neil.
            '\'' | '\u{2018}' | '\u{2019}' | '\u{02BC}' | '`' => {}
            '.' => plain.push('.'),
            c if c.is_alphanumeric() || is_combining_mark(c) => plain.push(c),
            _ => plain.push(' '),
        }
    }
    // Marks that are letters' own parts, as in Hindi or Japanese, stand with their letters again.
    let plain: String = plain.nfc().collect();
    let mut words: Vec<String> = plain.split(' ').flat_map(dotted).collect();
    let joined: Vec<String> = words.iter().filter(|word| !AND.contains(&word.as_str())).cloned().collect();
    // Where nothing else or only a legal form is left, the word is the name: And GmbH.
    let form_alone = matches!(joined.as_slice(), [only] if LEGAL_FORMS.binary_search(&only.as_str()).is_ok());
    if !joined.is_empty() && !form_alone {
        words = joined;
    }
    while words.len() > 1 && words[0] == "the" {
        words.remove(0);
    }
    while let Some(form) = legal_form(&words) {
        words.truncate(words.len() - form);
    }
    let plain = words.join(" ");
    // Below such a form there may be another one.
    without_asian_form(&plain).map_or(plain, |rest| name(&rest))
}

/// Marks beside or above letters that are often left out.
fn is_accent(c: char) -> bool {
    matches!(
        c,
        '\u{0300}'..='\u{036F}'
            | '\u{0591}'..='\u{05C7}'
            | '\u{064B}'..='\u{065F}'
            | '\u{0670}'
            | '\u{1AB0}'..='\u{1AFF}'
            | '\u{1DC0}'..='\u{1DFF}'
            | '\u{FE20}'..='\u{FE2F}'
    )
}

/// The parts of a word with dots: `s.p.a.` is one word, `booking.com` is two.
fn dotted(word: &str) -> Vec<String> {
    let parts: Vec<&str> = word.split('.').filter(|part| !part.is_empty()).collect();
    if parts.len() > 1 && parts.iter().all(|part| part.chars().count() == 1) {
        return vec![parts.concat()];
    }
    parts.into_iter().map(str::to_owned).collect()
}

/// Words for "and" in names such as Smith & Sons.
const AND: [&str; 4] = ["and", "et", "und", "og"];

/// Legal forms at the end of a name, without dots and spaces, in the order of the alphabet.
const LEGAL_FORMS: [&str; 99] = [
    "ab",
    "ag",
    "aktiebolag",
    "aktiengesellschaft",
    "ao",
    "aps",
    "as",
    "asa",
    "bhd",
    "bt",
    "bv",
    "bvba",
    "co",
    "company",
    "corp",
    "corporation",
    "cv",
    "cvba",
    "doo",
    "dooel",
    "ead",
    "ek",
    "eood",
    "eurl",
    "ev",
    "gbr",
    "gesmbh",
    "ggmbh",
    "gmbh",
    "gmbhcokg",
    "hf",
    "inc",
    "incorporated",
    "jsc",
    "kda",
    "kft",
    "kg",
    "kgaa",
    "kk",
    "ks",
    "limitada",
    "limited",
    "llc",
    "llp",
    "lp",
    "ltd",
    "ltda",
    "ltee",
    "mbh",
    "nv",
    "nyrt",
    "oao",
    "ohf",
    "ohg",
    "ood",
    "ooo",
    "osakeyhtio",
    "ou",
    "oy",
    "oyj",
    "pao",
    "partg",
    "plc",
    "private",
    "pt",
    "pte",
    "pty",
    "pvt",
    "rt",
    "sa",
    "sab",
    "sabdecv",
    "sadecv",
    "sapi",
    "sarl",
    "sas",
    "sasu",
    "sca",
    "scs",
    "sdn",
    "se",
    "sia",
    "sl",
    "slu",
    "snc",
    "societaperazioni",
    "spa",
    "spj",
    "spk",
    "spolsro",
    "spzoo",
    "srl",
    "sro",
    "uab",
    "ug",
    "unipessoal",
    "vof",
    "zao",
    "zrt",
];

/// Of how many words the legal form at the end is. A name is never only a legal form.
fn legal_form(words: &[String]) -> Option<usize> {
    // The longest first: "sp z o o" before a single "o".
    (1..=4.min(words.len().saturating_sub(1))).rev().find(|count| {
        let form = words[words.len() - count..].concat();
        LEGAL_FORMS.binary_search(&form.as_str()).is_ok()
    })
}

/// Legal forms that stand before or after a name without a space.
const ASIAN_FORMS: [&str; 7] =
    ["股份有限公司", "有限责任公司", "有限公司", "株式会社", "有限会社", "合同会社", "주식회사"];

/// What is left of a name in its normal form, where it has one of them.
fn without_asian_form(name: &str) -> Option<String> {
    ASIAN_FORMS.iter().find_map(|form| {
        let form: String = form.nfkd().nfc().collect();
        let rest = name.strip_prefix(&form).or_else(|| name.strip_suffix(&form))?.trim();
        (!rest.is_empty()).then(|| rest.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{customer::Contact, phone::Phone};

    #[test]
    fn the_tables_are_in_order() {
        assert!(SHARED.is_sorted_by(|a, b| a < b));
        assert!(LEGAL_FORMS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn one_name_is_written_in_many_ways() {
        for (typed, plain) in [
            ("Müller GmbH", "muller"),
            ("  MULLER  gmbh ", "muller"),
            ("Müller GmbH & Co. KG", "muller"),
            ("Müller & Söhne OHG", "muller sohne"),
            ("Müller und Söhne", "muller sohne"),
            ("Initrode, Inc.", "initrode"),
            ("INITRODE INCORPORATED", "initrode"),
            ("Initrode Corp", "initrode"),
            ("The Initrode Company, LLC", "initrode"),
            ("Ferrari S.p.A.", "ferrari"),
            ("Ferrari S. p. A.", "ferrari"),
            ("Ferrari Spa", "ferrari"),
            ("Société Générale SA", "societe generale"),
            ("Kovács Kft.", "kovacs"),
            ("OTP Bank Nyrt.", "otp bank"),
            ("Nokia Oyj", "nokia"),
            ("Philips B.V.", "philips"),
            ("Allegro Sp. z o.o.", "allegro"),
            ("Cemex S.A. de C.V.", "cemex"),
            ("Škoda, spol. s r.o.", "skoda"),
            ("Tata Pvt. Ltd.", "tata"),
            ("Huawei Co.,Ltd", "huawei"),
            ("O’Neil Ltd", "oneil"),
            ("O'Neil Limited", "oneil"),
            ("Booking.com B.V.", "booking com"),
            ("A.P. Møller – Mærsk A/S", "ap moller maersk"),
            ("Große Straße AG", "grosse strasse"),
            ("Łódź d.o.o.", "lodz"),
            ("株式会社トヨタ", "トヨタ"),
            ("トヨタ株式会社", "トヨタ"),
            ("华为技术有限公司", "华为技术"),
            ("ＡＣＭＥ　Ｉｎｃ", "acme"),
            // A name that is nothing else is kept.
            ("AG", "ag"),
            ("Limited", "limited"),
            ("SA Ltd", "sa"),
            ("And GmbH", "and"),
            ("Und", "und"),
            ("The The", "the"),
            ("3M", "3m"),
            ("!!!", ""),
            (" - ", ""),
        ] {
            assert_eq!(name(typed), plain, "{typed}");
        }
        for (one, other) in
            [("Acme", "Acme Systems"), ("Bader", "Pader"), ("ハス", "バス"), ("Company of Heroes", "Heroes")]
        {
            assert_ne!(name(one), name(other));
        }
    }

    fn customer(company: &str, website: Option<&str>, email: Option<&str>, phone: Option<&str>) -> Customer {
        let contact = Contact {
            email: email.map(str::to_owned),
            phone: phone.map(|typed| Phone { e164: typed.to_owned(), typed: typed.to_owned() }),
            ..Contact::default()
        };
        Customer { company: company.to_owned(), website: website.map(str::to_owned), contact, ..Customer::default() }
    }

    fn domains(website: Option<&str>, email: Option<&str>) -> Vec<String> {
        let keys = match_keys(&customer("x", website, email, None));
        keys.into_iter().filter(|key| key.reason == Reason::WebDomain).map(|key| key.value).collect()
    }

    #[test]
    fn a_domain_comes_from_the_website_and_from_the_companys_own_mail() {
        for (website, email, found) in [
            (Some("https://www.Example.com/a?b"), None, vec!["example.com"]),
            (Some("http://example.com:8080"), Some("a@EXAMPLE.com"), vec!["example.com"]),
            (Some("https://shop.example.com"), Some("a@example.com"), vec!["example.com", "shop.example.com"]),
            (Some("https://exämple.de"), Some("zoë@xn--exmple-cua.de"), vec!["xn--exmple-cua.de"]),
            (Some("https://example.com./"), None, vec!["example.com"]),
            (Some("https://www.com"), None, vec!["www.com"]),
            (None, Some("a@www.example.com"), vec!["example.com"]),
            (Some("http://127.0.0.1/"), None, vec![]),
            (Some("http://[::1]/"), None, vec![]),
            (Some("http://intranet/"), None, vec![]),
            (Some("https://www.facebook.com/initrode"), None, vec![]),
            (Some("https://sites.google.com/initrode"), None, vec![]),
        ] {
            assert_eq!(domains(website, email), found, "{website:?} {email:?}");
        }
    }

    #[test]
    fn a_mailbox_at_a_provider_gives_no_domain_and_still_an_address() {
        for email in [
            "a@gmail.com",
            "a@GoogleMail.com",
            "a@yahoo.co.uk",
            "a@yahoo.fr",
            "a@hotmail.com.br",
            "a@outlook.de",
            "a@gmx.net",
            "a@web.de",
            "a@icloud.com",
            "a@freemail.hu",
            "a@proton.me",
            "a@yandex.ru",
        ] {
            assert_eq!(domains(None, Some(email)), [""; 0], "{email}");
            let keys = match_keys(&customer("x", None, Some(email), None));
            assert!(keys.contains(&MatchKey { reason: Reason::Email, value: email.to_lowercase() }), "{keys:?}");
        }
        assert_eq!(domains(None, Some("a@live.example.com")), ["live.example.com"]);
        assert_eq!(domains(None, Some("a@yahoo-partners.com")), ["yahoo-partners.com"]);
    }

    #[test]
    fn addresses_and_numbers_are_compared_in_one_form() {
        let keys = match_keys(&customer("", None, Some("Zoë@Exämple.DE"), Some("+4930123456")));
        let key = |reason, value: &str| MatchKey { reason, value: value.to_owned() };
        let expected = [
            key(Reason::WebDomain, "xn--exmple-cua.de"),
            key(Reason::Email, "zoë@xn--exmple-cua.de"),
            key(Reason::Phone, "+4930123456"),
        ];
        assert_eq!(keys, expected.into());
    }

    #[test]
    fn the_score_of_each_set_of_reasons() {
        use Reason::{CompanyName, Email, Phone, WebDomain};
        for (reasons, expected) in [
            (vec![], 0),
            (vec![Phone], 40),
            (vec![CompanyName], 50),
            (vec![WebDomain], 60),
            (vec![Email], 70),
            (vec![CompanyName, Phone], 90),
            (vec![WebDomain, Phone], 100),
            (vec![CompanyName, WebDomain], 100),
            (vec![Email, CompanyName], 100),
            (vec![CompanyName, WebDomain, Email, Phone], 100),
        ] {
            assert_eq!(score(&reasons.into_iter().collect()), expected);
        }
    }

    proptest! {
        #[test]
        fn a_name_in_its_normal_form_stays_as_it_is(typed in any::<String>()) {
            let plain = name(&typed);
            prop_assert_eq!(name(&plain), plain);
        }

        #[test]
        fn case_spaces_and_a_legal_form_make_no_difference(
            words in proptest::collection::vec("[a-z]{3,8}", 1..4),
            form in proptest::sample::select(vec!["GmbH", "Ltd.", "S.p.A.", "B.V.", "Inc", "Kft."]),
        ) {
            let plain = words.join(" ");
            // It is left out before anything, a legal form too: The Limited, Inc.
            prop_assume!(plain != "the");
            let loud = format!("  {}, {form} ", words.join("  ").to_uppercase());
            prop_assert_eq!(name(&plain), name(&loud));
        }

        #[test]
        fn a_key_is_never_empty_and_fits_an_index(
            company in any::<String>(), host in any::<String>(), email in any::<Option<String>>(),
        ) {
            let website = format!("https://{host}");
            for key in match_keys(&customer(&company.repeat(20), Some(&website), email.as_deref(), None)) {
                prop_assert!((1..=MAX).contains(&key.value.chars().count()));
                prop_assert!(!key.value.contains('\0') || key.reason == Reason::Email, "{key:?}");
            }
        }

        #[test]
        fn a_further_reason_never_lowers_the_score(have in 0_u8..16, more in 0_usize..4) {
            let of = |bits: u8| Reason::ALL.into_iter().enumerate().filter(move |(i, _)| bits & (1 << i) != 0);
            let reasons: BTreeSet<_> = of(have).map(|(_, reason)| reason).collect();
            let mut with = reasons.clone();
            with.insert(Reason::ALL[more]);
            prop_assert!(score(&reasons) <= score(&with) && score(&with) <= 100);
            prop_assert_eq!(score(&reasons) == 0, reasons.is_empty());
        }
    }
}
