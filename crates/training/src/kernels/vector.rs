/// Lanes of a [`Vector`], and channels per block.
pub(super) const LANES: usize = 16;

/// A vector of sixteen floats; kernels are generic over it.
///
/// All operations are exact or rounded once, lane by lane, so that a kernel gives the same bits on every instruction set.
///
/// Values are created only by [`Vector::splat`] and [`Vector::load`], whose callers guarantee the instruction set; therefore the other
/// operations are safe.
pub(super) trait Vector: Copy {
    /// Whether there are thirty-two registers of sixteen floats, as with AVX-512.
    const IS_WIDE: bool;

    /// Broadcasts a number to all lanes.
    ///
    /// # Safety
    /// The CPU supports the instruction set.
    unsafe fn splat(number: f32) -> Self;

    /// Loads sixteen floats, at any alignment.
    ///
    /// # Safety
    /// The CPU supports the instruction set; sixteen floats can be read at `from`, and no other task writes them at the same time.
    unsafe fn load(from: *const f32) -> Self;

    /// Stores sixteen floats, at any alignment.
    ///
    /// # Safety
    /// Sixteen floats can be written at `to`, and no other task uses them at the same time.
    unsafe fn store(self, to: *mut f32);

    /// Stores sixteen floats past the caches, if the instruction set can do that.
    ///
    /// # Safety
    /// As for [`Vector::store`], and `to` is a multiple of 64 bytes. The floats are not read before the running task has ended.
    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: the caller guarantees what `store` requires.
        unsafe { self.store(to) }
    }

    /// `self + other`.
    fn add(self, other: Self) -> Self;
    /// `self − other`.
    fn sub(self, other: Self) -> Self;
    /// `self · other`.
    fn mul(self, other: Self) -> Self;
    /// `self / other`.
    fn div(self, other: Self) -> Self;
    /// `√self`.
    fn sqrt(self) -> Self;
    /// `self · factor + addend`, rounded once.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `self > other ? self : other`: `other` if either is NaN.
    fn max(self, other: Self) -> Self;
    /// `self < other ? self : other`: `other` if either is NaN.
    fn min(self, other: Self) -> Self;
    /// `0 < condition < high ? self : 0`.
    fn mask_between(self, condition: Self, high: Self) -> Self;
    /// `left = right ? self : 0`.
    fn mask_equal(self, left: Self, right: Self) -> Self;
    /// `self · 2ⁿ` for integers n in −126..=127.
    fn scale_by_power(self, n: Self) -> Self;

    /// Lane `i` of line `j` becomes lane `j` of line `i`.
    #[inline(always)]
    fn transpose(lines: [Self; LANES]) -> [Self; LANES] {
        let mut rows = [[0.0; LANES]; LANES];
        let mut columns = [[0.0; LANES]; LANES];
        // SAFETY: loads and stores are of arrays of sixteen floats, and the instruction set is that of `lines`, which the caller made.
        unsafe {
            for (line, row) in lines.into_iter().zip(&mut rows) {
                line.store(row.as_mut_ptr());
            }
            for (i, row) in rows.iter().enumerate() {
                for (column, &number) in columns.iter_mut().zip(row) {
                    column[i] = number;
                }
            }
            columns.map(|column| Self::load(column.as_ptr()))
        }
    }
}

/// Loads the elements of `from` from `at` on: sixteen, or those that are left and zeros.
///
/// # Safety
/// The CPU supports the instruction set, and no other task writes `from` at the same time.
#[inline(always)]
pub(super) unsafe fn load_first<V: Vector>(from: &[f32], at: usize) -> V {
    let left = &from[at..];
    // SAFETY: the caller guarantees the instruction set; sixteen floats are left, or are in the padded copy.
    unsafe {
        if left.len() >= LANES {
            return V::load(left.as_ptr());
        }
        let mut padded = [0.0; LANES];
        padded[..left.len()].copy_from_slice(left);
        V::load(padded.as_ptr())
    }
}

/// Stores the first `count` lanes of `vector`, or all if there are fewer.
///
/// # Safety
/// As many floats can be written at `to`, and no other task uses them at the same time.
#[inline(always)]
pub(super) unsafe fn store_first<V: Vector>(vector: V, to: *mut f32, count: usize) {
    // SAFETY: the caller guarantees room for `count` floats, or for all lanes; the copy has room for all.
    unsafe {
        if count >= LANES {
            return vector.store(to);
        }
        let mut padded = [0.0; LANES];
        vector.store(padded.as_mut_ptr());
        for (lane, &number) in padded[..count].iter().enumerate() {
            *to.add(lane) = number;
        }
    }
}

/// One in the first `count` lanes, zero in the others.
///
/// # Safety
/// The CPU supports the instruction set.
#[inline(always)]
pub(super) unsafe fn lanes_below<V: Vector>(count: usize) -> V {
    // SAFETY: the caller guarantees the instruction set.
    unsafe { load_first(&[1.0; LANES][..count.min(LANES)], 0) }
}

/// The sum of all lanes, in a fixed order.
#[inline(always)]
pub(super) fn total<V: Vector>(sum: V) -> f32 {
    let mut lanes = [0.0; LANES];
    // SAFETY: there is room for all lanes, and the instruction set is that of `sum`, which the caller made.
    unsafe { sum.store(lanes.as_mut_ptr()) };
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}
