//! The schema in the repository is the one that the code makes.

use serde_json::Value;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");

#[test]
fn schema_graphql_is_current() {
    let sdl = cosell::graphql::sdl();
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(file == sdl, "schema.graphql is stale; renew it with `cargo run -- schema --output schema.graphql`");
}

/// Where one of several mutations of a request fails, its payload alone is null.
#[test]
fn the_payload_of_every_mutation_may_be_null() {
    const ALL: &str = "{ __schema { mutationType { fields(includeDeprecated: true) { name type { kind name } } } } }";
    let schema = crate::support::introspect(ALL);
    let fields = schema["__schema"]["mutationType"]["fields"].as_array().expect("mutations");
    assert!(fields.len() > 50, "only {} mutations were looked at", fields.len());
    for field in fields {
        let name = field["name"].as_str().expect("a name");
        let payload = format!("{}{}Payload", name[..1].to_uppercase(), &name[1..]);
        assert_eq!(field["type"], serde_json::json!({ "kind": "OBJECT", "name": payload }), "{name}");
    }
}

#[test]
fn everything_in_the_schema_is_described() {
    const ALL: &str = "{ __schema { types { name description
        fields(includeDeprecated: true) { name description args { name description } }
        inputFields { name description } enumValues(includeDeprecated: true) { name description } } } }";
    let schema = crate::support::introspect(ALL);
    let mut seen = 0;
    let mut bare = Vec::new();
    let mut look = |owner: &str, thing: &Value| {
        seen += 1;
        let name = format!("{owner}{}", thing["name"].as_str().expect("a name"));
        if thing["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
            bare.push(name.clone());
        }
        name
    };
    for ty in schema["__schema"]["types"].as_array().expect("types") {
        // The library leaves ID bare among the specification's own types, which no SDL describes.
        if ty["name"].as_str().is_some_and(|name| name.starts_with("__") || name == "ID") {
            continue;
        }
        let name = look("", ty);
        for part in ["fields", "inputFields", "enumValues"] {
            for member in ty[part].as_array().into_iter().flatten() {
                let path = look(&format!("{name}."), member);
                for arg in member["args"].as_array().into_iter().flatten() {
                    look(&format!("{path}:"), arg);
                }
            }
        }
    }
    assert!(seen > 500, "only {seen} descriptions were looked at");
    assert!(bare.is_empty(), "without a description: {bare:#?}");
}
