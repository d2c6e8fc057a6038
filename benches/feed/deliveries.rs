//! Comments that come to those who follow: whether all, how fast, and at what cost.

use std::sync::Arc;

use super::Sizes;
use super::figure::{Bound, Figure};
use super::load::{Audience, Outcome, Pace, comment, expected, percentile};
use super::process::{Server, count};
use super::world::World;
use super::{lost, repeated};

/// One of the two servers, with what it was seen to do.
struct Side {
    name: &'static str,
    server: Server,
    /// The next comment's number.
    next: usize,
    /// Server CPU of the comments that nobody followed, and of those that were, in microseconds.
    quiet: f64,
    loud: f64,
    /// Resident memory a subscriber, in KiB: once all are live, and after the first round.
    memory: Option<(f64, f64)>,
    outcome: Outcome,
}

impl Side {
    fn new(name: &'static str, server: Server) -> Self {
        Self { name, server, next: 0, quiet: 0.0, loud: 0.0, memory: None, outcome: Outcome::default() }
    }

    fn pace(&mut self, rate: usize, seconds: usize) -> Pace {
        let pace = Pace { first: self.next, count: rate * seconds, rate };
        self.next += pace.count;
        pace
    }

    /// Comments that nobody follows.
    async fn quiet(&mut self, world: &Arc<World>, rate: usize, seconds: usize) -> f64 {
        let pace = self.pace(rate, seconds);
        let before = self.server.cpu();
        comment(self.server.address, world, pace).await;
        // As long as the other waits for what should not come.
        Audience::new().settle(0).await;
        self.server.cpu() - before
    }

    /// Comments that all follow.
    async fn loud(&mut self, world: &Arc<World>, subscribers: usize, rate: usize, seconds: usize) -> f64 {
        let empty = self.server.kibibytes();
        let audience = Audience::open(self.server.address, world, subscribers).await;
        // The bare server may answer a ping before it has subscribed.
        audience.settle(0).await;
        let live = self.server.kibibytes();
        let pace = self.pace(rate, seconds);
        let before = self.server.cpu();
        let made = comment(self.server.address, world, pace).await;
        audience.settle(expected(&made, world, subscribers)).await;
        let spent = self.server.cpu() - before;
        let each = |now: f64| (now - empty) / count(subscribers as u64);
        let memory = (each(live), each(self.server.kibibytes()));
        // Later rounds find memory that the earlier ones have given back.
        self.memory.get_or_insert(memory);
        let outcome = Outcome::of(&made, &audience.leave().await);
        println!("{}: {}.", self.name, outcome.told());
        self.outcome.add(outcome);
        spent
    }

    /// Server CPU a delivery, in microseconds: what the deliveries add to the comments themselves, and with them.
    fn a_delivery(&self) -> (f64, f64) {
        let deliveries = count(self.outcome.deliveries as u64);
        ((self.loud - self.quiet) / deliveries, self.loud / deliveries)
    }
}

/// The comments of an ordinary day, on both servers by turns.
pub(crate) async fn beside_the_library(sizes: &Sizes) -> Vec<Figure> {
    let Sizes { subscribers, rate, seconds, .. } = *sizes;
    let world = Arc::new(World::new(sizes.leads, sizes.members).await);
    let mut both = [
        Side::new("cosell", Server::cosell_with(&world.url, &[])),
        Side::new("bare", Server::of_this_program("bare", &[])),
    ];
    for side in &mut both {
        // Members are found, statements prepared, and PostgreSQL settles on its plans.
        side.quiet(&world, rate, 2).await;
    }
    for _ in 0..sizes.rounds {
        for side in &mut both {
            side.quiet += side.quiet(&world, rate, seconds).await;
        }
        for side in &mut both {
            side.loud += side.loud(&world, subscribers, rate, seconds).await;
        }
    }
    let [cosell, bare] = &both;
    for side in &both {
        let (added, whole) = side.a_delivery();
        let (live, after) = side.memory.unwrap_or_default();
        println!(
            "{}: CPU {:.2} s without subscribers, {:.2} s with; a delivery adds {added:.1} us, {whole:.1} us with its \
             share of the mutations; memory a subscriber {live:.1} KiB once live, {after:.1} KiB after the first round.",
            side.name,
            side.quiet / 1e6,
            side.loud / 1e6,
        );
    }
    let what = format!("{subscribers} subscribers, {rate} comments a second");
    let of = format!("{} comments, {} deliveries", cosell.outcome.comments, cosell.outcome.deliveries);
    let (own, other) = (cosell.a_delivery(), bare.a_delivery());
    let (live, after) = cosell.memory.unwrap_or_default();
    let bares = bare.memory.unwrap_or_default();
    vec![
        lost(&what, &cosell.outcome, &of),
        repeated(&what, &cosell.outcome, &of),
        Figure {
            name: format!("mutation's start to last delivery, p99, {what}"),
            bound: Bound::AtMost(25.0),
            measured: percentile(&cosell.outcome.last, 99),
            unit: " ms",
            of: format!(
                "p50 {:.1} ms; the answer's p99 {:.1} ms; bare p99 {:.1} ms",
                percentile(&cosell.outcome.last, 50),
                percentile(&cosell.outcome.answered, 99),
                percentile(&bare.outcome.last, 99)
            ),
        },
        Figure {
            name: "server CPU a delivery, against the bare server".to_owned(),
            bound: Bound::AtMost(1.5),
            measured: own.0 / other.0,
            unit: "",
            of: format!(
                "{:.1} us, {:.1} us; with the mutations' share {:.1} us, {:.1} us, ratio {:.2}",
                own.0,
                other.0,
                own.1,
                other.1,
                own.1 / other.1
            ),
        },
        Figure {
            name: "memory a subscriber".to_owned(),
            bound: Bound::AtMost(20.0),
            measured: live.max(after),
            unit: " KiB",
            of: format!(
                "{live:.1} KiB once live, {after:.1} KiB after the first round; bare {:.1}, {:.1}",
                bares.0, bares.1
            ),
        },
    ]
}

/// Five times as many.
pub(crate) async fn rush(sizes: &Sizes) -> Vec<Figure> {
    let world = Arc::new(World::new(sizes.leads, sizes.members).await);
    let mut side = Side::new("cosell", Server::cosell_with(&world.url, &[]));
    side.quiet(&world, sizes.rush, 2).await;
    side.loud += side.loud(&world, sizes.subscribers, sizes.rush, sizes.seconds).await;
    let outcome = &side.outcome;
    let what = format!("{} comments a second, {} subscribers", sizes.rush, sizes.subscribers);
    let of = format!("{} comments, {} deliveries", outcome.comments, outcome.deliveries);
    vec![
        lost(&what, outcome, &of),
        repeated(&what, outcome, &of),
        Figure {
            name: format!("mutation's start to last delivery, p99, {what}"),
            bound: Bound::AtMost(100.0),
            measured: percentile(&outcome.last, 99),
            unit: " ms",
            of: format!(
                "p50 {:.1} ms; the answer's p99 {:.1} ms; server CPU a delivery, mutations and all, {:.1} us",
                percentile(&outcome.last, 50),
                percentile(&outcome.answered, 99),
                side.a_delivery().1
            ),
        },
    ]
}
