//! What a company finds out about a customer's decision before it qualifies a lead (mission C5).

use serde::{Deserialize, Serialize};

use super::{patch::Patch, text::Rules};
use crate::error::Fault;

/// The longest text, in characters.
pub const TEXT_MAX: usize = 2_000;

macro_rules! qualification {
    ($($(#[$doc:meta])* $name:ident $path:literal),* $(,)?) => {
        /// What a company finds out about a customer's decision before it qualifies a lead (mission C5): texts of its own,
        /// at most [`TEXT_MAX`] characters each.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct Qualification {$(
            $(#[$doc])*
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $name: Option<String>,
        )*}

        /// What an update says about a [`Qualification`]: absent is unchanged, null is cleared.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct QualificationPatch {$(
            $(#[$doc])*
            pub $name: Patch<String>,
        )*}

        impl QualificationPatch {
            /// What stands after the update; every fault goes to `faults`, at its path under `prefix`.
            pub fn apply(&self, current: &Qualification, prefix: &str, faults: &mut Vec<Fault>) -> Qualification {
                Qualification {$(
                    $name: self.$name.clone().checked(current.$name.clone(), |text| {
                        Rules::lines(TEXT_MAX).optional(Some(&text), &format!("{prefix}.{}", $path), faults)
                    }),
                )*}
            }
        }
    };
}

qualification! {
    /// What the customer wants to reach.
    goal "goal",
    /// How it could be done.
    implementation_options "implementationOptions",
    /// How the customer buys.
    procurement_procedure "procurementProcedure",
    /// On which level it is decided.
    decision_level "decisionLevel",
    /// By when, and on which conditions.
    terms "terms",
    /// Who decides.
    decision_maker "decisionMaker",
    /// By what the customer selects.
    selection_criteria "selectionCriteria",
    /// How far the offer meets that.
    compliance_with_criteria "complianceWithCriteria",
    /// Through which channel it is sold.
    channel "channel",
}

impl Qualification {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_changes_clears_and_keeps() {
        let current = Qualification {
            goal: Some("More pipeline".to_owned()),
            terms: Some("By June".to_owned()),
            channel: Some("Direct".to_owned()),
            ..Qualification::default()
        };
        let patch = QualificationPatch {
            goal: Patch::Value("  Less churn ".to_owned()),
            terms: Patch::Null,
            ..QualificationPatch::default()
        };
        let mut faults = Vec::new();
        let new = patch.apply(&current, "input.qualification", &mut faults);
        assert_eq!(faults, []);
        assert_eq!(new.goal.as_deref(), Some("Less churn"));
        assert_eq!(new.terms, None);
        assert_eq!(new.channel.as_deref(), Some("Direct"));
    }

    #[test]
    fn a_text_that_is_too_long_is_told_with_its_path() {
        let patch = QualificationPatch {
            decision_maker: Patch::Value("x".repeat(TEXT_MAX + 1)),
            ..QualificationPatch::default()
        };
        let mut faults = Vec::new();
        patch.apply(&Qualification::default(), "input.qualification", &mut faults);
        assert_eq!(faults[0].field.as_deref(), Some("input.qualification.decisionMaker"));
    }
}
