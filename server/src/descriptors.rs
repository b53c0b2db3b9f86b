//! The limit of open file descriptors, and the number of connections that it allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors reserved for standard streams, listening sockets, the async runtime and libraries.
const OWN: u64 = 64;

/// Raises the soft limit of open descriptors (`RLIMIT_NOFILE`) to the hard limit, and returns the limit in force; `None`: unlimited.
pub fn raise() -> Option<u64> {
    let found = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: found.maximum,
        maximum: found.maximum,
    };
    // Some systems enforce a lower maximum; the earlier limit then stays in force.
    let _refused = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current
}

/// `wanted` connections, reduced so that `others` descriptors and those of the process remain available; at least 1.
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
