//! SCRAM-SHA-256 from the client's side: proving that one knows a password without saying it.
//!
//! The server proves the same in its last message, and a login without that proof is no login. Start at
//! [`Scram::new`]. Source: RFC 5802, RFC 7677, RFC 5929; the user's name is empty, since the server knows it already.

use sha2::{Digest as _, Sha256};

use super::error::PostgresError;
use crate::secret::Secret;

/// More rounds than any server asks for; a hostile one could else keep this client busy for hours.
const ITERATIONS_MAX: u32 = 10_000_000;

/// What TLS can say about the server that it speaks with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Binding {
    /// There is no TLS, or binding is switched off.
    None,
    /// There is TLS that could bind, and the server has not offered it.
    NotOffered,
    /// The hash of the server's certificate (`tls-server-end-point`).
    EndPoint(Vec<u8>),
}

/// One login.
pub(crate) struct Scram {
    password: Secret,
    binding: Binding,
    nonce: String,
    first_bare: String,
    state: State,
}

enum State {
    First,
    Final { signature: [u8; 32] },
    Verified,
}

impl Scram {
    /// Begins; `random` makes this login unlike any other.
    pub(crate) fn new(password: Secret, binding: Binding, random: &[u8]) -> Self {
        let nonce = encode_base64(random);
        let first_bare = format!("n=,r={nonce}");
        Scram { password, binding, nonce, first_bare, state: State::First }
    }

    /// The name of the mechanism.
    pub(crate) fn mechanism(&self) -> &'static str {
        match self.binding {
            Binding::EndPoint(_) => "SCRAM-SHA-256-PLUS",
            _ => "SCRAM-SHA-256",
        }
    }

    /// The client's first message.
    pub(crate) fn first(&self) -> String {
        format!("{}{}", self.header(), self.first_bare)
    }

    fn header(&self) -> &'static str {
        match self.binding {
            Binding::None => "n,,",
            Binding::NotOffered => "y,,",
            Binding::EndPoint(_) => "p=tls-server-end-point,,",
        }
    }

    /// The client's last message, as the answer to the server's first.
    pub(crate) fn answer(&mut self, server_first: &[u8]) -> Result<String, PostgresError> {
        if !matches!(self.state, State::First) {
            return Err(broken("its first message came twice"));
        }
        let server_first =
            std::str::from_utf8(server_first).map_err(|_| broken("its message is not text"))?;
        let mut parts = server_first.split(',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(rounds)) = (part("r="), part("s="), part("i=")) else {
            return Err(broken("its first message lacks a part"));
        };
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(broken("it answers another login"));
        }
        let salt = decode_base64(salt).ok_or_else(|| broken("its salt is not base64"))?;
        let rounds = rounds.parse().ok().filter(|rounds| (1..=ITERATIONS_MAX).contains(rounds));
        let rounds = rounds.ok_or_else(|| broken("its number of rounds is impossible"))?;

        let mut bound = self.header().as_bytes().to_vec();
        if let Binding::EndPoint(hash) = &self.binding {
            bound.extend_from_slice(hash);
        }
        let without_proof = format!("c={},r={nonce}", encode_base64(&bound));
        let exchange = format!("{},{server_first},{without_proof}", self.first_bare);
        let salted = salted_password(&prepared(self.password.reveal()), &salt, rounds);
        let client_key = hmac(&salted, b"Client Key");
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        let signature = hmac(&stored_key, exchange.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, other)| key ^ other).collect();
        self.state = State::Final { signature: hmac(&hmac(&salted, b"Server Key"), exchange.as_bytes()) };
        Ok(format!("{without_proof},p={}", encode_base64(&proof)))
    }

    /// Checks the server's proof in its last message.
    pub(crate) fn verify(&mut self, server_final: &[u8]) -> Result<(), PostgresError> {
        let State::Final { signature } = &self.state else {
            return Err(broken("its last message came too early"));
        };
        let proof = std::str::from_utf8(server_final).ok().and_then(|text| text.strip_prefix("v="));
        let proof = proof.and_then(|text| decode_base64(text.split(',').next().unwrap_or_default()));
        if proof.as_deref() != Some(&signature[..]) {
            return Err(PostgresError::Authentication {
                what: "the server does not know the password itself".to_owned(),
                hint: Some("somebody may be standing between this program and the server"),
            });
        }
        self.state = State::Verified;
        Ok(())
    }

    /// Whether the server has proved that it knows the password.
    pub(crate) fn is_verified(&self) -> bool {
        matches!(self.state, State::Verified)
    }
}

fn broken(what: &str) -> PostgresError {
    PostgresError::Authentication {
        what: format!("the server breaks the rules of SCRAM: {what}"),
        hint: None,
    }
}

/// The password as the server hashed it: normalised where that is allowed, as it is where not, as PostgreSQL does.
fn prepared(password: &str) -> std::borrow::Cow<'_, str> {
    if password.is_ascii() {
        return password.into();
    }
    stringprep::saslprep(password).unwrap_or_else(|_| password.into())
}

/// SHA-256 keyed for HMAC: the state after the inner and after the outer padding, so that rounds cost half.
struct Keyed {
    inner: Sha256,
    outer: Sha256,
}

impl Keyed {
    fn new(key: &[u8]) -> Self {
        let mut block = [0; 64];
        if key.len() <= block.len() {
            block[..key.len()].copy_from_slice(key);
        } else {
            block[..32].copy_from_slice(&Sha256::digest(key));
        }
        let padded = |padding: u8| Sha256::new_with_prefix(block.map(|byte| byte ^ padding));
        Keyed { inner: padded(0x36), outer: padded(0x5c) }
    }

    fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut inner = self.inner.clone();
        for part in parts {
            inner.update(part);
        }
        self.outer.clone().chain_update(inner.finalize()).finalize().into()
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    Keyed::new(key).sign(&[message])
}

/// PBKDF2 with HMAC-SHA-256, one block.
fn salted_password(password: &str, salt: &[u8], rounds: u32) -> [u8; 32] {
    let key = Keyed::new(password.as_bytes());
    let mut last = key.sign(&[salt, &1u32.to_be_bytes()]);
    let mut salted = last;
    for _ in 1..rounds {
        last = key.sign(&[&last]);
        for (byte, other) in salted.iter_mut().zip(last) {
            *byte ^= other;
        }
    }
    salted
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = BASE64[(group >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut bits) = (0u32, 0);
    for digit in digits.bytes() {
        let value = BASE64.iter().position(|&known| known == digit)?;
        group = (group << 6 | value as u32) & 0xfff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits & 0xff) as u8);
        }
    }
    // One text for the same bytes: what is left over is zero.
    (group & ((1 << bits) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_comes_back_from_every_length() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foobar", "Zm9vYmFy")]
        {
            assert_eq!(encode_base64(bytes), text);
            assert_eq!(decode_base64(text).as_deref(), Some(bytes));
        }
        for wrong in ["Z", "Zg=", "Zg===", "====", "Z*==", "Zm9vY", "Zh=="] {
            assert_eq!(decode_base64(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hmac_gives_the_values_of_rfc_4231() {
        let hex = |bytes: [u8; 32]| bytes.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(
            hex(hmac(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    /// The exchange of RFC 7677, whose user has a name; everything else is the same.
    fn example() -> Scram {
        let mut scram = Scram::new(Secret::new("pencil"), Binding::None, b"");
        scram.nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        scram.first_bare = "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned();
        scram
    }

    const SERVER_FIRST: &[u8] =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn the_example_of_rfc_7677_is_followed_to_its_end() {
        let mut scram = example();
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(
            scram.answer(SERVER_FIRST).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(!scram.is_verified());
        scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(scram.is_verified());
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_found_out() {
        for last in [
            &b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="[..],
            b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            b"v=",
            b"",
            b"e=no",
            b"\xff",
        ] {
            let mut scram = example();
            scram.answer(SERVER_FIRST).unwrap();
            assert!(matches!(scram.verify(last), Err(PostgresError::Authentication { .. })));
            assert!(!scram.is_verified());
        }
        assert!(example().verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").is_err());
    }

    #[test]
    fn first_messages_that_break_the_rules_are_refused() {
        for first in [
            &b""[..],
            b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z*,i=4096",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
            b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"\xff",
        ] {
            assert!(example().answer(first).is_err(), "{}", String::from_utf8_lossy(first));
        }
    }

    #[test]
    fn a_bound_login_names_the_certificate() {
        let mut scram = Scram::new(Secret::new("pencil"), Binding::EndPoint(vec![1, 2, 3]), &[7; 18]);
        assert_eq!(scram.mechanism(), "SCRAM-SHA-256-PLUS");
        let nonce = scram.nonce.clone();
        assert_eq!(scram.first(), format!("p=tls-server-end-point,,n=,r={nonce}"));
        let last = scram.answer(format!("r={nonce}more,s=AAAA,i=1").as_bytes()).unwrap();
        let bound = encode_base64(b"p=tls-server-end-point,,\x01\x02\x03");
        assert!(last.starts_with(&format!("c={bound},r={nonce}more,p=")), "{last}");
    }
}
