//! A company is told which of its leads look like the same customer, and of nobody else's.
//!
//! acme is the vendor; globex and initech submit leads to it.

use chrono::TimeDelta;
use cosell::domain::global_id::decode;
use cosell::domain::id::{CompanyId, LeadId};
use cosell::store::duplicate::statement;
use cosell::store::scope::Scope;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::{Database, Kind};
use crate::support::rows::Rows;
use crate::support::world::{Person, World};

const CANDIDATES: &str = "lead { id } score reasons cameFirst";
const PROTECTED: &str = "lead { id } cameFirst protectedUntil";

/// What a company's log says of duplicates, the newest first: of which lead, and the candidates.
async fn told(person: &Person) -> Vec<(String, Value)> {
    let document = format!(
        "{{ activity(first: 100, filter: {{ kind: [LEAD_DUPLICATES_FOUND] }}) {{ edges {{ node {{ __typename lead {{ id }} \
         actor {{ __typename }} ... on LeadDuplicatesFound {{ candidates {{ {CANDIDATES} }} }} }} }} }} }}"
    );
    let answer = person.query(&document, json!({})).await.ok();
    let edges = answer.list_at("/activity/edges").iter().map(|edge| {
        let node = &edge["node"];
        assert_eq!(node["__typename"], "LeadDuplicatesFound");
        assert_eq!(node["actor"]["__typename"], "SystemActor", "it is the server that finds them");
        (node["lead"]["id"].as_str().expect("an id").to_owned(), node["candidates"].clone())
    });
    edges.collect()
}

/// The candidates of a lead as they are now.
async fn duplicates(person: &Person, lead: &str) -> Value {
    let document = format!("query($id: ID!) {{ lead(id: $id) {{ possibleDuplicates {{ {CANDIDATES} }} }} }}");
    let answer = person.query(&document, json!({ "id": lead })).await.ok();
    answer.at("/lead/possibleDuplicates").clone()
}

/// Creates a lead about that customer; shared at once where a partnership is given.
async fn lead_about(person: &Person, partnership: Option<&str>, customer: Value) -> String {
    let mut input = json!({ "title": "Forty seats", "customer": customer });
    if let Some(partnership) = partnership {
        input["partnershipId"] = partnership.into();
    }
    let created = person.mutate("createLead", input, "lead { id }").await.ok();
    created.text_at("/createLead/lead/id").to_owned()
}

fn candidate(lead: &str, score: u8, reasons: &[&str], came_first: bool) -> Value {
    json!({ "lead": { "id": lead }, "score": score, "reasons": reasons, "cameFirst": came_first })
}

const ALL_REASONS: [&str; 4] = ["COMPANY_NAME", "WEB_DOMAIN", "EMAIL", "PHONE"];

on_both_databases! {
    async fn the_vendor_is_told_who_came_first_and_why_and_the_partners_nothing(world: World) {
        let (vendor, globex, initech) =
            (world.as_("acme", "SALES"), world.as_("globex", "SALES"), world.as_("initech", "SALES"));
        let first_partner = world.partnership("acme", "globex").await;
        let second_partner = world.partnership("acme", "initech").await;
        let first = lead_about(&globex, Some(&first_partner), json!({
            "company": "Müller Söhne GmbH & Co. KG", "website": "https://www.mueller-soehne.de/kontakt",
            "address": { "country": "DE" },
            "contact": { "email": "Jutta.Mueller@Mueller-Soehne.de", "phone": "030 123456" },
        })).await;
        assert_eq!(told(&vendor).await, [], "there was nothing to be like");
        world.clock.advance(TimeDelta::minutes(1));
        let second = lead_about(&initech, Some(&second_partner), json!({
            "company": "MULLER  & SOHNE", "website": "http://mueller-soehne.de",
            "contact": { "email": "jutta.mueller@mueller-soehne.de", "phone": "+49 (0)30 12 34 56" },
        })).await;
        world.clock.advance(TimeDelta::minutes(1));
        let third = lead_about(&initech, Some(&second_partner), json!({
            "company": "Another name altogether", "contact": { "phone": "+49 30 123456" },
        })).await;

        let earlier = candidate(&first, 100, &ALL_REASONS, true);
        let by_phone = json!([candidate(&first, 40, &["PHONE"], true), candidate(&second, 40, &["PHONE"], true)]);
        assert_eq!(told(&vendor).await, [(third.clone(), by_phone.clone()), (second.clone(), json!([earlier]))]);
        // And on the leads, from both ends.
        let from_the_first = json!([candidate(&second, 100, &ALL_REASONS, false), candidate(&third, 40, &["PHONE"], false)]);
        assert_eq!(duplicates(&vendor, &first).await, from_the_first);
        let from_the_second = json!([earlier, candidate(&third, 40, &["PHONE"], false)]);
        assert_eq!(duplicates(&vendor, &second).await, from_the_second);
        assert_eq!(duplicates(&vendor, &third).await, by_phone);
        // Any role of the company is told; it reads its own leads.
        assert_eq!(told(&world.as_("acme", "VIEWER")).await.len(), 2);

        // globex has one lead and learns nothing; initech learns of its own two alone.
        assert_eq!(told(&globex).await, []);
        assert_eq!(duplicates(&globex, &first).await, json!([]));
        let own = json!([candidate(&second, 40, &["PHONE"], true)]);
        assert_eq!(told(&initech).await, [(third.clone(), own.clone())]);
        assert_eq!(duplicates(&initech, &third).await, own);
        assert_eq!(duplicates(&initech, &second).await, json!([candidate(&third, 40, &["PHONE"], false)]));
        for partner in [&globex, &initech] {
            let log = "{ activity(first: 100) { edges { node { __typename lead { id possibleDuplicates { lead { id } } } } } } }";
            let log = partner.query(log, json!({})).await.ok();
            let foreign: &[&String] = if log.text.contains(&first) { &[&second, &third] } else { &[&first] };
            assert!(foreign.iter().all(|id| !log.text.contains(id.as_str())), "{}", log.text);
        }
    }

    async fn a_partner_gets_the_same_answers_whether_or_not_the_vendor_knows_the_customer(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        // The first calls of each find their company and member, which are kept from then on.
        lead_about(&vendor, None, json!({ "company": "Before" })).await;
        lead_about(&partner, Some(&partnership), json!({ "company": "Another before" })).await;
        let mut fewest = [u64::MAX; 2];
        // The least of some: a job may have sent one of its own meanwhile.
        for round in 0..4 {
            lead_about(&vendor, None, json!({ "company": format!("Known {round} Ltd") })).await;
            let mut answers = Vec::new();
            for (name, fewest) in ["Known", "Unheard-of"].into_iter().zip(&mut fewest) {
                let customer = json!({ "company": format!("{name} {round} Ltd") });
                let input = json!({ "title": "x", "customer": customer, "partnershipId": partnership });
                let statements = world.server().service().db().statements();
                let created = partner.mutate("createLead", input, "lead { id possibleDuplicates { score } }").await.ok();
                *fewest = (*fewest).min(world.server().service().db().statements() - statements);
                let id = created.text_at("/createLead/lead/id").to_owned();
                let log = "query($id: ID!) { lead(id: $id) { version activity { edges { node { __typename } } } } }";
                let log = partner.query(log, json!({ "id": id })).await.ok();
                answers.push((created.text.replace(&id, ""), log.text));
            }
            assert_eq!(answers[0], answers[1]);
        }
        assert_eq!(fewest[0], fewest[1], "as many statements, so that no time tells");
        assert_eq!(told(&vendor).await.len(), 4);
    }

    async fn a_subscriber_of_the_vendor_is_told_and_one_of_the_partner_is_not(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        lead_about(&vendor, None, json!({ "company": "Initrode" })).await;
        let document = "subscription { activity { __typename } }";
        let (mut socket, mut others) = (vendor.socket().await, partner.socket().await);
        let mut own = socket.subscribe(document, json!({})).await;
        let mut other = others.subscribe(document, json!({})).await;
        lead_about(&partner, Some(&partnership), json!({ "company": "Initrode Inc." })).await;
        while own.next().await["activity"]["__typename"] != "LeadDuplicatesFound" {}
        let marker = partner.mutate("createLead", json!({ "title": "y", "customer": { "company": "Other" } }), "lead { id }");
        let mut seen = Vec::new();
        marker.await.ok();
        // Its lead and its passing, and then the marker; nothing between.
        while seen.iter().filter(|name| *name == "LeadCreated").count() < 2 {
            seen.push(other.next().await["activity"]["__typename"].as_str().expect("a name").to_owned());
        }
        assert!(!seen.contains(&"LeadDuplicatesFound".to_owned()), "{seen:?}");
    }

    async fn of_two_leads_that_come_at_once_the_one_is_found_by_the_other(world: World) {
        let first = world.partnership("acme", "globex").await;
        let second = world.partnership("acme", "initech").await;
        let (globex, initech) = (world.as_("globex", "SALES"), world.as_("initech", "SALES"));
        for round in 0..8 {
            let customer = json!({ "company": format!("Customer {round}") });
            tokio::join!(
                lead_about(&globex, Some(&first), customer.clone()),
                lead_about(&initech, Some(&second), customer),
            );
            let told = told(&world.as_("acme", "SALES")).await;
            assert_eq!(told.len(), round + 1, "each pair is told of once: {told:?}");
        }
        assert_eq!((told(&globex).await, told(&initech).await), (vec![], vec![]));
    }

    async fn passing_a_lead_on_tells_the_new_receiver_and_a_repeated_call_nobody(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let known = lead_about(&partner, None, json!({ "company": "Initrode" })).await;
        let lead = lead_about(&vendor, None, json!({ "company": "INITRODE, Inc." })).await;
        assert_eq!(told(&partner).await, []);
        world.clock.advance(TimeDelta::minutes(1));
        vendor.mutate("shareLead", json!({ "leadId": lead, "partnershipId": partnership }), "lead { id }").await.ok();
        let expected = [(lead.clone(), json!([candidate(&known, 50, &["COMPANY_NAME"], true)]))];
        assert_eq!(told(&partner).await, expected);
        assert_eq!(told(&vendor).await, []);
        // What comes back counts from its second coming.
        vendor.mutate("withdrawLead", json!({ "leadId": lead }), "lead { id }").await.ok();
        let between = lead_about(&partner, None, json!({ "company": "Initrode" })).await;
        world.clock.advance(TimeDelta::minutes(1));
        vendor.mutate("shareLead", json!({ "leadId": lead, "partnershipId": partnership }), "lead { id }").await.ok();
        let again = json!([
            candidate(&known, 50, &["COMPANY_NAME"], true), candidate(&between, 50, &["COMPANY_NAME"], true),
        ]);
        assert_eq!(told(&partner).await[0], (lead, again));

        let input = json!({ "title": "x", "customer": { "company": "Initrode" }, "idempotencyKey": "once" });
        let before = told(&vendor).await.len();
        for _ in 0..2 {
            vendor.mutate("createLead", input.clone(), "lead { id }").await.ok();
        }
        assert_eq!(told(&vendor).await.len(), before + 1);
    }

    async fn leads_that_are_archived_declined_or_no_longer_with_the_company_count_too(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let declined = lead_about(&partner, Some(&partnership), json!({ "company": "Initrode" })).await;
        vendor.mutate("declineLead", json!({ "leadId": declined, "reason": "Too small" }), "lead { archived }").await.ok();
        world.clock.advance(TimeDelta::minutes(1));
        let withdrawn = lead_about(&partner, Some(&partnership), json!({ "company": "Initrode" })).await;
        partner.mutate("withdrawLead", json!({ "leadId": withdrawn }), "lead { id }").await.ok();
        world.clock.advance(TimeDelta::minutes(1));
        let lead = lead_about(&vendor, None, json!({ "company": "Initrode" })).await;
        let by_name = |id: &str, first| candidate(id, 50, &["COMPANY_NAME"], first);
        let expected = json!([by_name(&declined, true), by_name(&withdrawn, true)]);
        assert_eq!(duplicates(&vendor, &lead).await, expected);
        // A view that has ended can be asked too: it is compared as it was at its end.
        let expected = json!([by_name(&declined, true), by_name(&lead, false)]);
        assert_eq!(duplicates(&vendor, &withdrawn).await, expected);
        let change = json!({ "leadId": withdrawn, "customer": { "company": "Renamed" } });
        partner.mutate("updateLead", change, "lead { id }").await.ok();
        assert_eq!(duplicates(&vendor, &withdrawn).await, expected, "nothing newer than its end");
        assert_eq!(duplicates(&partner, &withdrawn).await, json!([]));
    }

    async fn a_change_of_the_customer_changes_what_it_looks_like_for_both_sides(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let known = lead_about(&vendor, None, json!({
            "company": "Initrode", "website": "https://initrode.example", "contact": { "email": "a@initrode.example" },
        })).await;
        world.clock.advance(TimeDelta::minutes(1));
        let lead = lead_about(&partner, Some(&partnership), json!({ "company": "Unknown" })).await;
        assert_eq!(duplicates(&vendor, &lead).await, json!([]));
        let change = async |customer: Value| {
            partner.mutate("updateLead", json!({ "leadId": lead, "customer": customer }), "lead { id }").await.ok();
        };
        change(json!({ "company": "initrode" })).await;
        assert_eq!(duplicates(&vendor, &lead).await, json!([candidate(&known, 50, &["COMPANY_NAME"], true)]));
        change(json!({ "contact": { "email": "B@initrode.example" } })).await;
        let both = json!([candidate(&known, 100, &["COMPANY_NAME", "WEB_DOMAIN"], true)]);
        assert_eq!(duplicates(&vendor, &lead).await, both);
        change(json!({ "company": "Unknown", "contact": null })).await;
        assert_eq!(duplicates(&vendor, &lead).await, json!([]));
        assert_eq!(duplicates(&vendor, &known).await, json!([]));
        // A change into a match is told like an arrival, one that adds a reason or takes one away is not.
        let expected = [(lead.clone(), json!([candidate(&known, 50, &["COMPANY_NAME"], true)]))];
        assert_eq!(told(&vendor).await, expected);
        assert_eq!(told(&partner).await, [], "it has one lead alone");
    }

    async fn who_is_first_had_this_customer_first_whatever_was_renamed(world: World) {
        let (vendor, globex, initech) =
            (world.as_("acme", "SALES"), world.as_("globex", "SALES"), world.as_("initech", "SALES"));
        let of_globex = world.partnership("acme", "globex").await;
        let of_initech = world.partnership("acme", "initech").await;
        let name = |company: &str| json!({ "company": company });
        let renamed = async |person: &Person, lead: &str, company: &str| {
            world.clock.advance(TimeDelta::minutes(1));
            person.mutate("updateLead", json!({ "leadId": lead, "customer": { "company": company } }), "lead { id }").await.ok();
        };
        let early = lead_about(&globex, Some(&of_globex), name("Made Up")).await;
        world.clock.advance(TimeDelta::minutes(1));
        let late = lead_about(&initech, Some(&of_initech), name("Big Customer")).await;
        renamed(&globex, &early, "Big Customer Ltd").await;
        let by_name = |id: &str, first| json!([candidate(id, 50, &["COMPANY_NAME"], first)]);
        assert_eq!(duplicates(&vendor, &early).await, by_name(&late, true), "it had the customer first");
        assert_eq!(duplicates(&vendor, &late).await, by_name(&early, false));
        assert_eq!(told(&vendor).await, [(early.clone(), by_name(&late, true))], "told like an arrival");
        for partner in [&globex, &initech] {
            assert_eq!(told(partner).await, []);
        }
        // What stays over a change keeps its time: the legal form, the title, another key.
        renamed(&initech, &late, "BIG CUSTOMER GmbH").await;
        let contact = json!({ "leadId": late, "title": "Other", "customer": { "contact": { "phone": "+49 30 123456" } } });
        initech.mutate("updateLead", contact, "lead { id }").await.ok();
        assert_eq!(duplicates(&vendor, &early).await, by_name(&late, true));
        assert_eq!(told(&vendor).await.len(), 1, "nothing new to be alike by");
        // Away and back is a new beginning, and told again.
        renamed(&initech, &late, "Elsewhere").await;
        assert_eq!(duplicates(&vendor, &early).await, json!([]));
        renamed(&initech, &late, "Big Customer").await;
        assert_eq!(duplicates(&vendor, &early).await, by_name(&late, false));
        assert_eq!(duplicates(&vendor, &late).await, by_name(&early, true));
        assert_eq!(told(&vendor).await[0], (late.clone(), by_name(&early, true)));
        renamed(&globex, &early, "Made Up").await;
        renamed(&globex, &early, "Big Customer").await;
        assert_eq!(duplicates(&vendor, &early).await, by_name(&late, true), "nor does it win the place back");
        // A key that was shared all along decides for both: who had the phone first had the customer first.
        let phone = |company: &str| json!({ "company": company, "contact": { "phone": "+49 30 7654321" } });
        world.clock.advance(TimeDelta::minutes(1));
        let first = lead_about(&globex, Some(&of_globex), phone("One")).await;
        world.clock.advance(TimeDelta::minutes(1));
        let second = lead_about(&initech, Some(&of_initech), phone("Two")).await;
        renamed(&globex, &first, "Two").await;
        assert_eq!(duplicates(&vendor, &second).await, json!([candidate(&first, 90, &["COMPANY_NAME", "PHONE"], true)]));
    }

    async fn the_first_has_priority_for_as_long_as_the_company_s_template_says(world: World) {
        let (admin, vendor, globex) = (world.as_("acme", "ADMIN"), world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let partnership = world.partnership("acme", "globex").await;
        let templates = admin.query("{ leadTemplates { id key isDefault duplicateProtection } }", json!({})).await.ok();
        let templates = templates.list_at("/leadTemplates").to_vec();
        let of_key = |key: &str| templates.iter().find(|one| one["key"] == key).expect("a template")["id"].clone();
        assert!(templates.iter().all(|one| one["duplicateProtection"].is_null()), "for ever where nobody said");
        let ever = lead_about(&globex, Some(&partnership), json!({ "company": "Before" })).await;
        let change = |id: &Value, limit: Value| json!({ "templateId": id, "duplicateProtection": limit });
        let shown = "template { duplicateProtection }";
        let changed = admin.mutate("updateLeadTemplate", change(&of_key("partner-lead"), json!("P90D")), shown).await.ok();
        assert_eq!(changed.text_at("/updateLeadTemplate/template/duplicateProtection"), "P90D");
        for bad in ["P0D", "90 days", "P11Y"] {
            let refused = admin.mutate("updateLeadTemplate", change(&of_key("partner-lead"), json!(bad)), shown).await;
            assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.duplicateProtection"), "{bad}");
        }
        let workflows = admin.query("{ workflows { id key } }", json!({})).await.ok();
        let workflow = workflows.list_at("/workflows").iter().find(|one| one["key"] == "opportunity").expect("it is shipped");
        let of_opportunities = json!({
            "key": "deals", "name": "Deals", "workflowId": workflow["id"], "duplicateProtection": "P1D",
        });
        let refused = admin.mutate("createLeadTemplate", of_opportunities, shown).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.duplicateProtection"));

        let day = async |days: i64| world.clock.advance(TimeDelta::days(days));
        let seen = async |lead: &str| {
            let document = format!("query($id: ID!) {{ lead(id: $id) {{ possibleDuplicates {{ {PROTECTED} }} }} }}");
            vendor.query(&document, json!({ "id": lead })).await.ok().at("/lead/possibleDuplicates").clone()
        };
        let is = |lead: &str, first: bool, until: Value| json!([{ "lead": { "id": lead }, "cameFirst": first, "protectedUntil": until }]);
        // A partner's lead follows the vendor's default template, not the partner's.
        let first = lead_about(&globex, Some(&partnership), json!({ "company": "Initrode" })).await;
        day(30).await;
        let next = lead_about(&vendor, None, json!({ "company": "Initrode" })).await;
        assert_eq!(seen(&next).await, is(&first, true, json!("2026-05-31T09:00:00.000Z")));
        assert_eq!(seen(&first).await, is(&next, false, json!("2026-05-31T09:00:00.000Z")));
        day(60).await;
        assert_eq!(seen(&next).await, is(&first, false, json!("2026-06-30T09:00:00.000Z")), "its time is over");
        assert_eq!(seen(&first).await, is(&next, true, json!("2026-06-30T09:00:00.000Z")));
        day(60).await;
        assert_eq!(seen(&first).await, is(&next, true, json!("2026-06-30T09:00:00.000Z")), "nobody came since");
        // What was there before the template said so is first for ever.
        let copy = lead_about(&vendor, None, json!({ "company": "Before" })).await;
        assert_eq!(seen(&copy).await, is(&ever, true, json!(null)));
    }

    async fn what_stands_for_no_customer_is_like_nobody(world: World) {
        let vendor = world.as_("acme", "SALES");
        for customer in [
            json!({ "company": "[not provided]" }), json!({ "company": "N/A" }), json!({ "company": "Self" }),
            json!({ "company": "Private" }), json!({ "company": "Unknown", "website": "https://www.youtube.com/@one" }),
            json!({ "company": "Test", "website": "https://de.linkedin.com/company/one" }),
            json!({ "company": "n. a.", "contact": { "email": "none@none.com" } }),
        ] {
            lead_about(&vendor, None, customer.clone()).await;
            let again = lead_about(&vendor, None, customer.clone()).await;
            assert_eq!(duplicates(&vendor, &again).await, json!([]), "{customer}");
        }
        let other = |email: &str| json!({ "company": email, "contact": { "email": email } });
        for domain in ["virginmedia.com", "arcor.de", "zoho.com"] {
            lead_about(&vendor, None, other(&format!("one@{domain}"))).await;
            let lead = lead_about(&vendor, None, other(&format!("two@{domain}"))).await;
            assert_eq!(duplicates(&vendor, &lead).await, json!([]), "{domain}");
        }
        assert_eq!(told(&vendor).await, []);
        let forms = ["PT Initrode", "Initrode GmbH", "«Initrode» OOO", "ＩＮＩＴＲＯＤＥ"];
        for (place, company) in forms.into_iter().enumerate() {
            let lead = lead_about(&vendor, None, json!({ "company": company })).await;
            assert_eq!(duplicates(&vendor, &lead).await.as_array().map(Vec::len), Some(place), "{company}");
        }
    }

    async fn a_mailbox_at_a_provider_is_no_company(world: World) {
        let vendor = world.as_("acme", "SALES");
        let at = |company: &str, email: &str| json!({ "company": company, "contact": { "email": email } });
        lead_about(&vendor, None, at("One", "one@gmail.com")).await;
        let other = lead_about(&vendor, None, at("Two", "two@gmail.com")).await;
        assert_eq!(duplicates(&vendor, &other).await, json!([]));
        world.clock.advance(TimeDelta::minutes(1));
        let same = lead_about(&vendor, None, at("Three", "Two@Gmail.com")).await;
        assert_eq!(duplicates(&vendor, &same).await, json!([candidate(&other, 70, &["EMAIL"], true)]));
        assert_eq!(told(&vendor).await.len(), 1);
    }

    async fn of_many_the_most_alike_come_first_and_no_more_than_twenty(world: World) {
        let vendor = world.as_("acme", "SALES");
        let mut leads = Vec::new();
        for n in 0..25 {
            let email = if n == 23 { "a@initrode.example".to_owned() } else { format!("a@example-{n}.example") };
            let customer = json!({ "company": "Initrode", "contact": { "email": email } });
            leads.push(lead_about(&vendor, None, customer).await);
            world.clock.advance(TimeDelta::seconds(1));
        }
        let customer = json!({ "company": "Initrode", "contact": { "email": "a@initrode.example" } });
        let lead = lead_about(&vendor, None, customer).await;
        let found = duplicates(&vendor, &lead).await;
        let mut expected = vec![candidate(&leads[23], 100, &["COMPANY_NAME", "WEB_DOMAIN", "EMAIL"], true)];
        expected.extend(leads[..19].iter().map(|id| candidate(id, 50, &["COMPANY_NAME"], true)));
        assert_eq!(found, Value::from(expected));
        assert_eq!(told(&vendor).await[0], (lead, found));
    }

    async fn a_list_costs_as_many_statements_as_one_lead(world: World) {
        let vendor = world.as_("acme", "SALES");
        for n in 0..12 {
            lead_about(&vendor, None, json!({ "company": format!("Customer {}", n % 4) })).await;
        }
        let statements = async |first: u32| {
            let document = format!("{{ leads(first: {first}) {{ edges {{ node {{ possibleDuplicates {{ {CANDIDATES} }} }} }} }} }}");
            let mut fewest = u64::MAX;
            // The least of some: a job may have sent one of its own meanwhile.
            for _ in 0..5 {
                let before = world.server().service().db().statements();
                let page = vendor.query(&document, json!({})).await.ok();
                fewest = fewest.min(world.server().service().db().statements() - before);
                for edge in page.list_at("/leads/edges") {
                    assert_eq!(edge["node"]["possibleDuplicates"].as_array().map(Vec::len), Some(2), "{}", page.text);
                }
            }
            fewest
        };
        assert_eq!(statements(12).await, statements(1).await);
        assert_eq!(statements(12).await, 3, "the page, the keys, the candidates");
    }

    async fn leads_of_before_are_compared_after_a_start_that_may_be_interrupted(world: World) {
        let vendor = world.as_("acme", "SALES");
        for n in 0..7 {
            lead_about(&vendor, None, json!({ "company": format!("Customer {}", n % 2), "contact": { "phone": "+49 30 123456" } })).await;
            world.clock.advance(TimeDelta::minutes(1));
        }
        let rows = Rows::of(&world.database).await;
        let written = rows.now().await;
        let connection = sea_orm::Database::connect(&world.database.url).await.expect("it takes connections");
        // As a database is that is migrated from before the form changed: the keys and what search reads in another form,
        // with their times, and nothing done yet.
        for sql in [
            "UPDATE match_key SET value = value || ' of before'", "UPDATE lead_view SET search = 'of before'",
            "DELETE FROM job_progress",
        ] {
            connection.execute_unprepared(sql).await.expect("it is one");
        }
        while !world.server().service().write_match_keys(2).await.expect("a batch") {}
        rows.unchanged_since(&written, "writing all in the new form").await;
        // From before there were any: no keys, and nothing done yet.
        for sql in ["DELETE FROM match_key", "DELETE FROM job_progress"] {
            connection.execute_unprepared(sql).await.expect("it is one");
        }
        let service = world.server().service();
        // The job of the server may take part: what is counted is only the end.
        while !service.write_match_keys(3).await.expect("a batch") {}
        assert!(service.match_keys_written().await.expect("an answer"));
        rows.unchanged_since(&written, "writing the keys again").await;
        // Again, from the middle, and by the server itself.
        connection.execute_unprepared("DELETE FROM match_key").await.expect("it is one");
        connection.execute_unprepared("DELETE FROM job_progress").await.expect("it is one");
        service.write_match_keys(3).await.expect("a batch");
        let server = world.another_server().await;
        let start = std::time::Instant::now();
        while !server.service().match_keys_written().await.expect("an answer") {
            assert!(start.elapsed().as_secs() < 20, "the job does not run");
            tokio::task::yield_now().await;
            server.service().write_match_keys(1).await.expect("a batch");
        }
        rows.unchanged_since(&written, "writing the keys again").await;
        server.shutdown().await;
    }

    async fn a_look_up_reads_the_index_alone(world: World) {
        let vendor = world.as_("acme", "SALES");
        let lead = lead_about(&vendor, None, json!({
            "company": "Customer 7 Ltd", "website": "https://customer-7.example", "contact": { "phone": "+49 30 123456" },
        })).await;
        let connection = sea_orm::Database::connect(&world.database.url).await.expect("it takes connections");
        many_keys(&connection, &world.database).await;
        let viewer = vendor.query("{ viewer { company { id } } }", json!({})).await.ok();
        let (_, company) = decode(viewer.text_at("/viewer/company/id")).expect("an id");
        let (_, id) = decode(&lead).expect("an id");
        let explained = statement(connection.get_database_backend(), Scope::system(CompanyId(company)), &[LeadId(id)]);
        let explain = if world.database.kind == Kind::Sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
        let values = explained.values.expect("parameters").0;
        let sql = format!("{explain} {}", explained.sql);
        let plan = connection
            .query_all_raw(Statement::from_sql_and_values(connection.get_database_backend(), sql, values))
            .await
            .expect("a plan");
        let column = if world.database.kind == Kind::Sqlite { "detail" } else { "QUERY PLAN" };
        let plan: Vec<String> = plan.iter().map(|row| row.try_get("", column).expect("a line")).collect();
        let plan = plan.join("\n");
        let (whole, keys, own, scan) = match world.database.kind {
            Kind::Sqlite => (
                "SEARCH theirs USING COVERING INDEX match_key_by_lead (lead_id=? AND company_id=?",
                "SEARCH m USING COVERING INDEX sqlite_autoindex_match_key_1 (company_id=? AND kind=? AND value=?)",
                "SEARCH match_key USING COVERING INDEX match_key_by_lead (lead_id=? AND company_id=?)",
                "SCAN match_key",
            ),
            Kind::Postgres => (
                "Index Only Scan using match_key_by_lead on match_key k",
                "Index Only Scan using match_key_pkey on match_key m",
                "Index Only Scan using match_key_by_lead on match_key",
                "Seq Scan",
            ),
        };
        for part in [whole, keys, own] {
            assert!(plan.contains(part), "the plan lacks {part}:\n{plan}");
        }
        assert!(!plan.contains(scan) && !plan.contains("SCAN m\n") && !plan.contains("SCAN other"), "{plan}");
        // And it finds what it should among them: one by everything, the others by phone, which thousands have.
        let found = duplicates(&vendor, &lead).await;
        assert_eq!(found[0]["reasons"], json!(["COMPANY_NAME", "WEB_DOMAIN", "PHONE"]));
        assert_eq!(found[1]["reasons"], json!(["PHONE"]));
        assert_eq!(found.as_array().map(Vec::len), Some(20));
    }
}

/// Adds 20,000 leads of the first company with three keys each, and the statistics of it.
async fn many_keys(connection: &DatabaseConnection, database: &Database) {
    let (id, numbers, at, analyze) = match database.kind {
        Kind::Sqlite => (
            "unhex(printf('%032x', n))",
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000)",
            "(SELECT min(created_at) FROM lead)",
            "ANALYZE",
        ),
        Kind::Postgres => (
            "lpad(to_hex(n), 32, '0')::uuid",
            "WITH numbers (n) AS (SELECT generate_series(1, 20000))",
            "(SELECT min(created_at) FROM lead)",
            "ANALYZE match_key",
        ),
    };
    let leads = format!(
        "INSERT INTO lead (id, source_id, number, created_by, created_at) {numbers} \
         SELECT {id}, lead.source_id, 100000 + n, lead.created_by, {at} FROM numbers CROSS JOIN (SELECT * FROM lead LIMIT 1) lead"
    );
    let columns = "lead_id, company_id, side, source_id, template_id, workflow_key, workflow_version, number, title, \
        customer_company, stage_key, stage_kind, active, archived, version, created_at, updated_at, sort_expires, \
        sort_value, search";
    let others = columns.trim_start_matches("lead_id, ").replace("number, ", "'L-' || (100000 + n), ");
    let views = format!(
        "INSERT INTO lead_view ({columns}) {numbers} SELECT {id}, {others} \
         FROM numbers CROSS JOIN (SELECT * FROM lead_view LIMIT 1) v"
    );
    let value = "CASE kind WHEN 'NAME' THEN 'customer ' || n WHEN 'DOMAIN' THEN 'customer-' || n || '.example' \
        ELSE '+4930123456' END";
    let keys = format!(
        "INSERT INTO match_key (company_id, kind, value, created_at, lead_id) {numbers} \
         SELECT l.source_id, kind, {value}, {at}, {id} FROM numbers CROSS JOIN (SELECT * FROM lead LIMIT 1) l \
         CROSS JOIN (SELECT 'NAME' AS kind UNION ALL SELECT 'DOMAIN' UNION ALL SELECT 'PHONE') kinds"
    );
    for sql in [leads, views, keys, analyze.to_owned()] {
        connection.execute_unprepared(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}
