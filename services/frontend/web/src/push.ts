/** This browser's own push subscription. */

export interface Subscription {
  endpoint: string;
  keys: { p256dh: string; auth: string };
}

/** The present one, null if there is none yet, undefined where the browser has no Web Push (or the page no HTTPS). */
export async function subscriptionIn(): Promise<Subscription | null | undefined> {
  if (!("serviceWorker" in navigator) || !("PushManager" in window)) return undefined;
  try {
    const registration = await navigator.serviceWorker.register("/sw.js");
    return plain(await registration.pushManager.getSubscription());
  } catch {
    return undefined;
  }
}

/** A new one for the platform's public key; null if the person does not allow it. */
export async function subscribe(key: string): Promise<Subscription | null> {
  if ((await Notification.requestPermission()) !== "granted") return null;
  const registration = await navigator.serviceWorker.ready;
  return plain(await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
}

function plain(subscription: PushSubscription | null): Subscription | null {
  const { endpoint, keys } = subscription?.toJSON() ?? {};
  return endpoint && keys?.["p256dh"] && keys["auth"] ? { endpoint, keys: { p256dh: keys["p256dh"], auth: keys["auth"] } } : null;
}
