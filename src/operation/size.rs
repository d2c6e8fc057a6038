//! How large a document is with its fragments written out.
//!
//! Each fragment is measured once, so that this is linear in what was sent, while what it finds may be exponential:
//! validation and planning walk the expanded document and begin only where it is small.

use std::collections::HashMap;

use apollo_compiler::executable::{Directive, Selection, SelectionSet};
use apollo_compiler::{ExecutableDocument, Name, Node};

use super::Limits;
use super::refusal::{Bound, Refusal};

/// The deepest nesting, fragments included, that is walked. The limit on depth is lower; this one protects the stack
/// from long chains of fragments.
const MAX_NESTING: usize = 100;
/// How often lists of the schema's own types may be nested: fields of types of fields grow exponentially, and the
/// tools ask for one level.
const MAX_SCHEMA_LISTS: usize = 3;

/// What a part of a document comes to.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// Selections. Spreads count too: a walker pays for them even when they lead nowhere.
    fields: usize,
    directives: usize,
    /// Levels of nesting, those by fragments included.
    nesting: usize,
    /// Nested lists of introspection fields, by their names.
    lists: usize,
}

impl Size {
    fn and(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            directives: self.directives.saturating_add(other.directives),
            nesting: self.nesting.max(other.nesting),
            lists: self.lists.max(other.lists),
        }
    }

    /// One selection further out.
    fn below(self, directives: usize) -> Self {
        Self {
            fields: self.fields.saturating_add(1),
            directives: self.directives.saturating_add(directives),
            nesting: self.nesting + 1,
            ..self
        }
    }

    /// What must hold of every part, as it does of the whole.
    fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        if self.fields > limits.fields {
            return Err(Refusal::over(Bound::Fields, limits.fields));
        }
        if self.directives > limits.directives {
            return Err(Refusal::over(Bound::Directives, limits.directives));
        }
        if self.nesting > MAX_NESTING {
            return Err(too_deep());
        }
        Ok(())
    }
}

fn too_deep() -> Refusal {
    Refusal::too_complex("The document is nested too deep.", |fault| fault)
}

/// Introspection that would cost too much.
pub(super) fn too_much_schema() -> Refusal {
    let message = "Introspection nests its lists too deep, or asks for the schema too often.";
    Refusal::too_complex(message, |fault| fault)
}

/// Measures the whole document, used or not: validation walks each of its operations.
///
/// # Errors
/// What there is too much of.
pub(super) fn check(document: &ExecutableDocument, limits: &Limits) -> Result<(), Refusal> {
    let mut measure = Measure { document, limits, known: HashMap::new() };
    for name in document.fragments.keys() {
        measure.fragment(name, 0)?;
    }
    let mut total = Size::default();
    for operation in document.operations.iter() {
        let size = measure.selections(&operation.selection_set, 0)?;
        let on_variables = operation.variables.iter().map(|variable| variable.directives.len()).sum::<usize>();
        let directives = size.directives.saturating_add(operation.directives.len() + on_variables);
        total = total.and(Size { directives, ..size });
        total.check(limits)?;
    }
    Ok(())
}

struct Measure<'a> {
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    /// What each fragment comes to; nothing while it is being measured.
    known: HashMap<&'a Name, Size>,
}

impl<'a> Measure<'a> {
    fn fragment(&mut self, name: &'a Name, depth: usize) -> Result<Size, Refusal> {
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Size::default()) };
        // One that contains itself is refused by the validation, which names it.
        self.known.insert(name, Size::default());
        let size = self.selections(&fragment.selection_set, depth + 1)?;
        let size = Size { directives: size.directives.saturating_add(fragment.directives.len()), ..size };
        self.known.insert(name, size);
        Ok(size)
    }

    fn selections(&mut self, set: &'a SelectionSet, depth: usize) -> Result<Size, Refusal> {
        if depth > MAX_NESTING {
            return Err(too_deep());
        }
        let mut total = Size::default();
        for selection in &set.selections {
            let directives: &[Node<Directive>] = selection.directives();
            let size = match selection {
                Selection::Field(field) => {
                    let inner = self.selections(&field.selection_set, depth + 1)?;
                    let schema = matches!(field.name.as_str(), "__schema" | "__type");
                    if schema && inner.lists > MAX_SCHEMA_LISTS {
                        return Err(too_much_schema());
                    }
                    let list = matches!(field.name.as_str(), "fields" | "inputFields" | "interfaces" | "possibleTypes");
                    let lists = inner.lists + usize::from(list);
                    Size { lists, ..inner }
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.fragment_name, depth)?,
                Selection::InlineFragment(inline) => self.selections(&inline.selection_set, depth + 1)?,
            };
            total = total.and(size.below(directives.len()));
            total.check(self.limits)?;
        }
        Ok(total)
    }
}
