//! Element types of inputs, read from little-endian bytes at any alignment.

use half::f16;

use super::Error;

/// An element type of inputs.
pub(super) trait Element: bytemuck::Pod {
    /// Reads an element from little-endian bytes.
    fn from_little_endian(bytes: &[u8]) -> Self;
}

impl Element for f32 {
    fn from_little_endian(bytes: &[u8]) -> Self {
        Self::from_le_bytes(bytes.try_into().expect("four bytes"))
    }
}

impl Element for f16 {
    fn from_little_endian(bytes: &[u8]) -> Self {
        Self::from_le_bytes(bytes.try_into().expect("two bytes"))
    }
}

impl Element for i64 {
    fn from_little_endian(bytes: &[u8]) -> Self {
        Self::from_le_bytes(bytes.try_into().expect("eight bytes"))
    }
}

impl Element for u8 {
    fn from_little_endian(bytes: &[u8]) -> Self {
        bytes[0]
    }
}

/// Copies little-endian elements of any alignment to `buffer`, called `name` in errors.
///
/// # Errors
///
/// [`Error::Length`] if the number of elements differs.
pub(super) fn fill<E: Element>(name: &str, buffer: &mut [E], bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() != size_of_val(buffer) {
        return Err(Error::Length {
            name: name.to_owned(),
            expected: buffer.len(),
            found: bytes.len() / size_of::<E>(),
        });
    }
    if cfg!(target_endian = "little") {
        bytemuck::cast_slice_mut::<E, u8>(buffer).copy_from_slice(bytes);
    } else {
        let words = bytes.chunks_exact(size_of::<E>());
        buffer
            .iter_mut()
            .zip(words)
            .for_each(|(element, word)| *element = E::from_little_endian(word));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_at_any_alignment() {
        let mut bytes = vec![0];
        [1.5_f32, -0.0, f32::MAX]
            .iter()
            .for_each(|value| bytes.extend(value.to_le_bytes()));
        let mut buffer = [0.0_f32; 3];
        fill("images", &mut buffer, &bytes[1..]).expect("the lengths agree");
        assert_eq!(
            buffer.map(f32::to_bits),
            [1.5_f32, -0.0, f32::MAX].map(f32::to_bits)
        );
        let mut halves = [f16::ZERO; 6];
        fill("images", &mut halves, &bytes[1..]).expect("the lengths agree");
        // Compared as bits: one of the f16 values is NaN.
        let words = bytes[1..]
            .chunks_exact(2)
            .map(|word| u16::from_le_bytes([word[0], word[1]]));
        assert!(words.eq(halves.map(f16::to_bits)));
    }

    #[test]
    fn a_wrong_length_is_refused() {
        let message = fill("images", &mut [0.0_f32; 2], &[0; 4])
            .expect_err("too short")
            .to_string();
        assert_eq!(
            message,
            "cannot use `images`: the program has 2 elements, the value has 1"
        );
    }
}
