//! The last steps: what nobody looks after any more, and the files.

use super::Shell;
use std::time::Duration;
use supervise::Monotonic;

/// How long strays may take to leave before SIGKILL.
const STRAYS: Duration = Duration::from_secs(5);
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// arbiter's own end under way.
#[derive(Debug)]
pub(super) struct Ending {
    code: u8,
    kill_at: Option<Monotonic>,
}

impl Ending {
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        self.kill_at
    }
}

impl Shell {
    /// Everything that was supervised has ended: strays are asked to leave.
    pub(super) fn begin_ending(&mut self, now: Monotonic, code: u8) {
        self.companions.close_control();
        self.let_go_of_zombies(now);
        let strays = self.signal_strays(SIGTERM);
        if strays > 0 {
            tracing::info!("asking {strays} stray processes to leave");
        }
        self.ending = Some(Ending { code, kill_at: Some(now + STRAYS) });
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
        if ending.kill_at.take_if(|at| *at <= now).is_some() {
            let strays = self.signal_strays(SIGKILL);
            if strays > 0 {
                tracing::warn!("{strays} stray processes did not leave: killed");
            }
        }
    }

    /// The exit status, once nothing is left.
    pub(super) fn ended(&mut self) -> Option<u8> {
        let ending = self.ending.as_ref()?;
        if self.children.reap_strays(|_| false).is_err() || !sys::procfs::own_children().is_empty() {
            return None;
        }
        Some(ending.code)
    }

    fn signal_strays(&self, signal: i32) -> usize {
        let strays = sys::procfs::own_children();
        for &pid in &strays {
            let _ = sys::process::send_signal(pid, signal);
        }
        strays.len()
    }
}
