mod closely;
mod told;
