//! Files that several write their output to. Each can be kept in one way only, and what is rotated nobody may have
//! open.

use super::super::context::absolute;
use super::plan::{Log, Program, Target};
use std::collections::BTreeMap;
use std::path::Path;

/// How a file is kept.
struct Way {
    max_size: u64,
    keep: u32,
    timestamps: bool,
}

/// Lets all companions keep the same file in the same way: as the first that says how, and without limit where
/// somebody has it open. Relative paths begin at `directory`.
pub(super) fn agree(programs: &mut [Program], directory: &Path) {
    let path = |program: &Program, file: &str| absolute(directory, &file.replace("{name}", &program.name));
    let mut ways: BTreeMap<String, Way> = BTreeMap::new();
    for program in programs.iter() {
        let Some(log) = &program.output.log else { continue };
        let Log { max_size, keep, timestamps, .. } = *log;
        ways.entry(path(program, &log.file)).or_insert(Way { max_size, keep, timestamps });
    }
    for program in programs.iter() {
        let output = &program.output;
        for target in [Some(&output.stdout), output.stderr.as_ref()].into_iter().flatten() {
            let Target::File(file) = target else { continue };
            if let Some(way) = ways.get_mut(&path(program, file)) {
                way.max_size = 0;
            }
        }
    }
    for program in programs.iter_mut() {
        let Some(way) = program.output.log.as_ref().and_then(|log| ways.get(&path(program, &log.file)))
        else {
            continue;
        };
        let Some(log) = &mut program.output.log else { continue };
        let agreed = Log {
            file: log.file.clone(),
            max_size: way.max_size,
            keep: way.keep,
            timestamps: way.timestamps,
        };
        if *log != agreed {
            program.notes.push(format!(
                "others write to {} too, and a file can be kept in one way only: as the first one says, and not \
                 rotated where somebody has it open",
                log.file
            ));
            *log = agreed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::import::plan::Output;

    fn program(name: &str, stdout: Target, log: Option<u64>) -> Program {
        let log = log.map(|max_size| Log { file: "/x".into(), max_size, keep: 1, timestamps: false });
        Program { name: name.into(), output: Output { stdout, stderr: None, log }, ..Program::default() }
    }

    #[test]
    fn a_file_is_kept_as_the_first_says_and_without_limit_where_it_is_open() {
        let size = |program: &Program| program.output.log.as_ref().map(|log| log.max_size);
        let mut two = vec![program("a", Target::Capture, Some(5)), program("b", Target::Capture, Some(7))];
        agree(&mut two, Path::new("/"));
        assert_eq!(
            two.iter().map(|one| (size(one), one.notes.len())).collect::<Vec<_>>(),
            [(Some(5), 0), (Some(5), 1)]
        );
        let mut two =
            vec![program("a", Target::Capture, Some(5)), program("b", Target::File("/x".into()), None)];
        agree(&mut two, Path::new("/"));
        assert_eq!((size(&two[0]), two[0].notes.len()), (Some(0), 1));
    }

    #[test]
    fn a_file_that_is_named_in_two_ways_is_one_file() {
        let open = program("b", Target::File("./x".into()), None);
        let mut two = vec![program("a", Target::Capture, Some(5)), open];
        agree(&mut two, Path::new("/"));
        assert_eq!(two[0].output.log.as_ref().map(|log| log.max_size), Some(0));
    }
}
