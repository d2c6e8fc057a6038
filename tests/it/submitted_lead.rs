//! A lead that a partner submits, reviewed and paid by the vendor: the mission's rows B1 to B9, as the two companies live
//! them. acme is the vendor; globex submits. Mail of row B4 is not here: what is mailed is what the feed shows.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::Answer;
use crate::support::rows::Rows;
use crate::support::world::{Person, World};

/// The fields of a lead that these tests look at.
const LEAD: &str = "id side version reason note reasonCode rejectionCode stageLocked archived openTaskCount acceptedAt \
    rejectedAt readyForPayoutAt paidOutAt checkedAt nextCheckAt expiresAt closedAt duplicateOf { id } receiver { slug } \
    status { key name kind terminal } stage { key } availableActions { key toStage { key } fields { key type required } }";

/// What the feed shows of a change.
const CHANGE: &str = "__typename lead { id } actor { __typename ... on Member { company { slug } } } \
    ... on LeadStatusChanged { action reason from { key } to { key } } \
    ... on LeadStageChanged { action reason from { key } to { key } } ... on LeadActionTaken { action name reason } \
    ... on LeadNotice { message } ... on TaskChanged { change task { title } } ... on CommentAdded { comment { body } }";

const ACTIONS_OF_THE_REVIEW: [&str; 3] = ["request_info", "accept", "reject"];

// Where rows are compared, everybody has been seen before: that is when a member is recorded.

async fn read(person: &Person, lead: &str) -> Value {
    let doc = format!("query($id: ID!) {{ lead(id: $id) {{ {LEAD} }} }}");
    person.query(&doc, json!({ "id": lead })).await.ok().at("/lead").clone()
}

async fn call(person: &Person, mutation: &str, lead: &str, rest: Value) -> Answer {
    let mut input = rest;
    input["leadId"] = json!(lead);
    person.mutate(mutation, input, &format!("lead {{ {LEAD} }}")).await
}

async fn act(person: &Person, mutation: &str, lead: &str, rest: Value) -> Value {
    call(person, mutation, lead, rest).await.ok().at(&format!("/{mutation}/lead")).clone()
}

async fn perform(person: &Person, lead: &str, action: &str, fields: Value) -> Answer {
    call(person, "performLeadAction", lead, json!({ "action": action, "fields": fields })).await
}

async fn submit(partner: &Person, partnership: &str, title: &str) -> String {
    let input = json!({
        "title": title, "customer": { "company": "Initrode" }, "templateKey": "submitted-lead", "partnershipId": partnership
    });
    let created = partner.mutate("createLead", input, "lead { id }").await.ok();
    created.text_at("/createLead/lead/id").to_owned()
}

/// A lead that is submitted, accepted, and won.
async fn ready_for_payout(vendor: &Person, partner: &Person, partnership: &str) -> String {
    let id = submit(partner, partnership, "Forty seats").await;
    act(vendor, "acceptLead", &id, json!({})).await;
    act(vendor, "markLeadReadyForPayout", &id, json!({})).await;
    id
}

async fn set_stage_mover(admin: &Person, partnership: &str, mover: &str) -> Answer {
    let input = json!({ "partnershipId": partnership, "stageMovedBy": mover });
    admin.mutate("updatePartnershipSettings", input, "partnership { version settings { stageMovedBy } }").await
}

fn actions(lead: &Value) -> Vec<&str> {
    lead["availableActions"].as_array().expect("a list").iter().map(|a| a["key"].as_str().expect("a key")).collect()
}

/// The keys of the status and of the stage.
fn standing(lead: &Value) -> (&str, &str) {
    (lead["status"]["key"].as_str().expect("a status"), lead["stage"]["key"].as_str().expect("a stage"))
}

fn faults(answer: &Answer) -> Vec<(String, String)> {
    answer.faults().into_iter().map(|(code, field)| (code.to_owned(), field.to_owned())).collect()
}

/// The kinds of a lead's activity as that person sees it, the latest first.
async fn timeline(person: &Person, lead: &str) -> Answer {
    let doc =
        format!("query($id: ID!) {{ lead(id: $id) {{ activity(first: 100) {{ edges {{ node {{ {CHANGE} }} }} }} }} }}");
    person.query(&doc, json!({ "id": lead })).await.ok()
}

on_both_databases! {
    async fn b1_the_status_is_new_at_first_then_requires_more_info_accepted_rejected_ready_for_payout_paid_out_or_recurring_payment(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let mut seen = Vec::new();
        let id = submit(&partner, &partnership, "Forty seats").await;
        let new = read(&vendor, &id).await;
        assert_eq!((&new["side"], standing(&new)), (&json!("RECEIVER"), ("new", "qualification")));
        assert_eq!((&new["expiresAt"], &new["nextCheckAt"]), (&Value::Null, &Value::Null));
        seen.push(new);
        seen.push(act(&vendor, "requestLeadInfo", &id, json!({ "note": "Who decides?" })).await);
        act(&partner, "resubmitLead", &id, json!({})).await;
        seen.push(act(&vendor, "acceptLead", &id, json!({})).await);
        seen.push(act(&vendor, "markLeadReadyForPayout", &id, json!({})).await);
        seen.push(act(&vendor, "markLeadPaidOut", &id, json!({ "recurring": true })).await);
        seen.push(act(&vendor, "markLeadPaidOut", &id, json!({})).await);
        let other = submit(&partner, &partnership, "Ten seats").await;
        seen.push(act(&vendor, "rejectLead", &other, json!({ "reason": "Too small" })).await);
        let statuses: Vec<_> = seen.iter().map(|lead| {
            let of = |key: &str| lead["status"][key].as_str().expect("a text");
            (of("key"), of("name"), of("kind"), lead["status"]["terminal"] == true)
        }).collect();
        assert_eq!(statuses, [
            ("new", "New", "AWAITING", false),
            ("requires_more_info", "Requires more info", "AWAITING", false),
            ("accepted", "Accepted", "ACTIVE", false),
            ("ready_for_payout", "Ready for payout", "WON", false),
            ("recurring_payment", "Recurring payment", "WON", false),
            ("paid_out", "Paid out", "WON", true),
            ("rejected", "Rejected", "DECLINED", true),
        ]);
        // From an end, nothing of the review leads on.
        for lead in [&id, &other] {
            for action in ACTIONS_OF_THE_REVIEW {
                let refused = perform(&vendor, lead, action, json!({ "note": "A", "reason": "A" })).await;
                assert_eq!(refused.code(), "INVALID_TRANSITION", "{action}: {}", refused.text);
            }
        }
        // The same by the status's name, as on a board; the partner sees the same statuses.
        let third = submit(&partner, &partnership, "Five seats").await;
        for (stage, key) in [("Requires more info", None), ("ACCEPTED", Some("accepted")), ("Ready for payout", Some("ready_for_payout"))] {
            let moved = call(&vendor, "moveLead", &third, json!({ "stage": stage })).await;
            match key {
                Some(key) => {
                    moved.ok();
                    assert_eq!(standing(&read(&partner, &third).await).0, key);
                }
                None => assert_eq!(faults(&moved), [("REQUIRED".to_owned(), "input.stage".to_owned())]),
            }
        }
    }

    async fn b2_only_the_vendor_changes_the_status(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "MANAGER"), world.as_("globex", "ADMIN"));
        let id = submit(&partner, &partnership, "Forty seats").await;
        assert_eq!(actions(&read(&vendor, &id).await), ["request_info", "accept", "reject"]);
        assert_eq!(actions(&read(&partner, &id).await), ["withdraw"]);
        for (company, role) in [("acme", "INTEGRATION"), ("acme", "VIEWER"), ("umbrella", "ADMIN")] {
            world.as_(company, role).id().await;
        }
        let rows = Rows::of(&world.database).await;
        // Whatever the status, the partner is told that this is the vendor's.
        let tried = [
            ("requestLeadInfo", json!({ "note": "A" })), ("acceptLead", json!({})), ("rejectLead", json!({ "reason": "A" })),
            ("markLeadReadyForPayout", json!({})), ("markLeadPaidOut", json!({})),
            ("markLeadPaidOut", json!({ "recurring": true })), ("recordRecurringCheck", json!({})),
            ("moveLead", json!({ "stage": "Accepted" })), ("performLeadAction", json!({ "action": "end_recurring" })),
        ];
        let steps = [
            ("acceptLead", json!({})), ("markLeadReadyForPayout", json!({})), ("markLeadPaidOut", json!({ "recurring": true })),
            ("recordRecurringCheck", json!({})), ("markLeadPaidOut", json!({})),
        ];
        for (step, rest) in steps {
            let before = rows.now().await;
            for (mutation, rest) in &tried {
                let refused = call(&partner, mutation, &id, rest.clone()).await;
                assert_eq!(refused.code(), "FORBIDDEN", "{mutation} before {step}: {}", refused.text);
                assert!(refused.message().contains("is for members of the vendor. "), "{}", refused.text);
            }
            // Nor do the vendor's integration and its onlooker, and to a stranger the lead does not exist.
            for role in ["INTEGRATION", "VIEWER"] {
                let person = world.as_("acme", role);
                assert_eq!(actions(&read(&person, &id).await), [""; 0]);
                let refused = call(&person, step, &id, rest.clone()).await;
                assert_eq!(refused.code(), "FORBIDDEN");
                assert!(refused.message().contains("needs the role ADMIN, SALES, MARKETEER or MANAGER"), "{}", refused.text);
            }
            let refused = call(&world.as_("umbrella", "ADMIN"), step, &id, rest.clone()).await;
            assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", "input.leadId"));
            rows.unchanged_since(&before, "what was refused").await;
            act(&vendor, step, &id, rest).await;
        }
        assert_eq!(standing(&read(&partner, &id).await).0, "paid_out");
    }

    async fn b3_the_stage_is_locked_until_the_status_is_accepted(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = submit(&partner, &partnership, "Forty seats").await;
        vendor.id().await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        for (person, possible) in [
            (&vendor, "Possible for you now: request_info (to Requires more info), accept (to Accepted), reject (to Rejected)."),
            (&partner, "Possible for you now: withdraw (to Withdrawn)."),
        ] {
            assert_eq!(read(person, &id).await["stageLocked"], true);
            for (mutation, rest) in [("moveLead", json!({ "stage": "Proposal" })), ("performLeadAction", json!({ "action": "propose" }))] {
                let refused = call(person, mutation, &id, rest).await;
                assert_eq!((refused.code(), refused.extension("stage"), refused.extension("action")),
                    ("INVALID_TRANSITION", &json!("qualification"), &json!("propose")));
                let message = format!("propose is not possible yet: the stage is locked until the status is Accepted. {possible}");
                assert_eq!(refused.message(), message);
            }
        }
        rows.unchanged_since(&before, "a locked stage").await;
        let accepted = act(&vendor, "acceptLead", &id, json!({})).await;
        assert_eq!((&accepted["stageLocked"], &accepted["acceptedAt"]), (&json!(false), &json!("2026-03-02T09:00:00.000Z")));
        assert_eq!(actions(&accepted), ["ready_for_payout", "propose", "negotiate", "win", "lose"]);
        assert_eq!(actions(&read(&partner, &id).await), ["propose", "negotiate", "win", "lose"]);
        // The stage is a track of its own: it moves while the status stays, and the status while the stage stays.
        let proposed = act(&partner, "moveLead", &id, json!({ "stage": "Proposal" })).await;
        assert_eq!(standing(&proposed), ("accepted", "proposal"));
        assert_eq!(standing(&act(&vendor, "moveLead", &id, json!({ "stage": "Negotiation" })).await), ("accepted", "negotiation"));
        assert_eq!(standing(&act(&vendor, "markLeadReadyForPayout", &id, json!({})).await), ("ready_for_payout", "negotiation"));
        let refused = call(&partner, "moveLead", &id, json!({ "stage": "lost" })).await;
        assert_eq!((refused.code(), refused.field()), ("REQUIRED", "input.reason"));
        let won = act(&partner, "moveLead", &id, json!({ "stage": "won" })).await;
        assert_eq!((standing(&won), &won["closedAt"]), (("ready_for_payout", "won"), &json!("2026-03-02T09:00:00.000Z")));
        let refused = call(&vendor, "moveLead", &id, json!({ "stage": "Proposal" })).await;
        assert_eq!(refused.code(), "INVALID_TRANSITION");
        // What is left for the vendor is said.
        assert!(refused.message().contains("pay_out (to Paid out), start_recurring (to Recurring payment)"), "{}", refused.text);
    }

    async fn b3_the_stage_is_moved_by_the_vendor_the_partner_or_both_as_the_partnership_s_settings_say(world: World) {
        const STAGE: [&str; 4] = ["propose", "negotiate", "win", "lose"];
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let (admin, theirs) = (world.as_("acme", "ADMIN"), world.as_("globex", "ADMIN"));
        let id = submit(&partner, &partnership, "Forty seats").await;
        act(&vendor, "acceptLead", &id, json!({})).await;
        let settings = "{ partnerships { edges { node { settings { stageMovedBy } } } } }";
        for (mover, by_vendor, by_partner) in [("VENDOR", true, false), ("PARTNER", false, true), ("BOTH", true, true), ("VENDOR", true, false)] {
            // It holds at once, for the lead that is under way.
            set_stage_mover(&admin, &partnership, mover).await.ok();
            for person in [&vendor, &partner] {
                let seen = person.query(settings, json!({})).await.ok();
                assert_eq!(seen.at("/partnerships/edges/0/node/settings/stageMovedBy"), mover);
            }
            for (person, may) in [(&vendor, by_vendor), (&partner, by_partner)] {
                let lead = read(person, &id).await;
                let offered: Vec<_> = actions(&lead).into_iter().filter(|key| STAGE.contains(key)).collect();
                assert_eq!(offered, if may { STAGE.to_vec() } else { Vec::new() }, "{mover}");
                let moved = call(person, "moveLead", &id, json!({ "stage": "Proposal" })).await;
                if may {
                    moved.ok();
                    act(person, "moveLead", &id, json!({ "stage": "Qualification" })).await;
                } else {
                    assert_eq!(moved.code(), "FORBIDDEN", "{mover}");
                    let message = "propose is for members of the company that the partnership's setting stageMovedBy names. ";
                    assert!(moved.message().starts_with(message), "{}", moved.message());
                }
            }
        }
        // An onlooker of the side that moves it does not.
        let refused = call(&world.as_("acme", "VIEWER"), "moveLead", &id, json!({ "stage": "Proposal" })).await;
        assert_eq!(refused.code(), "FORBIDDEN");
        // The vendor's administrator alone sets it.
        for person in [&vendor, &partner, &theirs] {
            assert_eq!(set_stage_mover(person, &partnership, "PARTNER").await.code(), "FORBIDDEN");
        }
        let refused = set_stage_mover(&world.as_("umbrella", "ADMIN"), &partnership, "PARTNER").await;
        assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", "input.partnershipId"));
        let stale = json!({ "partnershipId": partnership, "stageMovedBy": "BOTH", "expectedVersion": 1 });
        let refused = admin.mutate("updatePartnershipSettings", stale, "__typename").await;
        assert_eq!(refused.code(), "CONFLICT");
        let current = json!({ "partnershipId": partnership, "stageMovedBy": "BOTH", "expectedVersion": refused.extension("version") });
        admin.mutate("updatePartnershipSettings", current, "__typename").await.ok();
        // Both companies are told.
        let log = "{ activity(first: 1) { edges { node { ... on PartnershipSettingsChanged { changes { field before after }
            partnership { settings { stageMovedBy } } } } } } }";
        for person in [&vendor, &partner] {
            let told = person.query(log, json!({})).await.ok();
            assert_eq!(told.at("/activity/edges/0/node"), &json!({
                "changes": [{ "field": "stageMovedBy", "before": "VENDOR", "after": "BOTH" }],
                "partnership": { "settings": { "stageMovedBy": "BOTH" } }
            }));
        }
        // It is a setting of that partnership alone.
        let second = world.partnership("acme", "initech").await;
        set_stage_mover(&admin, &second, "PARTNER").await.ok();
        assert_eq!(actions(&read(&vendor, &id).await), ["ready_for_payout", "propose", "negotiate", "win", "lose"]);
    }

    async fn b4_every_change_of_status_or_stage_by_one_side_shows_in_the_other_s_feed_at_once(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = submit(&partner, &partnership, "Forty seats").await;
        let (mut sockets, mut feeds, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for person in [&vendor, &partner] {
            let mut socket = person.socket().await;
            feeds.push(socket.subscribe(&format!("subscription {{ activity {{ {CHANGE} }} }}"), json!({})).await);
            let doc = "subscription($id: ID) { leadChanged(leadId: $id) { status { key } stage { key } version } }";
            changes.push(socket.subscribe(doc, json!({ "id": id })).await);
            sockets.push(socket);
        }
        let (vendors, partners) = (("acme", &vendor), ("globex", &partner));
        let steps = [
            (vendors, "requestLeadInfo", json!({ "note": "Who decides?" }), ("LeadStatusChanged", "request_info", "new", "requires_more_info", json!("Who decides?"))),
            (partners, "resubmitLead", json!({ "note": "She does" }), ("LeadStatusChanged", "resubmit", "requires_more_info", "new", json!("She does"))),
            (vendors, "acceptLead", json!({}), ("LeadStatusChanged", "accept", "new", "accepted", Value::Null)),
            (partners, "moveLead", json!({ "stage": "Proposal" }), ("LeadStageChanged", "propose", "qualification", "proposal", Value::Null)),
            (vendors, "moveLead", json!({ "stage": "Negotiation" }), ("LeadStageChanged", "negotiate", "proposal", "negotiation", Value::Null)),
            (vendors, "markLeadReadyForPayout", json!({}), ("LeadStatusChanged", "ready_for_payout", "accepted", "ready_for_payout", Value::Null)),
            (partners, "moveLead", json!({ "stage": "lost", "reason": "No budget" }), ("LeadStageChanged", "lose", "negotiation", "lost", json!("No budget"))),
            (vendors, "markLeadPaidOut", json!({ "recurring": true }), ("LeadStatusChanged", "start_recurring", "ready_for_payout", "recurring_payment", Value::Null)),
            (vendors, "markLeadPaidOut", json!({}), ("LeadStatusChanged", "end_recurring", "recurring_payment", "paid_out", Value::Null)),
        ];
        let mut version = 1;
        for ((company, person), mutation, rest, (kind, action, from, to, reason)) in steps {
            let lead = act(person, mutation, &id, rest).await;
            version += 1;
            let expected = json!({
                "__typename": kind, "lead": { "id": id }, "actor": { "__typename": "Member", "company": { "slug": company } },
                "action": action, "from": { "key": from }, "to": { "key": to }, "reason": reason
            });
            for (feed, changed) in feeds.iter_mut().zip(&mut changes) {
                assert_eq!(feed.next().await["activity"], expected, "{action}");
                let (status, stage) = standing(&lead);
                let now = json!({ "status": { "key": status }, "stage": { "key": stage }, "version": version });
                assert_eq!(changed.next().await["leadChanged"], now, "{action}");
            }
            if mutation == "requestLeadInfo" {
                // Who answers first owns the lead on the vendor's side, which hears of it alone.
                assert_eq!(feeds[0].next().await["activity"]["__typename"], "LeadOwnerChanged");
                changes[0].next().await;
            }
        }
    }

    async fn b5_requires_more_info_says_what_is_missing_and_the_partner_adds_it_and_sends_the_lead_back(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "MARKETEER"));
        let id = submit(&world.as_("globex", "SALES"), &partnership, "Forty seats").await;
        for note in [json!(""), json!("  \n"), Value::Null] {
            let refused = perform(&vendor, &id, "request_info", json!({ "note": note })).await;
            assert_eq!((refused.code(), refused.field()), ("REQUIRED", "input.fields.note"));
        }
        assert_eq!(call(&vendor, "requestLeadInfo", &id, json!({ "note": " " })).await.field(), "input.note");
        // Sent back is what was asked for.
        assert_eq!(call(&partner, "resubmitLead", &id, json!({})).await.code(), "INVALID_TRANSITION");
        let asked = act(&vendor, "requestLeadInfo", &id, json!({ "note": "Who decides,\nand by when?", "expectedVersion": 1 })).await;
        assert_eq!((standing(&asked).0, actions(&asked)), ("requires_more_info", vec!["accept", "reject"]));
        let seen = read(&partner, &id).await;
        assert_eq!((&seen["note"], actions(&seen)), (&json!("Who decides,\nand by when?"), vec!["resubmit", "withdraw"]));
        assert_eq!(seen["availableActions"][0]["fields"], json!([{ "key": "note", "type": "LONG_TEXT", "required": false }]));
        // The vendor can't answer for the partner; while it waits, the stage stays locked, and to ask twice is not possible.
        assert_eq!(call(&vendor, "resubmitLead", &id, json!({})).await.code(), "FORBIDDEN");
        assert_eq!(call(&vendor, "requestLeadInfo", &id, json!({ "note": "And?" })).await.code(), "INVALID_TRANSITION");
        // What is missing is added to the lead itself, which both read.
        let update = json!({ "description": "The board, in May" });
        call(&partner, "updateLead", &id, update).await.ok();
        let back = act(&partner, "resubmitLead", &id, json!({ "note": "The board decides in May" })).await;
        assert_eq!((standing(&back).0, &back["note"]), ("new", &json!("The board decides in May")));
        let doc = "query($id: ID!) { lead(id: $id) { description note status { key } } }";
        let seen = vendor.query(doc, json!({ "id": id })).await.ok();
        assert_eq!(seen.at("/lead"), &json!({
            "description": "The board, in May", "note": "The board decides in May", "status": { "key": "new" }
        }));
        // Once more round, back without a word: the vendor's question does not stand there as an answer.
        act(&vendor, "requestLeadInfo", &id, json!({ "note": "Which board?" })).await;
        let back = act(&partner, "resubmitLead", &id, json!({})).await;
        assert_eq!((standing(&back).0, &back["note"]), ("new", &Value::Null));
        // Both sides have the whole exchange.
        for person in [&vendor, &partner] {
            let told = timeline(person, &id).await;
            let notes: Vec<_> = told.list_at("/lead/activity/edges").iter().filter(|edge| edge["node"]["__typename"] == "LeadStatusChanged")
                .map(|edge| edge["node"]["reason"].as_str().unwrap_or_default()).collect();
            assert_eq!(&notes[..4], ["", "Which board?", "The board decides in May", "Who decides,\nand by when?"]);
        }
        // The vendor may accept without waiting.
        act(&vendor, "requestLeadInfo", &id, json!({ "note": "Which one?" })).await;
        assert_eq!(standing(&act(&vendor, "acceptLead", &id, json!({})).await).0, "accepted");
    }

    async fn b6_rejected_carries_the_reason_and_for_a_duplicate_the_lead_that_has_priority_which_only_those_see_who_may(world: World) {
        let (first, second) = (world.partnership("acme", "initech").await, world.partnership("acme", "globex").await);
        let (vendor, earlier, partner) = (world.as_("acme", "SALES"), world.as_("initech", "SALES"), world.as_("globex", "SALES"));
        let has_priority = submit(&earlier, &first, "Forty seats, said first").await;
        world.clock.advance(TimeDelta::hours(1));
        let id = submit(&partner, &second, "Forty seats").await;
        let mut socket = partner.socket().await;
        let mut feed = socket.subscribe(&format!("subscription {{ activity {{ {CHANGE} }} }}"), json!({})).await;
        let reason = "Another partner submitted this customer before you.";
        let rejection = json!({ "reason": reason, "code": "DUPLICATE", "duplicateOfId": has_priority });
        let rejected = act(&vendor, "rejectLead", &id, rejection).await;
        assert_eq!((standing(&rejected).0, &rejected["duplicateOf"]["id"]), ("rejected", &json!(has_priority)));
        assert_eq!((&rejected["rejectedAt"], actions(&rejected)), (&json!("2026-03-02T10:00:00.000Z"), vec![]));
        // The partner has the reason and its kind, and learns nothing of the other lead.
        let event = feed.next().await;
        assert_eq!((&event["activity"]["to"]["key"], &event["activity"]["reason"]), (&json!("rejected"), &json!(reason)));
        let seen = read(&partner, &id).await;
        assert_eq!((&seen["reason"], &seen["reasonCode"], &seen["rejectionCode"]), (&json!(reason), &json!("DUPLICATE"), &json!("DUPLICATE")));
        assert_eq!((&seen["duplicateOf"], actions(&seen)), (&Value::Null, vec!["submit"]));
        let doc = "query($id: ID!) { node(id: $id) { id } }";
        let hidden = partner.query(doc, json!({ "id": has_priority })).await;
        assert_eq!((hidden.code(), hidden.field()), ("NOT_FOUND", "id"));
        let everything = "query($id: ID!) { lead(id: $id) { duplicateOf { id title } possibleDuplicates { lead { id } } openTaskCount
            comments { totalCount } tasks { totalCount } } leads(first: 100, filter: { status: [\"new\", \"rejected\"] }) { edges { node { id title } } }
            activity(first: 100) { edges { node { __typename lead { id title } ... on LeadStatusChanged { reason }
            ... on LeadUpdated { changes { before after } } ... on LeadDuplicatesFound { candidates { lead { id } } } } } } }";
        let everything = partner.query(everything, json!({ "id": id })).await.ok();
        assert!(!everything.text.contains(&has_priority) && !everything.text.contains("said first"), "{}", everything.text);
        assert!(!everything.text.contains("initech") && !everything.text.contains("LeadDuplicatesFound"), "{}", everything.text);
        assert_eq!(everything.list_at("/leads/edges").len(), 1);
        assert_eq!(everything.at("/lead/possibleDuplicates"), &json!([]));
        // Nor does the partner whose lead has priority learn of the rejected one.
        let theirs = earlier.query("query($id: ID!) { lead(id: $id) { version duplicateOf { id } status { key } } }", json!({ "id": has_priority })).await.ok();
        assert_eq!(theirs.at("/lead"), &json!({ "version": 1, "duplicateOf": null, "status": { "key": "new" } }));
        assert_eq!(earlier.query(doc, json!({ "id": id })).await.code(), "NOT_FOUND");

        // A duplicate of a lead of its own: the partner is shown which.
        let own = submit(&partner, &second, "Forty seats, ours").await;
        let again = submit(&partner, &second, "Forty seats, again").await;
        let rejection = json!({ "reason": "You have sent it before.", "code": "DUPLICATE", "duplicateOfId": own });
        act(&vendor, "rejectLead", &again, rejection).await;
        assert_eq!(read(&partner, &again).await["duplicateOf"]["id"], json!(own));

        // The vendor names a lead that it knows, and another one.
        let secret = world.as_("umbrella", "SALES");
        let foreign = json!({ "title": "Secret", "customer": { "company": "Initrode" } });
        let foreign = secret.mutate("createLead", foreign, "lead { id }").await.ok().text_at("/createLead/lead/id").to_owned();
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        for (duplicate, code) in [(&foreign, "NOT_FOUND"), (&own, "INVALID_INPUT")] {
            let refused = call(&vendor, "rejectLead", &own, json!({ "reason": "A", "duplicateOfId": duplicate })).await;
            assert_eq!((refused.code(), refused.field()), (code, "input.duplicateOfId"));
            let refused = perform(&vendor, &own, "reject", json!({ "reason": "A", "duplicateOf": duplicate })).await;
            assert_eq!((refused.code(), refused.field()), (code, "input.fields.duplicateOf"));
        }
        for reason in ["", "   "] {
            let refused = call(&vendor, "rejectLead", &own, json!({ "reason": reason })).await;
            assert_eq!((refused.code(), refused.field()), ("REQUIRED", "input.reason"));
        }
        rows.unchanged_since(&before, "a rejection that was refused").await;
    }

    async fn b7_ready_for_payout_then_paid_out_each_with_its_date(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = submit(&partner, &partnership, "Forty seats").await;
        // Neither before the lead is accepted, nor out of turn.
        for mutation in ["markLeadReadyForPayout", "markLeadPaidOut"] {
            let refused = call(&vendor, mutation, &id, json!({})).await;
            assert_eq!((refused.code(), refused.extension("stage")), ("INVALID_TRANSITION", &json!("new")), "{mutation}");
        }
        act(&vendor, "acceptLead", &id, json!({})).await;
        let refused = call(&vendor, "markLeadPaidOut", &id, json!({})).await;
        assert_eq!((refused.code(), refused.extension("stage")), ("INVALID_TRANSITION", &json!("accepted")));
        let possible = "Possible for you now: ready_for_payout (to Ready for payout), propose (to Proposal)";
        assert!(refused.message().contains(possible), "{}", refused.text);
        world.clock.advance(TimeDelta::days(1));
        let ready = act(&vendor, "markLeadReadyForPayout", &id, json!({})).await;
        assert_eq!((&ready["readyForPayoutAt"], &ready["paidOutAt"]), (&json!("2026-03-03T09:00:00.000Z"), &Value::Null));
        world.clock.advance(TimeDelta::days(30));
        // A next check belongs to recurring payments.
        let refused = call(&vendor, "markLeadPaidOut", &id, json!({ "nextCheckAt": "2026-05-01T00:00:00Z" })).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.nextCheckAt"));
        act(&vendor, "markLeadPaidOut", &id, json!({})).await;
        for person in [&vendor, &partner] {
            let paid = read(person, &id).await;
            assert_eq!((standing(&paid).0, &paid["status"]["terminal"]), ("paid_out", &json!(true)));
            assert_eq!((&paid["readyForPayoutAt"], &paid["paidOutAt"]), (&json!("2026-03-03T09:00:00.000Z"), &json!("2026-04-02T09:00:00.000Z")));
            assert_eq!((&paid["nextCheckAt"], &paid["archived"]), (&Value::Null, &json!(false)));
        }
        assert_eq!(call(&vendor, "markLeadPaidOut", &id, json!({})).await.code(), "INVALID_TRANSITION");
    }

    async fn b8_a_lead_with_recurring_payments_comes_up_for_a_check_of_its_invoices_again_and_again(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = ready_for_payout(&vendor, &partner, &partnership).await;
        for (at, what) in [("2026-03-02T09:00:00Z", "not in the future"), ("2036-03-03T09:00:00Z", "too far off")] {
            let refused = call(&vendor, "markLeadPaidOut", &id, json!({ "recurring": true, "nextCheckAt": at })).await;
            assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.nextCheckAt"), "{what}");
        }
        // After the template's interval, a month, where no date is given.
        let paid = act(&vendor, "markLeadPaidOut", &id, json!({ "recurring": true })).await;
        assert_eq!((standing(&paid).0, &paid["nextCheckAt"]), ("recurring_payment", &json!("2026-04-02T09:00:00.000Z")));
        assert_eq!(paid["paidOutAt"], "2026-03-02T09:00:00.000Z");
        assert_eq!(read(&partner, &id).await["nextCheckAt"], "2026-04-02T09:00:00.000Z");
        // The lead's content is the partner's, the check is not.
        for at in [Value::Null, json!("2030-01-01T00:00:00Z")] {
            let refused = call(&partner, "updateLead", &id, json!({ "expiresAt": at })).await;
            assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.expiresAt"));
        }
        let (mut ours, mut theirs) = (vendor.socket().await, partner.socket().await);
        let activity = format!("subscription {{ activity {{ {CHANGE} }} }}");
        let mut feed = ours.subscribe(&activity, json!({})).await;
        let doc = "subscription($id: ID) { leadChanged(leadId: $id) { status { key } nextCheckAt } }";
        let mut changes = ours.subscribe(doc, json!({ "id": id })).await;
        let mut partners = theirs.subscribe(&activity, json!({})).await;
        world.clock.advance(TimeDelta::days(31));
        // The job brings it up: the vendor is told, and has a task for itself.
        let notice = feed.next().await["activity"].clone();
        assert_eq!(notice, json!({
            "__typename": "LeadNotice", "lead": { "id": id }, "actor": { "__typename": "SystemActor" },
            "message": "The invoices of this lead are due for a check."
        }));
        let task = feed.next().await["activity"].clone();
        assert_eq!(task, json!({
            "__typename": "TaskChanged", "lead": { "id": id }, "actor": { "__typename": "SystemActor" }, "change": "CREATED",
            "task": { "title": "Check the invoices of this lead" }
        }));
        assert_eq!(changes.next().await["leadChanged"], json!({ "status": { "key": "recurring_payment" }, "nextCheckAt": null }));
        let tasks = "query($id: ID!) { tasks(filter: { leadId: $id }) { edges { node { title state visibility dueAt assignedCompany { slug } assignee { id } } } }
            lead(id: $id) { openTaskCount tasks { totalCount } status { key } nextCheckAt } }";
        let seen = vendor.query(tasks, json!({ "id": id })).await.ok();
        assert_eq!(seen.at("/tasks/edges"), &json!([{ "node": {
            "title": "Check the invoices of this lead", "state": "OPEN", "visibility": "INTERNAL", "dueAt": "2026-04-09T09:00:00.000Z",
            "assignedCompany": { "slug": "acme" }, "assignee": { "id": vendor.id().await }
        } }]));
        assert_eq!(seen.at("/lead"), &json!({
            "openTaskCount": 1, "tasks": { "totalCount": 1 }, "status": { "key": "recurring_payment" }, "nextCheckAt": null
        }));
        // The partner sees neither; for it the lead stands as before.
        let comment = json!({ "leadId": id, "body": "Any news?" });
        let marker = partner.mutate("addComment", comment, "comment { id }");
        partners.nothing_until(marker, |data| data["activity"]["comment"]["body"] == "Any news?").await;
        let seen = partner.query(tasks, json!({ "id": id })).await.ok();
        assert_eq!(seen.at("/tasks/edges"), &json!([]));
        assert_eq!(seen.at("/lead"), &json!({
            "openTaskCount": 0, "tasks": { "totalCount": 0 }, "status": { "key": "recurring_payment" }, "nextCheckAt": null
        }));
        assert!(!timeline(&partner, &id).await.text.contains("LeadNotice"));
        assert!(!timeline(&partner, &id).await.text.contains("TaskChanged"));
        feed.next().await;

        // The vendor checks, and the next check is set, after the interval or at a date; the partner reads what was found.
        world.clock.advance(TimeDelta::hours(2));
        let checked = act(&vendor, "recordRecurringCheck", &id, json!({ "note": "Two invoices, 480 EUR" })).await;
        assert_eq!((standing(&checked).0, &checked["checkedAt"]), ("recurring_payment", &json!("2026-04-02T11:00:00.000Z")));
        assert_eq!((&checked["nextCheckAt"], &checked["paidOutAt"]), (&json!("2026-05-02T11:00:00.000Z"), &json!("2026-03-02T09:00:00.000Z")));
        for told in [feed.next().await, partners.next().await] {
            assert_eq!(told["activity"], json!({
                "__typename": "LeadActionTaken", "lead": { "id": id }, "actor": { "__typename": "Member", "company": { "slug": "acme" } },
                "action": "recurring_check", "name": "Checked", "reason": "Two invoices, 480 EUR"
            }));
        }
        assert_eq!(read(&partner, &id).await["note"], "Two invoices, 480 EUR");
        let checked = act(&vendor, "recordRecurringCheck", &id, json!({ "nextCheckAt": "2026-04-20T12:00:00+02:00" })).await;
        assert_eq!((&checked["nextCheckAt"], &checked["note"]), (&json!("2026-04-20T10:00:00.000Z"), &Value::Null));
        feed.next().await;
        world.clock.advance(TimeDelta::days(18));
        assert_eq!(feed.next().await["activity"]["__typename"], "LeadNotice");
        assert_eq!(feed.next().await["activity"]["__typename"], "TaskChanged");

        // Nothing more will come: no check comes up any more.
        let ended = perform(&vendor, &id, "end_recurring", json!({})).await.ok().at("/performLeadAction/lead").clone();
        assert_eq!((standing(&ended).0, &ended["nextCheckAt"]), ("paid_out", &Value::Null));
        assert_eq!(feed.next().await["activity"]["to"]["key"], "paid_out");
        let other = ready_for_payout(&vendor, &partner, &partnership).await;
        act(&vendor, "markLeadPaidOut", &other, json!({ "recurring": true })).await;
        act(&vendor, "markLeadPaidOut", &other, json!({})).await;
        let third = ready_for_payout(&vendor, &partner, &partnership).await;
        act(&vendor, "markLeadPaidOut", &third, json!({ "recurring": true })).await;
        world.clock.advance(TimeDelta::days(400));
        let mut noticed = Vec::new();
        while noticed.is_empty() {
            let data = feed.next().await;
            if data["activity"]["__typename"] == "LeadNotice" {
                noticed.push(data["activity"]["lead"]["id"].clone());
            }
        }
        // The job takes the longest overdue first: the two that have ended would have come by now.
        assert_eq!(noticed, [json!(third)]);
        for lead in [&id, &other] {
            assert_eq!(standing(&read(&vendor, lead).await).0, "paid_out");
        }
    }

    async fn b8_a_check_that_was_due_while_no_server_ran_comes_up_with_the_next_one_and_can_be_recorded_at_once(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let id = ready_for_payout(&world.as_("acme", "SALES"), &world.as_("globex", "SALES"), &partnership).await;
        act(&world.as_("acme", "SALES"), "markLeadPaidOut", &id, json!({ "recurring": true })).await;
        world.clock.advance(TimeDelta::days(40));
        let world = world.restart().await;
        let vendor = world.as_("acme", "SALES");
        // Whether or not the job was there first, the check is recorded after it came up, and once.
        let checked = act(&vendor, "recordRecurringCheck", &id, json!({})).await;
        assert_eq!((&checked["checkedAt"], &checked["nextCheckAt"]), (&json!("2026-04-11T09:00:00.000Z"), &json!("2026-05-11T09:00:00.000Z")));
        assert_eq!(checked["openTaskCount"], 1);
        let told = timeline(&vendor, &id).await;
        let kinds: Vec<_> = told.list_at("/lead/activity/edges").iter().map(|edge| edge["node"]["__typename"].as_str().expect("a name")).collect();
        assert_eq!(&kinds[..3], ["LeadActionTaken", "TaskChanged", "LeadNotice"]);
        assert_eq!(kinds.iter().filter(|kind| **kind == "LeadNotice").count(), 1);
    }

    async fn b9_notes_of_both_sides_are_on_the_timeline(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = submit(&partner, &partnership, "Forty seats").await;
        for (person, body, visibility) in [
            (&partner, "They asked for you by name", "SHARED"), (&vendor, "Thank you, we know them", "SHARED"),
            (&vendor, "They never pay", "INTERNAL"), (&partner, "Ask for 15 %", "INTERNAL"),
        ] {
            let note = json!({ "leadId": id, "body": body, "visibility": visibility });
            person.mutate("addComment", note, "comment { id }").await.ok();
        }
        act(&vendor, "requestLeadInfo", &id, json!({ "note": "Who decides?" })).await;
        for (person, own) in [(&vendor, "They never pay"), (&partner, "Ask for 15 %")] {
            let told = timeline(person, &id).await;
            let mut notes: Vec<_> = told.list_at("/lead/activity/edges").iter().rev().filter_map(|edge| {
                edge["node"]["comment"]["body"].as_str().or(edge["node"]["reason"].as_str())
            }).collect();
            assert_eq!(notes.len(), 4, "{}", told.text);
            notes.retain(|note| *note != own);
            assert_eq!(notes, ["They asked for you by name", "Thank you, we know them", "Who decides?"]);
        }
        // In any status, also at the end of it.
        act(&vendor, "rejectLead", &id, json!({ "reason": "Nobody decides" })).await;
        let note = json!({ "leadId": id, "body": "A pity" });
        partner.mutate("addComment", note, "comment { id }").await.ok();
        assert_eq!(timeline(&vendor, &id).await.at("/lead/activity/edges/0/node/comment/body"), "A pity");
    }

    async fn the_faults_of_a_form_come_all_at_once_each_with_its_path(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = submit(&partner, &partnership, "Forty seats").await;
        vendor.id().await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let own = |found: &[(&str, &str)]| -> Vec<(String, String)> {
            found.iter().map(|(code, field)| ((*code).to_owned(), (*field).to_owned())).collect()
        };
        let form = json!({ "codes": "DUPLICATE", "code": "TOO_SMALL", "duplicateOf": 7 });
        let refused = perform(&vendor, &id, "reject", form).await;
        assert_eq!(faults(&refused), own(&[
            ("INVALID_INPUT", "input.fields.codes"), ("INVALID_INPUT", "input.fields.code"), ("REQUIRED", "input.fields.reason"),
            ("INVALID_INPUT", "input.fields.duplicateOf"),
        ]));
        assert!(refused.text.contains("codes is not a field of reject; it has code, reason and duplicateOf."), "{}", refused.text);
        assert!(refused.text.contains("must be one of DUPLICATE, NOT_ENOUGH_INFORMATION, INACCURATE or OTHER"), "{}", refused.text);
        let refused = perform(&vendor, &id, "request_info", json!({ "note": ["A"], "reason": "B" })).await;
        assert_eq!(faults(&refused), own(&[("INVALID_INPUT", "input.fields.reason"), ("INVALID_INPUT", "input.fields.note")]));
        let refused = perform(&vendor, &id, "accept", json!({ "note": "A" })).await;
        assert_eq!(faults(&refused), own(&[("INVALID_INPUT", "input.fields.note")]));
        assert!(refused.message().contains("which has none"), "{}", refused.text);
        for fields in [json!([]), json!("note"), json!(7)] {
            let refused = perform(&vendor, &id, "request_info", fields).await;
            assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.fields"));
        }
        // What is no id is told with the other faults, not after them.
        let form = json!({ "code": "WRONG", "reason": 5, "duplicateOf": "abc" });
        let refused = perform(&vendor, &id, "reject", form).await;
        let invalid = ["code", "reason", "duplicateOf"].map(|field| ("INVALID_INPUT".to_owned(), format!("input.fields.{field}")));
        let found: Vec<_> = refused.faults().into_iter().map(|(code, field)| (code.to_owned(), field.to_owned())).collect();
        assert_eq!(found, invalid);
        let refused = perform(&vendor, &id, "approve", json!({})).await;
        assert_eq!(refused.code(), "INVALID_TRANSITION");
        let possible = "There is no action \"approve\" in this workflow. Possible for you now: request_info (to Requires more info), \
            accept (to Accepted), reject (to Rejected).";
        assert_eq!(refused.message(), possible);
        let refused = call(&vendor, "moveLead", &id, json!({ "stage": "Approved" })).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.stage"));
        // An action of another workflow, and one that is the system's alone.
        assert_eq!(perform(&vendor, &id, "decline", json!({ "reason": "A" })).await.code(), "INVALID_TRANSITION");
        assert_eq!(perform(&vendor, &id, "check_due", json!({})).await.code(), "FORBIDDEN");
        rows.unchanged_since(&before, "a form with faults").await;
        // At Recurring payment: a date that is none.
        act(&vendor, "acceptLead", &id, json!({})).await;
        act(&vendor, "markLeadReadyForPayout", &id, json!({})).await;
        for date in [json!("tomorrow"), json!("2026-05-01"), json!(1_777_593_600)] {
            let refused = perform(&vendor, &id, "start_recurring", json!({ "nextCheckAt": date })).await;
            assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.fields.nextCheckAt"));
        }
    }

    async fn what_was_changed_meanwhile_is_a_conflict(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = submit(&partner, &partnership, "Forty seats").await;
        let read_at = read(&vendor, &id).await["version"].clone();
        act(&world.as_("acme", "MANAGER"), "requestLeadInfo", &id, json!({ "note": "Who?" })).await;
        for (mutation, rest) in [("acceptLead", json!({})), ("rejectLead", json!({ "reason": "A" }))] {
            let mut rest = rest;
            rest["expectedVersion"] = read_at.clone();
            let refused = call(&vendor, mutation, &id, rest).await;
            assert_eq!((refused.code(), refused.extension("version")), ("CONFLICT", &json!(2)), "{mutation}");
        }
        let theirs = read(&partner, &id).await["version"].clone();
        act(&partner, "resubmitLead", &id, json!({ "expectedVersion": theirs })).await;
        let current = read(&vendor, &id).await["version"].clone();
        assert_eq!(standing(&act(&vendor, "acceptLead", &id, json!({ "expectedVersion": current })).await).0, "accepted");
    }

    async fn a_lead_is_submitted_by_the_partner_alone_and_only_to_its_vendor(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let input = json!({
            "title": "Forty seats", "customer": { "company": "Initrode" }, "templateKey": "submitted-lead", "partnershipId": partnership
        });
        let refused = vendor.mutate("createLead", input, "lead { id }").await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.partnershipId"));
        let message = "Leads of the workflow submitted-lead go from the partner to the vendor: here your company is the vendor.";
        assert_eq!(refused.message(), message);
        // Nor in two steps, as a draft first, which only its own company sees.
        let draft = json!({ "title": "Forty seats", "customer": { "company": "Initrode" }, "templateKey": "submitted-lead" });
        let ours = vendor.mutate("createLead", draft.clone(), &format!("lead {{ {LEAD} }}")).await.ok();
        assert_eq!(standing(ours.at("/createLead/lead")), ("draft", "qualification"));
        let ours = ours.text_at("/createLead/lead/id").to_owned();
        let refused = call(&vendor, "shareLead", &ours, json!({ "partnershipId": partnership })).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.partnershipId"));
        let refused = perform(&vendor, &ours, "submit", json!({ "partnershipId": partnership })).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.fields.partnershipId"));
        // The partner's draft is its own until it is submitted; it has no stage to move and nobody to review it.
        let theirs = partner.mutate("createLead", draft, "lead { id }").await.ok().text_at("/createLead/lead/id").to_owned();
        let seen = read(&partner, &theirs).await;
        assert_eq!((actions(&seen), &seen["stageLocked"]), (vec!["submit"], &json!(true)));
        assert_eq!(call(&partner, "acceptLead", &theirs, json!({})).await.code(), "FORBIDDEN");
        assert_eq!(call(&partner, "moveLead", &theirs, json!({ "stage": "Proposal" })).await.code(), "FORBIDDEN");
        assert_eq!(call(&vendor, "acceptLead", &theirs, json!({})).await.code(), "NOT_FOUND");
        let refused = perform(&partner, &theirs, "submit", json!({})).await;
        assert_eq!((refused.code(), refused.field()), ("REQUIRED", "input.fields.partnershipId"));
        let integration = world.as_("globex", "INTEGRATION");
        let submitted = act(&integration, "shareLead", &theirs, json!({ "partnershipId": partnership })).await;
        assert_eq!((standing(&submitted), &submitted["receiver"]["slug"]), (("new", "qualification"), &json!("acme")));
        assert_eq!(actions(&read(&vendor, &theirs).await), ACTIONS_OF_THE_REVIEW);
    }

    async fn a_lead_is_withdrawn_and_submitted_to_another_vendor_and_the_earlier_one_sees_nothing_newer(world: World) {
        let (acme, initech) = (world.partnership("acme", "globex").await, world.partnership("initech", "globex").await);
        let (first, second, partner) = (world.as_("acme", "SALES"), world.as_("initech", "SALES"), world.as_("globex", "SALES"));
        let id = submit(&partner, &acme, "Forty seats").await;
        act(&first, "requestLeadInfo", &id, json!({ "note": "Who decides?" })).await;
        let withdrawn = act(&partner, "withdrawLead", &id, json!({ "reason": "They want something else" })).await;
        assert_eq!((standing(&withdrawn).0, actions(&withdrawn)), ("withdrawn", vec!["submit"]));
        let frozen = read(&first, &id).await;
        assert_eq!((standing(&frozen).0, &frozen["reason"], actions(&frozen)), ("withdrawn", &json!("They want something else"), vec![]));
        let past = timeline(&first, &id).await.data;
        // With nobody, it is nobody's to review.
        for person in [&first, &partner] {
            assert_eq!(call(person, "acceptLead", &id, json!({})).await.code(), "FORBIDDEN");
        }
        world.clock.advance(TimeDelta::days(1));
        call(&partner, "updateLead", &id, json!({ "title": "Sixty seats" })).await.ok();
        let again = act(&partner, "shareLead", &id, json!({ "partnershipId": initech })).await;
        assert_eq!((standing(&again), &again["receiver"]["slug"]), (("new", "qualification"), &json!("initech")));
        // A new review: nothing of the first one is left in it.
        assert_eq!((&again["note"], &again["reason"], &again["stageLocked"]), (&Value::Null, &Value::Null, &json!(true)));
        act(&second, "acceptLead", &id, json!({})).await;
        act(&second, "moveLead", &id, json!({ "stage": "Proposal" })).await;
        partner.mutate("addComment", json!({ "leadId": id, "body": "For the second alone" }), "comment { id }").await.ok();
        assert_eq!((read(&first, &id).await, timeline(&first, &id).await.data), (frozen, past));
        let theirs = first.query("query($id: ID!) { lead(id: $id) { title comments { totalCount } } }", json!({ "id": id })).await.ok();
        assert_eq!(theirs.at("/lead"), &json!({ "title": "Forty seats", "comments": { "totalCount": 0 } }));
        assert!(!timeline(&second, &id).await.text.contains("Who decides?"));
        for (mutation, rest) in [("acceptLead", json!({})), ("rejectLead", json!({ "reason": "A" })), ("moveLead", json!({ "stage": "Proposal" }))] {
            assert_eq!(call(&first, mutation, &id, rest).await.code(), "FORBIDDEN", "{mutation}");
        }
        // Accepted, it can't be withdrawn; rejected, it can be submitted to another vendor as well.
        assert_eq!(call(&partner, "withdrawLead", &id, json!({})).await.code(), "INVALID_TRANSITION");
        let other = submit(&partner, &acme, "Ten seats").await;
        act(&first, "rejectLead", &other, json!({ "reason": "Too small", "code": "OTHER" })).await;
        let moved = act(&partner, "shareLead", &other, json!({ "partnershipId": initech })).await;
        assert_eq!((standing(&moved).0, &moved["reason"], &moved["reasonCode"], &moved["rejectedAt"]), ("new", &Value::Null, &Value::Null, &Value::Null));
        act(&second, "acceptLead", &other, json!({})).await;
        let seen = read(&first, &other).await;
        assert_eq!((standing(&seen).0, &seen["reason"], &seen["rejectionCode"]), ("rejected", &json!("Too small"), &json!("OTHER")));
    }

    async fn leads_are_found_by_status_whether_or_not_a_due_check_has_been_recorded(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let new = submit(&partner, &partnership, "New").await;
        let asked = submit(&partner, &partnership, "Asked").await;
        act(&vendor, "requestLeadInfo", &asked, json!({ "note": "Who?" })).await;
        let rejected = submit(&partner, &partnership, "Rejected").await;
        act(&vendor, "rejectLead", &rejected, json!({ "reason": "No" })).await;
        let recurring = ready_for_payout(&vendor, &partner, &partnership).await;
        act(&vendor, "moveLead", &recurring, json!({ "stage": "Proposal" })).await;
        act(&vendor, "markLeadPaidOut", &recurring, json!({ "recurring": true })).await;
        let other = world.shared_lead("acme", &partnership, "Of another workflow").await;
        let list = async |person: &Person, filter: Value| {
            let doc = "query($filter: LeadFilter) { leads(filter: $filter) { edges { node { id status { key } } } } }";
            let found = person.query(doc, json!({ "filter": filter })).await.ok();
            let mut ids: Vec<_> = found.list_at("/leads/edges").iter().map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()).collect();
            ids.sort();
            ids
        };
        let sorted = |ids: &[&String]| {
            let mut ids: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
            ids.sort();
            ids
        };
        let expected = [
            (json!({ "status": ["new"] }), sorted(&[&new])),
            (json!({ "status": ["new", "requires_more_info"] }), sorted(&[&new, &asked])),
            (json!({ "status": ["rejected"] }), sorted(&[&rejected])),
            (json!({ "status": ["recurring_payment"] }), sorted(&[&recurring])),
            (json!({ "status": ["paid_out", "no such status"] }), vec![]),
            (json!({ "stage": ["qualification"] }), sorted(&[&new, &asked, &rejected])),
            (json!({ "stage": ["proposal"] }), sorted(&[&recurring])),
            (json!({ "stageKind": ["ACTIVE"] }), sorted(&[&recurring])),
            (json!({ "stage": ["proposal"], "status": ["recurring_payment"] }), sorted(&[&recurring])),
            (json!({ "stage": ["qualification"], "status": ["recurring_payment"] }), vec![]),
            (json!({}), sorted(&[&new, &asked, &rejected, &recurring, &other])),
        ];
        let update = json!({ "leadId": other, "expiresAt": null });
        vendor.mutate("updateLead", update, "lead { id }").await.ok();
        for days in [0, 31] {
            world.clock.advance(TimeDelta::days(days));
            for person in [&vendor, &partner] {
                for (filter, ids) in &expected {
                    assert_eq!(&list(person, filter.clone()).await, ids, "{filter} after {days} days");
                }
            }
        }
    }
}
