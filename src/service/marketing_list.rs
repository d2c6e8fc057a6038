//! Marketing lists: a company's own lists of leads (mission C9).
//!
//! What happens to them is told to the company's own log alone, and changes nothing of the lead: the other side learns
//! of it by no version, no time, no count and no event. A list is locked before the lead, and nothing locks them the
//! other way round.

use std::collections::HashMap;

use super::{
    Service, Tx,
    authorize::{self, Authorized},
    cursor::{self, List},
    lead::{claim, fingerprint, idempotency, text_id},
    transaction,
};
use crate::{
    domain::{
        actor::{Member, Role},
        event::Happening,
        global_id::NodeType,
        id::{LeadId, MarketingListId},
        lead::Lead,
        marketing_list::{Listed, ListingChange, MarketingList, MarketingListChange, NAME_MAX},
        page::{Page, PageRequest},
        text::Rules,
    },
    error::{Error, ErrorCode, Fault, Reason, Result},
    store::{self, marketing_list::Listing, page::Slice, scope::Scope},
};

/// Who changes lists and what is on them (mission C9).
pub(super) const LISTERS: &[Role] = &[Role::Sales, Role::Manager];

/// A list to be created.
#[derive(Clone, Debug)]
pub struct NewMarketingList {
    /// Its name.
    pub name: String,
    /// Makes a repetition of the call safe.
    pub idempotency_key: Option<String>,
}

/// What is done to a list.
#[derive(Clone, Debug)]
pub enum MarketingListCall {
    /// It gets another name.
    Rename(String),
    /// It goes to the archive.
    Archive,
    /// It comes back from the archive.
    Restore,
}

impl Service {
    /// A page of the caller's company's lists, the newest first: those in the archive, or those that are not.
    pub async fn marketing_lists(
        &self,
        member: &Member,
        archived: bool,
        page: PageRequest,
    ) -> Result<Page<MarketingList>> {
        let window = self.window(member, List::MarketingLists, page, true)?;
        let slice = store::marketing_list::list(self.db().read(), Scope::of(member), archived, &window).await?;
        Ok(Self::page(member, List::MarketingLists, &window, slice, |list| (list.created_at, list.id.0)))
    }

    /// Those of the lists that are the caller's company's.
    pub async fn marketing_lists_by_ids(&self, member: &Member, ids: &[MarketingListId]) -> Result<Vec<MarketingList>> {
        store::marketing_list::by_ids(self.db().read(), Scope::of(member), ids).await
    }

    /// A part of the leads on a list, in the order in which they were added. Each is as of now.
    pub async fn leads_on_marketing_list(
        &self,
        member: &Member,
        list: MarketingListId,
        page: PageRequest,
    ) -> Result<Page<Listed<Lead>>> {
        let window = self.window(member, List::LeadsOfMarketingList, page, false)?;
        let slice = store::marketing_list::leads_on(self.db().read(), Scope::of(member), list, &window).await?;
        let leads = self.leads_of(member, std::iter::once(&slice)).await?;
        let page = Self::page(member, List::LeadsOfMarketingList, &window, slice, |at| (at.added_at, at.lead.0));
        Ok(listed(page, |listing| leads.get(&listing.lead).cloned()))
    }

    /// The same part of the leads on many lists, in two statements. The request has no cursors.
    pub async fn leads_on_marketing_lists(
        &self,
        member: &Member,
        lists: &[MarketingListId],
        page: &PageRequest,
    ) -> Result<HashMap<MarketingListId, Page<Listed<Lead>>>> {
        let bounds = page.bounds()?;
        let (db, scope) = (self.db().read(), Scope::of(member));
        let slices = store::marketing_list::leads_on_each(db, scope, lists, bounds.limit, bounds.last).await?;
        let leads = self.leads_of(member, slices.values()).await?;
        let pages = slices.into_iter().map(|(list, slice)| {
            let place =
                |at: &Listing| cursor::created(member.company, List::LeadsOfMarketingList, at.added_at, at.lead.0);
            let edges = slice.items.into_iter().map(|item| (place(&item), item)).collect();
            let page = Page::new(edges, slice.more, bounds.last, false, false);
            (list, listed(page, |listing| leads.get(&listing.lead).cloned()))
        });
        Ok(pages.collect())
    }

    /// A part of the lists that a lead is on, in the order in which it was added. Those in the archive are left out.
    pub async fn marketing_lists_of_lead(
        &self,
        member: &Member,
        lead: LeadId,
        page: PageRequest,
    ) -> Result<Page<Listed<MarketingList>>> {
        let window = self.window(member, List::MarketingListsOfLead, page, false)?;
        let slice = store::marketing_list::lists_with(self.db().read(), Scope::of(member), lead, &window).await?;
        let lists = self.lists_of(member, std::iter::once(&slice)).await?;
        let page = Self::page(member, List::MarketingListsOfLead, &window, slice, |at| (at.added_at, at.list.0));
        Ok(listed(page, |listing| lists.get(&listing.list).cloned()))
    }

    /// The same part of the lists that many leads are on, in two statements. The request has no cursors.
    pub async fn marketing_lists_of_leads(
        &self,
        member: &Member,
        leads: &[LeadId],
        page: &PageRequest,
    ) -> Result<HashMap<LeadId, Page<Listed<MarketingList>>>> {
        let bounds = page.bounds()?;
        let (db, scope) = (self.db().read(), Scope::of(member));
        let slices = store::marketing_list::lists_with_each(db, scope, leads, bounds.limit, bounds.last).await?;
        let lists = self.lists_of(member, slices.values()).await?;
        let pages = slices.into_iter().map(|(lead, slice)| {
            let place =
                |at: &Listing| cursor::created(member.company, List::MarketingListsOfLead, at.added_at, at.list.0);
            let edges = slice.items.into_iter().map(|item| (place(&item), item)).collect();
            let page = Page::new(edges, slice.more, bounds.last, false, false);
            (lead, listed(page, |listing| lists.get(&listing.list).cloned()))
        });
        Ok(pages.collect())
    }

    async fn leads_of(
        &self,
        member: &Member,
        slices: impl Iterator<Item = &Slice<Listing>>,
    ) -> Result<HashMap<LeadId, Lead>> {
        let mut ids: Vec<_> = slices.flat_map(|slice| &slice.items).map(|listing| listing.lead).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = self.leads_by_ids(member, &ids).await?;
        Ok(found.into_iter().map(|lead| (lead.id, lead)).collect())
    }

    async fn lists_of(
        &self,
        member: &Member,
        slices: impl Iterator<Item = &Slice<Listing>>,
    ) -> Result<HashMap<MarketingListId, MarketingList>> {
        let mut ids: Vec<_> = slices.flat_map(|slice| &slice.items).map(|listing| listing.list).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = self.marketing_lists_by_ids(member, &ids).await?;
        Ok(found.into_iter().map(|list| (list.id, list)).collect())
    }

    /// Creates a list.
    ///
    /// # Errors
    /// `REQUIRED` or `INVALID_INPUT` for the name, `FORBIDDEN`; `DUPLICATE` where another list has the name, or the key
    /// was used for other content.
    pub async fn create_marketing_list(&self, member: &Member, new: &NewMarketingList) -> Result<MarketingList> {
        authorize::role(member, LISTERS, "create a marketing list")?;
        let mut faults = Vec::new();
        let key = idempotency(new.idempotency_key.as_deref(), &mut faults);
        let name = Rules::line(NAME_MAX).required(Some(&new.name), "input.name", &mut faults);
        let (Some(name), true) = (name, faults.is_empty()) else { return Err(faults.into()) };
        let fingerprint = fingerprint(new);
        transaction!(self, tx, {
            let id: MarketingListId = tx.fresh();
            if let Some(key) = &key
                && let Some(earlier) = claim(tx, member, key, "createMarketingList", &fingerprint, id.0).await?
            {
                let ids = [MarketingListId(earlier)];
                let found = store::marketing_list::by_ids(tx.db(), Scope::of(member), &ids).await?;
                return found.into_iter().next().ok_or_else(|| Error::not_found("marketing list"));
            }
            let list = MarketingList {
                id,
                company: member.company,
                name: name.clone(),
                lead_count: 0,
                archived_at: None,
                version: 1,
                created_by: member.id,
                created_at: tx.now,
                updated_at: tx.now,
            };
            if !store::marketing_list::insert(tx.db(), &list).await? {
                return Err(taken("input.name", "Your company has a marketing list of this name already."));
            }
            tell(tx, member, &list, MarketingListChange::Created, None);
            Ok(list)
        })
    }

    /// Renames a list, or takes it to the archive or back. What is so already is done already.
    ///
    /// # Errors
    /// The input's faults, `NOT_FOUND`, `FORBIDDEN`, `CONFLICT`, `DUPLICATE` for a name that another list has;
    /// `INVALID_TRANSITION` where a list in the archive is renamed.
    pub async fn change_marketing_list(
        &self,
        member: &Member,
        id: &str,
        call: &MarketingListCall,
        expected_version: Option<i32>,
    ) -> Result<MarketingList> {
        let mut faults = Vec::new();
        let id = text_id(id, NodeType::MarketingList, "input.listId", &mut faults).map(MarketingListId);
        let name = match call {
            MarketingListCall::Rename(name) => Rules::line(NAME_MAX).required(Some(name), "input.name", &mut faults),
            MarketingListCall::Archive | MarketingListCall::Restore => None,
        };
        let (Some(id), true) = (id, faults.is_empty()) else { return Err(faults.into()) };
        transaction!(self, tx, {
            let old = authorize::marketing_list(tx, member, id, "input.listId").await?;
            authorize::role(member, LISTERS, "change a marketing list")?;
            authorize::version("marketing list", old.version, expected_version)?;
            let mut new = old.clone();
            let change = match (call, &name) {
                (MarketingListCall::Rename(_), name) => {
                    usable(&old)?;
                    new.name = name.clone().unwrap_or_default();
                    MarketingListChange::Renamed
                }
                (MarketingListCall::Archive, _) => {
                    new.archived_at = old.archived_at.or(Some(tx.now));
                    MarketingListChange::Archived
                }
                (MarketingListCall::Restore, _) => {
                    new.archived_at = None;
                    MarketingListChange::Restored
                }
            };
            if new == *old {
                return Ok(new);
            }
            new.version += 1;
            new.updated_at = tx.now;
            authorize::save_marketing_list(tx, member, &old, &new).await?;
            let name_before = (new.name != old.name).then(|| old.name.clone());
            tell(tx, member, &new, change, name_before);
            Ok(new)
        })
    }

    /// Puts a lead that the caller's company sees on one of its lists, in any stage and on either side. One that is on
    /// it already stays as it is.
    ///
    /// # Errors
    /// The ids' faults, `NOT_FOUND`, `FORBIDDEN`; `INVALID_TRANSITION` for a list in the archive; `LEAD_INACTIVE` for a
    /// deactivated lead.
    pub async fn add_to_marketing_list(
        &self,
        member: &Member,
        list: &str,
        lead: &str,
    ) -> Result<(MarketingList, LeadId)> {
        self.list_lead(member, list, lead, ListingChange::Added).await
    }

    /// Takes a lead off one of the caller's company's lists. One that is not on it stays so.
    ///
    /// # Errors
    /// The ids' faults, `NOT_FOUND`, `FORBIDDEN`; `INVALID_TRANSITION` for a list in the archive.
    pub async fn remove_from_marketing_list(
        &self,
        member: &Member,
        list: &str,
        lead: &str,
    ) -> Result<(MarketingList, LeadId)> {
        self.list_lead(member, list, lead, ListingChange::Removed).await
    }

    async fn list_lead(
        &self,
        member: &Member,
        list: &str,
        lead: &str,
        change: ListingChange,
    ) -> Result<(MarketingList, LeadId)> {
        let mut faults = Vec::new();
        let list = text_id(list, NodeType::MarketingList, "input.listId", &mut faults).map(MarketingListId);
        let lead = text_id(lead, NodeType::Lead, "input.leadId", &mut faults).map(LeadId);
        let (Some(list), Some(lead)) = (list, lead) else { return Err(faults.into()) };
        transaction!(self, tx, {
            let scope = Scope::of(member);
            let old = authorize::marketing_list(tx, member, list, "input.listId").await?;
            let active = store::marketing_list::lock_lead(tx.db(), scope, lead).await?;
            let active =
                active.ok_or_else(|| Fault::new(ErrorCode::NotFound, "There is no such lead.").at("input.leadId"))?;
            authorize::role(member, LISTERS, "change what is on a marketing list")?;
            usable(&old)?;
            let (changed, by) = match change {
                ListingChange::Added if !active => {
                    let message = "This lead is deactivated: activate it before you put it on a marketing list.";
                    return Err(Fault::new(ErrorCode::LeadInactive, message).at("input.leadId").into());
                }
                ListingChange::Added => {
                    let new = Listing { list, lead, added_by: member.id, added_at: tx.now };
                    (store::marketing_list::add(tx.db(), scope, &new).await?, 1)
                }
                ListingChange::Removed => (store::marketing_list::remove(tx.db(), scope, list, lead).await?, -1),
            };
            if !changed {
                return Ok((old.clone(), lead));
            }
            let happening = Happening::LeadMarketingListChanged { change };
            tx.happened(vec![member.company], Some(member.id), Some(lead), Some(list.0), happening);
            Ok((MarketingList { lead_count: old.lead_count + by, ..old.clone() }, lead))
        })
    }
}

/// The same page with what each entry is about; one whose lead or list is no longer there is left out.
fn listed<T>(page: Page<Listing>, item: impl Fn(&Listing) -> Option<T>) -> Page<Listed<T>> {
    let edges = page.edges.into_iter().filter_map(|(cursor, listing)| {
        let item = item(&listing)?;
        Some((cursor, Listed { item, added_by: listing.added_by, added_at: listing.added_at }))
    });
    Page { edges: edges.collect(), has_next: page.has_next, has_previous: page.has_previous }
}

/// Refuses a list that is in the archive.
fn usable(list: &Authorized<MarketingList>) -> Result<()> {
    if list.archived_at.is_none() {
        return Ok(());
    }
    let message = "This marketing list is in the archive: restore it before you change it.";
    Err(Fault::because(Reason::WrongState, message).at("input.listId").stage("ARCHIVED").into())
}

/// The refusal of a name that another list has.
pub(super) fn taken(field: &str, message: &str) -> Error {
    Fault::new(ErrorCode::Duplicate, message).at(field).into()
}

fn tell(tx: &mut Tx, member: &Member, list: &MarketingList, change: MarketingListChange, name_before: Option<String>) {
    let happening = Happening::MarketingListChanged { change, name: list.name.clone(), name_before };
    tx.happened(vec![list.company], Some(member.id), None, Some(list.id.0), happening);
}
