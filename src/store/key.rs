//! Idempotency keys and external references: what makes a repeated call safe.

use chrono::{DateTime, Utc};
use cosell_entity::{external_reference, idempotency_key};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::{among, scope::Scope};
use crate::{
    domain::{id::LeadId, reference::ExternalReference},
    error::{Error, Result},
};

/// What became of an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is new and now belongs to this call.
    New,
    /// A call with the same content was answered with this result.
    Same(Uuid),
    /// It was used for a call with other content.
    Other,
}

/// Claims an idempotency key for a call whose result will have the id `result`.
pub async fn claim(
    db: &impl ConnectionTrait,
    scope: Scope,
    key: &str,
    operation: &str,
    fingerprint: &[u8],
    result: Uuid,
    now: DateTime<Utc>,
) -> Result<Claim> {
    use idempotency_key::Column as C;
    let row = idempotency_key::ActiveModel {
        company_id: Set(scope.company().0),
        key: Set(key.to_owned()),
        operation: Set(operation.to_owned()),
        fingerprint: Set(fingerprint.to_vec()),
        result_id: Set(result),
        created_at: Set(now),
    };
    let added = idempotency_key::Entity::insert(row)
        .on_conflict(OnConflict::columns([C::CompanyId, C::Key]).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    if added > 0 {
        return Ok(Claim::New);
    }
    let earlier = idempotency_key::Entity::find_by_id((scope.company().0, key.to_owned()))
        .one(db)
        .await?
        .ok_or_else(|| Error::internal("an idempotency key vanished"))?;
    Ok(if earlier.operation == operation && earlier.fingerprint == fingerprint {
        Claim::Same(earlier.result_id)
    } else {
        Claim::Other
    })
}

/// Forgets what the calls were about that this came of, but for those of one operation: a repetition of one is then a
/// call with other content.
pub async fn forget_content(db: &impl ConnectionTrait, scope: Scope, result: Uuid, but_for: &str) -> Result<()> {
    use idempotency_key::Column as C;
    idempotency_key::Entity::update_many()
        .col_expr(C::Fingerprint, Expr::value(Vec::<u8>::new()))
        .filter(C::CompanyId.eq(scope.company().0))
        .filter(C::ResultId.eq(result))
        .filter(C::Operation.ne(but_for))
        .exec(db)
        .await?;
    Ok(())
}

/// How many keys are forgotten at a time: few enough for a statement of a bounded time.
const FORGET: u64 = 1000;

/// Forgets some of the keys that were claimed before `limit`, and says how many; none are left when it says 0.
pub async fn forget(db: &impl ConnectionTrait, limit: DateTime<Utc>) -> Result<u64> {
    use idempotency_key::Column as C;
    let some = idempotency_key::Entity::find()
        .select_only()
        .columns([C::CompanyId, C::Key])
        .filter(C::CreatedAt.lt(limit))
        .limit(FORGET)
        .into_query();
    let key = Expr::tuple([C::CompanyId, C::Key].map(Expr::col));
    let done = idempotency_key::Entity::delete_many().filter(key.in_subquery(some)).exec(db).await?;
    Ok(done.rows_affected)
}

/// Keeps a lead's reference; `Some(lead)` where it already names a lead.
pub async fn insert_reference(
    db: &impl ConnectionTrait,
    scope: Scope,
    lead: LeadId,
    reference: &ExternalReference,
    now: DateTime<Utc>,
) -> Result<Option<LeadId>> {
    use external_reference::Column as C;
    let row = external_reference::ActiveModel {
        company_id: Set(scope.company().0),
        system: Set(reference.system.clone()),
        external_id: Set(reference.id.clone()),
        lead_id: Set(lead.0),
        url: Set(reference.url.clone()),
        created_at: Set(now),
    };
    let added = external_reference::Entity::insert(row)
        .on_conflict(OnConflict::columns([C::CompanyId, C::System, C::ExternalId]).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    if added > 0 {
        return Ok(None);
    }
    lead_by_reference(db, scope, &reference.system, &reference.id).await
}

/// The lead that a reference of the company names.
pub async fn lead_by_reference(
    db: &impl ConnectionTrait,
    scope: Scope,
    system: &str,
    id: &str,
) -> Result<Option<LeadId>> {
    let row =
        external_reference::Entity::find_by_id((scope.company().0, system.to_owned(), id.to_owned())).one(db).await?;
    Ok(row.map(|row| LeadId(row.lead_id)))
}

/// The company's references of those leads.
pub async fn references(
    db: &impl ConnectionTrait,
    scope: Scope,
    leads: &[LeadId],
) -> Result<Vec<(LeadId, ExternalReference)>> {
    use external_reference::Column as C;
    let rows = external_reference::Entity::find()
        .filter(C::CompanyId.eq(scope.company().0))
        .filter(among(db, C::LeadId, leads.iter().map(|id| id.0)))
        .order_by_asc(C::CreatedAt)
        .order_by_asc(C::System)
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let reference = ExternalReference { system: row.system, id: row.external_id, url: row.url };
            (LeadId(row.lead_id), reference)
        })
        .collect())
}
