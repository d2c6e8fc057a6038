//! One company's things, and another company that guesses, compares and counts.

use cosell::domain::global_id::{self, NodeType};
use serde_json::{Value, json};
use uuid::Uuid;

use super::well;
use crate::ids::{PLACES, Place, Things, call};
use crate::on_both_databases;
use crate::support::http::Answer;
use crate::support::rows::Rows;
use crate::support::world::{Person, World};

/// What nobody else's doings may change: a caller sees nothing move.
const QUIET: [(&str, Option<&str>); 3] = [
    ("COSELL_FEED_POLL_INTERVAL", Some("1h")),
    ("COSELL_EXPIRY_INTERVAL", Some("1h")),
    ("COSELL_PLAYGROUND", Some("false")),
];

/// What a caller is told, with the id that it asked by left out.
fn told(answer: &Answer, id: &str) -> (u16, Value, String) {
    (answer.status.as_u16(), answer.data.clone(), json!(answer.errors).to_string().replace(id, "ID"))
}

on_both_databases! {
    async fn an_id_that_is_guessed_is_answered_alike_and_costs_the_same_whether_there_is_such_a_thing(world: World) {
        let own = Things::of(&world, "acme", "globex").await;
        let theirs = Things::of(&world, "umbrella", "initech").await;
        let server = world.another_server_with(&QUIET).await;
        let person = world.as_("acme", "ADMIN").at(server.addr);
        well(&person).await;
        let db = server.service().db();
        // Time depends on what is asked of the database, and that is counted: a clock tells no more, and is no test.
        let ask = async |place: &Place, id: &str| {
            let mut least = u64::MAX;
            let mut answers = Vec::new();
            for _ in 0..2 {
                let before = db.statements();
                answers.push(told(&call(&person, &own, place, id).await, id));
                least = least.min(db.statements() - before);
            }
            let answer = answers.pop().expect("an answer");
            assert!(answers.iter().all(|other| *other == answer), "{}: {answers:?}, then {answer:?}", place.at);
            (answer, least)
        };
        let mut faults = Vec::new();
        for place in PLACES.iter().filter(|place| !place.at.starts_with("Subscription")) {
            let (_, theirs) = global_id::decode(theirs.id(place.kind)).expect("an id");
            let nobodys = ask(place, &global_id::encode(place.kind, Uuid::from_u128(0x0190_2c5c_0000_7000_8000_0000_0000_0001))).await;
            for (what, id) in [
                ("another company's", theirs),
                ("its neighbour", Uuid::from_u128(theirs.as_u128() + 1)),
                ("the neighbour before", Uuid::from_u128(theirs.as_u128() - 1)),
                ("nil", Uuid::nil()),
                ("the last", Uuid::max()),
                ("of another version", Uuid::from_u128(theirs.as_u128() ^ (0x3 << 76))),
            ] {
                let guessed = ask(place, &global_id::encode(place.kind, id)).await;
                if guessed != nobodys {
                    faults.push(format!("{} of a {}, {what}: {guessed:?}, but of nobody's {nobodys:?}", place.at, place.kind.name()));
                }
            }
        }
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        well(&person).await;
        server.shutdown().await;
    }

    async fn ids_of_another_kind_over_another_s_things_tell_nothing(world: World) {
        let theirs = Things::of(&world, "umbrella", "initech").await;
        let person = world.as_("acme", "ADMIN");
        let kinds = [NodeType::Company, NodeType::Member, NodeType::Partnership, NodeType::Lead, NodeType::Opportunity, NodeType::Comment,
            NodeType::Task, NodeType::Activity, NodeType::LeadTemplate, NodeType::MarketingList, NodeType::Workflow];
        // Their uuids, by every other kind's name.
        for of in kinds {
            let (_, uuid) = global_id::decode(theirs.id(of)).expect("an id");
            for kind in kinds {
                let id = global_id::encode(kind, uuid);
                let answer = person.query("query($id: ID!) { node(id: $id) { id __typename } }", json!({ "id": id })).await;
                assert_eq!((answer.code(), answer.at("/node")), ("NOT_FOUND", &Value::Null), "{} as {}", of.name(), kind.name());
            }
        }
        well(&person).await;
    }

    async fn a_cursor_is_good_for_the_company_and_the_list_that_it_was_given_for(world: World) {
        let lists = ["leads", "opportunities", "partnerships", "members", "tasks", "activity", "auditTrail", "marketingLists"];
        Things::of(&world, "acme", "globex").await;
        Things::of(&world, "umbrella", "initech").await;
        let (person, stranger) = (world.as_("acme", "ADMIN"), world.as_("umbrella", "ADMIN"));
        let document = |list: &str, window: &str| format!("query($c: String) {{ {list}({window}) {{ edges {{ cursor }} }} }}");
        let mut own = Vec::new();
        for list in lists {
            let cursor = async |person: &Person| {
                let page = person.query(&document(list, "first: 1").replace("($c: String)", ""), json!({})).await.ok();
                page.text_at(&format!("/{list}/edges/0/cursor")).to_owned()
            };
            own.push((list, cursor(&person).await, cursor(&stranger).await));
        }
        for (list, cursor, theirs) in &own {
            for window in ["first: 1, after: $c", "last: 1, before: $c"] {
                let ask = async |cursor: &str| person.query(&document(list, window), json!({ "c": cursor })).await;
                ask(cursor).await.ok();
                let forged = told(&ask(&"A".repeat(cursor.len())).await, "");
                assert_eq!(told(&ask(theirs).await, ""), forged, "{list}: another company's cursor");
                for (other, foreign, _) in own.iter().filter(|(other, ..)| other != list) {
                    let both_of_the_log = [*list, *other].iter().all(|it| ["activity", "auditTrail"].contains(it));
                    let answer = ask(foreign).await;
                    assert!(both_of_the_log || answer.code() == "INVALID_INPUT", "a cursor of {other} for {list}: {}", answer.text);
                }
                // Each of its letters changed, at its ends longer and shorter.
                let letters: Vec<char> = cursor.chars().collect();
                let changed = (0..letters.len()).map(|at| {
                    let mut letters = letters.clone();
                    letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
                    letters.into_iter().collect::<String>()
                });
                for wrong in changed.chain([format!("{cursor}A"), format!("{cursor}="), cursor[1..].to_owned(), format!(" {cursor}"), format!("{cursor}\n"),
                    "\u{0}".to_owned(), "%".to_owned(), "' OR 1=1 --".to_owned(), "1".to_owned(), "9".repeat(10_000)]) {
                    let answer = ask(&wrong).await;
                    assert_eq!(answer.code(), "INVALID_INPUT", "{list} with {wrong:?}: {}", answer.text);
                }
            }
        }
        well(&person).await;
    }

    async fn keys_references_and_names_of_another_company_are_free(world: World) {
        let input = json!({
            "title": "A secret", "customer": { "company": "Initrode", "contact": { "email": "ann@initrode.example" } },
            "externalReference": { "system": "salesforce", "id": "00Q1" }, "idempotencyKey": "the-key"
        });
        let (stranger, person) = (world.as_("umbrella", "ADMIN"), world.as_("acme", "ADMIN"));
        let selection = "lead { id number externalReferences { id } possibleDuplicates { score } }";
        let theirs = stranger.mutate("createLead", input.clone(), selection).await.ok();
        let own = person.mutate("createLead", input.clone(), selection).await.ok();
        assert_ne!(own.at("/createLead/lead/id"), theirs.at("/createLead/lead/id"), "another company's key was taken for one's own");
        assert_eq!(own.at("/createLead/lead/possibleDuplicates"), &json!([]), "another company's customer is told");
        assert_eq!(own.at("/createLead/lead/number"), theirs.at("/createLead/lead/number"), "each company counts for itself");
        // Other content under a key of another's is no conflict either.
        let mut other = input;
        other["idempotencyKey"] = json!("another-key");
        other["externalReference"]["id"] = json!("00Q2");
        stranger.mutate("createLead", other.clone(), selection).await.ok();
        other["title"] = json!("Not that");
        person.mutate("createLead", other, selection).await.ok();
        for (mutation, input, payload) in [
            ("createMarketingList", json!({ "name": "Fair" }), "list { id }"),
            ("createLeadTemplate", json!({ "key": "fair", "name": "Fair" }), "template { id }"),
        ] {
            let (stranger, person) = (world.person("umbrella", "u", &["ADMIN", "SALES"]), world.person("acme", "a", &["ADMIN", "SALES"]));
            let first = stranger.mutate(mutation, input.clone(), payload).await;
            let second = person.mutate(mutation, input, payload).await;
            let codes = |answer: &Answer| answer.faults().iter().map(|(code, _)| (*code).to_owned()).collect::<Vec<_>>();
            assert_eq!(codes(&first), codes(&second), "{mutation}: {}", second.text);
        }
    }

    async fn nothing_that_a_company_can_read_or_count_moves_with_what_others_do(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        world.shared_lead("acme", &partnership, "Ours").await;
        let person = world.as_("acme", "ADMIN");
        let everything = "{ leads(first: 20) { edges { cursor node { id number title version possibleDuplicates { score } } } pageInfo { hasNextPage endCursor } }
            opportunities { edges { cursor } pageInfo { hasNextPage } } tasks { edges { cursor } pageInfo { hasNextPage } }
            partnerships { edges { cursor node { id state version vendor { name } partner { name } } } pageInfo { hasNextPage } }
            members { edges { cursor node { id name } } pageInfo { hasNextPage } }
            activity { edges { cursor node { id } } pageInfo { hasNextPage } } auditTrail { edges { cursor node { hash } } }
            leadTemplates { id name } marketingLists { edges { cursor } } leadBoard { total columns { count } } }";
        let before = person.query(everything, json!({})).await.ok();
        let mut socket = person.socket().await;
        let mut feed = socket.subscribe("subscription { activity { __typename ... on LeadCreated { lead { title } } } }", json!({})).await;
        Things::of(&world, "umbrella", "initech").await;
        let after = person.query(everything, json!({})).await.ok();
        assert_eq!(after.data, before.data);
        // Nor does a partner's business with somebody else.
        let other = world.partnership("globex", "umbrella").await;
        world.shared_lead("globex", &other, "Theirs").await;
        let theirs = world.shared_lead("umbrella", &world.partnership("umbrella", "globex").await, "Theirs, too").await;
        world.as_("globex", "SALES").mutate("acceptLead", json!({ "leadId": theirs }), "lead { id }").await.ok();
        let after = person.query(everything, json!({})).await.ok();
        assert_eq!(after.data, before.data);
        let own = json!({ "title": "The marker", "customer": { "company": "A" } });
        feed.nothing_until(person.mutate("createLead", own, "lead { id }"), |data| data["activity"]["lead"]["title"] == "The marker").await;
    }

    async fn an_invitation_tells_what_docs_security_md_says_and_no_more(world: World) {
        // Whether a company of that slug is registered: an ADMIN that invites has to learn it. Its name and members it does not.
        let admin = world.as_("acme", "ADMIN");
        let rows = Rows::of(&world.database).await;
        admin.id().await;
        let before = rows.now().await;
        let invite = async |person: &Person, slug: &str| {
            person.mutate("invitePartner", json!({ "companySlug": slug, "role": "VENDOR" }), "partnership { partner { name } }").await
        };
        let unknown = invite(&admin, "nowhere").await;
        assert_eq!((unknown.code(), unknown.field()), ("NOT_FOUND", "input.companySlug"));
        for slug in ["nowhere-else", "GLOBEX", "glob%", "_lobex", "globex'--", "", "g", "ｇｌｏｂｅｘ", "globex\u{0}", "globex\u{200b}"] {
            let answer = invite(&admin, slug).await;
            assert_eq!(told(&answer, ""), told(&unknown, ""), "{slug:?}");
        }
        for role in ["SALES", "MANAGER", "MARKETEER", "INTEGRATION", "VIEWER"] {
            let person = world.as_("acme", role);
            let (there, not_there) = (invite(&person, "globex").await, invite(&person, "nowhere").await);
            assert_eq!(told(&there, ""), told(&not_there, ""), "{role} learns which companies there are");
            assert_eq!(there.code(), "FORBIDDEN", "{role}");
        }
        let companies = |rows: &crate::support::rows::Snapshot| rows["partnership"].clone();
        assert_eq!(companies(&rows.now().await), companies(&before));
    }

    async fn a_member_of_a_low_role_changes_nothing_by_any_mutation(world: World) {
        let own = Things::of(&world, "acme", "globex").await;
        let viewer = world.as_("acme", "VIEWER");
        let nobody_special = world.person("acme", "no-role", &[]);
        viewer.id().await;
        nobody_special.id().await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        for person in [&viewer, &nobody_special] {
            for place in PLACES.iter().filter(|place| place.at.contains("Input.")) {
                let answer = call(person, &own, place, own.id(place.kind)).await;
                assert!(!answer.errors.is_empty(), "{}: {}", place.at, answer.text);
            }
        }
        rows.unchanged_since(&before, "a mutation by a member that may change nothing").await;
    }
}
