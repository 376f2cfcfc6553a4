//! The directory of regions: which there are and where, signed by the operator.
//!
//! An app is shipped with one or two addresses; the directory tells the rest, and follows the
//! operator's changes without a new app. Regions hand it out in sessions, so who answers need not
//! be trusted with it: it is a JSON Web Signature (RFC 7515, compact) with EdDSA over
//!
//! ```json
//! {"version": 7, "regions": [{"name": "eu", "urls": ["http://eu.example"], "draining": false}]}
//! ```
//!
//! Only a higher version replaces the one that is kept, so an old one cannot be played back. A
//! region's further URLs are for the day on which a name server fails.

use crate::options::{DirectoryKey, RegionUrl};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

/// URLs of a directory, over all its regions.
const URLS_MAX: usize = 64;

/// Bytes of a directory.
const BYTES_MAX: usize = 64 << 10;

/// A directory whose signature was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    pub version: u64,
    /// In order of preference, those that are to be left at the end.
    pub regions: Vec<RegionUrl>,
}

/// Why a directory is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it is larger than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("it is no JSON Web Signature with EdDSA")]
    Form,
    #[error("none of the keys has signed it")]
    Signature,
    #[error(
        "it does not name a version and at least one region with a URL, and at most {URLS_MAX}"
    )]
    Content,
}

impl Directory {
    /// Read a directory that one of these keys has signed.
    pub fn verify(jws: &str, keys: &[DirectoryKey]) -> Result<Self, Refused> {
        if jws.len() > BYTES_MAX {
            return Err(Refused::TooLarge);
        }
        let (signed, signature) = jws.rsplit_once('.').ok_or(Refused::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(Refused::Form)?;
        let decoded = |part: &str| BASE64.decode(part).map_err(|_| Refused::Form);
        let json = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes);
        let header = json(decoded(header)?).map_err(|_| Refused::Form)?;
        // Extensions that must be understood are not.
        if header["alg"] != "EdDSA" || header.get("crit").is_some() {
            return Err(Refused::Form);
        }
        let signature = Signature::from_slice(&decoded(signature)?).map_err(|_| Refused::Form)?;
        let is_signer = |key: &DirectoryKey| {
            let key = VerifyingKey::from_bytes(&key.0);
            key.is_ok_and(|key| key.verify_strict(signed.as_bytes(), &signature).is_ok())
        };
        if !keys.iter().any(is_signer) {
            return Err(Refused::Signature);
        }
        let content = json(decoded(payload)?).map_err(|_| Refused::Content)?;
        Self::read(&content).ok_or(Refused::Content)
    }

    fn read(content: &Value) -> Option<Self> {
        let version = content["version"].as_u64().filter(|v| *v > 0)?;
        let mut urls = Vec::new();
        for region in content["regions"].as_array()? {
            let name = region["name"].as_str()?;
            let draining = region["draining"].as_bool().unwrap_or(false);
            for (nth, url) in region["urls"].as_array()?.iter().enumerate() {
                urls.push(((draining, nth), RegionUrl::new(name, url.as_str()?)));
            }
        }
        // The first URLs of all regions come before the second ones.
        urls.sort_by_key(|(rank, _)| *rank);
        let regions: Vec<RegionUrl> = urls.into_iter().map(|(_, url)| url).collect();
        (1..=URLS_MAX).contains(&regions.len()).then_some(Self { version, regions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    fn signed(key: &SigningKey, header: &str, payload: &str) -> String {
        let text = format!("{}.{}", BASE64.encode(header), BASE64.encode(payload));
        let signature = key.sign(text.as_bytes());
        format!("{text}.{}", BASE64.encode(signature.to_bytes()))
    }

    const HEADER: &str = r#"{"alg":"EdDSA"}"#;
    const CONTENT: &str = r#"{"version":3,"regions":[
        {"name":"eu","urls":["http://eu.example"],"draining":true},
        {"name":"us","urls":["http://us.example","http://us.example.net"]}]}"#;

    #[test]
    fn a_directory_is_taken_from_a_known_key_only() {
        let (ours, other) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
        let keys = [DirectoryKey(ours.verifying_key().to_bytes())];
        let read = Directory::verify(&signed(&ours, HEADER, CONTENT), &keys).expect("signed");
        assert_eq!(read.version, 3);
        let urls: Vec<&str> = read.regions.iter().map(|r| r.url.as_str()).collect();
        assert_eq!(urls, ["http://us.example", "http://us.example.net", "http://eu.example"]);

        let check = |jws: &str, reason: Refused| {
            assert_eq!(Directory::verify(jws, &keys), Err(reason), "{jws:.60}");
        };
        check(&signed(&other, HEADER, CONTENT), Refused::Signature);
        let changed = signed(&ours, HEADER, CONTENT).replacen('.', ".ey", 1);
        check(&changed, Refused::Signature);
        check(&signed(&ours, r#"{"alg":"none"}"#, CONTENT), Refused::Form);
        check(&signed(&ours, r#"{"alg":"EdDSA","crit":["exp"]}"#, CONTENT), Refused::Form);
        check(&signed(&ours, HEADER, r#"{"version":0,"regions":[]}"#), Refused::Content);
        check(&signed(&ours, HEADER, r#"{"version":4,"regions":[]}"#), Refused::Content);
        check("", Refused::Form);
        check("a.b", Refused::Form);
        check("a.b.c", Refused::Form);
        check(&"x".repeat(BYTES_MAX + 1), Refused::TooLarge);
    }
}
