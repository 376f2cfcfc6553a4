//! Base64 with padding (RFC 4648, section 4), as JSON holds bytes. Every sequence of bytes has one
//! text, and only that is read.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= three.len() { digit.into() } else { '=' });
        }
    }
    out
}

/// `None` for what [`encode`] does not write.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for four in text.as_bytes().chunks(4) {
        let digits = four.iter().take_while(|c| **c != b'=').count();
        if digits < 2 {
            return None;
        }
        let mut bits = 0;
        for c in &four[..digits] {
            bits = bits << 6 | DIGITS.iter().position(|d| d == c)? as u32;
        }
        bits <<= 6 * (4 - digits);
        out.extend_from_slice(&bits.to_be_bytes()[1..digits]);
    }
    // Also refuses other characters for the padding, padding in the middle, and bits behind the end.
    (encode(&out) == text).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_and_back() {
        let check = |bytes: &[u8], text: &str| {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        };
        check(b"", "");
        check(b"f", "Zg==");
        check(b"fo", "Zm8=");
        check(b"foo", "Zm9v");
        check(b"foob", "Zm9vYg==");
        check(&[0, 255, 7, 255], "AP8H/w==");
        for wrong in ["Zg", "Zg=", "Zh==", "Z===", "Zm9v=", "Zm8=Zm8=", "Zm 9", "ab01-_", "é==="] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
