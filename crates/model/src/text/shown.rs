//! The characters of an open document as one string, kept beside it.
//!
//! The document itself holds them in as many pieces as there were edits, and walks through all of
//! them to make a string. Here each change is made to the string, so that showing a document after
//! an edit costs a copy of it.

use loro::event::Diff;
use loro::{ContainerTrait, LoroDoc, Subscription, TextDelta};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What each commit or import did to the text, from its beginning on.
type Changes = Arc<Mutex<Vec<Vec<TextDelta>>>>;

pub(super) struct Shown {
    text: String,
    /// Code points in it.
    chars: usize,
    /// What happened since.
    changes: Changes,
    _subscription: Subscription,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} characters", self.chars)
    }
}

impl Shown {
    /// Begin to follow a document.
    pub fn of(doc: &LoroDoc, container: &str) -> Self {
        let text = doc.get_text(container);
        let changes = Changes::default();
        let told = changes.clone();
        let listen = move |event: loro::event::DiffEvent<'_>| {
            for change in event.events {
                if let Diff::Text(delta) = change.diff {
                    lock(&told).push(delta);
                }
            }
        };
        let subscription = doc.subscribe(&text.id(), Arc::new(listen));
        let text = text.to_string();
        lock(&changes).clear();
        Self { chars: text.chars().count(), text, changes, _subscription: subscription }
    }

    /// The text as it is now; `None` if what was told does not fit it.
    pub fn now(&mut self) -> Option<&str> {
        let changes = std::mem::take(&mut *lock(&self.changes));
        changes.iter().try_for_each(|delta| self.change(delta))?;
        Some(&self.text)
    }

    fn change(&mut self, delta: &[TextDelta]) -> Option<()> {
        let ascii = self.text.len() == self.chars;
        let mut changed = String::with_capacity(self.text.len() + 64);
        let mut rest = self.text.as_str();
        let mut chars = self.chars;
        for part in delta {
            match part {
                TextDelta::Retain { retain, .. } => {
                    let (kept, behind) = split(rest, *retain, ascii)?;
                    changed.push_str(kept);
                    rest = behind;
                }
                TextDelta::Insert { insert, .. } => {
                    changed.push_str(insert);
                    chars += insert.chars().count();
                }
                TextDelta::Delete { delete } => {
                    rest = split(rest, *delete, ascii)?.1;
                    chars -= delete;
                }
            }
        }
        changed.push_str(rest);
        (self.text, self.chars) = (changed, chars);
        Some(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cut behind `count` code points; `None` if there are fewer.
fn split(text: &str, count: usize, ascii: bool) -> Option<(&str, &str)> {
    text.split_at_checked(if ascii { count } else { offset(text, count)? })
}

/// Where the code point of this number begins, in bytes.
fn offset(text: &str, count: usize) -> Option<usize> {
    const STEP: usize = 64;
    let begins = |b: &&u8| (**b).cast_signed() >= -0x40;
    let mut left = count;
    let mut at = 0;
    // Whole steps first: counting is quick, looking at each is not.
    for step in text.as_bytes().chunks(STEP) {
        let here = step.iter().filter(begins).count();
        if here > left {
            break;
        }
        left -= here;
        at += step.len();
    }
    for byte in &text.as_bytes()[at..] {
        if begins(&byte) {
            if left == 0 {
                return Some(at);
            }
            left -= 1;
        }
        at += 1;
    }
    (left == 0).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::super::{Document, Version};
    use super::*;

    #[test]
    fn code_points_are_found_in_bytes() {
        let text = "aé𝄞".repeat(50);
        let begins: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        for (count, at) in begins.iter().enumerate() {
            assert_eq!(offset(&text, count), Some(*at), "{count}");
        }
        assert_eq!(offset(&text, 150), Some(text.len()));
        assert_eq!(offset(&text, 151), None);
        assert_eq!(offset("", 0), Some(0));
    }

    /// A cheap sequence of numbers that looks random.
    fn draw(state: &mut u64, below: usize) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        ((*state >> 33) as usize) % below
    }

    #[test]
    fn the_string_is_what_a_document_opened_anew_shows() {
        let mut state = 7;
        let (a, b) = (Document::default(), Document::default());
        a.set_author(1);
        b.set_author(2);
        for round in 0..300 {
            for doc in [&a, &b] {
                let len = doc.len();
                let at = draw(&mut state, len + 1);
                let delete = draw(&mut state, 4).min(len - at);
                let insert = ["", "x", "é𝄞", "a longer piece "][draw(&mut state, 4)];
                doc.splice(at, delete, insert).unwrap();
                assert_eq!(doc.value(), doc.0.get_text("text").to_string(), "round {round}");
            }
            if round % 3 == 0 {
                a.import(&b.changes_since(&a.version()).unwrap()).unwrap();
                b.import(&a.changes_since(&b.version()).unwrap()).unwrap();
                assert_eq!(a.value(), b.value());
            }
        }
        let anew = Document::default();
        anew.import(&a.changes_since(&Version::default()).unwrap()).unwrap();
        b.import(&a.changes_since(&b.version()).unwrap()).unwrap();
        a.import(&b.changes_since(&a.version()).unwrap()).unwrap();
        anew.import(&b.changes_since(&Version::default()).unwrap()).unwrap();
        assert_eq!(anew.value(), a.value());
        assert_eq!(anew.value(), b.value());
    }
}
