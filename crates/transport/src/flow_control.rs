//! HTTP/2 flow control: frame size and windows.
//!
//! The values were chosen with the benchmark `transport` (BENCHMARKS.md). A batch of 38.5 MB over the loopback costs
//!
//! * half as much again with frames of 16 KiB, the default, since each frame is a system call of the sender and a wake-up of the receiver;
//!   more than 512 KiB gain nothing;
//! * up to twice the receiver's time with windows above 2 MiB: bytes that arrive faster than they are consumed are buffered in new memory,
//!   and have left the processor's cache by then;
//! * more with every additional connection, which is only another task to wake.
//!
//! But a connection transfers at most one window per round trip, so distant servers need larger windows (the bandwidth-delay product).

use std::time::Duration;

use tonic::transport::Endpoint;

/// Maximum HTTP/2 frame size that the client allows, in bytes.
pub const MAX_FRAME_SIZE: u32 = 512 << 10;
/// Smallest stream window in bytes: more than the bandwidth-delay product of 100 Gbit/s and 0.1 ms.
const MIN_WINDOW: u32 = 2 << 20;
/// Largest stream window in bytes: 10 Gbit/s across a continent.
const MAX_WINDOW: u32 = 64 << 20;
/// Bandwidth that windows are sized for, in bytes per second: 10 Gbit/s.
const FAR_BYTES_PER_SECOND: f64 = 1.25e9;

/// Connection window as a multiple of the stream window. tonic's default, 2.5, was faster in the benchmark than 1.
const CONNECTION_FACTOR: u32 = 2;

/// Sets the windows of `endpoint` for one stream of batches from a server with this round-trip time.
#[must_use]
pub fn with_flow_control(endpoint: Endpoint, round_trip: Duration) -> Endpoint {
    let stream = window(round_trip);
    endpoint
        .initial_stream_window_size(stream)
        .initial_connection_window_size(CONNECTION_FACTOR * stream)
}

/// The stream window in bytes: the bandwidth-delay product, within its limits.
fn window(round_trip: Duration) -> u32 {
    let bandwidth_delay = FAR_BYTES_PER_SECOND * round_trip.as_secs_f64();
    (bandwidth_delay as u32).clamp(MIN_WINDOW, MAX_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_with_the_round_trip_time() {
        let window = |milliseconds| window(Duration::from_millis(milliseconds));
        assert_eq!((window(0), window(1)), (MIN_WINDOW, MIN_WINDOW));
        assert_eq!(window(10), 12_500_000);
        assert_eq!((window(100), window(100_000)), (MAX_WINDOW, MAX_WINDOW));
        let connection = CONNECTION_FACTOR * window(100_000);
        assert!(connection < 1 << 31, "{connection}: the largest HTTP/2 window");
    }
}
