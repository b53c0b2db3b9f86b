//! Vectors that hold several tensors of a program, so that one node computes what would else be a node for each: on a GPU the time of a small node is
//! that of its launch.

use std::collections::{BTreeMap, HashMap};

use super::builder::ProgramBuilder;
use super::groups::{Settings, Trained};
use super::{ElementType, Error, Role, Signature, StatePair, TrainSpec, ValueInfo};
use crate::graph::{Graph, Shape, TensorType, Value};
use crate::nn::Parameter;

/// Name of the input that holds several.
pub const PACKED_INPUTS: &str = "packed.inputs";

/// A leaf of a graph, and the leaves that are its consecutive parts.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) whole: Value,
    pub(super) members: Vec<Value>,
}

/// The graph in which the members of `packs` are no leaves, but parts of their pack. All other leaves are kept.
pub(super) fn with_packs(graph: Graph, packs: &[Pack]) -> Result<Graph, Error> {
    if packs.is_empty() {
        return Ok(graph);
    }
    let mut to = Graph::new();
    let mut copies = HashMap::new();
    for (number, Pack { whole, members }) in packs.iter().enumerate() {
        graph.copy_into(&mut to, &[*whole], &mut copies)?;
        let lengths: Vec<usize> = members
            .iter()
            .map(|&member| graph.shape(member).elements())
            .collect();
        let whole = copies[whole];
        let parts = to.scoped(&format!("unpack.{number}"), |to| {
            let parts = to.split(whole, &lengths)?.into_iter().zip(members);
            let shaped = parts.map(|(part, &member)| to.reshape(part, graph.shape(member).clone()));
            shaped.collect::<Result<Vec<_>, _>>()
        })?;
        copies.extend(members.iter().copied().zip(parts));
    }
    let outputs: Vec<Value> = graph.outputs().iter().map(|(_, value)| *value).collect();
    let wanted: Vec<Value> = graph.leaves().chain(outputs.iter().copied()).collect();
    graph.copy_into(&mut to, &wanted, &mut copies)?;
    for (name, value) in graph.outputs() {
        to.output(name, copies[value])?;
    }
    Ok(to)
}

/// The elements of all values, one after the other.
fn joined(g: &mut Graph, scope: &str, values: &[Value]) -> Result<Value, Error> {
    let joined = g.scoped(scope, |g| {
        let flat = values.iter().map(|&value| {
            let elements = g.shape(value).elements();
            g.reshape(value, Shape::from([elements]))
        });
        let flat = flat.collect::<Result<Vec<_>, _>>()?;
        g.concat(0, &flat)
    });
    Ok(joined?)
}

/// Makes the float inputs of a step other than the network's own parts of one, so that they are copied to a device at once.
pub(super) fn inputs(spec: &TrainSpec, program: &mut ProgramBuilder) -> Result<(), Error> {
    if !spec.kernels.are_of_cuda() {
        return Ok(());
    }
    let network = spec.model.inputs(spec.batch_size, spec.images)?;
    let is_own = |input: &ValueInfo| network.iter().any(|(name, _)| *name == input.name);
    let floats = program.signature.inputs.iter();
    let floats = floats.filter(|input| input.element_type == ElementType::F32 && !is_own(input));
    let floats: Vec<ValueInfo> = floats.cloned().collect();
    let members = floats.iter().filter_map(|input| program.graph.named(&input.name));
    let members: Vec<Value> = members.collect();
    let elements: usize = floats.iter().map(|input| input.shape.elements()).sum();
    let whole = program.graph.input(PACKED_INPUTS, TensorType::f32([elements]))?;
    program.signature.packed_inputs = floats.into_iter().map(|input| input.name).collect();
    program.packs.push(Pack { whole, members });
    Ok(())
}

/// What an optimizer updates by one set of nodes: a parameter, or all parameters of equal settings as one vector.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// Name in the state.
    pub(super) name: String,
    pub(super) settings: Settings,
    /// Indices of its parameters in the list of trained ones.
    trained: Vec<usize>,
    /// Names and shapes of its parameters, if it is a vector.
    members: Vec<(String, Shape)>,
    /// The shape.
    pub(super) shape: Shape,
}

impl Unit {
    /// The units of a step. They depend on the specification and the parameters alone, so both programs of a step have the same.
    pub(super) fn of(spec: &TrainSpec, trained: &[Trained]) -> Vec<Self> {
        if !(spec.kernels.are_of_cuda() && spec.optimizer.is_elementwise()) {
            let single = trained.iter().enumerate().map(|(index, own)| Self {
                name: own.parameter.name.clone(),
                settings: own.settings,
                trained: vec![index],
                members: vec![],
                shape: own.parameter.shape.clone(),
            });
            return single.collect();
        }
        let mut units: Vec<Self> = vec![];
        for (index, Trained { parameter, settings }) in trained.iter().enumerate() {
            let known = units.iter().position(|unit| unit.settings == *settings);
            let at = known.unwrap_or_else(|| {
                units.push(Self {
                    name: format!("packed.{}", units.len()),
                    settings: *settings,
                    trained: vec![],
                    members: vec![],
                    shape: Shape::from([0]),
                });
                units.len() - 1
            });
            let unit = &mut units[at];
            unit.trained.push(index);
            unit.members
                .push((parameter.name.clone(), parameter.shape.clone()));
            unit.shape = Shape::from([unit.shape[0] + parameter.shape.elements()]);
        }
        units
    }

    /// Whether it is a vector.
    pub(super) fn is_packed(&self) -> bool {
        !self.members.is_empty()
    }

    /// Its value in a graph that has its parameters as leaves. If it is a vector, they become its parts when the program is complete.
    pub(super) fn value(&self, program: &mut ProgramBuilder, trained: &[Trained]) -> Result<Value, Error> {
        let members = self.trained.iter().map(|&index| trained[index].parameter.value);
        if !self.is_packed() {
            return Ok(trained[self.trained[0]].parameter.value);
        }
        let whole = program.graph.parameter(&self.name, self.shape.clone())?;
        let members = members.collect();
        program.packs.push(Pack { whole, members });
        Ok(whole)
    }

    /// Its gradient, from those of all trained parameters.
    pub(super) fn gradient(&self, g: &mut Graph, gradients: &[Value]) -> Result<Value, Error> {
        let own: Vec<Value> = self.trained.iter().map(|&index| gradients[index]).collect();
        if !self.is_packed() {
            return Ok(own[0]);
        }
        joined(g, &format!("gradient.{}", self.name), &own)
    }

    /// Declares a tensor for it as state, named by the prefix and the parameters.
    pub(super) fn state(
        &self,
        program: &mut ProgramBuilder,
        (prefix, role): (&str, Role),
        value: Value,
        next: Option<Value>,
    ) -> Result<(), Error> {
        program.state(&format!("{prefix}{}", self.name), role, value, next)?;
        let members = self.members.iter();
        let members = members.map(|(name, shape)| (format!("{prefix}{name}"), shape.clone()));
        if let Some(pair) = program.signature.state.last_mut() {
            pair.members = members.collect();
        }
        Ok(())
    }

    /// Its position among the members, if it is a vector that holds the parameter.
    fn position(&self, parameter: &str) -> Option<usize> {
        self.members.iter().position(|(name, _)| name == parameter)
    }
}

/// Declares all parameters as state: the units, whose values and next values are given, and those that are not trained.
pub(super) fn parameters(
    program: &mut ProgramBuilder,
    all: &[Parameter],
    units: &[(Unit, Value)],
    next: &BTreeMap<String, Value>,
) -> Result<(), Error> {
    for Parameter { name, value, .. } in all {
        let holder = units.iter().find_map(|own| Some((own, own.0.position(name)?)));
        match holder {
            None => program.state(name, Role::Parameter, *value, next.get(name).copied())?,
            Some(((unit, whole), 0)) => {
                unit.state(
                    program,
                    ("", Role::Parameter),
                    *whole,
                    next.get(&unit.name).copied(),
                )?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Declares all parameters as state that does not change, in the vectors in which a training step of signature `step` has them.
pub(super) fn same_state(
    program: &mut ProgramBuilder,
    parameters: &[Parameter],
    step: &Signature,
) -> Result<(), Error> {
    let of_step = step.state.iter().filter(|pair| pair.role == Role::Parameter);
    let vectors: Vec<&StatePair> = of_step.filter(|pair| !pair.members.is_empty()).collect();
    for StatePair {
        name, shape, members, ..
    } in &vectors
    {
        let whole = program.graph.parameter(name, shape.clone())?;
        program.state(name, Role::Parameter, whole, None)?;
        let members = members.iter().map(|(member, _)| {
            let own = parameters.iter().find(|own| own.name == *member);
            own.map(|own| own.value)
                .ok_or_else(|| Error::MissingState { name: member.clone() })
        });
        let members = members.collect::<Result<_, _>>()?;
        program.packs.push(Pack { whole, members });
    }
    let is_in = |vector: &StatePair, name: &str| vector.members.iter().any(|(member, _)| member == name);
    for Parameter { name, value, .. } in parameters {
        if !vectors.iter().any(|vector| is_in(vector, name)) {
            program.state(name, Role::Parameter, *value, None)?;
        }
    }
    Ok(())
}
