//! Checks the parameters of recipes.

use super::{
    super::{CropRange, Error, Recipe},
    parts::{PARTS, Parameter, Part, RANGES},
};

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

impl Parameter {
    pub(super) fn check(&self, part: &Part, value: f32) -> Result<(), Error> {
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

/// Checks that `value` is from `low` to `high`.
pub(super) fn within(field: &str, value: f32, low: f32, high: f32) -> Result<(), Error> {
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
