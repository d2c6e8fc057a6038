//! Which column of a record each field of a lead is read from.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{json, salesforce};
use crate::domain::text;

/// What a mapping can say, by its path in the file. Below `lead` the paths are those of the API.
const PLACES: &[&str] = &[
    "lead.title",
    "lead.description",
    "lead.leadSource",
    "lead.estimatedValue.amount",
    "lead.estimatedValue.currency",
    "lead.customer.company",
    "lead.customer.website",
    "lead.customer.industry",
    "lead.customer.employees",
    "lead.customer.address.street",
    "lead.customer.address.city",
    "lead.customer.address.region",
    "lead.customer.address.postalCode",
    "lead.customer.address.country",
    "lead.customer.contact.firstName",
    "lead.customer.contact.lastName",
    "lead.customer.contact.jobTitle",
    "lead.customer.contact.email",
    "lead.customer.contact.phone",
    "lead.qualification.goal",
    "lead.qualification.implementationOptions",
    "lead.qualification.procurementProcedure",
    "lead.qualification.decisionLevel",
    "lead.qualification.terms",
    "lead.qualification.decisionMaker",
    "lead.qualification.selectionCriteria",
    "lead.qualification.complianceWithCriteria",
    "lead.qualification.channel",
    "lead.externalReference.id",
    "lead.externalReference.url",
    "lead.owner.email",
    "skip.deleted",
    "skip.merged",
    "skip.converted",
    "optOut.email",
    "optOut.phone",
];

/// Which column of a record each field of a lead is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The system's name in references.
    pub system: String,
    rules: BTreeMap<&'static str, Rule>,
}

/// Where one field comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule {
    /// The first of these that has a value.
    pub(super) from: Vec<Column>,
    /// The value where none of them has one.
    pub(super) default: Option<String>,
    /// Whether a mapping file says so, and not the defaults.
    pub(super) named: bool,
}

/// A column of a table, or a key or a place of a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// As the mapping has it: `Email`, `Owner.Email` or `/Owner/Email`.
    pub(super) name: String,
    /// The keys that lead there, where the name is not itself a key.
    path: Vec<String>,
}

/// A value that a record has.
#[derive(Debug)]
pub(super) struct Found<'r> {
    pub(super) value: &'r Value,
    /// The keys that lead there.
    pub(super) path: Vec<&'r str>,
}

impl Column {
    fn new(name: &str) -> Self {
        let path = match name.strip_prefix('/') {
            Some(rest) => rest.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect(),
            None if name.contains('.') => name.split('.').map(str::to_owned).collect(),
            None => Vec::new(),
        };
        Self { name: name.to_owned(), path }
    }

    pub(super) fn find<'r>(&self, fields: &'r Map<String, Value>) -> Option<Found<'r>> {
        if let Some((key, value)) = fields.get_key_value(&self.name) {
            return Some(Found { value, path: vec![key] });
        }
        let (first, rest) = self.path.split_first()?;
        let (key, mut value) = fields.get_key_value(first)?;
        let mut path = vec![key.as_str()];
        for step in rest {
            let (key, below) = value.as_object()?.get_key_value(step)?;
            path.push(key);
            value = below;
        }
        Some(Found { value, path })
    }
}

impl Default for Mapping {
    /// By the names of Salesforce.
    fn default() -> Self {
        let rules = salesforce::COLUMNS.iter().map(|(place, names)| {
            let from = names.iter().map(|name| Column::new(name)).collect();
            (*place, Rule { from, ..Rule::default() })
        });
        Self { system: salesforce::SYSTEM.to_owned(), rules: rules.collect() }
    }
}

impl Mapping {
    /// The mapping of a file, which is TOML, or JSON. What it does not say is as in the default mapping, unless it says
    /// `defaults = false`.
    ///
    /// # Errors
    /// All that is wrong with it, each with its place.
    pub fn read(text: &str, is_json: bool) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let root = if is_json {
            let (root, twice) = json::value(text).map_err(|fault| vec![fault.to_string()])?;
            faults.extend(twice.into_iter().map(|pointer| format!("{pointer}: This key is there twice.")));
            root
        } else {
            toml::from_str(text).map_err(|fault| {
                let before = text.get(..fault.span().map_or(0, |span| span.start)).unwrap_or_default();
                vec![format!("line {}: {}", before.matches('\n').count() + 1, fault.message())]
            })?
        };
        let Value::Object(mut root) = root else {
            return Err(vec!["/: The mapping must be an object.".to_owned()]);
        };
        let mut mapping = Self::default();
        match root.remove("defaults") {
            None | Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => mapping.rules.clear(),
            Some(_) => faults.push("/defaults: This must be true or false.".to_owned()),
        }
        match root.remove("system") {
            None => {}
            Some(Value::String(system)) if is_system(&system) => mapping.system = system,
            Some(_) => faults.push(
                "/system: This must be the system's name, of at most 50 of a-z, 0-9, '.', '_' and '-', such as \
                 \"hubspot\"."
                    .to_owned(),
            ),
        }
        let mut rules = BTreeMap::new();
        walk(&root, "", "", &mut rules, &mut faults);
        mapping.rules.extend(rules);
        for needed in ["lead.customer.company", "lead.externalReference.id"] {
            if mapping.rule(needed).is_none_or(|rule| rule.from.is_empty() && rule.default.is_none()) {
                faults.push(format!("/: {needed} is wanting: there is no lead without it."));
            }
        }
        if mapping.rule("lead.externalReference.id").is_some_and(|rule| rule.named && rule.default.is_some()) {
            let fault = "/lead/externalReference/id: It must be another one for each record, so there is no default.";
            faults.push(fault.to_owned());
        }
        if faults.is_empty() { Ok(mapping) } else { Err(faults) }
    }

    pub(super) fn rule(&self, place: &str) -> Option<&Rule> {
        self.rules.get(place)
    }

    /// The rules of the fields of a lead, by their paths in the API.
    pub(super) fn of_lead(&self) -> impl Iterator<Item = (&'static str, &Rule)> {
        self.rules.iter().filter_map(|(place, rule)| Some((place.strip_prefix("lead.")?, rule)))
    }

    /// Whether the records are told apart as Salesforce's are.
    pub(super) fn is_salesforce(&self) -> bool {
        self.system == salesforce::SYSTEM && self.rule("lead.externalReference.id").is_some_and(|rule| !rule.named)
    }

    /// The names that columns of a table are known by: each is the mapping's own where it differs from it only in case,
    /// spaces and punctuation ("Lead Source" is `LeadSource`).
    ///
    /// # Errors
    /// What the table lacks, or has twice.
    pub(super) fn header(&self, typed: &[String]) -> Result<Vec<String>, String> {
        let wanted: Vec<&Column> = self.rules.values().flat_map(|rule| &rule.from).collect();
        let names: Vec<String> = typed
            .iter()
            .map(|name| {
                if wanted.iter().any(|column| column.name == *name) {
                    return name.clone();
                }
                let like = |column: &&&Column| loose(&column.name) == loose(name) && !typed.contains(&column.name);
                wanted.iter().find(like).map_or_else(|| name.clone(), |column| column.name.clone())
            })
            .collect();
        let has = |column: &Column| names.contains(&column.name);
        for column in &wanted {
            if names.iter().filter(|name| **name == column.name).count() > 1 {
                return Err(format!("the header row has the column {} twice", text::excerpt(&column.name)));
            }
        }
        let listed = || {
            let shown: Vec<_> = typed.iter().take(50).map(|name| text::excerpt(name)).collect();
            shown.join(", ")
        };
        for rule in self.rules.values().filter(|rule| rule.named) {
            if let Some(column) = rule.from.iter().find(|column| !has(column)) {
                let name = text::excerpt(&column.name);
                return Err(format!("the mapping names the column {name}, and the header row has {}", listed()));
            }
        }
        for needed in ["lead.customer.company", "lead.externalReference.id"] {
            let rule = self.rule(needed).filter(|rule| rule.default.is_none());
            if let Some(rule) = rule.filter(|rule| !rule.from.iter().any(has)) {
                let names: Vec<_> = rule.from.iter().map(|column| column.name.as_str()).collect();
                return Err(format!(
                    "there is no column for {needed}, such as {}; the header row has {}. A mapping (--mapping) says which \
                     it is",
                    names.join(" or "),
                    listed(),
                ));
            }
        }
        Ok(names)
    }
}

/// What two ways to write a column's name have in common.
fn loose(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn is_system(name: &str) -> bool {
    (1..=50).contains(&name.len()) && name.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

fn walk(
    table: &Map<String, Value>,
    prefix: &str,
    pointer: &str,
    rules: &mut BTreeMap<&'static str, Rule>,
    faults: &mut Vec<String>,
) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let at = format!("{pointer}/{}", text::excerpt(key));
        if let Some(place) = PLACES.iter().find(|place| **place == path) {
            match leaf(value) {
                Ok(rule) => {
                    if rules.insert(place, rule).is_some() {
                        faults.push(format!("{at}: {path} is there twice."));
                    }
                }
                Err(fault) => faults.push(format!("{at}: {fault}")),
            }
        } else if PLACES.iter().any(|place| place.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.'))) {
            match value {
                Value::Object(below) => walk(below, &path, &at, rules, faults),
                _ => faults.push(format!("{at}: This must be a table of fields.")),
            }
        } else {
            let near = PLACES.iter().min_by_key(|place| strsim::osa_distance(place, &path));
            let meant = near.filter(|near| strsim::osa_distance(near, &path) <= 3);
            let hint = meant.map(|near| format!(" {near} is one.")).unwrap_or_default();
            faults.push(format!("{at}: A mapping has no such place.{hint}"));
        }
    }
}

fn leaf(value: &Value) -> Result<Rule, String> {
    const FORM: &str = "This must be a column, a list of columns, {from = ..., default = ...} or {constant = ...}.";
    let column = |value: &Value| match value {
        Value::String(name) if !text::is_blank(name) => Ok(Column::new(name.trim())),
        _ => Err("A column must be a text that is not blank.".to_owned()),
    };
    let columns = |value: &Value| match value {
        Value::Array(names) if !names.is_empty() => names.iter().map(column).collect(),
        Value::Array(_) => Err("A list of columns must not be empty.".to_owned()),
        value => Ok(vec![column(value)?]),
    };
    let said = |value: &Value| match value {
        Value::String(said) if !text::is_blank(said) => Ok(Some(said.clone())),
        _ => Err("A constant or default must be a text that is not blank.".to_owned()),
    };
    let rule = Rule { named: true, ..Rule::default() };
    match value {
        Value::String(_) | Value::Array(_) => Ok(Rule { from: columns(value)?, ..rule }),
        Value::Object(parts) => {
            if let Some(key) = parts.keys().find(|key| !matches!(key.as_str(), "from" | "default" | "constant")) {
                return Err(format!("{} is none of from, default and constant.", text::excerpt(key)));
            }
            match (parts.get("from"), parts.get("default"), parts.get("constant")) {
                (None, None, Some(constant)) => Ok(Rule { default: said(constant)?, ..rule }),
                (Some(from), None, None) => Ok(Rule { from: columns(from)?, ..rule }),
                (Some(from), Some(default), None) => Ok(Rule { from: columns(from)?, default: said(default)?, ..rule }),
                _ => Err(FORM.to_owned()),
            }
        }
        _ => Err(FORM.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        system = "hubspot"
        [lead]
        title = "Deal"
        leadSource = { constant = "Trade fair" }
        customer.company = ["Firma", "/account/name"]
        externalReference.id = "Record ID"
        "customer.contact.email" = { from = "E-Mail", default = "nobody@example.com" }
        [optOut]
        phone = "Robinson"
    "#;

    #[test]
    fn a_mapping_is_read_from_toml_and_json_alike() {
        let mapping = Mapping::read(GOOD, false).unwrap();
        assert_eq!(mapping.system, "hubspot");
        let company = mapping.rule("lead.customer.company").unwrap();
        assert_eq!(
            company.from.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
            ["Firma", "/account/name"]
        );
        assert_eq!(mapping.rule("lead.leadSource").unwrap().default.as_deref(), Some("Trade fair"));
        assert!(mapping.rule("lead.customer.website").is_some_and(|rule| !rule.named), "as in the default mapping");
        let json: Value = toml::from_str(GOOD).unwrap();
        assert_eq!(Mapping::read(&json.to_string(), true), Ok(mapping));
        assert!(
            Mapping::read(&format!("defaults = false\n{GOOD}"), false).unwrap().rule("lead.customer.website").is_none()
        );
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        let wrong = r#"{
            "system": "Hub Spot", "defaults": "no", "leads": {},
            "lead": {
                "customer": { "compnay": "Firma", "company": [], "contact": "E-Mail" },
                "title": { "from": "a", "constant": "b" }, "leadSource": { "form": "a" }, "description": 7,
                "externalReference": { "id": { "constant": "1" } },
                "customer.website": "", "title": "twice"
            }
        }"#;
        let faults = Mapping::read(wrong, true).unwrap_err();
        for begins in [
            "/lead/title: This key is there twice",
            "/defaults: This must be true or false",
            "/system: This must be the system's name",
            "/leads: A mapping has no such place",
            "/lead/customer/compnay: A mapping has no such place. lead.customer.company is one.",
            "/lead/customer/company: A list of columns must not be empty",
            "/lead/customer/contact: This must be a table of fields",
            "/lead/leadSource: form is none of from, default and constant",
            "/lead/description: This must be a column",
            "/lead/customer.website: A column must be a text",
            "/lead/externalReference/id: It must be another one for each record",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(begins)), "{begins}: {faults:#?}");
        }
        assert_eq!(Mapping::read("a = [", false).unwrap_err().len(), 1);
        assert!(Mapping::read("\n\nsystem = ", false).unwrap_err()[0].starts_with("line 3: "));
        assert!(Mapping::read("defaults = false", false).unwrap_err()[0].contains("lead.customer.company is wanting"));
        assert!(Mapping::read("[]", true).unwrap_err()[0].contains("must be an object"));
    }

    #[test]
    fn a_column_is_found_by_its_name_by_dots_and_by_a_pointer() {
        let fields = serde_json::json!({ "Owner": { "Email": "a" }, "x.y": "b", "p/q": { "r": "c" }, "n": null });
        let find = |name: &str| {
            let found = Column::new(name).find(fields.as_object().unwrap()).map(|found| found.value.clone());
            found.and_then(|value| value.as_str().map(str::to_owned))
        };
        for (name, value) in [("Owner.Email", "a"), ("/Owner/Email", "a"), ("x.y", "b"), ("/p~1q/r", "c")] {
            assert_eq!(find(name).as_deref(), Some(value), "{name}");
        }
        for name in ["Owner.Name", "n.x", "z", "/", "/Owner/Email/x"] {
            assert_eq!(find(name), None, "{name}");
        }
    }

    #[test]
    fn a_header_row_is_read_as_people_write_it_and_what_it_lacks_is_told() {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let header = |names: &[&str]| Mapping::default().header(&owned(names));
        let read = header(&["Lead ID", "company", "Lead Source", "First Name", "E-Mail", "Fax"]);
        assert_eq!(read, Ok(owned(&["Lead ID", "Company", "LeadSource", "FirstName", "Email", "Fax"])));
        assert!(header(&["Id", "Name"]).unwrap_err().contains("no column for lead.customer.company, such as Company"));
        assert!(header(&["Company"]).unwrap_err().contains("no column for lead.externalReference.id"));
        assert!(header(&["Id", "Company", "Email", "Email"]).unwrap_err().contains("the column Email twice"));
        let mapping = Mapping::read(GOOD, false).unwrap();
        assert!(mapping.header(&owned(&["Firma"])).unwrap_err().contains("the mapping names the column"));
    }
}
