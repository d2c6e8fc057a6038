//! Safe repetition: keys, versions, and transactions that are tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait as _, Statement, TransactionTrait as _};
use serde_json::{Value, json};

use crate::matrix::Scene;
use crate::on_both_databases;
use crate::support::database::{Kind, start};
use crate::support::leads::{lead_of, read};
use crate::support::rows::Rows;
use crate::support::world::World;

/// Mutations that make something, besides those whose name says so.
const MAKE_SOMETHING_AS_WELL: [&str; 8] = [
    "shareLead",            // an assignment
    "convertLead",          // an opportunity
    "moveLead",             // the same, where the move converts
    "performLeadAction",    // whatever the action makes
    "qualifyLead",          // an opportunity
    "disqualifyLead",       // an opportunity, with one of the codes
    "recordRecurringCheck", // a check
    "eraseCustomerData",    // what vouches for the erased events
];

/// What names a thing that has a version, in the input of a mutation that changes it.
const VERSIONED: [&str; 8] =
    ["leadId", "opportunityId", "taskId", "commentId", "partnershipId", "templateId", "workflowId", "listId"];

/// Mutations without `expectedVersion` although something that has a version is named, or without either; and why.
const EXCEPTIONS: [(&str, &str); 7] = [
    ("addComment", "the lead is not changed"),
    ("createTask", "the lead is not changed"),
    ("createLead", "the partnership is not changed"),
    ("createLeadTemplate", "the workflow is bound, not changed"),
    ("addToMarketingList", "what is on a list doesn't count as its change, and what is on it already stays as it is"),
    ("removeFromMarketingList", "the same"),
    ("moveLeadsToWorkflow", "many leads at once: one that is no longer on the version stays where it is"),
];

#[tokio::test]
async fn what_makes_something_takes_a_key_and_what_changes_something_a_version() {
    const TYPES: &str = "{ __schema { mutationType { fields { name args { type { ofType { name } } } } }
        types { name fields { name } inputFields { name } } } }";
    let schema = crate::support::introspect(TYPES)["__schema"].take();
    let names = |list: &Value| -> BTreeSet<String> {
        let names = list.as_array().into_iter().flatten();
        names.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    let types: BTreeMap<_, _> = schema["types"]
        .as_array()
        .expect("types")
        .iter()
        .map(|ty| (ty["name"].as_str().expect("a name"), (names(&ty["fields"]), names(&ty["inputFields"]))))
        .collect();
    for noun in ["Lead", "Opportunity", "Task", "Comment", "Partnership", "LeadTemplate", "Workflow", "MarketingList"] {
        assert!(types[noun].0.contains("version"), "{noun} has no version");
    }
    let mut exceptions = BTreeSet::new();
    for field in schema["mutationType"]["fields"].as_array().expect("mutations") {
        let name = field["name"].as_str().expect("a name");
        let input = &types[field["args"][0]["type"]["ofType"]["name"].as_str().expect("an input")].1;
        let makes = ["create", "add", "invite", "draft"].iter().any(|word| name.starts_with(word))
            || MAKE_SOMETHING_AS_WELL.contains(&name);
        let (key, version) = (input.contains("idempotencyKey"), input.contains("expectedVersion"));
        let excepted = EXCEPTIONS.iter().any(|(exception, _)| *exception == name);
        if makes && name != "addToMarketingList" {
            assert!(key, "{name} makes something and takes no idempotencyKey");
        } else {
            assert!(!key, "{name} takes an idempotencyKey: say in this test what it makes");
        }
        let names_one = VERSIONED.iter().any(|field| input.contains(*field));
        if (names_one || !makes) && !version {
            assert!(excepted, "{name} changes something that has a version and takes no expectedVersion");
            exceptions.insert(name);
        }
    }
    assert_eq!(exceptions, EXCEPTIONS.iter().map(|(name, _)| *name).collect(), "exceptions that are none");
}

on_both_databases! {
    async fn whatever_makes_something_makes_it_once(world: World) {
        let scene = Scene::set(world).await;
        let rows = Rows::of(&scene.world.database).await;
        let (acme, globex) = (("acme", "SALES"), ("globex", "SALES"));
        for (mutation, (company, role), payload, other) in [
            ("shareLead", acme, "lead { id version }", json!({ "expiresAt": "2026-03-20T09:00:00Z" })),
            ("convertLead", globex, "opportunity { id } lead { id version }", json!({ "opportunity": { "name": "Another" } })),
            ("moveLead", globex, "lead { id version }", json!({ "reason": "Another" })),
            ("performLeadAction", globex, "lead { id version }", json!({ "fields": { "reason": "Another" } })),
            ("qualifyLead", acme, "opportunity { id } lead { id version }", json!({ "name": "Another" })),
            ("disqualifyLead", acme, "opportunity { id } lead { id version }", json!({ "reason": "Another" })),
            ("recordRecurringCheck", acme, "lead { id version }", json!({ "note": "Another" })),
            ("invitePartner", ("acme", "ADMIN"), "partnership { id version }", json!({ "role": "PARTNER" })),
            ("draftWorkflow", ("acme", "ADMIN"), "workflow { id version }", json!({ "expectedVersion": 1 })),
        ] {
            let person = scene.world.as_(company, role);
            let mut input = scene.input(mutation).await;
            input["idempotencyKey"] = json!(format!("{mutation} 1"));
            let first = person.mutate(mutation, input.clone(), payload).await.ok();
            let after = rows.now().await;
            let again = person.mutate(mutation, input.clone(), payload).await.ok();
            assert_eq!(again.data, first.data, "{mutation}");
            for (field, value) in other.as_object().expect("an object") {
                let mut other = input.clone();
                other[field] = value.clone();
                let refused = person.mutate(mutation, other, "__typename").await;
                assert_eq!((refused.code(), refused.field()), ("DUPLICATE", "input.idempotencyKey"), "{mutation}");
            }
            rows.unchanged_since(&after, mutation).await;
            // What is blank is no key.
            let mut blank = input.clone();
            blank["idempotencyKey"] = json!(" ");
            let refused = person.mutate(mutation, blank, "__typename").await;
            assert_eq!((refused.code(), refused.field()), ("REQUIRED", "input.idempotencyKey"), "{mutation}");
        }
    }

    async fn a_repetition_shows_the_thing_as_it_now_is(world: World) {
        let scene = Scene::set(world).await;
        let (vendor, partner) = (scene.vendor(), scene.partner());
        // A lead that was shared and has been accepted since.
        let mut share = scene.input("shareLead(internal)").await;
        share["partnershipId"] = json!(scene.partnership);
        share["idempotencyKey"] = json!("share");
        let lead = share["leadId"].clone();
        vendor.mutate("shareLead", share.clone(), "lead { stage { key } }").await.ok();
        partner.mutate("acceptLead", json!({ "leadId": lead }), "lead { id }").await.ok();
        let again = vendor.mutate("shareLead", share.clone(), "lead { stage { key } version }").await.ok();
        assert_eq!(again.at("/shareLead/lead"), &json!({ "stage": { "key": "accepted" }, "version": 3 }));
        // A qualified lead that has been shared since: its opportunity is the company's own still.
        let lead = scene.assigned("SALES").await;
        let qualify = json!({ "leadId": lead, "sellingDirection": "Licences", "idempotencyKey": "qualify" });
        let first = vendor.mutate("qualifyLead", qualify.clone(), "opportunity { id }").await.ok();
        let passed = json!({ "leadId": lead, "partnershipId": scene.partnership });
        vendor.mutate("shareLead", passed, "lead { id }").await;
        let again = vendor.mutate("qualifyLead", qualify, "opportunity { id }").await.ok();
        assert_eq!(again.data, first.data);
        // A comment that was edited since, and one that was removed.
        let add = json!({ "leadId": lead, "body": "One", "idempotencyKey": "comment" });
        let comment = vendor.mutate("addComment", add.clone(), "comment { id }").await.ok();
        let comment = comment.text_at("/addComment/comment/id").to_owned();
        vendor.mutate("editComment", json!({ "commentId": comment, "body": "Two" }), "comment { id }").await.ok();
        let again = vendor.mutate("addComment", add.clone(), "comment { id body version }").await.ok();
        assert_eq!(again.at("/addComment/comment"), &json!({ "id": comment, "body": "Two", "version": 2 }));
        vendor.mutate("removeComment", json!({ "commentId": comment }), "lead { id }").await.ok();
        assert_eq!(vendor.mutate("addComment", add, "comment { id }").await.code(), "NOT_FOUND");
        // A stranger's repetition finds nothing: keys are the company's own.
        let refused = scene.world.as_("umbrella", "SALES").mutate("shareLead", share, "lead { id }").await;
        assert_eq!(refused.code(), "NOT_FOUND");
    }

    async fn a_key_is_forgotten_after_the_time_that_is_set(world: World) {
        let vendor = world.as_("acme", "SALES");
        let brief = world.another_server_with(&[("COSELL_IDEMPOTENCY_RETENTION", Some("1h"))]).await;
        let keyed = json!({ "idempotencyKey": "one" });
        let first = lead_of(&vendor, keyed.clone()).await;
        world.clock.advance(TimeDelta::minutes(60));
        brief.service().forget_old_keys().await.expect("keys are forgotten");
        assert_eq!(lead_of(&vendor, keyed.clone()).await, first, "an hour is not over");
        world.clock.advance(TimeDelta::minutes(1));
        // The other server keeps keys for seven days, as it is without the setting.
        world.server().service().forget_old_keys().await.expect("keys are forgotten");
        assert_eq!(lead_of(&vendor, keyed.clone()).await, first);
        assert_eq!(brief.service().forget_old_keys().await.expect("keys are forgotten"), 1);
        assert_ne!(lead_of(&vendor, keyed).await, first);
        brief.shutdown().await;
    }

    async fn a_stale_version_of_a_comment_or_a_partnership_is_told_with_the_current_one(world: World) {
        let scene = Scene::set(world).await;
        let comment = scene.comment().await;
        let rows = Rows::of(&scene.world.database).await;
        let before = rows.now().await;
        let admin = scene.world.as_("acme", "ADMIN");
        let partner = scene.partner();
        let (of_comment, of_partnership) = (json!({ "commentId": comment }), json!({ "partnershipId": scene.partnership }));
        let mut edit = of_comment.clone();
        edit["body"] = json!("Two");
        for (person, mutation, input, version) in [
            (&partner, "editComment", &edit, 1),
            (&partner, "removeComment", &of_comment, 1),
            (&admin, "acceptPartnership", &of_partnership, 2),
            (&admin, "suspendPartnership", &of_partnership, 2),
            (&admin, "resumePartnership", &of_partnership, 2),
            (&admin, "endPartnership", &of_partnership, 2),
        ] {
            for stale in [0, -1, 7, i32::MAX] {
                let mut input = input.clone();
                input["expectedVersion"] = json!(stale);
                let refused = person.mutate(mutation, input, "__typename").await;
                assert_eq!((refused.code(), refused.field()), ("CONFLICT", "input.expectedVersion"), "{mutation}");
                assert_eq!(refused.extension("version"), version, "{mutation}");
            }
        }
        rows.unchanged_since(&before, "a stale version").await;
        // With the current one it is done, and counts.
        edit["expectedVersion"] = json!(1);
        let edited = partner.mutate("editComment", edit.clone(), "comment { version body }").await.ok();
        assert_eq!(edited.at("/editComment/comment"), &json!({ "version": 2, "body": "Two" }));
        edit["body"] = json!("Three");
        assert_eq!(partner.mutate("editComment", edit, "comment { version }").await.extension("version"), 2);
        let input = json!({ "commentId": comment, "expectedVersion": 2 });
        partner.mutate("removeComment", input, "lead { id }").await.ok();
        let input = json!({ "partnershipId": scene.partnership, "expectedVersion": 2 });
        let done = admin.mutate("suspendPartnership", input, "partnership { version state }").await.ok();
        assert_eq!(done.at("/suspendPartnership/partnership"), &json!({ "version": 3, "state": "SUSPENDED" }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_is_tried_again_and_the_caller_sees_a_success() {
    let world: World = start(Kind::Postgres).await;
    let vendor = world.as_("acme", "SALES");
    let lead = lead_of(&vendor, json!({})).await;
    let sql = sea_orm::Database::connect(&world.database.url).await.expect("it takes connections");
    let backend = sql.get_database_backend();
    let one = async |sql: String| -> i32 {
        let sql = Statement::from_string(backend, sql);
        world_row(&world.database.url, sql).await
    };
    // Somebody else holds the counters of the logs, and will want the lead; the server has the lead, and wants a counter.
    let other = sql.begin().await.expect("a transaction");
    other.execute_unprepared("SET LOCAL deadlock_timeout = '1h'").await.expect("only the server looks for deadlocks");
    other.execute_unprepared("SELECT 1 FROM company_feed FOR UPDATE").await.expect("the counters are free");
    let row = other.query_one_raw(Statement::from_string(backend, "SELECT pg_backend_pid()")).await.expect("a row");
    let pid: i32 = row.expect("a row").try_get_by_index(0).expect("a process id");
    let call = {
        let vendor = world.as_("acme", "SALES");
        let lead = lead.clone();
        tokio::spawn(async move {
            vendor
                .mutate("updateLead", json!({ "leadId": lead, "title": "Sixty seats" }), "lead { title version }")
                .await
        })
    };
    let waiting = format!("SELECT count(*)::int FROM pg_stat_activity WHERE {pid} = ANY(pg_blocking_pids(pid))");
    tokio::time::timeout(Duration::from_secs(20), async {
        while one(waiting.clone()).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the server waits for the counters");
    // Both wait for each other now. PostgreSQL ends the one that looks first, which is the server's.
    other.execute_unprepared("SELECT 1 FROM lead_view FOR UPDATE").await.expect("the other one is not the victim");
    other.commit().await.expect("it commits");
    let answer = call.await.expect("an answer").ok();
    assert_eq!(answer.at("/updateLead/lead"), &json!({ "title": "Sixty seats", "version": 2 }));
}

/// The only number of a statement's only row.
async fn world_row(url: &str, statement: Statement) -> i32 {
    let sql = sea_orm::Database::connect(url).await.expect("it takes connections");
    let row = sql.query_one_raw(statement).await.expect("a row").expect("a row");
    let number = row.try_get_by_index(0).expect("a number");
    sql.close().await.expect("it closes");
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_writer_spoils_at_the_commit_is_tried_again() {
    let world: World = start(Kind::Postgres).await;
    let vendor = world.as_("acme", "SALES");
    let lead = lead_of(&vendor, json!({})).await;
    let sql = sea_orm::Database::connect(&world.database.url).await.expect("it takes connections");
    // The number of a sequence stays taken when a transaction rolls back.
    sql.execute_unprepared("CREATE SEQUENCE tries").await.expect("a sequence");
    for (code, every, comes_through) in
        [("40001", 3, true), ("40P01", 3, true), ("55P03", 3, true), ("40001", 1000, false)]
    {
        let stumble = format!(
            "CREATE OR REPLACE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('tries') % {every} <> 0 THEN RAISE EXCEPTION 'stumbled' USING ERRCODE = '{code}'; END IF;
                RETURN NULL; END $$"
        );
        sql.execute_unprepared(&stumble).await.expect("a function");
        sql.execute_unprepared("DROP TRIGGER IF EXISTS stumble ON comment").await.expect("no trigger");
        sql.execute_unprepared(
            "CREATE CONSTRAINT TRIGGER stumble AFTER INSERT ON comment DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION stumble()",
        )
        .await
        .expect("a trigger");
        sql.execute_unprepared("SELECT setval('tries', 1, false)").await.expect("from the beginning");
        let added = vendor.mutate("addComment", json!({ "leadId": lead, "body": code }), "comment { id }").await;
        if comes_through {
            added.ok();
        } else {
            // It has its end: the caller is told to try again, never that the server is at fault.
            assert_eq!(added.code(), "UNAVAILABLE", "{}", added.text);
        }
    }
    let lead = read(&vendor, &lead, "comments { edges { node { body } } }").await;
    let bodies: Vec<_> =
        lead["comments"]["edges"].as_array().expect("a list").iter().map(|edge| &edge["node"]["body"]).collect();
    assert_eq!(bodies, ["40001", "40P01", "55P03"], "each was added once");
}
