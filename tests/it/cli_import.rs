//! `cosell import`, on records of invented people.

use std::sync::Arc;

use cosell::clock::SystemClock;
use cosell::domain::actor::{Member, Role};
use cosell::domain::global_id::{NodeType, encode};
use cosell::domain::id::{CompanyId, PartnershipId};
use cosell::domain::lead::Lead;
use cosell::domain::page::PageRequest;
use cosell::domain::patch::Patch;
use cosell::ids::TimeOrdered;
use cosell::service::lead::{ActionCall, Asked, LeadChange, LeadKey};
use cosell::service::member::Bearer;
use cosell::service::{Bus, Service};
use cosell::store::db::{Db, PoolSize};
use cosell::store::lead::{LeadFilter, LeadSort};
use serde_json::{Map, Value, json};

use crate::on_both_databases;
use crate::support::cli::{Cli, Output};
use crate::support::database::{Database, Kind};

#[derive(Debug)]
struct Silent;

impl Bus for Silent {
    fn moved(&self, _heads: &[(CompanyId, i64)]) {}
}

/// The use cases beside the commands, and a folder in which the commands run on the same database.
struct Setting {
    cli: Cli,
    service: Service,
    partnership: PartnershipId,
    database: Database,
}

impl Setting {
    /// acme and globex are partners.
    async fn of(database: Database) -> Self {
        let cli = Cli::new().env("COSELL_DATABASE_URL", &database.url);
        cli.run(["migrate"]).ok();
        cli.run(["company", "add", "acme"]).ok();
        cli.run(["company", "add", "globex"]).ok();
        let db =
            Db::connect(&database.url, PoolSize { connections: 2, ..PoolSize::default() }).await.expect("a database");
        let clock = Arc::new(SystemClock);
        let ids = Arc::new(TimeOrdered::new(clock.clone()));
        let service = Service::new(db, clock, ids, Arc::new(Silent)).await.expect("the use cases");
        let (acme, globex) = (admin(&service, "acme").await, admin(&service, "globex").await);
        let partnership = service.invite_partner(&acme, "globex", true, None).await.expect("an invitation").id;
        service.accept_partnership(&globex, partnership, None).await.expect("a partnership");
        Self { cli, service, partnership, database }
    }

    fn import<const N: usize>(&self, file: &Value, more: [&str; N]) -> Output {
        self.import_as("salesforce", file.to_string(), more)
    }

    fn import_as<const N: usize>(&self, format: &str, file: impl AsRef<[u8]>, more: [&str; N]) -> Output {
        self.cli.file("leads", file);
        let id = encode(NodeType::Partnership, self.partnership.0);
        let arguments = ["import", "--format", format, "--company", "acme", "--partnership", &id, "leads"];
        self.cli.run(arguments.into_iter().chain(more))
    }

    /// The lines of the outcome file.
    fn outcomes(&self, file: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.cli.folder().join(file)).expect("the outcomes");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    #[cfg(target_os = "linux")]
    fn url(&self) -> &str {
        &self.database.url
    }

    /// acme's only lead.
    async fn lead(&self) -> Lead {
        let mut leads = self.leads("acme").await;
        assert_eq!(leads.len(), 1);
        leads.remove(0)
    }

    async fn leads(&self, company: &str) -> Vec<Lead> {
        let member = admin(&self.service, company).await;
        let page = PageRequest { first: Some(100), ..PageRequest::default() };
        let leads = self.service.leads(&member, &LeadFilter::default(), LeadSort::Created, false, page).await;
        leads.expect("a page").edges.into_iter().map(|edge| edge.1).collect()
    }

    async fn members(&self) -> Vec<String> {
        let member = admin(&self.service, "acme").await;
        let page = PageRequest { first: Some(50), ..PageRequest::default() };
        let members = self.service.members(&member, page).await.expect("a page");
        members.edges.into_iter().map(|edge| edge.1.name).collect()
    }
}

async fn admin(service: &Service, company: &str) -> Member {
    let (company, subject) = (company.to_owned(), "admin".to_owned());
    let bearer = Bearer { company, subject, roles: vec![Role::Admin], name: None, email: None };
    service.sign_in(bearer).await.expect("a member")
}

fn lead(reference: &str, last_name: &str) -> Value {
    json!({
        "attributes": {"type": "Lead", "referenceId": reference}, "FirstName": "Odile", "LastName": last_name,
        "Salutation": "Ms", "Title": "Head of Stores", "Company": "Bellweather Traders", "State": "VA", "Country": "USA",
        "Phone": "(703) 555-0199", "Email": "odile@bellweather.example", "LeadSource": "Web", "IsConverted": false
    })
}

fn with(reference: &str, field: &str, value: Value) -> Value {
    let mut record = lead(reference, "Marchetti");
    record[field] = value;
    record
}

/// A record as files of real ones have them, with nothing but what is invented: of six phone numbers five can't be read,
/// and some have no company.
fn real(index: usize) -> Value {
    let reference = format!("ref{index}");
    let mut record = lead(&reference, "Marchetti");
    let (phone, country) = [
        ("(860) 644-4201", json!(null)),
        ("n/a", json!("USA")),
        ("030 1234567 / 0151 23456789", json!("Germany")),
        ("call Odile", json!(null)),
        ("(703) 757-1000", json!("USA")),
        ("12", json!("Korea, Republic of")),
    ][index % 6]
        .clone();
    record["Phone"] = json!(phone);
    record["Country"] = country;
    match index % 20 {
        1 => record["Email"] = json!("n/a"),
        2 => record["Website"] = json!("none"),
        3 => record["Country"] = json!("Atlantis"),
        4 => record["NumberOfEmployees"] = json!("120"),
        5 => record["NumberOfEmployees"] = json!("lots"),
        7 => record["Description"] = json!("d".repeat(32_000)),
        8 => record["Company"] = json!("c".repeat(255)),
        9 => record["Title"] = json!("t".repeat(128)),
        10 => record["Street"] = json!("s".repeat(255)),
        11 => record["Industry"] = json!("i".repeat(255)),
        13 => record["LastName"] = json!(null),
        14 => record["PostalCode"] = json!(83702),
        _ => {}
    }
    if index % 70 == 17 {
        record["Company"] = json!("  ");
    }
    record
}

on_both_databases! {
    async fn leads_are_imported_and_shared_once(database: Database) {
        let setting = Setting::of(database).await;
        let file = json!({ "records": [lead("ref1", "Marchetti"), lead("ref2", "Ostrander"), with("ref3", "IsConverted", json!(true))] });

        let output = setting.import(&file, []);
        assert_eq!(
            output.ok(),
            "2 created, 0 already here, 0 faulty, 1 skipped (converted in Salesforce).\n\
             Not kept, with the number of records that have it: Salutation (2)."
        );
        assert_eq!(output.stderr, "", "no progress bar off a terminal");
        let theirs = setting.leads("globex").await;
        assert_eq!(theirs.len(), 2);
        assert!(theirs.iter().all(|lead| lead.stage == "pending" && lead.expires_at.is_some()));
        let ours = setting.leads("acme").await;
        assert_eq!(ours[0].title, "Bellweather Traders: Head of Stores");
        let contact = &ours[0].customer.contact;
        assert_eq!(contact.phone.as_ref().expect("a phone number").e164, "+17035550199");
        let member = admin(&setting.service, "acme").await;
        let references = setting.service.references(&member, &[ours[0].id]).await.expect("references");
        assert_eq!((references[0].1.system.as_str(), references[0].1.id.as_str()), ("salesforce", "ref1"));
        assert!(setting.members().await.contains(&"Import".to_owned()));

        let output = setting.import(&file, []);
        assert!(output.ok().starts_with("0 created, 2 already here, 0 faulty"), "{output}");
        assert_eq!(setting.leads("acme").await.len(), 2);
    }

    async fn a_dry_run_says_the_same_and_writes_nothing(database: Database) {
        let setting = Setting::of(database).await;
        let file = json!([
            lead("ref1", "Marchetti"), lead("ref1", "Marchetti"), with("ref2", "Company", json!(" ")),
            with("ref3", "Email", json!("odile@")),
        ]);

        let rehearsed = setting.import(&file, ["--dry-run", "--outcome", "rehearsed.jsonl"]);
        let said = rehearsed.failed(1);
        assert!(
            rehearsed.stdout.starts_with("Dry run, nothing was written: 2 would be created, 1 already here, 1 faulty, 1 warning."),
            "{rehearsed}"
        );
        assert!(setting.leads("acme").await.is_empty());
        assert!(!setting.members().await.contains(&"Import".to_owned()), "not even the one who imports");

        let output = setting.import(&file, []);
        assert_eq!(output.failed(1), said);
        assert!(output.stdout.starts_with("2 created, 1 already here, 1 faulty, 1 warning."), "{output}");
        let mut numbers: Vec<_> = setting.leads("acme").await.into_iter().map(|lead| lead.number).collect();
        numbers.sort();
        assert_eq!(numbers, ["L-1001", "L-1002"], "a dry run takes no number");
        let outcomes: Vec<_> = setting.outcomes("rehearsed.jsonl").iter().map(|line| line["outcome"].clone()).collect();
        assert_eq!(outcomes, ["created", "unchanged", "faulty", "created"]);

        let changed = json!([with("ref1", "City", json!("Norfolk"))]);
        let rehearsed = setting.import(&changed, ["--dry-run", "--update"]);
        assert!(rehearsed.ok().starts_with("Dry run, nothing was written: 0 would be created, 1 would be updated, 0 unchanged"), "{rehearsed}");
        assert!(setting.leads("acme").await.iter().all(|lead| lead.customer.address.city.is_none() && lead.version == 1));
    }

    async fn a_faulty_record_is_reported_with_its_place_and_a_bad_value_is_left_out(database: Database) {
        let setting = Setting::of(database).await;
        let file = json!({ "records": [
            lead("ref0", "Marchetti"),
            with("ref1", "Email", json!("odile@")),
            with("ref2", "Company", json!(null)),
            with("ref3", "LastName", json!(null)),
            with("ref4", "Phone", json!("call me")),
            with("ref5", "attributes", json!({"type": "Account", "referenceId": "ref5"})),
            "a lead",
            lead("ref7", "Ostrander"),
        ]});
        let output = setting.import(&file, []);
        let said: Vec<_> = output.failed(1).lines().map(str::trim).collect();
        let expected = [
            "warning: 2 values can't be kept as they are:",
            "- record 1 (ref1), /records/1/Email: Email must be an e-mail address, such as \"name@example.com\". It is \"odile@\". It is left out.",
            "- record 4 (ref4), /records/4/Phone: Phone must be",
            "error: 3 records are faulty and not imported:",
            "- record 2 (ref2), /records/2/Company: Company is required",
            "- record 5 (ref5), /records/5/attributes/type: Only records of the type Lead",
            "- record 6, /records/6: A record must be an object.",
        ];
        assert_eq!(said.len(), expected.len(), "{output}");
        for (line, begins) in said.iter().zip(expected) {
            assert!(line.starts_with(begins), "{line}");
        }
        assert!(output.stdout.starts_with("5 created, 0 already here, 3 faulty, 2 warnings."), "{output}");
        let theirs = setting.leads("globex").await;
        assert_eq!(theirs.len(), 5);
        let typed: Vec<_> = theirs.iter().filter_map(|lead| lead.customer.contact.unread_phone.as_deref()).collect();
        assert_eq!(typed, ["call me"]);
    }

    async fn nearly_every_record_of_files_as_they_are_comes_in(database: Database) {
        let setting = Setting::of(database).await;
        let records: Vec<_> = (0..317).map(real).collect();
        let output = setting.import(&json!({ "totalSize": 317, "done": true, "records": records }), ["--outcome", "told.jsonl"]);
        let said = output.failed(1);
        assert!(output.stdout.starts_with("312 created, 0 already here, 5 faulty, "), "{output}");
        assert_eq!(said.matches(": Company is required and must not be blank.").count(), 5, "{output}");
        let told = setting.outcomes("told.jsonl");
        assert_eq!(told.len(), 317);
        for line in &told {
            let (index, phone) = (line["index"].as_u64().expect("an index"), line.to_string());
            if line["outcome"] == "faulty" {
                assert_eq!(line["faults"][0]["place"], json!(format!("/records/{index}/Company")), "{line}");
                continue;
            }
            assert_eq!(line["outcome"], "created", "{line}");
            assert!(line["leadNumber"].as_str().is_some_and(|number| number.starts_with("L-")), "{line}");
            assert_eq!(line["reference"]["system"], "salesforce");
            // Whatever is not kept as it should be is told with what it was.
            assert!(index % 6 != 0 || phone.contains("(860) 644-4201"), "{line}");
        }
        let typed = setting.leads("acme").await;
        assert!(typed.iter().all(|lead| lead.customer.contact.phone_as_typed().is_some()), "no number is lost");
        let american = setting.import(&json!([real(0)]), ["--default-country", "us", "--update"]);
        assert!(american.ok().starts_with("0 created, 1 updated, 0 unchanged, 0 faulty."), "{american}");
    }

    async fn an_update_brings_over_what_has_changed_and_nothing_else(database: Database) {
        let setting = Setting::of(database).await;
        let clara = Bearer {
            company: "acme".to_owned(),
            subject: "clara".to_owned(),
            roles: vec![Role::Sales],
            name: Some("Clara".to_owned()),
            email: Some("Clara@acme.example".to_owned()),
        };
        let clara = setting.service.sign_in(clara).await.expect("a member");
        let owned = |email: &str| json!({ "Email": email });
        let mut record = with("ref1", "Owner", owned("clara@ACME.example"));
        record["Description"] = json!("Wants tills.");
        setting.import(&json!([record]), []).ok();
        let before = setting.lead().await;
        assert_eq!(before.owner, Some(clara.id));

        // Nothing new is no change, and without the option nothing is changed.
        let output = setting.import(&json!([record]), ["--update", "--outcome", "told.jsonl"]);
        assert!(output.ok().starts_with("0 created, 0 updated, 1 unchanged, 0 faulty."), "{output}");
        assert_eq!(setting.outcomes("told.jsonl")[0]["leadNumber"], json!(before.number));
        record["City"] = json!("Norfolk");
        record["Email"] = json!(null);
        record["LastName"] = json!("Ostrander");
        record["Title"] = json!("Buyer");
        record.as_object_mut().expect("a record").remove("Description");
        let output = setting.import(&json!([record]), []);
        assert!(output.ok().starts_with("0 created, 1 already here"), "{output}");
        assert_eq!(setting.lead().await, before);

        let output = setting.import(&json!([record]), ["--update"]);
        assert!(output.ok().starts_with("0 created, 1 updated, 0 unchanged, 0 faulty."), "{output}");
        let after = setting.lead().await;
        assert_eq!(after.version, before.version + 1);
        assert_eq!(after.customer.address.city.as_deref(), Some("Norfolk"));
        let contact = &after.customer.contact;
        assert_eq!((contact.email.as_deref(), contact.last_name.as_deref()), (None, Some("Ostrander")));
        assert_eq!(after.description.as_deref(), Some("Wants tills."), "what the file does not have stays");
        assert_eq!(after.title, "Bellweather Traders: Buyer", "the title follows");
        assert_eq!(contact.phone, before.customer.contact.phone);
        assert_eq!(setting.leads("globex").await[0].customer, after.customer);

        // A title that somebody gave it stays, and so does a value whose successor can't be read.
        let change = LeadChange { title: Patch::Value("Nine shops".to_owned()), ..LeadChange::default() };
        let member = admin(&setting.service, "acme").await;
        setting.service.update_lead(&member, &LeadKey::Id(after.id), &change).await.expect("an update");
        record["Title"] = json!("Clerk");
        record["Country"] = json!("Atlantis");
        record["Owner"] = owned("nobody@acme.example");
        let output = setting.import(&json!([record]), ["--update"]);
        assert!(output.ok().starts_with("0 created, 1 updated, 0 unchanged, 0 faulty, 3 warnings."), "{output}");
        assert!(output.stderr.contains("/0/Owner/Email: acme has no member with the owner's e-mail address"), "{output}");
        let last = setting.lead().await;
        assert_eq!((last.title.as_str(), last.customer.address.country.as_deref()), ("Nine shops", Some("US")));
        assert_eq!(last.owner, Some(clara.id));

        // What can't be changed any more is the record's fault, in words.
        let theirs = admin(&setting.service, "globex").await;
        let call = ActionCall {
            asked: Asked::Action("decline"),
            form: Map::from_iter([("reason".to_owned(), json!("No."))]),
            prefix: "input",
            expires_at: None,
            expected_version: None,
            once: None,
        };
        setting.service.perform(&theirs, last.id, &call).await.expect("it is declined");
        record["City"] = json!("Roanoke");
        let refused = setting.import(&json!([record, lead("ref2", "Ostrander")]), ["--update"]);
        assert!(refused.failed(1).contains("error: 1 record is faulty and not imported:\n  - record 0 (ref1), /0: "), "{refused}");
        assert!(refused.stdout.starts_with("1 created, 0 updated, 0 unchanged, 1 faulty"), "{refused}");
    }

    async fn a_table_is_imported_by_a_mapping(database: Database) {
        let setting = Setting::of(database).await;
        setting.cli.file("hubspot.toml", "system = \"hubspot\"\n[lead]\ncustomer.company = \"Firma\"\n\
            customer.contact.lastName = \"Name\"\nexternalReference.id = \"Record ID\"\nleadSource = {constant = \"Messe\"}\n");
        let (table, _, _) = encoding_rs::WINDOWS_1252.encode("Record ID;Firma;Name;E-Mail\r\n7;K\u{e4}fer;Gr\u{f6}\u{df}e;k@x.example\r\n8;;Nobody;\r\n");
        let output = setting.import_as("csv", table, ["--mapping", "hubspot.toml"]);
        assert_eq!(output.stdout, "1 created, 0 already here, 1 faulty.\n");
        assert!(output.failed(1).contains("record 1 (8), line 3, Firma: Firma is required and must not be blank."), "{output}");
        let lead = setting.lead().await;
        assert_eq!((lead.title.as_str(), lead.lead_source.as_deref()), ("K\u{e4}fer: Messe", Some("Messe")));
        assert_eq!(lead.customer.contact.last_name.as_deref(), Some("Gr\u{f6}\u{df}e"));
        assert_eq!(lead.customer.contact.email.as_deref(), Some("k@x.example"), "by the default mapping");
        let member = admin(&setting.service, "acme").await;
        let references = setting.service.references(&member, &[lead.id]).await.expect("references");
        assert_eq!((references[0].1.system.as_str(), references[0].1.id.as_str()), ("hubspot", "7"));
    }

    async fn a_file_that_is_cut_off_is_told_of(database: Database) {
        let setting = Setting::of(database).await;
        let whole = lead("ref1", "Marchetti").to_string();
        let output = setting.import_as("salesforce", format!("{{\"records\": [{whole}], \"done\": false, \"totalSize\": 2500}}"), []);
        assert!(output.failed(1).starts_with("error: leads is cut off: it has 1 of 2500 records, and 2499 are missing."), "{output}");
        assert!(output.stdout.starts_with("1 created"), "{output}");
        let other = lead("ref2", "Ostrander").to_string();
        let output = setting.import_as("salesforce", format!("[{whole}, {other}, {{\"Company\": "), []);
        assert!(output.failed(1).starts_with("error: The import ended before the file did: leads: line 1, column "), "{output}");
        assert!(output.stdout.starts_with("1 created, 1 already here"), "what stands before the cut is in: {output}");
    }

    async fn the_sample_file_is_imported(database: Database) {
        let setting = Setting::of(database).await;
        let sample = std::fs::read(format!("{}/docs/examples/Lead.json", env!("CARGO_MANIFEST_DIR"))).expect("the sample");
        let output = setting.import_as("salesforce", &sample, ["--outcome", "told.jsonl"]);
        assert!(
            output.ok().starts_with(
                "11 created, 0 already here, 0 faulty, 1 skipped (converted in Salesforce), 1 skipped (deleted in Salesforce), \
                 1 skipped (merged in Salesforce), 2 addresses and numbers left out for who opted out, "
            ),
            "{output}"
        );
        let leads = setting.leads("acme").await;
        let country = |company: &str| {
            let lead = leads.iter().find(|lead| lead.customer.company.starts_with(company)).expect(company);
            lead.customer.address.country.clone()
        };
        assert_eq!(country("Hanbit").as_deref(), Some("KR"));
        assert_eq!(country("Lagune").as_deref(), Some("CI"));
        assert_eq!(country("K\u{e4}fer").as_deref(), Some("DE"));
        assert_eq!(country("Brandt"), None);
        assert_eq!(setting.outcomes("told.jsonl").len(), 14);
        let again = setting.import_as("salesforce", &sample, ["--update"]);
        assert!(again.ok().starts_with("0 created, 0 updated, 11 unchanged, 0 faulty"), "{again}");
    }

    async fn without_an_active_partnership_or_the_template_nothing_is_imported(database: Database) {
        let setting = Setting::of(database).await;
        let file = json!([lead("ref1", "Marchetti")]);
        let output = setting.import(&file, ["--template", "nonsense"]);
        assert!(output.failed(1).contains("no template nonsense for leads; it has partner-lead"), "{output}");
        let member = admin(&setting.service, "acme").await;
        setting.service.suspend_partnership(&member, setting.partnership, None).await.expect("it is suspended");
        for output in [setting.import(&file, []), setting.import(&file, ["--dry-run"])] {
            assert_eq!(output.failed(1), "error: The partnership is SUSPENDED; leads are shared across an ACTIVE one.");
        }
        setting.cli.run(["company", "add", "umbrella"]).ok();
        let id = encode(NodeType::Partnership, setting.partnership.0);
        let output = setting.cli.run(["import", "--format", "salesforce", "--company", "umbrella", "--partnership", &id, "leads"]);
        assert_eq!(output.failed(1), "error: There is no such partnership of the company umbrella.");
        let output = setting.cli.run(["import", "--format", "salesforce", "--company", "nobody", "--partnership", &id, "leads"]);
        assert!(output.failed(1).contains("There is no company nobody"), "{output}");
        assert!(setting.leads("acme").await.is_empty());
        assert!(!setting.members().await.contains(&"Import".to_owned()));
    }
}

const IMPORT: [&str; 7] =
    ["import", "--format", "salesforce", "--company", "acme", "--partnership", "AwAAAAAAAAAAAAAAAAAAAAA"];

fn import(cli: &Cli, file: &str) -> Output {
    cli.run(IMPORT.into_iter().chain([file]))
}

#[test]
fn a_file_that_can_not_be_read_is_named_with_the_place() {
    let cli = Cli::new();
    cli.file("broken.json", "{\"records\": [\n  {\"LastName\": \"Marchetti\",}\n]}")
        .file("other.json", "{\"rows\": []}");
    let output = import(&cli, "broken.json");
    assert!(output.failed(1).starts_with("error: broken.json: line 2, column 28: this is no JSON"), "{output}");
    assert!(import(&cli, "other.json").failed(1).contains("no list of records"));
    assert!(import(&cli, "none.json").failed(1).starts_with("error: none.json can't be read"));
    assert!(import(&cli, "-").failed(1).starts_with("error: standard input"));
    assert!(!cli.folder().join("cosell.db").exists());
}

#[test]
fn an_id_of_something_else_is_wrong_usage() {
    let output = Cli::new().run([
        "import",
        "--format",
        "salesforce",
        "--company",
        "acme",
        "--partnership",
        "nonsense",
        "leads.json",
    ]);
    assert!(output.failed(2).contains("the id of a Partnership"), "{output}");
}

#[test]
fn a_dry_run_makes_no_database() {
    let cli = Cli::new();
    cli.file("leads.json", json!([lead("ref1", "Marchetti")]).to_string());
    let output = cli.run(IMPORT.into_iter().chain(["--dry-run", "leads.json"]));
    assert!(output.failed(1).contains("There is no database sqlite://cosell.db yet."), "{output}");
    assert!(!cli.folder().join("cosell.db").exists());
}

#[test]
fn what_is_wrong_with_a_mapping_is_told_before_anything_is_read() {
    let cli = Cli::new();
    cli.file("leads.csv", "Id,Company\n").file("wrong.toml", "sistem = \"x\"\n[lead]\ncustomer.compnay = \"Firma\"\n");
    cli.file("wrong.json", "{\"lead\": {\"title\": 7}}");
    let said = import_with(&cli, "leads.csv", ["--mapping", "wrong.toml"]);
    assert!(said.failed(2).starts_with("error: The mapping wrong.toml is wrong:"), "{said}");
    assert!(said.stderr.contains("/sistem: A mapping has no such place."), "{said}");
    assert!(
        said.stderr.contains("/lead/customer/compnay: A mapping has no such place. lead.customer.company is one."),
        "{said}"
    );
    let said = import_with(&cli, "leads.csv", ["--mapping", "wrong.json"]);
    assert!(said.failed(2).contains("/lead/title: This must be a column"), "{said}");
    assert!(import_with(&cli, "leads.csv", ["--mapping", "none.toml"]).failed(2).contains("none.toml can't be read"));
    assert!(import_with(&cli, "leads.csv", ["--default-country", "Atlantis"]).failed(2).contains("ISO 3166-1"));
    assert!(import_with(&cli, "leads.csv", ["--delimiter", "ab"]).failed(2).contains("one character"));
    assert!(import_with(&cli, "leads.csv", ["--encoding", "morse"]).failed(2).contains("must be an encoding"));
    assert!(!cli.folder().join("cosell.db").exists());
}

fn import_with<'a>(cli: &Cli, file: &'a str, more: [&'a str; 2]) -> Output {
    let format = ["import", "--format", "csv"];
    cli.run(format.into_iter().chain(IMPORT.into_iter().skip(3)).chain([file]).chain(more))
}

/// However long a file is, a few of its records are in memory at a time.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_takes_no_more_memory_than_a_small_one() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let setting = Setting::of(Database::fresh(Kind::Sqlite).await).await;
    let id = encode(NodeType::Partnership, setting.partnership.0);
    let filler = "d".repeat(4000);
    let json = format!(
        "{{\"Id\": \"00Q0S000002QgjU\", \"Company\": \"x\", \"IsConverted\": true, \"Description\": \"{filler}\"}},\n"
    );
    let table = format!("00Q0S000002QgjU,x,true,{filler}\n");
    for (format, begin, record, end) in [
        ("salesforce", "[", json.as_str(), "{\"Id\": \"00Q0S000002QgjU\", \"IsConverted\": true}]"),
        ("csv", "Id,Company,IsConverted,Description\n", table.as_str(), ""),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cosell"))
            .args(["import", "--format", format, "--company", "acme", "--partnership", &id, "-"])
            .env("COSELL_DATABASE_URL", setting.url())
            .current_dir(setting.cli.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command");
        let status = format!("/proc/{}/status", child.id());
        // The most that was resident until now, in KiB.
        let peak = || -> u64 {
            let status = std::fs::read_to_string(&status).expect("the process runs");
            let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
            line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
        };
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(begin.as_bytes()).expect("it is read");
        let mut write =
            |records: usize| (0..records).for_each(|_| input.write_all(record.as_bytes()).expect("it is read"));
        // 2 MB, then 20 MB more.
        write(500);
        let early = peak();
        write(5000);
        let late = peak();
        input.write_all(end.as_bytes()).expect("it is read");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("skipped (converted in Salesforce)") && output.status.success(), "{said}");
        assert!(late < early + 8 * 1024, "{format}: {early} KiB after 2 MB, {late} KiB after 22 MB");
    }
}
