// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates and keys for the tests, made anew in each process.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use std::path::{Path, PathBuf};

/// A chain and its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    pub chain: String,
    pub key: String,
    pub der: Vec<u8>,
}

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: String,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("it signs itself");
        Authority { certificate: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    pub fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (mut params, key) = (leaf(names), KeyPair::generate().expect("a key"));
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("it is signed");
        Identity { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
    }

    /// Another authority, that this one has signed.
    pub fn issue_authority(&self, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("it is signed");
        Authority { certificate: certificate.pem(), issuer: Issuer::new(params, key) }
    }
}

fn leaf(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| String::from(*name)).collect();
    let mut params = CertificateParams::new(names).expect("names of hosts");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// One that vouches for itself. `authority`: as `openssl req -x509` makes it, which may sign others, too.
pub fn self_signed(names: &[&str], authority: bool) -> Identity {
    let (mut params, key) = (leaf(names), KeyPair::generate().expect("a key"));
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).expect("it signs itself");
    Identity { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
}

pub fn expired(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
}

pub fn not_yet_valid(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2090, 2, 1));
}

/// A folder with files for peers that want those; gone with it.
pub struct Files(PathBuf);

impl Files {
    pub fn new(name: &str) -> Files {
        let path = std::env::temp_dir().join(format!("ss-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Files(path)
    }

    pub fn put(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("a plain path").to_owned()
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
