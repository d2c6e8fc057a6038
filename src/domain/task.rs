//! Something to do on a lead.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    comment::Visibility,
    id::{CompanyId, LeadId, MemberId, TaskId},
};

/// The longest title, in characters.
pub const TITLE_MAX: usize = 200;
/// The longest description, in characters.
pub const DESCRIPTION_MAX: usize = 5_000;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskState {
    /// To be done.
    Open,
    /// Done.
    Done,
    /// Not to be done any more.
    Cancelled,
}

impl TaskState {
    /// The name in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Done => "DONE",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Open, Self::Done, Self::Cancelled].into_iter().find(|state| state.as_str() == name)
    }
}

/// What happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskChange {
    /// It was set.
    Created,
    /// Its text or due date changed.
    Edited,
    /// Another company or member is to do it.
    Assigned,
    /// It was done.
    Completed,
    /// It is to be done after all.
    Reopened,
    /// It is not to be done any more.
    Cancelled,
}

/// Something to do on a lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The lead.
    pub lead: LeadId,
    /// The creator's company.
    pub company: CompanyId,
    /// Who set it.
    pub created_by: MemberId,
    /// The company that is to do it.
    pub assigned_company: CompanyId,
    /// The member that is to do it.
    pub assignee: Option<MemberId>,
    /// Who may read it.
    pub visibility: Visibility,
    /// What is to be done, in a line.
    pub title: String,
    /// What is to be done, at length.
    pub description: Option<String>,
    /// Where it stands.
    pub state: TaskState,
    /// Until when.
    pub due_at: Option<DateTime<Utc>>,
    /// When it was done.
    pub completed_at: Option<DateTime<Utc>>,
    /// Counts its changes, from 1.
    pub version: i32,
    /// When it was set.
    pub created_at: DateTime<Utc>,
}
