//! What a text from outside may hold: no control characters, nothing that turns the reading direction around, and no
//! more characters than the field takes.

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

    /// The text trimmed and with `\n` as its only line break, or none where it is blank.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be right.
    pub fn clean(self, text: &str) -> Result<Option<String>, String> {
        let unified;
        let text = if self.multiline && text.contains('\r') {
            unified = text.replace("\r\n", "\n").replace('\r', "\n");
            unified.as_str()
        } else {
            text
        };
        // A line break at an end is trimmed away, so it is no fault even in one line.
        let text = text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
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
        Ok(if length == 0 { None } else { Some(text.to_owned()) })
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
        is_bidi_control(c) || if is_break(c) { !self.multiline } else { c.is_control() }
    }
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
    let mut shown: String = text.chars().take(50).filter(|c| !c.is_control() && !is_bidi_control(*c)).collect();
    if text.chars().nth(50).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether nothing of the text can be seen.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_invisible(c))
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\t' | '\r' | '\u{2028}' | '\u{2029}')
}

/// Unicode's explicit directional formatting characters: with them a text can be made to read as another.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' | '\u{061C}')
}

/// Characters without a shape that Unicode does not count as white space.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00AD}' | '\u{115F}' | '\u{1160}' | '\u{180E}' | '\u{200B}'
            ..='\u{200D}' | '\u{2060}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}'
    )
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
            ("Zoë Ångström 株式会社 👩‍👩‍👧", Some("Zoë Ångström 株式会社 👩‍👩‍👧")),
        ] {
            assert_eq!(LINE.clean(typed), Ok(kept.map(str::to_owned)), "{typed:?}");
        }
    }

    #[test]
    fn controls_and_bidi_controls_are_refused_wherever_they_stand() {
        for bad in [
            '\0', '\u{1}', '\u{1B}', '\u{7F}', '\u{85}', '\u{9F}', '\u{202A}', '\u{202B}', '\u{202C}', '\u{202D}',
            '\u{202E}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}', '\u{200E}', '\u{200F}', '\u{061C}',
        ] {
            for rules in [LINE, LONG] {
                let fault = rules.clean(&format!("a{bad}b")).unwrap_err();
                assert!(fault.contains(&format!("U+{:04X}", u32::from(bad))), "{fault}");
            }
        }
        assert!(LINE.clean("\0").is_err(), "a control character alone is no blank text");
        assert!(LINE.clean("a\nb").unwrap_err().contains("one line"));
        assert!(LINE.clean("a\tb").is_err());
        assert_eq!(LONG.clean("a\r\nb\rc\n\td\n"), Ok(Some("a\nb\nc\n\td".to_owned())));
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
                prop_assert!(!kept.contains('\0') && !kept.contains('\r'));
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
