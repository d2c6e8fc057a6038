//! What a company finds out about a customer's decision.

use async_graphql::{InputObject, MaybeUndefined, SimpleObject};

use super::company::patch;
use crate::domain::qualification;

/// What a company finds out about a customer's decision before it qualifies a lead. Texts of its own.
#[derive(Clone, Debug, SimpleObject)]
pub struct Qualification {
    /// What the customer wants to reach; null where nobody said.
    pub goal: Option<String>,
    /// How it could be done; null where nobody said.
    pub implementation_options: Option<String>,
    /// How the customer buys; null where nobody said.
    pub procurement_procedure: Option<String>,
    /// On which level it is decided; null where nobody said.
    pub decision_level: Option<String>,
    /// By when, and on which conditions; null where nobody said.
    pub terms: Option<String>,
    /// Who decides; null where nobody said.
    pub decision_maker: Option<String>,
    /// By what the customer selects; null where nobody said.
    pub selection_criteria: Option<String>,
    /// How far the offer meets that; null where nobody said.
    pub compliance_with_criteria: Option<String>,
    /// Through which channel it is sold; null where nobody said.
    pub channel: Option<String>,
}

impl From<&qualification::Qualification> for Qualification {
    fn from(known: &qualification::Qualification) -> Self {
        Self {
            goal: known.goal.clone(),
            implementation_options: known.implementation_options.clone(),
            procurement_procedure: known.procurement_procedure.clone(),
            decision_level: known.decision_level.clone(),
            terms: known.terms.clone(),
            decision_maker: known.decision_maker.clone(),
            selection_criteria: known.selection_criteria.clone(),
            compliance_with_criteria: known.compliance_with_criteria.clone(),
            channel: known.channel.clone(),
        }
    }
}

/// What a company finds out about a customer's decision. What is absent stays; what is null is cleared. Each text has at
/// most 2,000 characters.
#[derive(Clone, Debug, Default, InputObject)]
pub struct QualificationInput {
    /// What the customer wants to reach.
    pub goal: MaybeUndefined<String>,
    /// How it could be done.
    pub implementation_options: MaybeUndefined<String>,
    /// How the customer buys.
    pub procurement_procedure: MaybeUndefined<String>,
    /// On which level it is decided.
    pub decision_level: MaybeUndefined<String>,
    /// By when, and on which conditions.
    pub terms: MaybeUndefined<String>,
    /// Who decides.
    pub decision_maker: MaybeUndefined<String>,
    /// By what the customer selects.
    pub selection_criteria: MaybeUndefined<String>,
    /// How far the offer meets that.
    pub compliance_with_criteria: MaybeUndefined<String>,
    /// Through which channel it is sold.
    pub channel: MaybeUndefined<String>,
}

impl From<QualificationInput> for qualification::QualificationPatch {
    fn from(input: QualificationInput) -> Self {
        Self {
            goal: patch(input.goal),
            implementation_options: patch(input.implementation_options),
            procurement_procedure: patch(input.procurement_procedure),
            decision_level: patch(input.decision_level),
            terms: patch(input.terms),
            decision_maker: patch(input.decision_maker),
            selection_criteria: patch(input.selection_criteria),
            compliance_with_criteria: patch(input.compliance_with_criteria),
            channel: patch(input.channel),
        }
    }
}
