//! What a device asks of ops that it has pushed before: by number, payload and position.

use super::*;
use landfall_model::op::Fingerprint;
use wire::fate::Kind;

/// Ask what became of the first device's first op, as one of this payload, accepted there.
fn ask(r: &mut Region, of: Fingerprint, at: Option<Position>) -> Kind {
    let position = at.map(convert::wire_position).unwrap_or_default();
    let status = wire::Status {
        device: DeviceId::from_number(1).0.to_vec().into(),
        seqs: Some(convert::wire_seq_set(&SeqSet::up_to(1))),
        fingerprints: of.0.to_vec().into(),
        positions: vec![position],
    };
    match &r.up(1, Up::Status(status))[..] {
        [Down::Fates(f)] => f.fates[0].kind.clone().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The device has confirmed its first number.
fn forget(r: &mut Region) {
    r.store.remove_dots(DeviceId::from_number(1), 1, 1).unwrap();
}

#[test]
fn a_question_for_a_fate_is_answered_for_the_payload_and_not_for_the_number() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let op = r.create(1, 1, "o1", vec![]);
    r.push(1, &[&op]);
    assert!(matches!(ask(&mut r, op.fingerprint, None), Kind::Accepted(_)));
    assert_eq!(ask(&mut r, Fingerprint([7; 16]), None), Kind::Other(true));
}

#[test]
fn a_question_that_lacks_a_payload_or_a_position_is_malformed() {
    for (fingerprints, positions) in [(16, 0), (32, 1), (33, 2)] {
        let mut r = Region::new(1);
        r.hello(1, 1, "u1 w/*");
        let status = wire::Status {
            device: DeviceId::from_number(1).0.to_vec().into(),
            seqs: Some(convert::wire_seq_set(&SeqSet::up_to(2))),
            fingerprints: vec![7; fingerprints].into(),
            positions: vec![wire::Position::default(); positions],
        };
        let answer = r.up(1, Up::Status(status));
        assert!(matches!(&answer[..], [Down::Error(e)] if e.code == "malformed"), "{answer:?}");
    }
}

/// Two copies of a file use a number; the region refused the one's op, and has forgotten the other's.
#[test]
fn a_refusal_says_nothing_of_another_op_of_its_number() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/paris");
    let refused = r.create(1, 1, "o1", vec![]);
    assert_eq!(fates(&r.push(1, &[&refused])), ["1+1 not_allowed"]);
    r.node.device_gone(SessionId(1));
    r.hello(1, 1, "u1 w/*");
    let other = r.create(1, 1, "o2", vec![]);
    assert_eq!(fates(&r.push(1, &[&other])), ["1+1 at 1"]);
    assert!(matches!(ask(&mut r, other.fingerprint, None), Kind::Accepted(_)));
    forget(&mut r);
    assert_eq!(ask(&mut r, other.fingerprint, None), Kind::Unknown(true));
    assert!(matches!(ask(&mut r, refused.fingerprint, None), Kind::Rejected(_)));
}

/// It was refused here, came from a peer, and is forgotten, as a copy of its device confirmed it.
#[test]
fn a_refusal_ends_when_the_op_comes_from_a_peer() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 w/paris");
    b.hello(1, 1, "u1 w/*");
    let op = a.create(1, 1, "o1", vec![]);
    assert_eq!(fates(&a.push(1, &[&op])), ["1+1 not_allowed"]);
    assert_eq!(fates(&b.push(1, &[&op])), ["1+1 at 1"]);
    exchange(&mut a, &mut b);
    forget(&mut a);
    assert_eq!(ask(&mut a, op.fingerprint, None), Kind::Unknown(true));
}

/// Two copies of a file use a number; the one's op was accepted in a region that is lost, and the
/// other's is here, confirmed and forgotten.
#[test]
fn what_was_accepted_elsewhere_and_is_not_here_is_not_called_well() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let here = r.create(1, 1, "o1", vec![]);
    assert_eq!(fates(&r.push(1, &[&here])), ["1+1 at 1"]);
    let at = r.node.vector().iter().next().map(|(origin, seq)| Position { origin, seq }).unwrap();
    forget(&mut r);
    let other = Fingerprint([7; 16]);
    assert_eq!(ask(&mut r, other, Some(at)), Kind::Unknown(true));
    let lost = Position { origin: Origin { region: RegionId(7), ..at.origin }, ..at };
    assert_eq!(ask(&mut r, other, Some(lost)), Kind::Other(true));
    assert_eq!(ask(&mut r, other, None), Kind::Unknown(true), "nobody can tell");
}
