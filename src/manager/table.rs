//! Which manager belongs to which runtime: what the free functions look up.
//!
//! The table is of the process, its key the runtime's id, so that two runtimes never share networks
//! (a hundred tests in parallel least of all). An entry goes when its runtime ends: a task spawned on it
//! holds a guard, and a runtime drops its tasks when it ends. One entry a living runtime is the bound.
//!
//! No lock is held while a manager is made or dropped, for both may run code that looks here.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};

use tokio::runtime::{Handle, Id};

#[cfg(feature = "test-util")]
use super::sentinel::Sentinel;
use super::{BuildError, Manager, ManagerBuilder};

static TABLE: LazyLock<RwLock<HashMap<Id, Arc<Entry>>>> = LazyLock::new(RwLock::default);

/// What a runtime has. A manager that could not be made stays as its error, so that each operation says
/// the same.
#[derive(Debug, Default)]
struct Entry {
    manager: OnceLock<Result<Manager, BuildError>>,
    #[cfg(feature = "test-util")]
    sentinel: OnceLock<Sentinel>,
}

/// The manager of the current runtime; made from default configuration if there is none yet.
pub(super) fn current() -> Result<Manager, BuildError> {
    let entry = entry_of(&here()?);
    let manager = entry
        .manager
        .get_or_init(|| ManagerBuilder::default().assemble());
    manager.clone()
}

/// Puts a manager, or the reason that there is none, at the current runtime.
pub(super) fn install(manager: Result<Manager, BuildError>) -> Result<(), BuildError> {
    let entry = entry_of(&here()?);
    let put = entry.manager.set(manager);
    put.map_err(|_| BuildError::AlreadyInstalled)
}

/// From now on no manager made on the current runtime may open a real socket.
#[cfg(feature = "test-util")]
pub(super) fn watch(sentinel: Sentinel) -> Result<(), BuildError> {
    let entry = entry_of(&here()?);
    let put = entry.sentinel.set(sentinel);
    put.map_err(|_| BuildError::AlreadyInstalled)
}

/// What watches the current runtime.
#[cfg(feature = "test-util")]
pub(super) fn sentinel() -> Option<Sentinel> {
    let id = here().ok()?.id();
    lookup(id)?.sentinel.get().cloned()
}

fn here() -> Result<Handle, BuildError> {
    Handle::try_current().map_err(|_| BuildError::NoRuntime)
}

fn lookup(id: Id) -> Option<Arc<Entry>> {
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    table.get(&id).cloned()
}

fn entry_of(runtime: &Handle) -> Arc<Entry> {
    if let Some(entry) = lookup(runtime.id()) {
        return entry;
    }
    let mut fresh = false;
    let entry = {
        let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        let entry = table.entry(runtime.id()).or_insert_with(|| {
            fresh = true;
            Arc::default()
        });
        entry.clone()
    };
    if fresh {
        // A runtime that is ending drops the task, and with it the guard, within this very call.
        let guard = Guard(runtime.id());
        runtime.spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
    }
    entry
}

/// Removes the entry of a runtime that ends.
struct Guard(Id);

impl Drop for Guard {
    fn drop(&mut self) {
        let entry = {
            let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
            table.remove(&self.0)
        };
        drop(entry);
    }
}

/// Whether the process knows this runtime.
#[cfg(test)]
pub(super) fn knows(id: Id) -> bool {
    lookup(id).is_some()
}
