//! A customer's personal data is erased on request: nothing of it is left, and the history stays verifiable.

use cosell::domain::global_id::decode;
use serde_json::{Value, json};

use crate::audit::{Life, check, lines, trail};
use crate::on_both_databases;
use crate::support::database::Kind;
use crate::support::leads::read;
use crate::support::rows::Rows;
use crate::support::world::{Person, World};

const PERSONAL: [&str; 9] = [
    "jo.quist",
    "joanna.quist",
    "Smykowski",
    "Quist",
    "Head of Jumping",
    "5550199",
    "5550177",
    "+49 30 555",
    "+4930555",
];

async fn erase(person: &Person, lead: &str, more: Value) -> crate::support::http::Answer {
    let mut input = json!({ "leadId": lead, "reason": "The customer asked for it" });
    for (key, value) in more.as_object().into_iter().flatten() {
        input[key] = value.clone();
    }
    person.mutate("eraseCustomerData", input, "lead { id version customer { contact { email } } }").await
}

on_both_databases! {
    async fn nothing_of_the_contact_is_left_and_every_trail_verifies(world: World) {
        let life = Life::of(world).await;
        // initech had the lead before, and sees it as it was then; a second lead of the same contact stays.
        let initech = life.world.partnership("acme", "initech").await;
        let input = json!({ "title": "Passed on", "partnershipId": initech, "customer": { "company": "Initrode",
            "contact": { "firstName": "Jo", "lastName": "Smykowski-Quist", "email": "jo.quist@initrode.example",
            "phone": "+49 30 5550199" } }, "idempotencyKey": "once" });
        let vendor = life.world.as_("acme", "SALES");
        let created = vendor.mutate("createLead", input.clone(), "lead { id }").await.ok();
        let passed = created.text_at("/createLead/lead/id").to_owned();
        let change = json!({ "leadId": passed, "customer": { "contact": { "jobTitle": "Head of Jumping" } } });
        vendor.mutate("updateLead", change, "lead { id }").await.ok();
        let decline = json!({ "leadId": passed, "reason": "No time" });
        life.world.as_("initech", "SALES").mutate("declineLead", decline, "lead { id }").await.ok();
        let again = json!({ "leadId": passed, "partnershipId": life.partnership });
        vendor.mutate("shareLead", again, "lead { id }").await.ok();
        let rows = Rows::of(&life.world.database).await;
        let before = rows.now().await;
        assert!(PERSONAL.iter().all(|text| before.values().any(|rows| rows.contains(text))), "the search finds what is there");
        let old = trail(&life.admin("acme"), Some(&life.lead)).await;
        let version = read(&life.admin("globex"), &passed, "version").await["version"].as_i64().expect("a number");

        for lead in [&life.lead, &passed] {
            let erased = erase(&life.admin("acme"), lead, json!({})).await.ok();
            assert!(erased.at("/eraseCustomerData/lead/customer/contact").is_null());
        }
        let after = rows.now().await;
        for (table, rows) in &after {
            for text in PERSONAL {
                assert!(!rows.contains(text), "{text} is left in {table}: {rows}");
            }
        }
        // Every company's view lost it and counts on; also the one that has ended.
        for company in ["acme", "globex", "initech"] {
            let contact = "version customer { company contact { firstName lastName jobTitle email phone } } possibleDuplicates { lead { id } }";
            let seen = read(&life.admin(company), &passed, contact).await;
            assert!(seen["customer"]["contact"].is_null(), "{company}: {seen}");
            assert_eq!(seen["customer"]["company"], "Initrode");
        }
        assert_eq!(read(&life.admin("globex"), &passed, "version").await["version"], version + 1);
        // The histories keep their shape, and verify.
        for (company, lead) in [("acme", &life.lead), ("globex", &life.lead), ("acme", &passed), ("globex", &passed), ("initech", &passed)] {
            let records = trail(&life.admin(company), Some(lead)).await;
            assert_eq!(check(&records), Ok(()), "{company}");
            life.cli.file("trail.jsonl", lines(&records));
            life.cli.run(["audit", "verify", "trail.jsonl"]).ok();
            assert_eq!(records.last().expect("a record")["kind"], "CUSTOMER_DATA_ERASED");
        }
        life.cli.run(["audit", "verify", "--database"]).ok();
        let new = trail(&life.admin("acme"), Some(&life.lead)).await;
        assert_eq!(new.len(), old.len() + 1);
        for (old, new) in old.iter().zip(&new) {
            for field in ["hash", "contentHash", "id", "kind", "at"] {
                assert_eq!(old[field], new[field]);
            }
        }
        let updated = new.iter().find(|record| record["kind"] == "LEAD_UPDATED").expect("an update");
        assert!(updated["salt"].is_null() && !updated["erasedAt"].is_null());
        let changes = updated["content"]["changes"].as_array().expect("changes");
        let of = |field: &str| changes.iter().find(|change| change["field"] == field).expect("its name stays");
        assert_eq!(of("title")["after"], "Fifty seats");
        assert_eq!(of("customer.contact.email"), &json!({ "field": "customer.contact.email", "before": null, "after": null }));
        // The feed tells of it.
        let doc = "query($id: ID) { activity(first: 1, filter: { leadId: $id, kind: [LEAD_CUSTOMER_DATA_ERASED] }) {
            edges { node { ... on LeadCustomerDataErased { reason erasedActivityIds } } } } }";
        let told = life.admin("globex").query(doc, json!({ "id": life.lead })).await.ok();
        let told = told.at("/activity/edges/0/node");
        assert_eq!(told, &json!({ "reason": "The customer asked for it", "erasedActivityIds": [updated["id"]] }));
        // Whoever repeats the call that brought the data does not bring it back.
        assert_eq!(vendor.mutate("createLead", input, "lead { id }").await.code(), "DUPLICATE");
    }

    async fn an_edit_in_the_guise_of_an_erasure_is_found(world: World) {
        let life = Life::of(world).await;
        erase(&life.admin("acme"), &life.lead, json!({})).await.ok();
        let verify = || life.cli.run(["audit", "verify", "--database", "--company", "acme", "--lead", &life.lead]);
        verify().ok();
        let records = trail(&life.admin("acme"), Some(&life.lead)).await;
        let of = |kind: &str| {
            let found = records.iter().find(|record| record["kind"] == kind).expect("a record");
            found["sequence"].as_i64().expect("a number")
        };
        let (updated, comment, voucher) = (of("LEAD_UPDATED"), of("COMMENT_ADDED"), of("CUSTOMER_DATA_ERASED"));
        let unvouched = |sequence: i64| format!("entry {sequence} (event ");
        // What is left of an erased one is vouched for as it is.
        let content = match life.world.database.kind {
            Kind::Sqlite => "json_set(content, '$.changes[0].after', 'Ninety seats')",
            Kind::Postgres => "jsonb_set(content, '{changes,0,after}', '\"Ninety seats\"')",
        };
        let keep = format!("CREATE TABLE kept AS SELECT * FROM event WHERE {}", life.ours(updated));
        life.sql(&keep).await;
        life.sql(&format!("UPDATE event SET content = {content} WHERE {}", life.ours(updated))).await;
        let said = verify();
        assert!(said.failed(1).contains(&unvouched(updated)) && said.failed(1).contains("marked as erased"), "{said}");
        life.sql(&format!("DELETE FROM event WHERE {}", life.ours(updated))).await;
        life.sql("INSERT INTO event SELECT * FROM kept").await;
        verify().ok();
        // Another one is not in the list.
        let disguise = format!(
            "UPDATE event SET content = '{{\"changed\": true}}', salt = NULL, erased_at = (SELECT e.at FROM event e WHERE {}) WHERE {}",
            life.ours(voucher).replace("company_id", "e.company_id").replace("sequence", "e.sequence"), life.ours(comment)
        );
        life.sql(&disguise).await;
        let said = verify();
        assert!(said.failed(1).contains(&unvouched(comment)) && said.failed(1).contains("marked as erased"), "{said}");
    }

    async fn only_an_administrator_of_the_source_erases_and_a_repetition_changes_nothing(world: World) {
        let life = Life::of(world).await;
        let refused = erase(&life.admin("globex"), &life.lead, json!({})).await;
        assert_eq!(refused.code(), "FORBIDDEN");
        assert!(refused.message().contains("ask Acme"), "{}", refused.message());
        assert_eq!(erase(&life.world.as_("acme", "SALES"), &life.lead, json!({})).await.code(), "FORBIDDEN");
        assert_eq!(erase(&life.admin("umbrella"), &life.lead, json!({})).await.code(), "NOT_FOUND");
        let blank = erase(&life.admin("acme"), &life.lead, json!({ "reason": " " })).await;
        assert_eq!((blank.code(), blank.field()), ("REQUIRED", "input.reason"));
        let stale = erase(&life.admin("acme"), &life.lead, json!({ "expectedVersion": 77 })).await;
        assert_eq!((stale.code(), stale.field()), ("CONFLICT", "input.expectedVersion"));
        let first = erase(&life.admin("acme"), &life.lead, json!({ "idempotencyKey": "k" })).await.ok();
        let rows = Rows::of(&life.world.database).await;
        let before = rows.now().await;
        let second = erase(&life.admin("acme"), &life.lead, json!({ "idempotencyKey": "k" })).await.ok();
        assert_eq!(first.at("/eraseCustomerData/lead"), second.at("/eraseCustomerData/lead"));
        erase(&life.admin("acme"), &life.lead, json!({})).await.ok();
        rows.unchanged_since(&before, "a repetition").await;
        let other = erase(&life.admin("acme"), &life.lead, json!({ "idempotencyKey": "k", "reason": "Another" })).await;
        assert_eq!(other.code(), "DUPLICATE");
        // Data that comes back goes again, and both vouch. The lead has to be the source's alone again for that.
        let end = json!({ "partnershipId": life.partnership });
        life.admin("acme").mutate("endPartnership", end, "partnership { id }").await.ok();
        let change = json!({ "leadId": life.lead, "customer": { "contact": { "email": "jo.quist@initrode.example" } } });
        life.world.as_("acme", "SALES").mutate("updateLead", change, "lead { id }").await.ok();
        erase(&life.admin("acme"), &life.lead, json!({ "reason": "Once more" })).await.ok();
        let records = trail(&life.admin("acme"), Some(&life.lead)).await;
        assert_eq!(check(&records), Ok(()));
        life.cli.run(["audit", "verify", "--database"]).ok();
        assert!(decode(&life.lead).is_some());
    }
}
