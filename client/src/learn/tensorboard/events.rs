//! TensorBoard event files: records of a length and a protobuf message with their checksums.
//!
//! Implemented here because the existing crates are unmaintained or have many dependencies for a hundred lines.
//!
//! # Source
//!
//! The record format is that of `tensorboard/summary/writer/record_writer.py`, the messages are the parts used here of
//! `tensorboard/compat/proto/event.proto` and `summary.proto`, of TensorBoard 2.

use std::io::{self, Write};

use equibatch_engine::checksum::crc32c;
use prost::Message;

/// Version string of the first event.
const FILE_VERSION: &str = "brain.Event:2";

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// Optional, so that zero is encoded.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    /// 1: started.
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Writes events, each with a single write.
#[derive(Debug)]
pub struct EventWriter<W> {
    out: W,
}

impl<W: Write> EventWriter<W> {
    /// Starts a file. Events in earlier files of the folder from step `first_step` on are discarded by TensorBoard: a killed run continues
    /// from its last checkpoint.
    ///
    /// # Errors
    ///
    /// If `out` fails.
    pub fn new(out: W, wall_time: f64, first_step: u64) -> io::Result<Self> {
        let mut writer = Self { out };
        writer.write(wall_time, 0, What::FileVersion(FILE_VERSION.to_owned()))?;
        writer.write(wall_time, first_step, What::SessionLog(SessionLog { status: 1 }))?;
        Ok(writer)
    }

    /// Adds a point to each curve.
    ///
    /// # Errors
    ///
    /// If `out` fails.
    pub fn scalars(&mut self, wall_time: f64, step: u64, values: &[(&str, f64)]) -> io::Result<()> {
        let value = |&(tag, value): &(&str, f64)| Value {
            tag: tag.to_owned(),
            simple_value: Some(value as f32),
        };
        let value = values.iter().map(value).collect();
        self.write(wall_time, step, What::Summary(Summary { value }))
    }

    fn write(&mut self, wall_time: f64, step: u64, what: What) -> io::Result<()> {
        let event = Event {
            wall_time,
            step: i64::try_from(step).unwrap_or(i64::MAX),
            what: Some(what),
        };
        self.out.write_all(&record(&event.encode_to_vec()))?;
        self.out.flush()
    }
}

/// `length: u64`, its checksum, the data, its checksum, all little-endian.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

/// Masked CRC-32C: rotated and offset, because a CRC of data that contains CRCs is weak.
fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_with_their_checksums() {
        let mut file = vec![];
        let mut writer = EventWriter::new(&mut file, 1.5, 7).expect("memory");
        writer
            .scalars(2.5, 8, &[("train/loss", 0.0), ("valid/loss", -1.25)])
            .expect("memory");
        let mut events = vec![];
        let mut rest = file.as_slice();
        while !rest.is_empty() {
            let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().expect("four bytes"));
            let length = u64::from_le_bytes(rest[..8].try_into().expect("eight bytes")) as usize;
            let data = &rest[12..12 + length];
            assert_eq!((word(8), word(12 + length)), (masked(&rest[..8]), masked(data)));
            events.push(Event::decode(data).expect("an event"));
            rest = &rest[16 + length..];
        }
        let point = |tag: &str, value| Value {
            tag: tag.to_owned(),
            simple_value: Some(value),
        };
        let value = vec![point("train/loss", 0.0), point("valid/loss", -1.25)];
        let expected = [
            (1.5, 0, What::FileVersion(FILE_VERSION.to_owned())),
            (1.5, 7, What::SessionLog(SessionLog { status: 1 })),
            (2.5, 8, What::Summary(Summary { value })),
        ];
        let expected = expected.map(|(wall_time, step, what)| Event {
            wall_time,
            step,
            what: Some(what),
        });
        assert_eq!(events, expected);
    }
}
