//! Whatever a foreign configuration says: it is refused with a reason, or becomes a text that our own reader
//! understands, and in which nothing is wrong but what the machine has not.
#![no_main]

use arbiter::config::{examine, imported};
use libfuzzer_sys::fuzz_target;
use proto::spec::Resolution;

/// What can be wrong with what was said, not with how it is said here: people and places that the machine has not,
/// addresses that are none, and files that are given to two.
const OF_THE_MACHINE: [&str; 29] = [
    "there is no user",
    "there is no group",
    "has no account",
    "'s number",
    "is not set",
    "does not exist",
    "cannot be used",
    "cannot be started",
    "cannot be read",
    "cannot be found",
    "cannot be connected to",
    "is not found in PATH",
    "may be executed",
    "is a directory",
    "is not a directory",
    "is not a file",
    "is not a port",
    "is not a host",
    "is not an address",
    "is not an IPv6 address",
    "has no port",
    "has no address",
    "has no path",
    "bytes at most",
    "at most are possible",
    "listened on already",
    "is taken by",
    ", too (at ",
    "placeholders are not filled in here",
];

fuzz_target!(|text: &str| {
    let Resolution::Print { stdout, stderr, code } = imported("Procfile", text) else {
        panic!("a foreign text is run")
    };
    if code != 0 {
        assert!(code == 2 && stdout.is_empty() && !stderr.is_empty(), "{code}: {stderr}");
        return;
    }
    let Resolution::Print { stderr, .. } = examine(&stdout, false) else { return };
    for message in stderr.strip_prefix("arbiter.toml:").unwrap_or(&stderr).split("\narbiter.toml:") {
        assert!(OF_THE_MACHINE.iter().any(|known| message.contains(known)), "{message}\n{stdout}");
    }
});
