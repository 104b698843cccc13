//! Where the server is, and what the collections on it are called.

use sha2::{Digest, Sha256};

use crate::error::{self, Error, Result};

/// The gRPC port.
const PORT: u16 = 6334;

/// The name of an installation that has none.
const NAME: &str = "sona";

/// The longest name of an installation.
const MAX_NAME: usize = 64;

/// The longest name of a collection is 255 bytes; what is longer is called by its digest.
const MAX_COLLECTION: usize = 255;

/// A server and an installation's part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// What the client connects to.
    pub(super) endpoint: String,
    /// For people.
    pub(super) shown: String,
    name: String,
}

impl Place {
    /// Reads `qdrant://HOST[:PORT][/NAME]` or `qdrants://…`. Credentials do not belong in it.
    pub(super) fn read(url: &str) -> Result<Self> {
        // A key may stand where others have a user.
        let secretless = url.rsplit_once('@').map_or(url, |(_, host)| host);
        let refused = || Error::Url(error::redact(secretless));
        let (scheme, rest) = url.split_once("://").ok_or_else(refused)?;
        let http = match scheme {
            "qdrant" => "http",
            "qdrants" => "https",
            _ => return Err(refused()),
        };
        let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
        let name = if name.is_empty() { NAME } else { name };
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        let is_host = !authority.is_empty() && !authority.contains(['@', '?', '#', ' ']);
        if !is_host || name.len() > MAX_NAME || !name.bytes().all(fits) {
            return Err(refused());
        }
        let (host, port) = host_and_port(authority).ok_or_else(refused)?;
        Ok(Self {
            endpoint: format!("{http}://{host}:{port}"),
            shown: format!("{scheme}://{host}:{port}/{name}"),
            name: name.to_owned(),
        })
    }

    /// The collection of an encoder's vectors: different for different encoders, of characters every server takes.
    pub(super) fn collection(&self, encoder: &str) -> String {
        let mut collection = format!("{}.", self.name);
        for byte in encoder.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'-' {
                collection.push(char::from(byte));
            } else {
                collection.push('_');
                collection.push_str(&hex(&[byte]));
            }
        }
        if collection.len() > MAX_COLLECTION {
            // No other has two dots.
            return format!("{}..{}", self.name, hex(&Sha256::digest(encoder)));
        }
        collection
    }

    /// Whether a collection is of this installation.
    pub(super) fn owns(&self, collection: &str) -> bool {
        collection.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with('.'))
    }
}

/// `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.
fn host_and_port(authority: &str) -> Option<(&str, u16)> {
    let after_address = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[after_address..].rfind(':').map(|at| at + after_address) {
        None => Some((authority, PORT)),
        Some(0) => None,
        Some(at) => Some((&authority[..at], authority[at + 1..].parse().ok()?)),
    }
}

/// Two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_server_and_a_part_of_it() {
        let check = |url, endpoint: &str, shown: &str| {
            let place = Place::read(url).expect("a URL");
            assert_eq!((&*place.endpoint, &*place.shown), (endpoint, shown));
        };
        check("qdrant://db", "http://db:6334", "qdrant://db:6334/sona");
        check("qdrant://db:7000/", "http://db:7000", "qdrant://db:7000/sona");
        check("qdrants://q.eu.io/a-B_1", "https://q.eu.io:6334", "qdrants://q.eu.io:6334/a-B_1");
        check("qdrant://[::1]:6334", "http://[::1]:6334", "qdrant://[::1]:6334/sona");
        check("qdrant://[::1]", "http://[::1]:6334", "qdrant://[::1]:6334/sona");
    }

    #[test]
    fn what_is_no_url_is_refused_without_its_secrets() {
        let long = format!("qdrant://db/{}", "x".repeat(MAX_NAME + 1));
        for url in [
            "",
            "qdrant:",
            "qdrant://",
            "qdrant:///x",
            "http://db:6334",
            "qdrant://db:port",
            "qdrant://db:70000",
            "qdrant://db/a/b",
            "qdrant://db/a.b",
            "qdrant://:6334",
            "qdrant://u:s3cret@db",
            "qdrant://s3cret@db",
            "qdrant://db?api_key=s3cret",
            &long,
        ] {
            let error = Place::read(url).expect_err(url);
            assert!(matches!(&error, Error::Url(_)), "{url}: {error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn every_encoder_has_a_collection_of_its_own() {
        let place = Place::read("qdrant://db/shop").expect("a URL");
        assert_eq!(place.collection("learned-1"), "shop.learned-1");
        assert_eq!(place.collection("imported:a_b"), "shop.imported_3aa_5fb");
        let long = "x".repeat(300);
        let names = ["a_", "a-", "a_5f", "é", "", &long, &format!("{long}x")];
        let collections: Vec<_> = names.iter().map(|name| place.collection(name)).collect();
        for (at, collection) in collections.iter().enumerate() {
            assert!(collection.len() <= MAX_COLLECTION && place.owns(collection), "{collection}");
            assert!(!collections[..at].contains(collection), "{collection}");
        }
        for other in ["shop", "shop2.learned-1", "sho.p", "other.shop.x"] {
            assert!(!place.owns(other), "{other}");
        }
    }
}
