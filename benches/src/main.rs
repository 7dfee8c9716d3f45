//! Takes all figures, or those named, prints a table and writes a file. `benches/run` calls it.

use anyhow::Context;
use benches::{figures, programs::Programs, report};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = || arguments.next().context("usage: benches PROGRAMS PEER RESULTS [FIGURE...]");
    let (programs, peer, results) = (next()?, next()?, next()?);
    let wanted: Vec<_> = arguments.filter_map(|name| name.into_string().ok()).collect();
    let programs = Programs::find(programs.as_ref(), peer.as_ref())?;
    report::publish(&figures::take(&programs, &wanted)?, results.as_ref())
}
