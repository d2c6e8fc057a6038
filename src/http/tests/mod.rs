//! The router over a real listener, with a schema made for the tests.

mod limits;
mod over_http;
mod over_websocket;
mod pages;
pub(in crate::http) mod toy;
mod trusted;
