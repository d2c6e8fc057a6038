//! Which instance runs a job now.

use chrono::{DateTime, Utc};
use cosell_entity::job_lease;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::error::Result;

/// Takes or renews the lease of a job until `until`; `false` while another instance holds it.
pub async fn take(
    db: &impl ConnectionTrait,
    job: &str,
    holder: Uuid,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<bool> {
    use job_lease::Column as C;
    let row = job_lease::ActiveModel { name: Set(job.to_owned()), holder: Set(holder), until: Set(until) };
    let added = job_lease::Entity::insert(row)
        .on_conflict(OnConflict::column(C::Name).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    if added > 0 {
        return Ok(true);
    }
    let taken = job_lease::Entity::update_many()
        .col_expr(C::Holder, Expr::value(holder))
        .col_expr(C::Until, Expr::value(until))
        .filter(C::Name.eq(job))
        .filter(Condition::any().add(C::Holder.eq(holder)).add(C::Until.lte(now)))
        .exec(db)
        .await?;
    Ok(taken.rows_affected == 1)
}

/// Gives back all that an instance holds, so that another one need not wait for the leases' ends.
pub async fn release_all(db: &impl ConnectionTrait, holder: Uuid) -> Result<()> {
    job_lease::Entity::delete_many().filter(job_lease::Column::Holder.eq(holder)).exec(db).await?;
    Ok(())
}
