//! What the engine keeps in the file for itself: the directory of regions, and what was spent.

use super::{Inner, lock};
use crate::directory::Directory;
use crate::error::Error;
use crate::options::RegionUrl;
use crate::store::Transaction;
use landfall_sync::device::store::Store;

/// The directory, as it is signed.
const DIRECTORY: &str = "directory";

/// Day and bytes.
const METERED: &str = "metered";

/// Those of the directory, or where there are none, of the app. Where the app asks for TLS, a directory
/// from before that does not lead to a region without it.
fn chosen(given: &[RegionUrl], mut told: Vec<RegionUrl>) -> Vec<RegionUrl> {
    if given.iter().any(RegionUrl::is_secure) {
        told.retain(RegionUrl::is_secure);
    }
    if told.is_empty() { given.to_vec() } else { told }
}

impl Inner {
    /// The regions to choose from.
    pub fn regions(&self) -> Vec<RegionUrl> {
        let told = self.directory().map(|d| d.regions).unwrap_or_default();
        chosen(&self.options.regions, told)
    }

    /// The version of the directory at hand; 0: none.
    pub fn directory_version(&self) -> u64 {
        self.directory().map_or(0, |d| d.version)
    }

    /// The signature is checked at each reading: the keys may be others by now.
    fn directory(&self) -> Option<Directory> {
        let keys = &self.options.network.directory_keys;
        if keys.is_empty() {
            return None;
        }
        let kept = self.read(|t| t.fact(DIRECTORY)).ok()??;
        Directory::verify(std::str::from_utf8(&kept).ok()?, keys).ok()
    }

    /// Look at the directory that a region gave. True if it is newer, signed, and kept.
    pub fn take_directory(&self) -> Result<bool, Error> {
        let Some(jws) = lock(&self.offered).take() else { return Ok(false) };
        let keys = &self.options.network.directory_keys;
        if keys.is_empty() {
            return Ok(false);
        }
        let directory = match Directory::verify(&jws, keys) {
            Ok(directory) => directory,
            Err(reason) => {
                tracing::warn!(%reason, "a directory of regions was refused");
                return Ok(false);
            }
        };
        if directory.version <= self.directory_version() {
            return Ok(false);
        }
        self.put(DIRECTORY, jws.as_bytes())?;
        Ok(true)
    }

    /// Bytes over metered networks, and the day that they are of.
    pub fn metered_bytes(&self) -> (i64, u64) {
        let kept = self.read(|t| t.fact(METERED)).ok().flatten();
        kept.and_then(|bytes| minicbor::decode(&bytes).ok()).unwrap_or_default()
    }

    pub fn keep_metered_bytes(&self, day_and_bytes: (i64, u64)) -> Result<(), Error> {
        if self.metered_bytes() == day_and_bytes || day_and_bytes.1 == 0 {
            return Ok(());
        }
        let bytes = minicbor::to_vec(day_and_bytes).expect("a vector takes what is written to it");
        self.put(METERED, &bytes)
    }

    fn put(&self, fact: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut core = self.lock()?;
        let core = core.as_mut().ok_or_else(Error::closed)?;
        let put = |t: &mut Transaction<'_>| t.put_fact(fact, bytes);
        Ok(core.database.transact(false, put)?)
    }

    /// A byte of the device's id: as good as random, and always the same.
    pub fn device_byte(&self) -> u8 {
        let meta = self.read(|t| t.meta()).ok().flatten();
        meta.map_or(0, |meta| meta.device.0[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_does_not_lead_an_app_that_asks_for_tls_away_from_it() {
        let urls = |urls: &[&str]| -> Vec<RegionUrl> {
            urls.iter().map(|url| RegionUrl::new(*url, *url)).collect()
        };
        let check = |given: &[&str], told: &[&str], expected: &[&str]| {
            assert_eq!(chosen(&urls(given), urls(told)), urls(expected), "{given:?} {told:?}");
        };
        check(&["http://a"], &["http://b", "https://c"], &["http://b", "https://c"]);
        check(&["HTTPS://a"], &["http://b", "https://c"], &["https://c"]);
        check(&["http://x", "https://a"], &["http://b"], &["http://x", "https://a"]);
        check(&[], &["http://b"], &["http://b"]);
        check(&["https://a"], &[], &["https://a"]);
    }
}
