//! What is checked of a document before the library validates it: how large it is with its fragments written out.
//!
//! The library's own limits are checked by walking the expanded document, which is where the cost is: seven
//! fragments of ten spreads each are seconds of CPU. Here each fragment is measured once.

use std::collections::HashMap;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, OperationType, Selection,
    SelectionSet,
};
use async_graphql::{Name, Positioned, Value};

use crate::config::Limits;

/// The deepest nesting, fragments included, that is walked. The schema's own limit is lower; this one protects the
/// stack from long chains of fragments.
const MAX_NESTING: usize = 100;
/// The deepest nesting of brackets of any kind that is parsed: the parser calls itself at each, and its own limit is
/// on selections alone.
const MAX_BRACKETS: usize = 2 * MAX_NESTING;
/// How often lists of the schema's own types may be nested: fields of types of fields grow exponentially, and the
/// tools ask for one level.
const MAX_SCHEMA_LISTS: usize = 3;
/// How much of the schema may be asked for at once: `__type` weighs one, `__schema` five. Each is walked again for itself.
const MAX_SCHEMA_WEIGHT: usize = 10;

/// How large a document may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) depth: usize,
    pub(super) fields: usize,
    pub(super) aliases: usize,
    pub(super) root_fields: usize,
    pub(super) directives: usize,
    pub(super) tokens: usize,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Self {
        Self {
            depth: limits.max_depth,
            fields: limits.max_fields,
            aliases: limits.max_aliases,
            root_fields: limits.max_root_fields,
            directives: limits.max_directives,
            tokens: limits.max_tokens,
        }
    }
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Depth,
    Fields,
    Aliases,
    RootFields,
    Directives,
    Tokens,
}

/// Why a document is not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Oversize {
    /// More than an operator allows, and how much that is.
    Over(Bound, usize),
    /// Nested deeper than is ever walked.
    Nesting,
    /// Introspection that asks for lists of lists of lists, or for the schema again and again.
    Introspection,
    /// A fragment that contains itself.
    Circle,
}

/// What is known of a document's selections.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// Selections, fragments written out. Spreads count too: a walker pays for them even when they lead nowhere.
    fields: usize,
    /// Selections at this level, fragments written out.
    here: usize,
    /// Fields with another name than their own, fragments written out.
    aliases: usize,
    /// Directives, fragments written out.
    directives: usize,
    /// Levels of fields.
    depth: usize,
    /// Levels of nesting, those by fragments included.
    nesting: usize,
    /// Nested lists of introspection fields, by their names.
    lists: usize,
    /// How much of the schema is asked for.
    schema: usize,
}

impl Size {
    /// One level further out: what a fragment comes to where it stands.
    fn inside(self, directives: usize) -> Self {
        Self {
            fields: self.fields.saturating_add(1),
            nesting: self.nesting + 1,
            directives: self.directives.saturating_add(directives),
            ..self
        }
    }

    /// One field further out.
    fn below(self, field: &Field) -> Self {
        Self {
            here: 1,
            aliases: self.aliases.saturating_add(usize::from(field.alias.is_some())),
            depth: self.depth + 1,
            ..self.inside(field.directives.len())
        }
    }

    /// Both beside each other.
    fn and(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            here: self.here.saturating_add(other.here),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            nesting: self.nesting.max(other.nesting),
            lists: self.lists.max(other.lists),
            schema: self.schema.saturating_add(other.schema),
        }
    }
}

/// What the caller needs to know of the operation that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Query, mutation or subscription.
    pub(super) ty: OperationType,
    /// Its name in the document.
    pub(super) name: Option<Name>,
    /// Whether the schema is asked for.
    pub(super) introspects: bool,
    /// Whether nothing but the schema is asked for.
    pub(super) only_introspects: bool,
    /// The number of selections at the root, fragments counted as one.
    pub(super) roots: usize,
    /// The variables that must be given, which the library finds out only on reaching a field.
    pub(super) required: Vec<Name>,
    /// What the document gives for variables that are absent; the library forgets it in `@skip` and `@include`.
    pub(super) defaults: Vec<(Name, Value)>,
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

/// Refuses a document whose brackets are nested too deep to be parsed, or that has too many tokens. What stands in
/// strings and comments does not count; of what is no document this says nothing.
pub(super) fn check_text(document: &str, max_tokens: usize) -> Result<(), Oversize> {
    let bytes = document.as_bytes();
    let (mut at, mut depth, mut tokens) = (0, 0_usize, 0_usize);
    let mut strings = true;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => continue,
            b'#' if strings => {
                at = after_line(bytes, at);
                continue;
            }
            b'{' | b'[' | b'(' => {
                depth += 1;
                if depth > MAX_BRACKETS {
                    return Err(Oversize::Nesting);
                }
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'"' if strings && bytes[at..].starts_with(b"\"\"") => match after_block(bytes, at + 2) {
                Some(after) => at = after,
                // The parser takes a block that is never closed for an empty string and what follows it: from here
                // on every bracket counts.
                None => strings = false,
            },
            b'"' if strings => at = after_string(bytes, at),
            b'.' if bytes[at..].starts_with(b"..") => at += 2,
            byte if is_word(*byte) => {
                let word = at - 1;
                at = after_word(bytes, at);
                tokens += more_than_one(&bytes[word..at]);
            }
            _ => {}
        }
        tokens += 1;
        if tokens > max_tokens {
            return Err(Oversize::Over(Bound::Tokens, max_tokens));
        }
    }
    Ok(())
}

/// How many values the parser may read in a word besides the first: it takes `0000` for four numbers and `nullnull` for two
/// nulls.
fn more_than_one(word: &[u8]) -> usize {
    let constant = [&b"true"[..], b"false", b"null"].iter().any(|it| word.starts_with(it) && word.len() > it.len());
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let zeros = digits.starts_with(b"0") && digits.get(1).is_some_and(u8::is_ascii_digit);
    let many = zeros || digits.windows(2).any(|pair| pair[1] == b'-' && !matches!(pair[0], b'e' | b'E'));
    match word[0] {
        _ if constant => word.len() / 4,
        b'-' | b'0'..=b'9' if many && word.len() > 1 => word.len() - 1,
        _ => 0,
    }
}

/// What names and numbers are made of.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// A name, or a number with its fraction and its exponent.
fn after_word(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        let number = matches!(byte, b'.' | b'+') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !is_word(*byte) && !number {
            break;
        }
        at += 1;
    }
    at
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
    bounds: &Bounds,
) -> Result<Option<Shape>, Oversize> {
    let mut measure = Measure { fragments: &document.fragments, known: HashMap::new(), bounds };
    for name in document.fragments.keys() {
        measure.fragment(name, 0)?;
    }
    // Validation walks every operation of the document.
    let mut total = Size::default();
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let size = measure.selections(&operation.selection_set.node, 0)?;
        let on_variables = operation.variable_definitions.iter().map(|it| it.node.directives.len()).sum::<usize>();
        let directives = size.directives.saturating_add(operation.directives.len() + on_variables);
        bounds.hold(Bound::RootFields, size.here)?;
        total = total.and(Size { directives, ..size });
        measure.hold(&total)?;
    }
    let shape = choose(&document.operations, operation_name).map(|(name, operation)| Shape {
        ty: operation.ty,
        name: name.cloned(),
        introspects: total.schema > 0,
        only_introspects: total.schema > 0
            && operation.selection_set.node.items.iter().all(|item| is_schema_field(&item.node)),
        roots: operation.selection_set.node.items.len(),
        plain: operation.selection_set.node.items.iter().all(|item| matches!(item.node, Selection::Field(_))),
        after: after(operation),
        required: operation
            .variable_definitions
            .iter()
            .filter(|variable| variable.node.default_value().is_none())
            .map(|variable| variable.node.name.node.clone())
            .collect(),
        defaults: operation
            .variable_definitions
            .iter()
            .filter_map(|it| Some((it.node.name.node.clone(), it.node.default_value.as_ref()?.node.clone())))
            .collect(),
    });
    // The tools' own query for the schema is deep by nature; the library has another limit for it.
    if !shape.as_ref().is_some_and(|shape| shape.only_introspects) {
        bounds.hold(Bound::Depth, total.depth)?;
    }
    Ok(shape)
}

impl Bounds {
    fn hold(&self, bound: Bound, found: usize) -> Result<(), Oversize> {
        let most = match bound {
            Bound::Depth => self.depth,
            Bound::Fields => self.fields,
            Bound::Aliases => self.aliases,
            Bound::RootFields => self.root_fields,
            Bound::Directives => self.directives,
            Bound::Tokens => self.tokens,
        };
        if found > most { Err(Oversize::Over(bound, most)) } else { Ok(()) }
    }
}

fn choose<'a>(
    operations: &'a DocumentOperations,
    name: Option<&str>,
) -> Option<(Option<&'a Name>, &'a OperationDefinition)> {
    let named = |(name, operation): (&'a Name, &'a Positioned<OperationDefinition>)| (Some(name), &operation.node);
    match (operations, name) {
        (DocumentOperations::Single(operation), None) => Some((None, &operation.node)),
        (DocumentOperations::Multiple(all), Some(name)) => all.get_key_value(name).map(named),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => all.iter().next().map(named),
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
    bounds: &'a Bounds,
}

impl<'a> Measure<'a> {
    fn fragment(&mut self, name: &'a Name, depth: usize) -> Result<Size, Oversize> {
        if let Some(known) = self.known.get(name.as_str()) {
            return known.ok_or(Oversize::Circle);
        }
        let Some(fragment) = self.fragments.get(name) else { return Ok(Size::default()) };
        self.known.insert(name.as_str(), None);
        let size = self.selections(&fragment.node.selection_set.node, depth + 1)?;
        let directives = size.directives.saturating_add(fragment.node.directives.len());
        let size = Size { directives, ..size };
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
                    let schema = match name {
                        "__schema" => 5,
                        "__type" => 1,
                        _ => 0,
                    };
                    if schema > 0 && inner.lists > MAX_SCHEMA_LISTS {
                        return Err(Oversize::Introspection);
                    }
                    let list = matches!(name, "fields" | "inputFields" | "interfaces" | "possibleTypes");
                    let lists = inner.lists + usize::from(list);
                    Size { lists, schema: inner.schema.saturating_add(schema), ..inner.below(&field.node) }
                }
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, depth)?.inside(spread.node.directives.len())
                }
                Selection::InlineFragment(inline) => {
                    self.selections(&inline.node.selection_set.node, depth + 1)?.inside(inline.node.directives.len())
                }
            };
            total = total.and(size);
        }
        self.hold(&total)?;
        Ok(total)
    }

    /// What must hold of every part, as it does of the whole.
    fn hold(&self, size: &Size) -> Result<(), Oversize> {
        self.bounds.hold(Bound::Aliases, size.aliases)?;
        self.bounds.hold(Bound::Directives, size.directives)?;
        self.bounds.hold(Bound::Fields, size.fields)?;
        if size.schema > MAX_SCHEMA_WEIGHT {
            return Err(Oversize::Introspection);
        }
        if size.nesting > MAX_NESTING { Err(Oversize::Nesting) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use async_graphql::parser::parse_query;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::arbitrary::mutated;

    const BOUNDS: Bounds =
        Bounds { depth: 15, fields: 5000, aliases: 20, root_fields: 10, directives: 20, tokens: 100_000 };

    fn measure(query: &str) -> Result<Option<Shape>, Oversize> {
        check(&parse_query(query).unwrap(), None, &BOUNDS)
    }

    #[test]
    fn a_fragment_bomb_is_refused_at_once() {
        let mut bomb = "{ ...f0 }".to_owned();
        for level in 0..7 {
            write!(bomb, " fragment f{level} on Query {{ {} }}", format!("...f{} ", level + 1).repeat(10)).unwrap();
        }
        bomb.push_str(" fragment f7 on Query { a }");
        assert_eq!(measure(&bomb), Err(Oversize::Over(Bound::Fields, 5000)));
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
        assert_eq!(check_text(&nested("[", "]", MAX_BRACKETS - 2), 100_000), Ok(()));
        assert!(parse_query(nested("[", "]", MAX_BRACKETS - 2)).is_ok());
        assert_eq!(check_text(&nested("[", "]", MAX_BRACKETS - 1), 100_000), Err(Oversize::Nesting));
        assert_eq!(check_text(&nested("{c: ", "}", MAX_BRACKETS), 100_000), Err(Oversize::Nesting));
        let many = "[".repeat(MAX_BRACKETS + 1);
        for hidden in [
            format!("{{ a(b: \"{many}\") }}"),
            format!("{{ a(b: \"\\\"{many}\") }}"),
            format!("{{ a(b: \"\"\"{many} \" \\\"\"\" {many}\"\"\") }}"),
            format!("{{ a # {many}\n }}"),
            format!("{{ a(b: \"\"\"\\\\\"\"\" {many}\"\"\") }}"),
            "{ a } ".repeat(MAX_BRACKETS + 1),
        ] {
            assert_eq!(check_text(&hidden, 100_000), Ok(()), "{hidden}");
        }
        for shown in [
            format!("{{ a(b: \"x\\\\\", c: {many}) }}"),
            format!("{{ a(b: \"\", c: {many}) }}"),
            format!("{{ a(b: \"\"\"x\"\"\", c: {many}) }}"),
            format!("{{ a(b: [\"\"\" x\" {many}"),
            format!("{{ a # x\n {many}"),
            format!("{{ a(b: \"x\n {many}"),
        ] {
            assert_eq!(check_text(&shown, 100_000), Err(Oversize::Nesting), "{shown}");
        }
        assert_eq!(check_text("\"", 100_000), Ok(()));
        assert_eq!(check_text("\"\\", 100_000), Ok(()));
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
        let again = |times: usize, what: &str| {
            measure(&format!("{{ {} }}", (0..times).fold(String::new(), |all, n| all + &format!("a{n}: {what} "))))
                .map(|_| ())
        };
        assert_eq!(again(2, "__schema { types { name } }"), Ok(()));
        assert_eq!(again(3, "__schema { types { name } }"), Err(Oversize::Introspection));
        assert_eq!(again(10, "__type(name: \"A\") { name }"), Ok(()));
        assert_eq!(again(11, "__type(name: \"A\") { name }"), Err(Oversize::Introspection));
    }

    #[test]
    fn tokens_are_counted_as_the_language_has_them() {
        for (document, tokens) in [
            ("", 0),
            (" \t\r\n, # a b c\n", 0),
            ("{ a }", 3),
            ("query Q($x: [Int!]! = [1, -2.5, 3.0e+10]) @d { a: b(c: $x) ...F }", 33),
            ("{a...b...c}", 7),
            (r#"{ a(b: "c d \" e", f: """g "h" i""") }"#, 11),
            ("{ a(b: {c: true | & }) }", 14),
            ("[0000]", 6),
            ("[0.5 -0.5e-10 nullable]", 7),
            ("[1-2-3]", 7),
            ("[truetrue]", 5),
        ] {
            assert_eq!(check_text(document, tokens), Ok(()), "{document}");
            if tokens > 0 {
                let over = Err(Oversize::Over(Bound::Tokens, tokens - 1));
                assert_eq!(check_text(document, tokens - 1), over, "{document}");
            }
        }
    }

    #[test]
    fn aliases_root_fields_directives_and_depth_are_counted_with_fragments_written_out() {
        let over = |bound, most| Err(Oversize::Over(bound, most));
        let many =
            |text: &str, times: usize| (0..times).map(|at| text.replace('#', &at.to_string())).collect::<String>();
        assert!(measure(&format!("{{ x {{ {} }} }}", many("a#: b ", 20))).is_ok());
        assert_eq!(measure(&format!("{{ x {{ {} }} }}", many("a#: b ", 21))), over(Bound::Aliases, 20));
        let thrice =
            format!("{{ a {{ ...f }} b {{ ...f }} c {{ ...f }} }} fragment f on A {{ {} }}", many("a#: b ", 7));
        assert_eq!(measure(&thrice), over(Bound::Aliases, 20));
        assert!(measure(&format!("{{ {} }}", "a ".repeat(10))).is_ok());
        assert_eq!(measure(&format!("{{ {} }}", "a ".repeat(11))), over(Bound::RootFields, 10));
        let roots = format!("{{ ...f ... {{ ...f }} ...f }} fragment f on Query {{ {} }}", "a ".repeat(4));
        assert_eq!(measure(&roots), over(Bound::RootFields, 10));
        assert!(measure(&format!("{{ a {} }}", "@d ".repeat(20))).is_ok());
        for directives in [
            format!("{{ a {} }}", "@d ".repeat(21)),
            format!("query {} {{ a }}", "@d ".repeat(21)),
            format!("query($x: Int {}) {{ a(b: $x) }}", "@d ".repeat(21)),
            format!("{{ ...f {} }} fragment f on Query {{ a }}", "@d ".repeat(21)),
            format!("{{ ...f ...f ...f }} fragment f on Query {} {{ a }}", "@d ".repeat(7)),
            format!("{{ ... {} {{ a }} }}", "@d ".repeat(21)),
        ] {
            assert_eq!(measure(&directives), over(Bound::Directives, 20), "{directives}");
        }
        let deep = |levels: usize| format!("{{ {} b {} }}", "a { ... { ".repeat(levels - 1), "} } ".repeat(levels - 1));
        assert!(measure(&deep(15)).is_ok());
        assert_eq!(measure(&deep(16)), over(Bound::Depth, 15));
    }

    const DOCUMENT: &str = "query a($b: [[Int!]!] = [1], $c: D = {e: \"f\"}) @g(h: 1.5e3) { i: j(k: $b, l: \"\"\"m\"\"\") { ...n ... on O { p } } } \
                            fragment n on Q { r @include(if: true) __typename } # s";

    proptest! {
        #[test]
        fn whatever_is_no_deeper_than_allowed_is_parsed_or_refused_in_words(
            text in prop_oneof![
                any::<String>(), "[\\[\\](){}\"#\\\\a$@!:.\n ]{0,400}", mutated(DOCUMENT.to_owned()),
                prop::collection::vec(prop::sample::select(TOKENS), 0..200).prop_map(|tokens| tokens.concat()),
            ],
        ) {
            let held = check_text(&text, 10_000);
            if held.is_ok() && let Ok(document) = parse_query(&text) {
                let _ = check(&document, None, &BOUNDS);
                let _ = check(&document, Some("a"), &BOUNDS);
            }
        }

        #[test]
        fn brackets_over_the_limit_are_found_wherever_a_parser_would_see_them(before in "[a-z ,{}]{0,20}", more in 1_usize..50) {
            let deep = "[".repeat(MAX_BRACKETS + more);
            // A bracket that closes takes one away, and there are at most twenty.
            let text = format!("{before}{deep}{}", "[".repeat(20));
            prop_assert_eq!(check_text(&text, 10_000), Err(Oversize::Nesting));
        }
    }

    const TOKENS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "\"\"\"",
        "\\",
        "#",
        "\n",
        " ",
        "query ",
        "fragment ",
        "on ",
        "a ",
        "$a",
        ":",
        "=",
        "!",
        "...",
        "@a",
        "1",
        "1.5",
        "-",
        "null ",
        "true ",
        "|",
        "&",
        ",",
        "\u{feff}",
        "__schema",
        "__type",
    ];
}
