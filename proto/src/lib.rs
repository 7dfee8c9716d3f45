#![doc = include_str!("../PROTOCOL.md")]
//!
//! # This crate
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`frame`], [`hello`], [`codec`] | this page's bytes: frames, the first one, values |
//! | [`control`] | this page's messages |
//! | [`spec`] | the configuration after it was read, checked and resolved |
//! | [`written`] | specifications as TOML, for people |
//! | [`nearest`] | what was probably meant by a word that is not known, for all programs alike |
//! | [`handover`] | what a master hands to another that is started beside it |
//! | [`numbered`] | the form of what other versions read |
//! | [`link`] | what arbiter and its manager say to each other; both are always of one build, so that is no contract |

pub mod codec;
pub mod control;
pub mod frame;
pub mod handover;
pub mod hello;
pub mod link;
pub mod nearest;
pub mod numbered;
pub mod spec;
pub mod written;

pub use supervise;
