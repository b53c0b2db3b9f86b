//! Checks the parameters of recipes.

use super::{
    super::{Augment, CropRange, Error, Recipe},
    parts::{PARTS, Parameter, Part, RANGES},
};

impl Recipe {
    /// Checks all parameters of all parts, including disabled ones.
    ///
    /// # Errors
    ///
    /// For the first invalid part in the order of [`PARTS`]: [`Error::OutOfRange`], [`Error::NotWhole`] or [`Error::Reversed`]; then
    /// [`Error::Exclusive`] if the recipe has both a crop and a resized crop, mixup and cutmix from different images, or leaves first uses as they
    /// are and mixes into natural images.
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
            return Err(exclusive("resized_crop", "crop"));
        }
        let [mixup, cutmix] =
            [self.mixup, self.cutmix].map(|mixing| (mixing.p > 0.0).then_some(mixing.from_natural));
        match (mixup, cutmix) {
            (Some(true), Some(false)) => {
                return Err(exclusive("mixup(from=natural)", "cutmix(from=balance)"));
            }
            (Some(false), Some(true)) => {
                return Err(exclusive("mixup(from=balance)", "cutmix(from=natural)"));
            }
            _ => {}
        }
        if self.mixes_from_natural() && self.augment == Augment::Repeats {
            return Err(exclusive("from=natural", "augment=repeats"));
        }
        Ok(())
    }
}

fn exclusive(one: &'static str, other: &'static str) -> Error {
    Error::Exclusive { one, other }
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
