//! Values as the schema wants them: variables that come as JSON, and literals of a document
//! (sections 3.5 to 3.12 and 6.1.2 of the specification).
//!
//! All of it happens before anything is executed, so that no value is found to be wrong after a write.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use apollo_compiler::ast::{Type, Value as Ast};
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::SourceMap;
use apollo_compiler::schema::{EnumType, ExtendedType, InputObjectType};
use apollo_compiler::{Name, Node};
use async_graphql::indexmap::IndexMap;
use async_graphql::{Name as Key, Value};
use serde_json::{Map, Value as Json};

use super::Compiler;
use super::refusal::{Refusal, Refused, position};

/// The values of an operation's variables; one that is absent has none.
pub(super) type Values = HashMap<Name, Value>;

/// The longest text of a caller's value in a message, in bytes.
const MAX_SHOWN: usize = 40;
/// The largest whole number that a float holds exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// A place in a variable's value.
#[derive(Clone, Copy)]
enum Place<'a> {
    Variable(&'a str),
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "${name}"),
            Self::Field(of, name) => write!(f, "{of}.{name}"),
            Self::Item(of, index) => write!(f, "{of}.{index}"),
        }
    }
}

/// A caller's value, cut short.
struct Shown<'a>(&'a Json);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Json::Array(_) => f.write_str("a list"),
            Json::Object(_) => f.write_str("an object"),
            Json::String(text) if text.len() > MAX_SHOWN => {
                write!(f, "\"{}…\"", &text[..text.floor_char_boundary(MAX_SHOWN)])
            }
            other => other.fmt(f),
        }
    }
}

impl Compiler {
    /// The values of an operation's variables, with their defaults.
    ///
    /// # Errors
    /// Each value that does not fit its type.
    pub(super) fn variables(
        &self,
        operation: &Operation,
        given: &Map<String, Json>,
        sources: &SourceMap,
    ) -> Result<Values, Refused> {
        let mut values = Values::new();
        let mut refusals = Vec::new();
        for variable in &operation.variables {
            let mut faults = Vec::new();
            let value = match (given.get(variable.name.as_str()), &variable.default_value) {
                (None | Some(Json::Null), None) if variable.ty.is_non_null() => {
                    faults.push(format!("The variable ${} must be given, and not null.", variable.name));
                    None
                }
                (Some(json), _) => Some(self.json(&variable.ty, json, &Place::Variable(&variable.name), &mut faults)),
                (None, Some(default)) => self.literal(&variable.ty, default, &Values::new(), sources)?,
                (None, None) => None,
            };
            let pos = position(variable.location(), sources);
            refusals.extend(faults.into_iter().map(|fault| Refusal { pos, ..Refusal::invalid(fault) }));
            if let Some(value) = value {
                values.insert(variable.name.clone(), value);
            }
            if refusals.len() > Refused::MOST {
                break;
            }
        }
        if refusals.is_empty() { Ok(values) } else { Err(Refused::because(refusals)) }
    }

    fn json(&self, ty: &Type, json: &Json, place: &Place<'_>, faults: &mut Vec<String>) -> Value {
        if faults.len() > Refused::MOST {
            return Value::Null;
        }
        if json.is_null() {
            if ty.is_non_null() {
                faults.push(format!("{place} must not be null: it is {}.", a(ty)));
            }
            return Value::Null;
        }
        if ty.is_list() {
            let inner = ty.item_type();
            return Value::List(match json {
                Json::Array(items) => items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.json(inner, item, &Place::Item(place, index), faults))
                    .collect(),
                one => vec![self.json(inner, one, place, faults)],
            });
        }
        let name = ty.inner_named_type();
        let found = match self.schema.types.get(name) {
            Some(ExtendedType::Enum(def)) => json
                .as_str()
                .filter(|text| def.values.contains_key(*text))
                .map(|text| Value::Enum(Key::new(text)))
                .ok_or_else(|| if self.traits.public { one_of(def) } else { format!("must be a value of {name}") }),
            Some(ExtendedType::InputObject(def)) => match json {
                Json::Object(object) => return self.input_object(def, object, place, faults),
                _ => Err(format!("must be an object, {}", a(name))),
            },
            Some(ExtendedType::Scalar(def)) if def.is_built_in() => built_in(name, json),
            _ => Value::from_json(json.clone())
                .map_err(|fault| fault.to_string())
                .and_then(|value| (self.traits.scalar)(name, &value).map(|()| value)),
        };
        found.unwrap_or_else(|what| {
            faults.push(format!("{place} {what}; it is {}.", Shown(json)));
            Value::Null
        })
    }

    fn input_object(
        &self,
        def: &InputObjectType,
        given: &Map<String, Json>,
        place: &Place<'_>,
        faults: &mut Vec<String>,
    ) -> Value {
        for key in given.keys().filter(|key| !def.fields.contains_key(key.as_str())).take(Refused::MOST) {
            let key = &key[..key.floor_char_boundary(MAX_SHOWN)];
            let hint = self.similar(key, def.fields.keys().map(Name::as_str));
            let end = if hint.is_empty() { "." } else { &hint };
            faults.push(format!("{place} must not have a field `{key}`: {} has none{end}", def.name));
        }
        let mut object = IndexMap::with_capacity(given.len());
        for (name, field) in &def.fields {
            let value = match (given.get(name.as_str()), &field.default_value) {
                (Some(json), _) => self.json(&field.ty, json, &Place::Field(place, name), faults),
                (None, Some(default)) => self.constant(&field.ty, default),
                (None, None) if field.ty.is_non_null() => {
                    let name = if self.traits.public { name.as_str() } else { "…" };
                    faults.push(format!("{place}.{name} must be given: it is {}.", a(&field.ty)));
                    continue;
                }
                (None, None) => continue,
            };
            object.insert(Key::new(name.as_str()), value);
        }
        Value::Object(object)
    }

    /// A default of the schema, which was found valid with it.
    fn constant(&self, ty: &Type, value: &Node<Ast>) -> Value {
        self.literal(ty, value, &Values::new(), &SourceMap::default()).ok().flatten().unwrap_or_default()
    }

    /// A literal of a valid document with its variables; nothing where it is a variable that was not given.
    ///
    /// # Errors
    /// A variable is null, or absent, where null may not stand.
    pub(super) fn literal(
        &self,
        ty: &Type,
        value: &Node<Ast>,
        values: &Values,
        sources: &SourceMap,
    ) -> Result<Option<Value>, Refusal> {
        let refuse = |message: String| Refusal::invalid(message).within(value.location(), sources);
        if let Ast::Variable(name) = value.as_ref() {
            return match values.get(name) {
                Some(Value::Null) if ty.is_non_null() => {
                    Err(refuse(format!("${name} must not be null here: it stands for {}.", a(ty))))
                }
                known => Ok(known.cloned()),
            };
        }
        if value.is_null() {
            return Ok(Some(Value::Null));
        }
        if ty.is_list() {
            let inner = ty.item_type();
            let item = |item: &Node<Ast>| match self.literal(inner, item, values, sources)? {
                None if inner.is_non_null() => {
                    Err(refuse(format!("A variable without a value can't stand in a list of {inner}.")))
                }
                found => Ok(found.unwrap_or_default()),
            };
            return Ok(Some(Value::List(match value.as_ref() {
                Ast::List(items) => items.iter().map(item).collect::<Result<_, _>>()?,
                _ => vec![item(value)?],
            })));
        }
        let name = ty.inner_named_type();
        Ok(Some(match (self.schema.types.get(name), value.as_ref()) {
            (Some(ExtendedType::InputObject(def)), Ast::Object(given)) => {
                let mut object = IndexMap::with_capacity(given.len());
                for (field, def) in &def.fields {
                    let given = given.iter().find(|(name, _)| name == field).map(|(_, value)| value);
                    let given = match given {
                        Some(value) => self.literal(&def.ty, value, values, sources)?,
                        None => None,
                    };
                    let value = match (given, &def.default_value) {
                        (Some(value), _) => value,
                        (None, Some(default)) => self.constant(&def.ty, default),
                        (None, None) if def.ty.is_non_null() => {
                            return Err(refuse(format!(
                                "The input field {field} must be given: it is {}.",
                                a(&def.ty)
                            )));
                        }
                        (None, None) => continue,
                    };
                    object.insert(Key::new(field.as_str()), value);
                }
                Value::Object(object)
            }
            (Some(ExtendedType::Scalar(def)), _) if !def.is_built_in() => {
                let value = untyped(value, values).unwrap_or_default();
                (self.traits.scalar)(name, &value).map_err(|what| refuse(format!("This {name} {what}.")))?;
                value
            }
            (_, Ast::Int(int)) if name == "ID" => Value::String(int.as_str().to_owned()),
            _ => untyped(value, values).unwrap_or_default(),
        }))
    }

    /// Whether the type is a scalar of this schema alone.
    pub(super) fn is_custom_scalar(&self, ty: &Type) -> bool {
        matches!(self.schema.types.get(ty.inner_named_type()), Some(ExtendedType::Scalar(def)) if !def.is_built_in())
    }
}

/// With its article.
fn a(ty: impl fmt::Display) -> String {
    let text = ty.to_string();
    let vowel = text.starts_with(['A', 'E', 'I', 'O', 'U']) && !text.starts_with("Us") && !text.starts_with("Un");
    format!("{} {text}", if vowel { "an" } else { "a" })
}

/// A value of a scalar that GraphQL itself has (section 3.5). JSON has one kind of number: `1.0` is an `Int`.
fn built_in(name: &str, json: &Json) -> Result<Value, String> {
    let whole = || {
        json.as_i64().or_else(|| {
            let whole = json.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= MAX_EXACT)?;
            #[allow(clippy::cast_possible_truncation, reason = "whole, and exact in an i64")]
            Some(whole as i64)
        })
    };
    let found = match (name, json) {
        ("Int", Json::Number(_)) => whole().and_then(|whole| i32::try_from(whole).ok()).map(Value::from),
        ("Float", Json::Number(number)) => Some(Value::Number(number.clone())),
        ("String" | "ID", Json::String(text)) => Some(Value::String(text.clone())),
        ("ID", Json::Number(_)) => whole().map(|whole| Value::String(whole.to_string())),
        ("Boolean", Json::Bool(flag)) => Some(Value::Boolean(*flag)),
        _ => None,
    };
    found.ok_or_else(|| match name {
        "Int" => "must be a whole number of 32 bits".to_owned(),
        "Float" => "must be a number".to_owned(),
        "Boolean" => "must be true or false".to_owned(),
        "ID" => "must be an ID, as a string".to_owned(),
        _ => "must be a string".to_owned(),
    })
}

fn one_of(def: &EnumType) -> String {
    let mut text = "must be one of ".to_owned();
    for (index, name) in def.values.keys().enumerate() {
        let _ = write!(text, "{}{name}", if index == 0 { "" } else { ", " });
    }
    text
}

/// A literal as it stands; nothing where it is a variable that was not given.
fn untyped(value: &Ast, values: &Values) -> Option<Value> {
    let number = |text: &str| text.parse().map(Value::Number).unwrap_or_default();
    Some(match value {
        Ast::Null => Value::Null,
        Ast::Enum(name) => Value::Enum(Key::new(name.as_str())),
        Ast::Variable(name) => return values.get(name).cloned(),
        Ast::String(text) => Value::String(text.clone()),
        Ast::Boolean(flag) => Value::Boolean(*flag),
        // JSON would keep the sign.
        Ast::Int(int) if int.as_str() == "-0" => Value::from(0),
        Ast::Int(int) => number(int.as_str()),
        Ast::Float(float) => number(float.as_str()),
        Ast::List(items) => Value::List(items.iter().map(|item| untyped(item, values).unwrap_or_default()).collect()),
        Ast::Object(fields) => Value::Object(
            fields
                .iter()
                .filter_map(|(name, field)| Some((Key::new(name.as_str()), untyped(field, values)?)))
                .collect(),
        ),
    })
}
