//! The ceiling: the web server answering every request with the same bytes.
//!
//! `cargo run --release -p sona-server --example empty_handler -- ANSWER.json`
//!
//! Takes `POST /api/v1/recommendations` on a free loopback port, which it prints, reads the body and does
//! nothing with it. What the product costs beyond this is its own.
#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]
#![expect(clippy::disallowed_methods, reason = "a program on its own reads files")]

use std::error::Error;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use bytes::Bytes;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name the file to answer with")?;
    let answer = Bytes::from(std::fs::read(path)?);
    let handler = move |_body: Bytes| {
        let answer = answer.clone();
        async move { ([(CONTENT_TYPE, "application/json")], answer) }
    };
    let router = Router::new().route("/api/v1/recommendations", post(handler));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("Serving http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
