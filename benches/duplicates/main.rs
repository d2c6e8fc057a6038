//! What it costs to tell a vendor with a million leads which of them look like the one that has just come.
//!
//! `cargo bench --bench duplicates`, or `scripts/bench`. docs/duplicates.md says what is measured.

#![allow(missing_docs, reason = "a program, not a library")]

#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../../tests/it/support/postgres.rs"]
mod postgres;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use cosell::clock::SystemClock;
use cosell::domain::actor::{Member, Role, Side};
use cosell::domain::clock::Clock as _;
use cosell::domain::customer::{Contact, Customer, CustomerInput};
use cosell::domain::id::LeadId;
use cosell::domain::ids::IdSource as _;
use cosell::domain::lead::Lead;
use cosell::domain::phone::Phone;
use cosell::feed::Signals;
use cosell::ids::TimeOrdered;
use cosell::service::Service;
use cosell::service::lead::NewLead;
use cosell::service::member::Bearer;
use cosell::store::db::{Db, PoolSize};
use cosell::store::scope::Scope;
use cosell::store::{duplicate, lead};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection as _};

/// How many leads the vendor has.
const LEADS: u32 = 1_000_000;
/// How many leads come in each way.
const ROUNDS: usize = 1_000;
/// What the look-up may add to a lead's insert, in milliseconds.
const BOUND: f64 = 20.0;

#[tokio::main]
async fn main() -> ExitCode {
    let start = Instant::now();
    let url = postgres::fresh_schema().await;
    let clock = Arc::new(SystemClock);
    let ids = Arc::new(TimeOrdered::new(clock.clone()));
    let db = Db::connect(&url, PoolSize { connections: 2, ..PoolSize::default() }).await.expect("a database");
    db.migrate().await.expect("the migrations run");
    let service = Service::new(db.clone(), clock.clone(), ids.clone(), Arc::new(Signals::default())).await;
    let service = service.expect("the use cases");
    let (vendor, partner) = (member(&service, "acme").await, member(&service, "globex").await);
    let new = NewLead {
        title: "A warehouse system".to_owned(),
        customer: CustomerInput { company: Some("The first".to_owned()), ..CustomerInput::default() },
        ..NewLead::default()
    };
    let model = service.create_lead(&partner, new).await.expect("a lead").lead;
    let model = Lead { company: vendor.company, side: Side::Receiver, receiver: Some(vendor.company), ..model };
    seed(&url, &vendor, &partner).await;
    println!("Seeded {LEADS} leads in {:.0} s.", start.elapsed().as_secs_f64());

    let mut times = [const { Vec::new() }; 3];
    let mut found = 0;
    // Plans settle at a statement's sixth execution; the first rounds are not counted.
    for round in 0..ROUNDS + 20 {
        for (way, times) in [Way::Alone, Way::Keys, Way::LookUp].into_iter().zip(&mut times) {
            let (id, number) = (LeadId(ids.next()), i64::try_from(3 * round).expect("small") + 1_000_000 + way as i64);
            let coming = Lead { id, customer: customer(round, way), ..at(&model, clock.now()) };
            let start = Instant::now();
            found += insert(&db, &coming, &partner, number, way).await;
            if round >= 20 {
                times.push(start.elapsed());
            }
        }
    }
    assert!(found >= ROUNDS, "every lead that came looked like one that was there, and {found} were found");
    report(times)
}

/// What is done for a lead that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The lead and the vendor's view are added; its customer has nothing to be compared by.
    Alone,
    /// What it is compared by is added too.
    Keys,
    /// And those that look like it are found.
    LookUp,
}

fn at(model: &Lead, now: DateTime<Utc>) -> Lead {
    Lead { created_at: now, updated_at: now, ..model.clone() }
}

/// The customer of one of the leads that are there; a common name in some.
fn customer(round: usize, way: Way) -> Customer {
    let n = (round * 7_919 + 1) % LEADS as usize;
    let company = if way == Way::Alone { "-".to_owned() } else { format!("Customer {n} Ltd") };
    let company = if way != Way::Alone && round.is_multiple_of(10) { "Unknown".to_owned() } else { company };
    if way == Way::Alone {
        return Customer { company, ..Customer::default() };
    }
    let e164 = format!("+44113{:07}", n / 100);
    let phone = Phone { typed: e164.clone(), e164 };
    let email = format!("robin.smith@customer-{n}.example");
    let contact = Contact { email: Some(email), phone: Some(phone), ..Contact::default() };
    Customer { company, website: Some(format!("https://customer-{n}.example/")), contact, ..Customer::default() }
}

/// In a transaction of its own, as a submission has it.
async fn insert(db: &Db, coming: &Lead, partner: &Member, number: i64, way: Way) -> usize {
    let tx = db.begin().await.expect("a transaction");
    lead::insert(&tx, coming.id, number, partner, coming.created_at).await.expect("a lead");
    lead::insert_view(&tx, coming).await.expect("a view");
    let mut found = 0;
    if way == Way::LookUp {
        let matches = duplicate::matches(&tx, Scope::system(coming.company), &[coming.id], coming.created_at)
            .await
            .expect("matches");
        found = matches.into_values().flatten().filter(|other| other.score == 100 && other.earlier).count();
    }
    tx.commit().await.expect("a commit");
    found
}

fn report(mut times: [Vec<Duration>; 3]) -> ExitCode {
    for times in &mut times {
        times.sort_unstable();
    }
    let at = |way: Way, share: f64| {
        let times = &times[way as usize];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "small"
        )]
        let place = ((times.len() - 1) as f64 * share) as usize;
        times[place].as_secs_f64() * 1e3
    };
    println!("\n| what is added | p50 | p99 |\n| --- | --- | --- |");
    for (way, name) in [
        (Way::Alone, "the lead and the view"),
        (Way::Keys, "what it is compared by too"),
        (Way::LookUp, "and those like it are found"),
    ] {
        println!("| {name} | {:.2} ms | {:.2} ms |", at(way, 0.5), at(way, 0.99));
    }
    let (middle, worst) = (at(Way::LookUp, 0.5) - at(Way::Alone, 0.5), at(Way::LookUp, 0.99) - at(Way::Alone, 0.5));
    println!("\n| figure | bound | measured | held | made of |\n| --- | --- | --- | --- | --- |");
    let ratio = at(Way::LookUp, 0.5) / at(Way::Alone, 0.5);
    let mut held = true;
    for (name, measured) in [("p50", middle), ("p99 against the p50 without", worst)] {
        held &= measured < BOUND;
        let yes = if measured < BOUND { "yes" } else { "NO" };
        println!(
            "| finding duplicates among {LEADS} leads, beside the insert, {name} | {BOUND} ms | {measured:.2} ms | \
             {yes} | the insert takes {ratio:.2} times as long, p50 |"
        );
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn member(service: &Service, slug: &str) -> Member {
    service.add_company(slug, None).await.expect("a company");
    let bearer = Bearer {
        company: slug.to_owned(),
        subject: format!("{slug}-member"),
        roles: vec![Role::Admin, Role::Sales],
        name: None,
        email: None,
    };
    service.sign_in(bearer).await.expect("a member")
}

async fn seed(url: &str, vendor: &Member, partner: &Member) {
    let database = PgPoolOptions::new().max_connections(1).connect(url).await.expect("a connection");
    let mut connection = database.acquire().await.expect("a connection");
    let sql = include_str!("seed.sql")
        .replace("{vendor}", &vendor.company.to_string())
        .replace("{partner}", &partner.company.to_string())
        .replace("{leads}", &LEADS.to_string());
    let mut tx = connection.begin().await.expect("a transaction");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await.expect("the rows");
    tx.commit().await.expect("a commit");
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut *connection).await.expect("statistics");
}
