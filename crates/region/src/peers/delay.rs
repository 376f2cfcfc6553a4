//! A delay line: what comes in goes out again, in order, a fixed time later.

use futures_util::Stream;
use futures_util::stream::StreamExt;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Items under way at a time; more wait at the entrance.
const ITEMS_MAX: usize = 4_096;

/// The stream, `delay` later. Its end is delayed as well.
pub fn delayed<S>(stream: S, delay: Duration) -> impl Stream<Item = S::Item> + Send
where
    S: Stream + Send,
    S::Item: Send,
{
    Line { stream: Box::pin(stream), delay, items: VecDeque::new(), ended: false, timer: None }
}

struct Line<S: Stream> {
    stream: Pin<Box<S>>,
    delay: Duration,
    /// In order of arrival; the last may be the end of the stream.
    items: VecDeque<(Instant, Option<S::Item>)>,
    ended: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S: Stream> Unpin for Line<S> {}

impl<S: Stream> Line<S> {
    /// Take in all that has arrived.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while !self.ended && self.items.len() < ITEMS_MAX {
            let Poll::Ready(item) = self.stream.poll_next_unpin(cx) else {
                return;
            };
            self.ended = item.is_none();
            self.items.push_back((Instant::now() + self.delay, item));
        }
    }
}

impl<S: Stream> Stream for Line<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let line = &mut *self;
        if line.delay.is_zero() {
            return line.stream.poll_next_unpin(cx);
        }
        line.fill(cx);
        let Some((due, _)) = line.items.front() else {
            return Poll::Pending;
        };
        let timer = line.timer.get_or_insert_with(|| Box::pin(sleep_until(*due)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        line.timer = None;
        Poll::Ready(line.items.pop_front().and_then(|(_, item)| item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream::iter;

    #[tokio::test]
    async fn items_come_later_in_their_order_and_overlap() {
        let delay = Duration::from_millis(40);
        let began = Instant::now();
        let items: Vec<u32> = delayed(iter(0..50), delay).collect().await;
        assert_eq!(items, (0..50).collect::<Vec<_>>());
        let took = began.elapsed();
        assert!(took >= delay && took < delay * 10, "one delay for all, not one each: {took:?}");
    }
}
