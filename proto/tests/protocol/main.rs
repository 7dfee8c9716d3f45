//! The protocol's page and its golden bytes against the code.
//!
//! `samples` has at least one message of every kind. `golden` compares their bytes with the files in
//! `tests/golden`, `page` compares what `shape` sees of them with the tables of `PROTOCOL.md` and the bytes of
//! the page's conversation, `garbage` has bytes that are no message.

mod garbage;
mod golden;
mod hex;
mod page;
mod samples;
mod shape;
