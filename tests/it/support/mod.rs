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
