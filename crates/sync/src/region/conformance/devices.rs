//! Devices, the dots that they sent, and what was refused of them.

use landfall_model::id::{DeviceId, FieldId};
use landfall_model::op::Fingerprint;
use landfall_model::vector::SeqSet;

use super::{at, dot, dot_record, origin};
use crate::region::store::{DeviceRecord, Refusal, Store};

pub fn devices_are_kept<S: Store>(s: &mut S) {
    let d = DeviceId::from_number(7);
    assert_eq!(s.device(d).unwrap(), DeviceRecord::default(), "an unknown device has sent nothing");
    let mut record = DeviceRecord {
        received: SeqSet::from_parts(5, [(7, 9), (1 << 40, 1 << 50)]),
        confirmed: SeqSet::up_to(3),
        closed: false,
        principal: Some("user/1".into()),
    };
    s.put_device(d, &record).unwrap();
    assert_eq!(s.device(d).unwrap(), record);
    record.closed = true;
    record.principal = None;
    s.put_device(d, &record).unwrap();
    assert_eq!(s.device(d).unwrap(), record, "put replaces all of the record");
    let other = s.device(DeviceId::from_number(8)).unwrap();
    assert_eq!(other, DeviceRecord::default());
}

pub fn dots_keep_every_fingerprint<S: Store>(s: &mut S) {
    let o = origin(1, 1, 0);
    let d = dot(1, 5);
    assert!(s.dots(d).unwrap().is_empty());
    // Of the two, the one that came later sorts first by its bytes.
    let (first, second) = (dot_record(9, at(o, 1)), dot_record(2, at(o, 2)));
    s.add_dot(d, first).unwrap();
    assert_eq!(s.dots(d).unwrap(), [first]);
    s.add_dot(d, second).unwrap();
    s.add_dot(d, dot_record(9, at(origin(2, 1, 0), 4))).unwrap();
    let both = [first, second];
    assert_eq!(s.dots(d).unwrap(), both, "in order of arrival, each under its first position");
    assert!(s.dots(dot(1, 6)).unwrap().is_empty());
    assert!(s.dots(dot(2, 5)).unwrap().is_empty());
    s.remove_dots(d.device, 5, 5).unwrap();
    assert!(s.dots(d).unwrap().is_empty(), "all records of the dot are forgotten");
    s.remove_dots(d.device, 5, 5).unwrap();
    s.add_dot(d, second).unwrap();
    assert_eq!(s.dots(d).unwrap(), [second]);
    for seq in [4, 6, 7] {
        s.add_dot(dot(1, seq), first).unwrap();
        s.add_dot(dot(2, seq), first).unwrap();
    }
    s.remove_dots(d.device, 5, 6).unwrap();
    let left = [4, 5, 6, 7].map(|seq| s.dots(dot(1, seq)).unwrap().len());
    assert_eq!(left, [1, 0, 0, 1], "both ends are gone, and nothing beyond them");
    assert_eq!(s.dots(dot(2, 6)).unwrap(), [first], "another device's stay");
}

pub fn dot_records_come_in_order<S: Store>(s: &mut S) {
    let o = origin(1, 1, 0);
    let device = DeviceId::from_number(1);
    for seq in [9, 2, 300, 5] {
        s.add_dot(dot(1, seq), dot_record(1, at(o, seq))).unwrap();
    }
    s.add_dot(dot(1, 5), dot_record(2, at(o, 99))).unwrap();
    s.add_dot(dot(2, 3), dot_record(1, at(o, 98))).unwrap();
    let mut numbers = |from: u64, limit: usize| -> Vec<u64> {
        s.dot_records(device, from, limit).unwrap().into_iter().map(|(n, _)| n).collect()
    };
    assert_eq!(numbers(0, 99), [2, 5, 5, 9, 300], "one device's, ascending, forks included");
    assert_eq!(numbers(5, 99), [5, 5, 9, 300], "`from` is included");
    assert_eq!(numbers(0, 2), [2, 5, 5], "the limit counts numbers");
    assert_eq!(numbers(6, 1), [9]);
    assert_eq!(numbers(301, 9), [0; 0]);
    assert_eq!(numbers(0, 0), [0; 0]);
    let at_5 = s.dot_records(device, 5, 1).unwrap();
    assert_eq!(at_5, [(5, dot_record(1, at(o, 5))), (5, dot_record(2, at(o, 99)))]);
}

pub fn refusals_are_kept_per_op<S: Store>(s: &mut S) {
    let (d, this, other) = (dot(1, 1), Fingerprint([1; 16]), Fingerprint([2; 16]));
    assert_eq!(s.refusals(d).unwrap(), []);
    let mut refusal = Refusal {
        code: "LF4001".into(),
        seq: 3,
        field: Some(FieldId(7)),
        detail: "the quantity is not a number".into(),
    };
    s.put_refusal(d, other, &refusal).unwrap();
    assert_eq!(s.refusals(d).unwrap(), [(other, refusal.clone())]);
    let first = refusal.clone();
    refusal.field = None;
    s.put_refusal(d, this, &refusal).unwrap();
    assert_eq!(s.refusals(d).unwrap(), [(this, refusal.clone()), (other, first)]);
    s.put_refusal(d, other, &refusal).unwrap();
    let both = [(this, refusal.clone()), (other, refusal.clone())];
    assert_eq!(s.refusals(d).unwrap(), both, "put replaces");
    assert_eq!(s.refusals(dot(1, 2)).unwrap(), []);
    s.remove_refusal(dot(1, 2), this).unwrap();
    s.remove_refusal(dot(2, 1), this).unwrap();
    s.remove_refusal(d, this).unwrap();
    assert_eq!(s.refusals(d).unwrap(), [(other, refusal)]);
}
