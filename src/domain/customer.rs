//! The customer that a lead is about: a company, its address and the person to talk to (mission A13).

use super::{
    country::Country,
    email,
    patch::Patch,
    phone::Phone,
    text::{self, Rules},
    web,
};
use crate::error::Fault;

/// What a company's name may be.
pub const COMPANY: Rules = Rules::line(255);
/// What an industry may be.
pub const INDUSTRY: Rules = Rules::line(255);
/// What a job title may be.
const JOB_TITLE: Rules = Rules::line(128);
/// What a street may be.
const STREET: Rules = Rules::lines(255);
/// What may be kept in a phone number's place.
const UNREAD_PHONE: Rules = Rules::line(100);

/// The customer of a lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// The company's name, at most 255 characters, never blank.
    pub company: String,
    /// Its web address, in normal form.
    pub website: Option<String>,
    /// Its industry, in the company's own words: at most 255 characters.
    pub industry: Option<String>,
    /// How many people work there.
    pub employees: Option<i32>,
    /// Where it is.
    pub address: Address,
    /// Whom to talk to.
    pub contact: Contact,
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Street and number, which may take several lines: at most 255 characters.
    pub street: Option<String>,
    /// Town: at most 100 characters.
    pub city: Option<String>,
    /// State, province or the like: at most 100 characters.
    pub region: Option<String>,
    /// Postal code: at most 20 characters.
    pub postal_code: Option<String>,
    /// An ISO 3166-1 alpha-2 code, or `XK` for Kosovo.
    pub country: Option<String>,
}

/// A person at the customer's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// First name: at most 100 characters.
    pub first_name: Option<String>,
    /// Last name: at most 100 characters.
    pub last_name: Option<String>,
    /// What the person does there: at most 128 characters.
    pub job_title: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Phone number.
    pub phone: Option<Phone>,
    /// What stands in another system where a phone number should, and is none that can be read: at most 100 characters.
    /// None beside a number.
    pub unread_phone: Option<String>,
}

impl Address {
    /// Whether nothing is known of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Contact {
    /// Whether nothing is known of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What was typed as its phone number, read or not.
    pub fn phone_as_typed(&self) -> Option<&str> {
        self.phone.as_ref().map(|phone| phone.typed.as_str()).or(self.unread_phone.as_deref())
    }

    /// The same with the phone number that was kept as these two; see [`Phone`].
    pub fn reached_at(self, e164: Option<String>, typed: Option<String>) -> Self {
        match (e164, typed) {
            (Some(e164), Some(typed)) => Self { phone: Some(Phone { e164, typed }), unread_phone: None, ..self },
            (_, unread_phone) => Self { phone: None, unread_phone, ..self },
        }
    }
}

/// A [`Customer`] as a caller gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerInput {
    /// See [`Customer::company`].
    pub company: Option<String>,
    /// See [`Customer::website`].
    pub website: Option<String>,
    /// See [`Customer::industry`].
    pub industry: Option<String>,
    /// See [`Customer::employees`].
    pub employees: Option<i64>,
    /// See [`Customer::address`].
    pub address: Option<AddressInput>,
    /// See [`Customer::contact`].
    pub contact: Option<ContactInput>,
}

/// An [`Address`] as a caller gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressInput {
    /// See [`Address::street`].
    pub street: Option<String>,
    /// See [`Address::city`].
    pub city: Option<String>,
    /// See [`Address::region`].
    pub region: Option<String>,
    /// See [`Address::postal_code`].
    pub postal_code: Option<String>,
    /// See [`Address::country`].
    pub country: Option<String>,
}

/// A [`Contact`] as a caller gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactInput {
    /// See [`Contact::first_name`].
    pub first_name: Option<String>,
    /// See [`Contact::last_name`].
    pub last_name: Option<String>,
    /// See [`Contact::job_title`].
    pub job_title: Option<String>,
    /// See [`Contact::email`].
    pub email: Option<String>,
    /// As typed; see [`Contact::phone`]. Without a country's code it is one of the address's country.
    pub phone: Option<String>,
    /// See [`Contact::unread_phone`]; kept where `phone` says nothing.
    pub unread_phone: Option<String>,
    /// The country that a number without a country's code is one of where the address has none.
    pub phone_country: Option<Country>,
}

impl CustomerInput {
    /// The customer of an input whose path is `prefix`, or none after at least one fault went to `faults`.
    pub fn validate(self, prefix: &str, faults: &mut Vec<Fault>) -> Option<Customer> {
        CustomerPatch::from(self).apply(&Customer::default(), prefix, faults)
    }
}

/// What an update says about a [`Customer`]: absent is unchanged, null is cleared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerPatch {
    /// Can't be cleared.
    pub company: Patch<String>,
    /// See [`Customer::website`].
    pub website: Patch<String>,
    /// See [`Customer::industry`].
    pub industry: Patch<String>,
    /// See [`Customer::employees`].
    pub employees: Patch<i64>,
    /// Null clears the whole address.
    pub address: Patch<AddressPatch>,
    /// Null clears the whole contact.
    pub contact: Patch<ContactPatch>,
}

/// What an update says about an [`Address`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPatch {
    /// See [`Address::street`].
    pub street: Patch<String>,
    /// See [`Address::city`].
    pub city: Patch<String>,
    /// See [`Address::region`].
    pub region: Patch<String>,
    /// See [`Address::postal_code`].
    pub postal_code: Patch<String>,
    /// See [`Address::country`].
    pub country: Patch<String>,
}

/// What an update says about a [`Contact`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactPatch {
    /// See [`Contact::first_name`].
    pub first_name: Patch<String>,
    /// See [`Contact::last_name`].
    pub last_name: Patch<String>,
    /// See [`Contact::job_title`].
    pub job_title: Patch<String>,
    /// See [`Contact::email`].
    pub email: Patch<String>,
    /// As typed. Without a country's code it is one of the address's country as it is after the update. Where it is absent
    /// and the country changes, what was typed before is read again, and stays as it is where it is no number of that
    /// country.
    pub phone: Patch<String>,
    /// What takes the number's place. An update that mentions `phone` alone clears it.
    pub unread_phone: Patch<String>,
    /// The country that a number without a country's code is one of where the address has none.
    pub phone_country: Option<Country>,
}

/// A new customer's field: what is not given is not there.
fn given<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Absent, Patch::Value)
}

impl From<CustomerInput> for CustomerPatch {
    fn from(input: CustomerInput) -> Self {
        Self {
            // A missing name is a fault of a new customer, as clearing it is one of an update.
            company: input.company.map_or(Patch::Null, Patch::Value),
            website: given(input.website),
            industry: given(input.industry),
            employees: given(input.employees),
            address: given(input.address).map(AddressPatch::from),
            contact: given(input.contact).map(ContactPatch::from),
        }
    }
}

impl From<AddressInput> for AddressPatch {
    fn from(input: AddressInput) -> Self {
        Self {
            street: given(input.street),
            city: given(input.city),
            region: given(input.region),
            postal_code: given(input.postal_code),
            country: given(input.country),
        }
    }
}

impl From<ContactInput> for ContactPatch {
    fn from(input: ContactInput) -> Self {
        Self {
            first_name: given(input.first_name),
            last_name: given(input.last_name),
            job_title: given(input.job_title),
            email: given(input.email),
            phone: given(input.phone),
            unread_phone: given(input.unread_phone),
            phone_country: input.phone_country,
        }
    }
}

impl CustomerPatch {
    /// The customer after the update, or none after at least one fault went to `faults`. `prefix` is the input's path,
    /// such as `input.customer`.
    pub fn apply(self, current: &Customer, prefix: &str, faults: &mut Vec<Fault>) -> Option<Customer> {
        let before = faults.len();
        let at = |field: &str| format!("{prefix}.{field}");
        let company = match self.company {
            Patch::Absent => Some(current.company.clone()),
            Patch::Null => COMPANY.required(None, &at("company"), faults),
            Patch::Value(company) => COMPANY.required(Some(&company), &at("company"), faults),
        };
        let website = self
            .website
            .checked(current.website.clone(), |typed| text::keep(web::clean(&typed), &at("website"), faults).flatten());
        let industry = line(self.industry, current.industry.as_ref(), INDUSTRY, &at("industry"), faults);
        let employees = self
            .employees
            .checked(current.employees, |count| text::keep(check_employees(count), &at("employees"), faults));
        let address = match self.address {
            Patch::Absent => current.address.clone(),
            Patch::Null => Address::default(),
            Patch::Value(patch) => patch.apply(&current.address, &at("address"), faults),
        };
        let country = address.country.as_deref().and_then(|code| Country::parse(code).ok());
        let mut known = current.contact.clone();
        if let (Some(country), Some(phone)) = (country, &known.phone)
            && address.country != current.address.country
            && let Some(phone) = phone.read_in(country)
        {
            known.phone = Some(phone);
        }
        let contact = match self.contact {
            Patch::Absent => known,
            Patch::Null => Contact::default(),
            Patch::Value(patch) => patch.apply(&known, country, &at("contact"), faults),
        };
        let customer = Customer { company: company?, website, industry, employees, address, contact };
        (faults.len() == before).then_some(customer)
    }
}

impl AddressPatch {
    fn apply(self, current: &Address, prefix: &str, faults: &mut Vec<Fault>) -> Address {
        let at = |field: &str| format!("{prefix}.{field}");
        Address {
            street: line(self.street, current.street.as_ref(), STREET, &at("street"), faults),
            city: line(self.city, current.city.as_ref(), Rules::line(100), &at("city"), faults),
            region: line(self.region, current.region.as_ref(), Rules::line(100), &at("region"), faults),
            postal_code: line(
                self.postal_code,
                current.postal_code.as_ref(),
                Rules::line(20),
                &at("postalCode"),
                faults,
            ),
            country: self.country.checked(current.country.clone(), |code| {
                let code = text::keep(Country::parse(&code), &at("country"), faults)?;
                Some(code.code().to_owned())
            }),
        }
    }
}

impl ContactPatch {
    fn apply(self, current: &Contact, country: Option<Country>, prefix: &str, faults: &mut Vec<Fault>) -> Contact {
        let at = |field: &str| format!("{prefix}.{field}");
        let name = Rules::line(100);
        let mut contact = Contact {
            first_name: line(self.first_name, current.first_name.as_ref(), name, &at("firstName"), faults),
            last_name: line(self.last_name, current.last_name.as_ref(), name, &at("lastName"), faults),
            job_title: line(self.job_title, current.job_title.as_ref(), JOB_TITLE, &at("jobTitle"), faults),
            email: self.email.checked(current.email.clone(), |typed| {
                text::keep(email::clean(&typed), &at("email"), faults).flatten()
            }),
            ..Contact::default()
        };
        contact.unread_phone = match self.unread_phone {
            Patch::Absent if !self.phone.is_absent() => None,
            patch => line(patch, current.unread_phone.as_ref(), UNREAD_PHONE, &at("phone"), faults),
        };
        let country = country.or(self.phone_country);
        let phone = self.phone.checked(current.phone.clone(), |typed| {
            text::keep(Phone::parse(&typed, country), &at("phone"), faults).flatten()
        });
        contact.phone = phone.filter(|_| contact.unread_phone.is_none());
        contact
    }
}

fn line(
    patch: Patch<String>,
    current: Option<&String>,
    rules: Rules,
    field: &str,
    faults: &mut Vec<Fault>,
) -> Option<String> {
    match patch {
        Patch::Absent => current.cloned(),
        Patch::Null => None,
        Patch::Value(value) => rules.optional(Some(&value), field, faults),
    }
}

fn check_employees(count: i64) -> Result<i32, String> {
    i32::try_from(count)
        .ok()
        .filter(|count| (0..=10_000_000).contains(count))
        .ok_or_else(|| "must be from 0 to 10000000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    #[expect(clippy::unnecessary_wraps, reason = "an input's field is an option")]
    fn owned(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn input() -> CustomerInput {
        CustomerInput {
            company: owned(" Farmers Coop. of Florida "),
            website: owned("https://fcof.net"),
            industry: owned("Agriculture"),
            employees: Some(120),
            address: Some(AddressInput {
                street: owned("321 Westcott Building\nRoom 5"),
                city: owned("Tallahassee"),
                region: owned("FL"),
                postal_code: owned("32306"),
                country: owned("US"),
            }),
            contact: Some(ContactInput {
                first_name: owned("Bertha"),
                last_name: owned("Boxer"),
                job_title: owned("Director of Vendor Relations"),
                email: owned("bertha@fcof.net"),
                phone: owned("(850) 644-4200"),
                ..ContactInput::default()
            }),
        }
    }

    fn customer() -> Customer {
        input().validate("input.customer", &mut Vec::new()).unwrap()
    }

    #[test]
    fn a_customer_is_kept_trimmed_and_its_phone_is_one_of_its_country() {
        let customer = customer();
        assert_eq!(customer.company, "Farmers Coop. of Florida");
        assert_eq!(customer.website.as_deref(), Some("https://fcof.net/"));
        assert_eq!(customer.employees, Some(120));
        assert_eq!(customer.address.country.as_deref(), Some("US"));
        assert_eq!(customer.address.street.as_deref(), Some("321 Westcott Building\nRoom 5"));
        let phone = customer.contact.phone.unwrap();
        assert_eq!((phone.e164.as_str(), phone.typed.as_str()), ("+18506444200", "(850) 644-4200"));
    }

    #[test]
    fn a_company_s_name_is_enough() {
        let input = CustomerInput { company: owned("Acme"), ..CustomerInput::default() };
        let customer = input.validate("input.customer", &mut Vec::new()).unwrap();
        assert!(customer.address.is_empty() && customer.contact.is_empty());
    }

    #[test]
    fn every_fault_comes_at_once_with_its_path() {
        let long = |n: usize| Some("x".repeat(n));
        let mut faults = Vec::new();
        let bad = CustomerInput {
            company: owned("  "),
            website: owned("fcof.net"),
            industry: long(256),
            employees: Some(-1),
            address: Some(AddressInput {
                street: long(256),
                city: long(101),
                region: owned("F\0L"),
                postal_code: long(21),
                country: owned("USA"),
            }),
            contact: Some(ContactInput {
                first_name: long(101),
                last_name: owned("\u{202E}rexoB"),
                job_title: long(129),
                email: owned("bertha"),
                phone: owned("(850) 644-4200"),
                ..ContactInput::default()
            }),
        };
        assert_eq!(bad.validate("input.customer", &mut faults), None);
        let found: Vec<_> = faults.iter().map(|fault| fault.field.as_deref().unwrap()).collect();
        assert_eq!(
            found,
            [
                "input.customer.company",
                "input.customer.website",
                "input.customer.industry",
                "input.customer.employees",
                "input.customer.address.street",
                "input.customer.address.city",
                "input.customer.address.region",
                "input.customer.address.postalCode",
                "input.customer.address.country",
                "input.customer.contact.firstName",
                "input.customer.contact.lastName",
                "input.customer.contact.jobTitle",
                "input.customer.contact.email",
                "input.customer.contact.phone",
            ]
        );
        assert_eq!(faults[0].code, ErrorCode::Required);
        assert!(faults[1..].iter().all(|fault| fault.code == ErrorCode::InvalidInput));
    }

    #[test]
    fn an_empty_patch_changes_nothing() {
        let customer = customer();
        let mut faults = Vec::new();
        assert_eq!(CustomerPatch::default().apply(&customer, "input.customer", &mut faults), Some(customer));
        assert!(faults.is_empty());
    }

    #[test]
    fn null_clears_and_a_value_replaces_one_field_alone() {
        let customer = customer();
        let patch = CustomerPatch {
            website: Patch::Null,
            industry: Patch::Value(String::new()),
            employees: Patch::Value(10_000_000),
            address: Patch::Value(AddressPatch { country: Patch::Value("DE".to_owned()), ..AddressPatch::default() }),
            contact: Patch::Value(ContactPatch {
                email: Patch::Null,
                phone: Patch::Value("030 123456".to_owned()),
                ..ContactPatch::default()
            }),
            ..CustomerPatch::default()
        };
        let after = patch.apply(&customer, "input.customer", &mut Vec::new()).unwrap();
        assert_eq!(after.company, customer.company);
        assert_eq!((after.website, after.industry, after.employees), (None, None, Some(10_000_000)));
        assert_eq!(after.address, Address { country: owned("DE"), ..customer.address.clone() });
        assert_eq!(after.contact.email, None);
        assert_eq!(after.contact.phone.unwrap().e164, "+4930123456", "the new country is the phone's region");
        assert_eq!(after.contact.first_name, customer.contact.first_name);

        let clear = CustomerPatch { address: Patch::Null, contact: Patch::Null, ..CustomerPatch::default() };
        let after = clear.apply(&customer, "input.customer", &mut Vec::new()).unwrap();
        assert!(after.address.is_empty() && after.contact.is_empty());
    }

    #[test]
    fn what_takes_a_number_s_place_stands_alone_until_a_number_is_said() {
        let change = |current: &Customer, contact: ContactPatch| {
            let patch = CustomerPatch { contact: Patch::Value(contact), ..CustomerPatch::default() };
            patch.apply(current, "input.customer", &mut Vec::new()).unwrap().contact
        };
        let unread = ContactPatch { unread_phone: Patch::Value("call Bertha".to_owned()), ..ContactPatch::default() };
        let contact = change(&customer(), unread);
        assert_eq!((contact.phone.as_ref(), contact.phone_as_typed()), (None, Some("call Bertha")));
        let current = Customer { contact, ..customer() };
        let other = ContactPatch { first_name: Patch::Null, ..ContactPatch::default() };
        assert_eq!(change(&current, other).phone_as_typed(), Some("call Bertha"));
        let cleared = ContactPatch { phone: Patch::Null, ..ContactPatch::default() };
        assert_eq!(change(&current, cleared).phone_as_typed(), None);
        let said = ContactPatch { phone: Patch::Value("(850) 644-4200".to_owned()), ..ContactPatch::default() };
        assert_eq!(change(&current, said), customer().contact);
    }

    #[test]
    fn a_corrected_country_corrects_the_phone_that_was_typed_without_one() {
        let typed = |phone: &str, country: &str| {
            let address = AddressInput { country: owned(country), ..AddressInput::default() };
            let contact = ContactInput { phone: owned(phone), ..ContactInput::default() };
            let input = CustomerInput {
                company: owned("Acme"),
                address: Some(address),
                contact: Some(contact),
                ..CustomerInput::default()
            };
            input.validate("input.customer", &mut Vec::new()).unwrap()
        };
        let moved = |customer: Customer, country: Patch<String>, contact: Patch<ContactPatch>| {
            let address = Patch::Value(AddressPatch { country, ..AddressPatch::default() });
            let patch = CustomerPatch { address, contact, ..CustomerPatch::default() };
            patch.apply(&customer, "input.customer", &mut Vec::new()).unwrap().contact.phone.unwrap()
        };
        let to = |code: &str| Patch::Value(code.to_owned());
        let phone = moved(typed("05121 23456", "DE"), to("AT"), Patch::Absent);
        assert_eq!((phone.e164.as_str(), phone.typed.as_str()), ("+43512123456", "05121 23456"));
        let contact = Patch::Value(ContactPatch { first_name: to("Bertha"), ..ContactPatch::default() });
        assert_eq!(moved(typed("05121 23456", "DE"), to("AT"), contact).e164, "+43512123456");
        assert_eq!(moved(typed("+49 30 123456", "DE"), to("AT"), Patch::Absent).e164, "+4930123456");
        assert_eq!(
            moved(typed("(850) 644-4200", "US"), to("DK"), Patch::Absent).e164,
            "+18506444200",
            "none of Denmark's"
        );
        assert_eq!(moved(typed("030 123456", "DE"), Patch::Null, Patch::Absent).e164, "+4930123456");
    }

    #[test]
    fn the_company_s_name_can_not_be_cleared() {
        for company in [Patch::Null, Patch::Value(" ".to_owned())] {
            let mut faults = Vec::new();
            let patch = CustomerPatch { company, ..CustomerPatch::default() };
            assert_eq!(patch.apply(&customer(), "input.customer", &mut faults), None);
            assert_eq!(faults[0].code, ErrorCode::Required);
            assert_eq!(faults[0].field.as_deref(), Some("input.customer.company"));
        }
    }

    #[test]
    fn earlier_faults_of_the_same_input_do_not_spoil_a_good_customer() {
        let mut faults = vec![Fault::required("input.title", "title is required.")];
        assert!(input().validate("input.customer", &mut faults).is_some());
        assert_eq!(faults.len(), 1);
    }
}
