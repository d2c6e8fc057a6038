//! Those who comment, those who listen, and what is made of what they saw.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until};

use super::client::{Client, graphql};
use super::process::count;
use super::socket::{Comment, Followed, Subscription};
use super::world::World;

const ADD: &str = "mutation($input: AddCommentInput!) { addComment(input: $input) { comment { id } } }";
const FOLLOW: &str = "subscription($lead: ID!) { commentAdded(leadId: $lead) { id body createdAt author { name } } }";

/// How many comments may be on their way in at a time.
const WRITERS: usize = 32;
/// How many sockets are being opened at a time.
const OPENERS: usize = 128;
/// How long what is still missing is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long what should not come is waited for.
const LINGER: Duration = Duration::from_millis(500);

/// A comment that was made.
pub(crate) struct Made {
    pub(crate) number: usize,
    pub(crate) lead: usize,
    pub(crate) id: String,
    /// Before its request was sent.
    pub(crate) start: Instant,
    /// How much later that was than it should have been.
    pub(crate) late: Duration,
    /// How long its answer took.
    pub(crate) took: Duration,
}

/// Comments at a rate, a second; numbered from `first`, on each lead by turns.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) rate: usize,
}

/// The text of a comment, which tells its number.
pub(crate) fn body(number: usize) -> String {
    format!("{number}: We spoke on the phone and they will send their figures this week.")
}

fn number(body: &str) -> Option<usize> {
    body.split_once(':')?.0.parse().ok()
}

/// Makes the comments through a server. None waits for the one before.
pub(crate) async fn comment(address: SocketAddr, world: &Arc<World>, pace: Pace) -> Vec<Made> {
    let next = Arc::new(AtomicUsize::new(0));
    let begin = tokio::time::Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (world, next) = (world.clone(), next.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(address).await.expect("the server takes connections");
                let mut made = Vec::new();
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    if turn >= pace.count {
                        return made;
                    }
                    let number = pace.first + turn;
                    let lead = number % world.leads.len();
                    let input = json!({ "leadId": world.leads[lead], "body": body(number) });
                    let request = graphql(world.author(number), ADD, &json!({ "input": input }));
                    let due = begin + Duration::from_secs_f64(count(turn as u64) / count(pace.rate as u64));
                    sleep_until(due).await;
                    let start = Instant::now();
                    let data = client.data(&request).await.expect("an answer");
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

/// A comment that came to a subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) at: Instant,
}

/// What came to one subscriber.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) lead: usize,
    pub(crate) deliveries: Vec<Delivery>,
    /// How many events came, comments and others.
    pub(crate) events: usize,
    /// How often it began again.
    pub(crate) again: usize,
    /// Why nothing more came.
    pub(crate) broken: Option<String>,
}

/// Subscribers that listen.
pub(crate) struct Audience {
    listeners: Vec<JoinHandle<Received>>,
    delivered: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    /// From the first connect until the last was live.
    pub(crate) live_after: Duration,
}

impl Audience {
    /// Nobody yet.
    pub(crate) fn new() -> Self {
        Self {
            listeners: Vec::new(),
            delivered: Arc::default(),
            stop: watch::Sender::new(false),
            live_after: Duration::ZERO,
        }
    }

    /// Opens so many sockets, each with one live subscription of the comments on one lead.
    pub(crate) async fn open(address: SocketAddr, world: &Arc<World>, size: usize) -> Self {
        let mut audience = Self::new();
        let next = Arc::new(AtomicUsize::new(0));
        let begin = Instant::now();
        let openers: Vec<_> = (0..OPENERS.min(size))
            .map(|_| {
                let (world, next) = (world.clone(), next.clone());
                let (delivered, stop) = (audience.delivered.clone(), audience.stop.subscribe());
                tokio::spawn(async move {
                    let mut listeners = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= size {
                            return listeners;
                        }
                        let seat = world.seat(number);
                        let variables = json!({ "lead": world.leads[seat.lead] });
                        let followed = Followed { document: FOLLOW, variables };
                        let opened = Subscription::open(address, seat.token, &followed).await;
                        let opened = opened.unwrap_or_else(|error| panic!("subscriber {number}: {error}"));
                        let listener = listen(opened, seat.lead, delivered.clone(), stop.clone());
                        listeners.push(tokio::spawn(listener));
                    }
                })
            })
            .collect();
        for opener in openers {
            audience.listeners.extend(opener.await.expect("every subscription comes to life"));
        }
        audience.live_after = begin.elapsed();
        audience
    }

    /// One more, which says by itself what came to it.
    pub(crate) fn join<L: Future<Output = Received> + Send + 'static>(
        &mut self,
        listener: impl FnOnce(Arc<AtomicUsize>, watch::Receiver<bool>) -> L,
    ) {
        self.listeners.push(tokio::spawn(listener(self.delivered.clone(), self.stop.subscribe())));
    }

    /// Waits until so many deliveries were made, or until nothing new comes any more; and then a little, for what
    /// should not come.
    pub(crate) async fn settle(&self, expected: usize) {
        let mut before = 0;
        let mut since = Instant::now();
        while self.delivered.load(Ordering::Relaxed) < expected && since.elapsed() < PATIENCE {
            let now = self.delivered.load(Ordering::Relaxed);
            if now != before {
                (before, since) = (now, Instant::now());
            }
            sleep(Duration::from_millis(10)).await;
        }
        sleep(LINGER).await;
    }

    /// Ends all of them.
    pub(crate) async fn leave(self) -> Vec<Received> {
        self.stop.send_replace(true);
        let mut received = Vec::new();
        for listener in self.listeners {
            received.push(listener.await.expect("no panic"));
        }
        received
    }
}

/// Notes what comes until it is told to stop.
pub(crate) async fn listen(
    mut subscription: Subscription,
    lead: usize,
    delivered: Arc<AtomicUsize>,
    mut stop: watch::Receiver<bool>,
) -> Received {
    let mut received = Received { lead, ..Received::default() };
    loop {
        let event = tokio::select! {
            _ = stop.changed() => return received,
            event = subscription.next() => event,
        };
        match event {
            Ok(event) => {
                received.take(event.comment);
                delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err(why) => {
                received.broken = Some(why);
                return received;
            }
        }
    }
}

impl Received {
    /// Notes an event, with the comment that it may be about.
    pub(crate) fn take(&mut self, comment: Option<Comment>) {
        self.events += 1;
        let Some(comment) = comment else { return };
        let number = number(&comment.body).unwrap_or(usize::MAX);
        self.deliveries.push(Delivery { number, id: comment.id, at: Instant::now() });
    }
}

/// What a run came to.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) comments: usize,
    pub(crate) deliveries: usize,
    /// A comment on its lead that a subscriber never got.
    pub(crate) lost: usize,
    /// A delivery that a subscriber had had before, or of what was not made on its lead.
    pub(crate) repeated: usize,
    /// Of each comment, from the mutation's start to its last delivery.
    pub(crate) last: Vec<Duration>,
    /// Of each comment, from the mutation's start to its answer.
    pub(crate) answered: Vec<Duration>,
    /// How much later than it should a mutation started, at worst.
    pub(crate) late: Duration,
}

impl Outcome {
    /// Compares what each got with what was made.
    pub(crate) fn of(made: &[Made], received: &[Received]) -> Self {
        let mut on_lead: HashMap<usize, HashSet<&str>> = HashMap::new();
        for made in made {
            on_lead.entry(made.lead).or_default().insert(&made.id);
        }
        let nothing = HashSet::new();
        let mut last: HashMap<usize, Instant> = HashMap::new();
        let mut outcome = Self { comments: made.len(), ..Self::default() };
        for one in received {
            let expected = on_lead.get(&one.lead).unwrap_or(&nothing);
            let got: HashSet<&str> = one.deliveries.iter().map(|delivery| &*delivery.id).collect();
            let rightly = got.intersection(expected).count();
            outcome.deliveries += one.deliveries.len();
            outcome.lost += expected.len() - rightly;
            outcome.repeated += one.deliveries.len() - rightly;
            for delivery in &one.deliveries {
                let at = last.entry(delivery.number).or_insert(delivery.at);
                *at = delivery.at.max(*at);
            }
            if let Some(broken) = &one.broken {
                println!("a subscription broke: {broken}");
            }
        }
        for made in made {
            if let Some(at) = last.get(&made.number) {
                outcome.last.push(at.saturating_duration_since(made.start));
            }
            outcome.answered.push(made.took);
            outcome.late = outcome.late.max(made.late);
        }
        outcome
    }

    /// Takes the outcome of another round in.
    pub(crate) fn add(&mut self, other: Self) {
        self.comments += other.comments;
        self.deliveries += other.deliveries;
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.last.extend(other.last);
        self.answered.extend(other.answered);
        self.late = self.late.max(other.late);
    }

    /// In one line.
    pub(crate) fn told(&self) -> String {
        format!(
            "{} comments, {} deliveries; to the last delivery {}; to the answer {}; starts late by at most {:.1} ms",
            self.comments,
            self.deliveries,
            spread(&self.last),
            spread(&self.answered),
            self.late.as_secs_f64() * 1e3
        )
    }
}

/// The share of the times that is no longer, in milliseconds.
pub(crate) fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times.get(rank - 1).map_or(f64::INFINITY, |time| time.as_secs_f64() * 1e3)
}

fn spread(times: &[Duration]) -> String {
    let at = |percent| percentile(times, percent);
    format!("p50 {:.1}, p99 {:.1}, worst {:.1} ms", at(50), at(99), at(100))
}

/// How many deliveries so many comments make with so many subscribers, the one spread as the other.
pub(crate) fn expected(made: &[Made], world: &World, subscribers: usize) -> usize {
    let mut of_lead = vec![0; world.leads.len()];
    for number in 0..subscribers {
        of_lead[world.seat(number).lead] += 1;
    }
    made.iter().map(|made| of_lead[made.lead]).sum()
}
