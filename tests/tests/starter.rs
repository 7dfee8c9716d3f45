//! The file that `--init` writes.

use tests::Site;

#[test]
fn it_can_be_started_as_it_is_and_is_not_written_over_anything() {
    let site = Site::new("");
    site.remove("arbiter.toml");
    let output = site.run(&["--init"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    assert!(
        output.stdout.starts_with("wrote arbiter.toml; ") && output.stdout.ends_with(": arbiter\n"),
        "{output:?}"
    );
    let written = std::fs::read_to_string(site.path("arbiter.toml")).unwrap();
    let again = site.run(&["--init"]);
    assert_eq!((again.code, again.stdout.as_str()), (1, ""), "{again:?}");
    assert!(again.stderr.contains("arbiter.toml exists and is left as it is"), "{again:?}");
    assert_eq!(std::fs::read_to_string(site.path("arbiter.toml")).unwrap(), written);

    // Its port may be somebody's here.
    assert_eq!(written.matches("127.0.0.1:8000").count(), 1);
    site.write("arbiter.toml", &written.replace("127.0.0.1:8000", "127.0.0.1:0"));
    let arbiter = site.start();
    assert_eq!(arbiter.wait_until_running().worker_pids().len(), 1);
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn it_is_written_where_it_is_asked_for_or_the_reason_is_told() {
    let site = Site::new("");
    let output = site.run(&["--init", "-c", "other.toml"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.ends_with(": arbiter -c other.toml\n"), "{output:?}");
    assert_eq!(site.run(&["-c", "other.toml", "--check-config"]).code, 0);
    let output = site.run(&["--init", "-c", "nowhere/other.toml"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{output:?}");
    assert!(output.stderr.contains("nowhere/other.toml cannot be written: No such file"), "{output:?}");
}
