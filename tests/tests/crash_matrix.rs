//! Programs that are killed, stopped or exit at named steps of what they do, under load: in the end exactly what is
//! configured runs, and no line and no request is lost. The simulations play every cell; here the real programs play
//! some, in an order drawn from a seed (`CRASH_SEED` plays it again).

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tests::http::Load;
use tests::{Arbiter, Site, Status, processes, signal};

/// How long cells are played.
const LONG: Duration = Duration::from_secs(15);

const SHOP: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
    requires = ["db"]
    [companion.db]
    command = ["@companion@", "--ready-after", "0"]
    ready = "notify"
    start_seconds = 0
    [companion.app]
    command = ["@companion@"]
    count = 2
    ready = "started"
    start_seconds = 0
    restart_delay = 0.1
    after = ["db"]
    [companion.talk]
    command = ["sh", "-c", 'i=0; while :; do i=$((i+1)); echo $i of a flood of lines; [ $((i % 50)) = 0 ] && sleep 0.01; done']
    start_seconds = 0
    stop_group = true
    [companion.talk.log]
    file = "@site@/talk.log"
    max_size = "64KiB"
    keep = 10000
"#;

/// What makes a program come to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// It comes there by itself.
    Wait,
    Ctl(&'static [&'static str]),
    KillManager,
}

const RESTART: Deed = Deed::Ctl(&["--no-wait", "restart", "companion", "app"]);
const RELOAD: Deed = Deed::Ctl(&["--no-wait", "reload"]);
const UPGRADE: Deed = Deed::Ctl(&["--no-wait", "upgrade"]);

/// Steps of the manager and of processes on their way.
const COMPANIONS: [(&str, Deed); 10] = [
    ("spawn-before-letter", RESTART),
    ("spawn-after-letter", RESTART),
    ("spawn-before-exec", RESTART),
    ("manager-told", RESTART),
    ("manager-acted", RESTART),
    ("manager-adopting", Deed::KillManager),
    ("manager-adopted", Deed::KillManager),
    ("capture-before-splice", Deed::Wait),
    ("capture-after-splice", Deed::Wait),
    ("capture-renamed", Deed::Wait),
];
/// Steps of arbiter itself.
const ARBITER: [(&str, Deed); 3] =
    [("reload-commit", RELOAD), ("upgrade-before-exec", UPGRADE), ("upgrade-after-exec", UPGRADE)];
const KINDS: [&str; 3] = ["kill", "stop", "exit"];

/// Numbers from a seed: xorshift.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("it is below a usize")
    }
}

fn launch(site: &Site) -> Arbiter<'_> {
    let arbiter = site.launch_to_fail();
    wait_for_all(site, &arbiter);
    arbiter
}

/// Exactly what is configured runs, and nothing else.
fn wait_for_all(site: &Site, arbiter: &Arbiter<'_>) -> Status {
    let status = arbiter.wait_for_status("all to run", |status| {
        let runs = |name: &str, count: usize| {
            let companion = status.companion(name);
            companion.state == "RUNNING" && companion.pids().len() == count
        };
        status.state() == "running"
            && status.manager().is_some()
            && status.ready_workers().len() == 2
            && status.workers().len() == 2
            && (runs("db", 1) && runs("app", 2) && runs("talk", 1))
    });
    site.wait_for("nothing else to run", || {
        let running = site.processes();
        let number = |program: &str| running.iter().filter(|(_, line)| line.contains(program)).count();
        let numbers = [number("fake-worker"), number("fake-companion")];
        (numbers == [2, 3]).then_some(())
    });
    status
}

/// Lets a program come to `step` and fail there. A stopped one goes on as soon as it was seen.
fn play(site: &Site, arbiter: &Arbiter<'_>, (step, deed): (&str, Deed), kind: &str) {
    let manager = arbiter.status().manager();
    let file = site.fail_at(step, kind);
    let asker = match deed {
        Deed::Wait => None,
        Deed::KillManager => {
            processes::signal(manager.expect("all ran"), signal::KILL);
            None
        }
        Deed::Ctl(words) => {
            let mut command = site.ctl_command(words);
            Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be started"))
        }
    };
    site.wait_for(&format!("{step} to be reached"), || (!file.exists()).then_some(()));
    if kind == "stop" {
        let state = |pid: i32| sys::procfs::stat(pid).map(|stat| stat.state);
        let stopped = || site.processes().into_iter().find(|(pid, _)| state(*pid) == Some('T'));
        let (pid, _) = site.wait_for("a stopped process", stopped);
        processes::signal(pid, signal::CONT);
    }
    if let Some(mut asker) = asker {
        asker.wait().expect("it ends");
    }
}

/// Every line of the flood follows the one before, or is the first of another process.
fn check_flood(site: &Site) {
    let log = site.path("talk.log");
    let old = |age: u32| site.path(&format!("talk.log.{age}"));
    let ages: Vec<u32> = (1..).take_while(|&age| old(age).exists()).collect();
    let older = ages.into_iter().rev().map(old).chain([log]);
    let text: String = older.map(|file| fs::read_to_string(file).unwrap_or_default()).collect();
    let mut last = 0;
    for line in text.lines() {
        let number = line.strip_suffix(" of a flood of lines").and_then(|number| number.parse().ok());
        let number: u64 = number.unwrap_or_else(|| panic!("{line:?} is torn"));
        assert!(number == last + 1 || number == 1, "{number} follows {last}");
        last = number;
    }
    assert!(last > 0);
}

#[test]
fn whatever_fails_at_whichever_step_exactly_what_is_configured_runs_in_the_end() {
    let seed = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) + 1);
    println!("CRASH_SEED={seed}");
    let mut chance = Chance(seed);
    let site = Site::new(SHOP);
    let arbiter = launch(&site);
    let load = Load::start(&arbiter.status().address("http"), 2);
    let begun = Instant::now();
    let mut played = 0;
    while begun.elapsed() < LONG || played < 5 {
        let cell = chance.below(COMPANIONS.len() + ARBITER.len());
        // arbiter is only stopped here: no request is lost by that.
        let (cell, kind) = match ARBITER.get(cell) {
            Some(cell) => (*cell, "stop"),
            None => (COMPANIONS[cell - ARBITER.len()], KINDS[chance.below(KINDS.len())]),
        };
        println!("{cell:?} {kind}");
        play(&site, &arbiter, cell, kind);
        wait_for_all(&site, &arbiter);
        played += 1;
    }
    load.finish();
    assert_eq!(arbiter.stop(), 0);
    check_flood(&site);
}

#[test]
fn an_arbiter_that_dies_at_a_step_leaves_a_clean_start_to_the_next() {
    for (cell, kind) in ARBITER.into_iter().flat_map(|cell| ["kill", "exit"].map(|kind| (cell, kind))) {
        let site = Site::new(SHOP);
        let arbiter = launch(&site);
        play(&site, &arbiter, cell, kind);
        arbiter.expect_death();
        let next = launch(&site);
        assert_eq!(next.stop(), 0, "{cell:?} {kind}");
        check_flood(&site);
    }
}
