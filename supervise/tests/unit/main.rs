//! One unit, row by row of its table.

mod backoff;
mod bench;
mod invariants;
mod lifecycle;
mod readiness;
mod reasons;
mod stop_ladder;
