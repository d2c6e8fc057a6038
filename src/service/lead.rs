//! Leads: create, read, change, and move by the actions of their workflow.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    Service, Tx,
    authorize::{self, Authorized, Purpose, WRITERS},
    opportunity::NewOpportunity,
    transaction,
};
use crate::{
    domain::{
        actor::{Member, Side},
        company::PartnershipState,
        customer::{Customer, CustomerInput, CustomerPatch},
        duration::latest,
        event::{FieldChange, Happening},
        global_id::{self, NodeType},
        id::{AssignmentId, LeadId, MemberId, OpportunityId, PartnershipId},
        lead::{DESCRIPTION_MAX, LEAD_SOURCE_MAX, Lead, TITLE_MAX, WorkflowRef, number},
        money::Money,
        page::{Page, PageRequest},
        patch::Patch,
        reference::{ExternalReference, ExternalReferenceInput},
        template::Template,
        text::{self, Rules},
        workflow::{
            builtin,
            definition::{Action, Definition, Effect, Subject},
            engine::{self, Caller, Change, Decision, Facts, Form},
        },
    },
    error::{Error, ErrorCode, Fault, Result},
    store::{
        self,
        key::Claim,
        lead::{LeadFilter, LeadSort, Parties},
        page::Window,
        scope::Scope,
    },
};

/// Money as a caller gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoneyInput {
    /// A decimal number.
    pub amount: String,
    /// ISO 4217.
    pub currency: String,
}

impl MoneyInput {
    pub(super) fn validate(&self, prefix: &str, faults: &mut Vec<Fault>) -> Option<Money> {
        Money::parse(&self.amount, &self.currency, prefix, faults)
    }
}

/// A lead to be created. Field names in faults are those of `CreateLeadInput`.
#[derive(Clone, Debug, Default)]
pub struct NewLead {
    /// What the customer needs, in a line.
    pub title: String,
    /// What the customer needs, at length.
    pub description: Option<String>,
    /// Where it came from.
    pub lead_source: Option<String>,
    /// Whose need it is.
    pub customer: CustomerInput,
    /// What it may be worth.
    pub estimated_value: Option<MoneyInput>,
    /// The template's key; the company's default where absent.
    pub template_key: Option<String>,
    /// Shared at once across this partnership, a global id.
    pub partnership_id: Option<String>,
    /// The limit for the answer, in place of the template's.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its record in another system.
    pub external_reference: Option<ExternalReferenceInput>,
    /// Makes a repetition of this call safe.
    pub idempotency_key: Option<String>,
}

/// A change of a lead's fields. Field names in faults are those of `UpdateLeadInput`.
#[derive(Clone, Debug, Default)]
pub struct LeadChange {
    /// What the customer needs, in a line.
    pub title: Patch<String>,
    /// What the customer needs, at length.
    pub description: Patch<String>,
    /// Where it came from.
    pub lead_source: Patch<String>,
    /// Whose need it is.
    pub customer: Patch<CustomerPatch>,
    /// What it may be worth.
    pub estimated_value: Patch<MoneyInput>,
    /// When the running counter ends; null stops it.
    pub expires_at: Patch<DateTime<Utc>>,
    /// Who works it on the caller's side, a global id.
    pub owner_id: Patch<String>,
    /// Its record in another system, added to those it has.
    pub external_reference: Option<ExternalReferenceInput>,
    /// The version that the caller read.
    pub expected_version: Option<i32>,
}

/// Which lead is meant.
#[derive(Clone, Debug)]
pub enum LeadKey {
    /// By id.
    Id(LeadId),
    /// By the record of another system, as the company named it.
    Reference(ExternalReferenceInput),
}

/// An action to be taken.
#[derive(Clone, Debug)]
pub enum Asked<'a> {
    /// By its key.
    Action(&'a str),
    /// Whatever action leads to this stage, by key or name.
    Stage(&'a str),
    /// Whatever action passes the lead on from where it is.
    Share,
}

/// A call of an action.
#[derive(Clone, Debug)]
pub struct ActionCall<'a> {
    /// Which one.
    pub asked: Asked<'a>,
    /// The form.
    pub form: Map<String, Value>,
    /// The path of the form in the caller's input.
    pub prefix: &'a str,
    /// A limit in place of the template's.
    pub expires_at: Option<DateTime<Utc>>,
    /// The version that the caller read.
    pub expected_version: Option<i32>,
}

/// Whether a lead was created now or by an earlier call with the same content.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// The lead.
    pub lead: Lead,
    /// Whether this call created it.
    pub new: bool,
}

impl Service {
    /// The workflow that something runs on.
    pub fn definition(&self, workflow: &WorkflowRef) -> Result<Arc<Definition>> {
        builtin::builtin(&workflow.key, workflow.version).ok_or_else(|| {
            Error::internal(format!("there is no workflow {} of version {}", workflow.key, workflow.version))
        })
    }

    /// A page of the caller's company's leads. Each is as of now.
    pub async fn leads(
        &self,
        member: &Member,
        filter: &LeadFilter,
        sort: LeadSort,
        descending: bool,
        page: PageRequest,
    ) -> Result<Page<Lead>> {
        let bounds = page.bounds()?;
        let place = |text: Option<String>, field| {
            text.map(|text| self.cursors().read_lead(member.company, sort, &text, field)).transpose()
        };
        let window = Window {
            limit: bounds.limit,
            last: bounds.last,
            after: place(page.after, "after")?,
            before: place(page.before, "before")?,
            descending,
        };
        let now = self.now();
        let slice = store::lead::list(self.db().read(), Scope::of(member), filter, sort, &window, now).await?;
        let edges = slice.items.into_iter().map(|lead| {
            let cursor = self.cursors().lead(member.company, sort, sort.key(&lead), lead.id.0);
            Ok((cursor, self.as_of(lead, now)?))
        });
        let edges = edges.collect::<Result<Vec<_>>>()?;
        Ok(Page::new(edges, slice.more, window.last, window.after.is_some(), window.before.is_some()))
    }

    /// A lead of the caller's company, as of now.
    pub async fn lead(&self, member: &Member, id: LeadId) -> Result<Option<Lead>> {
        let lead = store::lead::find(self.db().read(), Scope::of(member), id).await?;
        lead.map(|lead| self.as_of(lead, self.now())).transpose()
    }

    /// Those of the leads that the caller's company sees, as of now.
    pub async fn leads_by_ids(&self, member: &Member, ids: &[LeadId]) -> Result<Vec<Lead>> {
        let now = self.now();
        let leads = store::lead::by_ids(self.db().read(), Scope::of(member), ids).await?;
        leads.into_iter().map(|lead| self.as_of(lead, now)).collect()
    }

    /// The lead that the caller's company sees as linked to each of the opportunities.
    pub async fn leads_of_opportunities(
        &self,
        member: &Member,
        ids: &[OpportunityId],
    ) -> Result<Vec<(OpportunityId, Lead)>> {
        let now = self.now();
        let leads = store::lead::by_opportunities(self.db().read(), Scope::of(member), ids).await?;
        leads.into_iter().map(|(id, lead)| Ok((id, self.as_of(lead, now)?))).collect()
    }

    /// The references of those leads in the caller's company's other systems.
    pub async fn references(&self, member: &Member, ids: &[LeadId]) -> Result<Vec<(LeadId, ExternalReference)>> {
        store::key::references(self.db().read(), Scope::of(member), ids).await
    }

    /// The lead as it is for every caller now: expired when its limit has passed, recorded or not.
    fn as_of(&self, mut lead: Lead, now: DateTime<Utc>) -> Result<Lead> {
        if lead.expired_by(now) {
            let definition = self.definition(&lead.workflow)?;
            let stage = engine::as_of(&definition, &facts(&lead), now);
            lead.expired_at = lead.expires_at;
            lead.stage.clone_from(&stage.key);
            lead.stage_kind = stage.kind;
            lead.expires_at = None;
        }
        Ok(lead)
    }

    /// What the member may do with the lead now; the lead is as of now.
    pub fn available_actions<'d>(&self, member: &Member, lead: &Lead, definition: &'d Definition) -> Vec<&'d Action> {
        if lead.ended_at.is_some() {
            return Vec::new();
        }
        engine::available(definition, &facts(lead), caller(member, lead), self.now())
    }

    /// Creates a lead, and shares it at once where a partnership is given.
    ///
    /// # Errors
    /// Every fault of the input at once; `FORBIDDEN` for VIEWER; `DUPLICATE` for a reference or key with other content.
    pub async fn create_lead(&self, member: &Member, new: NewLead) -> Result<Created> {
        authorize::role(member, WRITERS, "create a lead")?;
        let key = new.idempotency_key.clone();
        let fingerprint = fingerprint(&new);
        let mut faults = Vec::new();
        let key = idempotency(key.as_deref(), &mut faults);
        let title = Rules::line(TITLE_MAX).required(Some(&new.title), "input.title", &mut faults);
        let description =
            Rules::lines(DESCRIPTION_MAX).optional(new.description.as_deref(), "input.description", &mut faults);
        let lead_source =
            Rules::line(LEAD_SOURCE_MAX).optional(new.lead_source.as_deref(), "input.leadSource", &mut faults);
        let customer = new.customer.validate("input.customer", &mut faults);
        let value = new.estimated_value.as_ref().and_then(|value| value.validate("input.estimatedValue", &mut faults));
        let reference =
            new.external_reference.and_then(|reference| reference.validate("input.externalReference", &mut faults));
        let partnership = new.partnership_id.as_deref().and_then(|id| {
            text_id(id, NodeType::Partnership, "input.partnershipId", &mut faults).map(PartnershipId)
        });
        if new.expires_at.is_some() && new.partnership_id.is_none() {
            faults.push(Fault::invalid(
                "input.expiresAt",
                "A limit runs only for a lead that is shared: give partnershipId too, or set the limit on sharing.",
            ));
        }
        let (Some(title), Some(customer), true) = (title, customer, faults.is_empty()) else {
            return Err(faults.into());
        };
        transaction!(self, tx, {
            let id: LeadId = tx.fresh();
            if let Some(key) = &key
                && let Some(earlier) = claim(tx, member, key, "createLead", &fingerprint, id.0).await?
            {
                let lead = store::lead::find(tx.db(), Scope::of(member), LeadId(earlier)).await?;
                let lead = lead.ok_or_else(|| Error::not_found("lead"))?;
                return Ok(Created { lead: self.as_of(lead, tx.now)?, new: false });
            }
            let template = self.lead_template(tx, member, new.template_key.as_deref()).await?;
            let definition = self.definition(&template.workflow)?;
            let initial = definition
                .stage(&definition.initial)
                .ok_or_else(|| Error::internal("a workflow without its initial stage"))?;
            store::lead::insert(
                tx.db(),
                id,
                store::company::next_lead_number(tx.db(), member.company).await?,
                member,
                tx.now,
            )
            .await?;
            let source = Lead {
                id,
                company: member.company,
                side: Side::Source,
                source: member.company,
                receiver: None,
                partnership: None,
                assignment: None,
                template: template.id,
                workflow: template.workflow.clone(),
                number: String::new(),
                title: title.clone(),
                description: description.clone(),
                lead_source: lead_source.clone(),
                customer: customer.clone(),
                value,
                stage: initial.key.clone(),
                stage_kind: initial.kind,
                owner: member.has(authorize::PEOPLE).then_some(member.id),
                active: true,
                archived: false,
                reason: None,
                expires_at: None,
                on_expiry: None,
                expires_to: None,
                accepted_at: None,
                declined_at: None,
                expired_at: None,
                converted_at: None,
                closed_at: None,
                opportunity: None,
                version: 1,
                ended_at: None,
                created_at: tx.now,
                updated_at: tx.now,
            };
            Ok(Created { lead: source, new: true })
        })
    }
}
