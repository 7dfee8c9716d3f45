//! Where runtime files go when nothing is said of it, whatever is there already.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::{Output, PATIENCE, Site, installed};

/// Somebody's last resort, where others may have been first. It goes at the end.
struct LastResort {
    uid: u32,
    path: PathBuf,
}

impl LastResort {
    fn new() -> Self {
        let uid = 2_000_000_000 + std::process::id();
        Self { uid, path: format!("/tmp/arbiter-{uid}").into() }
    }

    fn clear(&self) {
        let _ = fs::remove_file(&self.path).or_else(|_| fs::remove_dir_all(&self.path));
    }
}

impl Drop for LastResort {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What makes it, and what is said of that.
type Trap<'a> = (&'a dyn Fn(&Path), &'static str);

/// arbiter, run by `uid` without any runtime directory, until its only worker has ended it.
fn run_as(site: &Site, uid: u32) -> Output {
    let uid = uid.to_string();
    let mut command = site.marked(Command::new("setpriv"));
    command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]);
    command.arg(site.path("bin/arbiter")).args(["-c", "arbiter.toml"]);
    command.env_remove("RUNTIME_DIRECTORY").env_remove("XDG_RUNTIME_DIR");
    Output::of(command, PATIENCE)
}

/// With the control socket the sockets of the children had no place either, and nothing could be started.
#[test]
fn a_last_resort_that_cannot_be_trusted_costs_the_control_socket_and_nothing_else() {
    if !tests::is_root() {
        return;
    }
    let site = Site::new(
        "[workers]\ncommand = [\"sh\", \"-c\", \"test -w $NOTIFY_SOCKET && exit 3\"]\nready = \"notify\"\n",
    );
    fs::set_permissions(site.path(""), Permissions::from_mode(0o755)).unwrap();
    installed::install(&site);
    let place = LastResort::new();
    let open = |path: &Path| {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        chown(path, Some(place.uid), Some(place.uid)).unwrap();
    };
    let traps: [Trap<'_>; 4] = [
        (&|path| fs::write(path, "").unwrap(), "is not a directory"),
        (&|path| symlink("/tmp", path).unwrap(), "is not a directory"),
        (&|path| fs::create_dir(path).unwrap(), "belongs to user 0"),
        (&open, "has mode 0777 instead of 0700"),
    ];
    for (lay, expected) in traps {
        place.clear();
        lay(&place.path);
        let output = run_as(&site, place.uid);
        assert_eq!(output.code, 3, "{output:?}");
        let warning = format!("no control socket: {} {expected}", place.path.display());
        assert!(output.stderr.contains(&warning), "{expected}: {output:?}");
    }
    place.clear();
    let output = run_as(&site, place.uid);
    assert_eq!((output.code, output.stderr.contains("no control socket")), (3, false), "{output:?}");
}

/// Such a worker was told of a socket that it could not get at, and never became ready.
#[test]
fn children_of_other_users_get_at_their_notify_sockets_wherever_runtime_files_go() {
    if !tests::is_root() {
        return;
    }
    let site = Site::new(
        "[workers]\ncommand = [\"sh\", \"-c\", \"test -w $NOTIFY_SOCKET && exit 3; exit 4\"]\nready = \"notify\"\n\
         user = \"nobody\"\ncwd = \"/\"\n",
    );
    fs::set_permissions(site.path("run"), Permissions::from_mode(0o700)).unwrap();
    let output = site.run(&["-c", "arbiter.toml"]);
    assert_eq!(output.code, 3, "{output:?}");
}
