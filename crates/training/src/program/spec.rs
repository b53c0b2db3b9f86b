use std::sync::Arc;

use super::groups::{ParameterGroup, Trained, trained};
use super::head;
use super::{Error, Images, Loss, Precision};
use crate::graph::lower::Kernels;
use crate::graph::{Graph, TensorType, Value};
use crate::nn::import::OnnxGraph;
use crate::nn::{Backbone, Builder, Head, LayerGroup, Mode, OnnxModel, Parameter};
use crate::optim::{AdamW, Optimizer};

/// Specification of a network.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSpec {
    /// A ResNet.
    ResNet(ResNet),
    /// A classifier of images from an ONNX file.
    Classifier(Classifier),
    /// A network from an ONNX file, with any inputs and outputs.
    Graph(Arc<OnnxGraph>),
    /// The head of a ResNet or classifier, on the features of its body (see [`features`](super::features)).
    ///
    /// # Shapes
    /// `features: f32[N, …] → logits: f32[N, classes]`.
    Head(Box<ModelSpec>),
    /// A factor for each class of the given number, `class.scales`, on logits.
    ///
    /// # Shapes
    /// `features: f32[N, classes] → logits: f32[N, classes]`.
    ///
    /// # Source
    /// Learnable weight scaling of Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020.
    ClassScales(usize),
}

/// A ResNet.
///
/// # Shapes
/// `images: f32[N, 3, S, S] → logits: f32[N, classes]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ResNet {
    /// Network from images to feature maps.
    pub backbone: Backbone,
    /// Layers from feature maps to logits.
    pub head: Head,
    /// Number of logits.
    pub classes: usize,
    /// Height and width of the images, in pixels.
    pub image_size: usize,
}

/// A classifier of images from an ONNX file.
///
/// # Shapes
/// `images: f32[N, 3, S, S] → logits: f32[N, classes]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    /// The network. Its last layer is replaced if it has another number of outputs.
    pub network: Arc<OnnxModel>,
    /// Number of logits.
    pub classes: usize,
    /// Height and width of the images, in pixels.
    pub image_size: usize,
}

impl ResNet {
    /// A network with the default head for images of 224 × 224 pixels.
    #[must_use]
    pub fn new(backbone: Backbone, classes: usize) -> Self {
        Self {
            backbone,
            head: Head::default(),
            classes,
            image_size: 224,
        }
    }
}

impl From<ResNet> for ModelSpec {
    fn from(network: ResNet) -> Self {
        Self::ResNet(network)
    }
}

impl From<Classifier> for ModelSpec {
    fn from(network: Classifier) -> Self {
        Self::Classifier(network)
    }
}

fn at_least(
    field: &'static str,
    (found, least): (usize, usize),
    expected: &'static str,
) -> Result<(), Error> {
    if found >= least {
        return Ok(());
    }
    Err(Error::Spec {
        field,
        found,
        expected,
    })
}

impl ModelSpec {
    pub(super) fn check(&self) -> Result<(), Error> {
        let (&classes, &image_size) = match self {
            Self::ResNet(ResNet {
                classes, image_size, ..
            })
            | Self::Classifier(Classifier {
                classes, image_size, ..
            }) => (classes, image_size),
            Self::Graph(_) => return Ok(()),
            Self::Head(whole) => return whole.check(),
            Self::ClassScales(classes) => return at_least("classes", (*classes, 2), "at least 2"),
        };
        at_least("classes", (classes, 2), "at least 2")?;
        at_least("image size", (image_size, 32), "at least 32 pixels")?;
        let Self::ResNet(ResNet { backbone, head, .. }) = self else {
            return Ok(());
        };
        at_least("width", (backbone.width, 1), "at least 1")?;
        match *head {
            Head::Fastai { hidden, .. } => at_least("hidden", (hidden, 1), "at least 1"),
            Head::Plain | Head::Cosine { .. } => Ok(()),
        }
    }

    /// Names and types of the inputs.
    pub(super) fn inputs(&self, batch: usize, images: Images) -> Result<Vec<(String, TensorType)>, Error> {
        match self {
            Self::ResNet(ResNet { image_size, .. }) | Self::Classifier(Classifier { image_size, .. }) => {
                let shape = images.shape(batch, *image_size);
                let tensor_type = TensorType::new(images.element_type(), shape);
                Ok(vec![("images".to_owned(), tensor_type)])
            }
            Self::Graph(graph) => Ok(graph.inputs(batch)?),
            Self::ClassScales(classes) => {
                Ok(vec![("features".to_owned(), TensorType::f32([batch, *classes]))])
            }
            Self::Head(whole) => Ok(vec![("features".to_owned(), head::features_type(whole, batch)?)]),
        }
    }

    /// Adds the network and returns its outputs by name.
    pub(super) fn build(
        &self,
        builder: &mut Builder<'_>,
        inputs: &[Value],
        images: Images,
    ) -> Result<Vec<(String, Value)>, Error> {
        let logits = match self {
            Self::ResNet(ResNet {
                backbone,
                head,
                classes,
                ..
            }) => {
                let normal = images.normalised(builder.graph, inputs[0])?;
                let features = backbone.build(builder, normal)?;
                head.build(builder, features, *classes)?
            }
            Self::Classifier(Classifier { network, classes, .. }) => {
                let normal = images.normalised(builder.graph, inputs[0])?;
                network.build(builder, normal, *classes)?
            }
            Self::Graph(graph) => return Ok(graph.build(builder, inputs)?),
            Self::ClassScales(_) => builder.class_scales(inputs[0])?,
            Self::Head(whole) => head::build(whole, builder, inputs[0])?,
        };
        Ok(vec![("logits".to_owned(), logits)])
    }

    /// Whether the network computes `logits` for `targets`.
    pub(super) fn is_classifier(&self) -> bool {
        !matches!(self, Self::Graph(_))
    }

    /// Adds the network with its inputs and returns its outputs by name.
    pub(super) fn build_whole(
        &self,
        builder: &mut Builder<'_>,
        batch: usize,
        images: Images,
    ) -> Result<Vec<(String, Value)>, Error> {
        let inputs = self.inputs(batch, images)?.into_iter();
        let inputs = inputs.map(|(name, tensor_type)| builder.graph.input(&name, tensor_type));
        let inputs: Vec<Value> = inputs.collect::<Result<_, _>>()?;
        self.build(builder, &inputs, images)
    }

    /// Builds the network in a graph of its own, for inference on `batch` float samples; returns its outputs and what `inspect` does.
    pub(super) fn in_graph<T>(
        &self,
        graph: &mut Graph,
        batch: usize,
        inspect: impl FnOnce(&Builder<'_>) -> T,
    ) -> Result<(Vec<(String, Value)>, T), Error> {
        self.check()?;
        let mut builder = Builder::new(graph, Mode::Inference);
        let outputs = self.build_whole(&mut builder, batch, Images::F32)?;
        let inspected = inspect(&builder);
        Ok((outputs, inspected))
    }
}

/// Specification of a training step.
#[derive(Clone, Debug)]
pub struct TrainSpec {
    /// The network.
    pub model: ModelSpec,
    /// Samples per step, or per micro-batch with gradient accumulation.
    pub batch_size: usize,
    /// Element type and layout of a classifier's images.
    pub images: Images,
    /// Learning rates, weight decay and freezing by parameter.
    pub groups: Vec<ParameterGroup>,
    /// Whether the body's batch norms use their running statistics, which are not updated, as in PyTorch's `eval` mode.
    pub norms_are_frozen: bool,
    /// The loss.
    pub loss: Loss,
    /// Maximum global norm of the gradients, if they are clipped.
    pub clip_norm: Option<f32>,
    /// Whether exponential moving averages of parameters and statistics are kept.
    pub average: bool,
    /// The optimizer.
    pub optimizer: Arc<dyn Optimizer>,
    /// The precision.
    pub precision: Precision,
    /// What computes the step.
    pub kernels: Kernels,
}

impl TrainSpec {
    /// A step that trains all parameters of a classifier, with cross-entropy of `logits` and `targets`, fastai's optimizer and one learning rate
    /// per layer group.
    #[must_use]
    pub fn new(model: impl Into<ModelSpec>, batch_size: usize) -> Self {
        Self {
            model: model.into(),
            batch_size,
            images: Images::F32,
            groups: ParameterGroup::layers(),
            norms_are_frozen: false,
            loss: Loss::soft_cross_entropy("logits", "targets", 0.0),
            clip_norm: None,
            average: false,
            optimizer: Arc::new(AdamW::fastai()),
            precision: Precision::F32,
            kernels: Kernels::Cpu,
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

    /// Freezes the norms of the body: their parameters and, of batch norms, the running statistics.
    #[must_use]
    pub fn freeze_norms(mut self) -> Self {
        let is_norm = |parameter: &Parameter| parameter.kind.is_norm() && parameter.group != LayerGroup::Head;
        self.groups.push(ParameterGroup::of(is_norm).frozen(true));
        self.norms_are_frozen = true;
        self
    }

    /// Whether running statistics of this layer group are updated.
    pub(super) fn updates(&self, group: LayerGroup) -> bool {
        !self.norms_are_frozen || group == LayerGroup::Head
    }

    /// The trained ones of `parameters`.
    pub(super) fn trained(&self, parameters: &[Parameter]) -> Result<Vec<Trained>, Error> {
        trained(&self.groups, parameters)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        self.model.check()?;
        if !self.model.is_classifier() || self.norms_are_frozen {
            return at_least("batch size", (self.batch_size, 1), "at least 1");
        }
        let expected = "at least 2, because batch norms need a batch variance";
        at_least("batch size", (self.batch_size, 2), expected)
    }
}
