//! An entry of a lead's thread.

use chrono::{DateTime, Utc};

use super::id::{CommentId, CompanyId, LeadId, MemberId};

/// The longest comment, in characters.
pub const BODY_MAX: usize = 10_000;

/// Who may read a comment or a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Both sides of the lead.
    Shared,
    /// The author's company alone.
    Internal,
}

impl Visibility {
    /// The name in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "SHARED",
            Self::Internal => "INTERNAL",
        }
    }
}

/// An entry of a lead's thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// The lead.
    pub lead: LeadId,
    /// The author's company.
    pub company: CompanyId,
    /// The author.
    pub author: MemberId,
    /// Who may read it.
    pub visibility: Visibility,
    /// The text.
    pub body: String,
    /// The comment that it answers.
    pub in_reply_to: Option<CommentId>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When its text was last changed.
    pub edited_at: Option<DateTime<Utc>>,
    /// Counts its changes, from 1.
    pub version: i32,
}
