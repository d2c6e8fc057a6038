//! The activity: one thing that happened, as the viewer's company may read it.
//!
//! To add a kind: its variant in [`Happening`], its type by [`kinds!`], and its line in [`Activity::of`].

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Interface, MaybeUndefined, Object, Result, SimpleObject, Union};

use super::{
    comment::Comment,
    company::{Member, Partnership, PartnershipState, Stage, profile},
    duplicate::{self, DuplicateCandidate},
    error::Reply,
    lead::Lead,
    load,
    marketing_list::{MarketingList, MarketingListChange},
    member,
    opportunity::Opportunity,
    page::{connect, connection},
    query::id_or_none,
    scalars::DateTime,
    service,
    task::{Task, TaskChange},
};
use crate::{
    domain::{
        company,
        event::{self, Event, Happening},
        global_id::NodeType,
        id::{CommentId, LeadId, MarketingListId, OpportunityId, PartnershipId, TaskId},
        marketing_list::ListingChange,
        page::PageRequest,
    },
    error::Error,
    service::{activity, cursor},
};

/// Who did something.
#[derive(Union)]
pub enum Actor {
    /// A person or machine of a company.
    Member(Member),
    /// The server.
    System(SystemActor),
}

/// The server itself, which expires leads.
#[derive(SimpleObject)]
pub struct SystemActor {
    /// Its name.
    pub name: String,
}

/// A field's change.
#[derive(SimpleObject)]
pub struct FieldChange {
    /// The field's path, such as `customer.contact.email`.
    pub field: String,
    /// Its value before, as text; null for none.
    pub before: Option<String>,
    /// Its value after, as text; null for none.
    pub after: Option<String>,
}

fn changes(changes: &[event::FieldChange]) -> Vec<FieldChange> {
    changes
        .iter()
        .map(|change| FieldChange {
            field: change.field.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
        })
        .collect()
}

async fn actor(ctx: &Context<'_>, event: &Event) -> Result<Actor> {
    match event.actor {
        Some(id) => profile(ctx, id).await.map(Actor::Member),
        None => Ok(Actor::System(SystemActor { name: "cosell".to_owned() })),
    }
}

async fn lead(ctx: &Context<'_>, event: &Event) -> Result<Option<Lead>> {
    let Some(id) = event.lead else { return Ok(None) };
    Ok(load(ctx, id).await?.map(Lead::new))
}

async fn opportunity(ctx: &Context<'_>, event: &Event) -> Result<Option<Opportunity>> {
    let Some(id) = event.subject else { return Ok(None) };
    Ok(load(ctx, OpportunityId(id)).await?.map(Opportunity::new))
}

async fn marketing_list(ctx: &Context<'_>, event: &Event) -> Result<Option<MarketingList>> {
    let Some(id) = event.subject else { return Ok(None) };
    Ok(load(ctx, MarketingListId(id)).await?.map(MarketingList::new))
}

async fn comment(ctx: &Context<'_>, event: &Event) -> Result<Option<Comment>> {
    let Some(id) = event.subject else { return Ok(None) };
    Ok(load(ctx, CommentId(id)).await?.map(Comment::new))
}

/// The types of the activity's kinds: what all have in common, and what is each one's own.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident { $($own:tt)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        pub struct $name(Arc<Event>);

        $(#[doc = $doc])*
        #[Object]
        impl $name {
            /// Its global id, the same in both companies' logs.
            pub async fn id(&self) -> ID {
                super::id(NodeType::Activity, self.0.id.0)
            }

            /// Its place in the log of the viewer's company: opaque, for `after`.
            async fn cursor(&self, ctx: &Context<'_>) -> Result<String> {
                Ok(service(ctx).cursors().text(&cursor::log(self.0.company, self.0.position)))
            }

            /// When it happened.
            async fn at(&self) -> DateTime {
                DateTime(self.0.at)
            }

            /// Who did it.
            async fn actor(&self, ctx: &Context<'_>) -> Result<Actor> {
                actor(ctx, &self.0).await
            }

            /// Its place in the history of its lead as the viewer's company has it, or of the company's own events where
            /// it is not about a lead: counts from 1 without gaps.
            async fn sequence(&self) -> i64 {
                self.0.sequence
            }

            /// The hash over it and the entry before it in that history, in hexadecimal. See `auditTrail`.
            async fn hash(&self) -> String {
                self.0.hash.to_string()
            }

            /// The lead, as it now is for the viewer; null where it is not about a lead.
            async fn lead(&self, ctx: &Context<'_>) -> Result<Option<Lead>> {
                lead(ctx, &self.0).await
            }

            $($own)*
        }
    )*};
}

kinds! {
    /// A lead was created.
    LeadCreated {}

    /// A lead was passed to a receiver.
    LeadShared {
        /// Across this partnership.
        async fn partnership(&self, ctx: &Context<'_>) -> Result<Option<Partnership>> {
            let Happening::LeadShared { partnership } = self.0.happening else { return Ok(None) };
            Ok(load(ctx, partnership).await?.map(Partnership))
        }
    }

    /// A lead was taken back by its source, or passed on before it was answered; comes after the event of the stage or
    /// status that this led to.
    LeadWithdrawn {
        /// The reason given; null where none was.
        async fn reason(&self) -> Option<&str> {
            match &self.0.happening {
                Happening::LeadWithdrawn { reason } => reason.as_deref(),
                _ => None,
            }
        }
    }

    /// A lead's limit has passed; comes after the event of the stage or status that this led to.
    LeadExpired {
        /// The limit that has passed.
        async fn expires_at(&self) -> DateTime {
            match self.0.happening {
                Happening::LeadExpired { expires_at, .. } => DateTime(expires_at),
                _ => DateTime(self.0.at),
            }
        }

        /// Where it stood.
        async fn from(&self) -> Option<Stage> {
            match &self.0.happening {
                Happening::LeadExpired { from, .. } => Some(from.into()),
                _ => None,
            }
        }

        /// Where it stands since.
        async fn to(&self) -> Result<Stage> {
            match &self.0.happening {
                Happening::LeadExpired { to, .. } => Ok(to.into()),
                _ => Err(super::error::unexplained(&Error::internal("an event of another kind"))),
            }
        }
    }

    /// A lead's limit comes near: once for each limit that is set, where the lead has not been answered before.
    LeadExpiring {
        /// The limit.
        async fn expires_at(&self) -> DateTime {
            match self.0.happening {
                Happening::LeadExpiring { expires_at, .. } => DateTime(expires_at),
                _ => DateTime(self.0.at),
            }
        }

        /// Where the lead will stand once the limit has passed.
        async fn to(&self) -> Result<Stage> {
            match &self.0.happening {
                Happening::LeadExpiring { to, .. } => Ok(to.into()),
                _ => Err(super::error::unexplained(&Error::internal("an event of another kind"))),
            }
        }
    }

    /// Another member of the viewer's company works a lead. The other side is not told.
    LeadOwnerChanged {
        /// Who did before; null for nobody.
        #[graphql(name = "fromOwner")]
        async fn owner_before(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
            match self.0.happening {
                Happening::LeadOwnerChanged { from: Some(id), .. } => profile(ctx, id).await.map(Some),
                _ => Ok(None),
            }
        }

        /// Who does since; null for nobody.
        #[graphql(name = "toOwner")]
        async fn owner_since(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
            match self.0.happening {
                Happening::LeadOwnerChanged { to: Some(id), .. } => profile(ctx, id).await.map(Some),
                _ => Ok(None),
            }
        }
    }

    /// A lead moved to another stage.
    LeadStageChanged {
        /// Where it stood; null when it came into the viewer's sight.
        async fn from(&self) -> Option<Stage> {
            match &self.0.happening {
                Happening::LeadStageChanged { from, .. } => from.as_ref().map(Stage::from),
                _ => None,
            }
        }

        /// Where it stands since.
        async fn to(&self) -> Result<Stage> {
            match &self.0.happening {
                Happening::LeadStageChanged { to, .. } => Ok(to.into()),
                _ => Err(super::error::unexplained(&Error::internal("an event of another kind"))),
            }
        }

        /// The action that moved it.
        async fn action(&self) -> &str {
            match &self.0.happening {
                Happening::LeadStageChanged { action, .. } => action,
                _ => "",
            }
        }

        /// The reason given; null where none was.
        async fn reason(&self) -> Option<&str> {
            match &self.0.happening {
                Happening::LeadStageChanged { reason, .. } => reason.as_deref(),
                _ => None,
            }
        }
    }

    /// A lead's status changed.
    LeadStatusChanged {
        /// Where it stood; null when it came into the viewer's sight.
        async fn from(&self) -> Option<Stage> {
            match &self.0.happening {
                Happening::LeadStatusChanged { from, .. } => from.as_ref().map(Stage::from),
                _ => None,
            }
        }

        /// Where it stands since.
        async fn to(&self) -> Result<Stage> {
            match &self.0.happening {
                Happening::LeadStatusChanged { to, .. } => Ok(to.into()),
                _ => Err(super::error::unexplained(&Error::internal("an event of another kind"))),
            }
        }

        /// The action that moved it.
        async fn action(&self) -> &str {
            match &self.0.happening {
                Happening::LeadStatusChanged { action, .. } => action,
                _ => "",
            }
        }

        /// The reason or note given; null where none was.
        async fn reason(&self) -> Option<&str> {
            match &self.0.happening {
                Happening::LeadStatusChanged { reason, .. } => reason.as_deref(),
                _ => None,
            }
        }
    }

    /// Somebody did something with a lead that moves nothing.
    LeadActionTaken {
        /// The action's key.
        async fn action(&self) -> &str {
            match &self.0.happening {
                Happening::LeadActionTaken { action, .. } => action,
                _ => "",
            }
        }

        /// The action's name for people.
        async fn name(&self) -> &str {
            match &self.0.happening {
                Happening::LeadActionTaken { name, .. } => name,
                _ => "",
            }
        }

        /// The reason or note given; null where none was.
        async fn reason(&self) -> Option<&str> {
            match &self.0.happening {
                Happening::LeadActionTaken { reason, .. } => reason.as_deref(),
                _ => None,
            }
        }
    }

    /// A lead comes up for something to be done; the viewer's side alone is told.
    LeadNotice {
        /// What it is told.
        async fn message(&self) -> &str {
            match &self.0.happening {
                Happening::LeadNotice { message } => message,
                _ => "",
            }
        }
    }

    /// A lead was moved to another version of its workflow.
    LeadWorkflowChanged {
        /// The version before.
        async fn from_version(&self) -> i32 {
            match self.0.happening {
                Happening::LeadWorkflowChanged { from, .. } => from,
                _ => 0,
            }
        }

        /// The version since.
        async fn to_version(&self) -> i32 {
            match self.0.happening {
                Happening::LeadWorkflowChanged { to, .. } => to,
                _ => 0,
            }
        }

        /// `stage` and `status`, by key, where the other version has them under other keys.
        async fn changes(&self) -> Vec<FieldChange> {
            match &self.0.happening {
                Happening::LeadWorkflowChanged { changes: list, .. } => changes(list),
                _ => Vec::new(),
            }
        }
    }

    /// Fields of a lead changed.
    LeadUpdated {
        /// Which fields, and how.
        async fn changes(&self) -> Vec<FieldChange> {
            match &self.0.happening {
                Happening::LeadUpdated { changes: list } => changes(list),
                _ => Vec::new(),
            }
        }
    }

    /// A customer's personal data was erased from a lead, and from the activity about it.
    LeadCustomerDataErased {
        /// The reason given.
        async fn reason(&self) -> &str {
            match &self.0.happening {
                Happening::CustomerDataErased { reason, .. } => reason,
                _ => "",
            }
        }

        /// The activities that lost values: those of the contact's fields are null in them now.
        async fn erased_activity_ids(&self) -> Vec<ID> {
            match &self.0.happening {
                Happening::CustomerDataErased { erased, .. } => {
                    erased.iter().map(|erased| super::id(NodeType::Activity, erased.event.0)).collect()
                }
                _ => Vec::new(),
            }
        }
    }

    /// A lead that came to the viewer's company looks like others that it has. The other side is not told.
    LeadDuplicatesFound {
        /// The leads that looked like the same customer when it came, the most alike first, at most 20.
        async fn candidates(&self, ctx: &Context<'_>) -> Result<Vec<DuplicateCandidate>> {
            match &self.0.happening {
                Happening::LeadDuplicatesFound { matches } => duplicate::candidates(ctx, matches).await,
                _ => Ok(Vec::new()),
            }
        }
    }

    /// A comment was added.
    CommentAdded {
        /// The comment as it now is; null where it was removed since.
        async fn comment(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
            comment(ctx, &self.0).await
        }
    }

    /// The text of a comment was changed. The activity keeps neither the text before nor that since.
    CommentEdited {
        /// The comment as it now is; null where it was removed since.
        async fn comment(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
            comment(ctx, &self.0).await
        }
    }

    /// A comment was removed.
    CommentRemoved {
        /// The comment's id, so that a client can take it away.
        async fn comment_id(&self) -> Option<ID> {
            self.0.subject.map(|id| super::id(NodeType::Comment, id))
        }
    }

    /// A task was set, changed, assigned, completed, reopened or cancelled.
    TaskChanged {
        /// The task as it now is.
        async fn task(&self, ctx: &Context<'_>) -> Result<Option<Task>> {
            let Some(id) = self.0.subject else { return Ok(None) };
            Ok(load(ctx, TaskId(id)).await?.map(Task::new))
        }

        /// What happened to it.
        async fn change(&self) -> TaskChange {
            match self.0.happening {
                Happening::TaskChanged { change, .. } => change.into(),
                _ => TaskChange::Edited,
            }
        }

        /// Its fields before and after: `title`, `description`, `dueAt`, `assignedCompany` and `assignee` by id, `state`.
        /// Empty for a new one.
        async fn changes(&self) -> Vec<FieldChange> {
            match &self.0.happening {
                Happening::TaskChanged { changes: list, .. } => changes(list),
                _ => Vec::new(),
            }
        }
    }

    /// An opportunity was created.
    OpportunityCreated {
        /// The opportunity as it now is.
        async fn opportunity(&self, ctx: &Context<'_>) -> Result<Option<Opportunity>> {
            opportunity(ctx, &self.0).await
        }
    }

    /// A lead became an opportunity that was there already.
    OpportunityLinked {
        /// The opportunity as it now is.
        async fn opportunity(&self, ctx: &Context<'_>) -> Result<Option<Opportunity>> {
            opportunity(ctx, &self.0).await
        }
    }

    /// An opportunity moved to another stage.
    OpportunityStageChanged {
        /// The opportunity as it now is.
        async fn opportunity(&self, ctx: &Context<'_>) -> Result<Option<Opportunity>> {
            opportunity(ctx, &self.0).await
        }

        /// Where it stood.
        async fn from(&self) -> Option<Stage> {
            match &self.0.happening {
                Happening::OpportunityStageChanged { from, .. } => Some(from.into()),
                _ => None,
            }
        }

        /// Where it stands since.
        async fn to(&self) -> Result<Stage> {
            match &self.0.happening {
                Happening::OpportunityStageChanged { to, .. } => Ok(to.into()),
                _ => Err(super::error::unexplained(&Error::internal("an event of another kind"))),
            }
        }

        /// The action that moved it.
        async fn action(&self) -> &str {
            match &self.0.happening {
                Happening::OpportunityStageChanged { action, .. } => action,
                _ => "",
            }
        }

        /// The reason given; null where none was.
        async fn reason(&self) -> Option<&str> {
            match &self.0.happening {
                Happening::OpportunityStageChanged { reason, .. } => reason.as_deref(),
                _ => None,
            }
        }
    }

    /// Fields of an opportunity changed.
    OpportunityUpdated {
        /// The opportunity as it now is.
        async fn opportunity(&self, ctx: &Context<'_>) -> Result<Option<Opportunity>> {
            opportunity(ctx, &self.0).await
        }

        /// Which fields, and how.
        async fn changes(&self) -> Vec<FieldChange> {
            match &self.0.happening {
                Happening::OpportunityUpdated { changes: list } => changes(list),
                _ => Vec::new(),
            }
        }
    }

    /// A partnership was offered, accepted, suspended, resumed or ended.
    PartnershipChanged {
        /// The partnership as it now is.
        async fn partnership(&self, ctx: &Context<'_>) -> Result<Option<Partnership>> {
            let Some(id) = self.0.subject else { return Ok(None) };
            Ok(load(ctx, PartnershipId(id)).await?.map(Partnership))
        }

        /// Its state before; null for an invitation.
        async fn from(&self) -> Option<PartnershipState> {
            match &self.0.happening {
                Happening::PartnershipChanged { from, .. } => {
                    from.as_deref().and_then(company::PartnershipState::parse).map(Into::into)
                }
                _ => None,
            }
        }

        /// Its state since.
        async fn to(&self) -> Option<PartnershipState> {
            match &self.0.happening {
                Happening::PartnershipChanged { to, .. } => company::PartnershipState::parse(to).map(Into::into),
                _ => None,
            }
        }
    }

    /// The settings of a partnership changed.
    PartnershipSettingsChanged {
        /// The partnership as it now is.
        async fn partnership(&self, ctx: &Context<'_>) -> Result<Option<Partnership>> {
            let Some(id) = self.0.subject else { return Ok(None) };
            Ok(load(ctx, PartnershipId(id)).await?.map(Partnership))
        }

        /// Which settings, and how.
        async fn changes(&self) -> Vec<FieldChange> {
            match &self.0.happening {
                Happening::PartnershipSettingsChanged { changes: list } => changes(list),
                _ => Vec::new(),
            }
        }
    }

    /// A workflow of the viewer's company was drafted, published or retired.
    WorkflowChanged {
        /// The workflow's key.
        async fn workflow_key(&self) -> &str {
            match &self.0.happening {
                Happening::WorkflowChanged { key, .. } => key,
                _ => "",
            }
        }

        /// Its version.
        async fn workflow_version(&self) -> i32 {
            match self.0.happening {
                Happening::WorkflowChanged { version, .. } => version,
                _ => 0,
            }
        }

        /// Its state before, such as `DRAFT`; null for a new draft.
        async fn from_state(&self) -> Option<&str> {
            match &self.0.happening {
                Happening::WorkflowChanged { from, .. } => from.as_deref(),
                _ => None,
            }
        }

        /// Its state since, such as `PUBLISHED`.
        async fn to_state(&self) -> &str {
            match &self.0.happening {
                Happening::WorkflowChanged { to, .. } => to,
                _ => "",
            }
        }
    }

    /// A template was added to the viewer's company.
    LeadTemplateCreated {
        /// The template's id.
        async fn template_id(&self) -> Option<ID> {
            self.0.subject.map(|id| super::id(NodeType::LeadTemplate, id))
        }
    }

    /// A marketing list of the viewer's company was created, renamed, archived or restored.
    MarketingListChanged {
        /// The list as it now is.
        async fn list(&self, ctx: &Context<'_>) -> Result<Option<MarketingList>> {
            marketing_list(ctx, &self.0).await
        }

        /// How it changed.
        async fn list_change(&self) -> Result<MarketingListChange> {
            match &self.0.happening {
                Happening::MarketingListChanged { change, .. } => Ok((*change).into()),
                _ => Err(super::error::unexplained(&Error::internal("an event of another kind"))),
            }
        }

        /// Its name since.
        async fn name(&self) -> &str {
            match &self.0.happening {
                Happening::MarketingListChanged { name, .. } => name,
                _ => "",
            }
        }

        /// Its name before; null where it was not renamed.
        async fn name_before(&self) -> Option<&str> {
            match &self.0.happening {
                Happening::MarketingListChanged { name_before, .. } => name_before.as_deref(),
                _ => None,
            }
        }
    }

    /// A lead was put on a marketing list of the viewer's company, or taken off it.
    LeadMarketingListChanged {
        /// The list as it now is.
        async fn list(&self, ctx: &Context<'_>) -> Result<Option<MarketingList>> {
            marketing_list(ctx, &self.0).await
        }

        /// Whether the lead was put on the list; false where it was taken off.
        async fn added(&self) -> bool {
            matches!(self.0.happening, Happening::LeadMarketingListChanged { change: ListingChange::Added })
        }
    }

    /// The name or limits of a template of the viewer's company changed.
    LeadTemplateUpdated {
        /// Which fields, and how.
        async fn changes(&self) -> Vec<FieldChange> {
            match &self.0.happening {
                Happening::TemplateUpdated { changes: list } => changes(list),
                _ => Vec::new(),
            }
        }
    }
}

/// One thing that happened, as the viewer's company may read it.
#[allow(clippy::duplicated_attributes, reason = "two fields are of one type")]
#[derive(Clone, Debug, Interface)]
#[graphql(
    field(name = "id", ty = "ID", desc = "Its global id, the same in both companies' logs."),
    field(name = "cursor", ty = "String", desc = "Its place in the log of the viewer's company: opaque, for `after`."),
    field(name = "at", ty = "DateTime", desc = "When it happened."),
    field(name = "actor", ty = "Actor", desc = "Who did it."),
    field(
        name = "sequence",
        ty = "i64",
        desc = "Its place in the history of its lead as the viewer's company has it, or of the company's own events \
                where it is not about a lead: counts from 1 without gaps."
    ),
    field(
        name = "hash",
        ty = "String",
        desc = "The hash over it and the entry before it in that history, in hexadecimal. See `auditTrail`."
    ),
    field(
        name = "lead",
        ty = "Option<Lead>",
        desc = "The lead, as it now is for the viewer; null where it is not about a lead."
    )
)]
pub enum Activity {
    /// A lead was created.
    LeadCreated(LeadCreated),
    /// A lead was passed to a receiver.
    LeadShared(LeadShared),
    /// A lead moved to another stage.
    LeadStageChanged(LeadStageChanged),
    /// A lead's status changed.
    LeadStatusChanged(LeadStatusChanged),
    /// Somebody did something with a lead that moves nothing.
    LeadActionTaken(LeadActionTaken),
    /// A lead comes up for something to be done.
    LeadNotice(LeadNotice),
    /// A lead was moved to another version of its workflow.
    LeadWorkflowChanged(LeadWorkflowChanged),
    /// The settings of a partnership changed.
    PartnershipSettingsChanged(PartnershipSettingsChanged),
    /// A workflow changed.
    WorkflowChanged(WorkflowChanged),
    /// A template was added.
    LeadTemplateCreated(LeadTemplateCreated),
    /// Fields of a lead changed.
    LeadUpdated(LeadUpdated),
    /// A customer's personal data was erased.
    LeadCustomerDataErased(LeadCustomerDataErased),
    /// A lead looks like others.
    LeadDuplicatesFound(LeadDuplicatesFound),
    /// A comment was added.
    CommentAdded(CommentAdded),
    /// The text of a comment was changed.
    CommentEdited(CommentEdited),
    /// A comment was removed.
    CommentRemoved(CommentRemoved),
    /// A task changed.
    TaskChanged(TaskChanged),
    /// An opportunity was created.
    OpportunityCreated(OpportunityCreated),
    /// An opportunity moved to another stage.
    OpportunityStageChanged(OpportunityStageChanged),
    /// Fields of an opportunity changed.
    OpportunityUpdated(OpportunityUpdated),
    /// A partnership changed.
    PartnershipChanged(PartnershipChanged),
    /// A marketing list changed.
    MarketingListChanged(MarketingListChanged),
    /// A lead was put on a marketing list, or taken off it.
    LeadMarketingListChanged(LeadMarketingListChanged),
    /// A template changed.
    LeadTemplateUpdated(LeadTemplateUpdated),
    /// A lead was taken back.
    LeadWithdrawn(LeadWithdrawn),
    /// A lead's limit has passed.
    LeadExpired(LeadExpired),
    /// A lead's limit comes near.
    LeadExpiring(LeadExpiring),
    /// Another member works a lead.
    LeadOwnerChanged(LeadOwnerChanged),
    /// A lead became an opportunity that was there already.
    OpportunityLinked(OpportunityLinked),
}

impl Activity {
    pub(super) fn of(event: Arc<Event>) -> Self {
        match event.happening {
            Happening::LeadCreated {} => LeadCreated(event).into(),
            Happening::LeadShared { .. } => LeadShared(event).into(),
            Happening::LeadStageChanged { .. } => LeadStageChanged(event).into(),
            Happening::LeadStatusChanged { .. } => LeadStatusChanged(event).into(),
            Happening::LeadActionTaken { .. } => LeadActionTaken(event).into(),
            Happening::LeadNotice { .. } => LeadNotice(event).into(),
            Happening::LeadWorkflowChanged { .. } => LeadWorkflowChanged(event).into(),
            Happening::PartnershipSettingsChanged { .. } => PartnershipSettingsChanged(event).into(),
            Happening::WorkflowChanged { .. } => WorkflowChanged(event).into(),
            Happening::TemplateCreated {} => LeadTemplateCreated(event).into(),
            Happening::LeadUpdated { .. } => LeadUpdated(event).into(),
            Happening::CustomerDataErased { .. } => LeadCustomerDataErased(event).into(),
            Happening::LeadDuplicatesFound { .. } => LeadDuplicatesFound(event).into(),
            Happening::CommentAdded {} => CommentAdded(event).into(),
            Happening::CommentEdited {} => CommentEdited(event).into(),
            Happening::CommentRemoved {} => CommentRemoved(event).into(),
            Happening::TaskChanged { .. } => TaskChanged(event).into(),
            Happening::OpportunityCreated {} => OpportunityCreated(event).into(),
            Happening::OpportunityStageChanged { .. } => OpportunityStageChanged(event).into(),
            Happening::OpportunityUpdated { .. } => OpportunityUpdated(event).into(),
            Happening::PartnershipChanged { .. } => PartnershipChanged(event).into(),
            Happening::MarketingListChanged { .. } => MarketingListChanged(event).into(),
            Happening::LeadMarketingListChanged { .. } => LeadMarketingListChanged(event).into(),
            Happening::TemplateUpdated { .. } => LeadTemplateUpdated(event).into(),
            Happening::LeadWithdrawn { .. } => LeadWithdrawn(event).into(),
            Happening::LeadExpired { .. } => LeadExpired(event).into(),
            Happening::LeadExpiring { .. } => LeadExpiring(event).into(),
            Happening::LeadOwnerChanged { .. } => LeadOwnerChanged(event).into(),
            Happening::OpportunityLinked {} => OpportunityLinked(event).into(),
        }
    }
}

connection!(ActivityConnection, ActivityEdge, Activity, "activities");

/// The kinds of activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum ActivityKind {
    /// `LeadCreated`
    LeadCreated,
    /// `LeadShared`
    LeadShared,
    /// `LeadStageChanged`
    LeadStageChanged,
    /// `LeadStatusChanged`
    LeadStatusChanged,
    /// `LeadActionTaken`
    LeadActionTaken,
    /// `LeadNotice`
    LeadNotice,
    /// `LeadWorkflowChanged`
    LeadWorkflowChanged,
    /// `PartnershipSettingsChanged`
    PartnershipSettingsChanged,
    /// `WorkflowChanged`
    WorkflowChanged,
    /// `LeadTemplateCreated`
    LeadTemplateCreated,
    /// `LeadUpdated`
    LeadUpdated,
    /// `LeadCustomerDataErased`
    LeadCustomerDataErased,
    /// `LeadDuplicatesFound`
    LeadDuplicatesFound,
    /// `CommentAdded`
    CommentAdded,
    /// `CommentEdited`
    CommentEdited,
    /// `CommentRemoved`
    CommentRemoved,
    /// `TaskChanged`
    TaskChanged,
    /// `OpportunityCreated`
    OpportunityCreated,
    /// `OpportunityStageChanged`
    OpportunityStageChanged,
    /// `OpportunityUpdated`
    OpportunityUpdated,
    /// `PartnershipChanged`
    PartnershipChanged,
    /// `MarketingListChanged`
    MarketingListChanged,
    /// `LeadMarketingListChanged`
    LeadMarketingListChanged,
    /// `LeadTemplateUpdated`
    LeadTemplateUpdated,
    /// `LeadWithdrawn`
    LeadWithdrawn,
    /// `LeadExpired`
    LeadExpired,
    /// `LeadExpiring`
    LeadExpiring,
    /// `LeadOwnerChanged`
    LeadOwnerChanged,
    /// `OpportunityLinked`
    OpportunityLinked,
}

impl ActivityKind {
    const fn recorded(self) -> &'static str {
        match self {
            Self::LeadCreated => "LEAD_CREATED",
            Self::LeadShared => "LEAD_SHARED",
            Self::LeadStageChanged => "LEAD_STAGE_CHANGED",
            Self::LeadStatusChanged => "LEAD_STATUS_CHANGED",
            Self::LeadActionTaken => "LEAD_ACTION_TAKEN",
            Self::LeadNotice => "LEAD_NOTICE",
            Self::LeadWorkflowChanged => "LEAD_WORKFLOW_CHANGED",
            Self::PartnershipSettingsChanged => "PARTNERSHIP_SETTINGS_CHANGED",
            Self::WorkflowChanged => "WORKFLOW_CHANGED",
            Self::LeadTemplateCreated => "TEMPLATE_CREATED",
            Self::LeadUpdated => "LEAD_UPDATED",
            Self::LeadCustomerDataErased => "CUSTOMER_DATA_ERASED",
            Self::LeadDuplicatesFound => "LEAD_DUPLICATES_FOUND",
            Self::CommentAdded => "COMMENT_ADDED",
            Self::CommentEdited => "COMMENT_EDITED",
            Self::CommentRemoved => "COMMENT_REMOVED",
            Self::TaskChanged => "TASK_CHANGED",
            Self::OpportunityCreated => "OPPORTUNITY_CREATED",
            Self::OpportunityStageChanged => "OPPORTUNITY_STAGE_CHANGED",
            Self::OpportunityUpdated => "OPPORTUNITY_UPDATED",
            Self::PartnershipChanged => "PARTNERSHIP_CHANGED",
            Self::MarketingListChanged => "MARKETING_LIST_CHANGED",
            Self::LeadMarketingListChanged => "LEAD_MARKETING_LIST_CHANGED",
            Self::LeadTemplateUpdated => "TEMPLATE_UPDATED",
            Self::LeadWithdrawn => "LEAD_WITHDRAWN",
            Self::LeadExpired => "LEAD_EXPIRED",
            Self::LeadExpiring => "LEAD_EXPIRING",
            Self::LeadOwnerChanged => "LEAD_OWNER_CHANGED",
            Self::OpportunityLinked => "OPPORTUNITY_LINKED",
        }
    }
}

/// Which activity to list. What is absent does not matter, and so what is null, unless it says
/// otherwise; all that is given has to hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ActivityFilter {
    /// About this lead; null: about none.
    pub lead_id: MaybeUndefined<ID>,
    /// Of one of these kinds.
    pub kind: Option<Vec<ActivityKind>>,
    /// Done by this member; null: by the system.
    pub actor_id: MaybeUndefined<ID>,
    /// At this time or later.
    pub since: Option<DateTime>,
    /// Before this time.
    pub until: Option<DateTime>,
}

impl ActivityFilter {
    pub(super) fn of_lead(lead: LeadId) -> Self {
        Self { lead_id: MaybeUndefined::Value(super::id(NodeType::Lead, lead.0)), ..Self::default() }
    }
}

pub(super) async fn page(
    ctx: &Context<'_>,
    filter: ActivityFilter,
    request: PageRequest,
) -> Result<ActivityConnection> {
    let filter = activity::ActivityFilter {
        lead: id_or_none(ctx, filter.lead_id, NodeType::Lead, "filter.leadId")?,
        kinds: filter.kind.map(|kinds| kinds.into_iter().map(ActivityKind::recorded).collect()),
        actor: id_or_none(ctx, filter.actor_id, NodeType::Member, "filter.actorId")?,
        since: filter.since.map(|at| at.0),
        until: filter.until.map(|at| at.0),
    };
    let page = service(ctx).activity(member(ctx)?, filter, request).await.reply(ctx)?;
    Ok(connect!(page, ActivityConnection, ActivityEdge, |event| Activity::of(Arc::new(event))))
}
