//! Leads: create, read, change, and move by the actions of their workflow.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

mod action;

use super::{
    Service, Tx,
    authorize::{self, Authorized, Purpose, WRITERS},
    cursor, duplicate, transaction,
};
use crate::{
    domain::{
        actor::{Member, Side},
        customer::{Customer, CustomerInput, CustomerPatch},
        duration::latest,
        event::{FieldChange, Happening},
        global_id::{self, NodeType},
        id::{LeadId, MemberId, OpportunityId, PartnershipId},
        lead::{DESCRIPTION_MAX, Destination, Details, FIELDS, LEAD_SOURCE_MAX, Lead, TITLE_MAX, is_content, number},
        money::Money,
        page::{Page, PageRequest},
        patch::Patch,
        qualification::{Qualification, QualificationPatch},
        reference::{ExternalReference, ExternalReferenceInput},
        template::Template,
        text::{self, Rules},
        workflow::{
            definition::{Action, DateKey, Definition, Effect, StageKind, Subject},
            engine,
        },
    },
    error::{Error, ErrorCode, Fault, Reason, Result},
    store::{
        self,
        key::Claim,
        lead::{LeadFilter, LeadSort, Parties},
        page::Window,
        scope::Scope,
    },
};
use action::{caller, facts};
pub(super) use action::{own_member, tell_of_cancelled};

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
    /// What the company knows of the customer's decision.
    pub qualification: QualificationPatch,
    /// The template's key; the company's default where absent.
    pub template_key: Option<String>,
    /// Shared at once across this partnership, a global id.
    pub partnership_id: Option<String>,
    /// The limit for the answer, in place of the template's.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its record in another system.
    pub external_reference: Option<ExternalReferenceInput>,
    /// Who works it on the company's side; its creator where absent and a person.
    pub owner: Option<MemberId>,
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
    /// What the company knows of the customer's decision.
    pub qualification: Patch<QualificationPatch>,
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
    /// Whatever action has this effect.
    Effect(Effect),
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
    /// Makes a repetition of the call safe.
    pub once: Option<Once>,
}

/// What makes a repetition of a call safe.
#[derive(Clone, Debug)]
pub struct Once {
    /// The mutation.
    pub operation: &'static str,
    /// The caller's key.
    pub key: String,
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
        let mut edges = Vec::with_capacity(slice.items.len());
        for lead in slice.items {
            let cursor = cursor::lead(member.company, sort, sort.key(&lead), lead.id.0);
            edges.push((cursor, self.as_of(lead, now).await?));
        }
        Ok(Page::new(edges, slice.more, window.last, window.after.is_some(), window.before.is_some()))
    }

    /// A lead of the caller's company, as of now.
    pub async fn lead(&self, member: &Member, id: LeadId) -> Result<Option<Lead>> {
        let lead = store::lead::find(self.db().read(), Scope::of(member), id).await?;
        match lead {
            Some(lead) => self.as_of(lead, self.now()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Those of the leads that the caller's company sees, as of now.
    pub async fn leads_by_ids(&self, member: &Member, ids: &[LeadId]) -> Result<Vec<Lead>> {
        let now = self.now();
        let leads = store::lead::by_ids(self.db().read(), Scope::of(member), ids).await?;
        let mut current = Vec::with_capacity(leads.len());
        for lead in leads {
            current.push(self.as_of(lead, now).await?);
        }
        Ok(current)
    }

    /// The lead that the caller's company sees as linked to each of the opportunities.
    pub async fn leads_of_opportunities(
        &self,
        member: &Member,
        ids: &[OpportunityId],
    ) -> Result<Vec<(OpportunityId, Lead)>> {
        let now = self.now();
        let leads = store::lead::by_opportunities(self.db().read(), Scope::of(member), ids).await?;
        let mut current = Vec::with_capacity(leads.len());
        for (id, lead) in leads {
            current.push((id, self.as_of(lead, now).await?));
        }
        Ok(current)
    }

    /// The references of those leads in the caller's company's other systems.
    pub async fn references(&self, member: &Member, ids: &[LeadId]) -> Result<Vec<(LeadId, ExternalReference)>> {
        store::key::references(self.db().read(), Scope::of(member), ids).await
    }

    /// The lead as it is for every caller now: expired when its limit has passed, recorded or not.
    pub(super) async fn as_of(&self, mut lead: Lead, now: DateTime<Utc>) -> Result<Lead> {
        if lead.expired_by(now) {
            let definition = self.definition(&lead.workflow).await?;
            let due = engine::due(&definition, &facts(&lead), now);
            if let Some(stage) = due.and_then(|action| definition.stage(action.to.as_ref()?)) {
                lead.put(stage);
            }
            if due.is_some_and(|action| action.effects.contains(&Effect::RecordDate { date: DateKey::Expired })) {
                lead.expired_at = lead.expires_at;
            }
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

    /// What the member could do with the lead now, were it not for fields of it that are empty, each with their paths.
    pub fn blocked_actions<'d>(
        &self,
        member: &Member,
        lead: &Lead,
        definition: &'d Definition,
    ) -> Vec<(&'d Action, Vec<&'d str>)> {
        if lead.ended_at.is_some() {
            return Vec::new();
        }
        engine::blocked(definition, &facts(lead), caller(member, lead), self.now())
    }

    /// The paths of the lead's content that the member can't change now, and of those whose change triggers a review.
    pub fn ruled_fields(
        &self,
        member: &Member,
        lead: &Lead,
        definition: &Definition,
    ) -> (Vec<&'static str>, Vec<&'static str>) {
        let read_only = lead.side != Side::Source || lead.archived || !lead.active || !member.has(WRITERS);
        let (mut fixed, mut reviewed) = (Vec::new(), Vec::new());
        let now = self.now();
        for path in FIELDS.iter().map(|field| field.path).filter(|path| is_content(path)) {
            match engine::editing(definition, &facts(lead), &member.roles, path, now) {
                _ if read_only => fixed.push(path),
                engine::Editing::Free => {}
                engine::Editing::Reviewed(_) => reviewed.push(path),
                engine::Editing::Fixed(_) => fixed.push(path),
            }
        }
        (fixed, reviewed)
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
            return Ok(Created { lead: self.as_of(lead, tx.now).await?, new: false });
        }
        let template = self.lead_template(tx, member, new.template_key.as_deref()).await?;
        let definition = self.definition_in(tx, &template.workflow).await?;
        let serial = store::company::next_lead_number(tx.db(), member.company).await?;
        store::lead::insert(tx.db(), id, serial, member, tx.now).await?;
        let mut source = Lead {
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
            stage: String::new(),
            stage_kind: StageKind::Open,
            stage_locked: false,
            status: None,
            owner: new.owner.or_else(|| member.has(authorize::PEOPLE).then_some(member.id)),
            active: true,
            archived: false,
            reason: None,
            expires_at: None,
            on_expiry: None,
            expires_to: None,
            warn_at: None,
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
            details: None,
            vendor: None,
            stage_moved_by: None,
        };
        source.set_details(Details { qualification: new.qualification.clone(), ..Details::default() });
        source.begin(&definition);
        template.complete(&mut source, "input")?;
        if let Some(reference) = &new.reference
            && store::key::insert_reference(tx.db(), Scope::of(member), id, reference, tx.now).await?.is_some()
        {
            return Err(taken(reference).into());
        }
        tx.happened(vec![member.company], Some(member.id), Some(id), None, Happening::LeadCreated {});
        let Some(partnership) = new.partnership else {
            store::lead::add_view(tx.db(), &source).await?;
            duplicate::tell(tx, &[&source]).await?;
            return Ok(Created { lead: source, new: true });
        };
        let old = Parties { mine: source, other: None };
        let call = ActionCall {
            asked: Asked::Share,
            form: partnership_form(partnership),
            prefix: "input",
            expires_at: new.expires_at,
            expected_version: None,
            once: None,
        };
        let plan = Box::pin(self.plan(tx, member, &old, template, &call)).await?;
        let moved = Box::pin(self.carry_out(tx, Some(member), &plan, call.prefix)).await?;
        // The lead has just come to be: its first version is the one that it is shared with.
        let source = Lead { version: 1, ..moved.mine };
        action::begin_passing(tx, moved.passing.as_ref()).await?;
        store::lead::add_view(tx.db(), &source).await?;
        let mut added = vec![&source];
        if let Some(passing) = &moved.passing {
            store::lead::insert_view(tx.db(), &passing.view).await?;
            added.push(&passing.view);
        }
        duplicate::tell(tx, &added).await?;
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
            let loaded = Box::pin(self.settle(tx, loaded)).await?;
            let content = !(change.title.is_absent()
                && change.description.is_absent()
                && change.lead_source.is_absent()
                && change.customer.is_absent()
                && change.estimated_value.is_absent()
                && change.expires_at.is_absent());
            if loaded.mine.side != Side::Source && !change.qualification.is_absent() {
                return Err(Error::because(Reason::OtherSide, "Only the company that sourced the lead qualifies it."));
            }
            if content && loaded.mine.side != Side::Source {
                return Err(Error::because(
                    Reason::OtherSide,
                    "Only the company that sourced the lead changes its content; yours may set its own ownerId and \
                     externalReference.",
                ));
            }
            if !change.owner_id.is_absent() {
                let definition = self.definition_in(tx, &loaded.mine.workflow).await?;
                engine::may_name_owner(&definition, &facts(&loaded.mine), caller(member, &loaded.mine), tx.now)?;
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
            let mut changes = Lead::differences(&loaded.mine, &mine);
            if let Some(reference) = &reference {
                match store::key::insert_reference(tx.db(), Scope::of(member), id, reference, tx.now).await? {
                    None => {
                        let name = format!("{} {}", reference.system, reference.id);
                        changes.extend(FieldChange::of("externalReference", None, Some(name)));
                    }
                    Some(other) if other != id => return Err(taken(reference).into()),
                    Some(_) => {}
                }
            }
            let owner = loaded.mine.owner != mine.owner;
            if changes.is_empty() && !owner {
                return Ok(mine);
            }
            if mine.side == Side::Source {
                let templates = store::company::templates_by_ids(tx.db(), &[mine.template]).await?;
                for template in templates {
                    template.still_complete(&loaded.mine, &mine, "input")?;
                }
            }
            let reviews = self.reviews(tx, member, &loaded.mine, &changes).await?;
            let own = |change: &FieldChange| {
                change.field == "externalReference" || change.field.starts_with("qualification.")
            };
            let (own, shared): (Vec<_>, Vec<_>) = changes.into_iter().partition(own);
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
                warn_at: mine.warn_at,
                version: other.version + 1,
                updated_at: tx.now,
                ..other.clone()
            });
            let mut audience = vec![mine.company];
            if owner {
                let happening = Happening::LeadOwnerChanged { from: loaded.mine.owner, to: mine.owner };
                tx.happened(audience.clone(), Some(member.id), Some(id), None, happening);
            }
            if !own.is_empty() {
                let happening = Happening::LeadUpdated { changes: own };
                tx.happened(audience.clone(), Some(member.id), Some(id), None, happening);
            }
            if !shared.is_empty() {
                audience.extend(other.as_ref().map(|other| other.company));
                let happening = Happening::LeadUpdated { changes: shared };
                tx.happened(audience, Some(member.id), Some(id), None, happening);
            }
            Box::pin(self.save_change(tx, member, loaded, Parties { mine, other }, &reviews)).await
        })
    }

    /// Saves a change of a lead with the actions of the system that it triggers, and tells of duplicates that it makes.
    async fn save_change(
        &self,
        tx: &mut Tx,
        member: &Member,
        loaded: Authorized<Parties>,
        mut changed: Parties,
        reviews: &[String],
    ) -> Result<Lead> {
        let views = [Some((&loaded.mine, &changed.mine)), loaded.other.as_ref().zip(changed.other.as_ref())];
        let views: Vec<_> = views.into_iter().flatten().collect();
        let before = duplicate::before(tx, &views).await?;
        for action in reviews {
            changed = Box::pin(self.review(tx, member, changed, action)).await?;
        }
        let Parties { mine, other } = changed;
        if reviews.is_empty() {
            authorize::save_lead(tx, loaded, &mine, other.as_ref()).await?;
        } else {
            self.save(tx, loaded, action::Moved { mine: mine.clone(), other, passing: None }).await?;
        }
        duplicate::tell_of_change(tx, before).await?;
        Ok(mine)
    }

    /// The keys of the system's actions that these changes trigger, by the workflow's rules of fields.
    ///
    /// # Errors
    /// `FORBIDDEN` for each field that is fixed where the lead stands.
    async fn reviews(&self, tx: &Tx, member: &Member, lead: &Lead, changes: &[FieldChange]) -> Result<Vec<String>> {
        let definition = self.definition_in(tx, &lead.workflow).await?;
        let (mut faults, mut reviews) = (Vec::new(), Vec::new());
        for change in changes {
            match engine::editing(&definition, &facts(lead), &member.roles, &change.field, tx.now) {
                engine::Editing::Free => {}
                engine::Editing::Reviewed(action) if reviews.contains(&action.key) => {}
                engine::Editing::Reviewed(action) => reviews.push(action.key.clone()),
                engine::Editing::Fixed(stage) => {
                    let field = change.field.replace("phoneAsTyped", "phone");
                    let message = format!(
                        "{field} is fixed at the stage {}: it was agreed with the other side, so that it stays as it is.",
                        stage.name
                    );
                    let fault = Fault::because(Reason::FieldFixed, message).stage(stage.key.as_str());
                    faults.push(fault.at(format!("input.{field}")));
                }
            }
        }
        faults.dedup_by(|a, b| a.field == b.field);
        if faults.is_empty() { Ok(reviews) } else { Err(faults.into()) }
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
        if !change.qualification.is_absent() {
            let mut details = lead.details().clone();
            details.qualification = match &change.qualification {
                Patch::Value(patch) => patch.apply(&details.qualification, "input.qualification", faults),
                _ => Qualification::default(),
            };
            lead.set_details(details);
        }
        self.apply_limit(tx, change.expires_at, lead, faults).await?;
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

    /// Sets, lengthens or removes the limit that a lead runs into.
    async fn apply_limit(
        &self,
        tx: &Tx,
        limit: Patch<DateTime<Utc>>,
        lead: &mut Lead,
        faults: &mut Vec<Fault>,
    ) -> Result<()> {
        // What the receiver was told of since its answer: the latest limit, be it removed by now.
        let answer = lead.standing(lead.answer_track());
        let answered = lead.assignment.is_some() && !matches!(answer, StageKind::Open | StageKind::Awaiting);
        let promised = lead.expires_at.max(lead.details().promised_until).filter(|_| answered);
        match limit {
            Patch::Absent => {}
            _ if lead.expires_at.is_some()
                && lead.expires_to.as_ref().is_none_or(|to| to.kind != StageKind::Expired) =>
            {
                faults.push(Fault::invalid(
                    "input.expiresAt",
                    "The counter that runs is no limit for an answer or a conversion: the action that set it sets it anew.",
                ));
            }
            Patch::Null => {
                action::tell_details(lead, |details| details.promised_until = promised);
                action::stop_counter(lead);
            }
            Patch::Value(at) => {
                let definition = self.definition_in(tx, &lead.workflow).await?;
                let ends = engine::ended_by(&definition, &facts(lead)).filter(|_| lead.receiver.is_some());
                if lead.expires_at.is_none() && ends.is_none() {
                    let message = "Nothing that this lead stands at is ended by a limit, so it has none to set.";
                    faults.push(Fault::invalid("input.expiresAt", message));
                } else if at <= tx.now {
                    faults.push(Fault::invalid("input.expiresAt", "The limit must be in the future."));
                } else if answered && promised.is_none() {
                    let message = "The receiver has accepted the lead without a limit: it can't be set now.";
                    faults.push(Fault::invalid("input.expiresAt", message));
                } else if let Some(promised) = promised.filter(|promised| at < *promised) {
                    let promised = promised.to_rfc3339_opts(SecondsFormat::Millis, true);
                    let message = format!(
                        "The receiver has accepted the lead with the limit {promised}: it can be lengthened, not shortened."
                    );
                    faults.push(Fault::invalid("input.expiresAt", message));
                } else if at > latest(tx.now) {
                    faults.push(Fault::invalid("input.expiresAt", "The limit must be within the next 10 years."));
                } else if lead.expires_at != Some(at) {
                    if let (None, Some((key, stage))) = (
                        lead.expires_at,
                        ends.and_then(|action| Some((&action.key, definition.stage(action.to.as_ref()?)?))),
                    ) {
                        lead.on_expiry = Some(key.clone());
                        lead.expires_to =
                            Some(Destination { stage: stage.key.clone(), kind: stage.kind, track: stage.track });
                    }
                    lead.expires_at = Some(at);
                    lead.warn_at = Some(tx.warn_at(at));
                    action::tell_details(lead, |details| details.promised_until = promised.map(|_| at));
                }
            }
        }
        Ok(())
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
    qualification: Qualification,
    template_key: Option<String>,
    partnership: Option<PartnershipId>,
    expires_at: Option<DateTime<Utc>>,
    reference: Option<ExternalReference>,
    owner: Option<MemberId>,
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
        let qualification = new.qualification.apply(&Qualification::default(), "input.qualification", &mut faults);
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
            qualification,
            template_key,
            partnership,
            expires_at,
            reference,
            owner: new.owner,
        })
    }
}

/// What an import needs besides.
impl Service {
    /// The lead that a record of another system was made into, as the caller's company named it.
    pub async fn lead_by_reference(&self, member: &Member, reference: &ExternalReference) -> Result<Option<LeadId>> {
        store::key::lead_by_reference(self.db().read(), Scope::of(member), &reference.system, &reference.id).await
    }
}
