//! The router over a real listener, with a schema made for the tests.

mod over_http;
mod over_websocket;
mod toy;
