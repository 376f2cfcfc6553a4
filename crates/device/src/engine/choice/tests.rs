//! Orders of regions, and moves between them, in made-up time.

use super::*;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn network() -> Network {
    Network { dwell_ms: 10_000, probe_ms: 1_000, survey_ms: 50_000, ..Network::default() }
}

fn three() -> Choice {
    let region = |name: &str| RegionUrl::new(name, format!("http://{name}.example"));
    Choice::new(["a", "b", "c"].map(region).into(), 42)
}

#[test]
fn the_order_is_the_given_one_unless_one_is_clearly_nearer() {
    let check = |round_trips: [u64; 3], order: [usize; 3]| {
        let mut choice = three();
        for (region, ms) in round_trips.into_iter().enumerate() {
            choice.seen[region].took(at(ms));
        }
        assert_eq!(choice.order(), order, "{round_trips:?}");
    };
    check([5, 1, 1], [0, 1, 2]);
    check([100, 80, 75], [0, 1, 2]);
    check([100, 60, 20], [2, 1, 0]);
    check([300, 260, 250], [0, 1, 2]);
}

#[test]
fn who_failed_comes_last_and_the_longest_ago_first_among_those() {
    let mut choice = three();
    choice.failed(0, at(10), &network(), 0);
    choice.failed(1, at(5), &network(), 0);
    assert_eq!(choice.order(), [2, 1, 0]);
    choice.ready(2, at(20), at(1));
    assert_eq!(choice.second(), None);
    // All failed: all are tried.
    choice.failed(2, at(30), &network(), 0);
    assert_eq!(choice.order(), [1, 0, 2]);
}

#[test]
fn a_probe_that_could_not_be_made_says_nothing_and_is_made_later() {
    let (mut choice, network) = (three(), network());
    choice.ready(0, at(0), at(1));
    assert_eq!(choice.next_probe(&network, true), Some((at(50_000), 1)));
    choice.not_probed(1, at(50_000), &network);
    assert_eq!(choice.second(), Some(1), "nothing is held against it");
    assert_eq!(choice.next_probe(&network, true), Some((at(50_000), 2)));
    choice.not_probed(2, at(50_400), &network);
    assert_eq!(choice.next_probe(&network, true), Some((at(51_000), 1)));

    // One that failed stays as far on its way back as it was.
    let (mut choice, ok) = (three(), Ok((at(1), 100)));
    choice.failed(0, at(100), &network, 5_000);
    choice.ready(1, at(110), at(1));
    assert!(!choice.probed(0, at(10_100), ok, &network, 0));
    assert!(!choice.probed(0, at(11_100), ok, &network, 0));
    choice.not_probed(0, at(12_100), &network);
    assert_eq!(choice.next_probe(&network, false), Some((at(13_100), 0)));
    assert!(choice.probed(0, at(13_100), ok, &network, 0));
}

#[test]
fn a_region_is_gone_back_to_after_a_rest_and_several_probes() {
    let (mut choice, network) = (three(), network());
    choice.ready(0, at(0), at(1));
    choice.failed(0, at(100), &network, 5_000);
    choice.ready(1, at(110), at(1));
    // Half of the rest, and what randomness adds.
    assert_eq!(choice.next_probe(&network, false), Some((at(10_100), 0)));
    let ok = Ok((at(1), 100));
    assert!(!choice.probed(0, at(10_100), ok, &network, 0));
    assert_eq!(choice.next_probe(&network, false), Some((at(11_100), 0)));
    assert!(!choice.probed(0, at(11_100), ok, &network, 0));
    assert!(choice.probed(0, at(12_100), ok, &network, 0));
}

#[test]
fn a_region_that_comes_and_goes_is_not_followed() {
    let (mut choice, network) = (three(), network());
    choice.ready(0, at(0), at(1));
    choice.failed(0, at(0), &network, 0);
    choice.ready(1, at(10), at(1));
    let mut now = 0;
    for round in 0..100 {
        now = choice.next_probe(&network, false).unwrap().0.as_millis() as u64;
        // Two probes of three succeed.
        let answer = if round % 3 == 2 { Err(()) } else { Ok((at(1), 100)) };
        assert!(!choice.probed(0, at(now), answer, &network, 0), "round {round}");
    }
    assert!(now > 30 * 5_000, "it is left alone in between: {now}");
}

#[test]
fn only_so_many_go_back_as_the_region_takes() {
    let network = network();
    let back = |slot: u32, accepts: u32| {
        let mut choice = Choice { slot, ..three() };
        choice.failed(0, at(0), &network, 0);
        choice.ready(1, at(0), at(1));
        let mut moved = false;
        for _ in 0..PROBES {
            let (now, region) = choice.next_probe(&network, false).unwrap();
            moved = choice.probed(region, now, Ok((at(1), accepts)), &network, 0);
        }
        // Refused, it asks again, but not soon.
        let again = choice.next_probe(&network, false).unwrap().0;
        assert!(moved || again.as_millis() >= 17_000, "{again:?}");
        moved
    };
    assert_eq!((0..100).filter(|slot| back(*slot, 10)).count(), 10);
    assert_eq!((0..100).filter(|slot| back(*slot, 100)).count(), 100);
}

#[test]
fn a_region_that_is_clearly_nearer_is_moved_to_after_several_looks() {
    let (mut choice, network) = (three(), network());
    choice.ready(0, at(0), at(200));
    assert_eq!(choice.next_probe(&network, false), None);
    let mut moves = Vec::new();
    while !moves.contains(&(2, true)) {
        let (now, region) = choice.next_probe(&network, true).unwrap();
        let round_trip = if region == 2 { at(20) } else { at(190) };
        moves.push((region, choice.probed(region, now, Ok((round_trip, 100)), &network, 0)));
    }
    let looks = |region: usize| moves.iter().filter(|(r, _)| *r == region).count();
    assert_eq!(looks(2), PROBES as usize);
    assert!(!moves.contains(&(1, true)));
}

#[test]
fn another_list_keeps_what_is_known() {
    let mut choice = three();
    choice.ready(1, at(10), at(7));
    choice.failed(0, at(20), &network(), 0);
    let [a, b, c] = <[RegionUrl; 3]>::try_from(choice.regions.clone()).unwrap();
    let d = RegionUrl::new("d", "http://d.example");
    choice.replace(vec![c, d, b, a]);
    assert_eq!(choice.order(), [0, 1, 2, 3]);
    assert_eq!(choice.current, Some((2, at(10))));
}

#[test]
fn a_region_whose_round_trips_vary_counts_as_farther_than_its_shortest() {
    let mut choice = three();
    choice.seen[0].took(at(100));
    // The shortest alone would be clearly nearer.
    [20, 20, 200, 200].into_iter().for_each(|ms| choice.seen[1].took(at(ms)));
    [60, 61, 60, 62].into_iter().for_each(|ms| choice.seen[2].took(at(ms)));
    assert_eq!(choice.order(), [2, 0, 1]);
    // What is long ago no longer counts.
    (0..KEPT).for_each(|_| choice.seen[2].took(at(300)));
    assert_eq!(choice.order(), [0, 1, 2]);
    (0..KEPT).for_each(|_| choice.seen[2].took(at(60)));
    assert_eq!(choice.order(), [2, 0, 1]);
}

#[test]
fn what_a_region_showed_before_it_failed_says_nothing_of_it_afterwards() {
    let (mut choice, network) = (three(), network());
    (0..5).for_each(|_| choice.ready(2, at(0), at(1)));
    choice.failed(2, at(10), &network, 0);
    choice.ready(0, at(20), at(400));
    // It comes back far away: three probes, and no reason to move.
    for _ in 0..PROBES {
        let (now, region) = choice.next_probe(&network, false).unwrap();
        assert_eq!(region, 2);
        assert!(!choice.probed(2, now, Ok((at(300), 100)), &network, 0));
    }
    // It is well again all the same, so late writes may be offered to it.
    choice.failed(1, at(60_000), &network, 0);
    assert_eq!(choice.second(), Some(2));
}

#[test]
fn a_device_that_has_just_moved_does_not_move_again() {
    let network = Network { probe_ms: 10, ..network() };
    let mut choice = three();
    choice.failed(0, at(0), &network, 0);
    choice.ready(1, at(0), at(1));
    let mut now = at(5_000);
    for _ in 1..PROBES {
        assert!(!choice.probed(0, now, Ok((at(1), 100)), &network, 0));
        now += at(10);
    }
    // The region in use fails, and the last probe comes half a second behind the move.
    choice.failed(1, now, &network, 0);
    choice.ready(2, now, at(1));
    assert!(!choice.probed(0, now + at(500), Ok((at(1), 100)), &network, 0));
    assert!(choice.probed(0, now + at(5_000), Ok((at(1), 100)), &network, 0));
}
