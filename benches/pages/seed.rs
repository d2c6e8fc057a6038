//! The companies, their people and their leads.

use std::sync::Arc;

use cosell::clock::SystemClock;
use cosell::domain::actor::{Member, Role};
use cosell::domain::comment::Visibility;
use cosell::domain::customer::CustomerInput;
use cosell::domain::global_id::{NodeType, encode};
use cosell::domain::page::PageRequest;
use cosell::feed::Signals;
use cosell::ids::TimeOrdered;
use cosell::service::Service;
use cosell::service::comment::NewComment;
use cosell::service::lead::NewLead;
use cosell::service::member::Bearer;
use cosell::store::db::{Db, PoolSize};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::token;

/// The vendor of most leads.
pub(crate) const LARGE: &str = "acme";
/// The vendor of a thousand.
pub(crate) const SMALL: &str = "hooli";
/// Who sells for them; the first is the one that accepts.
pub(crate) const PARTNERS: [&str; 5] = ["globex", "initech", "massive", "stark", "wayne"];
/// How many leads the large vendor has.
pub(crate) const LEADS: u32 = 100_000;
/// How many leads the small vendor has.
pub(crate) const FEW_LEADS: u32 = 1_000;
/// Of every lead.
pub(crate) const COMMENTS_EACH: u32 = 5;
/// Of every lead.
pub(crate) const TASKS_EACH: u32 = 2;

const SQL: &str = include_str!("seed.sql");

/// Ids of version 7, as the server makes them, of a given time.
const V7: &str = "CREATE OR REPLACE FUNCTION pg_temp.v7(at timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$ \
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(r, 1, 3) || '8' \
    || substr(r, 4, 15))::uuid FROM (SELECT md5(random()::text) AS r OFFSET 0) AS random $$";

async fn service(url: &str) -> Service {
    let db = Db::connect(url, PoolSize { connections: 2, ..PoolSize::default() }).await.expect("a database");
    db.migrate().await.expect("the migrations run");
    let clock = Arc::new(SystemClock);
    let ids = Arc::new(TimeOrdered::new(clock.clone()));
    Service::new(db, clock, ids, Arc::new(Signals::default())).await.expect("the use cases")
}

/// Migrates an empty database and adds the companies, their members and partnerships.
pub(crate) async fn people(url: &str) -> Vec<Member> {
    let service = service(url).await;
    let mut members = Vec::new();
    for slug in [LARGE, SMALL].into_iter().chain(PARTNERS) {
        service.add_company(slug, None).await.expect("a company");
        let bearer = Bearer {
            company: slug.to_owned(),
            subject: token::subject(slug),
            roles: vec![Role::Admin, Role::Sales],
            name: Some(token::name(slug)),
            email: None,
        };
        members.push(service.sign_in(bearer).await.expect("a member"));
    }
    let (vendors, partners) = members.split_at(2);
    for vendor in vendors {
        for (slug, partner) in PARTNERS.iter().zip(partners) {
            let partnership = service.invite_partner(vendor, slug, true, None).await.expect("an invitation");
            service.accept_partnership(partner, partnership.id, None).await.expect("a partnership");
        }
    }
    service.db().clone().close().await;
    members
}

/// Adds 100 leads of a vendor with three comments each, through the use cases, on any database.
pub(crate) async fn few_leads(url: &str, vendor: &Member, partner: &Member) {
    let service = service(url).await;
    let partnerships = service.partnerships(vendor, PageRequest::default()).await.expect("the partnerships");
    let mut ids = partnerships.edges.iter().map(|(_, item)| (item.counterpart(vendor.company), item.id.0));
    let (_, partnership) = ids.find(|(counterpart, _)| *counterpart == partner.company).expect("the partnership");
    for number in 0..100 {
        let new = NewLead {
            title: format!("A warehouse system for site {number}"),
            customer: CustomerInput { company: Some(format!("Customer {number} Ltd")), ..CustomerInput::default() },
            partnership_id: Some(encode(NodeType::Partnership, partnership)),
            ..NewLead::default()
        };
        let lead = service.create_lead(vendor, new).await.expect("a lead").lead;
        for author in [vendor, partner, vendor] {
            let new = NewComment {
                body: "We spoke on the phone and they will send their figures this week.".to_owned(),
                visibility: Visibility::Shared,
                in_reply_to_id: None,
                idempotency_key: None,
            };
            service.add_comment(author, lead.id, &new).await.expect("a comment");
        }
    }
    service.db().clone().close().await;
}

/// Adds the leads of a vendor with their comments and tasks, on PostgreSQL.
pub(crate) async fn leads(connection: &mut PgConnection, vendor: &Member, leads: u32) {
    let mut tx = connection.begin().await.expect("a transaction");
    sqlx::raw_sql(V7).execute(&mut *tx).await.expect("a function");
    let sql = SQL.replace("{vendor}", &vendor.company.to_string()).replace("{leads}", &leads.to_string());
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await.expect("the rows");
    tx.commit().await.expect("a commit");
}
