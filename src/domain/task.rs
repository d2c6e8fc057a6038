//! Something to do on a lead.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::{
    comment::Visibility,
    event::FieldChange,
    global_id::{self, NodeType},
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

impl Task {
    /// What changed between two states of a task, field by field.
    pub fn differences(old: &Self, new: &Self) -> Vec<FieldChange> {
        let due = |task: &Self| task.due_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        let company = |task: &Self| Some(global_id::encode(NodeType::Company, task.assigned_company.0));
        let assignee = |task: &Self| task.assignee.map(|id| global_id::encode(NodeType::Member, id.0));
        let state = |task: &Self| Some(task.state.as_str().to_owned());
        [
            FieldChange::of("title", Some(old.title.clone()), Some(new.title.clone())),
            FieldChange::of("description", old.description.clone(), new.description.clone()),
            FieldChange::of("dueAt", due(old), due(new)),
            FieldChange::of("assignedCompany", company(old), company(new)),
            FieldChange::of("assignee", assignee(old), assignee(new)),
            FieldChange::of("state", state(old), state(new)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
