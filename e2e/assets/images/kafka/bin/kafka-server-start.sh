#!/bin/bash
# The variable holds several words.
# shellcheck disable=SC2086
exec "${0%/*}/kafka-run-class.sh" ${EXTRA_ARGS--name kafkaServer -loggc} kafka.Kafka "$@"
