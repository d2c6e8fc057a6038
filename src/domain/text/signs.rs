//! Which characters show, and which of those that don't have a task where they stand.
//!
//! What does not show and has no task tells two texts apart that look the same: it is left out. A task have joiners within
//! an emoji and between letters of scripts that join or stack, variation selectors after what they vary, breaks between
//! letters of scripts without spaces, marks of direction in right-to-left text, fillers within a syllable.

use std::borrow::Cow;

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        BidiClass, DefaultIgnorableCodePoint, EmojiModifier, ExtendedPictographic, IndicSyllabicCategory, JoiningType,
        LineBreak, UnifiedIdeograph,
    },
};
use unicode_normalization::char::is_combining_mark;

const ZERO_WIDTH_SPACE: char = '\u{200B}';
const NON_JOINER: char = '\u{200C}';
const JOINER: char = '\u{200D}';
const BRAILLE_BLANK: char = '\u{2800}';
const KEYCAP: char = '\u{20E3}';
/// How far is looked for what a sign belongs to, in characters: no sequence is longer, and no text costs more than its
/// length.
const NEAR: usize = 8;

/// Whether the character has no shape of its own, white space aside.
pub(super) fn is_invisible(c: char) -> bool {
    !c.is_ascii()
        && (CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
            || matches!(c, BRAILLE_BLANK | '\u{FFF9}'..='\u{FFFB}'))
}

/// Unicode's embeddings, overrides and isolates: with them a text can be made to read as another.
pub(super) fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The marks of direction: signs without a shape that belong to one direction, as a letter does.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}')
}

fn is_right_to_left(c: char) -> bool {
    matches!(CodePointMapData::<BidiClass>::new().get(c), BidiClass::RightToLeft | BidiClass::ArabicLetter)
        && !is_direction_mark(c)
}

/// The text without what does not show and has no task where it stands. Marks of direction stay in `prose`, and else
/// where there is something written from right to left.
pub(super) fn seen(text: &str, prose: bool) -> Cow<'_, str> {
    if !text.chars().any(is_invisible) {
        return text.into();
    }
    let marks = prose || text.chars().any(is_right_to_left);
    let braille = text.chars().any(|c| matches!(c, '\u{2801}'..='\u{28FF}'));
    let mut kept = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        let stays = match c {
            // What turns the direction is for the caller to refuse.
            _ if !is_invisible(c) || turns_direction(c) => true,
            BRAILLE_BLANK if braille => true,
            // It takes the room of a cell, so what it parts are two words.
            BRAILLE_BLANK => {
                kept.push(' ');
                false
            }
            _ if is_direction_mark(c) => marks,
            _ => has_a_task(c, &kept, rest),
        };
        if stays {
            kept.push(c);
        }
    }
    kept.into()
}

fn has_a_task(c: char, before: &str, after: &str) -> bool {
    let last = before.chars().next_back();
    match c {
        NON_JOINER | JOINER if last.is_some_and(|last| matches!(last, NON_JOINER | JOINER)) => false,
        JOINER if is_emoji_before(before) => shown(after).is_some_and(is_pictograph),
        NON_JOINER | JOINER => joins(before, after),
        ZERO_WIDTH_SPACE => last.is_some_and(has_no_spaces) && shown(after).is_some_and(has_no_spaces),
        '\u{FE0E}' | '\u{FE0F}' => last.is_some_and(|last| {
            let keycap = matches!(last, '0'..='9' | '#' | '*') && shown(after) == Some(KEYCAP);
            keycap || is_pictograph(last)
        }),
        '\u{FE00}'..='\u{FE02}' | '\u{E0100}'..='\u{E01EF}' => {
            let myanmar = |last| c == '\u{FE00}' && matches!(last, '\u{1000}'..='\u{109F}' | '\u{AA60}'..='\u{AA7F}');
            last.is_some_and(|last| CodePointSetData::new::<UnifiedIdeograph>().contains(last) || myanmar(last))
        }
        '\u{180B}'..='\u{180F}' => {
            last.is_some_and(|last| matches!(last, '\u{1820}'..='\u{18AA}'))
                || c == '\u{180E}' && shown(after).is_some_and(|next| matches!(next, '\u{1820}' | '\u{1821}'))
        }
        // The letters of a flag's region, which follow its pole.
        '\u{E0020}'..='\u{E007F}' => {
            let pole = before.chars().rev().take(NEAR).find(|c| !is_tag(*c)) == Some('\u{1F3F4}');
            pole && std::iter::once(c).chain(after.chars().take(NEAR)).find(|c| !is_tag(*c)) == Some('\u{E007F}')
        }
        '\u{115F}' | '\u{1160}' => last.is_some_and(is_jamo) || shown(after).is_some_and(is_jamo),
        _ => false,
    }
}

fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0020}'..='\u{E007E}')
}

/// The next character that has a shape.
fn shown(after: &str) -> Option<char> {
    after.chars().take(NEAR).find(|c| !is_invisible(*c))
}

/// Whether a joiner stands between letters of a script that asks for it, or after a sign that takes a letter's vowel.
fn joins(before: &str, after: &str) -> bool {
    // A vowel's point may stand between a letter and the joiner.
    let mut near = before.chars().rev().take(NEAR).filter(|c| !is_invisible(*c));
    let letter = near.find(|c| asks_for_joiners(*c) || !is_combining_mark(*c));
    letter.is_some_and(|letter| {
        asks_for_joiners(letter) && (takes_the_vowel(letter) || shown(after).is_some_and(asks_for_joiners))
    })
}

fn asks_for_joiners(c: char) -> bool {
    let joining = matches!(
        CodePointMapData::<JoiningType>::new().get(c),
        JoiningType::DualJoining | JoiningType::LeftJoining | JoiningType::RightJoining
    );
    let indic = CodePointMapData::<IndicSyllabicCategory>::new().get(c) != IndicSyllabicCategory::Other;
    (c.is_alphabetic() || is_combining_mark(c)) && (joining || indic)
}

fn takes_the_vowel(c: char) -> bool {
    matches!(
        CodePointMapData::<IndicSyllabicCategory>::new().get(c),
        IndicSyllabicCategory::Virama | IndicSyllabicCategory::PureKiller | IndicSyllabicCategory::InvisibleStacker
    )
}

/// Letters of scripts that put no spaces between words, such as Thai and Khmer.
fn has_no_spaces(c: char) -> bool {
    CodePointMapData::<LineBreak>::new().get(c) == LineBreak::ComplexContext
}

fn is_pictograph(c: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(c)
}

/// Whether an emoji ends here, with its colour or style.
fn is_emoji_before(before: &str) -> bool {
    let modifies = |c: char| c == '\u{FE0F}' || CodePointSetData::new::<EmojiModifier>().contains(c);
    before.chars().rev().take(NEAR).find(|c| !modifies(*c)).is_some_and(is_pictograph)
}

fn is_jamo(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115E}' | '\u{1161}'..='\u{11FF}' | '\u{A960}'..='\u{A97C}' | '\u{D7B0}'..='\u{D7FB}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_task_stays() {
        for text in [
            "👩\u{200D}👩\u{200D}👧",
            "👩\u{1F3FD}\u{200D}💻 and ❤\u{FE0F}\u{200D}🔥",
            "❤\u{FE0F}",
            "1\u{FE0F}\u{20E3}",
            "\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
            // Persian, with a vowel's point too; Hindi, Sinhala, and Malayalam with the joiner at a word's end.
            "می\u{200C}خواهم",
            "مِ\u{200C}خ",
            "क\u{94D}\u{200D}ष",
            "ශ\u{DCA}\u{200D}රී",
            "അവന\u{D4D}\u{200D} വന്നു",
            "র\u{200D}\u{9CD}য",
            // Khmer with a break between words, a Japanese name's variant, Mongolian, old Korean.
            "ខ្ញុំ\u{200B}ស្រលាញ់",
            "葛\u{E0100}城",
            "ᠠ\u{180B}",
            "\u{115F}\u{1161}",
            "⠁\u{2800}⠃",
            "שלום\u{200F}!",
        ] {
            assert_eq!(seen(text, false), text, "{}", text.escape_unicode());
        }
    }

    #[test]
    fn what_has_none_is_left_out() {
        for (text, kept) in [
            ("Ann\u{200B}Smith", "AnnSmith"),
            ("Ann\u{200C}Smith", "AnnSmith"),
            ("Ann\u{200D}Smith", "AnnSmith"),
            ("Ann\u{2060}Smith", "AnnSmith"),
            ("Ann\u{AD}Smith", "AnnSmith"),
            ("Ann\u{FE0F}Smith", "AnnSmith"),
            ("Ann\u{E0100}Smith", "AnnSmith"),
            ("Ann\u{E0041}\u{E007F}Smith", "AnnSmith"),
            ("Ann\u{34F}Smith", "AnnSmith"),
            ("Ann\u{3164}Smith", "AnnSmith"),
            ("Ann\u{FFA0}Smith", "AnnSmith"),
            ("Ann\u{1160}Smith", "AnnSmith"),
            ("Ann\u{200E}Smith", "AnnSmith"),
            ("Ann\u{FEFF}Smith", "AnnSmith"),
            ("Ann\u{180E}Smith", "AnnSmith"),
            ("Ann\u{206A}Smith", "AnnSmith"),
            ("Ann\u{FFF9}Smith", "AnnSmith"),
            ("Ann\u{2800}Smith", "Ann Smith"),
            ("Zoe\u{308}\u{200C}x", "Zoe\u{308}x"),
            ("ب\u{200C} ت", "ب ت"),
            ("❤\u{FE0F}\u{FE0F}\u{200D}x", "❤\u{FE0F}x"),
            ("ក\u{200B} x", "ក x"),
            ("\u{1F3F4}\u{E0067}x", "\u{1F3F4}x"),
        ] {
            assert_eq!(seen(text, false), kept, "{}", text.escape_unicode());
        }
        assert_eq!(seen("a\u{200E}b", true), "a\u{200E}b");
    }

    #[test]
    fn a_flood_of_signs_costs_no_more_than_its_length() {
        let begun = std::time::Instant::now();
        for flood in ["\u{200D}", "\u{200C}\u{308}", "\u{E0067}", "\u{FE0F}\u{1F3FD}\u{200D}", "\u{200B}"] {
            seen(&format!("क🏴{}", flood.repeat(300_000)), false);
        }
        assert!(begun.elapsed().as_secs() < 20, "it took {:?}", begun.elapsed());
    }
}
