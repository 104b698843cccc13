//! As much of Redis's protocol as SET and GET need, without a client library's own time.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(crate) struct Redis(BufReader<TcpStream>);

impl Redis {
    pub(crate) async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("Redis answers");
        stream.set_nodelay(true).expect("a socket");
        Self(BufReader::new(stream))
    }

    pub(crate) async fn set(&mut self, key: &str, value: &[u8]) {
        self.send(&[b"SET", key.as_bytes(), value]).await;
        assert_eq!(self.line().await, "+OK");
    }

    pub(crate) async fn get(&mut self, key: &str) -> Vec<u8> {
        self.send(&[b"GET", key.as_bytes()]).await;
        let line = self.line().await;
        let length: usize = line.strip_prefix('$').and_then(|n| n.parse().ok()).expect("a value");
        let mut value = vec![0; length + 2];
        self.0.read_exact(&mut value).await.expect("the value");
        value.truncate(length);
        value
    }

    async fn send(&mut self, parts: &[&[u8]]) {
        let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
        for part in parts {
            bytes.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&bytes).await.expect("sent");
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("an answer");
        line.trim_end().to_owned()
    }
}
