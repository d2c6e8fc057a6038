//! Companies, members, partnerships, templates.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};

use super::{direct::Direct, error::Reply, load, member, page::connection, parse_id, scalars::EmailAddress, service};
use crate::{
    domain::{
        actor, company,
        global_id::NodeType,
        id::{CompanyId, MemberId, PartnershipId},
        patch::Patch,
        workflow,
    },
    error::Error,
};

/// What a member may do in its company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "actor::Role")]
pub enum Role {
    /// Manages partnerships and templates, and does all that SALES does.
    Admin,
    /// Works leads and opportunities.
    Sales,
    /// Creates leads and follows those it owns.
    Marketeer,
    /// Oversees leads and follows those it owns.
    Manager,
    /// A machine: creates and updates leads by external reference, reads feeds, decides nothing.
    Integration,
    /// Reads only.
    Viewer,
}

/// Which side of a lead a company is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "actor::Side")]
pub enum Side {
    /// The company that created the lead.
    Source,
    /// The company that answers it.
    Receiver,
}

/// What a company is in a partnership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum PartnershipRole {
    /// Whose product is sold.
    Vendor,
    /// Who sells with the vendor.
    Partner,
}

/// Where a partnership stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "company::PartnershipState")]
pub enum PartnershipState {
    /// One company has invited the other, which has not answered.
    Invited,
    /// Leads can be shared.
    Active,
    /// No new leads are shared; those already shared go on.
    Suspended,
    /// Over: each receiver keeps its view of the leads as it was then.
    Ended,
}

/// A company: a tenant of this server.
#[derive(Clone, Debug)]
pub struct Company(pub(super) CompanyId);

/// A company: a tenant of this server.
#[Object(serial)]
impl Company {
    /// Its global id.
    pub async fn id(&self) -> ID {
        super::id(NodeType::Company, self.0.0)
    }

    /// Its name for people.
    async fn name(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(at_hand(ctx, self.0).await?.name.clone())
    }

    /// Its name in tokens and invitations, such as `acme`.
    async fn slug(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(at_hand(ctx, self.0).await?.slug.clone())
    }
}

/// A person or machine of a company.
#[derive(Clone, Debug)]
pub struct Member(pub(super) company::Profile);

/// A person or machine of a company, recorded when its token is first seen.
#[Object(serial)]
impl Member {
    /// Its global id.
    pub async fn id(&self) -> ID {
        super::id(NodeType::Member, self.0.id.0)
    }

    /// Its name, as its token last said.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Its e-mail address, as its token last said; null where it said none.
    async fn email(&self) -> Option<EmailAddress> {
        self.0.email.clone().map(EmailAddress)
    }

    /// Its company.
    async fn company(&self) -> Company {
        Company(self.0.company)
    }

    /// What it may do in its company, as its token last said.
    async fn roles(&self) -> Vec<Role> {
        self.0.roles.iter().copied().map(Role::from).collect()
    }
}

connection!(MemberConnection, MemberEdge, Member, "members");

/// Two companies that agreed to share leads.
#[derive(Clone, Debug)]
pub struct Partnership(pub(super) company::Partnership);

/// Two companies that agreed to share leads.
#[Object(serial)]
impl Partnership {
    /// Its global id.
    pub async fn id(&self) -> ID {
        super::id(NodeType::Partnership, self.0.id.0)
    }

    /// The vendor.
    async fn vendor(&self) -> Company {
        Company(self.0.vendor)
    }

    /// The partner.
    async fn partner(&self) -> Company {
        Company(self.0.partner)
    }

    /// The other company, as the viewer sees it.
    async fn counterpart(&self, ctx: &Context<'_>) -> Result<Direct<Company>> {
        Ok(Direct(Company(self.0.counterpart(member(ctx)?.company))))
    }

    /// What the viewer's company is in it.
    async fn role(&self, ctx: &Context<'_>) -> Result<PartnershipRole> {
        let vendor = self.0.vendor == member(ctx)?.company;
        Ok(if vendor { PartnershipRole::Vendor } else { PartnershipRole::Partner })
    }

    /// Where it stands.
    async fn state(&self) -> PartnershipState {
        self.0.state.into()
    }

    /// How leads are shared in it.
    async fn settings(&self) -> PartnershipSettings {
        PartnershipSettings { stage_moved_by: self.0.stage_moved_by.into() }
    }

    /// Counts its changes, from 1: what `expectedVersion` is compared with.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Which of the two companies invited the other.
    async fn invited_by(&self) -> Company {
        Company(self.0.invited_by)
    }
}

/// How leads are shared in a partnership; the vendor sets it.
#[derive(Clone, Debug, SimpleObject)]
pub struct PartnershipSettings {
    /// Who moves the stage of a lead that the partner submitted, once it is accepted.
    pub stage_moved_by: StageMover,
}

/// Who moves the stage of a submitted lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "company::StageMover")]
pub enum StageMover {
    /// The vendor alone.
    Vendor,
    /// The partner alone.
    Partner,
    /// Both.
    Both,
}

connection!(PartnershipConnection, PartnershipEdge, Partnership, "partnerships");

/// Where a lead or opportunity stands in its workflow.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(serial)]
pub struct Stage {
    /// Its name in code, such as `accepted`.
    pub key: String,
    /// Its name for people, such as `Accepted`.
    pub name: String,
    /// What a client can colour and count by, whatever the workflow.
    pub kind: StageKind,
    /// Whether it is an end: nothing leads on from it but passing the lead to another partner.
    pub terminal: bool,
    /// STAGE for progress, STATUS for the vendor's review.
    pub track: Track,
}

impl From<&workflow::definition::Stage> for Stage {
    fn from(stage: &workflow::definition::Stage) -> Self {
        Self {
            key: stage.key.clone(),
            name: stage.name.clone(),
            kind: stage.kind.into(),
            terminal: stage.terminal,
            track: stage.track.into(),
        }
    }
}

/// The two ways along which a lead moves at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "workflow::definition::TrackKey")]
pub enum Track {
    /// Progress: `Lead.stage`.
    Stage,
    /// Review by the vendor: `Lead.status`.
    Status,
}

/// What a client can colour and count by, whatever the workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "workflow::definition::StageKind")]
pub enum StageKind {
    /// Not yet with the other side.
    Open,
    /// Waits for the other side's answer.
    Awaiting,
    /// Being worked.
    Active,
    /// Ended well.
    Won,
    /// Ended without success.
    Lost,
    /// Refused by the receiver.
    Declined,
    /// Not answered or not worked in time.
    Expired,
    /// Ended without an outcome to count.
    Closed,
}

/// Whom to invite.
#[derive(Clone, Debug, InputObject)]
pub struct InvitePartnerInput {
    /// The slug of the company to invite.
    pub company_slug: String,
    /// What the viewer's company will be in the partnership.
    pub role: PartnershipRole,
    /// Makes a repetition of this call safe: the same key with the same content gives the same partnership.
    pub idempotency_key: Option<String>,
}

/// What `invitePartner` gives: the partnership, which the other company has yet to accept.
#[derive(SimpleObject)]
pub struct InvitePartnerPayload {
    /// The partnership, INVITED.
    pub partnership: Partnership,
}

/// Which invitation to accept.
#[derive(Clone, Debug, InputObject)]
pub struct AcceptPartnershipInput {
    /// The partnership, which the other company invited to.
    pub partnership_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `acceptPartnership` gives: the partnership, across which leads can be passed from now on.
#[derive(SimpleObject)]
pub struct AcceptPartnershipPayload {
    /// The partnership, ACTIVE.
    pub partnership: Partnership,
}

/// Which partnership to suspend.
#[derive(Clone, Debug, InputObject)]
pub struct SuspendPartnershipInput {
    /// The partnership, ACTIVE.
    pub partnership_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `suspendPartnership` gives: the partnership, across which nothing new is passed until it is resumed.
#[derive(SimpleObject)]
pub struct SuspendPartnershipPayload {
    /// The partnership, SUSPENDED.
    pub partnership: Partnership,
}

/// Which partnership to resume.
#[derive(Clone, Debug, InputObject)]
pub struct ResumePartnershipInput {
    /// The partnership, SUSPENDED.
    pub partnership_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `resumePartnership` gives: the partnership, across which leads can be passed again.
#[derive(SimpleObject)]
pub struct ResumePartnershipPayload {
    /// The partnership, ACTIVE.
    pub partnership: Partnership,
}

/// Which partnership to end, or which invitation to decline or take back.
#[derive(Clone, Debug, InputObject)]
pub struct EndPartnershipInput {
    /// The partnership.
    pub partnership_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `endPartnership` gives: the partnership, which is over for good.
#[derive(SimpleObject)]
pub struct EndPartnershipPayload {
    /// The partnership, ENDED.
    pub partnership: Partnership,
}

/// How to change the settings of a partnership. What is absent stays.
#[derive(Clone, Debug, InputObject)]
pub struct UpdatePartnershipSettingsInput {
    /// The partnership.
    pub partnership_id: ID,
    /// Who moves the stage of submitted leads from now on, of those that are under way too.
    pub stage_moved_by: Option<StageMover>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `updatePartnershipSettings` gives: the partnership with its new settings.
#[derive(SimpleObject)]
pub struct UpdatePartnershipSettingsPayload {
    /// The partnership as it now is.
    pub partnership: Partnership,
}

/// Companies and partnerships: mutations.
#[derive(Default, Debug)]
pub struct CompanyMutation;

/// Companies and partnerships: mutations.
#[Object]
impl CompanyMutation {
    /// Invites another company to share leads. Role: ADMIN.
    async fn invite_partner(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom to invite, and as what.")] input: InvitePartnerInput,
    ) -> Result<Option<InvitePartnerPayload>> {
        let vendor = input.role == PartnershipRole::Vendor;
        let found = service(ctx)
            .invite_partner(member(ctx)?, &input.company_slug, vendor, input.idempotency_key.as_deref())
            .await;
        Ok(Some(InvitePartnerPayload { partnership: Partnership(found.reply(ctx)?) }))
    }

    /// Accepts an invitation. Role: ADMIN of the company that was invited.
    async fn accept_partnership(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which invitation.")] input: AcceptPartnershipInput,
    ) -> Result<Option<AcceptPartnershipPayload>> {
        let id = partnership_id(ctx, &input.partnership_id)?;
        let found = service(ctx).accept_partnership(member(ctx)?, id, input.expected_version).await;
        Ok(Some(AcceptPartnershipPayload { partnership: Partnership(found.reply(ctx)?) }))
    }

    /// Suspends a partnership: no new leads are shared. Role: ADMIN of either company.
    async fn suspend_partnership(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which partnership.")] input: SuspendPartnershipInput,
    ) -> Result<Option<SuspendPartnershipPayload>> {
        let id = partnership_id(ctx, &input.partnership_id)?;
        let found = service(ctx).suspend_partnership(member(ctx)?, id, input.expected_version).await;
        Ok(Some(SuspendPartnershipPayload { partnership: Partnership(found.reply(ctx)?) }))
    }

    /// Resumes a suspended partnership. Role: ADMIN of either company.
    async fn resume_partnership(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which partnership.")] input: ResumePartnershipInput,
    ) -> Result<Option<ResumePartnershipPayload>> {
        let id = partnership_id(ctx, &input.partnership_id)?;
        let found = service(ctx).resume_partnership(member(ctx)?, id, input.expected_version).await;
        Ok(Some(ResumePartnershipPayload { partnership: Partnership(found.reply(ctx)?) }))
    }

    /// Ends a partnership, or declines or takes back an invitation. What was shared stays with each receiver as it is
    /// at that moment. Role: ADMIN of either company.
    async fn end_partnership(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which partnership.")] input: EndPartnershipInput,
    ) -> Result<Option<EndPartnershipPayload>> {
        let id = partnership_id(ctx, &input.partnership_id)?;
        let found = service(ctx).end_partnership(member(ctx)?, id, input.expected_version).await;
        Ok(Some(EndPartnershipPayload { partnership: Partnership(found.reply(ctx)?) }))
    }

    /// Changes the settings of a partnership. Role: ADMIN of the vendor.
    async fn update_partnership_settings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which partnership, and how.")] input: UpdatePartnershipSettingsInput,
    ) -> Result<Option<UpdatePartnershipSettingsPayload>> {
        let id = partnership_id(ctx, &input.partnership_id)?;
        let mover = input.stage_moved_by.map(Into::into);
        let found = service(ctx).update_partnership_settings(member(ctx)?, id, mover, input.expected_version).await;
        Ok(Some(UpdatePartnershipSettingsPayload { partnership: Partnership(found.reply(ctx)?) }))
    }
}

fn partnership_id(ctx: &Context<'_>, id: &ID) -> Result<PartnershipId> {
    parse_id(ctx, id, NodeType::Partnership, "input.partnershipId").map(PartnershipId)
}

/// Absent, null or a value.
pub(super) fn patch<T>(value: MaybeUndefined<T>) -> Patch<T> {
    match value {
        MaybeUndefined::Undefined => Patch::Absent,
        MaybeUndefined::Null => Patch::Null,
        MaybeUndefined::Value(value) => Patch::Value(value),
    }
}

/// A member that is already known to be in the viewer's sight.
pub(super) async fn profile(ctx: &Context<'_>, id: MemberId) -> Result<Member> {
    load(ctx, id).await?.map(Member).ok_or_else(|| Error::internal(format!("there is no member {id}"))).reply(ctx)
}

/// A company, from this process's memory where it can be.
async fn at_hand(ctx: &Context<'_>, id: CompanyId) -> Result<Arc<company::Company>> {
    if let Some(company) = service(ctx).company_at_hand(id) {
        return Ok(company);
    }
    load(ctx, id).await?.ok_or_else(|| Error::internal(format!("there is no company {id}"))).reply(ctx)
}
