use super::reference::Case;
use super::{doubles, error, from_blocks, noise, same_everywhere, to_blocks, with_exec};
use crate::kernels::conv::{
    ConvInput, ConvShape, forward, forward_expanded, forward_only, input_gradient, weight_gradient,
};
use crate::kernels::norm::{self, Normalization, Shortcut};
use crate::kernels::{BatchMean, ExecContext, Extent, GradEpilogue, ReluMask, ScaleShiftRelu, Window};

/// Bound on the relative error of sums of several hundred products in single precision.
const TOLERANCE: f64 = 2e-6;

/// Covers all algorithms, NCHW images, several strides, windows that overlap the border or skip pixels, planes of one pixel, rows of one, two
/// and three pieces, odd numbers of blocks, more tiles than a chunk and than tasks share at a
/// time, channels split into parts and into groups, weights that are too many to be packed.
fn cases() -> Vec<Case> {
    vec![
        Case::new(2, [16, 32], [7, 7], [3, 1, 1]),
        Case::new(1, [48, 16], [5, 9], [3, 1, 1]),
        Case::new(3, [16, 16], [1, 1], [3, 1, 1]),
        Case::new(1, [16, 16], [17, 16], [3, 1, 1]),
        Case::new(1, [16, 144], [4, 3], [3, 1, 1]),
        Case::new(2, [48, 16], [6, 6], [3, 1, 1]),
        Case::new(5, [16, 64], [27, 30], [3, 1, 1]),
        Case::new(1, [80, 64], [10, 9], [3, 1, 1]),
        Case::new(2, [80, 64], [2, 5], [3, 1, 1]),
        Case::new(1, [48, 64], [31, 33], [3, 1, 1]),
        Case::new(1, [16, 128], [29, 29], [3, 1, 1]),
        Case::new(1, [80, 80], [5, 9], [3, 1, 1]),
        Case::new(2, [16, 32], [9, 7], [3, 2, 1]),
        Case::new(1, [32, 48], [8, 8], [1, 2, 0]),
        Case::new(1, [32, 16], [5, 31], [1, 1, 0]),
        Case::new(1, [16, 16], [12, 20], [5, 3, 1]),
        Case::new(2, [16, 48], [12, 20], [1, 1, 0]),
        Case::new(2, [48, 16], [7, 7], [1, 1, 0]),
        Case::new(17, [3, 32], [9, 11], [7, 2, 3]),
        Case::new(1, [1, 16], [8, 30], [3, 1, 1]),
        Case::new(1, [4, 16], [20, 13], [11, 4, 2]),
        Case {
            window: Window {
                kernel: [2, 3],
                stride: [1, 2],
                pad: [0, 2],
                pad_after: [1, 2],
            },
            ..Case::new(2, [16, 16], [5, 5], [1, 1, 0])
        },
        Case::depthwise(2, 48, [9, 7], [3, 1, 1]),
        Case::depthwise(17, 16, [8, 13], [3, 2, 1]),
        Case::depthwise(1, 32, [40, 33], [5, 1, 2]),
        Case::depthwise(2, 16, [30, 62], [5, 2, 2]),
        Case::depthwise(3, 16, [1, 1], [3, 1, 1]),
        Case::depthwise(1, 16, [2, 1], [5, 2, 2]),
        Case::depthwise(1, 16, [9, 10], [7, 1, 3]),
        Case::depthwise(1, 16, [9, 11], [2, 3, 0]),
        Case::new(2, [16, 32], [10, 8], [3, 2, 0]).padded_after(1),
        Case::new(1, [16, 16], [9, 8], [3, 1, 1]).padded_after(0),
        Case::new(3, [3, 16], [10, 14], [3, 2, 0]).padded_after(1),
        Case::depthwise(2, 32, [12, 10], [3, 2, 0]).padded_after(1),
        Case::depthwise(1, 16, [40, 62], [5, 2, 1]).padded_after(2),
        Case::depthwise(1, 16, [7, 9], [5, 1, 3]).padded_after(1),
    ]
}

impl Case {
    fn conv_shape(&self) -> ConvShape {
        ConvShape {
            images: self.images,
            channels: self.channels,
            extent: self.extent,
            window: self.window,
            is_depthwise: self.is_depthwise,
        }
    }

    fn is_image(&self) -> bool {
        self.channels[0] < 16
    }

    fn input(&self) -> Extent {
        Extent {
            images: self.images,
            blocks: self.channels[0] / 16,
            rows: self.extent[0],
            columns: self.extent[1],
        }
    }

    /// x, w and dy in NCHW order.
    fn operands(&self) -> [Vec<f32>; 3] {
        let inputs = self.images * self.channels[0] * self.extent[0] * self.extent[1];
        [
            noise(inputs, 1),
            noise(self.weights(), 2),
            noise(self.conv_shape().output().elements(), 3),
        ]
    }

    /// x in the layout of the kernels.
    fn laid_out(&self, x: &[f32]) -> Vec<f32> {
        if self.is_image() {
            x.to_vec()
        } else {
            to_blocks(self.input(), x)
        }
    }

    fn operand<'a>(&self, x: &'a [f32]) -> ConvInput<'a> {
        if self.is_image() {
            ConvInput::Nchw(x)
        } else {
            ConvInput::NchwC(x)
        }
    }
}

#[test]
fn forward_matches_the_reference() {
    for case in cases() {
        let [x, w, _] = case.operands();
        let laid_out = case.laid_out(&x);
        let output = case.conv_shape().output();
        let found = same_everywhere(&format!("{case:?}"), |exec| {
            let mut y = vec![f32::NAN; output.elements()];
            forward(exec, case.conv_shape(), case.operand(&laid_out), &w, &mut y);
            y
        });
        let found = from_blocks(output, &found);
        let error = error(&found, &case.forward(&doubles(&x), &doubles(&w)));
        assert!(error < TOLERANCE, "{case:?} is off by {error:e}");
    }
}

#[test]
fn forward_without_sums_gives_the_same_bits() {
    for case in cases() {
        let [x, w, _] = case.operands();
        let x = case.laid_out(&x);
        let output = vec![f32::NAN; case.conv_shape().output().elements()];
        let found = same_everywhere(&format!("{case:?}"), |exec| {
            let mut y = output.clone();
            forward_only(exec, case.conv_shape(), case.operand(&x), &w, &mut y);
            y
        });
        let mut expected = output;
        with_exec(|exec| forward(exec, case.conv_shape(), case.operand(&x), &w, &mut expected));
        assert!(found == expected, "{case:?}");
    }
}

/// The bits are those of the two convolutions one after the other, for all windows, and for bands of rows that overlap and that do not.
#[test]
fn an_expanded_convolution_matches_two_convolutions() {
    let cases = cases().into_iter().filter(|case| case.is_depthwise);
    for (case, inputs) in cases.zip([16, 48].into_iter().cycle()) {
        let [channels, _] = case.channels;
        let expansion = Case::new(case.images, [inputs, channels], case.extent, [1, 1, 0]);
        let [x, e, _] = expansion.operands();
        let (x, w) = (expansion.laid_out(&x), noise(case.weights(), 4));
        let (scale_shift, high) = (noise(2 * channels, 5), 0.4);
        let relu = ScaleShiftRelu {
            scale_shift: &scale_shift,
            high,
        };
        let output = vec![f32::NAN; case.conv_shape().output().elements()];
        let found = same_everywhere(&format!("{case:?}"), |exec| {
            let mut y = output.clone();
            forward_expanded(exec, case.conv_shape(), ([&x, &e], relu), &w, &mut y);
            y
        });
        let mut expanded = vec![f32::NAN; case.input().elements()];
        let mut expected = output;
        with_exec(|exec| {
            forward_only(
                exec,
                expansion.conv_shape(),
                ConvInput::NchwC(&x),
                &e,
                &mut expanded,
            );
            let active = ConvInput::NchwCRelu(&expanded, relu);
            forward_only(exec, case.conv_shape(), active, &w, &mut expected);
        });
        assert!(found == expected, "{case:?}");
    }
}

#[test]
fn forward_returns_the_channel_sums_of_its_output() {
    for case in cases() {
        let [x, w, _] = case.operands();
        let x = case.laid_out(&x);
        let output = case.conv_shape().output();
        let mut y = vec![f32::NAN; output.elements()];
        let sums = with_exec(|exec| forward(exec, case.conv_shape(), case.operand(&x), &w, &mut y));
        let expected = channel_sums(output, &y, &y);
        for (found, [sum, square]) in sums.iter().zip(expected) {
            assert!(
                (found[0] - sum).abs() < 1e-5 * square.max(1.0),
                "{case:?}: {found:?}, {sum}"
            );
            assert!(
                (found[1] - square).abs() < 1e-5 * square.max(1.0),
                "{case:?}: {found:?}, {square}"
            );
        }
    }
}

/// A mean of about a thousand standard deviations does not cancel the variance, with either algorithm.
#[test]
fn variance_is_accurate_for_outputs_far_from_zero() {
    for case in [
        Case::new(2, [16, 32], [7, 7], [3, 1, 1]),
        Case::new(2, [32, 48], [8, 8], [1, 2, 0]),
        Case::new(3, [16, 16], [12, 20], [5, 3, 2]),
        Case::new(3, [3, 16], [9, 11], [3, 1, 1]),
        Case::depthwise(3, 32, [40, 33], [3, 1, 1]),
    ] {
        let [c, k] = [case.inputs(0).len(), case.channels[1]];
        let (taps, output) = (case.window.taps(), case.conv_shape().output());
        let x: Vec<f32> = noise(
            case.images * case.channels[0] * case.extent[0] * case.extent[1],
            1,
        )
        .iter()
        .map(|number| 1e3 + 1.7 * number)
        .collect();
        // Each output channel copies an input channel.
        let mut w = vec![0.0; c * k * taps];
        for channel in 0..k {
            w[(channel * c + channel % c) * taps + taps / 2] = 1.0;
        }
        let x = case.laid_out(&x);
        let mut y = vec![f32::NAN; output.elements()];
        with_exec(|exec| forward(exec, case.conv_shape(), case.operand(&x), &w, &mut y));
        let found = same_everywhere(&format!("{case:?}"), |exec| {
            let mut y = vec![f32::NAN; output.elements()];
            let sums = forward(exec, case.conv_shape(), case.operand(&x), &w, &mut y);
            let [mut mean, mut variance] = [(); 2].map(|()| vec![f32::NAN; k]);
            norm::mean_and_variance(&sums, output.pixels(), &mut mean, &mut variance);
            [mean, variance].concat()
        });
        let count = output.pixels() as f64;
        for (channel, [sum, square]) in channel_sums(output, &y, &y).into_iter().enumerate() {
            let mean = sum / count;
            let variance = square / count - mean * mean;
            let off = [
                f64::from(found[channel]) - mean,
                f64::from(found[k + channel]) / variance - 1.0,
            ];
            assert!(
                (mean - 1e3).abs() < 1.0 && (0.3..3.0).contains(&variance),
                "{case:?}"
            );
            assert!(
                off.iter().all(|off| off.abs() < 1e-4),
                "{case:?}: channel {channel} is off by {off:?}"
            );
        }
    }
}

/// Per channel of NCHWc values: the sum of `left`, and of `left · right`.
fn channel_sums(extent: Extent, left: &[f32], right: &[f32]) -> Vec<[f64; 2]> {
    let mut sums = vec![[0.0; 2]; extent.channels()];
    for (place, (&left, &right)) in left.iter().zip(right).enumerate() {
        let channel = place / extent.plane() % extent.blocks * 16 + place % 16;
        sums[channel][0] += f64::from(left);
        sums[channel][1] += f64::from(left) * f64::from(right);
    }
    sums
}

#[test]
fn input_gradient_matches_the_reference() {
    for case in cases().into_iter().filter(|case| !case.is_image()) {
        let [_, w, dy] = case.operands();
        let blocks = to_blocks(case.conv_shape().output(), &dy);
        let grad_epilogue = GradEpilogue {
            addend: None,
            mask: ReluMask::None,
            batch_mean: None,
        };
        let found = same_everywhere(&format!("{case:?}"), |exec| {
            let mut dx = vec![f32::NAN; case.input().elements()];
            input_gradient(exec, case.conv_shape(), [&w, &blocks], grad_epilogue, &mut dx);
            dx
        });
        let found = from_blocks(case.input(), &found);
        let error = error(&found, &case.input_gradient(&doubles(&w), &doubles(&dy)));
        assert!(error < TOLERANCE, "{case:?} is off by {error:e}");
    }
}

#[test]
fn weight_gradient_matches_the_reference() {
    for case in cases() {
        let [x, _, dy] = case.operands();
        let laid_out = case.laid_out(&x);
        let blocks = to_blocks(case.conv_shape().output(), &dy);
        let found = same_everywhere(&format!("{case:?}"), |exec| {
            let mut dw = vec![f32::NAN; case.weights()];
            weight_gradient(exec, case.conv_shape(), case.operand(&laid_out), &blocks, &mut dw);
            dw
        });
        let error = error(&found, &case.weight_gradient(&doubles(&x), &doubles(&dy)));
        assert!(error < TOLERANCE, "{case:?} is off by {error:e}");
    }
}

/// The prologue gives the bits of a stored batch norm and ReLU.
#[test]
fn the_scale_shift_relu_prologue_matches_a_stored_operand() {
    let cases = cases().into_iter().filter(|case| !case.is_image());
    for (case, high) in cases.zip([f32::INFINITY, 0.4].into_iter().cycle()) {
        let [x, w, dy] = case.operands();
        let (x, dy) = (case.laid_out(&x), to_blocks(case.conv_shape().output(), &dy));
        let scale_shift = noise(2 * case.channels[0], 4);
        let normalization = Normalization {
            x: &x,
            scale_shift: &scale_shift,
            shortcut: Shortcut::None,
            high: Some(high),
        };
        let mut kept = vec![0.0; x.len()];
        with_exec(|exec| norm::normalize(exec, case.input(), &normalization, &mut kept));
        let both = |exec: &mut ExecContext<'_>, operand: ConvInput<'_>| {
            let mut y = vec![f32::NAN; case.conv_shape().output().elements()];
            forward(exec, case.conv_shape(), operand, &w, &mut y);
            let mut dw = vec![f32::NAN; w.len()];
            weight_gradient(exec, case.conv_shape(), operand, &dy, &mut dw);
            [y, dw].concat()
        };
        let found = same_everywhere(&format!("{case:?}"), |exec| {
            let scale_shift = &scale_shift;
            both(
                exec,
                ConvInput::NchwCRelu(&x, ScaleShiftRelu { scale_shift, high }),
            )
        });
        let expected = with_exec(|exec| both(exec, ConvInput::NchwC(&kept)));
        assert!(found == expected, "{case:?}");
    }
}

/// Addend, mask and sums, in every combination, against the same operations applied afterwards.
#[test]
fn gradient_epilogues_match_separate_operations() {
    for case in cases().into_iter().filter(|case| !case.is_image()) {
        let [_, w, dy] = case.operands();
        let (dy, extent) = (to_blocks(case.conv_shape().output(), &dy), case.input());
        let [addend, y, x] = [5, 6, 7].map(|seed| noise(extent.elements(), seed));
        let (scale_shift, mean) = (noise(2 * extent.channels(), 8), noise(extent.channels(), 9));
        let relu = ScaleShiftRelu {
            scale_shift: &scale_shift,
            high: 0.3,
        };
        let batch_mean = BatchMean { x: &x, mean: &mean };
        let open = GradEpilogue {
            addend: None,
            mask: ReluMask::None,
            batch_mean: None,
        };
        let mut plain = vec![f32::NAN; extent.elements()];
        with_exec(|exec| input_gradient(exec, case.conv_shape(), [&w, &dy], open, &mut plain));
        for addend in [None, Some(&*addend)] {
            for (mask, batch_mean) in [
                (ReluMask::None, Some(batch_mean)),
                (ReluMask::Output(&y, f32::INFINITY), None),
                (ReluMask::Output(&y, 0.4), Some(batch_mean)),
                (ReluMask::ScaleShift(relu), Some(batch_mean)),
            ] {
                let grad_epilogue = GradEpilogue {
                    addend,
                    mask,
                    batch_mean,
                };
                let found = same_everywhere(&format!("{case:?} {mask:?}"), |exec| {
                    let mut g = vec![f32::NAN; extent.elements()];
                    let sums = input_gradient(exec, case.conv_shape(), [&w, &dy], grad_epilogue, &mut g);
                    with_sums(&g, &sums, batch_mean.is_some())
                });
                let mut g = vec![f32::NAN; extent.elements()];
                let sums = with_exec(|exec| {
                    norm::apply_grad_epilogue(exec, extent, &plain, grad_epilogue, Some(&mut g))
                });
                let error = error(&found, &doubles(&with_sums(&g, &sums, batch_mean.is_some())));
                assert!(error < 1e-5, "{case:?} is off by {error:e}");
                let expected = by_definition(&plain, grad_epilogue, extent);
                assert!(g == expected, "{case:?}");
            }
        }
    }
}

fn with_sums(g: &[f32], sums: &[[f64; 2]], is_wanted: bool) -> Vec<f32> {
    let wanted = if is_wanted { sums } else { &[] };
    let sums = wanted.iter().flatten().map(|&sum| sum as f32);
    g.iter().copied().chain(sums).collect()
}

fn by_definition(dy: &[f32], grad_epilogue: GradEpilogue<'_>, extent: Extent) -> Vec<f32> {
    let channels = extent.channels();
    let element = |(place, &dy): (usize, &f32)| {
        let channel = place / extent.plane() % extent.blocks * 16 + place % 16;
        let is_open = match (grad_epilogue.mask, grad_epilogue.batch_mean) {
            (ReluMask::ScaleShift(ScaleShiftRelu { scale_shift, high }), Some(batch_mean)) => {
                let [scale, shift] = [channel, channels + channel].map(|place| scale_shift[place]);
                let value = batch_mean.x[place].mul_add(scale, shift);
                value > 0.0 && value < high
            }
            (ReluMask::Output(y, high), _) => y[place] > 0.0 && y[place] < high,
            _ => true,
        };
        if is_open {
            dy + grad_epilogue.addend.map_or(0.0, |addend| addend[place])
        } else {
            0.0
        }
    };
    dy.iter().enumerate().map(element).collect()
}
