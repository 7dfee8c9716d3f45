//! What messages about a start need to know of it.

use proto::spec::ProcessSpec;
use proto::spec::template::{self, Piece, Unset};

use crate::errno::text;
use crate::spawn::{SpawnFailure, Stage};

/// A program and its directory, for messages about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// As in the command; placeholders are filled in as far as they are known.
    pub name: String,
    /// Where it was to run.
    pub cwd: String,
    /// Its file of variables, if it has one.
    pub env_file: String,
    /// The variables that its specification's placeholders name.
    pub variables: Vec<String>,
}

impl Program {
    /// The program of a specification as it is written, whose output goes to `files`.
    #[must_use]
    pub fn of<'a>(spec: &'a ProcessSpec, files: impl IntoIterator<Item = &'a str>) -> Self {
        let texts = spec.command.iter().map(String::as_str).chain([spec.cwd.as_str()]).chain(files);
        Self {
            name: spec.command.first().cloned().unwrap_or_default(),
            cwd: spec.cwd.clone(),
            env_file: spec.env_file.as_ref().map(|file| file.path.clone()).unwrap_or_default(),
            variables: texts.flat_map(variables).map(str::to_owned).collect(),
        }
    }

    /// Why its process did not reach its exec, as a person wants it.
    #[must_use]
    pub fn describe(&self, failure: SpawnFailure) -> String {
        let number = usize::try_from(failure.errno).ok();
        match failure.stage {
            Stage::EnvFile if failure.errno == libc::EILSEQ => {
                format!(
                    "cannot start {}: env_file {}: {}",
                    self.name,
                    self.env_file,
                    proto::spec::env_file::NotText
                )
            }
            Stage::EnvFile => {
                format!("cannot start {}: env_file {}: {}", self.name, self.env_file, text(failure.errno))
            }
            Stage::Variable => match number.and_then(|number| self.variables.get(number)) {
                Some(variable) => Unset { variable: variable.clone() }.to_string(),
                None => failure.describe(&self.name, None),
            },
            _ => failure.describe(&self.name, Some(&self.cwd)),
        }
    }
}

/// The variables that a text's placeholders name.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    template::pieces(text).filter_map(|piece| match piece {
        Piece::Placeholder(name) => name.strip_prefix("env."),
        Piece::Text(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::spec::EnvFile;

    #[test]
    fn what_a_launcher_fails_at_is_named() {
        let spec = ProcessSpec {
            command: vec!["serve".into(), "{env.A}{slot}{env.B}".into()],
            cwd: "{env.C}".into(),
            env_file: Some(EnvFile { path: "/x".into(), optional: false }),
            ..ProcessSpec::default()
        };
        let program = Program::of(&spec, ["{env.D}"]);
        let said = |stage, errno| program.describe(SpawnFailure { stage, errno });
        assert_eq!(
            said(Stage::EnvFile, libc::ENOENT),
            "cannot start serve: env_file /x: No such file or directory"
        );
        assert_eq!(
            said(Stage::EnvFile, libc::EILSEQ),
            "cannot start serve: env_file /x: it is not UTF-8 text without NUL bytes"
        );
        for (index, name) in (0..).zip(["A", "B", "C", "D"]) {
            let expected = format!("{{env.{name}}}: the environment variable {name} is not set");
            assert_eq!(said(Stage::Variable, index), expected);
        }
        assert!(said(Stage::Variable, 4).starts_with("cannot start serve: a variable"));
        assert_eq!(
            said(Stage::Directory, libc::ENOENT),
            "cannot change to the directory {env.C}: No such file or directory"
        );
    }
}
