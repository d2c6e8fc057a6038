//! How often callers may come: a bucket of tokens for each member and for each address.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::request::Parts;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;

use super::server::Peer;
use crate::config::{Config, Rate};
use crate::domain::id::MemberId;
use crate::error::{ErrorCode, Fault};

/// How often a full bucket is looked for and forgotten, in requests.
const SWEEP: u32 = 8192;

/// One caller's network: an address of IPv4, or the /64 of one of IPv6, which is what a household or a server gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        })
    }
}

/// The buckets of a server.
#[derive(Debug)]
pub struct Rates {
    members: Option<Buckets<MemberId>>,
    addresses: Option<Buckets<Network>>,
    trusted_proxies: Vec<IpNet>,
}

impl Rates {
    /// As configured, all full.
    pub fn new(config: &Config) -> Self {
        Self {
            members: config.limits.member_rate.map(|rate| Buckets::new(rate, MonotonicClock)),
            addresses: config.limits.address_rate.map(|rate| Buckets::new(rate, MonotonicClock)),
            trusted_proxies: config.http.trusted_proxies.clone(),
        }
    }

    /// Takes a token of the caller's address for a request.
    pub(super) fn of_address(&self, parts: &Parts) -> Result<(), Fault> {
        let (Some(buckets), Some(peer)) = (&self.addresses, parts.extensions.get::<Peer>()) else { return Ok(()) };
        let address = client(peer.address.ip(), parts, &self.trusted_proxies);
        buckets
            .take(&address.into(), NonZeroU32::MIN)
            .map_err(|wait| refusal(wait, "Too many requests from this address"))
    }

    /// Takes a member's tokens for so many operations.
    pub(super) fn of_member(&self, member: MemberId, operations: NonZeroU32) -> Result<(), Fault> {
        let Some(buckets) = &self.members else { return Ok(()) };
        buckets.take(&member, operations).map_err(|wait| refusal(wait, "Too many operations of this member"))
    }
}

fn refusal(wait: Wait, what: &str) -> Fault {
    match wait {
        Wait::Seconds(seconds) => {
            let message = format!("{what}: come again in {seconds} s.");
            Fault::new(ErrorCode::RateLimited, message).retry_after(seconds)
        }
        Wait::Never(burst) => {
            let message = format!("{what}: no more than {burst} are ever taken at once.");
            Fault::new(ErrorCode::RateLimited, message)
        }
    }
}

/// The address of the caller: the peer's, or that which the last trusted proxy has seen.
fn client(peer: IpAddr, parts: &Parts, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| is_proxy(address, trusted);
    let mut address = peer;
    if trusted.is_empty() || !is_trusted(address) {
        return address;
    }
    let values = parts.headers.get_all("x-forwarded-for").iter().rev();
    for part in values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')) {
        // What is no address was not written by a proxy that is trusted.
        let Some(next) = std::str::from_utf8(part).ok().and_then(forwarded) else { break };
        address = next;
        if !is_trusted(address) {
            break;
        }
    }
    address
}

/// Whether an address is that of a proxy whose word counts.
pub(super) fn is_proxy(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// An entry of `X-Forwarded-For`: an address, of some proxies with a port.
fn forwarded(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip())).ok()
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Seconds(u32),
    /// More than a full bucket holds, which is this.
    Never(u32),
}

type Limiter<K, C> = RateLimiter<K, DefaultKeyedStateStore<K>, C, NoOpMiddleware<<C as Clock>::Instant>>;

#[derive(Debug)]
struct Buckets<K: Hash + Eq + Clone, C: Clock + Clone = MonotonicClock> {
    limiter: Limiter<K, C>,
    clock: C,
    burst: u32,
    taken: AtomicU32,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Buckets<K, C> {
    fn new(rate: Rate, clock: C) -> Self {
        // The configuration was checked: the period is not zero.
        let quota = Quota::with_period(rate.refill / rate.burst.get())
            .unwrap_or_else(|| Quota::per_second(rate.burst))
            .allow_burst(rate.burst);
        let limiter = RateLimiter::new(quota, DefaultKeyedStateStore::default(), clock.clone());
        Self { limiter, clock, burst: rate.burst.get(), taken: AtomicU32::new(0) }
    }

    fn take(&self, key: &K, tokens: NonZeroU32) -> Result<(), Wait> {
        if self.taken.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            // A bucket that is full again is the same as none.
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        match self.limiter.check_key_n(key, tokens) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(early)) => {
                let wait = early.wait_time_from(self.clock.now());
                // Whole seconds, and never so early that it is refused again.
                Err(Wait::Seconds(u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)))
            }
            Err(_) => Err(Wait::Never(self.burst)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::Request;
    use governor::clock::FakeRelativeClock;

    use super::*;

    const ONE: NonZeroU32 = NonZeroU32::MIN;

    fn rate(burst: u32, refill: Duration) -> Rate {
        Rate { burst: NonZeroU32::new(burst).unwrap(), refill }
    }

    #[test]
    fn a_bucket_empties_and_fills_evenly_and_is_each_caller_s_own() {
        let clock = FakeRelativeClock::default();
        let buckets = Buckets::new(rate(3, Duration::from_secs(30)), clock.clone());
        for _ in 0..3 {
            assert_eq!(buckets.take(&"a", ONE), Ok(()));
        }
        assert_eq!(buckets.take(&"a", ONE), Err(Wait::Seconds(10)));
        assert_eq!(buckets.take(&"b", ONE), Ok(()));
        clock.advance(Duration::from_millis(9500));
        assert_eq!(buckets.take(&"a", ONE), Err(Wait::Seconds(1)));
        clock.advance(Duration::from_millis(500));
        assert_eq!(buckets.take(&"a", ONE), Ok(()));
        assert_eq!(buckets.take(&"a", ONE), Err(Wait::Seconds(10)));
        clock.advance(Duration::from_mins(1));
        assert_eq!(buckets.take(&"a", NonZeroU32::new(3).unwrap()), Ok(()));
        assert_eq!(buckets.take(&"a", NonZeroU32::new(4).unwrap()), Err(Wait::Never(3)));
    }

    #[test]
    fn callers_that_are_gone_are_forgotten() {
        let clock = FakeRelativeClock::default();
        let buckets = Buckets::new(rate(3, Duration::from_secs(3)), clock.clone());
        for caller in 0..SWEEP {
            assert_eq!(buckets.take(&caller, ONE), Ok(()));
        }
        clock.advance(Duration::from_secs(10));
        for _ in 0..SWEEP {
            let _ = buckets.take(&0, ONE);
        }
        assert_eq!(buckets.limiter.len(), 1);
    }

    #[test]
    fn the_caller_s_address_is_what_a_trusted_proxy_has_seen() {
        let networks: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|it| it.parse().unwrap()).into();
        let of = |peer: &str, forwarded: &[&str]| {
            let mut request = Request::builder();
            for value in forwarded {
                request = request.header("X-Forwarded-For", *value);
            }
            let parts = request.body(()).unwrap().into_parts().0;
            client(peer.parse().unwrap(), &parts, &networks).to_string()
        };
        assert_eq!(of("192.0.2.1", &[]), "192.0.2.1");
        assert_eq!(of("192.0.2.1", &["198.51.100.7"]), "192.0.2.1", "anybody can write the header");
        assert_eq!(of("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(of("10.0.0.1", &["203.0.113.9", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(of("fd00::1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(of("fd00::1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(of("10.0.0.1", &["nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(of("10.0.0.1", &["\u{ff}, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn addresses_of_one_network_are_one_caller() {
        let network = |text: &str| Network::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff::2"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
