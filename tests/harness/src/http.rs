//! An HTTP server whose replies the test chooses, including invalid ones.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// The reply to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Sends these bytes, head and body, and closes the connection.
    Bytes(Vec<u8>),
    /// Sends these bytes, and then nothing until the client disconnects.
    Stall(Vec<u8>),
}

impl Reply {
    /// A complete response.
    #[must_use]
    pub fn new(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut all: Vec<(&str, String)> = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        all.push(("Content-Length", body.len().to_string()));
        Self::raw(status, &all, body)
    }

    /// A response with exactly these headers; without a length, the body ends with the connection.
    #[must_use]
    pub fn raw(status: &str, headers: &[(&str, String)], body: &[u8]) -> Self {
        let mut bytes = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
        for (name, value) in headers {
            bytes += &format!("{name}: {value}\r\n");
        }
        Self::Bytes([bytes.as_bytes(), b"\r\n", body].concat())
    }

    /// An image.
    #[must_use]
    pub fn image(mime_type: &str, body: &[u8]) -> Self {
        Self::new("200 OK", &[("Content-Type", mime_type)], body)
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(to: &str) -> Self {
        Self::new("302 Found", &[("Location", to)], b"")
    }

    /// This response without its last bytes, which never come.
    #[must_use]
    pub fn stalled(self, behind: usize) -> Self {
        let (Self::Bytes(mut bytes) | Self::Stall(mut bytes)) = self;
        bytes.truncate(behind);
        Self::Stall(bytes)
    }
}

/// A server with a thread for each connection, until the process ends.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    requests: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl HttpServer {
    /// Listens on the loopback. `answer` gets the path and the number of earlier requests for it.
    #[must_use]
    pub fn start(answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on(IpAddr::from([127, 0, 0, 1]), answer)
    }

    /// Listens on another address.
    ///
    /// # Panics
    ///
    /// If the system does not allow it.
    #[must_use]
    pub fn start_on(address: IpAddr, answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a free port");
        let address = listener.local_addr().expect("the address of a listener");
        let requests = Arc::new(Mutex::new(BTreeMap::new()));
        let (answer, counted) = (Arc::new(answer), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&counted));
                // Some tests disconnect early.
                thread::spawn(move || {
                    let _gone = serve(stream, &*answer, &requests);
                });
            }
        });
        Self { address, requests }
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The number of requests for each path.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, usize> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn serve(
    stream: TcpStream,
    answer: &(impl Fn(&str, usize) -> Reply + ?Sized),
    requests: &Mutex<BTreeMap<String, usize>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line.trim_end() != "" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let before = {
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        let count = requests.entry(path.clone()).or_default();
        *count += 1;
        *count - 1
    };
    match answer(&path, before) {
        Reply::Bytes(bytes) => reader.get_mut().write_all(&bytes),
        Reply::Stall(bytes) => {
            reader.get_mut().write_all(&bytes)?;
            reader.read_to_end(&mut vec![]).map(drop)
        }
    }
}
