//! Where a record comes from in another system.

use serde::{Deserialize, Serialize};

use super::{
    text::{self, Rules},
    web,
};
use crate::error::Fault;

/// The record of another system that this one mirrors. A system's id names one record of a company.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExternalReference {
    /// The system, such as `salesforce`: 1 to 50 of `a-z`, `0-9`, `.`, `_` and `-`.
    pub system: String,
    /// The record's id there: 1 to 200 characters, as that system writes it.
    pub id: String,
    /// Where a person finds it.
    pub url: Option<String>,
}

/// An [`ExternalReference`] as a caller gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalReferenceInput {
    /// The system; its case is not kept.
    pub system: Option<String>,
    /// The record's id there.
    pub id: Option<String>,
    /// Where a person finds it.
    pub url: Option<String>,
}

impl ExternalReferenceInput {
    /// The reference of an input whose path is `prefix`, or none after at least one fault went to `faults`.
    pub fn validate(self, prefix: &str, faults: &mut Vec<Fault>) -> Option<ExternalReference> {
        let before = faults.len();
        let at = format!("{prefix}.system");
        let system = Rules::line(50).required(self.system.as_deref(), &at, faults).and_then(|system| {
            let system = system.to_ascii_lowercase();
            let fits = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
            let checked = if system.chars().all(fits) {
                Ok(system)
            } else {
                Err("must have letters from a to z, digits, '.', '_' and '-' alone, such as \"salesforce\"".to_owned())
            };
            text::keep(checked, &at, faults)
        });
        let id = Rules::line(200).required(self.id.as_deref(), &format!("{prefix}.id"), faults);
        let url = self.url.and_then(|url| text::keep(web::clean(&url), &format!("{prefix}.url"), faults)).flatten();
        (faults.len() == before).then_some(ExternalReference { system: system?, id: id?, url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn input(system: &str, id: &str, url: Option<&str>) -> ExternalReferenceInput {
        ExternalReferenceInput { system: Some(system.to_owned()), id: Some(id.to_owned()), url: url.map(str::to_owned) }
    }

    #[test]
    fn a_reference_is_kept_with_its_system_in_lower_case() {
        let mut faults = Vec::new();
        let kept =
            input(" SalesForce ", "00Q0S000002QgjUUAS", Some("https://x.example/1")).validate("input", &mut faults);
        assert_eq!(
            kept,
            Some(ExternalReference {
                system: "salesforce".to_owned(),
                id: "00Q0S000002QgjUUAS".to_owned(),
                url: Some("https://x.example/1".to_owned()),
            })
        );
        assert!(faults.is_empty());
    }

    #[test]
    fn every_fault_comes_with_its_place() {
        let mut faults = Vec::new();
        assert_eq!(input("sales force", "  ", Some("x")).validate("input.externalReference", &mut faults), None);
        let found: Vec<_> = faults.iter().map(|fault| (fault.code, fault.field.as_deref().unwrap())).collect();
        assert_eq!(
            found,
            [
                (ErrorCode::InvalidInput, "input.externalReference.system"),
                (ErrorCode::Required, "input.externalReference.id"),
                (ErrorCode::InvalidInput, "input.externalReference.url"),
            ]
        );
        let mut faults = Vec::new();
        assert_eq!(input(&"a".repeat(51), &"b".repeat(201), None).validate("input", &mut faults), None);
        assert_eq!(faults.len(), 2);
        let mut faults = Vec::new();
        assert_eq!(ExternalReferenceInput::default().validate("input", &mut faults), None);
        assert_eq!(faults.len(), 2);
    }
}
