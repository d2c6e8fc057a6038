//! Lists: page by page, from either end, in every order, by every filter.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::world::{Person, World};

async fn made(person: &Person, mutation: &str, input: Value, what: &str) -> String {
    let answer = person.mutate(mutation, input, &format!("{what} {{ id }}")).await.ok();
    answer.text_at(&format!("/{mutation}/{what}/id")).to_owned()
}

/// A list that is read page by page.
pub struct List<'a> {
    /// Who reads it.
    pub person: &'a Person,
    /// The document, up to the connection's arguments.
    pub before: &'a str,
    /// What follows `edges { cursor node { id } } pageInfo { … }`.
    pub after: &'a str,
    /// Arguments beside those of the page.
    pub arguments: &'a str,
    /// Where the connection is in `data`.
    pub at: &'a str,
    /// Of the document.
    pub variables: Value,
}

struct Page {
    ids: Vec<String>,
    start: Option<String>,
    end: Option<String>,
    next: bool,
    previous: bool,
}

impl<'a> List<'a> {
    /// A field of Query.
    pub fn of(person: &'a Person, field: &'a str, at: &'a str, arguments: &'a str) -> Self {
        Self { person, before: field, after: "}", arguments, at, variables: json!({}) }
    }

    async fn page(&self, window: &str) -> Page {
        let Self { before, after, arguments, .. } = self;
        let document = format!(
            "{before}({window} {arguments}) {{ edges {{ cursor node {{ id }} }} \
             pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} {after}"
        );
        let answer = self.person.query(&document, self.variables.clone()).await.ok();
        let connection = answer.at(self.at);
        let edges = connection["edges"].as_array().expect("edges");
        let of = |edge: &Value, name: &str| edge[name].as_str().map(str::to_owned);
        let info = &connection["pageInfo"];
        assert_eq!(edges.first().and_then(|edge| of(edge, "cursor")), of(info, "startCursor"));
        assert_eq!(edges.last().and_then(|edge| of(edge, "cursor")), of(info, "endCursor"));
        Page {
            ids: edges.iter().filter_map(|edge| of(&edge["node"], "id")).collect(),
            start: of(info, "startCursor"),
            end: of(info, "endCursor"),
            next: info["hasNextPage"].as_bool().expect("a flag"),
            previous: info["hasPreviousPage"].as_bool().expect("a flag"),
        }
    }

    /// Reads it whole, then forwards and backwards by pages of several sizes: the same each time.
    pub async fn whole(&self) -> Vec<String> {
        let all = self.page("first: 100").await;
        assert!(!all.next && !all.previous, "{}: a page of all has nothing beside it", self.before);
        assert_eq!(self.page("last: 100").await.ids, all.ids, "{}", self.before);
        for size in [1, 3, 10, all.ids.len().clamp(1, 100)] {
            let (mut read, mut after) = (Vec::new(), String::new());
            loop {
                let page = self.page(&format!("first: {size} {after}")).await;
                assert_eq!(page.previous, !read.is_empty(), "{}", self.before);
                read.extend(page.ids);
                assert_eq!(
                    page.next,
                    read.len() < all.ids.len(),
                    "{} after {} of {}",
                    self.before,
                    read.len(),
                    all.ids.len()
                );
                if !page.next {
                    break;
                }
                after = format!("after: \"{}\"", page.end.expect("a cursor"));
            }
            assert_eq!(read, all.ids, "{} {} forwards by {size}", self.before, self.arguments);
            let (mut read, mut before) = (Vec::new(), String::new());
            loop {
                let page = self.page(&format!("last: {size} {before}")).await;
                assert_eq!(page.next, !read.is_empty(), "{}", self.before);
                read.splice(0..0, page.ids);
                assert_eq!(page.previous, read.len() < all.ids.len(), "{}", self.before);
                if !page.previous {
                    break;
                }
                before = format!("before: \"{}\"", page.start.expect("a cursor"));
            }
            assert_eq!(read, all.ids, "{} {} backwards by {size}", self.before, self.arguments);
        }
        // Between two cursors.
        if all.ids.len() > 4 {
            let first = self.page("first: 1").await.end.expect("a cursor");
            let last = self.page("last: 1").await.start.expect("a cursor");
            let between = self.page(&format!("first: 100 after: \"{first}\" before: \"{last}\"")).await;
            assert_eq!(between.ids, all.ids[1..all.ids.len() - 1], "{}", self.before);
            let two = self.page(&format!("last: 2 after: \"{first}\" before: \"{last}\"")).await;
            assert_eq!(two.ids, all.ids[all.ids.len() - 3..all.ids.len() - 1], "{}", self.before);
        }
        all.ids
    }
}

/// Every field of the schema that takes the arguments of a page, as its type and its name.
fn connections() -> Vec<[String; 2]> {
    const ALL: &str = "{ __schema { types { name fields { name args { name } } } } }";
    let schema = crate::support::introspect(ALL);
    let name = |thing: &Value| thing["name"].as_str().expect("a name").to_owned();
    let mut found = Vec::new();
    for ty in schema["__schema"]["types"].as_array().expect("types") {
        for field in ty["fields"].as_array().into_iter().flatten() {
            if field["args"].as_array().expect("arguments").iter().any(|argument| argument["name"] == "before") {
                found.push([name(ty), name(field)]);
            }
        }
    }
    found
}

/// The titles of the leads that a filter finds, sorted.
async fn found(person: &Person, filter: Value) -> Vec<String> {
    let document = "query($filter: LeadFilter) { leads(first: 100, filter: $filter) { edges { node { title } } } }";
    let answer = person.query(document, json!({ "filter": filter })).await.ok();
    let edges = answer.list_at("/leads/edges").iter();
    let mut titles: Vec<_> = edges.map(|edge| edge["node"]["title"].as_str().expect("a title").to_owned()).collect();
    titles.sort();
    titles
}

on_both_databases! {
    async fn leads_come_in_every_order_from_either_end(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let vendor = world.as_("acme", "SALES");
        let mut leads = Vec::new();
        for i in 0..25_i64 {
            // Ties: three of the same moment, five of the same value, some without value, some without a limit.
            if i % 3 == 0 {
                world.clock.advance(TimeDelta::milliseconds(1));
            }
            let mut input = json!({ "title": format!("Lead {i}"), "customer": { "company": "Initrode" } });
            if i % 5 != 0 {
                let currency = if i % 2 == 0 { "EUR" } else { "JPY" };
                input["estimatedValue"] = json!({ "amount": (i % 5).to_string(), "currency": currency });
            }
            if i % 4 != 0 {
                input["partnershipId"] = json!(partnership);
                input["expiresAt"] = json!(format!("2026-03-{:02}T09:00:00Z", 10 + i % 4));
            }
            leads.push((i, made(&vendor, "createLead", input, "lead").await));
        }
        for i in [20, 3, 11, 4] {
            world.clock.advance(TimeDelta::milliseconds(1));
            let input = json!({ "leadId": leads[i].1, "description": "changed" });
            vendor.mutate("updateLead", input, "lead { id }").await.ok();
        }
        let place = |id: &String| leads.iter().find(|(_, lead)| lead == id).expect("a lead").0;
        let changed = |i: i64| [20, 3, 11, 4].iter().position(|other| *other == i).map(|at| 100 + i64::try_from(at).expect("small"));
        for (field, key) in [
            ("CREATED", (|i| i / 3) as fn(i64) -> i64),
            ("UPDATED", |i| i / 3),
            ("EXPIRES", |i| if i % 4 == 0 { 9 } else { i % 4 }),
            ("VALUE", |i| if i % 5 == 0 { -1 } else { i % 5 }),
        ] {
            for direction in ["ASC", "DESC"] {
                let arguments = format!("orderBy: {{ field: {field}, direction: {direction} }}");
                let list = List::of(&vendor, "{ leads", "/leads", &arguments);
                let ids = list.whole().await;
                assert_eq!(ids.len(), 25);
                let keys = ids.iter().map(place);
                let keys = keys.map(|i| changed(i).filter(|_| field == "UPDATED").unwrap_or_else(|| key(i)));
                let keys: Vec<_> = if direction == "ASC" { keys.collect() } else { keys.rev().collect() };
                assert!(keys.is_sorted(), "{field} {direction}: {keys:?}");
            }
        }
        // The receiver's own list, and the default order.
        let partner = world.as_("globex", "SALES");
        assert_eq!(List::of(&partner, "{ leads", "/leads", "").whole().await.len(), 18);
        let newest = List::of(&vendor, "{ leads", "/leads", "").whole().await;
        assert_eq!(newest[0], List::of(&vendor, "{ leads", "/leads", "orderBy: { field: CREATED }").whole().await[0]);
        let default = vendor.query("{ leads { edges { cursor } } }", json!({})).await.ok();
        assert_eq!(default.list_at("/leads/edges").len(), 20);
    }

    async fn leads_are_found_by_every_filter(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let second = world.partnership("acme", "initech").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let manager = world.as_("acme", "MANAGER");
        made(&manager, "createLead", json!({ "title": "internal", "customer": { "company": "B" } }), "lead").await;
        for title in ["pending", "accepted", "declined", "converted", "closed", "withdrawn", "overdue"] {
            let mut input = json!({ "title": title, "customer": { "company": "B" }, "partnershipId": partnership });
            if title == "overdue" {
                input["expiresAt"] = json!("2026-03-02T10:00:00Z");
            }
            let lead = made(&vendor, "createLead", input, "lead").await;
            let only = json!({ "leadId": lead });
            if ["accepted", "converted", "closed"].contains(&title) {
                made(&partner, "acceptLead", only.clone(), "lead").await;
            }
            match title {
                "declined" => drop(made(&partner, "declineLead", json!({ "leadId": lead, "reason": "No" }), "lead").await),
                "converted" => drop(made(&partner, "convertLead", json!({ "leadId": lead, "opportunity": {} }), "lead").await),
                "closed" => drop(made(&partner, "closeLead", only, "lead").await),
                "withdrawn" => drop(made(&vendor, "withdrawLead", only, "lead").await),
                _ => {}
            }
        }
        let input = json!({ "title": "elsewhere", "customer": { "company": "B" }, "partnershipId": second });
        made(&vendor, "createLead", input, "lead").await;
        let theirs = world.partnership("globex", "acme").await;
        made(&partner, "createLead", json!({ "title": "received", "customer": { "company": "B" }, "partnershipId": theirs }), "lead").await;
        // Past its limit, whether or not that is recorded by now.
        world.clock.advance(TimeDelta::hours(1));

        assert_eq!(found(&vendor, json!({ "stage": ["pending"] })).await, ["elsewhere", "pending", "received"]);
        assert_eq!(found(&vendor, json!({ "stage": ["expired"] })).await, ["overdue"]);
        assert_eq!(found(&vendor, json!({ "stage": ["expired", "declined"] })).await, ["declined", "overdue"]);
        assert_eq!(found(&vendor, json!({ "stage": ["nowhere"] })).await, [""; 0]);
        assert_eq!(found(&vendor, json!({ "stageKind": ["AWAITING"] })).await, ["elsewhere", "pending", "received"]);
        assert_eq!(found(&vendor, json!({ "stageKind": ["EXPIRED"] })).await, ["overdue"]);
        assert_eq!(found(&vendor, json!({ "stageKind": ["WON", "LOST", "CLOSED"] })).await, ["closed", "converted", "withdrawn"]);
        assert_eq!(found(&vendor, json!({ "stageKind": ["OPEN"] })).await, ["internal"]);
        assert_eq!(found(&vendor, json!({ "stage": ["pending"], "stageKind": ["EXPIRED"] })).await, [""; 0]);
        assert_eq!(found(&vendor, json!({ "side": "RECEIVER" })).await, ["received"]);
        assert_eq!(found(&partner, json!({ "side": "SOURCE" })).await, ["received"]);
        assert_eq!(found(&vendor, json!({ "ownerId": manager.id().await })).await, ["internal"]);
        assert_eq!(found(&partner, json!({ "ownerId": partner.id().await, "side": "RECEIVER" })).await, ["accepted", "closed", "converted"]);
        assert_eq!(found(&vendor, json!({ "partnershipId": second })).await, ["elsewhere"]);
        let template = async |person: &Person| {
            let answer = person.query("{ leadTemplates { id } }", json!({})).await.ok();
            answer.text_at("/leadTemplates/0/id").to_owned()
        };
        assert_eq!(found(&vendor, json!({ "templateId": template(&vendor).await, "stage": ["new"] })).await, ["internal"]);
        assert_eq!(found(&vendor, json!({ "templateId": template(&partner).await })).await, ["received"]);
        assert_eq!(found(&vendor, json!({ "archived": true })).await, ["declined"]);
        let out = ["accepted", "closed", "converted", "elsewhere", "internal", "overdue", "pending", "received", "withdrawn"];
        assert_eq!(found(&vendor, json!({ "archived": false })).await, out);
        assert_eq!(found(&vendor, json!({})).await, out);
        assert_eq!(found(&vendor, json!({ "active": true, "archived": false })).await, out);
        assert_eq!(found(&vendor, json!({ "active": false })).await, [""; 0]);
        // The counters of seven days end on the 9th, that of the accepted one later.
        assert_eq!(found(&vendor, json!({ "expiringBefore": "2026-03-09T09:00:00.001Z" })).await, ["elsewhere", "pending", "received"]);
        assert_eq!(found(&vendor, json!({ "expiringBefore": "2026-03-09T09:00:00Z" })).await, [""; 0]);
        assert_eq!(found(&vendor, json!({ "expiringBefore": "2027-01-01T00:00:00Z" })).await, ["accepted", "elsewhere", "pending", "received"]);
        let list = List::of(&vendor, "{ leads", "/leads", "filter: { stageKind: [AWAITING, ACTIVE] } orderBy: { field: EXPIRES, direction: ASC }");
        assert_eq!(list.whole().await.len(), 4);
    }

    async fn leads_are_found_by_text_as_it_is_typed(world: World) {
        let vendor = world.as_("acme", "SALES");
        for (title, company) in [
            ("Fifty % off", "Initrode"), ("snake_case", "Initrode"), ("back\\slash", "Initrode"), ("O'Brien's", "Initrode"),
            ("Straße nach Ääkköset", "Žižkov a.s."), ("ΣΊΣΥΦΟΣ", "Initrode"), ("plain", "Initech"), ("[a-z]*?", "Initrode"),
        ] {
            made(&vendor, "createLead", json!({ "title": title, "customer": { "company": company } }), "lead").await;
        }
        for (text, expected) in [
            ("%", vec!["Fifty % off"]), ("_", vec!["snake_case"]), ("\\", vec!["back\\slash"]), ("'", vec!["O'Brien's"]),
            ("fifty %", vec!["Fifty % off"]), ("FIFTY", vec!["Fifty % off"]), ("e_c", vec!["snake_case"]), ("k\\s", vec!["back\\slash"]),
            ("o'brien's", vec!["O'Brien's"]), ("ÄÄKKÖSET", vec!["Straße nach Ääkköset"]), ("straße", vec!["Straße nach Ääkköset"]),
            ("žižkov", vec!["Straße nach Ääkköset"]), ("ŽIŽKOV A.S.", vec!["Straße nach Ääkköset"]),
            ("σίσυφος", vec!["ΣΊΣΥΦΟΣ"]), ("initech", vec!["plain"]), ("[a-z]*?", vec!["[a-z]*?"]), ("*", vec!["[a-z]*?"]),
            ("  plain  ", vec!["plain"]), ("L-1007", vec!["plain"]), ("l-1007", vec!["plain"]), ("%%", vec![]), ("nothing", vec![]),
            ("\\%", vec![]), ("' OR '1'='1", vec![]),
        ] {
            assert_eq!(found(&vendor, json!({ "text": text })).await, expected, "{text}");
        }
        // What was changed is found by what it is now.
        let lead = made(&vendor, "createLead", json!({ "title": "before", "customer": { "company": "B" } }), "lead").await;
        made(&vendor, "updateLead", json!({ "leadId": lead, "customer": { "company": "After" } }), "lead").await;
        assert_eq!(found(&vendor, json!({ "text": "after" })).await, ["before"]);
        let all = found(&vendor, json!({})).await;
        for blank in ["", " ", "\u{200b}\t", "\u{2800}"] {
            assert_eq!(found(&vendor, json!({ "text": blank })).await, all, "{blank:?}");
        }
        for (text, code) in [("a b c d e f g h i j k", "INVALID_INPUT"), (&"x".repeat(101), "INVALID_INPUT"), ("a\u{202e}b", "INVALID_INPUT")] {
            let document = "query($filter: LeadFilter) { leads(filter: $filter) { edges { cursor } } }";
            let refused = vendor.query(document, json!({ "filter": { "text": text } })).await;
            assert_eq!((refused.code(), refused.field()), (code, "filter.text"));
        }
    }

    async fn leads_are_found_by_their_words_in_any_order_and_form(world: World) {
        let vendor = world.as_("acme", "SALES");
        for (title, customer) in [
            ("Zoë's Ångström project", json!({ "company": "Initrode", "contact": {
                "firstName": "Bertha", "lastName": "O’Neil", "email": "bertha@initrode.example" } })),
            ("ΟΔΥΣΣΕΥΣ", json!({ "company": "İstanbul Işık" })),
            ("Große Straße", json!({ "company": "ＡＣＭＥ　１２" })),
            ("한국", json!({ "company": "می\u{200c}خواهم" })),
        ] {
            made(&vendor, "createLead", json!({ "title": title, "customer": customer }), "lead").await;
        }
        let project = "Zoë's Ångström project";
        for (text, expected) in [
            ("project zoe\u{308}'s", project), ("A\u{30a}ngstro\u{308}m INITRODE", project), ("angstrom zoe", project),
            ("oneil", ""), ("o'neil bertha", project), ("O’NEIL", project), ("BERTHA@INITRODE.example", project),
            ("l-1001 bertha zoë", project), ("zoe nobody", ""), ("zoe\u{200b}'s", project), ("zoe zoe zoe", project),
            ("οδυσσεύς", "ΟΔΥΣΣΕΥΣ"), ("Οδυσσευς", "ΟΔΥΣΣΕΥΣ"), ("istanbul", "ΟΔΥΣΣΕΥΣ"), ("ISTANBUL IŞIK", "ΟΔΥΣΣΕΥΣ"),
            ("ıstanbul ışık", "ΟΔΥΣΣΕΥΣ"), ("GROSSE STRASSE", "Große Straße"), ("straße", "Große Straße"),
            ("acme 12", "Große Straße"), ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}", "한국"), ("میخواهم", "한국"),
        ] {
            let expected: Vec<&str> = Some(expected).filter(|title| !title.is_empty()).into_iter().collect();
            assert_eq!(found(&vendor, json!({ "text": text })).await, expected, "{text}");
        }
        // Each company finds by its own view, and by what it may see alone.
        let partnership = world.partnership("acme", "globex").await;
        let partner = world.as_("globex", "SALES");
        assert_eq!(found(&partner, json!({ "text": "bertha" })).await, [""; 0]);
        let answer = vendor.query("query($filter: LeadFilter) { leads(filter: $filter) { edges { node { id } } } }",
            json!({ "filter": { "text": "bertha" } })).await.ok();
        let lead = answer.text_at("/leads/edges/0/node/id").to_owned();
        made(&vendor, "shareLead", json!({ "leadId": lead, "partnershipId": partnership }), "lead").await;
        assert_eq!(found(&partner, json!({ "text": "bertha" })).await, [project]);
        made(&vendor, "withdrawLead", json!({ "leadId": lead }), "lead").await;
        made(&vendor, "updateLead", json!({ "leadId": lead, "title": "Renamed" }), "lead").await;
        assert_eq!(found(&partner, json!({ "text": "renamed" })).await, [""; 0]);
        assert_eq!(found(&partner, json!({ "text": "angstrom" })).await, [project]);
    }

    async fn null_in_a_filter_is_none_and_absent_is_any(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let vendor = world.as_("acme", "SALES");
        let new = async |title: &str, owner: bool| {
            let input = json!({ "title": title, "customer": { "company": "B" } });
            let lead = made(&vendor, "createLead", input, "lead").await;
            if !owner {
                made(&vendor, "updateLead", json!({ "leadId": lead, "ownerId": null }), "lead").await;
            }
            lead
        };
        let owned = new("owned", true).await;
        new("nobody's", false).await;
        let shared = world.shared_lead("acme", &partnership, "shared").await;
        let all = ["nobody's", "owned", "shared"];
        assert_eq!(found(&vendor, json!({ "ownerId": null })).await, ["nobody's"]);
        assert_eq!(found(&vendor, json!({ "partnershipId": null })).await, ["nobody's", "owned"]);
        assert_eq!(found(&vendor, json!({ "ownerId": null, "partnershipId": null })).await, ["nobody's"]);
        assert_eq!(found(&vendor, json!({ "status": null })).await, all, "none of these is on a workflow with statuses");
        // Where nothing can be none, null is as good as absent.
        let free = json!({ "stage": null, "stageKind": null, "side": null, "templateId": null, "archived": null,
            "workflowOfTemplateId": null, "active": null, "expiringBefore": null, "text": null });
        assert_eq!(found(&vendor, free).await, all);
        // A variable that is absent leaves its field out; one that is null is null.
        let document = "query($owner: ID) { leads(filter: { ownerId: $owner }) { edges { node { title } } } }";
        let titles = async |variables: Value| {
            let answer = vendor.query(document, variables).await.ok();
            let mut titles: Vec<_> = answer.list_at("/leads/edges").iter().map(|edge| edge["node"]["title"].clone()).collect();
            titles.sort_by_key(ToString::to_string);
            titles
        };
        assert_eq!(titles(json!({})).await, all);
        assert_eq!(titles(json!({ "owner": null })).await, ["nobody's"]);
        assert_eq!(titles(json!({ "owner": vendor.id().await })).await, ["owned", "shared"]);
        let literal = vendor.query("{ leads(filter: { ownerId: null }) { edges { node { title } } } }", json!({})).await.ok();
        assert_eq!(literal.list_at("/leads/edges").len(), 1);

        let count = async |document: &str, at: &str, filter: Value| {
            vendor.query(document, json!({ "filter": filter })).await.ok().list_at(at).len()
        };
        made(&vendor, "createTask", json!({ "leadId": owned, "title": "Ours" }), "task").await;
        let assigned = json!({ "leadId": owned, "title": "Mine", "assigneeId": vendor.id().await });
        made(&vendor, "createTask", assigned, "task").await;
        let tasks = "query($filter: TaskFilter) { tasks(filter: $filter) { edges { cursor } } }";
        assert_eq!(count(tasks, "/tasks/edges", json!({})).await, 2);
        assert_eq!(count(tasks, "/tasks/edges", json!({ "assigneeId": null, "leadId": null, "dueBefore": null })).await, 1);
        let activity = "query($filter: ActivityFilter) { activity(first: 100, filter: $filter) { edges { cursor } } }";
        let events = "/activity/edges";
        let (every, of_none) = (count(activity, events, json!({})).await, count(activity, events, json!({ "leadId": null })).await);
        let of_leads = [&owned, &shared].map(async |lead| count(activity, events, json!({ "leadId": lead })).await);
        let of_leads: usize = futures_util::future::join_all(of_leads).await.into_iter().sum();
        assert!(of_none > 0 && of_leads > 0 && of_none + of_leads < every, "{of_none} {of_leads} {every}");
        let by_system = count(activity, events, json!({ "actorId": null })).await;
        let duplicates = count(activity, events, json!({ "kind": ["LEAD_DUPLICATES_FOUND"] })).await;
        assert!(duplicates > 0, "the leads are about the same customer");
        assert_eq!(by_system, duplicates, "only that is the system's");
        let both = json!({ "actorId": null, "kind": ["LEAD_DUPLICATES_FOUND", "LEAD_CREATED"], "leadId": null });
        assert_eq!(count(activity, events, both).await, 0);

        let opportunities = "query($filter: OpportunityFilter) { opportunities(filter: $filter) { edges { cursor } } }";
        let list = "/opportunities/edges";
        assert_eq!(count(opportunities, list, json!({ "leadId": null, "responsibleId": null })).await, 0);
        made(&vendor, "createOpportunity", json!({ "name": "Of no lead" }), "opportunity").await;
        let partner = world.as_("globex", "SALES");
        made(&partner, "acceptLead", json!({ "leadId": shared }), "lead").await;
        made(&partner, "convertLead", json!({ "leadId": shared, "opportunity": {} }), "lead").await;
        assert_eq!(count(opportunities, list, json!({})).await, 2);
        assert_eq!(count(opportunities, list, json!({ "leadId": null })).await, 1);
        assert_eq!(count(opportunities, list, json!({ "leadId": shared })).await, 1);
    }

    async fn the_other_lists_come_from_either_end_too(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let mut comments = Vec::new();
        let mut tasks = Vec::new();
        for i in 0..13 {
            if i % 3 == 0 {
                world.clock.advance(TimeDelta::milliseconds(1));
            }
            let person = if i % 2 == 0 { &vendor } else { &partner };
            comments.push(made(person, "addComment", json!({ "leadId": lead, "body": format!("{i}") }), "comment").await);
            tasks.push(made(person, "createTask", json!({ "leadId": lead, "title": format!("{i}") }), "task").await);
            made(&partner, "createOpportunity", json!({ "name": format!("{i}") }), "opportunity").await;
            world.person("globex", &format!("member {i}"), &["VIEWER"]).id().await;
            let slug = format!("partner-{i}");
            world.server().service().add_company(&slug, None).await.expect("a company");
            let role = if i % 2 == 0 { "VENDOR" } else { "PARTNER" };
            let input = json!({ "companySlug": slug, "role": role });
            made(&world.as_("globex", "ADMIN"), "invitePartner", input, "partnership").await;
        }
        // Each side's own, which the other does not see.
        for person in [&vendor, &partner] {
            made(person, "addComment", json!({ "leadId": lead, "body": "Ours", "visibility": "INTERNAL" }), "comment").await;
            made(person, "createTask", json!({ "leadId": lead, "title": "Ours", "visibility": "INTERNAL" }), "task").await;
        }
        for (field, expected) in [("opportunities", 13), ("partnerships", 14), ("members", 15), ("tasks", 14)] {
            let (before, at) = (format!("{{ {field}"), format!("/{field}"));
            let ids = List::of(&partner, &before, &at, "").whole().await;
            assert_eq!(ids.len(), expected, "{field}");
        }
        for (person, field) in [(&vendor, "comments"), (&partner, "comments"), (&vendor, "tasks"), (&partner, "tasks")] {
            let (before, at) = (format!("query($id: ID!) {{ lead(id: $id) {{ {field}"), format!("/lead/{field}"));
            let list = List { person, before: &before, after: "} }", arguments: "", at: &at, variables: json!({ "id": lead }) };
            let ids = list.whole().await;
            let expected = if field == "comments" { &comments } else { &tasks };
            assert_eq!(ids.len(), 14);
            // The oldest first; what was made at one moment by the order of its making.
            assert_eq!(ids[..13], expected[..], "{field}");
        }
        let newest = List::of(&partner, "{ tasks", "/tasks", "").whole().await;
        assert!(newest[1..].iter().rev().eq(&tasks), "the newest first");
        let counts = "query($id: ID!) { lead(id: $id) { openTaskCount comments(first: 1) { totalCount } tasks(first: 1) { totalCount } } }";
        let counts = vendor.query(counts, json!({ "id": lead })).await.ok();
        let expected = json!({ "openTaskCount": 14, "comments": { "totalCount": 14 }, "tasks": { "totalCount": 14 } });
        assert_eq!(counts.at("/lead"), &expected);
        // The log: the company's, and the lead's.
        let all = List::of(&vendor, "{ activity", "/activity", "").whole().await;
        let list = List {
            person: &vendor, before: "query($id: ID!) { lead(id: $id) { activity", after: "} }", arguments: "", at: "/lead/activity", variables: json!({ "id": lead }),
        };
        let of_lead = list.whole().await;
        assert!(all.len() > of_lead.len() && of_lead.len() >= 28, "{} {}", all.len(), of_lead.len());
        let kept: Vec<_> = all.iter().filter(|id| of_lead.contains(id)).cloned().collect();
        assert_eq!(kept, of_lead, "one order");
        for (filter, expected) in [
            ("kind: [COMMENT_ADDED]", 14), ("kind: [TASK_CHANGED, COMMENT_ADDED]", 28), ("kind: []", 0),
            ("since: \"2026-03-02T09:00:00.005Z\", kind: [COMMENT_ADDED]", 2), ("until: \"2026-03-02T09:00:00.002Z\", kind: [COMMENT_ADDED]", 3),
        ] {
            let arguments = format!("filter: {{ {filter} }}");
            assert_eq!(List::of(&vendor, "{ activity", "/activity", &arguments).whole().await.len(), expected, "{filter}");
        }
        let by_partner = format!("filter: {{ actorId: \"{}\", kind: [COMMENT_ADDED] }}", partner.id().await);
        assert_eq!(List::of(&vendor, "{ activity", "/activity", &by_partner).whole().await.len(), 6);
        for (filter, expected) in [("assignedToUs: true", 8), ("assignedToUs: false", 6), ("state: [OPEN]", 14), ("state: [DONE, CANCELLED]", 0)] {
            let arguments = format!("filter: {{ {filter} }}");
            assert_eq!(List::of(&vendor, "{ tasks", "/tasks", &arguments).whole().await.len(), expected, "{filter}");
        }
    }

    async fn a_page_of_none_says_what_there_is_and_the_empty_text_is_no_cursor(world: World) {
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let partnership = world.partnership("acme", "globex").await;
        world.partnership("acme", "initech").await;
        let lead = world.shared_lead("acme", &partnership, "Lead").await;
        let list = made(&vendor, "createMarketingList", json!({ "name": "List" }), "list").await;
        for i in 0..3 {
            made(&partner, "addComment", json!({ "leadId": lead, "body": "A comment" }), "comment").await;
            made(&partner, "createTask", json!({ "leadId": lead, "title": "A task" }), "task").await;
            made(&vendor, "createOpportunity", json!({ "name": "A deal" }), "opportunity").await;
            let other = world.shared_lead("acme", &partnership, "Another").await;
            made(&vendor, "addToMarketingList", json!({ "listId": list, "leadId": other }), "list").await;
            let another = made(&vendor, "createMarketingList", json!({ "name": format!("List {i}") }), "list").await;
            made(&vendor, "addToMarketingList", json!({ "listId": another, "leadId": lead }), "list").await;
        }
        let connections = connections();
        assert!(connections.len() >= 13, "{connections:?}");
        for [of, field] in &connections {
            let (open, at) = match of.as_str() {
                "Query" => (String::new(), format!("/{field}")),
                "Lead" => (format!("lead(id: \"{lead}\") {{"), format!("/lead/{field}")),
                "MarketingList" => (format!("marketingList(id: \"{list}\") {{"), format!("/marketingList/{field}")),
                _ => panic!("say here where a {of} is whose {field} has pages"),
            };
            let close = "}".repeat(1 + usize::from(!open.is_empty()));
            let counted = of == "Lead" && ["comments", "tasks"].contains(&field.as_str());
            let count = if counted { "totalCount" } else { "" };
            let info = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
            let page = async |arguments: &str| {
                let document = format!("{{ {open} {field}({arguments}) {{ {count} edges {{ cursor }} {info} }} {close}");
                vendor.query(&document, json!({})).await
            };
            let whole = page("first: 100").await.ok().at(&at).clone();
            let all = whole["edges"].as_array().expect("edges");
            assert!(all.len() >= 2, "{of}.{field} has too little to show anything");
            let cursor = |edge: Option<&Value>| edge.expect("an entry")["cursor"].as_str().expect("a cursor").to_owned();
            let (start, end) = (cursor(all.first()), cursor(all.last()));
            for (arguments, next, previous) in [
                ("first: 0".to_owned(), true, false),
                ("last: 0".to_owned(), false, true),
                (format!("first: 0, after: \"{start}\""), true, true),
                (format!("first: 0, after: \"{end}\""), false, true),
                (format!("last: 0, before: \"{start}\""), true, false),
                (format!("last: 0, before: \"{end}\""), true, true),
                (format!("first: 0, after: \"{start}\", before: \"{start}\""), false, true),
                ("first: 0, after: \"\", before: \"\"".to_owned(), true, false),
            ] {
                let info = json!({ "hasNextPage": next, "hasPreviousPage": previous, "startCursor": null, "endCursor": null });
                let mut expected = json!({ "edges": [], "pageInfo": info });
                if counted {
                    expected["totalCount"] = json!(all.len());
                }
                assert_eq!(page(&arguments).await.ok().at(&at), &expected, "{of}.{field}({arguments})");
            }
            for (end, empty) in [("first: 2", "after: \"\""), ("first: 2", "after: \"\", before: \"\""), ("last: 2", "before: \"\"")] {
                let (with, without) = (page(&format!("{end}, {empty}")).await.ok(), page(end).await.ok());
                assert_eq!(without.list_at(&format!("{at}/edges")).len(), 2);
                assert_eq!(with.data, without.data, "{of}.{field}({end}, {empty})");
            }
            for (arguments, at) in [
                ("first: -1", "first"), ("last: -1", "last"), ("first: 101", "first"), ("last: 101", "last"), ("first: 0, last: 0", "last"),
            ] {
                let refused = page(arguments).await;
                assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", at), "{of}.{field}({arguments})");
            }
        }
        // In a list, where they come together; by variables, as clients send them.
        let document = "query($none: Int, $after: String) { leads(last: 2, before: $after) { edges { node { id
            comments(first: $none, after: $after) { totalCount edges { cursor } pageInfo { hasNextPage } }
            marketingLists(last: $none, before: $after) { edges { cursor } pageInfo { hasPreviousPage } } } } } }";
        let answer = vendor.query(document, json!({ "none": 0, "after": "" })).await.ok();
        let nodes: Vec<_> = answer.list_at("/leads/edges").iter().map(|edge| &edge["node"]).collect();
        assert_eq!((nodes.len(), &nodes[1]["id"]), (2, &json!(lead)));
        for (node, comments, more, lists) in [(nodes[0], 0, false, true), (nodes[1], 3, true, true)] {
            assert_eq!(node["comments"], json!({ "totalCount": comments, "edges": [], "pageInfo": { "hasNextPage": more } }));
            assert_eq!(node["marketingLists"], json!({ "edges": [], "pageInfo": { "hasPreviousPage": lists } }));
        }
        // A page of none takes no more statements than one of one, and nothing of an entry is loaded.
        let statements = async |first: i32| {
            let document = format!("{{ leads(first: {first}) {{ edges {{ node {{ partnership {{ id }} openTaskCount }} }} }} }}");
            let db = world.server().service().db();
            let mut least = u64::MAX;
            for _ in 0..5 {
                let before = db.statements();
                vendor.query(&document, json!({})).await.ok();
                least = least.min(db.statements() - before);
            }
            least
        };
        assert_eq!((statements(0).await, statements(1).await), (1, 3));
    }

    async fn an_entry_that_comes_while_one_reads_moves_nothing(world: World) {
        let vendor = world.as_("acme", "SALES");
        let create = async |title: &str| {
            world.clock.advance(TimeDelta::milliseconds(1));
            made(&vendor, "createLead", json!({ "title": title, "customer": { "company": "B" } }), "lead").await
        };
        let mut made = Vec::new();
        for title in ["A", "B", "C", "D"] {
            made.push(create(title).await);
        }
        let list = List::of(&vendor, "{ leads", "/leads", "");
        let first = list.page("first: 2").await;
        create("E").await;
        let second = list.page(&format!("first: 2 after: \"{}\"", first.end.expect("a cursor"))).await;
        let read: Vec<_> = first.ids.into_iter().chain(second.ids).rev().collect();
        assert_eq!(read, made);
    }
}
