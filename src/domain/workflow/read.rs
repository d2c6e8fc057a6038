//! Reads a definition from JSON, and names every fault of it with its place: of its shape here, of its sense in
//! [`check`](super::check).

use std::io;

use serde_json::{Map, Value};

use super::{
    check::{DefinitionFault, Faults, check},
    definition::Definition,
    shape::{DEFINITION, Object, Shape, Tagged, Words},
};
use crate::domain::{duration::TimeLimit, text};

/// The most bytes that a definition may have as JSON without blanks.
pub const MAX_BYTES: usize = 256 * 1024;

/// The definition that this JSON is.
///
/// # Errors
/// Every fault, at most [`MAX_FAULTS`](super::check::MAX_FAULTS) of them, in the order of the document. Its sense is
/// checked once its shape allows it; members that are not known don't stand in the way of that.
pub fn read(json: &Value) -> Result<Definition, Vec<DefinitionFault>> {
    let mut reader = Reader { faults: Faults::default(), broken: false };
    if bytes(json) > MAX_BYTES {
        reader.faults.add("", format!("A definition has at most {MAX_BYTES} bytes as JSON without blanks."));
        return Err(reader.faults.into_list());
    }
    let mut known = json.clone();
    reader.object("", &DEFINITION, &mut known);
    if reader.broken {
        return Err(reader.faults.into_list());
    }
    match serde_json::from_value::<Definition>(known) {
        Ok(definition) => {
            if let Err(faults) = check(&definition) {
                for fault in faults {
                    reader.faults.add(fault.pointer, fault.message);
                }
            }
            if reader.faults.is_empty() { Ok(definition) } else { Err(reader.faults.into_list()) }
        }
        // The table and the types say the same; a test holds them together.
        Err(error) => {
            reader.faults.add("", format!("This is no definition: {error}."));
            Err(reader.faults.into_list())
        }
    }
}

/// The definition of a text that is JSON.
///
/// # Errors
/// As [`read`]; a text that is no JSON has one fault, with its line and column.
pub fn read_text(text: &str) -> Result<Definition, Vec<DefinitionFault>> {
    match serde_json::from_str(text) {
        Ok(json) => read(&json),
        Err(error) => {
            Err(vec![DefinitionFault { pointer: String::new(), message: format!("This is no JSON: {error}.") }])
        }
    }
}

/// How long the JSON is without blanks; counted no further than is needed.
fn bytes(json: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, part: &[u8]) -> io::Result<usize> {
            self.0 += part.len();
            if self.0 > MAX_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(part.len()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // The count says whether it was too long.
    let _ = serde_json::to_writer(&mut count, json);
    count.0
}

struct Reader {
    faults: Faults,
    /// Whether something is wrong that a definition can't be made in spite of.
    broken: bool,
}

impl Reader {
    fn broken(&mut self, at: impl Into<String>, message: impl Into<String>) {
        self.broken = true;
        self.faults.add(at, message);
    }

    /// Names the faults of `value`, and takes unknown members out of it.
    fn value(&mut self, at: &str, shape: Shape, value: &mut Value) {
        let needed = |what: &str, found: &Value| format!("{what} is needed here; this is {}.", described(found));
        match (shape, &mut *value) {
            (Shape::Object(object), value) => self.object(at, object, value),
            (Shape::Tagged(tagged), value) => self.tagged(at, tagged, value),
            (Shape::List(_, most, inner), Value::Array(items)) => {
                if items.len() > most {
                    self.broken(at, format!("There are {} here; at most {most} are allowed.", items.len()));
                    return;
                }
                for (i, item) in items.iter_mut().enumerate() {
                    self.value(&format!("{at}/{i}"), *inner, item);
                }
            }
            (Shape::Word(words), Value::String(word)) => self.word(at, words.all.iter().map(|(word, _)| *word), word),
            (Shape::Duration, Value::String(limit)) => {
                if let Err(message) = TimeLimit::parse(limit) {
                    self.broken(at, format!("A duration {message}."));
                }
            }
            (Shape::Count, Value::Number(number)) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {}
            (Shape::Flag, Value::Bool(_))
            | (
                Shape::Text
                | Shape::Key(_)
                | Shape::StageOrAny
                | Shape::Path
                | Shape::Content
                | Shape::Name
                | Shape::Explanation
                | Shape::Title,
                Value::String(_),
            ) => {}
            (Shape::List(..), found) => self.broken(at, needed("An array", found)),
            (Shape::Word(Words { all, .. }), found) => {
                let one_of = format!("One of {}", list(all.iter().map(|(word, _)| *word)));
                self.broken(at, needed(&one_of, found));
            }
            (Shape::Count, found) => self.broken(at, needed("A whole number of 32 bits", found)),
            (Shape::Flag, found) => self.broken(at, needed("true or false", found)),
            (_, found) => self.broken(at, needed("A string", found)),
        }
    }

    fn word(&mut self, at: &str, mut known: impl Iterator<Item = &'static str> + Clone, word: &str) {
        if !known.clone().any(|other| other == word) {
            let message =
                format!("Unknown value \"{}\"; expected is one of {}.", text::excerpt(word), list(known.by_ref()));
            self.broken(at, message);
        }
    }

    fn object(&mut self, at: &str, object: &Object, value: &mut Value) {
        match value {
            Value::Object(map) => self.members(at, object, None, map),
            found => self.broken(at, format!("An object is needed here; this is {}.", described(found))),
        }
    }

    fn tagged(&mut self, at: &str, tagged: &'static Tagged, value: &mut Value) {
        let Value::Object(map) = value else {
            let found = described(value);
            self.broken(at, format!("An object with \"{}\" is needed here; this is {found}.", tagged.tag));
            return;
        };
        let kinds = tagged.kinds.iter().map(|kind| kind.name);
        let at_tag = || format!("{at}/{}", tagged.tag);
        match map.get(tagged.tag) {
            None => {
                self.broken(at_tag(), format!("\"{}\" is missing; expected is one of {}.", tagged.tag, list(kinds)));
            }
            Some(Value::String(tag)) => match tagged.kinds.iter().find(|kind| kind.name == tag) {
                Some(kind) => self.members(at, kind, Some(tagged.tag), map),
                None => self.word(&at_tag(), kinds, tag),
            },
            Some(found) => {
                let message = format!("One of {} is needed here; this is {}.", list(kinds), described(found));
                self.broken(at_tag(), message);
            }
        }
    }

    fn members(&mut self, at: &str, object: &Object, tag: Option<&'static str>, map: &mut Map<String, Value>) {
        let known = || tag.into_iter().chain(object.members.iter().map(|member| member.key));
        for member in object.members {
            let at = format!("{at}/{}", member.key);
            match map.get_mut(member.key) {
                None if member.required => self.broken(at, format!("\"{}\" is missing.", member.key)),
                None => {}
                Some(Value::Null) if !member.required => {
                    self.broken(at, format!("null is no value here: leave \"{}\" out instead.", member.key));
                }
                Some(value) => self.value(&at, member.shape, value),
            }
        }
        map.retain(|key, _| {
            let is_known = known().any(|known| known == key);
            if !is_known {
                let message =
                    format!("Unknown member \"{}\"; there can be {} here.", text::excerpt(key), list(known()));
                self.faults.add(format!("{at}/{}", escaped(key)), message);
            }
            is_known
        });
    }
}

/// A key as it stands in a JSON pointer (RFC 6901).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

const fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;
    use crate::domain::{
        actor::{Role, Side},
        workflow::{
            builtin,
            check::MAX_FAULTS,
            definition::{
                Action, Choice, DateKey, Direction, Effect, Field, FieldRule, FieldType, Guard, Limit, Rule, RuleSide,
                Stage, StageKind, Subject, Track, TrackKey, When,
            },
        },
    };

    fn shipped(key: &str) -> Value {
        serde_json::to_value(&*builtin::builtin(key, 1).unwrap()).unwrap()
    }

    fn faults(json: &Value) -> Vec<(String, String)> {
        let faults = read(json).err().unwrap_or_default();
        faults.into_iter().map(|fault| (fault.pointer, fault.message)).collect()
    }

    #[test]
    fn every_shipped_workflow_is_read() {
        for definition in builtin::all() {
            let json = serde_json::to_value(&**definition).unwrap();
            assert_eq!(read(&json).as_ref(), Ok(&**definition));
        }
    }

    #[test]
    fn every_fault_of_shape_is_told_at_once_with_its_place() {
        let mut json = shipped("internal-lead");
        json["colour"] = json!("red");
        json["version"] = json!("1");
        json.as_object_mut().unwrap().remove("name");
        json["subject"] = json!("DEAL");
        json["description"] = Value::Null;
        json["tracks"][0]["key"] = json!(1);
        json["stages"][0]["a/b~c"] = json!(1);
        json["stages"][1] = json!("assigned");
        json["actions"][0]["allow"][0]["roles"][0] = json!("BOSS");
        json["actions"][0]["allow"][1]["side"] = json!("US");
        json["actions"][0]["allow"][1]["ownerOnly"] = json!("yes");
        json["actions"][0]["effects"][0] = json!({"do": "SET_FIRE"});
        json["actions"][0]["effects"][1] = json!({"date": "ASSIGNED"});
        json["actions"][1]["from"] = json!("assigned");
        json["actions"][1]["fields"][0]["type"] = json!("text");
        json["actions"][2]["guards"][0] = json!({"need": "FIELDS", "field": ["owner"], "fields": ["owner", 3]});
        json["actions"][3]["effects"][0]["when"] = json!({});
        json["actions"][3]["effects"][3]["when"] = json!({"field": "code"});
        json["actions"][3]["fields"][0]["options"][0] = json!("NON_TARGET_CLIENT");
        json["actions"][3]["effects"][1] =
            json!({"do": "CREATE_TASK", "side": "PARTNER", "title": "x", "dueIn": "soon"});
        let found = faults(&json);
        let expected = [
            ("/version", "A whole number of 32 bits is needed here; this is a string."),
            ("/name", "\"name\" is missing."),
            ("/description", "null is no value here: leave \"description\" out instead."),
            ("/subject", "Unknown value \"DEAL\"; expected is one of LEAD, OPPORTUNITY."),
            ("/tracks/0/key", "One of STAGE, STATUS is needed here; this is a number."),
            (
                "/stages/0/a~1b~0c",
                "Unknown member \"a/b~c\"; there can be key, name, kind, terminal, track, reserved here.",
            ),
            ("/stages/1", "An object is needed here; this is a string."),
            (
                "/actions/0/allow/0/roles/0",
                "Unknown value \"BOSS\"; expected is one of ADMIN, SALES, MARKETEER, MANAGER, INTEGRATION, VIEWER.",
            ),
            (
                "/actions/0/allow/1/side",
                "Unknown value \"US\"; expected is one of SOURCE, RECEIVER, VENDOR, PARTNER, STAGE_MOVER.",
            ),
            ("/actions/0/allow/1/ownerOnly", "true or false is needed here; this is a string."),
            ("/actions/0/effects/0/do", "Unknown value \"SET_FIRE\"; expected is one of RECORD_DATE, START_COUNTER"),
            ("/actions/0/effects/1/do", "\"do\" is missing; expected is one of RECORD_DATE, START_COUNTER"),
            ("/actions/1/from", "An array is needed here; this is a string."),
            ("/actions/1/fields/0/type", "Unknown value \"text\"; expected is one of TEXT, LONG_TEXT"),
            ("/actions/2/guards/0/fields/1", "A string is needed here; this is a number."),
            ("/actions/2/guards/0/field", "Unknown member \"field\"; there can be need, fields, when here."),
            ("/actions/3/fields/0/options/0", "An object is needed here; this is a string."),
            ("/actions/3/effects/0/when", "Unknown member \"when\"; there can be do, date here."),
            ("/actions/3/effects/1/side", "Unknown value \"PARTNER\"; expected is one of SOURCE, RECEIVER."),
            ("/actions/3/effects/1/dueIn", "A duration must be an ISO 8601 duration"),
            ("/actions/3/effects/3/when/oneOf", "\"oneOf\" is missing."),
            ("/colour", "Unknown member \"colour\"; there can be key, version, name, description, subject"),
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for ((at, message), (pointer, says)) in found.iter().zip(expected) {
            assert!(at == pointer && message.starts_with(says), "{at}: {message}");
        }
    }

    #[test]
    fn what_is_not_known_does_not_hide_what_makes_no_sense() {
        let mut json = shipped("partner-lead");
        json["actions"][1]["colour"] = json!("red");
        json["actions"][1]["to"] = json!("nowhere");
        // serde itself overlooks a member too many of an effect that has none.
        json["actions"][2]["effects"][3]["colour"] = json!("red");
        let found: Vec<_> = faults(&json).into_iter().map(|(at, _)| at).collect();
        assert_eq!(
            found,
            [
                "/actions/1/colour",
                "/actions/2/effects/3/colour",
                "/stages/2",
                "/stages/5",
                "/stages/6",
                "/actions/1/to",
                "/actions/1/effects/1/then"
            ]
        );
    }

    #[test]
    fn what_is_not_a_definition_at_all_is_refused_in_a_sentence() {
        for json in [json!(null), json!([]), json!("x"), json!(1), json!([[[[[]]]]])] {
            let found = faults(&json);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].0, "");
            assert!(found[0].1.starts_with("An object is needed here; this is"), "{found:?}");
        }
        assert_eq!(faults(&json!({})).len(), 7);
        let text = read_text("{\"key\": \n oops").unwrap_err();
        assert_eq!((text.len(), text[0].pointer.as_str()), (1, ""));
        assert!(
            text[0].message.starts_with("This is no JSON: expected") && text[0].message.contains("line 2"),
            "{text:?}"
        );
    }

    #[test]
    fn a_definition_is_bounded_in_every_direction() {
        let mut json = shipped("partner-lead");
        json["description"] = json!("x".repeat(MAX_BYTES));
        assert_eq!(faults(&json).len(), 1);
        assert!(faults(&json)[0].1.contains("262144 bytes"));
        // As deep as the parser takes it.
        let deep = format!("{{\"key\": {}{}}}", "[".repeat(120), "]".repeat(120));
        assert!(read_text(&deep).is_err());
        assert!(read_text(&"[".repeat(100_000)).unwrap_err()[0].message.contains("recursion"));
        let mut json = shipped("partner-lead");
        json["actions"][1]["from"] = std::iter::repeat_n(json!("pending"), 20_000).collect();
        assert_eq!(
            faults(&json),
            [("/actions/1/from".to_owned(), "There are 20000 here; at most 50 are allowed.".to_owned())]
        );
        let mut json = shipped("partner-lead");
        for i in 0..10_000 {
            json[format!("k{i}")] = json!(0);
        }
        let found = faults(&json);
        assert_eq!(found.len(), MAX_FAULTS);
        assert_eq!(found[MAX_FAULTS - 1].1, "There are 9501 more faults, which are not listed.");
    }

    /// The names that serde knows at a place, out of what it says of one that it doesn't know.
    fn known<T: DeserializeOwned>(probe: &Value) -> Vec<String> {
        let Err(error) = serde_json::from_value::<T>(probe.clone()) else { panic!("{probe} is read") };
        let message = error.to_string();
        let Some((_, names)) = message.split_once("expected ") else { return Vec::new() };
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn same<'a>(what: &str, serde: &[String], table: impl Iterator<Item = &'a str>) {
        assert_eq!(serde, table.collect::<Vec<_>>(), "{what}");
    }

    /// Everything that the table refers to, once.
    fn parts(shape: Shape, into: &mut Vec<(&'static str, Shape)>) {
        let (name, members): (_, Vec<_>) = match shape {
            Shape::List(_, _, inner) => return parts(*inner, into),
            Shape::Word(words) => (words.name, Vec::new()),
            Shape::Object(object) => (object.name, object.members.iter().collect()),
            Shape::Tagged(tagged) => (tagged.name, tagged.kinds.iter().flat_map(|kind| kind.members).collect()),
            _ => return,
        };
        if !into.iter().any(|(known, _)| *known == name) {
            into.push((name, shape));
            for member in members {
                parts(member.shape, into);
            }
        }
    }

    #[test]
    fn the_table_and_the_types_know_the_same_names() {
        static WHOLE: Object = DEFINITION;
        let mut all = Vec::new();
        parts(Shape::Object(&WHOLE), &mut all);
        for (name, shape) in all {
            match shape {
                Shape::Word(words) => {
                    let probe = json!("?");
                    let serde = match name {
                        "subject" => known::<Subject>(&probe),
                        "direction" => known::<Direction>(&probe),
                        "trackKey" => known::<TrackKey>(&probe),
                        "stageKind" => known::<StageKind>(&probe),
                        "ruleSide" => known::<RuleSide>(&probe),
                        "role" => known::<Role>(&probe),
                        "fieldType" => known::<FieldType>(&probe),
                        "side" => known::<Side>(&probe),
                        "dateKey" => known::<DateKey>(&probe),
                        "limit" => known::<Limit>(&probe),
                        other => panic!("{other} is a type that this test does not know"),
                    };
                    same(name, &serde, words.all.iter().map(|(word, _)| *word));
                }
                Shape::Object(object) => {
                    let probe = json!({"?": 0});
                    let serde = match name {
                        "definition" => known::<Definition>(&probe),
                        "track" => known::<Track>(&probe),
                        "stage" => known::<Stage>(&probe),
                        "action" => known::<Action>(&probe),
                        "rule" => known::<Rule>(&probe),
                        "fieldRule" => known::<FieldRule>(&probe),
                        "field" => known::<Field>(&probe),
                        "option" => known::<Choice>(&probe),
                        "when" => known::<When>(&probe),
                        other => panic!("{other} is a type that this test does not know"),
                    };
                    same(name, &serde, object.members.iter().map(|member| member.key));
                }
                Shape::Tagged(tagged) => {
                    let guard = name == "guard";
                    let ask = |probe| if guard { known::<Guard>(&probe) } else { known::<Effect>(&probe) };
                    same(name, &ask(json!({ tagged.tag: "?" })), tagged.kinds.iter().map(|kind| kind.name));
                    for kind in tagged.kinds.iter().filter(|kind| !kind.members.is_empty()) {
                        let serde = ask(json!({ tagged.tag: kind.name, "?": 0 }));
                        same(kind.name, &serde, kind.members.iter().map(|member| member.key));
                    }
                    for kind in tagged.kinds.iter().filter(|kind| kind.members.is_empty()) {
                        let json = json!({ tagged.tag: kind.name });
                        assert!(serde_json::from_value::<Effect>(json).is_ok(), "{}", kind.name);
                    }
                }
                _ => {}
            }
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            "\\PC{0,3}",
            prop::sample::select(vec![
                "LEAD", "STAGE", "OPEN", "new", "*", "ADMIN", "SOURCE", "ARCHIVE", "FIELDS", "TEXT", "P7D"
            ])
            .prop_map(str::to_owned),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            word.prop_map(Value::from),
        ];
        let key = prop_oneof![
            "\\PC{0,3}|[~/]{1,3}",
            prop::sample::select(vec![
                "key",
                "version",
                "name",
                "subject",
                "tracks",
                "initial",
                "stages",
                "kind",
                "actions",
                "from",
                "to",
                "allow",
                "side",
                "roles",
                "fields",
                "type",
                "options",
                "value",
                "label",
                "requiredWhen",
                "field",
                "oneOf",
                "guards",
                "need",
                "effects",
                "do",
                "when",
                "dueIn",
                "exactlyOneOf",
            ])
            .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(6, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(key.clone(), inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn no_json_panics_and_every_place_is_one_in_it(json in any_json(), inside: bool, at in any::<prop::sample::Index>()) {
            let document = if inside {
                let mut document = shipped("submitted-lead");
                let members = document.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
                document[&members[at.index(members.len())]] = json;
                document
            } else {
                json
            };
            if let Err(faults) = read(&document) {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    let parent = fault.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                    prop_assert!(document.pointer(&fault.pointer).or(document.pointer(parent)).is_some(), "{}", fault.pointer);
                    prop_assert!(!fault.message.starts_with("This is no definition"), "{}", fault.message);
                }
            }
        }
    }
}
