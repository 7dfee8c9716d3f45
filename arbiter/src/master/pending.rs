//! What of a configuration is not in force when only its companions were applied, or none of it.

use proto::spec::MasterSpec;

/// The top-level keys and tables in which `new` differs from what is in force, each listener by its name. What
/// the companions' part brings along, and what was only read at start, is none of them.
pub(super) fn pending(in_force: &MasterSpec, new: &MasterSpec) -> Vec<String> {
    let changed = [
        ("name", in_force.name != new.name),
        ("pidfile", in_force.pidfile != new.pidfile),
        ("pre_stop_delay", in_force.pre_stop_delay != new.pre_stop_delay),
        ("on_boot_failure", in_force.on_boot_failure != new.on_boot_failure),
        ("control", in_force.control != new.control),
        ("log", in_force.log != new.log),
    ];
    let others = [("workers", in_force.workers != new.workers), ("hooks", in_force.hooks != new.hooks)];
    let names = |keys: &[(&str, bool)]| -> Vec<String> {
        keys.iter().filter(|(_, changed)| *changed).map(|(key, _)| (*key).to_owned()).collect()
    };
    [names(&changed), listeners(in_force, new), names(&others)].concat()
}

/// The listeners that are new, gone or changed.
fn listeners(in_force: &MasterSpec, new: &MasterSpec) -> Vec<String> {
    let (before, after) = (&in_force.listeners, &new.listeners);
    let gone = before.iter().filter(|old| after.iter().all(|listener| listener.name != old.name));
    let changed = after.iter().filter(|listener| !before.contains(listener));
    gone.chain(changed).map(|listener| format!("listener.{}", listener.name)).collect()
}
