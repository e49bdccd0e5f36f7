//! Who one is: the methods by which a server asks for a password, and what is answered.
//!
//! `mysql_native_password`, `caching_sha2_password`, `client_ed25519` of MariaDB; `mysql_clear_password` only where
//! nobody listens or the caller allows it. A server may ask for one after the other; the answer to each is the caller's
//! secret in a form that only that method can use.

use crate::secret::Secret;

use super::error::MySqlError;
use super::message::Fields;
use super::password;
use super::rsa::PublicKey;

/// How often a server may ask before it has let us in.
const REQUESTS_MAX: u32 = 16;

/// The methods that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Native,
    CachingSha2,
    Ed25519,
    Clear,
}

const METHODS: [(&str, Method); 4] = [
    ("mysql_native_password", Method::Native),
    ("caching_sha2_password", Method::CachingSha2),
    ("client_ed25519", Method::Ed25519),
    ("mysql_clear_password", Method::Clear),
];

/// What the caller allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Nobody between here and the server can listen: TLS, or a Unix socket.
    pub(crate) private: bool,
    /// A password may be sent in the clear even so.
    pub(crate) clear_password: bool,
    /// Without TLS a password may be encrypted for whatever key the server sends.
    pub(crate) public_key: bool,
}

/// The state of a login.
pub(crate) struct Login {
    password: Option<Secret>,
    pub(crate) policy: Policy,
    method: Method,
    nonce: Vec<u8>,
    requests: u32,
    /// The server was asked for its key.
    key_asked: bool,
}

impl Login {
    pub(crate) fn new(password: Option<&Secret>, policy: Policy) -> Self {
        Login {
            password: password.cloned(),
            policy,
            method: Method::Native,
            nonce: Vec::new(),
            requests: 0,
            key_asked: false,
        }
    }

    /// The answer to the greeting: the name of the method, and what it sends.
    ///
    /// For a method that is not known, another one is proposed: the server then asks for what the user needs.
    pub(crate) fn greeted(
        &mut self,
        method: &str,
        nonce: &[u8],
    ) -> Result<(&'static str, Vec<u8>), MySqlError> {
        let known = METHODS.iter().find(|(name, _)| *name == method).map(|&(_, method)| method);
        // A password in the clear is never the first thing that is said.
        self.method = known.filter(|&method| method != Method::Clear).unwrap_or(Method::Native);
        self.nonce = nonce.to_vec();
        let name = METHODS.iter().find(|(_, known)| *known == self.method).map_or("", |(name, _)| name);
        Ok((name, self.first()?))
    }

    /// The server asks for another method: what that sends.
    pub(crate) fn switched(&mut self, mut fields: Fields<'_>) -> Result<Vec<u8>, MySqlError> {
        self.count()?;
        if fields.0.is_empty() {
            return Err(unknown("a password hashed as before MySQL 4.1"));
        }
        let method = fields.bytes_to_zero()?;
        let known = METHODS.iter().find(|(name, _)| name.as_bytes() == method);
        let Some(&(_, method)) = known else {
            let shown: String = String::from_utf8_lossy(method).chars().take(64).collect();
            return Err(unknown(&format!("`{shown}`, which this client does not know")));
        };
        self.method = method;
        // A zero byte ends the nonce, and is no part of it.
        self.nonce = fields.0.strip_suffix(&[0]).unwrap_or(fields.0).to_vec();
        self.key_asked = false;
        self.first()
    }

    fn count(&mut self) -> Result<(), MySqlError> {
        self.requests += 1;
        if self.requests > REQUESTS_MAX {
            return Err(MySqlError::Protocol { what: "a login that never ends" });
        }
        Ok(())
    }

    fn first(&self) -> Result<Vec<u8>, MySqlError> {
        let password = self.password();
        Ok(match self.method {
            Method::Native => password::native(password, &self.nonce),
            Method::CachingSha2 => password::caching_sha2(password, &self.nonce),
            Method::Ed25519 => password::ed25519(password, &self.nonce).to_vec(),
            Method::Clear => {
                if !self.policy.private && !self.policy.clear_password {
                    return Err(MySqlError::Authentication {
                        what: "the server asks for the password in the clear, on a connection without encryption"
                            .to_owned(),
                        hint: Some("`sslmode=require` encrypts; `clear_password=1` sends it even so"),
                    });
                }
                in_the_clear(password)
            }
        })
    }

    /// The method goes on: what is sent now, if anything.
    pub(crate) fn more(&mut self, data: &[u8]) -> Result<Option<Vec<u8>>, MySqlError> {
        self.count()?;
        if self.method != Method::CachingSha2 {
            return Err(MySqlError::Protocol { what: "a login goes on that was at its end" });
        }
        match data {
            // The server knew the password's hash.
            [3] if !self.key_asked => Ok(None),
            // It does not, and wants the password itself.
            [4] if !self.key_asked && self.policy.private => Ok(Some(in_the_clear(self.password()))),
            [4] if !self.key_asked && self.policy.public_key => {
                self.key_asked = true;
                Ok(Some(vec![2]))
            }
            [4] if !self.key_asked => Err(MySqlError::Authentication {
                what: "the server asks for the password, on a connection without encryption".to_owned(),
                hint: Some("`sslmode=require` encrypts; `server_public_key=1` trusts the server's own key"),
            }),
            pem if self.key_asked => {
                self.key_asked = false;
                self.encrypted(pem).map(Some)
            }
            _ => Err(MySqlError::Protocol { what: "a login that goes on in an unknown way" }),
        }
    }

    fn encrypted(&self, pem: &[u8]) -> Result<Vec<u8>, MySqlError> {
        if self.nonce.is_empty() {
            return Err(MySqlError::Protocol { what: "a login without a nonce" });
        }
        let refused = |what: &str| MySqlError::Authentication {
            what: format!("the server's public key cannot be used: {what}"),
            hint: Some("`sslmode=require` encrypts the connection instead"),
        };
        let key = PublicKey::from_pem(pem).map_err(refused)?;
        let mut message = in_the_clear(self.password());
        for (byte, nonce) in message.iter_mut().zip(self.nonce.iter().cycle()) {
            *byte ^= nonce;
        }
        let mut seed = [0; 20];
        getrandom::fill(&mut seed).map_err(|_| refused("the system has no random numbers"))?;
        key.encrypt(&message, seed).map_err(refused)
    }

    fn password(&self) -> &[u8] {
        self.password.as_ref().map_or(b"", |password| password.reveal().as_bytes())
    }
}

fn in_the_clear(password: &[u8]) -> Vec<u8> {
    [password, &[0]].concat()
}

fn unknown(method: &str) -> MySqlError {
    MySqlError::Authentication {
        what: format!("the server asks for {method}"),
        hint: Some("MySQL's native, caching SHA-2 and MariaDB's Ed25519 passwords are known"),
    }
}
