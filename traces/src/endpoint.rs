use std::fmt;

/// URL of a collector: plain HTTP, and nothing in it that could be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// Why a URL is none of a collector.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write http://HOST:PORT of a collector that takes OTLP over HTTP; there is no TLS here, and no user, query or fragment"
)]
pub struct EndpointError;

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let url = reqwest::Url::parse(text).map_err(|_| EndpointError)?;
        let plain = url.scheme() == "http" && url.username().is_empty() && url.password().is_none();
        let bare = url.query().is_none() && url.fragment().is_none();
        if plain && bare { Ok(Self(text.trim_end_matches('/').to_owned())) } else { Err(EndpointError) }
    }
}

/// Without a slash at its end.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_a_plain_url_that_holds_no_secret() {
        let endpoint = |text: &str| text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()).ok();
        assert_eq!(endpoint("http://collector:4318/").as_deref(), Some("http://collector:4318"));
        assert_eq!(endpoint("http://gateway/otlp").as_deref(), Some("http://gateway/otlp"));
        for wrong in [
            "",
            "collector:4318",
            "https://collector",
            "http://me:secret@collector",
            "http://c?key=secret",
            "http://c#x",
        ] {
            assert_eq!(endpoint(wrong), None, "{wrong}");
        }
    }
}
