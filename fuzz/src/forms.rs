//! Small texts that stand for something: what is read is shown as it was written.

use landfall_device::bytes_from_text;
use landfall_model::hex;
use landfall_model::id::{DeviceId, Dot};
use landfall_sync::device::node::is_json;

pub fn run(input: &[u8]) {
    assert_eq!(hex::decode(&hex::encode(input)).as_deref(), Some(input));
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(bytes) = hex::decode(text) {
        assert!(hex::encode(&bytes).eq_ignore_ascii_case(text));
    }
    if let Ok(device) = text.parse::<DeviceId>() {
        assert!(device.to_string().eq_ignore_ascii_case(text));
    }
    if let Ok(dot) = text.parse::<Dot>() {
        assert_eq!(dot.to_string().parse(), Ok(dot));
    }
    if let Some(bytes) = bytes_from_text(text) {
        assert_eq!(text.len(), bytes.len().div_ceil(3) * 4, "bytes have one text");
    }
    is_json(text);
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let dot = Dot::new(DeviceId::from_number(7), 12);
    let texts = [
        dot.to_string(),
        dot.device.to_string(),
        "aGVsbG8=".to_owned(),
        r#"{"a": [1, 2.5e3, null, "\u00e9"], "b": {}}"#.to_owned(),
    ];
    crate::frames::numbered("form", texts.map(String::into_bytes))
}
