//! The manager's table, and the records that arbiter would keep of it.

use arbiter::config::examine;
use companion_manager::table::{Action, Input, Past, Table};
use proto::codec;
use proto::link::{Pace, Record, Saved, SavedProcess};
use proto::spec::{CompanionSpec, CompanionsSpec, Resolution};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;
use supervise::{Exit, ExitStatus, Monotonic, RunId};

/// Companions of all kinds.
static SPEC: LazyLock<CompanionsSpec> = LazyLock::new(|| {
    let Resolution::Run { companions, .. } = examine(include_str!("companions.toml"), false) else {
        panic!("the companions' configuration is wrong")
    };
    codec::decode_bulk(&companions).expect("it was just written")
});

/// How long after the boot everything begins.
const BEGIN: Duration = Duration::from_secs(1000);
/// The most deadlines that are waited for at once: restarts would go on for ever.
const DEADLINES: usize = 5;

/// The most processes that come into being.
const PROCESSES: usize = 100;

/// A table, and what has become of what it asked for.
pub struct World {
    table: Table,
    now: Monotonic,
    records: BTreeMap<String, Vec<u8>>,
    runs: BTreeMap<RunId, SavedProcess>,
}

impl World {
    /// All that is to be started has been started.
    #[must_use]
    pub fn started() -> Self {
        Self::of(&Saved::default(), 0)
    }

    /// A manager begins with what another one has left.
    #[must_use]
    pub fn restored(saved: &Saved) -> Self {
        Self::of(saved, 1)
    }

    fn of(saved: &Saved, restarts: u32) -> Self {
        let now = Monotonic::from_boot(BEGIN);
        let describe = |_: &CompanionSpec, _: u32, _: i32| "cannot execute it".to_owned();
        let survivors =
            saved.processes.iter().map(|process| process.run).filter(|run| run.0 % 2 == 0).collect();
        // arbiter tells a number above all that it has seen.
        let next_run =
            saved.processes.iter().map(|process| process.run.0).max().unwrap_or(0).saturating_add(1);
        let past = Past {
            saved,
            next_run,
            restarts,
            stop: None,
            describe: &describe,
            survivors: &survivors,
            coming: None,
        };
        let table = Table::restore(SPEC.clone(), past, now);
        let mut world = Self { table, now, records: BTreeMap::new(), runs: BTreeMap::new() };
        world.settle();
        world
    }

    /// Does what was decided, until nothing more is.
    fn settle(&mut self) {
        loop {
            let drained = self.table.drain();
            for Record { name, content } in drained.records {
                match content {
                    Some(content) => self.records.insert(name, content),
                    None => self.records.remove(&name),
                };
            }
            let spawns = drained.actions.into_iter().filter_map(|action| match action {
                Action::Spawn { run, key, .. } => Some((run, key)),
                _ => None,
            });
            // More of them would take long and show nothing new: they are on their way for ever.
            let spawns: Vec<_> = spawns.take(PROCESSES.saturating_sub(self.runs.len())).collect();
            if spawns.is_empty() {
                return;
            }
            for (run, key) in spawns {
                let pid = 100 + i32::try_from(self.runs.len()).expect("few are started");
                let companion =
                    self.table.companion(key.companion).map(|companion| companion.spec.name.clone());
                let process = SavedProcess {
                    run,
                    companion: companion.unwrap_or_default(),
                    slot: key.slot,
                    pid: Some(pid),
                    main: None,
                    exit: None,
                    is_reaped: false,
                    failure: None,
                };
                self.runs.insert(run, process);
                self.table.handle(Input::Run { run, input: supervise::Input::Spawned { pid } }, self.now);
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.table.handle(input, self.now);
        self.settle();
    }

    /// All that were started, those that have ended among them.
    #[must_use]
    pub fn runs(&self) -> Vec<RunId> {
        self.runs.keys().copied().collect()
    }

    /// A process says something over its notify socket.
    pub fn notify(&mut self, run: RunId, text: &str) {
        self.handle(Input::Notified { run, text: text.to_owned() });
    }

    /// A process ends.
    pub fn exit(&mut self, run: RunId) {
        let exit = Exit::bare(ExitStatus::Code(1));
        if let Some(process) = self.runs.get_mut(&run) {
            process.exit = Some(exit);
        }
        self.handle(Input::Run { run, input: supervise::Input::Exited { exit, survivors: false } });
    }

    /// Everything is to stop.
    pub fn stop(&mut self) {
        self.handle(Input::Stop { required_too: true, pace: Pace::Graceful });
    }

    /// The next deadlines come.
    pub fn pass_time(&mut self) {
        for _ in 0..DEADLINES {
            let Some(deadline) = self.table.next_deadline() else { return };
            self.now = self.now.max(deadline);
            self.handle(Input::Deadline);
        }
    }

    /// What all processes say of themselves. What operators may ask is asked.
    pub fn statuses(&self) -> Vec<Option<String>> {
        let wall = Duration::from_secs(1_700_000_000);
        for companion in &SPEC.companions {
            self.table.info(&companion.name, self.now, wall, 0).expect("it is there");
        }
        let shown = self.table.view(&[], self.now, wall).expect("no name is wrong");
        shown
            .into_iter()
            .flat_map(|companion| companion.processes)
            .map(|process| process.process.status_text)
            .collect()
    }

    /// What arbiter keeps.
    #[must_use]
    pub fn saved(&self) -> Saved {
        let records = self.records.iter();
        Saved {
            records: records
                .map(|(name, content)| Record { name: name.clone(), content: Some(content.clone()) })
                .collect(),
            processes: self.runs.values().cloned().collect(),
            outcomes: Vec::new(),
        }
    }
}
