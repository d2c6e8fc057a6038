//! Comments: the conversation on a lead.

use super::{
    Service,
    authorize::{self, PEOPLE, Purpose},
    cursor::{self, List},
    lead::{claim, fingerprint, idempotency, text_id},
    transaction,
};
use crate::{
    domain::{
        actor::Member,
        comment::{BODY_MAX, Comment, Visibility},
        company::Profile,
        event::Happening,
        global_id::NodeType,
        id::{CommentId, CompanyId, LeadId},
        page::{Page, PageRequest},
        text::Rules,
    },
    error::{Error, ErrorCode, Fault, Result},
    store::{self, lead::Parties, scope::Scope},
};

/// A comment to be added.
#[derive(Clone, Debug)]
pub struct NewComment {
    /// The text.
    pub body: String,
    /// Who may read it.
    pub visibility: Visibility,
    /// The comment that it answers, a global id.
    pub in_reply_to_id: Option<String>,
    /// Makes a repetition of the call safe.
    pub idempotency_key: Option<String>,
}

/// Who hears of what is said and done on a lead.
pub(super) fn audience(parties: &Parties, visibility: Visibility) -> Vec<CompanyId> {
    let other = parties.other.as_ref().filter(|_| visibility == Visibility::Shared);
    std::iter::once(parties.mine.company).chain(other.map(|view| view.company)).collect()
}

impl Service {
    /// A part of a lead's thread, the oldest first.
    pub async fn comments(&self, member: &Member, lead: LeadId, page: PageRequest) -> Result<Page<Comment>> {
        let window = self.window(member, List::Comments, page, false)?;
        let slice = store::thread::comments(self.db().read(), Scope::of(member), lead, &window).await?;
        Ok(Self::page(member, List::Comments, &window, slice, |item| (item.created_at, item.id.0)))
    }

    /// The same part of the threads of many leads, with the authors, in one statement. The request has no cursors.
    pub async fn comments_of_leads(
        &self,
        member: &Member,
        leads: &[LeadId],
        page: &PageRequest,
    ) -> Result<std::collections::HashMap<LeadId, Page<(Comment, Profile)>>> {
        let bounds = page.bounds()?;
        let slices =
            store::thread::comments_of_leads(self.db().read(), Scope::of(member), leads, bounds.limit, bounds.last)
                .await?;
        Ok(slices
            .into_iter()
            .map(|(lead, slice)| {
                let edges = slice.items.into_iter().map(|item| {
                    let cursor = cursor::created(member.company, List::Comments, item.0.created_at, item.0.id.0);
                    (cursor, item)
                });
                (lead, Page::new(edges.collect(), slice.more, bounds.last, false, false))
            })
            .collect())
    }

    /// How many comments of the lead the caller may read.
    pub async fn count_comments(&self, member: &Member, lead: LeadId) -> Result<u64> {
        store::thread::count_comments(self.db().read(), Scope::of(member), lead).await
    }

    /// Those of the comments that the caller may read.
    pub async fn comments_by_ids(&self, member: &Member, ids: &[CommentId]) -> Result<Vec<Comment>> {
        store::thread::comments_by_ids(self.db().read(), Scope::of(member), ids).await
    }

    /// Adds a comment (mission A16).
    ///
    /// # Errors
    /// `REQUIRED` or `INVALID_INPUT` for the text, `NOT_FOUND`, `FORBIDDEN`, `LEAD_INACTIVE`, `DUPLICATE`.
    pub async fn add_comment(&self, member: &Member, lead: LeadId, new: &NewComment) -> Result<Comment> {
        let mut faults = Vec::new();
        let key = idempotency(new.idempotency_key.as_deref(), &mut faults);
        let body = Rules::lines(BODY_MAX).required(Some(&new.body), "input.body", &mut faults);
        let reply = new
            .in_reply_to_id
            .as_deref()
            .and_then(|id| text_id(id, NodeType::Comment, "input.inReplyToId", &mut faults).map(CommentId));
        let (Some(body), true) = (body, faults.is_empty()) else { return Err(faults.into()) };
        let fingerprint = fingerprint(&(lead, new));
        transaction!(self, tx, {
            let scope = Scope::of(member);
            let id: CommentId = tx.fresh();
            if let Some(key) = &key
                && let Some(earlier) = claim(tx, member, key, "addComment", &fingerprint, id.0).await?
            {
                let found = store::thread::comments_by_ids(tx.db(), scope, &[CommentId(earlier)]).await?;
                return found.into_iter().next().ok_or_else(|| Error::not_found("comment"));
            }
            let parties = authorize::lead(tx, member, lead, "input.leadId", Purpose::Change(PEOPLE)).await?;
            if let Some(reply) = reply {
                let answered = store::thread::comments_by_ids(tx.db(), scope, &[reply]).await?;
                match answered.into_iter().find(|comment| comment.lead == lead) {
                    None => {
                        let message = "There is no such comment on this lead.";
                        return Err(Fault::new(ErrorCode::NotFound, message).at("input.inReplyToId").into());
                    }
                    Some(answered)
                        if answered.visibility == Visibility::Internal && new.visibility == Visibility::Shared =>
                    {
                        let message = "A reply to an INTERNAL comment is INTERNAL too: the other side can't see it.";
                        return Err(Fault::invalid("input.visibility", message).into());
                    }
                    Some(_) => {}
                }
            }
            let comment = Comment {
                id,
                lead,
                company: member.company,
                author: member.id,
                visibility: new.visibility,
                body: body.clone(),
                in_reply_to: reply,
                created_at: tx.now,
                edited_at: None,
                version: 1,
            };
            store::thread::insert_comment(tx.db(), &parties.mine, &comment).await?;
            let audience = audience(&parties, new.visibility);
            tx.happened(audience, Some(member.id), Some(lead), Some(id.0), Happening::CommentAdded {});
            Ok(comment)
        })
    }

    /// Changes the text of the caller's own comment. The log keeps neither text.
    ///
    /// # Errors
    /// `REQUIRED` or `INVALID_INPUT` for the text, `NOT_FOUND`, `FORBIDDEN`, `LEAD_INACTIVE`, `CONFLICT`.
    pub async fn edit_comment(
        &self,
        member: &Member,
        id: CommentId,
        body: &str,
        expected_version: Option<i32>,
    ) -> Result<Comment> {
        let mut faults = Vec::new();
        let Some(body) = Rules::lines(BODY_MAX).required(Some(body), "input.body", &mut faults) else {
            return Err(faults.into());
        };
        transaction!(self, tx, {
            let (comment, parties) = authorize::comment(tx, member, id, "input.commentId").await?;
            authorize::version("comment", comment.version, expected_version)?;
            if comment.body == body {
                return Ok(comment.clone());
            }
            if !store::thread::edit_comment(tx.db(), &comment, &body, tx.now).await? {
                return Err(authorize::conflict("comment", comment.version).into());
            }
            let audience = audience(&parties, comment.visibility);
            tx.happened(audience, Some(member.id), Some(comment.lead), Some(id.0), Happening::CommentEdited {});
            let version = comment.version + 1;
            Ok(Comment { body: body.clone(), edited_at: Some(tx.now), version, ..comment.clone() })
        })
    }

    /// Removes the caller's own comment: its text is gone, the activity keeps that it was there.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `LEAD_INACTIVE`, `CONFLICT`.
    pub async fn remove_comment(
        &self,
        member: &Member,
        id: CommentId,
        expected_version: Option<i32>,
    ) -> Result<LeadId> {
        transaction!(self, tx, {
            let (comment, parties) = authorize::comment(tx, member, id, "input.commentId").await?;
            authorize::version("comment", comment.version, expected_version)?;
            if !store::thread::remove_comment(tx.db(), &comment, tx.now).await? {
                return Err(authorize::conflict("comment", comment.version).into());
            }
            let audience = audience(&parties, comment.visibility);
            tx.happened(audience, Some(member.id), Some(comment.lead), Some(id.0), Happening::CommentRemoved {});
            Ok(comment.lead)
        })
    }
}
