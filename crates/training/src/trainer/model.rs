use std::{fs, path::Path, sync::Arc};

use super::Error;
use crate::graph::import;
use crate::nn::Parameter;
use crate::program::{ModelSpec, OnnxGraph, ParameterGroup};

/// A network from an ONNX file, and which of its parameters are trained.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) graph: OnnxGraph,
    pub(super) frozen: Vec<ParameterGroup>,
}

impl Model {
    /// Reads a network and its external data files, which are in the same folder. See [`nn::import`](crate::nn::import) for what is trained.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, [`Error::Model`] if it is not a supported ONNX model.
    pub fn from_onnx(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::File {
            what: "read",
            path: path.to_path_buf(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let external = |location: &str| import::read_external_data(folder, location);
        let model = import::read(&bytes, &external).map_err(|source| Error::Model {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(Self {
            graph: OnnxGraph::new(model),
            frozen: vec![],
        })
    }

    /// Gives a linear layer another number of outputs and new initial values. `name` is the name of its weight with or without `.weight`.
    ///
    /// # Errors
    /// [`Error::Network`] if the file has no such layer, or `outputs` is 0.
    pub fn replace_linear(self, name: &str, outputs: usize) -> Result<Self, Error> {
        Ok(Self {
            graph: self.graph.replace_linear(name, outputs)?,
            ..self
        })
    }

    /// Freezes the parameters that the predicate does not select.
    #[must_use]
    pub fn trainable(mut self, is_trained: impl Fn(&Parameter) -> bool + Send + Sync + 'static) -> Self {
        let frozen = ParameterGroup::of(move |parameter| !is_trained(parameter)).frozen(true);
        self.frozen.push(frozen);
        self
    }

    pub(super) fn into_spec(self) -> ModelSpec {
        ModelSpec::Graph(Arc::new(self.graph))
    }
}
