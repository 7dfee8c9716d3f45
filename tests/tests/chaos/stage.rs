//! What all actors share: the shop, what they are told, what they did.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tests::{Arbiter, Dice, Output, Site, Status, observe_for};

/// Nobody is given up, and nobody waits for long.
const SHOP: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@", "--exit-if", "@site@/broken"]
    env = { VARIANT = "@variant@" }
    count = 3
    requires = ["redis"]
    [companion.redis]
    command = ["@companion@", "--ready-after", "0", "--alone", "@site@"]
    ready = "notify"
    restart_delay = 0.1
    restart_delay_max = 0.5
    [companion.rq]
    command = ["@companion@", "--alone", "@site@", "--fork-child"]
    env = { VARIANT = "@variant@" }
    ready = "started"
    start_seconds = 0
    count = 3
    after = ["redis"]
    restart_delay = 0.1
    restart_delay_max = 0.5
    [companion."batch.clock"]
    command = ["@companion@", "--alone", "@site@"]
    ready = "started"
    start_seconds = 0.1
    listen = "unix:@site@/clock.sock"
    restart_delay = 0.1
    restart_delay_max = 0.5
    [companion.flood]
    command = ["@companion@", "--alone", "@site@", "--flood"]
    ready = "started"
    start_seconds = 0
    restart_delay = 0.1
    restart_delay_max = 0.5
    [companion.flood.log]
    file = "@site@/flood.log"
    max_size = "512KiB"
    keep = 10000
    [companion.echo]
    command = ["sh", "-c", "exec cat <&$ARBITER_STREAM_TALK >&$ARBITER_STREAM_TALK"]
    streams = ["talk"]
    ready = "started"
    start_seconds = 0
"#;
/// How many workers the configuration has.
pub(crate) const WORKERS: u64 = 3;
/// Who gives orders: each can lose one answer with a manager.
const ACTORS: usize = 4;
/// arbiterctl's exit status when nobody knows what became of an order.
const UNKNOWN: i32 = 8;
/// A question is not given up because there is no manager for some seconds.
const PATIENT: [&str; 2] = ["--timeout", "40"];

/// Starts arbiter with programs of its own, and waits until all runs.
pub(crate) fn launch(site: &Site) -> Arbiter<'_> {
    configure(site, 0);
    let mut command = site.marked(Command::new(site.path("bin/arbiter")));
    command.args(["-c", "arbiter.toml"]);
    let arbiter = site.launch_command(command);
    arbiter.wait_for_status("all to run", |status| {
        let companions = status.companions();
        let mut states = companions.iter().map(|name| status.companion(name).state);
        status.state() == "running" && companions.len() == 5 && states.all(|state| state == "RUNNING")
    });
    arbiter
}

/// Puts the shop's configuration in place at once: it may be read at any moment.
pub(crate) fn configure(site: &Site, variant: usize) {
    replace(site, &site.expand(&SHOP.replace("@variant@", &variant.to_string())));
}

/// One that cannot be read.
pub(crate) fn break_configuration(site: &Site) {
    replace(site, &site.expand(&(SHOP.to_owned() + "\nunknown = 1\n")));
}

fn replace(site: &Site, text: &str) {
    site.write("arbiter.toml.new", text);
    fs::rename(site.path("arbiter.toml.new"), site.path("arbiter.toml")).expect("a file can be renamed");
}

/// When a worker was killed: from before the signal until after it.
pub(crate) type Killed = (Instant, Instant);

/// What all actors share.
pub(crate) struct Stage<'s> {
    pub(crate) site: &'s Site,
    pub(crate) arbiter: i32,
    end: Instant,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    deeds: BTreeMap<String, usize>,
    unexpected: Vec<String>,
    killed: Vec<Killed>,
    managers_killed: usize,
    unknown: usize,
}

impl<'s> Stage<'s> {
    pub(crate) fn new(site: &'s Site, arbiter: i32, lasts: Duration) -> Self {
        Self { site, arbiter, end: Instant::now() + lasts, notes: Mutex::default() }
    }

    /// Lets some time pass, up to `most`; whether it goes on.
    pub(crate) fn goes_on(&self, dice: &mut Dice, most: u64) -> bool {
        let sides = usize::try_from(most).expect("a small number");
        observe_for(Duration::from_millis(dice.roll(sides) as u64));
        Instant::now() < self.end
    }

    pub(crate) fn status(&self) -> Option<Status> {
        let output = self.site.ctl(&[&PATIENT[..], &["--json", "status"]].concat());
        self.note(&["status"], &output, &[0]);
        (output.code == 0).then(|| Status::parse(&output.stdout))
    }

    /// Runs arbiterctl; its exit status has to be one of `allowed`, or 8: the manager has died with the request. An
    /// order that may be given twice is given again then, and may find that it was carried out.
    pub(crate) fn ask(&self, words: &[&str], allowed: &[i32]) -> Output {
        let output = self.ask_once(words, allowed);
        if output.code == UNKNOWN { self.ask(words, &[allowed, &[1, 4]].concat()) } else { output }
    }

    /// The same for an order that may not be given twice.
    pub(crate) fn ask_once(&self, words: &[&str], allowed: &[i32]) -> Output {
        let output = self.site.ctl(&[&PATIENT[..], words].concat());
        self.note(words, &output, &[allowed, &[UNKNOWN]].concat());
        if output.code == UNKNOWN {
            self.notes.lock().expect("nobody panics with it").unknown += 1;
        }
        output
    }

    /// Something else was done.
    pub(crate) fn did(&self, deed: &str) {
        *self.notes.lock().expect("nobody panics with it").deeds.entry(deed.to_owned()).or_default() += 1;
    }

    pub(crate) fn killed_worker(&self, killed: Killed) {
        self.notes.lock().expect("nobody panics with it").killed.push(killed);
    }

    pub(crate) fn killed_manager(&self) {
        self.notes.lock().expect("nobody panics with it").managers_killed += 1;
    }

    pub(crate) fn killed_workers(&self) -> Vec<Killed> {
        self.notes.lock().expect("nobody panics with it").killed.clone()
    }

    fn note(&self, words: &[&str], output: &Output, allowed: &[i32]) {
        let mut notes = self.notes.lock().expect("nobody panics with it");
        let verb = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        // Numbers would make each of them one of a kind.
        let reason: String = output.stderr.trim().chars().filter(|letter| !letter.is_ascii_digit()).collect();
        *notes.deeds.entry(format!("{verb} -> {} {reason}", output.code)).or_default() += 1;
        if !allowed.contains(&output.code) {
            let left = self.end.saturating_duration_since(Instant::now());
            notes.unexpected.push(format!("{left:?} before the end: {words:?}: {output:?}"));
        }
    }

    /// Prints what was done, how often, and what came of it.
    #[expect(clippy::print_stdout, reason = "whoever runs it wants to see what came of it")]
    pub(crate) fn report(&self) {
        let notes = self.notes.lock().expect("nobody panics with it");
        notes.deeds.iter().for_each(|(deed, count)| println!("{count:6} {deed}"));
        println!("{:6} answers lost with {} managers", notes.unknown, notes.managers_killed);
        println!("{:6} unexpected answers", notes.unexpected.len());
        notes.unexpected.iter().for_each(|answer| println!("unexpected: {answer}"));
    }

    pub(crate) fn assert_answered(&self) {
        let notes = self.notes.lock().expect("nobody panics with it");
        assert!(notes.unexpected.is_empty(), "{:#?}", notes.unexpected);
        // Each actor has one request under way.
        assert!(notes.unknown <= notes.managers_killed * ACTORS, "{} answers were lost", notes.unknown);
    }
}
