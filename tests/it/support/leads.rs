//! Leads as tests make, read and work them.

use serde_json::{Value, json};

use super::http::Answer;
use super::world::Person;

/// The nine texts of a qualification (mission C5), by their names in the API.
pub const QUALIFICATION: [&str; 9] = [
    "goal",
    "implementationOptions",
    "procurementProcedure",
    "decisionLevel",
    "terms",
    "decisionMaker",
    "selectionCriteria",
    "complianceWithCriteria",
    "channel",
];

/// All that has to be known before a lead is qualified.
pub fn qualification() -> Value {
    QUALIFICATION.iter().map(|name| ((*name).to_owned(), json!(format!("Known: {name}")))).collect()
}

/// What may be in a lead of Initrode, in Graz; `more` adds to it.
pub fn draft(more: &Value) -> Value {
    let mut input = json!({
        "title": "Forty seats", "customer": { "company": "Initrode", "address": { "city": "Graz" } }
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        input[key] = value.clone();
    }
    input
}

/// Creates a lead, and says its id.
pub async fn lead_of(person: &Person, more: Value) -> String {
    let created = person.mutate("createLead", draft(&more), "lead { id }").await.ok();
    created.text_at("/createLead/lead/id").to_owned()
}

/// The lead as that person sees it.
pub async fn read(person: &Person, lead: &str, selection: &str) -> Value {
    let document = format!("query($id: ID!) {{ lead(id: $id) {{ {selection} }} }}");
    person.query(&document, json!({ "id": lead })).await.ok().at("/lead").clone()
}

/// Takes an action of the lead's workflow.
pub async fn perform(person: &Person, lead: &str, action: &str, fields: Value) -> Answer {
    let input = json!({ "leadId": lead, "action": action, "fields": fields });
    person.mutate("performLeadAction", input, "lead { id stage { key } version }").await
}

/// The keys of the actions that the person is offered.
pub async fn offered(person: &Person, lead: &str) -> Vec<String> {
    let lead = read(person, lead, "availableActions { key }").await;
    let actions = lead["availableActions"].as_array().expect("a list").iter();
    actions.map(|action| action["key"].as_str().expect("a key").to_owned()).collect()
}
