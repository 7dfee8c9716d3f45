//! What the moving thread is told, and tells.

use proto::link::OutputStream;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use supervise::RunId;

/// A pipe is known by the run it was made for and the stream.
pub(crate) type Origin = (RunId, OutputStream);

/// Where the lines of a pipe go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SinkSpec {
    /// Its name: two pipes whose sinks have the same one share it.
    pub(crate) name: String,
    /// Whose lines they are, for messages.
    pub(crate) companion: String,
    /// Where they are kept.
    pub(crate) place: Place,
    /// Whether each gets the time.
    pub(crate) timestamps: bool,
}

/// Where lines are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In memory, the last of them.
    Memory,
    /// In a file.
    File {
        /// Absolute.
        path: PathBuf,
        /// Rotated above this many bytes; zero: never.
        max_size: u64,
        /// How many rotated ones stay.
        keep: u32,
    },
}

/// What somebody wants to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    /// Of which sinks, one after the other.
    pub(crate) sinks: Vec<SinkSpec>,
    /// Whether also what comes.
    pub(crate) follow: bool,
    /// How many of the last lines of each; `None`: all that are kept.
    pub(crate) lines: Option<u64>,
    /// What [`Report::Piece`] said was next, to go on from there.
    pub(crate) after: Option<Vec<u8>>,
}

/// To the thread.
#[derive(Debug)]
pub(crate) enum Order {
    /// Empty this pipe into that sink from now on.
    Take { origin: Origin, end: OwnedFd, sink: SinkSpec },
    /// Empty it into another one.
    Redirect { origin: Origin, sink: SinkSpec },
    /// Take out what there is, and let it go. It is reported as ended.
    Release { origin: Origin },
    /// arbiter holds this memory file for that sink.
    Tail { sink: SinkSpec, file: OwnedFd },
    /// The memory file is not to be used any more.
    DropTail { name: String },
    /// Open all files anew.
    Reopen,
    /// Show something to the reader of that number.
    Read { reader: u64, want: Want },
    /// The reader has room for a piece.
    More { reader: u64 },
    /// It has gone.
    Leave { reader: u64 },
    /// Say when all that was written by now has been moved.
    Flush,
}

/// From the thread.
#[derive(Debug)]
pub(crate) enum Report {
    /// A pipe has been taken to its end.
    Ended(Origin),
    /// A memory file of this name is needed.
    WantsTail(String),
    /// It is of no use any more.
    DropsTail(String),
    /// For a reader. `next` names the place behind it.
    Piece { reader: u64, bytes: Vec<u8>, next: Vec<u8> },
    /// There is no more for it.
    End { reader: u64 },
    /// All that was written before the order has been moved.
    Flushed,
}
