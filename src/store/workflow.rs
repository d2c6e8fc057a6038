//! Companies' own workflows.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cosell_entity::{lead_view, opportunity_view, template, workflow};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, OnConflict},
};

use super::{scope::Scope, unknown};
use crate::{
    domain::{
        actor::{Member, Side},
        id::{CompanyId, LeadId, WorkflowId},
        lead::WorkflowRef,
        workflow::version::{WorkflowState, WorkflowVersion},
    },
    error::{Error, Result},
};

/// The definition of a version that was published, whether or not it is retired by now.
pub async fn definition(
    db: &impl ConnectionTrait,
    company: CompanyId,
    key: &str,
    version: i32,
) -> Result<Option<serde_json::Value>> {
    use workflow::Column as C;
    let found = of_key(Scope::system(company), key)
        .filter(C::WorkflowVersion.eq(version))
        .filter(C::State.ne(WorkflowState::Draft.as_str()))
        .select_only()
        .column(C::Definition)
        .into_tuple::<serde_json::Value>()
        .one(db)
        .await?;
    Ok(found)
}

fn own(scope: Scope) -> Select<workflow::Entity> {
    workflow::Entity::find().filter(workflow::Column::CompanyId.eq(scope.company().0))
}

fn of_key(scope: Scope, key: &str) -> Select<workflow::Entity> {
    own(scope).filter(workflow::Column::Key.eq(key))
}

fn version_of(row: workflow::Model) -> Result<WorkflowVersion> {
    Ok(WorkflowVersion {
        id: WorkflowId(row.id),
        owner: Some(CompanyId(row.company_id)),
        definition: Arc::new(serde_json::from_value(row.definition).map_err(Error::internal)?),
        state: WorkflowState::parse(&row.state).ok_or_else(|| unknown("workflow state", &row.state))?,
        version: row.version,
        published_at: row.published_at,
        retired_at: row.retired_at,
    })
}

/// The versions of the company's own workflows, by key and then the newest first.
pub async fn list(db: &impl ConnectionTrait, scope: Scope) -> Result<Vec<WorkflowVersion>> {
    use workflow::Column as C;
    let rows = own(scope).order_by_asc(C::Key).order_by_desc(C::WorkflowVersion).all(db).await?;
    rows.into_iter().map(version_of).collect()
}

/// How many versions of its own workflows the company keeps.
pub async fn count(db: &impl ConnectionTrait, scope: Scope) -> Result<u64> {
    Ok(own(scope).count(db).await?)
}

/// A version of one of the company's own workflows.
pub async fn find(db: &impl ConnectionTrait, scope: Scope, id: WorkflowId) -> Result<Option<WorkflowVersion>> {
    own(scope).filter(workflow::Column::Id.eq(id.0)).one(db).await?.map(version_of).transpose()
}

/// The same, locked until the transaction ends.
pub async fn lock(db: &impl ConnectionTrait, scope: Scope, id: WorkflowId) -> Result<Option<WorkflowVersion>> {
    let row = own(scope).filter(workflow::Column::Id.eq(id.0)).lock_exclusive().one(db).await?;
    row.map(version_of).transpose()
}

/// The same, kept from changing until the transaction ends, by any number of transactions at once.
pub async fn hold(db: &impl ConnectionTrait, scope: Scope, id: WorkflowId) -> Result<Option<WorkflowVersion>> {
    let row = own(scope).filter(workflow::Column::Id.eq(id.0)).lock_shared().one(db).await?;
    row.map(version_of).transpose()
}

/// The draft of that key, locked, and the number of the newest version that is no draft; 0 for none.
pub async fn draft(db: &impl ConnectionTrait, scope: Scope, key: &str) -> Result<(Option<WorkflowVersion>, i32)> {
    use workflow::Column as C;
    let draft = WorkflowState::Draft.as_str();
    let found = of_key(scope, key).filter(C::State.eq(draft)).lock_exclusive().one(db).await?;
    let newest = of_key(scope, key)
        .filter(C::State.ne(draft))
        .order_by_desc(C::WorkflowVersion)
        .select_only()
        .column(C::WorkflowVersion)
        .into_tuple::<i32>()
        .one(db)
        .await?;
    Ok((found.map(version_of).transpose()?, newest.unwrap_or(0)))
}

/// Adds a draft; `false` where another one of that key was faster.
pub async fn insert(
    db: &impl ConnectionTrait,
    member: &Member,
    new: &WorkflowVersion,
    now: DateTime<Utc>,
) -> Result<bool> {
    let row = workflow::ActiveModel {
        id: Set(new.id.0),
        company_id: Set(member.company.0),
        key: Set(new.definition.key.clone()),
        workflow_version: Set(new.definition.version),
        state: Set(new.state.as_str().to_owned()),
        definition: Set(serde_json::to_value(&*new.definition).map_err(Error::internal)?),
        version: Set(new.version),
        created_by: Set(member.id.0),
        published_at: Set(None),
        retired_at: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let added = workflow::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(added > 0)
}

/// Writes a version's definition and state; `false` where its version is no longer the one before `new`'s.
pub async fn update(db: &impl ConnectionTrait, new: &WorkflowVersion, now: DateTime<Utc>) -> Result<bool> {
    use workflow::Column as C;
    let definition = serde_json::to_value(&*new.definition).map_err(Error::internal)?;
    let done = workflow::Entity::update_many()
        .col_expr(C::Definition, Expr::value(definition))
        .col_expr(C::State, Expr::value(new.state.as_str()))
        .col_expr(C::PublishedAt, Expr::value(new.published_at))
        .col_expr(C::RetiredAt, Expr::value(new.retired_at))
        .col_expr(C::Version, Expr::value(new.version))
        .col_expr(C::UpdatedAt, Expr::value(now))
        .filter(C::Id.eq(new.id.0))
        .filter(C::Version.eq(new.version - 1))
        .exec(db)
        .await?;
    Ok(done.rows_affected == 1)
}

/// Removes a draft; `false` where it is no longer the one that was read.
pub async fn remove_draft(db: &impl ConnectionTrait, draft: &WorkflowVersion) -> Result<bool> {
    use workflow::Column as C;
    let done = workflow::Entity::delete_many()
        .filter(C::Id.eq(draft.id.0))
        .filter(C::Version.eq(draft.version))
        .filter(C::State.eq(WorkflowState::Draft.as_str()))
        .exec(db)
        .await?;
    Ok(done.rows_affected == 1)
}

/// The company's own leads that are on a workflow.
fn leads_of(scope: Scope, workflow: &WorkflowRef) -> Select<lead_view::Entity> {
    use lead_view::Column as C;
    let owner = workflow.owner.map_or_else(|| C::WorkflowOwner.is_null(), |owner| C::WorkflowOwner.eq(owner.0));
    lead_view::Entity::find().filter(
        scope
            .leads()
            .add(C::Side.eq(Side::Source.as_str()))
            .add(owner)
            .add(C::WorkflowKey.eq(workflow.key.as_str()))
            .add(C::WorkflowVersion.eq(workflow.version)),
    )
}

/// How many leads and opportunities of the company's own are on a workflow; of the opportunities, only those that are
/// open, where that is asked for.
pub async fn count_on(db: &impl ConnectionTrait, scope: Scope, workflow: &WorkflowRef, only_open: bool) -> Result<u64> {
    use opportunity_view::Column as C;
    let owner = workflow.owner.map_or_else(|| C::WorkflowOwner.is_null(), |owner| C::WorkflowOwner.eq(owner.0));
    let opportunities = opportunity_view::Entity::find().filter(
        scope
            .opportunities()
            .add(C::Side.eq(Side::Receiver.as_str()))
            .add(owner)
            .add(C::WorkflowKey.eq(workflow.key.as_str()))
            .add(C::WorkflowVersion.eq(workflow.version)),
    );
    let opportunities = if only_open { opportunities.filter(C::ClosedAt.is_null()) } else { opportunities };
    Ok(leads_of(scope, workflow).count(db).await? + opportunities.count(db).await?)
}

/// The leads of the company's own that are on a version of one of its workflows, in the order of their ids, those after
/// `after` alone.
pub async fn leads_on(
    db: &impl ConnectionTrait,
    scope: Scope,
    workflow: &WorkflowRef,
    after: Option<LeadId>,
    limit: u64,
) -> Result<Vec<LeadId>> {
    use lead_view::Column as C;
    let after = after.map_or_else(Condition::all, |after| Condition::all().add(C::LeadId.gt(after.0)));
    let ids = leads_of(scope, workflow)
        .filter(after)
        .order_by_asc(C::LeadId)
        .limit(limit)
        .select_only()
        .column(C::LeadId)
        .into_tuple::<uuid::Uuid>()
        .all(db)
        .await?;
    Ok(ids.into_iter().map(LeadId).collect())
}

/// The keys of the company's templates that bind a version of one of its own workflows.
pub async fn bound_by(db: &impl ConnectionTrait, scope: Scope, workflow: &WorkflowRef) -> Result<Vec<String>> {
    use template::Column as C;
    let keys = template::Entity::find()
        .filter(C::CompanyId.eq(scope.company().0))
        .filter(C::WorkflowOwner.eq(scope.company().0))
        .filter(C::WorkflowKey.eq(workflow.key.as_str()))
        .filter(C::WorkflowVersion.eq(workflow.version))
        .order_by_asc(C::Key)
        .select_only()
        .column(C::Key)
        .into_tuple::<String>()
        .all(db)
        .await?;
    Ok(keys)
}
