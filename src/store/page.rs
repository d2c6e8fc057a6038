//! Keyset pagination: a list's place is the sort key and id of an entry, and its cost does not grow with the table.

use sea_orm::{
    ExprTrait, Order, QueryOrder, QuerySelect, Value,
    sea_query::{Expr, IntoColumnRef},
};

/// The place of an entry in a list: its sort key and its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Place<K> {
    /// The sort key.
    pub key: K,
    /// The id, which decides between equal keys.
    pub id: uuid::Uuid,
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Window<K> {
    /// How many entries at most.
    pub limit: u64,
    /// Only those after this place, in the list's order.
    pub after: Option<Place<K>>,
    /// Only those before this place, in the list's order.
    pub before: Option<Place<K>>,
    /// Whether the last ones are asked for, rather than the first.
    pub last: bool,
    /// Whether the list runs from the greatest key down.
    pub descending: bool,
}

/// A part of a list, in the list's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Whether there are more in the direction that was read.
    pub more: bool,
}

impl<T> Slice<T> {
    /// From rows that were read with one row more than asked for.
    pub fn cut(mut rows: Vec<T>, limit: u64, last: bool) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        if last {
            rows.reverse();
        }
        Self { items: rows, more }
    }
}

impl<K: Clone + Into<Value>> Window<K> {
    /// Adds bounds, order and limit to a select, and reads one row more than asked for.
    pub fn apply<S>(&self, mut select: S, key: impl IntoColumnRef + Copy, id: impl IntoColumnRef + Copy) -> S
    where
        S: QuerySelect + QueryOrder + sea_orm::QueryFilter,
    {
        let tuple = || Expr::tuple([Expr::col(key), Expr::col(id)]);
        let place = |p: &Place<K>| Expr::tuple([Expr::val(p.key.clone()), Expr::val(p.id)]);
        for (bound, later) in [(&self.after, true), (&self.before, false)] {
            if let Some(bound) = bound {
                let greater = later != self.descending;
                let condition = if greater { tuple().gt(place(bound)) } else { tuple().lt(place(bound)) };
                select = select.filter(condition);
            }
        }
        let order = if self.descending == self.last { Order::Asc } else { Order::Desc };
        select.order_by(Expr::col(key), order.clone()).order_by(Expr::col(id), order).limit(self.limit + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Slice;

    proptest! {
        #[test]
        fn a_slice_has_what_was_asked_for_and_says_whether_there_is_more(length in 0_usize..8, limit in 0_usize..8) {
            let list: Vec<usize> = (0..length).collect();
            let wanted = limit.min(length);
            let more = length > limit;
            let forwards = list.iter().copied().take(limit + 1).collect();
            let items = list[..wanted].to_vec();
            prop_assert_eq!(Slice::cut(forwards, limit as u64, false), Slice { items, more });
            let backwards = list.iter().copied().rev().take(limit + 1).collect();
            let items = list[length - wanted..].to_vec();
            prop_assert_eq!(Slice::cut(backwards, limit as u64, true), Slice { items, more });
        }
    }
}
