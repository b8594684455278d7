# Starts the broker. When the Secrets name another user or password than the last time, that is told to the broker
# through the listener that only this pod can reach, as the volume keeps what it was formatted with.
set -eu
remembered="$KAFKA_DATA/credentials.sha256"
wanted="$(printf '%s %s' "$KAFKA_USERNAME" "$KAFKA_PASSWORD" | sha256sum)"
change_credentials() {
  until KAFKA_HEAP_OPTS=-Xmx128m /opt/kafka/bin/kafka-configs.sh --bootstrap-server 127.0.0.1:9094 \
    --alter --entity-type users --entity-name "$KAFKA_USERNAME" \
    --add-config "SCRAM-SHA-256=[password=$KAFKA_PASSWORD]" > /dev/null; do
    sleep 1
  done
  printf '%s\n' "$wanted" > "$remembered"
  echo "the broker knows the user and password of the Secrets now"
}
if [ ! -f "$remembered" ] || [ "$(cat "$remembered")" != "$wanted" ]; then
  change_credentials &
fi
exec /opt/kafka/bin/kafka-server-start.sh /etc/todo/server.properties
