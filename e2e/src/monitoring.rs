//! The queries of alerts and dashboards, which no compiler reads: that they are PromQL, which metrics they need, and whether
//! an alert can be raised at all.

use std::{collections::BTreeSet, path::Path};

use anyhow::Context;
use promql_parser::{
    parser::{self, BinaryExpr, Call, Expr},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;

/// Where alerts and dashboards are.
const FOLDER: &str = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/config/monitoring");

/// A query of an alert or a dashboard.
pub struct Query {
    /// Name of the alert, or title of the panel.
    pub name: String,
    expression: Expr,
}

impl Query {
    /// Reads all of them. The error names the one that is no PromQL.
    pub fn all() -> anyhow::Result<Vec<Self>> {
        let mut queries = Vec::new();
        for entry in Path::new(FOLDER).read_dir()? {
            // JSON is YAML.
            let file: Value = serde_yaml::from_str(&std::fs::read_to_string(entry?.path())?)?;
            collect(&file, "", &mut queries)?;
        }
        Ok(queries)
    }

    /// Reads one.
    pub fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        // What Grafana puts in.
        let text = text.replace("$__rate_interval", "5m");
        let expression = parser::parse(&text).map_err(anyhow::Error::msg).with_context(|| format!("{name}: {text}"))?;
        Ok(Self { name: name.to_owned(), expression })
    }

    /// The series that it reads, by name.
    pub fn series(&self) -> BTreeSet<String> {
        let mut seen = Seen::default();
        let Ok(_) = walk_expr(&mut seen, &self.expression);
        seen.series
    }

    /// Each quantile of a histogram that it compares with a number: name of the buckets' series, and the number.
    pub fn limits(&self) -> Vec<(String, f64)> {
        let mut seen = Seen::default();
        let Ok(_) = walk_expr(&mut seen, &self.expression);
        seen.limits
    }
}

fn collect(value: &Value, name: &str, queries: &mut Vec<Query>) -> anyhow::Result<()> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, name, queries)),
        Value::Object(fields) => {
            let own = fields.get("alert").or_else(|| fields.get("title")).and_then(Value::as_str);
            let name = own.unwrap_or(name);
            if let Some(text) = fields.get("expr").and_then(Value::as_str) {
                queries.push(Query::parse(name, text)?);
            }
            fields.values().try_for_each(|field| collect(field, name, queries))
        }
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Seen {
    series: BTreeSet<String>,
    limits: Vec<(String, f64)>,
}

impl ExprVisitor for Seen {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
        match expression {
            Expr::VectorSelector(selector) => self.series.extend(selector.name.clone()),
            Expr::MatrixSelector(selector) => self.series.extend(selector.vs.name.clone()),
            Expr::Binary(BinaryExpr { lhs, rhs, .. }) => {
                if let (Expr::Call(Call { func, .. }), Expr::NumberLiteral(limit)) = (&**lhs, &**rhs)
                    && func.name == "histogram_quantile"
                {
                    let mut within = Self::default();
                    let Ok(_) = walk_expr(&mut within, lhs);
                    self.limits.extend(within.series.into_iter().map(|series| (series, limit.val)));
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_tells_the_series_that_it_reads_and_the_limits_of_its_quantiles() {
        let text =
            r#"histogram_quantile(0.9, sum by (le) (rate(late_bucket{a="b"}[5m]))) > 60 and sum(up) / sum(down) > 1"#;
        let query = Query::parse("late", text).unwrap();
        assert_eq!(query.series(), ["down", "late_bucket", "up"].map(str::to_owned).into());
        assert_eq!(query.limits(), [("late_bucket".to_owned(), 60.0)]);
    }

    #[test]
    fn what_is_no_promql_is_named() {
        let error = Query::parse("wrong", "sum by (rate(x[5m])").err().unwrap();
        assert!(format!("{error:#}").contains("wrong"), "{error:#}");
    }

    /// Alerts of the operator and of a platform.
    fn alerts() -> Vec<Value> {
        let groups = ["operator-alerts.yaml", "platform-alerts.yaml"].into_iter().flat_map(|file| {
            let text = std::fs::read_to_string(Path::new(FOLDER).join(file)).unwrap();
            serde_yaml::from_str::<Vec<Value>>(&text).unwrap()
        });
        groups.flat_map(|group| group["rules"].as_array().cloned().unwrap()).collect()
    }

    #[test]
    fn every_alert_says_what_to_do_and_is_explained_in_the_documents() {
        let path = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/docs/failures.md");
        let document = std::fs::read_to_string(path).unwrap();
        let alerts = alerts();
        assert_eq!(alerts.len(), 15);
        for alert in alerts {
            let name = alert["alert"].as_str().unwrap();
            assert!(alert["annotations"]["description"].is_string(), "{name} has no description");
            assert!(document.contains(&format!("| `{name}` |")), "{name} is not in docs/failures.md");
        }
    }

    #[test]
    fn a_watch_that_gets_no_answer_raises_an_alarm_as_seldom_as_it_fails() {
        let alerts = alerts();
        let alert = alerts.iter().find(|alert| alert["alert"] == "TodoOperatorWatchFails").unwrap();
        let expression = alert["expr"].as_str().unwrap();
        let number = |before: &str, after: &str| -> f64 {
            let rest = expression.split_once(before).unwrap().1;
            rest.split_once(after).map_or(rest, |(number, _)| number).trim().parse().unwrap()
        };
        let (minutes, limit) = (number("}[", "m]"), number("> ", "\n"));
        // A list is given up after 70 s, and the next one begins up to 60 s later.
        let failures = minutes * 60.0 / (70.0 + 60.0);
        assert!(failures > limit, "{failures} failures in {minutes} minutes are no more than {limit}");
    }

    #[test]
    fn every_query_of_alerts_and_dashboards_is_promql() {
        let queries = Query::all().unwrap();
        assert!(queries.len() > 40, "{}", queries.len());
        for name in ["TodoRemindersLate", "TodoOperatorForbidden"] {
            assert!(queries.iter().any(|query| query.name == name), "{name}");
        }
    }
}
