//! Where a process failed on its way to exec, and how that is said.

use crate::errno::text;

/// A step between clone and exec. The codes travel between processes and are never given a new meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Session,
    Announce,
    Descriptors,
    Umask,
    Nice,
    OomScore,
    /// With the number of the resource.
    Limit(u32),
    Groups,
    Gid,
    Uid,
    Directory,
    NoNewPrivileges,
    ParentDeath,
    SignalMask,
    Execute,
    Output,
    /// Opening or reading the file of variables.
    EnvFile,
    /// Executing the launcher, or what it was told.
    Launcher,
    /// A variable that a placeholder names is not set. In the place of an error number: which one of the
    /// specification's.
    Variable,
    /// A code of a newer program.
    Unknown(u32),
}

/// Codes from here on are limits: this plus the resource's number.
const LIMITS: u32 = 256;

impl Stage {
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Session => 1,
            Self::Announce => 2,
            Self::Descriptors => 3,
            Self::Umask => 4,
            Self::Nice => 5,
            Self::OomScore => 6,
            Self::Groups => 7,
            Self::Gid => 8,
            Self::Uid => 9,
            Self::Directory => 10,
            Self::NoNewPrivileges => 11,
            Self::ParentDeath => 12,
            Self::SignalMask => 13,
            Self::Execute => 14,
            Self::Output => 15,
            Self::EnvFile => 16,
            Self::Launcher => 17,
            Self::Variable => 18,
            Self::Limit(resource) => LIMITS.saturating_add(resource),
            Self::Unknown(code) => code,
        }
    }

    #[must_use]
    pub fn from_code(code: u32) -> Self {
        match code {
            1 => Self::Session,
            2 => Self::Announce,
            3 => Self::Descriptors,
            4 => Self::Umask,
            5 => Self::Nice,
            6 => Self::OomScore,
            7 => Self::Groups,
            8 => Self::Gid,
            9 => Self::Uid,
            10 => Self::Directory,
            11 => Self::NoNewPrivileges,
            12 => Self::ParentDeath,
            13 => Self::SignalMask,
            14 => Self::Execute,
            15 => Self::Output,
            16 => Self::EnvFile,
            17 => Self::Launcher,
            18 => Self::Variable,
            LIMITS..=0xffff => Self::Limit(code - LIMITS),
            code => Self::Unknown(code),
        }
    }
}

/// Why a process did not reach its exec: the step and the system's error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpawnFailure {
    pub stage: Stage,
    pub errno: i32,
}

impl SpawnFailure {
    /// The reason as a person wants it: `cannot execute /opt/x: No such file or directory`.
    #[must_use]
    pub fn describe(&self, program: &str, cwd: Option<&str>) -> String {
        let reason = match self.needs() {
            Some(needs) => format!("{} ({needs})", text(self.errno)),
            None => text(self.errno).to_owned(),
        };
        match self.stage {
            Stage::Session => format!("cannot start {program}: cannot begin a session: {reason}"),
            Stage::Announce => format!("cannot start {program}: cannot tell the master of it: {reason}"),
            Stage::Descriptors => format!("cannot start {program}: cannot place its descriptors: {reason}"),
            Stage::Umask => format!("cannot start {program}: cannot set umask: {reason}"),
            Stage::Nice => format!("cannot start {program}: cannot set nice: {reason}"),
            Stage::OomScore => format!("cannot start {program}: cannot set oom_score_adj: {reason}"),
            Stage::Limit(resource) => match crate::limits::name(resource) {
                Some(name) => format!("cannot start {program}: cannot set limits.{name}: {reason}"),
                None => format!("cannot start {program}: cannot set limit number {resource}: {reason}"),
            },
            Stage::Groups => format!("cannot start {program}: cannot set its groups: {reason}"),
            Stage::Gid => format!("cannot start {program}: cannot change to its group: {reason}"),
            Stage::Uid => format!("cannot start {program}: cannot change to its user: {reason}"),
            Stage::Directory => {
                format!("cannot change to the directory {}: {reason}", cwd.unwrap_or("of the program"))
            }
            Stage::NoNewPrivileges => {
                format!("cannot start {program}: cannot set no_new_privileges: {reason}")
            }
            Stage::ParentDeath => format!("cannot start {program}: its parent is gone: {reason}"),
            Stage::SignalMask => format!("cannot start {program}: cannot empty the signal mask: {reason}"),
            Stage::Output => format!("cannot start {program}: cannot open the file for its output: {reason}"),
            Stage::EnvFile => format!("cannot start {program}: cannot read its env_file: {reason}"),
            Stage::Launcher => format!(
                "cannot start {program}: the supervisor's own program, which reads its env_file, cannot be executed as its user: {reason}"
            ),
            Stage::Variable => {
                format!("cannot start {program}: a variable that a placeholder names is not set")
            }
            Stage::Execute => format!("cannot execute {program}: {reason}"),
            Stage::Unknown(code) => format!("cannot start {program}: step {code} failed: {reason}"),
        }
    }

    /// Which capability was missing, where that is why.
    fn needs(self) -> Option<&'static str> {
        if !matches!(self.errno, libc::EPERM | libc::EACCES) {
            return None;
        }
        match self.stage {
            Stage::Nice => Some("a value below arbiter's own needs CAP_SYS_NICE"),
            Stage::OomScore => Some("a value below arbiter's own needs CAP_SYS_RESOURCE"),
            Stage::Groups | Stage::Gid => Some("arbiter needs CAP_SETGID for that, as root has it"),
            Stage::Uid => Some("arbiter needs CAP_SETUID for that, as root has it"),
            _ => None,
        }
    }
}

/// How far a started process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpawnProgress {
    /// Still between clone and exec.
    Pending,
    /// The exec was done, or the process was killed on its way there: then its exit tells.
    Executed,
    Failed(SpawnFailure),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_means_the_stage_it_came_from() {
        for code in (0..20).chain([255, 256, 263, 300, 0xffff, 0x1_0000, u32::MAX]) {
            assert_eq!(Stage::from_code(code).code(), code);
        }
        assert_eq!(Stage::from_code(Stage::Limit(7).code()), Stage::Limit(7));
    }

    #[test]
    fn a_failure_names_the_object_and_the_reason() {
        let failure = |stage, errno| SpawnFailure { stage, errno };
        assert_eq!(
            failure(Stage::Execute, libc::ENOENT).describe("/opt/x", None),
            "cannot execute /opt/x: No such file or directory"
        );
        assert_eq!(
            failure(Stage::Directory, libc::EACCES).describe("/opt/x", Some("/srv/a")),
            "cannot change to the directory /srv/a: Permission denied"
        );
        assert_eq!(
            failure(Stage::Limit(libc::RLIMIT_NOFILE), libc::EPERM).describe("x", None),
            "cannot start x: cannot set limits.nofile: Operation not permitted"
        );
        assert_eq!(
            failure(Stage::Nice, libc::EACCES).describe("x", None),
            "cannot start x: cannot set nice: Permission denied (a value below arbiter's own needs CAP_SYS_NICE)"
        );
        assert_eq!(
            failure(Stage::Groups, libc::EPERM).describe("x", None),
            "cannot start x: cannot set its groups: Operation not permitted (arbiter needs CAP_SETGID for that, as root has it)"
        );
        assert_eq!(
            failure(Stage::Groups, libc::ENOMEM).describe("x", None),
            "cannot start x: cannot set its groups: Out of memory"
        );
    }
}
