//! What is wrong is said before anything starts: where, what, and what to do.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use tests::{Output, Site};

/// Runs with this configuration and expects exit status 2; what was said.
#[track_caller]
fn refused(text: &str) -> (Site, String) {
    let site = Site::new(text);
    let output = site.run(&["-c", "arbiter.toml"]);
    assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{output:?}");
    (site, output.stderr)
}

#[test]
fn a_malformed_file_is_shown_with_its_line_and_a_caret() {
    let (_site, said) = refused("name = \"web\"\n[workers\ncommand = [\"true\"]\n");
    assert!(said.contains("arbiter.toml:2:"), "{said}");
    assert!(said.lines().any(|line| line.contains("[workers")), "{said}");
    assert!(said.lines().any(|line| line.trim_matches([' ', '|']).starts_with('^')), "{said}");
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_one() {
    let (_site, said) = refused("[workers]\ncommand = [\"sleep\", \"1\"]\ngraceful_timeuot = 3\n");
    assert!(said.contains("arbiter.toml:3:1"), "{said}");
    assert!(said.contains("graceful_timeuot") && said.contains("graceful_timeout"), "{said}");
}

#[test]
fn all_errors_are_told_at_once() {
    let (_site, said) = refused(
        "nmae = \"x\"\n[workers]\ncommand = [\"sleep\"]\ncount = 0\nstop_signal = \"TURM\"\n[companion.a]\nafter = [\"b\"]\n",
    );
    for place in
        ["arbiter.toml:1:", "arbiter.toml:4:", "arbiter.toml:5:", "arbiter.toml:6:", "arbiter.toml:7:"]
    {
        assert!(said.contains(place), "{place} in {said}");
    }
}

#[test]
fn a_missing_program_is_named() {
    let (_site, said) = refused("[workers]\ncommand = [\"no-such-program-anywhere\", \"--port\"]\n");
    assert!(said.contains("no-such-program-anywhere") && said.contains("arbiter.toml:2:"), "{said}");
}

#[test]
fn a_program_that_is_not_executable_is_named() {
    let site = Site::new("[workers]\ncommand = [\"@site@/arbiter.toml\"]\n");
    let output = site.run(&["-c", "arbiter.toml"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("may be executed"), "{output:?}");
}

#[test]
fn a_script_whose_interpreter_is_missing_is_told_from_one_that_is_missing_itself() {
    let site = Site::new("[workers]\ncommand = [\"@site@/server\"]\n");
    for (line, named) in [("#!/opt/moved/bin/python -u\n", "python\""), ("#! /bin/sh\r\n", "/bin/sh\\r\"")] {
        site.write("server", line);
        std::fs::set_permissions(site.path("server"), PermissionsExt::from_mode(0o755)).unwrap();
        let output = site.run(&["-c", "arbiter.toml"]);
        assert_eq!(output.code, 2, "{output:?}");
        let told = format!("{named}, which does not exist");
        assert!(output.stderr.contains(&told) && output.stderr.contains("/server\" names"), "{output:?}");
    }
    site.write("server", "#!/bin/sh\nexit 0\n");
    assert_eq!(site.run(&["-c", "arbiter.toml", "--check-config"]).code, 0);
}

#[test]
fn a_missing_directory_of_the_workers_is_named() {
    let (_site, said) = refused("[workers]\ncommand = [\"sleep\", \"1\"]\ncwd = \"@site@/nowhere\"\n");
    assert!(said.contains("nowhere") && said.contains("arbiter.toml:3:"), "{said}");
}

#[test]
fn a_missing_directory_of_the_log_is_named() {
    let (_site, said) = refused("[log]\nfile = \"@site@/nowhere/arbiter.log\"\n");
    assert!(said.contains("nowhere"), "{said}");
}

#[test]
fn an_unknown_user_is_named() {
    let (_site, said) = refused("user = \"nosuchuser\"\n[workers]\ncommand = [\"sleep\", \"1\"]\n");
    assert!(said.contains("nosuchuser") && said.contains("arbiter.toml:1:"), "{said}");
}

#[test]
fn a_circle_of_companions_is_shown() {
    let (_site, said) = refused(
        "[companion.a]\ncommand = [\"true\"]\nafter = [\"b\"]\n[companion.b]\ncommand = [\"true\"]\nafter = [\"a\"]\n",
    );
    assert!(said.contains("a after b after a"), "{said}");
}

#[test]
fn an_address_in_use_is_named_and_ends_with_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let site = Site::new("");
    let output = site.run(&["-b", &address, "--", "@worker@"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{output:?}");
    assert!(output.stderr.contains(&address) && output.stderr.contains("in use"), "{output:?}");
}

#[test]
fn a_missing_file_and_an_unknown_flag_are_bad_usage() {
    let site = Site::new("");
    let missing = site.run(&["-c", "nowhere.toml"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.stderr.contains("nowhere.toml"), "{missing:?}");
    let unknown = site.run(&["--wrokers", "3"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("--workers"), "{unknown:?}");
    let negative = site.run(&["-w", "-1", "--", "sleep", "1"]);
    assert_eq!(negative.code, 2, "{negative:?}");
    assert!(negative.stderr.contains("-w"), "the flag is named: {negative:?}");
}

#[test]
fn check_config_says_ok_or_everything_that_is_wrong() {
    let site = Site::new("[workers]\ncommand = [\"@worker@\"]\n");
    let good = site.run(&["-c", "arbiter.toml", "--check-config"]);
    assert_eq!((good.code, good.stderr.as_str()), (0, ""), "{good:?}");
    assert!(good.stdout.ends_with("arbiter.toml: ok\n"), "{good:?}");
    site.configure("nmae = \"x\"\n[workers]\ncommand = [\"@worker@\"]\ncuont = 1\n");
    let bad = site.run(&["-c", "arbiter.toml", "--check-config"]);
    assert_eq!((bad.code, bad.stdout.as_str()), (2, ""), "{bad:?}");
    assert!(bad.stderr.contains("arbiter.toml:1:1") && bad.stderr.contains("arbiter.toml:4:1"), "{bad:?}");
}

#[test]
fn what_is_missing_of_a_companion_is_told_by_check_config() {
    let site = Site::new("[companion.a]\ncommand = [\"no-such-program-anywhere\"]\n");
    let output = site.run(&["-c", "arbiter.toml", "--check-config"]);
    assert!(output.stderr.contains("no-such-program-anywhere"), "{output:?}");
}

#[test]
fn the_printed_configuration_can_be_fed_back() {
    let site = Site::new(
        r#"
        name = "web"
        env = { A = "with \"quotes\" and {braces}" }
        [[listener]]
        address = "127.0.0.1:0"
        [[listener]]
        name = "local"
        address = "unix:@site@/app.sock"
        mode = "0600"
        [workers]
        command = "@worker@ --fd {http}"
        count = 2
        graceful_timeout = "1m 30s"
        requires = ["redis"]
        [companion.redis]
        command = ["@companion@"]
        [companion."batch.job"]
        command = ["@companion@"]
        after = ["redis"]
        ready = "exit"
        limits = { nofile = "100:200" }
        "#,
    );
    let print = |name: &str| -> Output {
        let output = site.run(&["-c", name, "--print-config"]);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
        output
    };
    let first = print("arbiter.toml").stdout;
    site.write("printed.toml", &first);
    assert_eq!(print("printed.toml").stdout, first);
    for part in ["graceful_timeout", "start_timeout", "[companion.redis]", "\"batch.job\""] {
        assert!(first.contains(part), "{part} in {first}");
    }
}

#[test]
fn the_control_sockets_directory_has_to_exist_where_it_is_given() {
    let site = Site::new("[control]\nsocket = \"@site@/nowhere/c.sock\"\n");
    let output = site.run(&["-c", "arbiter.toml"]);
    assert!([1, 2].contains(&output.code), "{output:?}");
    assert!(output.stderr.contains("nowhere"), "{output:?}");
}

#[test]
fn without_anything_to_read_the_way_out_is_told() {
    let site = Site::new("");
    site.remove("arbiter.toml");
    let output = site.run(&[]);
    if std::path::Path::new("/etc/arbiter/arbiter.toml").exists() {
        return;
    }
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("arbiter.toml"), "{output:?}");
}
