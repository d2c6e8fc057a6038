//! The setting of the bus.

use std::fmt;

use url::Url;

/// What tells servers of each other's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bus {
    /// Nothing: the process is alone, or finds the others' events by its poll.
    Memory,
    /// LISTEN and NOTIFY of the configured `PostgreSQL` database.
    Postgres,
    /// NATS.
    Nats(NatsUrl),
}

impl Bus {
    /// Reads the setting.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "memory" => Ok(Self::Memory),
            "postgres" => Ok(Self::Postgres),
            text => NatsUrl::parse(text).map(Self::Nats),
        }
    }
}

/// As the setting is written, without secrets.
impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Postgres => f.write_str("postgres"),
            Self::Nats(url) => url.fmt(f),
        }
    }
}

/// A NATS server's URL. `Debug` and `Display` leave out the password or the token.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsUrl(Url);

impl NatsUrl {
    /// Checks a URL.
    ///
    /// # Errors
    /// A sentence that says what is wrong. It does not repeat the text, which may hold a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        const WANTED: &str = "must be memory, postgres, or nats://HOST:PORT";
        let url = Url::parse(text).map_err(|_| WANTED.to_owned())?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let named = url.host_str().is_some_and(|host| !host.is_empty());
        if matches!(url.scheme(), "nats" | "tls") && named && bare {
            return Ok(Self(url));
        }
        Err(WANTED.to_owned())
    }

    /// The whole URL, secrets included.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        // A URL with a host takes both.
        if url.password().is_some() {
            let _ = url.set_password(Some("***"));
        } else if !url.username().is_empty() {
            // A token stands where a user would.
            let _ = url.set_username("***");
        }
        f.write_str(url.as_str())
    }
}

impl fmt::Debug for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
