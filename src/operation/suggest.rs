//! Names that a misspelt one may stand for.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document, Selection};
use apollo_compiler::schema::ExtendedType;

use super::Compiler;

/// How alike two names must be, from 0 to 1.
const ALIKE: f64 = 0.7;
/// The most names that are suggested.
const MOST: usize = 3;
/// The longest name that is compared, in bytes.
const MAX_NAME: usize = 64;

impl Compiler {
    /// What unknown fields of a document may stand for, by the byte where they stand: of those that are asked for.
    pub(super) fn suggestions(&self, syntax: &Document, mut wanted: HashSet<usize>) -> HashMap<usize, String> {
        let mut found = HashMap::new();
        for definition in &syntax.definitions {
            match definition {
                Definition::OperationDefinition(operation) => {
                    if let Some(ty) = self.schema.root_operation(operation.operation_type) {
                        self.unknown(ty, &operation.selection_set, &mut wanted, &mut found);
                    }
                }
                Definition::FragmentDefinition(fragment) => {
                    self.unknown(&fragment.type_condition, &fragment.selection_set, &mut wanted, &mut found);
                }
                _ => {}
            }
        }
        found
    }

    fn unknown(
        &self,
        parent: &Name,
        selections: &[Selection],
        wanted: &mut HashSet<usize>,
        found: &mut HashMap<usize, String>,
    ) {
        for selection in selections {
            match selection {
                _ if wanted.is_empty() => return,
                Selection::Field(field) => {
                    if let Ok(known) = self.schema.type_field(parent, &field.name) {
                        self.unknown(known.ty.inner_named_type(), &field.selection_set, wanted, found);
                    } else if let Some(place) = field.location().map(|place| place.offset())
                        && wanted.remove(&place)
                    {
                        let fields = match self.schema.types.get(parent) {
                            Some(ExtendedType::Object(object)) => &object.fields,
                            Some(ExtendedType::Interface(interface)) => &interface.fields,
                            _ => continue,
                        };
                        found.insert(place, self.similar(&field.name, fields.keys().map(Name::as_str)));
                    }
                }
                Selection::InlineFragment(inline) => {
                    let on = inline.type_condition.as_ref().unwrap_or(parent);
                    self.unknown(on, &inline.selection_set, wanted, found);
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
