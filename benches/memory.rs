//! What an idle session costs: the bytes that both ends of it, in one process, hold on the heap.
//!
//! `cargo bench --bench memory` connects sessions over loopback TCP, moves a message each way on every
//! one, lets the acknowledgements pass, and divides what is allocated then by the number of sessions.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mancom::{Manager, Scout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SESSIONS: usize = 1_000;

static HELD: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; only the sizes are added up.
#[expect(unsafe_code, reason = "a global allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let manager = Manager::builder()
        .scout(Scout::fixed([]))
        .build()
        .await
        .expect("a manager");
    let listener = manager
        .listen("mc://127.0.0.1:0")
        .await
        .expect("a listener");
    let mut held = Vec::with_capacity(2 * SESSIONS);
    for warm in [10, SESSIONS] {
        let before = HELD.load(Ordering::Relaxed);
        for _ in 0..warm {
            let connect = manager.connect(listener.contact());
            let (near, far) = tokio::join!(connect.into_future(), listener.accept());
            let (mut near, mut far) = (near.expect("connected"), far.expect("accepted"));
            near.write_all(b"hello").await.expect("written");
            let mut buffer = [0; 5];
            far.read_exact(&mut buffer).await.expect("read");
            far.write_all(&buffer).await.expect("written");
            near.read_exact(&mut buffer).await.expect("read");
            held.push((near, far));
        }
        // Acknowledgements wait at most 20 ms for company.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let bytes = HELD.load(Ordering::Relaxed) - before;
        if warm == SESSIONS {
            println!(
                "an idle session, both ends: {} bytes of heap ({SESSIONS} sessions)",
                bytes / warm
            );
        }
    }
}
