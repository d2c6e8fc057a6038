//! `cosell schema`.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, Outcome, say};

/// Print the API's schema in GraphQL's schema definition language
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    cosell schema --output schema.graphql\n  \
    cosell schema --check schema.graphql")]
pub(super) struct Schema {
    /// Fail when this file is not the schema, and print nothing
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    check: Option<PathBuf>,
    /// Write the schema into this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The schema as the code has it.
fn sdl() -> String {
    crate::graphql::sdl()
}

pub(super) fn run(schema: &Schema) -> Outcome {
    let sdl = format!("{}\n", sdl().trim_end());
    if let Some(file) = &schema.check {
        let name = file.display();
        let found = std::fs::read_to_string(file)
            .map_err(|error| Failure::new(format!("{name} can't be read: {error}. {}", renew(file))))?;
        // A checkout may have changed the line ends.
        if found.replace("\r\n", "\n") == sdl {
            return Ok(());
        }
        return Err(Failure::new(format!("{name} is not the schema that the code has. {}", renew(file))));
    }
    match &schema.output {
        Some(file) => std::fs::write(file, sdl)
            .map_err(|error| Failure::new(format!("{} can't be written: {error}.", file.display()))),
        None => say(sdl.trim_end()),
    }
}

fn renew(file: &std::path::Path) -> String {
    format!("Renew it with `cargo run -- schema --output {}`.", file.display())
}
