//! `cosell import`.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::{Args, ValueEnum};
use encoding_rs::Encoding;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    Failure, Outcome, Teller, company::slug, connect, connect_current, count, refuse_outdated, say, system_clock,
};
use crate::{
    config::Config,
    domain::{
        country::Country,
        global_id::{self, NodeType},
    },
    import::{self, End, How, Mapping, Missing, Noted, Plan, Records, Stopped, Summary, Told, Unreadable},
    store::db::Db,
};

/// Create leads from another system's export and share them with a partner
///
/// Each record becomes a lead, in a transaction of its own, and is shared at once. A record that is here already is left
/// as it is, so that the same file can be imported again; --update brings its lead up to date. A bad value, such as a
/// phone number that is none, is left out with a warning, and the lead comes in without it. A faulty record, such as one
/// without a company, is reported with its place, and the others go in.
///
/// Ends with 0 when every record is in, with 1 when some are faulty or missing or the import ended early, and with 2 when
/// the command line, the mapping or the configuration is wrong.
///
/// A lead's title is "Company: Title", else "Company: LeadSource". A record is known again by its Id, else by its
/// attributes.referenceId: export Ids where leads come from several files, because every file may begin again with
/// the same referenceIds.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  \
    sf data export tree --query \"SELECT Id, FirstName, LastName, Company, Email, Phone, Country FROM Lead\"\n  \
    cosell import --format salesforce --company acme --partnership A5F1... --dry-run Lead.json\n  \
    cosell import --format csv --mapping hubspot.toml --company acme --partnership A5F1... contacts.csv")]
pub(super) struct Import {
    /// What the file is
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
    /// Bring leads that are here already up to date with their records
    #[arg(long)]
    update: bool,
    /// The key of the template that they start from; the company's default when left out
    #[arg(long, value_name = "KEY")]
    template: Option<String>,
    /// Which column each field is read from, a TOML file or, as *.json, a JSON file
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// The country of phone numbers that have no country's code, where the record names none: its ISO 3166-1 code
    #[arg(long, value_name = "CODE", value_parser = country)]
    default_country: Option<Country>,
    /// Keep the e-mail address of those who opted out of e-mail, and the phone number of those not to be called
    #[arg(long)]
    keep_opted_out: bool,
    /// Write a line of JSON for each record to this file: what became of it, its lead, what is wrong
    #[arg(long, value_name = "FILE")]
    outcome: Option<PathBuf>,
    /// What stands between the cells of a table: one character or `tab`; found out when left out
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// The file's encoding, such as `windows-1252` or `utf-16le`; found out when left out
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    encoding: Option<&'static Encoding>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// JSON: Salesforce's sObject tree, the records of its query, or an array of records
    #[value(alias = "json")]
    Salesforce,
    /// A table with a header row, its cells between commas, semicolons or tabs
    Csv,
}

pub(super) async fn run(import: &Import, config: Config) -> Outcome {
    let how = How {
        format: match import.format {
            Format::Salesforce => import::Format::Json,
            Format::Csv => import::Format::Csv,
        },
        encoding: import.encoding,
        delimiter: import.delimiter,
        mapping: import.mapping.as_deref().map_or_else(|| Ok(Mapping::default()), mapping)?,
        default_country: import.default_country,
        keep_opted_out: import.keep_opted_out,
    };
    let Opened { name, raw, length } = open(&import.file)?;
    let passed = Arc::new(AtomicU64::new(0));
    let raw = Counted { raw, passed: passed.clone() };
    // What can't be read at all makes no database.
    let mut records = Records::of(raw, how).await.map_err(|fault| Failure::new(format!("{name}: {fault}.")))?;
    let db = if import.dry_run { untouched(&config).await? } else { connect_current(&config).await? };
    let Teller { service, bus } = Teller::new(db, system_clock(), &config).await?;
    let found = service.company_by_slug(&import.company).await?;
    let company = found.ok_or_else(|| {
        let slug = &import.company;
        Failure::new(format!("There is no company {slug}; `cosell company list` shows those that there are."))
    })?;
    let plan = Plan {
        company,
        partnership: import.partnership.clone(),
        template: import.template.clone(),
        update: import.update,
        dry_run: import.dry_run,
    };
    let (service, member) = import::prepare(service, &plan).await?;
    let mut outcome = import.outcome.as_deref().map(|path| create(path, &import.file)).transpose()?;
    let bar = bar(length);
    let tell = |told: &Told<'_>| {
        bar.set_position(passed.load(Ordering::Relaxed));
        match &mut outcome {
            Some(file) => {
                serde_json::to_writer(&mut *file, told)?;
                file.write_all(b"\n")
            }
            None => Ok(()),
        }
    };
    let mut summary = Box::pin(import::run(&service, &member, &plan, &mut records, tell)).await;
    bar.finish_and_clear();
    if let Some(file) = &mut outcome
        && let Err(error) = file.flush()
        && summary.stopped.is_none()
    {
        summary.stopped = Some(Stopped::Outcome(error));
    }
    Teller { service, bus }.close().await;
    report(import, name, summary, records.end())
}

/// Says what became of the file.
fn report(import: &Import, name: &str, summary: Summary, end: Result<End, Unreadable>) -> Outcome {
    say(told(&summary, import))?;
    if let Ok(End { unkept, .. }) = &end
        && !unkept.is_empty()
    {
        let fields: Vec<_> = unkept.iter().map(|(field, n)| format!("{field} ({n})")).collect();
        say(format_args!("Not kept, with the number of records that have it: {}.", fields.join(", ")))?;
    }
    if summary.warnings > 0 {
        let mut warning = format!(
            "warning: {}:",
            count(summary.warnings, "value can't be kept as it is", "values can't be kept as they are")
        );
        for line in listed(&summary.warned, summary.warnings) {
            let _ = write!(warning, "\n  - {line}");
        }
        // A reader that has gone away is no reason to end otherwise.
        let _ = writeln!(io::stderr(), "{warning}");
    }
    let mut list = listed(&summary.faults, summary.faults.iter().map(|noted| noted.places.len()).sum());
    if summary.faulty > summary.faults.len() {
        let more = count(summary.faulty - summary.faults.len(), "record", "records");
        list.push(format!("and {more} more; --outcome writes all of them to a file."));
    }
    let stopped = match (summary.stopped, &end) {
        (Some(Stopped::Service(error)), _) => Some(Failure::from(error).message),
        (Some(Stopped::Outcome(error)), _) => Some(format!("the outcomes can't be written: {error}.")),
        (None, Err(fault)) => Some(format!("{name}: {fault}.")),
        (None, Ok(_)) => None,
    };
    let missing = end.ok().and_then(|end| Some((end.records, end.missing?))).map(|(records, missing)| match missing {
        Missing::Some(missing, total) => format!(
            "{name} is cut off: it has {records} of {total} records, and {missing} are missing. Export it whole and import \
             it again; what is here is left as it is."
        ),
        Missing::Unknown => format!(
            "{name} is cut off after {}: it says that more follow. Export it whole and import it again; what is here is \
             left as it is.",
            count(records, "record", "records")
        ),
    });
    let faulty = (summary.faulty > 0)
        .then(|| format!("{} faulty and not imported:", count(summary.faulty, "record is", "records are")));
    let stopped = stopped.map(|why| format!("The import ended before the file did: {why}"));
    let messages: Vec<_> = stopped.into_iter().chain(missing).chain(faulty).collect();
    if messages.is_empty() { Ok(()) } else { Err(Failure { list, ..Failure::new(messages.join("\nerror: ")) }) }
}

/// What is to be read: its name for people, its bytes, and how many there are.
struct Opened<'f> {
    name: &'f str,
    raw: Box<dyn Read + Send>,
    length: Option<u64>,
}

fn open(file: &str) -> Result<Opened<'_>, Failure> {
    if file == "-" {
        return Ok(Opened { name: "standard input", raw: Box::new(io::stdin()), length: None });
    }
    let unreadable = |error: io::Error| Failure::new(format!("{file} can't be read: {error}."));
    let opened = File::open(file).map_err(unreadable)?;
    let metadata = opened.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Failure::new(format!("{file} can't be read: it is a folder.")));
    }
    Ok(Opened { name: file, raw: Box::new(opened), length: metadata.is_file().then_some(metadata.len()) })
}

struct Counted<R> {
    raw: R,
    passed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.raw.read(buffer)?;
        self.passed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn mapping(path: &Path) -> Result<Mapping, Failure> {
    let name = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{name} can't be read: {error}.")))?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    Mapping::read(&text, is_json)
        .map_err(|list| Failure { list, ..Failure::usage(format!("The mapping {name} is wrong:")) })
}

/// Makes the file of the outcomes, which is never the file that is read.
fn create(path: &Path, source: &str) -> Result<BufWriter<File>, Failure> {
    let same = path.canonicalize().is_ok_and(|path| Path::new(source).canonicalize().is_ok_and(|file| file == path));
    let name = path.display();
    if same {
        return Err(Failure::usage(format!("{name} is the file to be imported; the outcomes need another one.")));
    }
    let file = File::create(path).map_err(|error| Failure::new(format!("{name} can't be written: {error}.")))?;
    Ok(BufWriter::new(file))
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
fn bar(bytes: Option<u64>) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let template =
        if bytes.is_some() { "{bar:40} {bytes}/{total_bytes}, {eta} left" } else { "{spinner} {bytes} read" };
    let style = ProgressStyle::with_template(template);
    ProgressBar::with_draw_target(bytes, target).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn told(summary: &Summary, import: &Import) -> String {
    let Summary { created, updated, present, skipped, faulty, warnings, withheld, .. } = summary;
    let mut told = if import.dry_run {
        format!("Dry run, nothing was written: {created} would be created")
    } else {
        format!("{created} created")
    };
    // Writing into a string does not fail.
    let _ = if import.update {
        write!(told, ", {updated} {}updated, {present} unchanged", if import.dry_run { "would be " } else { "" })
    } else {
        write!(told, ", {present} already here")
    };
    let _ = write!(told, ", {faulty} faulty");
    for (why, n) in skipped {
        let _ = write!(told, ", {n} skipped ({why})");
    }
    if *withheld > 0 {
        let _ = write!(
            told,
            ", {} left out for who opted out",
            count(*withheld, "address or number", "addresses and numbers")
        );
    }
    if *warnings > 0 {
        let _ = write!(told, ", {}", count(*warnings, "warning", "warnings"));
    }
    told.push('.');
    told
}

/// A line for each thing that is to be told of records, of which there are so many in all.
fn listed(noted: &[Noted], all: usize) -> Vec<String> {
    let mut list: Vec<_> = noted.iter().flat_map(lines).collect();
    if all > list.len() {
        list.push(format!("and {} more; --outcome writes all of them to a file.", all - list.len()));
    }
    list
}

fn lines(noted: &Noted) -> impl Iterator<Item = String> + '_ {
    let name = noted.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    noted.places.iter().map(move |place| {
        let pointer = if place.pointer.is_empty() { "/" } else { &place.pointer };
        format!("record {}{name}, {pointer}: {}", noted.index, place.message)
    })
}

fn partnership(text: &str) -> Result<String, String> {
    global_id::expect(text, NodeType::Partnership).map(|_| text.to_owned())
}

fn country(text: &str) -> Result<Country, String> {
    Country::parse(&text.to_ascii_uppercase()).map_err(|message| format!("it {message}"))
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text.eq_ignore_ascii_case("tab") || text == "\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'"' | b'\r' | b'\n') => {
            Ok(*byte)
        }
        _ => Err("it must be one character that is no letter, digit or quotation mark, or `tab`".to_owned()),
    }
}

fn encoding(text: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(text.as_bytes()).ok_or_else(|| {
        "it must be an encoding of the WHATWG's standard, such as utf-8, utf-16le or windows-1252".to_owned()
    })
}
