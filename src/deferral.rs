//! The one place where "no network fits" becomes waiting.
