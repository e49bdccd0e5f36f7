//! What is sent in place of a password, by the method that a server asks for.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha512};

/// `mysql_native_password`: SHA1(password) XOR SHA1(nonce, SHA1(SHA1(password))). Nothing for an empty password.
pub(crate) fn native(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password);
    let mut hash = Sha1::new();
    hash.update(nonce);
    hash.update(Sha1::digest(once));
    once.iter().zip(hash.finalize()).map(|(one, other)| one ^ other).collect()
}

/// `caching_sha2_password`: SHA256(password) XOR SHA256(SHA256(SHA256(password)), nonce). Nothing for an empty password.
pub(crate) fn caching_sha2(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha256::digest(password);
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(once));
    hash.update(nonce);
    once.iter().zip(hash.finalize()).map(|(one, other)| one ^ other).collect()
}

/// `client_ed25519` of MariaDB: the nonce, signed by Ed25519 with the password in place of the secret key's seed.
pub(crate) fn ed25519(password: &[u8], nonce: &[u8]) -> [u8; 64] {
    let expanded: [u8; 64] = Sha512::digest(password).into();
    let (mut lower, mut upper) = ([0; 32], [0; 32]);
    lower.copy_from_slice(&expanded[..32]);
    upper.copy_from_slice(&expanded[32..]);
    let clamped = clamp_integer(lower);
    let secret = Scalar::from_bytes_mod_order(clamped);
    let public = EdwardsPoint::mul_base_clamped(lower).compress();
    let hashed = |parts: &[&[u8]]| {
        let mut hash = Sha512::new();
        for part in parts {
            hash.update(part);
        }
        Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
    };
    let once = hashed(&[&upper, nonce]);
    let point = EdwardsPoint::mul_base(&once).compress();
    let proof = once + hashed(&[point.as_bytes(), public.as_bytes(), nonce]) * secret;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(point.as_bytes());
    signature[32..].copy_from_slice(proof.as_bytes());
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn hashes_are_as_their_formulas_say() {
        // From Python's hashlib.
        let nonce: Vec<u8> = (1..=20).collect();
        assert_eq!(hex(&native(b"s3cret", &nonce)), "f66fdd3ff855d9349a0ddb50c4a1a535fb412465");
        assert_eq!(
            hex(&caching_sha2(b"s3cret", &nonce)),
            "3f3a9a7786fd9be9a006eed686b4e6b76484fdc06dc15685df5f8793574b84fc"
        );
        assert!(native(b"", &nonce).is_empty() && caching_sha2(b"", &nonce).is_empty());
    }

    #[test]
    fn a_nonce_is_signed_as_ed25519_signs() {
        // RFC 8032, 7.1, test 2: there the secret key has 32 bytes, here a password any number.
        let secret = [
            0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f,
            0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
        ];
        assert_eq!(
            hex(&ed25519(&secret, &[0x72])),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
    }
}
