//! Companies, their members, and the partnerships between them.

use chrono::{DateTime, Utc};

use super::{
    actor::Role,
    id::{CompanyId, MemberId, PartnershipId},
};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Company {
    /// Its id.
    pub id: CompanyId,
    /// Its name in tokens, such as `acme`.
    pub slug: String,
    /// Its name for people.
    pub name: String,
}

/// Whether `slug` can name a company: 2 to 50 lower-case letters, digits and hyphens, no hyphen at either end.
pub fn is_slug(slug: &str) -> bool {
    (2..=50).contains(&slug.len())
        && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !slug.starts_with('-')
        && !slug.ends_with('-')
}

/// A person or machine of a company, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its id.
    pub id: MemberId,
    /// Its company.
    pub company: CompanyId,
    /// As its token last said, else the token's subject.
    pub name: String,
    /// As its token last said.
    pub email: Option<String>,
    /// As its token last said.
    pub roles: Vec<Role>,
}

/// Two companies that agreed to share leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partnership {
    /// Its id.
    pub id: PartnershipId,
    /// The vendor.
    pub vendor: CompanyId,
    /// The partner.
    pub partner: CompanyId,
    /// Which of the two invited the other.
    pub invited_by: CompanyId,
    /// Where it stands.
    pub state: PartnershipState,
    /// Who moves the stage of leads that the partner submits (mission B3).
    pub stage_moved_by: StageMover,
    /// Counts its changes, from 1.
    pub version: i32,
    /// When the invitation was made.
    pub created_at: DateTime<Utc>,
}

impl Partnership {
    /// The other company, as `company` sees it.
    pub fn counterpart(&self, company: CompanyId) -> CompanyId {
        if self.vendor == company { self.partner } else { self.vendor }
    }
}

/// Where a partnership stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartnershipState {
    /// One company has invited the other, which has not answered.
    Invited,
    /// Leads can be shared.
    Active,
    /// No new leads are shared; those already shared go on.
    Suspended,
    /// Over: its live assignments have ended.
    Ended,
}

impl PartnershipState {
    /// The name in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "INVITED",
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Ended => "ENDED",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Invited, Self::Active, Self::Suspended, Self::Ended].into_iter().find(|state| state.as_str() == name)
    }
}

/// Who moves the stage of a submitted lead, once it is unlocked; the vendor sets it (mission B3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StageMover {
    /// The vendor alone.
    Vendor,
    /// The partner alone.
    Partner,
    /// Both.
    #[default]
    Both,
}

impl StageMover {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Vendor, Self::Partner, Self::Both];

    /// The name in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vendor => "VENDOR",
            Self::Partner => "PARTNER",
            Self::Both => "BOTH",
        }
    }

    /// The one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mover| mover.as_str() == name)
    }

    /// Whether the vendor, or else the partner, is one of those who move.
    pub const fn names(self, vendor: bool) -> bool {
        match self {
            Self::Vendor => vendor,
            Self::Partner => !vendor,
            Self::Both => true,
        }
    }
}
