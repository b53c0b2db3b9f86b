//! Files of repositories on the Hugging Face hub, kept in the cache that all its programs share.
//!
//! A file that was fetched once is fetched again only where the revision names another commit by now. Its bytes are checked at every use
//! against the hash that the hub announced, which the cache names them by.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use hf_hub::{
    Cache, CacheRepo, Repo, RepoType,
    api::sync::{ApiBuilder, ApiError},
};
use sha2::{Digest as _, Sha256};

use super::{Error, HubFile};

/// How to reach the hub.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    /// The folder of its programs; `hub` below it is the cache.
    pub home: Option<PathBuf>,
    /// Its address, where it is not the public one.
    pub endpoint: Option<String>,
    /// Use what is in the cache, and no network.
    pub offline: bool,
    /// Lets in to private repositories.
    pub token: Option<String>,
    /// Whether to show how a download goes.
    pub progress: bool,
}

/// Attempts after the first one that a download gets.
const RETRIES: usize = 2;

impl Hub {
    /// The path of a file in the cache, fetched where need be.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Unreachable`] where nothing older is in the cache, [`Error::Offline`],
    /// and [`Error::Checksum`].
    pub fn fetch(&self, file: &HubFile) -> Result<PathBuf, Error> {
        let home = self.home.as_ref().ok_or_else(|| Error::Unreachable {
            file: file.clone(),
            reason: "there is no home folder to keep it in; set HF_HOME".to_owned(),
        })?;
        let cache = Cache::new(home.join("hub"));
        let repo = Repo::with_revision(file.repository.clone(), RepoType::Model, file.revision.clone());
        let kept = cached(&cache.repo(repo.clone()), file);
        let path = match kept {
            // What a commit holds never changes.
            Some(kept) if self.offline || is_commit(&file.revision) => kept,
            None if self.offline => {
                return Err(Error::Offline {
                    file: file.clone(),
                    cache: cache.path().clone(),
                });
            }
            kept => match (self.resolve(&cache, &repo, file), kept) {
                (Ok(path), _) => path,
                (Err(Error::Unreachable { reason, .. }), Some(kept)) => {
                    tracing::warn!(%file, reason, "using the copy in the cache, for the hub cannot be asked");
                    kept
                }
                (Err(error), _) => return Err(error),
            },
        };
        check(file, &path)?;
        Ok(path)
    }

    /// Asks which commit the revision is, and fetches the file where the cache has not got it of that commit.
    fn resolve(&self, cache: &Cache, repo: &Repo, file: &HubFile) -> Result<PathBuf, Error> {
        let failed = |error: ApiError| hub_error(file, &error);
        let mut builder = ApiBuilder::from_cache(cache.clone())
            .with_progress(self.progress)
            .with_retries(RETRIES);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
        }
        if self.token.is_some() {
            builder = builder.with_token(self.token.clone());
        }
        let api = builder.build().map_err(failed)?;
        let remote = api.repo(repo.clone());
        let metadata = api.metadata(&remote.url(&file.file)).map_err(failed)?;
        let kept = cache.repo(repo.clone());
        let path = kept.pointer_path(metadata.commit_hash()).join(&file.file);
        if path.exists() {
            kept.create_ref(metadata.commit_hash())
                .map_err(|error| failed(error.into()))?;
            return Ok(path);
        }
        remote.download(&file.file).map_err(failed)
    }
}

/// Where the cache has a file, whatever commit its branch was at when it was last asked for.
fn cached(repo: &CacheRepo, file: &HubFile) -> Option<PathBuf> {
    let by_commit = repo.pointer_path(&file.revision).join(&file.file);
    if is_commit(&file.revision) && by_commit.exists() {
        return Some(by_commit);
    }
    repo.get(&file.file)
}

fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && is_hexadecimal(revision)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Compares a file with the hash that it is named by where it really lies. Small files are named otherwise, and not checked.
fn check(file: &HubFile, path: &Path) -> Result<(), Error> {
    let read = |source: io::Error| Error::Read {
        path: path.to_path_buf(),
        source,
    };
    let blob = path.canonicalize().map_err(read)?;
    let expected = blob.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some(expected) = expected.filter(|name| name.len() == 64 && is_hexadecimal(name)) else {
        return Ok(());
    };
    let digest = Sha256::digest(fs::read(&blob).map_err(read)?);
    let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if found == expected.to_lowercase() {
        return Ok(());
    }
    // What is not what its name says is of no use to anybody.
    for damaged in [path, &blob] {
        let _already_gone = fs::remove_file(damaged);
    }
    Err(Error::Checksum {
        file: file.clone(),
        expected,
        found,
    })
}

/// What the hub's answer means.
fn hub_error(file: &HubFile, error: &ApiError) -> Error {
    let file = file.clone();
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(404) => Error::NotFound { file },
            ureq::Error::StatusCode(status @ (401 | 403)) => Error::Denied { file, status },
            ref error => Error::Unreachable {
                file,
                reason: error.to_string(),
            },
        },
        ApiError::TooManyRetries(error) => hub_error(&file, error),
        error => Error::Unreachable {
            file,
            reason: error.to_string(),
        },
    }
}
