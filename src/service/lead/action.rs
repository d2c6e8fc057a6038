//! What becomes of a lead: the actions of its workflow, whoever takes them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::{ActionCall, Asked, at_stage, claim, fingerprint, idempotency, text_id};
use crate::{
    domain::{
        actor::{Member, Side},
        comment::Visibility,
        company::{Partnership, PartnershipState, Profile},
        event::{FieldChange, Happening},
        global_id::NodeType,
        id::{AssignmentId, CompanyId, LeadId, MemberId, OpportunityId, PartnershipId},
        lead::{Destination, Internal, Lead, Paused},
        task::{Task, TaskChange, TaskState},
        template::Template,
        workflow::{
            definition::{DateKey, Definition, Direction, Effect, StageKind, Subject, TrackKey},
            engine::{self, Caller, Change, Decision, Facts, Fields, Form, Limits},
        },
    },
    error::{Error, ErrorCode, Fault, Reason, Result},
    service::{
        Service, Tx,
        authorize::{self, Authorized, Purpose},
        duplicate,
        opportunity::NewOpportunity,
        transaction,
    },
    store::{
        self,
        lead::Parties,
        scope::Scope,
        thread::{Cancelled, Over},
    },
};

impl Service {
    /// Takes an action of the lead's workflow: every transition by a person comes through here.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `INVALID_TRANSITION`, `LEAD_EXPIRED`, `LEAD_INACTIVE`, `CONFLICT`, and the form's faults.
    pub async fn perform(&self, member: &Member, id: LeadId, call: &ActionCall<'_>) -> Result<Lead> {
        let mut faults = Vec::new();
        let once = call.once.as_ref().map(|once| (once.operation, idempotency(Some(&once.key), &mut faults)));
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let fingerprint = once.as_ref().map(|_| fingerprint(&(id, call)));
        transaction!(self, tx, {
            if let Some(((operation, Some(key)), fingerprint)) = once.as_ref().zip(fingerprint.as_ref())
                && let Some(earlier) = claim(tx, member, key, operation, fingerprint, id.0).await?
            {
                let found = store::lead::find(tx.db(), Scope::of(member), LeadId(earlier)).await?;
                return self.as_of(found.ok_or_else(|| Error::not_found("lead"))?, tx.now).await;
            }
            let loaded = authorize::lead(tx, member, id, "input.leadId", Purpose::Action).await?;
            authorize::version("lead", loaded.mine.version, call.expected_version)
                .map_err(|error| at_stage(error, &loaded.mine.stage))?;
            let loaded = Box::pin(self.settle(tx, loaded)).await?;
            let template = store::company::templates_by_ids(tx.db(), &[loaded.mine.template]).await?;
            let template = template.into_iter().next().ok_or_else(|| Error::internal("a lead without its template"))?;
            // On the heap, as they are large and run within a resolver's own.
            let plan = Box::pin(self.plan(tx, member, &loaded, template, call)).await?;
            let moved = Box::pin(self.carry_out(tx, Some(member), &plan, call.prefix)).await?;
            let lead = moved.mine.clone();
            self.save(tx, loaded, moved).await?;
            Ok(lead)
        })
    }

    /// Decides on a call. A lead that goes on with another template is put at its beginning first, and is then passed on
    /// by that one's own action.
    pub(super) async fn plan(
        &self,
        tx: &Tx,
        member: &Member,
        parties: &Parties,
        template: Template,
        call: &ActionCall<'_>,
    ) -> Result<Plan> {
        let lead = &parties.mine;
        let definition = self.definition_in(tx, &lead.workflow).await?;
        let decision = decide(member, lead, &definition, &template, call, tx.now)?;
        let goes_on = decision.changes.iter().find_map(|change| match change {
            Change::NewAssignment(id, Some(template)) => Some((id.clone(), template.clone())),
            _ => None,
        });
        let Some((partnership, key)) = goes_on else {
            return Ok(Plan { parties: parties.clone(), definition, decision });
        };
        let template = self.template_for(tx, member, Subject::Lead, Some(&key)).await.map_err(|error| match error {
            Error::Faults(_) => {
                let message =
                    format!("Leads of this workflow are shared with the template {key}, which your company lacks.");
                let fault = Fault::because(Reason::UnfitTemplate, message).action(decision.action.as_str());
                fault.stage(lead.stage.as_str()).into()
            }
            internal @ Error::Internal(_) => internal,
        })?;
        let definition = self.definition_in(tx, &template.workflow).await?;
        let mut mine = lead.clone();
        mine.start_over();
        mine.details_mut().internal = Some(Internal {
            template: lead.template,
            workflow: lead.workflow.clone(),
            stage: lead.stage.clone(),
            opportunity: mine.opportunity.take(),
        });
        stop_counter(&mut mine);
        mine.template = template.id;
        mine.workflow = template.workflow.clone();
        mine.begin(&definition);
        template.complete(&mut mine, "lead")?;
        let call = ActionCall {
            asked: Asked::Share,
            form: Map::from_iter([("partnershipId".to_owned(), Value::String(partnership))]),
            once: None,
            ..call.clone()
        };
        let decision = decide(member, &mine, &definition, &template, &call, tx.now)?;
        if decision.changes.iter().any(|change| matches!(change, Change::NewAssignment(_, Some(_)))) {
            let message =
                format!("The template {key} passes leads on with yet another one: one of the two has to change.");
            return Err(Fault::because(Reason::UnfitTemplate, message).into());
        }
        Ok(Plan { parties: Parties { mine, other: parties.other.clone() }, definition, decision })
    }

    /// Works out what a decision makes of both views, and does what it entails besides: opportunities, tasks, events.
    /// `prefix` is the path of the decision's form in the caller's input.
    pub(super) async fn carry_out(
        &self,
        tx: &mut Tx,
        member: Option<&Member>,
        plan: &Plan,
        prefix: &str,
    ) -> Result<Moved> {
        let Plan { parties: old, definition, decision } = plan;
        let now = tx.now;
        let Applied { mut mine, mut other, said, opportunity, partnership, ends, tasks, notices } =
            apply(tx, member, plan, prefix).await?;
        if let (Some(deal), Some(member)) = (opportunity, member) {
            // A deal of the source's own is not the receiver's to follow.
            let follower = other.as_mut().filter(|other| other.side == Side::Source);
            let id = Box::pin(self.link(tx, member, &mine, follower.as_deref(), deal, decision, prefix)).await?;
            mine.opportunity = Some(id);
            if let Some(follower) = follower {
                follower.opportunity = Some(id);
            }
        }
        if mine.side == Side::Receiver && mine.owner.is_none() {
            mine.owner = member.map(|member| member.id);
        }
        let mut passing = None;
        if let (Some(id), Some(member)) = (partnership, member) {
            let (found, assignment) =
                receiver_of(tx, member, &old.mine, !decision.from.terminal, definition, id, prefix).await?;
            let receiver = found.counterpart(member.company);
            other = old.other.as_ref().map(|earlier| freeze(tx, member, earlier, definition, receiver));
            mine.begin(definition);
            mine.put(&decision.to);
            if !decision.changes.iter().any(|change| matches!(change, Change::StartCounter(..))) {
                // One that ran on the other track was set for where that stood.
                stop_counter(&mut mine);
            }
            mine.receiver = Some(receiver);
            mine.partnership = Some(found.id);
            mine.assignment = Some(assignment);
            mine.vendor = Some(found.vendor);
            mine.stage_moved_by = Some(found.stage_moved_by);
            let view = Lead {
                company: receiver,
                side: Side::Receiver,
                owner: None,
                version: 1,
                created_at: now,
                details: mine.shared_details(),
                // What the lead became before is none of this receiver's business.
                opportunity: None,
                ..mine.clone()
            };
            passing = Some(Passing { view, partnership: found.id, assignment });
        } else if ends {
            // The rest of this is the receiver's last.
            each(&mut mine, &mut other, |view| match view.side {
                Side::Source => view.assignment = None,
                Side::Receiver => view.ended_at = Some(now),
            });
        }
        let live = if passing.is_some() { None } else { other.as_ref() };
        let actor = member.map(|member| member.id);
        tell(tx, actor, &old.mine, &mine, live, decision, definition, said);
        if let Some(passing) = &passing {
            let happening = Happening::LeadShared { partnership: passing.partnership };
            tx.happened(vec![mine.company, passing.view.company], actor, Some(mine.id), None, happening);
        }
        // What came of a passing is the source's to follow for as long as that lasts.
        if passing.is_some() {
            mine.opportunity = None;
        }
        if let Some(former) = old.mine.opportunity.filter(|former| ends || mine.opportunity != Some(*former)) {
            store::opportunity::end_view(tx.db(), former, mine.source, mine.id, now).await?;
        }
        let over = old.other.as_ref().filter(|view| passing.is_some() || (ends && view.side == Side::Receiver));
        let over = if mine.archived && !old.mine.archived {
            Some(Over::Lead(mine.id))
        } else {
            over.map(|receiver| Over::Passing(mine.id, receiver.company))
        };
        if let Some(over) = over {
            let tasks = store::thread::cancel_tasks(tx.db(), over, now).await?;
            tell_of_cancelled(tx, actor, tasks);
        }
        let views = [Some(&mine), live, passing.as_ref().map(|passing| &passing.view)];
        let of_side = |side: Side| views.iter().flatten().copied().find(|view| view.side == side);
        for (side, message) in notices {
            if let Some(view) = of_side(side) {
                let happening = Happening::LeadNotice { message: message.to_owned() };
                tx.happened(vec![view.company], actor, Some(view.id), None, happening);
            }
        }
        for (side, title, due) in tasks {
            if let Some(view) = of_side(side) {
                set_task(tx, actor, view, mine.workflow.owner, title, due).await?;
            }
        }
        Ok(Moved { mine, other, passing })
    }

    pub(super) async fn save(
        &self,
        tx: &mut Tx,
        loaded: Authorized<Parties>,
        moved: Moved,
    ) -> Result<Authorized<Parties>> {
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
            duplicate::tell(tx, &[&passing.view]).await?;
        }
        Ok(saved)
    }

    /// Takes the system's action that a change of the lead by its source triggers; both views are as changed.
    pub(super) async fn review(&self, tx: &mut Tx, member: &Member, parties: Parties, action: &str) -> Result<Parties> {
        let definition = self.definition_in(tx, &parties.mine.workflow).await?;
        let form = Form { values: &Map::new(), prefix: "input" };
        let decision = engine::decide(&definition, &facts(&parties.mine), Caller::Edit, action, &form, tx.now)?;
        let plan = Plan { parties, definition, decision };
        let Moved { mut mine, mut other, .. } = Box::pin(self.carry_out(tx, Some(member), &plan, "input")).await?;
        // The change and what it triggers are one.
        mine.version = plan.parties.mine.version;
        if let Some((other, before)) = other.as_mut().zip(plan.parties.other.as_ref()) {
            other.version = before.version;
        }
        Ok(Parties { mine, other })
    }

    /// Records what the end of a lead's counter brings, before anything else is done to it.
    pub(in crate::service) async fn settle(
        &self,
        tx: &mut Tx,
        loaded: Authorized<Parties>,
    ) -> Result<Authorized<Parties>> {
        let lead = &loaded.mine;
        let (true, Some(action)) = (lead.expired_by(tx.now), lead.on_expiry.as_deref()) else { return Ok(loaded) };
        let definition = self.definition_in(tx, &lead.workflow).await?;
        if engine::due(&definition, &facts(lead), tx.now).is_none() {
            // Its action is not possible from here: the counter has no meaning, and must not hold up anything.
            tracing::warn!(lead = %lead.id, action, "a counter ended whose action is not possible");
            let (mut mine, mut other) = (loaded.mine.clone(), loaded.other.clone());
            each(&mut mine, &mut other, |view| {
                stop_counter(view);
                view.version += 1;
            });
            let audience = std::iter::once(mine.company).chain(other.as_ref().map(|other| other.company)).collect();
            let changes = Lead::differences(&loaded.mine, &mine);
            tx.happened(audience, None, Some(mine.id), None, Happening::LeadUpdated { changes });
            return authorize::save_lead(tx, loaded, &mine, other.as_ref()).await;
        }
        let form = Form { values: &Map::new(), prefix: "" };
        let decision = engine::decide(&definition, &facts(lead), Caller::System, action, &form, tx.now)?;
        let plan = Plan { parties: Parties::clone(&loaded), definition, decision };
        let moved = Box::pin(self.carry_out(tx, None, &plan, "")).await?;
        self.save(tx, loaded, moved).await
    }

    /// Records what the end of the counter brings for up to `limit` leads, the longest overdue first; returns how many.
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
            Box::pin(self.settle(tx, loaded)).await?;
            Ok(due)
        })
    }

    /// Tells the sides of up to `limit` leads whose limits come near, once for each limit; returns how many it looked at.
    pub async fn tell_of_limits(&self, limit: u64) -> Result<u64> {
        let mut seen = 0;
        for (id, source) in store::lead::expiring(self.db().read(), self.now(), limit).await? {
            match self.tell_of_limit(id, source).await {
                Ok(()) => seen += 1,
                // One that can't be told of must not hold up the others.
                Err(error) => tracing::error!(%error, lead = %id, "a lead's limit can't be told of"),
            }
        }
        Ok(seen)
    }

    async fn tell_of_limit(&self, id: LeadId, source: CompanyId) -> Result<()> {
        transaction!(self, tx, {
            let Some(loaded) = authorize::lead_of_system(tx, Scope::system(source), id).await? else {
                return Ok(());
            };
            let lead = &loaded.mine;
            let (Some(warn_at), Some(expires_at)) = (lead.warn_at, lead.expires_at) else { return Ok(()) };
            // Another server told of it, or another limit was set, while this one waited.
            if warn_at > tx.now || expires_at <= tx.now || !store::lead::told_of_limit(tx.db(), lead).await? {
                return Ok(());
            }
            let definition = self.definition_in(tx, &lead.workflow).await?;
            let due = engine::due(&definition, &facts(lead), expires_at);
            let Some(to) = due.and_then(|action| definition.stage(action.to.as_ref()?)) else { return Ok(()) };
            let audience = loaded.other.iter().map(|other| other.company).chain([lead.company]).collect();
            let happening = Happening::LeadExpiring { expires_at, to: to.clone() };
            tx.happened(audience, None, Some(id), None, happening);
            Ok(())
        })
    }

    /// Links the opportunity that a lead became, and shows it to the other side.
    #[allow(clippy::too_many_arguments, reason = "what is linked, by whom, and where faults are told")]
    async fn link(
        &self,
        tx: &mut Tx,
        member: &Member,
        lead: &Lead,
        other: Option<&Lead>,
        deal: Deal<'_>,
        decision: &Decision,
        prefix: &str,
    ) -> Result<OpportunityId> {
        let heard = other.map(|other| other.company);
        let id = match deal {
            Deal::New(form) => {
                let mut faults = Vec::new();
                let new = NewOpportunity::from_form(form, lead, &format!("{prefix}.opportunity"), &mut faults);
                if !faults.is_empty() {
                    return Err(faults.into());
                }
                let id = tx.fresh();
                self.insert_opportunity(tx, member, id, new, Some((lead.id, heard))).await?.id
            }
            Deal::Qualified => {
                let mut faults = Vec::new();
                let mut new = NewOpportunity::from_decision(&decision.form, prefix, &mut faults);
                if !faults.is_empty() {
                    return Err(faults.into());
                }
                if let Some(id) = new.responsible_as_given.take() {
                    new.responsible = Some(own_member(tx, lead.company, &id, &at(prefix, "responsible")).await?);
                }
                let id = tx.fresh();
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
                    return Err(Error::because(
                        Reason::OtherSide,
                        "Only an opportunity of your own company can be linked.",
                    ));
                }
                // What came from one source is never shown to another, nor after the one's part has ended.
                let followers = store::opportunity::followers(tx.db(), views[0].id).await?;
                if let Some(heard) = heard
                    && followers.iter().any(|follower| *follower != heard)
                {
                    let message = "This opportunity came of another company's lead, which must not be shown to the \
                                   company that this lead comes from: link another one, or create one.";
                    return Err(Fault::invalid(field, message).into());
                }
                let audience = std::iter::once(member.company).chain(heard).collect();
                let happening = Happening::OpportunityLinked {};
                tx.happened(audience, Some(member.id), Some(lead.id), Some(id), happening);
                views[0].id
            }
        };
        if let Some(other) = other {
            self.show_opportunity(tx, member, id, other.company).await?;
        }
        Ok(id)
    }
}

/// What the changes of a decision make of both views, and what is to be done besides.
struct Applied<'p> {
    mine: Lead,
    other: Option<Lead>,
    /// The reason or note given.
    said: Option<String>,
    opportunity: Option<Deal<'p>>,
    partnership: Option<&'p str>,
    ends: bool,
    tasks: Vec<(Side, &'p str, Option<DateTime<Utc>>)>,
    notices: Vec<(Side, &'p str)>,
}

/// Applies the changes of a decision to both views; nothing is written yet.
async fn apply<'p>(tx: &Tx, member: Option<&Member>, plan: &'p Plan, prefix: &str) -> Result<Applied<'p>> {
    let Plan { parties: old, definition, decision } = plan;
    let now = tx.now;
    let mut done = Applied {
        mine: old.mine.clone(),
        other: old.other.clone(),
        said: None,
        opportunity: None,
        partnership: None,
        ends: false,
        tasks: Vec::new(),
        notices: Vec::new(),
    };
    let Applied { mine, other, said, opportunity, partnership, ends, tasks, notices } = &mut done;
    if decision.changes.iter().any(|change| matches!(change, Change::NewAssignment(..))) {
        // What the action keeps belongs to the new passing.
        mine.start_over();
    }
    let moves = |view: &mut Lead| {
        view.put(&decision.to);
        view.version += 1;
        view.updated_at = now;
    };
    let own = |change: &Change| matches!(change, Change::Owner(_));
    if decision.from.key == decision.to.key && !decision.changes.is_empty() && decision.changes.iter().all(own) {
        // Who owns the lead on one side does not show on the other.
        moves(mine);
    } else {
        each(mine, other, moves);
    }
    for change in &decision.changes {
        match change {
            Change::Date(date, at) => each(mine, other, |view| view.record(*date, *at)),
            Change::StartCounter(at, then) => {
                let to = definition.action(then).and_then(|action| definition.stage(action.to.as_ref()?));
                let warn_at = to.filter(|stage| stage.kind == StageKind::Expired).map(|_| tx.warn_at(*at));
                let to = to.map(|stage| Destination { stage: stage.key.clone(), kind: stage.kind, track: stage.track });
                each(mine, other, |view| {
                    pause_counter(view, now);
                    view.expires_at = Some(*at);
                    view.on_expiry = Some(then.clone());
                    view.expires_to.clone_from(&to);
                    view.warn_at = warn_at;
                    tell_details(view, |details| details.promised_until = None);
                });
            }
            Change::StopCounter => each(mine, other, |view| pause_counter(view, now)),
            Change::Archived(archived) => each(mine, other, |view| view.archived = *archived),
            Change::Active(active) => each(mine, other, |view| view.active = *active),
            Change::Unlock => each(mine, other, |view| view.stage_locked = false),
            Change::Lock => each(mine, other, |view| view.stage_locked = true),
            Change::Reopen(dates) => {
                each(mine, other, |view| reopen(view, dates));
                each(mine, other, |view| resume(view, definition, tx));
            }
            Change::Reason(reason) => {
                *said = said.take().or_else(|| reason.clone());
                each(mine, other, |view| view.reason.clone_from(reason));
            }
            Change::Note(note) => {
                *said = said.take().or_else(|| note.clone());
                each(mine, other, |view| tell_details(view, |details| details.note.clone_from(note)));
            }
            Change::Code(code) => {
                each(mine, other, |view| tell_details(view, |details| details.code.clone_from(code)));
            }
            Change::DuplicateOf(id) => {
                let id = match (id, member) {
                    (Some(id), Some(member)) => Some(duplicate_of(tx, member, mine, id, prefix).await?),
                    _ => None,
                };
                each(mine, other, |view| tell_details(view, |details| details.duplicate_of = id));
            }
            Change::Owner(id) => mine.owner = Some(own_member(tx, mine.company, id, &at(prefix, "owner")).await?),
            Change::LinkOpportunity(id) => *opportunity = Some(Deal::Existing(id)),
            Change::CreateOpportunity(form) => *opportunity = Some(Deal::New(form)),
            Change::QualifyOpportunity => *opportunity = Some(Deal::Qualified),
            Change::Task(side, title, due) => tasks.push((*side, title, *due)),
            Change::Notify(side, message) => notices.push((*side, message)),
            Change::EndAssignment => *ends = true,
            Change::NewAssignment(id, _) => *partnership = Some(id),
            Change::Value(_) | Change::CloseDate(_) => {
                return Err(Error::internal("a lead's workflow changes an opportunity's value"));
            }
        }
    }
    Ok(done)
}

/// A decision with what it was made on.
pub(super) struct Plan {
    /// The lead as both sides see it; put at the beginning of another workflow, where it goes on with that.
    pub(super) parties: Parties,
    pub(super) definition: std::sync::Arc<Definition>,
    pub(super) decision: Decision,
}

/// What became of a lead: both views as they are to be saved, and a new receiver's, where it was passed on.
pub(super) struct Moved {
    pub(super) mine: Lead,
    pub(super) other: Option<Lead>,
    pub(super) passing: Option<Passing>,
}

pub(super) struct Passing {
    pub(super) view: Lead,
    partnership: PartnershipId,
    assignment: AssignmentId,
}

enum Deal<'a> {
    Existing(&'a str),
    New(&'a Map<String, Value>),
    Qualified,
}

fn at(prefix: &str, field: &str) -> String {
    format!("{prefix}.{field}")
}

/// Asks the engine.
fn decide(
    member: &Member,
    lead: &Lead,
    definition: &Definition,
    template: &Template,
    call: &ActionCall<'_>,
    now: DateTime<Utc>,
) -> Result<Decision> {
    let caller = caller(member, lead);
    let facts = Facts { limits: template.limits(), expires_at_override: call.expires_at, ..facts(lead) };
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
            let standing =
                [Some(engine::as_of(definition, &facts, now)), engine::status_as_of(definition, &facts, now)];
            let leaves = |from: &String| standing.iter().flatten().any(|stage| stage.key == *from);
            let passes = || definition.actions.iter().filter(|action| action.passes_on());
            let found = passes().find(|action| action.from.iter().any(leaves)).or_else(|| passes().next_back());
            let found = found.ok_or_else(|| {
                Fault::because(Reason::UnknownAction, "Leads of this workflow are not shared.")
                    .stage(lead.stage.as_str())
            })?;
            found.key.clone()
        }
        Asked::Effect(ref effect) => {
            let found = definition.actions.iter().find(|action| action.effects.contains(effect));
            let found = found.ok_or_else(|| {
                Fault::because(Reason::UnknownAction, "Leads of this workflow are never deactivated.")
                    .stage(lead.stage.as_str())
            })?;
            found.key.clone()
        }
    };
    // What the form says of the owning input's other parts is no part of it.
    let form = Form { values: &call.form, prefix: call.prefix };
    Ok(engine::decide(definition, &facts, caller, &action, &form, now)?)
}

/// Tells what happened, each side what it may know.
#[allow(clippy::too_many_arguments, reason = "a lead before and after, and what was decided")]
fn tell(
    tx: &mut Tx,
    actor: Option<MemberId>,
    old: &Lead,
    mine: &Lead,
    other: Option<&Lead>,
    decision: &Decision,
    definition: &Definition,
    said: Option<String>,
) {
    let both: Vec<_> = std::iter::once(mine.company).chain(other.map(|other| other.company)).collect();
    let Decision { from, to, action, .. } = decision;
    let moves = from.key != to.key;
    if moves {
        let (from, to, action) = (Some(from.clone()), to.clone(), action.clone());
        let happening = match to.track {
            TrackKey::Stage => Happening::LeadStageChanged { from, to, action, reason: said.clone() },
            TrackKey::Status => Happening::LeadStatusChanged { from, to, action, reason: said.clone() },
        };
        tx.happened(both.clone(), actor, Some(mine.id), None, happening);
        if let (None, StageKind::Expired, Some(expires_at)) = (actor, decision.to.kind, old.expires_at) {
            let (from, to) = (decision.from.clone(), decision.to.clone());
            let happening = Happening::LeadExpired { expires_at, from, to };
            tx.happened(both.clone(), actor, Some(mine.id), None, happening);
        }
    } else if actor.is_some() && !shows_otherwise(old, mine, decision) {
        // Who owns the lead on one side does not show on the other.
        let own =
            !decision.changes.is_empty() && decision.changes.iter().all(|change| matches!(change, Change::Owner(_)));
        let audience = if own { vec![mine.company] } else { both.clone() };
        let name = definition.action(action).map_or_else(String::new, |action| action.name.clone());
        let happening = Happening::LeadActionTaken { action: action.clone(), name, reason: said.clone() };
        tx.happened(audience, actor, Some(mine.id), None, happening);
    }
    // A counter that ends may end the assignment too; then nobody took the lead back.
    if actor.is_some() && mine.side == Side::Source && decision.changes.contains(&Change::EndAssignment) {
        tx.happened(both.clone(), actor, Some(mine.id), None, Happening::LeadWithdrawn { reason: said });
    }
    if old.owner != mine.owner {
        let happening = Happening::LeadOwnerChanged { from: old.owner, to: mine.owner };
        tx.happened(vec![mine.company], actor, Some(mine.id), None, happening);
    }
    let mut changes = Lead::differences(old, mine);
    changes.retain(|change| change.field == "active");
    if !changes.is_empty() {
        tx.happened(both, actor, Some(mine.id), None, Happening::LeadUpdated { changes });
    }
}

/// Whether an action that moves nothing is told by what it changed: the owner that it names, the lead's being active, or
/// its new receiver.
fn shows_otherwise(old: &Lead, mine: &Lead, decision: &Decision) -> bool {
    decision.changes.iter().any(|change| match change {
        Change::Owner(_) => old.owner != mine.owner,
        Change::Active(_) => old.active != mine.active,
        Change::NewAssignment(..) => true,
        _ => false,
    })
}

pub(super) fn tell_details(view: &mut Lead, change: impl FnOnce(&mut crate::domain::lead::Details)) {
    let mut details = view.details().clone();
    change(&mut details);
    view.set_details(details);
}

/// The member of that id, where it is of this company.
pub(in crate::service) async fn own_member(tx: &Tx, company: CompanyId, id: &str, field: &str) -> Result<MemberId> {
    let mut faults = Vec::new();
    let Some(id) = text_id(id, NodeType::Member, field, &mut faults) else { return Err(faults.into()) };
    let found = store::company::members_by_ids(tx.db(), &[MemberId(id)]).await?;
    let found = found.into_iter().find(|profile| profile.company == company);
    let missing = || Fault::new(ErrorCode::NotFound, "Your company has no such member.").at(field);
    Ok(found.ok_or_else(missing)?.id)
}

/// The lead that has priority over another one, as the caller knows it.
async fn duplicate_of(tx: &Tx, member: &Member, lead: &Lead, id: &str, prefix: &str) -> Result<LeadId> {
    let field = at(prefix, "duplicateOf");
    let mut faults = Vec::new();
    let Some(id) = text_id(id, NodeType::Lead, &field, &mut faults) else { return Err(faults.into()) };
    if id == lead.id.0 {
        return Err(Fault::invalid(field, "A lead is no duplicate of itself.").into());
    }
    let found = store::lead::find(tx.db(), Scope::of(member), LeadId(id)).await?;
    Ok(found.ok_or_else(|| Fault::new(ErrorCode::NotFound, "There is no such lead.").at(field))?.id)
}

/// The partnership that a lead is passed on across, and the new assignment. While the present passing is `open`, which
/// is until it has its outcome, that is another partner's.
async fn receiver_of(
    tx: &Tx,
    member: &Member,
    lead: &Lead,
    open: bool,
    definition: &Definition,
    id: &str,
    prefix: &str,
) -> Result<(Partnership, AssignmentId)> {
    let field = at(prefix, "partnershipId");
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
    let vendor = partnership.vendor == member.company;
    let refused = match definition.direction {
        Some(Direction::VendorToPartner) if !vendor => {
            Some("the vendor to the partner: here your company is the partner")
        }
        Some(Direction::PartnerToVendor) if vendor => {
            Some("the partner to the vendor: here your company is the vendor")
        }
        _ => None,
    };
    if let Some(way) = refused {
        let message = format!("Leads of the workflow {} go from {way}.", definition.key);
        return Err(Fault::invalid(field, message).into());
    }
    if open && lead.assignment.is_some() && lead.partnership == Some(partnership.id) {
        return Err(Fault::invalid(field, "The lead is with this partner already: pass it on to another one.").into());
    }
    Ok((partnership, tx.fresh()))
}

/// Adds the assignment that a lead is passed on by, to which both views point.
pub(super) async fn begin_passing(tx: &Tx, passing: Option<&Passing>) -> Result<()> {
    let Some(Passing { view, partnership, assignment }) = passing else { return Ok(()) };
    store::lead::insert_assignment(tx.db(), *assignment, view, *partnership, tx.now).await
}

/// Sets a task that a workflow asks for: for the lead's owner on that side, or for the whole side where nobody owns it.
/// Only its own side sees it, unless the workflow is the other company's own: what that makes is in its own name, and
/// both see it.
async fn set_task(
    tx: &mut Tx,
    actor: Option<MemberId>,
    view: &Lead,
    workflow_owner: Option<CompanyId>,
    title: &str,
    due_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let company = workflow_owner.unwrap_or(view.company);
    let foreign = company != view.company;
    let created_by = match view.owner.filter(|_| !foreign) {
        Some(owner) => owner,
        None => workflow_member(tx, company).await?,
    };
    let task = Task {
        id: tx.fresh(),
        lead: view.id,
        company,
        created_by,
        assigned_company: view.company,
        assignee: view.owner,
        visibility: if foreign { Visibility::Shared } else { Visibility::Internal },
        title: title.to_owned(),
        description: None,
        state: TaskState::Open,
        due_at,
        completed_at: None,
        version: 1,
        created_at: tx.now,
    };
    store::thread::insert_task(tx.db(), view, &task).await?;
    let happening = Happening::TaskChanged { change: TaskChange::Created, changes: Vec::new() };
    let audience = if foreign { vec![company, view.company] } else { vec![view.company] };
    tx.happened(audience, actor, Some(view.id), Some(task.id.0), happening);
    Ok(())
}

/// The member in whose name a company's workflow does what no person of it does.
async fn workflow_member(tx: &Tx, company: CompanyId) -> Result<MemberId> {
    let profile = Profile { id: tx.fresh(), company, name: "Workflow".to_owned(), email: None, roles: Vec::new() };
    store::company::record_member(tx.db(), profile.id, company, "workflow", &profile, tx.now).await
}

/// Tells who could see them of tasks that were cancelled with what they belonged to.
pub(in crate::service) fn tell_of_cancelled(tx: &mut Tx, actor: Option<MemberId>, tasks: Vec<Cancelled>) {
    for Cancelled { id, lead, audience } in tasks {
        let state = |state: TaskState| Some(state.as_str().to_owned());
        let changes = FieldChange::of("state", state(TaskState::Open), state(TaskState::Cancelled));
        let changes = changes.into_iter().collect();
        let happening = Happening::TaskChanged { change: TaskChange::Cancelled, changes };
        tx.happened(audience, actor, Some(lead), Some(id.0), happening);
    }
}

/// Takes back what a decision left on a view.
fn reopen(view: &mut Lead, dates: &[DateKey]) {
    view.archived = false;
    view.reason = None;
    for date in dates {
        view.forget(*date);
    }
    tell_details(view, |details| {
        details.code = None;
        details.duplicate_of = None;
    });
}

/// Lets the counter that the decision stopped go on with the time that was left, where it can end what the lead stands at.
fn resume(view: &mut Lead, definition: &Definition, tx: &Tx) {
    let Some(paused) = view.details().paused.clone() else { return };
    tell_details(view, |details| details.paused = None);
    let Some(then) = definition.action(&paused.then) else { return };
    let stands = view.at(definition.track_of(then)).unwrap_or_default();
    let to = then.to.as_ref().and_then(|to| definition.stage(to));
    let end = TimeDelta::try_milliseconds(paused.left).and_then(|left| tx.now.checked_add_signed(left));
    let (true, Some(to), Some(end)) = (then.from.iter().any(|from| from == stands), to, end) else { return };
    view.expires_at = Some(end);
    view.on_expiry = Some(paused.then);
    view.expires_to = Some(Destination { stage: to.key.clone(), kind: to.kind, track: to.track });
    view.warn_at = (to.kind == StageKind::Expired).then(|| tx.warn_at(end));
}

/// Stops the counter that a decision ends, and keeps what was left of it.
fn pause_counter(view: &mut Lead, now: DateTime<Utc>) {
    let paused = view.expires_at.zip(view.on_expiry.clone()).and_then(|(end, then)| {
        let left = (end - now).num_milliseconds();
        (left > 0).then_some(Paused { left, then })
    });
    tell_details(view, |details| details.paused = paused);
    stop_counter(view);
}

fn each(mine: &mut Lead, other: &mut Option<Lead>, mut change: impl FnMut(&mut Lead)) {
    change(mine);
    if let Some(other) = other {
        change(other);
    }
}

pub(super) fn stop_counter(view: &mut Lead) {
    view.expires_at = None;
    view.on_expiry = None;
    view.expires_to = None;
    view.warn_at = None;
}

/// The earlier receiver's view as it stays when the lead is passed on to `next`: a lead that was still unanswered is
/// withdrawn for it. It hears that its part is over, unless the lead comes to it anew.
fn freeze(tx: &mut Tx, member: &Member, earlier: &Lead, definition: &Definition, next: CompanyId) -> Lead {
    let mut frozen = earlier.clone();
    frozen.ended_at = Some(tx.now);
    let stands_at = |from: &String| {
        [TrackKey::Stage, TrackKey::Status].into_iter().any(|track| earlier.at(track) == Some(from.as_str()))
    };
    let withdrawal = definition
        .actions
        .iter()
        .find(|action| action.effects.contains(&Effect::EndAssignment) && action.from.iter().any(stands_at));
    let stages = withdrawal.and_then(|action| {
        let from = definition.stage(earlier.at(definition.track_of(action))?)?;
        Some((action, from.clone(), definition.stage(action.to.as_ref()?)?.clone()))
    });
    if let Some((action, from, to)) = stages {
        frozen.put(&to);
        frozen.version += 1;
        frozen.updated_at = tx.now;
        let (from, action) = (Some(from), action.key.clone());
        let happening = match to.track {
            TrackKey::Stage => Happening::LeadStageChanged { from, to, action, reason: None },
            TrackKey::Status => Happening::LeadStatusChanged { from, to, action, reason: None },
        };
        tx.happened(vec![earlier.company], Some(member.id), Some(earlier.id), None, happening);
    }
    if earlier.company != next {
        let happening = Happening::LeadWithdrawn { reason: None };
        tx.happened(vec![earlier.company], Some(member.id), Some(earlier.id), None, happening);
    }
    stop_counter(&mut frozen);
    frozen
}

/// What the engine needs to know of a lead; without the template's limits, which only a decision needs.
pub(in crate::service) fn facts(lead: &Lead) -> Facts<'_> {
    Facts {
        stage: &lead.stage,
        status: lead.at(TrackKey::Status),
        stage_locked: lead.stage_locked,
        expires_at: lead.expires_at,
        on_expiry: lead.on_expiry.as_deref(),
        orphaned: lead.is_orphaned(),
        active: lead.active,
        limits: Limits::default(),
        fields: Fields::Lead(lead),
        expires_at_override: None,
    }
}

pub(in crate::service) fn caller<'a>(member: &'a Member, lead: &Lead) -> Caller<'a> {
    let vendor = lead.vendor.filter(|_| lead.assignment.is_some()).map(|vendor| vendor == lead.company);
    Caller::Member {
        side: lead.side,
        vendor,
        moves_stage: vendor.zip(lead.stage_moved_by).is_some_and(|(vendor, mover)| mover.names(vendor)),
        roles: &member.roles,
        owner: lead.owner == Some(member.id),
    }
}
