//! What costs too much is refused before it costs anything.

use std::fmt::Write as _;
use std::time::Duration;

use cosell::store::db::{Db, PoolSize, is_given_up};
use reqwest::Method;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

use crate::on_both_databases;
use crate::support::database::{Database, Kind, OnDatabase as _};
use crate::support::http::{Answer, Client};
use crate::support::rows::Rows;
use crate::support::world::World;

/// What a test waits for comes within this.
const BOUND: Duration = Duration::from_secs(20);

on_both_databases! {
    async fn a_statement_that_takes_too_long_is_stopped_in_the_database(database: Database) {
        let endless = match database.kind {
            Kind::Sqlite => "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t",
            Kind::Postgres => "SELECT count(*) FROM pg_sleep(3600)",
        };
        let size = PoolSize { connections: 1, work: Some(Duration::from_millis(200)), ..PoolSize::default() };
        let db = Db::connect(&database.url, size).await.unwrap();
        for _ in 0..3 {
            // One connection: if the statement ran on, the next one would wait for it.
            let stopped = timeout(BOUND, db.read().execute_unprepared(endless)).await.expect("it is stopped");
            let error = stopped.unwrap_err();
            assert!(is_given_up(&error), "{error}");
            db.read().execute_unprepared("SELECT 1").await.expect("the connection is well");
        }
        // In a transaction as well, which is rolled back.
        db.begin().await.unwrap().execute_unprepared("CREATE TABLE kept (x INT)").await.unwrap();
        let transaction = db.begin().await.unwrap();
        let stopped = timeout(BOUND, transaction.execute_unprepared(endless)).await.expect("it is stopped");
        assert!(is_given_up(&stopped.unwrap_err()));
        drop(transaction);
        assert!(db.read().execute_unprepared("SELECT * FROM kept").await.is_err());

        // Of a write that is interrupted SQLite ends the transaction itself; what comes after it must be kept all the same.
        db.read().execute_unprepared("CREATE TABLE numbers (x BIGINT)").await.unwrap();
        let endless = match database.kind {
            Kind::Sqlite => "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) INSERT INTO numbers SELECT x FROM t",
            Kind::Postgres => "INSERT INTO numbers SELECT 1 FROM pg_sleep(3600)",
        };
        let transaction = db.begin().await.unwrap();
        let stopped = timeout(BOUND, transaction.execute_unprepared(endless)).await.expect("it is stopped");
        assert!(is_given_up(&stopped.unwrap_err()));
        let _ = transaction.rollback().await;
        let insert = async |number: i64| {
            let transaction = db.begin().await.unwrap();
            transaction.execute_unprepared(&format!("INSERT INTO numbers VALUES ({number})")).await.unwrap();
            transaction
        };
        insert(1).await.rollback().await.unwrap();
        insert(2).await.commit().await.unwrap();
        let kept = db.read().query_all_raw(Statement::from_string(db.read().get_database_backend(), "SELECT x FROM numbers"));
        let kept: Vec<i64> = kept.await.unwrap().iter().map(|row| row.try_get("", "x").unwrap()).collect();
        assert_eq!(kept, [2]);
        db.close().await;
    }

    async fn where_the_schema_is_no_secret_errors_suggest_its_names_and_elsewhere_not(world: World) {
        let caller = world.as_("acme", "SALES");
        let misspelt = "{ leeds { edges { cursor } } }";
        assert!(caller.query(misspelt, json!({})).await.text.contains("Did you mean"));
        let server = world.another_server_with(&[("COSELL_INTROSPECTION", Some("off"))]).await;
        let caller = Client::new(server.addr, Some(&caller.token));
        let refused = caller.query(misspelt, json!({})).await;
        assert_eq!(refused.code(), "INVALID_INPUT");
        assert!(!refused.text.contains("Did you mean"), "{}", refused.text);
        for introspection in ["{ __schema { types { name } } }", "{ __type(name: \"Lead\") { name } }",
            "{ viewer { id } a: __schema { types { name } } }", "{ ...a } fragment a on Query { __schema { types { name } } }"] {
            let refused = caller.query(introspection, json!({})).await;
            assert_eq!(refused.code(), "INVALID_INPUT", "{introspection}");
            assert!(!refused.text.contains("__Schema") && !refused.text.contains("LeadConnection"), "{}", refused.text);
        }
        server.shutdown().await;
    }
    async fn an_operation_that_costs_too_much_is_refused(world: World) {
        let caller = world.as_("acme", "SALES");
        caller.id().await;
        let deep = format!("{{ leads {{ edges {{ node {{ {}id{} }} }} }} }}", "opportunity { lead { ".repeat(20), " } }".repeat(20));
        assert_eq!(caller.query(&deep, json!({})).await.code(), "QUERY_TOO_COMPLEX");
        let nested = "{ leads(first: 100) { edges { node { comments(first: 100) { edges { node { author { id name } } } } } } } }";
        assert_eq!(caller.query(nested, json!({})).await.code(), "QUERY_TOO_COMPLEX");
        let many: String = (0..3000).fold(String::new(), |mut text, i| {
            let _ = write!(text, "a{i}: viewer {{ id }} ");
            text
        });
        assert_eq!(caller.query(&format!("{{ {many} }}"), json!({})).await.code(), "QUERY_TOO_COMPLEX");
        // Short to write and long to walk: each fragment ten times the next.
        let mut bomb = "{ ...f0 }".to_owned();
        for level in 0..7 {
            let _ = write!(bomb, " fragment f{level} on Query {{ {} }}", format!("...f{} ", level + 1).repeat(10));
        }
        bomb.push_str(" fragment f7 on Query { viewer { id } }");
        let started = std::time::Instant::now();
        assert_eq!(caller.query(&bomb, json!({})).await.code(), "QUERY_TOO_COMPLEX");
        assert!(started.elapsed() < std::time::Duration::from_secs(5), "it was walked: {:?}", started.elapsed());
        let circle = "{ ...a } fragment a on Query { viewer { id } ...b } fragment b on Query { ...a }";
        let refused = caller.query(circle, json!({})).await;
        assert!(["INVALID_INPUT", "QUERY_TOO_COMPLEX"].contains(&refused.code()), "{}", refused.text);
        let parens = format!("{{ leads(filter: {{ text: {}1{} }}) {{ edges {{ cursor }} }} }}", "[".repeat(5000), "]".repeat(5000));
        let refused = caller.query(&parens, json!({})).await;
        assert!(["INVALID_INPUT", "QUERY_TOO_COMPLEX"].contains(&refused.code()), "{}", refused.text);
        // And the server is well.
        caller.query("{ viewer { id } }", json!({})).await.ok();
    }

    async fn a_body_over_the_limit_is_refused(world: World) {
        let caller = world.as_("acme", "SALES");
        let large = json!({ "query": "{ viewer { id } }", "variables": { "x": "y".repeat(300_000) } });
        let refused = caller.send(large).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (413, "INVALID_INPUT"));
    }

    async fn a_body_that_is_no_operation_is_refused(world: World) {
        let caller = world.as_("acme", "SALES");
        for body in [json!({}), json!([]), json!("x"), json!(null), json!({ "query": 7 }), json!({ "query": null }),
            json!({ "query": "{ viewer { id } }", "variables": [] }), json!({ "query": "{ viewer { id } }", "variables": "x" }),
            json!({ "query": "{ viewer { id }" }), json!({ "query": "" }), json!({ "query": "{ nothing }" }),
            json!({ "query": "{ viewer { id } }", "operationName": "other" }),
            json!({ "query": "query a { viewer { id } } query b { viewer { id } }" }),
            json!([{ "query": "{ viewer { id } }" }, { "query": "{ viewer { id } }" }])] {
            let refused = caller.send(body.clone()).await;
            assert_eq!(refused.code(), "INVALID_INPUT", "{body}");
        }
        for text in ["", "{", "\u{0}", "{\"query\":", "[[[[[[[[[["] {
            let request = caller.request(Method::POST, "/graphql").header("Content-Type", "application/json");
            assert_eq!(Answer::of(request.body(text)).await.code(), "INVALID_INPUT", "{text:?}");
        }
        let nested = format!("{{\"query\":\"{{ viewer {{ id }} }}\",\"variables\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let request = caller.request(Method::POST, "/graphql").header("Content-Type", "application/json");
        assert_eq!(Answer::of(request.body(nested)).await.code(), "INVALID_INPUT");
    }

    async fn variables_of_the_wrong_type_are_refused(world: World) {
        let caller = world.as_("acme", "SALES");
        caller.id().await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let create = "mutation($input: CreateLeadInput!) { createLead(input: $input) { lead { id } } }";
        let good = json!({ "title": "A", "customer": { "company": "B" } });
        let change = |path: &str, value: Value| {
            let mut input = good.clone();
            match path.split_once('.') {
                Some((outer, inner)) => input[outer][inner] = value,
                None => input[path] = value,
            }
            json!({ "input": input })
        };
        let wrong = [
            json!({}), json!({ "input": null }), json!({ "input": 7 }), json!({ "input": [1, 2] }), json!({ "input": {} }),
            change("title", json!(7)), change("title", json!(null)), change("title", json!(["A"])), change("title", json!({ "a": 1 })),
            change("customer", json!("B")), change("customer", json!(null)), change("customer.company", json!(null)),
            change("customer.employees", json!("many")), change("customer.employees", json!(1.5)),
            change("customer.employees", json!(99_999_999_999_u64)),
            change("estimatedValue", json!("1 EUR")), change("estimatedValue", json!({ "amount": "1" })),
            change("estimatedValue", json!({ "amount": 1.5, "currency": "EUR" })),
            change("expiresAt", json!("tomorrow")), change("expiresAt", json!(7)), change("expiresAt", json!("2026-02-30T00:00:00Z")),
            change("nothing", json!("of the kind")), change("customer.nothing", json!("of the kind")),
        ];
        for variables in wrong {
            let refused = caller.query(create, variables.clone()).await;
            let codes: Vec<_> = refused.faults().iter().map(|(code, _)| *code).collect();
            assert!(!codes.is_empty(), "{variables} was taken: {}", refused.text);
            let fitting = codes.iter().all(|code| ["INVALID_INPUT", "REQUIRED"].contains(code));
            assert!(fitting, "{variables}: {}", refused.text);
        }
        let leads = "query($first: Int, $order: LeadOrder, $filter: LeadFilter) { leads(first: $first, orderBy: $order, filter: $filter) { edges { cursor } } }";
        for variables in [json!({ "first": "ten" }), json!({ "first": 1.5 }), json!({ "first": 99_999_999_999_u64 }),
            json!({ "order": "CREATED" }), json!({ "order": { "field": "NAME" } }), json!({ "filter": { "stageKind": "NO" } }),
            json!({ "filter": { "side": "BOTH" } }), json!({ "filter": { "archived": "yes" } }), json!({ "filter": { "nothing": 1 } })] {
            let refused = caller.query(leads, variables.clone()).await;
            let codes: Vec<_> = refused.faults().iter().map(|(code, _)| *code).collect();
            assert!(!codes.is_empty() && codes.iter().all(|code| *code == "INVALID_INPUT"), "{}", refused.text);
        }
        rows.unchanged_since(&before, "variables of the wrong type").await;
    }

    async fn too_many_operations_on_one_socket_are_refused_and_the_others_go_on(world: World) {
        let caller = world.as_("acme", "SALES");
        let mut socket = caller.socket().await;
        let mut running = Vec::new();
        for _ in 0..100 {
            running.push(socket.subscribe("subscription { activity { __typename } }", json!({})).await);
        }
        let mut refused = socket.subscribe("subscription { activity { __typename } }", json!({})).await;
        assert_eq!(refused.refusal().await.code(), "RATE_LIMITED");
        let input = json!({ "title": "A", "customer": { "company": "B" } });
        caller.mutate("createLead", input, "lead { id }").await.ok();
        assert_eq!(running[99].next().await["activity"]["__typename"], "LeadCreated");
        running.remove(0).complete();
        let mut again = socket.subscribe("subscription { activity { __typename } }", json!({})).await;
        let input = json!({ "title": "B", "customer": { "company": "B" } });
        caller.mutate("createLead", input, "lead { id }").await.ok();
        assert_eq!(again.next().await["activity"]["__typename"], "LeadCreated");
    }
}

/// A reader of `SQLite` waits for nobody: there the test above stops one that works too long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_takes_too_long_is_answered_and_leaves_nothing_running() {
    let world = World::on(Database::fresh(Kind::Postgres).await).await;
    let server = world.another_server_with(&[("COSELL_REQUEST_TIMEOUT", Some("2s"))]).await;
    let caller = world.as_("acme", "SALES");
    let input = json!({ "title": "A", "customer": { "company": "B" } });
    let made = caller.mutate("createLead", input, "lead { id }").await.ok();
    let lead = made.text_at("/createLead/lead/id").to_owned();
    let caller = Client::new(server.addr, Some(&caller.token));
    let mut other = PgConnection::connect(&world.database.url).await.unwrap();
    let mut held = other.begin().await.unwrap();
    // No job looks at comments.
    held.execute("LOCK TABLE comment IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let comments = "query($id: ID!) { lead(id: $id) { comments(first: 10) { edges { node { body } } } } }";
    let variables = json!({ "id": lead });
    let late = timeout(BOUND, caller.query(comments, variables.clone())).await.expect("it is answered");
    assert_eq!(late.code(), "UNAVAILABLE", "{}", late.text);
    let input = json!({ "leadId": lead, "body": "late" });
    let late = timeout(BOUND, caller.mutate("addComment", input, "comment { id }")).await.expect("it is answered");
    assert_eq!(late.code(), "UNAVAILABLE", "{}", late.text);
    let waiting = "SELECT count(*) FROM pg_locks JOIN pg_class ON relation = pg_class.oid \
                   WHERE relname = 'comment' AND relnamespace = current_schema()::regnamespace AND NOT granted";
    timeout(BOUND, async { while held.fetch_one(waiting).await.unwrap().get::<i64, _>(0) > 0 {} })
        .await
        .expect("nothing runs on in the database");
    held.rollback().await.unwrap();
    let thread = caller.query(comments, variables).await.ok();
    assert_eq!(thread.at("/lead/comments/edges"), &json!([]), "what was late is not done afterwards");
    server.shutdown().await;
}
