//! The hash of a server's certificate to which a login is tied (RFC 5929, `tls-server-end-point`).

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// The object identifiers of signatures, without their last number.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
const ECDSA_WITH_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4];
const ECDSA_WITH_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3];

/// The hash of a certificate (DER) by the algorithm of its own signature; nothing for signatures that hash in no such way,
/// as Ed25519.
pub fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = signature_algorithm(certificate)?;
    let (last, family) = algorithm.split_last()?;
    Some(match (family, last) {
        // MD5 and SHA-1 are replaced by SHA-256, as the RFC says.
        (RSA, 4 | 5 | 11) | (ECDSA_WITH_SHA1, 1) | (ECDSA_WITH_SHA2, 2) => {
            Sha256::digest(certificate).to_vec()
        }
        (RSA, 14) | (ECDSA_WITH_SHA2, 1) => Sha224::digest(certificate).to_vec(),
        (RSA, 12) | (ECDSA_WITH_SHA2, 3) => Sha384::digest(certificate).to_vec(),
        (RSA, 13) | (ECDSA_WITH_SHA2, 4) => Sha512::digest(certificate).to_vec(),
        _ => return None,
    })
}

/// The object identifier of a certificate's signature: it stands behind what is signed.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (whole, _) = element(certificate, SEQUENCE)?;
    let (_signed, rest) = element(whole, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    element(algorithm, OBJECT_IDENTIFIER).map(|(identifier, _)| identifier)
}

/// The content of the element at the start, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // So many bytes of length follow; no certificate needs more than four.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    (first == tag).then_some(())?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::{element, end_point, signature_algorithm};

    #[test]
    fn elements_are_read_with_short_and_long_lengths_and_distrusted() {
        assert_eq!(element(&[0x30, 2, 1, 2, 3], 0x30), Some((&[1, 2][..], &[3][..])));
        assert_eq!(element(&[0x30, 0x82, 0, 1, 9], 0x30), Some((&[9][..], &[][..])));
        for broken in [
            &[][..],
            &[0x30],
            &[0x30, 5, 1],
            &[0x31, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 0x84, 255, 255, 255, 255],
        ] {
            assert_eq!(element(broken, 0x30), None);
        }
        for no_certificate in [&[][..], &[0x30], &[0x30, 0], &[0x30, 0x80, 0x30, 0x80, 0x30, 0x80]] {
            assert_eq!(end_point(no_certificate), None);
        }
    }

    #[test]
    fn the_algorithm_of_a_certificate_is_found() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let expected: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
        assert_eq!(signature_algorithm(certificate.der()), Some(expected));
        assert_eq!(end_point(certificate.der()).map(|hash| hash.len()), Some(48));
    }
}
