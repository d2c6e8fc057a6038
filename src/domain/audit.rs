//! The audit trail: each entry of a history carries a hash over itself and the entry before it (mission D7).
//!
//! A *history* is one lead's events in one company's log, or that company's events without a lead. docs/audit.md
//! says the algorithm in full, so that anybody can check a history without this program.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    str::FromStr,
};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    global_id::{self, NodeType},
    id::{CompanyId, EventId, LeadId, MemberId},
};

/// The algorithm that records are hashed by now.
pub const VERSION: u32 = 1;

/// The kind of the record that says which events were erased.
pub const ERASURE: &str = "CUSTOMER_DATA_ERASED";

macro_rules! bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, std::hash::Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                // One text for one value: an export in capitals would be another text of the same hash.
                let lower = text.bytes().all(|byte| !byte.is_ascii_uppercase());
                let bytes = hex::decode(text).ok().filter(|_| lower).and_then(|bytes| bytes.try_into().ok());
                bytes.map(Self).ok_or_else(|| format!("{} lower-case hexadecimal digits are needed", 2 * $length))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl TryFrom<Vec<u8>> for $name {
            type Error = Vec<u8>;

            fn try_from(bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
                bytes.try_into().map(Self)
            }
        }
    };
}

bytes!(
    /// A SHA-256 hash.
    Hash,
    32
);
bytes!(
    /// What an event's content is hashed with, so that nobody can find the content by trying.
    Salt,
    16
);

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    Hash(digest.finalize().into())
}

/// The one text of a JSON value, by RFC 8785. A value that JSON has no number for has none, and hashes as nothing
/// that is stored can.
fn canonical(value: &impl Serialize) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).unwrap_or_default()
}

/// The hash of an event's content. Without a salt it is that of what is left after an erasure.
pub fn content_hash(salt: Option<Salt>, content: &Value) -> Hash {
    let salt = salt.as_ref().map_or(&[][..], |salt| &salt.0);
    sha256(&[salt, &canonical(content)])
}

/// Content without a customer's personal data; `None` where there is none in it.
///
/// Wherever it stands, the change of a field of the contact keeps the field's name and loses its values.
pub fn redacted(content: &Value) -> Option<Value> {
    fn redact(value: &mut Value) -> bool {
        match value {
            Value::Array(items) => items.iter_mut().fold(false, |found, item| redact(item) | found),
            Value::Object(fields) => {
                let personal = fields.get("field").and_then(Value::as_str).is_some_and(|it| it.starts_with(PERSONAL));
                let clear = |name: &str, value: &mut Value| {
                    if personal && matches!(name, "before" | "after") {
                        !std::mem::take(value).is_null()
                    } else {
                        redact(value)
                    }
                };
                fields.iter_mut().fold(false, |found, (name, value)| clear(name, value) | found)
            }
            _ => false,
        }
    }
    let mut left = content.clone();
    redact(&mut left).then_some(left)
}

/// What the paths of fields with a customer's personal data begin with.
const PERSONAL: &str = "customer.contact.";

/// An event that personal data was erased from, and what is left of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ErasedEvent {
    /// The event.
    pub event: EventId,
    /// The hash of what is left, without a salt.
    pub left: Hash,
}

/// A moment as records write it.
pub fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An entry of a history, before it is hashed.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Whose log.
    pub company: CompanyId,
    /// The lead; none for the company's own events.
    pub lead: Option<LeadId>,
    /// Its place in the history: counts from 1.
    pub sequence: i64,
    /// Its place in the company's log.
    pub position: i64,
    /// The hash of the entry before it in the history.
    pub previous: Option<Hash>,
    /// The event, the same in each company's log.
    pub id: EventId,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Who did it; none for the system.
    pub actor: Option<MemberId>,
    /// What it is about besides the lead.
    pub subject: Option<Uuid>,
    /// What happened.
    pub kind: &'a str,
    /// The hash of its content.
    pub content_hash: Hash,
}

impl Entry<'_> {
    /// Its hash.
    pub fn hash(&self) -> Hash {
        let (company, id) = (self.company_text(), self.id_text());
        let (lead, actor) = (self.lead_text(), self.actor_text());
        let (at, subject) = (moment(self.at), self.subject.map(|id| id.to_string()));
        Header {
            version: VERSION,
            company: &company,
            lead: lead.as_deref(),
            sequence: self.sequence,
            position: self.position,
            previous: self.previous,
            id: &id,
            at: &at,
            actor: actor.as_deref(),
            subject: subject.as_deref(),
            kind: self.kind,
            content_hash: self.content_hash,
        }
        .hash()
    }

    /// The record of it, as it was stored.
    pub fn record(&self, hash: Hash, salt: Option<Salt>, erased_at: Option<DateTime<Utc>>, content: Value) -> Record {
        Record {
            version: VERSION,
            company: self.company_text(),
            lead: self.lead_text(),
            sequence: self.sequence,
            position: self.position,
            previous: self.previous,
            id: self.id_text(),
            at: moment(self.at),
            actor: self.actor_text(),
            subject: self.subject.map(|id| id.to_string()),
            kind: self.kind.to_owned(),
            content_hash: self.content_hash,
            hash,
            salt,
            erased_at: erased_at.map(moment),
            content,
        }
    }

    fn company_text(&self) -> String {
        global_id::encode(NodeType::Company, self.company.0)
    }

    fn id_text(&self) -> String {
        global_id::encode(NodeType::Activity, self.id.0)
    }

    fn lead_text(&self) -> Option<String> {
        self.lead.map(|id| global_id::encode(NodeType::Lead, id.0))
    }

    fn actor_text(&self) -> Option<String> {
        self.actor.map(|id| global_id::encode(NodeType::Member, id.0))
    }
}

/// An entry of a history as it is exported: all that is hashed, and what the hashes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The algorithm.
    pub version: u32,
    /// Whose log, a global id.
    pub company: String,
    /// The lead, a global id; null for the company's own events.
    pub lead: Option<String>,
    /// Its place in the history: counts from 1.
    pub sequence: i64,
    /// Its place in the company's log.
    pub position: i64,
    /// The hash of the entry before it in the history; null for the first.
    pub previous: Option<Hash>,
    /// The event's global id, the same in each company's log.
    pub id: String,
    /// When it happened.
    pub at: String,
    /// Who did it, a global id; null for the system.
    pub actor: Option<String>,
    /// What it is about besides the lead, a UUID.
    pub subject: Option<String>,
    /// What happened.
    pub kind: String,
    /// The hash of salt and content, as it was before any erasure.
    pub content_hash: Hash,
    /// The hash of all of the above.
    pub hash: Hash,
    /// What the content is hashed with; null once personal data was erased from it.
    pub salt: Option<Salt>,
    /// When personal data was erased from the content.
    pub erased_at: Option<String>,
    /// The details.
    pub content: Value,
}

/// What a record's hash is over.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header<'a> {
    version: u32,
    company: &'a str,
    lead: Option<&'a str>,
    sequence: i64,
    position: i64,
    previous: Option<Hash>,
    id: &'a str,
    at: &'a str,
    actor: Option<&'a str>,
    subject: Option<&'a str>,
    kind: &'a str,
    content_hash: Hash,
}

impl Header<'_> {
    fn hash(&self) -> Hash {
        sha256(&[&canonical(self)])
    }
}

impl Record {
    fn header_hash(&self) -> Hash {
        Header {
            version: self.version,
            company: &self.company,
            lead: self.lead.as_deref(),
            sequence: self.sequence,
            position: self.position,
            previous: self.previous,
            id: &self.id,
            at: &self.at,
            actor: self.actor.as_deref(),
            subject: self.subject.as_deref(),
            kind: &self.kind,
            content_hash: self.content_hash,
        }
        .hash()
    }

    fn history(&self) -> History {
        History { company: self.company.clone(), lead: self.lead.clone() }
    }
}

/// Which chain a record belongs to.
#[derive(Clone, Debug, PartialEq, Eq, std::hash::Hash, PartialOrd, Ord)]
pub struct History {
    /// Whose log, a global id.
    pub company: String,
    /// The lead, a global id; none for the company's own events.
    pub lead: Option<String>,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "company {}, ", self.company)?;
        match &self.lead {
            Some(lead) => write!(f, "lead {lead}"),
            None => f.write_str("its own events"),
        }
    }
}

/// What is wrong with a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The record is of an algorithm that is not known here.
    Version(u32),
    /// The content is not the one that was recorded.
    Content,
    /// A field of the record is not as it was recorded, or its hash.
    Header,
    /// It says that it was erased, and no later record of the history vouches for what is left.
    Erasure,
    /// Entries are missing, from this one on to its own.
    Missing {
        /// The last that is missing.
        to: i64,
    },
    /// It stands after a later one.
    OutOfOrder,
    /// An entry of that number was there before.
    Repeated,
    /// It does not follow the entry before it: that one was rewritten, or this.
    Unchained,
    /// Rows of the company's log are missing, whatever their history.
    Position {
        /// The first position that is missing.
        from: i64,
        /// The last.
        to: i64,
    },
    /// Anything else that is told in a sentence.
    Other(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "is of version {version}, which is not known; {VERSION} is"),
            Self::Content => f.write_str("its content was edited: it is not what its contentHash was made of"),
            Self::Header => {
                f.write_str("a field beside its content was edited, or its hash: the hash is not what it was made of")
            }
            Self::Erasure => write!(
                f,
                "is marked as erased, but no later {ERASURE} of this history vouches for what is left of it: it was edited"
            ),
            Self::Missing { to } => write!(f, "missing, up to entry {to}"),
            Self::OutOfOrder => f.write_str("out of order: it stands after a later entry"),
            Self::Repeated => f.write_str("repeated: an entry of this number was there before"),
            Self::Unchained => f.write_str(
                "does not follow the entry before it: its `previous` is not that one's hash, so one of the \
                             two was rewritten",
            ),
            Self::Position { from, to } if from == to => write!(f, "position {from} of the company's log is missing"),
            Self::Position { from, to } => write!(f, "positions {from} to {to} of the company's log are missing"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// A flaw and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In which history.
    pub history: History,
    /// At which entry.
    pub sequence: i64,
    /// Its event, where it is there.
    pub event: Option<String>,
    /// What is wrong.
    pub flaw: Flaw,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.flaw, Flaw::Position { .. }) {
            return write!(f, "company {}: {}", self.history.company, self.flaw);
        }
        write!(f, "{}, entry {}", self.history, self.sequence)?;
        if let Some(event) = &self.event {
            write!(f, " (event {event})")?;
        }
        write!(f, ": {}", self.flaw)
    }
}

/// An entry that somebody noted, to find out later whether a history still has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Of this lead, a global id; where the records are of one history alone it need not be said.
    pub lead: Option<String>,
    /// The entry.
    pub sequence: i64,
    /// Its hash.
    pub hash: Hash,
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let what = "[LEAD/]SEQUENCE:HASH is needed";
        let (lead, entry) = text.rsplit_once('/').map_or((None, text), |(lead, entry)| (Some(lead), entry));
        let (sequence, hash) = entry.split_once(':').ok_or(what)?;
        let sequence = sequence.parse().ok().filter(|sequence| *sequence > 0).ok_or(what)?;
        let hash = hash.parse().map_err(|_| what)?;
        if let Some(lead) = lead {
            global_id::expect(lead, NodeType::Lead)?;
        }
        Ok(Self { lead: lead.map(str::to_owned), sequence, hash })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(lead) = &self.lead {
            write!(f, "{lead}/")?;
        }
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

/// What became of an entry that somebody noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The history ends before it.
    CutOff {
        /// The last entry that is there; 0 where none is.
        last: i64,
    },
    /// In this history its place has another hash, and in no other one its own.
    Rewritten(History),
}

/// An entry that was noted and is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What was noted.
    pub head: Head,
    /// What became of it.
    pub loss: Loss,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the noted entry {}: ", self.head)?;
        match &self.loss {
            Loss::CutOff { last: 0 } => f.write_str("cut off: nothing of its history is there"),
            Loss::CutOff { last } => write!(f, "cut off: its history ends with entry {last}"),
            Loss::Rewritten(history) => {
                write!(f, "rewritten: in {history}, entry {} has another hash", self.head.sequence)
            }
        }
    }
}

/// Looks for entries that were noted, in all that is read: a lead has a history with each company that knows it, each
/// with hashes of its own, and it is enough that one of them has the entry.
#[derive(Debug, Default)]
pub struct Watch {
    heads: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    head: Head,
    found: bool,
    /// The first history that has another hash there.
    other: Option<History>,
    /// The last entry of any history that it may be of.
    last: i64,
}

impl Watch {
    /// For these.
    pub fn new(heads: &[Head]) -> Self {
        let watched = |head: &Head| Watched { head: head.clone(), found: false, other: None, last: 0 };
        Self { heads: heads.iter().map(watched).collect() }
    }

    /// The next record of any history.
    pub fn see(&mut self, record: &Record) {
        for watched in &mut self.heads {
            let Head { lead, sequence, hash } = &watched.head;
            if lead.is_some() && *lead != record.lead {
                continue;
            }
            watched.last = watched.last.max(record.sequence);
            if *sequence == record.sequence {
                if *hash == record.hash {
                    watched.found = true;
                } else if watched.other.is_none() {
                    watched.other = Some(record.history());
                }
            }
        }
    }

    /// Those that are not there. An entry that is missing before the last one is none of them: who checks the history
    /// says so.
    pub fn finish(self) -> Vec<Lost> {
        let lost = |Watched { head, found, other, last }| {
            let loss = match other {
                _ if found => return None,
                Some(history) => Loss::Rewritten(history),
                None if last >= head.sequence => return None,
                None => Loss::CutOff { last },
            };
            Some(Lost { head, loss })
        };
        self.heads.into_iter().filter_map(lost).collect()
    }
}

/// A history that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which.
    pub history: History,
    /// How many records it has.
    pub records: u64,
    /// The last entry.
    pub sequence: i64,
    /// Its hash: what to note.
    pub hash: Hash,
}

/// A record that says it was erased, until another vouches for it.
#[derive(Debug)]
struct Erased {
    sequence: i64,
    left: Hash,
    at: Option<String>,
}

#[derive(Debug)]
struct State {
    records: u64,
    sequence: i64,
    hash: Hash,
    /// The first and last of each run of entries that were skipped.
    missing: BTreeMap<i64, i64>,
    erased: HashMap<String, Erased>,
}

/// Checks records, one after the other, of any number of histories. What it keeps does not grow with the records.
#[derive(Debug, Default)]
pub struct Verifier {
    /// In the order of their first records.
    order: Vec<History>,
    states: HashMap<History, State>,
    findings: Vec<Finding>,
}

impl Verifier {
    /// Says what else is wrong with a record's history.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The next record.
    pub fn push(&mut self, record: &Record) {
        let history = record.history();
        let state = self.states.entry(history.clone()).or_insert_with(|| {
            self.order.push(history.clone());
            State { records: 0, sequence: 0, hash: Hash([0; 32]), missing: BTreeMap::new(), erased: HashMap::new() }
        });
        let mut flaws = Vec::new();
        let mut sound = true;
        if record.version != VERSION {
            flaws.push(Flaw::Version(record.version));
            sound = false;
        } else if record.header_hash() != record.hash {
            flaws.push(Flaw::Header);
            sound = false;
        }
        state.records += 1;
        let expected = state.sequence + 1;
        if !sound && record.sequence != expected {
            // Its number may be what was edited: nothing follows from it, and the others are counted without it.
        } else if record.sequence >= expected {
            if record.sequence > expected {
                state.missing.insert(expected, record.sequence - 1);
            } else if record.previous != (state.sequence > 0).then_some(state.hash) {
                flaws.push(Flaw::Unchained);
            }
            state.sequence = record.sequence;
            state.hash = record.hash;
        } else if take(&mut state.missing, record.sequence) {
            flaws.push(Flaw::OutOfOrder);
        } else {
            flaws.push(Flaw::Repeated);
        }
        match record.salt {
            Some(_)
                if record.erased_at.is_some() || content_hash(record.salt, &record.content) != record.content_hash =>
            {
                flaws.push(Flaw::Content);
                sound = false;
            }
            Some(_) => {}
            None => {
                let left = content_hash(None, &record.content);
                let erased = Erased { sequence: record.sequence, left, at: record.erased_at.clone() };
                state.erased.insert(record.id.clone(), erased);
                sound = false;
            }
        }
        if sound && record.kind == ERASURE {
            let vouched = record.content.get("erased").cloned().unwrap_or_default();
            for ErasedEvent { event, left } in serde_json::from_value::<Vec<ErasedEvent>>(vouched).unwrap_or_default() {
                let id = global_id::encode(NodeType::Activity, event.0);
                let holds = |erased: &Erased| {
                    erased.sequence < record.sequence
                        && erased.left == left
                        && erased.at.as_ref().is_some_and(|at| *at == record.at)
                };
                if state.erased.get(&id).is_some_and(holds) {
                    state.erased.remove(&id);
                }
            }
        }
        let (sequence, event) = (record.sequence, Some(record.id.clone()));
        self.findings.extend(flaws.into_iter().map(|flaw| Finding {
            history: history.clone(),
            sequence,
            event: event.clone(),
            flaw,
        }));
    }

    /// All that is wrong, by history and entry; and each history that was read.
    pub fn finish(mut self) -> (Vec<Finding>, Vec<Summary>) {
        let mut summaries = Vec::new();
        for history in &self.order {
            let Some(state) = self.states.get(history) else { continue };
            for (from, to) in &state.missing {
                let (sequence, flaw) = (*from, Flaw::Missing { to: *to });
                self.findings.push(Finding { history: history.clone(), sequence, event: None, flaw });
            }
            for (event, erased) in &state.erased {
                let (sequence, event, flaw) = (erased.sequence, Some(event.clone()), Flaw::Erasure);
                self.findings.push(Finding { history: history.clone(), sequence, event, flaw });
            }
            let (records, sequence, hash) = (state.records, state.sequence, state.hash);
            summaries.push(Summary { history: history.clone(), records, sequence, hash });
        }
        let ranks: HashMap<_, _> = self.order.iter().zip(0_usize..).collect();
        self.findings.sort_by_cached_key(|finding| (ranks.get(&finding.history).copied(), finding.sequence));
        (self.findings, summaries)
    }
}

/// Takes a number out of runs of numbers, where it is in one.
fn take(runs: &mut BTreeMap<i64, i64>, number: i64) -> bool {
    let Some((from, to)) = runs.range(..=number).next_back().map(|(from, to)| (*from, *to)) else { return false };
    if number > to {
        return false;
    }
    runs.remove(&from);
    if from < number {
        runs.insert(from, number - 1);
    }
    if number < to {
        runs.insert(number + 1, to);
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const AT: &str = "2026-03-02T09:00:00Z";

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// A history with these contents.
    fn history(company: u128, lead: Option<u128>, contents: &[Value]) -> Vec<Record> {
        let mut previous = None;
        (1_i64..)
            .zip(contents)
            .map(|(sequence, content)| {
                let salt = Salt([u8::try_from(sequence).unwrap_or_default(); 16]);
                let entry = Entry {
                    company: CompanyId(id(company)),
                    lead: lead.map(|lead| LeadId(id(lead))),
                    sequence,
                    position: 2 * sequence,
                    previous,
                    id: EventId(id(1_000 + u128::from(sequence.unsigned_abs()))),
                    at: AT.parse().expect("a time"),
                    actor: (sequence % 2 == 0).then_some(MemberId(id(7))),
                    subject: (sequence % 3 == 0).then(|| id(8)),
                    kind: "LEAD_UPDATED",
                    content_hash: content_hash(Some(salt), content),
                };
                let hash = entry.hash();
                previous = Some(hash);
                entry.record(hash, Some(salt), None, content.clone())
            })
            .collect()
    }

    fn five() -> Vec<Record> {
        let contents: Vec<_> = (0..5).map(|n| json!({ "n": n, "text": "\u{e9}\u{1F600}\u{2028}\"\\" })).collect();
        history(1, Some(2), &contents)
    }

    fn verify(records: &[Record]) -> Vec<(i64, Flaw)> {
        let mut verifier = Verifier::default();
        for record in records {
            verifier.push(record);
        }
        verifier.finish().0.into_iter().map(|finding| (finding.sequence, finding.flaw)).collect()
    }

    #[test]
    fn canonical_json_is_that_of_rfc_8785() {
        let value = json!({ "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Dalet", "1": "One",
            "\u{1F600}": "Smiley", "\u{80}": "Control", "\u{f6}": "O", "numbers": [333_333_333.333_333_3, 1e30, 4.50, 2e-3, 1.0],
            "literals": [null, true, false], "string": "\u{20ac}$\u{f}\nA'B\"\\\\\"/" });
        let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"literals\":[null,true,false],\
            \"numbers\":[333333333.3333333,1e+30,4.5,0.002,1],\"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\",\
            \"\u{80}\":\"Control\",\"\u{f6}\":\"O\",\"\u{20ac}\":\"Euro Sign\",\"\u{1F600}\":\"Smiley\",\"\u{fb33}\":\"Dalet\"}";
        assert_eq!(String::from_utf8(canonical(&value)).as_deref(), Ok(expected));
    }

    #[test]
    fn sound_histories_are_found_sound_however_they_are_mixed() {
        let (ours, theirs, own) = (five(), history(3, Some(2), &[json!(1), json!(2)]), history(1, None, &[json!({})]));
        let mixed = [&ours[..2], &theirs[..1], &own, &ours[2..], &theirs[1..]].concat();
        assert_eq!(verify(&mixed), []);
        let mut verifier = Verifier::default();
        for record in &mixed {
            verifier.push(record);
        }
        let summaries = verifier.finish().1;
        assert_eq!(summaries.iter().map(|summary| summary.records).collect::<Vec<_>>(), [5, 2, 1]);
        assert_eq!((summaries[0].sequence, summaries[0].hash), (5, ours[4].hash));
    }

    #[test]
    fn a_record_survives_its_own_text() {
        for record in five() {
            let text = serde_json::to_string(&record).expect("JSON");
            assert_eq!(serde_json::from_str::<Record>(&text).ok(), Some(record));
        }
        let mut unknown = serde_json::to_value(&five()[0]).expect("JSON");
        unknown["more"] = json!(1);
        assert!(serde_json::from_value::<Record>(unknown).is_err());
    }

    #[test]
    fn each_way_of_tampering_is_named() {
        let change = |n: usize, change: fn(&mut Record)| {
            let mut records = five();
            change(&mut records[n]);
            verify(&records)
        };
        assert_eq!(change(2, |it| it.content = json!({ "n": 3 })), [(3, Flaw::Content)]);
        assert_eq!(change(2, |it| it.kind = "X".to_owned()), [(3, Flaw::Header)]);
        assert_eq!(change(2, |it| it.salt = Some(Salt([9; 16]))), [(3, Flaw::Content)]);
        assert_eq!(change(2, |it| it.erased_at = Some(AT.to_owned())), [(3, Flaw::Content)]);
        assert_eq!(change(2, |it| it.salt = None), [(3, Flaw::Erasure)]);
        assert_eq!(change(2, |it| it.version = 2), [(3, Flaw::Version(2))]);
        // With all its own hashes renewed, the one after it gives it away.
        let renewed = change(2, |it| {
            it.content = json!({ "n": 3 });
            it.content_hash = content_hash(it.salt, &it.content);
            it.hash = it.header_hash();
        });
        assert_eq!(renewed, [(4, Flaw::Unchained)]);
        let mut dropped = five();
        dropped.drain(1..3);
        assert_eq!(verify(&dropped), [(2, Flaw::Missing { to: 3 })]);
        assert_eq!(verify(&five()[1..]), [(1, Flaw::Missing { to: 1 })]);
        let mut moved = five();
        moved.swap(1, 3);
        let said = verify(&moved);
        assert!(said.contains(&(2, Flaw::OutOfOrder)) && said.contains(&(3, Flaw::OutOfOrder)), "{said:?}");
        let mut doubled = five();
        doubled.push(doubled[3].clone());
        assert_eq!(verify(&doubled), [(4, Flaw::Repeated)]);
    }

    #[test]
    fn who_noted_a_head_finds_what_was_cut_off_or_rewritten() {
        let lost = |records: &[Record], head: Head| {
            let mut watch = Watch::new(&[head]);
            for record in records {
                watch.see(record);
            }
            watch.finish().into_iter().map(|lost| lost.loss).next()
        };
        let records = five();
        let head = |sequence, hash| Head { lead: None, sequence, hash };
        assert_eq!(lost(&records, head(5, records[4].hash)), None);
        assert_eq!(lost(&records, head(1, records[0].hash)), None);
        assert_eq!(lost(&records[..4], head(5, records[4].hash)), Some(Loss::CutOff { last: 4 }));
        assert_eq!(lost(&[], head(5, records[4].hash)), Some(Loss::CutOff { last: 0 }));
        let rewritten = Some(Loss::Rewritten(records[0].history()));
        assert_eq!(lost(&records, head(5, records[3].hash)), rewritten);
        let text = format!("{}/5:{}", records[0].lead.as_deref().unwrap_or_default(), records[4].hash);
        let parsed: Head = text.parse().expect("a head");
        assert_eq!(parsed.to_string(), text);
        assert_eq!(lost(&records, parsed.clone()), None);
        // Another company's history of the lead has hashes of its own: one that fits is enough.
        let theirs = history(3, Some(2), &vec![json!({}); 6]);
        assert_eq!(lost(&[theirs.clone(), records.clone()].concat(), parsed.clone()), None);
        let both = [records[..4].to_vec(), theirs.clone()].concat();
        assert_eq!(lost(&both, parsed.clone()), Some(Loss::Rewritten(theirs[0].history())));
        // Of another lead's history nothing follows.
        let other = history(1, Some(9), &vec![json!({}); 6]);
        assert_eq!(lost(&other, parsed), Some(Loss::CutOff { last: 0 }));
        for text in ["5", "5:00", "0:00", "x:y", &format!("A/5:{}", records[4].hash)] {
            assert!(text.parse::<Head>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_that_was_edited_spoils_no_other_entry() {
        let numbered = |place: usize, number: i64| {
            let mut records = five();
            records[place].sequence = number;
            verify(&records)
        };
        assert_eq!(numbered(2, 40), [(3, Flaw::Missing { to: 3 }), (40, Flaw::Header)]);
        assert_eq!(numbered(3, 2), [(2, Flaw::Header), (4, Flaw::Missing { to: 4 })]);
        assert_eq!(numbered(2, 0), [(0, Flaw::Header), (3, Flaw::Missing { to: 3 })]);
        // One that was put into another history spoils nothing there.
        let mut moved = five();
        moved[1].lead = None;
        let own = history(1, None, &[json!(1), json!(2)]);
        let mixed = [&own[..1], &moved, &own[1..]].concat();
        let mut verifier = Verifier::default();
        for record in &mixed {
            verifier.push(record);
        }
        let (said, _) = verifier.finish();
        let said: Vec<_> = said.into_iter().map(|it| (it.history.lead, it.sequence, it.flaw)).collect();
        let lead = moved[0].lead.clone();
        // As its number happens to be the next one there, the one that has it truly is told as a repetition.
        assert_eq!(
            said,
            [
                (None, 2, Flaw::Header),
                (None, 2, Flaw::Unchained),
                (None, 2, Flaw::Repeated),
                (lead, 2, Flaw::Missing { to: 2 })
            ]
        );
    }

    /// The second of five records, erased, and the voucher appended.
    fn erased() -> Vec<Record> {
        let changes = json!({ "changes": [
            { "field": "title", "before": "a", "after": "b" },
            { "field": "customer.contact.email", "before": "a@b.example", "after": null },
        ] });
        let left = redacted(&changes).expect("something to erase");
        let event = EventId(id(1_002));
        let voucher = json!({ "reason": "Asked", "erased": [{ "event": event, "left": content_hash(None, &left) }] });
        let mut records = history(1, Some(2), &[json!({}), changes, json!({}), voucher]);
        records[3].kind = ERASURE.to_owned();
        records[3].hash = records[3].header_hash();
        records[1].content = left;
        records[1].salt = None;
        records[1].erased_at = Some(records[3].at.clone());
        records
    }

    #[test]
    fn what_was_erased_verifies_only_as_it_was_left() {
        let sound = erased();
        assert_eq!(
            sound[1].content,
            json!({ "changes": [
                { "field": "title", "before": "a", "after": "b" },
                { "field": "customer.contact.email", "before": null, "after": null },
            ] })
        );
        assert_eq!(verify(&sound), []);
        assert_eq!(redacted(&sound[1].content), None);
        let change = |change: fn(&mut Vec<Record>)| {
            let mut records = erased();
            change(&mut records);
            verify(&records)
        };
        assert_eq!(change(|it| it[1].content["changes"][0]["after"] = json!("c")), [(2, Flaw::Erasure)]);
        assert_eq!(change(|it| it[1].erased_at = None), [(2, Flaw::Erasure)]);
        assert_eq!(change(|it| it[0].salt = None), [(1, Flaw::Erasure)]);
        assert_eq!(change(|it| drop(it.pop())), [(2, Flaw::Erasure)]);
        // A voucher that was edited vouches for nothing.
        let said = change(|it| it[3].content["reason"] = json!("Other"));
        assert_eq!(said, [(2, Flaw::Erasure), (4, Flaw::Content)]);
    }

    proptest! {
        #[test]
        fn any_edit_of_any_field_is_found(place in 0_usize..5, field in 0_usize..16, other in 1_u8..255) {
            let mut value = serde_json::to_value(&five()[place]).expect("JSON");
            let names: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
            let changed = &mut value[&names[field]];
            *changed = match &*changed {
                Value::Number(number) => json!(number.as_i64().unwrap_or_default() + i64::from(other)),
                Value::String(text) => {
                    // Another digit of a hash, another character of a text.
                    let place = usize::from(other) % text.len();
                    let mut bytes = text.clone().into_bytes();
                    bytes[place] = if bytes[place] == b'1' { b'2' } else { b'1' };
                    json!(String::from_utf8(bytes).expect("ASCII"))
                }
                Value::Null => json!("00".repeat(32)),
                _ => json!({ "n": other }),
            };
            if let Ok(record) = serde_json::from_value::<Record>(value) {
                let mut records = five();
                records[place] = record;
                prop_assert!(!verify(&records).is_empty(), "{}", names[field]);
            }
        }

        #[test]
        fn any_other_order_or_number_is_found(chosen in proptest::collection::vec(0_usize..5, 1..8)) {
            let records: Vec<_> = chosen.iter().map(|place| five()[*place].clone()).collect();
            let prefix = chosen.iter().enumerate().all(|(place, chosen)| place == *chosen);
            prop_assert_eq!(verify(&records).is_empty(), prefix);
        }
    }
}
