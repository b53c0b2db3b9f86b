//! The value of `--data`.

use std::path::{Path, PathBuf};

use super::error::{Error, invalid};

/// A folder and the dataset name that clients request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetConfig {
    /// The name.
    pub name: String,
    /// The folder.
    pub root: PathBuf,
}

pub(super) fn datasets(texts: &[String]) -> Result<Vec<DatasetConfig>, Error> {
    let mut datasets: Vec<DatasetConfig> = Vec::with_capacity(texts.len());
    for text in texts {
        let dataset = dataset(text)?;
        if datasets.iter().any(|other| other.name == dataset.name) {
            return Err(Error::DuplicateName(dataset.name));
        }
        datasets.push(dataset);
    }
    Ok(datasets)
}

/// Parses `NAME=DIR` or `DIR`. A folder whose path contains `=` needs an explicit name.
pub(super) fn dataset(text: &str) -> Result<DatasetConfig, Error> {
    let fail = |reason| invalid("--data", &text, reason);
    let (name, root) = match text.split_once('=') {
        Some((name, root)) => (name.to_owned(), root),
        None => {
            // `.` and `a/..` take the name of the folder that they resolve to.
            let path = Path::new(text)
                .canonicalize()
                .unwrap_or_else(|_| PathBuf::from(text));
            let name = path.file_name().and_then(|name| name.to_str());
            (
                name.ok_or_else(|| fail("the folder has no name of its own; use NAME=DIR"))?
                    .to_owned(),
                text,
            )
        }
    };
    if name.is_empty() || root.is_empty() {
        return Err(fail("expected NAME=DIR or DIR"));
    }
    Ok(DatasetConfig {
        name,
        root: PathBuf::from(root),
    })
}
