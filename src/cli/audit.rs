//! `cosell audit`: the audit trail, exported and checked.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Failure, Outcome, company::slug, connect, count, refuse_outdated, say, service, system_clock};
use crate::{
    config::Config,
    domain::{
        audit::{Finding, Head, Record, Summary, Verifier, Watch},
        global_id::{self, NodeType},
        id::{CompanyId, LeadId},
    },
    service::Service,
};

/// Export and check the audit trail: every event chained to the one before it
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a company's records, one a line, in the order of its log
    #[command(after_long_help = "Examples:\n  \
        cosell audit export --company acme --output acme.jsonl\n  \
        cosell audit export --company acme --lead L-1042 | cosell audit verify -")]
    Export(Export),
    /// Check exported records, or the records in the database
    ///
    /// Each file is checked by itself; it needs no database and no configuration. It holds records as `cosell audit
    /// export` and the API's `auditTrail` give them, one a line or as a JSON array, of one history or of many.
    ///
    /// A copy that was cut off at its end, or rewritten from some entry on, is consistent in itself: note sequence and
    /// hash of the last entry from time to time, and give them with --head. It is enough that one of the files, or one of
    /// the companies, has that entry.
    #[command(after_long_help = "Examples:\n  \
        cosell audit verify acme.jsonl\n  \
        cosell audit verify --head 12:5f2c... lead.jsonl\n  \
        cosell audit verify --database --company acme\n\n\
        Ends with 0 when all is sound, with 1 when something is wrong, each fault on a line of standard error, and \
        with 2 when it could not be checked.")]
    Verify(Verify),
    /// Compare two companies' records of what both know
    #[command(after_long_help = "Example:\n  cosell audit compare acme.jsonl globex.jsonl\n\n\
        Ends with 0 when the records of each event that is in both files agree, and with 1 when not. How many events \
        are in one file only is said, and is no fault: each company has events that the other does not know of.")]
    Compare {
        /// One company's records
        mine: PathBuf,
        /// The other company's records
        theirs: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Export {
    /// Whose records, by the company's slug
    #[arg(long, value_name = "SLUG", value_parser = slug)]
    company: String,
    /// Of this lead alone, by its number or its id as the API gives it
    #[arg(long, value_name = "LEAD", allow_hyphen_values = true)]
    lead: Option<String>,
    /// Write into this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Verify {
    /// Files of records; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "database", conflicts_with = "database")]
    files: Vec<PathBuf>,
    /// An entry that was noted, [LEAD/]SEQUENCE:HASH; may be given many times
    #[arg(long, value_name = "HEAD")]
    head: Vec<Head>,
    /// Check what the database holds: all companies, or one
    #[arg(long)]
    database: bool,
    /// Of this company alone, by its slug
    #[arg(long, value_name = "SLUG", value_parser = slug, requires = "database")]
    company: Option<String>,
    /// Of this lead alone, by its number or its id as the API gives it
    #[arg(long, value_name = "LEAD", allow_hyphen_values = true, requires = "company")]
    lead: Option<String>,
}

impl Audit {
    /// Whether it needs no database, and so no configuration.
    pub(super) fn is_offline(&self) -> bool {
        match &self.command {
            Command::Export(_) => false,
            Command::Verify(verify) => !verify.database,
            Command::Compare { .. } => true,
        }
    }
}

pub(super) fn run_offline(audit: &Audit) -> Outcome {
    match &audit.command {
        Command::Compare { mine, theirs } => compare(mine, theirs),
        Command::Verify(verify) => files(verify),
        Command::Export(_) => Err(Failure::usage("An export needs a database.")),
    }
}

pub(super) async fn run(audit: &Audit, config: Config) -> Outcome {
    let db = connect(&config).await.map_err(unchecked)?;
    refuse_outdated(&db, &config).await.map_err(unchecked)?;
    let service = service(db, system_clock()).await?;
    let outcome = match &audit.command {
        Command::Export(asked) => export(&service, asked).await,
        Command::Verify(asked) => database(&service, asked).await,
        Command::Compare { .. } => Err(Failure::usage("A comparison needs two files.")),
    };
    service.db().clone().close().await;
    outcome
}

/// 1 means that something is wrong with the records, so what keeps from checking them is 2.
fn unchecked(failure: Failure) -> Failure {
    Failure { code: 2, ..failure }
}

async fn company_of(service: &Service, slug: &str) -> Result<CompanyId, Failure> {
    let found = service.company_by_slug(slug).await.map_err(|error| unchecked(error.into()))?;
    found.map(|company| company.id).ok_or_else(|| {
        Failure::usage(format!("There is no company {slug}; `cosell company list` shows those that there are."))
    })
}

async fn lead_of(service: &Service, company: CompanyId, lead: Option<&str>) -> Result<Option<LeadId>, Failure> {
    let Some(text) = lead else { return Ok(None) };
    if let Ok(id) = global_id::expect(text, NodeType::Lead) {
        return Ok(Some(LeadId(id)));
    }
    let found = service.lead_by_number(company, text).await.map_err(|error| unchecked(error.into()))?;
    let missing = || Failure::usage(format!("The company has no lead {text}; its number or its id is needed."));
    found.map(Some).ok_or_else(missing)
}

async fn export(service: &Service, asked: &Export) -> Outcome {
    let company = company_of(service, &asked.company).await?;
    let lead = lead_of(service, company, asked.lead.as_deref()).await?;
    let name = asked.output.as_ref().map_or_else(|| "Standard output".to_owned(), |file| file.display().to_string());
    let unwritable = |error| Failure::new(format!("{name} can't be written: {error}."));
    let sink: Box<dyn Write + Send> = match &asked.output {
        Some(file) => Box::new(File::create(file).map_err(unwritable)?),
        None => Box::new(std::io::stdout()),
    };
    let mut sink = BufWriter::new(sink);
    let mut above = 0;
    loop {
        let kept = service.audit_records(company, lead, above).await?;
        let Some(last) = kept.last() else { break };
        above = last.position;
        for kept in &kept {
            let line = serde_json::to_string(&kept.record).map_err(crate::error::Error::internal)?;
            writeln!(sink, "{line}").map_err(unwritable)?;
        }
    }
    sink.flush().map_err(unwritable)
}

async fn database(service: &Service, asked: &Verify) -> Outcome {
    let companies = match &asked.company {
        Some(slug) => vec![(company_of(service, slug).await?, slug.clone())],
        None => service.audited_companies().await.map_err(|error| unchecked(error.into()))?,
    };
    let (mut all, mut watch) = (Vec::new(), Watch::new(&asked.head));
    for (company, slug) in companies {
        let lead = lead_of(service, company, asked.lead.as_deref()).await?;
        let checked = service.verify_audit(company, lead, &mut watch).await;
        let (findings, summaries) = checked.map_err(|error| unchecked(error.into()))?;
        all.extend(tell(&slug, 0, findings, &summaries, asked.lead.is_some())?);
    }
    all.extend(watch.finish().iter().map(ToString::to_string));
    outcome(all)
}

fn files(asked: &Verify) -> Outcome {
    let (mut all, mut watch) = (Vec::new(), Watch::new(&asked.head));
    for file in &asked.files {
        let mut verifier = Verifier::default();
        let mut list = Vec::new();
        read(file, |place, record| match record {
            Ok(record) => {
                watch.see(&record);
                verifier.push(&record);
            }
            Err(why) => list.push(format!("{}, {place}: can't be read as a record: {why}", name(file))),
        })?;
        let (findings, summaries) = verifier.finish();
        if summaries.is_empty() && list.is_empty() {
            list.push(format!("{}: holds no record", name(file)));
        }
        let unread = list.len();
        all.extend(list);
        all.extend(tell(&name(file), unread, findings, &summaries, true)?);
    }
    all.extend(watch.finish().iter().map(ToString::to_string));
    outcome(all)
}

/// Says what was checked beside the lines that can't be read, and returns what is wrong.
fn tell(
    of: &str,
    unread: usize,
    findings: Vec<Finding>,
    summaries: &[Summary],
    heads: bool,
) -> Result<Vec<String>, Failure> {
    let records: u64 = summaries.iter().map(|summary| summary.records).sum();
    let histories = count(summaries.len(), "history", "histories");
    let faults = unread + findings.len();
    let verdict = if faults == 0 { "sound".to_owned() } else { count(faults, "fault", "faults") };
    let records = count(usize::try_from(records).unwrap_or(usize::MAX), "record", "records");
    say(format_args!("{of}: {records} in {histories}: {verdict}."))?;
    if heads {
        for summary in summaries.iter().filter(|summary| summary.sequence > 0) {
            let lead = summary.history.lead.as_ref().map(|lead| format!("{lead}/")).unwrap_or_default();
            say(format_args!("{}, head {lead}{}:{}", summary.history, summary.sequence, summary.hash))?;
        }
    }
    Ok(findings.into_iter().map(|finding| format!("{of}: {finding}")).collect())
}

fn outcome(list: Vec<String>) -> Outcome {
    if list.is_empty() {
        return Ok(());
    }
    let faults = count(list.len(), "fault", "faults");
    Err(Failure { list, ..Failure::new(format!("The audit trail has {faults}:")) })
}

/// Hands on each record of a file with its place, or why it is none.
fn read(file: &Path, mut each: impl FnMut(String, Result<Record, String>)) -> Outcome {
    let unreadable = |error| Failure::usage(format!("{} can't be read: {error}.", name(file)));
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).map_err(unreadable)?)
    };
    let mut source = BufReader::new(source);
    let blanks = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    loop {
        let bytes = source.fill_buf().map_err(unreadable)?;
        let (skipped, ended) = (blanks(bytes), bytes.is_empty());
        if ended || skipped < bytes.len() {
            source.consume(skipped);
            break;
        }
        source.consume(skipped);
    }
    if source.fill_buf().map_err(unreadable)?.first() == Some(&b'[') {
        let array: Result<Vec<Value>, _> = serde_json::from_reader(source);
        match array {
            Ok(array) => {
                for (place, value) in array.into_iter().enumerate() {
                    let record = serde_json::from_value(value).map_err(|error| error.to_string());
                    each(format!("element {}", place + 1), record);
                }
            }
            Err(error) => each("the array".to_owned(), Err(error.to_string())),
        }
        return Ok(());
    }
    let (mut line, mut number) = (Vec::new(), 0_u64);
    while source.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
        number += 1;
        if !line.trim_ascii().is_empty() {
            each(format!("line {number}"), serde_json::from_slice(&line).map_err(|error| error.to_string()));
        }
        line.clear();
    }
    Ok(())
}

/// What two companies' records of one event have in common.
fn shared(record: &Record) -> [Option<String>; 6] {
    [
        record.lead.clone(),
        Some(record.at.clone()),
        record.actor.clone(),
        record.subject.clone(),
        Some(record.kind.clone()),
        Some(record.content_hash.to_string()),
    ]
}

const SHARED: [&str; 6] = ["lead", "at", "actor", "subject", "kind", "contentHash"];

fn compare(mine: &Path, theirs: &Path) -> Outcome {
    let mut list = Vec::new();
    let mut known = HashMap::new();
    read(theirs, |place, record| match record {
        Ok(record) => drop(known.insert(record.id.clone(), shared(&record))),
        Err(why) => list.push(format!("{}, {place}: can't be read as a record: {why}", name(theirs))),
    })?;
    let (mut both, mut ours_alone) = (HashSet::new(), 0_usize);
    read(mine, |place, record| match record {
        Ok(record) => {
            let Some(theirs) = known.get(&record.id) else {
                ours_alone += 1;
                return;
            };
            both.insert(record.id.clone());
            let pairs = shared(&record).into_iter().zip(theirs).zip(SHARED);
            let differing: Vec<_> =
                pairs.filter(|((mine, theirs), _)| mine != *theirs).map(|(_, field)| field).collect();
            if !differing.is_empty() {
                let lead =
                    record.lead.as_deref().map_or_else(|| "its own events".to_owned(), |lead| format!("lead {lead}"));
                list.push(format!(
                    "{lead}, entry {} (event {}): differs in {}",
                    record.sequence,
                    record.id,
                    differing.join(", ")
                ));
            }
        }
        Err(why) => list.push(format!("{}, {place}: can't be read as a record: {why}", name(mine))),
    })?;
    let verdict = if list.is_empty() { "they agree".to_owned() } else { count(list.len(), "fault", "faults") };
    let theirs_alone = count(known.len() - both.len(), "event", "events");
    say(format_args!("{} in both files: {verdict}.", count(both.len(), "event", "events")))?;
    say(format_args!(
        "{} in {} only, {theirs_alone} in {} only.",
        count(ours_alone, "event", "events"),
        name(mine),
        name(theirs)
    ))?;
    outcome(list)
}

fn name(file: &Path) -> String {
    if file == Path::new("-") { "Standard input".to_owned() } else { file.display().to_string() }
}
