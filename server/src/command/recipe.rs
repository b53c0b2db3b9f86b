use equibatch_cli::terminal;
use equibatch_engine::augment::{
    self, Recipe,
    text::{Fallback, PARTS, PRESETS, Parameter, Part, Preset},
};
use std::io::{self, Write};

use serde_json::json;

use super::exit::{Failure, SYSTEM, USAGE};
use crate::args;

/// Prints a recipe with every parameter by name, or all presets and operations.
pub(crate) fn recipe(args: &args::Recipe) -> Result<(), Failure> {
    let mut out = vec![];
    let written = match &args.text {
        None if args.json => writeln!(out, "{:#}", listing()),
        None => everything(&mut out),
        Some(text) => {
            let recipe: Recipe = text
                .parse()
                .map_err(|error: augment::Error| USAGE.failure(error))?;
            match args.json {
                true => writeln!(out, "{:#}", json!({ "recipe": recipe.to_string() })),
                false => writeln!(out, "{recipe}"),
            }
        }
    };
    let printed = written.and_then(|()| terminal::print(&out));
    printed.map_err(|error| SYSTEM.failure(error))
}

/// All presets and operations with their parameters, as JSON.
fn listing() -> serde_json::Value {
    let preset = |preset: &Preset| json!({ "name": preset.name, "about": preset.about, "text": preset.text });
    let parameter = |parameter: &Parameter| {
        let Parameter {
            name,
            low,
            high,
            is_whole,
            names,
            ..
        } = parameter;
        let default = default(parameter);
        if names.is_empty() {
            json!({ "name": name, "default": default, "low": low, "high": high, "whole": is_whole })
        } else {
            json!({ "name": name, "default": default, "values": names })
        }
    };
    let part = |part: &Part| {
        let parameters: Vec<_> = part.parameters.iter().map(parameter).collect();
        json!({ "name": part.name, "about": part.about, "parameters": parameters })
    };
    let presets: Vec<_> = PRESETS.iter().map(preset).collect();
    let parts: Vec<_> = PARTS.iter().map(part).collect();
    json!({ "presets": presets, "parts": parts })
}

/// The default of a parameter: a number, a name, or the name of the option that gives it.
fn default(parameter: &Parameter) -> String {
    match parameter.default {
        Fallback::Value(value) if !parameter.names.is_empty() => parameter.value_name(value).to_owned(),
        Fallback::Value(value) => value.to_string(),
        Fallback::Affine => "p_affine".to_owned(),
        Fallback::Lighting => "p_lighting".to_owned(),
    }
}

/// Prints all presets and operations with their parameters.
fn everything(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "A recipe is a preset, operations, or both, such as `fastai rotate(10)`.\n\nPresets:"
    )?;
    for preset in PRESETS {
        writeln!(out, "  {:<14} {}", preset.name, preset.about)?;
        if !preset.text.is_empty() {
            writeln!(out, "  {:<14} = {}", "", preset.text)?;
        }
    }
    writeln!(out, "\nOperations, with default and range of each parameter:")?;
    for part in PARTS {
        writeln!(out, "  {:<14} {}", part.name, part.about)?;
        for parameter in part.parameters {
            let Parameter {
                name,
                low,
                high,
                names,
                ..
            } = parameter;
            let range = match names {
                [] => format!("from {low} to {high}"),
                names => names.join(" or "),
            };
            writeln!(out, "  {:<14}   {name}={}, {range}", "", default(parameter))?;
        }
    }
    writeln!(out, "\nOptions:")?;
    writeln!(
        out,
        "  p_affine=0.75, p_lighting=0.75: the probability of operations that do not give their own"
    )?;
    writeln!(
        out,
        "  augment=all, or augment=repeats (the first use of an image in an epoch is not augmented)"
    )
}
