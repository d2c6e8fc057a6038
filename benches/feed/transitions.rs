//! Transitions by eight writers, with each bus in turn.

use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{Client, graphql, send_all};
use super::figure::{Bound, Figure};
use super::load::Audience;
use super::nats::Nats;
use super::process::{Server, count};
use super::socket::{Followed, Subscription};
use super::world::World;
use super::{Sizes, load};

const ACCEPT: &str = "mutation($input: AcceptLeadInput!) { acceptLead(input: $input) { lead { id version } } }";
const FOLLOW: &str = "subscription { activity { __typename cursor } }";

const WRITERS: usize = 8;

/// One server with its bus, on a database of its own.
struct Way {
    bus: &'static str,
    world: World,
    server: Server,
    audience: Audience,
    /// How many leads were accepted.
    accepted: usize,
    /// A second, in each round.
    throughput: Vec<f64>,
}

impl Way {
    async fn new(bus: &'static str, setting: &str, leads: usize) -> Self {
        let world = World::new(leads, WRITERS).await;
        let server = Server::cosell_with(&world.url, &[("COSELL_BUS", setting)]);
        let mut audience = Audience::new();
        for tokens in &world.tokens {
            let followed = Followed { document: FOLLOW, variables: json!({}) };
            let opened = Subscription::open(server.address, &tokens[0], &followed).await.expect("a subscription");
            audience.join(|delivered, stop| load::listen(opened, 0, delivered, stop));
        }
        Self { bus, world, server, audience, accepted: 0, throughput: Vec::new() }
    }

    /// Accepts so many leads that wait for it.
    async fn accept(&mut self, number: usize) -> Duration {
        let leads = self.world.leads[self.accepted..self.accepted + number].iter().enumerate();
        let members = &self.world.tokens[1];
        let requests = leads.map(|(turn, lead)| {
            graphql(&members[turn % members.len()], ACCEPT, &json!({ "input": { "leadId": lead } }))
        });
        let requests = requests.collect();
        self.accepted += number;
        let start = Instant::now();
        send_all(self.server.address, WRITERS, requests).await;
        start.elapsed()
    }
}

/// Throughput of transitions with each bus, against the one in the process.
pub(crate) async fn measure(sizes: &Sizes) -> Vec<Figure> {
    let nats = Nats::start().await;
    let address = nats.url();
    // One more round, to warm up.
    let leads = sizes.transitions * (sizes.bus_rounds + 1);
    let mut ways = Vec::new();
    for (bus, setting) in
        [("memory", "memory"), ("postgres", "postgres"), ("nats", address.as_str()), ("memory, again", "memory")]
    {
        ways.push(Way::new(bus, setting, leads).await);
    }
    for round in 0..=sizes.bus_rounds {
        // Each is the first as often as the others: what else the machine does falls on all.
        for turn in 0..ways.len() {
            let index = (round + turn) % ways.len();
            let way = &mut ways[index];
            let took = way.accept(sizes.transitions).await;
            if round > 0 {
                way.throughput.push(count(sizes.transitions as u64) / took.as_secs_f64());
            }
        }
    }
    let mut medians = Vec::new();
    for way in &mut ways {
        way.throughput.sort_unstable_by(f64::total_cmp);
        medians.push((way.bus, way.throughput[way.throughput.len() / 2]));
        let rounds: Vec<_> = way.throughput.iter().map(|each| format!("{each:.0}")).collect();
        println!("Transitions a second with the bus {}: {}.", way.bus, rounds.join(", "));
    }
    for Way { bus, audience, accepted, server, world, .. } in ways {
        // Both companies hear of each.
        audience.settle(2 * accepted).await;
        let received = audience.leave().await;
        assert!(received.iter().all(|one| one.broken.is_none()), "a subscriber of the bus {bus} was cut off");
        let events: Vec<_> = received.iter().map(|one| one.events).collect();
        assert!(events.iter().all(|events| *events >= accepted), "with the bus {bus}, {events:?} of {accepted} came");
        still_there(&server, &world).await;
    }
    let memory = medians[0].1;
    let again = medians[3].1 / memory;
    let figure = |(bus, throughput): &(&str, f64)| Figure {
        name: format!("transitions with {WRITERS} writers, the bus on {bus} against in the process"),
        bound: Bound::AtLeast(0.85),
        measured: throughput / memory,
        unit: "",
        of: format!(
            "{throughput:.0} and {memory:.0} a second, the middle of {} rounds; another server with the bus in the \
             process: {again:.2}",
            sizes.bus_rounds
        ),
    };
    medians[1..3].iter().map(figure).collect()
}

/// The server still answers.
async fn still_there(server: &Server, world: &World) {
    let mut client = Client::connect(server.address).await.expect("a connection");
    client.data(&graphql(&world.tokens[0][0], "{ __typename }", &json!({}))).await.expect("an answer");
}
