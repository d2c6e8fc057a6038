//! What is wrong with an input is told all at once, each fault at its place, and changes nothing.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::Answer;
use crate::support::rows::Rows;
use crate::support::world::{Person, World};

const INVALID: &str = "INVALID_INPUT";
const REQUIRED: &str = "REQUIRED";

/// The faults, whatever their order.
fn sorted(answer: &Answer) -> Vec<(&str, &str)> {
    assert!(!answer.text.contains("INTERNAL"), "{}", answer.text);
    let mut faults = answer.faults();
    faults.sort_by_key(|(_, field)| *field);
    faults
}

async fn refused(person: &Person, mutation: &str, input: Value, code: &str, field: &str) {
    let answer = person.mutate(mutation, input.clone(), "__typename").await;
    assert!(answer.data[mutation].is_null(), "{mutation} {input} was taken");
    assert_eq!(sorted(&answer), [(code, field)], "{mutation} {input:.300}: {}", answer.text);
}

async fn made(person: &Person, mutation: &str, input: Value, what: &str) -> String {
    let answer = person.mutate(mutation, input, &format!("{what} {{ id }}")).await.ok();
    answer.text_at(&format!("/{mutation}/{what}/id")).to_owned()
}

fn lead(path: &[&str], value: Value) -> Value {
    let mut input = json!({ "title": "A", "customer": { "company": "B" } });
    let mut slot = &mut input;
    for name in path {
        slot = &mut slot[*name];
    }
    *slot = value;
    input
}

on_both_databases! {
    async fn what_people_type_is_kept_as_it_shows(world: World) {
        let vendor = world.as_("acme", "SALES");
        let shown = "lead { title description customer { company address { country } contact { firstName email phone phoneAsTyped } } }";
        let kept = async |input: Value| vendor.mutate("createLead", input, shown).await.ok().at("/createLead/lead").clone();
        let customer = |company: &str, contact: Value| {
            json!({ "company": company, "address": { "country": "US" }, "contact": contact })
        };
        let lead = kept(json!({
            "title": "Ann\u{200b}\u{2060}\u{ad}\u{34f}Smith\u{e0041}\u{fe0f} 👩\u{200d}💻 ❤\u{fe0f}",
            "description": "(שלום\u{200f})\u{200e}!\u{85}two\u{b}three\r\nfour\u{2029}five",
            "customer": customer("می\u{200c}خواهم", json!({
                "firstName": "\u{3164}Ann\u{ffa0}",
                "email": "\u{202a}ann\u{200b}@example.com\u{202c}",
                "phone": "\u{202a}(850)\u{2212}６４４\u{2011}4200\u{fe0d} ext. 12\u{202c}",
            })),
        })).await;
        assert_eq!(lead, json!({
            "title": "AnnSmith 👩\u{200d}💻 ❤\u{fe0f}",
            "description": "(שלום\u{200f})\u{200e}!\ntwo\nthree\nfour\nfive",
            "customer": {
                "company": "می\u{200c}خواهم", "address": { "country": "US" },
                "contact": {
                    "firstName": "Ann", "email": "ann@example.com", "phone": "+18506444200",
                    "phoneAsTyped": "(850)\u{2212}６４４\u{2011}4200 ext. 12",
                },
            },
        }));
        let with = |phone: &str| json!({ "title": "A", "customer": customer("B", json!({ "phone": phone })) });
        for (phone, says) in [
            ("(456) 123-4567", "it was read as 4561234567"),
            ("886-2-25474189", "must be a phone number of US"),
            ("030 1234567 / 0151 23456789", "it has \"030 1234567\" and \"0151 23456789\""),
        ] {
            let refused = vendor.mutate("createLead", with(phone), "__typename").await;
            assert_eq!((refused.code(), refused.field()), (INVALID, "input.customer.contact.phone"), "{phone}");
            assert!(refused.text.replace("\\\"", "\"").contains(says), "{}", refused.text);
        }
        // A corrected country corrects the number that was typed without one, for both to see.
        let input = json!({ "title": "A", "customer": { "company": "B", "address": { "country": "DE" }, "contact": { "phone": "05121 23456" } } });
        let lead = made(&vendor, "createLead", input, "lead").await;
        let change = json!({ "leadId": lead, "customer": { "address": { "country": "AT" } } });
        let changed = vendor.mutate("updateLead", change, shown).await.ok();
        let contact = changed.at("/updateLead/lead/customer/contact");
        assert_eq!((&contact["phone"], &contact["phoneAsTyped"]), (&json!("+43512123456"), &json!("05121 23456")));
        let activity = vendor.query("{ activity(filter: { kind: [LEAD_UPDATED] }) { edges { node { ... on LeadUpdated { changes { field } } } } } }", json!({})).await.ok();
        let fields: Vec<_> = activity.list_at("/activity/edges/0/node/changes").iter().map(|change| change["field"].clone()).collect();
        assert_eq!(fields, ["customer.address.country", "customer.contact.phone"]);
    }

    async fn all_faults_of_one_input_come_at_once(world: World) {
        let vendor = world.as_("acme", "SALES");
        vendor.id().await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let answer = vendor.mutate("createLead", json!({
            "title": " \t ",
            "description": "x".repeat(32_001),
            "leadSource": "We\u{202e}b",
            "customer": {
                "company": "\u{200b}",
                "website": "javascript:alert(1)",
                "industry": "a\u{0}b",
                "employees": -1,
                "address": { "city": "two\nlines", "country": "Atlantis" },
                "contact": { "email": "nobody", "phone": "12", "firstName": "x".repeat(1000) },
            },
            "estimatedValue": { "amount": "-1", "currency": "EURO" },
            "externalReference": { "system": "no such!", "id": "", "url": "ftp://example.com" },
            "idempotencyKey": "",
        }), "__typename").await;
        assert_eq!(sorted(&answer), [
            (INVALID, "input.customer.address.city"),
            (INVALID, "input.customer.address.country"),
            (REQUIRED, "input.customer.company"),
            (INVALID, "input.customer.contact.email"),
            (INVALID, "input.customer.contact.firstName"),
            (INVALID, "input.customer.contact.phone"),
            (INVALID, "input.customer.employees"),
            (INVALID, "input.customer.industry"),
            (INVALID, "input.customer.website"),
            (INVALID, "input.description"),
            (INVALID, "input.estimatedValue.amount"),
            (INVALID, "input.estimatedValue.currency"),
            (REQUIRED, "input.externalReference.id"),
            (INVALID, "input.externalReference.system"),
            (INVALID, "input.externalReference.url"),
            (REQUIRED, "input.idempotencyKey"),
            (INVALID, "input.leadSource"),
            (REQUIRED, "input.title"),
        ], "{}", answer.text);
        rows.unchanged_since(&before, "an input full of faults").await;
    }

    async fn texts_may_be_as_long_as_those_of_a_crm(world: World) {
        let vendor = world.as_("acme", "SALES");
        let long = json!({
            "description": "\u{fc}".repeat(32_000),
            "leadSource": "\u{fc}".repeat(255),
            "customer": {
                "company": "\u{fc}".repeat(255),
                "industry": "\u{fc}".repeat(255),
                "address": { "street": "\u{fc}".repeat(255), "country": "XK" },
                "contact": { "jobTitle": "\u{fc}".repeat(128), "lastName": "\u{fc}".repeat(80) },
            },
        });
        let selection = "lead { id description leadSource customer {
            company industry address { street country } contact { jobTitle lastName } } }";
        let without_id = |lead: &Value| {
            let mut lead = lead.clone();
            lead.as_object_mut().expect("a lead").remove("id");
            lead
        };
        let mut input = long.clone();
        input["title"] = json!("Long");
        let answer = vendor.mutate("createLead", input, selection).await.ok();
        assert_eq!(without_id(answer.at("/createLead/lead")), long);
        let short = vendor.mutate("createLead", json!({ "title": "Short", "customer": { "company": "Short" } }), selection).await.ok();
        let mut input = long.clone();
        input["leadId"] = short.at("/createLead/lead/id").clone();
        let answer = vendor.mutate("updateLead", input, selection).await.ok();
        assert_eq!(without_id(answer.at("/updateLead/lead")), long);
    }

    async fn a_value_that_is_not_acceptable_is_refused_at_its_place(world: World) {
        let vendor = world.as_("acme", "SALES");
        vendor.id().await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let euros = |amount: &str| json!({ "amount": amount, "currency": "EUR" });
        let cases = [
            (lead(&["title"], json!("x".repeat(201))), INVALID, "input.title"),
            (lead(&["title"], json!("")), REQUIRED, "input.title"),
            (lead(&["title"], json!("a\u{0}b")), INVALID, "input.title"),
            (lead(&["title"], json!("\u{0}")), INVALID, "input.title"),
            (lead(&["title"], json!("a\u{2066}b")), INVALID, "input.title"),
            (lead(&["title"], json!("two\nlines")), INVALID, "input.title"),
            (lead(&["leadSource"], json!("x".repeat(256))), INVALID, "input.leadSource"),
            (lead(&["customer", "company"], json!("x".repeat(256))), INVALID, "input.customer.company"),
            (lead(&["customer", "company"], json!(" ")), REQUIRED, "input.customer.company"),
            (lead(&["estimatedValue"], euros("-0.01")), INVALID, "input.estimatedValue.amount"),
            (lead(&["estimatedValue"], euros("1.005")), INVALID, "input.estimatedValue.amount"),
            (lead(&["estimatedValue"], euros("1e3")), INVALID, "input.estimatedValue.amount"),
            (lead(&["estimatedValue"], euros("NaN")), INVALID, "input.estimatedValue.amount"),
            (lead(&["estimatedValue"], euros("1,50")), INVALID, "input.estimatedValue.amount"),
            (lead(&["estimatedValue"], euros(&"9".repeat(40))), INVALID, "input.estimatedValue.amount"),
            (lead(&["estimatedValue"], euros("99999999999999999999")), INVALID, "input.estimatedValue.amount"),
            (lead(&["estimatedValue"], json!({ "amount": "1.5", "currency": "JPY" })), INVALID, "input.estimatedValue.amount"),
            (lead(&["estimatedValue"], json!({ "amount": "1", "currency": "XYZ" })), INVALID, "input.estimatedValue.currency"),
            (lead(&["customer", "address"], json!({ "country": "XX" })), INVALID, "input.customer.address.country"),
            (lead(&["customer", "contact"], json!({ "email": "a@b@c" })), INVALID, "input.customer.contact.email"),
            (lead(&["customer", "contact"], json!({ "email": "a\u{0}@b.example" })), INVALID, "input.customer.contact.email"),
            (lead(&["customer", "contact"], json!({ "phone": "call me" })), INVALID, "input.customer.contact.phone"),
            (lead(&["customer", "contact"], json!({ "phone": "0201234" })), INVALID, "input.customer.contact.phone"),
            (lead(&["customer", "website"], json!("//example.com")), INVALID, "input.customer.website"),
            (lead(&["customer", "website"], json!("http://user:secret@example.com")), INVALID, "input.customer.website"),
            (lead(&["customer", "employees"], json!(i32::MIN)), INVALID, "input.customer.employees"),
            (lead(&["idempotencyKey"], json!("x".repeat(201))), INVALID, "input.idempotencyKey"),
            (lead(&["idempotencyKey"], json!("a\u{0}")), INVALID, "input.idempotencyKey"),
            (lead(&["templateKey"], json!("no-such")), "NOT_FOUND", "input.templateKey"),
            (lead(&["templateKey"], json!("opportunity")), "NOT_FOUND", "input.templateKey"),
            (lead(&["templateKey"], json!("a\u{0}")), "NOT_FOUND", "input.templateKey"),
            (lead(&["expiresAt"], json!("2026-04-01T00:00:00Z")), INVALID, "input.expiresAt"),
        ];
        for (input, code, field) in cases {
            refused(&vendor, "createLead", input, code, field).await;
        }
        rows.unchanged_since(&before, "what was refused").await;
    }

    async fn a_limit_has_to_be_in_the_future_and_not_too_far(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let vendor = world.as_("acme", "SALES");
        let internal = made(&vendor, "createLead", lead(&["title"], json!("Internal")), "lead").await;
        let pending = world.shared_lead("acme", &partnership, "Pending").await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        for at in ["2026-03-02T08:59:59.999Z", "2026-03-02T09:00:00Z", "1970-01-01T00:00:00Z", "2126-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"] {
            let mut input = lead(&["partnershipId"], json!(partnership));
            input["expiresAt"] = json!(at);
            refused(&vendor, "createLead", input, INVALID, "input.expiresAt").await;
            let input = json!({ "leadId": internal, "partnershipId": partnership, "expiresAt": at });
            refused(&vendor, "shareLead", input, INVALID, "input.expiresAt").await;
            let input = json!({ "leadId": pending, "expiresAt": at });
            refused(&vendor, "updateLead", input, INVALID, "input.expiresAt").await;
        }
        // No counter runs on a lead that is internal.
        let input = json!({ "leadId": internal, "expiresAt": "2026-04-01T00:00:00Z" });
        refused(&vendor, "updateLead", input, INVALID, "input.expiresAt").await;
        rows.unchanged_since(&before, "what was refused").await;
        let input = json!({ "leadId": pending, "expiresAt": "2026-03-02T10:00:00.001+01:00" });
        let answer = vendor.mutate("updateLead", input, "lead { expiresAt }").await.ok();
        assert_eq!(answer.text_at("/updateLead/lead/expiresAt"), "2026-03-02T09:00:00.001Z");
    }

    async fn texts_of_comments_tasks_opportunities_and_reasons_are_checked(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let vendor = world.as_("acme", "SALES");
        let partner = world.as_("globex", "SALES");
        let pending = world.shared_lead("acme", &partnership, "Pending").await;
        let accepted = world.shared_lead("acme", &partnership, "Accepted").await;
        made(&partner, "acceptLead", json!({ "leadId": accepted }), "lead").await;
        let comment = made(&vendor, "addComment", json!({ "leadId": pending, "body": "Hello" }), "comment").await;
        let task = made(&vendor, "createTask", json!({ "leadId": pending, "title": "Call" }), "task").await;
        let deal = made(&partner, "createOpportunity", json!({ "name": "A deal" }), "opportunity").await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let long = |length: usize| "x".repeat(length);
        let cases = [
            (&vendor, "addComment", json!({ "leadId": pending, "body": " \n " }), REQUIRED, "input.body"),
            (&vendor, "addComment", json!({ "leadId": pending, "body": long(10_001) }), INVALID, "input.body"),
            (&vendor, "addComment", json!({ "leadId": pending, "body": "a\u{0}" }), INVALID, "input.body"),
            (&vendor, "addComment", json!({ "leadId": pending, "body": "a\u{202d}b" }), INVALID, "input.body"),
            (&vendor, "editComment", json!({ "commentId": comment, "body": "" }), REQUIRED, "input.body"),
            (&vendor, "editComment", json!({ "commentId": comment, "body": long(10_001) }), INVALID, "input.body"),
            (&vendor, "createTask", json!({ "leadId": pending, "title": "" }), REQUIRED, "input.title"),
            (&vendor, "createTask", json!({ "leadId": pending, "title": long(201) }), INVALID, "input.title"),
            (&vendor, "createTask", json!({ "leadId": pending, "title": "A", "description": long(5001) }), INVALID, "input.description"),
            (&vendor, "updateTask", json!({ "taskId": task, "title": null }), REQUIRED, "input.title"),
            (&vendor, "updateTask", json!({ "taskId": task, "title": "a\u{0}b" }), INVALID, "input.title"),
            (&vendor, "updateLead", json!({ "leadId": pending, "title": null }), REQUIRED, "input.title"),
            (&vendor, "updateLead", json!({ "leadId": pending, "customer": null }), REQUIRED, "input.customer"),
            (&vendor, "updateLead", json!({ "leadId": pending, "customer": { "company": null } }), REQUIRED, "input.customer.company"),
            (&vendor, "updateLead", json!({ "leadId": pending, "customer": { "contact": { "email": "x" } } }), INVALID, "input.customer.contact.email"),
            (&partner, "declineLead", json!({ "leadId": pending, "reason": "" }), REQUIRED, "input.reason"),
            (&partner, "declineLead", json!({ "leadId": pending, "reason": "\u{200b} \n" }), REQUIRED, "input.reason"),
            (&partner, "declineLead", json!({ "leadId": pending, "reason": "a\u{0}" }), INVALID, "input.reason"),
            (&partner, "declineLead", json!({ "leadId": pending, "reason": long(32_001) }), INVALID, "input.reason"),
            (&partner, "closeLead", json!({ "leadId": accepted, "reason": "\u{202e}" }), INVALID, "input.reason"),
            (&vendor, "withdrawLead", json!({ "leadId": pending, "reason": long(32_001) }), INVALID, "input.reason"),
            (&partner, "convertLead", json!({ "leadId": accepted }), REQUIRED, "input.opportunityId"),
            (&partner, "convertLead", json!({ "leadId": accepted, "opportunityId": deal, "opportunity": {} }), INVALID, "input.opportunity"),
            (&partner, "convertLead", json!({ "leadId": accepted, "opportunity": { "name": long(201) } }), INVALID, "input.opportunity.name"),
            (&partner, "convertLead", json!({ "leadId": accepted, "opportunity": { "closeDate": "2026-02-30" } }), INVALID, "input.opportunity.closeDate"),
            (&partner, "createOpportunity", json!({ "name": " " }), REQUIRED, "input.name"),
            (&partner, "createOpportunity", json!({ "name": "A", "closeDate": "tomorrow" }), INVALID, "input.closeDate"),
            (&partner, "createOpportunity", json!({ "name": "A", "value": { "amount": "-1", "currency": "EUR" } }), INVALID, "input.value.amount"),
            (&partner, "updateOpportunity", json!({ "opportunityId": deal, "name": null }), REQUIRED, "input.name"),
            (&partner, "updateOpportunity", json!({ "opportunityId": deal, "closeDate": "+999999-01-01" }), INVALID, "input.closeDate"),
            (&partner, "moveOpportunity", json!({ "opportunityId": deal, "stage": "lost" }), REQUIRED, "input.reason"),
            (&partner, "moveOpportunity", json!({ "opportunityId": deal, "stage": "nowhere" }), INVALID, "input.stage"),
            (&partner, "moveOpportunity", json!({ "opportunityId": deal, "stage": "" }), INVALID, "input.stage"),
            (&partner, "moveLead", json!({ "leadId": pending, "stage": "nowhere" }), INVALID, "input.stage"),
            (&partner, "moveLead", json!({ "leadId": pending, "stage": "\u{0}" }), INVALID, "input.stage"),
            (&partner, "moveLead", json!({ "leadId": pending, "stage": "declined" }), REQUIRED, "input.reason"),
            (&partner, "performLeadAction", json!({ "leadId": pending, "action": "decline" }), REQUIRED, "input.fields.reason"),
            (&partner, "performLeadAction", json!({ "leadId": pending, "action": "decline", "fields": { "reason": 7 } }), INVALID, "input.fields.reason"),
            (&partner, "performLeadAction", json!({ "leadId": pending, "action": "accept", "fields": { "reason": "x" } }), INVALID, "input.fields.reason"),
            (&partner, "performLeadAction", json!({ "leadId": accepted, "action": "convert", "fields": { "opportunity": { "colour": "red" } } }), INVALID, "input.fields.opportunity.colour"),
            (&partner, "performLeadAction", json!({ "leadId": accepted, "action": "convert", "fields": { "opportunity": { "value": { "amount": "1.001", "currency": "EUR" } } } }), INVALID, "input.fields.opportunity.value.amount"),
        ];
        for (person, mutation, input, code, field) in cases {
            refused(person, mutation, input, code, field).await;
        }
        for fields in [json!(7), json!("reason"), json!([]), json!(true)] {
            let input = json!({ "leadId": pending, "action": "decline", "fields": fields });
            let answer = partner.mutate("performLeadAction", input, "__typename").await;
            assert_eq!((answer.code(), answer.field()), (INVALID, "input.fields"));
        }
        let two = json!({ "opportunityId": deal, "stage": "won" });
        let answer = partner.mutate("moveOpportunity", two, "__typename").await;
        assert_eq!(sorted(&answer), [(REQUIRED, "input.closeDate"), (REQUIRED, "input.value")]);
        for action in ["nothing", "", "ACCEPT!", "\u{0}", "expire"] {
            let input = json!({ "leadId": pending, "action": action });
            let answer = partner.mutate("performLeadAction", input, "__typename").await;
            let expected = if action == "expire" { "FORBIDDEN" } else { "INVALID_TRANSITION" };
            assert_eq!(answer.code(), expected, "{action}: {}", answer.text);
        }
        rows.unchanged_since(&before, "what was refused").await;
    }

    async fn templates_take_durations_and_nothing_else(world: World) {
        let admin = world.as_("acme", "ADMIN");
        let found = admin.query("{ leadTemplates { id version } }", json!({})).await.ok();
        let template = found.text_at("/leadTemplates/0/id").to_owned();
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        for limit in ["", "7 days", "P", "PT", "-P7D", "P7", "P0D", "PT0S", "P1000Y", "P99999999999999999999D", "P1.5Y", "p7d!", "\u{0}"] {
            for field in ["answerWithin", "convertWithin"] {
                let answer = admin.mutate("updateLeadTemplate", json!({ "templateId": template, field: limit }), "__typename").await;
                assert_eq!((answer.code(), answer.field()), (INVALID, format!("input.{field}").as_str()), "{limit:?}");
            }
        }
        refused(&admin, "updateLeadTemplate", json!({ "templateId": template, "name": null }), REQUIRED, "input.name").await;
        refused(&admin, "updateLeadTemplate", json!({ "templateId": template, "name": " " }), REQUIRED, "input.name").await;
        refused(&admin, "updateLeadTemplate", json!({ "templateId": template, "name": "A", "expectedVersion": 9 }), "CONFLICT", "input.expectedVersion").await;
        rows.unchanged_since(&before, "what was refused").await;
        let input = json!({ "templateId": template, "answerWithin": "PT36H", "convertWithin": null, "expectedVersion": 1 });
        let changed = admin.mutate("updateLeadTemplate", input, "template { answerWithin convertWithin version }").await.ok();
        assert_eq!(changed.at("/updateLeadTemplate/template"), &json!({ "answerWithin": "PT36H", "convertWithin": null, "version": 2 }));
        // For the leads that start from it later.
        let partnership = world.partnership("acme", "globex").await;
        let lead = world.shared_lead("acme", &partnership, "A").await;
        let seen = admin.query("query($id: ID!) { lead(id: $id) { expiresAt } }", json!({ "id": lead })).await.ok();
        assert_eq!(seen.text_at("/lead/expiresAt"), "2026-03-03T21:00:00.000Z");
        let accepted = world.as_("globex", "SALES").mutate("acceptLead", json!({ "leadId": lead }), "lead { expiresAt }").await.ok();
        assert_eq!(accepted.at("/acceptLead/lead/expiresAt"), &Value::Null);
    }

    async fn partnerships_move_only_along_their_states(world: World) {
        let (acme, globex) = (world.as_("acme", "ADMIN"), world.as_("globex", "ADMIN"));
        globex.id().await;
        for (slug, code) in [("acme", INVALID), ("nowhere", "NOT_FOUND"), ("", "NOT_FOUND"), ("GLOBEX!", "NOT_FOUND"), ("glo\u{0}bex", "NOT_FOUND")] {
            let input = json!({ "companySlug": slug, "role": "VENDOR" });
            refused(&acme, "invitePartner", input, code, "input.companySlug").await;
        }
        let invite = json!({ "companySlug": "globex", "role": "VENDOR" });
        let id = made(&acme, "invitePartner", invite.clone(), "partnership").await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        refused(&acme, "invitePartner", invite.clone(), "DUPLICATE", "input.companySlug").await;
        let same = json!({ "companySlug": "acme", "role": "PARTNER" });
        refused(&globex, "invitePartner", same, "DUPLICATE", "input.companySlug").await;
        let input = json!({ "partnershipId": id });
        refused(&acme, "acceptPartnership", input.clone(), "FORBIDDEN", "").await;
        refused(&acme, "suspendPartnership", input.clone(), "INVALID_TRANSITION", "").await;
        refused(&globex, "resumePartnership", input.clone(), "INVALID_TRANSITION", "").await;
        // Nothing is shared across an invitation.
        refused(&acme, "createLead", lead(&["partnershipId"], json!(id)), INVALID, "input.partnershipId").await;
        rows.unchanged_since(&before, "what was refused").await;

        made(&globex, "acceptPartnership", input.clone(), "partnership").await;
        refused(&globex, "acceptPartnership", input.clone(), "INVALID_TRANSITION", "").await;
        refused(&acme, "resumePartnership", input.clone(), "INVALID_TRANSITION", "").await;
        let shared = made(&acme, "createLead", lead(&["partnershipId"], json!(id)), "lead").await;
        made(&globex, "suspendPartnership", input.clone(), "partnership").await;
        refused(&globex, "suspendPartnership", input.clone(), "INVALID_TRANSITION", "").await;
        refused(&acme, "createLead", lead(&["partnershipId"], json!(id)), INVALID, "input.partnershipId").await;
        // What was shared goes on.
        made(&globex, "acceptLead", json!({ "leadId": shared }), "lead").await;
        made(&acme, "resumePartnership", input.clone(), "partnership").await;
        made(&acme, "endPartnership", input.clone(), "partnership").await;
        for mutation in ["acceptPartnership", "suspendPartnership", "resumePartnership", "endPartnership"] {
            let answer = globex.mutate(mutation, input.clone(), "__typename").await;
            assert_eq!((answer.code(), answer.extension("stage")), ("INVALID_TRANSITION", &json!("ENDED")), "{mutation}");
        }
        refused(&acme, "createLead", lead(&["partnershipId"], json!(id)), INVALID, "input.partnershipId").await;
        refused(&globex, "closeLead", json!({ "leadId": shared }), "FORBIDDEN", "").await;
        // After the end they may begin anew.
        made(&globex, "invitePartner", json!({ "companySlug": "acme", "role": "PARTNER" }), "partnership").await;
    }

    async fn a_lead_past_its_limit_takes_nothing_more_even_if_a_partnership_ends(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let lead = world.shared_lead("acme", &partnership, "A").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        world.clock.advance(TimeDelta::days(8));
        let refused = partner.mutate("acceptLead", json!({ "leadId": lead }), "__typename").await;
        assert_eq!((refused.code(), refused.extension("stage")), ("LEAD_EXPIRED", &json!("expired")));
        let refused = partner.mutate("declineLead", json!({ "leadId": lead, "reason": "No" }), "__typename").await;
        assert_eq!(refused.code(), "LEAD_EXPIRED");
        let refused = vendor.mutate("withdrawLead", json!({ "leadId": lead }), "__typename").await;
        assert_eq!(refused.code(), "LEAD_EXPIRED");
        let refused = partner.mutate("moveLead", json!({ "leadId": lead, "stage": "accepted" }), "__typename").await;
        assert_eq!(refused.code(), "LEAD_EXPIRED");
        let admin = world.as_("acme", "ADMIN");
        made(&admin, "endPartnership", json!({ "partnershipId": partnership }), "partnership").await;
        let document = "query($id: ID!) { lead(id: $id) { stage { key } expiredAt expiresAt } }";
        for person in [&partner, &vendor] {
            let seen = person.query(document, json!({ "id": lead })).await.ok();
            let expected = json!({ "stage": { "key": "expired" }, "expiredAt": "2026-03-09T09:00:00.000Z", "expiresAt": null });
            assert_eq!(seen.at("/lead"), &expected);
        }
    }

    async fn pages_and_cursors_have_to_be_of_their_list(world: World) {
        let caller = world.as_("acme", "SALES");
        let other = world.as_("globex", "SALES");
        for title in ["A", "B", "C"] {
            let input = json!({ "title": title, "customer": { "company": "B" } });
            made(&caller, "createLead", input.clone(), "lead").await;
            made(&other, "createLead", input, "lead").await;
        }
        let lists = ["leads", "opportunities", "partnerships", "members", "tasks", "activity"];
        let page = async |person: &Person, list: &str, arguments: &str| {
            person.query(&format!("{{ {list}({arguments}) {{ edges {{ cursor }} }} }}"), json!({})).await
        };
        for list in lists {
            for (arguments, field) in [
                ("first: -1", "first"), ("first: 101", "first"), ("first: 1000", "first"),
                ("last: -1", "last"), ("last: 1000", "last"), ("first: 1, last: 1", "last"),
                ("after: \" \"", "after"), ("after: \"x\"", "after"), ("before: \"AAAA\"", "before"), ("after: \"\\u0000\"", "after"),
            ] {
                let refused = page(&caller, list, arguments).await;
                assert_eq!((refused.code(), refused.field()), (INVALID, field), "{list} {arguments}");
            }
        }
        let first = async |person: &Person, list: &str| {
            page(person, list, "first: 1").await.ok().text_at(&format!("/{list}/edges/0/cursor")).to_owned()
        };
        let cursor = first(&caller, "leads").await;
        page(&caller, "leads", &format!("after: \"{cursor}\"")).await.ok();
        // Another company's, another list's, another order's.
        let mut strangers = vec![(first(&other, "leads").await, "leads", "")];
        for list in ["members", "activity"] {
            strangers.push((first(&caller, list).await, "leads", ""));
            strangers.push((cursor.clone(), list, ""));
        }
        strangers.push((cursor.clone(), "leads", ", orderBy: { field: UPDATED }"));
        for (cursor, list, order) in strangers {
            for side in ["after", "before"] {
                let refused = page(&caller, list, &format!("{side}: \"{cursor}\"{order}")).await;
                assert_eq!((refused.code(), refused.field()), (INVALID, side), "{list}");
            }
        }
        // Forged: each character changed in turn.
        for place in 0..cursor.len() {
            let mut forged = cursor.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("ASCII");
            let refused = page(&caller, "leads", &format!("after: \"{forged}\"")).await;
            assert_eq!((refused.code(), refused.field()), (INVALID, "after"), "character {place}");
        }
    }

    async fn filters_take_any_text_and_any_moment(world: World) {
        let caller = world.as_("acme", "SALES");
        let document = "query($leads: LeadFilter, $tasks: TaskFilter, $activity: ActivityFilter, $deals: OpportunityFilter) {
            leads(filter: $leads) { edges { cursor } } tasks(filter: $tasks) { edges { cursor } }
            activity(filter: $activity) { edges { cursor } } opportunities(filter: $deals) { edges { cursor } } }";
        for text in ["", " ", "a\u{0}b", "'; DROP TABLE lead --", "\u{202e}", "ünïcode", &"x".repeat(5000)] {
            let variables = json!({ "leads": { "stage": [text] }, "deals": { "stage": [text] } });
            let answer = caller.query(document, variables).await;
            assert!(!answer.text.contains("INTERNAL"), "{text:.50?}: {}", answer.text);
            let answer = caller.query(document, json!({ "leads": { "text": text } })).await;
            assert!(!answer.text.contains("INTERNAL"), "{text:.50?}: {}", answer.text);
        }
        for at in ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "1969-12-31T23:59:59Z"] {
            let variables = json!({
                "leads": { "expiringBefore": at }, "tasks": { "dueBefore": at }, "activity": { "since": at, "until": at },
            });
            let answer = caller.query(document, variables).await;
            assert!(!answer.text.contains("INTERNAL"), "{at}: {}", answer.text);
        }
        let none = json!({ "leads": { "stage": [], "stageKind": [] }, "tasks": { "state": [] }, "activity": { "kind": [] }, "deals": { "stage": [] } });
        let answer = caller.query(document, none).await.ok();
        assert!(answer.list_at("/leads/edges").is_empty());
        // A due date is the caller's own affair.
        let lead = made(&caller, "createLead", lead(&["title"], json!("A")), "lead").await;
        for at in ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"] {
            let answer = caller.mutate("createTask", json!({ "leadId": lead, "title": "A", "dueAt": at }), "task { dueAt }").await;
            assert!(!answer.text.contains("INTERNAL"), "{at}: {}", answer.text);
        }
    }
}
