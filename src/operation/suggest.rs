//! Names that a misspelt one may stand for.

use std::collections::HashMap;
use std::fmt::Write as _;

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document, OperationType, Selection};
use apollo_compiler::schema::ExtendedType;

use super::Compiler;

/// How alike two names must be, from 0 to 1.
const ALIKE: f64 = 0.7;
/// The most names that are suggested.
const MOST: usize = 3;
/// The longest name that is compared, in bytes.
const MAX_NAME: usize = 64;
/// The most names of a document that are looked up.
const MAX_LOOKUPS: usize = 20;

impl Compiler {
    /// What a document's unknown fields may stand for, by the byte where they stand.
    pub(super) fn suggestions(&self, syntax: &Document) -> HashMap<usize, String> {
        let mut found = HashMap::new();
        for definition in &syntax.definitions {
            match definition {
                Definition::OperationDefinition(operation) => {
                    let ty = match operation.operation_type {
                        OperationType::Query => &self.schema.schema_definition.query,
                        OperationType::Mutation => &self.schema.schema_definition.mutation,
                        OperationType::Subscription => &self.schema.schema_definition.subscription,
                    };
                    if let Some(ty) = ty {
                        self.unknown(&ty.name, &operation.selection_set, &mut found);
                    }
                }
                Definition::FragmentDefinition(fragment) => {
                    self.unknown(&fragment.type_condition, &fragment.selection_set, &mut found);
                }
                _ => {}
            }
        }
        found
    }

    fn unknown(&self, parent: &Name, selections: &[Selection], found: &mut HashMap<usize, String>) {
        for selection in selections {
            if found.len() >= MAX_LOOKUPS {
                return;
            }
            match selection {
                Selection::Field(field) => match self.schema.type_field(parent, &field.name) {
                    Ok(def) => {
                        let inner = def.ty.inner_named_type().clone();
                        self.unknown(&inner, &field.selection_set, found);
                    }
                    Err(_) => {
                        let fields = match self.schema.types.get(parent) {
                            Some(ExtendedType::Object(object)) => &object.fields,
                            Some(ExtendedType::Interface(interface)) => &interface.fields,
                            _ => continue,
                        };
                        let hint = self.similar(&field.name, fields.keys().map(Name::as_str));
                        if let Some(place) = field.location().filter(|_| !hint.is_empty()) {
                            found.insert(place.offset(), hint);
                        }
                    }
                },
                Selection::InlineFragment(inline) => {
                    self.unknown(inline.type_condition.as_ref().unwrap_or(parent), &inline.selection_set, found);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    /// ` Did you mean …?`, or nothing, also where the schema is not public.
    pub(super) fn similar<'n>(&self, name: &str, names: impl Iterator<Item = &'n str>) -> String {
        if !self.traits.public || name.len() > MAX_NAME {
            return String::new();
        }
        let alike = |other: &'n str| (strsim::normalized_damerau_levenshtein(name, other), other);
        let mut alike: Vec<_> = names.map(alike).filter(|(alike, _)| *alike >= ALIKE).collect();
        alike.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let mut hint = String::new();
        for (index, (_, other)) in alike.iter().take(MOST).enumerate() {
            let _ = write!(hint, "{}`{other}`", if index == 0 { ". Did you mean " } else { " or " });
        }
        if !hint.is_empty() {
            hint.push('?');
        }
        hint
    }
}
