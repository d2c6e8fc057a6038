//! What a new lead or opportunity starts from.

use std::collections::BTreeMap;

use super::{
    duration::TimeLimit,
    id::{CompanyId, TemplateId},
    lead::{Lead, LeadField, WorkflowRef, field_at},
    workflow::definition::Subject,
    workflow::engine::Limits,
};

use crate::error::{Error, Fault};

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
    /// The time from one recurring check to the next (mission B8).
    pub check_every: Option<TimeLimit>,
    /// How long the first lead of a customer has priority over later ones, from when it came; none for ever (mission B6).
    pub duplicate_protection: Option<TimeLimit>,
    /// The paths of the fields that a new lead must have, out of [`FIELDS`](super::lead::FIELDS).
    pub required_fields: Vec<String>,
    /// What a new lead has where nobody said, by path.
    pub defaults: BTreeMap<String, String>,
    /// Whether it is taken where none is named.
    pub is_default: bool,
    /// Counts its changes, from 1.
    pub version: i32,
}

impl Template {
    /// Its limits.
    pub fn limits(&self) -> Limits<'_> {
        Limits {
            answer: self.answer_within.as_ref(),
            convert: self.convert_within.as_ref(),
            check: self.check_every.as_ref(),
        }
    }
}

/// The fields that a template can give a value, where nobody said.
pub const DEFAULTABLE: &[&str] = &[
    "description",
    "leadSource",
    "customer.industry",
    "customer.address.country",
    "qualification.goal",
    "qualification.implementationOptions",
    "qualification.procurementProcedure",
    "qualification.decisionLevel",
    "qualification.terms",
    "qualification.decisionMaker",
    "qualification.selectionCriteria",
    "qualification.complianceWithCriteria",
    "qualification.channel",
];

/// The place of a field that a template can give a value.
fn place<'l>(lead: &'l mut Lead, path: &str) -> Option<&'l mut Option<String>> {
    if let Some(name) = path.strip_prefix("qualification.") {
        let known = &mut lead.details_mut().qualification;
        return Some(match name {
            "goal" => &mut known.goal,
            "implementationOptions" => &mut known.implementation_options,
            "procurementProcedure" => &mut known.procurement_procedure,
            "decisionLevel" => &mut known.decision_level,
            "terms" => &mut known.terms,
            "decisionMaker" => &mut known.decision_maker,
            "selectionCriteria" => &mut known.selection_criteria,
            "complianceWithCriteria" => &mut known.compliance_with_criteria,
            "channel" => &mut known.channel,
            _ => return None,
        });
    }
    Some(match path {
        "description" => &mut lead.description,
        "leadSource" => &mut lead.lead_source,
        "customer.industry" => &mut lead.customer.industry,
        "customer.address.country" => &mut lead.customer.address.country,
        _ => return None,
    })
}

impl Template {
    /// Fills in a new lead's fields that nobody said anything of, and tells those that are missing still.
    ///
    /// # Errors
    /// `REQUIRED` for each field that the template asks for and the lead doesn't have, at its path under `prefix`.
    pub fn complete(&self, lead: &mut Lead, prefix: &str) -> Result<(), Error> {
        for (path, value) in &self.defaults {
            if let Some(place) = place(lead, path) {
                place.get_or_insert_with(|| value.clone());
            }
        }
        self.refuse(prefix, |field| (field.read)(lead).is_none())
    }

    /// Refuses a change that takes away what the template asks for.
    ///
    /// # Errors
    /// `REQUIRED` for each such field, at its path under `prefix`.
    pub fn still_complete(&self, old: &Lead, new: &Lead, prefix: &str) -> Result<(), Error> {
        self.refuse(prefix, |field| (field.read)(old).is_some() && (field.read)(new).is_none())
    }

    fn refuse(&self, prefix: &str, missing: impl Fn(&LeadField) -> bool) -> Result<(), Error> {
        let missing = self.required_fields.iter().filter_map(|path| field_at(path)).filter(|field| missing(field));
        let faults: Vec<_> = missing
            .map(|field| {
                let message = format!("The template {} asks for {}.", self.key, field.path);
                Fault::required(format!("{prefix}.{}", field.path), message)
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
    }
}
