//! Files of Hugging Face hub repositories, in the cache shared by all hub clients (`HF_HOME/hub`).
//!
//! A cached file is downloaded again only if its revision has moved to another commit. Its SHA-256, which is its name in the cache, is
//! verified at every use.

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

/// Hub client settings.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    /// `HF_HOME`; the cache is its subdirectory `hub`.
    pub home: Option<PathBuf>,
    /// Address of the hub, if not the public one.
    pub endpoint: Option<String>,
    /// Use the cache only, no network.
    pub offline: bool,
    /// Access token for private repositories.
    pub token: Option<String>,
    /// Whether to show download progress.
    pub progress: bool,
}

/// Retries of a failed download.
const RETRIES: usize = 2;

impl Hub {
    /// Returns the path of a file in the cache, and downloads it if needed.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Unreachable`] if the cache has no older copy, [`Error::Offline`], and
    /// [`Error::Checksum`].
    pub fn fetch(&self, file: &HubFile) -> Result<PathBuf, Error> {
        let home = self.home.as_ref().ok_or_else(|| Error::Unreachable {
            file: file.clone(),
            reason: "there is no home directory for the cache; set HF_HOME".to_owned(),
        })?;
        let cache = Cache::new(home.join("hub"));
        let repo = Repo::with_revision(file.repository.clone(), RepoType::Model, file.revision.clone());
        let kept = cached(&cache.repo(repo.clone()), file);
        let path = match kept {
            // Commits are immutable.
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
                    tracing::warn!(%file, reason, "hub unreachable: using the cached copy");
                    kept
                }
                (Err(error), _) => return Err(error),
            },
        };
        check(file, &path)?;
        Ok(path)
    }

    /// Resolves the revision to a commit, and downloads the file if the cache lacks that commit's.
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

/// Path of a file in the cache, at the commit to which its revision was last resolved.
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

/// Verifies a file against the SHA-256 that is the name of its blob. Files outside of LFS have a Git hash for a name and are not checked.
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
    // Both the link and the blob, or the next download would reuse the damaged blob.
    for damaged in [path, &blob] {
        let _already_gone = fs::remove_file(damaged);
    }
    Err(Error::Checksum {
        file: file.clone(),
        expected,
        found,
    })
}

/// Maps an error of the hub's API.
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
