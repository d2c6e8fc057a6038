//! Loading for a change: what comes back can be saved, and nothing else can.
//!
//! [`Authorized`] is made here alone. What a caller may not know of is `NOT_FOUND`; what it may see but not change is
//! `FORBIDDEN`.

use std::ops::Deref;

use super::{Tx, marketing_list::taken};
use crate::{
    domain::{
        actor::{Member, Role},
        comment::{Comment, Visibility},
        company::Partnership,
        id::{CommentId, CompanyId, LeadId, MarketingListId, OpportunityId, PartnershipId, TaskId, TemplateId},
        lead::Lead,
        marketing_list::MarketingList,
        opportunity::Opportunity,
        task::Task,
        template::Template,
    },
    error::{Error, ErrorCode, Fault, Reason, Result},
    store::{self, lead::Parties, marketing_list::Saved, scope::Scope},
};

/// Something that was loaded under a lock, for a caller that may change it.
#[derive(Debug)]
pub(super) struct Authorized<T>(T);

impl<T> Deref for Authorized<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What a lead is loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An action of its workflow: the engine asks for side, role and stage.
    Action,
    /// A change of its fields or its thread: the lead must not be read-only.
    Change(&'static [Role]),
}

/// Roles that create and update leads.
pub(super) const WRITERS: &[Role] = &[Role::Admin, Role::Sales, Role::Marketeer, Role::Manager, Role::Integration];
/// Roles of people who work leads.
pub(super) const PEOPLE: &[Role] = &Role::PEOPLE;

/// Refuses a member that has none of these roles.
pub(super) fn role(member: &Member, roles: &[Role], what: &str) -> Result<()> {
    if member.has(roles) {
        return Ok(());
    }
    let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    Err(Error::because(Reason::RoleRequired, format!("To {what} you need one of the roles {}.", names.join(", "))))
}

fn missing(what: &str, field: &str) -> Error {
    Fault::new(ErrorCode::NotFound, format!("There is no such {what}.")).at(field).into()
}

/// The lead, locked, as both sides see it.
pub(super) async fn lead(
    tx: &mut Tx,
    member: &Member,
    id: LeadId,
    field: &str,
    purpose: Purpose,
) -> Result<Authorized<Parties>> {
    let scope = Scope::of(member);
    let Some(parties) = store::lead::lock(tx.db(), scope, id).await? else {
        return Err(match store::lead::find(tx.db(), scope, id).await? {
            Some(_) => Error::because(
                Reason::NoLongerShared,
                "This lead is no longer with your company: you see it as it was then, and it can't be changed.",
            ),
            None => missing("lead", field),
        });
    };
    tx.tick();
    if let Purpose::Change(roles) = purpose {
        role(member, roles, "change this lead")?;
        writable(&parties.mine)?;
    }
    Ok(Authorized(parties))
}

/// The lead of the system's own doing: its expiry.
pub(super) async fn lead_of_system(tx: &mut Tx, scope: Scope, id: LeadId) -> Result<Option<Authorized<Parties>>> {
    let parties = store::lead::lock(tx.db(), scope, id).await?;
    tx.tick();
    Ok(parties.map(Authorized))
}

/// Refuses a lead that is read-only.
pub(super) fn writable(lead: &Lead) -> Result<()> {
    let why = if lead.archived {
        "archived"
    } else if !lead.active {
        "deactivated"
    } else {
        return Ok(());
    };
    Err(Fault::new(ErrorCode::LeadInactive, format!("This lead is {why}: it is read-only."))
        .stage(lead.stage.as_str())
        .into())
}

/// Saves what became of a lead that was loaded here, both views or none, and hands it on as it now is.
pub(super) async fn save_lead(
    tx: &Tx,
    loaded: Authorized<Parties>,
    mine: &Lead,
    other: Option<&Lead>,
) -> Result<Authorized<Parties>> {
    let views = [Some((&loaded.mine, mine)), loaded.other.as_ref().zip(other)];
    for (old, new) in views.into_iter().flatten().filter(|(old, new)| old != new) {
        if !store::lead::update_view(tx.db(), old, new).await? {
            return Err(conflict("lead", old.version).into());
        }
    }
    let other = other.cloned().or(loaded.0.other).filter(|view| view.ended_at.is_none());
    Ok(Authorized(Parties { mine: mine.clone(), other }))
}

/// The refusal of a caller that another one was faster than.
pub(super) fn conflict(what: &str, version: i32) -> Fault {
    Fault::because(Reason::ChangedMeanwhile, format!("Another caller has just changed this {what}. Read it again."))
        .version(version)
}

/// Refuses a caller that read another version than the current one.
pub(super) fn version(what: &str, current: i32, expected: Option<i32>) -> Result<()> {
    match expected {
        Some(expected) if expected != current => Err(Fault {
            reason: Some(Reason::VersionOutdated),
            message: format!("The {what} is now at version {current}, not {expected}. Read it again."),
            ..conflict(what, current)
        }
        .at("input.expectedVersion")
        .into()),
        _ => Ok(()),
    }
}

/// The opportunity, locked: the views of every company that sees it, the caller's first.
pub(super) async fn opportunity(
    tx: &mut Tx,
    member: &Member,
    id: OpportunityId,
    field: &str,
) -> Result<Authorized<Vec<Opportunity>>> {
    let scope = Scope::of(member);
    let views = store::opportunity::lock(tx.db(), scope, id).await?;
    if views.is_empty() {
        return Err(match store::opportunity::by_ids(tx.db(), scope, &[id]).await?.first() {
            Some(_) => {
                Error::because(Reason::NoLongerShared, "This opportunity is no longer shared with your company.")
            }
            None => missing("opportunity", field),
        });
    }
    tx.tick();
    Ok(Authorized(views))
}

/// Saves what became of an opportunity: every view, or none.
pub(super) async fn save_opportunity(
    tx: &Tx,
    loaded: &Authorized<Vec<Opportunity>>,
    new: &[Opportunity],
) -> Result<()> {
    for (old, new) in loaded.iter().zip(new) {
        if !store::opportunity::update_view(tx.db(), old, new).await? {
            return Err(conflict("opportunity", old.version).into());
        }
    }
    Ok(())
}

/// The lead of a comment or task, for a change of its thread: refused once the conversation with that partner is over.
/// The other side is there only where it can see the comment or task: what the source wrote before the lead was shared
/// is none of the receiver's business.
async fn thread(
    tx: &mut Tx,
    member: &Member,
    id: LeadId,
    receiver: Option<CompanyId>,
    visibility: Visibility,
) -> Result<Authorized<Parties>> {
    let Authorized(mut parties) = lead(tx, member, id, "input.leadId", Purpose::Change(PEOPLE)).await?;
    let now = parties.mine.receiver.filter(|_| parties.other.is_some());
    if visibility == Visibility::Shared && receiver.is_some() && receiver != now {
        return Err(Error::because(
            Reason::NoLongerShared,
            "The passing of the lead that this belongs to is over: it is kept as it was and can't be changed.",
        ));
    }
    parties.other = parties.other.filter(|_| receiver == now);
    Ok(Authorized(parties))
}

/// A comment with its lead, for its author.
pub(super) async fn comment(
    tx: &mut Tx,
    member: &Member,
    id: CommentId,
    field: &str,
) -> Result<(Authorized<Comment>, Authorized<Parties>)> {
    let Some((comment, receiver)) = store::thread::comment_with_receiver(tx.db(), Scope::of(member), id).await? else {
        return Err(missing("comment", field));
    };
    let parties = thread(tx, member, comment.lead, receiver, comment.visibility).await?;
    // Once more, under the lead's lock: another call may have changed or removed it while this one waited.
    let found = store::thread::comments_by_ids(tx.db(), Scope::of(member), &[id]).await?;
    let comment = found.into_iter().next().ok_or_else(|| missing("comment", field))?;
    if comment.author != member.id {
        return Err(Error::because(Reason::AuthorOnly, "Only its author changes or removes a comment."));
    }
    Ok((Authorized(comment), parties))
}

/// A task with its lead.
pub(super) async fn task(
    tx: &mut Tx,
    member: &Member,
    id: TaskId,
    field: &str,
) -> Result<(Authorized<Task>, Authorized<Parties>)> {
    let scope = Scope::of(member);
    let Some((task, receiver)) = store::thread::lock_task(tx.db(), scope, id).await? else {
        return Err(missing("task", field));
    };
    let parties = thread(tx, member, task.lead, receiver, task.visibility).await?;
    Ok((Authorized(task), parties))
}

/// Saves what became of a task.
pub(super) async fn save_task(tx: &Tx, loaded: &Authorized<Task>, new: &Task) -> Result<()> {
    if store::thread::update_task(tx.db(), new, tx.now).await? {
        return Ok(());
    }
    Err(conflict("task", loaded.version).into())
}

/// A partnership, for an administrator of either company.
pub(super) async fn partnership(
    tx: &Tx,
    member: &Member,
    id: PartnershipId,
    field: &str,
) -> Result<Authorized<Partnership>> {
    let found = store::company::lock_partnership(tx.db(), Scope::of(member), id).await?;
    let found = found.ok_or_else(|| missing("partnership", field))?;
    role(member, &[Role::Admin], "change a partnership")?;
    Ok(Authorized(found))
}

/// A template of the caller's company, for its administrator.
pub(super) async fn template(tx: &Tx, member: &Member, id: TemplateId, field: &str) -> Result<Authorized<Template>> {
    let found = store::company::templates_by_ids(tx.db(), &[id]).await?;
    let found = found.into_iter().find(|template| template.company == member.company);
    let found = found.ok_or_else(|| missing("template", field))?;
    role(member, &[Role::Admin], "change a template")?;
    Ok(Authorized(found))
}

/// A marketing list of the caller's company, locked. Whether the caller may change it is asked once all that it names
/// has been found.
pub(super) async fn marketing_list(
    tx: &mut Tx,
    member: &Member,
    id: MarketingListId,
    field: &str,
) -> Result<Authorized<MarketingList>> {
    let found = store::marketing_list::lock(tx.db(), Scope::of(member), id).await?;
    tx.tick();
    found.map(Authorized).ok_or_else(|| missing("marketing list", field))
}

/// Saves what became of a marketing list's name and place.
pub(super) async fn save_marketing_list(
    tx: &Tx,
    member: &Member,
    loaded: &Authorized<MarketingList>,
    new: &MarketingList,
) -> Result<()> {
    match store::marketing_list::update(tx.db(), Scope::of(member), new).await? {
        Saved::Done => Ok(()),
        Saved::Stale => Err(conflict("marketing list", loaded.version).into()),
        Saved::NameTaken if loaded.archived_at.is_some() => Err(taken(
            "input.listId",
            "Your company has made another marketing list of this name meanwhile. Rename that one first.",
        )),
        Saved::NameTaken => Err(taken("input.name", "Your company has a marketing list of this name already.")),
    }
}
