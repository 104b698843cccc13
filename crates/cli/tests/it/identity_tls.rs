//! Keys that come over TLS: believed if an authority signed for the issuer that this machine trusts, and not otherwise.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use crate::identity::{ask, key_file, token};
use crate::process::Folder;

/// Whose signature a machine can be told to trust.
struct Authority {
    issuer: rcgen::Issuer<'static, KeyPair>,
    /// Its certificate, PEM.
    certificate: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names to be wrong");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed").pem();
        Self { issuer: rcgen::Issuer::new(params, key), certificate }
    }

    /// Configuration of a server whose certificate, signed by this authority, is for `localhost`.
    fn server(&self) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().expect("versions there are");
        let config = config.with_no_client_auth();
        config.with_single_cert(vec![certificate.der().clone()], key).expect("key and certificate")
    }

    /// Starts an issuer of the key `ed` under a certificate of this authority; its port.
    fn offer_keys(&self) -> u16 {
        let config = Arc::new(self.server());
        let key = fs_err::read_to_string(key_file("ed25519.jwk.json")).expect("the key is there");
        let set = format!("{{\"keys\": [{key}]}}");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever does not trust the certificate hangs up, which is their right.
                let _ = answer(config.clone(), stream, &set);
            }
        });
        port
    }
}

/// Answers a request with `body` and closes.
fn answer(config: Arc<ServerConfig>, stream: TcpStream, body: &str) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let (mut request, mut part) = (Vec::new(), [0; 1024]);
    while memchr::memmem::find(&request, b"\r\n\r\n").is_none() {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Ok(());
        }
        request.extend(&part[..read]);
    }
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// A folder whose keys come from `host` and whose machine trusts `authority`.
fn trusting(authority: &Authority, host: &str, port: u16) -> Folder {
    let folder = Folder::new();
    let roots = folder.path().join("roots.pem");
    fs_err::write(&roots, &authority.certificate).expect("written");
    folder
        .with("SSL_CERT_FILE", &roots.display().to_string())
        .with("SONA_IDENTITY_JWKS", &format!("https://{host}:{port}/keys"))
        .with("SONA_SERVER_PORT", "0")
}

/// What `sona doctor` says of identity, good or bad.
fn doctor(folder: &Folder, code: i32) -> String {
    let report = folder.sona(&["doctor", "--json"]).expect(code).json();
    let checks = report["checks"].as_array().expect("a list");
    let found = checks.iter().find(|check| check["check"] == "identity").expect("a check");
    assert_eq!(found["ok"], code == 0, "{found}");
    found["detail"].as_str().expect("text").to_owned()
}

/// A token signed with the key `ed`.
fn adas_token() -> String {
    let folder = Folder::new()
        .with("SONA_IDENTITY_PUBLIC_KEY_FILE", &key_file("ed25519.pub.pem"))
        .with("SONA_IDENTITY_PRIVATE_KEY_FILE", &key_file("ed25519.pem"));
    token(&folder, &["--subject", "ada", "--key-id", "ed"])
}

#[test]
fn keys_are_fetched_from_an_issuer_whose_authority_is_trusted() {
    let authority = Authority::new("Ours");
    let folder = trusting(&authority, "localhost", authority.offer_keys());
    let sona = folder.start(&["serve"]);
    let (status, list) = ask(&folder, &sona, &adas_token(), &json!({}));
    assert_eq!((status.as_str(), &list["user_id"]), ("200", &json!("ada")));
    assert!(doctor(&folder, 0).contains("1 keys of identity.jwks"));
}

#[test]
fn an_issuer_of_another_authority_is_not_believed() {
    let (theirs, ours) = (Authority::new("Theirs"), Authority::new("Ours"));
    let folder = trusting(&ours, "localhost", theirs.offer_keys());
    let sona = folder.start(&["serve"]);
    assert_eq!(ask(&folder, &sona, &adas_token(), &json!({})).0, "401");
    let said = doctor(&folder, 1);
    assert!(said.contains("UnknownIssuer") && said.contains("SSL_CERT_FILE"), "{said}");
}

#[test]
fn a_certificate_for_another_name_is_not_believed() {
    let authority = Authority::new("Ours");
    let folder = trusting(&authority, "127.0.0.1", authority.offer_keys());
    let said = doctor(&folder, 1);
    assert!(said.contains("not valid for name") && !said.contains("SSL_CERT_FILE"), "{said}");
}
