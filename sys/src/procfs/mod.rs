//! What `/proc` tells about other processes. Everything here may be gone the next instant, and a process that
//! is gone (or hidden) simply answers nothing.

mod stat;
mod waiting;

pub use stat::{
    Stat, boot_id, children_of, comm, executable, group_of, is_traced, own_children, owner, pid_namespace,
    processes, pss_kib, stat, variable,
};
pub use waiting::{descriptor_count, socket_inodes, waits_on};
