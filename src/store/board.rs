//! Leads by the stage that they stand at: how many, and the first of each.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cosell_entity::lead_view;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, QueryFilter, QueryTrait,
    sea_query::{Alias, Asterisk, CaseStatement, Expr, Func, Query, SelectStatement, UnionType},
};

use super::{
    lead::{LeadFilter, LeadSort, SortKey, lead_of, not_overdue, overdue, views},
    page::{Slice, Window},
    row::Columns,
    scope::Scope,
};
use crate::{
    domain::{lead::Lead, workflow::definition::TrackKey},
    error::Result,
};

/// How many leads stand at a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The stage's key.
    pub stage: String,
    /// Whether it is the end of a counter that has run out without its being recorded.
    pub due: bool,
    /// How many.
    pub count: i64,
    /// The latest version of the workflow that one of them is on.
    pub version: i32,
}

const fn stage_column(track: TrackKey) -> lead_view::Column {
    match track {
        TrackKey::Stage => lead_view::Column::StageKey,
        TrackKey::Status => lead_view::Column::StatusKey,
    }
}

/// The statement of [`standings`], which a test hands to the database's EXPLAIN.
pub fn counting(scope: Scope, filter: &LeadFilter, track: TrackKey, now: DateTime<Utc>) -> SelectStatement {
    use lead_view::Column as C;
    let stage = stage_column(track);
    let at = CaseStatement::new().case(overdue(track, now), Expr::col(C::ExpiresTo)).finally(Expr::col(stage));
    let late = CaseStatement::new().case(overdue(track, now), Expr::value(1)).finally(Expr::value(0));
    Query::select()
        .expr_as(at, Alias::new("standing"))
        .expr_as(late, Alias::new("late"))
        .expr(Func::count(Expr::col(Asterisk)))
        .expr(Func::max(Expr::col(C::WorkflowVersion)))
        .from(lead_view::Entity)
        .cond_where(scope.leads().add(filter.condition(now)).add(stage.is_not_null()))
        .add_group_by([Expr::col(Alias::new("standing")), Expr::col(Alias::new("late"))])
        .to_owned()
}

/// How many of the company's leads stand at each stage of that track; in one statement. A stage without any is absent;
/// one that some reached by the clock alone is there twice.
pub async fn standings(
    db: &impl ConnectionTrait,
    scope: Scope,
    filter: &LeadFilter,
    track: TrackKey,
    now: DateTime<Utc>,
) -> Result<Vec<Standing>> {
    let mut found = Vec::new();
    for row in db.query_all(&counting(scope, filter, track, now)).await? {
        let mut row = Columns::of(&row)?;
        if let Some(stage) = row.next::<Option<String>>()? {
            found.push(Standing { stage, due: row.next::<i32>()? != 0, count: row.next()?, version: row.next()? });
        }
    }
    Ok(found)
}

/// The statement of [`first_of_each`]: a scan of the index for each stage, so that it reads no more than is asked for.
pub fn pages(
    scope: Scope,
    filter: &LeadFilter,
    track: TrackKey,
    standings: &[Standing],
    sort: LeadSort,
    window: &Window<SortKey>,
    now: DateTime<Utc>,
) -> Option<SelectStatement> {
    let mut scans = standings.iter().map(|standing| {
        let at = if standing.due {
            overdue(track, now).add(lead_view::Column::ExpiresTo.eq(standing.stage.as_str()))
        } else {
            Condition::all().add(stage_column(track).eq(standing.stage.as_str())).add(not_overdue(track, now))
        };
        let select = views(scope).filter(filter.condition(now)).filter(at);
        let scan = window.apply(select, sort.column(), lead_view::Column::LeadId).into_query();
        // The order and the limit are of this scan, not of the union.
        Query::select().column(Asterisk).from_subquery(scan, Alias::new("scan")).to_owned()
    });
    let mut all = scans.next()?;
    all.unions(scans.map(|scan| (UnionType::All, scan)));
    Some(all)
}

/// The first of the leads that stand at each of these stages, by the stage's key; in one statement.
#[allow(clippy::too_many_arguments, reason = "what a list takes, and the stages")]
pub async fn first_of_each(
    db: &impl ConnectionTrait,
    scope: Scope,
    filter: &LeadFilter,
    track: TrackKey,
    standings: &[Standing],
    sort: LeadSort,
    window: &Window<SortKey>,
    now: DateTime<Utc>,
) -> Result<HashMap<String, Slice<Lead>>> {
    let Some(statement) = pages(scope, filter, track, standings, sort, window, now) else {
        return Ok(HashMap::new());
    };
    let mut found: HashMap<String, Vec<Lead>> = HashMap::new();
    for row in db.query_all(&statement).await? {
        let lead = lead_of(&row)?;
        if let Some(stage) = stage_of(&lead, track, now) {
            found.entry(stage.to_owned()).or_default().push(lead);
        }
    }
    let cut = |mut leads: Vec<Lead>| {
        // Those that stand there by the clock came from a scan of their own.
        leads.sort_unstable_by_key(|lead| (sort.key(lead), lead.id.0));
        if window.descending {
            leads.reverse();
        }
        Slice::cut(leads, window.limit, false)
    };
    Ok(found.into_iter().map(|(stage, leads)| (stage, cut(leads))).collect())
}

/// Where a lead as it is recorded stands now.
fn stage_of(lead: &Lead, track: TrackKey, now: DateTime<Utc>) -> Option<&str> {
    let ran_out = lead.ended_at.is_none() && lead.expires_at.is_some_and(|at| at <= now);
    let to = lead.expires_to.as_ref().filter(|to| ran_out && to.track == track);
    to.map_or_else(|| lead.at(track), |to| Some(&to.stage))
}
