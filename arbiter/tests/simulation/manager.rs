//! A manager that answers late, or not at all, and dies.

use arbiter::master::Event;
use fastrand::Rng;
use proto::control::ReloadReport;
use proto::link::ToManager;
use std::collections::VecDeque;
use std::time::Duration;
use supervise::Monotonic;

/// What becomes of the manager by itself.
#[derive(Debug)]
pub(crate) enum Custody {
    /// It runs.
    Up,
    /// It is dead; what it said last is still on its way, then another may begin.
    Dead { begin_at: Monotonic },
}

#[derive(Debug)]
pub(crate) struct Manager {
    pub(crate) custody: Custody,
    /// It answers nothing any more.
    pub(crate) hung: bool,
    /// It does what it is asked, and nothing of it fails.
    pub(crate) is_reliable: bool,
    /// When it exits because it was told to.
    retire_at: Option<Monotonic>,
    /// What it is going to say, in order.
    answers: VecDeque<(Monotonic, Event)>,
    /// Whether a specification was prepared that is neither in force nor given up.
    pub(crate) prepared: bool,
    /// Whether it knows that all is to end.
    pub(crate) stopping: bool,
}

impl Manager {
    /// None yet; one begins at `begin_at`.
    pub(crate) fn absent(begin_at: Monotonic) -> Self {
        Self {
            custody: Custody::Dead { begin_at },
            hung: false,
            is_reliable: false,
            retire_at: None,
            answers: VecDeque::new(),
            prepared: false,
            stopping: false,
        }
    }

    /// The same, and it does not fail by itself.
    pub(crate) fn reliable(begin_at: Monotonic) -> Self {
        Self { is_reliable: true, ..Self::absent(begin_at) }
    }

    /// A new one: knows nothing of what the one before was asked.
    pub(crate) fn begin(&mut self, rng: &mut Rng, now: Monotonic) {
        let (hung, is_reliable) = (!self.is_reliable && rng.u8(..16) == 0, self.is_reliable);
        *self = Self { custody: Custody::Up, hung, is_reliable, ..Self::absent(now) };
        if rng.bool() {
            self.say(rng, now, Event::Required(Some("redis to be ready".into())));
        }
        self.say(rng, now, Event::Required(None));
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.custody, Custody::Up)
    }

    /// What it said before it died and what has not been read is lost or, up to some point, still read.
    pub(crate) fn die(&mut self, rng: &mut Rng, now: Monotonic) -> Vec<Event> {
        let heard = rng.usize(..=self.answers.len());
        let last = self.answers.drain(..heard).map(|(_, event)| event).collect();
        let begin_at = now + some_time(rng);
        *self = Self { is_reliable: self.is_reliable, ..Self::absent(begin_at) };
        last
    }

    pub(crate) fn next_event(&self) -> Option<Monotonic> {
        let answer = self.answers.front().map(|(at, _)| *at).filter(|_| !self.hung);
        let begin = match self.custody {
            Custody::Dead { begin_at } => Some(begin_at),
            Custody::Up => None,
        };
        answer.into_iter().chain(begin).chain(self.retire_at).min()
    }

    /// What it says by now.
    pub(crate) fn poll(&mut self, now: Monotonic) -> Option<Event> {
        if self.hung || self.answers.front().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        self.answers.pop_front().map(|(_, event)| event)
    }

    pub(crate) fn retires(&self, now: Monotonic) -> bool {
        self.retire_at.is_some_and(|at| at <= now)
    }

    pub(crate) fn begins(&self, now: Monotonic) -> bool {
        matches!(self.custody, Custody::Dead { begin_at } if begin_at <= now)
    }

    /// Another one begins by then, if there is none.
    pub(crate) fn come(&mut self, at: Monotonic) {
        if let Custody::Dead { begin_at } = &mut self.custody {
            *begin_at = at;
        }
    }

    /// It is stopped until `until`: what it was about to say or do by then comes late.
    pub(crate) fn pause(&mut self, until: Monotonic) {
        self.answers.iter_mut().for_each(|(at, _)| *at = until.max(*at));
        self.retire_at = self.retire_at.map(|at| at.max(until));
    }

    /// Whether it has nothing to say any more.
    pub(crate) fn is_silent(&self) -> bool {
        self.answers.is_empty() && self.retire_at.is_none()
    }

    /// Nobody comes after this one.
    pub(crate) fn stay_dead(&mut self) {
        self.custody = Custody::Dead { begin_at: Monotonic::from_boot(Duration::MAX) };
    }

    pub(crate) fn hear(&mut self, rng: &mut Rng, now: Monotonic, message: &ToManager) {
        match message {
            ToManager::Prepare => {
                self.unsay_preparation();
                self.prepared = true;
                let fails = !self.is_reliable && rng.u8(..8) == 0;
                let result = if fails { Err("redis is FATAL".into()) } else { Ok(rng.bool()) };
                self.say(rng, now, Event::Prepared(result));
            }
            ToManager::Abort => {
                self.prepared = false;
                self.unsay_preparation();
            }
            ToManager::Commit { .. } => {
                self.unsay_preparation();
                let problems = if std::mem::take(&mut self.prepared) { Vec::new() } else { vec!["?".into()] };
                self.say(rng, now, Event::Committed(ReloadReport { problems, ..ReloadReport::default() }));
            }
            ToManager::Compare => self.say(rng, now, Event::Committed(ReloadReport::default())),
            ToManager::Stop { required_too, .. } => {
                self.stopping = true;
                let killed = !self.is_reliable && rng.u8(..16) == 0;
                self.say(rng, now, Event::Stopped { required_too: *required_too, killed });
            }
            ToManager::Retire => {
                self.stopping = true;
                self.retire_at = (!self.hung).then_some(now + some_time(rng));
            }
            ToManager::Candidate { .. }
            | ToManager::Control { .. }
            | ToManager::Boot(_)
            | ToManager::Adopt { .. }
            | ToManager::AdoptMains { .. }
            | ToManager::Follow { .. }
            | ToManager::Captured { .. }
            | ToManager::Tails { .. }
            | ToManager::Inputs { .. }
            | ToManager::Sockets { .. }
            | ToManager::Begin
            | ToManager::Log(_)
            | ToManager::Ping { .. }
            | ToManager::Status(_)
            | ToManager::Notified { .. }
            | ToManager::Exited { .. }
            | ToManager::Gone { .. }
            | ToManager::PassedOn { .. }
            | ToManager::Relayed { .. }
            | ToManager::Happened { .. } => {}
        }
    }

    fn unsay_preparation(&mut self) {
        self.answers.retain(|(_, event)| !matches!(event, Event::Prepared(_)));
    }

    /// Says something after a while, after what it has to say already.
    pub(crate) fn say(&mut self, rng: &mut Rng, now: Monotonic, event: Event) {
        let earliest = self.answers.back().map_or(now, |(at, _)| *at);
        self.answers.push_back((earliest.max(now + some_time(rng)), event));
    }
}

/// From nothing to ten seconds, each order of magnitude as likely as the others.
pub(crate) fn some_time(rng: &mut Rng) -> Duration {
    let longest = 10_u64.pow(rng.u32(0..=7));
    Duration::from_micros(rng.u64(0..=longest))
}
