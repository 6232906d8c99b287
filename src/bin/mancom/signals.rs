//! The wishes of a terminal or a service manager that the command end.

/// A wish to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// From the keyboard: SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// Resolves at the first wish to end; never where the system has no such thing.
pub(crate) async fn ended() -> Ended {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => Ended::Interrupted,
        () = terminated => Ended::Terminated,
    }
}
