//! Clients that attack a server: building blocks for tests, and rounds of attacks for the soak test.
//!
//! # Layout
//! - [`streams`]: requests for batches that cost much. [`connections`]: connections, frames and bodies that no decent client sends.
//! - [`Kind`], [`Hostile`]: what each does to one server, again and again.

pub mod connections;
pub mod streams;

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::Result;
use equibatch_proto::v1::{
    DescribeDatasetRequest, StreamBatchesRequest, batch_loader_client::BatchLoaderClient,
};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::{
    frames::{PREFACE, SETTINGS, frame},
    receive::{next, open, small},
};

/// What a hostile client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Batches that are expensive to plan and cheap to render.
    Planning,
    /// More weight than granted, and as many streams as it can read.
    Weights,
    /// Streams of always different sizes and class weights.
    Demand,
    /// Unread streams of large batches.
    Unread,
    /// Small files of large images.
    Bombs,
    /// Requests that are never finished.
    Bodies,
    /// PING, SETTINGS and PING acknowledgements at full speed.
    Floods,
    /// PINGs until the socket blocks, and then nothing.
    Stuck,
    /// Silent connections, some after an HTTP/2 preface.
    Silent,
    /// Silent connections to the operator's port.
    Operator,
    /// Requests for the dataset's description, one after the other.
    Describe,
    /// Invalid requests, and random bytes.
    Nonsense,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Planning,
        Self::Weights,
        Self::Demand,
        Self::Unread,
        Self::Bombs,
        Self::Bodies,
        Self::Floods,
        Self::Stuck,
        Self::Silent,
        Self::Operator,
        Self::Describe,
        Self::Nonsense,
    ];

    /// Whether it opens streams, and so has a share of the workers' time.
    #[must_use]
    pub fn holds_streams(self) -> bool {
        self <= Self::Bombs
    }
}

/// A hostile client of one server.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// What it does.
    pub kind: Kind,
    /// Its own address, which identifies it to the server.
    pub address: Ipv4Addr,
    /// The server's address.
    pub server: SocketAddr,
    /// The address of the server's operator port.
    pub operator: SocketAddr,
    /// A dataset of the server, and the names of its classes.
    pub dataset: (String, Vec<String>),
    /// A dataset of small files of large images.
    pub bombs: String,
}

/// How long a round keeps its connections and streams.
const ROUND: Duration = Duration::from_secs(2);
/// Concurrent streams of a client.
const STREAMS: u64 = 4;

impl Hostile {
    /// Repeats the attack until `is_over`. Returns the number of rounds in which the server was reached.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn run(&self, is_over: &AtomicBool, mut dice: ChaCha8Rng) -> Result<u64> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut rounds = 0;
        while !is_over.load(Ordering::Relaxed) {
            let round = self.round(&mut dice);
            let reached = runtime.block_on(async { tokio::time::timeout(ROUND * 2, round).await });
            rounds += u64::from(matches!(reached, Ok(Some(()))));
            std::thread::sleep(Duration::from_millis(dice.random_range(50..300)));
        }
        Ok(rounds)
    }

    /// One round; `None` if the server cannot be reached. Refusals are ignored.
    async fn round(&self, dice: &mut ChaCha8Rng) -> Option<()> {
        let seed: u64 = dice.random();
        let request = |number: u64| StreamBatchesRequest {
            dataset: self.dataset.0.clone(),
            seed: seed.wrapping_add(number),
            ..small("train", 1_000_000)
        };
        match self.kind {
            Kind::Planning => {
                let of_one_pixel = |number| StreamBatchesRequest {
                    dataset: self.dataset.0.clone(),
                    ..streams::of_one_pixel(seed.wrapping_add(number))
                };
                self.drain(of_one_pixel).await
            }
            Kind::Weights => {
                let mut client = self.client().await?;
                let weight = Some(100);
                let _refused = open(&mut client, StreamBatchesRequest { weight, ..request(0) }).await;
                self.drain(request).await
            }
            Kind::Demand => {
                let first: u32 = dice.random_range(0..100);
                let of_other_size = |number| StreamBatchesRequest {
                    dataset: self.dataset.0.clone(),
                    ..streams::of_other_size(first + number as u32, &self.dataset.1)
                };
                self.drain(of_other_size).await
            }
            Kind::Unread => {
                let (mut client, mut unread) = (self.client().await?, vec![]);
                for number in 0..STREAMS {
                    let large = StreamBatchesRequest {
                        batch_size: Some(48),
                        image_size: Some(224),
                        ..request(number)
                    };
                    unread.extend(open(&mut client, large).await);
                }
                hold(unread).await
            }
            Kind::Bombs => {
                let dataset = || self.bombs.clone();
                self.drain(|number| StreamBatchesRequest {
                    dataset: dataset(),
                    ..request(number)
                })
                .await
            }
            Kind::Bodies => {
                let stream = self.connect(self.server).await?;
                let (requests, connection) = h2::client::handshake(stream).await.ok()?;
                tokio::spawn(connection);
                hold(connections::unfinished(requests, 100).await).await
            }
            Kind::Floods => {
                let (_, flood) = &connections::floods()[dice.random_range(0..3)];
                let mut stream = self.speaking().await?;
                let until = Instant::now() + ROUND;
                while Instant::now() < until && stream.write_all(&flood.repeat(1000)).is_ok() {}
                Some(())
            }
            Kind::Stuck => {
                let (_, pings) = &connections::floods()[0];
                let mut stream = self.speaking().await?;
                while stream.write_all(&pings.repeat(100)).is_ok() {}
                hold(stream).await
            }
            Kind::Silent => {
                let mut silent = vec![];
                for number in 0..64 {
                    let stream = self.connect(self.server).await?;
                    if number % 2 == 0 {
                        let _taken = stream.try_write(PREFACE);
                    }
                    silent.push(stream);
                }
                hold(silent).await
            }
            Kind::Operator => {
                let mut silent = vec![];
                for _ in 0..64 {
                    silent.push(self.connect(self.operator).await?);
                }
                hold(silent).await
            }
            Kind::Describe => {
                let (mut client, until) = (self.client().await?, Instant::now() + ROUND);
                let request = DescribeDatasetRequest {
                    dataset: self.dataset.0.clone(),
                    ..DescribeDatasetRequest::default()
                };
                while Instant::now() < until && client.describe_dataset(request.clone()).await.is_ok() {}
                Some(())
            }
            Kind::Nonsense => self.send_invalid(dice).await,
        }
    }

    /// Opens numbered streams and reads all of them for a round.
    async fn drain(&self, request: impl Fn(u64) -> StreamBatchesRequest) -> Option<()> {
        let mut client = self.client().await?;
        let mut reading = JoinSet::new();
        for number in 0..STREAMS {
            if let Ok((_, mut stream)) = open(&mut client, request(number)).await {
                reading.spawn(async move { while let Ok(Some(_)) = next(&mut stream).await {} });
            }
        }
        hold(reading).await
    }

    async fn send_invalid(&self, dice: &mut ChaCha8Rng) -> Option<()> {
        if dice.random_bool(0.5) {
            let mut bytes = [0_u8; 512];
            dice.fill(&mut bytes);
            if dice.random_bool(0.5) {
                bytes[..PREFACE.len()].copy_from_slice(PREFACE);
            }
            let _closed = self.connect(self.server).await?.try_write(&bytes);
        } else {
            let _refused = open(&mut self.client().await?, streams::invalid(dice)).await;
        }
        Some(())
    }

    async fn connect(&self, server: SocketAddr) -> Option<tokio::net::TcpStream> {
        connections::from(self.address, server).await.ok()
    }

    /// A connection with its preface sent; writes block for less than a round.
    async fn speaking(&self) -> Option<TcpStream> {
        let stream = self.connect(self.server).await?.into_std().ok()?;
        stream.set_nonblocking(false).ok()?;
        stream.set_write_timeout(Some(ROUND / 4)).ok()?;
        let mut speaking = &stream;
        let settings = frame(SETTINGS, 0, 0, &[]);
        speaking.write_all(&[PREFACE, &settings].concat()).ok()?;
        Some(stream)
    }

    async fn client(&self) -> Option<BatchLoaderClient<Channel>> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.server)).ok()?;
        let channel = endpoint.local_address(Some(self.address.into())).connect().await;
        Some(BatchLoaderClient::new(channel.ok()?).max_decoding_message_size(usize::MAX))
    }
}

/// Keeps a value for a round.
async fn hold<T>(held: T) -> Option<()> {
    tokio::time::sleep(ROUND).await;
    drop(held);
    Some(())
}
