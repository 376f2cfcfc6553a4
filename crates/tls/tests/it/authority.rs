//! An authority of a test, which certifies whomever the test likes. Tests of other crates read this
//! file, too.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// A year that no test will see the end of.
pub const FAR: i32 = 2999;

pub struct Authority {
    /// Its own certificate, for those who trust it.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub struct Certified {
    pub cert: String,
    pub key: String,
}

impl Authority {
    /// Two of one name would be taken for each other, as far as their keys let them.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// For a name or an address, from 2000 to the end of this year.
    pub fn certify(&self, name: &str, year: i32) -> Certified {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(2000, 1, 1), date_time_ymd(year, 12, 31));
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Certified { cert, key: key.serialize_pem() }
    }
}

impl Certified {
    /// Write both into a folder, as `cert.pem` and `key.pem`.
    pub fn write(&self, folder: &std::path::Path) -> [std::path::PathBuf; 2] {
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name));
        std::fs::write(&cert, &self.cert).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        [cert, key]
    }
}
