//! A table in a simulated world: a kernel that runs its processes, an arbiter that keeps its records, and a
//! manager that can be killed at any step.

#![allow(dead_code, reason = "each test program uses its own part")]

use companion_manager::table::{Action, Asker, Input, Past, Table, shown};
use proto::control::{Answer, ReloadReport, Reply, Request, RunRequest, TargetResult, Verb};
use proto::link::{Pace, Record, Saved, SavedProcess, ToArbiter};
use proto::spec::{
    AddressSpec, CompanionSpec, CompanionsSpec, ListenerSpec, LogSpec, Output, ProcessSpec, Ready, Recycle,
    RestartPolicy, Stdin, StopSpec,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use supervise::probe::{Attempt, Step};
use supervise::recycling::Measured;
use supervise::simulator::{Kernel, Odds, Place, Program};
use supervise::{Monotonic, RunId, State};

/// Settings of a companion that is ready as soon as it says so and may take a minute to stop.
pub(crate) fn companion(name: &str) -> CompanionSpec {
    CompanionSpec {
        name: name.to_owned(),
        session: "default".into(),
        loaded: false,
        process: ProcessSpec { command: vec![name.to_owned()], cwd: "/".into(), ..ProcessSpec::default() },
        env_digest: 0,
        count: 1,
        autostart: true,
        critical: false,
        after: Vec::new(),
        restart: RestartPolicy::Always,
        success_exit_codes: vec![0],
        restart_delay: Duration::from_secs(1),
        restart_delay_max: Duration::from_secs(60),
        flapping: None,
        ready: Ready::Notify,
        start_seconds: Duration::from_secs(1),
        start_timeout: Duration::from_secs(60),
        health: None,
        watchdog: Duration::ZERO,
        stop: StopSpec { signal: 15, timeout: Duration::from_secs(60), group: false },
        reload_signal: None,
        stdout: Output::Inherit,
        stderr: None,
        log: LogSpec { file: String::new(), max_size: 0, keep: 0, timestamps: false },
        stdin: Stdin::Null,
        streams: Vec::new(),
        listen: None,
        recycle: Recycle::default(),
    }
}

/// The socket that is held for a companion.
pub(crate) fn listener(name: &str) -> ListenerSpec {
    ListenerSpec {
        name: name.to_owned(),
        address: AddressSpec::Abstract(name.to_owned()),
        written: format!("unix:@{name}"),
        backlog: 1,
        reuse_port: false,
        v6only: false,
        mode: 0o666,
        owner: None,
    }
}

pub(crate) fn specification(companions: Vec<CompanionSpec>) -> CompanionsSpec {
    CompanionsSpec { name: "test".into(), companions, ..CompanionsSpec::default() }
}

pub(crate) struct World {
    pub(crate) table: Table,
    pub(crate) kernel: Kernel,
    pub(crate) spec: CompanionsSpec,
    records: BTreeMap<String, Vec<u8>>,
    ledger: BTreeMap<RunId, SavedProcess>,
    behaviour: HashMap<String, Program>,
    random: bool,
    pub(crate) replies: Vec<(Asker, Reply)>,
    pub(crate) told: Vec<ToArbiter>,
    pub(crate) spawned: Vec<(String, u32)>,
    pub(crate) signalled: Vec<(String, u32, i32)>,
    /// What was appended to the commands of one-offs.
    pub(crate) ran: Vec<Vec<String>>,
    pub(crate) lines: Vec<String>,
    pub(crate) restarts: u32,
    /// The stop that arbiter is in.
    pub(crate) stop: Option<(bool, Pace)>,
    /// The specification that is being prepared.
    pub(crate) candidate: Option<CompanionsSpec>,
    operation: u64,
    /// The manager dies in its next turn, having performed so much of it.
    pub(crate) fuse: Option<usize>,
    /// Whether whatever was due at this moment has been done.
    pub(crate) is_rested: bool,
    /// Tries under way, the oldest first.
    pub(crate) tries: Vec<(Attempt, RunId)>,
    /// Whose memory is to be looked at.
    pub(crate) measured: Vec<Measured>,
    /// Processes that were looked at.
    pub(crate) looks: Vec<RunId>,
    next_id: u64,
    /// Inputs and actions so far.
    pub(crate) steps: u64,
    /// After which of them something is to happen, and whether the manager does not get further than that.
    pub(crate) cut: Option<(u64, bool)>,
}

fn restore(
    spec: &CompanionsSpec,
    saved: &Saved,
    (next_run, restarts): (u64, u32),
    (stop, coming): (Option<(bool, Pace)>, Option<&CompanionsSpec>),
    kernel: &Kernel,
) -> Table {
    // Whoever was not reaped yet will still be told of.
    let survivors = kernel.runs().map(|(run, _)| run).collect();
    let describe = |_: &CompanionSpec, _: u32, _: i32| "cannot execute it".to_owned();
    let past = Past { saved, next_run, restarts, stop, describe: &describe, survivors: &survivors, coming };
    Table::restore(spec.clone(), past, kernel.now())
}

impl World {
    /// Programs that do what they are told.
    pub(crate) fn new(companions: Vec<CompanionSpec>) -> Self {
        Self::with(specification(companions), Kernel::new(7, Odds::calm()), false)
    }

    pub(crate) fn with(spec: CompanionsSpec, kernel: Kernel, random: bool) -> Self {
        let table = restore(&spec, &Saved::default(), (1, 0), (None, None), &kernel);
        Self {
            table,
            kernel,
            spec,
            records: BTreeMap::new(),
            ledger: BTreeMap::new(),
            behaviour: HashMap::new(),
            random,
            replies: Vec::new(),
            told: Vec::new(),
            spawned: Vec::new(),
            signalled: Vec::new(),
            ran: Vec::new(),
            lines: Vec::new(),
            restarts: 0,
            stop: None,
            candidate: None,
            operation: 0,
            fuse: None,
            is_rested: false,
            tries: Vec::new(),
            measured: Vec::new(),
            looks: Vec::new(),
            next_id: 1,
            steps: 0,
            cut: None,
        }
    }

    /// How the next processes of a companion behave.
    pub(crate) fn behave(&mut self, name: &str, program: Program) {
        self.behaviour.insert(name.to_owned(), program);
    }

    fn place(name: &str, slot: u32) -> Place {
        let mut hasher = DefaultHasher::new();
        (name, slot).hash(&mut hasher);
        Place(hasher.finish())
    }

    fn record(&mut self, records: Vec<Record>) {
        for Record { name, content } in records {
            match content {
                Some(content) => self.records.insert(name, content),
                None => self.records.remove(&name),
            };
        }
    }

    /// Tells arbiter, then performs the first `limit` actions; the others die with the manager.
    pub(crate) fn perform(&mut self, limit: usize) {
        let drained = self.table.drain();
        self.record(drained.records);
        for action in &drained.actions {
            if let Action::Reply { to, reply } = action {
                // An answer is kept by arbiter together with the records.
                self.replies.push((*to, reply.clone()));
            }
            if let Action::Spawn { run, key, replaces } = action {
                let companion = self.table.companion(key.companion).expect("it is to be started");
                let companion = companion.spec.name.clone();
                let slot = shown(key.slot);
                let is_there = |other: &SavedProcess| {
                    other.companion == companion && other.slot == slot && Some(other.run) != *replaces
                };
                let taken = slot != 0 && self.ledger.values().any(is_there);
                assert!(!taken, "{companion}:{slot} was to be started twice");
                let (run, none) = (*run, None);
                let entry = SavedProcess {
                    run,
                    companion,
                    slot,
                    pid: none,
                    main: none,
                    exit: None,
                    is_reaped: false,
                    failure: None,
                };
                self.ledger.insert(run, entry);
            }
        }
        for action in drained.actions.into_iter().take(limit) {
            self.act(action);
            if self.is_cut_off() {
                return;
            }
        }
    }

    /// One step more. Whether the manager does not get further.
    fn is_cut_off(&mut self) -> bool {
        self.steps += 1;
        self.cut == Some((self.steps, true))
    }

    /// Whether what is to happen is due.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.is_some_and(|(at, _)| at <= self.steps)
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn { run, key, .. } => {
                let companion = self.table.companion(key.companion);
                let oneoff = companion.and_then(|it| it.slots.get(&key.slot)?.oneoff.clone());
                let Some(entry) = self.ledger.get_mut(&run) else { return };
                let (name, slot) = (entry.companion.clone(), entry.slot);
                if let Some(request) = oneoff.and_then(|oneoff| oneoff.request) {
                    self.ran.push(request.args);
                }
                let place = Self::place(&name, key.slot);
                match self.behaviour.get(&name) {
                    Some(program) => self.kernel.spawn_program(run, place, program.clone()),
                    None if self.random => self.kernel.spawn(run, place),
                    None => self.kernel.spawn_program(run, place, Program::obedient()),
                }
                entry.pid = self.kernel.at(place).filter(|(at, _)| *at == run).map(|(_, sight)| sight.pid);
                self.spawned.push((name, slot));
            }
            Action::Signal { run, signal, group } => {
                if let Some(entry) = self.ledger.get(&run) {
                    self.signalled.push((entry.companion.clone(), entry.slot, signal));
                    self.kernel.signal(run, signal, group);
                }
            }
            Action::Kill { run } => {
                if self.ledger.contains_key(&run) {
                    self.kernel.kill(run);
                }
            }
            Action::Probe(Step::Try { attempt, run, .. }) => self.tries.push((attempt, run)),
            Action::Probe(Step::Abandon { attempt }) => self.tries.retain(|(other, _)| *other != attempt),
            Action::Measure(processes) => self.measured = processes,
            Action::Look { run } => self.looks.push(run),
            Action::Reply { .. } => {}
            Action::Tell(message) => self.told.push(message),
            Action::Say { text, .. } => self.lines.push(text),
        }
    }

    pub(crate) fn handle(&mut self, input: Input) {
        self.table.handle(input, self.kernel.now());
        match self.fuse.take() {
            Some(performed) => self.crash(performed),
            None if self.is_cut_off() => {}
            None => {
                self.perform(usize::MAX);
                self.is_rested = true;
            }
        }
    }

    /// arbiter is about to bring another specification into force.
    pub(crate) fn prepare(&mut self, spec: CompanionsSpec) {
        self.operation += 1;
        self.candidate = Some(spec.clone());
        self.handle(Input::Prepare { operation: self.operation, spec });
    }

    /// What the reload that was told of last has done.
    pub(crate) fn report(&mut self) -> ReloadReport {
        let told = self.take_told();
        let report = told.into_iter().rev().find_map(|message| match message {
            ToArbiter::Committed { report, .. } => Some(report),
            _ => None,
        });
        report.expect("the reload is done")
    }

    /// Whether the specification that is being prepared was judged.
    pub(crate) fn is_prepared_told(&self) -> bool {
        let is_its = |message: &ToArbiter| matches!(message, ToArbiter::Prepared { operation, .. } if *operation == self.operation);
        self.candidate.is_none() || self.told.iter().any(is_its)
    }

    /// arbiter stops.
    pub(crate) fn stop(&mut self, required_too: bool, pace: Pace) {
        self.stop = Some((required_too, pace));
        self.handle(Input::Stop { required_too, pace });
    }

    /// How many bytes the longest record has that arbiter keeps.
    pub(crate) fn longest_record(&self) -> usize {
        self.records.values().map(Vec::len).max().unwrap_or(0)
    }

    /// The manager dies after `performed` of what it was about to do, and another goes on.
    pub(crate) fn crash(&mut self, performed: usize) {
        self.perform(performed);
        // They die with the manager.
        self.tries.clear();
        self.ledger.retain(|_, entry| entry.pid.is_some());
        self.restarts += 1;
        let records = self
            .records
            .iter()
            .map(|(name, content)| Record { name: name.clone(), content: Some(content.clone()) });
        let saved = Saved {
            records: records.collect(),
            processes: self.ledger.values().cloned().collect(),
            outcomes: Vec::new(),
        };
        let next_run = self.spawned_highest() + 1;
        let under_way = (self.stop, self.candidate.as_ref());
        self.table = restore(&self.spec, &saved, (next_run, self.restarts), under_way, &self.kernel);
        // What nobody is left of is released as soon as the manager has heard of it.
        let unreaped: HashSet<RunId> = self.kernel.runs().map(|(run, _)| run).collect();
        self.ledger.retain(|run, _| unreaped.contains(run));
        self.perform(usize::MAX);
        self.is_rested = false;
        // arbiter repeats what it had asked for.
        if let Some(spec) = self.candidate.clone() {
            self.handle(Input::Prepare { operation: self.operation, spec });
        }
        if let Some((required_too, pace)) = self.stop {
            self.handle(Input::Stop { required_too, pace });
        }
    }

    /// The oldest try under way has ended.
    pub(crate) fn answer(&mut self, result: Result<(), &str>) {
        let (attempt, _) = self.tries.remove(0);
        self.handle(Input::Tried { attempt, result: result.map_err(str::to_owned) });
    }

    /// arbiter learns how a run ended.
    pub(crate) fn note_exit(&mut self, run: RunId, exit: supervise::Exit) {
        if let Some(entry) = self.ledger.get_mut(&run) {
            entry.exit = Some(exit);
        }
    }

    /// Managers that die again and again get no records any more.
    pub(crate) fn forget_records(&mut self) {
        self.records.clear();
    }

    fn spawned_highest(&self) -> u64 {
        // Numbers of intents that came to nothing are skipped as well.
        1_000_000 * u64::from(self.restarts)
    }

    /// Takes in one message of the kernel. Whether there was one.
    fn take_message(&mut self) -> bool {
        let Some((run, input)) = self.kernel.poll_event() else { return false };
        match &input {
            supervise::Input::Exited { survivors: false, .. }
            | supervise::Input::Gone
            | supervise::Input::NotSpawned { .. }
                if self.fuse.is_none() =>
            {
                self.ledger.remove(&run);
            }
            // Also of one that the manager had no time to release.
            supervise::Input::Exited { exit, .. } => {
                if let Some(entry) = self.ledger.get_mut(&run) {
                    entry.exit = Some(*exit);
                }
            }
            _ => {}
        }
        self.handle(Input::Run { run, input });
        true
    }

    /// The next thing that happens, if it does before `until`.
    pub(crate) fn step(&mut self, until: Monotonic) -> bool {
        if self.take_message() {
            return true;
        }
        let next = [self.kernel.next_event(), self.table.next_deadline()].into_iter().flatten().min();
        match next.filter(|at| *at <= until) {
            Some(at) => {
                self.kernel.advance_to(at);
                let mut turns = 0;
                while self.table.next_deadline().is_some_and(|deadline| deadline <= self.kernel.now()) {
                    self.handle(Input::Deadline);
                    turns += 1;
                    assert!(turns < 10, "what is due is done, and due again at once");
                }
                true
            }
            None => {
                self.kernel.advance_to(until);
                false
            }
        }
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let until = self.kernel.now() + duration;
        self.perform(usize::MAX);
        while self.step(until) {}
        self.kernel.check().expect("nobody does what nobody may do");
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.run_for(Duration::from_secs(seconds));
    }

    /// Asks for something and is to be answered when it is done.
    pub(crate) fn ask(&mut self, verb: Verb) -> Asker {
        self.ask_and(verb, true)
    }

    pub(crate) fn ask_and(&mut self, verb: Verb, wait: bool) -> Asker {
        self.next_id += 1;
        let mut token = [1; 16];
        token[..8].copy_from_slice(&self.next_id.to_le_bytes());
        let asker = Asker { client: 1, id: self.next_id, token };
        self.handle(Input::Command { asker, request: Request { id: self.next_id, token, wait, verb } });
        asker
    }

    /// The answer to a request, whichever manager gave it.
    pub(crate) fn reply(&self, asker: Asker) -> Option<&Reply> {
        self.replies.iter().find(|(to, _)| to.token == asker.token).map(|(_, reply)| reply)
    }

    /// How many answers there were to a request.
    pub(crate) fn answers(&self, asker: Asker) -> usize {
        self.replies.iter().filter(|(to, _)| to.token == asker.token).count()
    }

    /// Who has been answered.
    pub(crate) fn asked(&self) -> impl Iterator<Item = Asker> + '_ {
        self.replies.iter().map(|(to, _)| *to)
    }

    pub(crate) fn results(&self, asker: Asker) -> &[TargetResult] {
        match self.reply(asker) {
            Some(Reply::Done(Answer::Results(results))) => results,
            other => panic!("expected results, found {other:?}"),
        }
    }

    pub(crate) fn message(&self, asker: Asker) -> String {
        match self.reply(asker) {
            Some(Reply::Failed(failure)) => failure.message.clone(),
            Some(Reply::Done(Answer::Results(results))) => {
                results.iter().map(|result| result.message.clone()).collect::<Vec<_>>().join("; ")
            }
            other => panic!("expected an answer, found {other:?}"),
        }
    }

    pub(crate) fn state(&self, name: &str) -> State {
        self.table.by_name(name).unwrap_or_else(|| panic!("{name} is unknown")).state()
    }

    /// The pids of a companion's living main processes, by slot.
    pub(crate) fn pids(&self, name: &str) -> Vec<(u32, i32)> {
        let companion = self.table.by_name(name).unwrap_or_else(|| panic!("{name} is unknown"));
        companion
            .slots
            .iter()
            .filter_map(|(slot, place)| Some((shown(*slot), place.unit.run()?.pid?)))
            .collect()
    }

    pub(crate) fn living(&self) -> usize {
        self.kernel.runs().map(|(_, sight)| sight.living()).sum()
    }

    /// What arbiter was told since the last time.
    pub(crate) fn take_told(&mut self) -> Vec<ToArbiter> {
        std::mem::take(&mut self.told)
    }
}

pub(crate) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub(crate) fn start(list: &[&str]) -> Verb {
    Verb::Start(names(list))
}

pub(crate) fn stop(list: &[&str]) -> Verb {
    Verb::Stop { names: names(list), force: false }
}

pub(crate) fn restart(list: &[&str]) -> Verb {
    Verb::Restart(names(list))
}

pub(crate) fn run(name: &str, args: &[&str]) -> Verb {
    Verb::Run(RunRequest { name: name.to_owned(), env: Vec::new(), args: names(args) })
}
