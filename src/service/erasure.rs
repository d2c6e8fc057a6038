//! Erasure of a customer's personal data: what is recorded loses it, and stays verifiable.

use std::collections::BTreeMap;

use super::{
    Service,
    authorize::{self, Purpose},
    lead::{claim, fingerprint, idempotency},
    transaction,
};
use crate::{
    domain::{
        actor::{Member, Role, Side},
        audit::{ErasedEvent, content_hash},
        customer::Contact,
        event::Happening,
        id::{CompanyId, LeadId},
        lead::Lead,
        text::Rules,
    },
    error::{Error, Reason, Result},
    store::{self, scope::Scope},
};

/// The longest reason, in characters.
pub const REASON_MAX: usize = 500;

/// What idempotency keys of erasures are claimed for.
const OPERATION: &str = "eraseCustomerData";

/// An erasure to be made. Field names in faults are those of `EraseCustomerDataInput`.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// Of which lead.
    pub lead: LeadId,
    /// Why: every company that has the lead reads it.
    pub reason: String,
    /// The version that the caller read.
    pub expected_version: Option<i32>,
    /// Makes a repetition of this call safe.
    pub idempotency_key: Option<String>,
}

impl Service {
    /// Takes the customer's contact out of all that is kept of a lead: every company's view, the keys that leads are
    /// compared by, and the content of events in every company's log. Each company is told in its own log, where the
    /// event names those that lost some of their content and vouches for what is left of them.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FORBIDDEN` for all but an ADMIN of the lead's source; `REQUIRED` without a reason; `CONFLICT`.
    pub async fn erase_customer_data(&self, member: &Member, erasure: &Erasure) -> Result<Lead> {
        let mut faults = Vec::new();
        let key = idempotency(erasure.idempotency_key.as_deref(), &mut faults);
        let reason = Rules::lines(REASON_MAX).required(Some(&erasure.reason), "input.reason", &mut faults);
        let id = erasure.lead;
        transaction!(self, tx, {
            let loaded = authorize::lead(tx, member, id, "input.leadId", Purpose::Action).await?;
            if loaded.mine.side != Side::Source {
                let source = store::company::by_ids(tx.db(), &[loaded.mine.source]).await?;
                let name = source.first().map_or("the company that sourced the lead", |company| company.name.as_str());
                return Err(Error::because(
                    Reason::OtherSide,
                    format!("Only the company that sourced the lead erases its customer's personal data: ask {name}."),
                ));
            }
            authorize::role(member, &[Role::Admin], "erase a customer's personal data")?;
            let Some(reason) = reason.clone().filter(|_| faults.is_empty()) else {
                return Err(faults.clone().into());
            };
            if let Some(key) = &key {
                let content = fingerprint(&(id, &reason));
                if claim(tx, member, key, OPERATION, &content, id.0).await?.is_some() {
                    return self.as_of(loaded.mine.clone(), tx.now).await;
                }
            }
            authorize::version("lead", loaded.mine.version, erasure.expected_version)?;
            let companies = store::lead::companies_of(tx.db(), id).await?;
            // Whoever adds such an event holds the lead, as this call does: there are no others.
            let personal = store::audit::personal(tx.db(), id, &companies).await?;
            if personal.is_empty() && loaded.mine.customer.contact == Contact::default() {
                return self.as_of(loaded.mine.clone(), tx.now).await;
            }
            store::key::forget_content(tx.db(), Scope::of(member), id.0, OPERATION).await?;
            store::lead::erase_ended(tx.db(), id, tx.now).await?;
            let without = |lead: &Lead| {
                let mut lead = Lead { version: lead.version + 1, updated_at: tx.now, ..lead.clone() };
                lead.customer.contact = Contact::default();
                lead
            };
            let (mine, other) = (without(&loaded.mine), loaded.other.as_ref().map(without));
            authorize::save_lead(tx, loaded, &mine, other.as_ref()).await?;
            // From here on nobody else adds to the logs, so this is as short as it can be. The rows say when they were
            // erased, and the events that vouch for them have the same time.
            store::log::hold(tx.db(), companies.iter().copied()).await?;
            let latest = store::log::latest(tx.db(), &companies).await?;
            tx.now = latest.map_or(tx.now, |latest| latest.max(tx.now));
            let mut erased: BTreeMap<CompanyId, Vec<ErasedEvent>> =
                companies.iter().map(|company| (*company, Vec::new())).collect();
            for row in &personal {
                store::audit::erase(tx.db(), row, tx.now).await?;
                let left = content_hash(None, &row.left);
                erased.entry(row.company).or_default().push(ErasedEvent { event: row.event, left });
            }
            // Each company is told of what was in its own log: of nothing that it did not know of.
            let mut audiences: BTreeMap<Vec<ErasedEvent>, Vec<CompanyId>> = BTreeMap::new();
            for (company, events) in erased {
                audiences.entry(events).or_default().push(company);
            }
            for (erased, audience) in audiences {
                let happening = Happening::CustomerDataErased { reason: reason.clone(), erased };
                tx.happened(audience, Some(member.id), Some(id), None, happening);
            }
            self.as_of(mine, tx.now).await
        })
    }
}
