//! What has to be true in the end.
#![expect(clippy::print_stdout, reason = "whoever runs it wants to see what came of it")]

use crate::companions::Asked;
use crate::stage::{Stage, WORKERS, configure};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;
use tests::traffic::{Exchange, Fate, tally};
use tests::{Arbiter, PATIENCE, Site, Status, What, processes, wait_for};

/// How much later than the signal a killed worker may be seen to be gone.
const SEEN: Duration = Duration::from_millis(100);

/// How many descriptors of each kind a process has.
type Kinds = BTreeMap<String, usize>;

fn kinds(pid: i32) -> Kinds {
    let bound = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    // Num RefCount Protocol Flags Type St Inode Path
    let columns = bound.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let paths: BTreeMap<&str, &str> = columns.filter_map(|it| Some((*it.get(6)?, *it.get(7)?))).collect();
    let mut kinds = Kinds::new();
    for what in processes::descriptors(pid).into_values() {
        let inode = what.strip_prefix("socket:[").map(|rest| rest.trim_end_matches(']'));
        let path = inode.and_then(|inode| paths.get(inode)).copied().unwrap_or_default();
        let kind = what.split([':', '(']).next().unwrap_or_default();
        // The kernel has made up the names that begin so.
        let path = if path.starts_with('@') { "@" } else { path };
        let kind = format!("{kind} {path}").chars().filter(|letter| !letter.is_ascii_digit()).collect();
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

/// The descriptors of both daemons, when nothing happens.
pub(crate) fn at_rest(arbiter: &Arbiter<'_>) -> [Kinds; 2] {
    // Once in the way that it will be in: the programs of before stay open beside those of now.
    arbiter.done(&["upgrade"]);
    settled(arbiter, |_| true, |_| String::new())
}

/// Waits until they are so in two looks; what they are.
fn settled(
    arbiter: &Arbiter<'_>,
    is: impl Fn(&[Kinds; 2]) -> bool,
    seen: impl Fn(&[Kinds; 2]) -> String,
) -> [Kinds; 2] {
    let last = RefCell::new(None);
    let shown = || last.borrow().as_ref().map(&seen).unwrap_or_default();
    wait_for("the descriptors to be as they were", PATIENCE, shown, || {
        let manager = arbiter.try_status()?.manager()?;
        let now = [kinds(arbiter.pid()), kinds(manager)];
        let before = last.borrow_mut().replace(now.clone());
        // No client is still connected: not even the one that has just asked.
        let control = now[1].iter().filter(|(kind, _)| kind.ends_with("control.sock"));
        let is_alone = control.map(|(_, count)| count).sum::<usize>() == 1;
        (is_alone && before.as_ref() == Some(&now) && is(&now)).then_some(now)
    })
}

/// How two differ.
fn difference(before: &Kinds, now: &Kinds) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let count = |kinds: &Kinds, name: &String| kinds.get(name).copied().unwrap_or_default();
    let changed = names.into_iter().filter(|name| count(before, name) != count(now, name));
    changed.map(|name| format!("{name}: {} before, {} now", count(before, name), count(now, name))).collect()
}

/// Exactly what was asked for runs, and nobody else.
pub(crate) fn of_the_end(stage: &Stage<'_>, arbiter: &Arbiter<'_>, asked: &Asked) {
    let is_as_asked = |status: &Status| {
        let names: BTreeSet<String> = status.companions().into_iter().collect();
        let each = |(name, (is_up, count)): (&String, &(bool, u64))| {
            let one = status.companion(name);
            let is_running = match (is_up, count) {
                (true, 1..) => one.state == "RUNNING",
                _ => one.state == "STOPPED",
            };
            let living = if *is_up { usize::try_from(*count).expect("a few") } else { 0 };
            is_running && one.target == *count && one.pids().len() == living
        };
        let workers = status.workers();
        status.state() == "running"
            && status.manager().is_some()
            && names.iter().eq(asked.companions.keys())
            && asked.companions.iter().all(each)
            && workers.len() as u64 == status.target()
            && status.ready_workers().len() == workers.len()
    };
    println!("{asked:?}");
    arbiter.wait_for_status("all to be as asked for", is_as_asked);
    stage.site.wait_for("nobody to run whom the status does not know", || {
        let status = arbiter.try_status()?;
        let mut known: BTreeSet<i32> = status.worker_pids().into_iter().collect();
        known.extend(status.companions().iter().flat_map(|name| status.companion(name).pids()));
        known.extend([arbiter.pid()].into_iter().chain(status.manager()));
        let is_known = |pid: i32| {
            known.contains(&pid) || sys::procfs::stat(pid).is_some_and(|stat| known.contains(&stat.pgrp))
        };
        let all = stage.site.processes().into_iter().all(|(pid, _)| is_known(pid));
        (all && status.0["strays"] == serde_json::json!([])).then_some(())
    });
    stage.site.wait_for("every zombie to be reaped", || {
        let manager = arbiter.try_status()?.manager()?;
        let children = [arbiter.pid(), manager].into_iter().flat_map(sys::procfs::children_of);
        (!children.into_iter().any(processes::is_zombie)).then_some(())
    });
}

/// All that was said to a stream came back, once and in order; what is not known to have arrived may have.
pub(crate) fn of_talk(arbiter: &Arbiter<'_>, said: &[(String, bool)]) {
    let all: usize = said.iter().map(|(line, _)| line.len()).sum();
    arbiter.wait_for_status("all that was said to come back", |_| {
        let heard = arbiter.done(&["recv", "companion", "echo", "--stream", "talk"]).stdout;
        // Only the last 64 KiB are kept, and those may begin in the middle of a line.
        let begins_whole = all <= 64 << 10;
        let mut lines = heard.split_inclusive('\n').skip(usize::from(!begins_whole)).peekable();
        let first = lines.peek().map(|line| (*line).to_owned());
        let kept = said.iter().skip_while(|(line, _)| !begins_whole && first.as_ref() != Some(line));
        kept.into_iter().all(|(line, is_sure)| lines.next_if_eq(&line.as_str()).is_some() || !is_sure)
            && lines.next().is_none()
            && (first.is_some() || !said.iter().any(|(_, is_sure)| *is_sure))
    });
}

/// No request was lost that was not with a worker when that was killed.
pub(crate) fn of_requests(stage: &Stage<'_>, exchanges: &[Exchange]) {
    println!("requests: {:?}", tally(exchanges));
    let killed = stage.killed_workers();
    let is_excused = |lost: &&Exchange| {
        let cut_off = matches!(lost.fate, Fate::Reset | Fate::Empty | Fate::Short);
        let end = lost.begun + lost.took;
        let was_killed = |(before, after): &(_, _)| lost.begun <= *after + SEEN && end >= *before;
        cut_off && killed.iter().any(was_killed)
    };
    let lost: Vec<&Exchange> = exchanges.iter().filter(|one| one.fate != Fate::Good).collect();
    let unexcused: Vec<_> = lost.into_iter().filter(|one| !is_excused(one)).collect();
    assert!(unexcused.is_empty(), "{} requests were lost: {unexcused:#?}", unexcused.len());
    assert!(exchanges.len() > 100, "there was traffic");
}

/// With the configured set again both daemons have open what they had.
pub(crate) fn of_rest(site: &Site, arbiter: &Arbiter<'_>, before: &[Kinds; 2]) {
    configure(site, 0);
    if arbiter.status().companions().contains(&"extra".to_owned()) {
        arbiter.done(&["unload", "companion", "extra"]);
    }
    arbiter.done(&["scale", "workers", &WORKERS.to_string()]);
    arbiter.done(&["scale", "companion", "rq", "3"]);
    arbiter.done(&["start", "companion", "*"]);
    arbiter.done(&["reload"]);
    arbiter.done(&["upgrade"]);
    let shown = |now: &[Kinds; 2]| {
        let [arbiter, manager] = [0, 1].map(|daemon| difference(&before[daemon], &now[daemon]));
        format!("arbiter: {arbiter:#?}\nmanager: {manager:#?}")
    };
    settled(arbiter, |now| now == before, shown);
}

/// Each number was told, or marked as lost.
pub(crate) fn of_events(told: &[serde_json::Value]) {
    println!("events: {}", told.len());
    let mut next = None;
    for event in told {
        let seq = event["seq"].as_u64().expect("it is numbered");
        if event["event"] == "lost" {
            next = next.map(|next| next + event["count"].as_u64().expect("so many"));
            continue;
        }
        assert!(next.is_none_or(|next| next == seq), "{next:?} was left out: {event}");
        next = Some(seq + 1);
    }
    assert!(next.is_some(), "something was told");
}

/// Nobody lived beside another of its slot, and no extra process was started twice.
pub(crate) fn of_processes(site: &Site, asked: &Asked) {
    let events = site.events();
    let twice: Vec<_> = events.iter().filter(|event| event.what == What::Twice).collect();
    assert!(twice.is_empty(), "there were two at once: {twice:?}");
    let extra = events.iter().filter(|event| event.what == What::Started && event.slot == 0);
    let (extra, runs) = (extra.filter(|event| event.name == "rq").count(), asked.runs);
    println!("extra processes: {extra} of {runs}");
    assert!(extra <= runs, "{extra} extra processes where {runs} were asked for");
}

/// Every captured line is there once and whole.
pub(crate) fn of_lines(site: &Site) {
    let path = |age: u32| {
        let name = if age == 0 { "flood.log".into() } else { format!("flood.log.{age}") };
        site.path(&name)
    };
    let oldest = (1..).take_while(|&age| path(age).exists()).last().unwrap_or(0);
    let mut writers: BTreeMap<String, (u64, bool)> = BTreeMap::new();
    let mut lines = 0usize;
    for age in (0..=oldest).rev() {
        let file: PathBuf = path(age);
        for line in BufReader::new(File::open(&file).expect("it is there")).lines() {
            let line = line.expect("it is text");
            lines += 1;
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            let [writer, number, rest] = words[..] else { panic!("{file:?} has a torn line: {line:?}") };
            let known = writers.entry(writer.to_owned()).or_default();
            let next = (known.0 + 1).to_string();
            assert!(number == next && !known.1, "{file:?}: {line:?} where {writer} {next} should be");
            assert!(["of a flood", "last"].contains(&rest), "{file:?} has a torn line: {line:?}");
            *known = (known.0 + 1, rest == "last");
        }
    }
    println!("captured: {lines} lines of {} processes in {} files", writers.len(), oldest + 1);
    // Who left in good order has said its last.
    let done: BTreeSet<&str> = writers
        .iter()
        .filter(|(_, known)| known.1)
        .filter_map(|(writer, _)| writer.split('-').next())
        .collect();
    for event in site.events().iter().filter(|event| event.what == What::Leaves && event.name == "flood") {
        assert!(done.contains(event.pid.to_string().as_str()), "the last line of {} is lost", event.pid);
    }
}
