//! Renders an augmented image to its tensor.

use std::borrow::Cow;

use crate::{
    augment::Draw,
    image::Image,
    pixel_ops,
    tensor::{self, ElementType, Layout, TensorSpec},
};

/// Writes the tensor of `image`, augmented by `draw`: in one pass, unless the draw has pixel operations. Those work on bytes, so that the first
/// pass then rounds to bytes, and a last one normalises.
pub fn render(image: &Image, draw: &Draw, spec: &TensorSpec, out: &mut [u8]) {
    let image = &*source(image, draw, spec.size);
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

/// What a draw samples: the image, or the square that it is padded to.
pub(super) fn source<'a>(image: &'a Image, draw: &Draw, size: u32) -> Cow<'a, Image> {
    draw.pad.map_or(Cow::Borrowed(image), |value| {
        Cow::Owned(tensor::pad_to_square(image, value, size))
    })
}
