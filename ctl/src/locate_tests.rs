use super::*;
use std::os::unix::net::UnixListener;

/// A directory of its own for each test, removed with everything in it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("arbiterctl-locate-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            socket: None,
            runtime_directory: None,
            xdg_runtime_dir: None,
            uid: std::fs::metadata("/proc/self").ok().map(|metadata| metadata.uid()),
            run: self.0.join("run"),
            tmp: self.0.join("tmp"),
        }
    }

    fn socket(&self, directory: impl AsRef<Path>) -> PathBuf {
        let directory = self.0.join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_was_said_comes_first_and_in_this_order() {
    let place = Place::new("said");
    let mut surroundings = place.surroundings();
    surroundings.socket = Some("/from/environment.sock".into());
    let found = surroundings.locate(Some(Path::new("/said.sock")), None).unwrap();
    assert_eq!(found, Path::new("/said.sock"));
    let web = place.socket("run/web");
    assert_eq!(surroundings.locate(None, Some("web")), Ok(web));
    let found = surroundings.locate(None, None).unwrap();
    assert_eq!(found, Path::new("/from/environment.sock"));
}

#[test]
fn an_instance_is_a_name_and_not_a_path() {
    let surroundings = Place::new("instance").surroundings();
    for name in ["", ".", "..", "a/b", "/etc"] {
        let problem = surroundings.locate(None, Some(name)).unwrap_err();
        assert_eq!(problem.code, exit_code::USAGE, "{name}");
    }
}

#[test]
fn the_first_default_place_that_holds_a_socket_is_taken() {
    let place = Place::new("defaults");
    let mut surroundings = place.surroundings();
    let uid = surroundings.uid.unwrap();
    surroundings.runtime_directory = Some(place.0.join("service").into());
    surroundings.xdg_runtime_dir = Some(place.0.join("user").into());

    let last = place.socket("run");
    assert_eq!(surroundings.locate(None, None), Ok(last.clone()));
    if uid != 0 {
        let own = place.socket(format!("tmp/arbiter-{uid}"));
        assert_eq!(surroundings.locate(None, None), Ok(own));
    } else {
        std::fs::remove_file(&last).unwrap();
    }
    let user = place.socket("user/arbiter");
    assert_eq!(surroundings.locate(None, None), Ok(user));
    let service = place.socket("service");
    assert_eq!(surroundings.locate(None, None), Ok(service.clone()));

    std::fs::remove_file(&service).unwrap();
    std::fs::write(&service, "no socket").unwrap();
    assert_ne!(surroundings.locate(None, None), Ok(service), "a file is not a socket");
}

#[test]
fn a_directory_of_someone_else_under_tmp_is_not_trusted() {
    let place = Place::new("trap");
    let mut surroundings = place.surroundings();
    let uid = surroundings.uid.unwrap();
    let real = place.socket("elsewhere");
    std::fs::create_dir_all(place.0.join("tmp")).unwrap();
    std::os::unix::fs::symlink(real.parent().unwrap(), place.0.join(format!("tmp/arbiter-{uid}"))).unwrap();
    assert!(surroundings.locate(None, None).is_err(), "a symbolic link is not followed");

    let stranger = uid + 1;
    place.socket(format!("tmp/arbiter-{stranger}"));
    surroundings.uid = Some(stranger);
    assert!(surroundings.locate(None, None).is_err(), "the directory's owner is another user");
}

#[test]
fn where_nothing_is_found_every_place_tried_is_named_once() {
    let place = Place::new("nothing");
    let mut surroundings = place.surroundings();
    surroundings.uid = Some(0);
    let problem = surroundings.locate(None, None).unwrap_err();
    assert_eq!(problem.code, exit_code::NOTHING_LISTENS);
    let run = place.0.join("run/control.sock").display().to_string();
    assert_eq!(problem.message.matches(&run).count(), 1, "{}", problem.message);
    assert!(problem.message.contains("-s PATH"), "{}", problem.message);
}

#[test]
fn a_socket_that_may_not_be_opened_is_told_with_its_owner_and_mode() {
    let place = Place::new("denied");
    let path = place.socket("run");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let uid = place.surroundings().uid.unwrap();
    let problem = not_permitted(&path);
    assert_eq!(problem.code, exit_code::NOT_PERMITTED);
    for words in [path.display().to_string(), format!("it belongs to uid {uid} "), "mode 0640".into()] {
        assert!(problem.message.contains(&words), "{}", problem.message);
    }
}

#[test]
fn an_instance_that_is_not_there_is_told_with_those_that_are() {
    let place = Place::new("instances");
    let surroundings = place.surroundings();
    let told = |name| surroundings.locate(None, Some(name)).unwrap_err().message;
    assert!(told("web").contains("there is none at all: start arbiter"), "{}", told("web"));
    let web = place.socket("run/web");
    place.socket("run/api");
    assert_eq!(surroundings.locate(None, Some("web")), Ok(web));
    assert_eq!(surroundings.instances(), ["api", "web"]);
    assert!(told("wbe").contains("did you mean -i web?"), "{}", told("wbe"));
    assert!(told("other").contains("there are api, web"), "{}", told("other"));
}
