//! Whether a service does what its OpenAPI document says, judged by schemathesis, which knows nothing else of it.

use std::process::Stdio;

use axum::Router;
use tokio::{net::TcpListener, process::Command};

/// What is generated is the same each time; another number is another set of requests.
const SEED: &str = "5545";
/// Requests of each operation and phase, so that it takes about a minute.
const EXAMPLES: &str = "12";

/// Serves `router` on loopback and lets schemathesis call every operation, as `ada`, with right and with wrong values, one after the
/// other and in sequences.
///
/// # Panics
/// If an answer is not as the document says.
pub async fn keeps_its_contract(router: Router) {
    let python = std::env::var("TEST_PYTHON")
        .expect("this test needs a Python with schemathesis: run `cargo xtask test unit`, which sets TEST_PYTHON");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let url = format!("http://{}/openapi.json", listener.local_addr().expect("it is bound"));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let configuration = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/services/common/src/testing/schemathesis.toml");
    let output = Command::new(python)
        .args(["-m", "schemathesis.cli", "--config-file", configuration, "run", &url, "--seed", SEED, "--no-color"])
        .args(["--header", "x-user-id: ada", "--max-examples", EXAMPLES])
        .env(
            "SCHEMATHESIS_HOOKS",
            concat!(env!("TODO_PLATFORM_CHECKOUT"), "/services/common/src/testing/schemathesis_formats.py"),
        )
        // Reports and found examples stay out of the checkout.
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("TEST_PYTHON must be a program");
    server.abort();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "schemathesis, with the seed {SEED}:\n{text}\n{errors}");
    println!("{text}");
}
