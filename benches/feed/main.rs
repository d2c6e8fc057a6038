//! What live subscriptions cost and how fast they are, beside the library alone.
//!
//! `cargo bench --bench feed`, or `scripts/bench`; with the names of some scenarios only these, and with `--smoke` all
//! in small, to see that they work. docs/performance.md says what is measured and what it means.

#![allow(missing_docs, reason = "a program, not a library")]

mod bare;
#[allow(dead_code, reason = "the other programs need more of it")]
#[path = "../support/client.rs"]
mod client;
mod connect;
mod deliveries;
#[path = "../support/figure.rs"]
mod figure;
mod killed;
mod load;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../../tests/it/support/nats.rs"]
mod nats;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../../tests/it/support/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "the other programs need more of it")]
#[path = "../support/process.rs"]
mod process;
mod socket;
#[allow(dead_code, reason = "the other programs need more of it")]
#[path = "../support/token.rs"]
mod token;
mod transitions;
mod world;

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use self::figure::{Bound, Figure, report};
use self::load::Outcome;

/// How many connections to the database each server has.
const POOL: u32 = 8;
/// Says that the limit of open files was raised already.
const RAISED: &str = "--raised";
/// Raises the limit of open files as far as it goes, for this program and for the servers that it starts.
const RAISE: &str = r#"ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"; exec "$@""#;

const SCENARIOS: [&str; 6] = ["deliveries", "rush", "connect", "idle", "transitions", "killed"];

/// How much of everything.
struct Sizes {
    leads: usize,
    /// Of each company.
    members: usize,
    subscribers: usize,
    /// Comments a second, and in the rush.
    rate: usize,
    rush: usize,
    /// How long comments are made.
    seconds: usize,
    /// How often each server has its turn.
    rounds: usize,
    /// How many connect at once, and how many then do nothing.
    connecting: usize,
    idle: usize,
    /// In one round, and how many rounds.
    transitions: usize,
    bus_rounds: usize,
    /// How many subscribers three servers have, and comments a second.
    survivors: usize,
    survivor_rate: usize,
}

const FULL: Sizes = Sizes {
    leads: 50,
    members: 500,
    subscribers: 1_000,
    rate: 50,
    rush: 250,
    seconds: 20,
    rounds: 3,
    connecting: 5_000,
    idle: 10_000,
    transitions: 100,
    bus_rounds: 32,
    survivors: 300,
    survivor_rate: 100,
};

const SMOKE: Sizes = Sizes {
    leads: 5,
    members: 5,
    subscribers: 40,
    rate: 10,
    rush: 20,
    seconds: 2,
    rounds: 1,
    connecting: 100,
    idle: 200,
    transitions: 16,
    bus_rounds: 4,
    survivors: 30,
    survivor_rate: 10,
};

fn main() -> ExitCode {
    // `cargo bench` adds a flag of its own.
    let mut arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let role = arguments.first().map(String::as_str);
    if role == Some("bare") {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(bare::serve());
        return ExitCode::SUCCESS;
    }
    if role != Some(RAISED) {
        let mut command = Command::new("sh");
        command.args(["-c", RAISE, "cosell-bench"]).arg(env::current_exe().expect("a path of this program"));
        let error = command.arg(RAISED).args(arguments).exec();
        panic!("there is no shell to raise the limit of open files with: {error}");
    }
    arguments.remove(0);
    let (flags, names): (Vec<_>, Vec<_>) = arguments.into_iter().partition(|argument| argument.starts_with("--"));
    let smoke = flags.iter().any(|flag| flag == "--smoke");
    if let Some(wrong) = names.iter().find(|name| !SCENARIOS.contains(&name.as_str())) {
        eprintln!("there is no scenario {wrong}; there are {}", SCENARIOS.join(", "));
        return ExitCode::FAILURE;
    }
    // One thread takes little of the machine from the servers, and is never waited for by another.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(smoke, &names))
}

async fn measure(smoke: bool, names: &[String]) -> ExitCode {
    let sizes = if smoke { &SMOKE } else { &FULL };
    let mut figures = Vec::new();
    for scenario in SCENARIOS {
        if !names.is_empty() && !names.iter().any(|name| name == scenario) {
            continue;
        }
        println!("\n{scenario}:");
        figures.extend(match scenario {
            "deliveries" => Box::pin(deliveries::beside_the_library(sizes)).await,
            "rush" => Box::pin(deliveries::rush(sizes)).await,
            "connect" => Box::pin(connect::at_once(sizes)).await,
            "idle" => Box::pin(connect::idle(sizes)).await,
            "transitions" => Box::pin(transitions::measure(sizes)).await,
            _ => Box::pin(killed::measure(sizes)).await,
        });
    }
    let all = report(&figures);
    if !smoke {
        return all;
    }
    println!("\nIn small, times and costs mean nothing: only what was lost or repeated counts.");
    let nothing = Bound::AtMost(0.0);
    let sound = figures.iter().all(|figure| figure.bound != nothing || figure.held());
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// That nothing was lost.
fn lost(what: &str, outcome: &Outcome, of: &str) -> Figure {
    none(format!("lost, {what}"), outcome.lost, of)
}

/// That nothing came twice.
fn repeated(what: &str, outcome: &Outcome, of: &str) -> Figure {
    none(format!("repeated, {what}"), outcome.repeated, of)
}

fn none(name: String, number: usize, of: &str) -> Figure {
    let measured = process::count(number as u64);
    Figure { name, bound: Bound::AtMost(0.0), measured, unit: "", of: of.to_owned() }
}
