//! A company's own list of leads (mission C9). The other side of a lead never learns of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    id::{CompanyId, MarketingListId, MemberId},
    text::folded,
};

/// The longest name, in characters.
pub const NAME_MAX: usize = 100;

/// A company's own list of leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketingList {
    /// Its id.
    pub id: MarketingListId,
    /// The company that it belongs to.
    pub company: CompanyId,
    /// Its name as it was typed.
    pub name: String,
    /// How many leads are on it.
    pub lead_count: i32,
    /// Since when it is in the archive; none while it is not.
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts the changes of its name and of its place in or out of the archive, from 1.
    pub version: i32,
    /// Who created it.
    pub created_by: MemberId,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When the version last changed.
    pub updated_at: DateTime<Utc>,
}

/// A lead's place on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The lead, or the list.
    pub item: T,
    /// Who added the lead to the list.
    pub added_by: MemberId,
    /// When.
    pub added_at: DateTime<Utc>,
}

/// What happened to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MarketingListChange {
    /// It was created.
    Created,
    /// It got another name.
    Renamed,
    /// It went to the archive: it can't be changed, and lists leave it out.
    Archived,
    /// It came back from the archive.
    Restored,
}

/// What happened between a lead and a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ListingChange {
    /// The lead was put on the list.
    Added,
    /// The lead was taken off the list.
    Removed,
}

/// A name as it is compared: neither case nor the form of its letters nor the width of a gap tells two names apart. A
/// change of it comes with a migration that writes it anew.
pub fn name_key(name: &str) -> String {
    folded(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_whatever_their_case_and_gaps() {
        assert_eq!(name_key("  Spring \u{a0} FAIR 2026 "), name_key("spring fair 2026"));
        assert_eq!(name_key("ÄÖÜ"), name_key("äöu\u{308}"));
        assert_eq!(name_key("ΑΓΟΡΑΣ STRASSE"), name_key("αγορας straße"));
        assert_eq!(name_key("Spring\u{200B}fair"), name_key("ＳＰＲＩＮＧｆａｉｒ"));
        assert_ne!(name_key("Ä"), name_key("A"));
        assert_ne!(name_key("Spring fair"), name_key("Springfair"));
    }
}
