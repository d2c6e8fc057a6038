//! What is checked of a document before the library validates it: how large it is with its fragments written out.
//!
//! The library's own limits are checked by walking the expanded document, which is where the cost is: seven
//! fragments of ten spreads each are seconds of CPU. Here each fragment is measured once.

use std::collections::HashMap;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType, Selection,
    SelectionSet,
};
use async_graphql::{Name, Positioned};

/// The deepest nesting, fragments included, that is walked. The schema's own limit is lower; this one protects the
/// stack from long chains of fragments.
const MAX_NESTING: usize = 100;
/// The deepest nesting of brackets of any kind that is parsed: the parser calls itself at each, and its own limit is
/// on selections alone.
const MAX_BRACKETS: usize = 2 * MAX_NESTING;
/// How often lists of the schema's own types may be nested: fields of types of fields grow exponentially, and the
/// tools ask for one level.
const MAX_SCHEMA_LISTS: usize = 3;

/// Why a document is not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Oversize {
    /// More fields than allowed, fragments written out.
    Fields,
    /// Nested too deep.
    Nesting,
    /// Introspection that asks for lists of lists of lists.
    Introspection,
    /// A fragment that contains itself.
    Circle,
}

/// What is known of a document's selections.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// Selections, fragments written out. Spreads count too: a walker pays for them even when they lead nowhere.
    fields: usize,
    /// Levels of nesting, those by fragments included.
    nesting: usize,
    /// Nested lists of introspection fields, by their names.
    lists: usize,
    /// Whether the schema is asked for.
    schema: bool,
}

impl Size {
    /// One level further out.
    fn inside(self) -> Self {
        Self { fields: self.fields.saturating_add(1), nesting: self.nesting + 1, ..self }
    }
}

/// What the caller needs to know of the operation that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Query, mutation or subscription.
    pub(super) ty: OperationType,
    /// Whether the schema is asked for.
    pub(super) introspects: bool,
    /// Whether nothing but the schema is asked for.
    pub(super) only_introspects: bool,
    /// The number of selections at the root, fragments counted as one.
    pub(super) roots: usize,
    /// The variables that must be given, which the library finds out only on reaching a field.
    pub(super) required: Vec<Name>,
    /// Whether the selections at the root are all fields, none in a fragment.
    pub(super) plain: bool,
    /// The argument `after` of the root field: a subscription that has one is to be resumed.
    pub(super) after: After,
}

/// The argument `after` of an operation's one root field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum After {
    /// There is none, or it is null.
    #[default]
    None,
    /// It is this variable.
    Variable {
        /// Its name.
        name: Name,
        /// Whether it has a default.
        default: bool,
    },
    /// It is written out.
    Written,
}

/// Refuses a document whose brackets are nested too deep to be parsed. What stands in strings and comments does not
/// count; of what is no document this says nothing.
pub(super) fn check_text(document: &str) -> Result<(), Oversize> {
    let bytes = document.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    let mut strings = true;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' | b'(' => {
                depth += 1;
                if depth > MAX_BRACKETS {
                    return Err(Oversize::Nesting);
                }
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' if strings => at = after_line(bytes, at),
            b'"' if strings && bytes[at..].starts_with(b"\"\"") => match after_block(bytes, at + 2) {
                Some(after) => at = after,
                // The parser takes a block that is never closed for an empty string and what follows it: from here
                // on every bracket counts.
                None => strings = false,
            },
            b'"' if strings => at = after_string(bytes, at),
            _ => {}
        }
    }
    Ok(())
}

fn after_line(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(bytes.len(), |length| from + length)
}

/// A string ends at its quote, and no later than its line: brackets after a quote that is never closed count.
fn after_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            b'\n' | b'\r' => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn after_block(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"\"\"\"") {
            return Some(at + 3);
        }
        at += if rest.starts_with(b"\\\"\"\"") { 4 } else { 1 };
    }
    None
}

/// Measures the whole document, used or not, and tells the shape of the operation of that name. No shape: there is
/// no such operation, or no name among several, which the library explains.
pub(super) fn check(
    document: &ExecutableDocument,
    operation_name: Option<&str>,
    max_fields: usize,
) -> Result<Option<Shape>, Oversize> {
    let mut measure = Measure { fragments: &document.fragments, known: HashMap::new(), max_fields };
    for name in document.fragments.keys() {
        measure.fragment(name, 0)?;
    }
    let mut total = 0_usize;
    let mut schema = false;
    for (_, operation) in document.operations.iter() {
        let size = measure.selections(&operation.node.selection_set.node, 0)?;
        // Validation walks every operation of the document.
        total = total.saturating_add(size.fields);
        if total > max_fields {
            return Err(Oversize::Fields);
        }
        schema |= size.schema;
    }
    Ok(choose(&document.operations, operation_name).map(|operation| Shape {
        ty: operation.ty,
        introspects: schema,
        only_introspects: schema && operation.selection_set.node.items.iter().all(|item| is_schema_field(&item.node)),
        roots: operation.selection_set.node.items.len(),
        plain: operation.selection_set.node.items.iter().all(|item| matches!(item.node, Selection::Field(_))),
        after: after(operation),
        required: operation
            .variable_definitions
            .iter()
            .filter(|variable| variable.node.default_value().is_none())
            .map(|variable| variable.node.name.node.clone())
            .collect(),
    }))
}

fn choose<'a>(operations: &'a DocumentOperations, name: Option<&str>) -> Option<&'a OperationDefinition> {
    match (operations, name) {
        (DocumentOperations::Single(operation), None) => Some(&operation.node),
        (DocumentOperations::Multiple(all), Some(name)) => all.get(name).map(|operation| &operation.node),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => {
            all.values().next().map(|operation| &operation.node)
        }
        (DocumentOperations::Single(_), Some(_)) | (DocumentOperations::Multiple(_), None) => None,
    }
}

fn after(operation: &OperationDefinition) -> After {
    let [root] = operation.selection_set.node.items.as_slice() else { return After::None };
    let Selection::Field(field) = &root.node else { return After::None };
    // The library does not export the type of a value that may be a variable; its text tells them apart.
    match field.node.get_argument("after").map(|value| value.node.to_string()) {
        None => After::None,
        Some(text) if text == "null" => After::None,
        Some(text) => text.strip_prefix('$').map_or(After::Written, |name| {
            let definition = operation.variable_definitions.iter().find(|it| it.node.name.node.as_str() == name);
            let default = definition.is_some_and(|it| it.node.default_value.is_some());
            After::Variable { name: Name::new(name), default }
        }),
    }
}

fn is_schema_field(selection: &Selection) -> bool {
    matches!(selection, Selection::Field(field)
        if matches!(field.node.name.node.as_str(), "__schema" | "__type" | "__typename"))
}

struct Measure<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// What each fragment comes to; nothing while it is being measured.
    known: HashMap<&'a str, Option<Size>>,
    max_fields: usize,
}

impl<'a> Measure<'a> {
    fn fragment(&mut self, name: &'a Name, depth: usize) -> Result<Size, Oversize> {
        if let Some(known) = self.known.get(name.as_str()) {
            return known.ok_or(Oversize::Circle);
        }
        let Some(fragment) = self.fragments.get(name) else { return Ok(Size::default()) };
        self.known.insert(name.as_str(), None);
        let size = self.selections(&fragment.node.selection_set.node, depth + 1)?;
        self.known.insert(name.as_str(), Some(size));
        Ok(size)
    }

    fn selections(&mut self, set: &'a SelectionSet, depth: usize) -> Result<Size, Oversize> {
        if depth > MAX_NESTING {
            return Err(Oversize::Nesting);
        }
        let mut total = Size::default();
        for item in &set.items {
            let size = match &item.node {
                Selection::Field(field) => {
                    let inner = self.selections(&field.node.selection_set.node, depth + 1)?;
                    let name = field.node.name.node.as_str();
                    let schema = matches!(name, "__schema" | "__type");
                    if schema && inner.lists > MAX_SCHEMA_LISTS {
                        return Err(Oversize::Introspection);
                    }
                    let list = matches!(name, "fields" | "inputFields" | "interfaces" | "possibleTypes");
                    let lists = inner.lists + usize::from(list);
                    Size { lists, schema: inner.schema || schema, ..inner.inside() }
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, depth)?.inside(),
                Selection::InlineFragment(inline) => {
                    self.selections(&inline.node.selection_set.node, depth + 1)?.inside()
                }
            };
            total.fields = total.fields.saturating_add(size.fields);
            total.nesting = total.nesting.max(size.nesting);
            total.lists = total.lists.max(size.lists);
            total.schema |= size.schema;
        }
        if total.fields > self.max_fields {
            return Err(Oversize::Fields);
        }
        if total.nesting > MAX_NESTING {
            return Err(Oversize::Nesting);
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use async_graphql::parser::parse_query;

    use super::*;

    fn measure(query: &str) -> Result<Option<Shape>, Oversize> {
        check(&parse_query(query).unwrap(), None, 5000)
    }

    #[test]
    fn a_fragment_bomb_is_refused_at_once() {
        let mut bomb = "{ ...f0 }".to_owned();
        for level in 0..7 {
            write!(bomb, " fragment f{level} on Query {{ {} }}", format!("...f{} ", level + 1).repeat(10)).unwrap();
        }
        bomb.push_str(" fragment f7 on Query { a }");
        assert_eq!(measure(&bomb), Err(Oversize::Fields));
    }

    #[test]
    fn a_bomb_of_empty_fragments_of_inline_fragments_is_refused() {
        let mut bomb = "{ a ".to_owned() + &"... { ".repeat(40) + "a" + &" }".repeat(40) + " }";
        assert!(measure(&bomb).is_ok());
        bomb = "{ ...f0 }".to_owned();
        for level in 0..5000 {
            write!(bomb, " fragment f{level} on Query {{ ...f{} }}", level + 1).unwrap();
        }
        bomb.push_str(" fragment f5000 on Query { a }");
        assert_eq!(measure(&bomb), Err(Oversize::Nesting));
    }

    #[test]
    fn brackets_are_counted_where_they_are_brackets() {
        let nested = |open: &str, close: &str, times: usize| {
            format!("{{ a(b: {}1{}) }}", open.repeat(times), close.repeat(times))
        };
        assert_eq!(check_text(&nested("[", "]", MAX_BRACKETS - 2)), Ok(()));
        assert!(parse_query(nested("[", "]", MAX_BRACKETS - 2)).is_ok());
        assert_eq!(check_text(&nested("[", "]", MAX_BRACKETS - 1)), Err(Oversize::Nesting));
        assert_eq!(check_text(&nested("{c: ", "}", MAX_BRACKETS)), Err(Oversize::Nesting));
        let many = "[".repeat(MAX_BRACKETS + 1);
        for hidden in [
            format!("{{ a(b: \"{many}\") }}"),
            format!("{{ a(b: \"\\\"{many}\") }}"),
            format!("{{ a(b: \"\"\"{many} \" \\\"\"\" {many}\"\"\") }}"),
            format!("{{ a # {many}\n }}"),
            format!("{{ a(b: \"\"\"\\\\\"\"\" {many}\"\"\") }}"),
            "{ a } ".repeat(MAX_BRACKETS + 1),
        ] {
            assert_eq!(check_text(&hidden), Ok(()), "{hidden}");
        }
        for shown in [
            format!("{{ a(b: \"x\\\\\", c: {many}) }}"),
            format!("{{ a(b: \"\", c: {many}) }}"),
            format!("{{ a(b: \"\"\"x\"\"\", c: {many}) }}"),
            format!("{{ a(b: [\"\"\" x\" {many}"),
            format!("{{ a # x\n {many}"),
            format!("{{ a(b: \"x\n {many}"),
        ] {
            assert_eq!(check_text(&shown), Err(Oversize::Nesting), "{shown}");
        }
        assert_eq!(check_text("\""), Ok(()));
        assert_eq!(check_text("\"\\"), Ok(()));
    }

    #[test]
    fn fragments_in_a_circle_are_refused() {
        let circle = "{ ...a } fragment a on Query { x ...b } fragment b on Query { y ...a }";
        assert_eq!(measure(circle), Err(Oversize::Circle));
    }

    #[test]
    fn introspection_is_told_apart_and_bounded() {
        let shape = measure("{ __schema { types { fields { args { name } } } } }").unwrap().unwrap();
        assert!(shape.introspects && shape.only_introspects);
        let shape = measure("{ a __type(name: \"A\") { name } }").unwrap().unwrap();
        assert!(shape.introspects && !shape.only_introspects);
        let deep =
            format!("{{ __schema {{ types {{ {} name {} }} }} }}", "fields { type { ".repeat(5), "} }".repeat(5));
        assert_eq!(measure(&deep), Err(Oversize::Introspection));
        let own = format!("{{ a {{ {} name {} }} }}", "fields { type { ".repeat(5), "} }".repeat(5));
        assert!(measure(&own).is_ok());
    }
}
