//! What can be wrong with a recipe.

/// A recipe that cannot be drawn from, or a text that is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A number outside its range, or not a number.
    #[error("recipe field {field} is {value}, outside {low}..={high}")]
    OutOfRange {
        /// Its name; `part(parameter)` where it belongs to a part of a text.
        field: String,
        /// What was given.
        value: f32,
        /// Least value allowed.
        low: f32,
        /// Greatest value allowed.
        high: f32,
    },
    /// A parameter that counts something, and is not whole.
    #[error("recipe field {field} is {value}, which is not a whole number")]
    NotWhole {
        /// `part(parameter)`.
        field: String,
        /// What was given.
        value: f32,
    },
    /// A range that ends before it begins.
    #[error("recipe part {part}: {low} is {low_value}, above {high} {high_value}")]
    Reversed {
        /// The part.
        part: &'static str,
        /// Name of the lower end.
        low: &'static str,
        /// Its value.
        low_value: f32,
        /// Name of the upper end.
        high: &'static str,
        /// Its value.
        high_value: f32,
    },
    /// Two parts that do the same in different ways.
    #[error("recipe has both {one} and {other}: it can have one of them")]
    Exclusive {
        /// One part.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A word that names nothing.
    #[error("recipe has no part {name:?}{}: there is {known}", near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default())]
    UnknownPart {
        /// The word.
        name: String,
        /// The part that is spelled most like it, if one is.
        near: Option<&'static str>,
        /// All parts, presets and options, separated by commas.
        known: String,
    },
    /// A parameter that a part does not have.
    #[error("recipe part {part} has no parameter {name:?}: it has {known}")]
    UnknownParameter {
        /// The part.
        part: &'static str,
        /// The word.
        name: String,
        /// Those that it has, separated by commas.
        known: String,
    },
    /// More values than parameters.
    #[error("recipe part {part} has {found} values: it takes at most {most}")]
    TooManyValues {
        /// The part.
        part: &'static str,
        /// Values given.
        found: usize,
        /// Its parameters.
        most: usize,
    },
    /// A part, a parameter or an option given more than once.
    #[error("recipe says {name} twice")]
    Twice {
        /// What is there twice.
        name: String,
    },
    /// A value that is no number, or no word that its option takes.
    #[error("recipe field {field} is {value:?}: it must be {expected}")]
    Value {
        /// `part(parameter)` or the option.
        field: String,
        /// What was given.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A preset behind other parts.
    #[error("recipe preset {name} must be the first word")]
    PresetNotFirst {
        /// The preset.
        name: String,
    },
    /// Not the form of a recipe.
    #[error(
        "recipe is not understood from {rest:?} on: write parts like flip or rotate(25) and options like p_affine=0.75"
    )]
    Form {
        /// From where on.
        rest: String,
    },
    /// A text longer than any recipe.
    #[error("recipe has {found} bytes: at most {most} are read")]
    TooLong {
        /// Length of the text.
        found: usize,
        /// The limit.
        most: usize,
    },
}
