//! What a document's text may be, before it is parsed.

use apollo_parser::{Lexer, TokenKind};

use super::refusal::{Bound, Refusal};

/// Counts names, values and punctuation; what only parts them (blanks, commas, comments) is free.
///
/// # Errors
/// Too many of them, or what is no token.
pub(super) fn check(text: &str, max: usize) -> Result<usize, Refusal> {
    let mut tokens = 0;
    for token in Lexer::new(text) {
        let token = token
            .map_err(|fault| Refusal::invalid(format!("syntax error: {}", fault.message())).at(fault.index(), text))?;
        if matches!(token.kind(), TokenKind::Whitespace | TokenKind::Comment | TokenKind::Comma | TokenKind::Eof) {
            continue;
        }
        tokens += 1;
        if tokens > max {
            return Err(Refusal::over(Bound::Tokens, max));
        }
    }
    Ok(tokens)
}
