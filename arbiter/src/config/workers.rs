//! `[workers]`.

use super::context::Context;
use super::diagnostic::{Fault, Place};
use super::process::{self, Defaults};
use super::quantity;
use super::section::{Found, Section};
use super::tree::{Data, Node};
use super::value::{self, Reading};
use proto::spec::{Heartbeat, MOST_PROCESSES, WorkersSpec};
use std::time::Duration;

/// Exit codes that already mean something else when arbiter ends with them.
const RESERVED: [u8; 3] = [2, 5, 6];

/// SIGABRT.
const ABRT: i32 = 6;

/// The workers, and where `requires` names which companion.
pub(crate) struct Read {
    /// The specification.
    pub(crate) spec: WorkersSpec,
    /// Names in `requires` with their places.
    pub(crate) requires: Vec<(String, Place)>,
}

/// Reads the table; `web_concurrency` is the default of `count`.
pub(crate) fn read(
    section: &Section<'_>,
    defaults: &Defaults,
    has_listeners: bool,
    web_concurrency: Option<&Node>,
    context: &Context<'_>,
) -> Read {
    let stop = process::read_stop(section, "graceful_timeout", 30);
    let start = process::read_start(section, has_listeners, false);
    let requires = section.words("requires");
    let spec = WorkersSpec {
        process: process::read(section, "[workers]", defaults, context),
        count: read_count(section, web_concurrency, context),
        ready: start.ready,
        start_seconds: start.seconds,
        start_timeout: start.timeout,
        timeout: section.value_or("timeout", Duration::from_secs(30), quantity::duration),
        heartbeat: section.value_or("heartbeat", Heartbeat::Auto, heartbeat),
        stop,
        quick_stop_signal: section
            .value("quick_stop_signal", value::signal_or_none)
            .flatten()
            .unwrap_or(stop.signal),
        abort_signal: section.value_or("abort_signal", ABRT, value::signal),
        abort_timeout: section.value_or("abort_timeout", Duration::from_secs(1), quantity::duration),
        reopen_signal: section.value("reopen_signal", value::signal_or_none).flatten(),
        recycle: process::read_recycle(section),
        reload_batch: section
            .value_or("reload_batch", 0, |node| value::integer(node, 0..=i64::from(u32::MAX))),
        requires: requires.iter().map(|(name, _)| name.clone()).collect(),
        halt_exit_codes: section.value_or("halt_exit_codes", vec![3, 4], halt_exit_codes),
    };
    if spec.heartbeat == Heartbeat::Required && spec.timeout.is_zero() {
        let fault = Fault::new("a heartbeat is required, but timeout = 0 turns it off")
            .help("set a timeout, or heartbeat = \"off\"");
        section.contradiction(&["heartbeat"], fault);
    }
    Read { spec, requires }
}

fn read_count(section: &Section<'_>, web_concurrency: Option<&Node>, context: &Context<'_>) -> u32 {
    if let Some(Found { value, .. }) = section.read("count", count) {
        return value;
    }
    let Some(node) = web_concurrency.filter(|_| !section.has("count")) else { return 1 };
    match count(node) {
        Ok(count) => count,
        Err(fault) => {
            context.diagnostics.report(node.place, fault);
            1
        }
    }
}

/// A number of workers, or `"cpus"`: what affinity and the cgroup's quota leave to this process.
fn count(node: &Node) -> Reading<u32> {
    match &node.data {
        Data::Text(text) if text == "cpus" => {
            let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            Ok(u32::try_from(cpus).unwrap_or(1))
        }
        Data::Text(text) if text.parse::<i64>().is_err() => {
            Err(Fault::new(format!("\"{text}\" is neither a number of workers nor \"cpus\""))
                .suggest(text, ["cpus"]))
        }
        Data::Text(_) | Data::Integer(_) => value::integer(node, 1..=i64::from(MOST_PROCESSES)),
        _ => Err(value::wrong_type("a number of workers or \"cpus\"", node)),
    }
}

fn heartbeat(node: &Node) -> Reading<Heartbeat> {
    value::choice(
        node,
        &[("auto", Heartbeat::Auto), ("required", Heartbeat::Required), ("off", Heartbeat::Off)],
    )
}

fn halt_exit_codes(node: &Node) -> Reading<Vec<u8>> {
    value::exit_codes(node, |item| {
        let code = value::integer(item, 1..=255)?;
        if RESERVED.contains(&code) {
            let fault = Fault::new(format!("{code} means something else as an exit status of arbiter"));
            return Err(fault.help("use 1 to 255 except 2, 5 and 6"));
        }
        Ok(code)
    })
}
