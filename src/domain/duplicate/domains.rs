//! Domains that are no company's: mail for everyone, pages for everyone, what people type for want of one.
//!
//! The lists are data, kept by hand: a domain that is missing costs a match that is none, and is added in one line.

use std::{collections::HashSet, sync::LazyLock};

/// A list of domains.
struct List {
    /// These alone.
    exact: HashSet<&'static str>,
    /// These and all below them (`*.linkedin.com`).
    whole: HashSet<&'static str>,
    /// The first labels of those that stand under each country's ending (`yahoo.*`).
    families: HashSet<&'static str>,
}

static MAIL_PROVIDERS: LazyLock<List> = LazyLock::new(|| List::read(include_str!("data/mail-providers.txt")));
static SHARED_SITES: LazyLock<List> = LazyLock::new(|| List::read(include_str!("data/shared-sites.txt")));
static PLACEHOLDERS: LazyLock<List> = LazyLock::new(|| List::read(include_str!("data/placeholder-domains.txt")));

impl List {
    fn read(text: &'static str) -> Self {
        let mut list = Self { exact: HashSet::new(), whole: HashSet::new(), families: HashSet::new() };
        for line in super::lines(text) {
            if let Some(domain) = line.strip_prefix("*.") {
                list.whole.insert(domain);
            } else if let Some(first) = line.strip_suffix(".*") {
                list.families.insert(first);
            } else {
                list.exact.insert(line);
            }
        }
        list
    }

    fn has(&self, domain: &str) -> bool {
        let Some((first, rest)) = domain.split_once('.') else { return false };
        // yahoo.com, yahoo.fr, yahoo.co.uk
        let is_ending = || rest.split('.').count() <= 2 && rest.split('.').all(|label| (2..=3).contains(&label.len()));
        let mut above = std::iter::successors(Some(domain), |name| name.split_once('.').map(|(_, above)| above));
        self.exact.contains(domain)
            || self.families.contains(first) && is_ending()
            || above.any(|name| self.whole.contains(name))
    }
}

/// Whether many companies and persons stand under this name, or nobody.
pub(super) fn is_shared(domain: &str) -> bool {
    MAIL_PROVIDERS.has(domain) || SHARED_SITES.has(domain) || PLACEHOLDERS.has(domain)
}

/// Whether the mailbox is nobody's: at a domain that stands for none, or one that no answer is read in.
pub(super) fn is_nobodys(local: &str, domain: &str) -> bool {
    let local: String = local.chars().filter(|c| !matches!(c, '.' | '-' | '_')).collect();
    PLACEHOLDERS.has(domain) || matches!(local.as_str(), "noreply" | "donotreply" | "noemail" | "nomail" | "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_lower_case_domains_each_once() {
        for text in [
            include_str!("data/mail-providers.txt"),
            include_str!("data/shared-sites.txt"),
            include_str!("data/placeholder-domains.txt"),
        ] {
            let mut seen = HashSet::new();
            for line in super::super::lines(text) {
                assert!(seen.insert(line), "{line} stands there twice");
                assert!(line.contains('.') && !line.starts_with('.') && !line.ends_with('.'), "{line}");
                assert!(line.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '*')), "{line}");
            }
        }
    }

    #[test]
    fn a_name_below_a_shared_site_is_one_company_s_where_the_site_gives_names() {
        for shared in [
            "facebook.com",
            "de-de.facebook.com",
            "uk.linkedin.com",
            "m.youtube.com",
            "wordpress.com",
            "myshopify.com",
            "github.io",
            "blogspot.com",
            "blogspot.co.uk",
            "virginmedia.com",
            "arcor.de",
            "zoho.com",
            "yahoo.co.uk",
            "none.com",
        ] {
            assert!(is_shared(shared), "{shared}");
        }
        for own in [
            "initrode.wordpress.com",
            "initrode.myshopify.com",
            "initrode.github.io",
            "initrode.blogspot.com",
            "live.example.com",
            "yahoo-partners.com",
            "notfacebook.com",
            "com",
            "example.com",
            "yahoo.initrode.example",
        ] {
            assert!(!is_shared(own), "{own}");
        }
    }
}
