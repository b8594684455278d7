//! Kafka's jars, by Maven.

use std::{path::Path, time::Duration};

use super::Error;
use crate::{cluster::settings, command::Command, progress::Tail};

/// The modules whose jars, with all that they need, make a broker and its tools.
const ARTIFACTS: [&str; 2] = ["kafka_2.13", "kafka-tools"];

pub(super) fn inputs() -> String {
    project()
}

fn project() -> String {
    let version = settings::KAFKA;
    let dependencies = ARTIFACTS.map(|artifact| {
        format!(
            "<dependency><groupId>org.apache.kafka</groupId><artifactId>{artifact}</artifactId>\
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
