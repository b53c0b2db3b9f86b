//! Box blur of premultiplied RGBA pixels, in integer arithmetic.

/// Two passes of a box filter of `2 * radius + 1` pixels along rows and columns, which approximate a Gaussian. Edge pixels are
/// replicated. Radii above 31 are clamped to 31.
pub(super) fn blur(data: &mut [u8], width: usize, radius: usize) {
    if radius == 0 {
        return;
    }
    let radius = radius.min(MOST);
    let row_bytes = width * 4;
    let mut before = vec![0; data.len()];
    for _ in 0..2 {
        before.copy_from_slice(data);
        for (from, to) in before
            .chunks_exact(row_bytes)
            .zip(data.chunks_exact_mut(row_bytes))
        {
            average_row(from, to, radius);
        }
        before.copy_from_slice(data);
        average_columns(&before, data, (row_bytes, radius));
    }
}

/// The largest radius for which [`reciprocal`] divides exactly.
const MOST: usize = 31;

/// Fixed-point reciprocal of `2 * radius + 1`, in units of 2^-20. The rounding error is too small to change the quotient of any sum of
/// `2 * radius + 1` bytes, and the product fits in 32 bits.
fn reciprocal(radius: usize) -> u32 {
    (1 << 20) / (2 * radius as u32 + 1) + 1
}

fn divided(sum: u32, reciprocal: u32) -> u8 {
    ((sum * reciprocal) >> 20) as u8
}

fn average_row(from: &[u8], to: &mut [u8], radius: usize) {
    let (pixels, _) = from.as_chunks::<4>();
    let last = pixels.len() - 1;
    let factor = reciprocal(radius);
    let mut sums = [0_u32; 4];
    for i in 0..=2 * radius {
        let pixel = pixels[i.saturating_sub(radius).min(last)];
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += u32::from(value);
        }
    }
    let (targets, _) = to.as_chunks_mut::<4>();
    for (i, target) in targets.iter_mut().enumerate() {
        *target = sums.map(|sum| divided(sum, factor));
        let (enter, leave) = (
            pixels[(i + radius + 1).min(last)],
            pixels[i.saturating_sub(radius)],
        );
        for c in 0..4 {
            sums[c] = sums[c] + u32::from(enter[c]) - u32::from(leave[c]);
        }
    }
}

/// Processes all columns together, so that the inner loops are contiguous in memory.
fn average_columns(from: &[u8], to: &mut [u8], (row_bytes, radius): (usize, usize)) {
    let last = from.len() / row_bytes - 1;
    let row = |y: usize| &from[y.min(last) * row_bytes..][..row_bytes];
    let factor = reciprocal(radius);
    let mut sums = vec![0_u32; row_bytes];
    for y in 0..=2 * radius {
        for (sum, &value) in sums.iter_mut().zip(row(y.saturating_sub(radius))) {
            *sum += u32::from(value);
        }
    }
    for (y, target) in to.chunks_exact_mut(row_bytes).enumerate() {
        let (enter, leave) = (row(y + radius + 1), row(y.saturating_sub(radius)));
        for (((byte, sum), &enter), &leave) in target.iter_mut().zip(&mut sums).zip(enter).zip(leave) {
            *byte = divided(*sum, factor);
            *sum = *sum + u32::from(enter) - u32::from(leave);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scalar reference.
    fn averaged(data: &[u8], width: usize, radius: i32) -> Vec<u8> {
        let height = data.len() / 4 / width;
        let mut current = data.to_vec();
        for (dx, dy) in [(1, 0), (0, 1), (1, 0), (0, 1)] {
            let at = |x: i32, y: i32, c: usize| {
                let (x, y) = (x.clamp(0, width as i32 - 1), y.clamp(0, height as i32 - 1));
                u32::from(current[(y as usize * width + x as usize) * 4 + c])
            };
            let mut next = current.clone();
            for (i, byte) in next.iter_mut().enumerate() {
                let (x, y) = ((i / 4 % width) as i32, (i / 4 / width) as i32);
                let sum: u32 = (-radius..=radius)
                    .map(|d| at(x + d * dx, y + d * dy, i % 4))
                    .sum();
                *byte = (sum / (2 * radius as u32 + 1)) as u8;
            }
            current = next;
        }
        current
    }

    #[test]
    fn blur_is_two_box_averages_in_each_direction() {
        let (width, height) = (9, 5);
        let data: Vec<u8> = (0..width * height * 4)
            .map(|i| (i * i * 31 % 256) as u8)
            .collect();
        let white = vec![255; width * height * 4];
        for radius in [0, 1, 2, 6, 31] {
            let mut blurred = data.clone();
            blur(&mut blurred, width, radius);
            assert_eq!(blurred, averaged(&data, width, radius as i32), "radius {radius}");
            let mut flat = white.clone();
            blur(&mut flat, width, radius);
            assert_eq!(flat, white, "radius {radius}");
        }
    }
}
