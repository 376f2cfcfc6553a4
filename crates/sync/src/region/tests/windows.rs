//! Passes for readers that keep only what is young.

use super::*;

#[test]
fn a_pass_leaves_out_what_is_older_than_is_kept_and_says_so_to_who_may_hold_it() {
    const DAY_MS: i64 = 86_400_000;
    let mut region = Region::new(1);
    region.now = 10 * DAY_MS;
    region.hello(1, 1, "u1 w/*");
    let on = |region: &Region, date: &str| region.put("on", Value::text(date));
    let old = region.create(1, 1, "old", vec![on(&region, "1970-01-02")]);
    let young = region.create(1, 2, "young", vec![on(&region, "1970-01-10")]);
    let ageless = region.create(1, 3, "ageless", vec![]);
    let (of_old, of_young) = (region.line(1, 4, "l1", &old), region.line(1, 5, "l2", &young));
    for op in [&old, &young, &ageless, &of_old, &of_young] {
        region.push(1, &[op]);
    }
    let ask = |region: &mut Region, sub, cursor: &Vector, fresh| {
        let cursor = Some(convert::wire_vector(cursor));
        let (scope, keep_ms) = ("w/lyon".to_owned(), 5 * DAY_MS as u64);
        let subscribe =
            wire::Subscribe { sub, scope, cursor, keep_ms, fresh, ..Default::default() };
        let down = region.up(1, Up::Subscribe(subscribe));
        let deltas = down.iter().filter_map(|f| match f {
            Down::Delta(d) if d.sub == sub => Some(wire::Body::decode(d.body.clone()).unwrap()),
            _ => None,
        });
        let row = |r: wire::Row| (r.key.unwrap().id, r.outside, r.state.is_empty());
        deltas.flat_map(|b| b.rows).map(row).collect::<Vec<_>>()
    };
    let whole = |id: &str| (id.to_owned(), false, false);
    let gone = |id: &str| (id.to_owned(), true, true);
    let mut fresh = ask(&mut region, 1, &Vector::new(), true);
    fresh.sort();
    assert_eq!(fresh, [whole("ageless"), whole("l2"), whole("young")]);
    let mut stale = ask(&mut region, 2, &Vector::new(), false);
    stale.sort();
    let all = [whole("ageless"), gone("l1"), whole("l2"), gone("old"), whole("young")];
    assert_eq!(stale, all);
}
