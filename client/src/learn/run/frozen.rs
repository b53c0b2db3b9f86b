use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// Parameters that are not trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Frozen {
    /// `true`: all but the head and the norms, as in fastai; `false`: none.
    Body(bool),
    /// All but the head: norms, too, and batch norms use their running statistics.
    All(All),
    /// Parameters whose names match a regular expression, including batch norms.
    Matching(String),
    /// Resolved when the classes are known: the body is frozen if the head of a network from a file is reinitialised.
    BodyOfNewHead,
}

/// The text form of [`Frozen::All`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum All {
    /// `all`.
    #[serde(rename = "all")]
    All,
}

impl Default for Frozen {
    /// None.
    fn default() -> Self {
        Self::Body(false)
    }
}

impl Frozen {
    /// All but the head, or nothing.
    #[must_use]
    pub fn body(is_frozen: bool) -> Self {
        if is_frozen {
            Self::All(All::All)
        } else {
            Self::default()
        }
    }
}

impl FromStr for Frozen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "but-norms" => Ok(Self::Body(true)),
            "true" | "all" => Ok(Self::body(true)),
            "false" => Ok(Self::Body(false)),
            _ if text.parse::<f64>().is_ok() => Err(
                "expected all, but-norms, false or a regular expression of parameter names, not a number"
                    .to_owned(),
            ),
            _ => expression(text).map(|_| Self::Matching(text.to_owned())),
        }
    }
}

/// Compiles a regular expression.
///
/// # Errors
///
/// Why it is invalid, in one line.
pub fn expression(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        let lines = error.to_string();
        let last = lines.lines().last().unwrap_or_default();
        format!(
            "invalid regular expression `{text}`: {}",
            last.trim_start_matches("error: ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frozen_is_parsed_as_bool_or_regular_expression() {
        let parsed = |text: &str| text.parse::<Frozen>();
        assert_eq!(parsed("true"), Ok(Frozen::All(All::All)));
        assert_eq!(parsed("but-norms"), Ok(Frozen::Body(true)));
        assert_eq!(parsed("all"), Ok(Frozen::All(All::All)));
        assert_eq!(parsed("false"), Ok(Frozen::Body(false)));
        assert_eq!(
            parsed(r"^layer[12]\.\d"),
            Ok(Frozen::Matching(r"^layer[12]\.\d".to_owned()))
        );
        assert!(parsed("layer(").expect_err("unclosed").contains("unclosed group"));
        assert!(parsed("3").expect_err("a number").contains("not a number"));
    }

    /// Runs of older versions have a boolean.
    #[test]
    fn frozen_is_serialised_as_bool_string_or_null() {
        for (frozen, json) in [
            (Frozen::Body(true), "true"),
            (Frozen::All(All::All), "\"all\""),
            (Frozen::Matching("stem".to_owned()), "\"stem\""),
            (Frozen::BodyOfNewHead, "null"),
        ] {
            assert_eq!(serde_json::to_string(&frozen).expect("it is plain data"), json);
            assert_eq!(serde_json::from_str::<Frozen>(json).expect("it is one"), frozen);
        }
    }
}
