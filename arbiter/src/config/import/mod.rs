//! `--import`: the configuration of another program, in our words.
//!
//! `kind` tells whose a text is. `supervisord`, `circus` and `procfile` read it into a `plan`; `ini` and `reading` are
//! what the first two share, `shell` is what a Procfile's commands need. `write` makes an `arbiter.toml` of the plan,
//! with a comment for each thing that has no counterpart. All of it is texts in, text out; `files` alone reads.
//!
//! What runs is to run as before: so nothing but what shares a socket already becomes `[workers]`. What could be
//! better is a comment (`hints`).

mod circus;
mod files;
mod hints;
mod ini;
mod kind;
mod logs;
mod names;
mod order;
mod plan;
mod procfile;
mod reading;
mod shell;
mod supervisord;
mod write;

use super::context::Environment;
use super::diagnostic::{Diagnostics, Fault, Place, Sources};
use super::{Input, exit};
use files::{Beside, Files, Nowhere, Text};
use ini::{Dialect, Ini};
use kind::Kind;
use proto::spec::Resolution;
use std::path::Path;

/// What surrounds a text.
struct World<'a> {
    /// The directory of its file, absolute.
    directory: &'a str,
    /// The environment that it is read in.
    env: &'a Environment,
    /// What it may include.
    files: &'a dyn Files,
}

/// Prints the file at `path` as an `arbiter.toml`.
pub(super) fn import(path: &Path, input: &Input) -> Resolution {
    let name = path.display().to_string();
    let text = match files::read(&input.cwd.join(path), &name) {
        Ok(text) => text,
        Err(wrong) => {
            return exit::failure(
                format!("arbiter: {wrong}\n    help: check the path\n"),
                exit::BAD_CONFIGURATION,
            );
        }
    };
    let absolute = super::context::absolute(&input.cwd, &name);
    let directory = Path::new(&absolute).parent().unwrap_or(Path::new("/"));
    let files = Beside { directory: directory.to_owned() };
    let world = World { directory: &directory.to_string_lossy(), env: &input.env, files: &files };
    convert(text, &world)
}

/// What a text of the name `name` says, as an `arbiter.toml`. Nothing is known of the machine: no environment, no
/// file that it includes. Any text may be given.
#[must_use]
pub fn imported(name: &str, text: &str) -> Resolution {
    let world = World { directory: "/", env: &Environment::new(), files: &Nowhere };
    convert(Text { name: name.to_owned(), text: text.to_owned() }, &world)
}

fn convert(text: Text, world: &World<'_>) -> Resolution {
    let (mut sources, diagnostics) = (Sources::default(), Diagnostics::default());
    let name = text.name.clone();
    let mut plan = match kind::of(&text.name, &text.text) {
        Some(Kind::Supervisord) => {
            let ini = read_ini(
                text,
                world,
                supervisord::DIALECT,
                supervisord::included,
                &mut sources,
                &diagnostics,
            );
            supervisord::plan(&ini, world)
        }
        Some(Kind::Circus) => {
            let ini = read_ini(text, world, circus::DIALECT, circus::included, &mut sources, &diagnostics);
            circus::plan(&ini, world)
        }
        Some(Kind::Procfile) => {
            let source = sources.add_file(text.name, text.text.clone());
            refuse_nul(&text.text, source, &diagnostics);
            procfile::plan(&text.text, source, world, &diagnostics)
        }
        Some(Kind::Own) => {
            let told =
                format!("arbiter: {name} is arbiter's own already\n    help: start it: arbiter -c {name}\n");
            return exit::failure(told, exit::BAD_CONFIGURATION);
        }
        None => {
            let told = format!(
                "arbiter: {name} is neither a supervisord.conf, a Procfile nor a circus.ini\n    help: there is no \
                 [program:NAME], no [watcher:NAME] and no NAME: COMMAND in it; begin with arbiter --init\n"
            );
            return exit::failure(told, exit::BAD_CONFIGURATION);
        }
    };
    let errors = diagnostics.render_errors(&sources, true);
    if !errors.is_empty() {
        return exit::failure(errors, exit::BAD_CONFIGURATION);
    }
    logs::agree(&mut plan.programs, Path::new(world.directory));
    exit::success(write::write(plan, &name), String::new())
}

/// A file and what it includes; those cannot include others.
fn read_ini(
    text: Text,
    world: &World<'_>,
    dialect: Dialect,
    included: fn(&Ini, &World<'_>) -> Vec<String>,
    sources: &mut Sources,
    diagnostics: &Diagnostics,
) -> Ini {
    let mut ini = Ini::default();
    let mut add = |Text { name, text }: Text, ini: &mut Ini| {
        let source = sources.add_file(name, text.clone());
        refuse_nul(&text, source, diagnostics);
        ini.add(&text, source, dialect, diagnostics);
    };
    add(text, &mut ini);
    for pattern in included(&ini, world) {
        match world.files.matching(&pattern) {
            Ok(files) => files.into_iter().for_each(|file| add(file, &mut ini)),
            Err(wrong) => diagnostics.error_anywhere(Fault::new(wrong).help("check what the file includes")),
        }
    }
    ini
}

/// No value can hold one.
fn refuse_nul(text: &str, source: usize, diagnostics: &Diagnostics) {
    if let Some(at) = text.find('\0') {
        diagnostics.error(Place::new(source, at..at + 1), "a NUL character cannot be used here");
    }
}
