//! The behaviour of cosell, over its real API: one binary, one file a behaviour.
//!
//! A behaviour is a sentence and a function under [`on_both_databases`]; what it needs is in `support`.

mod support;

mod activity;
mod agreed;
mod architecture;
mod attacks;
mod audit;
mod backup;
mod board;
mod bus;
mod catch_up;
mod cli_check_config;
mod cli_company;
mod cli_import;
mod cli_server;
mod cli_token;
mod cli_workflow;
mod clients;
mod compare;
mod contention;
mod docs;
mod duplicates;
mod erasure;
mod event_streams;
mod http_protocol;
mod identity;
mod ids;
mod input;
mod internal_lead;
mod internal_to_shared;
mod limits;
mod lists;
mod live;
mod live_feed;
mod marketing_lists;
mod matrix;
mod operation;
mod opportunity;
mod packaging;
mod playground;
mod races;
mod refusals;
mod repetition;
mod schema;
mod several_servers;
mod signals;
mod single_stream;
mod specification;
mod stock;
mod story;
mod submitted_lead;
mod toolbox;
mod walk;
mod workflows;
