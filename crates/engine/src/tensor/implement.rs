//! Implementation of the vector operations from those of an instruction set.

/// Implements [`Simd`](super::simd::Simd) for the instruction set with the given token and features, by operations on registers, and by the functions `look_up`
/// and `blend` of the calling module, which are compiled for it.
macro_rules! implement_simd {
    (
        $token:ident: $features:tt, $lanes:ident, $floats:ty, $integers:ty, store: $store:ident;
        $($name:ident($($argument:ident: $type:ty),+) -> $result:ty { $body:expr })+
    ) => {
        impl super::simd::Simd for $token {
            const LANES: usize = $lanes;
            type Floats = $floats;
            type Integers = $integers;

            fn rows<V: super::simd::Values, const PROJECTIVE: bool>(
                self,
                job: &RenderJob<'_>,
                first_row: u32,
                planes: [&mut [f32]; 3],
                curve: &V,
            ) {
                #[target_feature(enable = $features)]
                fn compiled<V: super::simd::Values, const PROJECTIVE: bool>(
                    simd: $token,
                    job: &RenderJob<'_>,
                    first_row: u32,
                    planes: [&mut [f32]; 3],
                    curve: &V,
                ) {
                    super::kernel::rows_of::<_, PROJECTIVE>(simd, job, first_row, planes, curve);
                }
                // SAFETY: the token proves that the CPU has every feature that the function is compiled for.
                unsafe { compiled::<V, PROJECTIVE>(self, job, first_row, planes, curve) }
            }

            $(
                #[inline(always)]
                fn $name(self, $($argument: $type),+) -> $result {
                    // SAFETY: the token proves that the CPU has the instructions, and they read and write no memory.
                    unsafe { $body }
                }
            )+

            #[inline(always)]
            fn look_up(
                self,
                tables: &[[f32; 2 * SEGMENTS]; 3],
                distance: $floats,
                signed: $integers,
                shift: u32,
            ) -> [$floats; 3] {
                // SAFETY: the token proves that the CPU has every feature that the function is compiled for.
                unsafe { look_up(tables, distance, signed, shift) }
            }

            #[inline(always)]
            fn store(self, line: &mut [f32], column: usize, values: $floats) {
                let elements = &mut line[column..column + $lanes];
                // SAFETY: the token proves that the CPU has the instruction; the slice is as long as the store.
                unsafe { $store(elements.as_mut_ptr(), values) };
            }

            #[inline(always)]
            unsafe fn blend(
                self,
                job: &RenderJob<'_>,
                x: $integers,
                row: $integers,
                weights: [$integers; 4],
                bias: i32,
            ) -> [$integers; 3] {
                // SAFETY: the token proves that the CPU has every feature that the function is compiled for; the caller guarantees the rest.
                unsafe { blend(job, x, row, weights, bias) }
            }
        }
    };
}
pub(super) use implement_simd;
