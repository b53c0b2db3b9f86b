use super::pack::Pack;
use super::{Error, Role, Signature, StatePair, ValueInfo};
use crate::graph::{Graph, TensorType, Value};

/// Builds a program's graph together with its signature.
#[derive(Debug, Default)]
pub(super) struct ProgramBuilder {
    pub(super) graph: Graph,
    pub(super) signature: Signature,
    /// Leaves that are parts of others once the program is complete.
    pub(super) packs: Vec<Pack>,
}

impl ProgramBuilder {
    /// Declares an input.
    pub(super) fn input(&mut self, name: &str, tensor_type: TensorType) -> Result<Value, Error> {
        let value = self.graph.input(name, tensor_type)?;
        self.signature.inputs.push(info(&self.graph, name, value));
        Ok(value)
    }

    /// Declares a scalar input, `f32[]`.
    pub(super) fn scalar(&mut self, name: &str) -> Result<Value, Error> {
        self.input(name, TensorType::f32([]))
    }

    /// Declares a value as state, replaced by `next` after each run if that is given.
    pub(super) fn state(
        &mut self,
        name: &str,
        role: Role,
        value: Value,
        next: Option<Value>,
    ) -> Result<(), Error> {
        let output = next.map(|_| format!("{name}.next"));
        if let (Some(output), Some(next)) = (&output, next) {
            self.graph.output(output, next)?;
        }
        self.signature.state.push(StatePair {
            name: name.to_owned(),
            input: name.to_owned(),
            output,
            is_in_place: false,
            shape: self.graph.shape(value).clone(),
            role,
            members: vec![],
        });
        Ok(())
    }

    /// Declares an output.
    pub(super) fn output(&mut self, name: &str, value: Value) -> Result<(), Error> {
        self.graph.output(name, value)?;
        self.signature.outputs.push(info(&self.graph, name, value));
        Ok(())
    }
}

/// The signature's description of a value.
pub(super) fn info(graph: &Graph, name: &str, value: Value) -> ValueInfo {
    let TensorType { element_type, shape } = graph.tensor_type(value).clone();
    ValueInfo {
        name: name.to_owned(),
        element_type,
        shape,
    }
}
