//! What property tests feed to readers.

use proptest::prelude::*;
use serde_json::Value;

/// Any JSON, whose texts and keys are often among these words.
pub(crate) fn any_json(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let word = || prop_oneof!["\\PC{0,5}", any::<String>(), prop::sample::select(words).prop_map(str::to_owned)];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    let key = word();
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A text with some of its bytes changed, left out, doubled or put in, as far as it is still a text.
pub(crate) fn mutated(text: String) -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0..4_u8, any::<char>());
    prop::collection::vec(change, 0..8).prop_map(move |changes| {
        let mut signs: Vec<char> = text.chars().collect();
        for (at, what, sign) in changes {
            if signs.is_empty() {
                break;
            }
            let at = at.index(signs.len());
            match what {
                0 => signs[at] = sign,
                1 => drop(signs.remove(at)),
                2 => signs.insert(at, signs[at]),
                _ => signs.insert(at, sign),
            }
        }
        signs.into_iter().collect()
    })
}
