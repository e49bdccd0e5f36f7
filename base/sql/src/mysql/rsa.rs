//! A password encrypted for a server's public key: what `caching_sha2_password` asks for without TLS.
//!
//! Only encryption with a public key, by RSAES-OAEP with SHA-1 (RFC 8017, 7.1.1): nothing secret but the message, which
//! the server decrypts. The key comes from the network and is distrusted.

use sha1::{Digest as _, Sha1};

/// The length of a SHA-1 hash.
const HASH: usize = 20;
/// Keys below it are broken, keys above are a way to keep us busy.
const KEY_BITS: std::ops::RangeInclusive<usize> = 1024..=8192;

/// A public key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The modulus, in digits of 32 bits, the lowest first.
    modulus: Vec<u32>,
    exponent: u64,
    bytes: usize,
}

impl PublicKey {
    /// Reads a key as servers send it: PEM, `BEGIN PUBLIC KEY`.
    ///
    /// Errors: what is wrong with it.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<PublicKey, &'static str> {
        let text = std::str::from_utf8(pem).map_err(|_| "it is no text")?;
        let body = text
            .split_once("-----BEGIN PUBLIC KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PUBLIC KEY-----"))
            .ok_or("it is no public key in PEM")?;
        let der = from_base64(body.0).ok_or("it is not Base64")?;
        let damaged = "its fields are damaged";
        let mut outer = Der(Der(&der).value(0x30).ok_or(damaged)?);
        // Which algorithm it is for: the parts that follow fit RSA alone.
        outer.value(0x30).ok_or(damaged)?;
        let bits = outer.value(0x03).ok_or(damaged)?;
        let mut key = Der(Der(bits.strip_prefix(&[0]).ok_or(damaged)?).value(0x30).ok_or(damaged)?);
        let modulus = without_zeros(key.value(0x02).ok_or(damaged)?);
        let exponent = without_zeros(key.value(0x02).ok_or(damaged)?);
        if !KEY_BITS.contains(&(modulus.len() * 8)) {
            return Err("it has less than 1,024 bits, or more than 8,192");
        }
        if exponent.len() > 8 {
            return Err("its exponent is too large");
        }
        let exponent = exponent.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
        let modulus_digits = digits(modulus);
        if exponent < 3 || exponent.is_multiple_of(2) || modulus_digits[0].is_multiple_of(2) {
            return Err("its numbers are none of an RSA key");
        }
        Ok(PublicKey { modulus: modulus_digits, exponent, bytes: modulus.len() })
    }

    /// Encrypts a message; `seed` is random and used once.
    ///
    /// Errors: a message that is longer than the key allows.
    pub(crate) fn encrypt(&self, message: &[u8], seed: [u8; HASH]) -> Result<Vec<u8>, &'static str> {
        let room = self.bytes - 2 * HASH - 2;
        if message.len() > room {
            return Err("the password is longer than the server's key allows");
        }
        let mut block = vec![0; self.bytes];
        block[1..=HASH].copy_from_slice(&seed);
        let data = 1 + HASH;
        block[data..data + HASH].copy_from_slice(&Sha1::digest([]));
        let end = block.len() - message.len();
        block[end - 1] = 1;
        block[end..].copy_from_slice(message);
        let (head, body) = block.split_at_mut(data);
        mask(&head[1..], body);
        mask(body, &mut head[1..]);
        let power = power(&digits(&block), self.exponent, &self.modulus);
        let bytes: Vec<u8> = power.iter().rev().flat_map(|digit| digit.to_be_bytes()).collect();
        // Digits may hold more bytes than the modulus has; those are zero.
        Ok(bytes[bytes.len() - self.bytes..].to_vec())
    }
}

/// XORs `bytes` with the hashes that follow from `seed` (MGF1).
fn mask(seed: &[u8], bytes: &mut [u8]) {
    for (counter, piece) in (0u32..).zip(bytes.chunks_mut(HASH)) {
        let mut hash = Sha1::new();
        hash.update(seed);
        hash.update(counter.to_be_bytes());
        for (byte, mask) in piece.iter_mut().zip(hash.finalize()) {
            *byte ^= mask;
        }
    }
}

/// Fields of ASN.1 in DER.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next field, if it has this tag.
    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&[found, length], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => {
                let (&bytes, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(bytes)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (found == tag).then_some(value)
    }
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    &bytes[zeros..]
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0u32, 0);
    for letter in text.bytes().filter(|letter| !letter.is_ascii_whitespace()) {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            // What lies above was pushed before.
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

/// Big-endian bytes as digits of 32 bits, the lowest first.
fn digits(bytes: &[u8]) -> Vec<u32> {
    let digit = |chunk: &[u8]| chunk.iter().fold(0, |value, &byte| value << 8 | u32::from(byte));
    bytes.rchunks(4).map(digit).collect()
}

/// `base` to the power of `exponent`, by an odd modulus of as many digits, by Montgomery's multiplication.
fn power(base: &[u32], exponent: u64, modulus: &[u32]) -> Vec<u32> {
    // The inverse of the lowest digit by Newton's iteration, which doubles the bits that are right.
    let low = modulus[0];
    let inverse =
        (0..5).fold(low, |inverse, _| inverse.wrapping_mul(2u32.wrapping_sub(low.wrapping_mul(inverse))));
    let montgomery = Montgomery { modulus, factor: inverse.wrapping_neg() };
    // R and R·base, R being 2^32 to the number of digits, by doubling.
    let doubled = |start: Vec<u32>| (0..32 * modulus.len()).fold(start, |value, _| montgomery.doubled(value));
    let mut unit = vec![0; modulus.len()];
    unit[0] = 1;
    let base = doubled(base.to_vec());
    let mut result = doubled(unit.clone());
    for bit in (0..64 - exponent.leading_zeros()).rev() {
        result = montgomery.product(&result, &result);
        if exponent >> bit & 1 == 1 {
            result = montgomery.product(&result, &base);
        }
    }
    montgomery.product(&result, &unit)
}

struct Montgomery<'a> {
    modulus: &'a [u32],
    /// −1 by the modulus, by 2^32.
    factor: u32,
}

impl Montgomery<'_> {
    /// a·b/R.
    fn product(&self, a: &[u32], b: &[u32]) -> Vec<u32> {
        let length = self.modulus.len();
        let mut sum = vec![0u32; length + 2];
        for &digit in a {
            let mut carry = 0;
            for (place, &other) in sum.iter_mut().zip(b) {
                let value = u64::from(*place) + u64::from(digit) * u64::from(other) + carry;
                (*place, carry) = (value as u32, value >> 32);
            }
            let value = u64::from(sum[length]) + carry;
            (sum[length], sum[length + 1]) = (value as u32, (value >> 32) as u32);
            let factor = u64::from(sum[0].wrapping_mul(self.factor));
            let mut carry = (u64::from(sum[0]) + factor * u64::from(self.modulus[0])) >> 32;
            for place in 1..length {
                let value = u64::from(sum[place]) + factor * u64::from(self.modulus[place]) + carry;
                (sum[place - 1], carry) = (value as u32, value >> 32);
            }
            let value = u64::from(sum[length]) + carry;
            (sum[length - 1], carry) = (value as u32, value >> 32);
            sum[length] = sum[length + 1].wrapping_add(carry as u32);
        }
        let over = sum[length] != 0;
        sum.truncate(length);
        self.reduced(sum, over)
    }

    /// 2·a.
    fn doubled(&self, mut value: Vec<u32>) -> Vec<u32> {
        let mut carry = 0;
        for digit in &mut value {
            (*digit, carry) = (*digit << 1 | carry, *digit >> 31);
        }
        self.reduced(value, carry != 0)
    }

    /// Takes the modulus off once where the value, with what went over its digits, is not below it.
    fn reduced(&self, value: Vec<u32>, over: bool) -> Vec<u32> {
        let mut less = value.clone();
        let mut borrow = false;
        for (digit, &modulus) in less.iter_mut().zip(self.modulus) {
            let (first, one) = digit.overflowing_sub(modulus);
            let (second, other) = first.overflowing_sub(u32::from(borrow));
            (*digit, borrow) = (second, one || other);
        }
        if over || !borrow { less } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDDvlTPJMmQhplb2ejfXquwTmIC
BLeiz3xfpHCBectwX0Mq1WlN7GIyP6XsijkGEQOVZIvuVQh/FWKH3Uragmf9btj1
lhp7tv6DBwW3pEpfdSzqj3ghMfq2IYtTgboAp5qWSMu8l+Mb4k3EhrmPRv+tUjWh
hztwsTz0NmimIFkVswIDAQAB
-----END PUBLIC KEY-----
";
    const USUAL: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA3GVtWv5qpYq3cmtJF1wK
beXn9XWFOJ3zArpWAcJMbR8ABuyU3PuD7A5lX8V5KzN4IQrwt7AZgBtLLdBwoWYF
SpGSOUGxUu6TUeXg/QEIypaTXAxQkBbl2Jg+VuaIyU0gQp+/6prdZwylwseTT0ti
FZmNr6xY6ulMWk8c0qFd7PwTMseHzFNPKJBAIh/gw33YhA/NdDkBoN/FAHPWnpKb
qJFvUipTx7iIacxROBLY7b+ryONgq8vkjOzujYt5lFIERT7RIonuQ3vKPfBZntuv
zxuqKFFOAOvY3np7LsGMwkgJIFRT4pOd8X1wL6tD9uAx0262sqNghWW70or4Qmbo
GwIDAQAB
-----END PUBLIC KEY-----
";

    #[test]
    fn what_is_encrypted_is_what_openssl_decrypts() {
        // The hashes are of what `openssl pkeyutl -decrypt -pkeyopt rsa_padding_mode:oaep` read as `s3cret\0`.
        let check = |pem: &str, bytes: usize, expected: &str| {
            let key = PublicKey::from_pem(pem.as_bytes()).unwrap();
            let seed = std::array::from_fn(|place| place as u8);
            let encrypted = key.encrypt(b"s3cret\0", seed).unwrap();
            let hash: String =
                sha2::Sha256::digest(&encrypted).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((encrypted.len(), hash.as_str()), (bytes, expected));
            assert!(key.encrypt(&vec![1; bytes - 42], seed).is_ok());
            assert!(key.encrypt(&vec![1; bytes - 41], seed).is_err());
        };
        check(SMALL, 128, "f5ad26faf61dc9ee295fbeb048c65e70bf86ba5f65b63d8eebda7d8ed1d59241");
        check(USUAL, 256, "a1e99f8c27267205f4da6ec7aafbfbb2a24f51623f237140ae29444e8af04d6c");
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let whole = SMALL.as_bytes();
        for place in 0..whole.len() {
            for byte in [b'A', b'/', b'\n', 0xff] {
                let mut pem = whole.to_vec();
                pem[place] = byte;
                if let Ok(key) = PublicKey::from_pem(&pem) {
                    let _ = key.encrypt(b"x", [0; HASH]);
                }
            }
            assert!(PublicKey::from_pem(&whole[..place]).is_err() || place >= whole.len() - 1);
        }
    }
}
