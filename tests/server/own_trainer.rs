//! The Python of docs/how-to/own-trainer.md, against running servers.
//!
//! Needs the Python of `make python-tools`, which `make test` installs; without it the tests are skipped with a message.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use equibatch_harness::{checkout, images::pictures, process::ServerProcess, wait::eventually};

fn root() -> PathBuf {
    checkout::path("")
}

/// The Python with gRPC, if it is installed.
#[allow(clippy::print_stderr, reason = "a test that is not run must say so")]
fn python() -> Option<Command> {
    let program = root().join(".tools/python/bin/python");
    if !program.exists() {
        eprintln!(
            "skipped: {} is not there; `make python-tools` installs it",
            program.display()
        );
        return None;
    }
    let mut command = Command::new(program);
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Some(command)
}

/// Starts a program that imports the page's module, with the generated modules in `folder`; its first argument is the server's address.
fn program(mut python: Command, folder: &Path, address: &str, text: &str) -> Child {
    let prelude = format!(
        "import sys\nfrom grpc_tools import protoc\nout = {folder:?}\nprotoc.main(['protoc', '-I' + {proto:?}, '--python_out=' + out, \
         '--grpc_python_out=' + out, 'equibatch/v1/equibatch.proto'])\nsys.path[:0] = [out, {page:?}]\nfrom own_trainer import *\n",
        proto = root().join("proto"),
        page = root().join("docs/how-to"),
    );
    let text = prelude + text;
    python
        .args(["-c", &text, address])
        .spawn()
        .expect("Python starts")
}

/// Waits for the exit; returns the exit code and standard error.
fn end(mut child: Child) -> (Option<i32>, String) {
    let status = eventually("it ends", || child.try_wait().expect("a status"));
    let mut errors = String::new();
    let mut pipe = child.stderr.take().expect("a pipe");
    pipe.read_to_string(&mut errors).expect("text");
    (status.code(), errors)
}

#[test]
fn every_snippet_of_the_page_runs() {
    let Some(mut python) = python() else { return };
    let images = pictures();
    let servers = [0, 1].map(|_| ServerProcess::start(images.root(), &[]));
    let folder = tempfile::tempdir().unwrap();
    let child = python
        .arg(root().join("tests/trainer/snippets.py"))
        .args([&servers[0].address, &servers[1].address])
        .arg(folder.path())
        .spawn()
        .expect("Python starts");
    let (code, errors) = end(child);
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn an_exception_in_the_loop_ends_the_process() {
    let Some(python) = python() else { return };
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let text = "with Stream(sys.argv[1], batch_size=4, image_size=32, epochs=1000000) as stream:\n    \
                for images, batch in stream:\n        raise RuntimeError('in the loop')\n";
    let (code, errors) = end(program(python, folder.path(), &server.address, text));
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("in the loop"), "{errors}");
}

#[test]
fn a_suspended_server_is_an_error_and_not_an_endless_wait() {
    let Some(python) = python() else { return };
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let text = "with Stream(sys.argv[1], stall=1, batch_size=4, image_size=32, epochs=1000000) as stream:\n    \
                for images, batch in stream:\n        print('a batch', flush=True)\n";
    let mut child = program(python, folder.path(), &server.address, text);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "a batch");
    server.stand_still();
    // No one else reads the rest of the output.
    let reader = std::thread::spawn(move || lines.for_each(drop));
    let (code, errors) = end(child);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("StatusCode.CANCELLED"), "{errors}");
    reader.join().expect("no panic");
}

#[test]
fn another_server_continues_after_the_last_batch() {
    let Some(python) = python() else { return };
    let images = pictures();
    let (mut first, second) = (
        ServerProcess::start(images.root(), &[]),
        ServerProcess::start(images.root(), &[]),
    );
    let folder = tempfile::tempdir().unwrap();
    let addresses = format!("{},{}", first.address, second.address);
    // 400 epochs of five steps do not fit into buffers.
    let text = "seen = []\nfor images, batch in batches(sys.argv[1].split(','), batch_size=6, image_size=32, epochs=400):\n    \
                seen.append((batch.epoch, batch.step))\n    print('a batch', flush=True)\n\
                assert seen == [(epoch, step) for epoch in range(400) for step in range(5)], seen\n";
    let mut child = program(python, folder.path(), &addresses, text);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "a batch");
    first.kill();
    let reader = std::thread::spawn(move || lines.for_each(drop));
    let (code, errors) = end(child);
    assert_eq!(code, Some(0), "{errors}");
    reader.join().expect("no panic");
}
