//! Which leads of a company look like the same customer. A company learns of its own leads alone.

use std::collections::{BTreeSet, HashMap};

use super::{Service, Tx, transaction};
use crate::{
    domain::{
        actor::Member,
        duplicate::Match,
        event::Happening,
        id::{CompanyId, LeadId},
        lead::Lead,
    },
    error::Result,
    store::{self, duplicate::Progress, scope::Scope},
};

impl Service {
    /// For each of the leads the others of the caller's company that look like the same customer, the most alike first.
    pub async fn possible_duplicates(&self, member: &Member, leads: &[LeadId]) -> Result<HashMap<LeadId, Vec<Match>>> {
        store::duplicate::matches(self.db().read(), Scope::of(member), leads).await
    }

    /// Writes what the next `limit` leads are compared by that were there before leads were compared; whether it came
    /// to the end.
    pub async fn write_match_keys(&self, limit: u64) -> Result<bool> {
        transaction!(self, tx, {
            let Progress::UpTo(place) = store::duplicate::progress(tx.db()).await? else { return Ok(true) };
            let progress = store::duplicate::write_next(tx.db(), place, limit, tx.now).await?;
            Ok(progress == Progress::Finished)
        })
    }

    /// Whether all leads can be compared.
    pub async fn match_keys_written(&self) -> Result<bool> {
        Ok(store::duplicate::progress(self.db().read()).await? == Progress::Finished)
    }
}

/// Tells the companies of views that have just been added which of their leads look like the same customer, each of its
/// own. It comes last in a transaction, when all that happened is told.
pub(super) async fn tell(tx: &mut Tx, views: &[&Lead]) -> Result<()> {
    // Of two leads that come at once, one waits here for the other, and finds it. The logs are held all together and in
    // order, as two transactions could wait for each other otherwise.
    let audiences = tx.events.iter().flat_map(|event| event.audience.iter().copied());
    let logs: BTreeSet<CompanyId> = audiences.chain(views.iter().map(|view| view.company)).collect();
    store::log::hold(tx.db(), logs).await?;
    for view in views {
        let found = store::duplicate::matches(tx.db(), Scope::system(view.company), &[view.id]).await?;
        if let Some(matches) = found.into_values().next() {
            let happening = Happening::LeadDuplicatesFound { matches };
            tx.happened(vec![view.company], None, Some(view.id), None, happening);
        }
    }
    Ok(())
}
