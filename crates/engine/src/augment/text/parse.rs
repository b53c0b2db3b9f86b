//! Reads and writes recipes.

use std::{fmt, str::FromStr};

use super::{
    super::{Augment, Error, Recipe},
    parts::{Fallback, PARTS, Parameter, Part},
    presets::{PRESETS, Preset},
    scan::{self, Token},
    validate::within,
};

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
                let value = (parameter.get)(&normalized);
                match parameter.names {
                    [] => write!(f, "{separator}{}={value}", parameter.name)?,
                    _ if parameter.default == Fallback::Value(value) => continue,
                    _ => write!(f, "{separator}{}={}", parameter.name, parameter.value_name(value))?,
                }
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
                            expected: "all or repeats".to_owned(),
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
        let value = parameter.value(&field, value)?;
        parameter.check(part, value)?;
        if given[index].replace(value).is_some() {
            return Err(Error::Twice { name: field });
        }
    }
    Ok((part, given))
}

impl Parameter {
    /// The value that `text` names, or is.
    fn value(&self, field: &str, text: &str) -> Result<f32, Error> {
        if self.names.is_empty() {
            return number(field, text);
        }
        let mut names = (0_u16..).zip(self.names);
        let found = names.find(|(_, name)| **name == text);
        found.map(|(value, _)| value.into()).ok_or_else(|| Error::Value {
            field: field.to_owned(),
            value: text.to_owned(),
            expected: self.names.join(" or "),
        })
    }

    /// The name of a value of a parameter whose values are names.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a valid value is an index"
    )]
    pub fn value_name(&self, value: f32) -> &'static str {
        self.names[value as usize]
    }
}

fn number(field: &str, text: &str) -> Result<f32, Error> {
    text.parse().map_err(|_| Error::Value {
        field: field.to_owned(),
        value: text.to_owned(),
        expected: "a number".to_owned(),
    })
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
