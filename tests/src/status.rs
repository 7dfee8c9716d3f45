//! The answer to `arbiterctl --json status`.

use serde_json::Value;

/// The whole answer.
#[derive(Clone, PartialEq)]
pub struct Status(pub Value);

/// One worker, or one process of a companion.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    pub slot: u64,
    pub pid: Option<i32>,
    pub state: String,
    pub ready: bool,
    /// 0 for companions.
    pub generation: u64,
    pub restarts: u64,
    pub oneoff: bool,
    pub status_text: String,
    pub reason: String,
    pub retry_in: Option<f64>,
}

/// One companion.
#[derive(Clone, Debug, PartialEq)]
pub struct Companion {
    pub state: String,
    pub target: u64,
    pub configured: u64,
    pub description: String,
    pub processes: Vec<Process>,
}

impl Status {
    /// What `arbiterctl --json status` said.
    ///
    /// # Panics
    /// It is no JSON.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_else(|error| panic!("no status: {error}: {text}")))
    }

    /// `arbiter.state`.
    #[must_use]
    pub fn state(&self) -> &str {
        self.0["arbiter"]["state"].as_str().unwrap_or_default()
    }

    /// `arbiter.generation`.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0["arbiter"]["generation"].as_u64().unwrap_or_default()
    }

    /// arbiter's process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0["arbiter"]["pid"].as_i64().and_then(|pid| pid.try_into().ok()).expect("arbiter has a pid")
    }

    /// The manager's process, when there is one.
    #[must_use]
    pub fn manager(&self) -> Option<i32> {
        self.0["manager"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok())
    }

    /// How often the manager was replaced.
    #[must_use]
    pub fn manager_restarts(&self) -> u64 {
        self.0["manager"]["restarts"].as_u64().unwrap_or_default()
    }

    /// A listener's address as bound.
    ///
    /// # Panics
    /// There is no such listener.
    #[must_use]
    #[track_caller]
    pub fn address(&self, listener: &str) -> String {
        let listeners = self.0["listeners"].as_array().cloned().unwrap_or_default();
        let found = listeners.iter().find(|one| one["name"] == listener);
        let address = found.and_then(|one| one["address"].as_str());
        address.unwrap_or_else(|| panic!("no listener {listener} in {listeners:?}")).to_owned()
    }

    /// How many workers there should be.
    #[must_use]
    pub fn target(&self) -> u64 {
        self.0["workers"]["target"].as_u64().unwrap_or_default()
    }

    /// The workers.
    #[must_use]
    pub fn workers(&self) -> Vec<Process> {
        processes(&self.0["workers"]["processes"])
    }

    /// The ready workers, by slot.
    #[must_use]
    pub fn ready_workers(&self) -> Vec<Process> {
        self.workers().into_iter().filter(|worker| worker.ready && worker.state == "RUNNING").collect()
    }

    /// The processes of all workers that have one.
    #[must_use]
    pub fn worker_pids(&self) -> Vec<i32> {
        self.workers().into_iter().filter_map(|worker| worker.pid).collect()
    }

    /// The names of all companions.
    #[must_use]
    pub fn companions(&self) -> Vec<String> {
        let companions = self.0["companions"].as_array().cloned().unwrap_or_default();
        companions.iter().filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect()
    }

    /// A companion.
    ///
    /// # Panics
    /// There is no such companion.
    #[must_use]
    #[track_caller]
    pub fn companion(&self, name: &str) -> Companion {
        let companions = self.0["companions"].as_array().cloned().unwrap_or_default();
        let found = companions.iter().find(|one| one["name"] == name);
        let one = found.unwrap_or_else(|| panic!("no companion {name} in {companions:?}"));
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        Companion {
            state: text("state"),
            target: one["target"].as_u64().unwrap_or_default(),
            configured: one["configured"].as_u64().unwrap_or_default(),
            description: text("description"),
            processes: processes(&one["processes"]),
        }
    }

    /// The process of a companion's slot 1.
    ///
    /// # Panics
    /// It has none.
    #[must_use]
    #[track_caller]
    pub fn pid_of(&self, name: &str) -> i32 {
        let pid = self.companion(name).processes.iter().find_map(|process| process.pid);
        pid.unwrap_or_else(|| panic!("{name} has no process: {:?}", self.companion(name)))
    }
}

impl Companion {
    /// The processes of those slots that have one.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        self.processes.iter().filter_map(|process| process.pid).collect()
    }

    /// Why its first process is not running.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.processes.first().map_or("", |process| process.reason.as_str())
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:#}", self.0)
    }
}

fn processes(list: &Value) -> Vec<Process> {
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let process = |one: &Value| Process {
        slot: one["slot"].as_u64().unwrap_or_default(),
        pid: one["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()),
        state: text(one, "state"),
        ready: one["ready"].as_bool().unwrap_or_default(),
        generation: one["generation"].as_u64().unwrap_or_default(),
        restarts: one["restarts"].as_u64().unwrap_or_default(),
        oneoff: one["oneoff"].as_bool().unwrap_or_default(),
        status_text: text(one, "status_text"),
        reason: text(one, "reason"),
        retry_in: one["retry_in_seconds"].as_f64(),
    };
    list.as_array().into_iter().flatten().map(process).collect()
}
