//! How large the frames with rows are.

use super::*;
use crate::limits::{CHUNK_BYTES, CHUNK_BYTES_FIRST};

#[test]
fn chunks_of_a_session_grow_with_what_it_has_carried() {
    const ROW: usize = 2_000;
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let status = "x".repeat(ROW);
    for seq in 1..=900 {
        let op = r.create(1, seq, &format!("o{seq}"), vec![r.put("status", Value::text(&*status))]);
        r.push(1, &[&op]);
    }
    for session in [2, 3] {
        // Whatever a session before it carried, the link is another one.
        r.hello(session, session, "u2 w/*");
        let mut frames = r.subscribe(session, "w/lyon", &Vector::new());
        loop {
            let credit = Up::Credit(wire::Credit { bytes: 1 << 20 });
            let more = r.up(session, credit);
            if more.is_empty() {
                break;
            }
            frames.extend(more);
        }
        assert_eq!(rows(&frames).len(), 900);
        let body = |frame: &Down| match frame {
            Down::Delta(d) => Some(d.body.len()),
            _ => None,
        };
        let sizes: Vec<usize> = frames.iter().filter_map(body).collect();
        let mut before = 0;
        for size in &sizes {
            // A row is never cut in two.
            let most = usize::clamp(before, CHUNK_BYTES_FIRST, CHUNK_BYTES) + 2 * ROW;
            assert!(*size <= most, "{size} after {before}: {sizes:?}");
            before += size;
        }
        assert!(sizes[0] < CHUNK_BYTES / 4 && sizes.iter().any(|s| *s >= CHUNK_BYTES), "{sizes:?}");
        assert!(sizes.len() < 16, "they are soon as large as they may be: {sizes:?}");
    }
}
