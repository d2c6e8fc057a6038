//! Who comes second: stale versions, repeated calls, and callers at the same moment.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::Answer;
use crate::support::rows::Rows;
use crate::support::world::{Person, World};

async fn made(person: &Person, mutation: &str, input: Value, what: &str) -> String {
    let answer = person.mutate(mutation, input, &format!("{what} {{ id }}")).await.ok();
    answer.text_at(&format!("/{mutation}/{what}/id")).to_owned()
}

/// How many entries a list of the caller has.
async fn count(person: &Person, list: &str) -> usize {
    let answer = person.query(&format!("{{ {list}(first: 100) {{ edges {{ cursor }} }} }}"), json!({})).await.ok();
    answer.list_at(&format!("/{list}/edges")).len()
}

/// Of calls that were made at once, one came through, and the others were told of the stage that it led to.
fn one_won(answers: &[Answer], stages: &[&str]) {
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.errors.is_empty());
    assert_eq!(won.len(), 1, "{answers:#?}");
    for answer in lost {
        let code = answer.code();
        assert!(["INVALID_TRANSITION", "CONFLICT"].contains(&code), "{}", answer.text);
        let stage = answer.extension("stage").as_str().expect("the stage as it now is");
        assert!(stages.contains(&stage), "{}", answer.text);
    }
}

on_both_databases! {
    async fn of_eight_who_accept_at_once_one_does(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let clerks: Vec<_> = (0..8).map(|i| world.person("globex", &format!("clerk-{i}"), &["SALES"])).collect();
        for clerk in &clerks {
            clerk.id().await;
        }
        for round in 0..3 {
            let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
            let input = if round == 0 { json!({ "leadId": lead }) } else { json!({ "leadId": lead, "expectedVersion": 1 }) };
            let calls = clerks.iter().map(|clerk| clerk.mutate("acceptLead", input.clone(), "lead { stage { key } }"));
            one_won(&join_all(calls).await, &["accepted"]);
            let document = "query($id: ID!) { lead(id: $id) { version activity { edges { node { ... on LeadStageChanged { action } } } } } }";
            let seen = clerks[0].query(document, json!({ "id": lead })).await.ok();
            assert_eq!(seen.at("/lead/version"), 2);
            let accepted = seen.list_at("/lead/activity/edges").iter().filter(|edge| edge["node"]["action"] == "accept");
            assert_eq!(accepted.count(), 1);
        }
    }

    async fn of_those_who_accept_decline_withdraw_and_pass_on_at_once_one_does(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let other = world.partnership("acme", "initech").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        for _ in 0..3 {
            let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
            let answers = tokio::join!(
                partner.mutate("acceptLead", json!({ "leadId": lead }), "lead { id }"),
                partner.mutate("declineLead", json!({ "leadId": lead, "reason": "No" }), "lead { id }"),
                vendor.mutate("withdrawLead", json!({ "leadId": lead }), "lead { id }"),
            );
            let answers = [answers.0, answers.1, answers.2];
            let won = answers.iter().filter(|answer| answer.errors.is_empty()).count();
            assert_eq!(won, 1, "{answers:#?}");
            for answer in answers.iter().filter(|answer| !answer.errors.is_empty()) {
                // A lead that was withdrawn is no longer with the partner.
                assert!(["INVALID_TRANSITION", "CONFLICT", "FORBIDDEN"].contains(&answer.code()), "{}", answer.text);
            }
            let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
            let pass = json!({ "leadId": lead, "partnershipId": other });
            let (accepted, passed) = tokio::join!(
                partner.mutate("acceptLead", json!({ "leadId": lead }), "lead { id }"),
                vendor.mutate("shareLead", pass, "lead { id }"),
            );
            assert_ne!(accepted.errors.is_empty(), passed.errors.is_empty(), "{accepted:#?} {passed:#?}");
        }
    }

    async fn a_lead_is_converted_once(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let partner = world.as_("globex", "SALES");
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        made(&partner, "acceptLead", json!({ "leadId": lead }), "lead").await;
        let input = json!({ "leadId": lead, "opportunity": { "name": "A deal" } });
        let calls = (0..6).map(|_| partner.mutate("convertLead", input.clone(), "lead { id }"));
        one_won(&join_all(calls).await, &["closed_converted"]);
        assert_eq!(count(&partner, "opportunities").await, 1, "the losers' opportunities are not there");
    }

    async fn a_stale_version_is_told_with_the_current_one(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let task = made(&vendor, "createTask", json!({ "leadId": lead, "title": "Call" }), "task").await;
        let deal = made(&partner, "createOpportunity", json!({ "name": "A deal" }), "opportunity").await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        for (person, mutation, mut input) in [
            (&vendor, "updateLead", json!({ "leadId": lead, "title": "B" })),
            (&vendor, "shareLead", json!({ "leadId": lead, "partnershipId": partnership })),
            (&vendor, "withdrawLead", json!({ "leadId": lead })),
            (&partner, "acceptLead", json!({ "leadId": lead })),
            (&partner, "declineLead", json!({ "leadId": lead, "reason": "No" })),
            (&partner, "convertLead", json!({ "leadId": lead, "opportunity": {} })),
            (&partner, "closeLead", json!({ "leadId": lead })),
            (&partner, "moveLead", json!({ "leadId": lead, "stage": "accepted" })),
            (&partner, "performLeadAction", json!({ "leadId": lead, "action": "accept" })),
            (&vendor, "updateTask", json!({ "taskId": task, "title": "B" })),
            (&vendor, "assignTask", json!({ "taskId": task, "assignTo": "RECEIVER" })),
            (&vendor, "completeTask", json!({ "taskId": task })),
            (&vendor, "reopenTask", json!({ "taskId": task })),
            (&vendor, "cancelTask", json!({ "taskId": task })),
            (&partner, "updateOpportunity", json!({ "opportunityId": deal, "name": "B" })),
            (&partner, "moveOpportunity", json!({ "opportunityId": deal, "stage": "proposal" })),
        ] {
            for version in [0, -1, 2, i32::MAX] {
                input["expectedVersion"] = json!(version);
                let refused = person.mutate(mutation, input.clone(), "__typename").await;
                assert_eq!((refused.code(), refused.field()), ("CONFLICT", "input.expectedVersion"), "{mutation}");
                assert_eq!(refused.extension("version"), 1, "{mutation}");
            }
        }
        rows.unchanged_since(&before, "a stale version").await;
    }

    async fn of_many_who_change_the_same_version_one_does(world: World) {
        let vendor = world.as_("acme", "SALES");
        let lead = made(&vendor, "createLead", json!({ "title": "A", "customer": { "company": "B" } }), "lead").await;
        let calls = (0..8).map(|i| {
            let input = json!({ "leadId": lead, "title": format!("Title {i}"), "expectedVersion": 1 });
            vendor.mutate("updateLead", input, "lead { version }")
        });
        let answers = join_all(calls).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.errors.is_empty());
        assert_eq!(won.len(), 1);
        for answer in lost {
            assert_eq!((answer.code(), answer.extension("version")), ("CONFLICT", &json!(2)));
        }
        // Without a version, all of them do, one after the other.
        let calls = (0..8).map(|i| {
            vendor.mutate("updateLead", json!({ "leadId": lead, "title": format!("Again {i}") }), "lead { version }")
        });
        let versions: BTreeSet<_> = join_all(calls).await.into_iter().map(|answer| answer.ok().at("/updateLead/lead/version").as_i64()).collect();
        assert_eq!(versions, (3..11).map(Some).collect());
    }

    async fn a_repeated_call_is_made_once(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let vendor = world.as_("acme", "SALES");
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let calls = [
            ("createLead", "lead", json!({ "title": "A", "customer": { "company": "B" }, "partnershipId": partnership }), "title"),
            ("addComment", "comment", json!({ "leadId": lead, "body": "A" }), "body"),
            ("createTask", "task", json!({ "leadId": lead, "title": "A" }), "title"),
            ("createOpportunity", "opportunity", json!({ "name": "A" }), "name"),
        ];
        let rows = Rows::of(&world.database).await;
        for (mutation, what, mut input, content) in calls {
            input["idempotencyKey"] = json!(format!("{mutation} 1"));
            let first = made(&vendor, mutation, input.clone(), what).await;
            let after_one = rows.now().await;
            assert_eq!(made(&vendor, mutation, input.clone(), what).await, first, "{mutation}");
            let mut other = input.clone();
            other[content] = json!("Another");
            let refused = vendor.mutate(mutation, other, "__typename").await;
            assert_eq!((refused.code(), refused.field()), ("DUPLICATE", "input.idempotencyKey"), "{mutation}");
            rows.unchanged_since(&after_one, mutation).await;
            // At once.
            input["idempotencyKey"] = json!(format!("{mutation} 2"));
            let ids = join_all((0..8).map(|_| made(&vendor, mutation, input.clone(), what))).await;
            let ids: BTreeSet<_> = ids.into_iter().collect();
            assert_eq!(ids.len(), 1, "{mutation}");
            assert!(!ids.contains(&first), "{mutation}");
        }
        assert_eq!(count(&vendor, "leads").await, 3);
        assert_eq!(count(&vendor, "tasks").await, 2);
        assert_eq!(count(&vendor, "opportunities").await, 2);
        // A key is the company's own, and a call's that was refused is free again.
        let stranger = world.as_("umbrella", "SALES");
        let input = json!({ "title": "C", "customer": { "company": "D" }, "idempotencyKey": "createLead 1" });
        made(&stranger, "createLead", input, "lead").await;
        let bad = json!({ "title": "C", "customer": { "company": "D" }, "templateKey": "none", "idempotencyKey": "free" });
        assert_eq!(vendor.mutate("createLead", bad, "__typename").await.code(), "NOT_FOUND");
        let good = json!({ "title": "C", "customer": { "company": "D" }, "idempotencyKey": "free" });
        made(&vendor, "createLead", good, "lead").await;
    }

    async fn a_key_is_not_for_another_kind_of_call(world: World) {
        let vendor = world.as_("acme", "SALES");
        let lead = made(&vendor, "createLead", json!({ "title": "A", "customer": { "company": "B" }, "idempotencyKey": "k" }), "lead").await;
        let input = json!({ "leadId": lead, "title": "A", "idempotencyKey": "k" });
        let answer = vendor.mutate("createTask", input, "task { id }").await;
        // Either it is the key of this kind of call alone, or it is taken; never is it the other call's result.
        if !answer.errors.is_empty() {
            assert_eq!((answer.code(), answer.field()), ("DUPLICATE", "input.idempotencyKey"));
        }
    }

    async fn an_external_reference_belongs_to_one_lead(world: World) {
        let machine = world.as_("acme", "INTEGRATION");
        let stranger = world.as_("umbrella", "INTEGRATION");
        stranger.id().await;
        let reference = json!({ "system": "salesforce", "id": "00Q1" });
        let input = |title: &str| json!({ "title": title, "customer": { "company": "B" }, "externalReference": reference });
        let lead = made(&machine, "createLead", input("A"), "lead").await;
        let other = made(&machine, "createLead", json!({ "title": "B", "customer": { "company": "B" } }), "lead").await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let refused = machine.mutate("createLead", input("B"), "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("DUPLICATE", "input.externalReference"));
        let refused = machine.mutate("updateLead", json!({ "leadId": other, "externalReference": reference }), "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("DUPLICATE", "input.externalReference"));
        let unknown = json!({ "externalReference": { "system": "salesforce", "id": "00Q2" }, "title": "C" });
        let refused = machine.mutate("updateLead", unknown, "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", "input.externalReference"));
        // Another company's reference of the same name is its own.
        let refused = stranger.mutate("updateLead", json!({ "externalReference": reference, "title": "C" }), "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", "input.externalReference"));
        let neither = machine.mutate("updateLead", json!({ "title": "C" }), "__typename").await;
        assert_eq!(neither.code(), "REQUIRED");
        rows.unchanged_since(&before, "what was refused").await;
        made(&stranger, "createLead", input("Theirs"), "lead").await;
        let changed = machine.mutate("updateLead", json!({ "externalReference": reference, "title": "C" }), "lead { id title }").await.ok();
        assert_eq!(changed.at("/updateLead/lead"), &json!({ "id": lead, "title": "C" }));
        // At once: one lead.
        let reference = json!({ "system": "salesforce", "id": "00Q9" });
        let input = json!({ "title": "D", "customer": { "company": "B" }, "externalReference": reference });
        let answers = join_all((0..8).map(|_| machine.mutate("createLead", input.clone(), "lead { number }"))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.errors.is_empty());
        assert_eq!(won.len(), 1);
        assert!(lost.iter().all(|answer| answer.code() == "DUPLICATE"), "{lost:#?}");
    }

    async fn leads_made_at_once_have_each_their_number(world: World) {
        let vendor = world.as_("acme", "SALES");
        let input = json!({ "title": "A", "customer": { "company": "B" } });
        let answers = join_all((0..16).map(|_| vendor.mutate("createLead", input.clone(), "lead { number }"))).await;
        let numbers: BTreeSet<_> = answers.into_iter().map(|answer| answer.ok().text_at("/createLead/lead/number").to_owned()).collect();
        assert_eq!(numbers, (1001..1017).map(|number| format!("L-{number}")).collect());
    }

    async fn of_two_who_invite_each_other_at_once_one_does(world: World) {
        let (acme, globex) = (world.as_("acme", "ADMIN"), world.as_("globex", "ADMIN"));
        acme.id().await;
        globex.id().await;
        let calls = (0..4).map(|i| {
            let (person, slug, role) = if i % 2 == 0 { (&acme, "globex", "VENDOR") } else { (&globex, "acme", "PARTNER") };
            person.mutate("invitePartner", json!({ "companySlug": slug, "role": role }), "partnership { id }")
        });
        let answers = join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.errors.is_empty()).count(), 1);
        assert!(answers.iter().filter(|answer| !answer.errors.is_empty()).all(|answer| answer.code() == "DUPLICATE"));
        assert_eq!(count(&acme, "partnerships").await, 1);
    }
}
