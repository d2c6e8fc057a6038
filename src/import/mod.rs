//! Leads from other systems' exports, created and shared one by one.
//!
//! A reader such as [`salesforce`] makes [`Record`]s of a file, without a database; [`run`] makes leads of them. To
//! add a format: a file here that gives the same records, and its name in the command's `--format`.

pub mod salesforce;

use std::collections::{BTreeMap, HashSet};

use crate::{
    domain::{
        actor::{Member, Role},
        company::{Company, Partnership, PartnershipState},
        global_id::{self, NodeType},
        id::PartnershipId,
        reference::ExternalReference,
        text,
        workflow::definition::Subject,
    },
    error::{Error, ErrorCode, Fault, Result},
    service::{Service, lead::NewLead, member::Bearer},
};

/// The file can't be read as what it is said to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .place.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default())]
pub struct Unreadable {
    /// What is wrong.
    pub message: String,
    /// Line and column, both from 1, where the reader knows them.
    pub place: Option<(usize, usize)>,
}

/// Everything that a file holds.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its records, in its order.
    pub records: Vec<Record>,
    /// The fields that are not kept, each with how many records have a value there.
    pub unkept: BTreeMap<String, usize>,
}

/// One record of a file.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its place among the records, from 0.
    pub index: usize,
    /// How the other system calls it.
    pub name: Option<String>,
    /// Where it stands in the file, a JSON pointer such as `/records/3`.
    pub pointer: String,
    /// What it says.
    pub content: Content,
}

/// What a record says.
#[derive(Clone, Debug)]
pub enum Content {
    /// A lead.
    Lead(Box<Reading>),
    /// Nothing that is to be imported, and why.
    Skipped(&'static str),
    /// Nothing that can be.
    Faulty(Vec<Place>),
}

/// A lead as a record gives it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What is to be created; [`run`] adds template and partnership.
    pub lead: NewLead,
    /// The record's name in its own system, by which it is known again.
    pub reference: ExternalReference,
    /// Which field of the record each input path was read from; see [`place_faults`].
    pub sources: Vec<Source>,
}

/// Which field of a record an input path was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path in faults, such as `input.customer.contact.email`.
    pub path: &'static str,
    /// The field, by a JSON pointer below the record, such as `/Email`.
    pub field: String,
    /// What it said.
    pub said: String,
}

/// What is wrong at one place of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A JSON pointer into the file, such as `/records/3/Email`.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A record that was not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faulty {
    /// Its place among the records, from 0.
    pub index: usize,
    /// How the other system calls it.
    pub name: Option<String>,
    /// All that is wrong with it.
    pub places: Vec<Place>,
}

/// What is imported into what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose leads they will be.
    pub company: Company,
    /// The global id of the partnership that each lead is shared across.
    pub partnership: String,
    /// The template's key; the company's default where absent.
    pub template: Option<String>,
    /// Whether nothing is to be kept.
    pub dry_run: bool,
}

/// What became of a file.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many leads were created, or would have been.
    pub created: usize,
    /// How many records have their lead already.
    pub present: usize,
    /// How many records were passed over, by reason.
    pub skipped: BTreeMap<&'static str, usize>,
    /// The records that were not imported.
    pub faulty: Vec<Faulty>,
    /// Why the import ended before the file did.
    pub stopped: Option<Error>,
}

/// The member that an import acts as.
fn bearer(company: &Company) -> Bearer {
    Bearer {
        company: company.slug.clone(),
        subject: "import".to_owned(),
        roles: vec![Role::Integration],
        name: Some("Import".to_owned()),
        email: None,
    }
}

/// Makes leads of records, each in a transaction of its own, and says after each that it is done.
///
/// # Errors
/// When no record can be imported: the partnership is not an ACTIVE one of the company, or there is no such template.
/// What is wrong with one record is in the summary.
pub async fn run(service: &Service, plan: &Plan, records: Vec<Record>, mut done: impl FnMut()) -> Result<Summary> {
    let bearer = bearer(&plan.company);
    check(service, plan, &bearer).await?;
    let member = if plan.dry_run { None } else { Some(service.sign_in(bearer.clone()).await?) };
    let mut summary = Summary::default();
    let mut rehearsed = HashSet::new();
    for record in records {
        let Record { index, name, pointer, content } = record;
        let outcome = match content {
            Content::Lead(reading) => {
                let Reading { mut lead, reference, sources } = *reading;
                lead.template_key.clone_from(&plan.template);
                lead.partnership_id = Some(plan.partnership.clone());
                let caller = Caller { service, bearer: &bearer, member: member.as_ref(), company: &plan.company };
                match caller.create(lead, &reference, &mut rehearsed).await {
                    Ok(true) => {
                        summary.created += 1;
                        Ok(())
                    }
                    Ok(false) => {
                        summary.present += 1;
                        Ok(())
                    }
                    Err(Error::Faults(faults)) if faults.iter().all(|fault| fault.code != ErrorCode::Unavailable) => {
                        Err(place_faults(&faults, &sources, &pointer))
                    }
                    Err(error) => {
                        summary.stopped = Some(error);
                        break;
                    }
                }
            }
            Content::Skipped(why) => {
                *summary.skipped.entry(why).or_default() += 1;
                Ok(())
            }
            Content::Faulty(places) => Err(places),
        };
        if let Err(places) = outcome {
            summary.faulty.push(Faulty { index, name, places });
        }
        done();
    }
    Ok(summary)
}

/// What is wrong with the whole is told once, and not of each record.
async fn check(service: &Service, plan: &Plan, bearer: &Bearer) -> Result<()> {
    let slug = &plan.company.slug;
    let found = partnership(service, plan, &reader(&plan.company, bearer)).await?;
    let found = found.ok_or_else(|| {
        let message = format!("There is no such partnership of the company {slug}.");
        Error::new(ErrorCode::NotFound, message)
    })?;
    if found.state != PartnershipState::Active {
        let state = found.state.as_str();
        let message = format!("The partnership is {state}; leads are shared across an ACTIVE one.");
        return Err(Error::new(ErrorCode::InvalidInput, message));
    }
    if let Some(key) = &plan.template {
        let templates = service.templates(&reader(&plan.company, bearer)).await?;
        let keys: Vec<_> = templates
            .into_iter()
            .filter(|template| template.subject == Subject::Lead)
            .map(|template| template.key)
            .collect();
        if !keys.contains(key) {
            let message = format!("The company {slug} has no template {key} for leads; it has {}.", keys.join(", "));
            return Err(Error::new(ErrorCode::NotFound, message));
        }
    }
    Ok(())
}

/// Reads on behalf of the company; nothing is recorded for it.
fn reader(company: &Company, bearer: &Bearer) -> Member {
    Member { id: uuid::Uuid::nil().into(), company: company.id, roles: bearer.roles.clone() }
}

async fn partnership(service: &Service, plan: &Plan, reader: &Member) -> Result<Option<Partnership>> {
    let id = global_id::expect(&plan.partnership, NodeType::Partnership)
        .map_err(|message| Error::new(ErrorCode::InvalidInput, message))?;
    Ok(service.partnerships_by_ids(reader, &[PartnershipId(id)]).await?.into_iter().next())
}

struct Caller<'a> {
    service: &'a Service,
    bearer: &'a Bearer,
    /// None in a dry run, in which nobody is recorded.
    member: Option<&'a Member>,
    company: &'a Company,
}

impl Caller<'_> {
    /// Whether the lead was created now; not, where it is there already.
    async fn create(
        &self,
        lead: NewLead,
        reference: &ExternalReference,
        rehearsed: &mut HashSet<ExternalReference>,
    ) -> Result<bool> {
        if self.is_here(reference).await? || rehearsed.contains(reference) {
            return Ok(false);
        }
        let Some(member) = self.member else {
            self.service.rehearse_lead(self.bearer, lead).await?;
            // A later record of the same name would find the lead of this one.
            rehearsed.insert(reference.clone());
            return Ok(true);
        };
        match self.service.create_lead(member, lead).await {
            Ok(_) => Ok(true),
            // Another import was faster.
            Err(_) if self.is_here(reference).await? => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn is_here(&self, reference: &ExternalReference) -> Result<bool> {
        let reader = reader(self.company, self.bearer);
        Ok(self.service.lead_by_reference(&reader, reference).await?.is_some())
    }
}

/// Where the faults of an input stand in the record that it was read from: each is told in the record's own words.
pub fn place_faults(faults: &[Fault], sources: &[Source], record: &str) -> Vec<Place> {
    let place = |fault: &Fault| {
        let path = fault.field.as_deref().unwrap_or_default();
        let Some(source) = sources.iter().find(|source| source.path == path) else {
            return Place { pointer: record.to_owned(), message: fault.message.clone() };
        };
        let field = source.field.rsplit('/').next().unwrap_or_default();
        // The message begins with the field's name, as our own callers know it.
        let message = match fault.message.strip_prefix(text::name(path)) {
            Some(rest) => format!("{field}{rest}"),
            None => fault.message.clone(),
        };
        Place { pointer: format!("{record}{}", source.field), message: quoting(&message, &source.said) }
    };
    faults.iter().map(place).collect()
}

/// The message with what the file says there, where it says something.
fn quoting(message: &str, said: &str) -> String {
    if text::is_blank(said) {
        return message.to_owned();
    }
    format!("{} It is \"{}\".", message, text::excerpt(said))
}
