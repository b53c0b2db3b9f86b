//! Connections that use up file descriptors.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
};

use equibatch_harness::{
    files::Log,
    process::{ServerProcess, program},
    receive::{next, open, small},
    wait::eventually,
};
use equibatch_server::admin;

use super::pictures;

/// The address that follows `words` in the log.
fn address_in(log: &Log, words: &str) -> SocketAddr {
    eventually(words, || {
        let log = log.text();
        let line = log.lines().find(|line| line.contains(words))?;
        line.rsplit_once("address=")?.1.trim().parse().ok()
    })
}

#[tokio::test]
async fn idle_connections_to_the_operator_port_affect_no_stream() {
    let images = pictures();
    let log = Log::new();
    let options = ["--listen", ":0", "--admin", "127.0.0.1:0", "--log", "info"];
    // The hard limit, which cannot be raised.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 256; exec \"$0\" \"$@\""])
        .arg(program("server"));
    let server = ServerProcess::by(command, log.file(), images.root(), &options);
    let operator = address_in(&log, "admin endpoint listening");
    let mut client = server.client().await;
    let (_description, mut stream) = open(&mut client, small("train", 1_000_000)).await.unwrap();
    next(&mut stream).await.unwrap().unwrap();
    let before = server.open_files();
    // As many as the system's backlog holds beside the accepted ones.
    let silent: Vec<_> = (0..150)
        .map_while(|_| TcpStream::connect(operator).ok())
        .collect();
    assert!(silent.len() > admin::CONNECTIONS);
    for _ in 0..100 {
        next(&mut stream).await.unwrap().unwrap();
    }
    let taken = server.open_files().saturating_sub(before);
    println!(
        "attacks: {} silent connections take {taken} descriptors",
        silent.len()
    );
    // And some files that are being read.
    assert!(taken <= admin::CONNECTIONS + 16, "{taken} descriptors");
    let said = log.text();
    assert!(
        said.contains("fewer connections than --max-connections"),
        "{said}"
    );
}

#[test]
fn the_soft_limit_of_descriptors_is_raised() {
    let images = pictures();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -Sn 64; exec \"$0\" \"$@\""])
        .arg(program("server"));
    let server = ServerProcess::by(command, Stdio::inherit(), images.root(), &["--listen", ":0"]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
}
