//! E-mail addresses.

use email_address::{EmailAddress, Options};

use super::text::{self, Rules};

/// The longest address that SMTP can carry (RFC 5321, erratum 1690).
const MAX: usize = 254;

/// The address trimmed and without the unseen signs that come along when one is copied, or none where it is blank. It is
/// one mailbox at a domain with a dot, without a display name.
///
/// # Errors
/// A predicate for the caller.
pub fn clean(typed: &str) -> Result<Option<String>, String> {
    let Some(address) = Rules::line(MAX).clean(&text::plain(typed))? else {
        return Ok(None);
    };
    let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
    match EmailAddress::parse_with_options(&address, options) {
        Ok(_) => Ok(Some(address)),
        Err(_) => Err("must be an e-mail address, such as \"name@example.com\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_checked() {
        for good in ["bertha@fcof.net", "a.b+c@sub.example.co.uk", "zoë@exämple.de", "o'neil@example.com"] {
            assert_eq!(clean(&format!(" {good} ")), Ok(Some(good.to_owned())));
        }
        assert_eq!(clean("  "), Ok(None));
        for copied in [
            "\u{202A}bertha@fcof.net\u{202C}",
            "\u{2066}bertha\u{200B}@fcof.net\u{2069}\u{FE0D}",
            "ｂｅｒｔｈａ＠ｆｃｏｆ．ｎｅｔ",
            "\u{FEFF}bertha@fcof\u{AD}.net\u{200E}",
        ] {
            assert_eq!(clean(copied), Ok(Some("bertha@fcof.net".to_owned())), "{}", copied.escape_unicode());
        }
        let long = format!("{}@{}.com", "a".repeat(64), "b".repeat(190));
        for bad in [
            "bertha",
            "@example.com",
            "a@",
            "a@localhost",
            "a b@example.com",
            "a@exa mple.com",
            "Bertha <bertha@fcof.net>",
            "<a@example.com>",
            "a@[127.0.0.1]",
            "a@@example.com",
            "a@example..com",
            "a@example.com, b@example.com",
            "a@example.com\nBcc: b@example.com",
            long.as_str(),
        ] {
            assert!(clean(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), local in ".{0,8}", domain in ".{0,8}") {
            let _ = clean(&text);
            let _ = clean(&format!("{local}@{domain}"));
        }
    }
}
