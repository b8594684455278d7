# Starts the server. The image sets the password only when it makes the database; so that a changed Secret takes
# effect, it is set again at every start, through the socket that only this pod can reach.
set -eu
set_password() {
  # By TCP: the server that runs while the image makes the database listens on the socket alone.
  until pg_isready --quiet --host 127.0.0.1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB"; do
    sleep 1
  done
  psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv user POSTGRES_USER
\getenv password POSTGRES_PASSWORD
-- A failed statement would be logged, password and all.
SET log_min_error_statement = panic;
ALTER ROLE :"user" PASSWORD :'password';
SQL
}
# Never a bad exit code: the server is the parent, and would take it for the crash of one of its own processes.
{ set_password || true; } &
# Terse: a row that is refused is not quoted in the log.
exec docker-entrypoint.sh postgres -c max_connections=200 -c log_error_verbosity=terse
