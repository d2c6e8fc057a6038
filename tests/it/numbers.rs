//! The numbers of leads: each company numbers what it sees.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use cosell_migration::{Migrator, MigratorTrait as _};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::world::{Person, World};

async fn numbers(person: &Person) -> Vec<(String, String)> {
    let asked = "{ leads(first: 50, orderBy: { field: CREATED, direction: ASC }) { edges { node { title number } } } }";
    let answer = person.query(asked, json!({})).await.ok();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let leads = answer.list_at("/leads/edges").iter().map(|edge| &edge["node"]);
    leads.map(|lead| (text(&lead["title"]), text(&lead["number"]))).collect()
}

on_both_databases! {
    /// Three companies bring leads to a board: none has the number of another.
    async fn a_company_gives_each_lead_that_it_sees_a_number_of_its_own(world: World) {
        let across = [world.partnership("acme", "globex").await, world.partnership("initech", "globex").await];
        for (company, across, title) in
            [("acme", &across[0], "From Acme"), ("initech", &across[1], "From Initech"), ("acme", &across[0], "From Acme again")]
        {
            world.shared_lead(company, across, title).await;
            world.clock.advance(TimeDelta::seconds(1));
        }
        let globex = world.as_("globex", "SALES");
        let own = json!({ "title": "Own", "customer": { "company": "Initrode" } });
        globex.mutate("createLead", own, "lead { id }").await.ok();
        let seen = numbers(&globex).await;
        let expected = [("From Acme", "R-1001"), ("From Initech", "R-1002"), ("From Acme again", "R-1003"), ("Own", "L-1001")];
        assert_eq!(seen, expected.map(|(title, number)| (title.to_owned(), number.to_owned())));
        // What the others see is theirs: nobody learns how many leads another has.
        let acme = numbers(&world.as_("acme", "SALES")).await;
        assert_eq!(acme.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), ["L-1001", "L-1002"]);
        // Each finds a lead by its own number.
        for (person, number, found) in [("globex", "r-1003", 1), ("globex", "L-1002", 0), ("acme", "L-1002", 1), ("acme", "R-1003", 0)] {
            let asked = "query($text: String) { leads(first: 9, filter: { text: $text }) { edges { node { title } } } }";
            let answer = world.as_(person, "SALES").query(asked, json!({ "text": number })).await.ok();
            assert_eq!(answer.list_at("/leads/edges").len(), found, "{person} {number}");
        }
    }

    async fn a_lead_that_comes_back_has_the_number_that_it_had(world: World) {
        let (across, elsewhere) = (world.partnership("acme", "globex").await, world.partnership("acme", "initech").await);
        let lead = world.shared_lead("acme", &across, "To and fro").await;
        let (acme, globex) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let decline = json!({ "leadId": lead, "reason": "Not now" });
        globex.mutate("declineLead", decline.clone(), "lead { id }").await.ok();
        world.shared_lead("acme", &across, "Another").await;
        acme.mutate("shareLead", json!({ "leadId": lead, "partnershipId": elsewhere }), "lead { id }").await.ok();
        world.as_("initech", "SALES").mutate("declineLead", decline, "lead { id }").await.ok();
        acme.mutate("shareLead", json!({ "leadId": lead, "partnershipId": across }), "lead { id }").await.ok();
        let seen: BTreeSet<_> = numbers(&globex).await.into_iter().collect();
        let expected = [("Another", "R-1002"), ("To and fro", "R-1001")];
        assert_eq!(seen, expected.map(|(title, number)| (title.to_owned(), number.to_owned())).into());
    }

    /// What is there already is numbered by the migration.
    async fn leads_of_before_are_numbered_in_the_order_in_which_they_were_received(world: World) {
        let across = [world.partnership("acme", "globex").await, world.partnership("initech", "globex").await];
        for (company, across, title) in [("acme", &across[0], "First"), ("initech", &across[1], "Second"), ("acme", &across[0], "Third")] {
            world.clock.advance(TimeDelta::seconds(1));
            world.shared_lead(company, across, title).await;
        }
        // As it was: the receiver had the source's numbers.
        let db = sea_orm::Database::connect(&world.database.url).await.expect("a connection");
        for statement in [
            "DROP INDEX lead_view_number",
            "DROP TABLE company_received",
            "UPDATE lead_view SET number = 'L-' || (SELECT number FROM lead WHERE id = lead_id) WHERE side = 'RECEIVER'",
            "UPDATE lead_view SET search = lower(title || char(10) || customer_company || char(10) || number)",
            "DELETE FROM seaql_migrations WHERE version = 'm20261128_000002_received_numbers'",
        ] {
            let statement = if db.get_database_backend() == sea_orm::DbBackend::Postgres { statement.replace("char(", "chr(") } else { statement.to_owned() };
            db.execute_unprepared(&statement).await.expect("it runs");
        }
        assert_eq!(numbers(&world.as_("globex", "SALES")).await[1].1, "L-1001", "two have this number");
        Migrator::up(&db, None).await.expect("the migration runs");
        let globex = world.as_("globex", "SALES");
        let seen = numbers(&globex).await;
        assert_eq!(seen.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), ["R-1001", "R-1002", "R-1003"], "{seen:?}");
        let asked = "{ leads(filter: { text: \"R-1002\" }) { edges { node { title } } } }";
        assert_eq!(globex.query(asked, json!({})).await.ok().at("/leads/edges/0/node/title"), "Second");
        world.shared_lead("acme", &across[0], "Fourth").await;
        assert_eq!(numbers(&globex).await[3].1, "R-1004");
        assert_eq!(numbers(&world.as_("acme", "SALES")).await[0].1, "L-1001");
        db.close().await.expect("it closes");
    }
}
