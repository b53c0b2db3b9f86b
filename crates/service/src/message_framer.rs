//! The gRPC message framing of a request's body.

use equibatch_transport::PREFIX;

/// Tracks the gRPC message framing of a body.
#[derive(Debug, Default)]
pub(super) struct MessageFramer {
    prefix: [u8; PREFIX],
    /// Bytes of the prefix received so far.
    have: usize,
    /// Bytes left of the message after the prefix.
    missing: usize,
}

impl MessageFramer {
    /// Whether a message is incomplete.
    pub(super) fn is_open(&self) -> bool {
        self.have > 0
    }

    /// Scans the next `bytes`; returns how many messages they complete, or the length of a message longer than `limit`.
    pub(super) fn feed(&mut self, mut bytes: &[u8], limit: usize) -> Result<usize, usize> {
        let mut complete = 0;
        while !bytes.is_empty() {
            if self.have < PREFIX {
                let count = bytes.len().min(PREFIX - self.have);
                self.prefix[self.have..self.have + count].copy_from_slice(&bytes[..count]);
                self.have += count;
                bytes = &bytes[count..];
                if self.have < PREFIX {
                    break;
                }
                let [_, length @ ..] = self.prefix;
                self.missing = u32::from_be_bytes(length) as usize;
                if self.missing > limit {
                    return Err(self.missing);
                }
            }
            let count = bytes.len().min(self.missing);
            self.missing -= count;
            bytes = &bytes[count..];
            if self.missing == 0 {
                self.have = 0;
                complete += 1;
            }
        }
        Ok(complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend((length as u32).to_be_bytes());
        bytes.resize(PREFIX + length, 7);
        bytes
    }

    #[test]
    fn messages_are_found_for_any_chunking() {
        let bytes = [message(0), message(300), message(3)].concat();
        for size in [1, 2, 5, 7, 1000] {
            let mut framer = MessageFramer::default();
            let complete: usize = bytes
                .chunks(size)
                .map(|piece| framer.feed(piece, 300).expect("short messages"))
                .sum();
            assert_eq!((complete, framer.is_open()), (3, false), "{size}");
        }
        let mut framer = MessageFramer::default();
        assert_eq!(framer.feed(&message(301), 300), Err(301));
        let mut framer = MessageFramer::default();
        assert_eq!(framer.feed(&message(9)[..13], 300), Ok(0));
        assert!(framer.is_open());
    }
}
