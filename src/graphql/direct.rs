//! Objects whose fields are resolved in place.

use std::borrow::Cow;

use async_graphql::{
    ContainerType, ContextSelectionSet, OutputType, Positioned, ServerResult, Value,
    indexmap::IndexMap,
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
        let mut object = IndexMap::with_capacity(items.len());
        for item in items {
            let Selection::Field(field) = &item.node else {
                // An object's operation as it is compiled has none.
                return Box::pin(self.0.resolve(ctx, field)).await;
            };
            let key = field.node.response_key().node.clone();
            if field.node.name.node == "__typename" {
                object.insert(key, Value::String(self.0.introspection_type_name().into_owned()));
                continue;
            }
            match self.0.resolve_field(&ctx.with_field(field)).await {
                Ok(value) => drop(object.insert(key, value.unwrap_or_default())),
                Err(error) => ctx.add_error(error),
            }
        }
        // As the library has it; what a failed field leaves behind is settled in `crate::operation`.
        Ok(if object.is_empty() { Value::Null } else { Value::Object(object) })
    }
}
