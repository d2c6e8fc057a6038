//! The Node interface: anything with a global id.

use std::sync::Arc;

use async_graphql::{Context, ID, Interface, Result};

use super::{
    activity::{
        Activity, CommentAdded, CommentEdited, CommentRemoved, LeadActionTaken, LeadCreated, LeadCustomerDataErased,
        LeadDuplicatesFound, LeadExpired, LeadExpiring, LeadMarketingListChanged, LeadNotice, LeadOwnerChanged,
        LeadShared, LeadStageChanged, LeadStatusChanged, LeadTemplateCreated, LeadTemplateUpdated, LeadUpdated,
        LeadWithdrawn, LeadWorkflowChanged, MarketingListChanged, OpportunityCreated, OpportunityLinked,
        OpportunityStageChanged, OpportunityUpdated, PartnershipChanged, PartnershipSettingsChanged, TaskChanged,
        WorkflowChanged,
    },
    comment::Comment,
    company::{Company, Member, Partnership},
    error::{Reply, written},
    lead::Lead,
    load,
    marketing_list::MarketingList,
    member,
    opportunity::Opportunity,
    service,
    task::Task,
    template::LeadTemplate,
    workflow::Workflow,
};
use crate::{
    domain::{
        global_id::{self, NodeType},
        id::{
            CommentId, CompanyId, LeadId, MarketingListId, MemberId, OpportunityId, PartnershipId, TaskId, TemplateId,
            WorkflowId,
        },
    },
    error::Fault,
};

/// Anything with a global id.
#[derive(Clone, Debug, Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Its global id: opaque, and unique over all types."))]
pub enum Node {
    /// A company.
    Company(Company),
    /// A person or machine of a company.
    Member(Member),
    /// Two companies that agreed to share leads.
    Partnership(Partnership),
    /// A customer's need.
    Lead(Lead),
    /// The deal that a lead became.
    Opportunity(Opportunity),
    /// An entry of a lead's thread.
    Comment(Comment),
    /// Something to do on a lead.
    Task(Task),
    /// What a new lead starts from.
    LeadTemplate(LeadTemplate),
    /// A company's own list of leads.
    MarketingList(MarketingList),
    /// One thing that happened.
    Activity(Activity),
    /// `LeadCreated`, which is an Activity and so a Node too.
    LeadCreated(LeadCreated),
    /// `LeadShared`, which is an Activity and so a Node too.
    LeadShared(LeadShared),
    /// `LeadStageChanged`, which is an Activity and so a Node too.
    LeadStageChanged(LeadStageChanged),
    /// A version of a workflow.
    Workflow(Workflow),
    /// `LeadStatusChanged`, which is an Activity and so a Node too.
    LeadStatusChanged(LeadStatusChanged),
    /// `LeadActionTaken`, which is an Activity and so a Node too.
    LeadActionTaken(LeadActionTaken),
    /// `LeadNotice`, which is an Activity and so a Node too.
    LeadNotice(LeadNotice),
    /// `LeadWorkflowChanged`, which is an Activity and so a Node too.
    LeadWorkflowChanged(LeadWorkflowChanged),
    /// `PartnershipSettingsChanged`, which is an Activity and so a Node too.
    PartnershipSettingsChanged(PartnershipSettingsChanged),
    /// `WorkflowChanged`, which is an Activity and so a Node too.
    WorkflowChanged(WorkflowChanged),
    /// `LeadTemplateCreated`, which is an Activity and so a Node too.
    LeadTemplateCreated(LeadTemplateCreated),
    /// `LeadUpdated`, which is an Activity and so a Node too.
    LeadUpdated(LeadUpdated),
    /// `LeadDuplicatesFound`, which is an Activity and so a Node too.
    LeadDuplicatesFound(LeadDuplicatesFound),
    /// `LeadCustomerDataErased`, which is an Activity and so a Node too.
    LeadCustomerDataErased(LeadCustomerDataErased),
    /// `CommentAdded`, which is an Activity and so a Node too.
    CommentAdded(CommentAdded),
    /// `CommentEdited`, which is an Activity and so a Node too.
    CommentEdited(CommentEdited),
    /// `CommentRemoved`, which is an Activity and so a Node too.
    CommentRemoved(CommentRemoved),
    /// `TaskChanged`, which is an Activity and so a Node too.
    TaskChanged(TaskChanged),
    /// `OpportunityCreated`, which is an Activity and so a Node too.
    OpportunityCreated(OpportunityCreated),
    /// `OpportunityStageChanged`, which is an Activity and so a Node too.
    OpportunityStageChanged(OpportunityStageChanged),
    /// `OpportunityUpdated`, which is an Activity and so a Node too.
    OpportunityUpdated(OpportunityUpdated),
    /// `PartnershipChanged`, which is an Activity and so a Node too.
    PartnershipChanged(PartnershipChanged),
    /// `MarketingListChanged`, which is an Activity and so a Node too.
    MarketingListChanged(MarketingListChanged),
    /// `LeadMarketingListChanged`, which is an Activity and so a Node too.
    LeadMarketingListChanged(LeadMarketingListChanged),
    /// `LeadTemplateUpdated`, which is an Activity and so a Node too.
    LeadTemplateUpdated(LeadTemplateUpdated),
    /// `LeadWithdrawn`, which is an Activity and so a Node too.
    LeadWithdrawn(LeadWithdrawn),
    /// `LeadExpired`, which is an Activity and so a Node too.
    LeadExpired(LeadExpired),
    /// `LeadExpiring`, which is an Activity and so a Node too.
    LeadExpiring(LeadExpiring),
    /// `LeadOwnerChanged`, which is an Activity and so a Node too.
    LeadOwnerChanged(LeadOwnerChanged),
    /// `OpportunityLinked`, which is an Activity and so a Node too.
    OpportunityLinked(OpportunityLinked),
}

/// The thing of that id, where the viewer may know of it.
pub(super) async fn find(ctx: &Context<'_>, id: &ID, field: &str) -> Result<Option<Node>> {
    let viewer = member(ctx)?;
    let Some((kind, id)) = global_id::decode(id) else {
        return Err(written(&Fault::invalid(field, "This is not an id as the server gave it.")));
    };
    let service = service(ctx);
    Ok(match kind {
        NodeType::Company => {
            let visible = service.is_visible_company(viewer, CompanyId(id)).await.reply(ctx)?;
            visible.then(|| Company(CompanyId(id)).into())
        }
        NodeType::Member => {
            service.profile(viewer, MemberId(id)).await.reply(ctx)?.map(|profile| Member(profile).into())
        }
        NodeType::Partnership => load(ctx, PartnershipId(id)).await?.map(|found| Partnership(found).into()),
        NodeType::Lead => load(ctx, LeadId(id)).await?.map(|found| Lead::new(found).into()),
        NodeType::Opportunity => load(ctx, OpportunityId(id)).await?.map(|found| Opportunity::new(found).into()),
        NodeType::Comment => load(ctx, CommentId(id)).await?.map(|found| Comment::new(found).into()),
        NodeType::Task => load(ctx, TaskId(id)).await?.map(|found| Task::new(found).into()),
        NodeType::MarketingList => load(ctx, MarketingListId(id)).await?.map(|found| MarketingList::new(found).into()),
        NodeType::LeadTemplate => {
            let own = load(ctx, TemplateId(id)).await?.filter(|found| found.company == viewer.company);
            own.map(|found| LeadTemplate(found).into())
        }
        NodeType::Workflow => {
            service.workflow(viewer, WorkflowId(id)).await.reply(ctx)?.map(|found| Workflow(found).into())
        }
        NodeType::Activity => {
            let event = service.event(viewer, id.into()).await.reply(ctx)?;
            event.map(|event| Activity::of(Arc::new(event)).into())
        }
    })
}
