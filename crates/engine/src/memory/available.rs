//! The memory available to this process.

use std::fs;
use std::path::{Path, PathBuf};

/// Assumed if nothing is known about memory, in bytes.
const FALLBACK: u64 = 1 << 30;

/// A limit beyond this means none: version 1 of control groups writes one a page short of 2^63.
const UNLIMITED: u64 = 1 << 60;

/// The memory available to this process, in bytes: the minimum of `MemAvailable` and of what its control groups (version 1 or 2) and their
/// parents leave below their limits. Page cache that can be reclaimed counts as available. 1 GiB if nothing is known.
#[must_use]
pub fn available() -> u64 {
    memory_left(Path::new("/proc"), Path::new("/sys/fs/cgroup")).unwrap_or(FALLBACK)
}

fn memory_left(proc: &Path, cgroup: &Path) -> Option<u64> {
    let read = |path: PathBuf| fs::read_to_string(path).ok();
    let available = read(proc.join("meminfo")).and_then(|text| available_in(&text));
    let groups = read(proc.join("self/cgroup")).map_or_else(Vec::new, |text| groups_in(&text));
    let left = groups.iter().flat_map(|group| {
        let mount = cgroup.join(group.version.mount());
        // Limits of parents apply as well. If the path is that of another namespace, only the mount point itself exists.
        let folders: Vec<PathBuf> = Path::new(&group.path)
            .ancestors()
            .map(|path| below(&mount, path))
            .collect();
        folders
            .into_iter()
            .filter_map(|folder| group.version.left_in(&folder))
    });
    left.chain(available).min()
}

fn below(mount: &Path, path: &Path) -> PathBuf {
    mount.join(path.strip_prefix("/").unwrap_or(path))
}

/// A memory control group of this process.
#[derive(Debug, PartialEq, Eq)]
struct Cgroup {
    version: CgroupVersion,
    /// Relative to the mount point.
    path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CgroupVersion {
    One,
    Two,
}

impl CgroupVersion {
    fn mount(self) -> &'static str {
        match self {
            Self::One => "memory",
            Self::Two => "",
        }
    }

    /// Names of the files with the limit and the usage, and of the line of `memory.stat` with the inactive page cache.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::One => (
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            ),
            Self::Two => ("memory.max", "memory.current", "inactive_file"),
        }
    }

    /// Bytes that the group at `folder` leaves; `None` if there is no group or no limit.
    fn left_in(self, folder: &Path) -> Option<u64> {
        let (limit, usage, inactive) = self.names();
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let limit = read(limit)?
            .trim()
            .parse()
            .ok()
            .filter(|&limit: &u64| limit < UNLIMITED)?;
        let usage: u64 = read(usage)?.trim().parse().ok()?;
        let inactive = read("memory.stat")
            .and_then(|text| line_of(&text, inactive))
            .unwrap_or(0);
        Some(limit.saturating_sub(usage.saturating_sub(inactive)))
    }
}

/// The memory groups in `/proc/self/cgroup`, whose lines are `id:controllers:path`. Version 2 lists no controllers there.
fn groups_in(text: &str) -> Vec<Cgroup> {
    let group = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.to_owned());
        match controllers {
            "" => Some(Cgroup {
                version: CgroupVersion::Two,
                path,
            }),
            _ if controllers.split(',').any(|name| name == "memory") => Some(Cgroup {
                version: CgroupVersion::One,
                path,
            }),
            _ => None,
        }
    };
    text.lines().filter_map(group).collect()
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available_in(text: &str) -> Option<u64> {
    line_of(text, "MemAvailable:")?.checked_mul(1024)
}

/// The number after `name` at the start of a line.
fn line_of(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| {
        if words.next() == Some(name) {
            words.next()?.parse().ok()
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [`memory_left`] of a file system with these files.
    fn left(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        memory_left(&root.path().join("proc"), &root.path().join("cgroup"))
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       24684084 kB\nMemFree:        1 kB\nMemAvailable:       8000 kB\n",
    );

    #[test]
    fn without_a_limit_the_available_memory_of_the_machine_counts() {
        assert_eq!(left(&[MEMINFO]), Some(8000 * 1024));
        let free = [
            MEMINFO,
            ("proc/self/cgroup", "0::/\n"),
            ("cgroup/memory.max", "max\n"),
        ];
        assert_eq!(left(&free), Some(8000 * 1024));
        assert_eq!(left(&[]), None);
    }

    #[test]
    fn a_group_of_version_two_and_those_above_it_limit() {
        let mut files = vec![
            MEMINFO,
            ("proc/self/cgroup", "0::/pod/box\n"),
            ("cgroup/pod/box/memory.max", "3000000\n"),
            ("cgroup/pod/box/memory.current", "1500000\n"),
            (
                "cgroup/pod/box/memory.stat",
                "anon 1000\nfile 700000\ninactive_file 500000\n",
            ),
        ];
        assert_eq!(left(&files), Some(2_000_000));
        files.extend([
            ("cgroup/pod/memory.max", "4000000\n"),
            ("cgroup/pod/memory.current", "3500000\n"),
        ]);
        assert_eq!(left(&files), Some(500_000));
        files.push(("cgroup/pod/memory.max", "1000\n"));
        assert_eq!(left(&files), Some(0));
    }

    #[test]
    fn a_group_of_version_one_limits_unless_its_limit_means_none() {
        let files = |limit| {
            left(&[
                MEMINFO,
                ("proc/self/cgroup", "4:cpu,memory:/box\n3:cpuset:/\n0::/\n"),
                ("cgroup/memory/box/memory.limit_in_bytes", limit),
                ("cgroup/memory/box/memory.usage_in_bytes", "400\n"),
                (
                    "cgroup/memory/box/memory.stat",
                    "inactive_file 1\ntotal_inactive_file 100\n",
                ),
            ])
        };
        assert_eq!(files("1000\n"), Some(700));
        assert_eq!(files("9223372036854771712\n"), Some(8000 * 1024));
    }

    #[test]
    fn in_another_namespace_the_mount_point_counts() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "0::/host/path\n"),
            ("cgroup/memory.max", "1000"),
            ("cgroup/memory.current", "100"),
        ];
        assert_eq!(left(&files), Some(900));
    }

    #[test]
    fn malformed_lines_are_skipped() {
        assert_eq!(
            groups_in("garbage\n1:\n2:memory\n::\n"),
            [Cgroup {
                version: CgroupVersion::Two,
                path: String::new()
            }]
        );
        assert_eq!(available_in("MemAvailable: many kB"), None);
    }

    #[test]
    fn this_machine_has_available_memory() {
        assert!(available() > 0);
    }
}
