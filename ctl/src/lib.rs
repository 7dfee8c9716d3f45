//! The logic of `arbiterctl`: one command line becomes one request on the control socket, its answer becomes
//! text or JSON on standard output, and the process's exit status says how it went.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `cli` | the command line as clap reads it, and how its errors become one line |
//! | `completion` | scripts for shells, and what they ask |
//! | `verbs` | which request a command line is, whether it changes anything, how long it may take |
//! | `locate` | where the control socket is |
//! | `connection` | one connection: hello, frames, parts, deadlines |
//! | `client` | a request's whole life: connections that are lost, and asking for the outcome |
//! | `check` | whether a status is as configured |
//! | `verdict` | what of any other answer is a failure |
//! | `show` | answers for people |
//! | `watch` | answers that stay up to date on a terminal |
//! | `json` | answers for programs |
//! | `interrupt` | Ctrl-C while something is waited for |
//! | `output` | standard output and error, progress, a reader that has gone |
//! | `exit_code` | the exit statuses |
//! | `problem` | why it ends without having done what it was asked |
//! | `run` | all of these in their order |
//!
//! Standard output carries the answer and nothing else, and is empty when the request failed. Where only some
//! of several things failed, it carries what was done, and standard error the rest.

mod check;
mod cli;
mod client;
mod completion;
mod connection;
mod exit_code;
mod interrupt;
mod json;
mod locate;
mod output;
mod problem;
mod run;
mod show;
mod verbs;
mod verdict;
mod watch;

pub use run::run;
