//! The way of an operation, over a schema of every shape.
#![allow(clippy::needless_pass_by_value, reason = "variables read as they are written")]

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use async_graphql::{PathSegment, Response, ServerError, Value};

use super::*;
use crate::domain::arbitrary::mutated;
use crate::error::ErrorCode;

const SDL: &str = "
    scalar Moment
    enum Colour { RED GREEN }
    interface Node { id: ID! }
    interface Named implements Node { id: ID! name: String }
    type Lead implements Named & Node { id: ID! name: String note: String must: Int! partner: Partner tags: [String!] }
    type Partner implements Named & Node { id: ID! name: String city: String! lead: Lead }
    type Place { id: ID city: String }
    union Any = Lead | Partner | Place
    input Filter { text: String! = \"all\" colour: Colour = GREEN at: Moment not: Filter ids: [ID!] count: Int }
    type LeadEdge { node: Lead! }
    type LeadConnection { edges: [LeadEdge!]! }
    type Query {
      lead(id: ID): Lead
      leads(first: Int, last: Int): LeadConnection!
      find(filter: Filter!, and: [Filter!], size: Int! = 3): [Lead!]!
      any: Any
      named: Named
      many(ids: [ID!]!): [Any!]
      json(value: Moment): Int
    }
    type Mutation { make(filter: Filter!): Lead }
    type Subscription { changed(after: String, id: ID): Lead other: Lead }
";

const LIMITS: Limits =
    Limits { tokens: 1000, fields: 200, directives: 20, aliases: 10, root_fields: 5, depth: 8, cost: 1000 };

/// So many fields, each by a name of its own.
fn many(fields: usize) -> String {
    (0..fields).fold(String::new(), |all, n| format!("{all}a{n}: id "))
}

fn compiler() -> Compiler {
    let scalar = |_: &str, value: &Value| match value {
        Value::String(text) if text.starts_with('2') => Ok(()),
        _ => Err("must be a moment of this millennium".to_owned()),
    };
    let traits =
        Traits { costs: &[("Query", "many", Cost::Each("ids", 10))], scalar, personal: &["note"], public: true };
    Compiler::new(SDL, traits, LIMITS).unwrap()
}

fn compile(text: &str, variables: &Json) -> Result<Operation, Refused> {
    let compiler = compiler();
    let document = compiler.document(text)?;
    Ok(compiler.operation(&document, None, variables.as_object().unwrap_or(&Map::new()))?.0)
}

/// The operation as it is executed.
fn planned(text: &str, variables: Json) -> String {
    compile(text, &variables).unwrap_or_else(|refused| panic!("{text}: {refused:?}")).to_string()
}

fn refusal(text: &str, variables: Json) -> Refusal {
    compile(text, &variables).map(|it| it.to_string()).expect_err(text).refusals[0].clone()
}

#[test]
fn what_is_selected_again_is_one_field() {
    for text in [
        "{ lead(id: 1) { id name } }",
        "{ lead(id: \"1\") { id } lead(id: \"1\") { name } }",
        "{ ...a ...b } fragment a on Query { lead(id: 1) { id } } fragment b on Query { ...a lead(id: 1) { name } }",
        "query($id: ID, $no: Boolean = false) { lead(id: $id) { id note @include(if: $no) ... on Named { name } } }",
        "query q($i: ID = 1) { lead(id: $i) { ... on Node { id } ... @skip(if: true) { note } name } }",
    ] {
        assert_eq!(planned(text, json!({ "id": 1 })), "query{lead:lead(id:\"1\",){id:id()name:name()}}", "{text}");
    }
}

#[test]
fn absent_variables_stay_absent_and_null_stays_null() {
    let text = "query($f: Filter!, $c: Colour, $t: String!) { find(filter: $f, and: {text: $t, colour: $c}) { id } }";
    let find = |variables| planned(text, variables);
    assert_eq!(
        find(json!({ "f": {}, "t": "x" })),
        "query{find:find(filter:{text: \"all\", colour: GREEN},and:[{text: \"x\", colour: GREEN}],){id:id()}}"
    );
    assert_eq!(
        find(json!({ "f": { "colour": null, "not": { "ids": 7 } }, "t": "x", "c": null })),
        "query{find:find(filter:{text: \"all\", colour: null, not: {text: \"all\", colour: GREEN, ids: [\"7\"]}},\
         and:[{text: \"x\", colour: null}],){id:id()}}"
    );
}

#[test]
fn values_that_do_not_fit_are_told_with_their_place() {
    let wrong = |variables: Json| {
        let refused = compile("query($f: Filter!) { find(filter: $f) { id } }", &variables).unwrap_err();
        refused.refusals.into_iter().map(|it| it.fault.message).collect::<Vec<_>>()
    };
    for (filter, message) in [
        (json!(null), "The variable $f must be given, and not null."),
        (json!(7), "$f must be an object, a Filter; it is 7."),
        (json!({ "colour": "BLUE" }), "$f.colour must be one of RED, GREEN; it is \"BLUE\"."),
        (json!({ "txt": "a" }), "$f must not have a field `txt`: Filter has none. Did you mean `text`?"),
        (json!({ "at": "1999" }), "$f.at must be a moment of this millennium; it is \"1999\"."),
        (json!({ "count": 1.5 }), "$f.count must be a whole number of 32 bits; it is 1.5."),
        (json!({ "count": 2_147_483_648_u64 }), "$f.count must be a whole number of 32 bits; it is 2147483648."),
        (json!({ "ids": ["a", null] }), "$f.ids.1 must not be null: it is an ID!."),
        (json!({ "ids": [true] }), "$f.ids.0 must be an ID, as a string; it is true."),
        (json!({ "text": null }), "$f.text must not be null: it is a String!."),
        (json!({ "text": ["a"] }), "$f.text must be a string; it is a list."),
        (json!({ "not": { "not": [1] } }), "$f.not.not must be an object, a Filter; it is a list."),
    ] {
        assert_eq!(wrong(json!({ "f": filter })), [message]);
    }
    assert_eq!(wrong(json!({ "f": { "count": "1", "colour": 7, "at": [] } })).len(), 3);
    assert_eq!(
        planned("query($n: Int) { leads(first: $n) { edges { node { id } } } }", json!({ "n": 2.0 }))
            .matches("first:2,")
            .count(),
        1
    );
}

#[test]
fn what_the_validator_lacks_is_refused() {
    for (text, what) in [
        ("query($s: String) { many(ids: [$s]) { __typename } }", "ID!"),
        ("query($s: [ID]) { find(filter: {ids: $s}) { id } }", "cannot be used where `[ID!]` is expected"),
        ("query($s: ID = null) { lead(id: $s) { id } many(ids: $s) { __typename } }", "ID!"),
        ("{ find(filter: {text: \"a\", text: \"b\"}) { id } }", "the input field `text` is provided multiple times"),
        ("{ json(value: {a: $x}) }", "variable `$x` is not defined"),
        ("query($x: Int) { json(value: [[$x]]) }", "of type `Int` cannot be used where `Moment` is expected"),
        ("{ json(value: \"1999\") }", "must be a moment of this millennium"),
        (
            "{ many(ids: [\"a\"]) { __typename } many(ids: [\"a\", \"b\"]) { __typename } }",
            "Two selections of `many` differ",
        ),
        ("{ named { ... on Lead { a: id } ... on Named { a: name } } }", "a"),
        ("subscription { changed { id } other { id } }", "can only have one root field"),
        ("query a { lead { id } } query b { lead { nam } }", "does not have a field `nam`. Did you mean `name`?"),
        ("query Q() { lead { id } }", "syntax error"),
        ("{ lead(id: 1 x) { id } }", "expected `:` and a value, got `)`"),
        ("{ lead(id) { id } }", "expected `:` and a value, got `)`"),
        ("{ lead { id @skip(if: true false) } }", "expected `:` and a value, got `)`"),
        ("mutation { make(filter: {text: \"a\" colour GREEN}) { id } }", "expected `:` and a value, got `GREEN`"),
        ("query($f: Filter = {text}) { find(filter: $f) { id } }", "expected `:` and a value, got `}`"),
        ("{ find(filter: {ids: [{a}]}) { id } }", "expected `:` and a value, got `}`"),
        ("{ lead(id: $) { id } }", "expected the name of a variable"),
        ("{ lead(1) { id } }", "expected a name or the end of the list"),
        ("{ lead(id: \"\na\") { id } }", "a string ends in its line"),
        ("{ many(ids: [00]) { __typename } }", "syntax error"),
        ("{ ...on } fragment on on Query { lead { id } }", "syntax error"),
    ] {
        let found = refusal(text, json!({}));
        assert_eq!(found.fault.code, ErrorCode::InvalidInput, "{text}");
        assert!(found.fault.message.contains(what), "{text}: {}", found.fault.message);
        assert!(found.pos.is_some(), "{text}");
    }
}

#[test]
fn a_place_is_told_by_line_and_character() {
    let found = refusal("# é\nquery {\n  lead { id }\n  é: lead { id }\n}", json!({}));
    assert_eq!(found.pos.map(|at| (at.line, at.column)), Some((4, 3)));
    let found = refusal("{ lead {\n  a: id  # é\n  nothing } }", json!({}));
    assert_eq!(found.pos.map(|at| (at.line, at.column)), Some((3, 3)));
}

#[test]
fn what_runs_is_counted_and_what_does_not_is_not() {
    let deep = "lead { partner { ".repeat(4) + "id" + &" } }".repeat(4);
    let over = |text: &str| {
        refusal(text, json!({}))
            .fault
            .extensions()
            .find(|(name, _)| *name == "limit")
            .map(|(_, limit)| limit.to_owned())
    };
    assert_eq!(over(&format!("{{ {deep} }}")), Some("limits.max_depth".to_owned()));
    assert_eq!(
        over("{ leads(first: 100) { edges { node { id name note must partner { id name city } } } } }"),
        Some("limits.max_complexity".to_owned())
    );
    assert_eq!(
        over(
            "{ a: any { __typename } b: any { __typename } c: any { __typename } d: any { __typename } any { __typename } named { id } }"
        ),
        Some("limits.max_root_fields".to_owned())
    );
    let aliases = many(11);
    assert_eq!(over(&format!("{{ lead {{ {aliases} }} }}")), Some("limits.max_aliases".to_owned()));
    assert_eq!(over(&format!("{{ lead {{ {} }} }}", "id ".repeat(200))), Some("limits.max_fields".to_owned()));
    assert_eq!(
        over(&format!("{{ lead {{ id {} }} }}", "@skip(if: false) ".repeat(21))),
        Some("limits.max_directives".to_owned())
    );
    assert_eq!(over(&format!("{{ lead {{ {} }} }}", "id ".repeat(1000))), Some("limits.max_tokens".to_owned()));
    // The other operations of the document are held against the rules alone.
    let compiler = compiler();
    let document = compiler
        .document(&format!(
            "query a {{ lead {{ id }} }} query b {{ {deep} }} query c($x: ID!) {{ lead(id: $x) {{ id }} }}"
        ))
        .unwrap();
    assert!(compiler.operation(&document, Some("a"), &Map::new()).is_ok());
    for wrong in [None, Some("d"), Some("")] {
        assert!(compiler.operation(&document, wrong, &Map::new()).unwrap_err().undetermined, "{wrong:?}");
    }
    // The dearest type counts, and each only for itself.
    let cost = |text: &str| compile(text, &json!({})).is_ok();
    let types = |fields: usize| {
        format!("{{ many(ids: []) {{ ... on Lead {{ {0} }} ... on Partner {{ {0} }} }} }}", many(fields))
    };
    assert!(cost(&types(10)));
    assert!(!cost(&types(11)));
}

#[test]
fn commas_and_blanks_are_free_wherever_they_stand() {
    for text in [
        "{,lead,(,id,:,1,),{,id,a,:,name,...,n,...,on,Named,{,name,},},} fragment,n,on,Lead{,note,}",
        "query($i: [ID!] = [1,2 ,], $f: Filter! = {not: {text: \"(\", ids: [$x]}} @a) { find(filter: $f) { id } }",
        "query q($a: [[ID!]!] = [[]], $b: ID = 1,) @x(a: [{b: {c: [$a]}}]) { lead(id: $b) { id } }",
    ] {
        assert!(text::check(text, 1000).is_ok(), "{text}");
    }
    let described = "\"What it asks.\" query (\"\"\"Which\n one.\"\"\" $i: ID, \"No.\" $n: Int = 1) { lead(id: $i) { ...f } leads(first: $n) { edges { node { id } } } } \
                     \"Its name.\" fragment f on Lead { id }";
    assert!(planned(described, json!({ "i": 1 })).starts_with("query{lead:lead(id:\"1\",){id:id()}leads:"));
    for text in [
        "\"a\" { lead { id } }",
        "\"a\"",
        "query(\"a\") { lead { id } }",
        "\"a\" \"b\" query { lead { id } }",
        "{ lead(\"a\") { id } }",
    ] {
        assert!(refusal(text, json!({})).fault.message.starts_with("syntax error"), "{text}");
    }
    let free = "{,lead,(,id,:,1,),{,id,a,:,name,...,n,...,on,Named,{,name,},},} fragment,n,on,Lead{,note,}";
    assert_eq!(planned(free, json!({})), "query{lead:lead(id:\"1\",){id:id()a:name()note:note()name:name()}}");
    let found = refusal("{ lead(id: 1,\r\n\r\"é\" ?) { id } }", json!({}));
    assert_eq!(found.pos.map(|at| (at.line, at.column)), Some((3, 1)));
    let found = refusal(&format!("{{ many(ids: {}) }}", "[".repeat(300)), json!({}));
    assert_eq!(found.fault.code, ErrorCode::QueryTooComplex);
}

#[test]
fn a_bomb_is_measured_and_not_walked() {
    let mut bomb = "{ lead { ...f0 } }".to_owned();
    for level in 0..40 {
        write!(bomb, " fragment f{level} on Lead {{ ...f{0} ...f{0} }}", level + 1).unwrap();
    }
    bomb.push_str(" fragment f40 on Lead { id }");
    assert_eq!(refusal(&bomb, json!({})).fault.code, ErrorCode::QueryTooComplex);
    let circle = "{ lead { ...a } } fragment a on Lead { id ...b } fragment b on Lead { ...a }";
    assert!(refusal(circle, json!({})).fault.message.contains("cannot reference itself"));
    // Types within types come to more than is written.
    let on = |inner: &str| format!("{{ ... on Lead {{ id {inner} }} ... on Partner {{ id lead {{ id }} {inner} }} }}");
    assert!(compile(&format!("{{ named {} }}", on("name")), &json!({})).is_ok());
}

#[test]
fn a_place_of_several_types_asks_each_for_its_own() {
    let text = "{ any { ... on Named { name } ... on Node { id } ... on Place { city } } }";
    assert_eq!(
        planned(text, json!({})),
        "query{any:any(){...on Lead{name:name()id:id()}...on Partner{name:name()id:id()}...on Place{city:city()}\
         #name,id,#city,\n}}"
    );
}

#[test]
fn who_asks_the_same_in_other_words_has_the_same_digest() {
    let digest = |text: &str, variables: Json| compile(text, &variables).unwrap().without("after").digest();
    let one = digest("subscription { changed(id: 1) { id name } }", json!({}));
    for (text, variables) in [
        ("subscription S($i: ID!) {\n changed(id: $i) { ...f } } fragment f on Lead { id name }", json!({ "i": "1" })),
        (
            "subscription { ...r } fragment r on Subscription { changed(id: \"1\", after: \"x\") { id name id } }",
            json!({}),
        ),
        ("subscription($a: String) { changed(id: 1, after: $a) { id name } }", json!({ "a": "y" })),
    ] {
        assert_eq!(digest(text, variables), one, "{text}");
    }
    for text in [
        "subscription { changed(id: 2) { id name } }",
        "subscription { changed { id name } }",
        "subscription { changed(id: 1) { name id } }",
        "subscription { a: changed(id: 1) { id name } }",
        "subscription { changed(id: 1) { id name: id } }",
    ] {
        assert_ne!(digest(text, json!({})), one, "{text}");
    }
    assert!(!compile("subscription { changed { id } }", &json!({})).unwrap().is_personal());
    assert!(compile("subscription { changed { x: note } }", &json!({})).unwrap().is_personal());
    let root = |variables| compile("subscription($a: String) { changed(after: $a) { id } }", &variables).unwrap();
    assert_eq!(root(json!({})).root_argument("after"), None);
    assert_eq!(root(json!({ "a": "x" })).root_argument("after"), Some(&Value::from("x")));
}

#[test]
fn a_document_keeps_the_shapes_of_its_conditions() {
    let compiler = compiler();
    let mut document = compiler
        .document("query($a: Boolean!, $b: Boolean!) { lead { id @skip(if: $a) name @include(if: $b) } }")
        .unwrap();
    let weight = document.bytes();
    for _ in 0..2 {
        for (a, b) in [(false, false), (true, false), (false, true), (true, true)] {
            let variables = json!({ "a": a, "b": b });
            let (operation, grown) = compiler.operation(&document, None, variables.as_object().unwrap()).unwrap();
            let expected = format!(
                "query{{lead:lead(){{{}{}}}}}",
                if a { "" } else { "id:id()" },
                if b { "name:name()" } else { "" }
            );
            assert_eq!(operation.to_string(), expected);
            document = grown.unwrap_or(document);
        }
    }
    assert!(document.bytes() > weight);
    let all = json!({ "a": true, "b": true });
    assert!(compiler.operation(&document, None, all.as_object().unwrap()).unwrap().1.is_none());
}

/// What becomes of an answer with errors at those paths.
fn settled(text: &str, data: Json, paths: &[Json]) -> String {
    let operation = compile(text, &json!({})).unwrap();
    let mut response = Response::new(Value::from_json(data).unwrap());
    response.errors = paths
        .iter()
        .map(|path| {
            let path: Vec<PathSegment> = serde_json::from_value(path.clone()).unwrap();
            ServerError::new("no", None).with_path(path)
        })
        .collect();
    serde_json::to_string(&operation.settle(response).data).unwrap()
}

#[test]
fn an_answer_has_its_order_its_nulls_and_its_empty_objects() {
    let text = "{ named { id } lead { name id must } }";
    assert_eq!(
        settled(text, json!({ "lead": { "must": 1, "id": "1", "name": "a" }, "named": { "id": "2" } }), &[]),
        r#"{"named":{"id":"2"},"lead":{"name":"a","id":"1","must":1}}"#
    );
    // A field that may be null is null, and one that may not takes the nearest parent that may.
    let lead = json!({ "named": { "id": "2" }, "lead": { "id": "1", "must": 1 } });
    assert_eq!(
        settled(text, lead, &[json!(["lead", "name"])]),
        r#"{"named":{"id":"2"},"lead":{"name":null,"id":"1","must":1}}"#
    );
    let lead = json!({ "named": { "id": "2" }, "lead": { "id": "1", "name": "a" } });
    assert_eq!(settled(text, lead, &[json!(["lead", "must"])]), r#"{"named":{"id":"2"},"lead":null}"#);
    // An object whose fields have all failed is no null of the resolver's.
    let failed = [json!(["lead", "name"])];
    assert_eq!(settled("{ lead { name } }", json!({ "lead": null }), &failed), r#"{"lead":{"name":null}}"#);
    assert_eq!(settled("{ lead { name } }", json!({ "lead": null }), &[]), r#"{"lead":null}"#);
    assert_eq!(settled("{ lead { name } }", json!(null), &[json!(["lead"])]), r#"{"lead":null}"#);
    let list = json!({ "find": [{ "id": "1" }, { "must": 2, "id": "2" }] });
    assert_eq!(settled("{ find(filter: {}) { must id } }", list, &[json!(["find", 0, "must"])]), "null");
    let several = json!({ "many": [{ "#type": "Place", "city": "B" }, { "#type": "Lead", "name": "a" }, { "#type": "Partner" }] });
    assert_eq!(
        settled("{ many(ids: []) { ... on Place { city } ... on Lead { name } } }", several, &[]),
        r#"{"many":[{"city":"B"},{"name":"a"},{}]}"#
    );
    assert_eq!(
        settled("{ lead { id @skip(if: true) } }", json!({ "lead": { "#type": "Lead" } }), &[]),
        r#"{"lead":{}}"#
    );
    assert_eq!(settled("{ lead @skip(if: true) { id } }", json!({}), &[]), "{}");
}

#[test]
fn the_schema_stands_in_an_answer_where_it_was_asked_for() {
    let text = "query($n: String!) { a: lead { id } __type(name: $n) { name isOneOf kind } b: __schema { queryType { name } } c: lead { id } }";
    let operation = compile(text, &json!({ "n": "Filter" })).unwrap();
    assert_eq!(
        operation.to_string(),
        "query{a:lead(){id:id()}__type:__type(name:\"Filter\",)b:__schema()c:lead(){id:id()}}"
    );
    let answer = operation.settle(Response::new(Value::from_json(json!({ "c": null, "a": null })).unwrap()));
    assert_eq!(
        serde_json::to_string(&answer.data).unwrap(),
        r#"{"a":null,"__type":{"name":"Filter","isOneOf":false,"kind":"INPUT_OBJECT"},"b":{"queryType":{"name":"Query"}},"c":null}"#
    );
    let alone = compile("{ __type(name: \"Lead\") { isOneOf interfaces { name } } }", &json!({})).unwrap();
    assert!(!alone.executes());
    assert_eq!(
        serde_json::to_string(&alone.settle_nothing().data).unwrap(),
        r#"{"__type":{"isOneOf":null,"interfaces":[{"name":"Named"},{"name":"Node"}]}}"#
    );
}

#[test]
fn a_schema_that_is_not_public_is_not_told_of() {
    let traits = Traits { costs: &[], scalar: |_, _| Ok(()), personal: &[], public: false };
    let compiler = Compiler::new(SDL, traits, LIMITS).unwrap();
    for (text, secrets) in [
        ("{ leed { id } }", &["lead", "Lead"][..]),
        ("query($f: Int) { find(filter: $f) { id } }", &["Filter"]),
        ("{ find { id } }", &["filter", "Filter"]),
        ("{ find(filter: {colour: BLUE}) { id } }", &["RED", "Colour"]),
        ("{ lead { id { x } } }", &["ID!"]),
        ("{ lead }", &["Lead"]),
    ] {
        for refusal in compiler.document(text).unwrap_err().refusals {
            assert!(!secrets.iter().any(|it| refusal.fault.message.contains(it)), "{text}: {}", refusal.fault.message);
        }
    }
    let document = compiler.document("query($f: Filter!) { find(filter: $f) { id } }").unwrap();
    for (filter, secret) in
        [(json!({ "colour": 1 }), "RED"), (json!({ "nott": 1 }), "`not`"), (json!({ "not": 1 }), "Lead")]
    {
        let variables = json!({ "f": filter });
        let refused = compiler.operation(&document, None, variables.as_object().unwrap()).unwrap_err();
        assert!(!refused.refusals[0].fault.message.contains(secret), "{refused:?}");
    }
}

const DOCUMENT: &str = "query a($b: Filter = {not: {ids: [1]}}, $c: Boolean! = true) { i: find(filter: $b, and: [{text: \"\"\"m\"\"\"}]) \
                        { ...n ... on Named { name @skip(if: $c) } } } fragment n on Lead { id partner { city } __typename } # s";

proptest! {
    #[test]
    fn whatever_is_sent_is_compiled_or_refused_in_words(
        text in prop_oneof![any::<String>(), "[\\[\\](){}\"#\\\\a$@!:.\n ]{0,400}", mutated(DOCUMENT.to_owned())],
        number in any::<f64>(),
    ) {
        let compiler = compiler();
        let variables = json!({ "b": { "count": number, "text": text }, "c": number > 0.0 });
        let variables = variables.as_object().unwrap();
        match compiler.document(&text).and_then(|it| compiler.operation(&it, None, variables)) {
            Ok((operation, _)) => drop(operation.settle(Response::new(Value::Null))),
            Err(refused) => prop_assert!((1..=Refused::MOST).contains(&refused.refusals.len())),
        }
    }
}

#[test]
fn the_schema_beside_what_fails_and_with_any_number_is_told() {
    let text =
        "query($n: Int) { lead { id } leads(first: $n) { edges { node { id } } } __type(name: \"Place\") { name } }";
    let operation = compile(text, &json!({ "n": 1.0 })).unwrap();
    let mut response = Response::new(Value::Null);
    let failed = |name: &str| ServerError::new("no", None).with_path(vec![PathSegment::Field(name.to_owned())]);
    response.errors = vec![failed("lead")];
    let alone = compile("{ lead { id } __type(name: \"Place\") { name } }", &json!({})).unwrap();
    let told = serde_json::to_string(&alone.settle(response).data).unwrap();
    assert_eq!(told, r#"{"lead":null,"__type":{"name":"Place"}}"#);
    let mut response = Response::new(Value::Null);
    response.errors = vec![failed("lead"), failed("leads")];
    assert_eq!(operation.settle(response).data, Value::Null);
    // What is in a value of a custom scalar is for the scalar to say.
    assert!(refusal("{ json(value: [null]) }", json!({})).fault.message.contains("of this millennium"));
}
