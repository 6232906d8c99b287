//! The buffer that a thread reads sockets into: an idle session holds none.

use std::cell::RefCell;

/// Bytes of one read into the core.
const SIZE: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends this thread's buffer. A nested call gets a small one of its own.
pub(super) fn with_scratch<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => {
            if scratch.is_empty() {
                scratch.resize(SIZE, 0);
            }
            f(&mut scratch)
        }
        Err(_) => f(&mut [0; 1024]),
    })
}
