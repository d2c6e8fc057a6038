//! Signals over NATS: a subject for each company, so that a server hears only of those that it has subscribers of.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event, ServerAddr, Subscriber};
use futures_util::StreamExt;
use percent_encoding::percent_decode_str;
use tokio::{sync::watch, task::JoinHandle, time::sleep};
use url::Url;
use uuid::Uuid;

use super::{Heads, Shared, Wire};
use crate::{domain::id::CompanyId, store::away::pause};

/// How many messages of a company wait to be read at most. What is dropped then is noticed and looked for.
const WAITING: usize = 256;
/// How often the server is asked for a sign of life; it is given up when it owes two.
const HEARTBEAT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(shared: Arc<Shared>, wire: Arc<Wire>, url: String, installation: String) {
    let line = watch::Sender::new(Line::default());
    let mut seen = line.subscribe();
    // A line of one's own to speak to oneself: what comes back on it has passed all that was sent before it.
    let subjects = Subjects {
        of_feeds: format!("cosell.{installation}.feed."),
        echo: format!("cosell.{installation}.echo.{}", Uuid::now_v7()),
    };
    let client = match connect(&url, line).await {
        Ok(client) => client,
        Err(error) => return wire.away(&error),
    };
    let mut telling = seen.clone();
    tokio::join!(listen(&shared, &wire, &client, &subjects, &mut seen), tell(&wire, &client, &subjects, &mut telling),);
}

/// The connection's state, as its events tell it.
#[derive(Clone, Debug, Default)]
struct Line {
    up: bool,
    /// How often it came up.
    ups: u64,
    /// How often messages were dropped because they were not read in time.
    dropped: u64,
    /// How often something went wrong, and the last of it.
    faults: u64,
    fault: String,
}

struct Subjects {
    of_feeds: String,
    echo: String,
}

impl Subjects {
    fn of(&self, company: CompanyId) -> String {
        format!("{}{}", self.of_feeds, company.0)
    }
}

/// Comes back at once: the connection is made, and made again, in the background.
async fn connect(url: &str, line: watch::Sender<Line>) -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
    let mut url = Url::parse(url)?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (decoded(url.username()), url.password().map(decoded));
    // The client gets the address without the secrets: it names the address in its own log.
    let _ = (url.set_username(""), url.set_password(None));
    let mut options = ConnectOptions::new()
        .name("cosell")
        .retry_on_initial_connect()
        .max_reconnects(None)
        .connection_timeout(CONNECT_TIMEOUT)
        .ping_interval(HEARTBEAT)
        .subscription_capacity(WAITING)
        // The first try is waited with only as long as keeps many servers apart.
        .reconnect_delay_callback(|attempt| match u32::try_from(attempt) {
            Ok(0 | 1) => pause(1) / 4,
            attempt => pause(attempt.unwrap_or(u32::MAX)),
        })
        .event_callback(move |event| {
            line.send_modify(|line| line.take(&event));
            std::future::ready(())
        });
    options = match password {
        Some(password) => options.user_and_password(user, password),
        None if !user.is_empty() => options.token(user),
        None => options,
    };
    Ok(options.connect(ServerAddr::from_url(url)?).await?)
}

impl Line {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Connected => {
                self.up = true;
                self.ups += 1;
            }
            Event::Disconnected | Event::Closed => {
                self.up = false;
                "the connection was lost".clone_into(&mut self.fault);
            }
            Event::SlowConsumer(_) => self.dropped += 1,
            Event::ServerError(error) => self.fail(error.to_string()),
            Event::ClientError(error) => self.fail(error.to_string()),
            Event::LameDuckMode | Event::Draining => {}
        }
    }

    fn fail(&mut self, fault: String) {
        self.faults += 1;
        self.fault = fault;
    }
}

/// One company's subscription, which ends when it is dropped.
struct Ear(JoinHandle<()>);

impl Drop for Ear {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen(
    shared: &Arc<Shared>,
    wire: &Wire,
    client: &Client,
    subjects: &Subjects,
    line: &mut watch::Receiver<Line>,
) {
    let mut ears: HashMap<CompanyId, Ear> = HashMap::new();
    let Ok(mut echo) = client.subscribe(subjects.echo.clone()).await else { return };
    let mut last = Line::default();
    // What the line was at the start counts as news too.
    line.mark_changed();
    loop {
        tokio::select! {
            changed = line.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = line.borrow_and_update().clone();
                if now.ups != last.ups {
                    // The subscriptions of before were renewed before this is sent.
                    say(client, &subjects.echo, String::new()).await;
                }
                if now.dropped != last.dropped {
                    shared.look(None);
                }
                if now.up {
                    wire.here();
                    if now.ups == last.ups && now.faults != last.faults && now.fault != last.fault {
                        tracing::warn!("the bus {} complains: {}", wire.name, now.fault);
                    }
                    // Nobody's coming and going was looked at while it was away.
                    if !last.up {
                        turn(shared, wire, client, subjects, &mut ears).await;
                    }
                } else if now.faults > 0 || now.ups > 0 {
                    wire.away(&now.fault);
                }
                last = now;
            }
            said = echo.next() => match said {
                Some(said) if said.payload.is_empty() => shared.look(None),
                Some(said) => {
                    if let Ok(company) = Uuid::from_slice(&said.payload) {
                        shared.look(Some(CompanyId(company)));
                    }
                }
                None => return,
            },
            () = wire.turns.notified(), if last.up => turn(shared, wire, client, subjects, &mut ears).await,
        }
    }
}

/// Begins to listen for the companies that somebody here has begun to wait for, and stops for the others.
async fn turn(
    shared: &Arc<Shared>,
    wire: &Wire,
    client: &Client,
    subjects: &Subjects,
    ears: &mut HashMap<CompanyId, Ear>,
) {
    for company in wire.turned() {
        if !shared.is_watched(company) {
            ears.remove(&company);
        } else if let Entry::Vacant(place) = ears.entry(company) {
            let Ok(subscriber) = client.subscribe(subjects.of(company)).await else { return };
            place.insert(Ear(tokio::spawn(hear(shared.clone(), company, subscriber))));
            // What moved between the first look at the log and the subscription was not heard.
            say(client, &subjects.echo, company.0.as_bytes().to_vec()).await;
        }
    }
}

async fn hear(shared: Arc<Shared>, company: CompanyId, mut subscriber: Subscriber) {
    while let Some(said) = subscriber.next().await {
        if let Some(head) = std::str::from_utf8(&said.payload).ok().and_then(|text| text.parse().ok()) {
            shared.brought(&[(company, head)]);
        }
    }
}

async fn say(client: &Client, subject: &str, text: impl Into<Vec<u8>>) {
    if let Err(error) = client.publish(subject.to_owned(), text.into().into()).await {
        tracing::debug!(%error, "NATS takes nothing");
    }
}

async fn tell(wire: &Wire, client: &Client, subjects: &Subjects, line: &mut watch::Receiver<Line>) {
    loop {
        // While it is away the heads gather here, one a company, and not in the client.
        if line.wait_for(|line| line.up).await.is_err() {
            return;
        }
        let heads = wire.next().await;
        let told = tokio::select! {
            told = publish(client, subjects, &heads) => told,
            _ = line.wait_for(|line| !line.up) => false,
        };
        if told {
            wire.done();
        } else {
            wire.again(heads);
            sleep(pause(1)).await;
        }
    }
}

async fn publish(client: &Client, subjects: &Subjects, heads: &Heads) -> bool {
    for (company, head) in heads {
        if client.publish(subjects.of(*company), head.to_string().into()).await.is_err() {
            return false;
        }
    }
    client.flush().await.is_ok()
}
