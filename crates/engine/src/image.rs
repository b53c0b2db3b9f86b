//! The pixel buffer used from decoder to tensor.

use std::fmt;

/// An image of interleaved 8-bit RGB pixels, `u8[H, W, 3]`, rows from top to bottom, without padding between rows.
///
/// [`Image::SLACK`] zero bytes follow the last pixel, so that a kernel may load eight bytes at the address of any pixel.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: u32,
    height: u32,
    bytes: Box<[u8]>,
}

impl Image {
    /// Bytes per pixel.
    pub const CHANNELS: usize = 3;
    /// Bytes after the last pixel.
    pub const SLACK: usize = 8;

    /// Takes ownership of `pixels`, `height * width * 3` bytes of RGB.
    ///
    /// # Panics
    ///
    /// If a side is 0 or the length of `pixels` is not `height * width * 3`.
    #[must_use]
    pub fn new(width: u32, height: u32, mut pixels: Vec<u8>) -> Self {
        assert!(width > 0 && height > 0, "an image has at least one pixel");
        assert_eq!(
            pixels.len(),
            width as usize * height as usize * Self::CHANNELS,
            "length of the pixels"
        );
        pixels.reserve_exact(Self::SLACK);
        pixels.extend_from_slice(&[0; Self::SLACK]);
        Self {
            width,
            height,
            bytes: pixels.into_boxed_slice(),
        }
    }

    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels: `height * width * 3` bytes.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - Self::SLACK]
    }

    /// The pixels: `height * width * 3` bytes, and room for the slack.
    #[must_use]
    pub fn into_pixels(self) -> Vec<u8> {
        let mut bytes = self.bytes.into_vec();
        bytes.truncate(bytes.len() - Self::SLACK);
        bytes
    }

    /// The pixels and the slack after them.
    #[must_use]
    pub fn pixels_and_slack(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of memory, slack included.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        self.bytes.len()
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image {}x{}", self.width, self.height)
    }
}
