//! Whom a connection trusts: the authorities whose signature makes a certificate good.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Authorities that may certify a region. Certificates in PEM stand one after the other; what is
/// between them is not read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those that browsers trust: Mozilla's list, as it was when this was built.
    #[default]
    Public,
    /// Those, and the ones in this PEM.
    PublicAnd(Vec<u8>),
    /// The ones in this PEM alone.
    Only(Vec<u8>),
}

/// What is wrong with authorities that were to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// Nobody would be trusted, or nobody more.
    #[error("there is no certificate in it that begins with -----BEGIN CERTIFICATE-----")]
    Empty,
    /// One of them, counted from 1.
    #[error("certificate {0} in it cannot be read: copy it whole, in PEM")]
    Unreadable(usize),
}

impl Trust {
    pub(crate) fn roots(&self) -> Result<RootCertStore, RootsError> {
        let mut roots = RootCertStore::empty();
        if matches!(self, Self::Public | Self::PublicAnd(_)) {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if let Self::PublicAnd(pem) | Self::Only(pem) = self {
            add(pem, &mut roots)?;
        }
        Ok(roots)
    }
}

fn add(pem: &[u8], roots: &mut RootCertStore) -> Result<(), RootsError> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        count += 1;
        let unreadable = RootsError::Unreadable(count);
        let certificate = certificate.map_err(|_| unreadable.clone())?;
        roots.add(certificate).map_err(|_| unreadable)?;
    }
    if count == 0 { Err(RootsError::Empty) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_authorities_are_trusted_unless_others_are_alone() {
        let public = webpki_roots::TLS_SERVER_ROOTS.len();
        let own = include_bytes!("../testdata/authority.pem");
        let count = |trust: Trust| trust.roots().expect("authorities").len();
        assert!(public > 50, "{public}");
        assert_eq!(count(Trust::default()), public);
        assert_eq!(count(Trust::PublicAnd(own.to_vec())), public + 1);
        assert_eq!(count(Trust::Only(own.to_vec())), 1);
    }
}
