//! Why an operation is not executed.

use apollo_compiler::parser::{SourceMap, SourceSpan};
use async_graphql::{ErrorExtensionValues, Pos, ServerError};

use super::plan::Kind;
use crate::error::{ErrorCode, Fault};

/// One thing that is wrong with an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// What is wrong.
    pub fault: Box<Fault>,
    /// Where it stands in the document.
    pub pos: Option<Pos>,
}

/// An operation that is not executed: nothing of it was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Why: at least one reason, at most [`Refused::MOST`].
    pub refusals: Vec<Refusal>,
    /// How many more there are.
    pub omitted: usize,
    /// Whether it could not be told which operation of the document is meant.
    pub undetermined: bool,
    /// The operations of the document with their names, as far as it could be read.
    pub operations: Vec<(Kind, Option<Box<str>>)>,
}

/// What there may be too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Tokens,
    Fields,
    Directives,
    Aliases,
    RootFields,
    Depth,
    Cost,
}

impl Refusal {
    /// A document or variables that are not valid.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Fault::new(ErrorCode::InvalidInput, message).into()
    }

    /// More than an operator allows.
    pub(super) fn over(bound: Bound, most: usize) -> Self {
        let (message, key) = match bound {
            Bound::Tokens => (format!("The document has more than {most} tokens."), "limits.max_tokens"),
            Bound::Fields => {
                (format!("The document selects more than {most} fields, fragments written out."), "limits.max_fields")
            }
            Bound::Directives => (
                format!("The document has more than {most} directives, fragments written out."),
                "limits.max_directives",
            ),
            Bound::Aliases => (format!("The operation has more than {most} aliases."), "limits.max_aliases"),
            Bound::RootFields => {
                (format!("The operation selects more than {most} fields at its root."), "limits.max_root_fields")
            }
            Bound::Depth => {
                (format!("The operation is nested deeper than {most} levels of fields."), "limits.max_depth")
            }
            Bound::Cost => (
                format!(
                    "The operation costs more than {most}. A field costs 1, times the size of the page that it is in: \
                     select fewer fields, or ask for smaller pages."
                ),
                "limits.max_complexity",
            ),
        };
        Self::too_complex(message, |fault| fault.limit(key, most))
    }

    /// More than is ever allowed.
    pub(super) fn too_complex(message: impl Into<String>, more: impl FnOnce(Fault) -> Fault) -> Self {
        more(Fault::new(ErrorCode::QueryTooComplex, message)).into()
    }

    /// Names the place, by its byte.
    pub(super) fn at(self, byte: usize, text: &str) -> Self {
        Self { pos: Some(Lines::of(text).at(byte)), ..self }
    }

    /// Names the place, as the parser has it.
    pub(super) fn within(self, span: Option<SourceSpan>, sources: &SourceMap) -> Self {
        Self { pos: position(span, sources), ..self }
    }
}

/// The line and column where something begins.
pub(super) fn position(span: Option<SourceSpan>, sources: &SourceMap) -> Option<Pos> {
    let span = span?;
    // A diagnostic knows the schema's text too.
    Some(Lines::of(sources.get(&span.file_id())?.source_text()).at(span.offset()))
}

/// The text of a document, which has one source.
pub(super) fn source(sources: &SourceMap) -> &str {
    sources.values().next().map_or("", |source| source.source_text())
}

/// The lines of a document. One ends with a line feed, a carriage return, or both (section 2.1.2 of the specification);
/// the parser knows others. A column counts characters.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        Self { text, starts: std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect() }
    }

    pub(super) fn at(&self, byte: usize) -> Pos {
        let byte = self.text.floor_char_boundary(byte);
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts[line - 1];
        Pos { line, column: self.text[start..byte].chars().count() + 1 }
    }
}

impl Refused {
    /// The most reasons that are told.
    pub const MOST: usize = 20;

    /// The operation that was meant by that name.
    pub fn meant(&self, name: Option<&str>) -> Option<(Kind, Option<&str>)> {
        let mut fitting = self.operations.iter().filter(|(_, it)| name.is_none() || it.as_deref() == name);
        let meant = fitting.next().filter(|_| fitting.next().is_none());
        meant.map(|(kind, name)| (*kind, name.as_deref()))
    }

    pub(super) fn because(mut refusals: Vec<Refusal>) -> Self {
        let omitted = refusals.len().saturating_sub(Self::MOST);
        refusals.truncate(Self::MOST);
        Self { refusals, omitted, undetermined: false, operations: Vec::new() }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault: Box::new(fault), pos: None }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::because(vec![refusal])
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        vec![fault].into()
    }
}

impl From<Vec<Fault>> for Refused {
    fn from(faults: Vec<Fault>) -> Self {
        Self::because(faults.into_iter().map(Refusal::from).collect())
    }
}

impl From<Refusal> for ServerError {
    fn from(refusal: Refusal) -> Self {
        let mut error = Self::new(refusal.fault.message.clone(), refusal.pos);
        error.extensions = Some(extensions(&refusal.fault));
        error
    }
}

/// What `extensions` of an entry in `errors` hold for a fault.
pub fn extensions(fault: &Fault) -> ErrorExtensionValues {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", fault.code.as_str());
    for (name, text) in fault.extensions() {
        extensions.set(name, text);
    }
    for (name, number) in fault.numbers() {
        extensions.set(name, number);
    }
    extensions
}
