//! Writable memory: mappings of this process, and memory of a caller.

use std::{alloc, any::Any, fmt, io, os::fd::OwnedFd, ptr::NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Writable memory, unmapped or given back when dropped. Its bytes are accessed through [`Chunk`](super::Chunk)s only.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    /// Of memory that is not mapped by this value.
    owner: Option<Owner>,
}

/// Keeps memory valid until it is dropped.
struct Owner {
    _kept: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner")
    }
}

// SAFETY: a mapping belongs to the process, not to a thread, `Mapping` itself reads and writes none of its bytes, and an owner is `Send`.
#[allow(unsafe_code, reason = "see above")]
unsafe impl Send for Mapping {}
// SAFETY: as above; a shared reference changes nothing, and an owner is `Sync`.
#[allow(unsafe_code, reason = "see above")]
unsafe impl Sync for Mapping {}

const WRITABLE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// Bytes of a huge page on x86-64, and on ARM with pages of 4 KiB.
#[cfg(target_os = "linux")]
const HUGE_PAGE: usize = 2 << 20;

impl Mapping {
    /// `bytes` zeros, private to this process. Pages are allocated on first write, as huge pages if available.
    ///
    /// If there is no memory left, the process aborts, as for every other allocation.
    #[allow(unsafe_code, reason = "maps memory")]
    pub(super) fn private(bytes: usize) -> Self {
        // SAFETY: the kernel chooses an address range that is not mapped.
        let mapped = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                mapped_bytes(bytes),
                WRITABLE,
                MapFlags::PRIVATE,
            )
        };
        match mapped.ok().and_then(|start| NonNull::new(start.cast())) {
            Some(start) => {
                let mapping = Self {
                    start,
                    bytes,
                    owner: None,
                };
                mapping.prefer_huge_pages();
                mapping
            }
            None => match alloc::Layout::from_size_align(bytes, 1) {
                Ok(layout) => alloc::handle_alloc_error(layout),
                Err(_) => unreachable!("a buffer is smaller than the address space"),
            },
        }
    }

    /// `bytes` bytes at `start`, which `owner` keeps valid.
    ///
    /// # Safety
    ///
    /// Until `owner` is dropped, the bytes are initialised, may be read and written by any thread, and nothing else reads or writes them.
    #[allow(unsafe_code, reason = "takes over a pointer")]
    pub(super) unsafe fn owned(start: NonNull<u8>, bytes: usize, owner: Box<dyn Any + Send + Sync>) -> Self {
        Self {
            start,
            bytes,
            owner: Some(Owner { _kept: owner }),
        }
    }

    /// `bytes` zeros, and a descriptor by which other processes can map them and see every change.
    ///
    /// # Errors
    ///
    /// If the system has no such files, or cannot seal them against other writers (Linux before 5.1, other systems).
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code, reason = "maps memory")]
    pub(super) fn shared(bytes: usize) -> io::Result<(Self, OwnedFd)> {
        use rustix::{
            fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create},
            mm::mmap,
        };

        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Some systems require memory that cannot be executed; older kernels do not know the flag.
        let file = memfd_create("equibatch", flags | MemfdFlags::NOEXEC_SEAL)
            .or_else(|_| memfd_create("equibatch", flags))?;
        ftruncate(&file, mapped_bytes(bytes) as u64)?;
        // SAFETY: the kernel chooses an address range that is not mapped. The file keeps its size from here on, so that no page of the mapping
        // disappears: nothing else has the descriptor before it is sealed.
        let mapped = unsafe {
            mmap(
                std::ptr::null_mut(),
                mapped_bytes(bytes),
                WRITABLE,
                MapFlags::SHARED,
                &file,
                0,
            )
        }?;
        let start = NonNull::new(mapped.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        let mapping = Self {
            start,
            bytes,
            owner: None,
        };
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        Ok((mapping, file))
    }

    /// Other systems have no such files.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn shared(_bytes: usize) -> io::Result<(Self, OwnedFd)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Requests huge pages of 2 MiB if the mapping holds one. With pages of 4 KiB, a batch of floats takes ten thousand, and the kernel takes
    /// longer to provide them than a worker to write them. Systems without huge pages ignore it.
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code, reason = "says what a mapping is used for")]
    fn prefer_huge_pages(&self) {
        use rustix::mm::{Advice, madvise};

        if self.bytes >= HUGE_PAGE {
            // SAFETY: the mapping is owned by this value, and the advice does not change its contents.
            let _not_there = unsafe {
                madvise(
                    self.start.as_ptr().cast(),
                    mapped_bytes(self.bytes),
                    Advice::LinuxHugepage,
                )
            };
        }
    }

    /// Other systems have no such advice.
    #[cfg(not(target_os = "linux"))]
    fn prefer_huge_pages(&self) {}

    /// The first byte; of a mapping, at a page boundary.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Mapping {
    #[allow(unsafe_code, reason = "unmaps memory")]
    fn drop(&mut self) {
        if self.owner.is_some() {
            return;
        }
        // SAFETY: the mapping is owned by this value and has this size; every `Chunk` that points into it holds an `Arc` of it.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), mapped_bytes(self.bytes)) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

/// Size of the mapping for `bytes` bytes: a mapping cannot be empty.
pub(super) fn mapped_bytes(bytes: usize) -> usize {
    bytes.max(1)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Whether huge pages were requested for the mapping at `start`.
    fn is_asked_for(start: NonNull<u8>) -> bool {
        let maps = fs::read_to_string("/proc/self/smaps").expect("the mappings of this process");
        let number = |text: &str| usize::from_str_radix(text, 16).ok();
        let holds = |line: &str| {
            let ends = line.split_once(' ')?.0.split_once('-')?;
            Some((number(ends.0)?..number(ends.1)?).contains(&start.as_ptr().addr()))
        };
        let mut lines = maps.lines().skip_while(|line| holds(line) != Some(true));
        let flags = lines.find_map(|line| line.strip_prefix("VmFlags:"));
        let flags = flags.expect("the mapping is there");
        flags.split_whitespace().any(|flag| flag == "hg")
    }

    #[test]
    fn huge_pages_are_requested_for_large_mappings() {
        if !Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            return;
        }
        let (large, small) = (Mapping::private(3 * HUGE_PAGE), Mapping::private(HUGE_PAGE - 1));
        assert!(is_asked_for(large.start()));
        assert!(!is_asked_for(small.start()));
    }
}
