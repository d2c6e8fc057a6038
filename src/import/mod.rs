//! Leads from other systems' exports, created and shared one by one.
//!
//! [`Records`] reads a file in a thread of its own, without a database; [`run`] makes leads of what comes. To add a
//! format: a file here that hands its records to the same pump, and its name in [`Format`].

mod file;
mod json;
mod mapping;
mod reading;
mod salesforce;
mod table;
mod update;

pub use file::{End, Format, How, Missing, Records};
pub use mapping::Mapping;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        actor::{Member, Role},
        company::{Company, Partnership, PartnershipState},
        email,
        global_id::{self, NodeType},
        id::{LeadId, MemberId, PartnershipId},
        lead::Lead,
        reference::ExternalReference,
        text,
        workflow::definition::Subject,
    },
    error::{Error, ErrorCode, Fault, Result},
    service::{
        Service,
        lead::{LeadChange, LeadKey, NewLead},
        member::Bearer,
    },
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

impl Unreadable {
    fn of(fault: &io::Error) -> Self {
        Self { message: fault.to_string(), place: None }
    }
}

/// One record of a file.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its place among the records, from 0.
    pub index: usize,
    /// How the other system calls it.
    pub name: Option<String>,
    /// Where it stands in the file: a JSON pointer such as `/records/3`, or a line.
    pub place: String,
    /// What it says.
    pub content: Content,
    /// The values that are not kept, or not as what they should be.
    pub warnings: Vec<Place>,
    /// The values that are not kept because their person does not want it.
    pub withheld: Vec<Place>,
}

impl Record {
    fn of(name: Option<String>, place: String, content: Content) -> Self {
        Self { index: 0, name, place, content, warnings: Vec::new(), withheld: Vec::new() }
    }
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
    pub new: NewLead,
    /// What an update is to say.
    pub change: LeadChange,
    /// Whether the record gives the lead's title; else it is made of the company's name.
    pub is_titled: bool,
    /// The record's name in its own system, by which it is known again.
    pub reference: ExternalReference,
    /// The e-mail address of the lead's owner, with its place.
    pub owner: Option<Place>,
    /// Which field of the record each input path was read from; see [`place_faults`].
    pub sources: Vec<Source>,
}

/// Which field of a record an input path was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path in faults, without `input`: `customer.contact.email`.
    pub path: &'static str,
    /// The field's name in the record.
    pub name: String,
    /// Where it stands in the file.
    pub place: String,
    /// What it said.
    pub said: String,
}

/// What is to be said of one place of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// A JSON pointer into the file, such as `/records/3/Email`, or a line and a column's name.
    #[serde(rename = "place")]
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A record of which something is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Its place among the records, from 0.
    pub index: usize,
    /// How the other system calls it.
    pub name: Option<String>,
    /// What is to be told.
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
    /// Whether leads that are here are brought up to date.
    pub update: bool,
    /// Whether nothing is to be kept.
    pub dry_run: bool,
}

/// What became of a file.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many leads were created, or would have been.
    pub created: usize,
    /// How many were brought up to date, or would have been.
    pub updated: usize,
    /// How many records have their lead already, and say nothing new of it where that is asked.
    pub present: usize,
    /// How many records were passed over, by reason.
    pub skipped: BTreeMap<&'static str, usize>,
    /// How many records were not imported.
    pub faulty: usize,
    /// How many values are not kept, or not as what they should be.
    pub warnings: usize,
    /// How many values are not kept because their person does not want it.
    pub withheld: usize,
    /// The first of the records that were not imported.
    pub faults: Vec<Noted>,
    /// The first of the records that were, but without a value or two.
    pub warned: Vec<Noted>,
    /// Why the import ended before the file did.
    pub stopped: Option<Stopped>,
}

/// Why an import ended before the file did.
#[derive(Debug)]
pub enum Stopped {
    /// The use cases can't go on.
    Service(Error),
    /// What became of a record can't be written down.
    Outcome(io::Error),
}

/// The most places that a summary names, of each kind; all of them are in the outcomes.
const NAMED: usize = 1000;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A lead was made of it.
    Created,
    /// Its lead was brought up to date.
    Updated,
    /// Its lead is here, and nothing of it was changed.
    Unchanged,
    /// It is passed over.
    Skipped,
    /// It was not imported.
    Faulty,
}

/// A record and what became of it, as a line of JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told<'r> {
    /// Its place among the records, from 0.
    pub index: usize,
    /// Where it stands in the file.
    pub place: &'r str,
    /// How the other system calls it.
    pub name: Option<&'r str>,
    /// The other system and the record's id there.
    pub reference: Option<&'r ExternalReference>,
    /// What became of it.
    pub outcome: Outcome,
    /// The id of its lead.
    pub lead_id: Option<String>,
    /// The number of its lead.
    pub lead_number: Option<String>,
    /// Why it is passed over.
    pub skipped: Option<&'static str>,
    /// What is wrong with it.
    pub faults: &'r [Place],
    /// The values that are not kept, or not as what they should be.
    pub warnings: &'r [Place],
    /// The values that are not kept because their person does not want it.
    pub withheld: &'r [Place],
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

/// The use cases as an import needs them, and the member that it acts as. In a dry run whatever they do is taken back.
///
/// # Errors
/// When no record can be imported: the partnership is not an ACTIVE one of the company, or there is no such template.
pub async fn prepare(service: Service, plan: &Plan) -> Result<(Service, Member)> {
    let bearer = bearer(&plan.company);
    check(&service, plan, &bearer).await?;
    if plan.dry_run {
        return service.rehearsing(&bearer).await;
    }
    let member = service.sign_in(bearer).await?;
    Ok((service, member))
}

/// Makes leads of records, each in a transaction of its own, and says after each what became of it. What is wrong with
/// a record is in the summary.
pub async fn run(
    service: &Service,
    member: &Member,
    plan: &Plan,
    records: &mut Records,
    mut told: impl FnMut(&Told<'_>) -> io::Result<()>,
) -> Summary {
    let mut caller = Caller { service, member, plan, rehearsed: HashSet::new(), owners: HashMap::new() };
    let mut summary = Summary::default();
    while let Some(record) = records.next().await {
        let Record { index, name, place, content, mut warnings, withheld } = *record;
        let mut reference = None;
        let mut skipped = None;
        let mut lead = None;
        let (outcome, faults) = match content {
            Content::Lead(reading) => {
                reference = Some(reading.reference.clone());
                match Box::pin(caller.import(*reading, &place, &mut warnings)).await {
                    Ok((outcome, known)) => {
                        lead = known.filter(|_| !plan.dry_run || outcome != Outcome::Created);
                        (outcome, Vec::new())
                    }
                    Err(Refused::Record(faults)) => (Outcome::Faulty, faults),
                    Err(Refused::All(error)) => {
                        summary.stopped = Some(Stopped::Service(error));
                        return summary;
                    }
                }
            }
            Content::Skipped(why) => {
                skipped = Some(why);
                (Outcome::Skipped, Vec::new())
            }
            Content::Faulty(places) => (Outcome::Faulty, places),
        };
        match outcome {
            Outcome::Created => summary.created += 1,
            Outcome::Updated => summary.updated += 1,
            Outcome::Unchanged => summary.present += 1,
            Outcome::Skipped => *summary.skipped.entry(skipped.unwrap_or_default()).or_default() += 1,
            Outcome::Faulty => summary.faulty += 1,
        }
        if matches!(outcome, Outcome::Skipped | Outcome::Faulty) {
            // Of a lead that did not come in, nothing is missed.
            warnings.clear();
        } else {
            summary.withheld += withheld.len();
        }
        summary.warnings += warnings.len();
        let said = Told {
            index,
            place: &place,
            name: name.as_deref(),
            reference: reference.as_ref(),
            outcome,
            lead_id: lead.as_ref().map(|lead| global_id::encode(NodeType::Lead, lead.id.0)),
            lead_number: lead.map(|lead| lead.number),
            skipped,
            faults: &faults,
            warnings: &warnings,
            withheld: if outcome == Outcome::Faulty { &[] } else { &withheld },
        };
        if let Err(error) = told(&said) {
            summary.stopped = Some(Stopped::Outcome(error));
            return summary;
        }
        let note = |noted: &mut Vec<Noted>, places: Vec<Place>| {
            if !places.is_empty() && noted.len() < NAMED {
                noted.push(Noted { index, name: name.clone(), places });
            }
        };
        note(&mut summary.faults, faults);
        note(&mut summary.warned, warnings);
    }
    summary
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

/// Why a record was not imported.
enum Refused {
    /// Something is wrong with it.
    Record(Vec<Place>),
    /// No other can be imported either.
    All(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::All(error)
    }
}

struct Caller<'a> {
    service: &'a Service,
    member: &'a Member,
    plan: &'a Plan,
    /// In a dry run the references of the leads that would be here by now, each by a part of its digest.
    rehearsed: HashSet<u128>,
    /// The members by their e-mail addresses in lower case; a bounded number of them.
    owners: HashMap<String, Vec<MemberId>>,
}

impl Caller<'_> {
    /// Creates or updates the lead of a record.
    async fn import(
        &mut self,
        reading: Reading,
        place: &str,
        warnings: &mut Vec<Place>,
    ) -> Result<(Outcome, Option<Lead>), Refused> {
        let owner = self.owner(reading.owner.as_ref(), warnings).await?;
        if let Some(lead) = self.known(&reading.reference).await? {
            return self.update(lead, reading, owner, place).await;
        }
        let digest = digest(&reading.reference);
        if self.rehearsed.contains(&digest) {
            return Ok((Outcome::Unchanged, None));
        }
        let mut new = reading.new;
        new.template_key.clone_from(&self.plan.template);
        new.partnership_id = Some(self.plan.partnership.clone());
        new.owner = owner;
        match self.service.create_lead(self.member, new).await {
            Ok(created) => {
                if self.plan.dry_run {
                    // A later record of the same name would find the lead of this one.
                    self.rehearsed.insert(digest);
                }
                Ok((Outcome::Created, Some(created.lead)))
            }
            // Another import may have been faster.
            Err(error) => match self.known(&reading.reference).await? {
                Some(lead) => Ok((Outcome::Unchanged, Some(lead))),
                None => Err(refused(error, &reading.sources, place)),
            },
        }
    }

    async fn update(
        &self,
        lead: Lead,
        reading: Reading,
        owner: Option<MemberId>,
        place: &str,
    ) -> Result<(Outcome, Option<Lead>), Refused> {
        if !self.plan.update {
            return Ok((Outcome::Unchanged, Some(lead)));
        }
        let faulty = |error| refused(error, &reading.sources, place);
        let change = update::change(&lead, reading.change.clone(), reading.is_titled, owner);
        let Some(change) = change.map_err(|faults| faulty(faults.into()))? else {
            return Ok((Outcome::Unchanged, Some(lead)));
        };
        let updated = self.service.update_lead(self.member, &LeadKey::Id(lead.id), &change).await.map_err(faulty)?;
        let outcome = if updated.version == lead.version { Outcome::Unchanged } else { Outcome::Updated };
        Ok((outcome, Some(updated)))
    }

    /// The lead that a record was made into.
    async fn known(&self, reference: &ExternalReference) -> Result<Option<Lead>> {
        let reader = Member { id: uuid::Uuid::nil().into(), ..self.member.clone() };
        let id: Option<LeadId> = self.service.lead_by_reference(&reader, reference).await?;
        match id {
            Some(id) => self.service.lead(&reader, id).await,
            None => Ok(None),
        }
    }

    /// The member with the e-mail address of a record's owner.
    async fn owner(&mut self, said: Option<&Place>, warnings: &mut Vec<Place>) -> Result<Option<MemberId>> {
        const MOST: usize = 10_000;
        let Some(said) = said else { return Ok(None) };
        let warning = |why: String| {
            let message = quoting(&format!("{why} The lead is imported without this owner."), &said.message);
            Place { pointer: said.pointer.clone(), message }
        };
        let Ok(Some(address)) = email::clean(&said.message) else {
            warnings.push(warning("The owner must be named by an e-mail address.".to_owned()));
            return Ok(None);
        };
        let address = address.to_lowercase();
        let found = if let Some(found) = self.owners.get(&address) {
            found.clone()
        } else {
            let found = self.service.members_by_email(self.member, &address).await?;
            if self.owners.len() >= MOST {
                self.owners.clear();
            }
            self.owners.insert(address, found.clone());
            found
        };
        match found.as_slice() {
            [owner] => return Ok(Some(*owner)),
            [] => warnings.push(warning(format!(
                "{} has no member with the owner's e-mail address; a member is recorded with its first call.",
                self.plan.company.slug
            ))),
            _ => warnings.push(warning(format!("{} has several members with this address.", self.plan.company.slug))),
        }
        Ok(None)
    }
}

/// A part of a digest: enough to tell the records of a file apart.
fn digest(reference: &ExternalReference) -> u128 {
    let digest = Sha256::new().chain_update(&reference.system).chain_update([0]).chain_update(&reference.id).finalize();
    digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

fn refused(error: Error, sources: &[Source], place: &str) -> Refused {
    match error {
        Error::Faults(faults) if faults.iter().all(|fault| fault.code != ErrorCode::Unavailable) => {
            Refused::Record(place_faults(&faults, sources, place))
        }
        error => Refused::All(error),
    }
}

/// Where the faults of an input stand in the record that it was read from: each is told in the record's own words.
fn place_faults(faults: &[Fault], sources: &[Source], record: &str) -> Vec<Place> {
    let place = |fault: &Fault| {
        let path = fault.field.as_deref().unwrap_or_default();
        let Some(source) = sources.iter().find(|source| path.strip_prefix("input.") == Some(source.path)) else {
            return Place { pointer: record.to_owned(), message: fault.message.clone() };
        };
        // The message begins with the field's name, as our own callers know it.
        let message = match fault.message.strip_prefix(text::name(path)) {
            Some(rest) => format!("{}{rest}", source.name),
            None => fault.message.clone(),
        };
        Place { pointer: source.place.clone(), message: quoting(&message, &source.said) }
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
