//! Tasks.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};

use super::{
    comment::Visibility,
    company::{Company, Member, Side, patch, profile},
    error::Reply,
    lead::Lead,
    load, member,
    page::{connect, connection},
    parse_id,
    scalars::DateTime,
    service,
};
use crate::{
    domain::{
        global_id::NodeType,
        id::{LeadId, TaskId},
        page::Page,
        task,
    },
    error::Error,
    service::task::{NewTask, TaskCall, TaskEdit},
};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "task::TaskState")]
pub enum TaskState {
    /// To be done.
    Open,
    /// Done.
    Done,
    /// Not to be done any more.
    Cancelled,
}

/// What happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "task::TaskChange")]
pub enum TaskChange {
    /// It was set.
    Created,
    /// Its text or due date changed.
    Edited,
    /// Another company or member is to do it.
    Assigned,
    /// It was done.
    Completed,
    /// It is to be done after all.
    Reopened,
    /// It is not to be done any more.
    Cancelled,
}

/// Something to do on a lead.
#[derive(Clone, Debug)]
pub struct Task(task::Task);

impl Task {
    pub(super) fn new(task: task::Task) -> Self {
        Self(task)
    }

    pub(super) fn connection(page: Page<task::Task>, lead: Option<LeadId>) -> TaskConnection {
        connect!(page, TaskConnection, TaskEdge, Self::new, lead: lead)
    }
}

/// Something to do on a lead.
#[Object(serial)]
impl Task {
    /// Its global id.
    pub async fn id(&self) -> ID {
        super::id(NodeType::Task, self.0.id.0)
    }

    /// The lead.
    async fn lead(&self, ctx: &Context<'_>) -> Result<Lead> {
        let found = load(ctx, self.0.lead).await?;
        found.map(Lead::new).ok_or_else(|| Error::internal("a task without its lead")).reply(ctx)
    }

    /// What is to be done, in a line.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// What is to be done, at length.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Where it stands.
    async fn state(&self) -> TaskState {
        self.0.state.into()
    }

    /// Who may read it.
    async fn visibility(&self) -> Visibility {
        self.0.visibility.into()
    }

    /// Who set it.
    async fn created_by(&self, ctx: &Context<'_>) -> Result<Member> {
        profile(ctx, self.0.created_by).await
    }

    /// The member that is to do it; null while anyone of the assigned company may.
    async fn assignee(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
        let Some(id) = self.0.assignee else { return Ok(None) };
        profile(ctx, id).await.map(Some)
    }

    /// The company that is to do it.
    async fn assigned_company(&self) -> Company {
        Company(self.0.assigned_company)
    }

    /// Until when; null for no date.
    async fn due_at(&self) -> Option<DateTime> {
        self.0.due_at.map(DateTime)
    }

    /// When it was done; null unless it is.
    async fn completed_at(&self) -> Option<DateTime> {
        self.0.completed_at.map(DateTime)
    }

    /// When it was set.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// Counts its changes, from 1: what `expectedVersion` is compared with.
    async fn version(&self) -> i32 {
        self.0.version
    }
}

connection!(TaskConnection, TaskEdge, Task, "tasks", complex {
    #[graphql(skip)]
    pub(super) lead: Option<LeadId>,
});

#[ComplexObject]
impl TaskConnection {
    /// How many tasks the lead has that the viewer may read; null for a list that is not of one lead.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<Option<i32>> {
        let Some(lead) = self.lead else { return Ok(None) };
        let count = service(ctx).count_tasks(member(ctx)?, lead).await.reply(ctx)?;
        Ok(Some(i32::try_from(count).unwrap_or(i32::MAX)))
    }
}

/// Which tasks to list. What is absent does not matter, and so what is null, unless it says
/// otherwise; all that is given has to hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TaskFilter {
    /// On this lead.
    pub lead_id: Option<ID>,
    /// In one of these states.
    pub state: Option<Vec<TaskState>>,
    /// To be done by this member; null: by no member in particular.
    pub assignee_id: MaybeUndefined<ID>,
    /// true: to be done by the viewer's company; false: by the other one.
    pub assigned_to_us: Option<bool>,
    /// Due before this time.
    pub due_before: Option<DateTime>,
}

/// A task to set.
#[derive(Clone, Debug, InputObject)]
pub struct CreateTaskInput {
    /// The lead.
    pub lead_id: ID,
    /// What is to be done, in a line; at most 200 characters.
    pub title: String,
    /// What is to be done, at length; at most 5,000 characters.
    pub description: Option<String>,
    /// The member that is to do it, of either side.
    pub assignee_id: Option<ID>,
    /// The side that is to do it; the assignee's, else the viewer's own where absent.
    pub assign_to: Option<Side>,
    /// Until when.
    pub due_at: Option<DateTime>,
    /// Who may read it; SHARED where absent.
    pub visibility: Option<Visibility>,
    /// Makes a repetition of this call safe: the same key with the same content gives the same task.
    pub idempotency_key: Option<String>,
}

/// What `createTask` gives: the new task.
#[derive(SimpleObject)]
pub struct CreateTaskPayload {
    /// The task.
    pub task: Task,
}

/// How to change a task's text or due date. What is absent stays; what is null is cleared.
#[derive(Clone, Debug, InputObject)]
pub struct UpdateTaskInput {
    /// The task, OPEN.
    pub task_id: ID,
    /// What is to be done, in a line; can't be cleared.
    pub title: MaybeUndefined<String>,
    /// What is to be done, at length.
    pub description: MaybeUndefined<String>,
    /// Until when.
    pub due_at: MaybeUndefined<DateTime>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `updateTask` gives: the task with its new values.
#[derive(SimpleObject)]
pub struct UpdateTaskPayload {
    /// The task as it now is.
    pub task: Task,
}

/// Who is to do a task.
#[derive(Clone, Debug, InputObject)]
pub struct AssignTaskInput {
    /// The task, OPEN.
    pub task_id: ID,
    /// The member; null or absent for anyone of the side.
    pub assignee_id: Option<ID>,
    /// The side; the assignee's, else the present one where absent.
    pub assign_to: Option<Side>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `assignTask` gives: the task with who is to do it.
#[derive(SimpleObject)]
pub struct AssignTaskPayload {
    /// The task as it now is.
    pub task: Task,
}

/// Which task is done.
#[derive(Clone, Debug, InputObject)]
pub struct CompleteTaskInput {
    /// The task.
    pub task_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `completeTask` gives: the task, done.
#[derive(SimpleObject)]
pub struct CompleteTaskPayload {
    /// The task as it now is.
    pub task: Task,
}

/// Which task is to be done after all.
#[derive(Clone, Debug, InputObject)]
pub struct ReopenTaskInput {
    /// The task, DONE or CANCELLED.
    pub task_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `reopenTask` gives: the task, open again.
#[derive(SimpleObject)]
pub struct ReopenTaskPayload {
    /// The task as it now is.
    pub task: Task,
}

/// Which task is not to be done any more.
#[derive(Clone, Debug, InputObject)]
pub struct CancelTaskInput {
    /// The task, OPEN.
    pub task_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `cancelTask` gives: the task, cancelled.
#[derive(SimpleObject)]
pub struct CancelTaskPayload {
    /// The task as it now is.
    pub task: Task,
}

/// Tasks: mutations.
#[derive(Default, Debug)]
pub struct TaskMutation;

async fn change(ctx: &Context<'_>, id: &ID, call: TaskCall, expected_version: Option<i32>) -> Result<Task> {
    let id = TaskId(parse_id(ctx, id, NodeType::Task, "input.taskId")?);
    Ok(Task(service(ctx).change_task(member(ctx)?, id, &call, expected_version).await.reply(ctx)?))
}

/// Tasks: mutations. Roles: ADMIN, SALES, MARKETEER, MANAGER.
#[Object]
impl TaskMutation {
    /// Sets a task on a lead, for the viewer's own side or the other.
    async fn create_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The task, and the lead.")] input: CreateTaskInput,
    ) -> Result<Option<CreateTaskPayload>> {
        let lead = LeadId(parse_id(ctx, &input.lead_id, NodeType::Lead, "input.leadId")?);
        let new = NewTask {
            title: input.title,
            description: input.description,
            assignee_id: input.assignee_id.map(|id| id.0),
            assign_to: input.assign_to.map(Into::into),
            due_at: input.due_at.map(|at| at.0),
            visibility: input.visibility.unwrap_or(Visibility::Shared).into(),
            idempotency_key: input.idempotency_key,
        };
        let task = service(ctx).create_task(member(ctx)?, lead, &new).await.reply(ctx)?;
        Ok(Some(CreateTaskPayload { task: Task(task) }))
    }

    /// Changes a task's text or due date. The company that set it may.
    async fn update_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which task, and how.")] input: UpdateTaskInput,
    ) -> Result<Option<UpdateTaskPayload>> {
        let call = TaskCall::Edit(TaskEdit {
            title: patch(input.title),
            description: patch(input.description),
            due_at: patch(input.due_at).map(|at| at.0),
        });
        Ok(Some(UpdateTaskPayload { task: change(ctx, &input.task_id, call, input.expected_version).await? }))
    }

    /// Gives a task to a member or side. Across the sides the company that set it may, within a side that side.
    async fn assign_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which task, and to whom.")] input: AssignTaskInput,
    ) -> Result<Option<AssignTaskPayload>> {
        let call = TaskCall::Assign {
            assignee_id: input.assignee_id.map(|id| id.0),
            assign_to: input.assign_to.map(Into::into),
        };
        Ok(Some(AssignTaskPayload { task: change(ctx, &input.task_id, call, input.expected_version).await? }))
    }

    /// Marks a task done. Either side of the lead may; a task that is done stays as it is.
    async fn complete_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which task.")] input: CompleteTaskInput,
    ) -> Result<Option<CompleteTaskPayload>> {
        let task = change(ctx, &input.task_id, TaskCall::Complete, input.expected_version).await?;
        Ok(Some(CompleteTaskPayload { task }))
    }

    /// Opens a task again. Either side of the lead may where it was done, its setter where it was cancelled.
    async fn reopen_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which task.")] input: ReopenTaskInput,
    ) -> Result<Option<ReopenTaskPayload>> {
        let task = change(ctx, &input.task_id, TaskCall::Reopen, input.expected_version).await?;
        Ok(Some(ReopenTaskPayload { task }))
    }

    /// Cancels a task. The company that set it may.
    async fn cancel_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which task.")] input: CancelTaskInput,
    ) -> Result<Option<CancelTaskPayload>> {
        let task = change(ctx, &input.task_id, TaskCall::Cancel, input.expected_version).await?;
        Ok(Some(CancelTaskPayload { task }))
    }
}
