//! What a company's leads are compared by, and which of them look like the same customer.
//!
//! A row a key and lead view. The primary key begins with what is searched for and holds all that is read, so a look-up
//! reads the index alone; what it reads is bounded by [`PER_KEY`], however many leads share a key.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use cosell_entity::{job_progress, lead, lead_view, match_key};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement, Value, sea_query::OnConflict,
};
use uuid::Uuid;

use super::{among, row::Columns, scope::Scope, unknown};
use crate::{
    domain::{
        customer::{Contact, Customer},
        duplicate::{Match, MatchKey, Reason, match_keys, score},
        id::{CompanyId, LeadId},
        lead::Lead,
        phone::Phone,
    },
    error::Result,
};

/// How many leads are looked at for each key of a lead: those that came first.
const PER_KEY: i64 = 20;
/// How many leads are named as looking like a lead: the most alike, and of those as alike the ones that came first.
const AT_MOST: usize = 20;

fn reason_of(text: &str) -> Result<Reason> {
    Reason::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or_else(|| unknown("kind of key", text))
}

/// A company's view of a lead, with the keys of its customer.
#[derive(Clone, Debug)]
pub struct Keyed {
    company: CompanyId,
    lead: LeadId,
    created_at: DateTime<Utc>,
    keys: BTreeSet<MatchKey>,
}

impl From<&Lead> for Keyed {
    fn from(lead: &Lead) -> Self {
        let keys = match_keys(&lead.customer);
        Self { company: lead.company, lead: lead.id, created_at: lead.created_at, keys }
    }
}

/// Adds the keys of views that have none.
pub(super) async fn insert(db: &impl ConnectionTrait, views: &[Keyed]) -> Result<()> {
    let rows = views.iter().flat_map(|view| {
        view.keys.iter().map(|key| match_key::ActiveModel {
            company_id: Set(view.company.0),
            kind: Set(key.reason.as_str().to_owned()),
            value: Set(key.value.clone()),
            created_at: Set(view.created_at),
            lead_id: Set(view.lead.0),
        })
    });
    let rows: Vec<_> = rows.collect();
    // SQLite takes at most 32,766 parameters a statement.
    for chunk in rows.chunks(5_000) {
        match_key::Entity::insert_many(chunk.to_vec()).exec_without_returning(db).await?;
    }
    Ok(())
}

/// Takes a view's keys away.
pub(super) async fn remove(db: &impl ConnectionTrait, company: CompanyId, lead: LeadId) -> Result<()> {
    use match_key::Column as C;
    match_key::Entity::delete_many().filter(C::LeadId.eq(lead.0)).filter(C::CompanyId.eq(company.0)).exec(db).await?;
    Ok(())
}

/// Renews a view's keys where its customer has changed.
pub(super) async fn update(db: &impl ConnectionTrait, old: &Lead, new: &Lead) -> Result<()> {
    if old.customer == new.customer {
        return Ok(());
    }
    let (before, after) = (Keyed::from(old), Keyed::from(new));
    if before.keys != after.keys {
        remove(db, old.company, old.id).await?;
        insert(db, &[after]).await?;
    }
    Ok(())
}

/// The statement of [`matches`], which a test hands to the database's EXPLAIN.
///
/// `mine` are the leads' keys; `found` the leads that share one of them, a few for each; the end asks for each of those
/// whether it shares the other keys too, by the whole primary key.
pub fn statement(backend: DbBackend, scope: Scope, leads: &[LeadId]) -> Statement {
    const KEY: &str = "m.company_id = mine.company_id AND m.kind = mine.kind AND m.value = mine.value \
        AND m.lead_id <> mine.lead_id ORDER BY m.created_at, m.lead_id";
    const END: &str = "SELECT found.lead_id, found.other_id, mine.kind, \
        (found.created_at, found.other_id) < (mine.created_at, mine.lead_id) FROM found \
        JOIN mine ON mine.lead_id = found.lead_id \
        JOIN match_key theirs ON theirs.company_id = mine.company_id AND theirs.kind = mine.kind \
        AND theirs.value = mine.value AND theirs.created_at = found.created_at AND theirs.lead_id = found.other_id \
        ORDER BY found.lead_id, found.created_at, found.other_id";
    let ids = leads.iter().map(|id| id.0);
    let company = Value::from(scope.company().0);
    if backend == DbBackend::Postgres {
        let sql = format!(
            "WITH mine AS (SELECT company_id, lead_id, kind, value, created_at FROM match_key \
             WHERE company_id = $1 AND lead_id = ANY($2)), \
             found AS (SELECT DISTINCT mine.lead_id, other.lead_id AS other_id, other.created_at FROM mine \
             CROSS JOIN LATERAL (SELECT m.lead_id, m.created_at FROM match_key m WHERE {KEY} LIMIT $3) other) {END}"
        );
        let values: [Value; 3] = [company, ids.collect::<Vec<Uuid>>().into(), PER_KEY.into()];
        Statement::from_sql_and_values(backend, sql, values)
    } else {
        let marks = (3..leads.len() + 3).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ");
        // SQLite knows no LATERAL, but reads a correlated list of row ids.
        let sql = format!(
            "WITH mine AS MATERIALIZED (SELECT company_id, lead_id, kind, value, created_at FROM match_key \
             WHERE company_id = ?1 AND lead_id IN ({marks})), \
             found AS MATERIALIZED (SELECT DISTINCT mine.lead_id, other.lead_id AS other_id, other.created_at \
             FROM mine CROSS JOIN match_key other \
             WHERE other.rowid IN (SELECT m.rowid FROM match_key m WHERE {KEY} LIMIT ?2)) {END}"
        );
        let mut values = vec![company, PER_KEY.into()];
        values.extend(ids.map(Value::from));
        Statement::from_sql_and_values(backend, sql, values)
    }
}

/// For each of the company's leads its others that look like the same customer, the most alike first; in one statement.
/// A lead without any is absent.
pub async fn matches(db: &impl ConnectionTrait, scope: Scope, leads: &[LeadId]) -> Result<HashMap<LeadId, Vec<Match>>> {
    let mut found: HashMap<LeadId, Vec<Match>> = HashMap::new();
    if leads.is_empty() {
        return Ok(found);
    }
    for row in db.query_all_raw(statement(db.get_database_backend(), scope, leads)).await? {
        let mut row = Columns::of(&row)?;
        let (lead, other, reason) = (LeadId(row.next()?), LeadId(row.next()?), reason_of(row.next()?)?);
        let matches = found.entry(lead).or_default();
        // The rows of one candidate follow each other.
        if matches.last().is_none_or(|last| last.lead != other) {
            matches.push(Match { lead: other, score: 0, reasons: BTreeSet::new(), earlier: row.next()? });
        }
        if let Some(last) = matches.last_mut() {
            last.reasons.insert(reason);
            last.score = score(&last.reasons);
        }
    }
    for matches in found.values_mut() {
        // Stable: the earlier ones stay before the later.
        matches.sort_by_key(|other| std::cmp::Reverse(other.score));
        matches.truncate(AT_MOST);
    }
    Ok(found)
}

/// How far the keys of all leads are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Up to this lead, in the order of their ids.
    UpTo(Option<LeadId>),
    /// To the end.
    Finished,
}

/// The keys as [`match_keys`] makes them now. A change of it comes with a new name, and all keys are written anew.
const KEYS: &str = "match keys 1";

/// How far the keys are written of the leads that were there before there were keys.
pub async fn progress(db: &impl ConnectionTrait) -> Result<Progress> {
    let row = job_progress::Entity::find_by_id(KEYS.to_owned()).one(db).await?;
    Ok(match row {
        Some(row) if row.finished_at.is_some() => Progress::Finished,
        row => Progress::UpTo(row.and_then(|row| row.lead_id).map(LeadId)),
    })
}

/// Writes the keys of the next `limit` leads after `after`, anew where they have some, and keeps how far that is.
pub async fn write_next(
    db: &impl ConnectionTrait,
    after: Option<LeadId>,
    limit: u64,
    now: DateTime<Utc>,
) -> Result<Progress> {
    use job_progress::Column as P;
    use lead_view::Column as C;
    let mut next = lead::Entity::find().select_only().column(lead::Column::Id).order_by_asc(lead::Column::Id);
    if let Some(after) = after {
        next = next.filter(lead::Column::Id.gt(after.0));
    }
    let leads: Vec<Uuid> = next.limit(limit).into_tuple().all(db).await?;
    let views = || {
        let views = lead_view::Entity::find().select_only().filter(among(db, C::LeadId, leads.iter().copied()));
        views.order_by_asc(C::LeadId).order_by_asc(C::CompanyId)
    };
    // Who changes a lead's customer or passes it on locks its views first. They are read once no other can: what was
    // waited for may have changed them, and have added one.
    views().column(C::LeadId).lock_exclusive().into_tuple::<Uuid>().all(db).await?;
    let rows: Vec<Row> = views()
        .columns([C::CompanyId, C::LeadId, C::CreatedAt, C::CustomerCompany, C::CustomerWebsite])
        .columns([C::ContactEmail, C::ContactPhone])
        .into_tuple()
        .all(db)
        .await?;
    let views: Vec<Keyed> = rows.into_iter().map(keyed).collect();
    match_key::Entity::delete_many()
        .filter(among(db, match_key::Column::LeadId, leads.iter().copied()))
        .exec(db)
        .await?;
    insert(db, &views).await?;
    let finished = u64::try_from(leads.len()).is_ok_and(|count| count < limit);
    let place = leads.last().copied().or(after.map(|lead| lead.0));
    let row = job_progress::ActiveModel {
        name: Set(KEYS.to_owned()),
        lead_id: Set(place),
        finished_at: Set(finished.then_some(now)),
    };
    job_progress::Entity::insert(row)
        .on_conflict(OnConflict::column(P::Name).update_columns([P::LeadId, P::FinishedAt]).to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(if finished { Progress::Finished } else { Progress::UpTo(place.map(LeadId)) })
}

type Row = (Uuid, Uuid, DateTime<Utc>, String, Option<String>, Option<String>, Option<String>);

fn keyed((company, lead, created_at, name, website, email, phone): Row) -> Keyed {
    let phone = phone.map(|e164| Phone { typed: e164.clone(), e164 });
    let contact = Contact { email, phone, ..Contact::default() };
    let customer = Customer { company: name, website, contact, ..Customer::default() };
    Keyed { company: CompanyId(company), lead: LeadId(lead), created_at, keys: match_keys(&customer) }
}
