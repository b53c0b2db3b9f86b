use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::serde_text::string_conversions;

/// Source of pretrained weights: `none`, a file, or `hf:OWNER/NAME[/FILE][@REVISION]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Source {
    /// Random initialization.
    #[default]
    None,
    /// A safetensors file or an ONNX model.
    File(PathBuf),
    /// A file of a repository on the hub.
    Hub(HubFile),
}

/// A file of a repository on the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    /// `OWNER/NAME`, or `NAME` alone.
    pub repository: String,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// Path in the repository.
    pub file: String,
}

/// The conventional name of a repository's weights file.
const DEFAULT_FILE: &str = "model.safetensors";
/// The revision if none is given.
const DEFAULT_REVISION: &str = "main";
const PREFIX: &str = "hf:";

/// The text is not a valid hub reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid hub reference `{0}`: expected hf:OWNER/NAME, hf:OWNER/NAME@REVISION or hf:OWNER/NAME/FILE@REVISION"
)]
pub struct InvalidSource(String);

impl FromStr for Source {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::None);
        }
        let Some(named) = text.strip_prefix(PREFIX) else {
            return Ok(Self::File(PathBuf::from(text)));
        };
        let invalid = || InvalidSource(text.to_owned());
        let (path, revision) = named.split_once('@').unwrap_or((named, DEFAULT_REVISION));
        let parts: Vec<&str> = path.split('/').collect();
        if revision.is_empty()
            || parts
                .iter()
                .any(|part| part.is_empty() || *part == "." || *part == "..")
        {
            return Err(invalid());
        }
        let (repository, file) = match parts.as_slice() {
            [name] => ((*name).to_owned(), String::new()),
            [owner, name, file @ ..] => (format!("{owner}/{name}"), file.join("/")),
            [] => return Err(invalid()),
        };
        Ok(Self::Hub(HubFile {
            repository,
            revision: revision.to_owned(),
            file: if file.is_empty() {
                DEFAULT_FILE.to_owned()
            } else {
                file
            },
        }))
    }
}

string_conversions!(Source);

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::File(path) => path.display().fmt(f),
            Self::Hub(file) => file.fmt(f),
        }
    }
}

impl fmt::Display for HubFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.repository)?;
        if self.file != DEFAULT_FILE {
            write!(f, "/{}", self.file)?;
        }
        if self.revision != DEFAULT_REVISION {
            write!(f, "@{}", self.revision)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(repository: &str, file: &str, revision: &str) -> Source {
        Source::Hub(HubFile {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            file: file.to_owned(),
        })
    }

    #[test]
    fn sources_parse_and_display_round_trip() {
        for (text, source) in [
            ("none", Source::None),
            ("a/b.onnx", Source::File("a/b.onnx".into())),
            ("hf:a/b", hub("a/b", "model.safetensors", "main")),
            ("hf:old", hub("old", "model.safetensors", "main")),
            ("hf:a/b@v1.0", hub("a/b", "model.safetensors", "v1.0")),
            ("hf:a/b/c/d.onnx@refs/pr/1", hub("a/b", "c/d.onnx", "refs/pr/1")),
        ] {
            assert_eq!(text.parse::<Source>().expect("a source"), source);
            assert_eq!(source.to_string(), text);
        }
    }

    #[test]
    fn invalid_hub_references_are_refused() {
        for text in ["hf:", "hf:a//b", "hf:a/", "hf:a/b@", "hf:@main", "hf:a/../b"] {
            let message = text.parse::<Source>().expect_err("no repository").to_string();
            assert!(
                message.contains(text) && message.contains("hf:OWNER/NAME"),
                "{message}"
            );
        }
    }
}
