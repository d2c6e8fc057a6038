//! The database schema of cosell, as migrations with explicit DDL.
