//! The token file: one client per line.
//!
//! ```text
//! # token, or sha256: and its hash in hexadecimal    name       permissions
//! sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  trainer-1
//! 5f2b0c1de8714b6c  laptop  datasets=flowers,birds max-streams=2 max-batch-bytes=64MiB
//! ```
//!
//! Only hashes are kept in memory. Tokens are long and random, so neither a salt nor a slow hash is needed.

use std::{collections::BTreeSet, fs, io, path::Path, path::PathBuf, sync::Arc};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use super::watched_files::{Source, Watched};
use equibatch_engine::{byte_size, pipeline::Limits};

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

/// The permissions of a token, and their revocation.
#[derive(Debug, Default)]
pub(in crate::service) struct Grant {
    pub(in crate::service) permissions: Permissions,
    /// Cancelled when the token is removed from the file or its permissions change.
    pub(in crate::service) revoked: CancellationToken,
}

/// The fields of a line after the token.
#[derive(Debug, Default, PartialEq)]
pub(in crate::service) struct Permissions {
    /// Name of the client in the log.
    pub(in crate::service) name: String,
    /// Maximum of open streams; `None`: the server's default per client.
    pub(in crate::service) streams: Option<usize>,
    /// The datasets that it may access; `None`: all.
    datasets: Option<BTreeSet<String>>,
    batch_bytes: Option<u64>,
    image_size: Option<u32>,
    epochs: Option<u32>,
    /// Default and maximum of a stream's scheduling weight; `None`: 1.
    pub(in crate::service) weight: Option<u32>,
}

impl Permissions {
    /// Returns whether the client may access a dataset.
    pub(in crate::service) fn allow(&self, dataset: &str) -> bool {
        self.datasets.as_ref().is_none_or(|names| names.contains(dataset))
    }

    /// The lower of the server's limits and this client's.
    pub(in crate::service) fn within(&self, limits: &Limits) -> Limits {
        Limits {
            batch_bytes: self.batch_bytes.unwrap_or(u64::MAX).min(limits.batch_bytes),
            image_size: self.image_size.unwrap_or(u32::MAX).min(limits.image_size),
            epochs: self.epochs.unwrap_or(u32::MAX).min(limits.epochs),
            weight: self.weight.unwrap_or(1).min(limits.weight),
            ..limits.clone()
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number = || {
            let number = value.parse::<u32>().ok().filter(|&number| number > 0);
            number.ok_or_else(|| format!("{key} {value:?}: must be an integer of at least 1"))
        };
        match key {
            "datasets" => self.datasets = Some(value.split(',').map(str::to_owned).collect()),
            "max-streams" => self.streams = Some(number()? as usize),
            "max-batch-bytes" => {
                let bytes = byte_size::bytes(value)
                    .ok_or_else(|| format!("{key} {value:?}: {}", byte_size::SPELLING))?;
                self.batch_bytes = Some(bytes);
            }
            "max-image-size" => self.image_size = Some(number()?),
            "max-epochs" => self.epochs = Some(number()?),
            "weight" => self.weight = Some(number()?),
            _ => {
                return Err(format!(
                    "unknown key {key:?}: expected one of datasets, max-streams, max-batch-bytes, max-image-size, max-epochs, weight"
                ));
            }
        }
        Ok(())
    }
}

/// Path of the token file.
#[derive(Clone)]
pub(in crate::service) struct TokenFile(pub(super) PathBuf);

/// The tokens in force.
pub(in crate::service) type Tokens = Watched<TokenFile>;

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
pub(in crate::service) struct TokenTable(Vec<(Hash, Arc<Grant>)>);

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
    let mut permissions = Permissions {
        name: name.ok_or("a name must follow the token")?.to_owned(),
        ..Permissions::default()
    };
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
mod tests {
    use super::*;

    fn line_of(token: &str) -> String {
        let digits: String = hash(token.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("sha256:{digits}")
    }

    #[test]
    fn a_hash_is_that_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            line_of("abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn tokens_are_found_by_themselves_and_by_their_hash() {
        let hashed = line_of("correct-horse-battery");
        let text =
            format!("# ours\n\n{hashed} stable\n0123456789abcdef laptop datasets=a,b max-streams=2 # his\n");
        let table = TokenTable::parse(&text).expect("a table");
        assert_eq!(table.len(), 2);
        let name = |token: &str| {
            table
                .find(token.as_bytes())
                .map(|grant| grant.permissions.name.clone())
        };
        assert_eq!(name("correct-horse-battery").as_deref(), Some("stable"));
        assert_eq!(name("0123456789abcdef").as_deref(), Some("laptop"));
        assert_eq!(name("0123456789abcdeF"), None);
        assert_eq!(name(&hashed), None, "a hash is no token");
        let grant = table.find(b"0123456789abcdef").expect("a grant");
        assert!(
            grant.permissions.allow("a") && grant.permissions.allow("b") && !grant.permissions.allow("c")
        );
        assert_eq!(grant.permissions.streams, Some(2));
    }

    #[test]
    fn a_clients_limits_only_lower_the_operators() {
        let line = "0123456789abcdef x max-batch-bytes=1KiB max-image-size=9999 max-epochs=3 weight=5";
        let grant = TokenTable::parse(line)
            .expect("a table")
            .find(b"0123456789abcdef")
            .expect("a grant");
        let limits = grant.permissions.within(&Limits::default());
        assert_eq!((limits.batch_bytes, limits.epochs, limits.weight), (1024, 3, 5));
        assert_eq!(limits.image_size, Limits::default().image_size);
        let unweighted = Permissions::default().within(&Limits::default());
        assert_eq!(unweighted.weight, 1, "a higher weight must be granted");
    }

    #[test]
    fn errors_give_the_line_number_and_not_the_line() {
        for (line, reason) in [
            ("hunter2 x", "at least 16 characters"),
            ("0123456789abcdef", "a name must follow"),
            ("0123456789abcdef datasets=a", "a name must follow"),
            ("0123456789abcdef x max-streams=0", "max-streams"),
            ("0123456789abcdef x max-batch-bytes=big", "max-batch-bytes"),
            ("0123456789abcdef x colour=red", "unknown key \"colour\""),
            ("0123456789abcdef x red", "KEY=VALUE"),
            ("sha256:00 x", "64 hexadecimal digits"),
            ("fedcba9876543210 x", "earlier line"),
        ] {
            let text = format!("fedcba9876543210 first\n{line}\n");
            let Err((number, found)) = TokenTable::parse(&text) else {
                panic!("{line} is accepted")
            };
            assert_eq!(number, 2, "{line}");
            assert!(found.contains(reason), "{found}");
            assert!(
                !found.contains("0123456789abcdef") && !found.contains("hunter2"),
                "{found}"
            );
        }
    }

    #[test]
    fn removed_or_changed_tokens_are_revoked() {
        let parse = |text: &str| TokenTable::parse(text).expect("a table");
        let earlier = parse("aaaaaaaaaaaaaaaa a\nbbbbbbbbbbbbbbbb b\ncccccccccccccccc c");
        let mut later = parse("aaaaaaaaaaaaaaaa a\nbbbbbbbbbbbbbbbb b max-streams=1");
        later.replace(&earlier);
        let is_revoked = |token: &[u8]| earlier.find(token).expect("a grant").revoked.is_cancelled();
        assert!(!is_revoked(b"aaaaaaaaaaaaaaaa"), "unchanged");
        assert!(is_revoked(b"bbbbbbbbbbbbbbbb"), "other permissions");
        assert!(is_revoked(b"cccccccccccccccc"), "removed");
        let kept = later.find(b"aaaaaaaaaaaaaaaa").expect("a grant");
        assert!(Arc::ptr_eq(
            &kept,
            &earlier.find(b"aaaaaaaaaaaaaaaa").expect("a grant")
        ));
    }
}
