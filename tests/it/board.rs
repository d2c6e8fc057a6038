//! The board: counts and first pages by stage, which `leads` goes on from.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use cosell::domain::global_id::decode;
use cosell::domain::id::CompanyId;
use cosell::domain::workflow::definition::TrackKey;
use cosell::store::board::{Standing, counting, pages};
use cosell::store::lead::{LeadFilter, LeadSort, WorkflowKey};
use cosell::store::page::Window;
use cosell::store::scope::Scope;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::Kind;
use crate::support::http::Answer;
use crate::support::world::{BEGINNING, Person, World};

const BOARD: &str = "query($templateKey: String, $templateId: ID, $track: Track, $filter: LeadFilter, \
    $orderBy: LeadOrder, $first: Int) { leadBoard(templateKey: $templateKey, templateId: $templateId, \
    track: $track, filter: $filter, orderBy: $orderBy, first: $first) { template { id key } track total \
    columns { stage { key name track terminal } count leads { pageInfo { hasNextPage hasPreviousPage endCursor } \
    edges { cursor node { title stage { key } status { key } } } } } } }";
const LEADS: &str = "query($filter: LeadFilter, $orderBy: LeadOrder, $first: Int, $after: String) { \
    leads(filter: $filter, orderBy: $orderBy, first: $first, after: $after) { pageInfo { hasNextPage endCursor } \
    edges { node { title } } } }";

/// Much of each lead of a page.
const MUCH: &str = "edges { node { title stage { name } availableActions { key } partnership { id } openTaskCount \
    comments(last: 2) { edges { node { body } } } tasks(first: 2) { edges { node { title } } } } }";

async fn made(person: &Person, mutation: &str, input: Value, what: &str) -> String {
    let answer = person.mutate(mutation, input, &format!("{what} {{ id }}")).await.ok();
    answer.text_at(&format!("/{mutation}/{what}/id")).to_owned()
}

async fn lead_of(person: &Person, title: &str, rest: Value) -> String {
    let mut input = json!({ "title": title, "customer": { "company": "Initrode" } });
    rest.as_object().into_iter().flatten().for_each(|(key, value)| input[key] = value.clone());
    made(person, "createLead", input, "lead").await
}

/// The board, whose first argument may leave the track out.
async fn ask(person: &Person, mut variables: Value) -> Answer {
    if variables["track"].is_null() {
        variables["track"] = json!("STAGE");
    }
    person.query(BOARD, variables).await
}

async fn board(person: &Person, variables: Value) -> Value {
    ask(person, variables).await.ok().at("/leadBoard").clone()
}

fn titles(edges: &Value) -> Vec<String> {
    let edges = edges.as_array().expect("edges").iter();
    edges.map(|edge| edge["node"]["title"].as_str().expect("a title").to_owned()).collect()
}

/// The columns with leads as `stage: titles`, after a look at what holds of every board.
fn columns(board: &Value) -> Vec<(String, Vec<String>)> {
    let track = if board["track"] == "STATUS" { "status" } else { "stage" };
    let mut total = 0;
    let mut found = Vec::new();
    for column in board["columns"].as_array().expect("columns") {
        let (key, leads) = (&column["stage"]["key"], &column["leads"]);
        assert_eq!(column["stage"]["track"], board["track"]);
        let (count, titles) = (column["count"].as_u64().expect("a count"), titles(&leads["edges"]));
        let more = count > titles.len() as u64;
        assert_eq!(
            (&leads["pageInfo"]["hasNextPage"], &leads["pageInfo"]["hasPreviousPage"]),
            (&json!(more), &json!(false))
        );
        let edges = leads["edges"].as_array().expect("edges");
        for edge in edges {
            assert_eq!(&edge["node"][track]["key"], key, "a lead stands where its own fields say: {edge}");
        }
        assert_eq!(&leads["pageInfo"]["endCursor"], edges.last().map_or(&Value::Null, |edge| &edge["cursor"]));
        total += count;
        if count > 0 {
            found.push((key.as_str().expect("a key").to_owned(), titles));
        }
    }
    assert_eq!(board["total"], total);
    found
}

fn expected(columns: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let titles = |titles: &[&str]| titles.iter().map(|&title| title.to_owned()).collect();
    columns.iter().map(|(key, leads)| ((*key).to_owned(), titles(leads))).collect()
}

fn keys(board: &Value) -> Vec<&str> {
    let columns = board["columns"].as_array().expect("columns").iter();
    columns.map(|column| column["stage"]["key"].as_str().expect("a key")).collect()
}

/// Whom a column's leads come from after the first page: `leads`, with the same order.
async fn whole_column(person: &Person, board: &Value, place: usize, filter: &Value, order: &Value) -> Vec<String> {
    let column = &board["columns"][place];
    let by = if board["track"] == "STATUS" { "status" } else { "stage" };
    let mut filter = filter.clone();
    filter[by] = json!([column["stage"]["key"]]);
    filter["workflowOfTemplateId"] = board["template"]["id"].clone();
    let mut read = titles(&column["leads"]["edges"]);
    let mut info = column["leads"]["pageInfo"].clone();
    while info["hasNextPage"] == true {
        let variables = json!({ "filter": filter, "orderBy": order, "first": 2, "after": info["endCursor"] });
        let page = person.query(LEADS, variables).await.ok();
        read.extend(titles(page.at("/leads/edges")));
        info = page.at("/leads/pageInfo").clone();
    }
    read
}

/// Keeps the job from recording what runs out: another instance holds its lease.
async fn hold_the_job(world: &World) -> DatabaseConnection {
    let connection = sea_orm::Database::connect(&world.database.url).await.expect("it takes connections");
    let id = fresh(world);
    run(
        &connection,
        &format!("INSERT INTO job_lease (name, holder, until) VALUES ('expiry', {id}, '2100-01-01T00:00:00Z')"),
    )
    .await;
    connection
}

fn fresh(world: &World) -> &'static str {
    if world.database.kind == Kind::Sqlite { "randomblob(16)" } else { "gen_random_uuid()" }
}

async fn run(connection: &DatabaseConnection, sql: &str) {
    connection.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}

/// Leads of acme on `partner-lead` at every stage, and one that globex passed to it.
async fn scene(world: &World) -> (Person, Person, String) {
    let partnership = world.partnership("acme", "globex").await;
    let back = world.partnership("globex", "acme").await;
    let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
    lead_of(&world.as_("acme", "MANAGER"), "ours", json!({})).await;
    for title in ["pending", "second", "accepted", "declined", "converted", "closed", "withdrawn"] {
        world.clock.advance(TimeDelta::milliseconds(1));
        let lead = lead_of(&vendor, title, json!({ "partnershipId": partnership })).await;
        let only = json!({ "leadId": lead });
        if ["accepted", "converted", "closed"].contains(&title) {
            made(&partner, "acceptLead", only.clone(), "lead").await;
        }
        match title {
            "declined" => drop(made(&partner, "declineLead", json!({ "leadId": lead, "reason": "No" }), "lead").await),
            "converted" => {
                drop(made(&partner, "convertLead", json!({ "leadId": lead, "opportunity": {} }), "lead").await);
            }
            "closed" => drop(made(&partner, "closeLead", only, "lead").await),
            "withdrawn" => drop(made(&vendor, "withdrawLead", only, "lead").await),
            _ => {}
        }
    }
    world.clock.advance(TimeDelta::milliseconds(1));
    lead_of(&partner, "received", json!({ "partnershipId": back })).await;
    // On another workflow.
    lead_of(&vendor, "elsewhere", json!({ "templateKey": "internal-lead" })).await;
    (vendor, partner, partnership)
}

on_both_databases! {
    async fn a_board_shows_where_the_company_s_leads_stand(world: World) {
        let (vendor, partner, partnership) = scene(&world).await;
        let all = board(&vendor, json!({})).await;
        assert_eq!((&all["template"]["key"], &all["track"]), (&json!("partner-lead"), &json!("STAGE")), "the default");
        assert_eq!(keys(&all), [
            "new", "pending", "accepted", "declined", "expired", "closed_converted", "closed_not_converted", "withdrawn",
        ], "in the workflow's order, empty ones too");
        let stage = json!({ "key": "declined", "name": "Declined", "track": "STAGE", "terminal": true });
        assert_eq!(all["columns"][3]["stage"], stage);
        assert_eq!(columns(&all), expected(&[
            ("new", &["ours"]), ("pending", &["received", "second", "pending"]), ("accepted", &["accepted"]),
            ("declined", &["declined"]), ("closed_converted", &["converted"]), ("closed_not_converted", &["closed"]),
            ("withdrawn", &["withdrawn"]),
        ]));
        // The other side sees the same leads, and its own; never what is internal.
        assert_eq!(columns(&board(&partner, json!({ "templateKey": "partner-lead" })).await), expected(&[
            ("pending", &["received", "second", "pending"]), ("accepted", &["accepted"]), ("declined", &["declined"]),
            ("closed_converted", &["converted"]), ("closed_not_converted", &["closed"]), ("withdrawn", &["withdrawn"]),
        ]));
        let internal = board(&vendor, json!({ "templateKey": "internal-lead" })).await;
        assert_eq!(keys(&internal), ["new", "assigned", "qualified", "disqualified", "dropped"]);
        assert_eq!(columns(&internal), expected(&[("new", &["elsewhere"])]));

        let manager = world.as_("acme", "MANAGER").id().await;
        let by = async |filter: Value| columns(&board(&vendor, json!({ "filter": filter })).await);
        assert_eq!(by(json!({ "side": "RECEIVER" })).await, expected(&[("pending", &["received"])]));
        assert_eq!(by(json!({ "side": "SOURCE", "stage": ["pending"] })).await, expected(&[("pending", &["second", "pending"])]));
        assert_eq!(by(json!({ "ownerId": manager })).await, expected(&[("new", &["ours"])]));
        assert_eq!(by(json!({ "partnershipId": partnership, "stageKind": ["AWAITING", "ACTIVE"] })).await, expected(&[
            ("pending", &["second", "pending"]), ("accepted", &["accepted"]),
        ]));
        assert_eq!(by(json!({ "text": "CLOSE" })).await, expected(&[("closed_not_converted", &["closed"])]));
        assert_eq!(by(json!({ "archived": true })).await, expected(&[("declined", &["declined"])]));
        assert!(by(json!({ "archived": false })).await.iter().all(|(stage, _)| stage != "declined"));
        assert_eq!(by(json!({ "active": false })).await, []);
        assert_eq!(by(json!({ "templateId": all["template"]["id"], "stage": ["pending"] })).await, expected(&[
            ("pending", &["second", "pending"]),
        ]), "the received one started from the other company's template");
        assert_eq!(by(json!({ "workflowOfTemplateId": all["template"]["id"], "text": "received" })).await, expected(&[
            ("pending", &["received"]),
        ]));
        assert_eq!(by(json!({ "workflowOfTemplateId": internal["template"]["id"] })).await, [], "no lead is on both");

        let short = board(&vendor, json!({ "first": 1, "orderBy": { "field": "CREATED", "direction": "ASC" } })).await;
        assert_eq!(columns(&short)[1], expected(&[("pending", &["pending"])])[0]);
        assert_eq!(short["columns"][1]["count"], 3);
        assert_eq!(short["total"], all["total"]);
    }

    async fn a_deactivated_lead_is_not_on_the_board_unless_it_is_asked_for(world: World) {
        let vendor = world.as_("acme", "SALES");
        let lead = lead_of(&vendor, "idle", json!({ "templateKey": "internal-lead" })).await;
        lead_of(&vendor, "live", json!({ "templateKey": "internal-lead" })).await;
        let input = json!({ "leadId": lead, "action": "deactivate" });
        vendor.mutate("performLeadAction", input, "lead { active }").await.ok();
        let by = async |filter: Value| {
            columns(&board(&vendor, json!({ "templateKey": "internal-lead", "filter": filter })).await)
        };
        assert_eq!(by(json!({})).await, expected(&[("new", &["live"])]));
        assert_eq!(by(json!({ "active": false })).await, expected(&[("new", &["idle"])]));
    }

    async fn a_lead_past_its_limit_stands_at_expired_before_that_is_recorded(world: World) {
        let connection = hold_the_job(&world).await;
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "VIEWER"));
        for (title, hours) in [("an hour", 1), ("two hours", 2), ("three hours", 3)] {
            world.clock.advance(TimeDelta::milliseconds(1));
            let limit = BEGINNING.parse::<chrono::DateTime<chrono::Utc>>().expect("a time") + TimeDelta::hours(hours);
            lead_of(&vendor, title, json!({ "partnershipId": partnership, "expiresAt": limit })).await;
        }
        let stands = async |person: &Person| {
            columns(&board(person, json!({ "orderBy": { "field": "CREATED", "direction": "ASC" } })).await)
        };
        for person in [&vendor, &partner] {
            assert_eq!(stands(person).await, expected(&[("pending", &["an hour", "two hours", "three hours"])]));
        }
        world.clock.advance(TimeDelta::hours(2));
        for person in [&vendor, &partner] {
            assert_eq!(stands(person).await, expected(&[("pending", &["three hours"]), ("expired", &["an hour", "two hours"])]));
        }
        let recorded = "SELECT count(*) FROM lead_view WHERE stage_key = 'expired'";
        let recorded = Statement::from_string(connection.get_database_backend(), recorded);
        let recorded = connection.query_one_raw(recorded).await.expect("a row").expect("one");
        assert_eq!(recorded.try_get_by_index::<i64>(0).expect("a number"), 0, "the clock alone says it");

        // One that is recorded stands among those that are not, in the order that was asked for.
        let input = json!({ "leadId": lead_of(&vendor, "early", json!({ "partnershipId": partnership })).await });
        world.as_("globex", "SALES").mutate("declineLead", json!({ "leadId": input["leadId"], "reason": "No" }), "lead { id }").await.ok();
        run(&connection, "UPDATE lead_view SET stage_key = 'expired', stage_kind = 'EXPIRED', created_at = (SELECT max(created_at) \
            FROM lead_view WHERE title = 'an hour') WHERE title = 'early'").await;
        for (direction, first) in [("ASC", ["an hour", "early"]), ("DESC", ["two hours", "early"])] {
            let order = json!({ "field": "CREATED", "direction": direction });
            let found = board(&vendor, json!({ "first": 2, "orderBy": order })).await;
            let (expired, at) = (columns(&found).remove(1), 4);
            assert_eq!((expired.0.as_str(), found["columns"][at]["count"].clone()), ("expired", json!(3)));
            assert_eq!(expired.1, first, "{direction}");
            assert_eq!(whole_column(&vendor, &found, at, &json!({}), &order).await.len(), 3);
        }
    }

    async fn leads_goes_on_from_where_each_column_ends(world: World) {
        let connection = hold_the_job(&world).await;
        let here = world.partnership("acme", "globex").await;
        let back = world.partnership("globex", "acme").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        for i in 0..24_i64 {
            // Ties: three of the same moment, some of the same value.
            if i % 3 == 0 {
                world.clock.advance(TimeDelta::milliseconds(1));
            }
            let mut rest = json!({ "estimatedValue": { "amount": (i % 4).to_string(), "currency": "EUR" } });
            let person = if i % 5 == 0 { &partner } else { &vendor };
            if i % 5 == 0 || i % 2 == 0 {
                rest["partnershipId"] = json!(if i % 5 == 0 { &back } else { &here });
                rest["expiresAt"] = json!(format!("2026-03-{:02}T09:00:00Z", 3 + i % 4));
            }
            lead_of(person, &format!("Lead {i}"), rest).await;
        }
        for i in 0..9 {
            let submitted = json!({ "templateKey": "submitted-lead", "partnershipId": here });
            let lead = lead_of(&partner, &format!("Submitted {i}"), submitted).await;
            if i % 3 == 0 {
                vendor.mutate("performLeadAction", json!({ "leadId": lead, "action": "accept" }), "lead { id }").await.ok();
            }
        }
        // Half of the limits have passed.
        world.clock.advance(TimeDelta::hours(49));
        let mut seen = BTreeMap::new();
        for (template, track) in [("partner-lead", "STAGE"), ("submitted-lead", "STAGE"), ("submitted-lead", "STATUS")] {
            for filter in [json!({}), json!({ "side": "RECEIVER" })] {
                for field in ["CREATED", "UPDATED", "EXPIRES", "VALUE"] {
                    for direction in ["ASC", "DESC"] {
                        let order = json!({ "field": field, "direction": direction });
                        let asked = json!({ "templateKey": template, "track": track, "filter": filter, "orderBy": order, "first": 3 });
                        let found = board(&vendor, asked).await;
                        columns(&found);
                        for place in 0..keys(&found).len() {
                            let read = whole_column(&vendor, &found, place, &filter, &order).await;
                            assert_eq!(found["columns"][place]["count"], read.len(), "{template} {track} {filter} {order} {place}");
                            let mut whole = filter.clone();
                            whole[track.to_lowercase()] = json!([keys(&found)[place]]);
                            whole["workflowOfTemplateId"] = found["template"]["id"].clone();
                            let whole = json!({ "filter": whole, "orderBy": order, "first": 100 });
                            let whole = vendor.query(LEADS, whole).await.ok();
                            assert_eq!(read, titles(whole.at("/leads/edges")), "{template} {track} {filter} {order} {place}");
                            *seen.entry(format!("{track} {}", keys(&found)[place])).or_insert(0) += read.len();
                        }
                    }
                }
            }
        }
        let full: Vec<_> = seen.iter().filter(|(_, leads)| **leads > 8).map(|(column, _)| column.as_str()).collect();
        assert_eq!(full, ["STAGE expired", "STAGE new", "STAGE pending", "STAGE qualification", "STATUS accepted", "STATUS new"]);
        drop(connection);
    }

    async fn a_submitted_lead_stands_on_a_board_of_each_track(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let act = async |lead: &str, action: &str, fields: Value| {
            let input = json!({ "leadId": lead, "action": action, "fields": fields });
            vendor.mutate("performLeadAction", input, "lead { id }").await.ok();
        };
        lead_of(&partner, "draft", json!({ "templateKey": "submitted-lead" })).await;
        for title in ["new", "asked", "accepted", "moved"] {
            world.clock.advance(TimeDelta::milliseconds(1));
            let lead = lead_of(&partner, title, json!({ "templateKey": "submitted-lead", "partnershipId": partnership })).await;
            match title {
                "asked" => act(&lead, "request_info", json!({ "note": "Who decides?" })).await,
                "accepted" | "moved" => act(&lead, "accept", json!({})).await,
                _ => {}
            }
            if title == "moved" {
                vendor.mutate("moveLead", json!({ "leadId": lead, "stage": "proposal" }), "lead { id }").await.ok();
            }
        }
        let of = async |person: &Person, track: &str| {
            board(person, json!({ "templateKey": "submitted-lead", "track": track })).await
        };
        let status = of(&vendor, "STATUS").await;
        assert_eq!(keys(&status), [
            "draft", "new", "requires_more_info", "accepted", "rejected", "ready_for_payout", "paid_out", "recurring_payment", "withdrawn",
        ]);
        assert_eq!(columns(&status), expected(&[
            ("new", &["new"]), ("requires_more_info", &["asked"]), ("accepted", &["moved", "accepted"]),
        ]));
        assert_eq!(columns(&of(&partner, "STATUS").await), expected(&[
            ("draft", &["draft"]), ("new", &["new"]), ("requires_more_info", &["asked"]), ("accepted", &["moved", "accepted"]),
        ]));
        let stage = of(&vendor, "STAGE").await;
        assert_eq!(keys(&stage), ["qualification", "proposal", "negotiation", "won", "lost"]);
        assert_eq!(columns(&stage), expected(&[
            ("qualification", &["accepted", "asked", "new"]), ("proposal", &["moved"]),
        ]));
        let asked = json!({ "templateKey": "submitted-lead", "filter": { "status": ["accepted"] } });
        assert_eq!(columns(&board(&vendor, asked).await), expected(&[("qualification", &["accepted"]), ("proposal", &["moved"])]));
    }

    async fn each_role_has_the_board_of_its_own_company(world: World) {
        scene(&world).await;
        for role in ["ADMIN", "SALES", "MARKETEER", "MANAGER", "INTEGRATION", "VIEWER"] {
            assert_eq!(board(&world.as_("acme", role), json!({})).await["total"], 9, "{role}");
        }
        let stranger = world.as_("umbrella", "SALES");
        assert_eq!(columns(&board(&stranger, json!({})).await), []);
        lead_of(&stranger, "its own", json!({})).await;
        assert_eq!(columns(&board(&stranger, json!({})).await), expected(&[("new", &["its own"])]));
        // The template of the other side is known by a lead that came from it, and to nobody else.
        let partner = world.as_("globex", "VIEWER");
        let received = "{ leads(filter: { side: RECEIVER, stage: [\"accepted\"] }) { edges { node { template { id } } } } }";
        let received = partner.query(received, json!({})).await.ok();
        let template = received.text_at("/leads/edges/0/node/template/id").to_owned();
        let own = board(&partner, json!({})).await;
        assert_ne!(own["template"]["id"], template.as_str());
        assert_eq!(board(&partner, json!({ "templateId": template })).await["columns"], own["columns"]);
        let refused = ask(&stranger, json!({ "templateId": template })).await;
        assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", "templateId"));
        let hidden = stranger.query(LEADS, json!({ "filter": { "workflowOfTemplateId": template } })).await.ok();
        assert_eq!(titles(hidden.at("/leads/edges")), [""; 0]);
    }

    async fn a_board_of_no_leads_has_the_counts(world: World) {
        let (vendor, _, _) = scene(&world).await;
        let [whole, none] = [10, 0].map(|first| json!({ "first": first }));
        let (whole, none) = (board(&vendor, whole).await, board(&vendor, none).await);
        let counts = |board: &Value| columns(board).into_iter().map(|(stage, _)| stage).collect::<Vec<_>>();
        assert!(counts(&whole).len() > 1);
        assert_eq!(counts(&none), counts(&whole));
        assert_eq!(none["total"], whole["total"]);
        assert!(columns(&none).iter().all(|(_, titles)| titles.is_empty()));
    }

    async fn what_is_no_board_is_refused_at_its_place(world: World) {
        let vendor = world.as_("acme", "SALES");
        let own = board(&vendor, json!({})).await["template"]["id"].clone();
        for (variables, code, field) in [
            (json!({ "templateKey": "no-such" }), "NOT_FOUND", "templateKey"),
            (json!({ "templateKey": "" }), "NOT_FOUND", "templateKey"),
            (json!({ "templateKey": "\u{0}" }), "NOT_FOUND", "templateKey"),
            (json!({ "templateKey": "opportunity" }), "NOT_FOUND", "templateKey"),
            (json!({ "templateKey": "partner-lead", "templateId": own }), "INVALID_INPUT", "templateId"),
            (json!({ "first": -1 }), "INVALID_INPUT", "first"),
            (json!({ "first": 101 }), "INVALID_INPUT", "first"),
            (json!({ "track": "STATUS" }), "INVALID_INPUT", "track"),
            (json!({ "filter": { "text": "a b c d e f g h i j k" } }), "INVALID_INPUT", "filter.text"),
            (json!({ "filter": { "ownerId": "x" } }), "INVALID_INPUT", "filter.ownerId"),
        ] {
            let document = "query($templateKey: String, $templateId: ID, $track: Track! = STAGE, $filter: LeadFilter, $first: Int) { \
                leadBoard(templateKey: $templateKey, templateId: $templateId, track: $track, filter: $filter, first: $first) { total } }";
            let refused = vendor.query(document, variables.clone()).await;
            assert_eq!((refused.code(), refused.field()), (code, field), "{variables}");
        }
        let none = board(&vendor, json!({ "filter": { "stage": ["\u{0}", "nowhere"] } })).await;
        assert_eq!(columns(&none), []);
        let ten = "{ leadBoard(first: 100) { columns { leads { edges { node { id title number side active \
            archived version createdAt updatedAt expiresAt reason description note leadSource acceptedAt declinedAt expiredAt convertedAt closedAt } } } } } }";
        let refused = vendor.query(ten, json!({})).await;
        assert_eq!(refused.code(), "QUERY_TOO_COMPLEX", "it costs its columns times its page");
    }

    async fn a_board_is_two_statements_for_its_leads_however_many_columns_there_are(world: World) {
        let (vendor, _, partnership) = scene(&world).await;
        let statements = async |template: &str, selection: &str| {
            let document = format!("{{ leadBoard(templateKey: \"{template}\") {{ {selection} }} }}");
            let db = world.server().service().db();
            let mut least = u64::MAX;
            for _ in 0..5 {
                let before = db.statements();
                vendor.query(&document, json!({})).await.ok();
                least = least.min(db.statements() - before);
            }
            least
        };
        let (counts, titles) = ("total columns { stage { name } count }", "columns { leads { edges { node { title } } } }");
        let everything = format!("columns {{ count leads {{ {MUCH} }} }}");
        for template in ["partner-lead", "internal-lead"] {
            assert_eq!(statements(template, counts).await, 2, "the templates, the counts");
            assert_eq!(statements(template, titles).await, 3, "and the leads");
        }
        // Comments and tasks come with their counts.
        let few = statements("partner-lead", &everything).await;
        for i in 0..12 {
            lead_of(&vendor, &format!("More {i}"), json!({ "partnershipId": partnership })).await;
        }
        assert_eq!(statements("partner-lead", &everything).await, few, "no more for more leads");
        assert!(few <= 9, "one statement a field, for the whole board: {few}");
    }

    async fn a_company_s_own_workflow_has_the_columns_of_every_version_that_leads_are_on(world: World) {
        let connection = sea_orm::Database::connect(&world.database.url).await.expect("it takes connections");
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        vendor.id().await;
        let (id, company) = (fresh(&world), "(SELECT id FROM company WHERE slug = 'acme')");
        let (member, at) = ("(SELECT min(id) FROM member)", "(SELECT min(created_at) FROM company)");
        let member = if world.database.kind == Kind::Postgres { "(SELECT id FROM member LIMIT 1)" } else { member };
        for (version, middle) in [(1, ["legacy", "review"]), (2, ["legal", "review"])] {
            let [first, second] = middle;
            let definition = json!({
                "key": "deal", "version": version, "name": "Deal", "subject": "LEAD",
                "tracks": [{ "key": "STAGE", "initial": "draft" }],
                "stages": [
                    { "key": "draft", "name": "Draft", "kind": "OPEN" },
                    { "key": first, "name": format!("In {first}"), "kind": "ACTIVE" },
                    { "key": second, "name": "Review", "kind": "ACTIVE" },
                    { "key": "done", "name": "Done", "kind": "WON", "terminal": true },
                ],
                "actions": [
                    { "key": "share", "name": "Share", "from": ["draft"], "to": first, "allow": [{ "side": "SOURCE", "roles": ["SALES"] }],
                      "fields": [{ "key": "partnershipId", "label": "Partner", "type": "PARTNERSHIP", "required": true }],
                      "effects": [{ "do": "NEW_ASSIGNMENT" }] },
                    { "key": "review", "name": "Review", "from": [first], "to": second, "allow": [{ "side": "RECEIVER", "roles": ["SALES"] }] },
                    { "key": "end", "name": "End", "from": [first, second], "to": "done", "allow": [{ "side": "RECEIVER", "roles": ["SALES"] }] },
                ],
            });
            run(&connection, &format!(
                "INSERT INTO workflow (id, company_id, key, workflow_version, state, definition, version, created_by, created_at, updated_at) \
                 VALUES ({id}, {company}, 'deal', {version}, 'PUBLISHED', '{definition}', 1, {member}, {at}, {at})"
            )).await;
        }
        run(&connection, &format!(
            "INSERT INTO template (id, company_id, key, name, subject, workflow_owner, workflow_key, workflow_version, is_default, version, \
             created_at, updated_at) VALUES ({id}, {company}, 'deals', 'Deals', 'LEAD', {company}, 'deal', 1, FALSE, 1, {at}, {at})"
        )).await;
        let shared = json!({ "templateKey": "deals", "partnershipId": partnership });
        let old = lead_of(&vendor, "old", shared.clone()).await;
        let reviewed = lead_of(&vendor, "reviewed", shared.clone()).await;
        made(&partner, "performLeadAction", json!({ "leadId": reviewed, "action": "review" }), "lead").await;
        run(&connection, "UPDATE template SET workflow_version = 2 WHERE key = 'deals'").await;
        world.clock.advance(TimeDelta::milliseconds(1));
        lead_of(&vendor, "fresh", shared).await;

        let found = board(&vendor, json!({ "templateKey": "deals" })).await;
        assert_eq!(keys(&found), ["draft", "legal", "review", "done", "legacy"]);
        assert_eq!(columns(&found), expected(&[("legal", &["fresh"]), ("review", &["reviewed"]), ("legacy", &["old"])]));
        assert_eq!(found["columns"][4]["stage"]["name"], "In legacy");
        // Whom they were passed to has no template of that workflow, but knows the one that they came from.
        let template = &found["template"]["id"];
        let theirs = board(&partner, json!({ "templateId": template })).await;
        assert_eq!((columns(&theirs), keys(&theirs)), (columns(&found), keys(&found)));
        let refused = ask(&partner, json!({ "templateKey": "deals" })).await;
        assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", "templateKey"));
        // A workflow of that key is another one when it is another company's.
        assert_eq!(columns(&board(&partner, json!({})).await), []);

        made(&partner, "performLeadAction", json!({ "leadId": old, "action": "end" }), "lead").await;
        let found = board(&vendor, json!({ "templateKey": "deals" })).await;
        assert_eq!(keys(&found), ["draft", "legal", "review", "done"], "an old stage goes with the last lead at it");
        assert_eq!(columns(&found), expected(&[("legal", &["fresh"]), ("review", &["reviewed"]), ("done", &["old"])]));
    }

    async fn a_board_reads_no_lead_of_another_company_and_no_more_of_a_column_than_its_page(world: World) {
        let vendor = world.as_("acme", "SALES");
        lead_of(&vendor, "ours", json!({})).await;
        let connection = sea_orm::Database::connect(&world.database.url).await.expect("it takes connections");
        many_leads(&connection, world.database.kind, 20_000).await;
        let viewer = vendor.query("{ viewer { company { id } } }", json!({})).await.ok();
        let (_, company) = decode(viewer.text_at("/viewer/company/id")).expect("an id");
        let scope = Scope::system(CompanyId(company));
        let now = BEGINNING.parse().expect("a time");
        let workflow = WorkflowKey { owner: None, key: "partner-lead".to_owned() };
        let filter = LeadFilter { workflows: Some(vec![workflow]), active: Some(true), ..LeadFilter::default() };
        let window = Window { limit: 20, after: None, before: None, last: false, descending: true };
        let standing = |stage: &str| Standing { stage: stage.to_owned(), due: false, count: 1, version: 1 };
        let standings = [standing("new"), standing("pending")];
        let page = pages(scope, &filter, TrackKey::Stage, &standings, LeadSort::Created, &window, now).expect("a statement");
        let counts = plan(&connection, &counting(scope, &filter, TrackKey::Stage, now)).await;
        let page = plan(&connection, &page).await;
        match world.database.kind {
            Kind::Sqlite => {
                assert!(counts.contains("USING INDEX lead_view_board (company_id=? AND workflow_key=?)"), "{counts}");
                assert_eq!(page.matches("USING INDEX lead_view_board (company_id=? AND workflow_key=? AND stage_key=?)").count(), 2, "{page}");
                assert!(!page.contains("TEMP B-TREE") && !page.contains("SCAN lead_view"), "{page}");
            }
            Kind::Postgres => {
                // Any index that begins with the company will do.
                assert!(counts.contains("Index Cond: (") && counts.contains("(company_id = ") && !counts.contains("Seq Scan"), "{counts}");
                assert_eq!(page.matches("Index Scan Backward using lead_view_board").count(), 2, "{page}");
                assert!(!page.contains("Seq Scan on lead_view") && !page.contains("Sort"), "{page}");
            }
        }
        assert_eq!(board(&vendor, json!({})).await["total"], 201);
    }
}

/// Adds so many leads of acme and umbrella, a twentieth of them acme's and a fifth of those on
/// `partner-lead`, half new and half pending.
async fn many_leads(connection: &DatabaseConnection, kind: Kind, count: u32) {
    let (id, numbers, analyze) = match kind {
        Kind::Sqlite => (
            "unhex(printf('%032x', n))",
            format!("WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"),
            "ANALYZE",
        ),
        Kind::Postgres => (
            "lpad(to_hex(n), 32, '0')::uuid",
            format!("WITH numbers (n) AS (SELECT generate_series(1, {count}))"),
            "ANALYZE lead_view",
        ),
    };
    let leads = format!(
        "INSERT INTO lead (id, source_id, number, created_by, created_at) {numbers} SELECT {id}, lead.source_id, \
         100000 + n, lead.created_by, lead.created_at FROM numbers CROSS JOIN (SELECT * FROM lead LIMIT 1) lead"
    );
    let columns = "side, source_id, template_id, workflow_version, title, customer_company, stage_kind, \
        active, archived, version, created_at, updated_at, sort_expires, sort_value, search";
    let views = format!(
        "INSERT INTO lead_view (lead_id, company_id, number, stage_key, workflow_key, {columns}) {numbers} \
         SELECT {id}, CASE WHEN n % 20 = 0 THEN v.company_id ELSE u.id END, 'L-' || (100000 + n), \
         CASE WHEN n % 40 < 20 THEN 'new' ELSE 'pending' END, \
         CASE WHEN n % 100 = 0 THEN 'partner-lead' ELSE 'internal-lead' END, {columns} FROM numbers \
         CROSS JOIN (SELECT * FROM lead_view LIMIT 1) v CROSS JOIN (SELECT id FROM company WHERE slug = 'umbrella') u"
    );
    for sql in [leads, views, analyze.to_owned()] {
        run(connection, &sql).await;
    }
}

async fn plan(connection: &DatabaseConnection, statement: &SelectStatement) -> String {
    let backend = connection.get_database_backend();
    let Statement { sql, values, .. } = backend.build(statement);
    let (explain, column) = match backend {
        sea_orm::DbBackend::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
        _ => ("EXPLAIN", "QUERY PLAN"),
    };
    let values = values.expect("parameters").0;
    let explained = Statement::from_sql_and_values(backend, format!("{explain} {sql}"), values);
    let lines = connection.query_all_raw(explained).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let lines: Vec<String> = lines.iter().map(|row| row.try_get("", column).expect("a line")).collect();
    lines.join("\n")
}
