//! Rules of section 5 of the specification that the validator lacks (apollo-compiler 1.33): variables below the
//! argument itself, null as a default, input fields given twice, values of custom scalars. That lists of arguments are
//! compared to their end is the planner's part.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use apollo_compiler::ast::{Type, Value as Ast, VariableDefinition};
use apollo_compiler::executable::{Directive, Operation, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Name, Node};

use super::Compiler;
use super::coerce::Values;
use super::refusal::{Refusal, Refused};

/// Holds every operation against the rules.
///
/// # Errors
/// What is wrong.
pub(super) fn check(compiler: &Compiler, document: &ExecutableDocument) -> Result<(), Refused> {
    let mut refusals = Vec::new();
    for operation in document.operations.iter() {
        let variables = operation.variables.iter().map(|variable| (&variable.name, variable)).collect();
        let mut check = Check { compiler, document, variables, seen: HashSet::new(), refusals: &mut refusals };
        for variable in &operation.variables {
            check.directives(&variable.directives);
            if let Some(default) = &variable.default_value {
                check.value(&variable.ty, false, default);
            }
        }
        check.directives(&operation.directives);
        check.selections(&operation.selection_set);
    }
    if refusals.is_empty() { Ok(()) } else { Err(Refused::because(refusals)) }
}

/// The variables in `@skip` and `@include` of an operation, each once; nothing where it has no such directive at all.
pub(super) fn conditions(document: &ExecutableDocument, operation: &Operation) -> Option<Vec<Name>> {
    fn find<'a>(
        document: &'a ExecutableDocument,
        set: &'a SelectionSet,
        seen: &mut HashSet<&'a Name>,
        found: &mut Option<Vec<Name>>,
    ) {
        for selection in &set.selections {
            for directive in selection.directives().iter().filter(|it| matches!(it.name.as_str(), "skip" | "include")) {
                let found = found.get_or_insert_default();
                if let Some(Ast::Variable(name)) = directive.specified_argument_by_name("if").map(Node::as_ref)
                    && !found.contains(name)
                {
                    found.push(name.clone());
                }
            }
            match selection {
                Selection::Field(field) => find(document, &field.selection_set, seen, found),
                Selection::InlineFragment(inline) => find(document, &inline.selection_set, seen, found),
                Selection::FragmentSpread(spread) => {
                    if seen.insert(&spread.fragment_name)
                        && let Some(fragment) = document.fragments.get(&spread.fragment_name)
                    {
                        find(document, &fragment.selection_set, seen, found);
                    }
                }
            }
        }
    }
    let mut found = None;
    find(document, &operation.selection_set, &mut HashSet::new(), &mut found);
    found
}

/// Where the literals of custom scalars stand in a document, by their bytes: what is in them is for the scalar to say.
pub(super) fn free_literals(compiler: &Compiler, document: &ExecutableDocument) -> Vec<Range<usize>> {
    fn find(compiler: &Compiler, ty: &Type, value: &Node<Ast>, found: &mut Vec<Range<usize>>) {
        match (value.as_ref(), compiler.schema.types.get(ty.inner_named_type())) {
            (Ast::List(items), _) if ty.is_list() => {
                for item in items {
                    find(compiler, ty.item_type(), item, found);
                }
            }
            (Ast::List(_) | Ast::Object(_), _) if compiler.is_custom_scalar(ty) => {
                found.extend(value.location().map(|at| at.offset()..at.end_offset()));
            }
            (Ast::Object(fields), Some(ExtendedType::InputObject(object))) => {
                for (name, field) in fields {
                    if let Some(def) = object.fields.get(name) {
                        find(compiler, &def.ty, field, found);
                    }
                }
            }
            _ => {}
        }
    }
    fn within(compiler: &Compiler, set: &SelectionSet, found: &mut Vec<Range<usize>>) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    for argument in &field.arguments {
                        if let Some(def) = field.definition.argument_by_name(&argument.name) {
                            find(compiler, &def.ty, &argument.value, found);
                        }
                    }
                    within(compiler, &field.selection_set, found);
                }
                Selection::InlineFragment(inline) => within(compiler, &inline.selection_set, found),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    let mut found = Vec::new();
    for operation in document.operations.iter() {
        let defaults = operation.variables.iter().filter_map(|it| Some((&it.ty, it.default_value.as_ref()?)));
        for (ty, default) in defaults {
            find(compiler, ty, default, &mut found);
        }
        within(compiler, &operation.selection_set, &mut found);
    }
    for fragment in document.fragments.values() {
        within(compiler, &fragment.selection_set, &mut found);
    }
    found
}

struct Check<'a, 'r> {
    compiler: &'a Compiler,
    document: &'a ExecutableDocument,
    variables: HashMap<&'a Name, &'a Node<VariableDefinition>>,
    /// The fragments that were walked.
    seen: HashSet<&'a Name>,
    refusals: &'r mut Vec<Refusal>,
}

impl<'a> Check<'a, '_> {
    fn refuse(&mut self, message: String, at: &Node<Ast>) {
        let refusal = Refusal::invalid(message);
        // The places of those that are told.
        let told = self.refusals.len() < Refused::MOST;
        self.refusals.push(if told { refusal.within(at.location(), &self.document.sources) } else { refusal });
    }

    fn selections(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            self.directives(selection.directives());
            match selection {
                Selection::Field(field) => {
                    for argument in &field.arguments {
                        if let Some(def) = field.definition.argument_by_name(&argument.name) {
                            self.value(&def.ty, def.default_value.is_some(), &argument.value);
                        }
                    }
                    self.selections(&field.selection_set);
                }
                Selection::InlineFragment(inline) => self.selections(&inline.selection_set),
                Selection::FragmentSpread(spread) => {
                    if self.seen.insert(&spread.fragment_name)
                        && let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                    {
                        self.directives(&fragment.directives);
                        self.selections(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn directives(&mut self, directives: &'a [Node<Directive>]) {
        for directive in directives {
            let Some(def) = self.compiler.schema.directive_definitions.get(&directive.name) else { continue };
            for argument in &directive.arguments {
                if let Some(def) = def.argument_by_name(&argument.name) {
                    self.value(&def.ty, def.default_value.is_some(), &argument.value);
                }
            }
        }
    }

    /// `default`: whether the place has a value of its own where none is given.
    fn value(&mut self, ty: &Type, default: bool, value: &Node<Ast>) {
        let compiler = self.compiler;
        if compiler.is_custom_scalar(ty) && !ty.is_list() {
            match value.as_ref() {
                Ast::Variable(_) => self.variable(ty, default, value),
                Ast::Null => {}
                _ => self.scalar(ty, value),
            }
            return;
        }
        match value.as_ref() {
            Ast::Variable(_) => self.variable(ty, default, value),
            Ast::List(items) => {
                let inner = if ty.is_list() { ty.item_type() } else { ty };
                for item in items {
                    self.value(inner, false, item);
                }
            }
            Ast::Object(fields) => {
                self.once(fields);
                if let Some(ExtendedType::InputObject(object)) = compiler.schema.types.get(ty.inner_named_type()) {
                    for (name, field) in fields {
                        if let Some(def) = object.fields.get(name) {
                            self.value(&def.ty, def.default_value.is_some(), field);
                        }
                    }
                }
            }
            _ if compiler.is_custom_scalar(ty) && !value.is_null() => self.scalar(ty, value),
            _ => {}
        }
    }

    /// A variable must fit its place (section 5.8.5).
    fn variable(&mut self, ty: &Type, default: bool, value: &Node<Ast>) {
        let Some(name) = value.as_variable() else { return };
        let Some(variable) = self.variables.get(name) else {
            // Elsewhere the validator has found it.
            self.refuse(format!("variable `${name}` is not defined"), value);
            return;
        };
        let given = &variable.ty;
        let default = default || variable.default_value.as_ref().is_some_and(|default| !default.is_null());
        let wanted =
            if ty.is_non_null() && !given.is_non_null() && default { ty.clone().nullable() } else { ty.clone() };
        if !given.is_assignable_to(&wanted) {
            let message = format!("variable `${name}` of type `{given}` cannot be used where `{ty}` is expected");
            self.refuse(message, value);
        }
    }

    /// A literal of a custom scalar: any value may stand in it. A variable in an object may be of any type, one in a list
    /// is of the scalar's.
    fn scalar(&mut self, ty: &Type, value: &Node<Ast>) {
        let mut open = false;
        self.any(Some(&ty.clone().nullable()), value, &mut open);
        if !open && let Err(refusal) = self.compiler.literal(ty, value, &Values::new(), &self.document.sources) {
            self.refusals.push(refusal);
        }
    }

    fn any(&mut self, ty: Option<&Type>, value: &Node<Ast>, open: &mut bool) {
        match value.as_ref() {
            Ast::Variable(name) => {
                *open = true;
                if let Some(ty) = ty {
                    self.variable(ty, false, value);
                } else if !self.variables.contains_key(name) {
                    self.refuse(format!("variable `${name}` is not defined"), value);
                }
            }
            Ast::List(items) => {
                for item in items {
                    self.any(ty, item, open);
                }
            }
            Ast::Object(fields) => {
                self.once(fields);
                for (_, field) in fields {
                    self.any(None, field, open);
                }
            }
            _ => {}
        }
    }

    /// An input field is given once (section 5.6.3).
    fn once(&mut self, fields: &[(Name, Node<Ast>)]) {
        let mut names = HashSet::new();
        for (name, field) in fields {
            if !names.insert(name) {
                self.refuse(format!("the input field `{name}` is provided multiple times"), field);
            }
        }
    }
}
