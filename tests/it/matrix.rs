//! Who may do what: a row for each field of Query, Mutation and Subscription, a column for each caller.
//!
//! acme sourced the lead; initech had it first; globex has it now; umbrella is party to nothing. An internal lead is
//! acme's alone; a submitted one comes from globex, and acme is its vendor. A field of the schema without a row fails, as
//! does a row without a field. A call that is refused changes no row of the database.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::{Answer, Client};
use crate::support::rows::Rows;
use crate::support::world::{Person, World};
use crate::support::ws::{Event, Socket};

const ROLES: [&str; 6] = ["ADMIN", "SALES", "MARKETEER", "MANAGER", "INTEGRATION", "VIEWER"];

/// What a caller gets: a code; or one of the two below.
type Outcome = &'static str;
/// Data, and in it what the row is about.
const OK: Outcome = "OK";
/// Data, and nothing of what the row is about in it.
const EMPTY: Outcome = "EMPTY";
const FORBIDDEN: Outcome = "FORBIDDEN";
const NOT_FOUND: Outcome = "NOT_FOUND";
const UNAUTHENTICATED: Outcome = "UNAUTHENTICATED";

/// By role, in the order of [`ROLES`].
type ByRole = [Outcome; 6];
const ALL: ByRole = [OK; 6];
const NONE: ByRole = [FORBIDDEN; 6];
const HIDDEN: ByRole = [NOT_FOUND; 6];
const NOTHING: ByRole = [EMPTY; 6];
const ADMIN: ByRole = [OK, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN];
/// What is for administrators is refused to the others before it is looked for.
const STRANGERS: ByRole = [NOT_FOUND, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN];
const PEOPLE: ByRole = [OK, OK, OK, OK, FORBIDDEN, FORBIDDEN];
const WRITERS: ByRole = [OK, OK, OK, OK, OK, FORBIDDEN];
/// Mission C9.
const LISTERS: ByRole = [FORBIDDEN, OK, FORBIDDEN, OK, FORBIDDEN, FORBIDDEN];
/// Mission C2, of a lead whose owner is none of the others.
const ASSIGNERS: ByRole = [OK, OK, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN];
/// The same, of a lead that the MARKETEER owns.
const WITH_MARKETEER: ByRole = [OK, OK, OK, FORBIDDEN, FORBIDDEN, FORBIDDEN];
/// Whom the comment of the scene is by, and who owns its internal leads.
const SALES: ByRole = [FORBIDDEN, OK, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN];

/// What each caller gets of a field. The earlier receiver and the stranger are ADMIN; nobody has no token.
struct Row {
    /// As in the schema.
    field: &'static str,
    source: ByRole,
    receiver: ByRole,
    earlier: Outcome,
    stranger: Outcome,
}

const fn row(field: &'static str, source: ByRole, receiver: ByRole, earlier: Outcome, stranger: Outcome) -> Row {
    Row { field, source, receiver, earlier, stranger }
}

impl Row {
    /// Company, role and what it gets.
    fn cells(&self) -> Vec<(&'static str, &'static str, Outcome)> {
        let mut cells = Vec::new();
        for (company, outcomes) in [("acme", self.source), ("globex", self.receiver)] {
            cells.extend(ROLES.into_iter().zip(outcomes).map(|(role, outcome)| (company, role, outcome)));
        }
        cells.push(("initech", "ADMIN", self.earlier));
        cells.push(("umbrella", "ADMIN", self.stranger));
        cells
    }
}

const QUERIES: &[Row] = &[
    row("node", ALL, ALL, OK, NOT_FOUND),
    row("nodes", ALL, ALL, OK, EMPTY),
    row("viewer", ALL, ALL, OK, OK),
    row("lead", ALL, ALL, OK, NOT_FOUND),
    row("leads", ALL, ALL, OK, EMPTY),
    row("leadBoard", ALL, ALL, OK, EMPTY),
    row("opportunity", ALL, ALL, NOT_FOUND, NOT_FOUND),
    row("opportunities", ALL, ALL, EMPTY, EMPTY),
    row("partnerships", ALL, ALL, EMPTY, EMPTY),
    row("members", ALL, NOTHING, EMPTY, EMPTY),
    row("tasks", ALL, ALL, EMPTY, EMPTY),
    row("activity", ALL, ALL, EMPTY, EMPTY),
    row("auditTrail", ALL, ALL, OK, NOT_FOUND),
    row("leadTemplates", ALL, NOTHING, EMPTY, EMPTY),
    row("opportunityTemplates", ALL, NOTHING, EMPTY, EMPTY),
    row("workflows", ALL, NOTHING, EMPTY, EMPTY),
    row("workflow", ALL, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("checkWorkflow", ALL, ALL, OK, OK),
    row("workflowDiagram", ALL, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("marketingList", ALL, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("marketingLists", ALL, NOTHING, EMPTY, EMPTY),
];

const MUTATIONS: &[Row] = &[
    row("invitePartner", ADMIN, ADMIN, OK, OK),
    row("acceptPartnership", NONE, ADMIN, NOT_FOUND, NOT_FOUND),
    row("suspendPartnership", ADMIN, ADMIN, NOT_FOUND, NOT_FOUND),
    row("resumePartnership", ADMIN, ADMIN, NOT_FOUND, NOT_FOUND),
    row("endPartnership", ADMIN, ADMIN, NOT_FOUND, NOT_FOUND),
    row("createLeadTemplate", ADMIN, ADMIN, OK, OK),
    row("updateLeadTemplate", ADMIN, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("draftWorkflow", ADMIN, ADMIN, OK, OK),
    row("publishWorkflow", ADMIN, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("discardWorkflowDraft", ADMIN, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("retireWorkflow", ADMIN, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("moveLeadsToWorkflow", ADMIN, STRANGERS, NOT_FOUND, NOT_FOUND),
    row("createLead", WRITERS, WRITERS, OK, OK),
    row("updateLead", WRITERS, NONE, FORBIDDEN, NOT_FOUND),
    row("updateLead(ownerId)", WRITERS, WRITERS, FORBIDDEN, NOT_FOUND),
    row("eraseCustomerData", ADMIN, NONE, FORBIDDEN, NOT_FOUND),
    row("shareLead", PEOPLE, NONE, FORBIDDEN, NOT_FOUND),
    row("shareLead(internal)", WRITERS, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("withdrawLead", PEOPLE, NONE, FORBIDDEN, NOT_FOUND),
    row("acceptLead", NONE, PEOPLE, FORBIDDEN, NOT_FOUND),
    row("declineLead", NONE, PEOPLE, FORBIDDEN, NOT_FOUND),
    row("convertLead", NONE, PEOPLE, FORBIDDEN, NOT_FOUND),
    row("closeLead", NONE, PEOPLE, FORBIDDEN, NOT_FOUND),
    row("moveLead", NONE, PEOPLE, FORBIDDEN, NOT_FOUND),
    row("performLeadAction", NONE, PEOPLE, FORBIDDEN, NOT_FOUND),
    row("withdrawLead(submitted)", NONE, PEOPLE, NOT_FOUND, NOT_FOUND),
    row("acceptLead(submitted)", PEOPLE, NONE, NOT_FOUND, NOT_FOUND),
    row("moveLead(submitted)", PEOPLE, PEOPLE, NOT_FOUND, NOT_FOUND),
    row("requestLeadInfo", PEOPLE, NONE, NOT_FOUND, NOT_FOUND),
    row("resubmitLead", NONE, PEOPLE, NOT_FOUND, NOT_FOUND),
    row("rejectLead", PEOPLE, NONE, NOT_FOUND, NOT_FOUND),
    row("markLeadReadyForPayout", PEOPLE, NONE, NOT_FOUND, NOT_FOUND),
    row("markLeadPaidOut", PEOPLE, NONE, NOT_FOUND, NOT_FOUND),
    row("recordRecurringCheck", PEOPLE, NONE, NOT_FOUND, NOT_FOUND),
    row("assignLead", ASSIGNERS, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("assignLead(marketeer)", WITH_MARKETEER, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("reassignLead", ASSIGNERS, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("reassignLead(marketeer)", WITH_MARKETEER, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("qualifyLead", SALES, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("disqualifyLead", SALES, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("deactivateLead", PEOPLE, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("activateLead", PEOPLE, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("createOpportunity", PEOPLE, PEOPLE, OK, OK),
    row("updateOpportunity", NONE, PEOPLE, NOT_FOUND, NOT_FOUND),
    row("moveOpportunity", NONE, PEOPLE, NOT_FOUND, NOT_FOUND),
    row("performOpportunityAction", NONE, PEOPLE, NOT_FOUND, NOT_FOUND),
    row("addComment", PEOPLE, PEOPLE, FORBIDDEN, NOT_FOUND),
    row("editComment", NONE, SALES, NOT_FOUND, NOT_FOUND),
    row("removeComment", NONE, SALES, NOT_FOUND, NOT_FOUND),
    row("createTask", PEOPLE, PEOPLE, FORBIDDEN, NOT_FOUND),
    row("updateTask", PEOPLE, NONE, NOT_FOUND, NOT_FOUND),
    row("assignTask", PEOPLE, PEOPLE, NOT_FOUND, NOT_FOUND),
    row("completeTask", PEOPLE, PEOPLE, NOT_FOUND, NOT_FOUND),
    row("reopenTask", PEOPLE, PEOPLE, NOT_FOUND, NOT_FOUND),
    row("reopenTask(cancelled)", PEOPLE, NONE, NOT_FOUND, NOT_FOUND),
    row("cancelTask", PEOPLE, NONE, NOT_FOUND, NOT_FOUND),
    row("createMarketingList", LISTERS, LISTERS, FORBIDDEN, FORBIDDEN),
    row("renameMarketingList", LISTERS, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("archiveMarketingList", LISTERS, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("restoreMarketingList", LISTERS, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("addToMarketingList", LISTERS, HIDDEN, NOT_FOUND, NOT_FOUND),
    row("addToMarketingList(receiver)", HIDDEN, LISTERS, NOT_FOUND, NOT_FOUND),
    row("removeFromMarketingList", LISTERS, HIDDEN, NOT_FOUND, NOT_FOUND),
    // The last one, as what may be done with submitted leads hangs on it.
    row("updatePartnershipSettings", ADMIN, NONE, NOT_FOUND, NOT_FOUND),
];

/// `OK` is to be told of what happens; the earlier receiver may follow, and is told of nothing newer than its end.
const SUBSCRIPTIONS: &[Row] = &[
    row("activity", ALL, ALL, EMPTY, NOT_FOUND),
    row("leadChanged", ALL, ALL, EMPTY, NOT_FOUND),
    row("commentAdded", ALL, ALL, EMPTY, NOT_FOUND),
    row("taskChanged", ALL, ALL, EMPTY, NOT_FOUND),
];

#[tokio::test]
async fn every_field_of_the_schema_has_a_row_and_every_row_a_field() {
    const FIELDS: &str = "{ __schema { queryType { fields(includeDeprecated: true) { name } }
        mutationType { fields(includeDeprecated: true) { name } }
        subscriptionType { fields(includeDeprecated: true) { name } } } }";
    let schema = crate::support::introspect(FIELDS)["__schema"].take();
    for (ty, rows) in [("queryType", QUERIES), ("mutationType", MUTATIONS), ("subscriptionType", SUBSCRIPTIONS)] {
        let fields = schema[ty]["fields"].as_array().expect("fields").iter();
        let fields: BTreeSet<_> = fields.map(|field| field["name"].as_str().expect("a name")).collect();
        let rows: BTreeSet<_> = rows.iter().map(|row| plain(row.field)).collect();
        assert_eq!(fields, rows, "{ty}");
    }
}

/// A row's field without what tells two rows of one field apart.
pub(crate) fn plain(field: &str) -> &str {
    field.split('(').next().expect("a name")
}

/// The companies of a lead that was passed on, and everybody who calls.
pub(crate) struct Scene {
    pub(crate) world: World,
    /// Of acme and globex.
    pub(crate) partnership: String,
    /// Of acme and initech.
    pub(crate) earlier: String,
    /// globex's SALES.
    pub(crate) clerk: String,
    /// acme's SALES.
    pub(crate) owner: String,
    serial: AtomicU32,
}

impl Scene {
    pub(crate) async fn set(world: World) -> Self {
        let earlier = world.partnership("acme", "initech").await;
        let partnership = world.partnership("acme", "globex").await;
        // Members are recorded when they are first seen: before any row is counted.
        for company in ["acme", "globex", "initech", "umbrella"] {
            for role in ROLES {
                world.as_(company, role).id().await;
            }
        }
        let clerk = world.as_("globex", "SALES").id().await;
        let owner = world.as_("acme", "SALES").id().await;
        Self { world, partnership, earlier, clerk, owner, serial: AtomicU32::new(0) }
    }

    pub(crate) fn vendor(&self) -> Person {
        self.world.as_("acme", "SALES")
    }

    pub(crate) fn partner(&self) -> Person {
        self.world.as_("globex", "SALES")
    }

    /// A lead that initech had, and that is pending with globex.
    pub(crate) async fn pending(&self) -> String {
        let lead = self.world.shared_lead("acme", &self.earlier, "Forty seats").await;
        let input = json!({ "leadId": lead, "partnershipId": self.partnership });
        self.vendor().mutate("shareLead", input, "lead { id }").await.ok();
        lead
    }

    pub(crate) async fn accepted(&self) -> String {
        let lead = self.pending().await;
        self.partner().mutate("acceptLead", json!({ "leadId": lead }), "lead { id }").await.ok();
        lead
    }

    async fn internal(&self) -> String {
        let input = json!({ "title": "Not shared", "customer": { "company": "Initrode" } });
        let created = self.vendor().mutate("createLead", input, "lead { id }").await.ok();
        created.text_at("/createLead/lead/id").to_owned()
    }

    /// A lead that globex submitted to acme, after these actions with their forms. Each is taken by the side that may.
    async fn submitted(&self, actions: &[(&str, Value)]) -> String {
        let input = json!({
            "title": "Forty seats", "customer": { "company": "Initrode" }, "templateKey": "submitted-lead",
            "partnershipId": self.partnership
        });
        let created = self.partner().mutate("createLead", input, "lead { id }").await.ok();
        let lead = created.text_at("/createLead/lead/id").to_owned();
        for (action, fields) in actions {
            let input = json!({ "leadId": lead, "action": action, "fields": fields });
            self.vendor().mutate("performLeadAction", input, "lead { id }").await.ok();
        }
        lead
    }

    /// A lead that acme works by itself, with all that a qualification asks for, created by that role.
    pub(crate) async fn unassigned(&self, role: &str) -> String {
        let known = json!({
            "goal": "A", "implementationOptions": "B", "procurementProcedure": "C", "decisionLevel": "D", "terms": "E",
            "decisionMaker": "F", "selectionCriteria": "G", "complianceWithCriteria": "H", "channel": "I"
        });
        let input = json!({
            "title": "Forty seats", "customer": { "company": "Initrode", "address": { "city": "Austin" } },
            "templateKey": "internal-lead", "qualification": known
        });
        let created = self.world.as_("acme", role).mutate("createLead", input, "lead { id }").await.ok();
        created.text_at("/createLead/lead/id").to_owned()
    }

    /// Such a lead, assigned to acme's member of that role.
    pub(crate) async fn assigned(&self, role: &str) -> String {
        let lead = self.unassigned("SALES").await;
        let owner = self.world.as_("acme", role).id().await;
        let input = json!({ "leadId": lead, "ownerId": owner });
        self.vendor().mutate("assignLead", input, "lead { id }").await.ok();
        lead
    }

    /// The opportunity that an accepted lead became.
    async fn opportunity(&self) -> String {
        let lead = self.accepted().await;
        let input = json!({ "leadId": lead, "opportunity": { "name": "A deal" } });
        let converted = self.partner().mutate("convertLead", input, "opportunity { id }").await.ok();
        converted.text_at("/convertLead/opportunity/id").to_owned()
    }

    /// A SHARED comment on a pending lead, by the receiver's SALES.
    pub(crate) async fn comment(&self) -> String {
        let input = json!({ "leadId": self.pending().await, "body": "Who is the buyer?" });
        let added = self.partner().mutate("addComment", input, "comment { id }").await.ok();
        added.text_at("/addComment/comment/id").to_owned()
    }

    /// A SHARED task on a pending lead, set by the source for the receiver.
    async fn task(&self) -> String {
        let input = json!({ "leadId": self.pending().await, "title": "Call them", "assignTo": "RECEIVER" });
        let set = self.vendor().mutate("createTask", input, "task { id }").await.ok();
        set.text_at("/createTask/task/id").to_owned()
    }

    async fn task_after(&self, mutation: &str) -> String {
        let task = self.task().await;
        self.vendor().mutate(mutation, json!({ "taskId": task }), "task { id }").await.ok();
        task
    }

    /// A partnership in which globex is the vendor, which acme invited to; moved to a state.
    async fn offered(&self, state: &str) -> String {
        let admin = self.world.as_("acme", "ADMIN");
        let listed = admin.query("{ partnerships { edges { node { id role state } } } }", json!({})).await.ok();
        for edge in listed.list_at("/partnerships/edges") {
            if edge["node"]["role"] == "PARTNER" && edge["node"]["state"] != "ENDED" {
                let input = json!({ "partnershipId": edge["node"]["id"] });
                admin.mutate("endPartnership", input, "partnership { id }").await.ok();
            }
        }
        let input = json!({ "companySlug": "globex", "role": "PARTNER" });
        let invited = admin.mutate("invitePartner", input, "partnership { id }").await.ok();
        let id = invited.text_at("/invitePartner/partnership/id").to_owned();
        let input = json!({ "partnershipId": id });
        if state != "INVITED" {
            let partner = self.world.as_("globex", "ADMIN");
            partner.mutate("acceptPartnership", input.clone(), "partnership { id }").await.ok();
        }
        if state == "SUSPENDED" {
            admin.mutate("suspendPartnership", input, "partnership { id }").await.ok();
        }
        id
    }

    /// A company that nobody has invited yet.
    async fn newcomer(&self) -> String {
        let slug = format!("newcomer-{}", self.serial.fetch_add(1, Ordering::Relaxed));
        self.world.server().service().add_company(&slug, None).await.expect("a company");
        slug
    }

    async fn template(&self) -> String {
        let found = self.vendor().query("{ leadTemplates { id } }", json!({})).await.ok();
        found.text_at("/leadTemplates/0/id").to_owned()
    }

    /// A definition of a workflow, with that key.
    fn definition(key: &str) -> Value {
        json!({
            "key": key, "version": 1, "name": "Fair", "subject": "LEAD", "tracks": [{ "key": "STAGE", "initial": "new" }],
            "stages": [
                { "key": "new", "name": "New", "kind": "OPEN" },
                { "key": "done", "name": "Done", "kind": "CLOSED", "terminal": true }
            ],
            "actions": [{
                "key": "finish", "name": "Finish", "from": ["new"], "to": "done",
                "allow": [{ "side": "SOURCE", "roles": ["ADMIN", "SALES"] }]
            }]
        })
    }

    pub(crate) fn fresh_key(&self) -> String {
        format!("fair-{}", self.serial.fetch_add(1, Ordering::Relaxed))
    }

    /// The next version of acme's workflow of that key, as a draft or published.
    async fn workflow(&self, key: &str, published: bool) -> String {
        let admin = self.world.as_("acme", "ADMIN");
        let input = json!({ "definition": Self::definition(key) });
        let drafted = admin.mutate("draftWorkflow", input, "workflow { id }").await.ok();
        let id = drafted.text_at("/draftWorkflow/workflow/id").to_owned();
        if published {
            admin.mutate("publishWorkflow", json!({ "workflowId": id }), "workflow { id }").await.ok();
        }
        id
    }

    /// The workflow that is shipped under that key.
    async fn shipped(&self, key: &str) -> String {
        let found = self.vendor().query("{ workflows { id key shipped } }", json!({})).await.ok();
        let mut all = found.list_at("/workflows").iter();
        let shipped =
            all.find(|workflow| workflow["shipped"] == true && workflow["key"] == key).expect("it is shipped");
        shipped["id"].as_str().expect("an id").to_owned()
    }

    /// A list of that company, with this lead on it or without any.
    async fn list_of(&self, company: &str, lead: Option<&str>) -> String {
        let clerk = self.world.as_(company, "SALES");
        let input = json!({ "name": format!("List {}", self.serial.fetch_add(1, Ordering::Relaxed)) });
        let created = clerk.mutate("createMarketingList", input, "list { id }").await.ok();
        let list = created.text_at("/createMarketingList/list/id").to_owned();
        if let Some(lead) = lead {
            let input = json!({ "listId": list, "leadId": lead });
            clerk.mutate("addToMarketingList", input, "list { id }").await.ok();
        }
        list
    }

    /// A subject of its own for the call of a row, and the input that names it.
    pub(crate) async fn input(&self, field: &str) -> Value {
        match field {
            "invitePartner" => json!({ "companySlug": self.newcomer().await, "role": "VENDOR" }),
            "acceptPartnership" => json!({ "partnershipId": self.offered("INVITED").await }),
            "suspendPartnership" | "endPartnership" => json!({ "partnershipId": self.offered("ACTIVE").await }),
            "resumePartnership" => json!({ "partnershipId": self.offered("SUSPENDED").await }),
            "updateLeadTemplate" => {
                let serial = self.serial.fetch_add(1, Ordering::Relaxed);
                json!({ "templateId": self.template().await, "name": format!("Another name {serial}") })
            }
            "createLead" => json!({ "title": "Forty seats", "customer": { "company": "Initrode" } }),
            "updateLead" => json!({ "leadId": self.pending().await, "title": "Fifty seats" }),
            "updateLead(ownerId)" => json!({ "leadId": self.pending().await, "ownerId": null }),
            "shareLead" => json!({ "leadId": self.pending().await, "partnershipId": self.earlier }),
            "shareLead(internal)" => json!({ "leadId": self.internal().await, "partnershipId": self.earlier }),
            "withdrawLead" | "acceptLead" => json!({ "leadId": self.pending().await }),
            "declineLead" => json!({ "leadId": self.pending().await, "reason": "Not our region" }),
            "convertLead" => json!({ "leadId": self.accepted().await, "opportunity": {} }),
            "closeLead" => json!({ "leadId": self.accepted().await }),
            "moveLead" => json!({ "leadId": self.pending().await, "stage": "Accepted" }),
            "performLeadAction" => json!({ "leadId": self.pending().await, "action": "accept" }),
            "createOpportunity" => json!({ "name": "A deal" }),
            "updateOpportunity" => json!({ "opportunityId": self.opportunity().await, "name": "Another deal" }),
            "moveOpportunity" => json!({ "opportunityId": self.opportunity().await, "stage": "proposal" }),
            "performOpportunityAction" => {
                json!({ "opportunityId": self.opportunity().await, "action": "propose" })
            }
            "updatePartnershipSettings" => {
                json!({ "partnershipId": self.partnership, "stageMovedBy": "VENDOR" })
            }
            "addComment" => json!({ "leadId": self.pending().await, "body": "Hello" }),
            "editComment" => json!({ "commentId": self.comment().await, "body": "Hello again" }),
            "eraseCustomerData" => json!({ "leadId": self.pending().await, "reason": "The customer asked for it" }),
            "removeComment" => json!({ "commentId": self.comment().await }),
            "createTask" => json!({ "leadId": self.pending().await, "title": "Call them" }),
            "updateTask" => json!({ "taskId": self.task().await, "title": "Write to them" }),
            "assignTask" => json!({ "taskId": self.task().await, "assigneeId": self.clerk }),
            "completeTask" | "cancelTask" => json!({ "taskId": self.task().await }),
            "reopenTask" => json!({ "taskId": self.task_after("completeTask").await }),
            "reopenTask(cancelled)" => json!({ "taskId": self.task_after("cancelTask").await }),
            "createMarketingList" => {
                json!({ "name": format!("Fair {}", self.serial.fetch_add(1, Ordering::Relaxed)) })
            }
            "renameMarketingList" => {
                let serial = self.serial.fetch_add(1, Ordering::Relaxed);
                json!({ "listId": self.list_of("acme", None).await, "name": format!("Fair {serial}") })
            }
            "archiveMarketingList" => json!({ "listId": self.list_of("acme", None).await }),
            "restoreMarketingList" => {
                let input = json!({ "listId": self.list_of("acme", None).await });
                self.vendor().mutate("archiveMarketingList", input.clone(), "list { id }").await.ok();
                input
            }
            "addToMarketingList" => {
                json!({ "listId": self.list_of("acme", None).await, "leadId": self.pending().await })
            }
            "addToMarketingList(receiver)" => {
                json!({ "listId": self.list_of("globex", None).await, "leadId": self.pending().await })
            }
            "removeFromMarketingList" => {
                let lead = self.pending().await;
                json!({ "listId": self.list_of("acme", Some(&lead)).await, "leadId": lead })
            }
            other => self.input_of_other_workflows(other).await,
        }
    }

    /// The same for the mutations of submitted and internal leads.
    async fn input_of_other_workflows(&self, field: &str) -> Value {
        let form = Value::Null;
        match field {
            "withdrawLead(submitted)" | "acceptLead(submitted)" => json!({ "leadId": self.submitted(&[]).await }),
            "moveLead(submitted)" => {
                json!({ "leadId": self.submitted(&[("accept", form)]).await, "stage": "Proposal" })
            }
            "requestLeadInfo" => json!({ "leadId": self.submitted(&[]).await, "note": "Who decides?" }),
            "resubmitLead" => {
                let asked = ("request_info", json!({ "note": "Who decides?" }));
                json!({ "leadId": self.submitted(&[asked]).await, "note": "She does" })
            }
            "rejectLead" => json!({ "leadId": self.submitted(&[]).await, "reason": "Not our region" }),
            "markLeadReadyForPayout" => json!({ "leadId": self.submitted(&[("accept", form)]).await }),
            "markLeadPaidOut" => {
                json!({ "leadId": self.submitted(&[("accept", form.clone()), ("ready_for_payout", form)]).await })
            }
            "recordRecurringCheck" => {
                let (accept, ready) = (("accept", form.clone()), ("ready_for_payout", form.clone()));
                json!({ "leadId": self.submitted(&[accept, ready, ("start_recurring", form)]).await })
            }
            "assignLead" => json!({ "leadId": self.unassigned("SALES").await, "ownerId": self.owner }),
            "assignLead(marketeer)" => json!({ "leadId": self.unassigned("MARKETEER").await, "ownerId": self.owner }),
            "reassignLead" => json!({ "leadId": self.assigned("SALES").await, "ownerId": self.owner }),
            "reassignLead(marketeer)" => json!({ "leadId": self.assigned("MARKETEER").await, "ownerId": self.owner }),
            "qualifyLead" => json!({ "leadId": self.assigned("SALES").await, "sellingDirection": "Licences" }),
            "disqualifyLead" => {
                json!({ "leadId": self.assigned("SALES").await, "code": "NON_TARGET_CLIENT", "reason": "Too small" })
            }
            "createLeadTemplate" => {
                json!({ "key": self.fresh_key(), "name": "Fair", "workflowId": self.shipped("partner-lead").await })
            }
            "draftWorkflow" => json!({ "definition": Self::definition(&self.fresh_key()) }),
            "publishWorkflow" | "discardWorkflowDraft" => {
                json!({ "workflowId": self.workflow(&self.fresh_key(), false).await })
            }
            "retireWorkflow" => json!({ "workflowId": self.workflow(&self.fresh_key(), true).await }),
            "moveLeadsToWorkflow" => {
                let key = self.fresh_key();
                let (from, to) = (self.workflow(&key, true).await, self.workflow(&key, true).await);
                json!({ "fromWorkflowId": from, "toWorkflowId": to })
            }
            "deactivateLead" => json!({ "leadId": self.unassigned("SALES").await }),
            "activateLead" => {
                let input = json!({ "leadId": self.unassigned("SALES").await });
                self.vendor().mutate("deactivateLead", input.clone(), "lead { id }").await.ok();
                input
            }
            other => panic!("the row {other} has no input"),
        }
    }
}

/// What the caller got. `sees` is the id that is in the data where there is something to see.
fn outcome(answer: &Answer, sees: &str) -> String {
    if answer.errors.is_empty() {
        return if answer.text.contains(sees) { OK } else { EMPTY }.to_owned();
    }
    assert!(!answer.text.contains("INTERNAL"), "{}", answer.text);
    let codes: BTreeSet<_> = answer.faults().into_iter().map(|(code, _)| code.to_owned()).collect();
    assert_eq!(codes.len(), 1, "{}", answer.text);
    codes.into_iter().collect()
}

on_both_databases! {
    async fn what_each_caller_may_read(world: World) {
        let scene = Scene::set(world).await;
        let opportunity = scene.opportunity().await;
        let doc = "query($id: ID!) { opportunity(id: $id) { lead { id } } }";
        let lead = scene.partner().query(doc, json!({ "id": opportunity })).await.ok();
        let lead = lead.text_at("/opportunity/lead/id").to_owned();
        let (task, comment) = (scene.task().await, scene.comment().await);
        let (template, member) = (scene.template().await, scene.vendor().id().await);
        let list = scene.list_of("acme", Some(&lead)).await;
        let workflow = scene.workflow("fair", false).await;
        let found = scene.vendor().query("{ opportunityTemplates { id } }", json!({})).await.ok();
        let deals = found.text_at("/opportunityTemplates/0/id").to_owned();
        let rows = Rows::of(&scene.world.database).await;
        let before = rows.now().await;
        for row in QUERIES {
            let (selection, sees) = match row.field {
                "node" => ("node(id: $id) { id }", lead.as_str()),
                "nodes" => ("nodes(ids: [$id]) { id }", lead.as_str()),
                "viewer" => ("viewer { name }", "name"),
                "lead" => ("lead(id: $id) { id }", lead.as_str()),
                "leads" => ("leads(filter: { archived: false, active: true }) { edges { node { id } } }", lead.as_str()),
                "leadBoard" => ("leadBoard { columns { leads { edges { node { id } } } } }", lead.as_str()),
                "opportunity" => ("opportunity(id: $id) { id }", opportunity.as_str()),
                "opportunities" => ("opportunities { edges { node { id } } }", opportunity.as_str()),
                "partnerships" => ("partnerships { edges { node { id } } }", scene.partnership.as_str()),
                "members" => ("members { edges { node { id } } }", member.as_str()),
                "tasks" => ("tasks { edges { node { id } } }", task.as_str()),
                "activity" => {
                    ("activity { edges { node { ... on CommentAdded { comment { id } } } } }", comment.as_str())
                }
                "auditTrail" => ("auditTrail(leadId: $id) { edges { node { record } } }", lead.as_str()),
                "leadTemplates" => ("leadTemplates { id }", template.as_str()),
                "opportunityTemplates" => ("opportunityTemplates { id }", deals.as_str()),
                "workflows" => ("workflows { id }", workflow.as_str()),
                "workflow" => ("workflow(id: $id) { id }", workflow.as_str()),
                "checkWorkflow" => ("checkWorkflow(definition: {}) { pointer }", "pointer"),
                "workflowDiagram" => ("workflowDiagram(id: $id)", "stateDiagram"),
                "marketingList" => ("marketingList(id: $id) { id }", list.as_str()),
                "marketingLists" => ("marketingLists { edges { node { id } } }", list.as_str()),
                other => panic!("the row {other} has no document"),
            };
            let doc = if selection.contains("$id") {
                format!("query($id: ID!) {{ {selection} }}")
            } else {
                format!("{{ {selection} }}")
            };
            let id = if row.field == "workflowDiagram" { workflow.as_str() } else { sees };
            let variables = json!({ "id": id });
            for (company, role, expected) in row.cells() {
                let answer = scene.world.as_(company, role).query(&doc, variables.clone()).await;
                assert_eq!(outcome(&answer, sees), expected, "{} as {company} {role}: {}", row.field, answer.text);
            }
            let answer = scene.world.nobody().query(&doc, variables).await;
            assert_eq!(answer.code(), UNAUTHENTICATED, "{} as nobody", row.field);
            assert!(!answer.text.contains(sees) || sees == "name", "nobody learns nothing: {}", answer.text);
        }
        rows.unchanged_since(&before, "reading").await;
    }

    async fn what_each_caller_may_change(world: World) {
        let scene = Scene::set(world).await;
        let rows = Rows::of(&scene.world.database).await;
        for row in MUTATIONS {
            let mutation = plain(row.field);
            let call = async |caller: &Client, input: &Value| caller.mutate(mutation, input.clone(), "__typename").await;
            // Those that are refused first, all on one subject: each leaves it to the next as it was.
            let input = scene.input(row.field).await;
            let before = rows.now().await;
            for (company, role, expected) in row.cells() {
                if expected == OK {
                    continue;
                }
                let answer = call(&scene.world.as_(company, role), &input).await;
                assert_eq!(outcome(&answer, ""), expected, "{} as {company} {role}: {}", row.field, answer.text);
            }
            let answer = call(&scene.world.nobody(), &input).await;
            assert_eq!(answer.code(), UNAUTHENTICATED, "{} as nobody", row.field);
            rows.unchanged_since(&before, &format!("{} when refused", row.field)).await;
            let mut last = input;
            for (company, role, expected) in row.cells() {
                if expected != OK {
                    continue;
                }
                let answer = call(&scene.world.as_(company, role), &last).await;
                assert_eq!(outcome(&answer, ""), expected, "{} as {company} {role}: {}", row.field, answer.text);
                last = scene.input(row.field).await;
            }
            assert_ne!(rows.now().await, before, "{} changed nothing for anyone", row.field);
        }
    }

    async fn what_each_caller_may_follow(world: World) {
        let scene = Scene::set(world).await;
        let lead = scene.pending().await;
        let documents = SUBSCRIPTIONS.iter().map(|row| {
            let selection = if row.field == "activity" { "__typename" } else { "id" };
            (row, format!("subscription($id: ID!) {{ {}(leadId: $id) {{ {selection} }} }}", row.field))
        });
        let documents: Vec<_> = documents.collect();
        let variables = json!({ "id": lead });
        let mut followers = Vec::new();
        for (row, document) in &documents {
            for (company, role, expected) in row.cells() {
                let mut socket = scene.world.as_(company, role).socket().await;
                let mut subscription = socket.subscribe(document, variables.clone()).await;
                if expected == OK {
                    followers.push((row.field, company, role, socket, subscription));
                } else if expected != EMPTY {
                    let code = subscription.refusal().await.code().to_owned();
                    assert_eq!(code, expected, "{} as {company} {role}", row.field);
                }
            }
        }
        let earlier = scene.world.as_("initech", "ADMIN");
        let mut socket = earlier.socket().await;
        let mut own = Vec::new();
        for (_, document) in &documents {
            own.push(socket.subscribe(document, variables.clone()).await);
        }
        let mut everything = socket.subscribe("subscription { activity { __typename lead { id } } }", json!({})).await;
        // One of each.
        scene.partner().mutate("acceptLead", json!({ "leadId": lead }), "lead { id }").await.ok();
        let input = json!({ "leadId": lead, "body": "Welcome" });
        scene.vendor().mutate("addComment", input, "comment { id }").await.ok();
        let input = json!({ "leadId": lead, "title": "Call them" });
        scene.vendor().mutate("createTask", input, "task { id }").await.ok();
        for (field, company, role, _socket, mut subscription) in followers {
            let data = subscription.next().await;
            assert!(!data[field].is_null(), "{field} as {company} {role}: {data}");
        }
        let input = json!({ "title": "Its own", "customer": { "company": "Initrode" } });
        let marker = earlier.mutate("createLead", input, "lead { id }");
        everything.nothing_until(marker, |data| data["activity"]["__typename"] == "LeadCreated").await;
        // What was for these would have come no later than the marker.
        for mut subscription in own {
            let event = subscription.event_within(std::time::Duration::from_secs(20)).await;
            assert!(matches!(&event, Event::Message(message) if message["type"] == "complete"), "{event:?}");
            assert!(subscription.is_silent(), "the earlier receiver was told of what it is no party to any more");
        }
    }

    async fn nobody_follows_anything(world: World) {
        let scene = Scene::set(world).await;
        let patience = std::time::Duration::from_secs(20);
        for token in [None, Some("not.a.token")] {
            let mut socket = Socket::open(scene.world.address()).await;
            socket.init(token);
            assert_eq!(socket.closed_within(patience).await.code, 4403);
        }
        let mut socket = Socket::open(scene.world.address()).await;
        socket.send(&json!({ "id": "1", "type": "subscribe", "payload": { "query": "subscription { activity { id } }" } }));
        match socket.next_within(patience).await {
            Event::Closed(close) => assert_eq!(close.code, 4401),
            Event::Message(message) => panic!("nobody was told {message}"),
        }
    }
}
