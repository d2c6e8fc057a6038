//! Salesforce's leads: the sObject tree that `sf data export tree` writes, the answer of a query (`sf data query
//! --json`), or an array of such records.
//!
//! How a record becomes a lead:
//!
//! | lead | record |
//! | --- | --- |
//! | title | `Company: Title`, else `Company: LeadSource`, else `Company`; cut to the longest title |
//! | description, lead source | `Description`, `LeadSource` |
//! | customer | `Company`, `Website` (with `https://` where no scheme is written), `Industry`, `NumberOfEmployees` |
//! | address | `Street`, `City`, `State` or `StateCode`, `PostalCode`, `Country` (code or English name) or `CountryCode` |
//! | contact | `FirstName`, `LastName`, `Title`, `Email`, `Phone` or `MobilePhone` (a national number is one of the country's) |
//! | reference | `Id`, else the id at the end of `attributes.url`, else `attributes.referenceId` |
//!
//! `AnnualRevenue` says how large the customer is, not what the lead is worth, and has no currency: it is not kept.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Content, Export, Place, Reading, Record, Source, Unreadable, place_faults, quoting};
use crate::{
    domain::{
        country::Country,
        customer::{AddressInput, ContactInput, CustomerInput},
        lead::TITLE_MAX,
        reference::ExternalReferenceInput,
        text::{self, Rules},
    },
    service::lead::NewLead,
};

/// The system's name in references.
pub const SYSTEM: &str = "salesforce";

/// Reads a file.
///
/// # Errors
/// When it is no JSON, or holds no list of records.
pub fn read(bytes: &[u8]) -> Result<Export, Unreadable> {
    let unreadable = |message: &str| Unreadable { message: message.to_owned(), place: None };
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(unreadable("the text is UTF-16; save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let root: Value = serde_json::from_slice(bytes).map_err(|fault| {
        let (line, column) = (fault.line(), fault.column());
        let text = fault.to_string();
        let message = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text).to_owned();
        Unreadable { message: format!("this is no JSON: {message}"), place: (line > 0).then_some((line, column)) }
    })?;
    let (prefix, records) = ["/records", "/result/records", ""]
        .into_iter()
        .find_map(|pointer| Some((pointer, root.pointer(pointer)?.as_array()?)))
        .ok_or_else(|| unreadable("there is no list of records: {\"records\": [...]} or [...] is expected"))?;
    let mut unkept = BTreeMap::new();
    let records = records
        .iter()
        .enumerate()
        .map(|(index, value)| record(index, format!("{prefix}/{index}"), value, &mut unkept))
        .collect();
    Ok(Export { records, unkept })
}

fn record(index: usize, pointer: String, value: &Value, unkept: &mut BTreeMap<String, usize>) -> Record {
    let Value::Object(fields) = value else {
        let place = Place { pointer: pointer.clone(), message: "A record must be an object.".to_owned() };
        return Record { index, name: None, pointer, content: Content::Faulty(vec![place]) };
    };
    let mut reader = Reader { pointer: &pointer, fields, used: Vec::new(), sources: Vec::new(), faults: Vec::new() };
    let content = reader.content();
    if matches!(content, Content::Lead(_)) {
        let used = reader.used;
        for (field, _) in fields.iter().filter(|(field, said)| !used.contains(&field.as_str()) && !is_empty(said)) {
            *unkept.entry(text::excerpt(field)).or_default() += 1;
        }
    }
    let attributes = fields.get("attributes");
    let name = fields.get("Id").or_else(|| attributes?.get("referenceId")).or_else(|| attributes?.get("url"));
    Record { index, name: name.and_then(Value::as_str).map(text::excerpt), pointer, content }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(said) => text::is_blank(said),
        _ => false,
    }
}

struct Reader<'a> {
    pointer: &'a str,
    fields: &'a Map<String, Value>,
    used: Vec<&'static str>,
    sources: Vec<Source>,
    faults: Vec<Place>,
}

impl Reader<'_> {
    fn content(&mut self) -> Content {
        match self.fields.get("attributes").and_then(|attributes| attributes.get("type")) {
            Some(Value::String(kind)) if kind == "Lead" => {}
            Some(Value::String(kind)) => {
                let kind = text::excerpt(kind);
                let message = format!("Only records of the type Lead are imported; this is of the type \"{kind}\".");
                self.fault("/attributes/type", message);
                return Content::Faulty(std::mem::take(&mut self.faults));
            }
            _ => {
                self.fault("/attributes/type", "The record doesn't say that it is of the type Lead.".to_owned());
                return Content::Faulty(std::mem::take(&mut self.faults));
            }
        }
        self.used.extend(["attributes", "IsConverted"]);
        if self.fields.get("IsConverted") == Some(&Value::Bool(true)) {
            return Content::Skipped("converted in Salesforce");
        }
        let reference = self.reference();
        let lead = self.lead();
        let mut faults = Vec::new();
        let kept = reference.clone().validate("input.externalReference", &mut faults);
        if !self.faults.is_empty() {
            // All that is wrong with a record is told at once; a whole lead is checked when it is created.
            let _ = lead.customer.clone().validate("input.customer", &mut faults);
        }
        let placed = place_faults(&faults, &self.sources, self.pointer);
        self.faults.extend(placed);
        match kept {
            Some(kept) if self.faults.is_empty() => Content::Lead(Box::new(Reading {
                lead: NewLead { external_reference: Some(reference), ..lead },
                reference: kept,
                sources: std::mem::take(&mut self.sources),
            })),
            _ => Content::Faulty(std::mem::take(&mut self.faults)),
        }
    }

    fn lead(&mut self) -> NewLead {
        let company = self.text("Company", "input.customer.company");
        let last_name = self.text("LastName", "input.customer.contact.lastName");
        if last_name.is_none() && self.is_absent("LastName") {
            self.fault("/LastName", "LastName is required and must not be blank.".to_owned());
        }
        if company.is_none() && self.is_absent("Company") {
            self.fault("/Company", "Company is required and must not be blank.".to_owned());
        }
        let job_title = self.text("Title", "input.customer.contact.jobTitle");
        let lead_source = self.text("LeadSource", "input.leadSource");
        let title = title(company.as_deref(), job_title.as_deref().or(lead_source.as_deref()));
        let address = self.address();
        let phone = self.either(["Phone", "MobilePhone"], "input.customer.contact.phone");
        // Without its country a national number is none; the country's own fault is enough.
        let lost = self.faults.iter().any(|fault| fault.pointer.contains("/Country"));
        let phone = phone.filter(|phone| !lost || phone.trim_start().starts_with('+'));
        let contact = ContactInput {
            first_name: self.text("FirstName", "input.customer.contact.firstName"),
            last_name,
            job_title,
            email: self.text("Email", "input.customer.contact.email"),
            phone,
        };
        let customer = CustomerInput {
            company: Some(company.unwrap_or_else(|| "?".to_owned())),
            website: self.text("Website", "input.customer.website").map(absolute),
            industry: self.text("Industry", "input.customer.industry"),
            employees: self.count("NumberOfEmployees", "input.customer.employees"),
            address: Some(address),
            contact: Some(contact),
        };
        let description = self.text("Description", "input.description");
        NewLead { title, description, lead_source, customer, ..NewLead::default() }
    }

    fn address(&mut self) -> AddressInput {
        let typed = self.either(["Country", "CountryCode"], "input.customer.address.country");
        let country = typed.as_deref().and_then(Country::find);
        if let (Some(typed), None) = (&typed, country) {
            let field = if self.is_absent("Country") { "/CountryCode" } else { "/Country" };
            let name = &field[1..];
            let message =
                format!("{name} must be a country's ISO 3166-1 code or English name, such as \"DE\" or \"Germany\".");
            self.fault(field, quoting(&message, typed));
        }
        AddressInput {
            street: self.text("Street", "input.customer.address.street"),
            city: self.text("City", "input.customer.address.city"),
            region: self.either(["State", "StateCode"], "input.customer.address.region"),
            postal_code: self.text("PostalCode", "input.customer.address.postalCode"),
            country: country.map(|country| country.code().to_owned()),
        }
    }

    /// The record's name. The tree's `referenceId` is the last resort: it need not be unique beyond its file.
    fn reference(&mut self) -> ExternalReferenceInput {
        let attributes = self.fields.get("attributes");
        let attribute = |name: &str| attributes.and_then(|it| it.get(name)).and_then(Value::as_str).map(str::trim);
        let (address, reference) = (attribute("url"), attribute("referenceId").filter(|id| !id.is_empty()));
        let path = "input.externalReference.id";
        let id = if let Some(typed) = self.text("Id", path) {
            let id = record_id(typed.trim());
            if id.is_none() {
                let message = "Id must be a Salesforce id of 15 or 18 letters and digits.";
                self.fault("/Id", quoting(message, &typed));
            }
            // What is wrong with it has been said; nothing of a faulty record is kept.
            Some(id.unwrap_or_else(|| "?".to_owned()))
        } else if let Some(id) = address.and_then(|url| record_id(url.rsplit('/').next()?)) {
            Some(id)
        } else {
            if let Some(said) = reference {
                let said = said.to_owned();
                self.sources.push(Source { path, field: "/attributes/referenceId".to_owned(), said });
            } else if self.faults.is_empty() {
                let message = "The record has neither Id nor attributes.referenceId: it could not be known again, and \
                               a second import would create it twice.";
                self.fault("", message.to_owned());
            }
            Some(reference.unwrap_or("?").to_owned())
        };
        let url = address.filter(|url| url.starts_with("https://") || url.starts_with("http://")).map(str::to_owned);
        if let Some(said) = url.clone() {
            self.sources.push(Source {
                path: "input.externalReference.url",
                field: "/attributes/url".to_owned(),
                said,
            });
        }
        ExternalReferenceInput { system: Some(SYSTEM.to_owned()), id, url }
    }

    fn fault(&mut self, field: &str, message: String) {
        self.faults.push(Place { pointer: format!("{}{field}", self.pointer), message });
    }

    fn is_absent(&self, field: &str) -> bool {
        self.fields.get(field).is_none_or(is_empty)
    }

    /// The text of a field that has one.
    fn text(&mut self, field: &'static str, path: &'static str) -> Option<String> {
        self.used.push(field);
        match self.fields.get(field)? {
            Value::Null => None,
            Value::String(said) if text::is_blank(said) => None,
            Value::String(said) => {
                self.sources.push(Source { path, field: format!("/{field}"), said: said.clone() });
                Some(said.clone())
            }
            _ => {
                self.fault(&format!("/{field}"), format!("{field} must be a text in quotation marks."));
                None
            }
        }
    }

    /// The text of the first of two fields, else of the second.
    fn either(&mut self, fields: [&'static str; 2], path: &'static str) -> Option<String> {
        let [first, second] = fields;
        if !self.is_absent(first) || self.is_absent(second) {
            return self.text(first, path);
        }
        self.text(second, path)
    }

    /// The whole number of a field that has one; exports write some of them as `120.0`.
    fn count(&mut self, field: &'static str, path: &'static str) -> Option<i64> {
        self.used.push(field);
        let value = self.fields.get(field).filter(|value| !is_empty(value))?;
        let whole = value.as_i64().or_else(|| {
            let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15)?;
            #[allow(clippy::cast_possible_truncation, reason = "whole and below 10^15")]
            Some(number as i64)
        });
        if whole.is_none() {
            self.fault(&format!("/{field}"), format!("{field} must be a whole number."));
        }
        self.sources.push(Source { path, field: format!("/{field}"), said: value.to_string() });
        whole
    }
}

/// Whose need it is, and who asks or how it came. What can't be shown is left out: its own field's fault tells of it.
fn title(company: Option<&str>, what: Option<&str>) -> String {
    let clean = |part: Option<&str>| Rules::line(TITLE_MAX * 5).clean(part?).ok().flatten();
    let company = clean(company).unwrap_or_else(|| "?".to_owned());
    let line = clean(what).map_or_else(|| company.clone(), |what| format!("{company}: {what}"));
    if line.chars().count() <= TITLE_MAX {
        return line;
    }
    let cut: String = line.chars().take(TITLE_MAX - 1).collect();
    format!("{}…", cut.trim_end())
}

/// People write `www.example.com`.
fn absolute(website: String) -> String {
    if website.contains("://") { website } else { format!("https://{}", website.trim()) }
}

/// A record's id in its long form, which does not depend on the case: the short one of 15 characters names the same
/// record as it does with three more, which say which of its letters are capitals.
fn record_id(id: &str) -> Option<String> {
    if !matches!(id.len(), 15 | 18) || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let short = &id[..15];
    let suffix = short.as_bytes().chunks(5).map(|part| {
        let bits = part.iter().rev().fold(0, |bits, byte| bits << 1 | usize::from(byte.is_ascii_uppercase()));
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits])
    });
    if id.len() == 18 { Some(id.to_owned()) } else { Some(short.chars().chain(suffix).collect()) }
}

#[cfg(test)]
mod tests;
