//! Identifiers are read as they are displayed, and nothing else is.

use landfall_model::id::{DeviceId, Dot};

#[test]
fn a_dot_is_read_from_what_it_is_displayed_as() {
    let device = DeviceId([0xff, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0xab]);
    for dot in [Dot::new(device, 1), Dot::new(DeviceId::from_number(7), u64::MAX)] {
        assert_eq!(dot.to_string().parse(), Ok(dot));
    }
    let device = device.to_string();
    let wrong = [
        String::new(),
        device.clone(),
        format!("{device}#"),
        format!("{device}#-1"),
        format!("{device}#+1"),
        format!("{device}#18446744073709551616"),
        format!("{device}#1#2"),
        format!("+{}#1", &device[1..]),
        format!("{}#1", &device[1..]),
        format!("{}é#1", &device[2..]),
    ];
    for text in wrong {
        assert!(text.parse::<Dot>().is_err(), "{text}");
    }
}
