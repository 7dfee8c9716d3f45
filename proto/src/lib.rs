#![doc = include_str!("../PROTOCOL.md")]
//!
//! # This crate
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`frame`], [`hello`], [`codec`] | this page's bytes: frames, the first one, values |
//! | [`control`] | this page's messages |
//! | [`spec`] | the configuration after it was read, checked and resolved |
//! | [`link`] | what arbiter and its manager say to each other; both are always of one build, so that is no contract |

pub mod codec;
pub mod control;
pub mod frame;
pub mod hello;
pub mod link;
pub mod spec;

pub use supervise;
