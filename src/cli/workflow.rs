//! `cosell workflow`: definitions in files, without a server.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::{Failure, Outcome, count, say};
use crate::domain::workflow::{
    builtin,
    definition::Definition,
    diagram::mermaid,
    read::{MAX_BYTES, read_text},
    schema::json_schema,
};

/// Check, draw and describe workflow definitions
#[derive(Debug, Args)]
pub(super) struct Workflow {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Name every fault of a definition, each with its place as a JSON pointer
    #[command(after_long_help = "Examples:\n  \
        cosell workflow check deal-registration.json\n  \
        cosell workflow check - < deal-registration.json\n\n\
        Ends with 0 when the definition is sound, and with 1 when it is not.")]
    Check {
        /// A definition, a JSON file; - for standard input
        file: PathBuf,
    },
    /// Print a definition as a diagram in Mermaid's language
    #[command(after_long_help = "Examples:\n  \
        cosell workflow diagram partner-lead\n  \
        cosell workflow diagram ./deal-registration.json > deal-registration.mmd")]
    Diagram {
        /// The key of a shipped workflow (partner-lead, submitted-lead, internal-lead, opportunity), or a JSON file;
        /// - for standard input
        #[arg(value_name = "KEY|FILE")]
        workflow: PathBuf,
    },
    /// Print the JSON Schema of definitions
    #[command(after_long_help = "Example:\n  cosell workflow schema --output workflow.schema.json")]
    Schema {
        /// Write the schema into this file
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub(super) fn run(workflow: &Workflow) -> Outcome {
    match &workflow.command {
        Command::Check { file } => {
            let definition = definition(file)?;
            say(format_args!(
                "{} is sound: {} version {}, {}, {}.",
                name(file),
                definition.key,
                definition.version,
                count(definition.stages.len(), "stage", "stages"),
                count(definition.actions.len(), "action", "actions"),
            ))
        }
        Command::Diagram { workflow } => {
            let shipped = builtin::current().find(|shipped| Path::new(&shipped.key) == workflow);
            let drawing = match shipped {
                Some(shipped) => mermaid(shipped),
                None => mermaid(&definition(workflow)?),
            };
            say(drawing.trim_end())
        }
        Command::Schema { output } => {
            let schema = format!("{:#}\n", json_schema());
            match output {
                Some(file) => std::fs::write(file, schema)
                    .map_err(|error| Failure::new(format!("{} can't be written: {error}.", file.display()))),
                None => say(schema.trim_end()),
            }
        }
    }
}

/// The definition of a file, or all that is wrong with it.
fn definition(file: &Path) -> Result<Definition, Failure> {
    let unreadable = |error| Failure::new(format!("{} can't be read: {error}.", name(file)));
    let mut text = String::new();
    let source: Box<dyn Read> = if is_standard_input(file) {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(unreadable)?)
    };
    // With blanks and line ends a definition may be longer than without; but not without end.
    let most = 4 * MAX_BYTES;
    source.take(most as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() > most {
        return Err(Failure::new(format!("{} is longer than {most} bytes.", name(file))));
    }
    read_text(&text).map_err(|faults| {
        let list: Vec<_> =
            faults.into_iter().map(|fault| format!("{}: {}", place(&fault.pointer), fault.message)).collect();
        Failure {
            list: list.clone(),
            ..Failure::new(format!("{} has {}:", name(file), count(list.len(), "fault", "faults")))
        }
    })
}

/// The pointer, or a word for the whole document, whose pointer is empty.
fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "the definition" } else { pointer }
}

fn is_standard_input(file: &Path) -> bool {
    file == Path::new("-")
}

fn name(file: &Path) -> String {
    if is_standard_input(file) { "Standard input".to_owned() } else { file.display().to_string() }
}
