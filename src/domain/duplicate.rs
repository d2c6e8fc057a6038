//! When two leads look like the same customer (mission B6): what they are compared by, and how much a match says.
//!
//! A customer is known by up to a handful of [`MatchKey`]s. Two customers match where they share one; equality of keys
//! is all that is asked, so that a look-up is a search in an index.

mod domains;
mod names;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use self::domains::{is_nobodys, is_shared};
pub use self::names::name;
use super::{customer::Customer, id::LeadId, text::folded};

/// The entries of a list that is kept as a text: a line each, without comments.
fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

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

/// Since when a company has a lead with a key, and how long that gives it priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// When the lead came with this key, or got it.
    pub since: DateTime<Utc>,
    /// Whose it is.
    pub lead: LeadId,
    /// Until when it is protected; none for ever.
    pub until: Option<DateTime<Utc>>,
}

impl Claim {
    /// Whether this one has priority over the other: of those that are protected the first, and before those whose
    /// protection is over; of these the last, which came when the ones before had lost theirs.
    pub fn precedes(&self, other: &Self, now: DateTime<Utc>) -> bool {
        let protected = |claim: &Self| claim.until.is_none_or(|until| now < until);
        match (protected(self), protected(other)) {
            (true, true) => (self.since, self.lead) < (other.since, other.lead),
            (false, false) => (self.since, self.lead) > (other.since, other.lead),
            (mine, _) => mine,
        }
    }
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
    /// Whether the other lead has priority: it had first what they share.
    pub earlier: bool,
    /// Until when the one of the two that has priority is protected; none for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected_until: Option<DateTime<Utc>>,
}

/// The longest key, in characters: it has to fit into an entry of an index.
const MAX: usize = 255;

/// What a customer is compared by. What says nothing about who the customer is gives no key: a name without a letter
/// or digit or that stands for none, a mailbox that is nobody's, the domain of a mail provider or of a site that many share.
///
/// A change of what comes out here comes with a new name of the job that writes the keys (`store::duplicate`).
pub fn match_keys(customer: &Customer) -> BTreeSet<MatchKey> {
    let contact = &customer.contact;
    let email = contact.email.as_deref().map(address);
    let of_email = email.as_deref().and_then(|email| domain(email.rsplit_once('@')?.1));
    let email = email.filter(|email| email.rsplit_once('@').is_none_or(|(local, domain)| !is_nobodys(local, domain)));
    let found = [
        (Reason::CompanyName, Some(name(&customer.company)).filter(|name| !names::is_placeholder(name))),
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

/// An e-mail address in one form, its domain as the DNS has it.
fn address(email: &str) -> String {
    let lower = folded(email);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{customer::Contact, phone::Phone};

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
            (Some("https://uk.linkedin.com/company/initrode"), None, vec![]),
            (Some("https://www.youtube.com/@initrode"), None, vec![]),
            (Some("https://initrode.myshopify.com"), None, vec!["initrode.myshopify.com"]),
            (Some("https://www.wordpress.com/initrode"), None, vec![]),
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
            "a@virginmedia.com",
            "a@arcor.de",
            "a@zoho.com",
        ] {
            assert_eq!(domains(None, Some(email)), [""; 0], "{email}");
            let keys = match_keys(&customer("x", None, Some(email), None));
            assert!(keys.contains(&MatchKey { reason: Reason::Email, value: email.to_lowercase() }), "{keys:?}");
        }
        assert_eq!(domains(None, Some("a@live.example.com")), ["live.example.com"]);
        assert_eq!(domains(None, Some("a@yahoo-partners.com")), ["yahoo-partners.com"]);
    }

    #[test]
    fn what_stands_for_no_one_gives_no_key() {
        for (company, email) in [
            ("[not provided]", None),
            ("N/A", Some("none@none.com")),
            ("Self", Some("no-reply@initrode.example")),
            ("Private Ltd", Some("test@test.com")),
            ("Unknown", None),
            ("Test", Some("no.reply@gmail.com")),
        ] {
            let keys = match_keys(&customer(company, None, email, None));
            let own = |key: &MatchKey| key.value == "initrode.example";
            assert!(keys.iter().all(own), "{company}: {keys:?}");
        }
    }

    #[test]
    fn priority_is_the_first_s_while_it_is_protected_and_then_the_next_one_s() {
        let day = |day: i64| DateTime::from_timestamp(day * 86_400, 0).unwrap();
        let id = |n| LeadId(uuid::Uuid::from_u128(n));
        let claim = |since, until: Option<i64>, n| Claim { since: day(since), until: until.map(day), lead: id(n) };
        let (a, b, c) = (claim(0, Some(90), 3), claim(30, Some(120), 2), claim(130, Some(220), 1));
        for (now, first) in [(40, a), (89, a), (90, b), (119, b), (125, b), (140, c), (300, c)] {
            for other in [a, b, c].into_iter().filter(|other| *other != first && other.since <= day(now)) {
                assert!(first.precedes(&other, day(now)) && !other.precedes(&first, day(now)), "day {now}");
            }
        }
        let (ever, later) = (claim(0, None, 2), claim(0, None, 3));
        assert!(ever.precedes(&later, day(9999)) && !later.precedes(&ever, day(9999)), "the ids decide between equals");
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
