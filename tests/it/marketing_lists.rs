//! Marketing lists (mission C9): a company's own lists of leads, which the other side never learns of.

use chrono::TimeDelta;
use cosell::store::db::{Db, PoolSize};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};

use crate::lists::List;
use crate::on_both_databases;
use crate::support::rows::Rows;
use crate::support::world::{Person, World};

const LIST: &str = "query($id: ID!) { marketingList(id: $id) { id name archived leadCount version createdAt updatedAt \
    createdBy { id } leads { edges { addedAt addedBy { id } node { id title } } } } }";
const OF_LEAD: &str = "query($id: ID!) { lead(id: $id) { version updatedAt \
    marketingLists { edges { addedAt addedBy { id } node { id name } } } } }";

async fn made(person: &Person, mutation: &str, input: Value, what: &str) -> String {
    let answer = person.mutate(mutation, input, &format!("{what} {{ id }}")).await.ok();
    answer.text_at(&format!("/{mutation}/{what}/id")).to_owned()
}

async fn list_of(person: &Person, name: &str) -> String {
    made(person, "createMarketingList", json!({ "name": name }), "list").await
}

async fn internal_lead(person: &Person, title: &str) -> String {
    made(person, "createLead", json!({ "title": title, "customer": { "company": "Initrode" } }), "lead").await
}

/// Puts a lead on a list, and says how many are on it.
async fn add(person: &Person, list: &str, lead: &str) -> Value {
    let input = json!({ "listId": list, "leadId": lead });
    let added = person.mutate("addToMarketingList", input, "list { id leadCount } lead { id }").await.ok();
    assert_eq!(added.text_at("/addToMarketingList/list/id"), list);
    assert_eq!(added.text_at("/addToMarketingList/lead/id"), lead);
    added.at("/addToMarketingList/list/leadCount").clone()
}

async fn remove(person: &Person, list: &str, lead: &str) -> Value {
    let input = json!({ "listId": list, "leadId": lead });
    let removed = person.mutate("removeFromMarketingList", input, "list { leadCount } lead { id }").await.ok();
    assert_eq!(removed.text_at("/removeFromMarketingList/lead/id"), lead);
    removed.at("/removeFromMarketingList/list/leadCount").clone()
}

/// The ids of the leads on a list, in their order.
async fn leads_on(person: &Person, list: &str) -> Vec<String> {
    let found = person.query(LIST, json!({ "id": list })).await.ok();
    ids(found.list_at("/marketingList/leads/edges"))
}

/// The ids of the lists that a lead is on, in their order.
async fn lists_with(person: &Person, lead: &str) -> Vec<String> {
    let found = person.query(OF_LEAD, json!({ "id": lead })).await.ok();
    ids(found.list_at("/lead/marketingLists/edges"))
}

/// The names of the company's lists, the newest first.
async fn names(person: &Person, filter: &str) -> Vec<String> {
    let document = format!("{{ marketingLists{filter} {{ edges {{ node {{ name }} }} }} }}");
    let found = person.query(&document, json!({})).await.ok();
    let edges = found.list_at("/marketingLists/edges").iter();
    edges.map(|edge| edge["node"]["name"].as_str().expect("a name").to_owned()).collect()
}

fn ids(edges: &[Value]) -> Vec<String> {
    edges.iter().map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()).collect()
}

/// What the company's log says of its lists, the oldest first.
async fn told(person: &Person) -> Vec<Value> {
    const TOLD: &str =
        "{ activity(first: 100, filter: { kind: [MARKETING_LIST_CHANGED, LEAD_MARKETING_LIST_CHANGED] }) {
        edges { node { __typename actor { ... on Member { id } } lead { id }
            ... on MarketingListChanged { list { id } listChange name nameBefore }
            ... on LeadMarketingListChanged { list { id } added } } } } }";
    let found = person.query(TOLD, json!({})).await.ok();
    found.list_at("/activity/edges").iter().rev().map(|edge| edge["node"].clone()).collect()
}

/// Sets the flag that a deactivation sets, for one company's view of a lead.
async fn set_active(world: &World, company: &str, active: bool) {
    let connection = sea_orm::Database::connect(&world.database.url).await.expect("it takes connections");
    let sql = format!(
        "UPDATE lead_view SET active = {active} WHERE company_id = (SELECT id FROM company WHERE slug = '{company}')"
    );
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.execute_raw(statement).await.expect("it is set");
}

on_both_databases! {
    async fn names_from_before_are_compared_as_new_ones_are(world: World) {
        let sales = world.as_("acme", "SALES");
        let (first, second, third) =
            (list_of(&sales, "Zoë").await, list_of(&sales, "Another").await, list_of(&sales, "Straße").await);
        let other = list_of(&world.as_("globex", "SALES"), "Zoë").await;
        let connection = sea_orm::Database::connect(&world.database.url).await.expect("it takes connections");
        for sql in [
            "DROP INDEX match_key_by_lead", "CREATE INDEX match_key_by_lead ON match_key (lead_id, company_id)",
            "ALTER TABLE match_key DROP COLUMN protected_until", "ALTER TABLE template DROP COLUMN duplicate_protection",
            "DELETE FROM seaql_migrations WHERE version = 'm20261128_000003_text'",
            // As they were written then: in lower case, and in any form.
            "UPDATE marketing_list SET name = 'Zoe\u{308}', name_key = 'zoe\u{308}' WHERE name = 'Another'",
            "UPDATE marketing_list SET name_key = 'straße' WHERE name = 'Straße'",
        ] {
            connection.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        let db = Db::connect(&world.database.url, PoolSize { connections: 1, ..PoolSize::default() }).await.expect("a database");
        db.migrate().await.expect("the migrations run");
        db.close().await;
        let world = world.restart().await;
        let sales = world.as_("acme", "SALES");
        for taken in ["ZOË", "zoe\u{308}", "STRASSE", "Z\u{200b}oë"] {
            let refused = sales.mutate("createMarketingList", json!({ "name": taken }), "__typename").await;
            assert_eq!((refused.code(), refused.field()), ("DUPLICATE", "input.name"), "{taken}");
        }
        // Both lists of the same name are there as they were, until they are renamed.
        for (list, name) in [(&first, "Zoë"), (&second, "Zoe\u{308}"), (&third, "Straße")] {
            let found = sales.query(LIST, json!({ "id": list })).await.ok();
            assert_eq!(found.text_at("/marketingList/name"), name);
        }
        made(&sales, "archiveMarketingList", json!({ "listId": second }), "list").await;
        let refused = sales.mutate("restoreMarketingList", json!({ "listId": second }), "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("DUPLICATE", "input.listId"));
        made(&sales, "renameMarketingList", json!({ "listId": first, "name": "Zoe" }), "list").await;
        made(&sales, "restoreMarketingList", json!({ "listId": second }), "list").await;
        let found = world.as_("globex", "SALES").query(LIST, json!({ "id": other })).await.ok();
        assert_eq!(found.text_at("/marketingList/name"), "Zoë");
    }

    async fn sales_and_managers_keep_lists_of_leads(world: World) {
        let (sales, manager) = (world.as_("acme", "SALES"), world.as_("acme", "MANAGER"));
        let (clerk, boss) = (sales.id().await, manager.id().await);
        let fair = sales.mutate("createMarketingList", json!({ "name": "  Spring fair " }), "list { id name archived leadCount version createdAt updatedAt createdBy { id } leads { edges { cursor } } }");
        let fair = fair.await.ok().at("/createMarketingList/list").clone();
        assert_eq!((&fair["name"], &fair["archived"], &fair["leadCount"]), (&json!("Spring fair"), &json!(false), &json!(0)));
        assert_eq!((&fair["version"], &fair["createdBy"]["id"]), (&json!(1), &json!(clerk)));
        assert_eq!((&fair["createdAt"], &fair["updatedAt"]), (&json!("2026-03-02T09:00:00.000Z"), &json!("2026-03-02T09:00:00.000Z")));
        assert_eq!(fair["leads"]["edges"], json!([]));
        let fair = fair["id"].as_str().expect("an id").to_owned();
        world.clock.advance(TimeDelta::minutes(1));
        let news = list_of(&manager, "Newsletter").await;
        assert_eq!(names(&sales, "").await, ["Newsletter", "Spring fair"], "the newest first");

        let (first, second) = (internal_lead(&sales, "First").await, internal_lead(&sales, "Second").await);
        assert_eq!(add(&sales, &fair, &second).await, 1);
        world.clock.advance(TimeDelta::minutes(1));
        assert_eq!(add(&manager, &fair, &first).await, 2);
        world.clock.advance(TimeDelta::minutes(1));
        assert_eq!(add(&manager, &news, &first).await, 1);
        let found = sales.query(LIST, json!({ "id": fair })).await.ok();
        let found = found.at("/marketingList");
        assert_eq!(found["leads"]["edges"], json!([
            { "addedAt": "2026-03-02T09:01:00.000Z", "addedBy": { "id": clerk }, "node": { "id": second, "title": "Second" } },
            { "addedAt": "2026-03-02T09:02:00.000Z", "addedBy": { "id": boss }, "node": { "id": first, "title": "First" } },
        ]));
        assert_eq!((&found["leadCount"], &found["version"]), (&json!(2), &json!(1)), "who is on it is no change of the list");
        assert_eq!(found["updatedAt"], "2026-03-02T09:00:00.000Z");
        let of_lead = sales.query(OF_LEAD, json!({ "id": first })).await.ok();
        assert_eq!(of_lead.at("/lead/marketingLists/edges"), &json!([
            { "addedAt": "2026-03-02T09:02:00.000Z", "addedBy": { "id": boss }, "node": { "id": fair, "name": "Spring fair" } },
            { "addedAt": "2026-03-02T09:03:00.000Z", "addedBy": { "id": boss }, "node": { "id": news, "name": "Newsletter" } },
        ]));
        assert_eq!(of_lead.at("/lead/version"), 1, "the lead itself has not changed");
        assert_eq!(of_lead.at("/lead/updatedAt"), "2026-03-02T09:01:00.000Z");

        let input = json!({ "listId": fair, "name": "Autumn fair", "expectedVersion": 1 });
        let renamed = manager.mutate("renameMarketingList", input, "list { name version updatedAt leadCount }").await.ok();
        let expected = json!({ "name": "Autumn fair", "version": 2, "updatedAt": "2026-03-02T09:03:00.000Z", "leadCount": 2 });
        assert_eq!(renamed.at("/renameMarketingList/list"), &expected);
        assert_eq!(remove(&sales, &fair, &second).await, 1);
        assert_eq!(leads_on(&sales, &fair).await, [first.as_str()]);
        assert_eq!(lists_with(&sales, &second).await, [""; 0]);

        let archived = sales.mutate("archiveMarketingList", json!({ "listId": fair, "expectedVersion": 2 }), "list { archived version leadCount }").await.ok();
        assert_eq!(archived.at("/archiveMarketingList/list"), &json!({ "archived": true, "version": 3, "leadCount": 1 }));
        assert_eq!(names(&sales, "").await, ["Newsletter"]);
        assert_eq!(names(&sales, "(filter: { archived: false })").await, ["Newsletter"]);
        assert_eq!(names(&sales, "(filter: { archived: true })").await, ["Autumn fair"]);
        assert_eq!(lists_with(&sales, &first).await, [news.as_str()], "what is in the archive is left out");
        assert_eq!(leads_on(&sales, &fair).await, [first.as_str()], "the archive keeps who was on it");
        let restored = manager.mutate("restoreMarketingList", json!({ "listId": fair, "expectedVersion": 3 }), "list { archived version leadCount }").await.ok();
        assert_eq!(restored.at("/restoreMarketingList/list"), &json!({ "archived": false, "version": 4, "leadCount": 1 }));
        assert_eq!(lists_with(&sales, &first).await, [fair.as_str(), news.as_str()]);

        let list = |id: &str, actor: &str, change: &str, name: &str, before: Value| json!({
            "__typename": "MarketingListChanged", "actor": { "id": actor }, "lead": null,
            "list": { "id": id }, "listChange": change, "name": name, "nameBefore": before,
        });
        let lead = |id: &str, actor: &str, lead: &str, added: bool| json!({
            "__typename": "LeadMarketingListChanged", "actor": { "id": actor }, "lead": { "id": lead },
            "list": { "id": id }, "added": added,
        });
        assert_eq!(told(&sales).await, [
            list(&fair, &clerk, "CREATED", "Spring fair", Value::Null),
            list(&news, &boss, "CREATED", "Newsletter", Value::Null),
            lead(&fair, &clerk, &second, true),
            lead(&fair, &boss, &first, true),
            lead(&news, &boss, &first, true),
            list(&fair, &boss, "RENAMED", "Autumn fair", json!("Spring fair")),
            lead(&fair, &clerk, &second, false),
            list(&fair, &clerk, "ARCHIVED", "Autumn fair", Value::Null),
            list(&fair, &boss, "RESTORED", "Autumn fair", Value::Null),
        ]);
        let of_lead = "query($id: ID!) { lead(id: $id) { activity { edges { node { __typename } } } } }";
        let of_lead = sales.query(of_lead, json!({ "id": second })).await.ok();
        let kinds: Vec<_> = of_lead.list_at("/lead/activity/edges").iter().map(|edge| edge["node"]["__typename"].clone()).collect();
        // Both leads are of the same customer.
        assert_eq!(kinds, [
            "LeadMarketingListChanged",
            "LeadMarketingListChanged",
            "LeadDuplicatesFound",
            "LeadCreated",
        ]);
        let node = sales.query("query($id: ID!) { node(id: $id) { __typename ... on MarketingList { name } } }", json!({ "id": fair })).await.ok();
        assert_eq!(node.at("/node"), &json!({ "__typename": "MarketingList", "name": "Autumn fair" }));
    }

    async fn a_lead_is_listed_in_any_state_and_on_either_side(world: World) {
        let (here, there) = (world.partnership("acme", "globex").await, world.partnership("acme", "initech").await);
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let (ours, theirs) = (list_of(&vendor, "Ours").await, list_of(&partner, "Theirs").await);
        let mut ours_expected = Vec::new();
        let mut theirs_expected = Vec::new();
        let states = ["new", "pending", "accepted", "declined", "closed_converted", "closed_not_converted", "withdrawn", "expired", "passed on"];
        for state in states {
            let lead = if state == "new" {
                internal_lead(&vendor, state).await
            } else {
                world.shared_lead("acme", &here, state).await
            };
            let only = json!({ "leadId": lead });
            if ["accepted", "closed_converted", "closed_not_converted"].contains(&state) {
                made(&partner, "acceptLead", only.clone(), "lead").await;
            }
            match state {
                "declined" => drop(made(&partner, "declineLead", json!({ "leadId": lead, "reason": "No" }), "lead").await),
                "closed_converted" => drop(made(&partner, "convertLead", json!({ "leadId": lead, "opportunity": {} }), "lead").await),
                "closed_not_converted" => drop(made(&partner, "closeLead", only, "lead").await),
                "withdrawn" => drop(made(&vendor, "withdrawLead", only, "lead").await),
                "passed on" => drop(made(&vendor, "shareLead", json!({ "leadId": lead, "partnershipId": there }), "lead").await),
                _ => {}
            }
            if state == "expired" {
                // Alone past its limit, and that not recorded yet.
                world.clock.advance(TimeDelta::days(8));
            }
            let seen = vendor.query("query($id: ID!) { lead(id: $id) { stage { key } } }", json!({ "id": lead })).await.ok();
            let expected = if state == "passed on" { "pending" } else { state };
            assert_eq!(seen.at("/lead/stage/key"), expected);
            add(&vendor, &ours, &lead).await;
            ours_expected.push(lead.clone());
            if state != "new" {
                // The receiver's own list takes what it sees, be it frozen.
                add(&partner, &theirs, &lead).await;
                theirs_expected.push(lead);
            }
        }
        assert_eq!(leads_on(&vendor, &ours).await, ours_expected);
        assert_eq!(leads_on(&partner, &theirs).await, theirs_expected);
        // What the receiver gets a second time is on its list still.
        let withdrawn = &ours_expected[6];
        assert_eq!(states[6], "withdrawn");
        made(&vendor, "shareLead", json!({ "leadId": withdrawn, "partnershipId": here }), "lead").await;
        assert_eq!(lists_with(&partner, withdrawn).await, [theirs.as_str()]);
        assert_eq!(leads_on(&partner, &theirs).await, theirs_expected);
        for (count, lead) in ours_expected.iter().enumerate().rev() {
            assert_eq!(remove(&vendor, &ours, lead).await, count);
        }
        let frozen = theirs_expected.last().expect("a lead");
        assert_eq!(remove(&partner, &theirs, frozen).await, theirs_expected.len() - 1);
    }

    async fn every_member_of_the_company_reads_its_lists(world: World) {
        let sales = world.as_("acme", "SALES");
        let (list, lead) = (list_of(&sales, "Spring fair").await, internal_lead(&sales, "First").await);
        add(&sales, &list, &lead).await;
        for role in ["ADMIN", "SALES", "MARKETEER", "MANAGER", "INTEGRATION", "VIEWER"] {
            let person = world.as_("acme", role);
            assert_eq!(names(&person, "").await, ["Spring fair"], "{role}");
            assert_eq!(leads_on(&person, &list).await, [lead.as_str()], "{role}");
            assert_eq!(lists_with(&person, &lead).await, [list.as_str()], "{role}");
            assert_eq!(told(&person).await.len(), 2, "{role}");
        }
    }

    async fn the_other_side_never_learns_of_a_list(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner, stranger) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"), world.as_("umbrella", "SALES"));
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let other = list_of(&partner, "Spring fair").await;
        stranger.id().await;
        // All that the receiver can read of the lead, of its own log and of its lists.
        let everything = "query($id: ID!) { lead(id: $id) { version updatedAt openTaskCount marketingLists { edges { cursor } pageInfo { hasNextPage } }
            comments { totalCount } tasks { totalCount } activity { edges { cursor node { id __typename } } } }
            activity(first: 100) { edges { cursor node { id __typename } } } tasks { edges { cursor } }
            leads { edges { cursor node { version updatedAt } } } marketingLists { edges { cursor node { name leadCount version leads { edges { cursor } } } } } }";
        let before = partner.query(everything, json!({ "id": lead })).await.ok();
        assert_eq!(before.at("/lead/marketingLists/edges"), &json!([]));
        let mut socket = partner.socket().await;
        let mut feed = socket.subscribe("subscription { activity { __typename } }", json!({})).await;
        let mut changed = socket.subscribe("subscription { leadChanged { id } }", json!({})).await;
        let mut own = vendor.socket().await;
        let mut own_feed = own.subscribe("subscription($id: ID!) { activity(leadId: $id) { __typename } }", json!({ "id": lead })).await;
        let mut own_changed = own.subscribe("subscription($id: ID!) { leadChanged(leadId: $id) { title } }", json!({ "id": lead })).await;
        let rows = Rows::of(&world.database).await;
        let snapshot = rows.now().await;

        // The same name as the other side's, which is no clash.
        let list = list_of(&vendor, "Spring fair").await;
        add(&vendor, &list, &lead).await;
        remove(&vendor, &list, &lead).await;
        add(&vendor, &list, &lead).await;
        made(&vendor, "renameMarketingList", json!({ "listId": list, "name": "Autumn fair" }), "list").await;
        made(&vendor, "archiveMarketingList", json!({ "listId": list }), "list").await;
        made(&vendor, "restoreMarketingList", json!({ "listId": list }), "list").await;

        let after = rows.now().await;
        let touched: Vec<_> = snapshot.iter().filter(|(table, before)| after[*table] != **before).map(|(table, _)| table.as_str()).collect();
        assert_eq!(touched, ["company_feed", "event", "marketing_list", "marketing_list_lead"], "no row of the lead is touched");
        let now = partner.query(everything, json!({ "id": lead })).await.ok();
        assert_eq!(now.data, before.data);
        for person in [&partner, &stranger] {
            assert_eq!(told(person).await.iter().filter(|event| event["list"]["id"] == list.as_str()).count(), 0);
            assert!(!names(person, "").await.contains(&"Autumn fair".to_owned()));
            let missing = person.query(LIST, json!({ "id": list })).await;
            assert_eq!((missing.code(), missing.field()), ("NOT_FOUND", "id"));
            let missing = person.query("query($id: ID!) { node(id: $id) { id } }", json!({ "id": list })).await;
            assert_eq!((missing.code(), missing.field()), ("NOT_FOUND", "id"));
            for (mutation, input) in [
                ("addToMarketingList", json!({ "listId": list, "leadId": lead })),
                ("removeFromMarketingList", json!({ "listId": list, "leadId": lead })),
                ("renameMarketingList", json!({ "listId": list, "name": "Mine" })),
                ("archiveMarketingList", json!({ "listId": list })),
                ("restoreMarketingList", json!({ "listId": list })),
            ] {
                let refused = person.mutate(mutation, input, "__typename").await;
                assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", "input.listId"), "{mutation}");
            }
        }
        // A stranger's list takes no lead that it does not see.
        let strange = list_of(&stranger, "Strangers").await;
        let refused = stranger.mutate("addToMarketingList", json!({ "listId": strange, "leadId": lead }), "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", "input.leadId"));
        // Each side has its own, and neither is in the other's.
        add(&partner, &other, &lead).await;
        assert_eq!(lists_with(&vendor, &lead).await, [list.as_str()]);
        assert_eq!(lists_with(&partner, &lead).await, [other.as_str()]);

        // Nothing of all this came to the other side; its own did, and after it what both are told.
        let input = json!({ "leadId": lead, "title": "Fifty seats" });
        let data = feed.next().await;
        assert_eq!(data["activity"]["__typename"], "LeadMarketingListChanged");
        feed.nothing_until(vendor.mutate("updateLead", input, "lead { id }"), |data| data["activity"]["__typename"] == "LeadUpdated").await;
        assert_eq!(changed.next().await["leadChanged"]["id"], lead.as_str());
        // In the own company's feed it is told, and it is no change of the lead.
        for expected in ["LeadMarketingListChanged", "LeadMarketingListChanged", "LeadMarketingListChanged", "LeadUpdated"] {
            assert_eq!(own_feed.next().await["activity"]["__typename"], expected);
        }
        assert_eq!(own_changed.next().await["leadChanged"]["title"], "Fifty seats");
        assert!(changed.is_silent() && own_changed.is_silent());
    }

    async fn what_is_so_already_is_done_already(world: World) {
        let sales = world.as_("acme", "SALES");
        let (list, lead) = (list_of(&sales, "Spring fair").await, internal_lead(&sales, "First").await);
        assert_eq!(remove(&sales, &list, &lead).await, 0);
        assert_eq!(add(&sales, &list, &lead).await, 1);
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        world.clock.advance(TimeDelta::minutes(1));
        assert_eq!(add(&sales, &list, &lead).await, 1);
        made(&sales, "restoreMarketingList", json!({ "listId": list }), "list").await;
        made(&sales, "renameMarketingList", json!({ "listId": list, "name": " Spring fair" }), "list").await;
        rows.unchanged_since(&before, "what was so already").await;
        made(&sales, "archiveMarketingList", json!({ "listId": list }), "list").await;
        let before = rows.now().await;
        made(&sales, "archiveMarketingList", json!({ "listId": list }), "list").await;
        rows.unchanged_since(&before, "an archive of what is in the archive").await;
    }

    async fn a_list_in_the_archive_is_only_restored(world: World) {
        let sales = world.as_("acme", "SALES");
        let (list, lead, other) = (list_of(&sales, "Spring fair").await, internal_lead(&sales, "First").await, internal_lead(&sales, "Other").await);
        add(&sales, &list, &lead).await;
        made(&sales, "archiveMarketingList", json!({ "listId": list }), "list").await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        for (mutation, input) in [
            ("renameMarketingList", json!({ "listId": list, "name": "Autumn fair" })),
            ("addToMarketingList", json!({ "listId": list, "leadId": other })),
            ("addToMarketingList", json!({ "listId": list, "leadId": lead })),
            ("removeFromMarketingList", json!({ "listId": list, "leadId": lead })),
        ] {
            let refused = sales.mutate(mutation, input, "__typename").await;
            assert_eq!((refused.code(), refused.field()), ("INVALID_TRANSITION", "input.listId"), "{mutation}");
            assert_eq!(refused.extension("stage"), "ARCHIVED");
        }
        rows.unchanged_since(&before, "what was refused").await;
        // Its name is free meanwhile; then it can't come back.
        let second = list_of(&sales, "SPRING  FAIR").await;
        let refused = sales.mutate("restoreMarketingList", json!({ "listId": list }), "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("DUPLICATE", "input.listId"));
        made(&sales, "renameMarketingList", json!({ "listId": second, "name": "Autumn fair" }), "list").await;
        made(&sales, "restoreMarketingList", json!({ "listId": list }), "list").await;
        assert_eq!(names(&sales, "").await, ["Autumn fair", "Spring fair"]);
        assert_eq!(remove(&sales, &list, &lead).await, 0);
    }

    async fn a_deactivated_lead_is_taken_off_and_not_put_on(world: World) {
        let sales = world.as_("acme", "SALES");
        let (list, listed, lead) = (list_of(&sales, "Spring fair").await, internal_lead(&sales, "Listed").await, internal_lead(&sales, "First").await);
        add(&sales, &list, &listed).await;
        set_active(&world, "acme", false).await;
        let refused = sales.mutate("addToMarketingList", json!({ "listId": list, "leadId": lead }), "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("LEAD_INACTIVE", "input.leadId"));
        assert_eq!(leads_on(&sales, &list).await, [listed.as_str()]);
        assert_eq!(remove(&sales, &list, &listed).await, 0);
        set_active(&world, "acme", true).await;
        assert_eq!(add(&sales, &list, &lead).await, 1);
    }

    async fn bad_input_is_told_all_at_once(world: World) {
        let sales = world.as_("acme", "SALES");
        let (list, lead) = (list_of(&sales, "Spring fair").await, internal_lead(&sales, "First").await);
        let second = list_of(&sales, "Second").await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let long = "x".repeat(101);
        for (name, code) in [
            ("", "REQUIRED"), (" \u{200b}\t", "REQUIRED"), (long.as_str(), "INVALID_INPUT"), ("two\nlines", "INVALID_INPUT"),
            ("nul\u{0}", "INVALID_INPUT"), ("turned \u{202e}around", "INVALID_INPUT"), ("SPRING FAIR", "DUPLICATE"), ("spring \u{a0} fair", "DUPLICATE"), ("ｓｐｒｉｎｇ fa\u{200b}ir", "DUPLICATE"),
        ] {
            let refused = sales.mutate("createMarketingList", json!({ "name": name }), "__typename").await;
            assert_eq!((refused.code(), refused.field()), (code, "input.name"), "{name:?}");
            let refused = sales.mutate("renameMarketingList", json!({ "listId": second, "name": name }), "__typename").await;
            assert_eq!((refused.code(), refused.field()), (code, "input.name"), "{name:?}");
        }
        let refused = sales.mutate("createMarketingList", json!({ "name": "", "idempotencyKey": "" }), "__typename").await;
        assert_eq!(refused.faults(), [("REQUIRED", "input.idempotencyKey"), ("REQUIRED", "input.name")]);
        let refused = sales.mutate("renameMarketingList", json!({ "listId": lead, "name": long }), "__typename").await;
        assert_eq!(refused.faults(), [("INVALID_INPUT", "input.listId"), ("INVALID_INPUT", "input.name")]);
        for mutation in ["addToMarketingList", "removeFromMarketingList"] {
            let refused = sales.mutate(mutation, json!({ "listId": lead, "leadId": list }), "__typename").await;
            assert_eq!(refused.faults(), [("INVALID_INPUT", "input.listId"), ("INVALID_INPUT", "input.leadId")]);
        }
        for mutation in ["renameMarketingList", "archiveMarketingList", "restoreMarketingList"] {
            let mut input = json!({ "listId": list, "expectedVersion": 7 });
            if mutation == "renameMarketingList" {
                input["name"] = json!("Autumn fair");
            }
            let refused = sales.mutate(mutation, input, "__typename").await;
            assert_eq!((refused.code(), refused.field()), ("CONFLICT", "input.expectedVersion"), "{mutation}");
            assert_eq!(refused.extension("version"), 1, "{mutation}");
        }
        let refused = sales.query("{ marketingLists(first: 101) { edges { cursor } } }", json!({})).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "first"));
        for arguments in ["first: -1", "first: 1, last: 1", "after: \"x\""] {
            let document = format!("query($id: ID!) {{ marketingList(id: $id) {{ leads({arguments}) {{ edges {{ cursor }} }} }} }}");
            assert_eq!(sales.query(&document, json!({ "id": list })).await.code(), "INVALID_INPUT", "{arguments}");
            let document = format!("query($id: ID!) {{ lead(id: $id) {{ marketingLists({arguments}) {{ edges {{ cursor }} }} }} }}");
            assert_eq!(sales.query(&document, json!({ "id": lead })).await.code(), "INVALID_INPUT", "{arguments}");
        }
        rows.unchanged_since(&before, "what was refused").await;
        // 100 characters are not too many, and a list may take back its own name in other letters.
        list_of(&sales, &"ä".repeat(100)).await;
        made(&sales, "renameMarketingList", json!({ "listId": list, "name": "SPRING fair" }), "list").await;
        assert!(names(&sales, "").await.contains(&"SPRING fair".to_owned()));
    }

    async fn lists_and_what_is_on_them_come_from_either_end(world: World) {
        let sales = world.as_("acme", "SALES");
        let (main, star) = (list_of(&sales, "Main").await, internal_lead(&sales, "Star").await);
        add(&sales, &main, &star).await;
        let (mut lists, mut leads) = (vec![main.clone()], vec![star.clone()]);
        for i in 0..12 {
            // Ties: three of the same moment.
            if i % 3 == 0 {
                world.clock.advance(TimeDelta::milliseconds(1));
            }
            let (list, lead) = (list_of(&sales, &format!("List {i}")).await, internal_lead(&sales, &format!("Lead {i}")).await);
            add(&sales, &main, &lead).await;
            add(&sales, &list, &star).await;
            lists.push(list);
            leads.push(lead);
        }
        let on = List { person: &sales, before: "query($id: ID!) { marketingList(id: $id) { leads", after: "} }", arguments: "", at: "/marketingList/leads", variables: json!({ "id": main }) };
        assert_eq!(on.whole().await, leads);
        let with = List { person: &sales, before: "query($id: ID!) { lead(id: $id) { marketingLists", after: "} }", arguments: "", at: "/lead/marketingLists", variables: json!({ "id": star }) };
        assert_eq!(with.whole().await, lists);
        let newest: Vec<_> = lists.iter().rev().cloned().collect();
        assert_eq!(List::of(&sales, "{ marketingLists", "/marketingLists", "").whole().await, newest);
        for list in &lists[5..] {
            made(&sales, "archiveMarketingList", json!({ "listId": list }), "list").await;
        }
        assert_eq!(List::of(&sales, "{ marketingLists", "/marketingLists", "").whole().await, newest[8..]);
        assert_eq!(List::of(&sales, "{ marketingLists", "/marketingLists", "filter: { archived: true }").whole().await, newest[..8]);
        assert_eq!(with.whole().await, lists[..5]);
        // A cursor is of its own list alone.
        let cursors = "query($list: ID!, $lead: ID!) { marketingList(id: $list) { leads { pageInfo { endCursor } } }
            lead(id: $lead) { marketingLists { pageInfo { endCursor } } } marketingLists { pageInfo { endCursor } } }";
        let cursors = sales.query(cursors, json!({ "list": main, "lead": star })).await.ok();
        let of = |at: &str| cursors.text_at(&format!("{at}/pageInfo/endCursor")).to_owned();
        let of_leads = of("/marketingList/leads");
        for cursor in [&of_leads, &of("/lead/marketingLists")] {
            let refused = sales.query("query($after: String) { marketingLists(after: $after) { edges { cursor } } }", json!({ "after": cursor })).await;
            assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "after"));
        }
        let document = "query($id: ID!, $after: String) { lead(id: $id) { marketingLists(after: $after) { edges { cursor } } } }";
        for cursor in [&of_leads, &of("/marketingLists")] {
            let refused = sales.query(document, json!({ "id": star, "after": cursor })).await;
            assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "after"));
        }
        // Nor of another company.
        let stranger = world.as_("umbrella", "SALES");
        let refused = stranger.query("query($after: String) { marketingLists(after: $after) { edges { cursor } } }", json!({ "after": of("/marketingLists") })).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "after"));
    }

    async fn a_page_of_leads_reads_their_lists_together(world: World) {
        let sales = world.as_("acme", "SALES");
        let lists = [list_of(&sales, "A").await, list_of(&sales, "B").await];
        for i in 0..10 {
            let lead = internal_lead(&sales, &format!("Lead {i}")).await;
            for list in &lists {
                add(&sales, list, &lead).await;
            }
        }
        // The least of several counts: what runs by the clock may send statements beside one of them.
        let statements = async |document: &str| {
            let db = world.server().service().db();
            let mut least = u64::MAX;
            for _ in 0..5 {
                let before = db.statements();
                sales.query(document, json!({})).await.ok();
                least = least.min(db.statements() - before);
            }
            least
        };
        let leads = |count| format!("{{ leads(first: {count}) {{ edges {{ node {{ marketingLists(last: 1) {{ edges {{ addedBy {{ name }} node {{ name }} }} }} }} }} }} }}");
        assert_eq!(statements(&leads(10)).await, statements(&leads(2)).await);
        let lists = |count| format!("{{ marketingLists(first: {count}) {{ edges {{ node {{ leads(first: 3) {{ edges {{ addedBy {{ name }} node {{ title }} }} }} }} }} }} }}");
        assert_eq!(statements(&lists(2)).await, statements(&lists(1)).await);
        let found = sales.query(&leads(10), json!({})).await.ok();
        for edge in found.list_at("/leads/edges") {
            assert_eq!(edge["node"]["marketingLists"]["edges"][0]["node"]["name"], "B");
        }
        let found = sales.query(&lists(2), json!({})).await.ok();
        for edge in found.list_at("/marketingLists/edges") {
            let titles: Vec<_> = edge["node"]["leads"]["edges"].as_array().expect("edges").iter().map(|edge| edge["node"]["title"].clone()).collect();
            assert_eq!(titles, ["Lead 0", "Lead 1", "Lead 2"]);
        }
    }

    async fn those_who_add_or_remove_at_once_leave_one_event(world: World) {
        let (sales, manager) = (world.as_("acme", "SALES"), world.as_("acme", "MANAGER"));
        manager.id().await;
        let (list, lead) = (list_of(&sales, "Spring fair").await, internal_lead(&sales, "First").await);
        let calls = (0..8).map(|i| add(if i % 2 == 0 { &sales } else { &manager }, &list, &lead));
        assert_eq!(join_all(calls).await, vec![json!(1); 8]);
        assert_eq!(told(&sales).await.len(), 2);
        assert_eq!(leads_on(&sales, &list).await, [lead.as_str()]);
        let calls = (0..8).map(|i| remove(if i % 2 == 0 { &sales } else { &manager }, &list, &lead));
        assert_eq!(join_all(calls).await, vec![json!(0); 8]);
        assert_eq!(told(&sales).await.len(), 3);
        assert_eq!(leads_on(&sales, &list).await, [""; 0]);
        // Many leads at once: the count is right.
        let leads = join_all((0..8).map(|i| internal_lead(&sales, if i % 2 == 0 { "Even" } else { "Odd" }))).await;
        let mut counts: Vec<_> = join_all(leads.iter().map(|lead| add(&sales, &list, lead))).await.iter().map(Value::as_i64).collect();
        counts.sort_unstable();
        assert_eq!(counts, (1..9).map(Some).collect::<Vec<_>>());
        assert_eq!(leads_on(&sales, &list).await.len(), 8);
    }

    async fn of_those_who_take_a_name_at_once_one_does(world: World) {
        let sales = world.as_("acme", "SALES");
        let create = |name: &'static str| sales.mutate("createMarketingList", json!({ "name": name }), "list { id }");
        let answers = join_all(["Fair", "FAIR", " fair", "fAIR"].map(create)).await;
        assert_eq!(answers.iter().filter(|answer| answer.errors.is_empty()).count(), 1);
        for refused in answers.iter().filter(|answer| !answer.errors.is_empty()) {
            assert_eq!((refused.code(), refused.field()), ("DUPLICATE", "input.name"));
        }
        let mut lists = Vec::new();
        for name in ["A", "B", "C", "D"] {
            lists.push(list_of(&sales, name).await);
        }
        let rename = |list: &String| sales.mutate("renameMarketingList", json!({ "listId": list, "name": "News" }), "list { id }");
        let answers = join_all(lists.iter().map(rename)).await;
        assert_eq!(answers.iter().filter(|answer| answer.errors.is_empty()).count(), 1);
        for refused in answers.iter().filter(|answer| !answer.errors.is_empty()) {
            assert_eq!((refused.code(), refused.field()), ("DUPLICATE", "input.name"));
        }
        assert_eq!(names(&sales, "").await.iter().filter(|name| *name == "News").count(), 1);
        // A version is good for one change.
        let seen = sales.query(LIST, json!({ "id": lists[0] })).await.ok();
        let version = seen.at("/marketingList/version");
        let rename = |name: &'static str| {
            let input = json!({ "listId": lists[0], "name": name, "expectedVersion": version });
            sales.mutate("renameMarketingList", input, "list { version }")
        };
        let answers = join_all(["E", "F", "G"].map(rename)).await;
        assert_eq!(answers.iter().filter(|answer| answer.errors.is_empty()).count(), 1);
        assert!(answers.iter().filter(|answer| !answer.errors.is_empty()).all(|answer| answer.code() == "CONFLICT"));
    }

    async fn a_repeated_creation_is_made_once(world: World) {
        let sales = world.as_("acme", "SALES");
        let input = json!({ "name": "Spring fair", "idempotencyKey": "k" });
        let calls = (0..6).map(|_| made(&sales, "createMarketingList", input.clone(), "list"));
        let lists = join_all(calls).await;
        assert!(lists.iter().all(|list| *list == lists[0]));
        assert_eq!(told(&sales).await.len(), 1);
        let other = json!({ "name": "Autumn fair", "idempotencyKey": "k" });
        let refused = sales.mutate("createMarketingList", other, "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("DUPLICATE", "input.idempotencyKey"));
        // A key of a call that was refused is free again.
        let taken = json!({ "name": "spring fair", "idempotencyKey": "free" });
        assert_eq!(sales.mutate("createMarketingList", taken, "__typename").await.field(), "input.name");
        made(&sales, "createMarketingList", json!({ "name": "Free", "idempotencyKey": "free" }), "list").await;
    }
}
