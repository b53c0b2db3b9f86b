use std::collections::HashMap;

use super::{Dropout, LayerGroup, Parameter, ParameterKind, Statistic};
use crate::graph::{Error, Graph, Shape, Value};

/// Whether layers are built for training or for inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch norm uses batch statistics and updates the running ones; dropout multiplies by a mask input.
    Train,
    /// Batch norm uses running statistics; dropout is the identity.
    Inference,
    /// Batch norm uses batch statistics, and the running ones become those of the batch; dropout is the identity.
    Statistics,
}

/// Builds a model: a graph, its parameters, running statistics and dropout masks.
#[derive(Debug)]
pub struct Builder<'g> {
    /// The graph that layers are added to.
    pub graph: &'g mut Graph,
    pub(super) mode: Mode,
    /// Mode of the body's batch norms, which may use running statistics in training.
    pub(crate) norm_mode: Mode,
    /// A boolean of the graph, for gradient accumulation whose steps may be rolled back: whether running statistics continue from those that
    /// the previous micro-batch left in the staged tensors (see [`staged_name`](super::staged_name)).
    pub(crate) is_accumulating: Option<Value>,
    pub(super) group: LayerGroup,
    pub(super) parameters: Vec<Parameter>,
    pub(super) statistics: Vec<Statistic>,
    pub(super) dropouts: Vec<Dropout>,
}

impl<'g> Builder<'g> {
    /// An empty model.
    pub fn new(graph: &'g mut Graph, mode: Mode) -> Self {
        let (parameters, statistics, dropouts) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            graph,
            mode,
            norm_mode: mode,
            is_accumulating: None,
            group: LayerGroup::Early,
            parameters,
            statistics,
            dropouts,
        }
    }

    /// An empty model in another graph. Its body, if it has one, is not trained.
    pub(crate) fn of_same_mode<'other>(&self, graph: &'other mut Graph) -> Builder<'other> {
        let mut other = Builder::new(graph, self.mode);
        other.norm_mode = Mode::Inference;
        other
    }

    /// Trainable parameters, in layer order.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Running statistics of all batch norms, in layer order.
    #[must_use]
    pub fn statistics(&self) -> &[Statistic] {
        &self.statistics
    }

    /// Dropout masks that a training step takes as inputs.
    #[must_use]
    pub fn dropouts(&self) -> &[Dropout] {
        &self.dropouts
    }

    /// Adds the head of another builder's model, whose values were copied into this graph.
    pub(crate) fn adopt_head(&mut self, whole: &Builder<'_>, copies: &HashMap<Value, Value>) {
        let copied = |value: Value| copies[&value];
        let parameters = whole
            .parameters
            .iter()
            .filter(|own| own.group == LayerGroup::Head);
        self.parameters.extend(parameters.map(|own| Parameter {
            value: copied(own.value),
            ..own.clone()
        }));
        let statistics = whole
            .statistics
            .iter()
            .filter(|own| own.group == LayerGroup::Head);
        self.statistics.extend(statistics.map(|own| Statistic {
            value: copied(own.value),
            next: own.next.map(copied),
            staged: own.staged.map(copied),
            ..own.clone()
        }));
        let dropouts = whole.dropouts.iter().filter(|own| own.group == LayerGroup::Head);
        self.dropouts.extend(dropouts.cloned());
    }

    /// Declares the parameter `layer.field` in the current layer group.
    pub(super) fn parameter(
        &mut self,
        layer: &str,
        field: &str,
        kind: ParameterKind,
        shape: impl Into<Shape>,
    ) -> Result<Value, Error> {
        self.named_parameter(&format!("{layer}.{field}"), kind, shape)
    }

    /// Declares a parameter under its full name in the current layer group.
    pub(super) fn named_parameter(
        &mut self,
        name: &str,
        kind: ParameterKind,
        shape: impl Into<Shape>,
    ) -> Result<Value, Error> {
        let shape = shape.into();
        let value = self.graph.parameter(name, shape.clone())?;
        self.parameters.push(Parameter {
            name: name.to_owned(),
            value,
            shape,
            group: self.group,
            kind,
        });
        Ok(value)
    }

    /// Adds a layer's nodes in the scope `name`.
    pub(super) fn layer<T>(&mut self, name: &str, build: impl FnOnce(&mut Graph) -> T) -> T {
        self.graph.scoped(name, build)
    }
}
