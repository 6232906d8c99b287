mod closely;
mod line;
mod told;
