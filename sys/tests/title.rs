//! The process title, as /proc shows it. Alone in its program: no other thread may read what is written over.

use std::fs;

fn shown() -> String {
    let text =
        String::from_utf8(fs::read("/proc/self/cmdline").expect("/proc is there")).expect("it is text");
    text.trim_end_matches('\0').to_owned()
}

#[test]
fn the_title_is_shown_whole_however_little_room_the_arguments_had() {
    let room = fs::read("/proc/self/cmdline").expect("/proc is there").len();
    let variables: Vec<_> = std::env::vars_os().collect();
    let long = "x".repeat(room + 20);
    for title in
        ["sys: a title", &long, "sys: another", &long[..room], &long[..room - 1], &long[..room + 1], "s"]
    {
        sys::title::set(title);
        assert_eq!(shown(), title);
    }
    sys::title::set(&"y".repeat(1 << 22));
    assert!(shown().len() > long.len(), "cut to the room there is");
    assert!(shown().bytes().all(|byte| byte == b'y'));
    sys::title::set("done");
    assert_eq!(shown(), "done");
    assert_eq!(std::env::vars_os().collect::<Vec<_>>(), variables, "the environment is as it was");
}
