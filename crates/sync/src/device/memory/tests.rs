//! Commits, rollbacks and losses of power, and the conformance suite.

use super::*;
use landfall_model::id::TypeId;

#[test]
fn memory_conforms() {
    crate::device::conformance::run(MemoryStore::new);
}

fn shown(store: &MemoryStore) -> Vec<&str> {
    store.visible().keys().map(|k| k.id.as_ref()).collect()
}

fn show(store: &mut MemoryStore, id: &str, there: bool) {
    let view = View::default();
    let key = EntityKey::new("s/1", TypeId(1), id);
    store.show(&key, there.then_some(&view)).unwrap();
}

#[test]
fn a_rollback_takes_back_what_was_not_committed() {
    let mut store = MemoryStore::new();
    show(&mut store, "kept", true);
    store.begin();
    show(&mut store, "kept", false);
    show(&mut store, "new", true);
    store.rollback();
    assert_eq!(shown(&store), ["kept"]);
}

#[test]
fn a_loss_of_power_takes_back_what_is_not_durable() {
    let mut store = MemoryStore::new();
    show(&mut store, "a", true);
    store.commit();
    show(&mut store, "b", true);
    store.commit_durable();
    show(&mut store, "a", false);
    show(&mut store, "c", true);
    store.commit();
    show(&mut store, "a", true);
    show(&mut store, "d", true);
    store.lose_power();
    assert_eq!(shown(&store), ["a", "b"]);
    store.lose_power();
    assert_eq!(shown(&store), ["a", "b"]);
}
