//! A lead that one company processes by itself: the mission's rows C1 to C8, C10 and C11.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::Answer;
use crate::support::leads::{self, QUALIFICATION, offered, perform, qualification, read};
use crate::support::rows::Rows;
use crate::support::world::{Person, World};

/// The roles of people, who work leads.
const PEOPLE: [&str; 4] = ["ADMIN", "SALES", "MARKETEER", "MANAGER"];

const LEAD: &str = "id version active archived reason reasonCode disqualificationCode assignedAt qualifiedAt \
    disqualifiedAt stage { key name kind terminal } owner { id } opportunity { id } \
    availableActions { key } blockedActions { key missing }";

const DEAL: &str = "id name description city currentSituation sellingDirection closeDate value { amount currency } \
    responsible { id } lead { id } stage { key } version";

/// An internal lead of acme, owned by the person who creates it.
async fn lead_of(person: &Person, more: Value) -> String {
    let mut more = more;
    more["templateKey"] = json!("internal-lead");
    leads::lead_of(person, more).await
}

/// The same at the stage Assigned, owned by `owner`, with all that has to be known.
async fn assigned_to(owner: &Person, world: &World) -> String {
    let sales = world.as_("acme", "SALES");
    let lead = lead_of(&sales, json!({ "qualification": qualification() })).await;
    perform(&sales, &lead, "assign", json!({ "owner": owner.id().await })).await.ok();
    lead
}

/// A second member with that role, who owns nothing.
fn another(world: &World, role: &str) -> Person {
    world.person("acme", &format!("acme-{}-2", role.to_lowercase()), &[role])
}

/// What the company's log says of a lead, the oldest first.
async fn told(person: &Person, lead: &str) -> Vec<Value> {
    const TOLD: &str = "query($id: ID!) { lead(id: $id) { activity(first: 100) { edges { node { __typename
        ... on LeadStageChanged { action from { key } to { key } reason }
        ... on LeadUpdated { changes { field before after } }
        ... on LeadOwnerChanged { fromOwner { id } toOwner { id } }
        ... on LeadActionTaken { action name reason } } } } } }";
    let found = person.query(TOLD, json!({ "id": lead })).await.ok();
    found.list_at("/lead/activity/edges").iter().rev().map(|edge| edge["node"].clone()).collect()
}

/// Tries an action by its own mutation and by `performLeadAction`; both are refused alike.
async fn refused_both_ways(person: &Person, mutation: &str, typed: Value, action: &str, fields: Value) -> Answer {
    let by_form = perform(person, typed["leadId"].as_str().expect("an id"), action, fields).await;
    let by_name = person.mutate(mutation, typed, "__typename").await;
    let of = |answer: &Answer, prefix: &str| -> Vec<(String, String)> {
        let own = |(code, at): (&str, &str)| (code.to_owned(), at.replacen(prefix, "", 1));
        answer.faults().into_iter().map(own).collect()
    };
    assert_eq!(of(&by_name, "input."), of(&by_form, "input.fields."), "{}\n{}", by_name.text, by_form.text);
    assert_eq!(by_name.errors.first().map(|it| &it["message"]), by_form.errors.first().map(|it| &it["message"]));
    by_name
}

on_both_databases! {
    async fn c1_an_internal_lead_is_new_assigned_qualified_disqualified_or_dropped(world: World) {
        let sales = world.as_("acme", "SALES");
        let lead = lead_of(&sales, json!({ "qualification": qualification() })).await;
        let new = read(&sales, &lead, LEAD).await;
        assert_eq!(new["stage"], json!({ "key": "new", "name": "New", "kind": "OPEN", "terminal": false }));
        world.clock.advance(TimeDelta::hours(1));
        perform(&sales, &lead, "assign", json!({ "owner": sales.id().await })).await.ok();
        let assigned = read(&sales, &lead, LEAD).await;
        assert_eq!(assigned["stage"], json!({ "key": "assigned", "name": "Assigned", "kind": "ACTIVE", "terminal": false }));
        assert_eq!(assigned["assignedAt"], "2026-03-02T10:00:00.000Z");
        perform(&sales, &lead, "qualify", json!({ "sellingDirection": "Licences" })).await.ok();
        let qualified = read(&sales, &lead, LEAD).await;
        assert_eq!(qualified["stage"], json!({ "key": "qualified", "name": "Qualified", "kind": "WON", "terminal": true }));
        assert_eq!(qualified["qualifiedAt"], "2026-03-02T10:00:00.000Z");
        let other = assigned_to(&sales, &world).await;
        perform(&sales, &other, "disqualify", json!({ "code": "NON_TARGET_CLIENT", "reason": "A school" })).await.ok();
        let disqualified = read(&sales, &other, LEAD).await;
        assert_eq!(disqualified["stage"], json!({ "key": "disqualified", "name": "Disqualified", "kind": "LOST", "terminal": true }));
        assert_eq!(disqualified["disqualifiedAt"], "2026-03-02T10:00:00.000Z");
        // The five states, and no others.
        let refused = sales.mutate("moveLead", json!({ "leadId": other, "stage": "Nowhere" }), "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.stage"));
        assert!(refused.message().ends_with("its stages are new, assigned, qualified, disqualified, dropped."), "{}", refused.message());
        // Nobody else's: to a partner of the company there is no such lead.
        world.partnership("acme", "globex").await;
        let stranger = world.as_("globex", "ADMIN").query("query($id: ID!) { lead(id: $id) { id } }", json!({ "id": lead })).await;
        assert_eq!(stranger.faults(), [("NOT_FOUND", "id")]);
    }

    async fn c2_admin_and_sales_assign_a_new_lead_and_a_marketeer_or_manager_only_as_its_owner(world: World) {
        let heir = world.person("acme", "acme-heir", &["VIEWER"]).id().await;
        let creator = another(&world, "SALES");
        for role in PEOPLE {
            let person = world.as_("acme", role);
            // Somebody else's.
            let lead = lead_of(&creator, json!({})).await;
            let input = json!({ "leadId": lead, "ownerId": heir });
            let fields = json!({ "owner": heir });
            if ["ADMIN", "SALES"].contains(&role) {
                assert!(offered(&person, &lead).await.contains(&"assign".to_owned()));
                person.mutate("assignLead", input, "__typename").await.ok();
            } else {
                assert!(!offered(&person, &lead).await.contains(&"assign".to_owned()));
                let refused = refused_both_ways(&person, "assignLead", input, "assign", fields).await;
                assert_eq!(refused.code(), "FORBIDDEN", "{role}");
                let told = "assign is for the owner alone. Possible for you now: share, deactivate.";
                assert_eq!(refused.message(), told);
                // Nor does it make itself the owner by another way.
                let own = json!({ "leadId": lead, "ownerId": person.id().await });
                assert_eq!(person.mutate("updateLead", own, "__typename").await.code(), "FORBIDDEN", "{role}");
            }
            // Its own.
            let lead = lead_of(&person, json!({})).await;
            assert!(offered(&person, &lead).await.contains(&"assign".to_owned()), "{role}");
            let answer = person.mutate("assignLead", json!({ "leadId": lead, "ownerId": heir }), &format!("lead {{ {LEAD} }}")).await.ok();
            let assigned = answer.at("/assignLead/lead");
            assert_eq!((&assigned["stage"]["key"], &assigned["owner"]["id"]), (&json!("assigned"), &json!(heir)));
            let told = told(&person, &lead).await;
            let [.., moved, named] = told.as_slice() else { panic!("too little is told: {told:?}") };
            assert_eq!((&moved["action"], &moved["to"]["key"]), (&json!("assign"), &json!("assigned")));
            assert_eq!((&named["fromOwner"]["id"], &named["toOwner"]["id"]), (&json!(person.id().await), &json!(heir)));
        }
        let lead = lead_of(&creator, json!({})).await;
        for role in ["VIEWER", "INTEGRATION"] {
            let person = world.as_("acme", role);
            let input = json!({ "leadId": lead, "ownerId": heir });
            let refused = refused_both_ways(&person, "assignLead", input, "assign", json!({ "owner": heir })).await;
            assert_eq!(refused.code(), "FORBIDDEN", "{role}");
        }
        let stranger = world.as_("globex", "ADMIN");
        let input = json!({ "leadId": lead, "ownerId": heir });
        let refused = stranger.mutate("assignLead", input, "__typename").await;
        assert_eq!(refused.faults(), [("NOT_FOUND", "input.leadId")]);
        assert_eq!(perform(&stranger, &lead, "assign", json!({ "owner": heir })).await.code(), "NOT_FOUND");
        // Only in New.
        let lead = assigned_to(&creator, &world).await;
        let input = json!({ "leadId": lead, "ownerId": heir });
        let refused = refused_both_ways(&creator, "assignLead", input, "assign", json!({ "owner": heir })).await;
        assert_eq!((refused.code(), refused.extension("stage")), ("INVALID_TRANSITION", &json!("assigned")));
        assert!(refused.message().contains("Possible for you now: reassign (to Assigned), qualify (to Qualified)"), "{}", refused.message());
    }

    async fn c3_the_same_people_reassign_an_assigned_lead(world: World) {
        let heir = world.person("acme", "acme-heir", &["VIEWER"]).id().await;
        let owner = another(&world, "SALES");
        for role in PEOPLE {
            let person = world.as_("acme", role);
            let lead = assigned_to(&owner, &world).await;
            let input = json!({ "leadId": lead, "ownerId": heir });
            if ["ADMIN", "SALES"].contains(&role) {
                assert!(offered(&person, &lead).await.contains(&"reassign".to_owned()));
                person.mutate("reassignLead", input, "__typename").await.ok();
            } else {
                assert!(!offered(&person, &lead).await.contains(&"reassign".to_owned()));
                let refused = refused_both_ways(&person, "reassignLead", input, "reassign", json!({ "owner": heir })).await;
                assert_eq!(refused.code(), "FORBIDDEN", "{role}");
                let told = "reassign is for the owner alone. Possible for you now: deactivate.";
                assert_eq!(refused.message(), told);
                let own = json!({ "leadId": lead, "ownerId": person.id().await });
                assert_eq!(person.mutate("updateLead", own, "__typename").await.code(), "FORBIDDEN", "{role}");
            }
            let lead = assigned_to(&person, &world).await;
            world.clock.advance(TimeDelta::minutes(1));
            let before = read(&person, &lead, LEAD).await;
            let answer = person.mutate("reassignLead", json!({ "leadId": lead, "ownerId": heir, "expectedVersion": before["version"] }), &format!("lead {{ {LEAD} }}")).await.ok();
            let now = answer.at("/reassignLead/lead");
            assert_eq!((&now["stage"]["key"], &now["owner"]["id"]), (&json!("assigned"), &json!(heir)));
            assert_ne!(now["assignedAt"], before["assignedAt"]);
            let told = told(&person, &lead).await;
            let named = told.last().expect("an event");
            assert_eq!((&named["fromOwner"]["id"], &named["toOwner"]["id"]), (&json!(person.id().await), &json!(heir)));
        }
        let lead = assigned_to(&owner, &world).await;
        for role in ["VIEWER", "INTEGRATION"] {
            let input = json!({ "leadId": lead, "ownerId": heir });
            let refused = refused_both_ways(&world.as_("acme", role), "reassignLead", input, "reassign", json!({ "owner": heir })).await;
            assert_eq!(refused.code(), "FORBIDDEN", "{role}");
        }
        let input = json!({ "leadId": lead, "ownerId": heir });
        let refused = world.as_("globex", "ADMIN").mutate("reassignLead", input, "__typename").await;
        assert_eq!(refused.faults(), [("NOT_FOUND", "input.leadId")]);
        // Only in Assigned.
        let new = lead_of(&owner, json!({})).await;
        let input = json!({ "leadId": new, "ownerId": heir });
        let refused = refused_both_ways(&owner, "reassignLead", input, "reassign", json!({ "owner": heir })).await;
        assert_eq!((refused.code(), refused.extension("stage")), ("INVALID_TRANSITION", &json!("new")));
    }

    async fn c4_the_owner_alone_qualifies_with_any_of_the_four_roles_and_the_link_shows_from_then_on(world: World) {
        for role in PEOPLE {
            let owner = another(&world, role);
            let lead = assigned_to(&owner, &world).await;
            let input = json!({ "leadId": lead, "sellingDirection": "Licences" });
            for other in ["ADMIN", "SALES", "MARKETEER", "MANAGER", "VIEWER", "INTEGRATION"] {
                let person = world.as_("acme", other);
                let refused = refused_both_ways(&person, "qualifyLead", input.clone(), "qualify", json!({ "sellingDirection": "Licences" })).await;
                assert_eq!(refused.code(), "FORBIDDEN", "{other}");
                assert!(!offered(&person, &lead).await.contains(&"qualify".to_owned()));
                let moved = person.mutate("moveLead", json!({ "leadId": lead, "stage": "Qualified" }), "__typename").await;
                assert_eq!(moved.code(), "FORBIDDEN", "{other}");
            }
            let stranger = world.as_("globex", "ADMIN");
            assert_eq!(stranger.mutate("qualifyLead", input.clone(), "__typename").await.faults(), [("NOT_FOUND", "input.leadId")]);
            assert_eq!(read(&owner, &lead, LEAD).await["opportunity"], Value::Null);
            let answer = owner.mutate("qualifyLead", input.clone(), &format!("opportunity {{ {DEAL} }} lead {{ {LEAD} }}")).await.ok();
            let deal = answer.at("/qualifyLead/opportunity");
            assert_eq!(deal["lead"]["id"], json!(lead));
            assert_eq!(deal["stage"]["key"], "qualified");
            assert_eq!(answer.at("/qualifyLead/lead/opportunity/id"), &deal["id"]);
            // For the whole company from then on.
            let seen = read(&world.as_("acme", "VIEWER"), &lead, LEAD).await;
            assert_eq!((&seen["opportunity"]["id"], &seen["stage"]["key"]), (&deal["id"], &json!("qualified")));
            // Once, and only in Assigned.
            let again = refused_both_ways(&owner, "qualifyLead", input, "qualify", json!({ "sellingDirection": "Licences" })).await;
            assert_eq!((again.code(), again.extension("stage")), ("INVALID_TRANSITION", &json!("qualified")));
        }
        // An owner whose roles work no leads qualifies nothing.
        let viewer = world.as_("acme", "VIEWER");
        let lead = assigned_to(&viewer, &world).await;
        assert_eq!(viewer.mutate("qualifyLead", json!({ "leadId": lead, "sellingDirection": "X" }), "__typename").await.code(), "FORBIDDEN");
    }

    async fn c5_before_qualify_the_lead_has_its_owner_and_the_nine_fields(world: World) {
        let sales = world.as_("acme", "SALES");
        let lead = lead_of(&sales, json!({})).await;
        perform(&sales, &lead, "assign", json!({ "owner": sales.id().await })).await.ok();
        let input = json!({ "leadId": lead, "sellingDirection": "Licences" });
        let form = json!({ "sellingDirection": "Licences" });
        // All that is missing comes at once, and is told before anybody tries.
        let paths: Vec<String> = QUALIFICATION.iter().map(|name| format!("qualification.{name}")).collect();
        let at: Vec<String> = paths.iter().map(|path| format!("lead.{path}")).collect();
        let wanted: Vec<_> = at.iter().map(|at| ("REQUIRED", at.as_str())).collect();
        let refused = refused_both_ways(&sales, "qualifyLead", input.clone(), "qualify", form.clone()).await;
        assert_eq!(refused.faults(), wanted);
        assert_eq!(refused.errors[0]["message"], "qualify needs the lead's qualification.goal: fill it in first.");
        let seen = read(&sales, &lead, LEAD).await;
        assert_eq!(seen["blockedActions"], json!([{ "key": "qualify", "missing": paths }]));
        assert_eq!(offered(&sales, &lead).await, ["reassign", "disqualify", "deactivate"]);
        // With what is wrong in the form besides.
        let refused = sales.mutate("qualifyLead", json!({ "leadId": lead, "sellingDirection": " " }), "__typename").await;
        assert_eq!(refused.faults().len(), 10);
        assert_eq!(refused.faults()[0], ("REQUIRED", "input.sellingDirection"));
        // Each by itself.
        let update = async |patch: Value| {
            sales.mutate("updateLead", json!({ "leadId": lead, "qualification": patch }), "lead { qualification { goal channel } }").await.ok()
        };
        update(qualification()).await;
        assert!(offered(&sales, &lead).await.contains(&"qualify".to_owned()));
        for name in QUALIFICATION {
            for empty in [Value::Null, json!("  ")] {
                update(json!({ (name): empty })).await;
                let seen = read(&sales, &lead, LEAD).await;
                assert_eq!(seen["blockedActions"], json!([{ "key": "qualify", "missing": [format!("qualification.{name}")] }]));
                assert!(!offered(&sales, &lead).await.contains(&"qualify".to_owned()));
                let refused = refused_both_ways(&sales, "qualifyLead", input.clone(), "qualify", form.clone()).await;
                assert_eq!(refused.faults(), [("REQUIRED", format!("lead.qualification.{name}").as_str())]);
                update(json!({ (name): "Known" })).await;
            }
        }
        assert_eq!(read(&sales, &lead, LEAD).await["blockedActions"], json!([]));
        // What blocks the owner is none of the others' business.
        update(json!({ "goal": null })).await;
        for role in ["ADMIN", "MANAGER", "VIEWER"] {
            assert_eq!(read(&world.as_("acme", role), &lead, LEAD).await["blockedActions"], json!([]), "{role}");
        }
        update(json!({ "goal": "Fewer tickets" })).await;
        // Without an owner nobody qualifies it.
        sales.mutate("updateLead", json!({ "leadId": lead, "ownerId": null }), "__typename").await.ok();
        assert_eq!(sales.mutate("qualifyLead", input.clone(), "__typename").await.code(), "FORBIDDEN");
        perform(&sales, &lead, "reassign", json!({ "owner": sales.id().await })).await.ok();
        sales.mutate("qualifyLead", input, "__typename").await.ok();
    }

    async fn c6_the_form_of_qualify_is_filled_in_from_the_lead_and_the_opportunity_has_it_all(world: World) {
        const FORM: &str = "availableActions { key toStage { key } fields { key label type required default readOnly } }";
        let owner = world.as_("acme", "MANAGER");
        let me = owner.id().await;
        let lead = assigned_to(&owner, &world).await;
        let seen = read(&owner, &lead, FORM).await;
        let qualify = seen["availableActions"].as_array().expect("a list").iter().find(|it| it["key"] == "qualify").expect("it is offered").clone();
        assert_eq!(qualify["toStage"]["key"], "qualified");
        let field = |key: &str, label: &str, ty: &str, required: bool, default: Value, read_only: bool| {
            json!({ "key": key, "label": label, "type": ty, "required": required, "default": default, "readOnly": read_only })
        };
        assert_eq!(qualify["fields"], json!([
            field("name", "Name", "TEXT", true, json!("Forty seats"), false),
            field("responsible", "Responsible", "MEMBER", true, json!(me), false),
            field("city", "City", "TEXT", true, json!("Graz"), false),
            field("currentSituation", "Current situation", "LONG_TEXT", false, Value::Null, false),
            field("estimatedRevenue", "Estimated revenue", "MONEY", false, Value::Null, false),
            field("estimatedCloseDate", "Estimated close date", "DATE", false, Value::Null, false),
            field("sellingDirection", "Selling direction", "TEXT", true, Value::Null, false),
            field("originatingLead", "Originating lead", "LEAD", false, json!(lead), true),
            field("description", "Description", "LONG_TEXT", false, Value::Null, false),
        ]));
        // What is left out is taken from the lead.
        let answer = owner.mutate("qualifyLead", json!({ "leadId": lead, "sellingDirection": "Licences" }), &format!("opportunity {{ {DEAL} }}")).await.ok();
        let mut deal = answer.at("/qualifyLead/opportunity").clone();
        let id = deal["id"].take();
        assert_eq!(deal, json!({
            "id": null, "name": "Forty seats", "description": null, "city": "Graz", "currentSituation": null,
            "sellingDirection": "Licences", "closeDate": null, "value": null, "responsible": { "id": me },
            "lead": { "id": lead }, "stage": { "key": "qualified" }, "version": 1
        }));
        // Everything edited, by the typed mutation and by the form, comes to the same.
        let colleague = world.as_("acme", "SALES").id().await;
        let money = json!({ "amount": "48000.50", "currency": "EUR" });
        let texts = json!({
            "name": "Forty seats for Initrode", "city": "Linz", "currentSituation": "Two suppliers\nare asked",
            "estimatedRevenue": money, "estimatedCloseDate": "2026-06-30", "sellingDirection": "Services",
            "description": "Migration and support"
        });
        let lead = assigned_to(&owner, &world).await;
        let mut typed = texts.clone();
        typed["leadId"] = json!(lead);
        typed["responsibleId"] = json!(colleague);
        let answer = owner.mutate("qualifyLead", typed, &format!("opportunity {{ {DEAL} }}")).await.ok();
        let by_name = answer.at("/qualifyLead/opportunity").clone();
        let second = assigned_to(&owner, &world).await;
        let mut form = texts;
        form["responsible"] = json!(colleague);
        form["originatingLead"] = json!(second);
        perform(&owner, &second, "qualify", form).await.ok();
        let by_form = read(&owner, &second, &format!("opportunity {{ {DEAL} }}")).await["opportunity"].clone();
        for (deal, lead) in [(&by_name, &lead), (&by_form, &second)] {
            let mut deal = deal.clone();
            assert_ne!(deal["id"].take(), id);
            assert_eq!(deal, json!({
                "id": null, "name": "Forty seats for Initrode", "description": "Migration and support", "city": "Linz",
                "currentSituation": "Two suppliers\nare asked", "sellingDirection": "Services", "closeDate": "2026-06-30",
                "value": money, "responsible": { "id": colleague }, "lead": { "id": lead },
                "stage": { "key": "qualified" }, "version": 1
            }));
        }
    }

    async fn c6_a_form_of_qualify_with_faults_is_refused_with_all_of_them_at_once(world: World) {
        let owner = world.as_("acme", "SALES");
        let lead = assigned_to(&owner, &world).await;
        let stranger = world.as_("globex", "SALES").id().await;
        let other = assigned_to(&owner, &world).await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let refused = perform(&owner, &lead, "qualify", json!({
            "colour": "red", "name": null, "responsible": 7, "city": "", "currentSituation": 5,
            "estimatedRevenue": { "amount": "1.234", "currency": "EUR" }, "estimatedCloseDate": "30.06.2026",
            "originatingLead": other, "description": true
        })).await;
        assert_eq!(refused.faults(), [
            ("INVALID_INPUT", "input.fields.colour"),
            ("REQUIRED", "input.fields.name"),
            ("INVALID_INPUT", "input.fields.responsible"),
            ("REQUIRED", "input.fields.city"),
            ("INVALID_INPUT", "input.fields.currentSituation"),
            ("INVALID_INPUT", "input.fields.estimatedRevenue.amount"),
            ("INVALID_INPUT", "input.fields.estimatedCloseDate"),
            ("REQUIRED", "input.fields.sellingDirection"),
            ("INVALID_INPUT", "input.fields.originatingLead"),
            ("INVALID_INPUT", "input.fields.description"),
        ]);
        // A member of another company is no member.
        let input = json!({ "leadId": lead, "sellingDirection": "Licences", "responsibleId": stranger });
        let refused = owner.mutate("qualifyLead", input, "__typename").await;
        assert_eq!(refused.faults(), [("NOT_FOUND", "input.responsibleId")]);
        // By name as by form, what is null is empty, and what has a default must not be.
        let empty = json!({ "leadId": lead, "sellingDirection": null, "name": null, "responsibleId": null, "city": null });
        let refused = owner.mutate("qualifyLead", empty, "__typename").await;
        let wanted = ["input.name", "input.responsibleId", "input.city", "input.sellingDirection"].map(|at| ("REQUIRED", at));
        assert_eq!(refused.faults(), wanted);
        let refused = owner.mutate("reassignLead", json!({ "leadId": lead, "ownerId": stranger }), "__typename").await;
        assert_eq!(refused.faults(), [("NOT_FOUND", "input.ownerId")]);
        let refused = perform(&owner, &lead, "qualify", json!({ "sellingDirection": "Licences", "responsible": stranger })).await;
        assert_eq!(refused.faults(), [("NOT_FOUND", "input.fields.responsible")]);
        let refused = perform(&owner, &lead, "qualify", json!({ "sellingDirection": "Licences", "responsible": lead })).await;
        assert_eq!(refused.faults(), [("INVALID_INPUT", "input.fields.responsible")]);
        for owner_id in [json!(stranger), json!(lead), json!("x")] {
            let refused = perform(&owner, &lead, "reassign", json!({ "owner": owner_id })).await;
            let code = if owner_id == json!(stranger) { "NOT_FOUND" } else { "INVALID_INPUT" };
            assert_eq!(refused.faults(), [(code, "input.fields.owner")]);
        }
        // No form at all where one is needed, and one that is none.
        assert_eq!(perform(&owner, &lead, "reassign", Value::Null).await.faults(), [("REQUIRED", "input.fields.owner")]);
        assert_eq!(perform(&owner, &lead, "reassign", json!([])).await.faults(), [("INVALID_INPUT", "input.fields")]);
        let refused = perform(&owner, &lead, "deactivate", json!({ "why": "x" })).await;
        assert_eq!(refused.faults(), [("INVALID_INPUT", "input.fields.why")]);
        // A move has no form for these: it says what is missing, as the actions do.
        for (stage, action, missing) in [("Qualified", "qualify", "sellingDirection"), ("Disqualified", "disqualify", "code")] {
            let refused = owner.mutate("moveLead", json!({ "leadId": lead, "stage": stage, "reason": null }), "__typename").await;
            assert_eq!(refused.faults()[0], ("REQUIRED", "input.stage"), "{}", refused.text);
            let where_then = format!("use performLeadAction with the action {action}, and give it at input.fields.{missing}.");
            assert!(refused.text.contains(&where_then), "{}", refused.text);
        }
        rows.unchanged_since(&before, "a refused form").await;
        // A lead without a city has none to fill in.
        let sales = world.as_("acme", "SALES");
        let bare = lead_of(&sales, json!({ "customer": { "company": "Initrode" }, "qualification": qualification() })).await;
        perform(&sales, &bare, "assign", json!({ "owner": sales.id().await })).await.ok();
        let refused = sales.mutate("qualifyLead", json!({ "leadId": bare, "sellingDirection": "Licences" }), "__typename").await;
        assert_eq!(refused.faults(), [("REQUIRED", "input.city")]);
    }

    async fn c7_the_owner_alone_disqualifies_with_a_code_and_a_reason(world: World) {
        const FORM: &str = "availableActions { key fields { key type required options choices { value label } requiredWhen { field oneOf } } }";
        let codes = ["NON_TARGET_CLIENT", "DEMAND_NOT_GENERATED", "NON_COMMERCIAL_INTEREST", "IMPOSSIBLE_TO_CONTACT"];
        let labels = ["Non-target client", "Demand is not generated", "Non-commercial interest", "Impossible to contact"];
        for (role, code) in PEOPLE.into_iter().zip(codes) {
            let owner = another(&world, role);
            let lead = assigned_to(&owner, &world).await;
            let mut input = json!({ "leadId": lead, "code": code, "reason": "They said so" });
            let mut form = json!({ "code": code, "reason": "They said so" });
            if code == "DEMAND_NOT_GENERATED" {
                input["sellingDirection"] = json!("Licences");
                form["sellingDirection"] = json!("Licences");
            }
            for other in ["ADMIN", "SALES", "MARKETEER", "MANAGER", "VIEWER", "INTEGRATION"] {
                let person = world.as_("acme", other);
                let refused = refused_both_ways(&person, "disqualifyLead", input.clone(), "disqualify", form.clone()).await;
                assert_eq!(refused.code(), "FORBIDDEN", "{other}");
                assert!(!offered(&person, &lead).await.contains(&"disqualify".to_owned()));
            }
            let stranger = world.as_("globex", "ADMIN");
            assert_eq!(stranger.mutate("disqualifyLead", input.clone(), "__typename").await.faults(), [("NOT_FOUND", "input.leadId")]);
            let seen = read(&owner, &lead, FORM).await;
            let offered = seen["availableActions"].as_array().expect("a list").iter().find(|it| it["key"] == "disqualify").expect("it is offered");
            let choices: Vec<_> = codes.iter().zip(labels).map(|(value, label)| json!({ "value": value, "label": label })).collect();
            assert_eq!(offered["fields"][0], json!({ "key": "code", "type": "CHOICE", "required": true, "options": codes, "choices": choices, "requiredWhen": null }));
            assert_eq!((&offered["fields"][1]["key"], &offered["fields"][1]["required"]), (&json!("reason"), &json!(true)));
            let answer = owner.mutate("disqualifyLead", input.clone(), &format!("lead {{ {LEAD} }} opportunity {{ id }}")).await.ok();
            let lead = answer.at("/disqualifyLead/lead");
            assert_eq!((&lead["disqualificationCode"], &lead["reasonCode"]), (&json!(code), &json!(code)));
            assert_eq!((&lead["reason"], &lead["stage"]["key"]), (&json!("They said so"), &json!("disqualified")));
            assert_eq!(answer.at("/disqualifyLead/opportunity").is_null(), code != "DEMAND_NOT_GENERATED");
            let again = owner.mutate("disqualifyLead", input, "__typename").await;
            assert_eq!((again.code(), again.extension("stage")), ("INVALID_TRANSITION", &json!("disqualified")));
        }
        let owner = world.as_("acme", "SALES");
        let lead = assigned_to(&owner, &world).await;
        // An unknown code is no value of the enum, and no option of the form.
        let unknown = json!({ "leadId": lead, "code": "TOO_EXPENSIVE", "reason": "x" });
        let refused = owner.mutate("disqualifyLead", unknown, "__typename").await;
        assert!(!refused.errors.is_empty() && refused.data.is_null(), "{}", refused.text);
        let refused = perform(&owner, &lead, "disqualify", json!({ "code": "TOO_EXPENSIVE", "reason": " " })).await;
        assert_eq!(refused.faults(), [("INVALID_INPUT", "input.fields.code"), ("REQUIRED", "input.fields.reason")]);
        assert!(refused.errors[0]["message"].as_str().expect("a text").contains("NON_TARGET_CLIENT, DEMAND_NOT_GENERATED, "));
        let refused = perform(&owner, &lead, "disqualify", json!({ "code": null })).await;
        assert_eq!(refused.faults(), [("REQUIRED", "input.fields.code"), ("REQUIRED", "input.fields.reason")]);
        let new = lead_of(&owner, json!({})).await;
        let refused = perform(&owner, &new, "disqualify", json!({ "code": "NON_TARGET_CLIENT", "reason": "x" })).await;
        assert_eq!((refused.code(), refused.extension("stage")), ("INVALID_TRANSITION", &json!("new")));
    }

    async fn c8_where_demand_is_not_generated_an_opportunity_goes_on_and_what_qualify_requires_is_mandatory(world: World) {
        let owner = world.as_("acme", "SALES");
        let lead = lead_of(&owner, json!({})).await;
        perform(&owner, &lead, "assign", json!({ "owner": owner.id().await })).await.ok();
        let input = |code: &str| json!({ "leadId": lead, "code": code, "reason": "Next year perhaps" });
        let form = |code: &str| json!({ "code": code, "reason": "Next year perhaps" });
        let refused = refused_both_ways(&owner, "disqualifyLead", input("DEMAND_NOT_GENERATED"), "disqualify", form("DEMAND_NOT_GENERATED")).await;
        let mut wanted = vec![("REQUIRED".to_owned(), "input.sellingDirection".to_owned())];
        wanted.extend(QUALIFICATION.iter().map(|name| ("REQUIRED".to_owned(), format!("lead.qualification.{name}"))));
        let found: Vec<_> = refused.faults().into_iter().map(|(code, at)| (code.to_owned(), at.to_owned())).collect();
        assert_eq!(found, wanted);
        // It is offered all the same, as the other codes need none of that.
        assert!(offered(&owner, &lead).await.contains(&"disqualify".to_owned()));
        for name in QUALIFICATION {
            let mut known = qualification();
            known[name] = Value::Null;
            owner.mutate("updateLead", json!({ "leadId": lead, "qualification": known }), "__typename").await.ok();
            let mut input = input("DEMAND_NOT_GENERATED");
            input["sellingDirection"] = json!("Licences");
            let refused = owner.mutate("disqualifyLead", input, "__typename").await;
            assert_eq!(refused.faults(), [("REQUIRED", format!("lead.qualification.{name}").as_str())]);
        }
        owner.mutate("updateLead", json!({ "leadId": lead, "qualification": qualification() }), "__typename").await.ok();
        let mut given = input("DEMAND_NOT_GENERATED");
        given["sellingDirection"] = json!("Licences");
        given["estimatedRevenue"] = json!({ "amount": "900", "currency": "EUR" });
        given["currentSituation"] = json!("No budget yet");
        let answer = owner.mutate("disqualifyLead", given, &format!("opportunity {{ {DEAL} }} lead {{ {LEAD} }}")).await.ok();
        let deal = answer.at("/disqualifyLead/opportunity");
        assert_eq!((&deal["name"], &deal["city"], &deal["sellingDirection"]), (&json!("Forty seats"), &json!("Graz"), &json!("Licences")));
        assert_eq!((&deal["currentSituation"], &deal["value"]["amount"]), (&json!("No budget yet"), &json!("900.00")));
        assert_eq!((&deal["responsible"]["id"], &deal["lead"]["id"]), (&json!(owner.id().await), &json!(lead)));
        assert_eq!(answer.at("/disqualifyLead/lead/opportunity/id"), &deal["id"]);
        assert_eq!(answer.at("/disqualifyLead/lead/stage/key"), "disqualified");
        // With any other code nothing of that is asked for, and nothing is created.
        let bare = lead_of(&owner, json!({ "customer": { "company": "Initrode" } })).await;
        perform(&owner, &bare, "assign", json!({ "owner": owner.id().await })).await.ok();
        let other = json!({ "leadId": bare, "code": "IMPOSSIBLE_TO_CONTACT", "reason": "No answer" });
        let answer = owner.mutate("disqualifyLead", other, "opportunity { id } lead { opportunity { id } }").await.ok();
        assert_eq!(answer.at("/disqualifyLead"), &json!({ "opportunity": null, "lead": { "opportunity": null } }));
    }

    async fn c10_a_deactivated_lead_is_hidden_and_read_only_until_it_is_activated(world: World) {
        const LIST: &str = "query($filter: LeadFilter) { leads(filter: $filter) { edges { node { id } } } }";
        let partnership = world.partnership("acme", "globex").await;
        let sales = world.as_("acme", "SALES");
        let heir = world.as_("acme", "MANAGER").id().await;
        let lead = assigned_to(&sales, &world).await;
        let qualified = assigned_to(&sales, &world).await;
        let answer = sales.mutate("qualifyLead", json!({ "leadId": qualified, "sellingDirection": "Licences" }), &format!("opportunity {{ {DEAL} }}")).await.ok();
        let deal = answer.at("/qualifyLead/opportunity").clone();
        let list = sales.mutate("createMarketingList", json!({ "name": "Fair" }), "list { id }").await.ok();
        let list = list.text_at("/createMarketingList/list/id").to_owned();
        let comment = sales.mutate("addComment", json!({ "leadId": lead, "body": "Call them" }), "comment { id }").await.ok();
        let comment = comment.text_at("/addComment/comment/id").to_owned();
        let task = sales.mutate("createTask", json!({ "leadId": lead, "title": "Call them" }), "task { id }").await.ok();
        let task = task.text_at("/createTask/task/id").to_owned();

        for role in ["VIEWER", "INTEGRATION"] {
            let input = json!({ "leadId": lead });
            let refused = refused_both_ways(&world.as_("acme", role), "deactivateLead", input, "deactivate", json!({})).await;
            assert_eq!(refused.code(), "FORBIDDEN");
        }
        let early = refused_both_ways(&sales, "activateLead", json!({ "leadId": lead }), "activate", json!({})).await;
        assert_eq!(early.code(), "INVALID_TRANSITION");
        assert!(early.message().starts_with("It is active already. Possible for you now: "), "{}", early.message());
        assert!(!offered(&sales, &lead).await.contains(&"activate".to_owned()));

        for id in [&lead, &qualified] {
            let answer = sales.mutate("deactivateLead", json!({ "leadId": id }), &format!("lead {{ {LEAD} }}")).await.ok();
            assert_eq!(answer.at("/deactivateLead/lead/active"), &json!(false));
        }
        // Hidden from the default list, found by who asks for it.
        assert!(sales.query(LIST, json!({})).await.ok().list_at("/leads/edges").is_empty());
        let inactive = sales.query(LIST, json!({ "filter": { "active": false } })).await.ok();
        assert_eq!(inactive.list_at("/leads/edges").len(), 2);
        // Where it stood, it stands; whoever has its id still reads it.
        let seen = read(&sales, &lead, LEAD).await;
        assert_eq!((&seen["stage"]["key"], &seen["active"]), (&json!("assigned"), &json!(false)));
        assert_eq!(offered(&sales, &lead).await, ["activate"]);
        assert_eq!(told(&sales, &lead).await.last().expect("an event")["changes"], json!([{ "field": "active", "before": "true", "after": "false" }]));

        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let of_lead = json!({ "leadId": lead });
        let with = |more: Value| {
            let mut input = of_lead.clone();
            for (key, value) in more.as_object().expect("an object") {
                input[key] = value.clone();
            }
            input
        };
        for (mutation, input) in [
            ("updateLead", with(json!({ "title": "Fifty seats" }))),
            ("updateLead", with(json!({ "ownerId": heir }))),
            ("updateLead", with(json!({ "qualification": { "goal": "Another" } }))),
            ("updateLead", with(json!({ "externalReference": { "system": "CRM", "id": "1" } }))),
            ("addComment", with(json!({ "body": "More" }))),
            ("editComment", json!({ "commentId": comment, "body": "Less" })),
            ("removeComment", json!({ "commentId": comment })),
            ("createTask", with(json!({ "title": "More" }))),
            ("updateTask", json!({ "taskId": task, "title": "Less" })),
            ("completeTask", json!({ "taskId": task })),
            ("cancelTask", json!({ "taskId": task })),
            ("assignLead", with(json!({ "ownerId": heir }))),
            ("reassignLead", with(json!({ "ownerId": heir }))),
            ("qualifyLead", with(json!({ "sellingDirection": "Licences" }))),
            ("disqualifyLead", with(json!({ "code": "NON_TARGET_CLIENT", "reason": "x" }))),
            ("deactivateLead", of_lead.clone()),
            ("shareLead", with(json!({ "partnershipId": partnership }))),
            ("shareLead", json!({ "leadId": qualified, "partnershipId": partnership })),
            ("moveLead", with(json!({ "stage": "Qualified" }))),
            ("moveLead", with(json!({ "stage": "Disqualified", "reason": "x" }))),
            ("performLeadAction", with(json!({ "action": "reassign", "fields": { "owner": heir } }))),
            ("performLeadAction", with(json!({ "action": "share", "fields": { "partnershipId": partnership } }))),
            ("addToMarketingList", with(json!({ "listId": list }))),
        ] {
            let refused = sales.mutate(mutation, input, "__typename").await;
            assert_eq!(refused.code(), "LEAD_INACTIVE", "{mutation}");
            let stage = refused.extension("stage");
            assert!(mutation == "addToMarketingList" || !stage.is_null(), "{mutation} {}", refused.text);
        }
        rows.unchanged_since(&before, "a call on a deactivated lead").await;

        // The opportunity is not touched: it goes on.
        let document = format!("query($id: ID!) {{ opportunity(id: $id) {{ {DEAL} }} }}");
        assert_eq!(sales.query(&document, json!({ "id": deal["id"] })).await.ok().at("/opportunity"), &deal);
        sales.mutate("moveOpportunity", json!({ "opportunityId": deal["id"], "stage": "Proposal" }), "__typename").await.ok();

        // By each of the four roles, whoever owns it, and by nobody else.
        for role in PEOPLE {
            let person = another(&world, role);
            for other in ["VIEWER", "INTEGRATION"] {
                let refused = refused_both_ways(&world.as_("acme", other), "activateLead", json!({ "leadId": lead }), "activate", json!({})).await;
                assert_eq!(refused.code(), "FORBIDDEN");
            }
            let refused = world.as_("globex", "ADMIN").mutate("activateLead", json!({ "leadId": lead }), "__typename").await;
            assert_eq!(refused.faults(), [("NOT_FOUND", "input.leadId")]);
            let answer = person.mutate("activateLead", json!({ "leadId": lead }), &format!("lead {{ {LEAD} }}")).await.ok();
            let active = answer.at("/activateLead/lead");
            assert_eq!((&active["active"], &active["stage"]["key"]), (&json!(true), &json!("assigned")), "{role}");
            assert_eq!(sales.query(LIST, json!({})).await.ok().list_at("/leads/edges").len(), 1);
            perform(&person, &lead, "deactivate", json!({})).await.ok();
        }
        perform(&sales, &lead, "activate", json!({})).await.ok();
        sales.mutate("qualifyLead", json!({ "leadId": lead, "sellingDirection": "Licences" }), "__typename").await.ok();
        // A shared lead is never deactivated.
        let shared = world.shared_lead("acme", &partnership, "Ten seats").await;
        let refused = sales.mutate("deactivateLead", json!({ "leadId": shared }), "__typename").await;
        assert_eq!(refused.code(), "INVALID_TRANSITION");
    }

    async fn c11_dropped_has_no_way_in_that_is_built_in(world: World) {
        let sales = world.as_("acme", "SALES");
        let new = lead_of(&sales, json!({})).await;
        let assigned = assigned_to(&sales, &world).await;
        let qualified = assigned_to(&sales, &world).await;
        perform(&sales, &qualified, "qualify", json!({ "sellingDirection": "Licences" })).await.ok();
        for (lead, possible) in [
            (&new, "Possible for you now: assign (to Assigned), share, deactivate."),
            (&assigned, "Possible for you now: reassign (to Assigned), qualify (to Qualified), disqualify (to Disqualified), deactivate."),
            (&qualified, "Possible for you now: share, deactivate."),
        ] {
            let seen = read(&sales, lead, "availableActions { toStage { key } }").await;
            let leads_there = |action: &Value| action["toStage"]["key"] == "dropped";
            assert!(!seen["availableActions"].as_array().expect("a list").iter().any(leads_there));
            for text in ["Dropped", "dropped", "DROPPED"] {
                let refused = sales.mutate("moveLead", json!({ "leadId": lead, "stage": text }), "__typename").await;
                assert_eq!(refused.code(), "INVALID_TRANSITION");
                assert!(refused.message().starts_with("No action leads to Dropped at the stage "), "{}", refused.message());
                assert!(refused.message().ends_with(possible), "{}", refused.message());
            }
            let refused = perform(&sales, lead, "drop", json!({})).await;
            assert_eq!(refused.code(), "INVALID_TRANSITION");
            assert!(refused.message().ends_with(possible), "{}", refused.message());
        }
    }
}
