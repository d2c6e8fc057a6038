//! Templates: what new leads and opportunities start from.

use std::collections::BTreeMap;

use super::{
    Service, Tx, authorize,
    lead::{claim, fingerprint, idempotency, text_id},
    transaction,
};
use crate::{
    domain::{
        actor::{Member, Role},
        country::Country,
        customer,
        duration::TimeLimit,
        event::{FieldChange, Happening},
        global_id::NodeType,
        id::{TemplateId, WorkflowId},
        lead::{DESCRIPTION_MAX, LEAD_SOURCE_MAX, field_at},
        patch::Patch,
        qualification,
        template::{DEFAULTABLE, Template},
        text::{self, Rules},
        workflow::{
            builtin,
            definition::{Definition, Limit, Subject},
            version::WorkflowState,
        },
    },
    error::{Error, ErrorCode, Fault, Result},
    store::{self, scope::Scope},
};

/// The longest key, in characters.
const KEY_MAX: usize = 50;

/// A template to be created.
#[derive(Clone, Debug, Default)]
pub struct NewTemplate {
    /// Its name in the API.
    pub key: String,
    /// What it says; the name and the workflow are needed.
    pub content: TemplateChange,
    /// Makes a repetition of the call safe.
    pub idempotency_key: Option<String>,
}

/// What a template's change asks for.
#[derive(Clone, Debug, Default)]
pub struct TemplateChange {
    /// Its name for people.
    pub name: Patch<String>,
    /// The version of a workflow that it binds, a global id.
    pub workflow_id: Patch<String>,
    /// The limit for the answer, an ISO 8601 duration; null for none.
    pub answer_within: Patch<String>,
    /// The limit for the conversion, an ISO 8601 duration; null for none.
    pub convert_within: Patch<String>,
    /// The time from one recurring check to the next, an ISO 8601 duration; null for none.
    pub check_every: Patch<String>,
    /// How long the first lead of a customer has priority, an ISO 8601 duration; null for ever.
    pub duplicate_protection: Patch<String>,
    /// The paths of the fields that a new lead must have; null for none.
    pub required_fields: Patch<Vec<String>>,
    /// What a new lead has where nobody said, by path; null for nothing.
    pub defaults: Patch<Vec<(String, String)>>,
    /// Whether it is taken where none is named.
    pub is_default: Option<bool>,
    /// The version that the caller read.
    pub expected_version: Option<i32>,
}

impl Service {
    /// The templates of the caller's company.
    pub async fn templates(&self, member: &Member) -> Result<Vec<Template>> {
        store::company::templates(self.db.read(), Scope::of(member)).await
    }

    /// Templates that are already known to be in the caller's sight.
    pub async fn templates_by_ids(&self, ids: &[TemplateId]) -> Result<Vec<Template>> {
        store::company::templates_by_ids(self.db.read(), ids).await
    }

    /// Adds a template to the caller's company.
    ///
    /// # Errors
    /// `FORBIDDEN` without ADMIN; every fault of the input at once; `DUPLICATE` where another template has the key.
    pub async fn create_template(&self, member: &Member, new: &NewTemplate) -> Result<Template> {
        authorize::role(member, &[Role::Admin], "create a template")?;
        let fingerprint = fingerprint(new);
        transaction!(self, tx, {
            let mut faults = Vec::new();
            let key = idempotency(new.idempotency_key.as_deref(), &mut faults);
            let id: TemplateId = tx.fresh();
            if let Some(key) = &key
                && let Some(earlier) = claim(tx, member, key, "createLeadTemplate", &fingerprint, id.0).await?
            {
                let found = store::company::templates_by_ids(tx.db(), &[TemplateId(earlier)]).await?;
                return found.into_iter().next().ok_or_else(|| Error::not_found("template"));
            }
            if !is_key(&new.key) {
                let message = format!(
                    "A key is a letter from a to z, then such letters, digits and hyphens, at most {KEY_MAX} in all."
                );
                faults.push(Fault::invalid("input.key", message));
            }
            let bound = if let Patch::Value(id) = &new.content.workflow_id {
                self.bindable(tx, member, id, &mut faults).await?
            } else {
                faults.push(text::missing("input.workflowId"));
                None
            };
            if !matches!(new.content.name, Patch::Value(_)) {
                faults.push(text::missing("input.name"));
            }
            let Some((workflow, definition)) = bound else { return Err(faults.into()) };
            let mut template = Template {
                id,
                company: member.company,
                key: new.key.clone(),
                name: String::new(),
                subject: definition.subject,
                workflow,
                answer_within: None,
                convert_within: None,
                check_every: None,
                duplicate_protection: None,
                required_fields: Vec::new(),
                defaults: BTreeMap::new(),
                is_default: false,
                version: 1,
            };
            apply(&new.content, &mut template, &definition, &mut faults);
            if !faults.is_empty() {
                return Err(faults.into());
            }
            if template.is_default {
                unset_default(tx, member, template.subject).await?;
            }
            if !store::company::insert_template(tx.db(), &template, tx.now).await? {
                let message = format!("Your company has a template {} already.", template.key);
                return Err(Fault::new(ErrorCode::Duplicate, message).at("input.key").into());
            }
            tx.happened(vec![member.company], Some(member.id), None, Some(id.0), Happening::TemplateCreated {});
            Ok(template)
        })
    }

    /// Changes a template, for the leads that start from it later (mission A15).
    ///
    /// # Errors
    /// `FORBIDDEN` without ADMIN, `NOT_FOUND`, `CONFLICT`, and every fault of the input at once.
    pub async fn update_template(&self, member: &Member, id: TemplateId, change: &TemplateChange) -> Result<Template> {
        transaction!(self, tx, {
            let old = authorize::template(tx, member, id, "input.templateId").await?;
            authorize::version("template", old.version, change.expected_version)?;
            let mut faults = Vec::new();
            let mut new = old.clone();
            let definition = match &change.workflow_id {
                Patch::Absent => Some(self.definition_in(tx, &old.workflow).await?),
                Patch::Null => {
                    faults.push(text::missing("input.workflowId"));
                    None
                }
                Patch::Value(id) => match self.bindable(tx, member, id, &mut faults).await? {
                    Some((_, definition)) if definition.subject != old.subject => {
                        let message = "A template of leads binds a workflow of leads, one of opportunities theirs.";
                        faults.push(Fault::invalid("input.workflowId", message));
                        None
                    }
                    Some((workflow, definition)) => {
                        new.workflow = workflow;
                        Some(definition)
                    }
                    None => None,
                },
            };
            if let Some(definition) = &definition {
                apply(change, &mut new, definition, &mut faults);
            }
            if !faults.is_empty() {
                return Err(faults.into());
            }
            let changes = differences(&old, &new);
            if changes.is_empty() {
                return Ok(new);
            }
            if new.is_default && !old.is_default {
                unset_default(tx, member, new.subject).await?;
            }
            new.version += 1;
            if !store::company::update_template(tx.db(), Scope::of(member), &new, tx.now).await? {
                return Err(authorize::conflict("template", old.version).into());
            }
            let happening = Happening::TemplateUpdated { changes };
            tx.happened(vec![member.company], Some(member.id), None, Some(new.id.0), happening);
            Ok(new)
        })
    }

    /// The workflow of that global id, which a template can bind: it is held until the transaction ends, so that nobody
    /// retires it meanwhile.
    async fn bindable(
        &self,
        tx: &Tx,
        member: &Member,
        id: &str,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<(crate::domain::lead::WorkflowRef, std::sync::Arc<Definition>)>> {
        let field = "input.workflowId";
        let Some(id) = text_id(id, NodeType::Workflow, field, faults).map(WorkflowId) else { return Ok(None) };
        let own = store::workflow::hold(tx.db(), Scope::of(member), id).await?;
        let found = match own {
            Some(found) => Some(found),
            None => self.workflow(member, id).await?.filter(|found| found.owner.is_none()),
        };
        match found {
            None => faults.push(Fault::new(ErrorCode::NotFound, "There is no such workflow.").at(field)),
            Some(found) if found.state != WorkflowState::Published => {
                let message = format!("A template binds a PUBLISHED version; this one is {}.", found.state.as_str());
                faults.push(Fault::invalid(field, message));
            }
            // What was mended in the latest could be got round by binding an earlier one.
            Some(found)
                if found.owner.is_none()
                    && !builtin::current().any(|current| {
                        current.version == found.definition.version && current.key == found.definition.key
                    }) =>
            {
                let message = "This version of a shipped workflow is kept for what is on it: bind the latest one.";
                faults.push(Fault::invalid(field, message));
            }
            Some(found) => return Ok(Some((found.reference(), found.definition))),
        }
        Ok(None)
    }
}

/// Another template is to be the default one.
async fn unset_default(tx: &mut Tx, member: &Member, subject: Subject) -> Result<()> {
    for id in store::company::unset_default_template(tx.db(), Scope::of(member), subject, tx.now).await? {
        let change = FieldChange::of("isDefault", Some(true.to_string()), Some(false.to_string()));
        let happening = Happening::TemplateUpdated { changes: change.into_iter().collect() };
        tx.happened(vec![member.company], Some(member.id), None, Some(id.0), happening);
    }
    Ok(())
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
        && key.len() <= KEY_MAX
}

/// Applies what is asked for but the workflow; every fault goes to `faults`.
fn apply(change: &TemplateChange, template: &mut Template, definition: &Definition, faults: &mut Vec<Fault>) {
    match &change.name {
        Patch::Absent => {}
        Patch::Null => faults.push(text::missing("input.name")),
        Patch::Value(name) => {
            template.name = text::LINE.required(Some(name), "input.name", faults).unwrap_or_default();
        }
    }
    let mut limit = |patch: &Patch<String>, old: &mut Option<TimeLimit>, limit: Limit, field: &str| match patch {
        Patch::Absent => {}
        Patch::Null => *old = None,
        Patch::Value(_) if !definition.counts(limit) => {
            let message = format!("The workflow {} has no counter that runs for this limit.", definition.key);
            faults.push(Fault::invalid(field, message));
        }
        Patch::Value(text) => *old = text::keep(TimeLimit::parse(text), field, faults),
    };
    limit(&change.answer_within, &mut template.answer_within, Limit::Answer, "input.answerWithin");
    limit(&change.convert_within, &mut template.convert_within, Limit::Convert, "input.convertWithin");
    limit(&change.check_every, &mut template.check_every, Limit::Check, "input.checkEvery");
    match &change.duplicate_protection {
        Patch::Absent => {}
        Patch::Null => template.duplicate_protection = None,
        Patch::Value(_) if definition.subject != Subject::Lead => {
            let message =
                "Only leads are looked through for duplicates, so only a template of leads protects the first.";
            faults.push(Fault::invalid("input.duplicateProtection", message));
        }
        Patch::Value(text) => {
            template.duplicate_protection = text::keep(TimeLimit::parse(text), "input.duplicateProtection", faults);
        }
    }
    match &change.required_fields {
        Patch::Absent => {}
        Patch::Null => template.required_fields.clear(),
        Patch::Value(paths) => template.required_fields = required_fields(paths, definition.subject, faults),
    }
    match &change.defaults {
        Patch::Absent => {}
        Patch::Null => template.defaults.clear(),
        Patch::Value(values) => template.defaults = defaults(values, definition.subject, faults),
    }
    match change.is_default {
        Some(false) if template.is_default => {
            let message = "Make another template the default one: there has to be one.";
            faults.push(Fault::invalid("input.isDefault", message));
        }
        Some(is_default) => template.is_default = is_default,
        None => {}
    }
}

const OF_LEADS: &str = "Only a template of leads asks for fields of a lead.";

fn required_fields(paths: &[String], subject: Subject, faults: &mut Vec<Fault>) -> Vec<String> {
    if subject != Subject::Lead && !paths.is_empty() {
        faults.push(Fault::invalid("input.requiredFields", OF_LEADS));
    }
    let mut kept: Vec<String> = Vec::new();
    for (place, path) in paths.iter().enumerate() {
        if field_at(path).is_none() {
            let known: Vec<_> = crate::domain::lead::FIELDS.iter().map(|field| field.path).collect();
            let message = format!("A lead has no field \"{}\"; it has {}.", text::excerpt(path), known.join(", "));
            faults.push(Fault::invalid(format!("input.requiredFields.{place}"), message));
        } else if !kept.contains(path) {
            kept.push(path.clone());
        }
    }
    kept
}

fn defaults(values: &[(String, String)], subject: Subject, faults: &mut Vec<Fault>) -> BTreeMap<String, String> {
    if subject != Subject::Lead && !values.is_empty() {
        faults.push(Fault::invalid("input.defaults", OF_LEADS));
    }
    let mut kept = BTreeMap::new();
    for (place, (path, value)) in values.iter().enumerate() {
        let at = format!("input.defaults.{place}");
        let field = format!("{at}.value");
        let rules = match path.as_str() {
            "description" => Rules::lines(DESCRIPTION_MAX),
            "leadSource" => Rules::line(LEAD_SOURCE_MAX),
            "customer.address.country" => {
                if let Some(country) = text::keep(Country::parse(value), &field, faults) {
                    kept.insert(path.clone(), country.code().to_owned());
                }
                continue;
            }
            "customer.industry" => customer::INDUSTRY,
            path if DEFAULTABLE.contains(&path) => Rules::lines(qualification::TEXT_MAX),
            _ => {
                let message = format!("A template can give a value to {}.", DEFAULTABLE.join(", "));
                faults.push(Fault::invalid(format!("{at}.field"), message));
                continue;
            }
        };
        if let Some(value) = rules.required(Some(value), &field, faults)
            && kept.insert(path.clone(), value).is_some()
        {
            faults.push(Fault::invalid(format!("{at}.field"), format!("{path} is listed twice.")));
        }
    }
    kept
}

fn differences(old: &Template, new: &Template) -> Vec<FieldChange> {
    let limit = |limit: &Option<TimeLimit>| limit.as_ref().map(ToString::to_string);
    let workflow = |template: &Template| Some(format!("{} {}", template.workflow.key, template.workflow.version));
    let required = |template: &Template| Some(template.required_fields.join(", ")).filter(|text| !text.is_empty());
    let defaults = |template: &Template| {
        let pairs: Vec<_> = template.defaults.iter().map(|(path, value)| format!("{path}: {value}")).collect();
        Some(pairs.join("\n")).filter(|text| !text.is_empty())
    };
    [
        FieldChange::of("name", Some(old.name.clone()), Some(new.name.clone())),
        FieldChange::of("workflow", workflow(old), workflow(new)),
        FieldChange::of("answerWithin", limit(&old.answer_within), limit(&new.answer_within)),
        FieldChange::of("convertWithin", limit(&old.convert_within), limit(&new.convert_within)),
        FieldChange::of("checkEvery", limit(&old.check_every), limit(&new.check_every)),
        FieldChange::of("duplicateProtection", limit(&old.duplicate_protection), limit(&new.duplicate_protection)),
        FieldChange::of("requiredFields", required(old), required(new)),
        FieldChange::of("defaults", defaults(old), defaults(new)),
        FieldChange::of("isDefault", Some(old.is_default.to_string()), Some(new.is_default.to_string())),
    ]
    .into_iter()
    .flatten()
    .collect()
}
