//! Operations are judged and answered as graphql-js judges and answers them.
//!
//! `tests/clients/compare` makes random documents and says what graphql-js makes of them.
//! `COSELL_COMPARE_CASES` is how many are tried on each schema, `COSELL_COMPARE_SEED` which.

mod agree;
mod exceptions;
mod kinds;
mod toy;

use async_graphql::{Request, ServerError, Variables};
use cosell::operation::{Compiler, Limits, Traits};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::support::node::Project;
use agree::{Answer, Asked, Case, Difference, Outcome};
use exceptions::EXCEPTIONS;
use toy::{Calls, Time, toy};

/// How many of a run of Node: it has a minute for each.
const BATCH: u64 = 2_000;

/// How many disagreements are told in full.
const SHOWN: usize = 10;

/// The schema that is answered.
const TOY: &[&str] = &["--schema", "compare/toy.graphql", "--execute"];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

/// What graphql-js makes of documents.
fn judged(project: &Project, arguments: &[&str]) -> Vec<Case> {
    let said = project.run("", "node", &[&["compare/main.mjs"], arguments].concat());
    said.ok().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}"))).collect()
}

/// What it makes of as many random ones as are wanted.
fn random(project: &Project, schema: &[&str]) -> Vec<Case> {
    let (count, seed) = (setting("COSELL_COMPARE_CASES", 3_000), setting("COSELL_COMPARE_SEED", 1));
    let batches = (0..count.div_ceil(BATCH)).map(|batch| (seed + batch, BATCH.min(count - batch * BATCH)));
    batches
        .flat_map(|(seed, count)| {
            let [seed, count] = [seed, count].map(|number| number.to_string());
            judged(project, &[schema, &["--count", &count, "--seed", &seed]].concat())
        })
        .collect()
}

/// What it makes of these.
fn judged_alone(project: &Project, asked: &[Asked]) -> Vec<Case> {
    project.write("cases.json", &serde_json::to_string(asked).expect("cases are JSON"));
    judged(project, &[TOY, &["--cases", "cases.json"]].concat())
}

/// Compiles operations on a schema, however large.
fn compiler(sdl: &str, scalar: fn(&str, &async_graphql::Value) -> Result<(), String>) -> Compiler {
    let most = usize::MAX;
    let limits = Limits {
        tokens: most,
        fields: most,
        directives: most,
        aliases: most,
        root_fields: most,
        depth: most,
        cost: most,
    };
    Compiler::new(sdl, Traits { costs: &[], scalar, personal: &[], public: true }, limits).expect("a schema")
}

/// Compiles operations on the toy schema.
fn toy_compiler(project: &Project) -> Compiler {
    compiler(&project.read("compare/toy.graphql"), |name, value| match (name, value) {
        ("DateTime", async_graphql::Value::String(text)) => Time::check(text).map_err(ToOwned::to_owned),
        ("DateTime", _) => Err("must be text".to_owned()),
        _ => Ok(()),
    })
}

/// What comes of a document here, where `answering`, with the toy schema's answers.
async fn ours(compiler: &Compiler, asked: &Asked, answering: bool) -> Outcome {
    let variables = serde_json::from_str(&asked.variables).expect("variables are an object");
    let document = compiler.document(&asked.query);
    let name = asked.operation_name.as_deref();
    let operation = match document.and_then(|document| compiler.operation(&document, name, &variables)) {
        Ok((operation, _)) => operation,
        Err(refused) => {
            let errors = refused.refusals.into_iter().map(|refusal| ServerError::from(refusal).into()).collect();
            return Outcome::Refused { errors };
        }
    };
    let calls = Calls::default();
    let answers = match () {
        () if !answering => Vec::new(),
        () if !operation.executes() => vec![operation.settle_nothing().into()],
        () => {
            let responses = toy().execute_stream(operation.request().data(calls.clone()));
            responses.map(|response| operation.settle(response).into()).collect().await
        }
    };
    Outcome::Accepted { answers, calls: calls.all() }
}

/// Fails, and tells the first ones in full, where anything differs that no exception allows.
async fn agree(compiler: &Compiler, cases: Vec<Case>, answering: bool) {
    let all = cases.len();
    let mut differing = Vec::new();
    let mut excepted = [0_usize; EXCEPTIONS.len()];
    for case in cases {
        let ours = ours(compiler, &case.asked, answering).await;
        if let Some(difference) = ours.differs(&case.theirs) {
            match EXCEPTIONS.iter().position(|exception| (exception.covers)(&case, &ours)) {
                Some(index) => excepted[index] += 1,
                None => differing.push((difference, case, ours)),
            }
        }
    }
    for (exception, times) in EXCEPTIONS.iter().zip(excepted) {
        println!("excepted {times} times: {}", exception.why);
    }
    for (difference, Case { asked, theirs, .. }, ours) in differing.iter().take(SHOWN) {
        let Asked { query, variables, operation_name } = asked;
        println!(
            "\n{difference:?} differs\n{query}\n{variables} {operation_name:?}\ngraphql-js: {theirs:?}\nours: {ours:?}"
        );
    }
    assert!(differing.is_empty(), "{} of {all} differ", differing.len());
}

/// What the toy schema answers where nothing stands before the library.
async fn library(asked: &Asked) -> Outcome {
    let calls = Calls::default();
    let variables: Value = serde_json::from_str(&asked.variables).expect("variables are JSON");
    let mut request = Request::new(&asked.query).variables(Variables::from_json(variables)).data(calls.clone());
    if let Some(name) = &asked.operation_name {
        request = request.operation_name(name);
    }
    let answers = toy().execute_stream(request).map(Answer::from).collect().await;
    Outcome::Accepted { answers, calls: calls.all() }
}

#[test]
fn both_servers_have_the_same_toy_schema() {
    let project = Project::of("tests/clients");
    project.write("rust.graphql", &toy().sdl());
    let compared = |one: &str| project.run("", "node", &["compare/schemas.mjs", one, "rust.graphql"]);
    assert_eq!(compared("compare/toy.graphql").ok(), "");
    let other = project.read("compare/toy.graphql").replace("serial: Float", "serial: Int");
    project.write("other.graphql", &other);
    let told = compared("other.graphql");
    assert!(told.ok().contains("+ type Robot implements Named { serial: Float"), "{told}");
}

#[test]
fn graphql_js_makes_of_each_kind_of_document_what_stands_beside_it() {
    let kinds = kinds::kinds();
    let asked: Vec<_> = kinds.iter().map(kinds::Kind::asked).collect();
    let cases = judged_alone(&Project::of("tests/clients"), &asked);
    assert_eq!(cases.len(), kinds.len());
    for (kind, case) in kinds.iter().zip(cases) {
        assert!(kind.expected.is(&case.theirs), "{}: {:#?}, not {:#?}", kind.name, case.theirs, kind.expected);
    }
}

#[tokio::test]
async fn each_kind_of_document_is_judged_and_answered_as_by_graphql_js() {
    let project = Project::of("tests/clients");
    let asked: Vec<_> = kinds::kinds().iter().map(kinds::Kind::asked).collect();
    agree(&toy_compiler(&project), judged_alone(&project, &asked), true).await;
}

#[tokio::test]
async fn random_documents_are_judged_and_answered_as_by_graphql_js() {
    let project = Project::of("tests/clients");
    agree(&toy_compiler(&project), random(&project, TOY), true).await;
}

#[tokio::test]
async fn random_documents_for_the_schema_of_this_server_are_judged_as_by_graphql_js() {
    let project = Project::of("tests/clients");
    // graphql-js knows nothing of its scalars, and lets any value pass.
    let compiler = compiler(&project.read("../../schema.graphql"), |_, _| Ok(()));
    agree(&compiler, random(&project, &["--schema", "../../schema.graphql"]), false).await;
}

#[test]
fn answers_that_differ_in_one_thing_differ() {
    let right = json!({
        "verdict": "accepted",
        "answers": [{
            "data": r#"{"a":1,"b":null,"c":[{"d":2},null]}"#,
            "errors": [{ "message": "b", "path": ["b"] }, { "message": "must", "path": ["c", 1, "must", "x"] }],
        }],
        "calls": ["one", "other"],
    });
    let outcome = |json: &Value| serde_json::from_value::<Outcome>(json.clone()).expect("an outcome");
    let differs = |pointer: &str, value: Value| {
        let mut wrong = right.clone();
        *wrong.pointer_mut(pointer).expect("it is there") = value;
        outcome(&wrong).differs(&outcome(&right))
    };
    // Which field of the object that may not be null it was is left open.
    assert_eq!(differs("/answers/0/errors/1/path/2", json!("other")), None);
    assert_eq!(differs("/answers/0/errors/0/message", json!("in other words")), None);

    let other_order = r#"{"b":null,"a":1,"c":[{"d":2},null]}"#;
    assert_eq!(differs("/answers/0/data", json!(other_order)), Some(Difference::Data));
    assert_eq!(differs("/answers/0/data", json!(r#"{"a":1,"b":null,"c":[null,null]}"#)), Some(Difference::Data));
    assert_eq!(differs("/answers/0/errors/0/path", json!([])), Some(Difference::Errors));
    assert_eq!(differs("/answers/0/errors/0/path", json!(["a"])), Some(Difference::Errors));
    assert_eq!(differs("/answers/0/errors/1/path/1", json!(0)), Some(Difference::Errors));
    assert_eq!(differs("/answers/0/errors", json!([])), Some(Difference::Errors));
    assert_eq!(differs("/calls", json!(["other", "one"])), Some(Difference::Calls));
    assert_eq!(differs("/calls", json!(["one", "other", "other"])), Some(Difference::Calls));
    assert_eq!(differs("/answers", json!([])), Some(Difference::Answers));
    let refused = outcome(&json!({ "verdict": "refused", "errors": [] }));
    assert_eq!(refused.differs(&outcome(&right)), Some(Difference::Verdict));
    assert_eq!(outcome(&right).differs(&refused), Some(Difference::Verdict));
    assert_eq!(refused.differs(&refused), None);
}

/// The library alone departs from the specification, in data, calls and errors; and graphql-js never from itself.
#[tokio::test]
async fn the_comparison_finds_what_differs() {
    let project = Project::of("tests/clients");
    let mut cases = judged(&project, &[TOY, &["--count", "500", "--seed", "1"]].concat());
    // The library alone panics at some of those that are refused.
    cases.retain(|case| matches!(case.theirs, Outcome::Accepted { .. }));
    let mut found = Vec::new();
    for case in &cases {
        assert_eq!(case.theirs.differs(&case.theirs), None, "{case:?}");
        found.extend(library(&case.asked).await.differs(&case.theirs));
    }
    for difference in [Difference::Calls, Difference::Answers, Difference::Data, Difference::Errors] {
        assert!(found.contains(&difference), "no difference in {difference:?} was found");
    }
    assert!(
        found.len() < cases.len() * 4 / 5,
        "{} of {} differ: the schemas hardly answer alike",
        found.len(),
        cases.len()
    );
}
