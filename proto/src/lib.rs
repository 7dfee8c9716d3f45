//! arbiter's control protocol.

pub mod codec;
pub mod control;
pub mod frame;
pub mod hello;
pub mod link;
pub mod spec;

pub use supervise;
