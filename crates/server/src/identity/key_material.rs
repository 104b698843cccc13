//! Reading secrets and PEM files, with errors that say what to do.

use jsonwebtoken::DecodingKey;

use super::options::{Algorithm, IdentityOptions, MIN_SECRET_BYTES, too_short};

/// Shorter RSA keys make DER files of fewer bytes than this; they are refused when a token comes.
const MIN_RSA_DER_BYTES: usize = 256;

/// Why identity cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The section contradicts itself.
    #[error("{0}")]
    Options(String),
    /// A file cannot be read.
    #[error("{key}: {source}")]
    File {
        /// The configuration key.
        key: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{key}: {file} {problem}")]
    Content {
        /// The configuration key.
        key: &'static str,
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing to make tokens with is configured.
    #[error(
        "no key to make tokens with: set identity.secret, identity.secret_file (HS256) or \
         identity.private_key_file (EdDSA, RS256)"
    )]
    NoSigningKey,
    /// The token that was made would be refused by this very configuration.
    #[error("the token would not be taken by a server with this configuration: {0}")]
    NotTaken(String),
}

/// The HS256 secret, if one is configured.
pub(super) fn secret(options: &IdentityOptions) -> Result<Option<Vec<u8>>, IdentityError> {
    if !options.secret_file.is_empty() {
        let key = "identity.secret_file";
        let mut bytes = read(key, &options.secret_file)?;
        bytes.truncate(bytes.trim_ascii_end().len());
        if bytes.len() < MIN_SECRET_BYTES {
            return Err(IdentityError::Options(too_short(key, bytes.len())));
        }
        return Ok(Some(bytes));
    }
    let secret = options.secret.0.as_bytes();
    Ok((!secret.is_empty()).then(|| secret.to_vec()))
}

/// The public key tokens are checked with, and its algorithm.
pub(super) fn public_key(file: &str) -> Result<(Algorithm, DecodingKey), IdentityError> {
    let key = "identity.public_key_file";
    let pem = read(key, file)?;
    let wrong = |problem: &str| IdentityError::Content {
        key,
        file: file.to_owned(),
        problem: problem.to_owned(),
    };
    if String::from_utf8_lossy(&pem).contains("PRIVATE KEY") {
        return Err(wrong(
            "holds a private key; the server needs the public one (`openssl pkey -in FILE -pubout`)",
        ));
    }
    if let Ok(key) = DecodingKey::from_ed_pem(&pem) {
        return Ok((Algorithm::EdDSA, key));
    }
    let key = DecodingKey::from_rsa_pem(&pem)
        .map_err(|_| wrong("holds no Ed25519 or RSA public key in PEM format"))?;
    if key.try_get_as_bytes().is_ok_and(|der| der.len() < MIN_RSA_DER_BYTES) {
        return Err(wrong("holds an RSA key of fewer than 2048 bits"));
    }
    Ok((Algorithm::RS256, key))
}

/// A file a configuration key names.
pub(super) fn read(key: &'static str, file: &str) -> Result<Vec<u8>, IdentityError> {
    fs_err::read(file).map_err(|source| IdentityError::File { key, source })
}
