//! Those who come and go: loaded companions, extra processes, questions, what is said to streams, readers of events.

use crate::companions::Asked;
use crate::stage::Stage;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use tests::Dice;

const EXTRA: &str = r#"
    [companion.extra]
    command = ["@companion@", "--alone", "@site@"]
    ready = "started"
    start_seconds = 0
    count = 2
    restart_delay = 0.1
"#;

/// What is to be of the loaded companion, and how many extra processes were asked for.
pub(crate) struct Guests {
    loaded: Option<bool>,
    runs: usize,
}

impl Guests {
    pub(crate) fn hand_over(self, asked: &mut Asked) {
        asked.runs += self.runs;
        if let Some(is_up) = self.loaded {
            asked.companions.insert("extra".into(), (is_up, 2));
        }
    }
}

pub(crate) fn come_and_go(stage: &Stage<'_>, mut dice: Dice) -> Guests {
    stage.site.write("extra.toml", &stage.site.expand(EXTRA));
    let mut guests = Guests { loaded: None, runs: 0 };
    while stage.goes_on(&mut dice, 300) {
        match (dice.roll(8), guests.loaded) {
            (0..=2, _) => {
                guests.runs += 1;
                let words = ["run", "companion", "rq", "--", "--exit-after", "0.05"];
                // It may be on its way to stop.
                stage.ask_once(&words, &[0, 1]);
            }
            (3, _) => {
                guests.runs += 1;
                let words = ["run", "companion", "rq", "--wait", "--", "--exit-after", "0.05"];
                // A stop of the companion ends it before.
                stage.ask_once(&words, &[0, 1]);
            }
            (4, None) => {
                stage.ask(&["load", "extra.toml"], &[0]);
                guests.loaded = Some(true);
            }
            (4, Some(_)) => {
                stage.ask(&["unload", "companion", "extra"], &[0]);
                guests.loaded = None;
            }
            (5, Some(is_up)) => {
                let verb = if is_up { "stop" } else { "start" };
                stage.ask(&[verb, "companion", "extra"], &[0]);
                guests.loaded = Some(!is_up);
            }
            (6, Some(_)) => drop(stage.ask(&["load", "extra.toml"], &[1])),
            (_, None) => drop(stage.ask(&["unload", "companion", "extra"], &[4])),
            (_, Some(_)) => drop(stage.ask(&["load", "extra.toml", "--replace"], &[0])),
        }
    }
    guests
}

/// Questions are always answered.
pub(crate) fn ask(stage: &Stage<'_>, mut dice: Dice) {
    let questions: [&[&str]; 10] = [
        &["status"],
        &["ping"],
        &["version"],
        &["pid"],
        &["stats"],
        &["info", "companion", "rq"],
        &["logs", "companion", "flood", "-n", "20"],
        &["recv", "companion", "echo", "--stream", "talk"],
        &["wait", "companion", "redis", "ready"],
        &["pid", "redis"],
    ];
    while stage.goes_on(&mut dice, 100) {
        let words = dice.pick(&questions);
        // One that has been restarted may not be ready, and then has no process.
        let allowed: &[i32] = if words == ["pid", "redis"] { &[0, 1] } else { &[0] };
        stage.ask(words, allowed);
    }
}

/// Says numbered lines to one that says them again; all that was said, and whether that is known to have arrived.
pub(crate) fn talk(stage: &Stage<'_>, mut dice: Dice) -> Vec<(String, bool)> {
    let mut said = Vec::new();
    for number in 0.. {
        if !stage.goes_on(&mut dice, 150) {
            break;
        }
        let line = format!("line {number}");
        let output = stage.ask_once(&["send", "companion", "echo", &line, "--stream", "talk"], &[0]);
        said.push((line + "\n", output.code == 0));
    }
    said
}

/// What arbiterctl tells of events until the end.
pub(crate) fn read_events(stage: &Stage<'_>) -> Vec<serde_json::Value> {
    let mut command = stage.site.ctl_command(&["--json", "events"]);
    let mut reader = command.stdout(Stdio::piped()).spawn().expect("arbiterctl can be started");
    let lines = BufReader::new(reader.stdout.take().expect("it is piped")).lines();
    let collect = std::thread::spawn(move || {
        let lines = lines.map_while(Result::ok);
        lines.map(|line| serde_json::from_str(&line).expect("JSON")).collect()
    });
    let mut dice = Dice::new(0);
    while stage.goes_on(&mut dice, 200) {}
    assert!(reader.try_wait().expect("it can be waited for").is_none(), "the reader of events has left");
    reader.kill().expect("it runs");
    reader.wait().expect("it ends");
    collect.join().expect("it does not panic")
}
