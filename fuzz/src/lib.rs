//! What several targets share: companions in a world that does what it is told.

pub mod world;
