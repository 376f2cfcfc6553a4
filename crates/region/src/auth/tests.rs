//! Tokens that are taken, and tokens that are refused with the right code.

use super::*;

#[derive(Debug)]
struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

const NOW_MS: i64 = 1_800_000_000_000;

fn keys() -> Keys {
    Keys::new(Some(Secret::from_bytes([1; 32])), Secret::from_bytes([2; 32]))
}

fn claims() -> Claims {
    Claims::new("ada", ["user/ada"], ["driver/*"], NOW_MS + 60_000)
}

fn signed(key: u8, claims: &impl Serialize) -> String {
    sign(&Secret::from_bytes([key; 32]), claims).unwrap()
}

#[track_caller]
fn check(keys: &Keys, token: &str, expected: Result<&str, &'static str>) {
    let got = keys.device(token, NOW_MS);
    let got = got.as_ref().map(|a| &*a.subject).map_err(|d| d.code);
    assert_eq!(got, expected);
}

#[test]
fn a_token_says_who_and_what() {
    let author = keys().device(&signed(1, &claims()), NOW_MS).unwrap();
    assert_eq!(&*author.subject, "ada");
    assert!(author.may_write_home("user/ada") && author.in_audience("driver/7"));
    assert_eq!(author.expires_ms, NOW_MS + 60_000 + LEEWAY_S * 1_000);
    assert!(!author.may_publish("catalog"));
    let publisher = Claims { publishes: vec!["catalog".into()], ..claims() };
    let publisher = keys().device(&signed(1, &publisher), NOW_MS).unwrap();
    assert!(publisher.may_publish("catalog") && publisher.may_read("catalog"));
    assert!(!publisher.may_write_home("catalog") && !publisher.may_publish("prices"));
}

#[test]
fn bad_tokens_are_refused() {
    let keys = keys();
    check(&keys, "", Err("unauthenticated"));
    check(&keys, "not a token", Err("unauthenticated"));
    check(&keys, &"x".repeat(TOKEN_BYTES_MAX + 1), Err("unauthenticated"));
    check(&keys, &signed(9, &claims()), Err("unauthenticated"));
    let elsewhere = Claims { aud: Audience::One("another".into()), ..claims() };
    check(&keys, &signed(1, &elsewhere), Err("unauthenticated"));
    check(&keys, &signed(1, &Claims { sub: String::new(), ..claims() }), Err("unauthenticated"));
    let not_yet = Claims { nbf: Some(NOW_MS / 1_000 + 60), ..claims() };
    check(&keys, &signed(1, &not_yet), Err("unauthenticated"));
    check(&keys, &signed(1, &serde_json::json!({ "sub": "ada" })), Err("unauthenticated"));
    let several = Audience::Several(vec!["another".into(), "landfall".into()]);
    check(&keys, &signed(1, &Claims { aud: several, ..claims() }), Ok("ada"));
}

#[test]
fn an_expired_token_has_a_code_of_its_own_after_a_small_leeway() {
    let now_s = NOW_MS / 1_000;
    let expiring = |exp| signed(1, &Claims { exp, ..claims() });
    check(&keys(), &expiring(now_s - LEEWAY_S + 1), Ok("ada"));
    check(&keys(), &expiring(now_s - LEEWAY_S), Err("token_expired"));
    check(&keys(), &expiring(0), Err("token_expired"));
    check(&keys(), &expiring(i64::MAX), Ok("ada"));
}

#[test]
fn without_the_development_key_its_tokens_are_refused() {
    let keys = Keys::new(None, Secret::from_bytes([2; 32]));
    check(&keys, &signed(1, &claims()), Err("unauthenticated"));
}

#[test]
fn peers_and_devices_are_never_taken_for_each_other() {
    let keys = keys();
    let peer = keys.peer_token(RegionId(3), NOW_MS).unwrap();
    assert_eq!(keys.peer(&peer, NOW_MS), Ok(()));
    check(&keys, &peer, Err("unauthenticated"));
    let device = signed(1, &claims());
    assert_eq!(keys.peer(&device, NOW_MS).unwrap_err().code, "unauthenticated");
    // A device's claims, even if signed with the peers' key.
    assert_eq!(keys.peer(&signed(2, &claims()), NOW_MS).unwrap_err().code, "unauthenticated");
    let late = NOW_MS + (PEER_TOKEN_S + LEEWAY_S) * 1_000;
    assert_eq!(keys.peer(&peer, late).unwrap_err().code, "token_expired");
}

#[test]
fn the_keys_of_a_set_are_trusted_for_their_algorithm_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    // The public key of RFC 8037, appendix A.2, and the token that its private key signs.
    let set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    fs::write(&path, set).unwrap();
    let keys = keys().with_key_set(&path).unwrap();
    let token = |kid: Option<&str>| {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims(), &rfc_8037_key()).unwrap()
    };
    check(&keys, &token(Some("a")), Ok("ada"));
    check(&keys, &token(None), Ok("ada"));
    check(&keys, &token(Some("b")), Err("unauthenticated"));
    // The public key, used as if it were a shared secret.
    let mistaken = EncodingKey::from_base64_secret("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let header = Header::new(Algorithm::HS256);
    let forged = jsonwebtoken::encode(&header, &claims(), &mistaken.unwrap()).unwrap();
    check(&keys, &forged, Err("unauthenticated"));
}

/// The private key of RFC 8037, appendix A.1, as PKCS #8.
fn rfc_8037_key() -> EncodingKey {
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let hex = |i: usize| u8::from_str_radix(&seed[2 * i..2 * i + 2], 16).unwrap();
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend((0..32).map(hex));
    EncodingKey::from_ed_der(&der)
}

#[test]
fn a_key_set_with_another_kind_of_key_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    for bad in [r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, "{}", ""] {
        fs::write(&path, bad).unwrap();
        assert!(matches!(keys().with_key_set(&path), Err(Error::KeySet { .. })), "{bad}");
    }
    let absent = directory.path().join("absent.json");
    assert!(matches!(keys().with_key_set(&absent), Err(Error::File { .. })));
}

#[test]
fn a_secret_is_made_once_and_is_its_owners() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/dev.key");
    let made = Secret::load_or_create(&path, &Sevens).unwrap();
    fs::write(directory.path().join("short"), [1, 2, 3]).unwrap();
    assert_eq!(Secret::load_or_create(&path, &Sevens).unwrap().0, made.0);
    let short = Secret::load_or_create(&directory.path().join("short"), &Sevens);
    assert!(matches!(short, Err(Error::NotASecret(_))));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "the draft is gone");
}
