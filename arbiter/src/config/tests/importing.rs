//! Foreign files in, files of our own out: what is printed of each is kept beside it, and is good.
//!
//! `IMPORT_WRITE=1` writes what is printed anew.

use super::Place;
use std::path::{Path, PathBuf};

/// Where the samples are.
fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests/import")
}

/// A place with the sample and what it includes.
fn place(name: &str) -> Place {
    let mut place = Place::new();
    place.env.extend([("HOME", "/home/shop"), ("SHOP_QUEUE", "mail"), ("SHOP_SECONDS", "10")]);
    for file in [name, "conf.d/more.conf", "conf.d/more.ini"] {
        place.write(file, &std::fs::read_to_string(samples().join(file)).unwrap());
    }
    place
}

/// What is printed of a sample is what is kept of it, and nothing is wrong with it.
#[track_caller]
fn check(name: &str, place: &Place) {
    let (stdout, stderr, code) = place.printed(&["--import", name]);
    assert_eq!((stderr.as_str(), code), ("", 0));
    let kept = samples().join(format!("{name}.toml"));
    if std::env::var_os("IMPORT_WRITE").is_some() {
        std::fs::write(&kept, &stdout).unwrap();
    }
    assert_eq!(stdout, std::fs::read_to_string(kept).unwrap());
    place.write("a.toml", &stdout);
    let (stdout, stderr, code) = place.printed(&["-c", "a.toml", "--check-config"]);
    assert_eq!((stdout.as_str(), stderr.as_str(), code), ("a.toml: ok\n", "", 0));
}

#[test]
fn a_supervisord_conf_with_everything_in_it_becomes_a_good_file() {
    check("supervisord.conf", &place("supervisord.conf"));
}

#[test]
fn a_circus_ini_with_everything_in_it_becomes_a_good_file() {
    check("circus.ini", &place("circus.ini"));
}

#[test]
fn a_procfile_with_everything_in_it_becomes_a_good_file() {
    let place = place("Procfile");
    place.write(".env", "SHOP_SECONDS=10\n");
    check("Procfile", &place);
}

#[test]
fn what_is_nobodys_or_our_own_already_is_refused_with_advice() {
    let place = Place::with("[workers]\ncommand = \"./server\"\n");
    place.write("x.yml", "services:\n  web:\n    image: x\n");
    for (name, told) in [
        ("x.yml", "arbiter: x.yml is neither a supervisord.conf, a Procfile nor a circus.ini\n    help: "),
        ("a.toml", "arbiter: a.toml is arbiter's own already\n    help: start it: arbiter -c a.toml\n"),
        ("nowhere", "arbiter: nowhere cannot be read: No such file"),
    ] {
        let (stdout, stderr, code) = place.printed(&["--import", name]);
        assert_eq!((stdout.as_str(), code), ("", 2), "{name}");
        assert!(stderr.starts_with(told), "{stderr}");
    }
}

#[test]
fn every_line_that_cannot_be_read_is_told_at_once_also_in_what_is_included() {
    let place = Place::new();
    place.write("supervisord.conf", "[program:a]\ncommand = b\n{% if x %}\n[include]\nfiles = *.inc\n");
    place.write("x.inc", "command = c\n");
    place.write("Procfile", "web: a\nno name here\n");
    let told = |name| {
        let (stdout, stderr, code) = place.printed(&["--import", name]);
        assert_eq!((stdout.as_str(), code), ("", 2));
        stderr
    };
    let both = told("supervisord.conf");
    assert!(both.contains("supervisord.conf:3:1: this is neither a [section] nor"), "{both}");
    assert!(both.contains("DIR/x.inc:1:1: this is neither a [section] nor"), "{both}");
    assert!(told("Procfile").contains("Procfile:2:1: this is not NAME: COMMAND"));
}

#[test]
fn a_socket_file_whose_name_begins_with_an_at_stays_a_file() {
    let place = Place::new();
    place.write(
        "circus.ini",
        "[watcher:a]\ncmd = sleep 1\nuse_sockets = True\n[socket:s]\npath = @s\numask = 007\n",
    );
    place.write("supervisord.conf", "[fcgi-program:a]\ncommand = /bin/true\nsocket = unix://@s\n");
    for name in ["circus.ini", "supervisord.conf"] {
        let (stdout, _, code) = place.printed(&["--import", name]);
        assert_eq!((code, stdout.contains("\"unix:./@s\"")), (0, true), "{stdout}");
    }
}
