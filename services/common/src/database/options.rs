//! Connection strings in both of the forms that Dapr's state store takes.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// What is wrong with a connection string, without a word of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// It begins like a URL and is none.
    #[error("it is no valid postgres:// URL (special characters of a password are written as %xx)")]
    Url,
    /// Neither a URL nor `key=value` pairs.
    #[error("write postgres://user:password@host:5432/database, or pairs such as host=… user=… separated by one blank")]
    Form,
    /// The port is no number.
    #[error("its port is no number")]
    Port,
    /// Unknown `sslmode`.
    #[error("its sslmode is unknown")]
    SslMode,
}

/// Reads `postgres://…` or `host=… user=… password=…`.
pub(crate) fn parse(text: &str) -> Result<PgConnectOptions, OptionsError> {
    let text = text.trim();
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return PgConnectOptions::from_str(&without_unknown(text)).map_err(|_| OptionsError::Url);
    }
    let mut options = PgConnectOptions::new_without_pgpass();
    let mut has_host = false;
    // Split on blanks without quoting, exactly as Dapr does it: what works here works there.
    for pair in text.split_whitespace() {
        let (key, value) = pair.split_once('=').ok_or(OptionsError::Form)?;
        options = match key {
            "host" | "hostaddr" => {
                has_host = true;
                options.host(value)
            }
            "port" => options.port(value.parse().map_err(|_| OptionsError::Port)?),
            "user" => options.username(value),
            "password" => options.password(value),
            "dbname" | "database" => options.database(value),
            "sslmode" => options.ssl_mode(PgSslMode::from_str(value).map_err(|_| OptionsError::SslMode)?),
            "sslrootcert" => options.ssl_root_cert(value),
            // Settings of Go's driver, such as pool_max_conns, are not for us.
            _ => options,
        };
    }
    if has_host { Ok(options) } else { Err(OptionsError::Form) }
}

/// The URL without parameters that sqlx does not know, such as those of Go's driver: sqlx logs them with their values.
fn without_unknown(url: &str) -> String {
    const KNOWN: &str = "sslmode ssl-mode sslrootcert ssl-root-cert ssl-ca sslcert ssl-cert sslkey ssl-key \
        statement-cache-capacity host hostaddr port dbname user password application_name options";
    let Some((address, query)) = url.split_once('?') else { return url.to_owned() };
    let is_known = |pair: &&str| {
        let key = pair.split('=').next().unwrap_or_default();
        KNOWN.split_whitespace().any(|known| known == key) || key.starts_with("options[")
    };
    let known: Vec<&str> = query.split('&').filter(is_known).collect();
    format!("{address}?{}", known.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_connection_string_mean_the_same() {
        for text in [
            "postgres://todo:p%40ss@postgres:5433/todo?sslmode=disable",
            "host=postgres port=5433 user=todo password=p@ss dbname=todo sslmode=disable pool_max_conns=4",
        ] {
            let options = parse(text).unwrap();
            assert_eq!(options.get_host(), "postgres", "{text}");
            assert_eq!(options.get_port(), 5433);
            assert_eq!(options.get_username(), "todo");
            assert_eq!(options.get_database(), Some("todo"));
        }
    }

    #[test]
    fn parameters_that_would_be_logged_as_unknown_are_left_out() {
        assert_eq!(
            without_unknown("postgres://todo@db/todo?pool_max_conns=4&sslmode=disable&passwd=hunter2&options[a]=b"),
            "postgres://todo@db/todo?sslmode=disable&options[a]=b"
        );
        assert_eq!(without_unknown("postgres://todo@db/todo"), "postgres://todo@db/todo");
    }

    #[test]
    fn a_mistake_is_told_without_the_text() {
        for (text, error) in [
            ("postgres://todo:hunter2@:bad/", OptionsError::Url),
            ("hunter2", OptionsError::Form),
            ("user=todo password=hunter2", OptionsError::Form),
            ("host=a port=hunter2", OptionsError::Port),
            ("host=a sslmode=hunter2", OptionsError::SslMode),
        ] {
            let told = parse(text).unwrap_err();
            assert_eq!(told, error);
            assert!(!told.to_string().contains("hunter2"));
        }
    }
}
