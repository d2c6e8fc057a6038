//! Marketing lists.

#![allow(clippy::too_many_arguments, reason = "a field has the arguments that its clients need")]

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, Result, SimpleObject};

use super::{
    company::{Member, profile},
    direct::Direct,
    error::Reply,
    lead::Lead,
    load,
    loader::{LeadsOn, MarketingListsOf},
    member,
    page::{Cursor, PageInfo, connect, connection, request},
    scalars::DateTime,
    service,
};
use crate::{
    domain::{
        global_id::NodeType,
        id::{LeadId, MemberId},
        lead,
        marketing_list::{self, Listed},
        page::{Page, PageRequest},
    },
    error::Error,
    service::marketing_list::{MarketingListCall, NewMarketingList},
};

/// What happened to a marketing list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "marketing_list::MarketingListChange")]
pub enum MarketingListChange {
    /// It was created.
    Created,
    /// It got another name.
    Renamed,
    /// It went to the archive: it can't be changed, and lists leave it out.
    Archived,
    /// It came back from the archive.
    Restored,
}

/// A company's own list of leads.
#[derive(Clone, Debug)]
pub struct MarketingList(pub(super) marketing_list::MarketingList);

/// A company's own list of leads, such as those to invite to a fair. Nobody of another company learns of it, nor of a
/// lead's being on it.
#[Object(serial)]
impl MarketingList {
    /// Its global id.
    pub async fn id(&self) -> ID {
        super::id(NodeType::MarketingList, self.0.id.0)
    }

    /// Its name for people.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is in the archive: it can't be changed, and lists that don't ask for it leave it out.
    async fn archived(&self) -> bool {
        self.0.archived_at.is_some()
    }

    /// The leads on it, in the order in which they were added; those in the leads' archive and those deactivated too.
    async fn leads(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
    ) -> Result<MarketingListLeadConnection> {
        let request = request(first, after, last, before);
        let page = if request.after.is_some() || request.before.is_some() {
            service(ctx).leads_on_marketing_list(member(ctx)?, self.0.id, request).await.reply(ctx)?
        } else {
            load(ctx, LeadsOn(self.0.id, request)).await?.unwrap_or_else(empty)
        };
        Ok(MarketingListLeadConnection::of(page))
    }

    /// How many leads are on it.
    async fn lead_count(&self) -> i32 {
        self.0.lead_count
    }

    /// Counts the changes of its name and of its place in or out of the archive, from 1: what `expectedVersion` is
    /// compared with. A lead's being added or removed is none of them.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Who created it.
    async fn created_by(&self, ctx: &Context<'_>) -> Result<Member> {
        profile(ctx, self.0.created_by).await
    }

    /// When it was created.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When the version last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}

fn empty<T>() -> Page<T> {
    Page { edges: Vec::new(), has_next: false, has_previous: false }
}

connection!(MarketingListConnection, MarketingListEdge, MarketingList, "marketing lists");

/// A connection whose edges say who put the lead on the list, and when.
macro_rules! listing_connection {
    ($connection:ident, $edge:ident, $node:ty, $of:ty, $what:literal) => {
        #[doc = concat!("A page of ", $what, ".")]
        #[derive(Clone, Debug, SimpleObject)]
        #[graphql(serial)]
        pub struct $connection {
            #[doc = concat!("The ", $what, " of this page, each with its cursor.")]
            pub edges: Vec<Direct<$edge>>,
            /// Where this page stands in its list.
            pub page_info: PageInfo,
        }

        impl $connection {
            fn of(page: Page<Listed<$of>>) -> Self {
                let page_info = PageInfo::of(&page);
                let edges = page.edges.into_iter().map(|(cursor, listed)| {
                    let node = Direct(<$node>::new(listed.item));
                    let (added_by, added_at) = (listed.added_by, DateTime(listed.added_at));
                    Direct($edge { cursor: Cursor(cursor), node, added_at, added_by })
                });
                Self { edges: edges.collect(), page_info }
            }
        }

        #[doc = concat!("An entry of a page of ", $what, ".")]
        #[derive(Clone, Debug, SimpleObject)]
        #[graphql(serial, complex)]
        pub struct $edge {
            /// Its place in the list: opaque, valid for the viewer's company and for this order.
            pub cursor: Cursor,
            /// The entry itself.
            pub node: Direct<$node>,
            /// When the lead was put on the list.
            pub added_at: DateTime,
            #[graphql(skip)]
            added_by: MemberId,
        }

        #[ComplexObject]
        impl $edge {
            /// Who put the lead on the list.
            async fn added_by(&self, ctx: &Context<'_>) -> Result<Member> {
                profile(ctx, self.added_by).await
            }
        }
    };
}

listing_connection!(MarketingListLeadConnection, MarketingListLeadEdge, Lead, lead::Lead, "leads on a marketing list");
listing_connection!(
    LeadMarketingListConnection,
    LeadMarketingListEdge,
    MarketingList,
    marketing_list::MarketingList,
    "marketing lists that a lead is on"
);

impl MarketingList {
    pub(super) fn new(list: marketing_list::MarketingList) -> Self {
        Self(list)
    }

    pub(super) fn connection(page: Page<marketing_list::MarketingList>) -> MarketingListConnection {
        connect!(page, MarketingListConnection, MarketingListEdge, Self::new)
    }
}

/// A part of the lists that a lead is on.
pub(super) async fn of_lead(
    ctx: &Context<'_>,
    lead: LeadId,
    request: PageRequest,
) -> Result<LeadMarketingListConnection> {
    let page = if request.after.is_some() || request.before.is_some() {
        service(ctx).marketing_lists_of_lead(member(ctx)?, lead, request).await.reply(ctx)?
    } else {
        load(ctx, MarketingListsOf(lead, request)).await?.unwrap_or_else(empty)
    };
    Ok(LeadMarketingListConnection::of(page))
}

/// Which marketing lists to list.
#[derive(Clone, Debug, Default, InputObject)]
pub struct MarketingListFilter {
    /// Those in the archive (true), or those that are not (false, and where absent).
    pub archived: Option<bool>,
}

/// What to call a new marketing list.
#[derive(Clone, Debug, InputObject)]
pub struct CreateMarketingListInput {
    /// Its name: one line of at most 100 characters. No two lists of a company that are not in the archive have the
    /// same, whatever the case.
    pub name: String,
    /// Makes a repetition of this call safe: the same key with the same content gives the same list.
    pub idempotency_key: Option<String>,
}

/// What `createMarketingList` gives: the new list, without leads.
#[derive(SimpleObject)]
pub struct CreateMarketingListPayload {
    /// The list.
    pub list: MarketingList,
}

/// Which marketing list to rename, and how.
#[derive(Clone, Debug, InputObject)]
pub struct RenameMarketingListInput {
    /// The list, which is not in the archive.
    pub list_id: ID,
    /// Its new name: one line of at most 100 characters.
    pub name: String,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `renameMarketingList` gives: the list with its new name.
#[derive(SimpleObject)]
pub struct RenameMarketingListPayload {
    /// The list as it now is.
    pub list: MarketingList,
}

/// Which marketing list goes to the archive.
#[derive(Clone, Debug, InputObject)]
pub struct ArchiveMarketingListInput {
    /// The list.
    pub list_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `archiveMarketingList` gives: the list, in the archive and read-only.
#[derive(SimpleObject)]
pub struct ArchiveMarketingListPayload {
    /// The list as it now is.
    pub list: MarketingList,
}

/// Which marketing list comes back from the archive.
#[derive(Clone, Debug, InputObject)]
pub struct RestoreMarketingListInput {
    /// The list.
    pub list_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `restoreMarketingList` gives: the list, back from the archive.
#[derive(SimpleObject)]
pub struct RestoreMarketingListPayload {
    /// The list as it now is.
    pub list: MarketingList,
}

/// Which lead to put on which marketing list.
#[derive(Clone, Debug, InputObject)]
pub struct AddToMarketingListInput {
    /// The list, which is not in the archive.
    pub list_id: ID,
    /// The lead: any that the viewer's company sees, in any stage, that is not deactivated.
    pub lead_id: ID,
}

/// What `addToMarketingList` gives: the list, and the lead that is on it.
#[derive(SimpleObject)]
pub struct AddToMarketingListPayload {
    /// The list as it now is.
    pub list: MarketingList,
    /// The lead, which is on it.
    pub lead: Lead,
}

/// Which lead to take off which marketing list.
#[derive(Clone, Debug, InputObject)]
pub struct RemoveFromMarketingListInput {
    /// The list, which is not in the archive.
    pub list_id: ID,
    /// The lead.
    pub lead_id: ID,
}

/// What `removeFromMarketingList` gives: the list, and the lead that is no longer on it.
#[derive(SimpleObject)]
pub struct RemoveFromMarketingListPayload {
    /// The list as it now is.
    pub list: MarketingList,
    /// The lead, which is not on it.
    pub lead: Lead,
}

async fn change(
    ctx: &Context<'_>,
    id: &ID,
    call: MarketingListCall,
    expected_version: Option<i32>,
) -> Result<MarketingList> {
    let list = service(ctx).change_marketing_list(member(ctx)?, id, &call, expected_version).await.reply(ctx)?;
    Ok(MarketingList::new(list))
}

async fn lead_of(ctx: &Context<'_>, id: LeadId) -> Result<Lead> {
    let found = load(ctx, id).await?;
    found.map(Lead::new).ok_or_else(|| Error::internal("a marketing list's lead is gone")).reply(ctx)
}

/// Marketing lists: mutations.
#[derive(Default, Debug)]
pub struct MarketingListMutation;

/// Marketing lists: mutations.
#[Object]
impl MarketingListMutation {
    /// Creates a marketing list of the viewer's company. Roles: SALES, MANAGER.
    async fn create_marketing_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to call it.")] input: CreateMarketingListInput,
    ) -> Result<Option<CreateMarketingListPayload>> {
        let new = NewMarketingList { name: input.name, idempotency_key: input.idempotency_key };
        let list = service(ctx).create_marketing_list(member(ctx)?, &new).await.reply(ctx)?;
        Ok(Some(CreateMarketingListPayload { list: MarketingList::new(list) }))
    }

    /// Renames a marketing list. Roles: SALES, MANAGER.
    async fn rename_marketing_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which list, and its new name.")] input: RenameMarketingListInput,
    ) -> Result<Option<RenameMarketingListPayload>> {
        let call = MarketingListCall::Rename(input.name);
        let list = change(ctx, &input.list_id, call, input.expected_version).await?;
        Ok(Some(RenameMarketingListPayload { list }))
    }

    /// Takes a marketing list to the archive, with the leads on it; one that is there stays so. Roles: SALES, MANAGER.
    async fn archive_marketing_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which list.")] input: ArchiveMarketingListInput,
    ) -> Result<Option<ArchiveMarketingListPayload>> {
        let list = change(ctx, &input.list_id, MarketingListCall::Archive, input.expected_version).await?;
        Ok(Some(ArchiveMarketingListPayload { list }))
    }

    /// Brings a marketing list back from the archive, with the leads on it; one that is not there stays so. Roles:
    /// SALES, MANAGER.
    async fn restore_marketing_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which list.")] input: RestoreMarketingListInput,
    ) -> Result<Option<RestoreMarketingListPayload>> {
        let list = change(ctx, &input.list_id, MarketingListCall::Restore, input.expected_version).await?;
        Ok(Some(RestoreMarketingListPayload { list }))
    }

    /// Puts a lead on a marketing list, in any stage and on either side; one that is on it stays as it is. Roles:
    /// SALES, MANAGER.
    async fn add_to_marketing_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and which list.")] input: AddToMarketingListInput,
    ) -> Result<Option<AddToMarketingListPayload>> {
        let (service, member) = (service(ctx), member(ctx)?);
        let (list, lead) = service.add_to_marketing_list(member, &input.list_id, &input.lead_id).await.reply(ctx)?;
        Ok(Some(AddToMarketingListPayload { list: MarketingList::new(list), lead: lead_of(ctx, lead).await? }))
    }

    /// Takes a lead off a marketing list; one that is not on it stays so. Roles: SALES, MANAGER.
    async fn remove_from_marketing_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and which list.")] input: RemoveFromMarketingListInput,
    ) -> Result<Option<RemoveFromMarketingListPayload>> {
        let (service, member) = (service(ctx), member(ctx)?);
        let (list, lead) =
            service.remove_from_marketing_list(member, &input.list_id, &input.lead_id).await.reply(ctx)?;
        Ok(Some(RemoveFromMarketingListPayload { list: MarketingList::new(list), lead: lead_of(ctx, lead).await? }))
    }
}
