/* The first process of every pod: holds its namespaces, collects orphans, and leaves when told to. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void collect(int signal) {
  (void)signal;
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

static void leave(int signal) {
  (void)signal;
  _exit(0);
}

int main(void) {
  signal(SIGCHLD, collect);
  signal(SIGTERM, leave);
  signal(SIGINT, leave);
  for (;;) {
    pause();
  }
}
