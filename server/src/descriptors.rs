//! File descriptors: as many as the system gives, and some of them for files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of the process itself: standard streams, sockets, the runtime, libraries.
const OWN: u64 = 64;

/// Raises the soft limit of descriptors to the hard one, and returns what holds then; `None`: no limit.
pub fn raise() -> Option<u64> {
    let found = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: found.maximum,
        maximum: found.maximum,
    };
    // Some systems have a lower limit yet, and keep the earlier one.
    let _refused = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current
}

/// Of `wanted` connections those that leave descriptors for the process and for `others` more, such as files, and one at least.
#[must_use]
pub fn connections(wanted: usize, others: usize, limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return wanted };
    let left = limit.saturating_sub(OWN + others as u64);
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_files() {
        assert_eq!(connections(1024, 100, None), 1024);
        assert_eq!(connections(1024, 100, Some(65_536)), 1024);
        assert_eq!(connections(1024, 100, Some(1024)), 860);
        assert_eq!(connections(1024, 100, Some(10)), 1);
    }
}
