//! The audit trail (mission D7): each company exports its own records and checks them offline; what was edited, dropped
//! or moved is found and named.

use std::collections::HashMap;
use std::fmt::Write as _;

use chrono::TimeDelta;
use cosell::domain::global_id::decode;
use cosell::domain::id::CompanyId;
use cosell::domain::patch::Patch;
use cosell::store::log::{EventFilter, LogWindow, statements};
use cosell::store::scope::Scope;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::on_both_databases;
use crate::support::cli::Cli;
use crate::support::database::Kind;
use crate::support::world::{Person, World};

/// All records of one history over the API, page by page.
pub async fn trail(person: &Person, lead: Option<&str>) -> Vec<Value> {
    const PAGE: &str = "query($id: ID, $after: String) { auditTrail(leadId: $id, first: 3, after: $after) {
        edges { node { sequence hash record } } pageInfo { hasNextPage endCursor } } }";
    let (mut records, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = person.query(PAGE, json!({ "id": lead, "after": after })).await.ok();
        for edge in page.list_at("/auditTrail/edges") {
            let node = &edge["node"];
            assert_eq!((&node["sequence"], &node["hash"]), (&node["record"]["sequence"], &node["record"]["hash"]));
            records.push(node["record"].clone());
        }
        after = page.at("/auditTrail/pageInfo/endCursor").clone();
        if page.at("/auditTrail/pageInfo/hasNextPage") == false {
            return records;
        }
    }
}

/// A file of records, one a line.
pub fn lines(records: &[Value]) -> String {
    records.iter().fold(String::new(), |mut text, record| {
        writeln!(text, "{record}").expect("a string takes all");
        text
    })
}

/// A second verifier, from docs/audit.md alone. It says what is wrong first.
pub fn check(records: &[Value]) -> Result<(), String> {
    fn canonical(value: &Value) -> String {
        match value {
            Value::Object(fields) => {
                let mut names: Vec<_> = fields.keys().collect();
                names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
                let fields: Vec<_> =
                    names.iter().map(|name| format!("{}:{}", json!(name), canonical(&fields[*name]))).collect();
                format!("{{{}}}", fields.join(","))
            }
            Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
            other => other.to_string(),
        }
    }
    fn hash(salt: Option<&str>, value: &Value) -> String {
        let mut digest = Sha256::new();
        digest.update(hex::decode(salt.unwrap_or_default()).unwrap_or_default());
        digest.update(canonical(value));
        hex::encode(digest.finalize())
    }
    let mut heads: HashMap<String, (i64, Value)> = HashMap::new();
    for (place, record) in records.iter().enumerate() {
        let wrong = |what: &str| Err(format!("{} {what}", record["sequence"]));
        let history = format!("{} {}", record["company"], record["lead"]);
        let (last, previous) = heads.get(&history).cloned().unwrap_or((0, Value::Null));
        if record["sequence"] != last + 1 || record["previous"] != previous {
            return wrong("does not follow");
        }
        let mut header = record.clone();
        for field in ["hash", "salt", "erasedAt", "content"] {
            header.as_object_mut().expect("an object").remove(field);
        }
        if record["hash"] != hash(None, &header) {
            return wrong("header");
        }
        if let Some(salt) = record["salt"].as_str() {
            if record["contentHash"] != hash(Some(salt), &record["content"]) || !record["erasedAt"].is_null() {
                return wrong("content");
            }
        } else {
            let (_, id) = decode(record["id"].as_str().expect("an id")).expect("an id");
            let left = json!({ "event": id, "left": hash(None, &record["content"]) });
            let vouches = |later: &&Value| {
                later["kind"] == "CUSTOMER_DATA_ERASED"
                    && (&later["company"], &later["lead"]) == (&record["company"], &record["lead"])
                    && later["at"] == record["erasedAt"]
                    && later["content"]["erased"].as_array().is_some_and(|erased| erased.contains(&left))
            };
            if !records[place + 1..].iter().any(|later| vouches(&later)) {
                return wrong("erased without a voucher");
            }
        }
        heads.insert(history, (last + 1, record["hash"].clone()));
    }
    Ok(())
}

/// A lead's life that both companies see, with events that each has alone.
pub struct Life {
    pub world: World,
    pub partnership: String,
    pub lead: String,
    pub cli: Cli,
}

impl Life {
    pub async fn of(world: World) -> Self {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let input = json!({
            "title": "Forty \u{1F600} seats \"at\" \u{e9}\\", "partnershipId": partnership,
            "customer": { "company": "Initrode", "contact": { "firstName": "Jo", "lastName": "Smykowski-Quist",
                "jobTitle": "Head of Jumping", "email": "jo.quist@initrode.example", "phone": "+49 30 5550199" } },
            "estimatedValue": { "amount": "1200.50", "currency": "EUR" },
        });
        let created = vendor.mutate("createLead", input, "lead { id }").await.ok();
        let lead = created.text_at("/createLead/lead/id").to_owned();
        let comment = |body: &str, visibility| json!({ "leadId": lead, "body": body, "visibility": visibility });
        vendor.mutate("addComment", comment("Theirs to know", "SHARED"), "comment { id }").await.ok();
        vendor.mutate("addComment", comment("Ours alone", "INTERNAL"), "comment { id }").await.ok();
        world.clock.advance(TimeDelta::hours(1));
        let change = json!({ "leadId": lead, "title": "Fifty seats", "customer": { "contact": {
            "email": "joanna.quist@initrode.example", "phone": "+49 30 5550177" } },
            "estimatedValue": { "amount": "0.05", "currency": "EUR" } });
        vendor.mutate("updateLead", change, "lead { id }").await.ok();
        partner.mutate("acceptLead", json!({ "leadId": lead }), "lead { id }").await.ok();
        partner.mutate("addComment", comment("On it", "SHARED"), "comment { id }").await.ok();
        let other = json!({ "title": "Another", "customer": { "company": "Initech" }, "partnershipId": partnership });
        vendor.mutate("createLead", other, "lead { id }").await.ok();
        let cli = Cli::new().env("COSELL_DATABASE_URL", &world.database.url);
        Self { world, partnership, lead, cli }
    }

    pub fn admin(&self, company: &str) -> Person {
        self.world.as_(company, "ADMIN")
    }

    pub async fn connection(&self) -> DatabaseConnection {
        sea_orm::Database::connect(&self.world.database.url).await.expect("it takes connections")
    }

    pub async fn sql(&self, sql: &str) {
        self.connection().await.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// A condition on the rows of acme's log about the lead.
    pub fn ours(&self, sequence: i64) -> String {
        let (_, id) = decode(&self.lead).expect("an id");
        let id = match self.world.database.kind {
            Kind::Sqlite => format!("x'{}'", id.simple()),
            Kind::Postgres => format!("'{id}'"),
        };
        format!(
            "company_id = (SELECT id FROM company WHERE slug = 'acme') AND lead_id = {id} AND sequence = {sequence}"
        )
    }
}

on_both_databases! {
    async fn each_company_exports_its_own_trail_and_finds_it_sound(world: World) {
        let life = Life::of(world).await;
        let mut files = Vec::new();
        for company in ["acme", "globex"] {
            let person = life.world.as_(company, "VIEWER");
            let records = trail(&person, Some(&life.lead)).await;
            assert_eq!(check(&records), Ok(()), "{company}");
            assert!(records.len() > 4, "{company}: {records:?}");
            let file = format!("{company}.jsonl");
            life.cli.file(&file, lines(&records));
            let said = life.cli.run(["audit", "verify", &file]);
            let head = records.last().expect("a record");
            assert!(said.ok().contains(&format!("{} records in 1 history: sound.", records.len())), "{said}");
            assert!(said.ok().contains(&format!("{}:{}", head["sequence"], head["hash"].as_str().expect("a hash"))));
            // The same as an array, and as the operator exports it.
            life.cli.file("array.json", format!("  \n{}", json!(records)));
            life.cli.run(["audit", "verify", "array.json"]).ok();
            let exported = life.cli.run(["audit", "export", "--company", company, "--lead", &life.lead]);
            let exported: Vec<Value> =
                exported.ok().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            assert_eq!(exported, records);
            // The company's own events are a history of their own; with all others, a sound log.
            let own = trail(&person, None).await;
            assert_eq!(check(&own), Ok(()));
            assert!(own.iter().all(|record| record["lead"].is_null()) && own[0]["kind"] == "PARTNERSHIP_CHANGED");
            life.cli.run(["audit", "export", "--company", company, "--output", "all.jsonl"]).ok();
            life.cli.run(["audit", "verify", "all.jsonl"]).ok();
            let all = std::fs::read_to_string(life.cli.folder().join("all.jsonl")).expect("a file");
            let all: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            assert_eq!(check(&all), Ok(()));
            files.push(records);
        }
        // What both know has one content hash; what is one side's alone is no gap for the other.
        let agreed = life.cli.run(["audit", "compare", "acme.jsonl", "globex.jsonl"]);
        assert!(agreed.ok().contains("they agree"), "{agreed}");
        let ids = |of: usize| files[of].iter().map(|record| record["id"].clone()).collect::<Vec<_>>();
        let alone = |of: usize, other: usize| ids(of).iter().filter(|id| !ids(other).contains(id)).count();
        let (ours, theirs) = (alone(0, 1), alone(1, 0));
        assert!(ours > 0, "an internal comment");
        let said = agreed.ok().replace(" events in", " in").replace(" event in", " in");
        assert!(said.contains(&format!("{ours} in acme.jsonl only, {theirs} in globex.jsonl only")), "{said}");
        assert!(files[0].len() > files[1].len());
        let mut edited = files[1].clone();
        edited[1]["contentHash"] = json!("00".repeat(32));
        life.cli.file("globex.jsonl", lines(&edited));
        assert!(life.cli.run(["audit", "compare", "acme.jsonl", "globex.jsonl"]).failed(1).contains("differs in contentHash"));
        // The activity shows the same hash and place.
        let doc = "query($id: ID) { activity(filter: { leadId: $id }) { edges { node { id sequence hash } } } }";
        let activity = life.world.as_("acme", "VIEWER").query(doc, json!({ "id": life.lead })).await.ok();
        let newest = &activity.list_at("/activity/edges")[0]["node"];
        let head = files[0].last().expect("a record");
        assert_eq!((&newest["id"], &newest["sequence"], &newest["hash"]), (&head["id"], &head["sequence"], &head["hash"]));
        // And the whole database.
        assert!(life.cli.run(["audit", "verify", "--database"]).ok().contains("acme: "));
        let lead = life.cli.run(["audit", "verify", "--database", "--company", "globex", "--lead", &life.lead]);
        assert!(lead.ok().contains("1 history: sound."), "{lead}");
    }

    async fn a_lead_is_named_by_the_number_that_it_has_at_the_company(world: World) {
        let life = Life::of(world).await;
        let globex = life.world.as_("globex", "SALES");
        let doc = "query($id: ID!) { lead(id: $id) { number } }";
        let theirs = globex.query(doc, json!({ "id": life.lead })).await.ok();
        let ours = life.world.as_("acme", "SALES").query(doc, json!({ "id": life.lead })).await.ok();
        for (company, answer) in [("globex", &theirs), ("acme", &ours)] {
            let number = answer.text_at("/lead/number");
            for command in [["audit", "export"].as_slice(), &["audit", "verify", "--database"]] {
                life.cli.run(command.iter().copied().chain(["--company", company, "--lead", number])).ok();
                life.cli.run(command.iter().copied().chain(["--company", company, "--lead", &life.lead])).ok();
            }
        }
        let other = ours.text_at("/lead/number");
        let said = life.cli.run(["audit", "export", "--company", "globex", "--lead", other]);
        assert!(said.failed(2).contains(&format!("The company has no lead {other}")));
    }

    async fn what_was_done_to_an_export_is_found_and_named(world: World) {
        let life = Life::of(world).await;
        let records = trail(&life.admin("acme"), Some(&life.lead)).await;
        let verify = |records: &[Value], more: &[&str]| {
            life.cli.file("trail.jsonl", lines(records));
            life.cli.run(["audit", "verify", "trail.jsonl"].into_iter().chain(more.iter().copied()))
        };
        let updated = records.iter().position(|record| record["kind"] == "LEAD_UPDATED").expect("an update");
        let number = updated + 1;
        let edit = |change: &dyn Fn(&mut Value)| {
            let mut edited = records.clone();
            change(&mut edited[updated]);
            assert!(check(&edited).is_err());
            verify(&edited, &[]).failed(1).to_owned()
        };
        let id = records[updated]["id"].as_str().expect("an id");
        let said = edit(&|record| record["content"]["changes"][0]["after"] = json!("Sixty seats"));
        assert!(said.contains(&format!("entry {number} (event {id}): its content was edited")), "{said}");
        assert!(said.contains(&format!("lead {}", life.lead)), "{said}");
        for field in ["at", "actor", "subject", "kind", "id", "lead", "company"] {
            let said = edit(&|record| record[field] = json!("another"));
            assert!(said.contains("a field beside its content was edited"), "{field}: {said}");
        }
        for (field, value) in [("position", json!(1000)), ("previous", Value::Null), ("version", json!(2))] {
            edit(&|record| record[field] = value.clone());
        }
        let said = edit(&|record| record["salt"] = Value::Null);
        assert!(said.contains("no later CUSTOMER_DATA_ERASED"), "{said}");
        edit(&|record| record["erasedAt"] = record["at"].clone());
        edit(&|record| record["more"] = json!(1));
        // Dropped, moved, doubled.
        let mut dropped = records.clone();
        dropped.remove(updated);
        let said = verify(&dropped, &[]);
        assert!(said.failed(1).contains(&format!("entry {number}: missing, up to entry {number}")), "{said}");
        let mut moved = records.clone();
        moved.swap(1, 2);
        assert!(verify(&moved, &[]).failed(1).contains("entry 2 (event"), "{moved:?}");
        assert!(verify(&moved, &[]).failed(1).contains("out of order"));
        let mut doubled = records.clone();
        doubled.insert(updated, records[updated].clone());
        assert!(verify(&doubled, &[]).failed(1).contains(&format!("entry {number} (event {id}): repeated")));
        // Cut off: found by who noted the head.
        let last = records.last().expect("a record");
        let head = format!("{}:{}", last["sequence"], last["hash"].as_str().expect("a hash"));
        verify(&records, &["--head", &head]).ok();
        verify(&records, &["--head", &format!("{}/{head}", life.lead)]).ok();
        let cut = &records[..records.len() - 1];
        verify(cut, &[]).ok();
        assert!(verify(cut, &["--head", &head]).failed(1).contains("cut off"));
        let forged = format!("2:{}", last["hash"].as_str().expect("a hash"));
        assert!(verify(&records, &["--head", &forged]).failed(1).contains("rewritten"));
        // The partner's history of the lead has hashes of its own; the entry has to be in one of the files.
        let theirs = trail(&life.admin("globex"), Some(&life.lead)).await;
        life.cli.file("theirs.jsonl", lines(&theirs));
        let own = trail(&life.admin("acme"), None).await;
        life.cli.file("own.jsonl", lines(&own));
        let noted = format!("{}/{head}", life.lead);
        verify(&records, &["theirs.jsonl", "own.jsonl", "--head", &noted]).ok();
        let said = verify(cut, &["theirs.jsonl", "own.jsonl", "--head", &noted]).failed(1).to_owned();
        assert!(said.contains("1 fault:"), "it is said once: {said}");
        assert!(said.contains(&format!("the noted entry {noted}: ")) && said.contains("cut off"), "{said}");
        let said = verify(cut, &["--head", &format!("{}/1:{}", life.lead, "00".repeat(32))]).failed(1).to_owned();
        assert!(said.contains("rewritten: in company") && said.contains("1 fault:"), "{said}");
        // What can't be checked is no finding.
        assert!(verify(&records, &["--head", "x"]).failed(2).contains("SEQUENCE:HASH"));
        life.cli.run(["audit", "verify", "absent.jsonl"]).failed(2);
        life.cli.run(["audit", "verify"]).failed(2);
        life.cli.file("empty.jsonl", "\n");
        assert!(life.cli.run(["audit", "verify", "empty.jsonl"]).failed(1).contains("holds no record"));
        life.cli.file("broken.jsonl", "{}\n");
        assert!(life.cli.run(["audit", "verify", "broken.jsonl"]).failed(1).contains("line 1"));
    }

    async fn a_noted_entry_may_be_in_any_company_s_history(world: World) {
        let life = Life::of(world).await;
        let noted = async |company: &str, place: usize| {
            let records = trail(&life.admin(company), Some(&life.lead)).await;
            format!("{}/{}:{}", life.lead, place + 1, records[place]["hash"].as_str().expect("a hash"))
        };
        let (ours, theirs) = (noted("acme", 2).await, noted("globex", 2).await);
        assert_ne!(ours, theirs);
        let all = ["audit", "verify", "--database"];
        let heads = ["--head", &ours, "--head", &theirs];
        life.cli.run(all.into_iter().chain(heads)).ok();
        let of_theirs = ["--company", "globex", "--head", &ours];
        let said = life.cli.run(all.into_iter().chain(of_theirs)).failed(1).to_owned();
        assert!(said.contains("1 fault:") && said.contains(&format!("{ours}: rewritten")), "{said}");
        let late = format!("{}/400:{}", life.lead, "00".repeat(32));
        let said = life.cli.run(all.into_iter().chain(["--head", &late])).failed(1).to_owned();
        assert!(said.contains("1 fault:") && said.contains(&format!("{late}: cut off")), "{said}");
    }

    async fn what_was_done_to_the_database_is_found_and_named(world: World) {
        let life = Life::of(world).await;
        let verify = || life.cli.run(["audit", "verify", "--database", "--company", "acme"]);
        verify().ok();
        let fourth = life.ours(4);
        let hex = |byte: &str| match life.world.database.kind {
            Kind::Sqlite => format!("x'{}'", byte.repeat(32)),
            Kind::Postgres => format!("'\\x{}'", byte.repeat(32)),
        };
        let zeros = hex("00");
        let uuid = match life.world.database.kind {
            Kind::Sqlite => "x'01902c5c000070008000000000000001'",
            Kind::Postgres => "'01902c5c-0000-7000-8000-000000000001'",
        };
        let member = "(SELECT id FROM member WHERE subject = 'acme-admin')";
        let edits = [
            ("content", "'{\"changed\": 1}'".to_owned(), "its content was edited"),
            ("kind", "'COMMENT_REMOVED'".to_owned(), "a field beside its content"),
            ("actor_id", member.to_owned(), "a field beside its content"),
            ("subject_id", uuid.to_owned(), "a field beside its content"),
            ("at", "'2026-01-01T00:00:00.000+00:00'".to_owned(), "a field beside its content"),
            ("id", uuid.to_owned(), "a field beside its content"),
            ("lead_id", "NULL".to_owned(), "a field beside its content"),
            ("sequence", "40".to_owned(), "a field beside its content"),
            ("position", "4000".to_owned(), "a field beside its content"),
            ("previous", "NULL".to_owned(), "a field beside its content"),
            ("hash", zeros.clone(), "does not follow"),
            ("content_hash", zeros.clone(), "its content was edited"),
            ("salt", zeros, "its content was edited"),
            ("erased_at", "at".to_owned(), "its content was edited"),
        ];
        let mut edits = Vec::from(edits);
        let short = if life.world.database.kind == Kind::Sqlite { "x'00'" } else { "'\\x00'" };
        for column in ["hash", "content_hash", "salt", "previous"] {
            edits.push((column, short.to_owned(), "can't be read: what is in"));
        }
        if life.world.database.kind == Kind::Sqlite {
            for (column, value) in [
                ("content", "'{'"),
                ("content", "x'ff'"),
                ("at", "'yesterday'"),
                ("at", "x'ff00'"),
                ("erased_at", "''"),
                ("id", "x'01'"),
                ("subject_id", "'text'"),
                ("sequence", "'four'"),
                ("kind", "x'ff'"),
            ] {
                edits.push((column, value.to_owned(), "can't be read: what is in"));
            }
            edits.push(("position", "'four'".to_owned(), "a row's position is no number"));
        } else {
            edits.push(("at", "'infinity'".to_owned(), "can't be read: what is in at"));
            edits.push(("content", "'{\"n\": 1e999}'".to_owned(), "can't be read: what is in content"));
        }
        let connection = life.connection().await;
        for (column, value, expected) in edits {
            let keep = format!("CREATE TABLE kept AS SELECT * FROM event WHERE {fourth}");
            let back = "DELETE FROM event WHERE company_id = (SELECT id FROM company WHERE slug = 'acme') \
                AND (id IN (SELECT id FROM kept) OR position IN (4000) OR position IN (SELECT position FROM kept))";
            let edit = format!("UPDATE event SET {column} = {value} WHERE {fourth}");
            for sql in [keep.as_str(), edit.as_str()] {
                connection.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
            }
            let said = verify();
            assert!(said.failed(1).contains(expected), "{column}: {said}");
            for sql in [back, "INSERT INTO event SELECT * FROM kept", "DROP TABLE kept"] {
                connection.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
            }
            verify().ok();
        }
        // The partner's copy of an event, edited with all its hashes, no longer agrees with the vendor's.
        let change = match life.world.database.kind {
            Kind::Sqlite => "UPDATE event SET at = '2026-03-02T09:00:00.001+00:00' WHERE kind = 'COMMENT_ADDED' \
                AND company_id = (SELECT id FROM company WHERE slug = 'globex')",
            Kind::Postgres => "UPDATE event SET at = at + interval '1 second' WHERE kind = 'COMMENT_ADDED' \
                AND company_id = (SELECT id FROM company WHERE slug = 'globex')",
        };
        life.sql(change).await;
        let said = verify();
        assert!(said.failed(1).contains("differs from the same event in the log of company"), "{said}");
        // Dropped in the middle, and at the end.
        life.sql(&format!("DELETE FROM event WHERE {fourth}")).await;
        let said = verify();
        assert!(said.failed(1).contains("entry 4: missing, up to entry 4"), "{said}");
        assert!(said.failed(1).contains("of the company's log is missing"), "{said}");
        life.sql("DELETE FROM event WHERE position = (SELECT MAX(position) FROM event e WHERE e.company_id = event.company_id)").await;
        let position = life.cli.run(["audit", "verify", "--database", "--company", "globex"]);
        assert!(position.failed(1).contains("of the company's log is missing"), "{position}");
    }

    async fn a_database_from_before_gets_its_chains(world: World) {
        let life = Life::of(world).await;
        for sql in [
            "DROP INDEX event_by_time", "DROP INDEX event_by_kind", "DROP INDEX event_by_actor",
            "DROP INDEX idempotency_key_by_result",
            "ALTER TABLE event DROP COLUMN sequence", "ALTER TABLE event DROP COLUMN previous",
            "ALTER TABLE event DROP COLUMN salt", "ALTER TABLE event DROP COLUMN content_hash",
            "ALTER TABLE event DROP COLUMN hash", "ALTER TABLE event DROP COLUMN erased_at",
            "ALTER TABLE company_feed DROP COLUMN last_at",
            "DELETE FROM seaql_migrations WHERE version = 'm20261122_000005_audit_trail'",
        ] {
            life.sql(sql).await;
        }
        life.cli.run(["migrate"]).ok();
        life.cli.run(["audit", "verify", "--database"]).ok();
        if life.world.database.kind == Kind::Postgres {
            // A server of the version before can't add what is in no chain.
            let sql = "INSERT INTO event (company_id, position, id, at, kind, content) \
                SELECT company_id, position + 1000, gen_random_uuid(), at, kind, content FROM event LIMIT 1";
            let refused = life.connection().await.execute_unprepared(sql).await.expect_err("it is refused");
            assert!(refused.to_string().contains("sequence"), "{refused}");
        }
        let world = life.world.restart().await;
        let (ours, theirs) = (world.as_("acme", "ADMIN"), world.as_("globex", "ADMIN"));
        for person in [&ours, &theirs] {
            assert_eq!(check(&trail(person, Some(&life.lead)).await), Ok(()));
        }
        // One event has one salt, and what comes next goes on.
        let comment = json!({ "leadId": life.lead, "body": "And on", "visibility": "SHARED" });
        ours.mutate("addComment", comment, "comment { id }").await.ok();
        let (ours, theirs) = (trail(&ours, Some(&life.lead)).await, trail(&theirs, Some(&life.lead)).await);
        assert_eq!(check(&ours), Ok(()));
        for theirs in &theirs {
            let Some(same) = ours.iter().find(|record| record["id"] == theirs["id"]) else {
                assert_eq!(theirs["kind"], "LEAD_OWNER_CHANGED", "the vendor knows all the rest");
                continue;
            };
            assert_eq!((&same["salt"], &same["contentHash"]), (&theirs["salt"], &theirs["contentHash"]));
        }
    }

    async fn a_log_s_times_never_go_back(world: World) {
        let life = Life::of(world).await;
        life.world.clock.advance(TimeDelta::hours(-5));
        let comment = json!({ "leadId": life.lead, "body": "Late", "visibility": "SHARED" });
        life.admin("globex").mutate("addComment", comment, "comment { id }").await.ok();
        for company in ["acme", "globex"] {
            life.cli.run(["audit", "export", "--company", company, "--output", "all.jsonl"]).ok();
            let all = std::fs::read_to_string(life.cli.folder().join("all.jsonl")).expect("a file");
            let times: Vec<String> = all
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["at"].as_str().expect("a time").to_owned())
                .collect();
            assert!(times.is_sorted(), "{times:?}");
        }
    }

    async fn a_long_log_is_read_by_index_whatever_the_filter(world: World) {
        let life = Life::of(world).await;
        let connection = life.connection().await;
        many_events(&connection, life.world.database.kind).await;
        let viewer = life.admin("acme").query("{ viewer { id company { id } } }", json!({})).await.ok();
        let (_, company) = decode(viewer.text_at("/viewer/company/id")).expect("an id");
        let (_, actor) = decode(viewer.text_at("/viewer/id")).expect("an id");
        let scope = Scope::system(CompanyId(company));
        let window = LogWindow { limit: 20, above: None, below: Some(9_000), descending: true, last: false };
        let none = EventFilter::default;
        let at = |text: &str| Some(text.parse().expect("a time"));
        let (_, lead) = decode(&life.lead).expect("an id");
        let (lead, actor, updates) = (Patch::Value(lead.into()), Patch::Value(actor.into()), Some(vec!["LEAD_UPDATED"]));
        let (since, until) = (at("2026-03-02T08:00:00Z"), at("2026-03-02T09:30:00Z"));
        // Nearly all of the log is of one lead: either index does for it.
        let (of_key, of_lead): (&[&str], &[&str]) = (
            &["event_pkey", "sqlite_autoindex_event"],
            &["event_by_lead", "event_pkey", "sqlite_autoindex_event"],
        );
        let cases: [(EventFilter, &[&str]); 11] = [
            (EventFilter { kinds: updates.clone(), ..none() }, &["event_by_kind"]),
            (EventFilter { kinds: Some(vec!["LEAD_UPDATED", "LEAD_SHARED"]), ..none() }, &["event_by_kind"]),
            (EventFilter { actor, ..none() }, &["event_by_actor"]),
            (EventFilter { since, until, ..none() }, of_key),
            (EventFilter { until, ..none() }, of_key),
            // Together with a time: the time says from where to where, and then as without one.
            (EventFilter { lead, until: at("2026-04-05T00:00:00Z"), ..none() }, of_lead),
            (EventFilter { lead, since, ..none() }, of_lead),
            (EventFilter { kinds: updates.clone(), since, ..none() }, &["event_by_kind"]),
            (EventFilter { kinds: updates, until: at("2026-04-05T00:00:00Z"), ..none() }, &["event_by_kind"]),
            (EventFilter { actor, since, ..none() }, &["event_by_actor"]),
            (EventFilter { actor, since, until: at("2026-04-05T00:00:00Z"), ..none() }, &["event_by_actor"]),
        ];
        for (filter, index) in cases {
            let sent = statements(&connection, scope, &filter, window).await.expect("statements");
            let times = sent.len() - 1;
            assert_eq!(times, usize::from(filter.since.is_some()) + usize::from(filter.until.is_some()));
            for (place, statement) in sent.into_iter().enumerate() {
                let index: &[&str] = if place < times { &["event_by_time"] } else { index };
                let plan = explain(&connection, life.world.database.kind, statement).await;
                assert!(index.iter().any(|index| plan.contains(index)), "{filter:?}: the plan lacks {index:?}:\n{plan}");
                assert!(!plan.contains("Seq Scan") && !plan.contains("SCAN event"), "{plan}");
                assert!(!plan.contains("TEMP B-TREE FOR ORDER BY") || plan.contains("of_kind"), "{plan}");
                assert!(!plan.contains("Sort") || plan.contains("of_kind") || plan.contains("Append"), "{plan}");
            }
        }
    }

    async fn time_filters_page_in_the_log_s_order(world: World) {
        let life = Life::of(world).await;
        let doc = "query($since: DateTime, $after: String, $kind: [ActivityKind!]) {
            activity(first: 2, after: $after, filter: { since: $since, kind: $kind }) {
            edges { node { id } } pageInfo { hasNextPage endCursor } } }";
        let admin = life.admin("acme");
        let all = async |since: Value, kind: Value| {
            let (mut ids, mut after) = (Vec::new(), Value::Null);
            loop {
                let page = admin.query(doc, json!({ "since": since, "after": after, "kind": kind })).await.ok();
                ids.extend(page.list_at("/activity/edges").iter().map(|edge| edge["node"]["id"].clone()));
                after = page.at("/activity/pageInfo/endCursor").clone();
                if page.at("/activity/pageInfo/hasNextPage") == false {
                    return ids;
                }
            }
        };
        let plain = all(Value::Null, Value::Null).await;
        assert!(plain.len() > 8);
        assert_eq!(all(json!("2020-01-01T00:00:00Z"), Value::Null).await, plain);
        let later = all(json!("2026-03-02T10:00:00Z"), Value::Null).await;
        assert!(!later.is_empty() && later.len() < plain.len() && plain.starts_with(&later));
        let two = json!(["COMMENT_ADDED", "LEAD_UPDATED"]);
        let some = all(Value::Null, two.clone()).await;
        assert_eq!(some.len(), 4);
        assert_eq!(all(json!("2020-01-01T00:00:00Z"), two).await, some);
        assert!(all(Value::Null, json!([])).await.is_empty());
    }
}

#[test]
fn what_can_t_be_read_is_not_called_sound() {
    let cli = Cli::new();
    for content in ["nonsense\n", "{\"sequence\": 1}\n", ""] {
        let output = cli.file("trail.jsonl", content).run(["audit", "verify", "trail.jsonl"]);
        assert!(output.failed(1).contains("trail.jsonl"), "{output}");
        assert!(output.stdout.contains("1 fault") && !output.stdout.contains("sound"), "{output}");
    }
}

#[test]
fn the_example_of_the_documentation_is_sound() {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).expect("a file");
    let example = text("docs/examples/audit-trail.jsonl");
    let records: Vec<Value> = example.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(check(&records), Ok(()));
    assert!(records.iter().any(|record| record["salt"].is_null()), "it has an erasure");
    let last = records.last().expect("a record");
    let hash = last["hash"].as_str().expect("a hash");
    assert!(text("docs/audit.md").contains(hash), "docs/audit.md says its last hash");
    let cli = Cli::new();
    cli.file("example.jsonl", &example);
    cli.run(["audit", "verify", "--head", &format!("{}:{hash}", last["sequence"]), "example.jsonl"]).ok();
}

async fn explain(connection: &DatabaseConnection, kind: Kind, statement: Statement) -> String {
    let explain = if kind == Kind::Sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
    let column = if kind == Kind::Sqlite { "detail" } else { "QUERY PLAN" };
    let values = statement.values.expect("parameters").0;
    let sql = format!("{explain} {}", statement.sql);
    let plan = connection
        .query_all_raw(Statement::from_sql_and_values(connection.get_database_backend(), sql, values))
        .await
        .expect("a plan");
    let plan: Vec<String> = plan.iter().map(|row| row.try_get("", column).expect("a line")).collect();
    plan.join("\n")
}

/// Adds 10,000 comments to acme's log, of another actor than the one who is asked for.
async fn many_events(connection: &DatabaseConnection, kind: Kind) {
    let (id, numbers, at) = match kind {
        Kind::Sqlite => (
            "unhex(printf('%032x', n))",
            "WITH RECURSIVE numbers (n) AS (SELECT 1001 UNION ALL SELECT n + 1 FROM numbers WHERE n < 11000)",
            "strftime('%Y-%m-%dT%H:%M:%S+00:00', '2026-04-01', '+' || n || ' minutes')",
        ),
        Kind::Postgres => (
            "lpad(to_hex(n), 32, '0')::uuid",
            "WITH numbers (n) AS (SELECT generate_series(1001, 11000))",
            "timestamptz '2026-04-01' + n * interval '1 minute'",
        ),
    };
    let sql = format!(
        "INSERT INTO event (company_id, position, id, at, actor_id, lead_id, kind, content, sequence, content_hash, hash) \
         {numbers} SELECT e.company_id, n, {id}, {at}, e.actor_id, e.lead_id, e.kind, e.content, n, e.content_hash, e.hash \
         FROM numbers CROSS JOIN \
         (SELECT * FROM event WHERE kind = 'COMMENT_ADDED' \
         AND company_id = (SELECT id FROM company WHERE slug = 'acme') LIMIT 1) e"
    );
    for sql in [sql.as_str(), if kind == Kind::Sqlite { "ANALYZE" } else { "ANALYZE event" }] {
        connection.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}
