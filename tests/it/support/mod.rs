//! What the tests stand on: databases, a server, clients, keys.
//!
//! A test says what it starts from by its argument's type, under [`on_both_databases`](crate::on_both_databases):
//! `database::Database` is an empty database, `world::World` a running server with companies and people.
#![allow(dead_code, reason = "a toolbox: a helper may stand here before the behaviour that uses it")]

pub mod browser;
pub mod cli;
pub mod database;
pub mod http;
pub mod keys;
pub mod leads;
pub mod nats;
pub mod node;
pub mod postgres;
pub mod proxy;
pub mod rows;
pub mod sqlite;
pub mod sse;
pub mod world;
pub mod ws;
pub mod ws_audit;

/// What the API answers to a query for its schema alone, however large.
pub fn introspect(query: &str) -> serde_json::Value {
    let most = usize::MAX / 4;
    let limits = cosell::operation::Limits {
        tokens: most,
        fields: most,
        directives: most,
        aliases: most,
        root_fields: most,
        depth: most,
        cost: most,
    };
    let compiler = cosell::graphql::compiler(limits, true).expect("the schema is read");
    let document = compiler.document(query).expect("a valid query");
    let (operation, _) = compiler.operation(&document, None, &serde_json::Map::new()).expect("one operation");
    assert!(!operation.executes(), "more is asked for than the schema");
    let answer = operation.settle_nothing();
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    answer.data.into_json().expect("JSON")
}
