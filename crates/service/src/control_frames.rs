//! Rate limit of HTTP/2 control frames, which cost a client less than the server.
//!
//! Neither `h2` nor `hyper` limits the frames that are answered or applied at once: `PING`, `SETTINGS`, `PRIORITY`, `WINDOW_UPDATE`, and
//! `DATA` without data. They are counted as they are received, by a token bucket that refills with time and with the bytes sent: readers
//! send a `PING` now and then to estimate the bandwidth, and a `WINDOW_UPDATE` for what they have read.

use std::time::{Duration, Instant};

/// Capacity of the bucket: control frames that a connection may send at once.
const BURST: u64 = 10_000;
/// Control frames per second that it may send permanently.
const RATE: u64 = 1000;
/// Bytes sent to the client for which it may send one more control frame.
const BYTES_EACH: u64 = 1024;

/// Length of a frame header.
const HEADER: usize = 9;
/// Length of the connection preface, which precedes the first frame of a client.
const PREFACE: usize = 24;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// Token bucket and frame scanners of one connection.
#[derive(Debug)]
pub(super) struct ControlFrames {
    received: FrameScanner,
    sent: FrameScanner,
    credit: u64,
    /// Bytes sent that are not yet in the credit.
    bytes: u64,
    /// The time up to which elapsed time is in the credit.
    counted: Instant,
}

impl ControlFrames {
    /// For a new connection.
    pub(super) fn new(now: Instant) -> Self {
        let frames = |preface| FrameScanner {
            preface,
            header: [0; HEADER],
            have: 0,
            payload: 0,
        };
        Self {
            received: frames(PREFACE),
            sent: frames(0),
            credit: BURST,
            bytes: 0,
            counted: now,
        }
    }

    /// Records received bytes, and returns whether they exceed the limit.
    pub(super) fn record_received(&mut self, bytes: &[u8], now: Instant) -> bool {
        let mut count = 0;
        self.received
            .scan(bytes, |frame| count += u64::from(frame.is_control()));
        if count > self.credit {
            self.refill(now);
        }
        let is_too_much = count > self.credit;
        self.credit = self.credit.saturating_sub(count);
        is_too_much
    }

    /// Records sent bytes.
    pub(super) fn record_sent(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sent.scan(bytes, |_| ());
    }

    /// Whether the next byte sent would be the first of a frame.
    pub(super) fn is_at_frame_boundary(&self) -> bool {
        self.sent.is_at_boundary()
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted);
        let by_time = passed.as_millis() as u64 * RATE / 1000;
        self.counted += Duration::from_millis(by_time * 1000 / RATE);
        let by_bytes = self.bytes / BYTES_EACH;
        self.bytes %= BYTES_EACH;
        self.credit = (self.credit + by_time + by_bytes).min(BURST.max(by_bytes));
    }
}

/// The fields of a frame header that matter here.
#[derive(Clone, Copy, Debug)]
struct FrameHeader {
    kind: u8,
    flags: u8,
    length: usize,
}

impl FrameHeader {
    fn is_control(self) -> bool {
        match self.kind {
            DATA => self.length == 0 && self.flags & END_STREAM == 0,
            HEADERS => false,
            CONTINUATION => self.length == 0,
            _ => true,
        }
    }
}

/// Finds the frame headers in a byte stream.
#[derive(Debug)]
struct FrameScanner {
    /// Bytes left of the preface.
    preface: usize,
    header: [u8; HEADER],
    /// Bytes of the header received so far.
    have: usize,
    /// Bytes left of the payload.
    payload: usize,
}

impl FrameScanner {
    fn is_at_boundary(&self) -> bool {
        self.preface == 0 && self.have == 0 && self.payload == 0
    }

    /// Scans the next `bytes`; calls `begins` for each frame whose header they complete.
    fn scan(&mut self, mut bytes: &[u8], mut begins: impl FnMut(FrameHeader)) {
        while !bytes.is_empty() {
            let skipped = if self.preface > 0 {
                &mut self.preface
            } else {
                &mut self.payload
            };
            if *skipped > 0 {
                let count = bytes.len().min(*skipped);
                *skipped -= count;
                bytes = &bytes[count..];
                continue;
            }
            let count = bytes.len().min(HEADER - self.have);
            self.header[self.have..self.have + count].copy_from_slice(&bytes[..count]);
            self.have += count;
            bytes = &bytes[count..];
            if self.have == HEADER {
                let [a, b, c, kind, flags, ..] = self.header;
                self.payload = u32::from_be_bytes([0, a, b, c]) as usize;
                self.have = 0;
                begins(FrameHeader {
                    kind,
                    flags,
                    length: self.payload,
                });
            }
        }
    }
}

/// A `GOAWAY` frame with `ENHANCE_YOUR_CALM` and `reason`.
pub(super) fn goaway(reason: &str) -> Vec<u8> {
    let mut payload = i32::MAX.to_be_bytes().to_vec();
    payload.extend(ENHANCE_YOUR_CALM.to_be_bytes());
    payload.extend(reason.as_bytes());
    frame(GOAWAY, &payload)
}

/// An empty `SETTINGS` frame, the first frame of a server.
pub(super) fn settings() -> Vec<u8> {
    frame(SETTINGS, &[])
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    // No flags; stream 0.
    frame.extend([kind, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    #[test]
    fn frames_are_found_for_any_chunking() {
        let bytes = [frame(PING, &[7; 8]), settings(), frame(DATA, &[1; 100])].concat();
        for size in [1, 4, 9, 17, 1000] {
            let mut frames = ControlFrames::new(Instant::now()).sent;
            let mut kinds = vec![];
            for piece in bytes.chunks(size) {
                frames.scan(piece, |frame| kinds.push(frame.kind));
            }
            assert_eq!(
                (kinds, frames.is_at_boundary()),
                (vec![PING, SETTINGS, DATA], true)
            );
        }
    }

    #[test]
    fn a_steady_rate_is_allowed_and_a_flood_is_not() {
        let start = Instant::now();
        let pings = |count: u64| frame(PING, &[7; 8]).repeat(count as usize);
        let mut frames = ControlFrames::new(start);
        assert!(!frames.record_received(&[0; PREFACE], start));
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            assert!(!frames.record_received(&pings(RATE), now), "{second}");
        }
        let now = start + Duration::from_secs(100);
        assert!(frames.record_received(&pings(BURST + RATE), now));
    }

    #[test]
    fn credit_grows_with_the_bytes_sent() {
        let start = Instant::now();
        let mut frames = ControlFrames::new(start);
        assert!(!frames.record_received(&[0; PREFACE], start));
        let (data, update) = (frame(DATA, &[1; 16 << 10]), frame(8, &[0, 0, 64, 0]));
        for _ in 0..10_000 {
            frames.record_sent(&data);
            assert!(!frames.record_received(&update.repeat(4), start));
        }
        assert!(frames.is_at_frame_boundary());
    }
}
