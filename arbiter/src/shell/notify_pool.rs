//! Notify sockets for processes to come.
//!
//! One is always bound ahead, while nothing is urgent: a worker that died is replaced that much sooner. A
//! socket serves one process only, so that nothing a dead one said last can be taken for its successor's.

use crate::runtime::NotifyDirectory;
use std::io;
use std::path::Path;
use sys::notify::NotifySocket;

/// Makes them.
#[derive(Debug)]
pub(super) struct NotifyPool {
    directory: NotifyDirectory,
    count: u64,
    /// The one bound ahead, and for whom.
    spare: Option<(Option<u32>, NotifySocket)>,
}

impl NotifyPool {
    pub(super) fn new(directory: NotifyDirectory) -> Self {
        Self { directory, count: 0, spare: None }
    }

    /// So many were made before.
    pub(super) fn count_from(&mut self, count: u64) {
        self.count = count;
    }

    /// The directory, and how many were made in it.
    pub(super) fn parts(&self) -> (&NotifyDirectory, u64) {
        (&self.directory, self.count)
    }

    /// Removes what arbiters left in the same place that were killed.
    pub(super) fn remove_left_beside(&self) {
        self.directory.remove_left_beside();
    }

    /// Where they are.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Binds one ahead for a process of `owner`. That it cannot be had is told when it is needed.
    pub(super) fn prepare(&mut self, owner: Option<u32>) {
        if self.spare.as_ref().is_none_or(|(of, _)| *of != owner) {
            self.spare = self.bind(owner).ok().map(|socket| (owner, socket));
        }
    }

    /// One for a process of `owner`.
    pub(super) fn take(&mut self, owner: Option<u32>) -> io::Result<NotifySocket> {
        match self.spare.take_if(|(of, _)| *of == owner) {
            Some((_, socket)) => Ok(socket),
            None => self.bind(owner),
        }
    }

    fn bind(&mut self, owner: Option<u32>) -> io::Result<NotifySocket> {
        self.count += 1;
        NotifySocket::bind(&self.directory.path().join(format!("worker-{}", self.count)), owner)
    }
}
