//! What can be followed live.

use std::sync::Arc;

use async_graphql::{Context, ID, Result, Subscription};
use futures_util::{Stream, StreamExt};

use super::{
    activity::Activity,
    comment::Comment,
    error::{Reply, written},
    lead::Lead,
    load, member, parse_id,
    task::Task,
};
use crate::{
    domain::{
        event::{Event, Happening},
        global_id::NodeType,
        id::{CommentId, LeadId, TaskId},
        page::given,
    },
    error::{ErrorCode, Fault},
    feed::{Course, Feed, Start},
};

/// What can be followed live. A subscription starts now; where it takes `after` and is given it, it first brings what
/// came since.
#[derive(Debug)]
pub struct Subscription;

/// The lead to follow, where the viewer is a party to it.
async fn lead_of(ctx: &Context<'_>, id: Option<&ID>) -> Result<Option<LeadId>> {
    member(ctx)?;
    let Some(id) = id else { return Ok(None) };
    let id = LeadId(parse_id(ctx, id, NodeType::Lead, "leadId")?);
    match load(ctx, id).await? {
        Some(_) => Ok(Some(id)),
        None => Err(written(&Fault::new(ErrorCode::NotFound, "There is no such lead.").at("leadId"))),
    }
}

/// The events of the viewer's company's log that are about the lead, or all.
async fn follow<'c>(
    ctx: &Context<'c>,
    lead: Option<LeadId>,
    after: Option<String>,
) -> Result<impl Stream<Item = Arc<Event>> + Send + use<'c>> {
    let member = member(ctx)?;
    let feed = ctx.data_unchecked::<Arc<Feed>>();
    let course = ctx.data_opt::<Arc<Course>>().cloned().unwrap_or_default();
    let after = match given(after) {
        Some(cursor) if course.start() == Start::AsAsked => {
            Some(feed.position_after(member, lead, &cursor).await.reply(ctx)?)
        }
        _ => None,
    };
    feed.follow(member.company, lead, after, course).await.reply(ctx)
}

/// What can be followed live. A subscription starts now; where it takes `after` and is given it, it first brings what
/// came since.
#[Subscription]
impl Subscription {
    /// The viewer's company's feed, or one lead's.
    async fn activity<'c>(
        &self,
        ctx: &Context<'c>,
        #[graphql(desc = "Only what is about this lead.")] lead_id: Option<ID>,
        #[graphql(desc = "First what came after this cursor of an activity.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<Activity>> + use<'c>> {
        let lead = lead_of(ctx, lead_id.as_ref()).await?;
        let events = follow(ctx, lead, after).await?;
        Ok(events.map(|event| Ok(Activity::of(event))))
    }

    /// The lead as it now is, after each change of its stage, status or fields, or of the opportunity that it became.
    async fn lead_changed<'c>(
        &self,
        ctx: &'c Context<'c>,
        #[graphql(desc = "Only this lead; all of the viewer's company where absent.")] lead_id: Option<ID>,
    ) -> Result<impl Stream<Item = Result<Lead>> + use<'c>> {
        let lead = lead_of(ctx, lead_id.as_ref()).await?;
        let events = follow(ctx, lead, None).await?;
        Ok(events.filter_map(async move |event| {
            let id = event.lead.filter(|_| event.happening.changes_lead())?;
            load(ctx, id).await.map(|found| found.map(Lead::new)).transpose()
        }))
    }

    /// The comments on a lead as they are added.
    async fn comment_added<'c>(
        &self,
        ctx: &'c Context<'c>,
        #[graphql(desc = "The lead.")] lead_id: ID,
        #[graphql(desc = "First what came after this cursor: of an activity, or of a comment of the lead.")]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<Comment>> + use<'c>> {
        let lead = lead_of(ctx, Some(&lead_id)).await?;
        let events = follow(ctx, lead, after).await?;
        Ok(events.filter_map(async move |event| {
            let id = event.subject.filter(|_| matches!(event.happening, Happening::CommentAdded {})).map(CommentId)?;
            load(ctx, id).await.map(|found| found.map(Comment::new)).transpose()
        }))
    }

    /// The tasks of a lead, or of all, as they are set and changed.
    async fn task_changed<'c>(
        &self,
        ctx: &'c Context<'c>,
        #[graphql(desc = "Only this lead's; all of the viewer's company where absent.")] lead_id: Option<ID>,
    ) -> Result<impl Stream<Item = Result<Task>> + use<'c>> {
        let lead = lead_of(ctx, lead_id.as_ref()).await?;
        let events = follow(ctx, lead, None).await?;
        Ok(events.filter_map(async move |event| {
            let id = event.subject.filter(|_| matches!(event.happening, Happening::TaskChanged { .. })).map(TaskId)?;
            load(ctx, id).await.map(|found| found.map(Task::new)).transpose()
        }))
    }
}
