//! Comments and tasks: what is said and done on a lead.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cosell_entity::{comment, lead_view, task};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use super::{
    among,
    batch::{Batch, cut_each, rows_of_each},
    company,
    page::{Slice, Window},
    row::Columns,
    scope::Scope,
    unknown,
};
use crate::{
    domain::{
        actor::Side,
        comment::{Comment, Visibility},
        company::Profile,
        id::{CommentId, CompanyId, LeadId, MemberId, PartnershipId, TaskId},
        lead::Lead,
        patch::Patch,
        task::{Task, TaskState},
    },
    error::Result,
};

fn visibility_of(text: &str) -> Result<Visibility> {
    [Visibility::Shared, Visibility::Internal]
        .into_iter()
        .find(|visibility| visibility.as_str() == text)
        .ok_or_else(|| unknown("visibility", text))
}

fn comment_of(row: comment::Model) -> Result<Comment> {
    Ok(Comment {
        id: CommentId(row.id),
        lead: LeadId(row.lead_id),
        company: CompanyId(row.company_id),
        author: MemberId(row.author_id),
        visibility: visibility_of(&row.visibility)?,
        body: row.body,
        in_reply_to: row.in_reply_to.map(CommentId),
        created_at: row.created_at,
        edited_at: row.edited_at,
        version: row.version,
    })
}

fn state_of(text: &str) -> Result<TaskState> {
    TaskState::parse(text).ok_or_else(|| unknown("task state", text))
}

fn task_of(row: task::Model) -> Result<Task> {
    Ok(Task {
        id: TaskId(row.id),
        lead: LeadId(row.lead_id),
        company: CompanyId(row.company_id),
        created_by: MemberId(row.created_by),
        assigned_company: CompanyId(row.assigned_company_id),
        assignee: row.assignee_id.map(MemberId),
        visibility: visibility_of(&row.visibility)?,
        title: row.title,
        description: row.description,
        state: state_of(&row.state)?,
        due_at: row.due_at,
        completed_at: row.completed_at,
        version: row.version,
        created_at: row.created_at,
    })
}

/// The receiver that a new comment or task of this view belongs to: the earlier ones never see it.
fn receiver(lead: &Lead) -> Option<Uuid> {
    let alive = lead.side == Side::Receiver || lead.assignment.is_some();
    lead.receiver.filter(|_| alive).map(|id| id.0)
}

/// Adds a comment to the thread of the lead as the author sees it.
pub async fn insert_comment(db: &impl ConnectionTrait, lead: &Lead, new: &Comment) -> Result<()> {
    let row = comment::ActiveModel {
        id: Set(new.id.0),
        lead_id: Set(new.lead.0),
        source_id: Set(lead.source.0),
        receiver_id: Set(receiver(lead)),
        company_id: Set(new.company.0),
        author_id: Set(new.author.0),
        visibility: Set(new.visibility.as_str().to_owned()),
        body: Set(new.body.clone()),
        in_reply_to: Set(new.in_reply_to.map(|id| id.0)),
        created_at: Set(new.created_at),
        edited_at: Set(None),
        removed_at: Set(None),
        version: Set(new.version),
    };
    comment::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// The comments of those ids that the company may read.
pub async fn comments_by_ids(db: &impl ConnectionTrait, scope: Scope, ids: &[CommentId]) -> Result<Vec<Comment>> {
    comment::Entity::find()
        .filter(scope.comments())
        .filter(among(db, comment::Column::Id, ids.iter().map(|id| id.0)))
        .all(db)
        .await?
        .into_iter()
        .map(comment_of)
        .collect()
}

/// A comment with the receiver it was written for.
pub async fn comment_with_receiver(
    db: &impl ConnectionTrait,
    scope: Scope,
    id: CommentId,
) -> Result<Option<(Comment, Option<CompanyId>)>> {
    let row = comment::Entity::find_by_id(id.0).filter(scope.comments()).one(db).await?;
    row.map(|row| {
        let receiver = row.receiver_id.map(CompanyId);
        Ok((comment_of(row)?, receiver))
    })
    .transpose()
}

/// Changes a comment's text; `false` where another call changed or removed it meanwhile.
pub async fn edit_comment(db: &impl ConnectionTrait, old: &Comment, body: &str, now: DateTime<Utc>) -> Result<bool> {
    let done = change_of(old)
        .col_expr(comment::Column::Body, Expr::value(body))
        .col_expr(comment::Column::EditedAt, Expr::value(now))
        .exec(db)
        .await?;
    Ok(done.rows_affected == 1)
}

/// Removes a comment: its row keeps the thread's shape, its text is gone; `false` where another call changed or removed
/// it meanwhile.
pub async fn remove_comment(db: &impl ConnectionTrait, old: &Comment, now: DateTime<Utc>) -> Result<bool> {
    let done = change_of(old)
        .col_expr(comment::Column::Body, Expr::value(""))
        .col_expr(comment::Column::RemovedAt, Expr::value(now))
        .exec(db)
        .await?;
    Ok(done.rows_affected == 1)
}

fn change_of(old: &Comment) -> UpdateMany<comment::Entity> {
    comment::Entity::update_many()
        .col_expr(comment::Column::Version, Expr::value(old.version + 1))
        .filter(comment::Column::Id.eq(old.id.0))
        .filter(comment::Column::Version.eq(old.version))
        .filter(comment::Column::RemovedAt.is_null())
}

/// A part of a lead's thread, the oldest first.
pub async fn comments(
    db: &impl ConnectionTrait,
    scope: Scope,
    lead: LeadId,
    window: &Window<DateTime<Utc>>,
) -> Result<Slice<Comment>> {
    let select = comment::Entity::find().filter(scope.comments()).filter(comment::Column::LeadId.eq(lead.0));
    let rows = window.apply(select, comment::Column::CreatedAt, comment::Column::Id).all(db).await?;
    let rows = rows.into_iter().map(comment_of).collect::<Result<Vec<_>>>()?;
    Ok(Slice::cut(rows, window.limit, window.last))
}

/// How many comments of the lead the company may read.
pub async fn count_comments(db: &impl ConnectionTrait, scope: Scope, lead: LeadId) -> Result<u64> {
    use sea_orm::PaginatorTrait;
    Ok(comment::Entity::find().filter(scope.comments()).filter(comment::Column::LeadId.eq(lead.0)).count(db).await?)
}

/// The first or last entries of each lead's thread, with their authors, in one statement for all the leads.
pub async fn comments_of_leads(
    db: &impl ConnectionTrait,
    scope: Scope,
    leads: &[LeadId],
    limit: u64,
    last: bool,
) -> Result<HashMap<LeadId, Slice<(Comment, Profile)>>> {
    const SCOPE: &str = "c.removed_at IS NULL AND (c.company_id = $1 \
         OR (c.visibility = 'SHARED' AND (c.source_id = $1 OR c.receiver_id = $1)))";
    let ids = leads.iter().map(|id| id.0).collect();
    let rows = rows_of_each(
        db,
        &Batch {
            table: "comment",
            of: "lead_id",
            columns: "t.id, t.lead_id, t.company_id, t.author_id, t.visibility, t.body, t.in_reply_to, t.created_at, \
                t.edited_at, t.version, m.company_id, m.name, m.email, m.roles",
            join: "JOIN member m ON m.id = t.author_id",
            scope: SCOPE,
            order: ["created_at", "id"],
        },
        scope,
        ids,
        limit,
        last,
    )
    .await?;
    let mut found: HashMap<LeadId, Vec<(Comment, Profile)>> = HashMap::with_capacity(leads.len());
    for row in rows {
        let mut row = Columns::of(&row)?;
        let comment = Comment {
            id: CommentId(row.next()?),
            lead: LeadId(row.next()?),
            company: CompanyId(row.next()?),
            author: MemberId(row.next()?),
            visibility: visibility_of(row.next()?)?,
            body: row.next()?,
            in_reply_to: row.next::<Option<_>>()?.map(CommentId),
            created_at: row.next()?,
            edited_at: row.next()?,
            version: row.next()?,
        };
        let author = company::profile(comment.author.0, row.next()?, row.next()?, row.next()?, row.next()?);
        found.entry(comment.lead).or_default().push((comment, author));
    }
    Ok(cut_each(found, limit, last))
}

/// The first or last tasks of each lead, in one statement for all the leads.
pub async fn tasks_of_leads(
    db: &impl ConnectionTrait,
    scope: Scope,
    leads: &[LeadId],
    limit: u64,
    last: bool,
) -> Result<HashMap<LeadId, Slice<Task>>> {
    const SCOPE: &str = "(c.company_id = $1 \
         OR (c.visibility = 'SHARED' AND (c.source_id = $1 OR c.receiver_id = $1)))";
    let batch = Batch {
        table: "task",
        of: "lead_id",
        columns: "t.id, t.lead_id, t.company_id, t.created_by, t.assigned_company_id, t.assignee_id, t.visibility, \
            t.title, t.description, t.state, t.due_at, t.completed_at, t.version, t.created_at",
        join: "",
        scope: SCOPE,
        order: ["created_at", "id"],
    };
    let mut found: HashMap<LeadId, Vec<Task>> = HashMap::with_capacity(leads.len());
    let ids = leads.iter().map(|id| id.0).collect();
    for row in rows_of_each(db, &batch, scope, ids, limit, last).await? {
        let mut row = Columns::of(&row)?;
        let task = Task {
            id: TaskId(row.next()?),
            lead: LeadId(row.next()?),
            company: CompanyId(row.next()?),
            created_by: MemberId(row.next()?),
            assigned_company: CompanyId(row.next()?),
            assignee: row.next::<Option<_>>()?.map(MemberId),
            visibility: visibility_of(row.next()?)?,
            title: row.next()?,
            description: row.next()?,
            state: state_of(row.next()?)?,
            due_at: row.next()?,
            completed_at: row.next()?,
            version: row.next()?,
            created_at: row.next()?,
        };
        found.entry(task.lead).or_default().push(task);
    }
    Ok(cut_each(found, limit, last))
}

/// How many open tasks each lead has that the company may read, in one statement.
pub async fn open_tasks(db: &impl ConnectionTrait, scope: Scope, leads: &[LeadId]) -> Result<HashMap<LeadId, i64>> {
    let rows = task::Entity::find()
        .filter(scope.tasks())
        .filter(among(db, task::Column::LeadId, leads.iter().map(|id| id.0)))
        .filter(task::Column::State.eq(TaskState::Open.as_str()))
        .select_only()
        .column(task::Column::LeadId)
        .column_as(task::Column::Id.count(), "count")
        .group_by(task::Column::LeadId)
        .into_tuple::<(Uuid, i64)>()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(lead, count)| (LeadId(lead), count)).collect())
}

/// How many tasks of the lead the company may read.
pub async fn count_tasks(db: &impl ConnectionTrait, scope: Scope, lead: LeadId) -> Result<u64> {
    use sea_orm::PaginatorTrait;
    Ok(task::Entity::find().filter(scope.tasks()).filter(task::Column::LeadId.eq(lead.0)).count(db).await?)
}

/// Adds a task to the lead as its creator sees it.
pub async fn insert_task(db: &impl ConnectionTrait, lead: &Lead, new: &Task) -> Result<()> {
    let row = task::ActiveModel {
        id: Set(new.id.0),
        lead_id: Set(new.lead.0),
        source_id: Set(lead.source.0),
        receiver_id: Set(receiver(lead)),
        company_id: Set(new.company.0),
        created_by: Set(new.created_by.0),
        assigned_company_id: Set(new.assigned_company.0),
        assignee_id: Set(new.assignee.map(|id| id.0)),
        visibility: Set(new.visibility.as_str().to_owned()),
        title: Set(new.title.clone()),
        description: Set(new.description.clone()),
        state: Set(new.state.as_str().to_owned()),
        due_at: Set(new.due_at),
        completed_at: Set(None),
        version: Set(new.version),
        created_at: Set(new.created_at),
        updated_at: Set(new.created_at),
    };
    task::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// The tasks of those ids that the company may read.
pub async fn tasks_by_ids(db: &impl ConnectionTrait, scope: Scope, ids: &[TaskId]) -> Result<Vec<Task>> {
    task::Entity::find()
        .filter(scope.tasks())
        .filter(among(db, task::Column::Id, ids.iter().map(|id| id.0)))
        .all(db)
        .await?
        .into_iter()
        .map(task_of)
        .collect()
}

/// The task, locked until the transaction ends, with the receiver it was set for.
pub async fn lock_task(
    db: &impl ConnectionTrait,
    scope: Scope,
    id: TaskId,
) -> Result<Option<(Task, Option<CompanyId>)>> {
    let row = task::Entity::find_by_id(id.0).filter(scope.tasks()).lock_exclusive().one(db).await?;
    row.map(|row| {
        let receiver = row.receiver_id.map(CompanyId);
        Ok((task_of(row)?, receiver))
    })
    .transpose()
}

/// Writes a task; `false` where its version is no longer the one before `new`'s.
pub async fn update_task(db: &impl ConnectionTrait, new: &Task, now: DateTime<Utc>) -> Result<bool> {
    use task::Column as C;
    let done = task::Entity::update_many()
        .col_expr(C::AssignedCompanyId, Expr::value(new.assigned_company.0))
        .col_expr(C::AssigneeId, Expr::value(new.assignee.map(|id| id.0)))
        .col_expr(C::Title, Expr::value(new.title.clone()))
        .col_expr(C::Description, Expr::value(new.description.clone()))
        .col_expr(C::State, Expr::value(new.state.as_str()))
        .col_expr(C::DueAt, Expr::value(new.due_at))
        .col_expr(C::CompletedAt, Expr::value(new.completed_at))
        .col_expr(C::Version, Expr::value(new.version))
        .col_expr(C::UpdatedAt, Expr::value(now))
        .filter(C::Id.eq(new.id.0))
        .filter(C::Version.eq(new.version - 1))
        .exec(db)
        .await?;
    Ok(done.rows_affected == 1)
}

/// What is over, and with it the open tasks that nobody could close any more.
#[derive(Clone, Copy, Debug)]
pub enum Over {
    /// The whole lead is read-only: every task of it.
    Lead(LeadId),
    /// The lead's passing to this receiver: what both sides see, and the receiver's own.
    Passing(LeadId, CompanyId),
    /// Every live passing across this partnership.
    Partnership(PartnershipId),
}

/// A task that was cancelled with what it belonged to.
#[derive(Clone, Debug)]
pub struct Cancelled {
    /// The task.
    pub id: TaskId,
    /// Its lead.
    pub lead: LeadId,
    /// Who could see it.
    pub audience: Vec<CompanyId>,
}

/// Cancels the open tasks of what is over, the oldest first.
pub async fn cancel_tasks(db: &impl ConnectionTrait, over: Over, now: DateTime<Utc>) -> Result<Vec<Cancelled>> {
    use task::Column as C;
    let shared = || C::Visibility.eq(Visibility::Shared.as_str());
    let open = Condition::all().add(C::State.eq(TaskState::Open.as_str()));
    let open = match over {
        Over::Lead(lead) => open.add(C::LeadId.eq(lead.0)),
        Over::Passing(lead, receiver) => open
            .add(C::LeadId.eq(lead.0))
            .add(C::ReceiverId.eq(receiver.0))
            .add(Condition::any().add(shared()).add(C::CompanyId.eq(receiver.0))),
        Over::Partnership(id) => {
            let live = Query::select()
                .columns([lead_view::Column::LeadId, lead_view::Column::CompanyId])
                .from(lead_view::Entity)
                .and_where(lead_view::Column::PartnershipId.eq(id.0))
                .and_where(lead_view::Column::Side.eq(Side::Receiver.as_str()))
                .and_where(lead_view::Column::EndedAt.is_null())
                .to_owned();
            open.add(Expr::tuple([Expr::col(C::LeadId), Expr::col(C::ReceiverId)]).in_subquery(live))
                .add(Condition::any().add(shared()).add(Expr::col(C::CompanyId).eq(Expr::col(C::ReceiverId))))
        }
    };
    let rows = task::Entity::find().filter(open).order_by_asc(C::CreatedAt).order_by_asc(C::Id).all(db).await?;
    let mut cancelled = Vec::with_capacity(rows.len());
    for row in rows {
        let shared = row.visibility == Visibility::Shared.as_str();
        let audience = if shared {
            std::iter::once(row.source_id).chain(row.receiver_id).map(CompanyId).collect()
        } else {
            vec![CompanyId(row.company_id)]
        };
        cancelled.push(Cancelled { id: TaskId(row.id), lead: LeadId(row.lead_id), audience });
    }
    for some in cancelled.chunks(500) {
        task::Entity::update_many()
            .col_expr(C::State, Expr::value(TaskState::Cancelled.as_str()))
            .col_expr(C::Version, Expr::col(C::Version).add(1))
            .col_expr(C::UpdatedAt, Expr::value(now))
            .filter(among(db, C::Id, some.iter().map(|task| task.id.0)))
            .exec(db)
            .await?;
    }
    Ok(cancelled)
}

/// Which tasks are asked for. What is absent does not matter; what is null is to be none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFilter {
    /// Of this lead.
    pub lead: Option<LeadId>,
    /// In one of these states.
    pub states: Option<Vec<TaskState>>,
    /// To be done by this member.
    pub assignee: Patch<MemberId>,
    /// To be done by the caller's company, or by the other.
    pub assigned_to: Option<(CompanyId, bool)>,
    /// Due before this time.
    pub due_before: Option<DateTime<Utc>>,
}

/// A page of the tasks that the company may read. One scan of an index for each side, merged.
pub async fn tasks(
    db: &impl ConnectionTrait,
    scope: Scope,
    filter: &TaskFilter,
    window: &Window<DateTime<Utc>>,
) -> Result<Slice<Task>> {
    use task::Column as C;
    let mut all = Condition::all();
    if let Some(states) = &filter.states {
        all = all.add(C::State.is_in(states.iter().map(|state| state.as_str())));
    }
    all = all.add_option(super::is(C::AssigneeId, filter.assignee.map(|id| id.0)));
    if let Some((company, own)) = filter.assigned_to {
        all = all.add(if own { C::AssignedCompanyId.eq(company.0) } else { C::AssignedCompanyId.ne(company.0) });
    }
    if let Some(before) = filter.due_before {
        all = all.add(C::DueAt.lt(before));
    }
    let mut rows = Vec::new();
    let sides: &[Condition] = &match filter.lead {
        Some(lead) => vec![Condition::all().add(C::LeadId.eq(lead.0))],
        None => [C::SourceId, C::ReceiverId].map(|side| Condition::all().add(side.eq(scope.company().0))).to_vec(),
    };
    for side in sides {
        let select = task::Entity::find().filter(side.clone()).filter(scope.tasks()).filter(all.clone());
        rows.extend(window.apply(select, C::CreatedAt, C::Id).all(db).await?);
    }
    rows.sort_by_key(|row| (row.created_at, row.id));
    if window.descending != window.last {
        rows.reverse();
    }
    let rows = rows.into_iter().map(task_of).collect::<Result<Vec<_>>>()?;
    Ok(Slice::cut(rows, window.limit, window.last))
}
