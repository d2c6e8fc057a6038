//! Documents that are short to write and dear to read.

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

#[path = "../../../benches/operation/attacks.rs"]
mod dear;

use super::process::Process;
use super::{query_of, well};
use crate::support::database::{Kind, start};
use crate::support::http::{Answer, Client};
use crate::support::sse::{Entry, EventStream};
use crate::support::world::World;

/// What may come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Refused before it is executed, with one of these codes for every error.
    Refused(&'static [&'static str]),
    /// Answered: it is odd, and right.
    Answered,
    /// Either: what counts is that it costs little.
    Harmless,
}

const COMPLEX: Expected = Expected::Refused(&["QUERY_TOO_COMPLEX"]);
const WRONG: Expected = Expected::Refused(&["INVALID_INPUT"]);
const EITHER: Expected = Expected::Refused(&["QUERY_TOO_COMPLEX", "INVALID_INPUT"]);

struct Attack {
    name: String,
    body: Value,
    expected: Expected,
}

fn many(count: usize, each: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        let _ = write!(text, "{} ", each(n));
        text
    })
}

fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

#[allow(clippy::too_many_lines, reason = "a list")]
fn attacks() -> Vec<Attack> {
    let mut all = Vec::new();
    let mut document = |name: &str, text: String, expected| {
        all.push(Attack { name: name.to_owned(), body: json!({ "query": text }), expected });
    };
    document("aliases", format!("{{ {} }}", many(5000, |n| format!("a{n}: viewer {{ id }}"))), COMPLEX);
    document("aliases below", format!("{{ viewer {{ {} }} }}", many(9000, |n| format!("a{n}: id"))), COMPLEX);
    let conditions = "@include(if: true) ".repeat(10_000);
    document("a directive 10,000 times on a field", format!("{{ viewer {conditions} {{ id }} }}"), EITHER);
    document("a directive twice on a field", "{ viewer @skip(if: false) @skip(if: false) { id } }".into(), WRONG);
    let fields = many(4000, |n| format!("a{n}: id @include(if: true)"));
    document("a directive on each of 4,000 fields", format!("{{ viewer {{ {fields} }} }}"), EITHER);
    document("unknown directives", format!("{{ viewer {} {{ id }} }}", many(5000, |n| format!("@d{n}"))), EITHER);
    document("directives on the operation", format!("query {} {{ viewer {{ id }} }}", "@a ".repeat(10_000)), EITHER);
    document("directives that wait for @defer", "{ viewer { ... @defer { id } } }".into(), WRONG);

    document("a fragment in itself", "{ ...a } fragment a on Query { ...a }".into(), WRONG);
    let ring = many(90, |n| format!("fragment f{n} on Query {{ ...f{} }}", (n + 1) % 90));
    document("a ring of fragments", format!("{{ ...f0 }} {ring}"), EITHER);
    let ring = many(4000, |n| format!("fragment f{n} on Query {{ ...f{} }}", (n + 1) % 4000));
    document("a long ring of fragments", format!("{{ ...f0 }} {ring}"), EITHER);
    let bomb = many(30, |n| format!("fragment f{n} on Query {{ {} }}", format!("...f{} ", n + 1).repeat(30)));
    document("a fragment bomb", format!("{{ ...f0 }} {bomb} fragment f30 on Query {{ viewer {{ id }} }}"), COMPLEX);
    let bomb = many(12, |n| format!("fragment f{n} on Query {{ {} }}", format!("... {{ ...f{} }} ", n + 1).repeat(10)));
    document(
        "a bomb of inline fragments",
        format!("{{ ...f0 }} {bomb} fragment f12 on Query {{ viewer {{ id }} }}"),
        COMPLEX,
    );
    let unused = many(4000, |n| format!("fragment f{n} on Query {{ viewer {{ id }} }}"));
    document("fragments that nobody uses", format!("{{ viewer {{ id }} }} {unused}"), EITHER);
    document("fragments that are not there", format!("{{ {} }}", many(4000, |n| format!("...f{n}"))), EITHER);
    document(
        "a fragment twice",
        format!("{{ ...a }} {}", "fragment a on Query { viewer { id } } ".repeat(3000)),
        EITHER,
    );
    document("a fragment on no type", "{ ...a } fragment a on Nothing { id }".into(), WRONG);
    document(
        "a bomb that leads nowhere",
        {
            let bomb = many(20, |n| format!("fragment f{n} on Query {{ {} }}", format!("...f{} ", n + 1).repeat(20)));
            format!("{{ viewer {{ id }} }} {bomb} fragment f20 on Query {{ viewer {{ id }} }}")
        },
        COMPLEX,
    );

    let ids = "\"BAGQLFwAAHAAgAAAAAAAAAE\" ".repeat(4000);
    document("a list of 4,000 ids", format!("{{ nodes(ids: [{ids}]) {{ id }} }}"), EITHER);
    document("a list of nulls", format!("{{ nodes(ids: [{}]) {{ id }} }}", "null ".repeat(40_000)), EITHER);
    document(
        "an object of 10,000 fields",
        format!("{{ leads(filter: {{ {} }}) {{ edges {{ cursor }} }} }}", many(10_000, |n| format!("f{n}: 1"))),
        EITHER,
    );
    document(
        "the same field 10,000 times in an object",
        format!("{{ leads(filter: {{ {} }}) {{ edges {{ cursor }} }} }}", "text: \"a\" ".repeat(10_000)),
        Expected::Harmless,
    );
    document(
        "the same argument 10,000 times",
        format!("{{ leads({}) {{ edges {{ cursor }} }} }}", "first: 1 ".repeat(10_000)),
        EITHER,
    );
    document("nested lists", format!("{{ nodes(ids: {}) {{ id }} }}", nested("[", "", "]", 20_000)), COMPLEX);
    document(
        "nested objects",
        format!("{{ leads(filter: {}) {{ edges {{ cursor }} }} }}", nested("{a: ", "1", "}", 20_000)),
        COMPLEX,
    );
    document(
        "lists nested as deep as is parsed",
        format!("{{ nodes(ids: {}) {{ id }} }}", nested("[", "", "]", 190)),
        EITHER,
    );
    for (name, run) in [
        ("zeros without blanks", "0"),
        ("negative ones without blanks", "-1"),
        ("nulls without blanks", "null"),
        ("truths without blanks", "true"),
    ] {
        let values = run.repeat(200_000 / run.len());
        document(name, format!("{{ nodes(ids: [{values}]) {{ id }} }}"), EITHER);
    }
    document(
        "nested lists of nothing, many",
        format!("{{ nodes(ids: [{}]) {{ id }} }}", nested("[", "", "]", 150).repeat(500)),
        EITHER,
    );
    document("nested selections", format!("{{ viewer {} }}", nested("{ company ", "{ id }", "}", 20_000)), COMPLEX);
    document("nested inline fragments", nested("{ ... ", "{ viewer { id } }", "}", 95), Expected::Harmless);
    document("a nested type", format!("query($a: {}) {{ viewer {{ id }} }}", nested("[", "Int", "]", 20_000)), COMPLEX);
    document("a nested type that is not closed", format!("query($a: {}", "[".repeat(100_000)), COMPLEX);
    document(
        "a nested type as deep as is parsed",
        format!("query($a: {}) {{ viewer {{ id }} }}", nested("[", "Int", "]", 190)),
        EITHER,
    );
    document("brackets that only close", "}])".repeat(60_000), EITHER);
    document("brackets that only open", "{".repeat(200_000), COMPLEX);
    document("round brackets that only open", format!("{{ a{}", "(".repeat(200_000)), EITHER);

    document(
        "a long string",
        format!("{{ leads(filter: {{ text: \"{}\" }}) {{ edges {{ cursor }} }} }}", "x".repeat(200_000)),
        EITHER,
    );
    document(
        "a string of escapes",
        format!("{{ leads(filter: {{ text: \"{}\" }}) {{ edges {{ cursor }} }} }}", "\\u0041".repeat(35_000)),
        EITHER,
    );
    document("half of a surrogate pair", "{ leads(filter: { text: \"\\ud800\" }) { edges { cursor } } }".into(), WRONG);
    document("a string that is not closed", format!("{{ leads(filter: {{ text: \"{}", "x".repeat(200_000)), EITHER);
    document("a block that is not closed", format!("{{ leads(filter: {{ text: \"\"\"{}", "x\n".repeat(70_000)), EITHER);
    document("a block of quotes", format!("{{ leads(filter: {{ text: \"\"\"{}", "\\\"\"\"".repeat(20_000)), EITHER);
    document("blocks that are not closed", "\"\"\" ".repeat(30_000), EITHER);
    document("quotes", "\"".repeat(100_000), EITHER);
    document(
        "a long whole number",
        format!("{{ leads(first: {}) {{ edges {{ cursor }} }} }}", "9".repeat(200_000)),
        EITHER,
    );
    document("a number just too large", "{ leads(first: 9223372036854775808) { edges { cursor } } }".into(), EITHER);
    document("a negative number", "{ leads(first: -1) { edges { cursor } } }".into(), Expected::Answered);
    document("a number that is no number", "{ leads(first: 1e400) { edges { cursor } } }".into(), EITHER);
    document(
        "a number of exponents",
        format!("{{ leads(first: 1e{}) {{ edges {{ cursor }} }} }}", "9".repeat(100_000)),
        EITHER,
    );
    document(
        "a number of digits behind the point",
        format!("{{ leads(first: 1.{}) {{ edges {{ cursor }} }} }}", "9".repeat(200_000)),
        EITHER,
    );
    document("a long name", format!("{{ {} }}", "a".repeat(200_000)), EITHER);
    document(
        "a long name of an enum's value",
        format!("{{ leads(filter: {{ side: {} }}) {{ edges {{ cursor }} }} }}", "A".repeat(200_000)),
        EITHER,
    );
    document("a long name of an operation", format!("query {} {{ nothing }}", "a".repeat(200_000)), EITHER);
    document("a long name of a type", format!("query($a: {}) {{ viewer {{ id }} }}", "A".repeat(200_000)), EITHER);
    document("a long comment", format!("{{ viewer {{ id }} }} #{}", "x".repeat(200_000)), Expected::Answered);
    document("nothing but commas", ",".repeat(200_000), EITHER);
    document("nothing but white space", " \n\t".repeat(40_000), EITHER);
    document("nothing but comments", "#\n".repeat(70_000), EITHER);

    document("2,000 operations", many(2000, |n| format!("query q{n} {{ viewer {{ id }} }}")), EITHER);
    document("operations of one name", "query q { viewer { id } } ".repeat(3000), EITHER);
    document("operations without a name", "{ viewer { id } } ".repeat(3000), EITHER);
    document(
        "5,000 variables",
        format!("query({}) {{ viewer {{ id }} }}", many(5000, |n| format!("$a{n}: Int"))),
        EITHER,
    );
    document("a variable 5,000 times", format!("query({}) {{ viewer {{ id }} }}", "$a: Int ".repeat(5000)), EITHER);
    document(
        "variables that are not defined",
        format!("{{ nodes(ids: [{}]) {{ id }} }}", many(5000, |n| format!("$a{n}"))),
        EITHER,
    );
    document(
        "a variable in a variable's default",
        "query($a: Int = $b, $b: Int = $a) { leads(first: $a) { edges { cursor } } }".into(),
        WRONG,
    );
    document("a definition of a schema", "type Query { a: Int }".into(), WRONG);
    document(
        "definitions among operations",
        format!("{{ viewer {{ id }} }} {}", "type A { a: Int } ".repeat(3000)),
        EITHER,
    );

    document("NUL", "{ viewer { id } }\u{0}".into(), WRONG);
    document("NUL in a name", "{ vie\u{0}wer { id } }".into(), WRONG);
    document("letters that look like others", "{ viеwer { id } }".into(), WRONG);
    document("a turned direction", "{ \u{202e}viewer { id } }".into(), WRONG);
    document("wide white space", "{\u{3000}viewer { id } }".into(), WRONG);
    document("emoji", "{ 😀 }".into(), WRONG);
    document("a byte order mark", "\u{feff}{ viewer { id } }".into(), Expected::Answered);
    document("byte order marks", "\u{feff}".repeat(60_000), EITHER);
    document(
        "an odd string",
        "{ leads(filter: { text: \"\u{202e}😀\u{e000}\" }) { edges { cursor } } }".into(),
        Expected::Answered,
    );

    document(
        "the same field with other arguments",
        format!("{{ {} }}", many(3000, |n| format!("leads(first: {n}) {{ edges {{ cursor }} }}"))),
        EITHER,
    );
    document(
        "the same field, again and again",
        format!("{{ {} }}", "viewer { company { slug } } ".repeat(1200)),
        Expected::Harmless,
    );
    document(
        "the same field below, again and again",
        format!("{{ viewer {{ {} }} }}", "company { slug } ".repeat(2400)),
        Expected::Harmless,
    );
    document(
        "the same alias for other fields",
        format!("{{ viewer {{ {} }} }}", "a: id a: name ".repeat(2400)),
        EITHER,
    );
    document(
        "fields that meet in fragments",
        {
            let parts = many(60, |n| format!("fragment f{n} on Viewer {{ {} }}", many(60, |m| format!("a{m}: id"))));
            format!("{{ viewer {{ {} }} }} {parts}", many(60, |n| format!("...f{n}")))
        },
        EITHER,
    );
    document("__typename, again and again", format!("{{ {} }}", "__typename ".repeat(20_000)), COMPLEX);
    document("__typename by aliases", format!("{{ {} }}", many(4900, |n| format!("a{n}: __typename"))), EITHER);
    document("fields that are not there", format!("{{ {} }}", many(4900, |n| format!("nothing{n}"))), EITHER);

    let lists = nested("fields { type { ", "name", " } }", 12);
    document("introspection of introspection", format!("{{ __schema {{ types {{ {lists} }} }} }}"), COMPLEX);
    let whole = "types { name fields { name args { name type { name } } type { name } } }";
    document(
        "introspection by aliases",
        format!("{{ {} }}", many(120, |n| format!("a{n}: __schema {{ {whole} }}"))),
        EITHER,
    );
    let whole =
        "kind name description fields { name args { name } type { name } } possibleTypes { name fields { name } }";
    document(
        "introspection of a type by aliases",
        format!("{{ {} }}", many(120, |n| format!("a{n}: __type(name: \"Node\") {{ {whole} }}"))),
        EITHER,
    );
    document(
        "introspection by fragments",
        {
            let bomb = many(4, |n| {
                format!(
                    "fragment f{n} on __Type {{ name fields {{ type {{ ...f{} }} }} possibleTypes {{ ...f{} }} }}",
                    n + 1,
                    n + 1
                )
            });
            format!("{{ __schema {{ types {{ ...f0 }} }} }} {bomb} fragment f4 on __Type {{ name }}")
        },
        EITHER,
    );

    let pages = nested(
        "leads(first: 100) { edges { node { comments(first: 100) { edges { node { id } } } tasks(first: 100) { edges { node { id } } } ",
        "",
        " } } }",
        1,
    );
    document("pages of pages", format!("{{ {pages} }}"), COMPLEX);
    document(
        "many pages",
        format!(
            "{{ {} }}",
            many(60, |n| format!("a{n}: leads(first: 100) {{ edges {{ node {{ id title description }} }} }}"))
        ),
        COMPLEX,
    );

    let mut with = |name: &str, text: &str, variables: Value, expected| {
        all.push(Attack { name: name.to_owned(), body: json!({ "query": text, "variables": variables }), expected });
    };
    let nodes = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    with("a variable of 5,000 ids", nodes, json!({ "ids": vec!["BAGQLFwAAHAAgAAAAAAAAAE"; 5000] }), EITHER);
    with("a variable of lists", nodes, json!({ "ids": (0..100).fold(json!([]), |inner, _| json!([inner])) }), EITHER);
    with("a variable of nulls", nodes, json!({ "ids": vec![Value::Null; 20_000] }), EITHER);
    let leads = "query($filter: LeadFilter) { leads(filter: $filter) { edges { cursor } } }";
    with(
        "a variable of objects",
        leads,
        json!({ "filter": (0..100).fold(json!({}), |inner, _| json!({ "a": inner })) }),
        EITHER,
    );
    with(
        "a variable of 10,000 fields",
        leads,
        json!({ "filter": (0..10_000).map(|n| (format!("f{n}"), json!(1))).collect::<Value>() }),
        EITHER,
    );
    with(
        "a variable of 120,000 letters",
        leads,
        json!({ "filter": { "text": "x".repeat(120_000) } }),
        Expected::Refused(&["INVALID_INPUT", "QUERY_TOO_COMPLEX"]),
    );
    with(
        "variables that nobody asked for",
        "{ viewer { id } }",
        (0..5000).map(|n| (format!("v{n}"), json!("x"))).collect::<Value>(),
        Expected::Answered,
    );
    with(
        "a variable with an odd name",
        "{ viewer { id } }",
        json!({ "": 1, "$": 2, "\u{0}": 3, "__proto__": {} }),
        Expected::Answered,
    );
    let first = "query($first: Int) { leads(first: $first) { edges { cursor } } }";
    for (name, number) in [
        ("a huge number", json!(1e300)),
        ("a fraction", json!(1.5)),
        ("u64", json!(u64::MAX)),
        ("a text", json!("1")),
        ("a list", json!([1])),
    ] {
        with(name, first, json!({ "first": number }), EITHER);
    }
    with("-0", first, json!({ "first": -0.0 }), Expected::Answered);

    let several = "query a { viewer { id } } query b { viewer { id } }";
    for (name, operation) in [
        ("no such operation", json!("c")),
        ("an operation of letters", json!("a".repeat(200_000))),
        ("an operation of control signs", json!("a\r\n\u{1b}[31m")),
        ("a number for the operation", json!(7)),
    ] {
        let body = json!({ "query": several, "operationName": operation });
        all.push(Attack { name: name.to_owned(), body, expected: EITHER });
    }
    let dear = dear::all().into_iter().map(|(name, text)| (name, json!({ "query": text })));
    all.extend(dear.map(|(name, body)| Attack { name, body, expected: Expected::Harmless }));
    all
}

/// Whether it came out as it has to; the text says how it did.
async fn came_out(client: &Client, attack: &Attack) -> Result<(), String> {
    for media in ["application/json", "application/graphql-response+json"] {
        let request = client.request(Method::POST, "/graphql").header("accept", media).json(&attack.body);
        let answer = Answer::of(request).await;
        let told = || {
            let shown: String = answer.text.chars().take(400).collect();
            format!("{} as {media}: {} {shown}", attack.name, answer.status)
        };
        let longest = if answer.errors.is_empty() { 1 << 20 } else { 32 * 1024 };
        if answer.text.len() > longest || answer.errors.len() > 20 {
            return Err(format!("a long answer of {} bytes: {}", answer.text.len(), told()));
        }
        let codes: Vec<_> =
            answer.errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or("none")).collect();
        match attack.expected {
            Expected::Harmless if codes.is_empty() && answer.status == 200 => {}
            Expected::Answered => {
                if !answer.status.is_success() || codes.contains(&"INTERNAL") {
                    return Err(told());
                }
            }
            Expected::Harmless | Expected::Refused(_) => {
                let Expected::Refused(expected) =
                    (if attack.expected == Expected::Harmless { EITHER } else { attack.expected })
                else {
                    unreachable!("a refusal")
                };
                // What is found only on reaching its field comes with data and a success, by the protocol.
                let request_error =
                    serde_json::from_str::<Value>(&answer.text).is_ok_and(|body| body.get("data").is_none());
                let statuses: &[u16] = match (request_error, media) {
                    (false, "application/json") => &[200],
                    (false, _) => &[294],
                    (true, "application/json") => &[200, 400],
                    // 422: which operation is meant can't be told.
                    (true, _) => &[400, 422],
                };
                if codes.is_empty()
                    || codes.iter().any(|code| !expected.contains(code))
                    || !statuses.contains(&answer.status.as_u16())
                {
                    return Err(told());
                }
            }
        }
        for error in &answer.errors {
            if error["message"].as_str().is_none_or(|text| text.len() > 600) {
                return Err(format!("a long message: {}", told()));
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_document_of_an_attacker_is_refused_in_its_way_and_asks_nothing_of_the_database() {
    let world: World = start(Kind::Sqlite).await;
    let caller = world.as_("acme", "SALES");
    well(&caller).await;
    let mut faults = Vec::new();
    for attack in attacks() {
        assert!(attack.body.to_string().len() < 256 * 1024, "{}: the body alone is too large", attack.name);
        let before = world.server().service().db().statements();
        if let Err(fault) = came_out(&caller, &attack).await {
            faults.push(fault);
        }
        // The feed and the jobs look at the database now and then too.
        let asked = world.server().service().db().statements() - before;
        if matches!(attack.expected, Expected::Refused(_)) && asked > 40 {
            faults.push(format!("{}: {asked} statements", attack.name));
        }
        well(&caller).await;
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_document_costs_more_than_a_bounded_number_of_plain_queries() {
    // The measure is processor time, which other tests on the machine do not change much, and the bound is generous:
    // what this is to find costs a thousand times as much.
    const PLAIN: u32 = 100;
    let process = Process::start(&[("COSELL_LOG", "warn")]);
    let caller = process.member("SALES");
    for _ in 0..20 {
        well(&caller).await;
    }
    let started = process.cpu();
    for _ in 0..PLAIN {
        well(&caller).await;
    }
    let plain = process.cpu().saturating_sub(started) / PLAIN;
    let bound = (plain * 100).max(Duration::from_millis(500));
    let before = process.memory();
    let mut faults = Vec::new();
    for attack in attacks() {
        let started = process.cpu();
        let request = caller.request(Method::POST, "/graphql").json(&attack.body);
        Answer::of(request).await;
        let cost = process.cpu().saturating_sub(started);
        if cost > bound {
            faults.push(format!("{}: {cost:?}, where a plain query costs {plain:?}", attack.name));
        }
    }
    // Of all of them together, with what the cache of documents may hold.
    let grown = process.memory().saturating_sub(before) / 1024;
    if grown > 100 {
        faults.push(format!("the server has grown by {grown} MiB"));
    }
    well(&caller).await;
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_introspection_nothing_tells_of_the_schema() {
    let world: World = start(Kind::Sqlite).await;
    let server = world
        .another_server_with(&[("COSELL_INTROSPECTION", Some("false")), ("COSELL_PLAYGROUND", Some("false"))])
        .await;
    let token = world.as_("acme", "SALES").token;
    let caller = Client::new(server.addr, Some(&token));
    let asking = [
        "{ __schema { queryType { name } } }",
        "{ a: __schema { queryType { name } } }",
        "{ __type(name: \"Lead\") { name } }",
        "{ viewer { id } __type(name: \"Lead\") { fields { name } } }",
        "{ ...a } fragment a on Query { __schema { types { name } } }",
        "{ ... on Query { __schema { types { name } } } }",
        "{ ... { ... { ...a } } } fragment a on Query { b: __type(name: \"Lead\") { name } }",
        "query($no: Boolean = true) { __schema @include(if: $no) { types { name } } }",
        "mutation { __schema { types { name } } }",
        "query a { viewer { id } } query b { __schema { types { name } } }",
    ];
    for document in asking {
        let answers = [
            caller.query(document, json!({})).await,
            caller.send(json!({ "query": document, "operationName": "b" })).await,
            Answer::of(caller.request(Method::GET, &query_of("/graphql", document))).await,
        ];
        for answer in answers {
            assert!(answer.data.is_null() && !answer.errors.is_empty(), "{document}: {}", answer.text);
            assert!(!answer.text.contains("CreateLeadInput") && !answer.text.contains("\"Query\""), "{}", answer.text);
        }
        let mut stream = EventStream::open(&caller, document, json!({})).await;
        let Entry::Next(result) = stream.entry().await else { panic!("{document}: no result") };
        assert!(result["data"].is_null() && result["errors"].is_array(), "{document}: {result}");
        let mut socket = crate::support::ws::Socket::connect(server.addr, &token).await;
        let refused = socket.subscribe(document, json!({})).await.refusal().await;
        assert!(refused.data.is_null(), "{document}: {}", refused.text);
    }
    // What is spelled wrong is not put right.
    for (document, secret) in [
        ("{ viewr { id } }", "viewer"),
        ("{ viewer { compny { id } } }", "company"),
        ("{ leads(frst: 1) { edges { cursor } } }", "first"),
        ("{ leads(filter: { txt: \"a\" }) { edges { cursor } } }", "workflowOfTemplateId"),
        ("mutation { createLed(input: {}) { lead { id } } }", "createLead"),
        ("{ node(id: \"x\") { ... on Led { id } } }", "Lead"),
        ("query($a: LedFilter) { leads(filter: $a) { edges { cursor } } }", "LeadFilter"),
        ("{ leads(filter: { side: SOURC }) { edges { cursor } } }", "SOURCE"),
    ] {
        let refused = caller.query(document, json!({})).await;
        assert!(!refused.errors.is_empty(), "{document}: {}", refused.text);
        assert!(!refused.text.contains("Did you mean"), "{document}: {}", refused.text);
        assert!(!refused.text.contains(secret), "{document}: {}", refused.text);
    }
    // The name of what is there already is no secret.
    caller.query("{ __typename viewer { __typename id } }", json!({})).await.ok();
    assert_eq!(caller.request(Method::GET, "/").send().await.expect("an answer").status(), 404);
    server.shutdown().await;
}
