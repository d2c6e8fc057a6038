//! `cosell demo`.

mod people;
mod sample;

use std::{
    fmt::Write as _,
    io::{self, ErrorKind, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use clap::Args;

use self::people::{COMPANIES, PEOPLE, Person};
use super::{
    Failure, Outcome, connect, load,
    lock::Lock,
    migrate, say,
    serve::{self, End},
    service, system_clock,
};
use crate::{
    clock::ManualClock,
    config::{Config, DatabaseUrl, KeySource, MIN_SECRET_BYTES, Origins, Secret, Shared},
    http::{
        self,
        auth::{NewToken, mint},
    },
};

const DATABASE: &str = "sqlite://cosell-demo.db";
/// How long the tokens hold, from each start.
const VALID: TimeDelta = TimeDelta::days(30);

/// Serve sample data, to look around in
///
/// On its first start it makes a database with companies, people and leads in every stage; later starts keep what is
/// there. It prints the playground's address, where you pick who you are, and bearer tokens for elsewhere, which it also
/// writes into FILE.env beside the database, for a shell to read. The secret that signs them is kept in FILE.secret, unless
/// COSELL_JWT_SECRET is set. Pages that your own machine serves may call (COSELL_ALLOWED_ORIGINS=loopback).
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    cosell demo\n  \
    cosell demo --listen 127.0.0.1:9000 --database sqlite:///tmp/try.db")]
pub(super) struct Demo {
    /// Address and port; COSELL_LISTEN or 127.0.0.1:8080 when left out
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The database; COSELL_DATABASE_URL or sqlite://cosell-demo.db when left out
    #[arg(long, value_name = "URL", value_parser = DatabaseUrl::parse)]
    database: Option<DatabaseUrl>,
}

pub(super) async fn run(demo: &Demo, file: Option<&Path>) -> Outcome {
    let mut config = load(file)?;
    settle(&mut config, demo)?;
    serve::start_log(&config)?;
    let alone = Lock::take(&config.database.url).await?;
    let fresh = prepare(&config).await?;
    if !matches!(config.jwt.key, Some(KeySource::Secret(_))) {
        config.jwt.key = Some(KeySource::Secret(secret(&config.database.url)?));
    }
    // Its people are of its own making.
    (config.jwt.companies, config.jwt.issuers) = (None, Vec::new());
    let end = End::prepare()?;
    let people = people(&config)?;
    let tokens = write_tokens(&config.database.url, &people)?;
    let server = serve::start(config.clone(), system_clock(), people.clone()).await?;
    say(greeting(&config, server.addr, fresh, &people, &tokens))?;
    serve::run_until(end, server).await?;
    drop(alone);
    Ok(())
}

/// What the demo sets where the operator has set nothing.
fn settle(config: &mut Config, demo: &Demo) -> Outcome {
    let untouched = |key: &str, value: &str| {
        crate::config::SETTINGS.iter().any(|setting| setting.key == key && setting.default == Some(value))
    };
    if let Some(url) = &demo.database {
        config.database.url = url.clone();
    } else if untouched("database.url", config.database.url.expose()) {
        config.database.url = DatabaseUrl::parse(DATABASE).map_err(Failure::new)?;
    }
    config.listen = demo.listen.unwrap_or(config.listen);
    if config.http.allowed_origins == Origins::Own {
        // Whoever tries things out has a page on a server for development.
        config.http.allowed_origins = Origins::These(vec![Shared::Loopback]);
    }
    if untouched("log.filter", &config.log.filter) {
        "warn".clone_into(&mut config.log.filter);
    }
    Ok(())
}

/// Brings the database up to date and, where it is empty, to life. Says whether it was empty.
async fn prepare(config: &Config) -> Result<bool, Failure> {
    let url = &config.database.url;
    let db = connect(config).await?;
    migrate::up(&db, config).await?;
    let service = service(db, system_clock()).await?;
    let slugs: Vec<_> = service.companies().await?.into_iter().map(|company| company.slug).collect();
    let ours = COMPANIES.iter().filter(|(slug, _)| slugs.iter().any(|found| found == slug)).count();
    let fresh = slugs.is_empty();
    if fresh {
        let clock = std::sync::Arc::new(ManualClock::new(service.now()));
        let teller = super::service(service.db().clone(), clock.clone()).await?;
        sample::load(&teller, &clock).await?;
    } else if ours == 0 {
        let message = format!("{url} holds other companies: the demo needs a database of its own (--database URL).");
        return Err(Failure::new(message));
    } else if ours < COMPANIES.len() {
        let message =
            format!("An earlier start was interrupted while it filled {url}: remove that database, and start again.");
        return Err(Failure::new(message));
    }
    service.db().clone().close().await;
    Ok(fresh)
}

/// The secret beside an `SQLite` file, made at the first start. A demo on a server has one for each start.
fn secret(url: &DatabaseUrl) -> Result<Secret, Failure> {
    let Some(database) = url.sqlite_file() else { return Ok(fresh_secret()) };
    let file = beside(database, ".secret");
    let name = file.display();
    match std::fs::read_to_string(&file) {
        Ok(text) if text.trim().len() >= MIN_SECRET_BYTES => return Ok(Secret::new(text.trim())),
        Ok(_) => return Err(Failure::new(format!("{name} holds no secret: remove it, and start again."))),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::new(format!("{name} can't be read: {error}."))),
    }
    let secret = fresh_secret();
    keep(&file, secret.expose()).map_err(|error| unwritable(&file, &error))?;
    Ok(secret)
}

/// A file beside another one, with its name and this at the end.
fn beside(file: PathBuf, end: &str) -> PathBuf {
    let mut file = file.into_os_string();
    file.push(end);
    PathBuf::from(file)
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} can't be written: {error}.", file.display()))
}

/// Writes the tokens into a file for a shell to read, in place of those of an earlier start.
fn write_tokens(url: &DatabaseUrl, people: &[http::Person]) -> Result<PathBuf, Failure> {
    let file = beside(url.sqlite_file().unwrap_or_else(|| PathBuf::from("cosell-demo")), ".env");
    let mut text = String::from(
        "# Bearer tokens of the people of cosell's demo, for a shell to read; written anew at each of its starts.\n\
         # Whoever has one is that person.\n",
    );
    for http::Person { name, role, company, token, .. } in people {
        // Writing into a string does not fail.
        let _ = write!(text, "\n# {name}, {role} of {company}\nexport {}={}\n", variable(name), token.expose());
    }
    // Made anew, so that its mode is what it should be.
    let removed = match std::fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    removed.and_then(|()| keep(&file, text.trim_end())).map_err(|error| unwritable(&file, &error))?;
    Ok(file)
}

/// What a shell calls a person's token: the first name in capitals.
fn variable(name: &str) -> String {
    name.split(' ').next().unwrap_or(name).to_uppercase()
}

fn fresh_secret() -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

/// Writes a file that nobody else can read.
fn keep(file: &Path, text: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    writeln!(options.open(file)?, "{text}")
}

/// The people, each with a token.
fn people(config: &Config) -> Result<Vec<http::Person>, Failure> {
    let now = system_clock().now();
    let with_token = |person: &Person| {
        let Person { company, subject, name, role, part } = *person;
        let email = person.email();
        let token = NewToken {
            company,
            subject,
            roles: &[role],
            name: Some(name),
            email: Some(&email),
            issued_at: now,
            expires_at: now + VALID,
        };
        let token =
            mint(&config.jwt, &token).map_err(|error| Failure::new(format!("No token can be made: {error}.")))?;
        let company_name = COMPANIES.iter().find(|it| it.0 == company).map_or(company, |it| it.1);
        Ok(http::Person {
            id: subject.to_owned(),
            name: name.to_owned(),
            company: company.to_owned(),
            company_name: company_name.to_owned(),
            role: role.as_str(),
            part: part.to_owned(),
            token: Secret::new(token),
        })
    };
    PEOPLE.iter().map(with_token).collect()
}

fn greeting(config: &Config, address: SocketAddr, fresh: bool, people: &[http::Person], tokens: &Path) -> String {
    // An address that means every one of the machine's is none that a browser can go to.
    let host = if address.ip().is_unspecified() { "localhost".to_owned() } else { host(address) };
    let (host, port) = (host, address.port());
    let data = if fresh { "with new sample data" } else { "with the data of an earlier start" };
    let (playground, way) = match (config.http.playground, cosell_playground::MISSING) {
        (false, _) => (String::new(), "Use these tokens"),
        (true, Some(_)) => (
            format!("playground  http://{host}:{port}/ (not in this build: the page says why)\n  "),
            "Use these tokens",
        ),
        (true, None) => {
            let way = "In the playground, pick a person; elsewhere, use these tokens";
            (format!("playground  http://{host}:{port}/\n  "), way)
        }
    };
    let mut text = format!(
        "cosell's demo runs on {}, {data}. Ctrl-C ends it.\n\n  \
         {playground}GraphQL     http://{host}:{port}/graphql\n  \
         websocket   ws://{host}:{port}/graphql/ws\n\n\
         {way}, valid for {} days. A shell reads them with\n\n  . {}\n",
        config.database.url,
        VALID.num_days(),
        sourced(tokens),
    );
    for person in people {
        let http::Person { name, role, company, part, token, .. } = person;
        // Writing into a string does not fail.
        let _ = write!(text, "\n{name}, {role} of {company}, {part}\n{}={}\n", variable(name), token.expose());
    }
    text.truncate(text.trim_end().len());
    text
}

/// A path as a shell's dot takes it: it looks for one without a slash elsewhere.
fn sourced(file: &Path) -> String {
    let name = file.display().to_string();
    let name = if name.contains('/') { name } else { format!("./{name}") };
    if name.chars().all(|it| it.is_alphanumeric() || "/._-+~".contains(it)) {
        name
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        domain::{actor::Role, clock::Clock as _, page::PageRequest, workflow::definition::TrackKey},
        service::member::Bearer,
        store::{
            db::{Db, PoolSize},
            lead::{LeadFilter, LeadSort},
        },
    };

    #[tokio::test]
    async fn the_sample_has_leads_in_every_stage_and_talk_on_both_sides() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("demo.db").display());
        let db = Db::connect(&url, PoolSize::default()).await.unwrap();
        db.migrate().await.unwrap();
        let now = system_clock().now();
        let clock = Arc::new(ManualClock::new(now));
        let told = service(db.clone(), clock.clone()).await.unwrap();
        sample::load(&told, &clock).await.unwrap();
        assert_eq!(clock.now(), now, "the story ends now");

        let seen = |company: &str, subject: &str| {
            let person = PEOPLE.iter().find(|it| (it.company, it.subject) == (company, subject)).unwrap();
            let (roles, name, email) = (vec![person.role], Some(person.name.to_owned()), Some(person.email()));
            let bearer = Bearer { company: company.to_owned(), subject: subject.to_owned(), roles, name, email };
            let told = &told;
            async move {
                let member = told.sign_in(bearer).await.unwrap();
                let (filter, page) = (LeadFilter::default(), PageRequest { first: Some(50), ..PageRequest::default() });
                let page = told.leads(&member, &filter, LeadSort::Created, false, page).await.unwrap();
                page.edges.into_iter().map(|edge| edge.1).collect::<Vec<_>>()
            }
        };
        let leads = seen("northwind", "nora").await;
        let stages: Vec<_> = leads.iter().map(|lead| lead.stage.as_str()).collect();
        assert!(stages.len() >= 20);
        for stage in [
            "new",
            "pending",
            "accepted",
            "declined",
            "expired",
            "closed_converted",
            "closed_not_converted",
            "withdrawn",
            "assigned",
            "disqualified",
        ] {
            assert!(stages.contains(&stage), "{stage}: {stages:?}");
        }
        let statuses: Vec<_> = leads.iter().filter_map(|lead| lead.at(TrackKey::Status)).collect();
        for status in ["new", "requires_more_info", "accepted", "rejected", "recurring_payment"] {
            assert!(statuses.contains(&status), "{status}: {statuses:?}");
        }
        let paid = leads.iter().find(|lead| lead.at(TrackKey::Status) == Some("recurring_payment")).unwrap();
        assert_eq!(paid.expires_at, None, "the next check is due by now");
        let nora = told
            .sign_in(Bearer {
                company: "northwind".to_owned(),
                subject: "nora".to_owned(),
                roles: vec![Role::Sales],
                name: None,
                email: None,
            })
            .await
            .unwrap();
        let ids: Vec<_> = leads.iter().filter_map(|lead| lead.opportunity).collect();
        let deals = told.opportunities_by_ids(&nora, &ids).await.unwrap();
        assert!(deals.iter().any(|deal| deal.stage == "won"), "{deals:?}");
        let assigned = leads.iter().find(|lead| lead.stage == "assigned").unwrap();
        let definition = told.definition(&assigned.workflow).await.unwrap();
        let offered = told.available_actions(&nora, assigned, &definition);
        assert!(offered.iter().any(|action| action.key == "qualify"), "{offered:?}");
        let lists = told.marketing_lists(&nora, false, PageRequest::default()).await.unwrap();
        assert_eq!(lists.edges.len(), 1);
        assert!(!seen("contoso", "clara").await.is_empty());
        assert!(!seen("fabrikam", "finn").await.is_empty());
        assert!(seen("tailspin", "tess").await.is_empty());
        db.close().await;
    }

    #[test]
    fn a_secret_is_made_once_and_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::parse(&format!("sqlite://{}", folder.path().join("demo.db").display())).unwrap();
        let first = secret(&url).unwrap();
        assert!(first.expose().len() >= MIN_SECRET_BYTES);
        assert_eq!(secret(&url).unwrap(), first);
        let file = folder.path().join("demo.db.secret");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
        std::fs::write(&file, "short").unwrap();
        assert!(secret(&url).unwrap_err().message.contains("demo.db.secret holds no secret"));
    }

    #[test]
    fn tokens_are_for_the_shell_of_whoever_started_it_alone_and_those_of_an_earlier_start_go() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::parse(&format!("sqlite://{}", folder.path().join("demo.db").display())).unwrap();
        let person = |token: &str| http::Person {
            id: "nora".to_owned(),
            name: "Nora Lindqvist".to_owned(),
            company: "northwind".to_owned(),
            company_name: "Northwind".to_owned(),
            role: "SALES",
            part: "the vendor".to_owned(),
            token: Secret::new(token),
        };
        std::fs::write(folder.path().join("demo.db.env"), "whoever may read this").unwrap();
        for token in ["eyJ.a-b_c.d", "eyJ.e.f"] {
            let file = write_tokens(&url, &[person(token)]).unwrap();
            assert_eq!(file, folder.path().join("demo.db.env"));
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(
                text.ends_with(&format!("\n# Nora Lindqvist, SALES of northwind\nexport NORA={token}\n")),
                "{text}"
            );
            #[cfg(unix)]
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
        }
        assert_eq!(sourced(Path::new("a.db.env")), "./a.db.env");
        assert_eq!(sourced(Path::new("/tmp/it's/a.env")), r"'/tmp/it'\''s/a.env'");
    }
}
