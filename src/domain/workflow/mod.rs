//! Workflows as data, and the one function that decides on them.

pub mod definition;
