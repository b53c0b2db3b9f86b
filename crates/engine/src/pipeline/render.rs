//! Renders an augmented image to its tensor.

use crate::{
    augment::Draw,
    image::Image,
    pixel_ops,
    tensor::{self, ElementType, Layout, TensorSpec},
};

/// Writes the tensor of `image`, augmented by `draw`: in one pass, unless the draw has pixel operations. Those work on bytes, so that the first
/// pass then rounds to bytes, and a last one normalises.
pub fn render(image: &Image, draw: &Draw, spec: &TensorSpec, out: &mut [u8]) {
    let padded = draw
        .pad
        .map(|value| tensor::pad_to_square(image, value, spec.size));
    let image = padded.as_ref().unwrap_or(image);
    let map = draw.map((image.width(), image.height()), spec.size);
    if draw.pixel_ops.is_empty() {
        tensor::write_image(image, &map, &draw.lighting(), spec, out);
        return;
    }
    let in_bytes = TensorSpec {
        element_type: ElementType::U8,
        layout: Layout::Nhwc,
        ..*spec
    };
    let mut pixels = vec![0; in_bytes.image_bytes()];
    tensor::write_image(image, &map, &draw.lighting(), &in_bytes, &mut pixels);
    pixel_ops::apply(&draw.pixel_ops, &mut pixels, spec.size as usize);
    tensor::write_pixels(&pixels, spec, out);
}
