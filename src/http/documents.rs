//! Documents that are known by their hash or id: those of the operator's manifest, and those that members have sent
//! (automatic persisted queries, as Apollo's clients speak them). Each is compiled once; one that is sent again as a text
//! is found by its hash too.

use std::collections::HashMap;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::operation::Params;
use crate::config::{self, Config, ConfigFaults, Manifest};
use crate::error::{ErrorCode, Fault};
use crate::operation::{Compiler, Document, Operation, Refused};

/// The extension of a request that names its document's hash.
const EXTENSION: &str = "persistedQuery";
/// What an entry takes besides its document, in bytes.
const ENTRY_BYTES: u64 = 128;
/// About how much memory a document takes, in bytes: from this the cache sizes its table.
const TYPICAL_BYTES: u64 = 16 * 1024;

type Hash = [u8; 32];

/// The documents that a server knows.
#[derive(Debug)]
pub struct Documents {
    compiler: Arc<Compiler>,
    /// Those of the manifest, by their ids.
    named: HashMap<Box<str>, Hash>,
    trusted: HashMap<Hash, Arc<Document>>,
    trusted_only: bool,
    /// Those that members have sent; where the trusted ones alone run, those with further shapes.
    kept: Option<Cache<Hash, Arc<Document>, Bytes>>,
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Hash, Arc<Document>> for Bytes {
    fn weight(&self, _: &Hash, document: &Arc<Document>) -> u64 {
        ENTRY_BYTES + document.bytes() as u64
    }
}

impl Documents {
    /// Reads the configured manifest, and holds each of its documents against the schema.
    ///
    /// # Errors
    /// Each of its documents that is not valid, that is larger than the limits allow, or whose id looks like a SHA-256 and
    /// is that of another text.
    pub fn new(config: &Config, compiler: Arc<Compiler>) -> Result<Self, ConfigFaults> {
        let config::Documents { cache_bytes, manifest, trusted_only } = &config.documents;
        let mut known = Self {
            compiler,
            named: HashMap::new(),
            trusted: HashMap::new(),
            trusted_only: *trusted_only,
            kept: (*cache_bytes > 0).then(|| {
                let items = usize::try_from(cache_bytes / TYPICAL_BYTES).unwrap_or(usize::MAX);
                Cache::with_weighter(items.max(1), *cache_bytes, Bytes)
            }),
        };
        if let Some(manifest) = manifest {
            known.read(manifest)?;
        }
        Ok(known)
    }

    fn read(&mut self, manifest: &Manifest) -> Result<(), ConfigFaults> {
        let path = manifest.path.display();
        let mut faults = Vec::new();
        for (id, text) in &manifest.documents {
            let hash = hash(text);
            if sha256(id).is_some_and(|named| named != hash) {
                faults.push(format!("documents.manifest: {path}: the SHA-256 of {id} is {}", hex::encode(hash)));
            } else {
                match self.compiler.document(text) {
                    Ok(document) => drop(self.trusted.insert(hash, Arc::new(document))),
                    Err(refused) => faults.extend(refused.refusals.into_iter().map(|refusal| {
                        let at = refusal.pos.map(|at| format!("{}:{}: ", at.line, at.column)).unwrap_or_default();
                        format!("documents.manifest: {path}: {id}: {at}{}", refusal.fault.message)
                    })),
                }
            }
            let other = self.named.insert(plain(id).into(), hash);
            if other.is_some_and(|other| other != hash) {
                faults.push(format!("documents.manifest: {path}: {id} names several documents"));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(ConfigFaults(faults)) }
    }

    /// Finds the document that is meant, compiles it where that was not done before, and gives the operation with its
    /// values. A caller without a token leaves nothing behind.
    ///
    /// # Errors
    /// `PERSISTED_QUERY_NOT_FOUND` and `PERSISTED_QUERY_NOT_SUPPORTED`, with the messages that clients look for;
    /// `DOCUMENT_NOT_TRUSTED`; `INVALID_INPUT` where the hash is none, or is that of another text; and what the compiler
    /// says.
    pub(super) fn operation(&self, params: &Params, signed_in: bool) -> Result<Operation, Refused> {
        let hash = self.hash_of(params)?;
        let known = self.find(&hash);
        let is_known = known.is_some();
        let document = match (known, &params.query) {
            (Some(document), _) => document,
            (None, Some(_)) if self.trusted_only => return Err(untrusted().into()),
            (None, None) => return Err(self.unknown().into()),
            (None, Some(text)) => Arc::new(self.compiler.document(text)?),
        };
        let name = params.operation_name.as_deref();
        let (operation, grown) = self.compiler.operation(&document, name, &params.variables)?;
        if let Some(kept) = self.kept.as_ref().filter(|_| signed_in) {
            if let Some(grown) = grown {
                kept.insert(hash, Arc::new(grown));
            } else if !is_known {
                kept.insert(hash, document);
            }
        }
        Ok(operation)
    }

    /// The hash of the document that is meant.
    fn hash_of(&self, params: &Params) -> Result<Hash, Fault> {
        let named = params.extensions.get(EXTENSION).filter(|it| !it.is_null()).map(named_hash).transpose()?;
        match (&params.query, named) {
            (None, Some(named)) => Ok(named),
            (None, None) => {
                let id = params.document_id.as_deref().unwrap_or_default();
                sha256(id).or_else(|| self.named.get(plain(id)).copied()).ok_or_else(|| self.unknown())
            }
            (Some(text), named) => {
                let hash = hash(text);
                if named.is_some_and(|named| named != hash) {
                    let message = "extensions.persistedQuery.sha256Hash is not the SHA-256 of the query.";
                    let fault = Fault::new(ErrorCode::InvalidInput, message);
                    return Err(fault.at("extensions.persistedQuery.sha256Hash"));
                }
                Ok(hash)
            }
        }
    }

    fn find(&self, hash: &Hash) -> Option<Arc<Document>> {
        self.kept.as_ref().and_then(|kept| kept.get(hash)).or_else(|| self.trusted.get(hash).cloned())
    }

    fn unknown(&self) -> Fault {
        // Apollo's clients look for these very messages.
        if self.trusted_only {
            untrusted()
        } else if self.kept.is_some() || !self.named.is_empty() {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::load;
    use crate::http::tests::toy::compiler;

    const QUERY: &str = "{ hello }";

    const SDL: &str = "type Query { hello: String list: [Int] new: Int other: Int }";

    fn documents(cache_bytes: u64, manifest: &[(&str, &str)], trusted_only: bool) -> Result<Documents, ConfigFaults> {
        let mut config = load(None, []).unwrap();
        let documents = manifest.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect::<Vec<_>>();
        let manifest = (!documents.is_empty()).then(|| Manifest { path: "documents.json".into(), documents });
        config.documents = config::Documents { cache_bytes, manifest, trusted_only };
        let compiler = Arc::new(compiler(SDL, &config));
        Documents::new(&config, compiler)
    }

    /// The operation that is run for a request.
    fn run(documents: &Documents, request: Value, signed_in: bool) -> Result<String, ErrorCode> {
        let operation = documents.operation(&Params::from_json(request).unwrap(), signed_in);
        operation.map(|it| it.to_string()).map_err(|refused| refused.refusals[0].fault.code)
    }

    fn by_hash(text: &str) -> Value {
        json!({ "version": 1, "sha256Hash": hex::encode(hash(text)) })
    }

    #[test]
    fn a_document_is_kept_for_those_with_a_token_and_found_by_its_hash() {
        let documents = documents(1 << 20, &[], false).unwrap();
        let named = json!({ "extensions": { "persistedQuery": by_hash(QUERY) } });
        let whole = json!({ "query": QUERY, "extensions": { "persistedQuery": by_hash(QUERY) } });
        assert_eq!(run(&documents, named.clone(), true), Err(ErrorCode::PersistedQueryNotFound));
        run(&documents, whole.clone(), false).unwrap();
        assert_eq!(run(&documents, named.clone(), true), Err(ErrorCode::PersistedQueryNotFound));
        let ran = run(&documents, whole, true).unwrap();
        assert_eq!(run(&documents, named, false), Ok(ran));
        let other = json!({ "query": "{ other }", "extensions": { "persistedQuery": by_hash(QUERY) } });
        assert_eq!(run(&documents, other, true), Err(ErrorCode::InvalidInput));
        let invalid = json!({ "query": "{ nothing }", "extensions": { "persistedQuery": by_hash("{ nothing }") } });
        assert_eq!(run(&documents, invalid, true), Err(ErrorCode::InvalidInput));
        let invalid = json!({ "extensions": { "persistedQuery": by_hash("{ nothing }") } });
        assert_eq!(run(&documents, invalid, true), Err(ErrorCode::PersistedQueryNotFound));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let documents = documents(256 * 1024, &[], false).unwrap();
        for at in 0..1000 {
            run(&documents, json!({ "query": format!("{{ hello }} # {at:01000}") }), true).unwrap();
        }
        let kept = documents.kept.as_ref().unwrap();
        assert!(kept.weight() <= 256 * 1024, "{}", kept.weight());
        assert!((1..=128).contains(&kept.len()), "{}", kept.len());
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
            assert_eq!(run(&documents, request, true), Err(ErrorCode::InvalidInput), "{wrong}");
        }
    }

    #[test]
    fn without_a_memory_hashes_are_not_supported() {
        let documents = documents(0, &[], false).unwrap();
        let named = json!({ "extensions": { "persistedQuery": by_hash(QUERY) } });
        assert_eq!(run(&documents, named, true), Err(ErrorCode::PersistedQueryNotSupported));
        assert!(run(&documents, json!({ "query": QUERY }), true).is_ok());
    }

    #[test]
    fn trusted_documents_run_by_id_by_hash_and_by_text_and_others_do_not() {
        let id = hex::encode_upper(hash(QUERY));
        let documents = documents(1 << 20, &[("lead-list", "{ list }"), (&id, QUERY)], true).unwrap();
        let run = |request: Value| run(&documents, request, true);
        let (list, hello) = ("query{list:list()}".to_owned(), "query{hello:hello()}".to_owned());
        assert_eq!(run(json!({ "documentId": "lead-list" })), Ok(list.clone()));
        assert_eq!(run(json!({ "documentId": format!("sha256:{}", id.to_lowercase()) })), Ok(hello.clone()));
        assert_eq!(run(json!({ "documentId": id })), Ok(hello.clone()));
        assert_eq!(run(json!({ "extensions": { "persistedQuery": by_hash(QUERY) } })), Ok(hello));
        assert_eq!(run(json!({ "query": "{ list }" })), Ok(list));
        let refused = Err(ErrorCode::DocumentNotTrusted);
        assert_eq!(run(json!({ "query": "{ list } " })), refused);
        assert_eq!(run(json!({ "documentId": "nothing" })), refused);
        let whole = json!({ "query": "{ new }", "extensions": { "persistedQuery": by_hash("{ new }") } });
        assert_eq!(run(whole), refused);
        assert_eq!(run(json!({ "extensions": { "persistedQuery": by_hash("{ new }") } })), refused);
    }

    #[test]
    fn a_faulty_manifest_is_refused_with_each_fault() {
        let other = hex::encode(hash("{ other }"));
        let manifest = [
            (&*other, QUERY),
            ("a", "{"),
            ("b", QUERY),
            ("sha256:b", QUERY),
            ("b", "{ other }"),
            ("c", "{ hello nothing }"),
        ];
        let faults = documents(0, &manifest, false).unwrap_err().0;
        assert_eq!(faults.len(), 5, "{faults:?}");
        assert!(faults[4].contains("c: 1:9: type `Query` does not have a field `nothing`"), "{faults:?}");
        assert!(faults[3].contains("b names several documents"), "{faults:?}");
        assert!(faults[0].contains(&format!("the SHA-256 of {other} is {}", hex::encode(hash(QUERY)))), "{faults:?}");
        assert!(faults[1].contains("a: 1:2: syntax error"), "{faults:?}");
    }
}
