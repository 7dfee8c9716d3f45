//! Who is measured. Each has a directory of its own, which goes with it.

mod arbiter;
mod bare;
mod gunicorn;

pub use arbiter::Arbiter;
pub use bare::Bare;
pub use gunicorn::Gunicorn;

use crate::stamps::Stamps;
use std::ffi::OsStr;

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
