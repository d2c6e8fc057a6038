//! Signals over `PostgreSQL`'s LISTEN and NOTIFY: a channel for each company, on two connections beside the pool.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::{Shared, Wire};
use crate::{
    domain::id::CompanyId,
    store::{
        away::pause,
        notify::{Listener, Notifier},
    },
};

/// How often a listening connection on which nothing comes is asked for a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) async fn run(shared: Arc<Shared>, wire: Arc<Wire>, url: String, installation: String) {
    let channels = Channels(format!("cosell_{installation}_"));
    let name = format!("cosell bus {installation}");
    tokio::join!(
        listen(&shared, &wire, &url, &name, &channels),
        tell(&wire, Notifier::new(url.clone(), name.clone()), &channels)
    );
}

/// The names of companies' channels. They have at most 63 bytes, as `PostgreSQL` wants it, and tell installations in
/// the same database apart.
struct Channels(String);

impl Channels {
    fn of(&self, company: CompanyId) -> String {
        format!("{}{}", self.0, company.0.simple())
    }

    fn company(&self, channel: &str) -> Option<CompanyId> {
        channel.strip_prefix(&self.0)?.parse().ok().map(CompanyId)
    }
}

async fn tell(wire: &Wire, mut notifier: Notifier, channels: &Channels) {
    let mut attempt = 0;
    loop {
        let heads = wire.next().await;
        let names: Vec<_> = heads.keys().map(|company| channels.of(*company)).collect();
        let texts: Vec<_> = heads.values().map(ToString::to_string).collect();
        match notifier.notify(&names, &texts).await {
            Ok(()) => {
                wire.done();
                attempt = 0;
            }
            Err(error) => {
                wire.again(heads);
                attempt += 1;
                if attempt == 1 {
                    tracing::warn!(%error, "the bus {} can't be told that logs have moved; trying again", wire.name);
                }
                sleep(pause(attempt)).await;
            }
        }
    }
}

async fn listen(shared: &Shared, wire: &Wire, url: &str, name: &str, channels: &Channels) {
    let mut attempt = 0;
    // A command, or a server that never had a subscriber, needs no connection to listen on.
    while shared.watched().is_empty() {
        wire.turns.notified().await;
    }
    loop {
        match Listener::connect(url, name).await {
            Ok(listener) => {
                let mut heard = false;
                let error = hear(shared, wire, listener, channels, &mut heard).await;
                // A connection that was good for nothing is no reason to try again at once.
                attempt = if heard { 1 } else { attempt + 1 };
                wire.away(&error);
            }
            Err(error) => {
                attempt += 1;
                wire.away(&error);
            }
        }
        sleep(pause(attempt)).await;
    }
}

/// Listens on one connection, until it fails.
async fn hear(
    shared: &Shared,
    wire: &Wire,
    mut listener: Listener,
    channels: &Channels,
    heard: &mut bool,
) -> sqlx::Error {
    let work = async {
        // First forgets who came and went, then takes all who are there: whoever comes meanwhile is seen twice.
        wire.turned();
        let mut companies: HashSet<CompanyId> = shared.watched().keys().copied().collect();
        let names: Vec<_> = companies.iter().map(|company| channels.of(*company)).collect();
        listener.change(&names, &[]).await?;
        *heard = true;
        wire.here();
        shared.look(None);
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                told = listener.hear() => {
                    let told = told?;
                    let read = |(channel, text): (String, String)| Some((channels.company(&channel)?, text.parse().ok()?));
                    shared.brought(&told.into_iter().filter_map(read).collect::<Vec<_>>());
                }
                () = wire.turns.notified() => {
                    let turned = wire.turned();
                    let (come, gone): (Vec<_>, Vec<_>) = turned.into_iter().partition(|it| shared.is_watched(*it));
                    let come: Vec<_> = come.into_iter().filter(|company| companies.insert(*company)).collect();
                    let gone: Vec<_> = gone.into_iter().filter(|company| companies.remove(company)).collect();
                    if come.is_empty() && gone.is_empty() {
                        continue;
                    }
                    let names = |companies: &[CompanyId]| companies.iter().map(|it| channels.of(*it)).collect::<Vec<_>>();
                    listener.change(&names(&come), &names(&gone)).await?;
                    // What moved between the first look at the log and this moment was not heard.
                    for company in come {
                        shared.look(Some(company));
                    }
                }
                _ = heartbeat.tick() => listener.ping().await?,
            }
        }
    };
    match work.await {
        Ok::<std::convert::Infallible, _>(never) => match never {},
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_channel_s_name_fits_and_names_its_company() {
        let channels = Channels("cosell_0123456789abcdef_".to_owned());
        let company = CompanyId(Uuid::from_u128(7));
        let channel = channels.of(company);
        assert!(channel.len() <= 63, "{channel}");
        assert_eq!(channels.company(&channel), Some(company));
        assert_eq!(Channels("cosell_fedcba9876543210_".to_owned()).company(&channel), None);
        assert_eq!(channels.company("cosell_0123456789abcdef_nobody"), None);
    }
}
