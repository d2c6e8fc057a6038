//! A schema of the page's shape, over as many leads as a request says.
#![allow(clippy::unused_async, reason = "the library's macros want it so")]

use async_graphql::{Context, EmptyMutation, EmptySubscription, ID, Object, Schema, SimpleObject, ValidationMode};

/// How many leads there are.
pub(crate) struct Leads(pub(crate) i32);

pub(crate) struct Query;

#[derive(SimpleObject)]
#[graphql(serial)]
struct Connection {
    edges: Vec<Edge>,
    page_info: PageInfo,
}

#[derive(SimpleObject)]
#[graphql(serial)]
struct Edge {
    node: Lead,
}

#[derive(SimpleObject)]
#[graphql(serial)]
struct PageInfo {
    end_cursor: Option<String>,
    has_next_page: bool,
}

#[derive(SimpleObject)]
#[graphql(serial)]
struct Named {
    id: ID,
    name: String,
}

#[derive(SimpleObject)]
#[graphql(serial)]
struct Stage {
    key: String,
}

#[derive(SimpleObject)]
#[graphql(serial)]
struct Contact {
    email: String,
}

#[derive(SimpleObject)]
#[graphql(serial)]
struct Address {
    city: String,
}

#[derive(SimpleObject)]
#[graphql(serial)]
struct Customer {
    company: String,
    contact: Contact,
    address: Address,
}

#[derive(SimpleObject)]
#[graphql(serial)]
struct Comments {
    edges: Vec<CommentEdge>,
}

#[derive(SimpleObject)]
#[graphql(serial)]
struct CommentEdge {
    node: Comment,
}

#[derive(SimpleObject)]
#[graphql(serial)]
struct Comment {
    id: ID,
    body: String,
    created_at: String,
    author: Named,
}

struct Lead(i32);

fn named(name: &str) -> Named {
    Named { id: ID::from(name), name: name.to_owned() }
}

#[Object(serial)]
impl Lead {
    async fn id(&self) -> ID {
        self.0.into()
    }

    async fn title(&self) -> String {
        format!("Lead {}", self.0)
    }

    async fn stage(&self) -> Stage {
        Stage { key: "pending".to_owned() }
    }

    async fn customer(&self) -> Customer {
        Customer {
            company: "Initech".to_owned(),
            contact: Contact { email: "a@example.com".to_owned() },
            address: Address { city: "Bonn".to_owned() },
        }
    }

    async fn created_at(&self) -> String {
        "2026-11-21T22:10:00.000Z".to_owned()
    }

    async fn updated_at(&self) -> String {
        "2026-11-21T22:10:00.000Z".to_owned()
    }

    async fn expires_at(&self) -> Option<String> {
        None
    }

    async fn version(&self) -> i32 {
        1
    }

    async fn receiver(&self) -> Named {
        named("Globex")
    }

    async fn comments(&self, last: Option<i32>) -> Comments {
        let comment = |_| {
            let node = Comment {
                id: ID::from("1"),
                body: "Called.".to_owned(),
                created_at: String::new(),
                author: named("Ann"),
            };
            CommentEdge { node }
        };
        Comments { edges: (0..last.unwrap_or(20)).map(comment).collect() }
    }

    async fn open_task_count(&self) -> i32 {
        2
    }
}

#[Object(serial)]
impl Query {
    async fn leads(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Connection {
        let leads = ctx.data_unchecked::<Leads>().0.min(first.unwrap_or(20));
        let edges = (0..leads).map(|lead| Edge { node: Lead(lead) }).collect();
        Connection { edges, page_info: PageInfo { end_cursor: after, has_next_page: false } }
    }
}

pub(crate) fn schema(mode: ValidationMode) -> Schema<Query, EmptyMutation, EmptySubscription> {
    Schema::build(Query, EmptyMutation, EmptySubscription).validation_mode(mode).finish()
}
