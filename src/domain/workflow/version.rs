//! A version of a workflow as it is kept: shipped, or a company's own.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::definition::Definition;
use crate::domain::{
    id::{CompanyId, WorkflowId},
    lead::WorkflowRef,
};

/// The most versions of its own workflows that a company keeps.
pub const MAX_VERSIONS: u64 = 500;

/// A version of a workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowVersion {
    /// Its id.
    pub id: WorkflowId,
    /// The company that defined it; none for one that is shipped.
    pub owner: Option<CompanyId>,
    /// What it says. Its `version` counts the versions of its key.
    pub definition: Arc<Definition>,
    /// Where it stands.
    pub state: WorkflowState,
    /// Counts the changes of the record, from 1.
    pub version: i32,
    /// When it was published; none for a draft and for one that is shipped.
    pub published_at: Option<DateTime<Utc>>,
    /// When it was retired.
    pub retired_at: Option<DateTime<Utc>>,
}

impl WorkflowVersion {
    /// One that is shipped.
    pub fn shipped(definition: Arc<Definition>) -> Self {
        // Shipped versions have no row, so that their ids are made of key and version.
        let mut id = [0_u8; 16];
        for (place, byte) in format!("{}:{}", definition.key, definition.version).bytes().enumerate() {
            id[place % 16] = id[place % 16].rotate_left(3) ^ byte;
        }
        Self {
            id: WorkflowId(uuid::Builder::from_custom_bytes(id).into_uuid()),
            owner: None,
            definition,
            state: WorkflowState::Published,
            version: 1,
            published_at: None,
            retired_at: None,
        }
    }

    /// How leads and templates name it.
    pub fn reference(&self) -> WorkflowRef {
        WorkflowRef { owner: self.owner, key: self.definition.key.clone(), version: self.definition.version }
    }
}

/// Where a version of a workflow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowState {
    /// It can be changed, and nothing runs on it.
    Draft,
    /// Templates can bind it; it doesn't change any more.
    Published,
    /// Templates can't bind it any more, and nothing is on it.
    Retired,
}

impl WorkflowState {
    /// The name in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Published => "PUBLISHED",
            Self::Retired => "RETIRED",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Draft, Self::Published, Self::Retired].into_iter().find(|state| state.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::workflow::builtin;

    #[test]
    fn shipped_versions_have_ids_of_their_own_that_stay() {
        let id = |definition: &Arc<Definition>| WorkflowVersion::shipped(Arc::clone(definition)).id;
        let ids: HashSet<_> = builtin::all().iter().map(id).collect();
        assert_eq!(ids.len(), builtin::all().len());
        let partner_lead = builtin::builtin("partner-lead", 1).unwrap();
        assert_eq!(id(&partner_lead), id(&partner_lead));
    }
}
