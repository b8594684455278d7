//! Who may do what.

use serde_json::{Value, json};
use todo_e2e::{
    command::Command,
    harness::{Forward, Platform},
};

use crate::shared;

const SERVICES: [&str; 4] = ["backend-service", "notification-service", "recurring-task-service", "frontend-service"];

#[tokio::test]
async fn a_secret_that_is_not_named_is_refused_to_every_service() {
    shared::with("secrets", async |platform, _| {
        for app in SERVICES {
            let sidecar = platform.sidecar(app).await?;
            for store in ["kubernetes-secrets", "kubernetes"] {
                for secret in ["kafka-password", "todo-app-token"] {
                    let answer = sidecar.get(&format!("/v1.0/secrets/{store}/{secret}")).await?;
                    assert!(!answer.status.is_success(), "{app} reads {secret} from {store}: {}", answer.status);
                }
            }
        }
        // The one that is named is had, or refusing would prove nothing.
        for app in ["backend-service", "notification-service", "recurring-task-service"] {
            let path = "/v1.0/secrets/kubernetes-secrets/postgres-connection";
            let answer = platform.sidecar(app).await?.get(path).await?.expect(200)?;
            assert!(answer.json()["connection-string"].as_str().unwrap().starts_with("postgres://"));
        }
        Ok(())
    })
    .await;
}

async fn invoke(platform: &Platform, caller: &str, app: &str, path: &str) -> anyhow::Result<u16> {
    let sidecar = platform.sidecar(caller).await?;
    let answer = sidecar.post(&format!("/v1.0/invoke/{app}/method{path}"), &json!({"user_id": "x"})).await?;
    Ok(answer.status.as_u16())
}

#[tokio::test]
async fn an_operation_that_is_not_allowed_is_refused_to_every_caller() {
    shared::with("access", async |platform, user| {
        for caller in SERVICES {
            for (app, path) in [
                ("backend-service", "/reminder-cron"),
                ("backend-service", "/dapr/subscribe"),
                ("notification-service", "/reminders"),
                ("notification-service", "/dead-letters"),
                ("recurring-task-service", "/task-events"),
                ("frontend-service", "/"),
            ] {
                if caller != app {
                    assert_eq!(invoke(&platform, caller, app, path).await?, 403, "{caller} calls {app}{path}");
                }
            }
        }
        // Each allowed operation is for its callers alone.
        for (caller, app, path) in [
            ("frontend-service", "notification-service", "/send-notification"),
            ("recurring-task-service", "notification-service", "/send-notification"),
            ("frontend-service", "recurring-task-service", "/process-completion"),
            ("notification-service", "backend-service", "/api/tasks"),
        ] {
            assert_eq!(invoke(&platform, caller, app, path).await?, 403, "{caller} calls {app}{path}");
        }
        let sidecar = platform.sidecar("backend-service").await?;
        let path = "/v1.0/invoke/notification-service/method/send-notification";
        let sent = sidecar.post(path, &json!({"user_id": user, "message": "hello"})).await?;
        assert!(sent.status.is_success(), "the backend may: {} {}", sent.status, sent.text);
        let shown = shared::notifications(&platform.page().await?, &user).await?;
        assert_eq!(shown[0]["message"], "hello");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn routes_that_dapr_calls_refuse_who_has_no_app_token() {
    shared::with("token", async |platform, _| {
        let token = platform.secret("todo-app-token", "token").await?;
        for (app, port, path) in [
            ("backend-service", 8000, "/reminder-cron"),
            ("notification-service", 8001, "/reminders"),
            ("notification-service", 8001, "/send-notification"),
            ("recurring-task-service", 8002, "/task-events"),
            ("recurring-task-service", 8002, "/process-completion"),
        ] {
            let http = platform.http(app, port).await?;
            let post = async |headers: &[(&str, &str)]| {
                http.send(reqwest::Method::POST, path, headers, &json!({"nothing": "of use"})).await
            };
            for headers in [&[][..], &[("dapr-api-token", "wrong")]] {
                let answer = post(headers).await?.expect(401)?;
                assert_eq!(answer.headers["content-type"], "application/problem+json", "{app}{path}");
            }
            let let_in = post(&[("dapr-api-token", &token)]).await?;
            assert_ne!(let_in.status, 401, "{app}{path}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn sidecars_speak_to_each_other_with_certificates_of_their_own() {
    shared::with("mtls", async |platform, _| {
        let client = &platform.namespace.env.client;
        let forward = Forward::to_app(client, &platform.namespace.name, "backend-service", 50002).await?;
        let connect = Command::new("openssl").args(["s_client", "-showcerts", "-connect"]);
        let connect = connect.arg(forward.address().to_string()).input("");
        // The sidecar wants a certificate from us too. Whether its refusal arrives before the program ends, and so its
        // exit code, is a matter of chance; what the sidecar showed before counts.
        let shown = connect.output().await?;
        let begin = shown.find("-----BEGIN CERTIFICATE-----");
        let begin = begin.ok_or_else(|| anyhow::anyhow!("no certificate was shown: {shown}"))?;
        let parse = Command::new("openssl").args(["x509", "-noout", "-ext", "subjectAltName"]);
        let names = parse.input(&shown[begin..]).run().await?;
        let expected = format!("spiffe://public/ns/{}/backend-service", platform.namespace.name);
        assert!(names.contains(&expected), "{names}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_bad_request_is_told_what_is_wrong_with_it() {
    shared::with("bad", async |platform, _| {
        let page = platform.page().await?;
        for (body, words) in [
            (json!({"title": "x"}), "user_id"),
            (json!({"user_id": "$canary", "title": "x"}), "user_id"),
            (json!({"user_id": "ada", "title": ""}), "title"),
            (json!({"user_id": "ada", "title": "x", "recurrence": {"rrule": "FREQ=SECONDLY"}}), "FREQ must be"),
            (Value::String("no object".to_owned()), ""),
        ] {
            let answer = page.post("/api/tasks", &body).await?;
            assert!(answer.status.is_client_error(), "{body}: {}", answer.status);
            assert_eq!(answer.headers["content-type"], "application/problem+json", "{body}");
            assert!(answer.text.contains(words), "{body}: {}", answer.text);
        }
        Ok(())
    })
    .await;
}
