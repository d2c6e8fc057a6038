//! Erasure of a customer's personal data.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::{error::Reply, lead::Lead, member, parse_id, service};
use crate::{
    domain::{global_id::NodeType, id::LeadId},
    service::erasure::Erasure,
};

/// Which lead's customer asked for it.
#[derive(Clone, Debug, InputObject)]
pub struct EraseCustomerDataInput {
    /// The lead, which the viewer's company sourced; it may be archived, deactivated or ended.
    pub lead_id: ID,
    /// Why, at most 500 characters: every company that has or had the lead reads it. It should name nobody.
    pub reason: String,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
    /// Makes a repetition of this call safe: the same key with the same content gives the same answer.
    pub idempotency_key: Option<String>,
}

/// What `eraseCustomerData` gives: the lead, without its customer's personal data.
#[derive(SimpleObject)]
pub struct EraseCustomerDataPayload {
    /// The lead as it now is, without a contact.
    pub lead: Lead,
}

/// Erasure: a mutation.
#[derive(Default, Debug)]
pub struct ErasureMutation;

/// Erasure: a mutation.
#[Object]
impl ErasureMutation {
    /// Erases the contact of a lead's customer (first and last name, job title, e-mail address, phone number) for good:
    /// from every company's view of the lead, also from those that have ended, and from the activity about it, where
    /// changes of these fields keep their names and lose their values. Every company that has or had the lead gets a
    /// `LeadCustomerDataErased`, and the audit trail stays verifiable. Free text, such as a comment, is not searched.
    /// For an ADMIN of the company that sourced the lead; to its receivers `FORBIDDEN`. Where there is nothing to erase,
    /// nothing changes.
    async fn erase_customer_data(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead.")] input: EraseCustomerDataInput,
    ) -> Result<Option<EraseCustomerDataPayload>> {
        let lead = LeadId(parse_id(ctx, &input.lead_id, NodeType::Lead, "input.leadId")?);
        let erasure = Erasure {
            lead,
            reason: input.reason,
            expected_version: input.expected_version,
            idempotency_key: input.idempotency_key,
        };
        let lead = service(ctx).erase_customer_data(member(ctx)?, &erasure).await.reply(ctx)?;
        Ok(Some(EraseCustomerDataPayload { lead: Lead::new(lead) }))
    }
}
