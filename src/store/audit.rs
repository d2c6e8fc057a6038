//! Reads the audit trail: the rows of the log as records, whatever is in them.
//!
//! Nothing here knows what a kind's content looks like: a row that was edited is read as it is.

use chrono::{DateTime, Utc};
use cosell_entity::{company, company_feed, event, lead_view};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value,
    sea_query::Expr,
};
use uuid::Uuid;

use super::{log::LogWindow, page::Slice, row::Columns, scope::Scope};
use crate::{
    domain::{
        audit::{Entry, Hash, Record, Salt, redacted},
        id::{CompanyId, EventId, LeadId, MemberId},
    },
    error::Result,
};

/// A row of the log as the audit trail has it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its place in the company's log.
    pub position: i64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The event.
    pub event: EventId,
    /// What is exported of it.
    pub record: Record,
}

/// Bytes of another length than they should have are an edit like any other: they can't be equal to what is computed.
fn bytes<const N: usize>(found: Vec<u8>) -> [u8; N] {
    found.try_into().unwrap_or([0; N])
}

fn kept(row: event::Model) -> Kept {
    let entry = Entry {
        company: CompanyId(row.company_id),
        lead: row.lead_id.map(LeadId),
        sequence: row.sequence,
        position: row.position,
        previous: row.previous.map(|hash| Hash(bytes(hash))),
        id: EventId(row.id),
        at: row.at,
        actor: row.actor_id.map(MemberId),
        subject: row.subject_id,
        kind: &row.kind,
        content_hash: Hash(bytes(row.content_hash)),
    };
    let salt = row.salt.map(|salt| Salt(bytes(salt)));
    let record = entry.record(Hash(bytes(row.hash)), salt, row.erased_at, row.content);
    Kept { position: row.position, at: row.at, event: EventId(row.id), record }
}

/// A part of one history, in the order of the log: a lead's events, or the company's own.
pub async fn history(
    db: &impl ConnectionTrait,
    scope: Scope,
    lead: Option<LeadId>,
    window: LogWindow,
) -> Result<Slice<Kept>> {
    use event::Column as C;
    let of_lead = lead.map_or_else(|| C::LeadId.is_null(), |lead| C::LeadId.eq(lead.0));
    let conditions = scope
        .events()
        .add(of_lead)
        .add_option(window.above.map(|above| C::Position.gt(above)))
        .add_option(window.below.map(|below| C::Position.lt(below)));
    let select = event::Entity::find().filter(conditions).limit(window.limit + 1);
    let select = if window.descending == window.last {
        select.order_by_asc(C::Position)
    } else {
        select.order_by_desc(C::Position)
    };
    let rows = select.all(db).await?.into_iter().map(kept).collect();
    Ok(Slice::cut(rows, window.limit, window.last))
}

/// The next rows of a company's log, of all its histories.
pub async fn log(db: &impl ConnectionTrait, scope: Scope, above: i64, limit: u64) -> Result<Vec<Kept>> {
    let select = event::Entity::find().filter(scope.events()).filter(event::Column::Position.gt(above));
    let rows = select.order_by_asc(event::Column::Position).limit(limit).all(db).await?;
    Ok(rows.into_iter().map(kept).collect())
}

/// The last position that a company's log gave.
pub async fn last_position(db: &impl ConnectionTrait, scope: Scope) -> Result<i64> {
    let row = company_feed::Entity::find_by_id(scope.company().0).one(db).await?;
    Ok(row.map_or(0, |row| row.position))
}

/// Every company with its slug, in the order of the slugs.
pub async fn companies(db: &impl ConnectionTrait) -> Result<Vec<(CompanyId, String)>> {
    use company::Column as C;
    let rows: Vec<(Uuid, String)> = company::Entity::find()
        .select_only()
        .columns([C::Id, C::Slug])
        .order_by_asc(C::Slug)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(id, slug)| (CompanyId(id), slug)).collect())
}

/// The company's lead of that number.
pub async fn lead_by_number(db: &impl ConnectionTrait, scope: Scope, number: &str) -> Result<Vec<LeadId>> {
    use lead_view::Column as C;
    let rows: Vec<Uuid> = lead_view::Entity::find()
        .select_only()
        .column(C::LeadId)
        .filter(scope.leads())
        .filter(C::Number.eq(number))
        .limit(2)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(LeadId).collect())
}

/// A row of the log that holds personal data.
#[derive(Clone, Debug)]
pub struct Personal {
    /// Whose log.
    pub company: CompanyId,
    position: i64,
    /// The event.
    pub event: EventId,
    /// Its content without that.
    pub left: serde_json::Value,
}

/// The rows about a lead that hold a customer's personal data, in these companies' logs, in their order.
pub async fn personal(db: &impl ConnectionTrait, lead: LeadId, companies: &[CompanyId]) -> Result<Vec<Personal>> {
    use event::Column as C;
    let mut found = Vec::new();
    for company in companies {
        let rows: Vec<(i64, Uuid, serde_json::Value)> = event::Entity::find()
            .select_only()
            .columns([C::Position, C::Id, C::Content])
            .filter(Scope::system(*company).events())
            .filter(C::LeadId.eq(lead.0))
            .order_by_asc(C::Position)
            .into_tuple()
            .all(db)
            .await?;
        found.extend(rows.into_iter().filter_map(|(position, id, content)| {
            let left = redacted(&content)?;
            Some(Personal { company: *company, position, event: EventId(id), left })
        }));
    }
    Ok(found)
}

/// Leaves of a row's content what is no personal data. Its hashes stay as they were.
pub async fn erase(db: &impl ConnectionTrait, row: &Personal, at: DateTime<Utc>) -> Result<()> {
    use event::Column as C;
    event::Entity::update_many()
        .col_expr(C::Content, Expr::value(row.left.clone()))
        .col_expr(C::Salt, Expr::value(Option::<Vec<u8>>::None))
        .col_expr(C::ErasedAt, Expr::value(at))
        .filter(C::CompanyId.eq(row.company.0))
        .filter(C::Position.eq(row.position))
        .exec(db)
        .await?;
    Ok(())
}

/// A row that another company's row of the same event does not agree with.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The event.
    pub event: EventId,
    /// The other company.
    pub other: CompanyId,
}

/// Which of the company's rows between two positions, of all or of one lead, have a row of the same event in another
/// company's log that says something else.
pub async fn disagreements(
    db: &impl ConnectionTrait,
    scope: Scope,
    lead: Option<LeadId>,
    above: i64,
    up_to: i64,
) -> Result<Vec<Disagreement>> {
    let backend = db.get_database_backend();
    let differs = if backend == DbBackend::Postgres { "IS DISTINCT FROM" } else { "IS NOT" };
    let fields = ["at", "actor_id", "lead_id", "subject_id", "kind", "content_hash"];
    let fields: Vec<_> = fields.iter().map(|field| format!("m.{field} {differs} o.{field}")).collect();
    let fields = fields.join(" OR ");
    // Who else may have the event: of a lead, those that have a view of it. Events without a lead are few.
    let mut sql = format!(
        "SELECT m.id, o.company_id FROM event m \
         JOIN lead_view v ON v.lead_id = m.lead_id AND v.company_id <> m.company_id \
         JOIN event o ON o.company_id = v.company_id AND o.id = m.id \
         WHERE m.company_id = $1 AND m.position > $2 AND m.position <= $3 AND ({fields})"
    );
    let mut values: Vec<Value> = vec![scope.company().0.into(), above.into(), up_to.into()];
    if let Some(lead) = lead {
        sql.push_str(" AND m.lead_id = $4");
        values.push(lead.0.into());
    } else {
        sql = format!(
            "{sql} UNION ALL SELECT m.id, o.company_id FROM event m JOIN company c ON c.id <> m.company_id \
             JOIN event o ON o.company_id = c.id AND o.id = m.id \
             WHERE m.company_id = $1 AND m.position > $2 AND m.position <= $3 AND m.lead_id IS NULL AND ({fields})"
        );
    }
    let sql = if backend == DbBackend::Postgres { sql } else { sql.replace('$', "?") };
    let rows = db.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter()
        .map(|row| {
            let mut row = Columns::of(row)?;
            Ok(Disagreement { event: EventId(row.next()?), other: CompanyId(row.next()?) })
        })
        .collect()
}
