//! A record read by a mapping: what becomes of its lead, and what of it is not kept.
//!
//! A bad value costs the value, not the lead. Only what a lead can't be without makes a record faulty.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use url::{Host, Url};

use super::{Content, How, Place, Reading, Source, file::Format, mapping::Rule, place_faults, quoting, salesforce};
use crate::{
    domain::{
        country::Country,
        customer::{AddressInput, AddressPatch, ContactInput, ContactPatch, Customer, CustomerInput, CustomerPatch},
        lead::{DESCRIPTION_MAX, LEAD_SOURCE_MAX, TITLE_MAX},
        patch::Patch,
        qualification::{Qualification, QualificationPatch},
        reference::ExternalReferenceInput,
        text::{self, Rules},
    },
    error::Fault,
    service::lead::{LeadChange, MoneyInput, NewLead},
};

/// Where a record stands in its file.
#[derive(Clone, Debug)]
pub(super) enum At {
    /// A JSON pointer, such as `/records/3`.
    Pointer(String),
    /// A line of a table, from 1.
    Line(u64),
}

impl At {
    /// The whole record.
    pub(super) fn whole(&self) -> String {
        match self {
            Self::Pointer(pointer) => pointer.clone(),
            Self::Line(line) => format!("line {line}"),
        }
    }

    /// A field of it, by the keys that lead there.
    fn field(&self, path: &[&str]) -> String {
        match self {
            Self::Pointer(pointer) => path.iter().fold(pointer.clone(), |pointer, key| {
                format!("{pointer}/{}", text::excerpt(key).replace('~', "~0").replace('/', "~1"))
            }),
            Self::Line(line) => format!("line {line}, {}", text::excerpt(&path.join("."))),
        }
    }
}

/// What was made of a record.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) name: Option<String>,
    pub(super) content: Content,
    pub(super) warnings: Vec<Place>,
    pub(super) withheld: Vec<Place>,
    /// The fields of it that have a value and are not kept.
    pub(super) unkept: Vec<String>,
}

/// Reads a record. `twice` are the pointers of keys that stand twice in their objects.
pub(super) fn read(how: &How, at: At, value: &Value, twice: &[String]) -> Read {
    let Value::Object(fields) = value else {
        let places = vec![Place { pointer: at.whole(), message: "A record must be an object.".to_owned() }];
        let (warnings, withheld, unkept) = (Vec::new(), Vec::new(), Vec::new());
        return Read { name: None, content: Content::Faulty(places), warnings, withheld, unkept };
    };
    let mut draft = Draft {
        how,
        at,
        fields,
        said: BTreeMap::new(),
        used: BTreeSet::from(["attributes"]),
        is_abroad: false,
        warnings: Vec::new(),
        withheld: Vec::new(),
        faults: Vec::new(),
    };
    for pointer in twice {
        let place = format!("{}{pointer}", draft.at.whole());
        let key = pointer.rsplit('/').next().unwrap_or_default();
        let message = format!("The key {key} is there twice, and nothing says which value is meant.");
        draft.faults.push(Place { pointer: place, message });
    }
    let content = draft.content();
    let unkept = match content {
        Content::Lead(_) => {
            let unkept = fields.iter().filter(|(key, said)| !draft.used.contains(key.as_str()) && !is_empty(said));
            unkept.map(|(key, _)| key.clone()).collect()
        }
        _ => Vec::new(),
    };
    let (name, Draft { warnings, withheld, .. }) = (draft.name(), draft);
    Read { name, content, warnings, withheld, unkept }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(said) => text::is_blank(said),
        _ => false,
    }
}

/// The value as text: newer exports write every value so. None where it is a list or an object.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(said) => Some(whole(said)),
        Value::Number(number) => Some(whole(&number.to_string())),
        Value::Bool(value) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Tables that went through a spreadsheet or a data frame write `49301234560` as `49301234560.0`.
fn whole(said: &str) -> String {
    let digits = said.strip_suffix(".0").filter(|digits| digits.len() >= 4);
    digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or(said).to_owned()
}

/// What a record says of one field; no text where it says that the field is empty.
#[derive(Clone, Debug)]
struct Said {
    /// The column's or key's name.
    name: String,
    /// Where it stands.
    place: String,
    text: Option<String>,
}

struct Draft<'r> {
    how: &'r How,
    at: At,
    fields: &'r Map<String, Value>,
    said: BTreeMap<&'static str, Said>,
    used: BTreeSet<&'r str>,
    warnings: Vec<Place>,
    withheld: Vec<Place>,
    faults: Vec<Place>,
    /// Whether it names a country that is none: the default is not the one that its number was written for.
    is_abroad: bool,
}

/// The fields that a lead can't be without.
const NEEDED: [&str; 3] = ["customer.company", "externalReference.system", "externalReference.id"];

const COMPANY: &str = "customer.company";
const COUNTRY: &str = "customer.address.country";
const EMPLOYEES: &str = "customer.employees";
const WEBSITE: &str = "customer.website";
const EMAIL: &str = "customer.contact.email";
const PHONE: &str = "customer.contact.phone";
/// What takes a phone number's place where it can't be read.
const UNREAD_PHONE: &str = "customer.contact.unreadPhone";
const JOB_TITLE: &str = "customer.contact.jobTitle";
const LEAD_SOURCE: &str = "leadSource";
const REFERENCE: &str = "externalReference.id";
const REFERENCE_URL: &str = "externalReference.url";
const OWNER: &str = "owner.email";
const AMOUNT: &str = "estimatedValue.amount";
const CURRENCY: &str = "estimatedValue.currency";

impl Draft<'_> {
    /// How people find the record in its own system.
    fn name(&self) -> Option<String> {
        let named = self.said.get(REFERENCE).or_else(|| self.said.get(COMPANY));
        named.and_then(|said| said.text.as_deref()).map(text::excerpt)
    }

    fn content(&mut self) -> Content {
        let is_salesforce = self.how.mapping.is_salesforce();
        let kind = self.fields.get("attributes").and_then(|attributes| attributes.get("type")).and_then(Value::as_str);
        if let (Some(kind), true) = (kind.filter(|kind| *kind != "Lead"), is_salesforce) {
            let kind = text::excerpt(kind);
            let message = format!("Only records of the type Lead are imported; this is of the type \"{kind}\".");
            self.reference();
            self.fault(self.at.field(&["attributes", "type"]), message);
            return Content::Faulty(std::mem::take(&mut self.faults));
        }
        self.reference();
        if let Some(why) = self.skipped(is_salesforce) {
            return Content::Skipped(why);
        }
        for (path, rule) in self.how.mapping.of_lead() {
            match path {
                COUNTRY => self.country(rule),
                REFERENCE => {}
                _ => self.take(path, rule),
            }
        }
        self.mend();
        self.withhold();
        if self.said.get(COMPANY).is_none_or(|said| said.text.is_none()) {
            let said = self.said.get(COMPANY);
            let place = said.map_or_else(|| self.place_of("lead.customer.company"), |said| said.place.clone());
            let name = said.map_or_else(|| self.name_of("lead.customer.company"), |said| said.name.clone());
            if !self.faults.iter().any(|fault| fault.pointer == place) {
                self.fault(place, format!("{name} is required and must not be blank."));
            }
        }
        self.sift();
        if self.text(AMOUNT).is_some() && self.text(CURRENCY).is_none() {
            self.drop(AMOUNT, "An amount is kept only with its currency.");
        }
        if !self.faults.is_empty() {
            return Content::Faulty(std::mem::take(&mut self.faults));
        }
        let reference = self.reference_input();
        let Some(kept) = reference.clone().validate("input", &mut Vec::new()) else {
            // It was sifted; this can't be reached with a sound mapping.
            let message = "The record has no name by which it could be known again.".to_owned();
            return Content::Faulty(vec![Place { pointer: self.at.whole(), message }]);
        };
        let title = self.text("title").map(str::to_owned);
        let sources = self.said.iter().filter_map(|(path, said)| {
            Some(Source { path, name: said.name.clone(), place: said.place.clone(), said: said.text.clone()? })
        });
        Content::Lead(Box::new(Reading {
            reference: kept,
            sources: sources.collect(),
            owner: self
                .said
                .get(OWNER)
                .filter(|said| said.text.is_some())
                .map(|said| Place { pointer: said.place.clone(), message: said.text.clone().unwrap_or_default() }),
            is_titled: title.is_some(),
            new: self.new_lead(reference),
            change: self.change(),
        }))
    }

    fn fault(&mut self, pointer: String, message: String) {
        self.faults.push(Place { pointer, message });
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.said.get(path)?.text.as_deref()
    }

    /// Where a field would stand that is not there.
    fn place_of(&self, place: &str) -> String {
        let rule = self.how.mapping.rule(place);
        rule.and_then(|rule| rule.from.first()).map_or_else(|| self.at.whole(), |column| self.at.field(&[&column.name]))
    }

    fn name_of(&self, place: &str) -> String {
        let rule = self.how.mapping.rule(place);
        rule.and_then(|rule| rule.from.first()).map_or_else(|| place.to_owned(), |column| column.name.clone())
    }

    /// What one column says; none where the record doesn't have it.
    fn column(&mut self, column: &super::mapping::Column) -> Option<Said> {
        let found = column.find(self.fields)?;
        self.used.insert(found.path.first()?);
        let place = self.at.field(&found.path);
        let name = found.path.last().map_or(column.name.as_str(), |key| key).to_owned();
        let Some(said) = plain(found.value) else {
            let message = format!("{name} must be a text or a number, and no list or object. It is left out.");
            self.warnings.push(Place { pointer: place, message });
            return None;
        };
        Some(Said { name, place, text: (!text::is_blank(&said)).then_some(said) })
    }

    /// Keeps what the first column says that says anything.
    fn take(&mut self, path: &'static str, rule: &Rule) {
        let mut empty = None;
        for column in &rule.from {
            match self.column(column) {
                Some(said) if said.text.is_some() => {
                    self.said.insert(path, said);
                    return;
                }
                Some(said) => empty = empty.or(Some(said)),
                None => {}
            }
        }
        let default = rule.default.as_ref().map(|text| {
            let text = Some(text.clone());
            Said { name: path.to_owned(), place: self.at.whole(), text }
        });
        if let Some(said) = default.or(empty) {
            self.said.insert(path, said);
        }
    }

    /// The first column that names a country has it: a code comes before a name.
    fn country(&mut self, rule: &Rule) {
        let mut unknown = Vec::new();
        let (mut found, mut empty) = (None, None);
        for column in &rule.from {
            let Some(said) = self.column(column) else { continue };
            let Some(typed) = &said.text else {
                empty = empty.or(Some(said));
                continue;
            };
            match Country::find(typed) {
                Some(country) if found.is_none() => {
                    found = Some(Said { text: Some(country.code().to_owned()), ..said });
                }
                Some(_) => {}
                None => unknown.push(said),
            }
        }
        let default = || {
            let country = Country::find(rule.default.as_deref()?)?;
            Some(Said { name: COUNTRY.to_owned(), place: self.at.whole(), text: Some(country.code().to_owned()) })
        };
        self.is_abroad = found.is_none() && !unknown.is_empty();
        let kept = found.or_else(|| default().filter(|_| unknown.is_empty()));
        // A name beside a code that is known says nothing more.
        if kept.is_none() {
            for said in &unknown {
                let message = format!(
                    "{} must be a country's ISO 3166-1 code or English name, such as \"DE\" or \"Germany\".",
                    said.name
                );
                self.left_out(said, &message);
            }
        }
        if let Some(said) = kept.or_else(|| empty.filter(|_| unknown.is_empty())) {
            self.said.insert(COUNTRY, said);
        }
    }

    /// Warns of a value that is not kept.
    fn left_out(&mut self, said: &Said, message: &str) {
        let message = format!("{} It is left out.", quoting(message, said.text.as_deref().unwrap_or_default()));
        self.warnings.push(Place { pointer: said.place.clone(), message });
    }

    /// Drops a value and warns of it.
    fn drop(&mut self, path: &str, message: &str) {
        if let Some(said) = self.said.remove(path) {
            self.left_out(&said, message);
        }
    }

    /// The record's name in its own system. A tree's `referenceId` is the last resort: it need not be unique beyond its
    /// file.
    fn reference(&mut self) {
        let Some(rule) = self.how.mapping.rule("lead.externalReference.id") else { return };
        self.take(REFERENCE, rule);
        let is_salesforce = self.how.mapping.is_salesforce();
        if let Some(said) = self.said.get_mut(REFERENCE)
            && let Some(typed) = &said.text
        {
            if self.how.mapping.system != salesforce::SYSTEM {
                return;
            }
            match salesforce::record_id(typed.trim()) {
                Some(id) => said.text = Some(id),
                None if is_salesforce => {
                    let message = format!(
                        "{} must be a Salesforce id of 15 or 18 letters and digits; a mapping (--mapping) names another \
                         system.",
                        said.name
                    );
                    let fault = Place { pointer: said.place.clone(), message: quoting(&message, typed) };
                    self.faults.push(fault);
                }
                None => {}
            }
            return;
        }
        let attributes = self.fields.get("attributes").filter(|_| is_salesforce);
        let attribute = |name: &str| {
            attributes.and_then(|it| it.get(name)).and_then(Value::as_str).map(str::trim).filter(|it| !it.is_empty())
        };
        let url = attribute("url");
        let (key, id) = match url.and_then(|url| salesforce::record_id(url.rsplit('/').next()?)) {
            Some(id) => ("url", Some(id)),
            None => ("referenceId", attribute("referenceId").map(str::to_owned)),
        };
        if let Some(id) = id {
            let place = self.at.field(&["attributes", key]);
            self.said.insert(REFERENCE, Said { name: key.to_owned(), place, text: Some(id) });
        } else {
            let known_by = match self.how.format {
                Format::Json if is_salesforce => "neither Id nor attributes.referenceId".to_owned(),
                _ => format!("no {}", self.name_of("lead.externalReference.id")),
            };
            let message = format!(
                "The record has {known_by}: it could not be known again, and a second import would create it twice."
            );
            self.fault(self.at.whole(), message);
        }
        if let Some(url) = url.filter(|url| url.starts_with("https://") || url.starts_with("http://")) {
            let place = self.at.field(&["attributes", "url"]);
            self.said.insert(REFERENCE_URL, Said { name: "url".to_owned(), place, text: Some(url.to_owned()) });
        }
    }

    fn reference_input(&self) -> ExternalReferenceInput {
        ExternalReferenceInput {
            system: Some(self.how.mapping.system.clone()),
            id: self.text(REFERENCE).map(str::to_owned),
            url: self.text(REFERENCE_URL).map(str::to_owned),
        }
    }

    fn skipped(&mut self, is_salesforce: bool) -> Option<&'static str> {
        if self.flag("skip.deleted", false) {
            return Some(if is_salesforce { "deleted in Salesforce" } else { "deleted" });
        }
        if self.any("skip.merged") {
            return Some(if is_salesforce { "merged in Salesforce" } else { "merged" });
        }
        if self.flag("skip.converted", false) {
            return Some(if is_salesforce { "converted in Salesforce" } else { "converted" });
        }
        None
    }

    fn first(&mut self, place: &str) -> Option<Said> {
        let rule = self.how.mapping.rule(place)?;
        for column in &rule.from {
            if let Some(said) = self.column(column).filter(|said| said.text.is_some()) {
                return Some(said);
            }
        }
        let text = rule.default.clone()?;
        Some(Said { name: place.to_owned(), place: self.at.whole(), text: Some(text) })
    }

    /// Whether a field has any value.
    fn any(&mut self, place: &str) -> bool {
        self.first(place).is_some()
    }

    /// Whether a field says yes; `doubt`, where it says what is neither yes nor no.
    fn flag(&mut self, place: &str, doubt: bool) -> bool {
        let Some(said) = self.first(place) else { return false };
        match said.text.as_deref().map(|text| text.trim().to_lowercase()).as_deref() {
            Some("true" | "1" | "1.0" | "yes" | "y" | "on" | "x" | "ja" | "wahr" | "oui" | "vrai" | "si" | "sí") => {
                true
            }
            Some("false" | "0" | "0.0" | "no" | "n" | "off" | "nein" | "falsch" | "non" | "faux") => false,
            _ => {
                let meant = if doubt { "yes" } else { "no" };
                let message = format!("{} must be true or false; it is taken as {meant}.", said.name);
                let message = quoting(&message, said.text.as_deref().unwrap_or_default());
                self.warnings.push(Place { pointer: said.place, message });
                doubt
            }
        }
    }

    /// Takes the address and the number from those who don't want to be written to or called.
    fn withhold(&mut self) {
        let opted_out =
            [("optOut.email", EMAIL, "has opted out of e-mail"), ("optOut.phone", PHONE, "is not to be called")];
        for (flag, path, why) in opted_out {
            if !self.flag(flag, true) || self.how.keep_opted_out {
                continue;
            }
            let said = self.said.remove(path);
            if let Some(said) = said.as_ref().filter(|said| said.text.is_some()) {
                let message = format!("{} is left out: the person {why}.", said.name);
                self.withheld.push(Place { pointer: said.place.clone(), message });
            }
            // An update takes away what was kept before.
            let (name, place) = said.map_or_else(|| (path.to_owned(), self.at.whole()), |said| (said.name, said.place));
            self.said.insert(path, Said { name, place, text: None });
        }
    }

    /// What people and systems write in other words than the API takes.
    fn mend(&mut self) {
        if let Some(said) = self.said.get_mut(WEBSITE)
            && let Some(typed) = &said.text
        {
            if let Some(address) = website(typed) {
                said.text = Some(address);
            } else {
                let message = format!("{} must be a web address, such as \"https://example.com\".", said.name);
                self.drop(WEBSITE, &message);
            }
        }
        if let Some(said) = self.said.get_mut(EMPLOYEES)
            && let Some(typed) = &said.text
        {
            if let Some(count) = whole_number(typed) {
                said.text = Some(count.to_string());
            } else {
                let message = format!("{} must be a whole number.", said.name);
                self.drop(EMPLOYEES, &message);
            }
        }
    }

    /// Holds all against the rules of the API: what a lead can be without is left out.
    fn sift(&mut self) {
        // What is left out may have hidden another fault, but each time there is less.
        for _ in 0..self.said.len().max(1) {
            let faults = self.check();
            if faults.is_empty() {
                return;
            }
            for fault in faults {
                let path = fault.field.as_deref().and_then(|field| field.strip_prefix("input.")).unwrap_or_default();
                let sources: Vec<_> = self
                    .said
                    .iter()
                    .filter(|(known, _)| **known == path)
                    .map(|(path, said)| Source {
                        path,
                        name: said.name.clone(),
                        place: said.place.clone(),
                        said: said.text.clone().unwrap_or_default(),
                    })
                    .collect();
                let place = place_faults(std::slice::from_ref(&fault), &sources, &self.at.whole());
                if NEEDED.contains(&path) {
                    self.faults.extend(place);
                    continue;
                }
                let Some(said) = self.said.remove(path) else { continue };
                let becomes = if path == PHONE && self.keep_unread(said) { "kept as typed alone" } else { "left out" };
                let warned = place
                    .into_iter()
                    .map(|place| Place { message: format!("{} It is {becomes}.", place.message), ..place });
                self.warnings.extend(warned);
            }
            if !self.faults.is_empty() {
                return;
            }
        }
    }

    /// Keeps what is no phone number as it was typed, where that may be kept.
    fn keep_unread(&mut self, said: Said) -> bool {
        let unread_phone = said.text.clone();
        let contact = ContactInput { unread_phone, ..ContactInput::default() };
        let (company, contact) = (Some("?".to_owned()), Some(contact));
        let customer = CustomerInput { company, contact, ..CustomerInput::default() };
        let fits = customer.validate("input", &mut Vec::new()).is_some();
        if fits {
            self.said.insert(UNREAD_PHONE, said);
        }
        fits
    }

    /// The faults that the API would find.
    fn check(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let change = self.change();
        for (path, rules) in [
            ("title", Rules::line(TITLE_MAX)),
            ("description", Rules::lines(DESCRIPTION_MAX)),
            (LEAD_SOURCE, Rules::line(LEAD_SOURCE_MAX)),
        ] {
            rules.optional(self.text(path), &format!("input.{path}"), &mut faults);
        }
        if let Patch::Value(customer) = change.customer
            && self.text(COMPANY).is_some()
        {
            customer.apply(&Customer::default(), "input.customer", &mut faults);
        }
        if let Patch::Value(value) = change.estimated_value {
            crate::domain::money::Money::parse(&value.amount, &value.currency, "input.estimatedValue", &mut faults);
        }
        if let Patch::Value(known) = change.qualification {
            known.apply(&Qualification::default(), "input.qualification", &mut faults);
        }
        if self.text(REFERENCE).is_some() {
            let _ = self.reference_input().validate("input.externalReference", &mut faults);
        }
        faults
    }

    fn patch(&self, path: &str) -> Patch<String> {
        match self.said.get(path) {
            None => Patch::Absent,
            Some(Said { text: None, .. }) => Patch::Null,
            Some(Said { text: Some(text), .. }) => Patch::Value(text.clone()),
        }
    }

    /// What an update is to say: nothing of what the record does not have.
    fn change(&self) -> LeadChange {
        let known = |name: &str| self.patch(&format!("qualification.{name}"));
        let qualification = QualificationPatch {
            goal: known("goal"),
            implementation_options: known("implementationOptions"),
            procurement_procedure: known("procurementProcedure"),
            decision_level: known("decisionLevel"),
            terms: known("terms"),
            decision_maker: known("decisionMaker"),
            selection_criteria: known("selectionCriteria"),
            compliance_with_criteria: known("complianceWithCriteria"),
            channel: known("channel"),
        };
        let address = AddressPatch {
            street: self.patch("customer.address.street"),
            city: self.patch("customer.address.city"),
            region: self.patch("customer.address.region"),
            postal_code: self.patch("customer.address.postalCode"),
            country: self.patch(COUNTRY),
        };
        let contact = ContactPatch {
            first_name: self.patch("customer.contact.firstName"),
            last_name: self.patch("customer.contact.lastName"),
            job_title: self.patch(JOB_TITLE),
            email: self.patch(EMAIL),
            phone: self.patch(PHONE),
            unread_phone: self.patch(UNREAD_PHONE),
            phone_country: self.how.default_country.filter(|_| !self.is_abroad),
        };
        let employees = match self.patch(EMPLOYEES) {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            // It was read as a whole number before.
            Patch::Value(count) => count.parse().map_or(Patch::Absent, Patch::Value),
        };
        let customer = CustomerPatch {
            company: self.patch(COMPANY),
            website: self.patch(WEBSITE),
            industry: self.patch("customer.industry"),
            employees,
            address: Patch::Value(address),
            contact: Patch::Value(contact),
        };
        let estimated_value = match (self.patch(AMOUNT), self.patch(CURRENCY)) {
            (Patch::Value(amount), Patch::Value(currency)) => {
                Patch::Value(MoneyInput { amount: amount.trim().to_owned(), currency: currency.trim().to_owned() })
            }
            (Patch::Null, _) => Patch::Null,
            _ => Patch::Absent,
        };
        LeadChange {
            title: self.patch("title"),
            description: self.patch("description"),
            lead_source: self.patch(LEAD_SOURCE),
            customer: Patch::Value(customer),
            estimated_value,
            qualification: if qualification == QualificationPatch::default() {
                Patch::Absent
            } else {
                Patch::Value(qualification)
            },
            ..LeadChange::default()
        }
    }

    fn new_lead(&self, reference: ExternalReferenceInput) -> NewLead {
        let text = |path: &str| self.text(path).map(str::to_owned);
        let change = self.change();
        let made = || title(self.text(COMPANY), self.text(JOB_TITLE).or_else(|| self.text(LEAD_SOURCE)));
        NewLead {
            title: text("title").unwrap_or_else(made),
            description: text("description"),
            lead_source: text(LEAD_SOURCE),
            customer: CustomerInput {
                company: text(COMPANY),
                website: text(WEBSITE),
                industry: text("customer.industry"),
                employees: self.text(EMPLOYEES).and_then(|count| count.parse().ok()),
                address: Some(AddressInput {
                    street: text("customer.address.street"),
                    city: text("customer.address.city"),
                    region: text("customer.address.region"),
                    postal_code: text("customer.address.postalCode"),
                    country: text(COUNTRY),
                }),
                contact: Some(ContactInput {
                    first_name: text("customer.contact.firstName"),
                    last_name: text("customer.contact.lastName"),
                    job_title: text(JOB_TITLE),
                    email: text(EMAIL),
                    phone: text(PHONE),
                    unread_phone: text(UNREAD_PHONE),
                    phone_country: self.how.default_country.filter(|_| !self.is_abroad),
                }),
            },
            estimated_value: change.estimated_value.value(),
            qualification: change.qualification.value().unwrap_or_default(),
            external_reference: Some(reference),
            ..NewLead::default()
        }
    }
}

/// Whose need it is, and who asks or how it came. What can't be shown is left out: its own field's fault tells of it.
pub(super) fn title(company: Option<&str>, what: Option<&str>) -> String {
    let clean = |part: Option<&str>| Rules::line(TITLE_MAX * 5).clean(part?).ok().flatten();
    let company = clean(company).unwrap_or_else(|| "?".to_owned());
    let line = clean(what).map_or_else(|| company.clone(), |what| format!("{company}: {what}"));
    if line.chars().count() <= TITLE_MAX {
        return line;
    }
    let cut: String = line.chars().take(TITLE_MAX - 1).collect();
    format!("{}…", cut.trim_end())
}

/// The web address that people mean: they write `www.example.com`, and where there is none `n/a`. None where it has no
/// host on the Internet.
fn website(typed: &str) -> Option<String> {
    const NONE: [&str; 18] = [
        "",
        "ka",
        "kein",
        "keine",
        "na",
        "nil",
        "no",
        "none",
        "notavailable",
        "notprovided",
        "nowebsite",
        "null",
        "tba",
        "tbd",
        "unbekannt",
        "unknown",
        "x",
        "xx",
    ];
    let typed = typed.trim();
    let whole = if typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") };
    let (_, rest) = whole.split_once("://")?;
    let said: String = rest.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if NONE.contains(&said.as_str()) {
        return None;
    }
    let url = Url::parse(&whole).ok()?;
    let known = match url.host()? {
        Host::Domain(name) => name.trim_end_matches('.').contains('.'),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    };
    known.then_some(whole)
}

/// The whole number of a text: some exports write it as `120.0`, some as `1,200`.
fn whole_number(typed: &str) -> Option<i64> {
    let typed = typed.trim();
    if let Some(count) = grouped(typed) {
        return Some(count);
    }
    // 1.200 is one and a fifth to some, and twelve hundred to others.
    if typed.split_once('.').is_some_and(|(_, rest)| rest.len() == 3) {
        return None;
    }
    let number: f64 = typed.parse().ok()?;
    #[allow(clippy::cast_possible_truncation, reason = "whole and below 10^15")]
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

/// A number whose thousands stand apart, as in `1,200`, `1 200` or `1'200`.
fn grouped(typed: &str) -> Option<i64> {
    let mark = typed.chars().find(|c| !c.is_ascii_digit())?;
    if !matches!(mark, ',' | ' ' | '\'' | '\u{A0}' | '\u{202F}' | '\u{2019}') {
        return None;
    }
    let mut groups = typed.split(mark);
    let first = groups.next()?;
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let sound = (1..=3).contains(&first.len()) && digits(first) && groups.all(|part| part.len() == 3 && digits(part));
    sound.then(|| typed.replace(mark, "").parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
