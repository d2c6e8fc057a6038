//! The one table of settings: `load` reads its defaults from here, and the documentation is checked against it.

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The dotted key in the TOML file.
    pub key: &'static str,
    /// The environment variable, which wins over the file.
    pub env: &'static str,
    /// The value when neither names one, written as the environment variable would be; nothing: unset.
    pub default: Option<&'static str>,
    /// What it means, with its unit and what is accepted.
    pub meaning: &'static str,
}

const fn setting(
    key: &'static str,
    env: &'static str,
    default: Option<&'static str>,
    meaning: &'static str,
) -> Setting {
    Setting { key, env, default, meaning }
}

/// Every setting, in the order of the documentation.
///
/// Durations are written as `500ms`, `30s`, `10m`, `1h`, as a bare number of seconds, or in ISO 8601 (`PT30S`).
/// An environment variable that is empty counts as not set.
pub const SETTINGS: &[Setting] = &[
    setting("listen", "COSELL_LISTEN", Some("127.0.0.1:8080"), "Address and port the server listens on"),
    setting(
        "database.url",
        "COSELL_DATABASE_URL",
        Some("sqlite://cosell.db"),
        "Database: `sqlite://FILE`, or `postgres://USER:PASSWORD@HOST/NAME`",
    ),
    setting(
        "database.max_connections",
        "COSELL_DATABASE_MAX_CONNECTIONS",
        Some("16"),
        "Most connections in the pool, 1 to 1000",
    ),
    setting(
        "database.min_connections",
        "COSELL_DATABASE_MIN_CONNECTIONS",
        Some("1"),
        "Connections kept open while idle, at most `database.max_connections`",
    ),
    setting(
        "database.acquire_timeout",
        "COSELL_DATABASE_ACQUIRE_TIMEOUT",
        Some("10s"),
        "Longest wait for a free connection",
    ),
    setting("jwt.secret", "COSELL_JWT_SECRET", None, "Key source: the HS256 secret, at least 32 bytes"),
    setting(
        "jwt.public_key",
        "COSELL_JWT_PUBLIC_KEY",
        None,
        "Key source: path of a PEM file with a public key (RSA: RS256 and PS256, P-256: ES256, Ed25519: EdDSA)",
    ),
    setting(
        "jwt.jwks_url",
        "COSELL_JWKS_URL",
        None,
        "Key source: URL of the issuer's JSON Web Key Set (RS256, PS256, ES256, EdDSA)",
    ),
    setting(
        "jwt.issuer",
        "COSELL_JWT_ISSUER",
        None,
        "What a token's `iss` must be. `cosell` when unset; must be set with a public key or a key set",
    ),
    setting(
        "jwt.audience",
        "COSELL_JWT_AUDIENCE",
        None,
        "What a token's `aud` must name. `cosell` when unset; must be set with a public key or a key set",
    ),
    setting(
        "jwt.claims.company",
        "COSELL_JWT_CLAIM_COMPANY",
        Some("/company"),
        "JSON pointer to the company's slug in a token's claims",
    ),
    setting(
        "jwt.claims.roles",
        "COSELL_JWT_CLAIM_ROLES",
        Some("/roles"),
        "JSON pointer to the roles: an array of strings, or one string parted by spaces or commas",
    ),
    setting("jwt.claims.name", "COSELL_JWT_CLAIM_NAME", Some("/name"), "JSON pointer to the member's name"),
    setting("jwt.claims.email", "COSELL_JWT_CLAIM_EMAIL", Some("/email"), "JSON pointer to the member's e-mail"),
    setting(
        "jwt.claims.subject",
        "COSELL_JWT_CLAIM_SUBJECT",
        Some("/sub"),
        "JSON pointer to what identifies the member in its company",
    ),
    setting(
        "jwt.companies",
        "COSELL_JWT_COMPANIES",
        None,
        "Slugs of the companies that the issuer may speak for, parted by commas. Unset: every company",
    ),
    setting(
        "jwt.default_roles",
        "COSELL_JWT_DEFAULT_ROLES",
        None,
        "Roles of a token that has no claim for them, such as `VIEWER`, parted by commas. Unset: such a token is refused",
    ),
    setting("http.playground", "COSELL_PLAYGROUND", Some("true"), "Whether `/` serves the playground"),
    setting("http.introspection", "COSELL_INTROSPECTION", Some("true"), "Whether the schema can be read over the API"),
    setting(
        "http.allowed_origins",
        "COSELL_ALLOWED_ORIGINS",
        None,
        "Origins whose pages may call the API, such as `https://portal.example.com`, parted by commas; `loopback`: pages \
         that the user's own machine serves, at any port, for development alone; `*`: any. Unset: the server's own pages \
         alone, and in the demo `loopback`",
    ),
    setting(
        "http.allowed_headers",
        "COSELL_ALLOWED_HEADERS",
        None,
        "Headers that pages of other origins may send besides `Accept`, `Authorization`, `Content-Type`, `traceparent` and \
         `tracestate`, such as `x-client-version`, parted by commas",
    ),
    setting(
        "http.trusted_proxies",
        "COSELL_TRUSTED_PROXIES",
        None,
        "Addresses and networks of proxies, such as `10.0.0.0/8`, parted by commas: the caller's address is read from \
         their `X-Forwarded-For`, and their connections are not limited by address",
    ),
    setting(
        "documents.cache_bytes",
        "COSELL_DOCUMENT_CACHE_BYTES",
        Some("16777216"),
        "Memory for compiled documents, which clients may name by their hash (automatic persisted queries), in bytes, up to 1073741824; \
         0: off",
    ),
    setting(
        "documents.manifest",
        "COSELL_DOCUMENT_MANIFEST",
        None,
        "Path of a JSON file of trusted documents, by their ids",
    ),
    setting(
        "documents.trusted_only",
        "COSELL_TRUSTED_DOCUMENTS_ONLY",
        Some("false"),
        "Whether the documents of `documents.manifest` alone may run",
    ),
    setting(
        "limits.max_body_bytes",
        "COSELL_MAX_BODY_BYTES",
        Some("262144"),
        "Largest request body, in bytes, 1024 to 16777216",
    ),
    setting("limits.max_depth", "COSELL_MAX_DEPTH", Some("15"), "Deepest nesting of an operation, 1 to 64"),
    setting(
        "limits.max_complexity",
        "COSELL_MAX_COMPLEXITY",
        Some("20000"),
        "Highest cost of an operation: a field costs 1, times the size of the page it is in",
    ),
    setting(
        "limits.max_fields",
        "COSELL_MAX_FIELDS",
        Some("5000"),
        "Most fields of a document's operations, fragments written out",
    ),
    setting("limits.max_aliases", "COSELL_MAX_ALIASES", Some("100"), "Most aliases of an operation"),
    setting("limits.max_root_fields", "COSELL_MAX_ROOT_FIELDS", Some("50"), "Most fields at the root of an operation"),
    setting(
        "limits.max_directives",
        "COSELL_MAX_DIRECTIVES",
        Some("50"),
        "Most directives of a document's operations, fragments written out",
    ),
    setting(
        "limits.max_tokens",
        "COSELL_MAX_TOKENS",
        Some("10000"),
        "Most tokens in a document: names, values, punctuation",
    ),
    setting(
        "limits.max_variables_bytes",
        "COSELL_MAX_VARIABLES_BYTES",
        Some("131072"),
        "Largest variables of an operation, in bytes of JSON",
    ),
    setting(
        "limits.max_answer_bytes",
        "COSELL_MAX_ANSWER_BYTES",
        Some("8388608"),
        "Largest answer, and largest result of a subscription, in bytes of JSON, 65536 to 1073741824",
    ),
    setting(
        "limits.max_batch",
        "COSELL_MAX_BATCH",
        Some("1"),
        "Most operations in one request, as a JSON array; 1: no arrays are taken",
    ),
    setting(
        "limits.member_rate",
        "COSELL_MEMBER_RATE",
        Some("6000/1m"),
        "How many operations a member may send at once to this server, and the time in which as many more come free; \
         `off`: no limit",
    ),
    setting(
        "limits.address_rate",
        "COSELL_ADDRESS_RATE",
        Some("30000/1m"),
        "The same for the requests of an address (of IPv6: its /64), whoever calls; `off`: no limit",
    ),
    setting(
        "limits.max_connections",
        "COSELL_MAX_CONNECTIONS",
        Some("20000"),
        "Most connections open at a time; further ones are answered 503 and closed",
    ),
    setting(
        "limits.max_connections_per_address",
        "COSELL_MAX_CONNECTIONS_PER_ADDRESS",
        Some("2000"),
        "Most connections of one address (of IPv6: its /64); further ones are answered 429 and closed",
    ),
    setting(
        "limits.header_timeout",
        "COSELL_HEADER_TIMEOUT",
        Some("30s"),
        "How long a client may take with a request's headers, and how long a connection without a request is kept",
    ),
    setting(
        "limits.write_timeout",
        "COSELL_WRITE_TIMEOUT",
        Some("30s"),
        "How long a connection may take no data that waits for it before it is closed",
    ),
    setting(
        "limits.request_timeout",
        "COSELL_REQUEST_TIMEOUT",
        Some("30s"),
        "Longest time to read a request's body, and again to answer it; on the database, longest time of a statement",
    ),
    setting(
        "limits.ws_init_timeout",
        "COSELL_WS_INIT_TIMEOUT",
        Some("10s"),
        "How long a websocket may wait with `connection_init`, and how long a reserved event stream waits to be opened",
    ),
    setting(
        "limits.ws_max_message_bytes",
        "COSELL_WS_MAX_MESSAGE_BYTES",
        Some("65536"),
        "Largest message a websocket may send, in bytes, 1024 to 16777216",
    ),
    setting(
        "limits.ws_max_operations",
        "COSELL_WS_MAX_OPERATIONS",
        Some("100"),
        "Most operations running at a time on one websocket, or on one event stream that was reserved",
    ),
    setting(
        "limits.ws_ping_interval",
        "COSELL_WS_PING_INTERVAL",
        Some("20s"),
        "How often the server pings a websocket; one that is silent for three times as long is closed",
    ),
    setting(
        "limits.ws_send_timeout",
        "COSELL_WS_SEND_TIMEOUT",
        Some("10s"),
        "How long a websocket may take no data that waits for it before it is closed with 1013, and an event stream before it is ended",
    ),
    setting(
        "limits.ws_max_sockets",
        "COSELL_WS_MAX_SOCKETS",
        Some("100"),
        "Most websockets and event streams that a member may have open or reserved at a time on this server",
    ),
    setting(
        "bus.url",
        "COSELL_BUS",
        Some("memory"),
        "What tells servers of each other's events: `memory` (nothing: one server), `postgres` (the database's NOTIFY), \
         `nats://HOST:4222` or `tls://HOST:4222`, with `USER:PASSWORD@` or `TOKEN@` where NATS wants it",
    ),
    setting(
        "feed.poll_interval",
        "COSELL_FEED_POLL_INTERVAL",
        Some("500ms"),
        "How often the event logs are looked at when nothing wakes their readers, 10ms to 1h",
    ),
    setting(
        "feed.retention",
        "COSELL_FEED_RETENTION",
        Some("90d"),
        "How far back a subscription can begin; what is older is read with the query `activity`. At least a minute",
    ),
    setting(
        "jobs.expiry_interval",
        "COSELL_EXPIRY_INTERVAL",
        Some("1s"),
        "How often leads past their limit are recorded as expired",
    ),
    setting(
        "jobs.expiring_before",
        "COSELL_EXPIRING_BEFORE",
        Some("24h"),
        "How long before its limit a lead's sides are told that it comes near, though never before three quarters of the \
         time have passed; 1 minute to 365 days",
    ),
    setting(
        "idempotency.retention",
        "COSELL_IDEMPOTENCY_RETENTION",
        Some("7d"),
        "How long an idempotency key is remembered; 1 minute to 365 days",
    ),
    setting(
        "log.filter",
        "COSELL_LOG",
        Some("info"),
        "What is logged: a level, or directives such as `info,cosell=debug`",
    ),
    setting("log.format", "COSELL_LOG_FORMAT", Some("text"), "`text` or `json`, a line an event on standard error"),
    setting(
        "metrics.listen",
        "COSELL_METRICS_LISTEN",
        None,
        "Address and port of a listener of its own that serves `/metrics` and nothing else; unset: no metrics",
    ),
    setting(
        "otlp.endpoint",
        "COSELL_OTLP_ENDPOINT",
        None,
        "Base URL of an OpenTelemetry collector that spans are sent to by OTLP over HTTP, such as \
         `http://127.0.0.1:4318`; unset: no spans",
    ),
    setting(
        "otlp.headers",
        "COSELL_OTLP_HEADERS",
        None,
        "Headers of each call to the collector, as `NAME=VALUE,NAME=VALUE`; the values are never shown",
    ),
    setting("otlp.service_name", "COSELL_OTLP_SERVICE_NAME", Some("cosell"), "As what spans name this server"),
    setting(
        "otlp.sample_ratio",
        "COSELL_OTLP_SAMPLE_RATIO",
        Some("1"),
        "How many of the traces that begin here are recorded, 0 to 1; a trace that a caller began is recorded where the \
         caller says so",
    ),
];

/// The settings that may hold a secret, by their keys. Each can also be read from a file, which the variable of its name
/// with `_FILE` at the end names, as service managers and container engines hand secrets out.
pub const SECRETS: &[&str] = &["database.url", "jwt.secret", "bus.url", "otlp.headers"];

impl Setting {
    /// Whether its value may hold a secret.
    pub fn is_secret(&self) -> bool {
        SECRETS.contains(&self.key)
    }

    /// Whether this environment variable sets it.
    pub fn is_set_by(&self, name: &str) -> bool {
        name == self.env || (self.is_secret() && name.strip_suffix("_FILE") == Some(self.env))
    }

    /// The environment variable that names the file to read it from, where it may hold a secret.
    pub fn file_env(&self) -> Option<String> {
        self.is_secret().then(|| format!("{}_FILE", self.env))
    }
}

/// The environment variable that names the file; `--config` wins over it.
pub const CONFIG_FILE_ENV: &str = "COSELL_CONFIG";

/// The setting of that key.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}
