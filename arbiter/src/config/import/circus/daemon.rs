//! `[circus]` and `[plugin:x]`.

use super::expand::{Expansion, When};
use crate::config::import::World;
use crate::config::import::ini::Section;
use crate::config::import::plan::Plan;
use crate::config::import::reading::Reading;
use proto::written::string;

/// Its levels and ours.
const LEVELS: [(&str, &str); 5] =
    [("debug", "debug"), ("info", "info"), ("warning", "warn"), ("error", "error"), ("critical", "error")];

/// What is decided by arbiter itself.
const NEEDLESS: [&str; 10] = [
    "check_delay",
    "include",
    "include_dir",
    "stream_backend",
    "statsd_close_outputs",
    "httpd_close_outputs",
    "httpd_host",
    "httpd_port",
    "ssh_server",
    "statsd_host",
];

/// Reads `[circus]`.
pub(super) fn read(section: &Section, world: &World<'_>, plan: &mut Plan) {
    let mut reading = Reading::of(section);
    let expansion = Expansion { env: &[], socket: &|_| None, world };
    let mut notes = Vec::new();
    let mut text = |reading: &mut Reading<'_>, key: &str| {
        let value = reading.take(key)?;
        Some(expansion.expand(value, When::Now, &mut notes).trim().to_owned())
    };
    plan.pidfile = text(&mut reading, "pidfile");
    let file = text(&mut reading, "logoutput").filter(|file| !matches!(file.as_str(), "-" | "" | "stdout"));
    let level = text(&mut reading, "loglevel").map(|level| level.to_ascii_lowercase());
    plan.umask = reading.mode("umask");
    if let Some(file) = file {
        plan.log.1.push(("file", string(&file)));
        plan.log
            .0
            .push("arbiter does not rotate its own log: let logrotate do it, and send USR1 then".to_owned());
    }
    match level.as_deref().map(|level| LEVELS.iter().find(|(known, _)| *known == level)) {
        Some(Some((_, "info"))) | None => {}
        Some(Some((_, ours))) => plan.log.1.push(("level", string(ours))),
        Some(None) => notes.push("loglevel: its value is not known".to_owned()),
    }
    reading.pass_over(&NEEDLESS);
    let no = ["false", "0", "no", "off"];
    let endpoints = ["endpoint", "pubsub_endpoint", "stats_endpoint", "multicast_endpoint", "host"];
    let endpoints = endpoints.iter().filter_map(|key| Some(format!("{key} = {}", reading.take(key)?)));
    let endpoints: Vec<String> = endpoints.collect();
    if !endpoints.is_empty() {
        notes.push(format!(
            "{}: nothing listens on the network; arbiterctl speaks over a Unix socket: status, events, stats",
            endpoints.join(", ")
        ));
    }
    reading.without_unless("statsd", &no, "arbiterctl stats measures when it is asked");
    reading.without_unless("httpd", &no, "there is no web page; arbiterctl status --watch shows what runs");
    reading.without_unless("debug", &no, "[log] level = \"debug\"");
    reading.without_unless("warmup_delay", &["0"], "what has to come later says so: after = [\"NAME\"]");
    reading.without("endpoint_owner", "[control] allow_users lets others in");
    reading.without("loggerconfig", "[log] has level, format and file");
    reading.without("proc_name", "name is what process titles show");
    reading.without("papa_endpoint", "arbiter holds its sockets itself");
    plan.notes.extend(notes.into_iter().chain(reading.finish()).map(|note| format!("[circus] {note}")));
}

/// Says what there is in place of a plugin.
pub(super) fn read_plugin(section: &Section, plan: &mut Plan) {
    let class = section.get("use").unwrap_or("nothing");
    let instead = match class.rsplit('.').next().unwrap_or_default() {
        "Flapping" => {
            "companions that keep failing are tried ever less often by themselves; flapping = { attempts, window, \
             retry_in, max_retry } in a companion gives it up, with the same four numbers"
        }
        "ResourceWatcher" => "memory_max replaces what has become too big; arbiterctl stats shows the rest",
        "WatchDog" => "watchdog = SECONDS in a companion, which says WATCHDOG=1 (sd_notify) as often",
        "StatsdEmitter" | "FullStats" => "what arbiterctl stats --json prints can be sent on",
        "CommandReloader" => "what looks for changed files can call arbiterctl reload",
        "RedisObserver" => "a check in `health` of the companion",
        _ => {
            "there are no plugins; commands at events are [hooks], and arbiterctl events --json is a stream of them"
        }
    };
    let others = section.entries.iter().filter(|entry| !entry.key.eq_ignore_ascii_case("use"));
    let others = others.map(|entry| format!(", {} = {}", entry.key, entry.value)).collect::<String>();
    plan.rest.push(format!("[{}] use = {class}{others}: {instead}", section.name));
}
