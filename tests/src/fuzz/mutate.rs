use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Bytes at which parsers break: ends of ranges, signs, separators of our text forms.
const BYTES: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, b'(', b')', b'=', b',', b'-', b'.', b' '];

/// `input` after one to eight random changes: bits flipped, bytes replaced, ranges removed, repeated or taken from `other`, the end cut
/// off. Equal states of `random` give equal bytes.
#[must_use]
pub fn mutate(input: &[u8], other: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=below(random, 7) {
        let at = below(random, bytes.len());
        let end = at + below(random, (bytes.len() - at).min(64));
        match below(random, 6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << below(random, 7),
            1 if at < bytes.len() => bytes[at] = BYTES[below(random, BYTES.len() - 1)],
            2 => drop(bytes.drain(at..end)),
            3 => {
                let repeated = bytes[at..end].to_vec();
                bytes.splice(at..at, repeated);
            }
            4 => {
                let from = below(random, other.len());
                let length = below(random, (other.len() - from).min(64));
                bytes.splice(at..end, other[from..from + length].iter().copied());
            }
            5 => bytes.truncate(at),
            _ => bytes.insert(at, random.next_u32() as u8),
        }
    }
    bytes
}

/// A number from 0 to `limit`, both included.
fn below(random: &mut ChaCha8Rng, limit: usize) -> usize {
    (random.next_u64() % (limit as u64 + 1)) as usize
}
