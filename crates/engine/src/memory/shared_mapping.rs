//! Read-only mappings of shared memory.

use std::{io, ops::Range, os::fd::AsFd, ptr::NonNull, slice};

use super::mapping::mapped_bytes;

/// A read-only mapping of memory that another process writes; unmapped when dropped. It stays readable after that process has ended.
#[derive(Debug)]
pub struct SharedMapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread, and can be read from all of them.
#[allow(unsafe_code, reason = "see above")]
unsafe impl Send for SharedMapping {}
// SAFETY: as above; this process cannot write to it.
#[allow(unsafe_code, reason = "see above")]
unsafe impl Sync for SharedMapping {}

impl SharedMapping {
    /// Maps the first `bytes` bytes of `file`, which must be a descriptor from [`Pool::shared`](super::Pool::shared).
    ///
    /// # Errors
    ///
    /// If it is another kind of file, is smaller, or is not sealed against shrinking; and if the system refuses the mapping.
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code, reason = "maps memory")]
    pub fn open(file: impl AsFd, bytes: usize) -> io::Result<Self> {
        use rustix::{
            fs::{SealFlags, fcntl_get_seals, fstat},
            mm::{MapFlags, ProtFlags, mmap},
        };

        let refused = |reason| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        if !fcntl_get_seals(&file)?.contains(SealFlags::SHRINK) {
            return refused("the memory is not sealed against shrinking");
        }
        let size = fstat(&file)?.st_size;
        if usize::try_from(size).is_ok_and(|size| size < mapped_bytes(bytes)) {
            return refused("the memory is smaller than it should be");
        }
        // SAFETY: the kernel chooses an address range that is not mapped, and the file is sealed: its pages exist as long as they are mapped.
        let mapped = unsafe {
            mmap(
                std::ptr::null_mut(),
                mapped_bytes(bytes),
                ProtFlags::READ,
                MapFlags::SHARED,
                &file,
                0,
            )
        }?;
        let start = NonNull::new(mapped.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, bytes })
    }

    /// Other systems have no such files.
    ///
    /// # Errors
    ///
    /// Always.
    #[cfg(not(target_os = "linux"))]
    pub fn open(_file: impl AsFd, _bytes: usize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The bytes in `range`.
    ///
    /// # Safety
    ///
    /// The other process must have written them, and must not write them while the result is borrowed: it has lent them, and was not told that
    /// they are released.
    ///
    /// # Panics
    ///
    /// If the range is not within the mapping.
    #[must_use]
    #[allow(unsafe_code, reason = "a view of mapped memory")]
    pub unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        assert!(
            range.start <= range.end && range.end <= self.bytes,
            "{range:?} of {} bytes",
            self.bytes
        );
        // SAFETY: the range lies within the mapping, which lives as long as `self`. This process cannot write to it, and the caller guarantees
        // that the other one does not.
        unsafe { slice::from_raw_parts(self.start.add(range.start).as_ptr(), range.len()) }
    }
}

impl Drop for SharedMapping {
    #[allow(unsafe_code, reason = "unmaps memory")]
    fn drop(&mut self) {
        // SAFETY: the mapping is owned by this value and has this size, and nothing borrows from a value that is being dropped.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), mapped_bytes(self.bytes)) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}
