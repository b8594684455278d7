//! What users may point at: nothing of the platform's own network, whatever a name says and when it says it.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    str::FromStr,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;
use url::Url;

/// Longest URL that is taken.
const URL_LENGTH: usize = 1024;

/// Where clouds keep credentials beside link-local addresses: Amazon's and Google's by IPv6, and Alibaba's. All are in private
/// networks.
const CREDENTIALS: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
];

/// Which addresses may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Of the public internet only.
    Public,
    /// Private networks too, but neither this pod, whose sidecar is on loopback, nor link-local and other addresses where
    /// clouds keep credentials.
    Private,
    /// This machine as well: for a laptop. The operator never sets it.
    Loopback,
}

impl FromStr for Reach {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "public" => Ok(Self::Public),
            "private" => Ok(Self::Private),
            "loopback" => Ok(Self::Loopback),
            _ => Err("write public, private or loopback".to_owned()),
        }
    }
}

impl Reach {
    /// Whether this address may be reached.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if CREDENTIALS.contains(&address) {
            return false;
        }
        match self {
            Self::Public => is_public(address),
            Self::Private => is_public(address) || is_private(address),
            Self::Loopback => is_public(address) || is_private(address) || address.is_loopback(),
        }
    }
}

/// What webhooks and push subscriptions may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outbound {
    pub(crate) reach: Reach,
    pub(crate) ports: Vec<u16>,
}

impl Outbound {
    /// Reads a URL and says what is wrong with it. A name is looked up when it is called, each time.
    pub(crate) fn check(&self, text: &str) -> Result<Url, String> {
        if text.len() > URL_LENGTH {
            return Err(format!("must have at most {URL_LENGTH} characters"));
        }
        let url = Url::parse(text).map_err(|_| "must be a URL, for example https://example.com/hook".to_owned())?;
        match url.scheme() {
            "https" => {}
            // Inside of a private network certificates are rare.
            "http" if self.reach != Reach::Public => {}
            "http" => return Err("must begin with https://".to_owned()),
            _ => return Err("must be an https:// URL".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("must have no user, password or #fragment".to_owned());
        }
        if !url.port_or_known_default().is_some_and(|port| self.ports.contains(&port)) {
            let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
            return Err(format!("must have one of the ports that this platform allows: {}", ports.join(", ")));
        }
        match literal(&url) {
            Some(address) if !self.reach.allows(address) => {
                Err("must not be an address of a private network".to_owned())
            }
            _ => Ok(url),
        }
    }
}

/// The host, if it is an address and no name: those are never looked up.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Looks names up and gives only addresses that may be reached; without a limit, all. The connection is made to one of
/// these, so a name that says something else a moment later changes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver(pub(crate) Option<Reach>);

/// A name leads where it may not.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to an address of a private network")]
pub(crate) struct Refused;

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One that is refused is enough: an honest name has none.
            if reach.is_none_or(|reach| found.iter().all(|address| reach.allows(address.ip()))) {
                Ok(found.into_iter())
            } else {
                Err(Refused.into())
            }
        })
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || (address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// What IANA's registry of special-purpose addresses does not call globally reachable is not public.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18))
}

/// Global unicast is `2000::/3`; in it, tunnels that carry an IPv4 address and what is for documents are not public.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let special = first == 0x2001 && second < 0x0200;
    let documents = (first == 0x2001 && second == 0x0db8) || (first == 0x3fff && second < 0x1000);
    global && !special && !documents && first != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in ["8.8.8.8", "100.63.0.1", "172.32.0.1", "198.20.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(Reach::Public.allows(public.parse().unwrap()), "{public}");
        }
        for other in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "fe80::1",
            "fd00::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "3fff::1",
            "ff02::1",
        ] {
            assert!(!Reach::Public.allows(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn a_private_network_is_neither_this_pod_nor_what_is_local_to_a_link() {
        for allowed in ["10.0.0.1", "100.64.0.1", "fd00::1", "8.8.8.8"] {
            assert!(Reach::Private.allows(allowed.parse().unwrap()), "{allowed}");
        }
        for other in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1", "0.0.0.0"] {
            assert!(!Reach::Private.allows(other.parse().unwrap()), "{other}");
        }
        for of_a_cloud in ["100.100.100.200", "::ffff:100.100.100.200", "fd00:ec2::254", "fd20:ce::254"] {
            for reach in [Reach::Private, Reach::Loopback] {
                assert!(!reach.allows(of_a_cloud.parse().unwrap()), "{of_a_cloud}");
            }
        }
    }

    #[test]
    fn a_url_says_nothing_but_where() {
        let public = Outbound { reach: Reach::Public, ports: vec![443] };
        assert!(public.check("https://example.com/hook?x=1").is_ok());
        for (wrong, words) in [
            ("example.com", "must be a URL"),
            ("http://example.com/", "must begin with https"),
            ("ftp://example.com/", "https://"),
            ("https://a:b@example.com/", "no user"),
            ("https://example.com/#a", "fragment"),
            ("https://example.com:3500/", "ports that this platform allows: 443"),
            ("https://127.0.0.1/", "private network"),
            ("https://0x7f.1/", "private network"),
            ("https://[::1]/", "private network"),
            ("https://[::ffff:10.0.0.1]/", "private network"),
        ] {
            assert!(public.check(wrong).unwrap_err().contains(words), "{wrong}");
        }
        let private = Outbound { reach: Reach::Private, ports: vec![443, 8080] };
        assert!(private.check("http://10.0.0.1:8080/").is_ok());
        assert!(private.check("http://127.0.0.1:8080/").is_err());
    }
}
