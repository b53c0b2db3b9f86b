use super::{Dropout, LayerGroup, Parameter, ParameterKind, Statistic};
use crate::graph::{Error, Graph, Shape, Value};

/// Which of its two behaviours a network shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch norm uses the batch's statistics and updates the running ones; dropout multiplies by a mask that is given.
    Train,
    /// Batch norm uses the running statistics; dropout does nothing.
    Inference,
}

/// A model under construction: a graph, and a record of everything in it that has a life between runs.
#[derive(Debug)]
pub struct Builder<'g> {
    /// What the layers are added to.
    pub graph: &'g mut Graph,
    pub(super) mode: Mode,
    /// A truth value of the graph, for training in parts that may come to nothing: whether running statistics go on from those of the part
    /// before, which stand beside them, as [`pending`](super::pending) says.
    pub(crate) is_accumulating: Option<Value>,
    pub(super) group: LayerGroup,
    pub(super) parameters: Vec<Parameter>,
    pub(super) statistics: Vec<Statistic>,
    pub(super) dropouts: Vec<Dropout>,
}

impl<'g> Builder<'g> {
    /// A model without layers.
    pub fn new(graph: &'g mut Graph, mode: Mode) -> Self {
        let (parameters, statistics, dropouts) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            graph,
            mode,
            is_accumulating: None,
            group: LayerGroup::Early,
            parameters,
            statistics,
            dropouts,
        }
    }

    /// Everything that is learnt, in the order of the layers.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The running statistics of all batch norms, in the order of the layers.
    #[must_use]
    pub fn statistics(&self) -> &[Statistic] {
        &self.statistics
    }

    /// The masks that a training step must be given.
    #[must_use]
    pub fn dropouts(&self) -> &[Dropout] {
        &self.dropouts
    }

    /// Declares a parameter of the layer `layer` in the current group.
    pub(super) fn parameter(
        &mut self,
        layer: &str,
        field: &str,
        kind: ParameterKind,
        shape: impl Into<Shape>,
    ) -> Result<Value, Error> {
        self.named_parameter(&format!("{layer}.{field}"), kind, shape)
    }

    /// Declares a parameter in the current group under a whole name.
    pub(super) fn named_parameter(
        &mut self,
        name: &str,
        kind: ParameterKind,
        shape: impl Into<Shape>,
    ) -> Result<Value, Error> {
        let value = self.graph.parameter(name, shape)?;
        self.parameters.push(Parameter {
            name: name.to_owned(),
            value,
            group: self.group,
            kind,
        });
        Ok(value)
    }

    /// Adds one layer's nodes under its name.
    pub(super) fn layer<T>(&mut self, name: &str, build: impl FnOnce(&mut Graph) -> T) -> T {
        self.graph.scoped(name, build)
    }
}
