//! Going on where the program before has stopped, or back to it.

use super::{Kept, MAX, Number, SENT_BACK, State, VARIABLE};
use crate::resolver::pair;
use anyhow::{Context, anyhow};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::panic;
use std::sync::{Arc, OnceLock};

/// What waits for this program.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The state.
    pub(crate) state: State,
    /// Its descriptors.
    pub(crate) kept: Kept,
    /// Why the next program has sent this one back to its place.
    pub(crate) sent_back: Option<String>,
    /// The way to the program before.
    pub(crate) way_back: WayBack,
}

/// The way to the program before, for as long as this one's loop has not turned.
#[derive(Clone, Debug)]
pub(crate) struct WayBack(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: OwnedFd,
    image: OwnedFd,
    descriptors: OnceLock<Vec<Number>>,
    argv: Vec<CString>,
    env: Vec<CString>,
    /// This is the program before, and there is no other to go back to.
    is_last: bool,
}

impl Arrival {
    /// Takes what the program before has left to this one, if it has. To be called first thing in `main`. Whatever
    /// goes wrong from here on, up to [`WayBack::close`], sends this process back to that program.
    ///
    /// # Errors
    /// There is no way back: the variable is not what arbiter sets.
    pub(crate) fn take() -> anyhow::Result<Option<Self>> {
        let Some(told) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let told = told.to_str().and_then(|told| told.split_once(':'));
        let numbers = told.and_then(|(state, image)| Some([state.parse().ok()?, image.parse().ok()?]));
        let numbers: [Number; 2] =
            numbers.with_context(|| format!("{VARIABLE} is set, but not by arbiter"))?;
        let taken = sys::fd::adopt_inherited(&numbers).context("the program before is not there")?;
        let taken: [OwnedFd; 2] = taken.try_into().map_err(|_| anyhow!("the program before is not there"))?;
        let way_back = WayBack::new(taken)?;
        let panicking = way_back.clone();
        panic::set_hook(Box::new(move |panic| panicking.take(&panic.to_string())));
        let bytes =
            way_back.need(sys::memfd::read_sealed(&way_back.0.state, MAX).context("no state is there"));
        let state = way_back.need(State::from_bytes(&bytes).context("the state cannot be used"));
        let descriptors = way_back.0.descriptors.get_or_init(|| state.descriptors.clone());
        let kept = way_back.need(Kept::adopt(descriptors).context("a descriptor is missing"));
        let sent_back = std::env::var(SENT_BACK).ok();
        Ok(Some(Self { state, kept, sent_back, way_back }))
    }
}

impl WayBack {
    fn new([state, image]: [OwnedFd; 2]) -> anyhow::Result<Self> {
        let words = std::env::args_os().map(|word| CString::new(word.as_bytes()));
        let environment = sys::launch::own_environment();
        let is_last = environment.contains_key(OsStr::new(SENT_BACK));
        let environment = environment.iter();
        let env = environment.map(pair).collect::<Result<_, _>>()?;
        let (descriptors, argv) = (OnceLock::new(), words.collect::<Result<_, _>>()?);
        Ok(Self(Arc::new(Inner { state, image, descriptors, argv, env, is_last })))
    }

    /// What is needed to go on; without it this process goes back.
    pub(crate) fn need<T>(&self, result: anyhow::Result<T>) -> T {
        result.unwrap_or_else(|error| self.take(&format!("{error:#}")))
    }

    /// Goes back, for this reason. Nothing is dropped on the way: what is open stays so.
    fn take(&self, reason: &str) -> ! {
        let version = env!("CARGO_PKG_VERSION");
        let reason = format!("arbiter {version} could not take over: {reason}").replace('\0', " ");
        let inner = &self.0;
        if !inner.is_last {
            let mut env = inner.env.clone();
            env.extend(pair((&SENT_BACK.into(), &(&reason).into())));
            let own = [inner.state.as_raw_fd(), inner.image.as_raw_fd()];
            let all: Vec<Number> =
                inner.descriptors.get().into_iter().flatten().copied().chain(own).collect();
            // What is sent from now on waits for that program.
            if let Ok(blocked) = sys::signals::block_all() {
                blocked.keep();
            }
            let error = leave(&all, &inner.image, &inner.argv, &env);
            tracing::error!("cannot go back to the program before: {error}");
        }
        // Neither forward nor back: the manager ends the companions, the kernel the workers.
        tracing::error!("{reason}");
        std::process::abort();
    }

    /// Fails where a test wants it: no released program does.
    #[cfg(debug_assertions)]
    pub(crate) fn fail_if_told(&self) {
        match std::env::var("ARBITER_FAIL_ARRIVAL").as_deref() {
            Ok("error") if !self.0.is_last => self.need(Err(anyhow!("told to fail"))),
            Ok("panic") if !self.0.is_last => panic!("told to fail"),
            _ => {}
        }
    }

    /// The loop has turned: from here on this program is the one.
    pub(crate) fn close(self) {
        drop(panic::take_hook());
    }
}

/// Replaces this program by `image`; signals are blocked, and those that came before wait. Answers only when that
/// failed, and everything is as before.
pub(crate) fn leave(
    descriptors: &[Number],
    image: &impl AsFd,
    argv: &[CString],
    env: &[CString],
) -> std::io::Error {
    if let Err(error) = sys::fd::let_survive(descriptors, true) {
        return error;
    }
    let error = sys::process::replace_image(image, argv, env);
    // Nobody else execs without a list of what is to be open.
    let _ = sys::fd::let_survive(descriptors, false);
    error
}
