//! Replacing arbiter's own program: trying the one that is installed now, leaving everything to it, and taking
//! everything up.

use super::custody::Custody;
use super::{Foundation, Held, Role, Shell, manager_beside, now};
use crate::handover::socket_file;
use crate::listeners::Listeners;
use crate::master::Master;
use crate::resolver::{Origin, pair};
use crate::runtime::{Control, Lock, NotifyDirectory, Pidfile, Running};
use crate::upgrade::{
    Arrival, Child, Keeping, Kept, SavedOrigin, SocketAt, State, TIMEOUT, Trial, WayBack, told,
};
use anyhow::Context;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use supervise::{Monotonic, RunId};
use sys::launch::Program;

/// How long what has to be over before the program is replaced may take: hooks, mostly.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// A replacement under way, or just made.
#[derive(Debug, Default)]
pub(super) enum Upgrade {
    /// None.
    #[default]
    Nothing,
    /// The installed program is tried by this run.
    Trying { run: RunId, trial: Trial, deadline: Monotonic },
    /// It can take over.
    Leaving { trial: Trial, deadline: Monotonic },
    /// This is the new program, or the old one again, and its loop has not turned yet. The other one's manager stays
    /// open until then.
    Arriving { way_back: WayBack, left_at: Monotonic, _other_manager: File },
}

impl Upgrade {
    /// Whether this program has just taken the place of another.
    pub(super) fn is_arriving(&self) -> bool {
        matches!(self, Self::Arriving { .. })
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        match self {
            Self::Trying { deadline, .. } | Self::Leaving { deadline, .. } => Some(*deadline),
            Self::Nothing | Self::Arriving { .. } => None,
        }
    }
}

impl Shell {
    /// Asks the program that is installed now.
    pub(super) fn try_upgrade(&mut self, now: Monotonic) {
        if !self.master.awaits_trial() {
            return;
        }
        let run = self.master.allot_run();
        match self.start_trial(run) {
            Ok(trial) => self.upgrade = Upgrade::Trying { run, trial, deadline: now + TIMEOUT },
            Err(error) => self.master.tried_to_upgrade(now, Err(format!("{error:#}"))),
        }
    }

    fn start_trial(&mut self, run: RunId) -> anyhow::Result<Trial> {
        let program = PathBuf::from(&self.origin.program);
        let image = File::open(&program).with_context(|| format!("cannot open {}", program.display()))?;
        let manager = manager_beside(&program)?;
        let state = self.save(&manager);
        let trial = Trial::start(&self.origin, (image, manager), &state, self.companions.in_force.as_fd())?;
        let spawned = &trial.spawned;
        self.watch_child(run, Role::Trial, spawned.pid, spawned.pidfd.try_clone()?)?;
        let name = program.display().to_string();
        self.watch_launch(run, spawned.status.try_clone()?, Program { name, ..Program::default() })?;
        Ok(trial)
    }

    /// The trial has ended.
    pub(super) fn trial_ended(&mut self, now: Monotonic, run: RunId) {
        match std::mem::take(&mut self.upgrade) {
            Upgrade::Trying { run: current, trial, .. } if current == run => {
                let answer = trial.answer();
                if answer.is_ok() {
                    self.upgrade = Upgrade::Leaving { trial, deadline: now + PATIENCE };
                }
                self.master.tried_to_upgrade(now, answer);
            }
            other => self.upgrade = other,
        }
    }

    pub(super) fn handle_upgrade_deadline(&mut self, now: Monotonic) {
        if self.upgrade.next_deadline().is_none_or(|at| now < at) {
            return;
        }
        if let Upgrade::Trying { .. } = self.upgrade {
            self.abandon_upgrade();
            let reason = format!("the installed program gave no answer for {} s", TIMEOUT.as_secs());
            self.master.tried_to_upgrade(now, Err(reason));
        } else {
            let reason = format!("hooks or starting processes were not done within {} s", PATIENCE.as_secs());
            self.master.not_replaced(now, &reason);
        }
    }

    /// Nobody waits for the trial any more.
    pub(super) fn abandon_upgrade(&mut self) {
        if let Upgrade::Trying { run, .. } = std::mem::take(&mut self.upgrade) {
            // It may have ended already; its exit is taken in like any other.
            let _ = self.children.signal_group(run, supervise::signal::SIGKILL);
        }
    }

    /// The program stays: a manager that has made room is followed by another.
    pub(super) fn keep_program(&mut self, now: Monotonic) {
        self.upgrade = Upgrade::Nothing;
        if let Custody::Absent { retry_at: None } = self.companions.custody {
            self.companions.custody = Custody::Absent { retry_at: Some(now) };
        }
    }

    /// Replaces the program, if that is to be and nothing is on its way. Comes back only when it could not be.
    pub(super) fn replace_program_when_calm(&mut self, now: Monotonic) {
        let has_no_manager = matches!(self.companions.custody, Custody::Absent { .. });
        let is_calm = self.launching.is_empty() && self.to_bury.is_empty() && self.hooks.is_idle();
        if !self.master.is_to_be_replaced() || !has_no_manager || !is_calm {
            return;
        }
        let Upgrade::Leaving { trial, .. } = &self.upgrade else { return };
        let error = self.replace_program(trial).map_or_else(|error| error, |never| match never {});
        self.master.not_replaced(now, &format!("{error:#}"));
    }

    fn replace_program(&self, trial: &Trial) -> anyhow::Result<std::convert::Infallible> {
        let state = self.save(&trial.manager);
        let file = sys::memfd::sealed(c"state", &state.to_bytes()).context("cannot create a memory file")?;
        let words = std::iter::once(&self.origin.program).chain(&self.origin.arguments);
        let argv = words.map(|word| CString::new(word.as_bytes())).collect::<Result<Vec<_>, _>>()?;
        let mut env = self.origin.environment.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
        env.push(told(&file, &self.origin.image)?);
        let mut descriptors = state.descriptors;
        let mut keeping = Keeping::default();
        keeping.keep(&file);
        keeping.keep(&self.origin.image);
        descriptors.extend(keeping.into_numbers());
        let blocked = sys::signals::block_all().context("cannot block signals")?;
        // What has come already comes once more, to the program that follows.
        self.signals.send_again();
        tracing::debug!("leaving everything to the installed program");
        sys::fail_point::reach("upgrade-before-exec");
        let error = crate::upgrade::leave(&descriptors, &trial.program, &argv, &env);
        drop(blocked);
        Err(error).context("cannot execute the installed program")
    }

    /// Everything, for the program that follows, whose manager is in `manager`.
    fn save(&self, manager: &File) -> State {
        let mut keeping = Keeping::default();
        let (names, own, sockets) = self.listeners.to_hand_over();
        let listeners = (names, own, sockets.into_iter().map(|socket| keeping.keep(socket)).collect());
        let control = self.companions.control.as_ref().map(Control::listener);
        let control = control.and_then(|socket| {
            Some(SocketAt { file: socket_file(socket.file()?), socket: keeping.keep(socket) })
        });
        let lock = self.lock.as_ref();
        let lock = lock.map(|lock| (lock.path().display().to_string(), keeping.keep(lock.file())));
        let (directory, count) = self.notify.parts();
        let notify = (directory.path().display().to_string(), keeping.keep(directory.lock()), count);
        let mut notify_sockets: Vec<_> =
            self.notify_sockets.iter().map(|(run, socket)| (*run, keeping.keep(socket))).collect();
        notify_sockets.sort_unstable();
        let children = self.saved_children(&mut keeping);
        let companions = self.companions.save(&mut keeping);
        let [stdout, stderr] = &self.outputs;
        let outputs = [keeping.keep(stdout), keeping.keep(stderr)];
        let managers = [keeping.keep(&self.companions.image), keeping.keep(manager)];
        let pidfile = self.pidfile.as_ref().map(|pidfile| pidfile.path().display().to_string());
        State {
            version: env!("CARGO_PKG_VERSION").into(),
            left_at: now(),
            origin: SavedOrigin::new(
                &self.origin.program,
                &self.origin.arguments,
                &self.origin.environment,
                &self.origin.directory,
            ),
            started: self.started,
            nofile: self.nofile,
            outputs,
            managers,
            master: self.master.save(),
            listeners,
            control,
            pidfile,
            lock,
            notify,
            children,
            notify_sockets,
            zombies: self.zombies.clone(),
            companions,
            happenings: self.happenings.clone(),
            upward: self.upward.save(),
            descriptors: keeping.into_numbers(),
        }
    }

    fn saved_children(&self, keeping: &mut Keeping) -> Vec<Child> {
        let child = |(&run, role): (&RunId, &Role)| {
            let is_worker = match role {
                Role::Worker => true,
                Role::Adopted => false,
                // They end by themselves, and nobody waits for them.
                _ => return None,
            };
            let (pid, pidfd) = (self.children.pid(run)?, keeping.keep(self.children.leader(run)?));
            let main = self.children.main_pid(run).filter(|main| *main != pid);
            let main = main.zip(self.children.get(run)).map(|(main, pidfd)| (main, keeping.keep(pidfd)));
            Some(Child { run, is_worker, pid, pidfd, main })
        };
        let mut children: Vec<Child> = self.roles.iter().filter_map(child).collect();
        children.sort_unstable_by_key(|child| child.run);
        children
    }

    /// An arbiter that goes on where the program before has stopped.
    pub(crate) fn arrive(arrival: Arrival) -> Self {
        // Whatever fails goes back, and nothing that tidies up when it is dropped is dropped on the way.
        let Arrival { mut state, mut kept, sent_back, way_back } = arrival;
        let foundation = way_back.need(Foundation::lay());
        let origin = way_back.need(Origin::kept(&state.origin));
        let [own, next] = state.managers.map(|number| File::from(way_back.need(kept.take(number))));
        let (manager, other_manager) = if sent_back.is_some() { (own, next) } else { (next, own) };
        let held = take_held(&mut state, &mut kept, manager, &way_back);
        let (now, hooks) = (now(), state.master.spec.hooks.clone());
        let master = Master::restore(state.master, sent_back.as_deref(), now);
        let mut master = way_back.need(master.context("the state contradicts itself"));
        master.seed(super::chance());
        let mut shell = Self::build(foundation, origin, master, &hooks, held);
        shell.started = state.started;
        shell.notify.count_from(state.notify.2);
        shell.upward.restore(state.upward);
        shell.happenings = state.happenings;
        shell.zombies = state.zombies;
        way_back.need(shell.companions.restore(state.companions, &mut kept));
        way_back.need(shell.take_children(&state.children, &mut kept));
        for (run, number) in state.notify_sockets {
            let descriptor = way_back.need(kept.take(number));
            shell.watch_notify_socket(run, descriptor);
        }
        if let Some(Err(error)) = shell.lock.as_ref().map(|lock| shell.running.put_beside(lock)) {
            tracing::warn!("no list of what runs: {error}");
        }
        // Who has ended meanwhile may have told the program before.
        shell.child_signal = true;
        sys::fail_point::reach("upgrade-after-exec");
        #[cfg(debug_assertions)]
        way_back.fail_if_told();
        shell.upgrade = Upgrade::Arriving { way_back, left_at: state.left_at, _other_manager: other_manager };
        shell
    }

    fn take_children(&mut self, children: &[Child], kept: &mut Kept) -> anyhow::Result<()> {
        for child in children {
            let (run, pidfd) = (child.run, kept.take(child.pidfd)?);
            let main = child.main.map(|(pid, number)| anyhow::Ok((pid, kept.take(number)?))).transpose()?;
            let role = if child.is_worker { Role::Worker } else { Role::Adopted };
            if self.zombies.iter().any(|zombie| zombie.run == run) {
                // Its end has been taken in.
                self.children.insert(run, child.pid, pidfd);
                self.children.follow(run, main);
                self.roles.insert(run, role);
            } else {
                self.watch_child(run, role, child.pid, pidfd)?;
                if let Some((pid, main)) = main {
                    self.follow_main(run, pid, Some(main));
                }
            }
        }
        Ok(())
    }

    /// The loop has turned: there is no way back any more.
    pub(super) fn arrived(&mut self) {
        match std::mem::take(&mut self.upgrade) {
            Upgrade::Arriving { way_back, left_at, .. } => {
                way_back.close();
                let milliseconds = now().since(left_at).as_secs_f64() * 1e3;
                let (version, pid) = (env!("CARGO_PKG_VERSION"), sys::process::pid());
                tracing::info!(
                    "arbiter {version} goes on in the place of the one before, pid {pid}, after {milliseconds:.2} ms"
                );
            }
            other => self.upgrade = other,
        }
    }
}

fn take_held(state: &mut State, kept: &mut Kept, manager: File, way_back: &WayBack) -> Held {
    let outputs = state.outputs.map(|number| way_back.need(kept.take(number)));
    let companions = way_back.need(kept.take(state.companions.in_force));
    let lock = state.lock.take();
    let lock = lock.map(|(path, number)| Lock::kept(path.into(), way_back.need(kept.take(number)).into()));
    let control = state.control.map(|SocketAt { socket, file }| {
        let socket = way_back.need(kept.take(socket));
        let control = Control::handed_over(socket, crate::handover::file_id(file));
        let mut control = way_back.need(control.context("the control socket was not kept"));
        control.set_shared(false);
        control
    });
    let (names, own_sockets, numbers) = std::mem::take(&mut state.listeners);
    let sockets: Vec<OwnedFd> = numbers.iter().map(|&number| way_back.need(kept.take(number))).collect();
    let mut listeners = way_back.need(Listeners::handed_over(names, own_sockets, &mut sockets.into_iter()));
    listeners.complete(&mut state.master.spec);
    way_back.need(listeners.open(&state.master.spec).map_err(anyhow::Error::msg));
    listeners.own();
    let (directory, number, _) = &state.notify;
    let notify = NotifyDirectory::kept(directory.into(), way_back.need(kept.take(*number)).into());
    Held {
        lock,
        running: Running::default(),
        pidfile: state.pidfile.take().map(|path| Pidfile::kept(path.into())),
        control,
        listeners,
        notify,
        companions,
        outputs,
        launcher: None,
        nofile: state.nofile,
        manager,
    }
}
