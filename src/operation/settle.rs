//! The library's answer as the specification has it: the order of fields, `{}` where nothing applies, and null where a
//! field failed or, where that may not be null, in the place of the nearest parent that may (section 6.4.4).

use apollo_compiler::ast::Type;
use async_graphql::indexmap::IndexMap;
use async_graphql::{PathSegment, Response, Value};

use super::plan::{Answer, Class, Operation, Set, TYPE};

/// The paths of errors at or below a place, from there.
type Failed<'f, 'e> = &'f [&'e [PathSegment]];

impl Operation {
    /// Puts right what the library answered.
    pub fn settle(&self, mut response: Response) -> Response {
        if let Some(schema) = &self.asked {
            if response.data == Value::Null && response.errors.iter().all(|error| !error.path.is_empty()) {
                response.data = Value::Object(IndexMap::new());
            }
            if let Value::Object(data) = &mut response.data {
                data.extend(schema.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        let failed: Vec<&[PathSegment]> = response.errors.iter().map(|error| error.path.as_slice()).collect();
        if !self.shape.root.settle(&mut response.data, &failed) {
            response.data = Value::Null;
        }
        response
    }

    /// The answer of an operation of which nothing is executed.
    pub fn settle_nothing(&self) -> Response {
        self.settle(Response::new(Value::Object(IndexMap::new())))
    }
}

impl Set {
    /// Whether the place holds: it does not where null may not be.
    fn settle(&self, value: &mut Value, failed: Failed<'_, '_>) -> bool {
        if matches!(value, Value::Null) && failed.iter().any(|path| !path.is_empty()) {
            // All of its fields failed, which the library takes for no object.
            *value = Value::Object(IndexMap::new());
        }
        let Value::Object(object) = value else { return true };
        let Some(class) = self.class(object) else { return true };
        let in_order = object.len() == class.keys.len()
            && object.keys().zip(&class.keys).all(|(key, expected)| {
                // The library hands back the name that it was given.
                std::ptr::eq(key.as_str(), expected.as_str()) || key == expected
            });
        if in_order && failed.is_empty() {
            return class.nested.iter().all(|index| {
                let answer = &class.answer[*index];
                object.get_index_mut(*index).is_none_or(|(_, value)| answer.settle(&answer.ty, value, failed))
            });
        }
        if in_order {
            return object.values_mut().zip(&class.answer).all(|(value, answer)| answer.place(value, failed));
        }
        let mut found = std::mem::take(object);
        for answer in &class.answer {
            let mut value = found.swap_remove(&answer.field.key).unwrap_or_default();
            if !answer.place(&mut value, failed) {
                return false;
            }
            object.insert(answer.field.key.clone(), value);
        }
        true
    }

    /// The class of an object, by the type that it was asked for.
    fn class(&self, object: &mut IndexMap<async_graphql::Name, Value>) -> Option<&Class> {
        let ty = if self.typed { object.shift_remove(TYPE) } else { None };
        let index = match &ty {
            Some(Value::String(ty)) => self.class_of.get(ty.as_str()).copied().unwrap_or(0),
            _ => 0,
        };
        self.classes.get(index)
    }
}

impl Answer {
    fn place(&self, value: &mut Value, failed: Failed<'_, '_>) -> bool {
        if failed.is_empty() {
            return self.settle(&self.ty, value, failed);
        }
        let key = self.field.key.as_str();
        self.settle(
            &self.ty,
            value,
            &below(failed, |segment| matches!(segment, PathSegment::Field(name) if name == key)),
        )
    }

    fn settle(&self, ty: &Type, value: &mut Value, failed: Failed<'_, '_>) -> bool {
        let holds = match (&self.field.below, &mut *value) {
            (_, Value::List(items)) if ty.is_list() => {
                let inner = ty.item_type();
                if failed.is_empty() {
                    self.field.below.is_none() || items.iter_mut().all(|item| self.settle(inner, item, failed))
                } else {
                    items.iter_mut().enumerate().all(|(index, item)| {
                        let here = |segment: &PathSegment| matches!(segment, PathSegment::Index(it) if *it == index);
                        self.settle(inner, item, &below(failed, here))
                    })
                }
            }
            (Some(set), value) if !ty.is_list() => set.settle(value, failed),
            _ => true,
        };
        if !holds {
            *value = Value::Null;
        }
        !(matches!(value, Value::Null) && ty.is_non_null())
    }
}

/// The paths that lead on through here, from the next place on.
fn below<'e>(failed: Failed<'_, 'e>, here: impl Fn(&PathSegment) -> bool) -> Vec<&'e [PathSegment]> {
    let on = |path: &&'e [PathSegment]| path.split_first().filter(|(first, _)| here(first)).map(|(_, rest)| rest);
    failed.iter().filter_map(on).collect()
}
