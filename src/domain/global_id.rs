//! Opaque global ids: what a thing is and which one, in one short text.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

/// What a global id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeType {
    /// A company.
    Company,
    /// A member.
    Member,
    /// A partnership.
    Partnership,
    /// A lead.
    Lead,
    /// An opportunity.
    Opportunity,
    /// A comment.
    Comment,
    /// A task.
    Task,
    /// An entry of the caller's company's log.
    Activity,
    /// A template.
    LeadTemplate,
    /// A marketing list.
    MarketingList,
    /// A version of a workflow.
    Workflow,
}

impl NodeType {
    const ALL: [Self; 11] = [
        Self::Company,
        Self::Member,
        Self::Partnership,
        Self::Lead,
        Self::Opportunity,
        Self::Comment,
        Self::Task,
        Self::Activity,
        Self::LeadTemplate,
        Self::MarketingList,
        Self::Workflow,
    ];

    const fn tag(self) -> u8 {
        match self {
            Self::Company => 1,
            Self::Member => 2,
            Self::Partnership => 3,
            Self::Lead => 4,
            Self::Opportunity => 5,
            Self::Comment => 6,
            Self::Task => 7,
            Self::Activity => 8,
            Self::LeadTemplate => 9,
            Self::MarketingList => 20,
            Self::Workflow => 10,
        }
    }

    /// The name of its GraphQL type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Company => "Company",
            Self::Member => "Member",
            Self::Partnership => "Partnership",
            Self::Lead => "Lead",
            Self::Opportunity => "Opportunity",
            Self::Comment => "Comment",
            Self::Task => "Task",
            Self::Activity => "Activity",
            Self::LeadTemplate => "LeadTemplate",
            Self::MarketingList => "MarketingList",
            Self::Workflow => "Workflow",
        }
    }
}

/// The global id of a thing.
pub fn encode(kind: NodeType, id: Uuid) -> String {
    let mut bytes = [0; 17];
    bytes[0] = kind.tag();
    bytes[1..].copy_from_slice(id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a global id names; `None` where it is not one.
pub fn decode(text: &str) -> Option<(NodeType, Uuid)> {
    if text.len() != 23 {
        return None;
    }
    let bytes: [u8; 17] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let kind = NodeType::ALL.into_iter().find(|kind| kind.tag() == bytes[0])?;
    Some((kind, Uuid::from_slice(&bytes[1..]).ok()?))
}

/// The id of a thing of that kind.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn expect(text: &str, kind: NodeType) -> Result<Uuid, String> {
    match decode(text) {
        Some((found, id)) if found == kind => Ok(id),
        Some((found, _)) => {
            Err(format!("This is the id of a {}; the id of a {} is needed.", found.name(), kind.name()))
        }
        None => Err(format!("This is not an id; the id of a {} as the server gave it is needed.", kind.name())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_names_its_kind_and_itself() {
        let id = Uuid::from_u128(0x0190_2c5c_0000_7000_8000_0000_0000_0001);
        for kind in NodeType::ALL {
            assert_eq!(decode(&encode(kind, id)), Some((kind, id)));
            assert_eq!(expect(&encode(kind, id), kind), Ok(id));
        }
        assert!(expect(&encode(NodeType::Task, id), NodeType::Lead).is_err_and(|text| text.contains("id of a Task")));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAA", "BAGQLFwAAHAAgAAAAAAAAAE=", "BAGQLFwAAHAAgAAAAAAAA\u{e4}"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_the_id_of_one_thing_or_of_none(text in "\\PC{0,30}|[A-Za-z0-9_=+/-]{22,24}") {
            if let Some((kind, id)) = decode(&text) {
                prop_assert_eq!(encode(kind, id), text);
            }
        }

        #[test]
        fn whatever_was_written_is_read(kind in prop::sample::select(NodeType::ALL.to_vec()), id: u128) {
            let id = Uuid::from_u128(id);
            prop_assert_eq!(decode(&encode(kind, id)), Some((kind, id)));
        }
    }
}
