//! The playground's bundle: `GraphiQL` with what cosell adds to it, made by `build.rs` from `web/` and kept in the binary.

/// A file of the bundle.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its path, such as `assets/playground-2XQF7H5A.js`.
    pub path: &'static str,
    /// What it is, for `Content-Type`.
    pub content_type: &'static str,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: &'static str,
    /// Its content.
    pub content: &'static [u8],
    /// Its content, compressed with brotli.
    pub brotli: Option<&'static [u8]>,
}

impl File {
    /// Whether its name changes with its content, so that a copy of it is good for ever.
    pub fn is_immutable(&self) -> bool {
        self.path.starts_with("assets/")
    }
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The page, in which `@NONCE@`, `@PEOPLE@` and `@INTROSPECTION@` are to be filled in.
pub const PAGE: &str = "index.html";

/// The file of that path.
pub fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_either_a_whole_bundle_or_a_reason_why_not() {
        assert_eq!(FILES.is_empty(), MISSING.is_some());
        let Some(page) = file(PAGE) else { return };
        let page = std::str::from_utf8(page.content).unwrap();
        for file in FILES.iter().filter(|file| file.path.starts_with("assets/playground-")) {
            assert!(page.contains(&format!("\"/playground/{}\"", file.path)), "{}\n{page}", file.path);
        }
        for part in ["@NONCE@", "@PEOPLE@", "@INTROSPECTION@"] {
            assert_eq!(page.matches(part).count(), 1, "{part}\n{page}");
        }
        let licences = file("licenses.txt").unwrap();
        for name in ["graphiql", "graphql", "monaco-editor", "react"] {
            let line = format!("\n{name} ");
            assert!(std::str::from_utf8(licences.content).unwrap().contains(&line), "{name}");
        }
    }
}
