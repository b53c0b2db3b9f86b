use std::collections::BTreeMap;

use super::builder::ProgramBuilder;
use super::groups::{Trained, learning_rates};
use super::{Error, Role, TrainSpec};
use crate::graph::Value;
use crate::optim::{GroupScalars, UpdateInputs, are_finite, average, clip_by_norm, sum_of_squares, unscale};

/// Adds the optimizer's update of all trained parameters and returns their next values by name. `scale` is the loss scale, if the gradients
/// are scaled. Adds the output `is_finite`.
pub(super) fn update(
    spec: &TrainSpec,
    program: &mut ProgramBuilder,
    trained: &[Trained],
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
    let optimizer = &*spec.optimizer;
    let mut next = BTreeMap::new();
    for (scalars, members) in groups(spec, program, trained)? {
        let mut inputs = vec![];
        for &member in &members {
            let parameter = &trained[member].parameter;
            let shape = program.graph.shape(parameter.value).clone();
            let slots = optimizer.slots().iter();
            let slots = slots.map(|slot| {
                program
                    .graph
                    .parameter(&format!("{slot}.{}", parameter.name), shape.clone())
            });
            inputs.push(UpdateInputs {
                scope: format!("{}/{}", optimizer.name(), parameter.name),
                parameter: parameter.value,
                gradient: gradients[member],
                slots: slots.collect::<Result<_, _>>()?,
            });
        }
        let updated = optimizer.emit(&mut program.graph, &scalars, &inputs)?;
        for ((&member, inputs), updated) in members.iter().zip(&inputs).zip(updated) {
            let name = &trained[member].parameter.name;
            next.insert(name.clone(), updated.parameter);
            let slots = optimizer.slots().iter().zip(&inputs.slots).zip(updated.slots);
            for ((slot, &before), after) in slots {
                program.state(&format!("{slot}.{name}"), Role::Optimizer, before, Some(after))?;
            }
        }
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

/// Declares the scalars of the step as inputs. Returns the scalars of the parameters that share them, and the indices of these in `trained`.
fn groups(
    spec: &TrainSpec,
    program: &mut ProgramBuilder,
    trained: &[Trained],
) -> Result<Vec<(GroupScalars, Vec<usize>)>, Error> {
    let names = spec.optimizer.hyperparameters(1, None).into_iter();
    let hyperparameters = names.map(|(name, _)| program.scalar(name));
    let hyperparameters: Vec<Value> = hyperparameters.collect::<Result<_, _>>()?;
    // The groups of frozen parameters have an input too, so that the caller need not know which are frozen.
    let has_other = trained.iter().any(|trained| trained.settings.rate.is_none());
    let mut rates = BTreeMap::new();
    for (group, rate) in learning_rates(&spec.groups, has_other) {
        rates.insert(group, program.scalar(&rate.input)?);
        program.signature.learning_rates.push(rate);
    }
    let mut groups: BTreeMap<(Option<usize>, u32), (GroupScalars, Vec<usize>)> = BTreeMap::new();
    for (index, Trained { settings, .. }) in trained.iter().enumerate() {
        let weight_decay = settings.weight_decay.unwrap_or(spec.optimizer.weight_decay());
        let scalars = || GroupScalars {
            learning_rate: rates[&settings.rate],
            weight_decay,
            hyperparameters: hyperparameters.clone(),
        };
        let group = groups.entry((settings.rate, weight_decay.to_bits()));
        group.or_insert_with(|| (scalars(), vec![])).1.push(index);
    }
    Ok(groups.into_values().collect())
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
