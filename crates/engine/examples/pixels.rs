//! Decodes files as the server does, for `tests/generate/jpegs.py`. Reads files from standard input, each preceded by its length (u32,
//! little endian). Prints one line per file: the SHA-256 of its pixels, or `refused: ` and the error.

use std::error::Error;
use std::io::{self, Read as _, Write as _};

use equibatch_engine::dataset::Orientation;
use equibatch_engine::decode::{DecodeOptions, decode};
use sha2::{Digest as _, Sha256};

fn main() -> io::Result<()> {
    let options = DecodeOptions {
        // As Pillow.
        orientation: Orientation::Ignore,
        ..DecodeOptions::default()
    };
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut length = [0; 4];
    while input.read_exact(&mut length).is_ok() {
        let mut file = vec![0; u32::from_le_bytes(length) as usize];
        input.read_exact(&mut file)?;
        match decode(&file, &options) {
            Ok(image) => {
                let digest = Sha256::digest(image.pixels());
                digest.iter().try_for_each(|byte| write!(output, "{byte:02x}"))?;
                writeln!(output)?;
            }
            Err(error) => writeln!(output, "refused: {}", chain(&error))?,
        }
        output.flush()?;
    }
    Ok(())
}

/// The message of an error, followed by those of its sources.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
