//! The text form of a recipe.
//!
//! ```text
//! recipe    = [preset] {part | option}
//! part      = name | name "(" [value {"," value}] ")"
//! value     = number | parameter "=" number
//! option    = "p_affine=" number | "p_lighting=" number | "augment=" ("all" | "repeats")
//! ```
//!
//! Parts and options are separated by spaces and may be in any order; a preset must come first, and a part after it replaces the part of
//! the preset with the same name. Values without a name are assigned to the parameters in order. `p_affine` and `p_lighting` (default 0.75)
//! are the probabilities of parts without their own. The printed form names every parameter, so that it does not depend on defaults.

mod parts;
mod presets;
mod scan;

use std::{fmt, str::FromStr};

use self::{parts::RANGES, scan::Token};
pub use self::{
    parts::{Fallback, PARTS, Parameter, Part},
    presets::{PRESETS, Preset},
};
use super::{Augment, CropRange, Error, Recipe};

/// The values of the options given.
#[derive(Debug, Default)]
struct RecipeOptions {
    p_affine: Option<f32>,
    p_lighting: Option<f32>,
    augment: Option<Augment>,
}

/// A part as given: for each parameter its value, if given.
type GivenPart = (&'static Part, Vec<Option<f32>>);

impl FromStr for Recipe {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts: Vec<GivenPart> = vec![];
        let mut options = RecipeOptions::default();
        let mut preset_parts = 0;
        for (index, token) in scan::tokens(text)?.into_iter().enumerate() {
            match token {
                Token::Option { name, value } => options.set(name, value)?,
                Token::Part { name, values } => {
                    if let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) {
                        if index > 0 || !values.is_empty() {
                            return Err(Error::PresetNotFirst {
                                name: name.to_owned(),
                            });
                        }
                        parts = preset_of(preset)?;
                        preset_parts = parts.len();
                        continue;
                    }
                    let given = part(name, &values)?;
                    let is_same = |(part, _): &GivenPart| part.name == given.0.name;
                    if parts[preset_parts..].iter().any(is_same) {
                        return Err(Error::Twice {
                            name: name.to_owned(),
                        });
                    }
                    parts.push(given);
                }
            }
        }
        let mut recipe = Self::none();
        for (part, values) in &parts {
            for (parameter, value) in part.parameters.iter().zip(values) {
                (parameter.set)(&mut recipe, value.unwrap_or_else(|| options.fallback(parameter)));
            }
        }
        recipe.augment = options.augment.unwrap_or(Augment::All);
        recipe.validate()?;
        Ok(recipe.normalized())
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let normalized = self.normalized();
        let mut separator = "";
        for part in PARTS.iter().filter(|part| (part.is_on)(&normalized)) {
            write!(f, "{separator}{}(", part.name)?;
            separator = "";
            for parameter in part.parameters {
                write!(
                    f,
                    "{separator}{}={}",
                    parameter.name,
                    (parameter.get)(&normalized)
                )?;
                separator = ",";
            }
            f.write_str(")")?;
            separator = " ";
        }
        if normalized.augment == Augment::Repeats {
            write!(f, "{separator}augment=repeats")?;
            separator = " ";
        }
        if separator.is_empty() {
            f.write_str("none")?;
        }
        Ok(())
    }
}

impl Recipe {
    /// Checks all parameters of all parts, including disabled ones.
    ///
    /// # Errors
    ///
    /// For the first invalid part in the order of [`PARTS`]: [`Error::OutOfRange`], [`Error::NotWhole`] or [`Error::Reversed`]; then
    /// [`Error::Exclusive`] if the recipe has both a crop and a resized crop.
    pub fn validate(&self) -> Result<(), Error> {
        // Disabled parts too: with NaN, comparisons would report a part as disabled.
        for part in PARTS {
            let of = |name: &str| {
                let found = part.parameters.iter().find(|parameter| parameter.name == name);
                found.map(|parameter| (parameter.name, (parameter.get)(self)))
            };
            for parameter in part.parameters {
                parameter.check(part, (parameter.get)(self))?;
            }
            for (_, low, high) in RANGES.iter().filter(|(name, ..)| *name == part.name) {
                if let (Some((low, low_value)), Some((high, high_value))) = (of(low), of(high))
                    && low_value > high_value
                {
                    return Err(Error::Reversed {
                        part: part.name,
                        low,
                        low_value,
                        high,
                        high_value,
                    });
                }
            }
        }
        if self.resized_crop.p > 0.0 && self.crop != CropRange::CENTER {
            return Err(Error::Exclusive {
                one: "resized_crop",
                other: "crop",
            });
        }
        Ok(())
    }
}

impl RecipeOptions {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let probability = || {
            let number = number(name, value)?;
            within(name, number, 0.0, 1.0).map(|()| number)
        };
        let is_new = match name {
            "p_affine" => self.p_affine.replace(probability()?).is_none(),
            "p_lighting" => self.p_lighting.replace(probability()?).is_none(),
            "augment" => {
                let augment = match value {
                    "all" => Augment::All,
                    "repeats" => Augment::Repeats,
                    _ => {
                        return Err(Error::Value {
                            field: name.to_owned(),
                            value: value.to_owned(),
                            expected: "all or repeats",
                        });
                    }
                };
                self.augment.replace(augment).is_none()
            }
            _ => return Err(unknown(name)),
        };
        if is_new {
            Ok(())
        } else {
            Err(Error::Twice {
                name: name.to_owned(),
            })
        }
    }

    fn fallback(&self, parameter: &Parameter) -> f32 {
        match parameter.default {
            Fallback::Value(value) => value,
            Fallback::Affine => self.p_affine.unwrap_or(0.75),
            Fallback::Lighting => self.p_lighting.unwrap_or(0.75),
        }
    }
}

impl Parameter {
    fn check(&self, part: &Part, value: f32) -> Result<(), Error> {
        let field = || format!("{}({})", part.name, self.name);
        within(&field(), value, self.low, self.high)?;
        if self.is_whole && value.fract() != 0.0 {
            return Err(Error::NotWhole {
                field: field(),
                value,
            });
        }
        Ok(())
    }
}

fn preset_of(preset: &Preset) -> Result<Vec<GivenPart>, Error> {
    let tokens = scan::tokens(preset.text)?;
    let parts = tokens.iter().filter_map(|token| match token {
        Token::Part { name, values } => Some(part(name, values)),
        Token::Option { .. } => None,
    });
    parts.collect()
}

fn part(name: &str, values: &[(Option<&str>, &str)]) -> Result<GivenPart, Error> {
    let part = PARTS
        .iter()
        .find(|part| part.name == name)
        .ok_or_else(|| unknown(name))?;
    if values.len() > part.parameters.len() {
        return Err(Error::TooManyValues {
            part: part.name,
            found: values.len(),
            most: part.parameters.len(),
        });
    }
    let mut given = vec![None; part.parameters.len()];
    for (index, (name, value)) in values.iter().enumerate() {
        let index = match name {
            None => index,
            Some(name) => part
                .parameters
                .iter()
                .position(|parameter| parameter.name == *name)
                .ok_or_else(|| Error::UnknownParameter {
                    part: part.name,
                    name: (*name).to_owned(),
                    known: listed(part.parameters.iter().map(|parameter| parameter.name)),
                })?,
        };
        let parameter = &part.parameters[index];
        let field = format!("{}({})", part.name, parameter.name);
        let value = number(&field, value)?;
        parameter.check(part, value)?;
        if given[index].replace(value).is_some() {
            return Err(Error::Twice { name: field });
        }
    }
    Ok((part, given))
}

fn number(field: &str, text: &str) -> Result<f32, Error> {
    text.parse().map_err(|_| Error::Value {
        field: field.to_owned(),
        value: text.to_owned(),
        expected: "a number",
    })
}

fn within(field: &str, value: f32, low: f32, high: f32) -> Result<(), Error> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(Error::OutOfRange {
            field: field.to_owned(),
            value,
            low,
            high,
        })
    }
}

fn unknown(name: &str) -> Error {
    let presets = PRESETS.iter().map(|preset| preset.name);
    let parts = PARTS.iter().map(|part| part.name);
    let options = ["p_affine=", "p_lighting=", "augment="];
    let known: Vec<&'static str> = presets.chain(parts).chain(options).collect();
    let similarity = |known: &&'static str| (strsim::jaro_winkler(name, known), *known);
    let near = known
        .iter()
        .map(similarity)
        .filter(|(similarity, _)| *similarity > 0.8);
    let near = near.max_by(|(one, _), (other, _)| one.total_cmp(other));
    Error::UnknownPart {
        name: name.to_owned(),
        near: near.map(|(_, known)| known),
        known: known.join(", "),
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
