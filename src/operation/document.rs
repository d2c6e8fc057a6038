//! A document that may be executed, with the shapes that its operations were planned in.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use apollo_compiler::ast::Document as Syntax;
use apollo_compiler::diagnostic::ToCliReport as _;
use apollo_compiler::executable::{Operation as Definition, OperationType};
use apollo_compiler::parser::{Parser, SourceMap, SourceSpan};
use apollo_compiler::validation::{DiagnosticData, DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Name, Node};
use async_graphql::Value;
use serde_json::{Map, Value as Json};

use super::plan::{Conditions, Kind, Operation, Planner, Shape};
use super::refusal::{Refusal, Refused, source};
use super::text::{self, MAX_BRACKETS, Text};
use super::{Compiler, rules, size};
use crate::error::ErrorCode;

/// The most shapes that are kept of an operation; there may be one for each combination of conditions.
const MAX_SHAPES: usize = 16;
/// What the tree of a document takes for each of its tokens, and besides; measured (`benches/operation`).
const TREE_PER_TOKEN: usize = 120;
const TREE_BYTES: usize = 1024;

/// The scalars that GraphQL itself has.
const BUILT_IN: [&str; 5] = ["Boolean", "Float", "ID", "Int", "String"];

/// A valid document. It does not change; one with a further shape is another one.
#[derive(Clone, Debug)]
pub struct Document {
    tokens: usize,
    tree: Arc<Valid<ExecutableDocument>>,
    /// In the order of `tree.operations`.
    operations: Vec<Planned>,
}

/// An operation of a document.
#[derive(Clone, Debug)]
struct Planned {
    /// The variables in `@skip` and `@include`.
    conditions: Vec<Name>,
    /// By the values of those.
    shapes: Vec<(Box<[bool]>, Arc<Shape>)>,
}

impl Document {
    /// Its text, as it was sent but for commas and descriptions.
    pub fn text(&self) -> &str {
        source(&self.tree.sources)
    }

    /// About how much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let shapes = self.operations.iter().flat_map(|operation| &operation.shapes);
        let shapes = shapes.map(|(conditions, shape)| conditions.len() + 32 + shape.bytes()).sum::<usize>();
        TREE_BYTES
            + self.text().len()
            + self.tokens * TREE_PER_TOKEN
            + self.operations.len() * size_of::<Planned>()
            + shapes
    }
}

impl Compiler {
    /// Reads a document and holds it against the rules.
    ///
    /// # Errors
    /// What is wrong with it, whichever of its operations is meant.
    pub fn document(&self, text: &str) -> Result<Document, Refused> {
        self.read(text).map_err(|refused| self.discreet(refused, text))
    }

    fn read(&self, text: &str) -> Result<Document, Refused> {
        let Text { text, tokens } = text::check(text, self.limits.tokens)?;
        let parsed = Parser::new().recursion_limit(2 * MAX_BRACKETS).parse_ast(text, "request");
        let syntax = parsed.map_err(|fault| self.refused(&fault.errors, None))?;
        self.typed(tokens, &syntax).map_err(|refused| Refused { operations: operations(&syntax), ..refused })
    }

    fn typed(&self, tokens: usize, syntax: &Syntax) -> Result<Document, Refused> {
        let tree = syntax.to_executable(&self.schema);
        let tree = tree.map_err(|fault| self.refused(&fault.errors, Some(syntax)))?;
        size::check(&tree, &self.limits)?;
        let tree = self.validated(tree).map_err(|errors| self.refused(&errors, None))?;
        rules::check(self, &tree)?;
        let mut operations = Vec::with_capacity(tree.operations.len());
        let mut planner = Planner::new(self, &tree, Conditions::All);
        for operation in tree.operations.iter() {
            let conditions = rules::conditions(&tree, operation);
            // Whatever the conditions: selections that differ are refused.
            let shapes = match planner.plan(operation) {
                Ok(shape) if conditions.is_none() => vec![(Box::default(), Arc::new(shape))],
                // One that is too large is refused where it is the one that is meant.
                Err(refusal) if refusal.fault.code != ErrorCode::QueryTooComplex => return Err(refusal.into()),
                Ok(_) | Err(_) => Vec::new(),
            };
            operations.push(Planned { conditions: conditions.unwrap_or_default(), shapes });
        }
        Ok(Document { tokens, tree: Arc::new(tree), operations })
    }

    fn validated(&self, tree: ExecutableDocument) -> Result<Valid<ExecutableDocument>, DiagnosticList> {
        tree.validate(&self.schema).or_else(|fault| {
            // The validator counts selections at a subscription's root, where fields are meant; and it takes what stands
            // below a custom scalar for that scalar again, so that null may not be there.
            let several = |operation: &Node<Definition>| {
                let mut keys = operation.root_fields(&fault.partial).map(|field| field.response_key());
                let first = keys.next();
                operation.operation_type == OperationType::Subscription && keys.any(|key| Some(key) != first)
            };
            let several = fault.partial.operations.iter().any(several);
            let free = rules::free_literals(self, &fault.partial);
            let right = |error: &DiagnosticData| match error.unstable_error_name() {
                Some("SubscriptionUsesMultipleFields") => !several,
                Some("UnsupportedValueType") => {
                    error.location().is_some_and(|at| free.iter().any(|literal| literal.contains(&at.offset())))
                }
                _ => false,
            };
            if fault.errors.iter().all(|it| right(it.error)) {
                Ok(Valid::assume_valid(fault.partial))
            } else {
                Err(fault.errors)
            }
        })
    }

    fn refused(&self, errors: &DiagnosticList, syntax: Option<&Syntax>) -> Refused {
        let told: Vec<_> =
            errors.iter().take(Refused::MOST).map(|it| (it.error, it.error.location(), it.sources)).collect();
        let places = told.iter().filter_map(|(_, span, _)| Some(span.as_ref()?.offset())).collect();
        let hints = syntax.filter(|_| self.traits.public).map(|it| self.suggestions(it, places)).unwrap_or_default();
        let refusal = |(error, span, sources): (&DiagnosticData, Option<SourceSpan>, &SourceMap)| {
            let hint = span.as_ref().and_then(|span| hints.get(&span.offset()));
            Refusal::invalid(format!("{error}{}", hint.map_or("", String::as_str))).within(span, sources)
        };
        let omitted = errors.len().saturating_sub(told.len());
        Refused { omitted, ..Refused::because(told.into_iter().map(refusal).collect()) }
    }

    /// The same, without a word of the schema that the caller has not said, where the schema is not public.
    fn discreet(&self, mut refused: Refused, said: &str) -> Refused {
        if self.traits.public {
            return refused;
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let said: HashSet<&str> = said.split(|c| !is_word(c)).collect();
        for refusal in &mut refused.refusals {
            let message = &refusal.fault.message;
            let quoted = message.split('`').skip(1).step_by(2).flat_map(|it| it.split(|c| !is_word(c)));
            let named = message.split(|c| !is_word(c)).filter(|word| self.schema.types.contains_key(*word));
            if quoted.chain(named).any(|word| !word.is_empty() && !said.contains(word) && !BUILT_IN.contains(&word)) {
                "What stands here does not fit the schema, which is not public here."
                    .clone_into(&mut refusal.fault.message);
            }
        }
        refused
    }

    /// The operation of that name with the values of its variables, ready to be executed; and the document with the shape
    /// that it was planned in, where that is a new one.
    ///
    /// # Errors
    /// There is no such operation, or no name among several; a value does not fit; the operation is too large.
    pub fn operation(
        &self,
        document: &Document,
        name: Option<&str>,
        variables: &Map<String, Json>,
    ) -> Result<(Operation, Option<Document>), Refused> {
        let tree = &document.tree;
        let definition = tree.operations.get(name).map_err(|fault| Refused {
            undetermined: true,
            ..Refusal::invalid(fault.message().to_string()).within(fault.location(), &tree.sources).into()
        })?;
        let index = tree.operations.iter().position(|it| it.ptr_eq(definition)).unwrap_or_default();
        self.filled(document, index, definition, variables).map_err(|refused| {
            let meant = (definition.operation_type.into(), definition.name.as_ref().map(|name| name.as_str().into()));
            Refused { operations: vec![meant], ..self.discreet(refused, document.text()) }
        })
    }

    fn filled(
        &self,
        document: &Document,
        index: usize,
        definition: &Definition,
        variables: &Map<String, Json>,
    ) -> Result<(Operation, Option<Document>), Refused> {
        let tree = &document.tree;
        let planned = &document.operations[index];
        let sources = &tree.sources;
        let values = self.variables(definition, variables, sources)?;
        let mut conditions = HashMap::with_capacity(planned.conditions.len());
        for name in &planned.conditions {
            let Some(Value::Boolean(on)) = values.get(name) else {
                let message = format!("${name} must not be null: it is a condition of @skip or @include.");
                let variable = definition.variables.iter().find(|variable| variable.name == *name);
                return Err(Refusal::invalid(message).within(variable.and_then(Node::location), sources).into());
            };
            conditions.insert(name, *on);
        }
        let key: Box<[bool]> = planned.conditions.iter().map(|name| conditions[name]).collect();
        let known = planned.shapes.iter().find(|(conditions, _)| *conditions == key);
        let (shape, kept) = if let Some((_, shape)) = known {
            (shape.clone(), None)
        } else {
            let shape = Arc::new(Planner::new(self, tree, Conditions::Of(&conditions)).plan(definition)?);
            let kept = (planned.shapes.len() < MAX_SHAPES).then(|| {
                let mut kept = document.clone();
                kept.operations[index].shapes.push((key, shape.clone()));
                kept
            });
            (shape, kept)
        };
        let mut operation = shape.with(self, &values, sources)?;
        if operation.introspects() {
            operation.asked = Some(Arc::new(self.introspect(tree, definition, &values)?));
        }
        Ok((operation, kept))
    }
}

fn operations(syntax: &Syntax) -> Vec<(Kind, Option<Box<str>>)> {
    let operations = syntax.definitions.iter().filter_map(|it| it.as_operation_definition());
    operations.map(|it| (it.operation_type.into(), it.name.as_ref().map(|name| name.as_str().into()))).collect()
}
