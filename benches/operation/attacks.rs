//! Documents that cost somebody's server much.

use std::fmt::Write as _;

/// The largest of them, in bytes.
const MOST: usize = 64 * 1024;

pub(crate) fn many(count: usize, each: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut all, n| {
        let _ = write!(all, "{} ", each(n));
        all
    })
}

/// As much of a text's repetition as may be sent, between a beginning and an end.
fn full(before: &str, each: impl Fn(usize) -> String, after: &str) -> String {
    let mut text = before.to_owned();
    for n in 0.. {
        let more = each(n);
        if text.len() + more.len() + after.len() > MOST {
            break;
        }
        text.push_str(&more);
    }
    text + after
}

fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

/// Fragments as the states of a nondeterministic automaton: at each level there are twice as many sets of fields that a
/// validator has to merge.
fn automaton(levels: usize) -> String {
    let mut text = "{ lead(id: \"x\") { ...F0_0 } }".to_owned();
    for level in 0..levels {
        for state in 0..=level {
            let to = |states: &[usize]| {
                let spreads = states.iter().fold(String::new(), |all, it| format!("{all}...F{it}_{} ", level + 1));
                format!("opportunity {{ lead {{ {spreads}}} }}")
            };
            let (a, b) = if state == 0 { (to(&[0, 1]), to(&[0])) } else { (to(&[state + 1]), to(&[state + 1])) };
            let _ = write!(text, " fragment F{state}_{level} on Lead {{ a: {a} b: {b} }}");
        }
    }
    (0..=levels).fold(text, |text, state| format!("{text} fragment F{state}_{levels} on Lead {{ id }}"))
}

/// Each with its name.
pub(crate) fn all() -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut attack = |name: &str, text: String| {
        assert!(text.len() <= MOST, "{name}: {} bytes", text.len());
        all.push((name.to_owned(), text));
    };
    for levels in [14, 16, 18, 20] {
        attack(&format!("an automaton of {levels} levels"), automaton(levels));
    }
    let fragments = many(100, |n| format!("fragment f{n} on Query {{ viewer {{ id }} }}"));
    let spreads = many(3, |n| format!("...f{n}"));
    attack("many operations with many fragments", full(&fragments, |n| format!(" query q{n} {{ {spreads} }}"), ""));
    let wide = format!("fragment f on Member {{ {} }}", "id ".repeat(2000));
    attack(
        "many operations with one wide fragment",
        full(&wide, |n| format!(" query q{n} {{ viewer {{ ...f }} }}"), ""),
    );
    let bomb = many(20, |n| format!("fragment f{n} on Query {{ {} }}", format!("...f{} ", n + 1).repeat(20)));
    attack("a fragment bomb", format!("{{ ...f0 }} {bomb} fragment f20 on Query {{ viewer {{ id }} }}"));
    let bomb = many(24, |n| {
        format!("fragment f{n} on Lead {{ a: duplicateOf {{ ...f{0} }} b: duplicateOf {{ ...f{0} }} }}", n + 1)
    });
    attack("a bomb of fields", format!("{{ lead(id: \"x\") {{ ...f0 }} }} {bomb} fragment f24 on Lead {{ id }}"));
    let chain = |n: usize| format!(" fragment f{n} on Query {{ ...f{} }}", n + 1);
    attack("a chain of fragments", full("{ ...f0 }", chain, ""));
    attack(
        "fragments in a circle",
        full("{ ...f0 }", |n| format!(" fragment f{n} on Query {{ ...f{} }}", (n + 1) % 300), ""),
    );
    attack("aliases", full("{", |n| format!(" a{n}: viewer {{ id }}"), " }"));
    attack("the same field", full("{ viewer {", |_| " id".to_owned(), " } }"));
    attack("unknown fields", full("{", |n| format!(" x{n}"), " }"));
    attack("long unknown fields", full("{", |n| format!(" {}{n}", "viewe".repeat(12)), " }"));
    attack("unknown fields of a wide type", full("{ lead(id: \"x\") {", |n| format!(" titl{n}"), " } }"));
    attack("unused variables", full("query(", |n| format!("$v{n}: Int "), ") { viewer { id } }"));
    attack("unknown types of variables", full("query(", |n| format!("$v{n}: T{n} "), ") { viewer { id } }"));
    attack("an argument again and again", full("{ leads(", |_| "first: 1 ".to_owned(), ") { totalCount } }"));
    attack(
        "an input field again and again",
        full("{ leads(filter: {", |_| "text: \"a\" ".to_owned(), "}) { edges { cursor } } }"),
    );
    attack("a large list", full("{ nodes(ids: [", |n| format!("\"{n}\" "), "]) { id } }"));
    attack("a list of wrong values", full("{ nodes(ids: [", |_| "1.5 ".to_owned(), "]) { id } }"));
    attack("fields nested deep", nested("{ a ", "{ a }", "} ", 10_000));
    attack("inline fragments nested deep", nested("{ ... ", "{ a }", "}", 8000));
    attack("lists nested deep", format!("{{ nodes(ids: {}) {{ id }} }}", nested("[", "", "]", 30_000)));
    attack("objects nested deep", format!("{{ leads(filter: {}) {{ a }} }}", nested("{a:", "1", "}", 15_000)));
    attack("types nested deep", format!("query($a: {}) {{ a }}", nested("[", "Int", "]", 30_000)));
    attack("directives", full("{ viewer", |_| " @include(if: true)".to_owned(), " { id } }"));
    attack("unknown directives", full("{ viewer", |n| format!(" @d{n}"), " { id } }"));
    attack("commas", full("{ viewer { id ", |_| ",".to_owned(), " } }"));
    attack("comments", full("{ viewer { id }", |_| "#\n".to_owned(), "}"));
    attack("a long comment", full("{ viewer { id } } #", |_| "x".to_owned(), ""));
    attack("a long string", full("{ lead(id: \"", |_| "x".to_owned(), "\") { id } }"));
    attack("escapes", full("{ lead(id: \"", |_| "\\u{1F389}".to_owned(), "\") { id } }"));
    attack("a block string of many lines", full("{ lead(id: \"\"\"", |_| "  x\n".to_owned(), "\"\"\") { id } }"));
    attack("what is no token", full("", |_| "?".to_owned(), ""));
    attack("strings that don't end", full("", |_| "\"\n".to_owned(), ""));
    attack("braces", full("", |_| "{".to_owned(), ""));
    let kinds =
        ["LeadActionTaken", "LeadCreated", "LeadExpired", "LeadDuplicatesFound", "CommentEdited", "CommentAdded"];
    let on = |inner: &str| {
        kinds.iter().fold(String::new(), |all, kind| format!("{all} ... on {kind} {{ x{kind}: id {inner} }}"))
    };
    let node = |inner: &str| format!("{{ id {} }}", on(inner));
    let feeds = node(&format!(
        "lead {{ activity {{ edges {{ node {} }} }} }}",
        node(&format!("lead {{ activity {{ edges {{ node {} }} }} }}", node("")))
    ));
    attack("types within types", format!("{{ activity {{ edges {{ node {feeds} }} }} }}"));
    let conflict = |n: usize| format!(" leads(first: {n}) {{ edges {{ cursor }} }}");
    attack("selections that differ", full("{", conflict, " }"));
    let lists = |n: usize| format!(" nodes(ids: [{}]) {{ id }}", "\"x\" ".repeat(n % 30 + 1));
    attack("lists that differ", full("{", lists, " }"));
    attack(
        "variables in a custom scalar",
        full("query($v: Int) { checkWorkflow(definition: {", |n| format!("a{n}: $v "), "}) { message } }"),
    );
    attack("operations", full("", |n| format!("query q{n} {{ viewer {{ id }} }} "), ""));
    attack(
        "introspection",
        format!(
            "{{ {} }}",
            many(2, |n| format!(
                "a{n}: __schema {{ types {{ name fields {{ name args {{ name type {{ name ofType {{ name ofType {{ name }} }} }} }} type {{ name ofType {{ name ofType {{ name }} }} }} }} inputFields {{ name description }} }} }}"
            ))
        ),
    );
    attack(
        "introspection nested",
        format!("{{ __schema {{ types {} }} }}", nested("{ fields { type ", "{ name }", "} }", 12)),
    );
    all
}
