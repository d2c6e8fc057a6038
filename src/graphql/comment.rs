//! Comments.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, Result, SimpleObject};

use super::{
    company::{Member, profile},
    direct::Direct,
    error::Reply,
    lead::Lead,
    load, member,
    page::{connect, connection},
    parse_id,
    scalars::DateTime,
    service,
};
use crate::{
    domain::{
        comment,
        company::Profile,
        global_id::NodeType,
        id::{CommentId, LeadId},
        page::Page,
    },
    error::Error,
    service::comment::NewComment,
};

/// Who may read a comment or a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "comment::Visibility")]
pub enum Visibility {
    /// Both sides of the lead.
    Shared,
    /// The author's company alone.
    Internal,
}

/// An entry of a lead's thread.
#[derive(Clone, Debug)]
pub struct Comment {
    comment: comment::Comment,
    author: Option<Profile>,
}

impl Comment {
    pub(super) fn new(comment: comment::Comment) -> Self {
        Self { comment, author: None }
    }

    pub(super) fn connection(page: Page<(comment::Comment, Profile)>, lead: LeadId) -> CommentConnection {
        let with_author = |(comment, author)| Self { comment, author: Some(author) };
        connect!(page, CommentConnection, CommentEdge, with_author, lead: lead)
    }
}

/// An entry of a lead's thread.
#[Object(serial)]
impl Comment {
    /// Its global id.
    pub async fn id(&self) -> ID {
        super::id(NodeType::Comment, self.comment.id.0)
    }

    /// The lead.
    async fn lead(&self, ctx: &Context<'_>) -> Result<Lead> {
        let found = load(ctx, self.comment.lead).await?;
        found.map(Lead::new).ok_or_else(|| Error::internal("a comment without its lead")).reply(ctx)
    }

    /// Who wrote it.
    async fn author(&self, ctx: &Context<'_>) -> Result<Direct<Member>> {
        match &self.author {
            Some(author) => Ok(Direct(Member(author.clone()))),
            None => profile(ctx, self.comment.author).await.map(Direct),
        }
    }

    /// The text.
    async fn body(&self) -> &str {
        &self.comment.body
    }

    /// Who may read it.
    async fn visibility(&self) -> Visibility {
        self.comment.visibility.into()
    }

    /// The comment that it answers; null for none, or for one that was removed.
    async fn in_reply_to(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
        let Some(id) = self.comment.in_reply_to else { return Ok(None) };
        Ok(load(ctx, id).await?.map(Self::new))
    }

    /// When it was written.
    async fn created_at(&self) -> DateTime {
        DateTime(self.comment.created_at)
    }

    /// When its text was last changed; null where it never was.
    async fn edited_at(&self) -> Option<DateTime> {
        self.comment.edited_at.map(DateTime)
    }

    /// Counts its changes, from 1: what `expectedVersion` is compared with.
    async fn version(&self) -> i32 {
        self.comment.version
    }
}

connection!(CommentConnection, CommentEdge, Comment, "comments", complex {
    #[graphql(skip)]
    pub(super) lead: LeadId,
});

#[ComplexObject]
impl CommentConnection {
    /// How many comments the thread has that the viewer may read.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i32> {
        let count = service(ctx).count_comments(member(ctx)?, self.lead).await.reply(ctx)?;
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }
}

/// What to say, and on which lead.
#[derive(Clone, Debug, InputObject)]
pub struct AddCommentInput {
    /// The lead.
    pub lead_id: ID,
    /// The text; at most 10,000 characters.
    pub body: String,
    /// Who may read it; SHARED where absent.
    pub visibility: Option<Visibility>,
    /// The comment of the same lead that it answers.
    pub in_reply_to_id: Option<ID>,
    /// Makes a repetition of this call safe: the same key with the same content gives the same comment.
    pub idempotency_key: Option<String>,
}

/// What `addComment` gives: the comment that was added.
#[derive(SimpleObject)]
pub struct AddCommentPayload {
    /// The comment.
    pub comment: Comment,
}

/// How to change the text of a comment.
#[derive(Clone, Debug, InputObject)]
pub struct EditCommentInput {
    /// The comment, which the viewer wrote.
    pub comment_id: ID,
    /// The new text.
    pub body: String,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `editComment` gives: the comment with its new text.
#[derive(SimpleObject)]
pub struct EditCommentPayload {
    /// The comment as it now is.
    pub comment: Comment,
}

/// Which comment to remove.
#[derive(Clone, Debug, InputObject)]
pub struct RemoveCommentInput {
    /// The comment, which the viewer wrote.
    pub comment_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `removeComment` gives: the lead, without the comment.
#[derive(SimpleObject)]
pub struct RemoveCommentPayload {
    /// The lead that the comment was on.
    pub lead: Lead,
}

/// Comments: mutations.
#[derive(Default, Debug)]
pub struct CommentMutation;

/// Comments: mutations.
#[Object]
impl CommentMutation {
    /// Adds a comment to a lead's thread. Roles: ADMIN, SALES, MARKETEER, MANAGER.
    async fn add_comment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to say, and where.")] input: AddCommentInput,
    ) -> Result<Option<AddCommentPayload>> {
        let lead = LeadId(parse_id(ctx, &input.lead_id, NodeType::Lead, "input.leadId")?);
        let new = NewComment {
            body: input.body,
            visibility: input.visibility.unwrap_or(Visibility::Shared).into(),
            in_reply_to_id: input.in_reply_to_id.map(|id| id.0),
            idempotency_key: input.idempotency_key,
        };
        let comment = service(ctx).add_comment(member(ctx)?, lead, &new).await.reply(ctx)?;
        Ok(Some(AddCommentPayload { comment: Comment::new(comment) }))
    }

    /// Changes the text of a comment. Its author alone may.
    async fn edit_comment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which comment, and its new text.")] input: EditCommentInput,
    ) -> Result<Option<EditCommentPayload>> {
        let id = CommentId(parse_id(ctx, &input.comment_id, NodeType::Comment, "input.commentId")?);
        let comment =
            service(ctx).edit_comment(member(ctx)?, id, &input.body, input.expected_version).await.reply(ctx)?;
        Ok(Some(EditCommentPayload { comment: Comment::new(comment) }))
    }

    /// Removes a comment: the activity keeps that it was there, not what it said. Its author alone may.
    async fn remove_comment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which comment.")] input: RemoveCommentInput,
    ) -> Result<Option<RemoveCommentPayload>> {
        let id = CommentId(parse_id(ctx, &input.comment_id, NodeType::Comment, "input.commentId")?);
        let lead = service(ctx).remove_comment(member(ctx)?, id, input.expected_version).await.reply(ctx)?;
        let lead = load(ctx, lead).await?.ok_or_else(|| Error::internal("a comment without its lead")).reply(ctx)?;
        Ok(Some(RemoveCommentPayload { lead: Lead::new(lead) }))
    }
}
