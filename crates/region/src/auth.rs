//! Tokens: who a device speaks for, and whether a peer is one.
//!
//! A device shows a JWT that was signed either by an identity provider, whose public keys are in a
//! JWKS file (RS256, ES256, EdDSA), or with the development key, a secret that is made on the
//! first run (HS256) and lets `landfall` itself hand out tokens. Peers show short-lived tokens
//! signed with a secret that all regions of a world share. The two kinds have different audiences
//! and different keys, so neither is ever taken for the other.
//!
//! The time is an argument; the JWT library's own clock is not used. Tokens and keys are never
//! logged, and refusals do not repeat them.

use crate::world::Entropy;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use landfall_model::id::RegionId;
use landfall_sync::region::access::{Authenticator, Author, Denial};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who a token must be meant for.
const DEVICE_AUDIENCE: &str = "landfall";
const PEER_AUDIENCE: &str = "landfall-peer";

/// Clocks of an identity provider and a region may be apart by this, in seconds.
const LEEWAY_S: i64 = 5;

/// Life of a peer's token, which is only shown when a link opens.
const PEER_TOKEN_S: i64 = 300;

/// A JWT longer than this is refused unread.
const TOKEN_BYTES_MAX: usize = 16 << 10;

const SECRET_BYTES: usize = 32;

/// What a device's token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The subject; ops name it as their principal, so it is unique in the world.
    pub sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Home scopes to read and write: names, or prefixes that end in `*`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Audiences to read, and to write as the schema lets them.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Shared scopes to write, for who publishes them: names, or prefixes that end in `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publishes: Vec<String>,
    /// Seconds since 1970.
    pub exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    pub aud: Audience,
}

/// JWT lets `aud` be one name or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Serialize, Deserialize)]
struct PeerClaims {
    sub: String,
    exp: i64,
    aud: String,
}

/// A symmetric key.
#[derive(Clone)]
pub struct Secret([u8; SECRET_BYTES]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: not a key of {SECRET_BYTES} bytes", .0.display())]
    NotASecret(PathBuf),
    #[error("{}: {reason}", path.display())]
    KeySet { path: PathBuf, reason: String },
    #[error("the token cannot be signed: {0}")]
    Sign(jsonwebtoken::errors::Error),
}

impl Secret {
    pub fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes themselves, for keys of another kind that are made of them.
    pub fn bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// Read the secret in `path`, or make it on the first run, readable by its owner only. Several
    /// regions of one machine may do this at the same time: they get the same secret.
    pub fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        match Self::load(path) {
            Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut bytes = [0; SECRET_BYTES];
        entropy.fill(&mut bytes);
        // A hard link appears whole or not at all, and never replaces another's.
        let draft = path.with_extension(format!("draft{}", entropy.below(u64::MAX)));
        write_private(&draft, &bytes).map_err(failed)?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft).map_err(failed)?;
        match linked {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(failed(e)),
            _ => Self::load(path),
        }
    }

    fn load(path: &Path) -> Result<Self, Error> {
        let bytes =
            fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        bytes.try_into().map(Self).map_err(|_| Error::NotASecret(path.to_owned()))
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A token of the development key.
pub fn issue_dev_token(key: &Secret, claims: &Claims) -> Result<String, Error> {
    sign(key, claims)
}

impl Claims {
    /// Claims for [`issue_dev_token`].
    pub fn new(
        subject: &str,
        scopes: impl IntoIterator<Item = impl Into<String>>,
        audiences: impl IntoIterator<Item = impl Into<String>>,
        expires_ms: i64,
    ) -> Self {
        Self {
            sub: subject.to_owned(),
            tenant: None,
            scopes: scopes.into_iter().map(Into::into).collect(),
            audiences: audiences.into_iter().map(Into::into).collect(),
            publishes: Vec::new(),
            exp: expires_ms / 1_000,
            nbf: None,
            aud: Audience::One(DEVICE_AUDIENCE.to_owned()),
        }
    }
}

fn sign(key: &Secret, claims: &impl Serialize) -> Result<String, Error> {
    let key = EncodingKey::from_secret(&key.0);
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).map_err(Error::Sign)
}

/// The keys that a region trusts.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Tokens of this key are taken; leave it out in production.
    pub development: Option<Secret>,
    /// Shared by all regions of the world.
    pub peer: Secret,
    public: Arc<Vec<PublicKey>>,
}

struct PublicKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.algorithm, self.id)
    }
}

impl Keys {
    pub fn new(development: Option<Secret>, peer: Secret) -> Self {
        Self { development, peer, public: Arc::default() }
    }

    /// Also trust the public keys of a JWKS file.
    pub fn with_key_set(mut self, path: &Path) -> Result<Self, Error> {
        let text =
            fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        let failed = |reason: String| Error::KeySet { path: path.to_owned(), reason };
        let set: JwkSet = serde_json::from_slice(&text).map_err(|e| failed(e.to_string()))?;
        let keys: Result<Vec<_>, String> = set.keys.iter().map(public_key).collect();
        self.public = Arc::new(keys.map_err(failed)?);
        Ok(self)
    }

    /// What this region shows to a peer.
    pub fn peer_token(&self, region: RegionId, now_ms: i64) -> Result<String, Error> {
        let claims = PeerClaims {
            sub: format!("region/{}", region.0),
            exp: now_ms / 1_000 + PEER_TOKEN_S,
            aud: PEER_AUDIENCE.to_owned(),
        };
        sign(&self.peer, &claims)
    }

    /// The claims of a device's token, if one of the keys signed it.
    fn verify_device(&self, token: &str) -> Result<Claims, Denial> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| unreadable())?;
        if header.alg == Algorithm::HS256 {
            // Only the development key is symmetric: a public key is never taken for a secret.
            let key = self.development.as_ref().ok_or_else(bad_signature)?;
            return verify_secret(token, key, DEVICE_AUDIENCE);
        }
        let named = |k: &&PublicKey| header.kid.is_none() || k.id == header.kid;
        let fitting = self.public.iter().filter(named).filter(|k| k.algorithm == header.alg);
        let mut answer = Err(bad_signature());
        for key in fitting {
            answer = verify(token, &key.key, key.algorithm, DEVICE_AUDIENCE);
            if answer.is_ok() {
                break;
            }
        }
        answer
    }
}

/// The key and the one algorithm that it is good for.
fn public_key(jwk: &Jwk) -> Result<PublicKey, String> {
    let algorithm = match (&jwk.algorithm, jwk.common.key_algorithm) {
        (AlgorithmParameters::RSA(_), None | Some(KeyAlgorithm::RS256)) => Algorithm::RS256,
        (AlgorithmParameters::EllipticCurve(p), None | Some(KeyAlgorithm::ES256))
            if p.curve == EllipticCurve::P256 =>
        {
            Algorithm::ES256
        }
        (AlgorithmParameters::OctetKeyPair(_), None | Some(KeyAlgorithm::EdDSA)) => {
            Algorithm::EdDSA
        }
        _ => return Err("holds a key that is not for RS256, ES256 or EdDSA".to_owned()),
    };
    let key = DecodingKey::from_jwk(jwk).map_err(|e| e.to_string())?;
    Ok(PublicKey { id: jwk.common.key_id.clone(), algorithm, key })
}

fn verify_secret<C: DeserializeOwned>(
    token: &str,
    key: &Secret,
    audience: &str,
) -> Result<C, Denial> {
    verify(token, &DecodingKey::from_secret(&key.0), Algorithm::HS256, audience)
}

fn verify<C: DeserializeOwned>(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
    audience: &str,
) -> Result<C, Denial> {
    let mut rules = Validation::new(algorithm);
    rules.set_audience(&[audience]);
    rules.set_required_spec_claims(&["exp", "aud", "sub"]);
    // The library would read the wall clock: the times are judged by the caller.
    rules.validate_exp = false;
    rules.validate_nbf = false;
    match jsonwebtoken::decode::<C>(token, key, &rules) {
        Ok(data) => Ok(data.claims),
        Err(e) => Err(match e.kind() {
            ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => bad_signature(),
            ErrorKind::InvalidAudience => denial("the token is meant for somebody else"),
            ErrorKind::MissingRequiredClaim(_) => denial("the token lacks exp, aud or sub"),
            _ => unreadable(),
        }),
    }
}

fn denial(message: &str) -> Denial {
    Denial { code: "unauthenticated", message: message.to_owned() }
}

fn unreadable() -> Denial {
    denial("the token is not a readable JWT")
}

fn bad_signature() -> Denial {
    denial("no key of this region has signed the token")
}

fn check_times(exp: i64, nbf: Option<i64>, now_ms: i64) -> Result<(), Denial> {
    let now_s = now_ms.div_euclid(1_000);
    if now_s >= exp.saturating_add(LEEWAY_S) {
        let message = "the token has expired; come back with a new one".to_owned();
        return Err(Denial { code: "token_expired", message });
    }
    if nbf.is_some_and(|nbf| now_s.saturating_add(LEEWAY_S) < nbf) {
        return Err(denial("the token is not valid yet"));
    }
    Ok(())
}

fn check_length(token: &str) -> Result<(), Denial> {
    match token.len() {
        0 => Err(denial("a token is needed")),
        n if n > TOKEN_BYTES_MAX => Err(denial("the token is too long")),
        _ => Ok(()),
    }
}

impl Authenticator for Keys {
    fn device(&self, token: &str, now_ms: i64) -> Result<Author, Denial> {
        check_length(token)?;
        let claims = self.verify_device(token)?;
        check_times(claims.exp, claims.nbf, now_ms)?;
        if claims.sub.is_empty() {
            return Err(denial("the token's subject is empty"));
        }
        let scopes = |all: Vec<String>| all.into_iter().map(Into::into).collect();
        Ok(Author {
            subject: claims.sub.into(),
            scopes: scopes(claims.scopes),
            audiences: scopes(claims.audiences),
            publishes: scopes(claims.publishes),
            expires_ms: claims.exp.saturating_add(LEEWAY_S).saturating_mul(1_000),
        })
    }

    fn peer(&self, token: &str, now_ms: i64) -> Result<(), Denial> {
        check_length(token)?;
        let header = jsonwebtoken::decode_header(token).map_err(|_| unreadable())?;
        if header.alg != Algorithm::HS256 {
            return Err(bad_signature());
        }
        let claims: PeerClaims = verify_secret(token, &self.peer, PEER_AUDIENCE)?;
        check_times(claims.exp, None, now_ms)
    }
}

#[cfg(test)]
mod tests;
