//! The `cosell` binary.

fn main() {}
