use std::{borrow::Cow, str::FromStr};

use equibatch_stream::Balance;

use crate::learn::prior::Prior;

/// An arm of a comparison: flags of `client train` that are added to those of the comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// Name of its training: arms that differ only in how their models are evaluated share it, and their runs.
    pub training: String,
    /// Flags of `client train`.
    pub flags: Vec<String>,
    /// Class frequencies that its models are adjusted to before they are evaluated.
    pub prior: Option<Prior>,
    /// Whether its models are evaluated with test-time augmentation.
    pub is_tta: bool,
}

/// Arms by name, with their flags. `NAME:X` puts X in place of what is in braces.
const ARMS: [(&str, &str); 6] = [
    ("weighted", "--balance natural --class-weights {inverse}"),
    ("adjusted", "--balance natural --logit-adjust {1}"),
    ("deferred", "--balance natural>oversample@{0.8}"),
    ("crt", "--experiment crt"),
    ("lws", "--experiment lws"),
    ("tau-norm", "--experiment tau-norm"),
];
/// What `+NAME` adds to the flags of an arm.
const ADDED: [(&str, &str); 4] = [
    ("frozen", "--freeze=all"),
    ("probe", "--freeze=all --head-steps auto"),
    ("cosine", "--head cosine:10"),
    ("fine-tuned", "--unfreeze --freeze-norms --max-lr ..1e-3"),
];
/// `+prior`: models are evaluated as if all classes were equally frequent, as by `client evaluate --prior uniform`.
const PRIOR: &str = "prior";
/// `+tta`: models are evaluated with test-time augmentation, as by `client evaluate --tta`.
const TTA: &str = "tta";
/// Extension of an experiment file, which is an arm, too.
const FILE: &str = ".toml";

/// Invalid arm.
#[derive(Debug, thiserror::Error)]
#[error("invalid arm `{arm}`: {reason}")]
pub struct ParseArmError {
    arm: String,
    reason: String,
}

impl Arm {
    /// The arm called `text`: `NAME[:X][+ADDED...]`, where NAME is one of `own` (names and flags), a built-in one, a class balance, or the path of an
    /// experiment file.
    ///
    /// # Errors
    ///
    /// [`ParseArmError`] if there is no such arm.
    pub fn named(text: &str, own: &[OwnArm]) -> Result<Self, ParseArmError> {
        let fail = |reason: String| ParseArmError {
            arm: text.to_owned(),
            reason,
        };
        let mut parts = text.split('+');
        let name = parts.next().unwrap_or_default();
        let mut arm = Self {
            name: text.to_owned(),
            training: name.to_owned(),
            flags: flags_of(name, own).ok_or_else(|| fail(expected(own)))?,
            prior: None,
            is_tta: false,
        };
        for part in parts {
            match part {
                PRIOR => arm.prior = Some(Prior::Uniform),
                TTA => arm.is_tta = true,
                _ => {
                    let added = ADDED.iter().find(|(name, _)| *name == part);
                    let (_, flags) = added.ok_or_else(|| {
                        let known = ADDED.iter().map(|(name, _)| *name);
                        let known: Vec<&str> = known.chain([PRIOR, TTA]).collect();
                        fail(format!(
                            "`+{part}` is unknown; expected one of +{}",
                            known.join(", +")
                        ))
                    })?;
                    arm.training += &format!("+{part}");
                    arm.flags.extend(flags.split(' ').map(str::to_owned));
                }
            }
        }
        Ok(arm)
    }

    /// How far the arm is behind others in our measurements of rare classes on photographs (BENCHMARKS, "Real photographs"): 0 with an adjusted loss
    /// and a linear head that is fitted to kept features, 1 with an adjusted loss, 2 with another correction of class frequencies, 3 without any. Only
    /// for arms that their own images do not tell apart.
    #[must_use]
    pub fn handicap(&self) -> u8 {
        let is_given = |flag: &str| self.flags.iter().any(|own| own.split('=').next() == Some(flag));
        let is_natural = self
            .flags
            .windows(2)
            .any(|pair| *pair == ["--balance", "natural"])
            || self.flags.iter().any(|own| own == "--balance=natural");
        let is_fitted = self
            .flags
            .windows(2)
            .any(|pair| *pair == ["--head-steps", "auto"]);
        match is_given("--logit-adjust") {
            true if is_fitted && !is_given("--head") => 0,
            true => 1,
            false if !is_natural || is_given("--class-weights") || self.prior.is_some() => 2,
            false => 3,
        }
    }

    /// Its flags as typed, and those of `client evaluate` for its models.
    #[must_use]
    pub fn described(&self) -> String {
        let flags: Vec<Cow<'_, str>> = self.flags.iter().map(|flag| quoted(flag)).collect();
        let flags = flags.join(" ");
        let prior = self.prior.as_ref().map(|prior| format!("--prior {prior}"));
        let tta = self.is_tta.then(|| "--tta".to_owned());
        let evaluated: Vec<String> = prior.into_iter().chain(tta).collect();
        match evaluated.is_empty() {
            true => flags,
            false => format!("{flags}; evaluated with {}", evaluated.join(" ")),
        }
    }
}

/// A word as typed in a shell.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_=.,:/@+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    shlex::try_quote(word).unwrap_or(word.into())
}

/// The flags of the arm `name`, without what is added to it.
fn flags_of(name: &str, own: &[OwnArm]) -> Option<Vec<String>> {
    if let Some(arm) = own.iter().find(|arm| arm.name == name) {
        return Some(arm.flags.clone());
    }
    if name.ends_with(FILE) {
        return Some(vec!["--experiment".to_owned(), name.to_owned()]);
    }
    let (base, parameter) = name
        .split_once(':')
        .map_or((name, None), |(base, x)| (base, Some(x)));
    let Some((_, flags)) = ARMS.iter().find(|(known, _)| *known == base) else {
        let is_balance = name.parse::<Balance>().is_ok();
        return is_balance.then(|| vec!["--balance".to_owned(), name.to_owned()]);
    };
    let flags = match (flags.split_once('{'), parameter) {
        (None, None) => (*flags).to_owned(),
        (Some((before, rest)), parameter) => {
            let (default, after) = rest.split_once('}')?;
            let parameter = parameter.unwrap_or(default);
            if parameter.is_empty() {
                return None;
            }
            format!("{before}{parameter}{after}")
        }
        (None, Some(_)) => return None,
    };
    Some(flags.split(' ').map(str::to_owned).collect())
}

fn expected(own: &[OwnArm]) -> String {
    let own: String = own.iter().map(|arm| format!("{}, ", arm.name)).collect();
    let named = ARMS.map(|(name, flags)| match flags.contains('{') {
        true => format!("{name}[:X]"),
        false => name.to_owned(),
    });
    format!(
        "expected {own}a class balance (natural, oversample, undersample, power:X or effective:BETA), {}, or the path of an experiment file \
         (FILE{FILE}); or define it with --arm NAME=FLAGS",
        named.join(", ")
    )
}

/// The name of an arm or training as part of a file name.
#[must_use]
pub fn file_name(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || ['.', '_', '+', '-'].contains(&c);
    name.replace(|c: char| !is_plain(c), "-")
}

/// An arm defined by the user: `NAME=FLAGS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnArm {
    /// Its name.
    pub name: String,
    /// Flags of `client train`.
    pub flags: Vec<String>,
}

impl FromStr for OwnArm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, flags) = text.split_once('=').unwrap_or(("", text));
        if name.is_empty() || name.starts_with('-') || name.contains([',', '+', '/', '\\']) {
            return Err(
                "expected NAME=FLAGS, such as focal='--balance natural --focal 2', with a NAME without comma, plus sign and path separator"
                    .to_owned(),
            );
        }
        let flags = shlex::split(flags).ok_or_else(|| "a quotation mark is not closed".to_owned())?;
        Ok(Self {
            name: name.to_owned(),
            flags,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(text: &str) -> Arm {
        Arm::named(text, &[]).expect("an arm")
    }

    #[test]
    fn an_arm_is_flags_of_train() {
        for (text, flags) in [
            ("natural", "--balance natural"),
            ("power:0.5", "--balance power:0.5"),
            ("weighted", "--balance natural --class-weights inverse"),
            (
                "weighted:effective:0.99",
                "--balance natural --class-weights effective:0.99",
            ),
            (
                "adjusted:0.5+frozen",
                "--balance natural --logit-adjust 0.5 --freeze=all",
            ),
            (
                "adjusted+cosine+probe",
                "--balance natural --logit-adjust 1 --head cosine:10 --freeze=all --head-steps auto",
            ),
            ("deferred:0.5", "--balance natural>oversample@0.5"),
            ("crt", "--experiment crt"),
            ("stages/two.toml", "--experiment stages/two.toml"),
        ] {
            let arm = arm(text);
            assert_eq!((arm.flags.join(" ").as_str(), &*arm.name), (flags, text));
        }
    }

    #[test]
    fn arms_that_are_evaluated_differently_share_the_training() {
        let natural = arm("natural+frozen");
        assert_eq!((&natural.prior, natural.is_tta), (&None, false));
        for (text, prior, is_tta, described) in [
            (
                "natural+frozen+prior",
                Some(Prior::Uniform),
                false,
                "--prior uniform",
            ),
            ("natural+tta+frozen", None, true, "--tta"),
            (
                "natural+frozen+tta+prior",
                Some(Prior::Uniform),
                true,
                "--prior uniform --tta",
            ),
        ] {
            let other = arm(text);
            assert_eq!(
                (&other.training, &other.flags),
                (&natural.training, &natural.flags)
            );
            assert_eq!((&other.prior, other.is_tta), (&prior, is_tta));
            assert_eq!(
                other.described(),
                format!("--balance natural --freeze=all; evaluated with {described}")
            );
        }
    }

    #[test]
    fn arms_without_any_correction_come_last() {
        for (text, handicap) in [
            ("adjusted:0.5+probe", 0),
            ("adjusted+cosine+probe", 1),
            ("adjusted+fine-tuned", 1),
            ("natural+probe+prior", 2),
            ("oversample", 2),
            ("weighted", 2),
            ("crt", 2),
            ("natural+fine-tuned", 3),
        ] {
            assert_eq!(arm(text).handicap(), handicap, "{text}");
        }
    }

    #[test]
    fn an_arm_of_the_user_is_known_by_its_name() {
        let own: OwnArm = "soft=--label-smoothing 0.1 --recipe 'light rotate(15)'"
            .parse()
            .expect("an arm");
        assert_eq!(
            own.flags,
            ["--label-smoothing", "0.1", "--recipe", "light rotate(15)"]
        );
        let arm = Arm::named("soft+prior", &[own]).expect("known");
        assert_eq!(arm.training, "soft");
        assert_eq!(
            arm.described(),
            "--label-smoothing 0.1 --recipe 'light rotate(15)'; evaluated with --prior uniform"
        );
        assert_eq!(
            self::arm("deferred+frozen").described(),
            "--balance 'natural>oversample@0.8' --freeze=all"
        );
        for text in ["", "=--focal 2", "--focal=2", "a,b=--focal 2", "a+b=", "x='"] {
            assert!(text.parse::<OwnArm>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_invalid_arm_is_refused_with_the_accepted_values() {
        for text in ["fair", "weighted:", "weightedly", "", "fair+prior", "crt:2"] {
            let message = Arm::named(text, &[]).expect_err("no arm").to_string();
            assert!(message.contains("natural, oversample"), "{message}");
        }
        let message = Arm::named("natural+warm", &[]).expect_err("no arm").to_string();
        assert!(
            message.contains("+frozen, +probe, +cosine, +fine-tuned, +prior, +tta"),
            "{message}"
        );
    }
}
