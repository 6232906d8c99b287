//! Airhook, over links that exist only here.
