//! Kafka's jars, by Maven.

use std::{path::Path, time::Duration};

use super::Error;
use crate::{cluster::settings, command::Command, progress::Tail};

/// The modules whose jars, with all that they need, make a broker and its tools.
const ARTIFACTS: [(&str, &str, &str); 3] = [
    ("org.apache.kafka", "kafka_2.13", settings::KAFKA),
    ("org.apache.kafka", "kafka-tools", settings::KAFKA),
    // What the broker writes its log with; it is no dependency of it, but comes with it as it is published.
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"),
];

pub(super) fn inputs() -> String {
    project()
}

fn project() -> String {
    let dependencies = ARTIFACTS.map(|(group, artifact, version)| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        )
    });
    let dependencies = dependencies.concat();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>todoplatform.dev</groupId><artifactId>kafka</artifactId><version>1</version>\
         <packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )
}

pub(super) async fn fetch(build: &Path, out: &Path, log: &Path, tail: &Tail) -> Result<(), Error> {
    let file = build.join("pom.xml");
    std::fs::write(&file, project()).map_err(Error::file(&file))?;
    let maven = Command::new("mvn").args(["-B", "dependency:copy-dependencies"]).dir(build);
    let maven = maven.arg(format!("-DoutputDirectory={}", out.join("libs").display()));
    let limit = Duration::from_mins(20);
    maven.limit(limit).log(log).tail(tail).run().await.map_err(Error::step("fetching Kafka's jars"))?;
    Ok(())
}
