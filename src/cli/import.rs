//! `cosell import`.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Read},
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    Failure, Outcome, Teller, company::slug, connect, connect_current, count, refuse_outdated, say, system_clock,
};
use crate::{
    config::Config,
    domain::global_id::{self, NodeType},
    import::{self, Export, Faulty, Plan, Summary, salesforce},
    store::db::Db,
};

/// Create leads from another system's export and share them with a partner
///
/// Each record becomes a lead, in a transaction of its own, and is shared at once. A record that is here already is left
/// as it is, so that the same file can be imported again. A faulty record is reported with its place, and the others
/// go in; the exit code is then 1.
///
/// A lead's title is "Company: Title", else "Company: LeadSource". A record is known again by its Id, else by its
/// attributes.referenceId: export Ids where leads come from several files, because every file may begin again with
/// the same referenceIds.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  \
    sf data export tree --query \"SELECT Id, FirstName, LastName, Company, Email, Phone, Country FROM Lead\"\n  \
    cosell import --format salesforce --company acme --partnership A5F1... --dry-run Lead.json")]
pub(super) struct Import {
    /// What wrote the file
    #[arg(long, value_enum)]
    format: Format,
    /// Whose leads they are, by the company's slug
    #[arg(long, value_name = "SLUG", value_parser = slug)]
    company: String,
    /// The ACTIVE partnership that they are shared across, by its id as the API gives it
    #[arg(long, value_name = "ID", value_parser = partnership, allow_hyphen_values = true)]
    partnership: String,
    /// The file; `-` reads standard input
    file: String,
    /// Write nothing, and say what would happen
    #[arg(long)]
    dry_run: bool,
    /// The key of the template that they start from; the company's default when left out
    #[arg(long, value_name = "KEY")]
    template: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Salesforce's sObject tree, or the records of its query
    Salesforce,
}

pub(super) async fn run(import: &Import, config: Config) -> Outcome {
    let export = read(import)?;
    let db = if import.dry_run { untouched(&config).await? } else { connect_current(&config).await? };
    let teller = Teller::new(db, system_clock(), &config).await?;
    let service = &teller.service;
    let found = service.company_by_slug(&import.company).await?;
    let company = found.ok_or_else(|| {
        let slug = &import.company;
        Failure::new(format!("There is no company {slug}; `cosell company list` shows those that there are."))
    })?;
    let plan = Plan {
        company,
        partnership: import.partnership.clone(),
        template: import.template.clone(),
        dry_run: import.dry_run,
    };
    let Export { records, unkept } = export;
    let bar = bar(records.len());
    let summary = Box::pin(import::run(service, &plan, records, || bar.inc(1))).await;
    bar.finish_and_clear();
    teller.close().await;
    let summary = summary?;
    say(told(&summary, import.dry_run))?;
    if !unkept.is_empty() {
        let fields: Vec<_> = unkept.iter().map(|(field, n)| format!("{field} ({n})")).collect();
        say(format_args!("Not kept, with the number of records that have it: {}.", fields.join(", ")))?;
    }
    let list = summary.faulty.iter().flat_map(lines).collect::<Vec<_>>();
    match summary.stopped {
        Some(error) => {
            let why = Failure::from(error).message;
            Err(Failure { list, ..Failure::new(format!("The import ended before the file did: {why}")) })
        }
        None if list.is_empty() => Ok(()),
        None => {
            let faulty = count(summary.faulty.len(), "record is", "records are");
            Err(Failure { list, ..Failure::new(format!("{faulty} faulty and not imported:")) })
        }
    }
}

fn read(import: &Import) -> Result<Export, Failure> {
    let (name, bytes) = if import.file == "-" {
        let mut bytes = Vec::new();
        ("standard input", std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes))
    } else {
        (import.file.as_str(), std::fs::read(&import.file))
    };
    let bytes = bytes.map_err(|error| Failure::new(format!("{name} can't be read: {error}.")))?;
    let export = match import.format {
        Format::Salesforce => salesforce::read(&bytes),
    };
    export.map_err(|fault| Failure::new(format!("{name}: {fault}.")))
}

/// A dry run makes neither a file nor a table.
async fn untouched(config: &Config) -> Result<Db, Failure> {
    let url = &config.database.url;
    if let Some(file) = url.sqlite_file()
        && !file.exists()
    {
        return Err(Failure::new(format!("There is no database {url} yet.")));
    }
    let db = connect(config).await?;
    refuse_outdated(&db, config).await?;
    Ok(db)
}

/// A bar on a terminal, and nothing elsewhere.
fn bar(records: usize) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} records, {eta} left");
    ProgressBar::with_draw_target(u64::try_from(records).ok(), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn told(summary: &Summary, dry_run: bool) -> String {
    let Summary { created, present, skipped, faulty, .. } = summary;
    let mut told = if dry_run {
        format!("Dry run, nothing was written: {created} would be created")
    } else {
        format!("{created} created")
    };
    // Writing into a string does not fail.
    let _ = write!(told, ", {present} already here, {} faulty", faulty.len());
    for (why, n) in skipped {
        let _ = write!(told, ", {n} skipped ({why})");
    }
    told.push('.');
    told
}

/// A line for each thing that is wrong with a record.
fn lines(faulty: &Faulty) -> impl Iterator<Item = String> + '_ {
    let name = faulty.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    faulty.places.iter().map(move |place| {
        let pointer = if place.pointer.is_empty() { "/" } else { &place.pointer };
        format!("record {}{name}, {pointer}: {}", faulty.index, place.message)
    })
}

fn partnership(text: &str) -> Result<String, String> {
    global_id::expect(text, NodeType::Partnership).map(|_| text.to_owned())
}
