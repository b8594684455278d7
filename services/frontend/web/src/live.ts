/** Keeps the page current: by the event stream where there is one, else by asking. */

import { byId } from "./dom";
import { wordsOf } from "./report";

/** While events arrive: only for what a proxy in between swallows. */
const SLOW_MS = 60_000;
const FAST_MS = 5_000;
/** Before the stream is tried again after it was refused. */
const RETRY_MS = 30_000;
/** Several events in a row are answered by one reading. */
const SETTLE_MS = 150;
/** Names that the stream gives to its events; those without a name are `message`. */
const EVENTS = ["message", "ready", "task", "notification", "resync"];

type State = "connecting" | "live" | "polling" | "lost";

const WORDS: Record<State, string> = {
  connecting: "Connecting…",
  live: "Live",
  polling: "Updated every few seconds",
  lost: "Trying again…",
};

/** Whether a stream ends with its first event. */
function isOnce(ready: MessageEvent<string>): boolean {
  return (JSON.parse(ready.data) as { once?: boolean }).once === true;
}

export class Live {
  private readonly shown = byId("connection");
  private streaming = false;
  private timer: number | undefined;
  private settling = false;
  private running = false;
  private again = false;

  /** `refresh` reads everything that can have changed. */
  constructor(
    private readonly eventsUrl: string,
    private readonly refresh: () => Promise<void>,
  ) {
    addEventListener("online", () => this.soon());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.soon();
    });
    this.connect();
    void this.read();
  }

  /** Reads shortly, and once for several calls in a row. */
  soon(): void {
    if (this.settling) return;
    this.schedule(SETTLE_MS);
    this.settling = true;
  }

  private connect(): void {
    const source = new EventSource(this.eventsUrl);
    let isOpen = false;
    let once = false;
    source.onopen = () => {
      this.streaming = isOpen = true;
      // What happened before is in no event.
      this.soon();
    };
    for (const name of EVENTS) source.addEventListener(name, () => this.soon());
    source.addEventListener("ready", (event) => (once = isOnce(event)));
    source.onerror = () => {
      // The end of a stream of one event is none of the connection; what comes after it is, until it opens again.
      const isOver = isOpen && once;
      isOpen = false;
      if (isOver) return;
      this.streaming = false;
      if (!this.settling) this.schedule(FAST_MS);
      // A browser tries again by itself when a stream breaks, but not after an answer that refuses it.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.connect(), RETRY_MS);
    };
  }

  private async read(): Promise<void> {
    this.settling = false;
    if (this.running) {
      this.again = true;
      return;
    }
    this.running = true;
    this.again = false;
    try {
      await this.refresh();
      this.show(this.streaming ? "live" : "polling");
    } catch (error) {
      this.show("lost", `${wordsOf(error)} ${WORDS.lost}`);
    }
    this.running = false;
    if (this.again) this.soon();
    // A hidden page waits for its events, or until it is looked at. What came meanwhile has its reading already before it.
    else if (!this.settling) this.schedule(this.streaming || document.hidden ? SLOW_MS : FAST_MS);
  }

  private schedule(delay: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.read(), delay);
  }

  private show(state: State, words: string = WORDS[state]): void {
    this.shown.dataset["state"] = state;
    // A screen reader speaks every change, so there is none without news.
    if (this.shown.textContent !== words) this.shown.textContent = words;
  }
}
