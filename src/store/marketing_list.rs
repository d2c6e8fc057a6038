//! Marketing lists, and the leads on them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cosell_entity::{lead_view, marketing_list, marketing_list_lead};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, SqlErr,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};
use uuid::Uuid;

use super::{
    among,
    batch::{Batch, cut_each, rows_of_each},
    page::{Slice, Window},
    row::Columns,
    scope::Scope,
};
use crate::{
    domain::{
        id::{CompanyId, LeadId, MarketingListId, MemberId},
        marketing_list::{MarketingList, name_key},
    },
    error::Result,
};

/// That a lead is on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The list.
    pub list: MarketingListId,
    /// The lead.
    pub lead: LeadId,
    /// Who added it.
    pub added_by: MemberId,
    /// When.
    pub added_at: DateTime<Utc>,
}

fn list_of(row: marketing_list::Model) -> MarketingList {
    MarketingList {
        id: MarketingListId(row.id),
        company: CompanyId(row.company_id),
        name: row.name,
        lead_count: row.lead_count,
        archived_at: row.archived_at,
        version: row.version,
        created_by: MemberId(row.created_by),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn listing_of(row: &marketing_list_lead::Model) -> Listing {
    Listing {
        list: MarketingListId(row.list_id),
        lead: LeadId(row.lead_id),
        added_by: MemberId(row.added_by),
        added_at: row.added_at,
    }
}

/// Adds a list without leads; `false` where another of the company that is not in the archive has its name.
pub async fn insert(db: &impl ConnectionTrait, new: &MarketingList) -> Result<bool> {
    let row = marketing_list::ActiveModel {
        id: Set(new.id.0),
        company_id: Set(new.company.0),
        name: Set(new.name.clone()),
        name_key: Set(name_key(&new.name)),
        lead_count: Set(0),
        archived_at: Set(new.archived_at),
        version: Set(new.version),
        created_by: Set(new.created_by.0),
        created_at: Set(new.created_at),
        updated_at: Set(new.updated_at),
    };
    let added = marketing_list::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(added > 0)
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is written.
    Done,
    /// The list's version is no longer the one before the new one's.
    Stale,
    /// Another list that is not in the archive has the name. The transaction is spoilt on PostgreSQL: it must end.
    NameTaken,
}

/// Writes a list's name and whether it is in the archive.
pub async fn update(db: &impl ConnectionTrait, scope: Scope, new: &MarketingList) -> Result<Saved> {
    use marketing_list::Column as C;
    let done = marketing_list::Entity::update_many()
        .col_expr(C::Name, Expr::value(new.name.clone()))
        .col_expr(C::NameKey, Expr::value(name_key(&new.name)))
        .col_expr(C::ArchivedAt, Expr::value(new.archived_at))
        .col_expr(C::Version, Expr::value(new.version))
        .col_expr(C::UpdatedAt, Expr::value(new.updated_at))
        .filter(scope.marketing_lists())
        .filter(C::Id.eq(new.id.0))
        .filter(C::Version.eq(new.version - 1))
        .exec(db)
        .await;
    match done {
        Ok(done) if done.rows_affected == 1 => Ok(Saved::Done),
        Ok(_) => Ok(Saved::Stale),
        Err(error) if is_taken(&error) => Ok(Saved::NameTaken),
        Err(error) => Err(error.into()),
    }
}

/// Whether a statement failed because a unique index has the value already. The update sets no other unique column
/// than the name's.
fn is_taken(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// The list, locked until the transaction ends.
pub async fn lock(db: &impl ConnectionTrait, scope: Scope, id: MarketingListId) -> Result<Option<MarketingList>> {
    let row = marketing_list::Entity::find_by_id(id.0).filter(scope.marketing_lists()).lock_exclusive().one(db).await?;
    Ok(row.map(list_of))
}

/// Those of the lists that are the company's.
pub async fn by_ids(db: &impl ConnectionTrait, scope: Scope, ids: &[MarketingListId]) -> Result<Vec<MarketingList>> {
    let rows = marketing_list::Entity::find()
        .filter(scope.marketing_lists())
        .filter(among(db, marketing_list::Column::Id, ids.iter().map(|id| id.0)))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(list_of).collect())
}

/// A page of the company's lists by creation: those in the archive, or those that are not.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    archived: bool,
    window: &Window<DateTime<Utc>>,
) -> Result<Slice<MarketingList>> {
    use marketing_list::Column as C;
    let place = if archived { C::ArchivedAt.is_not_null() } else { C::ArchivedAt.is_null() };
    let select = marketing_list::Entity::find().filter(scope.marketing_lists()).filter(place);
    let rows = window.apply(select, C::CreatedAt, C::Id).all(db).await?;
    Ok(Slice::cut(rows.into_iter().map(list_of).collect(), window.limit, window.last))
}

/// Whether a lead is active in the company's view of it, which stays so until the transaction ends; `None` where the
/// company has no view.
pub async fn lock_lead(db: &impl ConnectionTrait, scope: Scope, id: LeadId) -> Result<Option<bool>> {
    use lead_view::Column as C;
    let active = lead_view::Entity::find()
        .filter(scope.leads())
        .filter(C::LeadId.eq(id.0))
        .select_only()
        .column(C::Active)
        .lock_shared()
        .into_tuple::<bool>()
        .one(db)
        .await?;
    Ok(active)
}

/// Puts a lead on a list that is locked; `false` where it is on it already.
pub async fn add(db: &impl ConnectionTrait, scope: Scope, new: &Listing) -> Result<bool> {
    use marketing_list_lead::Column as C;
    let row = marketing_list_lead::ActiveModel {
        list_id: Set(new.list.0),
        lead_id: Set(new.lead.0),
        company_id: Set(scope.company().0),
        added_by: Set(new.added_by.0),
        added_at: Set(new.added_at),
    };
    let added = marketing_list_lead::Entity::insert(row)
        .on_conflict(OnConflict::columns([C::ListId, C::LeadId]).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    if added > 0 {
        count(db, scope, new.list, 1).await?;
    }
    Ok(added > 0)
}

/// Takes a lead off a list that is locked; `false` where it is not on it.
pub async fn remove(db: &impl ConnectionTrait, scope: Scope, list: MarketingListId, lead: LeadId) -> Result<bool> {
    use marketing_list_lead::Column as C;
    let done = marketing_list_lead::Entity::delete_many()
        .filter(scope.listings())
        .filter(C::ListId.eq(list.0))
        .filter(C::LeadId.eq(lead.0))
        .exec(db)
        .await?;
    if done.rows_affected > 0 {
        count(db, scope, list, -1).await?;
    }
    Ok(done.rows_affected > 0)
}

/// The number of leads stands with the list, so that a page of long lists costs no counting.
async fn count(db: &impl ConnectionTrait, scope: Scope, list: MarketingListId, by: i32) -> Result<()> {
    use marketing_list::Column as C;
    marketing_list::Entity::update_many()
        .col_expr(C::LeadCount, Expr::col(C::LeadCount).add(by))
        .filter(scope.marketing_lists())
        .filter(C::Id.eq(list.0))
        .exec(db)
        .await?;
    Ok(())
}

/// The leads on a list, in the order in which they were added.
pub async fn leads_on(
    db: &impl ConnectionTrait,
    scope: Scope,
    list: MarketingListId,
    window: &Window<DateTime<Utc>>,
) -> Result<Slice<Listing>> {
    use marketing_list_lead::Column as C;
    let select = marketing_list_lead::Entity::find().filter(scope.listings()).filter(C::ListId.eq(list.0));
    let rows = window.apply(select, C::AddedAt, C::LeadId).all(db).await?;
    Ok(Slice::cut(rows.iter().map(listing_of).collect(), window.limit, window.last))
}

/// The lists that a lead is on, in the order in which it was added. Those in the archive are left out.
pub async fn lists_with(
    db: &impl ConnectionTrait,
    scope: Scope,
    lead: LeadId,
    window: &Window<DateTime<Utc>>,
) -> Result<Slice<Listing>> {
    use marketing_list_lead::Column as C;
    let live = Query::select()
        .column(marketing_list::Column::Id)
        .from(marketing_list::Entity)
        .cond_where(scope.marketing_lists().add(marketing_list::Column::ArchivedAt.is_null()))
        .to_owned();
    let select = marketing_list_lead::Entity::find()
        .filter(scope.listings())
        .filter(C::LeadId.eq(lead.0))
        .filter(C::ListId.in_subquery(live));
    let rows = window.apply(select, C::AddedAt, C::ListId).all(db).await?;
    Ok(Slice::cut(rows.iter().map(listing_of).collect(), window.limit, window.last))
}

/// The same part of the leads on each of many lists, in one statement.
pub async fn leads_on_each(
    db: &impl ConnectionTrait,
    scope: Scope,
    lists: &[MarketingListId],
    limit: u64,
    last: bool,
) -> Result<HashMap<MarketingListId, Slice<Listing>>> {
    let batch = Batch {
        table: "marketing_list_lead",
        of: "list_id",
        columns: COLUMNS,
        join: "",
        scope: "c.company_id = $1",
        order: ["added_at", "lead_id"],
    };
    let ids = lists.iter().map(|id| id.0).collect();
    of_each(db, &batch, scope, ids, limit, last, |listing| listing.list).await
}

/// The same part of the lists that each of many leads is on, in one statement. Those in the archive are left out.
pub async fn lists_with_each(
    db: &impl ConnectionTrait,
    scope: Scope,
    leads: &[LeadId],
    limit: u64,
    last: bool,
) -> Result<HashMap<LeadId, Slice<Listing>>> {
    let batch = Batch {
        table: "marketing_list_lead",
        of: "lead_id",
        columns: COLUMNS,
        join: "",
        scope: "c.company_id = $1 \
            AND EXISTS (SELECT 1 FROM marketing_list l WHERE l.id = c.list_id AND l.archived_at IS NULL)",
        order: ["added_at", "list_id"],
    };
    let ids = leads.iter().map(|id| id.0).collect();
    of_each(db, &batch, scope, ids, limit, last, |listing| listing.lead).await
}

const COLUMNS: &str = "t.list_id, t.lead_id, t.added_by, t.added_at";

async fn of_each<K: Eq + std::hash::Hash>(
    db: &impl ConnectionTrait,
    batch: &Batch,
    scope: Scope,
    owners: Vec<Uuid>,
    limit: u64,
    last: bool,
    owner: impl Fn(&Listing) -> K,
) -> Result<HashMap<K, Slice<Listing>>> {
    let mut found: HashMap<K, Vec<Listing>> = HashMap::with_capacity(owners.len());
    for row in rows_of_each(db, batch, scope, owners, limit, last).await? {
        let mut row = Columns::of(&row)?;
        let listing = Listing {
            list: MarketingListId(row.next()?),
            lead: LeadId(row.next()?),
            added_by: MemberId(row.next()?),
            added_at: row.next()?,
        };
        found.entry(owner(&listing)).or_default().push(listing);
    }
    Ok(cut_each(found, limit, last))
}
