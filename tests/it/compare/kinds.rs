//! Single documents of each kind in which execution once departed from the specification, over the toy schema.

use super::agree::{Asked, Outcome};

/// One document, and what has to come of it.
pub struct Kind {
    pub name: &'static str,
    pub query: &'static str,
    /// As JSON.
    pub variables: &'static str,
    pub operation: Option<&'static str>,
    pub expected: Expected,
}

/// What has to come of a document.
#[derive(Debug)]
pub enum Expected {
    /// Before anything is executed.
    Refused,
    /// The data of each answer, and the mutations that were called.
    Answers { data: Vec<&'static str>, calls: Vec<&'static str> },
}

impl Expected {
    /// Whether this is what came of it.
    pub fn is(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Refused, Outcome::Refused { .. }) => true,
            (Self::Answers { data, calls }, Outcome::Accepted { answers, calls: called }) => {
                answers.iter().map(|answer| answer.data.as_str()).eq(data.iter().copied()) && called == calls
            }
            _ => false,
        }
    }
}

impl Kind {
    pub fn asked(&self) -> Asked {
        Asked {
            query: self.query.to_owned(),
            variables: self.variables.to_owned(),
            operation_name: self.operation.map(ToOwned::to_owned),
        }
    }

    fn with(mut self, variables: &'static str) -> Self {
        self.variables = variables;
        self
    }

    fn of(mut self, operation: &'static str) -> Self {
        self.operation = Some(operation);
        self
    }

    fn calling(mut self, mutations: &[&'static str]) -> Self {
        if let Expected::Answers { calls, .. } = &mut self.expected {
            *calls = mutations.to_vec();
        }
        self
    }
}

fn kind(name: &'static str, query: &'static str, expected: Expected) -> Kind {
    Kind { name, query, variables: "{}", operation: None, expected }
}

fn refused(name: &'static str, query: &'static str) -> Kind {
    kind(name, query, Expected::Refused)
}

fn answers(name: &'static str, query: &'static str, data: &[&'static str]) -> Kind {
    kind(name, query, Expected::Answers { data: data.to_vec(), calls: Vec::new() })
}

/// All of them.
pub fn kinds() -> Vec<Kind> {
    [written_once(), absent_and_null(), values_are_looked_at_first(), selections(), answers_in_shape(), documents()]
        .into_iter()
        .flatten()
        .collect()
}

fn written_once() -> Vec<Kind> {
    vec![
        answers(
            "a mutation that two fragments name is called once",
            "mutation ($w: Wish!) { ...A ...B } fragment A on Mutation { add(wish: $w) { id } } fragment B on Mutation { add(wish: $w) { lives } }",
            &[r#"{"add":{"id":"1","lives":9}}"#],
        )
        .with(r#"{"w": {"must": 1}}"#)
        .calling(&[
            r#"add{"wish":{"colour":"BLUE","must":1,"point":{"label":null,"x":1,"y":7},"text":"none"}}"#,
        ]),
        answers(
            "mutations are called in the order in which they first appear",
            "mutation { slow(ticks: 2) ...F remove(id: 1) fail } fragment F on Mutation { fail slow(ticks: 2) }",
            &[r#"{"slow":2,"fail":null,"remove":true}"#],
        )
        .calling(&[r#"slow{"ticks":2}"#, "fail{}", r#"remove{"colour":"RED","id":"1"}"#]),
        answers(
            "under two names it is called twice",
            "mutation { a: slow(ticks: 0) b: slow(ticks: 0) }",
            &[r#"{"a":0,"b":0}"#],
        )
        .calling(&[r#"slow{"ticks":0}"#, r#"slow{"ticks":0}"#]),
        answers(
            "what stands under one name in two fragments is one read",
            "{ ...L ...T } fragment L on Query { lists { things { ... on Cat { id } ...D } } } fragment T on Query { lists { things { ... on Cat { name } } } } fragment D on Dog { id }",
            &[r#"{"lists":{"things":[{"id":"1","name":"Tom"},null,{"id":"2"},{}]}}"#],
        ),
    ]
}

fn absent_and_null() -> Vec<Kind> {
    vec![
        answers(
            "an absent variable is not null",
            "mutation ($id: ID!, $t: String, $u: DateTime, $g: [String!]) { patch(id: $id, title: $t, until: $u, tags: $g) }",
            &[r#"{"patch":"{\"id\":\"7\",\"title\":null}"}"#],
        )
        .with(r#"{"id": 7, "t": null}"#)
        .calling(&[r#"patch{"id":"7","title":null}"#]),
        answers(
            "neither is it within an input object or a JSON value",
            "query ($a: Int, $b: Int, $c: Colour, $j: String) { echo(wish: { must: 1, count: $a, inner: { must: 2, count: $b, colour: $c, json: { k: $j, n: null } } }) }",
            &[
                r#"{"echo":"{\"colours\":[\"RED\",\"BLUE\"],\"flag\":true,\"text\":\"plain\",\"wish\":{\"colour\":\"BLUE\",\"inner\":{\"colour\":\"BLUE\",\"count\":null,\"json\":{\"n\":null},\"must\":2,\"point\":{\"label\":null,\"x\":1,\"y\":7},\"text\":\"none\"},\"must\":1,\"point\":{\"label\":null,\"x\":1,\"y\":7},\"text\":\"none\"}}"}"#,
            ],
        )
        .with(r#"{"b": null}"#),
        answers(
            "null may stand within a JSON value that is not null itself",
            "{ tell(json: [null, { a: null }], each: [[null]]) }",
            &[r#"{"tell":"{\"each\":[[null]],\"json\":[null,{\"a\":null}]}"}"#],
        ),
        answers(
            "an absent variable leaves an argument its default",
            "query ($c: Colour, $n: Int) { being(colour: $c) { id } named(nth: $n) { __typename } }",
            &[r#"{"being":{"id":"2"},"named":{"__typename":"Robot"}}"#],
        ),
        answers(
            "null is not an argument's default",
            "query ($n: Int) { named(nth: $n) { __typename } }",
            &[r#"{"named":null}"#],
        )
        .with(r#"{"n": null}"#),
        answers(
            "a variable's default is a value of its type, with the defaults inside of it",
            r#"query ($w: Wish = { must: 1, point: { x: 2 } }, $t: [String] = "x", $id: ID = 7) { echo(wish: $w, texts: $t, id: $id) }"#,
            &[
                r#"{"echo":"{\"colours\":[\"RED\",\"BLUE\"],\"flag\":true,\"id\":\"7\",\"text\":\"plain\",\"texts\":[\"x\"],\"wish\":{\"colour\":\"BLUE\",\"must\":1,\"point\":{\"label\":null,\"x\":2,\"y\":7},\"text\":\"none\"}}"}"#,
            ],
        ),
        answers(
            "one value is a list of one, within lists too",
            r#"query ($g: [[String!]!]) { a: echo(texts: "s", grid: ["t"]) b: echo(grid: $g, colours: RED) }"#,
            &[
                r#"{"a":"{\"colours\":[\"RED\",\"BLUE\"],\"flag\":true,\"grid\":[[\"t\"]],\"text\":\"plain\",\"texts\":[\"s\"]}","b":"{\"colours\":[\"RED\"],\"flag\":true,\"grid\":[[\"u\"]],\"text\":\"plain\"}"}"#,
            ],
        )
        .with(r#"{"g": "u"}"#),
    ]
}

fn values_are_looked_at_first() -> Vec<Kind> {
    vec![
        refused(
            "a wrong value of a scalar stops the mutation before it",
            "mutation ($d: DateTime) { remove(id: 1) patch(id: 1, until: $d) }",
        )
        .with(r#"{"d": "yesterday"}"#),
        refused("so does a literal", r#"mutation { remove(id: 1) patch(id: 1, until: "yesterday") }"#),
        refused("so does one within a variable", "mutation ($w: Wish!) { remove(id: 1) add(wish: $w) { id } }")
            .with(r#"{"w": {"must": 1, "more": [{"must": 2, "at": "yesterday"}]}}"#),
        refused(
            "an input field that is not there, beside an absent variable",
            "mutation ($c: Int) { add(wish: { must: 1, count: $c, cuont: 2 }) { id } }",
        ),
        refused("an input field twice", "mutation { add(wish: { must: 1, must: 2 }) { id } }"),
        refused("an enum's value as a string", r#"{ being(colour: "RED") { id } }"#),
        refused("a string as an enum's value", "{ echo(text: RED) }"),
        refused("a variable of another type", "query ($s: String) { slow(ticks: $s) }").with(r#"{"s": "1"}"#),
        refused("what may be null in a list that holds none", "query ($s: String) { echo(grid: [[$s]]) }")
            .with(r#"{"s": "1"}"#),
        refused("what may be null for an input field that may not", "query ($n: Int) { echo(wish: { must: $n }) }")
            .with(r#"{"n": 1}"#),
        refused("one variable where a list is asked for", "query ($s: String) { echo(texts: $s) }")
            .with(r#"{"s": "1"}"#),
        refused("null is no default that makes a value sure", "query ($i: ID = null) { cat(id: $i) { id } }")
            .with(r#"{"i": 1}"#),
        refused("a variable of JSON that nobody declared", "{ echo(json: { a: [$nope] }) }"),
        refused("a required variable is absent", "query ($n: Int!) { slow(ticks: $n) }"),
        refused("a list of an unknown type with a default", "query ($a: [Nope] = [1]) { __typename }"),
        refused("an unknown type", "query ($a: Nope!) { __typename }"),
        refused("a variable of an output type", "query ($a: Cat) { __typename }"),
        refused("an Int that is too large", "query ($n: Int) { slow(ticks: $n) }").with(r#"{"n": 2147483648}"#),
        refused("an Int with a fraction", "query ($n: Int) { slow(ticks: $n) }").with(r#"{"n": 1.5}"#),
        refused("a literal with a fraction, of none", "{ slow(ticks: 1.0) }"),
    ]
}

fn selections() -> Vec<Kind> {
    vec![
        refused(
            "two fields of one name, apart from each other",
            "{ dog { a: id ...F } } fragment F on Dog { a: name }",
        ),
        refused(
            "two titles of one mutation",
            r#"mutation { ...A ...B } fragment A on Mutation { patch(id: 1, title: "a") } fragment B on Mutation { patch(id: 1, title: "b") }"#,
        ),
        refused(
            "lists of other lengths",
            r#"mutation { patch(id: 1, tags: ["a"]) patch(id: 1, tags: ["a", "b"]) }"#,
        ),
        refused("an empty list and one that is not", r#"mutation { patch(id: 1, tags: []) patch(id: 1, tags: ["a"]) }"#),
        refused("with an argument and without", "{ slow slow(ticks: 3) }"),
        refused("types that differ in null alone", "{ thing { ... on Cat { lives } ... on Dog { lives } } }"),
        refused("far below", "{ self { dog { friend { id: name } } } self { dog { friend { id } } } }"),
        refused(
            "a scalar and an object of one name, although they never meet",
            "{ lists { things { ... on Robot { n: serial } ... on Dog { n: bone { id } } } } }",
        ),
        answers(
            "other fields of one type and name, which never meet",
            "{ lists { things { ... on Cat { x: echo } ... on Dog { x: name } } } }",
            &[r#"{"lists":{"things":[{"x":"{}"},null,{"x":null},{}]}}"#],
        ),
        answers(
            "fields of types that never meet may have other arguments",
            "{ lists { beings { ... on Cat { x: colour(like: GREEN) } ... on Dog { x: colour } } } }",
            &[r#"{"lists":{"beings":[{"x":null},{"x":"GREEN"}]}}"#],
        ),
        answers(
            "a fragment on a union, at one of its members",
            "{ dog { ... on Pet { ... on Dog { id } ... on Cat { lives } } ... on Machine { ... on Dog { a: id } } } }",
            &[r#"{"dog":{"id":"2","a":"2"}}"#],
        ),
        answers(
            "an interface within a union within an interface",
            "{ being(colour: RED) { ... on Thing { ... on Named { name ... on Machine { __typename } ... on Pet { ... on Node { id } } } } } }",
            &[r#"{"being":{"name":"Tom","id":"1"}}"#],
        ),
        answers(
            "the other operations do not matter",
            "query A($n: Int!) { slow(ticks: $n) } query B { dog { id } } mutation C($w: Wish!) { add(wish: $w) { id } }",
            &[r#"{"dog":{"id":"2"}}"#],
        )
        .with(r#"{"n": "x"}"#)
        .of("B"),
        refused("no operation of that name", "query A { dog { id } } query B { dog { id } }").of("C"),
        refused("which of two", "query A { dog { id } } query B { dog { id } }"),
        answers(
            "a subscription's root field in a fragment",
            "subscription { ...F } fragment F on Subscription { ticks(to: 2) }",
            &[r#"{"ticks":1}"#, r#"{"ticks":2}"#],
        ),
        answers(
            "a subscription's root field twice is one",
            "subscription { beings { id } ... { beings { ... on Cat { lives } } } ...F } fragment F on Subscription { beings { name } }",
            &[
                r#"{"beings":{"id":"1","lives":9,"name":"Tom"}}"#,
                r#"{"beings":{"id":"2","name":null}}"#,
                r#"{"beings":null}"#,
            ],
        ),
        refused("a subscription with two root fields", "subscription { a: ticks b: ticks }"),
        refused(
            "a subscription with two root fields, by a fragment",
            "subscription { ticks ...F } fragment F on Subscription { beings { id } }",
        ),
        refused("a subscription to its type's name", "subscription { __typename }"),
    ]
}

fn answers_in_shape() -> Vec<Kind> {
    vec![
        answers("an object without a field", "{ dog { id @skip(if: true) } }", &[r#"{"dog":{}}"#]),
        answers("no field at all", "{ dog @include(if: false) { id } }", &["{}"]),
        answers(
            "objects that no fragment is about",
            "{ lists { beings { ... on Cat { lives } } things { ... on Robot { serial } } } }",
            &[r#"{"lists":{"beings":[{},{"lives":9}],"things":[{},null,{},{"serial":1.5}]}}"#],
        ),
        answers("null is not an empty object", "{ nothing { id @skip(if: true) } }", &[r#"{"nothing":null}"#]),
        answers(
            "events that no fragment is about",
            "subscription { things { ... on Cat { name } } }",
            &[r#"{"things":{"name":"{}"}}"#, r#"{"things":{}}"#, r#"{"things":{}}"#],
        ),
        answers(
            "slow fields stand where they were asked for",
            "{ slow pet { ... on Cat { id name } } dog { owner { ... on Cat { id lives } } name id } a: slow(ticks: 1) }",
            &[
                r#"{"slow":3,"pet":{"id":"1","name":"Tom"},"dog":{"owner":{"id":"1","lives":9},"name":null,"id":"2"},"a":1}"#,
            ],
        ),
        answers(
            "fields of one object stand in the order of its selections",
            "{ being(colour: RED) { ... on Cat { lives } id ... on Named { name } ... on Cat { born id } } }",
            &[r#"{"being":{"lives":9,"id":"1","name":"Tom","born":"2026-01-31T12:00:00Z"}}"#],
        ),
        answers(
            "a field that failed stands in its place",
            "{ broken dog { bone { id } colour id } being { colour id } }",
            &[r#"{"broken":null,"dog":{"bone":null,"colour":null,"id":"2"},"being":{"colour":null,"id":"2"}}"#],
        ),
        answers("all fields failed", "{ broken lists { broken } }", &[r#"{"broken":null,"lists":{"broken":null}}"#]),
        answers(
            "a null goes up to the next field that may be null",
            "{ robot { serial name } lists { robots { serial name } } self { lists { rows { name } rowsAll { name } cube { name } } } }",
            &[
                r#"{"robot":null,"lists":{"robots":[null,null,null]},"self":{"lists":{"rows":[null,null,[]],"rowsAll":null,"cube":[[null,null],[[]]]}}}"#,
            ],
        ),
        answers("up to the root", "{ slow dog { id must { id } } }", &["null"]),
        answers(
            "selections that were merged fail as one",
            "{ self { dog { id } } self { ...F } slow(ticks: 0) } fragment F on Query { dog { must { id } } }",
            &[r#"{"self":null,"slow":0}"#],
        ),
        answers(
            "an interface's interfaces and its objects",
            r#"{ __type(name: "Being") { kind interfaces { name } possibleTypes { name } } }"#,
            &[
                r#"{"__type":{"kind":"INTERFACE","interfaces":[{"name":"Node"},{"name":"Named"}],"possibleTypes":[{"name":"Cat"},{"name":"Dog"}]}}"#,
            ],
        ),
        answers(
            "the schema beside a field that failed",
            r#"{ broken __type(name: "Pet") { name } }"#,
            &[r#"{"broken":null,"__type":{"name":"Pet"}}"#],
        ),
        answers(
            "the schema beside a variable that is 1.0",
            r#"query ($n: Int, $i: ID) { slow(ticks: $n) node(id: $i) { id } __type(name: "Pet") { name } }"#,
            &[r#"{"slow":1,"node":{"id":"1"},"__type":{"name":"Pet"}}"#],
        )
        .with(r#"{"n": 1.0, "i": 1.0}"#),
        answers(
            "no interface is among an interface's objects",
            r#"{ a: __type(name: "Node") { interfaces { name } possibleTypes { name } } dog { id } b: __type(name: "Nope") { name } }"#,
            &[r#"{"a":{"interfaces":[],"possibleTypes":[{"name":"Cat"},{"name":"Dog"}]},"dog":{"id":"2"},"b":null}"#],
        ),
    ]
}

fn documents() -> Vec<Kind> {
    const PARTY: &str = r#"{"echo":"{\"colours\":[\"RED\",\"BLUE\"],\"flag\":true,\"text\":\"🎉\"}"}"#;
    const ONE: &str = r#"{"slow":1}"#;
    vec![
        answers("a character as two escapes", r#"{ echo(text: "\uD83C\uDF89") }"#, &[PARTY]),
        answers("a character as one escape", r#"{ echo(text: "\u{1F389}") }"#, &[PARTY]),
        refused("half a character", r#"{ echo(text: "\uD83C") }"#),
        refused("a character that is none", r#"{ echo(text: "\u{110000}") }"#),
        answers(
            "a block string, with what it escapes, its blank line and its indentation",
            "{ echo(text: \"\"\"\n    a \\\"\"\" b\n\n      c \\n\n  \"\"\") }",
            &[
                r#"{"echo":"{\"colours\":[\"RED\",\"BLUE\"],\"flag\":true,\"text\":\"a \\\"\\\"\\\" b\\n\\n  c \\\\n\"}"}"#,
            ],
        ),
        answers(
            "blanks within a type",
            "query ($t: [ String ! ] !) { echo(texts: $t) }",
            &[r#"{"echo":"{\"colours\":[\"RED\",\"BLUE\"],\"flag\":true,\"text\":\"plain\",\"texts\":[\"a\"]}"}"#],
        )
        .with(r#"{"t": ["a"]}"#),
        refused("brackets for no variable", "query Q() { dog { id } }"),
        refused("brackets for no argument", "{ dog() { id } }"),
        refused("a number that begins with 0", "{ echo(json: [00]) }"),
        refused("a fragment named on", "{ ...on } fragment on on Query { dog { id } }"),
        answers(
            "a description of an operation",
            r#""A description." query Q { dog { id } }"#,
            &[r#"{"dog":{"id":"2"}}"#],
        ),
        answers("1.0 is an Int in JSON", "query ($n: Int!) { slow(ticks: $n) }", &[ONE]).with(r#"{"n": 1.0}"#),
        answers("so is 1e0", "query ($n: Int!) { slow(ticks: $n) }", &[ONE]).with(r#"{"n": 1e0}"#),
        answers("-0 is a default", "query ($n: Int! = -0) { slow(ticks: $n) }", &[r#"{"slow":0}"#]),
        answers("1.0 is an ID in JSON", "query ($i: ID) { node(id: $i) { id } }", &[r#"{"node":{"id":"1"}}"#])
            .with(r#"{"i": 1.0}"#),
    ]
}
