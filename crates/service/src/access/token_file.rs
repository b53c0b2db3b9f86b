//! The token file: one client per line.
//!
//! ```text
//! # token, or sha256: and its hash in hexadecimal    name       permissions
//! sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  trainer-1
//! 5f2b0c1de8714b6c  laptop  datasets=flowers,birds max-streams=2 max-batch-bytes=64MiB
//! ```
//!
//! Only hashes are kept in memory. Tokens are long and random, so neither a salt nor a slow hash is needed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use super::{
    permissions::{Grant, Permissions},
    watched_files::{Source, Watched},
};

/// Shortest token, in characters: 64 bits in hexadecimal.
const SHORTEST: usize = 16;

/// SHA-256 of a token.
type Hash = [u8; 32];

/// The token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read the tokens in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// It has no token, so that every request would be refused; most likely it is being written.
    #[error("there is no token in {}: every request would be refused", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// An invalid line. The line itself is not shown, because it may hold a token.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Path of the token file.
#[derive(Clone)]
pub(crate) struct TokenFile(pub(super) PathBuf);

/// The tokens in force.
pub(crate) type Tokens = Watched<TokenFile>;

impl Source for TokenFile {
    type Value = TokenTable;
    type Error = Error;
    const NAME: &'static str = "tokens";

    fn paths(&self) -> Vec<&Path> {
        vec![&self.0]
    }

    fn read(&self) -> Result<TokenTable, Error> {
        TokenTable::read(&self.0)
    }

    fn replace(new: &mut TokenTable, old: &TokenTable) {
        new.replace(old);
    }
}

impl Tokens {
    /// The permissions of `token`.
    pub(super) fn find(&self, token: &[u8]) -> Option<Arc<Grant>> {
        self.with(|table| table.find(token))
    }
}

/// Permissions by token hash.
#[derive(Default)]
pub(crate) struct TokenTable(Vec<(Hash, Arc<Grant>)>);

impl TokenTable {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let table = Self::parse(&text).map_err(|(line, reason)| Error::Line {
            path: path.to_owned(),
            line,
            reason,
        })?;
        if table.0.is_empty() {
            let path = path.to_owned();
            return Err(Error::Empty { path });
        }
        Ok(table)
    }

    /// Parses the text of a file; the error has the line number, from 1, and what is wrong with the line.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut table = Self::default();
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let Some(token) = words.next().filter(|word| !word.starts_with('#')) else {
                continue;
            };
            let entry = entry(token, words).map_err(|reason| (index + 1, reason))?;
            if table.0.iter().any(|(hash, _)| *hash == entry.0) {
                return Err((index + 1, "duplicate of the token on an earlier line".to_owned()));
            }
            table.0.push(entry);
        }
        Ok(table)
    }

    /// The permissions of `token`. Takes constant time for a given table.
    pub(super) fn find(&self, token: &[u8]) -> Option<Arc<Grant>> {
        let hash = hash(token);
        let mut found = None;
        for (known, grant) in &self.0 {
            if bool::from(known.ct_eq(&hash)) {
                found = Some(Arc::clone(grant));
            }
        }
        found
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Revokes the tokens of `earlier` that this table lacks or gives other permissions.
    pub(super) fn replace(&mut self, earlier: &Self) {
        for (hash, grant) in &earlier.0 {
            let same = |(known, new): &&mut (Hash, Arc<Grant>)| {
                known == hash && new.permissions == grant.permissions
            };
            match self.0.iter_mut().find(same) {
                // Open streams refer to the earlier grant.
                Some((_, new)) => *new = Arc::clone(grant),
                None => grant.revoked.cancel(),
            }
        }
    }
}

fn entry<'a>(token: &str, mut words: impl Iterator<Item = &'a str>) -> Result<(Hash, Arc<Grant>), String> {
    let hash = match token.strip_prefix("sha256:") {
        Some(digits) => hexadecimal(digits).ok_or("sha256: must be followed by 64 hexadecimal digits")?,
        None if token.len() < SHORTEST => {
            return Err(format!("a token has at least {SHORTEST} characters"));
        }
        None => hash(token.as_bytes()),
    };
    let name = words.next().filter(|word| !word.contains('='));
    let name = name.ok_or("a name must follow the token")?;
    let mut permissions = Permissions::of(name.to_owned());
    for word in words.take_while(|word| !word.starts_with('#')) {
        let (key, value) = word
            .split_once('=')
            .ok_or_else(|| format!("invalid setting {word:?}: expected KEY=VALUE"))?;
        permissions.set(key, value)?;
    }
    let revoked = CancellationToken::new();
    Ok((hash, Arc::new(Grant { permissions, revoked })))
}

fn hash(token: &[u8]) -> Hash {
    Sha256::digest(token).into()
}

fn hexadecimal(digits: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if digits.len() != 2 * hash.len() || !digits.is_ascii() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests;
