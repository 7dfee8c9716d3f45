//! The resolver's answers.

use super::context::Context;
use super::diagnostic::{Diagnostics, Sources};
use super::effective;
use super::files::ConfigFile;
use super::flags::Flags;
use super::process::Defaults;
use proto::spec::{CompanionsSpec, LogLevel, MasterSpec, Resolution};
use std::path::Path;

/// Bad configuration or usage.
pub(crate) const BAD_CONFIGURATION: u8 = 2;

/// Anything else that keeps arbiter from doing what was asked.
pub(crate) const FAILED: u8 = 1;

/// A text for standard error and an exit status.
pub(crate) fn failure(stderr: String, code: u8) -> Resolution {
    Resolution::Print { stdout: String::new(), stderr, code }
}

/// A text for standard output, with what is doubtful on standard error.
pub(crate) fn success(stdout: String, stderr: String) -> Resolution {
    Resolution::Print { stdout, stderr, code: 0 }
}

/// `--help`, `--version`, or arguments that make no sense.
pub(crate) fn from_flags(error: &clap::Error) -> Resolution {
    let text = error.render().to_string();
    if error.use_stderr() { failure(text, BAD_CONFIGURATION) } else { success(text, String::new()) }
}

/// The same where the directory arbiter was started in has gone: in front of what is wrong, which may be for that.
pub(crate) fn without_directory(mut resolution: Resolution, directory: &Path) -> Resolution {
    if let Resolution::Print { stderr, code: 1.., .. } = &mut resolution {
        let text = format!(
            "arbiter: the directory arbiter was started in, \"{}\", is not there any more\n    \
             help: make it again, or do without it: with an absolute chdir, and an absolute path after -c\n",
            directory.display()
        );
        stderr.insert_str(0, &text);
    }
    resolution
}

/// All that is wrong.
pub(crate) fn invalid(diagnostics: &Diagnostics, sources: &Sources) -> Resolution {
    failure(diagnostics.render_errors(sources, true), BAD_CONFIGURATION)
}

/// The answer once everything was read.
pub(crate) fn answer(
    flags: &Flags,
    file: Option<&ConfigFile>,
    mut master: MasterSpec,
    companions: &CompanionsSpec,
    defaults: &Defaults,
    context: &Context<'_>,
) -> Resolution {
    let (diagnostics, sources) = (context.diagnostics, context.sources);
    let errors = diagnostics.render_errors(sources, flags.check_config);
    if !errors.is_empty() {
        return invalid(diagnostics, sources);
    }
    let effective = || effective::print(&master, &companions.companions, defaults, context.base);
    if flags.print_config {
        return success(effective(), String::new());
    }
    if flags.check_config {
        let name = file.map_or("command line", |file| &file.name);
        let warnings = diagnostics.render_warnings(sources, false);
        let warnings = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
        return success(format!("{name}: ok\n"), warnings);
    }
    let effective = (master.log.level >= LogLevel::Debug).then(effective);
    master.effective = effective;
    master.warnings = diagnostics.render_warnings(sources, true);
    Resolution::Run { master: Box::new(master), companions: proto::codec::encode(companions) }
}
