//! Decodes files as the server does, for `tests/generate/jpegs.py`: reads them from standard input, each behind its length in four bytes, lowest
//! first, and prints a line for each: the SHA-256 of its pixels, or `refused: ` and why.

use std::error::Error;
use std::io::{self, Read as _, Write as _};

use equibatch_engine::dataset::Orientation;
use equibatch_engine::decode::{DecodeOptions, decode};
use sha2::{Digest as _, Sha256};

fn main() -> io::Result<()> {
    let options = DecodeOptions {
        // As Pillow does it.
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

/// What an error says, and what its causes say.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
