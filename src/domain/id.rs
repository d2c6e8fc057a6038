//! Typed identifiers: a lead's id can't be passed where a task's is meant.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A tenant.
    CompanyId,
    /// A person or machine of a company.
    MemberId,
    /// Two companies that agreed to share leads.
    PartnershipId,
    /// A customer's need.
    LeadId,
    /// One passing of a lead to one receiver.
    AssignmentId,
    /// The deal that a lead became.
    OpportunityId,
    /// An entry of a lead's thread.
    CommentId,
    /// Something to do on a lead.
    TaskId,
    /// A company's own list of leads.
    MarketingListId,
    /// What a new lead or opportunity starts from.
    TemplateId,
    /// A version of a workflow.
    WorkflowId,
    /// One thing that happened, the same id in each company's log.
    EventId,
}
