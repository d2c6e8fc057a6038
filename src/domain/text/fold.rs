//! Texts as they are compared: one form for all ways to write the same.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use super::signs::is_invisible;

/// The text without what tells two ways to write it apart: case in full (`ß` is `ss`, a final sigma a sigma, the Turkish
/// `İ` and `ı` are an `i`), composed and decomposed letters, full and half width, ligatures, what does not show. Accents
/// stay. Gaps are single spaces.
///
/// What is kept in a database in this form is written anew where the form changes: the names of marketing lists by a
/// migration.
pub fn folded(text: &str) -> String {
    let shown = text.chars().filter(|c| !is_invisible(*c));
    // Unicode's NFKC_Casefold: folding may undo a normal form, and the form may bring a letter that folds.
    let folded = shown.nfd().default_case_fold().nfkc().default_case_fold().nfkc();
    let mut plain = String::with_capacity(text.len());
    for c in folded.filter(|c| !is_invisible(*c)) {
        match c {
            'ı' => plain.push('i'),
            '\u{0307}' if plain.ends_with('i') => {}
            c if c.is_whitespace() => {
                if !plain.is_empty() && !plain.ends_with(' ') {
                    plain.push(' ');
                }
            }
            c => plain.push(c),
        }
    }
    plain.truncate(plain.trim_end().len());
    plain
}

/// [`folded`], and without accents, with the letters in which some alphabets have them (`ø`, `ł`), the signs of `O’Neil`
/// and the dashes in one form. Search compares this.
///
/// A change of it comes with a new name of the job that writes it (`store::duplicate`).
pub fn loose(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in folded(text).nfd().filter(|c| !is_accent(*c)) {
        match c {
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'þ' => plain.push_str("th"),
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            'đ' | 'ð' => plain.push('d'),
            '\u{2018}' | '\u{2019}' | '\u{02BB}' | '\u{02BC}' | '\u{2032}' | '`' => plain.push('\''),
            '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' => plain.push('-'),
            c => plain.push(c),
        }
    }
    // Marks that are letters' own parts, as in Hindi or Japanese, stand with their letters again.
    plain.nfc().collect()
}

/// The words to search for, each once, as [`loose`] has them.
pub fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in loose(text).split_whitespace() {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ways_to_write_the_same_are_one() {
        for (one, other) in [
            ("Zoë", "Zoe\u{308}"),
            ("Ångström", "A\u{30A}ngstro\u{308}m"),
            ("ΟΔΥΣΣΕΥΣ", "Οδυσσευς"),
            ("İstanbul", "istanbul"),
            ("ISTANBUL", "ıstanbul"),
            ("STRASSE", "Straße"),
            ("STRAẞE", "strasse"),
            ("ＡＣＭＥ　１２", "acme 12"),
            ("ﬁnance", "FINANCE"),
            ("ｶﾞｽ", "ガス"),
            ("한국", "\u{1112}\u{1161}\u{11AB}\u{1100}\u{116E}\u{11A8}"),
            ("Ann\u{200B}Smith", "annsmith"),
            ("Spring\u{A0} \t fair", " spring FAIR "),
            ("葛\u{E0100}城", "葛城"),
            ("ᎠᎴᏂ", "ꭰꮄꮒ"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
            assert_eq!(loose(one), loose(other), "{one} {other}");
        }
        for (one, other) in
            [("Müller", "Muller"), ("Łódź", "Lodz"), ("Øre", "Ore"), ("O’Neil", "O'Neil"), ("a–b", "a-b")]
        {
            assert_ne!(folded(one), folded(other), "{one} {other}");
            assert_eq!(loose(one), loose(other), "{one} {other}");
        }
        for (one, other) in [("ハス", "バス"), ("a b", "ab"), ("Bader", "Pader")] {
            assert_ne!(loose(one), loose(other), "{one} {other}");
        }
    }

    #[test]
    fn each_word_is_looked_for_once() {
        assert_eq!(words("  Müller  MULLER\u{3000}Söhne "), ["muller", "sohne"]);
        assert_eq!(words(" \u{200B}\t"), [""; 0]);
        assert_eq!(words("100% a_b"), ["100%", "a_b"]);
    }

    proptest! {
        #[test]
        fn a_folded_text_stays_as_it_is(text in any::<String>()) {
            let folded = folded(&text);
            prop_assert_eq!(super::folded(&folded), folded);
        }

        #[test]
        fn case_makes_no_difference(text in "[A-Za-zÀ-ɏΑ-ϗА-ӿ ]{0,20}") {
            prop_assert_eq!(folded(&text), folded(&text.to_uppercase()));
            prop_assert_eq!(loose(&text), loose(&text.to_lowercase()));
        }

        #[test]
        fn the_normal_form_makes_no_difference(text in any::<String>()) {
            let forms: [String; 4] =
                [text.nfc().collect(), text.nfd().collect(), text.nfkc().collect(), text.nfkd().collect()];
            for form in forms {
                prop_assert_eq!(loose(&form), loose(&text));
            }
        }
    }
}
