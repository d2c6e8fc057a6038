use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::arbitrary::{any_json, mutated};
use crate::domain::customer::Customer;
use crate::import::file::{End, Missing, pump};
use crate::import::{Mapping, Record, Unreadable};

fn how(format: Format) -> How {
    How {
        format,
        encoding: None,
        delimiter: None,
        mapping: Mapping::default(),
        default_country: None,
        keep_opted_out: false,
    }
}

/// A file, whole.
fn all(bytes: &[u8], how: &How) -> Result<(Vec<Record>, End), Unreadable> {
    let mut records = Vec::new();
    let end = pump(bytes, how, &mut |record| {
        records.push(record);
        true
    })?;
    Ok((records, end))
}

fn json_file(bytes: &[u8]) -> Result<(Vec<Record>, End), Unreadable> {
    all(bytes, &how(Format::Json))
}

fn table(bytes: &[u8]) -> Result<(Vec<Record>, End), Unreadable> {
    all(bytes, &how(Format::Csv))
}

fn only_by(record: &Value, how: &How) -> Record {
    all(json!({ "records": [record] }).to_string().as_bytes(), how).unwrap().0.remove(0)
}

fn only(record: &Value) -> Record {
    only_by(record, &how(Format::Json))
}

fn reading(record: Record) -> Reading {
    match record.content {
        Content::Lead(reading) => *reading,
        other => panic!("{other:?}"),
    }
}

fn lead(record: &Value) -> Reading {
    reading(only(record))
}

fn kept(reading: Reading) -> Customer {
    let mut faults = Vec::new();
    let customer = reading.new.customer.validate("input.customer", &mut faults);
    customer.unwrap_or_else(|| panic!("{faults:?}"))
}

fn places(places: &[Place]) -> Vec<(String, String)> {
    places.iter().map(|place| (place.pointer.clone(), place.message.clone())).collect()
}

fn faults(record: &Value) -> Vec<(String, String)> {
    match only(record).content {
        Content::Faulty(found) => places(&found),
        other => panic!("{other:?}"),
    }
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
    let record = only(&whole());
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
    let reading = reading(record);
    let (new, reference) = (&reading.new, &reading.reference);
    assert_eq!(new.title, "Brackwater Mills: Head of Purchasing");
    assert_eq!(new.lead_source.as_deref(), Some("Web"));
    assert_eq!(new.description.as_deref(), Some("Wants new looms."));
    assert_eq!((reference.system.as_str(), reference.id.as_str(), &reference.url), ("salesforce", "LeadRef1", &None));
    let customer = kept(reading);
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
fn a_flat_record_of_texts_alone_says_the_same() {
    let mut flat = whole();
    let fields = flat.as_object_mut().unwrap();
    fields.remove("attributes");
    fields.extend([
        ("Id".to_owned(), json!("00Q0S000002QgjU")),
        ("NumberOfEmployees".to_owned(), json!("240")),
        ("IsConverted".to_owned(), json!("false")),
    ]);
    let record = all(json!([flat]).to_string().as_bytes(), &how(Format::Json)).unwrap().0.remove(0);
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
    let reading = reading(record);
    assert_eq!(reading.reference.id, "00Q0S000002QgjUUAS");
    assert_eq!(kept(reading), kept(lead(&whole())));
    let numbers = lead(&with("PostalCode", json!(83702)));
    assert_eq!(kept(numbers).address.postal_code.as_deref(), Some("83702"));
}

#[test]
fn fields_that_are_not_kept_are_counted_and_empty_ones_are_not() {
    let (_, end) = json_file(json!([whole(), whole()]).to_string().as_bytes()).unwrap();
    let found: Vec<_> = end.unkept.iter().map(|(field, count)| (field.as_str(), *count)).collect();
    assert_eq!(found, [("AnnualRevenue", 2), ("Salutation", 2)]);
}

#[test]
fn a_title_says_who_and_why_and_fits() {
    assert_eq!(lead(&with("Title", Value::Null)).new.title, "Brackwater Mills: Web");
    let mut bare = with("Title", json!(" "));
    bare["LeadSource"] = Value::Null;
    assert_eq!(lead(&bare).new.title, "Brackwater Mills");
    let long = lead(&with("Company", json!("B".repeat(255)))).new.title;
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
fn a_second_number_or_region_stands_in_for_a_first_that_is_empty() {
    let mut record = with("Phone", json!(""));
    record["MobilePhone"] = json!("+44 20 7946 0958");
    record["State"] = Value::Null;
    record["StateCode"] = json!("LND");
    let customer = kept(lead(&record));
    assert_eq!(customer.contact.phone.unwrap().e164, "+442079460958");
    assert_eq!(customer.address.region.as_deref(), Some("LND"));
}

#[test]
fn a_country_s_code_comes_before_its_name() {
    for (code, name, country, warnings) in [
        (json!("DE"), json!("Deutschland"), Some("DE"), 0),
        (json!("DE"), json!("Atlantis"), Some("DE"), 0),
        (json!("XX"), json!("Germany"), Some("DE"), 0),
        (json!(null), json!("Korea, Republic of"), Some("KR"), 0),
        (json!("XK"), json!("Kosovo"), Some("XK"), 0),
        (json!(null), json!("Atlantis"), None, 1),
        (json!(null), json!(null), None, 0),
    ] {
        let mut record = with("Country", name.clone());
        record["CountryCode"] = code;
        record["Phone"] = Value::Null;
        let record = only(&record);
        assert_eq!(record.warnings.len(), warnings, "{name}: {:?}", record.warnings);
        assert_eq!(kept(reading(record)).address.country.as_deref(), country, "{name}");
    }
}

#[test]
fn a_bad_value_costs_the_value_and_not_the_lead() {
    for (field, value, says) in [
        (
            "Email",
            json!("anselm@"),
            "Email must be an e-mail address, such as \"name@example.com\". It is \"anselm@\".",
        ),
        ("Email", json!(["a"]), "Email must be a text or a number"),
        ("Country", json!("Atlantis"), "Country must be a country's ISO 3166-1 code or English name"),
        ("NumberOfEmployees", json!(1.5), "NumberOfEmployees must be a whole number"),
        ("NumberOfEmployees", json!("50-100"), "NumberOfEmployees must be a whole number. It is \"50-100\"."),
        ("NumberOfEmployees", json!(-1), "NumberOfEmployees must be from 0 to 10000000"),
        ("Website", json!("ftp://brackwater.example"), "Website must be a web address"),
        ("Website", json!("n/a"), "Website must be a web address"),
        ("Website", json!("intranet"), "Website must be a web address"),
        ("Title", json!("T".repeat(129)), "Title must have at most 128 characters"),
        ("Industry", json!("I".repeat(256)), "Industry must have at most 255 characters"),
        ("PostalCode", json!("0".repeat(21)), "PostalCode must have at most 20 characters"),
        ("Description", json!("D".repeat(32_001)), "Description must have at most 32000 characters"),
        ("City", json!("Boi\u{0}se"), "City must not contain the control character"),
        ("LeadSource", json!("L".repeat(256)), "LeadSource must have at most 255 characters"),
        ("HasOptedOutOfEmail", json!("maybe"), "HasOptedOutOfEmail must be true or false"),
        ("IsConverted", json!("perhaps"), "IsConverted must be true or false"),
    ] {
        let mut record = with(field, value.clone());
        if field == "Country" {
            record["Phone"] = Value::Null;
        }
        let record = only(&record);
        assert_eq!(record.warnings.len(), 1, "{field} {value}: {:?}", record.warnings);
        assert_eq!(record.warnings[0].pointer, format!("/records/0/{field}"));
        assert!(record.warnings[0].message.starts_with(says), "{}", record.warnings[0].message);
        kept(reading(record));
    }
}

#[test]
fn what_is_no_phone_number_is_kept_as_typed() {
    for (typed, country) in [
        ("(860) 644-4201", json!(null)),
        ("n/a", json!("USA")),
        ("030 1234567 / 0151 23456789", json!("Germany")),
        ("call me", json!("USA")),
    ] {
        let mut record = with("Phone", json!(typed));
        record["Country"] = country;
        let record = only(&record);
        assert_eq!(record.warnings.len(), 1, "{typed}: {:?}", record.warnings);
        assert!(record.warnings[0].message.contains(&format!("It is \"{typed}\". It is kept as typed alone.")));
        let contact = kept(reading(record)).contact;
        assert_eq!((contact.phone.as_ref(), contact.phone_as_typed()), (None, Some(typed)));
    }
    let mut national = with("Phone", json!("(860) 644-4201"));
    national["Country"] = Value::Null;
    let by_default = How { default_country: Country::find("US"), ..how(Format::Json) };
    let record = only_by(&national, &by_default);
    assert!(record.warnings.is_empty());
    let customer = kept(reading(record));
    assert_eq!(customer.contact.phone.unwrap().e164, "+18606444201");
    assert_eq!(customer.address.country, None, "it fills in nothing else");
    // The record's own country comes first.
    let record = only_by(&with("Phone", json!("030 123456")), &by_default);
    assert_eq!(record.warnings.len(), 1);
    // So does one that can't be read: the default is not the country that the number was written for.
    let mut abroad = with("Phone", json!("(860) 644-4201"));
    abroad["Country"] = json!("Atlantis");
    let record = only_by(&abroad, &by_default);
    assert_eq!(record.warnings.len(), 2);
    assert_eq!(kept(reading(record)).contact.phone_as_typed(), Some("(860) 644-4201"));
    // A data frame's way to write a number adds no digit.
    for phone in [json!("49301234560.0"), json!(49_301_234_560.0)] {
        let mut record = with("Phone", phone);
        record["Country"] = json!("Germany");
        assert_eq!(kept(lead(&record)).contact.phone_as_typed(), Some("49301234560"));
    }
    let too_long = only(&with("Phone", json!("x".repeat(101))));
    assert!(too_long.warnings[0].message.ends_with("It is left out."));
    assert_eq!(kept(reading(too_long)).contact.phone_as_typed(), None);
}

#[test]
fn a_quotation_mark_that_is_not_closed_is_told_and_what_follows_is_not_taken_for_text() {
    for (file, whole) in [
        ("Id,Company,Description\n00Q0S000002QgjU,A Co,ok\n00Q0S000002QgjV,B Co,\"open\n00Q0S000002Qgja,C Co,ok\n", 1),
        ("Id,Company,Description\n00Q0S000002QgjU,\"A Co,ok\n00Q0S000002QgjV,B Co,ok", 0),
    ] {
        let mut records = 0;
        let end = pump(file.as_bytes(), &how(Format::Csv), &mut |_| {
            records += 1;
            true
        });
        assert_eq!(records, whole, "{file}");
        let said = match end {
            Err(fault) => fault.to_string(),
            Ok(end) => format!("{end:?}"),
        };
        assert!(said.contains("is not closed"), "{said}");
    }
}

#[test]
fn what_a_lead_can_not_be_without_makes_the_record_faulty() {
    for (field, value, pointer, says) in [
        ("Company", json!(null), "/Company", "Company is required"),
        ("Company", json!("  "), "/Company", "Company is required"),
        ("Company", json!("C".repeat(256)), "/Company", "Company must have at most 255 characters; it has 256"),
        ("Company", json!("Brack\u{0}water"), "/Company", "Company must not contain the control character U+0000"),
        ("Id", json!("00Q-not-an-id"), "/Id", "Id must be a Salesforce id"),
        ("attributes", json!({"type": "Account"}), "/attributes/type", "this is of the type \"Account\""),
        ("attributes", json!({"type": "Lead"}), "", "neither Id nor attributes.referenceId"),
    ] {
        let found = faults(&with(field, value.clone()));
        let found: Vec<_> = found.iter().filter(|fault| fault.0 == format!("/records/0{pointer}")).collect();
        assert_eq!(found.len(), 1, "{field} {value}: {found:?}");
        assert!(found[0].1.contains(says), "{}", found[0].1);
    }
    assert_eq!(faults(&json!("a lead")), [("/records/0".to_owned(), "A record must be an object.".to_owned())]);
    kept(lead(&with("LastName", json!(null))));
}

#[test]
fn a_key_that_stands_twice_makes_the_record_faulty() {
    let text = whole().to_string();
    let twice = format!("[{}, {text}]", text.replacen("\"Company\"", "\"Email\": \"other@x.example\", \"Company\"", 1));
    let (records, _) = json_file(twice.as_bytes()).unwrap();
    let Content::Faulty(found) = &records[0].content else { panic!("{:?}", records[0]) };
    assert_eq!(found[0].pointer, "/0/Email");
    assert!(found[0].message.starts_with("The key Email is there twice"));
    assert!(matches!(records[1].content, Content::Lead(_)));
}

#[test]
fn deleted_merged_and_converted_leads_are_passed_over() {
    for (field, value, why) in [
        ("IsConverted", json!(true), "converted in Salesforce"),
        ("IsConverted", json!("true"), "converted in Salesforce"),
        ("IsConverted", json!("1"), "converted in Salesforce"),
        ("IsDeleted", json!(true), "deleted in Salesforce"),
        ("IsDeleted", json!("TRUE"), "deleted in Salesforce"),
        ("MasterRecordId", json!("00Q0S000002QgjU"), "merged in Salesforce"),
    ] {
        let Content::Skipped(found) = only(&with(field, value.clone())).content else { panic!("{field} {value}") };
        assert_eq!(found, why);
    }
    let mut not = with("IsDeleted", json!("false"));
    not["MasterRecordId"] = json!("");
    lead(&not);
}

#[test]
fn who_opted_out_is_neither_written_to_nor_called() {
    let mut record = with("HasOptedOutOfEmail", json!("true"));
    record["DoNotCall"] = json!(true);
    let read = only(&record);
    let told = places(&read.withheld);
    assert_eq!(
        told[0],
        ("/records/0/Email".to_owned(), "Email is left out: the person has opted out of e-mail.".to_owned())
    );
    assert_eq!(
        told[1],
        ("/records/0/Phone".to_owned(), "Phone is left out: the person is not to be called.".to_owned())
    );
    let reading = reading(read);
    // An update takes away what was there before.
    let Patch::Value(CustomerPatch { contact: Patch::Value(change), .. }) = &reading.change.customer else { panic!() };
    assert_eq!((&change.email, &change.phone), (&Patch::Null, &Patch::Null));
    let contact = kept(reading).contact;
    assert_eq!((contact.email, contact.phone, contact.unread_phone), (None, None, None));
    // What can't be read is no leave.
    assert_eq!(only(&with("DoNotCall", json!("ask first"))).withheld.len(), 1);
    let kept_all = only_by(&record, &How { keep_opted_out: true, ..how(Format::Json) });
    assert!(kept_all.withheld.is_empty());
    assert!(kept(self::reading(kept_all)).contact.email.is_some());
}

#[test]
fn numbers_of_people_are_read_as_they_are_written() {
    for (typed, count) in [
        ("120", Some(120)),
        (" 120.0 ", Some(120)),
        ("1,200", Some(1200)),
        ("1 200 000", Some(1_200_000)),
        ("1'200", Some(1200)),
        ("1,2", None),
        ("1.000", None),
        ("12.000", None),
        ("1.5", None),
        ("many", None),
        ("", None),
        ("1e99", None),
    ] {
        assert_eq!(whole_number(typed), count, "{typed}");
    }
}

#[test]
fn what_stands_for_no_website_is_none() {
    for none in
        ["n/a", "N.A.", "-", "--", "none", "unknown", "tbd", "http://n/a", "https://none", "www", "localhost", "?"]
    {
        assert_eq!(website(none), None, "{none}");
    }
    for (typed, kept) in [
        ("www.x.example", "https://www.x.example"),
        ("HTTP://x.example/a", "HTTP://x.example/a"),
        ("192.0.2.1", "https://192.0.2.1"),
        (" na.example ", "https://na.example"),
    ] {
        assert_eq!(website(typed).as_deref(), Some(kept), "{typed}");
    }
}

#[test]
fn a_tree_a_query_s_answer_and_an_array_are_read() {
    let place = |text: String| json_file(text.as_bytes()).unwrap().0.remove(0).place;
    let lead = whole();
    assert_eq!(place(json!({ "records": [lead] }).to_string()), "/records/0");
    assert_eq!(place(json!({ "status": 0, "result": { "records": [lead] } }).to_string()), "/result/records/0");
    assert_eq!(place(format!("\u{FEFF}{}", json!([lead]))), "/0");
    for (mark, wide) in
        [(vec![0xFF, 0xFE], u16::to_le_bytes as fn(u16) -> [u8; 2]), (vec![0xFE, 0xFF], u16::to_be_bytes)]
    {
        let text = json!([with("City", json!("Zürich"))]).to_string();
        let bytes: Vec<u8> = text.encode_utf16().flat_map(wide).collect();
        for bytes in [[mark, bytes.clone()].concat(), bytes] {
            let record = json_file(&bytes).unwrap().0.remove(0);
            assert_eq!(kept(reading(record)).address.city.as_deref(), Some("Zürich"));
        }
    }
}

#[test]
fn a_file_that_is_not_whole_says_how_many_records_are_missing() {
    let end = |text: String| json_file(text.as_bytes()).unwrap().1.missing;
    let lead = whole().to_string();
    assert_eq!(end(format!("{{\"totalSize\": 1, \"done\": true, \"records\": [{lead}]}}")), None);
    assert_eq!(
        end(format!("{{\"done\": false, \"totalSize\": 2500, \"records\": [{lead}]}}")),
        Some(Missing::Some(2499, 2500))
    );
    assert_eq!(
        end(format!("{{\"result\": {{\"records\": [{lead}], \"totalSize\": \"3\"}}, \"status\": 0}}")),
        Some(Missing::Some(2, 3))
    );
    assert_eq!(end(format!("{{\"records\": [{lead}], \"done\": \"false\"}}")), Some(Missing::Unknown));
    assert_eq!(end(format!("{{\"totalSize\": [7], \"done\": {{}}, \"records\": [{lead}]}}")), None);
    let mut read = 0;
    let cut = format!("{{\"records\": [{lead}, {lead}, {}", &lead[..lead.len() / 2]);
    let fault = pump(cut.as_bytes(), &how(Format::Json), &mut |_| {
        read += 1;
        true
    });
    assert!(fault.unwrap_err().message.contains("it is cut off"));
    assert_eq!(read, 2, "what is before the cut is handed on");
}

#[test]
fn what_is_no_export_is_refused_with_its_place() {
    let fault = |bytes: &[u8]| json_file(bytes).unwrap_err().to_string();
    assert_eq!(fault(b"{\n  \"records\": [,]\n}"), "line 2, column 15: this is no JSON: expected value");
    assert!(fault(b"").contains("this is no JSON, or it is cut off"));
    assert!(fault(b"{\"rows\": []}").contains("no list of records"));
    assert!(fault(b"{\"records\": 7}").contains("a list of records"));
    assert!(fault(b"{\"records\": [], \"records\": []}").contains("second list"));
    assert!(fault(b"7").contains("a list of records"));
    assert!(fault(b"[] []").contains("no JSON"));
    assert!(fault(b"[\"\xC3\x28\"]").contains("no JSON"));
    let fault = |bytes: &[u8]| table(bytes).unwrap_err().to_string();
    assert!(fault(b"").contains("no header row"));
    assert!(fault(b"Name,City\nx,y\n").contains("no column for lead.customer.company"));
    let endless = [b"[\"".as_slice(), &vec![b'a'; 17 << 20], b"\"]"].concat();
    assert!(json_file(&endless).unwrap_err().message.contains("more than 16 MiB"));
    let endless = [b"Id,Company\n\"".as_slice(), &vec![b'a'; 17 << 20]].concat();
    assert!(table(&endless).unwrap_err().message.contains("a quotation mark that is not closed"));
}

const TABLE: &str = "Id;Company;Last Name;Street;Phone;Country;No. of Employees;Fax;\r\n\
    00Q0S000002QgjU;\"Käfer; Söhne\";Größe;\"Bad\nTölz\";08041 12345;Deutschland;\"1,200\";1;\r\n\
    ;;;;;;;;\r\n\
    00Q0S000002QgjV;Two;cells\r\n\
    00Q0S000002Qgja;Three;;;;;;;extra\r\n";

#[test]
fn a_table_is_read_in_every_encoding_and_with_every_delimiter() {
    let wide = |bytes: fn(u16) -> [u8; 2]| TABLE.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let (legacy, _, _) = encoding_rs::WINDOWS_1252.encode(TABLE);
    for bytes in [
        TABLE.as_bytes().to_vec(),
        format!("\u{FEFF}{TABLE}").into_bytes(),
        format!("sep=;\r\n{TABLE}").into_bytes(),
        TABLE
            .replace(',', ".")
            .replace(';', ",")
            .replace("Käfer, Söhne", "Käfer; Söhne")
            .replace("1.200", "1200")
            .into_bytes(),
        TABLE
            .replace("Käfer; Söhne", "Käfer \u{1}Söhne")
            .replace(';', "\t")
            .replace('\u{1}', "")
            .replace("Käfer Söhne", "Käfer; Söhne")
            .into_bytes(),
        legacy.into_owned(),
        [vec![0xFF, 0xFE], wide(u16::to_le_bytes)].concat(),
        [vec![0xFE, 0xFF], wide(u16::to_be_bytes)].concat(),
        wide(u16::to_le_bytes),
    ] {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let (mut records, end) = table(&bytes).unwrap_or_else(|fault| panic!("{shown}: {fault}"));
        assert_eq!(records.len(), 4, "{shown}");
        let Content::Faulty(faulty) = &records[2].content else { panic!("{:?}", records[2]) };
        assert!(faulty[0].message.contains("The row has 3 cells and the header row 9"), "{}", faulty[0].message);
        assert!(matches!(records[1].content, Content::Skipped("blank rows")));
        assert!(matches!(records[3].content, Content::Lead(_)));
        let unkept: Vec<_> = end.unkept.into_iter().collect();
        assert_eq!(unkept, [("Fax".to_owned(), 1), ("column 9".to_owned(), 1)]);
        let first = records.remove(0);
        let before = usize::from(shown.starts_with("sep="));
        assert_eq!(first.place, format!("line {}", 2 + before), "{shown}");
        assert_eq!(records[1].place, format!("line {}", 5 + before), "{shown}");
        assert!(first.warnings.is_empty(), "{:?}", first.warnings);
        let reading = reading(first);
        assert_eq!(reading.reference.id, "00Q0S000002QgjUUAS");
        let customer = kept(reading);
        assert_eq!(customer.company, "Käfer; Söhne");
        assert_eq!(customer.contact.last_name.as_deref(), Some("Größe"));
        assert_eq!(customer.address.street.as_deref(), Some("Bad\nTölz"));
        assert_eq!(customer.contact.phone.unwrap().e164, "+49804112345");
        assert_eq!((customer.employees, customer.address.country.as_deref()), (Some(1200), Some("DE")));
    }
}

#[test]
fn rows_stand_on_the_lines_that_an_editor_shows() {
    for end in ["\n", "\r\n"] {
        let rows = ["Id,Company", "00Q0S000002QgjU,a", "", "00Q0S000002QgjV,\"b", "c\"", "00Q0S000002Qgja,d", "x"];
        for file in [rows.join(end), format!("{}{end}", rows.join(end))] {
            let (records, _) = table(file.as_bytes()).unwrap();
            let lines: Vec<_> = records.iter().map(|record| record.place.as_str()).collect();
            assert_eq!(lines, ["line 2", "line 4", "line 6", "line 7"], "{file:?}");
        }
    }
}

#[test]
fn a_row_in_another_encoding_than_the_rows_before_is_faulty() {
    let bytes = [b"Id,Company\n00Q0S000002QgjU,K\xC3\xA4fer\n00Q0S000002QgjV,K\xE4fer\n".as_slice()].concat();
    let (records, _) = table(&bytes).unwrap();
    assert!(matches!(&records[1].content, Content::Faulty(faults) if faults[0].message.contains("not in UTF-8")));
    // Where nothing speaks for UTF-8, it is Windows-1252.
    let (records, _) = table(b"Id,Company\n00Q0S000002QgjV,K\xE4fer\n").unwrap();
    assert_eq!(lead_of(&records[0]).new.title, "Käfer");
}

fn lead_of(record: &Record) -> Reading {
    reading(record.clone())
}

#[test]
fn a_mapping_reads_another_system_s_columns_in_tables_and_json_alike() {
    let mapping = r#"
        system = "hubspot"
        [lead]
        title = "Deal"
        leadSource = { constant = "Trade fair" }
        customer.company = ["Firma", "Konzern"]
        customer.contact.email = "Kontakt.Mail"
        customer.industry = { from = "Branche", default = "Unknown trade" }
        externalReference.id = "Record ID"
        externalReference.url = "Link"
        estimatedValue.amount = "Wert"
        estimatedValue.currency = { constant = "EUR" }
        qualification.goal = "Ziel"
        owner.email = "Betreuer"
        [skip]
        deleted = "weg"
    "#;
    let by = |format| How { mapping: Mapping::read(mapping, false).unwrap(), ..how(format) };
    let json = json!([
        {"Record ID": 7, "Deal": "New looms", "Firma": "", "Konzern": "Käfer", "Kontakt": {"Mail": "k@x.example"},
         "Wert": "1200.50", "Ziel": "Faster", "Betreuer": "nora@acme.example", "weg": "nein", "Branche": " ", "Link": "n/a"},
        {"Record ID": 8, "Firma": "x", "weg": "ja"},
    ]);
    let table = "Record ID,Deal,Firma,Konzern,Kontakt.Mail,Wert,Ziel,Betreuer,weg,Branche,Link\n\
        7,New looms,,Käfer,k@x.example,1200.50,Faster,nora@acme.example,nein,,n/a\n8,,x,,,,,,ja,,\n";
    let (json, _) = all(json.to_string().as_bytes(), &by(Format::Json)).unwrap();
    let (table, _) = all(table.as_bytes(), &by(Format::Csv)).unwrap();
    for records in [json, table] {
        assert_eq!(records[0].warnings.len(), 1, "the link alone: {:?}", records[0].warnings);
        let reading = lead_of(&records[0]);
        assert_eq!((reading.reference.system.as_str(), reading.reference.id.as_str()), ("hubspot", "7"));
        assert_eq!(reading.owner.as_ref().map(|owner| owner.message.as_str()), Some("nora@acme.example"));
        let new = &reading.new;
        assert_eq!((new.title.as_str(), new.lead_source.as_deref()), ("New looms", Some("Trade fair")));
        assert_eq!(new.estimated_value.as_ref().map(|value| value.amount.as_str()), Some("1200.50"));
        assert_eq!(new.qualification.goal, Patch::Value("Faster".to_owned()));
        let customer = kept(reading);
        assert_eq!((customer.company.as_str(), customer.industry.as_deref()), ("Käfer", Some("Unknown trade")));
        assert_eq!(customer.contact.email.as_deref(), Some("k@x.example"));
        assert!(matches!(records[1].content, Content::Skipped("deleted")));
    }
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
    "totalSize",
    "done",
];

/// Reads a file to its end, as an import does: what is a lead is one that can be created.
fn taken(bytes: &[u8], format: Format) {
    for record in all(bytes, &how(format)).map_or_else(|_| Vec::new(), |(records, _)| records) {
        if let Content::Lead(reading) = record.content {
            kept(*reading);
        }
    }
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), json in any_json(WORDS), one in any_json(WORDS),
        text in mutated(json!({ "records": [whole()] }).to_string()), rows in mutated(TABLE.to_owned()),
    ) {
        taken(&bytes, Format::Json);
        taken(&bytes, Format::Csv);
        taken(json.to_string().as_bytes(), Format::Json);
        taken(json!({ "records": [one] }).to_string().as_bytes(), Format::Json);
        taken(text.as_bytes(), Format::Json);
        taken(rows.as_bytes(), Format::Csv);
    }

    #[test]
    fn a_record_with_anything_in_one_field_is_read_skipped_or_told_of(
        field in prop::sample::select(whole().as_object().unwrap().keys().cloned().collect::<Vec<_>>()), value in any_json(WORDS),
    ) {
        let file = json!({ "records": [with(&field, value.clone()), whole()] });
        let (records, _) = json_file(file.to_string().as_bytes()).unwrap();
        prop_assert_eq!(records.len(), 2);
        // What is wrong with one is the other's no fault.
        prop_assert!(matches!(records[1].content, Content::Lead(_)));
        // Only what a lead can't be without makes it faulty.
        let needed = matches!(field.as_str(), "Company" | "attributes");
        prop_assert!(needed || !matches!(records[0].content, Content::Faulty(_)), "{} {}: {:?}", field, value, records[0]);
        taken(file.to_string().as_bytes(), Format::Json);
    }

    #[test]
    fn no_mapping_makes_the_checker_panic(json in any_json(&["lead", "customer", "company", "from", "default", "skip"]), text in ".{0,80}") {
        let _ = Mapping::read(&json.to_string(), true);
        let _ = Mapping::read(&text, false);
    }
}
