//! Two companies, their people, and the leads that they share.

use std::sync::Arc;

use cosell::clock::SystemClock;
use cosell::domain::actor::{Member, Role};
use cosell::domain::comment::Visibility;
use cosell::domain::customer::CustomerInput;
use cosell::domain::global_id::{NodeType, encode};
use cosell::feed::Signals;
use cosell::ids::TimeOrdered;
use cosell::service::Service;
use cosell::service::comment::NewComment;
use cosell::service::lead::NewLead;
use cosell::service::member::Bearer;
use cosell::store::db::{Db, PoolSize};
use sqlx::{Connection as _, PgConnection};

use super::{postgres, token};

/// The vendor and its partner.
pub(crate) const COMPANIES: [&str; 2] = ["acme", "globex"];
/// What everybody is.
const ROLES: [Role; 1] = [Role::Sales];

/// A database of its own with what is followed in it.
pub(crate) struct World {
    pub(crate) url: String,
    /// Global ids. Each waits for the partner's answer.
    pub(crate) leads: Vec<String>,
    /// Of each member of the vendor, and of each of the partner.
    pub(crate) tokens: [Vec<String>; 2],
}

impl World {
    /// With so many leads and so many members of each company.
    pub(crate) async fn new(leads: usize, members: usize) -> Self {
        let url = postgres::fresh_schema().await;
        let db = Db::connect(&url, PoolSize { connections: 2, ..PoolSize::default() }).await.expect("a database");
        db.migrate().await.expect("the migrations run");
        let clock = Arc::new(SystemClock);
        let ids = Arc::new(TimeOrdered::new(clock.clone()));
        let service = Service::new(db, clock, ids, Arc::new(Signals::default())).await.expect("the use cases");
        let mut admins = Vec::new();
        let mut tokens = [const { Vec::new() }; 2];
        for (company, tokens) in COMPANIES.into_iter().zip(&mut tokens) {
            service.add_company(company, None).await.expect("a company");
            admins.push(sign_in(&service, company, "admin", &[Role::Admin, Role::Sales]).await);
            for number in 0..members {
                let subject = format!("member-{number}");
                let member = sign_in(&service, company, &subject, &ROLES).await;
                tokens.push(token::signed(company, &subject, &name(company, &subject), &member.roles));
            }
        }
        let [vendor, partner] = admins.as_slice() else { unreachable!("two companies") };
        let partnership = service.invite_partner(vendor, COMPANIES[1], true, None).await.expect("an invitation");
        service.accept_partnership(partner, partnership.id, None).await.expect("a partnership");
        let mut ids = Vec::new();
        for number in 0..leads {
            let new = NewLead {
                title: format!("A warehouse system for site {number}"),
                customer: CustomerInput { company: Some(format!("Customer {number} Ltd")), ..CustomerInput::default() },
                partnership_id: Some(encode(NodeType::Partnership, partnership.id.0)),
                ..NewLead::default()
            };
            let lead = service.create_lead(vendor, new).await.expect("a lead").lead;
            let new = NewComment {
                body: "They will send their figures this week.".to_owned(),
                visibility: Visibility::Shared,
                in_reply_to_id: None,
                idempotency_key: None,
            };
            service.add_comment(vendor, lead.id, &new).await.expect("a comment");
            ids.push(encode(NodeType::Lead, lead.id.0));
        }
        service.db().clone().close().await;
        let mut connection = PgConnection::connect(&url).await.expect("a connection");
        sqlx::raw_sql("ANALYZE").execute(&mut connection).await.expect("statistics");
        Self { url, leads: ids, tokens }
    }

    /// What the subscriber of that number follows, and as whom: subscribers are spread over the leads, over both
    /// companies, and over the members.
    pub(crate) fn seat(&self, number: usize) -> Seat<'_> {
        let leads = self.leads.len();
        let tokens = &self.tokens[number / leads % 2];
        let lead = number % leads;
        Seat { lead, token: &tokens[(number / (2 * leads) * leads + lead) % tokens.len()] }
    }

    /// Somebody of either company by turns.
    pub(crate) fn author(&self, number: usize) -> &str {
        let tokens = &self.tokens[number % 2];
        &tokens[number / 2 % tokens.len()]
    }
}

/// A subscriber's place.
#[derive(Clone, Copy)]
pub(crate) struct Seat<'a> {
    /// Its place among the leads.
    pub(crate) lead: usize,
    pub(crate) token: &'a str,
}

fn name(company: &str, subject: &str) -> String {
    format!("{subject} of {company}")
}

async fn sign_in(service: &Service, company: &str, subject: &str, roles: &[Role]) -> Member {
    let bearer = Bearer {
        company: company.to_owned(),
        subject: subject.to_owned(),
        roles: roles.to_vec(),
        name: Some(name(company, subject)),
        email: None,
    };
    service.sign_in(bearer).await.expect("a member")
}
