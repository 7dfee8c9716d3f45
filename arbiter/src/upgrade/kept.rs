//! Descriptors that live through the replacement of the program, by their numbers.

use anyhow::Context;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// A descriptor's number, the same in both programs.
pub(crate) type Number = RawFd;

/// The descriptors that are to live on.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    numbers: Vec<Number>,
}

impl Keeping {
    /// This one too. It has to stay open until then.
    pub(crate) fn keep(&mut self, descriptor: impl AsFd) -> Number {
        let number = descriptor.as_fd().as_raw_fd();
        self.numbers.push(number);
        number
    }

    /// All of them, in order.
    #[must_use]
    pub(crate) fn into_numbers(mut self) -> Vec<Number> {
        self.numbers.sort_unstable();
        self.numbers
    }
}

/// The descriptors that have lived on and that nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Kept(HashMap<Number, OwnedFd>);

impl Kept {
    /// Takes them, before anything else is opened.
    ///
    /// # Errors
    /// One is missing.
    pub(crate) fn adopt(numbers: &[Number]) -> io::Result<Self> {
        let descriptors = sys::fd::adopt_inherited(numbers)?;
        Ok(Self(numbers.iter().copied().zip(descriptors).collect()))
    }

    /// The one of this number.
    ///
    /// # Errors
    /// There is none, or it was taken already.
    pub(crate) fn take(&mut self, number: Number) -> anyhow::Result<OwnedFd> {
        self.0.remove(&number).with_context(|| format!("descriptor {number} was not kept"))
    }
}
