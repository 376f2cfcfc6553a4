//! The clock only moves up, past what it gave and what it saw.

use super::config;
use landfall_model::stamp::{Clock, Hlc};
use proptest::prelude::*;

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn every_tick_is_above_all_that_was_given_or_seen(
        moves in prop::collection::vec((any::<bool>(), any::<i64>(), 0u64..1 << 63), 1..40),
    ) {
        let mut clock = Clock::default();
        let mut highest = Hlc::ZERO;
        for (tick, now_ms, seen) in moves {
            if tick {
                // Wall clocks of any kind, from before 1970 to some thousand years from now.
                let now_ms = now_ms % (1 << 46);
                let given = clock.tick(now_ms);
                prop_assert!(given > highest);
                prop_assert!(given >= Hlc::from_millis(now_ms));
                highest = given;
            } else {
                clock.observe(Hlc(seen));
                highest = highest.max(Hlc(seen));
            }
            prop_assert_eq!(clock.last, highest);
        }
    }

    #[test]
    fn milliseconds_survive_the_stamp(ms in 0i64..1 << 48) {
        prop_assert_eq!(Hlc::from_millis(ms).millis(), ms);
        prop_assert!(Hlc::from_millis(ms) < Hlc::from_millis(ms).next());
    }

    #[test]
    fn times_out_of_range_keep_their_order(a in any::<i64>(), b in any::<i64>()) {
        prop_assert_eq!(a <= b || Hlc::from_millis(a) >= Hlc::from_millis(b), true);
        let within = Hlc::from_millis(a).millis();
        prop_assert_eq!(within, a.clamp(0, (1 << 48) - 1));
    }
}
