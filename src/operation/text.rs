//! What a document's text may be, before it is parsed.

use std::borrow::Cow;
use std::ops::Range;

use apollo_parser::{Lexer, Token, TokenKind};

use super::refusal::{Bound, Refusal};

/// How deep brackets of any kind may be nested: the parser calls itself at each.
pub(super) const MAX_BRACKETS: usize = 200;

/// A text that may be parsed.
pub(super) struct Text<'t> {
    /// The same, byte for byte, but for commas and descriptions, which the parser does not pass over everywhere.
    pub(super) text: Cow<'t, str>,
    /// Names, values and punctuation. What only parts them (blanks, commas, comments) is free.
    pub(super) tokens: usize,
}

/// Counts tokens, and holds them against what the parser lets pass: an argument or an input field without a value, which it
/// drops, and a line break in a string.
///
/// # Errors
/// Too many tokens or brackets within each other; a fault of syntax.
pub(super) fn check(text: &str, max: usize) -> Result<Text<'_>, Refusal> {
    let mut tokens = 0;
    let mut blanks: Vec<Range<usize>> = Vec::new();
    let mut described = None;
    let mut places = vec![Place::Other];
    for token in Lexer::new(text) {
        let token = token.map_err(|fault| syntax(fault.message(), fault.index(), text))?;
        match token.kind() {
            TokenKind::Whitespace | TokenKind::Comment | TokenKind::Eof => continue,
            TokenKind::Comma => {
                blanks.push(token.index()..token.index() + 1);
                continue;
            }
            TokenKind::StringValue if !token.data().starts_with("\"\"\"") && token.data().contains(['\n', '\r']) => {
                return Err(syntax("a string ends in its line; a block string has three quotes", token.index(), text));
            }
            _ => {}
        }
        tokens += 1;
        if tokens > max {
            return Err(Refusal::over(Bound::Tokens, max));
        }
        // A description of an operation, a fragment or a variable (edition of September 2025), which the parser takes in
        // schemas alone.
        let may_be = matches!(places[..], [Place::Other] | [Place::Other, Place::Round | Place::Variables]);
        if let Some(description) = described.take() {
            let expected = if places.len() == 1 { "an operation or a fragment" } else { "a variable" };
            match token.kind() {
                TokenKind::Name if places.len() == 1 => blanks.push(description),
                TokenKind::Dollar if places.len() == 2 => blanks.push(description),
                _ => return Err(syntax(&format!("expected {expected} after its description"), token.index(), text)),
            }
        } else if may_be && token.kind() == TokenKind::StringValue {
            described = Some(token.index()..token.index() + token.data().len());
            continue;
        }
        place(&mut places, &token).map_err(|expected| {
            let found: String = token.data().chars().take(20).collect();
            syntax(&format!("expected {expected}, got `{found}`"), token.index(), text)
        })?;
        if places.len() > MAX_BRACKETS {
            return Err(Refusal::too_complex("The document is nested too deep.", |fault| fault));
        }
    }
    if let Some(description) = described {
        return Err(syntax("a description stands before what it describes", description.start, text));
    }
    let mut text = Cow::Borrowed(text);
    if !blanks.is_empty() {
        let mut bytes = text.into_owned().into_bytes();
        for byte in blanks.into_iter().flatten() {
            if !matches!(bytes[byte], b'\n' | b'\r') {
                bytes[byte] = b' ';
            }
        }
        text = Cow::Owned(String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(Text { text, tokens })
}

fn syntax(message: &str, byte: usize, text: &str) -> Refusal {
    Refusal::invalid(format!("syntax error: {message}")).at(byte, text)
}

/// Where a token stands, between the innermost brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Selections, types, and all that is no value.
    Other,
    /// The beginning of a list in round brackets.
    Round,
    /// Variables: a value follows `=`.
    Variables,
    /// The default of a variable.
    Default,
    /// Arguments or input fields: the next one, or the end.
    Field,
    /// After the name of one.
    Colon,
    /// After its colon.
    Value,
    /// The values of a list.
    List,
    /// After the `$` of a variable in a list, and elsewhere.
    VariableInList,
    Variable,
}

/// The place after a token; the error is what was expected in its stead.
fn place(places: &mut Vec<Place>, token: &Token<'_>) -> Result<(), &'static str> {
    use TokenKind as Kind;
    let kind = token.kind();
    let Some(last) = places.last_mut() else { return Ok(()) };
    if *last == Place::Round {
        *last = if kind == Kind::Dollar { Place::Variables } else { Place::Field };
    }
    let (next, inner) = match (*last, kind) {
        (Place::Other, Kind::LCurly | Kind::LBracket) => (Place::Other, Some(Place::Other)),
        (Place::Other, Kind::LParen) => (Place::Other, Some(Place::Round)),
        (Place::Variables, Kind::LParen) => (Place::Variables, Some(Place::Round)),
        (Place::Variables, Kind::LBracket) => (Place::Variables, Some(Place::Other)),
        (Place::Variables, Kind::Eq) => (Place::Default, None),
        (Place::Default, Kind::LBracket) => (Place::Variables, Some(Place::List)),
        (Place::Default, Kind::LCurly) => (Place::Variables, Some(Place::Field)),
        (Place::Default, _) => (Place::Variables, None),
        (Place::Field, Kind::Name) => (Place::Colon, None),
        (Place::Colon, Kind::Colon) => (Place::Value, None),
        (Place::Value, Kind::LBracket) => (Place::Field, Some(Place::List)),
        (Place::Value, Kind::LCurly) => (Place::Field, Some(Place::Field)),
        (Place::Value, Kind::Dollar) => (Place::Variable, None),
        (Place::Value, Kind::Name | Kind::StringValue | Kind::Int | Kind::Float) | (Place::Variable, Kind::Name) => {
            (Place::Field, None)
        }
        (Place::List, Kind::LBracket) => (Place::List, Some(Place::List)),
        (Place::List, Kind::LCurly) => (Place::List, Some(Place::Field)),
        (Place::List, Kind::Dollar) => (Place::VariableInList, None),
        (Place::List, Kind::Name | Kind::StringValue | Kind::Int | Kind::Float)
        | (Place::VariableInList, Kind::Name) => (Place::List, None),
        (
            Place::Other | Place::Variables | Place::Field | Place::List,
            Kind::RCurly | Kind::RBracket | Kind::RParen,
        ) => {
            // What does not fit its bracket is for the parser to tell.
            if places.len() > 1 {
                places.pop();
            }
            return Ok(());
        }
        (Place::Field, _) => return Err("a name or the end of the list"),
        (Place::Colon, _) => return Err("`:` and a value"),
        (Place::Value | Place::List, _) => return Err("a value"),
        (Place::Variable | Place::VariableInList, _) => return Err("the name of a variable"),
        (Place::Other | Place::Variables | Place::Round, _) => (*last, None),
    };
    *last = next;
    places.extend(inner);
    Ok(())
}
