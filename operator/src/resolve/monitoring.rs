//! What Prometheus and Grafana are to find, with every default filled in.

use std::{collections::BTreeMap, time::Duration};

use todo_crds::platform as api;

use super::{check, checks::Checks, defaults};

/// What Prometheus and Grafana are to find.
#[derive(Clone, Debug, Default)]
pub struct Monitoring {
    /// Where the metrics are, if that is to be said.
    pub scrape: Option<Scrape>,
    /// Labels of the alerts, if there are to be any.
    pub alerts: Option<BTreeMap<String, String>>,
    /// Labels of the dashboard, if there is to be one.
    pub dashboard: Option<BTreeMap<String, String>>,
}

/// How metrics are read.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// Labels of what says so.
    pub labels: BTreeMap<String, String>,
    /// How often, as Prometheus writes it; its own default if none.
    pub interval: Option<String>,
}

pub(super) fn monitoring(checks: &mut Checks, spec: Option<&api::MonitoringSpec>) -> Monitoring {
    const PATH: &str = "spec.monitoring";
    let spec = spec.cloned().unwrap_or_default();
    let mut labels = |field: &str, labels: BTreeMap<String, String>| {
        for key in labels.keys() {
            checks.test(&format!("{PATH}.{field}.labels"), check::key(key));
        }
        labels
    };
    let alerts = spec.prometheus_rule.map(|rule| labels("prometheusRule", rule.labels));
    let dashboard = spec.dashboard.map(|dashboard| labels("dashboard", dashboard.labels));
    let dashboard = dashboard.map(|labels| if labels.is_empty() { defaults::dashboard_labels() } else { labels });
    let scraped = spec.service_monitor.map(|monitor| (labels("serviceMonitor", monitor.labels), monitor.interval));
    let scrape = scraped.map(|(labels, interval)| Scrape {
        labels,
        interval: interval.and_then(|interval| {
            let (least, most) = (Duration::from_secs(5), Duration::from_mins(10));
            let interval = check::duration(interval, least, most);
            checks.take(&format!("{PATH}.serviceMonitor.interval"), interval).map(in_prometheus)
        }),
    });
    Monitoring { scrape, alerts, dashboard }
}

/// Prometheus takes whole numbers only.
fn in_prometheus(interval: Duration) -> String {
    if interval.subsec_nanos() == 0 {
        format!("{}s", interval.as_secs())
    } else {
        format!("{}ms", interval.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_written_in_whole_numbers() {
        assert_eq!(in_prometheus(Duration::from_secs(90)), "90s");
        assert_eq!(in_prometheus(Duration::from_millis(7500)), "7500ms");
    }
}
