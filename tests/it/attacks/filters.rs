//! Signs that mean something to SQL, to LIKE or to a terminal, in every text that the schema takes.

use std::collections::{BTreeMap, BTreeSet};

use cosell::domain::global_id::NodeType;
use cosell::domain::text::loose;
use serde_json::{Map, Value, json};

use super::well;
use crate::ids::{PLACES, Things};
use crate::on_both_databases;
use crate::support::database::{Kind, start};
use crate::support::http::Answer;
use crate::support::leads::lead_of;
use crate::support::world::{Person, World};

/// Writes an operation around a field, from its variables and the field.
type Around<'a> = Box<dyn Fn(&str, &str) -> String + 'a>;

/// What people and attackers write.
fn hostile() -> Vec<String> {
    let texts = [
        "%",
        "_",
        "\\",
        "\\%",
        "'",
        "''",
        "\"",
        "';--",
        "' OR '1'='1",
        "\" OR 1=1 --",
        "); DROP TABLE lead; --",
        "$1",
        "?",
        ":a",
        "{}",
        "[]",
        "null",
        "a\u{0}b",
        "\u{202e}x",
        "\u{feff}",
        "😀",
        "\n",
        "\u{1b}[31m",
        "İ",
        "ß",
        "ﬁ",
        "\u{1F1E6}",
        "e\u{301}",
        "Σς",
    ];
    texts.into_iter().map(str::to_owned).chain(["x".repeat(10_000), "%".repeat(3000), "😀".repeat(2000)]).collect()
}

/// The schema's types, by their names.
struct Types(BTreeMap<String, Value>);

/// What a type comes to without its lists and exclamation marks.
fn named(ty: &Value) -> &str {
    if ty["ofType"].is_null() { ty["name"].as_str().expect("a name") } else { named(&ty["ofType"]) }
}

/// The type as a document writes it.
fn written(ty: &Value) -> String {
    match ty["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", written(&ty["ofType"])),
        Some("LIST") => format!("[{}]", written(&ty["ofType"])),
        _ => ty["name"].as_str().expect("a name").to_owned(),
    }
}

impl Types {
    fn read() -> Self {
        const TYPE: &str =
            "type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }";
        let all = format!(
            "{{ __schema {{ types {{ kind name isOneOf enumValues {{ name }} inputFields {{ name defaultValue {TYPE} }} \
             fields {{ name args {{ name defaultValue {TYPE} }} {TYPE} }} }} }} }}"
        );
        let schema = crate::support::introspect(&all);
        let types = schema["__schema"]["types"].as_array().expect("types").iter();
        Self(types.map(|ty| (ty["name"].as_str().expect("a name").to_owned(), ty.clone())).collect())
    }

    fn fields<'a>(&'a self, ty: &str, of: &str) -> impl Iterator<Item = &'a Value> {
        self.0[ty][of].as_array().into_iter().flatten()
    }

    /// Whether a text is written there; every scalar that is no number and no flag takes one.
    fn is_text(&self, ty: &Value) -> bool {
        self.0[named(ty)]["kind"] == "SCALAR" && !["Int", "Float", "Boolean"].contains(&named(ty))
    }

    /// The ways to every text below that place.
    fn texts(&self, ty: &Value, before: &[String], found: &mut Vec<Vec<String>>) {
        if self.is_text(ty) {
            found.push(before.to_vec());
        } else if self.0[named(ty)]["kind"] == "INPUT_OBJECT" && before.len() < 6 {
            for field in self.fields(named(ty), "inputFields") {
                let path = [before, &[field["name"].as_str().expect("a name").to_owned()]].concat();
                self.texts(&field["type"], &path, found);
            }
        }
    }

    /// A value of that type, with the text at the end of the way, and what has to be there beside it.
    fn value(&self, place: &str, ty: &Value, way: Option<&[String]>, text: &str, own: &Things) -> Value {
        let is_list = ty["kind"] == "LIST" || (ty["kind"] == "NON_NULL" && ty["ofType"]["kind"] == "LIST");
        let one = match (self.0[named(ty)]["kind"].as_str(), way) {
            (Some("INPUT_OBJECT"), way) => {
                let mut object = Map::new();
                for field in self.fields(named(ty), "inputFields") {
                    let name = field["name"].as_str().expect("a name");
                    let on_the_way =
                        way.and_then(|way| way.split_first()).filter(|(first, _)| *first == name).map(|(_, rest)| rest);
                    let needed = field["type"]["kind"] == "NON_NULL" && field["defaultValue"].is_null();
                    if on_the_way.is_some() || needed {
                        let place = format!("{}.{name}", named(ty));
                        object.insert(name.to_owned(), self.value(&place, &field["type"], on_the_way, text, own));
                    }
                }
                Value::Object(object)
            }
            (Some("ENUM"), _) => self.0[named(ty)]["enumValues"][0]["name"].clone(),
            (_, Some([])) => json!(text),
            _ => match named(ty) {
                "Int" => json!(1),
                "Float" => json!(1.5),
                "Boolean" => json!(true),
                "ID" => json!(own.id(PLACES.iter().find(|it| it.at == place).map_or(NodeType::Lead, |it| it.kind))),
                "DateTime" => json!("2026-06-01T09:00:00.000Z"),
                "Date" => json!("2026-06-01"),
                "Decimal" => json!("1"),
                "CurrencyCode" => json!("EUR"),
                "CountryCode" => json!("AT"),
                "Duration" => json!("P7D"),
                "EmailAddress" => json!("a@b.example"),
                "URL" => json!("https://a.example"),
                "PhoneNumber" => json!("+4331612345"),
                "JSON" => json!({}),
                _ => json!("A"),
            },
        };
        if is_list { json!([one]) } else { one }
    }

    fn selection(&self, ty: &Value) -> &str {
        let ty = &self.0[named(ty)];
        let has =
            |name: &str| ty["fields"].as_array().is_some_and(|fields| fields.iter().any(|field| field["name"] == name));
        match ty["kind"].as_str() {
            Some("SCALAR" | "ENUM") => "",
            _ if has("edges") => "{ edges { cursor } }",
            _ => "{ __typename }",
        }
    }
}

/// A call of a field with a text in one place.
struct Call {
    place: String,
    document: String,
    variables: Value,
}

/// Every place of every field that takes a text, for one text.
fn calls(types: &Types, own: &Things, text: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let nodes = [
        ("Company", NodeType::Company),
        ("Member", NodeType::Member),
        ("Partnership", NodeType::Partnership),
        ("Lead", NodeType::Lead),
        ("Opportunity", NodeType::Opportunity),
        ("Comment", NodeType::Comment),
        ("Task", NodeType::Task),
        ("LeadTemplate", NodeType::LeadTemplate),
        ("MarketingList", NodeType::MarketingList),
        ("Workflow", NodeType::Workflow),
    ];
    for (name, ty) in &types.0 {
        let around: Around<'_> = match name.as_str() {
            "Query" => Box::new(|head, field| format!("query({head}) {{ {field} }}")),
            "Mutation" => Box::new(|head, field| format!("mutation({head}) {{ {field} }}")),
            name if ty["kind"] == "OBJECT" => match nodes.iter().find(|(node, _)| *node == name) {
                Some((node, kind)) => {
                    let id = own.id(*kind).to_owned();
                    Box::new(move |head, field| {
                        format!("query({head}) {{ node(id: \"{id}\") {{ ... on {node} {{ {field} }} }} }}")
                    })
                }
                None => continue,
            },
            _ => continue,
        };
        for field in types.fields(name, "fields") {
            let args: Vec<_> = field["args"].as_array().into_iter().flatten().collect();
            for arg in &args {
                let mut ways = Vec::new();
                types.texts(&arg["type"], &[], &mut ways);
                for way in ways {
                    let field_name = field["name"].as_str().expect("a name");
                    let mut variables = Map::new();
                    let (mut head, mut given) = (Vec::new(), Vec::new());
                    for other in &args {
                        let arg_name = other["name"].as_str().expect("a name");
                        let here = arg_name == arg["name"];
                        let needed = other["type"]["kind"] == "NON_NULL" && other["defaultValue"].is_null();
                        if here || needed {
                            let place = format!("{name}.{field_name}:{arg_name}");
                            variables.insert(
                                arg_name.to_owned(),
                                types.value(&place, &other["type"], here.then_some(&way[..]), text, own),
                            );
                            head.push(format!("${arg_name}: {}", written(&other["type"])));
                            given.push(format!("{arg_name}: ${arg_name}"));
                        }
                    }
                    let field = format!("{field_name}({}) {}", given.join(", "), types.selection(&field["type"]));
                    calls.push(Call {
                        place: format!(
                            "{name}.{field_name}:{}",
                            [&[arg["name"].as_str().expect("a name").to_owned()], &way[..]].concat().join(".")
                        ),
                        document: around(&head.join(", "), &field),
                        variables: Value::Object(variables),
                    });
                }
            }
        }
    }
    // What ends things comes last, so that there is something to work on before.
    let ends = [
        "end",
        "discard",
        "retire",
        "archive",
        "erase",
        "withdraw",
        "decline",
        "close",
        "cancel",
        "remove",
        "suspend",
        "deactivate",
        "disqualify",
        "reject",
    ];
    calls.sort_by_key(|call| ends.iter().any(|word| call.place.starts_with(&format!("Mutation.{word}"))));
    calls
}

/// What may be compared between two databases: their ids, names and times are their own.
fn comparable(answer: &Answer) -> (Vec<(String, String)>, usize) {
    let faults = answer.faults().into_iter().map(|(code, field)| (code.to_owned(), field.to_owned())).collect();
    (faults, answer.data.to_string().matches("\"cursor\"").count())
}

struct Side {
    _world: World,
    person: Person,
    own: Things,
}

impl Side {
    async fn on(kind: Kind) -> Self {
        let world: World = start(kind).await;
        let own = Things::of(&world, "acme", "globex").await;
        let person = world.person("acme", "acme-admin", &["ADMIN", "SALES"]);
        Self { _world: world, person, own }
    }

    async fn ask(&self, call: &Call) -> Answer {
        let answer = self.person.query(&call.document, call.variables.clone()).await;
        let codes: BTreeSet<_> = answer.faults().iter().map(|(code, _)| (*code).to_owned()).collect();
        let variables: String = call.variables.to_string().chars().take(300).collect();
        assert!(answer.status == 200, "{}: {} {} with {variables}", call.place, answer.status, answer.text);
        for bad in ["INTERNAL", "UNAVAILABLE", "QUERY_TOO_COMPLEX"] {
            assert!(!codes.contains(bad), "{} with {variables}: {}", call.place, answer.text);
        }
        for word in ["syntax error", "SQLSTATE", "sqlite", "postgres", "UNIQUE constraint"] {
            assert!(!answer.text.contains(word), "{} with {variables}: {}", call.place, answer.text);
        }
        answer
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_text_of_the_schema_takes_any_signs_and_both_databases_answer_alike() {
    let types = Types::read();
    let (one, other) = tokio::join!(Side::on(Kind::Sqlite), Side::on(Kind::Postgres));
    let (mut places, mut asked) = (BTreeSet::new(), 0);
    let mut faults = Vec::new();
    for (n, text) in hostile().iter().enumerate() {
        let (calls, others) = (calls(&types, &one.own, text), calls(&types, &other.own, text));
        assert_eq!(calls.len(), others.len());
        for (at, (call, same)) in calls.iter().zip(&others).enumerate() {
            places.insert(call.place.clone());
            // A mutation is tried with a few of the texts, another few at each place: they come by one way of reading.
            if call.place.starts_with("Mutation") && (at + n) % 6 != 0 {
                continue;
            }
            asked += 1;
            let (first, second) = tokio::join!(one.ask(call), other.ask(same));
            if comparable(&first) != comparable(&second) {
                faults
                    .push(format!("{} with {text:.40?}: SQLite {} PostgreSQL {}", call.place, first.text, second.text));
            }
        }
    }
    // New places are found by themselves; that these are found shows that the walk does not pass over many.
    for place in [
        "Query.leads:filter.text",
        "Query.leads:filter.stage",
        "Query.node:id",
        "Query.leads:after",
        "Mutation.createLead:input.customer.company",
        "Mutation.createLead:input.idempotencyKey",
        "Mutation.addComment:input.body",
        "Lead.comments:after",
    ] {
        assert!(places.contains(place), "{place} was not tried, but {places:#?}");
    }
    assert!(places.len() > 150 && asked > 2000, "{} places, {asked} calls", places.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    well(&one.person).await;
    well(&other.person).await;
}

on_both_databases! {
    async fn a_filter_by_text_finds_what_holds_the_text_and_nothing_else(world: World) {
        let person = world.as_("acme", "SALES");
        let titles = ["100% of it", "100 percent", "a_b", "a-b", "axb", "back\\slash", "O'Brien", "say \"hi\"", "'; DROP TABLE lead; --", "😀 smile", "ÄÖÜ", "Straße", "STRASSE",
            "İstanbul", "a\\%b", "a\\_b", "[a-z]", "*", "?", "(x)", "100", "$1", "null", "e\u{301}cole", "école", "ΣΑΣ"];
        for title in titles {
            lead_of(&person, json!({ "title": title, "customer": { "company": "Initrode" } })).await;
        }
        let found = async |text: &str| {
            let document = "query($t: String) { leads(first: 100, filter: { text: $t }) { edges { node { title customer { company } number } } } }";
            let answer = person.query(document, json!({ "t": text })).await;
            let edges = answer.data.pointer("/leads/edges").and_then(Value::as_array).cloned();
            edges.map(|edges| edges.iter().map(|edge| edge["node"]["title"].as_str().expect("a title").to_owned()).collect::<BTreeSet<_>>())
        };
        for text in ["%", "_", "\\", "\\%", "\\_", "a_b", "a%b", "100%", "'", "\"", "--", ";", "[a-z]", "[", "*", "?", "😀", "ä", "straße", "$1", "(x)", "%%", "a__", "_b", "drop table"] {
            let found = found(text).await.unwrap_or_else(|| panic!("{text:?} is refused"));
            let holds = |title: &&&str| loose(text).split_whitespace().all(|word| loose(title).contains(word));
            let expected: BTreeSet<_> = titles.iter().filter(holds).map(|title| (*title).to_owned()).collect();
            assert_eq!(found, expected, "by {text:?}");
        }
        // What is no text that people could read is refused, or finds nothing.
        for text in ["\u{0}", "a\u{0}", "\u{202e}", &"x".repeat(10_000)] {
            assert!(found(text).await.is_none_or(|found| found.is_empty()), "by {text:.20?}");
        }
        well(&person).await;
    }
}
