//! Tokens: of all texts, only those that were signed are believed.
//!
//! An input is a token as it came, or, behind a zero, the claims of one that is signed here with the
//! right key, so that what is read behind the signature is reached too.

use crate::world::NOW_MS;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use landfall_model::id::RegionId;
use landfall_region::auth::{Claims, Keys, Secret, issue_dev_token};
use landfall_sync::region::access::Authenticator;
use serde_json::{Value, json};

const DEVICES: [u8; 32] = [1; 32];
const PEERS: [u8; 32] = [2; 32];

fn keys() -> Keys {
    Keys::new(Some(Secret::from_bytes(DEVICES)), Secret::from_bytes(PEERS))
}

pub fn run(input: &[u8]) {
    match input {
        [0, claims @ ..] => {
            if let Ok(claims) = serde_json::from_slice::<Value>(claims) {
                signed_claims(&claims);
            }
        }
        _ => {
            if let Ok(token) = std::str::from_utf8(input) {
                strange_token(token);
            }
        }
    }
}

/// Claims may lack or hold anything.
fn signed_claims(claims: &Value) {
    for secret in [DEVICES, PEERS] {
        let (key, header) = (EncodingKey::from_secret(&secret), Header::new(Algorithm::HS256));
        let Ok(token) = jsonwebtoken::encode(&header, claims, &key) else { return };
        let keys = keys();
        match keys.device(&token, NOW_MS) {
            Ok(author) => {
                assert_eq!(secret, DEVICES, "a peer's key makes no device's token");
                assert!(!author.subject.is_empty());
                assert!(author.expires_ms > NOW_MS);
            }
            Err(denial) => assert!(!denial.code.is_empty()),
        }
        assert!(keys.peer(&token, NOW_MS).is_err() || secret == PEERS);
    }
}

/// Without the keys nobody makes a token, so what is taken was made here: its text up to the
/// signature is that of a seed.
fn strange_token(token: &str) {
    let keys = keys();
    let ours = |token: &str| {
        let text = |token: &str| token.rsplit_once('.').map(|(text, _)| text.to_owned());
        valid().iter().any(|(_, made)| text(made) == text(token))
    };
    assert!(keys.device(token, NOW_MS).is_err() || ours(token));
    assert!(keys.peer(token, NOW_MS).is_err() || ours(token));
}

fn valid() -> Vec<(&'static str, String)> {
    let claims = Claims::new("ada", ["w/*"], ["driver/7"], NOW_MS + 60_000);
    let device = issue_dev_token(&Secret::from_bytes(DEVICES), &claims);
    let peer = keys().peer_token(RegionId(2), NOW_MS);
    let signed = "claims of our own can be signed";
    vec![("device", device.expect(signed)), ("peer", peer.expect(signed))]
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let claims = [
        json!({"sub": "ada", "exp": NOW_MS / 1_000 + 60, "aud": "landfall", "scopes": ["w/*"]}),
        json!({"sub": "ada", "exp": i64::MAX, "aud": ["a", "landfall"], "nbf": i64::MIN}),
        json!({"sub": "region/2", "exp": -1, "aud": "landfall-peer", "audiences": [], "publishes": ["c"]}),
    ];
    let claims = claims.map(|claims| [vec![0], claims.to_string().into_bytes()].concat());
    let mut seeds = crate::frames::numbered("claims", claims);
    let tokens = valid().into_iter();
    seeds.extend(tokens.map(|(name, token)| (name.to_owned(), token.into_bytes())));
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.";
    seeds.push(("none".to_owned(), none.as_bytes().to_vec()));
    seeds
}
