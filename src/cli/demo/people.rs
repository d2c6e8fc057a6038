//! Who is in the demo.

use crate::domain::actor::Role;

/// The companies. The last one is added when the rest of the sample is there, and so tells that it is whole.
pub(super) const COMPANIES: &[(&str, &str)] = &[
    ("northwind", "Northwind Software"),
    ("contoso", "Contoso Consulting"),
    ("fabrikam", "Fabrikam Services"),
    ("tailspin", "Tailspin Systems"),
];

/// Somebody of a company.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    /// The company, by slug.
    pub(super) company: &'static str,
    /// The token's `sub`.
    pub(super) subject: &'static str,
    /// The name.
    pub(super) name: &'static str,
    /// What the person may do.
    pub(super) role: Role,
    /// What the company is in the story.
    pub(super) part: &'static str,
}

impl Person {
    /// The e-mail address.
    pub(super) fn email(&self) -> String {
        format!("{}@{}.example", self.subject, self.company)
    }
}

const fn person(
    company: &'static str,
    subject: &'static str,
    name: &'static str,
    role: Role,
    part: &'static str,
) -> Person {
    Person { company, subject, name, role, part }
}

/// The people.
pub(super) const PEOPLE: &[Person] = &[
    person("northwind", "nora", "Nora Lindqvist", Role::Sales, "the vendor"),
    person("northwind", "axel", "Axel Brandt", Role::Admin, "the vendor"),
    person("contoso", "clara", "Clara Mendes", Role::Sales, "the partner"),
    person("contoso", "ben", "Ben Okafor", Role::Admin, "the partner"),
    person("fabrikam", "finn", "Finn Aaltonen", Role::Admin, "a second partner"),
    person("tailspin", "tess", "Tess Whitlock", Role::Sales, "a stranger"),
];
