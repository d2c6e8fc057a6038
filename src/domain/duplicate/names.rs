//! Companies' names as they are compared.

use std::{collections::HashSet, sync::LazyLock};

use unicode_normalization::char::is_combining_mark;

use super::lines;
use crate::domain::text::loose;

/// Legal forms in their compared form, at either end of a name.
struct Forms {
    before: HashSet<String>,
    behind: HashSet<String>,
}

static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let mut forms = Forms { before: HashSet::new(), behind: HashSet::new() };
    for line in lines(include_str!("data/legal-forms.txt")) {
        if let Some(form) = line.strip_prefix("… ") {
            forms.behind.insert(loose(form));
        } else if let Some(form) = line.strip_suffix(" …") {
            forms.before.insert(loose(form));
        }
    }
    forms
});

static PLACEHOLDERS: LazyLock<HashSet<String>> =
    LazyLock::new(|| lines(include_str!("data/placeholders.txt")).map(name).collect());

/// Whether a name in its compared form is what people type where they know none.
pub(super) fn is_placeholder(name: &str) -> bool {
    PLACEHOLDERS.contains(name)
}

/// A company's name without what people write in several ways: case, accents, punctuation, the word for "and", and the
/// legal form at its end or beginning. It is empty where the name has no letter or digit.
pub fn name(typed: &str) -> String {
    let mut name = once(typed);
    // Below what was left out there may be another form.
    loop {
        let next = once(&name);
        if next == name {
            return name;
        }
        name = next;
    }
}

fn once(typed: &str) -> String {
    let typed = typed.replace(['™', '℠', '®', '©'], " ");
    let mut plain = String::with_capacity(typed.len());
    for c in loose(&typed).chars() {
        match c {
            // Within a word, as in O'Neil; and in Hebrew's abbreviations.
            '\'' | '\u{05F3}' | '\u{05F4}' => {}
            '.' => plain.push('.'),
            c if c.is_alphanumeric() || is_combining_mark(c) => plain.push(c),
            _ => plain.push(' '),
        }
    }
    let mut words: Vec<String> = plain.split(' ').flat_map(dotted).collect();
    let joined: Vec<String> = words.iter().filter(|word| !AND.contains(&word.as_str())).cloned().collect();
    // Where nothing else or only a legal form is left, the word is the name: And GmbH.
    let is_form = |word: &String| FORMS.behind.contains(word) || FORMS.before.contains(word);
    let form_alone = matches!(joined.as_slice(), [only] if is_form(only));
    if !joined.is_empty() && !form_alone {
        words = joined;
    }
    while words.len() > 1 && words[0] == "the" {
        words.remove(0);
    }
    while let Some(form) = form_behind(&words) {
        words.truncate(words.len() - form);
    }
    while let Some(form) = form_before(&words) {
        words.drain(..form);
    }
    let plain = words.join(" ");
    without_attached_form(&plain).unwrap_or(plain)
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

/// Of how many words the legal form at the end is. A name is never only a legal form.
fn form_behind(words: &[String]) -> Option<usize> {
    // The longest first: "sp z o o" before a single "o".
    (1..=4.min(words.len().saturating_sub(1)))
        .rev()
        .find(|count| FORMS.behind.contains(&words[words.len() - count..].concat()))
}

/// Of how many words the legal form at the beginning is.
fn form_before(words: &[String]) -> Option<usize> {
    (1..=4.min(words.len().saturating_sub(1))).rev().find(|count| FORMS.before.contains(&words[..*count].concat()))
}

/// Legal forms that stand before or after a name without a space.
const ATTACHED_FORMS: [&str; 13] = [
    "股份有限公司",
    "有限责任公司",
    "有限責任公司",
    "有限公司",
    "株式会社",
    "有限会社",
    "合同会社",
    "合資会社",
    "주식회사",
    "유한회사",
    "บริษัท",
    "จำกัด",
    "มหาชน",
];

/// What is left of a name in its compared form, where it has one of them.
fn without_attached_form(name: &str) -> Option<String> {
    ATTACHED_FORMS.iter().find_map(|form| {
        let form = loose(form);
        let rest = name.strip_prefix(&form).or_else(|| name.strip_suffix(&form))?.trim();
        (!rest.is_empty()).then(|| rest.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            // In front, in quotes, and in scripts of other countries.
            ("PT Initrode", "initrode"),
            ("PT. Initrode Tbk", "initrode"),
            ("CV Initrode", "initrode"),
            ("ООО «Ромашка»", "ромашка"),
            ("Ромашка, ООО", "ромашка"),
            ("ООО \"Ромашка\"", "ромашка"),
            ("О.О.О. „Ромашка“", "ромашка"),
            ("ПАО Ромашка", "ромашка"),
            ("ТОВ «Ромашка»", "ромашка"),
            ("OOO Romashka", "romashka"),
            ("UAB „Initrode“", "initrode"),
            ("SIA Initrode", "initrode"),
            ("AB Volvo", "volvo"),
            ("SARL Dupont", "dupont"),
            ("Công ty TNHH Initrode", "initrode"),
            ("(株)トヨタ", "トヨタ"),
            ("㈱トヨタ", "トヨタ"),
            ("トヨタ（株）", "トヨタ"),
            ("(주)한국", "한국"),
            ("주식회사 한국", "한국"),
            ("ΟΔΥΣΣΕΥΣ Α.Ε.", "οδυσσευσ"),
            ("Οδυσσεύς ΑΕ", "οδυσσευσ"),
            ("אינטרוד בע\"מ", "אינטרוד"),
            ("אינטרוד בע״מ", "אינטרוד"),
            ("บริษัท อินิโทรด จำกัด (มหาชน)", &loose("อินิโทรด")),
            ("台積電股份有限公司", "台積電"),
            ("Initrode Sdn. Bhd.", "initrode"),
            ("Initrode (Pty) Ltd", "initrode"),
            ("Initrode FZ-LLC", "initrode"),
            ("Initrode™ Ltd.", "initrode"),
            ("“Initrode” Ltd", "initrode"),
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

    #[test]
    fn what_is_typed_for_want_of_a_name_is_nobody_s() {
        for typed in [
            "[not provided]",
            "N/A",
            "n.a.",
            "NA",
            "Self",
            "Private",
            "Unknown",
            "Test",
            "TEST Company",
            "self-employed",
            "Privatperson",
            "Keine Angabe",
            "Não informado",
            "Не указано",
            "個人",
            "-- none --",
            "Nicht bekannt GmbH & Unknown",
        ] {
            let known = typed != "Nicht bekannt GmbH & Unknown";
            assert_eq!(is_placeholder(&name(typed)), known, "{typed}");
        }
        for typed in ["Initrode", "Private Equity Partners", "Selfridges", "Test Rite", "Unknown Worlds", "Home Depot"]
        {
            assert!(!is_placeholder(&name(typed)), "{typed}");
        }
    }

    #[test]
    fn the_lists_are_read_whole() {
        let lines = lines(include_str!("data/legal-forms.txt"));
        assert_eq!(lines.filter(|line| !line.starts_with("… ") && !line.ends_with(" …")).count(), 0);
        assert!(!PLACEHOLDERS.contains(""), "a placeholder without letters says nothing");
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
            prop_assume!(name(&plain) == plain);
            let loud = format!("  {}, {form} ", words.join("  ").to_uppercase());
            prop_assert_eq!(name(&plain), name(&loud));
        }

        #[test]
        fn forms_in_any_order_leave_a_name_that_stays(
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "pt", "the", "and", "gmbh", "co", "kg", "ооо", "株", "株式会社", "x", "sas", "und", "ab", "s.a.", "株式会社x",
                ]),
                1..7,
            ),
        ) {
            let plain = name(&words.join(" "));
            prop_assert!(!plain.is_empty());
            prop_assert_eq!(name(&plain), plain);
        }
    }
}
