//! An HTTP worker to try arbiter with, and a clock for it to ask.
//!
//! `demo-worker` answers HTTP/1.1 on the listeners it is given; `demo-worker --clock ADDRESS` is a
//! companion that tells the seconds since its start to whoever connects. Both show all that
//! a program can do with what arbiter offers: take the listeners by `LISTEN_FDS`, say
//! `READY=1`, beat with `WATCHDOG=1`, and at TERM finish what has been accepted.

mod clock;
mod http;
mod listeners;
mod notify;
mod server;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => http::Hello::from_environment().and_then(|hello| server::run(listeners::take()?, hello)),
        ["--clock", address] => {
            listeners::open(address).and_then(|listeners| server::run(listeners, clock::Clock::start()))
        }
        _ => Err("usage: demo-worker [--clock IP:PORT]".to_owned()),
    };
    outcome.map_or_else(server::report, |()| ExitCode::SUCCESS)
}
