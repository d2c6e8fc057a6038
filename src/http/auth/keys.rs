//! Keys, each bound to the algorithms of its kind.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// What keys of a key set may sign with.
pub(super) const PUBLIC_KEY_ALGORITHMS: [Algorithm; 4] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];
/// What an RSA key signs with, unless its issuer says which.
const RSA: &[Algorithm] = &[Algorithm::RS256, Algorithm::PS256];

/// A key and the algorithms it is for, all of its kind.
pub(super) struct VerifyingKey {
    pub(super) algorithms: &'static [Algorithm],
    pub(super) decoding: DecodingKey,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

impl VerifyingKey {
    pub(super) fn from_secret(secret: &str) -> Self {
        Self { algorithms: &[Algorithm::HS256], decoding: DecodingKey::from_secret(secret.as_bytes()) }
    }

    /// A public key (or a certificate) in PEM: RSA of 2048 bits or more, P-256, or Ed25519.
    pub(super) fn from_pem(pem: &str) -> Result<Self, String> {
        if pem.contains("PRIVATE KEY-----") {
            return Err("holds a private key, which does not belong on this server; give the public key".to_owned());
        }
        let bytes = pem.as_bytes();
        let candidates: [(&[Algorithm], &'static dyn VerificationAlgorithm, _); 3] = [
            (RSA, &RSA_PKCS1_2048_8192_SHA256, DecodingKey::from_rsa_pem(bytes)),
            (&[Algorithm::ES256], &ECDSA_P256_SHA256_FIXED, DecodingKey::from_ec_pem(bytes)),
            (&[Algorithm::EdDSA], &ED25519, DecodingKey::from_ed_pem(bytes)),
        ];
        for (algorithms, verification, decoding) in candidates {
            if let Ok(decoding) = decoding
                && let Ok(raw) = decoding.try_get_as_bytes()
                && ParsedPublicKey::new(verification, raw).is_ok()
            {
                return Ok(Self { algorithms, decoding });
            }
        }
        Err("holds no public key that can be used: RSA of 2048 to 8192 bits, P-256 or Ed25519, in PEM".to_owned())
    }

    /// A key of a key set; nothing when it is not for verifying, or of a kind that is not accepted here.
    pub(super) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let for_signatures = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
        let for_verifying =
            common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let algorithms: &[Algorithm] = match (&jwk.algorithm, common.key_algorithm) {
            (AlgorithmParameters::RSA(_), None) => RSA,
            (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS256)) => &[Algorithm::RS256],
            (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS256)) => &[Algorithm::PS256],
            (AlgorithmParameters::EllipticCurve(it), None | Some(KeyAlgorithm::ES256))
                if it.curve == EllipticCurve::P256 =>
            {
                &[Algorithm::ES256]
            }
            (AlgorithmParameters::OctetKeyPair(it), None | Some(KeyAlgorithm::EdDSA))
                if it.curve == EllipticCurve::Ed25519 =>
            {
                &[Algorithm::EdDSA]
            }
            // A shared secret has no place in a public document.
            _ => return None,
        };
        if !for_signatures || !for_verifying {
            return None;
        }
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        let sound = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => {
                BASE64_URL_SAFE_NO_PAD.decode(&rsa.n).is_ok_and(|n| (256..=1024).contains(&n.len()))
            }
            AlgorithmParameters::EllipticCurve(_) => parses(&ECDSA_P256_SHA256_FIXED, &decoding),
            _ => parses(&ED25519, &decoding),
        };
        sound.then_some(Self { algorithms, decoding })
    }
}

fn parses(algorithm: &'static dyn VerificationAlgorithm, key: &DecodingKey) -> bool {
    key.try_get_as_bytes().is_ok_and(|raw| ParsedPublicKey::new(algorithm, raw).is_ok())
}
