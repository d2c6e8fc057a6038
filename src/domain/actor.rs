//! Who calls: a member of a company with roles, or the system itself.

use serde::{Deserialize, Serialize};

use super::id::{CompanyId, MemberId};

/// What a member may do in its company; comes from the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Manages partnerships and templates, and does all that SALES does.
    Admin,
    /// Works leads and opportunities.
    Sales,
    /// Creates leads and follows those it owns.
    Marketeer,
    /// Oversees leads and follows those it owns.
    Manager,
    /// A machine: creates and updates leads by external reference, reads feeds, decides nothing.
    Integration,
    /// Reads only.
    Viewer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Admin, Self::Sales, Self::Marketeer, Self::Manager, Self::Integration, Self::Viewer];
    /// The roles of people who work leads: all but INTEGRATION and VIEWER.
    pub const PEOPLE: [Self; 4] = [Self::Admin, Self::Sales, Self::Marketeer, Self::Manager];

    /// The name in tokens, in workflow definitions and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "ADMIN",
            Self::Sales => "SALES",
            Self::Marketeer => "MARKETEER",
            Self::Manager => "MANAGER",
            Self::Integration => "INTEGRATION",
            Self::Viewer => "VIEWER",
        }
    }

    /// The role of that name; names are matched whatever their case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str().eq_ignore_ascii_case(name))
    }
}

/// Which side of a shared lead the viewer's company is on. An internal lead's only company is its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Side {
    /// The company that created the lead.
    Source,
    /// The company that answers it.
    Receiver,
}

impl Side {
    /// The name in the database and in workflow definitions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "SOURCE",
            Self::Receiver => "RECEIVER",
        }
    }

    /// The other side.
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Receiver,
            Self::Receiver => Self::Source,
        }
    }
}

/// A member who calls. `service::member` makes one, of a token that `http::auth` has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The member.
    pub id: MemberId,
    /// Its company: the tenant that every read and write is bound to.
    pub company: CompanyId,
    /// What the token says it may do.
    pub roles: Vec<Role>,
}

impl Member {
    /// Whether the member has one of these roles.
    pub fn has(&self, roles: &[Role]) -> bool {
        self.roles.iter().any(|role| roles.contains(role))
    }
}
