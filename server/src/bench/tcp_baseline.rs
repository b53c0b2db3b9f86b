//! Baseline: the bytes of batches over plain TCP sockets.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use super::{
    error::Error,
    fixture::Fixture,
    meter::{Cost, Meter},
};
use equibatch_engine::tensor::{ElementType, TensorSpec};

/// A writer thread, and a socket to read from.
#[derive(Debug)]
struct Pair {
    /// Numbers of batches to write; the writer ends when it is dropped.
    orders: SyncSender<u64>,
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// Copies batches from one buffer to another over loopback TCP, with a writer and a reader thread.
pub(super) fn copy(
    fixture: &Fixture,
    element_type: ElementType,
) -> Result<impl FnMut(u64) -> Result<Cost, Error> + use<>, Error> {
    let TensorSpec { size, .. } = fixture.request(element_type).tensor;
    let image = size as usize * size as usize * 3 * element_type.byte_size();
    let images = u64::from(fixture.size.batch);
    let mut pair = Pair::new(image * images as usize).map_err(Error::Socket)?;
    Ok(move |batches| {
        let meter = Meter::start();
        pair.copy(batches).map_err(Error::Socket)?;
        Ok(meter.stop(batches * images))
    })
}

impl Pair {
    fn new(batch_bytes: usize) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let socket = TcpStream::connect(listener.local_addr()?)?;
        let (writer, _) = listener.accept()?;
        let (orders, taken) = sync_channel(1);
        thread::Builder::new().spawn(move || write(writer, &taken, batch_bytes))?;
        Ok(Self {
            orders,
            socket,
            buffer: vec![0; batch_bytes],
        })
    }

    fn copy(&mut self, batches: u64) -> io::Result<()> {
        self.orders
            .send(batches)
            .map_err(|_| io::Error::other("the writer has ended"))?;
        for _ in 0..batches {
            self.socket.read_exact(&mut self.buffer)?;
        }
        Ok(())
    }
}

/// Writes as many batches as ordered. Ends on a socket error, which the reader notices.
fn write(mut socket: TcpStream, orders: &Receiver<u64>, batch_bytes: usize) {
    let buffer = vec![1; batch_bytes];
    for batches in orders {
        for _ in 0..batches {
            if socket.write_all(&buffer).is_err() {
                return;
            }
        }
    }
}
