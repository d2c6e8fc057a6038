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
        store::duplicate::matches(self.db().read(), Scope::of(member), leads, self.now()).await
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

/// The views that a change gave something new to be compared by, each with what it looked like before.
pub(super) struct Before(Vec<(Lead, Vec<Match>)>);

/// What the views look like that a change, yet to be saved, gives something new to be compared by. The lookup is the same
/// whether or not anything is found: the time that a call takes tells its caller nothing.
pub(super) async fn before(tx: &Tx, changes: &[(&Lead, &Lead)]) -> Result<Before> {
    let mut views = Vec::new();
    for (old, new) in changes {
        if store::duplicate::gains_keys(old, new) {
            views.push(((*new).clone(), matches(tx, old).await?));
        }
    }
    Ok(Before(views))
}

/// Tells the companies of changed views which of their leads look like the same customer, where one does that did not
/// before. It comes last in a transaction, when all that happened is told.
pub(super) async fn tell_of_change(tx: &mut Tx, before: Before) -> Result<()> {
    if before.0.is_empty() {
        return Ok(());
    }
    hold(tx, before.0.iter().map(|(view, _)| view.company)).await?;
    for (view, known) in before.0 {
        let found = matches(tx, &view).await?;
        if found.iter().any(|found| known.iter().all(|known| known.lead != found.lead)) {
            happened(tx, &view, found);
        }
    }
    Ok(())
}

/// Tells the companies of views that have just been added which of their leads look like the same customer, each of its
/// own. It comes last in a transaction, when all that happened is told.
pub(super) async fn tell(tx: &mut Tx, views: &[&Lead]) -> Result<()> {
    hold(tx, views.iter().map(|view| view.company)).await?;
    for view in views {
        let found = matches(tx, view).await?;
        if !found.is_empty() {
            happened(tx, view, found);
        }
    }
    Ok(())
}

async fn hold(tx: &Tx, companies: impl Iterator<Item = CompanyId>) -> Result<()> {
    // Of two leads that come at once, one waits here for the other, and finds it. The logs are held all together and in
    // order, as two transactions could wait for each other otherwise.
    let audiences = tx.events.iter().flat_map(|event| event.audience.iter().copied());
    let logs: BTreeSet<CompanyId> = audiences.chain(companies).collect();
    store::log::hold(tx.db(), logs).await?;
    Ok(())
}

async fn matches(tx: &Tx, view: &Lead) -> Result<Vec<Match>> {
    let found = store::duplicate::matches(tx.db(), Scope::system(view.company), &[view.id], tx.now).await?;
    Ok(found.into_values().next().unwrap_or_default())
}

fn happened(tx: &mut Tx, view: &Lead, matches: Vec<Match>) {
    tx.happened(vec![view.company], None, Some(view.id), None, Happening::LeadDuplicatesFound { matches });
}
