//! The sender process.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, TcpListener as PlainListener},
    os::unix::net::UnixListener as PlainUnixListener,
    path::PathBuf,
    thread,
};

use tempfile::TempDir;
use tokio::{net::TcpListener, net::UnixListener, runtime::Builder};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming};

use super::{
    Failure, processor,
    wire::{SenderService, tensor},
};

/// The addresses that the sender listens on.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// TCP ports of the plain socket, of gRPC, and of gRPC with TLS.
    pub(crate) ports: [u16; 3],
    /// Holds the sockets `raw` and `grpc`, and the certificate `root.pem`.
    pub(crate) folder: PathBuf,
}

impl Addresses {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.splitn(4, ' ');
        let mut port = || words.next()?.parse().ok();
        let ports = [port()?, port()?, port()?];
        let folder = words.next()?.into();
        Some(Self { ports, folder })
    }
}

/// Sends until standard input is closed.
pub(crate) fn run() -> Result<(), Failure> {
    let folder = TempDir::with_prefix("equibatch-transport-")?;
    let plain = PlainListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = plain.local_addr()?.port();
    thread::spawn(move || {
        for socket in plain.incoming().map_while(Result::ok) {
            serve_plainly(socket);
        }
    });
    let plain = PlainUnixListener::bind(folder.path().join("raw"))?;
    thread::spawn(move || {
        for socket in plain.incoming().map_while(Result::ok) {
            serve_plainly(socket);
        }
    });
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let (grpc, tls) = runtime.block_on(async {
        let grpc = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let tls = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let unix = UnixListener::bind(folder.path().join("grpc"))?;
        let ports = (grpc.local_addr()?.port(), tls.local_addr()?.port());
        let incoming = |listener| TcpIncoming::from(listener).with_nodelay(Some(true));
        let identity = certificate(&folder)?;
        let tls_config = ServerTlsConfig::new().identity(identity);
        tokio::spawn(
            Server::builder()
                .add_service(SenderService)
                .serve_with_incoming(incoming(grpc)),
        );
        tokio::spawn(
            Server::builder()
                .tls_config(tls_config)?
                .add_service(SenderService)
                .serve_with_incoming(incoming(tls)),
        );
        tokio::spawn(
            Server::builder()
                .add_service(SenderService)
                .serve_with_incoming(UnixListenerStream::new(unix)),
        );
        Ok::<_, Failure>(ports)
    })?;
    println!("{port} {grpc} {tls} {}", folder.path().display());
    // Every input line requests the processor time so far.
    for _question in io::stdin().lines().map_while(Result::ok) {
        println!("{}", processor::time().as_nanos());
    }
    Ok(())
}

/// Sends as many tensors of the length that the receiver requests.
fn serve_plainly(mut socket: impl io::Read + io::Write + Send + 'static) {
    thread::spawn(move || {
        let mut order = [0; 16];
        while socket.read_exact(&mut order).is_ok() {
            let (payload, count) = (&order[..8], &order[8..]);
            let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            let tensor = tensor(number(payload) as usize);
            for _ in 0..number(count) {
                if socket.write_all(&tensor).is_err() {
                    return;
                }
            }
        }
    });
}

/// Creates a certificate for `localhost`, and writes it to the folder.
fn certificate(folder: &TempDir) -> Result<Identity, Failure> {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let pem = certified.cert.pem();
    std::fs::File::create(folder.path().join("root.pem"))?.write_all(pem.as_bytes())?;
    Ok(Identity::from_pem(pem, certified.signing_key.serialize_pem()))
}
