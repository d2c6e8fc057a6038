//! Web addresses.

use url::Url;

use super::text::{self, Rules};

/// The longest address kept, in characters.
const MAX: usize = 2048;

/// The address in its normal form (`https://example.com/`), or none where it is blank. It is an absolute http or
/// https URL without a user name or password.
///
/// # Errors
/// A predicate for the caller.
pub fn clean(typed: &str) -> Result<Option<String>, String> {
    let Some(address) = Rules::line(MAX).clean(&text::without_format(typed))? else {
        return Ok(None);
    };
    let fault =
        || "must be a web address that starts with http:// or https://, such as \"https://example.com\"".to_owned();
    // The parser mends what it can ("https:example.com"); what is kept has to have been written as an address.
    let lower = address.get(..8).or(address.get(..7)).unwrap_or_default().to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return Err(fault());
    }
    let url = Url::parse(&address).map_err(|_| fault())?;
    if !url.has_host() {
        return Err(fault());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or a password".to_owned());
    }
    if url.as_str().len() > MAX {
        return Err(format!("must have at most {MAX} characters when encoded; it has {}", url.as_str().len()));
    }
    Ok(Some(url.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_web_addresses_are_kept() {
        for (typed, kept) in [
            ("https://example.com", "https://example.com/"),
            (" HTTP://Example.com/a?b=c#d ", "http://example.com/a?b=c#d"),
            ("https://exämple.de/ü", "https://xn--exmple-cua.de/%C3%BC"),
            ("\u{202A}https://example.com\u{200B}/\u{202C}", "https://example.com/"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
        ] {
            assert_eq!(clean(typed), Ok(Some(kept.to_owned())), "{typed}");
        }
        assert_eq!(clean(" "), Ok(None));
        let long = format!("https://example.com/{}", "a".repeat(2048));
        let swells = format!("https://example.com/{}", "ü".repeat(1000));
        for bad in [
            "www.example.com",
            "ftp://example.com",
            "javascript:alert(1)",
            "https:example.com",
            "https://",
            "http:///",
            "https://user:pw@example.com",
            "https://user@example.com",
            "https://exa mple.com",
            "https://example.com/\0",
            "é",
            "httpé://example.com",
            long.as_str(),
            swells.as_str(),
        ] {
            assert!(clean(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_stays_as_it_is(rest in any::<String>()) {
            if let Ok(Some(kept)) = clean(&format!("https://{rest}")) {
                prop_assert!(kept.starts_with("https://"));
                prop_assert_eq!(clean(&kept), Ok(Some(kept)));
            }
            let _ = clean(&rest);
        }
    }
}
