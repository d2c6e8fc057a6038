//! A toy schema and a server around it.
#![allow(clippy::unused_async, clippy::used_underscore_binding, reason = "the library's macros want it so")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_graphql::{Context, Enum, ErrorExtensions, InputObject, Object, Schema, Subscription, ValidationMode, Value};
use async_trait::async_trait;
use chrono::TimeDelta;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::clock::{ManualClock, SystemClock};
use crate::config::{Config, KeySource, Secret, load};
use crate::domain::actor::{Member, Role};
use crate::domain::clock::Clock;
use crate::domain::id::{CompanyId, MemberId};
use crate::error::{Error, ErrorCode};
use crate::http::auth::tests::SECRET;
use crate::http::{
    App, Authenticator, Connections, Documents, Health, Identity, NewToken, Observer, Rates, Ready, SignIn, Sockets,
    Viewer, mint, router, serve,
};
use crate::operation::{Compiler, Limits, Traits};

pub(super) struct Query;

#[derive(InputObject)]
struct Pair {
    left: i32,
    right: i32,
}

/// A scalar that refuses most of what its type lets through.
struct Key(i32);

#[async_graphql::Scalar]
impl async_graphql::ScalarType for Key {
    fn parse(value: async_graphql::Value) -> async_graphql::InputValueResult<Self> {
        match value {
            async_graphql::Value::String(text) => Ok(Self(text.parse()?)),
            other => Err(async_graphql::InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> async_graphql::Value {
        self.0.to_string().into()
    }
}

fn fall() -> i32 {
    panic!("the password is hush")
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Red,
}

#[derive(async_graphql::SimpleObject)]
#[graphql(complex)]
struct Node {
    name: &'static str,
}

#[async_graphql::ComplexObject]
impl Node {
    async fn next(&self) -> Node {
        Node { name: "next" }
    }
}

#[Object]
impl Query {
    async fn hello(&self, ctx: &Context<'_>) -> async_graphql::Result<String> {
        match ctx.data::<Viewer>()? {
            Viewer::Anonymous => Ok("nobody".to_owned()),
            Viewer::Member(member) => Ok(format!("{:?}", member.roles)),
        }
    }

    async fn sum(&self, pair: Pair, _colour: Option<Colour>, id: Option<Key>) -> i32 {
        pair.left + pair.right + id.map_or(0, |key| key.0)
    }

    async fn node(&self) -> Node {
        Node { name: "root" }
    }

    async fn refused(&self) -> async_graphql::Result<Option<i32>> {
        Err(async_graphql::Error::new("no").extend_with(|_, it| it.set("code", "FORBIDDEN")))
    }

    async fn broken(&self) -> async_graphql::Result<Option<i32>> {
        Err(async_graphql::Error::new("the password is hush"))
    }

    async fn must(&self) -> async_graphql::Result<i32> {
        Err(async_graphql::Error::new("no").extend_with(|_, it| it.set("code", "NOT_FOUND")))
    }

    async fn panics(&self) -> i32 {
        fall()
    }

    async fn slow(&self) -> i32 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        1
    }
}

pub(super) struct Mutation;

#[Object]
impl Mutation {
    async fn hit(&self, ctx: &Context<'_>) -> usize {
        ctx.data_unchecked::<Arc<AtomicUsize>>().fetch_add(1, Ordering::SeqCst) + 1
    }
}

pub(super) struct Feed;

/// Counts the open streams of `ever`.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// As every resolver of a subscription does once its start is fixed.
fn started(ctx: &Context<'_>) {
    if let Some(course) = ctx.data_opt::<Arc<crate::feed::Course>>() {
        course.deal(0);
    }
}

#[Subscription]
impl Feed {
    async fn count(&self, ctx: &Context<'_>, to: i32) -> impl Stream<Item = i32> {
        started(ctx);
        stream::iter(1..=to)
    }

    async fn ever(&self, ctx: &Context<'_>) -> impl Stream<Item = i32> {
        started(ctx);
        let open = ctx.data_unchecked::<Arc<AtomicUsize>>().clone();
        open.fetch_add(1, Ordering::SeqCst);
        let open = Open(open);
        stream::once(async { 1 }).chain(stream::pending()).map(move |it| {
            let _ = &open;
            it
        })
    }

    async fn closed(&self) -> async_graphql::Result<stream::Empty<i32>> {
        Err(async_graphql::Error::new("no").extend_with(|_, it| it.set("code", "FORBIDDEN")))
    }

    async fn panics(&self) -> impl Stream<Item = i32> {
        stream::once(async { 1 }).chain(stream::once(async { fall() }))
    }

    /// Much, without an end.
    async fn flood(&self, ctx: &Context<'_>) -> impl Stream<Item = String> {
        started(ctx);
        stream::repeat_with(|| "x".repeat(16 * 1024))
    }
}

type Toy = Schema<Query, Mutation, Feed>;

/// The compiler of a schema, with the configured limits but a low one on cost.
pub(in crate::http) fn compiler(sdl: &str, config: &Config) -> Compiler {
    let scalar = |_: &str, value: &Value| match value {
        Value::String(text) if text.parse::<i32>().is_ok() => Ok(()),
        _ => Err("must be a number in a string".to_owned()),
    };
    let limits = &config.limits;
    let limits = Limits {
        tokens: limits.max_tokens,
        fields: limits.max_fields,
        directives: limits.max_directives,
        aliases: limits.max_aliases,
        root_fields: limits.max_root_fields,
        depth: limits.max_depth,
        cost: 200,
    };
    Compiler::new(sdl, Traits { costs: &[], scalar, personal: &[], public: config.http.introspection }, limits).unwrap()
}

struct Book;

#[async_trait]
impl SignIn for Book {
    async fn sign_in(&self, identity: Identity) -> Result<Member, Error> {
        match identity.company_slug.as_str() {
            "acme" => Ok(Member { id: MemberId(Uuid::nil()), company: CompanyId(Uuid::nil()), roles: identity.roles }),
            "broken" => Err(Error::internal("the password is hush")),
            _ => Err(Error::new(ErrorCode::Unauthenticated, "There is no such company.")),
        }
    }
}

/// A running server.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Mutations run, and subscriptions to `ever` that are open.
    pub(super) hits: Arc<AtomicUsize>,
    pub(super) config: Config,
    pub(super) sockets: Sockets,
    pub(super) done: tokio::task::JoinHandle<std::io::Result<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::with(|_| {}, Arc::new(SystemClock)).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Config), clock: Arc<dyn Clock>) -> Self {
        let mut config = load(None, []).unwrap();
        config.jwt.key = Some(KeySource::Secret(Secret::new(SECRET)));
        change(&mut config);
        let hits = Arc::new(AtomicUsize::new(0));
        let schema: Toy =
            Schema::build(Query, Mutation, Feed).validation_mode(ValidationMode::Fast).data(hits.clone()).finish();
        let compiler = Arc::new(compiler(&schema.sdl(), &config));
        let sockets = Sockets::new();
        let app = App {
            schema,
            live: None,
            documents: Documents::new(&config, compiler).unwrap(),
            rates: Rates::new(&config),
            auth: Arc::new(Authenticator::new(&config, clock.clone()).unwrap()),
            sign_in: Arc::new(Book),
            config: Arc::new(config.clone()),
            observer: Arc::new(Observer::new(clock.clone())),
            clock,
            prepare: Arc::new(|viewer, request| request.data(viewer.clone())),
            ready: Ready::new(|| async { Health(vec![]) }.boxed()),
            sockets: sockets.clone(),
            people: vec![],
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(serve(listener, router(app), Connections::new(&config), sockets.clone(), async {
            let _ = stopped.await;
        }));
        Self { address, hits, config, sockets, done, stop: Some(stop) }
    }

    pub(super) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    /// A token for a SALES member of that company, for an hour of this clock.
    pub(super) fn token(&self, company: &str, clock: &dyn Clock) -> String {
        let now = clock.now();
        let token = NewToken {
            company,
            subject: "ada",
            roles: &[Role::Sales],
            name: None,
            email: None,
            issued_at: now,
            expires_at: now + TimeDelta::hours(1),
        };
        mint(&self.config.jwt, &token).unwrap()
    }
}

pub(super) fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap()))
}
