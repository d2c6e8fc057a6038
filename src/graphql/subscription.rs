//! What can be followed live.

use std::{future::ready, sync::Arc};

use async_graphql::{Context, ID, Result, Subscription};
use futures_util::{Stream, StreamExt};

use super::{
    activity::Activity,
    comment::Comment,
    error::{Reply, refused, written},
    lead::Lead,
    load, member, parse_id, service,
    task::Task,
};
use crate::{
    domain::{
        event::{Event, Happening},
        global_id::NodeType,
        id::{CommentId, LeadId, TaskId},
    },
    error::{ErrorCode, Fault},
    feed::{Feed, Started},
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
) -> Result<impl Stream<Item = Result<Arc<Event>>> + Send + use<'c>> {
    let member = member(ctx)?;
    let after = match after {
        Some(cursor) => Some(service(ctx).position_at(member, lead, &cursor).await.reply(ctx)?),
        None => None,
    };
    let events = ctx.data_unchecked::<Arc<Feed>>().follow(member.company, after).await.reply(ctx)?;
    if let Some(started) = ctx.data_opt::<Started>() {
        started.tell();
    }
    Ok(events.filter_map(move |event| {
        ready(match event {
            Ok(event) if lead.is_none_or(|lead| event.lead == Some(lead)) => Some(Ok(event)),
            Ok(_) => None,
            Err(error) => Some(Err(refused(&error))),
        })
    }))
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
        Ok(events.map(|event| event.map(Activity::of)))
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
            let id = match event {
                Ok(event) => event.lead.filter(|_| event.happening.changes_lead())?,
                Err(error) => return Some(Err(error)),
            };
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
            let id = match event {
                Ok(event) if matches!(event.happening, Happening::CommentAdded {}) => CommentId(event.subject?),
                Ok(_) => return None,
                Err(error) => return Some(Err(error)),
            };
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
            let id = match event {
                Ok(event) if matches!(event.happening, Happening::TaskChanged { .. }) => TaskId(event.subject?),
                Ok(_) => return None,
                Err(error) => return Some(Err(error)),
            };
            load(ctx, id).await.map(|found| found.map(Task::new)).transpose()
        }))
    }
}
