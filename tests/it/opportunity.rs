//! Opportunities (mission A9): their own workflow, and what both sides see of it on the lead.

use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::Answer;
use crate::support::leads::{lead_of, read};
use crate::support::rows::Rows;
use crate::support::world::{Person, World};

const DEAL: &str = "id name description city currentSituation sellingDirection closeDate value { amount currency } \
    stage { key name kind terminal } reason closedAt version responsible { id } lead { id } availableActions { key }";

const LEAD: &str = "stage { key } outcome revenue { amount currency } opportunity { id stage { key } }";

async fn deal_of(person: &Person, input: Value) -> Value {
    let answer = person.mutate("createOpportunity", input, &format!("opportunity {{ {DEAL} }}")).await.ok();
    answer.at("/createOpportunity/opportunity").clone()
}

async fn deal(person: &Person, id: &Value) -> Value {
    let document = format!("query($id: ID!) {{ opportunity(id: $id) {{ {DEAL} }} }}");
    person.query(&document, json!({ "id": id })).await.ok().at("/opportunity").clone()
}

/// A lead of acme that globex has accepted.
async fn accepted_lead(world: &World, partnership: &str) -> String {
    let shared = json!({ "templateKey": "partner-lead", "partnershipId": partnership });
    let lead = lead_of(&world.as_("acme", "SALES"), shared).await;
    world.as_("globex", "SALES").mutate("acceptLead", json!({ "leadId": lead }), "__typename").await.ok();
    lead
}

/// A lead of acme that globex has converted, and the opportunity's id.
async fn converted_lead(world: &World, partnership: &str) -> (String, Value) {
    let lead = accepted_lead(world, partnership).await;
    let input = json!({ "leadId": lead, "opportunity": { "name": "Forty seats" } });
    let answer = world.as_("globex", "SALES").mutate("convertLead", input, "lead { opportunity { id } }").await.ok();
    (lead, answer.at("/convertLead/lead/opportunity/id").clone())
}

/// Ends an opportunity by a move to the stage, or by the action with its form.
async fn end(person: &Person, id: &Value, by_move: bool, stage: &str, action: &str, form: &Value) -> Answer {
    let mut input = json!({ "opportunityId": id });
    let mutation = if by_move {
        input["stage"] = json!(stage);
        for (key, value) in form.as_object().expect("an object") {
            input[key] = value.clone();
        }
        "moveOpportunity"
    } else {
        input["action"] = json!(action);
        input["fields"] = form.clone();
        "performOpportunityAction"
    };
    person.mutate(mutation, input, &format!("opportunity {{ {DEAL} }}")).await
}

on_both_databases! {
    async fn an_opportunity_ends_won_with_value_and_close_date_or_lost_or_discontinued_with_a_reason(world: World) {
        let sales = world.as_("globex", "SALES");
        let money = json!({ "amount": "50000.00", "currency": "EUR" });
        let won = json!({ "value": money, "closeDate": "2026-05-02" });
        let because = json!({ "reason": "They have no budget" });
        for by_move in [true, false] {
            let prefix = if by_move { "input" } else { "input.fields" };
            let at = |field: &str| format!("{prefix}.{field}");
            for (stage, action, form, needs, kind) in [
                ("Won", "win", &won, vec!["value", "closeDate"], "WON"),
                ("Lost", "lose", &because, vec!["reason"], "LOST"),
                ("Discontinued", "discontinue", &because, vec!["reason"], "CLOSED"),
            ] {
                let id = deal_of(&sales, json!({ "name": "Forty seats" })).await["id"].clone();
                // Without its form it does not end: every missing field comes at once, and each by itself.
                let refused = end(&sales, &id, by_move, stage, action, &json!({})).await;
                let wanted: Vec<_> = needs.iter().map(|field| at(field)).collect();
                assert_eq!(refused.faults(), wanted.iter().map(|at| ("REQUIRED", at.as_str())).collect::<Vec<_>>());
                for field in &needs {
                    let mut form = form.clone();
                    form[*field] = Value::Null;
                    let refused = end(&sales, &id, by_move, stage, action, &form).await;
                    assert_eq!(refused.faults(), [("REQUIRED", at(field).as_str())]);
                }
                if stage != "Won" {
                    let refused = end(&sales, &id, by_move, stage, action, &json!({ "reason": " \n" })).await;
                    assert_eq!(refused.faults(), [("REQUIRED", at("reason").as_str())]);
                }
                let answer = end(&sales, &id, by_move, stage, action, form).await.ok();
                let ended = answer.at(if by_move { "/moveOpportunity/opportunity" } else { "/performOpportunityAction/opportunity" });
                assert_eq!((&ended["stage"]["name"], &ended["stage"]["kind"]), (&json!(stage), &json!(kind)));
                assert_eq!((&ended["stage"]["terminal"], &ended["closedAt"]), (&json!(true), &json!("2026-03-02T09:00:00.000Z")));
                assert_eq!((&ended["availableActions"], &ended["version"]), (&json!([]), &json!(2)));
                if stage == "Won" {
                    assert_eq!((&ended["value"], &ended["closeDate"], &ended["reason"]), (&money, &json!("2026-05-02"), &Value::Null));
                } else {
                    assert_eq!((&ended["value"], &ended["reason"]), (&Value::Null, &json!("They have no budget")));
                }
                assert_eq!(&deal(&sales, &id).await, ended);
                // An end is an end.
                let again = end(&sales, &id, by_move, stage, action, form).await;
                assert_eq!(again.code(), "INVALID_TRANSITION");
                let back = end(&sales, &id, by_move, "Proposal", "propose", &json!({})).await;
                assert_eq!(back.code(), "INVALID_TRANSITION");
                assert!(back.message().ends_with("There is nothing you can do at this stage."), "{}", back.message());
            }
        }
    }

    async fn a_form_of_an_opportunity_with_faults_is_refused_with_all_of_them_at_once(world: World) {
        let sales = world.as_("globex", "SALES");
        let id = deal_of(&sales, json!({ "name": "Forty seats" })).await["id"].clone();
        let others = [world.as_("globex", "VIEWER"), world.as_("globex", "INTEGRATION"), world.as_("umbrella", "ADMIN")];
        for other in &others {
            other.id().await;
        }
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let form = json!({ "colour": "red", "value": { "amount": "x", "currency": "EUR" }, "closeDate": "soon" });
        let refused = end(&sales, &id, false, "Won", "win", &form).await;
        assert_eq!(refused.faults(), [
            ("INVALID_INPUT", "input.fields.colour"),
            ("INVALID_INPUT", "input.fields.value.amount"),
            ("INVALID_INPUT", "input.fields.closeDate"),
        ]);
        let refused = end(&sales, &id, false, "Lost", "lose", &json!({ "reason": 5 })).await;
        assert_eq!(refused.faults(), [("INVALID_INPUT", "input.fields.reason")]);
        let refused = end(&sales, &id, false, "", "accept", &json!({})).await;
        assert_eq!(refused.code(), "INVALID_TRANSITION");
        assert!(refused.message().contains("Possible for you now: propose (to Proposal)"), "{}", refused.message());
        let refused = end(&sales, &id, true, "Sold", "", &json!({})).await;
        assert_eq!(refused.faults(), [("INVALID_INPUT", "input.stage")]);
        for other in &others[..2] {
            assert_eq!(end(other, &id, true, "Proposal", "", &json!({})).await.code(), "FORBIDDEN");
        }
        let refused = end(&others[2], &id, false, "", "propose", &json!({})).await;
        assert_eq!(refused.faults(), [("NOT_FOUND", "input.opportunityId")]);
        rows.unchanged_since(&before, "a refused form").await;
    }

    async fn both_sides_see_the_outcome_and_the_revenue_on_the_lead(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let won = json!({ "value": { "amount": "50000", "currency": "EUR" }, "closeDate": "2026-05-02" });
        let because = json!({ "reason": "They have no budget" });
        for (stage, form, outcome, revenue) in [
            ("Won", &won, "WON", json!({ "amount": "50000.00", "currency": "EUR" })),
            ("Lost", &because, "LOST", Value::Null),
            ("Discontinued", &because, "CLOSED", Value::Null),
        ] {
            let (lead, id) = converted_lead(&world, &partnership).await;
            let value = json!({ "opportunityId": id, "value": { "amount": "7", "currency": "EUR" } });
            partner.mutate("updateOpportunity", value, "__typename").await.ok();
            for person in [&vendor, &partner] {
                let seen = read(person, &lead, LEAD).await;
                assert_eq!((&seen["outcome"], &seen["revenue"]), (&Value::Null, &Value::Null), "while it is open");
            }
            end(&partner, &id, true, stage, "", form).await.ok();
            for person in [&vendor, &partner] {
                let seen = read(person, &lead, LEAD).await;
                assert_eq!((&seen["outcome"], &seen["revenue"]), (&json!(outcome), &revenue), "{stage}");
                assert_eq!(seen["opportunity"]["id"], id);
            }
            // The other side follows; it does not move it.
            assert_eq!(end(&vendor, &id, true, "Proposal", "", &json!({})).await.code(), "FORBIDDEN");
        }
        // A lead without an opportunity has neither.
        let lead = accepted_lead(&world, &partnership).await;
        let seen = read(&vendor, &lead, LEAD).await;
        assert_eq!((&seen["outcome"], &seen["revenue"]), (&Value::Null, &Value::Null));
    }

    async fn every_step_of_the_opportunity_is_live_in_the_other_sides_feed(world: World) {
        const FEED: &str = "subscription { activity { __typename lead { id outcome revenue { amount } }
            ... on OpportunityStageChanged { opportunity { id } from { key } to { key } action reason }
            ... on OpportunityUpdated { opportunity { id } changes { field before after } } } }";
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let (lead, id) = converted_lead(&world, &partnership).await;
        let mut socket = vendor.socket().await;
        let mut feed = socket.subscribe(FEED, json!({})).await;
        end(&partner, &id, true, "Proposal", "", &json!({})).await.ok();
        assert_eq!(feed.next().await["activity"], json!({
            "__typename": "OpportunityStageChanged", "lead": { "id": lead, "outcome": null, "revenue": null },
            "opportunity": { "id": id }, "from": { "key": "qualified" }, "to": { "key": "proposal" },
            "action": "propose", "reason": null
        }));
        partner.mutate("updateOpportunity", json!({ "opportunityId": id, "city": "Linz" }), "__typename").await.ok();
        assert_eq!(feed.next().await["activity"], json!({
            "__typename": "OpportunityUpdated", "lead": { "id": lead, "outcome": null, "revenue": null },
            "opportunity": { "id": id }, "changes": [{ "field": "city", "before": "Graz", "after": "Linz" }]
        }));
        let form = json!({ "value": { "amount": "50000", "currency": "EUR" }, "closeDate": "2026-05-02" });
        end(&partner, &id, false, "Won", "win", &form).await.ok();
        assert_eq!(feed.next().await["activity"], json!({
            "__typename": "OpportunityStageChanged", "lead": { "id": lead, "outcome": "WON", "revenue": { "amount": "50000.00" } },
            "opportunity": { "id": id }, "from": { "key": "proposal" }, "to": { "key": "won" },
            "action": "win", "reason": null
        }));
    }

    async fn an_opportunity_is_created_without_a_lead_and_linked_later(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let money = json!({ "amount": "900.00", "currency": "EUR" });
        let made = deal_of(&partner, json!({ "name": "Forty seats", "value": money })).await;
        assert_eq!((&made["lead"], &made["stage"]["key"], &made["version"]), (&Value::Null, &json!("qualified"), &json!(1)));
        assert_eq!(made["responsible"]["id"], json!(partner.id().await));
        let by_vendor = async || vendor.query("query($id: ID!) { opportunity(id: $id) { id } }", json!({ "id": made["id"] })).await;
        assert_eq!(by_vendor().await.code(), "NOT_FOUND");
        end(&partner, &made["id"], true, "Proposal", "", &json!({})).await.ok();
        let lead = accepted_lead(&world, &partnership).await;
        let input = json!({ "leadId": lead, "opportunityId": made["id"] });
        partner.mutate("convertLead", input, "__typename").await.ok();
        // From then on the other side sees it as it stands.
        by_vendor().await.ok();
        let seen = read(&vendor, &lead, LEAD).await;
        assert_eq!(seen["opportunity"], json!({ "id": made["id"], "stage": { "key": "proposal" } }));
        assert_eq!(deal(&partner, &made["id"]).await["lead"]["id"], json!(lead));
        assert_eq!(deal(&vendor, &made["id"]).await["availableActions"], json!([]));
        // One that has ended is linked with its outcome.
        let old = deal_of(&partner, json!({ "name": "Ten seats" })).await["id"].clone();
        end(&partner, &old, true, "Won", "", &json!({ "value": money, "closeDate": "2026-02-01" })).await.ok();
        let lead = accepted_lead(&world, &partnership).await;
        partner.mutate("convertLead", json!({ "leadId": lead, "opportunityId": old }), "__typename").await.ok();
        let seen = read(&vendor, &lead, LEAD).await;
        assert_eq!((&seen["outcome"], &seen["revenue"]), (&json!("WON"), &money));
    }

    async fn an_opportunity_says_where_the_customer_is_how_matters_stand_and_what_is_sold(world: World) {
        let sales = world.as_("globex", "SALES");
        let made = deal_of(&sales, json!({
            "name": "Forty seats", "city": " Graz ", "currentSituation": "Two suppliers\nare asked", "sellingDirection": "Licences"
        })).await;
        assert_eq!((&made["city"], &made["currentSituation"], &made["sellingDirection"]), (&json!("Graz"), &json!("Two suppliers\nare asked"), &json!("Licences")));
        let update = async |patch: Value| {
            let mut input = patch;
            input["opportunityId"] = made["id"].clone();
            sales.mutate("updateOpportunity", input, &format!("opportunity {{ {DEAL} }}")).await
        };
        let answer = update(json!({ "city": "Linz", "sellingDirection": null })).await.ok();
        let changed = answer.at("/updateOpportunity/opportunity");
        assert_eq!((&changed["city"], &changed["currentSituation"], &changed["sellingDirection"]), (&json!("Linz"), &json!("Two suppliers\nare asked"), &Value::Null));
        let long = "x".repeat(2001);
        let refused = update(json!({ "city": "a\nb", "currentSituation": long, "sellingDirection": long })).await;
        let faults = [("INVALID_INPUT", "input.city"), ("INVALID_INPUT", "input.currentSituation"), ("INVALID_INPUT", "input.sellingDirection")];
        assert_eq!(refused.faults(), faults);
        let refused = sales.mutate("createOpportunity", json!({ "name": "A", "city": "a\nb", "currentSituation": long, "sellingDirection": long }), "__typename").await;
        assert_eq!(refused.faults(), faults);
        // So does one that is created as a lead is converted.
        let partnership = world.partnership("acme", "globex").await;
        let lead = accepted_lead(&world, &partnership).await;
        let input = json!({ "leadId": lead, "opportunity": { "city": "Wels", "currentSituation": "Open", "sellingDirection": "Services" } });
        sales.mutate("convertLead", input, "__typename").await.ok();
        let seen = read(&world.as_("acme", "SALES"), &lead, "opportunity { name city currentSituation sellingDirection }").await;
        assert_eq!(seen["opportunity"], json!({ "name": "Forty seats", "city": "Wels", "currentSituation": "Open", "sellingDirection": "Services" }));
    }

    async fn an_opportunity_starts_from_the_template_that_is_named(world: World) {
        let sales = world.as_("globex", "SALES");
        let made = deal_of(&sales, json!({ "name": "A", "templateKey": "opportunity" })).await;
        assert_eq!(made["stage"]["key"], "qualified");
        for key in ["nothing", "internal-lead", "partner-lead"] {
            let refused = sales.mutate("createOpportunity", json!({ "name": "A", "templateKey": key }), "__typename").await;
            assert_eq!(refused.faults(), [("NOT_FOUND", "input.templateKey")], "{key}");
        }
        let refused = sales.mutate("createLead", json!({ "title": "A", "customer": { "company": "B" }, "templateKey": "opportunity" }), "__typename").await;
        assert_eq!(refused.faults(), [("NOT_FOUND", "input.templateKey")]);
    }
}
