//! What can be done with leads and opportunities: the forms of actions, and mutations for the shipped ones.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use serde_json::Value;

use super::{
    company::Stage,
    direct::Direct,
    error::Reply,
    lead::{Lead, MoneyInput, act, act_once, form, once, text},
    load,
    opportunity::Opportunity,
    parse_id,
    scalars::{Date, DateTime},
};
use crate::{
    domain::{
        global_id::NodeType,
        workflow::{
            definition::{self, Definition, Effect, TrackKey},
            engine::{self, Fields},
        },
    },
    error::Error,
    service::lead::Asked,
};

/// Something that the viewer may do now.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(serial)]
pub struct LeadAction {
    /// Its name in code, as `performLeadAction` and `performOpportunityAction` take it.
    pub key: String,
    /// Its name for people, as on a button.
    pub name: String,
    /// What it does, for people; null where the workflow doesn't say.
    pub help: Option<String>,
    /// The stage that it leads to; the present one where it moves nothing.
    pub to_stage: Direct<Stage>,
    /// What the caller fills in.
    pub fields: Vec<Direct<ActionField>>,
    /// Groups of fields of which exactly one has to be given, by key.
    pub exactly_one_of: Vec<Vec<String>>,
    /// The paths of the lead's fields, such as `customer.company`, that its source can't change any more once this is
    /// done; empty where it fixes none.
    pub fixes_fields: Vec<String>,
}

impl LeadAction {
    /// As it is shown for a record with these fields; `at` is where it stands on each track.
    pub(super) fn of<'r>(
        definition: &Definition,
        action: &definition::Action,
        fields: Fields<'_>,
        at: impl Fn(TrackKey) -> Option<&'r str>,
    ) -> Option<Self> {
        let to = action.to.as_deref().or_else(|| at(definition.track_of(action)))?;
        Some(Self {
            key: action.key.clone(),
            name: action.name.clone(),
            help: action.help.clone(),
            to_stage: Direct(definition.stage(to)?.into()),
            fields: action.fields.iter().map(|field| Direct(ActionField::of(field, fields))).collect(),
            exactly_one_of: action.exactly_one_of.clone(),
            fixes_fields: engine::fixes(definition, action).into_iter().map(str::to_owned).collect(),
        })
    }
}

/// Something that the viewer could do now, were it not for fields of the record that are still empty.
#[derive(Clone, Debug, SimpleObject)]
pub struct BlockedAction {
    /// Its name in code.
    pub key: String,
    /// Its name for people, as on a button.
    pub name: String,
    /// The paths of the record's fields that have to be filled in first, such as `qualification.goal`.
    pub missing: Vec<String>,
}

impl BlockedAction {
    /// An action with the paths of the fields that are empty.
    pub(super) fn of((action, missing): (&definition::Action, Vec<&str>)) -> Self {
        Self {
            key: action.key.clone(),
            name: action.name.clone(),
            missing: missing.into_iter().map(str::to_owned).collect(),
        }
    }
}

/// A field of an action's form.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(serial)]
pub struct ActionField {
    /// Its name in the form.
    pub key: String,
    /// Its name for people.
    pub label: String,
    /// What to fill in, for people; null where the workflow doesn't say.
    pub help: Option<String>,
    /// What its value is.
    #[graphql(name = "type")]
    pub kind: FieldType,
    /// Whether it must be given. A default counts: a field that is left out takes it.
    pub required: bool,
    /// With which values of another field it must be given; null where that makes no difference.
    pub required_when: Option<FieldCondition>,
    /// The values to choose from, in code; null for other types than CHOICE.
    pub options: Option<Vec<String>>,
    /// The values to choose from with their names for people; null for other types than CHOICE.
    pub choices: Option<Vec<FieldChoice>>,
    /// What it is where it is left out, as text (money as JSON with amount and currency); null for nothing. What the
    /// record knows is filled in.
    pub default: Option<String>,
    /// Whether it is filled in by itself: another value than the default is refused.
    pub read_only: bool,
}

impl ActionField {
    fn of(field: &definition::Field, fields: Fields<'_>) -> Self {
        let options = field.options.as_ref();
        Self {
            key: field.key.clone(),
            label: field.label.clone(),
            help: field.help.clone(),
            kind: field.kind.into(),
            required: field.required,
            required_when: field
                .required_when
                .as_ref()
                .map(|when| FieldCondition { field: when.field.clone(), one_of: when.one_of.clone() }),
            options: options.map(|options| options.iter().map(|option| option.value.clone()).collect()),
            choices: options.map(|options| {
                let choice = |option: &definition::Choice| FieldChoice {
                    value: option.value.clone(),
                    label: option.label.clone(),
                };
                options.iter().map(choice).collect()
            }),
            default: engine::default_of(field, fields),
            read_only: field.read_only,
        }
    }
}

/// A condition on another field of the same form.
#[derive(Clone, Debug, SimpleObject)]
pub struct FieldCondition {
    /// The key of the other field.
    pub field: String,
    /// It holds with one of these values.
    pub one_of: Vec<String>,
}

/// One value of a CHOICE.
#[derive(Clone, Debug, SimpleObject)]
pub struct FieldChoice {
    /// In code, as the form takes it.
    pub value: String,
    /// For people.
    pub label: String,
}

/// What the value of a form's field is. All are strings except where said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "definition::FieldType")]
pub enum FieldType {
    /// One line of text.
    Text,
    /// Text of several lines.
    LongText,
    /// A whole number.
    Integer,
    /// A decimal number as a string.
    Decimal,
    /// An object as `MoneyInput`.
    Money,
    /// A day, ISO 8601.
    Date,
    /// A moment, RFC 3339.
    DateTime,
    /// true or false.
    Boolean,
    /// One of the field's options.
    Choice,
    /// The id of a member of the viewer's company.
    Member,
    /// The id of an opportunity of the viewer's company.
    Opportunity,
    /// An object as `OpportunityInput`.
    OpportunityForm,
    /// The id of a partnership of the viewer's company.
    Partnership,
    /// The id of a lead of the viewer's company.
    Lead,
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $code:ident $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        pub enum $name {$(
            $(#[$of])*
            $code,
        )*}

        impl $name {
            pub(super) fn parse(code: &str) -> Option<Self> {
                match code {
                    $($text => Some(Self::$code),)*
                    _ => None,
                }
            }

            const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $text,)*
                }
            }
        }
    };
}

codes! {
    /// Why an internal lead is given up.
    DisqualificationCode {
        /// The customer is none that the company sells to.
        NonTargetClient "NON_TARGET_CLIENT",
        /// The customer needs more time: an opportunity goes on with generating the demand.
        DemandNotGenerated "DEMAND_NOT_GENERATED",
        /// The interest was not a customer's.
        NonCommercialInterest "NON_COMMERCIAL_INTEREST",
        /// Nobody could be reached.
        ImpossibleToContact "IMPOSSIBLE_TO_CONTACT",
    }
}

codes! {
    /// Why a vendor refuses a submitted lead.
    RejectionCode {
        /// Another lead for the same customer has priority.
        Duplicate "DUPLICATE",
        /// What was missing did not come.
        NotEnoughInformation "NOT_ENOUGH_INFORMATION",
        /// What it says is not so.
        Inaccurate "INACCURATE",
        /// Something else, as the reason says.
        Other "OTHER",
    }
}

/// Whom to assign a lead to.
#[derive(Clone, Debug, InputObject)]
pub struct AssignLeadInput {
    /// The lead, at the stage New.
    pub lead_id: ID,
    /// The member of the viewer's company who works it from then on.
    pub owner_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// Whom to assign a lead to instead.
#[derive(Clone, Debug, InputObject)]
pub struct ReassignLeadInput {
    /// The lead, at the stage Assigned.
    pub lead_id: ID,
    /// The member of the viewer's company who works it from then on.
    pub owner_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// Which lead to qualify, and the opportunity to create. What is absent is taken from the lead where it can be; what is
/// null is empty.
#[derive(Clone, Debug, InputObject)]
pub struct QualifyLeadInput {
    /// The lead, at the stage Assigned.
    pub lead_id: ID,
    /// The opportunity's name; the lead's title where absent.
    pub name: MaybeUndefined<String>,
    /// Who works the opportunity; the lead's owner where absent.
    pub responsible_id: MaybeUndefined<ID>,
    /// The city that the customer is in; that of the customer's address where absent.
    pub city: MaybeUndefined<String>,
    /// How the matter stands at the customer's.
    pub current_situation: Option<String>,
    /// What it may bring; the lead's estimated value where absent.
    pub estimated_revenue: MaybeUndefined<MoneyInput>,
    /// When it is expected to close.
    pub estimated_close_date: Option<Date>,
    /// The line of products or services that is sold; REQUIRED.
    pub selling_direction: Option<String>,
    /// What the customer demands; the lead's description where absent.
    pub description: MaybeUndefined<String>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
    /// Makes a repetition of this call safe: the same key with the same content gives the lead, and is not carried out again.
    pub idempotency_key: Option<String>,
}

/// Which lead to disqualify, and why. With `DEMAND_NOT_GENERATED` an opportunity is created as `qualifyLead` does, with
/// the same fields.
#[derive(Clone, Debug, InputObject)]
pub struct DisqualifyLeadInput {
    /// The lead, at the stage Assigned.
    pub lead_id: ID,
    /// Why, in code.
    pub code: DisqualificationCode,
    /// Why, in words; must not be blank.
    pub reason: String,
    /// The opportunity's name; the lead's title where absent.
    pub name: MaybeUndefined<String>,
    /// Who works the opportunity; the lead's owner where absent.
    pub responsible_id: MaybeUndefined<ID>,
    /// The city that the customer is in; that of the customer's address where absent.
    pub city: MaybeUndefined<String>,
    /// How the matter stands at the customer's.
    pub current_situation: Option<String>,
    /// What it may bring; the lead's estimated value where absent.
    pub estimated_revenue: MaybeUndefined<MoneyInput>,
    /// When it is expected to close.
    pub estimated_close_date: Option<Date>,
    /// The line of products or services that is sold; REQUIRED with `DEMAND_NOT_GENERATED`.
    pub selling_direction: Option<String>,
    /// What the customer demands; the lead's description where absent.
    pub description: MaybeUndefined<String>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
    /// Makes a repetition of this call safe: the same key with the same content gives the lead, and is not carried out again.
    pub idempotency_key: Option<String>,
}

/// Which lead to deactivate.
#[derive(Clone, Debug, InputObject)]
pub struct DeactivateLeadInput {
    /// The lead, active.
    pub lead_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// Which lead to activate again.
#[derive(Clone, Debug, InputObject)]
pub struct ActivateLeadInput {
    /// The lead, deactivated.
    pub lead_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// Which submitted lead needs more information, and what is missing.
#[derive(Clone, Debug, InputObject)]
pub struct RequestLeadInfoInput {
    /// The lead, at the status New.
    pub lead_id: ID,
    /// What is missing; the partner reads it. Must not be blank.
    pub note: String,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// Which submitted lead to send back to the vendor.
#[derive(Clone, Debug, InputObject)]
pub struct ResubmitLeadInput {
    /// The lead, at the status Requires more info.
    pub lead_id: ID,
    /// What was added; the vendor reads it.
    pub note: Option<String>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// Which submitted lead to reject, and why.
#[derive(Clone, Debug, InputObject)]
pub struct RejectLeadInput {
    /// The lead, at the status New or Requires more info.
    pub lead_id: ID,
    /// Why, in words; must not be blank.
    pub reason: String,
    /// Why, in code.
    pub code: Option<RejectionCode>,
    /// The lead that has priority; shown only to those who may see it.
    pub duplicate_of_id: Option<ID>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// Which submitted lead is won, so that the partner is to be paid.
#[derive(Clone, Debug, InputObject)]
pub struct MarkLeadReadyForPayoutInput {
    /// The lead, at the status Accepted.
    pub lead_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// For which submitted lead the partner has been paid.
#[derive(Clone, Debug, InputObject)]
pub struct MarkLeadPaidOutInput {
    /// The lead, at the status Ready for payout or Recurring payment.
    pub lead_id: ID,
    /// Whether more payments can come: the status is then Recurring payment, else Paid out.
    #[graphql(default)]
    pub recurring: bool,
    /// When its invoices are to be checked next, with `recurring`; after the template's interval where absent.
    pub next_check_at: Option<DateTime>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// Which submitted lead's invoices have been checked.
#[derive(Clone, Debug, InputObject)]
pub struct RecordRecurringCheckInput {
    /// The lead, at the status Recurring payment.
    pub lead_id: ID,
    /// When they are to be checked next; after the template's interval where absent.
    pub next_check_at: Option<DateTime>,
    /// What was found; the partner reads it.
    pub note: Option<String>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
    /// Makes a repetition of this call safe: the same key with the same content gives the lead, and is not carried out again.
    pub idempotency_key: Option<String>,
}

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $name {
            /// The lead as it now is.
            pub lead: Lead,
        }
    )*};
}

payloads! {
    /// What `assignLead` gives: the lead, assigned to its new owner.
    AssignLeadPayload,
    /// What `reassignLead` gives: the lead, assigned to another owner.
    ReassignLeadPayload,
    /// What `deactivateLead` gives: the lead, now read-only and left out of lists that don't ask for it.
    DeactivateLeadPayload,
    /// What `activateLead` gives: the lead, which can be changed again.
    ActivateLeadPayload,
    /// What `requestLeadInfo` gives: the lead, sent back to the partner with what the vendor wants to know.
    RequestLeadInfoPayload,
    /// What `resubmitLead` gives: the lead, with the vendor again.
    ResubmitLeadPayload,
    /// What `rejectLead` gives: the lead, rejected, with the code and the reason.
    RejectLeadPayload,
    /// What `markLeadReadyForPayout` gives: the lead, won and to be paid for.
    MarkLeadReadyForPayoutPayload,
    /// What `markLeadPaidOut` gives: the lead, paid for.
    MarkLeadPaidOutPayload,
    /// What `recordRecurringCheck` gives: the lead, with the date of its next check.
    RecordRecurringCheckPayload,
}

/// What `qualifyLead` gives: the lead, qualified, and the opportunity that it became.
#[derive(SimpleObject)]
pub struct QualifyLeadPayload {
    /// The opportunity that was created.
    pub opportunity: Opportunity,
    /// The lead as it now is.
    pub lead: Lead,
}

/// What `disqualifyLead` gives: the lead, disqualified, with the code and the reason.
#[derive(SimpleObject)]
pub struct DisqualifyLeadPayload {
    /// The opportunity that goes on with generating the demand; null with other codes than `DEMAND_NOT_GENERATED`.
    pub opportunity: Option<Opportunity>,
    /// The lead as it now is.
    pub lead: Lead,
}

/// A field with a default: left out it takes that, and null is empty.
pub(super) fn filled(value: MaybeUndefined<impl Into<String>>) -> Option<Value> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(Value::Null),
        MaybeUndefined::Value(value) => Some(Value::String(value.into())),
    }
}

fn id(value: Option<ID>) -> Option<Value> {
    text(value.map(|id| id.0))
}

/// The same of money.
pub(super) fn money(value: MaybeUndefined<MoneyInput>) -> Option<Value> {
    let value = value.map_value(|value| serde_json::json!({ "amount": value.amount.0, "currency": value.currency.0 }));
    if value.is_null() { Some(Value::Null) } else { value.take() }
}

fn moment(value: Option<DateTime>) -> Option<Value> {
    text(value.map(|at| at.0.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)))
}

async fn opportunity_of(ctx: &Context<'_>, lead: &Lead) -> Result<Option<Opportunity>> {
    match lead.opportunity_id() {
        Some(id) => Ok(load(ctx, id).await?.map(Opportunity::new)),
        None => Ok(None),
    }
}

/// The actions of the shipped workflows: mutations.
#[derive(Default, Debug)]
pub struct ActionMutation;

/// The actions of the shipped workflows: mutations.
#[Object]
impl ActionMutation {
    /// Assigns a new internal lead to its owner. Roles: ADMIN, SALES; MARKETEER and MANAGER as its owner.
    async fn assign_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and to whom.")] input: AssignLeadInput,
    ) -> Result<Option<AssignLeadPayload>> {
        let form = form([("owner", id(Some(input.owner_id)))]);
        let lead = act(ctx, &input.lead_id, Asked::Action("assign"), form, input.expected_version).await?;
        Ok(Some(AssignLeadPayload { lead }))
    }

    /// Assigns an internal lead to another owner. Roles: ADMIN, SALES; MARKETEER and MANAGER as its owner.
    async fn reassign_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and to whom.")] input: ReassignLeadInput,
    ) -> Result<Option<ReassignLeadPayload>> {
        let form = form([("owner", id(Some(input.owner_id)))]);
        let lead = act(ctx, &input.lead_id, Asked::Action("reassign"), form, input.expected_version).await?;
        Ok(Some(ReassignLeadPayload { lead }))
    }

    /// Qualifies an internal lead and creates its opportunity; what is known of the customer's decision has to be on the
    /// lead. Its owner alone, with the role ADMIN, SALES, MARKETEER or MANAGER.
    async fn qualify_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and the opportunity.")] input: QualifyLeadInput,
    ) -> Result<Option<QualifyLeadPayload>> {
        let form = form([
            ("name", filled(input.name)),
            ("responsible", filled(input.responsible_id)),
            ("city", filled(input.city)),
            ("currentSituation", text(input.current_situation)),
            ("estimatedRevenue", money(input.estimated_revenue)),
            ("estimatedCloseDate", text(input.estimated_close_date.map(|date| date.0))),
            ("sellingDirection", text(input.selling_direction)),
            ("description", filled(input.description)),
        ]);
        let once = once("qualifyLead", input.idempotency_key);
        let asked = Asked::Action("qualify");
        let lead = act_once(ctx, &input.lead_id, asked, form, input.expected_version, once).await?;
        let opportunity = opportunity_of(ctx, &lead).await?;
        let missing = || Error::internal("a qualification without an opportunity");
        Ok(Some(QualifyLeadPayload { opportunity: opportunity.ok_or_else(missing).reply(ctx)?, lead }))
    }

    /// Gives an internal lead up, with a code and the reason. Its owner alone, with the role ADMIN, SALES, MARKETEER or
    /// MANAGER.
    async fn disqualify_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and why.")] input: DisqualifyLeadInput,
    ) -> Result<Option<DisqualifyLeadPayload>> {
        let form = form([
            ("code", text(Some(input.code.as_str().to_owned()))),
            ("reason", text(Some(input.reason))),
            ("name", filled(input.name)),
            ("responsible", filled(input.responsible_id)),
            ("city", filled(input.city)),
            ("currentSituation", text(input.current_situation)),
            ("estimatedRevenue", money(input.estimated_revenue)),
            ("estimatedCloseDate", text(input.estimated_close_date.map(|date| date.0))),
            ("sellingDirection", text(input.selling_direction)),
            ("description", filled(input.description)),
        ]);
        let once = once("disqualifyLead", input.idempotency_key);
        let asked = Asked::Action("disqualify");
        let lead = act_once(ctx, &input.lead_id, asked, form, input.expected_version, once).await?;
        Ok(Some(DisqualifyLeadPayload { opportunity: opportunity_of(ctx, &lead).await?, lead }))
    }

    /// Deactivates an internal lead: it is read-only, and left out of lists that don't ask for it. Its opportunity is not
    /// touched. Roles: ADMIN, SALES, MARKETEER, MANAGER.
    async fn deactivate_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead.")] input: DeactivateLeadInput,
    ) -> Result<Option<DeactivateLeadPayload>> {
        let asked = Asked::Effect(Effect::Deactivate);
        let lead = act(ctx, &input.lead_id, asked, form([]), input.expected_version).await?;
        Ok(Some(DeactivateLeadPayload { lead }))
    }

    /// Activates a deactivated lead again. Roles: ADMIN, SALES, MARKETEER, MANAGER.
    async fn activate_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead.")] input: ActivateLeadInput,
    ) -> Result<Option<ActivateLeadPayload>> {
        let asked = Asked::Effect(Effect::Activate);
        let lead = act(ctx, &input.lead_id, asked, form([]), input.expected_version).await?;
        Ok(Some(ActivateLeadPayload { lead }))
    }

    /// Tells the partner what is missing on a submitted lead. Side: the vendor.
    async fn request_lead_info(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and what is missing.")] input: RequestLeadInfoInput,
    ) -> Result<Option<RequestLeadInfoPayload>> {
        let form = form([("note", text(Some(input.note)))]);
        let lead = act(ctx, &input.lead_id, Asked::Action("request_info"), form, input.expected_version).await?;
        Ok(Some(RequestLeadInfoPayload { lead }))
    }

    /// Sends a submitted lead back to the vendor with what was missing. Side: the partner.
    async fn resubmit_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead.")] input: ResubmitLeadInput,
    ) -> Result<Option<ResubmitLeadPayload>> {
        let form = form([("note", text(input.note))]);
        let lead = act(ctx, &input.lead_id, Asked::Action("resubmit"), form, input.expected_version).await?;
        Ok(Some(ResubmitLeadPayload { lead }))
    }

    /// Rejects a submitted lead, with the reason. Side: the vendor.
    async fn reject_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and why.")] input: RejectLeadInput,
    ) -> Result<Option<RejectLeadPayload>> {
        // An id that is blank would be an empty field of the form, and the lead be rejected without it.
        if let Some(id) = &input.duplicate_of_id {
            parse_id(ctx, id, NodeType::Lead, "input.duplicateOfId")?;
        }
        let form = form([
            ("reason", text(Some(input.reason))),
            ("code", text(input.code.map(|code| code.as_str().to_owned()))),
            ("duplicateOf", id(input.duplicate_of_id)),
        ]);
        let lead = act(ctx, &input.lead_id, Asked::Action("reject"), form, input.expected_version).await?;
        Ok(Some(RejectLeadPayload { lead }))
    }

    /// Says that a submitted lead is won, so that the partner is to be paid. Side: the vendor.
    async fn mark_lead_ready_for_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead.")] input: MarkLeadReadyForPayoutInput,
    ) -> Result<Option<MarkLeadReadyForPayoutPayload>> {
        let asked = Asked::Action("ready_for_payout");
        let lead = act(ctx, &input.lead_id, asked, form([]), input.expected_version).await?;
        Ok(Some(MarkLeadReadyForPayoutPayload { lead }))
    }

    /// Says that the partner has been paid for a submitted lead, once for all or with more to come. Side: the vendor.
    async fn mark_lead_paid_out(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead.")] input: MarkLeadPaidOutInput,
    ) -> Result<Option<MarkLeadPaidOutPayload>> {
        let form = form([("nextCheckAt", moment(input.next_check_at))]);
        let to = if input.recurring { "recurring_payment" } else { "paid_out" };
        let lead = act(ctx, &input.lead_id, Asked::Stage(to), form, input.expected_version).await?;
        Ok(Some(MarkLeadPaidOutPayload { lead }))
    }

    /// Says that the invoices of a submitted lead with recurring payments have been checked. Side: the vendor.
    async fn record_recurring_check(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead.")] input: RecordRecurringCheckInput,
    ) -> Result<Option<RecordRecurringCheckPayload>> {
        let form = form([("nextCheckAt", moment(input.next_check_at)), ("note", text(input.note))]);
        let once = once("recordRecurringCheck", input.idempotency_key);
        let asked = Asked::Action("recurring_check");
        let lead = act_once(ctx, &input.lead_id, asked, form, input.expected_version, once).await?;
        Ok(Some(RecordRecurringCheckPayload { lead }))
    }
}
