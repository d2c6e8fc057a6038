//! Leads of the viewer's company that look like the same customer.

use async_graphql::{Context, Enum, Object, Result};

use super::{error::Reply, lead::Lead, load, scalars::DateTime};
use crate::{domain::duplicate, error::Error};

/// What two leads have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "duplicate::Reason")]
pub enum DuplicateReason {
    /// The customer's name: without case, accents, punctuation, and the legal form at either end.
    CompanyName,
    /// The domain of the customer's website or of its contact's e-mail address, unless many companies share it.
    WebDomain,
    /// The contact's e-mail address.
    Email,
    /// The contact's phone number.
    Phone,
}

/// A lead that looks like the same customer.
#[derive(Clone, Debug)]
pub struct DuplicateCandidate {
    lead: Lead,
    found: duplicate::Match,
}

/// Another lead of the viewer's company that looks like the same customer.
#[Object(serial)]
impl DuplicateCandidate {
    /// The other lead, as it now is for the viewer.
    async fn lead(&self) -> &Lead {
        &self.lead
    }

    /// How alike they are, from 0 to 100: the sum of what the reasons weigh (`EMAIL` 70, `WEB_DOMAIN` 60,
    /// `COMPANY_NAME` 50, `PHONE` 40), at most 100.
    async fn score(&self) -> i32 {
        self.found.score.into()
    }

    /// What they have in common: at least one.
    async fn reasons(&self) -> Vec<DuplicateReason> {
        self.found.reasons.iter().copied().map(Into::into).collect()
    }

    /// Whether the other lead has priority: it had first what the two share, and its protection is not over while this
    /// one's lasts.
    async fn came_first(&self) -> bool {
        self.found.earlier
    }

    /// Until when the one of the two that has priority keeps it against those that come later; null for ever. Once it has
    /// passed, the next one has priority.
    async fn protected_until(&self) -> Option<DateTime> {
        self.found.protected_until.map(DateTime)
    }
}

/// The candidates, each with its lead; the loader finds those of all lists in one batch.
pub(super) async fn candidates(ctx: &Context<'_>, matches: &[duplicate::Match]) -> Result<Vec<DuplicateCandidate>> {
    let leads = futures_util::future::try_join_all(matches.iter().map(|found| load(ctx, found.lead))).await?;
    leads
        .into_iter()
        .zip(matches)
        .map(|(lead, found)| {
            let lead = lead.ok_or_else(|| Error::internal("a key of a lead that is not the company's")).reply(ctx)?;
            Ok(DuplicateCandidate { lead: Lead::new(lead), found: found.clone() })
        })
        .collect()
}
