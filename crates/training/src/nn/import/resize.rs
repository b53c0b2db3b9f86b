use super::Error;
use super::importer::Importer;
use super::node::{axis_of, node_error};
use super::operator::Operator;
use crate::graph::import::{Elements, ModelNode};
use crate::graph::{Constant, Graph, Value};

const ATTRIBUTES: &[&str] = &[
    "antialias",
    "axes",
    "coordinate_transformation_mode",
    "cubic_coeff_a",
    "exclude_outside",
    "extrapolation_value",
    "keep_aspect_ratio_policy",
    "mode",
    "nearest_mode",
];

pub(super) const OPERATORS: &[Operator] = &[Operator::new("Resize", ATTRIBUTES, resize)];

/// Interpolation is linear in the operand and separable, so each resized axis is a multiplication by a constant matrix.
fn resize(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let shape = importer.shape(x).clone();
    let text = |name: &str| node.attributes.text(name);
    let is_set = |name: &str| node.attributes.int(name).unwrap_or(0) != 0;
    let policy = text("keep_aspect_ratio_policy");
    if is_set("antialias") || !matches!(policy.as_deref(), None | Some("stretch")) {
        return Err(node_error(
            node,
            "antialias and keep_aspect_ratio_policy are not supported",
        ));
    }
    let axes: Vec<usize> = match node.attributes.ints("axes") {
        None => (0..shape.len()).collect(),
        Some(axes) => axes
            .into_iter()
            .map(|axis| axis_of(node, axis, shape.len()))
            .collect::<Result<_, _>>()?,
    };
    let filter = Filter::of(node)?;
    let scales = if importer.has(node, 2) {
        floats(importer, node, 2)?
    } else {
        vec![]
    };
    let sizes = if importer.has(node, 3) {
        importer.integers(node, 3)?
    } else {
        vec![]
    };
    let mut y = x;
    for (position, &axis) in axes.iter().enumerate() {
        let extent = shape[axis];
        #[expect(clippy::cast_precision_loss, reason = "extents are far below 2^52")]
        let length = extent as f64;
        let (target, scale) = match (sizes.get(position), scales.get(position)) {
            (Some(&size), _) => {
                let size = u16::try_from(size).unwrap_or(0);
                (usize::from(size), f64::from(size) / length)
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "casts saturate"
            )]
            (None, Some(&scale)) => ((length * f64::from(scale)) as usize, f64::from(scale)),
            (None, None) => return Err(node_error(node, "it has neither scales nor sizes for each axis")),
        };
        if target == 0 || target > usize::from(u16::MAX) {
            let reason = format!(
                "it resizes axis {axis} from {extent} to {target}, expected 1 to {}",
                u16::MAX
            );
            return Err(node_error(node, reason));
        }
        if target == extent && scale.to_bits() == 1.0_f64.to_bits() {
            continue;
        }
        importer.reserve(node, extent.saturating_mul(target))?;
        let matrix = filter.matrix(extent, target, scale);
        y = importer.wire(node, |g| along(g, y, axis, [extent, target], matrix))?;
    }
    Ok(y)
}

/// Multiplies an axis by a matrix `[target, extent]`.
fn along(
    g: &mut Graph,
    x: Value,
    axis: usize,
    [extent, target]: [usize; 2],
    matrix: Vec<f32>,
) -> Result<Value, crate::graph::Error> {
    let matrix = g.constant([target, extent], Constant::F32(matrix))?;
    let rank = g.shape(x).len();
    if axis + 2 == rank {
        return g.matmul(matrix, x);
    }
    let transposed = g.transpose(matrix, &[1, 0])?;
    if axis + 1 == rank {
        return g.matmul(x, transposed);
    }
    let mut swapped: Vec<usize> = (0..rank).collect();
    swapped.swap(axis, rank - 1);
    let x = g.transpose(x, &swapped)?;
    let y = g.matmul(x, transposed)?;
    g.transpose(y, &swapped)
}

fn floats(importer: &Importer<'_, '_>, node: &ModelNode, operand: usize) -> Result<Vec<f32>, Error> {
    let name = node.inputs.get(operand).map_or("", String::as_str);
    // A list of scales is an initializer like any other.
    let initializer = importer.model.initializers.get(name);
    let tensor = initializer.or_else(|| importer.const_value(importer.items.get(name)?));
    match tensor.map(|tensor| &tensor.elements) {
        Some(Elements::F32(data)) => Ok(data.clone()),
        _ => Err(node_error(
            node,
            format!("`{name}` is not a constant float tensor"),
        )),
    }
}

/// The weights of an output element along one axis.
struct Filter {
    mode: Mode,
    transformation: Transformation,
    is_exclusive: bool,
}

enum Mode {
    Nearest(fn(f64) -> f64),
    Linear,
    /// With its coefficient `a`.
    Cubic(f64),
}

enum Transformation {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
}

impl Filter {
    fn of(node: &ModelNode) -> Result<Self, Error> {
        let text =
            |name: &str, default: &str| node.attributes.text(name).unwrap_or_else(|| default.to_owned());
        let refused =
            |name: &str, value: &str| node_error(node, format!("its {name} `{value}` is not supported"));
        let mode = match &*text("mode", "nearest") {
            "nearest" => Mode::Nearest(match &*text("nearest_mode", "round_prefer_floor") {
                "round_prefer_floor" => |at| (at - 0.5).ceil(),
                "round_prefer_ceil" => |at| (at + 0.5).floor(),
                "floor" => f64::floor,
                "ceil" => f64::ceil,
                other => return Err(refused("nearest_mode", other)),
            }),
            "linear" => Mode::Linear,
            "cubic" => Mode::Cubic(node.attributes.float("cubic_coeff_a").unwrap_or(-0.75).into()),
            other => return Err(refused("mode", other)),
        };
        let name = "coordinate_transformation_mode";
        let transformation = match &*text(name, "half_pixel") {
            "half_pixel" => Transformation::HalfPixel,
            "half_pixel_symmetric" => Transformation::HalfPixelSymmetric,
            "pytorch_half_pixel" => Transformation::PytorchHalfPixel,
            "align_corners" => Transformation::AlignCorners,
            "asymmetric" => Transformation::Asymmetric,
            other => return Err(refused(name, other)),
        };
        let is_exclusive = node.attributes.int("exclude_outside").unwrap_or(0) != 0;
        Ok(Self {
            mode,
            transformation,
            is_exclusive,
        })
    }

    /// The matrix `[target, extent]`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "extents are below 2^16, weights are rounded once, and positions are clamped to the axis"
    )]
    fn matrix(&self, extent: usize, target: usize, scale: f64) -> Vec<f32> {
        let mut matrix = vec![0.0; target * extent];
        let last = (extent - 1) as f64;
        for (row, weights) in matrix.chunks_exact_mut(extent).enumerate() {
            let taps = self.taps(self.source(row as f64, [extent as f64, target as f64], scale));
            let is_inside = |position: f64| (0.0..=last).contains(&position);
            let kept = taps
                .iter()
                .filter(|(position, _)| !self.is_exclusive || is_inside(*position));
            let total: f64 = kept.clone().map(|(_, weight)| weight).sum();
            for (position, weight) in kept {
                weights[position.clamp(0.0, last) as usize] += (weight / total) as f32;
            }
        }
        matrix
    }

    /// The position in the operand of an output element.
    fn source(&self, at: f64, [extent, target]: [f64; 2], scale: f64) -> f64 {
        let half_pixel = (at + 0.5) / scale - 0.5;
        match self.transformation {
            Transformation::HalfPixel => half_pixel,
            Transformation::HalfPixelSymmetric => {
                let adjustment = target / (scale * extent);
                half_pixel + extent / 2.0 * (1.0 - adjustment)
            }
            Transformation::PytorchHalfPixel if target > 1.0 => half_pixel,
            Transformation::PytorchHalfPixel => 0.0,
            Transformation::AlignCorners if target > 1.0 => at * (extent - 1.0) / (target - 1.0),
            Transformation::AlignCorners => 0.0,
            Transformation::Asymmetric => at / scale,
        }
    }

    /// Positions and weights around a position; positions outside the operand are those of its border.
    ///
    /// # Source
    /// Cubic: Keys, Cubic convolution interpolation for digital image processing, IEEE 1981.
    fn taps(&self, at: f64) -> Vec<(f64, f64)> {
        let (floor, part) = (at.floor(), at - at.floor());
        match self.mode {
            Mode::Nearest(rounded) => vec![(rounded(at), 1.0)],
            Mode::Linear => vec![(floor, 1.0 - part), (floor + 1.0, part)],
            Mode::Cubic(a) => {
                let near = |t: f64| ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
                let far = |t: f64| ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a;
                vec![
                    (floor - 1.0, far(1.0 + part)),
                    (floor, near(part)),
                    (floor + 1.0, near(1.0 - part)),
                    (floor + 2.0, far(2.0 - part)),
                ]
            }
        }
    }
}
