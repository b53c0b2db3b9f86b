//! Batches through a server and a receiver, both in this process.

use std::{io, net::Ipv4Addr, rc::Rc};

use equibatch_proto::v1::{self, StreamBatchesRequest};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    runtime::{Builder, Runtime},
};
use tokio_stream::{Stream, wrappers::UnixListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpIncoming};

use super::{
    Error, Report,
    engine::{self, runtime},
    meter::{Cost, Meter},
    raw,
    receive::{connect, drain},
    subject::Subject,
    turns::{Rounds, Turns},
};
use crate::{
    pipeline::Engine,
    service::{ServiceConfig, serve},
    tensor::ElementType,
};

const TCP: &str = "stream_f32";
const RAW: &str = "raw_tcp_f32";

pub(super) fn join(subject: &Subject, turns: &mut Turns) -> Result<(), Error> {
    let cached = Rc::new(Serving::start(&subject.engine)?);
    let uncached = Rc::new(Serving::start(&subject.uncached)?);
    let (f32, u8) = (ElementType::F32, ElementType::U8);
    let (tcp, unix) = (&cached.tcp, &cached.unix);
    for (name, serving, address, element_type) in [
        (TCP, &cached, tcp, f32),
        ("stream_u8", &cached, tcp, u8),
        ("unix_f32", &cached, unix, f32),
        ("unix_u8", &cached, unix, u8),
        ("uncached_f32", &uncached, &uncached.tcp, f32),
    ] {
        turns.join(name, receive(serving, address, subject, element_type)?);
    }
    turns.join(RAW, raw::copy(subject, f32)?);
    turns.join("raw_tcp_u8", raw::copy(subject, u8)?);
    // What transport costs is what a stream costs beyond its batches.
    if !turns.has(engine::F32) {
        engine::join(subject, turns)?;
    }
    Ok(())
}

/// Notes
///
/// * `transport_of_raw_tcp`: processor time of the bytes through plain sockets, both sides, in times of what a stream over TCP costs beyond
///   the batches themselves (`stream_f32` less `engine_f32`), both sides. 1 would be a transport that costs no more than the two copies
///   into and out of the kernel; a third of it is lost at 0.67.
/// * `throughput_of_raw_tcp`: images per second of the stream, which are made by the same processors, in times of those of the plain sockets,
///   which are only copied.
/// * `images_per_second`: of `stream_f32`.
pub(super) fn compare(rounds: &Rounds, report: &mut Report) {
    let transport = rounds.compare([RAW, TCP, engine::F32], |[raw, stream, engine]| {
        raw.cpu_ms() / (stream.cpu_ms() - engine.cpu_ms())
    });
    let throughput = rounds.compare([TCP, RAW], |[stream, raw]| stream.rate() / raw.rate());
    report.note_any("transport_of_raw_tcp", transport);
    report.note_any("throughput_of_raw_tcp", throughput);
    report.note_any(
        "images_per_second",
        rounds.compare([TCP], |[stream]| stream.rate()),
    );
}

/// Receives the training batches of a server, one stream each turn.
fn receive(
    serving: &Rc<Serving>,
    address: &str,
    subject: &Subject,
    element_type: ElementType,
) -> Result<impl FnMut(u64) -> Result<Cost, Error> + use<>, Error> {
    let size = subject.size;
    let runtime = runtime()?;
    let channel = runtime.block_on(connect(address.to_owned()))?;
    let mut input = vec![0; subject.request(element_type).batch_bytes()];
    let serving = Rc::clone(serving);
    Ok(move |batches| {
        let _keeps_the_server_up = &serving;
        let mut request = StreamBatchesRequest {
            batch_size: Some(size.batch),
            image_size: Some(size.image),
            images_per_epoch: Some(batches * u64::from(size.batch)),
            ..StreamBatchesRequest::default()
        };
        request.set_element_type(match element_type {
            ElementType::F32 => v1::ElementType::F32,
            ElementType::F16 => v1::ElementType::F16,
            ElementType::U8 => v1::ElementType::U8,
        });
        let meter = Meter::start();
        let images = runtime.block_on(drain(&channel, &request, &mut input))?;
        Ok(meter.stop(images))
    })
}

/// A server with threads of its own, as `server serve` has them.
#[derive(Debug)]
struct Serving {
    /// Address of its TCP port.
    tcp: String,
    /// Address of its Unix socket.
    unix: String,
    stop: CancellationToken,
    _socket: TempDir,
    _runtime: Runtime,
}

impl Serving {
    fn start(engine: &Engine) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(Error::Threads)?;
        let folder = TempDir::with_prefix("equibatch-bench-").map_err(Error::Folder)?;
        let path = folder.path().join("socket");
        let bound = runtime.block_on(async {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let port = tcp.local_addr()?.port();
            Ok((port, tcp, UnixListener::bind(&path)?))
        });
        let (port, tcp, unix) = bound.map_err(Error::Socket)?;
        let stop = CancellationToken::new();
        keep_serving(
            &runtime,
            engine,
            &stop,
            TcpIncoming::from(tcp).with_nodelay(Some(true)),
        );
        keep_serving(&runtime, engine, &stop, UnixListenerStream::new(unix));
        Ok(Self {
            tcp: format!("http://127.0.0.1:{port}"),
            unix: format!("unix:{}", path.display()),
            stop,
            _socket: folder,
            _runtime: runtime,
        })
    }
}

/// Serves connections until `stop`.
fn keep_serving<C>(
    runtime: &Runtime,
    engine: &Engine,
    stop: &CancellationToken,
    incoming: impl Stream<Item = io::Result<C>> + Send + 'static,
) where
    C: AsyncRead
        + AsyncWrite
        + Connected<ConnectInfo: Clone + Send + Sync + 'static>
        + Unpin
        + Send
        + 'static,
{
    let (engine, stop) = (engine.clone(), stop.clone().cancelled_owned());
    // A server that fails is noticed by its receiver.
    runtime.spawn(async move { serve(engine, &ServiceConfig::default(), incoming, stop).await });
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
