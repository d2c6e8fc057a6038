//! What a company's leads are compared by, and which of them look like the same customer.
//!
//! A row a key and lead view, with the time since when the lead has the key. The primary key begins with what is searched
//! for and the index by lead holds all that is read of a lead, so a look-up reads indexes alone; what it reads is bounded by
//! [`PER_KEY`], however many leads share a key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use cosell_entity::{job_progress, lead, lead_view, match_key, template};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value, sea_query::OnConflict,
};
use uuid::Uuid;

use super::{among, lead::search, row::Columns, scope::Scope, unknown};
use crate::{
    domain::{
        customer::{Contact, Customer},
        duplicate::{Claim, Match, MatchKey, Reason, match_keys, score},
        duration::TimeLimit,
        id::{CompanyId, LeadId, TemplateId},
        lead::Lead,
        phone::Phone,
    },
    error::Result,
};

/// How many leads are looked at for each key of a lead: those that had it first.
const PER_KEY: i64 = 20;
/// How many leads are named as looking like a lead: the most alike, and of those as alike the ones that came first.
const AT_MOST: usize = 20;

fn reason_of(text: &str) -> Result<Reason> {
    Reason::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or_else(|| unknown("kind of key", text))
}

/// A company's view of a lead, with the keys of its customer.
#[derive(Clone, Debug)]
struct Keyed {
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

/// A view's keys, each with the time since when it has it and until when that is protected.
type Held = BTreeMap<MatchKey, (DateTime<Utc>, Option<DateTime<Utc>>)>;

impl Keyed {
    fn row(&self, key: &MatchKey, (since, until): (DateTime<Utc>, Option<DateTime<Utc>>)) -> match_key::ActiveModel {
        match_key::ActiveModel {
            company_id: Set(self.company.0),
            kind: Set(key.reason.as_str().to_owned()),
            value: Set(key.value.clone()),
            created_at: Set(since),
            lead_id: Set(self.lead.0),
            protected_until: Set(until),
        }
    }

    /// Since when the view has a key that it had before: as it stands, and where it stands in another form, as the last
    /// of its kind does.
    fn known(&self, key: &MatchKey, held: &Held) -> (DateTime<Utc>, Option<DateTime<Utc>>) {
        let of_kind = || held.iter().filter(|(other, _)| other.reason == key.reason).map(|(_, times)| *times).max();
        held.get(key).copied().or_else(of_kind).unwrap_or((self.created_at, None))
    }
}

async fn write(db: &impl ConnectionTrait, rows: &[match_key::ActiveModel]) -> Result<()> {
    // SQLite takes at most 32,766 parameters a statement.
    for chunk in rows.chunks(5_000) {
        match_key::Entity::insert_many(chunk.to_vec()).exec_without_returning(db).await?;
    }
    Ok(())
}

/// Until when a key is protected that a lead of the company has since then, as the company's template says that the lead
/// started from; one from another company's template is protected as the company's default template says.
async fn protection(db: &impl ConnectionTrait, lead: &Lead, since: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    use template::Column as C;
    let own = template::Entity::find()
        .filter(C::CompanyId.eq(lead.company.0))
        .filter(C::Subject.eq("LEAD"))
        .filter(Condition::any().add(C::Id.eq(lead.template.0)).add(C::IsDefault.eq(true)))
        .select_only()
        .columns([C::Id, C::DuplicateProtection])
        .into_tuple::<(Uuid, Option<String>)>()
        .all(db)
        .await?;
    let of_lead = own.iter().find(|(id, _)| TemplateId(*id) == lead.template);
    let limit = of_lead.or(own.first()).and_then(|(_, limit)| limit.as_deref());
    let limit = limit.map(|text| TimeLimit::parse(text).map_err(|_| unknown("time limit", text))).transpose()?;
    Ok(limit.map(|limit| limit.after(since)))
}

/// Adds the keys of a view that has none.
pub(super) async fn insert(db: &impl ConnectionTrait, lead: &Lead) -> Result<()> {
    let view = Keyed::from(lead);
    let until = protection(db, lead, lead.created_at).await?;
    let rows: Vec<_> = view.keys.iter().map(|key| view.row(key, (lead.created_at, until))).collect();
    write(db, &rows).await
}

/// Takes a view's keys away.
pub(super) async fn remove(db: &impl ConnectionTrait, company: CompanyId, lead: LeadId) -> Result<()> {
    use match_key::Column as C;
    match_key::Entity::delete_many().filter(C::LeadId.eq(lead.0)).filter(C::CompanyId.eq(company.0)).exec(db).await?;
    Ok(())
}

async fn held(db: &impl ConnectionTrait, leads: &[Uuid]) -> Result<HashMap<(Uuid, Uuid), Held>> {
    let mut found: HashMap<_, Held> = HashMap::new();
    for row in
        match_key::Entity::find().filter(among(db, match_key::Column::LeadId, leads.iter().copied())).all(db).await?
    {
        let key = MatchKey { reason: reason_of(&row.kind)?, value: row.value };
        let held = found.entry((row.company_id, row.lead_id)).or_default();
        held.insert(key, (row.created_at, row.protected_until));
    }
    Ok(found)
}

/// Whether the customer of the one is compared by something that the other's is not.
pub fn gains_keys(old: &Lead, new: &Lead) -> bool {
    old.customer != new.customer && !match_keys(&new.customer).is_subset(&match_keys(&old.customer))
}

/// Renews a view's keys where its customer has changed. A key that stays keeps its time; one that is new has that of the
/// change, so that nobody takes another's place by a change.
pub(super) async fn update(db: &impl ConnectionTrait, old: &Lead, new: &Lead) -> Result<()> {
    if old.customer == new.customer {
        return Ok(());
    }
    let (before, after) = (Keyed::from(old), Keyed::from(new));
    if before.keys == after.keys {
        return Ok(());
    }
    let held = held(db, &[old.id.0]).await?.remove(&(old.company.0, old.id.0)).unwrap_or_default();
    let until = protection(db, new, new.updated_at).await?;
    let stays = |key: &MatchKey| before.keys.contains(key) || held.contains_key(key);
    let rows = after.keys.iter().map(|key| {
        let times = if stays(key) { before.known(key, &held) } else { (new.updated_at, until) };
        after.row(key, times)
    });
    let rows: Vec<_> = rows.collect();
    remove(db, old.company, old.id).await?;
    write(db, &rows).await
}

/// The statement of [`matches`], which a test hands to the database's EXPLAIN.
///
/// `mine` are the leads' keys; `found` the leads that share one of them, a few for each; the end reads the keys of each of
/// those, a handful, and keeps what they share.
pub fn statement(backend: DbBackend, scope: Scope, leads: &[LeadId]) -> Statement {
    const KEY: &str = "m.company_id = mine.company_id AND m.kind = mine.kind AND m.value = mine.value \
        AND m.lead_id <> mine.lead_id ORDER BY m.created_at, m.lead_id";
    const COLUMNS: &str = "company_id, lead_id, kind, value, created_at, protected_until";
    const FOUND: &str = "SELECT found.lead_id, found.other_id, mine.kind, theirs.created_at, theirs.protected_until, \
        mine.created_at, mine.protected_until FROM found";
    const SHARED: &str = "mine.lead_id = found.lead_id AND mine.kind = theirs.kind AND mine.value = theirs.value \
        ORDER BY found.lead_id, found.other_id";
    let ids = leads.iter().map(|id| id.0);
    let company = Value::from(scope.company().0);
    if backend == DbBackend::Postgres {
        // OFFSET 0 keeps the planner from looking a lead's keys up by value, of which there may be thousands.
        let sql = format!(
            "WITH mine AS (SELECT {COLUMNS} FROM match_key WHERE company_id = $1 AND lead_id = ANY($2)), \
             found AS (SELECT DISTINCT mine.company_id, mine.lead_id, other.lead_id AS other_id FROM mine \
             CROSS JOIN LATERAL (SELECT m.lead_id FROM match_key m WHERE {KEY} LIMIT $3) other) \
             {FOUND} CROSS JOIN LATERAL (SELECT k.kind, k.value, k.created_at, k.protected_until FROM match_key k \
             WHERE k.lead_id = found.other_id AND k.company_id = found.company_id OFFSET 0) theirs JOIN mine ON {SHARED}"
        );
        let values: [Value; 3] = [company, ids.collect::<Vec<Uuid>>().into(), PER_KEY.into()];
        Statement::from_sql_and_values(backend, sql, values)
    } else {
        let marks = (3..leads.len() + 3).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ");
        // SQLite knows no LATERAL, but reads a correlated list of row ids.
        let sql = format!(
            "WITH mine AS MATERIALIZED (SELECT {COLUMNS} FROM match_key WHERE company_id = ?1 AND lead_id IN ({marks})), \
             found AS MATERIALIZED (SELECT DISTINCT mine.company_id, mine.lead_id, other.lead_id AS other_id \
             FROM mine CROSS JOIN match_key other \
             WHERE other.rowid IN (SELECT m.rowid FROM match_key m WHERE {KEY} LIMIT ?2)) \
             {FOUND} CROSS JOIN match_key theirs INDEXED BY match_key_by_lead \
             ON theirs.lead_id = found.other_id AND theirs.company_id = found.company_id JOIN mine ON {SHARED}"
        );
        let mut values = vec![company, PER_KEY.into()];
        values.extend(ids.map(Value::from));
        Statement::from_sql_and_values(backend, sql, values)
    }
}

/// What two leads share: the reasons, and since when each of them has the first of it.
struct Shared {
    reasons: BTreeSet<Reason>,
    mine: Claim,
    theirs: Claim,
}

/// For each of the company's leads its others that look like the same customer, the most alike first; in one statement.
/// A lead without any is absent.
pub async fn matches(
    db: &impl ConnectionTrait,
    scope: Scope,
    leads: &[LeadId],
    now: DateTime<Utc>,
) -> Result<HashMap<LeadId, Vec<Match>>> {
    let mut found: HashMap<LeadId, Vec<Shared>> = HashMap::new();
    if leads.is_empty() {
        return Ok(HashMap::new());
    }
    for row in db.query_all_raw(statement(db.get_database_backend(), scope, leads)).await? {
        let mut row = Columns::of(&row)?;
        let (lead, other, reason) = (LeadId(row.next()?), LeadId(row.next()?), reason_of(row.next()?)?);
        let theirs = Claim { since: row.next()?, lead: other, until: row.next()? };
        let mine = Claim { since: row.next()?, lead, until: row.next()? };
        let candidates = found.entry(lead).or_default();
        // The rows of one candidate follow each other.
        match candidates.last_mut().filter(|last| last.theirs.lead == other) {
            Some(last) => {
                last.reasons.insert(reason);
                last.mine = last.mine.min(mine);
                last.theirs = last.theirs.min(theirs);
            }
            None => candidates.push(Shared { reasons: BTreeSet::from([reason]), mine, theirs }),
        }
    }
    let matches = found.into_iter().map(|(lead, mut candidates)| {
        candidates.sort_by_key(|shared| (std::cmp::Reverse(score(&shared.reasons)), shared.theirs));
        candidates.truncate(AT_MOST);
        let matches = candidates.into_iter().map(|Shared { reasons, mine, theirs }| {
            let earlier = theirs.precedes(&mine, now);
            let protected_until = if earlier { theirs.until } else { mine.until };
            Match { lead: theirs.lead, score: score(&reasons), reasons, earlier, protected_until }
        });
        (lead, matches.collect())
    });
    Ok(matches.collect())
}

/// How far the keys of all leads are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Up to this lead, in the order of their ids.
    UpTo(Option<LeadId>),
    /// To the end.
    Finished,
}

/// The keys as [`match_keys`] makes them now, and what search reads as [`search`] makes it. A change of either comes with a
/// new name, and all is written anew.
const KEYS: &str = "match keys 2";

/// How far the keys are written of the leads that were there before.
pub async fn progress(db: &impl ConnectionTrait) -> Result<Progress> {
    let row = job_progress::Entity::find_by_id(KEYS.to_owned()).one(db).await?;
    Ok(match row {
        Some(row) if row.finished_at.is_some() => Progress::Finished,
        row => Progress::UpTo(row.and_then(|row| row.lead_id).map(LeadId)),
    })
}

/// Writes the keys of the next `limit` leads after `after` and what search reads of them, anew where they have some, and
/// keeps how far that is. A key in another form keeps the time of the form before; where there is none, since when the
/// lead has it is not known, and its creation is taken.
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
        let views = lead_view::Entity::find().filter(among(db, C::LeadId, leads.iter().copied()));
        views.order_by_asc(C::LeadId).order_by_asc(C::CompanyId)
    };
    // Who changes a lead's customer or passes it on locks its views first. They are read once no other can: what was
    // waited for may have changed them, and have added one.
    views().select_only().column(C::LeadId).lock_exclusive().into_tuple::<Uuid>().all(db).await?;
    let views = views().all(db).await?;
    let held = held(db, &leads).await?;
    let nothing = Held::new();
    let mut rows = Vec::new();
    let mut found = Vec::new();
    for view in views {
        let customer = compared(&view);
        let text = search(&view.title, &view.number, &customer);
        if text != view.search {
            found.push((view.company_id, view.lead_id, text));
        }
        let keyed = Keyed {
            company: CompanyId(view.company_id),
            lead: LeadId(view.lead_id),
            created_at: view.created_at,
            keys: match_keys(&customer),
        };
        let held = held.get(&(view.company_id, view.lead_id)).unwrap_or(&nothing);
        rows.extend(keyed.keys.iter().map(|key| keyed.row(key, keyed.known(key, held))));
    }
    match_key::Entity::delete_many()
        .filter(among(db, match_key::Column::LeadId, leads.iter().copied()))
        .exec(db)
        .await?;
    write(db, &rows).await?;
    write_search(db, &found).await?;
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

/// It is no change of the leads: what was typed is the same.
async fn write_search(db: &impl ConnectionTrait, found: &[(Uuid, Uuid, String)]) -> Result<()> {
    let backend = db.get_database_backend();
    for chunk in found.chunks(500) {
        let (mut marks, mut values) = (Vec::new(), Vec::<Value>::new());
        for (company, lead, text) in chunk {
            let first = values.len() + 1;
            let sign = if backend == DbBackend::Postgres { '$' } else { '?' };
            marks.push(format!("({sign}{first}, {sign}{}, {sign}{})", first + 1, first + 2));
            values.extend([Value::from(*company), Value::from(*lead), Value::from(text.clone())]);
        }
        let sql = format!(
            "UPDATE lead_view SET search = v.column3 FROM (VALUES {}) AS v \
             WHERE lead_view.company_id = v.column1 AND lead_view.lead_id = v.column2",
            marks.join(", ")
        );
        db.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    }
    Ok(())
}

/// What a view's customer is compared and found by.
fn compared(view: &lead_view::Model) -> Customer {
    let phone = view.contact_phone.clone().map(|e164| Phone { typed: e164.clone(), e164 });
    let contact = Contact {
        first_name: view.contact_first_name.clone(),
        last_name: view.contact_last_name.clone(),
        email: view.contact_email.clone(),
        phone,
        ..Contact::default()
    };
    let (company, website) = (view.customer_company.clone(), view.customer_website.clone());
    Customer { company, website, contact, ..Customer::default() }
}
