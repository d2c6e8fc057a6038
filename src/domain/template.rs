//! What a new lead or opportunity starts from.

use super::{
    duration::TimeLimit,
    id::{CompanyId, TemplateId},
    lead::WorkflowRef,
    workflow::definition::Subject,
};

/// What a new lead or opportunity starts from.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// The company that it belongs to.
    pub company: CompanyId,
    /// Its name in the API.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// What starts from it.
    pub subject: Subject,
    /// What it runs on.
    pub workflow: WorkflowRef,
    /// The limit for the answer (mission A4).
    pub answer_within: Option<TimeLimit>,
    /// The limit for the conversion (mission A5).
    pub convert_within: Option<TimeLimit>,
    /// Whether it is taken where none is named.
    pub is_default: bool,
    /// Counts its changes, from 1.
    pub version: i32,
}
