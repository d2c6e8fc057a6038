//! Leads: create, read, change, and move by the actions of their workflow.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    Service, Tx,
    authorize::{self, Authorized, Purpose, WRITERS},
    cursor,
    member::Bearer,
    opportunity::NewOpportunity,
    transaction,
};
use crate::{
    domain::{
        actor::{Member, Side},
        company::{PartnershipState, Profile},
        customer::{Customer, CustomerInput, CustomerPatch},
        duration::latest,
        event::{FieldChange, Happening},
        global_id::{self, NodeType},
        id::{AssignmentId, CompanyId, LeadId, MemberId, OpportunityId, PartnershipId},
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
            let cursor = cursor::lead(member.company, sort, sort.key(&lead), lead.id.0);
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
        let new = Checked::of(new)?;
        transaction!(self, tx, { self.insert_lead(tx, member, &new).await })
    }

    async fn insert_lead(&self, tx: &mut Tx, member: &Member, new: &Checked) -> Result<Created> {
        let id: LeadId = tx.fresh();
        if let Some(key) = &new.key
            && let Some(earlier) = claim(tx, member, key, "createLead", &new.fingerprint, id.0).await?
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
        let serial = store::company::next_lead_number(tx.db(), member.company).await?;
        store::lead::insert(tx.db(), id, serial, member, tx.now).await?;
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
            number: number(serial),
            title: new.title.clone(),
            description: new.description.clone(),
            lead_source: new.lead_source.clone(),
            customer: new.customer.clone(),
            value: new.value,
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
        if let Some(reference) = &new.reference
            && store::key::insert_reference(tx.db(), Scope::of(member), id, reference, tx.now).await?.is_some()
        {
            return Err(taken(reference).into());
        }
        tx.happened(vec![member.company], Some(member.id), Some(id), None, Happening::LeadCreated {});
        let Some(partnership) = new.partnership else {
            store::lead::add_view(tx.db(), &source).await?;
            return Ok(Created { lead: source, new: true });
        };
        let old = Parties { mine: source, other: None };
        let call = ActionCall {
            asked: Asked::Share,
            form: partnership_form(partnership),
            prefix: "input",
            expires_at: new.expires_at,
            expected_version: None,
        };
        let decision = decide(member, &old, &definition, &template, &call, tx.now)?;
        let moved = self.carry_out(tx, Some(member), &old, &decision, &definition, call.prefix).await?;
        // The lead has just come to be: its first version is the one that it is shared with.
        let source = Lead { version: 1, ..moved.mine };
        begin_passing(tx, moved.passing.as_ref()).await?;
        store::lead::add_view(tx.db(), &source).await?;
        if let Some(passing) = &moved.passing {
            store::lead::insert_view(tx.db(), &passing.view).await?;
        }
        Ok(Created { lead: source, new: true })
    }

    /// The lead of that id or reference, as this transaction sees it.
    async fn resolve(&self, tx: &Tx, member: &Member, key: &LeadKey) -> Result<LeadId> {
        match key {
            LeadKey::Id(id) => Ok(*id),
            LeadKey::Reference(reference) => {
                let mut faults = Vec::new();
                let Some(reference) = reference.clone().validate("input.externalReference", &mut faults) else {
                    return Err(faults.into());
                };
                let scope = Scope::of(member);
                let found = store::key::lead_by_reference(tx.db(), scope, &reference.system, &reference.id).await?;
                found.ok_or_else(|| {
                    let message = "No lead of your company has this external reference.";
                    Fault::new(ErrorCode::NotFound, message).at("input.externalReference").into()
                })
            }
        }
    }

    /// Changes a lead's fields: what is absent stays, what is null is cleared. The content is the source's; each side
    /// has its own owner and references.
    ///
    /// # Errors
    /// Every fault of the input at once; `FORBIDDEN`, `NOT_FOUND`, `LEAD_INACTIVE`, `CONFLICT`, `DUPLICATE`.
    pub async fn update_lead(&self, member: &Member, key: &LeadKey, change: &LeadChange) -> Result<Lead> {
        transaction!(self, tx, {
            let id = self.resolve(tx, member, key).await?;
            let loaded = authorize::lead(tx, member, id, "input.leadId", Purpose::Change(WRITERS)).await?;
            authorize::version("lead", loaded.mine.version, change.expected_version)?;
            let loaded = self.settle(tx, loaded).await?;
            let content = !(change.title.is_absent()
                && change.description.is_absent()
                && change.lead_source.is_absent()
                && change.customer.is_absent()
                && change.estimated_value.is_absent()
                && change.expires_at.is_absent());
            if content && loaded.mine.side != Side::Source {
                return Err(Error::forbidden(
                    "Only the company that sourced the lead changes its content; yours may set its own ownerId and \
                     externalReference.",
                ));
            }
            let mut faults = Vec::new();
            let mut mine = loaded.mine.clone();
            self.apply(tx, member, change, &mut mine, &mut faults).await?;
            let reference = change
                .external_reference
                .clone()
                .and_then(|reference| reference.validate("input.externalReference", &mut faults));
            if !faults.is_empty() {
                return Err(faults.into());
            }
            if let Some(reference) = &reference
                && let Some(other) =
                    store::key::insert_reference(tx.db(), Scope::of(member), id, reference, tx.now).await?
                && other != id
            {
                return Err(taken(reference).into());
            }
            let changes = differences(&loaded.mine, &mine);
            if changes.is_empty() {
                return Ok(mine);
            }
            let (own, shared): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.field == "owner");
            mine.version += 1;
            mine.updated_at = tx.now;
            // What is only this side's does not show on the other's.
            let other = loaded.other.as_ref().filter(|_| !shared.is_empty()).map(|other| Lead {
                title: mine.title.clone(),
                description: mine.description.clone(),
                lead_source: mine.lead_source.clone(),
                customer: mine.customer.clone(),
                value: mine.value,
                expires_at: mine.expires_at,
                on_expiry: mine.on_expiry.clone(),
                expires_to: mine.expires_to.clone(),
                version: other.version + 1,
                updated_at: tx.now,
                ..other.clone()
            });
            let mut audience = vec![mine.company];
            if !own.is_empty() {
                let happening = Happening::LeadUpdated { changes: own };
                tx.happened(audience.clone(), Some(member.id), Some(id), None, happening);
            }
            if !shared.is_empty() {
                audience.extend(other.as_ref().map(|other| other.company));
                let happening = Happening::LeadUpdated { changes: shared };
                tx.happened(audience, Some(member.id), Some(id), None, happening);
            }
            authorize::save_lead(tx, loaded, &mine, other.as_ref()).await?;
            Ok(mine)
        })
    }

    async fn apply(
        &self,
        tx: &Tx,
        member: &Member,
        change: &LeadChange,
        lead: &mut Lead,
        faults: &mut Vec<Fault>,
    ) -> Result<()> {
        let text = |patch: &Patch<String>, old: Option<String>, rules: Rules, field: &str, faults: &mut Vec<Fault>| {
            patch.clone().checked(old, |text| rules.optional(Some(&text), field, faults))
        };
        match &change.title {
            Patch::Absent => {}
            Patch::Null => faults.push(text::missing("input.title")),
            Patch::Value(title) => {
                lead.title = Rules::line(TITLE_MAX).required(Some(title), "input.title", faults).unwrap_or_default();
            }
        }
        let lines = Rules::lines(DESCRIPTION_MAX);
        lead.description = text(&change.description, lead.description.take(), lines, "input.description", faults);
        let line = Rules::line(LEAD_SOURCE_MAX);
        lead.lead_source = text(&change.lead_source, lead.lead_source.take(), line, "input.leadSource", faults);
        match &change.customer {
            Patch::Absent => {}
            Patch::Null => faults.push(text::missing("input.customer")),
            Patch::Value(patch) => {
                if let Some(customer) = patch.clone().apply(&lead.customer, "input.customer", faults) {
                    lead.customer = customer;
                }
            }
        }
        lead.value =
            change.estimated_value.clone().checked(lead.value, |value| value.validate("input.estimatedValue", faults));
        match change.expires_at {
            Patch::Absent => {}
            _ if lead.expires_at.is_none() => {
                faults.push(Fault::invalid(
                    "input.expiresAt",
                    "No counter runs on this lead, so it has no limit to set.",
                ));
            }
            Patch::Null => {
                lead.expires_at = None;
                lead.on_expiry = None;
                lead.expires_to = None;
            }
            Patch::Value(at) => {
                if at <= tx.now {
                    faults.push(Fault::invalid("input.expiresAt", "The limit must be in the future."));
                } else if at > latest(tx.now) {
                    faults.push(Fault::invalid("input.expiresAt", "The limit must be within the next 10 years."));
                } else {
                    lead.expires_at = Some(at);
                }
            }
        }
        match &change.owner_id {
            Patch::Absent => {}
            Patch::Null => lead.owner = None,
            Patch::Value(id) => {
                if let Some(id) = text_id(id, NodeType::Member, "input.ownerId", faults) {
                    let found = store::company::members_by_ids(tx.db(), &[MemberId(id)]).await?;
                    match found.into_iter().find(|profile| profile.company == member.company) {
                        Some(profile) => lead.owner = Some(profile.id),
                        None => faults.push(
                            Fault::new(ErrorCode::NotFound, "Your company has no such member.").at("input.ownerId"),
                        ),
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes an action of the lead's workflow: every transition by a person comes through here.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `INVALID_TRANSITION`, `LEAD_EXPIRED`, `LEAD_INACTIVE`, `CONFLICT`, and the form's faults.
    pub async fn perform(&self, member: &Member, id: LeadId, call: &ActionCall<'_>) -> Result<Lead> {
        transaction!(self, tx, {
            let loaded = authorize::lead(tx, member, id, "input.leadId", Purpose::Action).await?;
            authorize::version("lead", loaded.mine.version, call.expected_version)
                .map_err(|error| at_stage(error, &loaded.mine.stage))?;
            let loaded = self.settle(tx, loaded).await?;
            let definition = self.definition(&loaded.mine.workflow)?;
            let template = store::company::templates_by_ids(tx.db(), &[loaded.mine.template]).await?;
            let template = template.into_iter().next().ok_or_else(|| Error::internal("a lead without its template"))?;
            let decision = decide(member, &loaded, &definition, &template, call, tx.now)?;
            let moved = self.carry_out(tx, Some(member), &loaded, &decision, &definition, call.prefix).await?;
            let lead = moved.mine.clone();
            self.save(tx, loaded, moved).await?;
            Ok(lead)
        })
    }

    /// Works out what a decision makes of both views, and does what it entails besides: opportunities, events.
    /// `prefix` is the path of the decision's form in the caller's input.
    async fn carry_out(
        &self,
        tx: &mut Tx,
        member: Option<&Member>,
        old: &Parties,
        decision: &Decision,
        definition: &Definition,
        prefix: &str,
    ) -> Result<Moved> {
        let now = tx.now;
        let mut mine = old.mine.clone();
        let mut other = old.other.clone();
        let mut partnership = None;
        let mut ends = false;
        let mut opportunity = None;
        each(&mut mine, &mut other, |view| {
            view.stage.clone_from(&decision.to.key);
            view.stage_kind = decision.to.kind;
            view.version += 1;
            view.updated_at = now;
        });
        for change in &decision.changes {
            match change {
                Change::Date(date, at) => each(&mut mine, &mut other, |view| view.record(*date, *at)),
                Change::StartCounter(at, then) => {
                    let to = definition.action(then).map(|action| action.to.clone());
                    each(&mut mine, &mut other, |view| {
                        view.expires_at = Some(*at);
                        view.on_expiry = Some(then.clone());
                        view.expires_to.clone_from(&to);
                    });
                }
                Change::StopCounter => each(&mut mine, &mut other, stop_counter),
                Change::Archived(archived) => each(&mut mine, &mut other, |view| view.archived = *archived),
                Change::Reason(reason) => each(&mut mine, &mut other, |view| view.reason.clone_from(reason)),
                Change::LinkOpportunity(id) => opportunity = Some(Deal::Existing(id)),
                Change::CreateOpportunity(form) => opportunity = Some(Deal::New(form)),
                Change::EndAssignment => ends = true,
                Change::NewAssignment(id) => partnership = Some(id),
                Change::Value(_) | Change::CloseDate(_) => {
                    return Err(Error::internal("a lead's workflow changes an opportunity's value"));
                }
            }
        }
        if let (Some(deal), Some(member)) = (opportunity, member) {
            let id = self.link(tx, member, &mine, other.as_ref(), deal, prefix).await?;
            each(&mut mine, &mut other, |view| view.opportunity = Some(id));
        }
        if mine.side == Side::Receiver && mine.owner.is_none() {
            mine.owner = member.map(|member| member.id);
        }
        let mut passing = None;
        if let (Some(partnership), Some(member)) = (partnership, member) {
            let new = self.receiver_of(tx, member, &old.mine, partnership, prefix).await?;
            other = old.other.as_ref().map(|earlier| freeze(tx, member, earlier, definition));
            mine.start_over();
            mine.receiver = Some(new.receiver);
            mine.partnership = Some(new.partnership);
            mine.assignment = Some(new.assignment);
            passing = Some(Passing {
                view: Lead {
                    company: new.receiver,
                    side: Side::Receiver,
                    owner: None,
                    version: 1,
                    created_at: now,
                    ..mine.clone()
                },
                partnership: new.partnership,
                assignment: new.assignment,
            });
        } else if ends {
            mine.assignment = None;
            if let Some(other) = &mut other {
                other.ended_at = Some(now);
            }
        }
        let reason = mine.reason.clone().filter(|_| decision.changes.iter().any(|c| matches!(c, Change::Reason(_))));
        let mut audience = vec![mine.company];
        if passing.is_none() {
            audience.extend(other.as_ref().map(|other| other.company));
        }
        let happening = Happening::LeadStageChanged {
            from: Some(decision.from.clone()),
            to: decision.to.clone(),
            action: decision.action.clone(),
            reason,
        };
        let actor = member.map(|member| member.id);
        tx.happened(audience, actor, Some(mine.id), None, happening);
        if let Some(passing) = &passing {
            let happening = Happening::LeadShared { partnership: passing.partnership };
            tx.happened(vec![mine.company, passing.view.company], actor, Some(mine.id), None, happening);
        }
        Ok(Moved { mine, other, passing })
    }

    async fn save(&self, tx: &Tx, loaded: Authorized<Parties>, moved: Moved) -> Result<Authorized<Parties>> {
        // The outcome belongs to the assignment that the decision found, not to one that it began.
        let receiver = if loaded.mine.side == Side::Receiver { Some(&moved.mine) } else { moved.other.as_ref() };
        if let Some((assignment, receiver)) = loaded.mine.assignment.zip(receiver) {
            store::lead::update_assignment(tx.db(), assignment, receiver, tx.now).await?;
        }
        begin_passing(tx, moved.passing.as_ref()).await?;
        let saved = authorize::save_lead(tx, loaded, &moved.mine, moved.other.as_ref()).await?;
        if let Some(passing) = &moved.passing {
            // The new receiver may have had the lead before, so that its earlier view has to be frozen by now.
            store::lead::insert_view(tx.db(), &passing.view).await?;
        }
        Ok(saved)
    }

    /// Records the expiry of a lead whose limit has passed, before anything else is done to it.
    pub(super) async fn settle(&self, tx: &mut Tx, loaded: Authorized<Parties>) -> Result<Authorized<Parties>> {
        let lead = &loaded.mine;
        let (true, Some(action)) = (lead.expired_by(tx.now), lead.on_expiry.as_deref()) else { return Ok(loaded) };
        let definition = self.definition(&lead.workflow)?;
        let form = Form { values: &Map::new(), prefix: "" };
        let decision = engine::decide(&definition, &facts(lead), Caller::System, action, &form, tx.now)?;
        let moved = self.carry_out(tx, None, &loaded, &decision, &definition, "").await?;
        self.save(tx, loaded, moved).await
    }

    /// Records the expiry of up to `limit` leads whose limit has passed, the longest overdue first; returns how many.
    pub async fn expire_due(&self, limit: u64) -> Result<u64> {
        let mut expired = 0;
        for (id, source) in store::lead::due(self.db().read(), self.now(), limit).await? {
            match self.expire(id, source).await {
                Ok(due) => expired += u64::from(due),
                // One that can't be expired must not hold up the others.
                Err(error) => tracing::error!(%error, lead = %id, "a lead's expiry can't be recorded"),
            }
        }
        Ok(expired)
    }

    async fn expire(&self, id: LeadId, source: CompanyId) -> Result<bool> {
        transaction!(self, tx, {
            let Some(loaded) = authorize::lead_of_system(tx, Scope::system(source), id).await? else {
                return Ok(false);
            };
            let due = loaded.mine.expired_by(tx.now);
            self.settle(tx, loaded).await?;
            Ok(due)
        })
    }

    async fn lead_template(&self, tx: &Tx, member: &Member, key: Option<&str>) -> Result<Template> {
        self.template_for(tx, member, Subject::Lead, key).await
    }

    pub(super) async fn template_for(
        &self,
        tx: &Tx,
        member: &Member,
        subject: Subject,
        key: Option<&str>,
    ) -> Result<Template> {
        let templates = store::company::templates(tx.db(), Scope::of(member)).await?;
        let mut fitting = templates.into_iter().filter(|template| template.subject == subject);
        match key {
            None => fitting.find(|template| template.is_default).ok_or_else(|| {
                Fault::required("input.templateKey", "Your company has no default template; name one.").into()
            }),
            Some(key) => {
                let (found, others): (Vec<_>, Vec<_>) = fitting.partition(|template| template.key == key);
                found.into_iter().next().ok_or_else(|| {
                    let keys: Vec<_> = others.iter().map(|template| template.key.as_str()).collect();
                    let message = format!("Your company has no such template; it has {}.", keys.join(", "));
                    Fault::new(ErrorCode::NotFound, message).at("input.templateKey").into()
                })
            }
        }
    }

    /// Who a lead is passed to across a partnership of the caller's company.
    async fn receiver_of(&self, tx: &Tx, member: &Member, lead: &Lead, id: &str, prefix: &str) -> Result<NewReceiver> {
        let field = format!("{prefix}.partnershipId");
        let mut faults = Vec::new();
        let Some(id) = text_id(id, NodeType::Partnership, &field, &mut faults) else { return Err(faults.into()) };
        let partnership = store::company::hold_partnership(tx.db(), Scope::of(member), PartnershipId(id)).await?;
        let partnership =
            partnership.ok_or_else(|| Fault::new(ErrorCode::NotFound, "There is no such partnership.").at(&field))?;
        if partnership.state != PartnershipState::Active {
            let message =
                format!("This partnership is {}; leads are shared across an ACTIVE one.", partnership.state.as_str());
            return Err(Fault::invalid(field, message).into());
        }
        let receiver = partnership.counterpart(member.company);
        if lead.assignment.is_some() && lead.partnership == Some(partnership.id) {
            return Err(
                Fault::invalid(field, "The lead is with this partner already: pass it on to another one.").into()
            );
        }
        Ok(NewReceiver { receiver, partnership: partnership.id, assignment: tx.fresh() })
    }

    /// Links the opportunity that a lead became, and shows it to the other side.
    async fn link(
        &self,
        tx: &mut Tx,
        member: &Member,
        lead: &Lead,
        other: Option<&Lead>,
        deal: Deal<'_>,
        prefix: &str,
    ) -> Result<OpportunityId> {
        let id = match deal {
            Deal::New(form) => {
                let mut faults = Vec::new();
                let new = NewOpportunity::from_form(form, &format!("{prefix}.opportunity"), &mut faults);
                if !faults.is_empty() {
                    return Err(faults.into());
                }
                let new = NewOpportunity {
                    name: new.name.or_else(|| Some(lead.title.clone())),
                    value: new.value.or(lead.value),
                    description: new.description.or_else(|| lead.description.clone()),
                    ..new
                };
                let (id, heard) = (tx.fresh(), other.map(|other| other.company));
                self.insert_opportunity(tx, member, id, new, Some((lead.id, heard))).await?.id
            }
            Deal::Existing(id) => {
                let field = format!("{prefix}.opportunityId");
                let mut faults = Vec::new();
                let Some(id) = text_id(id, NodeType::Opportunity, &field, &mut faults) else {
                    return Err(faults.into());
                };
                let views = authorize::opportunity(tx, member, OpportunityId(id), &field).await?;
                if views[0].side != Side::Receiver {
                    return Err(Error::forbidden("Only an opportunity of your own company can be linked."));
                }
                views[0].id
            }
        };
        if let Some(other) = other {
            self.show_opportunity(tx, member, id, other.company).await?;
        }
        Ok(id)
    }
}

/// Asks the engine.
fn decide(
    member: &Member,
    parties: &Parties,
    definition: &Definition,
    template: &Template,
    call: &ActionCall<'_>,
    now: DateTime<Utc>,
) -> Result<Decision> {
    let lead = &parties.mine;
    let caller = caller(member, lead);
    let facts = Facts {
        answer_within: template.answer_within.as_ref(),
        convert_within: template.convert_within.as_ref(),
        expires_at_override: call.expires_at,
        ..facts(lead)
    };
    let action = match call.asked {
        Asked::Action(key) => key.to_owned(),
        Asked::Stage(text) => {
            let stage = engine::find_stage(definition, text).ok_or_else(|| {
                let names: Vec<_> = definition.stages.iter().map(|stage| stage.key.as_str()).collect();
                let message = format!("The workflow has no such stage; its stages are {}.", names.join(", "));
                Fault::invalid(format!("{}.stage", call.prefix), message).stage(lead.stage.as_str())
            })?;
            engine::action_to(definition, &facts, stage, caller, now)?.key.clone()
        }
        Asked::Share => {
            let stage = engine::as_of(definition, &facts, now);
            let passes = || definition.actions.iter().filter(|action| action.effects.contains(&Effect::NewAssignment));
            let found = passes().find(|action| action.from.contains(&stage.key)).or_else(|| passes().next_back());
            let found = found.ok_or_else(|| {
                Fault::new(ErrorCode::InvalidTransition, "Leads of this workflow are not shared.")
                    .stage(lead.stage.as_str())
            })?;
            found.key.clone()
        }
    };
    // What the form says of the owning input's other parts is no part of it.
    let form = Form { values: &call.form, prefix: call.prefix };
    Ok(engine::decide(definition, &facts, caller, &action, &form, now)?)
}

enum Deal<'a> {
    Existing(&'a str),
    New(&'a Map<String, Value>),
}

struct NewReceiver {
    receiver: CompanyId,
    partnership: PartnershipId,
    assignment: AssignmentId,
}

/// What became of a lead: both views as they are to be saved, and a new receiver's, where it was passed on.
struct Moved {
    mine: Lead,
    other: Option<Lead>,
    passing: Option<Passing>,
}

struct Passing {
    view: Lead,
    partnership: PartnershipId,
    assignment: AssignmentId,
}

/// Adds the assignment that a lead is passed on by, to which both views point.
async fn begin_passing(tx: &Tx, passing: Option<&Passing>) -> Result<()> {
    let Some(Passing { view, partnership, assignment }) = passing else { return Ok(()) };
    store::lead::insert_assignment(tx.db(), *assignment, view, *partnership, tx.now).await
}

fn each(mine: &mut Lead, other: &mut Option<Lead>, mut change: impl FnMut(&mut Lead)) {
    change(mine);
    if let Some(other) = other {
        change(other);
    }
}

fn stop_counter(view: &mut Lead) {
    view.expires_at = None;
    view.on_expiry = None;
    view.expires_to = None;
}

/// The earlier receiver's view as it stays when the lead is passed on: a lead that was still unanswered is withdrawn
/// for it, and it hears of that; of an outcome of its own it has heard.
fn freeze(tx: &mut Tx, member: &Member, earlier: &Lead, definition: &Definition) -> Lead {
    let mut frozen = earlier.clone();
    // What had its outcome ended with that; when the lead was passed on later is not this receiver's to know.
    frozen.ended_at = Some(earlier.updated_at);
    let withdrawal = definition
        .actions
        .iter()
        .find(|action| action.effects.contains(&Effect::EndAssignment) && action.from.contains(&earlier.stage));
    let stages = withdrawal.and_then(|action| {
        Some((action, definition.stage(&earlier.stage)?.clone(), definition.stage(&action.to)?.clone()))
    });
    if let Some((action, from, to)) = stages {
        frozen.stage.clone_from(&to.key);
        frozen.stage_kind = to.kind;
        frozen.version += 1;
        frozen.updated_at = tx.now;
        frozen.ended_at = Some(tx.now);
        let happening = Happening::LeadStageChanged { from: Some(from), to, action: action.key.clone(), reason: None };
        tx.happened(vec![earlier.company], Some(member.id), Some(earlier.id), None, happening);
    }
    stop_counter(&mut frozen);
    frozen
}

/// What the engine needs to know of a lead; without the template's limits, which only a decision needs.
fn facts(lead: &Lead) -> Facts<'_> {
    Facts {
        stage: &lead.stage,
        expires_at: lead.expires_at,
        on_expiry: lead.on_expiry.as_deref(),
        active: lead.active,
        answer_within: None,
        convert_within: None,
        expires_at_override: None,
    }
}

fn caller<'a>(member: &'a Member, lead: &Lead) -> Caller<'a> {
    Caller::Member { side: lead.side, roles: &member.roles, owner: lead.owner == Some(member.id) }
}

/// The form of an action that passes a lead on.
pub fn partnership_form(id: PartnershipId) -> Map<String, Value> {
    let id = global_id::encode(NodeType::Partnership, id.0);
    Map::from_iter([("partnershipId".to_owned(), Value::String(id))])
}

pub(super) fn text_id(text: &str, kind: NodeType, field: &str, faults: &mut Vec<Fault>) -> Option<Uuid> {
    global_id::expect(text, kind).map_err(|message| faults.push(Fault::invalid(field, message))).ok()
}

fn at_stage(error: Error, stage: &str) -> Error {
    match error {
        Error::Faults(faults) => Error::Faults(faults.into_iter().map(|fault| fault.stage(stage)).collect()),
        Error::Internal(_) => error,
    }
}

fn taken(reference: &ExternalReference) -> Fault {
    let message = format!(
        "Your company has a lead with the reference {} of {} already.",
        text::excerpt(&reference.id),
        reference.system
    );
    Fault::new(ErrorCode::Duplicate, message).at("input.externalReference")
}

/// What changed between two states of a lead, field by field.
fn differences(old: &Lead, new: &Lead) -> Vec<FieldChange> {
    type Read = fn(&Lead) -> Option<String>;
    const FIELDS: &[(&str, Read)] = &[
        ("title", |l| Some(l.title.clone())),
        ("description", |l| l.description.clone()),
        ("leadSource", |l| l.lead_source.clone()),
        ("estimatedValue", |l| l.value.map(|value| format!("{value} {}", value.currency()))),
        ("expiresAt", |l| l.expires_at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))),
        ("owner", |l| l.owner.map(|id| global_id::encode(NodeType::Member, id.0))),
    ];
    type ReadCustomer = fn(&Customer) -> Option<String>;
    const CUSTOMER: &[(&str, ReadCustomer)] = &[
        ("customer.company", |c| Some(c.company.clone())),
        ("customer.website", |c| c.website.clone()),
        ("customer.industry", |c| c.industry.clone()),
        ("customer.employees", |c| c.employees.map(|n| n.to_string())),
        ("customer.address.street", |c| c.address.street.clone()),
        ("customer.address.city", |c| c.address.city.clone()),
        ("customer.address.region", |c| c.address.region.clone()),
        ("customer.address.postalCode", |c| c.address.postal_code.clone()),
        ("customer.address.country", |c| c.address.country.clone()),
        ("customer.contact.firstName", |c| c.contact.first_name.clone()),
        ("customer.contact.lastName", |c| c.contact.last_name.clone()),
        ("customer.contact.jobTitle", |c| c.contact.job_title.clone()),
        ("customer.contact.email", |c| c.contact.email.clone()),
        ("customer.contact.phoneAsTyped", |c| c.contact.phone.as_ref().map(|phone| phone.typed.clone())),
        ("customer.contact.phone", |c| c.contact.phone.as_ref().map(|phone| phone.e164.clone())),
    ];
    let own = FIELDS.iter().filter_map(|(field, read)| FieldChange::of(field, read(old), read(new)));
    let customer =
        CUSTOMER.iter().filter_map(|(field, read)| FieldChange::of(field, read(&old.customer), read(&new.customer)));
    own.chain(customer).collect()
}

/// A digest of a call's content, by which a repetition is told from another call with the same key.
pub(super) fn fingerprint(content: &impl std::fmt::Debug) -> Vec<u8> {
    Sha256::digest(format!("{content:?}")).to_vec()
}

/// The longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_MAX: usize = 200;

pub(super) fn idempotency(key: Option<&str>, faults: &mut Vec<Fault>) -> Option<String> {
    let key = key?;
    Rules::line(IDEMPOTENCY_KEY_MAX).required(Some(key), "input.idempotencyKey", faults)
}

/// Claims an idempotency key; returns the id of an earlier call's result.
pub(super) async fn claim(
    tx: &Tx,
    member: &Member,
    key: &str,
    operation: &str,
    fingerprint: &[u8],
    result: Uuid,
) -> Result<Option<Uuid>> {
    let claim = store::key::claim(tx.db(), Scope::of(member), key, operation, fingerprint, result, tx.now).await?;
    match claim {
        Claim::New => Ok(None),
        Claim::Same(earlier) => Ok(Some(earlier)),
        Claim::Other => Err(Fault::new(
            ErrorCode::Duplicate,
            "This idempotency key was used for a call with other content. Use a new key for a new call.",
        )
        .at("input.idempotencyKey")
        .into()),
    }
}

/// A [`NewLead`] whose every field is sound.
struct Checked {
    key: Option<String>,
    fingerprint: Vec<u8>,
    title: String,
    description: Option<String>,
    lead_source: Option<String>,
    customer: Customer,
    value: Option<Money>,
    template_key: Option<String>,
    partnership: Option<PartnershipId>,
    expires_at: Option<DateTime<Utc>>,
    reference: Option<ExternalReference>,
}

impl Checked {
    /// Every fault of the input comes at once.
    fn of(new: NewLead) -> Result<Self> {
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
        let partnership = new
            .partnership_id
            .as_deref()
            .and_then(|id| text_id(id, NodeType::Partnership, "input.partnershipId", &mut faults).map(PartnershipId));
        if new.expires_at.is_some() && new.partnership_id.is_none() {
            faults.push(Fault::invalid(
                "input.expiresAt",
                "A limit runs only for a lead that is shared: give partnershipId too, or set the limit on sharing.",
            ));
        }
        let (Some(title), Some(customer), true) = (title, customer, faults.is_empty()) else {
            return Err(faults.into());
        };
        let (template_key, expires_at) = (new.template_key, new.expires_at);
        Ok(Self {
            key,
            fingerprint,
            title,
            description,
            lead_source,
            customer,
            value,
            template_key,
            partnership,
            expires_at,
            reference,
        })
    }
}

/// What an import needs besides.
impl Service {
    /// The lead that a record of another system was made into, as the caller's company named it.
    pub async fn lead_by_reference(&self, member: &Member, reference: &ExternalReference) -> Result<Option<LeadId>> {
        store::key::lead_by_reference(self.db().read(), Scope::of(member), &reference.system, &reference.id).await
    }

    /// Does all that [`Service::create_lead`] does for a member that may not be recorded yet, and takes it back:
    /// nothing of it is kept, and what comes back is what the real call would say.
    pub async fn rehearse_lead(&self, bearer: &Bearer, new: NewLead) -> Result<()> {
        let refused = || Error::new(ErrorCode::Unauthenticated, "There is no such company.");
        let company = self.company_by_slug(&bearer.company).await?.ok_or_else(refused)?;
        let profile = Profile {
            id: self.fresh(),
            company: company.id,
            name: bearer.name.clone().unwrap_or_else(|| bearer.subject.clone()),
            email: bearer.email.clone(),
            roles: bearer.roles.clone(),
        };
        let mut member = Member { id: profile.id, company: company.id, roles: bearer.roles.clone() };
        authorize::role(&member, WRITERS, "create a lead")?;
        let new = Checked::of(new)?;
        let outcome: Result<()> = transaction!(self, tx, {
            let (id, subject) = (profile.id, &bearer.subject);
            member.id = store::company::record_member(tx.db(), id, company.id, subject, &profile, tx.now).await?;
            self.insert_lead(tx, &member, &new).await?;
            // An error rolls the transaction back; this one has nothing to say.
            Err(Error::Faults(Vec::new()))
        });
        match outcome {
            Err(Error::Faults(faults)) if faults.is_empty() => Ok(()),
            outcome => outcome,
        }
    }
}
