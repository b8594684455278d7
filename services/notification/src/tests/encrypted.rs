//! The ways out as in production: over TLS, to servers that an authority of one's own vouches for, and mails with a login.

use serde_json::{Value, json};
use sqlx::PgPool;
use todo_common::{Sensitive, testing::with_database};
use tokio::process::Command;
use uuid::Uuid;

use super::{
    judges::{Sink, confirmed},
    receiver::Service,
};
use crate::settings::{Settings, SmtpTls};

/// In the environment of the second process: what the sink of the first one says of itself.
const ABOUT: &str = "TEST_SINK";
const WITH_THE_AUTHORITY: &str = "tests::encrypted::every_channel_is_encrypted_where_the_authority_is_known";

/// Over TLS; mails to the port of this name, with this password.
fn settings(sink: &Sink, tls: SmtpTls, port: &str, password: &Value) -> Settings {
    let mut settings = sink.settings();
    if let Some(smtp) = &mut settings.smtp {
        (smtp.tls, smtp.port) = (tls, sink.port(port));
        let text = |value: &Value| Sensitive::new(value.as_str().unwrap());
        smtp.credentials = Some((text(&sink.about["user"]), text(password)));
    }
    settings.ntfy = Some(url(sink, "/").parse().unwrap());
    settings
}

fn url(sink: &Sink, path: &str) -> String {
    format!("https://127.0.0.1:{}{path}", sink.port("https"))
}

async fn add_all(service: &Service, sink: &Sink) {
    let keys = json!({"p256dh": sink.about["p256dh"], "auth": sink.about["auth"]});
    service.add(json!({"kind": "web_push", "endpoint": url(sink, "/push/browser"), "keys": keys})).await;
    service.add(json!({"kind": "webhook", "url": url(sink, "/hook/home"), "secret": sink.about["secret"]})).await;
    service.add(json!({"kind": "ntfy", "topic": "todo-ada"})).await;
}

/// What became of each delivery.
async fn states(service: &Service) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let deliveries = service.deliveries().await;
    deliveries
        .iter()
        .map(|one| format!("{}: {} {}", text(&one["kind"]), text(&one["state"]), text(&one["last_error"])))
        .collect()
}

#[tokio::test]
async fn every_channel_is_encrypted_where_the_authority_is_known() {
    match std::env::var(ABOUT) {
        Ok(about) => with_database(|pool| encrypted(Sink::of(serde_json::from_str(&about).unwrap()), pool)).await,
        // Which authorities are known is in the environment, and that of a running process is left alone.
        Err(_) => in_a_process_of_its_own(&Sink::start().await).await,
    }
}

async fn in_a_process_of_its_own(sink: &Sink) {
    let authority = std::env::temp_dir().join(format!("authority-{}.pem", Uuid::new_v4()));
    std::fs::write(&authority, sink.about["ca"].as_str().unwrap()).unwrap();
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", WITH_THE_AUTHORITY, "--nocapture"]).kill_on_drop(true);
    let output = process.env("SSL_CERT_FILE", &authority).env(ABOUT, sink.about.to_string()).output().await.unwrap();
    std::fs::remove_file(&authority).unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{errors}");
}

async fn encrypted(sink: Sink, pool: PgPool) {
    let password = &sink.about["password"];
    for (tls, way) in [(SmtpTls::Tls, "smtps"), (SmtpTls::StartTls, "starttls")] {
        let service = Service::new(&pool, settings(&sink, tls, way, password));
        confirmed(&service, &sink, &format!("{way}@example.org")).await;
    }
    let service = Service::new(&pool, settings(&sink, SmtpTls::Tls, "smtps", password));
    add_all(&service, &sink).await;
    service.notify("push").await;
    service.deliver().await;
    let received = sink.received().await;
    let told: Vec<&Value> = received.iter().filter(|one| one["message"]["title"] == "Milk").collect();
    assert_eq!(told.len(), 5, "{received:?}");
    for one in &received {
        let encrypted = if one["kind"] == "email" { one["user"] == "todo" } else { one["scheme"] == "https" };
        assert!(encrypted && one.get("refused").is_none(), "{one}");
    }
    assert!(service.deliveries().await.iter().all(|delivery| delivery["state"] == "sent"));

    let wrong = Service::new(&pool, settings(&sink, SmtpTls::StartTls, "starttls", &json!("wrong")));
    wrong.notify("push").await;
    wrong.deliver().await;
    let states = states(&wrong).await;
    let refused = "email: waiting the mail server refused the platform's login: 535";
    assert_eq!(states.iter().filter(|state| *state == refused).count(), 2, "{states:?}");
    // Nothing is lost by it once the password is the right one.
    service.let_time_pass().await;
    service.deliver().await;
    assert!(service.deliveries().await.iter().all(|delivery| delivery["state"] == "sent"));
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_nobody_vouches_for_or_that_does_not_encrypt() {
    with_database(|pool| async move {
        let sink = Sink::start().await;
        let password = &sink.about["password"];
        for (tls, way) in [(SmtpTls::Tls, "smtps"), (SmtpTls::StartTls, "starttls"), (SmtpTls::StartTls, "smtp")] {
            let service = Service::new(&pool, settings(&sink, tls, way, password));
            service.add(json!({"kind": "email", "address": format!("{way}@example.org"), "name": way})).await;
            service.deliver().await;
        }
        let service = Service::new(&pool, settings(&sink, SmtpTls::Tls, "smtps", password));
        add_all(&service, &sink).await;
        service.notify("push").await;
        service.deliver().await;
        let states = states(&service).await;
        assert_eq!(states.len(), 6, "{states:?}");
        assert!(
            states.iter().all(|state| state.contains(": waiting no ") && state.contains("connection")),
            "{states:?}"
        );
        assert_eq!(sink.received().await, Vec::<Value>::new());
    })
    .await;
}
