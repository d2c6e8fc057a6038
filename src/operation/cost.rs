//! What an operation costs: a field 1, times the size of the page that it is in; `__typename` nothing. Where a place may
//! hold objects of several types, the dearest counts.

use apollo_compiler::schema::FieldDefinition;
use async_graphql::Value;

use super::Compiler;

/// What a field costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// So much itself, and so many times what is selected below it.
    Of(usize, usize),
    /// 1, and what is selected below it for each entry that the list in this argument names, at most so many.
    Each(&'static str, usize),
    /// The field gives this many pages, whose size is in this argument, or else so much.
    Pages {
        /// How many pages.
        pages: usize,
        /// The argument.
        size: &'static str,
        /// The size where the argument is absent.
        default: usize,
    },
    /// A page of a list: 1, and what is selected below it for each entry that may come. The size is the argument `first`,
    /// or `last`, or 20.
    Page,
}

/// The largest page.
const MAX_PAGE: usize = 100;

impl Compiler {
    /// The cost of a field of a type: that which is set for it; else of a connection its page, as the Relay specification
    /// shapes it, and 1 of any other.
    pub(super) fn cost(&self, parent: &str, field: &FieldDefinition) -> Cost {
        if field.name == "__typename" {
            return Cost::Of(0, 0);
        }
        let special = self.costs.get(&(parent, field.name.as_str())).copied();
        let paged = || field.ty.inner_named_type().ends_with("Connection") && field.argument_by_name("first").is_some();
        special.unwrap_or_else(|| if paged() { Cost::Page } else { Cost::Of(1, 1) })
    }
}

impl Cost {
    /// What a field comes to, by what is selected below it and its arguments.
    pub(super) fn of<'v>(self, below: usize, argument: impl Fn(&str) -> Option<&'v Value>) -> usize {
        let size = |name: &str| match argument(name) {
            Some(Value::Number(number)) => Some(usize::try_from(number.as_i64()?).unwrap_or(1).clamp(1, MAX_PAGE)),
            _ => None,
        };
        match self {
            Self::Of(itself, times) => below.saturating_mul(times).saturating_add(itself),
            Self::Each(name, most) => {
                let count = match argument(name) {
                    Some(Value::List(all)) => all.len().min(most),
                    _ => most,
                };
                below.saturating_mul(count).saturating_add(1)
            }
            Self::Pages { pages, size: name, default } => {
                below.saturating_mul(pages.saturating_mul(size(name).unwrap_or(default))).saturating_add(1)
            }
            Self::Page => {
                let entries = size("first").or_else(|| size("last")).unwrap_or(20);
                below.saturating_mul(entries).saturating_add(1)
            }
        }
    }
}
