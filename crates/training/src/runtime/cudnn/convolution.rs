use std::ffi::c_int;

use crate::graph::op::Conv2d;

/// Shapes and attributes of a convolution `(x, w) → y`, as cuDNN takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Convolution {
    /// `[N, C, H, W]`.
    pub(super) x: [c_int; 4],
    /// `[K, C/groups, R, S]`.
    pub(super) w: [c_int; 4],
    /// `[N, K, H′, W′]`.
    pub(super) y: [c_int; 4],
    pub(super) pad: [c_int; 2],
    pub(super) stride: [c_int; 2],
    pub(super) dilation: [c_int; 2],
    pub(super) groups: c_int,
}

impl Convolution {
    /// Checks that the shapes are those of a convolution; cuDNN would read and write outside of tensors that are smaller than described.
    pub(super) fn new(conv: Conv2d, x: &[i64], w: &[i64], y: &[i64]) -> ort::Result<Self> {
        let refused = || {
            ort::Error::new(format!(
                "{x:?}, {w:?} and {y:?} are no input, weight and result of {conv:?}"
            ))
        };
        let extents = |shape: &[i64]| -> Option<[usize; 4]> {
            let extents = shape.iter().map(|&extent| usize::try_from(extent).ok());
            let extents = extents.collect::<Option<Vec<usize>>>()?;
            let extents: [usize; 4] = extents.try_into().ok()?;
            (!extents.contains(&0)).then_some(extents)
        };
        let shapes = || Some([extents(x)?, extents(w)?, extents(y)?]);
        let [x_extents, w_extents, y_extents] = shapes().ok_or_else(refused)?;
        let ([n, c, height, width], [k, inputs, rows, columns]) = (x_extents, w_extents);
        let fits = conv.groups > 0
            && conv.is_evenly_padded()
            && !conv.stride.contains(&0)
            && k % conv.groups == 0
            && inputs.checked_mul(conv.groups) == Some(c);
        let positions = || conv.positions([height, width], [rows, columns]);
        match fits.then(positions).flatten() {
            Some([rows, columns]) if y_extents == [n, k, rows, columns] => {}
            _ => return Err(refused()),
        }
        let ints = |list: &[usize]| -> Option<Vec<c_int>> {
            list.iter().map(|&number| c_int::try_from(number).ok()).collect()
        };
        let four = |list| ints(list)?.try_into().ok();
        let two = |list| ints(list)?.try_into().ok();
        let convolution = || {
            Some(Self {
                x: four(&x_extents)?,
                w: four(&w_extents)?,
                y: four(&y_extents)?,
                pad: two(&conv.pad)?,
                stride: two(&conv.stride)?,
                dilation: two(&conv.dilation)?,
                groups: c_int::try_from(conv.groups).ok()?,
            })
        };
        convolution().ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_a_convolution_are_accepted() {
        let conv = Conv2d {
            stride: [2, 1],
            pad: [1, 2],
            pad_after: [1, 2],
            dilation: [1, 2],
            groups: 2,
        };
        let found = Convolution::new(conv, &[3, 4, 9, 8], &[6, 2, 3, 3], &[3, 6, 5, 8]);
        let expected = Convolution {
            x: [3, 4, 9, 8],
            w: [6, 2, 3, 3],
            y: [3, 6, 5, 8],
            pad: [1, 2],
            stride: [2, 1],
            dilation: [1, 2],
            groups: 2,
        };
        assert_eq!(found.expect("they fit"), expected);
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let conv = Conv2d::square(1, 1);
        let grouped = |groups| Conv2d { groups, ..conv };
        let fitting: [&[i64]; 3] = [&[2, 4, 8, 8], &[6, 4, 3, 3], &[2, 6, 8, 8]];
        Convolution::new(conv, fitting[0], fitting[1], fitting[2]).expect("they fit");
        let uneven = Conv2d {
            pad: [0, 0],
            pad_after: [2, 2],
            ..conv
        };
        let cases: [(Conv2d, [&[i64]; 3]); 12] = [
            (uneven, fitting),
            (conv, [&[2, 4, 8], fitting[1], fitting[2]]),
            (conv, [&[2, 3, 8, 8], fitting[1], fitting[2]]),
            (conv, [&[2, 4, 8, -8], fitting[1], fitting[2]]),
            (conv, [&[2, 4, 8, 0], fitting[1], fitting[2]]),
            (conv, [fitting[0], &[5, 4, 3, 3], fitting[2]]),
            (conv, [fitting[0], fitting[1], &[1, 6, 8, 8]]),
            (conv, [fitting[0], fitting[1], &[2, 6, 8, 7]]),
            (grouped(0), fitting),
            (grouped(4), [fitting[0], &[6, 1, 3, 3], fitting[2]]),
            (Conv2d::square(0, 1), fitting),
            (conv, [&[1 << 33, 4, 8, 8], fitting[1], &[1 << 33, 6, 8, 8]]),
        ];
        for (conv, [x, w, y]) in cases {
            let error = Convolution::new(conv, x, w, y).expect_err("they do not fit");
            assert!(
                error.message().contains("are no input, weight and result of"),
                "{error}"
            );
        }
    }
}
