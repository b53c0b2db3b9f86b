use std::collections::BTreeMap;

use super::builder::ProgramBuilder;
use super::groups::learning_rates;
use super::pack::Unit;
use super::{Error, Role, TrainSpec};
use crate::graph::Value;
use crate::optim::{GroupScalars, UpdateInputs, are_finite, average, clip_by_norm, sum_of_squares, unscale};

/// Adds the optimizer's update of all units and returns their next values by name. `scale` is the loss scale, if the gradients are scaled. Adds
/// the output `is_finite`.
pub(super) fn update(
    spec: &TrainSpec,
    program: &mut ProgramBuilder,
    units: &[(Unit, Value)],
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
    for (scalars, members) in groups(spec, program, units)? {
        let mut inputs = vec![];
        for &member in &members {
            let (Unit { name, shape, .. }, parameter) = &units[member];
            let slots = optimizer.slots().iter();
            let slots = slots.map(|slot| program.graph.parameter(&format!("{slot}.{name}"), shape.clone()));
            inputs.push(UpdateInputs {
                scope: format!("{}/{name}", optimizer.name()),
                parameter: *parameter,
                gradient: gradients[member],
                slots: slots.collect::<Result<_, _>>()?,
            });
        }
        let updated = optimizer.emit(&mut program.graph, &scalars, &inputs)?;
        for ((&member, inputs), updated) in members.iter().zip(&inputs).zip(updated) {
            let unit = &units[member].0;
            next.insert(unit.name.clone(), updated.parameter);
            let slots = optimizer.slots().iter().zip(&inputs.slots).zip(updated.slots);
            for ((slot, &before), after) in slots {
                let of = (&*format!("{slot}."), Role::Optimizer);
                unit.state(program, of, before, Some(after))?;
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

/// Declares the scalars of the step as inputs. Returns the scalars of the units that share them, and the indices of these in `units`.
fn groups(
    spec: &TrainSpec,
    program: &mut ProgramBuilder,
    units: &[(Unit, Value)],
) -> Result<Vec<(GroupScalars, Vec<usize>)>, Error> {
    let names = spec.optimizer.hyperparameters(1, None).into_iter();
    let hyperparameters = names.map(|(name, _)| program.scalar(name));
    let hyperparameters: Vec<Value> = hyperparameters.collect::<Result<_, _>>()?;
    // The groups of frozen parameters have an input too, so that the caller need not know which are frozen.
    let has_other = units.iter().any(|(unit, _)| unit.settings.rate.is_none());
    let mut rates = BTreeMap::new();
    for (group, rate) in learning_rates(&spec.groups, has_other) {
        rates.insert(group, program.scalar(&rate.input)?);
        program.signature.learning_rates.push(rate);
    }
    let mut groups: BTreeMap<(Option<usize>, u32), (GroupScalars, Vec<usize>)> = BTreeMap::new();
    for (index, (Unit { settings, .. }, _)) in units.iter().enumerate() {
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

/// Adds exponential moving averages of the named values and of the units, with input `average_decay`, if the specification asks for them. `next` has the
/// units' next values.
pub(super) fn averages(
    spec: &TrainSpec,
    program: &mut ProgramBuilder,
    values: &[(&str, Value)],
    (units, next): (&[(Unit, Value)], &BTreeMap<String, Value>),
) -> Result<(), Error> {
    if !spec.average {
        return Ok(());
    }
    let decay = program.scalar("average_decay")?;
    for &(name, value) in values {
        let (old, new) = averaged(program, name, value, decay)?;
        program.state(&format!("average.{name}"), Role::Average, old, Some(new))?;
    }
    let unit_of = |name: &str| units.iter().map(|(unit, _)| unit).find(|unit| unit.name == name);
    for (name, &value) in next {
        let (old, new) = averaged(program, name, value, decay)?;
        let unit = unit_of(name).expect("every unit is updated");
        unit.state(program, ("average.", Role::Average), old, Some(new))?;
    }
    Ok(())
}

/// The average of a value before and after the step.
fn averaged(
    program: &mut ProgramBuilder,
    name: &str,
    value: Value,
    decay: Value,
) -> Result<(Value, Value), Error> {
    let averaged = format!("average.{name}");
    let shape = program.graph.shape(value).clone();
    let old = program.graph.parameter(&averaged, shape)?;
    let new = program
        .graph
        .scoped(&averaged, |g| average(g, old, value, decay))?;
    Ok((old, new))
}
