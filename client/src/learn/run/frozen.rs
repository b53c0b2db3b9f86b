use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// What of a network keeps what it is while the rest is trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Frozen {
    /// Everything but the head and all norms, or nothing.
    Body(bool),
    /// The parameters whose names a regular expression matches, norms included.
    Matching(String),
    /// Not known before the classes are: as [`Frozen::Body`], if the head of a network from a file starts anew.
    BodyOfNewHead,
}

impl Default for Frozen {
    /// Nothing.
    fn default() -> Self {
        Self::Body(false)
    }
}

impl FromStr for Frozen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(Self::Body(true)),
            "false" => Ok(Self::Body(false)),
            _ if text.parse::<f64>().is_ok() => {
                Err("use true, false or a regular expression of parameters' names, not a number".to_owned())
            }
            _ => expression(text).map(|_| Self::Matching(text.to_owned())),
        }
    }
}

/// The regular expression of a text.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn expression(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        let lines = error.to_string();
        let last = lines.lines().last().unwrap_or_default();
        format!(
            "`{text}` is no regular expression: {}",
            last.trim_start_matches("error: ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_frozen_is_yes_or_no_or_names() {
        let parsed = |text: &str| text.parse::<Frozen>();
        assert_eq!(parsed("true"), Ok(Frozen::Body(true)));
        assert_eq!(parsed("false"), Ok(Frozen::Body(false)));
        assert_eq!(
            parsed(r"^layer[12]\.\d"),
            Ok(Frozen::Matching(r"^layer[12]\.\d".to_owned()))
        );
        assert!(parsed("layer(").expect_err("unclosed").contains("unclosed group"));
        assert!(parsed("3").expect_err("a number").contains("not a number"));
    }

    /// Runs of before there was more to say hold a truth value.
    #[test]
    fn it_is_stored_as_a_truth_value_or_a_text() {
        for (frozen, json) in [
            (Frozen::Body(true), "true"),
            (Frozen::Matching("stem".to_owned()), "\"stem\""),
            (Frozen::BodyOfNewHead, "null"),
        ] {
            assert_eq!(serde_json::to_string(&frozen).expect("it is plain data"), json);
            assert_eq!(serde_json::from_str::<Frozen>(json).expect("it is one"), frozen);
        }
    }
}
