//! Tasks: what the two sides set each other to do.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{
    Service, Tx,
    authorize::{self, Authorized, PEOPLE, Purpose},
    comment::audience,
    cursor::{self, List},
    lead::{claim, fingerprint, idempotency, text_id},
    transaction,
};
use crate::{
    domain::{
        actor::{Member, Side},
        comment::Visibility,
        event::{FieldChange, Happening},
        global_id::NodeType,
        id::{CompanyId, LeadId, MemberId, TaskId},
        page::{Page, PageRequest},
        patch::Patch,
        task::{DESCRIPTION_MAX, TITLE_MAX, Task, TaskChange, TaskState},
        text::{self, Rules},
    },
    error::{Error, ErrorCode, Fault, Reason, Result},
    store::{self, lead::Parties, scope::Scope, thread::TaskFilter},
};

/// A task to be set.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// What is to be done, in a line.
    pub title: String,
    /// What is to be done, at length.
    pub description: Option<String>,
    /// The member that is to do it, a global id.
    pub assignee_id: Option<String>,
    /// The side that is to do it; the assignee's, else the caller's own where absent.
    pub assign_to: Option<Side>,
    /// Until when.
    pub due_at: Option<DateTime<Utc>>,
    /// Who may read it.
    pub visibility: Visibility,
    /// Makes a repetition of the call safe.
    pub idempotency_key: Option<String>,
}

/// A change of a task's text or due date.
#[derive(Clone, Debug, Default)]
pub struct TaskEdit {
    /// What is to be done, in a line.
    pub title: Patch<String>,
    /// What is to be done, at length.
    pub description: Patch<String>,
    /// Until when.
    pub due_at: Patch<DateTime<Utc>>,
}

/// What is done to a task.
#[derive(Clone, Debug)]
pub enum TaskCall {
    /// Its text or due date changes: by the company that set it.
    Edit(TaskEdit),
    /// Another member or side is to do it: across the sides by the company that set it, within a side by that side.
    Assign {
        /// The member, a global id.
        assignee_id: Option<String>,
        /// The side.
        assign_to: Option<Side>,
    },
    /// It is done.
    Complete,
    /// It is to be done after all.
    Reopen,
    /// It is not to be done any more: by the company that set it.
    Cancel,
}

impl Service {
    /// A page of the tasks that the caller may read, the newest first.
    pub async fn tasks(&self, member: &Member, filter: &TaskFilter, page: PageRequest) -> Result<Page<Task>> {
        let window = self.window(member, List::Tasks, page, true)?;
        let slice = store::thread::tasks(self.db().read(), Scope::of(member), filter, &window).await?;
        Ok(Self::page(member, List::Tasks, &window, slice, |item| (item.created_at, item.id.0)))
    }

    /// A part of a lead's tasks, the oldest first.
    pub async fn tasks_of_lead(&self, member: &Member, lead: LeadId, page: PageRequest) -> Result<Page<Task>> {
        let window = self.window(member, List::Tasks, page, false)?;
        let filter = TaskFilter { lead: Some(lead), ..TaskFilter::default() };
        let slice = store::thread::tasks(self.db().read(), Scope::of(member), &filter, &window).await?;
        Ok(Self::page(member, List::Tasks, &window, slice, |item| (item.created_at, item.id.0)))
    }

    /// The same part of the tasks of many leads, in one statement. The request has no cursors.
    pub async fn tasks_of_leads(
        &self,
        member: &Member,
        leads: &[LeadId],
        page: &PageRequest,
    ) -> Result<HashMap<LeadId, Page<Task>>> {
        let bounds = page.bounds()?;
        let scope = Scope::of(member);
        let slices = store::thread::tasks_of_leads(self.db().read(), scope, leads, bounds.limit, bounds.last).await?;
        Ok(slices
            .into_iter()
            .map(|(lead, slice)| {
                let edges = slice
                    .items
                    .into_iter()
                    .map(|item| (cursor::created(member.company, List::Tasks, item.created_at, item.id.0), item));
                (lead, Page::new(edges.collect(), slice.more, bounds.last, false, false))
            })
            .collect())
    }

    /// How many tasks of the lead the caller may read.
    pub async fn count_tasks(&self, member: &Member, lead: LeadId) -> Result<u64> {
        store::thread::count_tasks(self.db().read(), Scope::of(member), lead).await
    }

    /// How many open tasks each lead has that the caller may read.
    pub async fn open_tasks(&self, member: &Member, leads: &[LeadId]) -> Result<HashMap<LeadId, i64>> {
        store::thread::open_tasks(self.db().read(), Scope::of(member), leads).await
    }

    /// Those of the tasks that the caller may read.
    pub async fn tasks_by_ids(&self, member: &Member, ids: &[TaskId]) -> Result<Vec<Task>> {
        store::thread::tasks_by_ids(self.db().read(), Scope::of(member), ids).await
    }

    /// Sets a task on a lead (mission A17).
    ///
    /// # Errors
    /// The input's faults, `NOT_FOUND`, `FORBIDDEN`, `LEAD_INACTIVE`, `DUPLICATE`.
    pub async fn create_task(&self, member: &Member, lead: LeadId, new: &NewTask) -> Result<Task> {
        let mut faults = Vec::new();
        let key = idempotency(new.idempotency_key.as_deref(), &mut faults);
        let title = Rules::line(TITLE_MAX).required(Some(&new.title), "input.title", &mut faults);
        let description =
            Rules::lines(DESCRIPTION_MAX).optional(new.description.as_deref(), "input.description", &mut faults);
        let assignee = assignee_id(new.assignee_id.as_deref(), &mut faults);
        let (Some(title), true) = (title, faults.is_empty()) else { return Err(faults.into()) };
        let fingerprint = fingerprint(&(lead, new));
        transaction!(self, tx, {
            let id: TaskId = tx.fresh();
            if let Some(key) = &key
                && let Some(earlier) = claim(tx, member, key, "createTask", &fingerprint, id.0).await?
            {
                let found = store::thread::tasks_by_ids(tx.db(), Scope::of(member), &[TaskId(earlier)]).await?;
                return found.into_iter().next().ok_or_else(|| Error::not_found("task"));
            }
            let parties = authorize::lead(tx, member, lead, "input.leadId", Purpose::Change(PEOPLE)).await?;
            let who = assignment(tx, &parties, new.visibility, assignee, new.assign_to, parties.mine.company).await?;
            let task = Task {
                id,
                lead,
                company: member.company,
                created_by: member.id,
                assigned_company: who.0,
                assignee: who.1,
                visibility: new.visibility,
                title: title.clone(),
                description: description.clone(),
                state: TaskState::Open,
                due_at: new.due_at,
                completed_at: None,
                version: 1,
                created_at: tx.now,
            };
            store::thread::insert_task(tx.db(), &parties.mine, &task).await?;
            tell(tx, member, &parties, &task, TaskChange::Created, Vec::new());
            Ok(task)
        })
    }

    /// Does something to a task.
    ///
    /// # Errors
    /// The input's faults, `NOT_FOUND`, `FORBIDDEN`, `LEAD_INACTIVE`, `CONFLICT`; `INVALID_TRANSITION` for what its
    /// state does not allow.
    pub async fn change_task(
        &self,
        member: &Member,
        id: TaskId,
        call: &TaskCall,
        expected_version: Option<i32>,
    ) -> Result<Task> {
        transaction!(self, tx, {
            let (task, parties) = authorize::task(tx, member, id, "input.taskId").await?;
            authorize::version("task", task.version, expected_version)?;
            let (new, change) = self.changed(tx, member, &task, &parties, call).await?;
            if new == *task {
                return Ok(new);
            }
            let new = Task { version: task.version + 1, ..new };
            authorize::save_task(tx, &task, &new).await?;
            tell(tx, member, &parties, &new, change, Task::differences(&task, &new));
            Ok(new)
        })
    }

    async fn changed(
        &self,
        tx: &Tx,
        member: &Member,
        task: &Authorized<Task>,
        parties: &Parties,
        call: &TaskCall,
    ) -> Result<(Task, TaskChange)> {
        let setter = task.company == member.company;
        let doer = task.assigned_company == member.company;
        let mut new: Task = (*task).clone();
        let state = |wanted: TaskState, what: &str| {
            if task.state == wanted {
                return Ok(());
            }
            let message =
                format!("The task is {}; only a task that is {} can be {what}.", task.state.as_str(), wanted.as_str());
            Err(Error::from(Fault::because(Reason::WrongState, message).stage(task.state.as_str())))
        };
        let only_setter = || Error::because(Reason::OtherSide, "Only the company that set the task may do this.");
        match call {
            TaskCall::Edit(edit) => {
                if !setter {
                    return Err(only_setter());
                }
                state(TaskState::Open, "edited")?;
                let mut faults = Vec::new();
                match &edit.title {
                    Patch::Absent => {}
                    Patch::Null => faults.push(text::missing("input.title")),
                    Patch::Value(title) => {
                        new.title = Rules::line(TITLE_MAX)
                            .required(Some(title), "input.title", &mut faults)
                            .unwrap_or_default();
                    }
                }
                new.description = edit.description.clone().checked(new.description, |text| {
                    Rules::lines(DESCRIPTION_MAX).optional(Some(&text), "input.description", &mut faults)
                });
                new.due_at = edit.due_at.apply(new.due_at);
                if faults.is_empty() { Ok((new, TaskChange::Edited)) } else { Err(faults.into()) }
            }
            TaskCall::Assign { assignee_id: id, assign_to } => {
                state(TaskState::Open, "assigned")?;
                let mut faults = Vec::new();
                let assignee = assignee_id(id.as_deref(), &mut faults);
                if !faults.is_empty() {
                    return Err(faults.into());
                }
                let who = assignment(tx, parties, task.visibility, assignee, *assign_to, task.assigned_company).await?;
                (new.assigned_company, new.assignee) = who;
                let within = doer && new.assigned_company == task.assigned_company;
                if !(setter || within) {
                    return Err(Error::because(
                        Reason::OtherSide,
                        "Only the company that set the task gives it to the other side; yours may assign what it is \
                         to do among its own members.",
                    ));
                }
                Ok((new, TaskChange::Assigned))
            }
            TaskCall::Complete | TaskCall::Reopen if !(doer || setter) => Err(Error::because(
                Reason::OtherSide,
                "Only the side that is to do the task, or the company that set it, says whether it is done.",
            )),
            TaskCall::Complete => {
                if task.state == TaskState::Done {
                    return Ok((new, TaskChange::Completed));
                }
                state(TaskState::Open, "completed")?;
                new.state = TaskState::Done;
                new.completed_at = Some(tx.now);
                Ok((new, TaskChange::Completed))
            }
            TaskCall::Reopen => {
                if task.state == TaskState::Open {
                    return Ok((new, TaskChange::Reopened));
                }
                if task.state == TaskState::Cancelled && !setter {
                    return Err(only_setter());
                }
                new.state = TaskState::Open;
                new.completed_at = None;
                Ok((new, TaskChange::Reopened))
            }
            TaskCall::Cancel => {
                if !setter {
                    return Err(only_setter());
                }
                if task.state == TaskState::Cancelled {
                    return Ok((new, TaskChange::Cancelled));
                }
                state(TaskState::Open, "cancelled")?;
                new.state = TaskState::Cancelled;
                Ok((new, TaskChange::Cancelled))
            }
        }
    }
}

fn assignee_id(id: Option<&str>, faults: &mut Vec<Fault>) -> Option<MemberId> {
    id.and_then(|id| text_id(id, NodeType::Member, "input.assigneeId", faults).map(MemberId))
}

/// Which company, and which of its members, is to do a task.
async fn assignment(
    tx: &Tx,
    parties: &Parties,
    visibility: Visibility,
    assignee: Option<MemberId>,
    side: Option<Side>,
    otherwise: CompanyId,
) -> Result<(CompanyId, Option<MemberId>)> {
    let wanted = match side {
        Some(side) if side == parties.mine.side => Some(parties.mine.company),
        Some(side) => {
            let other =
                parties.other.as_ref().map(|other| other.company).ok_or_else(|| {
                    Fault::invalid("input.assignTo", format!("The lead has no {} now.", side.as_str()))
                })?;
            Some(other)
        }
        None => None,
    };
    let mut company = wanted.unwrap_or(otherwise);
    if let Some(assignee) = assignee {
        let found = store::company::members_by_ids(tx.db(), &[assignee]).await?;
        let ours = [Some(parties.mine.company), parties.other.as_ref().map(|other| other.company)];
        let profile = found.into_iter().find(|profile| ours.contains(&Some(profile.company))).ok_or_else(|| {
            Fault::new(ErrorCode::NotFound, "Neither side of this lead has such a member.").at("input.assigneeId")
        })?;
        if wanted.is_some_and(|wanted| wanted != profile.company) {
            let message = "The assignee is not of the side that assignTo names.";
            return Err(Fault::invalid("input.assigneeId", message).into());
        }
        company = profile.company;
    }
    if visibility == Visibility::Internal && company != parties.mine.company {
        let message = "An INTERNAL task is for your own company: the other side can't see it.";
        let field = if assignee.is_some() { "input.assigneeId" } else { "input.assignTo" };
        return Err(Fault::invalid(field, message).into());
    }
    Ok((company, assignee))
}

fn tell(tx: &mut Tx, member: &Member, parties: &Parties, task: &Task, change: TaskChange, changes: Vec<FieldChange>) {
    let audience = audience(parties, task.visibility);
    let happening = Happening::TaskChanged { change, changes };
    tx.happened(audience, Some(member.id), Some(task.lead), Some(task.id.0), happening);
}
