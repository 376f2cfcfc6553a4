//! The laws of the model, proved over random histories, and its encodings, held byte for byte.
//!
//! Every property runs from a fixed seed, so a run repeats. A case that once failed is kept as a
//! test with a name of its own.

mod laws {
    mod clock;
    mod decoding;
    mod golden;
    mod history;
    mod named_cases;
    mod oracle;
    mod order;
    mod reach;
    mod samples;
    mod shows;
    mod text;
    mod vectors;

    use proptest::test_runner::{Config, RngSeed};

    /// The same cases at every run.
    pub fn config(cases: u32) -> Config {
        Config {
            cases,
            rng_seed: RngSeed::Fixed(0x1a2d_fa11),
            failure_persistence: None,
            ..Config::default()
        }
    }
}
