//! The event log: append to it and read from it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use cosell_entity::{company_feed, event};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select, Statement, Value,
    sea_query::{Expr, ExprTrait, Query, UnionType},
};
use uuid::Uuid;

use super::{among, page::Slice, row::Columns, scope::Scope, unknown};
use crate::{
    domain::{
        audit::{Entry, Hash, Salt, content_hash},
        event::{Event, Happening},
        id::{CompanyId, EventId, LeadId, MemberId},
        patch::Patch,
    },
    error::{Error, Result},
};

/// Something that happened, before it has its place in the logs.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The same in each company's log.
    pub id: EventId,
    /// Whose logs it goes to.
    pub audience: Vec<CompanyId>,
    /// Who did it; none for the system.
    pub actor: Option<MemberId>,
    /// The lead.
    pub lead: Option<LeadId>,
    /// What it is about besides.
    pub subject: Option<Uuid>,
    /// What happened.
    pub happening: Happening,
    /// What its content is hashed with.
    pub salt: Salt,
}

/// By how much the clocks of servers may differ before that is an error.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(1);

/// Locks the counters of these companies' logs, in the order that [`append`] takes them in: until the end of the
/// transaction nobody else adds to the logs, and what is read from now on is all that was added before.
pub async fn hold(db: &impl ConnectionTrait, companies: impl IntoIterator<Item = CompanyId>) -> Result<()> {
    use company_feed::Column as C;
    company_feed::Entity::find()
        .filter(among(db, C::CompanyId, companies.into_iter().map(|id| id.0)))
        .order_by_asc(C::CompanyId)
        .lock_exclusive()
        .all(db)
        .await?;
    Ok(())
}

/// The time of the last event in any of these companies' logs.
pub async fn latest(db: &impl ConnectionTrait, companies: &[CompanyId]) -> Result<Option<DateTime<Utc>>> {
    let rows = company_feed::Entity::find()
        .filter(among(db, company_feed::Column::CompanyId, companies.iter().map(|id| id.0)))
        .all(db)
        .await?;
    Ok(rows.into_iter().filter_map(|row| row.last_at).max())
}

/// Appends events to the logs of their audiences, and returns each company's last position.
///
/// The counter's row is locked from here to the end of the transaction, so positions become visible in their order
/// and without gaps. Counters are locked in the order of the companies' ids, so two writers can't wait for each other.
/// The time of the events is `now`, or that of the last event of any of these logs where that is later: by time and by
/// position a log has one order.
pub async fn append(
    db: &impl ConnectionTrait,
    events: &[NewEvent],
    now: DateTime<Utc>,
) -> Result<Vec<(CompanyId, i64)>> {
    let mut counts: BTreeMap<CompanyId, i64> = BTreeMap::new();
    for company in events.iter().flat_map(|event| &event.audience) {
        *counts.entry(*company).or_default() += 1;
    }
    let mut next = BTreeMap::new();
    let mut last = Vec::with_capacity(counts.len());
    let mut times = Vec::with_capacity(counts.len());
    for (company, count) in counts {
        use company_feed::Column as C;
        let later = Expr::case(C::LastAt.gt(now), Expr::col(C::LastAt)).finally(now);
        let rows = company_feed::Entity::update_many()
            .col_expr(C::Position, Expr::col(C::Position).add(count))
            .col_expr(C::LastAt, later.into())
            .filter(C::CompanyId.eq(company.0))
            .exec_with_returning(db)
            .await?;
        let row = rows.first().ok_or_else(|| Error::internal("the company has no feed"))?;
        next.insert(company, row.position - count + 1);
        last.push((company, row.position));
        times.push((company, row.last_at.unwrap_or(now)));
    }
    let at = times.iter().map(|(_, at)| *at).max().unwrap_or(now);
    if at - now > CLOCKS_DIFFER {
        let ahead = (at - now).num_seconds();
        tracing::error!(
            %at,
            ahead,
            "the last event of a log is `ahead` seconds in the future: the clock of this server or of another one is \
             wrong, and the times of the log stand still until then"
        );
    }
    let behind: Vec<_> = times.iter().filter(|(_, time)| *time < at).map(|(company, _)| company.0).collect();
    if !behind.is_empty() {
        company_feed::Entity::update_many()
            .col_expr(company_feed::Column::LastAt, Expr::value(at))
            .filter(company_feed::Column::CompanyId.is_in(behind))
            .exec(db)
            .await?;
    }
    let mut heads = chain_heads(db, events).await?;
    let mut rows = Vec::new();
    for event in events {
        let (kind, content) = split(&event.happening)?;
        let content_hash = content_hash(Some(event.salt), &content);
        for company in &event.audience {
            let position = next.get_mut(company).ok_or_else(|| Error::internal("an audience without a counter"))?;
            let head = heads.entry((*company, event.lead)).or_default();
            let entry = Entry {
                company: *company,
                lead: event.lead,
                sequence: head.sequence + 1,
                position: *position,
                previous: head.hash,
                id: event.id,
                at,
                actor: event.actor,
                subject: event.subject,
                kind: &kind,
                content_hash,
            };
            let hash = entry.hash();
            rows.push(event::ActiveModel {
                company_id: Set(company.0),
                position: Set(*position),
                id: Set(event.id.0),
                at: Set(at),
                actor_id: Set(event.actor.map(|id| id.0)),
                lead_id: Set(event.lead.map(|id| id.0)),
                subject_id: Set(event.subject),
                kind: Set(kind.clone()),
                content: Set(content.clone()),
                sequence: Set(entry.sequence),
                previous: Set(head.hash.map(|hash| hash.0.to_vec())),
                salt: Set(Some(event.salt.0.to_vec())),
                content_hash: Set(content_hash.0.to_vec()),
                hash: Set(hash.0.to_vec()),
                erased_at: Set(None),
            });
            *head = ChainHead { sequence: entry.sequence, hash: Some(hash) };
            *position += 1;
        }
    }
    // SQLite takes at most 32,766 parameters a statement.
    for chunk in rows.chunks(1_000) {
        event::Entity::insert_many(chunk.to_vec()).exec_without_returning(db).await?;
    }
    Ok(last)
}

/// The last entry of a history; none has the sequence 0.
#[derive(Clone, Copy, Debug, Default)]
struct ChainHead {
    sequence: i64,
    hash: Option<Hash>,
}

/// Where each history that these events belong to stands. Nobody else adds to it while the companies' counters are held.
async fn chain_heads(
    db: &impl ConnectionTrait,
    events: &[NewEvent],
) -> Result<HashMap<(CompanyId, Option<LeadId>), ChainHead>> {
    let histories: BTreeSet<_> =
        events.iter().flat_map(|event| event.audience.iter().map(|company| (*company, event.lead))).collect();
    let histories: Vec<_> = histories.into_iter().collect();
    let backend = db.get_database_backend();
    let mark = if backend == DbBackend::Postgres { '$' } else { '?' };
    let mut heads = HashMap::with_capacity(histories.len());
    // SQLite takes at most 500 parts of a compound statement.
    for chunk in histories.chunks(200) {
        let mut values: Vec<Value> = Vec::with_capacity(2 * chunk.len());
        let mut parts = Vec::with_capacity(chunk.len());
        for (place, (company, lead)) in chunk.iter().enumerate() {
            values.push(company.0.into());
            let of_company = values.len();
            let of_lead = match lead {
                Some(lead) => {
                    values.push(lead.0.into());
                    format!("= {mark}{}", values.len())
                }
                None => "IS NULL".to_owned(),
            };
            // A part with an order and a limit of its own stands in a part without.
            parts.push(format!(
                "SELECT * FROM (SELECT {place} AS place, sequence, hash FROM event WHERE company_id = {mark}{of_company} \
                 AND lead_id {of_lead} ORDER BY position DESC LIMIT 1) h{place}"
            ));
        }
        let statement = Statement::from_sql_and_values(backend, parts.join(" UNION ALL "), values);
        for row in db.query_all_raw(statement).await? {
            let mut row = Columns::of(&row)?;
            let place = usize::try_from(row.next::<i32>()?).unwrap_or(usize::MAX);
            let head = ChainHead { sequence: row.next()?, hash: Some(hash_of(row.next()?)?) };
            if let Some(history) = chunk.get(place) {
                heads.insert(*history, head);
            }
        }
    }
    Ok(heads)
}

pub(super) fn hash_of(bytes: Vec<u8>) -> Result<Hash> {
    bytes.try_into().map_err(|bytes: Vec<u8>| unknown("hash of an event", &hex::encode(bytes)))
}

fn split(happening: &Happening) -> Result<(String, serde_json::Value)> {
    let mut json = serde_json::to_value(happening).map_err(Error::internal)?;
    let content = json.get_mut("content").map(serde_json::Value::take).unwrap_or_default();
    let kind = json.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Ok((kind, content))
}

fn event_of(row: event::Model) -> Result<Event> {
    let kind = row.kind;
    let happening = serde_json::json!({ "kind": &kind, "content": row.content });
    Ok(Event {
        company: CompanyId(row.company_id),
        position: row.position,
        id: EventId(row.id),
        at: row.at,
        actor: row.actor_id.map(MemberId),
        lead: row.lead_id.map(LeadId),
        subject: row.subject_id,
        happening: serde_json::from_value(happening).map_err(|_| unknown("event kind", &kind))?,
        sequence: row.sequence,
        hash: hash_of(row.hash)?,
    })
}

/// Which events of the log are asked for. What is absent does not matter; what is null is to be none.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// About this lead.
    pub lead: Patch<LeadId>,
    /// Of these kinds, as in the database.
    pub kinds: Option<Vec<&'static str>>,
    /// Done by this member.
    pub actor: Patch<MemberId>,
    /// At this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
}

/// Which part of the log is asked for.
#[derive(Clone, Copy, Debug)]
pub struct LogWindow {
    /// How many at most.
    pub limit: u64,
    /// Only positions above.
    pub above: Option<i64>,
    /// Only positions below.
    pub below: Option<i64>,
    /// From the newest down.
    pub descending: bool,
    /// Whether the last ones in that order are asked for.
    pub last: bool,
}

impl EventFilter {
    /// What holds of each event, its kind, its place and its time aside.
    fn conditions(&self, scope: Scope) -> Condition {
        use event::Column as C;
        scope
            .events()
            .add_option(super::is(C::LeadId, self.lead.map(|id| id.0)))
            .add_option(super::is(C::ActorId, self.actor.map(|id| id.0)))
    }

    /// The rows in the order asked for, read by an index that has them in that order. Times have to be
    /// [places](narrowed) by now.
    fn select(&self, scope: Scope, window: LogWindow) -> Select<event::Entity> {
        use event::Column as C;
        let order = if window.descending == window.last { Order::Asc } else { Order::Desc };
        let limit = window.limit + 1;
        let kinds = self.kinds.as_deref().unwrap_or_default();
        let of_kinds = self.kinds.is_some().then(|| C::Kind.is_in(kinds.iter().copied()));
        let conditions = self.conditions(scope);
        let conditions = conditions
            .add_option(window.above.map(|above| C::Position.gt(above)))
            .add_option(window.below.map(|below| C::Position.lt(below)));
        if kinds.len() < 2 || !self.lead.is_absent() {
            let select = event::Entity::find().filter(conditions.add_option(of_kinds));
            return select.order_by(C::Position, order).limit(limit);
        }
        // The first of each kind, each by the index, and of all those the first.
        let first_of = |kind: &str| {
            let mut first = Query::select();
            first.column(C::Position).from(event::Entity).cond_where(conditions.clone().add(C::Kind.eq(kind)));
            first.order_by(C::Position, order.clone()).limit(limit);
            Query::select().column(C::Position).from_subquery(first, "of_kind").to_owned()
        };
        let mut firsts = first_of(kinds[0]);
        firsts.unions(kinds[1..].iter().map(|kind| (UnionType::All, first_of(kind))));
        let select = event::Entity::find().filter(scope.events()).filter(C::Position.in_subquery(firsts));
        select.order_by(C::Position, order).limit(limit)
    }
}

/// The first event of the company's log at that time or later.
fn first_since(scope: Scope, time: DateTime<Utc>) -> Select<event::Entity> {
    use event::Column as C;
    let select = event::Entity::find().filter(scope.events()).filter(C::At.gte(time)).limit(1);
    select.order_by_asc(C::At).order_by_asc(C::Position).select_only().column(C::Position)
}

/// The last event of the company's log before that time.
fn last_until(scope: Scope, time: DateTime<Utc>) -> Select<event::Entity> {
    use event::Column as C;
    let select = event::Entity::find().filter(scope.events()).filter(C::At.lt(time)).limit(1);
    select.order_by_desc(C::At).order_by_desc(C::Position).select_only().column(C::Position)
}

/// The window without what was before and after the times asked for; `None` where nothing is left. By time and by
/// position a log has one order, so two look-ups say where it begins and ends.
async fn narrowed(
    db: &impl ConnectionTrait,
    scope: Scope,
    filter: &EventFilter,
    window: LogWindow,
) -> Result<Option<LogWindow>> {
    let mut window = window;
    if let Some(since) = filter.since {
        let Some(first) = first_since(scope, since).into_tuple::<i64>().one(db).await? else { return Ok(None) };
        window.above = Ord::max(window.above, Some(first - 1));
    }
    if let Some(until) = filter.until {
        let end = last_before(db, scope, until).await? + 1;
        window.below = Some(window.below.map_or(end, |below| Ord::min(below, end)));
    }
    Ok(Some(window))
}

/// The statements of [`events`], which a test hands to the database's EXPLAIN.
pub async fn statements(
    db: &impl ConnectionTrait,
    scope: Scope,
    filter: &EventFilter,
    window: LogWindow,
) -> Result<Vec<Statement>> {
    let since = filter.since.map(|since| first_since(scope, since));
    let until = filter.until.map(|until| last_until(scope, until));
    let found = narrowed(db, scope, filter, window).await?.map(|window| filter.select(scope, window));
    let backend = db.get_database_backend();
    Ok([since, until, found].into_iter().flatten().map(|select| select.build(backend)).collect())
}

/// A part of the company's log.
pub async fn events(
    db: &impl ConnectionTrait,
    scope: Scope,
    filter: &EventFilter,
    window: LogWindow,
) -> Result<Slice<Event>> {
    let rows = match narrowed(db, scope, filter, window).await? {
        Some(window) => filter.select(scope, window).all(db).await?,
        None => Vec::new(),
    };
    let rows = rows.into_iter().map(event_of).collect::<Result<Vec<_>>>()?;
    Ok(Slice::cut(rows, window.limit, window.last))
}

/// The event of that id in the company's log.
pub async fn event(db: &impl ConnectionTrait, scope: Scope, id: EventId) -> Result<Option<Event>> {
    let row = event::Entity::find().filter(scope.events()).filter(event::Column::Id.eq(id.0)).one(db).await?;
    row.map(event_of).transpose()
}

/// Where in the company's log the event with that subject and kind stands.
pub async fn position_of(
    db: &impl ConnectionTrait,
    scope: Scope,
    lead: LeadId,
    subject: Uuid,
    kind: &str,
) -> Result<Option<i64>> {
    let found = event::Entity::find()
        .filter(scope.events())
        .filter(event::Column::LeadId.eq(lead.0))
        .filter(event::Column::SubjectId.eq(subject))
        .filter(event::Column::Kind.eq(kind))
        .select_only()
        .column(event::Column::Position)
        .into_tuple::<i64>()
        .one(db)
        .await?;
    Ok(found)
}

/// The last position of the company's log whose event happened before that time; 0 where there is none.
pub async fn last_before(db: &impl ConnectionTrait, scope: Scope, time: DateTime<Utc>) -> Result<i64> {
    let found = last_until(scope, time).into_tuple::<i64>().one(db).await?;
    Ok(found.unwrap_or(0))
}

/// The last position of each of these companies' logs.
pub async fn heads(db: &impl ConnectionTrait, companies: &[CompanyId]) -> Result<Vec<(CompanyId, i64)>> {
    let rows = company_feed::Entity::find()
        .filter(among(db, company_feed::Column::CompanyId, companies.iter().map(|id| id.0)))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (CompanyId(row.company_id), row.position)).collect())
}
