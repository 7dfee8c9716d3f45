//! What has happened, and how a hook is told.

use proto::link::CompanionChange;
use proto::spec::HookEvent;
use std::fmt::Write;
use std::time::Duration;
use supervise::{ExitStatus, signal_label};

/// A child that is no worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// The companion manager.
    Manager,
    /// A process whose parent has died.
    Stray,
}

/// An event with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Nothing is started yet.
    OnStarting,
    /// All workers are ready for the first time.
    WhenReady {
        /// How many.
        workers: u32,
    },
    /// A worker is about to be started.
    PreFork {
        /// In this slot.
        slot: u32,
        /// Of this generation.
        generation: u64,
    },
    /// A worker was started.
    PostFork {
        /// In this slot.
        slot: u32,
        /// Of this generation.
        generation: u64,
        /// Its process.
        pid: i32,
    },
    /// A worker's process has ended.
    WorkerExit {
        /// In this slot.
        slot: u32,
        /// Of this generation.
        generation: u64,
        /// Its process.
        pid: i32,
        /// How.
        status: ExitStatus,
    },
    /// A child that is no worker has ended.
    ChildExit {
        /// What it was.
        child: Child,
        /// Its process.
        pid: i32,
        /// How.
        status: ExitStatus,
    },
    /// There should be another number of workers.
    NworkersChanged {
        /// As many as before.
        before: u32,
        /// As many as now.
        after: u32,
    },
    /// A reload begins.
    OnReload {
        /// The generation in force.
        generation: u64,
        /// Whether only the companions' part will be applied.
        companions_only: bool,
    },
    /// An upgrade begins.
    PreExec,
    /// Nothing runs any more, and arbiter is about to end.
    OnExit {
        /// With this status.
        code: u8,
    },
    /// A companion's process has come into another state.
    CompanionEvent(CompanionChange),
}

/// The value of a field.
#[derive(Debug)]
enum Value {
    Number(i64),
    Text(String),
    /// No variable, and `null` in JSON.
    None,
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

impl Occasion {
    /// Which hook it is for.
    #[must_use]
    pub fn event(&self) -> HookEvent {
        match self {
            Self::OnStarting => HookEvent::OnStarting,
            Self::WhenReady { .. } => HookEvent::WhenReady,
            Self::PreFork { .. } => HookEvent::PreFork,
            Self::PostFork { .. } => HookEvent::PostFork,
            Self::WorkerExit { .. } => HookEvent::WorkerExit,
            Self::ChildExit { .. } => HookEvent::ChildExit,
            Self::NworkersChanged { .. } => HookEvent::NworkersChanged,
            Self::OnReload { .. } => HookEvent::OnReload,
            Self::PreExec => HookEvent::PreExec,
            Self::OnExit { .. } => HookEvent::OnExit,
            Self::CompanionEvent(_) => HookEvent::CompanionEvent,
        }
    }

    /// The worker it is about: its slot and generation.
    #[must_use]
    pub fn worker(&self) -> Option<(u32, u64)> {
        match *self {
            Self::PreFork { slot, generation }
            | Self::PostFork { slot, generation, .. }
            | Self::WorkerExit { slot, generation, .. } => Some((slot, generation)),
            Self::OnStarting
            | Self::WhenReady { .. }
            | Self::ChildExit { .. }
            | Self::NworkersChanged { .. }
            | Self::OnReload { .. }
            | Self::PreExec
            | Self::OnExit { .. }
            | Self::CompanionEvent(_) => None,
        }
    }

    /// The variables of its hook, where it happened at `wall`: `ARBITER_EVENT_NAME`, `ARBITER_EVENT_TIME` and one for
    /// each field that has a value.
    #[must_use]
    pub fn variables(&self, wall: Duration) -> Vec<(String, String)> {
        let named = [("name", self.event().name().into()), ("time", time(wall))];
        let fields = named.into_iter().chain(self.fields());
        let variables = fields.filter_map(|(name, value)| {
            let value = match value {
                Value::Number(number) => number.to_string(),
                // What no variable can hold.
                Value::Text(text) => text.replace('\0', "\u{fffd}"),
                Value::None => return None,
            };
            Some((format!("ARBITER_EVENT_{}", name.to_ascii_uppercase()), value))
        });
        variables.collect()
    }

    /// The same as a JSON object in one line, with its end: `event`, `time` and each field.
    #[must_use]
    pub fn json_line(&self, wall: Duration) -> String {
        let named = [("event", self.event().name().into()), ("time", time(wall))];
        let mut line = String::new();
        for (name, value) in named.into_iter().chain(self.fields()) {
            line.push(if line.is_empty() { '{' } else { ',' });
            sys::log::write_json_string(&mut line, name);
            line.push(':');
            match value {
                // Writing to a String cannot fail.
                Value::Number(number) => drop(write!(line, "{number}")),
                Value::Text(text) => sys::log::write_json_string(&mut line, &text),
                Value::None => line.push_str("null"),
            }
        }
        line.push_str("}\n");
        line
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::OnStarting | Self::PreExec => Vec::new(),
            Self::WhenReady { workers } => vec![("workers", (*workers).into())],
            Self::PreFork { slot, generation } => {
                vec![("slot", (*slot).into()), ("generation", (*generation).into())]
            }
            Self::PostFork { slot, generation, pid } => {
                vec![("slot", (*slot).into()), ("generation", (*generation).into()), ("pid", (*pid).into())]
            }
            Self::WorkerExit { slot, generation, pid, status } => {
                let worker = [("slot", (*slot).into()), ("generation", (*generation).into())];
                worker.into_iter().chain(end(*pid, *status)).collect()
            }
            Self::ChildExit { child, pid, status } => {
                let child = match child {
                    Child::Manager => "manager",
                    Child::Stray => "stray",
                };
                std::iter::once(("child", child.into())).chain(end(*pid, *status)).collect()
            }
            Self::NworkersChanged { before, after } => {
                vec![("old", (*before).into()), ("new", (*after).into())]
            }
            Self::OnReload { generation, companions_only } => {
                let scope = if *companions_only { "companions" } else { "all" };
                vec![("scope", scope.into()), ("generation", (*generation).into())]
            }
            Self::OnExit { code } => vec![("status", u32::from(*code).into())],
            Self::CompanionEvent(change) => vec![
                ("companion", change.name.as_str().into()),
                ("slot", change.slot.into()),
                ("pid", change.pid.into()),
                ("old", change.before.to_string().as_str().into()),
                ("new", change.after.to_string().as_str().into()),
                ("reason", change.reason.as_deref().into()),
            ],
        }
    }
}

fn time(wall: Duration) -> Value {
    Value::Text(sys::clock::rfc3339(wall))
}

/// A process and its end: either a code or a signal is there.
fn end(pid: i32, status: ExitStatus) -> [(&'static str, Value); 3] {
    let (code, signal) = match status {
        ExitStatus::Code(code) => (code.into(), Value::None),
        ExitStatus::Signal { number, .. } => {
            let name = signal_label(number);
            (Value::None, Value::Text(name))
        }
    };
    [("pid", pid.into()), ("code", code), ("signal", signal)]
}
