//! The one list of what can happen.
//!
//! To add a kind, add a variant to [`Happening`] and its type to `graphql::activity`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    audit::{ErasedEvent, Hash},
    duplicate::Match,
    id::{CompanyId, EventId, LeadId, MemberId, PartnershipId},
    marketing_list::{ListingChange, MarketingListChange},
    task::TaskChange,
    workflow::definition::Stage,
};

/// What happened, with its details. The name of the variant is the event's kind in the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Happening {
    /// A lead was created.
    LeadCreated {},
    /// A lead was passed to a receiver.
    LeadShared {
        /// Across this partnership.
        partnership: PartnershipId,
    },
    /// A lead moved to another stage.
    LeadStageChanged {
        /// Where it stood; none when it came into the viewer's sight.
        from: Option<Stage>,
        /// Where it stands.
        to: Stage,
        /// The action that moved it.
        action: String,
        /// The reason given.
        reason: Option<String>,
    },
    /// A lead's status changed.
    LeadStatusChanged {
        /// Where it stood; none when it came into the viewer's sight.
        from: Option<Stage>,
        /// Where it stands.
        to: Stage,
        /// The action that moved it.
        action: String,
        /// The reason or note given.
        reason: Option<String>,
    },
    /// A lead was taken back by its source; after the event of the stage or status that this led to.
    LeadWithdrawn {
        /// The reason given.
        reason: Option<String>,
    },
    /// A lead's limit has passed; after the event of the stage or status that this led to.
    LeadExpired {
        /// The limit.
        expires_at: DateTime<Utc>,
        /// Where it stood.
        from: Stage,
        /// Where it stands.
        to: Stage,
    },
    /// A lead's limit comes near; once for each limit.
    LeadExpiring {
        /// The limit.
        expires_at: DateTime<Utc>,
        /// Where the lead will stand once it has passed.
        to: Stage,
    },
    /// Another member works a lead; in the log of that member's side alone.
    LeadOwnerChanged {
        /// Who did before; none for nobody.
        from: Option<MemberId>,
        /// Who does since; none for nobody.
        to: Option<MemberId>,
    },
    /// Somebody did something with a lead that moves nothing.
    LeadActionTaken {
        /// The action.
        action: String,
        /// Its name for people.
        name: String,
        /// The reason or note given.
        reason: Option<String>,
    },
    /// A lead comes up for something to be done; for one side alone.
    LeadNotice {
        /// What it is told.
        message: String,
    },
    /// A lead was moved to another version of its workflow.
    LeadWorkflowChanged {
        /// The version before.
        from: i32,
        /// The version since.
        to: i32,
        /// The stage and the status, where the other version has them under other keys.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<FieldChange>,
    },
    /// Fields of a lead changed.
    LeadUpdated {
        /// Which, and how.
        changes: Vec<FieldChange>,
    },
    /// A customer's personal data was erased from a lead, and from what was recorded of it.
    CustomerDataErased {
        /// The reason given.
        reason: String,
        /// The events of this history that lost some of their content.
        erased: Vec<ErasedEvent>,
    },
    /// A lead that came looks like others that the company has. In the log of that company alone.
    LeadDuplicatesFound {
        /// Which, and why: the most alike first.
        matches: Vec<Match>,
    },
    /// A comment was added; the subject is the comment.
    CommentAdded {},
    /// A comment's text was changed; the subject is the comment. Neither text is kept here: what was taken back is gone.
    CommentEdited {},
    /// A comment was removed; the subject is the comment.
    CommentRemoved {},
    /// A task changed; the subject is the task.
    TaskChanged {
        /// How.
        change: TaskChange,
        /// Its fields before and after; none for a new one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<FieldChange>,
    },
    /// An opportunity was created, from a lead or without one; the subject is the opportunity.
    OpportunityCreated {},
    /// A lead became an opportunity that was there already; the subject is the opportunity.
    OpportunityLinked {},
    /// An opportunity moved to another stage; the subject is the opportunity.
    OpportunityStageChanged {
        /// Where it stood.
        from: Stage,
        /// Where it stands.
        to: Stage,
        /// The action that moved it.
        action: String,
        /// The reason given.
        reason: Option<String>,
    },
    /// Fields of an opportunity changed; the subject is the opportunity.
    OpportunityUpdated {
        /// Which, and how.
        changes: Vec<FieldChange>,
    },
    /// A partnership was offered, accepted, suspended, resumed or ended; the subject is the partnership.
    PartnershipChanged {
        /// Its state before; none for an invitation.
        from: Option<String>,
        /// Its state now.
        to: String,
    },
    /// A partnership's settings changed; the subject is the partnership.
    PartnershipSettingsChanged {
        /// Which, and how.
        changes: Vec<FieldChange>,
    },
    /// A workflow was drafted, published or retired; the subject is that version of it.
    WorkflowChanged {
        /// Its key.
        key: String,
        /// Its version.
        version: i32,
        /// Its state before; none for a new draft.
        from: Option<String>,
        /// Its state now.
        to: String,
    },
    /// A template was added; the subject is the template.
    TemplateCreated {},
    /// A marketing list was created, renamed, archived or restored; the subject is the list.
    MarketingListChanged {
        /// How.
        change: MarketingListChange,
        /// Its name since.
        name: String,
        /// Its name before, where it was renamed.
        name_before: Option<String>,
    },
    /// A lead was added to a marketing list or removed from it; the subject is the list.
    LeadMarketingListChanged {
        /// How.
        change: ListingChange,
    },
    /// A template's limits changed; the subject is the template.
    TemplateUpdated {
        /// Which, and how.
        changes: Vec<FieldChange>,
    },
}

impl Happening {
    /// Whether it changes what `leadChanged` shows: the lead's stage, status or fields.
    pub const fn changes_lead(&self) -> bool {
        matches!(
            self,
            Self::LeadCreated {}
                | Self::LeadShared { .. }
                | Self::LeadStageChanged { .. }
                | Self::LeadStatusChanged { .. }
                | Self::LeadActionTaken { .. }
                | Self::LeadNotice { .. }
                | Self::LeadWorkflowChanged { .. }
                | Self::LeadUpdated { .. }
                | Self::LeadOwnerChanged { .. }
                | Self::CustomerDataErased { .. }
                | Self::OpportunityStageChanged { .. }
                | Self::OpportunityUpdated { .. }
        )
    }

    /// Whether a company's part in the lead may be over with it.
    pub const fn may_end_part(&self) -> bool {
        matches!(self, Self::LeadStageChanged { .. } | Self::LeadStatusChanged { .. } | Self::LeadWithdrawn { .. })
    }
}

/// One field's change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field's path, such as `customer.contact.email`.
    pub field: String,
    /// Its value before, as text.
    pub before: Option<String>,
    /// Its value after, as text.
    pub after: Option<String>,
}

impl FieldChange {
    /// The change, if there is one.
    pub fn of(field: &str, before: Option<String>, after: Option<String>) -> Option<Self> {
        (before != after).then(|| Self { field: field.to_owned(), before, after })
    }
}

/// An entry of one company's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Whose log.
    pub company: CompanyId,
    /// Its place in that log: counts from 1 without gaps.
    pub position: i64,
    /// The same in each company's log.
    pub id: EventId,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Who did it; none for the system.
    pub actor: Option<MemberId>,
    /// The lead that it is about.
    pub lead: Option<LeadId>,
    /// What it is about besides: a comment, a task, an opportunity, a partnership, a marketing list.
    pub subject: Option<uuid::Uuid>,
    /// What happened.
    pub happening: Happening,
    /// Its place in the history of its lead, or of the company's own events: counts from 1 without gaps.
    pub sequence: i64,
    /// The hash over it and the entry before it in that history.
    pub hash: Hash,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::arbitrary::any_json;

    const WORDS: &[&str] =
        &["LEAD_CREATED", "LEAD_UPDATED", "COMMENT_ADDED", "changes", "field", "before", "after", "stage", "id"];

    proptest! {
        #[test]
        fn a_payload_of_the_log_is_an_event_that_is_written_the_same_or_none(kind in prop::sample::select(WORDS), content in any_json(WORDS)) {
            let payload = json!({ "kind": kind, "content": content });
            if let Ok(happening) = serde_json::from_value::<Happening>(payload) {
                let written: Value = serde_json::to_value(&happening).unwrap();
                prop_assert_eq!(serde_json::from_value::<Happening>(written).unwrap(), happening);
            }
        }
    }
}
