//! What compiling operations costs, beside what the executing library would cost alone.
//!
//! `cargo bench --bench operation`. Times are the least of many runs, which other work on the machine disturbs least;
//! the ratio is of one run. The attacks are documents of at most 64 kB that were slow somewhere once.

#![allow(missing_docs, reason = "a program, not a library")]

mod attacks;
#[path = "../support/figure.rs"]
mod figure;
mod page;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use async_graphql::{Request, Response, ValidationMode, Variables};
use cosell::operation::{Compiler, Document, Limits, Traits};
use futures_util::FutureExt;
use peak_alloc::PeakAlloc;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use self::figure::{Bound, Figure, report};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The page of 50 leads with their newest comments.
const PAGE: &str = include_str!("page.graphql");
const SCHEMA: &str = include_str!("../../schema.graphql");
/// Those that are shipped.
const LIMITS: Limits =
    Limits { tokens: 10_000, fields: 5000, directives: 50, aliases: 100, root_fields: 50, depth: 15, cost: 20_000 };
const TRAITS: Traits = Traits { costs: &[], scalar: |_, _| Ok(()), personal: &[], public: true };

/// The least time of a run, over about this long.
fn least(mut run: impl FnMut()) -> Duration {
    let end = Instant::now() + Duration::from_millis(500);
    let mut least = Duration::MAX;
    while Instant::now() < end {
        let begun = Instant::now();
        run();
        least = least.min(begun.elapsed());
    }
    least
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn figure(name: &str, most: f64, measured: f64, unit: &'static str, of: impl Into<String>) -> Figure {
    Figure { name: name.to_owned(), bound: Bound::AtMost(most), measured, unit, of: of.into() }
}

fn main() -> ExitCode {
    let compiler = Compiler::new(SCHEMA, TRAITS, LIMITS).expect("the schema is read");
    let none = Map::new();
    let prepare = || compiler.document(PAGE).and_then(|document| compiler.operation(&document, None, &none));
    let miss = least(|| drop(black_box(prepare())));

    // Of a hit: the hash that finds it, its values, the library's request, and the answer put right.
    let document = compiler.document(PAGE).expect("it is valid");
    let toy = page::schema(ValidationMode::Fast);
    let toy_compiler = Compiler::new(&toy.sdl(), TRAITS, LIMITS).expect("the schema is read");
    let toy_document = toy_compiler.document(PAGE).expect("it is valid");
    let (operation, _) = toy_compiler.operation(&toy_document, None, &none).expect("it fits");
    let answered = |leads: i32| {
        let request = operation.request().data(page::Leads(leads));
        toy.execute(request).now_or_never().expect("nothing waits")
    };
    let page = answered(50);
    let ready = least(|| {
        black_box(Sha256::digest(PAGE));
        let (operation, _) = compiler.operation(&document, None, &none).expect("it fits");
        black_box(operation.request());
    });
    let mut settled = Duration::MAX;
    for _ in 0..2000 {
        let response = Response::new(page.data.clone());
        let begun = Instant::now();
        let response = black_box(operation.settle(response));
        settled = settled.min(begun.elapsed());
        drop(response);
    }

    // A request of that shape that finds no lead: all that is not the page itself.
    let alone = page::schema(ValidationMode::Strict);
    let variables = json!({});
    let library = least(|| {
        let variables = Variables::from_json(variables.clone());
        let request = Request::new(PAGE).variables(variables).data(page::Leads(0));
        black_box(alone.execute(request).now_or_never().expect("nothing waits"));
    });
    let ours = least(|| {
        black_box(Sha256::digest(PAGE));
        let (operation, _) = toy_compiler.operation(&toy_document, None, &none).expect("it fits");
        let request = operation.request().data(page::Leads(0));
        black_box(operation.settle(toy.execute(request).now_or_never().expect("nothing waits")));
    });

    let slowest = attacks::all().into_iter().map(|attack| cost(&compiler, attack)).collect::<Vec<_>>();
    for (name, size, time, memory) in &slowest {
        println!("attack: {name}: {size} bytes, {:.1} ms, {:.1} MB", micros(*time) / 1e3, *memory);
    }
    let by_time = slowest.iter().max_by_key(|(.., time, _)| *time).expect("there are attacks");
    let by_memory = slowest.iter().max_by(|one, other| one.3.total_cmp(&other.3)).expect("there are attacks");

    let weighed = weights(&compiler);
    let heaviest = weighed.iter().max_by(|one, other| one.1.total_cmp(&other.1)).expect("documents were weighed");
    let lightest = weighed.iter().min_by(|one, other| one.1.total_cmp(&other.1)).expect("documents were weighed");
    report(&[
        figure(
            "a hit adds to a page",
            20.0,
            micros(ready + settled),
            " us",
            format!("{:.1} us to the request, {:.1} us for the answer of 50 leads", micros(ready), micros(settled)),
        ),
        figure("a miss: from the text to the plan", 150.0, micros(miss), " us", format!("{} bytes", PAGE.len())),
        figure(
            "a page without leads, against the library alone",
            0.5,
            micros(ours) / micros(library),
            "",
            format!("{:.1} us of {:.1} us", micros(ours), micros(library)),
        ),
        figure("the slowest attack", 20.0, micros(by_time.2) / 1e3, " ms", by_time.0.clone()),
        figure("the largest attack", 20.0, by_memory.3, " MB", by_memory.0.clone()),
        figure("a kept document, against its weight", 1.25, heaviest.1, "", heaviest.0.clone()),
        Figure { bound: Bound::AtLeast(0.5), ..figure("the same, the least", 0.5, lightest.1, "", lightest.0.clone()) },
    ])
}

/// What it costs to refuse, or to plan, a document: time, and memory at the most in megabytes.
fn cost(compiler: &Compiler, (name, text): (String, String)) -> (String, usize, Duration, f64) {
    let run = || compiler.document(&text).and_then(|it| compiler.operation(&it, None, &Map::new())).map(drop);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let _ = black_box(run());
    #[allow(clippy::cast_precision_loss, reason = "megabytes")]
    let memory = MEMORY.peak_usage().saturating_sub(before) as f64 / 1e6;
    let mut least = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let _ = black_box(run());
        least = least.min(begun.elapsed());
    }
    (name, text.len(), least, memory)
}

/// How much memory documents take, as a part of what they are weighed as.
fn weights(compiler: &Compiler) -> Vec<(String, f64)> {
    let wide = format!("{{ {} }}", attacks::many(40, |n| format!("a{n}: viewer {{ id name company {{ slug }} }}")));
    let feed = "{ activity(first: 5) { edges { cursor node { id at actor { __typename } ... on LeadCreated { lead { id title } } \
                ... on CommentAdded { comment { body } } } } } }";
    let conditions = "query($a: Boolean!) { viewer { id name @include(if: $a) } }";
    let long = format!("{PAGE} # {}", "x".repeat(4000));
    let documents = [
        ("the smallest", "{ viewer { id } }", json!({})),
        ("the page", PAGE, json!({})),
        ("a wide one", wide.as_str(), json!({})),
        ("a feed", feed, json!({})),
        ("one with conditions", conditions, json!({ "a": true })),
        ("one with a comment", long.as_str(), json!({})),
    ];
    let weigh = |(name, text, variables): (&str, &str, Value)| {
        let variables = variables.as_object().cloned().unwrap_or_default();
        let before = MEMORY.current_usage();
        let kept: Vec<Document> = (0..50)
            .map(|_| {
                let document = compiler.document(text).expect("it is valid");
                let (_, grown) = compiler.operation(&document, None, &variables).expect("it fits");
                grown.unwrap_or(document)
            })
            .collect();
        let taken = MEMORY.current_usage().saturating_sub(before);
        #[allow(clippy::cast_precision_loss, reason = "a ratio")]
        let ratio = taken as f64 / kept.iter().map(Document::bytes).sum::<usize>() as f64;
        println!("weight: {name}: {} bytes taken, {} weighed", taken / kept.len(), kept[0].bytes());
        (name.to_owned(), ratio)
    };
    documents.into_iter().map(weigh).collect()
}
