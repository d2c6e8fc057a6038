//! A running server with companies, partnerships and people, on an empty database.
//!
//! acme is the vendor; globex and initech are its partners; umbrella is party to nothing.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use cosell::clock::ManualClock;
use cosell::config;
use cosell::domain::clock::Clock;
use cosell::server::{self, RunningServer};
use cosell::store::db::{Db, PoolSize};
use serde_json::json;

use super::database::{Database, OnDatabase};
use super::http::Client;
use super::keys::{AUDIENCE, ISSUER, claims, hs256};
use super::ws::Socket;

/// What the server verifies tokens with; `COSELL_JWT_SECRET`.
pub const SECRET: &str = "a secret of the tests, long enough for HS256";

/// The companies that every world has.
pub const COMPANIES: [(&str, &str); 4] =
    [("acme", "Acme"), ("globex", "Globex"), ("initech", "Initech"), ("umbrella", "Umbrella")];

/// When every world begins: a Monday morning.
pub const BEGINNING: &str = "2026-03-02T09:00:00Z";

/// A server and all that a test needs to talk to it.
pub struct World {
    /// What the server runs on.
    pub database: Database,
    /// The server's time, which stands still until a test moves it.
    pub clock: Arc<ManualClock>,
    server: RunningServer,
    /// Nobody's; a person's client shares its connections.
    client: Client,
}

impl OnDatabase for World {
    async fn on(database: Database) -> Self {
        let db =
            Db::connect(&database.url, PoolSize { connections: 2, ..PoolSize::default() }).await.expect("a database");
        db.migrate().await.expect("the migrations run");
        db.close().await;
        let beginning: DateTime<Utc> = BEGINNING.parse().expect("a constant time");
        let clock = Arc::new(ManualClock::new(beginning));
        let server = start_server(&database.url, Arc::clone(&clock) as Arc<dyn Clock>).await;
        for (slug, name) in COMPANIES {
            server.service().add_company(slug, Some(name)).await.expect("a company");
        }
        let client = Client::new(server.addr, None);
        Self { database, clock, server, client }
    }
}

impl World {
    /// The server itself: its use cases, its count of statements.
    pub fn server(&self) -> &RunningServer {
        &self.server
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.server.addr
    }

    /// A member of that company with one role. The same company and role are always the same person.
    pub fn as_(&self, company: &str, role: &str) -> Person {
        self.person(company, &format!("{company}-{}", role.to_lowercase()), &[role])
    }

    /// A member of that company by the token's `sub`, with any roles.
    pub fn person(&self, company: &str, member: &str, roles: &[&str]) -> Person {
        let now = self.clock.now();
        let mut claims = claims(member, company, roles, now);
        // A test that moves the clock past a lead's limit is not about the token's.
        claims["exp"] = json!((now + TimeDelta::days(3650)).timestamp());
        let token = hs256(SECRET.as_bytes(), &claims);
        Person { client: self.client.with_token(Some(&token)), token, address: self.address() }
    }

    /// A caller without a token.
    pub fn nobody(&self) -> Client {
        self.client.clone()
    }

    /// A caller with any token.
    pub fn bearer_of(&self, token: &str) -> Client {
        self.client.with_token(Some(token))
    }

    /// A second server on the same database and with the same clock; it ends with the test.
    pub async fn another_server(&self) -> RunningServer {
        start_server(&self.database.url, Arc::clone(&self.clock) as Arc<dyn Clock>).await
    }

    /// Another server on the same database and with the same clock, with other settings; a setting that is `None` is
    /// left out.
    pub async fn another_server_with(&self, settings: &[(&str, Option<&str>)]) -> RunningServer {
        start_server_with(&self.database.url, Arc::clone(&self.clock) as Arc<dyn Clock>, settings).await
    }

    /// Ends the server and starts it again, on another port. Who was made before has to be made again.
    pub async fn restart(self) -> Self {
        let Self { database, clock, server, .. } = self;
        server.shutdown().await;
        let server = start_server(&database.url, Arc::clone(&clock) as Arc<dyn Clock>).await;
        let client = Client::new(server.addr, None);
        Self { database, clock, server, client }
    }

    /// Makes two companies partners, and says the partnership's id.
    pub async fn partnership(&self, vendor: &str, partner: &str) -> String {
        const INVITE: &str =
            "mutation($input: InvitePartnerInput!) { invitePartner(input: $input) { partnership { id } } }";
        const ACCEPT: &str =
            "mutation($input: AcceptPartnershipInput!) { acceptPartnership(input: $input) { partnership { state } } }";
        let input = json!({ "input": { "companySlug": partner, "role": "VENDOR" } });
        let invited = self.as_(vendor, "ADMIN").query(INVITE, input).await.ok();
        let id = invited.text_at("/invitePartner/partnership/id").to_owned();
        let input = json!({ "input": { "partnershipId": id } });
        let accepted = self.as_(partner, "ADMIN").query(ACCEPT, input).await.ok();
        assert_eq!(accepted.text_at("/acceptPartnership/partnership/state"), "ACTIVE");
        id
    }

    /// Shares a new lead in a partnership, as SALES of the company, and says its id.
    pub async fn shared_lead(&self, company: &str, partnership: &str, title: &str) -> String {
        const CREATE: &str = "mutation($input: CreateLeadInput!) { createLead(input: $input) { lead { id } } }";
        let input = json!({ "input": {
            "title": title, "customer": { "company": "Initrode" }, "partnershipId": partnership
        } });
        let created = self.as_(company, "SALES").query(CREATE, input).await.ok();
        created.text_at("/createLead/lead/id").to_owned()
    }
}

/// Who calls: a client with a token.
pub struct Person {
    /// Its bearer token.
    pub token: String,
    client: Client,
    address: SocketAddr,
}

impl Deref for Person {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Person {
    /// The same person at another server.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { token: self.token.clone(), client: Client::new(address, Some(&self.token)), address }
    }

    /// A websocket as this person, past its `connection_ack`.
    pub async fn socket(&self) -> Socket {
        Socket::connect(self.address, &self.token).await
    }

    /// Where this person's server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The member's id in the API.
    pub async fn id(&self) -> String {
        self.query("{ viewer { id } }", json!({})).await.ok().text_at("/viewer/id").to_owned()
    }
}

/// The one place that knows how a server is configured and started.
async fn start_server(database_url: &str, clock: Arc<dyn Clock>) -> RunningServer {
    start_server_with(database_url, clock, &[]).await
}

async fn start_server_with(
    database_url: &str,
    clock: Arc<dyn Clock>,
    settings: &[(&str, Option<&str>)],
) -> RunningServer {
    let variables = [
        ("COSELL_DATABASE_URL", database_url),
        ("COSELL_LISTEN", "127.0.0.1:0"),
        ("COSELL_JWT_SECRET", SECRET),
        ("COSELL_JWT_ISSUER", ISSUER),
        ("COSELL_JWT_AUDIENCE", AUDIENCE),
        ("COSELL_DATABASE_MAX_CONNECTIONS", "6"),
    ];
    let kept = variables.into_iter().filter(|(name, _)| settings.iter().all(|(other, _)| other != name));
    let changed = settings.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    let variables = kept.chain(changed).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = config::load(None, variables).expect("a configuration without faults");
    server::start(config, clock).await.expect("the server starts")
}
