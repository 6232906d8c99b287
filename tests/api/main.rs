//! What holds for the public interface and the source as a whole.

mod layers;
mod types;
