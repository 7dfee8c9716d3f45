//! One unit, row by row of its table.

mod backoff;
mod bench;
mod changes;
mod flapping;
mod invariants;
mod lifecycle;
mod own_words;
mod readiness;
mod reasons;
mod stop_ladder;
