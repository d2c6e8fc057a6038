//! A document that may be executed, with the shapes that its operations were planned in.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::executable::{Operation as Definition, OperationType};
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Name, Node};
use async_graphql::Value;
use serde_json::{Map, Value as Json};

use super::plan::{Conditions, Operation, Planner, Shape};
use super::refusal::{Refusal, Refused};
use super::{Compiler, rules, size, text};

/// How deep brackets of any kind may be nested: the parser calls itself at each.
const MAX_BRACKETS: usize = 200;
/// The most shapes that are kept of an operation; there may be one for each combination of conditions.
const MAX_SHAPES: usize = 16;
/// What the tree of a document takes for each byte of its text, and besides; measured (`benches/operation.rs`).
const TREE_PER_BYTE: usize = 16;
const TREE_BYTES: usize = 1024;

/// A valid document. It does not change; one with a further shape is another one.
#[derive(Clone, Debug)]
pub struct Document {
    text: Arc<str>,
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
    /// Its text, as it was sent.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// About how much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let shapes = self.operations.iter().flat_map(|operation| &operation.shapes);
        let shapes = shapes.map(|(conditions, shape)| conditions.len() + 32 + shape.bytes()).sum::<usize>();
        TREE_BYTES + self.text.len() * (1 + TREE_PER_BYTE) + self.operations.len() * size_of::<Planned>() + shapes
    }
}

impl Compiler {
    /// Reads a document and holds it against the rules.
    ///
    /// # Errors
    /// What is wrong with it, whichever of its operations is meant.
    pub fn document(&self, text: &str) -> Result<Document, Refused> {
        text::check(text, self.limits.tokens)?;
        let parsed = Parser::new().recursion_limit(MAX_BRACKETS).parse_ast(text, "request");
        let syntax = parsed.map_err(|fault| self.refused(&fault.errors, None))?;
        let tree = syntax.to_executable(&self.schema);
        let tree = tree.map_err(|fault| self.refused(&fault.errors, Some((&syntax, &fault.partial))))?;
        size::check(&tree, &self.limits)?;
        let tree = self.validated(tree).map_err(|(errors, tree)| self.refused(&errors, Some((&syntax, &tree))))?;
        rules::check(self, &tree)?;
        let mut operations = Vec::with_capacity(tree.operations.len());
        let mut planner = Planner::new(self, &tree, Conditions::All);
        for operation in tree.operations.iter() {
            let conditions = rules::conditions(&tree, operation);
            // Whatever the conditions: selections that differ are refused.
            let shape = planner.plan(operation)?;
            let shapes = if conditions.is_none() { vec![(Box::default(), Arc::new(shape))] } else { Vec::new() };
            operations.push(Planned { conditions: conditions.unwrap_or_default(), shapes });
        }
        Ok(Document { text: text.into(), tree: Arc::new(tree), operations })
    }

    fn validated(
        &self,
        tree: ExecutableDocument,
    ) -> Result<Valid<ExecutableDocument>, (DiagnosticList, ExecutableDocument)> {
        // The validator counts selections at a subscription's root; fields are meant.
        let one = |operation: &Node<Definition>, tree: &ExecutableDocument| {
            let mut keys = operation.root_fields(tree).map(|field| field.response_key());
            let first = keys.next();
            keys.all(|key| Some(key) == first)
        };
        tree.validate(&self.schema).or_else(|fault| {
            let alone =
                fault.errors.iter().all(|it| it.error.unstable_error_name() == Some("SubscriptionUsesMultipleFields"));
            let subscriptions = |it: &&Node<Definition>| it.operation_type == OperationType::Subscription;
            if alone && fault.partial.operations.iter().filter(subscriptions).all(|it| one(it, &fault.partial)) {
                Ok(Valid::assume_valid(fault.partial))
            } else {
                Err((fault.errors, fault.partial))
            }
        })
    }

    fn refused(
        &self,
        errors: &DiagnosticList,
        trees: Option<(&apollo_compiler::ast::Document, &ExecutableDocument)>,
    ) -> Refused {
        let suggestions =
            trees.filter(|_| self.traits.public).map(|(syntax, _)| self.suggestions(syntax)).unwrap_or_default();
        let refusal =
            |diagnostic: apollo_compiler::diagnostic::Diagnostic<'_, apollo_compiler::validation::DiagnosticData>| {
                let span = apollo_compiler::diagnostic::ToCliReport::location(diagnostic.error);
                let mut message = diagnostic.error.to_string();
                if let Some(hint) = span.and_then(|span| suggestions.get(&span.offset())) {
                    message.push_str(hint);
                }
                Refusal::invalid(message).within(span, diagnostic.sources)
            };
        let told = errors.iter().take(Refused::MOST).map(refusal).collect();
        Refused { omitted: errors.len().saturating_sub(Refused::MOST), ..Refused::because(told) }
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
        let planned = &document.operations[index];
        let sources = &tree.sources;
        let values = self.variables(definition, variables, sources)?;
        let mut conditions = HashMap::with_capacity(planned.conditions.len());
        for name in &planned.conditions {
            let Some(Value::Boolean(on)) = values.get(name) else {
                let message = format!("${name} must not be null: it is a condition of @skip or @include.");
                return Err(Refusal::invalid(message).into());
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
            operation.asked = Some(Arc::new(self.introspect(tree, definition, variables)?));
        }
        Ok((operation, kept))
    }
}
