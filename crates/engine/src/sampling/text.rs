//! Balance policies as text: the names of the command line.

use std::str::FromStr;

use super::{Balance, Schedule};

impl FromStr for Balance {
    type Err = &'static str;

    /// Parses `natural`, `power:0.5`, `natural>oversample@0.8` and so on; all policies but weights, which are by class name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((from, to)) = text.split_once('>') {
            let (to, at) = match to.split_once('@') {
                Some((to, at)) => (to, Some(number(at)?)),
                None => (to, None),
            };
            return Ok(Self::Schedule(Box::new(Schedule {
                from: from.parse()?,
                to: to.parse()?,
                at,
                epochs: None,
            })));
        }
        match text.split_once(':') {
            None if text == "oversample" => Ok(Self::Oversample),
            None if text == "undersample" => Ok(Self::Undersample),
            None if text == "natural" => Ok(Self::Natural),
            None if text == "repeat-factor" => Ok(Self::RepeatFactor(None)),
            None if text == "progressive" => Ok(Self::Schedule(Box::new(Schedule::progressive()))),
            Some(("power", exponent)) => Ok(Self::Power(number(exponent)?)),
            Some(("effective", beta)) => Ok(Self::Effective(number(beta)?)),
            Some(("repeat-factor", threshold)) => Ok(Self::RepeatFactor(Some(number(threshold)?))),
            _ => Err(
                "expected oversample, undersample, natural, power:X, effective:BETA, repeat-factor[:T], progressive, or a schedule \
                 POLICY>POLICY[@FRACTION]",
            ),
        }
    }
}

fn number(text: &str) -> Result<f64, &'static str> {
    text.parse().map_err(|_| "expected a number after `:` or `@`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_parsed() {
        let schedule = |from: &str, to: &str, at| {
            Ok(Balance::Schedule(Box::new(Schedule {
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
                at,
                epochs: None,
            })))
        };
        for (text, expected) in [
            ("natural", Ok(Balance::Natural)),
            ("power:0.5", Ok(Balance::Power(0.5))),
            ("repeat-factor", Ok(Balance::RepeatFactor(None))),
            ("repeat-factor:0.1", Ok(Balance::RepeatFactor(Some(0.1)))),
            ("progressive", schedule("natural", "oversample", None)),
            (
                "natural>oversample@0.8",
                schedule("natural", "oversample", Some(0.8)),
            ),
            (
                "power:0.5>effective:0.9",
                schedule("power:0.5", "effective:0.9", None),
            ),
        ] {
            assert_eq!(text.parse::<Balance>(), expected, "{text}");
        }
    }

    #[test]
    fn invalid_policies_are_refused() {
        for text in [
            "",
            "Oversample",
            "power",
            "power:",
            "power:x",
            "weights:1",
            "natural>",
            "natural>oversample@",
            ">natural",
        ] {
            assert!(text.parse::<Balance>().is_err(), "{text}");
        }
    }
}
