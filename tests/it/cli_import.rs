//! `cosell import`, on records of invented people.

use std::sync::Arc;

use cosell::clock::SystemClock;
use cosell::domain::actor::{Member, Role};
use cosell::domain::global_id::{NodeType, encode};
use cosell::domain::id::{CompanyId, PartnershipId};
use cosell::domain::lead::Lead;
use cosell::domain::page::PageRequest;
use cosell::ids::TimeOrdered;
use cosell::service::member::Bearer;
use cosell::service::{Bus, Service};
use cosell::store::db::{Db, PoolSize};
use cosell::store::lead::{LeadFilter, LeadSort};
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::cli::{Cli, Output};
use crate::support::database::Database;

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
    _database: Database,
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
        Self { cli, service, partnership, _database: database }
    }

    fn import<const N: usize>(&self, file: &Value, more: [&str; N]) -> Output {
        self.cli.file("leads.json", file.to_string());
        let id = encode(NodeType::Partnership, self.partnership.0);
        let arguments = ["import", "--format", "salesforce", "--company", "acme", "--partnership", &id, "leads.json"];
        self.cli.run(arguments.into_iter().chain(more))
    }

    async fn leads(&self, company: &str) -> Vec<Lead> {
        let member = admin(&self.service, company).await;
        let page = PageRequest { first: Some(50), ..PageRequest::default() };
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
        let file = json!([lead("ref1", "Marchetti"), lead("ref1", "Marchetti"), with("ref2", "Email", json!("odile@"))]);

        let rehearsed = setting.import(&file, ["--dry-run"]);
        let faults = rehearsed.failed(1);
        assert!(
            rehearsed.stdout.starts_with("Dry run, nothing was written: 1 would be created, 1 already here, 1 faulty."),
            "{rehearsed}"
        );
        assert!(setting.leads("acme").await.is_empty());
        assert!(!setting.members().await.contains(&"Import".to_owned()), "not even the one who imports");

        let output = setting.import(&file, []);
        assert_eq!(output.failed(1), faults);
        assert!(output.stdout.starts_with("1 created, 1 already here, 1 faulty."), "{output}");
        assert_eq!(setting.leads("acme").await[0].number, "L-1001", "a dry run takes no number");
    }

    async fn a_bad_record_is_reported_with_its_place_and_the_others_go_in(database: Database) {
        let setting = Setting::of(database).await;
        let file = json!({ "records": [
            lead("ref0", "Marchetti"),
            with("ref1", "Email", json!("odile@")),
            with("ref2", "Country", json!("Atlantis")),
            with("ref3", "LastName", json!(null)),
            with("ref4", "Phone", json!("call me")),
            with("ref5", "attributes", json!({"type": "Account", "referenceId": "ref5"})),
            "a lead",
            lead("ref7", "Ostrander"),
        ]});
        let output = setting.import(&file, []);
        let said: Vec<_> = output.failed(1).lines().map(str::trim).collect();
        assert_eq!(said[0], "error: 6 records are faulty and not imported:");
        for (line, begins) in said[1..].iter().zip([
            "- record 1 (ref1), /records/1/Email: Email must be an e-mail address",
            "- record 2 (ref2), /records/2/Country: Country must be a country's ISO 3166-1 code or English name",
            "- record 3 (ref3), /records/3/LastName: LastName is required",
            "- record 4 (ref4), /records/4/Phone: Phone must be a phone number of US",
            "- record 5 (ref5), /records/5/attributes/type: Only records of the type Lead",
            "- record 6, /records/6: A record must be an object.",
        ]) {
            assert!(line.starts_with(begins), "{line}");
        }
        assert_eq!(said.len(), 7);
        assert!(output.stdout.starts_with("2 created, 0 already here, 6 faulty."), "{output}");
        assert_eq!(setting.leads("globex").await.len(), 2);
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
        let output = setting.cli.run(["import", "--format", "salesforce", "--company", "umbrella", "--partnership", &id, "leads.json"]);
        assert_eq!(output.failed(1), "error: There is no such partnership of the company umbrella.");
        let output = setting.cli.run(["import", "--format", "salesforce", "--company", "nobody", "--partnership", &id, "leads.json"]);
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
