use crate::graph::{Constant, ElementType, Error, Graph, Value};

/// Input normalisation inside the network, for u8 images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pixels {
    /// Layout NHWC, `[N, S, S, 3]`, instead of NCHW, `[N, 3, S, S]`.
    pub channels_last: bool,
    /// RGB, for pixel values scaled to [0, 1].
    pub mean: [f32; 3],
    /// RGB, for pixel values scaled to [0, 1].
    pub std: [f32; 3],
}

impl Pixels {
    /// `(x/255 − mean) / std`, as `(x − 255·mean) · 1/(255·std)`.
    ///
    /// # Shapes
    /// `images: u8[N, 3, S, S]` or `u8[N, S, S, 3] → f32[N, 3, S, S]`.
    ///
    /// # Errors
    /// [`Error::Wiring`] if `images` has another shape.
    pub fn normalised(&self, g: &mut Graph, images: Value) -> Result<Value, Error> {
        let per_channel =
            |of: &dyn Fn(usize) -> f64| Constant::F32((0..3).map(|channel| of(channel) as f32).collect());
        let black = per_channel(&|channel| 255.0 * f64::from(self.mean[channel]));
        let scale = per_channel(&|channel| 1.0 / (255.0 * f64::from(self.std[channel])));
        g.scoped("pixels", |g| {
            let planes = if self.channels_last {
                g.transpose(images, &[0, 3, 1, 2])?
            } else {
                images
            };
            let floats = g.cast(planes, ElementType::F32)?;
            let black = g.constant([1, 3, 1, 1], black)?;
            let scale = g.constant([1, 3, 1, 1], scale)?;
            let centred = g.sub(floats, black)?;
            g.mul(centred, scale)
        })
    }
}
