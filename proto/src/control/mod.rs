//! What `arbiterctl` and the manager say to each other.

mod event;
mod request;
mod response;
mod status;

pub use event::{Event, EventKind};
pub use request::{
    CompanionUntil, LogRequest, ReloadScope, Request, RunRequest, ScaleChange, ScaleTarget, SendRequest,
    SignalTarget, Token, Verb,
};
pub use response::{
    Answer, Chunk, Failure, FailureKind, Info, PastExit, Pid, Progress, ReloadReport, Reply, Response,
    STOPPING, Stats, TargetResult,
};
pub use status::{
    ArbiterState, ArbiterStatus, Clocks, CompanionProcess, CompanionStatus, LastExit, ListenerStatus,
    ManagerStatus, ProcessStatus, Status, StrayStatus, WorkerStatus, WorkersStatus,
};
