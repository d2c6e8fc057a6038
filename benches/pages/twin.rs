//! The same work by hand: axum, sqlx and serde, with the very statements that the server sends.
//!
//! It knows what the benchmark's data are like, and takes every short cut that this allows: rows are read by the
//! places of their columns, without those that are not asked for; people and companies are kept in memory for good;
//! what may be done with a lead stands in a table.

#![allow(clippy::items_after_statements, reason = "the shape of an answer stands beside what fills it")]

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use cosell::domain::global_id::{NodeType, encode, expect};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::postgres::{PgPoolOptions, PgRow};
use sqlx::{PgConnection, PgPool, Row as _};
use uuid::Uuid;

use super::{POOL, token};

/// What the server sends for each operation, in its order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Statements {
    pub(crate) page: Vec<String>,
    pub(crate) lead: Vec<String>,
    pub(crate) accept: Vec<String>,
}

struct Twin {
    pool: PgPool,
    /// Texts live as long as the program: sqlx keeps a prepared statement by its text.
    statements: Texts,
    key: DecodingKey,
    validation: Validation,
    members: HashMap<(String, String), Member>,
    companies: HashMap<Uuid, String>,
}

struct Texts {
    page: [&'static str; 4],
    lead: [&'static str; 3],
    accept: [&'static str; 8],
}

impl Texts {
    fn of(statements: Statements) -> Self {
        fn fixed<const N: usize>(texts: Vec<String>, what: &str) -> [&'static str; N] {
            let count = texts.len();
            let texts: Vec<&'static str> = texts.into_iter().map(|text| &*text.leak()).collect();
            texts.try_into().unwrap_or_else(|texts: Vec<&str>| {
                panic!("the server now sends {count} statements for {what}; the twin sends {N}:\n{}", texts.join("\n"))
            })
        }
        Self {
            page: fixed(statements.page, "a page"),
            lead: fixed(statements.lead, "a lead"),
            accept: fixed(statements.accept, "an acceptance"),
        }
    }
}

#[derive(Clone)]
struct Member {
    id: Uuid,
    company: Uuid,
    roles: Vec<String>,
}

/// What a token says.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    company: String,
    roles: Vec<String>,
}

/// A request that comes to nothing.
struct Refused(StatusCode, String);

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

type Answer = Result<Response, Refused>;

/// Serves until the program that started it is gone; says its address on standard output.
pub(crate) async fn serve(url: &str, statements: &str) {
    let statements = fs::read_to_string(statements).expect("the file of statements");
    let statements = Texts::of(serde_json::from_str(&statements).expect("statements as they were written"));
    let pool = PgPoolOptions::new().max_connections(POOL).min_connections(1).test_before_acquire(false);
    let pool = pool.connect(url).await.expect("a database");
    let mut members = HashMap::new();
    let rows = sqlx::query(
        "SELECT c.slug, m.subject, m.id, m.company_id, m.roles FROM member m JOIN company c ON c.id = m.company_id",
    );
    for row in rows.fetch_all(&pool).await.expect("the members") {
        let roles: &str = row.get(4);
        let member =
            Member { id: row.get(2), company: row.get(3), roles: roles.split(',').map(str::to_owned).collect() };
        members.insert((row.get(0), row.get(1)), member);
    }
    let rows = sqlx::query("SELECT id, name FROM company").fetch_all(&pool).await.expect("the companies");
    let companies = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[token::ISSUER]);
    validation.set_audience(&[token::AUDIENCE]);
    validation.validate_nbf = true;
    validation.leeway = 5;
    let key = DecodingKey::from_secret(token::SECRET.as_bytes());
    let twin = Arc::new(Twin { pool, statements, key, validation, members, companies });
    let router = Router::new()
        .route("/leads", get(page))
        .route("/leads/{id}", get(lead))
        .route("/leads/{id}/accept", post(accept))
        .with_state(twin);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("The twin listens on http://{}", listener.local_addr().expect("its address"));
    tokio::select! {
        ended = async { axum::serve(listener, router).await } => ended.expect("it serves"),
        () = super::until_left_alone() => {}
    }
}

impl Twin {
    fn member(&self, headers: &HeaderMap) -> Result<&Member, Refused> {
        let refused = |why: &str| Refused(StatusCode::UNAUTHORIZED, why.to_owned());
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(|| refused("no token"))?;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation)
            .map_err(|error| refused(&error.to_string()))?
            .claims;
        let member =
            self.members.get(&(claims.company, claims.sub)).ok_or_else(|| refused("nobody that is known here"))?;
        if member.roles != claims.roles {
            return Err(refused("other roles than before"));
        }
        Ok(member)
    }
}

fn answer(data: &impl Serialize) -> Answer {
    #[derive(Serialize)]
    struct Data<'a, T> {
        data: &'a T,
    }
    let body = serde_json::to_vec(&Data { data })
        .map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "private, no-store")
        .body(Body::from(body))
        .map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

#[derive(Serialize)]
struct Stage {
    key: &'static str,
    name: &'static str,
    kind: &'static str,
}

const PENDING: Stage = Stage { key: "pending", name: "Pending", kind: "AWAITING" };
const ACCEPTED: Stage = Stage { key: "accepted", name: "Accepted", kind: "ACTIVE" };
const EXPIRED: Stage = Stage { key: "expired", name: "Expired", kind: "EXPIRED" };

fn stage(row: &PgRow, now: DateTime<Utc>) -> Result<&'static Stage, Refused> {
    let expired = row.try_get::<Option<DateTime<Utc>>, _>(37)?.is_some_and(|at| at <= now);
    match row.try_get::<&str, _>(31)? {
        "pending" | "accepted" if expired => Ok(&EXPIRED),
        "pending" => Ok(&PENDING),
        "accepted" => Ok(&ACCEPTED),
        other => Err(Refused(StatusCode::NOT_IMPLEMENTED, format!("a lead in the stage {other}"))),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    key: &'static str,
    name: &'static str,
    to_stage: Key,
    fields: &'static [Field],
}

#[derive(Serialize)]
struct Key {
    key: &'static str,
}

#[derive(Serialize)]
struct Field {
    key: &'static str,
    required: bool,
}

const fn action(key: &'static str, name: &'static str, to: &'static str, fields: &'static [Field]) -> Action {
    Action { key, name, to_stage: Key { key: to }, fields }
}

const PARTNERSHIP: &[Field] = &[Field { key: "partnershipId", required: true }];
const BY_SOURCE: &[Action] = &[
    action("withdraw", "Withdraw", "withdrawn", &[Field { key: "reason", required: false }]),
    action("reassign", "Pass to another partner", "pending", PARTNERSHIP),
];
const BY_RECEIVER: &[Action] = &[
    action("accept", "Accept", "accepted", &[]),
    action("decline", "Decline", "declined", &[Field { key: "reason", required: true }]),
];
const BY_RECEIVER_LATER: &[Action] = &[
    action(
        "convert",
        "Convert",
        "closed_converted",
        &[Field { key: "opportunityId", required: false }, Field { key: "opportunity", required: false }],
    ),
    action("close", "Close without conversion", "closed_not_converted", &[Field { key: "reason", required: false }]),
];

fn actions(member: &Member, side: &str, stage: &Stage) -> &'static [Action] {
    if !member.roles.iter().any(|role| matches!(role.as_str(), "ADMIN" | "SALES" | "MARKETEER" | "MANAGER")) {
        return &[];
    }
    match (side, stage.key) {
        ("SOURCE", "pending") => BY_SOURCE,
        ("RECEIVER", "pending") => BY_RECEIVER,
        ("RECEIVER", "accepted") => BY_RECEIVER_LATER,
        _ => &[],
    }
}

#[derive(Serialize)]
struct Customer<'a> {
    company: &'a str,
}

#[derive(Serialize)]
struct Money<'a> {
    amount: String,
    currency: &'a str,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Partnership<'a> {
    counterpart: Named<'a>,
}

#[derive(Serialize)]
struct Edges<T> {
    edges: Vec<Edge<T>>,
}

#[derive(Serialize)]
struct Edge<T> {
    node: T,
}

fn edges<T>(nodes: impl IntoIterator<Item = T>) -> Edges<T> {
    Edges { edges: nodes.into_iter().map(|node| Edge { node }).collect() }
}

fn edges_of<T>(nodes: impl IntoIterator<Item = Result<T, Refused>>) -> Result<Edges<T>, Refused> {
    Ok(edges(nodes.into_iter().collect::<Result<Vec<_>, _>>()?))
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn money(row: &PgRow) -> Result<Option<Money<'_>>, Refused> {
    let Some(amount) = row.try_get::<Option<i64>, _>(29)? else { return Ok(None) };
    // Every amount of the benchmark is in euros.
    let amount = format!("{}.{:02}", amount / 10_000, amount % 10_000 / 100);
    Ok(Some(Money { amount, currency: row.try_get(30)? }))
}

#[derive(Deserialize)]
struct First {
    first: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageLead<'a> {
    id: String,
    number: &'a str,
    title: &'a str,
    stage: &'static Stage,
    side: &'a str,
    expires_at: Option<String>,
    customer: Customer<'a>,
    estimated_value: Option<Money<'a>>,
    partnership: Option<Partnership<'a>>,
    comments: Edges<PageComment<'a>>,
    open_task_count: i64,
    available_actions: &'static [Action],
    version: i32,
    created_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageComment<'a> {
    id: String,
    body: &'a str,
    created_at: String,
    author: Named<'a>,
}

async fn page(State(twin): State<Arc<Twin>>, headers: HeaderMap, Query(First { first }): Query<First>) -> Answer {
    let member = twin.member(&headers)?;
    if !(1..=100).contains(&first) {
        return Err(Refused(StatusCode::BAD_REQUEST, "first is 1 to 100".to_owned()));
    }
    let [leads, partnerships, comments, tasks] = twin.statements.page;
    let leads = sqlx::query(leads).bind(member.company).bind(false).bind(true).bind(first + 1);
    let mut leads = leads.fetch_all(&twin.pool).await?;
    leads.truncate(usize::try_from(first).unwrap_or_default());
    let ids = leads.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Uuid>, _>>()?;
    let mut across = leads.iter().filter_map(|row| row.try_get(5).transpose()).collect::<Result<Vec<Uuid>, _>>()?;
    across.sort_unstable();
    across.dedup();
    let partnerships = sqlx::query(partnerships).bind(across).bind(member.company).bind(member.company);
    let partnerships = partnerships.fetch_all(&twin.pool).await?;
    let comments = sqlx::query(comments).bind(member.company).bind(&ids).bind(4_i64).fetch_all(&twin.pool).await?;
    let company = member.company;
    let tasks = sqlx::query(tasks).bind(company).bind("SHARED").bind(company).bind(company).bind(&ids).bind("OPEN");
    let tasks = tasks.fetch_all(&twin.pool).await?;

    let now = Utc::now();
    let mut counterparts: HashMap<Uuid, &str> = HashMap::new();
    for row in &partnerships {
        let (vendor, partner): (Uuid, Uuid) = (row.try_get(1)?, row.try_get(2)?);
        let other = if vendor == member.company { partner } else { vendor };
        counterparts.insert(row.try_get(0)?, twin.companies.get(&other).map_or("", String::as_str));
    }
    let mut threads: HashMap<Uuid, Vec<PageComment<'_>>> = HashMap::with_capacity(ids.len());
    for row in &comments {
        let thread = threads.entry(row.try_get(1)?).or_default();
        // The fourth only tells that there are more.
        if thread.len() < 3 {
            thread.push(PageComment {
                id: encode(NodeType::Comment, row.try_get(0)?),
                body: row.try_get(5)?,
                created_at: moment(row.try_get(7)?),
                author: Named { name: row.try_get(10)? },
            });
        }
    }
    let mut open: HashMap<Uuid, i64> = HashMap::with_capacity(ids.len());
    for row in &tasks {
        open.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let nodes = leads.iter().zip(&ids).map(|(row, id)| {
        let stage = stage(row, now)?;
        let side = row.try_get(2)?;
        let counterpart = row.try_get::<Option<Uuid>, _>(5)?.and_then(|id| counterparts.get(&id));
        let mut thread = threads.remove(id).unwrap_or_default();
        thread.reverse();
        Ok(PageLead {
            id: encode(NodeType::Lead, *id),
            number: row.try_get(10)?,
            title: row.try_get(11)?,
            stage,
            side,
            expires_at: row.try_get::<Option<_>, _>(37)?.map(moment),
            customer: Customer { company: row.try_get(14)? },
            estimated_value: money(row)?,
            partnership: counterpart.map(|name| Partnership { counterpart: Named { name } }),
            comments: edges(thread),
            open_task_count: open.get(id).copied().unwrap_or_default(),
            available_actions: actions(member, side, stage),
            version: row.try_get(46)?,
            created_at: moment(row.try_get(48)?),
        })
    });
    let leads = edges_of(nodes)?;
    #[derive(Serialize)]
    struct Data<'a> {
        leads: Edges<PageLead<'a>>,
    }
    answer(&Data { leads })
}

fn lead_id(id: &str) -> Result<Uuid, Refused> {
    expect(id, NodeType::Lead).map_err(|why| Refused(StatusCode::BAD_REQUEST, why))
}

fn missing() -> Refused {
    Refused(StatusCode::NOT_FOUND, "no such lead".to_owned())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneLead<'a> {
    id: String,
    number: &'a str,
    title: &'a str,
    stage: &'static Stage,
    side: &'a str,
    expires_at: Option<String>,
    customer: Customer<'a>,
    estimated_value: Option<Money<'a>>,
    comments: Edges<Comment<'a>>,
    tasks: Edges<Task<'a>>,
    version: i32,
    created_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Comment<'a> {
    id: String,
    body: &'a str,
    created_at: String,
    visibility: &'a str,
    author: Author<'a>,
}

#[derive(Serialize)]
struct Author<'a> {
    id: String,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Task<'a> {
    id: String,
    title: &'a str,
    state: &'a str,
    due_at: Option<String>,
    created_at: String,
    version: i32,
}

async fn lead(State(twin): State<Arc<Twin>>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    let member = twin.member(&headers)?;
    let id = lead_id(&id)?;
    let [lead, comments, tasks] = twin.statements.lead;
    let lead = sqlx::query(lead).bind(member.company).bind(id);
    let lead = lead.fetch_optional(&twin.pool).await?.ok_or_else(missing)?;
    let comments = sqlx::query(comments).bind(member.company).bind([id]).bind(51_i64).fetch_all(&twin.pool).await?;
    let tasks = sqlx::query(tasks).bind(member.company).bind([id]).bind(51_i64).fetch_all(&twin.pool).await?;
    let comments = comments.iter().take(50).map(|row| {
        Ok(Comment {
            id: encode(NodeType::Comment, row.try_get(0)?),
            body: row.try_get(5)?,
            created_at: moment(row.try_get(7)?),
            visibility: row.try_get(4)?,
            author: Author { id: encode(NodeType::Member, row.try_get(3)?), name: row.try_get(10)? },
        })
    });
    let tasks = tasks.iter().take(50).map(|row| {
        Ok(Task {
            id: encode(NodeType::Task, row.try_get(0)?),
            title: row.try_get(7)?,
            state: row.try_get(9)?,
            due_at: row.try_get::<Option<_>, _>(10)?.map(moment),
            created_at: moment(row.try_get(13)?),
            version: row.try_get(12)?,
        })
    });
    let lead = OneLead {
        id: encode(NodeType::Lead, id),
        number: lead.try_get(10)?,
        title: lead.try_get(11)?,
        stage: stage(&lead, Utc::now())?,
        side: lead.try_get(2)?,
        expires_at: lead.try_get::<Option<_>, _>(37)?.map(moment),
        customer: Customer { company: lead.try_get(14)? },
        estimated_value: money(&lead)?,
        comments: edges_of(comments)?,
        tasks: edges_of(tasks)?,
        version: lead.try_get(46)?,
        created_at: moment(lead.try_get(48)?),
    };
    #[derive(Serialize)]
    struct Data<'a> {
        lead: OneLead<'a>,
    }
    answer(&Data { lead })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AcceptedLead<'a> {
    id: String,
    number: &'a str,
    stage: &'static Stage,
    accepted_at: String,
    expires_at: Option<String>,
    version: i32,
}

async fn accept(State(twin): State<Arc<Twin>>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    let member = twin.member(&headers)?;
    let id = lead_id(&id)?;
    let now = Utc::now();
    let mut tx = twin.pool.begin().await?;
    let [lock, template, assignment, mine, other, feed, _, events] = twin.statements.accept;
    let views = sqlx::query(lock).bind(id).bind(member.company).bind(id).fetch_all(&mut *tx).await?;
    let of = |own: bool| {
        views.iter().find(|row| row.try_get::<Uuid, _>(1).is_ok_and(|company| (company == member.company) == own))
    };
    let (own, source) = of(true).zip(of(false)).ok_or_else(missing)?;
    let allowed = actions(member, own.try_get(2)?, stage(own, now)?).iter().any(|action| action.key == "accept");
    if !allowed {
        return Err(Refused(StatusCode::CONFLICT, "it can't be accepted".to_owned()));
    }
    let template = sqlx::query(template).bind([own.try_get::<Uuid, _>(7)?]).fetch_one(&mut *tx).await?;
    let days = template
        .try_get::<Option<&str>, _>(8)?
        .and_then(|limit| limit.strip_prefix('P')?.strip_suffix('D')?.parse().ok());
    let expires_at = days.map(|days| now + TimeDelta::days(days));
    let assigned: Uuid = own.try_get(6)?;
    let ended = None::<DateTime<Utc>>;
    sqlx::query(assignment).bind("accepted").bind(now).bind(ended).bind(assigned).execute(&mut *tx).await?;
    let version: i32 = own.try_get(46)?;
    let update = sqlx::query(mine).bind("accepted").bind("ACTIVE").bind(member.id).bind(expires_at).bind(now);
    let update = update.bind(version + 1).bind(now).bind(expires_at).bind(id).bind(member.company).bind(version);
    changed_one(update.execute(&mut *tx).await?.rows_affected())?;
    let (company, before): (Uuid, i32) = (source.try_get(1)?, source.try_get(46)?);
    let update = sqlx::query(other).bind("accepted").bind("ACTIVE").bind(expires_at).bind(now);
    let update = update.bind(before + 1).bind(now).bind(expires_at).bind(id).bind(company).bind(before);
    changed_one(update.execute(&mut *tx).await?.rows_affected())?;
    let mut companies = [member.company, company];
    companies.sort_unstable();
    let [first, second] = companies;
    let positions = [next(&mut tx, feed, first).await?, next(&mut tx, feed, second).await?];
    let event = Uuid::now_v7();
    let content = json!({
        "from": { "key": "pending", "name": "Pending", "kind": "AWAITING", "terminal": false },
        "to": { "key": "accepted", "name": "Accepted", "kind": "ACTIVE", "terminal": false },
        "action": "accept",
        "reason": null,
    });
    let mut insert = sqlx::query(events);
    for (company, position) in companies.into_iter().zip(positions) {
        insert = insert.bind(company).bind(position).bind(event).bind(now).bind(member.id).bind(id);
        insert = insert.bind(None::<Uuid>).bind("LEAD_STAGE_CHANGED").bind(content.clone());
    }
    insert.execute(&mut *tx).await?;
    tx.commit().await?;
    let lead = AcceptedLead {
        id: encode(NodeType::Lead, id),
        number: own.try_get(10)?,
        stage: &ACCEPTED,
        accepted_at: moment(now),
        expires_at: expires_at.map(moment),
        version: version + 1,
    };
    #[derive(Serialize)]
    struct Payload<'a> {
        lead: AcceptedLead<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data<'a> {
        accept_lead: Payload<'a>,
    }
    answer(&Data { accept_lead: Payload { lead } })
}

/// The next place in a company's log.
async fn next(tx: &mut PgConnection, feed: &'static str, company: Uuid) -> Result<i64, Refused> {
    Ok(sqlx::query(feed).bind(1_i64).bind(company).fetch_one(tx).await?.try_get(1)?)
}

fn changed_one(rows: u64) -> Result<(), Refused> {
    if rows == 1 { Ok(()) } else { Err(Refused(StatusCode::CONFLICT, "another was faster".to_owned())) }
}
