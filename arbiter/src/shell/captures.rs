//! What companions write: the pipes' read ends and the memory files, kept for whichever manager there is.
//!
//! A pipe outlives the run it was made for while anybody holds its other end. It goes on the manager's word alone.

use crate::upgrade::{Keeping, Kept, SavedCaptures};
use proto::link::{CapturedPipe, MAX_DESCRIPTORS, OutputStream, ToManager};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use supervise::RunId;

/// The descriptors of captured output.
#[derive(Debug, Default)]
pub(super) struct Captures {
    pipes: BTreeMap<(RunId, OutputStream), (CapturedPipe, OwnedFd)>,
    tails: BTreeMap<String, OwnedFd>,
}

impl Captures {
    /// A new process has reported itself.
    pub(super) fn keep_pipes(
        &mut self,
        run: RunId,
        companion: &str,
        slot: u32,
        pipes: impl Iterator<Item = (OutputStream, OwnedFd)>,
    ) {
        for (stream, end) in pipes {
            let pipe = CapturedPipe { run, stream, companion: companion.to_owned(), slot };
            self.pipes.insert((run, stream), (pipe, end));
        }
    }

    /// The manager has taken all there was.
    pub(super) fn drained(&mut self, run: RunId, stream: OutputStream) {
        self.pipes.remove(&(run, stream));
    }

    /// The manager is about to keep output in that memory file.
    pub(super) fn keep_tail(&mut self, name: String, file: Option<OwnedFd>) {
        match file {
            Some(file) => drop(self.tails.insert(name, file)),
            None => tracing::error!("the memory file of {name} came without a descriptor"),
        }
    }

    /// The manager has no more use for it.
    pub(super) fn drop_tail(&mut self, name: &str) {
        self.tails.remove(name);
    }

    /// All of it, for the program that follows.
    pub(super) fn save(&self, keeping: &mut Keeping) -> SavedCaptures {
        let pipes = self.pipes.values().map(|(pipe, end)| (pipe.clone(), keeping.keep(end))).collect();
        let tails = self.tails.iter().map(|(name, file)| (name.clone(), keeping.keep(file))).collect();
        SavedCaptures { pipes, tails }
    }

    /// What the program before has kept.
    ///
    /// # Errors
    /// A descriptor is missing.
    pub(super) fn restore(saved: SavedCaptures, kept: &mut Kept) -> anyhow::Result<Self> {
        let mut captures = Self::default();
        for (pipe, number) in saved.pipes {
            captures.pipes.insert((pipe.run, pipe.stream), (pipe, kept.take(number)?));
        }
        for (name, number) in saved.tails {
            captures.tails.insert(name, kept.take(number)?);
        }
        Ok(captures)
    }

    /// All of it, for a new manager.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(super) fn messages(&self) -> io::Result<Vec<(ToManager, Vec<OwnedFd>)>> {
        let mut messages = Vec::new();
        let pipes: Vec<_> = self.pipes.values().collect();
        for batch in pipes.chunks(MAX_DESCRIPTORS - 1) {
            let ends = batch.iter().map(|(_, end)| end.try_clone()).collect::<io::Result<_>>()?;
            let pipes = batch.iter().map(|(pipe, _)| pipe.clone()).collect();
            messages.push((ToManager::Captured { pipes }, ends));
        }
        let tails: Vec<_> = self.tails.iter().collect();
        for batch in tails.chunks(MAX_DESCRIPTORS - 1) {
            let files = batch.iter().map(|(_, file)| file.try_clone()).collect::<io::Result<_>>()?;
            let names = batch.iter().map(|(name, _)| (*name).clone()).collect();
            messages.push((ToManager::Tails { names }, files));
        }
        Ok(messages)
    }
}
