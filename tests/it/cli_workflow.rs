//! `cosell workflow`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use cosell::domain::workflow::{builtin, diagram::mermaid, schema::json_schema};
use serde_json::{Value, json};

use crate::support::cli::Cli;

fn shipped(key: &str) -> Value {
    serde_json::to_value(&*builtin::builtin(key, 2).expect("it is shipped")).expect("JSON")
}

#[test]
fn a_sound_definition_is_said_to_be_so() {
    let cli = Cli::new();
    cli.file("deal.json", shipped("submitted-lead").to_string());
    let output = cli.run(["workflow", "check", "deal.json"]);
    assert_eq!(output.ok(), "deal.json is sound: submitted-lead version 2, 14 stages, 21 actions.");
    assert_eq!(output.stderr, "");
}

#[test]
fn every_fault_of_a_definition_is_named_with_its_place() {
    let cli = Cli::new();
    let mut json = shipped("partner-lead");
    json["actions"][2]["to"] = json!("nowhere");
    json["actions"][1]["colour"] = json!("red");
    cli.file("deal.json", json.to_string());
    let output = cli.run(["workflow", "check", "deal.json"]);
    assert_eq!(output.stdout, "");
    let said: Vec<_> = output.failed(1).lines().collect();
    assert_eq!(said[0], "error: deal.json has 3 faults:");
    assert!(
        said[1].starts_with("  - /actions/1/colour: Unknown member \"colour\"; there can be key, name"),
        "{said:?}"
    );
    assert_eq!(said[2], "  - /stages/3: No way leads from \"new\" to this stage.");
    assert_eq!(said[3], "  - /actions/2/to: There is no stage \"nowhere\".");
    assert_eq!(said.len(), 4);

    json["subject"] = json!("DEAL");
    cli.file("deal.json", json.to_string());
    let output = cli.run(["workflow", "check", "deal.json"]);
    assert!(output.failed(1).contains("\n  - /subject: Unknown value \"DEAL\"; expected is one of LEAD, OPPORTUNITY."));
    // It can't be drawn either, and for the same reasons.
    let drawn = cli.run(["workflow", "diagram", "deal.json"]);
    assert_eq!((drawn.failed(1), drawn.stdout.as_str()), (output.failed(1), ""));
}

#[test]
fn what_is_no_definition_is_refused_in_a_sentence() {
    let cli = Cli::new();
    cli.file("text.json", "stages: none");
    cli.file("list.json", "[]");
    cli.file("bytes.json", [0xff, 0xfe]);
    cli.file("long.json", " ".repeat(2 * 1024 * 1024));
    let said = |file| cli.run(["workflow", "check", file]).failed(1).to_owned();
    assert_eq!(
        said("text.json"),
        "error: text.json has 1 fault:\n  - the definition: This is no JSON: expected value at line 1 column 1."
    );
    assert!(said("list.json").ends_with("the definition: An object is needed here; this is an array."));
    assert!(said("bytes.json").starts_with("error: bytes.json can't be read: "));
    assert_eq!(said("long.json"), "error: long.json is longer than 1048576 bytes.");
    assert!(said("nothing.json").starts_with("error: nothing.json can't be read: "));
}

#[test]
fn a_definition_comes_from_standard_input_too() {
    let run = |arguments: [&str; 3], input: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cosell"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("standard input is piped");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let definition = builtin::builtin("internal-lead", 2).expect("it is shipped");
    let (code, said, _) = run(["workflow", "check", "-"], &shipped("internal-lead").to_string());
    assert_eq!(code, Some(0));
    assert_eq!(said, "Standard input is sound: internal-lead version 2, 5 stages, 8 actions.\n");
    let (code, said, _) = run(["workflow", "diagram", "-"], &shipped("internal-lead").to_string());
    assert_eq!((code, said), (Some(0), mermaid(&definition)));
    let (code, _, said) = run(["workflow", "check", "-"], "{");
    assert_eq!(code, Some(1));
    assert!(said.starts_with("error: Standard input has 1 fault:"), "{said}");
}

#[test]
fn a_shipped_workflow_is_drawn_by_its_key_and_any_other_from_its_file() {
    let cli = Cli::new();
    for definition in builtin::current() {
        assert_eq!(cli.run(["workflow", "diagram", &definition.key]).stdout, mermaid(definition));
    }
    let mut json = shipped("opportunity");
    json["stages"][0]["name"] = json!("Rated \"A\": yes");
    // A file of a shipped one's name is meant where its path says so.
    cli.file("opportunity", json.to_string());
    let drawn = cli.run(["workflow", "diagram", "./opportunity"]);
    assert!(drawn.ok().contains("    state \"Rated #34;A#34;#58; yes\" as stage_qualified\n"), "{drawn}");
    let unknown = cli.run(["workflow", "diagram", "deal-registration"]);
    assert!(unknown.failed(1).starts_with("error: deal-registration can't be read: "), "{unknown}");
}

#[test]
fn the_schema_is_printed_and_written() {
    let cli = Cli::new();
    let printed: Value = serde_json::from_str(cli.run(["workflow", "schema"]).ok()).expect("JSON");
    assert_eq!(printed, json_schema());
    assert_eq!(cli.run(["workflow", "schema", "--output", "schema.json"]).ok(), "");
    let written = std::fs::read_to_string(cli.folder().join("schema.json")).expect("it was written");
    assert_eq!(serde_json::from_str::<Value>(&written).expect("JSON"), printed);
    let output = cli.run(["workflow", "schema", "--output", "no/such/folder.json"]);
    assert!(output.failed(1).starts_with("error: no/such/folder.json can't be written: "), "{output}");
}
