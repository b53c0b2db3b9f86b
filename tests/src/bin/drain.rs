//! Reads batches from a server on this machine and prints their cost: `drain ADDRESS SERVER_PID EPOCHS [f32|f16|u8]`.
//!
//! One line of JSON: images per second, and CPU time (user and system) per image of the server and of this process. The first epoch warms
//! the server's cache and is not counted.

use std::{
    env, fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use equibatch_proto::v1::{Batch, ElementType, StreamBatchesRequest, stream_batches_response::Message};
use equibatch_transport::{BatchReceiver, MAX_FRAME_SIZE, SizeLimits, with_flow_control};
use tonic::transport::{Channel, Endpoint};

/// Images of a batch.
const BATCH: usize = 64;
/// Height and width of an image, in pixels.
const SIZE: usize = 224;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, server, epochs, rest @ ..] = &arguments[..] else {
        bail!("usage: drain ADDRESS SERVER_PID EPOCHS [f32|f16|u8]");
    };
    let (element, width) = match rest.first().map(String::as_str) {
        None | Some("f32") => (ElementType::F32, 4),
        Some("f16") => (ElementType::F16, 2),
        Some("u8") => (ElementType::U8, 1),
        Some(other) => bail!("no element type {other}"),
    };
    let epochs: u32 = epochs.parse().context("EPOCHS")?;
    let mut request = StreamBatchesRequest {
        epochs: Some(epochs + 1),
        batch_size: Some(BATCH as u32),
        image_size: Some(SIZE as u32),
        ..StreamBatchesRequest::default()
    };
    request.set_element_type(element);
    let tensor = BATCH * 3 * SIZE * SIZE * width;
    let sizes = SizeLimits {
        tensor,
        message: tensor + (1 << 20),
    };
    let mut stream = BatchReceiver::open(connect(address).await?, &request, sizes).await?;
    let Some(Message::Description(description)) = stream.message().await?.and_then(|first| first.message)
    else {
        bail!("a stream begins with its description");
    };
    for _ in 0..description.steps_per_epoch {
        next(&mut stream).await?.context("the first epoch")?;
    }
    let (start, before) = (Instant::now(), (cpu_seconds(server)?, cpu_seconds("self")?));
    let (mut images, mut bytes) = (0, 0);
    while let Some(batch) = next(&mut stream).await? {
        images += batch.labels.len();
        bytes += batch.tensor.len();
    }
    let wall = start.elapsed().as_secs_f64();
    let per_image = |from: f64, to: f64| (to - from) * 1000.0 / images as f64;
    let report = serde_json::json!({
        "element_type": element.as_str_name(),
        "images": images,
        "images_per_second": images as f64 / wall,
        "megabytes_per_second": bytes as f64 / wall / 1e6,
        "server_cpu_ms": per_image(before.0, cpu_seconds(server)?),
        "client_cpu_ms": per_image(before.1, cpu_seconds("self")?),
    });
    #[allow(clippy::print_stdout, reason = "the line is what the program is for")]
    {
        println!("{report}");
    }
    Ok(())
}

/// The next batch; `None` after the last one.
async fn next(stream: &mut BatchReceiver) -> Result<Option<Batch>> {
    match stream.message().await?.and_then(|response| response.message) {
        Some(Message::Batch(batch)) => Ok(Some(batch)),
        None => Ok(None),
        Some(other) => bail!("no batch, but {other:?}"),
    }
}

/// A connection with the client's settings for a local server.
async fn connect(address: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.max_frame_size(MAX_FRAME_SIZE);
    Ok(with_flow_control(endpoint, Duration::ZERO).connect().await?)
}

/// User and system CPU time of process `id`. The kernel counts in hundredths of a second.
fn cpu_seconds(id: &str) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("reading the CPU time")?;
    let (_name, fields) = stat.rsplit_once(')').context("the name in the CPU time")?;
    let ticks = |index: usize| {
        fields
            .split_whitespace()
            .nth(index)
            .and_then(|field| field.parse::<f64>().ok())
    };
    let (user, system) = (ticks(11).context("user time")?, ticks(12).context("system time")?);
    Ok((user + system) / 100.0)
}
