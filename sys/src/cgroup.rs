//! What the kernel's control groups tell about this process's own.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// More than such a file holds: a few short lines.
const CONTENT_MAX: usize = 1024;

/// How such a death is told.
pub const OUT_OF_MEMORY: &str = "out of memory";

/// Counts how many processes of this process's control group, and of those below it, the kernel has killed
/// because memory had run out.
#[derive(Debug)]
pub struct OutOfMemory {
    /// Where the count stands, held open: a death must be looked into with one system call. `None`: nobody tells.
    file: Option<File>,
    /// As of the last look.
    seen: u64,
    /// Deaths that were counted and that no process has been found for yet.
    unclaimed: u64,
}

impl OutOfMemory {
    /// Begins to count, for the group that this process is in now.
    #[must_use]
    pub fn watch() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut opened = candidates(&own).into_iter().filter_map(|path| File::open(path).ok());
        let file = opened.find(|file| count(file).is_some());
        let seen = file.as_ref().and_then(count).unwrap_or_default();
        Self { file, seen, unclaimed: 0 }
    }

    /// To be asked about a process that SIGKILL has ended and nobody knows why: whether the count has grown by one
    /// that no other process was found for. Of what cannot be known it says no.
    pub fn claims(&mut self) -> bool {
        let Some(now) = self.file.as_ref().and_then(count) else { return false };
        let grown = now.saturating_sub(self.seen);
        self.seen = now;
        // What nobody has asked for by the next death was somebody else's: a child's of a child.
        self.unclaimed = if grown > 0 { grown } else { self.unclaimed };
        let claimed = self.unclaimed > 0;
        self.unclaimed = self.unclaimed.saturating_sub(1);
        claimed
    }
}

/// The files that may hold the count, the likeliest first, by the content of `/proc/self/cgroup` (cgroups(7)): in the
/// unified hierarchy memory.events, and before it memory.oom_control, which has the same line. A container without a
/// namespace of control groups reads the path that its group has outside, and has the group itself mounted as the root.
fn candidates(own: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut roots = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            files.push(Path::new(MOUNT).join(path).join("memory.events"));
        } else if controllers.split(',').any(|controller| controller == "memory") {
            let mount = Path::new(MOUNT).join("memory");
            files.push(mount.join(path).join("memory.oom_control"));
            roots.push(mount.join("memory.oom_control"));
        }
    }
    files.extend(roots);
    files
}

fn count(file: &File) -> Option<u64> {
    let mut content = [0; CONTENT_MAX];
    let length = file.read_at(&mut content, 0).ok()?;
    parse(std::str::from_utf8(&content[..length]).ok()?)
}

fn parse(content: &str) -> Option<u64> {
    content.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = "low 0\nhigh 7\nmax 12\noom 3\noom_kill 2\noom_group_kill 9\n";

    #[test]
    fn the_count_is_found_among_the_others() {
        assert_eq!(parse(EVENTS), Some(2));
        assert_eq!(parse("oom_kill_disable 0\nunder_oom 1\noom_kill 5\n"), Some(5));
        for content in ["", "oom 1\n", "oom_kill x\n", "oom_kill_disable 1\n"] {
            assert_eq!(parse(content), None, "{content}");
        }
    }

    #[test]
    fn the_own_group_is_found_in_either_hierarchy() {
        let shown = |own| candidates(own).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let unified = shown("0::/system.slice/web.service\n");
        assert_eq!(unified, ["/sys/fs/cgroup/system.slice/web.service/memory.events"]);
        let older = shown("4:cpu,memory:/docker/a:b\n1:name=systemd:/\n0::/\n");
        let expected =
            ["/sys/fs/cgroup/memory/docker/a:b/memory.oom_control", "/sys/fs/cgroup/memory.events"];
        assert_eq!(older[..2], expected);
        assert!(shown("nonsense").is_empty());
    }

    #[test]
    fn in_a_container_that_is_told_its_group_by_the_name_outside_it_is_the_root_of_the_mount() {
        let shown = |own| candidates(own).pop().map(|path| path.display().to_string());
        let inside = shown("4:memory:/podman/shop\n1:name=systemd:/podman/shop\n0::/podman/shop\n");
        assert_eq!(inside.as_deref(), Some("/sys/fs/cgroup/memory/memory.oom_control"));
        assert_eq!(shown("0::/\n").as_deref(), Some("/sys/fs/cgroup/memory.events"));
    }

    #[test]
    fn each_counted_death_is_claimed_once() {
        let path = std::env::temp_dir().join(format!("sys-cgroup-{}", std::process::id()));
        let set = |count: u64| fs::write(&path, format!("oom_kill {count}\n")).unwrap();
        set(3);
        let mut watch = OutOfMemory { file: Some(File::open(&path).unwrap()), seen: 3, unclaimed: 0 };
        assert!(!watch.claims(), "the three were before");
        set(5);
        assert_eq!([watch.claims(), watch.claims(), watch.claims()], [true, true, false]);
        fs::remove_file(&path).unwrap();
        assert!(!OutOfMemory { file: None, seen: 0, unclaimed: 0 }.claims(), "nobody tells");
    }
}
