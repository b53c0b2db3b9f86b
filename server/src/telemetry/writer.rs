//! The way of the log's lines to standard error, which nobody has to wait for.

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

/// Lines that wait to be written. What comes when there are so many is dropped, and counted.
const WAITING: usize = 4096;

/// How long whoever waits for a place looks away.
const PAUSE: Duration = Duration::from_millis(5);

/// Lines that were dropped since the process started.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines of the log that were dropped so far, because whoever reads them did not keep up.
#[must_use]
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// What a thread of its own is told.
enum Order {
    Write(Vec<u8>),
    /// All before it is written.
    Flush(SyncSender<()>),
}

/// Hands lines to a thread that writes them. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Lines(SyncSender<Order>);

/// Takes lines from the log.
pub(super) struct LineWriter(Lines);

impl Lines {
    /// Lines that go to `out`.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread.
    pub(super) fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, orders) = mpsc::sync_channel(WAITING);
        let said = dropped_lines();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(out, &orders, said))?;
        Ok(Self(sender))
    }

    /// Waits until all lines so far are written, for a while at most.
    pub(super) fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let (done, flushed) = mpsc::sync_channel(1);
        while let Err(TrySendError::Full(_)) = self.0.try_send(Order::Flush(done.clone())) {
            if Instant::now() > until {
                return;
            }
            thread::sleep(PAUSE);
        }
        let _late = flushed.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// Carries out `orders`; of the lines that were dropped, `said` are told of.
fn write_all(mut out: impl Write, orders: &Receiver<Order>, mut said: u64) {
    for order in orders {
        match order {
            Order::Write(line) => {
                // There is nobody to tell.
                let _unwritten = out.write_all(&line);
            }
            Order::Flush(done) => {
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
        match self.0.0.try_send(Order::Write(line.to_vec())) {
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

/// Where the lines of this process go: one thread, however often a log is started.
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

    /// Writes to a text while nobody holds it.
    struct Held(Arc<Mutex<Vec<u8>>>);

    impl Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_dropped_is_counted() {
        let text = Arc::new(Mutex::new(vec![]));
        let lines = Lines::to(Held(Arc::clone(&text))).expect("a thread");
        let reader = text.lock().expect("no panic");
        let more = 100;
        for number in 0..WAITING + 1 + more {
            let line = format!("{number}\n");
            let written = lines.make_writer().write_all(line.as_bytes());
            written.expect("never fails");
        }
        let dropped = dropped_lines();
        assert!((more as u64..=more as u64 + 1).contains(&dropped), "{dropped}");
        drop(reader);
        lines.flush(Duration::from_secs(60));
        let text = String::from_utf8(text.lock().expect("no panic").clone()).expect("text");
        // Said once, behind whichever line was being written.
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
