//! The format of a definition as a JSON Schema, for editors and for tools of other languages.
//!
//! It says what shape a definition has. Whether it makes sense besides (every stage is reached, ends are ends) is for
//! [`check`](super::check) to say.

use serde_json::{Map, Value, json};

use super::{
    check::{NAME, Syntax, TEXT, TITLE},
    definition::ANY,
    shape::{DEFINITION, Object, Shape, Tagged, Words},
};
use crate::domain::{lead, opportunity};

/// The JSON Schema, of the draft 2020-12.
pub fn json_schema() -> Value {
    let mut parts = Map::new();
    let mut schema = object(&DEFINITION, None, &mut parts);
    if let Some(map) = schema.as_object_mut() {
        map.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("title".to_owned(), json!("A workflow of cosell"));
        map.insert("$defs".to_owned(), Value::Object(parts));
    }
    schema
}

fn of(shape: Shape, parts: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Text => json!({"type": "string"}),
        Shape::Key(syntax) => json!({"type": "string", "pattern": format!("^{}$", syntax.pattern())}),
        Shape::StageOrAny => {
            json!({"type": "string", "pattern": format!("^([*]|{})$", Syntax::Snake.pattern())})
        }
        Shape::Path => {
            let of_leads = lead::FIELDS.iter().map(|field| field.path);
            let mut paths: Vec<_> = of_leads.chain(opportunity::FIELDS.iter().map(|field| field.path)).collect();
            paths.sort_unstable();
            paths.dedup();
            json!({"enum": paths})
        }
        Shape::Content => {
            let mut paths = vec![ANY.to_owned()];
            for field in lead::FIELDS.iter().filter(|field| lead::is_content(field.path)) {
                let parts: Vec<_> = field.path.split('.').collect();
                paths.extend((1..=parts.len()).map(|n| parts[..n].join(".")));
            }
            paths.sort_unstable();
            paths.dedup();
            json!({"enum": paths})
        }
        Shape::Name => line(NAME.max),
        Shape::Title => line(TITLE.max),
        Shape::Explanation => json!({"type": "string", "minLength": 1, "maxLength": TEXT.max}),
        Shape::Duration => json!({"type": "string", "pattern": "^P", "examples": ["P7D", "PT36H"]}),
        Shape::Count => json!({"type": "integer", "minimum": 1, "maximum": i32::MAX}),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Word(words) => part(words.name, parts, |_| self::words(words)),
        Shape::List(least, most, inner) => {
            let mut list = json!({"type": "array", "items": of(*inner, parts), "maxItems": most});
            if least > 0 {
                list["minItems"] = json!(least);
            }
            list
        }
        Shape::Object(it) => part(it.name, parts, |parts| object(it, None, parts)),
        Shape::Tagged(it) => part(it.name, parts, |parts| tagged(it, parts)),
    }
}

fn line(max: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": max})
}

/// A reference to a part of that name, which is made where there is none yet.
fn part(name: &str, parts: &mut Map<String, Value>, make: impl FnOnce(&mut Map<String, Value>) -> Value) -> Value {
    if !parts.contains_key(name) {
        let schema = make(parts);
        parts.insert(name.to_owned(), schema);
    }
    json!({"$ref": format!("#/$defs/{name}")})
}

fn words(words: &Words) -> Value {
    let each = |(word, about): &(&str, &str)| json!({"const": word, "description": about});
    json!({"description": words.about, "oneOf": words.all.iter().map(each).collect::<Vec<_>>()})
}

fn tagged(tagged: &Tagged, parts: &mut Map<String, Value>) -> Value {
    let kinds: Vec<_> = tagged.kinds.iter().map(|kind| object(kind, Some(tagged.tag), parts)).collect();
    json!({"description": tagged.about, "oneOf": kinds})
}

fn object(object: &Object, tag: Option<&str>, parts: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if let Some(tag) = tag {
        properties.insert(tag.to_owned(), json!({"const": object.name}));
        required.push(tag);
    }
    for member in object.members {
        let mut schema = of(member.shape, parts);
        schema["description"] = json!(member.about);
        properties.insert(member.key.to_owned(), schema);
        if member.required {
            required.push(member.key);
        }
    }
    json!({
        "type": "object", "description": object.about, "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use jsonschema::Validator;

    use super::*;
    use crate::domain::workflow::{builtin, read::read};

    fn validator() -> Validator {
        jsonschema::draft202012::new(&json_schema()).unwrap()
    }

    fn shipped(key: &str) -> Value {
        serde_json::to_value(&*builtin::builtin(key, 1).unwrap()).unwrap()
    }

    #[test]
    fn it_is_a_schema_of_its_draft() {
        assert!(jsonschema::draft202012::meta::is_valid(&json_schema()));
    }

    #[test]
    fn everything_in_it_is_described() {
        fn look(at: &str, schema: &Value) {
            for (name, member) in schema["properties"].as_object().into_iter().flatten() {
                let said = member.get("description").or(member.get("const")).is_some();
                assert!(said, "{at}/{name} has no description");
            }
            for kind in schema["oneOf"].as_array().into_iter().flatten() {
                assert!(kind["description"].is_string(), "{at}: {kind}");
                look(at, kind);
            }
        }
        let schema = json_schema();
        look("", &schema);
        for (name, part) in schema["$defs"].as_object().unwrap() {
            assert!(part["description"].is_string(), "{name}");
            look(name, part);
        }
    }

    #[test]
    fn every_shipped_workflow_fits_it() {
        let validator = validator();
        for definition in builtin::all() {
            let json = serde_json::to_value(&**definition).unwrap();
            let errors: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", definition.key);
        }
    }

    #[test]
    fn what_has_another_shape_does_not_fit_it_and_is_not_read() {
        type Change = fn(&mut Value);
        let changes: [Change; 26] = [
            |d| *d = json!([]),
            |d| d["colour"] = json!("red"),
            |d| d["version"] = json!(0),
            |d| d["version"] = json!("1"),
            |d| d["key"] = json!("Partner"),
            |d| d["key"] = json!("a".repeat(51)),
            |d| d["name"] = json!(""),
            |d| d["name"] = json!("x".repeat(101)),
            |d| d["description"] = Value::Null,
            |d| d["subject"] = json!("DEAL"),
            |d| d["tracks"] = json!([]),
            |d| drop(d.as_object_mut().unwrap().remove("stages")),
            |d| d["stages"][0]["kind"] = json!("open"),
            |d| d["stages"] = std::iter::repeat_n(d["stages"][0].clone(), 51).collect(),
            |d| d["actions"][0]["from"] = json!([]),
            |d| d["actions"][0]["from"] = json!(["a b"]),
            |d| d["actions"][0]["allow"][0]["roles"] = json!(["BOSS"]),
            |d| d["actions"][0]["allow"][0]["roles"] = json!([]),
            |d| d["actions"][0]["effects"][0]["do"] = json!("SET_FIRE"),
            |d| d["actions"][0]["effects"][0]["colour"] = json!("red"),
            |d| drop(d["actions"][0]["effects"][1].as_object_mut().unwrap().remove("then")),
            |d| d["actions"][0]["fields"][0]["type"] = json!("text"),
            |d| d["actions"][0]["fields"][0]["defaultFrom"] = json!("colour"),
            |d| d["actions"][0]["fields"][0]["options"] = json!(["A"]),
            |d| d["actions"][0]["guards"] = json!([{"need": "FIELDS"}]),
            |d| d["actions"][3]["exactlyOneOf"] = json!([["opportunityId"]]),
        ];
        let validator = validator();
        for (i, change) in changes.into_iter().enumerate() {
            let mut json = shipped("partner-lead");
            change(&mut json);
            assert!(!validator.is_valid(&json), "change {i} fits");
            assert!(read(&json).is_err(), "change {i} is read");
        }
    }
}
