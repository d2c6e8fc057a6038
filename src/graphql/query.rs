//! What can be read.

#![allow(clippy::too_many_arguments, reason = "a field has the arguments that its clients need")]

use async_graphql::{Context, ID, MaybeUndefined, Object, Result};

use super::{
    activity::{self, ActivityConnection, ActivityFilter},
    audit::{self, AuditRecordConnection},
    board::{self, LeadBoard},
    company::{
        Member, MemberConnection, MemberEdge, Partnership, PartnershipConnection, PartnershipEdge, Track, patch,
        profile,
    },
    error::{Reply, written},
    lead::{Lead, LeadConnection, LeadFilter, LeadOrder, OrderDirection, lead_at_hand, leads_at_hand},
    load,
    marketing_list::{MarketingList, MarketingListConnection, MarketingListFilter},
    member,
    node::{self, Node},
    opportunity::{Opportunity, OpportunityConnection, OpportunityEdge, OpportunityFilter},
    page::{connect, request},
    parse_id,
    scalars::Json,
    service,
    task::{Task, TaskConnection, TaskFilter},
    template::LeadTemplate,
    workflow::{self, Workflow, WorkflowFault},
};
use crate::{
    domain::{
        global_id::NodeType,
        id::{LeadId, MarketingListId, OpportunityId},
        patch::Patch,
        template,
        text::{Rules, invalid, words},
        workflow::definition::Subject,
    },
    error::{ErrorCode, Fault},
    store,
};

/// The longest text to search for, in characters.
const SEARCH_MAX: usize = 100;
/// The most words of it.
const WORDS_MAX: usize = 10;
/// The most ids of one `nodes` call.
const NODES_MAX: usize = 100;

/// What can be read. Everything is bound to the company of the viewer's token.
#[derive(Debug)]
pub struct Query;

fn missing(what: &str, field: &str) -> async_graphql::Error {
    written(&Fault::new(ErrorCode::NotFound, format!("There is no such {what}.")).at(field))
}

/// What a filter's id asks for; null is to be none.
pub(super) fn id_or_none<T: From<uuid::Uuid>>(
    ctx: &Context<'_>,
    id: MaybeUndefined<ID>,
    kind: NodeType,
    field: &str,
) -> Result<Patch<T>> {
    Ok(match patch(id) {
        Patch::Absent => Patch::Absent,
        Patch::Null => Patch::Null,
        Patch::Value(id) => Patch::Value(parse_id(ctx, &id, kind, field)?.into()),
    })
}

fn optional_id(ctx: &Context<'_>, id: Option<&ID>, kind: NodeType, field: &str) -> Result<Option<uuid::Uuid>> {
    id.map(|id| parse_id(ctx, id, kind, field)).transpose()
}

/// What can be read. Everything is bound to the company of the viewer's token.
#[Object]
impl Query {
    /// The thing of that global id; `NOT_FOUND` where there is none that the viewer may know of.
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "The global id.")] id: ID) -> Result<Option<Node>> {
        node::find(ctx, &id, "id").await?.map_or_else(|| Err(missing("thing", "id")), |found| Ok(Some(found)))
    }

    /// The things of those global ids, in their order; null for what the viewer may not know of. At most 100.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The global ids.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        member(ctx)?;
        if ids.len() > NODES_MAX {
            let message = format!("At most {NODES_MAX} ids; there are {}.", ids.len());
            return Err(written(&Fault::invalid("ids", message)));
        }
        let found = ids.iter().enumerate().map(async |(place, id)| node::find(ctx, id, &format!("ids.{place}")).await);
        futures_util::future::try_join_all(found).await
    }

    /// The member that asks.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Member> {
        profile(ctx, member(ctx)?.id).await
    }

    /// The lead of that id; `NOT_FOUND` where there is none that the viewer's company is a party to.
    async fn lead(&self, ctx: &Context<'_>, #[graphql(desc = "The lead's id.")] id: ID) -> Result<Option<Lead>> {
        let id = LeadId(parse_id(ctx, &id, NodeType::Lead, "id")?);
        let lead = service(ctx).lead(member(ctx)?, id).await.reply(ctx)?;
        let lead = lead.ok_or_else(|| missing("lead", "id"))?;
        lead_at_hand(ctx, lead, &ctx.look_ahead()).await.map(Some)
    }

    /// The leads of the viewer's company, on either side. Those in the archive and those deactivated are left out
    /// unless the filter asks for them.
    async fn leads(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which ones.")] filter: Option<LeadFilter>,
        #[graphql(desc = "In which order; the newest first where absent.")] order_by: Option<LeadOrder>,
    ) -> Result<LeadConnection> {
        let member = member(ctx)?;
        let filter = lead_filter(ctx, filter.unwrap_or_default(), false).await?;
        let sort = order_by.map_or(store::lead::LeadSort::Created, |order| order.field.into());
        let descending = order_by.is_none_or(|order| order.direction == OrderDirection::Desc);
        let request = request(first, after, last, before);
        let page = service(ctx).leads(member, &filter, sort, descending, request).await.reply(ctx)?;
        leads_at_hand(ctx, page, &ctx.look_ahead().field("edges").field("node")).await
    }

    /// The leads of the viewer's company on a workflow, on either side and in whichever version, by the stage that they
    /// stand at now: how many, and the first of each. Those in the archive stand at theirs unless the filter says
    /// otherwise; those deactivated are left out unless it asks for them.
    async fn lead_board(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key of a template of the viewer's company, whose workflow is meant; the company's \
                          default where neither this nor templateId is given.")]
        template_key: Option<String>,
        #[graphql(desc = "The same by id; also the other side's template of a lead that the viewer's company sees.")]
        template_id: Option<ID>,
        #[graphql(
            desc = "The track whose stages are the columns; INVALID_INPUT where the workflow does not have it.",
            default_with = "Track::Stage"
        )]
        track: Track,
        #[graphql(desc = "Which leads.")] filter: Option<LeadFilter>,
        #[graphql(desc = "In which order within a column; the newest first where absent.")] order_by: Option<LeadOrder>,
        #[graphql(desc = "The first so many of each column, 0 to 100; 20 where absent.")] first: Option<i32>,
    ) -> Result<LeadBoard> {
        let filter = lead_filter(ctx, filter.unwrap_or_default(), true).await?;
        board::board(ctx, board::Asked { template_key, template_id, track, order_by, first }, filter).await
    }

    /// The opportunity of that id; `NOT_FOUND` where there is none that the viewer may know of.
    async fn opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The opportunity's id.")] id: ID,
    ) -> Result<Option<Opportunity>> {
        let id = OpportunityId(parse_id(ctx, &id, NodeType::Opportunity, "id")?);
        let found = load(ctx, id).await?;
        found.map_or_else(|| Err(missing("opportunity", "id")), |found| Ok(Some(Opportunity::new(found))))
    }

    /// The opportunities that the viewer may read, the newest first: its company's own, and those of leads it sourced.
    async fn opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which ones.")] filter: Option<OpportunityFilter>,
    ) -> Result<OpportunityConnection> {
        let member = member(ctx)?;
        let filter = filter.unwrap_or_default();
        let filter = store::opportunity::OpportunityFilter {
            stages: filter.stage,
            kinds: filter.stage_kind.map(|kinds| kinds.into_iter().map(Into::into).collect()),
            responsible: id_or_none(ctx, filter.responsible_id, NodeType::Member, "filter.responsibleId")?,
            lead: id_or_none(ctx, filter.lead_id, NodeType::Lead, "filter.leadId")?,
        };
        let request = request(first, after, last, before);
        let page = service(ctx).opportunities(member, &filter, request).await.reply(ctx)?;
        Ok(connect!(page, OpportunityConnection, OpportunityEdge, Opportunity::new))
    }

    /// The partnerships of the viewer's company, in the order of their invitation.
    async fn partnerships(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
    ) -> Result<PartnershipConnection> {
        let request = request(first, after, last, before);
        let page = service(ctx).partnerships(member(ctx)?, request).await.reply(ctx)?;
        Ok(connect!(page, PartnershipConnection, PartnershipEdge, Partnership))
    }

    /// The members of the viewer's company, in the order in which they were first seen.
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
    ) -> Result<MemberConnection> {
        let request = request(first, after, last, before);
        let page = service(ctx).members(member(ctx)?, request).await.reply(ctx)?;
        Ok(connect!(page, MemberConnection, MemberEdge, Member))
    }

    /// The tasks that the viewer may read, on all leads, the newest first.
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which ones.")] filter: Option<TaskFilter>,
    ) -> Result<TaskConnection> {
        let member = member(ctx)?;
        let filter = filter.unwrap_or_default();
        let filter = store::thread::TaskFilter {
            lead: optional_id(ctx, filter.lead_id.as_ref(), NodeType::Lead, "filter.leadId")?.map(Into::into),
            states: filter.state.map(|states| states.into_iter().map(Into::into).collect()),
            assignee: id_or_none(ctx, filter.assignee_id, NodeType::Member, "filter.assigneeId")?,
            assigned_to: filter.assigned_to_us.map(|own| (member.company, own)),
            due_before: filter.due_before.map(|at| at.0),
        };
        let page = service(ctx).tasks(member, &filter, request(first, after, last, before)).await.reply(ctx)?;
        Ok(Task::connection(page, None))
    }

    /// What happened, as the viewer's company may read it, the newest first.
    async fn activity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor, which happened before it.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor, which happened after it.")] before: Option<String>,
        #[graphql(desc = "Which ones.")] filter: Option<ActivityFilter>,
    ) -> Result<ActivityConnection> {
        activity::page(ctx, filter.unwrap_or_default(), request(first, after, last, before)).await
    }

    /// One history of the viewer's company, the oldest entry first: the lead's events as the company knows them, or,
    /// without a lead, the company's own events. Each entry carries a hash over itself and the entry before it, so that
    /// a copy of the records can be checked by itself, with `cosell audit verify` or with a program of one's own.
    /// `NOT_FOUND` where there is no such lead that the viewer's company is or was a party to.
    async fn audit_trail(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The lead; the company's own events where absent.")] lead_id: Option<ID>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; that of an activity is one too.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; that of an activity is one too.")] before: Option<String>,
    ) -> Result<AuditRecordConnection> {
        audit::page(ctx, lead_id, request(first, after, last, before)).await
    }

    /// The marketing list of that id; `NOT_FOUND` where the viewer's company has none.
    async fn marketing_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The list's id.")] id: ID,
    ) -> Result<Option<MarketingList>> {
        let id = MarketingListId(parse_id(ctx, &id, NodeType::MarketingList, "id")?);
        let found = load(ctx, id).await?;
        found.map_or_else(|| Err(missing("marketing list", "id")), |found| Ok(Some(MarketingList::new(found))))
    }

    /// The marketing lists of the viewer's company, the newest first. Those in the archive are left out unless the
    /// filter asks for them.
    async fn marketing_lists(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which ones.")] filter: Option<MarketingListFilter>,
    ) -> Result<MarketingListConnection> {
        let archived = filter.unwrap_or_default().archived.unwrap_or(false);
        let request = request(first, after, last, before);
        let page = service(ctx).marketing_lists(member(ctx)?, archived, request).await.reply(ctx)?;
        Ok(MarketingList::connection(page))
    }

    /// The templates that leads of the viewer's company start from.
    async fn lead_templates(&self, ctx: &Context<'_>) -> Result<Vec<LeadTemplate>> {
        let found = service(ctx).templates(member(ctx)?).await.reply(ctx)?;
        Ok(found.into_iter().filter(|template| template.subject == Subject::Lead).map(LeadTemplate).collect())
    }

    /// The templates that opportunities of the viewer's company start from.
    async fn opportunity_templates(&self, ctx: &Context<'_>) -> Result<Vec<LeadTemplate>> {
        let found = service(ctx).templates(member(ctx)?).await.reply(ctx)?;
        let of_opportunities = |template: &template::Template| template.subject == Subject::Opportunity;
        Ok(found.into_iter().filter(of_opportunities).map(LeadTemplate).collect())
    }

    /// The workflows that the viewer's company can use: those that are shipped, then the versions of its own by key, the
    /// newest first. A company keeps at most 500 versions.
    async fn workflows(&self, ctx: &Context<'_>) -> Result<Vec<Workflow>> {
        workflow::query::all(ctx).await
    }

    /// The version of a workflow of that id; `NOT_FOUND` where there is none that the viewer's company can use.
    async fn workflow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the version.")] id: ID,
    ) -> Result<Option<Workflow>> {
        workflow::query::one(ctx, &id, "id").await.map(Some)
    }

    /// Every fault of a definition of a workflow, each with its place; empty for one that is sound. Nothing is kept.
    async fn check_workflow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The definition, in the format of `docs/workflow.schema.json`.")] definition: Json,
    ) -> Result<Vec<WorkflowFault>> {
        workflow::query::check(ctx, &definition)
    }

    /// A workflow as a Mermaid diagram: exactly one of id and definition.
    async fn workflow_diagram(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of a version that the viewer's company can use.")] id: Option<ID>,
        #[graphql(desc = "A definition that need not be kept.")] definition: Option<Json>,
    ) -> Result<String> {
        workflow::query::draw(ctx, id, definition).await
    }
}

/// Which leads; `by_stage` where the place that asks does so stage by stage.
async fn lead_filter(ctx: &Context<'_>, filter: LeadFilter, by_stage: bool) -> Result<store::lead::LeadFilter> {
    let viewer = member(ctx)?;
    let by_stage = by_stage || filter.stage.is_some() || filter.stage_kind.is_some() || filter.status.is_value();
    let words = words_of(filter.text.as_deref())?;
    let template = filter.template_id.as_ref();
    let workflow_of = filter.workflow_of_template_id.as_ref();
    let workflow_of = optional_id(ctx, workflow_of, NodeType::LeadTemplate, "filter.workflowOfTemplateId")?;
    let workflows = match workflow_of {
        Some(id) => Some(service(ctx).workflow_of_template(viewer, id.into()).await.reply(ctx)?.into_iter().collect()),
        None => None,
    };
    Ok(store::lead::LeadFilter {
        stages: filter.stage,
        kinds: filter.stage_kind.map(|kinds| kinds.into_iter().map(Into::into).collect()),
        statuses: patch(filter.status),
        side: filter.side.map(Into::into),
        owner: id_or_none(ctx, filter.owner_id, NodeType::Member, "filter.ownerId")?,
        template: optional_id(ctx, template, NodeType::LeadTemplate, "filter.templateId")?.map(Into::into),
        workflows,
        partnership: id_or_none(ctx, filter.partnership_id, NodeType::Partnership, "filter.partnershipId")?,
        archived: filter.archived.or((!by_stage).then_some(false)),
        active: filter.active.or(Some(true)),
        expiring_before: filter.expiring_before.map(|at| at.0),
        words,
    })
}

/// The words to search for; none where the text is blank.
fn words_of(text: Option<&str>) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let text = Rules::line(SEARCH_MAX).optional(text, "filter.text", &mut faults);
    let words = text.as_deref().map(words).unwrap_or_default();
    if words.len() > WORDS_MAX {
        let message = format!("must have at most {WORDS_MAX} words; it has {}", words.len());
        faults.push(invalid("filter.text", &message));
    }
    faults.first().map_or(Ok(words), |fault| Err(written(fault)))
}
