/** This browser's own push subscription. */

import { keep, recall } from "./storage";

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

/** Ends the present one, if there is one. */
export async function unsubscribe(): Promise<void> {
  const registration = await navigator.serviceWorker.ready;
  await (await registration.pushManager.getSubscription())?.unsubscribe();
}

/** Which channel this browser is to a person: whoever else uses it has not asked to be told here. */
export class OwnPush {
  private readonly key: string;

  constructor(user: string) {
    this.key = `todo.push.${user}`;
  }

  get id(): string | null {
    return recall(this.key);
  }

  set id(id: string | null) {
    keep(this.key, id);
  }
}

function plain(subscription: PushSubscription | null): Subscription | null {
  const { endpoint, keys } = subscription?.toJSON() ?? {};
  return endpoint && keys?.["p256dh"] && keys["auth"] ? { endpoint, keys: { p256dh: keys["p256dh"], auth: keys["auth"] } } : null;
}
