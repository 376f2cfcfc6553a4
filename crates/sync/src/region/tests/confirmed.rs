//! What a region forgets of what devices have confirmed.

use super::*;

#[test]
fn a_confirmed_number_is_forgotten_however_many_before_it_are_not() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 w/*");
    let count = u64::from(crate::limits::PUSH_OPS_MAX) + 2;
    let op = |n: u64| {
        let mut op = a.create(1, n, &format!("o{n}"), vec![]).op;
        (op.hlc, op.tx) = (Hlc::from_millis(NOW), Tx { first: 1, count: count as u32 });
        op.seal()
    };
    let ops: Vec<Sealed> = (1..=count).map(op).collect();
    a.push(1, &ops.iter().collect::<Vec<_>>());
    exchange(&mut a, &mut b);
    let device = DeviceId::from_number(1);
    let seqs = Some(convert::wire_seq_set(&SeqSet::from_parts(0, [(count, count)])));
    a.up(1, Up::Confirm(wire::Confirm { device: device.0.to_vec().into(), seqs }));
    let mut kept = |seq| !a.store.dots(Dot::new(device, seq)).unwrap().is_empty();
    assert!(kept(1) && kept(count - 1));
    assert!(!kept(count));
}
