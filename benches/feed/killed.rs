//! Three servers over one PostgreSQL and NATS; one of them is killed in the middle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use super::Sizes;
use super::client::{Client, graphql};
use super::figure::Figure;
use super::load::{Audience, Made, Outcome, Received, body, expected, percentile};
use super::nats::Nats;
use super::process::{Server, count};
use super::socket::{Event, Followed, Subscription};
use super::world::World;
use super::{lost, repeated};

const ADD: &str = "mutation($input: AddCommentInput!) { addComment(input: $input) { comment { id } } }";
const NEWEST: &str = "{ activity(first: 1) { edges { node { cursor } } } }";
const FOLLOW: &str = "subscription($lead: ID!, $after: String) { activity(leadId: $lead, after: $after) { \
    cursor ... on CommentAdded { comment { id body } } } }";

const WRITERS: usize = 24;
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(20);

/// What was lost and repeated, with one of three servers killed.
pub(crate) async fn measure(sizes: &Sizes) -> Vec<Figure> {
    let nats = Nats::start().await;
    let address = nats.url();
    let world = Arc::new(World::new(sizes.leads, sizes.members).await);
    let mut servers: Vec<_> =
        (0..3).map(|_| Server::cosell_with(&world.url, &[("COSELL_BUS", address.as_str())])).collect();
    let addresses: Arc<[SocketAddr]> = servers.iter().map(|server| server.address).collect();
    let mut audience = Audience::new();
    let (ready, mut all_ready) = watch::channel(0);
    let ready = Arc::new(ready);
    let mut starts = Vec::new();
    for tokens in &world.tokens {
        starts.push(newest(addresses[0], &tokens[0]).await);
    }
    for number in 0..sizes.survivors {
        let seat = world.seat(number);
        let resuming = Resuming {
            addresses: addresses.clone(),
            server: number % addresses.len(),
            token: seat.token.to_owned(),
            lead: (seat.lead, world.leads[seat.lead].clone()),
            after: starts[number / world.leads.len() % 2].clone(),
        };
        let ready = ready.clone();
        audience.join(|delivered, stop| resuming.follow(ready, delivered, stop));
    }
    all_ready.wait_for(|ready| *ready >= sizes.survivors).await.expect("the subscribers are there");
    let total = sizes.survivor_rate * sizes.seconds;
    let writing = tokio::spawn(write(addresses.clone(), world.clone(), total, sizes.survivor_rate));
    sleep(Duration::from_secs(sizes.seconds as u64) / 2).await;
    let victim = servers.len() - 1;
    servers[victim].kill();
    println!("Killed one of three servers after {} s.", sizes.seconds / 2);
    let made = writing.await.expect("no panic");
    audience.settle(expected(&made, &world, sizes.survivors)).await;
    let received = audience.leave().await;
    let again: usize = received.iter().map(|one| one.again).sum();
    let outcome = Outcome::of(&made, &received);
    println!("With three servers: {}.", outcome.told());
    let of = format!(
        "{} subscribers, {} comments a second, {again} times resumed, {} deliveries, to the last one p99 {:.0} ms",
        sizes.survivors,
        sizes.survivor_rate,
        outcome.deliveries,
        percentile(&outcome.last, 99)
    );
    let what = "kill -9 of one of three servers";
    vec![lost(what, &outcome, &of), repeated(what, &outcome, &of)]
}

/// The cursor of the newest event of a company.
async fn newest(address: SocketAddr, token: &str) -> String {
    let mut client = Client::connect(address).await.expect("a connection");
    let data = client.data(&graphql(token, NEWEST, &json!({}))).await.expect("an answer");
    data["activity"]["edges"][0]["node"]["cursor"].as_str().expect("a cursor").to_owned()
}

/// A client that goes on with another server from its last cursor.
struct Resuming {
    addresses: Arc<[SocketAddr]>,
    /// The one it is with.
    server: usize,
    token: String,
    /// Its place among the leads, and its id.
    lead: (usize, String),
    after: String,
}

impl Resuming {
    async fn follow(
        mut self,
        ready: Arc<watch::Sender<usize>>,
        delivered: Arc<AtomicUsize>,
        mut stop: watch::Receiver<bool>,
    ) -> Received {
        let mut received = Received { lead: self.lead.0, ..Received::default() };
        let mut first = true;
        loop {
            let variables = json!({ "lead": self.lead.1, "after": self.after });
            let followed = Followed { document: FOLLOW, variables };
            let address = self.addresses[self.server];
            let opened = tokio::select! {
                _ = stop.changed() => return received,
                opened = Subscription::open(address, &self.token, &followed) => opened,
            };
            if let Ok(mut subscription) = opened {
                if std::mem::take(&mut first) {
                    ready.send_modify(|ready| *ready += 1);
                } else {
                    received.again += 1;
                }
                loop {
                    let event = tokio::select! {
                        _ = stop.changed() => return received,
                        event = subscription.next() => event,
                    };
                    let Ok(Event { comment, cursor }) = event else { break };
                    if comment.is_some() {
                        delivered.fetch_add(1, Ordering::Relaxed);
                    }
                    received.take(comment);
                    self.after = cursor.expect("the document asks for it");
                }
            }
            self.server = (self.server + 1) % self.addresses.len();
            sleep(PAUSE).await;
        }
    }
}

/// Makes the comments through all servers. A comment whose answer does not come is sent again, through another server
/// and with the same key.
async fn write(addresses: Arc<[SocketAddr]>, world: Arc<World>, total: usize, rate: usize) -> Vec<Made> {
    let next = Arc::new(AtomicUsize::new(0));
    let begin = tokio::time::Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (addresses, world, next) = (addresses.clone(), world.clone(), next.clone());
            tokio::spawn(async move {
                let mut server = writer % addresses.len();
                let mut client = None;
                let mut made = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        return made;
                    }
                    let lead = number % world.leads.len();
                    let key = format!("comment-{number}");
                    let input = json!({ "leadId": world.leads[lead], "body": body(number), "idempotencyKey": key });
                    let request = graphql(world.author(number), ADD, &json!({ "input": input }));
                    let due = begin + Duration::from_secs_f64(count(number as u64) / count(rate as u64));
                    sleep_until(due).await;
                    let start = Instant::now();
                    let data = loop {
                        assert!(start.elapsed() < Duration::from_secs(30), "no server answers");
                        if client.is_none() {
                            client = Client::connect(addresses[server]).await.ok();
                        }
                        if let Some(connection) = &mut client
                            && let Ok(data) = connection.data(&request).await
                        {
                            break data;
                        }
                        client = None;
                        server = (server + 1) % addresses.len();
                        sleep(PAUSE).await;
                    };
                    let id = data["addComment"]["comment"]["id"].as_str().expect("an id").to_owned();
                    let late = start.saturating_duration_since(due.into_std());
                    made.push(Made { number, lead, id, start, late, took: start.elapsed() });
                }
            })
        })
        .collect();
    let mut made = Vec::new();
    for writer in writers {
        made.extend(writer.await.expect("no panic"));
    }
    made
}
