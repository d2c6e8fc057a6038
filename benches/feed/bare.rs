//! The same subscription by the library alone: async-graphql's own websocket over a channel in memory for each lead.
//! Nothing is stored, nobody is asked who they are, and nothing can be resumed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::{
    Context, ID, InputObject, InputValueError, InputValueResult, Object, Scalar, ScalarType, Schema, SimpleObject,
    Subscription, Value,
};
use async_graphql_axum::{GraphQL, GraphQLSubscription};
use axum::Router;
use axum::routing::post_service;
use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use super::process::until_left_alone;

/// How many comments a subscriber may be behind.
const BEHIND: usize = 1024;

#[derive(Clone, SimpleObject)]
struct Member {
    name: String,
}

/// As the library itself writes a time, where it is built with that.
#[derive(Clone)]
struct Time(DateTime<Utc>);

#[Scalar]
impl ScalarType for Time {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Ok(Self(text.parse()?)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339())
    }
}

#[derive(Clone, SimpleObject)]
struct Comment {
    id: ID,
    body: String,
    created_at: Time,
    author: Member,
}

/// A channel for each lead that somebody has asked for.
#[derive(Default)]
struct Leads {
    channels: Mutex<HashMap<String, broadcast::Sender<Comment>>>,
    comments: AtomicU64,
}

impl Leads {
    fn channel(&self, lead: &ID) -> broadcast::Sender<Comment> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.entry(lead.to_string()).or_insert_with(|| broadcast::channel(BEHIND).0).clone()
    }
}

struct Query;

#[Object]
impl Query {
    async fn comments(&self, ctx: &Context<'_>) -> u64 {
        ctx.data_unchecked::<Arc<Leads>>().comments.load(Ordering::Relaxed)
    }
}

#[derive(InputObject)]
struct AddCommentInput {
    lead_id: ID,
    body: String,
}

#[derive(SimpleObject)]
struct AddCommentPayload {
    comment: Comment,
}

struct Mutation;

#[Object]
impl Mutation {
    async fn add_comment(&self, ctx: &Context<'_>, input: AddCommentInput) -> AddCommentPayload {
        let leads = ctx.data_unchecked::<Arc<Leads>>();
        let number = leads.comments.fetch_add(1, Ordering::Relaxed);
        let comment = Comment {
            // As long as the ids of the product.
            id: ID(format!("{number:032}")),
            body: input.body,
            created_at: Time(Utc::now()),
            author: Member { name: "member-17 of acme".to_owned() },
        };
        // An error only says that nobody listens.
        let _ = leads.channel(&input.lead_id).send(comment.clone());
        AddCommentPayload { comment }
    }
}

struct Live;

#[Subscription]
impl Live {
    async fn comment_added(&self, ctx: &Context<'_>, lead_id: ID) -> impl Stream<Item = Comment> + use<> {
        let comments = ctx.data_unchecked::<Arc<Leads>>().channel(&lead_id).subscribe();
        BroadcastStream::new(comments).filter_map(async |comment| comment.ok())
    }
}

/// Serves until the program that started it is gone; says its address on standard output.
pub(crate) async fn serve() {
    let leads = Arc::new(Leads::default());
    let schema = Schema::build(Query, Mutation, Live).data(leads).finish();
    let router = Router::new()
        .route("/graphql", post_service(GraphQL::new(schema.clone())))
        .route_service("/graphql/ws", GraphQLSubscription::new(schema));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("The bare server listens on http://{}", listener.local_addr().expect("its address"));
    tokio::select! {
        ended = async { axum::serve(listener, router).await } => ended.expect("it serves"),
        () = until_left_alone() => {}
    }
}
