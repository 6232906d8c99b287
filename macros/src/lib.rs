//! The attribute macros of mancom.
