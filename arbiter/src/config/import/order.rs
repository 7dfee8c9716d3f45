//! Start orders by number, as `after` and `requires`.

use super::plan::Program;

/// Lets every companion come after those of the rank before its own. Without different ranks nothing comes after
/// anything.
pub(super) fn apply(programs: &mut [Program]) {
    let levels = levels(programs);
    for program in programs.iter_mut().filter(|program| !program.is_workers) {
        for name in before(&levels, program.rank) {
            if !program.after.contains(name) {
                program.after.push(name.clone());
            }
        }
    }
}

/// What the workers come after.
pub(super) fn required(workers: &Program, programs: &[Program]) -> Vec<String> {
    let levels = levels(programs);
    workers.after.iter().chain(before(&levels, workers.rank)).cloned().collect()
}

fn before(levels: &[(i64, Vec<String>)], rank: i64) -> &[String] {
    levels.iter().rfind(|(earlier, _)| *earlier < rank).map_or(&[], |(_, names)| names)
}

/// The companions that start by themselves, by rank.
fn levels(programs: &[Program]) -> Vec<(i64, Vec<String>)> {
    let mut levels: Vec<(i64, Vec<String>)> = Vec::new();
    for program in programs.iter().filter(|program| !program.is_workers && program.starts()) {
        match levels.iter_mut().find(|(rank, _)| *rank == program.rank) {
            Some((_, names)) => names.push(program.name.clone()),
            None => levels.push((program.rank, vec![program.name.clone()])),
        }
    }
    levels.sort_by_key(|(rank, _)| *rank);
    levels
}
