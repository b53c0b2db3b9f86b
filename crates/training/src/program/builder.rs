use super::{Error, Role, Signature, StatePair, ValueInfo};
use crate::graph::{Graph, TensorType, Value};

/// A program under construction: its graph, and what goes in and comes out.
#[derive(Default)]
pub(super) struct ProgramBuilder {
    pub(super) graph: Graph,
    pub(super) signature: Signature,
}

impl ProgramBuilder {
    /// A value that every run is given.
    pub(super) fn input(&mut self, name: &str, tensor_type: TensorType) -> Result<Value, Error> {
        let value = self.graph.input(name, tensor_type)?;
        self.signature.inputs.push(info(&self.graph, name, value));
        Ok(value)
    }

    /// A number that every run is given.
    pub(super) fn scalar(&mut self, name: &str) -> Result<Value, Error> {
        self.input(name, TensorType::f32([]))
    }

    /// Makes a value a piece of state, which `next` replaces where there is one.
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
            shape: self.graph.shape(value).clone(),
            role,
        });
        Ok(())
    }

    /// What a run is made for.
    pub(super) fn output(&mut self, name: &str, value: Value) -> Result<(), Error> {
        self.graph.output(name, value)?;
        self.signature.outputs.push(info(&self.graph, name, value));
        Ok(())
    }
}

/// A value as a signature lists it.
pub(super) fn info(graph: &Graph, name: &str, value: Value) -> ValueInfo {
    let TensorType { element_type, shape } = graph.tensor_type(value).clone();
    ValueInfo {
        name: name.to_owned(),
        element_type,
        shape,
    }
}
