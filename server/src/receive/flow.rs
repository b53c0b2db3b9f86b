//! How much may be on its way at a time, and in what portions.
//!
//! Chosen by the tables of the benchmark `transport` (BENCHMARKS.md): a batch of 38.5 MB over the loopback costs
//!
//! * half as much again in frames of 16 KiB, the default, since each frame is a system call of the sender and a waking of the receiver;
//!   beyond 512 KiB nothing is gained;
//! * up to twice as much of the receiver's time with windows above 2 MiB: what comes faster than it is taken is kept in new memory, and has
//!   left the processor's cache when its turn comes;
//! * and more with every further connection, which is only another task to wake.
//!
//! But a window is also all that a connection carries within the time of a round trip, so that a server far away needs a large one.

use std::time::Duration;

/// The largest frame that is asked for.
pub const FRAME: u32 = 512 << 10;
/// The window of a server nearby: more than a network of 100 Gbit/s has on the way in a tenth of a millisecond.
const NEARBY: u32 = 2 << 20;
/// The largest window: 10 Gbit/s across a continent.
const LARGEST: u32 = 64 << 20;
/// Bytes a second that a server far away should be able to send: 10 Gbit/s.
const RATE: f64 = 1.25e9;

/// The window of a connection with one stream, in times of the stream's: with as much for both, each portion taken would be told of twice.
const CONNECTION: u32 = 2;

/// How much may be on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Bytes of a stream.
    pub stream: u32,
    /// Bytes of its connection, which has no other stream.
    pub connection: u32,
}

impl Windows {
    /// For a server from which an answer takes so long.
    #[must_use]
    pub fn new(round_trip: Duration) -> Self {
        let on_the_way = RATE * round_trip.as_secs_f64();
        let stream = (on_the_way as u32).clamp(NEARBY, LARGEST);
        Self {
            stream,
            connection: CONNECTION * stream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_with_the_distance() {
        let windows = |milliseconds| Windows::new(Duration::from_millis(milliseconds));
        let window = |milliseconds| windows(milliseconds).stream;
        assert_eq!((window(0), window(1)), (NEARBY, NEARBY));
        assert_eq!(window(10), 12_500_000);
        assert_eq!((window(100), window(100_000)), (LARGEST, LARGEST));
        let connection = windows(100_000).connection;
        assert!(connection < 1 << 31, "{connection}: what HTTP/2 has numbers for");
    }
}
