//! What belongs to another company is answered as what does not exist, by every field and argument that takes an id.

use std::collections::BTreeSet;

use cosell::domain::global_id::{self, NodeType};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::http::Answer;
use crate::support::rows::Rows;
use crate::support::world::{Person, World};

/// A place in the schema that takes an id: `Type.field:argument`, or `Input.field`.
pub struct Place {
    pub at: &'static str,
    pub kind: NodeType,
    /// What is given beside the id: the names in it stand for the caller's own things.
    pub rest: &'static str,
    /// Where the fault is.
    pub field: &'static str,
}

const fn place(at: &'static str, kind: NodeType, rest: &'static str, field: &'static str) -> Place {
    Place { at, kind, rest, field }
}

use NodeType::{
    Activity, Comment, Company, Lead, LeadTemplate, MarketingList, Member, Opportunity, Partnership, Task, Workflow,
};

pub const PLACES: &[Place] = &[
    place("Query.node:id", Lead, "{ node(id: $id) { id } }", "id"),
    place("Query.node:id", Opportunity, "{ node(id: $id) { id } }", "id"),
    place("Query.node:id", Comment, "{ node(id: $id) { id } }", "id"),
    place("Query.node:id", Task, "{ node(id: $id) { id } }", "id"),
    place("Query.node:id", Partnership, "{ node(id: $id) { id } }", "id"),
    place("Query.node:id", Member, "{ node(id: $id) { id } }", "id"),
    place("Query.node:id", Company, "{ node(id: $id) { id } }", "id"),
    place("Query.node:id", LeadTemplate, "{ node(id: $id) { id } }", "id"),
    place("Query.node:id", Activity, "{ node(id: $id) { id } }", "id"),
    place("Query.node:id", MarketingList, "{ node(id: $id) { id } }", "id"),
    place("Query.node:id", Workflow, "{ node(id: $id) { id } }", "id"),
    place("Query.workflow:id", Workflow, "{ workflow(id: $id) { id } }", "id"),
    place("Query.workflowDiagram:id", Workflow, "{ workflowDiagram(id: $id) }", "id"),
    place("Query.nodes:ids", Lead, "{ nodes(ids: [$id]) { id } }", "ids.0"),
    place("Query.lead:id", Lead, "{ lead(id: $id) { id } }", "id"),
    place("Query.opportunity:id", Opportunity, "{ opportunity(id: $id) { id } }", "id"),
    place("Query.leadBoard:templateId", LeadTemplate, "{ leadBoard(templateId: $id) { total } }", "templateId"),
    place("Query.auditTrail:leadId", Lead, "{ auditTrail(leadId: $id) { edges { cursor } } }", "leadId"),
    place("Query.marketingList:id", MarketingList, "{ marketingList(id: $id) { id } }", "id"),
    place("LeadFilter.ownerId", Member, "{ leads(filter: { ownerId: $id }) { edges { cursor } } }", "filter.ownerId"),
    place(
        "LeadFilter.templateId",
        LeadTemplate,
        "{ leads(filter: { templateId: $id }) { edges { cursor } } }",
        "filter.templateId",
    ),
    place(
        "LeadFilter.workflowOfTemplateId",
        LeadTemplate,
        "{ leads(filter: { workflowOfTemplateId: $id }) { edges { cursor } } }",
        "filter.workflowOfTemplateId",
    ),
    place(
        "LeadFilter.partnershipId",
        Partnership,
        "{ leads(filter: { partnershipId: $id }) { edges { cursor } } }",
        "filter.partnershipId",
    ),
    place(
        "OpportunityFilter.responsibleId",
        Member,
        "{ opportunities(filter: { responsibleId: $id }) { edges { cursor } } }",
        "filter.responsibleId",
    ),
    place(
        "OpportunityFilter.leadId",
        Lead,
        "{ opportunities(filter: { leadId: $id }) { edges { cursor } } }",
        "filter.leadId",
    ),
    place("TaskFilter.leadId", Lead, "{ tasks(filter: { leadId: $id }) { edges { cursor } } }", "filter.leadId"),
    place(
        "TaskFilter.assigneeId",
        Member,
        "{ tasks(filter: { assigneeId: $id }) { edges { cursor } } }",
        "filter.assigneeId",
    ),
    place("ActivityFilter.leadId", Lead, "{ activity(filter: { leadId: $id }) { edges { cursor } } }", "filter.leadId"),
    place(
        "ActivityFilter.actorId",
        Member,
        "{ activity(filter: { actorId: $id }) { edges { cursor } } }",
        "filter.actorId",
    ),
    place("Subscription.activity:leadId", Lead, "{ activity(leadId: $id) { id } }", "leadId"),
    place("Subscription.leadChanged:leadId", Lead, "{ leadChanged(leadId: $id) { id } }", "leadId"),
    place("Subscription.commentAdded:leadId", Lead, "{ commentAdded(leadId: $id) { id } }", "leadId"),
    place("Subscription.taskChanged:leadId", Lead, "{ taskChanged(leadId: $id) { id } }", "leadId"),
    place("AcceptLeadInput.leadId", Lead, "{}", "input.leadId"),
    place("EraseCustomerDataInput.leadId", Lead, r#"{ "reason": "A" }"#, "input.leadId"),
    place("AcceptPartnershipInput.partnershipId", Partnership, "{}", "input.partnershipId"),
    place("ActivateLeadInput.leadId", Lead, "{}", "input.leadId"),
    place("AddCommentInput.leadId", Lead, r#"{ "body": "Hello" }"#, "input.leadId"),
    place("AddCommentInput.inReplyToId", Comment, r#"{ "leadId": "LEAD", "body": "Hello" }"#, "input.inReplyToId"),
    place("AddToMarketingListInput.listId", MarketingList, r#"{ "leadId": "LEAD" }"#, "input.listId"),
    place("AddToMarketingListInput.leadId", Lead, r#"{ "listId": "LISTED" }"#, "input.leadId"),
    place("ArchiveMarketingListInput.listId", MarketingList, "{}", "input.listId"),
    place("AssignLeadInput.leadId", Lead, r#"{ "ownerId": "MEMBER" }"#, "input.leadId"),
    place("AssignLeadInput.ownerId", Member, r#"{ "leadId": "INTERNAL" }"#, "input.ownerId"),
    place("AssignTaskInput.taskId", Task, "{}", "input.taskId"),
    place("AssignTaskInput.assigneeId", Member, r#"{ "taskId": "TASK" }"#, "input.assigneeId"),
    place("CancelTaskInput.taskId", Task, "{}", "input.taskId"),
    place("CloseLeadInput.leadId", Lead, "{}", "input.leadId"),
    place("CompleteTaskInput.taskId", Task, "{}", "input.taskId"),
    place("ConvertLeadInput.leadId", Lead, r#"{ "opportunity": {} }"#, "input.leadId"),
    place("ConvertLeadInput.opportunityId", Opportunity, r#"{ "leadId": "RECEIVED" }"#, "input.opportunityId"),
    place(
        "CreateLeadInput.partnershipId",
        Partnership,
        r#"{ "title": "A", "customer": { "company": "B" } }"#,
        "input.partnershipId",
    ),
    place("CreateLeadTemplateInput.workflowId", Workflow, r#"{ "key": "a", "name": "A" }"#, "input.workflowId"),
    place("CreateTaskInput.leadId", Lead, r#"{ "title": "A" }"#, "input.leadId"),
    place("CreateTaskInput.assigneeId", Member, r#"{ "leadId": "LEAD", "title": "A" }"#, "input.assigneeId"),
    place("DeactivateLeadInput.leadId", Lead, "{}", "input.leadId"),
    place("DeclineLeadInput.leadId", Lead, r#"{ "reason": "A" }"#, "input.leadId"),
    place("DisqualifyLeadInput.leadId", Lead, r#"{ "code": "NON_TARGET_CLIENT", "reason": "A" }"#, "input.leadId"),
    place(
        "DisqualifyLeadInput.responsibleId",
        Member,
        r#"{ "leadId": "OWNED", "code": "DEMAND_NOT_GENERATED", "reason": "A", "sellingDirection": "B" }"#,
        "input.responsibleId",
    ),
    place("DiscardWorkflowDraftInput.workflowId", Workflow, "{}", "input.workflowId"),
    place("EditCommentInput.commentId", Comment, r#"{ "body": "A" }"#, "input.commentId"),
    place("EndPartnershipInput.partnershipId", Partnership, "{}", "input.partnershipId"),
    place("MarkLeadPaidOutInput.leadId", Lead, "{}", "input.leadId"),
    place("MarkLeadReadyForPayoutInput.leadId", Lead, "{}", "input.leadId"),
    place("MoveLeadInput.leadId", Lead, r#"{ "stage": "accepted" }"#, "input.leadId"),
    place(
        "MoveLeadInput.opportunityId",
        Opportunity,
        r#"{ "leadId": "RECEIVED", "stage": "closed_converted" }"#,
        "input.opportunityId",
    ),
    place(
        "MoveLeadsToWorkflowInput.fromWorkflowId",
        Workflow,
        r#"{ "toWorkflowId": "SECOND" }"#,
        "input.fromWorkflowId",
    ),
    place("MoveLeadsToWorkflowInput.toWorkflowId", Workflow, r#"{ "fromWorkflowId": "FIRST" }"#, "input.toWorkflowId"),
    place(
        "MoveLeadsToWorkflowInput.leadIds",
        Lead,
        r#"{ "fromWorkflowId": "FIRST", "toWorkflowId": "SECOND" }"#,
        "input.leadIds.0",
    ),
    place("MoveOpportunityInput.opportunityId", Opportunity, r#"{ "stage": "proposal" }"#, "input.opportunityId"),
    place("PerformLeadActionInput.leadId", Lead, r#"{ "action": "accept" }"#, "input.leadId"),
    place(
        "PerformOpportunityActionInput.opportunityId",
        Opportunity,
        r#"{ "action": "propose" }"#,
        "input.opportunityId",
    ),
    place("PublishWorkflowInput.workflowId", Workflow, "{}", "input.workflowId"),
    place("QualifyLeadInput.leadId", Lead, r#"{ "sellingDirection": "A" }"#, "input.leadId"),
    place(
        "QualifyLeadInput.responsibleId",
        Member,
        r#"{ "leadId": "OWNED", "sellingDirection": "A" }"#,
        "input.responsibleId",
    ),
    place("ReassignLeadInput.leadId", Lead, r#"{ "ownerId": "MEMBER" }"#, "input.leadId"),
    place("ReassignLeadInput.ownerId", Member, r#"{ "leadId": "OWNED" }"#, "input.ownerId"),
    place("RecordRecurringCheckInput.leadId", Lead, "{}", "input.leadId"),
    place("RejectLeadInput.leadId", Lead, r#"{ "reason": "A" }"#, "input.leadId"),
    place("RejectLeadInput.duplicateOfId", Lead, r#"{ "leadId": "SUBMITTED", "reason": "A" }"#, "input.duplicateOfId"),
    place("RemoveCommentInput.commentId", Comment, "{}", "input.commentId"),
    place("RemoveFromMarketingListInput.listId", MarketingList, r#"{ "leadId": "LEAD" }"#, "input.listId"),
    place("RemoveFromMarketingListInput.leadId", Lead, r#"{ "listId": "LISTED" }"#, "input.leadId"),
    place("RenameMarketingListInput.listId", MarketingList, r#"{ "name": "A" }"#, "input.listId"),
    place("ReopenTaskInput.taskId", Task, "{}", "input.taskId"),
    place("RequestLeadInfoInput.leadId", Lead, r#"{ "note": "A" }"#, "input.leadId"),
    place("RestoreMarketingListInput.listId", MarketingList, "{}", "input.listId"),
    place("ResubmitLeadInput.leadId", Lead, "{}", "input.leadId"),
    place("ResumePartnershipInput.partnershipId", Partnership, "{}", "input.partnershipId"),
    place("RetireWorkflowInput.workflowId", Workflow, "{}", "input.workflowId"),
    place("ShareLeadInput.leadId", Lead, r#"{ "partnershipId": "PARTNERSHIP" }"#, "input.leadId"),
    place("ShareLeadInput.partnershipId", Partnership, r#"{ "leadId": "LEAD" }"#, "input.partnershipId"),
    place("SuspendPartnershipInput.partnershipId", Partnership, "{}", "input.partnershipId"),
    place("UpdateLeadInput.leadId", Lead, r#"{ "title": "A" }"#, "input.leadId"),
    place("UpdateLeadInput.ownerId", Member, r#"{ "leadId": "LEAD" }"#, "input.ownerId"),
    place("UpdateLeadTemplateInput.templateId", LeadTemplate, r#"{ "name": "A" }"#, "input.templateId"),
    place("UpdateLeadTemplateInput.workflowId", Workflow, r#"{ "templateId": "TEMPLATE" }"#, "input.workflowId"),
    place("UpdateOpportunityInput.opportunityId", Opportunity, r#"{ "name": "A" }"#, "input.opportunityId"),
    place(
        "UpdateOpportunityInput.responsibleId",
        Member,
        r#"{ "opportunityId": "OPPORTUNITY" }"#,
        "input.responsibleId",
    ),
    place(
        "UpdatePartnershipSettingsInput.partnershipId",
        Partnership,
        r#"{ "stageMovedBy": "VENDOR" }"#,
        "input.partnershipId",
    ),
    place("UpdateTaskInput.taskId", Task, r#"{ "title": "A" }"#, "input.taskId"),
    place("WithdrawLeadInput.leadId", Lead, "{}", "input.leadId"),
];

#[tokio::test]
async fn every_place_of_the_schema_that_takes_an_id_is_tested() {
    const TYPE: &str = "type { name ofType { name ofType { name ofType { name } } } }";
    let all = format!(
        "{{ __schema {{ types {{ name fields(includeDeprecated: true) {{ name args {{ name {TYPE} }} }} \
         inputFields {{ name {TYPE} }} }} }} }}"
    );
    let schema = crate::support::introspect(&all);
    let mut found = BTreeSet::new();
    let takes_id = |thing: &Value| thing["type"].to_string().contains("\"ID\"");
    for ty in schema["__schema"]["types"].as_array().expect("types") {
        let name = ty["name"].as_str().expect("a name");
        for field in ty["fields"].as_array().into_iter().flatten() {
            for arg in field["args"].as_array().into_iter().flatten().filter(|arg| takes_id(arg)) {
                let (field, arg) = (field["name"].as_str().expect("a name"), arg["name"].as_str().expect("a name"));
                found.insert(format!("{name}.{field}:{arg}"));
            }
        }
        for field in ty["inputFields"].as_array().into_iter().flatten().filter(|field| takes_id(field)) {
            found.insert(format!("{name}.{}", field["name"].as_str().expect("a name")));
        }
    }
    let tested: BTreeSet<_> = PLACES.iter().map(|place| place.at.to_owned()).collect();
    assert_eq!(found, tested);
}

/// One of each, of one company.
pub struct Things {
    lead: String,
    opportunity: String,
    comment: String,
    task: String,
    partnership: String,
    member: String,
    company: String,
    template: String,
    event: String,
    /// A lead that was shared with the company, accepted.
    received: String,
    list: String,
    /// A lead that a partner submitted to the company, for review.
    submitted: String,
    /// A lead that the company works by itself, new.
    internal: String,
    /// Such a lead, assigned to the member, with all that a qualification asks for.
    owned: String,
    /// Two published versions of a workflow.
    first: String,
    second: String,
}

impl Things {
    pub async fn of(world: &World, company: &str, partner: &str) -> Self {
        let admin = world.as_(company, "ADMIN");
        let partnership = world.partnership(company, partner).await;
        let back = world.partnership(partner, company).await;
        let received = world.shared_lead(partner, &back, "For them").await;
        admin.mutate("acceptLead", json!({ "leadId": received }), "lead { id }").await.ok();
        let input = json!({ "title": "Internal", "customer": { "company": "Initrode" } });
        let lead = made(&admin, "createLead", input, "lead").await;
        let comment = made(&admin, "addComment", json!({ "leadId": lead, "body": "Hello" }), "comment").await;
        let task = made(&admin, "createTask", json!({ "leadId": lead, "title": "Call" }), "task").await;
        let opportunity = made(&admin, "createOpportunity", json!({ "name": "A deal" }), "opportunity").await;
        let name = json!({ "name": "Spring fair" });
        let list = made(&world.as_(company, "SALES"), "createMarketingList", name, "list").await;
        let submitted = json!({
            "title": "For review", "customer": { "company": "Initrode" }, "templateKey": "submitted-lead",
            "partnershipId": partnership
        });
        let submitted = made(&world.as_(partner, "SALES"), "createLead", submitted, "lead").await;
        let known = json!({
            "goal": "A", "implementationOptions": "B", "procurementProcedure": "C", "decisionLevel": "D", "terms": "E",
            "decisionMaker": "F", "selectionCriteria": "G", "complianceWithCriteria": "H", "channel": "I"
        });
        let new = json!({
            "title": "Our own", "customer": { "company": "Initrode", "address": { "city": "Austin" } },
            "templateKey": "internal-lead", "qualification": known
        });
        let internal = made(&admin, "createLead", new.clone(), "lead").await;
        let owned = made(&admin, "createLead", new, "lead").await;
        let input = json!({ "leadId": owned, "ownerId": admin.id().await });
        admin.mutate("assignLead", input, "lead { id }").await.ok();
        let first = published(&admin).await;
        let second = published(&admin).await;
        let rest = "{ viewer { id company { id } } leadTemplates { id } activity(first: 1) { edges { node { id } } } }";
        let rest = admin.query(rest, json!({})).await.ok();
        let text = |at: &str| rest.text_at(at).to_owned();
        Self {
            lead,
            opportunity,
            comment,
            task,
            partnership,
            member: text("/viewer/id"),
            company: text("/viewer/company/id"),
            template: text("/leadTemplates/0/id"),
            event: text("/activity/edges/0/node/id"),
            received,
            list,
            submitted,
            internal,
            owned,
            first,
            second,
        }
    }

    pub fn id(&self, kind: NodeType) -> &str {
        match kind {
            Company => &self.company,
            Member => &self.member,
            Partnership => &self.partnership,
            Lead => &self.lead,
            Opportunity => &self.opportunity,
            Comment => &self.comment,
            Task => &self.task,
            Activity => &self.event,
            LeadTemplate => &self.template,
            MarketingList => &self.list,
            Workflow => &self.first,
        }
    }
}

async fn made(person: &Person, mutation: &str, input: Value, what: &str) -> String {
    let answer = person.mutate(mutation, input, &format!("{what} {{ id }}")).await.ok();
    answer.text_at(&format!("/{mutation}/{what}/id")).to_owned()
}

/// The next version of a company's own workflow.
async fn published(admin: &Person) -> String {
    let definition = json!({
        "key": "fair", "version": 1, "name": "Fair", "subject": "LEAD", "tracks": [{ "key": "STAGE", "initial": "new" }],
        "stages": [
            { "key": "new", "name": "New", "kind": "OPEN" },
            { "key": "done", "name": "Done", "kind": "CLOSED", "terminal": true }
        ],
        "actions": [{
            "key": "finish", "name": "Finish", "from": ["new"], "to": "done",
            "allow": [{ "side": "SOURCE", "roles": ["ADMIN"] }]
        }]
    });
    let id = made(admin, "draftWorkflow", json!({ "definition": definition }), "workflow").await;
    made(admin, "publishWorkflow", json!({ "workflowId": id }), "workflow").await
}

/// Calls the place with an id.
pub async fn call(person: &Person, own: &Things, place: &Place, id: &str) -> Answer {
    let (owner, field) = place.at.split_once('.').expect("a path");
    let answer = match owner {
        "Subscription" => {
            let mut socket = person.socket().await;
            let document = format!("subscription($id: ID!) {}", place.rest);
            socket.subscribe(&document, json!({ "id": id })).await.refusal().await
        }
        _ if place.rest.contains("$id") => {
            person.query(&format!("query($id: ID!) {}", place.rest), json!({ "id": id })).await
        }
        input => {
            let name = input.strip_suffix("Input").expect("an input");
            let mutation = format!("{}{}", name[..1].to_lowercase(), &name[1..]);
            let rest = place.rest.replace("LEAD", &own.lead).replace("TASK", &own.task);
            let rest = rest.replace("RECEIVED", &own.received).replace("OPPORTUNITY", &own.opportunity);
            let rest = rest.replace("PARTNERSHIP", &own.partnership).replace("LISTED", &own.list);
            let rest = rest.replace("MEMBER", &own.member).replace("SUBMITTED", &own.submitted);
            let rest = rest.replace("INTERNAL", &own.internal).replace("OWNED", &own.owned);
            let rest = rest.replace("FIRST", &own.first).replace("SECOND", &own.second);
            let rest = rest.replace("TEMPLATE", &own.template);
            let mut input: Value = serde_json::from_str(&rest).expect("JSON");
            input[field] = json!(id);
            person.mutate(&mutation, input, "__typename").await
        }
    };
    assert!(!answer.text.contains("INTERNAL"), "{} with {id:?}: {}", place.at, answer.text);
    answer
}

/// The code and place of each fault.
fn faults(answer: &Answer) -> Vec<(String, String)> {
    answer.faults().into_iter().map(|(code, field)| (code.to_owned(), field.to_owned())).collect()
}

on_both_databases! {
    async fn what_is_of_another_company_is_answered_as_what_does_not_exist(world: World) {
        let own = Things::of(&world, "acme", "globex").await;
        let theirs = Things::of(&world, "umbrella", "initech").await;
        let person = world.as_("acme", "ADMIN");
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        for place in PLACES {
            let nowhere = global_id::encode(place.kind, Uuid::from_u128(0x0190_2c5c_0000_7000_8000_0000_0000_0001));
            let missing = call(&person, &own, place, &nowhere).await;
            let hidden = call(&person, &own, place, theirs.id(place.kind)).await;
            let told = |answer: &Answer, id: &str| (answer.data.clone(), json!(answer.errors).to_string().replace(id, "ID"));
            let (theirs, nobodys) = (told(&hidden, theirs.id(place.kind)), told(&missing, &nowhere));
            assert_eq!(theirs, nobodys, "{} of a {}", place.at, place.kind.name());
            let faults = faults(&missing);
            // A lead that can't be moved is told beside those that can, and one to go on after need not be there.
            let told_otherwise = ["Query.nodes:ids"];
            if place.rest.contains("filter") || told_otherwise.contains(&place.at) {
                assert_eq!(faults, [], "{}", place.at);
            } else {
                assert_eq!(faults, [("NOT_FOUND".to_owned(), place.field.to_owned())], "{}", place.at);
            }
        }
        rows.unchanged_since(&before, "what was refused").await;
    }

    async fn what_is_no_id_of_the_right_kind_is_told_so(world: World) {
        let own = Things::of(&world, "acme", "globex").await;
        let person = world.as_("acme", "ADMIN");
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let long = "A".repeat(10_000);
        for place in PLACES {
            let other = if place.kind == Lead { Task } else { Lead };
            let mut wrong = vec!["x", long.as_str(), "\u{0}", "' OR 1=1 --", "00000000-0000-0000-0000-000000000000", "ü"];
            if !place.at.starts_with("Query.node") {
                wrong.push(own.id(other));
            }
            for id in wrong {
                let faults = faults(&call(&person, &own, place, id).await);
                let expected = [("INVALID_INPUT".to_owned(), place.field.to_owned())];
                assert_eq!(faults, expected, "{} with {:.60?}", place.at, id);
            }
            // A form's field that is empty is missing.
            let faults = faults(&call(&person, &own, place, "").await);
            let [(code, _)] = faults.as_slice() else { panic!("{} with nothing: {faults:?}", place.at) };
            assert!(code == "INVALID_INPUT" || code == "REQUIRED", "{} with nothing: {faults:?}", place.at);
        }
        rows.unchanged_since(&before, "what was refused").await;
    }

    async fn ids_in_a_form_are_held_to_the_same(world: World) {
        let own = Things::of(&world, "acme", "globex").await;
        let theirs = Things::of(&world, "umbrella", "initech").await;
        let person = world.as_("acme", "ADMIN");
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let nothing = json!({});
        let reason = json!({ "reason": "A" });
        let direction = json!({ "sellingDirection": "A" });
        let forms = [
            (&own.lead, "share", "partnershipId", Partnership, &nothing),
            (&own.received, "convert", "opportunityId", Opportunity, &nothing),
            (&own.submitted, "reject", "duplicateOf", Lead, &reason),
            (&own.internal, "assign", "owner", Member, &nothing),
            (&own.owned, "qualify", "responsible", Member, &direction),
        ];
        for (lead, action, field, kind, rest) in forms {
            let nowhere = global_id::encode(kind, Uuid::from_u128(1));
            let perform = async |id: Value| {
                let mut form = rest.clone();
                form[field] = id;
                let input = json!({ "leadId": lead, "action": action, "fields": form });
                let answer = person.mutate("performLeadAction", input, "__typename").await;
                assert!(!answer.text.contains("INTERNAL"), "{}", answer.text);
                (answer.code().to_owned(), answer.field().to_owned(), answer.message().to_owned())
            };
            let missing = perform(json!(nowhere)).await;
            assert_eq!(perform(json!(theirs.id(kind))).await, missing);
            assert_eq!((missing.0.as_str(), missing.1.as_str()), ("NOT_FOUND", format!("input.fields.{field}").as_str()));
            for wrong in [json!("x"), json!(own.task), json!(7), json!([nowhere]), json!({ "id": nowhere }), json!(true)] {
                let (code, at, _) = perform(wrong).await;
                assert_eq!((code.as_str(), at), ("INVALID_INPUT", format!("input.fields.{field}")));
            }
        }
        rows.unchanged_since(&before, "what was refused").await;
    }

    async fn things_by_many_ids_come_in_their_order_and_null_for_what_is_not_the_caller_s(world: World) {
        let own = Things::of(&world, "acme", "globex").await;
        let theirs = Things::of(&world, "umbrella", "initech").await;
        let person = world.as_("acme", "ADMIN");
        let document = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }";
        let ids = json!([own.task, theirs.task, own.lead, theirs.member, own.lead]);
        let nodes = person.query(document, json!({ "ids": ids })).await.ok();
        let found: Vec<_> = nodes.list_at("/nodes").iter().map(|node| node["id"].as_str()).collect();
        assert_eq!(found, [Some(own.task.as_str()), None, Some(own.lead.as_str()), None, Some(own.lead.as_str())]);
        let many = person.query(document, json!({ "ids": vec![own.lead.clone(); 101] })).await;
        assert_eq!((many.code(), many.field()), ("INVALID_INPUT", "ids"));
    }
}
