//! Pages of lists: what a caller asks for, and what it gets.

use uuid::Uuid;

use super::id::CompanyId;
use crate::error::{Fault, Result};

/// The most entries of a page.
pub const PAGE_MAX: u64 = 100;
/// The entries of a page where the caller names no number.
pub const PAGE_DEFAULT: u64 = 20;

/// The arguments of a connection (the GraphQL Cursor Connections specification).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PageRequest {
    /// The first so many.
    pub first: Option<i64>,
    /// Only those after this cursor.
    pub after: Option<String>,
    /// The last so many.
    pub last: Option<i64>,
    /// Only those before this cursor.
    pub before: Option<String>,
}

/// How many, and from which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many at most.
    pub limit: u64,
    /// The last ones, rather than the first.
    pub last: bool,
}

/// A cursor as it is meant: some clients send the empty text for the list's own end.
pub fn given(cursor: Option<String>) -> Option<String> {
    cursor.filter(|text| !text.is_empty())
}

impl PageRequest {
    /// How many are asked for, and from which end. With 0 the page is empty, and says only whether there is anything.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a number outside of 0 to 100, or for both `first` and `last`.
    pub fn bounds(&self) -> Result<Bounds> {
        let count = |number: i64, field: &str| {
            u64::try_from(number)
                .ok()
                .filter(|number| *number <= PAGE_MAX)
                .ok_or_else(|| Fault::invalid(field, format!("{field} must be from 0 to {PAGE_MAX}; it is {number}.")))
        };
        Ok(match (self.first, self.last) {
            (Some(_), Some(_)) => {
                return Err(Fault::invalid("last", "Give first or last, not both.").into());
            }
            (Some(first), None) => Bounds { limit: count(first, "first")?, last: false },
            (None, Some(last)) => Bounds { limit: count(last, "last")?, last: true },
            (None, None) => Bounds { limit: PAGE_DEFAULT, last: false },
        })
    }
}

/// An entry's place in a list. It is written and signed only where a caller asks for it: that costs more than all else
/// of a small entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The company that it is given to.
    pub company: CompanyId,
    /// Stands for the list and its order.
    pub list: u8,
    /// The entry's sort key.
    pub key: i64,
    /// The entry's id, which decides between equal keys.
    pub id: Uuid,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The entries with their cursors, in the list's order.
    pub edges: Vec<(Cursor, T)>,
    /// Whether there are more after the last.
    pub has_next: bool,
    /// Whether there are more before the first.
    pub has_previous: bool,
}

impl<T> Page<T> {
    #[allow(clippy::fn_params_excessive_bools, reason = "four independent facts of one reading")]
    /// From what was read: `more` says whether there is more in the direction that was read; in the other direction
    /// there is the entry that the cursor names, where the caller gave one.
    pub fn new(edges: Vec<(Cursor, T)>, more: bool, last: bool, after: bool, before: bool) -> Self {
        let (has_next, has_previous) = if last { (before, more) } else { (more, after) };
        Self { edges, has_next, has_previous }
    }

    /// The same page of other things.
    pub fn map<U>(self, f: impl Fn(T) -> U) -> Page<U> {
        Page {
            edges: self.edges.into_iter().map(|(cursor, item)| (cursor, f(item))).collect(),
            has_next: self.has_next,
            has_previous: self.has_previous,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(first: Option<i64>, last: Option<i64>) -> Option<Bounds> {
        PageRequest { first, last, ..PageRequest::default() }.bounds().ok()
    }

    #[test]
    fn a_page_has_at_most_a_hundred_entries_from_one_end() {
        assert_eq!(ask(None, None), Some(Bounds { limit: 20, last: false }));
        assert_eq!(ask(Some(0), None), Some(Bounds { limit: 0, last: false }));
        assert_eq!(ask(None, Some(0)), Some(Bounds { limit: 0, last: true }));
        assert_eq!(ask(Some(1), None), Some(Bounds { limit: 1, last: false }));
        assert_eq!(ask(None, Some(100)), Some(Bounds { limit: 100, last: true }));
        for (first, last) in
            [(Some(-1), None), (Some(101), None), (None, Some(-1)), (Some(1), Some(1)), (Some(0), Some(0))]
        {
            assert_eq!(ask(first, last), None, "{first:?} {last:?}");
        }
    }

    proptest! {
        #[test]
        fn every_number_gives_a_page_of_that_many_or_is_refused(number in prop_oneof![-3_i64..=103, any::<i64>()]) {
            let limit = u64::try_from(number).ok().filter(|_| (0..=100).contains(&number));
            prop_assert_eq!(ask(Some(number), None), limit.map(|limit| Bounds { limit, last: false }));
            prop_assert_eq!(ask(None, Some(number)), limit.map(|limit| Bounds { limit, last: true }));
        }
    }

    #[test]
    fn the_empty_text_is_no_cursor() {
        for (text, cursor) in [(None, None), (Some(""), None), (Some(" "), Some(" ")), (Some("x"), Some("x"))] {
            assert_eq!(given(text.map(str::to_owned)).as_deref(), cursor);
        }
    }
}
