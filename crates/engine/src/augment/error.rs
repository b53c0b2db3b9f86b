//! Errors of recipes.

/// An invalid recipe, or a text that cannot be parsed as one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A value outside its range, or NaN.
    #[error("recipe field {field} is {value}, outside {low}..={high}")]
    OutOfRange {
        /// Name of the field; `part(parameter)` for a parameter of a part.
        field: String,
        /// The value given.
        value: f32,
        /// Minimum.
        low: f32,
        /// Maximum.
        high: f32,
    },
    /// A count that is not an integer.
    #[error("recipe field {field} is {value}, which is not a whole number")]
    NotWhole {
        /// `part(parameter)`.
        field: String,
        /// The value given.
        value: f32,
    },
    /// A range whose lower end is above its upper end.
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
    /// Two parts that exclude each other.
    #[error("recipe has both {one} and {other}: only one of them is allowed")]
    Exclusive {
        /// One part.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// An unknown part, preset or option.
    #[error("unknown recipe part {name:?}{}: expected one of {known}", near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default())]
    UnknownPart {
        /// The name given.
        name: String,
        /// The most similar name, if one is similar enough.
        near: Option<&'static str>,
        /// All presets, parts and options, separated by commas.
        known: String,
    },
    /// An unknown parameter of a part.
    #[error("recipe part {part} has no parameter {name:?}: expected one of {known}")]
    UnknownParameter {
        /// The part.
        part: &'static str,
        /// The name given.
        name: String,
        /// The part's parameters, separated by commas.
        known: String,
    },
    /// More values than parameters.
    #[error("recipe part {part} has {found} values: it takes at most {most}")]
    TooManyValues {
        /// The part.
        part: &'static str,
        /// Number of values given.
        found: usize,
        /// Number of its parameters.
        most: usize,
    },
    /// A part, a parameter or an option given more than once.
    #[error("recipe has {name} twice")]
    Twice {
        /// The part, parameter or option.
        name: String,
    },
    /// A value that cannot be parsed.
    #[error("recipe field {field} is {value:?}: expected {expected}")]
    Value {
        /// `part(parameter)` or the option.
        field: String,
        /// The value given.
        value: String,
        /// The accepted values.
        expected: String,
    },
    /// A preset that is not the first word.
    #[error("recipe preset {name} must be the first word")]
    PresetNotFirst {
        /// The preset.
        name: String,
    },
    /// A syntax error.
    #[error(
        "cannot parse the recipe at {rest:?}: expected parts like flip or rotate(25) and options like p_affine=0.75"
    )]
    Form {
        /// The text from the error on, up to 40 characters.
        rest: String,
    },
    /// A text longer than any valid recipe.
    #[error("recipe has {found} bytes: at most {most} are allowed")]
    TooLong {
        /// Length of the text, in bytes.
        found: usize,
        /// The limit.
        most: usize,
    },
}
