//! What look-ahead can't see is loaded in batches: one loader a request, for one member.

use std::{collections::HashMap, sync::Arc};

use async_graphql::dataloader::Loader;

use crate::{
    domain::{
        actor::Member,
        comment::Comment,
        company::{Company, Partnership, Profile},
        duplicate::Match,
        id::{
            CommentId, CompanyId, LeadId, MarketingListId, MemberId, OpportunityId, PartnershipId, TaskId, TemplateId,
        },
        lead::Lead,
        marketing_list::{Listed, MarketingList},
        opportunity::Opportunity,
        page::{Page, PageRequest},
        reference::ExternalReference,
        task::Task,
        template::Template,
    },
    error::Error,
    service::Service,
};

/// Loads in batches what one member may see.
#[derive(Debug)]
pub struct Loads {
    pub(super) service: Arc<Service>,
    pub(super) member: Member,
}

/// The lead that the viewer sees as linked to an opportunity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LeadOf(pub OpportunityId);
/// How many open tasks a lead has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct OpenTasksOf(pub LeadId);
/// The leads that look like the same customer as a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DuplicatesOf(pub LeadId);
/// A lead's references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ReferencesOf(pub LeadId);
/// A part of a lead's thread, without cursors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CommentsOf(pub LeadId, pub PageRequest);
/// A part of a lead's tasks, without cursors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TasksOf(pub LeadId, pub PageRequest);
/// A part of the marketing lists that a lead is on, without cursors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct MarketingListsOf(pub LeadId, pub PageRequest);
/// A part of the leads on a marketing list, without cursors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LeadsOn(pub MarketingListId, pub PageRequest);

type Found<K, V> = Result<HashMap<K, V>, Arc<Error>>;

macro_rules! by_id {
    ($($key:ty => $value:ty, $self:ident, $keys:ident: $load:expr;)*) => {$(
        impl Loader<$key> for Loads {
            type Value = $value;
            type Error = Arc<Error>;

            async fn load(&self, $keys: &[$key]) -> Found<$key, $value> {
                let $self = self;
                let found: Result<Vec<$value>, Error> = $load.await;
                Ok(found?.into_iter().map(|value| (value.id, value)).collect())
            }
        }
    )*};
}

by_id! {
    PartnershipId => Partnership, this, keys: this.service.partnerships_by_ids(&this.member, keys);
    TemplateId => Template, this, keys: this.service.templates_by_ids(keys);
    MemberId => Profile, this, keys: this.service.profiles(keys);
    LeadId => Lead, this, keys: this.service.leads_by_ids(&this.member, keys);
    OpportunityId => Opportunity, this, keys: this.service.opportunities_by_ids(&this.member, keys);
    CommentId => Comment, this, keys: this.service.comments_by_ids(&this.member, keys);
    TaskId => Task, this, keys: this.service.tasks_by_ids(&this.member, keys);
    MarketingListId => MarketingList, this, keys: this.service.marketing_lists_by_ids(&this.member, keys);
}

impl Loader<CompanyId> for Loads {
    type Value = Arc<Company>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[CompanyId]) -> Found<CompanyId, Arc<Company>> {
        let found = self.service.companies_by_ids(keys).await?;
        Ok(found.into_iter().map(|company| (company.id, company)).collect())
    }
}

impl Loader<LeadOf> for Loads {
    type Value = Lead;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[LeadOf]) -> Found<LeadOf, Lead> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = self.service.leads_of_opportunities(&self.member, &ids).await?;
        Ok(found.into_iter().map(|(id, lead)| (LeadOf(id), lead)).collect())
    }
}

impl Loader<OpenTasksOf> for Loads {
    type Value = i64;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[OpenTasksOf]) -> Found<OpenTasksOf, i64> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = self.service.open_tasks(&self.member, &ids).await?;
        Ok(found.into_iter().map(|(id, count)| (OpenTasksOf(id), count)).collect())
    }
}

impl Loader<DuplicatesOf> for Loads {
    type Value = Vec<Match>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[DuplicatesOf]) -> Found<DuplicatesOf, Vec<Match>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = self.service.possible_duplicates(&self.member, &ids).await?;
        Ok(found.into_iter().map(|(id, matches)| (DuplicatesOf(id), matches)).collect())
    }
}

impl Loader<ReferencesOf> for Loads {
    type Value = Vec<ExternalReference>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[ReferencesOf]) -> Found<ReferencesOf, Vec<ExternalReference>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for (id, reference) in self.service.references(&self.member, &ids).await? {
            found.entry(ReferencesOf(id)).or_default().push(reference);
        }
        Ok(found)
    }
}

/// The keys by what is asked of each owner: usually one group, two where a query has two aliases.
fn grouped<'k, T>(keys: impl Iterator<Item = (T, &'k PageRequest)>) -> HashMap<&'k PageRequest, Vec<T>> {
    let mut groups: HashMap<_, Vec<_>> = HashMap::new();
    for (owner, page) in keys {
        groups.entry(page).or_default().push(owner);
    }
    groups
}

impl Loader<CommentsOf> for Loads {
    type Value = Page<(Comment, Profile)>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[CommentsOf]) -> Found<CommentsOf, Page<(Comment, Profile)>> {
        let mut found = HashMap::new();
        for (page, leads) in grouped(keys.iter().map(|key| (key.0, &key.1))) {
            let pages = self.service.comments_of_leads(&self.member, &leads, page).await?;
            found.extend(pages.into_iter().map(|(lead, entries)| (CommentsOf(lead, page.clone()), entries)));
        }
        Ok(found)
    }
}

impl Loader<TasksOf> for Loads {
    type Value = Page<Task>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[TasksOf]) -> Found<TasksOf, Page<Task>> {
        let mut found = HashMap::new();
        for (page, leads) in grouped(keys.iter().map(|key| (key.0, &key.1))) {
            let pages = self.service.tasks_of_leads(&self.member, &leads, page).await?;
            found.extend(pages.into_iter().map(|(lead, entries)| (TasksOf(lead, page.clone()), entries)));
        }
        Ok(found)
    }
}

impl Loader<MarketingListsOf> for Loads {
    type Value = Page<Listed<MarketingList>>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[MarketingListsOf]) -> Found<MarketingListsOf, Page<Listed<MarketingList>>> {
        let mut found = HashMap::new();
        for (page, leads) in grouped(keys.iter().map(|key| (key.0, &key.1))) {
            let pages = self.service.marketing_lists_of_leads(&self.member, &leads, page).await?;
            found.extend(pages.into_iter().map(|(lead, entries)| (MarketingListsOf(lead, page.clone()), entries)));
        }
        Ok(found)
    }
}

impl Loader<LeadsOn> for Loads {
    type Value = Page<Listed<Lead>>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[LeadsOn]) -> Found<LeadsOn, Page<Listed<Lead>>> {
        let mut found = HashMap::new();
        for (page, lists) in grouped(keys.iter().map(|key| (key.0, &key.1))) {
            let pages = self.service.leads_on_marketing_lists(&self.member, &lists, page).await?;
            found.extend(pages.into_iter().map(|(list, entries)| (LeadsOn(list, page.clone()), entries)));
        }
        Ok(found)
    }
}
