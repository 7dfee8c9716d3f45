//! Who is measured. Each has a directory of its own, which goes with it.

mod arbiter;
mod bare;
mod ctl;
mod fleet;
mod gunicorn;
mod web;

pub use arbiter::Arbiter;
pub use bare::Bare;
pub use fleet::{Breed, Fleet};
pub use gunicorn::Gunicorn;
pub use web::{Kind, Setup, Web};

use crate::stamps::Stamps;
use std::ffi::OsStr;

pub(crate) const SIGKILL: i32 = 9;

/// Whose stamps go where, as a worker finds it in its environment.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    pub stamps: &'a Stamps,
    pub label: &'a str,
}

impl<'a> Label<'a> {
    fn environment(label: Option<Self>) -> Vec<(&'static str, &'a OsStr)> {
        let pair = |label: Self| {
            [("BENCH_STAMPS", label.stamps.path().as_os_str()), ("BENCH_LABEL", OsStr::new(label.label))]
        };
        label.map(pair).into_iter().flatten().collect()
    }
}
