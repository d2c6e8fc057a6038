//! What an update says about one field: nothing, that it is cleared, or its new value.

/// Absent means unchanged, null means cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field is not mentioned: it stays as it is.
    #[default]
    Absent,
    /// The field is null: it is cleared.
    Null,
    /// The field has this value from now on.
    Value(T),
}

impl<T> Patch<T> {
    /// Whether the field is not mentioned.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The new value, where there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The same saying about another type.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Absent => Patch::Absent,
            Self::Null => Patch::Null,
            Self::Value(value) => Patch::Value(f(value)),
        }
    }

    /// What stands after the update, where `current` stands now.
    pub fn apply(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Absent => current,
            Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }

    /// What stands after the update; a new value goes through `check` first, whose none is a fault already told.
    pub fn checked<U>(self, current: Option<U>, check: impl FnOnce(T) -> Option<U>) -> Option<U> {
        match self {
            Self::Absent => current,
            Self::Null => None,
            Self::Value(value) => check(value),
        }
    }
}

/// The outer none is absent, the inner one null.
impl<T> From<Option<Option<T>>> for Patch<T> {
    fn from(value: Option<Option<T>>) -> Self {
        match value {
            None => Self::Absent,
            Some(None) => Self::Null,
            Some(Some(value)) => Self::Value(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_keeps_null_clears_and_a_value_replaces() {
        assert_eq!(Patch::Absent.apply(Some(1)), Some(1));
        assert_eq!(Patch::Null.apply(Some(1)), None);
        assert_eq!(Patch::Value(2).apply(Some(1)), Some(2));
        assert_eq!(Patch::Value(2).map(|n| n + 1), Patch::Value(3));
        assert_eq!(Patch::from(Some(Some(1))), Patch::Value(1));
        assert_eq!(Patch::<i32>::from(Some(None)), Patch::Null);
        assert!(Patch::<i32>::from(None).is_absent());
        assert_eq!(Patch::Value(2).value(), Some(2));
        assert_eq!(Patch::<i32>::Null.value(), None);
    }
}
