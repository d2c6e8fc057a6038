//! The workflows that are shipped, as data files: one a version. A version that was released is never edited.

use std::sync::{Arc, LazyLock};

use super::definition::Definition;

/// The key of the workflow of leads that are passed to partners (mission A).
pub const SHARED_LEAD: &str = "partner-lead";
/// The key of the workflow of opportunities.
pub const OPPORTUNITY: &str = "opportunity";

static SHIPPED: LazyLock<Vec<Arc<Definition>>> = LazyLock::new(|| {
    [
        include_str!("builtin/partner-lead-1.json"),
        include_str!("builtin/partner-lead-2.json"),
        include_str!("builtin/submitted-lead-1.json"),
        include_str!("builtin/submitted-lead-2.json"),
        include_str!("builtin/internal-lead-1.json"),
        include_str!("builtin/internal-lead-2.json"),
        include_str!("builtin/opportunity-1.json"),
        include_str!("builtin/opportunity-2.json"),
    ]
    .into_iter()
    .map(|json| Arc::new(serde_json::from_str(json).expect("a shipped definition is read by a test of its own")))
    .collect()
});

/// Every shipped workflow in every version: each key's versions stand together, the latest last.
pub fn all() -> &'static [Arc<Definition>] {
    &SHIPPED
}

/// The latest version of each shipped workflow.
pub fn current() -> impl Iterator<Item = &'static Arc<Definition>> {
    let newer = |definition: &Definition| {
        all().iter().any(|other| other.key == definition.key && other.version > definition.version)
    };
    all().iter().filter(move |definition| !newer(definition))
}

/// The shipped workflow of that key and version.
pub fn builtin(key: &str, version: i32) -> Option<Arc<Definition>> {
    all().iter().find(|definition| definition.key == key && definition.version == version).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::workflow::check::check;

    #[test]
    fn every_shipped_workflow_is_sound() {
        for definition in all() {
            assert_eq!(check(definition), Ok(()), "{}", definition.key);
        }
    }

    #[test]
    fn a_shipped_workflow_is_found_by_key_and_version() {
        assert_eq!(builtin("partner-lead", 1).unwrap().name, "Shared lead");
        assert_eq!(builtin("opportunity", 1).unwrap().tracks[0].initial, "qualified");
        assert_eq!(builtin("partner-lead", 2).unwrap().version, 2);
        assert!(builtin("partner-lead", 3).is_none());
        assert!(builtin("nothing", 1).is_none());
    }

    #[test]
    fn the_four_are_shipped_and_explain_themselves() {
        let keys: Vec<_> = current().map(|definition| definition.key.as_str()).collect();
        assert_eq!(keys, [SHARED_LEAD, "submitted-lead", "internal-lead", OPPORTUNITY]);
        for definition in current() {
            assert!(definition.description.is_some(), "{}", definition.key);
        }
    }

    #[test]
    fn a_shipped_workflow_is_written_as_it_was_read() {
        for definition in all() {
            let json = serde_json::to_value(&**definition).unwrap();
            assert_eq!(serde_json::from_value::<Definition>(json).unwrap(), **definition);
        }
    }
}
