//! Documents that are known by their hash or id: those of the operator's manifest, and those that clients have sent once
//! (automatic persisted queries, as Apollo's clients speak them).

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::parser::parse_query;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::guard::{self, Bounds, Oversize};
use super::operation::Params;
use crate::config::{self, Config, ConfigFaults, Manifest};
use crate::error::{ErrorCode, Fault};

/// The extension of a request that names its document's hash.
const EXTENSION: &str = "persistedQuery";
/// What an entry takes besides its text, in bytes.
const ENTRY_BYTES: u64 = 128;
/// About how long a document is, in bytes: from this the cache sizes its table.
const TYPICAL_BYTES: u64 = 1024;

type Hash = [u8; 32];

/// The documents that a server knows.
#[derive(Debug)]
pub struct Documents {
    /// Those of the manifest, by their ids.
    named: HashMap<Box<str>, Arc<str>>,
    /// The same by their hashes.
    trusted: HashMap<Hash, Arc<str>>,
    trusted_only: bool,
    remembered: Option<Cache<Hash, Arc<str>, Bytes>>,
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Hash, Arc<str>> for Bytes {
    fn weight(&self, _: &Hash, text: &Arc<str>) -> u64 {
        ENTRY_BYTES + text.len() as u64
    }
}

/// What a request's document may be remembered by, once it has shown to be one.
#[must_use]
pub(super) struct Memo(Option<Hash>);

impl Documents {
    /// Reads the configured manifest.
    ///
    /// # Errors
    /// Each of its documents that is none, that is larger than the limits allow, or whose id looks like a SHA-256 and is
    /// that of another text.
    pub fn new(config: &Config) -> Result<Self, ConfigFaults> {
        let config::Documents { cache_bytes, manifest, trusted_only } = &config.documents;
        let mut known = Self {
            named: HashMap::new(),
            trusted: HashMap::new(),
            trusted_only: *trusted_only,
            remembered: (*cache_bytes > 0).then(|| {
                let items = usize::try_from(cache_bytes / (ENTRY_BYTES + TYPICAL_BYTES)).unwrap_or(usize::MAX);
                Cache::with_weighter(items.max(1), *cache_bytes, Bytes)
            }),
        };
        if let Some(manifest) = manifest {
            known.read(manifest, &Bounds::from(&config.limits))?;
        }
        Ok(known)
    }

    fn read(&mut self, manifest: &Manifest, bounds: &Bounds) -> Result<(), ConfigFaults> {
        let path = manifest.path.display();
        let mut faults = Vec::new();
        for (id, text) in &manifest.documents {
            let hash = hash(text);
            if sha256(id).is_some_and(|named| named != hash) {
                faults.push(format!("documents.manifest: {path}: the SHA-256 of {id} is {}", hex::encode(hash)));
            } else if let Err(fault) = check(text, bounds) {
                faults.push(format!("documents.manifest: {path}: {id}: {fault}"));
            }
            let text: Arc<str> = text.as_str().into();
            let other = self.named.insert(plain(id).into(), text.clone());
            if other.is_some_and(|other| other != text) {
                faults.push(format!("documents.manifest: {path}: {id} names several documents"));
            }
            self.trusted.insert(hash, text);
        }
        if faults.is_empty() { Ok(()) } else { Err(ConfigFaults(faults)) }
    }

    /// Puts the text of a document that was named by its hash or id in its place, and refuses what may not run.
    ///
    /// # Errors
    /// `PERSISTED_QUERY_NOT_FOUND` and `PERSISTED_QUERY_NOT_SUPPORTED`, with the messages that clients look for;
    /// `DOCUMENT_NOT_TRUSTED`; `INVALID_INPUT` where the hash is none, or is that of another text.
    pub(super) fn resolve(&self, params: &mut Params) -> Result<Memo, Fault> {
        let mut memo = Memo(None);
        // What the resolvers and shared executions see does not depend on how the document was named.
        if let Some(extension) = params.extensions.remove(EXTENSION).filter(|it| !it.is_null()) {
            let named = named_hash(&extension)?;
            if params.named {
                let text = self.of_hash(&named).ok_or_else(|| self.unknown())?;
                text.as_ref().clone_into(&mut params.query);
                return Ok(memo);
            }
            if hash(&params.query) != named {
                let message = "extensions.persistedQuery.sha256Hash is not the SHA-256 of the query.";
                return Err(Fault::new(ErrorCode::InvalidInput, message).at("extensions.persistedQuery.sha256Hash"));
            }
            memo = Memo(Some(named));
        }
        if params.named {
            let id = params.document_id.as_deref().unwrap_or_default();
            let text = self.of_id(id).ok_or_else(|| self.unknown())?;
            text.as_ref().clone_into(&mut params.query);
            return Ok(memo);
        }
        if self.trusted_only && !self.trusted.contains_key(&hash(&params.query)) {
            return Err(untrusted());
        }
        Ok(memo)
    }

    /// Remembers a document that has shown to be one. A caller without a token leaves nothing behind.
    pub(super) fn remember(&self, memo: &Memo, signed_in: bool, text: &str) {
        if let (Some(hash), Some(cache), true) = (memo.0, &self.remembered, signed_in && !self.trusted_only) {
            cache.insert(hash, text.into());
        }
    }

    fn of_id(&self, id: &str) -> Option<Arc<str>> {
        match sha256(id) {
            Some(hash) => self.of_hash(&hash),
            None => self.named.get(plain(id)).cloned(),
        }
    }

    fn of_hash(&self, hash: &Hash) -> Option<Arc<str>> {
        // Where the trusted ones alone run nothing else is remembered.
        self.trusted.get(hash).cloned().or_else(|| self.remembered.as_ref()?.get(hash))
    }

    fn unknown(&self) -> Fault {
        // Apollo's clients look for these very messages.
        if self.trusted_only {
            untrusted()
        } else if self.remembered.is_some() || !self.named.is_empty() {
            Fault::new(ErrorCode::PersistedQueryNotFound, "PersistedQueryNotFound")
        } else {
            Fault::new(ErrorCode::PersistedQueryNotSupported, "PersistedQueryNotSupported")
        }
    }
}

fn untrusted() -> Fault {
    let message =
        "This server runs trusted documents alone, and this is none of them. Add it to the server's manifest.";
    Fault::new(ErrorCode::DocumentNotTrusted, message)
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

/// An id without the prefix that the specification's draft on persisted documents gives hashes.
fn plain(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

/// The hash that an id is, if it is one.
fn sha256(id: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    hex::decode_to_slice(plain(id), &mut hash).ok().map(|()| hash)
}

/// The hash in the extension `persistedQuery`.
fn named_hash(extension: &Value) -> Result<Hash, Fault> {
    let wrong = |message: &str| Fault::new(ErrorCode::InvalidInput, message).at("extensions.persistedQuery");
    if extension["version"] != 1 {
        return Err(wrong("extensions.persistedQuery.version must be 1."));
    }
    let hash = extension["sha256Hash"].as_str().and_then(sha256);
    hash.ok_or_else(|| wrong("extensions.persistedQuery.sha256Hash must be a SHA-256: 64 hexadecimal digits."))
}

fn check(text: &str, bounds: &Bounds) -> Result<(), String> {
    let over = |oversize: Oversize| super::answer::oversize_fault(&oversize).message;
    guard::check_text(text, bounds.tokens).map_err(over)?;
    let document = parse_query(text).map_err(|fault| format!("is no document: {fault}"))?;
    guard::check(&document, None, bounds).map_err(over)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::load;

    const QUERY: &str = "{ hello }";

    fn documents(cache_bytes: u64, manifest: &[(&str, &str)], trusted_only: bool) -> Result<Documents, ConfigFaults> {
        let mut config = load(None, []).unwrap();
        let documents = manifest.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect::<Vec<_>>();
        let manifest = (!documents.is_empty()).then(|| Manifest { path: "documents.json".into(), documents });
        config.documents = config::Documents { cache_bytes, manifest, trusted_only };
        Documents::new(&config)
    }

    fn resolve(documents: &Documents, request: Value) -> Result<(String, Memo), ErrorCode> {
        let mut params = Params::from_json(request).unwrap();
        let memo = documents.resolve(&mut params).map_err(|fault| fault.code)?;
        assert!(params.extensions.is_empty());
        Ok((params.query, memo))
    }

    fn by_hash(text: &str) -> Value {
        json!({ "version": 1, "sha256Hash": hex::encode(hash(text)) })
    }

    #[test]
    fn a_document_is_remembered_for_those_with_a_token_and_found_by_its_hash() {
        let documents = documents(1 << 20, &[], false).unwrap();
        let named = json!({ "extensions": { "persistedQuery": by_hash(QUERY) } });
        let whole = json!({ "query": QUERY, "extensions": { "persistedQuery": by_hash(QUERY) } });
        assert_eq!(resolve(&documents, named.clone()).err(), Some(ErrorCode::PersistedQueryNotFound));
        let (text, memo) = resolve(&documents, whole.clone()).unwrap();
        documents.remember(&memo, false, &text);
        assert_eq!(resolve(&documents, named.clone()).err(), Some(ErrorCode::PersistedQueryNotFound));
        documents.remember(&memo, true, &text);
        assert_eq!(resolve(&documents, named).unwrap().0, QUERY);
        let other = json!({ "query": "{ other }", "extensions": { "persistedQuery": by_hash(QUERY) } });
        assert_eq!(resolve(&documents, other).err(), Some(ErrorCode::InvalidInput));
        let (text, memo) = resolve(&documents, json!({ "query": "{ other }" })).unwrap();
        documents.remember(&memo, true, &text);
        let unnamed = json!({ "extensions": { "persistedQuery": by_hash("{ other }") } });
        assert_eq!(resolve(&documents, unnamed).err(), Some(ErrorCode::PersistedQueryNotFound));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let documents = documents(64 * 1024, &[], false).unwrap();
        let long = |at: u32| format!("{{ hello }} # {at:01000}");
        for at in 0..1000 {
            documents.remember(&Memo(Some(hash(&long(at)))), true, &long(at));
        }
        let cache = documents.remembered.as_ref().unwrap();
        assert!(cache.weight() <= 64 * 1024, "{}", cache.weight());
        assert!((1..=64).contains(&cache.len()), "{}", cache.len());
    }

    #[test]
    fn a_hash_that_is_none_is_refused() {
        let documents = documents(1 << 20, &[], false).unwrap();
        for wrong in [
            json!({ "version": 2, "sha256Hash": hex::encode(hash(QUERY)) }),
            json!({ "version": "1", "sha256Hash": hex::encode(hash(QUERY)) }),
            json!({ "version": 1 }),
            json!({ "version": 1, "sha256Hash": "abc" }),
            json!({ "version": 1, "sha256Hash": "g".repeat(64) }),
            json!({ "version": 1, "sha256Hash": 7 }),
            json!([]),
            json!("x"),
        ] {
            let request = json!({ "extensions": { "persistedQuery": wrong } });
            assert_eq!(resolve(&documents, request).err(), Some(ErrorCode::InvalidInput), "{wrong}");
        }
    }

    #[test]
    fn without_a_memory_hashes_are_not_supported() {
        let documents = documents(0, &[], false).unwrap();
        let named = json!({ "extensions": { "persistedQuery": by_hash(QUERY) } });
        assert_eq!(resolve(&documents, named).err(), Some(ErrorCode::PersistedQueryNotSupported));
        assert_eq!(resolve(&documents, json!({ "query": QUERY })).unwrap().0, QUERY);
    }

    #[test]
    fn trusted_documents_run_by_id_by_hash_and_by_text_and_others_do_not() {
        let id = hex::encode_upper(hash(QUERY));
        let documents = documents(1 << 20, &[("lead-list", "{ list }"), (&id, QUERY)], true).unwrap();
        let run = |request: Value| resolve(&documents, request).map(|(text, _)| text);
        assert_eq!(run(json!({ "documentId": "lead-list" })), Ok("{ list }".to_owned()));
        assert_eq!(run(json!({ "documentId": format!("sha256:{}", id.to_lowercase()) })), Ok(QUERY.to_owned()));
        assert_eq!(run(json!({ "documentId": id })), Ok(QUERY.to_owned()));
        assert_eq!(run(json!({ "extensions": { "persistedQuery": by_hash(QUERY) } })), Ok(QUERY.to_owned()));
        assert_eq!(run(json!({ "query": "{ list }" })), Ok("{ list }".to_owned()));
        let refused = Err(ErrorCode::DocumentNotTrusted);
        assert_eq!(run(json!({ "query": "{ list } " })), refused);
        assert_eq!(run(json!({ "documentId": "nothing" })), refused);
        let whole = json!({ "query": "{ new }", "extensions": { "persistedQuery": by_hash("{ new }") } });
        assert_eq!(run(whole), refused);
        documents.remember(&Memo(Some(hash("{ new }"))), true, "{ new }");
        assert_eq!(run(json!({ "extensions": { "persistedQuery": by_hash("{ new }") } })), refused);
    }

    #[test]
    fn a_faulty_manifest_is_refused_with_each_fault() {
        let other = hex::encode(hash("{ other }"));
        let manifest = [(&*other, QUERY), ("a", "{"), ("b", QUERY), ("sha256:b", QUERY), ("b", "{ other }")];
        let faults = documents(0, &manifest, false).unwrap_err().0;
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[2].contains("b names several documents"), "{faults:?}");
        assert!(faults[0].contains(&format!("the SHA-256 of {other} is {}", hex::encode(hash(QUERY)))), "{faults:?}");
        assert!(faults[1].contains("a: is no document"), "{faults:?}");
    }
}
