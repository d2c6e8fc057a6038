//! The audit trail: records that a company keeps and checks by itself.

use async_graphql::{Context, ID, Object, Result};

use super::{
    error::Reply,
    member,
    page::{connect, connection},
    parse_id,
    scalars::{DateTime, Json},
    service,
};
use crate::{
    domain::{global_id::NodeType, id::LeadId, page::PageRequest},
    store::audit::Kept,
};

/// An entry of a history, as it was hashed.
#[derive(Clone, Debug)]
pub struct AuditRecord(Kept);

/// An entry of a history, as it was hashed.
#[Object]
impl AuditRecord {
    /// Its place in the history: counts from 1 without gaps.
    async fn sequence(&self) -> i64 {
        self.0.record.sequence
    }

    /// Its hash, in hexadecimal: the next entry's record names it as `previous`. Who notes sequence and hash of the last
    /// entry finds out later whether the history was cut off or rewritten.
    async fn hash(&self) -> String {
        self.0.record.hash.to_string()
    }

    /// When it happened.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// The activity of which it is the record, by id.
    async fn activity_id(&self) -> ID {
        super::id(NodeType::Activity, self.0.event.0)
    }

    /// All that is hashed, with its content and salt: a JSON object, of which a file for `cosell audit verify` has one a
    /// line. Its fields are: version, company, lead, sequence, position, previous, id, at, actor, subject, kind,
    /// contentHash, hash, salt, erasedAt, content.
    async fn record(&self) -> Result<Json> {
        let record = serde_json::to_value(&self.0.record).map_err(crate::error::Error::internal);
        record.map(Json).map_err(|error| super::error::unexplained(&error))
    }
}

connection!(AuditRecordConnection, AuditRecordEdge, AuditRecord, "audit records");

pub(super) async fn page(ctx: &Context<'_>, lead: Option<ID>, request: PageRequest) -> Result<AuditRecordConnection> {
    let lead = lead.map(|id| parse_id(ctx, &id, NodeType::Lead, "leadId")).transpose()?;
    let page = service(ctx).audit_trail(member(ctx)?, lead.map(LeadId), request).await.reply(ctx)?;
    Ok(connect!(page, AuditRecordConnection, AuditRecordEdge, AuditRecord))
}
