//! Who one is: what a server asks at start-up, and what is answered.
//!
//! Trust, password in the clear, MD5, SCRAM-SHA-256 with and without channel binding. A login that was begun with
//! SCRAM ends only with the server's own proof.

use md5::{Digest as _, Md5};

use super::error::PostgresError;
use super::message::{self, Fields};
use super::options::ChannelBinding;
use super::scram::{Binding, Scram};
use crate::secret::Secret;

/// The state of a login.
pub(crate) struct Login {
    user: String,
    password: Option<Secret>,
    policy: ChannelBinding,
    /// The hash of the server's certificate, once there is TLS that knows it.
    end_point: Option<Vec<u8>>,
    scram: Option<Scram>,
}

impl Login {
    pub(crate) fn new(user: &str, password: Option<&Secret>, policy: ChannelBinding) -> Self {
        Login { user: user.to_owned(), password: password.cloned(), policy, end_point: None, scram: None }
    }

    /// The connection is encrypted; TLS may know the hash of the server's certificate.
    pub(crate) fn encrypted(&mut self, end_point: Option<Vec<u8>>) {
        self.end_point = end_point.filter(|_| self.policy != ChannelBinding::Disable);
    }

    /// Answers one request; true once the server has let us in.
    pub(crate) fn answer(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<bool, PostgresError> {
        let mut fields = Fields(body);
        match fields.u32()? {
            0 => return self.let_in().map(|()| true),
            3 => {
                self.unbound("a password in the clear")?;
                let password = self.password()?;
                message::write(out, b'p', |out| message::write_text(out, password.reveal()))?;
            }
            5 => {
                self.unbound("MD5")?;
                let answer = md5_answer(&self.user, self.password()?.reveal(), fields.bytes(4)?);
                message::write(out, b'p', |out| message::write_text(out, &answer))?;
            }
            10 => self.begin_scram(fields, out)?,
            11 => {
                let answer = self.scram()?.answer(fields.0)?;
                message::write(out, b'p', |out| {
                    out.extend_from_slice(answer.as_bytes());
                    Ok(())
                })?;
            }
            12 => self.scram()?.verify(fields.0)?,
            2 => return Err(unknown("Kerberos 5")),
            7 | 8 => return Err(unknown("GSSAPI")),
            9 => return Err(unknown("SSPI")),
            _ => return Err(unknown("a method that this client does not know")),
        }
        Ok(false)
    }

    fn let_in(&self) -> Result<(), PostgresError> {
        let scram = self.scram.as_ref();
        if scram.is_some_and(|scram| !scram.is_verified()) {
            return Err(refused("the server lets us in without having proved that it knows the password"));
        }
        if self.policy == ChannelBinding::Require
            && scram.is_none_or(|scram| scram.mechanism() != "SCRAM-SHA-256-PLUS")
        {
            return Err(refused("`channel_binding=require`, and the login was not bound to the connection"));
        }
        Ok(())
    }

    /// A method that cannot be bound to the connection is only for those who do not ask for that.
    fn unbound(&self, method: &str) -> Result<(), PostgresError> {
        match self.policy {
            ChannelBinding::Require => {
                Err(refused(&format!("`channel_binding=require`, and the server asks for {method}")))
            }
            _ => Ok(()),
        }
    }

    fn password(&self) -> Result<&Secret, PostgresError> {
        self.password.as_ref().ok_or_else(|| PostgresError::Authentication {
            what: format!("the server asks for the password of `{}`, and none was given", self.user),
            hint: Some("write `postgresql://USER:PASSWORD@HOST/DATABASE`, or set PGPASSWORD"),
        })
    }

    fn begin_scram(&mut self, mut fields: Fields<'_>, out: &mut Vec<u8>) -> Result<(), PostgresError> {
        let (mut plain, mut plus) = (false, false);
        loop {
            match fields.bytes_to_zero()? {
                b"" => break,
                b"SCRAM-SHA-256" => plain = true,
                b"SCRAM-SHA-256-PLUS" => plus = true,
                _ => {}
            }
        }
        let binding = match (&self.end_point, plus) {
            (Some(hash), true) => Binding::EndPoint(hash.clone()),
            (Some(_), false) => Binding::NotOffered,
            (None, _) => Binding::None,
        };
        let bound = matches!(binding, Binding::EndPoint(_));
        if !bound {
            self.unbound("SCRAM without channel binding")?;
            if !plain {
                return Err(unknown("SASL by a mechanism that this client does not know"));
            }
        }
        let mut random = [0; 18];
        getrandom::fill(&mut random).map_err(|_| refused("the system gives no random numbers"))?;
        let scram = Scram::new(self.password()?.clone(), binding, &random);
        let first = scram.first();
        message::write(out, b'p', |out| {
            message::write_text(out, scram.mechanism())?;
            // A nonce and a header: far below 2^31 bytes.
            out.extend((first.len() as u32).to_be_bytes());
            out.extend_from_slice(first.as_bytes());
            Ok(())
        })?;
        self.scram = Some(scram);
        Ok(())
    }

    fn scram(&mut self) -> Result<&mut Scram, PostgresError> {
        self.scram.as_mut().ok_or(PostgresError::Protocol { what: "SASL goes on that has not begun" })
    }
}

fn refused(what: &str) -> PostgresError {
    PostgresError::Authentication { what: what.to_owned(), hint: None }
}

fn unknown(method: &str) -> PostgresError {
    PostgresError::Authentication {
        what: format!("the server asks for {method}"),
        hint: Some("known are trust, password, md5 and scram-sha-256; pg_hba.conf of the server decides"),
    }
}

fn md5_answer(user: &str, password: &str, salt: &[u8]) -> String {
    let hex = |parts: [&[u8]; 2]| -> String {
        let hash = Md5::new().chain_update(parts[0]).chain_update(parts[1]).finalize();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    format!("md5{}", hex([hex([password.as_bytes(), user.as_bytes()]).as_bytes(), salt]))
}
