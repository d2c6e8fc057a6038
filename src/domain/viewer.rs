//! Who asks, as far as a request knows.

use super::actor::Member;

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Nobody said who they are: the schema can be read, nothing else.
    Anonymous,
    /// A member whose token held.
    Member(Member),
}

impl Viewer {
    /// The member, when there is one.
    pub fn member(&self) -> Option<&Member> {
        match self {
            Self::Anonymous => None,
            Self::Member(member) => Some(member),
        }
    }
}
