//! `__schema` and `__type`, answered from the schema's description.

use apollo_compiler::executable::{Operation, Selection, SelectionSet};
use apollo_compiler::introspection::partial_execute;
use apollo_compiler::response::JsonMap;
use apollo_compiler::response::serde_json_bytes::Value as Json;
use apollo_compiler::schema::FieldDefinition;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node};
use async_graphql::indexmap::IndexMap;
use async_graphql::{Name as Key, Value};

use super::Compiler;
use super::coerce::Values;
use super::refusal::Refusal;

/// A field of `__Type`, of the edition of September 2025.
const IS_ONE_OF: &str = "isOneOf";
/// What no document can write, before the key of a field that stands for it.
const ONE_OF: &str = "#one of ";

/// What was asked for, by its name in the answer.
pub(super) type Asked = IndexMap<Key, Value>;

impl Compiler {
    /// Answers what an operation asks of the schema.
    ///
    /// # Errors
    /// When the schema is not public here.
    pub(super) fn introspect(
        &self,
        document: &Valid<ExecutableDocument>,
        operation: &Operation,
        values: &Values,
    ) -> Result<Asked, Refusal> {
        if !self.traits.public {
            return Err(Refusal::invalid("Introspection is switched off on this server."));
        }
        let refuse = |fault: apollo_compiler::request::RequestError| {
            Refusal::invalid(fault.message().to_string()).within(fault.location(), &document.sources)
        };
        let json = |value: &Value| value.clone().into_json().unwrap_or_default();
        let values: JsonMap = values.iter().map(|(name, value)| (name.as_str().into(), json(value).into())).collect();
        let values = Valid::assume_valid(values);
        let execute = |document: &Valid<ExecutableDocument>, operation: &Operation| {
            partial_execute(&self.schema, &self.implementers, document, operation, &values).map_err(refuse)
        };
        let mut asked = operation.clone();
        let mut tree = ExecutableDocument::clone(document);
        let kind = self.schema.type_field("__Type", "kind").ok().map(|kind| kind.node.clone());
        let answer = match kind {
            Some(kind) if ask_for_kind(&mut tree, &mut asked, &kind) => execute(&Valid::assume_valid(tree), &asked)?,
            _ => execute(document, operation)?,
        };
        Ok(answer
            .data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (Key::new(key.as_str()), plain(value)))
            .collect())
    }
}

/// Asks for `kind` where `isOneOf` is asked for, which the library does not know yet; whether it had to.
fn ask_for_kind(tree: &mut ExecutableDocument, operation: &mut Operation, kind: &Node<FieldDefinition>) -> bool {
    fn within(set: &mut SelectionSet, kind: &Node<FieldDefinition>) -> bool {
        let mut found = false;
        for selection in &mut set.selections {
            found |= match selection {
                Selection::Field(field) if field.name == IS_ONE_OF => {
                    let field = field.make_mut();
                    field.alias = Some(Name::new_unchecked(&format!("{ONE_OF}{}", field.response_key())));
                    (field.name, field.definition) = (kind.name.clone(), kind.clone());
                    true
                }
                Selection::Field(field) => within(&mut field.make_mut().selection_set, kind),
                Selection::InlineFragment(inline) => within(&mut inline.make_mut().selection_set, kind),
                Selection::FragmentSpread(_) => false,
            };
        }
        found
    }
    let mut found = within(&mut operation.selection_set, kind);
    for fragment in tree.fragments.values_mut() {
        found |= within(&mut fragment.make_mut().selection_set, kind);
    }
    found
}

fn plain(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Boolean(flag),
        Json::Number(number) => Value::Number(number),
        Json::String(text) => Value::String(text.as_str().to_owned()),
        Json::Array(items) => Value::List(items.into_iter().map(plain).collect()),
        Json::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| field(key.as_str(), value)).collect())
        }
    }
}

fn field(key: &str, value: Json) -> (Key, Value) {
    match key.strip_prefix(ONE_OF) {
        // The schema has no input object of that kind.
        Some(key) if value == "INPUT_OBJECT" => (Key::new(key), Value::Boolean(false)),
        Some(key) => (Key::new(key), Value::Null),
        None => (Key::new(key), plain(value)),
    }
}
