//! Operations are executed as the specification has it, over every way in (GraphQL, September 2025).
//!
//! Each test is about one kind of departure that servers are known for; graphql-js is the judge.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::block_in_place;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::matrix::Scene;
use crate::on_both_databases;
use crate::support::cli::Cli;
use crate::support::database::{Database, Kind, OnDatabase as _};
use crate::support::http::{Answer, Client};
use crate::support::leads::{lead_of, read};
use crate::support::node::Tools;
use crate::support::rows::Rows;
use crate::support::sse::{self, EventStream};
use crate::support::world::{Person, SECRET, World};
use crate::support::ws::{Socket, Subscription};

const PATIENCE: Duration = Duration::from_secs(30);
const INVALID: &str = "INVALID_INPUT";

/// How an operation comes to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Post,
    Get,
    Stream,
    Socket,
}

const READS: [Way; 4] = [Way::Post, Way::Get, Way::Stream, Way::Socket];
const WRITES: [Way; 3] = [Way::Post, Way::Stream, Way::Socket];
const LIVE: [Way; 2] = [Way::Stream, Way::Socket];

/// A request: the document, its variables, and the operation that is meant.
#[derive(Clone)]
struct Ask {
    document: String,
    variables: Value,
    operation: Option<&'static str>,
}

fn ask(document: impl Into<String>, variables: Value) -> Ask {
    Ask { document: document.into(), variables, operation: None }
}

impl Ask {
    fn named(self, operation: &'static str) -> Self {
        Self { operation: Some(operation), ..self }
    }

    fn with(self, variables: Value) -> Self {
        Self { variables, ..self }
    }

    fn body(&self) -> Value {
        let mut body = json!({ "query": self.document, "variables": self.variables });
        if let Some(name) = self.operation {
            body["operationName"] = json!(name);
        }
        body
    }

    /// What the server answers, with the response's own text.
    async fn over(&self, way: Way, person: &Person) -> Answer {
        match way {
            Way::Post => person.send(self.body()).await,
            Way::Get => self.get(person).await,
            Way::Stream => {
                let answer = Answer::of(sse::request_of(person, &self.body())).await;
                let data = answer.text.lines().find_map(|line| line.strip_prefix("data: "));
                let text = data.unwrap_or_else(|| panic!("no result in {}", answer.text)).to_owned();
                let body = serde_json::from_str(&text).expect("JSON");
                Answer { text, ..Answer::from_body(&body) }
            }
            Way::Socket => Raw::open(person, self).await.next().await,
        }
    }

    async fn get(&self, client: &Client) -> Answer {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("query", &self.document).append_pair("variables", &self.variables.to_string());
        if let Some(name) = self.operation {
            query.append_pair("operationName", name);
        }
        Answer::of(client.request(Method::GET, &format!("/graphql?{}", query.finish()))).await
    }
}

/// An operation on a websocket whose messages are read as they stand.
struct Raw(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Raw {
    async fn open(person: &Person, ask: &Ask) -> Self {
        let mut request = format!("ws://{}/graphql/ws", person.address()).into_client_request().expect("a request");
        request.headers_mut().insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse().expect("a header"));
        let (mut socket, _) = connect_async(request).await.expect("the server upgrades");
        for message in [
            json!({ "type": "connection_init", "payload": { "token": person.token } }),
            json!({ "type": "subscribe", "id": "1", "payload": ask.body() }),
        ] {
            socket.send(Message::text(message.to_string())).await.expect("it is open");
        }
        Self(socket)
    }

    /// The server has taken the operation up: it answers a ping that was sent after it.
    async fn begun(mut self) -> Self {
        self.0.send(Message::text(json!({ "type": "ping" }).to_string())).await.expect("it is open");
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.expect("in time").expect("it is open").expect("sound");
            if message.to_text().expect("a text").contains("\"pong\"") {
                return self;
            }
        }
    }

    /// The next result, or the errors of the operation.
    async fn next(&mut self) -> Answer {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.expect("in time").expect("it is open").expect("sound");
            let Message::Text(text) = message else { panic!("no text: {message:?}") };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            match message["type"].as_str() {
                Some("next") => {
                    let text = json_of(&ordered(&text)["payload"]);
                    return Answer { text, ..Answer::from_body(&message["payload"]) };
                }
                Some("error") => return Answer::from_body(&json!({ "errors": message["payload"] })),
                Some("connection_ack" | "ping") => {}
                _ => panic!("neither a result nor errors: {message}"),
            }
        }
    }
}

/// JSON that keeps the order of its fields.
struct Ordered(async_graphql::Value);

fn ordered(text: &str) -> Ordered {
    Ordered(serde_json::from_str(text).unwrap_or_else(|fault| panic!("{fault}: {text}")))
}

impl std::ops::Index<&str> for Ordered {
    type Output = async_graphql::Value;

    fn index(&self, name: &str) -> &Self::Output {
        let async_graphql::Value::Object(fields) = &self.0 else { panic!("no object: {}", self.0) };
        fields.get(name).unwrap_or(&async_graphql::Value::Null)
    }
}

/// The text of `data`, in the order in which it came.
fn text_of(answer: &Answer) -> String {
    json_of(&ordered(&answer.text)["data"])
}

fn json_of(value: &async_graphql::Value) -> String {
    serde_json::to_string(value).expect("JSON")
}

/// What was otherwise than it should be, told all at once.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    /// Asks over every way that reads; gets this each time, to the letter.
    async fn gives(&mut self, person: &Person, ask: &Ask, expected: &str) {
        for way in READS {
            let answer = ask.over(way, person).await;
            if !answer.errors.is_empty() || text_of(&answer) != expected {
                let asked = format!("{} {} over {way:?}", ask.document, ask.variables);
                self.0.push(format!("{asked}\nexpected {expected}\ngot      {}", answer.text));
            }
        }
    }

    /// Asks over every way that reads; is refused each time.
    async fn refuses(&mut self, person: &Person, ask: &Ask) {
        for way in READS {
            let answer = ask.over(way, person).await;
            if !is_refusal(&answer) {
                let asked = format!("{} {} over {way:?}", ask.document, ask.variables);
                self.0.push(format!("{asked}\nexpected to be refused\ngot      {}", answer.text));
            }
        }
    }

    #[track_caller]
    fn none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n\n"));
    }
}

/// Refused before anything was executed, and for what the caller wrote.
fn is_refusal(answer: &Answer) -> bool {
    let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    body.is_object()
        && body.get("data").is_none()
        && !answer.errors.is_empty()
        && answer.faults().iter().all(|(code, _)| *code == INVALID)
        && answer.status.as_u16() < 500
}

#[track_caller]
fn refused(answer: &Answer, what: &str) {
    assert!(is_refusal(answer), "{what} was not refused: {}", answer.text);
}

async fn count_of_leads(person: &Person) -> usize {
    let all = person.query("{ leads(first: 100) { edges { cursor } } }", json!({})).await.ok();
    all.list_at("/leads/edges").len()
}

/// A lead of the person's company, and a task on it.
async fn lead_with_task(person: &Person) -> (String, String) {
    let lead = lead_of(person, json!({})).await;
    let task = person.mutate("createTask", json!({ "leadId": lead, "title": "Call them" }), "task { id }").await.ok();
    (lead, task.text_at("/createTask/task/id").to_owned())
}

// Fields are collected before they are executed.

on_both_databases! {
    async fn a_field_that_several_selections_name_alike_is_executed_once(world: World) {
        let person = world.as_("acme", "SALES");
        let input = json!({ "i": { "title": "Forty seats", "customer": { "company": "Initrode" } } });
        let mut made = 0;
        for selections in [
            "{ ...A ...B }",
            "{ ...B ...A ...B }",
            "{ createLead(input: $i) { lead { id } } createLead(input: $i) { lead { title number } } }",
            "{ ... { createLead(input: $i) { lead { id } } } ... on Mutation @include(if: true) { ...B } }",
            "{ ...C } fragment C on Mutation { ...A ... on Mutation { ...B __typename } }",
        ] {
            let mut document = format!("mutation ($i: CreateLeadInput!) {selections}");
            if selections.contains("...B") {
                document.push_str(" fragment B on Mutation { __typename createLead(input: $i) { __typename lead { number title } } }");
            }
            if selections.contains("...A") || selections.contains("...C") {
                document.push_str(" fragment A on Mutation { createLead(input: $i) { lead { __typename id } } }");
            }
            for way in WRITES {
                let answer = ask(document.clone(), input.clone()).over(way, &person).await.ok();
                made += 1;
                let lead = answer.at("/createLead/lead");
                let stored = read(&person, lead["id"].as_str().expect("an id"), "number title").await;
                assert_eq!((&lead["number"], &lead["title"]), (&stored["number"], &stored["title"]), "{way:?} {document}");
                assert_eq!(count_of_leads(&person).await, made, "{way:?} {document}");
            }
        }
        // Under two names it is asked for twice.
        let document = "mutation ($i: CreateLeadInput!) { a: createLead(input: $i) { lead { number } } ...B } fragment B on Mutation { b: createLead(input: $i) { lead { number } } }";
        let answer = ask(document, input).over(Way::Post, &person).await.ok();
        assert_ne!(answer.at("/a/lead/number"), answer.at("/b/lead/number"));
        assert_eq!(count_of_leads(&person).await, made + 2);
    }

    async fn a_lead_that_two_fragments_accept_is_accepted_once(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let partner = world.as_("globex", "SALES");
        let document = "mutation ($id: ID!) { ...A ...B }
            fragment A on Mutation { acceptLead(input: { leadId: $id }) { lead { id stage { key } } } }
            fragment B on Mutation { acceptLead(input: { leadId: $id }) { lead { version stage { name } } } }";
        for way in WRITES {
            let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
            let before = read(&partner, &lead, "version").await["version"].as_i64().expect("a number");
            let answer = ask(document, json!({ "id": lead })).over(way, &partner).await.ok();
            let expected = json!({ "id": lead, "stage": { "key": "accepted", "name": "Accepted" }, "version": before + 1 });
            assert_eq!(answer.at("/acceptLead/lead"), &expected, "{way:?}");
            let log = "query ($id: ID!) { activity(filter: { leadId: $id, kind: [LEAD_STAGE_CHANGED] }) { edges { node { ... on LeadStageChanged { to { key } } } } } }";
            let log = partner.query(log, json!({ "id": lead })).await.ok();
            let accepted = log.list_at("/activity/edges").iter().filter(|it| it["node"]["to"]["key"] == "accepted");
            assert_eq!(accepted.count(), 1, "{way:?}: {}", log.text);
        }
    }

    async fn a_list_that_two_fragments_select_is_read_once(world: World) {
        const ROUNDS: usize = 120;
        const MOST: usize = 2000;
        let person = world.as_("acme", "SALES");
        lead_of(&person, json!({ "title": "lead 0" })).await;
        let over = Arc::new(AtomicBool::new(false));
        let writes = {
            let (writer, over) = (world.person("acme", "writer", &["SALES"]), Arc::clone(&over));
            tokio::spawn(async move {
                let mut titles = BTreeMap::new();
                for round in 1..MOST {
                    let title = format!("lead {round}");
                    let id = lead_of(&writer, json!({ "title": title })).await;
                    let renamed = json!({ "leadId": id, "title": format!("{title} renamed") });
                    writer.mutate("updateLead", renamed, "lead { id }").await.ok();
                    titles.insert(id, title);
                    if over.load(Ordering::Acquire) {
                        break;
                    }
                }
                titles
            })
        };
        let document = "{ ...L ...T }
            fragment L on Query { leads(first: 3) { edges { node { id number } } } }
            fragment T on Query { leads(first: 3) { edges { node { again: number title } cursor } pageInfo { endCursor } } }";
        let mut seen = Vec::new();
        for round in 0..ROUNDS {
            let answer = ask(document, json!({})).over(READS[round % READS.len()], &person).await.ok();
            let edges = answer.list_at("/leads/edges");
            assert_eq!(&edges.last().expect("a lead")["cursor"], answer.at("/leads/pageInfo/endCursor"));
            for edge in edges {
                let node = &edge["node"];
                assert_eq!(node["number"], node["again"], "one node of two leads: {node}");
                let text = |name: &str| node[name].as_str().unwrap_or_else(|| panic!("no {name}: {node}")).to_owned();
                seen.push((text("id"), text("title")));
            }
        }
        over.store(true, Ordering::Release);
        let titles = writes.await.expect("the writer was not let down");
        assert!(titles.len() > 3, "too little was written: {}", titles.len());
        for (id, title) in seen {
            let Some(given) = titles.get(&id) else { continue };
            assert!(title == *given || title == format!("{given} renamed"), "{id} is {given}, but was read as {title}");
        }
    }
}

// Values.

/// What a null does to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Null {
    /// It is null afterwards.
    Clears,
    /// It is null afterwards, and can't be set again.
    Ends,
    /// It is an empty list afterwards.
    Empties,
    /// It stays as it is.
    Keeps,
    /// It is REQUIRED.
    Refused,
}

/// A nullable field of an input that leaves what is absent: its path in the input, a value, where it is read.
struct Change {
    path: &'static str,
    value: Value,
    read: &'static str,
    null: Null,
}

fn change(path: &'static str, value: impl Into<Value>, read: &'static str, null: Null) -> Change {
    Change { path, value: value.into(), read, null }
}

/// A mutation whose input leaves what is absent.
struct Update {
    mutation: &'static str,
    record: &'static str,
    /// What names the record, and its value.
    named: (&'static str, String),
    selection: &'static str,
    changes: Vec<Change>,
}

/// The input types of the schema: description, fields with their types.
struct Inputs {
    types: BTreeMap<String, (String, Vec<(String, String)>)>,
    /// By mutation.
    of: BTreeMap<String, String>,
}

impl Inputs {
    fn read() -> Self {
        fn name(ty: &Value) -> String {
            match ty["kind"].as_str() {
                Some("NON_NULL") => format!("{}!", name(&ty["ofType"])),
                Some("LIST") => format!("[{}]", name(&ty["ofType"])),
                _ => ty["name"].as_str().expect("a name").to_owned(),
            }
        }
        let schema = crate::support::introspect(
            "{ __schema { mutationType { fields { name args { type { ...T } } } } types { kind name description inputFields { name type { ...T } } } } }
            fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }",
        );
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let schema = &schema["__schema"];
        let types = list(&schema["types"])
            .iter()
            .filter(|ty| ty["kind"] == "INPUT_OBJECT")
            .map(|ty| {
                let fields = list(&ty["inputFields"]).iter().map(|it| (text(&it["name"]), name(&it["type"]))).collect();
                (text(&ty["name"]), (text(&ty["description"]), fields))
            })
            .collect();
        let of = list(&schema["mutationType"]["fields"])
            .iter()
            .map(|field| (text(&field["name"]), name(&field["args"][0]["type"]).trim_end_matches('!').to_owned()))
            .collect();
        Self { types, of }
    }

    /// The nullable fields of an input by path, with their types. Objects of which every field may be absent are entered.
    fn nullable(&self, ty: &str, before: &str, found: &mut BTreeMap<String, String>) {
        for (field, ty) in self.types[ty].1.iter().filter(|(_, ty)| !ty.ends_with('!')) {
            let path = format!("{before}{field}");
            found.insert(path.clone(), ty.clone());
            let open = self.types.get(ty).is_some_and(|(_, fields)| fields.iter().all(|(_, ty)| !ty.ends_with('!')));
            if open {
                self.nullable(ty, &format!("{path}."), found);
            }
        }
    }
}

impl Update {
    fn variable(path: &str) -> String {
        path.replace('.', "_")
    }

    /// The mutation with a variable for each of these paths, and all of it that is read.
    fn document(&self, types: &BTreeMap<String, String>, paths: &[&str]) -> String {
        fn write(paths: &[&str], before: &str) -> String {
            let mut text = String::new();
            let mut heads: Vec<&str> = paths.iter().map(|path| path.split('.').next().expect("a name")).collect();
            heads.dedup();
            for head in heads {
                let below: Vec<&str> =
                    paths.iter().filter_map(|path| path.strip_prefix(head)?.strip_prefix('.')).collect();
                let path = format!("{before}{head}");
                let _ = if below.is_empty() {
                    write!(text, "{head}: ${} ", Update::variable(&path))
                } else {
                    write!(text, "{head}: {{ {} }} ", write(&below, &format!("{path}.")))
                };
            }
            text
        }
        let variables: String =
            paths.iter().fold(String::new(), |all, path| format!("{all} ${}: {}", Self::variable(path), types[*path]));
        let (name, mutation) = (self.named.0, self.mutation);
        let id = if types.contains_key(name) { "ID" } else { "ID!" };
        format!(
            "mutation (${name}: {id}{variables}) {{ {mutation}(input: {{ {name}: ${name} {} }}) {{ {} {{ {} }} }} }}",
            write(paths, ""),
            self.record,
            self.selection
        )
    }

    /// Calls it with these variables; the record as it is then.
    async fn call(
        &self,
        way: Way,
        person: &Person,
        document: &str,
        given: &[(&str, &Value)],
    ) -> Result<Value, Box<Answer>> {
        let mut variables = json!({ self.named.0: self.named.1 });
        for (path, value) in given {
            variables[Self::variable(path)] = (*value).clone();
        }
        let answer = ask(document, variables).over(way, person).await;
        if !answer.errors.is_empty() {
            return Err(Box::new(answer));
        }
        Ok(tidy(answer.at(&format!("/{}/{}", self.mutation, self.record)).clone()))
    }

    async fn holds(&self, person: &Person, inputs: &Inputs) {
        let input = &inputs.of[self.mutation];
        let mut types = BTreeMap::new();
        inputs.nullable(input, "", &mut types);
        let listed: BTreeMap<&str, &Change> = self.changes.iter().map(|it| (it.path, it)).collect();
        let known: Vec<&str> = types.keys().map(String::as_str).filter(|path| *path != self.named.0).collect();
        assert_eq!(listed.keys().copied().collect::<Vec<_>>(), known, "fields of {input} that may be absent or null");
        let is_leaf = |path: &&str| !known.iter().any(|other| other.starts_with(&format!("{path}.")));
        let leaves: Vec<&str> = known.iter().copied().filter(is_leaf).collect();
        let all = self.document(&types, &leaves);
        let values: Vec<_> =
            leaves.iter().map(|path| (*path, &listed[path].value)).filter(|it| !it.1.is_null()).collect();
        let answer = self.call(Way::Post, person, &all, &values).await;
        let mut full = answer.unwrap_or_else(|answer| panic!("{all}: {}", answer.text));
        for (path, _) in &values {
            let at = full.pointer(listed[path].read);
            let there = at.is_some_and(|it| !it.is_null() && *it != json!([]));
            assert!(there || listed[path].null == Null::Keeps, "{path} of {} was not set: {full:#}", self.mutation);
        }
        for way in WRITES {
            let stays = self.call(way, person, &all, &[]).await.unwrap_or_else(|it| panic!("{all}: {}", it.text));
            assert_eq!(stays, full, "{} over {way:?}: what is absent changed", self.mutation);
        }
        for (turn, path) in known.iter().enumerate() {
            let change = listed[path];
            // One that has others below it takes their place.
            let mut paths: Vec<&str> =
                leaves.iter().copied().filter(|leaf| !leaf.starts_with(&format!("{path}."))).collect();
            if !paths.contains(path) {
                paths.push(path);
                paths.sort_unstable();
            }
            let document = self.document(&types, &paths);
            let way = WRITES[turn % WRITES.len()];
            let cleared = self.call(way, person, &document, &[(path, &Value::Null)]).await;
            if change.null == Null::Refused {
                let Err(answer) = cleared else { panic!("{path} of {} may be null", self.mutation) };
                assert_eq!(answer.code(), "REQUIRED", "{path}: {}", answer.text);
            } else {
                let cleared = cleared.unwrap_or_else(|answer| panic!("{path}: null, {document}: {}", answer.text));
                let mut expected = full.clone();
                let slot = expected.pointer_mut(change.read).expect("it is read");
                match change.null {
                    Null::Clears | Null::Ends => *slot = Value::Null,
                    Null::Empties => *slot = json!([]),
                    Null::Keeps | Null::Refused => {}
                }
                assert_eq!(cleared, tidy(expected), "{} over {way:?} with {path}: null", self.mutation);
                if change.null == Null::Ends {
                    full = cleared;
                    continue;
                }
            }
            if !change.value.is_null() {
                let again = self.call(way, person, &document, &[(path, &change.value)]).await;
                let again = again.unwrap_or_else(|answer| panic!("{path}, {document}: {}", answer.text));
                assert_eq!(again, full, "{} over {way:?} with {path} alone", self.mutation);
            }
        }
    }
}

/// The same, with null for each object whose fields are all null.
fn tidy(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: serde_json::Map<_, _> = fields.into_iter().map(|(name, value)| (name, tidy(value))).collect();
            if fields.values().all(Value::is_null) { Value::Null } else { Value::Object(fields) }
        }
        other => other,
    }
}

fn update_of_lead(lead: &str, owner: &str) -> Update {
    use Null::{Clears, Ends, Keeps, Refused};
    let address =
        json!({ "street": "Ring 1", "city": "Graz", "region": "Styria", "postalCode": "8010", "country": "AT" });
    let contact = json!({
        "firstName": "Ann", "lastName": "Lee", "jobTitle": "Buyer", "email": "ann@initrode.example", "phone": "+43316123456"
    });
    let mut customer =
        json!({ "company": "Initrode", "website": "https://initrode.example/", "industry": "Steel", "employees": 40 });
    let mut changes = vec![
        change("externalReference", json!({ "system": "crm", "id": "7" }), "/externalReferences", Keeps),
        change("title", "Fifty seats", "/title", Refused),
        change("description", "At length", "/description", Clears),
        change("leadSource", "Web", "/leadSource", Clears),
        change("customer.company", "Initrode", "/customer/company", Refused),
        change("customer.website", customer["website"].clone(), "/customer/website", Clears),
        change("customer.industry", "Steel", "/customer/industry", Clears),
        change("customer.employees", 40, "/customer/employees", Clears),
        change("customer.address", address.clone(), "/customer/address", Clears),
        change("customer.address.street", "Ring 1", "/customer/address/street", Clears),
        change("customer.address.city", "Graz", "/customer/address/city", Clears),
        change("customer.address.region", "Styria", "/customer/address/region", Clears),
        change("customer.address.postalCode", "8010", "/customer/address/postalCode", Clears),
        change("customer.address.country", "AT", "/customer/address/country", Clears),
        change("customer.contact", contact.clone(), "/customer/contact", Clears),
        change("customer.contact.firstName", "Ann", "/customer/contact/firstName", Clears),
        change("customer.contact.lastName", "Lee", "/customer/contact/lastName", Clears),
        change("customer.contact.jobTitle", "Buyer", "/customer/contact/jobTitle", Clears),
        change("customer.contact.email", "ann@initrode.example", "/customer/contact/email", Clears),
        change("customer.contact.phone", "+43316123456", "/customer/contact/phone", Clears),
        change("estimatedValue", json!({ "amount": "1200.00", "currency": "EUR" }), "/estimatedValue", Clears),
        change("qualification", crate::support::leads::qualification(), "/qualification", Clears),
        change("expiresAt", "2026-03-20T09:00:00.000Z", "/expiresAt", Ends),
        change("ownerId", owner, "/owner", Clears),
        change("expectedVersion", Value::Null, "", Keeps),
    ];
    for (path, read) in [
        ("qualification.goal", "/qualification/goal"),
        ("qualification.implementationOptions", "/qualification/implementationOptions"),
        ("qualification.procurementProcedure", "/qualification/procurementProcedure"),
        ("qualification.decisionLevel", "/qualification/decisionLevel"),
        ("qualification.terms", "/qualification/terms"),
        ("qualification.decisionMaker", "/qualification/decisionMaker"),
        ("qualification.selectionCriteria", "/qualification/selectionCriteria"),
        ("qualification.complianceWithCriteria", "/qualification/complianceWithCriteria"),
        ("qualification.channel", "/qualification/channel"),
    ] {
        let name = path.split('.').nth(1).expect("a name");
        changes.push(change(path, crate::support::leads::qualification()[name].clone(), read, Clears));
    }
    customer["address"] = address;
    customer["contact"] = contact;
    changes.push(change("customer", customer, "", Refused));
    Update {
        mutation: "updateLead",
        record: "lead",
        named: ("leadId", lead.to_owned()),
        selection: "title description leadSource expiresAt owner { id } estimatedValue { amount currency }
            externalReferences { system id url }
            customer { company website industry employees address { street city region postalCode country }
                contact { firstName lastName jobTitle email phone } }
            qualification { goal implementationOptions procurementProcedure decisionLevel terms decisionMaker
                selectionCriteria complianceWithCriteria channel }",
        changes,
    }
}

fn update_of_opportunity(opportunity: &str, responsible: &str) -> Update {
    use Null::{Clears, Keeps, Refused};
    Update {
        mutation: "updateOpportunity",
        record: "opportunity",
        named: ("opportunityId", opportunity.to_owned()),
        selection: "name description value { amount currency } closeDate city currentSituation sellingDirection responsible { id }",
        changes: vec![
            change("name", "A deal", "/name", Refused),
            change("description", "At length", "/description", Clears),
            change("value", json!({ "amount": "1200.00", "currency": "EUR" }), "/value", Clears),
            change("closeDate", "2026-11-21", "/closeDate", Clears),
            change("city", "Graz", "/city", Clears),
            change("currentSituation", "Tense", "/currentSituation", Clears),
            change("sellingDirection", "Licences", "/sellingDirection", Clears),
            change("responsibleId", responsible, "/responsible", Clears),
            change("expectedVersion", Value::Null, "", Keeps),
        ],
    }
}

fn update_of_task(task: &str) -> Update {
    use Null::{Clears, Keeps, Refused};
    Update {
        mutation: "updateTask",
        record: "task",
        named: ("taskId", task.to_owned()),
        selection: "title description dueAt",
        changes: vec![
            change("title", "Write to them", "/title", Refused),
            change("description", "At length", "/description", Clears),
            change("dueAt", "2026-03-20T09:00:00.000Z", "/dueAt", Clears),
            change("expectedVersion", Value::Null, "", Keeps),
        ],
    }
}

/// A template of a workflow that counts these limits; the others can't be set.
fn update_of_template(template: &str, workflow: &str, counted: &[&'static str]) -> Update {
    use Null::{Clears, Empties, Keeps, Refused};
    let limit = |path: &'static str, value: &str, read: &'static str| {
        change(path, counted.contains(&path).then_some(value), read, Clears)
    };
    Update {
        mutation: "updateLeadTemplate",
        record: "template",
        named: ("templateId", template.to_owned()),
        selection: "name workflowVersion answerWithin convertWithin checkEvery duplicateProtection requiredFields defaults { field value } isDefault",
        changes: vec![
            change("name", "Fair", "/name", Refused),
            change("workflowId", workflow, "/workflowVersion", Refused),
            limit("answerWithin", "P7D", "/answerWithin"),
            limit("convertWithin", "P90D", "/convertWithin"),
            limit("checkEvery", "P30D", "/checkEvery"),
            change("duplicateProtection", "P90D", "/duplicateProtection", Clears),
            change("requiredFields", json!(["customer.contact.email"]), "/requiredFields", Empties),
            change("defaults", json!([{ "field": "leadSource", "value": "Fair" }]), "/defaults", Empties),
            change("isDefault", true, "/isDefault", Keeps),
            change("expectedVersion", Value::Null, "", Keeps),
        ],
    }
}

fn update_of_settings(partnership: &str) -> Update {
    use Null::Keeps;
    Update {
        mutation: "updatePartnershipSettings",
        record: "partnership",
        named: ("partnershipId", partnership.to_owned()),
        selection: "settings { stageMovedBy }",
        changes: vec![
            change("stageMovedBy", "VENDOR", "/settings/stageMovedBy", Keeps),
            change("expectedVersion", Value::Null, "", Keeps),
        ],
    }
}

on_both_databases! {
    async fn a_variable_that_is_absent_leaves_its_field_and_one_that_is_null_clears_it(world: World) {
        let inputs = Inputs::read();
        let scene = Scene::set(world).await;
        let (sales, admin) = (scene.vendor(), scene.world.as_("acme", "ADMIN"));
        let lead = scene.pending().await;
        let opportunity = sales.mutate("createOpportunity", json!({ "name": "A" }), "opportunity { id }").await.ok();
        let (_, task) = lead_with_task(&sales).await;
        let workflows = admin.query("{ workflows { id key shipped } }", json!({})).await.ok();
        let template = async |key: &str, counted: &[&'static str]| {
            let mut all = workflows.list_at("/workflows").iter();
            let workflow = all.find(|it| it["key"] == key && it["shipped"] == true).expect("it is shipped")["id"].clone();
            let input = json!({ "key": format!("fair-{key}"), "name": "A", "workflowId": workflow });
            let made = admin.mutate("createLeadTemplate", input, "template { id }").await.ok();
            update_of_template(made.text_at("/createLeadTemplate/template/id"), workflow.as_str().expect("an id"), counted)
        };
        let updates = [
            (&sales, update_of_lead(&lead, &scene.owner)),
            (&sales, update_of_opportunity(opportunity.text_at("/createOpportunity/opportunity/id"), &scene.owner)),
            (&sales, update_of_task(&task)),
            (&admin, template("partner-lead", &["answerWithin", "convertWithin"]).await),
            (&admin, template("submitted-lead", &["checkEvery"]).await),
            (&admin, update_of_settings(&scene.partnership)),
        ];
        // Each that says so is here.
        let leave = |(mutation, input): &(&String, &String)| {
            mutation.starts_with("update") || inputs.types[*input].0.to_lowercase().contains("absent stays")
        };
        let known: Vec<&str> = inputs.of.iter().filter(leave).map(|(mutation, _)| mutation.as_str()).collect();
        let mut listed: Vec<&str> = updates.iter().map(|(_, update)| update.mutation).collect();
        listed.sort_unstable();
        listed.dedup();
        assert_eq!(listed, known, "mutations that leave what is absent");
        for (person, update) in updates {
            update.holds(person, &inputs).await;
        }
    }

    async fn objects_in_variables_leave_what_they_do_not_have(world: World) {
        let person = world.as_("acme", "SALES");
        let lead = lead_of(&person, json!({ "customer": {
            "company": "Initrode", "address": { "city": "Graz", "street": "Ring 1" }, "contact": { "firstName": "Ann", "lastName": "Lee" }
        } })).await;
        let document = "mutation ($c: UpdateCustomerInput, $id: ID!) { updateLead(input: { leadId: $id, customer: $c }) {
            lead { customer { company industry address { city street } contact { firstName lastName } } } } }";
        for (customer, address, contact) in [
            (json!({}), json!({ "city": "Graz", "street": "Ring 1" }), json!({ "firstName": "Ann", "lastName": "Lee" })),
            (json!({ "address": {}, "contact": {} }), json!({ "city": "Graz", "street": "Ring 1" }), json!({ "firstName": "Ann", "lastName": "Lee" })),
            (json!({ "contact": { "firstName": null } }), json!({ "city": "Graz", "street": "Ring 1" }), json!({ "firstName": null, "lastName": "Lee" })),
            (json!({ "address": { "street": null } }), json!({ "city": "Graz", "street": null }), json!({ "firstName": null, "lastName": "Lee" })),
        ] {
            let answer = person.query(document, json!({ "id": lead, "c": customer })).await.ok();
            let expected = json!({ "company": "Initrode", "industry": null, "address": address, "contact": contact });
            assert_eq!(answer.at("/updateLead/lead/customer"), &expected, "{customer}");
        }
    }

    async fn defaults_stand_in_for_what_is_absent_and_not_for_null(world: World) {
        let mut faults = Faults::default();
        let person = world.as_("acme", "SALES");
        for title in ["one", "two", "three"] {
            lead_of(&person, json!({ "title": title })).await;
            world.clock.advance(chrono::TimeDelta::seconds(1));
        }
        let track = |value: &str| format!("{{\"leadBoard\":{{\"track\":\"{value}\"}}}}");
        let titles = |titles: &[&str]| {
            let edges: Vec<_> = titles.iter().map(|title| json!({ "node": { "title": title } })).collect();
            json!({ "leads": { "edges": edges } }).to_string()
        };
        let (newest, oldest) = (titles(&["three", "two", "one"]), titles(&["one", "two", "three"]));
        for (document, variables, expected) in [
            // Of arguments.
            ("{ leadBoard(templateKey: \"submitted-lead\") { track } }", json!({}), track("STAGE")),
            ("query ($t: Track) { leadBoard(templateKey: \"submitted-lead\", track: $t) { track } }", json!({}), track("STAGE")),
            ("query ($t: Track) { leadBoard(templateKey: \"submitted-lead\", track: $t) { track } }", json!({ "t": "STATUS" }), track("STATUS")),
            // Of variables.
            ("query ($t: Track = STATUS) { leadBoard(templateKey: \"submitted-lead\", track: $t) { track } }", json!({}), track("STATUS")),
            ("query ($t: Track! = STATUS) { leadBoard(templateKey: \"submitted-lead\", track: $t) { track } }", json!({}), track("STATUS")),
            ("query ($t: Track! = STATUS) { leadBoard(templateKey: \"submitted-lead\", track: $t) { track } }", json!({ "t": "STAGE" }), track("STAGE")),
            ("query ($n: Int = 1) { leads(first: $n) { edges { node { title } } } }", json!({}), titles(&["three"])),
            ("query ($n: Int = 1) { leads(first: $n) { edges { node { title } } } }", json!({ "n": null }), newest.clone()),
            ("query ($n: Int = null) { leads(first: $n) { edges { node { title } } } }", json!({}), newest.clone()),
            // Of input fields.
            ("{ leads(orderBy: { field: CREATED }) { edges { node { title } } } }", json!({}), newest.clone()),
            ("query ($o: LeadOrder) { leads(orderBy: $o) { edges { node { title } } } }", json!({ "o": { "field": "CREATED" } }), newest.clone()),
            ("query ($d: OrderDirection) { leads(orderBy: { field: CREATED, direction: $d }) { edges { node { title } } } }", json!({}), newest.clone()),
            ("query ($d: OrderDirection = ASC) { leads(orderBy: { field: CREATED, direction: $d }) { edges { node { title } } } }", json!({}), oldest.clone()),
            ("query ($o: LeadOrder = { field: CREATED }) { leads(orderBy: $o) { edges { node { title } } } }", json!({}), newest.clone()),
            ("query ($o: LeadOrder = { field: CREATED, direction: ASC }) { leads(orderBy: $o) { edges { node { title } } } }", json!({}), oldest.clone()),
            // One stands for a list of one.
            ("query ($k: [StageKind!] = WON) { leads(filter: { stageKind: $k }) { edges { node { title } } } }", json!({}), titles(&[])),
        ] {
            faults.gives(&person, &ask(document, variables), &expected).await;
        }
        for (document, variables) in [
            ("query ($t: Track) { leadBoard(templateKey: \"submitted-lead\", track: $t) { track } }", json!({ "t": null })),
            ("query ($t: Track = STATUS) { leadBoard(templateKey: \"submitted-lead\", track: $t) { track } }", json!({ "t": null })),
            ("query ($t: Track! = STATUS) { leadBoard(templateKey: \"submitted-lead\", track: $t) { track } }", json!({ "t": null })),
            ("query ($d: OrderDirection) { leads(orderBy: { field: CREATED, direction: $d }) { edges { cursor } } }", json!({ "d": null })),
            ("query ($o: LeadOrder) { leads(orderBy: $o) { edges { cursor } } }", json!({ "o": { "field": "CREATED", "direction": null } })),
            ("{ leads(orderBy: { field: CREATED, direction: null }) { edges { cursor } } }", json!({})),
            ("query ($t: Track! = null) { leadBoard(templateKey: \"submitted-lead\", track: $t) { track } }", json!({})),
            ("query ($n: Int = \"1\") { leads(first: $n) { edges { cursor } } }", json!({})),
            ("query ($o: LeadOrder = { direction: ASC }) { leads(orderBy: $o) { edges { cursor } } }", json!({ "o": { "field": "CREATED" } })),
        ] {
            faults.refuses(&person, &ask(document, variables)).await;
        }
        // A default of null is a null.
        let lead = lead_of(&person, json!({ "description": "At length" })).await;
        let clear = "mutation ($id: ID!, $d: String = null) { updateLead(input: { leadId: $id, description: $d }) { lead { description } } }";
        let cleared = ask(clear, json!({ "id": lead })).over(Way::Socket, &person).await.ok();
        assert_eq!(cleared.at("/updateLead/lead/description"), &Value::Null);
        faults.none();
    }

    async fn nothing_is_executed_where_a_value_is_wrong(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let person = world.person("acme", "both", &["SALES", "ADMIN"]);
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let (_, task) = lead_with_task(&person).await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        for (variables, second, more) in [
            // Of scalars.
            ("$d: DateTime", "updateLead(input: { leadId: $id, expiresAt: $d }) { lead { id } }", json!({ "d": "yesterday" })),
            ("$d: DateTime", "updateLead(input: { leadId: $id, expiresAt: $d }) { lead { id } }", json!({ "d": 7 })),
            ("$d: DateTime = \"yesterday\"", "updateLead(input: { leadId: $id, expiresAt: $d }) { lead { id } }", json!({})),
            ("", "updateLead(input: { leadId: $id, expiresAt: \"yesterday\" }) { lead { id } }", json!({})),
            ("", "updateLead(input: { leadId: $id, expiresAt: 7 }) { lead { id } }", json!({})),
            ("$m: UpdateCustomerInput", "updateLead(input: { leadId: $id, customer: $m }) { lead { id } }", json!({ "m": { "contact": { "email": 7 } } })),
            ("$n: Int", "updateLead(input: { leadId: $id, expectedVersion: $n }) { lead { id } }", json!({ "n": 2_147_483_648_i64 })),
            ("$n: Int", "updateLead(input: { leadId: $id, customer: { employees: $n } }) { lead { id } }", json!({ "n": 1.5 })),
            ("$n: Int", "updateLead(input: { leadId: $id, customer: { employees: $n } }) { lead { id } }", json!({ "n": "40" })),
            ("", "updateLead(input: { leadId: $id, expectedVersion: 2147483648 }) { lead { id } }", json!({})),
            ("", "updateLead(input: { leadId: $id, expectedVersion: -2147483649 }) { lead { id } }", json!({})),
            ("", "updateLead(input: { leadId: $id, title: 7 }) { lead { id } }", json!({})),
            ("$t: String", "updateLead(input: { leadId: $id, title: $t }) { lead { id } }", json!({ "t": 7 })),
            ("$b: Boolean", "updateLeadTemplate(input: { templateId: $id, isDefault: $b }) { template { id } }", json!({ "b": "true" })),
            ("$i: ID", "updateLead(input: { leadId: $id, ownerId: $i }) { lead { id } }", json!({ "i": true })),
            // Of enums.
            ("", "assignTask(input: { taskId: $task, assignTo: \"SOURCE\" }) { task { id } }", json!({})),
            ("", "assignTask(input: { taskId: $task, assignTo: source }) { task { id } }", json!({})),
            ("$s: Side", "assignTask(input: { taskId: $task, assignTo: $s }) { task { id } }", json!({ "s": "source" })),
            ("$s: Side = OURS", "assignTask(input: { taskId: $task, assignTo: $s }) { task { id } }", json!({})),
            ("$s: String", "assignTask(input: { taskId: $task, assignTo: $s }) { task { id } }", json!({ "s": "SOURCE" })),
            // Of input objects.
            ("$t: String", "updateLead(input: { leadId: $id, titel: \"A\", title: $t }) { lead { id } }", json!({})),
            ("$t: String", "updateLead(input: { leadId: $id, title: $t, customer: { contact: { mail: $t } } }) { lead { id } }", json!({})),
            ("$m: UpdateCustomerInput", "updateLead(input: { leadId: $id, customer: $m }) { lead { id } }", json!({ "m": { "contact": { "mail": "A" } } })),
            ("$m: UpdateCustomerInput", "updateLead(input: { leadId: $id, customer: $m }) { lead { id } }", json!({ "m": "A" })),
            ("$m: MoneyInput", "updateLead(input: { leadId: $id, estimatedValue: $m }) { lead { id } }", json!({ "m": { "amount": "1" } })),
            ("$m: MoneyInput", "updateLead(input: { leadId: $id, estimatedValue: $m }) { lead { id } }", json!({ "m": { "amount": "1", "currency": null } })),
            ("", "updateLead(input: { leadId: $id, estimatedValue: { amount: \"1\" } }) { lead { id } }", json!({})),
            ("$c: CurrencyCode", "updateLead(input: { leadId: $id, estimatedValue: { amount: \"1\", currency: $c } }) { lead { id } }", json!({ "c": "EUR" })),
            ("", "updateLead(input: { leadId: $id, title: \"A\", title: \"B\" }) { lead { id } }", json!({})),
            ("", "updateLead(input: { leadId: $id, customer: { contact: { email: \"A\", email: \"A\" } } }) { lead { id } }", json!({})),
            ("", "performLeadAction(input: { leadId: $id, action: \"A\", fields: { a: { b: 1, b: 2 } } }) { lead { id } }", json!({})),
            // Of lists.
            ("", "updateLeadTemplate(input: { templateId: $id, requiredFields: [\"title\", null] }) { template { id } }", json!({})),
            ("$l: [String!]", "updateLeadTemplate(input: { templateId: $id, requiredFields: $l }) { template { id } }", json!({ "l": ["title", null] })),
            ("$l: [String!]", "updateLeadTemplate(input: { templateId: $id, requiredFields: $l }) { template { id } }", json!({ "l": [["title"]] })),
            ("$l: [String]", "updateLeadTemplate(input: { templateId: $id, requiredFields: $l }) { template { id } }", json!({ "l": ["title"] })),
            ("$f: String", "updateLeadTemplate(input: { templateId: $id, requiredFields: [\"title\", $f] }) { template { id } }", json!({ "f": "title" })),
            ("$l: [ID!]", "moveLeadsToWorkflow(input: { fromWorkflowId: $id, toWorkflowId: $id, leadIds: $l }) { movedCount }", json!({ "l": [null] })),
            ("", "moveLeadsToWorkflow(input: { fromWorkflowId: $id, toWorkflowId: $id, leadIds: [$id, null] }) { movedCount }", json!({})),
            // Of variables.
            ("$t: Int", "updateLead(input: { leadId: $id, title: $t }) { lead { id } }", json!({})),
            ("$n: ID", "acceptLead(input: { leadId: $n }) { lead { id } }", json!({ "n": "A" })),
            ("$n: ID!", "acceptLead(input: { leadId: $n }) { lead { id } }", json!({})),
            ("$n: ID!", "acceptLead(input: { leadId: $n }) { lead { id } }", json!({ "n": null })),
            ("$i: UpdateLeadInput", "updateLead(input: $i) { lead { id } }", json!({ "i": { "leadId": "A" } })),
            ("", "updateLead(input: { leadId: $id, title: $nowhere }) { lead { id } }", json!({})),
            ("$c: Boolean!", "updateLead(input: { leadId: $id }) @include(if: $c) { lead { id } }", json!({ "c": null })),
            ("$c: Boolean!", "updateLead(input: { leadId: $id }) { lead { id @skip(if: $c) } }", json!({ "c": "true" })),
            ("$c: Boolean", "updateLead(input: { leadId: $id }) { lead { id @skip(if: $c) } }", json!({ "c": true })),
            // Further in.
            ("", "updateLead(input: { leadId: $id }) { lead { comments(first: \"3\") { totalCount } } }", json!({})),
            ("$n: Int", "updateLead(input: { leadId: $id }) { lead { comments(first: $n) { totalCount } } }", json!({ "n": 2.5 })),
            ("$n: Int!", "updateLead(input: { leadId: $id }) { lead { ...T } }", json!({ "n": "2" })),
        ] {
            let mut document = format!(
                "mutation ($id: ID!, $task: ID!, {variables}) {{
                    first: createLead(input: {{ title: \"A\", customer: {{ company: \"B\" }} }}) {{ lead {{ id }} }}
                    beside: updateTask(input: {{ taskId: $task, title: \"Changed\" }}) {{ task {{ id }} }}
                    too: addComment(input: {{ leadId: $id, body: \"Changed\" }}) {{ comment {{ id }} }}
                    second: {second}
                }}"
            );
            if second.contains("...T") {
                document.push_str(" fragment T on Lead { tasks(first: $n) { totalCount } }");
            }
            let mut given = more.clone();
            (given["id"], given["task"]) = (json!(lead), json!(task));
            for way in WRITES {
                let answer = ask(document.clone(), given.clone()).over(way, &person).await;
                refused(&answer, &format!("{variables} {second} with {more} over {way:?}"));
            }
            rows.unchanged_since(&before, &format!("{variables} {second} with {more}")).await;
        }
    }

    async fn what_has_no_such_fault_is_executed_whole(world: World) {
        let person = world.as_("acme", "SALES");
        let (lead, task) = lead_with_task(&person).await;
        let document = "mutation ($id: ID!, $task: ID!, $d: DateTime, $n: Int, $s: Side, $m: UpdateCustomerInput, $on: Boolean!) {
            first: createLead(input: { title: \"A\", customer: { company: \"B\" } }) { lead { title } }
            updateTask(input: { taskId: $task, title: \"Changed\", dueAt: $d }) { task { title dueAt } }
            assignTask(input: { taskId: $task, assignTo: $s }) { task { state } }
            updateLead(input: { leadId: $id, customer: $m }) { lead { title @skip(if: $on) ...T } }
        } fragment T on Lead { tasks(first: $n) { totalCount } customer { contact { email } } }";
        let expected = "{\"first\":{\"lead\":{\"title\":\"A\"}},\"updateTask\":{\"task\":{\"title\":\"Changed\",\"dueAt\":\"2026-03-20T09:00:00.000Z\"}},\"assignTask\":{\"task\":{\"state\":\"OPEN\"}},\"updateLead\":{\"lead\":{\"tasks\":{\"totalCount\":1},\"customer\":{\"contact\":{\"email\":\"ann@initrode.example\"}}}}}";
        for way in WRITES {
            let answer = ask(document, json!({
                "id": lead, "task": task, "d": "2026-03-20T10:00:00+01:00", "n": 5, "s": "SOURCE", "on": true,
                "m": { "contact": { "email": "ann@initrode.example" } }
            })).over(way, &person).await.ok();
            assert_eq!(text_of(&answer), expected, "{way:?}");
        }
    }

    async fn numbers_of_json_are_whole_where_their_value_is(world: World) {
        let mut faults = Faults::default();
        let person = world.as_("acme", "SALES");
        let lead = lead_of(&person, json!({})).await;
        let ask_with = async |way: Way, variables: &str, document: &str| {
            let body = format!("{{\"query\":{},\"variables\":{variables}}}", json!(document));
            if way == Way::Post {
                let post = person.request(Method::POST, "/graphql").header("content-type", "application/json");
                return Answer::of(post.body(body)).await;
            }
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("query", document).append_pair("variables", variables).finish();
            Answer::of(person.request(Method::GET, &format!("/graphql?{query}"))).await
        };
        let leads = "query ($n: Int) { leads(first: $n) { edges { node { id } } } }";
        for number in ["1", "1.0", "1e0", "10E-1", "0.1e1", "1.000"] {
            for way in [Way::Post, Way::Get] {
                let answer = ask_with(way, &format!("{{\"n\":{number}}}"), leads).await.ok();
                assert_eq!(answer.at("/leads/edges/0/node/id"), lead.as_str(), "{number}");
            }
        }
        for number in ["1.5", "2147483648", "-2147483649", "1e10", "1e400", "\"1\"", "true", "[1]", "[[1]]", "{}"] {
            for way in [Way::Post, Way::Get] {
                refused(&ask_with(way, &format!("{{\"n\":{number}}}"), leads).await, number);
            }
        }
        // An id may come as a number; here it is none that was given out.
        let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
        for ids in ["1", "[1]", "[1.0, \"2\"]", "[-1]", "[9007199254740991]"] {
            let answer = ask_with(Way::Post, &format!("{{\"ids\":{ids}}}"), nodes).await;
            assert_eq!((answer.code(), answer.field()), (INVALID, "ids.0"), "{ids}: {}", answer.text);
            assert_eq!(answer.errors[0]["path"], json!(["nodes"]), "it was executed: {}", answer.text);
        }
        for ids in ["1.5", "[1.5]", "true", "[null]", "[{}]", "[[1]]"] {
            refused(&ask_with(Way::Post, &format!("{{\"ids\":{ids}}}"), nodes).await, ids);
        }
        let answer = person.query("{ nodes(ids: [1, \"2\"]) { id } }", json!({})).await;
        assert_eq!((answer.field(), &answer.errors[0]["path"]), ("ids.0", &json!(["nodes"])), "{}", answer.text);
        for document in [
            "{ leads(first: 1.0) { edges { cursor } } }", "{ leads(first: 1e0) { edges { cursor } } }",
            "{ leads(first: \"1\") { edges { cursor } } }", "{ nodes(ids: [1.0]) { id } }", "{ nodes(ids: [true]) { id } }",
        ] {
            faults.refuses(&person, &ask(document, json!({}))).await;
        }
        faults.none();
    }
}

// Documents.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_is_not_valid_is_refused_to_anybody_and_leaves_no_line_in_the_log() {
    let database = Database::fresh(Kind::Sqlite).await;
    let cli = Cli::new().env("COSELL_DATABASE_URL", &database.url).env("COSELL_LISTEN", "127.0.0.1:0");
    let cli = cli.env("COSELL_JWT_SECRET", SECRET).env("COSELL_LOG", "warn").env("COSELL_MAX_CONNECTIONS", "100");
    let mut running = cli.start(["serve"]);
    let line = block_in_place(|| running.line_with("cosell listens on", PATIENCE));
    let address = line.split("://").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
    let nobody = Client::new(address.parse().expect("an address"), None);
    for document in [
        "query ($a: [Nope] = [1]) { viewer { id } }",
        "query ($a: [Nope] = [1]) { viewer { id } leads(first: $a) { edges { cursor } } }",
        "query ($a: Nope = 1) { viewer { id } }",
        "query ($a: [[Nope!]!]! = [[{ a: $b }]]) { viewer { id } }",
        "query ($a: Viewer = { a: 1 }) { viewer { id } }",
        "query ($a: Lead = { id: 1 }) { lead(id: $a) { id } }",
        "query ($a: [Track] = [NOPE]) { viewer { id } }",
        "query ($a: LeadFilter = [[]]) { leads(filter: $a) { edges { cursor } } }",
        "query ($a: Int = $a) { leads(first: $a) { edges { cursor } } }",
        "query ($a: Int, $a: Int) { leads(first: $a) { edges { cursor } } }",
        "query ($a: Int @nope) { leads(first: $a) { edges { cursor } } }",
        "{ viewer { id } ... on Nope { id } }",
        "{ ...Nope }",
        "{ viewer { ...F } } fragment F on Nope { id }",
        "{ viewer { ...F } } fragment F on Track { id }",
        "{ viewer { ...F } } fragment F on Member { ...F }",
        "{ viewer { id @nope(a: 1) } }",
        "{ viewer { id @skip } }",
        "{ viewer { id @skip(if: NOPE) @skip(if: true) } }",
        "{ viewer }",
        "{ viewer { id { id } } }",
        "{ __type { name } }",
        "{ __type(name: 7) { name } }",
        "{ __nope }",
        "type Nope { id: ID }",
        "{ viewer { id } } type Nope { id: ID }",
        "extend type Query { nope: ID }",
        "fragment F on Query { viewer { id } }",
        "mutation { nope }",
        "subscription { nope }",
    ] {
        let request = ask(document, json!({}));
        refused(&nobody.send(request.body()).await, document);
        refused(&request.get(&nobody).await, document);
        assert_eq!(
            EventStream::of(sse::request_of(&nobody, &request.body())).await.refusal().await,
            INVALID,
            "{document}"
        );
    }
    running.signal("TERM");
    let output = block_in_place(|| running.output());
    output.ok();
    assert_eq!(output.stderr, "", "what callers get wrong is no fault of the server's");
}

on_both_databases! {
    async fn selections_of_one_name_that_differ_are_refused_however_far_apart_they_stand(world: World) {
        let mut faults = Faults::default();
        let person = world.as_("acme", "SALES");
        let lead = lead_of(&person, json!({})).await;
        for document in [
            "{ viewer { x: id x: name } }",
            "{ viewer { id: name id } }",
            "{ viewer { ...A } ...B } fragment A on Member { x: id } fragment B on Query { viewer { x: name } }",
            "{ leads { edges { node { customer { x: company } } } } ...F } fragment F on Query { leads { edges { node { customer { x: industry } } } } }",
            "{ ...A ...B } fragment A on Query { leads { ...C } } fragment B on Query { leads { ...D } }
                fragment C on LeadConnection { edges { node { owner { x: id } } } } fragment D on LeadConnection { edges { node { ... on Node { ... on Lead { owner { x: name } } } } } }",
            // Arguments, and how many items their lists have.
            "{ nodes(ids: [\"A\"]) { id } ...F } fragment F on Query { nodes(ids: [\"A\", \"B\"]) { __typename } }",
            "{ nodes(ids: [\"A\", \"B\"]) { id } ...F } fragment F on Query { nodes(ids: [\"A\"]) { __typename } }",
            "{ nodes(ids: []) { id } nodes(ids: [\"A\"]) { id } }",
            "{ nodes(ids: \"A\") { id } nodes(ids: [\"A\"]) { id } }",
            "{ leads(first: 1) { edges { cursor } } leads(first: 2) { edges { cursor } } }",
            "{ leads(first: 1) { edges { cursor } } leads { edges { cursor } } }",
            "{ leads { edges { cursor } } leads(first: 1) { edges { cursor } } }",
            "{ leads(first: 1) { edges { cursor } } leads(last: 1) { edges { cursor } } }",
            "{ leads(first: 1) { edges { cursor } } leads(first: 1, after: null) { edges { cursor } } }",
            "{ leads(filter: { text: \"a\" }) { edges { cursor } } leads(filter: { text: \"b\" }) { edges { cursor } } }",
            "{ leads(filter: { text: \"a\" }) { edges { cursor } } leads(filter: { text: \"a\", active: true }) { edges { cursor } } }",
            "{ leads(filter: { stage: [\"a\"] }) { edges { cursor } } leads(filter: { stage: [\"a\", \"b\"] }) { edges { cursor } } }",
            "query ($n: Int = 1) { leads(first: $n) { edges { cursor } } leads(first: 1) { edges { cursor } } }",
            "query ($n: Int = 1, $m: Int = 1) { leads(first: $n) { edges { cursor } } leads(first: $m) { edges { cursor } } }",
            "{ leads { edges { node { comments(first: 1) { totalCount } ...F } } } } fragment F on Lead { comments(first: 2) { totalCount } }",
            // What is left out is selected as well.
            "{ viewer { x: id x: name @skip(if: true) } }",
            "query ($s: Boolean = true) { viewer { ... @skip(if: $s) { x: id } ... @include(if: $s) { x: name } } }",
            // Of types that can't be one, by their shape.
            "{ node(id: \"A\") { ... on Lead { x: title } ... on Task { x: version } } }",
            "{ node(id: \"A\") { ... on Lead { x: description } ... on Task { x: title } } }",
            "{ node(id: \"A\") { ... on Lead { x: owner { id } } ... on Task { x: lead { id } } } }",
            "{ node(id: \"A\") { ... on Lead { x: customer { y: company } } ... on Task { x: lead { y: version } } } }",
            "{ node(id: \"A\") { ... on Lead { x: stages { key } } ... on Opportunity { x: stage { key } } } }",
            "{ activity { edges { node { ... on LeadStageChanged { x: to { key } } ... on PartnershipChanged { x: to } } } } }",
            "{ viewer { ... on Actor { ... on Member { x: id } } x: name } }",
            // Also where it isn't the one that runs.
            "query Q { viewer { id } } query R { viewer { x: id x: name } }",
            "query Q { viewer { id } } query R { nodes(ids: []) { id } ...F } fragment F on Query { nodes(ids: [\"A\"]) { id } }",
            "query Q { viewer { id } } mutation R { removeComment(input: { commentId: \"A\" }) { lead { id } } removeComment(input: { commentId: \"B\" }) { lead { id } } }",
            "query Q { viewer { id } } subscription R { activity { x: id } ...F } fragment F on Subscription { activity { x: cursor } }",
        ] {
            let request = ask(document, json!({}));
            let request = if document.starts_with("query Q") { request.named("Q") } else { request };
            faults.refuses(&person, &request).await;
        }
        // Nothing is written by either.
        let before = count_of_leads(&person).await;
        let document = "mutation { ...A ...B }
            fragment A on Mutation { createLead(input: { title: \"A\", customer: { company: \"A\" } }) { lead { id } } }
            fragment B on Mutation { createLead(input: { title: \"B\", customer: { company: \"A\" } }) { lead { id } } }";
        for way in WRITES {
            refused(&ask(document, json!({})).over(way, &person).await, "two leads of one name");
        }
        assert_eq!(count_of_leads(&person).await, before);
        // What is the same is none of these.
        let id = format!("{{\"id\":\"{lead}\"}}");
        for (document, expected) in [
            ("{ node(id: \"ID\") { ... on Lead { x: id } ... on Task { x: id } } }", format!("{{\"node\":{{\"x\":\"{lead}\"}}}}")),
            ("{ node(id: \"ID\") { ... on Lead { x: stage { key } } ... on Opportunity { x: stage { key } } } }", "{\"node\":{\"x\":{\"key\":\"new\"}}}".to_owned()),
            ("{ node(id: \"ID\") { id ...F } } fragment F on Node { id ... on Lead { id } }", format!("{{\"node\":{id}}}")),
            ("{ leads(first: 1, filter: { text: \"seats\", active: true }) { edges { node { id } } } leads(filter: { active: true, text: \"seats\" }, first: 1) { edges { node { id } } } }",
                format!("{{\"leads\":{{\"edges\":[{{\"node\":{id}}}]}}}}")),
            ("{ leads(filter: { text: \"seats\" }) { edges { node { id } } } leads(filter: { text: \"\"\"seats\"\"\" }) { edges { node { id } } } }",
                format!("{{\"leads\":{{\"edges\":[{{\"node\":{id}}}]}}}}")),
        ] {
            faults.gives(&person, &ask(document.replace("ID", &lead), json!({})), &expected).await;
        }
        faults.none();
    }

    async fn an_object_of_which_nothing_applies_is_an_empty_one(world: World) {
        let mut faults = Faults::default();
        let person = world.as_("acme", "SALES");
        let (lead, task) = lead_with_task(&person).await;
        let elsewhere = lead_of(&world.as_("umbrella", "SALES"), json!({})).await;
        let both = json!({ "lead": lead, "task": task, "elsewhere": elsewhere });
        let on = json!({ "on": true });
        for (document, variables, expected) in [
            ("{ viewer { id @skip(if: true) } }", json!({}), "{\"viewer\":{}}"),
            ("{ viewer { id @include(if: false) name @skip(if: true) @include(if: true) } }", json!({}), "{\"viewer\":{}}"),
            ("{ viewer @skip(if: true) { id } }", json!({}), "{}"),
            ("query ($on: Boolean!) { viewer @skip(if: $on) { id } __schema @skip(if: $on) { queryType { name } } }", on.clone(), "{}"),
            ("query ($on: Boolean!) { ... @skip(if: $on) { viewer { id } } ...F @skip(if: $on) } fragment F on Query { viewer { id } }", on.clone(), "{}"),
            ("query ($on: Boolean!) { viewer { company { id @skip(if: $on) } roles } }", on.clone(), "{\"viewer\":{\"company\":{},\"roles\":[\"SALES\"]}}"),
            ("query ($on: Boolean!) { viewer { company { ... @skip(if: $on) { id } ... on Node @skip(if: $on) { id } } } }", on.clone(), "{\"viewer\":{\"company\":{}}}"),
            ("query ($lead: ID!) { node(id: $lead) { ... on Task { title } } }", json!({ "lead": lead }), "{\"node\":{}}"),
            ("query ($lead: ID!) { node(id: $lead) { ... on Activity { at } } }", json!({ "lead": lead }), "{\"node\":{}}"),
            ("query ($lead: ID!) { node(id: $lead) { ... on Actor { __typename } } }", json!({ "lead": lead }), "{\"node\":{}}"),
            ("query ($lead: ID!, $elsewhere: ID!, $task: ID!) { nodes(ids: [$lead, $elsewhere, $task]) { ... on Task { title } } }", both.clone(), "{\"nodes\":[{},null,{\"title\":\"Call them\"}]}"),
            ("query ($lead: ID!, $task: ID!) { nodes(ids: [$task, $lead]) { ... on Task { lead { ... on Node { id @skip(if: true) } } } ... on Lead { customer { company @skip(if: true) } } } }", both.clone(),
                "{\"nodes\":[{\"lead\":{}},{\"customer\":{}}]}"),
            ("query ($lead: ID!, $task: ID!) { nodes(ids: [$task, $lead]) { id @skip(if: true) } }", both.clone(), "{\"nodes\":[{},{}]}"),
            // The newest first: the task, the lead.
            ("{ activity(first: 2) { edges { node { ... on PartnershipChanged { from } } } } }", json!({}), "{\"activity\":{\"edges\":[{\"node\":{}},{\"node\":{}}]}}"),
            ("{ activity(first: 2) { edges { node { ... on TaskChanged { change } } } } }", json!({}), "{\"activity\":{\"edges\":[{\"node\":{\"change\":\"CREATED\"}},{\"node\":{}}]}}"),
            ("{ activity(first: 1) { edges { node { actor { ... on SystemActor { name } } } } } }", json!({}), "{\"activity\":{\"edges\":[{\"node\":{\"actor\":{}}}]}}"),
            // What is null stays so.
            ("query ($lead: ID!) { lead(id: $lead) { receiver { id @skip(if: true) } opportunity { ... on Node { id @skip(if: true) } } } }", json!({ "lead": lead }),
                "{\"lead\":{\"receiver\":null,\"opportunity\":null}}"),
            ("{ node(id: \"7\") { ... on Task { title } } viewer { id @skip(if: true) } }", json!({}), ""),
        ] {
            let request = ask(document, variables);
            if expected.is_empty() {
                for way in READS {
                    let answer = request.over(way, &person).await;
                    assert_eq!(text_of(&answer), "{\"node\":null,\"viewer\":{}}", "{way:?}: {}", answer.text);
                    assert_eq!(answer.errors.len(), 1, "{}", answer.text);
                }
                continue;
            }
            faults.gives(&person, &request, expected).await;
        }
        let before = count_of_leads(&person).await;
        let create = "mutation { createLead(input: { title: \"A\", customer: { company: \"B\" } }) { lead @skip(if: true) { id } } }";
        for way in WRITES {
            assert_eq!(text_of(&ask(create, json!({})).over(way, &person).await.ok()), "{\"createLead\":{}}", "{way:?}");
        }
        assert_eq!(count_of_leads(&person).await, before + WRITES.len());
        faults.none();
    }

    async fn what_does_not_apply_to_an_event_leaves_an_empty_one(world: World) {
        let person = world.as_("acme", "SALES");
        let lead = lead_of(&person, json!({})).await;
        for way in LIVE {
            let mut feeds = Vec::new();
            for (document, variables, expected) in [
                ("subscription { activity { ... on PartnershipChanged { from } } }", json!({}), "{\"activity\":{}}"),
                ("subscription { activity { id @skip(if: true) } }", json!({}), "{\"activity\":{}}"),
                ("subscription { activity { lead { ... on Node { id @skip(if: true) } } } }", json!({}), "{\"activity\":{\"lead\":{}}}"),
                ("subscription ($on: Boolean!) { activity { actor { ... on Member { id @skip(if: $on) } ... on SystemActor { name } } } }", json!({ "on": true }), "{\"activity\":{\"actor\":{}}}"),
                ("subscription { ...F } fragment F on Subscription { activity { ... on Node { ... on Activity { ... on CommentAdded { comment { body } } } } } }", json!({}),
                    "{\"activity\":{\"comment\":{\"body\":\"hello\"}}}"),
            ] {
                feeds.push((Feed::open(way, &person, &ask(document, variables)).await, document, expected));
            }
            person.mutate("addComment", json!({ "leadId": lead, "body": "hello" }), "comment { id }").await.ok();
            for (feed, document, expected) in &mut feeds {
                let expected: Value = serde_json::from_str(expected).expect("JSON");
                assert_eq!(feed.next().await, expected, "{way:?}: {document}");
            }
        }
    }

    async fn fragments_on_unions_and_interfaces_apply_to_their_members(world: World) {
        let mut faults = Faults::default();
        let person = world.as_("acme", "SALES");
        let lead = lead_of(&person, json!({})).await;
        let name = person.query("{ viewer { name } }", json!({})).await.ok().at("/viewer/name").to_string();
        let me = person.id().await;
        let viewer = format!("{{\"viewer\":{{\"name\":{name}}}}}");
        let edge = |node: &str| format!("{{\"activity\":{{\"edges\":[{{\"node\":{node}}}]}}}}");
        let actor = edge(&format!("{{\"actor\":{{\"name\":{name}}}}}"));
        for (document, expected) in [
            ("{ viewer { ... on Actor { ... on Member { name } } } }".to_owned(), viewer.clone()),
            ("{ viewer { ...F } } fragment F on Actor { ...G } fragment G on Member { name }".to_owned(), viewer.clone()),
            ("{ viewer { ... on Actor { ... on Actor { ... on Member { name } } ... on SystemActor { name } } } }".to_owned(), viewer.clone()),
            ("{ viewer { ... on Actor { __typename } } }".to_owned(), "{\"viewer\":{\"__typename\":\"Member\"}}".to_owned()),
            ("{ viewer { ... on Node { ... on Actor { ... on Node { again: id } } id } } }".to_owned(), format!("{{\"viewer\":{{\"again\":\"{me}\",\"id\":\"{me}\"}}}}")),
            (format!("{{ node(id: \"{me}\") {{ ... on Actor {{ ... on Member {{ name }} }} }} }}"), format!("{{\"node\":{{\"name\":{name}}}}}")),
            (format!("{{ nodes(ids: [\"{me}\", \"{lead}\"]) {{ ... on Actor {{ __typename ... on Member {{ name }} }} ... on Lead {{ title }} }} }}"),
                format!("{{\"nodes\":[{{\"__typename\":\"Member\",\"name\":{name}}},{{\"title\":\"Forty seats\"}}]}}")),
            ("{ activity(first: 1) { edges { node { actor { ... on Actor { ... on Member { name } } } } } } }".to_owned(), actor.clone()),
            ("{ activity(first: 1) { edges { node { actor { ... on Node { ... on Member { name } } } } } } }".to_owned(), actor.clone()),
            ("{ activity(first: 1) { edges { node { actor { ... on Member { name } ... on SystemActor { name } } } } } }".to_owned(), actor.clone()),
            ("{ activity(first: 1) { edges { node { actor { ... on Node { id } } } } } }".to_owned(), edge(&format!("{{\"actor\":{{\"id\":\"{me}\"}}}}"))),
            ("{ activity(first: 1) { edges { node { ... on Node { ... on Activity { ... on LeadCreated { sequence lead { id } } ... on TaskChanged { at } } } } } } }".to_owned(),
                edge(&format!("{{\"sequence\":1,\"lead\":{{\"id\":\"{lead}\"}}}}"))),
            ("{ activity(first: 1) { edges { node { ... on LeadCreated { ... on Node { ... on Activity { sequence __typename } } } } } } }".to_owned(),
                edge("{\"sequence\":1,\"__typename\":\"LeadCreated\"}")),
            ("{ ... on Query { ... { ...F } } } fragment F on Query { viewer { name } }".to_owned(), viewer.clone()),
        ] {
            faults.gives(&person, &ask(document, json!({})), &expected).await;
        }
        // What can never apply is refused.
        for document in [
            "{ viewer { ... on Lead { id } } }",
            "{ viewer { ... on SystemActor { name } } }",
            "{ viewer { ... on Activity { id } } }",
            "{ activity { edges { node { ... on Lead { id } } } } }",
            "{ activity { edges { node { ... on Actor { __typename } } } } }",
            "{ activity { edges { node { actor { ... on Activity { id } } } } } }",
            "{ activity { edges { node { actor { name } } } } }",
            "{ viewer { ... on Actor { name } } }",
            "{ viewer { ... on Mutation { __typename } } ... on Mutation { __typename } }",
            "{ viewer { ... on Role { __typename } } }",
        ] {
            faults.refuses(&person, &ask(document, json!({}))).await;
        }
        faults.none();
    }

    async fn the_other_operations_of_a_document_do_not_refuse_the_one_that_is_chosen(world: World) {
        let mut faults = Faults::default();
        let person = world.as_("acme", "SALES");
        let me = format!("{{\"viewer\":{{\"id\":\"{}\"}}}}", person.id().await);
        let deep = format!("query B {{ leads {{ edges {{ node {{ {}id{} }} }} }} }}", "opportunity { lead { ".repeat(20), " } }".repeat(20));
        let aliases: String = (0..150).fold(String::new(), |all, n| format!("{all} a{n}: id"));
        let roots: String = (0..80).fold(String::new(), |all, n| format!("{all} a{n}: viewer {{ id }}"));
        let (aliases, roots) = (format!("query B {{ viewer {{ {aliases} }} }}"), format!("query B {{ {roots} }}"));
        let costly = "query B { leads(first: 100) { edges { node { comments(first: 100) { edges { node { author { id name } } } } } } } }";
        for other in [
            "query B($id: ID!) { lead(id: $id) { id } }",
            "query B($x: ID!) { lead(id: $x) { id } }",
            "query B($x: [ID!]!, $on: Boolean!) { nodes(ids: $x) { id @skip(if: $on) } }",
            "query B($on: Boolean!) { viewer { ...F @include(if: $on) } } fragment F on Member { name }",
            "mutation B($i: CreateLeadInput!) { createLead(input: $i) { lead { id } } }",
            "subscription B($x: ID!) { commentAdded(leadId: $x) { body } }",
            "query B($n: Int) { leads(first: $n) { edges { cursor } } }",
            &deep, &aliases, &roots, costly,
            "query B { __schema { types { name fields { name type { ofType { ofType { name } } } } } } }",
            "query B($d: DateTime = \"2026-03-02T09:00:00Z\") { leads(filter: { expiringBefore: $d }) { edges { cursor } } }",
        ] {
            for document in [format!("query A {{ viewer {{ id }} }} {other}"), format!("{other} query A {{ viewer {{ id }} }}")] {
                // What the other one would not take is nothing to this one.
                for variables in [json!({}), json!({ "x": 7.5, "n": "no", "on": "perhaps", "i": [], "more": { "a": 1 } })] {
                    faults.gives(&person, &ask(document.clone(), variables).named("A"), &me).await;
                }
            }
        }
        let document = "query A($x: Int) { viewer { id } leads(first: $x) { edges { cursor } } } query B($x: ID!) { viewer { id } lead(id: $x) { id } }";
        let expected = me.replace("}}", "},\"leads\":{\"edges\":[]}}");
        faults.gives(&person, &ask(document, json!({ "x": 5 })).named("A"), &expected).await;
        // The chosen one is held to all of it.
        for other in [deep.as_str(), &aliases, &roots, costly] {
            for way in READS {
                let refused = ask(format!("query A {{ viewer {{ id }} }} {other}"), json!({})).named("B").over(way, &person).await;
                assert_eq!(refused.code(), "QUERY_TOO_COMPLEX", "{way:?}: {other:.80}");
            }
        }
        for request in [
            ask("query A { viewer { id } } query B { viewer { id } }", json!({})),
            ask("query A { viewer { id } } query B { viewer { id } }", json!({})).named("C"),
            ask("query A { viewer { id } } query A { viewer { name } }", json!({})).named("A"),
            ask("query A { viewer { id } } { viewer { name } }", json!({})).named("A"),
            ask("query A { viewer { id } } query B($x: ID!) { lead(id: $x) { id } }", json!({})).named("B"),
            ask("query A { viewer { id } } query B { nowhere }", json!({})).named("A"),
        ] {
            faults.refuses(&person, &request).await;
        }
        faults.none();
    }

    async fn fields_come_in_the_order_of_the_document(world: World) {
        let mut faults = Faults::default();
        let person = world.as_("acme", "SALES");
        let (lead, task) = lead_with_task(&person).await;
        let elsewhere = lead_of(&world.as_("umbrella", "SALES"), json!({})).await;
        let me = person.query("{ viewer { id name email } }", json!({})).await.ok();
        let (name, email) = (me.at("/viewer/name").to_string(), me.at("/viewer/email").to_string());
        let me = me.text_at("/viewer/id").to_owned();
        for (document, expected) in [
            ("{ z: __typename viewer { name id __typename } leads { edges { node { title id } } } a: viewer { id } }".to_owned(),
                format!("{{\"z\":\"Query\",\"viewer\":{{\"name\":{name},\"id\":\"{me}\",\"__typename\":\"Member\"}},\"leads\":{{\"edges\":[{{\"node\":{{\"title\":\"Forty seats\",\"id\":\"{lead}\"}}}}]}},\"a\":{{\"id\":\"{me}\"}}}}")),
            // By the first selection of each name.
            ("{ viewer { name } ...F viewer { id roles } } fragment F on Query { z: viewer { id } viewer { email roles name } }".to_owned(),
                format!("{{\"viewer\":{{\"name\":{name},\"email\":{email},\"roles\":[\"SALES\"],\"id\":\"{me}\"}},\"z\":{{\"id\":\"{me}\"}}}}")),
            // Below interfaces and unions.
            (format!("{{ node(id: \"{lead}\") {{ ... on Lead {{ title }} __typename id ... on Task {{ state }} ... on Lead {{ version }} ... on Node {{ again: id }} }} }}"),
                format!("{{\"node\":{{\"title\":\"Forty seats\",\"__typename\":\"Lead\",\"id\":\"{lead}\",\"version\":1,\"again\":\"{lead}\"}}}}")),
            (format!("{{ nodes(ids: [\"{lead}\", \"{task}\", \"{elsewhere}\", \"{me}\"]) {{ ... on Task {{ state }} ... on Actor {{ kind: __typename }} id ... on Lead {{ title }} ... on Task {{ title }} __typename }} }}"),
                format!("{{\"nodes\":[{{\"id\":\"{lead}\",\"title\":\"Forty seats\",\"__typename\":\"Lead\"}},{{\"state\":\"OPEN\",\"id\":\"{task}\",\"title\":\"Call them\",\"__typename\":\"Task\"}},null,{{\"kind\":\"Member\",\"id\":\"{me}\",\"__typename\":\"Member\"}}]}}")),
            ("{ activity(first: 2) { edges { node { ... on LeadCreated { a: sequence } actor { ... on Node { id } __typename ... on Member { name } } ... on TaskChanged { change } sequence ... on LeadCreated { lead { title } } kind: __typename } } } }".to_owned(),
                format!("{{\"activity\":{{\"edges\":[{{\"node\":{{\"actor\":{{\"id\":\"{me}\",\"__typename\":\"Member\",\"name\":{name}}},\"change\":\"CREATED\",\"sequence\":2,\"kind\":\"TaskChanged\"}}}},{{\"node\":{{\"a\":1,\"actor\":{{\"id\":\"{me}\",\"__typename\":\"Member\",\"name\":{name}}},\"sequence\":1,\"lead\":{{\"title\":\"Forty seats\"}},\"kind\":\"LeadCreated\"}}}}]}}}}")),
        ] {
            faults.gives(&person, &ask(document, json!({})), &expected).await;
        }
        // A failed one keeps its place.
        for (document, expected, paths) in [
            (format!("{{ b: viewer {{ id }} lead(id: \"{elsewhere}\") {{ id }} a: viewer {{ name }} }}"),
                format!("{{\"b\":{{\"id\":\"{me}\"}},\"lead\":null,\"a\":{{\"name\":{name}}}}}"), json!([["lead"]])),
            (format!("{{ lead(id: \"{lead}\") {{ title }} ...F }} fragment F on Query {{ x: lead(id: \"{elsewhere}\") {{ id }} a: viewer {{ id }} y: node(id: \"{elsewhere}\") {{ id }} z: __typename }}"),
                format!("{{\"lead\":{{\"title\":\"Forty seats\"}},\"x\":null,\"a\":{{\"id\":\"{me}\"}},\"y\":null,\"z\":\"Query\"}}"), json!([["x"], ["y"]])),
            ("{ activity(first: 2) { edges { node { sequence ... on TaskChanged { change } lead { title comments(after: \"x\") { totalCount } } ... on LeadCreated { a: sequence } __typename } } } }".to_owned(),
                "{\"activity\":{\"edges\":[{\"node\":{\"sequence\":2,\"change\":\"CREATED\",\"lead\":null,\"__typename\":\"TaskChanged\"}},{\"node\":{\"sequence\":1,\"lead\":null,\"a\":1,\"__typename\":\"LeadCreated\"}}]}}".to_owned(),
                json!([["activity", "edges", 0, "node", "lead", "comments"], ["activity", "edges", 1, "node", "lead", "comments"]])),
            ("{ a: viewer { id } leads { edges { node { title comments(after: \"x\") { totalCount } } } } z: viewer { id } }".to_owned(), "null".to_owned(), json!([["leads", "edges", 0, "node", "comments"]])),
            (format!("{{ x: lead(id: \"{lead}\") {{ tasks {{ edges {{ node {{ lead {{ comments(after: \"x\") {{ totalCount }} }} title }} }} }} }} y: lead(id: \"{lead}\") {{ title }} }}"),
                "{\"x\":null,\"y\":{\"title\":\"Forty seats\"}}".to_owned(), json!([["x", "tasks", "edges", 0, "node", "lead", "comments"]])),
            (format!("{{ nodes(ids: [\"{task}\", \"{lead}\"]) {{ id ... on Lead {{ version comments(after: \"x\") {{ totalCount }} title }} ... on Task {{ title }} }} z: __typename }}"),
                format!("{{\"nodes\":[{{\"id\":\"{task}\",\"title\":\"Call them\"}},null],\"z\":\"Query\"}}"), json!([["nodes", 1, "comments"]])),
        ] {
            for way in READS {
                let answer = ask(document.clone(), json!({})).over(way, &person).await;
                assert_eq!(text_of(&answer), expected, "{way:?}: {document}: {}", answer.text);
                assert!(answer.text.contains(&expected), "{}", answer.text);
                let mut told: Vec<_> = answer.errors.iter().map(|error| error["path"].clone()).collect();
                told.sort_by_key(Value::to_string);
                assert_eq!(json!(told), paths, "{way:?}: {}", answer.text);
            }
        }
        // So do those of an event.
        let document = "subscription { ...F activity { ... on CommentAdded { comment { version body } } id: sequence } } fragment F on Subscription { activity { z: __typename ... on Activity { lead { title number } } ... on TaskChanged { id: sequence } } }";
        let mut feed = Raw::open(&person, &ask(document, json!({}))).await.begun().await;
        person.mutate("addComment", json!({ "leadId": lead, "body": "hello" }), "comment { id }").await.ok();
        let number = read(&person, &lead, "number").await["number"].to_string();
        let expected = format!("{{\"activity\":{{\"z\":\"CommentAdded\",\"lead\":{{\"title\":\"Forty seats\",\"number\":{number}}},\"comment\":{{\"version\":1,\"body\":\"hello\"}},\"id\":3}}}}");
        assert_eq!(text_of(&feed.next().await.ok()), expected);
        // Mutations are also done in that order.
        let document = "mutation ($i: CreateLeadInput!) { z: createLead(input: $i) { lead { number } } t: __typename ...F a: createLead(input: $i) { lead { number } } } fragment F on Mutation { m: createLead(input: $i) { lead { number } } }";
        let input = json!({ "i": { "title": "A", "customer": { "company": "B" } } });
        for way in WRITES {
            let answer = ask(document, input.clone()).over(way, &person).await.ok();
            let number = |name: &str| answer.text_at(&format!("/{name}/lead/number")).to_owned();
            let (z, m, a) = (number("z"), number("m"), number("a"));
            let made = |number: &str| format!("{{\"lead\":{{\"number\":\"{number}\"}}}}");
            let expected = format!("{{\"z\":{},\"t\":\"Mutation\",\"m\":{},\"a\":{}}}", made(&z), made(&m), made(&a));
            assert_eq!(text_of(&answer), expected, "{way:?}");
            assert!(z < m && m < a, "{way:?}: {expected}");
        }
        faults.none();
    }
}

// The schema by itself.

#[tokio::test]
async fn the_schema_by_introspection_is_the_schema_s_file_to_the_letter() {
    let world = World::on(Database::fresh(Kind::Sqlite).await).await;
    let url = format!("http://{}/graphql", world.address());
    let token = world.as_("acme", "SALES").token;
    let tools = Tools::install().await;
    let said = tools.run("node", &["introspect.mjs", &url, "../../schema.graphql", &token]).await;
    assert_eq!((said.ok(), said.stderr.as_str()), ("", ""));
    // It would tell each of these.
    let schema = tools.read("../../schema.graphql");
    for (from, to) in [
        ("interface Activity implements Node {", "interface Activity {"),
        ("direction: OrderDirection! = DESC", "direction: OrderDirection! = ASC"),
        ("A country, ISO 3166-1 alpha-2: `DE`;", "A country: `DE`;"),
        ("https://www.iso.org/iso-3166-country-codes.html", "https://example.com"),
        ("union Actor = Member | SystemActor", "union Actor = Member"),
    ] {
        assert!(schema.contains(from), "there is no {from}");
        tools.write("other.graphql", &schema.replace(from, to));
        let said = tools.run("node", &["introspect.mjs", &url, "other.graphql", &token]).await;
        let told = said.failed(1);
        assert!(told.contains("graphql 16.") && told.contains("graphql 17."), "{from}: {told}");
    }
}

on_both_databases! {
    async fn what_is_asked_of_the_schema_stands_among_the_other_fields(world: World) {
        let mut faults = Faults::default();
        let person = world.as_("acme", "SALES");
        let me = person.id().await;
        for (document, variables, expected) in [
            ("{ b: __type(name: \"Lead\") { name } viewer { id } __schema { queryType { name } } a: __type(name: \"Nope\") { name } z: __typename }", json!({}),
                format!("{{\"b\":{{\"name\":\"Lead\"}},\"viewer\":{{\"id\":\"{me}\"}},\"__schema\":{{\"queryType\":{{\"name\":\"Query\"}}}},\"a\":null,\"z\":\"Query\"}}")),
            ("query ($n: String = \"Task\", $on: Boolean = false) { ...F viewer { id } ...F } fragment F on Query { __type(name: $n) { kind name @skip(if: $on) } }", json!({}),
                format!("{{\"__type\":{{\"kind\":\"OBJECT\",\"name\":\"Task\"}},\"viewer\":{{\"id\":\"{me}\"}}}}")),
            ("query ($n: String = \"Task\", $on: Boolean = false) { ...F viewer { id } ...F } fragment F on Query { __type(name: $n) { kind name @skip(if: $on) } }",
                json!({ "n": "Node", "on": true }), format!("{{\"__type\":{{\"kind\":\"INTERFACE\"}},\"viewer\":{{\"id\":\"{me}\"}}}}")),
            ("{ __type(name: \"Activity\") { interfaces { name } } node: __type(name: \"Actor\") { possibleTypes { name } interfaces { name } } }", json!({}),
                "{\"__type\":{\"interfaces\":[{\"name\":\"Node\"}]},\"node\":{\"possibleTypes\":[{\"name\":\"Member\"},{\"name\":\"SystemActor\"}],\"interfaces\":null}}".to_owned()),
            ("{ a: __type(name: \"UpdateLeadInput\") { isOneOf } b: __type(name: \"Lead\") { one: isOneOf name } __type(name: \"LeadOrder\") { inputFields { name defaultValue isDeprecated } } }", json!({}),
                "{\"a\":{\"isOneOf\":false},\"b\":{\"one\":null,\"name\":\"Lead\"},\"__type\":{\"inputFields\":[{\"name\":\"field\",\"defaultValue\":null,\"isDeprecated\":false},{\"name\":\"direction\",\"defaultValue\":\"DESC\",\"isDeprecated\":false}]}}".to_owned()),
            ("{ __schema { ... on __Schema { mutationType { ...T } subscriptionType { ...T } } } } fragment T on __Type { kind name specifiedByURL __typename }", json!({}),
                "{\"__schema\":{\"mutationType\":{\"kind\":\"OBJECT\",\"name\":\"Mutation\",\"specifiedByURL\":null,\"__typename\":\"__Type\"},\"subscriptionType\":{\"kind\":\"OBJECT\",\"name\":\"Subscription\",\"specifiedByURL\":null,\"__typename\":\"__Type\"}}}".to_owned()),
        ] {
            faults.gives(&person, &ask(document, variables), &expected).await;
        }
        let answer = person.query("{ node: __type(name: \"Node\") { possibleTypes { name kind } } codes: __type(name: \"ErrorCode\") { kind enumValues { name } } }", json!({})).await.ok();
        assert!(answer.list_at("/node/possibleTypes").iter().all(|it| it["kind"] == "OBJECT"), "{}", answer.text);
        assert!(answer.list_at("/codes/enumValues").contains(&json!({ "name": "INVALID_INPUT" })), "{}", answer.text);
        // Values are those of the operation, whoever answers.
        let mixed = "query ($n: Int, $ids: [ID!]!, $when: DateTime, $s: [StageKind!], $d: Boolean) { __type(name: \"Track\") { enumValues(includeDeprecated: $d) { name } }
            leads(first: $n, filter: { expiringBefore: $when, stageKind: $s }) { edges { cursor } } nodes(ids: $ids) { id } }";
        let expected = "{\"__type\":{\"enumValues\":[{\"name\":\"STAGE\"},{\"name\":\"STATUS\"}]},\"leads\":{\"edges\":[]},\"nodes\":[]}";
        for variables in [
            json!({ "ids": [] }), json!({ "ids": [], "n": 1, "d": true }), json!({ "ids": [], "n": 5, "d": null, "s": "WON", "more": {} }), json!({ "ids": [], "when": "2026-03-02T09:00:00Z", "s": ["WON"] }),
        ] {
            faults.gives(&person, &ask(mixed, variables), expected).await;
        }
        let elsewhere = lead_of(&world.as_("umbrella", "SALES"), json!({})).await;
        let merged = "query A { __schema { queryType { name } } ...F viewer { id } } fragment F on Query { __schema { queryType { kind name } mutationType { name } } } query B($x: ID!) { lead(id: $x) { id } }";
        faults.gives(&person, &ask(merged, json!({})).named("A"), &format!("{{\"__schema\":{{\"queryType\":{{\"name\":\"Query\",\"kind\":\"OBJECT\"}},\"mutationType\":{{\"name\":\"Mutation\"}}}},\"viewer\":{{\"id\":\"{me}\"}}}}")).await;
        // Where what may not be null fails, all of it is.
        for document in ["{ __schema { queryType { name } } nodes(ids: [\"7\"]) { id } }", "{ nodes(ids: [\"7\"]) { id } viewer { id } __type(name: \"Lead\") { name } }"] {
            let answer = person.query(document, json!({})).await;
            assert_eq!((text_of(&answer).as_str(), &answer.errors[0]["path"]), ("null", &json!(["nodes"])), "{document}: {}", answer.text);
        }
        // One that failed does not take it along.
        for (id, way) in [("7", Way::Get), (&elsewhere, Way::Socket), (&elsewhere, Way::Stream)] {
            let document = format!("{{ __type(name: \"Lead\") {{ name }} x: lead(id: \"{id}\") {{ id }} node(id: \"{id}\") {{ id }} z: __schema {{ queryType {{ name }} }} }}");
            let answer = ask(document, json!({})).over(way, &person).await;
            assert_eq!(text_of(&answer), "{\"__type\":{\"name\":\"Lead\"},\"x\":null,\"node\":null,\"z\":{\"queryType\":{\"name\":\"Query\"}}}", "{}", answer.text);
        }
        let answer = person.query("{ __type(name: \"Lead\") { name } lead(id: \"7\") { id } z: __schema { queryType { name } } }", json!({})).await;
        assert_eq!(text_of(&answer), "{\"__type\":{\"name\":\"Lead\"},\"lead\":null,\"z\":{\"queryType\":{\"name\":\"Query\"}}}", "{}", answer.text);
        // Where it is switched off, it is so in whatever place.
        let server = world.another_server_with(&[("COSELL_INTROSPECTION", Some("off"))]).await;
        let there = person.at(server.addr);
        for document in [
            "{ __schema { queryType { name } } }", "{ viewer { id } __type(name: \"Lead\") { name } }", "{ ...F } fragment F on Query { viewer { id } x: __schema { types { name } } }",
            "mutation { __type(name: \"Lead\") { name } }", "mutation { ...F } fragment F on Mutation { __schema { queryType { name } } }",
        ] {
            for way in WRITES {
                let answer = ask(document, json!({})).over(way, &there).await;
                refused(&answer, document);
                // A mutation never has these fields; what is told of it gives nothing away either.
                let told = document.starts_with("mutation") || answer.message().contains("switched off");
                assert!(told && !answer.text.contains("Lead") && !answer.text.contains("__Schema"), "{way:?}: {}", answer.text);
            }
        }
        let answer = ask("{ viewer { __typename } __typename }", json!({})).over(Way::Post, &there).await.ok();
        assert_eq!(text_of(&answer), "{\"viewer\":{\"__typename\":\"Member\"},\"__typename\":\"Query\"}");
        server.shutdown().await;
        faults.none();
    }
}

// Documents as texts.

on_both_databases! {
    async fn a_text_is_stored_as_graphql_js_reads_it(world: World) {
        const LITERALS: [&str; 20] = [
            r#""plain""#,
            r#""\uD83C\uDF89 party""#,
            r#""\u{1F389} party \u{41}\u{0041}\u{1F600}x""#,
            r#""🎉 \" \\ \/ tab\tline\nend""#,
            r#""\u00e9\u00E9 # no comment""#,
            r#""a\u0020b, { } ( ) $x ...""#,
            r#""""one line""""#,
            r#""""quoted \""" inside""""#,
            r#""""a "quote" and ""two"" and \n no escape \u{1F389} \\ """"#,
            "\"\"\"\n\n    first\n\n      indented\n    last\n\n\"\"\"",
            "\"\"\"first\n      second\n        third\n\"\"\"",
            "\"\"\"\n\tone\n\t\ttwo\n\tthree\n  \"\"\"",
            "\"\"\"\n  one\n two\n   three  \n   \n\n  end\n\"\"\"",
            "\"\"\"one\r\n  two\r  three\n  four\"\"\"",
            "\"\"\"\n    🎉 one\n      \\\"\"\" two\n    \"\"\"",
            "\"\"\"x\\\"\"\"\"\"\"",
            "\"\"\"\\\"\"\"\\\"\"\"\n  x\"\"\"",
            "\"\"\"\n    \n  one\n      \n\n  two\n    \n\"\"\"",
            "\"\"\"\u{e9}\u{fc} one, two\"\"\"",
            "\"\"\"# one\n  , two\"\"\"",
        ];
        let tools = Tools::install().await;
        tools.write("literals.json", &json!(LITERALS).to_string());
        let said = tools.run("node", &["values.mjs", "literals.json"]).await;
        let values: Vec<String> = serde_json::from_str(said.ok()).expect("texts");
        let person = world.as_("acme", "SALES");
        let lead = lead_of(&person, json!({})).await;
        for (turn, (literal, value)) in LITERALS.iter().zip(&values).enumerate() {
            let document = format!("mutation ($id: ID!) {{ updateLead(input: {{ leadId: $id, description: {literal} }}) {{ lead {{ description }} }} }}");
            let answer = ask(document, json!({ "id": lead })).over(WRITES[turn % WRITES.len()], &person).await.ok();
            // Around it the server trims every text.
            let expected = value.trim();
            assert_eq!(answer.at("/updateLead/lead/description"), expected, "{literal}");
            assert_eq!(read(&person, &lead, "description").await["description"], expected, "{literal}");
            // The same by the default of a variable.
            let document = format!("mutation ($id: ID!, $d: String = {literal}) {{ updateLead(input: {{ leadId: $id, description: $d }}) {{ lead {{ description }} }} }}");
            let answer = ask(document, json!({ "id": lead })).over(Way::Post, &person).await.ok();
            assert_eq!(answer.at("/updateLead/lead/description"), expected, "{literal}");
        }
    }

    async fn a_whole_float_is_an_int_beside_introspection_too(world: World) {
        let person = world.as_("acme", "SALES");
        let mut faults = Faults::default();
        let document = "query ($n: Int) { __type(name: \"Task\") { name } leads(first: $n) { edges { cursor } } }";
        let expected = "{\"__type\":{\"name\":\"Task\"},\"leads\":{\"edges\":[]}}";
        faults.gives(&person, &ask(document, json!({ "n": 1.0 })), expected).await;
        faults.none();
    }

    async fn operations_variables_and_fragments_may_be_described(world: World) {
        let mut faults = Faults::default();
        let person = world.as_("acme", "SALES");
        let me = format!("{{\"viewer\":{{\"id\":\"{}\"}}}}", person.id().await);
        for document in [
            "\"What it asks\" query Q { viewer { id } }",
            "\"\"\"\nWhat it asks\n\"\"\"\nquery { viewer { id } }",
            "query (\"Whether\" $on: Boolean = true) { viewer @include(if: $on) { id } }",
            "{ ...F } \"What it has\" fragment F on Query { viewer { id } }",
        ] {
            faults.gives(&person, &ask(document, json!({})), &me).await;
        }
        faults.none();
    }

    async fn arguments_and_input_fields_have_values(world: World) {
        let person = world.as_("acme", "SALES");
        let lead = lead_of(&person, json!({ "description": "At length" })).await;
        let mut faults = Faults::default();
        for document in [
            "{ leads(filter: { text }) { edges { cursor } } }",
            "{ leads(filter: { text \"a\" }) { edges { cursor } } }",
            "{ leads(filter: { active: true text: }) { edges { cursor } } }",
            "{ leads(first) { edges { cursor } } }",
            "{ leads(first 1) { edges { cursor } } }",
            "{ leads(first: 1, after null) { edges { cursor } } }",
            "{ leads(first: 1 a) { edges { cursor } } }",
            "query ($n: Int) { leads(first $n) { edges { cursor } } }",
            "query ($o: LeadOrder = { field: CREATED direction }) { leads(orderBy: $o) { edges { cursor } } }",
            "{ viewer { id @skip(if: true, unless) } }",
        ] {
            faults.refuses(&person, &ask(document, json!({}))).await;
        }
        let document = "mutation ($id: ID!) { updateLead(input: { leadId: $id, title: \"A\", description null, leadSource }) { lead { title } } }";
        for way in WRITES {
            let answer = ask(document, json!({ "id": lead })).over(way, &person).await;
            if !is_refusal(&answer) {
                faults.0.push(format!("{document} over {way:?}\ngot {}", answer.text));
            }
        }
        faults.none();
    }

    async fn documents_are_read_by_the_grammar_and_nothing_else_is(world: World) {
        let mut faults = Faults::default();
        let person = world.as_("acme", "SALES");
        let me = format!("{{\"viewer\":{{\"id\":\"{}\"}}}}", person.id().await);
        for document in [
            "{viewer{id}}", "query{viewer{id}}", "query query{viewer{id}}", "query on { viewer { id } }", "query fragment { viewer { id } }",
            "\u{feff}{ viewer { id } }", ",,{,viewer,,{,id,},},,", "# a\n{ viewer #}\r\n { # b\r id } } # c",
            "{ ...fragment } fragment fragment on Query { viewer { id } }", "{ ...query ... on Query { ...query } } fragment query on Query { viewer { id } }",
            "query ($on: Boolean = true) { viewer @include(if: $on) { id } }",
            "query ($ids: [ ID ! ] ! = [ ]) { viewer { id } nodes(ids: $ids) @skip(if: true) { id } }",
        ] {
            let request = ask(document, json!({}));
            faults.gives(&person, &request, &me).await;
        }
        for document in [
            "query Q() { viewer { id } }", "query () { viewer { id } }", "{ viewer() { id } }", "{ viewer { id @skip() } }", "{ viewer { } }", "{ }", "query Q", "query",
            "{ nodes(ids: [00]) { id } }", "{ nodes(ids: [01]) { id } }", "{ nodes(ids: [-01]) { id } }", "{ nodes(ids: [1.]) { id } }", "{ nodes(ids: [.5]) { id } }",
            "{ nodes(ids: [1e]) { id } }", "{ nodes(ids: [0x1]) { id } }", "{ nodes(ids: [1a]) { id } }", "{ nodes(ids: [1.5.5]) { id } }", "{ nodes(ids: [-]) { id } }", "{ nodes(ids: [+1]) { id } }",
            "{ nodes(ids: [1_000]) { id } }", "{ nodes(ids: [\"A\"] { id } }", "{ nodes(ids: [\"A\") { id } }", "{ nodes(ids: ) { id } }", "{ nodes(ids) { id } }",
            "{ ...on } fragment on on Query { viewer { id } }", "fragment on on Query { viewer { id } } query { viewer { id } }", "{ ... } ", "{ ...F } fragment F Query { viewer { id } }", "{ ...F } fragment F on { viewer { id } }",
            r#"{ nodes(ids: ["\uD83C"]) { id } }"#, r#"{ nodes(ids: ["\uDF89\uD83C"]) { id } }"#, r#"{ nodes(ids: ["\uD83C\uD83C"]) { id } }"#, r#"{ nodes(ids: ["\uD83Cx"]) { id } }"#,
            r#"{ nodes(ids: ["\u{D83C}"]) { id } }"#, r#"{ nodes(ids: ["\u{D83C}\u{DF89}"]) { id } }"#, r#"{ nodes(ids: ["\u{110000}"]) { id } }"#, r#"{ nodes(ids: ["\u{}"]) { id } }"#, r#"{ nodes(ids: ["\u{1F389"]) { id } }"#,
            r#"{ nodes(ids: ["\u12"]) { id } }"#, r#"{ nodes(ids: ["\u00G0"]) { id } }"#, r#"{ nodes(ids: ["\x41"]) { id } }"#, r#"{ nodes(ids: ["\'"]) { id } }"#,
            "{ nodes(ids: [\"A]) { id } }", "{ nodes(ids: [\"A\nB\"]) { id } }", "{ nodes(ids: [\"\"\"A\"\"]) { id } }", "{ nodes(ids: ['A']) { id } }",
            "query Q @skip(if: false) { viewer { id } }", "query ($a : [ [ ID ! ] ] ) { nodes(ids: $a) { id } }", "{ viewer { id } } }", "{ viewer { id }", "{ viewer { id: } }", "{ viewer { :id } }", "{ viewer { a:b:id } }", "{ viewer { 1id } }", "{ viewer { id? } }", "{ viewer { i\u{0}d } }", "{ viewer { ïd } }", "{ viewer.id }", "{ viewer { id } } ..",
            "query ($a: [ID!) { nodes(ids: $a) { id } }", "query ($a: [ID!!]) { nodes(ids: $a) { id } }", "query ($a: []) { nodes(ids: $a) { id } }", "query ($a ID) { node(id: $a) { id } }", "query (a: ID!) { node(id: $a) { id } }", "query ($: ID!) { node(id: $) { id } }",
            "query ($a: ID! = $b, $b: ID) { node(id: $a) { id } x: node(id: $b) { id } }", "query Q { viewer { id } } query", "{ viewer { id } } nope", "\"What it asks\" { viewer { id } }", "\"\" \"\" query Q { viewer { id } }",
            "{ leads(filter: { text: \"a\", : 1 }) { edges { cursor } } }", "{ leads(first: 1, first: 1) { edges { cursor } } }", "{ viewer { id @ skip(if: true)( } }",
            "{ leads(orderBy: { field: true }) { edges { cursor } } }", "{ leads(orderBy: { field: null }) { edges { cursor } } }",
        ] {
            faults.refuses(&person, &ask(document, json!({}))).await;
        }
        faults.none();
    }
}

// Subscriptions.

/// An open subscription, however it comes.
enum Feed {
    Stream(EventStream),
    Socket(Subscription, #[expect(dead_code, reason = "it is open as long as this is")] Socket),
}

impl Feed {
    async fn open(way: Way, person: &Person, ask: &Ask) -> Self {
        if way == Way::Stream {
            return Self::Stream(EventStream::of(sse::request_of(person, &ask.body())).await);
        }
        let mut socket = person.socket().await;
        Self::Socket(socket.start(ask.body()).await, socket)
    }

    async fn next(&mut self) -> Value {
        match self {
            Self::Stream(stream) => stream.next().await,
            Self::Socket(subscription, _) => subscription.next().await,
        }
    }
}

on_both_databases! {
    async fn a_subscription_has_one_root_field_wherever_and_however_often_it_stands(world: World) {
        let person = world.as_("acme", "SALES");
        let lead = lead_of(&person, json!({})).await;
        let mut sequence = 1;
        for (document, operation) in [
            ("subscription { activity { kind: __typename sequence } }", None),
            ("subscription { ...F } fragment F on Subscription { activity { kind: __typename sequence } }", None),
            ("subscription { ... on Subscription { ... { ...F } } } fragment F on Subscription { ...G } fragment G on Subscription { activity { kind: __typename sequence } }", None),
            ("subscription { activity { kind: __typename } activity { sequence } }", None),
            ("subscription { ...F ...G ...F } fragment F on Subscription { activity { kind: __typename } } fragment G on Subscription { activity { kind: __typename sequence } }", None),
            ("query A($x: ID!) { lead(id: $x) { id } } subscription B { ...F activity { sequence } } subscription C($y: ID!) { commentAdded(leadId: $y) { body } }
                fragment F on Subscription { activity { kind: __typename } }", Some("B")),
        ] {
            for way in LIVE {
                let request = Ask { operation, ..ask(document, json!({})) };
                let mut feed = Feed::open(way, &person, &request).await;
                person.mutate("addComment", json!({ "leadId": lead, "body": "hello" }), "comment { id }").await.ok();
                sequence += 1;
                let expected = json!({ "activity": { "kind": "CommentAdded", "sequence": sequence } });
                assert_eq!(feed.next().await, expected, "{way:?}: {document}");
            }
        }
        for document in [
            "subscription { activity { id } leadChanged { id } }",
            "subscription { a: activity { id } b: activity { id } }",
            "subscription { activity { id } ...F } fragment F on Subscription { leadChanged { id } }",
            "subscription { ...F ...G } fragment F on Subscription { activity { id } } fragment G on Subscription { a: activity { id } }",
            "subscription { activity { id } __typename }",
            "subscription { __typename }",
            "subscription { __schema { queryType { name } } }",
            "subscription { __type(name: \"Lead\") { name } }",
            "subscription { activity(after: \"a\") { id } ...F } fragment F on Subscription { activity { id } }",
            "subscription ($on: Boolean = true) { activity { id } ... @skip(if: $on) { leadChanged { id } } }",
            // Whether it has a field at all may not hang on a condition.
            "subscription { activity @skip(if: true) { id } }",
            "subscription ($on: Boolean = true) { activity @include(if: $on) { id } }",
            "subscription ($on: Boolean = true) { ... @skip(if: $on) { activity { id } } }",
            "subscription ($on: Boolean = true) { ...F @include(if: $on) } fragment F on Subscription { activity { id } }",
            "query A { viewer { id } } subscription B { activity { id } leadChanged { id } }",
        ] {
            for way in LIVE {
                let request = ask(document, json!({}));
                let request = if document.starts_with("query A") { request.named("A") } else { request };
                let what = format!("{document} over {way:?}");
                // The event stream says it, so does the socket; neither begins.
                let answer = timeout(PATIENCE, request.over(way, &person)).await;
                refused(&answer.unwrap_or_else(|_| panic!("{what} was begun")), &what);
            }
        }
    }

    async fn members_who_ask_the_same_in_other_words_share_one_execution(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let vendor = world.as_("acme", "SALES");
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let statements = || world.server().service().db().statements();
        let with = json!({ "lead": lead });
        let literal = |document: &str| ask(document.replace("LEAD", &format!("\"{lead}\"")), json!({}));
        let first = ask("subscription ($lead: ID!) { commentAdded(leadId: $lead) { body author { id name } } }", with.clone());
        let same = [
            literal("subscription { commentAdded(leadId: LEAD) { body author { id name } } }"),
            literal("subscription Other{commentAdded(leadId:LEAD,){body,author{id,name}}}# a"),
            literal("subscription ($x: ID = LEAD) { commentAdded(leadId: $x) { body author { id name } } }").with(json!({ "x": lead })),
            literal("subscription ($x: ID! = LEAD) { ...F } fragment F on Subscription { commentAdded(leadId: $x) { ...G author { ...H } } } fragment G on Comment { body } fragment H on Member { id name }"),
            literal("subscription { commentAdded(leadId: LEAD) { body } ... { commentAdded(leadId: LEAD) { body author { id } author { name id } } } }"),
            literal("subscription ($on: Boolean = true) { commentAdded(leadId: LEAD) { body @include(if: $on) author { ... on Actor { ... on Node { id } } name email @skip(if: $on) } } }"),
            literal("subscription { commentAdded(leadId: LEAD, after: null) { body author { id name } } }"),
            literal("query A { viewer { id } } subscription B { commentAdded(leadId: LEAD) { body: body author { id name } } }").named("B"),
        ];
        let other = [
            literal("subscription { x: commentAdded(leadId: LEAD) { body author { id name } } }"),
            literal("subscription { commentAdded(leadId: LEAD) { text: body author { id name } } }"),
            literal("subscription { commentAdded(leadId: LEAD) { body author { name id } } }"),
            literal("subscription { commentAdded(leadId: LEAD) { author { id name } body } }"),
            literal("subscription { commentAdded(leadId: LEAD) { body author { id name } id } }"),
            literal("subscription { commentAdded(leadId: LEAD) { body author { id name __typename } } }"),
        ];
        let mut readers = Vec::new();
        let mut cost = Vec::new();
        for (n, asks) in [&[first][..], &same, &other].into_iter().enumerate() {
            for (m, request) in asks.iter().enumerate() {
                let person = world.person("globex", &format!("reader-{n}-{m}"), &["SALES"]);
                readers.push((Feed::open(LIVE[m % LIVE.len()], &person, request).await, request.document.clone()));
            }
            let before = statements();
            vendor.mutate("addComment", json!({ "leadId": lead, "body": "hello" }), "comment { id }").await.ok();
            let mut got = Vec::new();
            for (feed, document) in &mut readers {
                got.push((feed.next().await, document.clone()));
            }
            cost.push(statements() - before);
            for (result, document) in &got[1..=same.len().min(got.len() - 1)] {
                assert_eq!(*result, got[0].0, "{document}");
            }
        }
        // The feed's own look at the log may fall into any of them.
        assert!(cost[1] < cost[0] + same.len() as u64, "the same in other words is executed for each: {cost:?} statements");
        assert!(cost[2] >= cost[0] + 6, "what is not the same is shared: {cost:?} statements");
    }
}

// Errors.

on_both_databases! {
    async fn errors_name_the_line_and_column_of_the_caller_s_document_and_the_path(world: World) {
        let mut faults = Faults::default();
        let person = world.as_("acme", "SALES");
        let (lead, _) = lead_with_task(&person).await;
        let document = "query Q($id: ID!, $other: ID!) {
  viewer { id }
  lead(id: $other) { id }
  ...F
  again: lead(id: $id) {
    title
    ... on Node { ... on Lead {
        # what can't be read
        later: comments(after: \"x\") { totalCount }
    } }
  }
}

fragment F on Query {
  node(
    id: $other
  ) { id }
\tnodes(ids: [$id]) { ...G }
}
fragment G on Lead { title comments(after: \"y\") { edges { cursor } } }";
        let told = |answer: &Answer| {
            let mut told: Vec<_> = answer.errors.iter()
                .map(|error| json!([error["locations"], error["path"]]).to_string()).collect();
            told.sort_unstable();
            told
        };
        let at = |line: usize, column: usize, path: Value| json!([[{ "line": line, "column": column }], path]).to_string();
        for way in READS {
            let answer = ask(document, json!({ "id": lead, "other": "7" })).over(way, &person).await;
            let mut expected = [
                at(3, 3, json!(["lead"])), at(9, 9, json!(["again", "later"])), at(15, 3, json!(["node"])), at(20, 28, json!(["nodes", 0, "comments"])),
            ];
            expected.sort_unstable();
            assert_eq!(told(&answer), expected, "{way:?}: {}", answer.text);
        }
        // Of mutations, the failed one alone.
        let document = "mutation ($id: ID!) {\n  first: addComment(input: { leadId: $id, body: \"A\" }) { comment { id } }\n  ...F\n}\nfragment F on Mutation {\n    second: addComment(\n    input: { leadId: $id, body: \" \" }) { comment { id } }\n}";
        for way in WRITES {
            let answer = ask(document, json!({ "id": lead })).over(way, &person).await;
            assert_eq!(told(&answer), [at(6, 5, json!(["second"]))], "{way:?}: {}", answer.text);
            assert_eq!(answer.field(), "input.body", "{}", answer.text);
        }
        // What is refused has no path.
        for (document, variables, line, column) in [
            ("{\n  viewer {\n    id\n    nope\n  }\n}", json!({}), 4, 5),
            ("{ ...F }\n\nfragment F on Query {\n  viewer { id nope }\n}", json!({}), 4, 15),
            ("query (\n  $n: Int\n  $m: Int\n) {\n  leads(first: $n, last: $m) { edges { cursor } }\n}", json!({ "m": "no" }), 3, 3),
            ("{\n  leads(first: \"1\") { edges { cursor } }\n}", json!({}), 2, 16),
            ("{\n  viewer { id }\n  leads(first: 00) { edges { cursor } }\n}", json!({}), 3, 16),
            ("# one\n\n\n{ viewer { id } ...F }\n\n\n\tfragment F on Query { nope }", json!({}), 7, 24),
        ] {
            for way in READS {
                let answer = ask(document, variables.clone()).over(way, &person).await;
                refused(&answer, document);
                let place = &answer.errors[0]["locations"];
                if *place != json!([{ "line": line, "column": column }]) {
                    faults.0.push(format!("{document:?} over {way:?}: {line}:{column} is told as {place}"));
                }
                assert!(answer.errors[0].get("path").is_none(), "{}", answer.text);
            }
        }
        faults.none();
    }

    async fn lines_end_where_the_grammar_ends_them(world: World) {
        let person = world.as_("acme", "SALES");
        let mut faults = Faults::default();
        for (document, line, column) in [
            ("{\n  viewer {\n    nope } }", 3, 5),
            ("{\r\n  viewer {\r    nope } }", 3, 5),
            ("# \u{2028}\n{ viewer { nope } }", 2, 12),
            ("# \u{85} \u{b} \u{c}\n{ viewer { nope } }", 2, 12),
            ("{ leads(filter: { text: \"\u{2028}\" }) { nope } }", 1, 34),
            ("{\n  viewer { id }\n", 3, 1),
        ] {
            let answer = ask(document, json!({})).over(Way::Post, &person).await;
            refused(&answer, document);
            let place = &answer.errors[0]["locations"];
            if *place != json!([{ "line": line, "column": column }]) {
                faults.0.push(format!("{document:?}: {line}:{column} is told as {place}"));
            }
        }
        faults.none();
    }
}
