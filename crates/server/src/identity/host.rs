//! Which names this server answers to while no identity is configured.
//!
//! A page on the web can give its own host name the address 127.0.0.1 and so have a browser send this server
//! requests that look same-site (DNS rebinding). What gives it away is the name in `Host`: without identity only
//! names of this machine are answered.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;

use crate::app::App;

/// Whether a request is for a name this server answers to: any name where identity is configured.
pub(super) fn is_answered(app: &App, request: &Request) -> bool {
    app.identity.is_configured() || is_own(request, &app.host)
}

/// True if every name the request is for is a loopback one or `configured`. HTTP/1.0 names none.
fn is_own(request: &Request, configured: &str) -> bool {
    let of_headers = request.headers().get_all(HOST).iter().map(|value| {
        let authority = Authority::try_from(value.as_bytes()).ok();
        authority.map(|authority| authority.host().to_owned())
    });
    let of_target = request.uri().host().map(|host| Some(host.to_owned()));
    of_headers.chain(of_target).all(|host| {
        host.is_some_and(|host| is_loopback_name(&host) || host.eq_ignore_ascii_case(configured))
    })
}

/// True for `localhost` and addresses of the loopback network, with or without brackets.
pub(crate) fn is_loopback_name(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn answered(hosts: &[&str], target: &str) -> bool {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        is_own(&request.body(Body::empty()).expect("a request"), "here.internal")
    }

    #[test]
    fn only_own_names_are_answered() {
        for host in [
            "localhost",
            "LocalHost:8082",
            "127.0.0.1",
            "127.8.9.1:80",
            "[::1]:8082",
            "here.internal:1",
        ] {
            assert!(answered(&[host], "/"), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8082",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.1.1",
            "[::2]",
            "",
            "a b",
        ] {
            assert!(!answered(&[host], "/"), "{host}");
        }
        assert!(answered(&[], "/"), "HTTP/1.0");
        assert!(!answered(&["localhost", "evil.example"], "/"));
        assert!(!answered(&["localhost"], "http://evil.example/"));
    }
}
