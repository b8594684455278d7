# Formats the volume once, with the user that the services sign in as: the image does not do that by itself.
set -eu
case "$KAFKA_USERNAME$KAFKA_PASSWORD" in
  *[],\"[[:space:]]*)
    # Kafka's own tools take these apart.
    echo "the Secrets kafka-username and kafka-password must have no comma, quote, square bracket or blank" >&2
    exit 1
    ;;
esac
if [ -f "$KAFKA_DATA/logs/meta.properties" ]; then
  exit 0
fi
mkdir -p "$KAFKA_DATA/logs"
/opt/kafka/bin/kafka-storage.sh format --ignore-formatted \
  --cluster-id "$KAFKA_CLUSTER_ID" \
  --config /etc/todo/server.properties \
  --add-scram "SCRAM-SHA-256=[name=\"$KAFKA_USERNAME\",password=\"$KAFKA_PASSWORD\"]"
printf '%s %s' "$KAFKA_USERNAME" "$KAFKA_PASSWORD" | sha256sum > "$KAFKA_DATA/credentials.sha256"
