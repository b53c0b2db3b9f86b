//! The receiver of every method.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use equibatch_proto::v1::{StreamBatchesRequest, stream_batches_response::Message};
use equibatch_transport::{BatchReceiver, SizeLimits, with_flow_control};
use tokio::runtime::Builder;
use tonic::{
    Request,
    client::Grpc,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_prost::ProstCodec;

use super::{
    Failure, Sender,
    cell::{Cell, Connect, Method, Window},
    processor,
    serve::Addresses,
    wire::{GENERATED, TensorRequest, WithBytes, WithVec},
};

/// The cost of moving some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    bytes: usize,
    wall: Duration,
    pub(crate) sender: Duration,
    pub(crate) receiver: Duration,
}

impl Cost {
    /// Throughput in 10^9 bytes per second.
    pub(crate) fn rate(&self) -> f64 {
        self.bytes as f64 / 1e9 / self.wall.as_secs_f64()
    }

    pub(crate) fn per_gigabyte(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e9 / self.bytes as f64
    }
}

/// Receives `count` tensors over each connection.
pub(crate) fn receive(cell: &Cell, count: usize, sender: &mut Sender) -> Result<Cost, Failure> {
    let (start, sent, received) = (Instant::now(), sender.time()?, processor::time());
    thread::scope(|scope| {
        let from = &sender.addresses;
        let connections: Vec<_> = (0..cell.connections)
            .map(|_| scope.spawn(move || receive_on_one_connection(cell, count, from)))
            .collect();
        connections.into_iter().try_for_each(|connection| {
            let result = connection.join();
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    Ok(Cost {
        bytes: cell.payload * count * cell.connections as usize,
        wall: start.elapsed(),
        sender: sender.time()? - sent,
        receiver: processor::time() - received,
    })
}

fn receive_on_one_connection(cell: &Cell, count: usize, from: &Addresses) -> Result<(), Failure> {
    let mut input = vec![0; cell.payload];
    if cell.method == Method::Raw {
        return match cell.connect {
            Connect::Unix => receive_raw(UnixStream::connect(from.folder.join("raw"))?, count, &mut input),
            _ => receive_raw(
                TcpStream::connect((Ipv4Addr::LOCALHOST, from.ports[0]))?,
                count,
                &mut input,
            ),
        };
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let channel = endpoint(cell, from)?.connect().await?;
        match cell.method {
            Method::Body => receive_frames(channel, count, &mut input).await,
            Method::Bytes => receive_bytes(channel, count, &mut input).await,
            _ => receive_vec(channel, count, &mut input).await,
        }
    })
}

fn receive_raw(mut socket: impl Read + Write, count: usize, input: &mut [u8]) -> Result<(), Failure> {
    let order = [input.len() as u64, count as u64].map(u64::to_le_bytes).concat();
    socket.write_all(&order)?;
    for _ in 0..count {
        socket.read_exact(input)?;
    }
    Ok(())
}

fn endpoint(cell: &Cell, from: &Addresses) -> Result<Endpoint, Failure> {
    let folder = from.folder.display();
    let mut endpoint = match cell.connect {
        Connect::Tcp => Endpoint::from_shared(format!("http://127.0.0.1:{}", from.ports[1]))?,
        Connect::Unix => Endpoint::from_shared(format!("unix:{folder}/grpc"))?,
        Connect::Tls => {
            let root = Certificate::from_pem(fs::read(from.folder.join("root.pem"))?);
            let tls = ClientTlsConfig::new().ca_certificate(root);
            Endpoint::from_shared(format!("https://localhost:{}", from.ports[2]))?.tls_config(tls)?
        }
    };
    endpoint = endpoint.max_frame_size(cell.frame).tcp_nodelay(true);
    Ok(match cell.window {
        Window::Default => endpoint,
        Window::Adaptive => endpoint.http2_adaptive_window(true),
        Window::Bytes(bytes) => endpoint
            .initial_stream_window_size(bytes)
            .initial_connection_window_size(bytes),
        Window::Local => with_flow_control(endpoint, Duration::ZERO),
    })
}

fn order(count: usize, input: &[u8]) -> TensorRequest {
    TensorRequest {
        count: count as u64,
        payload: input.len() as u32,
    }
}

async fn receive_frames(channel: Channel, count: usize, input: &mut [u8]) -> Result<(), Failure> {
    let order = order(count, input);
    let request = StreamBatchesRequest {
        seed: order.count,
        batch_size: Some(order.payload),
        ..StreamBatchesRequest::default()
    };
    let sizes = SizeLimits {
        tensor: input.len(),
        message: input.len() + 1024,
    };
    let mut receiver = BatchReceiver::open(channel, &request, sizes).await?;
    while let Some(response) = receiver.message().await? {
        if let Some(Message::Batch(batch)) = response.message {
            input.copy_from_slice(&batch.tensor);
        }
    }
    Ok(())
}

async fn receive_bytes(channel: Channel, count: usize, input: &mut [u8]) -> Result<(), Failure> {
    let mut stream = usual::<WithBytes>(channel, order(count, input)).await?;
    while let Some(message) = stream.message().await? {
        input.copy_from_slice(&message.batch.ok_or("no batch")?.tensor);
    }
    Ok(())
}

async fn receive_vec(channel: Channel, count: usize, input: &mut [u8]) -> Result<(), Failure> {
    let mut stream = usual::<WithVec>(channel, order(count, input)).await?;
    while let Some(message) = stream.message().await? {
        input.copy_from_slice(&message.batch.ok_or("no batch")?.tensor);
    }
    Ok(())
}

async fn usual<T>(channel: Channel, order: TensorRequest) -> Result<tonic::Streaming<T>, Failure>
where
    T: prost::Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
    grpc.ready().await?;
    let path = http::uri::PathAndQuery::from_static(GENERATED);
    let codec = ProstCodec::<TensorRequest, T>::default();
    let answer = grpc.server_streaming(Request::new(order), path, codec).await?;
    Ok(answer.into_inner())
}
