//! What is served while files change under a server.

use crate::authority::{Authority, Certified, FAR};
use crate::server::{Server, call, trusting};
use landfall_tls::{Acceptor, Files, Part};
use std::fs;

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let server = Server::start(&old.certify("127.0.0.1", FAR)).await;
    let (of_old, of_new) = (trusting(&old.pem), trusting(&new.pem));
    let endpoint = server.endpoint();
    let _open = call(&of_old, &endpoint).await.expect("the first one is served");
    assert!(call(&of_new, &endpoint).await.is_err_and(|e| e.is_refusal()));
    server.renew(&new.certify("127.0.0.1", FAR));
    call(&of_new, &endpoint).await.expect("the new one is served");
    let stranger = trusting(&old.pem);
    assert!(call(&stranger, &endpoint).await.is_err_and(|e| e.is_refusal()));
}

#[tokio::test]
async fn what_does_not_fit_together_is_not_served() {
    let ours = Authority::new("ours");
    let server = Server::start(&ours.certify("127.0.0.1", FAR)).await;
    let (connector, endpoint) = (trusting(&ours.pem), server.endpoint());
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| server.folder.path().join(name));
    let new = ours.certify("127.0.0.1", FAR);
    fs::write(&cert, &new.cert).unwrap();
    call(&connector, &endpoint).await.expect("the pair before, beside a key that is not its");
    fs::write(&cert, "no certificate").unwrap();
    call(&connector, &endpoint).await.expect("the pair before, beside nonsense");
    fs::remove_file(&cert).unwrap();
    call(&connector, &endpoint).await.expect("the pair before, beside nothing");
    // It goes on looking: what fits together in the end is served.
    let other = Authority::new("other");
    let Certified { cert: chain, key: private } = other.certify("127.0.0.1", FAR);
    fs::write(&cert, chain).unwrap();
    fs::write(&key, private).unwrap();
    call(&trusting(&other.pem), &endpoint).await.expect("the new pair");
}

#[test]
fn files_that_cannot_be_served_are_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let check = |cert: &str, key: &str, part: Part, told: &str| {
        let [cert, key] = Certified { cert: cert.into(), key: key.into() }.write(folder.path());
        let error = Acceptor::open(Files { cert, key }).unwrap_err();
        assert_eq!(error.part, part, "{error}");
        assert!(error.to_string().contains(told), "{error}");
    };
    let (one, two) = (ours.certify("a.example", FAR), ours.certify("b.example", FAR));
    check(&one.cert, &two.key, Part::Key, "not the key of the certificate");
    check(&one.key, &one.key, Part::Cert, "has no -----BEGIN CERTIFICATE-----");
    check(&one.cert, &one.cert, Part::Key, "has no private key");
    let broken = one.cert.replacen("MII", "\u{e4}", 1);
    check(&broken, &one.key, Part::Cert, "no certificate in PEM");
    let missing = Files { cert: folder.path().join("nowhere.pem"), key: folder.path().join("key") };
    let error = Acceptor::open(missing).unwrap_err();
    assert!(error.part == Part::Cert && error.to_string().contains("cannot be read"), "{error}");
}
