//! What is peculiar to Salesforce's leads: the names of their fields and their ids.

/// The system's name in references.
pub const SYSTEM: &str = "salesforce";

/// The default mapping: the names of fields, then those that reports give their columns.
pub(super) const COLUMNS: &[(&str, &[&str])] = &[
    ("lead.description", &["Description"]),
    ("lead.leadSource", &["LeadSource"]),
    ("lead.customer.company", &["Company", "Company / Account", "Company Name"]),
    ("lead.customer.website", &["Website"]),
    ("lead.customer.industry", &["Industry"]),
    ("lead.customer.employees", &["NumberOfEmployees", "No. of Employees", "Employees"]),
    ("lead.customer.address.street", &["Street"]),
    ("lead.customer.address.city", &["City"]),
    ("lead.customer.address.region", &["State", "StateCode", "State/Province"]),
    ("lead.customer.address.postalCode", &["PostalCode", "Zip/Postal Code"]),
    ("lead.customer.address.country", &["CountryCode", "Country"]),
    ("lead.customer.contact.firstName", &["FirstName"]),
    ("lead.customer.contact.lastName", &["LastName"]),
    ("lead.customer.contact.jobTitle", &["Title"]),
    ("lead.customer.contact.email", &["Email"]),
    ("lead.customer.contact.phone", &["Phone", "MobilePhone", "Mobile"]),
    ("lead.externalReference.id", &["Id", "Lead ID"]),
    ("lead.owner.email", &["Owner.Email"]),
    ("skip.deleted", &["IsDeleted", "Deleted"]),
    ("skip.merged", &["MasterRecordId"]),
    ("skip.converted", &["IsConverted", "Converted"]),
    ("optOut.email", &["HasOptedOutOfEmail", "Email Opt Out"]),
    ("optOut.phone", &["DoNotCall"]),
];

/// A record's id in its long form, which does not depend on the case: the short one of 15 characters names the same
/// record as it does with three more, which say which of its letters are capitals.
pub(super) fn record_id(id: &str) -> Option<String> {
    if !matches!(id.len(), 15 | 18) || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let short = &id[..15];
    let suffix = short.as_bytes().chunks(5).map(|part| {
        let bits = part.iter().rev().fold(0, |bits, byte| bits << 1 | usize::from(byte.is_ascii_uppercase()));
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits])
    });
    if id.len() == 18 { Some(id.to_owned()) } else { Some(short.chars().chain(suffix).collect()) }
}
