//! Objects whose fields are resolved in place.

use std::borrow::Cow;

use async_graphql::{
    ContainerType, ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value,
    indexmap::{IndexMap, map::Entry},
    parser::types::{Field, Selection},
    registry::Registry,
};

/// An object whose fields are resolved one after the other, in place. The library makes a task on the heap of each
/// field, which costs several times what most fields cost themselves, and that once for every entry of a page.
///
/// For what stands in lists. A type must not contain itself by way of such objects alone. Extensions of the library,
/// of which the schema has none, would not be told of such fields.
#[derive(Clone, Debug)]
pub struct Direct<T>(pub T);

impl<T: ContainerType> OutputType for Direct<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn qualified_type_name() -> String {
        T::qualified_type_name()
    }

    fn introspection_type_name(&self) -> Cow<'static, str> {
        self.0.introspection_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        let items = &ctx.item.node.items;
        if !items.iter().all(|item| is_plain(&item.node)) {
            return Box::pin(self.0.resolve(ctx, field)).await;
        }
        let mut object = IndexMap::with_capacity(items.len());
        for item in items {
            let Selection::Field(field) = &item.node else { continue };
            match self.0.resolve_field(&ctx.with_field(field)).await {
                Ok(value) => merge(&mut object, field.node.response_key().node.clone(), value.unwrap_or_default()),
                Err(error) => ctx.add_error(error),
            }
        }
        // As the library has it; what a failed field leaves behind is settled in `http::nulls`.
        Ok(if object.is_empty() { Value::Null } else { Value::Object(object) })
    }
}

/// Fragments, directives and type names are left to the library.
fn is_plain(selection: &Selection) -> bool {
    matches!(selection, Selection::Field(field)
        if field.node.directives.is_empty() && field.node.name.node != "__typename")
}

/// Puts a field into an object, where another selection of it may have come before.
fn merge(object: &mut IndexMap<Name, Value>, name: Name, value: Value) {
    match object.entry(name) {
        Entry::Vacant(place) => {
            place.insert(value);
        }
        Entry::Occupied(mut place) => match (place.get_mut(), value) {
            (Value::Object(earlier), Value::Object(later)) => {
                later.into_iter().for_each(|(name, value)| merge(earlier, name, value));
            }
            (Value::List(earlier), Value::List(later)) => {
                for (earlier, later) in earlier.iter_mut().zip(later) {
                    if let (Value::Object(earlier), Value::Object(later)) = (earlier, later) {
                        later.into_iter().for_each(|(name, value)| merge(earlier, name, value));
                    }
                }
            }
            _ => {}
        },
    }
}
