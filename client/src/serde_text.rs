//! Serialisation of types as their text.

/// Conversions for `#[serde(into = "String", try_from = "String")]`, by `Display` and `FromStr`.
macro_rules! string_conversions {
    ($type:ty) => {
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        impl TryFrom<String> for $type {
            type Error = <$type as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    };
}

pub(crate) use string_conversions;
