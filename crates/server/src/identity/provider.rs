//! The cryptography of tokens: ring, which the TLS of the databases brings along anyway.
//!
//! Exactly the algorithms of [`super::Algorithm`] are here; whatever else a token or key asks for is refused.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ED25519, Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use ring::{hmac, signature};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has every token of this process checked and made here. Safe to repeat.
pub(super) fn install() {
    // An error says that it is installed already.
    let _ = PROVIDER.install_default();
}

/// A key that checks signatures.
enum CheckingKey {
    Hmac(hmac::Key),
    Rsa(DecodingKeyKind),
    Ed25519(Vec<u8>),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is the library's")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    belongs(*algorithm, key.family())?;
    let checking = match algorithm.family() {
        AlgorithmFamily::Hmac => {
            CheckingKey::Hmac(hmac::Key::new(hmac::HMAC_SHA256, key.try_get_as_bytes()?))
        }
        AlgorithmFamily::Rsa => CheckingKey::Rsa(key.kind().clone()),
        AlgorithmFamily::Ed => CheckingKey::Ed25519(key.try_get_as_bytes()?.to_vec()),
        AlgorithmFamily::Ec => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    Ok(Box::new(Checker { algorithm: *algorithm, key: checking }))
}

/// Refuses a key of one kind under an algorithm of another, such as an RSA key as an HMAC secret.
fn belongs(algorithm: Algorithm, family: AlgorithmFamily) -> Result<()> {
    let known = matches!(algorithm, Algorithm::HS256 | Algorithm::RS256 | Algorithm::EdDSA);
    if known && algorithm.family() == family {
        Ok(())
    } else {
        Err(ErrorKind::InvalidAlgorithm.into())
    }
}

struct Checker {
    algorithm: Algorithm,
    key: CheckingKey,
}

impl Verifier<Vec<u8>> for Checker {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let checked = match &self.key {
            CheckingKey::Hmac(key) => hmac::verify(key, message, signature),
            CheckingKey::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature)
            }
            CheckingKey::Rsa(DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(message, signature)
            }
            CheckingKey::Rsa(DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(
                    &RSA_PKCS1_2048_8192_SHA256,
                    message,
                    signature,
                )
            }
        };
        checked.map_err(|_| Error::new())
    }
}

impl JwtVerifier for Checker {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// A key that makes signatures.
enum SigningKey {
    Hmac(hmac::Key),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is the library's")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    belongs(*algorithm, key.family())?;
    let bytes = key.as_bytes();
    let signing = match algorithm.family() {
        AlgorithmFamily::Hmac => SigningKey::Hmac(hmac::Key::new(hmac::HMAC_SHA256, bytes)),
        AlgorithmFamily::Rsa => {
            let pair = RsaKeyPair::from_der(bytes);
            SigningKey::Rsa(pair.map_err(|e| ErrorKind::InvalidRsaKey(e.to_string()))?)
        }
        AlgorithmFamily::Ed => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes);
            SigningKey::Ed25519(pair.map_err(|_| ErrorKind::InvalidEddsaKey)?)
        }
        AlgorithmFamily::Ec => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    Ok(Box::new(Maker { algorithm: *algorithm, key: signing }))
}

struct Maker {
    algorithm: Algorithm,
    key: SigningKey,
}

impl Signer<Vec<u8>> for Maker {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        match &self.key {
            SigningKey::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            SigningKey::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            SigningKey::Rsa(pair) => {
                let mut made = vec![0; pair.public().modulus_len()];
                let padding: &dyn signature::RsaEncoding = &RSA_PKCS1_SHA256;
                let signed = pair.sign(padding, &SystemRandom::new(), message, &mut made);
                signed.map(|()| made).map_err(|_| Error::new())
            }
        }
    }
}

impl JwtSigner for Maker {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
