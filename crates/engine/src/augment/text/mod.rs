//! The text form of a recipe.
//!
//! ```text
//! recipe    = [preset] {part | option}
//! part      = name | name "(" [value {"," value}] ")"
//! value     = [parameter "="] (number | name)
//! option    = "p_affine=" number | "p_lighting=" number | "augment=" ("all" | "repeats")
//! ```
//!
//! Parts and options are separated by spaces and may be in any order; a preset must come first, and a part after it replaces the part of
//! the preset with the same name. Values without a name are assigned to the parameters in order. `p_affine` and `p_lighting` (default 0.75)
//! are the probabilities of parts without their own. The printed form names every parameter, so that it does not depend on defaults; only a
//! parameter whose values are names (`from`) is left out if it has its default.

mod parse;
mod parts;
mod presets;
mod scan;
mod validate;

pub use self::{
    parts::{Fallback, PARTS, Parameter, Part},
    presets::{PRESETS, Preset},
};

#[cfg(test)]
mod tests;
