//! Where null belongs when a field fails.
//!
//! The library leaves a failed field out of its object. The specification (section 6.4.4) wants null in its place
//! or, where the schema says that it is never null, in the place of the nearest parent that may be. What may be null
//! is read from the schema's own description, and the work is done only for a response with errors.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_graphql::parser::types::{
    BaseType, ExecutableDocument, OperationType, Selection, SelectionSet, ServiceDocument, Type, TypeKind,
    TypeSystemDefinition,
};
use async_graphql::parser::{self, parse_query};
use async_graphql::{Name, PathSegment, ServerError, Value};

/// The type of each field of each type.
#[derive(Default)]
pub struct Nulls {
    fields: HashMap<Name, HashMap<Name, Type>>,
    roots: [Option<Name>; 3],
}

impl fmt::Debug for Nulls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nulls").field("types", &self.fields.len()).finish_non_exhaustive()
    }
}

impl Nulls {
    /// Reads the schema's description, as `Schema::sdl` writes it.
    ///
    /// # Errors
    /// When it is no schema.
    pub fn from_sdl(sdl: &str) -> Result<Self, parser::Error> {
        let document: ServiceDocument = parser::parse_schema(sdl)?;
        let mut nulls =
            Self { fields: HashMap::new(), roots: ["Query", "Mutation", "Subscription"].map(|it| Some(Name::new(it))) };
        for definition in document.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => {
                    let schema = schema.node;
                    nulls.roots = [schema.query, schema.mutation, schema.subscription].map(|it| it.map(|it| it.node));
                }
                TypeSystemDefinition::Type(ty) => {
                    let fields = match ty.node.kind {
                        TypeKind::Object(object) => object.fields,
                        TypeKind::Interface(interface) => interface.fields,
                        _ => continue,
                    };
                    let fields = fields.into_iter().map(|field| (field.node.name.node, field.node.ty.node));
                    nulls.fields.entry(ty.node.name.node).or_default().extend(fields);
                }
                TypeSystemDefinition::Directive(_) => {}
            }
        }
        Ok(nulls)
    }

    fn root(&self, ty: OperationType) -> Option<&Name> {
        self.roots[match ty {
            OperationType::Query => 0,
            OperationType::Mutation => 1,
            OperationType::Subscription => 2,
        }]
        .as_ref()
    }
}

/// What is needed to find a failed field's type: nothing of it is looked at before an error comes.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) nulls: Option<Arc<Nulls>>,
    pub(super) query: String,
    pub(super) operation_name: Option<String>,
    /// What an operation may cost, for the error of one that costs more.
    pub(super) max_complexity: usize,
}

impl Plan {
    /// Puts null where the errors' fields are missing.
    pub(super) fn settle(&self, data: &mut Value, errors: &[ServerError]) {
        let document = self.nulls.as_ref().and_then(|_| parse_query(&self.query).ok());
        let mut places: Vec<&[PathSegment]> = errors
            .iter()
            .filter_map(|error| {
                let path = &error.path[..missing(data, &error.path)?];
                let nullable = document.as_ref().and_then(|document| self.nullable(document, path));
                // Without the schema, the field itself.
                Some(&path[..nullable.unwrap_or(path.len())])
            })
            .collect();
        // The deepest first, so that a parent that becomes null stays so.
        places.sort_by_key(|place| std::cmp::Reverse(place.len()));
        for place in places {
            put_null(data, place);
        }
    }

    /// The length of the longest part of the path that leads to a place that may be null; 0 is the whole data.
    fn nullable(&self, document: &ExecutableDocument, path: &[PathSegment]) -> Option<usize> {
        let nulls = self.nulls.as_ref()?;
        let mut operations = document.operations.iter();
        let operation = match &self.operation_name {
            None => operations.next(),
            Some(wanted) => operations.find(|(name, _)| name.is_some_and(|name| name.as_str() == wanted)),
        };
        let operation = &operation?.1.node;
        let mut sets: Vec<(&Name, &SelectionSet)> = vec![(nulls.root(operation.ty)?, &operation.selection_set.node)];
        let mut ty: Option<&Type> = None;
        let mut place = 0;
        for (i, segment) in path.iter().enumerate() {
            let here = match segment {
                PathSegment::Field(key) => {
                    let mut found = Vec::new();
                    for (parent, set) in sets {
                        collect(document, parent, set, key, &mut found, 0);
                    }
                    let types = found.iter().map(|(parent, name, _)| nulls.fields.get(*parent)?.get(*name));
                    let field = types.flatten().next()?;
                    let inner = base(field);
                    sets = found.into_iter().map(|(_, _, set)| (inner, set)).collect();
                    field
                }
                PathSegment::Index(_) => match &ty?.base {
                    BaseType::List(item) => item,
                    BaseType::Named(_) => return None,
                },
            };
            if here.nullable {
                place = i + 1;
            }
            ty = Some(here);
        }
        Some(place)
    }
}

/// The name of the type inside the lists.
fn base(ty: &Type) -> &Name {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => base(item),
    }
}

/// The fields that answer to `key`, each with the type it is selected on. The document was found small and without
/// circles before it was executed; `depth` only makes sure of it.
fn collect<'a>(
    document: &'a ExecutableDocument,
    parent: &'a Name,
    set: &'a SelectionSet,
    key: &str,
    found: &mut Vec<(&'a Name, &'a Name, &'a SelectionSet)>,
    depth: usize,
) {
    if depth > 100 {
        return;
    }
    for item in &set.items {
        match &item.node {
            Selection::Field(field) if field.node.response_key().node.as_str() == key => {
                found.push((parent, &field.node.name.node, &field.node.selection_set.node));
            }
            Selection::Field(_) => {}
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                    let on = &fragment.node.type_condition.node.on.node;
                    collect(document, on, &fragment.node.selection_set.node, key, found, depth + 1);
                }
            }
            Selection::InlineFragment(inline) => {
                let on = inline.node.type_condition.as_ref().map_or(parent, |condition| &condition.node.on.node);
                collect(document, on, &inline.node.selection_set.node, key, found, depth + 1);
            }
        }
    }
}

/// The length of the part of the path that leads to the first place that is missing; nothing when none is: a parent
/// is null already, or the field is there.
fn missing(data: &Value, path: &[PathSegment]) -> Option<usize> {
    let mut place = data;
    for (i, segment) in path.iter().enumerate() {
        let next = match (place, segment) {
            (Value::Object(object), PathSegment::Field(name)) => object.get(name.as_str()),
            (Value::List(items), PathSegment::Index(index)) => items.get(*index),
            // An object whose every field failed is null as a whole.
            (Value::Null, PathSegment::Field(_)) => None,
            _ => return None,
        };
        match next {
            Some(next) => place = next,
            None => return Some(i + 1),
        }
    }
    None
}

fn put_null(data: &mut Value, path: &[PathSegment]) {
    let mut place = data;
    for (i, segment) in path.iter().enumerate() {
        place = match (place, segment) {
            (Value::Object(object), PathSegment::Field(name)) => object.entry(Name::new(name)).or_insert(Value::Null),
            (Value::List(items), PathSegment::Index(index)) => match items.get_mut(*index) {
                Some(item) => item,
                None => return,
            },
            (place @ Value::Null, PathSegment::Field(name)) if i + 1 == path.len() => {
                *place = Value::Object([(Name::new(name), Value::Null)].into_iter().collect());
                return;
            }
            _ => return,
        };
    }
    *place = Value::Null;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SDL: &str = "
        type Query { lead: Lead leads: [Lead!]! any: Any must: Int! may: Int }
        interface Any { id: ID! }
        type Lead implements Any { id: ID! name: String! note: String partner: Partner! tags: [String!] }
        type Partner { name: String! city: String }
    ";

    fn settled(query: &str, data: serde_json::Value, paths: &[serde_json::Value]) -> serde_json::Value {
        let nulls = Some(Arc::new(Nulls::from_sdl(SDL).unwrap()));
        let plan = Plan { nulls, query: query.to_owned(), operation_name: None, max_complexity: 0 };
        let errors: Vec<_> = paths
            .iter()
            .map(|path| ServerError::new("no", None).with_path(serde_json::from_value(path.clone()).unwrap()))
            .collect();
        let mut data = Value::from_json(data).unwrap();
        plan.settle(&mut data, &errors);
        data.into_json().unwrap()
    }

    #[test]
    fn a_field_that_may_be_null_is_null() {
        assert_eq!(settled("{ may must }", json!({"must": 1}), &[json!(["may"])]), json!({"must": 1, "may": null}));
        assert_eq!(settled("{ may }", json!(null), &[json!(["may"])]), json!({"may": null}));
        assert_eq!(settled("{ x: may must }", json!({"must": 1}), &[json!(["x"])]), json!({"must": 1, "x": null}));
    }

    #[test]
    fn a_field_that_may_not_be_null_takes_its_parent_along() {
        assert_eq!(settled("{ may must }", json!({"may": 1}), &[json!(["must"])]), json!(null));
        let query = "{ may lead { ...l } } fragment l on Lead { id partner { name city } }";
        let data = json!({"may": 1, "lead": {"id": "1", "partner": {"city": "x"}}});
        assert_eq!(settled(query, data, &[json!(["lead", "partner", "name"])]), json!({"may": 1, "lead": null}));
        let data = json!({"may": 1, "lead": {"id": "1", "partner": {"name": "x"}}});
        let expected = json!({"may": 1, "lead": {"id": "1", "partner": {"name": "x", "city": null}}});
        assert_eq!(settled(query, data, &[json!(["lead", "partner", "city"])]), expected);
        let data = json!({"may": 1, "leads": [{"id": "1"}, {"id": "2", "name": "x"}]});
        assert_eq!(settled("{ may leads { id name } }", data, &[json!(["leads", 0, "name"])]), json!(null));
    }

    #[test]
    fn interfaces_lists_and_several_errors_are_followed() {
        let query = "{ may any { id ... on Lead { name note } } }";
        let data = json!({"may": 1, "any": {"id": "1"}});
        let both = [json!(["any", "note"]), json!(["any", "name"])];
        assert_eq!(settled(query, data, &both), json!({"may": 1, "any": null}));
        let other = [json!(["any", "name"]), json!(["any", "note"])];
        let data = json!({"may": 1, "any": {"id": "1"}});
        assert_eq!(settled(query, data, &other), json!({"may": 1, "any": null}));
        let data = json!({"lead": {"id": "1"}});
        let failed = [json!(["lead", "tags", 3])];
        assert_eq!(settled("{ lead { id tags } }", data, &failed), json!({"lead": {"id": "1", "tags": null}}));
        let gone = [json!(["lead", "name"]), json!(["lead", "id"])];
        assert_eq!(
            settled("{ may lead { id name } }", json!({"may": 1, "lead": null}), &gone),
            json!({"may": 1, "lead": null})
        );
    }
}
