//! What is offered is exactly what is allowed: every shipped workflow is walked over the API, from where it begins to
//! wherever its actions lead. At every place, for every side, role and ownership, what `availableActions` offers is
//! compared with what the definition says, and with what comes of every action of the workflow.
//!
//! After each action that is taken, the record's rows are put back, so that every action is tried on the same place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::TimeDelta;
use cosell::domain::global_id;
use cosell::domain::workflow::builtin;
use cosell::domain::workflow::definition::{
    ANY, Action, Definition, Effect, FieldType, Guard, RuleSide, Subject, TrackKey,
};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::Kind;
use crate::support::world::{Person, World};

const ROLES: [&str; 6] = ["ADMIN", "SALES", "MARKETEER", "MANAGER", "VIEWER", "INTEGRATION"];
/// What a refusal may say, besides REQUIRED for fields of the lead.
const REFUSALS: [&str; 4] = ["FORBIDDEN", "INVALID_TRANSITION", "LEAD_EXPIRED", "LEAD_INACTIVE"];

/// Where a record stands: as much of it as the rules can ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    stage: String,
    status: Option<String>,
    locked: bool,
    active: bool,
    /// With its receiver: the receiver's view has not ended.
    passed: bool,
}

/// Somebody who tries.
struct Caller {
    company: &'static str,
    role: &'static str,
    member: Uuid,
    person: Person,
}

/// Whose records are walked, and between whom.
struct Cast {
    source: &'static str,
    receiver: &'static str,
    /// Which of the two is the vendor.
    vendor: &'static str,
    /// The companies that the partnership's setting lets move the stage.
    movers: &'static [&'static str],
    /// The partnership to pass leads on across.
    elsewhere: String,
    /// Whether what the workflow needs to know of the customer is on the lead.
    complete: bool,
    /// Whether owners are walked too, or only those who own nothing.
    owners: bool,
}

struct Walk<'w> {
    world: &'w World,
    sql: DatabaseConnection,
    definition: Arc<Definition>,
    cast: Cast,
    callers: Vec<Caller>,
    /// Who owns the record where the caller does not: of each company.
    bystanders: BTreeMap<&'static str, Uuid>,
    /// The record.
    id: String,
    row: Uuid,
    columns: String,
    /// Where it has been, each with the number under which its rows are kept.
    places: Vec<Place>,
    /// Which actions were taken by anybody, and the codes of refusals.
    taken: BTreeSet<String>,
    refused: BTreeSet<String>,
    tries: usize,
}

impl<'w> Walk<'w> {
    async fn of(world: &'w World, workflow: &str, cast: Cast, id: String) -> Self {
        let definition = builtin::builtin(workflow, 2).expect("a shipped workflow");
        let sql = sea_orm::Database::connect(&world.database.url).await.expect("it takes connections");
        let mut callers = Vec::new();
        let mut bystanders = BTreeMap::new();
        for company in BTreeSet::from([cast.source, cast.receiver]) {
            for role in ROLES {
                let person = world.as_(company, role);
                let member = uuid(&person.id().await);
                callers.push(Caller { company, role, member, person });
            }
            let bystander = world.person(company, &format!("{company}-bystander"), &["VIEWER"]);
            bystanders.insert(company, uuid(&bystander.id().await));
        }
        let row = uuid(&id);
        let mut walk = Self {
            world,
            sql,
            definition,
            cast,
            callers,
            bystanders,
            id,
            row,
            columns: String::new(),
            places: Vec::new(),
            taken: BTreeSet::new(),
            refused: BTreeSet::new(),
            tries: 0,
        };
        walk.columns = walk.columns_of_the_table().await;
        let table = walk.table();
        walk.run(&format!("CREATE TABLE walk_row AS SELECT 0 AS place, v.* FROM {table} v WHERE 1 = 0")).await;
        walk
    }

    fn of_leads(&self) -> bool {
        self.definition.subject == Subject::Lead
    }

    fn table(&self) -> &'static str {
        if self.of_leads() { "lead_view" } else { "opportunity_view" }
    }

    fn key(&self) -> &'static str {
        if self.of_leads() { "lead_id" } else { "opportunity_id" }
    }

    async fn run(&self, sql: &str) {
        let values = if sql.contains("$1") { vec![self.row.into()] } else { Vec::new() };
        let statement = Statement::from_sql_and_values(self.sql.get_database_backend(), sql, values);
        self.sql.execute_raw(statement).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    async fn columns_of_the_table(&self) -> String {
        let table = self.table();
        let sql = match self.world.database.kind {
            Kind::Sqlite => format!("SELECT name FROM pragma_table_info('{table}')"),
            Kind::Postgres => format!(
                "SELECT column_name::text FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = '{table}'"
            ),
        };
        let statement = Statement::from_string(self.sql.get_database_backend(), sql);
        let rows = self.sql.query_all_raw(statement).await.expect("the columns");
        let names: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).expect("a name")).collect();
        names.join(", ")
    }

    /// Keeps the record's rows as those of a place.
    async fn keep(&mut self, place: Place) -> usize {
        let number = self.places.len();
        let (table, key) = (self.table(), self.key());
        self.run(&format!("INSERT INTO walk_row SELECT {number}, v.* FROM {table} v WHERE v.{key} = $1")).await;
        self.places.push(place);
        number
    }

    /// Puts the record's rows back as they were at a place, with these owners.
    async fn put_back(&self, number: usize, owner_of: impl Fn(&'static str) -> Uuid) {
        let (table, key, columns) = (self.table(), self.key(), &self.columns);
        let kept = format!("(SELECT w.company_id FROM walk_row w WHERE w.place = {number} AND w.{key} = $1)");
        self.run(&format!("DELETE FROM {table} WHERE {key} = $1 AND company_id NOT IN {kept}")).await;
        if self.of_leads() {
            self.run(&format!("DELETE FROM match_key WHERE lead_id = $1 AND company_id NOT IN {kept}")).await;
        }
        self.run(&format!(
            "UPDATE {table} SET ({columns}) = (SELECT {columns} FROM walk_row w WHERE w.place = {number} \
             AND w.{key} = {table}.{key} AND w.company_id = {table}.company_id) WHERE {key} = $1"
        ))
        .await;
        let owner = if self.of_leads() { "owner_id" } else { "responsible_id" };
        for company in self.bystanders.keys() {
            let sql = format!(
                "UPDATE {table} SET {owner} = $2 \
                 WHERE {key} = $1 AND company_id = (SELECT id FROM company WHERE slug = '{company}')"
            );
            let values = [self.row.into(), owner_of(company).into()];
            let statement = Statement::from_sql_and_values(self.sql.get_database_backend(), &sql, values);
            self.sql.execute_raw(statement).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
    }

    /// What a caller is offered, and what only fields of the lead stand against; none where it sees no such record.
    async fn offered(&self, person: &Person) -> Option<[BTreeSet<String>; 2]> {
        let (what, more) =
            if self.of_leads() { ("lead", "blockedActions { key missing }") } else { ("opportunity", "") };
        let document =
            format!("query($id: ID!) {{ {what}(id: $id) {{ availableActions {{ key fields {{ key }} }} {more} }} }}");
        let answer = person.query(&document, json!({ "id": self.id })).await;
        if answer.faults() == [("NOT_FOUND", "id")] {
            return None;
        }
        let answer = answer.ok();
        let record = answer.at(&format!("/{what}"));
        let keys = |list: &Value| -> BTreeSet<String> {
            let list = list.as_array().into_iter().flatten();
            list.map(|action| action["key"].as_str().expect("a key").to_owned()).collect()
        };
        Some([keys(&record["availableActions"]), keys(&record["blockedActions"])])
    }

    /// Where the record stands, and what else tells whether the walk goes on with it.
    async fn place(&self) -> (Place, bool) {
        const LEAD: &str = "query($id: ID!) { it: lead(id: $id) { stage { key } status { key } stageLocked active \
            template { key } receiver { slug } } }";
        const OPPORTUNITY: &str = "query($id: ID!) { it: opportunity(id: $id) { stage { key } } }";
        let viewer = self.callers.iter().find(|caller| caller.company == self.cast.source).expect("one of the source");
        let document = if self.of_leads() { LEAD } else { OPPORTUNITY };
        let seen = viewer.person.query(document, json!({ "id": self.id })).await.ok().at("/it").clone();
        let statement = format!(
            "SELECT count(*) FROM {} WHERE {} = $1 AND side = 'RECEIVER' AND ended_at IS NULL",
            self.table(),
            self.key()
        );
        let statement = Statement::from_sql_and_values(self.sql.get_database_backend(), statement, [self.row.into()]);
        let row = self.sql.query_one_raw(statement).await.expect("a count").expect("a row");
        let place = Place {
            stage: seen["stage"]["key"].as_str().expect("a stage").to_owned(),
            status: seen["status"]["key"].as_str().map(str::to_owned),
            locked: seen["stageLocked"] == true,
            active: seen["active"] != false,
            passed: row.try_get_by_index::<i64>(0).expect("a number") > 0,
        };
        let strays = self.of_leads()
            && (seen["template"]["key"] != self.definition.key.as_str()
                || !seen["receiver"].is_null() && seen["receiver"]["slug"] != self.cast.receiver);
        (place, !strays)
    }

    /// What the definition says, read here once more and in another way than the server does.
    fn says(&self, action: &Action, place: &Place, caller: &Caller, owner: bool) -> bool {
        let Cast { source, receiver, vendor, movers, .. } = self.cast;
        let company = caller.company;
        if company == receiver && company != source && !place.passed {
            return false;
        }
        let by = action.allow.iter().any(|rule| {
            let side = match rule.side {
                RuleSide::Source => company == source,
                RuleSide::Receiver => company == receiver,
                RuleSide::Vendor => place.passed && company == vendor,
                RuleSide::Partner => place.passed && company != vendor,
                RuleSide::StageMover => place.passed && movers.contains(&company),
            };
            side && rule.roles.iter().any(|role| role.as_str() == caller.role) && (owner || !rule.owner_only)
        });
        let moves_stage = self.definition.track_of(action) == TrackKey::Stage && action.to.is_some();
        let on = match self.definition.track_of(action) {
            TrackKey::Stage => Some(&place.stage),
            TrackKey::Status => place.status.as_ref(),
        };
        let other = match self.definition.track_of(action) {
            TrackKey::Stage => place.status.as_ref(),
            TrackKey::Status => Some(&place.stage),
        };
        let guarded = action.guards.iter().all(|guard| match guard {
            Guard::At { stages, .. } => other.is_some_and(|stage| stages.contains(stage)),
            // The walk is at every end as soon as it is reached.
            Guard::Within { .. } | Guard::Fields { .. } => true,
        });
        by && guarded
            && !action.system
            && place.active != action.effects.contains(&Effect::Activate)
            && action.from.iter().any(|from| from == ANY || Some(from) == on)
            && !(place.locked && moves_stage)
    }

    fn needs_fields(action: &Action) -> bool {
        action.guards.iter().any(|guard| matches!(guard, Guard::Fields { when: None, .. }))
    }

    /// A form that the action is glad of.
    fn form(&self, action: &Action, caller: &Caller) -> Value {
        let mut form = Map::new();
        let owner = global_id::encode(global_id::NodeType::Member, self.bystanders[caller.company]);
        for field in &action.fields {
            let value = match field.kind {
                FieldType::Member if field.key == "owner" => json!(owner),
                FieldType::Partnership => json!(self.cast.elsewhere),
                FieldType::OpportunityForm => json!({ "name": "A deal" }),
                FieldType::Money => json!({ "amount": "1200.00", "currency": "EUR" }),
                FieldType::Date => json!("2026-06-30"),
                FieldType::Choice => json!(field.options.as_ref().expect("options")[0].value),
                FieldType::Text | FieldType::LongText => json!("Some words"),
                _ => continue,
            };
            form.insert(field.key.clone(), value);
        }
        Value::Object(form)
    }

    async fn attempt(&self, caller: &Caller, action: &Action) -> crate::support::http::Answer {
        let (mutation, id) = if self.of_leads() {
            ("performLeadAction", "leadId")
        } else {
            ("performOpportunityAction", "opportunityId")
        };
        let input = json!({ id: self.id, "action": action.key, "fields": self.form(action, caller) });
        caller.person.mutate(mutation, input, "__typename").await
    }

    /// Tries everything at one place in one caller's name; says where the actions led that were allowed.
    async fn try_all(&mut self, number: usize, caller: usize, owner: bool) -> Vec<usize> {
        let place = self.places[number].clone();
        let definition = Arc::clone(&self.definition);
        let bystanders = self.bystanders.clone();
        let mine = (self.callers[caller].company, self.callers[caller].member);
        let owner_of = |company| if owner && company == mine.0 { mine.1 } else { bystanders[company] };
        let mut found = Vec::new();
        let allowed = {
            let walk = &*self;
            let caller = &walk.callers[caller];
            let who = format!("{place:?} for {} {} (owner: {owner})", caller.company, caller.role);
            let said: BTreeSet<_> =
                definition.actions.iter().filter(|action| walk.says(action, &place, caller, owner)).collect_keys();
            let (blocked, open): (BTreeSet<_>, BTreeSet<_>) = said
                .into_iter()
                .partition(|key| !walk.cast.complete && definition.action(key).is_some_and(Self::needs_fields));
            let Some([offered, stopped]) = walk.offered(&caller.person).await else {
                panic!("{who} sees nothing");
            };
            assert_eq!(offered, open, "what is offered at {who}");
            assert_eq!(stopped, blocked, "what only fields of the lead stand against at {who}");
            let refused: Vec<_> = definition.actions.iter().filter(|action| !offered.contains(&action.key)).collect();
            let answers = join_all(refused.iter().map(|action| walk.attempt(caller, action))).await;
            let mut codes = Vec::new();
            for (action, answer) in refused.iter().zip(answers) {
                let faults = answer.faults();
                let what = format!("{} at {who}: {}", action.key, answer.text);
                if blocked.contains(&action.key) {
                    assert!(!faults.is_empty(), "{what}");
                    let of_lead = |(code, at): &(&str, &str)| *code == "REQUIRED" && at.starts_with("lead.");
                    assert!(faults.iter().all(of_lead), "{what}");
                } else {
                    assert!(REFUSALS.contains(&answer.code()), "{what}");
                    assert!(!answer.message().is_empty(), "{what}");
                }
                codes.push(faults[0].0.to_owned());
            }
            self.tries += codes.len();
            self.refused.extend(codes);
            offered
        };
        for key in allowed {
            let action = definition.action(&key).expect("an action that was offered");
            self.attempt(&self.callers[caller], action).await.ok();
            self.tries += 1;
            let (to, goes_on) = self.place().await;
            if self.taken.insert(format!("{key} from {place:?}")) && goes_on && !self.places.contains(&to) {
                found.push(self.keep(to).await);
            }
            self.put_back(number, owner_of).await;
        }
        found
    }

    /// Everything at one place, in everybody's name; says where it led.
    async fn try_everybody(&mut self, number: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let bystanders = self.bystanders.clone();
        self.put_back(number, |company| bystanders[company]).await;
        for caller in 0..self.callers.len() {
            if !self.sees(number, caller) {
                continue;
            }
            found.extend(self.try_all(number, caller, false).await);
        }
        for caller in 0..self.callers.len() {
            if !self.cast.owners || !self.sees(number, caller) {
                continue;
            }
            let mine = (self.callers[caller].company, self.callers[caller].member);
            self.put_back(number, |company| if company == mine.0 { mine.1 } else { bystanders[company] }).await;
            found.extend(self.try_all(number, caller, true).await);
        }
        self.strangers(number).await;
        found
    }

    /// Whether the caller's company has a view of the record there: the receiver has none before it was ever passed.
    fn sees(&self, number: usize, caller: usize) -> bool {
        let place = &self.places[number];
        let never =
            !place.passed && [Some("draft"), None].contains(&place.status.as_deref()) && place.stage != "withdrawn";
        self.callers[caller].company == self.cast.source || !(never && self.of_leads())
    }

    /// Who is party to nothing learns nothing, whatever it tries.
    async fn strangers(&mut self, number: usize) {
        let member = Uuid::nil();
        let mut strangers =
            vec![Caller { company: "umbrella", role: "ADMIN", member, person: self.world.as_("umbrella", "ADMIN") }];
        let receiver = self.callers.iter().position(|caller| caller.company != self.cast.source);
        if receiver.is_some_and(|receiver| !self.sees(number, receiver)) {
            strangers.push(Caller {
                company: self.cast.receiver,
                role: "ADMIN",
                member,
                person: self.world.as_(self.cast.receiver, "ADMIN"),
            });
        }
        self.bystanders.insert("umbrella", member);
        for stranger in &strangers {
            assert_eq!(self.offered(&stranger.person).await, None, "at {:?}", self.places[number]);
            let answers = join_all(self.definition.actions.iter().map(|action| self.attempt(stranger, action))).await;
            for answer in answers {
                let field = if self.of_leads() { "input.leadId" } else { "input.opportunityId" };
                assert_eq!(answer.faults(), [("NOT_FOUND", field)], "at {:?}", self.places[number]);
            }
        }
        self.bystanders.remove("umbrella");
    }

    /// Walks on from where the record now stands to wherever that leads.
    async fn on(&mut self) {
        let (place, goes_on) = self.place().await;
        assert!(goes_on, "the walk begins at {place:?}");
        let number = self.keep(place).await;
        let mut to_see = VecDeque::from([number]);
        while let Some(number) = to_see.pop_front() {
            to_see.extend(self.try_everybody(number).await);
        }
    }

    /// The same with another record.
    async fn on_with(&mut self, id: String) {
        self.row = uuid(&id);
        self.id = id;
        self.on().await;
    }

    /// Puts the record at a stage that no action leads to, as it stands at a place otherwise.
    async fn set_stage(&self, stage: &str) {
        let kind = self.definition.stage(stage).expect("a stage").kind.as_str();
        self.run(&format!(
            "UPDATE {} SET stage_key = '{stage}', stage_kind = '{kind}', active = true WHERE {} = $1",
            self.table(),
            self.key()
        ))
        .await;
    }

    /// Every stage of the workflow has been walked, and every action been taken.
    fn was_everywhere(&self) {
        let definition = &self.definition;
        let seen: BTreeSet<_> =
            self.places.iter().flat_map(|place| [Some(&place.stage), place.status.as_ref()]).flatten().collect();
        for stage in &definition.stages {
            assert!(seen.contains(&stage.key), "{} was never walked: {:?}", stage.key, self.places);
        }
        for action in definition.actions.iter().filter(|action| !action.system) {
            let taken = self.taken.iter().any(|taken| taken.starts_with(&format!("{} from", action.key)));
            assert!(taken, "{} was never taken", action.key);
        }
        eprintln!("{}: {} places, {} tries", definition.key, self.places.len(), self.tries);
    }
}

trait CollectKeys {
    fn collect_keys(self) -> BTreeSet<String>;
}

impl<'a, I: Iterator<Item = &'a Action>> CollectKeys for I {
    fn collect_keys(self) -> BTreeSet<String> {
        self.map(|action| action.key.clone()).collect()
    }
}

fn uuid(id: &str) -> Uuid {
    global_id::decode(id).expect("a global id").1
}

async fn new_lead(person: &Person, mut input: Value) -> String {
    let given = input.as_object_mut().expect("an object");
    given.insert("title".to_owned(), json!("Forty seats"));
    given.insert("customer".to_owned(), json!({ "company": "Initrode", "address": { "city": "Graz" } }));
    let created = person.mutate("createLead", input, "lead { id }").await.ok();
    created.text_at("/createLead/lead/id").to_owned()
}

fn qualification() -> Value {
    json!({
        "goal": "Fewer tickets", "implementationOptions": "Cloud", "procurementProcedure": "Tender",
        "decisionLevel": "Board", "terms": "Before July", "decisionMaker": "The CFO",
        "selectionCriteria": "Price", "complianceWithCriteria": "Good", "channel": "Direct"
    })
}

async fn walk_submitted_leads(world: &World, stage_moved_by: &str, movers: &'static [&'static str], owners: bool) {
    let partnership = world.partnership("acme", "globex").await;
    let elsewhere = world.partnership("initech", "globex").await;
    let settings = json!({ "partnershipId": partnership, "stageMovedBy": stage_moved_by });
    world.as_("acme", "ADMIN").mutate("updatePartnershipSettings", settings, "__typename").await.ok();
    let partner = world.as_("globex", "SALES");
    // No rule of this workflow asks for the owner; that this makes no difference is walked on one database.
    let owners = owners && world.database.kind == Kind::Sqlite;
    let cast = |elsewhere: &str| Cast {
        source: "globex",
        receiver: "acme",
        vendor: "acme",
        movers,
        elsewhere: elsewhere.to_owned(),
        complete: true,
        owners,
    };
    let draft = new_lead(&partner, json!({ "templateKey": "submitted-lead" })).await;
    let new = new_lead(&partner, json!({ "templateKey": "submitted-lead", "partnershipId": partnership })).await;
    let mut walk = Walk::of(world, "submitted-lead", cast(&elsewhere), draft).await;
    walk.on().await;
    walk.on_with(new).await;
    walk.was_everywhere();
    let codes: Vec<_> = walk.refused.iter().map(String::as_str).collect();
    assert_eq!(codes, ["FORBIDDEN", "INVALID_TRANSITION"]);
}

on_both_databases! {
    async fn of_shared_leads_what_is_offered_is_exactly_what_is_allowed(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let elsewhere = world.partnership("acme", "initech").await;
        let vendor = world.as_("acme", "SALES");
        let cast = Cast { source: "acme", receiver: "globex", vendor: "acme", movers: &[], elsewhere, complete: true, owners: true };
        let new = new_lead(&vendor, json!({ "templateKey": "partner-lead" })).await;
        let mut walk = Walk::of(&world, "partner-lead", cast, new).await;
        walk.on().await;
        let shared = json!({ "templateKey": "partner-lead", "partnershipId": partnership });
        walk.on_with(new_lead(&vendor, shared.clone()).await).await;
        // Past its limit, whether that has been recorded or not.
        for accepted in [false, true] {
            let lead = new_lead(&vendor, shared.clone()).await;
            if accepted {
                world.as_("globex", "SALES").mutate("acceptLead", json!({ "leadId": lead }), "__typename").await.ok();
            }
            world.clock.advance(TimeDelta::days(40));
            if accepted {
                world.server().service().expire_due(100).await.expect("it is recorded");
            }
            walk.on_with(lead).await;
        }
        walk.was_everywhere();
        let codes: Vec<_> = walk.refused.iter().map(String::as_str).collect();
        assert_eq!(codes, ["FORBIDDEN", "INVALID_TRANSITION", "LEAD_EXPIRED"]);
    }

    async fn of_submitted_leads_whose_stage_both_move_what_is_offered_is_exactly_what_is_allowed(world: World) {
        walk_submitted_leads(&world, "BOTH", &["acme", "globex"], true).await;
    }

    async fn of_submitted_leads_whose_stage_the_vendor_moves_what_is_offered_is_exactly_what_is_allowed(world: World) {
        walk_submitted_leads(&world, "VENDOR", &["acme"], false).await;
    }

    async fn of_submitted_leads_whose_stage_the_partner_moves_what_is_offered_is_exactly_what_is_allowed(world: World) {
        walk_submitted_leads(&world, "PARTNER", &["globex"], false).await;
    }

    async fn of_internal_leads_what_is_offered_is_exactly_what_is_allowed(world: World) {
        let elsewhere = world.partnership("acme", "globex").await;
        let sales = world.as_("acme", "SALES");
        let cast = Cast { source: "acme", receiver: "acme", vendor: "acme", movers: &[], elsewhere, complete: true, owners: true };
        let input = json!({ "templateKey": "internal-lead", "qualification": qualification() });
        let lead = new_lead(&sales, input).await;
        let mut walk = Walk::of(&world, "internal-lead", cast, lead).await;
        walk.on().await;
        // No action leads to Dropped.
        walk.set_stage("dropped").await;
        walk.on().await;
        walk.was_everywhere();
        assert_eq!(walk.places.len(), 10, "five stages, active and not");
        let codes: Vec<_> = walk.refused.iter().map(String::as_str).collect();
        assert_eq!(codes, ["FORBIDDEN", "INVALID_TRANSITION", "LEAD_INACTIVE"]);
    }

    async fn of_internal_leads_that_lack_fields_what_is_offered_is_exactly_what_is_allowed(world: World) {
        let elsewhere = world.partnership("acme", "globex").await;
        let cast = Cast { source: "acme", receiver: "acme", vendor: "acme", movers: &[], elsewhere, complete: false, owners: true };
        let lead = new_lead(&world.as_("acme", "SALES"), json!({ "templateKey": "internal-lead" })).await;
        let mut walk = Walk::of(&world, "internal-lead", cast, lead).await;
        walk.on().await;
        assert_eq!(walk.places.len(), 6, "new, assigned and disqualified, active and not");
        assert!(walk.refused.contains("REQUIRED"));
    }

    async fn of_opportunities_what_is_offered_is_exactly_what_is_allowed(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = new_lead(&vendor, json!({ "templateKey": "partner-lead", "partnershipId": partnership })).await;
        partner.mutate("acceptLead", json!({ "leadId": lead }), "__typename").await.ok();
        let converted = partner.mutate("convertLead", json!({ "leadId": lead, "opportunity": {} }), "lead { opportunity { id } }").await.ok();
        let deal = converted.text_at("/convertLead/lead/opportunity/id").to_owned();
        let cast = Cast { source: "acme", receiver: "globex", vendor: "acme", movers: &[], elsewhere: partnership, complete: true, owners: true };
        let mut walk = Walk::of(&world, "opportunity", cast, deal).await;
        walk.on().await;
        walk.was_everywhere();
        let codes: Vec<_> = walk.refused.iter().map(String::as_str).collect();
        assert_eq!(codes, ["FORBIDDEN", "INVALID_TRANSITION"]);
    }

    async fn the_actions_of_a_page_of_leads_cost_no_statement(world: World) {
        const PAGE: usize = 50;
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        for i in 0..PAGE {
            let (person, input) = match i % 4 {
                0 => (&vendor, json!({ "templateKey": "partner-lead", "partnershipId": partnership })),
                1 => (&partner, json!({ "templateKey": "submitted-lead", "partnershipId": partnership })),
                2 => (&vendor, json!({ "templateKey": "internal-lead", "qualification": qualification() })),
                _ => (&vendor, json!({ "templateKey": "internal-lead" })),
            };
            let lead = new_lead(person, input).await;
            if i % 4 >= 2 {
                let input = json!({ "leadId": lead, "ownerId": vendor.id().await });
                vendor.mutate("assignLead", input, "__typename").await.ok();
            }
        }
        let page = async |actions: &str| {
            let document = format!("{{ leads(first: {PAGE}) {{ edges {{ node {{ id stage {{ key }} {actions} }} }} }} }}");
            let mut answer = vendor.query(&document, json!({})).await.ok();
            let before = world.server().service().db().statements();
            // The least of several: what runs on its own accord can only add.
            let mut fewest = u64::MAX;
            let mut last = before;
            for _ in 0..5 {
                answer = vendor.query(&document, json!({})).await.ok();
                let now = world.server().service().db().statements();
                fewest = fewest.min(now - last);
                last = now;
            }
            assert_eq!(answer.list_at("/leads/edges").len(), PAGE);
            (fewest, answer)
        };
        let (without, _) = page("").await;
        let whole = "availableActions { key name help toStage { key name } exactlyOneOf fields { key label help type required \
            requiredWhen { field oneOf } options choices { value label } default readOnly } } blockedActions { key missing }";
        let (with, answer) = page(whole).await;
        assert!(without > 0, "the page itself takes statements");
        assert_eq!(with, without);
        // They are there: of each workflow, with what is filled in from the lead, and what stands against them.
        let nodes: Vec<_> = answer.list_at("/leads/edges").iter().map(|edge| &edge["node"]).collect();
        let key = |action: &str| nodes.iter().filter(|node| node["availableActions"].to_string().contains(&format!("\"key\":\"{action}\""))).count();
        assert_eq!((key("withdraw"), key("request_info"), key("qualify"), key("reassign")), (13, 13, 12, 37));
        assert_eq!(nodes.iter().filter(|node| node["blockedActions"][0]["key"] == "qualify").count(), 12);
    }
}
