//! Workflows as data, and the one function that decides on them.
//!
//! [`definition`] holds the types of the data, [`read`] reads one from JSON, [`check`] says whether it is sound,
//! [`builtin`] has those that are shipped, and [`engine`] decides: what a caller may do now, and what follows when it
//! does. [`diagram`] draws one, and [`schema`] has the format as a JSON Schema.
//!
//! To add an effect: a variant of [`definition::Effect`] and its line in `shape`, the fields it needs in [`check`], and
//! what it changes as a [`engine::Change`], which the service then carries out. To add a field type: a variant of
//! [`definition::FieldType`] with its line in `shape`, and its reading in [`form`]. Then renew the schema:
//! `cargo run -- workflow schema --output docs/workflow.schema.json`.

pub mod builtin;
pub mod check;
pub mod definition;
pub mod diagram;
pub mod engine;
pub mod form;
pub mod read;
pub mod schema;
mod shape;
pub mod version;
