//! The way of an operation from its text to its answer.
//!
//! The executing library departs from the specification where fragments, variables and directives meet
//! ([decision 0019](../../docs/decisions/0019-operations-are-compiled.md)). So it never sees them: a document is parsed,
//! validated and typed here once, its operation is collected into fields as section 6.3.2 of the specification has it,
//! and what the library gets is one operation without fragments (but those for types), variables and directives. A pass
//! over the answer, by the same plan, puts order, empty objects and nulls right.
//!
//! The steps, each a file: [`text`] (tokens) -> parse -> [`size`] (fragments written out; before validation, whose check
//! of overlapping fields is exponential in what this refuses) -> validate -> [`rules`] (what the validator lacks) ->
//! [`coerce`] (variables, by the schema) -> [`plan`] -> the library -> [`settle`]. [`cost`] is counted in the plan, on the
//! operation that runs. [`introspection`] is answered from the schema's description and not by the library.
//!
//! A [`Document`] may be kept and used again; it keeps the shapes that its operations were planned in.

mod coerce;
mod cost;
mod document;
mod executor;
mod introspection;
mod plan;
mod refusal;
mod rules;
mod settle;
mod size;
mod suggest;
mod text;

use std::collections::HashMap;

use apollo_compiler::ast::{DirectiveList, Type};
use apollo_compiler::collections::HashMap as FastMap;
use apollo_compiler::schema::{ExtendedType, FieldDefinition, Implementers};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema, name};
use async_graphql::Value;

pub use self::cost::Cost;
pub use self::document::Document;
pub use self::executor::Guarded;
pub use self::plan::{Kind, Operation};
pub use self::refusal::{Refusal, Refused, extensions};

/// How large an operation may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Names, values and punctuation of a document.
    pub tokens: usize,
    /// Fields of all of a document's operations, fragments written out.
    pub fields: usize,
    /// Directives of all of a document's operations, fragments written out.
    pub directives: usize,
    /// Aliases of the operation that runs.
    pub aliases: usize,
    /// Fields at the root of the operation that runs.
    pub root_fields: usize,
    /// Levels of fields of the operation that runs.
    pub depth: usize,
    /// What the operation that runs may cost.
    pub cost: usize,
}

/// What a schema's description does not say.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// The fields that cost something else than themselves and what is selected below them, by type and name.
    pub costs: &'static [(&'static str, &'static str, Cost)],
    /// Says what is wrong with a value of a custom scalar, by the scalar's name: `must be …`.
    pub scalar: fn(&str, &Value) -> Result<(), String>,
    /// The names of fields whose value depends on the member that asks, beyond its company and roles.
    pub personal: &'static [&'static str],
    /// Whether the schema may be asked for, and suggested from.
    pub public: bool,
}

/// Compiles operations against one schema.
#[derive(Debug)]
pub struct Compiler {
    schema: Valid<Schema>,
    implementers: FastMap<Name, Implementers>,
    /// The object types that each object, interface or union may turn out to be.
    possible: HashMap<Name, Vec<Name>>,
    costs: HashMap<(&'static str, &'static str), Cost>,
    traits: Traits,
    limits: Limits,
}

impl Compiler {
    /// Reads a schema's description.
    ///
    /// # Errors
    /// What is wrong with the description, or a cost of a field that there is not.
    pub fn new(sdl: &str, traits: Traits, limits: Limits) -> Result<Self, String> {
        let schema = Schema::parse_and_validate(sdl, "schema.graphql").map_err(|fault| fault.errors.to_string())?;
        let schema = with_one_of(schema);
        let implementers = schema.implementers_map();
        let mut possible = HashMap::new();
        for (name, ty) in &schema.types {
            let objects = match ty {
                ExtendedType::Object(_) => vec![name.clone()],
                ExtendedType::Interface(_) => {
                    implementers.get(name).map(|them| them.objects.iter().cloned().collect()).unwrap_or_default()
                }
                ExtendedType::Union(union) => union.members.iter().map(|member| member.name.clone()).collect(),
                _ => continue,
            };
            possible.insert(name.clone(), objects);
        }
        let costs = traits.costs.iter().map(|(ty, field, cost)| ((*ty, *field), *cost)).collect();
        if let Some((ty, field, _)) = traits.costs.iter().find(|(ty, field, _)| schema.type_field(ty, field).is_err()) {
            return Err(format!("{ty}.{field} has a cost and is not in the schema"));
        }
        Ok(Self { schema, implementers, possible, costs, traits, limits })
    }
}

/// The schema with `__Type.isOneOf`, which the library does not know yet.
fn with_one_of(schema: Valid<Schema>) -> Valid<Schema> {
    let mut schema = schema.into_inner();
    if let Some(ExtendedType::Object(ty)) = schema.types.get_mut("__Type") {
        let field = FieldDefinition {
            description: Some("Whether exactly one field of this input object must be given.".into()),
            name: name!("isOneOf"),
            arguments: Vec::new(),
            ty: Type::Named(name!("Boolean")),
            directives: DirectiveList::default(),
        };
        ty.make_mut().fields.insert(name!("isOneOf"), field.into());
    }
    Valid::assume_valid(schema)
}

#[cfg(test)]
mod tests;
