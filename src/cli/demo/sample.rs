//! The demo's sample data: two weeks of work between a vendor and its partners, and of the vendor by itself, told through
//! the use cases.

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::people::{COMPANIES, PEOPLE};
use crate::{
    clock::{Clock, ManualClock},
    domain::{
        actor::{Member, Side},
        comment::Visibility::{self, Internal, Shared},
        customer::{AddressInput, ContactInput, CustomerInput},
        global_id::{self, NodeType},
        id::{CommentId, LeadId, PartnershipId, TaskId},
        patch::Patch,
        qualification::QualificationPatch,
    },
    error::{Error, Result},
    service::{
        Service,
        comment::NewComment,
        lead::{ActionCall, Asked, MoneyInput, NewLead},
        marketing_list::NewMarketingList,
        member::Bearer,
        task::{NewTask, TaskCall},
    },
};

/// How long the story takes; it ends at the time that the clock had before. A lead of its beginning that nobody answered
/// has expired by then.
const LENGTH: TimeDelta = TimeDelta::days(14);

/// Fills an empty database. The clock is the one that the service runs on.
pub(super) async fn load(service: &Service, clock: &ManualClock) -> Result<()> {
    let end = clock.now();
    clock.set(end - LENGTH);
    let ((last, last_name), others) =
        COMPANIES.split_last().map(|(last, others)| (*last, others)).ok_or_else(|| Error::internal("no companies"))?;
    for (slug, name) in others {
        service.add_company(slug, Some(name)).await?;
    }
    let story = Story::begin(service, clock).await?;
    let ferry = story.first_week().await?;
    story.paid_for().await?;
    clock.set(end - TimeDelta::days(6));
    story.second_week().await?;
    story.under_review().await?;
    clock.set(end - TimeDelta::hours(20));
    let textile = story.this_week().await?;
    story.to_be_reviewed().await?;
    story.on_their_own(&[ferry, textile]).await?;
    story.won(ferry).await?;
    clock.set(end);
    service.add_company(last, Some(last_name)).await?;
    Ok(())
}

struct Story<'a> {
    service: &'a Service,
    clock: &'a ManualClock,
    nora: Member,
    clara: Member,
    finn: Member,
    contoso: PartnershipId,
    fabrikam: PartnershipId,
}

/// A customer and its need.
struct Need {
    title: &'static str,
    description: &'static str,
    source: &'static str,
    company: &'static str,
    website: &'static str,
    industry: &'static str,
    employees: i64,
    /// Street, town, region, postal code, country.
    address: [&'static str; 5],
    /// First name, last name, job, e-mail address, phone number.
    contact: [&'static str; 5],
    /// Amount and currency.
    value: (&'static str, &'static str),
}

impl<'a> Story<'a> {
    async fn begin(service: &'a Service, clock: &'a ManualClock) -> Result<Self> {
        let (nora, axel) = (sign_in(service, "nora").await?, sign_in(service, "axel").await?);
        let (clara, ben) = (sign_in(service, "clara").await?, sign_in(service, "ben").await?);
        let finn = sign_in(service, "finn").await?;
        let contoso = service.invite_partner(&axel, "contoso", true, None).await?.id;
        clock.advance(TimeDelta::minutes(25));
        service.accept_partnership(&ben, contoso, None).await?;
        let fabrikam = service.invite_partner(&axel, "fabrikam", true, None).await?.id;
        clock.advance(TimeDelta::hours(1));
        service.accept_partnership(&finn, fabrikam, None).await?;
        Ok(Self { service, clock, nora, clara, finn, contoso, fabrikam })
    }

    /// What has come to an end: converted, lost, expired, withdrawn, declined and passed on. Says which one was converted.
    async fn first_week(&self) -> Result<LeadId> {
        let (nora, clara, finn) = (&self.nora, &self.clara, &self.finn);
        let ferry = self.lead(nora, &FERRY, Some(self.contoso)).await?;
        self.comment(nora, ferry, Shared, None, "They want to see the booking module first. Budget is approved.")
            .await?;
        self.after(3);
        self.act(clara, ferry, "accept", json!({})).await?;
        let demo = self.task(clara, ferry, Side::Receiver, Shared, "Show the booking module on site", 4).await?;

        // Nobody answers this one.
        self.lead(nora, &BAKERY, Some(self.contoso)).await?;
        self.after(20);

        let hospital = self.lead(nora, &HOSPITAL, Some(self.contoso)).await?;
        self.after(5);
        let reason = "We have no consultants for hospitals before the summer.";
        self.act(clara, hospital, "decline", json!({ "reason": reason })).await?;
        self.after(2);
        self.soon_over(nora, &PRINTER, "withdraw", "The customer has bought elsewhere.").await?;
        self.act(nora, hospital, "reassign", json!({ "partnershipId": partnership(self.fabrikam) })).await?;
        self.comment(nora, hospital, Shared, None, "The nursing director is the one who decides; call her first.")
            .await?;
        self.after(18);
        self.act(finn, hospital, "accept", json!({})).await?;

        let brewery = self.lead(nora, &BREWERY, Some(self.contoso)).await?;
        self.after(6);
        self.act(clara, brewery, "accept", json!({})).await?;
        self.after(30);
        let asked =
            self.comment(clara, brewery, Shared, None, "They ask for a discount of 40 %. Can you go there?").await?;
        self.comment(clara, brewery, Internal, None, "I doubt that they are serious. Two weeks at most on this.")
            .await?;
        self.after(2);
        self.comment(nora, brewery, Shared, Some(asked), "20 % is the most that I can do.").await?;
        self.after(24);
        let reason = "The price was too high for them; they stay with their spreadsheets for a year.";
        self.act(clara, brewery, "close", json!({ "reason": reason })).await?;

        self.service.change_task(clara, demo, &TaskCall::Complete, None).await?;
        self.after(4);
        let deal = json!({ "opportunity": {
            "name": "Harborline: booking and crew planning",
            "value": { "amount": "184000.00", "currency": "EUR" },
            "description": "Two vessels first, the other five next year."
        } });
        self.act(clara, ferry, "convert", deal).await?;
        Ok(ferry)
    }

    /// What the partner submitted and is paid for. The next check of its invoices is due before the story ends.
    async fn paid_for(&self) -> Result<()> {
        let (nora, clara) = (&self.nora, &self.clara);
        let shipyard = self.submitted(clara, &SHIPYARD, self.contoso).await?;
        self.comment(clara, shipyard, Shared, None, "They pay by the month, for each dock.").await?;
        self.after(1);
        self.act(nora, shipyard, "accept", json!({})).await?;
        self.act(clara, shipyard, "propose", json!({})).await?;
        self.act(clara, shipyard, "win", json!({})).await?;
        self.after(1);
        self.act(nora, shipyard, "ready_for_payout", json!({})).await?;
        let next = (self.clock.now() + TimeDelta::days(7)).to_rfc3339();
        self.act(nora, shipyard, "start_recurring", json!({ "nextCheckAt": next })).await
    }

    /// What is under way.
    async fn second_week(&self) -> Result<()> {
        let (nora, clara, finn) = (&self.nora, &self.clara, &self.finn);
        let grid = self.lead(nora, &GRID, Some(self.contoso)).await?;
        self.after(7);
        self.act(clara, grid, "accept", json!({})).await?;
        let question = self
            .comment(clara, grid, Shared, None, "Do you have a reference in the energy sector that I may name?")
            .await?;
        self.after(1);
        let answer =
            self.comment(nora, grid, Shared, Some(question), "Yes: I have asked them for their consent.").await?;
        self.comment(nora, grid, Internal, None, "Axel: please ring the reference customer before they do.").await?;
        self.after(3);
        self.comment(clara, grid, Shared, Some(answer), "Thank you, that will help a lot.").await?;
        self.task(clara, grid, Side::Source, Shared, "Send the reference customer's name", 5).await?;
        self.task(nora, grid, Side::Receiver, Shared, "Tell us who else is bidding", 3).await?;
        self.task(nora, grid, Side::Source, Internal, "Check the margin with finance", 6).await?;

        let depot = self.lead(nora, &DEPOT, Some(self.contoso)).await?;
        self.after(2);
        let reason = "They are in a dispute with us over an earlier project; better that another partner calls.";
        self.act(clara, depot, "decline", json!({ "reason": reason })).await?;

        let school = self.lead(nora, &SCHOOL, Some(self.fabrikam)).await?;
        self.after(9);
        self.act(finn, school, "accept", json!({})).await?;
        self.task(finn, school, Side::Receiver, Shared, "Write the offer", 8).await?;
        self.after(20);

        // From the partner to the vendor.
        let museum = self.lead(clara, &MUSEUM, Some(self.contoso)).await?;
        self.comment(clara, museum, Shared, None, "They need a licence alone: nothing in it for us.").await?;
        self.after(4);
        self.act(nora, museum, "accept", json!({})).await
    }

    /// What was submitted and judged: accepted from the first partner, and rejected from the second, who came later.
    async fn under_review(&self) -> Result<()> {
        let (nora, clara, finn) = (&self.nora, &self.clara, &self.finn);
        let coaches = self.submitted(clara, &COACHES, self.contoso).await?;
        let again = self.submitted(finn, &COACHES_AGAIN, self.fabrikam).await?;
        self.after(2);
        self.act(nora, coaches, "accept", json!({})).await?;
        let rejection = json!({
            "code": "DUPLICATE", "reason": "Another partner submitted this customer before you.",
            "duplicateOf": global_id::encode(NodeType::Lead, coaches.0)
        });
        self.act(nora, again, "reject", rejection).await?;
        self.act(nora, coaches, "negotiate", json!({})).await
    }

    /// What waits for the vendor's judgement, or for what it asked for.
    async fn to_be_reviewed(&self) -> Result<()> {
        let (nora, clara) = (&self.nora, &self.clara);
        let clinic = self.submitted(clara, &CLINIC, self.contoso).await?;
        self.after(1);
        let note = "Who decides there, and is the old system theirs or the county's?";
        self.act(nora, clinic, "request_info", json!({ "note": note })).await?;
        self.submitted(clara, &OBSERVATORY, self.contoso).await?;
        Ok(())
    }

    /// What the vendor works by itself: one lead that can be qualified, one that was given up, one that nobody has yet;
    /// and a marketing list.
    async fn on_their_own(&self, fair: &[LeadId]) -> Result<()> {
        let nora = &self.nora;
        let own = |need: &Need| NewLead { template_key: Some("internal-lead".to_owned()), ..need.lead() };
        let owner = json!({ "owner": global_id::encode(NodeType::Member, nora.id.0) });
        let known = |text: &str| Patch::Value(text.to_owned());
        let qualification = QualificationPatch {
            goal: known("Half the scrap within a year."),
            implementation_options: known("Our planning module, or an extension of what they have."),
            procurement_procedure: known("A tender among three, without notice."),
            decision_level: known("The board of the group."),
            terms: known("The contract before the summer break."),
            decision_maker: known("Ines Carvalho, plant director."),
            selection_criteria: known("Time to the first result, then the price."),
            compliance_with_criteria: known("We meet the first, and are in the middle with the second."),
            channel: known("Direct."),
        };
        let foundry = self.create(nora, NewLead { qualification, ..own(&FOUNDRY) }).await?;
        self.act(nora, foundry, "assign", owner.clone()).await?;
        let garden = self.create(nora, own(&GARDEN)).await?;
        self.act(nora, garden, "assign", owner).await?;
        let reason = "Two people in a greenhouse; nothing that we sell is made for that.";
        self.act(nora, garden, "disqualify", json!({ "code": "NON_TARGET_CLIENT", "reason": reason })).await?;
        self.create(nora, own(&QUARRY)).await?;
        let list = NewMarketingList { name: "Met at the trade fair".to_owned(), idempotency_key: None };
        let list = self.service.create_marketing_list(nora, &list).await?;
        let list = global_id::encode(NodeType::MarketingList, list.id.0);
        for lead in fair.iter().chain([&foundry]) {
            self.service.add_to_marketing_list(nora, &list, &global_id::encode(NodeType::Lead, lead.0)).await?;
        }
        Ok(())
    }

    /// The deal of the first week is won.
    async fn won(&self, lead: LeadId) -> Result<()> {
        let clara = &self.clara;
        let deal = self.service.lead(clara, lead).await?.and_then(|lead| lead.opportunity);
        let deal = deal.ok_or_else(|| Error::internal("a converted lead without its opportunity"))?;
        let form = Map::from_iter([
            ("value".to_owned(), json!({ "amount": "176500.00", "currency": "EUR" })),
            ("closeDate".to_owned(), json!(self.clock.now().date_naive().to_string())),
        ]);
        self.service.perform_opportunity(clara, deal, "win", &form, None).await.map(|_| ())
    }

    /// What waits for an answer, and what has not been shared. Says which one is from the trade fair.
    async fn this_week(&self) -> Result<LeadId> {
        let (nora, clara) = (&self.nora, &self.clara);
        let textile = self.lead(nora, &TEXTILE, Some(self.contoso)).await?;
        self.comment(nora, textile, Shared, None, "She is at the fair in Cologne until Friday; write, don't call.")
            .await?;
        self.after(5);
        self.task(nora, textile, Side::Receiver, Shared, "Answer by Friday, please", 4).await?;
        self.lead(nora, &AIRFREIGHT, Some(self.contoso)).await?;
        self.after(2);
        self.lead(nora, &COLD_STORE, Some(self.fabrikam)).await?;
        let vineyard = self.lead(nora, &VINEYARD, None).await?;
        self.comment(nora, vineyard, Internal, None, "Too early to share: they have no budget before autumn.").await?;
        self.lead(clara, &LIBRARY, None).await?;
        Ok(textile)
    }

    /// Some hours pass.
    fn after(&self, hours: i64) {
        self.clock.advance(TimeDelta::hours(hours) + TimeDelta::minutes(hours * 7 % 43));
    }

    async fn lead(&self, member: &Member, need: &Need, across: Option<PartnershipId>) -> Result<LeadId> {
        self.create(member, NewLead { partnership_id: across.map(partnership), ..need.lead() }).await
    }

    /// A lead that a partner submits to the vendor.
    async fn submitted(&self, member: &Member, need: &Need, across: PartnershipId) -> Result<LeadId> {
        let template_key = Some("submitted-lead".to_owned());
        let partnership_id = Some(partnership(across));
        self.create(member, NewLead { template_key, partnership_id, ..need.lead() }).await
    }

    async fn create(&self, member: &Member, lead: NewLead) -> Result<LeadId> {
        self.clock.advance(TimeDelta::minutes(11));
        Ok(self.service.create_lead(member, lead).await?.lead.id)
    }

    /// A lead that is shared and soon ended by the one who shared it.
    async fn soon_over(&self, member: &Member, need: &Need, action: &str, reason: &str) -> Result<()> {
        let lead = self.lead(member, need, Some(self.contoso)).await?;
        self.after(1);
        self.act(member, lead, action, json!({ "reason": reason })).await
    }

    async fn act(&self, member: &Member, lead: LeadId, action: &str, form: Value) -> Result<()> {
        self.clock.advance(TimeDelta::minutes(4));
        let form = if let Value::Object(form) = form { form } else { Map::new() };
        let asked = Asked::Action(action);
        let call = ActionCall { asked, form, prefix: "input", expires_at: None, expected_version: None, once: None };
        Box::pin(self.service.perform(member, lead, &call)).await.map(|_| ())
    }

    async fn comment(
        &self,
        member: &Member,
        lead: LeadId,
        visibility: Visibility,
        reply: Option<CommentId>,
        body: &str,
    ) -> Result<CommentId> {
        self.clock.advance(TimeDelta::minutes(3));
        let in_reply_to_id = reply.map(|id| global_id::encode(NodeType::Comment, id.0));
        let comment = NewComment { body: body.to_owned(), visibility, in_reply_to_id, idempotency_key: None };
        Ok(self.service.add_comment(member, lead, &comment).await?.id)
    }

    async fn task(
        &self,
        member: &Member,
        lead: LeadId,
        side: Side,
        visibility: Visibility,
        title: &str,
        days: i64,
    ) -> Result<TaskId> {
        self.clock.advance(TimeDelta::minutes(2));
        let task = NewTask {
            title: title.to_owned(),
            description: None,
            assignee_id: None,
            assign_to: Some(side),
            due_at: Some(self.clock.now() + TimeDelta::days(days)),
            visibility,
            idempotency_key: None,
        };
        Ok(self.service.create_task(member, lead, &task).await?.id)
    }
}

async fn sign_in(service: &Service, subject: &str) -> Result<Member> {
    let person = PEOPLE.iter().find(|person| person.subject == subject);
    let person = person.ok_or_else(|| Error::internal("a person without a company"))?;
    let bearer = Bearer {
        company: person.company.to_owned(),
        subject: person.subject.to_owned(),
        roles: vec![person.role],
        name: Some(person.name.to_owned()),
        email: Some(person.email()),
    };
    service.sign_in(bearer).await
}

fn partnership(id: PartnershipId) -> String {
    global_id::encode(NodeType::Partnership, id.0)
}

impl Need {
    fn lead(&self) -> NewLead {
        fn some(text: &str) -> Option<String> {
            (!text.is_empty()).then(|| text.to_owned())
        }
        let [street, city, region, postal_code, country] = self.address.map(some);
        let [first_name, last_name, job_title, email, phone] = self.contact.map(some);
        NewLead {
            title: self.title.to_owned(),
            description: some(self.description),
            lead_source: some(self.source),
            customer: CustomerInput {
                company: some(self.company),
                website: some(self.website),
                industry: some(self.industry),
                employees: Some(self.employees),
                address: Some(AddressInput { street, city, region, postal_code, country }),
                contact: Some(ContactInput {
                    first_name,
                    last_name,
                    job_title,
                    email,
                    phone,
                    ..ContactInput::default()
                }),
            },
            estimated_value: Some(MoneyInput { amount: self.value.0.to_owned(), currency: self.value.1.to_owned() }),
            ..NewLead::default()
        }
    }
}

const FERRY: Need = Need {
    title: "Booking and crew planning for seven ferries",
    description: "Their own system is no longer maintained and fails at weekends. They decide in spring.",
    source: "Trade fair",
    company: "Harborline Ferries",
    website: "https://harborline.example",
    industry: "Transport",
    employees: 420,
    address: ["Fährstraße 8", "Kiel", "", "24143", "DE"],
    contact: ["Henrike", "Voss", "Head of Operations", "h.voss@harborline.example", "+49 431 5550 142"],
    value: ("180000", "EUR"),
};

const BAKERY: Need = Need {
    title: "Production planning for 60 bakeries",
    description: "Wants one plan for three ovens and all shops.",
    source: "Web",
    company: "Goldkruste Bakeries",
    website: "https://goldkruste.example",
    industry: "Food",
    employees: 900,
    address: ["Mühlweg 3", "Augsburg", "", "86150", "DE"],
    contact: ["Lorenz", "Huber", "IT Manager", "l.huber@goldkruste.example", "+49 821 555 0117"],
    value: ("75000", "EUR"),
};

const HOSPITAL: Need = Need {
    title: "Rota planning for 1,200 nurses",
    description: "Three sites; the works council has to agree to the tool.",
    source: "Referral",
    company: "St. Brennan's Hospital Group",
    website: "https://stbrennans.example",
    industry: "Health care",
    employees: 3_100,
    address: ["14 Quay Road", "Bristol", "", "BS1 6AA", "GB"],
    contact: ["Maeve", "Doran", "Nursing Director", "maeve.doran@stbrennans.example", "020 7946 0412"],
    value: ("260000", "GBP"),
};

const PRINTER: Need = Need {
    title: "Job tickets for a print shop",
    description: "Forty machines, two shifts.",
    source: "Web",
    company: "Inkwell Print Works",
    website: "https://inkwell.example",
    industry: "Printing",
    employees: 140,
    address: ["220 Foundry Street", "Columbus", "OH", "43215", "US"],
    contact: ["Dale", "Prewitt", "Plant Manager", "dale@inkwell.example", "(614) 555-0133"],
    value: ("38000", "USD"),
};

const BREWERY: Need = Need {
    title: "Sales forecasts for a brewery",
    description: "Plans in spreadsheets today; knows that this does not scale.",
    source: "Phone",
    company: "Old Mill Brewing",
    website: "https://oldmill.example",
    industry: "Beverages",
    employees: 210,
    address: ["9 Barley Court", "Leeds", "", "LS1 4AP", "GB"],
    contact: ["Graham", "Tetley", "Finance Director", "graham@oldmill.example", "020 7946 0588"],
    value: ("52000", "GBP"),
};

const GRID: Need = Need {
    title: "Field service for a regional grid operator",
    description: "180 technicians, today with paper forms. A tender with three bidders.",
    source: "Partner event",
    company: "Ostsee Netz",
    website: "https://ostseenetz.example",
    industry: "Energy",
    employees: 1_300,
    address: ["Am Umspannwerk 1", "Rostock", "", "18055", "DE"],
    contact: ["Jannis", "Petersen", "Head of Field Service", "j.petersen@ostseenetz.example", "+49 381 555 0160"],
    value: ("310000", "EUR"),
};

const SCHOOL: Need = Need {
    title: "Timetables for 24 schools",
    description: "The city wants one system for all of its schools.",
    source: "Tender",
    company: "City of Ashford Schools",
    website: "https://ashfordschools.example",
    industry: "Education",
    employees: 2_600,
    address: ["400 Civic Center Drive", "Ashford", "OR", "97520", "US"],
    contact: ["Renata", "Alvarez", "Director of Technology", "ralvarez@ashfordschools.example", "(541) 555-0176"],
    value: ("120000", "USD"),
};

const MUSEUM: Need = Need {
    title: "Licences for a museum's ticket desks",
    description: "Twelve desks, no services needed.",
    source: "Partner",
    company: "Museum of Glass and Light",
    website: "https://glassandlight.example",
    industry: "Culture",
    employees: 85,
    address: ["Glasbruksgatan 5", "Stockholm", "", "116 46", "SE"],
    contact: ["Elsa", "Norling", "Administrator", "elsa.norling@glassandlight.example", "+46 8 465 004 20"],
    value: ("410000", "SEK"),
};

const TEXTILE: Need = Need {
    title: "Planning of a weaving mill",
    description: "Forty looms; a new hall opens in the autumn.",
    source: "Trade fair",
    company: "Weberei Lautenbach",
    website: "https://lautenbach.example",
    industry: "Textiles",
    employees: 260,
    address: ["Spinnereistraße 20", "Chemnitz", "", "09112", "DE"],
    contact: ["Ulrike", "Lautenbach", "Managing Director", "u.lautenbach@lautenbach.example", "+49 371 555 0128"],
    value: ("98000", "EUR"),
};

const AIRFREIGHT: Need = Need {
    title: "Slots and handling for air freight",
    description: "Wants to start with one airport and add two more.",
    source: "Web",
    company: "Meridian Air Freight",
    website: "https://meridianair.example",
    industry: "Logistics",
    employees: 530,
    address: ["1800 Cargo Way", "Louisville", "KY", "40213", "US"],
    contact: ["Priya", "Nair", "VP, Operations", "priya.nair@meridianair.example", "(502) 555-0149"],
    value: ("225000", "USD"),
};

const COLD_STORE: Need = Need {
    title: "Energy monitoring for cold stores",
    description: "Eleven stores; the energy bill has doubled.",
    source: "Referral",
    company: "Polar Bridge Storage",
    website: "https://polarbridge.example",
    industry: "Logistics",
    employees: 310,
    address: ["Satamakatu 12", "Turku", "", "20100", "FI"],
    contact: ["Mikko", "Salonen", "Technical Director", "mikko.salonen@polarbridge.example", ""],
    value: ("64000", "EUR"),
};

const VINEYARD: Need = Need {
    title: "Harvest planning for a vineyard cooperative",
    description: "Ninety growers, one press house.",
    source: "Phone",
    company: "Cantina Valdoro",
    website: "https://valdoro.example",
    industry: "Agriculture",
    employees: 45,
    address: ["Via dei Colli 7", "Asti", "AT", "14100", "IT"],
    contact: ["Giulia", "Ferrero", "President", "giulia@valdoro.example", "+39 0141 555 012"],
    value: ("22000", "EUR"),
};

const LIBRARY: Need = Need {
    title: "Consulting for a library's catalogue",
    description: "A project of our own; no product of the vendor's in it.",
    source: "Phone",
    company: "Riverside Public Library",
    website: "https://riversidelibrary.example",
    industry: "Public sector",
    employees: 60,
    address: ["77 Elm Avenue", "Duluth", "MN", "55802", "US"],
    contact: ["Howard", "Eide", "Head Librarian", "heide@riversidelibrary.example", "(218) 555-0104"],
    value: ("15000", "USD"),
};

const DEPOT: Need = Need {
    title: "Workshop planning for a tram depot",
    description: "Ninety trams, one workshop; wants to cut standing time.",
    source: "Phone",
    company: "Lakeside Tramways",
    website: "https://lakesidetram.example",
    industry: "Transport",
    employees: 640,
    address: ["1 Depot Road", "Edinburgh", "", "EH12 9GT", "GB"],
    contact: ["Rhona", "McKay", "Workshop Manager", "rhona.mckay@lakesidetram.example", "020 7946 0731"],
    value: ("87000", "GBP"),
};

const SHIPYARD: Need = Need {
    title: "Dock planning for a shipyard",
    description: "Four docks; the first is planned with our trial already.",
    source: "Own customer",
    company: "Varvet Skagen",
    website: "https://varvetskagen.example",
    industry: "Shipbuilding",
    employees: 380,
    address: ["Havnevej 31", "Skagen", "", "9990", "DK"],
    contact: ["Jonas", "Holm", "Head of Production", "j.holm@varvetskagen.example", "+45 98 44 01 20"],
    value: ("120000", "EUR"),
};

const COACHES: Need = Need {
    title: "Dispatch for long-distance coaches",
    description: "Sixty coaches, two depots; the tool of today ends with the year.",
    source: "Event",
    company: "Rotas do Sul Coaches",
    website: "https://rotasdosul.example",
    industry: "Transport",
    employees: 210,
    address: ["Rua da Estação 4", "Évora", "", "7000", "PT"],
    contact: ["Marta", "Pires", "Head of Dispatch", "marta.pires@rotasdosul.example", "+351 266 700 112"],
    value: ("88000", "EUR"),
};

const COACHES_AGAIN: Need =
    Need { title: "Coach dispatch", description: "They asked us for an offer.", source: "Web", ..COACHES };

const CLINIC: Need = Need {
    title: "Theatre planning for a clinic",
    description: "Eight theatres, planned on a board.",
    source: "Referral",
    company: "Alderbrook Clinic",
    website: "https://alderbrook.example",
    industry: "Health care",
    employees: 700,
    address: ["5 Mill Lane", "Bath", "", "BA1 4DT", "GB"],
    contact: ["Owen", "Farrow", "Theatre Manager", "owen.farrow@alderbrook.example", "020 7946 0288"],
    value: ("54000", "GBP"),
};

const OBSERVATORY: Need = Need {
    title: "Visitor bookings for an observatory",
    description: "Sold out on clear nights, empty on others; wants prices that follow the forecast.",
    source: "Phone",
    company: "Stella Polare Observatory",
    website: "https://stellapolare.example",
    industry: "Culture",
    employees: 30,
    address: ["Strada del Colle 90", "Bolzano", "BZ", "39100", "IT"],
    contact: ["Chiara", "Conti", "Director", "chiara@stellapolare.example", "+39 0471 555 018"],
    value: ("18000", "EUR"),
};

const FOUNDRY: Need = Need {
    title: "Planning of melts in a foundry",
    description: "Three furnaces; the scrap is what hurts.",
    source: "Trade fair",
    company: "Fundição Carvalho",
    website: "https://fundicaocarvalho.example",
    industry: "Metal",
    employees: 340,
    address: ["Avenida da Indústria 12", "Aveiro", "", "3800", "PT"],
    contact: ["Ines", "Carvalho", "Plant Director", "ines@fundicaocarvalho.example", "+351 234 700 455"],
    value: ("135000", "EUR"),
};

const GARDEN: Need = Need {
    title: "Watering plan for a nursery garden",
    description: "Wants to water by weather.",
    source: "Web",
    company: "Greenleaf Nursery",
    website: "https://greenleafnursery.example",
    industry: "Agriculture",
    employees: 2,
    address: ["12 Orchard Lane", "Burlington", "VT", "05401", "US"],
    contact: ["Amy", "Burke", "Owner", "amy@greenleafnursery.example", "(802) 555-0162"],
    value: ("1500", "USD"),
};

const QUARRY: Need = Need {
    title: "Truck scheduling for a quarry",
    description: "Two hundred loads a day, one scale.",
    source: "Web",
    company: "Granit Vogtland",
    website: "https://granitvogtland.example",
    industry: "Mining",
    employees: 95,
    address: ["Am Bruch 1", "Plauen", "", "08523", "DE"],
    contact: ["Jörg", "Wendt", "Operations Manager", "j.wendt@granitvogtland.example", "+49 3741 555 0166"],
    value: ("46000", "EUR"),
};
