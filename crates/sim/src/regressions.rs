//! Seeds that once failed, each with what was wrong. They are run with every test.
//!
//! A seed's world shifts with every change of what devices say or people do, so an old seed may not
//! meet its fault any more. What keeps a fault out is a test of its own, beside the rule that it
//! broke; these are kept because they cost nothing.

use crate::Weather;

/// Seed, weather, and the fault that it found.
pub const REGRESSIONS: &[(u64, Weather, &str)] = &[
    (
        538,
        Weather::Storm,
        "a region restored to before its first entry never cut the life that only a device's cursor knew",
    ),
    (
        47,
        Weather::Storm,
        "a life that only a device's cursor knows was never cut: the device waited for it for ever",
    ),
    (
        586,
        Weather::Storm,
        "index entries above a cut were not clipped: their rows came again with every switch",
    ),
    (
        20,
        Weather::Storm,
        "a forked life was cut where the peers ended, above what devices had seen of the other branch",
    ),
    (
        1349,
        Weather::Storm,
        "rows of a life that only a device's rows knew were asked for again for ever",
    ),
    (38, Weather::Storm, "a life was called void by a region that had not heard that it began"),
    (4904, Weather::Storm, "a region that had not heard of a cut brought positions above it back"),
    (
        165,
        Weather::Storm,
        "a device remembered that a lost region's life was void, which it was not",
    ),
    (
        3243,
        Weather::Storm,
        "writes on a refused create stayed in the overlay of a row that had left",
    ),
    (
        20803,
        Weather::Storm,
        "a region that was put back wrote as much as its peers held before it heard them: the logs forked",
    ),
    (
        7345,
        Weather::Storm,
        "a first pass through two regions with no common position never heard of a row that left",
    ),
    (
        112,
        Weather::Storm,
        "a clock that was years off made young rows too old for their window: they went, and did not come back",
    ),
    (
        82,
        Weather::Storm,
        "a hedge that found its id in use ended, and the session went on under that id for ever",
    ),
    (
        227,
        Weather::Storm,
        "a write that was refused here and accepted elsewhere was never told durable",
    ),
    (
        306,
        Weather::Storm,
        "a session that was open when a log ended never heard of it, and waited for what was cut",
    ),
    (
        2355,
        Weather::Storm,
        "a late frame on a peer's other link took back what it had said since: nothing more was durable",
    ),
    (
        5141,
        Weather::Storm,
        "a write whose birth a region had lost was overwritten silently once the birth was back",
    ),
    (
        6913,
        Weather::Storm,
        "a write that was stamped anew claimed to have seen a refused one with a later stamp",
    ),
    (
        12085,
        Weather::Storm,
        "a write that another region accepted while this one refused it was not asked for any more",
    ),
    (
        12544,
        Weather::Storm,
        "a refusal was said of another op of its number, which a copy of the file had made",
    ),
    (
        30393,
        Weather::Storm,
        "a refusal was said of an op that had come from a peer since, once its number was confirmed",
    ),
    (
        12726,
        Weather::Storm,
        "a write was taken back silently, where a higher one whose birth was lost stood beside it",
    ),
    (
        21124,
        Weather::Storm,
        "a write said that it had replaced a stamp which was given anew while it was on its way",
    ),
    (
        25018,
        Weather::Storm,
        "the void of a write went on being pushed where a copy of the file had filled its number",
    ),
    (
        27776,
        Weather::Storm,
        "a part of a transaction was refused for good, where a copy of the file had the other numbers",
    ),
    (
        28778,
        Weather::Storm,
        "who began in a region that had not the birth of a text never got what had been typed before",
    ),
    (
        7461,
        Weather::Storm,
        "what was left of a transaction was never refused for good, where another part of it was",
    ),
    (
        13711,
        Weather::Storm,
        "a write that a lost region had accepted was called durable where a copy had used its number",
    ),
    (
        57393,
        Weather::Storm,
        "a write was overwritten under an own one that went with a region, and nobody was told",
    ),
    (
        1955,
        Weather::Storm,
        "what a lost region alone had accepted, and all others refuse, was never refused for good",
    ),
    (
        2014,
        Weather::Storm,
        "a write that went with a region was refused for good, though another might have had it",
    ),
    (
        584,
        Weather::Storm,
        "who had nothing any more of what a lost region told was never asked for the rest",
    ),
];
