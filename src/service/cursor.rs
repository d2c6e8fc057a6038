//! Opaque cursors: a place in a list or a log, signed for the company that it was given to.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::{
    domain::{id::CompanyId, page::Cursor},
    error::{Fault, Result},
    store::{
        lead::{LeadSort, SortKey},
        page::Place,
    },
};

/// The list that a cursor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Leads in that order.
    Leads(LeadSort),
    /// Opportunities.
    Opportunities,
    /// Partnerships.
    Partnerships,
    /// Members.
    Members,
    /// Tasks.
    Tasks,
    /// Comments.
    Comments,
    /// The company's log.
    Log,
    /// Marketing lists.
    MarketingLists,
    /// The leads on a marketing list.
    LeadsOfMarketingList,
    /// The marketing lists that a lead is on.
    MarketingListsOfLead,
}

impl List {
    const fn tag(self) -> u8 {
        match self {
            Self::Leads(LeadSort::Created) => 1,
            Self::Leads(LeadSort::Updated) => 2,
            Self::Leads(LeadSort::Expires) => 3,
            Self::Leads(LeadSort::Value) => 4,
            Self::Opportunities => 5,
            Self::Partnerships => 6,
            Self::Members => 7,
            Self::Tasks => 8,
            Self::Comments => 9,
            Self::Log => 10,
            Self::MarketingLists => 20,
            Self::LeadsOfMarketingList => 21,
            Self::MarketingListsOfLead => 22,
        }
    }
}

/// The cursor of a lead in a list of that order.
pub(super) fn lead(company: CompanyId, sort: LeadSort, key: SortKey, id: Uuid) -> Cursor {
    let key = match key {
        SortKey::Time(at) => at.timestamp_millis(),
        SortKey::Number(number) => number,
    };
    Cursor { company, list: List::Leads(sort).tag(), key, id }
}

/// The cursor of an entry of a list by creation.
pub(super) fn created(company: CompanyId, list: List, at: DateTime<Utc>, id: Uuid) -> Cursor {
    Cursor { company, list: list.tag(), key: at.timestamp_millis(), id }
}

/// The cursor of an entry of the company's log.
pub fn log(company: CompanyId, position: i64) -> Cursor {
    Cursor { company, list: List::Log.tag(), key: position, id: Uuid::nil() }
}

/// Writes and reads cursors.
pub struct Cursors {
    key: Vec<u8>,
}

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cursors(key withheld)")
    }
}

const BODY: usize = 1 + 8 + 16;
const SIGNATURE: usize = 12;

impl Cursors {
    /// With the installation's key.
    pub fn new(key: Vec<u8>) -> Self {
        Self { key }
    }

    /// What tells this installation from others, for names that others can read: 16 hexadecimal digits that say nothing
    /// of the key.
    pub fn installation(&self) -> String {
        // No cursor is signed over so little.
        let mark = self.sign(CompanyId(Uuid::nil()), b"installation");
        let mut half = [0; 8];
        half.copy_from_slice(&mark[..8]);
        format!("{:016x}", u64::from_be_bytes(half))
    }

    fn sign(&self, company: CompanyId, body: &[u8]) -> [u8; SIGNATURE] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(company.0.as_bytes());
        mac.update(body);
        let mut signature = [0; SIGNATURE];
        signature.copy_from_slice(&mac.finalize().into_bytes()[..SIGNATURE]);
        signature
    }

    /// The text of a cursor.
    pub fn text(&self, cursor: &Cursor) -> String {
        let mut bytes = Vec::with_capacity(BODY + SIGNATURE);
        bytes.push(cursor.list);
        bytes.extend(cursor.key.to_be_bytes());
        bytes.extend(cursor.id.as_bytes());
        let signature = self.sign(cursor.company, &bytes);
        bytes.extend(signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(&self, company: CompanyId, text: &str, field: &str) -> Result<(u8, i64, Uuid)> {
        let forged = || Fault::invalid(field, "This is not a cursor that the server gave to your company.");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| forged())?;
        let (body, signature) = bytes.split_at_checked(BODY).ok_or_else(forged)?;
        // In constant time, so that a signature can't be guessed byte by byte.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(company.0.as_bytes());
        mac.update(body);
        if signature.len() != SIGNATURE || mac.verify_truncated_left(signature).is_err() {
            return Err(forged().into());
        }
        let number = i64::from_be_bytes(body[1..9].try_into().map_err(|_| forged())?);
        Ok((body[0], number, Uuid::from_slice(&body[9..]).map_err(|_| forged())?))
    }

    /// A lead's place in a list of that order.
    pub fn read_lead(&self, company: CompanyId, sort: LeadSort, text: &str, field: &str) -> Result<Place<SortKey>> {
        let (tag, number, id) = self.read(company, text, field)?;
        self.belongs(tag, List::Leads(sort), field)?;
        let key = match sort {
            LeadSort::Value => SortKey::Number(number),
            _ => SortKey::Time(moment(number, field)?),
        };
        Ok(Place { key, id })
    }

    /// An entry's place in a list by creation.
    pub fn read_created(
        &self,
        company: CompanyId,
        list: List,
        text: &str,
        field: &str,
    ) -> Result<Place<DateTime<Utc>>> {
        let (tag, number, id) = self.read(company, text, field)?;
        self.belongs(tag, list, field)?;
        Ok(Place { key: moment(number, field)?, id })
    }

    /// A position in the company's log.
    pub fn read_log(&self, company: CompanyId, text: &str, field: &str) -> Result<i64> {
        let (tag, number, _) = self.read(company, text, field)?;
        self.belongs(tag, List::Log, field)?;
        Ok(number)
    }

    /// A position in the company's log, or the id of a comment in its thread.
    pub fn read_log_or_comment(&self, company: CompanyId, text: &str, field: &str) -> Result<Result<i64, Uuid>> {
        let (tag, number, id) = self.read(company, text, field)?;
        if tag == List::Comments.tag() {
            return Ok(Err(id));
        }
        self.belongs(tag, List::Log, field)?;
        Ok(Ok(number))
    }

    #[allow(clippy::unused_self, reason = "reads as a part of the codec")]
    fn belongs(&self, tag: u8, list: List, field: &str) -> Result<()> {
        if tag == list.tag() {
            return Ok(());
        }
        Err(Fault::invalid(field, "This cursor belongs to another list or another order.").into())
    }
}

fn moment(millis: i64, field: &str) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis)
        .ok_or_else(|| Fault::invalid(field, "This is not a cursor that the server gave to your company.").into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LISTS: [List; 9] = [
        List::Leads(LeadSort::Created),
        List::Leads(LeadSort::Value),
        List::Opportunities,
        List::Partnerships,
        List::Members,
        List::Tasks,
        List::Comments,
        List::Log,
        List::MarketingLists,
    ];

    fn company(id: u128) -> CompanyId {
        CompanyId(Uuid::from_u128(id))
    }

    fn any_cursor() -> impl Strategy<Value = Cursor> {
        (any::<u128>(), prop::sample::select(LISTS.to_vec()), any::<i64>(), any::<u128>()).prop_map(
            |(of, list, key, id)| Cursor { company: company(of), list: list.tag(), key, id: Uuid::from_u128(id) },
        )
    }

    proptest! {
        #[test]
        fn no_text_of_a_stranger_is_a_cursor(key: [u8; 32], of: u128, text in "\\PC{0,60}|[A-Za-z0-9_-]{48,52}") {
            let cursors = Cursors::new(key.to_vec());
            prop_assert!(cursors.read(company(of), &text, "after").is_err());
        }

        #[test]
        fn a_cursor_is_read_as_it_was_written_by_its_company_alone(key: [u8; 32], cursor in any_cursor(), other: u128) {
            let cursors = Cursors::new(key.to_vec());
            let text = cursors.text(&cursor);
            let read = cursors.read(cursor.company, &text, "after").map_err(|error| format!("{error:?}"));
            prop_assert_eq!(read, Ok((cursor.list, cursor.key, cursor.id)));
            if company(other) != cursor.company {
                prop_assert!(cursors.read(company(other), &text, "after").is_err());
            }
            prop_assert!(Cursors::new(vec![1]).read(cursor.company, &text, "after").is_err());
            // Whatever was signed, a list takes what is its own and a time that there is.
            for list in LISTS {
                let taken = cursors.read_created(cursor.company, list, &text, "after").is_ok();
                prop_assert!(!taken || list.tag() == cursor.list);
            }
            let _ = cursors.read_lead(cursor.company, LeadSort::Created, &text, "after");
            let _ = cursors.read_lead(cursor.company, LeadSort::Value, &text, "after");
            let _ = cursors.read_log_or_comment(cursor.company, &text, "after");
        }

        #[test]
        fn a_changed_cursor_is_none(key: [u8; 32], cursor in any_cursor(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let cursors = Cursors::new(key.to_vec());
            let mut bytes = URL_SAFE_NO_PAD.decode(cursors.text(&cursor)).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(cursors.read(cursor.company, &URL_SAFE_NO_PAD.encode(&bytes), "after").is_err());
            for length in 0..bytes.len() {
                prop_assert!(cursors.read(cursor.company, &URL_SAFE_NO_PAD.encode(&bytes[..length]), "after").is_err());
            }
        }
    }
}
