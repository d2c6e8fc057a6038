//! Connections (the GraphQL Cursor Connections specification).

use std::{borrow::Cow, sync::Arc};

use async_graphql::{
    ContextSelectionSet, OutputType, Positioned, ServerResult, SimpleObject, Value, parser::types::Field,
    registry::Registry,
};

use crate::{
    domain::page::{self, Page, PageRequest, given},
    service::Service,
};

/// A cursor as a `String` of the schema, written where it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Cursor(pub(super) page::Cursor);

impl OutputType for Cursor {
    fn type_name() -> Cow<'static, str> {
        <String as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <String as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _field: &Positioned<Field>) -> ServerResult<Value> {
        let service = ctx.data_unchecked::<Arc<Service>>();
        Ok(Value::String(service.cursors().text(&self.0)))
    }
}

/// Where a page stands in its list.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(serial)]
pub struct PageInfo {
    /// Whether there are more entries after the last of this page.
    pub has_next_page: bool,
    /// Whether there are more entries before the first of this page.
    pub has_previous_page: bool,
    /// The cursor of the first entry; null for an empty page.
    pub start_cursor: Option<Cursor>,
    /// The cursor of the last entry; null for an empty page.
    pub end_cursor: Option<Cursor>,
}

impl PageInfo {
    pub(super) fn of<T>(page: &Page<T>) -> Self {
        Self {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.edges.first().map(|(cursor, _)| Cursor(*cursor)),
            end_cursor: page.edges.last().map(|(cursor, _)| Cursor(*cursor)),
        }
    }
}

/// The arguments of a connection as the service takes them.
pub(super) fn request(
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
) -> PageRequest {
    let (first, last) = (first.map(Into::into), last.map(Into::into));
    PageRequest { first, after: given(after), last, before: given(before) }
}

/// A connection type and its edge type; `extra` fields stand on the connection.
macro_rules! connection {
    ($connection:ident, $edge:ident, $node:ty, $what:literal $(, $complex:ident { $($extra:tt)* })?) => {
        #[doc = concat!("A page of ", $what, ".")]
        #[derive(Clone, Debug, async_graphql::SimpleObject)]
        #[graphql(serial $(, $complex)?)]
        pub struct $connection {
            #[doc = concat!("The ", $what, " of this page, each with its cursor.")]
            pub edges: Vec<$crate::graphql::direct::Direct<$edge>>,
            /// Where this page stands in its list.
            pub page_info: $crate::graphql::page::PageInfo,
            $($($extra)*)?
        }

        #[doc = concat!("An entry of a page of ", $what, ".")]
        #[derive(Clone, Debug, async_graphql::SimpleObject)]
        #[graphql(serial)]
        pub struct $edge {
            /// Its place in the list: opaque, valid for the viewer's company and for this order.
            pub cursor: $crate::graphql::page::Cursor,
            /// The entry itself.
            pub node: $crate::graphql::direct::Direct<$node>,
        }
    };
}
pub(super) use connection;

/// A connection out of a page.
macro_rules! connect {
    ($page:expr, $connection:ident, $edge:ident, $into:expr $(, $extra:ident: $value:expr)*) => {{
        let page = $page;
        let page_info = $crate::graphql::page::PageInfo::of(&page);
        let edge = |(cursor, item)| {
            let node = $crate::graphql::direct::Direct($into(item));
            $crate::graphql::direct::Direct($edge { cursor: $crate::graphql::page::Cursor(cursor), node })
        };
        let edges = page.edges.into_iter().map(edge).collect();
        $connection { edges, page_info $(, $extra: $value)* }
    }};
}
pub(super) use connect;
