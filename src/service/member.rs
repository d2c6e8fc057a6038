//! Who calls: members are recorded when their token is first seen.

use crate::{
    domain::{
        actor::{Member, Role},
        company::{Profile, is_slug},
        email,
        id::MemberId,
        text,
    },
    error::{Error, ErrorCode, Result},
    service::{Service, transaction},
    store::{self, scope::Scope},
};

/// What a verified token says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The company, by slug.
    pub company: String,
    /// The token's `sub`.
    pub subject: String,
    /// The roles.
    pub roles: Vec<Role>,
    /// The name.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
}

/// A member as this process last recorded it.
#[derive(Debug)]
pub(crate) struct Known {
    member: Member,
    profile: Profile,
}

impl Bearer {
    /// The name that others see: the token's, or its subject where that says none.
    pub fn shown_name(&self) -> String {
        let name = self.name.as_deref().and_then(|name| text::LINE.clean(name).ok().flatten());
        name.unwrap_or_else(|| text::excerpt(&self.subject))
    }

    /// The e-mail address; an error where the token says something that is none.
    pub(super) fn checked_email(&self) -> std::result::Result<Option<String>, String> {
        self.email.as_deref().map_or(Ok(None), email::clean)
    }
}

impl Service {
    /// The member that a verified token names; recorded, or brought up to date, where the token says something new.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` where the token names a company that is not here.
    pub async fn sign_in(&self, bearer: Bearer) -> Result<Member> {
        let (name, checked) = (bearer.shown_name(), bearer.checked_email());
        let email = checked.clone().unwrap_or_default();
        let key = (bearer.company, bearer.subject);
        let roles = bearer.roles;
        if let Some(known) = self.members.get(&key)
            && known.profile.roles == roles
            && known.profile.name == name
            && known.profile.email == email
        {
            return Ok(known.member.clone());
        }
        let refused =
            || Error::new(ErrorCode::Unauthenticated, "The token names a company that is not registered here.");
        if !is_slug(&key.0) {
            return Err(refused());
        }
        let company = store::company::by_slug(self.db.read(), &key.0).await?.ok_or_else(refused)?;
        let mut profile = Profile { id: self.fresh(), company: company.id, name, email, roles: roles.clone() };
        let recorded = store::company::member_by_subject(self.db.read(), company.id, &key.1).await?;
        profile.id = match recorded {
            Some(recorded) if recorded == (Profile { id: recorded.id, ..profile.clone() }) => recorded.id,
            _ => transaction!(self, tx, {
                store::company::record_member(tx.db(), profile.id, company.id, &key.1, &profile, tx.now).await
            })?,
        };
        if let Err(fault) = checked {
            // Seldom: what was recorded is known from here on.
            tracing::warn!(member = %profile.id, "the e-mail address in a member's token is not kept: it {fault}");
        }
        let member = Member { id: profile.id, company: company.id, roles };
        self.members.insert(key, Known { member: member.clone(), profile }.into());
        Ok(member)
    }

    /// The profiles of members that are already known to be in the caller's sight.
    pub async fn profiles(&self, ids: &[MemberId]) -> Result<Vec<Profile>> {
        store::company::members_by_ids(self.db.read(), ids).await
    }

    /// Those of the caller's own company with that e-mail address, whatever its case; two at most.
    pub async fn members_by_email(&self, member: &Member, email: &str) -> Result<Vec<MemberId>> {
        store::company::members_by_email(self.db.read(), Scope::of(member), email).await
    }

    /// The profile of a member, where the caller may know of it.
    pub async fn profile(&self, member: &Member, id: MemberId) -> Result<Option<Profile>> {
        store::company::visible_member(self.db.read(), Scope::of(member), id).await
    }
}
