//! Non-blocking log output: a thread of its own writes the lines to standard error.

use std::{
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

/// Capacity of the queue. Lines that do not fit are dropped and counted.
const QUEUE: usize = 4096;

/// Poll interval while the queue is full.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Lines that were dropped since the process started.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Log lines dropped so far because standard error was not read in time.
#[must_use]
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// A command for the log thread.
enum Command {
    Write(Vec<u8>),
    /// Signals once all earlier lines are written.
    Flush(SyncSender<()>),
}

/// Queues lines for the log thread. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Lines(SyncSender<Command>);

/// Queues lines of the log.
pub(super) struct LineWriter(Lines);

impl Lines {
    /// Starts a thread that writes to `out`.
    ///
    /// # Errors
    ///
    /// If the system refuses the thread.
    pub(super) fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, commands) = mpsc::sync_channel(QUEUE);
        let said = dropped_lines();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(out, &commands, said))?;
        Ok(Self(sender))
    }

    /// Waits until all queued lines are written, for at most `timeout`.
    pub(super) fn flush(&self, timeout: Duration) {
        let until = Instant::now() + timeout;
        let (done, flushed) = mpsc::sync_channel(1);
        while let Err(TrySendError::Full(_)) = self.0.try_send(Command::Flush(done.clone())) {
            if Instant::now() > until {
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
        let _late = flushed.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// Executes `commands`; `said` is the number of dropped lines that are already reported.
fn write_all(mut out: impl Write, commands: &Receiver<Command>, mut said: u64) {
    for order in commands {
        match order {
            Command::Write(line) => {
                // A failure to log cannot be logged.
                let _unwritten = out.write_all(&line);
            }
            Command::Flush(done) => {
                let _unwritten = out.flush();
                let _gone = done.try_send(());
            }
        }
        let dropped = dropped_lines();
        if dropped > said {
            let _unwritten = writeln!(out, "{} lines of the log were dropped", dropped - said);
            said = dropped;
        }
    }
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.0.0.try_send(Command::Write(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter(self.clone())
    }
}

/// The log output of this process: one thread, however often logging is started.
pub(super) fn standard_error() -> io::Result<Lines> {
    static LINES: OnceLock<Lines> = OnceLock::new();
    match LINES.get() {
        Some(lines) => Ok(lines.clone()),
        None => {
            let lines = Lines::to(io::stderr())?;
            Ok(LINES.get_or_init(|| lines).clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Writes to a buffer once its lock is free.
    struct LockedBuffer(Arc<Mutex<Vec<u8>>>);

    impl Write for LockedBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn logging_does_not_block_and_dropped_lines_are_counted() {
        let text = Arc::new(Mutex::new(vec![]));
        let lines = Lines::to(LockedBuffer(Arc::clone(&text))).expect("a thread");
        let reader = text.lock().expect("no panic");
        let more = 100;
        for number in 0..QUEUE + 1 + more {
            let line = format!("{number}\n");
            let written = lines.make_writer().write_all(line.as_bytes());
            written.expect("never fails");
        }
        let dropped = dropped_lines();
        assert!((more as u64..=more as u64 + 1).contains(&dropped), "{dropped}");
        drop(reader);
        lines.flush(Duration::from_secs(60));
        let text = String::from_utf8(text.lock().expect("no panic").clone()).expect("text");
        // Reported once, after the line that was being written.
        let said = format!("{dropped} lines of the log were dropped\n");
        assert_eq!(text.matches("dropped").count(), 1);
        assert!(text.contains(&said), "{said}");
        let kept = text.replace(&said, "");
        let expected: String = (0..kept.lines().count())
            .map(|number| format!("{number}\n"))
            .collect();
        assert_eq!(kept, expected);
    }
}
