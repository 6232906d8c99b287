//! Networks that a test brings up and down, in paused time.
//!
//! ```
//! use mancom::{Label, Manager, Network};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
//! let (scout, networks) = mancom::testing::scripted();
//! let manager = Manager::builder().scout(scout).build().await?;
//! let waiting = tokio::spawn(manager.matching(Label::ANY).into_future());
//! networks.up(Network::wifi("wlan0"));
//! assert_eq!(waiting.await.unwrap()?.name(), "wlan0");
//! # Ok::<_, mancom::Error>(()) }).unwrap();
//! ```
//!
//! [`#[mancom::test]`](macro@crate::test) does the first two lines and gives the test its [`Networks`].
//! Both handles are clones of one thing: two managers over one scripted scout see the same networks and
//! meet at its `mem:` names, and tests that run in parallel, each with its own, cannot.

#[doc(hidden)]
pub mod fuzz;

pub use crate::scout::{Networks, scripted};
#[doc(inline)]
pub use crate::transport::conformance;
