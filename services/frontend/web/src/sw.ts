/** The service worker: shows what is pushed, and nothing else. It keeps no files, so the page is always the current one. */

/** What of a worker's scope is used; TypeScript's own types of it cannot be loaded beside those of a page. */
interface Scope {
  registration: ServiceWorkerRegistration;
  clients: {
    matchAll(options: { type: "window" }): Promise<{ focus(): Promise<unknown> }[]>;
    openWindow(url: string): Promise<unknown>;
  };
  addEventListener(type: "push", listener: (event: Waiting & { data: { json(): Pushed } | null }) => void): void;
  addEventListener(type: "notificationclick", listener: (event: Waiting & { notification: Notification }) => void): void;
}

interface Waiting {
  waitUntil(work: Promise<unknown>): void;
}

interface Pushed {
  id: string;
  title: string;
  message: string;
}

const scope = self as unknown as Scope;

scope.addEventListener("push", (event) => {
  const pushed = event.data?.json();
  if (!pushed) return;
  // A repetition replaces what is shown of the same notification.
  event.waitUntil(scope.registration.showNotification(pushed.title, { body: pushed.message, tag: pushed.id, icon: "/icon.svg" }));
});

scope.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const open = async () => {
    const [page] = await scope.clients.matchAll({ type: "window" });
    await (page ? page.focus() : scope.clients.openWindow("/"));
  };
  event.waitUntil(open());
});
