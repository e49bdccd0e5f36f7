//! Whom a connection trusts.

use std::fs;
use std::io;
use std::sync::Arc;

use naja_sql::TlsMode;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

/// What TLS is done with, for a `sslmode` and the files of the URL.
///
/// Errors: for a file that cannot be read or holds something else, with its name
pub(crate) fn config(mode: TlsMode, files: &[(String, String)]) -> io::Result<ClientConfig> {
    let file = |option: &str| files.iter().rfind(|(name, _)| name == option).map(|(_, path)| path.as_str());
    let crypto = Arc::new(rustls::crypto::ring::default_provider());
    let roots = file("sslrootcert");
    let verifier: Arc<dyn ServerCertVerifier> = match (mode, roots) {
        // As in libpq, whoever names certificates wants them looked at.
        (TlsMode::VerifyCa, _) | (TlsMode::Require, Some(_)) => {
            Arc::new(Issued { name: Name::Any, ..issued(roots, file("sslcrl"), &crypto)? })
        }
        (TlsMode::VerifyFull, _) => Arc::new(issued(roots, file("sslcrl"), &crypto)?),
        _ => Arc::new(Anybody(crypto.clone())),
    };
    let config = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match (file("sslcert"), file("sslkey")) {
        (None, None) => Ok(config.with_no_client_auth()),
        (Some(certificates), Some(key)) => {
            let chain = certificates_of(certificates)?;
            let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| unusable(key, &error))?;
            config.with_client_auth_cert(chain, key).map_err(|error| unusable(certificates, &error))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "`sslcert` and `sslkey` are needed together")),
    }
}

/// Trusts what is signed by those of a file, or by those whom the system trusts.
fn issued(roots: Option<&str>, revoked: Option<&str>, crypto: &Arc<CryptoProvider>) -> io::Result<Issued> {
    let mut store = RootCertStore::empty();
    let mut named = Vec::new();
    match roots {
        Some(path) if path != "system" => {
            named = certificates_of(path)?;
            for certificate in &named {
                store.add(certificate.clone()).map_err(|error| unusable(path, &error))?;
            }
        }
        _ => {
            // Certificates that cannot be read are nobody whom one could trust.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(io::Error::other("the system trusts nobody: `sslrootcert=FILE` names whom to trust"));
    }
    let mut builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), crypto.clone());
    if let Some(path) = revoked {
        let list = CertificateRevocationListDer::from_pem_slice(&read(path)?);
        builder = builder.with_crls([list.map_err(|error| unusable(path, &error))?]);
        // Whether a certificate is revoked is looked at last, which one of these does not come to.
        named.clear();
    }
    let chain = builder
        .build()
        .map_err(|error| unusable(revoked.or(roots).unwrap_or("the system's certificates"), &error))?;
    Ok(Issued { chain, named, name: Name::Right })
}

fn certificates_of(path: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let bytes = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let all = all.map_err(|error| unusable(path, &error))?;
    if all.is_empty() { Err(unusable(path, &"there is no certificate in it")) } else { Ok(all) }
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("cannot read `{path}`: {error}")))
}

fn unusable(path: &str, why: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("cannot use `{path}`: {why}"))
}

/// A failed handshake in words that say what to do.
pub(crate) fn explained(error: io::Error, host: &str) -> io::Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let text = match tls {
        // A signature that is wrong is one by another authority of the same name.
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            "the server's certificate is signed by nobody trusted; `sslrootcert=FILE` names whom to trust"
                .to_owned()
        }
        Some(error) if is_of_authority(error) => {
            "the server's certificate is an authority's own, and none that is trusted by name; `sslrootcert=FILE` names \
             whom to trust"
                .to_owned()
        }
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => format!("the server's certificate is not for `{host}`"),
        Some(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "the server's certificate is no longer valid".to_owned(),
        _ => return error,
    };
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Takes every certificate, as `sslmode=require` does: nobody else can listen, but it may be anybody who answers.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Takes a certificate that is signed by somebody trusted.
#[derive(Debug)]
struct Issued {
    chain: Arc<WebPkiServerVerifier>,
    /// The certificates that the URL names, one of which a server may have for itself.
    named: Vec<CertificateDer<'static>>,
    name: Name,
}

/// What a certificate's name is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// That of the server, as `sslmode=verify-full` has it.
    Right,
    /// Any, as `sslmode=verify-ca` has it.
    Any,
}

impl ServerCertVerifier for Issued {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is looked at last: all else was found to be right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.name == Name::Any => Ok(ServerCertVerified::assertion()),
            // A certificate that could sign others is no server's, to webpki. To libpq it is where it signed itself and is
            // named as it is. Its time was looked at before this; its key is by the signature of the handshake.
            Err(error) if is_of_authority(&error) && self.named.contains(certificate) => {
                if self.name == Name::Right {
                    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Whether a certificate was refused for that it is an authority's.
fn is_of_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(why))) = error else { return false };
    matches!(why.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}
