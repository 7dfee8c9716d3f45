//! The limited resources of setrlimit(2): their numbers in the kernel, and back to their configuration names.

use proto::spec::Resource;

/// The kernel's number of a resource.
pub(crate) fn number(resource: Resource) -> u32 {
    let number = match resource {
        Resource::As => libc::RLIMIT_AS,
        Resource::Core => libc::RLIMIT_CORE,
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::Fsize => libc::RLIMIT_FSIZE,
        Resource::Locks => libc::RLIMIT_LOCKS,
        Resource::Memlock => libc::RLIMIT_MEMLOCK,
        Resource::Msgqueue => libc::RLIMIT_MSGQUEUE,
        Resource::Nice => libc::RLIMIT_NICE,
        Resource::Nofile => libc::RLIMIT_NOFILE,
        Resource::Nproc => libc::RLIMIT_NPROC,
        Resource::Rss => libc::RLIMIT_RSS,
        Resource::Rtprio => libc::RLIMIT_RTPRIO,
        Resource::Rttime => libc::RLIMIT_RTTIME,
        Resource::Sigpending => libc::RLIMIT_SIGPENDING,
        Resource::Stack => libc::RLIMIT_STACK,
    };
    #[allow(clippy::unnecessary_cast, reason = "the C type of a resource differs between C libraries")]
    let number = number as u32;
    number
}

/// The configuration's name of a resource's number; `None` for a number that this program does not know.
pub(crate) fn name(sought: u32) -> Option<&'static str> {
    Resource::ALL.iter().find(|(known, _)| number(*known) == sought).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_is_known_to_the_kernel_and_keeps_its_name() {
        for (resource, known) in Resource::ALL {
            let number = number(resource);
            assert_eq!(name(number), Some(known));
            let (soft, hard) = crate::process::limit(number).unwrap();
            assert!(soft <= hard, "{known}");
        }
        assert_eq!(name(999), None);
    }
}
