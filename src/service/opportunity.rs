//! Opportunities: what leads become.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value};

use super::{
    Service, Tx,
    authorize::{self, PEOPLE},
    cursor::List,
    lead::{MoneyInput, claim, fingerprint, idempotency, own_member},
    transaction,
};
use crate::{
    domain::{
        actor::{Member, Side},
        duration::parse_day,
        event::Happening,
        id::{CompanyId, LeadId, MemberId, OpportunityId},
        lead::{DESCRIPTION_MAX, Lead},
        money::Money,
        opportunity::{LINE_MAX, NAME_MAX, Opportunity, SITUATION_MAX},
        page::{Page, PageRequest},
        patch::Patch,
        text::{self, Rules},
        workflow::{
            definition::{Action, Definition, Subject, TrackKey},
            engine::{self, Caller, Change, Decision, Facts, FieldValue, Fields, Form, Limits},
        },
    },
    error::{Error, Fault, Reason, Result},
    store::{self, opportunity::OpportunityFilter, scope::Scope},
};

/// An opportunity to be created, checked but for its missing name.
#[derive(Clone, Debug, Default)]
pub struct NewOpportunity {
    /// Its name.
    pub name: Option<String>,
    /// What it is worth.
    pub value: Option<Money>,
    /// When it is expected to close.
    pub close_date: Option<NaiveDate>,
    /// What it is about.
    pub description: Option<String>,
    /// The city that the customer is in.
    pub city: Option<String>,
    /// How the matter stands at the customer's.
    pub current_situation: Option<String>,
    /// The line of products or services that is sold.
    pub selling_direction: Option<String>,
    /// The template's key; the company's default where absent.
    pub template_key: Option<String>,
    /// Who works it; who creates it, where absent.
    pub responsible: Option<MemberId>,
    /// The same as the caller gave it, not looked up yet.
    pub(super) responsible_as_given: Option<String>,
}

/// An opportunity as a caller gives it.
#[derive(Clone, Debug, Default)]
pub struct OpportunityInput {
    /// Its name.
    pub name: Option<String>,
    /// What it is worth.
    pub value: Option<MoneyInput>,
    /// When it is expected to close, ISO 8601.
    pub close_date: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// The city that the customer is in.
    pub city: Option<String>,
    /// How the matter stands at the customer's.
    pub current_situation: Option<String>,
    /// The line of products or services that is sold.
    pub selling_direction: Option<String>,
    /// The template's key; the company's default where absent.
    pub template_key: Option<String>,
    /// Makes a repetition of the call safe.
    pub idempotency_key: Option<String>,
}

/// A change of an opportunity's fields.
#[derive(Clone, Debug, Default)]
pub struct OpportunityChange {
    /// Its name.
    pub name: Patch<String>,
    /// What it is about.
    pub description: Patch<String>,
    /// What it is worth.
    pub value: Patch<MoneyInput>,
    /// When it is expected to close, ISO 8601.
    pub close_date: Patch<String>,
    /// The city that the customer is in.
    pub city: Patch<String>,
    /// How the matter stands at the customer's.
    pub current_situation: Patch<String>,
    /// The line of products or services that is sold.
    pub selling_direction: Patch<String>,
    /// Who works it, a global id.
    pub responsible_id: Patch<String>,
    /// The version that the caller read.
    pub expected_version: Option<i32>,
}

/// A move to another stage.
#[derive(Clone, Debug, Default)]
pub struct OpportunityMove {
    /// The stage, by key or name.
    pub stage: String,
    /// Why, where the action asks for it.
    pub reason: Option<String>,
    /// The deal's value from now on.
    pub value: Option<MoneyInput>,
    /// The day it closes, or closed, ISO 8601.
    pub close_date: Option<String>,
    /// The version that the caller read.
    pub expected_version: Option<i32>,
}

impl NewOpportunity {
    fn from_input(input: &OpportunityInput, prefix: &str, faults: &mut Vec<Fault>) -> Self {
        let at = |field: &str| format!("{prefix}.{field}");
        Self {
            name: Rules::line(NAME_MAX).optional(input.name.as_deref(), &at("name"), faults),
            value: input.value.as_ref().and_then(|value| value.validate(&at("value"), faults)),
            close_date: day(input.close_date.as_deref(), &at("closeDate"), faults),
            description: Rules::lines(DESCRIPTION_MAX).optional(
                input.description.as_deref(),
                &at("description"),
                faults,
            ),
            city: Rules::line(LINE_MAX).optional(input.city.as_deref(), &at("city"), faults),
            current_situation: Rules::lines(SITUATION_MAX).optional(
                input.current_situation.as_deref(),
                &at("currentSituation"),
                faults,
            ),
            selling_direction: Rules::line(LINE_MAX).optional(
                input.selling_direction.as_deref(),
                &at("sellingDirection"),
                faults,
            ),
            template_key: input.template_key.clone(),
            ..Self::default()
        }
    }

    /// From the form of an action that creates one (missions C6, C8), as the engine has read it. A form's text may be
    /// longer than an opportunity's.
    pub(super) fn from_decision(form: &[(String, FieldValue)], prefix: &str, faults: &mut Vec<Fault>) -> Self {
        let mut new = Self::default();
        let mut text =
            |rules: Rules, key: &str, text: &str| rules.optional(Some(text), &format!("{prefix}.{key}"), faults);
        for (key, value) in form {
            match (key.as_str(), value) {
                ("name", FieldValue::Text(name)) => new.name = text(Rules::line(NAME_MAX), key, name),
                ("responsible", FieldValue::Id(id)) => new.responsible_as_given = Some(id.clone()),
                ("city", FieldValue::Text(city)) => new.city = text(Rules::line(LINE_MAX), key, city),
                ("currentSituation", FieldValue::Text(situation)) => {
                    new.current_situation = text(Rules::lines(SITUATION_MAX), key, situation);
                }
                ("estimatedRevenue", FieldValue::Money(money)) => new.value = Some(*money),
                ("estimatedCloseDate", FieldValue::Date(date)) => new.close_date = Some(*date),
                ("sellingDirection", FieldValue::Text(direction)) => {
                    new.selling_direction = text(Rules::line(LINE_MAX), key, direction);
                }
                ("description", FieldValue::Text(description)) => {
                    new.description = text(Rules::lines(DESCRIPTION_MAX), key, description);
                }
                _ => {}
            }
        }
        new
    }

    /// From the form of an action: an object as `OpportunityInput`. What is absent is the lead's; what is null is empty.
    pub(super) fn from_form(form: &Map<String, Value>, lead: &Lead, prefix: &str, faults: &mut Vec<Fault>) -> Self {
        let mut input = OpportunityInput::default();
        if form.get("name").is_some_and(|name| name.is_null() || name.as_str().is_some_and(text::is_blank)) {
            faults.push(text::missing(&format!("{prefix}.name")));
        }
        for (key, value) in form {
            let slot = match (key.as_str(), value) {
                (_, Value::Null) => continue,
                ("name", Value::String(text)) => (&mut input.name, text),
                ("closeDate", Value::String(text)) => (&mut input.close_date, text),
                ("description", Value::String(text)) => (&mut input.description, text),
                ("city", Value::String(text)) => (&mut input.city, text),
                ("currentSituation", Value::String(text)) => (&mut input.current_situation, text),
                ("sellingDirection", Value::String(text)) => (&mut input.selling_direction, text),
                ("templateKey", Value::String(text)) => (&mut input.template_key, text),
                ("value", Value::Object(money)) => {
                    let part = |key: &str| money.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                    input.value = Some(MoneyInput { amount: part("amount"), currency: part("currency") });
                    continue;
                }
                (
                    "name" | "closeDate" | "description" | "value" | "city" | "currentSituation" | "sellingDirection"
                    | "templateKey",
                    _,
                ) => {
                    faults.push(Fault::invalid(format!("{prefix}.{key}"), format!("{key} has the wrong type.")));
                    continue;
                }
                _ => {
                    let message = "An opportunity's form has name, value, closeDate, description, city, currentSituation, \
                                   sellingDirection and templateKey.";
                    faults.push(Fault::invalid(format!("{prefix}.{}", text::excerpt(key)), message));
                    continue;
                }
            };
            *slot.0 = Some(slot.1.clone());
        }
        let new = Self::from_input(&input, prefix, faults);
        let absent = |key: &str| !form.contains_key(key);
        Self {
            name: new.name.or_else(|| absent("name").then(|| lead.title.clone())),
            value: new.value.or_else(|| lead.value.filter(|_| absent("value"))),
            description: new.description.or_else(|| lead.description.clone().filter(|_| absent("description"))),
            city: new.city.or_else(|| lead.customer.address.city.clone().filter(|_| absent("city"))),
            ..new
        }
    }
}

fn day(text: Option<&str>, field: &str, faults: &mut Vec<Fault>) -> Option<NaiveDate> {
    text.and_then(|text| text::keep(parse_day(text), field, faults))
}

impl Service {
    /// A page of the opportunities that the caller may read, the newest first.
    pub async fn opportunities(
        &self,
        member: &Member,
        filter: &OpportunityFilter,
        page: PageRequest,
    ) -> Result<Page<Opportunity>> {
        let window = self.window(member, List::Opportunities, page, true)?;
        let slice = store::opportunity::list(self.db().read(), Scope::of(member), filter, &window).await?;
        Ok(Self::page(member, List::Opportunities, &window, slice, |item| (item.created_at, item.id.0)))
    }

    /// Those of the opportunities that the caller may read.
    pub async fn opportunities_by_ids(&self, member: &Member, ids: &[OpportunityId]) -> Result<Vec<Opportunity>> {
        store::opportunity::by_ids(self.db().read(), Scope::of(member), ids).await
    }

    /// What the member may do with the opportunity now.
    pub fn available_opportunity_actions<'d>(
        &self,
        member: &Member,
        opportunity: &Opportunity,
        definition: &'d Definition,
    ) -> Vec<&'d Action> {
        if opportunity.ended_at.is_some() {
            return Vec::new();
        }
        engine::available(definition, &facts(opportunity), caller(member, opportunity), self.now())
    }

    /// What the member could do with the opportunity now, were it not for fields of it that are empty, each with their
    /// paths.
    pub fn blocked_opportunity_actions<'d>(
        &self,
        member: &Member,
        opportunity: &Opportunity,
        definition: &'d Definition,
    ) -> Vec<(&'d Action, Vec<&'d str>)> {
        if opportunity.ended_at.is_some() {
            return Vec::new();
        }
        engine::blocked(definition, &facts(opportunity), caller(member, opportunity), self.now())
    }

    /// Creates an opportunity without a lead; a lead can be linked to it later.
    pub async fn create_opportunity(&self, member: &Member, input: &OpportunityInput) -> Result<Opportunity> {
        authorize::role(member, PEOPLE, "create an opportunity")?;
        let mut faults = Vec::new();
        let key = idempotency(input.idempotency_key.as_deref(), &mut faults);
        let new = NewOpportunity::from_input(input, "input", &mut faults);
        if new.name.is_none() && faults.iter().all(|fault| fault.field.as_deref() != Some("input.name")) {
            faults.push(text::missing("input.name"));
        }
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let fingerprint = fingerprint(input);
        transaction!(self, tx, {
            if let Some(key) = &key {
                let id: OpportunityId = tx.fresh();
                if let Some(earlier) = claim(tx, member, key, "createOpportunity", &fingerprint, id.0).await? {
                    let found =
                        store::opportunity::by_ids(tx.db(), Scope::of(member), &[OpportunityId(earlier)]).await?;
                    return found.into_iter().next().ok_or_else(|| Error::not_found("opportunity"));
                }
                return self.insert_opportunity(tx, member, id, new.clone(), None).await;
            }
            let id = tx.fresh();
            self.insert_opportunity(tx, member, id, new.clone(), None).await
        })
    }

    /// Adds an opportunity; `lead` is the one that becomes it, with the other company that hears of that.
    pub(super) async fn insert_opportunity(
        &self,
        tx: &mut Tx,
        member: &Member,
        id: OpportunityId,
        new: NewOpportunity,
        lead: Option<(LeadId, Option<CompanyId>)>,
    ) -> Result<Opportunity> {
        let template = self.template_for(tx, member, Subject::Opportunity, new.template_key.as_deref()).await?;
        let definition = self.definition_in(tx, &template.workflow).await?;
        let initial = definition
            .initial(TrackKey::Stage)
            .ok_or_else(|| Error::internal("a workflow without its initial stage"))?;
        let opportunity = Opportunity {
            id,
            company: member.company,
            side: Side::Receiver,
            template: template.id,
            workflow: template.workflow,
            name: new.name.unwrap_or_default(),
            description: new.description,
            city: new.city,
            current_situation: new.current_situation,
            selling_direction: new.selling_direction,
            value: new.value,
            close_date: new.close_date,
            stage: initial.key.clone(),
            stage_kind: initial.kind,
            responsible: new.responsible.or(Some(member.id)),
            reason: None,
            closed_at: None,
            version: 1,
            ended_at: None,
            created_at: tx.now,
            updated_at: tx.now,
        };
        store::opportunity::insert(tx.db(), id, member, tx.now).await?;
        store::opportunity::insert_view(tx.db(), &opportunity).await?;
        let happening = Happening::OpportunityCreated {};
        let audience = std::iter::once(member.company).chain(lead.and_then(|(_, other)| other)).collect();
        tx.happened(audience, Some(member.id), lead.map(|(lead, _)| lead), Some(id.0), happening);
        Ok(opportunity)
    }

    /// Shows an opportunity to the company that sourced a lead of it.
    pub(super) async fn show_opportunity(
        &self,
        tx: &Tx,
        member: &Member,
        id: OpportunityId,
        source: CompanyId,
    ) -> Result<()> {
        let own = store::opportunity::by_ids(tx.db(), Scope::of(member), &[id]).await?;
        let own = own.into_iter().next().ok_or_else(|| Error::internal("the opportunity just linked is missing"))?;
        let view = Opportunity { company: source, side: Side::Source, version: 1, created_at: tx.now, ..own };
        store::opportunity::insert_view(tx.db(), &view).await
    }

    /// Changes an opportunity's fields: what is absent stays, what is null is cleared.
    pub async fn update_opportunity(
        &self,
        member: &Member,
        id: OpportunityId,
        change: &OpportunityChange,
    ) -> Result<Opportunity> {
        transaction!(self, tx, {
            let loaded = authorize::opportunity(tx, member, id, "input.opportunityId").await?;
            let old = &loaded[0];
            if old.side != Side::Receiver {
                return Err(Error::because(
                    Reason::OtherSide,
                    "Only the company that works the opportunity changes it.",
                ));
            }
            authorize::role(member, PEOPLE, "change an opportunity")?;
            authorize::version("opportunity", old.version, change.expected_version)?;
            let mut new = old.clone();
            let mut faults = Vec::new();
            match &change.name {
                Patch::Absent => {}
                Patch::Null => faults.push(text::missing("input.name")),
                Patch::Value(name) => {
                    new.name =
                        Rules::line(NAME_MAX).required(Some(name), "input.name", &mut faults).unwrap_or_default();
                }
            }
            new.description = change.description.clone().checked(new.description, |text| {
                Rules::lines(DESCRIPTION_MAX).optional(Some(&text), "input.description", &mut faults)
            });
            let mut line = |patch: &Patch<String>, old: Option<String>, rules: Rules, field: &str| {
                patch.clone().checked(old, |text| rules.optional(Some(&text), field, &mut faults))
            };
            new.city = line(&change.city, new.city, Rules::line(LINE_MAX), "input.city");
            let (situation, rules) = (new.current_situation.take(), Rules::lines(SITUATION_MAX));
            new.current_situation = line(&change.current_situation, situation, rules, "input.currentSituation");
            let (direction, rules) = (new.selling_direction.take(), Rules::line(LINE_MAX));
            new.selling_direction = line(&change.selling_direction, direction, rules, "input.sellingDirection");
            new.value = change.value.clone().checked(new.value, |value| value.validate("input.value", &mut faults));
            new.close_date = change
                .close_date
                .clone()
                .checked(new.close_date, |text| day(Some(&text), "input.closeDate", &mut faults));
            match &change.responsible_id {
                Patch::Absent => {}
                Patch::Null => new.responsible = None,
                Patch::Value(id) => match own_member(tx, member.company, id, "input.responsibleId").await {
                    Ok(id) => new.responsible = Some(id),
                    Err(Error::Faults(more)) => faults.extend(more),
                    Err(error) => return Err(error),
                },
            }
            if !faults.is_empty() {
                return Err(faults.into());
            }
            let changes = Opportunity::differences(old, &new);
            if changes.is_empty() {
                return Ok(new);
            }
            let happening = Happening::OpportunityUpdated { changes };
            self.save_opportunity(tx, member, &loaded, new, vec![happening]).await
        })
    }

    /// Moves an opportunity to another stage; same rules as the action that leads there.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `INVALID_TRANSITION`, `CONFLICT`, and the form's faults.
    pub async fn move_opportunity(
        &self,
        member: &Member,
        id: OpportunityId,
        wish: &OpportunityMove,
    ) -> Result<Opportunity> {
        transaction!(self, tx, {
            let loaded = authorize::opportunity(tx, member, id, "input.opportunityId").await?;
            let old = &loaded[0];
            authorize::version("opportunity", old.version, wish.expected_version)?;
            let definition = self.definition_in(tx, &old.workflow).await?;
            let (facts, caller) = (facts(old), caller(member, old));
            let stage = engine::find_stage(&definition, &wish.stage).ok_or_else(|| {
                let keys: Vec<_> = definition.stages.iter().map(|stage| stage.key.as_str()).collect();
                let message = format!("The workflow has no such stage; its stages are {}.", keys.join(", "));
                Fault::invalid("input.stage", message).stage(old.stage.as_str())
            })?;
            let action = engine::action_to(&definition, &facts, stage, caller, tx.now)?;
            let mut values = Map::new();
            let mut new = old.clone();
            let mut faults = Vec::new();
            let asks = |key: &str| action.fields.iter().any(|field| field.key == key);
            if let Some(reason) = &wish.reason {
                values.insert("reason".to_owned(), Value::String(reason.clone()));
            }
            // Where the action has no field for them, value and close date are ordinary changes of the deal.
            match &wish.value {
                Some(value) if asks("value") => {
                    let money = serde_json::json!({ "amount": value.amount, "currency": value.currency });
                    values.insert("value".to_owned(), money);
                }
                Some(value) => new.value = value.validate("input.value", &mut faults),
                None => {}
            }
            match &wish.close_date {
                Some(text) if asks("closeDate") => {
                    values.insert("closeDate".to_owned(), Value::String(text.clone()));
                }
                Some(text) => new.close_date = day(Some(text), "input.closeDate", &mut faults),
                None => {}
            }
            let form = Form { values: &values, prefix: "input" };
            let decision = engine::decide(&definition, &facts, caller, &action.key, &form, tx.now)?;
            if !faults.is_empty() {
                return Err(faults.into());
            }
            self.carry_out_opportunity(tx, member, &loaded, new, decision).await
        })
    }

    /// Takes an action of the opportunity's workflow, with its form.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `INVALID_TRANSITION`, `CONFLICT`, and the form's faults.
    pub async fn perform_opportunity(
        &self,
        member: &Member,
        id: OpportunityId,
        action: &str,
        form: &Map<String, Value>,
        expected_version: Option<i32>,
    ) -> Result<Opportunity> {
        transaction!(self, tx, {
            let loaded = authorize::opportunity(tx, member, id, "input.opportunityId").await?;
            let old = &loaded[0];
            authorize::version("opportunity", old.version, expected_version)?;
            let definition = self.definition_in(tx, &old.workflow).await?;
            let form = Form { values: form, prefix: "input.fields" };
            let decision = engine::decide(&definition, &facts(old), caller(member, old), action, &form, tx.now)?;
            let new = old.clone();
            self.carry_out_opportunity(tx, member, &loaded, new, decision).await
        })
    }

    async fn carry_out_opportunity(
        &self,
        tx: &mut Tx,
        member: &Member,
        loaded: &authorize::Authorized<Vec<Opportunity>>,
        mut new: Opportunity,
        decision: Decision,
    ) -> Result<Opportunity> {
        new.stage.clone_from(&decision.to.key);
        new.stage_kind = decision.to.kind;
        if decision.from.key != decision.to.key {
            new.closed_at = decision.to.terminal.then_some(tx.now);
        }
        let mut reason = None;
        for change in &decision.changes {
            match change {
                Change::Value(value) => new.value = Some(*value),
                Change::CloseDate(date) => new.close_date = Some(*date),
                Change::Reason(text) => {
                    new.reason.clone_from(text);
                    reason.clone_from(text);
                }
                Change::Reopen(_) => new.reason = None,
                _ => return Err(Error::internal("an opportunity's workflow changes a lead")),
            }
        }
        let mut happenings = vec![Happening::OpportunityStageChanged {
            from: decision.from,
            to: decision.to,
            action: decision.action,
            reason,
        }];
        let changes = Opportunity::differences(&loaded[0], &new);
        if !changes.is_empty() {
            happenings.push(Happening::OpportunityUpdated { changes });
        }
        self.save_opportunity(tx, member, loaded, new, happenings).await
    }

    /// Saves a changed opportunity in every view that is live, and tells those who see it, lead by lead.
    async fn save_opportunity(
        &self,
        tx: &mut Tx,
        member: &Member,
        loaded: &authorize::Authorized<Vec<Opportunity>>,
        new: Opportunity,
        happenings: Vec<Happening>,
    ) -> Result<Opportunity> {
        let views: Vec<_> = loaded
            .iter()
            .map(|view| Opportunity {
                company: view.company,
                side: view.side,
                version: view.version + 1,
                created_at: view.created_at,
                updated_at: tx.now,
                ..new.clone()
            })
            .collect();
        authorize::save_opportunity(tx, loaded, &views).await?;
        let live: Vec<_> = views.iter().map(|view| view.company).collect();
        let mut audiences: Vec<(LeadId, Vec<CompanyId>)> = Vec::new();
        for (lead, company) in store::opportunity::audience(tx.db(), new.id).await? {
            if live.contains(&company) {
                match audiences.iter_mut().find(|(id, _)| *id == lead) {
                    Some((_, companies)) => companies.push(company),
                    None => audiences.push((lead, vec![company])),
                }
            }
        }
        let actor = Some(member.id);
        for happening in happenings {
            if audiences.iter().all(|(_, companies)| !companies.contains(&member.company)) {
                tx.happened(vec![member.company], actor, None, Some(new.id.0), happening.clone());
            }
            for (lead, companies) in &audiences {
                tx.happened(companies.clone(), actor, Some(*lead), Some(new.id.0), happening.clone());
            }
        }
        Ok(views.into_iter().next().unwrap_or(new))
    }
}

fn facts(opportunity: &Opportunity) -> Facts<'_> {
    Facts {
        stage: &opportunity.stage,
        status: None,
        stage_locked: false,
        expires_at: None::<DateTime<Utc>>,
        on_expiry: None,
        orphaned: false,
        active: true,
        limits: Limits::default(),
        fields: Fields::Opportunity(opportunity),
        expires_at_override: None,
    }
}

fn caller<'a>(member: &'a Member, opportunity: &Opportunity) -> Caller<'a> {
    Caller::Member {
        side: opportunity.side,
        vendor: None,
        moves_stage: false,
        roles: &member.roles,
        owner: opportunity.responsible == Some(member.id),
    }
}
