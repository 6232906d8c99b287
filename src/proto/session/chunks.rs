//! Chunks to be used again.
//!
//! Bulk lets go of as many as it takes, and the system's allocator gives such sizes back to the kernel at
//! once, which then must clear them anew: that costs more than the copy into them. So each thread keeps
//! [`MOST`] of those it let go of last. Nothing hangs on which one is taken.

use std::cell::RefCell;

/// The size of each.
pub(super) const CHUNK: usize = 64 << 10;
/// Kept by a thread: 1 MiB.
const MOST: usize = 16;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty one.
pub(super) fn take() -> Vec<u8> {
    let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
    let spare = spare.ok().flatten();
    spare.unwrap_or_else(|| Vec::with_capacity(CHUNK))
}

/// Nobody needs it any more; what is of another size goes.
pub(super) fn give(mut chunk: Vec<u8>) {
    if chunk.capacity() != CHUNK {
        return;
    }
    chunk.clear();
    // A thread that ends keeps none.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MOST {
            spare.push(chunk);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_a_few_whole_chunks_and_gives_them_out_empty() {
        give(vec![7; CHUNK / 2]);
        for _ in 0..MOST + 5 {
            give(vec![7; CHUNK]);
        }
        assert_eq!(SPARE.with_borrow(Vec::len), MOST);
        let chunk = take();
        assert_eq!((chunk.len(), chunk.capacity()), (0, CHUNK));
        assert_eq!(SPARE.with_borrow(Vec::len), MOST - 1);
    }
}
