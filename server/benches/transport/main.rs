//! Benchmark of moving the bytes of batches between two processes on this machine, over every transport: the basis for the choice of frame
//! size, window and number of connections.
//!
//!     cargo bench --package equibatch-server --bench transport [-- NAME...]
//!
//! Nothing is rendered: the sender sends one tensor repeatedly. The receiver copies every tensor to the same buffer, as a trainer copies it
//! to its input, so that all methods end in the same state. Sender and receiver are separate processes, and processor time (user and
//! system) is reported for each. All cells of a table run interleaved, including a plain socket, and results are medians over the rounds.

#![allow(clippy::print_stdout, reason = "tables are what the program is for")]

mod cell;
mod processor;
mod receive;
mod serve;
mod wire;

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use cell::{Cell, Connect, Method, Window};
use receive::Cost;
use serve::Addresses;

/// Approximate number of bytes per run.
const TURN: usize = 800 << 20;
const ROUNDS: usize = 5;
/// The argument that makes the program the sender.
const SENDER: &str = "--sender";

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == SENDER) {
        return serve::run();
    }
    let names: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let mut sender = Sender::start()?;
    for (name, cells) in tables() {
        if names.is_empty() || names.iter().any(|wanted| **wanted == name) {
            println!("\n{name}\n");
            print(&measure(&mut sender, cells)?);
        }
    }
    Ok(())
}

/// Bytes of one f32 image of 224x224, and of a batch of 64 such images as u8 and as f32.
const IMAGE: usize = 602_112;
const BATCH_U8: usize = 9_633_792;
const BATCH_F32: usize = 38_535_168;
const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

/// The tables: name and configurations.
fn tables() -> Vec<(&'static str, Vec<Cell>)> {
    let methods = [Method::Raw, Method::Vec, Method::Bytes, Method::Body];
    let transports = [Connect::Tcp, Connect::Unix, Connect::Tls];
    let payloads = [IMAGE, BATCH_U8, BATCH_F32];
    let frames = [16 * KIB, 64 * KIB, 256 * KIB, 512 * KIB, MIB];
    let windows = [
        Window::Default,
        Window::Bytes(256 * KIB),
        Window::Bytes(2 * MIB),
        Window::Bytes(8 * MIB),
        Window::Bytes(64 * MIB),
        Window::Adaptive,
        Window::Local,
    ];
    let vary_method = payloads.into_iter().flat_map(|payload| {
        methods.map(|method| Cell {
            payload,
            method,
            ..Cell::CHOSEN
        })
    });
    let vary_transport = transports.into_iter().flat_map(|connect| {
        [Method::Raw, Method::Body].map(|method| Cell {
            connect,
            method,
            ..Cell::CHOSEN
        })
    });
    let vary_frame = |connect| {
        let control = Cell {
            method: Method::Raw,
            connect,
            ..Cell::CHOSEN
        };
        let cells = windows.into_iter().flat_map(move |window| {
            frames.map(|frame| Cell {
                frame,
                window,
                connect,
                ..Cell::CHOSEN
            })
        });
        [control].into_iter().chain(cells).collect()
    };
    let vary_connections = transports.into_iter().flat_map(|connect| {
        [1, 2, 4].map(|connections| Cell {
            connections,
            connect,
            ..Cell::CHOSEN
        })
    });
    vec![
        ("methods", vary_method.collect()),
        ("ways", vary_transport.collect()),
        ("frames-tcp", vary_frame(Connect::Tcp)),
        ("frames-unix", vary_frame(Connect::Unix)),
        ("connections", vary_connections.collect()),
    ]
}

/// Runs every cell once to warm up, then all of them in each round.
fn measure(sender: &mut Sender, cells: Vec<Cell>) -> Result<Vec<(Cell, Vec<Cost>)>, Failure> {
    let mut measured: Vec<(Cell, Vec<Cost>)> = cells.into_iter().map(|cell| (cell, vec![])).collect();
    for round in 0..=ROUNDS {
        for (cell, costs) in &mut measured {
            let turn = if round == 0 { TURN / 4 } else { TURN };
            let count = (turn / cell.payload / cell.connections as usize).max(2);
            let cost = receive::receive(cell, count, sender)?;
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    Ok(measured)
}

fn print(measured: &[(Cell, Vec<Cost>)]) {
    println!(
        "| MB | method | way | connections | frame | window | GB/s | sender, CPU-s/GB | receiver, CPU-s/GB | both |"
    );
    println!("|--:|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for (cell, costs) in measured {
        let median = |figure: fn(&Cost) -> f64| {
            let mut values: Vec<f64> = costs.iter().map(figure).collect();
            values.sort_unstable_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "| {cell} | {:.2} | {:.3} | {:.3} | {:.3} |",
            median(Cost::rate),
            median(|cost| cost.per_gigabyte(cost.sender)),
            median(|cost| cost.per_gigabyte(cost.receiver)),
            median(|cost| cost.per_gigabyte(cost.sender + cost.receiver)),
        );
    }
}

/// The sender process, killed when dropped.
struct Sender {
    child: Child,
    answers: BufReader<ChildStdout>,
    addresses: Addresses,
}

impl Sender {
    fn start() -> Result<Self, Failure> {
        let mut child = Command::new(env::current_exe()?)
            .arg(SENDER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output of the sender")?;
        let mut answers = BufReader::new(output);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let addresses = Addresses::parse(line.trim()).ok_or("the sender printed no addresses")?;
        Ok(Self {
            child,
            answers,
            addresses,
        })
    }

    /// Processor time that it has used so far.
    fn time(&mut self) -> Result<Duration, Failure> {
        let questions = self
            .child
            .stdin
            .as_mut()
            .ok_or("the input of the sender is closed")?;
        writeln!(questions)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(Duration::from_nanos(line.trim().parse()?))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
