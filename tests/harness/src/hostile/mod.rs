//! Clients that harm others, or would: parts for tests, and rounds of them for the soak.
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
    /// Batches that are expensive to plan and cheap to make.
    Planning,
    /// More weight than is granted, and as many streams as it can read.
    Weights,
    /// Streams of ever other sizes and weights.
    Demand,
    /// Streams of large batches that are not read.
    Unread,
    /// Small files of large images.
    Bombs,
    /// Requests that are begun and never finished.
    Bodies,
    /// PING, SETTINGS and answers to PINGs, as fast as they go.
    Floods,
    /// PINGs until nothing more is taken, and then silence.
    Stuck,
    /// Connections that say nothing, and some that say no more than that they speak HTTP/2.
    Silent,
    /// Silent connections to the operator's port.
    Operator,
    /// Questions about the data set, as fast as they are answered.
    Describe,
    /// Requests without a meaning, and bytes that are no requests.
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

    /// Whether it holds streams, and so has a share of the workers' time of its own.
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
    /// Its own address, by which the server knows it.
    pub address: Ipv4Addr,
    /// The server's.
    pub server: SocketAddr,
    /// The server's for its operator.
    pub operator: SocketAddr,
    /// A data set of the server with classes of these names.
    pub dataset: (String, Vec<String>),
    /// Another one, of small files of large images.
    pub bombs: String,
}

/// How long a round holds what it has.
const ROUND: Duration = Duration::from_secs(2);
/// Streams of a client at a time.
const STREAMS: u64 = 4;

impl Hostile {
    /// Does it round by round until `is_over`. Gives the number of rounds in which the server could be reached.
    ///
    /// # Errors
    ///
    /// If there are no threads.
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

    /// What is done once; `None` if the server is not there, as servers come and go. What the server refuses is not looked at.
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
            Kind::Nonsense => self.talk_nonsense(dice).await,
        }
    }

    /// Opens streams, each of its own number, and reads all of them for a while.
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

    async fn talk_nonsense(&self, dice: &mut ChaCha8Rng) -> Option<()> {
        if dice.random_bool(0.5) {
            let mut bytes = [0_u8; 512];
            dice.fill(&mut bytes);
            if dice.random_bool(0.5) {
                bytes[..PREFACE.len()].copy_from_slice(PREFACE);
            }
            let _closed = self.connect(self.server).await?.try_write(&bytes);
        } else {
            let _refused = open(&mut self.client().await?, streams::nonsense(dice)).await;
        }
        Some(())
    }

    async fn connect(&self, server: SocketAddr) -> Option<tokio::net::TcpStream> {
        connections::from(self.address, server).await.ok()
    }

    /// A connection in use, on which nothing is waited for longer than a round.
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

/// Keeps something for a round.
async fn hold<T>(held: T) -> Option<()> {
    tokio::time::sleep(ROUND).await;
    drop(held);
    Some(())
}
