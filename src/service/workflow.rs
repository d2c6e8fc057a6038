//! Workflows: those that are shipped, and companies' own.

use std::{collections::HashMap, sync::Arc};

use sea_orm::ConnectionTrait;
use serde_json::Value;

use super::{
    Service, Tx, authorize,
    lead::{claim, fingerprint, idempotency},
    transaction,
};
use crate::{
    domain::{
        actor::{Member, Role, Side},
        event::{FieldChange, Happening},
        id::{LeadId, WorkflowId},
        lead::{Destination, Lead, WorkflowRef},
        workflow::{
            builtin,
            check::DefinitionFault,
            definition::{Definition, StageKind, Subject, TrackKey},
            diagram, read,
            version::{MAX_VERSIONS, WorkflowState, WorkflowVersion},
        },
    },
    error::{Error, ErrorCode, Fault, Reason, Result},
    store::{self, scope::Scope},
};

/// The most leads that one call moves to another version.
pub const MOVED_AT_ONCE: u64 = 100;

/// Moving leads from one version of a workflow to another.
#[derive(Clone, Debug)]
pub struct WorkflowMove {
    /// The version that they are on.
    pub from: WorkflowId,
    /// The version to move them to.
    pub to: WorkflowId,
    /// Where those at a stage are to stand, by key; a stage that is not here keeps its key.
    pub stages: HashMap<String, String>,
    /// These leads alone; all of them where absent.
    pub leads: Option<Vec<LeadId>>,
    /// Only those after this one, in the order of their ids.
    pub after: Option<LeadId>,
    /// Whether to say only what would happen.
    pub dry_run: bool,
}

/// What came of moving leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkflowMoved {
    /// The leads that were moved, or would be.
    pub moved: Vec<LeadId>,
    /// Those that don't fit, and why.
    pub misfits: Vec<(LeadId, String)>,
    /// The last lead that was looked at, where there may be more after it.
    pub last: Option<LeadId>,
}

impl Service {
    /// The workflow that something runs on. What is published never changes, so it is kept in memory: a lead costs no
    /// query.
    pub async fn definition(&self, workflow: &WorkflowRef) -> Result<Arc<Definition>> {
        self.find_definition(self.db().read(), workflow).await
    }

    /// The same within a transaction, on whose connection it is read the first time.
    pub(super) async fn definition_in(&self, tx: &Tx, workflow: &WorkflowRef) -> Result<Arc<Definition>> {
        self.find_definition(tx.db(), workflow).await
    }

    async fn find_definition(&self, db: &impl ConnectionTrait, workflow: &WorkflowRef) -> Result<Arc<Definition>> {
        let WorkflowRef { owner, key, version } = workflow;
        let missing = || Error::internal(format!("there is no workflow {key} of version {version}"));
        let Some(owner) = owner else { return builtin::builtin(key, *version).ok_or_else(missing) };
        if let Some(definition) = self.definitions.get(workflow) {
            return Ok(definition);
        }
        let json = store::workflow::definition(db, *owner, key, *version).await?.ok_or_else(missing)?;
        let definition: Arc<Definition> = Arc::new(serde_json::from_value(json).map_err(Error::internal)?);
        self.definitions.insert(workflow.clone(), definition.clone());
        Ok(definition)
    }

    /// The workflows that the caller's company can use: those that are shipped, then the versions of its own.
    pub async fn workflows(&self, member: &Member) -> Result<Vec<WorkflowVersion>> {
        let mut all = shipped();
        all.extend(store::workflow::list(self.db().read(), Scope::of(member)).await?);
        Ok(all)
    }

    /// One of them.
    pub async fn workflow(&self, member: &Member, id: WorkflowId) -> Result<Option<WorkflowVersion>> {
        if let Some(found) = shipped().into_iter().find(|version| version.id == id) {
            return Ok(Some(found));
        }
        store::workflow::find(self.db().read(), Scope::of(member), id).await
    }

    /// How many leads and opportunities of the caller's company are on it.
    pub async fn count_on_workflow(&self, member: &Member, workflow: &WorkflowRef) -> Result<u64> {
        store::workflow::count_on(self.db().read(), Scope::of(member), workflow, false).await
    }

    /// Stores a definition as the draft of its key, in place of an earlier draft. Its version is the next one, whatever
    /// the definition says.
    ///
    /// # Errors
    /// `FORBIDDEN` without ADMIN; every fault of the definition at once, each with its JSON pointer; `DUPLICATE` for the
    /// key of a shipped workflow, and for an idempotency key that was used for other content; `CONFLICT`.
    pub async fn draft_workflow(
        &self,
        member: &Member,
        definition: &Value,
        expected_version: Option<i32>,
        idempotency_key: Option<&str>,
    ) -> Result<WorkflowVersion> {
        authorize::role(member, &[Role::Admin], "draft a workflow")?;
        let mut faults = Vec::new();
        let key = idempotency(idempotency_key, &mut faults);
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let fingerprint = fingerprint(&(definition, expected_version));
        let definition = read::read(definition).map_err(|faults| refused(faults, "input.definition"))?;
        if builtin::all().iter().any(|shipped| shipped.key == definition.key) {
            let message = format!("\"{}\" is the key of a shipped workflow: give yours another one.", definition.key);
            return Err(Fault::new(ErrorCode::Duplicate, message).at("input.definition").pointer("/key").into());
        }
        transaction!(self, tx, {
            let scope = Scope::of(member);
            let (draft, newest) = store::workflow::draft(tx.db(), scope, &definition.key).await?;
            let id = draft.as_ref().map_or_else(|| tx.fresh(), |draft| draft.id);
            if let Some(key) = &key
                && let Some(earlier) = claim(tx, member, key, "draftWorkflow", &fingerprint, id.0).await?
            {
                let found = store::workflow::find(tx.db(), scope, WorkflowId(earlier)).await?;
                return found.ok_or_else(|| Error::not_found("workflow"));
            }
            let definition = Arc::new(Definition { version: newest + 1, ..definition.clone() });
            let Some(draft) = draft else {
                if expected_version.is_some() {
                    let message = "There is no draft of this workflow that could have a version.";
                    return Err(Fault::because(Reason::NoDraft, message).at("input.expectedVersion").into());
                }
                return first_draft(tx, member, id, definition).await;
            };
            authorize::version("draft", draft.version, expected_version)?;
            let new = WorkflowVersion { definition, version: draft.version + 1, ..draft.clone() };
            save(tx, member, &draft, new).await
        })
    }

    /// Publishes a draft: templates can bind it from then on, and it doesn't change any more.
    ///
    /// # Errors
    /// `FORBIDDEN` without ADMIN, `NOT_FOUND`, `INVALID_TRANSITION` for what is no draft, `CONFLICT`.
    pub async fn publish_workflow(
        &self,
        member: &Member,
        id: WorkflowId,
        expected_version: Option<i32>,
    ) -> Result<WorkflowVersion> {
        transaction!(self, tx, {
            let old = own(tx, member, id, expected_version).await?;
            expect(&old, WorkflowState::Draft, "Only a draft is published.")?;
            let new = WorkflowVersion {
                state: WorkflowState::Published,
                published_at: Some(tx.now),
                version: old.version + 1,
                ..old.clone()
            };
            save(tx, member, &old, new).await
        })
    }

    /// Retires a published version that nothing is on and that no template binds.
    ///
    /// # Errors
    /// `FORBIDDEN` without ADMIN, `NOT_FOUND`, `CONFLICT`; `INVALID_TRANSITION` for what is not published, and with the
    /// count of the leads that are on it, or the templates that bind it.
    pub async fn retire_workflow(
        &self,
        member: &Member,
        id: WorkflowId,
        expected_version: Option<i32>,
    ) -> Result<WorkflowVersion> {
        transaction!(self, tx, {
            let old = own(tx, member, id, expected_version).await?;
            expect(&old, WorkflowState::Published, "Only a published version is retired.")?;
            let (scope, reference) = (Scope::of(member), old.reference());
            let mut problems = Vec::new();
            let on = store::workflow::count_on(tx.db(), scope, &reference, true).await?;
            if on > 0 {
                problems.push(match old.definition.subject {
                    Subject::Lead => {
                        format!("{on} leads of your company are on this version: move them to another one first.")
                    }
                    Subject::Opportunity => {
                        format!("{on} open opportunities of your company are on this version: they end on it first.")
                    }
                });
            }
            let templates = store::workflow::bound_by(tx.db(), scope, &reference).await?;
            if !templates.is_empty() {
                let templates = templates.join(", ");
                problems.push(format!("Templates bind this version: {templates}. Bind them to another one first."));
            }
            if !problems.is_empty() {
                let fault = |problem| {
                    let fault = Fault::because(Reason::InUse, problem).at("input.workflowId");
                    fault.stage(old.state.as_str())
                };
                return Err(problems.into_iter().map(fault).collect::<Vec<_>>().into());
            }
            let new = WorkflowVersion {
                state: WorkflowState::Retired,
                retired_at: Some(tx.now),
                version: old.version + 1,
                ..old.clone()
            };
            save(tx, member, &old, new).await
        })
    }

    /// Discards a draft.
    ///
    /// # Errors
    /// `FORBIDDEN` without ADMIN, `NOT_FOUND`, `INVALID_TRANSITION` for what is no draft, `CONFLICT`.
    pub async fn discard_workflow_draft(
        &self,
        member: &Member,
        id: WorkflowId,
        expected_version: Option<i32>,
    ) -> Result<WorkflowVersion> {
        transaction!(self, tx, {
            let old = own(tx, member, id, expected_version).await?;
            expect(&old, WorkflowState::Draft, "Only a draft is discarded.")?;
            if !store::workflow::remove_draft(tx.db(), &old).await? {
                return Err(authorize::conflict("draft", old.version).into());
            }
            told(tx, member, &old, Some(WorkflowState::Draft), "DISCARDED");
            Ok(old)
        })
    }

    /// Moves leads of the caller's company to another version of their workflow, at most [`MOVED_AT_ONCE`] of them; a
    /// lead that doesn't fit stays where it is. What the other side sees of a lead moves with it.
    ///
    /// # Errors
    /// `FORBIDDEN` without ADMIN, `NOT_FOUND`, and the faults of the mapping, all at once.
    pub async fn move_leads_to_workflow(&self, member: &Member, call: &WorkflowMove) -> Result<WorkflowMoved> {
        authorize::role(member, &[Role::Admin], "move leads to another version of their workflow")?;
        let mut faults = Vec::new();
        let mut versions = Vec::new();
        for (id, field) in [(call.from, "input.fromWorkflowId"), (call.to, "input.toWorkflowId")] {
            let found = self.workflow(member, id).await?.filter(|found| found.state != WorkflowState::Draft);
            if let Some(found) = found {
                versions.push(found);
            } else {
                let message = "There is no such published workflow.";
                faults.push(Fault::new(ErrorCode::NotFound, message).at(field));
            }
        }
        let [from, to] = versions.as_slice() else { return Err(faults.into()) };
        check_move(call, from, to)?;
        let ids = if let Some(leads) = &call.leads {
            let known = store::lead::by_ids(self.db().read(), Scope::of(member), leads).await?;
            let unknown = |(_, id): &(usize, &LeadId)| !known.iter().any(|lead| lead.id == **id);
            let missing = |(place, _): (usize, &LeadId)| {
                Fault::new(ErrorCode::NotFound, "There is no such lead.").at(format!("input.leadIds.{place}"))
            };
            let faults: Vec<_> = leads.iter().enumerate().filter(unknown).map(missing).collect();
            if !faults.is_empty() {
                return Err(faults.into());
            }
            leads.clone()
        } else {
            let (scope, reference) = (Scope::of(member), from.reference());
            store::workflow::leads_on(self.db().read(), scope, &reference, call.after, MOVED_AT_ONCE).await?
        };
        let full = call.leads.is_none() && ids.len() as u64 == MOVED_AT_ONCE;
        let mut done = WorkflowMoved { last: ids.last().copied().filter(|_| full), ..WorkflowMoved::default() };
        for id in ids {
            match Box::pin(self.move_lead_to_workflow(member, id, call, from, to)).await? {
                Ok(()) => done.moved.push(id),
                Err(problem) => done.misfits.push((id, problem)),
            }
        }
        Ok(done)
    }

    /// Moves one lead, or says why it doesn't fit.
    async fn move_lead_to_workflow(
        &self,
        member: &Member,
        id: LeadId,
        call: &WorkflowMove,
        from: &WorkflowVersion,
        to: &WorkflowVersion,
    ) -> Result<Result<(), String>> {
        let outcome: Result<Result<(), String>> = transaction!(self, tx, {
            let loaded = match authorize::lead(tx, member, id, "input.leadIds", authorize::Purpose::Action).await {
                Ok(loaded) => loaded,
                Err(Error::Faults(faults)) => {
                    return Ok(Err(faults.first().map_or_else(String::new, |fault| fault.message.clone())));
                }
                Err(error) => return Err(error),
            };
            let loaded = Box::pin(self.settle(tx, loaded)).await?;
            if loaded.mine.side != Side::Source || loaded.mine.workflow != from.reference() {
                return Ok(Err("The lead is not on this version of the workflow.".to_owned()));
            }
            let mut mine = loaded.mine.clone();
            let mut other = loaded.other.clone();
            for view in std::iter::once(&mut mine).chain(other.as_mut()) {
                if let Err(problem) = refit(view, &call.stages, to) {
                    return Ok(Err(problem));
                }
                view.version += 1;
                view.updated_at = tx.now;
            }
            let audience = std::iter::once(mine.company).chain(other.as_ref().map(|other| other.company)).collect();
            let (old, new) = (from.definition.version, to.definition.version);
            let stands = |lead: &Lead, track| lead.at(track).map(str::to_owned);
            let changes = [("stage", TrackKey::Stage), ("status", TrackKey::Status)]
                .into_iter()
                .filter_map(|(field, track)| FieldChange::of(field, stands(&loaded.mine, track), stands(&mine, track)))
                .collect();
            let happening = Happening::LeadWorkflowChanged { from: old, to: new, changes };
            tx.happened(audience, Some(member.id), Some(id), None, happening);
            authorize::save_lead(tx, loaded, &mine, other.as_ref()).await?;
            if call.dry_run {
                // An error takes the transaction back; this one has nothing to say.
                return Err(Error::Faults(Vec::new()));
            }
            Ok(Ok(()))
        });
        match outcome {
            Err(Error::Faults(faults)) if faults.is_empty() => Ok(Ok(())),
            outcome => outcome,
        }
    }
}

/// Every fault of a definition; none for one that is sound.
pub fn check_definition(definition: &Value) -> Vec<DefinitionFault> {
    read::read(definition).err().unwrap_or_default()
}

/// A definition as a Mermaid diagram.
///
/// # Errors
/// Its faults, each with its JSON pointer.
pub fn draw_definition(definition: &Value) -> Result<String> {
    let definition = read::read(definition).map_err(|faults| refused(faults, "definition"))?;
    Ok(diagram::mermaid(&definition))
}

/// The shipped workflows: their latest versions, which templates bind, before those that leads may still be on.
fn shipped() -> Vec<WorkflowVersion> {
    let is_current = |definition: &Definition| builtin::current().any(|current| **current == *definition);
    let former = builtin::all().iter().filter(|definition| !is_current(definition));
    builtin::current().chain(former).cloned().map(WorkflowVersion::shipped).collect()
}

/// The faults of a definition as those of a caller's input.
fn refused(faults: Vec<DefinitionFault>, field: &str) -> Error {
    let fault = |fault: DefinitionFault| Fault::invalid(field, fault.message).pointer(fault.pointer);
    faults.into_iter().map(fault).collect::<Vec<_>>().into()
}

async fn first_draft(
    tx: &mut Tx,
    member: &Member,
    id: WorkflowId,
    definition: Arc<Definition>,
) -> Result<WorkflowVersion> {
    if store::workflow::count(tx.db(), Scope::of(member)).await? >= MAX_VERSIONS {
        let message = format!("Your company keeps {MAX_VERSIONS} versions of workflows, which is the most.");
        return Err(Fault::invalid("input.definition", message).into());
    }
    let new = WorkflowVersion {
        id,
        owner: Some(member.company),
        definition,
        state: WorkflowState::Draft,
        version: 1,
        published_at: None,
        retired_at: None,
    };
    if !store::workflow::insert(tx.db(), member, &new, tx.now).await? {
        return Err(authorize::conflict("draft", 1).into());
    }
    told(tx, member, &new, None, new.state.as_str());
    Ok(new)
}

/// A version of one of the caller's company's workflows, locked, for its administrator.
async fn own(tx: &Tx, member: &Member, id: WorkflowId, expected_version: Option<i32>) -> Result<WorkflowVersion> {
    let found = store::workflow::lock(tx.db(), Scope::of(member), id).await?;
    if found.is_none() && !shipped().iter().any(|version| version.id == id) {
        return Err(Fault::new(ErrorCode::NotFound, "There is no such workflow.").at("input.workflowId").into());
    }
    authorize::role(member, &[Role::Admin], "change a workflow")?;
    let found = found.ok_or_else(|| {
        Error::because(Reason::ShippedWorkflow, "A shipped workflow can't be changed: draft one of your own.")
    })?;
    authorize::version("workflow", found.version, expected_version)?;
    Ok(found)
}

fn expect(old: &WorkflowVersion, state: WorkflowState, message: &str) -> Result<()> {
    if old.state == state {
        return Ok(());
    }
    let message = format!("{message} This one is {}.", old.state.as_str());
    Err(Fault::because(Reason::WrongState, message).at("input.workflowId").stage(old.state.as_str()).into())
}

async fn save(tx: &mut Tx, member: &Member, old: &WorkflowVersion, new: WorkflowVersion) -> Result<WorkflowVersion> {
    if !store::workflow::update(tx.db(), &new, tx.now).await? {
        return Err(authorize::conflict("workflow", old.version).into());
    }
    told(tx, member, &new, Some(old.state), new.state.as_str());
    Ok(new)
}

fn told(tx: &mut Tx, member: &Member, workflow: &WorkflowVersion, from: Option<WorkflowState>, to: &str) {
    let happening = Happening::WorkflowChanged {
        key: workflow.definition.key.clone(),
        version: workflow.definition.version,
        from: from.map(|state| state.as_str().to_owned()),
        to: to.to_owned(),
    };
    tx.happened(vec![member.company], Some(member.id), None, Some(workflow.id.0), happening);
}

/// Tells the faults of a mapping from one version to another.
fn check_move(call: &WorkflowMove, from: &WorkflowVersion, to: &WorkflowVersion) -> Result<()> {
    let mut faults = Vec::new();
    if from.owner.is_none() || from.owner != to.owner || from.definition.key != to.definition.key {
        let message = "Leads move between versions of one workflow of your company.";
        faults.push(Fault::invalid("input.toWorkflowId", message));
    } else if from.id == to.id {
        faults.push(Fault::invalid("input.toWorkflowId", "This is the version that the leads are on."));
    } else if to.state != WorkflowState::Published {
        let message = format!("Leads move to a PUBLISHED version; this one is {}.", to.state.as_str());
        faults.push(Fault::invalid("input.toWorkflowId", message));
    } else if from.definition.subject != Subject::Lead {
        faults.push(Fault::invalid("input.fromWorkflowId", "This is a workflow of opportunities."));
    }
    if call.leads.as_ref().is_some_and(|leads| leads.len() as u64 > MOVED_AT_ONCE) {
        faults.push(Fault::invalid("input.leadIds", format!("At most {MOVED_AT_ONCE} leads at once.")));
    }
    let mut pairs: Vec<_> = call.stages.iter().collect();
    pairs.sort_unstable();
    for (old, new) in pairs {
        let from = from.definition.stage(old);
        if from.is_none() {
            let message = format!("The version that the leads are on has no stage \"{old}\".");
            faults.push(Fault::invalid("input.stages", message));
        }
        match to.definition.stage(new) {
            None => {
                let message = format!("The version to move to has no stage \"{new}\".");
                faults.push(Fault::invalid("input.stages", message));
            }
            Some(stage) if from.is_some_and(|old| old.track != stage.track) => {
                let message = format!("\"{new}\" is on another track than \"{old}\".");
                faults.push(Fault::invalid("input.stages", message));
            }
            Some(_) => {}
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
}

/// Puts a view of a lead onto another version, or says why it doesn't fit.
fn refit(view: &mut Lead, stages: &HashMap<String, String>, to: &WorkflowVersion) -> Result<(), String> {
    let definition = &to.definition;
    for track in [TrackKey::Stage, TrackKey::Status] {
        match (view.at(track).map(str::to_owned), definition.track(track)) {
            (Some(old), Some(_)) => {
                let key = stages.get(&old).unwrap_or(&old);
                let Some(stage) = definition.stage(key).filter(|stage| stage.track == track) else {
                    return Err(format!("It stands at \"{old}\", which the other version doesn't have: map it."));
                };
                view.put(stage);
            }
            (None, None) => {}
            (Some(_), None) => return Err("The other version has no track STATUS.".to_owned()),
            (None, Some(_)) => return Err("The other version has a track STATUS, which the lead lacks.".to_owned()),
        }
    }
    if !definition.track(TrackKey::Stage).is_some_and(|track| track.locked) {
        view.stage_locked = false;
    }
    if let Some(then) = &view.on_expiry {
        let stands = |from: &String| {
            [TrackKey::Stage, TrackKey::Status].into_iter().any(|track| view.at(track) == Some(from.as_str()))
        };
        let action = definition.action(then).filter(|action| action.system && action.from.iter().any(stands));
        let Some(action) = action else {
            return Err(format!("A counter runs that ends with \"{then}\", which is not possible there."));
        };
        let stage = action.to.as_ref().and_then(|to| definition.stage(to));
        view.warn_at = view.warn_at.filter(|_| stage.is_some_and(|stage| stage.kind == StageKind::Expired));
        view.expires_to =
            stage.map(|stage| Destination { stage: stage.key.clone(), kind: stage.kind, track: stage.track });
    }
    view.workflow = to.reference();
    Ok(())
}
