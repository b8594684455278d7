//! What programs count and measure, as Prometheus reads it.

use super::{Forward, Platform, forward::ready_pods, http::Http};

/// The port of every service for it.
const PORT: u16 = 8081;

/// Lines of one program, or of several.
#[derive(Clone, Debug, Default)]
pub struct Metrics(pub String);

impl Metrics {
    /// Of all ready pods of an app.
    pub async fn of(platform: &Platform, app: &str) -> anyhow::Result<Self> {
        let (client, namespace) = (&platform.namespace.env.client, &platform.namespace.name);
        let mut all = Self::default();
        for pod in ready_pods(client, namespace, app).await? {
            let management = Http::new(Forward::to_pod(client, namespace, &pod, PORT).await?)?;
            all.0.push_str(&management.get("/metrics").await?.expect(200)?.text);
        }
        Ok(all)
    }

    /// Lines of a series.
    pub fn lines<'a>(&'a self, series: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.lines().filter(move |line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(['{', ' '])))
    }

    /// Values of a series, of lines with this label, or of all if it is empty.
    pub fn values<'a>(&'a self, series: &'a str, label: &'a str) -> impl Iterator<Item = f64> + 'a {
        let labelled = self.lines(series).filter(move |line| line.contains(label));
        labelled.filter_map(|line| line.rsplit(' ').next()?.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_series_and_the_label_and_not_of_longer_names() {
        let text = "# TYPE sent counter\nsent{outcome=\"sent\",kind=\"a\"} 3\nsent{outcome=\"failed\"} 2\nsent_total 7\nage 0.5\n";
        let metrics = Metrics(text.to_owned());
        let values = |series: &'static str, label: &'static str| metrics.values(series, label).collect::<Vec<_>>();
        assert_eq!(values("sent", ""), [3.0, 2.0]);
        assert_eq!(values("sent", "outcome=\"sent\""), [3.0]);
        assert_eq!(values("age", ""), [0.5]);
    }
}
