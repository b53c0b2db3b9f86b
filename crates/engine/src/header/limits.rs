use super::Error;

/// Resource limits for one image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Pixels of the decoded image. Default: 100 million, twice the resolution of the largest common cameras.
    pub max_pixels: u64,
    /// Bytes of the file. Default: 256 MiB.
    pub max_file_bytes: u64,
    /// Bytes that a decoder may allocate, output included; best effort for decoders of the `image` crate. Default: 1 GiB, enough for 100
    /// million pixels of 16-bit RGBA.
    pub max_allocation: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            max_file_bytes: 256 << 20,
            max_allocation: 1 << 30,
        }
    }
}

impl DecodeLimits {
    /// Checks the size of a file.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if `bytes` is 0, [`Error::FileTooLarge`] if it exceeds [`DecodeLimits::max_file_bytes`].
    pub fn check_file(&self, bytes: u64) -> Result<(), Error> {
        match bytes {
            0 => Err(Error::Empty),
            _ if bytes > self.max_file_bytes => Err(Error::FileTooLarge {
                bytes,
                limit: self.max_file_bytes,
            }),
            _ => Ok(()),
        }
    }

    /// Checks the size of an image.
    ///
    /// # Errors
    ///
    /// [`Error::NoPixels`] if a side is 0, [`Error::TooManyPixels`] if the area exceeds [`DecodeLimits::max_pixels`].
    pub fn check_size(&self, width: u32, height: u32) -> Result<(), Error> {
        match u64::from(width) * u64::from(height) {
            0 => Err(Error::NoPixels { width, height }),
            pixels if pixels > self.max_pixels => Err(Error::TooManyPixels {
                width,
                height,
                limit: self.max_pixels,
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn for_codec(&self) -> ::image::Limits {
        let mut limits = ::image::Limits::no_limits();
        limits.max_alloc = Some(self.max_allocation);
        limits
    }
}
