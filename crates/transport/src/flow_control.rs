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

use tonic::transport::Endpoint;

/// The largest frame that is asked for.
pub const MAX_FRAME_SIZE: u32 = 512 << 10;
/// The window of a server nearby: more than a network of 100 Gbit/s has on the way in a tenth of a millisecond.
const MIN_WINDOW: u32 = 2 << 20;
/// The largest window: 10 Gbit/s across a continent.
const MAX_WINDOW: u32 = 64 << 20;
/// Bytes a second that a server far away should be able to send: 10 Gbit/s.
const FAR_BYTES_PER_SECOND: f64 = 1.25e9;

/// The window of a connection with one stream, in times of the stream's. The library's own, two and a half, was cheaper in the tables than
/// one as large as the stream's.
const CONNECTION_FACTOR: u32 = 2;

/// Lets as much be on the way to `endpoint`, for one stream of batches, as is right for a server from which an answer takes `round_trip`.
#[must_use]
pub fn with_flow_control(endpoint: Endpoint, round_trip: Duration) -> Endpoint {
    let stream = window(round_trip);
    endpoint
        .initial_stream_window_size(stream)
        .initial_connection_window_size(CONNECTION_FACTOR * stream)
}

/// The window of a stream.
fn window(round_trip: Duration) -> u32 {
    let bandwidth_delay = FAR_BYTES_PER_SECOND * round_trip.as_secs_f64();
    (bandwidth_delay as u32).clamp(MIN_WINDOW, MAX_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_with_the_distance() {
        let window = |milliseconds| window(Duration::from_millis(milliseconds));
        assert_eq!((window(0), window(1)), (MIN_WINDOW, MIN_WINDOW));
        assert_eq!(window(10), 12_500_000);
        assert_eq!((window(100), window(100_000)), (MAX_WINDOW, MAX_WINDOW));
        let connection = CONNECTION_FACTOR * window(100_000);
        assert!(connection < 1 << 31, "{connection}: what HTTP/2 has numbers for");
    }
}
