//! Which hook runs when, and what it is told, with a clock that is set by hand.

use arbiter::hooks::{AT_ONCE, Child, HookAction, Hooks, Occasion, WAITING_MAX};
use proto::link::CompanionChange;
use proto::spec::{HookEvent, HookSpec, ProcessSpec};
use std::time::Duration;
use supervise::{ExitStatus, Monotonic, RunId, State};

const SUCCESS: ExitStatus = ExitStatus::Code(0);
/// As long as every hook here may take.
const TIMEOUT: Duration = Duration::from_secs(10);

struct Bench {
    hooks: Hooks<u32>,
    now: Monotonic,
}

fn spec(event: HookEvent) -> HookSpec {
    let process = ProcessSpec { command: vec![event.name().into()], ..ProcessSpec::default() };
    HookSpec { event, process, timeout: TIMEOUT }
}

fn specs(events: &[HookEvent]) -> Vec<HookSpec> {
    events.iter().map(|event| spec(*event)).collect()
}

fn pre_fork(slot: u32) -> Occasion {
    Occasion::PreFork { slot, generation: 1 }
}

fn post_fork(pid: i32) -> Occasion {
    Occasion::PostFork { slot: 1, generation: 1, pid }
}

impl Bench {
    fn new(events: &[HookEvent]) -> Self {
        Self { hooks: Hooks::new(&specs(events)), now: Monotonic::from_boot(Duration::from_secs(1000)) }
    }

    fn post(&mut self, occasion: Occasion) {
        self.hooks.post(self.now, occasion);
    }

    fn ask(&mut self, occasion: Occasion, waiting: u32) {
        self.hooks.ask(self.now, occasion, waiting);
    }

    fn ended(&mut self, run: RunId, status: ExitStatus) {
        self.hooks.ended(self.now, run, status);
    }

    /// What is to be started now, all else being nothing.
    #[track_caller]
    fn started(&mut self) -> Vec<(RunId, Occasion)> {
        let actions = self.hooks.take_actions().into_iter();
        actions
            .map(|action| match action {
                HookAction::Start { run, spec, occasion, .. } => {
                    assert_eq!(spec.event, occasion.event());
                    (run, occasion)
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[track_caller]
    fn start_one(&mut self) -> RunId {
        let started = self.started();
        assert_eq!(started.len(), 1, "{started:?}");
        started[0].0
    }

    fn take(&mut self) -> Vec<HookAction<u32>> {
        self.hooks.take_actions()
    }
}

fn over(waiting: u32) -> HookAction<u32> {
    HookAction::Over { waiting, result: Ok(()) }
}

fn failed(waiting: u32, reason: &str) -> HookAction<u32> {
    HookAction::Over { waiting, result: Err(reason.into()) }
}

fn warning(text: &str) -> HookAction<u32> {
    HookAction::Warn(text.into())
}

#[test]
fn without_a_hook_nothing_happens_and_nobody_waits() {
    let mut bench = Bench::new(&[]);
    bench.post(post_fork(7));
    assert_eq!(bench.take(), []);
    bench.ask(Occasion::OnExit { code: 0 }, 1);
    assert_eq!(bench.take(), [over(1)]);
    assert!(bench.hooks.is_idle());
    assert_eq!(bench.hooks.next_deadline(), None);
}

#[test]
fn what_waits_for_a_hook_is_told_when_and_how_it_ended() {
    let mut bench = Bench::new(&[HookEvent::OnStarting, HookEvent::PreExec]);
    bench.ask(Occasion::OnStarting, 1);
    let run = bench.start_one();
    assert_eq!(bench.hooks.next_deadline(), Some(bench.now + TIMEOUT));
    bench.ended(run, SUCCESS);
    assert_eq!(bench.take(), [over(1)]);
    bench.ask(Occasion::PreExec, 2);
    let run = bench.start_one();
    bench.ended(run, ExitStatus::Code(3));
    assert_eq!(bench.take(), [failed(2, "the hook pre_exec exited with status 3")]);
    assert_eq!(bench.hooks.next_deadline(), None);
}

#[test]
fn a_hook_that_cannot_be_started_has_failed() {
    let mut bench = Bench::new(&[HookEvent::OnStarting, HookEvent::PostFork]);
    bench.ask(Occasion::OnStarting, 1);
    let run = bench.start_one();
    bench.hooks.not_started(bench.now, run, "no process is to be had");
    assert_eq!(bench.take(), [failed(1, "the hook on_starting cannot be started: no process is to be had")]);
    bench.post(post_fork(7));
    let run = bench.start_one();
    bench.hooks.not_executed(run, "tell: no such file".into());
    assert_eq!(bench.take(), []);
    bench.ended(run, ExitStatus::Code(127));
    assert_eq!(bench.take(), [warning("the hook post_fork cannot be started: tell: no such file")]);
}

#[test]
fn a_hook_that_takes_too_long_is_killed_and_nothing_waits_for_its_end() {
    let mut bench = Bench::new(&[HookEvent::PreFork]);
    bench.ask(pre_fork(1), 1);
    let run = bench.start_one();
    let almost = TIMEOUT.checked_sub(Duration::from_millis(1)).unwrap();
    bench.hooks.handle_deadlines(bench.now + almost);
    assert_eq!(bench.take(), []);
    bench.now = bench.now + TIMEOUT;
    bench.hooks.handle_deadlines(bench.now);
    let reason = "the hook pre_fork took longer than 10 s: killed";
    assert_eq!(bench.take(), [HookAction::Kill { run }, failed(1, reason)]);
    assert!(bench.hooks.is_idle());
    bench.ended(run, ExitStatus::Signal { number: 9, core_dumped: false });
    assert_eq!(bench.take(), [], "everything has been said");
}

#[test]
fn of_each_hook_one_runs_at_a_time_in_the_order_of_its_events() {
    let mut bench = Bench::new(&[HookEvent::PostFork, HookEvent::WhenReady]);
    for pid in [7, 8, 9] {
        bench.post(post_fork(pid));
    }
    bench.post(Occasion::WhenReady { workers: 3 });
    let started = bench.started();
    let occasions: Vec<_> = started.iter().map(|(_, occasion)| occasion.clone()).collect();
    assert_eq!(occasions, [post_fork(7), Occasion::WhenReady { workers: 3 }]);
    bench.ended(started[0].0, ExitStatus::Code(1));
    assert_eq!(bench.take()[0], warning("the hook post_fork exited with status 1"));
    bench.ended(started[1].0, SUCCESS);
    assert!(!bench.hooks.is_idle(), "the third still waits");
}

#[test]
fn at_most_eight_run_at_once_and_what_something_waits_for_goes_first() {
    let mut bench = Bench::new(&[HookEvent::PreFork, HookEvent::PostFork]);
    for slot in 1..=20 {
        bench.ask(pre_fork(slot), slot);
    }
    let first = bench.started();
    assert_eq!(first.len(), AT_ONCE);
    bench.post(post_fork(7));
    assert_eq!(bench.started(), []);
    let mut running: Vec<_> = first.into_iter().map(|(run, _)| run).collect();
    for slot in 9..=20 {
        bench.ended(running.remove(0), SUCCESS);
        let [HookAction::Over { .. }, HookAction::Start { run, occasion, .. }] = &bench.take()[..] else {
            panic!("one ends, another starts");
        };
        assert_eq!(*occasion, pre_fork(slot));
        running.push(*run);
    }
    bench.ended(running.remove(0), SUCCESS);
    assert!(
        matches!(&bench.take()[..], [_, HookAction::Start { occasion, .. }] if *occasion == post_fork(7))
    );
}

#[test]
fn a_hook_that_cannot_be_killed_does_not_keep_the_others_from_running() {
    let mut bench = Bench::new(&[HookEvent::PreFork]);
    for slot in 1..=9 {
        bench.ask(pre_fork(slot), slot);
    }
    assert_eq!(bench.started().len(), AT_ONCE);
    bench.now = bench.now + TIMEOUT;
    bench.hooks.handle_deadlines(bench.now);
    let actions = bench.take();
    assert!(matches!(actions.last(), Some(HookAction::Start { occasion, .. }) if *occasion == pre_fork(9)));
}

#[test]
fn events_that_find_no_room_are_dropped_which_is_said_once_and_counted() {
    let mut bench = Bench::new(&[HookEvent::PostFork]);
    bench.post(post_fork(0));
    let mut run = bench.start_one();
    for pid in 1..=i32::try_from(WAITING_MAX).unwrap() + 5 {
        bench.post(post_fork(pid));
    }
    assert_eq!(bench.take(), [warning("1024 events wait for their hooks: further ones are dropped")]);
    for pid in 1..=i32::try_from(WAITING_MAX).unwrap() {
        bench.ended(run, SUCCESS);
        let actions = bench.take();
        let Some(HookAction::Start { run: next, occasion, .. }) = actions.first() else {
            panic!("{actions:?}")
        };
        assert_eq!(*occasion, post_fork(pid));
        run = *next;
        let last = pid == i32::try_from(WAITING_MAX).unwrap();
        assert_eq!(actions.get(1), last.then(|| warning("events dropped, their hooks not run: 5")).as_ref());
    }
    bench.ended(run, SUCCESS);
    assert!(bench.hooks.is_idle());
}

#[test]
fn what_does_not_wait_any_more_is_not_told_and_its_hook_is_killed() {
    let mut bench = Bench::new(&[HookEvent::PreFork]);
    for slot in 1..=10 {
        bench.ask(pre_fork(slot), slot);
    }
    let started = bench.started();
    assert!(bench.hooks.cancel(bench.now, 10), "one that still waits for its turn");
    assert_eq!(bench.take(), []);
    assert!(bench.hooks.cancel(bench.now, 3), "one that runs");
    let run = started[2].0;
    let actions = bench.take();
    assert!(
        matches!(&actions[..], [HookAction::Kill { run: killed }, HookAction::Start { occasion, .. }]
            if *killed == run && *occasion == pre_fork(9)),
        "{actions:?}"
    );
    bench.ended(run, ExitStatus::Signal { number: 9, core_dumped: false });
    assert_eq!(bench.take(), []);
    assert!(!bench.hooks.cancel(bench.now, 3), "it is gone");
}

#[test]
fn another_configuration_changes_what_is_still_to_run() {
    let mut bench = Bench::new(&[HookEvent::PreFork, HookEvent::PostFork]);
    for slot in 1..=9 {
        bench.ask(pre_fork(slot), slot);
    }
    bench.post(post_fork(7));
    let run = bench.started()[0].0;
    bench.hooks.configure(bench.now, &specs(&[HookEvent::WhenReady]));
    assert_eq!(bench.take(), [over(9)], "what is gone holds nobody up");
    bench.ended(run, SUCCESS);
    assert_eq!(bench.take(), [over(1)], "what runs is waited for");
    bench.post(Occasion::WhenReady { workers: 1 });
    assert_eq!(bench.start_one(), RunId(run.0 + 8));
}

#[test]
fn given_up_everything_is_over_at_once() {
    let mut bench = Bench::new(&[HookEvent::PostFork, HookEvent::OnExit]);
    bench.post(post_fork(7));
    bench.post(post_fork(8));
    bench.ask(Occasion::OnExit { code: 0 }, 1);
    let started = bench.started();
    bench.hooks.give_up();
    let reason = "arbiter did not wait for it any longer";
    let expected = [
        warning("events never told to their hooks: 1"),
        HookAction::Kill { run: started[0].0 },
        warning(&format!("the hook post_fork {reason}")),
        HookAction::Kill { run: started[1].0 },
        failed(1, &format!("the hook on_exit {reason}")),
    ];
    assert_eq!(bench.take(), expected);
    assert!(bench.hooks.is_idle());
}

#[test]
fn a_hook_is_told_in_variables_and_in_a_line_of_json() {
    let wall = Duration::from_millis(1_767_225_600_500);
    let change = CompanionChange {
        name: "redis".into(),
        slot: 2,
        pid: None,
        before: State::Running,
        after: State::Backoff,
        reason: Some("it said \"no\"\0 at\nlast".into()),
    };
    let signal = ExitStatus::Signal { number: 9, core_dumped: false };
    let told = [
        (Occasion::OnStarting, "{\"event\":\"on_starting\",\"time\":\"2026-01-01T00:00:00.500Z\"}\n", ""),
        (
            Occasion::WorkerExit { slot: 3, generation: 2, pid: 77, status: ExitStatus::Code(1) },
            "{\"event\":\"worker_exit\",\"time\":\"2026-01-01T00:00:00.500Z\",\"slot\":3,\"generation\":2,\
             \"pid\":77,\"code\":1,\"signal\":null}\n",
            "SLOT=3 GENERATION=2 PID=77 CODE=1",
        ),
        (
            Occasion::ChildExit { child: Child::Stray, pid: 77, status: signal },
            "{\"event\":\"child_exit\",\"time\":\"2026-01-01T00:00:00.500Z\",\"child\":\"stray\",\"pid\":77,\
             \"code\":null,\"signal\":\"SIGKILL\"}\n",
            "CHILD=stray PID=77 SIGNAL=SIGKILL",
        ),
        (
            Occasion::CompanionEvent(change),
            "{\"event\":\"companion_event\",\"time\":\"2026-01-01T00:00:00.500Z\",\"companion\":\"redis\",\
             \"slot\":2,\"pid\":null,\"old\":\"RUNNING\",\"new\":\"BACKOFF\",\
             \"reason\":\"it said \\\"no\\\"\\u0000 at\\nlast\"}\n",
            "COMPANION=redis SLOT=2 OLD=RUNNING NEW=BACKOFF REASON=it said \"no\"\u{fffd} at\nlast",
        ),
    ];
    for (occasion, line, fields) in told {
        assert_eq!(occasion.json_line(wall), line);
        let variables = occasion.variables(wall);
        let text: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let named = format!("ARBITER_EVENT_NAME={}", occasion.event().name());
        assert_eq!(text[..2], [named, "ARBITER_EVENT_TIME=2026-01-01T00:00:00.500Z".into()]);
        assert_eq!(text[2..].join(" ").replace("ARBITER_EVENT_", ""), fields);
    }
}
