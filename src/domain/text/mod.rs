//! What a text is: what one from outside may hold, what of it shows, and when two are the same.
//!
//! A text holds no control characters, nothing that turns the reading direction around, nothing that does not show and
//! has no task, and no more characters than the field takes.

mod fold;
mod signs;

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

pub use fold::{folded, loose, words};
use signs::{is_invisible, seen, turns_direction};

use crate::error::Fault;

/// What one field accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The most characters (Unicode scalar values) after trimming.
    pub max: usize,
    /// Whether line breaks and tabs are allowed.
    pub multiline: bool,
}

/// A text of one line, such as an action's `TEXT` field.
pub const LINE: Rules = Rules::line(255);
/// A text of several lines, such as a reason or another `LONG_TEXT` field.
pub const LONG: Rules = Rules::lines(32_000);

impl Rules {
    /// One line of at most `max` characters.
    pub const fn line(max: usize) -> Self {
        Self { max, multiline: false }
    }

    /// Several lines, together at most `max` characters.
    pub const fn lines(max: usize) -> Self {
        Self { max, multiline: true }
    }

    /// The text trimmed, with `\n` as its only line break and without what does not show and has no task where it
    /// stands; or none where nothing of it shows.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be right.
    pub fn clean(self, text: &str) -> Result<Option<String>, String> {
        let text = if self.multiline { with_line_breaks(text) } else { text.into() };
        let text = seen(&text, self.multiline);
        // A line break at an end is trimmed away, so it is no fault even in one line.
        let text = text.trim();
        if let Some(c) = text.chars().find(|c| self.refuses(*c)) {
            return Err(if is_break(c) {
                "must be one line, without line breaks and tabs".to_owned()
            } else {
                format!("must not contain the control character U+{:04X}", u32::from(c))
            });
        }
        let length = text.chars().count();
        if length > self.max {
            return Err(format!("must have at most {} characters; it has {length}", self.max));
        }
        Ok(if is_blank(text) { None } else { Some(text.to_owned()) })
    }

    /// [`clean`](Self::clean) for a field that may be left out; a fault goes to `faults`.
    pub fn optional(self, text: Option<&str>, field: &str, faults: &mut Vec<Fault>) -> Option<String> {
        match self.clean(text?) {
            Ok(text) => text,
            Err(message) => {
                faults.push(invalid(field, &message));
                None
            }
        }
    }

    /// [`clean`](Self::clean) for a field that has to be there: absent and blank are `REQUIRED`.
    pub fn required(self, text: Option<&str>, field: &str, faults: &mut Vec<Fault>) -> Option<String> {
        match text.map_or(Ok(None), |text| self.clean(text)) {
            Ok(Some(text)) => Some(text),
            Ok(None) => {
                faults.push(missing(field));
                None
            }
            Err(message) => {
                faults.push(invalid(field, &message));
                None
            }
        }
    }

    fn refuses(self, c: char) -> bool {
        turns_direction(c) || if is_break(c) { !self.multiline } else { c.is_control() }
    }
}

/// What a number or an address says, whatever it was copied from: without the signs that only direct how others are
/// shown, which come along unseen from pages and contact lists, and in the plain form of letters and digits that there are
/// several of (full width). Trimmed.
pub fn plain(typed: &str) -> String {
    let plain: String = typed.chars().filter(|c| !is_invisible(*c)).nfkc().filter(|c| !is_invisible(*c)).collect();
    plain.trim().to_owned()
}

/// The text without the signs that only direct how others are shown, trimmed; as it was typed else.
pub fn without_format(typed: &str) -> String {
    let shown: String = typed.chars().filter(|c| !is_invisible(*c)).collect();
    shown.trim().to_owned()
}

/// The fault of a field whose value has `message`, a predicate such as "must be positive".
pub fn invalid(field: &str, message: &str) -> Fault {
    Fault::invalid(field, format!("{} {message}.", name(field)))
}

/// The fault of a field that is missing or blank.
pub fn missing(field: &str) -> Fault {
    Fault::required(field, format!("{} is required and must not be blank.", name(field)))
}

/// Hands `value` on, or its fault to `faults`.
pub fn keep<T>(value: Result<T, String>, field: &str, faults: &mut Vec<Fault>) -> Option<T> {
    value.map_err(|message| faults.push(invalid(field, &message))).ok()
}

/// The last part of an input path, which is what a caller calls the field.
pub fn name(field: &str) -> &str {
    field.rsplit('.').next().unwrap_or(field)
}

/// What may be shown of a text that a caller made up: at most 50 characters and no control characters.
pub fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(50).filter(|c| !c.is_control() && !turns_direction(*c)).collect();
    if text.chars().nth(50).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether nothing of the text can be seen. What turns the direction is no blank: it is refused.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_invisible(c) && !turns_direction(c))
}

/// Whether a line ends with the character, or it is a tab.
fn is_break(c: char) -> bool {
    c == '\t' || ends_line(c)
}

fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The text with `\n` for whatever ended its lines.
fn with_line_breaks(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| c != '\n' && ends_line(c)) {
        text.replace("\r\n", "\n").replace(ends_line, "\n").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn a_text_is_trimmed_and_a_blank_one_is_none() {
        for (typed, kept) in [
            ("  Acme  ", Some("Acme")),
            ("\u{FEFF}Acme\n", Some("Acme")),
            ("", None),
            (" \t\r\n ", None),
            ("\u{200B}\u{3164} \u{00A0}", None),
            ("Ann\u{200B}Smith", Some("AnnSmith")),
            ("Zoë Ångström 株式会社 👩‍👩‍👧", Some("Zoë Ångström 株式会社 👩‍👩‍👧")),
        ] {
            assert_eq!(LINE.clean(typed), Ok(kept.map(str::to_owned)), "{typed:?}");
        }
    }

    #[test]
    fn controls_and_what_turns_the_direction_are_refused_wherever_they_stand() {
        for bad in [
            '\0', '\u{1}', '\u{1B}', '\u{7F}', '\u{9F}', '\u{202A}', '\u{202B}', '\u{202C}', '\u{202D}', '\u{202E}',
            '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
        ] {
            for rules in [LINE, LONG] {
                let fault = rules.clean(&format!("a{bad}b")).unwrap_err();
                assert!(fault.contains(&format!("U+{:04X}", u32::from(bad))), "{fault}");
            }
        }
        assert!(LINE.clean("\0").is_err(), "a control character alone is no blank text");
        assert!(!is_blank("\0") && !is_blank("\u{202E}") && is_blank("\u{200E}\u{2800} \u{FE0F}"));
    }

    #[test]
    fn whatever_ends_a_line_is_a_line_break() {
        for end in ["\n", "\r\n", "\r", "\u{0B}", "\u{0C}", "\u{85}", "\u{2028}", "\u{2029}"] {
            assert_eq!(LONG.clean(&format!("a{end}b{end}")), Ok(Some("a\nb".to_owned())), "{end:?}");
            assert!(LINE.clean(&format!("a{end}b")).unwrap_err().contains("one line"), "{end:?}");
            assert_eq!(LINE.clean(&format!("a{end}\u{200B}")), Ok(Some("a".to_owned())), "{end:?}");
        }
        assert!(LINE.clean("a\tb").unwrap_err().contains("one line"));
        assert_eq!(LONG.clean("a\r\n\r\nb\rc\n\td\n"), Ok(Some("a\n\nb\nc\n\td".to_owned())));
    }

    #[test]
    fn right_to_left_text_keeps_its_marks() {
        let hebrew = "(שלום\u{200F}) \u{200E}Ltd\u{200E}";
        let arabic = "مرحبا\u{61C}!";
        for rules in [LINE, LONG] {
            for text in [hebrew, arabic] {
                assert_eq!(rules.clean(text), Ok(Some(text.to_owned())), "{text:?}");
            }
            assert_eq!(rules.clean("\u{200F}\u{200E}\u{61C} \u{2800}\u{FE0F}"), Ok(None), "nothing of it shows");
        }
        assert_eq!(LONG.clean("Ann\u{200E} Smith"), Ok(Some("Ann\u{200E} Smith".to_owned())));
        assert_eq!(LINE.clean("Ann\u{200E} Smith"), Ok(Some("Ann Smith".to_owned())));
        assert_eq!(LINE.clean("I ❤\u{FE0F}"), Ok(Some("I ❤\u{FE0F}".to_owned())));
    }

    #[test]
    fn what_was_copied_is_read_without_its_unseen_signs() {
        assert_eq!(plain("\u{202A}+49\u{A0}30 12\u{200B}34\u{202C}"), "+49 30 1234");
        assert_eq!(plain(" ａ＠ｂ．ｄｅ\u{FE0D}\u{2066}"), "a@b.de");
        assert_eq!(without_format("\u{2066}ａ\u{2069}\u{AD}"), "ａ");
    }

    #[test]
    fn length_is_counted_in_characters() {
        let rules = Rules::line(3);
        assert_eq!(rules.clean(" äöü "), Ok(Some("äöü".to_owned())));
        assert_eq!(rules.clean("abcd"), Err("must have at most 3 characters; it has 4".to_owned()));
    }

    #[test]
    fn a_required_text_that_is_absent_or_blank_is_required() {
        for text in [None, Some(""), Some("  \u{200B}")] {
            let mut faults = Vec::new();
            assert_eq!(LINE.required(text, "input.customer.company", &mut faults), None);
            assert_eq!(faults.len(), 1);
            assert_eq!(faults[0].code, ErrorCode::Required);
            assert_eq!(faults[0].field.as_deref(), Some("input.customer.company"));
            assert!(faults[0].message.starts_with("company is required"));
        }
        let mut faults = Vec::new();
        assert_eq!(LINE.optional(Some(" "), "input.x", &mut faults), None);
        assert!(faults.is_empty());
        LINE.optional(Some("a\0"), "input.x", &mut faults);
        assert_eq!(faults[0].code, ErrorCode::InvalidInput);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_clean_and_stays_as_it_is(text in any::<String>(), max in 0usize..40, multiline: bool) {
            let rules = Rules { max, multiline };
            if let Ok(Some(kept)) = rules.clean(&text) {
                prop_assert!(kept.chars().count() <= max);
                prop_assert!(!is_blank(&kept));
                prop_assert!(!kept.contains(|c: char| c != '\n' && c != '\t' && c.is_control()));
                prop_assert!(multiline || !kept.contains('\n'));
                prop_assert_eq!(rules.clean(&kept), Ok(Some(kept)));
            }
        }

        #[test]
        fn an_excerpt_is_short(text in any::<String>()) {
            prop_assert!(excerpt(&text).chars().count() <= 51);
        }
    }
}
