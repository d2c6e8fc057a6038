use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::arbitrary::{any_json, mutated};
use crate::error::Fault;

fn export(records: &Value) -> Export {
    read(json!({ "records": records }).to_string().as_bytes()).unwrap()
}

fn only(record: &Value) -> Content {
    export(&json!([record])).records.remove(0).content
}

fn lead(record: &Value) -> Reading {
    match only(record) {
        Content::Lead(reading) => *reading,
        other => panic!("{other:?}"),
    }
}

/// All that is wrong with a record: what its reading finds, and what the domain finds when it is created.
fn faults(record: &Value) -> Vec<(String, String)> {
    let places = match only(record) {
        Content::Faulty(places) => places,
        Content::Lead(reading) => {
            let mut faults: Vec<Fault> = Vec::new();
            let _ = reading.lead.customer.validate("input.customer", &mut faults);
            place_faults(&faults, &reading.sources, "/records/0")
        }
        Content::Skipped(why) => panic!("skipped: {why}"),
    };
    places.into_iter().map(|place| (place.pointer, place.message)).collect()
}

fn whole() -> Value {
    json!({
        "attributes": {"type": "Lead", "referenceId": "LeadRef1", "url": "/services/data/v60.0/sobjects/Lead/x"},
        "Salutation": "Mr.", "FirstName": "Anselm", "LastName": "Quist", "Title": "Head of Purchasing",
        "Company": "Brackwater Mills", "Website": "www.brackwater.example", "Industry": "Textiles",
        "NumberOfEmployees": 240.0, "Street": "4 Mill Lane\r\nUnit 2", "City": "Boise", "State": "ID",
        "PostalCode": "83702", "Country": "USA", "Phone": "(208) 555-0142", "Email": "anselm@brackwater.example",
        "LeadSource": "Web", "Description": "Wants new looms.", "AnnualRevenue": 1_000_000, "IsConverted": false,
        "Fax": null, "Rating": "  "
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut record = whole();
    record[field] = value;
    record
}

#[test]
fn a_record_becomes_a_lead_with_all_that_is_kept() {
    let Reading { lead, reference, .. } = lead(&whole());
    assert_eq!(lead.title, "Brackwater Mills: Head of Purchasing");
    assert_eq!(lead.lead_source.as_deref(), Some("Web"));
    assert_eq!(lead.description.as_deref(), Some("Wants new looms."));
    assert_eq!((reference.system.as_str(), reference.id.as_str(), reference.url), ("salesforce", "LeadRef1", None));
    let customer = lead.customer.validate("input.customer", &mut Vec::new()).unwrap();
    assert_eq!(customer.company, "Brackwater Mills");
    assert_eq!(customer.website.as_deref(), Some("https://www.brackwater.example/"));
    assert_eq!(customer.industry.as_deref(), Some("Textiles"));
    assert_eq!(customer.employees, Some(240));
    let address = customer.address;
    assert_eq!(address.street.as_deref(), Some("4 Mill Lane\nUnit 2"));
    assert_eq!((address.city.as_deref(), address.region.as_deref()), (Some("Boise"), Some("ID")));
    assert_eq!((address.postal_code.as_deref(), address.country.as_deref()), (Some("83702"), Some("US")));
    let contact = customer.contact;
    assert_eq!((contact.first_name.as_deref(), contact.last_name.as_deref()), (Some("Anselm"), Some("Quist")));
    assert_eq!(contact.job_title.as_deref(), Some("Head of Purchasing"));
    assert_eq!(contact.email.as_deref(), Some("anselm@brackwater.example"));
    let phone = contact.phone.unwrap();
    assert_eq!((phone.e164.as_str(), phone.typed.as_str()), ("+12085550142", "(208) 555-0142"));
}

#[test]
fn fields_that_are_not_kept_are_counted_and_empty_ones_are_not() {
    let found = export(&json!([whole(), whole()])).unkept;
    let found: Vec<_> = found.iter().map(|(field, count)| (field.as_str(), *count)).collect();
    assert_eq!(found, [("AnnualRevenue", 2), ("Salutation", 2)]);
}

#[test]
fn a_title_says_who_and_why_and_fits() {
    assert_eq!(lead(&with("Title", Value::Null)).lead.title, "Brackwater Mills: Web");
    let mut bare = with("Title", json!(" "));
    bare["LeadSource"] = Value::Null;
    assert_eq!(lead(&bare).lead.title, "Brackwater Mills");
    let long = lead(&with("Company", json!("B".repeat(199)))).lead.title;
    assert_eq!(long.chars().count(), TITLE_MAX);
    assert!(long.ends_with('…'));
}

#[test]
fn a_record_is_known_again_by_its_id_short_or_long_and_else_by_its_reference() {
    for (id, url, known) in [
        (json!("00Q0S000002QgjU"), json!(null), "00Q0S000002QgjUUAS"),
        (json!("00Q0S000002QgjUUAS"), json!("https://x.example/00Q0S000002QgjUUAS"), "00Q0S000002QgjUUAS"),
        (json!(null), json!("/services/data/v60.0/sobjects/Lead/00Q0S000002QgjaUAC"), "00Q0S000002QgjaUAC"),
        (json!(""), json!("/services/data/v60.0/sobjects/Lead"), "LeadRef1"),
    ] {
        let mut record = with("Id", id);
        record["attributes"]["url"] = url;
        assert_eq!(lead(&record).reference.id, known);
    }
    let mut record = whole();
    record["attributes"]["url"] = json!("https://x.example/lightning/r/Lead/1/view");
    assert_eq!(lead(&record).reference.url.as_deref(), Some("https://x.example/lightning/r/Lead/1/view"));
}

#[test]
fn a_second_number_or_code_stands_in_for_a_first_that_is_empty() {
    let mut record = with("Phone", json!(""));
    record["MobilePhone"] = json!("+44 20 7946 0958");
    record["Country"] = Value::Null;
    record["CountryCode"] = json!("GB");
    let customer = lead(&record).lead.customer;
    assert_eq!(customer.contact.unwrap().phone.as_deref(), Some("+44 20 7946 0958"));
    assert_eq!(customer.address.unwrap().country.as_deref(), Some("GB"));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_in_the_record_s_own_words() {
    for (field, value, pointer, says) in [
        ("LastName", json!(null), "/LastName", "LastName is required"),
        ("LastName", json!("  "), "/LastName", "LastName is required"),
        ("Company", json!(null), "/Company", "Company is required"),
        ("Company", json!("C".repeat(201)), "/Company", "Company must have at most 200 characters; it has 201"),
        ("Company", json!("Brack\u{202e}water"), "/Company", "Company must not contain the control character U+202E"),
        (
            "Email",
            json!("anselm@"),
            "/Email",
            "Email must be an e-mail address, such as \"name@example.com\". It is \"anselm@\".",
        ),
        ("Email", json!(7), "/Email", "Email must be a text"),
        ("Phone", json!("call me"), "/Phone", "Phone must be a phone number of US"),
        ("Phone", json!(2_085_550_142), "/Phone", "Phone must be a text"),
        ("Country", json!("Atlantis"), "/Country", "Country must be a country's ISO 3166-1 code or English name"),
        ("NumberOfEmployees", json!(1.5), "/NumberOfEmployees", "NumberOfEmployees must be a whole number"),
        ("NumberOfEmployees", json!(-1), "/NumberOfEmployees", "NumberOfEmployees must be from 0 to 10000000"),
        ("Website", json!("ftp://brackwater.example"), "/Website", "Website must be a web address"),
        ("Title", json!("T".repeat(101)), "/Title", "Title must have at most 100 characters"),
        ("Id", json!("00Q-not-an-id"), "/Id", "Id must be a Salesforce id"),
        ("attributes", json!({"type": "Account"}), "/attributes/type", "this is of the type \"Account\""),
        ("attributes", json!({}), "/attributes/type", "doesn't say that it is of the type Lead"),
        ("attributes", json!({"type": "Lead"}), "", "neither Id nor attributes.referenceId"),
    ] {
        let found = faults(&with(field, value.clone()));
        assert_eq!(found.len(), 1, "{field} {value}: {found:?}");
        assert_eq!(found[0].0, format!("/records/0{pointer}"));
        assert!(found[0].1.contains(says), "{}", found[0].1);
    }
    assert_eq!(faults(&json!("a lead")), [("/records/0".to_owned(), "A record must be an object.".to_owned())]);
}

#[test]
fn all_that_is_wrong_with_a_record_is_told_at_once() {
    let mut record = with("Country", json!("Atlantis"));
    record["Email"] = json!("no address");
    record["LastName"] = json!("");
    let places: Vec<_> = faults(&record).into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, ["/records/0/LastName", "/records/0/Country", "/records/0/Email"]);
}

#[test]
fn a_converted_lead_is_passed_over() {
    assert!(matches!(only(&with("IsConverted", json!(true))), Content::Skipped(_)));
}

#[test]
fn a_tree_a_query_s_answer_and_an_array_are_read() {
    let place = |text: String| read(text.as_bytes()).unwrap().records.remove(0).pointer;
    let lead = whole();
    assert_eq!(place(json!({ "records": [lead] }).to_string()), "/records/0");
    assert_eq!(place(json!({ "status": 0, "result": { "records": [lead] } }).to_string()), "/result/records/0");
    assert_eq!(place(format!("\u{FEFF}{}", json!([lead]))), "/0");
}

#[test]
fn what_is_no_export_is_refused_with_its_place() {
    let fault = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(fault(b"{\n  \"records\": [,]\n}"), "line 2, column 15: this is no JSON: expected value");
    assert!(fault(b"").starts_with("line 1, column 0: this is no JSON"));
    assert!(fault(b"{\"rows\": []}").contains("no list of records"));
    assert!(fault(b"\xFF\xFE[\0]\0").contains("UTF-16"));
    assert!(fault(b"[\"\xC3\x28\"]").contains("no JSON"));
}

const WORDS: &[&str] = &[
    "records",
    "attributes",
    "type",
    "Lead",
    "Company",
    "LastName",
    "Email",
    "Phone",
    "Website",
    "NumberOfEmployees",
    "Country",
    "State",
    "Street",
    "AnnualRevenue",
    "IsConverted",
    "Id",
    "referenceId",
    "url",
    "LeadSource",
];

/// Reads a file to its end, as an import does.
fn taken(bytes: &[u8]) {
    for record in read(bytes).map_or_else(|_| Vec::new(), |export| export.records) {
        if let Content::Lead(reading) = record.content {
            let mut faults = Vec::new();
            let _ = reading.lead.customer.validate("input.customer", &mut faults);
            place_faults(&faults, &reading.sources, &record.pointer);
        }
    }
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), json in any_json(WORDS), one in any_json(WORDS),
        text in mutated(json!({ "records": [whole()] }).to_string()),
    ) {
        taken(&bytes);
        taken(json.to_string().as_bytes());
        taken(json!({ "records": [one] }).to_string().as_bytes());
        taken(text.as_bytes());
    }

    #[test]
    fn a_record_with_anything_in_one_field_is_read_skipped_or_told_of(
        field in prop::sample::select(whole().as_object().unwrap().keys().cloned().collect::<Vec<_>>()), value in any_json(WORDS),
    ) {
        let file = json!({ "records": [with(&field, value), whole()] });
        let export = read(file.to_string().as_bytes()).unwrap();
        prop_assert_eq!(export.records.len(), 2);
        // What is wrong with one is the other's no fault.
        prop_assert!(matches!(export.records[1].content, Content::Lead(_)));
        taken(file.to_string().as_bytes());
    }
}
