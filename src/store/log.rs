//! The event log: append to it and read from it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cosell_entity::{company_feed, event};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{among, page::Slice, scope::Scope, unknown};
use crate::{
    domain::{
        event::{Event, Happening},
        id::{CompanyId, EventId, LeadId, MemberId},
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
}

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

/// Appends events to the logs of their audiences, and returns each company's last position.
///
/// The counter's row is locked from here to the end of the transaction, so positions become visible in their order
/// and without gaps. Counters are locked in the order of the companies' ids, so two writers can't wait for each other.
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
    for (company, count) in counts {
        let rows = company_feed::Entity::update_many()
            .col_expr(company_feed::Column::Position, Expr::col(company_feed::Column::Position).add(count))
            .filter(company_feed::Column::CompanyId.eq(company.0))
            .exec_with_returning(db)
            .await?;
        let position = rows.first().ok_or_else(|| Error::internal("the company has no feed"))?.position;
        next.insert(company, position - count + 1);
        last.push((company, position));
    }
    let mut rows = Vec::new();
    for event in events {
        let (kind, content) = split(&event.happening)?;
        for company in &event.audience {
            let position = next.get_mut(company).ok_or_else(|| Error::internal("an audience without a counter"))?;
            rows.push(event::ActiveModel {
                company_id: Set(company.0),
                position: Set(*position),
                id: Set(event.id.0),
                at: Set(now),
                actor_id: Set(event.actor.map(|id| id.0)),
                lead_id: Set(event.lead.map(|id| id.0)),
                subject_id: Set(event.subject),
                kind: Set(kind.clone()),
                content: Set(content.clone()),
            });
            *position += 1;
        }
    }
    // SQLite takes at most 32,766 parameters a statement.
    for chunk in rows.chunks(1_000) {
        event::Entity::insert_many(chunk.to_vec()).exec_without_returning(db).await?;
    }
    Ok(last)
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
    })
}

/// Which events of the log are asked for.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// About this lead.
    pub lead: Option<LeadId>,
    /// Of these kinds, as in the database.
    pub kinds: Option<Vec<&'static str>>,
    /// Done by this member.
    pub actor: Option<MemberId>,
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

/// A part of the company's log.
pub async fn events(
    db: &impl ConnectionTrait,
    scope: Scope,
    filter: &EventFilter,
    window: LogWindow,
) -> Result<Slice<Event>> {
    use event::Column as C;
    let mut select = event::Entity::find().filter(scope.events());
    if let Some(lead) = filter.lead {
        select = select.filter(C::LeadId.eq(lead.0));
    }
    if let Some(kinds) = &filter.kinds {
        select = select.filter(C::Kind.is_in(kinds.iter().copied()));
    }
    if let Some(actor) = filter.actor {
        select = select.filter(C::ActorId.eq(actor.0));
    }
    if let Some(since) = filter.since {
        select = select.filter(C::At.gte(since));
    }
    if let Some(until) = filter.until {
        select = select.filter(C::At.lt(until));
    }
    if let Some(above) = window.above {
        select = select.filter(C::Position.gt(above));
    }
    if let Some(below) = window.below {
        select = select.filter(C::Position.lt(below));
    }
    let select = if window.descending == window.last {
        select.order_by_asc(C::Position)
    } else {
        select.order_by_desc(C::Position)
    };
    let rows = select.limit(window.limit + 1).all(db).await?;
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
    let found = event::Entity::find()
        .filter(scope.events())
        .filter(event::Column::At.lt(time))
        .order_by_desc(event::Column::At)
        .order_by_desc(event::Column::Position)
        .select_only()
        .column(event::Column::Position)
        .into_tuple::<i64>()
        .one(db)
        .await?;
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
