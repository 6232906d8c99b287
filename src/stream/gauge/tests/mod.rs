mod line;
mod told;
