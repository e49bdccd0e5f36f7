//! What a database server of a test is asked to be, and the certificates of one that encrypts.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::data_folder::RunAs;

/// What a server is beside a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerOptions {
    /// What was committed outlives a kill of the server. Else nothing is waited for on its way to the disk, which is
    /// what a test of the protocol wants.
    pub is_durable: bool,
    /// It has certificates ([`Certificates`]) and speaks TLS with whoever asks for it.
    pub is_encrypted: bool,
}

/// Files in the folder of a server that encrypts.
#[derive(Debug, Clone)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    pub(crate) fn of(folder: &Path) -> Certificates {
        Certificates { folder: folder.join("tls") }
    }

    /// Makes them anew, with a server's key that only the server may read.
    pub(crate) fn make(&self, run_as: RunAs) {
        fs::create_dir(&self.folder).expect("the server's folder is writable");
        run_as.give(&self.folder);
        let new_key = || KeyPair::generate().expect("a key can be made");
        let for_localhost = || CertificateParams::new(vec!["localhost".to_owned()]).expect("it is a name");
        let mut authority = CertificateParams::new(Vec::new()).expect("there are no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate for signed by itself whose own name is that of who signed it.
        authority.distinguished_name.push(DnType::CommonName, "authority of a test");
        let (authority_key, key) = (new_key(), new_key());
        let root = authority.self_signed(&authority_key).expect("it signs itself");
        let issuer = Issuer::new(authority, authority_key);
        let own = for_localhost().signed_by(&key, &issuer).expect("the authority signs");
        let other = for_localhost().self_signed(&new_key()).expect("it signs itself");
        for (path, text) in [
            (self.authority(), root.pem()),
            (self.other(), other.pem()),
            (self.own(), own.pem()),
            (self.key(), key.serialize_pem()),
        ] {
            fs::write(&path, text).expect("the server's folder is writable");
            RunAs::hide(&path);
            run_as.give(&path);
        }
    }

    /// Whom to trust: who has signed the server's certificate, which is for `localhost`.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("root.crt")
    }

    /// Somebody who has signed nothing of the server's.
    pub fn other(&self) -> PathBuf {
        self.folder.join("other.crt")
    }

    /// The server's certificate.
    pub(crate) fn own(&self) -> PathBuf {
        self.folder.join("server.crt")
    }

    /// The key to it.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("server.key")
    }
}
