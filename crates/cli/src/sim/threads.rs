//! Work spread over threads. Results arrive in the order in which they are done.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// Do the work of all items on so many threads. `take` gets each result, and says whether to go on.
pub(super) fn spread<I: Clone + Send + Sync, R: Send>(
    jobs: u64,
    items: Vec<I>,
    work: impl Fn(&I) -> R + Sync,
    mut take: impl FnMut(I, R) -> bool,
) {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let send = send.clone();
            let (next, stop, items, work) = (&next, &stop, &items, &work);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    if send.send((item.clone(), work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        for (item, result) in receive {
            if !take(item, result) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
}
