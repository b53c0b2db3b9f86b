use std::collections::BTreeMap;

use super::builder::ProgramBuilder;
use super::{Error, Role, TrainSpec};
use crate::graph::Value;
use crate::nn::{LayerGroup, Parameter};
use crate::optim::{
    GroupScalars, Moments, SharedScalars, UpdateInputs, are_finite, average, clip_by_norm, sum_of_squares,
    unscale,
};

/// Adds the optimizer's update of all trained parameters and returns their next values by name. `scale` is the loss scale, if the gradients
/// are scaled. Adds the output `is_finite`.
pub(super) fn update(
    spec: &TrainSpec,
    program: &mut ProgramBuilder,
    trained: &[Parameter],
    (gradients, scale): (&[Value], Option<Value>),
) -> Result<BTreeMap<String, Value>, Error> {
    let gradients = match scale {
        Some(scale) => program
            .graph
            .scoped("unscale", |g| unscale(g, gradients, scale))?,
        None => gradients.to_vec(),
    };
    let squares = program
        .graph
        .scoped("is_finite", |g| sum_of_squares(g, &gradients))?;
    let is_finite = program.graph.scoped("is_finite", |g| are_finite(g, squares))?;
    program.output("is_finite", is_finite)?;
    let gradients = clipped(spec, program, (gradients, squares))?;
    let optimizer = &spec.optimizer;
    let (schedule, rates) = schedule(spec, program, trained)?;
    let mut next = BTreeMap::new();
    for (parameter, gradient) in trained.iter().zip(gradients) {
        let shape = program.graph.shape(parameter.value).clone();
        let names = ["first_moment", "second_moment"].map(|moment| format!("{moment}.{}", parameter.name));
        let moments = Moments {
            first: program.graph.parameter(&names[0], shape.clone())?,
            second: program.graph.parameter(&names[1], shape)?,
        };
        let hyper = (&schedule, &rates[&parameter.group]);
        let moved = UpdateInputs {
            parameter: parameter.value,
            gradient,
            moments,
        };
        let scope = format!("adamw/{}", parameter.name);
        let (value, updated) = program
            .graph
            .scoped(&scope, |g| optimizer.update(g, hyper, moved))?;
        next.insert(parameter.name.clone(), value);
        program.state(&names[0], Role::FirstMoment, moments.first, Some(updated.first))?;
        program.state(
            &names[1],
            Role::SecondMoment,
            moments.second,
            Some(updated.second),
        )?;
    }
    Ok(next)
}

/// Clips the gradients if the specification says so; adds the output `gradient_norm`.
fn clipped(
    spec: &TrainSpec,
    program: &mut ProgramBuilder,
    (gradients, squares): (Vec<Value>, Value),
) -> Result<Vec<Value>, Error> {
    let Some(largest) = spec.clip_norm else {
        return Ok(gradients);
    };
    let clip = |g: &mut _| clip_by_norm(g, (&gradients, squares), largest);
    let (gradients, norm) = program.graph.scoped("clip", clip)?;
    program.output("gradient_norm", norm)?;
    Ok(gradients)
}

/// Declares the scheduled scalars as inputs.
fn schedule(
    spec: &TrainSpec,
    program: &mut ProgramBuilder,
    trained: &[Parameter],
) -> Result<(SharedScalars, BTreeMap<LayerGroup, GroupScalars>), Error> {
    let optimizer = &spec.optimizer;
    let beta1 = program.scalar("beta1")?;
    let correction1 = program.scalar("bias_correction1")?;
    let correction2 = program.scalar("bias_correction2")?;
    let schedule = program.graph.scoped("adamw", |g| {
        optimizer.schedule(g, beta1, correction1, correction2)
    })?;
    let mut rates = BTreeMap::new();
    for group in LayerGroup::ALL {
        // Frozen groups have an input too, so that the caller need not know which groups are frozen.
        let learning_rate = program.scalar(&format!("learning_rate.{}", group.index()))?;
        if trained.iter().any(|parameter| parameter.group == group) {
            let rate = program
                .graph
                .scoped("adamw", |g| optimizer.rate(g, &schedule, learning_rate))?;
            rates.insert(group, rate);
        }
    }
    Ok((schedule, rates))
}

/// Adds exponential moving averages of the named values, with input `average_decay`, if the specification asks for them.
pub(super) fn averages(
    spec: &TrainSpec,
    program: &mut ProgramBuilder,
    values: &[(&str, Value)],
) -> Result<(), Error> {
    if !spec.average {
        return Ok(());
    }
    let decay = program.scalar("average_decay")?;
    for &(name, value) in values {
        let averaged = format!("average.{name}");
        let shape = program.graph.shape(value).clone();
        let old = program.graph.parameter(&averaged, shape)?;
        let new = program
            .graph
            .scoped(&averaged, |g| average(g, old, value, decay))?;
        program.state(&averaged, Role::Average, old, Some(new))?;
    }
    Ok(())
}
