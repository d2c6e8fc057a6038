//! The command line: one file a command.
//!
//! A command ends with 0 when it did what it was asked for, with 1 when it could not, and with 2 when the command line
//! or the configuration is wrong. What is wrong is said on standard error, in a sentence or a list; standard output
//! holds only what was asked for. To add a command: a file here with its arguments and a `run`, and its line in
//! [`Command`] and [`run`].

#![allow(clippy::doc_markdown, rustdoc::bare_urls, reason = "doc comments of arguments are the help's plain text")]

mod audit;
mod backup;
mod check;
mod company;
mod demo;
mod healthcheck;
mod import;
mod lock;
mod migrate;
mod schema;
mod serve;
mod token;
mod workflow;

use std::{
    fmt,
    future::Future,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{
    clock::SystemClock,
    config::{self, Config, ConfigFaults, DatabaseUrl},
    domain::{clock::Clock, id::CompanyId},
    error::Error,
    feed::{Link, Signals},
    ids::TimeOrdered,
    server::{LAST_WORDS, carrier},
    service::{Bus, Service},
    store::db::{Db, PoolSize},
};

/// A multi-tenant GraphQL server for partner lead sharing (co-selling).
#[derive(Debug, Parser)]
#[command(
    name = "cosell",
    version,
    propagate_version = true,
    subcommand_required = false,
    arg_required_else_help = true,
    after_help = "Start with `cosell demo`. Settings come from the file that --config names and from COSELL_... variables \
                  of the environment, which win."
)]
struct Cli {
    /// The configuration, a TOML file; COSELL_CONFIG names one too
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration, start nothing, and end
    ///
    /// Says all that is wrong and where it came from, or every setting as it is in force, without secrets. No network is
    /// used. `cosell serve --check-config` does the same.
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Migrate(migrate::Migrate),
    Company(company::Companies),
    Token(token::Token),
    Import(import::Import),
    Schema(schema::Schema),
    Workflow(workflow::Workflow),
    Audit(audit::Audit),
    Backup(backup::Backup),
    Healthcheck(healthcheck::Healthcheck),
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
    list: Vec<String>,
}

type Outcome = Result<(), Failure>;

impl Failure {
    /// The command could not do it.
    fn new(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into(), list: Vec::new() }
    }

    /// The command line or the configuration is wrong.
    fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, ..Self::new(message) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        self.list.iter().try_for_each(|line| write!(f, "\n  - {line}"))
    }
}

impl From<ConfigFaults> for Failure {
    fn from(faults: ConfigFaults) -> Self {
        match <[String; 1]>::try_from(faults.0) {
            Ok([fault]) => Self::usage(format!("The configuration is wrong: {fault}")),
            Err(list) => Self { list, ..Self::usage("The configuration is wrong:") },
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Faults(faults) => {
                let mut messages: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
                if messages.len() == 1 {
                    return Self::new(messages.remove(0));
                }
                Self { list: messages, ..Self::new("This can't be done:") }
            }
            Error::Internal(cause) => Self::new(format!("An unexpected fault ended the command: {cause}")),
        }
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let Some(command) = cli.command.as_ref().or(cli.check_config.then_some(CHECKED)) else {
        let _ = Cli::command().print_long_help();
        return ExitCode::from(2);
    };
    match run(&cli, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A reader that has gone away is no reason to say more.
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::from(failure.code)
        }
    }
}

/// What a check without a command is for.
const CHECKED: &Command = &Command::Serve(serve::Serve { check_config: true });

fn run(cli: &Cli, command: &Command) -> Outcome {
    let file = cli.config.as_deref();
    match command {
        Command::Serve(serve::Serve { check_config: true }) => check::run(file, true),
        command if cli.check_config => check::run(file, matches!(command, Command::Serve(_))),
        Command::Serve(_) => wait_for(serve::run(load(file)?)),
        Command::Demo(command) => wait_for(demo::run(command, file)),
        Command::Migrate(_) => wait_for(migrate::run(load(file)?)),
        Command::Company(command) => wait_for(company::run(command, load(file)?)),
        Command::Token(command) => token::run(command, &load(file)?),
        Command::Import(command) => wait_for(import::run(command, load(file)?)),
        Command::Schema(command) => schema::run(command),
        Command::Workflow(command) => workflow::run(command),
        Command::Audit(command) if command.is_offline() => audit::run_offline(command),
        Command::Audit(command) => wait_for(audit::run(command, load(file)?)),
        Command::Backup(command) => wait_for(backup::run(command, load(file)?)),
        Command::Healthcheck(command) => wait_for(healthcheck::run(command, load(file)?)),
    }
}

fn wait_for(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("The command can't be run: {error}.")))?;
    let outcome = runtime.block_on(command);
    // What still waits, such as for a name server, is not waited for.
    runtime.shutdown_background();
    outcome
}

/// The environment, as far as it is text: no setting is anything else.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn load(file: Option<&Path>) -> Result<Config, Failure> {
    Ok(config::load(file, environment())?)
}

/// Says a line on standard output.
fn say(line: impl fmt::Display) -> Outcome {
    writeln!(std::io::stdout(), "{line}").map_err(|error| Failure::new(format!("Nothing can be written: {error}.")))
}

fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Connects to the database, whatever its schema.
async fn connect(config: &Config) -> Result<Db, Failure> {
    // A command asks one thing after the other.
    let size = PoolSize { connections: 2, at_least: 1, wait: config.database.acquire_timeout, work: None };
    let opened = Db::connect(config.database.url.expose(), size).await;
    opened.map_err(|error| Failure::new(format!("The database {} can't be opened: {error}.", config.database.url)))
}

/// Connects to the database and brings its schema up to date, where that is the commands' own affair: on `SQLite`.
async fn connect_current(config: &Config) -> Result<Db, Failure> {
    let db = connect(config).await?;
    if db.is_sqlite() {
        migrate::up(&db, config).await?;
    } else {
        refuse_outdated(&db, config).await?;
    }
    Ok(db)
}

async fn refuse_outdated(db: &Db, config: &Config) -> Outcome {
    let url = &config.database.url;
    let pending = db.pending_migrations().await;
    let pending = pending.map_err(|error| Failure::new(format!("The database {url} can't be read: {error}.")))?;
    if pending.is_empty() {
        return Ok(());
    }
    Err(outdated(url, pending.len()))
}

fn outdated(url: &DatabaseUrl, missing: usize) -> Failure {
    let missing = count(missing, "migration is", "migrations are");
    Failure::new(format!("The schema of {url} is not up to date: {missing} wanting. Run `cosell migrate` first."))
}

/// The use cases, for one command that changes what others see, and the way to tell them.
struct Teller {
    service: Service,
    bus: Option<Link>,
}

impl Teller {
    /// Begins to tell over the configured bus; the servers that run hear of what the command does at once.
    async fn new(db: Db, clock: Arc<dyn Clock>, config: &Config) -> Result<Self, Failure> {
        let ids = Arc::new(TimeOrdered::new(clock.clone()));
        let signals = Arc::new(Signals::default());
        let service = Service::new(db, clock, ids, signals.clone()).await?;
        let bus = carrier(config).map(|carrier| signals.connect(carrier, &service.cursors().installation()));
        Ok(Self { service, bus })
    }

    /// Waits a short while until the bus has taken everything, and closes the database.
    async fn close(self) {
        if let Some(bus) = self.bus
            && !bus.close(LAST_WORDS).await
        {
            // What was asked for is done all the same.
            let _ = writeln!(
                std::io::stderr(),
                "note: the bus {bus:?} could not be told; servers find what is new within feed.poll_interval"
            );
        }
        self.service.db().clone().close().await;
    }
}

/// The use cases, for one command that nobody waits for. A server that runs looks for itself.
async fn service(db: Db, clock: Arc<dyn Clock>) -> Result<Service, Failure> {
    let ids = Arc::new(TimeOrdered::new(clock.clone()));
    Ok(Service::new(db, clock, ids, Arc::new(Silent)).await?)
}

#[derive(Debug)]
struct Silent;

impl Bus for Silent {
    fn moved(&self, _heads: &[(CompanyId, i64)]) {}
}

/// "1 lead", "2 leads".
fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_command_s_help_has_an_example() {
        fn check(command: &mut clap::Command) {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            let deeper: Vec<_> = command.get_subcommands_mut().filter(|it| it.get_name() != "help").collect();
            if deeper.is_empty() {
                assert!(help.contains("Example"), "{name}: {help}");
            }
            deeper.into_iter().for_each(check);
        }
        let mut command = Cli::command();
        command.clone().debug_assert();
        command.build();
        check(&mut command);
    }

    #[test]
    fn a_failure_is_a_sentence_or_a_list() {
        assert_eq!(Failure::new("It is late.").to_string(), "error: It is late.");
        let faults = ConfigFaults(vec!["a: b".to_owned(), "c: d".to_owned()]);
        assert_eq!(Failure::from(faults).to_string(), "error: The configuration is wrong:\n  - a: b\n  - c: d");
    }
}
