//! Drains batches from a server on this machine and says what they cost: `drain ADDRESS SERVER_PID EPOCHS [f32|f16|u8]`.
//!
//! One line of JSON: images per second, and CPU time (user and system) per image of the server and of this process. The first epoch warms
//! the server's cache and is not counted.

use std::{env, fs, time::Instant};

use anyhow::{Context as _, Result, bail};
use equibatch_proto::v1::{ElementType, StreamBatchesRequest, batch_loader_client::BatchLoaderClient};
use equibatch_tests::receive::{next, open};
use tonic::transport::Endpoint;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, server, epochs, rest @ ..] = &arguments[..] else {
        bail!("usage: drain ADDRESS SERVER_PID EPOCHS [f32|f16|u8]");
    };
    let element = match rest.first().map(String::as_str) {
        None | Some("f32") => ElementType::F32,
        Some("f16") => ElementType::F16,
        Some("u8") => ElementType::U8,
        Some(other) => bail!("no element type {other}"),
    };
    let epochs: u32 = epochs.parse().context("EPOCHS")?;
    let mut client = connect(address).await?;
    let mut request = StreamBatchesRequest {
        epochs: Some(epochs + 1),
        ..StreamBatchesRequest::default()
    };
    request.set_element_type(element);
    let (description, mut stream) = open(&mut client, request).await?;
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

/// A connection with windows and frames for batches.
async fn connect(address: &str) -> Result<BatchLoaderClient<tonic::transport::Channel>> {
    let variable = |name: &str, default: u32| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .initial_stream_window_size(variable("DRAIN_WINDOW", 16 << 20))
        .initial_connection_window_size(variable("DRAIN_WINDOW", 16 << 20))
        .max_frame_size(variable("DRAIN_FRAME", 256 << 10))
        .connect()
        .await?;
    Ok(BatchLoaderClient::new(channel).max_decoding_message_size(usize::MAX))
}

/// CPU time that process `id` has used, user and system. The kernel counts in hundredths of a second.
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
