//! A door in front of PostgreSQL that a test can open and shut.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::task::JoinHandle;
use url::Url;

/// A port that leads to the database while it is open, and refuses connections while it is shut.
pub struct Proxy {
    address: SocketAddr,
    target: Arc<Mutex<Target>>,
    /// The same database, through the door.
    pub url: String,
    state: State,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

#[derive(Clone)]
enum Target {
    Socket(PathBuf),
    Address(String),
}

enum State {
    /// Bound, so that nobody else gets the port, and not listening.
    Shut(TcpSocket),
    Open(JoinHandle<()>),
    Between,
}

impl Proxy {
    /// Before the database of that URL; shut.
    pub fn shut(database_url: &str) -> Self {
        let mut url: Url = database_url.parse().expect("a URL");
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let host = pairs.iter().find(|(name, _)| name == "host").map(|(_, host)| host.clone());
        let port = url.port().unwrap_or(5432);
        let target = match host.as_deref() {
            Some(folder) if folder.starts_with('/') => {
                Target::Socket(PathBuf::from(folder).join(format!(".s.PGSQL.{port}")))
            }
            host => Target::Address(format!("{}:{port}", host.or(url.host_str()).unwrap_or("localhost"))),
        };
        let socket = bound("127.0.0.1:0".parse().expect("a constant address"));
        let address = socket.local_addr().expect("a bound socket");
        url.query_pairs_mut().clear().extend_pairs(pairs.iter().filter(|(name, _)| name != "host"));
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(address.port())).expect("a port");
        let target = Arc::new(Mutex::new(target));
        Self { address, target, url: url.into(), state: State::Shut(socket), connections: Arc::default() }
    }

    /// Leads further connections to another address.
    pub fn lead_to(&mut self, address: SocketAddr) {
        *self.target.lock().expect("no panic under the lock") = Target::Address(address.to_string());
    }

    /// Lets connections through from now on.
    pub fn open(&mut self) {
        let State::Shut(socket) = std::mem::replace(&mut self.state, State::Between) else { panic!("it is open") };
        let listener = socket.listen(128).expect("a bound socket");
        self.state = State::Open(tokio::spawn(pass(listener, Arc::clone(&self.target), Arc::clone(&self.connections))));
    }

    /// Cuts all connections, and refuses others from now on.
    pub async fn close(&mut self) {
        let State::Open(task) = std::mem::replace(&mut self.state, State::Between) else { panic!("it is shut") };
        task.abort();
        let _ = task.await;
        let connections = std::mem::take(&mut *self.connections.lock().expect("no panic under the lock"));
        for connection in connections {
            connection.abort();
            let _ = connection.await;
        }
        self.state = State::Shut(bound(self.address));
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option that every system has");
    socket.bind(address).expect("a free port");
    socket
}

async fn pass(listener: TcpListener, target: Arc<Mutex<Target>>, connections: Arc<Mutex<Vec<JoinHandle<()>>>>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let target = target.lock().expect("no panic under the lock").clone();
        let connection = tokio::spawn(async move {
            // Either side may break off; both are then closed.
            let _ = match target {
                Target::Socket(path) => match UnixStream::connect(path).await {
                    Ok(mut far) => copy_bidirectional(&mut near, &mut far).await,
                    Err(error) => Err(error),
                },
                Target::Address(address) => match TcpStream::connect(address).await {
                    Ok(mut far) => copy_bidirectional(&mut near, &mut far).await,
                    Err(error) => Err(error),
                },
            };
        });
        connections.lock().expect("no panic under the lock").push(connection);
    }
}
