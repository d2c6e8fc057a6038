//! The tables of cosell, as sea-orm entities: one table a file, no logic.
