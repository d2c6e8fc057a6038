//! Workflows as data, and the one function that decides on them.
//!
//! [`definition`] holds the types of the data, [`check`] says whether a definition is sound, [`builtin`] has those that
//! are shipped, and [`engine`] decides: what a caller may do now, and what follows when it does.
//!
//! To add an effect: a variant of [`definition::Effect`], the fields it needs in [`check`], and what it changes as a
//! [`engine::Change`], which the service then carries out. To add a field type: a variant of
//! [`definition::FieldType`] and its reading in [`form`].

pub mod builtin;
pub mod check;
pub mod definition;
pub mod engine;
pub mod form;
