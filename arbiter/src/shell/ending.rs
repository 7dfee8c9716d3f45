//! The last steps: what nobody looks after any more, the hook `on_exit`, and the files.

use super::{Shell, Waiting};
use crate::hooks::Occasion;
use proto::link::Pace;
use std::time::Duration;
use supervise::Monotonic;
use supervise::signal::{SIGKILL, SIGTERM};

/// How long strays may take to leave before SIGKILL.
const STRAYS: Duration = Duration::from_secs(5);
/// How long the hooks of what has happened last may take together.
const HOOKS: Duration = Duration::from_secs(10);

/// arbiter's own end under way.
#[derive(Debug)]
pub(super) struct Ending {
    code: u8,
    kill_at: Option<Monotonic>,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Strays leave, and hooks are told what is left to tell.
    Leaving {
        /// When the hooks are given up.
        hooks_until: Option<Monotonic>,
    },
    /// The hook `on_exit` runs.
    Hook,
    /// What that left behind leaves.
    Last,
}

impl Ending {
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        let hooks = match self.step {
            Step::Leaving { hooks_until } => hooks_until,
            Step::Hook | Step::Last => None,
        };
        self.kill_at.into_iter().chain(hooks).min()
    }
}

impl Shell {
    /// Everything that was supervised has ended: strays are asked to leave.
    pub(super) fn begin_ending(&mut self, now: Monotonic, code: u8) {
        // The one that stands before everything has nothing to forbid any more.
        self.hooks.cancel(now, Waiting::Start);
        for run in std::mem::take(&mut self.to_bury) {
            self.bury(run);
        }
        self.let_go_of_zombies(now);
        let at_once = matches!(self.master.stop_of_companions(), Some((_, Pace::Force)));
        if !at_once {
            self.dismiss_strays();
        }
        let kill_at = if at_once { now } else { now + STRAYS };
        let step = Step::Leaving { hooks_until: Some(now + HOOKS) };
        self.ending = Some(Ending { code, kill_at: Some(kill_at), step });
        self.handle_ending_deadline(now);
    }

    /// There is no manager any more who could ask for their numbers.
    fn let_go_of_zombies(&mut self, now: Monotonic) {
        for mut zombie in std::mem::take(&mut self.zombies) {
            zombie.released = true;
            if let Some(zombie) = self.look_at_zombie(now, zombie) {
                self.zombies.push(zombie);
            }
        }
    }

    pub(super) fn handle_ending_deadline(&mut self, now: Monotonic) {
        let Some(ending) = &mut self.ending else { return };
        if let Step::Leaving { hooks_until } = &mut ending.step {
            if hooks_until.take_if(|until| *until <= now).is_some() {
                self.hooks.give_up();
            }
        }
        if ending.kill_at.take_if(|at| *at <= now).is_some() {
            let strays = self.signal_strays(SIGKILL);
            if strays > 0 {
                tracing::warn!("{strays} stray processes did not leave: killed");
                if let Some(ending) = &mut self.ending {
                    ending.code = self.master.code_after_kill(ending.code);
                }
            }
        }
    }

    /// The hook `on_exit` is over: what it left behind has to leave, too.
    pub(super) fn exit_hook_over(&mut self, now: Monotonic) {
        self.dismiss_strays();
        if let Some(ending) = &mut self.ending {
            ending.step = Step::Last;
            ending.kill_at = Some(now + STRAYS);
        }
    }

    /// The exit status, once nothing is left.
    pub(super) fn ended(&mut self, now: Monotonic) -> Option<u8> {
        let code = self.ending.as_ref()?.code;
        self.children.reap_strays(self.hook_members()).ok()?;
        if matches!(self.ending.as_ref()?.step, Step::Leaving { .. }) {
            if !self.hooks.is_idle() || !self.strays().is_empty() {
                return None;
            }
            if let Some(ending) = &mut self.ending {
                ending.step = Step::Hook;
            }
            self.hooks.ask(now, Occasion::OnExit { code }, Waiting::End);
            self.settle(now);
        }
        let is_over = self.ending.as_ref().is_some_and(|ending| ending.step == Step::Last);
        (is_over && self.children_left().next().is_none()).then_some(code)
    }

    fn dismiss_strays(&self) {
        let strays = self.signal_strays(SIGTERM);
        if strays > 0 {
            tracing::info!("asking {strays} stray processes to leave");
        }
    }

    /// Children, save another master.
    fn children_left(&self) -> impl Iterator<Item = i32> + use<> {
        let successor = self.succession.successor();
        sys::procfs::own_children().into_iter().filter(move |&pid| successor != Some(pid))
    }

    fn signal_strays(&self, signal: i32) -> usize {
        let strays = self.strays();
        for &pid in &strays {
            let _ = sys::process::send_signal(pid, signal);
        }
        strays.len()
    }

    /// What lives of them, save hooks.
    fn strays(&self) -> Vec<i32> {
        let is_of_hook = self.hook_members();
        let lives = |pid| sys::procfs::stat(pid).is_some_and(|stat| stat.state != 'Z');
        self.children_left().filter(|&pid| lives(pid) && !is_of_hook(pid)).collect()
    }
}
