//! Whole runs of arbiterctl.

use crate::programs::Programs;
use anyhow::{Context, bail};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// One run.
///
/// # Errors
/// It fails.
pub(super) fn run(programs: &Programs, socket: &Path, words: &[&str]) -> anyhow::Result<Output> {
    let output = Command::new(&programs.arbiterctl).arg("-s").arg(socket).args(words).output()?;
    if !output.status.success() {
        bail!("arbiterctl {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output)
}

/// Everything.
///
/// # Errors
/// `status` fails.
pub(super) fn status(programs: &Programs, socket: &Path) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&run(programs, socket, &["--json", "status"])?.stdout)?)
}

/// The manager's number in a status.
///
/// # Errors
/// There is none at this moment.
pub(super) fn manager(status: &Value) -> anyhow::Result<i32> {
    Ok(i32::try_from(status["manager"]["pid"].as_i64().context("the status names no manager")?)?)
}
