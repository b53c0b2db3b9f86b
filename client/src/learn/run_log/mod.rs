//! Log files of a run for its report: `steps.jsonl`, `stream.json` and `sessions.jsonl` in its folder.
//!
//! They do not affect training: if one cannot be written, training continues with a warning.

mod session;
mod steps;

pub use session::{ClassSampling, Session};
pub(super) use session::{SESSIONS, STREAM};
pub(super) use steps::STEPS;
pub use steps::{StepLine, StepLog};

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

/// Reads a JSON Lines file; empty if the file is missing. Lines that cannot be parsed are skipped.
///
/// # Errors
///
/// If the file cannot be read.
pub fn lines<T: DeserializeOwned>(path: &Path) -> io::Result<Vec<T>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        read => read?,
    };
    // A line torn by a crash must not make the others unreadable.
    let read = bytes.split(|&byte| byte == b'\n');
    Ok(read
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect())
}

/// Appends a line to a JSON Lines file and syncs it to disk.
///
/// # Errors
///
/// If the file cannot be written.
pub fn append(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut file = open(path)?;
    write(&mut file, value)?;
    file.sync_data()
}

/// Opens a JSON Lines file for appending. An unterminated last line is terminated if it is valid JSON, and truncated otherwise.
fn open(path: &Path) -> io::Result<File> {
    let mut file = File::options().read(true).append(true).create(true).open(path)?;
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(file);
    }
    let mut bytes = vec![];
    file.seek(SeekFrom::End(-1))?;
    file.read_to_end(&mut bytes)?;
    if bytes == b"\n" {
        return Ok(file);
    }
    bytes.clear();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    let start = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    if serde_json::from_slice::<IgnoredAny>(&bytes[start..]).is_ok() {
        file.write_all(b"\n")?;
    } else {
        file.set_len(start as u64)?;
    }
    file.sync_data()?;
    Ok(file)
}

/// Writes a line with a single write, so that a killed process leaves at worst an unterminated last line.
fn write(file: &mut File, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    file.write_all(&line)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_torn_last_line_is_repaired_before_another_is_added() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lines.jsonl");
        let [first, last] = [json!({ "epoch": 1 }), json!({ "class": "Möwe" })];
        let whole = last.to_string();
        let half = &whole.as_bytes()[..whole.find('ö').expect("a letter of two bytes") + 1];
        for (torn, expected) in [
            (&b""[..], vec![&first, &last]),
            (&b"{\"epoch\":2"[..], vec![&first, &last]),
            (half, vec![&first, &last]),
            (&b"\0\0\0"[..], vec![&first, &last]),
            (whole.as_bytes(), vec![&first, &last, &last]),
        ] {
            let bytes = [first.to_string().as_bytes(), b"\n", torn].concat();
            fs::write(&path, bytes).expect("written");
            lines::<Value>(&path).expect("what is whole is read");
            append(&path, &last).expect("written");
            let text = fs::read_to_string(&path).expect("text");
            let read: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).expect("every line is whole"))
                .collect();
            assert_eq!(read.iter().collect::<Vec<_>>(), expected, "{torn:?}");
            assert_eq!(lines::<Value>(&path).expect("lines"), read);
        }
    }
}
