//! Many who connect at once, and many who then only wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Sizes;
use super::figure::{Bound, Figure};
use super::load::{Audience, Outcome, Pace, comment, expected};
use super::process::Server;
use super::world::World;
use super::{lost, repeated};

/// How often they connect; the first time to a server that has just started.
const ROUNDS: usize = 3;
/// How long those who only wait are left alone. Pings come meanwhile.
const REST: Duration = Duration::from_secs(25);
/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
const MEBIBYTE: f64 = 1024.0;

/// From the first connect until all are live, and that they are: a comment on each lead comes to all who follow it.
pub(crate) async fn at_once(sizes: &Sizes) -> Vec<Figure> {
    let world = Arc::new(World::new(sizes.leads, sizes.members).await);
    let server = Server::cosell_with(&world.url, &[]);
    let mut times = Vec::new();
    let mut outcome = Outcome::default();
    for round in 0..ROUNDS {
        let before = server.cpu();
        let audience = Audience::open(server.address, &world, sizes.connecting).await;
        let cpu = (server.cpu() - before) / super::process::count(sizes.connecting as u64);
        let live = audience.live_after.as_secs_f64();
        println!("{} subscribers are live after {live:.2} s; server CPU {cpu:.0} us each.", sizes.connecting);
        times.push(live);
        let pace = Pace { first: round * sizes.leads, count: sizes.leads, rate: sizes.rate };
        let made = comment(server.address, &world, pace).await;
        audience.settle(expected(&made, &world, sizes.connecting)).await;
        outcome.add(Outcome::of(&made, &audience.leave().await));
        // The server takes note that they have gone.
        sleep(PAUSE).await;
    }
    let rounds: Vec<_> = times.iter().map(|time| format!("{time:.2}")).collect();
    let of = format!("the longest of {} s; the first on a server that has just started", rounds.join(", "));
    let what = format!("the first comments after {} connected", sizes.connecting);
    vec![
        Figure {
            name: format!("{} subscribers connect and are live", sizes.connecting),
            bound: Bound::AtMost(2.0),
            measured: times.into_iter().fold(0.0, f64::max),
            unit: " s",
            of,
        },
        lost(&what, &outcome, &format!("{} deliveries", outcome.deliveries)),
        repeated(&what, &outcome, &format!("{} deliveries", outcome.deliveries)),
    ]
}

/// What subscribers hold that nothing comes to.
pub(crate) async fn idle(sizes: &Sizes) -> Vec<Figure> {
    let world = Arc::new(World::new(sizes.leads, sizes.members).await);
    let server = Server::cosell_with(&world.url, &[]);
    let pace = Pace { first: 0, count: sizes.leads, rate: sizes.rate };
    comment(server.address, &world, pace).await;
    let before = server.kibibytes() / MEBIBYTE;
    let audience = Audience::open(server.address, &world, sizes.idle).await;
    let opened = server.kibibytes() / MEBIBYTE;
    sleep(REST).await;
    let after = server.kibibytes() / MEBIBYTE;
    println!("Resident: {before:.1} MiB before, {opened:.1} MiB once all are live, {after:.1} MiB a while later.");
    let received = audience.leave().await;
    let broken = received.iter().filter(|one| one.broken.is_some()).count();
    assert!(
        broken == 0,
        "{broken} subscriptions broke while they waited: {:?}",
        received.iter().find_map(|one| one.broken.as_ref())
    );
    vec![Figure {
        name: format!("resident with {} idle subscribers", sizes.idle),
        bound: Bound::AtMost(200.0),
        measured: opened.max(after),
        unit: " MiB",
        of: format!("{before:.1} MiB before; growth {:.1} MiB", opened.max(after) - before),
    }]
}
