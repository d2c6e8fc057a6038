//! `/graphql` answers as docs/http.md says, case by case, over a bare connection: no client stands in between that adds
//! headers or reads the answer in its own way.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::database::{Database, Kind, OnDatabase as _};
use crate::support::world::World;

const JSON: &str = "application/json";
const GRAPHQL: &str = "application/graphql-response+json";

/// What came back.
struct Reply {
    status: u16,
    /// The whole status line.
    line: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// Writes a request as it stands and reads the answer to its end. The length of a body is added.
async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Reply {
    let mut head = vec![format!("{method} {path} HTTP/1.1"), "Host: x".to_owned(), "Connection: close".to_owned()];
    head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    head.extend(body.map(|body| format!("Content-Length: {}", body.len())));
    let text = format!("{}\r\n\r\n{}", head.join("\r\n"), body.unwrap_or_default());
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    // Who is refused before it was read to its end may not get rid of the rest.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut bytes = Vec::new();
    // Who is refused before it was read to its end may find the connection reset after the answer.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {method} {path}: {text:?}"));
    let mut lines = head.split("\r\n");
    let line = lines.next().expect("a status line").to_owned();
    let status = line.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
    let headers = lines.filter_map(|it| it.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()));
    Reply { status, line, headers: headers.collect(), body: body.to_owned() }
}

/// Whether the answer has `data`.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Data {
    Absent,
    Null,
    There,
}

/// One case of docs/http.md: what is asked, and what comes under either media type.
struct Case {
    /// As the page calls it.
    name: &'static str,
    method: &'static str,
    path: &'static str,
    /// `T` stands for a good token, `X` for one that does not hold, anything else for none.
    token: char,
    content_type: Option<&'static str>,
    body: Option<String>,
    /// Under `application/json`, and under `application/graphql-response+json`.
    status: (u16, u16),
    data: Data,
    code: Option<&'static str>,
    allow: Option<&'static str>,
}

#[allow(clippy::needless_pass_by_value, reason = "a text or JSON, made on the spot")]
impl Case {
    fn post(
        name: &'static str,
        body: impl ToString,
        status: (u16, u16),
        data: Data,
        code: Option<&'static str>,
    ) -> Self {
        let (method, path, content_type) = ("POST", "/graphql", Some(JSON));
        Self {
            name,
            method,
            path,
            token: 'T',
            content_type,
            body: Some(body.to_string()),
            status,
            data,
            code,
            allow: None,
        }
    }

    fn refused(name: &'static str, body: impl ToString, status: (u16, u16)) -> Self {
        Self::post(name, body, status, Data::Absent, Some("INVALID_INPUT"))
    }

    fn get(name: &'static str, path: &'static str, status: (u16, u16), data: Data, code: Option<&'static str>) -> Self {
        Self { method: "GET", path, content_type: None, body: None, ..Self::post(name, "", status, data, code) }
    }

    /// Its row in the page.
    fn row(&self) -> String {
        let code = self.code.map_or(String::new(), |code| format!("`{code}`"));
        let data = match self.data {
            Data::Absent => "no",
            Data::Null => "null",
            Data::There => "yes",
        };
        format!("| {} | {} | {} | {data} | {code} |", self.name, self.status.0, self.status.1)
    }
}

fn cases() -> Vec<Case> {
    use Data::{Absent, Null, There};
    let ask = |query: &str| json!({ "query": query });
    let too_deep = format!("{{ lead(id: \"x\") {{ {} id {} }} }}", "duplicateOf { ".repeat(40), "} ".repeat(40));
    let invalid = Some("INVALID_INPUT");
    vec![
        Case::post("data without errors", ask("{ __typename }"), (200, 200), There, None),
        Case::post("data and errors", ask("{ __typename node(id: \"none\") { id } }"), (200, 294), There, invalid),
        Case::post(
            "a mutation that fails",
            ask("mutation { acceptLead(input: { leadId: \"none\" }) { lead { id } } }"),
            (200, 294),
            There,
            invalid,
        ),
        Case {
            token: '-',
            ..Case::post(
                "no data, as a field failed that can't be null",
                ask("{ viewer { id } }"),
                (200, 294),
                Null,
                Some("UNAUTHENTICATED"),
            )
        },
        Case::get("a query by GET", "/graphql?query=%7B__typename%7D", (200, 200), There, None),
        Case::refused("the body is not JSON", "{\"query\":", (400, 400)),
        Case::refused("there is no body", "", (400, 400)),
        Case::refused("`query` is missing", json!({ "qeury": "{ __typename }" }), (400, 400)),
        Case::refused("`query` is not a string", json!({ "query": 7 }), (400, 400)),
        Case::refused(
            "`variables` or `extensions` is not an object",
            json!({ "query": "{ __typename }", "variables": [7] }),
            (400, 400),
        ),
        Case::refused(
            "`operationName` is not a string",
            json!({ "query": "{ __typename }", "operationName": 7 }),
            (400, 400),
        ),
        Case::refused("several operations in a list", json!([{ "query": "{ __typename }" }]), (400, 400)),
        Case::get(
            "by GET, `variables` or `extensions` is not JSON",
            "/graphql?query=%7B__typename%7D&variables=x",
            (400, 400),
            Absent,
            invalid,
        ),
        Case::get(
            "by GET, a parameter is there twice",
            "/graphql?query=%7B__typename%7D&query=%7B__typename%7D",
            (400, 400),
            Absent,
            invalid,
        ),
        Case::refused("the document can't be parsed", ask("{"), (200, 400)),
        Case::refused("the document is not valid", ask("{ colour }"), (200, 400)),
        Case::refused(
            "the variables don't fit their types",
            json!({ "query": "query ($id: ID!) { lead(id: $id) { id } }", "variables": { "id": null } }),
            (200, 400),
        ),
        Case::refused(
            "no operation has that name",
            json!({ "query": "query A { __typename }", "operationName": "B" }),
            (200, 422),
        ),
        Case::refused(
            "several operations, and no name",
            ask("query A { __typename } query B { __typename }"),
            (200, 422),
        ),
        Case::refused("a subscription", ask("subscription { activity { id } }"), (200, 400)),
        Case::post("a limit is exceeded", ask(&too_deep), (200, 400), Absent, Some("QUERY_TOO_COMPLEX")),
        Case {
            allow: Some("POST"),
            ..Case::get("a mutation by GET", "/graphql?query=mutation%7B__typename%7D", (405, 405), Absent, invalid)
        },
        Case {
            allow: Some("GET, HEAD, POST"),
            method: "PUT",
            ..Case::refused("another method", ask("{ __typename }"), (405, 405))
        },
        Case {
            content_type: None,
            ..Case::refused("a body without `Content-Type`", ask("{ __typename }"), (415, 415))
        },
        Case {
            content_type: Some("text/plain"),
            ..Case::refused("a body of another type", ask("{ __typename }"), (415, 415))
        },
        Case {
            content_type: Some("application/json; charset=utf-16"),
            ..Case::refused("a body in another charset than UTF-8", ask("{ __typename }"), (415, 415))
        },
        Case::refused("the body is too large", format!("{{\"query\":\"#{}\"}}", "x".repeat(2_000_000)), (413, 413)),
        Case {
            token: 'X',
            ..Case::post("the token does not hold", ask("{ __typename }"), (401, 401), Absent, Some("UNAUTHENTICATED"))
        },
    ]
}

#[tokio::test]
async fn every_case_of_the_page_is_answered_as_it_says() {
    let world = World::on(Database::fresh(Kind::Sqlite).await).await;
    let token = format!("Bearer {}", world.as_("acme", "SALES").token);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/http.md")).expect("the page");
    for case in cases() {
        let row = case.row();
        assert!(page.lines().any(|line| line == row), "docs/http.md lacks the row:\n{row}");
        for (media, status) in [(JSON, case.status.0), (GRAPHQL, case.status.1)] {
            let mut headers = vec![("Accept", media)];
            headers.extend(case.content_type.map(|it| ("Content-Type", it)));
            match case.token {
                'T' => headers.push(("Authorization", &token)),
                'X' => headers.push(("Authorization", "Bearer a.b.c")),
                _ => {}
            }
            let got = exchange(world.address(), case.method, case.path, &headers, case.body.as_deref()).await;
            let at = format!("{} under {media}: {} {}", case.name, got.line, got.body);
            assert_eq!(got.status, status, "{at}");
            assert_eq!(got.header("content-type"), Some(format!("{media}; charset=utf-8").as_str()), "{at}");
            let body = got.json();
            let data = match body.get("data") {
                None => Data::Absent,
                Some(Value::Null) => Data::Null,
                Some(_) => Data::There,
            };
            assert_eq!(data, case.data, "{at}");
            let errors = body.get("errors").map(|errors| errors.as_array().expect("a list").clone());
            assert_eq!(errors.is_some(), case.code.is_some(), "{at}");
            for error in errors.iter().flatten() {
                assert_eq!(error["extensions"]["code"].as_str(), case.code, "{at}");
                assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{at}");
            }
            assert_eq!(got.header("allow"), case.allow, "{at}");
            assert_eq!(got.header("www-authenticate").is_some(), status == 401, "{at}");
        }
    }
    let table = page
        .split("| --- | --- | --- | --- | --- |\n")
        .nth(1)
        .expect("a table")
        .split("\n\n")
        .next()
        .expect("its rows");
    assert_eq!(table.lines().count(), cases().len(), "docs/http.md has rows that no case stands for");
}

#[tokio::test]
async fn accept_chooses_between_two_media_types() {
    let world = World::on(Database::fresh(Kind::Sqlite).await).await;
    let body = r#"{"query":"{ __typename }"}"#;
    for (accept, expected) in [
        (None, Some(JSON)),
        (Some("*/*"), Some(JSON)),
        (Some("application/*"), Some(JSON)),
        (Some("application/json"), Some(JSON)),
        (Some("APPLICATION/JSON; Charset=\"UTF-8\""), Some(JSON)),
        (Some("application/graphql-response+json"), Some(GRAPHQL)),
        (Some("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8"), Some(GRAPHQL)),
        (Some("application/graphql-response+json, application/json;q=0.9"), Some(GRAPHQL)),
        (Some("application/json;q=0.9, application/graphql-response+json"), Some(GRAPHQL)),
        (Some("application/json, application/graphql-response+json;q=0.9"), Some(JSON)),
        (Some("application/json;q=0, */*"), Some(GRAPHQL)),
        (Some("text/html, application/xhtml+xml, */*;q=0.8"), Some(JSON)),
        (Some("text/html"), None),
        (Some("application/json;q=0"), None),
        (Some("application/json; charset=utf-16"), None),
    ] {
        let mut headers = vec![("Content-Type", JSON)];
        headers.extend(accept.map(|it| ("Accept", it)));
        let got = exchange(world.address(), "POST", "/graphql", &headers, Some(body)).await;
        let status = if expected.is_some() { 200 } else { 406 };
        assert_eq!(got.status, status, "{accept:?}: {}", got.body);
        let media = expected.unwrap_or(JSON);
        assert_eq!(got.header("content-type"), Some(format!("{media}; charset=utf-8").as_str()), "{accept:?}");
    }
}

#[tokio::test]
async fn what_may_be_left_out_or_added_makes_no_difference() {
    let world = World::on(Database::fresh(Kind::Sqlite).await).await;
    let query = "query A($less: Boolean = true) { __typename node(id: \"x\") @skip(if: $less) { id } }";
    for body in [
        json!({ "query": query }),
        json!({ "query": query, "operationName": null, "variables": null, "extensions": null }),
        json!({ "query": query, "operationName": "", "variables": {}, "extensions": {} }),
        json!({ "query": query, "operationName": "A", "variables": { "less": true, "more": 1 }, "extensions": { "some": 1 } }),
        json!({ "query": query, "id": "7", "documentId": null, "whatever": [] }),
    ] {
        let headers = [("Content-Type", JSON), ("Accept", GRAPHQL)];
        let got = exchange(world.address(), "POST", "/graphql", &headers, Some(&body.to_string())).await;
        assert_eq!((got.status, got.json()), (200, json!({ "data": { "__typename": "Query" } })), "{body}");
    }
    let query = "query=query%20A%7B__typename%7D";
    for more in ["", "&operationName=&variables=&extensions=", "&operationName=A&variables=%7B%7D", "&whatever=1&"] {
        let path = format!("/graphql?{query}{more}");
        let got = exchange(world.address(), "GET", &path, &[("Accept", GRAPHQL)], None).await;
        assert_eq!((got.status, got.json()), (200, json!({ "data": { "__typename": "Query" } })), "{path}");
        // HEAD says the same, without the body.
        let head = exchange(world.address(), "HEAD", &path, &[("Accept", GRAPHQL)], None).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-type"), got.header("content-type"), "{path}");
        assert_eq!(head.header("content-length"), got.header("content-length"), "{path}");
    }
    // By GET, `null` is a name like any other.
    let got =
        exchange(world.address(), "GET", &format!("/graphql?{query}&operationName=null"), &[("Accept", GRAPHQL)], None)
            .await;
    assert_eq!(got.status, 422, "{}", got.body);
}

#[tokio::test]
async fn partial_success_has_a_name_and_a_request_that_is_too_long_is_told_so() {
    let world = World::on(Database::fresh(Kind::Sqlite).await).await;
    let body = r#"{"query":"{ viewer { id } }"}"#;
    let headers = [("Content-Type", JSON), ("Accept", GRAPHQL)];
    let got = exchange(world.address(), "POST", "/graphql", &headers, Some(body)).await;
    assert_eq!(got.line, "HTTP/1.1 294 Partial Success");
    let path = format!("/graphql?query={}", "x".repeat(40_000));
    assert_eq!(exchange(world.address(), "GET", &path, &[], None).await.status, 414);
    let long = "x".repeat(500_000);
    assert_eq!(exchange(world.address(), "GET", "/graphql", &[("X-Long", &long)], None).await.status, 431);
}
