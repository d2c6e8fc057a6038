//! What of a record's lead has changed since it was imported.

use super::reading::title;
use crate::{
    domain::{
        country::Country,
        customer::{AddressPatch, ContactPatch, Customer, CustomerPatch},
        global_id::{self, NodeType},
        id::MemberId,
        lead::Lead,
        money::Money,
        patch::Patch,
        phone::Phone,
        text::Rules,
    },
    error::Fault,
    service::lead::LeadChange,
};

/// The part of a change that changes something; none where nothing does. So nothing is refused that is as it was.
///
/// # Errors
/// What is wrong with the lead as it would be.
pub(super) fn change(
    lead: &Lead,
    mut change: LeadChange,
    is_titled: bool,
    owner: Option<MemberId>,
) -> Result<Option<LeadChange>, Vec<Fault>> {
    let mut faults = Vec::new();
    if let Patch::Value(patch) = change.customer {
        let patch = readable(patch, lead);
        let after = patch.clone().apply(&lead.customer, "input.customer", &mut faults);
        let Some(after) = after else { return Err(faults) };
        if !is_titled {
            change.title = retitled(lead, &after, &change.lead_source);
        }
        change.customer = customer(patch, &lead.customer, &after);
    }
    for (patch, before) in [
        (&mut change.title, Some(&lead.title)),
        (&mut change.description, lead.description.as_ref()),
        (&mut change.lead_source, lead.lead_source.as_ref()),
    ] {
        let same = before.map_or("", String::as_str) == said(patch);
        keep(patch, same);
    }
    let value = match &change.estimated_value {
        Patch::Value(value) => Money::parse(&value.amount, &value.currency, "input.estimatedValue", &mut faults),
        Patch::Null | Patch::Absent => None,
    };
    keep(&mut change.estimated_value, value == lead.value);
    if let Patch::Value(known) = &change.qualification {
        let before = &lead.details().qualification;
        let same = known.apply(before, "input.qualification", &mut faults) == *before;
        keep(&mut change.qualification, same);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    if let Some(owner) = owner.filter(|owner| lead.owner != Some(*owner)) {
        change.owner_id = Patch::Value(global_id::encode(NodeType::Member, owner.0));
    }
    let LeadChange { title, description, lead_source, customer, estimated_value, qualification, owner_id, .. } =
        &change;
    let nothing = title.is_absent()
        && description.is_absent()
        && lead_source.is_absent()
        && customer.is_absent()
        && estimated_value.is_absent()
        && qualification.is_absent()
        && owner_id.is_absent();
    Ok((!nothing).then_some(change))
}

/// Says nothing of what stays the same.
fn keep<T>(patch: &mut Patch<T>, same: bool) {
    if same {
        *patch = Patch::Absent;
    }
}

/// The text as it would be kept; nothing where it is cleared or not mentioned.
fn said(patch: &Patch<String>) -> String {
    match patch {
        Patch::Value(text) => Rules::lines(usize::MAX).clean(text).ok().flatten().unwrap_or_default(),
        Patch::Null | Patch::Absent => String::new(),
    }
}

/// A number that could not be read for itself is read as one of the country that the lead has.
fn readable(mut patch: CustomerPatch, lead: &Lead) -> CustomerPatch {
    if let Patch::Value(contact) = &mut patch.contact
        && let Patch::Value(typed) = &contact.unread_phone
        && matches!(&patch.address, Patch::Value(address) if address.country.is_absent())
    {
        let country = lead.customer.address.country.as_deref().and_then(|code| Country::parse(code).ok());
        if matches!(Phone::parse(typed, country), Ok(Some(_))) {
            contact.phone = std::mem::take(&mut contact.unread_phone);
        }
    }
    patch
}

/// The title that is made of other fields follows them, unless somebody gave the lead another one.
fn retitled(lead: &Lead, after: &Customer, lead_source: &Patch<String>) -> Patch<String> {
    let made = |customer: &Customer, source: Option<&str>| {
        title(Some(&customer.company), customer.contact.job_title.as_deref().or(source))
    };
    if lead.title != made(&lead.customer, lead.lead_source.as_deref()) {
        return Patch::Absent;
    }
    let source = lead_source.clone().apply(lead.lead_source.clone());
    Patch::Value(made(after, source.as_deref()))
}

fn customer(mut patch: CustomerPatch, before: &Customer, after: &Customer) -> Patch<CustomerPatch> {
    keep(&mut patch.company, before.company == after.company);
    keep(&mut patch.website, before.website == after.website);
    keep(&mut patch.industry, before.industry == after.industry);
    keep(&mut patch.employees, before.employees == after.employees);
    if let Patch::Value(address) = &mut patch.address {
        let (before, after) = (&before.address, &after.address);
        keep(&mut address.street, before.street == after.street);
        keep(&mut address.city, before.city == after.city);
        keep(&mut address.region, before.region == after.region);
        keep(&mut address.postal_code, before.postal_code == after.postal_code);
        keep(&mut address.country, before.country == after.country);
        let same = *address == AddressPatch::default();
        keep(&mut patch.address, same);
    }
    if let Patch::Value(contact) = &mut patch.contact {
        let (before, after) = (&before.contact, &after.contact);
        keep(&mut contact.first_name, before.first_name == after.first_name);
        keep(&mut contact.last_name, before.last_name == after.last_name);
        keep(&mut contact.job_title, before.job_title == after.job_title);
        keep(&mut contact.email, before.email == after.email);
        // The same number may have been typed otherwise.
        let number = |phone: &Option<Phone>| phone.as_ref().map(|phone| phone.e164.clone());
        if number(&before.phone) == number(&after.phone) && before.unread_phone == after.unread_phone {
            contact.phone = Patch::Absent;
            contact.unread_phone = Patch::Absent;
            contact.phone_country = None;
        }
        let same = *contact == ContactPatch::default();
        keep(&mut patch.contact, same);
    }
    if patch == CustomerPatch::default() { Patch::Absent } else { Patch::Value(patch) }
}
