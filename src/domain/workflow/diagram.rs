//! A definition drawn as a diagram.

use std::fmt::Write as _;

use super::definition::{ANY, Action, Definition, Effect, Stage, TrackKey};

/// The diagram as text for [Mermaid](https://mermaid.js.org): a `stateDiagram-v2`, one box a track where there are two.
///
/// Names are written so that they can't be taken for syntax, whatever they hold.
pub fn mermaid(definition: &Definition) -> String {
    let mut drawing = Drawing { definition, text: "stateDiagram-v2\n".to_owned(), depth: 1 };
    match definition.tracks.as_slice() {
        [only] => drawing.track(only.key),
        tracks => {
            for track in tracks {
                drawing.line(&format!("state {} as {} {{", quoted(title(track.key)), prefix(track.key)));
                drawing.depth += 1;
                drawing.track(track.key);
                drawing.depth -= 1;
                drawing.line("}");
            }
        }
    }
    drawing.text
}

struct Drawing<'a> {
    definition: &'a Definition,
    text: String,
    depth: usize,
}

impl Drawing<'_> {
    fn line(&mut self, line: &str) {
        for _ in 0..self.depth {
            self.text.push_str("    ");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn track(&mut self, track: TrackKey) {
        let definition = self.definition;
        let stages = || definition.stages.iter().filter(|stage| stage.track == track);
        for stage in stages() {
            self.line(&format!("state {} as {}", quoted(&stage.name), id(stage)));
        }
        let initial = definition.initial(track);
        if let Some(initial) = initial {
            self.line(&format!("[*] --> {}", id(initial)));
        }
        for action in &definition.actions {
            for from in action.from.iter().filter_map(|from| definition.stage(from)) {
                // What moves nothing is drawn as a loop.
                let to = action.to.as_ref().map_or(Some(from), |to| definition.stage(to));
                if let Some(to) = to
                    && from.track == track
                {
                    self.line(&format!("{} --> {}: {}", id(from), id(to), escaped(&label(action))));
                }
            }
        }
        for stage in stages().filter(|stage| stage.terminal) {
            self.line(&format!("{} --> [*]", id(stage)));
        }
        if let Some(initial) = initial {
            self.notes(track, initial);
        }
        for stage in stages().filter(|stage| stage.reserved) {
            self.note("right", stage, "Reserved for a company's own actions");
        }
    }

    /// What is true of a whole track stands beside its first stage.
    fn notes(&mut self, track: TrackKey, initial: &Stage) {
        let definition = self.definition;
        if definition.track(track).is_some_and(|track| track.locked) {
            let mut until = Vec::new();
            for action in definition.actions.iter().filter(|action| action.effects.contains(&Effect::Unlock)) {
                if let Some(stage) = action.to.as_ref().and_then(|to| definition.stage(to))
                    && !until.contains(&stage.name.as_str())
                {
                    until.push(&stage.name);
                }
            }
            self.note("right", initial, &format!("Locked until the status is {}", until.join(" or ")));
        }
        let anywhere = |action: &&Action| action.from.iter().any(|from| from == ANY);
        let names: Vec<_> = definition.actions.iter().filter(anywhere).map(label).collect();
        if track == TrackKey::Stage && !names.is_empty() {
            self.note("left", initial, &format!("At any stage: {}", names.join(", ")));
        }
    }

    fn note(&mut self, place: &str, stage: &Stage, text: &str) {
        self.line(&format!("note {place} of {} : {}", id(stage), escaped(text)));
    }
}

/// An action's name, and what a move does not show.
fn label(action: &Action) -> String {
    let mut label = action.name.clone();
    if let Some(template) = action.goes_on_with() {
        let _ = write!(label, ", goes on as {template}");
    }
    if action.effects.contains(&Effect::Unlock) {
        label.push_str(", unlocks the stage");
    }
    if action.system {
        label.push_str(" (system)");
    }
    label
}

const fn title(track: TrackKey) -> &'static str {
    match track {
        TrackKey::Stage => "Stage",
        TrackKey::Status => "Status",
    }
}

const fn prefix(track: TrackKey) -> &'static str {
    match track {
        TrackKey::Stage => "stage",
        TrackKey::Status => "status",
    }
}

/// A stage's name in the diagram: never a word of Mermaid's, such as `end` or `note`.
fn id(stage: &Stage) -> String {
    let mut id = format!("{}_", prefix(stage.track));
    for c in stage.key.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            id.push(c);
        } else {
            // Not in a sound definition.
            let _ = write!(id, "_{:x}_", u32::from(c));
        }
    }
    id
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", escaped(name))
}

/// A text of one line in which nothing has a meaning to Mermaid: what could have one is written as its code.
fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        // The one word that Mermaid looks for anywhere in a line: "direction LR".
        let direction = word.len().checked_sub("direction".len()).and_then(|start| word.get(start..));
        let split = direction.filter(|end| end.eq_ignore_ascii_case("direction")).map(|_| word.len() - 1);
        let mut before = ' ';
        for (i, c) in word.char_indices() {
            let plain = c.is_alphanumeric() || matches!(c, '_' | '.' | ',' | '(' | ')' | '/' | '\'' | '!' | '?' | '+');
            // One hyphen is one; two are a line.
            if (plain || (c == '-' && before != '-')) && split != Some(i) {
                line.push(c);
            } else {
                let _ = write!(line, "#{};", u32::from(c));
            }
            before = c;
        }
    }
    // Mermaid takes no empty label.
    if line.is_empty() { "#32;".to_owned() } else { line }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;
    use serde_json::json;

    use super::*;
    use crate::domain::workflow::builtin;

    /// What the codes stand for.
    fn plain(text: &str) -> String {
        let code = Regex::new("#([0-9]+);").unwrap();
        code.replace_all(text, |found: &regex::Captures<'_>| {
            char::from_u32(found[1].parse().unwrap()).unwrap().to_string()
        })
        .into_owned()
    }

    /// Every line is of one of the few forms that there are.
    fn assert_well_formed(drawing: &str) {
        let text = r"(?:[\p{Alphabetic}\p{N} _.,()/'!?+-]|#[0-9]+;)+";
        let id = "(?:stage|status)_[a-zA-Z0-9_]*";
        let line = Regex::new(&format!(
            r#"^(?:    )+(?:state "{text}" as (?:{id}|stage|status)(?: \{{)?|\[\*\] --> {id}|{id} --> \[\*\]|{id} --> {id}: {text}|note (?:left|right) of {id} : {text}|\}})$"#
        ))
        .unwrap();
        let mut lines = drawing.lines();
        assert_eq!(lines.next(), Some("stateDiagram-v2"));
        let mut open = 0;
        for it in lines {
            assert!(line.is_match(it), "{it:?}");
            assert!(!it.contains("direction ") && !it.contains("%%") && !plain_hyphens(it), "{it:?}");
            open += usize::from(it.ends_with('{'));
            open -= usize::from(it.ends_with('}'));
        }
        assert_eq!(open, 0);
    }

    /// Whether two hyphens stand together in a text.
    fn plain_hyphens(line: &str) -> bool {
        line.replacen(" --> ", "", 1).contains("--")
    }

    #[test]
    fn a_shipped_workflow_is_drawn() {
        assert_eq!(
            mermaid(&builtin::builtin("partner-lead", 1).unwrap()).lines().take(14).collect::<Vec<_>>(),
            [
                "stateDiagram-v2",
                "    state \"New\" as stage_new",
                "    state \"Pending\" as stage_pending",
                "    state \"Accepted\" as stage_accepted",
                "    state \"Declined\" as stage_declined",
                "    state \"Expired\" as stage_expired",
                "    state \"Closed - Converted\" as stage_closed_converted",
                "    state \"Closed - Not Converted\" as stage_closed_not_converted",
                "    state \"Withdrawn\" as stage_withdrawn",
                "    [*] --> stage_new",
                "    stage_new --> stage_pending: Share",
                "    stage_pending --> stage_accepted: Accept",
                "    stage_pending --> stage_declined: Decline",
                "    stage_accepted --> stage_closed_converted: Convert",
            ]
        );
        for definition in builtin::all() {
            assert_well_formed(&mermaid(definition));
        }
    }

    #[test]
    fn the_system_s_actions_locks_reserved_stages_and_what_moves_nothing_are_marked() {
        let has = |key: &str, line: &str| {
            let drawing = mermaid(&builtin::builtin(key, 1).unwrap());
            assert!(drawing.lines().any(|found| found.trim() == line), "{line}\n{drawing}");
        };
        has("partner-lead", "stage_accepted --> stage_expired: Expire (system)");
        has("submitted-lead", "state \"Status\" as status {");
        has("submitted-lead", "state \"Stage\" as stage {");
        has("submitted-lead", "[*] --> status_draft");
        has("submitted-lead", "status_new --> status_accepted: Accept, unlocks the stage");
        has("submitted-lead", "status_recurring_payment --> status_recurring_payment: Check is due (system)");
        has("submitted-lead", "note right of stage_qualification : Locked until the status is Accepted");
        has("internal-lead", "note right of stage_dropped : Reserved for a company's own actions");
        has("internal-lead", "note left of stage_new : At any stage#58; Deactivate, Activate");
        has("internal-lead", "stage_qualified --> stage_qualified: Share, goes on as partner-lead");
    }

    #[test]
    fn a_name_can_t_be_taken_for_syntax() {
        for (name, written) in [
            ("Plain name", "Plain name"),
            ("a\"b", "a#34;b"),
            ("a: b; c", "a#58; b#59; c"),
            ("x --> y", "x -#45;#62; y"),
            ("a\n[*] --> b", "a #91;#42;#93; -#45;#62; b"),
            ("100 %% #35;", "100 #37;#37; #35;35#59;"),
            ("<script>", "#60;script#62;"),
            ("\u{202E}", "#8238;"),
            (" ", "#32;"),
            ("Prüfung – 2", "Prüfung #8211; 2"),
            ("end note", "end note"),
            ("Redirection LR", "Redirectio#110; LR"),
            ("direction", "directio#110;"),
            ("é", "é"),
        ] {
            assert_eq!(escaped(name), written, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_stage_and_every_move_is_drawn_whatever_the_names(
            key in prop::sample::select(vec!["partner-lead", "submitted-lead", "internal-lead", "opportunity"]),
            names in prop::collection::vec("\\PC{0,8}|[\":;\\-> \n{}#%\\[\\]*<]{0,8}|end note|state x|direction LR", 40),
        ) {
            let mut definition = (*builtin::builtin(key, 1).unwrap()).clone();
            let mut names = names.into_iter();
            for stage in &mut definition.stages {
                stage.name = names.next().unwrap_or_default();
            }
            for action in &mut definition.actions {
                action.name = names.next().unwrap_or_default();
            }
            let drawing = mermaid(&definition);
            assert_well_formed(&drawing);
            let lines: Vec<_> = drawing.lines().map(|line| plain(line.trim())).collect();
            let spaced = |name: &str| {
                let name: Vec<_> =
                    name.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
                if name.is_empty() { " ".to_owned() } else { name.join(" ") }
            };
            for stage in &definition.stages {
                let line = format!("state \"{}\" as {}", spaced(&stage.name), id(stage));
                prop_assert!(lines.contains(&line), "{}\n{}", line, drawing);
            }
            for action in &definition.actions {
                for from in action.from.iter().filter(|from| *from != ANY) {
                    let from = definition.stage(from).unwrap();
                    let to = action.to.as_ref().map_or(from, |to| definition.stage(to).unwrap());
                    let line = format!("{} --> {}: {}", id(from), id(to), spaced(&label(action)));
                    prop_assert!(lines.contains(&line), "{}\n{}", line, drawing);
                }
            }
        }

        #[test]
        fn a_definition_that_is_not_sound_is_drawn_too(keys in prop::collection::vec("\\PC{0,4}", 3)) {
            let definition = serde_json::from_value(json!({
                "key": "x", "version": 1, "name": "X", "subject": "LEAD", "tracks": [{"key": "STAGE", "initial": keys[0]}],
                "stages": keys.iter().map(|key| json!({"key": key, "name": key, "kind": "OPEN"})).collect::<Vec<_>>(),
                "actions": [{"key": "a", "name": "A", "from": [keys[1], "?"], "to": keys[2]}],
            })).unwrap();
            assert_well_formed(&mermaid(&definition));
        }
    }
}
