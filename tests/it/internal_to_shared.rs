//! From internal to shared: a new or a qualified internal lead goes on with a partner, on the workflow of shared leads,
//! and its own record shows both.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::leads::{self, offered, perform, qualification, read};
use crate::support::rows::Rows;
use crate::support::world::{Person, World};

const LEAD: &str = "id number side stage { key name } template { key } receiver { slug } partnership { id } owner { id } \
    expiresAt acceptedAt declinedAt convertedAt assignedAt qualifiedAt reason reasonCode disqualificationCode archived \
    qualification { goal channel } opportunity { id name } outcome revenue { amount } \
    internalRecord { template { key } stage { key name } opportunity { id name } } \
    availableActions { key } blockedActions { key }";

async fn lead_of(person: &Person, more: Value) -> String {
    let mut more = more;
    more["templateKey"] = json!("internal-lead");
    leads::lead_of(person, more).await
}

/// A qualified internal lead of acme's SALES, with its opportunity.
async fn qualified_lead(sales: &Person) -> (String, String) {
    let lead = lead_of(sales, json!({ "qualification": qualification() })).await;
    perform(sales, &lead, "assign", json!({ "owner": sales.id().await })).await.ok();
    let input = json!({ "leadId": lead, "name": "Our own deal", "sellingDirection": "Licences" });
    let answer = sales.mutate("qualifyLead", input, "opportunity { id }").await.ok();
    (lead, answer.text_at("/qualifyLead/opportunity/id").to_owned())
}

async fn share(person: &Person, lead: &str, partnership: &str) -> Value {
    let input = json!({ "leadId": lead, "partnershipId": partnership });
    let answer = person.mutate("shareLead", input, &format!("lead {{ {LEAD} }}")).await.ok();
    answer.at("/shareLead/lead").clone()
}

async fn act(person: &Person, mutation: &str, input: Value) -> Value {
    let answer = person.mutate(mutation, input, &format!("lead {{ {LEAD} }}")).await.ok();
    answer.at(&format!("/{mutation}/lead")).clone()
}

/// The whole log of a company, as one text.
async fn whole_log(person: &Person) -> String {
    const LOG: &str = "{ activity(first: 100) { edges { node { __typename lead { id }
        actor { __typename ... on Member { id } }
        ... on LeadStageChanged { action from { key } to { key } reason }
        ... on LeadUpdated { changes { field before after } }
        ... on LeadOwnerChanged { fromOwner { id } toOwner { id } }
        ... on LeadActionTaken { action name reason }
        ... on OpportunityCreated { opportunity { id name } }
        ... on OpportunityStageChanged { opportunity { id name } action } } } } }";
    person.query(LOG, json!({})).await.ok().at("/activity/edges").to_string()
}

on_both_databases! {
    async fn a_new_internal_lead_is_shared_and_runs_on_the_partners_workflow(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (sales, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = lead_of(&sales, json!({ "qualification": { "goal": "Fewer tickets" } })).await;
        assert!(offered(&sales, &lead).await.contains(&"share".to_owned()));
        let shared = share(&sales, &lead, &partnership).await;
        assert_eq!((&shared["stage"]["key"], &shared["template"]["key"]), (&json!("pending"), &json!("partner-lead")));
        assert_eq!((&shared["receiver"]["slug"], &shared["partnership"]["id"]), (&json!("globex"), &json!(partnership)));
        // The limit is that of the shared lead's template: seven days.
        assert_eq!(shared["expiresAt"], "2026-03-09T09:00:00.000Z");
        assert_eq!(shared["internalRecord"], json!({ "template": { "key": "internal-lead" }, "stage": { "key": "new", "name": "New" }, "opportunity": null }));
        assert_eq!(shared["qualification"]["goal"], "Fewer tickets");
        assert_eq!(shared["owner"]["id"], json!(sales.id().await));
        assert_eq!(offered(&sales, &lead).await, ["withdraw", "reassign"]);
        assert_eq!(offered(&partner, &lead).await, ["accept", "decline"]);
        // It runs there as any other does, to its end.
        let accepted = act(&partner, "acceptLead", json!({ "leadId": lead })).await;
        assert_eq!((&accepted["acceptedAt"], &accepted["expiresAt"]), (&json!("2026-03-02T09:00:00.000Z"), &json!("2026-04-01T09:00:00.000Z")));
        world.clock.advance(TimeDelta::days(30));
        assert_eq!(read(&sales, &lead, LEAD).await["stage"]["key"], "expired");
        assert_eq!(offered(&sales, &lead).await, ["reassign"]);
        // Its former life is over: none of those actions is one of this workflow.
        for action in ["assign", "qualify", "deactivate", "activate"] {
            assert_eq!(perform(&sales, &lead, action, json!({})).await.code(), "INVALID_TRANSITION", "{action}");
        }
    }

    async fn the_limit_for_the_answer_is_set_on_sharing_where_one_is_given(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let sales = world.as_("acme", "SALES");
        let lead = lead_of(&sales, json!({})).await;
        let input = |at: &str| json!({ "leadId": lead, "partnershipId": partnership, "expiresAt": at });
        let refused = sales.mutate("shareLead", input("2026-03-01T00:00:00Z"), "__typename").await;
        assert_eq!(refused.faults(), [("INVALID_INPUT", "input.expiresAt")]);
        let shared = act(&sales, "shareLead", input("2026-03-04T12:00:00Z")).await;
        assert_eq!(shared["expiresAt"], "2026-03-04T12:00:00.000Z");
        world.clock.advance(TimeDelta::days(3));
        assert_eq!(read(&world.as_("globex", "SALES"), &lead, LEAD).await["stage"]["key"], "expired");
        // An ADMIN of the company sets another limit on the template of shared leads, and it holds for these too.
        let templates = sales.query("{ leadTemplates { id key } }", json!({})).await.ok();
        let template = templates.list_at("/leadTemplates").iter().find(|it| it["key"] == "partner-lead").expect("it is there").clone();
        let input = json!({ "templateId": template["id"], "answerWithin": "PT36H" });
        world.as_("acme", "ADMIN").mutate("updateLeadTemplate", input, "__typename").await.ok();
        let second = lead_of(&sales, json!({})).await;
        assert_eq!(share(&sales, &second, &partnership).await["expiresAt"], "2026-03-06T21:00:00.000Z");
    }

    async fn the_partner_of_a_qualified_lead_sees_nothing_of_what_it_was(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (sales, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let (lead, deal) = qualified_lead(&sales).await;
        sales.mutate("addComment", json!({ "leadId": lead, "body": "Between us" }), "__typename").await.ok();
        sales.mutate("createTask", json!({ "leadId": lead, "title": "Between us too" }), "__typename").await.ok();
        let shared = share(&sales, &lead, &partnership).await;
        let own = json!({ "id": deal, "name": "Our own deal" });
        assert_eq!(shared["internalRecord"], json!({ "template": { "key": "internal-lead" }, "stage": { "key": "qualified", "name": "Qualified" }, "opportunity": own }));
        assert_eq!((&shared["stage"]["key"], &shared["opportunity"]), (&json!("pending"), &Value::Null));
        assert_eq!(shared["qualification"], json!({ "goal": "Known: goal", "channel": "Known: channel" }));

        let theirs = read(&partner, &lead, &format!("{LEAD} comments {{ edges {{ node {{ id }} }} }} tasks {{ edges {{ node {{ id }} }} }}")).await;
        for hidden in ["qualification", "internalRecord", "opportunity", "owner", "reasonCode", "disqualificationCode", "reason", "assignedAt", "qualifiedAt", "outcome", "revenue"] {
            assert_eq!(theirs[hidden], Value::Null, "{hidden}");
        }
        assert_eq!((&theirs["stage"]["key"], &theirs["template"]["key"]), (&json!("pending"), &json!("partner-lead")));
        assert_eq!((&theirs["comments"]["edges"], &theirs["tasks"]["edges"]), (&json!([]), &json!([])));
        let found = partner.query("query($id: ID!) { opportunity(id: $id) { id } }", json!({ "id": deal })).await;
        assert_eq!(found.faults(), [("NOT_FOUND", "id")]);
        assert!(partner.query("{ opportunities { edges { node { id } } } }", json!({})).await.ok().list_at("/opportunities/edges").is_empty());
        // Nothing of it is in its log: it begins with the sharing.
        let log = whole_log(&partner).await;
        assert!(log.contains("\"LeadShared\""), "{log}");
        for earlier in ["LeadCreated", "assign", "qualif", "OpportunityCreated", "Our own deal", "owner", "CommentAdded", "TaskChanged"] {
            assert!(!log.contains(earlier), "{earlier} in {log}");
        }
        // Nor is anything that becomes of it afterwards.
        let before = whole_log(&partner).await;
        sales.mutate("moveOpportunity", json!({ "opportunityId": deal, "stage": "Proposal" }), "__typename").await.ok();
        sales.mutate("updateLead", json!({ "leadId": lead, "qualification": { "goal": "Another" } }), "__typename").await.ok();
        sales.mutate("updateLead", json!({ "leadId": lead, "ownerId": world.as_("acme", "ADMIN").id().await }), "__typename").await.ok();
        assert_eq!(whole_log(&partner).await, before);
        assert!(whole_log(&sales).await.contains("\"propose\""));
    }

    async fn a_lead_that_comes_back_is_passed_on_and_keeps_its_record(world: World) {
        let (first, second) = (world.partnership("acme", "globex").await, world.partnership("acme", "initech").await);
        let sales = world.as_("acme", "SALES");
        let (lead, deal) = qualified_lead(&sales).await;
        let record = share(&sales, &lead, &first).await["internalRecord"].clone();
        let partner = world.as_("globex", "SALES");
        act(&partner, "declineLead", json!({ "leadId": lead, "reason": "Not our region" })).await;
        let back = read(&sales, &lead, LEAD).await;
        assert_eq!((&back["stage"]["key"], &back["reason"], &back["internalRecord"]), (&json!("declined"), &json!("Not our region"), &record));
        assert_eq!(offered(&sales, &lead).await, ["reassign"]);
        let again = act(&sales, "shareLead", json!({ "leadId": lead, "partnershipId": second })).await;
        assert_eq!((&again["stage"]["key"], &again["receiver"]["slug"], &again["internalRecord"]), (&json!("pending"), &json!("initech"), &record));
        let next = world.as_("initech", "SALES");
        let theirs = read(&next, &lead, LEAD).await;
        for hidden in ["qualification", "internalRecord", "reason", "opportunity", "owner"] {
            assert_eq!(theirs[hidden], Value::Null, "{hidden}");
        }
        // What the earlier partner sees stays as it was.
        assert_eq!(read(&partner, &lead, "stage { key }").await["stage"]["key"], "declined");
        assert_eq!(sales.query("query($id: ID!) { opportunity(id: $id) { lead { id } } }", json!({ "id": deal })).await.ok().at("/opportunity/lead/id"), &json!(lead));
    }

    async fn after_its_conversion_a_lead_shows_the_partners_opportunity_beside_its_own(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (sales, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let (lead, own) = qualified_lead(&sales).await;
        share(&sales, &lead, &partnership).await;
        act(&partner, "acceptLead", json!({ "leadId": lead })).await;
        let converted = act(&partner, "convertLead", json!({ "leadId": lead, "opportunity": { "name": "The partner's deal" } })).await;
        let theirs = converted["opportunity"].clone();
        assert_ne!(theirs["id"], json!(own));
        assert_eq!(converted["internalRecord"], Value::Null);
        let seen = read(&sales, &lead, LEAD).await;
        assert_eq!((&seen["opportunity"], &seen["internalRecord"]["opportunity"]), (&theirs, &json!({ "id": own, "name": "Our own deal" })));
        // Both find the lead, for the company; the partner's alone for the partner.
        let of = async |person: &Person, id: &Value| {
            person.query("query($id: ID!) { opportunity(id: $id) { side lead { id } } }", json!({ "id": id })).await
        };
        assert_eq!(of(&sales, &json!(own)).await.ok().at("/opportunity"), &json!({ "side": "RECEIVER", "lead": { "id": lead } }));
        assert_eq!(of(&sales, &theirs["id"]).await.ok().at("/opportunity"), &json!({ "side": "SOURCE", "lead": { "id": lead } }));
        assert_eq!(of(&partner, &theirs["id"]).await.ok().at("/opportunity"), &json!({ "side": "RECEIVER", "lead": { "id": lead } }));
        assert_eq!(of(&partner, &json!(own)).await.code(), "NOT_FOUND");
        // Each ends by itself; the lead's outcome is the partner's.
        let lost = json!({ "opportunityId": own, "stage": "Lost", "reason": "The partner sells it" });
        sales.mutate("moveOpportunity", lost, "__typename").await.ok();
        assert_eq!(read(&sales, &lead, LEAD).await["outcome"], Value::Null);
        let won = json!({ "opportunityId": theirs["id"], "stage": "Won", "value": { "amount": "10", "currency": "EUR" }, "closeDate": "2026-04-01" });
        partner.mutate("moveOpportunity", won, "__typename").await.ok();
        for person in [&sales, &partner] {
            let seen = read(person, &lead, LEAD).await;
            assert_eq!((&seen["outcome"], &seen["revenue"]["amount"]), (&json!("WON"), &json!("10.00")));
        }
    }

    async fn an_assigned_or_disqualified_lead_is_not_shared(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let sales = world.as_("acme", "SALES");
        let lead = lead_of(&sales, json!({ "qualification": qualification() })).await;
        perform(&sales, &lead, "assign", json!({ "owner": sales.id().await })).await.ok();
        for (stage, possible) in [
            ("assigned", "Possible for you now: reassign (to Assigned), qualify (to Qualified), disqualify (to Disqualified), deactivate."),
            ("disqualified", "Possible for you now: deactivate."),
        ] {
            if stage == "disqualified" {
                perform(&sales, &lead, "disqualify", json!({ "code": "NON_TARGET_CLIENT", "reason": "A school" })).await.ok();
            }
            assert!(!offered(&sales, &lead).await.contains(&"share".to_owned()));
            let rows = Rows::of(&world.database).await;
            let before = rows.now().await;
            let input = json!({ "leadId": lead, "partnershipId": partnership });
            for refused in [
                sales.mutate("shareLead", input, "__typename").await,
                perform(&sales, &lead, "share", json!({ "partnershipId": partnership })).await,
                sales.mutate("moveLead", json!({ "leadId": lead, "stage": "New" }), "__typename").await,
            ] {
                assert_eq!((refused.code(), refused.extension("stage")), ("INVALID_TRANSITION", &json!(stage)), "{}", refused.text);
                assert!(refused.message().ends_with(possible), "{}", refused.message());
            }
            rows.unchanged_since(&before, "a refused sharing").await;
        }
    }

    async fn sharing_is_for_those_who_may_and_across_a_partnership_of_the_company(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let foreign = world.partnership("initech", "umbrella").await;
        let sales = world.as_("acme", "SALES");
        let lead = lead_of(&sales, json!({})).await;
        let input = |partnership: &str| json!({ "leadId": lead, "partnershipId": partnership });
        assert_eq!(world.as_("acme", "VIEWER").mutate("shareLead", input(&partnership), "__typename").await.code(), "FORBIDDEN");
        assert_eq!(world.as_("umbrella", "ADMIN").mutate("shareLead", input(&partnership), "__typename").await.faults(), [("NOT_FOUND", "input.leadId")]);
        assert_eq!(sales.mutate("shareLead", input(&foreign), "__typename").await.faults(), [("NOT_FOUND", "input.partnershipId")]);
        assert_eq!(perform(&sales, &lead, "share", json!({})).await.faults(), [("REQUIRED", "input.fields.partnershipId")]);
        // Whoever may, by the form too; the one who reads an older version comes too late.
        let stale = json!({ "leadId": lead, "partnershipId": partnership, "expectedVersion": 7 });
        assert_eq!(sales.mutate("shareLead", stale, "__typename").await.code(), "CONFLICT");
        perform(&world.as_("acme", "INTEGRATION"), &lead, "share", json!({ "partnershipId": partnership })).await.ok();
        assert_eq!(read(&sales, &lead, LEAD).await["internalRecord"]["stage"]["key"], "new");
        // Not twice to the same partner.
        assert_eq!(sales.mutate("shareLead", input(&partnership), "__typename").await.faults(), [("INVALID_INPUT", "input.partnershipId")]);
    }

    async fn an_internal_lead_can_be_shared_as_it_is_created(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let sales = world.as_("acme", "SALES");
        let input = json!({ "templateKey": "internal-lead", "partnershipId": partnership, "qualification": qualification(),
            "expiresAt": "2026-03-05T09:00:00Z", "idempotencyKey": "one" });
        let lead = leads::lead_of(&sales, input.clone()).await;
        assert_eq!(leads::lead_of(&sales, input).await, lead, "the same again");
        let seen = read(&sales, &lead, LEAD).await;
        assert_eq!((&seen["stage"]["key"], &seen["template"]["key"]), (&json!("pending"), &json!("partner-lead")));
        assert_eq!(seen["expiresAt"], "2026-03-05T09:00:00.000Z");
        assert_eq!(seen["internalRecord"], json!({ "template": { "key": "internal-lead" }, "stage": { "key": "new", "name": "New" }, "opportunity": null }));
        let theirs = read(&world.as_("globex", "SALES"), &lead, LEAD).await;
        assert_eq!((&theirs["stage"]["key"], &theirs["qualification"], &theirs["internalRecord"]), (&json!("pending"), &Value::Null, &Value::Null));
    }
}
