//! What a simulation walked through.

/// How often each thing worth seeing was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) spawns: u64,
    pub(crate) ready: u64,
    pub(crate) assumed: u64,
    pub(crate) unready: u64,
    pub(crate) kills: u64,
    pub(crate) stuck: u64,
    pub(crate) died: u64,
    pub(crate) exited: u64,
    pub(crate) backoff: u64,
    pub(crate) strays: u64,
    pub(crate) stale: u64,
    pub(crate) extended: u64,
    pub(crate) left: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: Self) {
        self.spawns += other.spawns;
        self.ready += other.ready;
        self.assumed += other.assumed;
        self.unready += other.unready;
        self.kills += other.kills;
        self.stuck += other.stuck;
        self.died += other.died;
        self.exited += other.exited;
        self.backoff += other.backoff;
        self.strays += other.strays;
        self.stale += other.stale;
        self.extended += other.extended;
        self.left += other.left;
    }

    /// Every row of the table was walked: a simulation in which something never happens proves nothing.
    pub(crate) fn assert_everything_was_seen(&self) {
        let Self { spawns, ready, assumed, unready, kills, stuck, died, exited, backoff, .. } = *self;
        let Self { strays, stale, extended, left, .. } = *self;
        let counts = [
            spawns, ready, assumed, unready, kills, stuck, died, exited, backoff, strays, stale, extended,
            left,
        ];
        assert!(counts.iter().all(|&count| count > 20), "something is hardly ever seen: {self:?}");
    }
}
