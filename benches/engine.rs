//! What a decision costs: of the largest shipped workflow, for a lead that stands in the middle of it.
//!
//! `cargo bench --bench engine`. The bound is 2 microseconds each.

#![allow(missing_docs, reason = "a program, not a library")]

use std::hint::black_box;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use cosell::domain::actor::{Role, Side};
use cosell::domain::duration::TimeLimit;
use cosell::domain::workflow::builtin;
use cosell::domain::workflow::definition::Definition;
use cosell::domain::workflow::engine::{Caller, Facts, Fields, Form, Limits, available, decide};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Map, Value, json};

/// The one with the most actions.
fn largest() -> Arc<Definition> {
    builtin::all().iter().max_by_key(|definition| definition.actions.len()).expect("workflows are shipped").clone()
}

fn engine(criterion: &mut Criterion) {
    let definition = largest();
    let now: DateTime<Utc> = "2026-11-21T09:30:00Z".parse().expect("a moment");
    let week = TimeLimit::parse("P7D").expect("a limit");
    let vendor = Caller::Member {
        side: Side::Receiver,
        vendor: Some(true),
        moves_stage: true,
        roles: &[Role::Marketeer, Role::Manager],
        owner: false,
    };
    let facts = |status| Facts {
        stage: "proposal",
        status: Some(status),
        stage_locked: false,
        expires_at: None,
        on_expiry: None,
        active: true,
        limits: Limits { check: Some(&week), ..Limits::default() },
        fields: Fields::None,
        expires_at_override: None,
        orphaned: false,
    };
    let values = |json: Value| json.as_object().cloned().unwrap_or_default();
    let mut decides = |name: &str, status, action: &str, values: &Map<String, Value>, allowed: bool| {
        let facts = facts(status);
        let run = || {
            let form = Form { values, prefix: "input.fields" };
            decide(&definition, black_box(&facts), black_box(vendor), black_box(action), &form, now)
        };
        assert_eq!(run().is_ok(), allowed, "{name}");
        criterion.bench_function(name, |bencher| bencher.iter(run));
    };
    let reject = values(json!({"code": "DUPLICATE", "reason": "Another partner was first.", "duplicateOf": "an-id"}));
    let check = values(json!({"nextCheckAt": "2027-01-01T00:00:00Z", "note": "Two invoices."}));
    decides("decide: the last action", "accepted", "lose", &values(json!({"reason": "The price."})), true);
    decides("decide: a form of three fields", "new", "reject", &reject, true);
    decides("decide: a counter with its own date", "recurring_payment", "recurring_check", &check, true);
    decides("decide: refused, with what is possible", "accepted", "pay_out", &Map::new(), false);
    for status in ["new", "accepted", "recurring_payment"] {
        let facts = facts(status);
        assert!(!available(&definition, &facts, vendor, now).is_empty(), "{status}");
        criterion.bench_function(&format!("available: at {status}"), |bencher| {
            bencher.iter(|| available(&definition, black_box(&facts), black_box(vendor), now));
        });
    }
}

criterion_group!(benches, engine);
criterion_main!(benches);
