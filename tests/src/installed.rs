//! Programs of a site's own, in the place of which others can be put, as a package does.

use crate::{Site, copy_program, program};
use std::fs;
use std::path::Path;

/// Both are found side by side.
const INSTALLED: [&str; 2] = ["arbiter", "companion-manager"];

/// Installs them in the site's `bin`.
///
/// # Panics
/// The disk is full.
pub fn install(site: &Site) {
    fs::create_dir(site.path("bin")).expect("a directory can be made");
    put_new(site);
}

/// Puts a copy of `program` in the place of an installed one.
///
/// # Panics
/// The disk is full.
pub fn put(site: &Site, name: &str, program: &Path) {
    let new = site.path("bin").join("new");
    copy_program(program, &new);
    fs::rename(&new, site.path("bin").join(name)).expect("a file can be renamed");
}

/// Puts programs of the same kind, but other files, in the place of the installed ones.
///
/// # Panics
/// The disk is full.
pub fn put_new(site: &Site) {
    INSTALLED.iter().for_each(|name| put(site, name, &program(name)));
}
