use std::sync::Arc;

use super::groups::{ParameterGroup, Trained, trained};
use super::{Error, Images, Precision};
use crate::graph::Value;
use crate::nn::{Backbone, Builder, Head, OnnxModel, Parameter};
use crate::optim::{AdamW, Optimizer};

/// Specification of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Network from images to feature maps.
    pub backbone: Backbone,
    /// Layers from feature maps to logits.
    pub head: Head,
    /// An imported network that replaces backbone and head.
    pub onnx_model: Option<Arc<OnnxModel>>,
    /// Number of logits.
    pub classes: usize,
    /// Height and width of the images, in pixels.
    pub image_size: usize,
}

impl ModelSpec {
    /// A network with the default head for images of 224 × 224 pixels.
    #[must_use]
    pub fn new(backbone: Backbone, classes: usize) -> Self {
        Self {
            backbone,
            head: Head::default(),
            onnx_model: None,
            classes,
            image_size: 224,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let at_least = |field, found, least, expected| {
            if found >= least {
                Ok(())
            } else {
                Err(Error::Spec {
                    field,
                    found,
                    expected,
                })
            }
        };
        at_least("classes", self.classes, 2, "at least 2")?;
        at_least("image size", self.image_size, 32, "at least 32 pixels")?;
        if self.onnx_model.is_some() {
            return Ok(());
        }
        at_least("width", self.backbone.width, 1, "at least 1")?;
        match self.head {
            Head::Fastai { hidden, .. } => at_least("hidden", hidden, 1, "at least 1"),
            Head::Plain => Ok(()),
        }
    }

    /// Adds the whole network and returns its logits.
    pub(super) fn build(&self, builder: &mut Builder<'_>, images: Value) -> Result<Value, Error> {
        if let Some(network) = &self.onnx_model {
            return Ok(network.build(builder, images, self.classes)?);
        }
        let features = self.backbone.build(builder, images)?;
        Ok(self.head.build(builder, features, self.classes)?)
    }
}

/// Specification of a training step.
#[derive(Clone, Debug)]
pub struct TrainSpec {
    /// The network.
    pub model: ModelSpec,
    /// Images per step, or per micro-batch with gradient accumulation.
    pub batch_size: usize,
    /// Element type and layout of the images.
    pub images: Images,
    /// Learning rates, weight decay and freezing by parameter.
    pub groups: Vec<ParameterGroup>,
    /// γ of the focal loss; 0 is cross-entropy.
    pub focal: f32,
    /// Maximum global norm of the gradients, if they are clipped.
    pub clip_norm: Option<f32>,
    /// Whether exponential moving averages of parameters and statistics are kept.
    pub average: bool,
    /// The optimizer.
    pub optimizer: Arc<dyn Optimizer>,
    /// The precision.
    pub precision: Precision,
    /// Whether composites are fused into operators of our own domain, which must be registered with the session. These have no half-precision
    /// kernels, so mixed-precision steps are not fused.
    pub is_fused: bool,
}

impl TrainSpec {
    /// A step that trains all parameters, with fastai's optimizer and one learning rate per layer group.
    #[must_use]
    pub fn new(model: ModelSpec, batch_size: usize) -> Self {
        Self {
            model,
            batch_size,
            images: Images::F32,
            groups: ParameterGroup::layers(),
            focal: 0.0,
            clip_norm: None,
            average: false,
            optimizer: Arc::new(AdamW::fastai()),
            precision: Precision::F32,
            is_fused: false,
        }
    }

    /// Freezes the first `layers` layer groups, except norms, which are still trained.
    #[must_use]
    pub fn freeze_layers(mut self, layers: usize) -> Self {
        let is_frozen =
            move |parameter: &Parameter| parameter.group.index() < layers && !parameter.kind.is_norm();
        self.groups.push(ParameterGroup::of(is_frozen).frozen(true));
        self
    }

    /// The trained ones of `parameters`.
    pub(super) fn trained(&self, parameters: &[Parameter]) -> Result<Vec<Trained>, Error> {
        trained(&self.groups, parameters)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        self.model.check()?;
        if self.batch_size < 2 {
            let expected = "at least 2, because batch norms need a batch variance";
            return Err(Error::Spec {
                field: "batch size",
                found: self.batch_size,
                expected,
            });
        }
        Ok(())
    }
}
