//! Connections (the GraphQL Cursor Connections specification).

use async_graphql::SimpleObject;

use crate::domain::page::{Page, PageRequest};

/// Where a page stands in its list.
#[derive(Clone, Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether there are more entries after the last of this page.
    pub has_next_page: bool,
    /// Whether there are more entries before the first of this page.
    pub has_previous_page: bool,
    /// The cursor of the first entry; null for an empty page.
    pub start_cursor: Option<String>,
    /// The cursor of the last entry; null for an empty page.
    pub end_cursor: Option<String>,
}

impl PageInfo {
    pub(super) fn of<T>(page: &Page<T>) -> Self {
        Self {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.edges.first().map(|(cursor, _)| cursor.clone()),
            end_cursor: page.edges.last().map(|(cursor, _)| cursor.clone()),
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
    PageRequest { first: first.map(Into::into), after, last: last.map(Into::into), before }
}

/// What a page's entries cost: each selected field once for every entry that may come.
pub(super) fn cost(first: Option<i32>, last: Option<i32>, child: usize) -> usize {
    let entries = usize::try_from(first.or(last).unwrap_or(20)).unwrap_or(1).clamp(1, 100);
    entries.saturating_mul(child).saturating_add(1)
}

/// A connection type and its edge type; `extra` fields stand on the connection.
macro_rules! connection {
    ($connection:ident, $edge:ident, $node:ty, $what:literal $(, $complex:ident { $($extra:tt)* })?) => {
        #[doc = concat!("A page of ", $what, ".")]
        #[derive(async_graphql::SimpleObject)]
        $(#[graphql($complex)])?
        pub struct $connection {
            #[doc = concat!("The ", $what, " of this page, each with its cursor.")]
            pub edges: Vec<$edge>,
            /// Where this page stands in its list.
            pub page_info: $crate::graphql::page::PageInfo,
            $($($extra)*)?
        }

        #[doc = concat!("An entry of a page of ", $what, ".")]
        #[derive(async_graphql::SimpleObject)]
        pub struct $edge {
            /// Its place in the list: opaque, valid for the viewer's company and for this order.
            pub cursor: String,
            /// The entry itself.
            pub node: $node,
        }
    };
}
pub(super) use connection;

/// A connection out of a page.
macro_rules! connect {
    ($page:expr, $connection:ident, $edge:ident, $into:expr $(, $extra:ident: $value:expr)*) => {{
        let page = $page;
        let page_info = $crate::graphql::page::PageInfo::of(&page);
        let edges = page.edges.into_iter().map(|(cursor, item)| $edge { cursor, node: $into(item) }).collect();
        $connection { edges, page_info $(, $extra: $value)* }
    }};
}
pub(super) use connect;
